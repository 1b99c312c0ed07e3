"""What the logits of a network are, whatever it ends in: read exactly, or refused.

The truth comes from NumPy: features of one convolution, averaged, times a kernel.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scenecam import cam, models, saliency
from scenecam._engine.predictions import predicting

RNG = np.random.default_rng(3)
IMAGES = RNG.normal(size=(4, 6, 6, 3)).astype(np.float32)
MIX = RNG.normal(size=(3, 5)).astype(np.float32)  # a 1 x 1 convolution
KERNELS = {k: 6 * RNG.normal(size=(5, k)).astype(np.float32) for k in (1, 3)}
BIASES = {k: RNG.normal(size=k).astype(np.float32) for k in (1, 3)}
FEATURES = np.maximum(IMAGES.astype(float) @ MIX, 0)


def logits_of(units):
    return FEATURES.mean(axis=(1, 2)) @ KERNELS[units] + BIASES[units]


def softmax(z):
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def network(end=None, *, units=3, activation=None, name="scores"):
    """The network of the truth; `end` makes its output of its last layer's."""
    x = inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(5, 1, activation="relu", name="features")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(units, activation=activation, name=name)(x)
    model = keras.Model(inputs, outputs if end is None else end(outputs))
    model.get_layer("features").set_weights([MIX[None, None], np.zeros(5)])
    model.get_layer(name).set_weights([KERNELS[units], BIASES[units]])
    return model


def inside(model):
    """The model as the only layer of another."""
    inputs = keras.Input((6, 6, 3))
    return keras.Model(inputs, model(inputs))


def head_of_its_own(outputs):
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Softmax()(inputs))(outputs)


class Squashing(keras.layers.Layer):
    def call(self, x):
        return keras.ops.softmax(x)


KERAS = keras.layers
SOFTMAX = {
    "logits": lambda: network(),
    "softmax in Dense": lambda: network(activation="softmax"),
    "tf.nn.softmax in Dense": lambda: network(activation=tf.nn.softmax),
    "keras.ops.softmax in Dense": lambda: network(activation=keras.ops.softmax),
    "a layer in Dense": lambda: network(activation=KERAS.Softmax()),
    "operation": lambda: network(keras.ops.softmax),
    "layer": lambda: network(KERAS.Softmax()),
    "activation layer": lambda: network(KERAS.Activation("softmax")),
    "tf.nn.softmax": lambda: network(KERAS.Activation(tf.nn.softmax)),
    "log-softmax": lambda: network(keras.ops.log_softmax),
    "cast afterwards": lambda: network(
        lambda x: KERAS.Activation("linear", dtype="float32")(KERAS.Softmax()(x))
    ),
    "reshaped afterwards": lambda: network(
        lambda x: KERAS.Reshape((1, 1, 3))(KERAS.Softmax()(x))
    ),
    "dropout afterwards": lambda: network(
        lambda x: KERAS.Dropout(0.5)(KERAS.Softmax()(x))
    ),
    "nested head": lambda: network(head_of_its_own),
    "nested": lambda: inside(network(activation="softmax")),
    "nested twice": lambda: inside(inside(network(keras.ops.softmax))),
    "scaled before": lambda: network(
        lambda x: KERAS.Softmax()(KERAS.Rescaling(0.5, 0)(KERAS.Rescaling(2.0)(x)))
    ),
    "logarithm of a softmax": lambda: network(
        lambda x: keras.ops.log(KERAS.Softmax()(x))
    ),
}
SIGMOID = {
    "in Dense": lambda units: network(units=units, activation="sigmoid"),
    "tf.nn.sigmoid": lambda units: network(units=units, activation=tf.nn.sigmoid),
    "layer": lambda units: network(KERAS.Activation("sigmoid"), units=units),
    "operation": lambda units: network(keras.ops.sigmoid, units=units),
    "nested": lambda units: inside(network(units=units, activation="sigmoid")),
}
REFUSED = {
    "own function": lambda: network(activation=lambda x: keras.ops.softmax(x)),
    "Lambda": lambda: network(KERAS.Lambda(lambda x: keras.ops.softmax(x))),
    "own layer": lambda: network(Squashing()),
    "own layer, cast": lambda: network(
        lambda x: KERAS.Activation("linear", dtype="float32")(Squashing()(x))
    ),
    "by hand": lambda: network(
        lambda x: keras.ops.exp(x) / keras.ops.sum(keras.ops.exp(x), -1, keepdims=True)
    ),
    "mean of two": lambda: network(
        lambda x: KERAS.Average()([KERAS.Softmax()(x), KERAS.Softmax()(2 * x)])
    ),
    "squashed twice": lambda: network(KERAS.Softmax(), activation="softmax"),
    "hard sigmoid": lambda: network(activation="hard_sigmoid"),
    "softmax of one score": lambda: network(units=1, activation="softmax"),
}


def check(model, logits, probabilities):
    """Every door of the library says the same."""
    scale = np.abs(logits).max()
    found = models.predict_logits(model, IMAGES)
    assert found.dtype == np.float32
    assert np.abs(found - logits).max() < 1e-5 * scale
    predicted = models.predict(model, IMAGES, batch_size=3)
    np.testing.assert_allclose(predicted, probabilities, atol=1e-6)
    np.testing.assert_allclose(predicting(model)(IMAGES), probabilities, atol=1e-6)
    (maps,) = cam.class_maps(model, IMAGES, method="hires_cam").values()
    total = maps.sum(axis=(2, 3))  # linear above: the logit without its bias
    kernel, bias = KERNELS[3], BIASES[3]
    if logits.shape[1] == 2:
        kernel, bias = (np.concatenate([-x[1], x[1]], -1) for x in (KERNELS, BIASES))
    assert np.abs(total + bias - logits).max() < 1e-5 * scale
    pixels = saliency.gradient(model, IMAGES)
    expected = np.einsum("nhwk,kc,ik->nchwi", (FEATURES > 0) / 36, kernel, MIX)
    assert np.abs(pixels - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("end", SOFTMAX)
def test_a_softmax_is_looked_through_in_whatever_words(end):
    model = SOFTMAX[end]()
    logits = logits_of(3)
    if end == "logarithm of a softmax":
        logits = np.log(softmax(logits))
        found = models.predict_logits(model, IMAGES)
        np.testing.assert_allclose(found, logits, atol=1e-4)
        np.testing.assert_allclose(
            models.predict(model, IMAGES), softmax(logits), atol=1e-6
        )
        return
    check(model, logits, softmax(logits))


@pytest.mark.parametrize("end", SIGMOID)
def test_a_sigmoid_for_each_class_is_looked_through(end):
    check(SIGMOID[end](3), logits_of(3), sigmoid(logits_of(3)))


@pytest.mark.parametrize("end", [*SIGMOID, "one logit"])
def test_one_unit_is_two_classes(end):
    model = network(units=1) if end == "one logit" else SIGMOID[end](1)
    z = logits_of(1)
    both = np.hstack([-z, z])
    check(model, both, sigmoid(both))
    np.testing.assert_allclose(models.predict(model, IMAGES).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("end", REFUSED)
def test_what_cannot_be_read_is_refused_by_all_in_one_sentence(end):
    model, said = REFUSED[end](), set()
    for ask in (
        models.predict,
        models.predict_logits,
        cam.class_maps,
        saliency.gradient,
    ):
        with pytest.raises(
            ValueError, match="logits of model .* cannot be read"
        ) as why:
            ask(model, IMAGES)
        said.add(str(why.value))
    assert len(said) == 1


@pytest.mark.parametrize("end", [*REFUSED][:6])
def test_the_remedy_works_for_probabilities(end):
    model = REFUSED[end]()
    x = keras.ops.log(model.outputs[0])
    told = keras.Model(model.inputs, KERAS.Identity(name="logits")(x))
    probabilities = np.asarray(model(IMAGES))
    np.testing.assert_allclose(models.predict(told, IMAGES), probabilities, atol=1e-6)
    (maps,) = cam.class_maps(told, IMAGES).values()
    assert np.abs(maps).max() > 0.01


def test_the_remedy_works_for_logits():
    model = network(KERAS.Lambda(lambda x: x + 1))
    told = keras.Model(model.inputs, KERAS.Identity(name="logits")(model.outputs[0]))
    np.testing.assert_allclose(
        models.predict_logits(told, IMAGES), logits_of(3) + 1, rtol=1e-5, atol=1e-4
    )


def test_an_output_that_is_no_row_of_scores_is_refused():
    x = inputs = keras.Input((6, 6, 3))
    x = KERAS.Conv2D(4, 1, name="scores")(x)
    model = keras.Model(inputs, x)
    for ask in (models.predict, cam.class_maps):
        with pytest.raises(ValueError, match=r"shape \(6, 6, 4\).*GlobalAverage"):
            ask(model, IMAGES)
    x = model.outputs[0]
    pooled = keras.Model(model.inputs, KERAS.GlobalAveragePooling2D()(x))
    place = keras.Model(model.inputs, x[:, 0, 0])
    at = np.asarray(model(IMAGES))
    np.testing.assert_allclose(
        models.predict_logits(pooled, IMAGES), at.mean(axis=(1, 2)), atol=1e-5
    )
    np.testing.assert_allclose(
        models.predict_logits(place, IMAGES), at[:, 0, 0], atol=1e-5
    )
    assert cam.class_maps(place, IMAGES)["scores"].shape == (4, 4, 6, 6)


def test_a_sure_network_is_not_squashed_twice():
    """A softmax of a softmax would be near .58."""
    model = network(keras.ops.softmax)
    model.get_layer("scores").set_weights([8 * KERNELS[3], BIASES[3]])
    probabilities = np.asarray(model(IMAGES))
    assert probabilities.max() > 0.999
    np.testing.assert_allclose(models.predict(model, IMAGES), probabilities, atol=1e-6)
    (maps,) = cam.class_maps(model, IMAGES).values()
    assert np.abs(maps).max() > 0.1
