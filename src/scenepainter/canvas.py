"""The canvas that scenes are painted on: pixels and classes, chance, textures, light.

Every brush follows one rule: it paints a hard-edged region with `Canvas.paint`, which
writes the colour and the class of those pixels together. So a mask is exact by
construction. Light that is laid over the picture afterwards works pixel by pixel.

The same seed gives the same bytes on any machine. For that, arrays only meet arithmetic
that IEEE 754 rounds exactly (``+ - * /``, comparison, truncation, lookup), and chance
is the integer stream of PCG64. ``np.sin``, ``np.power``, matrix products and float sums
may differ in the last bit from one processor to the next; they are not used here.
Arrays are float32, and a Python number that meets one is rounded to float32 first.
`FLOAT` stands where that would not happen: two numbers meet before they meet an array,
or the array is float64, since whole numbers were taken from it.

Lengths are in units of the canvas, x to the right and y downwards, both in [0, 1];
colours are red, green, blue in [0, 1]. In every brush `c` is the canvas, and `region`,
`label`, `light`, `haze` and `box` mean what they mean in `Canvas.paint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

NOTHING = 255
BUILDINGS, FOREST, GLACIER, MOUNTAIN, SEA, STREET = range(6)

# This part of a class is composed so that another class could claim it as well: an alp
# with ice in its valleys, houses beyond a road. Photographs and labels are like that.
DOUBTFUL = 0.1

Colour = Sequence[float] | np.ndarray
Pair = tuple[Colour, Colour]  # in shadow, and in the light
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


def planes(colour) -> np.ndarray:
    """Turn a colour into an array (3, 1, 1), which meets a picture's three planes."""
    colour = np.asarray(colour, FLOAT)
    return colour[:, None, None] if colour.ndim == 1 else colour


def mix(a, b, t) -> np.ndarray:
    """Blend linearly from `a` (t = 0) to `b` (t = 1).

    Colours of three floats or of shape (3, h, w), blended by a number or by an array
    (h, w), give float32 of shape (3,) or (3, h, w).
    """
    a, b = np.asarray(a, FLOAT), np.asarray(b, FLOAT)
    if isinstance(t, np.ndarray) and t.ndim == 2:
        a, b = planes(a), planes(b)
    return a + (b - a) * t


def clip(values, low=0.0, high=1.0):
    """Limit `values` to [low, high]: ``np.clip`` without its overhead."""
    return np.minimum(np.maximum(values, low), high)


def smooth(t):
    """Ease `t` in [0, 1] in and out with the cubic 3 t^2 - 2 t^3."""
    return t * t * (3 - 2 * t)


@lru_cache(maxsize=256)
def _lattice(cells: int, count: int, eased: bool):
    """Cell index and fraction of `count` pixel centres spread over `cells` cells."""
    position = (np.arange(count, dtype=np.float64) + 0.5) * cells / count
    index = position.astype(np.intp)
    fraction = (position - index).astype(FLOAT)
    return index, smooth(fraction) if eased else fraction


def _octave(grid: np.ndarray, size: int) -> np.ndarray:
    """Enlarge a wrapping lattice of random values, by eased interpolation."""
    for axis in (0, 1):
        cells = grid.shape[axis]
        index, t = _lattice(cells, size * TEXTURE_SPAN, True)
        here, after = grid.take(index, axis), grid.take((index + 1) % cells, axis)
        grid = here + (after - here) * (t[:, None] if axis == 0 else t)
    return grid


@lru_cache(maxsize=32)
def texture(name: str, size: int) -> np.ndarray:
    """Make one of the wrapping noise textures that scenes cut their pieces from.

    Values are equalised by rank: a threshold t leaves the fraction t of the area below
    it, so "a third of the sky in cloud" is the comparison ``> 2 / 3``.

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
        total = total + layer * weight
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
        """Pick one of `options` (of a text: one of its words), all equally likely."""
        options = options.split() if isinstance(options, str) else options
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
        if isinstance(rows, float) and isinstance(cols, float):
            steps, side = np.arange(self.size), len(source)
            top, left = (int(side * self.rng.random()) for _ in range(2))
            iy = (top + (steps * rows).astype(np.intp)) % side
            ix = (left + (steps * cols).astype(np.intp)) % side
            return source.take(iy, 0).take(ix, 1)
        iy, ix = self._places(len(source), rows, cols)
        return source[iy, ix]

    def relief(self, name: str, rows, cols, step: float):
        """Cut a piece of a texture as `grain` does, with its slope from left to right.

        Returns
        -------
        height : ndarray of shape (h, w), float32 in [0, 1)
        slope : ndarray of shape (h, w), float32 in (-1, 1)
            How much higher the ground lies `step` pixels to the right and below.
        """
        source = texture(name, self.size)
        side = len(source)
        iy, ix = self._places(side, rows, cols)
        step = max(1, int(step + 0.5))
        height = source[iy, ix]
        return height, source[(iy + step // 2) % side, (ix + step) % side] - height

    def _places(self, side: int, rows, cols):
        """Return the rows and columns, in a texture, of a piece at a random place."""
        rows = self.y * rows if isinstance(rows, float) else rows
        cols = self.x * cols if isinstance(cols, float) else cols
        top, left = (int(side * self.rng.random()) for _ in range(2))
        # Shift far to the right of zero first: truncation is then the floor.
        iy = (rows * self.size + (top + 64 * side)).astype(np.intp) % side
        ix = (cols * self.size + (left + 64 * side)).astype(np.intp) % side
        return iy, ix

    def line(self, cells: int, octaves: int, gain: float, *, sharp=True) -> np.ndarray:
        """Draw a random profile across the canvas: float32 (size,) in [0, 1]."""
        total, weight, scale = np.zeros(self.size, FLOAT), 1.0, 0.0
        for _ in range(octaves):
            heights = self.rng.random(cells + 1, dtype=FLOAT)
            index, t = _lattice(cells, self.size, not sharp)
            before = heights[index]
            total += (before + (heights[index + 1] - before) * t) * weight
            scale += weight
            weight *= gain
            cells *= 2
        return total / scale

    # paint ---------------------------------------------------------------

    def lamp(self, light):
        """Return the colour of light between full shadow (0) and full sun (1)."""
        shade = planes(self.light.shade)
        return shade + (planes(self.light.sun) - shade) * light

    def paint(self, region, colour, label=NOTHING, *, light=None, haze=0.0, box=None):
        """Paint `region` and note its class: the only way a brush adds a thing.

        Parameters
        ----------
        region : ndarray of bool, or True
            Broadcast to the box.
        colour : three floats, or ndarray of shape (3, h, w)
            Before light and haze.
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
        colour = planes(colour)
        if light is not None:
            colour = colour * self.lamp(light)
        if isinstance(haze, np.ndarray) or haze > 0:
            colour = colour + (planes(self.light.haze) - colour) * haze
        np.copyto(image, colour, where=region)
        np.copyto(mask, np.uint8(label), where=region)

    def box(self, top: float, bottom: float, left: float, right: float):
        """Return the slices (rows, columns) of a rectangle, cut to the canvas.

        At least one row and column remain where the rectangle touches the canvas: a
        small thing does not vanish on a small canvas.
        """

        def span(start, end):
            first, last = (
                min(self.size, max(0, int(edge * self.size + 64.5) - 64))
                for edge in (start, end)
            )
            if first == last and start < 1 and 0 < end:
                last = min(self.size, first + 1)
            return slice(first, last)

        return span(top, bottom), span(left, right)

    def rect(self, top, bottom, left, right, colour, label=NOTHING, *, light=None):
        """Paint a rectangle of one colour."""
        box = self.box(top, bottom, left, right)
        self.paint(True, colour, label, light=light, box=box)


# --- developing ------------------------------------------------------------


def finish(c: Canvas, *, grey: float) -> np.ndarray:
    """Develop the picture: exposure, contrast, colour cast, vignette, grain.

    Every step works on each pixel by itself, so that the edges of the masks stay true.
    With probability `grey` the picture is black and white, or sepia.

    Returns
    -------
    ndarray of shape (size, size, 3), uint8
    """
    image = c.image
    if c.chance(grey):
        luma = image[0] * 0.3 + image[1] * 0.55 + image[2] * 0.15
        tone = c.pick([(1, 1, 1), (1, 1, 1), (1.06, 1.0, 0.88), (0.96, 1.0, 1.05)])
        image = luma * planes(tone)
        punch = c.u(0.1, 1.0)
    else:
        warm = c.u(-0.08, 0.08)
        cast = planes((1 + warm, 1 + c.u(-0.02, 0.02), 1 - warm))
        luma = (image[0] + image[1] + image[2]) * (1 / 3)
        image = (luma + (image - luma) * c.u(0.55, 1.3)) * cast
        punch = c.u(0.0, 0.9)
    image = clip(image * c.u(0.9, 1.35) + c.u(-0.03, 0.06))
    image = image + (smooth(image) - image) * punch
    if c.chance(0.3):
        dx, dy = c.x - 0.5, c.y - 0.5
        image = image * (1 - (dx * dx + dy * dy) * c.u(0.3, 1.1))
    speck = c.rng.random((c.size, c.size), dtype=FLOAT)
    speck = speck + c.rng.random((c.size, c.size), dtype=FLOAT) - 1
    image = clip(image + speck * c.u(0.005, 0.04))
    return (image * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0).copy()
