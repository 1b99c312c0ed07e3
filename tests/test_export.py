"""Exports for TensorFlow Serving, and cards shown."""

import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from scenecam import models, synth
from scenecam_cli import export
from scenecam_cli import main as cli

# Nothing but TensorFlow: what serves the network has neither Keras' nor our classes.
BARE = """
import sys, numpy, tensorflow
served = tensorflow.saved_model.load(sys.argv[1]).signatures["serving_default"]
(spec,) = served.structured_input_signature[1].values()
assert (spec.name, spec.dtype) == ("images", tensorflow.uint8), spec
found = served(images=tensorflow.constant(numpy.load(sys.argv[2])))
assert list(found) == ["probabilities"] and "scenecam" not in sys.modules
numpy.save(sys.argv[3], found["probabilities"].numpy())
"""


def scenecam(*words):
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as ended:
        return ended.code


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bare_tensorflow_gives_the_same_probabilities(tmp_path, capsys):
    out = tmp_path / "new" / "served"
    assert scenecam("export", "drawn-resnet", "--out", out) == 0
    assert f"SavedModel: {out / '1'}" in capsys.readouterr().out
    scenes = synth.draw_scenes(5, size=96, seed=3).images
    np.save(tmp_path / "in.npy", scenes)
    words = [out / "1", tmp_path / "in.npy", tmp_path / "out.npy"]
    subprocess.run(
        [sys.executable, "-c", BARE, *map(str, words)],
        check=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
    )
    expected = models.predict(models.pretrained("drawn-resnet"), scenes)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5)
    card = json.loads((out / "1" / "assets.extra" / "card.json").read_text())
    assert card["class_names"][-1] == "street"
    assert [path.name for path in out.parent.iterdir()] == ["served"]


@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
def test_probabilities_at_the_end_are_left_alone(end, tmp_path, rng):
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, activation=end)]
    )
    folder = export.export_model(model, tmp_path / "served")
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    images = rng.integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    np.testing.assert_allclose(
        served(images=tf.constant(images))["probabilities"], model(images), atol=1e-6
    )


def test_layers_of_any_name_and_range_are_served_pictures_of_bytes(tmp_path, rng):
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="größe x")(layers.Rescaling(2.0, -1.0)(inputs))
    x = layers.Dense(3, name="b c")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    export.export_model(model, tmp_path / "out")
    served = tf.saved_model.load(tmp_path / "out" / "1").signatures["serving_default"]
    images = rng.integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    found = served(images=tf.constant(images))["probabilities"]
    expected = models.predict(model, (images / 255).astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_there_stays_unless_it_is_an_export_to_be_replaced(tmp_path, capsys):
    out, path = tmp_path / "served", tmp_path / "net.keras"
    models.save_model(models.plain_cnn((8, 8, 3), widths=(2,), units=2), path)
    out.mkdir()
    (out / "mine.txt").write_text("x")
    words = ("export", path, "--out", out)
    assert scenecam(*words) == 2 and "exists" in capsys.readouterr().err
    assert scenecam(*words, "--overwrite") == 2
    assert "is no export" in capsys.readouterr().err
    assert (out / "mine.txt").read_text() == "x"
    shutil.rmtree(out)
    assert scenecam(*words) == 0
    assert scenecam(*words) == 2
    (out / "1" / "old").write_text("x")
    assert scenecam(*words, "--overwrite") == 0
    assert not (out / "1" / "old").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.keras", "served"]


def test_a_failed_export_leaves_what_was_there(tmp_path, monkeypatch):
    model = models.plain_cnn((8, 8, 3), widths=(2,), units=2)
    export.export_model(model, tmp_path / "served")
    before = contents(tmp_path)

    def fail(model, folder):
        folder.mkdir(parents=True)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_write", fail)
    with pytest.raises(OSError, match="No space"):
        export.export_model(model, tmp_path / "served")
    assert contents(tmp_path) == before


def test_a_card_is_shown(tmp_path, capsys):
    assert scenecam("show-card", "drawn-vgg16") == 0
    said = capsys.readouterr().out
    for words in ("vgg16(width=0.125)", "791,726", "96 x 96 x 3", "buildings, forest"):
        assert words in said
    assert "test part:" in said and "3,598 train" in said
    path = models.save_model(
        models.plain_cnn((8, 8, 3), widths=(2,), units=2),
        tmp_path / "net.keras",
        card={"class_names": list("abcdef")},
    )
    assert scenecam("show-card", path) == 0
    assert "a, b, c, d, e, f" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:99])
    assert scenecam("show-card", path) == 1
    assert "is not the file that this card describes" in capsys.readouterr().err
    path.with_suffix(".json").unlink()
    assert scenecam("show-card", path) == 2
    assert "has no card" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show-card", "export"])
def test_a_wrong_name_is_one_sentence(command, tmp_path, capsys):
    out = ("--out", tmp_path / "out") if command == "export" else ()
    assert scenecam(command, "drawn-resnt", *out) == 2
    error = capsys.readouterr().err
    assert "did you mean 'drawn-resnet'?" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
