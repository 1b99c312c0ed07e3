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
    clip,
    mix,
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
    water,
    weather,
    woods,
)
from scenepainter.town import boat, person

# --- mountain ---------------------------------------------------------------


def crest_line(
    c: Canvas, top: float, tall: float, shape: str, sharp: bool
) -> np.ndarray:
    """Draw the crest of a range: even, a peak, a valley between two sides, a slope.

    Returns
    -------
    ndarray of shape (size,), float32
        Height of the crest in every column; its highest point lies near `top`.
    """
    rough = c.line(c.pick((2, 3, 4)), 6, 0.5 if sharp else 0.34, sharp=sharp)
    middle = c.u(0.15, 0.85)
    gap = np.abs(c.x - FLOAT(middle))
    if shape == "peak":
        form = gap * FLOAT(c.u(0.8, 1.8))
    elif shape == "valley":
        form = FLOAT(0.55) - gap
    elif shape == "slope":
        form = (c.x if c.chance(0.5) else 1 - c.x) * FLOAT(c.u(0.5, 1.2))
    else:
        return FLOAT(top) + (FLOAT(0.85) - rough) * FLOAT(tall * 1.7)
    bent = form * FLOAT(0.65) + (FLOAT(0.8) - rough) * FLOAT(0.6)
    return FLOAT(top) + bent * FLOAT(tall * 1.7)


def range_(
    c: Canvas,
    horizon: float,
    *,
    snowy: float,
    tall: float,
    layers: int,
    shape="",
    wooded=0.3,
):
    """Paint ridges behind each other, the far ones pale; return the last crest."""
    colour = c.pick(ROCKS) if c.chance(0.6) else c.pick(SLOPES)
    sharp = c.chance(0.65)
    murk = c.u(0.05, 0.8)
    crest = None
    for k in range(layers):
        depth = 1 - k / layers
        lift = tall * (0.5 + 0.5 * depth) if layers > 1 else tall
        form = shape or c.pick(("even", "even", "peak", "valley", "slope"))
        crest = crest_line(c, horizon + k * c.u(0.04, 0.14) - lift, lift, form, sharp)
        tone = c.vary(colour, 0.05)
        if depth < 0.6:
            tone = c.vary(mix(colour, c.pick(SLOPES), c.u()) * FLOAT(c.u(0.5, 1)), 0.03)
        rock(
            c,
            crest,
            tone,
            haze=murk * depth * 0.8 if layers > 1 else murk * 0.3,
            snow=snowy * depth * c.u(0.6, 1.1),
            relief=c.u(0.6, 1.5),
            fine=c.u(0.7, 1.5),
        )
        if k and depth < 0.7 and c.chance(wooded):
            hillside(c, crest)
    return crest


def alp(c: Canvas) -> None:
    """Compose what may be called a mountain or a glacier: snow, rock and ice in one."""
    weather(c, "clear clear overcast mist storm")
    horizon = c.u(0.35, 0.5)
    sky(c, horizon)
    crest = range_(
        c,
        horizon,
        snowy=c.u(0.3, 0.6),
        tall=c.u(0.25, 0.4),
        layers=int(c.u(1, 3)),
        wooded=0,
    )
    foot = np.maximum(crest + FLOAT(c.u(0.05, 0.2)), FLOAT(c.u(0.5, 0.7)))
    ragged = (c.grain("ridged") - FLOAT(0.5)) * FLOAT(c.u(0.1, 0.4))
    field = c.y + ragged > foot + c.line(3, 4, 0.5) * FLOAT(0.15)
    name = c.pick(("ridged", "waves", "soft"))
    ice(
        c,
        field,
        rows=1.0,
        cols=1.0,
        name=name,
        blue=c.u(0, 0.4),
        cracks=c.u(0, 0.2),
        dirt=c.u(0, 0.3),
    )
    if c.chance(0.4):
        rock(c, FLOAT(c.u(0.8, 1.0)) - c.line(2, 5, 0.5) * FLOAT(0.2), c.pick(ROCKS))


def hillside(c: Canvas, crest: np.ndarray) -> None:
    """Cover a slope with dense wood, seen from far: dark, with small crowns."""
    skyline = crest - c.line(48, 2, 0.7) * FLOAT(0.02)
    foliage(
        c,
        below(c, skyline),
        greens(c, 0.05),
        light=c.u(0.2, 0.5),
        haze=c.u(0, 0.2),
        fine=1.2,
    )


def mountain(c: Canvas) -> None:
    """Compose a mountain: range, hazy layers, peak, green hills, lake, snowfield."""
    if c.chance(DOUBTFUL):
        alp(c)
        return
    weather(c, "clear clear clear clear overcast storm mist golden dusk")
    kind = c.pick(
        ("range", "range", "layers", "peak", "peak", "valley", "hills", "lake", "snow")
    )
    horizon = c.u(0.4, 0.68)
    snowy = c.u(0.1, 0.6) if c.chance(0.5) else 0.0
    sky(c, horizon)
    if kind == "layers":
        c.light.haze = tuple(mix(c.light.horizon, (0.45, 0.58, 0.75), c.u(0.1, 0.7)))
        crest = range_(c, horizon, snowy=0.0, tall=c.u(0.1, 0.3), layers=int(c.u(3, 6)))
    elif kind == "hills":
        crest = range_(
            c, horizon, snowy=0.0, tall=c.u(0.12, 0.3), layers=int(c.u(1, 4))
        )
    elif kind in ("peak", "valley"):
        crest = range_(
            c,
            horizon,
            snowy=snowy,
            tall=c.u(0.3, 0.65),
            layers=int(c.u(1, 4)),
            shape=kind,
        )
    else:
        snowy = max(snowy, 0.3) if kind == "snow" else snowy
        crest = range_(
            c, horizon, snowy=snowy, tall=c.u(0.22, 0.45), layers=int(c.u(2, 4))
        )
    foot = np.maximum(crest + FLOAT(0.1), FLOAT(c.u(0.68, 0.92))) + c.line(
        3, 3, 0.5
    ) * FLOAT(0.08)
    lake = kind == "lake"
    if lake:
        water(c, c.u(0.66, 0.8), sea_colours(c), waves=c.u(0.2, 0.8))
    elif kind == "snow":
        ground(
            c,
            foot,
            ((0.75, 0.8, 0.88), (0.97, 0.97, 0.98)),
            label=MOUNTAIN,
            name="soft",
        )
    elif c.chance(0.55):
        meadow = c.vary(c.pick(SLOPES)) if c.chance(0.7) else c.vary(c.pick(ROCKS))
        ground(c, foot, (tuple(mix(meadow, (0, 0, 0), 0.5)), meadow), label=MOUNTAIN)
    if c.chance(0.4):
        base = np.maximum(foot, FLOAT(c.u(0.75, 1.0))) + FLOAT(0.02)
        kind = c.pick(("conifer", "conifer", "round"))
        woods(
            c, base, c.u(0.06, 0.25), greens(c, 0.06), count=int(c.u(8, 50)), kind=kind
        )
        if c.chance(0.5):
            ground(c, base - FLOAT(0.01), greens(c, 0.1), label=NOTHING)
    if not lake and c.chance(0.08):
        person(c, c.u(0.2, 0.8), c.u(0.85, 1.0), c.u(0.12, 0.3))


# --- glacier ----------------------------------------------------------------


def glacier(c: Canvas) -> None:
    """Compose a glacier: front over water, river of ice, ice close by, cap, bergs."""
    if c.chance(DOUBTFUL):
        alp(c)
        return
    weather(c, "clear clear overcast overcast mist storm")
    # Whoever photographs ice exposes for its white.
    c.light.sun = tuple(v * 0.88 for v in c.light.sun)
    c.light.shade = tuple(v * 0.85 for v in c.light.shade)
    kind = c.pick(("front", "front", "river", "river", "close", "cap", "bergs", "far"))
    blue = c.u(0.0, 1.0)
    horizon = c.u(0.25, 0.5)
    sky(c, horizon)
    tall = c.u(0.1, 0.35)
    if kind == "close":
        if c.chance(0.5):
            range_(c, 0.25, snowy=c.u(0, 0.3), tall=0.2, layers=1, wooded=0)
        edge = FLOAT(c.u(-0.5, 0.3)) + c.line(3, 5, 0.5) * FLOAT(0.2)
        name = c.pick(("cracks", "ridged", "ridged", "waves"))
        lean = c.x * FLOAT(c.u(0.6, 1.6)) + c.y * FLOAT(c.u(-0.8, 0.8))
        ice(
            c,
            below(c, edge),
            rows=c.u(0.5, 1.4),
            cols=lean,
            name=name,
            blue=blue,
            cracks=c.u(0.2, 0.6),
            dirt=c.u(-0.2, 0.5),
            light=c.u(0.45, 0.8),
        )
        if c.chance(0.3):
            rock(
                c,
                FLOAT(c.u(0.75, 1.0)) - c.line(3, 5, 0.5) * FLOAT(0.25),
                c.pick(ROCKS),
            )
        if c.chance(0.2):
            person(c, c.u(0.2, 0.8), c.u(0.6, 1.0), c.u(0.1, 0.25))
        return
    crest = range_(
        c,
        horizon,
        snowy=c.u(0.1, 0.6),
        tall=tall,
        layers=int(c.u(1, 4)),
        wooded=0.25 if kind in ("far", "river") else 0.0,
    )
    if kind == "front":
        shore = c.u(0.6, 0.9)
        top = FLOAT(horizon + c.u(0.0, 0.12)) + c.line(3, 6, 0.55) * FLOAT(0.16)
        slope = np.maximum(crest + FLOAT(0.03), top - FLOAT(c.u(0.05, 0.3)))
        ice(
            c,
            below(c, slope),
            rows=1.2,
            cols=0.9,
            name="waves",
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
            name=c.pick(("cracks", "cracks", "ridged")),
            dirt=c.u(-0.3, 0.4),
            light=c.u(0.5, 0.8),
        )
        if c.chance(0.85):
            water(c, shore, sea_colours(c), waves=c.u(0.2, 0.9), foam=c.u(0, 0.15))
        else:
            rock(
                c,
                FLOAT(shore) + c.line(4, 4, 0.5) * FLOAT(0.1),
                c.pick(ROCKS),
                fine=2.0,
            )
        if c.chance(0.5):
            floes(c, shore, int(c.u(2, 12)), blue)
    elif kind == "river":
        river(c, horizon, blue)
    elif kind == "cap":
        edge = np.maximum(crest * FLOAT(0.3) + FLOAT(c.u(0.2, 0.45)), crest)
        rows = c.y * FLOAT(1.5) + c.x * FLOAT(c.u(-0.5, 0.5))
        ice(
            c,
            below(c, edge),
            rows=rows,
            cols=c.u(0.5, 1.0),
            blue=blue * 0.3,
            name=c.pick(("waves", "soft")),
            cracks=c.u(0.0, 0.3),
            dirt=c.u(-0.2, 0.4),
            light=0.85,
        )
        if c.chance(0.4):
            rock(
                c, FLOAT(c.u(0.7, 1.0)) - c.line(2, 5, 0.5) * FLOAT(0.3), c.pick(ROCKS)
            )
    elif kind == "bergs":
        shore = c.u(0.4, 0.55)
        water(c, shore, sea_colours(c), waves=c.u(0.1, 0.6))
        floes(c, shore, int(c.u(8, 20)), blue, large=c.u(0.2, 0.5))
    else:
        tongue(c, crest, blue)


def river(c: Canvas, horizon: float, blue: float) -> None:
    """Paint a valley glacier: a bent band of ice with moraines."""
    t = clip((c.y - FLOAT(horizon)) / FLOAT(1 - horizon))
    bend = c.u(-0.8, 0.8)
    middle = (
        FLOAT(c.u(0.3, 0.7)) + FLOAT(bend) * t * (1 - t) + FLOAT(c.u(-0.3, 0.3)) * t
    )
    half = FLOAT(c.u(0.06, 0.18)) + t * FLOAT(c.u(0.3, 0.8))
    wobble = (c.grain("soft") - FLOAT(0.5)) * FLOAT(0.12)
    across = (c.x - middle) / half + wobble
    region = (np.abs(across) < 1) & (c.y > FLOAT(horizon))
    depth = FLOAT(-0.6) / (t + FLOAT(0.2))
    # Seen along its flow the ice shows stripes; where it falls, steps across.
    along = c.chance(0.6)
    rows = (
        depth * FLOAT(0.3)
        if along
        else depth * FLOAT(1.3) - across * across * FLOAT(0.12)
    )
    ice(
        c,
        region,
        rows=np.broadcast_to(rows, wobble.shape),
        cols=across * FLOAT(0.6),
        name="cracks" if along else "waves",
        blue=blue * 0.4,
        cracks=c.u(0.1, 0.45),
        light=0.8,
        dirt=c.u(0.0, 0.55),
    )
    for _ in range(int(c.u(0, 4))):
        place, width = c.u(-0.7, 0.7), c.u(0.03, 0.1)
        stripe = region & (
            np.abs(across - FLOAT(place)) < FLOAT(width) * (1 + wobble * 4)
        )
        c.paint(
            stripe,
            mix((0.3, 0.29, 0.28), (0.5, 0.48, 0.45), c.grain("rough")),
            GLACIER,
            light=0.8,
        )


def tongue(c: Canvas, crest: np.ndarray, blue: float) -> None:
    """Paint a far snowfield that spills from the crest, with woods or a lake below."""
    middle, half = c.u(0.25, 0.75), c.u(0.2, 0.45)
    gap = np.abs(c.x - FLOAT(middle)) / FLOAT(half)
    foot = (
        FLOAT(c.u(0.6, 0.8))
        - gap * FLOAT(c.u(0.05, 0.3))
        + (c.line(4, 5, 0.7) - FLOAT(0.5)) * FLOAT(0.4)
    )
    ragged = (c.grain("ridged") - FLOAT(0.5)) * FLOAT(c.u(0.1, 0.5))
    region = below(c, crest + FLOAT(0.02)) & (c.y + ragged < foot)
    ice(
        c,
        region,
        rows=1.0,
        cols=1.0,
        name="ridged",
        blue=blue * 0.3,
        cracks=c.u(0.1, 0.4),
        light=0.8,
        dirt=c.u(-0.2, 0.3),
    )
    base = np.full(c.size, c.u(0.8, 1.02), FLOAT)
    if c.chance(0.4):
        water(c, float(base[0]) - 0.05, sea_colours(c), waves=c.u(0.1, 0.6))
    if c.chance(0.5):
        woods(c, base, c.u(0.08, 0.25), greens(c, 0.05), count=int(c.u(10, 40)))


def floes(
    c: Canvas, shore: float, count: int, blue: float, *, large: float = 0.12
) -> None:
    """Let pieces of ice float below `shore`, larger towards the viewer."""
    for near in sorted(c.u(0.02, 1.0) ** 2 for _ in range(count)):
        base = shore + (1 - shore) * near + 0.02
        width = large * (0.25 + near) * c.u(0.4, 1.6)
        high = width * c.u(0.2, 0.7)
        x = c.u(0, 1)
        gap = np.abs(c.x - FLOAT(x)) / FLOAT(width / 2)
        crest = FLOAT(base) - FLOAT(high) * (FLOAT(0.5) + c.line(8, 4, 0.7)) * (
            1 - gap * gap
        )
        region = (c.y > crest) & (c.y < FLOAT(base)) & (gap < 1)
        ice(
            c,
            region,
            rows=1.0,
            cols=1.0,
            name="ridged",
            blue=blue * 0.7,
            cracks=0.2,
            light=0.85,
        )


# --- sea --------------------------------------------------------------------


def sea(c: Canvas) -> None:
    """Compose a sea: open, at sunset, a beach, cliffs, rocks, breakers, from above."""
    kind = c.pick(
        (
            "open",
            "open",
            "beach",
            "beach",
            "beach",
            "cliffs",
            "rocks",
            "rocks",
            "breaker",
            "above",
        )
    )
    lights = "clear clear clear overcast overcast storm"
    weather(
        c,
        lights if kind == "above" else lights + " overcast golden dusk dusk mist mist",
    )
    horizon = c.u(0.25, 0.62) if kind != "above" else c.u(-0.6, -0.1)
    sky(c, max(horizon, 0.1))
    rough = c.u(0.25, 1.5)
    if kind != "above" and c.chance(0.4):
        edge = c.line(c.pick((2, 3, 4)), 6, 0.5)
        crest = FLOAT(horizon) + FLOAT(c.u(0.0, 0.06)) - edge * FLOAT(c.u(0.04, 0.22))
        rock(
            c,
            crest,
            c.pick(ROCKS) if c.chance(0.5) else c.pick(SLOPES),
            haze=c.u(0.1, 0.8),
        )
    inland = beach(c, horizon) if kind == "beach" else None
    water(
        c,
        horizon,
        sea_colours(c),
        waves=rough,
        foam=c.u(0.0, 0.2 if kind == "above" else 0.5) if rough > 0.8 else 0.0,
        shore=inland,
        glitter=c.u(0.3, 1)
        if kind != "above" and (c.light.low or c.chance(0.2))
        else 0.0,
    )
    if kind == "beach":
        sand(c, horizon, inland)
    elif kind == "cliffs":
        side = c.pick((-1, 1))
        run = (c.x if side > 0 else 1 - c.x) / FLOAT(c.u(0.4, 0.9))
        top = FLOAT(horizon - c.u(0.05, 0.3)) + run * run * FLOAT(0.45)
        crest = top + (c.line(3, 6, 0.55) - FLOAT(0.5)) * FLOAT(0.16)
        region = (c.y > crest) & (
            c.y < FLOAT(horizon + c.u(0.1, 0.35)) - run * FLOAT(0.08)
        )
        rock(c, crest, c.vary(c.pick(ROCKS)), region=region, relief=1.4, fine=1.6)
    elif kind == "rocks":
        crest = FLOAT(c.u(0.75, 0.98)) - (c.line(3, 6, 0.6) - FLOAT(0.3)) * FLOAT(
            c.u(0.2, 0.6)
        )
        rock(c, crest, mix(c.pick(ROCKS), (0, 0, 0), c.u(0, 0.5)), relief=1.5, fine=2.2)
    elif kind == "breaker":
        breaker(c, horizon)
    if kind in ("open", "beach") and c.chance(0.25):
        boat(c, c.u(0.1, 0.9), horizon + c.u(0.01, 0.1), c.u(0.04, 0.14))
    if kind == "beach" and c.chance(0.3):
        person(c, c.u(0.1, 0.9), c.u(0.8, 0.95), c.u(0.08, 0.2))


def beach(c: Canvas, horizon: float) -> np.ndarray:
    """Lay out a shore, across the picture or along one side.

    Returns
    -------
    ndarray of shape (size, size), float32
        How far inland each pixel lies, in canvas units; negative in the water.
    """
    if c.chance(0.55):
        edge = FLOAT(c.u(0.68, 0.9)) + FLOAT(c.u(-0.25, 0.25)) * c.x
        return c.y - edge - (c.line(2, 4, 0.5, sharp=False) - FLOAT(0.5)) * FLOAT(0.14)
    t = (c.y - FLOAT(horizon)) / FLOAT(1 - horizon)
    run = FLOAT(c.u(0.5, 0.95)) * t * (FLOAT(0.5) + t * FLOAT(0.6))
    run = run + (c.grain("soft") - FLOAT(0.5)) * FLOAT(0.12) * t
    inland = run - (c.x if c.chance(0.5) else 1 - c.x)
    return np.where(c.y > FLOAT(horizon + 0.01), inland, FLOAT(-9))


def sand(c: Canvas, horizon: float, inland: np.ndarray) -> None:
    """Paint the sand of a beach: wet and dark at the water, dry and pale above."""
    dry = c.vary(c.pick(SANDS))
    grit = c.grain("rough")
    ground(
        c,
        np.full(c.size, horizon, FLOAT),
        (tuple(mix(dry, (0, 0, 0), 0.12)), dry),
        region=inland > 0,
    )
    wet = (inland > 0) & (inland < FLOAT(c.u(0.02, 0.14)) * (grit + FLOAT(0.5)))
    c.paint(
        wet, mix(dry, mix((0.2, 0.18, 0.17), c.light.horizon, 0.3), 0.55), light=0.85
    )
    if c.chance(0.2):
        rock(
            c,
            FLOAT(c.u(0.8, 1.0)) - (c.line(3, 5, 0.6) - FLOAT(0.3)) * FLOAT(0.3),
            c.pick(ROCKS),
            fine=2.0,
        )


def breaker(c: Canvas, horizon: float) -> None:
    """Paint rows of breaking waves: a glassy face under a white, torn crest."""
    for near in sorted(c.u(0.1, 0.9) for _ in range(int(c.u(1, 4)))):
        base = horizon + (1 - horizon) * near
        high = 0.3 * near * c.u(0.4, 1.2)
        crest = FLOAT(base) - c.line(2, 3, 0.5, sharp=False) * FLOAT(high)
        foot = FLOAT(base) + FLOAT(high * 0.5)
        dark, pale = sea_colours(c)
        streaks = c.grain("waves", 0.7, 1.0)
        drop = (c.y - crest) / (foot - crest)
        face = mix(
            mix(dark, (0, 0, 0), 0.2),
            pale,
            clip(streaks * FLOAT(0.8) + drop * FLOAT(0.3)),
        )
        torn = c.grain("rough") * FLOAT(0.9) + FLOAT(c.u(0.0, 0.6))
        froth = clip((torn - drop * FLOAT(2.0)) * FLOAT(2.5)) + clip(
            (drop + torn * FLOAT(0.5) - FLOAT(1.1)) * 3
        )
        c.paint(
            (drop > 0) & (drop < 1),
            mix(face, (0.95, 0.96, 0.97), clip(froth)),
            SEA,
            light=0.9,
        )


# --- forest -----------------------------------------------------------------


def forest(c: Canvas) -> None:
    """Compose a forest: trunks with depth, path, bare winter trees, thicket, edge."""
    weather(c, "clear clear clear clear overcast overcast mist golden storm")
    kind = c.pick(
        (
            "trunks",
            "trunks",
            "trunks",
            "path",
            "path",
            "thicket",
            "thicket",
            "bare",
            "bare",
            "edge",
        )
    )
    c.light.shade = tuple(v * 0.6 for v in c.light.shade)
    colours = greens(c, 0.2)
    sky(c, 1.0)
    floor = c.u(0.6, 0.85)
    if kind == "edge":
        base = FLOAT(c.u(0.75, 1.0)) + c.line(3, 2, 0.5) * FLOAT(0.05)
        shape = c.pick(("conifer", "round"))
        for k in range(3):
            woods(
                c,
                base,
                c.u(0.6, 1.1) - 0.2 * k,
                greens(c, 0.2),
                count=int(c.u(8, 25)),
                kind=shape,
                haze=0.2 - 0.1 * k,
            )
        meadow = greens(c)
        ground(
            c, base - FLOAT(0.01), meadow, label=FOREST if c.chance(0.5) else NOTHING
        )
        return
    far = tuple(mix(colours[1], c.light.horizon, c.u(0.1, 0.6)))
    gaps = c.u(0.0, 0.3) if kind != "bare" else c.u(0.35, 0.7)
    foliage(
        c,
        np.ones_like(c.mask, bool),
        (colours[0], far),
        holes=gaps,
        light=c.u(0.4, 0.9),
        haze=c.u(0, 0.25),
    )
    soil = (
        greens(c)
        if c.chance(0.5)
        else (c.vary((0.16, 0.11, 0.07)), c.vary((0.5, 0.38, 0.25)))
    )
    if c.chance(0.1):
        soil = ((0.6, 0.66, 0.75), (0.95, 0.96, 0.98))
    edge = FLOAT(floor) + (c.line(4, 3, 0.5) - FLOAT(0.5)) * FLOAT(0.08)
    ground(c, edge, soil, label=FOREST)
    if kind == "path":
        trail(c, floor)
    bark = c.grain("rough", 0.5, 1.5)
    tone = c.vary(
        c.pick(
            [
                (0.22, 0.17, 0.13),
                (0.32, 0.28, 0.24),
                (0.4, 0.26, 0.18),
                (0.7, 0.68, 0.64),
            ]
        ),
        0.05,
    )
    count = int(c.u(8, 40)) if kind != "thicket" else int(c.u(2, 10))
    lean = c.u(0, 0.15) if c.chance(0.4) else 0.02
    for near in sorted(c.u(0, 1) for _ in range(count)):
        near *= near
        trunk(
            c,
            c.u(-0.05, 1.05),
            0.01 + 0.11 * near * c.u(0.5, 1.2),
            -0.05,
            floor + (1.02 - floor) * near + 0.03,
            tone,
            lean=c.u(-lean, lean),
            haze=(1 - near) * c.u(0.1, 0.4),
            bark=bark,
        )
    if kind == "bare":
        for _ in range(int(c.u(8, 25))):
            trunk(
                c,
                c.u(0, 1),
                c.u(0.006, 0.02),
                c.u(-0.1, 0.5),
                c.u(0.3, 0.8),
                tone,
                lean=c.u(-0.9, 0.9),
                bark=bark,
            )
    leafy = c.u(0.35, 0.9)
    top = c.y < FLOAT(c.u(0.2, 0.6)) - (c.grain("soft") - FLOAT(0.5)) * FLOAT(0.5)
    if kind != "bare":
        foliage(
            c,
            np.broadcast_to(top, c.mask.shape),
            colours,
            holes=leafy,
            light=c.u(0.35, 0.85),
        )
    if kind == "thicket" or c.chance(0.4):
        low = c.y > FLOAT(c.u(0.6, 0.9)) - (c.grain("soft") - FLOAT(0.5)) * FLOAT(0.4)
        foliage(
            c,
            np.broadcast_to(low, c.mask.shape),
            greens(c, 0.1),
            holes=c.u(0.2, 0.7),
            light=c.u(0.3, 0.8),
        )
    if c.chance(0.2):
        beams(c)


def trail(c: Canvas, floor: float) -> None:
    """Paint a path that winds into the wood."""
    t = clip((c.y - FLOAT(floor)) / FLOAT(1 - floor))
    middle = (
        FLOAT(c.u(0.3, 0.7))
        + FLOAT(c.u(-0.6, 0.6)) * t * (1 - t)
        + FLOAT(c.u(-0.2, 0.2)) * t
    )
    half = FLOAT(0.02) + t * FLOAT(c.u(0.12, 0.4))
    region = (np.abs(c.x - middle) < half) & (c.y > FLOAT(floor))
    tone = c.vary((0.55, 0.48, 0.4), 0.12)
    ground(
        c,
        np.full(c.size, floor, FLOAT),
        (tuple(mix(tone, (0, 0, 0), 0.3)), tone),
        label=FOREST,
        region=region,
    )


def beams(c: Canvas) -> None:
    """Lay slanting sunbeams over the wood: light only, no class changes."""
    slant = c.u(-0.6, 0.6)
    across = c.x - c.y * FLOAT(slant)
    glow = texture_line(c, across)
    c.image += (
        np.asarray(c.light.horizon, FLOAT)[:, None, None]
        * glow
        * FLOAT(c.u(0.2, 0.5))
        * (1 - c.y)
    )


def texture_line(c: Canvas, across: np.ndarray) -> np.ndarray:
    """Turn places across a beam into brightness, zero over half of them."""
    profile = c.line(12, 2, 0.6, sharp=False)
    index = clip(across * FLOAT(0.6) + FLOAT(0.2)) * FLOAT(c.size - 1)
    return clip((profile[index.astype(np.intp)] - FLOAT(0.5)) * FLOAT(2.0))
