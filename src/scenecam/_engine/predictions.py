"""What a network says about pictures: logits and probabilities.

Both are read through the anatomy of the network, as class maps are, whatever it ends
in: logits, a softmax, a sigmoid for each class, or one unit.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from scenecam._engine.anatomy import anatomy_of
from scenecam._engine.asked import check_pictures
from scenecam._engine.passes import Listening, read_model


def predict(
    model: keras.Model, images: np.ndarray, *, batch_size: int = 64
) -> np.ndarray:
    """Give the probability of each class for each picture.

    Parameters
    ----------
    model : keras.Model
        One that `cam.class_maps` takes, with or without feature maps.
    images : ndarray of shape (n, h, w, c), uint8 or float
        In the range that the model was trained on. May be a memory map; one batch of it
        is read at a time.
    batch_size : int
        Pictures that go through the model together.

    Returns
    -------
    ndarray of shape (n, classes), float32
        In [0, 1]. Rows sum to one, but for a network that ends in a sigmoid for each of
        several classes. A network with one unit has two classes: class 1 is the unit,
        with the sigmoid of its logit, and class 0 the rest.

    Raises
    ------
    TypeError, ValueError
        As `cam.class_maps`.
    """
    return probabilities_of(model, predict_logits(model, images, batch_size=batch_size))


def predict_logits(
    model: keras.Model, images: np.ndarray, *, batch_size: int = 64
) -> np.ndarray:
    """Give the logit of each class for each picture.

    Parameters and errors as in :func:`predict`.

    Returns
    -------
    ndarray of shape (n, classes), float32
        Unbounded, signed: what a softmax or sigmoid on top is made of. Of a network
        with one unit z the rows are (-z, z).
    """
    anatomy = anatomy_of(model)
    if isinstance(images, np.ndarray) and not len(images):
        return np.zeros((0, anatomy.num_classes), np.float32)
    return read_model(model, check_pictures(model, images), batch_size=batch_size)[1]


def probabilities_of(model: keras.Model, logits: np.ndarray) -> np.ndarray:
    """Make probabilities of the logits (n, classes) of a model; both float32."""
    if anatomy_of(model).squash == "sigmoid":
        return special.expit(logits)
    return special.softmax(logits, axis=1)


def predicting(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function of tensors that says what `predict` says, to be compiled.

    It takes pictures (n, h, w, c) of any dtype, and gives float32 (n, classes).
    """
    listening = Listening(model)
    squash = tf.nn.sigmoid if listening.anatomy.squash == "sigmoid" else tf.nn.softmax
    return lambda images: squash(listening.run(images)[1])
