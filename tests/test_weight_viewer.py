"""The weight viewer: what it computes is what a network with that weight computes."""

import json
import re

import keras
import numpy as np
import pytest

from scenecam import cam, models
from scenecam.explorer import WeightViewer

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (1, 12, 12, 3), dtype=np.uint8)


def features_of(model, pictures):
    inner = keras.Model(model.inputs[0], model.get_layer("features").output)
    return np.array(inner(pictures.astype("float32")))[0]  # (h, w, channels)


@pytest.fixture(scope="module")
def averaged():
    model = models.gap_cnn((12, 12, 3), num_classes=3, widths=(4, 6), seed=1)
    rng = np.random.default_rng(1)
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, rng.normal(size=bias.shape)])
    return model


@pytest.fixture(scope="module")
def flattened():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, strides=3, activation="relu", name="features")(x)
    outputs = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    kernel = model.get_layer("logits").get_weights()[0]
    model.get_layer("logits").set_weights([kernel, np.array([0.3, -0.2, 0.1])])
    return model


def moved(model, change):
    """The same network, with something added to the kernel of its last layer."""
    other = keras.models.clone_model(model)
    *before, kernel, bias = model.get_weights()
    other.set_weights([*before, kernel + change, bias])
    return other


def shown_at(viewer, weight):
    """Maps (panels, h, w) and logits where the slider stands at a weight."""
    way, header = weight - viewer._header["start"], viewer._header
    start, change = viewer._maps
    logits = np.array(header["logits"])
    return start + way * change, logits[0] + way * logits[1]


def account(viewer, weight, panel):
    """What a panel's map and the bias come to, and the logit that is meant."""
    (maps, logits), header = shown_at(viewer, weight), viewer._header
    one, *other = header["classes"][panel]

    def of(values):
        return values[one] - sum(values[k] for k in other)

    part = getattr(maps[panel], header["total"])()
    return part + of(np.array(header["bias"])), of(logits)


def one_weight(model, pictures, own=1):
    A, (W, b) = features_of(model, pictures), model.get_layer("logits").get_weights()
    averages, its_logit = A.mean(axis=(0, 1)), np.eye(3)[own]
    channel = int(averages.argmax())
    viewer = WeightViewer(
        {NAMES[own]: ((A @ W)[..., own], A[..., channel], own)},
        (averages @ W + b, averages[channel] * its_logit),
        bias=b,
        class_names=NAMES,
        weight_name="w",
        start=W[channel, own],
        ends=(-3, 3),
    )
    return viewer, channel


def gauge(model, pictures, own=1, other=0):
    A, (W, b) = features_of(model, pictures), model.get_layer("logits").get_weights()
    averages, M = A.mean(axis=(0, 1)), A @ W
    first, second = M[..., own], M[..., other]
    return WeightViewer(
        {
            "own": (first, first, own),
            "other": (second, first, other),
            "difference": (first - second, first - first, (own, other)),
        },
        (averages @ W + b, np.full(3, averages @ W[:, own])),
        bias=b,
        class_names=NAMES,
        weight_name="times w",
        ends=(-2, 0),
    )


def one_place(model, pictures, own=1):
    A, (V, b) = features_of(model, pictures), model.get_layer("logits").get_weights()
    V = V.reshape(*A.shape, -1)  # (h, w, channels, classes)
    y, x, k = np.unravel_index(A.argmax(), A.shape)
    move = np.full(A.shape[:2], -1 / (A[..., k].size - 1))
    move[y, x] = 1
    change = np.zeros_like(V)
    change[..., k, own] = move
    found = cam.class_maps(
        model, pictures, method=("grad_cam", "hires_cam"), layers="features"
    )
    gradcam, hires = (by_layer["features"][0, own] for by_layer in found.values())
    by_place, by_mean = move * A[..., k], move.mean() * A[..., k]
    viewer = WeightViewer(
        {"Grad-CAM": (gradcam, by_mean, own), "HiResCAM": (hires, by_place, own)},
        (models.predict_logits(model, pictures)[0], by_place.sum() * np.eye(3)[own]),
        bias=b,
        class_names=NAMES,
        weight_name="w",
        start=V[y, x, k, own],
        ends=(-4, 4),
        total="sum",
    )
    return viewer, change.reshape(-1, 3)


# Maps and logits are those of the network with that weight ---------------------------


@pytest.mark.parametrize("weight", [-3, -0.4, 1.5, 3])
def test_the_map_the_logit_and_their_sum_follow_one_weight(averaged, pictures, weight):
    viewer, channel = one_weight(averaged, pictures)
    change = np.zeros((6, 3))
    change[channel, 1] = weight - viewer._header["start"]
    other = moved(averaged, change)
    maps, logits = shown_at(viewer, weight)
    wanted = cam.class_maps(other, pictures, method="cam")["features"][0, 1]
    np.testing.assert_allclose(maps[0], wanted, atol=1e-4)
    wanted = models.predict_logits(other, pictures)[0]
    np.testing.assert_allclose(logits, wanted, atol=1e-4)
    assert np.subtract(*account(viewer, weight, 0)) == pytest.approx(0, abs=1e-4)
    assert np.ptp(viewer._maps[1]) > 0.1  # what is dragged has an effect


@pytest.mark.parametrize("times", [-2, -1, -0.3])
def test_the_gauge_moves_maps_and_no_probability(averaged, pictures, times):
    viewer = gauge(averaged, pictures)
    kernel = averaged.get_layer("logits").get_weights()[0]
    other = moved(averaged, times * kernel[:, [1]])
    maps, logits = shown_at(viewer, times)
    wanted = cam.class_maps(other, pictures, method="cam")["features"][0]
    np.testing.assert_allclose(maps[0], wanted[1], atol=1e-4)
    np.testing.assert_allclose(maps[1], wanted[0], atol=1e-4)
    np.testing.assert_allclose(maps[2], wanted[1] - wanted[0], atol=1e-4)
    wanted = models.predict_logits(other, pictures)[0]
    np.testing.assert_allclose(logits, wanted, atol=1e-4)
    for panel in range(3):
        found, logit = account(viewer, times, panel)
        assert found == pytest.approx(logit, abs=1e-4)
    before = models.predict(averaged, pictures)
    np.testing.assert_allclose(models.predict(other, pictures), before, atol=1e-5)
    start, _ = shown_at(viewer, 0)
    np.testing.assert_array_equal(maps[2], start[2])
    assert np.abs(maps[:2] - start[:2]).max(axis=(1, 2)).min() > 0.1


@pytest.mark.parametrize("weight", [-4, 0.5, 4])
def test_one_place_moves_hires_cam_and_not_grad_cam(flattened, pictures, weight):
    viewer, change = one_place(flattened, pictures)
    other = moved(flattened, (weight - viewer._header["start"]) * change)
    maps, logits = shown_at(viewer, weight)
    found = cam.class_maps(
        other, pictures, method=("grad_cam", "hires_cam"), layers="features"
    )
    for shown, by_layer in zip(maps, found.values(), strict=True):
        np.testing.assert_allclose(shown, by_layer["features"][0, 1], atol=1e-4)
    wanted = models.predict_logits(other, pictures)[0]
    np.testing.assert_allclose(logits, wanted, atol=1e-4)
    start, before = shown_at(viewer, viewer._header["start"])
    np.testing.assert_allclose(maps[0], start[0], atol=1e-5)  # Grad-CAM stays
    assert np.abs(maps[1] - start[1]).max() > 0.1
    assert abs(logits[1] - before[1]) > 0.1
    found, logit = account(viewer, weight, 1)
    assert found == pytest.approx(logit, abs=1e-4)
    found, logit = account(viewer, weight, 0)  # and adds up to something else
    assert abs(found - logit) > 0.01


# The widget ---------------------------------------------------------------------------


@pytest.fixture
def parts(rng):
    maps = {
        "one": (*rng.normal(size=(2, 4, 5)), 0),
        "two": (*rng.normal(size=(2, 4, 5)), (1, 2)),
    }
    return {
        "maps": maps,
        "logits": rng.normal(size=(2, 3)),
        "bias": rng.normal(size=3),
        "class_names": NAMES,
        "weight_name": "</script><b>w",
        "picture": rng.integers(0, 256, (9, 9, 3), dtype=np.uint8),
    }


def test_what_travels_is_the_maps_and_the_picture(parts):
    viewer = WeightViewer(**parts)
    first, picture = viewer._buffers
    found = np.frombuffer(first, np.float32).reshape(2, 2, 4, 5)
    for panel, (start, change, _) in enumerate(parts["maps"].values()):
        np.testing.assert_allclose(found[:, panel], [start, change], rtol=1e-6)
    assert picture[8:12] == b"WEBP"
    assert viewer._header["classes"] == [[0], [1, 2]]


def test_a_page_holds_it_without_a_network(parts):
    viewer = WeightViewer(**parts)
    viewer.weight = 0.5
    data, _ = viewer._repr_mimebundle_()
    text = data["text/html"]
    page = re.search(r'<script type="application/json">(.*?)</script>', text, re.S)[1]
    assert json.loads(page)["state"] == {"weight": 0.5}
    assert json.loads(page)["header"]["weight"] == parts["weight_name"]
    assert not re.search(r"(https?:)?//[\w.]+\.\w+", text.replace("data:image", ""))
    assert text.count("</script>") == 2 and len(text) < 22_000
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_weight_keeps_to_its_ends(parts):
    viewer = WeightViewer(**parts, start=0.25, ends=(0, 2))
    assert viewer.weight == 0.25
    with pytest.raises(ValueError, match=r"from 0.0 to 2.0; received -0.1"):
        viewer.weight = -0.1
    assert viewer.weight == 0.25


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maps": {}}, r"there must be maps.*received \[\]"),
        ({"start": 3}, r"a start within the ends.*received .*, 3, \(-1.0, 1.0\)"),
        ({"total": "median"}, "a mean or sum; received .*'median'"),
        ({"logits": np.zeros((2, 4))}, r"logits must be finite.*shape \(2, 3\)"),
        ({"bias": [0, np.nan, 0]}, r"bias must be finite.*shape \(3,\)"),
        ({"maps": {"a": (np.ones((2, 2)), np.ones((2, 3)), 0)}}, "maps must be finite"),
        ({"maps": {"a": (np.ones((2, 2)), np.ones((2, 2)), 3)}}, "one class or of two"),
    ],
)
def test_what_does_not_fit_is_refused(parts, change, words):
    with pytest.raises(ValueError, match=words):
        WeightViewer(**(parts | change))


def test_a_picture_must_be_one(parts):
    with pytest.raises(TypeError, match="uint8"):
        WeightViewer(**(parts | {"picture": np.zeros((4, 4, 3))}))
