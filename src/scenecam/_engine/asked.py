"""What is asked of a model: pictures, classes and layers, checked against it."""

import difflib
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from scenecam._engine.anatomy import Anatomy, anatomy_of, keep, tap_model

# Ranges of pictures, and how those of 0 to 255 are brought there.
BYTES = (0, 255)
RANGES = {
    BYTES: "the unscaled uint8 pictures",
    (0, 1): "the uint8 pictures / 255",
    (-1, 1): "the uint8 pictures / 127.5 - 1",
}


def check_pictures(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return `images` as an array that fits the model's input, or say what does not.

    Raises
    ------
    TypeError, ValueError
        For a wrong type, rank, size, number, dtype or range, or numbers not finite.
    """
    anatomy_of(model)
    wanted = tuple(model.inputs[0].shape[1:])
    shown = "(n, " + ", ".join("any" if d is None else str(d) for d in wanted) + ")"
    resized = "np.stack([scenecam.images.resize_image(np.asarray(image), "
    resized += f"{wanted[:2]}) for image in images])"
    listed = images if isinstance(images, list | tuple) else ()
    if len(shapes := {np.shape(image) for image in listed}) > 1:
        raise ValueError(
            f"`images` must be one array of shape {shown}; received a list of "
            f"pictures of {len(shapes)} shapes. Pass {resized}."
        )
    images = np.asanyarray(images)
    if images.dtype.kind not in "uif":
        raise TypeError(
            f"`images` must be an array of numbers, uint8 or float, of shape {shown}; "
            f"received {images.dtype}. Read pictures with scenecam.images.read_image."
        )
    if not fits(images.shape[1:], wanted):
        came, remedy = images.shape, f"Pass {resized}."
        if fits(came, wanted):
            came, remedy = f"one picture {came}", "Pass np.asarray(images)[None]."
        elif fits(came[1:], (*wanted[:2], 4)) and wanted[2:] == (3,):
            remedy = "Drop the transparency: images[..., :3]."
        elif fits(came[1:], wanted[:2]):
            remedy = f"Pass np.repeat(images[..., None], {wanted[-1]}, axis=-1)."
        words = f"`images` must have the shape {shown} of model '{model.name}'"
        raise ValueError(f"{words}; received {came}. {remedy}")
    if not len(images):
        raise ValueError("`images` is empty: there is no picture to explain.")
    _check_range(model, images)
    return images


def fits(shape, wanted) -> bool:
    """Whether a shape is one that a network takes; None stands for any size."""
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(None in p or p[0] == p[1] for p in pairs)


def _check_range(model: keras.Model, images: np.ndarray) -> None:
    ranges = find_ranges(model)
    if images.dtype == np.uint8 and (not ranges or BYTES in ranges):
        return
    low, high = float(np.min(images)), float(np.max(images))
    if not (-np.inf < low and high < np.inf):  # nor if one is NaN
        bad = [i for i, image in enumerate(images) if not np.isfinite(image).all()]
        raise ValueError(
            f"`images` must be finite; picture {bad[0]} holds NaN or infinite values "
            f"(in all {len(bad)} of {len(images)} pictures do). Leave them out."
        )
    if not ranges:
        return
    least, most = min(ranges)[0], max(top for _, top in ranges)
    outside = max(least - low, high - most) > 1e-3 * (most - least)  # but rounding
    small = ranges == [BYTES] and 0 < high <= 1
    if images.dtype == np.uint8 or outside or small:
        raise ValueError(
            f"Model '{model.name}' scales its pictures itself and takes values from "
            f"{least:g} to {most:g}; received {images.dtype} from {low:g} to {high:g}. "
            f"Pass {RANGES[ranges[0]]}."
        )


class _Reached(BaseException):
    """Ends a run; Keras would give another name to an Exception."""


def find_ranges(model: keras.Model) -> list[tuple[int, int]]:
    """Find the `RANGES` that the steps before the first weights bring to a usual one.

    Pictures of one value are sent there. The list is empty if the values arrive as they
    are, or in no usual range: then nothing is known about the pictures.
    """
    return keep(model, "ranges", lambda: _send_levels(model))


def _send_levels(model: keras.Model) -> list[tuple[int, int]]:
    levels = np.array([-1, 0, 1, 255], np.float32)

    def listen(call):
        scales = isinstance(call.layer, keras.layers.Normalization)
        if getattr(call.layer, "weights", ()) and not (scales or call.symbolic):
            raise _Reached(call.inputs[0])
        return call.output

    sides = [side or 32 for side in model.inputs[0].shape[1:]]
    pictures = np.broadcast_to(levels.reshape(-1, *[1] * len(sides)), (4, *sides))
    try:
        tap_model(model, listen)(pictures, training=False)
        return []
    except _Reached as reached:
        values = keras.ops.convert_to_numpy(reached.args[0])
    if values.ndim == 4:  # in the middle, away from padding
        values = values[:, values.shape[1] // 2, values.shape[2] // 2]
    values = values.reshape(4, -1).astype(np.float64)
    if np.allclose(values, levels[:, None]):
        return [BYTES] if model.inputs[0].dtype == "uint8" else []
    exact, likely = [], []
    for ends in RANGES:
        arrived = values[np.isin(levels, ends)]
        low, high = np.min(arrived), np.max(arrived)
        if any(np.allclose((low, high), usual, atol=0.02) for usual in RANGES):
            exact.append(ends)
        # As after taking off a mean, dividing by a standard deviation, or both.
        usual = 0.99 < high - low < 10 or 200 < high - low < 300
        if usual and low <= 0 <= high and ends != (-1, 1):
            likely.append(ends)
    return exact or likely


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

    These are the layers with an output of shape (n, h, w, channels), in which h and w
    are places of the picture, and more than one cell. A layer inside a nested model has
    a path: ``"base/block5_conv3"``. One that the model calls more than once is listed
    for each call: ``"base:1"``, ``"base:2"``. Raises as `cam.class_maps` for what it
    cannot read.
    """
    anatomy = anatomy_of(model)
    names = [name for name in anatomy.sizes if name not in anatomy.groups]
    return [name for name in names if anatomy.sizes[name] != (1, 1)] or names


def find_layers(model: keras.Model, layers: str | Sequence[str] | None) -> list[str]:
    """Check layer names against the model; None is its last feature map.

    That is the last on all ways to the logits; a warning says if convolutions follow.

    Raises
    ------
    ValueError
        If a name is unknown (the message lists the known ones, nearest first), or is no
        feature map, or does not influence the logits.
    """
    anatomy = anatomy_of(model)
    if not anatomy.last or len(model.inputs[0].shape) != 4:
        shape = "(n, " + ", ".join(map(str, model.inputs[0].shape[1:])) + ")"
        raise ValueError(
            f"Model '{model.name}', which takes arrays {shape}, has no feature map: a "
            "class map needs pictures (n, h, w, channels) and a layer with such an "
            "output. Explain one with convolutions, or ask models.predict."
        )
    if layers is None:
        return [_last_map(model, anatomy)]
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("`layers` is empty; name at least one, or pass None.")
    for name in names:
        if name in anatomy.repeated:
            calls = [c for c in layer_names(model) if c.rpartition(":")[0] == name]
            raise ValueError(
                f"Model '{model.name}' calls layer {name!r} more than once. Ask for "
                f"{' or '.join(map(repr, calls))}."
            )
        if name not in anatomy.sizes:
            nearest = sorted(layer_names(model), key=lambda n: -_likeness(str(name), n))
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


def _last_map(model: keras.Model, anatomy: Anatomy) -> str:
    """The layer that is explained if none is asked for."""
    last, size = anatomy.last, anatomy.sizes[anatomy.last]
    if anatomy.tokens:
        path, shape = next(iter(anatomy.tokens.items()))
        raise ValueError(
            f"The last feature map of model '{model.name}' is {last!r}, {size}; after "
            f"it come tokens or steps, {path!r} of {shape}, no places. Bring tokens "
            "to their grid inside the model, keras.layers.Reshape((height, width, "
            f"channels)) on the way to the logits, or ask for layers={last!r}."
        )
    if anatomy.convolutions:
        warnings.warn(
            f"Layer {last!r} of model '{model.name}' is explained, the last feature "
            "map of more than one cell on all ways to the logits; convolutions come "
            f"after it, as {anatomy.convolutions[-1]!r}. Ask for another by `layers`.",
            stacklevel=4,
        )
    return last


def _likeness(wanted: str, name: str) -> float:
    """Compare with the whole path and with its last part; the better one counts."""
    return max(
        difflib.SequenceMatcher(None, wanted.lower(), part.lower()).ratio()
        for part in (name, name.rsplit("/", 1)[-1])
    )
