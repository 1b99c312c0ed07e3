"""A training that may be killed: pictures in, a saved network with its card out.

While it goes on, all that it needs to go on again lies in a folder beside the network's
place: NAME.run for NAME.keras. The network appears whole when it is done, and the
folder goes. Settings in the folder, and on the card, keep a run from going on with
another one's state.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from scenecam import __version__, models, recipes
from scenecam.images import shown_path
from scenecam.scenes import SceneSet
from scenecam_cli import run_folder as results

CHOICE = "Choose another --out, or add --overwrite to replace it."


def check_place(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise unless a network may be trained for this file; nothing is changed.

    Parameters
    ----------
    out : Path
        Where the network shall stand, ending in ``.keras``.
    resume, overwrite : bool
        Whether a run may go on, or what is there may be replaced.

    Raises
    ------
    ValueError
        If the name has another ending, its folder cannot be one, or something is there
        already that is neither to be resumed nor replaced.
    """
    if out.suffix != ".keras":
        raise ValueError(
            f"--out must name a file that ends in .keras; received {out.name!r}."
        )
    folder = _state_folder(out)
    begun = results.read_settings(folder)
    if begun is None and folder.is_dir() and any(_foreign(folder)):
        raise ValueError(
            f"{shown_path(folder)} is in the way: the state of the training goes "
            "there, and what lies in it is not from here. Choose another --out."
        )
    if resume or overwrite:
        return
    if begun is not None:
        raise ValueError(
            f"a training of {shown_path(out)} was begun. Add --resume to go on with "
            "it, or --overwrite to start again."
        )
    if out.exists():
        raise ValueError(f"{shown_path(out)} exists. {CHOICE}")


def train_network(
    pictures: SceneSet,
    out: Path,
    *,
    options: dict,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    verbose: str | int = "auto",
) -> tuple[dict, bool]:
    """Train, calibrate and save a network, or go on where a run was stopped.

    Parameters
    ----------
    pictures : SceneSet
        A part of every class is set aside to choose the epoch, and to calibrate.
    out : Path
        Where the network shall stand, ending in ``.keras``; the card goes beside it.
    options : dict
        ``builder``, ``size``, ``epochs``, ``batch_size`` and ``valid`` of
        `recipes.default_recipe`.
    seed : int
        The same seed, pictures and options give the same weights on one machine.
    resume, overwrite : bool
        As in `check_place`.
    verbose : {"auto", 0, 1, 2}
        As in `training.fit`.

    Returns
    -------
    card : dict
        As it stands beside the network.
    trained : bool
        False if there was nothing left to do.

    Raises
    ------
    ValueError
        As `check_place`; if a class has too few pictures, another run is at work, or
        what is there was made with other settings.
    OSError
        If something cannot be written.
    """
    check_place(out, resume=resume, overwrite=overwrite)
    train, valid = _split(pictures, options["valid"], seed)
    digest = recipes.checksum(pictures)
    recipe = recipes.default_recipe(**options, pictures=len(train))
    settings = {
        "scenecam": __version__,
        **options,
        "batch_size": recipe["phases"][0][2]["batch_size"],
        "seed": seed,
        "class_names": list(pictures.class_names),
        "pictures": f"{len(pictures)} with SHA-256 {digest[:16]}",
    }
    folder = _state_folder(out)
    if resume and (card := _finished(out, settings)):
        _remove(folder)
        return card, False
    folder.mkdir(parents=True, exist_ok=True)
    with results.locked(folder):
        _begin(out, folder, settings, resume=resume)
        model, history = recipes.follow(
            recipe,
            train,
            valid,
            seed=seed,
            folder=folder,
            resume=resume,
            verbose=verbose,
        )
        temperature = recipes.calibrate(model, valid)
        card = recipes.make_card(
            recipe,
            model,
            history,
            class_names=pictures.class_names,
            data={"train": len(train), "valid": len(valid), "sha256": digest},
            scores={"valid": recipes.score(model, valid)},
            seed=seed,
            temperature=temperature,
        )
        models.save_model(model, out, card={"settings": settings, **card})
        _remove(folder)
    return json.loads(out.with_suffix(".json").read_text(encoding="utf-8")), True


def _split(pictures: SceneSet, share: float, seed: int) -> tuple[SceneSet, SceneSet]:
    few = [name for name, count in pictures.counts().items() if count < 2]
    if few:
        raise ValueError(
            f"the class {few[0]!r} has a single picture to train with, and needs two: "
            "one to learn from, one to choose the epoch with. Add pictures, or leave "
            "the class out with --classes."
        )
    return pictures.split(share, seed=seed)


def _begin(out: Path, folder: Path, settings: dict, *, resume: bool) -> None:
    """Make the folder hold the state of a run with these settings, or none."""
    begun = results.read_settings(folder)
    if resume and begun is not None:
        results.check_settings(folder, begun, settings)
        return
    if resume and out.exists():
        folder.rmdir()
        raise ValueError(
            f"{shown_path(out)} exists, and was made with other pictures or options, "
            f"or another version. {CHOICE}"
        )
    _empty(folder)
    results.write_settings(folder, settings)


def _finished(out: Path, settings: dict) -> dict | None:
    """Return the card, if the network stands there and was made with the settings."""
    try:
        card = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
        digest = hashlib.sha256(out.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return None
    if not isinstance(card, dict) or card.get("sha256") != digest:
        return None
    made = {**card.get("settings", {}), "scenecam": settings["scenecam"]}
    return card if made == settings else None


def _state_folder(out: Path) -> Path:
    return out.with_suffix(".run")


def _foreign(folder: Path):
    """Iterate over what a run that was killed at its start or end does not leave."""
    for path in folder.iterdir():
        if path.name != f".{results.SETTINGS}.part" and not path.name.isdecimal():
            yield path


def _remove(folder: Path) -> None:
    if folder.is_dir():
        _empty(folder)
        folder.rmdir()


def _empty(folder: Path) -> None:
    # The settings go first: without them nobody goes on with what is left of a state.
    (folder / results.SETTINGS).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
