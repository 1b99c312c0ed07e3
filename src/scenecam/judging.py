"""Numbers about maps: do they lie on the class, and on what the model used.

All measures stand under this name, in four rooms:

- maps against masks, here: pointing, energy, overlap; and `sobel_edges` and
  `centre_blob`, two baselines that know nothing of the model;
- maps against the model, in ``_judging/probing.py``: average drop, deletion, insertion;
- maps against maps, in ``_judging/agreement.py``: rank correlation, shuffled weights;
- maps against mosaics, in ``_judging/mosaics.py``: is each class in its own cell.

A measure gives one number per picture, so that `bootstrap_interval` can say how sure
the mean is; NaN marks a picture where the measure is not defined. "All else as in"
another measure means: parameters, shape and dtype of the result, errors.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.signal import windows

from scenecam._judging.agreement import (
    check_counts,
    fit_maps,
    rank_correlation,
    ratio,
    weight_randomisation,
)
from scenecam._judging.mosaics import Mosaics, grid_pointing, mosaics
from scenecam._judging.probing import (
    area_under,
    average_drop,
    deletion_curve,
    explained_pictures,
    insertion_curve,
)
from scenecam.evaluation import bootstrap_interval, verdict
from scenecam.images import check_images

__all__ = (
    ["pointing_game", "energy_inside", "enrichment", "class_discrimination"]
    + ["intersection_over_union", "box_iou", "best_iou"]
    + ["explained_pictures", "average_drop"]
    + ["deletion_curve", "insertion_curve", "area_under"]
    + ["rank_correlation", "weight_randomisation"]
    + ["Mosaics", "mosaics", "grid_pointing"]
    + ["verdict", "bootstrap_interval", "sobel_edges", "centre_blob"]
)


def pointing_game(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Whether the highest point of the map lies on the class.

    Parameters
    ----------
    maps : ndarray of shape (n, h, w)
        Raw, signed; enlarged to the masks.
    masks : ndarray of shape (n, H, W), bool
        Where the class is, such as ``scenes.masks == label``.

    Returns
    -------
    ndarray of shape (n,), float64
        1 hit, 0 miss; when several points are highest, the share of them that hits.
        NaN where the mask is empty. Signs do not matter: a map without any positive
        value has a highest point too.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together, or a setting is out of range.

    Notes
    -----
    J. Zhang et al. (IJCV 2018), who let a point 15 pixels away hit, too. Chance is the
    share of the picture that the mask covers, which is also the score of a map with one
    value throughout; 1 is best.
    """
    large, masks = _check_pair(maps, masks)
    highest = large == large.max(axis=(1, 2), keepdims=True)
    hits = (highest & masks).sum(axis=(1, 2)) / highest.sum(axis=(1, 2))
    return np.where(masks.any(axis=(1, 2)), hits, np.nan)


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Share of the map's positive values that lies on the class, 0 to 1.

    ``relu(map)[mask].sum() / relu(map).sum()``, the energy-based pointing game of
    H. Wang et al. (Score-CAM, CVPR workshops 2020): higher is better. Chance, and the
    score of a map with one value throughout, is the share of the picture that the mask
    covers; `enrichment` divides by it. NaN where the mask is empty or the map has no
    positive value. All else as in `pointing_game`.
    """
    large, masks = _check_pair(maps, masks)
    inside = np.where(masks.any(axis=(1, 2)), _energy_on(large, masks), np.nan)
    return ratio(inside, _energy_on(large, True))


def enrichment(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Positive value on the class over what its area alone would collect.

    `energy_inside` over the share of the picture that the mask covers: 1 is chance,
    above is better, and one over that share is the most possible. NaN where
    `energy_inside` is; all else as in `pointing_game`.
    """
    return ratio(energy_inside(maps, masks), np.asarray(masks).mean(axis=(1, 2)))


def intersection_over_union(
    maps: np.ndarray, masks: np.ndarray, *, threshold: float = 0.15
) -> np.ndarray:
    """Overlap of the class with the region where the map is high, 0 to 1.

    The region holds what reaches the share `threshold`, in (0, 1), of the map's
    maximum: 15 % in Selvaraju et al. (ICCV 2017), 20 % in Zhou et al. (CVPR 2016).
    Common pixels over pixels of either: higher is better, and a map with one value
    throughout scores the share of the picture that the mask covers, the level to beat.
    NaN as in `energy_inside`; all else as in `pointing_game`.
    """
    large, masks = _check_pair(maps, masks)
    _check_thresholds(threshold)
    return _region_iou(large, masks, threshold)


def box_iou(
    maps: np.ndarray, masks: np.ndarray, *, threshold: float = 0.2
) -> np.ndarray:
    """Overlap of two boxes: around the map's largest high region, and around the class.

    Zhou et al. (CVPR 2016); localised means 0.5 or more in the literature. Pixels are
    connected along edges, not across corners; of regions of equal size the first in
    reading order counts. A map with one value throughout scores the share of the
    picture that the box of the mask covers. Else as `intersection_over_union`.
    """
    large, masks = _check_pair(maps, masks)
    _check_thresholds(threshold)
    tops = large.max(axis=(1, 2))
    found, wanted = np.zeros_like(masks), np.zeros_like(masks)
    for index in np.flatnonzero((tops > 0) & masks.any(axis=(1, 2))):
        regions, _ = ndimage.label(large[index] >= threshold * tops[index])
        largest = np.bincount(regions.ravel())[1:].argmax()
        found[index][ndimage.find_objects(regions)[largest]] = True
        wanted[index][ndimage.find_objects(masks[index].astype(np.int8))[0]] = True
    return _iou(found, wanted)


def best_iou(
    maps: np.ndarray, masks: np.ndarray, *, thresholds: Sequence[float] | None = None
) -> tuple[float, np.ndarray]:
    """Overlap at the one threshold that is best for the set, to compare methods by.

    A fixed threshold favours the methods whose maps happen to have the right spread, so
    Choe et al. (CVPR 2020) choose one for a whole set. It is chosen with the help of
    the masks: choose on one set, report on another. `thresholds`, each in (0, 1), are
    those to try, 0.05, 0.10, ..., 0.95 when None; all else as in `pointing_game`.

    Returns
    -------
    threshold : float
        With the highest mean over the pictures, the lowest of equal ones; NaN if the
        measure is not defined for any picture.
    values : ndarray of shape (n,), float64
        `intersection_over_union` at that threshold.
    """
    large, masks = _check_pair(maps, masks)
    thresholds = np.linspace(0.05, 0.95, 19) if thresholds is None else thresholds
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

    Of the positive value on A or B: the share on A in the map of A, minus the share on
    A in the map of B. 1: each map keeps to its class; 0, chance: the map does not care
    about the class; -1: each lies on the other.

    Parameters
    ----------
    maps_a, maps_b : ndarray of shape (n, h, w)
        Maps of class A and of class B for the same pictures, raw, signed.
    masks_a, masks_b : ndarray of shape (n, H, W), bool
        Where class A is, and where class B is.

    Returns
    -------
    ndarray of shape (n,), float64
        NaN where a mask is empty, or a map has no positive value on either class.

    Raises
    ------
    TypeError, ValueError
        If maps and masks do not fit together, or the two masks overlap.
    """
    large_a, masks_a = _check_pair(maps_a, masks_a, names=("maps_a", "masks_a"))
    large_b, masks_b = _check_pair(maps_b, masks_b, names=("maps_b", "masks_b"))
    if masks_a.shape != masks_b.shape or (masks_a & masks_b).any():
        raise ValueError(
            "`masks_a` and `masks_b` must have one shape and no pixel in common; "
            f"received {masks_a.shape} and {masks_b.shape}. Compare scenes.masks with "
            "two different classes."
        )
    shares = []
    for large in (large_a, large_b):
        on_a, on_b = _energy_on(large, masks_a), _energy_on(large, masks_b)
        shares.append(ratio(on_a, on_a + on_b))
    both = masks_a.any(axis=(1, 2)) & masks_b.any(axis=(1, 2))
    return np.where(both, shares[0] - shares[1], np.nan)


def sobel_edges(images: np.ndarray) -> np.ndarray:
    """Strength of the edges: a map that knows the picture and nothing of the model.

    Of RGB pictures (n, h, w, 3), uint8 (else TypeError or ValueError), the length of
    the Sobel gradient of the mean of the channels: float32 (n, h, w), 0 or more, in
    steps of grey (eight times the slope per pixel).
    """
    check_images(images)
    grey = images.mean(axis=3, dtype=np.float32)
    # Not ndimage.sobel, which would smooth from picture to picture as well.
    slope, smooth = [-1, 0, 1], [1, 2, 1]
    down = ndimage.correlate1d(ndimage.correlate1d(grey, slope, 1), smooth, 2)
    across = ndimage.correlate1d(ndimage.correlate1d(grey, slope, 2), smooth, 1)
    return np.hypot(down, across)


def centre_blob(shape: tuple[int, int, int], *, width: float = 0.25) -> np.ndarray:
    """A bell in the middle, float32 in (0, 1]: a map that knows not even the picture.

    Photographers put what matters there, and so do drawn scenes. `shape` is (pictures,
    height, width), `width` the standard deviation as a share of height and width, above
    0; else ValueError.
    """
    if len(shape) != 3 or min(shape) < 1 or not width > 0:
        raise ValueError(
            "`shape` must be (n, h, w), at least 1 each, and `width` positive; "
            f"received {shape} and {width}. Take images.shape[:3]."
        )
    down, across = (windows.gaussian(size, width * size) for size in shape[1:])
    return np.tile(np.outer(down, across).astype(np.float32), (shape[0], 1, 1))


def _region_iou(large: np.ndarray, masks: np.ndarray, threshold: float) -> np.ndarray:
    """Overlap of masks and regions; NaN where not defined."""
    top = large.max(axis=(1, 2), keepdims=True)
    defined = (top > 0) & masks.any(axis=(1, 2), keepdims=True)
    return _iou((large >= threshold * top) & defined, masks & defined)


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Common pixels of two masks over those of either; NaN where both are empty."""
    return ratio((a & b).sum(axis=(1, 2)), (a | b).sum(axis=(1, 2)))


def _energy_on(large: np.ndarray, masks: np.ndarray | bool) -> np.ndarray:
    """Sum of the positive values of each map over its mask."""
    return np.where(masks, np.maximum(large, 0), 0).sum(axis=(1, 2), dtype=np.float64)


def _check_thresholds(thresholds) -> np.ndarray:
    """The thresholds as an array, or an error."""
    values = np.atleast_1d(np.asarray(thresholds, np.float64))
    if values.ndim != 1 or not len(values) or not ((0 < values) & (values < 1)).all():
        what = "a threshold must lie between 0 and 1, a share of the map's maximum"
        raise ValueError(f"{what}; received {thresholds}.")
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
    check_counts(names, maps, masks)
    return fit_maps(maps, masks.shape[1:], name=names[0]), masks
