"""What ImageNet taught VGG16: its weights and names of classes, through Keras."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import h5py
import keras
import numpy as np

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
WEIGHTS = (
    ADDRESS + "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
    "64373286793e3c8b2b4e3219cbf3544b",
)
NAMES = (
    "https://storage.googleapis.com/download.tensorflow.org/data/"
    "imagenet_class_index.json",
    "c2c37ea517e94d9795004a39431a14cb",
)

# Mean of ImageNet's training pictures, in the order red, green, blue.
MEANS = (123.68, 116.779, 103.939)

CONNECT_SECONDS = 5


def fill(model: keras.Model, path: str | os.PathLike | None = None) -> keras.Model:
    """Give a VGG16 of `models` the weights of ImageNet.

    Parameters
    ----------
    model : keras.Model
        Its first layer must subtract `MEANS`; changed in place.
    path : path, optional
        The file of Keras; downloaded (553 MB) into Keras' cache unless given or there.

    Returns
    -------
    keras.Model
        The same.

    Raises
    ------
    ConnectionError
        If the file is not in the cache and cannot be downloaded.
    ValueError
        If the file is damaged or for a network of another size.
    """
    path = fetch(*WEIGHTS) if path is None else path
    try:
        with h5py.File(path) as file:
            for layer in model.layers:
                if layer.weights:
                    group = file[
                        "predictions" if layer.name == "logits" else layer.name
                    ]
                    names = group.attrs["weight_names"]
                    kernel, bias = (np.asarray(group[name]) for name in names)
                    if layer.name == "block1_conv1":
                        kernel = kernel[:, :, ::-1]  # made for blue, green, red
                    layer.set_weights([kernel, bias])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the weights of this VGG16. Delete it, so that it is "
            "downloaded again."
        ) from error
    return model


def class_names() -> tuple[str, ...]:
    """Give the names of ImageNet's 1000 classes, in the order of the logits.

    Raises
    ------
    ConnectionError
        If they are not in Keras' cache and cannot be downloaded.
    """
    index = json.loads(fetch(*NAMES).read_text(encoding="utf-8"))
    names = [index[str(number)][1] for number in range(len(index))]
    # Two names stand twice, and a class is chosen by its name.
    return tuple(
        f"{name}_{number}" if names.count(name) > 1 else name
        for number, name in enumerate(names)
    )


def top_names(
    probabilities: np.ndarray, *, count: int = 5
) -> list[list[tuple[str, float]]]:
    """Name the likeliest of ImageNet's classes.

    Parameters
    ----------
    probabilities : ndarray of shape (n, 1000)
        As `models.predict` gives them.
    count : int
        How many for each picture.

    Returns
    -------
    list of list of (name, probability)
        One list for each picture, the likeliest first.

    Raises
    ------
    ConnectionError
        If the names are not in Keras' cache and cannot be downloaded.
    ValueError
        If there are not 1000 classes.
    """
    if np.ndim(probabilities) != 2 or np.shape(probabilities)[1] != 1000:
        raise ValueError(
            "ImageNet has 1000 classes: `probabilities` must have shape (n, 1000); "
            f"received {np.shape(probabilities)}."
        )
    names = class_names()
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return [
        [(names[number], float(row[number])) for number in numbers]
        for row, numbers in zip(probabilities, best, strict=True)
    ]


def fetch(address: str, checksum: str) -> Path:
    """Return a file of Keras' cache, downloaded if it is not there.

    Raises
    ------
    ConnectionError
        At once, if there is no network.
    """
    name = address.rsplit("/", 1)[1]
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        if not (home / "models" / name).is_file():
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=CONNECT_SECONDS).close()
        return Path(
            keras.utils.get_file(
                name,
                address,
                cache_dir=str(home),
                cache_subdir="models",
                file_hash=checksum,
            )
        )
    except Exception as error:  # Keras wraps what goes wrong into Exception itself
        raise ConnectionError(
            f"{name} cannot be downloaded now ({type(error).__name__}). Bring "
            f"{address} from a machine with a network and put it into "
            f"{home / 'models'}, or use weights that are here, such as "
            "models.pretrained('drawn-vgg16')."
        ) from error
