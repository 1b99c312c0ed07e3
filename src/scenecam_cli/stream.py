"""A stream of picture files to raw maps, heatmaps, overlays and rows of an index.

Pictures go through in batches: while the network works on one, the next is read and the
last one written. The network is handed in, and TensorFlow is not imported here.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise, starmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scenecam import images, saving
from scenecam._data import folders
from scenecam_cli.run_folder import Index

# What reading a picture raises if the picture, not the program, is at fault.
UNREADABLE = (ValueError, FileNotFoundError, PermissionError)


class Outcome(NamedTuple):
    """What became of one picture: the rows of the index, or why there are none."""

    file: str
    rows: list[dict]
    problem: str | None = None


class _Picture(NamedTuple):
    shape: tuple[int, int]  # of the file
    shown: np.ndarray  # uint8 (h, w, 3), bounded in size
    fitted: np.ndarray  # uint8, as the network takes it


def find_pictures(
    paths: Sequence[str], *, out: Path, root: str | None = None
) -> tuple[str, list[str]]:
    """List the pictures that files and folders name, in their order, each once.

    Folders are searched at every depth, without the output folder. Names are relative
    to the folder that is returned with them, an absolute one, with ``/``. It is the
    `root` that an earlier run counted from, if it holds all pictures; else the folder
    that was named; if there are several, or single files, the deepest one that holds
    all of them, so that equal names do not meet.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file or folder, a folder holds no pictures, or a path lies
        in the output folder.
    """
    out = os.path.join(os.path.abspath(out), "")
    found, bases = {}, []
    for path in map(os.path.abspath, paths):
        shown = images.shown_path(path)
        if not os.path.lexists(path):
            raise FileNotFoundError(
                f"there is no file or folder {shown}. Check the spelling."
            )
        if os.path.join(path, "").startswith(out):
            raise ValueError(
                f"{shown} lies in the folder of results. Choose another --out."
            )
        if not os.path.isdir(path):
            bases.append(os.path.dirname(path))
            found[path] = None
            continue
        bases.append(path)
        files = (os.path.join(path, f) for f in folders.list_pictures(Path(path)))
        inside = dict.fromkeys(file for file in files if not file.startswith(out))
        if not inside:
            raise ValueError(
                f"the folder {shown} holds no pictures, at no depth. Name another one."
            )
        found |= inside
    if root is None or os.path.commonpath([root, *found]) != root:
        root = os.path.commonpath(bases)
    return root, [os.path.relpath(file, root).replace(os.sep, "/") for file in found]


def explain_pictures(
    network,
    files: Sequence[str],
    *,
    root: str,
    index: Index,
    look: saving.Look,
    batch_size: int = 32,
    read: Callable | None = None,
    write: Callable = saving.write_maps,
) -> Iterator[Outcome]:
    """Explain pictures and write what comes of it into the folder of the index.

    The network may be any object with the `class_names`, `fit_picture` and `answer` of
    `network.Network`. It gets `batch_size` pictures at a time; three such batches are
    in memory. Files are relative to `root`; those in ``index.done`` are passed over; of
    each other one an outcome is yielded, in their order, once its files are whole and
    its rows in the index, an open one. What is no file has its own `read` and `write`.
    """
    # Each reader may hold a whole large picture. A second writer only slows the first.
    pools = ThreadPoolExecutor(min(4, os.cpu_count() or 1)), ThreadPoolExecutor(1)
    labels = saving.class_labels(network.class_names)
    stream = _Stream(network, labels, root, index, look, *pools, read, write)
    try:
        # Reading a picture changes the filters of warnings for a moment; threads that
        # do so at once can leave them changed, so they are put back at the end.
        with warnings.catch_warnings():
            asked = starmap(stream.explain, stream.read_ahead(files, batch_size))
            for written, _ in pairwise(chain(asked, [()])):
                yield from written
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Stream:
    """The way of the pictures; everything that is the same for all of them."""

    network: object
    labels: list[str]  # of the classes, for names of files
    root: str
    index: Index
    look: saving.Look
    readers: ThreadPoolExecutor
    writer: ThreadPoolExecutor
    open: Callable | None
    save: Callable

    def read_ahead(self, files: Sequence[str], batch_size: int):
        """Iterate over batches, while the pictures of the next one are being read.

        Batches are cut from all files, done or not: a picture is in the same batch in
        every run.
        """
        waiting = deque()
        for start in range(0, len(files), batch_size):
            batch = files[start : start + batch_size]
            todo = [file for file in batch if file not in self.index.done]
            if todo:
                futures = {file: self.readers.submit(self.read, file) for file in todo}
                waiting.append((batch, futures))
            if len(waiting) == 2:
                yield waiting.popleft()
        yield from waiting

    def read(self, file: str) -> _Picture:
        picture = (self.open or images.read_image)(os.path.join(self.root, file))
        size = self.look.size
        shown = picture if size is None else images.bound_image(picture, size)
        return _Picture(picture.shape[:2], shown, self.network.fit_picture(picture))

    def explain(self, batch: Sequence[str], reading: dict) -> Iterator[Outcome]:
        """Explain pictures that are being read; iterate over what is being written."""
        pictures, problems = {}, {}
        for file in list(reading):
            try:
                pictures[file] = reading.pop(file).result()
            except UNREADABLE as error:
                problems[file] = str(error)
        writing = self._ask(batch, pictures, problems) if pictures else {}
        return self._outcomes(batch, problems, writing)

    def _outcomes(self, batch, problems: dict, writing: dict) -> Iterator[Outcome]:
        for file in batch:
            if file in problems:
                yield Outcome(file, [], problems[file])
            elif file in writing:
                rows = writing.pop(file).result()
                self.index.add(rows)
                yield Outcome(file, rows)

    def _ask(self, batch, pictures: dict, problems: dict) -> dict:
        """Ask the network; return a future of each picture's rows."""
        todo = set(pictures)
        for file in batch:
            # Those done in an earlier run are asked again with the others: the last
            # bits of an answer may depend on how many pictures are asked together.
            if file in self.index.done:
                with contextlib.suppress(*UNREADABLE):
                    pictures[file] = self.read(file)
        asked = [file for file in batch if file in pictures]
        answers = self.network.answer(np.stack([pictures[f].fitted for f in asked]))
        writing = {}
        for file, probabilities, classes, maps in zip(asked, *answers, strict=True):
            if file not in todo:
                continue
            if np.isfinite(maps).all():
                answer = (file, pictures[file], probabilities, classes, maps)
                writing[file] = self.writer.submit(self.write, *answer)
            else:
                problems[file] = (
                    f"{images.shown_path(file)} gives a map with NaN or infinite "
                    "values. Look for them in the network's weights."
                )
        return writing

    def write(self, file, picture, probabilities, classes, maps) -> list[dict]:
        """Write the files of one picture and return its rows."""
        names, best = self.network.class_names, int(np.argmax(probabilities))
        labels = [self.labels[of_class] for of_class in classes]
        written = self.save(
            self.index.folder, file, picture.shown, maps, labels=labels, look=self.look
        )
        rows = []
        for number, (of_class, one) in enumerate(zip(classes, maps, strict=True)):
            row, column = _peak(one, picture.shape)
            rows.append(
                {
                    "file": file,
                    "predicted": names[best],
                    "probability": f"{probabilities[best]:.6f}",
                    "class": names[of_class],
                    "class_probability": f"{probabilities[of_class]:.6f}",
                    "evidence": "yes" if one.max() > 0 else "no",
                    "peak_row": row,
                    "peak_column": column,
                    "peak_logits": f"{one.max():.9g}",
                    "probabilities": probabilities,  # not in the index
                    "map_index": number,
                    **written[number],
                }
            )
        return rows


def _peak(class_map: np.ndarray, shape: tuple[int, int]) -> tuple[int, int]:
    """Row and column, in a picture of this shape, of the strongest cell's centre."""
    cell = np.unravel_index(np.argmax(class_map), class_map.shape)
    return tuple(
        min(int((index + 0.5) * side / cells), side - 1)
        for index, side, cells in zip(cell, shape, class_map.shape, strict=True)
    )
