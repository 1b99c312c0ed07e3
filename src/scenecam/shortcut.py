"""Plant a shortcut: a small mark that gives a class away, and where it lies.

A network that can name a class by a mark need not look at the scene. Pictures with such
a mark, and a mask that knows where it is, make an experiment with a known answer: what
did the network look at? The mark is laid over finished pictures, drawn or photographed;
how scenes are drawn is not touched.

Everything here is whole-number arithmetic: same seed, same bytes, on any machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenecam.scenes import NO_CLASS, SceneSet

# What the letters below stand for: red, green, blue.
COLOURS = {
    "d": (22, 22, 30),  # dark ink
    "l": (250, 250, 245),  # light ink
    "r": (205, 35, 40),  # cloth
    "w": (255, 150, 40),  # warm light
}

# A stamp such as an agency's. Dark on light, so that it shows on any scene.
STAMP = """
..dddd..
.dlllld.
dlldddld
dldlllld
dldlllld
dlldddld
.dlllld.
..dddd..
"""

FLAG = """
drrrrrrr
drrrrrrr
drrrrrrr
drrrrrrr
drrrrrrr
dd......
dd......
dd......
dd......
dd......
dd......
dd......
"""

# A spot of light in the lens.
SPOT = """
...wwwwww...
.wwwwwwwwww.
.wwwwwwwwww.
wwwwwwwwwwww
wwwwwwwwwwww
wwwwwwwwwwww
wwwwwwwwwwww
wwwwwwwwwwww
wwwwwwwwwwww
.wwwwwwwwww.
.wwwwwwwwww.
...wwwwww...
"""


class Kind(NamedTuple):
    """One kind of mark: its drawing, how it is laid on, and where it lies."""

    drawing: str
    opacity: int  # in 256ths
    hides: bool  # whether one can no longer tell the class beneath it
    corner: tuple[bool, bool]  # at the bottom, at the right


KINDS = {
    "watermark": Kind(STAMP, 224, True, (True, True)),
    "tint": Kind(SPOT, 104, False, (False, True)),
    "flagpole": Kind(FLAG, 256, True, (True, False)),
}

# The side of a cell of the drawings: eight cells are `size` of the picture.
CELLS = 8
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
        Drawn or photographed, with or without masks; it stays as it is. A memory map
        is read into memory.
    class_name : str
        The class that the mark gives away.
    kind : {"watermark", "tint", "flagpole"}
        A round stamp near the lower right corner, a warm spot of light near the upper
        right one, a flag near the lower left one. The first two let the picture shine
        through.
    share : float in [0, 1]
        Share of the pictures of the class that bear the mark. With one seed a larger
        share keeps the marked pictures of a smaller one.
    others : float in [0, 1]
        The same for each of the other classes.
    size : float in (0, 0.5]
        Side of the stamp as a share of the picture's shorter side; flag and spot are
        half as large again.
    seed : int
        Chooses the pictures that are marked, and moves every mark a little, by up to
        half its own size.

    Returns
    -------
    marked : SceneSet
        The same pictures, labels and paths; in `masks`, where there are any, stamp and
        flag belong to no class (255).
    marks : ndarray of shape (n, h, w), bool
        Where the mark lies; nowhere in pictures without one. All other pixels are
        what they were.

    Raises
    ------
    ValueError
        For an unknown class or kind, a share or size out of range, or pictures so
        small that the mark has fewer than 4 pixels a side.

    Examples
    --------
    >>> marked, marks = plant_mark(train, "glacier", share=0.9, seed=0)
    >>> clean, _ = plant_mark(train, "glacier", share=0)
    """
    label, drawn = _check(scenes, class_name, kind, share, others)
    stamp = _enlarge(drawn.drawing, _side(scenes.images.shape[1:3], size))
    chosen = _choose(scenes, label, share, others, seed)
    # A stream of its own, after those of the classes: where a mark lies does not
    # depend on which pictures bear one.
    rng = np.random.default_rng((seed, len(scenes.class_names)))
    tops, lefts = _places(scenes.images.shape[:3], stamp.shape, drawn.corner, rng)
    images, marks = np.array(scenes.images), np.zeros(scenes.images.shape[:3], bool)
    covered = stamp != "."
    ink = np.array([COLOURS.get(letter, (0, 0, 0)) for letter in stamp.flat], np.int64)
    ink = ink.reshape(*stamp.shape, 3) * drawn.opacity
    for i in chosen:
        place = (
            i,
            slice(tops[i], tops[i] + stamp.shape[0]),
            slice(lefts[i], lefts[i] + stamp.shape[1]),
        )
        beneath = images[place].astype(np.int64)
        # Half a step is added before the division that cuts off: it rounds.
        mixed = (beneath * (256 - drawn.opacity) + ink + 128) // 256
        images[place] = np.where(covered[..., None], mixed, beneath)
        marks[place] = covered
    masks = scenes.masks
    if masks is not None and drawn.hides:
        masks = np.where(marks, np.uint8(NO_CLASS), masks)
    marked = SceneSet(
        images=images,
        labels=scenes.labels,
        class_names=scenes.class_names,
        masks=masks,
        paths=scenes.paths,
    )
    return marked, marks


def _check(scenes, class_name, kind, share, others) -> tuple[int, Kind]:
    if class_name not in scenes.class_names:
        raise ValueError(
            f"Unknown class {class_name!r}; choose one of {scenes.class_names}."
        )
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {tuple(KINDS)}; received {kind!r}.")
    for name, value in (("share", share), ("others", others)):
        if not 0 <= value <= 1:
            raise ValueError(
                f"`{name}` must lie between 0 and 1, like 0.9; received {value!r}."
            )
    return scenes.class_names.index(class_name), KINDS[kind]


def _side(shape: tuple[int, int], size: float) -> int:
    """Return how many pixels eight cells of a drawing are."""
    if not 0 < size <= 0.5:
        raise ValueError(f"`size` must be above 0, at most 0.5; received {size!r}.")
    side = int(min(shape) * size + 0.5)
    if side < SMALLEST:
        raise ValueError(
            f"a mark of size={size!r} has {side} pixels a side in pictures of "
            f"{shape[0]}x{shape[1]}; at least {SMALLEST} are needed. "
            "Give larger pictures or a larger `size`."
        )
    return side


def _enlarge(drawing: str, side: int) -> np.ndarray:
    """Return the drawing's letters pixel by pixel, (h, w), "." where nothing is."""
    cells = np.array([list(line) for line in drawing.split()])
    rows, columns = (
        np.arange(count * side // CELLS) * count // (count * side // CELLS)
        for count in cells.shape
    )
    return cells[rows[:, None], columns]


def _choose(scenes, label, share, others, seed) -> list[int]:
    """Return the places of the pictures that are marked, in order."""
    chosen: list[int] = []
    for other in range(len(scenes.class_names)):
        members = np.flatnonzero(scenes.labels == other)
        # One stream per class, so that a larger share of one keeps the others.
        order = np.random.default_rng((seed, other)).permutation(members)
        part = share if other == label else others
        chosen += order[: int(part * len(members) + 0.5)].tolist()
    return sorted(chosen)


def _places(shape, stamp, corner, rng) -> tuple[list[int], list[int]]:
    """Return the upper left pixel of every picture's mark, marked or not."""
    places = []
    for side, length, far in zip(shape[1:], stamp, corner, strict=True):
        # A quarter of the mark away from the edge, or more by up to half of it.
        room = side - length
        offset = length // 4 + rng.integers(0, length // 2 + 1, size=shape[0])
        offset = np.minimum(offset, room)
        places.append((room - offset if far else offset).tolist())
    return places[0], places[1]
