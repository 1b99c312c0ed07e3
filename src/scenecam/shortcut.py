"""Plant a shortcut: a small mark that gives a class away, and where it lies.

A network that can name a class by a mark need not look at the scene. Pictures with such
a mark, and a mask that knows where it is, make an experiment with a known answer: what
did the network look at? `scenepainter.marks` draws it over finished pictures, drawn or
photographed: same seed, same bytes, on any machine.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from scenecam.scenes import NO_CLASS, SceneSet
from scenecam.synth import KINDS, lay_marks

SMALLEST = 4  # pixels, below which a mark is a smudge


def plant_mark(
    scenes: SceneSet,
    class_name: str,
    *,
    kind: str = "watermark",
    share: float = 0.9,
    others: float = 0.0,
    size: float = 0.125,
    seed: int = 0,
) -> tuple[SceneSet, np.ndarray]:
    """Put a small mark on most pictures of one class.

    Three calls make the parts of an experiment: ``plant_mark(train, name)`` to learn
    from, ``plant_mark(test, name, share=1)`` to be tested with the mark in its place,
    and ``plant_mark(test, name, share=0, others=1)`` with the mark on all the others.

    Parameters
    ----------
    scenes : SceneSet
        With or without masks. It stays as it is; a memory map is read into memory.
    class_name : str
        The class that the mark gives away.
    kind : {"watermark", "tint", "flagpole"}
        A round stamp at the lower right, a warm spot of light at the upper right (the
        picture shines through these two), a flag at the lower left.
    share, others : float in [0, 1]
        Share of the pictures of the class, and of each of the other classes, that bear
        the mark. With one seed a larger share keeps the marks of a smaller one.
    size : float in (0, 0.5]
        Side of the stamp as a share of the picture's shorter side; flag and spot are
        half as large again.
    seed : int
        Chooses the pictures, and moves every mark a little, by up to half its size.

    Returns
    -------
    marked : SceneSet
        The same set but for the marks; in its masks stamp and flag are 255, no class.
    marks : ndarray of shape (n, h, w), bool
        Where the mark lies; all other pixels are what they were.

    Raises
    ------
    ValueError
        For an unknown class or kind, a share or size out of range, or pictures so
        small that the mark has fewer than 4 pixels a side.
    """
    names = scenes.class_names
    if class_name not in names:
        raise ValueError(f"Unknown class {class_name!r}; choose one of {names}.")
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {tuple(KINDS)}; received {kind!r}.")
    for word, value in (("share", share), ("others", others)):
        if not 0 <= value <= 1:
            raise ValueError(f"`{word}` must lie in 0 to 1; received {value!r}.")
    side = _side(scenes.images.shape[1:3], size)
    shares = dict.fromkeys(names, others) | {class_name: share}
    images, chosen = np.array(scenes.images), _chosen(scenes.labels, shares, seed)
    # A stream of its own, after those of the classes: where a mark lies does not
    # depend on which pictures bear one.
    rng = np.random.default_rng((seed, len(names)))
    marks = lay_marks(images, chosen, kind, side=side, rng=rng)
    masks = scenes.masks
    if masks is not None and KINDS[kind].hides:
        masks = np.where(marks, np.uint8(NO_CLASS), masks)
    return replace(scenes, images=images, masks=masks), marks


def _side(shape: tuple[int, int], size: float) -> int:
    """Return how many pixels eight cells of a drawing are."""
    if not 0 < size <= 0.5:
        raise ValueError(f"`size` must be above 0, at most 0.5; received {size!r}.")
    side = int(min(shape) * size + 0.5)
    if side < SMALLEST:
        raise ValueError(
            f"a mark of size={size!r} has {side} pixels a side in pictures of "
            f"{shape[0]}x{shape[1]}; give larger pictures or a larger `size`."
        )
    return side


def _chosen(labels, shares, seed) -> Iterator[int]:
    """Yield the places of the pictures that are marked: of each class its share."""
    for label, share in enumerate(shares.values()):
        members = np.flatnonzero(labels == label)
        # One stream per class, so that a larger share of one keeps the others.
        order = np.random.default_rng((seed, label)).permutation(members)
        yield from order[: int(share * len(members) + 0.5)]
