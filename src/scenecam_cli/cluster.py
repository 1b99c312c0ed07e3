"""Explain and evaluate with Ray Data: on a cluster, or on all cores of this machine.

Names of pictures travel, and answers; a picture is read where it is explained. So the
object store holds next to nothing. Maps go into a dataset: settings, and Parquet parts,
each whole or not there, under a name that says which pictures it is of. So a run may be
killed, or do a part twice. All lie in folders, or where pyarrow's file systems lead.
"""

from __future__ import annotations

import argparse
import functools
import glob
import hashlib
import itertools
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import ray.data
from pyarrow import dataset, fs, parquet

from scenecam import images, saving
from scenecam._data.folders import PICTURE_SUFFIXES
from scenecam_cli import explain as local
from scenecam_cli import run_folder, stream, terminal

# Pictures of a part, so few that all actors end together; least parts of a set.
PART, PARTS = 1_000, 64

# What the index has as text, and what only a dataset has.
FLOATS = ("probability", "class_probability", "peak_logits")
COLUMNS = {
    **dict.fromkeys(("file", "predicted", "class", "evidence"), pa.string()),
    **dict.fromkeys((*FLOATS, "map_scale"), pa.float32()),
    **dict.fromkeys(("peak_row", "peak_column", "map_height", "map_width"), pa.int32()),
    **{"probabilities": pa.list_(pa.float32()), "map": pa.binary()},
    "problem": pa.string(),
}
SCHEMA = pa.schema([*COLUMNS.items()])


def explain(arguments: argparse.Namespace) -> int:
    """Explain the pictures into a dataset, or those that an earlier run has left."""
    place, (root, *more) = find_place(arguments.out), arguments.pictures
    files = [] if more else list_pictures(find_place(root))
    if not files:
        raise ValueError("--cluster takes one folder of pictures, or a URI.")
    size = batch_size = arguments.batch_size or 32
    size *= max(1, min(PART, len(files) // PARTS) // size)
    network = terminal.open_network(arguments, *local.ASKED)
    root = root if "://" in root else os.path.abspath(root)
    settings = local.settings_of(arguments, network, root) | {
        "files": f"{len(files)}, {size} to a part, {batch_size} at a time",
        "files_sha256": hashlib.sha256(os.fsencode("\0".join(files))).hexdigest(),
    }
    for killed in glob.glob(f"{place[1]}/.partial.*"):
        os.remove(killed)
    old = read_settings(place)
    if old and not (arguments.overwrite and "files_sha256" in old):
        run_folder.check_settings(place[1], old, settings)
    else:
        place[0].create_dir(f"{place[1]}/maps")
        place[0].delete_dir_contents(f"{place[1]}/maps")
        text = run_folder.as_json(settings)
        _write(place, run_folder.SETTINGS, text.encode(**run_folder.TEXT))
    cuts = range(0, len(files), size)
    parts = {f"{cut // size:07d}.parquet": files[cut : cut + size] for cut in cuts}
    if done := sum(len(parts.pop(name)) for name in list_parts(place)):
        print(f"{done:,} of {len(files):,} pictures were done before.")
    ask = functools.partial(_explain_part, find_place(root), place, batch_size)
    _ask_cluster(arguments, ask, parts)
    problems = [row["problem"] for row in read_rows(place, problems=True)]
    explained = terminal.counted(len(files) - len(problems), "picture")
    print(f"{explained} explained. Dataset: {place[1]}/maps")
    return terminal.report_problems(problems)


def _explain_part(root, out, batch_size: int, network, name: str, files) -> int:
    """Explain the pictures of a part, from a place, and write it to another one."""
    index = argparse.Namespace(done=(), folder=None, add=lambda rows: None)
    given = {"root": "", "index": index, "look": saving.Look(size=1)}
    given["read"] = functools.partial(read_picture, root)
    given["write"] = lambda *drawn, **look: [{"map": one} for one in drawn[-1]]
    outcomes = stream.explain_pictures(network, files, batch_size=batch_size, **given)
    bad_or_not = (rows or [{"file": f, "problem": why}] for f, rows, why in outcomes)
    _write(out, f"maps/{name}", _pack(itertools.chain.from_iterable(bad_or_not)))
    return len(files)


def draw(arguments: argparse.Namespace) -> int:
    """Draw the maps that a dataset holds of the pictures that are named."""
    place, left = find_place(arguments.source), set(arguments.pictures)
    look = saving.Look(*(getattr(arguments, key) for key in local.LOOK))
    root = (read_settings(place) or {}).get("pictures")
    found = read_rows(place, files=arguments.pictures)
    for file, rows in itertools.groupby(found, lambda row: row["file"]):
        maps = {row["class"]: unpack(row) for row in rows}
        picture = read_picture(find_place(root), file)
        given = {"class_names": [*maps], "look": look}
        saving.save_maps(arguments.out, file, picture, [*maps.values()], **given)
        left.remove(file)
    if left:
        raise ValueError(f"{place[1]} has no maps of {', '.join(sorted(left))}.")
    return 0


def predict(arguments: argparse.Namespace, files: Sequence) -> np.ndarray:
    """Ask about picture files in batches; give float32 probabilities (n, classes)."""
    files, size = [*map(str, files)], arguments.batch_size
    batches = {str(at): files[at : at + size] for at in range(0, len(files), size)}
    found = _ask_cluster(arguments, _predict_batch, batches)
    data = b"".join(found[name] for name in batches)
    return np.frombuffer(data, np.float32).reshape(len(files), -1)


def _predict_batch(network, name, files) -> bytes:
    pictures = (images.read_image(file, size=network.size) for file in files)
    return network.predict(np.stack([*map(network.fit_picture, pictures)])).tobytes()


def find_place(text: str) -> tuple[fs.FileSystem, str]:
    """Open the file system of a path or a URI; return it, and the folder in it."""
    text = text if "://" in text else os.path.abspath(text)
    system, folder = fs.FileSystem.from_uri(text)
    return system, folder.rstrip("/")


def list_pictures(place: tuple) -> list[str]:
    """Return the names, from a place, of all pictures in it at any depth, sorted."""
    system, root = place
    found = system.get_file_info(fs.FileSelector(root, recursive=True))
    names = (info.path[len(root) + 1 :] for info in found if info.is_file)
    seen = (name for name in names if "/." not in f"/{name}" and "__MACOSX" not in name)
    return sorted(name for name in seen if name.lower().endswith(PICTURE_SUFFIXES))


def read_picture(place: tuple, file: str) -> np.ndarray:
    """Read a picture, named from a place, as `images.read_image` does."""
    path = f"{place[1]}/{file}"
    with place[0].open_input_file(path) as opened:
        return images.decode_image(opened.read(), name=images.shown_path(path))


def read_settings(place: tuple) -> dict | None:
    """Read what the dataset was made with; None where there is none."""
    try:
        with place[0].open_input_file(f"{place[1]}/{run_folder.SETTINGS}") as file:
            return json.loads(file.read().decode(**run_folder.TEXT))
    except FileNotFoundError:
        return None


def _write(place: tuple, name: str, data: bytes | pa.Buffer) -> None:
    """Write a file, whole or not at all, into a folder that exists."""
    system, folder = place
    # Not among the parts, where a reader would take it for one, and under a name of its
    # own: an actor that was thought dead may be writing the same part.
    partial = f"{folder}/.partial.{os.urandom(8).hex()}"
    with system.open_output_stream(partial) as opened:
        opened.write(data)
    system.move(partial, f"{folder}/{name}")


def _pack(rows: Iterable[Mapping]) -> pa.Buffer:
    """Make Parquet of rows, not at once: each may have a thousand probabilities."""
    data, rows = pa.BufferOutputStream(), map(_pack_row, rows)
    with parquet.ParquetWriter(data, SCHEMA, compression="zstd") as writer:
        while some := list(itertools.islice(rows, 1_000)):
            writer.write_table(pa.Table.from_pylist(some, SCHEMA))
    return data.getvalue()


def _pack_row(row: Mapping) -> dict:
    """Divide the map by its largest value, so that float16's rounding is relative."""
    row = {**row, "file": images.shown_path(row["file"])}
    if "map" in row:
        scale = np.abs(row["map"]).max() or np.float32(1)
        row["map_height"], row["map_width"] = row["map"].shape
        row |= {"map": (row["map"] / scale).astype("<f2").tobytes(), "map_scale": scale}
        row |= {name: float(row[name]) for name in FLOATS}
    return row


def unpack(row: Mapping) -> np.ndarray:
    """Return the map of a row, float32 (h', w')."""
    flat = np.frombuffer(row["map"], "<f2").astype(np.float32)
    return flat.reshape(row["map_height"], row["map_width"]) * row["map_scale"]


def list_parts(place: tuple) -> list[str]:
    """Return the names of the parts that are there, sorted."""
    parts = fs.FileSelector(f"{place[1]}/maps", allow_not_found=True)
    return sorted(info.base_name for info in place[0].get_file_info(parts))


def read_rows(place: tuple, *, files=None, problems: bool = False) -> Iterator[dict]:
    """Iterate over the rows of all pictures, or some, or over those with a problem."""
    only = dataset.field("problem").is_valid() == problems
    if files is not None:
        only &= dataset.field("file").isin(files)
    for name in list_parts(place):
        part = dataset.dataset(f"{place[1]}/maps/{name}", filesystem=place[0])
        for batch in part.to_batches(filter=only):
            yield from batch.to_pylist()


class _Actor:
    """A process that opens the network once and is asked about many batches."""

    def __init__(self, arguments: argparse.Namespace, ask: Callable):
        asked = local.ASKED if "method" in arguments else ()
        self.network, self.ask = terminal.open_network(arguments, *asked), ask

    def __call__(self, batch) -> dict:
        (row,) = batch.to_pylist()
        return {"name": [row["name"]], "answer": [self.ask(self.network, **row)]}


def _ask_cluster(arguments, ask: Callable, batches: dict) -> dict:
    """Ask actors on all nodes about batches of files; return the answers by name.

    Ray Data starts an actor that died again, on any node, and asks it again. A core of
    each node stays free, and the pool grows: jobs have waited for ever otherwise. An
    actor claims half a core, so that half of the nodes have room for all.
    """
    if not batches:
        return {}
    opening = argparse.Namespace(**vars(arguments))
    if os.path.exists(opening.weights):  # an actor works in another folder
        opening.weights = os.path.abspath(opening.weights)
    rows = [{"name": name, "files": files} for name, files in batches.items()]
    try:
        most = _connect(arguments.cluster)
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(opening, ask),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
            num_cpus=0.5,
        )
        each = (row for row in found.iter_rows() for _ in batches[row["name"]])
        bar = terminal.with_progress(each, sum(map(len, batches.values())))
        return {row["name"]: row["answer"] for row in bar}
    except Exception as error:  # Ray's own, timeouts among them, are of many kinds
        why = str(error).strip().splitlines()[-1]
        raise OSError(f"Ray at {arguments.cluster} gave up: {why}") from error
    finally:
        ray.shutdown()


def _connect(address: str) -> int:
    """Start Ray, which then tells its makers nothing, or connect; count the actors."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    options = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == "local":  # an actor and other work need a core each
        options |= {"num_cpus": max(2, os.cpu_count() or 1), "include_dashboard": False}
    with terminal.without_notes():
        ray.init(address, **options)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    nodes = sum(node["Alive"] for node in ray.nodes())
    return max(1, int(ray.cluster_resources().get("CPU", 1)) - nodes)
