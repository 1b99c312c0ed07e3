"""What is written down about a trained network: recipe, data, machine, scores."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from pathlib import Path

import keras
import numpy as np

from scenecam import evaluation, models, recipes
from scenecam.scenes import SceneSet


def make_card(
    recipe: dict,
    model: keras.Model,
    history: dict,
    *,
    class_names: tuple[str, ...],
    data: dict,
    scores: dict[str, dict],
    seed: int = 0,
    temperature: float | None = None,
) -> dict:
    """Say how a network was made, for `models.save_model`.

    Parameters
    ----------
    recipe, model, history
        What was followed, and what came of it.
    class_names : tuple of str
        In the order of the logits.
    data : dict
        What the pictures were: numbers, checksums.
    scores : dict of str to dict
        Name of a part -> its `score`.
    seed : int
        As in `follow`.
    temperature : float, optional
        What `calibrate` returned.

    Returns
    -------
    dict
    """
    structure = {key: recipe[key] for key in ("builder", "arguments")}
    steps = {key: value for key, value in recipe.items() if key not in structure}
    card = {
        **structure,
        "input_shape": model.input_shape[1:],
        "class_names": class_names,
        "parameters": model.count_params(),
        "data": data,
        "recipe": {"shared": recipes.SHARED, **steps, "seed": seed},
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "epochs": len(history["loss"]),
        "minutes": round(sum(history["seconds"]) / 60, 1),
    }
    if temperature is not None:
        card["temperature"] = round(temperature, 4)
    return {**card, **scores, "history": history}


def score(model: keras.Model, scenes: SceneSet) -> dict:
    """Give accuracy with its interval, scores of every class, and calibration error."""
    probabilities = models.predict(model, scenes.images)
    predictions = probabilities.argmax(axis=1)
    accuracy, low, high = evaluation.accuracy_interval(scenes.labels, predictions)
    table = evaluation.classification_table(
        labels=scenes.labels, predictions=predictions, class_names=scenes.class_names
    )
    error = evaluation.expected_calibration_error(scenes.labels, probabilities)
    return {
        "accuracy": round(accuracy, 4),
        "interval": [round(low, 4), round(high, 4)],
        "macro_f1": round(table["macro avg"]["f1-score"], 4),
        "calibration_error": round(error, 4),
        "classes": {
            name: {key: round(value, 4) for key, value in table[name].items()}
            for name in scenes.class_names
        },
    }


def checksum(scenes: SceneSet) -> str:
    """Give the SHA-256 of the pixels and labels, in their order."""
    found = hashlib.sha256()
    for start in range(0, len(scenes), 256):
        found.update(np.ascontiguousarray(scenes.images[start : start + 256]))
    found.update(np.ascontiguousarray(scenes.labels))
    return found.hexdigest()


def machine() -> dict:
    """Say what kind of machine this is, without its name."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        named = [line.split(":")[1] for line in lines if "model name" in line]
        processor = named[0].strip() if named else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }
