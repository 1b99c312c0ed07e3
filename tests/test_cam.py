"""Class maps: the contract, the kinds of models, the errors; what they are worth in
numbers is in test_cam_identities.py."""

import gc
import re
import resource
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import numpy_networks
import pytest
from cam_identities import METHODS, assert_close
from conftest import ROOT

from scenecam import cam
from scenecam._engine import anatomy, methods, passes
from scenecam.images import upsample_map

RNG = np.random.default_rng(1)
LAYERS = ["early", "features"]


def _weights(*shape):
    return (RNG.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


def _steps(head):
    return [
        ("conv", _weights(3, 3, 3, 5), _weights(5), 1, "same"),
        ("relu",),
        ("mark", "early"),
        ("max", 2),
        ("conv", _weights(3, 3, 5, 6), _weights(6), 1, "same"),
        ("relu",),
        ("mark", "features"),
        (head, _weights(6 if head == "gap" else 96, 4), 0.1 * _weights(4)),
    ]


STEPS = {head: _steps(head) for head in ("gap", "flat")}
MODELS = {head: numpy_networks.keras_model(STEPS[head], (8, 8, 3)) for head in STEPS}
IMAGES = RNG.normal(size=(5, 8, 8, 3)).astype(np.float32)
EXPECTED = {
    method: numpy_networks.class_maps(STEPS["gap"], IMAGES, method)
    for method in ("cam", *METHODS)
}


def gap_model():
    """Build a new model with the weights of MODELS["gap"]."""
    return numpy_networks.keras_model(STEPS["gap"], (8, 8, 3))


def body(name="base"):
    model = gap_model()
    features = model.get_layer("features").output
    return keras.Model(model.inputs[0], features, name=name)


def top(layer):
    layer.build((None, 6))
    layer.set_weights([STEPS["gap"][-1][1], STEPS["gap"][-1][2]])
    return layer


# ---- What comes back -----------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_raw_native_and_of_every_class(method):
    found = cam.class_maps(MODELS["gap"], IMAGES, method=method, layers=LAYERS)
    assert list(found) == LAYERS
    assert found["early"].shape == (5, 4, 8, 8)
    assert found["features"].shape == (5, 4, 4, 4)
    for layer in LAYERS:
        assert found[layer].dtype == np.float32
        assert_close(found[layer], EXPECTED[method][layer])


@pytest.mark.parametrize("method", ["cam", *METHODS])
def test_the_functions_of_two_arrays_are_what_class_maps_computes(method):
    logits, inputs, marked = numpy_networks.forward(STEPS["gap"], IMAGES)
    one = np.zeros_like(logits)
    one[:, 2] = 1
    gradients = numpy_networks.backward(STEPS["gap"], inputs, one)["features"]
    both = [np.asarray(x, np.float32) for x in (marked["features"], gradients)]
    expected = EXPECTED[method]["features"][:, 2]
    assert_close(getattr(cam, method)(*both).numpy(), expected)
    found = cam.class_maps(MODELS["gap"], IMAGES, method=method)["features"]
    assert_close(found[:, 2], expected)


def test_chapter_7_prints_the_functions_that_run():
    (printed,) = re.findall(
        r"for function in \((.*)\):.*\n.*getsource",
        (ROOT / "book" / "07-grad-cam.ipynb").read_text(encoding="utf-8"),
    )
    shown = [getattr(cam, name) for name in re.findall(r"cam\.(\w+)", printed)]
    assert methods.FOLDED["grad_cam"] in shown and passes.weighted_sum in shown


def test_several_methods_come_from_one_call():
    found = cam.class_maps(MODELS["gap"], IMAGES, method=("cam", "hires_cam"))
    assert list(found) == ["cam", "hires_cam"]
    assert list(found["cam"]) == ["features"]  # the layer that is pooled
    for method in found:
        assert_close(found[method]["features"], EXPECTED[method]["features"])


def test_classes_can_be_chosen():
    every = cam.class_maps(MODELS["flat"], IMAGES)["features"]
    model, images = MODELS["flat"], IMAGES
    one = cam.class_maps(model, images, classes=2)["features"]
    np.testing.assert_array_equal(one, every[:, [2]])
    some = cam.class_maps(model, images, classes=[3, 0])["features"]
    np.testing.assert_array_equal(some, every[:, [3, 0]])
    each = np.array([[0], [1], [2], [3], [0]])
    own = cam.class_maps(model, images, classes=each)["features"]
    np.testing.assert_array_equal(own[:, 0], every[np.arange(5), each[:, 0]])
    best = model(images).numpy().argmax(axis=1)
    assert len(set(best)) > 1
    predicted = cam.class_maps(model, images, classes="predicted")["features"]
    np.testing.assert_array_equal(predicted[:, 0], every[np.arange(5), best])


def test_more_classes_than_fit_into_one_pass(monkeypatch):
    every = cam.class_maps(gap_model(), IMAGES, layers=LAYERS)
    monkeypatch.setattr(passes, "CLASSES_PER_PASS", 3)  # 4 classes: 2 passes of 2
    two = cam.class_maps(gap_model(), IMAGES, layers=LAYERS)
    monkeypatch.setattr(passes, "CLASSES_PER_PASS", 1)
    some = cam.class_maps(gap_model(), IMAGES, layers=LAYERS, classes=[3, 1, 2])
    for layer in LAYERS:
        assert_close(two[layer], every[layer], 1e-6)
        assert_close(some[layer], every[layer][:, [3, 1, 2]], 1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_slices_of_any_size_give_the_same(batch_size):
    found = cam.class_maps(MODELS["flat"], IMAGES, layers=LAYERS, batch_size=batch_size)
    expected = numpy_networks.class_maps(STEPS["flat"], IMAGES, "grad_cam")
    for layer in LAYERS:
        assert_close(found[layer], expected[layer])


def test_pictures_may_be_a_memory_map_and_uint8(tmp_path):
    pictures = RNG.integers(0, 256, size=(5, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "pictures.npy", pictures)
    mapped = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    found = cam.class_maps(MODELS["gap"], mapped, batch_size=2)["features"]
    steps = STEPS["gap"]
    assert_close(
        found, numpy_networks.class_maps(steps, pictures, "grad_cam")["features"]
    )


def test_captums_published_maps_of_one_convolution():
    """The maps that captum's own tests expect of a 4x4 picture, worked out by hand."""
    x = inputs = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(2, 3, name="conv1")(x)
    x = keras.layers.ReLU(name="relu1")(x)
    x = keras.layers.Dense(4, use_bias=False, name="fc")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.ReLU()(x))
    biases = np.array([-50.0, -75.0])
    model.get_layer("conv1").set_weights([np.ones((3, 3, 1, 2)), biases])
    by_channel = np.array([[1, 1, 1, 1], [1, -1, -1, -1]])  # five ones, then three -1
    model.get_layer("fc").set_weights([np.repeat(by_channel.T.reshape(8, 1), 4, 1)])
    picture = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    maps = cam.class_maps(
        model, picture, layers=["conv1", "relu1"], classes=[0], method="grad_cam"
    )
    assert maps["conv1"][0, 0].tolist() == [[11.25, 13.5], [20.25, 22.5]]
    assert maps["relu1"][0, 0].tolist() == [[0, 4], [28, 32.5]]
    activations = keras.Model(inputs, model.get_layer("conv1").output)(picture)
    split = [
        methods.grad_cam(activations[..., k : k + 1], gradients)
        for k, gradients in enumerate(
            np.array([[[0, 1], [1, 1]], [[0, 0], [-1, -1]]], np.float32)[
                :, None, ..., None
            ]
        )
    ]
    assert split[0][0].numpy().tolist() == [[-3.75, 3], [23.25, 30]]
    assert split[1][0].numpy().tolist() == [[15, 10.5], [-3, -7.5]]


def test_score_cam_agrees_with_a_slow_one():
    found = cam.class_maps(
        MODELS["gap"], IMAGES[:2], method="score_cam", layers=LAYERS, batch_size=4
    )
    _, _, marked = numpy_networks.forward(STEPS["gap"], IMAGES[:2])
    for layer in LAYERS:
        expected = np.zeros(found[layer].shape)
        for i, activations in enumerate(marked[layer]):
            scores = []
            for k in range(activations.shape[2]):
                mask = _enlarged(activations[..., k], 8)
                spread = mask.max() - mask.min()
                mask = (mask - mask.min()) / spread if spread else mask * 0
                masked = IMAGES[i] * mask[..., None]
                scores.append(numpy_networks.forward(STEPS["gap"], masked[None])[0][0])
            weights = np.exp(scores) / np.exp(scores).sum(axis=0)
            expected[i] = np.einsum("hwk,kc->chw", activations, weights)
        assert_close(found[layer], expected)
    best = MODELS["gap"](IMAGES[:2]).numpy().argmax(axis=1)
    own = cam.class_maps(
        MODELS["gap"], IMAGES[:2], method="score_cam", classes="predicted"
    )
    assert_close(own["features"][:, 0], found["features"][[0, 1], best])


def _enlarged(image, size):
    """Enlarge bilinearly with half-pixel centres, one axis after the other."""
    for _ in range(2):
        old = np.arange(len(image)) + 0.5
        new = (np.arange(size) + 0.5) * len(image) / size
        image = np.stack([np.interp(new, old, column) for column in image.T])
    return image


def test_layers_are_averaged_after_scaling():
    small = np.array([[[[2.0, -4.0]], [[-1.0, -2.0]]]], np.float32)  # (1, 2, 1, 2)
    large = np.array([[[[0, 10, 0, 5]], [[0, 0, 0, 8]]]], np.float32)
    mean = cam.average_layers({"late": small, "early": large})
    assert mean.shape == (1, 2, 1, 4)
    np.testing.assert_allclose(mean[0, 0, 0], [0.5, 0.875, 0.125, 0.25])
    np.testing.assert_allclose(mean[0, 1, 0], [0, 0, 0, 0.5])  # late: no evidence
    one = cam.average_layers({"late": 1000 * small, "early": 0.01 * large})
    np.testing.assert_allclose(one, mean)  # the units of the layers do not matter
    assert cam.average_layers({"late": small}, size=(3, 6)).shape == (1, 2, 3, 6)
    fine = RNG.normal(size=(1, 1, 96, 96)).astype(np.float32)
    coarse = cam.average_layers({"early": fine}, size=(12, 12))
    unit = np.maximum(fine, 0) / fine.max()
    np.testing.assert_array_equal(coarse, upsample_map(unit, 12))
    with pytest.raises(ValueError, match="same pictures"):
        cam.average_layers({"late": small, "early": large[:, :1]})
    with pytest.raises(ValueError, match="at least one map"):
        cam.average_layers({})


# ---- Every kind of model -------------------------------------------------------------


def _sequential():
    model = gap_model()
    return keras.Sequential([keras.Input((8, 8, 3)), *model.layers[1:]])


def _called():
    model = keras.Sequential(gap_model().layers[1:])
    model(IMAGES)
    return model


def _compiled():
    model = gap_model()
    model.compile("adam", loss=lambda y, p: keras.ops.mean(p - y))
    return model


def _nested():
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(body()(x))
    return keras.Model(inputs, top(keras.layers.Dense(4))(keras.layers.Dropout(0.9)(x)))


def _nested_twice():
    inputs = keras.Input((8, 8, 3))
    middle = keras.Model(inputs, body("inner")(inputs), name="middle")
    layers = [middle, keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential(
        [keras.Input((8, 8, 3)), *layers, top(keras.layers.Dense(4))]
    )


def _softmax_activation():
    return keras.Sequential(
        [*_nested().layers[:-1], top(keras.layers.Dense(4))]
        + [keras.layers.Activation("softmax")]
    )


def _softmax_in_dense():
    layers = [*_nested().layers[:-1], top(keras.layers.Dense(4, activation="softmax"))]
    return keras.Sequential(layers)


def _softmax_layer_nested():
    inputs = keras.Input((4,))
    head = keras.Model(inputs, keras.layers.Softmax()(inputs), name="probabilities")
    return keras.Sequential([*gap_model().layers, head])


def _softmax_function():
    model = gap_model()
    return keras.Model(model.inputs, keras.ops.softmax(model.outputs[0]))


KINDS = {
    "functional": gap_model,
    "sequential": _sequential,
    "called": _called,
    "compiled": _compiled,
    "nested": _nested,
    "nested twice": _nested_twice,
    "softmax in the last dense layer": _softmax_in_dense,
    "softmax activation": _softmax_activation,
    "softmax layer in a nested model": _softmax_layer_nested,
    "softmax function": _softmax_function,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_model_does_not_matter(kind):
    model = KINDS[kind]()
    names, two = cam.layer_names(model), ("grad_cam", "layer_cam")
    layers = [name for name in names if name.split("/")[-1] in LAYERS]
    assert [name.split("/")[-1] for name in layers] == LAYERS
    found = cam.class_maps(model, IMAGES, method=two, layers=layers)
    for method in two:
        for layer in layers:
            expected = EXPECTED[method][layer.split("/")[-1]]
            assert_close(found[method][layer], expected)
    pooled = cam.class_maps(model, IMAGES, method="cam")
    assert list(pooled) == [layers[-1]]
    assert_close(pooled[layers[-1]], EXPECTED["cam"]["features"])


def test_paths_lead_into_nested_models():
    model = _nested_twice()
    names = cam.layer_names(model)
    assert names[-1] == "middle/inner/features"
    whole = cam.class_maps(model, IMAGES, layers=["middle", "middle/inner"])
    for maps in whole.values():  # a nested model is its last layer
        assert_close(maps, EXPECTED["grad_cam"]["features"])


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore:.*HDF5 file")
def test_models_from_files(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    _sequential().save(path)
    found = cam.class_maps(keras.models.load_model(path), IMAGES, layers=LAYERS)
    for layer in LAYERS:
        assert_close(found[layer], EXPECTED["grad_cam"][layer])


def test_one_sigmoid_unit_is_two_classes():
    model = keras.Sequential(
        [*gap_model().layers[:-1], keras.layers.Dense(1, activation="sigmoid")]
    )
    maps = cam.class_maps(model, IMAGES, method="cam")["features"]
    assert maps.shape == (5, 2, 4, 4)
    p = model(IMAGES).numpy()
    bias = model.layers[-1].get_weights()[1]
    assert_close(maps[:, 1:].mean(axis=(2, 3)) + bias, np.log(p / (1 - p)), 1e-4)
    np.testing.assert_array_equal(maps[:, 0], -maps[:, 1])


@pytest.mark.parametrize("layer", LAYERS)
def test_class_0_of_one_unit_is_explained_as_its_negative_logit(layer):
    one, two = keras.layers.Dense(1), keras.layers.Dense(2)
    models = [keras.Sequential([*gap_model().layers[:-1], top]) for top in (one, two)]
    kernel, bias = one.get_weights()
    two.set_weights([np.hstack([-kernel, kernel]), np.hstack([-bias, bias])])
    for method in METHODS:  # those that cut gradients off do not just change the sign
        found, expected = (
            cam.class_maps(model, IMAGES, method=method, layers=layer)[layer]
            for model in models
        )
        assert_close(found, expected, 1e-6)
    best, of_two = (
        cam.class_maps(model, IMAGES, classes="predicted")["features"]
        for model in models
    )
    assert_close(best, of_two, 1e-6)


def test_mixed_precision_maps_are_float32_and_close():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = gap_model()
    finally:
        keras.config.set_dtype_policy("float32")
    assert mixed.get_layer("features").compute_dtype == "float16"
    found = cam.class_maps(mixed, IMAGES, method=METHODS, layers=LAYERS)
    for method in METHODS:
        for layer in LAYERS:
            assert found[method][layer].dtype == np.float32
            assert_close(found[method][layer], EXPECTED[method][layer], 2e-2)


def test_dropout_and_noise_are_off():
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Dropout(0.5)(keras.layers.RandomFlip()(x), training=True)
    x = keras.layers.Conv2D(3, 3, name="features")(x)
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    first = cam.class_maps(model, IMAGES)["features"]
    np.testing.assert_array_equal(first, cam.class_maps(model, IMAGES)["features"])


def test_each_call_of_a_layer_has_a_name():
    relu = keras.layers.ReLU(name="relu")
    x = inputs = keras.Input((8, 8, 3))
    x = relu(keras.layers.Conv2D(4, 3, name="one")(x))
    x = relu(keras.layers.Conv2D(4, 3, name="two")(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    assert cam.layer_names(model) == ["one", "relu:1", "two", "relu:2"]
    maps = cam.class_maps(model, IMAGES, layers=["relu:1", "relu:2"])
    assert [each.shape for each in maps.values()] == [(5, 2, 6, 6), (5, 2, 4, 4)]
    assert list(cam.class_maps(model, IMAGES)) == ["relu:2"]
    with pytest.raises(
        ValueError, match="more than once. Ask for 'relu:1' or 'relu:2'"
    ):
        cam.class_maps(model, IMAGES, layers="relu")


def test_the_picture_size_may_be_open():
    x = inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(3, 3, name="features")(x)
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    assert cam.class_maps(model, IMAGES)["features"].shape == (5, 2, 6, 6)
    assert cam.class_maps(model, IMAGES[:, :6])["features"].shape == (5, 2, 4, 6)


@pytest.mark.parametrize(
    ("build", "early", "cells"),
    [
        ("VGG16", "block4_conv3", (2, 2)),
        ("ResNet50", "conv4_block6_out", (2, 2)),
        ("MobileNetV3Small", "activation_17", None),
        ("EfficientNetB0", "block6d_add", (1, 1)),
    ],
)
def test_architectures_of_keras_applications(build, early, cells):
    options = {"classifier_activation": "softmax", "weights": None, "classes": 3}
    model = getattr(keras.applications, build)(input_shape=(64, 64, 3), **options)
    images = RNG.integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    names = cam.layer_names(model)
    layers = [names[-1]] if cells is None else [early, names[-1]]
    found = cam.class_maps(model, images, layers=layers, classes=[0, 2])
    for maps in found.values():
        assert maps.shape[:2] == (2, 2)
        assert np.isfinite(maps).all()
        assert np.abs(maps).max() > 0


def test_a_network_file_of_keras_2():
    path = ROOT.parent / "shared" / "seeds" / "model_weight.h5"
    if not path.exists():
        pytest.skip("no seed files beside the checkout (../shared/seeds)")
    from scenecam import models

    model = models.load_model(path)
    images = RNG.integers(0, 256, (2, *model.inputs[0].shape[1:])).astype(np.uint8)
    maps = cam.class_maps(model, images, method="cam")
    ((name, maps),) = maps.items()
    assert maps.shape == (2, 4, 64, 64)
    dense = model.layers[-1] if model.layers[-1].weights else model.layers[-2]
    p = model(images.astype(np.float32)).numpy()
    logits = maps.mean(axis=(2, 3)) + dense.get_weights()[1]
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert_close(e / e.sum(axis=1, keepdims=True), p, 1e-4)


# ---- Nothing is left behind ----------------------------------------------------------


def _state(model):
    layers = list(model.layers)
    for layer in layers:
        layers += getattr(layer, "layers", [])
    return [
        (
            layer.name,
            layer.trainable,
            "call" in vars(layer),
            getattr(layer, "activation", None),
            len(layer._inbound_nodes),
            len(layer._outbound_nodes),
            sorted(vars(layer)),
        )
        for layer in layers
    ]


@pytest.mark.parametrize("kind", ["nested twice", "compiled", "softmax activation"])
def test_the_model_is_not_changed_not_even_by_errors(kind, monkeypatch):
    model = KINDS[kind]()
    model.layers[1].trainable = False
    state, outputs, weights = _state(model), model(IMAGES), model.get_weights()

    def check():
        assert _state(model) == state
        np.testing.assert_array_equal(model(IMAGES), outputs)
        for now, before in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, before)

    cam.class_maps(model, IMAGES, method=cam.METHODS)
    check()

    def fail(activations, gradients):
        raise ValueError("in the middle of the pass")

    monkeypatch.setitem(methods.FOLDED, "layer_cam", fail)
    with pytest.raises(ValueError, match="in the middle of the pass"):
        cam.class_maps(model, IMAGES, method="layer_cam")
    check()


def test_a_second_call_does_not_trace_again(monkeypatch):
    traced = []

    def counted(activations, gradients):
        traced.append(1)
        return methods.grad_cam(activations, gradients)

    monkeypatch.setitem(methods.FOLDED, "grad_cam", counted)
    model = gap_model()
    cam.class_maps(model, IMAGES, layers="early")
    first = len(traced)
    assert first == 1  # not once per class
    for images in (IMAGES, IMAGES[:1], IMAGES[:3]):
        cam.class_maps(model, images, layers="early")
    cam.class_maps(model, IMAGES, layers="early", classes=[3, 2, 1, 0])
    assert len(traced) == first
    model.set_weights([2 * weights for weights in model.get_weights()])
    doubled = cam.class_maps(model, IMAGES, layers="early")["early"]
    assert len(traced) == first  # weights are read, not kept
    assert np.abs(doubled).max() > 2 * np.abs(EXPECTED["grad_cam"]["early"]).max()


def test_an_exchanged_activation_is_noticed():
    model = gap_model()
    x = inputs = keras.Input((8, 8, 3))
    layer = keras.layers.Conv2D(3, 3, activation="relu", name="features")
    x = keras.layers.GlobalAveragePooling2D()(layer(x))
    x = keras.layers.Dense(2, kernel_initializer="ones")(x)
    model = keras.Model(inputs, x)
    assert not np.any(cam.class_maps(model, IMAGES, method="layer_cam")["features"] < 0)
    layer.activation = keras.activations.linear
    assert np.any(cam.class_maps(model, IMAGES, method="layer_cam")["features"] < 0)


def test_layers_are_compared_once_a_question_and_again_in_the_next(monkeypatch):
    model, compared = gap_model(), []
    cam.class_maps(model, IMAGES)
    parts = anatomy._parts
    monkeypatch.setattr(anatomy, "_parts", lambda m: compared.append(m) or parts(m))
    cam.class_maps(model, IMAGES)
    assert compared == [model]
    with pytest.raises(ValueError, match="no feature map named"):
        cam.class_maps(model, IMAGES, layers="nowhere")
    # However the one before ended, and whoever else asks at the same time.
    compared.clear()
    with anatomy.one_question(model), ThreadPoolExecutor(1) as other:
        cam.layer_names(gap_model())
        cam.layer_names(model)
        assert compared.count(model) == 1
        other.submit(cam.layer_names, model).result()
        assert compared.count(model) == 2
    cam.layer_names(model)
    assert compared.count(model) == 3


@pytest.mark.parametrize("kind", ["functional", "nested", "sequential"])
def test_passes_go_with_their_model(kind):
    model = KINDS[kind]()
    cam.class_maps(model, IMAGES, method=cam.METHODS)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_two_hundred_calls_do_not_grow_memory():
    def resident():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes

    for _ in range(40):
        cam.class_maps(MODELS["gap"], IMAGES, layers=LAYERS)
    before = resident()
    for _ in range(200):
        cam.class_maps(MODELS["gap"], IMAGES, layers=LAYERS)
    assert resident() - before < 8_000


# ---- Errors say what came, what is possible, what to do ------------------------------


def _multi_output():
    model = gap_model()
    return keras.Model(
        model.inputs, [model.outputs[0], model.get_layer("early").output]
    )


class Subclassed(keras.Model):
    def call(self, images):
        return images


def _side_branch():
    model = gap_model()
    x = keras.layers.Conv2D(4, 1, name="aside")(model.get_layer("early").output)
    x = keras.layers.GlobalAveragePooling2D()(keras.ops.round(x))
    return keras.Model(model.inputs, model.outputs[0] + keras.layers.Dense(4)(x) * 0)


def _scaling():
    layers = [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255)]
    return keras.Sequential([*layers, *gap_model().layers[1:]])


NAN = IMAGES.copy()
NAN[3, 0, 0, 0] = np.nan
ERRORS = [
    ({"layers": "featurs"}, ValueError, "named 'featurs'. Did you mean 'features'"),
    ({"layers": "step7"}, ValueError, "no feature map named 'step7'"),
    ({"layers": []}, ValueError, "`layers` is empty"),
    ({"method": "gradcam"}, ValueError, "one or more of cam, grad_cam.*'gradcam'"),
    ({"method": ()}, ValueError, "one or more of"),
    ({"method": "cam", "layers": "early"}, ValueError, "pooled, 'features'.*'early'"),
    ({"method": "cam", "model": MODELS["flat"]}, ValueError, "GlobalAveragePooling2D"),
    ({"classes": 4}, ValueError, "4 classes, numbered 0 to 3; received 4"),
    ({"classes": [-1]}, ValueError, "numbered 0 to 3"),
    ({"classes": "sea"}, ValueError, "class_names.index"),
    ({"classes": [0.5]}, TypeError, "whole numbers"),
    ({"classes": []}, TypeError, "whole numbers"),
    ({"classes": np.zeros((2, 1), int)}, ValueError, "row for each of the 5"),
    ({"batch_size": 0}, ValueError, "at least 1"),
    ({"model": "resnet"}, TypeError, "must be a keras.Model; received str"),
    ({"model": Subclassed()}, ValueError, "no layer graph"),
    ({"model": keras.Sequential([keras.layers.ReLU()])}, ValueError, "no layer graph"),
    ({"model": _multi_output}, ValueError, "2 outputs"),
    ({"model": _side_branch, "layers": "aside"}, ValueError, "No gradient.*'aside'"),
    (
        {"images": IMAGES[0]},
        ValueError,
        r"received one picture.*asarray\(images\)\[None\]",
    ),
    ({"images": IMAGES[:, :4]}, ValueError, r"\(n, 8, 8, 3\).*\(5, 4, 8, 3\)"),
    ({"images": IMAGES[..., :1]}, ValueError, r"\(5, 8, 8, 1\)"),
    ({"images": IMAGES[:0]}, ValueError, "empty"),
    ({"images": NAN}, ValueError, "picture 3 holds NaN"),
    ({"images": [["a"]]}, TypeError, "array of numbers"),
    ({"images": IMAGES > 0}, TypeError, "received bool"),
    (
        {"images": IMAGES, "model": _scaling},
        ValueError,
        "from 0 to 255; received float32",
    ),
    ({"images": abs(IMAGES) / 9, "model": _scaling}, ValueError, "unscaled uint8"),
]


@pytest.mark.parametrize(("change", "error", "words"), ERRORS)
def test_errors_name_what_came_and_what_to_do(change, error, words):
    arguments = {"model": MODELS["gap"], "images": IMAGES, **change}
    model, images = arguments.pop("model"), arguments.pop("images")
    if callable(model) and not isinstance(model, keras.Model):
        model = model()
    with pytest.raises(error, match=words):
        cam.class_maps(model, images, **arguments)


def test_a_layer_beside_the_way_to_the_logits_is_refused():
    x = inputs = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(3, 3, name="used")(x)
    unused = keras.layers.Conv2D(3, 3, name="unused")(x)
    inner = keras.Model(inputs, [y, unused], name="inner")
    y, _ = inner(inputs)
    y = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(y))
    model = keras.Model(inputs, y)
    with pytest.raises(ValueError, match="do not depend on layer 'inner/unused'"):
        cam.class_maps(model, IMAGES, layers="inner/unused")
    assert list(cam.class_maps(model, IMAGES)) == ["inner/used"]
