"""Write a network as TensorFlow Serving takes it.

what is written:
  DIR/1/  a SavedModel, as TensorFlow Serving and tf.saved_model.load take it, and its
          card in assets.extra/card.json with the names of the classes

Its signature serving_default takes `images`, uint8 (n, height, width, channels), grey
levels 0 to 255 (scaling is inside), and gives `probabilities`, float32 (n, classes).
DIR appears whole or not at all. In Python, with TensorFlow alone:
  served = tensorflow.saved_model.load("DIR/1").signatures["serving_default"]
  served(images=pictures)["probabilities"]

examples:
  scenecam export drawn-resnet --out served/drawn
  scenecam export my.keras --out served/mine --overwrite
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from scenecam._data.whole import whole_folder
from scenecam_cli.terminal import WEIGHTS, without_notes

VERSION = "1"  # TensorFlow Serving takes folders of numbers, and serves the highest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    parser.add_argument("weights", metavar="NAME_OR_FILE", help=WEIGHTS)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an export that DIR holds"
    )


def run(arguments: argparse.Namespace) -> int:
    """Open the network and write the SavedModel."""
    out = Path(os.path.abspath(arguments.out))
    with without_notes():
        from scenecam._models.weights import open_weights

        _check_place(out, overwrite=arguments.overwrite)
        network = open_weights(arguments.weights)
        folder = export_model(network.model, out, card=network.card)
    print(f"SavedModel: {folder}")
    return 0


def _check_place(out: Path, *, overwrite: bool) -> None:
    """Raise ValueError unless an export may be written there; nothing is changed."""
    from scenecam.images import shown_path

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


def export_model(model, out: Path, *, card: dict | None = None) -> Path:
    """Write a SavedModel that takes pictures and gives probabilities.

    It stands in the folder ``1`` of `out`, which appears whole or not at all and takes
    the place of what was there. The card goes to ``assets.extra/card.json`` in it.
    """
    from scenecam_cli.run_folder import as_json

    with whole_folder(out) as partial:
        _write(model, partial / VERSION)
        if card:
            extra = partial / VERSION / "assets.extra"
            extra.mkdir()
            (extra / "card.json").write_text(as_json(card), encoding="utf-8")
    return out / VERSION


def _write(model, folder: Path) -> None:
    import keras
    import tensorflow as tf

    from scenecam._engine import predictions
    from scenecam_cli import network

    probabilities = predictions.predicting(model)
    factor, offset = network.PIXELS[network.implied_pixels(model)]

    served = tf.Module()
    # Copies, as TensorFlow saves no variable of a layer that may have any name.
    served.weights = [
        tf.Variable(each.value, name="weight") for each in model.variables
    ]

    def serve(images):
        pictures = tf.cast(images, tf.float32) * factor + offset
        copies = map(tf.convert_to_tensor, served.weights)
        with keras.StatelessScope(zip(model.variables, copies, strict=True)):
            return {"probabilities": probabilities(pictures)}

    pictures = tf.TensorSpec(
        (None, *model.inputs[0].shape[1:]), tf.uint8, name="images"
    )
    served.serve = tf.function(serve, [pictures], autograph=False)
    tf.saved_model.save(served, str(folder), {"serving_default": served.serve})
