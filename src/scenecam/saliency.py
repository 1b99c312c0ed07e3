"""Maps in the space of the pixels: they show which pixels would change the logit.

Gradients of one class's logit with respect to the picture, plain, guided and
integrated; Guided Grad-CAM, which multiplies guided gradients with Grad-CAM; and
occlusion, which asks the model itself. All are raw and signed. As in `scenecam.cam`, a
softmax on top is looked through and the model is never changed: guided gradients come
from a compiled pass of their own, so that none can leak into a Grad-CAM.
"""

import keras
import numpy as np
import tensorflow as tf

from scenecam._engine.anatomy import anatomy_of, keep
from scenecam._engine.passes import (
    PIXELS,
    check_classes,
    check_pictures,
    compile_pass,
    compile_scores,
)
from scenecam.cam import class_maps


def relu_names(model: keras.Model) -> list[str]:
    """Name the ReLUs that `guided_backpropagation` guides, in the order of execution.

    ReLU layers, activation arguments of other layers and ``keras.ops.relu`` count, at
    any depth of nested models; a ReLU inside a layer of one's own making does not.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential.

    Returns
    -------
    list of str
        Paths as in `cam.layer_names`.
    """
    return list(anatomy_of(model).relus)


def gradient(
    model: keras.Model, images: np.ndarray, *, classes=None, batch_size: int = 32
) -> np.ndarray:
    """Compute the gradient of the logits with respect to the pixels.

    dS_c / dx, the saliency of Simonyan et al. (ICLR workshop 2014), with its sign.

    Parameters
    ----------
    model, images, classes, batch_size
        As in `cam.class_maps`.

    Returns
    -------
    ndarray of shape (n, k, h, w, 3), float32
        Signed, in logits per unit of pixel value.

    Raises
    ------
    TypeError, ValueError
        As `cam.class_maps`.

    Notes
    -----
    Costs one forward pass, and one backward pass per class.
    """
    images = check_pictures(model, images)
    chosen = check_classes(model, classes, len(images))
    return _pixel_gradients(model, images, chosen, batch_size, guided=False)


def guided_backpropagation(
    model: keras.Model, images: np.ndarray, *, classes=None, batch_size: int = 32
) -> np.ndarray:
    """Compute guided gradients: at every ReLU only positive gradients go further back.

    At a ReLU y = max(z, 0) the true gradient is dS/dz = [z > 0] dS/dy; the guided one
    is [z > 0] [dS/dy > 0] dS/dy (Springenberg et al., ICLR workshop 2015). The result
    is sharp, but hardly depends on the class or on the weights of the late layers
    (Adebayo et al., NeurIPS 2018): it shows the picture's edges rather than the model's
    reasons.

    Parameters
    ----------
    model, images, classes, batch_size
        As in `cam.class_maps`.

    Returns
    -------
    ndarray of shape (n, k, h, w, 3), float32
        Signed, in logits per unit of pixel value, but not the gradient of any function.

    Raises
    ------
    TypeError, ValueError
        As `cam.class_maps`; also if the model has no ReLU to guide, since the result
        would silently be the plain gradient.

    Notes
    -----
    Costs one forward pass, and one backward pass per class.
    """
    if not relu_names(model):
        raise ValueError(
            f"Model '{model.name}' has no ReLU on the way to its logits, so there is "
            "nothing to guide; the result would be the plain gradient. Use "
            "saliency.gradient, or build the model with keras.layers.ReLU."
        )
    images = check_pictures(model, images)
    chosen = check_classes(model, classes, len(images))
    return _pixel_gradients(model, images, chosen, batch_size, guided=True)


def guided_grad_cam(
    model: keras.Model,
    images: np.ndarray,
    *,
    layer: str | None = None,
    classes=None,
    batch_size: int = 32,
) -> np.ndarray:
    """Multiply guided gradients with the enlarged Grad-CAM map.

    relu(M_c), enlarged bilinearly to the picture, times the guided gradient: section
    3.2 of Selvaraju et al. (ICCV 2017). Grad-CAM itself is taken without any guiding.

    Parameters
    ----------
    model, images, classes, batch_size
        As in `cam.class_maps`.
    layer : str, optional
        Of the Grad-CAM map; default is the last feature map.

    Returns
    -------
    ndarray of shape (n, k, h, w, 3), float32
        Signed; zero wherever Grad-CAM finds no evidence for the class.

    Raises
    ------
    TypeError, ValueError
        As `guided_backpropagation`.

    Notes
    -----
    Costs two forward passes, and two backward passes per class.
    """
    pixels = guided_backpropagation(
        model, images, classes=classes, batch_size=batch_size
    )
    maps = class_maps(
        model, images, layers=layer, classes=classes, batch_size=batch_size
    )
    (maps,) = maps.values()
    flat = np.maximum(maps, 0).reshape(-1, *maps.shape[2:], 1)
    large = tf.image.resize(flat, pixels.shape[2:4]).numpy()
    return pixels * large.reshape(*pixels.shape[:4], 1)


def integrated_gradients(
    model: keras.Model,
    images: np.ndarray,
    *,
    baseline: float | np.ndarray = 0.0,
    steps: int = 32,
    classes=None,
    batch_size: int = 32,
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate the gradient along the straight line from a baseline to the picture.

    (x - x0) times the mean of dS_c/dx over the line, equation 1 of Sundararajan et al.
    (ICML 2017), by the midpoint rule. The integral sums to S_c(x) - S_c(x0) exactly;
    what the sum with finitely many steps leaves open is returned with it.

    Parameters
    ----------
    model, images, classes, batch_size
        As in `cam.class_maps`.
    baseline : float or ndarray
        The picture without information, in the range of `images`: a number, a colour
        (3,), one picture, or one per picture.
    steps : int
        Points on the line.

    Returns
    -------
    attributions : ndarray of shape (n, k, h, w, 3), float32
        Signed, in logits.
    gap : ndarray of shape (n, k), float32
        Their sum minus (S_c(x) - S_c(x0)), in logits: the error of the sum.

    Raises
    ------
    TypeError, ValueError
        As `cam.class_maps`; also for fewer than one step, or a baseline that does not
        fit the pictures.

    Notes
    -----
    Costs `steps` forward passes, and `steps` backward passes per class.
    """
    images = check_pictures(model, images).astype(np.float32)
    chosen = check_classes(model, classes, len(images))
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1; received {steps}.")
    try:
        start = np.broadcast_to(np.asarray(baseline, np.float32), images.shape)
    except ValueError:
        raise ValueError(
            f"`baseline` must be a number, a colour, a picture or pictures that fit "
            f"{images.shape}; received shape {np.shape(baseline)}."
        ) from None
    line = images - start
    total = 0.0
    for step in range(steps):
        points = start + line * np.float32((step + 0.5) / steps)
        total += _pixel_gradients(model, points, chosen, batch_size, guided=False)
    attributions = line[:, None] * total / steps
    rise = _logits(model, images, batch_size) - _logits(model, start, batch_size)
    chosen = _resolved(model, images, chosen, batch_size)
    gap = attributions.sum(axis=(2, 3, 4)) - np.take_along_axis(rise, chosen, axis=1)
    return attributions.astype(np.float32), gap.astype(np.float32)


def occlusion(
    model: keras.Model,
    images: np.ndarray,
    *,
    patch: int = 16,
    stride: int = 8,
    fill: float | np.ndarray | None = None,
    classes=None,
    batch_size: int = 32,
) -> np.ndarray:
    """Measure by how much the logit falls when a square of the picture is covered.

    S_c(x) - S_c(x with the square covered), for squares on a grid: Zeiler and Fergus
    (ECCV 2014). It uses no gradient and nothing inside the model.

    Parameters
    ----------
    model, images, classes, batch_size
        As in `cam.class_maps`.
    patch : int
        Side of the square, in pixels.
    stride : int
        From one square to the next, in pixels; the last ones touch the border.
    fill : float or ndarray of shape (3,), optional
        Colour of the square; default is the picture's mean colour.

    Returns
    -------
    ndarray of shape (n, k, rows, columns), float32
        Signed, in logits; positive where the square held evidence for the class.

    Raises
    ------
    TypeError, ValueError
        As `cam.class_maps`; also if the square does not fit into the picture.

    Notes
    -----
    Costs one forward pass per square, for all classes together.
    """
    images = check_pictures(model, images)
    chosen = check_classes(model, classes, len(images))
    height, width = images.shape[1:3]
    if not 1 <= patch <= min(height, width) or stride < 1:
        raise ValueError(
            f"`patch` must be from 1 to {min(height, width)}, the picture's shorter "
            f"side, and `stride` at least 1; received {patch} and {stride}."
        )
    tops, lefts = (_starts(size, patch, stride) for size in (height, width))
    chosen = _resolved(model, images, chosen, batch_size)
    before = _logits(model, images, batch_size)
    drops = np.empty((*chosen.shape, len(tops), len(lefts)), np.float32)
    for index, image in enumerate(images):
        colour = image.mean(axis=(0, 1)) if fill is None else np.asarray(fill)
        if images.dtype.kind in "ui":
            colour = np.rint(colour)  # an assignment would cut the fraction off
        for row, top in enumerate(tops):
            covered = np.repeat(image[None], len(lefts), axis=0)
            for picture, left in zip(covered, lefts, strict=True):
                picture[top : top + patch, left : left + patch] = colour
            after = _logits(model, covered, batch_size)
            drops[index, :, row] = (before[index] - after).T[chosen[index]]
    return drops


def _starts(size: int, patch: int, stride: int) -> list[int]:
    """First pixels of the squares along one side; the last one ends at the border."""
    return [*range(0, size - patch, stride), size - patch]


def _pixel_gradients(
    model, images, chosen: np.ndarray, batch_size: int, *, guided: bool
) -> np.ndarray:
    def fold(_: tf.Tensor, gradients: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"gradient": gradients}

    dtype = "uint8" if images.dtype == np.uint8 else "float32"
    count = chosen.shape[1]
    step = keep(
        model,
        ("pixels", guided, count, dtype),
        lambda: compile_pass(model, [PIXELS], count, dtype, fold, guided=guided),
    )
    parts = []
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        batch, classes = tf.constant(images[rows], dtype), tf.constant(chosen[rows])
        parts.append(step(batch, classes)[PIXELS]["gradient"].numpy())
    return np.concatenate(parts)


def _logits(model, images: np.ndarray, batch_size: int) -> np.ndarray:
    dtype = "uint8" if images.dtype == np.uint8 else "float32"
    read, _ = keep(
        model, ("scores", (), dtype), lambda: compile_scores(model, (), dtype)
    )
    batches = range(0, len(images), batch_size)
    parts = [
        read(tf.constant(images[start : start + batch_size], dtype))[1].numpy()
        for start in batches
    ]
    return np.concatenate(parts)


def _resolved(model, images, chosen: np.ndarray, batch_size: int) -> np.ndarray:
    """Put the class with the highest logit in the place of -1."""
    if chosen.min() >= 0:
        return chosen
    best = _logits(model, images, batch_size).argmax(axis=1)[:, None]
    return np.where(chosen < 0, best, chosen)
