"""Measure the drawn scenes: how fast, how close to photographs, how hard to tell apart.

    python benchmarks/drawn_and_photographs.py FOLDER [--epochs 12] [--shipped]

FOLDER holds photographs as `data.load_folder` takes them, with a part for training and
one for testing. Four measurements, printed as they come:

1. drawing: scenes a second, on one core (processor time);
2. a `resnet` trained on drawn scenes, judged on fresh ones, with its confusions;
3. the same network, which never saw a photograph, judged on the photographs' test part;
4. a `resnet` trained on photographs, judged on the drawn scenes of 2.

A tenth of each training part chooses the epoch; no test part does. Ends with exit code
1 if a target is missed. With the default epochs it takes some 20 minutes on two cores;
with --shipped it judges the weights in data/weights instead of training, in one minute.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from scenecam import data, evaluation, models, synth, training

SPEED = 150  # scenes a second
OWN = (0.88, 0.98)  # drawn to fresh drawn: neither hopeless nor trivial
TO_PHOTOGRAPHS, FROM_PHOTOGRAPHS = 0.40, 0.55
TWINS = ({"glacier", "mountain"}, {"buildings", "street"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=12, help="for each network")
    parser.add_argument("--count", type=int, default=4000, help="drawn for training")
    parser.add_argument("--shipped", action="store_true", help="do not train")
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()
    size = options.size
    met = [at_least("drawing, scenes a second on one core", draw_speed(size), SPEED)]

    fresh = synth.draw_scenes(1200, size=size, seed=1)
    held_out = load(options.folder, "test", size)
    if options.shipped:
        model = models.pretrained("drawn-resnet")
    else:
        drawn = synth.draw_scenes(options.count, size=size, seed=0)
        model = train(drawn, options.epochs, size)
    own, table = judge("drawn -> fresh drawn", model, fresh)
    met.append(OWN[0] <= own <= OWN[1])
    print(f"    wanted {OWN[0]:.0%} to {OWN[1]:.0%}: {verdict(met[-1])}")
    pairs = worst_pairs(table)
    met.append(all(pair in TWINS for pair in pairs))
    named = ", ".join(" and ".join(sorted(pair)) for pair in pairs)
    print(f"    largest confusions: {named}: {verdict(met[-1])}")
    across, _ = judge("drawn -> photographs", model, held_out)
    met.append(at_least("drawn -> photographs", across, TO_PHOTOGRAPHS))

    if options.shipped:
        model = models.pretrained("photos-resnet")
    else:
        model = train(load(options.folder, "train", size), options.epochs, size)
    judge("photographs -> photographs", model, held_out)
    back, _ = judge("photographs -> drawn", model, fresh)
    met.append(at_least("photographs -> drawn", back, FROM_PHOTOGRAPHS))
    return 0 if all(met) else 1


def draw_speed(size: int) -> float:
    """Scenes a second of processor time, after the textures are made."""
    synth.draw_scenes(6, size=size, seed=9)
    start = time.process_time()
    synth.draw_scenes(600, size=size, seed=10)
    return 600 / (time.process_time() - start)


def load(folder: str, split: str, size: int):
    """Photographs with the labels of the drawn scenes."""
    return data.load_folder(
        folder, split=split, size=size, class_names=synth.CLASS_NAMES
    )


def train(scenes, epochs: int, size: int):
    model = models.resnet((size, size, 3), num_classes=len(scenes.class_names))
    rest, valid = scenes.split(0.1, seed=0)
    start = time.time()
    training.fit(
        model,
        rest,
        valid,
        epochs=epochs,
        batch_size=64,
        learning_rate=2e-3,
        schedule="cosine",
        weight_decay=0.05,
        label_smoothing=0.1,
    )
    print(f"\ntrained {epochs} epochs on {len(rest)}: {time.time() - start:.0f} s")
    return model


def judge(title: str, model, scenes) -> tuple[float, np.ndarray]:
    """Print accuracy, interval and confusions; return accuracy and the table."""
    predictions = models.predict(model, scenes.images).argmax(axis=1)
    pair = {"labels": scenes.labels, "predictions": predictions}
    accuracy, low, high = evaluation.accuracy_interval(**pair)
    table = evaluation.confusion(**pair, num_classes=len(scenes.class_names))
    print(f"{title}: {accuracy:.1%} (95 %: {low:.1%} to {high:.1%}), {len(scenes)}")
    for name, row in zip(scenes.class_names, table, strict=True):
        print(f"    {name:<10}" + "".join(f"{cell:6d}" for cell in row))
    return accuracy, table


def worst_pairs(table: np.ndarray) -> list[set[str]]:
    """Name the two pairs of classes that are taken for each other most often."""
    both = np.triu(table + table.T, k=1)
    order = np.argsort(both, axis=None)[::-1][:2]
    return [{synth.CLASS_NAMES[i] for i in divmod(int(k), len(both))} for k in order]


def at_least(title: str, value: float, target: float) -> bool:
    print(f"{title}: {value:.3g}, wanted {target:.3g}: {verdict(value >= target)}")
    return value >= target


def verdict(good: bool) -> str:
    return "met" if good else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
