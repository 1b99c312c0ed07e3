"""Networks of every end, on the command line: the numbers are those of NumPy."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from scenecam import models
from scenecam_cli import main as cli

RNG = np.random.default_rng(5)
PICTURES = RNG.integers(0, 256, (6, 10, 10, 3), dtype=np.uint8)
KERNEL = RNG.normal(size=(3, 3, 3, 4)).astype(np.float32)
DENSE = {units: RNG.normal(size=(4, units)).astype(np.float32) for units in (1, 3)}
BIAS = {units: RNG.normal(size=units).astype(np.float32) for units in (1, 3)}

# Windows (6, 8, 8, 3 channels, 3 rows, 3 columns) to features (6, 8, 8, 4).
WINDOWS = sliding_window_view(PICTURES / 255, (3, 3), axis=(1, 2))
FEATURES = np.maximum(np.einsum("nyxcij,ijck->nyxk", WINDOWS, KERNEL), 0)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def both(p):
    """The two classes of a network with one unit: all but it, and it."""
    return np.concatenate([1 - p, p], axis=1)


def nested(inputs, scores):
    part = keras.Model(inputs, layers.Softmax()(scores), name="part")
    outer = keras.Input((10, 10, 3))
    return keras.Model(outer, part(outer))


# How many units, what is made of the scores (in Keras, in NumPy).
ENDS = {
    "an operation": (3, lambda i, z: keras.Model(i, keras.ops.softmax(z)), softmax),
    "three sigmoids": (
        3,
        lambda i, z: keras.Model(i, layers.Activation("sigmoid")(z)),
        sigmoid,
    ),
    "one sigmoid": (
        1,
        lambda i, z: keras.Model(i, layers.Activation("sigmoid")(z)),
        lambda z: both(sigmoid(z)),
    ),
    "one logit": (1, keras.Model, lambda z: both(sigmoid(z))),
    "nested": (3, nested, softmax),
}


@pytest.fixture(params=ENDS)
def network(request, tmp_path):
    """A file, and what its network says: probabilities (6, k), maps (6, k, 8, 8)."""
    units, end, squash = ENDS[request.param]
    x = inputs = keras.Input((10, 10, 3))
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(4, 3, use_bias=False, activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = end(inputs, layers.Dense(units, name="scores")(x))
    model.set_weights([KERNEL, DENSE[units], BIAS[units]])
    model.save(path := tmp_path / "network.keras")
    logits = FEATURES.mean(axis=(1, 2)) @ DENSE[units] + BIAS[units]
    maps = np.einsum("nyxk,kc->ncyx", FEATURES, DENSE[units]) / 64
    if units == 1:
        maps = np.concatenate([-maps, maps], axis=1)
    return path, squash(logits), maps


@pytest.fixture
def names(network):
    return ["cat", "dog", "sea"][: network[1].shape[1]]


def scenecam(*words):
    return cli.main([str(word) for word in words])


def test_in_python(network):
    path, expected, _ = network
    found = models.predict(models.load_model(path), PICTURES)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_exported(network, tmp_path):
    path, expected, _ = network
    assert scenecam("export", path, "--out", tmp_path / "served") == 0
    loaded = tf.saved_model.load(str(tmp_path / "served" / "1"))
    served = loaded.signatures["serving_default"]
    found = served(images=tf.constant(PICTURES))["probabilities"]
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_explained(network, names, tmp_path):
    path, expected, maps = network
    for number, picture in enumerate(PICTURES):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "in" / f"{number}.png")
    words = ("--weights", path, "--class-names", ",".join(names), "--classes", "all")
    out = tmp_path / "out"
    assert scenecam("explain", tmp_path / "in", *words, "--out", out) == 0
    rows = list(csv.DictReader((out / "index.csv").read_text().splitlines()))
    assert len(rows) == 6 * len(names)
    for row in rows:
        number, label = int(row["file"][0]), names.index(row["class"])
        best = expected[number].argmax()
        found = [float(row[key]) for key in ("class_probability", "probability")]
        wanted = expected[number, [label, best]]
        np.testing.assert_allclose(found, wanted, atol=2e-6)
        assert row["predicted"] == names[best]
    for number in range(6):
        np.testing.assert_allclose(
            np.load(out / f"{number}.png.npy"), maps[number], rtol=1e-4, atol=1e-6
        )


def test_evaluated(network, names, tmp_path):
    path, expected, _ = network
    labels = [0, 1, 0, 1, 0, 1]
    for number, picture in enumerate(PICTURES):
        folder = tmp_path / "in" / names[labels[number]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{number}.png")
    words = ("--weights", path, "--class-names", ",".join(names), "--part", "all")
    out = tmp_path / "out"
    assert scenecam("evaluate", tmp_path / "in", *words, "--out", out) == 0
    numbers = json.loads((out / "report.json").read_text())
    right = expected.argmax(axis=1) == labels
    assert numbers["accuracy"] == pytest.approx(right.mean())
    one_of_several = np.allclose(expected.sum(axis=1), 1)
    assert (numbers["calibration_error"] is not None) == one_of_several
    mistakes = list(csv.DictReader((out / "mistakes.csv").read_text().splitlines()))
    assert len(mistakes) == 6 - right.sum()
    for row in mistakes:
        number = int(row["file"].split("/")[1][0])
        found = [float(row[key]) for key in ("probability", "true_probability")]
        wanted = [expected[number].max(), expected[number, labels[number]]]
        np.testing.assert_allclose(found, wanted, atol=2e-6)
