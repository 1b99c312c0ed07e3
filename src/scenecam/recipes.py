"""Recipes: how a network is trained, as plain data, and the following of one.

A recipe is a dict of what JSON knows, so that it can stand on the network's card:

- ``builder``: name of a function of `models`; ``arguments``: those it gets.
- ``phases``: list of (side of the pictures, arguments that hold for this phase alone,
  arguments of `training.fit`). The weights go from phase to phase, so a network can
  start on small pictures: the kernels are the same, the arithmetic is a fraction, and
  the last epochs get used to the size that it will be asked at.
- ``teachers``, optional, in the last of these: names of networks, which the caller
  brings. The phase learns from their probabilities, and from those of the network as
  the phase before left it, instead of the labels.
- ``valid``: share of every class that is set aside to choose the epoch.
- ``renew_statistics``, optional: whether batch normalisation takes its statistics anew
  from whole pictures at the end (`training.renew_statistics`).
- ``calibrate``, optional: whether a temperature is fitted at the end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

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

# A kernel with a gap of 2 pixels sees in a picture what one without a gap sees in the
# same picture at half the size.
GAP_CNN = {
    "widths": (12, 16, 24, 32, 48),
    "dilations": (1, 2, 4, 8, 8),
    "normalise": True,
}
HALF_GAPS = {"dilations": (1, 1, 2, 4, 4)}

# For any pictures: the builder's arguments, those of a first phase on small pictures
# (None where the weights depend on the size), its share of the side, learning rate.
DEFAULTS = {
    "resnet": ({}, {}, 2 / 3, 2e-3),
    "gap_cnn": (GAP_CNN, HALF_GAPS, 1 / 2, 4e-3),
    "plain_cnn": ({}, None, 1, 1e-3),
    "seed_resnet": ({"width": 16}, {}, 2 / 3, 1e-3),
}

# Pictures smaller than this are not shrunk further.
SMALLEST_SIDE = 32


# ---- Make and follow -----------------------------------------------------------------


def default_recipe(
    builder: str = "resnet",
    *,
    pictures: int,
    size: int = 96,
    epochs: int = 40,
    batch_size: int | None = None,
    valid: float = 0.1,
) -> dict:
    """Give a recipe for any set of pictures.

    Parameters
    ----------
    builder : {"resnet", "gap_cnn", "plain_cnn", "seed_resnet"}
        The network.
    pictures : int
        How many there are to learn from.
    size : int
        Height and width at which the network will be asked. Three quarters of the
        epochs see smaller pictures, where the builder and the size allow it.
    epochs : int
        Of all phases together.
    batch_size : int, optional
        Pictures per step; 64, or fewer where an epoch would have less than 16 steps.
    valid : float
        Share of the pictures that is set aside.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If there is no such builder.
    """
    if builder not in DEFAULTS:
        raise ValueError(
            f"there is no default recipe for {builder!r}; there are "
            f"{', '.join(DEFAULTS)}."
        )
    arguments, small_arguments, share, rate = DEFAULTS[builder]
    if batch_size is None:
        batch_size = 2 ** int(np.log2(max(1, pictures / 16)))
        batch_size = min(max(batch_size, 8), SHARED["batch_size"])
    # Smaller batches have noisier gradients, and take smaller steps.
    rate *= min(1.0, (batch_size / SHARED["batch_size"]) ** 0.5)
    small = round(size * share)
    early = epochs * 3 // 4
    if small_arguments is None or small < SMALLEST_SIDE or not early:
        phases = [(size, {}, {"epochs": epochs, "learning_rate": rate})]
    else:
        phases = [
            (small, small_arguments, {"epochs": early, "learning_rate": rate}),
            (size, {}, {"epochs": epochs - early, "learning_rate": rate / 2}),
        ]
    for _, _, settings in phases:
        settings["batch_size"] = batch_size
    return {
        "builder": builder,
        "arguments": arguments,
        "valid": valid,
        "phases": phases,
        "renew_statistics": True,
        "calibrate": True,
    }


def follow(
    recipe: dict,
    train: SceneSet,
    valid: SceneSet,
    *,
    seed: int = 0,
    teachers: Mapping[str, keras.Model] = MappingProxyType({}),
    folder: str | os.PathLike | None = None,
    resume: bool = False,
    verbose: str | int = "auto",
) -> tuple[keras.Model, dict]:
    """Train a network, phase by phase.

    Parameters
    ----------
    recipe : dict
        See the module's docstring.
    train, valid : SceneSet
        To learn from, and to choose the epoch with.
    seed : int
        Of the weights; every phase has its own for the order and the augmentation.
    teachers : mapping of str to keras.Model
        The networks that the recipe calls teachers, of the size of their phase.
    folder : path, optional
        Where each phase has a folder with its state.
    resume : bool
        Whether to go on from the states in `folder`.
    verbose : {"auto", 0, 1, 2}
        As in `training.fit`.

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
    model, history = None, {"side": []}
    plans = _plans(recipe["phases"], len(train))
    for number, (side, own, settings) in enumerate(recipe["phases"], start=1):
        bigger = getattr(models, recipe["builder"])(
            (side, side, 3),
            num_classes=len(train.class_names),
            seed=seed,
            **recipe["arguments"] | own,
        )
        if model is not None:
            bigger.set_weights(model.get_weights())
        settings = SHARED | settings
        if "teachers" in settings:
            taught = _teachers(settings["teachers"], teachers, bigger)
            settings = settings | {"teachers": taught}
        model = bigger
        part = training.fit(
            model,
            train,
            valid,
            **settings,
            seed=seed + number,
            folder=None if folder is None else Path(folder) / str(number),
            resume=resume,
            verbose=reporters.make_reporter(verbose, plans[number - 1]),
        )
        history["side"] += [side] * len(part["loss"])
        for key, values in part.items():
            history.setdefault(key, []).extend(round(value, 4) for value in values)
    if recipe.get("renew_statistics"):
        training.renew_statistics(model, train, seed=seed)
    return model, history


def _teachers(names, teachers, model) -> list[keras.Model]:
    """Find the teachers of a phase; add a copy of the network that it begins with."""
    missing = [name for name in names if name not in teachers]
    if missing:
        raise ValueError(
            f"the recipe wants the teachers {', '.join(names)}; there is no "
            f"{missing[0]!r}. Give them as `teachers`, name to network."
        )
    itself = keras.models.clone_model(model)
    itself.set_weights(model.get_weights())
    return [*(teachers[name] for name in names), itself]


def _plans(phases, pictures: int) -> list[reporters.Plan]:
    """Say for each phase what comes before and after; an epoch costs its pixels."""
    epochs = [settings["epochs"] for _, _, settings in phases]
    costs = [
        side**2 * count for (side, _, _), count in zip(phases, epochs, strict=True)
    ]
    return [
        reporters.Plan(
            count,
            pictures,
            before=sum(epochs[:number]),
            after=sum(epochs[number + 1 :]),
            after_cost=sum(costs[number + 1 :]) * count / costs[number],
        )
        for number, count in enumerate(epochs)
    ]


def calibrate(model: keras.Model, valid: SceneSet) -> float:
    """Divide the logits of a network by the temperature that fits a validation part.

    The last layer's weights and bias are divided, so that the probabilities are
    calibrated wherever the network goes. What it predicts stays, and a class map
    changes by the factor alone.

    Parameters
    ----------
    model : keras.Model
        Ends in a dense layer without activation; changed in place.
    valid : SceneSet
        As large as the pictures that the model takes.

    Returns
    -------
    float
        The temperature. 1 if no picture of `valid` is named wrongly: the cross-entropy
        then falls for as long as the temperature does, and there is nothing to fit.

    Raises
    ------
    ValueError
        If the model ends in something else.

    Notes
    -----
    Guo et al. (2017), "On calibration of modern neural networks", section 4.2.
    """
    last = model.layers[-1]
    if (
        not isinstance(last, keras.layers.Dense)
        or last.activation is not keras.activations.linear
    ):
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
