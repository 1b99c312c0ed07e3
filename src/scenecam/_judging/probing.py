"""The model asked again, about pictures from which a map has taken something away.

A mask tells whether a map lies on the class; it cannot tell whether the map shows what
the model used. For that the model is shown the pictures through the map, or with the
pixels that the map names deleted or inserted first. `scenecam.judging` offers all of
this under its own name.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from scenecam._judging.agreement import fit_maps
from scenecam.images import check_images, unit_map


def explained_pictures(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Show each picture through its map: bright where the map is, black elsewhere.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, 3), uint8
        RGB.
    maps : ndarray of shape (n, h', w')
        Raw, signed; enlarged to the pictures.

    Returns
    -------
    ndarray of shape (n, h, w, 3), uint8
        Picture times `images.unit_map` of the enlarged map, rounded. Black where the
        map has no positive value.

    Raises
    ------
    TypeError, ValueError
        If `images` are no pictures or `maps` no maps of as many pictures.

    Notes
    -----
    What Chattopadhay et al. (WACV 2018) show the model for the average drop.
    """
    large = _fit_to_pictures(images, maps)
    unit = np.zeros_like(large)
    lit = large.max(axis=(1, 2)) > 0
    if lit.any():
        unit[lit] = unit_map(large[lit])
    # In float: a product of bytes would wrap around at 256.
    return np.rint(images * unit[..., None]).astype(np.uint8)


def average_drop(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How much of the probability is lost when only the explained part is shown.

    max(0, before - after) / before * 100, from Chattopadhay et al. (WACV 2018).

    Parameters
    ----------
    before, after : ndarray of shape (n,), float
        Probability of the class for the pictures and for `explained_pictures`.

    Returns
    -------
    ndarray of shape (n,), float64
        Percent, 0 (nothing lost) to 100: lower is better. NaN where `before` is 0. The
        mean over the pictures is the average drop.

    Raises
    ------
    ValueError
        If the arrays do not fit together or hold anything but numbers from 0 up.

    Notes
    -----
    A map that is 1 everywhere loses nothing and scores 0: compare maps of like area.
    """
    before, after = _check_scores(before, after)
    drop = np.full(len(before), np.nan)
    np.divide(np.maximum(before - after, 0), before, out=drop, where=before > 0)
    return 100 * drop


def increase(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whether the probability rose when only the explained part was shown.

    The mean over the pictures is the "increase in confidence" of Chattopadhay et al.
    (WACV 2018), as a share; higher is better.

    Parameters
    ----------
    before, after : ndarray of shape (n,), float
        As in `average_drop`.

    Returns
    -------
    ndarray of shape (n,), float64
        1 where `after` is greater than `before`, else 0.

    Raises
    ------
    ValueError
        As `average_drop`.
    """
    before, after = _check_scores(before, after)
    return (after > before).astype(np.float64)


def deletion_curve(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    maps: np.ndarray,
    classes: int | np.ndarray,
    *,
    steps: int = 20,
    baseline: str | float | np.ndarray = "constant",
    batch_size: int = 256,
) -> np.ndarray:
    """Delete the pixels in the order of the map, the highest first, and ask again.

    Parameters
    ----------
    predict : callable
        Takes uint8 pictures (b, h, w, 3), returns probabilities (b, k).
    images : ndarray of shape (n, h, w, 3), uint8
        RGB.
    maps : ndarray of shape (n, h', w')
        Raw, signed; enlarged to the pictures. Only their order matters; equal pixels
        go row by row from the top left, and negative ones last.
    classes : int or ndarray of shape (n,), int
        The class whose probability is read.
    steps : int
        Steps from the whole picture to none of it.
    baseline : {"constant", "blur"} or float or ndarray of shape (3,)
        What takes a pixel's place: the picture's mean colour; the picture, blurred with
        a standard deviation of a tenth of its shorter side; or a given colour, 0 to
        255. Rankings of methods may depend on it: report two.
    batch_size : int
        Changed pictures in memory at a time.

    Returns
    -------
    ndarray of shape (n, steps + 1), float64
        Probability of the class with 0, 1 / steps, ..., all pixels deleted. The first
        is that of the picture itself.

    Raises
    ------
    TypeError, ValueError
        If pictures, maps and classes do not fit together, a setting is out of range, or
        `predict` returns another shape.

    Notes
    -----
    Petsiuk, Das and Saenko (BMVC 2018). A good map makes the curve fall early: a low
    `area_under`. Chance is the curve of a random map.
    """
    return _curve(
        predict, images, maps, classes, steps, baseline, batch_size, insert=False
    )


def insertion_curve(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    maps: np.ndarray,
    classes: int | np.ndarray,
    *,
    steps: int = 20,
    baseline: str | float | np.ndarray = "blur",
    batch_size: int = 256,
) -> np.ndarray:
    """Insert the pixels in the order of the map, the highest first, and ask again.

    Parameters and Raises as in `deletion_curve`.

    Returns
    -------
    ndarray of shape (n, steps + 1), float64
        Probability of the class with 0, 1 / steps, ..., all pixels in place of the
        baseline. The last is that of the picture itself.

    Notes
    -----
    Petsiuk, Das and Saenko (BMVC 2018), who insert into the blurred picture because
    sharp edges on a plain ground are evidence of their own. A good map makes the curve
    rise early: a high `area_under`.
    """
    return _curve(
        predict, images, maps, classes, steps, baseline, batch_size, insert=True
    )


def area_under(curves: np.ndarray) -> np.ndarray:
    """Area under each deletion or insertion curve, by the trapezoid rule.

    Parameters
    ----------
    curves : ndarray of shape (n, steps + 1), float
        From `deletion_curve` or `insertion_curve`.

    Returns
    -------
    ndarray of shape (n,), float64
        Mean height of the curve over the share of pixels from 0 to 1, in its unit.

    Raises
    ------
    ValueError
        If the shape is another one.
    """
    curves = np.asarray(curves, np.float64)
    if curves.ndim != 2 or curves.shape[1] < 2 or not len(curves):
        raise ValueError(
            "`curves` must be (n, steps + 1) with at least one step; received "
            f"{curves.shape}. Use curve[None] for a single one."
        )
    return (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2


def _curve(
    predict, images, maps, classes, steps, baseline, batch_size, *, insert: bool
) -> np.ndarray:
    """Probabilities while the pixels named first are deleted, or inserted."""
    maps = _check_maps_of(images, maps)
    classes = _check_classes(classes, len(images))
    if steps < 1 or batch_size < 1:
        raise ValueError(
            f"`steps` and `batch_size` must be at least 1; received {steps} and "
            f"{batch_size}."
        )
    count, pixels = len(images), images.shape[1] * images.shape[2]
    chosen = np.rint(np.arange(steps + 1) * pixels / steps).astype(int)
    curves = np.empty(count * (steps + 1))
    # The changed pictures of all are one long list, cut into batches.
    for start in range(0, len(curves), batch_size):
        stop = min(start + batch_size, len(curves))
        picture, step = np.divmod(np.arange(start, stop), steps + 1)
        rows = slice(picture[0], picture[-1] + 1)
        part, blank = images[rows], _blank_pictures(images[rows], baseline)
        inner = picture - picture[0]
        first = _ranks(fit_maps(maps[rows], images.shape[1:3]))[inner]
        shown = (first < chosen[step, None, None]) == insert
        batch = np.where(shown[..., None], part[inner], blank[inner])
        curves[start:stop] = _class_scores(predict, batch, classes[picture])
    return curves.reshape(count, steps + 1)


def _ranks(maps: np.ndarray) -> np.ndarray:
    """Place of every pixel in the order of its map, 0 for the highest."""
    flat = maps.reshape(len(maps), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    ranks = np.empty(flat.shape, np.int32)
    places = np.arange(flat.shape[1], dtype=np.int32)[None]
    np.put_along_axis(ranks, order, places, axis=1)
    return ranks.reshape(maps.shape)


def _blank_pictures(images: np.ndarray, baseline) -> np.ndarray:
    """What takes the place of deleted pixels, uint8, in the shape of the pictures."""
    if isinstance(baseline, str):
        if baseline == "constant":
            blank = images.mean(axis=(1, 2), keepdims=True)
        elif baseline == "blur":
            sigma = min(images.shape[1:3]) / 10
            blank = ndimage.gaussian_filter(
                images.astype(np.float32), (0, sigma, sigma, 0), mode="nearest"
            )
        else:
            raise ValueError(
                "`baseline` must be 'constant', 'blur' or a colour; received "
                f"{baseline!r}."
            )
    else:
        blank = np.asarray(baseline, np.float64)
        if blank.shape not in ((), (3,)) or not ((blank >= 0) & (blank <= 255)).all():
            raise ValueError(
                "`baseline` must be a number or a colour (3,) from 0 to 255; received "
                f"{baseline!r}."
            )
    return np.broadcast_to(np.rint(blank).astype(np.uint8), images.shape)


def _class_scores(predict, batch: np.ndarray, classes: np.ndarray) -> np.ndarray:
    scores = np.asarray(predict(batch))
    if scores.ndim != 2 or len(scores) != len(batch):
        raise ValueError(
            f"`predict` must return (n, k) for n pictures; received {scores.shape} for "
            f"{len(batch)}. Pass for instance lambda x: models.predict(model, x)."
        )
    if classes.max() >= scores.shape[1]:
        raise ValueError(
            f"`classes` must lie in 0..{scores.shape[1] - 1}, the classes that "
            f"`predict` knows; received {classes.max()}."
        )
    return scores[np.arange(len(batch)), classes]


def _check_maps_of(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The maps, or an error when they are not those of the pictures."""
    check_images(images)
    maps = fit_maps(maps, None)
    if len(maps) != len(images):
        raise ValueError(
            f"`maps` must be one per picture, {len(images)}; received {len(maps)}."
        )
    return maps


def _fit_to_pictures(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    return fit_maps(_check_maps_of(images, maps), images.shape[1:3])


def _check_classes(classes: int | np.ndarray, count: int) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.dtype.kind not in "iu" or classes.shape not in ((), (count,)):
        raise ValueError(
            f"`classes` must be one class index, or one per picture ({count},); "
            f"received {classes.dtype} {classes.shape}."
        )
    if classes.min() < 0:
        raise ValueError(f"`classes` must be 0 or more; received {classes.min()}.")
    return np.broadcast_to(classes, (count,))


def _check_scores(
    before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    before, after = (np.asarray(scores, np.float64) for scores in (before, after))
    if before.ndim != 1 or before.shape != after.shape or not len(before):
        raise ValueError(
            "`before` and `after` must be (n,), one probability per picture; received "
            f"{before.shape} and {after.shape}. Take the column of the class."
        )
    # Written so that NaN fails too.
    if not ((before >= 0).all() and (after >= 0).all()):
        raise ValueError(
            "`before` and `after` must be probabilities, 0 or more; received values "
            f"down to {min(before.min(), after.min()):.3g}. Pass the softmax of the "
            "logits."
        )
    return before, after
