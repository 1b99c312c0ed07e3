"""Brushes for what people build and leave about: walls, roofs, roads, cars, boats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenepainter.canvas import BUILDINGS, FLOAT, STREET, Canvas, Colour, clip, mix


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
    c : Canvas
        Where to paint.
    region : ndarray of shape (h, w), bool
        What to paint.
    u, v : ndarrays that broadcast to (h, w)
        Place on the wall: along it in bays, and down it in floors (0 is the roof).
    style : Facade
        Its `wall` may also be an array of shape (3, 1, w), one colour for every column.
    light : float
        0 is a wall in full shadow and 1 one in the sun.
    haze : float, or ndarray of shape (h, w)
        Part of the air's colour that lies over it.
    box : pair of slices, optional
        As in `Canvas.paint`.
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
    c : Canvas
        Where to paint.
    left, right, top, bottom : float
        Its edges; `top` and `bottom` are meant at the left edge.
    style : Facade
        How it is divided.
    rise, fall : float
        How much lower the roof line, and the foot, lie at the right edge.
    taper : float
        How strongly uprights lean together above.
    aim : float
        Column that they lean to.
    light : float
        0 is a wall in full shadow and 1 one in the sun.
    haze : float
        Part of the air's colour that lies over it.
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


# --- streets ----------------------------------------------------------------


def car(c: Canvas, x: float, base: float, width: float, colour: Colour, *, rear=False):
    """Paint a car seen from the front or rear, its wheels on `base`."""
    height = width * 0.72
    top = base - height
    dark = (0.06, 0.07, 0.09)
    c.rect(
        base - height * 0.1,
        base + height * 0.03,
        x - width * 0.48,
        x + width * 0.48,
        (0.08, 0.08, 0.09),
        STREET,
    )
    c.rect(
        top + height * 0.42,
        base - height * 0.06,
        x - width / 2,
        x + width / 2,
        colour,
        STREET,
        light=0.75,
    )
    c.rect(
        top,
        top + height * 0.46,
        x - width * 0.38,
        x + width * 0.38,
        colour,
        STREET,
        light=0.9,
    )
    glass = mix(dark, c.light.horizon, c.u(0.1, 0.5))
    c.rect(
        top + height * 0.1,
        top + height * 0.4,
        x - width * 0.32,
        x + width * 0.32,
        glass,
        STREET,
    )
    for side in (-1, 1):
        middle = x + side * width * 0.4
        c.rect(
            base - height * 0.18,
            base + height * 0.02,
            middle - width * 0.08,
            middle + width * 0.08,
            dark,
            STREET,
        )
        lamp = (0.85, 0.12, 0.1) if rear else (1.0, 0.97, 0.85)
        if c.light.night or c.chance(0.5):
            c.rect(
                base - height * 0.45,
                base - height * 0.34,
                middle - width * 0.06,
                middle + width * 0.06,
                lamp,
                STREET,
            )


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
    c.rect(
        base - high * 0.58,
        base - high * 0.1,
        x - width / 2,
        x + width / 2,
        colour,
        STREET,
        light=0.75,
    )
    for side in (-0.3, 0.3):
        reach = max(high * 0.22, 0.6 / c.size)
        box = c.box(
            base - reach * 1.8,
            base + reach * 0.2,
            x + side * width - reach,
            x + side * width + reach,
        )
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
    c.rect(
        base - height,
        base - height * 0.85,
        x - w * 0.5,
        x + w * 0.5,
        c.pick([(0.75, 0.58, 0.47), (0.4, 0.27, 0.2), (0.2, 0.15, 0.12)]),
        light=0.8,
    )


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
) -> None:
    """Paint a street that runs away from the viewer, with kerbs and pavements.

    Parameters
    ----------
    c : Canvas
        Where to paint.
    vanish : (x, y)
        Where its edges meet.
    left, right : float
        Where its edges cut the lower rim.
    colour : three floats
        Of the roadway; what lies beside it is paved in a paler tone.
    kind : {"lanes", "crossing", "cobbles", "bare"}
        What is painted on the roadway, or what it is paved with.
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
    c : Canvas
        Where to paint.
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
    kind : {"old", "plain", "glass", "bands"}
        Look of the walls, as in `facade_style`.
    light : float
        0 is a row in full shadow and 1 one in the sun.
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
    facade(
        c,
        region,
        along * bays,
        clip(v) * floors,
        style,
        light=light,
        haze=np.broadcast_to(haze, v.shape),
        box=box,
    )
    if style.shop:
        # Shop fronts in the lowest part: dark openings under a bright sign.
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
        c.rect(
            base - width * 0.42,
            base - width * 0.14,
            x - width * 0.2,
            x + width * 0.2,
            (0.88, 0.88, 0.86),
            light=0.7,
        )


def people(c: Canvas, vanish_y: float, count: int) -> None:
    """Let some people stand about, farther ones higher and smaller."""
    for near in sorted(c.u(0.12, 0.9) for _ in range(count)):
        base = vanish_y + (1 - vanish_y) * near
        person(c, c.u(0.05, 0.95), base, (1 - vanish_y) * near * c.u(0.6, 0.75))
