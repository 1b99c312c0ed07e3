"""Brushes for what people build and leave about: walls, roofs, roads, cars, boats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenepainter.canvas import (
    BUILDINGS,
    FLOAT,
    NOTHING,
    STREET,
    Canvas,
    Colour,
    clip,
    mix,
    planes,
)

WALLS = (
    (0.72, 0.66, 0.56), (0.55, 0.3, 0.24), (0.62, 0.6, 0.57), (0.8, 0.76, 0.68),
    (0.45, 0.4, 0.36), (0.76, 0.58, 0.36), (0.84, 0.83, 0.8), (0.5, 0.36, 0.3),
    (0.36, 0.36, 0.38), (0.66, 0.5, 0.42),
)  # fmt: skip
PAINTS = (
    (0.85, 0.62, 0.3), (0.75, 0.35, 0.3), (0.45, 0.6, 0.68), (0.85, 0.78, 0.55),
    (0.6, 0.68, 0.5), (0.88, 0.7, 0.65),
)  # fmt: skip
CARS = (
    (0.75, 0.75, 0.77), (0.12, 0.12, 0.14), (0.85, 0.85, 0.84), (0.6, 0.12, 0.1),
    (0.15, 0.22, 0.4), (0.4, 0.42, 0.44), (0.85, 0.7, 0.15),
)  # fmt: skip
COATS = (
    (0.1, 0.1, 0.12), (0.2, 0.25, 0.4), (0.5, 0.15, 0.12), (0.7, 0.68, 0.63),
    (0.3, 0.3, 0.26), (0.14, 0.14, 0.15),
)  # fmt: skip
SKINS = ((0.75, 0.58, 0.47), (0.4, 0.27, 0.2), (0.2, 0.15, 0.12))
HULLS = ((0.9, 0.9, 0.88), (0.3, 0.14, 0.1), (0.15, 0.2, 0.35))
DARK = (0.06, 0.07, 0.09)  # tyres, and panes that mirror little


# --- houses -----------------------------------------------------------------


@dataclass
class Facade:
    """How a wall is divided: floors, bays, and what its windows look like."""

    wall: Colour
    glass: Colour  # of a pane, where it is dark
    shine: Colour  # of a pane, where it mirrors the sky
    wide: float  # part of a bay
    high: float  # part of a floor
    lit: float  # part of the windows
    sign: Colour
    floors: float = 5
    bays: float = 6
    ledge: float = 0.0
    shop: float = 0.0
    frame: float = 0.0
    trim: Colour = (0.85, 0.84, 0.8)
    mirror: float = 0.2
    pillar: float = 0.0


def facade_style(c: Canvas, kind: str, floors=None, bays=None) -> Facade:
    """Choose the look of a wall: "old", "plain", "glass" or "bands".

    `floors` and `bays` are the bounds between which their numbers are drawn.
    """
    style = Facade(
        wall=c.vary(c.pick(WALLS)),
        glass=c.vary((0.16, 0.18, 0.22), 0.05),
        shine=mix(c.light.zenith, c.light.horizon, c.u(0.3, 1.0)) * c.u(0.5, 1),
        wide=c.u(0.34, 0.6),
        high=c.u(0.45, 0.7),
        lit=c.u(0.1, 0.6) if c.light.night else 0.0,
        sign=c.vary(c.pick(PAINTS), 0.15),
    )
    if kind == "old":
        if c.chance(0.35):
            style.wall = c.vary(c.pick(PAINTS))
        style.ledge, style.shop = c.u(0.06, 0.12), c.u(0.6, 1.0)
        style.frame = c.u(0.08, 0.16) if c.chance(0.6) else 0.0
        style.pillar = c.u(0.04, 0.1) if c.chance(0.4) else 0.0
        style.trim = mix(style.wall, (0.95, 0.94, 0.9), c.u(0.2, 0.9))
    elif kind == "glass":
        style.wall = mix(c.vary((0.3, 0.36, 0.42)), style.shine, c.u(0.2, 0.7))
        style.glass = mix((0.08, 0.14, 0.22), c.light.zenith, c.u(0.2, 0.7))
        style.wide, style.high = c.u(0.78, 0.92), c.u(0.6, 0.9)
        style.mirror = c.u(0.3, 0.9)
    elif kind == "bands":
        style.wide, style.high = c.u(0.9, 1.0), c.u(0.35, 0.6)
    if floors:
        style.floors, style.bays = c.u(*floors), c.u(*bays)
    return style


def facade(c: Canvas, region, u, v, style: Facade, box, *, light=0.8, haze=0.0):
    """Paint a wall with windows.

    Parameters
    ----------
    c, region, box, light, haze
        As in every brush; `region` has shape (h, w), and `light` is one number.
    u, v : ndarrays that broadcast to (h, w)
        Place on the wall: along it in bays, and down it in floors (0 is the roof).
    style : Facade
        Its `wall` may also be an array of shape (3, 1, w), one colour for every column.
    """
    iu, iv = u.astype(np.intp), v.astype(np.intp)
    fu, fv = u - iu, v - iv  # float64, and so is what is made of them
    gap_u, gap_v = np.abs(fu - 0.5), np.abs(fv - FLOAT(0.52))
    panes = (gap_u < FLOAT(style.wide / 2)) & (gap_v < FLOAT(style.high / 2))
    tones = c.rng.random((16, 16), dtype=FLOAT)[iv % 16, iu % 16]
    tint = 0.88 + c.grain("rough")[box] * 0.18
    if style.pillar:
        tint = np.where(gap_u > FLOAT(0.5 - style.pillar), tint * 1.18, tint)
    if style.ledge:
        tint = np.where(fv > FLOAT(1 - style.ledge), tint * 0.72, tint)
    lamp = c.lamp(light)
    colour = planes(style.wall) * tint * lamp
    mirror = tones * tones * 0.6 + c.grain("soft")[box] * style.mirror
    mirror = clip(mirror - fv * FLOAT(0.15))
    glass = mix(style.glass, style.shine, mirror) * (0.35 + lamp * 0.65)
    if style.lit:
        glow = mix((0.75, 0.5, 0.2), (1.0, 0.9, 0.6), (tones * 7) % 1)
        glass = np.where(tones > 1 - style.lit, glow, glass)
    if style.frame:
        inner = FLOAT(0.5 - style.frame)
        sides = gap_u > FLOAT(style.wide) * inner
        frames = panes & (sides | (gap_v > FLOAT(style.high) * inner))
        colour = np.where(frames, planes(style.trim) * lamp, colour)
        panes = panes & ~frames
    colour = np.where(panes, glass, colour)
    if not isinstance(haze, np.ndarray) and haze:  # one number: in the wall's float64
        colour = colour + (planes(c.light.haze) - colour) * FLOAT(haze)
        haze = 0.0
    c.paint(region, colour, BUILDINGS, haze=haze, box=box)


def block(
    c: Canvas, left, right, top, bottom, style: Facade, *, rise=0.0, fall=0.0,
    taper=0.0, aim=0.5, light=0.8, haze=0.0,
) -> None:  # fmt: skip
    """Paint one wall as the eye sees it.

    Parameters
    ----------
    c, light, haze
        As in every brush.
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
    """
    highest, lowest = min(top, top + rise), max(bottom, bottom + fall)
    box = c.box(highest, lowest, left - abs(taper), right + abs(taper))
    y, x = c.y[box[0]], c.x[box[1]]
    if not y.size or not x.size:
        return
    up = taper * (bottom - y)
    start, end = left + (aim - left) * up, right + (aim - right) * up
    t = (x - start) / (end - start)
    roof, foot = top + rise * t, bottom + fall * t
    v = (y - roof) / (foot - roof)
    high, low = max(0.02, bottom - top), max(0.02, bottom + fall - top - rise)
    # Equal steps along the wall shrink with its distance, which its height tells.
    u = clip(t) * low / (high + (low - high) * clip(t))
    region = (t > 0) & (t < 1) & (v > 0) & (v < 1)
    u, v = u * style.bays, clip(v) * style.floors
    facade(c, region, u, v, style, box, light=light, haze=haze)


def gable(c: Canvas, left, right, ridge, eaves, colour, *, flat=0.0) -> None:
    """Paint a roof or a spire: a triangle, or a trapezium when `flat` > 0."""
    box = c.box(ridge, eaves, left, right)
    t = (c.y[box[0]] - ridge) / (eaves - ridge)
    gap = np.abs(c.x[box[1]] - (left + right) / 2)
    lit = 0.6 + c.grain("rough")[box] * 0.4
    region = gap < (flat + t * (1 - flat)) * ((right - left) / 2)
    c.paint(region, colour, BUILDINGS, light=lit, box=box)


def dome(c: Canvas, x, base, radius, colour, *, stretch=1.0) -> None:
    """Paint half an ellipse that is round in the light."""
    box = c.box(base - radius * stretch, base, x - radius, x + radius)
    dx = (c.x[box[1]] - x) / radius
    dy = (c.y[box[0]] - base) / (radius * stretch)
    side = 0.4 if c.light.sun_x > 0.5 else -0.4
    turns = dx * 4
    ribs = np.abs(turns - (turns + 64).astype(np.intp) + 64 - 0.5)  # float64
    lit = clip(0.5 + dx * side - dy * 0.1 + ribs * FLOAT(0.3))
    c.paint(dx * dx + dy * dy < 1, colour, BUILDINGS, light=lit, box=box)


# --- streets ----------------------------------------------------------------


def road(c: Canvas, vanish, left, right, *, colour: Colour, kind: str) -> None:
    """Paint a street that runs away from the viewer, with kerbs and pavements.

    Parameters
    ----------
    c
        As in every brush.
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
    t = (c.y - vy) / (1 - vy)
    depth = 1 / np.maximum(t, 0.02)
    # Place across the street: 0 at the left kerb and 1 at the right one.
    across = ((c.x - vx) * depth + (vx - left)) / (right - left)
    grit = c.grain("leaves", depth * 0.8, c.x)
    tone = 0.8 + grit * 0.22 + c.grain("soft", depth * 0.5, across) * 0.25
    base = planes(colour) * tone
    pale = planes(c.vary((0.6, 0.58, 0.55), 0.08)) * tone
    paved = (across < 0) | (across > 1)
    if kind == "cobbles":
        iu, iv = (across * 14 + 640).astype(np.intp), (depth * 9).astype(np.intp)
        stones = c.rng.random((16, 16), dtype=FLOAT)[iv % 16, (iu + iv) % 16]
        base = base * (0.7 + stones * 0.5)
    surface = np.where(paved, pale, base)
    kerb = (np.abs(across) < 0.018) | (np.abs(across - 1) < 0.018)
    surface = np.where(kerb, base * 0.6, surface)
    white = planes((0.88, 0.87, 0.82))
    if kind == "lanes":
        dashes = (depth * 1.6) % 1 < 0.55
        line = (np.abs(across - 0.5) < 0.014) & dashes
        line |= (np.abs(across - 0.06) < 0.01) | (np.abs(across - 0.94) < 0.01)
        surface = np.where(line, white * c.vary((0.88, 0.84, 0.7), 0.08)[0], surface)
    elif kind == "crossing":
        near = c.u(0.35, 0.7)
        bars = (across * 9) % 1 < 0.5
        band = (t > near) & (t < near + 0.22) & ~paved
        surface = np.where(band & bars, white, surface)
    lit = 0.85
    if c.chance(0.45):  # the shadow of the houses on one side
        cut = c.u(0.1, 0.9)
        dark = across < cut if c.chance(0.5) else across > cut
        lit = np.where(dark, FLOAT(0.15), FLOAT(0.85))
    c.paint(c.y > vy, surface, STREET, light=lit)


def terrace(
    c: Canvas, vanish, foot, end, *, height, length, kind: str, light, gaps=0.0
) -> None:
    """Paint the row of houses along one side of a street, in one go.

    Parameters
    ----------
    c, light
        As in every brush.
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
    gaps : float
        Fraction of plots without a house.
    """
    vx, vy = vanish
    box = c.box(0.0, 1.0, 0.0, end) if foot < vx else c.box(0.0, 1.0, end, 1.0)
    x, y = c.x[box[1]], c.y
    if not x.size:
        return
    near = np.maximum((x - vx) / (foot - vx), 0.01)
    depth = 1 / near
    along = depth / length + c.u()
    house = along.astype(np.intp) % 32
    tall = (0.65 + 0.7 * c.rng.random(32, dtype=FLOAT)) * height
    stands = c.rng.random(32, dtype=FLOAT) >= gaps
    style = facade_style(c, kind)
    walls = np.array([c.vary(c.pick(WALLS), 0.08) for _ in range(6)], FLOAT)
    if kind == "old" and c.chance(0.5):
        walls[::2] = [c.vary(c.pick(PAINTS)) for _ in range(3)]
    style.wall = walls[house % 6].T[:, None, :]
    roof, base = vy - tall[house] * near, vy + (1 - vy) * near
    v = (y - roof) / (base - roof)
    region = (v > 0) & (v < 1) & stands[house]
    floors = 2 + (c.rng.random(32, dtype=FLOAT)[house] * 4).astype(np.intp)
    floors = floors if kind == "old" else floors * 2
    u = along * c.u(2.5, 5)
    haze = clip((depth - 1) * 0.03, 0.0, 0.5)
    facade(c, region, u, clip(v) * floors, style, box, light=light, haze=haze)
    if style.shop:
        # Shop fronts in the lowest part: dark openings under a bright sign.
        shop, front = region & (v > 0.8), (u * 0.7) % 1
        sign = shop & (v < 0.85) & (front < c.u(0.3, 1))
        glass = shop & (v >= 0.85) & (front < 0.75)
        glow = (0.95, 0.8, 0.5) if c.light.night else (0.14, 0.13, 0.13)
        c.paint(glass, glow, BUILDINGS, box=box)
        c.paint(sign, style.sign, BUILDINGS, light=0.9, box=box)


# --- things -----------------------------------------------------------------


def bar(c: Canvas, x, half, top, bottom, colour, label=NOTHING, *, light=None) -> None:
    """Paint a rectangle that reaches `half` to both sides of column `x`."""
    c.rect(top, bottom, x - half, x + half, colour, label, light=light)


def car_paint(c: Canvas) -> Colour:
    """Pick the colour of a car."""
    return c.vary(c.pick(CARS))


def car(c: Canvas, x, base, width, colour: Colour, *, rear=False) -> None:
    """Paint a car seen from the front or rear, its wheels on `base`."""
    high = width * 0.72
    top = base - high
    floor = base - high * 0.1, base + high * 0.03
    bar(c, x, width * 0.48, *floor, (0.08, 0.08, 0.09), STREET)
    body = top + high * 0.42, base - high * 0.06
    bar(c, x, width / 2, *body, colour, STREET, light=0.75)
    bar(c, x, width * 0.38, top, top + high * 0.46, colour, STREET, light=0.9)
    glass = mix(DARK, c.light.horizon, c.u(0.1, 0.5))
    bar(c, x, width * 0.32, top + high * 0.1, top + high * 0.4, glass, STREET)
    lamp = (0.85, 0.12, 0.1) if rear else (1.0, 0.97, 0.85)
    for side in (-1, 1):
        middle = x + side * width * 0.4
        wheel = base - high * 0.18, base + high * 0.02
        bar(c, middle, width * 0.08, *wheel, DARK, STREET)
        if c.light.night or c.chance(0.5):
            glow = base - high * 0.45, base - high * 0.34
            bar(c, middle, width * 0.06, *glow, lamp, STREET)


def car_side(c: Canvas, x, base, width, colour: Colour) -> None:
    """Paint a car that passes: body, cabin and two wheels."""
    high = width * 0.34
    box = c.box(base - high, base - high * 0.5, x - width * 0.34, x + width * 0.3)
    t = (c.y[box[0]] - (base - high)) / (high * 0.5)
    gap = np.abs(c.x[box[1]] - (x - width * 0.02)) / width
    c.paint(gap < 0.2 + t * 0.13, colour, STREET, light=0.9, box=box)
    panes = (gap < 0.15 + t * 0.12) & (t > 0.2) & (gap > 0.02)
    c.paint(panes, mix(DARK, c.light.horizon, 0.2), STREET, box=box)
    body = base - high * 0.58, base - high * 0.1
    bar(c, x, width / 2, *body, colour, STREET, light=0.75)
    reach = max(high * 0.22, 0.6 / c.size)
    for side in (-0.3, 0.3):
        hub = x + side * width
        box = c.box(base - reach * 1.8, base + reach * 0.2, hub - reach, hub + reach)
        dx, dy = c.x[box[1]] - hub, c.y[box[0]] - (base - reach * 0.8)
        c.paint(dx * dx + dy * dy < reach * reach, (0.06, 0.06, 0.07), STREET, box=box)


def person(c: Canvas, x: float, base: float, height: float) -> None:
    """Paint somebody standing: legs, coat, head. People belong to no class."""
    coat = c.vary(c.pick(COATS))
    legs = c.vary((0.14, 0.14, 0.18), 0.08)
    w, hip = height * 0.11, base - height * 0.48
    c.rect(hip, base, x - w * 0.75, x - w * 0.1, legs, light=0.6)
    c.rect(hip, base, x + w * 0.1, x + w * 0.75, legs, light=0.8)
    bar(c, x, w, base - height * 0.84, base - height * 0.44, coat, light=0.75)
    head = base - height, base - height * 0.85
    bar(c, x, w * 0.5, *head, c.pick(SKINS), light=0.8)


def people(c: Canvas, vanish_y: float, count: int) -> None:
    """Let some people stand about, farther ones higher and smaller."""
    for near in sorted(c.u(0.12, 0.9) for _ in range(count)):
        base = vanish_y + (1 - vanish_y) * near
        person(c, c.u(0.05, 0.95), base, (1 - vanish_y) * near * c.u(0.6, 0.75))


def pole(c: Canvas, x, top, bottom, *, arm=0.0, lamp=True, width=0.012) -> None:
    """Paint a lamp post, with an arm to one side."""
    metal = c.vary((0.16, 0.16, 0.17), 0.06)
    bar(c, x, width / 2, top, bottom, metal, STREET, light=0.8)
    c.rect(top, top + width, min(x, x + arm), max(x, x + arm), metal, STREET, light=0.8)
    if lamp:
        glow = (1.0, 0.93, 0.7) if c.light.night else (0.8, 0.8, 0.78)
        bar(c, x + arm, width, top, top + width * 2, glow, STREET)


def boat(c: Canvas, x: float, base: float, width: float) -> None:
    """Paint a boat with a sail or a cabin. Boats belong to no class."""
    bar(c, x, width / 2, base - width * 0.16, base, c.pick(HULLS), light=0.8)
    if c.chance(0.6):
        mast = base - width * 1.3
        box = c.box(mast, base - width * 0.2, x - width * 0.4, x + width * 0.3)
        t = (c.y[box[0]] - mast) / (width * 1.1)
        gap = (c.x[box[1]] - x) / width
        sail = (gap > -0.05) & (gap < t * 0.35)
        c.paint(sail, (0.93, 0.92, 0.9), light=0.85, box=box)
    else:
        cabin = base - width * 0.42, base - width * 0.14
        bar(c, x, width * 0.2, *cabin, (0.88, 0.88, 0.86), light=0.7)
