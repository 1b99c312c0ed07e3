"""Brushes for what grows and flows: sky, rock, ground, trees, water, ice."""

from __future__ import annotations

import numpy as np

from scenepainter.canvas import (
    FLOAT,
    FOREST,
    GLACIER,
    MOUNTAIN,
    NOTHING,
    SEA,
    Canvas,
    Colour,
    Light,
    clip,
    mix,
)

GREENS = (
    ((0.06, 0.12, 0.05), (0.24, 0.36, 0.1)),
    ((0.1, 0.18, 0.05), (0.45, 0.58, 0.16)),
    ((0.14, 0.22, 0.06), (0.58, 0.68, 0.24)),
    ((0.08, 0.16, 0.1), (0.2, 0.4, 0.2)),
    ((0.14, 0.17, 0.08), (0.4, 0.42, 0.22)),
)
AUTUMN = (
    ((0.25, 0.1, 0.03), (0.85, 0.5, 0.12)),
    ((0.2, 0.14, 0.05), (0.7, 0.6, 0.2)),
    ((0.28, 0.08, 0.04), (0.75, 0.3, 0.12)),
)
ROCKS = (
    (0.42, 0.4, 0.38), (0.32, 0.31, 0.32), (0.46, 0.38, 0.3), (0.36, 0.38, 0.42),
    (0.5, 0.44, 0.36), (0.27, 0.26, 0.25),
)  # fmt: skip
SLOPES = ((0.3, 0.36, 0.16), (0.42, 0.42, 0.2), (0.2, 0.28, 0.13), (0.46, 0.4, 0.24))
WATERS = (
    ((0.05, 0.16, 0.28), (0.35, 0.52, 0.66)),
    ((0.06, 0.22, 0.26), (0.4, 0.6, 0.64)),
    ((0.1, 0.36, 0.42), (0.45, 0.74, 0.74)),
    ((0.16, 0.2, 0.22), (0.56, 0.6, 0.62)),
    ((0.03, 0.1, 0.26), (0.2, 0.4, 0.68)),
)
SANDS = ((0.62, 0.52, 0.38), (0.82, 0.74, 0.6), (0.5, 0.44, 0.38), (0.72, 0.55, 0.34))


# --- sky and light ----------------------------------------------------------


def weather(c: Canvas, kinds: str) -> None:
    """Choose the light of a scene from some kinds, given as one string of names."""
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


# --- land -------------------------------------------------------------------


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
    """Paint a mountainside below `crest`: gullies, a sunny side, snow near the top.

    Parameters
    ----------
    c : Canvas
        Where to paint.
    crest : ndarray of shape (size,)
        Height of the ridge in every column.
    colour : three floats
        Of the bare rock.
    snow : float
        How far below the highest point the snow reaches, in canvas units.
    haze : float
        Part of the air's colour that lies over it.
    relief : float
        Strength of the light and shadow on its facets.
    fine : float
        How much finer than by nature its gullies are.
    label : int
        Class of its pixels.
    region : ndarray of shape (size, size), bool, optional
        What to paint, if not all below the crest.
    snow_colour : three floats
        Of the snow, in the sun.
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


# --- trees ------------------------------------------------------------------


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
    """Paint leaves over `region`: clumps, gaps (the fraction `holes`), sun flecks."""
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


# --- water ------------------------------------------------------------------


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
    """Paint water from `horizon` towards the viewer: waves, foam, the sun's path.

    Parameters
    ----------
    c : Canvas
        Where to paint.
    horizon : float
        Height of the far edge, which sets how the waves shrink.
    colours : pair of colours
        Of the troughs, and of what the crests mirror.
    region : ndarray of shape (size, size), bool, optional
        What to paint, if not all below the horizon.
    waves : float
        0 is a mirror, 1 a breeze, 2 a rough sea.
    foam : float
        Fraction of the near surface that is white.
    glitter : float
        Strength of the path of light below the sun.
    shore : ndarray of shape (size, size), optional
        How far inland a pixel lies; the water is where it is negative.
    label : int
        Class of its pixels.
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


# --- ice --------------------------------------------------------------------


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
    c : Canvas
        Where to paint.
    region : ndarray of shape (size, size), bool
        What to paint.
    rows, cols, name : as in `Canvas.grain`
        How the crevasses run: "cracks" stand upright, "waves" lie across, "ridged" do
        both.
    blue : float
        How deep the blue in the cracks is.
    cracks : float
        Fraction of the surface that lies in cracks.
    dirt : float
        Fraction that is covered with grit.
    light : float
        Brightness of level ice, 0 to 1.
    haze : float
        Part of the air's colour that lies over it.
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


# --- palettes ---------------------------------------------------------------


def greens(c: Canvas, autumn: float = 0.15):
    """Pick the two colours of leaves: in shadow, and in the sun."""
    dark, pale = c.pick(AUTUMN) if c.chance(autumn) else c.pick(GREENS)
    return c.vary(dark, 0.03), c.vary(pale, 0.07)


def sea_colours(c: Canvas):
    """Pick the colours of water; under a low or hidden sun it mirrors the sky."""
    dark, pale = c.pick(WATERS)
    light = c.light
    share = 0.75 if light.low or light.night else c.u(0.1, 0.6)
    return tuple(mix(dark, light.zenith, share * 0.4)), tuple(
        mix(pale, light.horizon, share)
    )
