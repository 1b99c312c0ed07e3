"""The command line, with real networks: what it writes, says and returns."""

import csv
import errno
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from scenecam import cam, images, models, synth
from scenecam_cli import main as cli
from scenecam_cli import run_folder, show

NAMES = ("buildings", "forest", "glacier", "mountain", "sea", "street")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network in a file, with a card that names its classes."""
    model = models.plain_cnn((24, 24, 3), widths=(4, 6), units=8, seed=3)
    path = tmp_path_factory.mktemp("weights") / "small.keras"
    models.save_model(model, path, card={"class_names": NAMES})
    return path


@pytest.fixture
def pictures(tmp_path):
    """Five drawn scenes of other sizes than the network's, in two folders."""
    for number, name in enumerate(NAMES[:5]):
        image, _ = synth.draw_scene(name, size=40 + 4 * number, seed=number)
        path = tmp_path / "in" / f"part {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :-6]).save(path)
    return tmp_path / "in"


def scenecam(*words):
    """Run the command line in this process; return its exit code."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as ended:
        return ended.code


def rows_of(folder):
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---- What it writes ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam"])
def test_files_and_index_are_what_the_library_computes(
    pictures, weights, tmp_path, capsys, method
):
    out = tmp_path / "out"
    words = ("--classes", "all", "--method", method, "--format", "png")
    assert (
        scenecam("explain", pictures, "--weights", weights, "--out", out, *words) == 0
    )
    said = capsys.readouterr().out
    assert "5 pictures explained in" in said and str(out / "index.csv") in said
    model = models.load_model(weights)
    rows = rows_of(out)
    assert len(rows) == 30
    for file in sorted({row["file"] for row in rows}):
        of_file = [row for row in rows if row["file"] == file]
        picture = images.read_image(pictures / file)
        fitted = images.read_image(pictures / file, size=24)[None]
        (expected,) = cam.class_maps(model, fitted, method=method).values()
        maps = np.load(out / f"{file}.npy")
        assert maps.dtype == np.float32 and maps.shape == expected.shape[1:]
        np.testing.assert_allclose(maps, expected[0], rtol=1e-4, atol=1e-6)
        probabilities = models.predict(model, fitted)[0]
        best = NAMES[int(np.argmax(probabilities))]
        for number, row in enumerate(of_file):
            assert (row["class"], row["predicted"]) == (NAMES[number], best)
            assert float(row["class_probability"]) == pytest.approx(
                probabilities[number], abs=2e-5
            )
            assert row["evidence"] == ("yes" if maps[number].max() > 0 else "no")
            unit = images.unit_map(maps[number], limit=max(maps[number].max(), 0))
            overlay = images.read_image(out / row["overlay"])
            np.testing.assert_array_equal(overlay, images.overlay(picture, unit))
    dark = sum(row["evidence"] == "no" for row in rows)
    assert dark == 0 or f"{dark} of 30 maps have no positive value" in said
    settings = json.loads((out / "settings.json").read_text())
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert settings["weights_sha256"] == sha256
    assert settings["classes"] == settings["class_names"] == list(NAMES)
    assert settings["pictures"] == str(pictures)


def test_classes_by_name_come_in_the_order_asked(pictures, weights, tmp_path):
    out = tmp_path / "out"
    words = ("--classes", "sea, forest,sea", "--size", 20)
    assert (
        scenecam("explain", pictures, "--weights", weights, "--out", out, *words) == 0
    )
    assert [row["class"] for row in rows_of(out)] == ["sea", "forest"] * 5
    row = rows_of(out)[1]
    assert row["map_index"] == "1"
    assert row["overlay"].endswith(".png.forest.overlay.jpg")
    assert images.read_image(out / row["overlay"]).shape == (20, 17, 3)
    assert np.load(out / row["map"]).shape == (2, 6, 6)


def test_by_default_the_predicted_class(pictures, weights, tmp_path):
    out = tmp_path / "out"
    assert scenecam("explain", pictures, "--weights", weights, "--out", out) == 0
    assert all(row["class"] == row["predicted"] for row in rows_of(out))
    model = models.load_model(weights)
    for row in rows_of(out):
        fitted = images.read_image(pictures / row["file"], size=24)[None]
        (maps,) = cam.class_maps(model, fitted, classes="predicted").values()
        np.testing.assert_allclose(
            np.load(out / row["map"]), maps[0], rtol=1e-4, atol=1e-6
        )


def test_a_name_of_shipped_weights_and_one_photo(pictures, tmp_path):
    out = tmp_path / "out"
    photo = pictures / "part 0" / "0.png"
    words = ("--weights", "drawn-gap_cnn", "--method", "cam", "--classes", "street")
    assert scenecam("explain", photo, *words, "--out", out) == 0
    (row,) = rows_of(out)
    assert (row["file"], row["class"]) == ("0.png", "street")
    assert np.load(out / "0.png.npy").shape == (1, 96, 96)
    assert (out / "0.png.street.heatmap.jpg").is_file()


# ---- Networks from elsewhere ---------------------------------------------------------


def test_a_network_file_of_keras_2_that_takes_grey_pictures(pictures, tmp_path):
    path = ROOT.parent / "shared" / "seeds" / "model_weight.h5"
    if not path.exists():
        pytest.skip("no seed files beside the checkout (../shared/seeds)")
    out = tmp_path / "out"
    words = ("--method", "cam", "--classes", "all", "--out", out)
    assert scenecam("explain", pictures, "--weights", path, *words) == 0
    rows = rows_of(out)
    assert [row["class"] for row in rows[:4]] == [f"class_{i}" for i in range(4)]
    model = models.load_model(path)
    for row in rows[::4]:
        grey = images.read_image(pictures / row["file"], size=64)
        grey = np.array(Image.fromarray(grey).convert("L"))[None, ..., None]
        (expected,) = cam.class_maps(model, grey, method="cam").values()
        maps = np.load(out / row["map"])
        atol = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(maps, expected[0], rtol=1e-4, atol=atol)
        shares = models.predict(model, grey)[0]
        assert float(row["probability"]) == pytest.approx(shares.max(), abs=2e-5)


ANIMALS = ("bird", "cat", "dog", "horse")
SECOND_PROJECT = ROOT.parent / "shared" / "seeds" / "model_weight.h5"


@pytest.fixture(params=["animals-gap_cnn", "animals-gap_resnet", SECOND_PROJECT])
def animal_weights(request):
    """What names a network for the four animals, and what the command needs to know."""
    if request.param == SECOND_PROJECT:
        if not SECOND_PROJECT.exists():
            pytest.skip("no seed files beside the checkout (../shared/seeds)")
        names = "dog,cat,horse,bird"
        return ("--weights", SECOND_PROJECT, "--class-names", names), 64
    return ("--weights", request.param), 32


@pytest.fixture
def animals(tmp_path):
    """Eight pictures of animals: real ones, or noise where there are none."""
    source, draw = ROOT.parent / "shared" / "animals" / "test", np.random.default_rng(1)
    for name in ANIMALS:
        (tmp_path / "animals" / name).mkdir(parents=True)
        found = sorted((source / name).glob("*.jpg"))[:2]
        for number in range(2):
            noise = draw.integers(0, 256, (32, 32, 3)).astype(np.uint8)
            image = images.read_image(found[number]) if found else noise
            images.save_image(tmp_path / "animals" / name / f"{number}.png", image)
    return tmp_path / "animals"


def test_every_map_of_an_animal_is_saved_at_full_resolution(
    animals, animal_weights, tmp_path
):
    (words, side), out = animal_weights, tmp_path / "out"
    more = ("--method", "cam", "--classes", "all", "--out", out)
    assert scenecam("explain", animals, *words, *more) == 0
    rows = rows_of(out)
    assert len(rows) == 8 * 4 and {row["class"] for row in rows} == set(ANIMALS)
    for row in rows:
        assert np.load(out / row["map"]).shape == (4, side, side)
        assert row["class"] in row["overlay"] and row["overlay"].endswith(".jpg")
        for kind in ("heatmap", "overlay"):
            assert images.read_image(out / row[kind]).shape == (32, 32, 3)


def test_animals_are_evaluated(animals, animal_weights, tmp_path):
    (words, _), out = animal_weights, tmp_path / "report"
    more = ("--part", "all", "--out", out)
    assert scenecam("evaluate", animals, *words, *more) == 0
    numbers = json.loads((out / "report.json").read_text())
    rows = list(csv.reader((out / "confusion.csv").read_text().splitlines()))
    assert sorted(rows[0][1:]) == list(ANIMALS)
    counts = np.array([[int(count) for count in row[1:]] for row in rows[1:]])
    assert counts.sum(axis=1).tolist() == [2, 2, 2, 2]
    assert numbers["accuracy"] == pytest.approx(np.trace(counts) / 8)


def saved(tmp_path, *, shape=(16, 16, 3), units=3, top=None):
    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="features")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(units, activation=top, name="logits")(x)
    keras.utils.set_random_seed(1)
    path = tmp_path / "other.keras"
    keras.Model(inputs, x).save(path)
    return path


@pytest.mark.parametrize("top", [None, "softmax", "sigmoid"])
def test_pixels_of_another_range_and_any_head(pictures, tmp_path, top):
    path, out = saved(tmp_path, top=top), tmp_path / "out"
    words = ("--pixels", "unit", "--class-names", "cat,dog,bird", "--classes", "all")
    assert scenecam("explain", pictures, "--weights", path, *words, "--out", out) == 0
    model = models.load_model(path)
    for row in rows_of(out):
        fitted = images.read_image(pictures / row["file"], size=16)[None] / 255
        found = model(fitted.astype(np.float32)).numpy()[0]
        if top is None:
            found = np.exp(found) / np.exp(found).sum()
        number = ("cat", "dog", "bird").index(row["class"])
        assert float(row["class_probability"]) == pytest.approx(found[number], abs=1e-4)
        assert row["predicted"] == ("cat", "dog", "bird")[np.argmax(found)]


def test_a_network_for_pictures_of_any_size_needs_to_be_told(
    pictures, tmp_path, capsys
):
    path, out = saved(tmp_path, shape=(None, None, 3)), tmp_path / "out"
    words = ("explain", pictures, "--weights", path, "--out", out)
    assert scenecam(*words) == 2
    assert "Say with --input-size" in capsys.readouterr().err
    assert scenecam(*words, "--input-size", 20) == 0
    assert np.load(out / rows_of(out)[0]["map"]).shape == (1, 18, 18)


def test_names_of_classes_from_a_file(pictures, tmp_path):
    (tmp_path / "names.txt").write_text("Möwe\ncat, domestic\nx/y\n", encoding="utf-8")
    path, out = saved(tmp_path), tmp_path / "out"
    words = ("--class-names", f"@{tmp_path / 'names.txt'}", "--classes", "all")
    assert scenecam("explain", pictures, "--weights", path, *words, "--out", out) == 0
    rows = rows_of(out)[:3]
    assert [row["class"] for row in rows] == ["Möwe", "cat, domestic", "x/y"]
    assert rows[2]["overlay"].endswith(".x_y.overlay.jpg")


def test_a_network_that_is_not_its_cards_is_refused(
    pictures, weights, tmp_path, capsys
):
    copy = tmp_path / "copy.keras"
    copy.write_bytes(weights.read_bytes())
    card = {"class_names": list("abcdef"), "sha256": "0" * 64}
    copy.with_suffix(".json").write_text(json.dumps(card))
    out = tmp_path / "out"
    assert scenecam("explain", pictures, "--weights", copy, "--out", out) == 2
    said = capsys.readouterr().err
    assert "is not the file that its card copy.json describes" in said
    assert not out.exists()


# ---- Twice ---------------------------------------------------------------------------


def test_a_second_run_does_only_what_is_missing(pictures, weights, tmp_path, capsys):
    words = ("explain", pictures, "--weights", weights, "--out")
    assert scenecam(*words, tmp_path / "whole") == 0
    out = tmp_path / "out"
    hidden = pictures / "part 1" / "1.png"
    hidden.rename(tmp_path / "1.png")
    assert scenecam(*words, out) == 0
    (tmp_path / "1.png").rename(hidden)
    before = contents(out)
    capsys.readouterr()
    assert scenecam(*words, out) == 0
    assert "4 of 5 pictures were done before" in capsys.readouterr().out
    after, whole = contents(out), contents(tmp_path / "whole")
    assert sorted(after.pop("index.csv").splitlines()) == sorted(
        whole.pop("index.csv").splitlines()
    )
    assert after == whole
    assert before.items() - {("index.csv", before["index.csv"])} <= after.items()
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.npy")}
    assert scenecam(*words, out) == 0
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_an_interrupted_run_goes_on_and_ends_the_same(
    pictures, weights, tmp_path, capsys, monkeypatch
):
    words = ("explain", pictures, "--weights", weights, "--batch-size", 2, "--out")
    assert scenecam(*words, tmp_path / "whole") == 0
    out, add, calls = tmp_path / "out", run_folder.Index.add, []

    def interrupt(self, rows):
        calls.append(rows)
        if len(calls) == 4:
            raise KeyboardInterrupt
        add(self, rows)

    monkeypatch.setattr(run_folder.Index, "add", interrupt)
    capsys.readouterr()
    assert scenecam(*words, out) == 130
    assert capsys.readouterr().err == (
        "scenecam: interrupted; the same command goes on from here.\n"
    )
    monkeypatch.undo()
    assert len(rows_of(out)) == 3
    assert scenecam(*words, out) == 0
    assert contents(out) == contents(tmp_path / "whole")


def test_other_settings_are_refused_or_start_again(pictures, weights, tmp_path, capsys):
    out = tmp_path / "out"
    (tmp_path / "out").mkdir()
    (out / "mine.txt").write_text("not theirs")
    words = ("explain", pictures, "--weights", weights, "--out")
    assert scenecam(*words, out, "--classes", "all") == 0
    before = contents(out)
    for change, said in (
        (("--classes", "sea"), "classes was buildings, .*, now sea"),
        (("--classes", "all", "--layer", "stage1_conv1"), "layer was features, now st"),
        (("--classes", "all", "--method", "hires_cam"), "method was grad_cam, now hi"),
        (("--classes", "all", "--opacity", "0.2"), "opacity was 0.5, now 0.2"),
        (("--classes", "all", "--format", "png"), "format was jpg, now png"),
    ):
        assert scenecam(*words, out, *change) == 2
        error = capsys.readouterr().err
        assert re.search(said, error) and "add --overwrite" in error
        assert contents(out) == before
    change = ("--classes", "sea", "--format", "png")
    assert scenecam(*words, out, *change, "--overwrite") == 0
    assert scenecam(*words, tmp_path / "fresh", *change) == 0
    after = contents(out)
    assert after.pop("mine.txt") == b"not theirs"
    assert after == contents(tmp_path / "fresh")


def test_folders_of_others_are_left_alone(pictures, weights, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    words = ("explain", pictures, "--weights", weights, "--out", out)
    for name, said in (
        ("index.csv", "not from here"),
        ("settings.json", "not written"),
    ):
        (out / name).write_text("{}")
        for more in ((), ("--overwrite",)):
            assert scenecam(*words, *more) == 2
            assert said in capsys.readouterr().err
        assert contents(out) == {name: b"{}"}
        (out / name).unlink()


# ---- What goes wrong -----------------------------------------------------------------


def test_bad_pictures_are_named_at_the_end_and_nothing_is_lost(
    pictures, weights, tmp_path, capsys
):
    whole = (pictures / "part 0" / "0.png").read_bytes()
    Image.open(pictures / "part 0" / "0.png").save(pictures / "whole.jpg")
    bad = {
        "cut.jpg": (pictures / "whole.jpg").read_bytes()[:-300],
        "empty.png": b"",
        "letter.jpg": b"Dear reader",
        "half.png": whole[: len(whole) // 2],
    }
    for name, content in bad.items():
        (pictures / name).write_bytes(content)
    out = tmp_path / "out"
    words = ("explain", pictures, "--weights", weights, "--out", out)
    assert scenecam(*words) == 1
    said = capsys.readouterr()
    assert "6 pictures explained" in said.out and "4 pictures left out" in said.err
    for name in bad:
        assert str(pictures / name) in said.err
    assert len(rows_of(out)) == 6
    # Mended, they are done; the others are not done again.
    for name in bad:
        (pictures / name).write_bytes(whole)
    assert scenecam(*words) == 0
    assert "4 pictures explained" in capsys.readouterr().out
    assert len(rows_of(out)) == 10


def test_a_full_disk_is_one_sentence(pictures, weights, tmp_path, capsys, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(run_folder.Path, "write_bytes", full)
    words = ("explain", pictures, "--weights", weights, "--out", tmp_path / "out")
    assert scenecam(*words) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "the disk is full" in error


MISTAKES = {
    "weights": (("--weights", "drawn-resnt"), r"did you mean 'drawn-resnet'\?"),
    "weights file": (("--weights", "gone.keras"), "there are no weights 'gone.keras'"),
    "class": (("--classes", "sea,glasier"), r"'glasier' \(did you mean 'glacier'\?"),
    "case": (("--classes", "Sea"), r"did you mean 'sea'\?"),
    "no class": (("--classes", ","), "expected names between commas"),
    "method": (("--method", "gradcam"), r"did you mean 'grad_cam'\?"),
    "layer": (("--layer", "featurs"), "Did you mean 'features'"),
    "cam": (("--method", "cam"), "CAM needs a model that ends in Global"),
    "names": (("--class-names", "a,b"), "has 6 classes; received 2 names"),
    "names file": (("--class-names", "@gone.txt"), "gone.txt cannot be read: No such"),
    "input": (("--input-size", "50"), "takes pictures of 24 x 24 pixels, not of"),
    "format": (("--format", "gif"), "invalid choice: 'gif'"),
    "opacity": (("--opacity", "50"), "expected a number from 0 to 1; got 50"),
    "batch": (("--batch-size", "0"), "expected a whole number from 1 up; got 0"),
    "option": (("--metod", "cam"), "unrecognized arguments"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_sentence_and_nothing_is_begun(
    pictures, weights, tmp_path, capsys, mistake
):
    change, words = MISTAKES[mistake]
    out = tmp_path / "out"
    command = ("explain", pictures, "--weights", weights, "--out", out, *change)
    assert scenecam(*command) == 2
    error = capsys.readouterr().err
    assert re.search(words, error) and "Traceback" not in error
    assert error.startswith(("scenecam: ", "usage: ")) and not out.exists()


def test_mistaken_paths(pictures, weights, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for source, out, words in (
        (tmp_path / "gone", tmp_path / "out", "no file or folder"),
        (tmp_path / "empty", tmp_path / "out", "holds no pictures"),
        (pictures, tmp_path / "file", "is a file, not a folder"),
        (pictures, tmp_path / "file" / "out", "is a file, not a folder|cannot be made"),
        (pictures, pictures, "lies in the folder of results"),
    ):
        assert scenecam("explain", source, "--weights", weights, "--out", out) == 2
        assert re.search(words, capsys.readouterr().err)


# ---- The sheet -----------------------------------------------------------------------


def test_show_draws_sheets_and_says_where(pictures, weights, tmp_path, capsys):
    out = tmp_path / "out"
    words = ("--classes", "sea,forest,street,glacier")
    assert (
        scenecam("explain", pictures, "--weights", weights, "--out", out, *words) == 0
    )
    capsys.readouterr()
    assert scenecam("show", out, "--rows", 1, "--pages", 2) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{out / 'contact_sheet_1.png'}  (pictures 1 to 1)",
        f"{out / 'contact_sheet_2.png'}  (pictures 2 to 2)",
        "3 more pictures: --pages all draws all of them.",
    ]
    assert scenecam("show", out, "--pages", "all") == 0
    assert "(pictures 1 to 5)" in capsys.readouterr().out
    assert scenecam("show", tmp_path) == 2
    assert "holds no explained pictures" in capsys.readouterr().err


# ---- The entry point -----------------------------------------------------------------


def test_help_names_every_method_and_imports_nothing_heavy():
    for words in (["--help"], ["explain", "--help"]):
        command = [sys.executable, "-X", "importtime", "-m", "scenecam", *words]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        heavy = re.findall(
            r"\| +(tensorflow|keras|numpy|matplotlib|PIL)$", told.stderr, re.MULTILINE
        )
        assert not heavy
    assert all(method in told.stdout for method in cam.METHODS)
    assert "examples:" in told.stdout


def test_the_installed_command_is_quiet(pictures, weights, tmp_path):
    command = Path(sys.executable).with_name("scenecam")
    words = ("explain", pictures, "--weights", weights, "--out", tmp_path / "out")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    (pictures / "雪.png").write_bytes(b"")
    told = subprocess.run(
        [str(word) for word in (command, *words)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert told.returncode == 1
    assert told.stderr.splitlines()[0] == "1 picture left out:"
    assert "\\u96ea.png is empty" in told.stderr
    assert len(told.stderr.splitlines()) == 2
    assert "5 pictures explained" in told.stdout


def test_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch, capsys):
    from scenecam_cli import terminal

    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", -1)
    assert list(terminal.with_progress(iter("abc"), 3)) == list("abc")
    assert capsys.readouterr().err == "".join(f"{i} of 3 pictures\n" for i in (1, 2, 3))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(terminal.with_progress(iter("abc"), 3)) == list("abc")
    error = capsys.readouterr().err
    assert "3/3" in error and "pictures/s" in error
    assert terminal.duration(125) == "2 min 5 s" and terminal.duration(2.04) == "2.0 s"


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_reader_that_goes_away_is_no_traceback(capfd, monkeypatch):
    def gone(arguments):
        raise BrokenPipeError

    monkeypatch.setattr(show, "run", gone)
    kept = os.dup(1)
    try:
        assert scenecam("show", "x") == 1
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert capfd.readouterr().err == ""
