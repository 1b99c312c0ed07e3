import keras
import numpy as np
import numpy_networks
import pytest

from scenecam import cam

RNG = np.random.default_rng(0)


def _weights(*shape):
    return RNG.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))


def _steps(head="gap", classes=4):
    return [
        ("conv", _weights(3, 3, 3, 5), _weights(5), 1, "same"),
        ("relu",),
        ("mark", "early"),
        ("max", 2),
        ("save",),
        ("conv", _weights(3, 3, 5, 5), None, 1, "same"),
        ("norm", RNG.uniform(0.5, 1.5, 5), _weights(5)),
        ("relu",),
        ("add",),
        ("mark", "features"),
        (head, _weights(5 if head == "gap" else 80, classes), _weights(classes)),
    ]


STEPS = {head: _steps(head) for head in ("gap", "flat")}
MODELS = {
    head: numpy_networks.keras_model(steps, (8, 8, 3)) for head, steps in STEPS.items()
}
IMAGES = RNG.normal(size=(3, 8, 8, 3)).astype(np.float32)


def assert_close(actual, expected, tolerance=1e-5):
    """Compare to a share of the largest value: a map is one quantity, not many."""
    scale = max(np.abs(expected).max(), 1e-12)
    assert np.abs(actual - expected).max() <= tolerance * scale


@pytest.mark.parametrize("head", STEPS)
def test_grad_cam_agrees_with_the_slow_implementation(head):
    layers = ["early", "features"]
    found = cam.class_maps(MODELS[head], IMAGES, layers=layers)
    expected = numpy_networks.class_maps(STEPS[head], IMAGES, "grad_cam")
    for name in layers:
        assert found[name].dtype == np.float32
        assert_close(found[name], expected[name])


def test_cam_is_grad_cam_times_cells_and_sums_to_the_logit():
    found = cam.class_maps(MODELS["gap"], IMAGES, method=("cam", "grad_cam"))
    expected = numpy_networks.class_maps(STEPS["gap"], IMAGES, "cam")["features"]
    assert_close(found["cam"]["features"], expected)
    assert_close(16 * found["grad_cam"]["features"], expected)
    logits, _, _ = numpy_networks.forward(STEPS["gap"], IMAGES)
    bias = STEPS["gap"][-1][2]
    assert_close(found["cam"]["features"].mean(axis=(2, 3)) + bias, logits)


def test_sequential_model_and_softmax_on_top():
    head = MODELS["gap"].get_layer("logits")
    top = keras.layers.Dense(4, activation="softmax", name="top")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.Model(
                MODELS["gap"].inputs, MODELS["gap"].get_layer("features").output
            ),
            keras.layers.GlobalAveragePooling2D(),
            top,
        ]
    )
    top.set_weights(head.get_weights())
    layer = cam.layer_names(model)[-1]
    assert layer.endswith("/features")
    found = cam.class_maps(model, IMAGES)[layer]
    assert_close(found, cam.class_maps(MODELS["gap"], IMAGES)["features"])
