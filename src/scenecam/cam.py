"""Class activation maps: where in a picture is the evidence for a class?

`class_maps` turns a model and pictures into maps. All methods are small functions of the
same two arrays, a layer's output (the feature maps, or activations) and the gradient of
one class's logit with respect to it; `passes.compile_pass` computes both, for all layers
and classes in one compiled pass. Maps are raw: signed, in logit units, at the layer's
own resolution. Scaling, ReLU and colour are display, see `scenecam.images`.

In the equations, A_k(x, y) is channel k of the activations, S_c the logit of class c,
Z = h * w the number of cells.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from scenecam.passes import anatomy_of, compile_pass, find_layers, keep, layer_names

__all__ = [
    "METHODS",
    "cam",
    "class_maps",
    "grad_cam",
    "layer_names",
]

# Backward passes unrolled into one compiled pass; more classes take several passes.
CLASSES_PER_PASS = 16


def cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Class activation map: the channels, weighted by the class's dense weights.

    M_c(x, y) = sum_k w_kc A_k(x, y), equation 2 of Zhou et al. (2016), where w_kc is the
    weight from the average of channel k to class c. With global average pooling
    dS_c/dA_k(x, y) = w_kc / Z in every cell, so w_kc is the sum of the gradients.

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        The layer that is averaged by global average pooling.
    gradients : tensor of shape (n, h, w, channels) or (n, 1, 1, channels), float32
        Of one class's logit.

    Returns
    -------
    tensor of shape (n, h, w), float32
        Signed, in logits: its mean over the cells plus the class's bias is the logit.

    Notes
    -----
    Costs one forward pass for all classes together.
    """
    cells = tf.cast(tf.reduce_prod(tf.shape(activations)[1:3]), tf.float32)
    return cells * grad_cam(activations, gradients)


def grad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM: the channels, weighted by their mean gradient.

    a_kc = 1/Z sum_xy dS_c/dA_k(x, y), M_c(x, y) = sum_k a_kc A_k(x, y): equations 1 and 2
    of Selvaraju et al. (2017), without the final ReLU, which is left to the display.

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        Any layer's output.
    gradients : tensor of shape (n, h, w, channels) or (n, 1, 1, channels), float32
        Of one class's logit.

    Returns
    -------
    tensor of shape (n, h, w), float32
        Signed, in logits; positive where the cell speaks for the class.

    Notes
    -----
    Costs one forward pass and one backward pass per class.
    """
    weights = tf.reduce_mean(gradients, axis=(1, 2))
    return tf.einsum("nhwk,nk->nhw", activations, weights)


METHODS = {"cam": cam, "grad_cam": grad_cam}


def class_maps(
    model: keras.Model,
    images: np.ndarray,
    *,
    method: str | Sequence[str] = "grad_cam",
    layers: str | Sequence[str] | None = None,
    classes: str | int | Sequence[int] | np.ndarray | None = None,
    batch_size: int = 32,
) -> dict:
    """Compute the class maps of pictures, for every class, in one pass per batch.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, nested or not, with logits, softmax or sigmoid on top.
        A softmax or sigmoid is looked through: maps explain the logits. The model is not
        changed.
    images : ndarray of shape (n, h, w, 3), uint8 or float
        In the range the model was trained on. May be a memory map.
    method : str or sequence of str
        One or more of `METHODS`.
    layers : str, sequence of str or None
        From `layer_names`; a layer of a nested model is ``"base/block5_conv3"``. None is
        the last feature map (for ``"cam"``: the one that is pooled).
    classes : None, int, sequence of int, ndarray of shape (n, k), or "predicted"
        None is every class; an array chooses k classes for each picture; "predicted" is
        each picture's class with the highest logit (k = 1). A model with one sigmoid
        unit has one class, 0: the unit. The other class's map is its negative.
    batch_size : int
        Pictures held in memory at a time.

    Returns
    -------
    dict
        Layer name to float32 ndarray of shape (n, k, h', w'): raw, signed, in logit
        units, at the layer's own resolution. If `method` is a sequence, a dict of method
        to such a dict.

    Raises
    ------
    TypeError, ValueError
        If something does not fit; the message says what came, what is possible and what
        to do.

    Examples
    --------
    >>> maps = class_maps(model, images)["features"]  # (n, 6, 12, 12)
    >>> both = class_maps(model, images, method=("cam", "grad_cam"))  # doctest: +SKIP
    """
    methods = _check_methods(method)
    names = _check_layers(model, layers, methods)
    images = check_pictures(model, images)
    chosen = _check_classes(model, classes, len(images))
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1; received {batch_size}.")

    rounds = -(-chosen.shape[1] // CLASSES_PER_PASS)
    count = -(-chosen.shape[1] // rounds)  # classes per round, the last one padded
    dtype = "uint8" if images.dtype == np.uint8 else "float32"
    step = keep(
        model,
        ("maps", methods, tuple(names), count, dtype),
        lambda: compile_pass(model, names, count, dtype, _fold(methods)),
    )
    columns = np.minimum(np.arange(rounds * count), chosen.shape[1] - 1)
    found: dict = {}
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        batch = tf.constant(images[rows], dtype)
        for first in range(0, len(columns), count):
            some = columns[first : first + count]
            part = step(batch, tf.constant(chosen[rows][:, some]))
            _put(found, part, rows, some, len(images), chosen.shape[1])
    return found if not isinstance(method, str) else found[method]


def _fold(methods: Sequence[str]):
    def fold(activations: tf.Tensor, gradients: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: METHODS[name](activations, gradients) for name in methods}

    return fold


def _put(found, part, rows, columns, pictures, classes) -> None:
    """Copy one pass's maps, [layer][method] (n, c, h, w), to their place in `found`."""
    for layer, by_method in part.items():
        for method, maps in by_method.items():
            maps = maps.numpy()
            place = found.setdefault(method, {})
            if layer not in place:
                shape = (pictures, classes, *maps.shape[2:])
                place[layer] = np.empty(shape, np.float32)
            place[layer][rows, columns] = maps


def _check_methods(method: str | Sequence[str]) -> tuple[str, ...]:
    methods = (method,) if isinstance(method, str) else tuple(method)
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise ValueError(
            f"`method` must be one or more of {', '.join(METHODS)}; received {method!r}."
        )
    return tuple(dict.fromkeys(methods))


def _check_layers(model, layers, methods) -> list[str]:
    anatomy = anatomy_of(model)
    if "cam" in methods and anatomy.gap is None:
        raise ValueError(
            f"CAM needs a model that ends in GlobalAveragePooling2D and one Dense layer; "
            f"model '{model.name}' does not. Use method='grad_cam', which is the same up "
            "to a factor where CAM is defined, and is defined for every model."
        )
    if "cam" in methods and layers is None:
        layers = [name for name in layer_names(model) if name in anatomy.features][-1:]
    names = find_layers(model, layers)
    wrong = [name for name in names if name not in anatomy.features]
    if "cam" in methods and wrong:
        raise ValueError(
            f"CAM is defined only for the feature maps that are pooled, "
            f"{' or '.join(map(repr, anatomy.features))}; received {wrong}. Use "
            "method='grad_cam' for other layers."
        )
    return names


def check_pictures(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return `images` as an array that fits the model's input, or say what does not.

    Raises
    ------
    TypeError, ValueError
        For a wrong type, rank, size, number, dtype, range, or numbers that are not finite.
    """
    wanted = tuple(model.inputs[0].shape[1:])
    shown = "(n, " + ", ".join("any" if d is None else str(d) for d in wanted) + ")"
    images = images if isinstance(images, np.ndarray) else np.asarray(images)
    if images.dtype.kind not in "uif":
        raise TypeError(
            f"`images` must be an array of numbers, uint8 or float, of shape {shown}; "
            f"received {images.dtype}. Read pictures with scenecam.images.read_image."
        )
    if images.shape[-len(wanted) :] == wanted and images.ndim == len(wanted):
        raise ValueError(
            f"`images` must be a batch {shown}; received one picture {images.shape}. "
            "Pass images[None]."
        )
    fits = images.ndim == len(wanted) + 1 and all(
        want in (None, have)
        for want, have in zip(wanted, images.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"`images` must have the shape {shown} that model '{model.name}' was built "
            f"for; received {images.shape}. Resize with scenecam.images.resize_image."
        )
    if not len(images):
        raise ValueError("`images` is empty: there is no picture to explain.")
    if images.dtype.kind == "f":
        _check_range(model, images)
    return images


def _check_range(model: keras.Model, images: np.ndarray) -> None:
    low, high = float(np.min(images)), float(np.max(images))
    if not np.isfinite(low) or not np.isfinite(high):
        bad = [i for i, image in enumerate(images) if not np.isfinite(image).all()]
        raise ValueError(
            f"`images` must be finite; picture {bad[0]} holds NaN or infinite values "
            f"({len(bad)} of {len(images)} pictures do)."
        )
    if _scales_itself(model) and (low < 0 or high > 255 or 0 < high <= 1):
        raise ValueError(
            f"Model '{model.name}' scales its pictures itself and takes values from 0 to "
            f"255; received {images.dtype} from {low:g} to {high:g}. Pass the unscaled "
            "uint8 pictures."
        )


def _scales_itself(model: keras.Model) -> bool:
    if model.inputs[0].dtype == "uint8":
        return True
    layers = [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    return bool(layers) and isinstance(layers[0], keras.layers.Rescaling)


def _check_classes(model, classes, pictures: int) -> np.ndarray:
    """Return the classes as int32 (n, k); -1 stands for the predicted class."""
    count = anatomy_of(model).num_classes
    if isinstance(classes, str):
        if classes != "predicted":
            raise ValueError(
                f"`classes` must be None, class indices or 'predicted'; received "
                f"{classes!r}. A class name's index is class_names.index(name)."
            )
        return np.full((pictures, 1), -1, np.int32)
    chosen = np.arange(count) if classes is None else np.asarray(classes)
    if chosen.dtype.kind not in "ui" or chosen.size == 0:
        raise TypeError(
            f"`classes` must be whole numbers from 0 to {count - 1}; received {classes!r}."
        )
    if chosen.min() < 0 or chosen.max() >= count:
        raise ValueError(
            f"Model '{model.name}' has {count} classes, numbered 0 to {count - 1}; "
            f"received {classes!r}."
        )
    if chosen.ndim == 2 and len(chosen) != pictures:
        raise ValueError(
            f"`classes` of two dimensions must have a row for each of the {pictures} "
            f"pictures; received shape {chosen.shape}."
        )
    if chosen.ndim > 2:
        raise ValueError(f"`classes` must be (k,) or (n, k); received {chosen.shape}.")
    if chosen.ndim < 2:
        chosen = np.broadcast_to(chosen.ravel(), (pictures, chosen.size))
    return chosen.astype(np.int32)
