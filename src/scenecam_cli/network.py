"""A network for the command line: from a name or a file to answers about a batch.

`open_network` finds the weights, the names of their classes and the size of picture
they take, and checks all that is wanted on one picture; `Network.answer` then
gives probabilities and class maps of a batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from scenecam import cam, images
from scenecam._engine import asked, predictions
from scenecam._engine.anatomy import anatomy_of
from scenecam._engine.methods import FOLDED
from scenecam._engine.passes import fold_pass
from scenecam._models.weights import listed, nearest, open_weights

# Factor and offset that bring grey levels to the range a network was trained on, in the
# order of `asked.RANGES`; the networks of this project take 0 to 255.
PIXELS = {"255": (1.0, 0.0), "unit": (1 / 255, 0.0), "signed": (1 / 127.5, -1.0)}


class Answers(NamedTuple):
    """What a network says about n pictures."""

    probabilities: np.ndarray  # float32 (n, classes)
    classes: np.ndarray  # int (n, k): those whose maps follow
    maps: np.ndarray  # float32 (n, k, h', w'): raw, signed, in logit units


@dataclass(frozen=True)
class Network:
    """A network and what it is asked about every picture; see `open_network`."""

    model: keras.Model
    sha256: str  # of its file
    class_names: tuple[str, ...]
    size: tuple[int, int]  # height and width of the pictures that it takes
    channels: int  # 1 or 3
    pixels: str
    method: str | None
    layer: str | None
    classes: tuple[int, ...] | None  # those to explain; None is the predicted one

    def fit_picture(self, picture: np.ndarray) -> np.ndarray:
        """Bring a picture, uint8 (h, w, 3), to ``(*size, channels)``, uint8.

        It is stretched, not cropped; grey by the luma weights of ITU-R 601.
        """
        picture = images.resize_image(picture, self.size)
        if self.channels == 1:
            picture = np.array(Image.fromarray(picture).convert("L"))[..., None]
        return picture

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Give float32 probabilities (n, classes) of uint8 (n, *size, channels).

        Raises MemoryError if the batch is too large for the device.
        """
        with _enough_memory(len(batch)):
            pictures = scale_pixels(batch, self.pixels)
            return predictions.predict(self.model, pictures, batch_size=len(batch))

    def answer(self, batch: np.ndarray) -> Answers:
        """Give probabilities and class maps of pictures; as in `predict`."""
        number = len(batch)
        pictures = asked.check_pictures(self.model, scale_pixels(batch, self.pixels))
        wanted = "predicted" if self.classes is None else self.classes
        chosen = asked.check_classes(self.model, wanted, number)
        question, size = (self.model, pictures), {"batch_size": number}
        with _enough_memory(number):
            if self.method in FOLDED:  # one pass says both
                folds = {self.method: FOLDED[self.method]}
                found, logits = fold_pass(
                    *question, [self.layer], chosen, folds, **size
                )
                maps = found[self.method]
            else:
                logits = predictions.predict_logits(*question, **size)
                how = {"method": self.method, "layers": self.layer, "classes": wanted}
                maps = cam.class_maps(*question, **how, **size)
        classes = np.where(chosen < 0, logits.argmax(axis=1)[:, None], chosen)
        probabilities = predictions.probabilities_of(self.model, logits)
        return Answers(probabilities, classes, maps[self.layer])


def open_network(
    weights: str,
    *,
    method: str | None = None,
    layer: str | None = None,
    classes: str | Sequence[str] = "predicted",
    class_names: Sequence[str] | None = None,
    pixels: str | None = None,
    input_size: int | None = None,
) -> Network:
    """Open a network and check, on one striped picture, all that is wanted of it.

    Weights are as in `weights.open_weights`, method and layer as in `cam.class_maps`
    (without a method it is only asked to predict); `classes` to explain are "all",
    "predicted" or names. Without `class_names`, one for
    each class, those of the card beside the weights are taken, else ``class_0``,
    ``class_1``, ... The pixels are a key of `PIXELS`, by default `implied_pixels`; the
    input size is the height and width of the pictures, for a network that takes any.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no such weights, or the file is damaged, or a method, layer, class
        or size is unknown or not possible; the message names the nearest that is.
    """
    model, _, sha256, card = open_weights(weights)
    count = anatomy_of(model).num_classes
    names = _class_names(class_names or card.get("class_names"), count, weights)
    numbers = _class_numbers(classes, names)
    size, channels = _input(model, input_size)
    if method not in (None, *cam.METHODS):
        raise ValueError(
            f"there is no method {method!r}{nearest(method, cam.METHODS)}. "
            f"Possible: {', '.join(cam.METHODS)}."
        )
    pixels = pixels or implied_pixels(model)
    stripes = np.zeros((1, *size, channels), np.uint8)
    stripes[:, ::2] = 255
    sample = scale_pixels(stripes, pixels)
    if method is None:
        predictions.predict(model, sample)
    else:
        some = (0,) if numbers is None else numbers
        maps = cam.class_maps(model, sample, method=method, layers=layer, classes=some)
        (layer,) = maps
    given = (pixels, method, layer, numbers)
    return Network(model, sha256, names, size, channels, *given)


def implied_pixels(model: keras.Model) -> str:
    """Name the `PIXELS` that the first layers of a network ask for, else "255"."""
    ranges = asked.find_ranges(model) or [asked.BYTES]
    return dict(zip(asked.RANGES, PIXELS, strict=True))[ranges[0]]


def scale_pixels(batch: np.ndarray, pixels: str) -> np.ndarray:
    """Bring uint8 pictures to a range of `PIXELS`: uint8 as they are, or float32."""
    if pixels == "255":
        return batch
    factor, offset = PIXELS[pixels]
    return batch.astype(np.float32) * np.float32(factor) + np.float32(offset)


def _class_names(given, count: int, weights: str) -> tuple[str, ...]:
    names = tuple(given or (f"class_{number}" for number in range(count)))
    if len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"{weights} has {count} classes; received {len(names)} names, "
            f"{len(set(names))} of them different: {listed(names)}. Give "
            "--class-names one name for each class, in the order of the outputs."
        )
    return names


def _class_numbers(classes, names: tuple[str, ...]) -> tuple[int, ...] | None:
    if classes == "predicted":
        return None
    if classes == "all":
        return tuple(range(len(names)))
    for name in classes:
        if name not in names:
            raise ValueError(
                f"there is no class {name!r}{nearest(name, names)}. "
                f"The network knows: {listed(names)}."
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
    if any(side not in (None, input_size) for side in shape[:2]) and input_size:
        raise ValueError(
            f"the network takes pictures of {shape[0]} x {shape[1]} pixels, not of "
            f"--input-size {input_size}. Leave the option out."
        )
    return tuple(side or input_size for side in shape[:2]), shape[2]


@contextlib.contextmanager
def _enough_memory(count: int):
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise MemoryError(
            f"{count} pictures at a time do not fit into memory. Choose a smaller "
            "--batch-size."
        ) from None
