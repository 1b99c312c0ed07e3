"""Networks saved by Keras 2 as ``.h5``, which Keras 3 refuses, rebuilt from parts."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import keras
import numpy as np

# Layers that an old file may name: what they are now, and which settings to keep.
LAYERS = {
    "Conv2D": (
        "name filters kernel_size strides padding dilation_rate activation use_bias"
    ),
    "Dense": "name units activation use_bias",
    "BatchNormalization": "name axis momentum epsilon center scale",
    "MaxPooling2D": "name pool_size strides padding",
    "AveragePooling2D": "name pool_size strides padding",
    "GlobalAveragePooling2D": "name",
    "GlobalMaxPooling2D": "name",
    "Flatten": "name",
    "Dropout": "name rate",
    "Activation": "name activation",
    "ReLU": "name",
    "ZeroPadding2D": "name padding",
}


def load_h5(path: Path) -> keras.Model:
    """Rebuild a Sequential network of ordinary layers from a Keras 2 file.

    Only the layer names, sizes and weights in the file are used: no code is run.

    Parameters
    ----------
    path : Path
        An ``.h5`` file that holds structure and weights.

    Returns
    -------
    keras.Sequential
        Uncompiled. It takes the pictures that its authors fed it, unscaled or scaled.

    Raises
    ------
    ValueError
        If the file is no HDF5 file, holds no structure, or a structure or layer that
        is not rebuilt here.
    """
    try:
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs or "model_weights" not in file:
                raise ValueError(
                    f"{path} holds no network structure: weights alone, or other "
                    "data. Save the whole model, as .keras."
                )
            config = json.loads(file.attrs["model_config"])
            weights = {
                name: [
                    np.asarray(group[weight])
                    for weight in group.attrs.get("weight_names", ())
                ]
                for name, group in file["model_weights"].items()
            }
    except OSError as error:
        raise ValueError(
            f"{path} is not a whole HDF5 file: it is cut short or of another kind. "
            "Copy or download it again."
        ) from error
    if config["class_name"] != "Sequential":
        raise ValueError(
            f"{path} holds a {config['class_name']} network; of the old files only "
            "Sequential ones are rebuilt. Save it as .keras with Keras 2.15 or later."
        )
    described = config["config"]
    if isinstance(described, dict):  # before Keras 2.2.3 it was the bare list
        described = described["layers"]
    shapes = [
        layer["config"].get("batch_input_shape", layer["config"].get("batch_shape"))
        for layer in described
    ]
    shape = next((shape for shape in shapes if shape), None)
    if shape is None:
        raise ValueError(f"{path} does not say what size of picture its network takes.")
    model = keras.Sequential([keras.Input(shape[1:])])
    for layer in described:
        if layer["class_name"] != "InputLayer":
            model.add(_rebuild(layer, path))
    for layer in model.layers:
        layer.set_weights(weights.get(layer.name, []))
    return model


def _rebuild(layer, path):
    kind, config = layer["class_name"], layer["config"]
    if kind not in LAYERS:
        raise ValueError(
            f"{path} holds a layer of kind {kind!r}, which is not rebuilt here. Save "
            "the network as .keras with Keras 2.15 or later."
        )
    settings = {k: config[k] for k in LAYERS[kind].split() if k in config}
    return getattr(keras.layers, kind)(**settings)
