"""Train a network on a folder of class folders.

FOLDER has one folder of pictures for each class; or a train and a test part of such
folders (train/ and test/, seg_train/seg_train/ and seg_test/seg_test/). The network
learns from the train part. Where there is none, a fifth of every class, chosen by the
pictures' names, stays out for `scenecam evaluate`; --part all learns from them too.

what is written:
  NAME.keras  the network; its probabilities are calibrated
  NAME.json   its card: classes, data with checksum, recipe, seed, machine, scores on
              the pictures set aside to choose the epoch, every epoch's numbers
  NAME.run    while it trains: the state after each epoch, for --resume

The same command gives the same weights on the same machine.

examples:
  scenecam train photos/ --out my.keras
  scenecam train photos/ --out my.keras --resume
  scenecam train photos/ --out maps.keras --builder gap_cnn --epochs 16
  scenecam train photos/ --out tuned.keras --builder efficientnet_lite0 --epochs 9
  scenecam evaluate photos/ --weights my.keras --out report
"""

from __future__ import annotations

import argparse
import os
import shutil
import warnings
from pathlib import Path

from scenecam import __version__
from scenecam_cli import class_folders, terminal
from scenecam_cli.defaults import DEFAULTS, default_recipe
from scenecam_cli.terminal import positive, whole

CHOICE = "Choose another --out, or add --overwrite to replace it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `train`."""
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="one folder of pictures for each class")
    add("--out", required=True, metavar="NAME.keras", help="file to write")
    add(
        "--builder",
        choices=DEFAULTS,
        default="resnet",
        help="the network: residual (default), without pooling, plain, the report's, "
        "or one that has learned from ImageNet",
    )
    add(
        "--size",
        type=positive,
        default=96,
        metavar="PIXELS",
        help="height and width at which it sees pictures (default: 96)",
    )
    add("--epochs", type=positive, default=40, metavar="N", help="default: 40")
    add(
        "--batch-size",
        type=positive,
        metavar="N",
        help="pictures per step (default: 64, fewer where there are few pictures)",
    )
    add("--seed", type=whole, default=0, metavar="N", help="of all chance (default: 0)")
    add(
        "--valid",
        type=terminal.share,
        default=0.1,
        metavar="0..1",
        help="share of the pictures set aside to choose the epoch (default: 0.1)",
    )
    add(
        "--balance",
        action="store_true",
        help="let each class count the same, however many pictures it has",
    )
    class_folders.add_arguments(parser, part="train")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="go on with a run that was stopped"
    )
    again.add_argument(
        "--overwrite", action="store_true", help="replace the network or the run"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, or go on where a run was stopped, and say what came of it."""
    out = Path(os.path.abspath(arguments.out))
    class_folders.check_outside(out, arguments.folder)
    _check_place(out, free=arguments.resume or arguments.overwrite)
    pictures, skipped = class_folders.load_pictures(arguments, arguments.size)
    try:
        card = _train(pictures, out, arguments)
    except KeyboardInterrupt:
        return terminal.say(130, "interrupted; with --resume the same command goes on.")
    scores, data = card["valid"], card["data"]
    print(
        f"{card['builder']} with {card['parameters']:,} parameters, "
        f"{data['train']:,} pictures, {card['epochs']} epochs in "
        f"{terminal.duration(60 * card['minutes'])}"
    )
    print(
        f"accuracy {scores['accuracy']:.1%} on the {data['valid']:,} pictures that "
        "chose the epoch; pictures that it has never seen tell more: scenecam evaluate"
    )
    print(f"Network: {out}")
    terminal.report_problems(skipped)
    return 0


def _train(pictures, out: Path, arguments: argparse.Namespace) -> dict:
    """Train, calibrate and save a network, unless it stands; return its card."""
    from scenecam_cli import run_folder

    with terminal.without_notes():
        from scenecam import models, recipes, training

    names = ("builder", "size", "epochs", "batch_size", "valid", "balance")
    options = {name: getattr(arguments, name) for name in names}
    train, valid = _split(pictures, arguments.valid, arguments.seed)
    if (unequal := training.unequal_classes(train)) and not arguments.balance:
        print(f"{unequal}; with --balance each class counts the same.", flush=True)
    digest = recipes.checksum(pictures)
    recipe = default_recipe(**options, pictures=len(train))
    settings = {
        "scenecam": __version__,
        **options,
        "batch_size": recipe["phases"][0].settings["batch_size"],
        "seed": arguments.seed,
        "class_names": list(pictures.class_names),
        "pictures": f"{len(pictures)} with SHA-256 {digest[:16]}",
    }
    folder, resume = out.with_suffix(".run"), arguments.resume
    if resume and (card := _finished(out, settings)):
        print("Nothing is left to do: the network stands, and was made like this.")
        shutil.rmtree(folder, ignore_errors=True)
        return card
    folder.mkdir(parents=True, exist_ok=True)
    with run_folder.locked(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore", training.UnequalClasses)  # said above
        _begin(out, folder, settings, resume=resume)
        model, history = recipes.follow(
            recipe, train, valid, seed=arguments.seed, folder=folder, resume=resume
        )
        temperature = recipes.calibrate(model, valid)
        card = recipes.make_card(
            recipe,
            model,
            history,
            class_names=pictures.class_names,
            data={"train": len(train), "valid": len(valid), "sha256": digest},
            scores={"valid": recipes.score(model, valid)},
            seed=arguments.seed,
            temperature=temperature,
        )
        models.save_model(model, out, card={"settings": settings, **card})
        shutil.rmtree(folder, ignore_errors=True)
    return card


def _split(pictures, valid: float, seed: int):
    few = [name for name, count in pictures.counts().items() if count < 2]
    if few:
        raise ValueError(
            f"the class {few[0]!r} has a single picture to train with, and needs two: "
            "one to learn from, one to choose the epoch with. Add pictures, or leave "
            "the class out with --classes."
        )
    return pictures.split(valid, seed=seed)


# ---- The place, and the state beside it ----------------------------------------------

# While a training goes on, all that it needs to go on again lies in a folder beside the
# network's place, NAME.run for NAME.keras. The network appears whole when it is done,
# and the folder goes. The settings in the folder, and on the card, keep a run from
# going on with another one's state.


def _check_place(out: Path, *, free: bool) -> None:
    """Raise ValueError unless a network may be trained for this file.

    Nothing is changed. With `free`, what is there may be resumed or replaced.
    """
    from scenecam_cli.run_folder import SETTINGS, read_settings, shown_path

    if out.suffix != ".keras":
        raise ValueError(
            f"--out must name a file that ends in .keras; received {out.name!r}."
        )
    folder = out.with_suffix(".run")
    begun = read_settings(folder)
    # What a run that was killed at its start or end leaves.
    left = (path.name.removeprefix(".partial.") for path in folder.glob("*"))
    if begun is None and not all(name == SETTINGS or name.isdecimal() for name in left):
        raise ValueError(
            f"{shown_path(folder)} is in the way: the state of the training goes "
            "there, and what lies in it is not from here. Choose another --out."
        )
    if begun is not None and not free:
        raise ValueError(
            f"a training of {shown_path(out)} was begun. Add --resume to go on with "
            "it, or --overwrite to start again."
        )
    if out.exists() and not free:
        raise ValueError(f"{shown_path(out)} exists. {CHOICE}")


def _begin(out: Path, folder: Path, settings: dict, *, resume: bool) -> None:
    """Make the folder hold the state of a run with these settings, or none."""
    from scenecam_cli import run_folder

    begun = run_folder.read_settings(folder)
    if resume and begun is not None:
        run_folder.check_settings(folder, begun, settings)
        return
    if resume and out.exists():
        folder.rmdir()
        raise ValueError(
            f"{run_folder.shown_path(out)} exists, and was made with other pictures or "
            f"options, or another version. {CHOICE}"
        )
    # The settings go first: without them nobody goes on with what is left of a state.
    (folder / run_folder.SETTINGS).unlink(missing_ok=True)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run_folder.write_settings(folder, settings)


def _finished(out: Path, settings: dict) -> dict | None:
    """Return the card, if the network stands there and was made with the settings."""
    from scenecam._models import weights

    try:
        card = weights.read_card(out)
        if card.get("sha256") != weights.sha256_of(out):
            return None
    except (OSError, ValueError):
        return None
    version = settings["scenecam"]
    # Before there was --balance, no card spoke of it.
    made = {"balance": False, **card.get("settings", {}), "scenecam": version}
    return card if made == settings else None
