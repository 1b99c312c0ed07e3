"""Draw labelled scenes of six classes from a seed, with the class of every pixel.

The package `scenepainter` draws them; here they become a `SceneSet`.
"""

from __future__ import annotations

import numpy as np

from scenecam.scenes import SceneSet
from scenepainter import CLASS_NAMES, draw, draw_aside
from scenepainter import digest as digest  # names the drawing, as a key of the cache
from scenepainter.marks import KINDS as KINDS  # for `shortcut`
from scenepainter.marks import lay_marks as lay_marks


def _check_size(size: int) -> None:
    if not isinstance(size, (int, np.integer)) or not 32 <= size <= 512:
        what = "`size` must be a whole number of pixels, 32 to 512"
        raise ValueError(f"{what}; received {size!r}.")


def draw_scene(
    class_name: str, *, size: int = 96, seed: int = 0, recolour: dict | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene.

    Parameters
    ----------
    class_name : str
        One of `CLASS_NAMES`.
    size : int
        Side of the picture in pixels, 32 to 512.
    seed : int
        Same seed, same bytes, on any machine.
    recolour : dict, optional
        Class name -> colour in [0, 1]: every brush then paints this class flat in that
        colour. It shows what a mask covers, and proves that the mask is true.

    Returns
    -------
    image : ndarray of shape (size, size, 3), uint8
    mask : ndarray of shape (size, size), uint8
        Index into `CLASS_NAMES`, or 255 where no class was painted (sky, sand, people).

    Raises
    ------
    ValueError
        For an unknown class, or a size out of range.
    """
    _check_size(size)
    for name in (class_name, *(recolour or {})):
        if name not in CLASS_NAMES:
            raise ValueError(f"Unknown class {name!r}; choose one of {CLASS_NAMES}.")
    index = CLASS_NAMES.index(class_name)
    flat = {CLASS_NAMES.index(name): rgb for name, rgb in (recolour or {}).items()}
    return draw(index, size, np.random.SeedSequence((seed, index)), flat)


def draw_scenes(
    count: int, *, size: int = 96, seed: int = 0, placed: str | None = None
) -> SceneSet:
    """Draw a balanced, labelled set of `count` scenes; parameters as in `draw_scene`.

    Scene i depends on `seed` and i only, not on `count`: a longer set begins with the
    shorter one. Classes follow each other in turn. `images` (count, size, size, 3) and
    `masks` (count, size, size) of the set are uint8.

    With ``placed="aside"`` the class of every scene lies off the middle, on 8 to 30 %
    of the picture, and no other class covers more: a map that knows nothing of the
    picture, such as `judging.centre_blob`, then misses it.

    Raises
    ------
    ValueError
        For a negative count, a size out of range, or another word for `placed`.

    Examples
    --------
    >>> draw_scenes(12, seed=7).images.shape
    (12, 96, 96, 3)
    """
    _check_size(size)
    if count < 0:
        raise ValueError(f"`count` must not be negative; received {count!r}.")
    if placed not in (None, "aside"):
        raise ValueError(f"`placed` must be None or 'aside'; received {placed!r}.")
    draw_one = draw_aside if placed else draw
    images = np.empty((count, size, size, 3), np.uint8)
    masks = np.empty((count, size, size), np.uint8)
    labels = np.arange(count, dtype=np.int64) % len(CLASS_NAMES)
    for i in range(count):
        own = np.random.SeedSequence(seed, spawn_key=(i,))
        images[i], masks[i] = draw_one(int(labels[i]), size, own)
    return SceneSet(images, labels, CLASS_NAMES, masks)
