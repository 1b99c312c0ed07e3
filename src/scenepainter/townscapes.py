"""Compose buildings and streets, which are made of the same things.

Buildings stand before a strip of street; streets run between buildings; and some scenes
could bear either name.
"""

from __future__ import annotations

import numpy as np

from scenepainter.canvas import BUILDINGS, DOUBTFUL, FLOAT, STREET, Canvas, clip, mix
from scenepainter.nature import (
    SLOPES,
    foliage,
    greens,
    ground,
    rock,
    sea_colours,
    sky,
    tree,
    water,
    weather,
    woods,
)
from scenepainter.town import (
    PAINTS,
    block,
    car,
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
        block(
            c,
            c.u(-0.4, 0.1),
            c.u(0.9, 1.4),
            c.u(-0.5, 0.25),
            base,
            style,
            rise=c.u(-0.25, 0.25),
            taper=c.u(0, 0.2),
            light=c.u(0.4, 1),
        )
    elif kind == "corner":
        corner(c, c.u(0.25, 0.75), c.u(-0.05, 0.3), base, c.u(0.3, 0.7))
    elif kind == "towers":
        taper, aim = c.u(0, 0.5), c.u(0.3, 0.7)
        for _ in range(int(c.u(2, 6))):
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
                block(
                    c,
                    left + wide,
                    left + wide * c.u(1.3, 1.7),
                    top + lean,
                    1.1,
                    style,
                    rise=c.u(0, 0.15),
                    taper=taper,
                    aim=aim,
                    light=light * c.u(0.2, 0.6),
                )
    elif kind == "skyline":
        foot = c.u(0.65, 0.9)
        for k in range(3):
            left = -0.1
            while left < 1.0:
                wide = c.u(0.05, 0.16)
                style = facade_style(c, c.pick(("glass", "bands", "plain")))
                style.floors, style.bays = c.u(6, 18), c.u(2, 6)
                block(
                    c,
                    left,
                    left + wide,
                    foot - c.u(0.1, 0.55 - 0.12 * k),
                    foot,
                    style,
                    light=c.u(0.2, 1),
                    haze=(2 - k) * 0.2,
                )
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
    """Paint a building seen over its corner: one wall in the sun, one in the shade."""
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
    """Paint a building that stands alone: wings, and a dome, spires or a pediment."""
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
    """Paint what lies before a building: street or lawn, trees, cars, people."""
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


# --- street -----------------------------------------------------------------

CARS = (
    (0.75, 0.75, 0.77),
    (0.12, 0.12, 0.14),
    (0.85, 0.85, 0.84),
    (0.6, 0.12, 0.1),
    (0.15, 0.22, 0.4),
    (0.4, 0.42, 0.44),
    (0.85, 0.7, 0.15),
)


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
    surface = {
        "avenue": ("lanes", "lanes", "crossing"),
        "town": ("lanes", "bare", "cobbles", "crossing"),
        "alley": ("cobbles", "bare"),
        "suburb": ("lanes", "bare"),
    }[kind]
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
    road(c, (vx, vy), left, right, colour=tar, kind=c.pick(surface))
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
            terrace(
                c,
                (vx, vy),
                foot,
                end,
                height=tall,
                length=c.u(0.5, 2.0),
                kind=houses,
                light=light,
                gaps=0.4 if kind == "suburb" else 0.05,
            )
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
            c.rect(
                shop + c.u(0.1, 0.2),
                base - 0.01,
                x + wide * 0.05,
                x + wide * c.u(0.1, 0.2),
                c.vary(c.pick(PAINTS), 0.2),
                BUILDINGS,
                light=0.5,
            )
        c.rect(
            shop,
            shop + 0.05,
            left + wide * 0.03,
            left + wide * 0.95,
            c.vary(c.pick(PAINTS), 0.25),
            BUILDINGS,
            light=0.9,
        )
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
