"""Keep decoded or drawn pictures on disk, and give them back as memory maps.

An entry is a folder that is either whole or not there: it is written beside its place,
row by row, flushed, and renamed. Pictures are written as a file and only then mapped: a
disk that fills up while a map is written to would kill the process instead of raising.
"""

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
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scenecam._data.whole import whole_folder
from scenecam.scenes import SceneSet

LAYOUT = "3"  # of an entry's files; another one makes all older entries unknown
STALE_SECONDS = 3600  # a half-written entry without progress for so long was killed


class Entry(NamedTuple):
    """A set that is kept, or is to be.

    `key` is the `digest` of all that the set depends on: entries of the same name and
    another key are out of date. `shapes` says what pixels there are, at most so many:
    ``{"images": (n, h, w, 3)}``, with ``"masks": (n, h, w)`` or without.
    """

    name: str
    key: str
    shapes: dict[str, tuple[int, ...]]
    class_names: tuple[str, ...]

    def place(self, folder: Path) -> Path:
        return folder / f"{self.name}-{self.key}"


# Starts an iteration over (image, label, mask or None, path or None), which notes in
# the dictionary that it is given which pictures it left out, and why.
Records = Callable[[dict[str, str]], Iterable[tuple]]

# A set, and that dictionary.
Found = tuple[SceneSet, dict[str, str]]


def digest(*parts: object) -> str:
    """Return a key that changes when any of the parts does."""
    text = "\0".join(map(str, (LAYOUT, *parts)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]


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


def find(folders: Iterable[Path], *entries: Entry) -> Found | None:
    """Return the first set that is kept, memory-mapped, or None."""
    places = ((entry, entry.place(folder)) for entry in entries for folder in folders)
    return next(filter(None, (_open(*place) for place in places)), None)


def keep(folders: Iterable[Path], entry: Entry, records: Records) -> Found:
    """Write a set into the first folder that takes it, and return it memory-mapped.

    Where none of `folders`, best first, can be written, one warning says so and the set
    comes back in memory, as it does where no folder is named.
    """
    trouble = []
    for folder in folders:
        place = entry.place(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _make_room(entry, place)
            with whole_folder(place, shared=True) as partial:
                _write(partial, entry, records)
            if found := _open(entry, place):
                return found
            raise OSError("what was written cannot be read back")
        except OSError as error:
            trouble.append(f"{folder}: {error.strerror or error}")
    if trouble:
        what = f"{entry.name} could not be kept on disk ({'; '.join(trouble)})"
        remedy = "Free some space, or make the folder writable."
        warnings.warn(f"{what} and is held in memory now. {remedy}", stacklevel=2)
    files = [io.BytesIO() for _ in entry.shapes]
    about, skipped = _write_rows(files, records)
    for file, (kind, shape) in zip(files, entry.shapes.items(), strict=True):
        about[kind] = np.frombuffer(file.getbuffer(), np.uint8).reshape(-1, *shape[1:])
    return SceneSet(class_names=entry.class_names, **about), skipped


def _open(entry: Entry, place: Path) -> Found | None:
    """Map a kept set, or return None where it is missing or not whole."""
    try:
        about, skipped = json.loads((place / "index.json").read_text("ascii"))
        for kind in entry.shapes:
            about[kind] = np.load(place / f"{kind}.npy", mmap_mode="r")
        return SceneSet(class_names=entry.class_names, **about), skipped
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(folder: Path, entry: Entry, records: Records) -> None:
    """Stream records into ``.npy`` files, and write what is no pixel beside them."""
    names = *(f"{kind}.npy" for kind in entry.shapes), "index.json"
    with ExitStack() as stack:
        files = [stack.enter_context(open(folder / name, "wb")) for name in names]
        *pixels, index = files
        _write_headers(pixels, entry, 0)
        about, skipped = _write_rows(pixels, records)
        _write_headers(pixels, entry, len(about["labels"]))
        index.write(json.dumps([about, skipped]).encode("ascii"))
        for file in files:
            file.flush()
            os.fsync(file.fileno())


def _write_headers(files: list, entry: Entry, number: int) -> None:
    """Say how many rows follow; NumPy leaves room to say it again once it is known."""
    for file, shape in zip(files, entry.shapes.values(), strict=True):
        file.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (number, *shape[1:])}
        np.lib.format.write_array_header_1_0(file, header)


def _write_rows(files: list, records: Records) -> tuple[dict, dict]:
    """Append pictures, and masks if they have a file; return what is no pixel."""
    labels, paths, skipped = [], [], {}
    for image, label, mask, path in records(skipped):
        for file, rows in zip(files, (image, mask), strict=False):
            file.write(np.ascontiguousarray(rows))
        labels.append(label)
        paths.append(path)
    return {"labels": labels, "paths": None if None in paths else paths}, skipped


def _make_room(entry: Entry, place: Path) -> None:
    """Remove what is out of date, damaged or left by a kill, and check what is free."""
    for other in place.parent.glob(f"{entry.name}-{'?' * len(entry.key)}"):
        if other != place or _open(entry, other) is None:
            shutil.rmtree(other, ignore_errors=True)
    for partial in place.parent.glob(".partial.*"):
        with suppress(OSError):  # its writer is just finishing
            newest = max(map(os.path.getmtime, (partial, *partial.iterdir())))
            if time.time() - newest > STALE_SECONDS:
                shutil.rmtree(partial, ignore_errors=True)
    needed = sum(map(math.prod, entry.shapes.values()))
    if (free := shutil.disk_usage(place.parent).free) < needed:
        raise OSError(f"{needed / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free")
