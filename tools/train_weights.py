"""Train the networks that the book ships, and write them with their cards.

    python tools/train_weights.py                  all that can be trained here
    python tools/train_weights.py drawn-resnet     some of them
    python tools/train_weights.py --resume NAME    go on with a run that was killed

The photographs are those that the chapters would use (SCENECAM_SCENES, data/photos);
without them only the networks for the drawn scenes are trained. A fixed part of the
training pictures chooses the epoch; the test part is looked at once, at the end.
"""

import argparse
import os
import shutil
from pathlib import Path

from scenecam import data, models, recipes, records

ROOT = Path(__file__).resolve().parents[1]
SEED = 0

# See scenecam.recipes for what stands in a recipe.
SHARED = recipes.SHARED
GAP_CNN, HALF_GAPS = recipes.GAP_CNN, recipes.HALF_GAPS
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
    # The dense layers after the maps depend on the size, so there is a single phase.
    "drawn-vgg16": {
        "builder": "vgg16",
        "arguments": {"width": 0.125},
        "valid": 0.1,
        "phases": [(96, {}, {"epochs": 24, "batch_size": 32, "learning_rate": 1e-3})],
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
    print(f"{name}: {len(train)} pictures", flush=True)
    model, history = recipes.follow(
        recipe, train, valid, seed=SEED, folder=folder, resume=resume
    )
    temperature = None
    if recipe.get("calibrate"):
        temperature = recipes.calibrate(model, valid)
    # What is scored is what is shipped: the network with rounded kernels.
    rounded = models.save_model(model, folder / "rounded.keras", compact=True)
    model = models.load_model(rounded)
    scores = records.score(model, test)
    card = records.make_card(
        recipe,
        model,
        history,
        class_names=train.class_names,
        data={
            "kind": name.split("-")[0],
            "train": len(train),
            "valid": len(valid),
            "test": len(test),
            "sha256_train": records.checksum(pictures),
            "sha256_test": records.checksum(test),
        },
        scores={"test": scores},
        seed=SEED,
        temperature=temperature,
    )
    card = {"name": name, **card}
    path = models.save_model(
        model, ROOT / "data" / "weights" / f"{name}.keras", card=card, compact=True
    )
    print(
        f"{name}: test accuracy {scores['accuracy']:.4f}, {card['minutes']} minutes, "
        f"{path.stat().st_size / 1e6:.2f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
