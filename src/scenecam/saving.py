"""The maps of one picture to files: the numbers, and how they look.

The numbers are the result, a heatmap or an overlay is one view of them. So the raw maps
of all classes go into one ``.npy`` file, signed and in float, and only what is drawn is
scaled and clipped to bytes.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenecam import images
from scenecam._data.whole import whole_file, write_file

# Pixels of an overlay that are blended at a time, in float: 12 times their size.
STRIP_PIXELS = 2_000_000

# Most file systems take names of 255 bytes; ours add a class and an ending.
NAME_BYTES, CLASS_BYTES = 160, 60


@dataclass(frozen=True)
class Look:
    """How maps are shown; the raw maps do not depend on it.

    `size` is the longest side of heatmap and overlay in pixels (smaller pictures are
    not enlarged; None is the picture's own size), `ending` "jpg" or "png", `opacity`
    that of the map over the picture, 0 to 1. With a `common_scale` all classes of a
    picture share one scale; without it every map has its own.
    """

    size: int | None = 640
    ending: str = "jpg"
    opacity: float = 0.5
    common_scale: bool = False


def save_maps(
    folder: str | os.PathLike,
    name: str,
    picture: np.ndarray,
    maps: np.ndarray,
    *,
    class_names: Sequence[str],
    look: Look | None = None,
) -> dict[str, dict[str, Path]]:
    """Save the maps of one picture: raw numbers, a heatmap and an overlay per class.

    Parameters
    ----------
    folder : path
        Where to write; it is made.
    name : str
        Of the picture: ``cat.jpg`` gives ``cat.jpg.npy``, ``cat.jpg.dog.heatmap.jpg``
        and ``cat.jpg.dog.overlay.jpg``.
    picture : ndarray of shape (h, w, 3), uint8
        It may be larger than the maps.
    maps : ndarray of shape (k, h', w'), float
        Signed, in logits, as `cam.class_maps` gives them.
    class_names : sequence of k str
        In the order of the maps.
    look : Look, optional
        How they are shown.

    Returns
    -------
    dict of str to dict of str to Path
        Of each class "map" (the same file for all, float32), "heatmap" and "overlay".

    Raises
    ------
    ValueError
        If the number of names differs, one stands twice, a map is not finite, or the
        picture is no uint8 RGB picture.
    """
    folder, look, maps = Path(folder), look or Look(), np.asarray(maps)
    if maps.ndim != 3 or len(maps) != len(class_names):
        raise ValueError(
            "`maps` needs the shape (classes, height, width), with one map for each of "
            f"{len(class_names)} class names; received {maps.shape}."
        )
    if len(set(class_names)) < len(class_names):
        names = ", ".join(class_names)
        raise ValueError(f"`class_names` must differ; received {names}.")
    images.check_map(maps, name=f"the array of maps of {name}")
    images.check_images(np.asarray(picture)[None], name="picture")
    if look.size is not None:
        picture = images.bound_image(picture, look.size)
    labels = class_labels(class_names)
    written = write_maps(folder, name, picture, maps, labels=labels, look=look)
    places = ({kind: folder / path for kind, path in one.items()} for one in written)
    return dict(zip(class_names, places, strict=True))


def write_maps(folder: Path, name: str, picture, maps, *, labels, look: Look) -> list:
    """Write the files of `save_maps`, unchecked; return the `output_names` of each map.

    The picture has the size to show; labels are those of `class_labels`.
    """
    encode = images.encode_png if look.ending == "png" else images.encode_jpeg
    limit = max(float(maps.max()), 0.0) if look.common_scale else None
    written = [output_names(name, label, look.ending) for label in labels]
    units, bright = np.zeros(maps.shape, np.float32), maps.max(axis=(1, 2)) > 0
    units[bright] = images.unit_map(maps[bright], limit=limit)  # the others stay dark
    # Drawn together while they are small, since calls cost more than pixels.
    together = max(1, STRIP_PIXELS // picture[..., 0].size)
    for first in range(0, len(maps), together):
        some = slice(first, first + together)
        for kind, drawn in _draw(picture, units[some], look.opacity).items():
            for paths, image in zip(written[some], drawn, strict=True):
                write_file(folder / paths[kind], encode(image))
    with whole_file(folder / written[0]["map"]) as partial:
        np.save(partial, np.ascontiguousarray(maps, np.float32))
    return written


def _draw(picture: np.ndarray, units: np.ndarray, opacity: float) -> dict:
    """Return heatmaps and overlays of maps in [0, 1], as large as the picture."""
    units = images.upsample_map(units, picture.shape[:2])
    heatmaps = images.colour_map(units)
    step = max(1, STRIP_PIXELS // (picture.shape[1] * len(units)))
    strips = [slice(top, top + step) for top in range(0, len(picture), step)]
    parts = [images.blend(picture[s], heatmaps[:, s], opacity) for s in strips]
    return {"heatmap": heatmaps, "overlay": np.concatenate(parts, axis=1)}


def class_labels(class_names: Sequence[str]) -> list[str]:
    """Name the classes so that every file system takes it, each differently.

    Letters and digits of any script stay, all else becomes ``_``; names that would then
    be the same, capitals or not, get their number.
    """
    plain = [_shorten(re.sub(r"[^\w-]+", "_", n), CLASS_BYTES) for n in class_names]
    folded = [name.casefold() for name in plain]
    return [
        name if folded.count(name.casefold()) == 1 else f"{name}-{number}"
        for number, name in enumerate(plain)
    ]


def output_names(file: str, label: str, ending: str) -> dict[str, str]:
    """Name "map", "heatmap" and "overlay" of a picture and a class of `class_labels`.

    All names are relative to the folder of all pictures, with ``/``. The picture's
    ending stays part of them: ``1.jpg`` and ``1.png`` may lie side by side.
    """
    folder, _, name = file.rpartition("/")
    stem = f"{folder}/" * bool(folder) + _shorten(name, NAME_BYTES)
    return {
        "map": f"{stem}.npy",
        "heatmap": f"{stem}.{label}.heatmap.{ending}",
        "overlay": f"{stem}.{label}.overlay.{ending}",
    }


def _shorten(name: str, limit: int) -> str:
    data = os.fsencode(name)
    if len(data) <= limit:
        return name
    digest = "~" + hashlib.sha256(data).hexdigest()[:12]
    # Whole characters only.
    return data[: limit - len(digest)].decode("utf-8", "ignore") + digest
