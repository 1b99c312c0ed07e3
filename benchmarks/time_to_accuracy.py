"""Train from nothing to the accuracy of the report that this book began with.

    SCENECAM_SCENES=path/to/photographs python benchmarks/time_to_accuracy.py

The report named 86.59 % of its photographs rightly. Here a short recipe, the same for
every seed, learns from all training pictures, and the test part is asked once, at its
end: it chooses nothing. The minutes are of the whole of `recipes.follow`, building and
compiling included, without loading and importing.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from scenecam import data, models, recipes

REPORT = 0.8659
ALIKE = {"keep": "last", "smallest_crop": 0.5, "averaging": 0.98}

# Most is learned at 48 pixels, with half the arithmetic of 64; the last epochs
# get used to the size that the network is asked at in the end.
RECIPE = {
    "builder": "resnet",
    "arguments": {"depths": [1, 2, 2]},
    "phases": [
        (48, {}, {"epochs": 8, "learning_rate": 4e-3, **ALIKE}),
        (64, {}, {"epochs": 2, "learning_rate": 1e-3, **ALIKE}),
    ],
    "renew_statistics": True,
}


def train_once(train, test, seed, verbose):
    """Follow the recipe; return accuracy, minutes by the clock and of the processor."""
    keras.utils.clear_session()
    clock, processor = time.perf_counter(), time.process_time()
    # One picture of each class is asked after each epoch, and decides nothing.
    few = train.per_class(1, seed=seed)
    model, _ = recipes.follow(RECIPE, train, few, seed=seed, verbose=verbose)
    spent = time.perf_counter() - clock, time.process_time() - processor
    named = models.predict(model, test.images).argmax(axis=1)
    accuracy = (named == test.labels).mean()
    return accuracy, *(seconds / 60 for seconds in spent)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--verbose", type=int, default=0)
    options = parser.parse_args()
    side, _, _ = RECIPE["phases"][-1]
    train, test = data.load_scenes("train"), data.load_scenes("test", size=side)
    machine = recipes.machine()
    print(
        f"{len(train)} {data.scenes_name()} pictures; the test part has {len(test)}\n"
        f"{machine['cores']} cores, {machine['processor']}\n\n"
        "| seed | test accuracy | minutes by the clock | of processor time |\n"
        "|---|---:|---:|---:|"
    )
    rows = []
    for seed in range(options.seeds):
        rows.append(train_once(train, test, seed, options.verbose))
        print(show(seed, rows[-1]), flush=True)
    print(show("median", map(statistics.median, zip(*rows, strict=True))))
    reached = sum(row[0] >= REPORT for row in rows)
    print(f"\n{reached} of {len(rows)} seeds reach {REPORT:.2%}")


def show(name, row):
    """Return a line of the table."""
    accuracy, clock, processor = row
    return f"| {name} | {accuracy:.2%} | {clock:.1f} | {processor:.1f} |"


if __name__ == "__main__":
    main()
