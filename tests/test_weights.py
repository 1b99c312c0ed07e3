"""Weights: a network and its card, written whole, opened once and only if trusted."""

import hashlib
import json
import zipfile

import keras
import numpy as np
import pytest
from keras import layers
from small_networks import BUILDERS, build, pictures, refused

from scenecam import models, synth
from scenecam._data import whole
from scenecam._models import weights

# ---- Saving


@pytest.mark.parametrize("name", BUILDERS)
def test_a_saved_network_answers_the_same(name, tmp_path, rng):
    model, images = build(name), pictures(rng)
    path = models.save_model(model, tmp_path / "new folder" / "net.keras")
    again = models.load_model(path)
    np.testing.assert_array_equal(
        models.predict_logits(model, images), models.predict_logits(again, images)
    )
    assert [layer.name for layer in again.layers] == [
        layer.name for layer in model.layers
    ]


def test_the_optimizer_stays_out_of_the_file(tmp_path, rng):
    model = build("resnet")
    bare = models.save_model(model, tmp_path / "bare.keras").stat().st_size
    model.compile("adam", "mse", jit_compile=False)
    model.fit(pictures(rng), np.eye(6)[:3], verbose=0)
    trained = models.save_model(model, tmp_path / "trained.keras").stat().st_size
    assert abs(trained - bare) < 2000
    assert model.compiled


def test_the_card_names_the_file_it_belongs_to(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    models.save_model(build("gap_cnn"), tmp_path / "a-net.keras", card={"seed": 5})
    card = models.read_card("a-net")
    assert card["seed"] == 5
    assert card["bytes"] == (tmp_path / "a-net.keras").stat().st_size
    assert models.pretrained("a-net").name == "gap_cnn"

    weights.save_model(build("gap_cnn", seed=9), tmp_path / "other.keras")
    (tmp_path / "other.keras").replace(tmp_path / "a-net.keras")
    with pytest.raises(ValueError, match="SHA-256 differs"):
        models.pretrained("a-net")
    with pytest.raises(FileNotFoundError, match=r"'b-net'.*available: a-net"):
        models.pretrained("b-net")


def test_a_network_saved_over_another_does_not_keep_its_card(tmp_path):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras", card={})
    models.save_model(build("gap_cnn", seed=1), path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_compact_file_is_smaller_and_answers_almost_the_same(tmp_path):
    model = models.resnet()
    images = synth.draw_scenes(6, size=96, seed=1).images
    whole = models.save_model(model, tmp_path / "whole.keras")
    small = models.save_model(model, tmp_path / "small.keras", compact=True)
    assert small.stat().st_size < 0.65 * whole.stat().st_size
    assert small.stat().st_size < 2.3 * model.count_params()
    again = keras.models.load_model(small)
    logits = models.predict_logits(model, images)
    np.testing.assert_allclose(
        models.predict_logits(again, images), logits, atol=1e-3 * np.abs(logits).max()
    )
    for before, after in zip(model.get_weights(), again.get_weights(), strict=True):
        if before.ndim == 1:
            np.testing.assert_array_equal(before, after)
        else:
            np.testing.assert_allclose(after, before, rtol=2.0**-11)


def test_compact_kernels_keep_their_range(tmp_path):
    # A cast to float16 would give 0 and infinity.
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    extremes = np.array([[1e-30, -3e30], [0, 65519]], "float32")
    model.set_weights([extremes, np.array([1e-30, 1 / 3], "float32")])
    path = models.save_model(model, tmp_path / "net.keras", compact=True)
    kernel, bias = models.load_model(path).get_weights()
    np.testing.assert_allclose(kernel, extremes, rtol=2.0**-11)
    np.testing.assert_array_equal(bias, np.array([1e-30, 1 / 3], "float32"))
    assert np.array_equal(
        *(weights._rounded(weights._rounded(k)) for k in [kernel] * 2)
    )


def test_the_same_network_gives_the_same_bytes(tmp_path):
    first = models.save_model(build("gap_cnn"), tmp_path / "a.keras")
    second = models.save_model(build("gap_cnn"), tmp_path / "b.keras")
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        assert one.read("config.json") == other.read("config.json")
        assert one.read("model.weights.h5") == other.read("model.weights.h5")


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras")
    before = path.read_bytes()

    def fail(self, where, **settings):
        where.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        models.save_model(build("gap_cnn", seed=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match="ends in .keras; received 'net.h5'"):
        models.save_model(build("gap_cnn"), tmp_path / "net.h5")


# ---- Opening


def test_a_missing_file_gets_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model file .*models\.pretrained"):
        models.load_model(tmp_path / "nothing.keras")


@pytest.mark.parametrize("by", ["name", "path"])
def test_a_network_is_opened_hashed_and_described_once(by, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras", card={"seed": 5})
    calls = []
    for room, name in (
        (weights, "read_card"),
        (weights, "sha256_of"),
        (weights.opening, "open_file"),
    ):
        monkeypatch.setattr(room, name, counted(getattr(room, name), calls))
    opened = weights.open_weights("net" if by == "name" else path)
    assert sorted(calls) == ["open_file", "read_card", "sha256_of"]
    assert opened.path == path and opened.model.name == "gap_cnn"
    assert opened.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert opened.card["seed"] == 5 and opened.card["sha256"] == opened.sha256


def counted(function, calls):
    def count(*arguments):
        calls.append(function.__name__)
        return function(*arguments)

    return count


def test_a_mistyped_name_is_answered_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    models.save_model(build("gap_cnn"), tmp_path / "drawn-net.keras")
    said = "no weights 'Drawn-net5' .did you mean 'drawn-net'.*available: drawn-net"
    with pytest.raises(FileNotFoundError, match=said):
        weights.find_weights("Drawn-net5")
    assert weights.find_weights("drawn-net") == tmp_path / "drawn-net.keras"


def test_a_folder_is_no_file_and_its_model_files_are_listed(tmp_path):
    folder = tmp_path / "run"
    path = models.save_model(build("gap_cnn"), folder / "net.keras", card={})
    refused(folder, r"run is a folder; expected .* in this folder are: net\.keras\.")
    refused(tmp_path, "is a folder; .* in this folder are: none")
    models.load_model(path)


def test_a_saved_model_folder_is_told_from_the_file_that_it_was_made_from(tmp_path):
    model = build("gap_cnn")
    model.export(tmp_path / "served" / "1", verbose=False)
    said = r"SavedModel folder.* where it was made: model\.save\('net\.keras'\)"
    for folder in (tmp_path / "served", tmp_path / "served" / "1"):
        with pytest.raises(ValueError, match=said):
            models.pretrained(folder)
        with pytest.raises(ValueError, match=said):
            models.read_card(folder)
    model.save(tmp_path / "net.keras")
    models.load_model(tmp_path / "net.keras")


# ---- Files and their cards


def with_card(folder, **card):
    """Save a network for six classes and then change its card."""
    names = ["a", "b", "c", "d", "e", "f"]
    shape = [32, 32, 3]
    path = models.save_model(
        build("gap_cnn"),
        folder / "net.keras",
        card={"class_names": names, "input_shape": shape},
    )
    place = path.with_suffix(".json")
    place.write_text(json.dumps(json.loads(place.read_text()) | card))
    return path


def test_shipped_weights_need_a_card_that_knows_them(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras", card={"a": 1})
    assert models.pretrained("net").output_shape == (None, 6)
    for text in ('{"a": 1}', None):
        path.with_suffix(".json").unlink()
        if text:
            path.with_suffix(".json").write_text(text)
        with pytest.raises(ValueError, match="SHA-256 differs"):
            models.pretrained("net")


def test_a_file_with_its_card_opens(tmp_path):
    path = with_card(tmp_path)
    model = models.load_model(path, class_names=tuple("abcdef"), input_size=32)
    assert model.output_shape == (None, 6)
    assert models.load_model(path, input_size=(32, 32)).input_shape == (None, 32, 32, 3)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (
            {"sha256": "0" * 64},
            r"not the file that its card net.json .*SHA-256 differs",
        ),
        ({"sha256": None}, r"SHA-256 differs"),
        (
            {"class_names": ["a", "b"]},
            "6 outputs, but its card names 2 classes.*: a, b",
        ),
        ({"class_names": ["a"] * 6}, "names 6 classes, 1 of them different"),
        ({"input_shape": [64, 64, 3]}, r"\(32, 32, 3\), but its card says \(64, 64, 3"),
        ({"input_shape": [32, 32]}, r"its card says \(32, 32\)"),
    ],
)
def test_a_file_that_is_not_its_cards_is_refused(card, words, tmp_path):
    refused(with_card(tmp_path, **card), words)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"class_names": "abcdfe"}, "a, b, c, d, e, f, in this order; asked were a, b"),
        ({"input_size": 96}, "32 x 32 pixels; asked were 96 x 96"),
        ({"input_size": (32, 48)}, "asked were 32 x 48"),
    ],
)
def test_a_network_for_other_classes_or_pictures_is_refused(asked, words, tmp_path):
    refused(with_card(tmp_path), words, **asked)


def test_without_a_card_the_outputs_are_counted(tmp_path):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras")
    models.load_model(path, class_names="abcdef")
    refused(path, "6 outputs; asked were 2 classes", class_names=["a", "b"])
    refused(path, "6 outputs; asked were 6 classes, 5 of them", class_names="abcdee")


def test_a_torn_card_is_refused_and_other_json_is_no_card(tmp_path):
    path = with_card(tmp_path)
    place = path.with_suffix(".json")
    place.write_text(place.read_text()[:50])
    refused(path, "net.json, the card of net.keras, is damaged: it is no JSON")
    place.write_text("[1, 2]")
    assert weights.read_card(path) == {}
    models.load_model(path)


def test_any_size_and_a_single_output_are_not_refused(tmp_path):
    model = models.gap_cnn((None, None, 3), num_classes=1, widths=(3,))
    card = {"class_names": ["cat", "dog"], "input_shape": [None, None, 3]}
    path = models.save_model(model, tmp_path / "net.keras", card=card)
    models.load_model(path, input_size=48)


def test_a_stop_between_network_and_card_leaves_none_that_is_not_its(
    tmp_path, monkeypatch
):
    path = with_card(tmp_path)
    moved = []

    def stop(source, target):
        moved.append(target)
        if len(moved) == 2:
            raise KeyboardInterrupt
        source.rename(target)

    monkeypatch.setattr(whole.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        models.save_model(build("gap_cnn", seed=1), path, card={"seed": 1})
    assert list(tmp_path.iterdir()) == [path]
    models.load_model(path)


# ---- What the project ships


@pytest.mark.parametrize("path", sorted(models.WEIGHTS.glob("*.json")))
def test_shipped_weights_are_small_whole_and_described(path, rng):
    model, card = models.pretrained(path.stem), models.read_card(path.stem)
    assert card["bytes"] <= (8_000_000 if path.stem == "photos-lite0" else 3_000_000)
    assert tuple(card["input_shape"]) == model.input_shape[1:]
    assert len(card["class_names"]) == model.output_shape[-1]
    assert card["parameters"] == model.count_params()
    assert len(card["history"]["val_loss"]) == card["epochs"]
    counts = np.array(card["test"]["confusions"])
    assert counts.sum() == card["data"]["test"]
    right = counts.trace() / counts.sum()
    assert right == pytest.approx(card["test"]["accuracy"], abs=5e-5)
    probabilities = models.predict(model, pictures(rng, 2, model.input_shape[1]))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_of_what_imagenet_taught_nothing_is_shipped():
    theirs = models.efficientnet_lite0(side=32, classes=6)
    ours = models.pretrained("photos-lite0")
    pairs = zip(theirs.weights, ours.weights, strict=True)
    assert [one.path for one, other in pairs if np.array_equal(one, other)] == []


@pytest.mark.parametrize("path", sorted(models.WEIGHTS.glob("*.json")))
def test_the_table_of_weights_says_what_their_cards_say(path):
    lines = (models.WEIGHTS.parent / "README.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith(f"| `{path.stem}` |")]
    card = models.read_card(path.stem)
    test = card["test"]
    low, high = test["interval"]
    expected = [
        f"{card['parameters']:,}",
        f"{card['bytes'] / 1e6:.1f} MB",
        f"{card['epochs']}",
        f"{card['minutes']:.0f}",
        f"{test['accuracy']:.1%} ({low:.1%} to {high:.1%})",
        f"{test['macro_f1']:.3f}",
        f"{test['calibration_error']:.3f}",
    ]
    assert [[cell.strip() for cell in row.split("|")[3:-1]] for row in rows] == [
        expected
    ]
