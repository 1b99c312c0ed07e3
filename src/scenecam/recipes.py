"""Recipes: how a network is trained, as plain data; the following, and the record.

A recipe is a dict of what JSON knows, so that it can stand on the network's card:

- ``builder``: name of a function of `models`; ``arguments``: those it gets.
- ``phases``: list of :class:`Phase`, or of lists of three, as JSON gives them back.
- ``valid``: share of every class that is set aside to choose the epoch.
- ``renew_statistics``, optional: whether `training.renew_statistics` follows.
- ``calibrate``, optional: whether a temperature is fitted at the end.
"""

import hashlib
import inspect
import os
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from scenecam import evaluation, models, training
from scenecam._training import reporters
from scenecam.scenes import SceneSet

SHARED = {
    "batch_size": 64,
    "schedule": "cosine",
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "patience": 1000,  # the cosine ends each phase
}


class Phase(NamedTuple):
    """Some epochs of a recipe, on pictures of one size.

    The weights go from phase to phase, so a network can start on small pictures: the
    kernels are the same, the arithmetic is a fraction, and the last epochs get used to
    the size that it will be asked at.

    `side` is height and width of the pictures, `arguments` those of the builder that
    hold for this phase alone. `settings` has ``epochs``, and other fields of
    `training.Settings` that differ from `SHARED`. With ``teachers`` the phase learns
    from their probabilities instead of the labels: names of networks that the caller
    brings, and ``itself``, the network as the phase before left it.
    """

    side: int
    arguments: dict
    settings: dict


def follow(
    recipe: dict,
    train: SceneSet,
    valid: SceneSet,
    *,
    seed: int = 0,
    teachers: Mapping[str, keras.Model] | None = None,
    folder: str | os.PathLike | None = None,
    resume: bool = False,
    verbose: str | int = "auto",
) -> tuple[keras.Model, dict]:
    """Train a network, phase by phase.

    Parameters
    ----------
    recipe : dict
        See the module's docstring.
    train, valid, resume, verbose
        As in `training.fit`.
    seed : int
        Of the weights; every phase has its own for the order and the augmentation.
    teachers : mapping of str to keras.Model, optional
        The networks that the recipe calls teachers, of the size of their phase.
    folder : path, optional
        Where each phase has a folder with its state.

    Returns
    -------
    model : keras.Model
        With the weights of the epoch that its last phase keeps.
    history : dict of str to list
        That of `training.fit` for all phases, rounded, with the ``side`` of the
        pictures of every epoch.

    Raises
    ------
    ValueError
        As the builder and `training.fit`; if a teacher is missing.
    """
    phases = [Phase(*phase) for phase in recipe["phases"]]
    costs = [p.side**2 for p in phases for _ in range(p.settings["epochs"])]
    always = {"number": len(train.class_names), "seed": seed}
    weights, history, first = None, {"side": []}, 0
    for number, (side, own, settings) in enumerate(phases, start=1):
        model = _build(recipe["builder"], side, recipe["arguments"] | own, **always)
        if weights is not None:
            model.set_weights(weights)
        settings = {**SHARED, **settings, "seed": seed + number}
        if "teachers" in settings:
            names = settings["teachers"]
            settings["teachers"] = _teachers(names, teachers or {}, model)
        part = training.fit(
            model,
            train,
            valid,
            **settings,
            folder=None if folder is None else Path(folder) / str(number),
            resume=resume,
            verbose=reporters.make_reporter(verbose, costs, len(train), first),
        )
        weights, first = model.get_weights(), first + settings["epochs"]
        history["side"] += [side] * len(part["loss"])
        for key, values in part.items():
            history.setdefault(key, []).extend(round(value, 4) for value in values)
    if recipe.get("renew_statistics"):
        training.renew_statistics(model, train, seed=seed)
    return model, history


def _build(builder, side, arguments, *, number, seed) -> keras.Model:
    """Call a builder by the names that it has for size of pictures and classes."""
    known = inspect.signature(build := getattr(models, builder)).parameters
    given = {**arguments, "num_classes": number, "classes": number, "seed": seed}
    given |= {"input_shape": (side, side, 3), "side": side}
    return build(**{name: given[name] for name in given.keys() & known})


def _teachers(names, teachers, model) -> list[keras.Model]:
    """Find the teachers of a phase; a copy of the network that it begins with, too."""
    if not {*teachers, "itself"} >= set(names):
        raise ValueError(
            f"the recipe wants the teachers {', '.join(names)}; `teachers` has "
            f"{list(teachers)}. Give them all, name to network."
        )
    found = dict(teachers)
    if "itself" in names:
        found["itself"] = keras.models.clone_model(model)
        found["itself"].set_weights(model.get_weights())
    return [found[name] for name in names]


def calibrate(model: keras.Model, valid: SceneSet) -> float:
    """Divide the logits of a network by the temperature that fits a validation part.

    The last layer's weights and bias are divided, so that the probabilities are
    calibrated wherever the network goes. What it predicts stays, and a class map
    changes by the factor alone. The pictures of `valid` have the size of the model's.

    Returns
    -------
    float
        The temperature. 1 if no picture of `valid` is named wrongly: the cross-entropy
        then falls for as long as the temperature does, and there is nothing to fit.

    Raises
    ------
    ValueError
        If the model does not end in a dense layer without activation.

    Notes
    -----
    Guo et al. (2017), "On calibration of modern neural networks", section 4.2.
    """
    last = model.layers[-1]
    dense = isinstance(last, keras.layers.Dense)
    if not dense or last.activation is not keras.activations.linear:
        raise ValueError(
            "a temperature goes into a last dense layer without activation; the model "
            f"ends in {last.name!r}, a {type(last).__name__}. Leave `calibrate` out."
        )
    probabilities = models.predict(model, valid.images)
    if (probabilities.argmax(axis=1) == valid.labels).all():
        return 1.0
    temperature = evaluation.fit_temperature(valid.labels, probabilities)
    last.set_weights([weights / temperature for weights in last.get_weights()])
    return temperature


def make_card(
    recipe, model, history, *, class_names, data, scores, seed=0, temperature=None
) -> dict:
    """Say how a network was made, for `models.save_model`.

    `class_names` stand in the order of the logits; `data` says what the pictures were:
    numbers, checksums, a dict; `scores` has the `score` of each part by its name;
    `model` and `history` come from `follow`, by this `recipe` and `seed`; `temperature`
    is what `calibrate` returned.
    """
    steps = dict(recipe)
    shared = {"shared": SHARED} if "phases" in steps else {}
    fitted = {} if temperature is None else {"temperature": round(temperature, 4)}
    return {
        "builder": steps.pop("builder"),
        "arguments": steps.pop("arguments"),
        "input_shape": model.input_shape[1:],
        "class_names": class_names,
        "parameters": model.count_params(),
        "data": data,
        "recipe": {**shared, **steps, "seed": seed},
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "epochs": len(history["loss"]),
        "minutes": round(sum(history["seconds"]) / 60, 1),
        **fitted,
        **scores,
        "history": history,
    }


def score(model: keras.Model, scenes: SceneSet) -> dict:
    """Give accuracy with its interval, calibration error, and what each class got.

    The ``confusions`` count pictures: true classes in rows, predicted ones in columns.
    """
    probabilities = models.predict(model, scenes.images)
    pair = {"labels": scenes.labels, "predictions": probabilities.argmax(axis=1)}
    names = scenes.class_names
    accuracy, *interval = evaluation.accuracy_interval(**pair)
    table = evaluation.classification_table(**pair, class_names=names)
    error = evaluation.expected_calibration_error(scenes.labels, probabilities)
    numbers = {
        "accuracy": accuracy,
        "interval": interval,
        "macro_f1": table["macro avg"]["f1-score"],
        "calibration_error": error,
        "classes": {name: table[name] for name in names},
    }
    counted = evaluation.confusion(**pair, num_classes=len(names)).tolist()
    rounded = keras.tree.map_structure(lambda number: round(number, 4), numbers)
    return {**rounded, "confusions": counted}


def checksum(scenes: SceneSet) -> str:
    """Give the SHA-256 of the pixels and labels, in their order."""
    found = hashlib.sha256(np.ascontiguousarray(scenes.images))
    found.update(np.ascontiguousarray(scenes.labels))
    return found.hexdigest()


def machine() -> dict:
    """Say what kind of machine this is, without its name."""
    file = Path("/proc/cpuinfo")
    named = file.is_file() and re.search(r"model name\s*: (.+)", file.read_text())
    return {
        "processor": named[1] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }
