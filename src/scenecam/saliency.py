"""Maps in the space of the pixels: they show which pixels would change the logit.

Gradients of one class's logit with respect to the picture, plain, guided and
integrated; Guided Grad-CAM, which multiplies guided gradients with Grad-CAM; and
occlusion, which asks the model itself. As in `scenecam.cam`, a softmax on top is looked
through and the model is never changed: guided gradients come from a compiled pass of
their own, so that none can leak into a Grad-CAM.

All take a model, pictures, ``classes`` and ``batch_size`` as `cam.class_maps` does, and
raise TypeError or ValueError as it does. All maps are raw, signed, float32, with the
classes as second axis.
"""

import keras
import numpy as np

from scenecam._engine.anatomy import anatomy_of
from scenecam._engine.asked import check_classes, check_pictures
from scenecam._engine.passes import PIXELS, fold_pass, read_model
from scenecam.cam import class_maps
from scenecam.images import upsample_map


def relu_names(model: keras.Model) -> list[str]:
    """Name the ReLUs that `guided_backpropagation` guides, in the order of execution.

    ReLU layers, activation arguments of other layers, ``keras.ops.relu`` and
    ``tf.nn.relu`` count, at any depth of nested models; a ReLU inside a layer of one's
    own making does not. Paths as in `cam.layer_names`.
    """
    return list(anatomy_of(model).relus)


def gradient(
    model: keras.Model, images: np.ndarray, *, classes=None, batch_size: int = 32
) -> np.ndarray:
    """Compute the gradient of the logits with respect to the pixels.

    dS_c / dx, the saliency of Simonyan et al. (ICLR workshop 2014), with its sign.

    Returns
    -------
    ndarray of shape (n, k, h, w, 3), float32
        In logits per unit of pixel value.

    Notes
    -----
    Costs one forward pass, and one backward pass per class.
    """
    return _pixel_gradients(*_asked(model, images, classes), batch_size)


def guided_backpropagation(
    model: keras.Model, images: np.ndarray, *, classes=None, batch_size: int = 32
) -> np.ndarray:
    """Compute guided gradients: at every ReLU only positive gradients go further back.

    At a ReLU y = max(z, 0) the true gradient is dS/dz = [z > 0] dS/dy; the guided one
    is [z > 0] [dS/dy > 0] dS/dy (Springenberg et al., ICLR workshop 2015). The result
    is sharp, but hardly depends on the class or on the weights of the late layers
    (Adebayo et al., NeurIPS 2018): it shows the picture's edges rather than the model's
    reasons.

    Returns
    -------
    ndarray of shape (n, k, h, w, 3), float32
        In logits per unit of pixel value, but not the gradient of any function.

    Raises
    ------
    ValueError
        Also if the model has no ReLU to guide, since the result would silently be the
        plain gradient.

    Notes
    -----
    Costs what `gradient` costs.
    """
    if not relu_names(model):
        raise ValueError(
            f"Model '{model.name}' has no ReLU on the way to its logits, so there is "
            "nothing to guide; the result would be the plain gradient. Use "
            "saliency.gradient, or build the model with keras.layers.ReLU."
        )
    return _pixel_gradients(*_asked(model, images, classes), batch_size, guided=True)


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
    3.2 of Selvaraju et al. (ICCV 2017). Grad-CAM itself is taken without any guiding,
    at `layer`, by default the last feature map.

    Returns
    -------
    ndarray of shape (n, k, h, w, 3), float32
        Zero wherever Grad-CAM finds no evidence for the class.

    Raises
    ------
    TypeError, ValueError
        As `guided_backpropagation`.

    Notes
    -----
    Costs two forward passes, and two backward passes per class.
    """
    asked = {"classes": classes, "batch_size": batch_size}
    pixels = guided_backpropagation(model, images, **asked)
    (maps,) = class_maps(model, images, layers=layer, **asked).values()
    return pixels * upsample_map(np.maximum(maps, 0), pixels.shape[2:4])[..., None]


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
        In logits.
    gap : ndarray of shape (n, k), float32
        Their sum minus (S_c(x) - S_c(x0)), in logits: the error of the sum.

    Raises
    ------
    ValueError
        Also for fewer than one step, or a baseline that does not fit the pictures.

    Notes
    -----
    Costs `steps` forward passes, and `steps` backward passes per class.
    """
    _, images, chosen = _asked(model, images, classes)
    images = images.astype(np.float32)
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1; received {steps}.")
    try:
        start = np.broadcast_to(np.asarray(baseline, np.float32), images.shape)
    except ValueError:
        raise ValueError(
            f"`baseline` must be a number, a colour, a picture or pictures that fit "
            f"{images.shape}; received shape {np.shape(baseline)}."
        ) from None
    logits = _logits(model, images, batch_size)
    rise = logits - _logits(model, start, batch_size)
    chosen = _resolved(chosen, logits)
    line, total = images - start, 0.0
    for step in range(steps):
        points = start + line * np.float32((step + 0.5) / steps)
        total += _pixel_gradients(model, points, chosen, batch_size)
    attributions = line[:, None] * total / steps
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
        In logits; positive where the square held evidence for the class.

    Raises
    ------
    ValueError
        Also if the square does not fit into the picture.

    Notes
    -----
    Costs one forward pass per square, for all classes together.
    """
    _, images, chosen = _asked(model, images, classes)
    sides = images.shape[1:3]
    if not 1 <= patch <= min(sides) or stride < 1:
        raise ValueError(
            f"`patch` must be from 1 to {min(sides)}, the picture's shorter side, and "
            f"`stride` at least 1; received {patch} and {stride}."
        )
    # First pixels of the squares along each side; the last one ends at the border.
    tops, lefts = ([*range(0, side - patch, stride), side - patch] for side in sides)
    before = _logits(model, images, batch_size)
    chosen = _resolved(chosen, before)
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


def _asked(model, images, classes) -> tuple:
    images = check_pictures(model, images)
    return model, images, check_classes(model, classes, len(images))


def _pixel_gradients(model, images, chosen, batch_size, *, guided=False) -> np.ndarray:
    folds = {"gradient": lambda activations, gradients: gradients}
    settings = {"batch_size": batch_size, "guided": guided}
    found, _ = fold_pass(model, images, [PIXELS], chosen, folds, **settings)
    return found["gradient"][PIXELS]


def _logits(model, images: np.ndarray, batch_size: int) -> np.ndarray:
    # Unchecked: a covered picture, or one on the way to black, may look out of range.
    return read_model(model, images, batch_size=batch_size)[1]


def _resolved(chosen: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Put the class with the highest logit in the place of -1."""
    return np.where(chosen < 0, logits.argmax(axis=1)[:, None].astype(np.int32), chosen)
