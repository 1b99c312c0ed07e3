"""What is asked of a model: pictures, classes and layers, checked against it."""

import difflib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from scenecam._engine.anatomy import anatomy_of


def check_pictures(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return `images` as an array that fits the model's input, or say what does not.

    Raises
    ------
    TypeError, ValueError
        For a wrong type, rank, size, number, dtype or range, or numbers not finite.
    """
    wanted, images = tuple(model.inputs[0].shape[1:]), np.asanyarray(images)
    shown = "(n, " + ", ".join("any" if d is None else str(d) for d in wanted) + ")"
    if images.dtype.kind not in "uif":
        raise TypeError(
            f"`images` must be an array of numbers, uint8 or float, of shape {shown}; "
            f"received {images.dtype}. Read pictures with scenecam.images.read_image."
        )
    if not fits(images.shape[1:], wanted):
        came = f"{images.shape}. Resize with scenecam.images.resize_image."
        if fits(images.shape, wanted):
            came = f"one picture {images.shape}. Pass images[None]."
        words = f"`images` must have the shape {shown} of model '{model.name}'"
        raise ValueError(f"{words}; received {came}")
    if not len(images):
        raise ValueError("`images` is empty: there is no picture to explain.")
    if images.dtype.kind == "f":
        _check_range(model, images)
    return images


def fits(shape, wanted) -> bool:
    """Whether a shape is one that a network takes; None stands for any size."""
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(None in p or p[0] == p[1] for p in pairs)


def _check_range(model: keras.Model, images: np.ndarray) -> None:
    low, high = float(np.min(images)), float(np.max(images))
    if not np.isfinite([low, high]).all():
        bad = [i for i, image in enumerate(images) if not np.isfinite(image).all()]
        raise ValueError(
            f"`images` must be finite; picture {bad[0]} holds NaN or infinite values "
            f"(in all {len(bad)} of {len(images)} pictures do). Leave them out."
        )
    layers = (x for x in model.layers if not isinstance(x, keras.layers.InputLayer))
    scales = isinstance(next(layers, None), keras.layers.Rescaling)
    takes_bytes = scales or model.inputs[0].dtype == "uint8"
    if takes_bytes and (low < 0 or high > 255 or 0 < high <= 1):
        raise ValueError(
            f"Model '{model.name}' scales its pictures itself and takes values from 0 "
            f"to 255; received {images.dtype} from {low:g} to {high:g}. Pass the "
            "unscaled uint8 pictures."
        )


def check_batch_size(batch_size: int) -> None:
    """Raise ValueError for a batch that holds no picture."""
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1; received {batch_size}.")


def check_classes(model: keras.Model, classes: Any, pictures: int) -> np.ndarray:
    """Return the wanted classes as int32 (n, k); -1 stands for the predicted class.

    Raises
    ------
    TypeError, ValueError
        If they are no whole numbers, out of range, or of the wrong shape.
    """
    count, came = anatomy_of(model).num_classes, f"received {classes!r}."
    if isinstance(classes, str):
        if classes == "predicted":
            return np.full((pictures, 1), -1, np.int32)
        words = "`classes` must be None, class indices or 'predicted'"
        raise ValueError(f"{words}; {came} A name's index: class_names.index(name).")
    chosen = np.arange(count) if classes is None else np.asarray(classes)
    numbered = f"Model '{model.name}' has {count} classes, numbered 0 to {count - 1}"
    if chosen.dtype.kind not in "ui" or chosen.size == 0:
        raise TypeError(f"{numbered}; `classes` must be such whole numbers; {came}")
    if chosen.min() < 0 or chosen.max() >= count:
        raise ValueError(f"{numbered}; {came}")
    if chosen.ndim < 2:
        chosen = np.tile(chosen, (pictures, 1))
    if chosen.ndim > 2 or len(chosen) != pictures:
        raise ValueError(
            "`classes` must have the shape (k,), or (n, k) with a row for each of the "
            f"{pictures} pictures; received {chosen.shape}."
        )
    return chosen.astype(np.int32)


def layer_names(model: keras.Model) -> list[str]:
    """Name the layers at which a class map can be drawn, in the order of execution.

    These are the layers with an output of shape (n, h, w, channels) and more than one
    cell; the last of them is the default of `cam.class_maps`. A layer inside a nested
    model has a path: ``"base/block5_conv3"``. A layer that the model calls more than
    once stands for its last call. Raises as `cam.class_maps` for what it cannot read.
    """
    anatomy = anatomy_of(model)
    names = [name for name in anatomy.sizes if name not in anatomy.groups]
    return [name for name in names if anatomy.sizes[name] != (1, 1)] or names


def find_layers(model: keras.Model, layers: str | Sequence[str] | None) -> list[str]:
    """Check layer names against the model; None is the last feature map.

    Raises
    ------
    ValueError
        If a name is unknown (the message lists the known ones, nearest first), or is no
        feature map, or does not influence the logits.
    """
    anatomy = anatomy_of(model)
    known = layer_names(model)
    if not known:
        what = f"Model '{model.name}' has no layer with an output (n, h, w, channels)"
        raise ValueError(f"{what}: a class map needs a convolutional network.")
    if layers is None:
        return [name for name in known if name in anatomy.reached][-1:]
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("`layers` is empty; name at least one, or pass None.")
    for name in names:
        if name not in anatomy.sizes:
            nearest = sorted(known, key=lambda other: -_likeness(str(name), other))
            raise ValueError(
                f"Model '{model.name}' has no feature map named {name!r}. Did you mean "
                f"{nearest[0]!r}? It has: {', '.join(nearest)}."
            )
        if name not in anatomy.reached:
            raise ValueError(
                f"The logits of model '{model.name}' do not depend on layer {name!r}: "
                f"it has no gradient. Choose one on the way to {anatomy.logits!r}."
            )
    return list(dict.fromkeys(names))


def _likeness(wanted: str, name: str) -> float:
    """Compare with the whole path and with its last part; the better one counts."""
    return max(
        difflib.SequenceMatcher(None, wanted.lower(), part.lower()).ratio()
        for part in (name, name.rsplit("/", 1)[-1])
    )
