"""Batches: a set of pictures as a stream that training reads, augmented on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from scenecam.scenes import SceneSet

# Augmentation: how much of a picture a crop keeps (as a share of its area), how far
# the crop's sides may differ, and how far light, contrast and colour may move.
CROP_AREA = (0.4, 1.0)
CROP_RATIO = (3 / 4, 4 / 3)
BRIGHTNESS = 0.25
CONTRAST = 0.25
SATURATION = 0.4

# Red, green and blue in perceived lightness: ITU-R BT.601.
LIGHTNESS = (0.299, 0.587, 0.114)


def training_batches(
    scenes: SceneSet,
    *,
    batch_size: int,
    steps: int,
    size: tuple[int, int],
    num_classes: int,
    augmented: bool = True,
    teachers: Sequence[keras.Model] = (),
    seed: int = 0,
    epoch: int = 0,
) -> tf.data.Dataset:
    """Give endless batches in a random order, from the start of an epoch on.

    Parameters
    ----------
    scenes : SceneSet
        Its pictures may be a memory map: only those of the next batches are read.
    batch_size : int
        Pictures per batch.
    steps : int
        Batches per epoch; each epoch has an order of its own.
    size : tuple of (height, width)
        What the pictures are resized to.
    num_classes : int
        Length of the one-hot labels.
    augmented : bool
        Whether :func:`augment` is applied.
    teachers : sequence of keras.Model
        Networks of the same `size` and classes that end in logits. If there are any,
        the mean of their probabilities for the augmented picture takes the label's
        place.
    seed : int
        With the numbers of the epoch and the step it decides all that is in a batch.
    epoch : int
        Number of the first epoch.

    Returns
    -------
    tf.data.Dataset of (images, labels)
        float32 grey levels in [0, 255] (b, *size, c) and one-hot float32 (b, k), or
        the teachers' probabilities.

    Notes
    -----
    Teachers see what the student sees: Hinton et al. (2015), "Distilling the knowledge
    in a neural network", section 2, at temperature 1, without the labels; Beyer et al.
    (2022), "Knowledge distillation: a good teacher is patient and consistent".
    """

    def read(epoch=epoch):
        while True:
            order = np.random.default_rng((seed, epoch)).permutation(len(scenes))
            for step in range(steps):
                # Sorted, so that a memory map is read from front to back. The few
                # pictures left over sit out this epoch: all batches have one shape.
                chosen = np.sort(order[step * batch_size : (step + 1) * batch_size])
                yield scenes.images[chosen], scenes.labels[chosen], (seed, epoch, step)
            epoch += 1

    def prepare(images, labels, key):
        if augmented:
            # Two numbers are all that stateless random operations take.
            images = augment(images, size, (key[0], key[1] * steps + key[2]))
        else:
            images = _resize(images, size)
        if teachers:
            answers = [tf.nn.softmax(t(images, training=False)) for t in teachers]
            return images, tf.add_n(answers) / len(teachers)
        return images, tf.one_hot(labels, num_classes)

    height, width, channels = scenes.images.shape[1:]
    count = min(batch_size, len(scenes))
    signature = (
        tf.TensorSpec((count, height, width, channels), tf.uint8),
        tf.TensorSpec((count,), tf.int64),
        tf.TensorSpec((3,), tf.int64),
    )
    dataset = tf.data.Dataset.from_generator(read, output_signature=signature)
    # One batch at a time: its operations already use every core.
    return dataset.map(prepare).prefetch(2)


def validation_batches(
    scenes: SceneSet,
    *,
    size: tuple[int, int],
    num_classes: int,
    batch_size: int = 128,
) -> tf.data.Dataset:
    """Give every picture once, in order and as it is.

    Parameters
    ----------
    scenes : SceneSet
        Its pictures may be a memory map.
    size : tuple of (height, width)
        What the pictures are resized to.
    num_classes : int
        Length of the one-hot labels.
    batch_size : int
        Pictures per batch; the last may hold fewer.

    Returns
    -------
    tf.data.Dataset of (images, labels)
        As from :func:`training_batches`, finite.
    """

    def read():
        for start in range(0, len(scenes), batch_size):
            part = slice(start, start + batch_size)
            yield scenes.images[part], scenes.labels[part]

    def prepare(images, labels):
        return _resize(images, size), tf.one_hot(labels, num_classes)

    height, width, channels = scenes.images.shape[1:]
    signature = (
        tf.TensorSpec((None, height, width, channels), tf.uint8),
        tf.TensorSpec((None,), tf.int64),
    )
    dataset = tf.data.Dataset.from_generator(read, output_signature=signature)
    dataset = dataset.map(prepare).prefetch(2)
    # Keras asks a data set for its length to know how many steps to run.
    steps = math.ceil(len(scenes) / batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps))


def augment(images, size: tuple[int, int], seed) -> tf.Tensor:
    """Crop, mirror and recolour every picture of a batch, each in its own way.

    Parameters
    ----------
    images : tensor of shape (b, h, w, c), uint8
        Grey levels in [0, 255].
    size : tuple of (height, width)
        What the crops are resized to.
    seed : two int
        The same pair gives the same batch.

    Returns
    -------
    tensor of shape (b, *size, c), float32
        Grey levels in [0, 255].
    """
    count = tf.shape(images)[0]
    random = tf.random.stateless_uniform((7, count), seed)

    def between(row, low, high):
        return low + (high - low) * random[row]

    # Crop, resize and mirror at once: a box whose left side lies right of its right
    # side is read backwards. Scenes are never turned upside down: skies are above.
    area = between(0, *CROP_AREA)
    ratio = tf.exp(between(1, math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])))
    high = tf.minimum(tf.sqrt(area / ratio), 1.0)
    wide = tf.minimum(tf.sqrt(area * ratio), 1.0)
    # One uniform number holds both the side to mirror and the place across.
    across = random[2] * 2.0
    mirrored = across >= 1.0
    left = (across - tf.floor(across)) * (1.0 - wide)
    top = random[3] * (1.0 - high)
    near = tf.where(mirrored, left + wide, left)
    far = tf.where(mirrored, left, left + wide)
    boxes = tf.stack([top, near, top + high, far], axis=1)
    images = tf.image.crop_and_resize(images, boxes, tf.range(count), size)

    # Saturation, contrast and brightness are one affine map of each pixel:
    # light * (contrast * (colour * x + (1 - colour) * grey) + (1 - contrast) * mean).
    colour = between(4, 1 - SATURATION, 1 + SATURATION)[:, None, None, None]
    contrast = between(5, 1 - CONTRAST, 1 + CONTRAST)[:, None, None, None]
    light = between(6, 1 - BRIGHTNESS, 1 + BRIGHTNESS)[:, None, None, None]
    if images.shape[-1] == 3:
        grey = tf.tensordot(images, tf.constant(LIGHTNESS), 1)[..., None]
    else:
        grey = tf.reduce_mean(images, axis=3, keepdims=True)
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    shared = light * (contrast * (1 - colour) * grey + (1 - contrast) * mean)
    return tf.clip_by_value(light * contrast * colour * images + shared, 0.0, 255.0)


def _resize(images, size):
    images = tf.cast(images, tf.float32)
    if tuple(images.shape[1:3]) == tuple(size):
        return images
    return tf.image.resize(images, size, antialias=True)
