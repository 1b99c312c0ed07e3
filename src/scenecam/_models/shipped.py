"""The networks that the project ships, by name: the files of ``data/weights``."""

from __future__ import annotations

import json
from pathlib import Path

import keras

from scenecam._models import files

WEIGHTS = Path(__file__).resolve().parents[3] / "data" / "weights"


def pretrained(name: str) -> keras.Model:
    """Open a network that the project ships, after checking that its file is whole.

    Parameters
    ----------
    name : str
        Such as ``"drawn-resnet"``: the pictures it learned from and its builder.

    Returns
    -------
    keras.Model

    Raises
    ------
    FileNotFoundError
        If no such network is shipped; the message lists those that are.
    ValueError
        If the file differs from the one that its card describes.
    """
    card = read_card(name)
    path = WEIGHTS / f"{name}.keras"
    if not path.is_file():
        raise FileNotFoundError(_what_is_there(name))
    if files.sha256_of(path) != card.get("sha256"):
        raise ValueError(
            f"{path} is not the file that its card describes (SHA-256 differs). "
            "Restore both with git, or retrain them with `make weights`."
        )
    return files.load_model(path)


def read_card(name: str) -> dict:
    """Read what is known about shipped weights: data, seed, time, scores, history.

    Parameters
    ----------
    name : str
        As for :func:`pretrained`.

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If no such network is shipped; the message lists those that are.
    """
    path = WEIGHTS / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(_what_is_there(name))
    return json.loads(path.read_text(encoding="utf-8"))


def names() -> list[str]:
    """List the shipped networks, sorted."""
    return sorted(path.stem for path in WEIGHTS.glob("*.keras"))


def _what_is_there(name):
    return (
        f"there are no weights {name!r} in {WEIGHTS}; available: "
        f"{', '.join(names()) or 'none'}. `make weights` trains them."
    )
