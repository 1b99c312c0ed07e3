"""The dataset that `scenecam explain --cluster` fills: settings, and parts in Parquet.

A part is written whole or not at all, under a name that says which pictures it is of.
So a run may be killed, or do a part twice, and no row is lost or doubled. It lies in a
folder or wherever pyarrow's file systems lead: ``s3://``, ``gs://``, ...
"""

from __future__ import annotations

import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import dataset, fs, parquet

from scenecam import images
from scenecam._data.folders import PICTURE_SUFFIXES
from scenecam._data.whole import whole_file
from scenecam_cli.run_folder import SETTINGS, TEXT

PARTS = "maps"

WORDS = ("file", "predicted", "class", "evidence", "problem")
COLUMNS = (
    "file predicted probability class class_probability evidence peak_row peak_column "
    "peak_logits probabilities map map_height map_width map_scale problem"
).split()
TYPES = {"probabilities": pa.list_(pa.float32()), "map": pa.binary()}
TYPES |= dict.fromkeys(WORDS, pa.string())
TYPES |= dict.fromkeys(("peak_row", "peak_column", "map_height", "map_width"), "int32")
SCHEMA = pa.schema([(name, TYPES.get(name, pa.float32())) for name in COLUMNS])

# A file system and a folder in it.
Place = tuple[fs.FileSystem, str]


def find_place(text: str) -> Place:
    """Say where a folder is that is named by a path or a URI."""
    try:
        return fs.FileSystem.from_uri(text if "://" in text else os.path.abspath(text))
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{text} cannot be opened: {error}. Check the URI.") from None


def list_pictures(place: Place) -> list[str]:
    """Return the names, from a place, of all pictures in it at any depth, sorted."""
    system, root = place
    found = system.get_file_info(fs.FileSelector(root, recursive=True))
    names = (info.path[len(root) :].lstrip("/") for info in found if info.is_file)
    return sorted(
        name
        for name in names
        if name.lower().endswith(PICTURE_SUFFIXES)
        and not any(part[0] == "." or part == "__MACOSX" for part in name.split("/"))
    )


def picture_reader(root: str) -> Callable[[str], np.ndarray]:
    """Return what opens a picture, named from a root, as `images.read_image` does."""
    system, folder = find_place(root)

    def read(file: str) -> np.ndarray:
        path = f"{folder}/{file}"
        try:
            with system.open_input_file(path) as opened:
                data = opened.read()
        except PermissionError as error:
            raise ValueError(f"{images.shown_path(path)} may not be read.") from error
        return images.decode_image(data, name=images.shown_path(path))

    return read


def read_settings(place: Place) -> dict | None:
    """Read what the dataset was made with; None where there is none."""
    system, folder = place
    try:
        with system.open_input_file(f"{folder}/{SETTINGS}") as file:
            return json.loads(file.read().decode(**TEXT))
    except FileNotFoundError:
        return None


def list_parts(place: Place) -> list[str]:
    """Return the names of the parts that are there, sorted."""
    system, folder = place
    parts = fs.FileSelector(f"{folder}/{PARTS}", allow_not_found=True)
    names = (info.base_name for info in system.get_file_info(parts))
    return sorted(name for name in names if name[0] != ".")


def write(place: Place, name: str, data: bytes) -> None:
    """Write a file, whole or not at all; folders on the way are made."""
    system, folder = place
    if isinstance(system, fs.LocalFileSystem):
        with whole_file(Path(folder, name), shared=True) as partial:
            partial.write_bytes(data)
        return
    # An object is there when its last byte has arrived.
    with system.open_output_stream(f"{folder}/{name}") as stream:
        stream.write(data)


def pack(rows: Iterable[Mapping]) -> bytes:
    """Make Parquet of rows as `stream.explain_pictures` gives them without a look."""
    data, rows = io.BytesIO(), map(_pack_row, rows)
    with parquet.ParquetWriter(data, SCHEMA, compression="zstd") as writer:
        # Not all at once: each may hold the probabilities of a thousand classes.
        while some := list(itertools.islice(rows, 1_000)):
            writer.write_table(pa.Table.from_pylist(some, SCHEMA))
    return data.getvalue()


def _pack_row(row: Mapping) -> dict:
    row = {**row, "file": images.shown_path(row["file"])}
    if "map" in row:
        # Divided by its largest value, so that the rounding of float16 is relative.
        scale = row["map_scale"] = np.abs(row["map"]).max() or np.float32(1)
        row["map_height"], row["map_width"] = row["map"].shape
        row["map"] = (row["map"] / scale).astype("<f2").tobytes()
    return row


def read_rows(place: Place, columns=COLUMNS, *, only=None) -> Iterator[dict]:
    """Iterate over rows for which `only`, of `pyarrow.dataset`, holds; maps float32."""
    system, folder = place
    for name in list_parts(place):
        part = dataset.dataset(f"{folder}/{PARTS}/{name}", filesystem=system)
        for batch in part.to_batches(columns=columns, filter=only):
            for row in batch.to_pylist():
                if "map" in row:
                    shape = row["map_height"], row["map_width"]
                    flat = np.frombuffer(row["map"], "<f2").astype(np.float32)
                    row["map"] = flat.reshape(shape) * np.float32(row["map_scale"])
                yield row


def read_pictures(place: Place, columns=COLUMNS, *, files=None) -> Iterator[tuple]:
    """Iterate over the pictures that were explained, or some, each with its rows."""
    only = dataset.field("problem").is_null()
    if files is not None:
        only &= dataset.field("file").isin(files)
    rows = read_rows(place, columns, only=only)
    for file, of_it in itertools.groupby(rows, lambda row: row["file"]):
        yield file, list(of_it)
