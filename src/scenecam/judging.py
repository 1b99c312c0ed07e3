"""Numbers about maps: do they lie on the class, and on what the model used.

Against masks, here: pointing, energy, overlap. Against the model, from
`scenecam.probing`: average drop, deletion, insertion. Against each other, from
`scenecam.agreement`: rank correlation, shuffled weights, shifted pictures. A measure
gives one number per picture, so that `bootstrap_interval` can say how sure the mean is;
NaN marks a picture where the measure is not defined. Two baselines that know nothing of
the model, `sobel_edges` and `centre_blob`, show how much a picture alone yields.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from scenecam._judging.agreement import (
    fit_maps,
    rank_correlation,
    shift_stability,
    weight_randomisation,
)
from scenecam._judging.probing import (
    area_under,
    average_drop,
    deletion_curve,
    explained_pictures,
    increase,
    insertion_curve,
)
from scenecam.images import check_images

__all__ = [
    "area_under",
    "average_drop",
    "best_iou",
    "bootstrap_interval",
    "box_iou",
    "centre_blob",
    "class_discrimination",
    "deletion_curve",
    "energy_inside",
    "enrichment",
    "explained_pictures",
    "increase",
    "insertion_curve",
    "intersection_over_union",
    "pointing_game",
    "rank_correlation",
    "shift_stability",
    "sobel_edges",
    "weight_randomisation",
]

_RESAMPLES = 2000


def pointing_game(
    maps: np.ndarray, masks: np.ndarray, *, tolerance: float = 0
) -> np.ndarray:
    """Whether the highest point of the map lies on the class.

    Parameters
    ----------
    maps : ndarray of shape (n, h, w)
        Raw, signed; enlarged to the masks.
    masks : ndarray of shape (n, H, W), bool
        Where the class is, such as ``scenes.masks == label``.
    tolerance : float
        A point so many pixels of the mask away from the class still hits.

    Returns
    -------
    ndarray of shape (n,), float64
        1 hit, 0 miss; when several points are highest, the share of them that hits.
        NaN where the mask is empty. Signs do not matter: a map without any positive
        value has a highest point too.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together, or `tolerance` is negative.

    Notes
    -----
    J. Zhang et al. (IJCV 2018), who tolerate 15 pixels. Chance is the share of the
    picture that the mask covers (with the tolerance), which is also the score of a
    map with one value throughout; 1 is best.
    """
    large, masks = _check_pair(maps, masks)
    if not tolerance >= 0:
        raise ValueError(f"`tolerance` must be 0 or more; received {tolerance}.")
    targets = masks
    if tolerance > 0:
        distances = map(ndimage.distance_transform_edt, ~masks)
        targets = np.stack([distance <= tolerance for distance in distances])
    highest = large == large.max(axis=(1, 2), keepdims=True)
    hits = (highest & targets).sum(axis=(1, 2)) / highest.sum(axis=(1, 2))
    return np.where(masks.any(axis=(1, 2)), hits, np.nan)


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Share of the map's positive values that lies on the class.

    Parameters
    ----------
    maps, masks
        As in `pointing_game`.

    Returns
    -------
    ndarray of shape (n,), float64
        From 0 to 1, higher is better. NaN where the mask is empty or the map has no
        positive value.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together.

    Notes
    -----
    The energy-based pointing game of H. Wang et al. (Score-CAM, CVPR workshops 2020).
    Chance, and the score of a map with one value throughout, is the share of the
    picture that the mask covers; `enrichment` divides by it.
    """
    large, masks = _check_pair(maps, masks)
    energy = np.maximum(large, 0)
    inside = np.where(masks.any(axis=(1, 2)), _energy_on(energy, masks), np.nan)
    return _ratio(inside, energy.sum(axis=(1, 2), dtype=np.float64))


def enrichment(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Positive value on the class over what its area alone would collect.

    Parameters
    ----------
    maps, masks
        As in `pointing_game`.

    Returns
    -------
    ndarray of shape (n,), float64
        `energy_inside` over the share of the picture that the mask covers: 1 is chance,
        above is better, and one over that share is the most possible. NaN where
        `energy_inside` is.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together.
    """
    shares = energy_inside(maps, masks)
    return _ratio(shares, np.asarray(masks).mean(axis=(1, 2)))


def intersection_over_union(
    maps: np.ndarray, masks: np.ndarray, *, threshold: float = 0.15
) -> np.ndarray:
    """Overlap of the class with the region where the map is high.

    Parameters
    ----------
    maps, masks
        As in `pointing_game`.
    threshold : float in (0, 1)
        The region holds what reaches this share of the map's maximum: 15 % in Selvaraju
        et al. (ICCV 2017), 20 % in Zhou et al. (CVPR 2016).

    Returns
    -------
    ndarray of shape (n,), float64
        Common pixels over pixels of either, from 0 to 1, higher is better. NaN where
        the mask is empty or the map has no positive value.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together, or `threshold` is out of range.

    Notes
    -----
    A map with one value throughout scores the share of the picture that the mask
    covers: the level to beat.
    """
    large, masks = _check_pair(maps, masks)
    _check_thresholds(threshold)
    return _region_iou(large, masks, threshold)


def box_iou(
    maps: np.ndarray, masks: np.ndarray, *, threshold: float = 0.2
) -> np.ndarray:
    """Overlap of two boxes: around the map's largest high region, and around the class.

    Parameters
    ----------
    maps, masks
        As in `pointing_game`.
    threshold : float in (0, 1)
        As in `intersection_over_union`.

    Returns
    -------
    ndarray of shape (n,), float64
        From 0 to 1, higher is better; localised means 0.5 or more in the literature.
        NaN where the mask is empty or the map has no positive value.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together, or `threshold` is out of range.

    Notes
    -----
    Zhou et al. (CVPR 2016). Pixels are connected along edges, not across corners; of
    regions of equal size the first in reading order counts. A map with one value
    throughout scores the share of the picture that the box of the mask covers.
    """
    large, masks = _check_pair(maps, masks)
    _check_thresholds(threshold)
    tops = large.max(axis=(1, 2))
    scores = np.full(len(large), np.nan)
    for index in np.flatnonzero((tops > 0) & masks.any(axis=(1, 2))):
        regions, _ = ndimage.label(large[index] >= threshold * tops[index])
        largest = np.bincount(regions.ravel())[1:].argmax()
        (target,) = ndimage.find_objects(masks[index].astype(np.int8))
        scores[index] = _box_iou(ndimage.find_objects(regions)[largest], target)
    return scores


def best_iou(
    maps: np.ndarray,
    masks: np.ndarray,
    *,
    thresholds: Sequence[float] | None = None,
) -> tuple[float, np.ndarray]:
    """Overlap at the one threshold that is best for the set, to compare methods by.

    A fixed threshold favours the methods whose maps happen to have the right spread.

    Parameters
    ----------
    maps, masks
        As in `pointing_game`.
    thresholds : sequence of float in (0, 1), optional
        To try; 0.05, 0.10, ..., 0.95 when None.

    Returns
    -------
    threshold : float
        With the highest mean over the pictures, the lowest of equal ones; NaN if the
        measure is not defined for any picture.
    values : ndarray of shape (n,), float64
        `intersection_over_union` at that threshold.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together, or a threshold is out of range.

    Notes
    -----
    Choe et al. (CVPR 2020), who also choose one threshold for a whole set. It is chosen
    with the help of the masks: choose on one set, report on another.
    """
    large, masks = _check_pair(maps, masks)
    if thresholds is None:
        thresholds = np.linspace(0.05, 0.95, 19)
    thresholds = _check_thresholds(thresholds).tolist()
    table = np.stack([_region_iou(large, masks, level) for level in thresholds])
    defined = ~np.isnan(table[0])
    if not defined.any():
        return float("nan"), table[0]
    best = table[:, defined].mean(axis=1).argmax()
    return thresholds[best], table[best]


def class_discrimination(
    maps_a: np.ndarray, maps_b: np.ndarray, masks_a: np.ndarray, masks_b: np.ndarray
) -> np.ndarray:
    """Whether the map changes sides with the class, in scenes that hold both classes.

    Parameters
    ----------
    maps_a, maps_b : ndarray of shape (n, h, w)
        Maps of class A and of class B for the same pictures, raw, signed.
    masks_a, masks_b : ndarray of shape (n, H, W), bool
        Where class A is, and where class B is.

    Returns
    -------
    ndarray of shape (n,), float64
        Of the positive value on A or B: the share on A in the map of A, minus the share
        on A in the map of B. 1: each map keeps to its class; 0, chance: the map does
        not care about the class; -1: each lies on the other. NaN where a mask is empty,
        or a map has no positive value on either class.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together, or the two masks overlap.
    """
    energy_a, masks_a = _check_pair(maps_a, masks_a, names=("maps_a", "masks_a"))
    energy_b, masks_b = _check_pair(maps_b, masks_b, names=("maps_b", "masks_b"))
    if masks_a.shape != masks_b.shape or (masks_a & masks_b).any():
        raise ValueError(
            "`masks_a` and `masks_b` must have one shape and no pixel in common; "
            f"received {masks_a.shape} and {masks_b.shape}. Compare scenes.masks with "
            "two different classes."
        )
    both = masks_a.any(axis=(1, 2)) & masks_b.any(axis=(1, 2))
    shares = []
    for energy in (np.maximum(energy_a, 0), np.maximum(energy_b, 0)):
        on_a, on_b = _energy_on(energy, masks_a), _energy_on(energy, masks_b)
        shares.append(_ratio(on_a, on_a + on_b))
    return np.where(both, shares[0] - shares[1], np.nan)


def bootstrap_interval(
    values: np.ndarray, *, level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of a measure over the pictures, with its percentile bootstrap interval.

    To compare two methods on the same pictures, pass the differences of their values:
    that interval is narrower, and one that leaves out 0 tells them apart.

    Parameters
    ----------
    values : ndarray of shape (n,), float
        One number per picture; NaN is left out.
    level : float in (0, 1)
        How often such an interval holds the true mean.
    seed : int
        Same seed, same interval.

    Returns
    -------
    mean, low, high : float
        In the unit of `values`; all NaN if no number is left.

    Raises
    ------
    ValueError
        If `values` is empty or has another shape, or `level` is out of range.

    Notes
    -----
    Efron (1979), with 2,000 resamples; `evaluation.bootstrap_interval` takes any
    statistic instead of the mean.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(
            "`values` must be (n,), one number per picture; received shape "
            f"{values.shape}."
        )
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie between 0 and 1; received {level}.")
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    # In parts, so that a large set does not fill the memory with resamples.
    means = [
        values[rng.integers(len(values), size=(100, len(values)))].mean(axis=1)
        for _ in range(_RESAMPLES // 100)
    ]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)


def sobel_edges(images: np.ndarray) -> np.ndarray:
    """Strength of the edges: a map that knows the picture and nothing of the model.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, 3), uint8
        RGB.

    Returns
    -------
    ndarray of shape (n, h, w), float32
        Length of the Sobel gradient of the mean of the channels, 0 or more, in steps of
        grey (eight times the slope per pixel).

    Raises
    ------
    TypeError, ValueError
        If `images` are no pictures.
    """
    check_images(images)
    grey = images.mean(axis=3, dtype=np.float32)
    edges = np.empty_like(grey)
    # One by one: on the stack the filter would smooth from picture to picture as well.
    for picture, edge in zip(grey, edges, strict=True):
        np.hypot(ndimage.sobel(picture, 0), ndimage.sobel(picture, 1), out=edge)
    return edges


def centre_blob(shape: tuple[int, int, int], *, width: float = 0.25) -> np.ndarray:
    """A bell in the middle: a map that knows not even the picture.

    Photographers put what matters there, and so do drawn scenes.

    Parameters
    ----------
    shape : (int, int, int)
        Pictures, height and width.
    width : float
        Standard deviation, as a share of the height and of the width.

    Returns
    -------
    ndarray of shape `shape`, float32
        In (0, 1], highest in the middle.

    Raises
    ------
    ValueError
        If `shape` is another kind of shape, or `width` not positive.
    """
    if len(shape) != 3 or min(shape) < 1 or not width > 0:
        raise ValueError(
            "`shape` must be (n, h, w), at least 1 each, and `width` positive; "
            f"received {shape} and {width}. Take images.shape[:3]."
        )
    down, across = (
        np.exp(-0.5 * (((np.arange(size) + 0.5) / size - 0.5) / width) ** 2)
        for size in shape[1:]
    )
    return np.tile(np.outer(down, across).astype(np.float32), (shape[0], 1, 1))


def _region_iou(large: np.ndarray, masks: np.ndarray, threshold: float) -> np.ndarray:
    """Intersection over union of masks and regions; NaN where not defined."""
    top = large.max(axis=(1, 2), keepdims=True)
    regions = large >= threshold * top
    common = (regions & masks).sum(axis=(1, 2))
    either = (regions | masks).sum(axis=(1, 2))
    defined = (top[:, 0, 0] > 0) & masks.any(axis=(1, 2))
    return _ratio(np.where(defined, common, np.nan), either)


def _box_iou(a: tuple[slice, slice], b: tuple[slice, slice]) -> float:
    """Intersection over union of two boxes, each a slice of rows and of columns."""
    common = area_a = area_b = 1
    for one, other in zip(a, b, strict=True):
        common *= max(0, min(one.stop, other.stop) - max(one.start, other.start))
        area_a *= one.stop - one.start
        area_b *= other.stop - other.start
    return common / (area_a + area_b - common)


def _energy_on(energy: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Sum of each map over its mask."""
    return np.where(masks, energy, 0).sum(axis=(1, 2), dtype=np.float64)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The quotient, NaN where the whole is 0."""
    quotient = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=quotient, where=whole > 0)


def _check_thresholds(thresholds) -> np.ndarray:
    """The thresholds as an array, or an error."""
    values = np.atleast_1d(np.asarray(thresholds, np.float64))
    if values.ndim != 1 or not len(values) or not ((0 < values) & (values < 1)).all():
        raise ValueError(
            "a threshold must lie between 0 and 1, a share of the map's maximum; "
            f"received {thresholds}."
        )
    return values


def _check_pair(
    maps: np.ndarray, masks: np.ndarray, *, names: tuple[str, str] = ("maps", "masks")
) -> tuple[np.ndarray, np.ndarray]:
    """Maps enlarged to the masks, and the masks, or an error."""
    masks = np.asarray(masks)
    if masks.dtype != bool:
        raise TypeError(
            f"`{names[1]}` must be bool, where the class is; received {masks.dtype}. "
            "Compare with the class: scenes.masks == label, or for each picture its "
            "own, scenes.masks == scenes.labels[:, None, None]."
        )
    if masks.ndim != 3 or 0 in masks.shape:
        raise ValueError(
            f"`{names[1]}` must have shape (n, h, w), one per picture; received "
            f"{masks.shape}. Use mask[None] for a single one."
        )
    maps = fit_maps(maps, None, name=names[0])
    if len(maps) != len(masks):
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must be of the same pictures; received "
            f"{len(maps)} and {len(masks)}."
        )
    return fit_maps(maps, masks.shape[1:], name=names[0]), masks
