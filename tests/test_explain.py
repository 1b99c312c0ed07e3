"""Pictures to files and an index: names, what is written, kills, full disks, memory."""

import csv
import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
import stub_network
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from picture_folders import write_picture
from PIL import Image

from scenecam import images, plots, saving
from scenecam_cli import run_folder, show, stream


def write_noise(folder, count, *, size=(30, 40)):
    """Write pictures of noise, in two folders; return the folder."""
    rng = np.random.default_rng(7)
    for number in range(count):
        path = folder / f"part {number % 2}" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        Image.fromarray(picture).save(path)
    return folder


def contents(folder):
    """Everything in a folder: relative path to bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(folder):
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- What is written -----------------------------------------------------------------


def test_maps_are_raw_and_pictures_are_what_the_library_draws(tmp_path):
    root = write_noise(tmp_path / "in", 5)
    out = tmp_path / "out"
    stub_network.run(root, out)
    rows = rows_of(out)
    assert [row["class"] for row in rows] == ["sea", "forest"] * 5
    for row in rows:
        picture = images.read_image(root / row["file"])
        fitted = images.resize_image(picture, 16)[None]
        probabilities, _, expected = (each[0] for each in stub_network.answer(fitted))
        maps = np.load(out / row["map"])
        assert maps.dtype == np.float32 and maps.min() < 0
        np.testing.assert_array_equal(maps, expected)
        one = maps[int(row["map_index"])]
        unit = images.unit_map(one)
        overlay = images.read_image(out / row["overlay"])
        np.testing.assert_array_equal(overlay, images.overlay(picture, unit))
        heatmap = images.colour_map(images.upsample_map(unit, (30, 40)))
        np.testing.assert_array_equal(images.read_image(out / row["heatmap"]), heatmap)
        assert np.float32(row["peak_logits"]) == one.max()
        number = stub_network.NAMES.index(row["class"])
        assert float(row["class_probability"]) == pytest.approx(
            probabilities[number], abs=1e-6
        )
        assert row["predicted"] == stub_network.NAMES[np.argmax(probabilities)]
        assert float(row["probability"]) == pytest.approx(probabilities.max(), abs=1e-6)
        assert row["evidence"] == "yes"


def test_the_peak_is_given_in_pixels_of_the_picture(tmp_path):
    write_picture(tmp_path / "in" / "a.png", size=200)
    maps = np.full((1, 2, 4, 5), -1, np.float32)
    maps[0, 0, 3, 0], maps[0, 1, 0, 4] = 2.5, -0.5

    def answer(batch):
        return np.array([[0.9, 0.1]]), np.array([[0, 1]]), maps

    out = tmp_path / "out"
    look = saving.Look(size=50, ending="png")
    stub_network.run(tmp_path / "in", out, look=look, answer=answer)
    first, second = rows_of(out)
    # Cells of 50 x 40 pixels; the centre of the last row's first, the first row's last.
    assert (first["peak_row"], first["peak_column"]) == ("175", "20")
    assert first["peak_logits"] == "2.5" and first["evidence"] == "yes"
    assert (second["peak_row"], second["peak_column"]) == ("25", "180")
    assert second["peak_logits"] == "-0.5" and second["evidence"] == "no"
    assert images.read_image(out / first["overlay"]).shape == (50, 50, 3)
    dark = images.read_image(out / second["heatmap"])
    np.testing.assert_array_equal(dark, images.colour_map(np.zeros((50, 50))))


def test_one_scale_for_all_classes_of_a_picture(tmp_path):
    root = write_noise(tmp_path / "in", 1)
    out = tmp_path / "out"
    stub_network.run(root, out, look=saving.Look(ending="png", common_scale=True))
    rows = rows_of(out)
    maps = np.load(out / rows[0]["map"])
    picture = images.read_image(root / rows[0]["file"])
    for row, one in zip(rows, maps, strict=True):
        unit = images.unit_map(one, limit=float(maps.max()))
        expected = images.overlay(picture, unit)
        np.testing.assert_array_equal(images.read_image(out / row["overlay"]), expected)


def test_a_large_picture_is_blended_in_strips_to_the_same_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "STRIP_PIXELS", 170)
    root = write_noise(tmp_path / "in", 1)
    out = tmp_path / "out"
    stub_network.run(root, out, look=saving.Look(size=None, ending="png"))
    for row in rows_of(out):
        unit = images.unit_map(np.load(out / row["map"])[int(row["map_index"])])
        picture = images.read_image(root / row["file"])
        np.testing.assert_array_equal(
            images.read_image(out / row["overlay"]), images.overlay(picture, unit)
        )


def test_a_map_with_nan_is_a_problem_of_its_picture_only(tmp_path):
    root = write_noise(tmp_path / "in", 6)

    def answer(batch):
        probabilities, classes, maps = stub_network.answer(batch)
        maps[1, 0, 0, 0] = np.nan
        return probabilities, classes, maps

    outcomes = stub_network.run(root, tmp_path / "out", answer=answer)
    wrong = [one.file for one in outcomes if one.problem]
    assert len(wrong) == 2 and len(rows_of(tmp_path / "out")) == 8
    assert "NaN" in next(one.problem for one in outcomes if one.problem)


def test_all_maps_of_one_picture_are_saved_in_one_call(tmp_path):
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    maps = rng.normal(0, 300, (3, 8, 10)).astype(np.float32)  # far beyond a byte
    maps[2] = -1.0  # nothing speaks for it
    names = ("cat", "dog", "sea lion")
    look = saving.Look(ending="png", common_scale=True)
    found = saving.save_maps(
        tmp_path / "new", "my cat.jpg", picture, maps, class_names=names, look=look
    )
    assert list(found) == list(names)
    assert found["sea lion"]["overlay"].name == "my cat.jpg.sea_lion.overlay.png"
    assert len({paths["map"] for paths in found.values()}) == 1
    np.testing.assert_array_equal(np.load(found["dog"]["map"]), maps)
    unit = images.unit_map(maps[0], limit=float(maps.max()))
    shown = images.read_image(found["cat"]["overlay"])
    np.testing.assert_array_equal(shown, images.overlay(picture, unit))
    dark = images.read_image(found["sea lion"]["heatmap"])
    np.testing.assert_array_equal(dark, images.colour_map(np.zeros((40, 50))))
    assert len(list((tmp_path / "new").iterdir())) == 7
    saving.save_maps(tmp_path, "x", picture, maps, class_names=names)
    assert (tmp_path / "x.cat.heatmap.jpg").is_file()


def test_maps_that_cannot_be_saved_are_refused_before_anything_is_written(tmp_path):
    picture, maps = np.zeros((4, 4, 3), np.uint8), np.zeros((2, 4, 4))
    out = tmp_path / "out"
    for arguments, names, words in (
        ((picture, maps), ("a",), r"each of 1 class names; received \(2, 4, 4\)"),
        ((picture, maps[0]), ("a",), r"received \(4, 4\)"),
        ((picture, maps), ("a", "a"), "must differ; received a, a"),
        ((picture, maps + np.nan), ("a", "b"), "maps of x holds 32 values"),
        ((picture[..., 0], maps), ("a", "b"), "picture"),
    ):
        with pytest.raises(ValueError, match=words):
            saving.save_maps(out, "x", *arguments, class_names=names)
    assert not out.exists()


def test_an_opacity_that_is_none_is_refused(tmp_path):
    arrays = np.zeros((4, 4, 3), np.uint8), np.ones((1, 2, 2))
    with pytest.raises(ValueError, match="opacity must be from 0 to 1; received 1.5"):
        saving.save_maps(
            tmp_path, "x", *arrays, class_names=["a"], look=saving.Look(opacity=1.5)
        )


@pytest.mark.parametrize("kind", [np.int16, np.float16, np.float64])
def test_maps_of_any_kind_of_number_are_drawn_alike(tmp_path, kind):
    rng, names = np.random.default_rng(3), ["a", "b"]
    picture = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    maps = rng.integers(-9, 10, (2, 3, 4))  # whole, so that each kind holds them
    look = saving.Look(ending="png")
    for folder, dtype in (("one", kind), ("two", np.float32)):
        arrays = picture, maps.astype(dtype)
        saving.save_maps(tmp_path / folder, "x", *arrays, class_names=names, look=look)
    for file in (tmp_path / "two").iterdir():
        assert (tmp_path / "one" / file.name).read_bytes() == file.read_bytes()


# ---- Names ---------------------------------------------------------------------------


def test_pictures_are_named_from_the_folder_that_holds_all(tmp_path):
    write_picture(tmp_path / "a" / "sea" / "1.png")
    write_picture(tmp_path / "b" / "sea" / "1.png")
    out, a, b = tmp_path / "out", tmp_path / "a", tmp_path / "b"
    one = str(a / "sea" / "1.png")
    find = stream.find_pictures
    assert find([a], out=out) == (str(a), ["sea/1.png"])
    both = (str(tmp_path), ["a/sea/1.png", "b/sea/1.png"])
    assert find([a, b], out=out) == find([a, one, b], out=out) == both
    assert find([one], out=out) == (str(a / "sea"), ["1.png"])
    # What an earlier run counted from stays, as long as everything lies in it.
    assert find([one], out=out, root=str(a)) == (str(a), ["sea/1.png"])
    assert find([one], out=out, root=str(b)) == (str(a / "sea"), ["1.png"])


def test_results_inside_the_folder_of_pictures_are_not_pictures(tmp_path):
    root = write_noise(tmp_path, 2)
    out = tmp_path / "results"
    stub_network.run(root, out)
    assert len(stream.find_pictures([root], out=out)[1]) == 2
    with pytest.raises(ValueError, match="lies in the folder of results"):
        stream.find_pictures([out / "part 0"], out=out)
    with pytest.raises(ValueError, match="lies in the folder of results"):
        stream.find_pictures([root], out=root)


def test_no_pictures_no_path(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no pictures, at no depth"):
        stream.find_pictures([tmp_path / "empty"], out=tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="no file or folder .*gone"):
        stream.find_pictures([tmp_path / "gone"], out=tmp_path / "out")


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True))
def test_every_picture_and_class_has_names_of_its_own(names):
    labels = saving.class_labels(names)
    files = ["1.jpg", "1.png", "a/1.jpg", "x" * 250 + ".jpg", "x" * 251 + ".jpg"]
    found = [
        saving.output_names(file, label, "jpg") for file in files for label in labels
    ]
    for kind, count in (("map", 1), ("heatmap", len(names)), ("overlay", len(names))):
        paths = {one[kind].casefold() for one in found}
        assert len(paths) == count * len(files)
        parts = [part for path in paths for part in path.split("/")]
        assert all(len(os.fsencode(part)) < 245 and "\0" not in part for part in parts)


def test_strange_names_pass_through_unchanged(tmp_path):
    names = [
        "Straße im Schnee.png",
        "雪 山.png",
        'a,"b".png',
        "ein\nzwei.png",
        "$x$.png",
    ]
    names += [os.fsdecode(b"latin-\xe9.png"), "x" * 250 + ".png"]
    for number, name in enumerate(names):
        write_picture(tmp_path / "in" / "ä ö" / name, 20 * number)
    out = tmp_path / "out"
    assert len(stub_network.run(tmp_path / "in", out)) == len(names)
    rows = list(run_folder.read_index(out))
    assert {row["file"] for row in rows} == {f"ä ö/{name}" for name in names}
    for row in rows:
        for kind in ("map", "heatmap", "overlay"):
            assert (out / row[kind]).is_file()
    assert stub_network.run(tmp_path / "in", out) == []
    run_folder.write_settings(out, {"scenecam": "", "pictures": str(tmp_path / "in")})
    assert len(list(show.contact_sheets(out))) == 1


# ---- Resuming ------------------------------------------------------------------------


def test_what_is_not_whole_in_the_index_is_done_again(tmp_path):
    root = write_noise(tmp_path / "in", 9)
    out = tmp_path / "out"
    stub_network.run(root, out)
    whole = contents(out)
    index = whole["index.csv"]
    lines = index.splitlines(keepends=True)
    for kept, again in (
        (index[:-5], 1),  # the last line is torn
        (index[:-1], 1),  # only its end is missing
        (b"".join(lines[:-1]), 1),  # a class is missing
        (b"".join(lines[:8]) + b'"part', 6),
        (b"".join(lines[:7]) + b"\0" * 100 + b"\n", 6),
        (index + lines[1] + lines[2], 0),  # rows twice
        (lines[0][:10], 9),
        (b"", 9),
    ):
        (out / "index.csv").write_bytes(kept)
        assert len(stub_network.run(root, out)) == again
        assert contents(out) == whole
    (out / rows_of(out)[-1]["overlay"]).unlink()
    assert len(stub_network.run(root, out)) == 1
    assert contents(out) == whole


def test_a_batch_is_asked_the_same_whether_resumed_or_not(tmp_path):
    """A network whose answers depend on the batch gives the same in both runs."""
    root = write_noise(tmp_path / "in", 11)
    (root / "part 0" / "002.png").write_bytes(b"")

    def answer(batch):
        probabilities, classes, maps = stub_network.answer(batch)
        return probabilities, classes, maps + np.float32(len(batch))

    stub_network.run(root, tmp_path / "whole", answer=answer)
    out = tmp_path / "out"
    _, files = stream.find_pictures([root], out=out)
    for some in (files[:6], files):
        stub_network.run(root, out, files=files, answer=answer)
        lines = (out / "index.csv").read_bytes().splitlines(keepends=True)
        (out / "index.csv").write_bytes(b"".join(lines[: 2 * len(some)]))
    stub_network.run(root, out, files=files, answer=answer)
    assert contents(out) == contents(tmp_path / "whole")


PROGRAM = """
import sys, time
from pathlib import Path
import stub_network
def answer(batch):
    time.sleep(0.02)
    return stub_network.answer(batch)
print("started", flush=True)
stub_network.run(Path(sys.argv[1]), Path(sys.argv[2]), answer=answer)
"""


def start(root, out):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root), str(out)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )
    process.stdout.readline()
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_killed_at_any_moment_the_index_is_true_and_the_next_run_completes(tmp_path):
    root = write_noise(tmp_path / "in", 60)
    stub_network.run(root, tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    out, chance, done = tmp_path / "out", random.Random(3), []
    for number in range(30):  # six, or more where the machine is busy
        process = start(root, out)
        time.sleep(chance.uniform(0, 0.15 + 0.02 * number))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        rows = list(run_folder.read_index(out))
        done.append(len(rows))
        for row in rows:  # what the index names is there, and right
            for kind in ("map", "heatmap", "overlay"):
                assert (out / row[kind]).read_bytes() == whole[row[kind]]
        if number >= 5 and len(set(done)) > 2:
            break
    assert done == sorted(done) and len(set(done)) > 2
    stub_network.run(root, out)
    assert contents(out) == whole


# ---- Full disks, second runs ---------------------------------------------------------


@pytest.mark.parametrize("where", ["file", "index"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, where):
    root = write_noise(tmp_path / "in", 12)
    stub_network.run(root, tmp_path / "whole")
    out = tmp_path / "out"
    room = [5]

    def fill(*arguments):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    if where == "file":
        write = os.replace
        monkeypatch.setattr(
            "scenecam_cli.run_folder.os.replace", lambda *a: (fill(), write(*a))
        )
    else:
        add = run_folder.Index.add
        monkeypatch.setattr(run_folder.Index, "add", lambda *a: (fill(), add(*a)))
    with pytest.raises(OSError, match="No space"):
        stub_network.run(root, out)
    monkeypatch.undo()
    assert not list(out.rglob(".partial.*"))
    for row in run_folder.read_index(out):
        assert all((out / row[kind]).is_file() for kind in run_folder.FILE_COLUMNS)
    stub_network.run(root, out)
    assert contents(out) == contents(tmp_path / "whole")


def test_an_index_that_cannot_be_written_is_as_before(tmp_path):
    resource = pytest.importorskip("resource")
    index = run_folder.Index(tmp_path, rows_per_picture=1)
    row = dict.fromkeys(run_folder.COLUMNS, "x" * 50)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with index:
            index.add([row])
            size = (tmp_path / "index.csv").stat().st_size
            # A limit on the size stands for a full disk: half a row fits.
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
            with pytest.raises(OSError):
                index.add([row])
            assert (tmp_path / "index.csv").stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    with run_folder.locked(tmp_path):
        with pytest.raises(ValueError, match="another run is writing to"):
            with run_folder.locked(tmp_path):
                pass
    with run_folder.locked(tmp_path):
        pass


# ---- Memory --------------------------------------------------------------------------


def test_no_more_than_three_batches_are_in_memory_and_each_is_read_once(
    tmp_path, monkeypatch
):
    root = write_noise(tmp_path / "in", 60)
    lock, alive, most, reads = threading.Lock(), set(), [0], []
    real = images.read_image

    def read(path):
        picture = real(path)
        with lock:
            reads.append(str(path))
            key = len(reads)
            alive.add(key)
            most[0] = max(most[0], len(alive))
        weakref.finalize(picture, alive.discard, key)
        return picture

    monkeypatch.setattr(stream.images, "read_image", read)
    # Shown in their own size, so the array that was read is the one that is kept.
    outcomes = stub_network.run(root, tmp_path / "out", batch_size=4)
    assert len(outcomes) == 60 and len(reads) == len(set(reads)) == 60
    assert not alive
    assert most[0] <= 3 * 4  # one that is read, one asked about, one written


def test_warnings_are_as_before(tmp_path):
    import warnings

    before = list(warnings.filters)
    stub_network.run(write_noise(tmp_path / "in", 30), tmp_path / "out")
    assert warnings.filters == before


# ---- Contact sheets ------------------------------------------------------------------


def test_contact_sheets_hold_all_pictures_in_order(tmp_path):
    root = write_noise(tmp_path / "in", 7)
    out = tmp_path / "out"
    stub_network.run(root, out)
    run_folder.write_settings(out, {"scenecam": "", "pictures": str(root)})
    pages = list(show.contact_sheets(out, rows=2, pages=None))
    assert [path.name for path, _, _ in pages] == [
        "contact_sheet_1.png",
        "contact_sheet_2.png",
    ]
    assert [(first, last) for _, first, last in pages] == [(1, 4), (5, 7)]
    assert images.read_image(pages[0][0]).shape[0] > 300
    # A picture that is gone is no obstacle, and old pages do not stay.
    (root / "part 0" / "000.png").unlink()
    assert len(list(show.contact_sheets(out, rows=1, pages=1))) == 1
    assert [path.name for path in out.glob("contact*")] == ["contact_sheet_1.png"]


def test_titles_say_what_was_predicted_and_where_nothing_speaks(tmp_path, monkeypatch):
    write_picture(tmp_path / "in" / "a$b.png")
    out = tmp_path / "out"

    def answer(batch):
        maps = np.ones((1, 2, 2, 2), np.float32) * np.array([1, -1])[:, None, None]
        return np.array([[0.83, 0.17]]), np.array([[0, 1]]), maps.astype(np.float32)

    stub_network.run(tmp_path / "in", out, answer=answer)
    run_folder.write_settings(out, {"scenecam": "", "pictures": str(tmp_path / "in")})
    seen, real = [], plots.show_images

    def seeing(tiles, **options):
        seen.append((tiles, options["titles"]))
        return real(tiles, **options)

    monkeypatch.setattr(plots, "show_images", seeing)
    list(show.contact_sheets(out))
    ((tiles, titles),) = seen
    assert titles == [
        "a\\$b.png\nsea 83%",
        "for sea\n83%",
        "for forest\n17%, no evidence",
    ]
    overlay = images.read_image(out / "a$b.png.forest.overlay.png")
    np.testing.assert_array_equal(tiles[2], overlay)
