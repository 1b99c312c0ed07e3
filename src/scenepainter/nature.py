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
    Pair,
    clip,
    mix,
    planes,
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

# --- palettes ---------------------------------------------------------------


def greens(c: Canvas, autumn: float = 0.15) -> Pair:
    """Pick the two colours of leaves: in shadow, and in the sun."""
    dark, pale = c.pick(AUTUMN if c.chance(autumn) else GREENS)
    return c.vary(dark, 0.03), c.vary(pale, 0.07)


def sea_colours(c: Canvas) -> Pair:
    """Pick the colours of water; under a low or hidden sun it mirrors the sky."""
    dark, pale = c.pick(WATERS)
    light = c.light
    share = 0.75 if light.low or light.night else c.u(0.1, 0.6)
    return mix(dark, light.zenith, share * 0.4), mix(pale, light.horizon, share)


def two_tones(colour: Colour, dark: float) -> Pair:
    """Return the two colours of a ground: `colour` darkened by a part, and itself."""
    return mix(colour, (0, 0, 0), dark), colour


# --- sky and light ----------------------------------------------------------


def weather(c: Canvas, kinds: str) -> None:
    """Choose the light of a scene from some kinds, given as one string of names."""
    kind = c.pick(kinds)
    grey = c.u(0.55, 0.92)
    c.light = light = Light(sun_x=c.u(0.1, 0.9), cover=c.u(0.0, 0.5))
    if kind == "clear":
        light.zenith = c.vary(mix((0.42, 0.62, 0.86), (0.08, 0.22, 0.55), c.u()))
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
        glow = c.pick([(0.98, 0.55, 0.2), (0.9, 0.5, 0.45), (1, 0.7, 0.3)])
        light.horizon = c.vary(glow)
        light.cloud, light.belly = c.vary((0.95, 0.55, 0.4)), c.vary((0.3, 0.22, 0.3))
        light.sun, light.shade = (0.7, 0.5, 0.38), (0.18, 0.16, 0.2)
        light.low, light.sun_y = True, c.u(0.15, 0.5)
    else:  # night
        light.zenith = c.vary((0.04, 0.05, 0.12), 0.04)
        light.horizon = c.vary(c.pick([(0.1, 0.12, 0.3), (0.25, 0.18, 0.14)]), 0.06)
        light.cloud, light.belly = (0.2, 0.2, 0.26), (0.07, 0.07, 0.12)
        light.sun, light.shade = (0.62, 0.48, 0.32), (0.2, 0.17, 0.17)
        light.night = True
    light.haze = mix(light.horizon, light.zenith, c.u(0.0, 0.5))


def sky(c: Canvas, horizon: float) -> None:
    """Paint the sky over the whole canvas; it runs from the zenith to `horizon`."""
    light = c.light
    t = clip(c.y / max(horizon, 0.05))
    colour = mix(light.zenith, light.horizon, t * t if c.chance(0.5) else t)
    if light.low:
        gap, drop = c.x - light.sun_x, c.y - light.sun_y
        near = clip(1 - (gap * gap + drop * drop * 2) * c.u(2, 8))
        colour = mix(colour, mix(light.horizon, (1, 0.95, 0.8), 0.5), near * near)
        if c.chance(0.6):
            radius = c.u(0.02, 0.06)
            disc = gap * gap + drop * drop < radius * radius
            np.copyto(colour, FLOAT(1), where=disc)
    if light.cover > 0.02:
        # Clouds thin out and flatten towards the horizon, as a ceiling does.
        depth = 0.35 / (max(horizon, 0.3) + 0.12 - c.y * 0.9)
        depth = np.where((depth > 0) & (depth < 4), depth, FLOAT(4))
        across = (c.x - 0.5) * depth * c.u(0.4, 1.2)
        puffs = c.grain("soft", depth * c.u(1.0, 2.5), across) - (1 - light.cover)
        body = clip(puffs * c.u(2.5, 9))
        tone = clip(puffs / light.cover * 1.1)
        colour = colour + (mix(light.cloud, light.belly, tone * tone) - colour) * body
    c.paint(True, colour)


# --- land -------------------------------------------------------------------


def below(c: Canvas, line) -> np.ndarray:
    """Return the region under a profile (size,), or under a level line."""
    return c.y > line


def rock(
    c: Canvas, crest, colour, *, snow=0.0, haze=0.0, relief=1.0, fine=1.0, region=None
) -> None:
    """Paint a mountainside: gullies, a sunny side, snow near the top.

    Parameters
    ----------
    c, haze
        As in every brush.
    crest : ndarray of shape (size,)
        Height of the ridge in every column.
    colour : three floats
        Of the bare rock.
    snow : float
        How far below the highest point the snow reaches, in canvas units.
    relief : float
        Strength of the light and shadow on its facets.
    fine : float
        How much finer than by nature its gullies are.
    region : ndarray of shape (size, size), bool, optional
        What to paint, if not all below the crest.
    """
    region = below(c, crest) if region is None else region
    drop = c.y - crest
    # Gullies lean away from the peaks: the pattern moves sideways on its way down.
    rows = drop * (0.8 * fine) + crest * 0.4
    cols = c.x * fine + drop * c.u(-0.6, 0.6)
    height, slope = c.relief("ridged", rows, cols, c.size / 40)
    facing = 1 if c.light.sun_x > 0.5 else -1
    lit = clip(c.u(0.4, 0.65) + slope * (facing * 1.8 * relief))
    grit = c.grain("rough")
    shades = mix(mix(colour, (0, 0, 0), 0.22), mix(colour, (1, 1, 1), 0.12), grit)
    if snow > 0:
        # Snow lies high up, and farther down in the gullies that the wind filled.
        patches = (height - 0.5) * -c.u(0.25, 0.6) + (grit - 0.5) * 0.1
        white = c.y - float(crest.min()) + patches < snow
        lit = np.where(white, 0.3 + lit * 0.7, lit)
        shades = np.where(white, planes((0.96, 0.97, 1.0)), shades)
    c.paint(region, shades, MOUNTAIN, light=lit, haze=haze)


def ground(
    c: Canvas, edge, colours: Pair, label=NOTHING, *, name="leaves", region=None
) -> None:
    """Paint grass, sand, snow or leaves below `edge`, coarser towards the viewer.

    `edge` is a profile (size,) or a level; `region`, a bool array, may cut off more.
    """
    region = below(c, edge) if region is None else region
    line = float(np.asarray(edge, FLOAT).min())
    depth = 0.5 / (c.y - line + 0.25)
    depth = np.where(depth > 0, depth, FLOAT(0))
    grit = c.grain(name, depth * 1.5, (c.x - 0.5) * depth)
    patch = c.grain("soft", 1.6, 0.8)
    lit = clip(0.85 + (patch - 0.5) * 0.7)
    c.paint(region, mix(*colours, grit), label, light=lit)


# --- trees ------------------------------------------------------------------


def crowns(c: Canvas, base, height: float, count: int, kind: str) -> np.ndarray:
    """Return the skyline of a row of trees that stand on the profile `base`."""
    pointed = kind == "conifer"
    spots = c.rng.random(count, dtype=FLOAT)[:, None] * 1.2 - 0.1
    tall = (c.rng.random(count, dtype=FLOAT)[:, None] * 0.6 + 0.4) * height
    ratio = np.abs(c.x - spots) / (
        tall * (c.u(0.16, 0.3) if pointed else c.u(0.4, 0.8))
    )
    rise = tall * (1 - (ratio if pointed else ratio * ratio))
    rise = np.maximum(rise.max(axis=0), height * 0.25)
    return base - rise - (c.line(40, 2, 0.8) - 0.5) * (height * 0.25)


def woods(
    c: Canvas, base, height: float, colours: Pair, *, count=20, kind="round", haze=0.0
) -> None:
    """Paint a stand of trees from outside, "conifer" or "round", down to `base`."""
    skyline = crowns(c, base, height, count, kind)
    leaves = c.grain("leaves", 1.0, 1.4 if kind == "conifer" else 1.0)
    clumps = c.grain("rough")
    lit = clip(leaves * 0.5 + clumps * 0.6 - (c.y - skyline) * 0.8)
    region = (c.y > skyline) & (c.y < base)
    c.paint(region, mix(*colours, clumps), FOREST, light=lit, haze=haze)


def foliage(
    c: Canvas, region, colours: Pair, *, light, holes=0.0, haze=0.0, fine=1.0
) -> None:
    """Paint leaves over `region`: clumps, gaps (the fraction `holes`), sun flecks."""
    leaves = c.grain("leaves", fine, fine)
    clumps = c.grain("rough", fine * 0.7, fine * 0.7)
    thick = leaves * 0.36 + clumps * 0.4 + c.grain("soft") * 0.24
    if holes > 0:
        region = region & (thick > 0.24 + holes * 0.42)
    lit = clip((thick - 0.5) * 1.9 + light)
    c.paint(region, mix(*colours, clumps), FOREST, light=lit, haze=haze)


def trunk(
    c: Canvas, x, width, top, bottom, colour, *, lean=0.0, haze=0.0, bark=None
) -> None:
    """Paint a tree trunk: a leaning bar, wider at its foot, round in the light."""
    reach = width + abs(lean) + 0.02
    box = c.box(top, bottom, x - reach, x + reach)
    y, xs = c.y[box[0]], c.x[box[1]]
    if not y.size or not xs.size:
        return
    half = (0.75 + 0.35 * (y - top) / (bottom - top)) * (width / 2)
    half = np.maximum(half, 0.55 / c.size)
    side = (xs - (x + lean * (bottom - y))) / half
    lit = 0.55 + side * (0.4 if c.light.sun_x > 0.5 else -0.4)
    if bark is not None:
        lit = lit + (bark[box] - 0.5) * 0.8
    region = np.abs(side) < 1
    c.paint(region, colour, FOREST, light=clip(lit), haze=haze, box=box)


def tree(c: Canvas, x: float, base: float, height: float, colours: Pair) -> None:
    """Paint one broad-leaved tree: a trunk and a ragged round crown."""
    trunk(c, x, height * 0.07, base - height * 0.6, base, (0.25, 0.19, 0.14))
    top, bottom = base - height * 1.05, base - height * 0.2
    box = c.box(top, bottom, x - height / 2, x + height / 2)
    y, xs = c.y[box[0]], c.x[box[1]]
    if not y.size or not xs.size:
        return
    leaves, clumps = c.grain("leaves")[box], c.grain("rough")[box]
    dy = (y - (base - height * 0.62)) / (height * 0.4)
    dx = (xs - x) / (height * 0.42)
    edge = dx * dx + dy * dy + (clumps - 0.5) * 0.9
    lit = clip(leaves * 0.7 - dy * 0.35 + 0.15)
    c.paint(edge < 0.85, mix(*colours, clumps), FOREST, light=lit, box=box)


# --- water ------------------------------------------------------------------


def water(
    c: Canvas, horizon, colours: Pair, *, waves=1.0, foam=0.0, glitter=0.0, shore=None
) -> None:
    """Paint water from `horizon` towards the viewer: waves, foam, the sun's path.

    Parameters
    ----------
    c
        As in every brush.
    horizon : float
        Height of the far edge, which sets how the waves shrink.
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
    near = c.y - horizon
    depth = 0.3 / (np.maximum(near, 0) + 0.04)
    across = (c.x - 0.5) * (depth * 0.6 + c.u(0.4, 0.9))
    swell = c.grain("waves", depth * c.u(-1.2, -0.7), across)
    chop = c.grain("waves", depth * -2.2, across * 1.6)
    wave = swell * 0.5 + chop * 0.5
    # Far waves run together, and there the water mirrors the low sky.
    tone = 0.42 + (wave - 0.5) * (0.95 * waves) * clip(near * 4, 0.25, 1.0)
    surface = mix(*colours, clip(tone + clip(0.35 - near * 1.2)))
    white = planes((0.95, 0.96, 0.97))
    if glitter > 0:
        gap = np.abs(c.x - c.light.sun_x)
        path = clip(1 - gap / (0.05 + clip(near) * c.u(0.15, 0.8)))
        sparks = clip((chop * 0.8 + path - (1.25 - 0.4 * glitter)) * 4)
        glow = mix(c.light.horizon, (1, 1, 1), 0.6)
        surface = mix(surface, glow, sparks * clip(path * 2))
    if foam > 0:
        torn = wave * 0.6 + swell * 0.4 - (1 - foam * 0.5)
        caps = clip((torn + near * (foam * 0.4)) * 6)
        surface = surface + (white - surface) * caps
    if shore is not None:
        # Towards the sand: shallow water, then bands of surf that wash up.
        shallow = clip(1 + shore * c.u(2.5, 6.0))
        pale = c.vary((0.42, 0.66, 0.64), 0.12)
        surface = mix(surface, pale, shallow * c.u(0.2, 0.8))
        wash = c.grain("rough", 1.2, 0.7)
        surf = np.zeros_like(wash)
        for place in (-0.01, *(c.u(-0.3, -0.03) for _ in range(int(c.u(0, 4))))):
            width = c.u(0.012, 0.05) * (wash + 0.3)
            surf = np.maximum(surf, 1 - np.abs(shore - place) / width)
        surface = surface + (white - surface) * clip(surf * 1.6)
    light = 0.5 if c.light.night else 0.9
    c.paint(below(c, horizon), surface, SEA, light=light)


# --- ice --------------------------------------------------------------------


def ice(
    c: Canvas, region, *, name="cracks", rows=1.0, cols=1.0,
    blue=0.5, cracks=0.3, dirt=0.0, light=0.7,
) -> None:  # fmt: skip
    """Paint crevassed ice.

    Parameters
    ----------
    c, region
        As in every brush.
    name, rows, cols : as in `Canvas.grain`
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
    """
    height, slope = c.relief(name, rows, cols, c.size / 64)
    # Blocks of broken ice lie over the pattern of its flow, each with a sunny side.
    blocks, facets = c.relief("ridged", 2.0, 1.7, c.size / 48)
    soft = c.grain("soft")
    deep = mix((0.5, 0.56, 0.6), (0.14, 0.5, 0.66), blue)
    pale = mix((0.9, 0.92, 0.94), (0.66, 0.85, 0.92), blue * blue)
    depth = height * 0.65 + blocks * 0.35
    tone = (cracks + 0.22 - depth) * 3 + (soft - 0.5) * 0.5
    colour = mix(pale, deep, clip(tone))
    if dirt > 0:
        grit = c.grain("rough")
        dirty = clip((dirt - grit * 0.5 - soft * 0.5) * 5)
        colour = mix(colour, (0.36, 0.34, 0.32), dirty * 0.8)
    lit = clip(light + slope * 0.9 + facets * 1.1)
    c.paint(region, colour, GLACIER, light=lit)
