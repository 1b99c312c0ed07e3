"""Explain EfficientNet-Lite0, as ImageNet taught it, in units of its forward pass.

    python benchmarks/lite0.py [--rounds 15] [--batches 1,16]

Photographs that packages carry, at 224 pixels, and 1,000 classes. Forward pass and maps
take turns in one process, and the median counts, as in cam.py; other libraries take
theirs where they are installed (requirements-peers.txt), asked for one class a call.
`--inner` asks for all classes at an inner layer too, once: that takes minutes.
"""

import argparse
import resource
import time

import numpy as np
from cam import measure, ready_ways, report, scenecam

from scenecam import cam, data, models

LAST = ["features"]
# One end of each size: 112, 56, 28, 14 and 7 cells.
STAGES = ["stage1_block1_norm3", "stage2_block2_add", "stage3_block2_add"]
STAGES += ["stage5_block3_add", "features"]
INNER = ["stage5_block3_add"]


def inner(model, images):
    """Print the time and memory of all classes at an inner layer, in one call."""

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    before, seconds = peak(), []
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        maps = cam.class_maps(model, images, layers=INNER)[INNER[0]]
        seconds.append(time.perf_counter() - start)
    print(
        f"\nbatch {len(images)}: all classes, inner layer: {seconds[-1]:.1f} s, maps "
        f"of {maps.nbytes / 2**20:.0f} MiB; peak {before:.2f} -> {peak():.2f} GiB"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--sample", type=int, default=1, help="timed calls per turn")
    parser.add_argument("--inner", action="store_true")
    options = parser.parse_args()
    start = time.perf_counter()
    model = models.efficientnet_lite0()
    print(f"read and built in {time.perf_counter() - start:.2f} s")
    photographs = data.load_photographs().images.astype("float32")
    classes, left_out = [285, 967, 985, 442, 540, 872], {}  # what they are named
    for batch in map(int, options.batches.split(",")):
        images = np.resize(photographs, (batch, *photographs.shape[1:]))
        five = np.argsort(-models.predict(model, images), axis=1)[:, :5]
        for title, layers, asked in (
            ("one class, last layer", LAST, classes[:1]),
            ("six classes, last layer", LAST, classes),
            ("six classes, five stages", STAGES, classes),
            ("all classes, last layer", LAST, list(range(1_000))),
        ):
            ways = ready_ways(model, images, layers, asked, left_out)
            if len(asked) == 1:
                for name, some in (("predicted", "predicted"), ("top five", five)):
                    ways[f"scenecam, {name}"] = scenecam(model, images, layers, some)
            times = measure(ways, options.rounds, options.sample)
            report(f"batch {batch}: {title}", times, batch, "forward pass")
        if options.inner:
            inner(model, images)


if __name__ == "__main__":
    main()
