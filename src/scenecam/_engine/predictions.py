"""What a network says about pictures: logits, probabilities."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers


def predict(
    model: keras.Model, images: np.ndarray, *, batch_size: int = 64
) -> np.ndarray:
    """Give the probability of each class for each picture.

    Parameters
    ----------
    model : keras.Model
        A network of `models`, or one that ends in a softmax.
    images : ndarray of shape (n, h, w, c), uint8
        May be a memory map; one batch of it is read at a time.
    batch_size : int
        Pictures that go through the model together.

    Returns
    -------
    ndarray of shape (n, k), float32
        Rows in [0, 1] that sum to one.

    Raises
    ------
    ValueError
        If `images` does not have the shape that the model takes.
    """
    logits = predict_logits(model, images, batch_size=batch_size)
    if not len(logits):
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def predict_logits(
    model: keras.Model, images: np.ndarray, *, batch_size: int = 64
) -> np.ndarray:
    """Give the logit of each class for each picture.

    Parameters
    ----------
    model : keras.Model
        As for :func:`predict`.
    images : ndarray of shape (n, h, w, c), uint8
        May be a memory map.
    batch_size : int
        Pictures that go through the model together.

    Returns
    -------
    ndarray of shape (n, k), float32
        Unbounded, signed. For a model that ends in a softmax: the logarithms of its
        probabilities, which are its logits up to one number per picture.

    Raises
    ------
    ValueError
        If `images` does not have the shape that the model takes.
    """
    wanted = model.input_shape[1:]
    given = np.shape(images)[1:]
    if len(given) != len(wanted) or any(
        side not in (None, got) for side, got in zip(wanted, given, strict=True)
    ):
        raise ValueError(
            f"`images` must have shape (n, {', '.join(map(str, wanted))}); received "
            f"{np.shape(images)}. Resize the pictures, and put a single one in a list "
            "of its own: image[np.newaxis]."
        )
    parts = [np.zeros((0, model.output_shape[-1]), "float32")]
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size], dtype="float32")
        parts.append(keras.ops.convert_to_numpy(model(batch, training=False)))
    outputs = np.concatenate(parts).astype("float32")
    if _ends_in_softmax(model):
        return np.log(np.maximum(outputs, np.finfo("float32").tiny))
    return outputs


def _ends_in_softmax(model):
    last = model.layers[-1]
    while isinstance(last, keras.Model) and last.layers:  # a model within a model
        last = last.layers[-1]
    activation = getattr(last, "activation", None)
    return isinstance(last, layers.Softmax) or activation is keras.activations.softmax
