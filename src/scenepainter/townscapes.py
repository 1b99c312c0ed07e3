"""Compose buildings and streets, which are made of the same things.

Buildings stand before a strip of street; streets run between buildings; and some scenes
could bear either name.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenepainter.canvas import BUILDINGS, DOUBTFUL, STREET, Canvas, clip, mix
from scenepainter.nature import (
    SLOPES,
    foliage,
    greens,
    ground,
    rock,
    sea_colours,
    sky,
    tree,
    two_tones,
    water,
    weather,
    woods,
)
from scenepainter.town import (
    PAINTS,
    Facade,
    bar,
    block,
    car,
    car_paint,
    car_side,
    dome,
    facade_style,
    gable,
    people,
    person,
    pole,
    road,
    terrace,
)

# --- buildings --------------------------------------------------------------


def buildings(c: Canvas) -> None:
    """Compose buildings: a front, a corner, towers, a skyline, a landmark, a row."""
    if c.chance(DOUBTFUL):
        return roadside(c)
    dry = "clear clear clear clear clear overcast overcast overcast"
    weather(c, dry + " golden dusk night")
    kind = c.pick("front corner corner towers towers skyline landmark row")
    sky(c, c.u(0.6, 0.9))
    base = c.u(0.82, 1.05)
    HOUSES[kind](c, base)
    if kind != "skyline":
        foreground(c, base)


def front(c: Canvas, base: float) -> None:
    """Paint one wall that fills the picture."""
    style = facade_style(c, c.pick("old old plain glass bands"), (3, 11), (4, 13))
    left, right, top = c.u(-0.4, 0.1), c.u(0.9, 1.4), c.u(-0.5, 0.25)
    rise, taper = c.u(-0.25, 0.25), c.u(0, 0.2)
    light = c.u(0.4, 1)
    block(c, left, right, top, base, style, rise=rise, taper=taper, light=light)


def corner(c: Canvas, base: float, tops=(-0.05, 0.3)) -> None:
    """Paint a building seen over its corner: one wall in the sun, one in the shade."""
    edge, top, light = c.u(0.25, 0.75), c.u(*tops), c.u(0.3, 0.7)
    style = facade_style(c, c.pick("old old plain glass bands"))
    style.floors = c.u(4, 13)
    high = base - top
    left, right = c.u(-0.5, 0.1), c.u(0.9, 1.5)
    drop, lift = c.u(0.1, 0.45) * high, c.u(0.0, 0.12) * high
    lean = {"taper": c.u(0, 0.15), "aim": edge}
    sun = 0.3 if c.light.sun_x < 0.5 else -0.3
    style.bays = c.u(4, 11)
    lines = {"rise": -drop, "fall": lift, "light": light + sun}
    block(c, left, edge, top + drop, base - lift, style, **lines, **lean)
    style.bays = c.u(4, 11)
    lines = {"rise": c.u(0.5, 1.2) * drop, "fall": -lift, "light": light - sun}
    block(c, edge, right, top, base, style, **lines, **lean)


def towers(c: Canvas, base: float) -> None:
    """Paint high houses seen from below; their uprights lean together."""
    lean = {"taper": c.u(0, 0.5), "aim": c.u(0.3, 0.7)}
    for _ in range(int(c.u(2, 6))):
        style = facade_style(c, c.pick("glass glass bands plain"), (8, 24), (3, 9))
        left, wide, top = c.u(-0.15, 0.85), c.u(0.14, 0.4), c.u(-0.1, 0.55)
        rise, light = c.u(-0.12, 0.12), c.u(0.3, 1)
        right = left + wide
        block(c, left, right, top, 1.1, style, rise=rise, light=light, **lean)
        if c.chance(0.6):
            style.bays = c.u(2, 5)
            end, top = left + wide * c.u(1.3, 1.7), top + rise
            rise, light = c.u(0, 0.15), light * c.u(0.2, 0.6)
            block(c, right, end, top, 1.1, style, rise=rise, light=light, **lean)


def skyline(c: Canvas, base: float) -> None:
    """Paint three rows of high houses, far off, behind water or a road."""
    foot = c.u(0.65, 0.9)
    for k in range(3):
        left = -0.1
        while left < 1.0:
            right = left + (wide := c.u(0.05, 0.16))
            style = facade_style(c, c.pick("glass bands plain"), (6, 18), (2, 6))
            top, light = foot - c.u(0.1, 0.55 - 0.12 * k), c.u(0.2, 1)
            block(c, left, right, top, foot, style, light=light, haze=(2 - k) * 0.2)
            left += wide * c.u(0.7, 1.6)
    if c.chance(0.5):
        water(c, foot, sea_colours(c), waves=c.u(0.2, 0.7))
    else:
        c.rect(foot, 1.0, 0.0, 1.0, (0.2, 0.2, 0.2), STREET, light=0.7)
        woods(c, c.u(0.85, 1.02), c.u(0.08, 0.2), greens(c))


def landmark(c: Canvas, base: float) -> None:
    """Paint a building that stands alone: wings, and a dome, spires or a pediment."""
    style = facade_style(c, "old", (2, 4), (6, 12))
    middle, half = c.u(0.35, 0.65), c.u(0.25, 0.5)
    top = c.u(0.45, 0.6)
    light = c.u(0.5, 1.0)

    def wall(x, half, top, bottom):
        block(c, x - half, x + half, top, bottom, style, light=light)

    def roof(x, half, ridge, eaves, colour, flat=0.0):
        gable(c, x - half, x + half, ridge, eaves, colour, flat=flat)

    wall(middle, half, top, base)
    tiles = top - c.u(0.03, 0.12), top, c.vary((0.35, 0.25, 0.22))
    roof(middle, half, *tiles, flat=0.85)
    style.bays, style.floors = c.u(2, 4), c.u(3, 5)
    wide = c.u(0.1, 0.2)
    high = top - c.u(0.08, 0.2)
    wall(middle, wide, high, base)
    copper = c.vary(c.pick(COPPERS))
    crown = c.pick("dome spire pediment towers")
    if crown == "dome":
        wall(middle, wide * 0.8, high - 0.08, high)
        dome(c, middle, high - 0.06, wide * 0.9, copper, stretch=c.u(0.9, 1.4))
        lantern = high - 0.06 - wide * 1.6, high - 0.1
        bar(c, middle, 0.01, *lantern, copper, BUILDINGS)
    elif crown == "spire":
        wall(middle, wide * 0.45, high - 0.2, high)
        roof(middle, wide * 0.5, high - c.u(0.35, 0.6), high - 0.18, copper)
    elif crown == "pediment":
        roof(middle, wide * 1.3, high - 0.1, high, style.wall)
    else:
        for side in (-1, 1):
            x = middle + side * half * c.u(0.5, 0.9)
            wall(x, 0.06, top - 0.2, base)
            roof(x, 0.07, top - c.u(0.3, 0.45), top - 0.2, copper)


COPPERS = ((0.36, 0.52, 0.46), (0.3, 0.3, 0.33), (0.75, 0.62, 0.3), (0.5, 0.28, 0.2))


def row(c: Canvas, base: float) -> None:
    """Paint old houses side by side, some of them under a gabled roof."""
    left = c.u(-0.2, 0.0)
    while left < 1.0:
        right = left + c.u(0.18, 0.4)
        style = old_house(c, painted=0.5, floors=(2, 5))
        top = base - c.u(0.45, 0.75)
        block(c, left, right, top, base, style, light=c.u(0.5, 1))
        if c.chance(0.5):
            tiles = c.vary((0.4, 0.24, 0.18))
            ridge, flat = top - c.u(0.06, 0.2), c.u(0, 0.8)
            gable(c, left - 0.01, right + 0.01, ridge, top, tiles, flat=flat)
        left = right


def old_house(c: Canvas, *, painted: float, floors) -> Facade:
    """Choose the look of an old house; the fraction `painted` is coloured."""
    style = facade_style(c, "old")
    if c.chance(painted):
        style.wall = c.vary(c.pick(PAINTS))
    style.floors, style.bays = c.u(*floors), c.u(2, 5)
    return style


HOUSES = {
    "front": front,
    "corner": corner,
    "towers": towers,
    "skyline": skyline,
    "landmark": landmark,
    "row": row,
}


def foreground(c: Canvas, base: float) -> None:
    """Paint what lies before a building: street or lawn, trees, cars, people."""
    if base < 1.0 and c.chance(0.65):
        tar = c.vary((0.42, 0.41, 0.4), 0.1)
        c.rect(base, 1.0, 0.0, 1.0, tar, STREET, light=0.85)
        for _ in range(int(c.u(0, 4))):
            brush = car if c.pick("front side side") == "front" else car_side
            x, foot = c.u(0, 1), base + c.u(0.02, 0.08)
            brush(c, x, foot, c.u(0.1, 0.22), car_paint(c))
        if c.chance(0.4):
            people(c, base - 0.12, int(c.u(1, 4)))
    elif base < 1.0:
        ground(c, base, greens(c, 0.05))
    for _ in range(int(c.u(0, 3)) if c.chance(0.5) else 0):
        tree(c, c.u(0, 1), base + c.u(0.0, 0.1), c.u(0.15, 0.5), greens(c, 0.1))


def roadside(c: Canvas) -> None:
    """Compose what may be called buildings or a street: houses beyond a wide road."""
    weather(c, "clear clear overcast golden dusk night")
    sky(c, 0.7)
    base = c.u(0.62, 0.76)
    if c.chance(0.5):
        row(c, base)
    else:
        corner(c, base, tops=(0.0, 0.25))
    tar = c.vary((0.4, 0.39, 0.38), 0.12)
    ground(c, base - 0.005, two_tones(tar, 0.2), STREET)
    kerb = mix(tar, (1, 1, 1), c.u(-0.3, 0.6))
    c.rect(base + 0.05, base + 0.065, 0.0, 1.0, kerb, STREET, light=0.8)
    for _ in range(int(c.u(0, 4))):
        x, foot = c.u(0, 1), base + c.u(0.05, 0.2)
        car_side(c, x, foot, c.u(0.15, 0.35), car_paint(c))
    people(c, base - 0.15, int(c.u(0, 4)))
    if c.chance(0.4):
        tree(c, c.u(0, 1), base + 0.04, c.u(0.2, 0.5), greens(c, 0.1))


# --- street -----------------------------------------------------------------

TARS = ((0.34, 0.34, 0.35), (0.45, 0.44, 0.43), (0.25, 0.25, 0.27), (0.55, 0.5, 0.44))


class Plan(NamedTuple):
    """How a street is laid out: bounds in units of the lower rim, and surfaces."""

    wide: tuple[float, float]  # from its middle to a kerb
    walk: tuple[float, float]  # pavement
    tall: tuple[float, float]  # houses
    surfaces: str


PLANS = {
    "avenue": Plan((0.6, 1.1), (0.15, 0.6), (0.8, 3.0), "lanes lanes crossing"),
    "town": Plan((0.4, 0.8), (0.15, 0.6), (0.6, 1.6), "lanes bare cobbles crossing"),
    "alley": Plan((0.15, 0.35), (0.02, 0.15), (1.5, 3.0), "cobbles bare"),
    "suburb": Plan((0.4, 0.8), (0.15, 0.6), (0.4, 0.8), "lanes bare"),
}


def street(c: Canvas) -> None:
    """Compose a street: an avenue, a lane between houses, a suburb, shops."""
    if c.chance(DOUBTFUL):
        return roadside(c)
    weather(c, "clear clear clear overcast overcast overcast golden dusk night")
    kinds = "avenue avenue town town town alley alley suburb shops shops"
    kind = c.pick(kinds)
    vanish = vx, vy = c.u(0.2, 0.8), c.u(0.38, 0.66)
    sky(c, vy)
    if kind == "shops":
        return shops(c)
    far_end(c, vanish, kind)
    # All plans are measured, and one is kept: chance goes on alike after any of them.
    wide = {name: c.u(*plan.wide) for name, plan in PLANS.items()}[kind]
    skew = c.u(-0.25, 0.25)
    left, right = vx - wide + skew, vx + wide + skew
    walk = c.u(*PLANS[kind].walk)
    tar, surface = c.vary(c.pick(TARS)), c.pick(PLANS[kind].surfaces)
    road(c, vanish, left, right, colour=tar, kind=surface)
    modern = kind == "avenue" and not c.chance(0.4)
    houses = c.pick("plain bands glass") if modern else "old"
    tall = {name: c.u(*plan.tall) for name, plan in PLANS.items()}[kind]
    sun = c.u(0.6, 1.0)
    sides = (
        (left - walk, vx - c.u(0.02, 0.1), sun),
        (right + walk, vx + c.u(0.02, 0.1), c.u(0.15, 0.6)),
    )
    gaps = 0.4 if kind == "suburb" else 0.05
    for foot, end, light in sides:
        if c.chance(0.9):
            size = {"height": tall, "length": c.u(0.5, 2.0)}
            terrace(c, vanish, foot, end, kind=houses, light=light, gaps=gaps, **size)
        else:
            park(c, vanish, foot, end)
    furnish(c, vanish, left, right, walk, kind)


def far_end(c: Canvas, vanish, kind: str) -> None:
    """Paint what one sees where the street ends: a hill, houses or trees."""
    vx, vy = vanish
    if c.chance(0.35):
        crest = vy - c.u(0.02, 0.12) + (c.line(3, 4, 0.5) - 0.5) * 0.1
        rock(c, crest, c.pick(SLOPES), haze=0.4)
    if kind == "suburb":
        woods(c, vy + 0.01, c.u(0.06, 0.2), greens(c), haze=0.15)
        return
    for _ in range(int(c.u(1, 4))):
        style = facade_style(c, "plain")
        x = vx + c.u(-0.12, 0.06)
        right, top, light = x + c.u(0.05, 0.15), vy - c.u(0.05, 0.25), c.u(0.3, 0.9)
        block(c, x, right, top, vy + 0.03, style, haze=0.3, light=light)


def park(c: Canvas, vanish, foot: float, end: float) -> None:
    """Paint a row of trees instead of houses along one side of a street."""
    vx, vy = vanish
    near = clip((c.x - vx) / (foot - vx))
    side = c.x < end if foot < vx else c.x > end
    top = vy - near * c.u(0.5, 1.0) * (0.6 + c.line(8, 3, 0.6) * 0.6)
    region = side & (c.y > top - 0.02) & (c.y < vy + near * (1 - vy))
    foliage(c, region, greens(c, 0.15), light=c.u(0.3, 0.6))


def furnish(c: Canvas, vanish, left, right, walk, kind: str) -> None:
    """Put trees, lamps, cars, people and wires into a street, far ones first."""
    vx, vy = vanish
    green = greens(c, 0.15)
    trees = c.chance(0.7 if kind == "suburb" else 0.25)
    lamps, busy, crowd = c.chance(0.5), c.chance(0.65), c.chance(0.5)
    for near in (0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 0.85):
        base = vy + (1 - vy) * near
        for rim, side in ((left, -1), (right, 1)):
            x = vx + (rim + side * walk * 0.3 - vx) * near
            if trees and c.chance(0.6):
                tree(c, x, base, near * c.u(0.5, 0.9), green)
            elif lamps and c.chance(0.5):
                arm, thick = -side * 0.12 * near, max(0.012, 0.03 * near)
                pole(c, x, base - near * 0.9, base, arm=arm, width=thick)
            if busy and kind != "alley" and c.chance(0.5):
                x = vx + (rim - side * (right - left) * c.u(0.1, 0.2) - vx) * near
                wide, paint = 0.34 * near * c.u(0.8, 1.1), car_paint(c)
                car(c, x, base, wide, paint, rear=c.chance(0.5))
        for _ in range(int(c.u(0, 3)) if crowd else 0):
            x = vx + c.u(left - vx - walk, right - vx + walk) * near
            person(c, x, base, near * (1 - vy) * c.u(0.55, 0.7))
    for _ in range(int(c.u(1, 4)) if c.chance(0.25) else 0):
        sag = c.u(0.05, 0.35) + (c.x - 0.5) * c.u(-0.4, 0.4)
        c.paint(np.abs(c.y - sag) < 0.5 / c.size, (0.1, 0.1, 0.11))


def shops(c: Canvas) -> None:
    """Paint the far side of a street: shop fronts, pavement, passers-by and cars."""
    base = c.u(0.55, 0.78)
    left = c.u(-0.3, 0.0)
    rise = c.u(-0.1, 0.1)
    grey = c.vary((0.45, 0.44, 0.42), 0.12)
    ground(c, base - 0.1, two_tones(grey, 0.15), STREET)
    kerb = base + c.u(0.04, 0.14)
    while left < 1.0:
        wide = c.u(0.25, 0.6)
        shop_front(c, left, wide, base, rise)
        left += wide
    edge = mix(grey, (0, 0, 0), 0.4)
    c.rect(kerb, kerb + 0.015, 0.0, 1.0, edge, STREET, light=0.8)
    for _ in range(int(c.u(0, 3))):
        x, foot = c.u(0, 1), kerb + c.u(0.0, 0.1)
        car_side(c, x, foot, c.u(0.3, 0.6), car_paint(c))
    if c.chance(0.3):
        tree(c, c.u(0, 1), kerb, c.u(0.4, 0.8), greens(c, 0.15))
    for _ in range(int(c.u(0, 6))):
        foot = c.u(base, 1.05)
        person(c, c.u(0, 1), foot, 0.25 + (foot - base) * c.u(0.6, 1.1))
    if c.chance(0.4):
        pole(c, c.u(0, 1), c.u(-0.1, 0.3), kerb, lamp=False, width=0.02)


def shop_front(c: Canvas, left: float, wide: float, base: float, rise: float) -> None:
    """Paint a house over shop windows and doors, with a sign above them."""
    style = old_house(c, painted=0.3, floors=(2, 4))
    top, light = c.u(-0.5, 0.2), c.u(0.4, 1)
    right = left + wide
    block(c, left, right, top, base, style, rise=rise, fall=-rise, light=light)
    shop = base - c.u(0.18, 0.28)
    foot = base - 0.01
    for k in range(int(c.u(1, 4))):
        x = left + wide * (0.05 + 0.32 * k)
        lit = (0.9, 0.72, 0.4)
        inside = lit if c.light.night else c.vary((0.13, 0.12, 0.12), 0.08)
        c.rect(shop + 0.05, foot, x, x + wide * 0.25, inside, BUILDINGS)
        head, start, end = (
            shop + c.u(0.1, 0.2),
            x + wide * 0.05,
            x + wide * c.u(0.1, 0.2),
        )
        door = c.vary(c.pick(PAINTS), 0.2)
        c.rect(head, foot, start, end, door, BUILDINGS, light=0.5)
    sign = c.vary(c.pick(PAINTS), 0.25)
    start, end = left + wide * 0.03, left + wide * 0.95
    c.rect(shop, shop + 0.05, start, end, sign, BUILDINGS, light=0.9)
