"""Train one network on the same pictures by a plain Keras pipeline and by scenecam.

    python benchmarks/training.py [--pictures 1800] [--epochs 12] [--rounds 2]

The plain pipeline is the one of the Keras guides: JPEG files in class folders,
`image_dataset_from_directory`, augmentation layers mapped over the data set, `compile`
and `fit` as they come. scenecam runs twice: `training.fit` at full size throughout, and
the way in which `tools/train_weights.py` trains the shipped weights: three quarters of
the epochs on pictures of two thirds of the side, the rest at full size. All three are
judged at full size in the end. Rounds alternate, so that all meet the same load of the
machine. By the clock, the first epoch of a network, in which its graph is built, counts
as much as the median of the others; processor time is that of whole runs.
The pictures are those that the book is read with (SCENECAM_SCENES).
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from scenecam import data, images, models, recipes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1800)
    parser.add_argument("--valid", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    every = data.load_scenes("train")
    share = options.valid / len(every)
    rest, valid = every.split(share, seed=0)
    train = rest.per_class(options.pictures // len(every.class_names))
    print(
        f"{len(train)} {data.scenes_name()} pictures of {train.images.shape[1]} pixels "
        f"and {len(valid)} to validate, {options.epochs} epochs, "
        f"batches of {options.batch}"
    )
    results = {"plain Keras": [], "full size": [], "growing": []}
    with tempfile.TemporaryDirectory() as folder:
        write_files(train, Path(folder) / "train")
        write_files(valid, Path(folder) / "valid")
        for seed in range(options.rounds):
            results["plain Keras"].append(
                measure("plain Keras", plain_keras, Path(folder), options, seed)
            )
            for name in ("full size", "growing"):
                run = measure(
                    name, ours, train, valid, options, seed, name == "growing"
                )
                results[name].append(run)
    columns = ("pictures/s", "per core-s", "validation accuracy")
    print(f"{'':12} {columns[0]:>10} {columns[1]:>10} {columns[2]:>20}")
    rates = {}
    for name, runs in results.items():
        seconds, processor, accuracies = zip(*runs, strict=True)
        rates[name] = (
            len(train) / np.median(seconds),
            len(train) * options.epochs / np.mean(processor),
        )
        print(
            f"{name:12} {rates[name][0]:10.0f} {rates[name][1]:10.0f} "
            f"{np.mean(accuracies):9.3f} ({min(accuracies):.3f} to "
            f"{max(accuracies):.3f})"
        )
    for name in ("full size", "growing"):
        by_clock, by_work = np.divide(rates[name], rates["plain Keras"])
        print(
            f"scenecam, {name}: ratio {by_clock:.2f} by the clock, "
            f"{by_work:.2f} by processor time"
        )


def write_files(scenes, folder):
    for number, (image, label) in enumerate(
        zip(scenes.images, scenes.labels, strict=True)
    ):
        place = folder / scenes.class_names[label]
        place.mkdir(parents=True, exist_ok=True)
        images.save_image(place / f"{number:05}.jpg", image)


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch, its validation included, as scenecam counts them."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self.started)


def plain_keras(folder, options, seed):
    keras.utils.set_random_seed(seed)
    loaded = {
        part: keras.utils.image_dataset_from_directory(
            folder / part,
            label_mode="categorical",
            image_size=(96, 96),
            batch_size=options.batch,
            seed=seed,
            shuffle=part == "train",
            verbose=False,
        )
        for part in ("train", "valid")
    }
    augmentation = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomZoom((-0.35, 0.0)),
            keras.layers.RandomTranslation(0.1, 0.1),
            keras.layers.RandomBrightness(0.25),
            keras.layers.RandomContrast(0.25),
            keras.layers.RandomSaturation((0.3, 0.7)),
        ]
    )
    train = loaded["train"].map(
        lambda x, y: (augmentation(x, training=True), y), num_parallel_calls=-1
    )
    model = models.resnet(seed=seed)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock = Clock()
    history = model.fit(
        train.prefetch(-1),
        validation_data=loaded["valid"].prefetch(-1),
        epochs=options.epochs,
        callbacks=[clock],
        verbose=0,
    ).history
    return [clock.seconds], history["val_accuracy"]


def ours(train, valid, options, seed, growing):
    side = train.images.shape[1]
    small = options.epochs * 3 // 4 if growing else 0
    plain = {"schedule": "constant", "weight_decay": 0.0, "label_smoothing": 0.0}
    shared = {**plain, "learning_rate": 1e-3, "batch_size": options.batch}
    sizes = [(side * 2 // 3, small), (side, options.epochs - small)]
    phases = [(size, {}, {**shared, "epochs": n}) for size, n in sizes if n]
    recipe = {"builder": "resnet", "arguments": {}, "phases": phases}
    _, history = recipes.follow(recipe, train, valid, seed=seed, verbose=0)
    ends = np.cumsum([settings["epochs"] for _, _, settings in phases])[:-1]
    seconds = [part.tolist() for part in np.split(history["seconds"], ends)]
    # Only the last phase is judged at full size.
    return seconds, history["val_accuracy"][-phases[-1][2]["epochs"] :]


def measure(name, run, *arguments):
    """Return mean seconds of an epoch, processor seconds in all, and accuracy.

    The first epoch of each phase builds a graph: the phase's median stands for it.
    """
    before = time.process_time()
    phases, accuracies = run(*arguments)
    processor = time.process_time() - before
    total = sum(len(seconds) * np.median(seconds[1:]) for seconds in phases)
    epoch = total / sum(len(seconds) for seconds in phases)
    print(
        f"  {name}: {epoch:.1f} s an epoch, {processor:.0f} s of processor time, "
        f"best validation accuracy at full size {max(accuracies):.3f}",
        flush=True,
    )
    return epoch, processor, max(accuracies)


if __name__ == "__main__":
    main()
