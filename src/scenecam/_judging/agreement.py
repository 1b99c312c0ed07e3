"""Maps against maps: do they agree, and do they follow the model.

A map that stays as it is when the weights are shuffled shows nothing that the model has
learnt. `scenecam.judging` offers all of this under its own name.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from scenecam.images import check_map, upsample_map


def fit_maps(maps: np.ndarray, size, *, name: str = "maps") -> np.ndarray:
    """Check maps (n, h, w) and resize them, so that equal values stay equal.

    `size` is (height, width), or None to check only; errors call the maps `name`.
    Float32, in the units of `maps`.
    """
    values = np.asarray(maps)
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(
            f"{name} must have shape (n, h, w), one map per picture; received "
            f"{values.shape}. Take one class of class_maps: maps['features'][:, 0]."
        )
    check_map(values, name=name)
    with np.errstate(over="ignore"):  # what float32 cannot hold is counted as infinite
        values = check_map(values.astype(np.float32, copy=False), name=name)
    if size is None or values.shape[1:] == tuple(size):
        return values
    large = upsample_map(values, size)
    # Interpolation rounds: equal cells come out unequal in the last digit, and a flat
    # map would have one brightest pixel. Twenty bits below the maximum are kept.
    top = large.max(axis=(1, 2), keepdims=True).astype(np.float64)
    depth = np.abs(large).max(axis=(1, 2), keepdims=True)
    quantum = np.where(top > 0, top, np.where(depth > 0, depth, 1.0)) / 2**20
    return (np.rint(large / quantum) * quantum).astype(np.float32)


def check_counts(names: tuple[str, str], a: np.ndarray, b: np.ndarray) -> None:
    """Raise unless `a` and `b` hold something for as many pictures."""
    if len(a) != len(b):
        what = f"`{names[0]}` and `{names[1]}` must be of the same pictures"
        raise ValueError(f"{what}; received {len(a)} and {len(b)}.")


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The quotient in float64, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def rank_correlation(maps_a: np.ndarray, maps_b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of two maps of each picture.

    Against maps of `saliency.occlusion` it tells how faithful a map is to what the
    model does (Selvaraju et al., ICCV 2017, compare the two in this way).

    Parameters
    ----------
    maps_a, maps_b : ndarray of shape (n, h, w)
        Raw, signed; resized to the lower of the two heights and widths.

    Returns
    -------
    ndarray of shape (n,), float64
        From -1 to 1; 1 is the same order of cells, 0 chance. Equal cells share their
        mean rank. NaN where a map has one value throughout.

    Raises
    ------
    TypeError, ValueError
        If the maps are not of as many pictures, or hold anything but finite numbers.
    """
    a, b = fit_maps(maps_a, None, name="maps_a"), fit_maps(maps_b, None, name="maps_b")
    check_counts(("maps_a", "maps_b"), a, b)
    size = np.minimum(a.shape[1:], b.shape[1:])
    flat = [fit_maps(maps, size).reshape(len(a), -1) for maps in (a, b)]
    ranks = stats.rankdata(flat, axis=-1)
    x, y = ranks - ranks.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.clip(ratio((x * y).sum(axis=1), scale), -1, 1)


def weight_randomisation(
    model: Any, explain: Callable, *, seed: int = 0, layers: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Shuffle the weights from the logits down; compare the maps with the intact ones.

    The cascading randomisation of Adebayo et al. (NeurIPS 2018), with one difference:
    the entries of each kernel, bias and statistic of batch normalisation change places
    instead of being drawn anew. So every array keeps its distribution: activations keep
    their scale, variances stay positive, and only what stands where is lost.

    Parameters
    ----------
    model : keras.Model
        Changed in place while this runs and given back as it was, also after an error.
    explain : callable
        Takes nothing, returns the maps (n, h, w) of the model as it is at that moment.
    seed : int
        Same seed, same shuffles.
    layers : str or sequence of str, optional
        Where to stop and compare; every layer that has weights when None. The layers
        between are shuffled all the same.

    Returns
    -------
    dict of str to ndarray of shape (n,), float64
        Layer, as in `cam.layer_names` -> `rank_correlation` with the intact maps when
        this layer and all after it are shuffled, in the order of shuffling. Near 1: the
        map ignores these weights; near 0: it needs them. NaN where a map is constant.

    Raises
    ------
    TypeError, ValueError
        If `model` has no layers or no weights, or `layers` names one without.
    """
    named = _weighted_layers(model)
    layers = [layers] if isinstance(layers, str) else layers
    unknown = [name for name in layers or () if name not in named]
    if not named or unknown:
        what = f"`layers` must name layers that have weights, which are {list(named)}"
        raise ValueError(f"{what}; received {unknown or layers}.")
    rng = np.random.default_rng(seed)
    # Copied, as `explain` may fill one array again and again.
    intact, weights = np.array(explain()), model.get_weights()
    correlations = {}
    try:
        for name, layer in reversed(named.items()):
            arrays = map(np.asarray, layer.get_weights())
            layer.set_weights(
                [rng.permutation(w.ravel()).reshape(w.shape) for w in arrays]
            )
            if layers is None or name in layers:
                correlations[name] = rank_correlation(intact, explain())
    finally:
        model.set_weights(weights)
    return correlations


def _weighted_layers(model: Any, prefix: str = "") -> dict[str, Any]:
    """Layers that have weights by path, in order, also those of models within."""
    if not hasattr(model, "layers") or not hasattr(model, "set_weights"):
        what = "`model` must be a Keras model"
        raise TypeError(f"{what}; received a {type(model).__name__}.")
    found = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= _weighted_layers(layer, f"{prefix}{layer.name}/")
        elif len(layer.get_weights()):
            found[prefix + layer.name] = layer
    return found
