"""Class activation maps: they show where in a picture the evidence for a class lies.

`class_maps` turns a model and pictures into maps, for all classes, layers and methods
in one compiled pass. Maps are raw: signed, in logit units, at the layer's own
resolution. ReLU, scaling and colour are display, and stand in `scenecam.images`.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from scenecam._engine import asked
from scenecam._engine.anatomy import anatomy_of, keep, one_question
from scenecam._engine.asked import check_classes, layer_names
from scenecam._engine.methods import (
    FOLDED,
    METHODS,
    cam,
    grad_cam,
    grad_cam_pp,
    hires_cam,
    layer_cam,
    mean_gradients,
    score_cam,
    weighted_sum,
    xgrad_cam,
)
from scenecam._engine.passes import compile_score, fold_pass, read_model, slices
from scenecam.images import upsample_map

__all__ = (
    ["METHODS", "class_maps", "layer_names", "average_layers"]
    + ["cam", "grad_cam", "grad_cam_pp", "hires_cam", "xgrad_cam", "layer_cam"]
    + ["score_cam", "mean_gradients", "weighted_sum"]
)


def class_maps(
    model: keras.Model,
    images: np.ndarray,
    *,
    method: str | Sequence[str] = "grad_cam",
    layers: str | Sequence[str] | None = None,
    classes: str | int | Sequence[int] | np.ndarray | None = None,
    batch_size: int = 32,
) -> dict:
    """Compute class maps of pictures: every class and layer in one pass per batch.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, nested or not, with logits, softmax or sigmoid on top.
        Softmax and sigmoid are looked through: maps explain the logits. The model is
        not changed.
    images : ndarray of shape (n, h, w, 3), uint8 or float
        In the range the model was trained on. May be a memory map.
    method : str or sequence of str
        One or more of `METHODS`.
    layers : str, sequence of str or None
        From `layer_names`; inside a nested model ``"base/block5_conv3"``. None is the
        last feature map, or for ``"cam"`` the one that is pooled.
    classes : None, int, sequence of int, ndarray of shape (n, k), or "predicted"
        None is every class; an array of two dimensions chooses k classes for each
        picture; "predicted" is each picture's class with the highest logit (k = 1).
        A model with one unit has two classes: class 1 is the unit, with the map of its
        logit, and class 0 its negative.
    batch_size : int
        Pictures (for Score-CAM: masked pictures) computed at a time.

    Returns
    -------
    dict
        Layer name to float32 ndarray of shape (n, k, h', w'): raw, signed, in logit
        units, at the layer's own resolution. If `method` is a sequence, a dict of
        method to such a dict.

    Raises
    ------
    TypeError, ValueError
        If something does not fit; the message says what came, what is possible and
        what to do.

    Notes
    -----
    Costs one forward pass, and one backward pass per class, whatever the number of
    layers and methods; at the layer below global average pooling only the forward
    pass. The first call traces the model, later calls with any number of pictures do
    not. More than 16 classes take a forward pass per 16, but for CAM and Grad-CAM at
    that layer.

    Examples
    --------
    >>> maps = class_maps(model, images)["features"]  # doctest: +SKIP
    >>> maps.shape  # pictures, classes, height, width  # doctest: +SKIP
    (8, 6, 12, 12)
    """
    methods = _check_methods(method)
    with one_question(model):
        names = _check_layers(model, layers, methods)
        images = asked.check_pictures(model, images)
        chosen = check_classes(model, classes, len(images))
        question, size = (model, images, names, chosen), {"batch_size": batch_size}
        folds = {name: FOLDED[name] for name in methods if name in FOLDED}
        found = fold_pass(*question, folds, **size)[0] if folds else {}
        if "score_cam" in methods:
            found["score_cam"] = _score_pass(*question, **size)
    found = {name: found[name] for name in methods}
    return found[method] if isinstance(method, str) else found


def average_layers(
    maps: Mapping[str, np.ndarray], *, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Average the maps of several layers into one, each layer scaled first.

    Early layers answer to edges and texture, late ones to things, in units that differ
    by orders of magnitude. So of each layer the evidence for the class (ReLU) is
    divided by its maximum, enlarged to the common size, and then averaged: a layer
    counts by its shape. A layer with no evidence for a class counts as zero.

    Parameters
    ----------
    maps : mapping of layer name to ndarray of shape (n, k, h, w), float32
        From `class_maps`.
    size : (int, int), optional
        Height and width of the result; default is that of the largest map.

    Returns
    -------
    ndarray of shape (n, k, height, width), float32
        In [0, 1], without unit.

    Raises
    ------
    ValueError
        If there is no map, or the maps are of different pictures or classes.
    """
    arrays = [np.asarray(each, np.float32) for each in maps.values()]
    if not arrays or len({each.shape[:2] for each in arrays}) != 1:
        shapes = {name: np.shape(each) for name, each in maps.items()}
        raise ValueError(
            "`maps` must hold at least one map (n, k, h, w), all of the same pictures "
            f"and classes; received {shapes}. Pass one result of class_maps."
        )
    if size is None:
        size = max((each.shape[2:] for each in arrays), key=lambda hw: hw[0] * hw[1])
    total = np.zeros((*arrays[0].shape[:2], *size), np.float32)
    for each in arrays:
        positive = np.maximum(each, 0)
        peak = positive.max(axis=(2, 3), keepdims=True)
        unit = np.divide(positive, peak, out=np.zeros_like(positive), where=peak > 0)
        total += upsample_map(unit, size)
    return total / len(arrays)


def _score_pass(model, images, layers, chosen, *, batch_size) -> dict:
    """Mask every picture by every channel and score it; return the maps by layer."""
    score = keep(model, "score", lambda: compile_score(model))
    found: dict[str, np.ndarray] = {}
    for index, classes in enumerate(chosen):
        outputs, logits = read_model(model, images[index : index + 1], layers)
        classes = np.where(classes < 0, np.argmax(logits), classes)
        picture = images[index].astype(np.float32)
        for layer, activations in outputs.items():
            some = slices(activations.shape[3], batch_size)
            scores = [score(picture, activations[0, ..., part]) for part in some]
            maps = score_cam(activations, np.concatenate(scores).T[classes][None])[0]
            shape = (*chosen.shape, *maps.shape[1:])
            found.setdefault(layer, np.empty(shape, np.float32))[index] = maps
    return found


def _check_methods(method: str | Sequence[str]) -> tuple[str, ...]:
    methods = (method,) if isinstance(method, str) else tuple(method)
    if not methods or not set(methods) <= set(METHODS):
        what = f"`method` must be one or more of {', '.join(METHODS)}"
        raise ValueError(f"{what}; received {method!r}.")
    return tuple(dict.fromkeys(methods))


def _check_layers(model, layers, methods) -> list[str]:
    if "cam" not in methods:
        return asked.find_layers(model, layers)
    anatomy = anatomy_of(model)
    if anatomy.head is None:
        raise ValueError(
            "CAM needs a model that ends in GlobalAveragePooling2D and one Dense, "
            f"and model '{model.name}' does not. Use method='grad_cam': it is the same "
            "up to a factor where CAM is defined, and is defined for every model."
        )
    if layers is None:
        layers = [name for name in anatomy.features if name not in anatomy.groups][-1:]
    names = asked.find_layers(model, layers)
    if wrong := [name for name in names if name not in anatomy.features]:
        raise ValueError(
            "CAM is defined only for the feature map that is pooled, "
            f"{' or '.join(map(repr, anatomy.features))}; received {wrong}. Use "
            "method='grad_cam' for other layers."
        )
    return names
