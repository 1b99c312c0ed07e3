"""Compose whole scenes: which class, how often again, and the bytes that come of it."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np

from scenepainter.canvas import Canvas, finish
from scenepainter.landscapes import forest, glacier, mountain, sea
from scenepainter.townscapes import buildings, street

CLASS_NAMES = ("buildings", "forest", "glacier", "mountain", "sea", "street")

# A scene shows at least this share of its own class, or it is composed again.
MIN_SHARE = 0.15

COMPOSERS = (buildings, forest, glacier, mountain, sea, street)
# The same, but no forest from within, which fills every window.
FROM_OUTSIDE = (buildings, partial(forest, kinds="edge"), *COMPOSERS[2:])
# A scene whose class stands aside: the class's share of it; how far, in sides of the
# picture, the class's centre lies from the middle at least; side of the larger scene.
ASIDE_SHARE, ASIDE_OFF, ASIDE_SCALE = (0.08, 0.3), 0.2, 1.5

# How often a class is photographed in black and white.
GREY = (0.12, 0.08, 0.05, 0.05, 0.12, 0.25)

# Seeds, class by class, of scenes that together show everything the brushes can do.
# They were found by trying; tests/test_painter.py tells when something new needs more.
WITNESSES = (
    (0, 2, 4, 8, 9, 10, 26, 76, 82, 113, 114),
    (2, 7, 11, 31, 38, 63),
    (3, 14, 16, 45, 57, 79),
    (1, 2, 4, 5, 10),
    (1, 2, 7, 15, 24, 31, 44, 116),
    (1, 2, 15, 16, 46, 55, 82),
)


def draw(index: int, size: int, seed: np.random.SeedSequence, recolour=None):
    """Draw one scene.

    Parameters
    ----------
    index : int
        Its class, as a place in `CLASS_NAMES`.
    size : int
        Side of the picture in pixels, from 32.
    seed : numpy.random.SeedSequence
        Same seed, same bytes, on any machine.
    recolour : dict, optional
        Class index -> the colour in which every brush then paints this class flat.

    Returns
    -------
    image : ndarray of shape (size, size, 3), uint8
    mask : ndarray of shape (size, size), uint8
        Index into `CLASS_NAMES`, or 255 where no class was painted.
    """
    canvas = _compose(Canvas, index, size, seed, recolour or {})
    return finish(canvas, grey=GREY[index]), canvas.mask


def draw_aside(index: int, size: int, seed: np.random.SeedSequence, recolour=None):
    """Draw a scene whose class lies off the middle, and on less of the picture.

    All as in `draw`, of which this is a window into a larger scene: the one whose class
    lies furthest to the left or to the right, as chance wants it. The class covers
    `ASIDE_SHARE`, and no other class covers more. Scenes that have no such window are
    drawn anew.
    """
    large = round(ASIDE_SCALE * size)
    steps = range(0, large - size + 1, size // 8)
    side = np.random.Generator(np.random.PCG64(seed)).choice((-1, 1))
    for attempt in itertools.count():
        key = (*seed.spawn_key, attempt)
        own = np.random.SeedSequence(seed.entropy, spawn_key=key)
        canvas = _compose(Canvas, index, large, own, recolour or {}, FROM_OUTSIDE)
        found = [
            (side * across, (slice(top, top + size), slice(left, left + size)))
            for top in steps
            for left in steps
            if (across := _aside(canvas.mask[top:, left:][:size, :size], index))
            is not None
        ]
        if found:
            window = max(found, key=lambda pair: pair[0])[1]
            return finish(canvas, grey=GREY[index])[window], canvas.mask[window]


def _aside(mask: np.ndarray, index: int) -> float | None:
    """How far to the right the class lies if it stands aside, in sides; else None."""
    counts = [np.count_nonzero(mask == other) for other in range(len(CLASS_NAMES))]
    low, high = ASIDE_SHARE
    if not low <= counts[index] / mask.size <= high or counts[index] < max(counts):
        return None
    own = mask == index
    # Sums of whole numbers are exact on any machine.
    down, across = (
        sum(place * np.count_nonzero(line) for place, line in enumerate(lines))
        for lines in (own, own.T)
    )
    down, across = (
        (total / counts[index] + 0.5) / len(mask) - 0.5 for total in (down, across)
    )
    return across if down * down + across * across >= ASIDE_OFF * ASIDE_OFF else None


def _compose(kind, index, size, seed, recolour, composers=COMPOSERS) -> Canvas:
    """Compose scenes of a class until one shows enough of it."""
    rng = np.random.Generator(np.random.PCG64(seed))
    while True:
        canvas = kind(size, rng, recolour)
        composers[index](canvas)
        if np.count_nonzero(canvas.mask == index) >= MIN_SHARE * size * size:
            return canvas


@dataclass
class Witness(Canvas):
    """A canvas that notes every stroke, and the odds of all that chance decides.

    Odds that have changed a little show in one scene of many, and a stroke may lie
    under others; the notes tell at once.
    """

    notes: hashlib._Hash = field(kw_only=True)

    def note(self, word: str, numbers) -> None:
        """Note numbers as Python writes them, whoever made them."""
        self.notes.update(f"{word} {[float(number) for number in numbers]}".encode())

    def u(self, *bounds):  # noqa: D102
        self.note("between", bounds)
        return super().u(*bounds)

    def chance(self, p):  # noqa: D102
        self.note("odds", [p])
        return super().chance(p)

    def pick(self, options):  # noqa: D102
        self.notes.update(f"one of {options}".encode())
        return super().pick(options)

    def box(self, *edges):  # noqa: D102
        self.note("within", edges)
        return super().box(*edges)

    def paint(self, *arguments, **options):  # noqa: D102
        super().paint(*arguments, **options)
        self.notes.update(self.image)
        self.notes.update(self.mask)


@cache
def digest() -> str:
    """Name what is painted: another drawing has another name, another comment not.

    The name is made of some scenes, stroke by stroke and down to the last bit of their
    colours. It takes a third of a second, once in a process.
    """
    notes = hashlib.sha256(f"{CLASS_NAMES} {MIN_SHARE}".encode())
    witness = partial(Witness, notes=notes)
    for index, seeds in enumerate(WITNESSES):
        for seed in seeds:
            # One scene of each class is as large as those of the book.
            size = 96 if seed == seeds[0] else 32
            sequence = np.random.SeedSequence((seed, index))
            canvas = _compose(witness, index, size, sequence, {})
            notes.update(finish(canvas, grey=GREY[index]))
    return notes.hexdigest()
