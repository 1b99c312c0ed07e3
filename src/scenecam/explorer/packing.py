"""What the explorer's JavaScript gets: a header of plain data, and few bytes.

`Content` is what a viewer shows, checked. `pack` turns it into what travels: maps as
small integers, deflated, with the peak of each; pictures as WebP.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps

from scenecam import images
from scenecam._style import class_colours

SEQUENTIAL = ("inferno", "viridis", "cividis", "gray")
DIVERGING = ("RdBu_r", "PuOr_r", "coolwarm")
# Steps of a map's values above and below zero. What speaks for a class gets a colour,
# what speaks against it is only read as a number, so fewer steps do.
ABOVE, BELOW = 127, 15


@dataclass
class Content:
    """What a viewer shows: fields as the parameters of `viewer.Viewer`, checked.

    `maps` becomes a dict of layer to array, with the one layer None if there is no
    choice of layers; `axes` names the controls of an array's leading axes.
    """

    maps: np.ndarray | Mapping[str, np.ndarray]
    controls: Mapping[str, Sequence[str]]
    pictures: np.ndarray | None = None
    masks: np.ndarray | None = None
    class_names: Sequence[str] | None = None
    probabilities: np.ndarray | None = None
    labels: Sequence[int] | None = None
    unit: str = "logits"
    signed: bool = False
    smooth: bool = True
    numbers: bool | tuple[Sequence[str], Sequence[str]] = False
    title: str = ""
    sliders: Sequence[str] = ("layer",)
    notes: Mapping[str, Sequence[str]] | None = None

    def __post_init__(self):
        controls = {name: list(map(str, each)) for name, each in self.controls.items()}
        self.controls, self.layered = controls, isinstance(self.maps, Mapping)
        if self.layered and list(self.maps) != controls.get("layer"):
            raise ValueError(
                f"maps for the layers {listed(self.maps)} need a control 'layer' with "
                f"these labels; received {controls.get('layer')}."
            )
        self.axes = [n for n in controls if not (self.layered and n == "layer")]
        maps = self.maps if self.layered else {None: self.maps}
        self.maps = {layer: self._check_maps(values) for layer, values in maps.items()}
        self._check_pictures()

    def _check_maps(self, values) -> np.ndarray:
        values = np.asarray(values, np.float32)
        wanted = tuple(len(self.controls[name]) for name in self.axes)
        if values.ndim != len(wanted) + 2 or values.shape[:-2] != wanted:
            raise ValueError(
                f"maps must have shape {wanted} + (h, w), an axis for each of "
                f"{listed(self.axes)}; received {values.shape}."
            )
        if not np.isfinite(values).all():
            raise ValueError("maps must be finite; received NaN or infinite values.")
        return values

    def _check_pictures(self) -> None:
        if self.pictures is None:
            if self.masks is not None:
                raise ValueError("masks need the pictures that they belong to.")
            return
        images.check_images(self.pictures, name="pictures")
        count = len(self.controls.get("picture", ()))
        for name in ("pictures", "masks", "probabilities", "labels"):
            array = getattr(self, name)
            if array is not None and len(array) != count:
                what = f"{name} must be as many as the control 'picture' has labels"
                raise ValueError(f"{what}, {count}; received {len(array)}.")


def pack(content: Content) -> tuple[dict, list[bytes]]:
    """Return the header, and the buffers: all arrays, deflated; each picture."""
    header = describe(content)
    # In the order in which JavaScript reads them.
    blocks = [class_table(len(header["classNames"]))]
    blocks += [colormaps[n](np.arange(256), bytes=True) for n in header["colormaps"]]
    for maps, shape in zip(content.maps.values(), header["grids"], strict=True):
        grid = maps.reshape(shape)
        exact = [np.zeros((2, len(grid)), np.float32), grid]
        steps = header["above"], header["below"]
        blocks += exact if header["exact"] else quantise(grid, *steps)
    if header["masks"]:
        blocks.append(np.ascontiguousarray(content.masks, np.uint8))
    # Steps are mostly small numbers, which the filtered strategy packs best.
    packer = zlib.compressobj(9, strategy=zlib.Z_FILTERED)
    bulk = packer.compress(b"".join(map(np.ndarray.tobytes, blocks))) + packer.flush()
    pictures = () if content.pictures is None else content.pictures
    return header, [bulk, *map(encode_picture, pictures)]


def describe(content: Content) -> dict:
    """Return the header: what can be chosen, and how to read the arrays."""
    grids = [[m[..., 0, 0].size, *m.shape[-2:]] for m in content.maps.values()]
    size, views = max(grid[1:] for grid in grids), ["map"]
    if content.pictures is not None:
        size, views = list(content.pictures.shape[1:3]), ["overlay", "map", "picture"]
    probabilities, labels = content.probabilities, content.labels
    if probabilities is not None:
        probabilities = np.round(np.asarray(probabilities, float), 4).tolist()
    menus = [n for n in content.controls if n not in ("picture", *content.sliders)]
    plain = "controls layered axes unit signed smooth title".split()
    return {name: getattr(content, name) for name in plain} | {
        "sliders": list(content.sliders),
        "notes": {name: list(texts) for name, texts in (content.notes or {}).items()},
        "above": ABOVE,
        "below": ABOVE if content.signed else BELOW,
        "exact": bool(content.numbers),
        "numbers": [list(map(str, names)) for names in content.numbers or ()] or None,
        "grids": grids,
        "size": size,
        "masks": content.masks is not None,
        "classNames": list(content.class_names or ()),
        "labels": None if labels is None else list(map(int, labels)),
        "probabilities": probabilities,
        "colormaps": list(DIVERGING if content.signed else SEQUENTIAL),
        "views": views + ["mask"] * (content.masks is not None),
        "comparable": [name for name in menus if len(content.controls[name]) > 1],
    }


def quantise(grid: np.ndarray, above: int, below: int) -> list[np.ndarray]:
    """Return the tops and bottoms of maps (count, h, w), and their values in steps."""
    top = np.maximum(grid.max(axis=(1, 2)), 0)
    bottom = np.maximum(-grid.min(axis=(1, 2)), 0)
    up = above / np.where(top > 0, top, np.inf)[:, None, None]
    down = below / np.where(bottom > 0, bottom, np.inf)[:, None, None]
    return [top, bottom, np.rint(grid * np.where(grid > 0, up, down)).astype(np.int8)]


def class_table(count: int) -> np.ndarray:
    """RGBA for each value of a mask; white for those that have no name."""
    table = np.full((256, 4), 255, np.uint8)
    table[:count, :3] = np.rint(255 * class_colours(min(count, 256)))
    return table


def encode_picture(picture: np.ndarray) -> bytes:
    """Encode all but the last bit, which no eye sees and a quarter of the bytes."""
    even = np.minimum(np.rint(picture / 2) * 2, 254).astype(np.uint8)
    return images.encode_webp(even, lossless=True, quality=100)


def listed(names) -> str:
    """The names as an error message lists them."""
    return ", ".join(repr(name) for name in names)


def check_index(name: str, value: int, count: int) -> int:
    """Return an index from 0 to `count` - 1 as int, or raise ValueError."""
    if not isinstance(value, (int, np.integer)) or not 0 <= value < count:
        raise ValueError(f"{name} must be from 0 to {count - 1}; received {value!r}.")
    return int(value)
