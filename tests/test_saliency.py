"""Pixel-space maps, held against differences, a slow implementation and the model."""

import keras
import numpy as np
import numpy_networks
import pytest
from cam_identities import assert_close

from scenecam import cam, saliency

RNG = np.random.default_rng(1)


def _weights(*shape):
    return (RNG.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


STEPS = [
    ("mark", "pixels"),
    ("conv", _weights(3, 3, 3, 5), _weights(5), 1, "same"),
    ("relu",),
    ("mean", 2),
    ("conv", _weights(3, 3, 5, 6), _weights(6), 1, "same"),
    ("relu",),
    ("gap", _weights(6, 3), _weights(3)),
]
IMAGES = RNG.normal(size=(4, 8, 8, 3)).astype(np.float32)


def network(relu):
    """Build STEPS with ReLUs as "layer", "argument" or "function"."""
    x = inputs = keras.Input((8, 8, 3))
    convolutions = []
    for index, step in enumerate([STEPS[1], STEPS[4]]):
        activation = "relu" if relu == "argument" else None
        layer = keras.layers.Conv2D(
            step[1].shape[3], 3, padding="same", activation=activation
        )
        x = layer(x)
        if relu == "layer":
            x = keras.layers.ReLU()(x)
        elif relu == "function":
            x = keras.ops.relu(x)
        elif relu == "none":
            x = keras.layers.Activation("tanh")(x)
        if index == 0:
            x = keras.layers.AveragePooling2D(2)(x)
        layer.set_weights([step[1], step[2]])
        convolutions.append(layer)
    x = keras.layers.GlobalAveragePooling2D()(x)
    head = keras.layers.Dense(3, activation="softmax" if relu == "layer" else None)
    model = keras.Model(inputs, head(x))
    head.set_weights([STEPS[-1][1], STEPS[-1][2]])
    return model


def nested(relu):
    inner = network(relu)
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, inner(inputs))


MODEL = network("layer")


def slow(guided):
    logits, inputs, _ = numpy_networks.forward(STEPS, IMAGES)
    found = []
    for c in range(3):
        one = np.zeros_like(logits)
        one[:, c] = 1
        found.append(numpy_networks.backward(STEPS, inputs, one, guided)["pixels"])
    return np.stack(found, axis=1)


def test_gradient_agrees_with_the_slow_implementation():
    found = saliency.gradient(MODEL, IMAGES, batch_size=3)
    assert found.shape == (4, 3, 8, 8, 3)
    assert found.dtype == np.float32
    assert_close(found, slow(guided=False))


def test_gradient_with_respect_to_uint8_pictures_is_per_grey_level():
    scaled = keras.Sequential(
        [keras.Input((8, 8, 3), dtype="uint8"), keras.layers.Rescaling(1 / 255), MODEL]
    )
    pictures = RNG.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    unit = pictures.astype(np.float32) / 255
    expected = saliency.gradient(MODEL, unit) / 255
    assert_close(saliency.gradient(scaled, pictures), expected)


@pytest.mark.parametrize("wrap", [network, nested])
@pytest.mark.parametrize("relu", ["layer", "argument", "function"])
def test_every_form_of_relu_is_guided(relu, wrap):
    model = wrap(relu)
    assert len(saliency.relu_names(model)) == 2
    found = saliency.guided_backpropagation(model, IMAGES)
    expected = slow(guided=True)
    assert_close(found, expected)
    plain = saliency.gradient(model, IMAGES)
    assert np.abs(found - plain).max() > 0.1 * np.abs(plain).max()


def test_relu_forms_that_count():
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.ReLU(max_value=6, name="six")(keras.layers.Conv2D(2, 3)(x))
    x = keras.layers.Conv2D(2, 3, activation="relu6", name="argument")(x)
    x = keras.layers.ReLU(negative_slope=0.1)(x)  # leaky: nothing is cut off
    x = keras.layers.Activation("relu", name="activation")(x)
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    assert saliency.relu_names(model) == ["six", "argument", "activation"]


def test_guiding_is_refused_where_there_is_nothing_to_guide():
    with pytest.raises(ValueError, match="no ReLU"):
        saliency.guided_backpropagation(network("none"), IMAGES)
    with pytest.raises(ValueError, match="no ReLU"):
        saliency.guided_grad_cam(nested("none"), IMAGES)


def test_guided_gradients_do_not_leak():
    before = cam.class_maps(MODEL, IMAGES, layers=cam.layer_names(MODEL)[:2])
    plain = saliency.gradient(MODEL, IMAGES)
    outputs, weights = MODEL(IMAGES), MODEL.get_weights()
    saliency.guided_grad_cam(MODEL, IMAGES)
    after = cam.class_maps(MODEL, IMAGES, layers=cam.layer_names(MODEL)[:2])
    for layer in before:
        np.testing.assert_array_equal(before[layer], after[layer])
    np.testing.assert_array_equal(plain, saliency.gradient(MODEL, IMAGES))
    np.testing.assert_array_equal(MODEL(IMAGES), outputs)
    for now, then in zip(MODEL.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_guided_grad_cam_is_zero_where_grad_cam_sees_nothing():
    found = saliency.guided_grad_cam(MODEL, IMAGES)
    maps = cam.class_maps(MODEL, IMAGES)
    (maps,) = maps.values()
    guided = saliency.guided_backpropagation(MODEL, IMAGES)
    small = np.maximum(maps, 0)
    # 4 x 4 to 8 x 8, half-pixel bilinear: quarters of neighbours, clamped at the edge.
    padded = np.pad(small, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    rows = np.empty((*maps.shape[:2], 8, 6))
    rows[:, :, 0::2] = 0.25 * padded[:, :, :-2] + 0.75 * padded[:, :, 1:-1]
    rows[:, :, 1::2] = 0.75 * padded[:, :, 1:-1] + 0.25 * padded[:, :, 2:]
    large = np.empty((*maps.shape[:2], 8, 8))
    large[..., 0::2] = 0.25 * rows[..., :-2] + 0.75 * rows[..., 1:-1]
    large[..., 1::2] = 0.75 * rows[..., 1:-1] + 0.25 * rows[..., 2:]
    assert_close(found, guided * large[..., None])
    assert np.all(found[large == 0] == 0)


def test_integrated_gradients_close_their_gap():
    logits = numpy_networks.forward(STEPS, IMAGES)[0]
    black = numpy_networks.forward(STEPS, 0 * IMAGES)[0]
    gaps = []
    for steps in (1, 16, 256):
        found, gap = saliency.integrated_gradients(MODEL, IMAGES, steps=steps)
        rise = found.sum(axis=(2, 3, 4), dtype=float) - (logits - black)
        assert np.abs(rise - gap).max() < 1e-5 * np.abs(logits - black).max()
        gaps.append(np.abs(gap).max())
    assert gaps[1] < gaps[0] / 3
    assert gaps[2] < gaps[0] / 30


def test_integrated_gradients_take_a_baseline_and_the_predicted_class():
    found, gap = saliency.integrated_gradients(
        MODEL, IMAGES, baseline=IMAGES, classes="predicted", steps=2
    )
    assert found.shape == (4, 1, 8, 8, 3)
    assert not found.any()
    assert np.abs(gap).max() < 1e-6
    with pytest.raises(ValueError, match="`baseline`"):
        saliency.integrated_gradients(MODEL, IMAGES, baseline=np.zeros(4))
    with pytest.raises(ValueError, match="`steps`"):
        saliency.integrated_gradients(MODEL, IMAGES, steps=0)


def test_occlusion_is_the_fall_of_the_logit():
    found = saliency.occlusion(MODEL, IMAGES, patch=3, stride=2, batch_size=2)
    assert found.shape == (4, 3, 4, 4)  # squares from pixels 0, 2, 4 and 5
    before = numpy_networks.forward(STEPS, IMAGES)[0]
    for row, column, top, left in [(0, 0, 0, 0), (1, 3, 2, 5), (3, 2, 5, 4)]:
        covered = IMAGES.copy()
        for picture, image in zip(covered, IMAGES, strict=True):
            picture[top : top + 3, left : left + 3] = image.mean(axis=(0, 1))
        after = numpy_networks.forward(STEPS, covered)[0]
        scale = np.abs(found).max()
        assert np.abs(found[:, :, row, column] - (before - after)).max() < 1e-5 * scale


def test_occlusion_of_a_sum_counts_the_covered_pixels():
    x = inputs = keras.Input((6, 6, 1))
    x = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(
        keras.layers.Flatten()(keras.layers.Conv2D(1, 1, kernel_initializer="ones")(x))
    )
    model = keras.Model(inputs, x)
    picture = np.full((1, 6, 6, 1), 7, np.uint8)
    found = saliency.occlusion(model, picture, patch=2, stride=2, fill=0)
    assert found.tolist() == [[[[-28.0] * 3] * 3, [[28.0] * 3] * 3]]
    best = saliency.occlusion(model, picture, patch=6, classes="predicted", fill=[7])
    assert best.tolist() == [[[[0.0]]]]
    with pytest.raises(ValueError, match="from 1 to 6"):
        saliency.occlusion(model, picture, patch=7)
    with pytest.raises(ValueError, match="from 1 to 6"):
        saliency.occlusion(model, picture, patch=2, stride=0)


@pytest.mark.parametrize(
    "function",
    [
        saliency.gradient,
        saliency.guided_backpropagation,
        saliency.guided_grad_cam,
        saliency.integrated_gradients,
        saliency.occlusion,
    ],
)
def test_all_check_their_pictures_and_classes(function):
    with pytest.raises(ValueError, match="one picture"):
        function(MODEL, IMAGES[0])
    with pytest.raises(ValueError, match="numbered 0 to 2"):
        function(MODEL, IMAGES, classes=3)
