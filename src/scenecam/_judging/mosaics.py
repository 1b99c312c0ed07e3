"""Pictures of several classes in one: a truth that photographs have, too.

In a mosaic the class of every cell is known, so the map of a class must lie in its own.
`scenecam.judging` offers this under its own name.
"""

from typing import NamedTuple

import numpy as np

from scenecam._judging.agreement import fit_maps
from scenecam.scenes import SceneSet


class Mosaics(NamedTuple):
    """Pictures in grids; cells count in reading order."""

    images: np.ndarray  # uint8 (n, grid * h, grid * w, 3)
    labels: np.ndarray  # int (n, grid * grid): the class of each cell


def mosaics(scenes: SceneSet, *, grid: int = 2, count: int, seed: int) -> Mosaics:
    """Lay pictures of different classes side by side, `grid` in a row and in a column.

    Classes and pictures are drawn evenly, and a picture can be in several mosaics. For
    the grid pointing game take pictures that the network names rightly and surely, such
    as those with a probability above 0.9 for their label.

    Parameters
    ----------
    scenes : SceneSet
        With pictures of at least ``grid * grid`` classes.
    grid, count, seed : int
        Cells in a row, at least 2; how many mosaics, at least 1; seed of the choice.

    Raises
    ------
    ValueError
        For fewer classes than cells, or a number below its least.
    """
    present, cells = np.unique(scenes.labels), grid * grid
    if grid < 2 or count < 1:
        what = "`grid` must be at least 2 and `count` at least 1"
        raise ValueError(f"{what}; received {grid} and {count}.")
    if len(present) < cells:
        raise ValueError(
            f"The {cells} cells of a mosaic need as many classes; received pictures of "
            f"{len(present)}. Take a smaller `grid`, or a set with more classes."
        )
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.permutation(present)[:cells] for _ in range(count)])
    of_class = {label: np.flatnonzero(scenes.labels == label) for label in present}
    chosen = [[rng.choice(of_class[label]) for label in row] for row in labels]
    height, width = scenes.images.shape[1:3]
    images = np.empty((count, grid * height, grid * width, 3), np.uint8)
    for mosaic, indices in zip(images, chosen, strict=True):
        for cell, index in enumerate(indices):
            top, left = cell // grid * height, cell % grid * width
            mosaic[top : top + height, left : left + width] = scenes.images[index]
    return Mosaics(images, labels)


def grid_pointing(maps: np.ndarray, *, grid: int = 2) -> np.ndarray:
    """Share of a map's positive part that lies in the cell of its own class, 0 to 1.

    Parameters
    ----------
    maps : ndarray of shape (n, grid * grid, h, w)
        Raw, signed; map i is that of the class in cell i of the mosaic:
        ``class_maps(resized(model, side), images, classes=labels)``.
    grid : int
        Cells in a row of the mosaic.

    Returns
    -------
    ndarray of shape (n, grid * grid), float64
        Chance is ``1 / grid**2``, which is also the score of a map without any positive
        value. Those of a mosaic are not independent: take their mean first.

    Raises
    ------
    TypeError, ValueError
        For maps of another shape, or that are no finite numbers.

    Notes
    -----
    The grid pointing game of M. Böhle et al. (CVPR 2021), studied further by S. Rao et
    al. (CVPR 2022): ``relu(map)[cell].sum() / relu(map).sum()``. A place of the map on
    the border of cells counts for each by its area in it.
    """
    shape, cells = np.shape(maps), grid * grid
    if len(shape) != 4 or shape[1] != cells:
        raise ValueError(
            f"`maps` must have shape (n, {cells}, h, w), for each cell of the mosaic "
            f"the map of its class; received {shape}. Pass classes=mosaics.labels."
        )
    flat = fit_maps(np.reshape(maps, (-1, *shape[2:])), None)
    positive = np.maximum(flat, 0).astype(np.float64).reshape(shape)
    down, across = (_shares(size, grid) for size in shape[2:])
    parts = np.einsum("nkyx,ry,cx->nkrc", positive, down, across)
    parts = parts.reshape(*shape[:2], cells)
    own, total = np.diagonal(parts, axis1=1, axis2=2), parts.sum(axis=2)
    return np.divide(own, total, out=np.full(own.shape, 1 / cells), where=total > 0)


def _shares(size: int, grid: int) -> np.ndarray:
    """How much of each of `size` places lies in each cell of a row: (grid, size)."""
    # In units of which a place has `grid` and a cell `size`, all borders are whole.
    places, cells = np.arange(size) * grid, np.arange(grid)[:, None] * size
    ends = np.minimum(places + grid, cells + size)
    return np.maximum(ends - np.maximum(places, cells), 0) / grid
