"""Time `scenecam explain` in units of the network's own pass over the same pictures.

    python benchmarks/explain.py path/to/photographs [--count 1024] [--rounds 5]

The network's pass: pictures already decoded and made fit, in batches of 32, through the
compiled network, and nothing else. Beside it the same pictures from files to maps,
heatmaps, overlays and the index, one class each and all classes, as the command line
does it, without the start of the process and the opening of the network. The ways take
turns in one process; medians count, and the shortest and longest ratio stand beside.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from scenecam import images, saving
from scenecam_cli.network import open_network
from scenecam_cli.run_folder import Index
from scenecam_cli.stream import explain_pictures, find_pictures

BATCH = 32


def network_pass(network, batches):
    """The network alone, compiled for any number of pictures."""
    model = network.model
    shape = tf.TensorSpec((None, *network.size, network.channels), tf.float32)
    run = tf.function(lambda x: model(x, training=False), input_signature=[shape])

    def once():
        for batch in batches:
            run(tf.convert_to_tensor(batch)).numpy()

    return once


def explained(network, root, files, place):
    """All that the command does with the files, into a new folder below a place."""
    wanted = 1 if network.classes is None else len(network.classes)

    def once():
        folder = Path(tempfile.mkdtemp(dir=place))
        with Index(folder, rows_per_picture=wanted) as index:
            how = {"root": root, "index": index, "look": saving.Look()}
            outcomes = explain_pictures(network, files, batch_size=BATCH, **how)
            if problems := [each.problem for each in outcomes if each.problem]:
                raise SystemExit(problems[0])

    return once


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures")
    parser.add_argument("--weights", default="photos-resnet")
    parser.add_argument("--count", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    out = Path(tempfile.gettempdir()) / "results"  # where it looks for none
    root, found = find_pictures([options.pictures], out=out)
    files = found[:: max(1, len(found) // options.count)][: options.count]
    one = open_network(options.weights, method="grad_cam")
    six = open_network(options.weights, method="grad_cam", classes="all")
    read = [
        one.fit_picture(images.read_image(os.path.join(root, file))) for file in files
    ]
    batches = [
        np.stack(read[start : start + BATCH]).astype(np.float32)
        for start in range(0, len(read), BATCH)
    ]
    with tempfile.TemporaryDirectory() as place:  # deleting is not counted
        where = (root, files, place)
        ways = {
            "the network's pass": network_pass(one, batches),
            "explain, the predicted class": explained(one, *where),
            "explain, all classes": explained(six, *where),
        }
        seconds = {name: [] for name in ways}
        for turn in range(options.rounds + 1):
            for name, once in ways.items():
                start = time.perf_counter()
                once()
                if turn:  # the first compiles
                    seconds[name].append(time.perf_counter() - start)
    unit = np.array(seconds["the network's pass"])
    print(f"{len(files)} pictures, {options.weights}, {options.rounds} rounds")
    print("| what | ms a picture | x the network's pass | |\n|---|---:|---:|---:|")
    for name, values in seconds.items():
        ms, ratios = 1e3 * np.median(values) / len(files), np.array(values) / unit
        span = f"{ratios.min():.2f} to {ratios.max():.2f}"
        print(f"| {name} | {ms:.2f} | {np.median(ratios):.2f} | {span} |")


if __name__ == "__main__":
    main()
