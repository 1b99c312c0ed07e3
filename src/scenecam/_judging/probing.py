"""The model asked again, about pictures from which a map has taken something away.

A mask tells whether a map lies on the class; it cannot tell whether the map shows what
the model used. For that the model is shown the pictures through the map, or with the
pixels that the map names deleted or inserted first. `scenecam.judging` offers all of
this under its own name.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage, stats

from scenecam._judging.agreement import check_counts, fit_maps, ratio
from scenecam.images import check_images, unit_map


def explained_pictures(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Show each picture through its map: bright where the map is, black elsewhere.

    What Chattopadhay et al. (WACV 2018) show the model for the average drop.

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
    """
    large = fit_maps(_check_maps_of(images, maps), images.shape[1:3])
    lit = large.max(axis=(1, 2)) > 0
    shown = np.zeros_like(images)
    if lit.any():
        # In float: a product of bytes would wrap around at 256.
        shown[lit] = np.rint(images[lit] * unit_map(large[lit])[..., None])
    return shown


def average_drop(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How much of the probability is lost when only the explained part is shown.

    max(0, before - after) / before * 100, from Chattopadhay et al. (WACV 2018). A map
    that is 1 everywhere loses nothing and scores 0: compare maps of like area.

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
    """
    before, after = _check_scores(before, after)
    return 100 * ratio(np.maximum(before - after, 0), before)


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

    Petsiuk, Das and Saenko (BMVC 2018). A good map makes the curve fall early: a low
    `area_under`. Chance is the curve of a random map.

    Parameters
    ----------
    predict : callable
        Takes uint8 pictures (b, h, w, 3), returns probabilities (b, k).
    images, maps
        As in `explained_pictures`. Only the order of a map's values matters: equal
        pixels go row by row from the top left, and negative ones last.
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
    """
    return _curve(predict, images, maps, classes, steps, baseline, batch_size, False)


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

    Petsiuk, Das and Saenko (BMVC 2018), who insert into the blurred picture because
    sharp edges on a plain ground are evidence of their own. A good map makes the curve
    rise early: a high `area_under`. The last of its values is that of the picture
    itself; all else as in `deletion_curve`.
    """
    return _curve(predict, images, maps, classes, steps, baseline, batch_size, True)


def area_under(curves: np.ndarray) -> np.ndarray:
    """Area under each deletion or insertion curve, by the trapezoid rule.

    From curves of shape (n, steps + 1), else ValueError, the mean height of each over
    the share of pixels from 0 to 1, in its unit: float64 of shape (n,).
    """
    curves = np.asarray(curves, np.float64)
    if curves.ndim != 2 or curves.shape[1] < 2 or not len(curves):
        raise ValueError(
            "`curves` must be (n, steps + 1) with at least one step; received "
            f"{curves.shape}. Use curve[None] for a single one."
        )
    return (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2


def _curve(
    predict, images, maps, classes, steps, baseline, batch_size, insert
) -> np.ndarray:
    """Probabilities while the pixels named first are deleted, or inserted."""
    maps = _check_maps_of(images, maps)
    classes, count = np.asarray(classes), len(images)
    whole = classes.dtype.kind in "iu" and classes.shape in ((), (count,))
    if not whole or classes.min() < 0:
        raise ValueError(
            "`classes` must be one class index, 0 or more, or one per picture "
            f"({count},); received {classes.dtype} {classes.shape}: {classes}."
        )
    if steps < 1 or batch_size < 1:
        what = "`steps` and `batch_size` must be at least 1"
        raise ValueError(f"{what}; received {steps} and {batch_size}.")
    size, classes = images.shape[1:3], np.broadcast_to(classes, count)
    chosen = np.rint(np.arange(steps + 1) * np.prod(size) / steps)
    curves = np.empty(count * (steps + 1))
    # The changed pictures of all are one long list, cut into batches.
    for start in range(0, len(curves), batch_size):
        batch = np.arange(len(curves))[start : start + batch_size]
        picture, step = np.divmod(batch, steps + 1)
        rows = slice(picture[0], picture[-1] + 1)
        part, blank = images[rows], _blank_pictures(images[rows], baseline)
        inner = picture - picture[0]
        first = _ranks(fit_maps(maps[rows], size))[inner]
        shown = (first < chosen[step, None, None]) == insert
        changed = np.where(shown[..., None], part[inner], blank[inner])
        curves[batch] = _class_scores(predict, changed, classes[picture])
    return curves.reshape(count, steps + 1)


def _ranks(maps: np.ndarray) -> np.ndarray:
    """Place of every pixel in the order of its map, 0 for the highest."""
    falling = -maps.reshape(len(maps), -1)
    ranks = stats.rankdata(falling, method="ordinal", axis=1) - 1  # ties: as they stand
    return ranks.reshape(maps.shape)


def _blank_pictures(images: np.ndarray, baseline) -> np.ndarray:
    """What takes the place of deleted pixels, uint8, in the shape of the pictures."""
    name = baseline if isinstance(baseline, str) else None
    if name == "constant":
        blank = images.mean(axis=(1, 2), keepdims=True)
    elif name == "blur":
        sigma, values = min(images.shape[1:3]) / 10, images.astype(np.float32)
        blank = ndimage.gaussian_filter(values, sigma, mode="nearest", axes=(1, 2))
    else:
        blank = np.asarray(baseline)
        real = blank.dtype.kind in "fiub" and blank.shape in ((), (3,))
        if not real or not ((blank >= 0) & (blank <= 255)).all():
            raise ValueError(
                "`baseline` must be 'constant', 'blur' or a colour, one number or "
                f"three from 0 to 255; received {baseline!r}."
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
    check_counts(("images", "maps"), images, maps)
    return maps


def _check_scores(*scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    before, after = (np.asarray(values, np.float64) for values in scores)
    if before.ndim != 1 or before.shape != after.shape or not len(before):
        raise ValueError(
            "`before` and `after` must be (n,), one probability per picture; received "
            f"{before.shape} and {after.shape}. Take the column of the class."
        )
    # Written so that NaN fails too.
    if not ((before >= 0).all() and (after >= 0).all()):
        raise ValueError(
            "`before` and `after` must be probabilities, 0 or more; received values "
            f"down to {min(before.min(), after.min()):.3g}. Use the softmax."
        )
    return before, after
