"""A network for the command line: from a name or a file to answers about a batch.

`open_network` finds the weights, the names of their classes and the size of picture
they take, and checks all that is wanted on one grey picture; `Network.answer` then
gives probabilities and class maps of a batch.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from scenecam import cam, images, models
from scenecam._engine import anatomy, passes
from scenecam._models import weights as files

# Factor and offset that bring grey levels 0 to 255 to the range a network was trained
# on. Those of this project scale in their first layer.
PIXELS = {"255": None, "unit": (1 / 255, 0.0), "signed": (1 / 127.5, -1.0)}

SUFFIXES = (".keras", ".h5", ".hdf5")


class Answers(NamedTuple):
    """What a network says about n pictures.

    Attributes
    ----------
    probabilities : ndarray of shape (n, classes), float32
    classes : ndarray of shape (n, k), int
        The classes whose maps follow.
    maps : ndarray of shape (n, k, h', w'), float32
        Raw, signed, in logit units.
    """

    probabilities: np.ndarray
    classes: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True)
class Network:
    """A network and what it is asked about every picture.

    Attributes
    ----------
    model : keras.Model
    sha256 : str
        Of its file.
    class_names : tuple of str
        One for each logit.
    size : (int, int)
        Height and width of the pictures that it takes.
    channels : {1, 3}
        Grey or RGB.
    pixels : str
        Key of `PIXELS`.
    method, layer : str
        As in `cam.class_maps`.
    classes : tuple of int, or None
        The classes to explain; None is the predicted one.
    """

    model: keras.Model
    sha256: str
    class_names: tuple[str, ...]
    size: tuple[int, int]
    channels: int
    pixels: str
    method: str
    layer: str
    classes: tuple[int, ...] | None
    _read: Callable
    _squash: Callable

    def fit_picture(self, picture: np.ndarray) -> np.ndarray:
        """Bring a picture, uint8 (h, w, 3), to what the network takes.

        Returns
        -------
        ndarray of shape ``(*size, channels)``, uint8
            Stretched, not cropped; grey by the luma weights of ITU-R 601.
        """
        picture = images.resize_image(picture, self.size)
        if self.channels == 1:
            picture = np.array(Image.fromarray(picture).convert("L"))[..., None]
        return picture

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Give float32 probabilities (n, classes) of pictures ``(n, *size, channels)``.

        Raises
        ------
        MemoryError
            If the batch is too large for the device.
        """
        with _enough_memory(len(batch)):
            return self._squash(self._read(scale_pixels(batch, self.pixels)))

    def answer(self, batch: np.ndarray) -> Answers:
        """Give probabilities and class maps of uint8 pictures ``(n, *size, channels)``.

        Raises
        ------
        MemoryError
            If the batch is too large for the device.
        """
        batch = scale_pixels(batch, self.pixels)
        with _enough_memory(len(batch)):
            logits = self._read(batch)
            classes = np.argmax(logits, axis=1)[:, None]
            if self.classes is not None:
                classes = np.broadcast_to(self.classes, (len(batch), len(self.classes)))
            maps = cam.class_maps(
                self.model,
                batch,
                method=self.method,
                layers=self.layer,
                classes=classes,
                batch_size=len(batch),
            )
        return Answers(self._squash(logits), classes, maps[self.layer])


def open_network(
    weights: str,
    *,
    method: str = "grad_cam",
    layer: str | None = None,
    classes: str | Sequence[str] = "predicted",
    class_names: Sequence[str] | None = None,
    pixels: str = "255",
    input_size: int | None = None,
) -> Network:
    """Open a network and check, on one grey picture, all that is wanted of it.

    Parameters
    ----------
    weights : str
        Name of shipped weights, or path of a ``.keras`` file or a Keras 2 ``.h5`` file.
    method, layer
        As in `cam.class_maps`.
    classes : "all", "predicted" or sequence of str
        Which classes to explain.
    class_names : sequence of str, optional
        One for each logit; without it those of the card beside the weights, else
        ``class_0``, ``class_1``, ...
    pixels : str
        Key of `PIXELS`.
    input_size : int, optional
        Height and width of the pictures, for a network that takes any size.

    Returns
    -------
    Network

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    ValueError
        If the file is damaged, or a method, layer, class or size is unknown or not
        possible with this network; the message names the nearest that is.
    """
    model, sha256, card = _load(weights)
    count = anatomy.anatomy_of(model).num_classes
    if count == 1:
        raise ValueError(
            f"the network {weights} has one output, and a command that explains one "
            "class among others needs two or more. In Python, cam.class_maps explains "
            "it: its map speaks for the class, the negative map for the other."
        )
    names = _class_names(class_names, card, count, weights)
    numbers = None if classes == "predicted" else _class_numbers(classes, names)
    size, channels = _input(model, input_size)
    if method not in cam.METHODS:
        raise ValueError(
            f"there is no method {method!r}{_nearest(method, cam.METHODS)}. "
            f"Possible: {', '.join(cam.METHODS)}."
        )
    sample = scale_pixels(np.full((1, *size, channels), 128, np.uint8), pixels)
    asked = (0,) if numbers is None else numbers
    maps = cam.class_maps(model, sample, method=method, layers=layer, classes=asked)
    compiled = passes.compile_read(model, [], sample.dtype.name)

    def read(batch):
        return compiled(tf.constant(batch))[1].numpy()

    logits = read(sample)
    outputs = np.asarray(model(sample.astype(np.float32), training=False)).ravel()
    # With a sigmoid on every logit, several classes may be true at once.
    several = np.allclose(outputs, _sigmoid(logits).ravel(), atol=1e-5)
    return Network(
        model=model,
        sha256=sha256,
        class_names=names,
        size=size,
        channels=channels,
        pixels=pixels,
        method=method,
        layer=next(iter(maps)),
        classes=numbers,
        _read=read,
        _squash=_sigmoid if several else _softmax,
    )


def scale_pixels(batch: np.ndarray, pixels: str) -> np.ndarray:
    """Bring uint8 pictures to a range of `PIXELS`: uint8 as they are, or float32."""
    if PIXELS[pixels] is None:
        return batch
    factor, offset = PIXELS[pixels]
    return batch.astype(np.float32) * np.float32(factor) + np.float32(offset)


def find_file(weights: str) -> Path:
    """Say which file is meant by the name of shipped weights, or by a path.

    Raises
    ------
    FileNotFoundError
        If there is none; the message names the nearest that is shipped.
    """
    known = files.names()
    path = Path(weights).expanduser()
    if weights in known:
        return files.WEIGHTS / f"{weights}.keras"
    if not path.is_file():
        raise FileNotFoundError(
            f"there are no weights {weights!r}{_nearest(weights, known)}. Name a "
            f"file that ends in {', '.join(SUFFIXES)}, or one of the shipped: "
            f"{', '.join(known) or 'none'}."
        )
    return path


def _load(weights: str) -> tuple[keras.Model, str, dict]:
    """Return the model, the SHA-256 of its file and its card."""
    path = find_file(weights)
    if weights in files.names():
        model = models.pretrained(weights)
    else:
        model = models.load_model(path)
    return model, files.sha256_of(path), files.read_card(path)


def _class_names(given, card: dict, count: int, weights: str) -> tuple[str, ...]:
    names = tuple(given or card.get("class_names") or ())
    if not names:
        return tuple(f"class_{number}" for number in range(count))
    if len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"{weights} has {count} classes; received {len(names)} names, "
            f"{len(set(names))} of them different: {_listed(names)}. Give "
            "--class-names one name for each class, in the order of the outputs."
        )
    return names


def _class_numbers(classes, names: tuple[str, ...]) -> tuple[int, ...]:
    if classes == "all":
        return tuple(range(len(names)))
    for name in classes:
        if name not in names:
            raise ValueError(
                f"there is no class {name!r}{_nearest(name, names)}. "
                f"The network knows: {_listed(names)}."
            )
    return tuple(names.index(name) for name in dict.fromkeys(classes))


def _input(model: keras.Model, input_size: int | None) -> tuple[tuple[int, int], int]:
    """Return the height, width and channels of the network's pictures."""
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError(
            f"the network takes inputs of shape {shape}; expected pictures (height, "
            "width, 3) or (height, width, 1)."
        )
    if None in shape[:2] and input_size is None:
        raise ValueError(
            "the network takes pictures of any size. Say with --input-size which "
            "height and width it should see, best those that it was trained on."
        )
    fits = [side is None or input_size in (None, side) for side in shape[:2]]
    if not all(fits):
        raise ValueError(
            f"the network takes pictures of {shape[0]} x {shape[1]} pixels, not of "
            f"--input-size {input_size}. Leave the option out."
        )
    return tuple(side or input_size for side in shape[:2]), shape[2]


def _nearest(wanted: str, known: Sequence[str]) -> str:
    """Half a sentence that names the nearest of the known words, if one is near."""
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wanted.lower(), lower, n=1)
    return f" (did you mean {lower[near[0]]!r}?)" if near else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more


@contextlib.contextmanager
def _enough_memory(count: int):
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise MemoryError(
            f"{count} pictures at a time do not fit into memory. Choose a smaller "
            "--batch-size."
        ) from None


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * logits)
