"""Can training make class maps truer? Fine-tune a shipped network and judge its maps.

    python benchmarks/truer_maps.py drawn-resnet
    python benchmarks/truer_maps.py photos-resnet FOLDER

FOLDER holds photographs as `data.load_folder` takes them. Nothing is written. Ways:

- centred: no training; each channel's weights minus their mean over classes, which
  leaves all probabilities as they are;
- pictures: as many steps on pictures, one by one, to see what training alone does;
- mixed: mosaics of four, a quarter of the label for each of the four classes;
- cells: mosaics of four, each cell is pooled alone and learns its own label;
- share: cells, and a map's positive part in other cells costs its share.

Printed are means with 95 % bootstrap intervals. All ways are asked about the same
mosaics of test pictures, which the shipped network names correctly with more than 0.8.
"cut" is the sanity check: the shipped network's maps minus one number, chosen so that
as many places stay positive as in the way's own maps. A way that does no better is not
truer, it shows less. "tenth" is grid pointing of the brightest tenth of each map, which
contrast does not move.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from aside import say
from grid import SIZE, SURE

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from mosaic_training import fine_tune

from scenecam import cam, data, evaluation, judging, models, synth
from scenecam.scenes import SceneSet

WAYS = ("shipped", "centred", "pictures", "mixed", "cells", "share")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network")
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--ways", nargs="+", choices=WAYS[1:], default=WAYS[1:])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=3e-4, help="of Adam, at first")
    parser.add_argument("--weight", type=float, default=1.0, help="of the share")
    parser.add_argument("--count", type=int, default=200, help="mosaics to judge by")
    options = parser.parse_args()
    shipped = models.pretrained(options.network)
    train, test = (pictures(options, split) for split in ("train", "test"))
    own = models.predict(shipped, test.images)[np.arange(len(test)), test.labels]
    made = judging.mosaics(test[own > SURE], count=options.count, seed=0)
    old = ask(shipped, made)
    print(f"{options.network}, {options.epochs} epochs, {len(made.images)} mosaics")
    print("| way | accuracy | grid | cut | tenth | pointing | inside | IoU | seconds |")
    print("|---|" + "---:|" * 8)
    for way in ("shipped", *options.ways):
        start = time.process_time()
        model = models.pretrained(options.network)
        change(model, way, train, options)
        seconds = time.process_time() - start
        cells = [*judged(model, old, made, test), f"{seconds:.0f}"]
        print(f"| {way} | " + " | ".join(cells) + " |", flush=True)


def pictures(options, split: str) -> SceneSet:
    if options.folder is None:
        count, seed = {"train": (4000, 0), "test": (1200, 1)}[split]
        return synth.draw_scenes(count, size=SIZE, seed=seed)
    names = synth.CLASS_NAMES
    return data.load_folder(options.folder, split=split, size=SIZE, class_names=names)


# ---- Ways


def change(model: keras.Model, way: str, train: SceneSet, options) -> None:
    """Change a network's weights in one of the ways."""
    if way == "centred":
        kernel, bias = model.get_layer("logits").get_weights()
        kernel -= kernel.mean(axis=1, keepdims=True)
        model.get_layer("logits").set_weights([kernel, bias - bias.mean()])
    elif way != "shipped":
        asked = {"epochs": options.epochs, "rate": options.rate}
        fine_tune(model, train, way=way, weight=options.weight, **asked)


# ---- Judges


def ask(model: keras.Model, made) -> np.ndarray:
    """Class maps of the mosaics, each asked about its four classes: (n, 4, h, w)."""
    large = models.resized(model, made.images.shape[1])
    found = cam.class_maps(large, made.images, classes=made.labels, batch_size=16)
    return found["features"]


def judged(model: keras.Model, old: np.ndarray, made, test: SceneSet) -> list[str]:
    said = models.predict(model, test.images).argmax(axis=1)
    share, low, high = evaluation.accuracy_interval(test.labels, said)
    maps = ask(model, made)
    less = old - np.quantile(old, 1 - (maps > 0).mean())
    bright = np.quantile(maps, 0.9, axis=(2, 3), keepdims=True)
    tenth = maps > np.maximum(bright, 0)
    cells = [f"{share:.4f} [{low:.3f}, {high:.3f}]"]
    for each in (maps, less, tenth.astype(np.float32)):
        cells.append(say(judging.grid_pointing(each).mean(axis=1)))
    if test.masks is None:
        return [*cells, "–", "–", "–"]
    classes = test.labels[:, None]
    own = cam.class_maps(model, test.images, classes=classes)["features"][:, 0]
    masks = test.masks == test.labels[:, None, None]
    judges = ("pointing_game", "energy_inside", "intersection_over_union")
    return [*cells, *(say(getattr(judging, judge)(own, masks)) for judge in judges)]


if __name__ == "__main__":
    main()
