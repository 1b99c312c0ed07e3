"""Keep decoded or drawn pictures on disk, and give them back as memory maps.

An entry is a folder that is either whole or not there: it is written beside its place,
row by row, flushed, and renamed. Pictures are written as a file and only then mapped: a
disk that fills up while a map is written to would kill the process instead of raising.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from scenecam.scenes import SceneSet

LAYOUT = "1"  # of an entry's files; another one makes all older entries unknown
STALE_SECONDS = 3600  # a half-written entry without progress for so long was killed

Record = tuple[np.ndarray, int, "np.ndarray | None", "str | None"]


def digest(*parts: object) -> str:
    """Return a key that changes when any of the parts does."""
    text = "\0".join(map(str, (LAYOUT, *parts)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def find(folders: Iterable[Path], name: str, key: str) -> SceneSet | None:
    """Return the kept set of this name and key, memory-mapped, or None."""
    for folder in folders:
        scenes = _open_entry(_entry(folder, name, key))
        if scenes is not None:
            return scenes
    return None


def keep(
    folders: Iterable[Path],
    name: str,
    key: str,
    records: Callable[[], Iterable[Record]],
    *,
    total: int,
    size: tuple[int, int],
    class_names: tuple[str, ...],
    masks: bool = False,
) -> SceneSet:
    """Write a set into the first folder that takes it, and return it memory-mapped.

    Parameters
    ----------
    folders : iterable of Path
        Where to keep it, best first. Where none can be written, one warning says so and
        the set comes back in memory.
    name, key : str
        What the set is, and the digest of all that it depends on. Entries of the same
        name and another key are out of date and are removed.
    records : callable
        Starts an iteration over (image, label, mask or None, path or None).
    total : int
        The most records there can be.
    size : (int, int)
        Height and width of every picture.
    class_names : tuple of str
        As in `SceneSet`.
    masks : bool
        Whether the records have masks.

    Returns
    -------
    SceneSet
    """
    trouble = []
    for folder in folders:
        part = folder / f".{name}-{os.getpid()}-{time.monotonic_ns()}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _clear_stale(folder)
            _check_space(folder, total * size[0] * size[1] * (4 if masks else 3))
            part.mkdir()
            _write(part, records(), size, class_names, masks)
            scenes = _put(part, _entry(folder, name, key))
            _drop_outdated(folder, name, key)
            return scenes
        except OSError as error:
            trouble.append(f"{folder}: {error.strerror or error}")
        finally:
            shutil.rmtree(part, ignore_errors=True)
    if trouble:
        warnings.warn(
            f"{name} could not be kept on disk ({'; '.join(trouble)}): it is held in "
            "memory now and made again next time. Free some space, or make the folder "
            "writable.",
            stacklevel=2,
        )
    return in_memory(
        records(), total=total, size=size, class_names=class_names, masks=masks
    )


def in_memory(
    records: Iterable[Record],
    *,
    total: int,
    size: tuple[int, int],
    class_names: tuple[str, ...],
    masks: bool = False,
) -> SceneSet:
    """Gather records in arrays; parameters as in `keep`."""
    images = np.empty((total, *size, 3), np.uint8)
    all_masks = np.empty((total, *size), np.uint8) if masks else None
    labels, paths = [], []
    for row, (image, label, mask, path) in enumerate(records):
        images[row] = image
        if masks:
            all_masks[row] = mask
        labels.append(label)
        paths.append(path)
    number = len(labels)
    return SceneSet(
        images=images[:number],
        labels=np.array(labels, np.int64),
        class_names=class_names,
        masks=all_masks[:number] if masks else None,
        paths=None if None in paths else tuple(paths),
    )


def _entry(folder: Path, name: str, key: str) -> Path:
    return folder / f"{name}-{key[:24]}"


def plain_name(text: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", text)[:60] or "_"


def _write(part: Path, records, size, class_names, masks: bool) -> None:
    labels, paths = [], []
    with (
        open(part / "images.u8", "wb") as pixels,
        open(part / "masks.u8", "wb") as below,
    ):
        for image, label, mask, path in records:
            pixels.write(np.ascontiguousarray(image))
            if masks:
                below.write(np.ascontiguousarray(mask))
            labels.append(label)
            paths.append(path)
        for file in (pixels, below):
            file.flush()
            os.fsync(file.fileno())
    index = {
        "size": size,
        "class_names": class_names,
        "labels": labels,
        "paths": None if None in paths else paths,
        "masks": masks,
    }
    with open(part / "index.json", "w", encoding="ascii") as file:
        json.dump(index, file)
        file.flush()
        os.fsync(file.fileno())


def _open_entry(entry: Path) -> SceneSet | None:
    """Map an entry, or return None where it is missing or not whole."""
    try:
        index = json.loads((entry / "index.json").read_text("ascii"))
        shape = (len(index["labels"]), *index["size"])
        images = _map(entry / "images.u8", (*shape, 3))
        return SceneSet(
            images=images,
            labels=np.array(index["labels"], np.int64),
            class_names=tuple(index["class_names"]),
            masks=_map(entry / "masks.u8", shape) if index["masks"] else None,
            paths=index["paths"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _map(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    if path.stat().st_size != np.prod(shape, dtype=np.int64):
        raise ValueError(f"{path} has not the size that its index says.")
    return np.memmap(path, np.uint8, "r", shape=shape)


def _put(part: Path, entry: Path) -> SceneSet:
    """Move a finished entry to its place and open it there."""
    try:
        os.rename(part, entry)
    except OSError:
        # Another process was faster, or something broken lies there.
        scenes = _open_entry(entry)
        if scenes is not None:
            return scenes
        shutil.rmtree(entry, ignore_errors=True)
        os.rename(part, entry)
    scenes = _open_entry(entry)
    if scenes is None:
        raise OSError(errno.EIO, "what was written there cannot be read back")
    return scenes


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{needed / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free",
        )


def _drop_outdated(folder: Path, name: str, key: str) -> None:
    current = _entry(folder, name, key)
    for entry in folder.glob(f"{name}-*"):
        if entry != current and len(entry.name) == len(current.name):
            shutil.rmtree(entry, ignore_errors=True)


def _clear_stale(folder: Path) -> None:
    """Remove what processes that were killed left half-written."""
    for part in folder.glob(".*.part"):
        try:
            newest = max(file.stat().st_mtime for file in (part, *part.iterdir()))
        except OSError:
            continue  # its writer is just finishing
        if time.time() - newest > STALE_SECONDS:
            shutil.rmtree(part, ignore_errors=True)
