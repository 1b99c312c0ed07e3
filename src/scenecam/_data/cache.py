"""Keep decoded or drawn pictures on disk, and give them back as memory maps.

An entry is a folder that is either whole or not there: it is written beside its place,
row by row, flushed, and renamed. Pictures are written as a file and only then mapped: a
disk that fills up while a map is written to would kill the process instead of raising.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import math
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from scenecam._data.whole import whole_folder
from scenecam.scenes import SceneSet

LAYOUT = "2"  # of an entry's files; another one makes all older entries unknown
STALE_SECONDS = 3600  # a half-written entry without progress for so long was killed


def digest(*parts: object) -> str:
    """Return a key that changes when any of the parts does."""
    text = "\0".join(map(str, (LAYOUT, *parts)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def code_of(file: str) -> str:
    """Return what a Python file does: its text without comments and docstrings."""
    tree = ast.parse(Path(file).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return ast.unparse(tree)


def plain_name(text: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", text)[:60] or "_"


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
    records: Callable[[], Iterable[tuple]],
    *,
    total: int,
    shapes: dict[str, tuple[int, ...]],
    class_names: tuple[str, ...],
) -> SceneSet:
    """Write a set into the first folder that takes it, and return it memory-mapped.

    Where none of `folders`, best first, can be written, one warning says so and the set
    comes back in memory. `name` and `key` say what the set is and, as a digest, all it
    depends on: entries of that name and another key are out of date and are removed.
    `records` starts an iteration, of at most `total` records, and they, `shapes` and
    `class_names` are as in `in_memory`.
    """
    trouble = []
    for folder in folders:
        entry = _entry(folder, name, key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _make_room(entry, name, total * sum(map(math.prod, shapes.values())))
            with whole_folder(entry, shared=True) as partial:
                _write(partial, records(), shapes, class_names)
            scenes = _open_entry(entry)
            if scenes is None:
                raise OSError("what was written cannot be read back")
            return scenes
        except OSError as error:
            trouble.append(f"{folder}: {error.strerror or error}")
    if trouble:
        warnings.warn(
            f"{name} could not be kept on disk ({'; '.join(trouble)}) and is held in "
            "memory now. Free some space, or make the folder writable.",
            stacklevel=2,
        )
    return in_memory(records(), shapes, class_names)


def in_memory(records: Iterable[tuple], shapes: dict, class_names) -> SceneSet:
    """Gather records: (image, label, mask or None, path or None).

    `shapes` says what pixels there are, and the shape that one record has of each:
    ``{"images": (h, w, 3)}``, with ``"masks": (h, w)`` or without.
    """
    files = {kind: io.BytesIO() for kind in shapes}
    about = _write_rows(files, records)
    for kind, file in files.items():
        pixels = np.frombuffer(file.getbuffer(), np.uint8)
        about[kind] = pixels.reshape(-1, *shapes[kind])
    return SceneSet(class_names=class_names, **about)


def _entry(folder: Path, name: str, key: str) -> Path:
    return folder / f"{name}-{key[:24]}"


def _write(partial: Path, records, shapes: dict, class_names) -> None:
    """Stream records into ``.npy`` files, and write what is no pixel beside them."""
    with ExitStack() as stack:
        files = {}
        for kind in shapes:
            files[kind] = stack.enter_context(open(partial / f"{kind}.npy", "wb"))
        _write_headers(files, shapes, 0)
        about = _write_rows(files, records)
        _write_headers(files, shapes, len(about["labels"]))
        index = stack.enter_context(open(partial / "index.json", "w", encoding="ascii"))
        json.dump({"arrays": [*shapes], "class_names": class_names, **about}, index)
        for file in (*files.values(), index):
            file.flush()
            os.fsync(file.fileno())


def _write_rows(files: dict, records: Iterable[tuple]) -> dict:
    """Append pictures, and masks if they have a file; return the labels and paths."""
    labels, paths = [], []
    for image, label, mask, path in records:
        for file, rows in zip(files.values(), (image, mask), strict=False):
            file.write(np.ascontiguousarray(rows))
        labels.append(label)
        paths.append(path)
    return {"labels": labels, "paths": None if None in paths else paths}


def _write_headers(files: dict, shapes: dict, number: int) -> None:
    """Say how many rows follow; NumPy leaves room to say it again once it is known."""
    for kind, file in files.items():
        file.seek(0)
        shape = (number, *shapes[kind])
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)


def _open_entry(entry: Path) -> SceneSet | None:
    """Map an entry, or return None where it is missing or not whole."""
    try:
        about = json.loads((entry / "index.json").read_text("ascii"))
        for kind in about.pop("arrays"):
            about[kind] = np.load(entry / f"{kind}.npy", mmap_mode="r")
        return SceneSet(**about)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _make_room(entry: Path, name: str, needed: int) -> None:
    """Remove what is out of date, damaged or left by a kill, and check what is free."""
    for other in entry.parent.glob(f"{name}-*"):
        good = other == entry and _open_entry(entry) is not None
        if len(other.name) == len(entry.name) and not good:
            shutil.rmtree(other, ignore_errors=True)
    for partial in entry.parent.glob(".partial.*"):
        try:
            newest = max(file.stat().st_mtime for file in (partial, *partial.iterdir()))
        except OSError:
            continue  # its writer is just finishing
        if time.time() - newest > STALE_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)
    free = shutil.disk_usage(entry.parent).free
    if free < needed:
        raise OSError(f"{needed / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free")
