"""Train the networks that the book ships, and write them with their cards.

    python tools/train_weights.py                  all that can be trained here
    python tools/train_weights.py drawn-resnet     some of them
    python tools/train_weights.py --resume NAME    go on with a run that was killed

The photographs are those that the chapters would use (SCENECAM_SCENES, data/photos);
without them only the networks for the drawn scenes are trained. A fixed part of the
training pictures chooses the epoch; the test part is looked at once, at the end.
"""

import argparse
import hashlib
import os
import platform
import shutil
import time
from pathlib import Path

import keras
import numpy as np

from scenecam import data, evaluation, models, scenes, training

ROOT = Path(__file__).resolve().parents[1]
SEED = 0

# A network can start on small pictures: the kernels are the same, the arithmetic is a
# fraction, and the last epochs get used to the size that it will be asked at. Phases:
# side of the pictures, the builder's arguments that hold for this phase alone, and
# those of training.fit. (A kernel with a gap of 2 pixels sees in a picture what one
# without a gap sees in the same picture at half the size.)
SHARED = {
    "batch_size": 64,
    "schedule": "cosine",
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "patience": 1000,  # the cosine ends each phase; the best epoch is kept anyway
}
GAP_CNN = {
    "widths": (12, 16, 24, 32, 48),
    "dilations": (1, 2, 4, 8, 8),
    "normalise": True,
}
HALF_GAPS = {"dilations": (1, 1, 2, 4, 4)}
RECIPES = {
    "photos-resnet": {
        "builder": "resnet",
        "arguments": {"depths": (1, 2, 2)},
        "valid": 0.08,
        "phases": [
            (64, {}, {"epochs": 36, "learning_rate": 2e-3}),
            (96, {}, {"epochs": 14, "learning_rate": 1e-3}),
        ],
    },
    "drawn-resnet": {
        "builder": "resnet",
        "arguments": {},
        "valid": 0.1,
        "phases": [
            (64, {}, {"epochs": 12, "learning_rate": 2e-3}),
            (96, {}, {"epochs": 5, "learning_rate": 1e-3}),
        ],
    },
    "photos-gap_cnn": {
        "builder": "gap_cnn",
        "arguments": GAP_CNN,
        "valid": 0.08,
        "phases": [
            (48, HALF_GAPS, {"epochs": 12, "learning_rate": 4e-3}),
            (96, {}, {"epochs": 2, "learning_rate": 1e-3}),
        ],
    },
    "drawn-gap_cnn": {
        "builder": "gap_cnn",
        "arguments": GAP_CNN,
        "valid": 0.1,
        "phases": [
            (48, HALF_GAPS, {"epochs": 14, "learning_rate": 4e-3}),
            (96, {}, {"epochs": 2, "learning_rate": 1e-3}),
        ],
    },
}


def main():
    """Train the named networks, or all whose pictures are here."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--resume", action="store_true", help="go on with a killed run")
    options = parser.parse_args()
    have = "photos" if data.scenes_name() == "photos" else "drawn"
    names = options.names or [
        name for name in RECIPES if name.startswith("drawn") or have == "photos"
    ]
    for name in names:
        if name not in RECIPES:
            parser.error(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
        if name.startswith("photos") and have != "photos":
            parser.error(
                f"{name} learns from photographs: put their folder into "
                "SCENECAM_SCENES, or fetch them into data/photos."
            )
    for name in names:
        if name.startswith("drawn"):
            os.environ["SCENECAM_SCENES"] = "drawn"
        train_one(
            name,
            data.load_scenes("train"),
            data.load_scenes("test"),
            resume=options.resume,
        )


def train_one(name, pictures, test, *, resume=False):
    """Follow the recipe `name`; write ``data/weights/name.keras`` and its card."""
    recipe = RECIPES[name]
    train, valid = pictures.split(recipe["valid"], seed=SEED)
    folder = ROOT / "data" / "cache" / "runs" / name
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    model, history = None, {"side": []}
    for number, (side, own, settings) in enumerate(recipe["phases"], start=1):
        print(
            f"{name}: phase {number}, {side} pixels, {len(train)} pictures", flush=True
        )
        build = getattr(models, recipe["builder"])
        next_model = build(
            (side, side, 3),
            num_classes=len(train.class_names),
            seed=SEED,
            **recipe["arguments"] | own,
        )
        if model is not None:
            next_model.set_weights(model.get_weights())
        model = next_model
        part = training.fit(
            model,
            train,
            valid,
            **SHARED | settings,
            seed=SEED + number,
            folder=folder / str(number),
            resume=resume,
        )
        history["side"] += [side] * len(part["loss"])
        for key, values in part.items():
            history.setdefault(key, []).extend(round(value, 4) for value in values)
    scores = score(model, test)
    card = {
        "name": name,
        "builder": recipe["builder"],
        "arguments": recipe["arguments"],
        "input_shape": model.input_shape[1:],
        "class_names": train.class_names,
        "parameters": model.count_params(),
        "data": {
            "kind": name.split("-")[0],
            "train": len(train),
            "valid": len(valid),
            "test": len(test),
            "sha256_train": checksum(pictures),
            "sha256_test": checksum(test),
        },
        "recipe": {"shared": SHARED, "phases": recipe["phases"], "seed": SEED},
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "epochs": len(history["loss"]),
        "minutes": round(sum(history["seconds"]) / 60, 1),
        "test": scores,
        "history": history,
    }
    path = models.save_model(
        model, ROOT / "data" / "weights" / f"{name}.keras", card=card
    )
    print(
        f"{name}: test accuracy {scores['accuracy']:.4f}, {card['minutes']} minutes, "
        f"{path.stat().st_size / 1e6:.2f} MB",
        flush=True,
    )


def score(model, test):
    """Accuracy with interval, scores per class and calibration on the test part."""
    probabilities = models.predict(model, test.images)
    predictions = probabilities.argmax(axis=1)
    accuracy, low, high = evaluation.accuracy_interval(test.labels, predictions)
    table = evaluation.classification_table(
        labels=test.labels, predictions=predictions, class_names=test.class_names
    )
    error = evaluation.expected_calibration_error(test.labels, probabilities)
    return {
        "accuracy": round(accuracy, 4),
        "interval": [round(low, 4), round(high, 4)],
        "macro_f1": round(table["macro avg"]["f1-score"], 4),
        "calibration_error": round(error, 4),
        "classes": {
            name: {key: round(value, 4) for key, value in table[name].items()}
            for name in test.class_names
        },
    }


def checksum(pictures: scenes.SceneSet) -> str:
    """SHA-256 of the pixels and labels, in their order."""
    found = hashlib.sha256()
    for start in range(0, len(pictures), 256):
        found.update(np.ascontiguousarray(pictures.images[start : start + 256]))
    found.update(np.ascontiguousarray(pictures.labels))
    return found.hexdigest()


def machine() -> dict:
    """Kind of machine, without its name."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        models_named = [line.split(":")[1] for line in lines if "model name" in line]
        processor = models_named[0].strip() if models_named else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }


if __name__ == "__main__":
    main()
