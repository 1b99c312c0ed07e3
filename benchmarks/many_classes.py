"""Measure `scenecam evaluate` on many classes: memory and seconds beyond the network's.

    python benchmarks/many_classes.py [CLASSES] [--pictures 5000]

Evaluates an untrained network on pictures of noise in a process of its own, and prints
its peak memory and the time since its start when the network has answered, and at the
end.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def write(folder: Path, classes: int, pictures: int) -> None:
    """Write a network of so many classes, and a folder for each."""
    import keras

    from scenecam import models

    rng, names = np.random.default_rng(0), [f"class {i:04}" for i in range(classes)]
    for name in names:
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(max(1, pictures // classes)):
            noise = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
            noise.save(folder / "pictures" / name / f"{number}.png")
    layers = keras.layers
    parts = layers.Rescaling(1 / 255), layers.Conv2D(8, 3), layers.Flatten()
    model = keras.Sequential([keras.Input((12, 12, 3)), *parts, layers.Dense(classes)])
    models.save_model(model, folder / "network.keras", card={"class_names": names})


def evaluate(folder: str) -> int:
    """Run the command, and say what it took."""
    from scenecam_cli import evaluate as command
    from scenecam_cli import main

    start, measure = time.perf_counter(), command._measure

    def lap(what):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{what:>10}: {time.perf_counter() - start:5.1f} s, peak {peak:.2f} GiB")

    def measured(*arguments):
        lap("answered")
        return measure(*arguments)

    command._measure = measured
    place = ("--weights", f"{folder}/network.keras", "--out", f"{folder}/report")
    code = main.main(["evaluate", f"{folder}/pictures", "--part", "all", *place])
    lap("reported")
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("classes", nargs="?", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--folder", help=argparse.SUPPRESS)  # what the child evaluates
    options = parser.parse_args()
    if options.folder:
        return evaluate(options.folder)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.classes, options.pictures)
        words = [sys.executable, __file__, "--folder", folder]
        return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
