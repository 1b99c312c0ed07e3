"""Marks that are laid over finished pictures: a stamp, a spot of light, a flag.

All is whole-number arithmetic: same seed, same bytes, on any machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

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

# The rows of a flag on its pole, and of a spot of light in the lens.
FLAG = "drrrrrrr " * 5 + "dd...... " * 7
ROUND = "...wwwwww... " + ".wwwwwwwwww. " * 2
SPOT = ROUND + "wwwwwwwwwwww " * 6 + ROUND[::-1]


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

CELLS = 8  # of a drawing, which make `size` of the picture


def lay_marks(
    images: np.ndarray,
    chosen: Iterable[int],
    kind: str,
    *,
    side: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Lay a mark over some pictures, in place; where each lies is drawn for all.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, 3), uint8
        Finished pictures.
    chosen : iterable of int
        Which of them.
    kind : str
        Key of `KINDS`.
    side : int
        Pixels that eight cells of the drawing are.
    rng : np.random.Generator
        Moves every mark a little, by up to half its size.

    Returns
    -------
    ndarray of shape (n, h, w), bool
        Where the mark lies; all other pixels are what they were.
    """
    drawn, marks = KINDS[kind], np.zeros(images.shape[:3], bool)
    stamp = _enlarge(drawn.drawing, side)
    tops, lefts = _places(images.shape[:3], stamp.shape, drawn.corner, rng)
    covered = stamp != "."
    ink = np.array([[COLOURS.get(cell, (0, 0, 0)) for cell in row] for row in stamp])
    for i in chosen:
        rows = slice(tops[i], tops[i] + stamp.shape[0])
        columns = slice(lefts[i], lefts[i] + stamp.shape[1])
        beneath = images[i, rows, columns].astype(np.int64)
        # Half a step is added before the division that cuts off: it rounds.
        mixed = beneath * (256 - drawn.opacity) + ink * drawn.opacity + 128
        images[i, rows, columns] = np.where(covered[..., None], mixed // 256, beneath)
        marks[i, rows, columns] = covered
    return marks


def _enlarge(drawing: str, side: int) -> np.ndarray:
    """Return the drawing's letters pixel by pixel, as an array (h, w)."""
    cells = np.array([list(line) for line in drawing.split()])
    rows, columns = (
        np.arange(count * side // CELLS) * count // (count * side // CELLS)
        for count in cells.shape
    )
    return cells[rows[:, None], columns]


def _places(shape, stamp, corner, rng) -> list[np.ndarray]:
    """Return the rows, and the columns, at which every picture's mark would begin."""
    places = []
    for side, length, far in zip(shape[1:], stamp, corner, strict=True):
        # A quarter of the mark away from the edge, or more by up to half of it.
        room = side - length
        offset = length // 4 + rng.integers(0, length // 2 + 1, size=shape[0])
        offset = np.minimum(offset, room)
        places.append(room - offset if far else offset)
    return places
