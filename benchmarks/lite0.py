"""Explain EfficientNet-Lite0, as ImageNet taught it, in units of its forward pass.

    python benchmarks/lite0.py [--rounds 15] [--batches 1,8]

The photographs that packages carry, at 224 pixels. Forward pass and maps take turns in
one process, and the median counts, as in cam.py. No download, no other library.
"""

import argparse
import time

from cam import forward, measure, report, scenecam

from scenecam import data, models

LAST = ["features"]
# One end of each size: 112, 56, 28, 14 and 7 cells.
STAGES = ["stage1_block1_norm3", "stage2_block2_add", "stage3_block2_add"]
STAGES += ["stage5_block3_add", "features"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", default="1,8")
    options = parser.parse_args()
    start = time.perf_counter()
    model = models.efficientnet_lite0()
    print(f"read and built in {time.perf_counter() - start:.2f} s")
    photographs = data.load_photographs().images.astype("float32")
    classes = [285, 967, 985, 442, 540, 872]  # what the photographs are named
    for batch in map(int, options.batches.split(",")):
        images = photographs[:batch]
        for title, layers, asked in (
            ("one class, last layer", LAST, classes[:1]),
            ("six classes, last layer", LAST, classes),
            ("six classes, five stages", STAGES, classes),
            ("all classes, last layer", LAST, list(range(1_000))),
        ):
            ways = {
                "forward pass": forward(model, images, layers, asked),
                "scenecam": scenecam(model, images, layers, asked),
            }
            times = measure(ways, options.rounds, 1)
            report(f"batch {batch}: {title}", times, batch, "forward pass")


if __name__ == "__main__":
    main()
