"""Networks: build them, save and load them, ask them.

Every network takes uint8 pictures, scales them in its first layer, names its last
feature maps ``features`` and gives back logits; :func:`predict` turns these into
probabilities.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers

from . import blocks, legacy

WEIGHTS = Path(__file__).resolve().parents[2] / "data" / "weights"


# ---- Build ---------------------------------------------------------------------------


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
    if len(widths) != len(depths):
        raise ValueError(
            "`widths` and `depths` need one number for each stage; "
            f"received {tuple(widths)} and {tuple(depths)}."
        )
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
    if len(widths) != len(dilations):
        raise ValueError(
            "`widths` and `dilations` need one number for each convolution; "
            f"received {tuple(widths)} and {dilations}."
        )
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


def vgg16(
    input_shape: tuple[int, int, int] = (96, 96, 3),
    *,
    num_classes: int = 6,
    width: float = 1.0,
    seed: int = 0,
) -> keras.Model:
    """Build VGG16: thirteen 3x3 convolutions in five blocks and three dense layers.

    Parameters
    ----------
    input_shape : tuple of (height, width, channels)
        Size of the pictures.
    num_classes : int
        How many logits come out.
    width : float
        Factor on the kernels of every convolution and the units of ``fc1``, ``fc2``.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Pictures (n, h, w, c), grey levels in [0, 255], to logits (n, num_classes).
        The layers are named as in ``keras.applications``: ``block1_conv1`` to ``fc2``.

    Notes
    -----
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition" (2015), table 1, column D.
    """
    inputs, x = _scaled_input(input_shape)
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
    return _draw_weights(keras.Model(inputs, outputs, name="vgg16"), seed)


def _scaled_input(input_shape):
    # A float input, not a uint8 one, so that gradients reach the pixels; Keras casts
    # uint8 pictures on the way in.
    inputs = keras.Input(input_shape, dtype="float32", name="image")
    return inputs, layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)


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


# ---- Ask -----------------------------------------------------------------------------


def predict(
    model: keras.Model, images: np.ndarray, *, batch_size: int = 64
) -> np.ndarray:
    """Give the probability of each class for each picture.

    Parameters
    ----------
    model : keras.Model
        A network of this module, or one that ends in a softmax.
    images : ndarray of shape (n, h, w, c), uint8
        May be a memory map; one batch of it is read at a time.
    batch_size : int
        Pictures that go through the model together.

    Returns
    -------
    ndarray of shape (n, k), float32
        Rows in [0, 1] that sum to one.

    Raises
    ------
    ValueError
        If `images` does not have the shape that the model takes.
    """
    logits = predict_logits(model, images, batch_size=batch_size)
    if not len(logits):
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def predict_logits(
    model: keras.Model, images: np.ndarray, *, batch_size: int = 64
) -> np.ndarray:
    """Give the logit of each class for each picture.

    Parameters
    ----------
    model : keras.Model
        As for :func:`predict`.
    images : ndarray of shape (n, h, w, c), uint8
        May be a memory map.
    batch_size : int
        Pictures that go through the model together.

    Returns
    -------
    ndarray of shape (n, k), float32
        Unbounded, signed. For a model that ends in a softmax: the logarithms of its
        probabilities, which are its logits up to one number per picture.

    Raises
    ------
    ValueError
        If `images` does not have the shape that the model takes.
    """
    wanted = model.input_shape[1:]
    given = np.shape(images)[1:]
    if len(given) != len(wanted) or any(
        side not in (None, got) for side, got in zip(wanted, given, strict=True)
    ):
        raise ValueError(
            f"`images` must have shape (n, {', '.join(map(str, wanted))}); received "
            f"{np.shape(images)}. Resize the pictures, and put a single one in a list "
            "of its own: image[np.newaxis]."
        )
    parts = [np.zeros((0, model.output_shape[-1]), "float32")]
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size], dtype="float32")
        parts.append(keras.ops.convert_to_numpy(model(batch, training=False)))
    outputs = np.concatenate(parts).astype("float32")
    if _ends_in_softmax(model):
        return np.log(np.maximum(outputs, np.finfo("float32").tiny))
    return outputs


def _ends_in_softmax(model):
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    return isinstance(last, layers.Softmax) or activation is keras.activations.softmax


# ---- Save and load -------------------------------------------------------------------


def save_model(
    model: keras.Model, path: str | os.PathLike, *, card: dict | None = None
) -> Path:
    """Write a network, without its optimizer, and a card that describes it.

    The file appears whole or not at all: it is written beside its place and moved.

    Parameters
    ----------
    model : keras.Model
        Compiled or not.
    path : path that ends in ``.keras``
        Folders on the way to it are made.
    card : dict, optional
        What a reader of the weights should know (data, seed, scores, ...); written to
        the same name with ``.json``, with the file's ``sha256`` and ``bytes`` added.

    Returns
    -------
    Path
        Where the network stands.

    Raises
    ------
    ValueError
        If `path` does not end in ``.keras``.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(
            f"a network is saved to a file that ends in .keras; received {path.name!r}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # A copy without the optimizer, whose state is twice the size of the weights.
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    partial = path.with_name(f".partial.{path.name}")
    try:
        bare.save(partial)
        if card is not None:
            card = dict(card, bytes=partial.stat().st_size, sha256=_sha256(partial))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if card is not None:
        text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
        partial = path.with_name(f".partial.{path.stem}.json")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path.with_suffix(".json"))
    return path


def load_model(path: str | os.PathLike) -> keras.Model:
    """Open a saved network, without running any code that the file may carry.

    Parameters
    ----------
    path : path of a ``.keras`` file, or of an ``.h5`` file of Keras 2
        Of the old files, Sequential networks of ordinary layers are rebuilt.

    Returns
    -------
    keras.Model

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, no Keras model, or holds code or unknown layers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no model file {path}. Train and save one with "
            "models.save_model, or take a shipped one with models.pretrained."
        )
    if path.suffix in (".h5", ".hdf5"):
        return legacy.load_h5(path)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = set(archive.namelist())
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(
            f"{path} is not a whole .keras file: it is cut short or of another kind. "
            "Copy or download it again."
        ) from error
    if damaged or not {"config.json", "model.weights.h5"} <= names:
        raise ValueError(
            f"{path} is not a whole Keras model: its part "
            f"{damaged or 'config.json or model.weights.h5'} is damaged or missing. "
            "Copy or download it again."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for files it refuses
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "?"
        raise ValueError(
            f"{path} cannot be opened safely; it may hold code (a Lambda layer) or "
            f"layers that Keras does not know. Keras says: {reason}"
        ) from error


def pretrained(name: str) -> keras.Model:
    """Open a network that the project ships, after checking that its file is whole.

    Parameters
    ----------
    name : str
        Such as ``"drawn-resnet"``: the pictures it learned from and its builder.

    Returns
    -------
    keras.Model

    Raises
    ------
    FileNotFoundError
        If no such network is shipped; the message lists those that are.
    ValueError
        If the file differs from the one that its card describes.
    """
    card = read_card(name)
    path = WEIGHTS / f"{name}.keras"
    if not path.is_file():
        raise FileNotFoundError(_what_is_there(name))
    if _sha256(path) != card.get("sha256"):
        raise ValueError(
            f"{path} is not the file that its card describes (SHA-256 differs). "
            "Restore both with git, or retrain them with `make weights`."
        )
    return load_model(path)


def read_card(name: str) -> dict:
    """Read what is known about shipped weights: data, seed, time, scores, history.

    Parameters
    ----------
    name : str
        As for :func:`pretrained`.

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If no such network is shipped; the message lists those that are.
    """
    path = WEIGHTS / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(_what_is_there(name))
    return json.loads(path.read_text(encoding="utf-8"))


def _what_is_there(name):
    there = ", ".join(sorted(path.stem for path in WEIGHTS.glob("*.keras")))
    return (
        f"there are no weights {name!r} in {WEIGHTS}; available: {there or 'none'}. "
        "`make weights` trains them."
    )


def _sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
