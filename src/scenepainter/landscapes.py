"""Compose mountains, glaciers, seas and forests: what is far first, then what is near.

There are several compositions per class, and they share ingredients as the world does:
glaciers lie among mountains, mountains have woods at their feet, the sea has cliffs.
"""

from __future__ import annotations

import numpy as np

from scenepainter.canvas import (
    DOUBTFUL,
    FLOAT,
    FOREST,
    GLACIER,
    MOUNTAIN,
    NOTHING,
    SEA,
    Canvas,
    Pair,
    clip,
    mix,
    planes,
)
from scenepainter.nature import (
    ROCKS,
    SANDS,
    SLOPES,
    below,
    foliage,
    greens,
    ground,
    ice,
    rock,
    sea_colours,
    sky,
    trunk,
    two_tones,
    water,
    weather,
    woods,
)
from scenepainter.town import boat, person

# --- mountain ---------------------------------------------------------------

# Composition -> between which heights its ridges tower, and between which numbers.
RIDGES = {
    "range": ((0.22, 0.45), (2, 4)),
    "layers": ((0.1, 0.3), (3, 6)),
    "peak": ((0.3, 0.65), (1, 4)),
    "valley": ((0.3, 0.65), (1, 4)),
    "hills": ((0.12, 0.3), (1, 4)),
    "lake": ((0.22, 0.45), (2, 4)),
    "snow": ((0.22, 0.45), (2, 4)),
}


def mountain(c: Canvas) -> None:
    """Compose a mountain: range, hazy layers, peak, green hills, lake, snowfield."""
    if c.chance(DOUBTFUL):
        return alp(c)
    weather(c, "clear clear clear clear overcast storm mist golden dusk")
    kind = c.pick("range range layers peak peak valley hills lake snow")
    horizon = c.u(0.4, 0.68)
    snowy = c.u(0.1, 0.6) if c.chance(0.5) else 0.0
    sky(c, horizon)
    if kind == "layers":
        c.light.haze = mix(c.light.horizon, (0.45, 0.58, 0.75), c.u(0.1, 0.7))
    if kind in ("layers", "hills"):
        snowy = 0.0
    elif kind == "snow":
        snowy = max(snowy, 0.3)
    tall, count = RIDGES[kind]
    shape = kind if kind in ("peak", "valley") else ""
    crest = ridges(c, horizon, c.u(*tall), int(c.u(*count)), snowy=snowy, shape=shape)
    foot = np.maximum(crest + 0.1, c.u(0.68, 0.92)) + c.line(3, 3, 0.5) * 0.08
    if kind == "lake":
        water(c, c.u(0.66, 0.8), sea_colours(c), waves=c.u(0.2, 0.8))
    elif kind == "snow":
        snow = (0.75, 0.8, 0.88), (0.97, 0.97, 0.98)
        ground(c, foot, snow, MOUNTAIN, name="soft")
    elif c.chance(0.55):
        meadow = c.vary(c.pick(SLOPES if c.chance(0.7) else ROCKS))
        ground(c, foot, two_tones(meadow, 0.5), MOUNTAIN)
    if c.chance(0.4):
        base = np.maximum(foot, c.u(0.75, 1.0)) + 0.02
        stand = c.pick("conifer conifer round")
        tall, leaves = c.u(0.06, 0.25), greens(c, 0.06)
        woods(c, base, tall, leaves, count=int(c.u(8, 50)), kind=stand)
        if c.chance(0.5):
            ground(c, base - 0.01, greens(c, 0.1))
    if kind != "lake" and c.chance(0.08):
        person(c, c.u(0.2, 0.8), c.u(0.85, 1.0), c.u(0.12, 0.3))


def alp(c: Canvas) -> None:
    """Compose what may be called a mountain or a glacier: snow, rock and ice in one."""
    weather(c, "clear clear overcast mist storm")
    horizon = c.u(0.35, 0.5)
    sky(c, horizon)
    snowy = c.u(0.3, 0.6)
    crest = ridges(c, horizon, c.u(0.25, 0.4), int(c.u(1, 3)), snowy=snowy, wooded=0)
    foot = np.maximum(crest + c.u(0.05, 0.2), c.u(0.5, 0.7))
    ragged = (c.grain("ridged") - 0.5) * c.u(0.1, 0.4)
    field = c.y + ragged > foot + c.line(3, 4, 0.5) * 0.15
    name = c.pick("ridged waves soft")
    ice(c, field, name=name, blue=c.u(0, 0.4), cracks=c.u(0, 0.2), dirt=c.u(0, 0.3))
    if c.chance(0.4):
        outcrop(c, 0.8, cells=2, tall=0.2)


def ridges(
    c: Canvas, horizon, tall, count: int, *, snowy: float, shape="", wooded=0.3
) -> np.ndarray:
    """Paint ridges behind each other, the far ones pale; return the last crest."""
    colour = c.pick(ROCKS if c.chance(0.6) else SLOPES)
    sharp = c.chance(0.65)
    murk = c.u(0.05, 0.8)
    for k in range(count):
        depth = 1 - k / count
        lift = tall * (0.5 + 0.5 * depth)
        form = shape or c.pick("even even peak valley slope")
        crest = crest_line(c, horizon + k * c.u(0.04, 0.14) - lift, lift, form, sharp)
        tone = c.vary(colour, 0.05)
        if depth < 0.6:
            tone = c.vary(mix(colour, c.pick(SLOPES), c.u()) * c.u(0.5, 1), 0.03)
        rock(
            c,
            crest,
            tone,
            haze=murk * depth * 0.8 if count > 1 else murk * 0.3,
            snow=snowy * depth * c.u(0.6, 1.1),
            relief=c.u(0.6, 1.5),
            fine=c.u(0.7, 1.5),
        )
        if k and depth < 0.7 and c.chance(wooded):
            hillside(c, crest)
    return crest


def crest_line(c: Canvas, top: float, tall: float, shape: str, sharp: bool):
    """Draw the crest of a range: even, a peak, a valley between two sides, a slope.

    Returns
    -------
    ndarray of shape (size,), float32
        Height of the crest in every column; its highest point lies near `top`.
    """
    rough = c.line(c.pick((2, 3, 4)), 6, 0.5 if sharp else 0.34, sharp=sharp)
    gap = np.abs(c.x - c.u(0.15, 0.85))
    if shape == "even":
        return top + (0.85 - rough) * (tall * 1.7)
    if shape == "peak":
        form = gap * c.u(0.8, 1.8)
    elif shape == "valley":
        form = 0.55 - gap
    else:
        form = (c.x if c.chance(0.5) else 1 - c.x) * c.u(0.5, 1.2)
    return top + (form * 0.65 + (0.8 - rough) * 0.6) * (tall * 1.7)


def hillside(c: Canvas, crest: np.ndarray) -> None:
    """Cover a slope with dense wood, seen from far: dark, with small crowns."""
    region = below(c, crest - c.line(48, 2, 0.7) * 0.02)
    leaves = greens(c, 0.05)
    foliage(c, region, leaves, light=c.u(0.2, 0.5), haze=c.u(0, 0.2), fine=1.2)


def outcrop(c: Canvas, low: float, *, cells: int, tall: float) -> None:
    """Let bare rock stand out in front, its foot at `low` or deeper."""
    rock(c, c.u(low, 1.0) - c.line(cells, 5, 0.5) * tall, c.pick(ROCKS))


# --- glacier ----------------------------------------------------------------


def glacier(c: Canvas) -> None:
    """Compose a glacier: front over water, river of ice, ice close by, cap, bergs."""
    if c.chance(DOUBTFUL):
        return alp(c)
    weather(c, "clear clear overcast overcast mist storm")
    # Whoever photographs ice exposes for its white.
    c.light.sun = tuple(v * 0.88 for v in c.light.sun)
    c.light.shade = tuple(v * 0.85 for v in c.light.shade)
    kind = c.pick("front front river river close cap bergs far")
    blue = c.u(0.0, 1.0)
    horizon = c.u(0.25, 0.5)
    sky(c, horizon)
    tall = c.u(0.1, 0.35)
    if kind == "close":
        return close_ice(c, blue)
    snowy = c.u(0.1, 0.6)
    wooded = 0.25 if kind in ("far", "river") else 0.0
    crest = ridges(c, horizon, tall, int(c.u(1, 4)), snowy=snowy, wooded=wooded)
    GLACIERS[kind](c, horizon, crest, blue)


def close_ice(c: Canvas, blue: float) -> None:
    """Paint broken ice that fills the picture."""
    if c.chance(0.5):
        ridges(c, 0.25, 0.2, 1, snowy=c.u(0, 0.3))
    edge = c.u(-0.5, 0.3) + c.line(3, 5, 0.5) * 0.2
    name = c.pick("cracks ridged ridged waves")
    lean = c.x * c.u(0.6, 1.6) + c.y * c.u(-0.8, 0.8)
    ice(
        c,
        below(c, edge),
        name=name,
        rows=c.u(0.5, 1.4),
        cols=lean,
        blue=blue,
        cracks=c.u(0.2, 0.6),
        dirt=c.u(-0.2, 0.5),
        light=c.u(0.45, 0.8),
    )
    if c.chance(0.3):
        outcrop(c, 0.75, cells=3, tall=0.25)
    if c.chance(0.2):
        person(c, c.u(0.2, 0.8), c.u(0.6, 1.0), c.u(0.1, 0.25))


def ice_front(c: Canvas, horizon: float, crest: np.ndarray, blue: float) -> None:
    """Paint a glacier that ends in a wall of ice, over water or over stones."""
    shore = c.u(0.6, 0.9)
    top = horizon + c.u(0.0, 0.12) + c.line(3, 6, 0.55) * 0.16
    slope = below(c, np.maximum(crest + 0.03, top - c.u(0.05, 0.3)))
    ice(
        c,
        slope,
        name="waves",
        rows=1.2,
        cols=0.9,
        blue=blue * 0.3,
        cracks=0.2,
        light=0.85,
    )
    ice(
        c,
        below(c, top),
        rows=c.u(0.6, 1.2),
        cols=c.u(0.8, 1.6),
        blue=blue,
        cracks=c.u(0.15, 0.5),
        name=c.pick("cracks cracks ridged"),
        dirt=c.u(-0.3, 0.4),
        light=c.u(0.5, 0.8),
    )
    if c.chance(0.85):
        water(c, shore, sea_colours(c), waves=c.u(0.2, 0.9), foam=c.u(0, 0.15))
    else:
        rock(c, shore + c.line(4, 4, 0.5) * 0.1, c.pick(ROCKS), fine=2.0)
    if c.chance(0.5):
        floes(c, shore, int(c.u(2, 12)), blue)


def river_of_ice(c: Canvas, horizon: float, crest: np.ndarray, blue: float) -> None:
    """Paint a valley glacier: a bent band of ice with moraines."""
    t = clip((c.y - horizon) / (1 - horizon))
    bend = c.u(-0.8, 0.8)
    middle = c.u(0.3, 0.7) + bend * t * (1 - t) + c.u(-0.3, 0.3) * t
    half = c.u(0.06, 0.18) + t * c.u(0.3, 0.8)
    wobble = (c.grain("soft") - 0.5) * 0.12
    across = (c.x - middle) / half + wobble
    region = (np.abs(across) < 1) & below(c, horizon)
    depth = -0.6 / (t + 0.2)
    # Seen along its flow the ice shows stripes; where it falls, steps across.
    along = c.chance(0.6)
    ice(
        c,
        region,
        name="cracks" if along else "waves",
        rows=depth * 0.3 if along else depth * 1.3 - across * across * 0.12,
        cols=across * 0.6,
        blue=blue * 0.4,
        cracks=c.u(0.1, 0.45),
        dirt=c.u(0.0, 0.55),
        light=0.8,
    )
    for _ in range(int(c.u(0, 4))):
        place, width = c.u(-0.7, 0.7), c.u(0.03, 0.1)
        stripe = region & (np.abs(across - place) < width * (1 + wobble * 4))
        stones = mix((0.3, 0.29, 0.28), (0.5, 0.48, 0.45), c.grain("rough"))
        c.paint(stripe, stones, GLACIER, light=0.8)


def ice_cap(c: Canvas, horizon: float, crest: np.ndarray, blue: float) -> None:
    """Paint wide, smooth ice that buries all but the crest."""
    edge = np.maximum(crest * 0.3 + c.u(0.2, 0.45), crest)
    ice(
        c,
        below(c, edge),
        rows=c.y * 1.5 + c.x * c.u(-0.5, 0.5),
        cols=c.u(0.5, 1.0),
        blue=blue * 0.3,
        name=c.pick("waves soft"),
        cracks=c.u(0.0, 0.3),
        dirt=c.u(-0.2, 0.4),
        light=0.85,
    )
    if c.chance(0.4):
        outcrop(c, 0.7, cells=2, tall=0.3)


def icebergs(c: Canvas, horizon: float, crest: np.ndarray, blue: float) -> None:
    """Paint a bay full of floating ice."""
    shore = c.u(0.4, 0.55)
    water(c, shore, sea_colours(c), waves=c.u(0.1, 0.6))
    floes(c, shore, int(c.u(8, 20)), blue, large=c.u(0.2, 0.5))


def far_ice(c: Canvas, horizon: float, crest: np.ndarray, blue: float) -> None:
    """Paint a far snowfield that spills from the crest, with woods or a lake below."""
    middle, half = c.u(0.25, 0.75), c.u(0.2, 0.45)
    gap = np.abs(c.x - middle) / half
    foot = c.u(0.6, 0.8) - gap * c.u(0.05, 0.3) + (c.line(4, 5, 0.7) - 0.5) * 0.4
    ragged = (c.grain("ridged") - 0.5) * c.u(0.1, 0.5)
    region = below(c, crest + 0.02) & (c.y + ragged < foot)
    cracks, dirt = c.u(0.1, 0.4), c.u(-0.2, 0.3)
    ice(c, region, name="ridged", blue=blue * 0.3, cracks=cracks, dirt=dirt, light=0.8)
    base = FLOAT(c.u(0.8, 1.02))
    if c.chance(0.4):
        water(c, float(base) - 0.05, sea_colours(c), waves=c.u(0.1, 0.6))
    if c.chance(0.5):
        tall, leaves = c.u(0.08, 0.25), greens(c, 0.05)
        woods(c, base, tall, leaves, count=int(c.u(10, 40)), kind="conifer")


# All of them are called alike, whatever they need of it.
GLACIERS = {
    "front": ice_front,
    "river": river_of_ice,
    "cap": ice_cap,
    "bergs": icebergs,
    "far": far_ice,
}


def floes(c: Canvas, shore: float, count: int, blue: float, *, large=0.12) -> None:
    """Let pieces of ice float below `shore`, larger towards the viewer."""
    for near in sorted(c.u(0.02, 1.0) ** 2 for _ in range(count)):
        base = shore + (1 - shore) * near + 0.02
        width = large * (0.25 + near) * c.u(0.4, 1.6)
        high = width * c.u(0.2, 0.7)
        gap = np.abs(c.x - c.u(0, 1)) / (width / 2)
        crest = base - high * (0.5 + c.line(8, 4, 0.7)) * (1 - gap * gap)
        region = (c.y > crest) & (c.y < base) & (gap < 1)
        ice(c, region, name="ridged", blue=blue * 0.7, cracks=0.2, light=0.85)


# --- sea --------------------------------------------------------------------


def sea(c: Canvas) -> None:
    """Compose a sea: open, at sunset, a beach, cliffs, rocks, breakers, from above."""
    kind = c.pick("open open beach beach beach cliffs rocks rocks breaker above")
    above = kind == "above"
    lights = "clear clear clear overcast overcast storm"
    weather(c, lights if above else lights + " overcast golden dusk dusk mist mist")
    horizon = c.u(-0.6, -0.1) if above else c.u(0.25, 0.62)
    sky(c, max(horizon, 0.1))
    rough = c.u(0.25, 1.5)
    if not above and c.chance(0.4):
        far_coast(c, horizon)
    inland = beach(c, horizon) if kind == "beach" else None
    colours = sea_colours(c)
    foam = c.u(0.0, 0.2 if above else 0.5) if rough > 0.8 else 0.0
    shines = not above and (c.light.low or c.chance(0.2))
    glitter = c.u(0.3, 1) if shines else 0.0
    water(c, horizon, colours, waves=rough, foam=foam, glitter=glitter, shore=inland)
    if kind == "beach":
        sand(c, horizon, inland)
    elif kind in SHORES:
        SHORES[kind](c, horizon)
    if kind in ("open", "beach") and c.chance(0.25):
        boat(c, c.u(0.1, 0.9), horizon + c.u(0.01, 0.1), c.u(0.04, 0.14))
    if kind == "beach" and c.chance(0.3):
        person(c, c.u(0.1, 0.9), c.u(0.8, 0.95), c.u(0.08, 0.2))


def far_coast(c: Canvas, horizon: float) -> None:
    """Paint land beyond the water."""
    edge = c.line(c.pick((2, 3, 4)), 6, 0.5)
    base = FLOAT(horizon) + FLOAT(c.u(0.0, 0.06))
    crest = base - edge * c.u(0.04, 0.22)
    rock(c, crest, c.pick(ROCKS if c.chance(0.5) else SLOPES), haze=c.u(0.1, 0.8))


def beach(c: Canvas, horizon: float) -> np.ndarray:
    """Lay out a shore, across the picture or along one side.

    Returns
    -------
    ndarray of shape (size, size), float32
        How far inland each pixel lies, in canvas units; negative in the water.
    """
    if c.chance(0.55):
        edge = c.u(0.68, 0.9) + c.u(-0.25, 0.25) * c.x
        return c.y - edge - (c.line(2, 4, 0.5, sharp=False) - 0.5) * 0.14
    t = (c.y - horizon) / (1 - horizon)
    run = c.u(0.5, 0.95) * t * (0.5 + t * 0.6)
    run = run + (c.grain("soft") - 0.5) * 0.12 * t
    inland = run - (c.x if c.chance(0.5) else 1 - c.x)
    return np.where(c.y > horizon + 0.01, inland, FLOAT(-9))


def sand(c: Canvas, horizon: float, inland: np.ndarray) -> None:
    """Paint the sand of a beach: wet and dark at the water, dry and pale above."""
    dry = c.vary(c.pick(SANDS))
    grit = c.grain("rough")
    ground(c, horizon, two_tones(dry, 0.12), region=inland > 0)
    wet = (inland > 0) & (inland < c.u(0.02, 0.14) * (grit + 0.5))
    mirror = mix((0.2, 0.18, 0.17), c.light.horizon, 0.3)
    c.paint(wet, mix(dry, mirror, 0.55), light=0.85)
    if c.chance(0.2):
        crest = c.u(0.8, 1.0) - (c.line(3, 5, 0.6) - 0.3) * 0.3
        rock(c, crest, c.pick(ROCKS), fine=2.0)


def cliffs(c: Canvas, horizon: float) -> None:
    """Paint a coast of rock that rises on one side."""
    side = c.pick((-1, 1))
    run = (c.x if side > 0 else 1 - c.x) / c.u(0.4, 0.9)
    top = horizon - c.u(0.05, 0.3) + run * run * 0.45
    crest = top + (c.line(3, 6, 0.55) - 0.5) * 0.16
    foot = horizon + c.u(0.1, 0.35) - run * 0.08
    region = below(c, crest) & (c.y < foot)
    rock(c, crest, c.vary(c.pick(ROCKS)), region=region, relief=1.4, fine=1.6)


def near_rocks(c: Canvas, horizon: float) -> None:
    """Paint dark rocks in front of the water."""
    crest = c.u(0.75, 0.98) - (c.line(3, 6, 0.6) - 0.3) * c.u(0.2, 0.6)
    rock(c, crest, mix(c.pick(ROCKS), (0, 0, 0), c.u(0, 0.5)), relief=1.5, fine=2.2)


def breaker(c: Canvas, horizon: float) -> None:
    """Paint rows of breaking waves: a glassy face under a white, torn crest."""
    for near in sorted(c.u(0.1, 0.9) for _ in range(int(c.u(1, 4)))):
        base = horizon + (1 - horizon) * near
        high = 0.3 * near * c.u(0.4, 1.2)
        crest = base - c.line(2, 3, 0.5, sharp=False) * high
        foot = FLOAT(base) + FLOAT(high * 0.5)
        dark, pale = sea_colours(c)
        streaks = c.grain("waves", 0.7, 1.0)
        drop = (c.y - crest) / (foot - crest)
        face = mix(mix(dark, (0, 0, 0), 0.2), pale, clip(streaks * 0.8 + drop * 0.3))
        torn = c.grain("rough") * 0.9 + c.u(0.0, 0.6)
        froth = clip((torn - drop * 2) * 2.5) + clip((drop + torn * 0.5 - 1.1) * 3)
        wave = mix(face, (0.95, 0.96, 0.97), clip(froth))
        c.paint((drop > 0) & (drop < 1), wave, SEA, light=0.9)


SHORES = {"cliffs": cliffs, "rocks": near_rocks, "breaker": breaker}

# --- forest -----------------------------------------------------------------

BARKS = ((0.22, 0.17, 0.13), (0.32, 0.28, 0.24), (0.4, 0.26, 0.18), (0.7, 0.68, 0.64))


FORESTS = "trunks trunks trunks path path thicket thicket bare bare edge"


def forest(c: Canvas, kinds: str = FORESTS) -> None:
    """Compose a forest: trunks with depth, path, bare winter trees, thicket, edge."""
    weather(c, "clear clear clear clear overcast overcast mist golden storm")
    kind = c.pick(kinds)
    c.light.shade = tuple(v * 0.6 for v in c.light.shade)
    colours = greens(c, 0.2)
    sky(c, 1.0)
    floor = c.u(0.6, 0.85)
    if kind == "edge":
        return forest_edge(c)
    far = mix(colours[1], c.light.horizon, c.u(0.1, 0.6))
    gaps = c.u(0.35, 0.7) if kind == "bare" else c.u(0.0, 0.3)
    light, haze = c.u(0.4, 0.9), c.u(0, 0.25)
    foliage(c, True, (colours[0], far), holes=gaps, light=light, haze=haze)
    forest_floor(c, floor)
    if kind == "path":
        trail(c, floor)
    stems(c, floor, kind)
    leaves(c, colours, kind)
    if c.chance(0.2):
        sunbeams(c)


def forest_edge(c: Canvas) -> None:
    """Paint three rows of trees from outside, behind a meadow."""
    base = c.u(0.75, 1.0) + c.line(3, 2, 0.5) * 0.05
    shape = c.pick("conifer round")
    for k in range(3):
        tall, colours = c.u(0.6, 1.1) - 0.2 * k, greens(c, 0.2)
        count, haze = int(c.u(8, 25)), 0.2 - 0.1 * k
        woods(c, base, tall, colours, count=count, kind=shape, haze=haze)
    ground(c, base - 0.01, greens(c), FOREST if c.chance(0.5) else NOTHING)


def forest_floor(c: Canvas, floor: float) -> None:
    """Paint moss, earth or snow between the trees."""
    if c.chance(0.5):
        soil = greens(c)
    else:
        soil = c.vary((0.16, 0.11, 0.07)), c.vary((0.5, 0.38, 0.25))
    if c.chance(0.1):
        soil = (0.6, 0.66, 0.75), (0.95, 0.96, 0.98)
    ground(c, floor + (c.line(4, 3, 0.5) - 0.5) * 0.08, soil, FOREST)


def trail(c: Canvas, floor: float) -> None:
    """Paint a path that winds into the wood."""
    t = clip((c.y - floor) / (1 - floor))
    middle = c.u(0.3, 0.7) + c.u(-0.6, 0.6) * t * (1 - t) + c.u(-0.2, 0.2) * t
    half = 0.02 + t * c.u(0.12, 0.4)
    region = (np.abs(c.x - middle) < half) & below(c, floor)
    tone = c.vary((0.55, 0.48, 0.4), 0.12)
    ground(c, floor, two_tones(tone, 0.3), FOREST, region=region)


def stems(c: Canvas, floor: float, kind: str) -> None:
    """Paint trunks, far ones first, and bare branches in winter."""
    bark = c.grain("rough", 0.5, 1.5)
    tone = c.vary(c.pick(BARKS), 0.05)
    count = int(c.u(2, 10) if kind == "thicket" else c.u(8, 40))
    most = c.u(0, 0.15) if c.chance(0.4) else 0.02
    for near in sorted(c.u(0, 1) for _ in range(count)):
        near *= near
        x, width = c.u(-0.05, 1.05), 0.01 + 0.11 * near * c.u(0.5, 1.2)
        foot = floor + (1.02 - floor) * near + 0.03
        lean, haze = c.u(-most, most), (1 - near) * c.u(0.1, 0.4)
        trunk(c, x, width, -0.05, foot, tone, lean=lean, haze=haze, bark=bark)
    for _ in range(int(c.u(8, 25)) if kind == "bare" else 0):
        x, width = c.u(0, 1), c.u(0.006, 0.02)
        top, foot = c.u(-0.1, 0.5), c.u(0.3, 0.8)
        trunk(c, x, width, top, foot, tone, lean=c.u(-0.9, 0.9), bark=bark)


def leaves(c: Canvas, colours: Pair, kind: str) -> None:
    """Hang leaves before the trunks from above, and let bushes grow from below."""
    holes = c.u(0.35, 0.9)
    top = c.y < c.u(0.2, 0.6) - (c.grain("soft") - 0.5) * 0.5
    if kind != "bare":
        foliage(c, top, colours, holes=holes, light=c.u(0.35, 0.85))
    if kind == "thicket" or c.chance(0.4):
        low = c.y > c.u(0.6, 0.9) - (c.grain("soft") - 0.5) * 0.4
        bush = greens(c, 0.1)
        foliage(c, low, bush, holes=c.u(0.2, 0.7), light=c.u(0.3, 0.8))


def sunbeams(c: Canvas) -> None:
    """Lay slanting sunbeams over the wood: light only, no class changes."""
    across = c.x - c.y * c.u(-0.6, 0.6)
    # Brightness across the beams, zero over half of the width.
    profile = clip((c.line(12, 2, 0.6, sharp=False) - 0.5) * 2)
    place = clip(across * 0.6 + 0.2) * (c.size - 1)
    glow = profile[place.astype(np.intp)]
    c.image += planes(c.light.horizon) * glow * c.u(0.2, 0.5) * (1 - c.y)
