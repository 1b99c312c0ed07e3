"""Train the networks that the book ships, and write them with their cards.

    python tools/train_weights.py                  all that can be trained here
    python tools/train_weights.py drawn-resnet     some of them
    python tools/train_weights.py --resume NAME    go on with a run that was killed

The photographs are those that the chapters would use (SCENECAM_SCENES, data/photos),
the animals those of SCENECAM_ANIMALS or data/animals; networks whose pictures are not
here are left out. A fixed part of the training pictures chooses the epoch; the test
part is looked at once, at the end.
"""

import argparse
import functools
import shutil
from pathlib import Path
from types import MappingProxyType

import keras
from mosaic_training import fine_tune

from scenecam import data, models, recipes, training
from scenecam_cli.defaults import GAP_CNN, HALF_GAPS

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "data" / "cache" / "runs"
SEED = 0

# See scenecam.recipes for what stands in a recipe; ``size`` is that of the pictures
# where it is not the usual one.
# Trained like the others where a recipe names them, but not shipped.
TEACHERS = {
    "photos-teacher": {
        "builder": "resnet",
        "arguments": {"depths": (1, 2, 2)},
        "valid": 0.08,
        "phases": [
            (64, {}, {"epochs": 36, "learning_rate": 2e-3}),
            (96, {}, {"epochs": 14, "learning_rate": 1e-3}),
        ],
    },
}
RECIPES = {
    # It begins with what ImageNet taught it; every weight is tuned, twice, and the mean
    # of both is shipped. It teaches others.
    "photos-lite0": {
        "builder": "efficientnet_lite0",
        "arguments": {"weights": "imagenet"},
        "size": 192,
        "valid": 0.08,
        "phases": [
            (128, {}, {"epochs": 9, "learning_rate": 4e-4, "averaging": 0.99}),
            (192, {}, {"epochs": 4, "learning_rate": 2e-4, "averaging": 0.99}),
        ],
        "averaged_with": (
            128,
            {"weights": "imagenet"},
            {
                "epochs": 7,
                "learning_rate": 4e-4,
                "averaging": 0.99,
                "smallest_crop": 0.75,
            },
        ),
        "renew_statistics": True,
        "calibrate": True,
    },
    "photos-resnet": {
        "builder": "resnet",
        "arguments": {"stem": 32, "widths": (40, 80, 160), "depths": (1, 2, 2)},
        "valid": 0.08,
        "phases": [
            (64, {}, {"epochs": 34, "learning_rate": 2e-3, "averaging": 0.998}),
            (96, {}, {"epochs": 12, "learning_rate": 8e-4, "averaging": 0.998}),
            (
                96,
                {},
                {
                    "epochs": 24,
                    "learning_rate": 1.5e-3,
                    "averaging": 0.998,
                    "label_smoothing": 0.0,
                    "teachers": ("photos-teacher", "itself"),
                    "keep": "last",
                },
            ),
            (
                96,
                {},
                {
                    "epochs": 10,
                    "learning_rate": 1e-3,
                    "averaging": 0.998,
                    "label_smoothing": 0.0,
                    "teachers": ("photos-lite0",),
                    "keep": "last",
                },
            ),
        ],
        "renew_statistics": True,
        "calibrate": True,
    },
    # The first project's network, its stem and stages at half their width.
    "photos-seed_resnet": {
        "builder": "seed_resnet",
        "arguments": {"width": 32, "stages": 3},
        "valid": 0.08,
        "phases": [
            (64, {}, {"epochs": 34, "learning_rate": 2e-3, "averaging": 0.998}),
            (96, {}, {"epochs": 12, "learning_rate": 8e-4, "averaging": 0.998}),
        ],
        "renew_statistics": True,
        "calibrate": True,
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
    "animals-gap_cnn": {
        "builder": "gap_cnn",
        "arguments": {"widths": (16, 32, 48, 64, 96), "normalise": True},
        "valid": 0.08,
        "phases": [
            (32, {}, {"epochs": 8, "learning_rate": 4e-3, "averaging": 0.998}),
        ],
        "calibrate": True,
    },
    # It learns with steps in place of gaps, at a ninth of the cost, and ends with gaps.
    "animals-gap_resnet": {
        "builder": "gap_resnet",
        "arguments": {"widths": (48, 96, 192, 192)},
        "valid": 0.08,
        "phases": [
            (
                32,
                {"dilations": (1, 1, 1, 1), "steps": (1, 2, 2, 1)},
                {"epochs": 48, "learning_rate": 2e-3, "averaging": 0.998},
            ),
            (32, {}, {"epochs": 1, "learning_rate": 2e-4, "averaging": 0.99}),
        ],
        "renew_statistics": True,
        "calibrate": True,
    },
    # The dense layers after the maps depend on the size, so there is a single phase.
    "animals-vgg16": {
        "builder": "vgg16",
        "arguments": {"width": 0.1875},
        "size": 64,
        "valid": 0.08,
        "phases": [(64, {}, {"epochs": 16, "learning_rate": 1e-3})],
        "calibrate": True,
    },
    "drawn-gap_resnet": {
        "builder": "gap_resnet",
        "arguments": {"widths": (16, 16, 32, 32), "dilations": (1, 2, 4, 8)},
        "valid": 0.1,
        "phases": [
            (
                48,
                {"dilations": (1, 1, 2, 4)},
                {"epochs": 14, "learning_rate": 4e-3},
            ),
            (96, {}, {"epochs": 3, "learning_rate": 1e-3}),
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
    # Further steps on mosaics, so that maps keep to their class: see chapter 10.
    "drawn-grid_resnet": {
        "from": "drawn-resnet",
        "valid": 0.1,
        "mosaics": {"epochs": 4, "rate": 3e-4, "weight": 1.0},
        "calibrate": True,
    },
    "photos-grid_resnet": {
        "from": "photos-resnet",
        "valid": 0.08,
        "mosaics": {"epochs": 2, "rate": 3e-4, "weight": 1.0},
        "calibrate": True,
    },
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
    names = options.names or [
        name for name in RECIPES if find_pictures(name.split("-")[0]) is not None
    ]
    for name in names:
        if name not in RECIPES:
            parser.error(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
        if find_pictures(name.split("-")[0]) is None:
            parser.error(
                f"{name} learns from pictures that are not here: see `scenecam fetch`, "
                "or name their folder in SCENECAM_SCENES or SCENECAM_ANIMALS."
            )
    for name in names:
        train_one(name, *load(name, RECIPES[name]), resume=options.resume)


def load(name, recipe):
    """Load the train and the test part of the pictures of a network."""
    read = find_pictures(name.split("-")[0])
    size = {"size": recipe["size"]} if "size" in recipe else {}
    return read("train", **size), read("test", **size)


def find_pictures(kind):
    """Return what loads a part of "drawn", "photos" or "animals"; None if absent."""
    if kind == "animals":
        try:
            data.load_animals("test", count=4)
        except FileNotFoundError:
            return None
        return data.load_animals
    if kind == "photos":
        return data.load_scenes if data.scenes_name() == "photos" else None
    return functools.partial(data.load_scenes, source="drawn")


def follow(
    name, recipe, train, valid, seed, teachers=MappingProxyType({}), *, resume=True
):
    """Follow a recipe, or take what stands from an earlier run."""
    folder = RUNS / name
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{name}: {len(train)} pictures, {_time_it_took(name)}", flush=True)
    return recipes.follow(
        recipe, train, valid, seed=seed, teachers=teachers, folder=folder, resume=resume
    )


def _time_it_took(name):
    try:
        card = models.read_card(name)
    except FileNotFoundError:
        return "not shipped yet"
    cores = card["machine"]["cores"]
    return f"{card['minutes']:.0f} minutes on {cores} cores last time"


def train_one(name, pictures, test, *, resume=False):
    """Follow the recipe `name`; write ``data/weights/name.keras`` and its card."""
    recipe = RECIPES[name]
    train, valid = pictures.split(recipe["valid"], seed=SEED)
    if "from" in recipe:
        first = models.read_card(recipe["from"])
        recipe = {key: first[key] for key in ("builder", "arguments")} | recipe
        model = models.pretrained(recipe["from"])
        history = fine_tune(model, train, valid, **recipe["mosaics"])
        return write(name, recipe, model, history, (pictures, train, valid, test))
    phases = [recipes.Phase(*phase) for phase in recipe["phases"]]
    # Does it end by learning from a network that is shipped, and larger?
    taught = phases[-1].settings.get("teachers") in [(one,) for one in RECIPES]
    first = phases[:-1] if taught else phases
    teachers = {
        teacher: find_teacher(teacher)
        for phase in first
        for teacher in phase.settings.get("teachers", ())
        if teacher != "itself"
    }
    part = {**recipe, "phases": first, "renew_statistics": False}
    model, history = follow(name, part, train, valid, SEED, teachers, resume=resume)
    if taught:
        learn_from_larger(name, model, history, len(phases))
    if "averaged_with" in recipe:
        average(model, history, recipes.Phase(*recipe["averaged_with"]), train, valid)
    if recipe.get("renew_statistics"):
        training.renew_statistics(model, train, seed=SEED)
    return write(name, recipe, model, history, (pictures, train, valid, test))


def learn_from_larger(name, model, history, number):
    """Follow the last phase of a recipe, whose teacher is a larger network.

    The teacher sees the same crops at its own size; made from small pictures they would
    be unlike all that it knows.
    """
    phase = recipes.Phase(*RECIPES[name]["phases"][number - 1])
    teacher = models.pretrained(*phase.settings["teachers"])
    large = load(name, {"size": teacher.input_shape[1]})[0]
    parts = large.split(RECIPES[name]["valid"], seed=SEED)
    inputs = keras.Input(teacher.input_shape[1:])
    small = keras.layers.Resizing(phase.side, phase.side)(inputs)
    settings = recipes.SHARED | phase.settings | {"teachers": [teacher]}
    student = keras.Model(inputs, model(small))
    made = training.fit(student, *parts, **settings, seed=SEED + number)
    join(history, phase.side, made)


def average(model, history, phase, train, valid):
    """Tune a network once more from its start; take the mean of both runs' weights.

    The second run keeps the statistics of batch normalisation as ImageNet left them.
    What is tuned from one start ends so near that the mean of the weights is better
    than either: Wortsman et al. (2022), "Model soups".
    """
    base = models.efficientnet_lite0(
        **phase.arguments, side=phase.side, classes=len(train.class_names)
    )
    inputs = keras.Input(base.input_shape[1:])
    frozen = keras.Model(inputs, base(inputs, training=False))
    settings = recipes.SHARED | phase.settings
    second = training.fit(frozen, train, valid, **settings, seed=SEED + 7)
    pairs = zip(model.get_weights(), base.get_weights(), strict=True)
    model.set_weights([(one + two) / 2 for one, two in pairs])
    join(history, phase.side, second)


def join(history, side, more):
    """Add the epochs of a further run to a history."""
    history["side"] += [side] * len(more["loss"])
    for key, values in more.items():
        history[key].extend(round(value, 4) for value in values)


def find_teacher(name):
    """Train a teacher that is not shipped, or take what stands from an earlier run."""
    recipe = TEACHERS[name]
    train, valid = load(name, recipe)[0].split(recipe["valid"], seed=SEED)
    return follow(name, recipe, train, valid, SEED)[0]


def write(name, recipe, model, history, parts):
    """Calibrate, round, score and save a network with its card."""
    pictures, train, valid, test = parts
    temperature = None
    if recipe.get("calibrate"):
        temperature = recipes.calibrate(model, valid)
    # What is scored is what is shipped: the network with rounded kernels.
    rounded = models.save_model(model, RUNS / name / "rounded.keras", compact=True)
    model = models.load_model(rounded)
    scores = recipes.score(model, test)
    card = recipes.make_card(
        recipe,
        model,
        history,
        class_names=train.class_names,
        data={
            "kind": name.split("-")[0],
            "train": len(train),
            "valid": len(valid),
            "test": len(test),
            "sha256_train": recipes.checksum(pictures),
            "sha256_test": recipes.checksum(test),
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
