"""The canvas that scenes are painted on: pixels and classes, chance, textures, light.

Every brush follows one rule: it paints a hard-edged region with `Canvas.paint`, which
writes the colour and the class of those pixels together. So a mask is exact by
construction. Light that is laid over the picture afterwards works pixel by pixel.

The same seed gives the same bytes on any machine. For that, arrays only meet arithmetic
that IEEE 754 rounds exactly (``+ - * /``, comparison, truncation, lookup), and chance
is the integer stream of PCG64. ``np.sin``, ``np.power``, matrix products and float sums
may differ in the last bit from one processor to the next; they are not used here.

Lengths are in units of the canvas, x to the right and y downwards, both in [0, 1];
colours are red, green, blue in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

NOTHING = 255
BUILDINGS, FOREST, GLACIER, MOUNTAIN, SEA, STREET = range(6)

# This part of a class is composed so that another class could claim it as well: an alp
# with ice in its valleys, houses beyond a road. Photographs and labels are like that.
DOUBTFUL = 0.1

Colour = tuple[float, float, float]
FLOAT = np.float32

# Texture name -> (cells down a canvas, cells across it, octaves, weight of each octave
# against the one before).
TEXTURES = {
    "soft": (3, 3, 5, 0.5),
    "rough": (10, 10, 4, 0.8),
    "leaves": (20, 20, 3, 0.95),
    "ridged": (3, 3, 6, 0.52),
    "waves": (14, 3, 4, 0.75),
    "cracks": (4, 10, 4, 0.7),
}
# A texture is this many canvases wide: two scenes seldom meet in the same place.
TEXTURE_SPAN = 4


# --- numbers ----------------------------------------------------------------


def mix(a, b, t):
    """Blend linearly from `a` (t = 0) to `b` (t = 1).

    Parameters
    ----------
    a : colour of three floats, or ndarray of shape (3, h, w)
        What t = 0 gives.
    b : colour of three floats, or ndarray of shape (3, h, w)
        What t = 1 gives.
    t : float, or ndarray of shape (h, w)
        Part of `b` in the blend.

    Returns
    -------
    ndarray of shape (3,) or (3, h, w), float32
    """
    a, b = np.asarray(a, FLOAT), np.asarray(b, FLOAT)
    if isinstance(t, np.ndarray) and t.ndim == 2:
        a = a[:, None, None] if a.ndim == 1 else a
        b = b[:, None, None] if b.ndim == 1 else b
    return a + (b - a) * t


def clip(values, low=0.0, high=1.0):
    """Limit `values` to [low, high]: ``np.clip`` without its overhead."""
    return np.minimum(np.maximum(values, FLOAT(low)), FLOAT(high))


def smooth(t):
    """Ease `t` in [0, 1] in and out with the cubic 3 t^2 - 2 t^3."""
    return t * t * (3 - 2 * t)


@lru_cache(maxsize=256)
def _lattice(cells: int, count: int, span: int, eased: bool):
    """Cell index and fraction of `count` pixel centres spread over `cells` cells."""
    position = (np.arange(count, dtype=np.float64) + 0.5) * cells * span / count
    index = position.astype(np.intp)
    fraction = (position - index).astype(FLOAT)
    return index, smooth(fraction) if eased else fraction


def _octave(grid: np.ndarray, size: int) -> np.ndarray:
    """Enlarge a wrapping lattice of random values, by eased interpolation."""
    for axis in (0, 1):
        cells = grid.shape[axis]
        index, t = _lattice(cells, size * TEXTURE_SPAN, 1, True)
        here, after = grid.take(index, axis), grid.take((index + 1) % cells, axis)
        grid = here + (after - here) * (t[:, None] if axis == 0 else t)
    return grid


@lru_cache(maxsize=32)
def texture(name: str, size: int) -> np.ndarray:
    """Make one of the wrapping noise textures that scenes cut their pieces from.

    Values are equalised by rank: a threshold t leaves the fraction t of the area below
    it, so "a third of the sky in cloud" is the comparison ``> 2 / 3``.

    Parameters
    ----------
    name : str
        One of `TEXTURES`.
    size : int
        Side of the canvas in pixels.

    Returns
    -------
    ndarray of shape (4 size, 4 size), float32 in [0, 1), read-only
    """
    down, across, octaves, gain = TEXTURES[name]
    rng = np.random.Generator(np.random.PCG64([down, across, octaves, len(name)]))
    total, weight = np.zeros(1, FLOAT), 1.0
    for octave in range(octaves):
        cells = (down * TEXTURE_SPAN << octave, across * TEXTURE_SPAN << octave)
        layer = _octave(rng.random(cells, dtype=FLOAT), size)
        if name in ("ridged", "cracks"):
            layer = 1 - np.abs(2 * layer - 1)
        total = total + layer * FLOAT(weight)
        weight *= gain
    ranks = np.empty(total.size, FLOAT)
    order = np.argsort(total, axis=None, kind="stable")
    ranks[order] = np.arange(total.size, dtype=FLOAT) / total.size
    ranks = ranks.reshape(total.shape)
    ranks.flags.writeable = False
    return ranks


# --- canvas -----------------------------------------------------------------


@dataclass
class Light:
    """How a scene is lit: colours of the sky, of haze, of sun and shadow."""

    zenith: Colour = (0.25, 0.45, 0.8)
    horizon: Colour = (0.7, 0.82, 0.93)
    haze: Colour = (0.7, 0.8, 0.9)
    sun: Colour = (1.0, 1.0, 1.0)
    shade: Colour = (0.4, 0.45, 0.55)
    cloud: Colour = (0.97, 0.97, 0.98)
    belly: Colour = (0.65, 0.68, 0.73)
    cover: float = 0.3
    night: bool = False
    sun_x: float = 0.5
    sun_y: float = -1.0
    low: bool = False


@dataclass
class Canvas:
    """A picture being painted: its pixels, the class of each, its chance and its light.

    Attributes
    ----------
    image : ndarray of shape (3, size, size), float32
        Planes, not interleaved: one region then broadcasts over the three colours.
    mask : ndarray of shape (size, size), uint8
    x, y : ndarrays of shape (size,) and (size, 1), float32
        Pixel centres in canvas units.
    """

    size: int
    rng: np.random.Generator
    recolour: dict = field(default_factory=dict)
    light: Light = field(default_factory=Light)

    def __post_init__(self):
        self.image = np.zeros((3, self.size, self.size), FLOAT)
        self.mask = np.full((self.size, self.size), NOTHING, np.uint8)
        self.x = ((np.arange(self.size) + 0.5) / self.size).astype(FLOAT)
        self.y = self.x[:, None]

    # chance --------------------------------------------------------------

    def u(self, low: float = 0.0, high: float = 1.0) -> float:
        """Draw a number between `low` and `high`."""
        return low + (high - low) * self.rng.random()

    def chance(self, p: float) -> bool:
        """Return True with probability `p`."""
        return self.rng.random() < p

    def pick(self, options):
        """Pick one of `options`, each as likely as the others."""
        return options[int(self.rng.random() * len(options))]

    def vary(self, colour: Colour, by: float = 0.06) -> Colour:
        """Move `colour` a little: in brightness, and less in hue."""
        lift = self.u(-by, by)
        return tuple(min(1.0, max(0.0, c + lift + self.u(-by, by) / 3)) for c in colour)

    # texture -------------------------------------------------------------

    def grain(self, name: str, rows=1.0, cols=1.0) -> np.ndarray:
        """Cut a piece of a noise texture at a random place.

        Parameters
        ----------
        name : str
            One of `TEXTURES`.
        rows, cols : float or ndarray
            A float is how much finer than by nature the texture runs along that axis.
            An array gives the place of every row (h, 1), column (w,) or pixel (h, w)
            itself, in canvas units.

        Returns
        -------
        ndarray of shape (h, w), float32 in [0, 1)
        """
        source = texture(name, self.size)
        side = source.shape[0]
        top, left = (int(side * self.rng.random()) for _ in range(2))
        if isinstance(rows, float) and isinstance(cols, float):
            iy = (top + (np.arange(self.size) * rows).astype(np.intp)) % side
            ix = (left + (np.arange(self.size) * cols).astype(np.intp)) % side
            return source[iy[:, None], ix] if cols != 1.0 else source[iy].take(ix, 1)
        rows = self.y * FLOAT(rows) if isinstance(rows, float) else rows
        cols = self.x * FLOAT(cols) if isinstance(cols, float) else cols
        # Shift far to the right of zero first: truncation is then the floor.
        iy = (rows * self.size + (top + 64 * side)).astype(np.intp) % side
        ix = (cols * self.size + (left + 64 * side)).astype(np.intp) % side
        return source[iy, ix]

    def relief(
        self, name: str, rows, cols, step: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut a piece of a texture as `grain` does, with its slope from left to right.

        Returns
        -------
        height : ndarray of shape (h, w), float32 in [0, 1)
        slope : ndarray of shape (h, w), float32 in (-1, 1)
            How much higher the ground lies `step` pixels to the right and below.
        """
        source = texture(name, self.size)
        side = source.shape[0]
        rows = self.y * FLOAT(rows) if isinstance(rows, float) else rows
        cols = self.x * FLOAT(cols) if isinstance(cols, float) else cols
        far = 64 * side
        iy = (rows * self.size + (int(side * self.rng.random()) + far)).astype(np.intp)
        ix = (cols * self.size + (int(side * self.rng.random()) + far)).astype(np.intp)
        step = max(1, int(step + 0.5))
        height = source[iy % side, ix % side]
        return height, source[(iy + step // 2) % side, (ix + step) % side] - height

    def line(self, cells: int, octaves: int, gain: float, *, sharp=True) -> np.ndarray:
        """Draw a random profile across the canvas, as the crest of a ridge.

        Returns
        -------
        ndarray of shape (size,), float32 in [0, 1]
        """
        total, weight, scale = np.zeros(self.size, FLOAT), 1.0, 0.0
        for _ in range(octaves):
            heights = self.rng.random(cells + 1, dtype=FLOAT)
            index, t = _lattice(cells, self.size, 1, not sharp)
            before = heights[index]
            total += (before + (heights[index + 1] - before) * t) * FLOAT(weight)
            scale += weight
            weight *= gain
            cells *= 2
        return total / FLOAT(scale)

    # paint ---------------------------------------------------------------

    def paint(self, region, colour, label=NOTHING, *, light=None, haze=0.0, box=None):
        """Paint `region` and note its class: the only way a brush adds a thing.

        Parameters
        ----------
        region : ndarray of bool, or True
            Broadcast to the box.
        colour : three floats, or ndarray of shape (3, h, w)
            Red, green and blue in [0, 1], before light and haze.
        label : int
            Class index, or `NOTHING`.
        light : float or ndarray of shape (h, w), optional
            0 is full shadow and 1 full sun; without it the colour is taken as it is.
        haze : float or ndarray
            Part of the air's colour that lies over the region, 0 to 1.
        box : pair of slices, optional
            Rows and columns that the arrays describe; the whole canvas without it.
        """
        image, mask = self.image, self.mask
        if box is not None:
            image, mask = image[:, box[0], box[1]], mask[box]
        if label in self.recolour:
            colour, light, haze = self.recolour[label], None, 0.0
        colour = np.asarray(colour, FLOAT)
        if colour.ndim == 1:
            colour = colour[:, None, None]
        if light is not None:
            shade = np.asarray(self.light.shade, FLOAT)[:, None, None]
            sun = np.asarray(self.light.sun, FLOAT)[:, None, None]
            colour = colour * (shade + (sun - shade) * light)
        if isinstance(haze, np.ndarray) or haze > 0:
            air = np.asarray(self.light.haze, FLOAT)[:, None, None]
            colour = colour + (air - colour) * haze
        np.copyto(image, colour, where=region)
        np.copyto(mask, np.uint8(label), where=region)

    def box(self, top: float, bottom: float, left: float, right: float):
        """Return the slices (rows, columns) of a rectangle, cut to the canvas.

        At least one row and column remain where the rectangle touches the canvas: a
        small thing does not vanish on a small canvas.
        """
        n = self.size
        edges = [
            min(n, max(0, int(e * n + 64.5) - 64)) for e in (top, bottom, left, right)
        ]
        if edges[1] == edges[0] and 0 < bottom and top < 1:
            edges[1] = min(n, edges[0] + 1)
        if edges[3] == edges[2] and 0 < right and left < 1:
            edges[3] = min(n, edges[2] + 1)
        return slice(edges[0], edges[1]), slice(edges[2], edges[3])

    def rect(self, top, bottom, left, right, colour, label=NOTHING, *, light=None):
        """Paint a rectangle of one colour."""
        box = self.box(top, bottom, left, right)
        self.paint(True, colour, label, light=light, box=box)


# --- developing ------------------------------------------------------------


def finish(c: Canvas, *, grey: float, grain: float = 1.0) -> np.ndarray:
    """Develop the picture: exposure, contrast, colour cast, vignette, grain.

    Every step works on each pixel by itself, so that the edges of the masks stay true.

    Parameters
    ----------
    c : Canvas
        A painted scene; it stays as it is.
    grey : float
        Probability of a black and white (or sepia) picture.
    grain : float
        Strength of the grain.

    Returns
    -------
    ndarray of shape (size, size, 3), uint8
    """
    image = c.image
    if c.chance(grey):
        luma = image[0] * FLOAT(0.3) + image[1] * FLOAT(0.55) + image[2] * FLOAT(0.15)
        tone = c.pick([(1, 1, 1), (1, 1, 1), (1.06, 1.0, 0.88), (0.96, 1.0, 1.05)])
        image = luma * np.asarray(tone, FLOAT)[:, None, None]
        punch = c.u(0.1, 1.0)
    else:
        warm = c.u(-0.08, 0.08)
        cast = np.array((1 + warm, 1 + c.u(-0.02, 0.02), 1 - warm), FLOAT)[
            :, None, None
        ]
        luma = (image[0] + image[1] + image[2]) * FLOAT(1 / 3)
        image = (luma + (image - luma) * FLOAT(c.u(0.55, 1.3))) * cast
        punch = c.u(0.0, 0.9)
    image = clip(image * FLOAT(c.u(0.9, 1.35)) + FLOAT(c.u(-0.03, 0.06)))
    image = image + (smooth(image) - image) * FLOAT(punch)
    if c.chance(0.3):
        dx, dy = c.x - FLOAT(0.5), c.y - FLOAT(0.5)
        image = image * (1 - (dx * dx + dy * dy) * FLOAT(c.u(0.3, 1.1)))
    speck = c.rng.random((c.size, c.size), dtype=FLOAT)
    speck = speck + c.rng.random((c.size, c.size), dtype=FLOAT) - FLOAT(1)
    image = image + speck * FLOAT(c.u(0.005, 0.04) * grain)
    return (
        (clip(image) * FLOAT(255) + FLOAT(0.5))
        .astype(np.uint8)
        .transpose(1, 2, 0)
        .copy()
    )
