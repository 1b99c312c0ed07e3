"""A network as a SavedModel: what TensorFlow Serving takes, without this project."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from scenecam.images import shown_path

VERSION = "1"  # TensorFlow Serving takes folders of numbers, and serves the highest
ENDS = (keras.activations.softmax, keras.activations.sigmoid)


def check_place(out: Path, *, overwrite: bool = False) -> None:
    """Raise unless an export may be written to this folder; nothing is changed.

    Raises
    ------
    ValueError
        If something is there already, and is not to be replaced or is no export.
    """
    if not out.exists():
        return
    if not overwrite:
        raise ValueError(
            f"{shown_path(out)} exists. Choose another --out, or add --overwrite to "
            "replace it."
        )
    if not (out / VERSION / "saved_model.pb").is_file():
        raise ValueError(
            f"{shown_path(out)} is no export (it has no {VERSION}/saved_model.pb), "
            "and is left alone. Choose another --out."
        )


def export_model(
    model: keras.Model, out: Path, *, card: dict | None = None, overwrite: bool = False
) -> Path:
    """Write a SavedModel that takes pictures and gives probabilities.

    It appears whole or not at all. Its signature ``serving_default`` takes ``images``,
    uint8 of shape (n, h, w, c), grey levels 0 to 255, and gives ``probabilities``,
    float32 of shape (n, k).

    Parameters
    ----------
    model : keras.Model
        Pictures to logits, or ending in a softmax or sigmoid.
    out : Path
        Folder to write; the SavedModel stands in its folder ``1``.
    card : dict, optional
        Written to ``1/assets.extra/card.json``, so that the names of the classes are
        at hand where the network is served.
    overwrite : bool
        Whether an export that stands there is replaced.

    Returns
    -------
    Path
        The folder of the SavedModel.

    Raises
    ------
    ValueError
        As `check_place`.
    OSError
        If something cannot be written.
    """
    check_place(out, overwrite=overwrite)
    partial = out.with_name(f".{out.name}.partial")
    old = out.with_name(f".{out.name}.old")
    for left in (partial, old):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(model, partial / VERSION)
        if card:
            extra = partial / VERSION / "assets.extra"
            extra.mkdir()
            text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
            (extra / "card.json").write_text(text, encoding="utf-8")
        if out.exists():
            out.rename(old)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    return out / VERSION


def _write(model: keras.Model, folder: Path) -> None:
    last = model.layers[-1]
    done = isinstance(last, keras.layers.Softmax) or (
        getattr(last, "activation", None) in ENDS
    )

    def serve(images):
        outputs = model(tf.cast(images, tf.float32), training=False)
        return {"probabilities": outputs if done else tf.nn.softmax(outputs)}

    pictures = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name="images")
    archive = keras.export.ExportArchive()
    archive.track(model)
    # The first endpoint is what TensorFlow Serving calls serving_default.
    archive.add_endpoint("serve", serve, input_signature=[pictures])
    archive.write_out(str(folder), verbose=False)
