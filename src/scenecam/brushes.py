"""Paint on a small canvas: sky, rock, ice, water, trees, walls, roads and their light.

Every brush follows one rule: it paints a hard-edged region in one call, which writes the
colour and the class of those pixels together. So a mask is exact by construction.

The same seed gives the same bytes on any machine. For that the module only uses arithmetic
that IEEE 754 rounds exactly (``+ - * /``, comparison, truncation, lookup) on arrays, and the
integer stream of PCG64. ``np.sin``, ``np.power``, matrix products and float sums may differ
in the last bit from one processor to the next, and so they are not used here.

Lengths are in units of the canvas, x to the right and y downwards, both in [0, 1]; colours
are red, green, blue in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

NOTHING = 255
BUILDINGS, FOREST, GLACIER, MOUNTAIN, SEA, STREET = range(6)

Colour = tuple[float, float, float]
FLOAT = np.float32

# Texture name -> (cells down and across one canvas, octaves, weight of each octave against
# the one before).
TEXTURES = {
    "soft": (3, 3, 5, 0.5),
    "rough": (10, 10, 4, 0.8),
    "leaves": (20, 20, 3, 0.95),
    "ridged": (3, 3, 6, 0.52),
    "waves": (14, 3, 4, 0.75),
    "cracks": (4, 10, 4, 0.7),
}
# A texture is this many canvases wide, so that two scenes seldom meet in the same place.
TEXTURE_SPAN = 4


# --- numbers -------------------------------------------------------------------------------


def mix(a, b, t):
    """Blend linearly from `a` (t = 0) to `b` (t = 1).

    Parameters
    ----------
    a, b : colours of three floats, or arrays of shape (3, h, w)
    t : float, or ndarray of shape (h, w)

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
    """Limit `values` to [low, high]; ``np.clip`` without its overhead on small arrays."""
    return np.minimum(np.maximum(values, FLOAT(low)), FLOAT(high))


def smooth(t):
    """Ease `t` in [0, 1] in and out with the cubic 3 t^2 - 2 t^3."""
    return t * t * (3 - 2 * t)


@lru_cache(maxsize=256)
def _lattice(cells: int, count: int, span: int, eased: bool):
    """Cell index and fraction of `count` pixel centres that spread over `cells` cells."""
    position = (np.arange(count, dtype=np.float64) + 0.5) * cells * span / count
    index = position.astype(np.intp)
    fraction = (position - index).astype(FLOAT)
    return index, smooth(fraction) if eased else fraction


def _octave(grid: np.ndarray, size: int) -> np.ndarray:
    """Enlarge a wrapping lattice of random values to a texture, by eased interpolation."""
    for axis in (0, 1):
        cells = grid.shape[axis]
        index, t = _lattice(cells, size * TEXTURE_SPAN, 1, True)
        here, after = grid.take(index, axis), grid.take((index + 1) % cells, axis)
        grid = here + (after - here) * (t[:, None] if axis == 0 else t)
    return grid


@lru_cache(maxsize=32)
def texture(name: str, size: int) -> np.ndarray:
    """Make one of the wrapping noise textures that all scenes of a size cut pieces from.

    Values are equalised by rank: a threshold t leaves the fraction t of the area below it,
    so "a third of the sky in cloud" is the comparison ``> 2 / 3``.

    Parameters
    ----------
    name : one of `TEXTURES`
    size : side of the canvas in pixels

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


# --- canvas --------------------------------------------------------------------------------


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

    # chance -----------------------------------------------------------------------------

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

    # texture ----------------------------------------------------------------------------

    def grain(self, name: str, rows=1.0, cols=1.0) -> np.ndarray:
        """Cut a piece of a noise texture at a random place.

        Parameters
        ----------
        name : one of `TEXTURES`
        rows, cols : float or ndarray
            A float is how much finer than by nature the texture runs along that axis. An
            array gives the place of every row (h, 1), column (w,) or pixel (h, w) itself,
            in canvas units.

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

    # paint ------------------------------------------------------------------------------

    def paint(self, region, colour, label=NOTHING, *, light=None, haze=0.0, box=None):
        """Paint `region` and note its class: the only way a brush changes a canvas.

        Parameters
        ----------
        region : ndarray of bool, broadcast to the box
        colour : three floats, or ndarray of shape (3, h, w)
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

        At least one row and column remain where the rectangle touches the canvas, so that
        a small thing does not vanish on a small canvas.
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


# --- sky and light -------------------------------------------------------------------------


def weather(c: Canvas, kinds: str) -> None:
    """Choose the light of a scene from a list of kinds, given as one string of names."""
    kind = c.pick(kinds.split())
    grey = c.u(0.55, 0.92)
    light = Light(sun_x=c.u(0.1, 0.9), cover=c.u(0.0, 0.5))
    if kind == "clear":
        depth = c.u()
        light.zenith = c.vary(mix((0.42, 0.62, 0.86), (0.08, 0.22, 0.55), depth))
        light.horizon = c.vary(mix(light.zenith, (0.8, 0.88, 0.95), c.u(0.3, 0.9)))
        light.cover = c.u(0.0, 0.55) if c.chance(0.7) else 0.0
        light.shade = c.vary((0.3, 0.33, 0.4), 0.08)
    elif kind == "overcast":
        light.zenith = c.vary((grey, grey, grey + 0.02), 0.05)
        light.horizon = c.vary((grey + 0.08, grey + 0.09, grey + 0.1), 0.05)
        light.cloud = (grey + 0.08,) * 3
        light.belly = (grey - 0.22, grey - 0.2, grey - 0.17)
        light.cover = c.u(0.3, 1.0)
        light.sun, light.shade = (0.85, 0.86, 0.88), (0.48, 0.5, 0.53)
    elif kind == "storm":
        dark = c.u(0.2, 0.45)
        light.zenith = c.vary((dark, dark + 0.02, dark + 0.06), 0.04)
        light.horizon = c.vary((dark + 0.25, dark + 0.27, dark + 0.3), 0.06)
        light.cloud = (dark + 0.25, dark + 0.26, dark + 0.3)
        light.belly = (dark - 0.1, dark - 0.09, dark - 0.05)
        light.cover = c.u(0.5, 1.0)
        light.sun, light.shade = (0.62, 0.63, 0.66), (0.25, 0.27, 0.32)
    elif kind == "mist":
        light.zenith = c.vary((grey, grey + 0.01, grey + 0.03), 0.05)
        light.horizon = c.vary((grey + 0.05,) * 3, 0.05)
        light.cover = 0.0
        light.sun, light.shade = (0.85, 0.86, 0.87), (0.55, 0.57, 0.6)
    elif kind == "golden":
        light.zenith = c.vary((0.35, 0.45, 0.65), 0.1)
        light.horizon = c.vary((0.95, 0.75, 0.5), 0.08)
        light.cloud, light.belly = c.vary((1.0, 0.82, 0.6)), c.vary((0.6, 0.45, 0.45))
        light.sun, light.shade = (1.12, 0.9, 0.62), (0.26, 0.27, 0.36)
        light.low, light.sun_y = True, c.u(0.1, 0.5)
    elif kind == "dusk":
        light.zenith = c.vary((0.28, 0.26, 0.42), 0.12)
        light.horizon = c.vary(
            c.pick([(0.98, 0.55, 0.2), (0.9, 0.5, 0.45), (1, 0.7, 0.3)])
        )
        light.cloud, light.belly = c.vary((0.95, 0.55, 0.4)), c.vary((0.3, 0.22, 0.3))
        light.sun, light.shade = (0.7, 0.5, 0.38), (0.18, 0.16, 0.2)
        light.low, light.sun_y = True, c.u(0.15, 0.5)
    else:  # night
        light.zenith = c.vary((0.04, 0.05, 0.12), 0.04)
        light.horizon = c.vary(c.pick([(0.1, 0.12, 0.3), (0.25, 0.18, 0.14)]), 0.06)
        light.cloud, light.belly = (0.2, 0.2, 0.26), (0.07, 0.07, 0.12)
        light.sun, light.shade = (0.62, 0.48, 0.32), (0.2, 0.17, 0.17)
        light.night = True
    light.haze = tuple(mix(light.horizon, light.zenith, c.u(0.0, 0.5)))
    c.light = light


def sky(c: Canvas, horizon: float) -> None:
    """Paint the sky over the whole canvas; it runs from the zenith to `horizon`."""
    light = c.light
    t = clip(c.y / FLOAT(max(horizon, 0.05)))
    field_ = np.broadcast_to(t * t if c.chance(0.5) else t, (c.size, c.size))
    colour = mix(light.zenith, light.horizon, np.ascontiguousarray(field_))
    if light.low:
        gap = c.x - FLOAT(light.sun_x)
        drop = c.y - FLOAT(light.sun_y)
        near = clip(1 - (gap * gap + drop * drop * 2) * FLOAT(c.u(2, 8)))
        colour = mix(colour, mix(light.horizon, (1, 0.95, 0.8), 0.5), near * near)
        if c.chance(0.6):
            radius = c.u(0.02, 0.06)
            disc = gap * gap + drop * drop < radius * radius
            np.copyto(colour, FLOAT(1.0), where=disc)
    if light.cover > 0.02:
        # Clouds thin out and flatten towards the horizon, as a ceiling does.
        depth = FLOAT(0.35) / (FLOAT(max(horizon, 0.3) + 0.12) - c.y * FLOAT(0.9))
        depth = np.where((depth > 0) & (depth < 4), depth, FLOAT(4))
        wide = c.u(0.4, 1.2)
        across = (c.x - FLOAT(0.5)) * depth * FLOAT(wide)
        puffs = c.grain("soft", depth * FLOAT(c.u(1.0, 2.5)), across)
        edge = 1 - light.cover
        body = clip((puffs - FLOAT(edge)) * FLOAT(c.u(2.5, 9)))
        tone = clip((puffs - FLOAT(edge)) / FLOAT(light.cover) * FLOAT(1.1))
        cloud = mix(light.cloud, light.belly, tone * tone)
        colour = colour + (cloud - colour) * body
    c.paint(True, colour)


# --- land ----------------------------------------------------------------------------------


def below(c: Canvas, line: np.ndarray) -> np.ndarray:
    """Return the region under a profile, as a bool array (size, size)."""
    return c.y > line


def rock(
    c: Canvas,
    crest: np.ndarray,
    colour: Colour,
    *,
    snow: float = 0.0,
    haze: float = 0.0,
    relief: float = 1.0,
    fine: float = 1.0,
    label: int = MOUNTAIN,
    region: np.ndarray | None = None,
    snow_colour: Colour = (0.96, 0.97, 1.0),
) -> None:
    """Paint a mountainside below `crest`, with gullies, a sunny side, and snow near the top.

    Parameters
    ----------
    crest : ndarray of shape (size,)
        Height of the ridge in every column.
    snow : float
        How far below the highest point the snow reaches, in canvas units.
    relief : float
        Strength of the light and shadow on its facets.
    fine : float
        How much finer than by nature its gullies are.
    """
    region = below(c, crest) if region is None else region
    drop = c.y - crest
    # Gullies lean away from the peaks: the pattern moves sideways on its way down.
    rows = drop * FLOAT(0.8 * fine) + crest * FLOAT(0.4)
    cols = c.x * FLOAT(fine) + drop * FLOAT(c.u(-0.6, 0.6))
    height, slope = c.relief("ridged", rows, cols, c.size / 40)
    facing = 1 if c.light.sun_x > 0.5 else -1
    lit = clip(FLOAT(c.u(0.4, 0.65)) + slope * FLOAT(facing * 1.8 * relief))
    grit = c.grain("rough")
    shades = mix(mix(colour, (0, 0, 0), 0.22), mix(colour, (1, 1, 1), 0.12), grit)
    if snow > 0:
        # Snow lies high up, and farther down in the gullies that the wind filled.
        reach = c.y - FLOAT(float(crest.min()))
        patches = (height - FLOAT(0.5)) * FLOAT(-c.u(0.25, 0.6)) + (
            grit - FLOAT(0.5)
        ) * FLOAT(0.1)
        white = reach + patches < FLOAT(snow)
        lit = np.where(white, FLOAT(0.3) + lit * FLOAT(0.7), lit)
        shades = np.where(white, np.asarray(snow_colour, FLOAT)[:, None, None], shades)
    c.paint(region, shades, label, light=lit, haze=haze)


def ground(
    c: Canvas,
    edge: np.ndarray,
    colours: tuple[Colour, Colour],
    *,
    label: int = NOTHING,
    name: str = "leaves",
    region: np.ndarray | None = None,
    light: float = 0.85,
) -> None:
    """Paint grass, sand, snow or leaves below `edge`, coarser towards the viewer."""
    region = below(c, edge) if region is None else region
    line = float(edge.min())
    depth = FLOAT(0.5) / (c.y - FLOAT(line) + FLOAT(0.25))
    depth = np.where(depth > 0, depth, FLOAT(0))
    across = (c.x - FLOAT(0.5)) * depth
    grit = c.grain(name, depth * FLOAT(1.5), across)
    patch = c.grain("soft", 1.6, 0.8)
    lit = clip(FLOAT(light) + (patch - FLOAT(0.5)) * FLOAT(0.7))
    c.paint(region, mix(colours[0], colours[1], grit), label, light=lit)


# --- trees ---------------------------------------------------------------------------------


def crowns(c: Canvas, base: np.ndarray, height: float, count: int, kind: str):
    """Return the skyline of a row of trees that stand on the profile `base`."""
    spots = c.rng.random(count, dtype=FLOAT)[:, None] * FLOAT(1.2) - FLOAT(0.1)
    tall = (
        c.rng.random(count, dtype=FLOAT)[:, None] * FLOAT(0.6) + FLOAT(0.4)
    ) * FLOAT(height)
    gap = np.abs(c.x - spots)
    if kind == "conifer":
        width = tall * FLOAT(c.u(0.16, 0.3))
        rise = tall * (1 - gap / width)
    else:
        width = tall * FLOAT(c.u(0.4, 0.8))
        ratio = gap / width
        rise = tall * (1 - ratio * ratio)
    rise = np.maximum(rise.max(axis=0), FLOAT(height * 0.25))
    jitter = c.line(40, 2, 0.8) - FLOAT(0.5)
    return base - rise - jitter * FLOAT(height * 0.25)


def woods(
    c: Canvas,
    base: np.ndarray,
    height: float,
    colours: tuple[Colour, Colour],
    *,
    count: int = 30,
    kind: str = "conifer",
    haze: float = 0.0,
    label: int = FOREST,
) -> None:
    """Paint a stand of trees from outside, down to the profile `base`."""
    skyline = crowns(c, base, height, count, kind)
    region = (c.y > skyline) & (c.y < base)
    leaves = c.grain("leaves", 1.0, 1.4 if kind == "conifer" else 1.0)
    clumps = c.grain("rough")
    lit = clip(leaves * FLOAT(0.5) + clumps * FLOAT(0.6) - (c.y - skyline) * FLOAT(0.8))
    c.paint(region, mix(colours[0], colours[1], clumps), label, light=lit, haze=haze)


def foliage(
    c: Canvas,
    region: np.ndarray,
    colours: tuple[Colour, Colour],
    *,
    holes: float = 0.0,
    light: float = 0.5,
    haze: float = 0.0,
    fine: float = 1.0,
    label: int = FOREST,
) -> None:
    """Paint leaves over `region`, with clumps, gaps of the fraction `holes`, and sun flecks."""
    leaves = c.grain("leaves", fine, fine)
    clumps = c.grain("rough", fine * 0.7, fine * 0.7)
    big = c.grain("soft")
    field_ = leaves * FLOAT(0.36) + clumps * FLOAT(0.4) + big * FLOAT(0.24)
    if holes > 0:
        region = region & (field_ > FLOAT(0.24 + holes * 0.42))
    lit = clip((field_ - FLOAT(0.5)) * FLOAT(1.9) + FLOAT(light))
    c.paint(region, mix(colours[0], colours[1], clumps), label, light=lit, haze=haze)


def trunk(
    c: Canvas,
    x: float,
    width: float,
    top: float,
    bottom: float,
    colour: Colour,
    *,
    lean: float = 0.0,
    haze: float = 0.0,
    label: int = FOREST,
    bark: np.ndarray | None = None,
) -> None:
    """Paint a tree trunk: a leaning bar, wider at its foot, round in the light."""
    reach = width + abs(lean) + 0.02
    box = c.box(top, bottom, x - reach, x + reach)
    y, xs = c.y[box[0]], c.x[box[1]]
    if not y.size or not xs.size:
        return
    middle = x + lean * (bottom - y)
    half = FLOAT(width / 2) * (
        FLOAT(0.75) + FLOAT(0.35) * (y - top) / FLOAT(bottom - top)
    )
    half = np.maximum(half, FLOAT(0.55 / c.size))
    side = (xs - middle) / half
    lit = FLOAT(0.55) + side * FLOAT(0.4 if c.light.sun_x > 0.5 else -0.4)
    if bark is not None:
        lit = lit + (bark[box] - FLOAT(0.5)) * FLOAT(0.8)
    c.paint(np.abs(side) < 1, colour, label, light=clip(lit), haze=haze, box=box)


def tree(
    c: Canvas,
    x: float,
    base: float,
    height: float,
    colours: tuple[Colour, Colour],
    *,
    haze: float = 0.0,
    label: int = FOREST,
) -> None:
    """Paint one broad-leaved tree: a trunk and a ragged round crown."""
    trunk(
        c, x, height * 0.07, base - height * 0.6, base, (0.25, 0.19, 0.14), label=label
    )
    box = c.box(
        base - height * 1.05, base - height * 0.2, x - height / 2, x + height / 2
    )
    y, xs = c.y[box[0]], c.x[box[1]]
    if not y.size or not xs.size:
        return
    leaves = c.grain("leaves")[box]
    clumps = c.grain("rough")[box]
    dy = (y - FLOAT(base - height * 0.62)) / FLOAT(height * 0.4)
    dx = (xs - FLOAT(x)) / FLOAT(height * 0.42)
    edge = dx * dx + dy * dy + (clumps - FLOAT(0.5)) * FLOAT(0.9)
    lit = clip(leaves * FLOAT(0.7) - dy * FLOAT(0.35) + FLOAT(0.15))
    shades = mix(colours[0], colours[1], clumps)
    c.paint(edge < FLOAT(0.85), shades, label, light=lit, haze=haze, box=box)


# --- water ---------------------------------------------------------------------------------


def water(
    c: Canvas,
    horizon: float,
    colours: tuple[Colour, Colour],
    *,
    region: np.ndarray | None = None,
    waves: float = 1.0,
    foam: float = 0.0,
    glitter: float = 0.0,
    shore: np.ndarray | None = None,
    label: int = SEA,
) -> None:
    """Paint water from `horizon` towards the viewer, with waves, foam and the sun's path.

    Parameters
    ----------
    colours : pair of colours
        Of the troughs, and of what the crests mirror.
    waves : float
        0 is a mirror, 1 a breeze, 2 a rough sea.
    foam : float
        Fraction of the near surface that is white.
    glitter : float
        Strength of the path of light below the sun.
    shore : ndarray of shape (size, size), optional
        How far inland a pixel lies; the water is where it is negative.
    """
    region = c.y > FLOAT(horizon) if region is None else region
    near = c.y - FLOAT(horizon)
    depth = FLOAT(0.3) / (np.maximum(near, FLOAT(0)) + FLOAT(0.04))
    across = (c.x - FLOAT(0.5)) * (depth * FLOAT(0.6) + FLOAT(c.u(0.4, 0.9)))
    swell = c.grain("waves", depth * FLOAT(c.u(-1.2, -0.7)), across)
    chop = c.grain("waves", depth * FLOAT(-2.2), across * FLOAT(1.6))
    wave = swell * FLOAT(0.5) + chop * FLOAT(0.5)
    # Far waves run together, and there the water mirrors the low sky.
    far = clip(near * FLOAT(4.0), 0.25, 1.0)
    tone = FLOAT(0.42) + (wave - FLOAT(0.5)) * FLOAT(0.95 * waves) * far
    tone = clip(tone + clip(FLOAT(0.35) - near * FLOAT(1.2)))
    surface = mix(colours[0], colours[1], tone)
    white = np.asarray((0.95, 0.96, 0.97), FLOAT)[:, None, None]
    if glitter > 0:
        gap = np.abs(c.x - FLOAT(c.light.sun_x))
        path = clip(1 - gap / (FLOAT(0.05) + clip(near) * FLOAT(c.u(0.15, 0.8))))
        sparks = clip(
            (chop * FLOAT(0.8) + path - FLOAT(1.25 - 0.4 * glitter)) * FLOAT(4.0)
        )
        surface = mix(
            surface, mix(c.light.horizon, (1, 1, 1), 0.6), sparks * clip(path * 2)
        )
    if foam > 0:
        torn = wave * FLOAT(0.6) + swell * FLOAT(0.4)
        caps = clip(
            (torn - FLOAT(1 - foam * 0.5) + near * FLOAT(foam * 0.4)) * FLOAT(6.0)
        )
        surface = surface + (white - surface) * caps
    if shore is not None:
        # Towards the sand: shallow water, then bands of surf that wash up.
        shallow = clip(1 + shore * FLOAT(c.u(2.5, 6.0)))
        surface = mix(
            surface, c.vary((0.42, 0.66, 0.64), 0.12), shallow * FLOAT(c.u(0.2, 0.8))
        )
        wash = c.grain("rough", 1.2, 0.7)
        surf = np.zeros_like(wash)
        for place in (-0.01, *(c.u(-0.3, -0.03) for _ in range(int(c.u(0, 4))))):
            width = c.u(0.012, 0.05) * (wash + FLOAT(0.3))
            surf = np.maximum(surf, 1 - np.abs(shore - FLOAT(place)) / width)
        surface = surface + (white - surface) * clip(surf * FLOAT(1.6))
    c.paint(region, surface, label, light=0.9 if not c.light.night else 0.5)


# --- ice -----------------------------------------------------------------------------------


def ice(
    c: Canvas,
    region: np.ndarray,
    *,
    rows,
    cols,
    name: str = "cracks",
    blue: float = 0.5,
    cracks: float = 0.3,
    dirt: float = 0.0,
    light: float = 0.7,
    haze: float = 0.0,
) -> None:
    """Paint crevassed ice over `region`.

    Parameters
    ----------
    rows, cols, name : as in `Canvas.grain`
        How the crevasses run: "cracks" stand upright, "waves" lie across, "ridged" do both.
    blue : float
        How deep the blue in the cracks is.
    cracks : float
        Fraction of the surface that lies in cracks.
    dirt : float
        Fraction that is covered with grit.
    """
    height, slope = c.relief(name, rows, cols, c.size / 64)
    # Blocks of broken ice lie over the pattern of its flow, each with a sunny side.
    blocks, facets = c.relief("ridged", 2.0, 1.7, c.size / 48)
    soft = c.grain("soft")
    deep = mix((0.5, 0.56, 0.6), (0.14, 0.5, 0.66), blue)
    pale = mix((0.9, 0.92, 0.94), (0.66, 0.85, 0.92), blue * blue)
    depth = height * FLOAT(0.65) + blocks * FLOAT(0.35)
    tone = (FLOAT(cracks + 0.22) - depth) * FLOAT(3.0) + (soft - FLOAT(0.5)) * FLOAT(
        0.5
    )
    colour = mix(pale, deep, clip(tone))
    if dirt > 0:
        grit = c.grain("rough")
        dirty = clip((FLOAT(dirt) - grit * FLOAT(0.5) - soft * FLOAT(0.5)) * FLOAT(5.0))
        colour = mix(colour, (0.36, 0.34, 0.32), dirty * FLOAT(0.8))
    lit = clip(FLOAT(light) + slope * FLOAT(0.9) + facets * FLOAT(1.1))
    c.paint(region, colour, GLACIER, light=lit, haze=haze)


# --- what people build ---------------------------------------------------------------------


@dataclass
class Facade:
    """How a wall is divided: floors, bays, and what its windows look like."""

    wall: Colour = (0.6, 0.55, 0.5)
    glass: Colour = (0.2, 0.24, 0.3)
    shine: Colour = (0.6, 0.68, 0.75)
    floors: float = 5
    bays: float = 6
    wide: float = 0.5
    high: float = 0.55
    lit: float = 0.0
    ledge: float = 0.0
    shop: float = 0.0
    sign: Colour = (0.7, 0.2, 0.2)
    frame: float = 0.0
    trim: Colour = (0.85, 0.84, 0.8)
    mirror: float = 0.2
    pillar: float = 0.0


WALLS = (
    (0.72, 0.66, 0.56), (0.55, 0.3, 0.24), (0.62, 0.6, 0.57), (0.8, 0.76, 0.68),
    (0.45, 0.4, 0.36), (0.76, 0.58, 0.36), (0.84, 0.83, 0.8), (0.5, 0.36, 0.3),
    (0.36, 0.36, 0.38), (0.66, 0.5, 0.42),
)  # fmt: skip
PAINTS = (
    (0.85, 0.62, 0.3), (0.75, 0.35, 0.3), (0.45, 0.6, 0.68), (0.85, 0.78, 0.55),
    (0.6, 0.68, 0.5), (0.88, 0.7, 0.65),
)  # fmt: skip


def facade_style(c: Canvas, kind: str) -> Facade:
    """Choose the look of a wall: "old", "plain", "glass" or "bands"."""
    night = c.light.night
    style = Facade(
        wall=c.vary(c.pick(WALLS)),
        glass=c.vary((0.16, 0.18, 0.22), 0.05),
        shine=tuple(
            mix(c.light.zenith, c.light.horizon, c.u(0.3, 1.0)) * FLOAT(c.u(0.5, 1))
        ),
        wide=c.u(0.34, 0.6),
        high=c.u(0.45, 0.7),
        lit=c.u(0.1, 0.6) if night else 0.0,
        sign=c.vary(c.pick(PAINTS), 0.15),
    )
    if kind == "old":
        if c.chance(0.35):
            style.wall = c.vary(c.pick(PAINTS))
        style.ledge, style.shop = c.u(0.06, 0.12), c.u(0.6, 1.0)
        style.frame = c.u(0.08, 0.16) if c.chance(0.6) else 0.0
        style.pillar = c.u(0.04, 0.1) if c.chance(0.4) else 0.0
        style.trim = tuple(mix(style.wall, (0.95, 0.94, 0.9), c.u(0.2, 0.9)))
    elif kind == "glass":
        style.wall = tuple(mix(c.vary((0.3, 0.36, 0.42)), style.shine, c.u(0.2, 0.7)))
        style.glass = tuple(mix((0.08, 0.14, 0.22), c.light.zenith, c.u(0.2, 0.7)))
        style.wide, style.high = c.u(0.78, 0.92), c.u(0.6, 0.9)
        style.mirror = c.u(0.3, 0.9)
    elif kind == "bands":
        style.wide, style.high = c.u(0.9, 1.0), c.u(0.35, 0.6)
    return style


def facade(c: Canvas, region, u, v, style: Facade, *, light=0.8, haze=0.0, box=None):
    """Paint a wall with windows over `region`.

    Parameters
    ----------
    region : ndarray of bool, shape (h, w)
    u, v : ndarrays that broadcast to (h, w)
        Place on the wall: along it in bays, and down it in floors (0 is the roof).
    style : Facade
        Its `wall` may also be an array of shape (3, 1, w), one colour for every column.
    """
    iu, iv = u.astype(np.intp), v.astype(np.intp)
    fu, fv = u - iu, v - iv
    gap_u, gap_v = np.abs(fu - FLOAT(0.5)), np.abs(fv - FLOAT(0.52))
    panes = (gap_u < FLOAT(style.wide / 2)) & (gap_v < FLOAT(style.high / 2))
    if style.frame:
        inner = FLOAT(0.5 - style.frame)
        frames = panes & (
            (gap_u > FLOAT(style.wide) * inner) | (gap_v > FLOAT(style.high) * inner)
        )
    tones = c.rng.random((16, 16), dtype=FLOAT)[iv % 16, iu % 16]
    wall = np.asarray(style.wall, FLOAT)
    wall = wall[:, None, None] if wall.ndim == 1 else wall
    grit = c.grain("rough")
    grit = grit if box is None else grit[box]
    tint = (FLOAT(0.88) + grit * FLOAT(0.18)) * np.ones_like(tones)
    if style.pillar:
        tint = np.where(gap_u > FLOAT(0.5 - style.pillar), tint * FLOAT(1.18), tint)
    if style.ledge:
        tint = np.where(fv > FLOAT(1 - style.ledge), tint * FLOAT(0.72), tint)
    shade = np.asarray(c.light.shade, FLOAT)[:, None, None]
    sun = np.asarray(c.light.sun, FLOAT)[:, None, None]
    lamp = shade + (sun - shade) * FLOAT(light)
    colour = wall * tint * lamp
    mirror = c.grain("soft") if box is None else c.grain("soft")[box]
    mirror = clip(
        tones * tones * FLOAT(0.6) + mirror * FLOAT(style.mirror) - fv * FLOAT(0.15)
    )
    glass = mix(style.glass, style.shine, mirror) * (FLOAT(0.35) + lamp * FLOAT(0.65))
    if style.lit:
        warm = tones > FLOAT(1 - style.lit)
        glow = mix((0.75, 0.5, 0.2), (1.0, 0.9, 0.6), (tones * FLOAT(7)) % FLOAT(1))
        glass = np.where(warm, glow, glass)
    if style.frame:
        colour = np.where(
            frames, np.asarray(style.trim, FLOAT)[:, None, None] * lamp, colour
        )
        panes = panes & ~frames
    colour = np.where(panes, glass, colour)
    if isinstance(haze, np.ndarray) or haze:
        colour = (
            mix(colour, c.light.haze, haze)
            if not np.isscalar(haze)
            else (
                colour
                + (np.asarray(c.light.haze, FLOAT)[:, None, None] - colour)
                * FLOAT(haze)
            )
        )
    c.paint(region, colour, BUILDINGS, box=box)


def block(
    c: Canvas,
    left: float,
    right: float,
    top: float,
    bottom: float,
    style: Facade,
    *,
    rise: float = 0.0,
    fall: float = 0.0,
    taper: float = 0.0,
    aim: float = 0.5,
    light: float = 0.8,
    haze: float = 0.0,
) -> None:
    """Paint one wall as the eye sees it.

    Parameters
    ----------
    left, right, top, bottom : float
        Its edges; `top` and `bottom` are meant at the left edge.
    rise, fall : float
        How much lower the roof line, and the foot, lie at the right edge.
    taper : float
        How strongly uprights lean together above, towards the column `aim`.
    """
    reach = abs(taper)
    box = c.box(
        min(top, top + rise), max(bottom, bottom + fall), left - reach, right + reach
    )
    y, x = c.y[box[0]], c.x[box[1]]
    if not y.size or not x.size:
        return
    up = FLOAT(taper) * (FLOAT(bottom) - y)
    start = FLOAT(left) + FLOAT(aim - left) * up
    end = FLOAT(right) + FLOAT(aim - right) * up
    t = (x - start) / (end - start)
    roof, foot = FLOAT(top) + FLOAT(rise) * t, FLOAT(bottom) + FLOAT(fall) * t
    v = (y - roof) / (foot - roof)
    high = max(0.02, bottom - top)
    low = max(0.02, bottom + fall - top - rise)
    # Equal steps along the wall shrink with its distance, which its height tells.
    u = clip(t) * FLOAT(low) / (FLOAT(high) + FLOAT(low - high) * clip(t))
    region = (t > 0) & (t < 1) & (v > 0) & (v < 1)
    facade(
        c,
        region,
        u * FLOAT(style.bays),
        clip(v) * FLOAT(style.floors),
        style,
        light=light,
        haze=haze,
        box=box,
    )


def gable(c: Canvas, left, right, ridge, eaves, colour, *, flat=0.0, light=0.8):
    """Paint a roof or a spire: a triangle, or a trapezium when `flat` > 0."""
    box = c.box(ridge, eaves, left, right)
    y, x = c.y[box[0]], c.x[box[1]]
    t = (y - FLOAT(ridge)) / FLOAT(eaves - ridge)
    half = FLOAT((right - left) / 2)
    gap = np.abs(x - FLOAT((left + right) / 2))
    grit = c.grain("rough")[box]
    lit = FLOAT(light - 0.2) + grit * FLOAT(0.4)
    c.paint(
        gap < half * (FLOAT(flat) + t * FLOAT(1 - flat)),
        colour,
        BUILDINGS,
        light=lit,
        box=box,
    )


def dome(c: Canvas, x, base, radius, colour, *, stretch=1.0):
    """Paint half an ellipse that is round in the light."""
    box = c.box(base - radius * stretch, base, x - radius, x + radius)
    dx = (c.x[box[1]] - FLOAT(x)) / FLOAT(radius)
    dy = (c.y[box[0]] - FLOAT(base)) / FLOAT(radius * stretch)
    side = FLOAT(1 if c.light.sun_x > 0.5 else -1)
    ribs = np.abs(
        dx * FLOAT(4) - (dx * FLOAT(4) + 64).astype(np.intp) + 64 - FLOAT(0.5)
    )
    lit = clip(
        FLOAT(0.5) + side * dx * FLOAT(0.4) - dy * FLOAT(0.1) + ribs * FLOAT(0.3)
    )
    c.paint(dx * dx + dy * dy < 1, colour, BUILDINGS, light=lit, box=box)


# --- streets -------------------------------------------------------------------------------


def car(c: Canvas, x: float, base: float, width: float, colour: Colour, *, rear=False):
    """Paint a car seen from the front or rear, its wheels on `base`."""
    height = width * 0.72
    top = base - height
    dark = (0.06, 0.07, 0.09)
    c.rect(base - height * 0.1, base + height * 0.03, x - width * 0.48, x + width * 0.48,
           (0.08, 0.08, 0.09), STREET)  # fmt: skip
    c.rect(top + height * 0.42, base - height * 0.06, x - width / 2, x + width / 2,
           colour, STREET, light=0.75)  # fmt: skip
    c.rect(top, top + height * 0.46, x - width * 0.38, x + width * 0.38,
           colour, STREET, light=0.9)  # fmt: skip
    glass = mix(dark, c.light.horizon, c.u(0.1, 0.5))
    c.rect(top + height * 0.1, top + height * 0.4, x - width * 0.32, x + width * 0.32,
           glass, STREET)  # fmt: skip
    for side in (-1, 1):
        middle = x + side * width * 0.4
        c.rect(base - height * 0.18, base + height * 0.02, middle - width * 0.08,
               middle + width * 0.08, dark, STREET)  # fmt: skip
        lamp = (0.85, 0.12, 0.1) if rear else (1.0, 0.97, 0.85)
        if c.light.night or c.chance(0.5):
            c.rect(base - height * 0.45, base - height * 0.34, middle - width * 0.06,
                   middle + width * 0.06, lamp, STREET)  # fmt: skip


def car_side(c: Canvas, x: float, base: float, width: float, colour: Colour):
    """Paint a car that passes: body, cabin and two wheels."""
    high = width * 0.34
    box = c.box(base - high, base - high * 0.5, x - width * 0.34, x + width * 0.3)
    t = (c.y[box[0]] - FLOAT(base - high)) / FLOAT(high * 0.5)
    gap = np.abs(c.x[box[1]] - FLOAT(x - width * 0.02)) / FLOAT(width)
    cabin = gap < FLOAT(0.2) + t * FLOAT(0.13)
    panes = (
        (gap < FLOAT(0.15) + t * FLOAT(0.12)) & (t > FLOAT(0.2)) & (gap > FLOAT(0.02))
    )
    c.paint(cabin, colour, STREET, light=0.9, box=box)
    c.paint(panes, mix((0.06, 0.07, 0.09), c.light.horizon, 0.2), STREET, box=box)
    c.rect(base - high * 0.58, base - high * 0.1, x - width / 2, x + width / 2, colour,
           STREET, light=0.75)  # fmt: skip
    for side in (-0.3, 0.3):
        reach = max(high * 0.22, 0.6 / c.size)
        box = c.box(base - reach * 1.8, base + reach * 0.2, x + side * width - reach,
                    x + side * width + reach)  # fmt: skip
        dx = c.x[box[1]] - FLOAT(x + side * width)
        dy = c.y[box[0]] - FLOAT(base - reach * 0.8)
        c.paint(dx * dx + dy * dy < reach * reach, (0.06, 0.06, 0.07), STREET, box=box)


def person(c: Canvas, x: float, base: float, height: float):
    """Paint somebody standing: legs, coat, head. People belong to no class."""
    coat = c.vary(
        c.pick(
            [
                (0.1, 0.1, 0.12),
                (0.2, 0.25, 0.4),
                (0.5, 0.15, 0.12),
                (0.7, 0.68, 0.63),
                (0.3, 0.3, 0.26),
                (0.14, 0.14, 0.15),
            ]
        )
    )
    legs = c.vary((0.14, 0.14, 0.18), 0.08)
    w = height * 0.11
    c.rect(base - height * 0.48, base, x - w * 0.75, x - w * 0.1, legs, light=0.6)
    c.rect(base - height * 0.48, base, x + w * 0.1, x + w * 0.75, legs, light=0.8)
    c.rect(base - height * 0.84, base - height * 0.44, x - w, x + w, coat, light=0.75)
    c.rect(base - height, base - height * 0.85, x - w * 0.5, x + w * 0.5,
           c.pick([(0.75, 0.58, 0.47), (0.4, 0.27, 0.2), (0.2, 0.15, 0.12)]), light=0.8)  # fmt: skip


def pole(
    c: Canvas, x: float, top: float, bottom: float, *, arm=0.0, lamp=True, width=0.012
):
    """Paint a lamp post, with an arm to one side."""
    metal = c.vary((0.16, 0.16, 0.17), 0.06)
    c.rect(top, bottom, x - width / 2, x + width / 2, metal, STREET, light=0.8)
    c.rect(top, top + width, min(x, x + arm), max(x, x + arm), metal, STREET, light=0.8)
    if lamp:
        glow = (1.0, 0.93, 0.7) if c.light.night else (0.8, 0.8, 0.78)
        c.rect(top, top + width * 2, x + arm - width, x + arm + width, glow, STREET)


def road(
    c: Canvas,
    vanish: tuple[float, float],
    left: float,
    right: float,
    *,
    colour: Colour,
    kind: str = "lanes",
    walk: float = 0.3,
) -> None:
    """Paint a street that runs away from the viewer, with kerbs and pavements.

    Parameters
    ----------
    vanish : (x, y)
        Where its edges meet.
    left, right : float
        Where its edges cut the lower rim.
    kind : {"lanes", "crossing", "cobbles", "bare"}
    walk : float
        Width of each pavement where it meets the lower rim.
    """
    vx, vy = vanish
    t = (c.y - FLOAT(vy)) / FLOAT(1 - vy)
    depth = FLOAT(1) / np.maximum(t, FLOAT(0.02))
    region = c.y > FLOAT(vy)
    # Place across the street: 0 at the left kerb and 1 at the right one.
    across = ((c.x - FLOAT(vx)) * depth + FLOAT(vx - left)) / FLOAT(right - left)
    grit = c.grain("leaves", depth * FLOAT(0.8), c.x * FLOAT(1.0))
    patch = c.grain("soft", depth * FLOAT(0.5), across)
    tone = FLOAT(0.8) + grit * FLOAT(0.22) + patch * FLOAT(0.25)
    base = np.asarray(colour, FLOAT)[:, None, None] * tone
    pale = np.asarray(c.vary((0.6, 0.58, 0.55), 0.08), FLOAT)[:, None, None] * tone
    paved = (across < 0) | (across > 1)
    if kind == "cobbles":
        iu, iv = (
            (across * FLOAT(14) + 640).astype(np.intp),
            (depth * FLOAT(9)).astype(np.intp),
        )
        stones = c.rng.random((16, 16), dtype=FLOAT)[iv % 16, (iu + iv) % 16]
        base = base * (FLOAT(0.7) + stones * FLOAT(0.5))
    surface = np.where(paved, pale, base)
    kerb = (np.abs(across) < FLOAT(0.018)) | (np.abs(across - 1) < FLOAT(0.018))
    surface = np.where(kerb, base * FLOAT(0.6), surface)
    white = np.asarray((0.88, 0.87, 0.82), FLOAT)[:, None, None]
    if kind == "lanes":
        dashes = (depth * FLOAT(1.6)) % FLOAT(1) < FLOAT(0.55)
        line = (np.abs(across - FLOAT(0.5)) < FLOAT(0.014)) & dashes
        line = line | (np.abs(across - FLOAT(0.06)) < FLOAT(0.01))
        line = line | (np.abs(across - FLOAT(0.94)) < FLOAT(0.01))
        surface = np.where(line, c.vary((0.88, 0.84, 0.7), 0.08)[0] * white, surface)
    elif kind == "crossing":
        near = c.u(0.35, 0.7)
        bars = (across * FLOAT(9)) % FLOAT(1) < FLOAT(0.5)
        band = (t > FLOAT(near)) & (t < FLOAT(near + 0.22)) & ~paved
        surface = np.where(band & bars, white, surface)
    lit = np.broadcast_to(FLOAT(0.85), (c.size, c.size))
    if c.chance(0.45):  # the shadow of the houses on one side
        cut = FLOAT(c.u(0.1, 0.9))
        dark = across < cut if c.chance(0.5) else across > cut
        lit = np.where(dark, FLOAT(0.15), lit)
    c.paint(region, surface, STREET, light=lit)


def terrace(
    c: Canvas,
    vanish: tuple[float, float],
    foot: float,
    end: float,
    *,
    height: float,
    length: float,
    kind: str,
    light: float,
    gaps: float = 0.0,
) -> None:
    """Paint the row of houses along one side of a street, in one go.

    Parameters
    ----------
    vanish : (x, y)
        Where street and roofs run to.
    foot : float
        Where the line of the houses' feet cuts the lower rim (left of `vanish` is the
        left side).
    end : float
        Column at which the row ends.
    height : float
        Height of the houses above the horizon, where their feet cut the lower rim.
    length : float
        Length of a house along the street, against the distance to the lower rim.
    gaps : float
        Fraction of plots without a house.
    """
    vx, vy = vanish
    left = foot < vx
    box = c.box(0.0, 1.0, 0.0, end) if left else c.box(0.0, 1.0, end, 1.0)
    x, y = c.x[box[1]], c.y
    if not x.size:
        return
    near = np.maximum((x - FLOAT(vx)) / FLOAT(foot - vx), FLOAT(0.01))
    depth = FLOAT(1) / near
    along = depth / FLOAT(length) + FLOAT(c.u())
    house = along.astype(np.intp) % 32
    tall = FLOAT(height) * (FLOAT(0.65) + FLOAT(0.7) * c.rng.random(32, dtype=FLOAT))
    stands = c.rng.random(32, dtype=FLOAT) >= FLOAT(gaps)
    style = facade_style(c, kind)
    walls = np.array([c.vary(c.pick(WALLS), 0.08) for _ in range(6)], FLOAT)
    if kind == "old" and c.chance(0.5):
        walls[::2] = [c.vary(c.pick(PAINTS)) for _ in range(3)]
    style.wall = walls[house % 6].T[:, None, :]
    roof = FLOAT(vy) - tall[house] * near
    base = FLOAT(vy) + FLOAT(1 - vy) * near
    v = (y - roof) / (base - roof)
    region = (v > 0) & (v < 1) & stands[house]
    floors = FLOAT(2) + (c.rng.random(32, dtype=FLOAT)[house] * FLOAT(4)).astype(
        np.intp
    )
    if kind != "old":
        floors = floors * FLOAT(2)
    bays = FLOAT(c.u(2.5, 5))
    haze = clip((depth - 1) * FLOAT(0.03), 0.0, 0.5)
    facade(c, region, along * bays, clip(v) * floors, style, light=light,
           haze=np.broadcast_to(haze, v.shape), box=box)  # fmt: skip
    if style.shop:
        # Shop fronts: dark openings under a bright sign, for the lowest part of the wall.
        shop = region & (v > FLOAT(0.8))
        front = (along * bays * FLOAT(0.7)) % FLOAT(1)
        sign = shop & (v < FLOAT(0.85)) & (front < FLOAT(c.u(0.3, 1)))
        glass = shop & (v >= FLOAT(0.85)) & (front < FLOAT(0.75))
        glow = (0.95, 0.8, 0.5) if c.light.night else (0.14, 0.13, 0.13)
        c.paint(glass, glow, BUILDINGS, box=box)
        c.paint(sign, style.sign, BUILDINGS, light=0.9, box=box)


def boat(c: Canvas, x: float, base: float, width: float):
    """Paint a boat with a sail or a cabin. Boats belong to no class."""
    hull = c.pick([(0.9, 0.9, 0.88), (0.3, 0.14, 0.1), (0.15, 0.2, 0.35)])
    c.rect(base - width * 0.16, base, x - width / 2, x + width / 2, hull, light=0.8)
    if c.chance(0.6):
        box = c.box(
            base - width * 1.3, base - width * 0.2, x - width * 0.4, x + width * 0.3
        )
        t = (c.y[box[0]] - FLOAT(base - width * 1.3)) / FLOAT(width * 1.1)
        gap = (c.x[box[1]] - FLOAT(x)) / FLOAT(width)
        c.paint(
            (gap > FLOAT(-0.05)) & (gap < t * FLOAT(0.35)),
            (0.93, 0.92, 0.9),
            light=0.85,
            box=box,
        )
    else:
        c.rect(base - width * 0.42, base - width * 0.14, x - width * 0.2, x + width * 0.2,
               (0.88, 0.88, 0.86), light=0.7)  # fmt: skip


# --- the lens ------------------------------------------------------------------------------


def finish(c: Canvas, *, grey: float, grain: float = 1.0) -> np.ndarray:
    """Develop the picture: exposure, contrast, colour cast, vignette, grain.

    Every step works on each pixel by itself, so that the edges of the masks stay true.

    Parameters
    ----------
    grey : float
        Probability of a black and white (or sepia) picture.

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
