"""Networks: every builder, and, by the same names as ever, files and questions.

Every network takes uint8 pictures, scales them in its first layer, names its last
feature maps ``features`` and gives back logits; :func:`predict` turns these into
probabilities. Saving and loading are done in `files`, asking in `predictions`; both
are meant to be called from here, as ``models.load_model`` and ``models.predict``.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from scenecam import blocks
from scenecam._engine.predictions import predict as predict
from scenecam._engine.predictions import predict_logits as predict_logits
from scenecam._models import imagenet
from scenecam._models.weights import WEIGHTS as WEIGHTS
from scenecam._models.weights import load_model as load_model
from scenecam._models.weights import pretrained as pretrained
from scenecam._models.weights import read_card as read_card
from scenecam._models.weights import save_model as save_model


def plain_cnn(
    input_shape: tuple[int, int, int] = (96, 96, 3),
    *,
    num_classes: int = 6,
    widths: Sequence[int] = (16, 32, 64),
    convolutions: int = 1,
    units: int = 64,
    seed: int = 0,
) -> keras.Model:
    """Build a first network: convolutions and pooling, then flatten and dense layers.

    Parameters
    ----------
    input_shape : tuple of (height, width, channels)
        Size of the pictures.
    num_classes : int
        How many logits come out.
    widths : sequence of int
        Kernels per convolution of each stage; every stage ends in 2x2 max-pooling.
    convolutions : int
        3x3 convolutions per stage; many of them make a deep plain network, in which
        gradients vanish.
    units : int
        Size of the dense layer between the flattened maps and the logits.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Pictures (n, h, w, c), grey levels in [0, 255], to logits (n, num_classes).
    """
    inputs, x = _scaled_input(input_shape)
    for stage, width in enumerate(widths, start=1):
        for step in range(1, convolutions + 1):
            name = f"stage{stage}_conv{step}"
            x = layers.Conv2D(width, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, activation="relu", name="dense")(x)
    outputs = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return _draw_weights(keras.Model(inputs, outputs, name="plain_cnn"), seed)


def seed_resnet(
    input_shape: tuple[int, int, int] = (96, 96, 3),
    *,
    num_classes: int = 6,
    width: int = 64,
    stages: int = 4,
    seed: int = 0,
) -> keras.Model:
    """Build the report's residual network: pooling on the main and the short path.

    A stem (7x7 convolution with step 2, normalisation, ReLU, 3x3 max-pooling with step
    2) is followed by stages of one convolution block and two identity blocks. One thing
    is mended: the mean over all places stands where a 2x2 pooling of a 3x3 map
    once threw the last row and column away.

    Parameters
    ----------
    input_shape : tuple of (height, width, channels)
        Size of the pictures.
    num_classes : int
        How many logits come out.
    width : int
        Kernels of the stem; stage s works with ``width * 2**(s - 1)`` and gives out
        four times as many maps. 64 is the report's; 8 to 16 trains on a laptop.
    stages : int
        Each halves the size: 96 pixels end as 3x3 maps after three, 2x2 after four.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Pictures (n, h, w, c), grey levels in [0, 255], to logits (n, num_classes).
    """
    inputs, x = _scaled_input(input_shape)
    x = blocks.conv_norm(x, width, kernel=7, stride=2, prefix="stem_", name="1")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage in range(1, stages + 1):
        inner = width * 2 ** (stage - 1)
        filters = (inner, inner, 4 * inner)
        x = blocks.pooled_conv_block(x, filters, name=f"stage{stage}_block1")
        x = blocks.identity_block(x, filters, name=f"stage{stage}_block2")
        x = blocks.identity_block(x, filters, name=f"stage{stage}_block3")
    outputs = blocks.classifier(x, num_classes)
    return _draw_weights(keras.Model(inputs, outputs, name="seed_resnet"), seed)


def resnet(
    input_shape: tuple[int, int, int] = (96, 96, 3),
    *,
    num_classes: int = 6,
    stem: int = 24,
    widths: Sequence[int] = (32, 64, 128),
    depths: Sequence[int] = (1, 1, 2),
    seed: int = 0,
) -> keras.Model:
    """Build a small residual network that trains on two processor cores.

    A strided 3x3 stem, then stages of basic residual blocks; every stage but the first
    halves the size, so that 96 pixels end as 12x12 maps: coarse enough to have seen
    the scene, fine enough for a class activation map.

    Parameters
    ----------
    input_shape : tuple of (height, width, channels)
        Size of the pictures.
    num_classes : int
        How many logits come out.
    stem : int
        Kernels of the first convolution.
    widths, depths : sequence of int
        Kernels and residual blocks of each stage.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Pictures (n, h, w, c), grey levels in [0, 255], to logits (n, num_classes).

    Raises
    ------
    ValueError
        If `widths` and `depths` differ in length.
    """
    _check_same_length(widths, "depths", depths, each="stage")
    inputs, x = _scaled_input(input_shape)
    x = blocks.conv_norm(x, stem, stride=2, prefix="stem_", name="1")
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        for block in range(1, depth + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            name = f"stage{stage}_block{block}"
            x = blocks.residual_block(x, width, stride=stride, name=name)
    outputs = blocks.classifier(x, num_classes)
    return _draw_weights(keras.Model(inputs, outputs, name="resnet"), seed)


def gap_cnn(
    input_shape: tuple[int, int, int] = (96, 96, 3),
    *,
    num_classes: int = 6,
    widths: Sequence[int] = (16, 32, 64, 128, 256),
    dilations: Sequence[int] | None = None,
    normalise: bool = False,
    seed: int = 0,
) -> keras.Model:
    """Build a network without pooling, whose class maps have the picture's resolution.

    Parameters
    ----------
    input_shape : tuple of (height, width, channels)
        Size of the pictures.
    num_classes : int
        How many logits come out.
    widths : sequence of int
        Kernels of each 3x3 convolution, step 1.
    dilations : sequence of int, optional
        Gap between the taps of each convolution; 1 everywhere unless given. Five plain
        3x3 convolutions see 11x11 pixels, with gaps 1, 2, 4, 8, 16 they see 63x63.
    normalise : bool
        Whether batch normalisation stands between a convolution and its ReLU.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Pictures (n, h, w, c), grey levels in [0, 255], to logits (n, num_classes).

    Raises
    ------
    ValueError
        If `widths` and `dilations` differ in length.
    """
    dilations = (1,) * len(widths) if dilations is None else tuple(dilations)
    _check_same_length(widths, "dilations", dilations, each="convolution")
    inputs, x = _scaled_input(input_shape)
    for step, (width, gap) in enumerate(zip(widths, dilations, strict=True), start=1):
        if normalise:
            x = blocks.conv_norm(x, width, dilation=gap, name=str(step))
        else:
            x = layers.Conv2D(
                width,
                3,
                dilation_rate=gap,
                padding="same",
                activation="relu",
                name=f"conv{step}",
            )(x)
    outputs = blocks.classifier(x, num_classes)
    return _draw_weights(keras.Model(inputs, outputs, name="gap_cnn"), seed)


def gap_resnet(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    *,
    num_classes: int = 4,
    widths: Sequence[int] = (48, 48, 64, 64),
    dilations: Sequence[int] = (1, 2, 4, 4),
    seed: int = 0,
) -> keras.Model:
    """Build a residual network without pooling: class maps as large as the picture.

    A 3x3 convolution, then residual blocks whose step is always 1; kernels with gaps
    see far all the same.

    Parameters
    ----------
    input_shape : tuple of (height, width, channels)
        Size of the pictures.
    num_classes : int
        How many logits come out.
    widths : sequence of int
        Kernels of each block; the first convolution has as many as the first block.
    dilations : sequence of int
        Gap between the taps of both convolutions of each block. With 1, 2, 4, 4 a
        number of the last map sees 47x47 pixels.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Pictures (n, h, w, c), grey levels in [0, 255], to logits (n, num_classes).

    Raises
    ------
    ValueError
        If `widths` and `dilations` differ in length.

    Notes
    -----
    Yu, Koltun and Funkhouser, "Dilated residual networks" (CVPR 2017), section 2: gaps
    in place of steps keep the resolution of the maps.
    """
    _check_same_length(widths, "dilations", dilations, each="block")
    inputs, x = _scaled_input(input_shape)
    x = blocks.conv_norm(x, widths[0], prefix="stem_", name="1")
    for step, (width, gap) in enumerate(zip(widths, dilations, strict=True), start=1):
        x = blocks.residual_block(x, width, dilation=gap, name=f"block{step}")
    outputs = blocks.classifier(x, num_classes)
    return _draw_weights(keras.Model(inputs, outputs, name="gap_resnet"), seed)


def vgg16(
    input_shape: tuple[int, int, int] | None = None,
    *,
    num_classes: int | None = None,
    width: float = 1.0,
    weights: str | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build VGG16: thirteen 3x3 convolutions in five blocks and three dense layers.

    Parameters
    ----------
    input_shape : tuple of (height, width, channels), optional
        Size of the pictures; (96, 96, 3) by default, (224, 224, 3) for ImageNet.
    num_classes : int, optional
        How many logits come out; 6 by default, 1000 for ImageNet.
    width : float
        Factor on the kernels of every convolution and the units of ``fc1``, ``fc2``.
    weights : {"imagenet"}, optional
        What ImageNet taught the full network; Keras downloads it once. The pictures
        stay uint8 and RGB: the mean is subtracted in the first layer. The names of the
        classes are given by `imagenet.top_names`.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Pictures (n, h, w, c), grey levels in [0, 255], to logits (n, num_classes).
        The layers are named as in ``keras.applications``: ``block1_conv1`` to ``fc2``.

    Raises
    ------
    ValueError
        If `weights` is something else, or is asked for another size of network.
    ConnectionError
        If the weights cannot be downloaded.

    Notes
    -----
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition" (2015), table 1, column D.
    """
    learned = weights is not None
    if learned:
        wanted = (input_shape or (224, 224, 3), num_classes or 1000, width)
        if weights != "imagenet" or wanted != ((224, 224, 3), 1000, 1.0):
            raise ValueError(
                "`weights` must be None or 'imagenet', and those of ImageNet are for "
                "`input_shape` (224, 224, 3), `num_classes` 1000 and `width` 1; "
                f"received {weights!r} for {wanted[0]}, {wanted[1]} and {wanted[2]}."
            )
        path = imagenet.fetch(*imagenet.WEIGHTS)
    input_shape = input_shape or ((224, 224, 3) if learned else (96, 96, 3))
    num_classes = num_classes or (1000 if learned else 6)
    inputs, x = _scaled_input(input_shape, subtract=imagenet.MEANS if learned else None)
    plan = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
    for block, (convolutions, filters) in enumerate(plan, start=1):
        for step in range(1, convolutions + 1):
            x = layers.Conv2D(
                max(1, round(filters * width)),
                3,
                padding="same",
                activation="relu",
                name=f"block{block}_conv{step}",
            )(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="flatten")(x)
    units = max(1, round(4096 * width))
    x = layers.Dense(units, activation="relu", name="fc1")(x)
    x = layers.Dense(units, activation="relu", name="fc2")(x)
    outputs = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    model = keras.Model(inputs, outputs, name="vgg16")
    return imagenet.fill(model, path) if learned else _draw_weights(model, seed)


def _check_same_length(widths, name, numbers, *, each):
    if len(widths) != len(numbers):
        raise ValueError(
            f"`widths` and `{name}` need one number for each {each}; "
            f"received {tuple(widths)} and {tuple(numbers)}."
        )


def _scaled_input(input_shape, *, subtract=None):
    # A float input, not a uint8 one, so that gradients reach the pixels; Keras casts
    # uint8 pictures on the way in.
    inputs = keras.Input(input_shape, dtype="float32", name="image")
    if subtract is None:
        scaling = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")
    else:
        scaling = layers.Rescaling(1.0, offset=[-m for m in subtract], name="rescaling")
    return inputs, scaling(inputs)


def _draw_weights(model, seed):
    # NumPy draws the kernels, so one seed gives the same network on every backend and
    # leaves the caller's random state alone. Variance 2 / fan-in: He et al., "Delving
    # Deep into Rectifiers" (2015), equation 10; half of it where no ReLU follows.
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.Dense):
            shape = layer.kernel.shape
            gain = 1.0 if layer.name == "logits" else 2.0
            scale = np.sqrt(gain / np.prod(shape[:-1]))
            layer.kernel.assign(rng.normal(0.0, scale, shape).astype("float32"))
    return model
