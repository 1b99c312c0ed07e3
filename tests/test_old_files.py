"""Files of Keras 2, held against Keras 2 itself: its outputs, or a refusal."""

import numpy as np
import pytest
from small_networks import refused

from scenecam import models

keras2 = pytest.importorskip("tf_keras", reason="tf_keras, Keras 2, is not installed")
layers = keras2.layers
pytestmark = pytest.mark.filterwarnings("ignore:.*saving your model as an HDF5 file")
SIDES = (8, 8, 3)


def chain(*inner):
    """A network of layers in a row, with the answers of four classes."""
    head = [layers.Flatten(), layers.Dense(4)]
    return keras2.Sequential([layers.Input(SIDES), *inner, *head])


def graph(make):
    x = layers.Input(SIDES)
    return keras2.Model(x, layers.Dense(4)(layers.Flatten()(make(x))))


def conv(filters=3, **settings):
    return layers.Conv2D(filters, 3, padding="same", **settings)


def adapted():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(1).normal(3, 2, (9, *SIDES)).astype("float32"))
    return layer


def block(name):
    x = layers.Input(SIDES)
    y = layers.BatchNormalization()(layers.Add()([conv()(x), x]))
    return keras2.Model(x, y, name=name)


def frozen(how):
    """A nested network; Keras 2 writes what is frozen last."""
    inner = block("inner")
    (inner if how == "whole" else inner.layers[1]).trainable = False
    return inner


def thrice(layer):
    def join(x):
        return layers.Concatenate()(
            [layer(x), layer(layers.ReLU()(x)), layer(layer(x))]
        )

    return join


# Some layers of one row each: they are checked together, and fail together.
ROWS = {
    "ReLU(6)": lambda: [conv(), layers.ReLU(6.0)],
    "ReLU with a slope": lambda: [layers.ReLU(negative_slope=0.2)],
    "ReLU with a threshold": lambda: [layers.ReLU(0.9, 0.1, 0.3)],
    "leaky": lambda: [layers.LeakyReLU(0.13), layers.ELU(0.7)],
    "PReLU": lambda: [layers.PReLU(), layers.PReLU(shared_axes=[1, 2])],
    "Softmax": lambda: [layers.Softmax(axis=[1, 2]), layers.Softmax()],
    "BatchNormalization": lambda: [
        layers.BatchNormalization(epsilon=0.1),
        layers.BatchNormalization(axis=1, scale=False),
        layers.BatchNormalization(center=False, renorm=True),
    ],
    "LayerNormalization": lambda: [
        layers.LayerNormalization(epsilon=0.1),
        layers.LayerNormalization(axis=[1, 2, 3]),
        layers.GroupNormalization(3),
    ],
    "Conv2D in groups": lambda: [conv(6, groups=3, strides=2)],
    "Conv2D, dilated": lambda: [conv(4, dilation_rate=2, kernel_regularizer="l2")],
    "functions": lambda: [
        conv(activation=name)
        for name in ("swish", "gelu", "selu", "mish", "softsign", "exponential")
    ],
    "a layer as activation": lambda: [conv(activation=layers.LeakyReLU(0.2))],
    "depthwise": lambda: [
        layers.DepthwiseConv2D(3, depth_multiplier=2, depthwise_regularizer="l2"),
        layers.SeparableConv2D(4, 3, depth_multiplier=2),
    ],
    "Conv2DTranspose": lambda: [
        layers.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1),
        layers.Conv2DTranspose(2, 3, strides=2),
    ],
    "edges": lambda: [
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Cropping2D(((0, 1), (2, 0))),
    ],
    "UpSampling2D": lambda: [
        layers.UpSampling2D((2, 3)),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.UpSampling2D(2, interpolation="bicubic"),
    ],
    "pooling": lambda: [
        layers.MaxPooling2D(3, 2, "same"),
        layers.AveragePooling2D(3, 1, "same"),
        layers.GlobalAveragePooling2D(keepdims=True),
    ],
    "channels first": lambda: [
        conv(4, data_format="channels_first"),
        layers.MaxPooling2D(2, data_format="channels_first"),
        layers.GlobalMaxPooling2D(data_format="channels_first"),
    ],
    "shapes": lambda: [
        layers.Permute((2, 3, 1)),
        layers.Reshape((4, -1, 3)),
        layers.Activation("sigmoid"),
        layers.Flatten(data_format="channels_first"),
    ],
    "dropouts": lambda: [
        layers.Dropout(0.5, seed=3),
        layers.SpatialDropout2D(0.5),
        layers.GaussianNoise(0.5),
        layers.AlphaDropout(0.5),
    ],
    "augmentation": lambda: [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomContrast(0.1),
    ],
    "scaling": lambda: [
        layers.Rescaling([0.5, 1.0, 2.0], -0.5),
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0]),
        layers.Resizing(6, 7),
    ],
    "Normalization, adapted": lambda: [adapted()],
    "Normalization, nested": lambda: [
        keras2.Sequential([layers.Input(SIDES), adapted()]),
    ],
    "steps": lambda: [
        layers.TimeDistributed(layers.Conv1D(4, 3, padding="causal")),
        layers.Reshape((8, -1)),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.GRU(3),
    ],
    "half precision": lambda: [conv(dtype="mixed_float16"), layers.Activation("relu")],
    "a network in a row": lambda: [block("inner"), keras2.Sequential([conv(2)])],
}
GRAPHS = {
    "joins": lambda x: layers.Concatenate(axis=1)(
        [
            kind()([x, conv()(x)])
            for kind in (layers.Add, layers.Multiply, layers.Subtract, layers.Maximum)
        ]
    ),
    "a layer called thrice": thrice(conv()),
    "a network called thrice": thrice(block("inner")),
    "frozen": frozen("whole"),
    "frozen in part": frozen("in part"),
    "called as at inference": lambda x: block("inner")(x, training=False),
}


@pytest.mark.parametrize("name", [*ROWS, *GRAPHS])
def test_a_file_answers_as_in_keras_2(name, tmp_path, rng):
    model = chain(*ROWS[name]()) if name in ROWS else graph(GRAPHS[name])
    if not name.startswith("Normalization"):
        model.set_weights([rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    model.save(tmp_path / "net.h5")
    own = keras2.models.load_model(tmp_path / "net.h5", compile=False)
    images = rng.uniform(-1, 2, (2, *SIDES)).astype("float32")
    expected = own(images, training=False).numpy()
    found = np.asarray(models.load_model(tmp_path / "net.h5")(images, training=False))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: conv(activation="hard_sigmoid")(x), "'hard_sigmoid', which Keras 3"),
        (lambda x: x * 2 + 1, "kind 'TFOpLambda', which Keras 3 does not know"),
        (lambda x: x[:, ::2], "kind 'SlicingOpLambda'"),
        (lambda x: layers.ThresholdedReLU(0.4)(x), "kind 'ThresholdedReLU'"),
        (lambda x: layers.LocallyConnected2D(3, 3)(x), "kind 'LocallyConnected2D'"),
    ],
)
def test_what_keras_3_computes_otherwise_is_refused(make, words, tmp_path):
    graph(make).save(tmp_path / "net.h5")
    refused(tmp_path / "net.h5", words + ".* let its load_weights read this file")


# ---- The advice, followed


@pytest.fixture
def old_model():
    """A network with another in it, whose .keras file Keras 3 cannot read."""
    return graph(block("inner"))


def check_same(path, model, rng):
    images = rng.uniform(-1, 2, (2, *SIDES)).astype("float32")
    expected = model(images, training=False).numpy()
    found = models.load_model(path)(images, training=False)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-5)


def test_a_keras_file_of_keras_2_opens_once_saved_as_h5(old_model, tmp_path, rng):
    old_model.save(tmp_path / "net.keras")
    refused(tmp_path / "net.keras", r"a \.keras file of Keras 2.*save it as \.h5")
    again = keras2.models.load_model(tmp_path / "net.keras")
    again.save(tmp_path / "net.h5")
    check_same(tmp_path / "net.h5", old_model, rng)


def test_a_saved_model_of_keras_2_opens_once_saved_as_h5(old_model, tmp_path, rng):
    folder = tmp_path / "net"
    old_model.save(folder, save_format="tf")
    with pytest.raises(ValueError, match="SavedModel folder of Keras 2") as caught:
        models.load_model(folder)
    assert f"tf_keras: load_model('{folder}').save('net.h5')" in str(caught.value)
    keras2.models.load_model(folder).save(tmp_path / "net.h5")
    check_same(tmp_path / "net.h5", old_model, rng)


def test_a_network_built_anew_reads_the_weights(tmp_path, rng):
    from keras import Input, Model
    from keras import layers as new

    old = graph(lambda x: keras2.activations.hard_sigmoid(conv(4)(x / 255.0)))
    old.save(tmp_path / "net.h5")
    refused(tmp_path / "net.h5", "other layers of Keras 3, let its load_weights")
    x = Input(SIDES)
    y = new.Conv2D(4, 3, padding="same")(new.Rescaling(1 / 255)(x))
    y = new.ReLU(max_value=1.0)(new.Rescaling(0.2, 0.5)(y))
    model = Model(x, new.Dense(4)(new.Flatten()(y)))
    model.load_weights(tmp_path / "net.h5")
    models.save_model(model, tmp_path / "net.keras")
    check_same(tmp_path / "net.keras", old, rng)


def test_names_of_many_weights_stand_in_parts(tmp_path, rng):
    inner = [layers.PReLU(name=f"layer_{i}_{'x' * 4000}") for i in range(18)]
    model = chain(keras2.Sequential([layers.Input(SIDES), *inner]))
    model.set_weights([rng.uniform(0.9, 1.1, w.shape) for w in model.get_weights()])
    model.save(tmp_path / "net.h5")
    check_same(tmp_path / "net.h5", model, rng)
