"""Measure `scenecam explain` on a cluster of one, two and three nodes of one core.

    python benchmarks/cluster.py path/to/photographs [--count 600] [--rounds 5]
    python benchmarks/cluster.py path/to/photographs --memory 100000

The nodes are processes of this machine (`ray.cluster_utils`), each with one actor that
uses one thread; more nodes than cores therefore measure the machine, not the engine.
Each round explains the pictures with each number of nodes and with the local command,
in turn; printed are medians, pictures per second from the first picture's answer on
(the actors have their network then) and in all, and the shares of an actor's seconds.
Then a model on paper: ten million photographs on a hundred machines. With --memory the
set is repeated, and the memory of driver, actors and object store printed on the way.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Inherited by the actors: one core each.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

import ray
from ray.cluster_utils import Cluster

from scenecam_cli import cluster, main, stream

# What is bought by the hour and by the GB, in dollars; change them to yours.
MACHINE_HOUR, GB_MONTH, REQUESTS = 0.17, 0.023, 0.0004 / 1000
MODEL_PICTURES, MODEL_MACHINES, MODEL_CORES = 10_000_000, 100, 4


def timed_part(times: Path):
    """Return an `_explain_part` that writes down where its seconds go."""

    def explain_part(root, out, batch_size, network, *, name, files):
        import json
        import time

        from scenecam_cli import cluster

        spent = dict.fromkeys(("read", "network", "write"), 0.0)

        def timing(what, call):
            def timed(*given, **more):
                begun = time.perf_counter()
                result = call(*given, **more)
                spent[what] += time.perf_counter() - begun
                return result

            return timed

        class Timed:
            class_names = network.class_names
            fit_picture = staticmethod(timing("read", network.fit_picture))
            answer = staticmethod(timing("network", network.answer))

        kept = cluster._write, cluster._pack, cluster.read_picture
        packing = cluster._pack

        def pack(rows):
            rows = list(rows)
            return timing("write", packing)(rows)

        begun = time.time()
        cluster._write = timing("write", kept[0])
        cluster._pack = pack
        cluster.read_picture = timing("read", kept[2])
        try:
            cluster._explain_part(root, out, batch_size, Timed, name=name, files=files)
        finally:
            cluster._write, cluster._pack, cluster.read_picture = kept
        spent["all"], spent["begun"], spent["ended"] = (
            time.time() - begun,
            begun,
            time.time(),
        )
        spent["pictures"] = len(files)
        (times / f"{name}.txt").write_text(json.dumps(spent))
        return len(files)

    return explain_part


def command(*words) -> float:
    """Run a command quietly; return its seconds."""
    begun = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = main.main([str(word) for word in words])
    if code:
        raise SystemExit(f"{words[0]} returned {code}")
    return time.perf_counter() - begun


def on_nodes(address: str, words: list, folder: Path) -> dict:
    """Explain on the cluster at an address; return seconds, rate and shares."""
    times = folder / "times"
    for old in (times, folder / "out"):
        shutil.rmtree(old, ignore_errors=True)
    times.mkdir()
    real, cluster._explain_part = cluster._explain_part, timed_part(times)
    try:
        seconds = command(*words, "--cluster", address, "--out", folder / "out")
    finally:
        cluster._explain_part = real
    parts = [json.loads(path.read_text()) for path in times.iterdir()]
    pictures = sum(part["pictures"] for part in parts)
    span = max(p["ended"] for p in parts) - min(p["begun"] for p in parts)
    busy = sum(part["all"] for part in parts)
    shares = {k: sum(p[k] for p in parts) / busy for k in ("read", "network", "write")}
    size = sum(path.stat().st_size for path in (folder / "out" / "maps").iterdir())
    return {
        "in all": pictures / seconds,
        "working": pictures / span,
        "an actor": pictures / busy,
        "bytes": size / pictures,
        **shares,
    }


def measure(options, words: list, folder: Path) -> None:
    """Print the table of nodes, and the model."""
    found = {1: [], 2: [], 3: [], "local": []}
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    for _ in range(options.rounds):
        workers = []
        for count in (1, 2, 3):
            # A core for the actor and one, on paper, that stays free; the head's, too.
            workers.append(nodes.add_node(num_cpus=2 + (count == 1)))
            found[count].append(on_nodes(nodes.address, words, folder))
        for worker in workers:
            nodes.remove_node(worker)
        shutil.rmtree(folder / "files", ignore_errors=True)
        seconds = command(*words, "--out", folder / "files")
        found["local"].append({"in all": options.count / seconds})
    nodes.shutdown()
    columns = ("in all", "working", "an actor", "read", "network", "write", "bytes")
    print("| nodes | " + " | ".join(columns) + " |\n" + "|---" * 8 + "|")
    for count, rounds in found.items():
        cells = [
            f"{statistics.median(each[name] for each in rounds):.3g}"
            if name in rounds[0]
            else ""
            for name in columns
        ]
        print(f"| {count} | " + " | ".join(cells) + " |")
    middle = {k: statistics.median(r[k] for r in found[1]) for k in found[1][0]}
    model(middle["an actor"], middle["bytes"], options.bytes_read)


def model(rate: float, written: float, read: float) -> None:
    """Print what many photographs on many machines would take: a model, no measurement.

    `rate` is that of one actor in pictures per second; bytes are those of a picture.
    """
    actors = MODEL_MACHINES * (MODEL_CORES - 1)
    hours = MODEL_PICTURES / (rate * actors) / 3600
    megabytes = rate * (MODEL_CORES - 1) * read / 1e6
    dollars = MODEL_MACHINES * MODEL_CORES / 4 * hours * MACHINE_HOUR
    gigabytes = written * MODEL_PICTURES / 1e9
    print(
        f"\nOn paper, if nothing else limits them: {MODEL_PICTURES:,} photographs of "
        f"{read / 1e3:.0f} kB on {MODEL_MACHINES} machines of {MODEL_CORES} cores, "
        f"{actors} actors at {rate:.0f} pictures a second, take {hours:.2f} hours. A "
        f"machine reads {megabytes:.1f} MB a second, all together "
        f"{megabytes * MODEL_MACHINES / 1e3:.2f} GB. {gigabytes:.1f} GB of Parquet are "
        f"written. In dollars: machines {dollars:.0f}, reading "
        f"{MODEL_PICTURES * REQUESTS:.0f}, keeping the maps {gigabytes * GB_MONTH:.2f} "
        "a month."
    )


def object_store() -> float:
    """Return how many bytes lie in the object store; 0 before Ray has begun."""
    if not ray.is_initialized():
        return 0
    given, left = ray.cluster_resources(), ray.available_resources()
    return given["object_store_memory"] - left["object_store_memory"]


def resident(process: str) -> float:
    """Return the MiB of memory that a process has, by its name in /proc."""
    status = Path("/proc", process, "status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def resident_actors() -> list[float]:
    """Return the MiB of every actor that explains pictures."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        # One may end while it is looked at.
        with contextlib.suppress(OSError, IndexError):
            if b"_Actor" in (process / "cmdline").read_bytes():
                found.append(resident(process.name))
    return found


def watch_memory(options, words: list, folder: Path) -> None:
    """Explain the set many times over; print the memory at every 10,000 pictures."""
    real, stop = cluster.list_pictures, threading.Event()
    repeated = folder / "in"
    for number in range(-(-options.memory // options.count)):
        (repeated / f"{number:05d}").symlink_to(options.folder)
    cluster.list_pictures = lambda place: sorted(
        f"{number.name}/{file}"
        for number in repeated.iterdir()
        for file in real(cluster.find_place(str(options.folder)))
    )[: options.memory]

    def say():
        done, shown = 0, -1
        while not stop.wait(1):
            done = len([*(folder / "out" / "maps").glob("*.parquet")])
            part = max(
                32, min(cluster.PART, options.memory // cluster.PARTS) // 32 * 32
            )
            if done and done * part // 10_000 > shown:
                shown = done * part // 10_000
                actors = ", ".join(f"{one:.0f}" for one in sorted(resident_actors()))
                print(
                    f"{done * part:,} pictures: driver {resident('self'):.0f} MiB, "
                    f"actors {actors} MiB, object store {object_store() / 2**20:.1f} "
                    "MiB",
                    file=sys.__stdout__,  # the command's own lines are not shown
                    flush=True,
                )

    thread = threading.Thread(target=say)
    thread.start()
    words[1] = repeated
    seconds = command(*words, "--cluster", "local", "--out", folder / "out")
    stop.set()
    thread.join()
    print(f"{options.memory:,} pictures in {seconds:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="photos-resnet")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int)
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "in").mkdir()
        _, files = stream.find_pictures([options.folder], out=folder / "out")
        words = ["explain", folder / "in", "--weights", options.weights]
        if options.memory:
            options.count = len(files)
            watch_memory(options, words, folder)
        else:
            step = max(1, len(files) // options.count)
            for number, file in enumerate(files[::step][: options.count]):
                path = folder / "in" / f"{number}{Path(file).suffix}"
                shutil.copy(options.folder / file, path)
            sizes = [path.stat().st_size for path in (folder / "in").iterdir()]
            options.count, options.bytes_read = len(sizes), statistics.mean(sizes)
            measure(options, words, folder)
