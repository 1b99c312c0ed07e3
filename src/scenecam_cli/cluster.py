"""Explain and evaluate on a Ray cluster, or on all cores of this machine.

Names of pictures travel, and answers; a picture is read where it is explained. So the
object store holds next to nothing, and no actor waits for another.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.dataset
import ray
import ray.data

from scenecam import images
from scenecam._models.weights import find_weights
from scenecam_cli import dataset, run_folder, stream, terminal
from scenecam_cli.explain import settings_of

# Pictures of a part, so few that all actors end at about the same time; smaller sets
# are cut into so many parts.
PART, PARTS = 1_000, 64


def explain(arguments: argparse.Namespace) -> int:
    """Explain the pictures into a dataset, or those that an earlier run has left."""
    place, (root, *more) = dataset.find_place(arguments.out), arguments.pictures
    if more:
        raise ValueError("with --cluster name one folder of pictures, or a URI.")
    files = dataset.list_pictures(dataset.find_place(root))
    if not files:
        raise ValueError(f"{root} holds no pictures, at no depth. Name another one.")
    batch_size = arguments.batch_size or 32
    asked = {key: getattr(arguments, key) for key in ("method", "layer", "classes")}
    network = terminal.open_network(arguments, **asked)
    root = root if "://" in root else os.path.abspath(root)
    settings = settings_of(arguments, network, root) | {
        "batch_size": batch_size,
        "files": len(files),
        "files_sha256": hashlib.sha256(os.fsencode("\0".join(files))).hexdigest(),
    }
    _begin(place, settings, arguments.overwrite)
    size = batch_size * max(1, min(PART, len(files) // PARTS) // batch_size)
    cuts = range(0, len(files), size)
    parts = {f"{cut // size:07d}.parquet": files[cut : cut + size] for cut in cuts}
    if done := sum(len(parts.pop(name)) for name in dataset.list_parts(place)):
        print(f"{done:,} of {len(files):,} pictures were done before.")
    where = {"out": arguments.out, "root": root, "batch_size": batch_size}
    ask = functools.partial(_explain_part, **where)
    _ask_cluster(arguments, network, ask, parts, **asked)
    broken = ~pyarrow.dataset.field("problem").is_null()
    problems = [
        row["problem"] for row in dataset.read_rows(place, ["problem"], only=broken)
    ]
    explained = terminal.counted(len(files) - len(problems), "picture")
    print(f"{explained} explained. Dataset: {arguments.out}/{dataset.PARTS}")
    return terminal.report_problems(problems)


def _begin(place: dataset.Place, settings: dict, overwrite: bool) -> None:
    """Write the settings, or check those of the run that is continued."""
    (system, folder), old = place, dataset.read_settings(place)
    # What a run without --cluster wrote is not overwritten.
    if old and not (overwrite and "files_sha256" in old):
        return run_folder.check_settings(Path(folder), old, settings)
    system.create_dir(f"{folder}/{dataset.PARTS}")
    system.delete_dir_contents(f"{folder}/{dataset.PARTS}")
    text = run_folder.as_json(settings)
    dataset.write(place, run_folder.SETTINGS, text.encode(**run_folder.TEXT))


def _explain_part(network, name, files, *, out: str, root: str, batch_size: int) -> int:
    """Explain the pictures of a part and write it; return how many they are."""
    outcomes = stream.explain_pictures(
        network,
        files,
        root="",
        index=None,
        look=None,
        batch_size=batch_size,
        read=dataset.picture_reader(root),
    )
    rows = (
        row
        for file, rows, problem in outcomes
        for row in rows or [{"file": file, "problem": problem}]
    )
    part = f"{dataset.PARTS}/{name}"
    dataset.write(dataset.find_place(out), part, dataset.pack(rows))
    return len(files)


def predict(arguments: argparse.Namespace, network, files: Sequence) -> np.ndarray:
    """Ask about picture files in batches; give float32 probabilities (n, classes)."""
    files, size = [*map(str, files)], arguments.batch_size
    batches = {str(at): files[at : at + size] for at in range(0, len(files), size)}
    found = _ask_cluster(arguments, network, _predict_batch, batches)
    rows = [np.frombuffer(found[name], np.float32) for name in batches]
    return np.concatenate(rows).reshape(len(files), -1)


def _predict_batch(network, name, files) -> bytes:
    pictures = (images.read_image(file, size=network.size) for file in files)
    batch = np.stack([network.fit_picture(picture) for picture in pictures])
    return network.predict(batch).tobytes()


# ---- The cluster ---------------------------------------------------------------------


class _Actor:
    """A process that opens the network once and is asked about many batches."""

    def __init__(self, weights: tuple[str, bytes], opening: dict, ask: Callable):
        # The file goes with the task: other machines need not have it.
        with tempfile.TemporaryDirectory() as folder, terminal.without_notes():
            from scenecam_cli.network import open_network

            path = Path(folder, weights[0])
            path.write_bytes(weights[1])
            self.network, self.ask = open_network(str(path), **opening), ask

    def __call__(self, batch) -> dict:
        (row,) = batch.to_pylist()
        return {"name": [row["name"]], "answer": [self.ask(self.network, **row)]}


def _ask_cluster(arguments, network, ask: Callable, batches: dict, **opening) -> dict:
    """Ask actors on all nodes about batches of files; return the answers by name.

    An actor that dies, or a node, is replaced, and what it was asked is asked again.
    """
    path, answers = find_weights(arguments.weights), {}
    opening |= {"class_names": network.class_names, "pixels": network.pixels}
    opening["input_size"] = arguments.input_size
    given = {"weights": (path.name, path.read_bytes()), "opening": opening, "ask": ask}
    _connect(arguments.cluster)

    def ask_all():
        rows = [{"name": name, "files": files} for name, files in batches.items()]
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_kwargs=given,
            batch_size=1,
            batch_format="pyarrow",
            **_pool(),
        )
        for row in found.iter_rows():
            answers[row["name"]] = row["answer"]
            yield from batches[row["name"]]

    try:
        total = sum(map(len, batches.values()))
        for _ in terminal.with_progress(ask_all() if batches else (), total):
            pass
    except ray.exceptions.RayError as error:
        why = str(error).strip().splitlines()[-1]
        raise OSError(f"the cluster gave up: {why} Run the command again.") from error
    finally:
        ray.shutdown()
    return answers


def _pool() -> dict:
    """Say how many actors there are, and what becomes of those that die.

    A core of each node stays free: where actors take all, the job can wait for ever.
    The pool grows, because one of fixed size waits for an actor that does not return.
    An actor claims half a core, so that the nodes that are left have room for all.
    """
    nodes = sum(node["Alive"] for node in ray.nodes())
    most = max(1, int(ray.cluster_resources().get("CPU", 1)) - nodes)
    pool = ray.data.ActorPoolStrategy(
        min_size=1, max_size=most, max_tasks_in_flight_per_actor=2
    )
    forever = {"max_restarts": -1, "max_task_retries": -1}
    return {"compute": pool, "num_cpus": 0.5, **forever}


def _connect(address: str) -> None:
    """Start Ray on this machine, or connect to a cluster; nothing is sent elsewhere."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == "local":
        # On a single core an actor and other work would not fit side by side.
        quiet |= {"num_cpus": max(2, os.cpu_count() or 1), "include_dashboard": False}
    try:
        ray.init(address, **quiet)
    except Exception as error:  # Ray's timeouts are plain ones
        why = str(error).strip().splitlines()[0]
        raise ValueError(f"no Ray cluster at {address}: {why}") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
