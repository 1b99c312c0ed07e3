"""Maps, masks and pictures as few bytes that a page can carry and JavaScript can read.

Maps travel as small integers, deflated, with the peak of each; pictures as WebP.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from matplotlib import colormaps
from PIL import Image

SEQUENTIAL = ("inferno", "viridis", "cividis", "gray")
DIVERGING = ("RdBu_r", "PuOr_r", "coolwarm")
# Steps of a map's values above and below zero. What speaks for a class gets a colour,
# what speaks against it is only read as a number, so fewer steps do.
ABOVE, BELOW = 127, 15
# The class colours of `plots`, which is not imported: seaborn takes a second.
CLASS_COLOURS = (
    *("#d55e00", "#029e73", "#7fd0f5", "#8c5a2e", "#0173b2", "#4d4d4d"),
    *("#cc78bc", "#ece133", "#fbafe4", "#949494"),
)


def pack(*, maps, pictures, masks, class_names, probabilities, labels, numbers, **rest):
    """Return what JavaScript needs: a header of plain data, and buffers."""
    grids = [values.reshape(-1, *values.shape[-2:]) for values in maps.values()]
    signed = rest["signed"]
    above, below = (127, 127) if signed else (ABOVE, BELOW)
    tables = DIVERGING if signed else SEQUENTIAL
    blocks = [class_table(len(class_names))]
    blocks += [colormaps[name](np.arange(256), bytes=True) for name in tables]
    for grid in grids:
        blocks += quantise(grid, above, below) if not numbers else _exact(grid)
    if masks is not None:
        blocks.append(np.ascontiguousarray(masks, np.uint8))
    size = (
        max(grid.shape[1:] for grid in grids)
        if pictures is None
        else pictures.shape[1:3]
    )
    # Steps are mostly small numbers, which the filtered strategy packs best.
    packer = zlib.compressobj(9, strategy=zlib.Z_FILTERED)
    bulk = b"".join(packer.compress(block.tobytes()) for block in blocks)
    bulk += packer.flush()
    files = [] if pictures is None else [encode_webp(picture) for picture in pictures]
    views = ["map"] if pictures is None else ["overlay", "map", "picture"]
    header = {
        **rest,
        "above": above,
        "below": below,
        "exact": bool(numbers),
        "numbers": [list(map(str, names)) for names in numbers] if numbers else None,
        "grids": [list(grid.shape) for grid in grids],
        "size": list(map(int, size)),
        "masks": masks is not None,
        "classNames": class_names,
        "labels": None if labels is None else [int(label) for label in labels],
        "probabilities": None
        if probabilities is None
        else np.round(np.asarray(probabilities, float), 4).tolist(),
        "colormaps": list(tables),
        "views": views + (["mask"] if masks is not None else []),
        "comparable": [
            name
            for name, labels in rest["controls"].items()
            if name not in ("picture", *rest["sliders"]) and len(labels) > 1
        ],
    }
    return header, [bulk, *files]


def quantise(grid: np.ndarray, above: int, below: int) -> list[np.ndarray]:
    """Return the tops and bottoms of maps (count, h, w), and their values in steps."""
    top = np.maximum(grid.max(axis=(1, 2)), 0)
    bottom = np.maximum(-grid.min(axis=(1, 2)), 0)
    scales = [
        np.divide(steps, peak, out=np.zeros_like(peak), where=peak > 0)[:, None, None]
        for steps, peak in ((above, top), (below, bottom))
    ]
    steps = np.rint(np.where(grid > 0, grid * scales[0], grid * scales[1]))
    return [top, bottom, steps.astype(np.int8)]


def _exact(grid: np.ndarray) -> list[np.ndarray]:
    return [np.zeros(len(grid), np.float32), np.zeros(len(grid), np.float32), grid]


def class_table(count: int) -> np.ndarray:
    """RGBA for each value of a mask; white for those that have no name."""
    table = np.full((256, 4), 255, np.uint8)
    for k in range(count):
        colour = CLASS_COLOURS[k % len(CLASS_COLOURS)]
        table[k, :3] = list(bytes.fromhex(colour[1:]))
    return table


def encode_webp(picture: np.ndarray) -> bytes:
    """Encode all but the last bit, which no eye sees and a quarter of the bytes."""
    even = np.minimum(np.rint(picture / 2) * 2, 254).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(even).save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return buffer.getvalue()
