"""Draw labelled scenes of six classes from a seed, with the class of every pixel.

A scene is composed from the brushes of `scenecam.brushes` as a landscape is: the sky first,
then what is far, then what is near. There are several compositions per class, and they share
ingredients as the world does: houses stand along streets, glaciers lie among mountains, the
sea has cliffs, mountains have woods at their feet.
"""

from __future__ import annotations

import numpy as np

from scenecam.brushes import (
    BUILDINGS, FLOAT, FOREST, GLACIER, MOUNTAIN, NOTHING, PAINTS, SEA, STREET, Canvas,
    below, block, boat, car, car_side, clip, crowns, dome, facade_style, finish, foliage, gable, ground,
    ice, mix, person, pole, road, rock, sky, terrace, tree, trunk, water, weather, woods,
)  # fmt: skip
from scenecam.scenes import SceneSet

CLASS_NAMES = ("buildings", "forest", "glacier", "mountain", "sea", "street")

# This part of a class is composed so that another class could claim it as well: an alp with
# ice in its valleys, houses beyond a road. Photographs are like that, and labels too.
DOUBTFUL = 0.1

# A scene shows at least this share of its own class, or it is composed again.
MIN_SHARE = 0.15

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


def people(c: Canvas, vanish_y: float, count: int) -> None:
    """Let some people stand about, farther ones higher and smaller."""
    for near in sorted(c.u(0.12, 0.9) for _ in range(count)):
        base = vanish_y + (1 - vanish_y) * near
        person(c, c.u(0.05, 0.95), base, (1 - vanish_y) * near * c.u(0.6, 0.75))


# --- mountain ------------------------------------------------------------------------------


def crest_line(
    c: Canvas, top: float, tall: float, shape: str, sharp: bool
) -> np.ndarray:
    """Draw the crest of a range: even, one peak, a valley between two sides, or a slope.

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
    """Paint ridges one behind the other, the far ones pale, and return the last crest."""
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
            c, crest, tone, haze=murk * depth * 0.8 if layers > 1 else murk * 0.3,
            snow=snowy * depth * c.u(0.6, 1.1), relief=c.u(0.6, 1.5), fine=c.u(0.7, 1.5),
        )  # fmt: skip
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
    """Compose a mountain: range, hazy layers, one peak, green hills, a lake, a snowfield."""
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


# --- glacier -------------------------------------------------------------------------------


def glacier(c: Canvas) -> None:
    """Compose a glacier: a front over water, an ice river, ice close by, an ice cap, bergs."""
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
        ice(c, below(c, edge), rows=c.u(0.5, 1.4), cols=lean, name=name, blue=blue, cracks=c.u(0.2, 0.6),
            dirt=c.u(-0.2, 0.5), light=c.u(0.45, 0.8))  # fmt: skip
        if c.chance(0.3):
            rock(
                c,
                FLOAT(c.u(0.75, 1.0)) - c.line(3, 5, 0.5) * FLOAT(0.25),
                c.pick(ROCKS),
            )
        if c.chance(0.2):
            person(c, c.u(0.2, 0.8), c.u(0.6, 1.0), c.u(0.1, 0.25))
        return
    crest = range_(c, horizon, snowy=c.u(0.1, 0.6), tall=tall, layers=int(c.u(1, 4)),
                   wooded=0.25 if kind in ("far", "river") else 0.0)  # fmt: skip
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
        ice(c, below(c, top), rows=c.u(0.6, 1.2), cols=c.u(0.8, 1.6), blue=blue, cracks=c.u(0.15, 0.5),
            name=c.pick(("cracks", "cracks", "ridged")), dirt=c.u(-0.3, 0.4), light=c.u(0.5, 0.8))  # fmt: skip
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
        ice(c, below(c, edge), rows=rows, cols=c.u(0.5, 1.0), blue=blue * 0.3, name=c.pick(("waves", "soft")),
            cracks=c.u(0.0, 0.3), dirt=c.u(-0.2, 0.4), light=0.85)  # fmt: skip
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
    """Paint a valley glacier: a bent band of ice with moraines, between two mountainsides."""
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
    ice(c, region, rows=np.broadcast_to(rows, wobble.shape), cols=across * FLOAT(0.6),
        name="cracks" if along else "waves", blue=blue * 0.4, cracks=c.u(0.1, 0.45), light=0.8,
        dirt=c.u(0.0, 0.55))  # fmt: skip
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


# --- sea -----------------------------------------------------------------------------------


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
    water(c, horizon, sea_colours(c), waves=rough, foam=c.u(0.0, 0.2 if kind == "above" else 0.5) if rough > 0.8 else 0.0, shore=inland,
          glitter=c.u(0.3, 1) if kind != "above" and (c.light.low or c.chance(0.2)) else 0.0)  # fmt: skip
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


# --- forest --------------------------------------------------------------------------------


def forest(c: Canvas) -> None:
    """Compose a forest: trunks with depth, a path, bare winter trees, thicket, an edge."""
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
    foliage(c, np.ones_like(c.mask, bool), (colours[0], far), holes=gaps, light=c.u(0.4, 0.9),
            haze=c.u(0, 0.25))  # fmt: skip
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
        trunk(c, c.u(-0.05, 1.05), 0.01 + 0.11 * near * c.u(0.5, 1.2), -0.05,
              floor + (1.02 - floor) * near + 0.03, tone, lean=c.u(-lean, lean),
              haze=(1 - near) * c.u(0.1, 0.4), bark=bark)  # fmt: skip
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


# --- buildings -----------------------------------------------------------------------------


def buildings(c: Canvas) -> None:
    """Compose buildings: a front, a corner, towers, a skyline, a landmark, a row."""
    if c.chance(DOUBTFUL):
        roadside(c)
        return
    weather(
        c, "clear clear clear clear clear overcast overcast overcast golden dusk night"
    )
    kind = c.pick(
        ("front", "corner", "corner", "towers", "towers", "skyline", "landmark", "row")
    )
    sky(c, c.u(0.6, 0.9))
    base = c.u(0.82, 1.05)
    if kind == "front":
        style = facade_style(c, c.pick(("old", "old", "plain", "glass", "bands")))
        style.floors, style.bays = c.u(3, 11), c.u(4, 13)
        block(c, c.u(-0.4, 0.1), c.u(0.9, 1.4), c.u(-0.5, 0.25), base, style, rise=c.u(-0.25, 0.25),
              taper=c.u(0, 0.2), light=c.u(0.4, 1))  # fmt: skip
    elif kind == "corner":
        corner(c, c.u(0.25, 0.75), c.u(-0.05, 0.3), base, c.u(0.3, 0.7))
    elif kind == "towers":
        taper, aim = c.u(0, 0.5), c.u(0.3, 0.7)
        for k in range(int(c.u(2, 6))):
            style = facade_style(c, c.pick(("glass", "glass", "bands", "plain")))
            style.floors, style.bays = c.u(8, 24), c.u(3, 9)
            left = c.u(-0.15, 0.85)
            wide = c.u(0.14, 0.4)
            top = c.u(-0.1, 0.55)
            lean = c.u(-0.12, 0.12)
            light = c.u(0.3, 1)
            block(
                c,
                left,
                left + wide,
                top,
                1.1,
                style,
                rise=lean,
                taper=taper,
                aim=aim,
                light=light,
            )
            if c.chance(0.6):
                style.bays = c.u(2, 5)
                block(c, left + wide, left + wide * c.u(1.3, 1.7), top + lean, 1.1, style, rise=c.u(0, 0.15),
                      taper=taper, aim=aim, light=light * c.u(0.2, 0.6))  # fmt: skip
    elif kind == "skyline":
        foot = c.u(0.65, 0.9)
        for k in range(3):
            left = -0.1
            while left < 1.0:
                wide = c.u(0.05, 0.16)
                style = facade_style(c, c.pick(("glass", "bands", "plain")))
                style.floors, style.bays = c.u(6, 18), c.u(2, 6)
                block(c, left, left + wide, foot - c.u(0.1, 0.55 - 0.12 * k), foot, style,
                      light=c.u(0.2, 1), haze=(2 - k) * 0.2)  # fmt: skip
                left += wide * c.u(0.7, 1.6)
        if c.chance(0.5):
            water(c, foot, sea_colours(c), waves=c.u(0.2, 0.7))
        else:
            c.rect(foot, 1.0, 0.0, 1.0, (0.2, 0.2, 0.2), STREET, light=0.7)
            woods(
                c,
                np.full(c.size, c.u(0.85, 1.02), FLOAT),
                c.u(0.08, 0.2),
                greens(c),
                count=20,
                kind="round",
            )
        return
    elif kind == "landmark":
        landmark(c, base)
    else:
        row(c, base)
    foreground(c, base)


def roadside(c: Canvas) -> None:
    """Compose what may be called buildings or a street: houses beyond a wide road."""
    weather(c, "clear clear overcast golden dusk night")
    sky(c, 0.7)
    base = c.u(0.62, 0.76)
    if c.chance(0.5):
        row(c, base)
    else:
        corner(c, c.u(0.25, 0.75), c.u(0.0, 0.25), base, c.u(0.3, 0.7))
    tar = c.vary((0.4, 0.39, 0.38), 0.12)
    edge = np.full(c.size, base - 0.005, FLOAT)
    ground(c, edge, (tuple(mix(tar, (0, 0, 0), 0.2)), tar), label=STREET)
    c.rect(
        base + 0.05,
        base + 0.065,
        0.0,
        1.0,
        mix(tar, (1, 1, 1), c.u(-0.3, 0.6)),
        STREET,
        light=0.8,
    )
    for _ in range(int(c.u(0, 4))):
        car_side(
            c, c.u(0, 1), base + c.u(0.05, 0.2), c.u(0.15, 0.35), c.vary(c.pick(CARS))
        )
    people(c, base - 0.15, int(c.u(0, 4)))
    if c.chance(0.4):
        tree(c, c.u(0, 1), base + 0.04, c.u(0.2, 0.5), greens(c, 0.1))


def row(c: Canvas, base: float) -> None:
    """Paint old houses side by side, some of them under a gabled roof."""
    left = c.u(-0.2, 0.0)
    while left < 1.0:
        wide = c.u(0.18, 0.4)
        style = facade_style(c, "old")
        if c.chance(0.5):
            style.wall = c.vary(c.pick(PAINTS))
        style.floors, style.bays = c.u(2, 5), c.u(2, 5)
        top = base - c.u(0.45, 0.75)
        block(c, left, left + wide, top, base, style, light=c.u(0.5, 1))
        if c.chance(0.5):
            tiles = c.vary((0.4, 0.24, 0.18))
            gable(
                c,
                left - 0.01,
                left + wide + 0.01,
                top - c.u(0.06, 0.2),
                top,
                tiles,
                flat=c.u(0, 0.8),
            )
        left += wide


def corner(c: Canvas, edge: float, top: float, base: float, light: float) -> None:
    """Paint a building seen over its corner: one wall in the sun and one in the shade."""
    style = facade_style(c, c.pick(("old", "old", "plain", "glass", "bands")))
    style.floors = c.u(4, 13)
    high = base - top
    left, right = c.u(-0.5, 0.1), c.u(0.9, 1.5)
    drop = c.u(0.1, 0.45) * high
    lift = c.u(0.0, 0.12) * high
    taper = c.u(0, 0.15)
    style.bays = c.u(4, 11)
    a, b = (
        (light + 0.3, light - 0.3)
        if c.light.sun_x < 0.5
        else (light - 0.3, light + 0.3)
    )
    block(
        c,
        left,
        edge,
        top + drop,
        base - lift,
        style,
        rise=-drop,
        fall=lift,
        taper=taper,
        aim=edge,
        light=a,
    )
    style.bays = c.u(4, 11)
    block(
        c,
        edge,
        right,
        top,
        base,
        style,
        rise=c.u(0.5, 1.2) * drop,
        fall=-lift,
        taper=taper,
        aim=edge,
        light=b,
    )


def landmark(c: Canvas, base: float) -> None:
    """Paint one building that stands alone: wings, and a dome, a spire or a pediment."""
    style = facade_style(c, "old")
    style.floors, style.bays = c.u(2, 4), c.u(6, 12)
    middle, half = c.u(0.35, 0.65), c.u(0.25, 0.5)
    top = c.u(0.45, 0.6)
    light = c.u(0.5, 1.0)
    block(c, middle - half, middle + half, top, base, style, light=light)
    gable(
        c,
        middle - half,
        middle + half,
        top - c.u(0.03, 0.12),
        top,
        c.vary((0.35, 0.25, 0.22)),
        flat=0.85,
    )
    style.bays, style.floors = c.u(2, 4), c.u(3, 5)
    wide = c.u(0.1, 0.2)
    high = top - c.u(0.08, 0.2)
    block(c, middle - wide, middle + wide, high, base, style, light=light)
    copper = c.vary(
        c.pick(
            [(0.36, 0.52, 0.46), (0.3, 0.3, 0.33), (0.75, 0.62, 0.3), (0.5, 0.28, 0.2)]
        )
    )
    crown = c.pick(("dome", "spire", "pediment", "towers"))
    if crown == "dome":
        block(
            c,
            middle - wide * 0.8,
            middle + wide * 0.8,
            high - 0.08,
            high,
            style,
            light=light,
        )
        dome(c, middle, high - 0.06, wide * 0.9, copper, stretch=c.u(0.9, 1.4))
        c.rect(
            high - 0.06 - wide * 1.6,
            high - 0.1,
            middle - 0.01,
            middle + 0.01,
            copper,
            BUILDINGS,
        )
    elif crown == "spire":
        block(
            c,
            middle - wide * 0.45,
            middle + wide * 0.45,
            high - 0.2,
            high,
            style,
            light=light,
        )
        gable(
            c,
            middle - wide * 0.5,
            middle + wide * 0.5,
            high - c.u(0.35, 0.6),
            high - 0.18,
            copper,
        )
    elif crown == "pediment":
        gable(c, middle - wide * 1.3, middle + wide * 1.3, high - 0.1, high, style.wall)
    else:
        for side in (-1, 1):
            x = middle + side * half * c.u(0.5, 0.9)
            block(c, x - 0.06, x + 0.06, top - 0.2, base, style, light=light)
            gable(c, x - 0.07, x + 0.07, top - c.u(0.3, 0.45), top - 0.2, copper)


def foreground(c: Canvas, base: float) -> None:
    """Paint what lies before a building: a strip of street or lawn, trees, cars, people."""
    if base < 1.0:
        if c.chance(0.65):
            c.rect(
                base, 1.0, 0.0, 1.0, c.vary((0.42, 0.41, 0.4), 0.1), STREET, light=0.85
            )
            for _ in range(int(c.u(0, 4))):
                paint_car = c.pick((car, car_side, car_side))
                paint_car(
                    c,
                    c.u(0, 1),
                    base + c.u(0.02, 0.08),
                    c.u(0.1, 0.22),
                    c.vary(c.pick(CARS)),
                )
            if c.chance(0.4):
                people(c, base - 0.12, int(c.u(1, 4)))
        else:
            ground(c, np.full(c.size, base, FLOAT), greens(c, 0.05))
    for _ in range(int(c.u(0, 3)) if c.chance(0.5) else 0):
        tree(c, c.u(0, 1), base + c.u(0.0, 0.1), c.u(0.15, 0.5), greens(c, 0.1))


# --- street --------------------------------------------------------------------------------

CARS = ((0.75, 0.75, 0.77), (0.12, 0.12, 0.14), (0.85, 0.85, 0.84), (0.6, 0.12, 0.1),
        (0.15, 0.22, 0.4), (0.4, 0.42, 0.44), (0.85, 0.7, 0.15))  # fmt: skip


def street(c: Canvas) -> None:
    """Compose a street: an avenue, a lane between houses, a suburb, a town at night."""
    if c.chance(DOUBTFUL):
        roadside(c)
        return
    weather(c, "clear clear clear overcast overcast overcast golden dusk night")
    kind = c.pick(
        (
            "avenue",
            "avenue",
            "town",
            "town",
            "town",
            "alley",
            "alley",
            "suburb",
            "shops",
            "shops",
        )
    )
    vx, vy = c.u(0.2, 0.8), c.u(0.38, 0.66)
    sky(c, vy)
    if kind == "shops":
        shops(c)
        return
    if c.chance(0.35):
        crest = FLOAT(vy - c.u(0.02, 0.12)) + (c.line(3, 4, 0.5) - FLOAT(0.5)) * FLOAT(
            0.1
        )
        rock(c, crest, c.pick(SLOPES), haze=0.4)
    if kind in ("avenue", "town", "alley"):
        for _ in range(int(c.u(1, 4))):
            style = facade_style(c, "plain")
            x = vx + c.u(-0.12, 0.06)
            block(
                c,
                x,
                x + c.u(0.05, 0.15),
                vy - c.u(0.05, 0.25),
                vy + 0.03,
                style,
                haze=0.3,
                light=c.u(0.3, 0.9),
            )
    else:
        woods(
            c,
            np.full(c.size, vy + 0.01, FLOAT),
            c.u(0.06, 0.2),
            greens(c),
            count=20,
            kind="round",
            haze=0.15,
        )
    wide = {
        "avenue": c.u(0.6, 1.1),
        "town": c.u(0.4, 0.8),
        "alley": c.u(0.15, 0.35),
        "suburb": c.u(0.4, 0.8),
    }[kind]
    skew = c.u(-0.25, 0.25)
    left, right = vx - wide + skew, vx + wide + skew
    walk = c.u(0.15, 0.6) if kind != "alley" else c.u(0.02, 0.15)
    surface = {"avenue": ("lanes", "lanes", "crossing"), "town": ("lanes", "bare", "cobbles", "crossing"),
               "alley": ("cobbles", "bare"), "suburb": ("lanes", "bare")}[kind]  # fmt: skip
    tar = c.vary(
        c.pick(
            [
                (0.34, 0.34, 0.35),
                (0.45, 0.44, 0.43),
                (0.25, 0.25, 0.27),
                (0.55, 0.5, 0.44),
            ]
        )
    )
    road(c, (vx, vy), left, right, colour=tar, kind=c.pick(surface), walk=walk)
    houses = (
        "old"
        if kind != "avenue" or c.chance(0.4)
        else c.pick(("plain", "bands", "glass"))
    )
    tall = {
        "avenue": c.u(0.8, 3.0),
        "town": c.u(0.6, 1.6),
        "alley": c.u(1.5, 3.0),
        "suburb": c.u(0.4, 0.8),
    }[kind]
    sun = c.u(0.6, 1.0)
    sides = [
        (left - walk, vx - c.u(0.02, 0.1), sun),
        (right + walk, vx + c.u(0.02, 0.1), c.u(0.15, 0.6)),
    ]
    for foot, end, light in sides:
        if c.chance(0.9):
            terrace(c, (vx, vy), foot, end, height=tall, length=c.u(0.5, 2.0), kind=houses, light=light,
                    gaps=0.4 if kind == "suburb" else 0.05)  # fmt: skip
        else:
            park(c, (vx, vy), foot, end)
    furnish(c, (vx, vy), left, right, walk, kind)


def park(c: Canvas, vanish, foot: float, end: float) -> None:
    """Paint a row of trees instead of houses along one side of a street."""
    vx, vy = vanish
    near = clip((c.x - FLOAT(vx)) / FLOAT(foot - vx))
    side = c.x < FLOAT(end) if foot < vx else c.x > FLOAT(end)
    top = FLOAT(vy) - near * FLOAT(c.u(0.5, 1.0)) * (
        FLOAT(0.6) + c.line(8, 3, 0.6) * FLOAT(0.6)
    )
    region = side & (c.y > top - FLOAT(0.02)) & (c.y < FLOAT(vy) + near * FLOAT(1 - vy))
    foliage(c, region, greens(c, 0.15), light=c.u(0.3, 0.6))


def shops(c: Canvas) -> None:
    """Paint the far side of a street: shop fronts, pavement, passers-by and cars."""
    base = c.u(0.55, 0.78)
    left = c.u(-0.3, 0.0)
    rise = c.u(-0.1, 0.1)
    grey = c.vary((0.45, 0.44, 0.42), 0.12)
    ground(
        c,
        np.full(c.size, base - 0.1, FLOAT),
        (tuple(mix(grey, (0, 0, 0), 0.15)), grey),
        label=STREET,
    )
    kerb = c.u(0.04, 0.14)
    while left < 1.0:
        wide = c.u(0.25, 0.6)
        style = facade_style(c, "old")
        if c.chance(0.3):
            style.wall = c.vary(c.pick(PAINTS))
        style.floors, style.bays = c.u(2, 4), c.u(2, 5)
        top = c.u(-0.5, 0.2)
        light = c.u(0.4, 1)
        block(
            c, left, left + wide, top, base, style, rise=rise, fall=-rise, light=light
        )
        shop = base - c.u(0.18, 0.28)
        for k in range(int(c.u(1, 4))):
            x = left + wide * (0.05 + 0.32 * k)
            inside = (
                (0.9, 0.72, 0.4) if c.light.night else c.vary((0.13, 0.12, 0.12), 0.08)
            )
            c.rect(shop + 0.05, base - 0.01, x, x + wide * 0.25, inside, BUILDINGS)
            c.rect(shop + c.u(0.1, 0.2), base - 0.01, x + wide * 0.05, x + wide * c.u(0.1, 0.2),
                   c.vary(c.pick(PAINTS), 0.2), BUILDINGS, light=0.5)  # fmt: skip
        c.rect(shop, shop + 0.05, left + wide * 0.03, left + wide * 0.95, c.vary(c.pick(PAINTS), 0.25),
               BUILDINGS, light=0.9)  # fmt: skip
        left += wide
    c.rect(
        base + kerb,
        base + kerb + 0.015,
        0.0,
        1.0,
        mix(grey, (0, 0, 0), 0.4),
        STREET,
        light=0.8,
    )
    for _ in range(int(c.u(0, 3))):
        car_side(
            c,
            c.u(0, 1),
            base + kerb + c.u(0.0, 0.1),
            c.u(0.3, 0.6),
            c.vary(c.pick(CARS)),
        )
    if c.chance(0.3):
        tree(c, c.u(0, 1), base + kerb, c.u(0.4, 0.8), greens(c, 0.15))
    for _ in range(int(c.u(0, 6))):
        foot = c.u(base, 1.05)
        person(c, c.u(0, 1), foot, 0.25 + (foot - base) * c.u(0.6, 1.1))
    if c.chance(0.4):
        pole(c, c.u(0, 1), c.u(-0.1, 0.3), base + kerb, lamp=False, width=0.02)


def furnish(c: Canvas, vanish, left, right, walk, kind) -> None:
    """Put trees, lamps, cars, people and wires into a street, far ones first."""
    vx, vy = vanish
    green = greens(c, 0.15)
    trees = c.chance(0.7 if kind == "suburb" else 0.25)
    lamps, busy = c.chance(0.5), c.chance(0.65)
    crowd = c.chance(0.5)
    for near in (0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 0.85):
        base = vy + (1 - vy) * near
        for rim, side in ((left, -1), (right, 1)):
            x = vx + (rim + side * walk * 0.3 - vx) * near
            if trees and c.chance(0.6):
                tree(c, x, base, near * c.u(0.5, 0.9), green)
            elif lamps and c.chance(0.5):
                pole(
                    c,
                    x,
                    base - near * 0.9,
                    base,
                    arm=-side * 0.12 * near,
                    width=max(0.012, 0.03 * near),
                )
            if busy and kind != "alley" and c.chance(0.5):
                x = vx + (rim - side * (right - left) * c.u(0.1, 0.2) - vx) * near
                car(
                    c,
                    x,
                    base,
                    0.34 * near * c.u(0.8, 1.1),
                    c.vary(c.pick(CARS)),
                    rear=c.chance(0.5),
                )
        for _ in range(int(c.u(0, 3)) if crowd else 0):
            person(
                c,
                vx + c.u(left - vx - walk, right - vx + walk) * near,
                base,
                near * (1 - vy) * c.u(0.55, 0.7),
            )
    if c.chance(0.25):
        for _ in range(int(c.u(1, 4))):
            sag = FLOAT(c.u(0.05, 0.35)) + (c.x - FLOAT(0.5)) * FLOAT(c.u(-0.4, 0.4))
            line = np.abs(c.y - sag) < FLOAT(0.5 / c.size)
            c.paint(line, (0.1, 0.1, 0.11))


# --- the public door -----------------------------------------------------------------------

COMPOSERS = (buildings, forest, glacier, mountain, sea, street)
# How often a class is photographed in black and white.
GREY = (0.12, 0.08, 0.05, 0.05, 0.12, 0.25)


def _draw(index: int, size: int, rng: np.random.Generator, recolour: dict):
    """Compose scenes of a class until one shows enough of it."""
    while True:
        canvas = Canvas(size, rng, recolour)
        COMPOSERS[index](canvas)
        if np.count_nonzero(canvas.mask == index) >= MIN_SHARE * size * size:
            return finish(canvas, grey=GREY[index]), canvas.mask


def _check_size(size: int) -> None:
    if not isinstance(size, (int, np.integer)) or not 32 <= size <= 512:
        raise ValueError(
            f"`size` must be a whole number of pixels from 32 to 512; received {size!r}."
        )


def draw_scene(
    class_name: str,
    *,
    size: int = 96,
    seed: int = 0,
    recolour: dict[str, tuple[float, float, float]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene.

    Parameters
    ----------
    class_name : one of `CLASS_NAMES`
    size : int
        Side of the picture in pixels, 32 to 512.
    seed : int
        Same seed, same bytes, on any machine.
    recolour : dict, optional
        Class name -> colour in [0, 1]: every brush then paints this class flat in that
        colour. It shows what a mask covers, and proves that the mask is true.

    Returns
    -------
    image : ndarray of shape (size, size, 3), uint8
    mask : ndarray of shape (size, size), uint8
        Index into `CLASS_NAMES`, or 255 where no class was painted (sky, sand, people).

    Raises
    ------
    ValueError
        For an unknown class, or a size out of range.
    """
    _check_size(size)
    for name in (class_name, *(recolour or {})):
        if name not in CLASS_NAMES:
            raise ValueError(f"Unknown class {name!r}; choose one of {CLASS_NAMES}.")
    index = CLASS_NAMES.index(class_name)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, index))))
    flat = {CLASS_NAMES.index(name): rgb for name, rgb in (recolour or {}).items()}
    return _draw(index, size, rng, flat)


def draw_scenes(count: int, *, size: int = 96, seed: int = 0) -> SceneSet:
    """Draw a balanced, labelled set of scenes with masks.

    Scene i depends on `seed` and i only, not on `count`: a longer set begins with the
    shorter one. Classes follow each other in turn.

    Parameters
    ----------
    count : int
        Number of scenes.
    size : int
        Side of a picture in pixels, 32 to 512.
    seed : int
        Same seed, same bytes, on any machine.

    Returns
    -------
    SceneSet
        With `images` (count, size, size, 3) uint8 and `masks` (count, size, size) uint8.

    Raises
    ------
    ValueError
        For a negative count, or a size out of range.

    Examples
    --------
    >>> scenes = draw_scenes(12, seed=7)
    >>> scenes.images.shape
    (12, 96, 96, 3)
    """
    _check_size(size)
    if count < 0:
        raise ValueError(f"`count` must not be negative; received {count!r}.")
    images = np.empty((count, size, size, 3), np.uint8)
    masks = np.empty((count, size, size), np.uint8)
    labels = np.arange(count, dtype=np.int64) % len(CLASS_NAMES)
    for i in range(count):
        rng = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(i,)))
        )
        images[i], masks[i] = _draw(int(labels[i]), size, rng, {})
    return SceneSet(
        images=images, labels=labels, class_names=CLASS_NAMES, masks=masks, paths=None
    )
