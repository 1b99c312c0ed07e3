"""Batches: a set of pictures as a stream that training reads, augmented on the way."""

import itertools
import math

import numpy as np
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from scenecam.scenes import SceneSet

# Augmentation: how much of a picture's area a crop keeps at least, unless the settings
# say otherwise, how far its sides may differ, and light, contrast and colour move.
SMALLEST_CROP = 0.4
CROP_RATIO = (3 / 4, 4 / 3)
BRIGHTNESS = 0.25
CONTRAST = 0.25
SATURATION = 0.4

# Red, green and blue in perceived lightness: ITU-R BT.601.
LIGHTNESS = (0.299, 0.587, 0.114)


def steps_per_epoch(scenes: SceneSet, batch_size: int) -> int:
    """Count the batches of an epoch, all of one shape; what is left over sits out."""
    return len(scenes) // batch_size or 1


def class_weights(scenes: SceneSet, num_classes: int) -> np.ndarray:
    """Give the weight of each class, float32: pictures / (classes * its pictures).

    So all classes weigh the same together, and a picture 1 on average. A class without
    pictures weighs 1, and does not count.
    """
    present, weights = np.unique(scenes.labels), np.ones(num_classes, np.float32)
    weights[present] = compute_class_weight(
        "balanced", classes=present, y=scenes.labels
    )
    return weights


def training_batches(
    scenes, settings, *, size, num_classes, weights=None, teachers=(), epoch=0
):
    """Give endless batches in a random order, from the start of an epoch on.

    A batch is (images, labels): float32 grey levels in [0, 255], (b, *size, 3), and
    one-hot float32 (b, num_classes); with `weights`, one of each class, those of the
    labels follow. Pictures may be a memory map: only those of the next batches are
    read. Of the `training.Settings` those of batches, augmentation and seed count; with
    the numbers of epoch and step the seed decides all in a batch.

    If there are `teachers`, networks that take this `size` and end in logits of these
    classes, the mean of their probabilities takes the label's place. They see what the
    student sees: Hinton et al. (2015), "Distilling the knowledge in a neural network",
    section 2, at temperature 1, without the labels; Beyer et al. (2022), "Knowledge
    distillation: a good teacher is patient and consistent".
    """
    seed, batch_size = settings.seed, settings.batch_size
    steps = steps_per_epoch(scenes, batch_size)

    def read():
        for number in itertools.count(epoch):
            order = np.random.default_rng((seed, number)).permutation(len(scenes))
            for step in range(steps):
                # Sorted, so that a memory map is read from front to back.
                chosen = np.sort(order[step * batch_size : (step + 1) * batch_size])
                key = (seed, number * steps + step)
                yield scenes.images[chosen], scenes.labels[chosen], key

    def prepare(images, labels, key):
        if settings.augment:
            images = augment(images, size, key, smallest_crop=settings.smallest_crop)
        else:
            images = _resize(images, size)
        targets = tf.one_hot(labels, num_classes)
        if teachers:
            answers = [tf.nn.softmax(t(images, training=False)) for t in teachers]
            targets = tf.add_n(answers) / len(teachers)
        return images, targets, *_weighed(labels, weights)

    count, key = min(batch_size, len(scenes)), tf.TensorSpec((2,), tf.int64)
    return _stream(read, prepare, scenes, count, key)


def validation_batches(scenes, *, size, num_classes, weights=None, batch_size=128):
    """Give every picture once, in order, unchanged; the last batch may be smaller."""
    starts = range(0, len(scenes), batch_size)

    def read():
        for start in starts:
            part = slice(start, start + batch_size)
            yield scenes.images[part], scenes.labels[part]

    def prepare(images, labels):
        targets = tf.one_hot(labels, num_classes)
        return _resize(images, size), targets, *_weighed(labels, weights)

    dataset = _stream(read, prepare, scenes, None)
    # Keras asks a data set for its length to know how many steps to run.
    return dataset.apply(tf.data.experimental.assert_cardinality(len(starts)))


def augment(
    images, size: tuple[int, int], seed, *, smallest_crop=SMALLEST_CROP
) -> tf.Tensor:
    """Crop, mirror and recolour every picture of a batch, each in its own way.

    From (b, h, w, 3) uint8 to (b, *size, 3) float32, grey levels in [0, 255] both. The
    `seed` is a pair of int; the same pair gives the same batch.
    """
    count = tf.shape(images)[0]
    random = tf.random.stateless_uniform((7, count), seed)

    def between(row, low, high):
        return low + (high - low) * random[row]

    # Crop, resize and mirror at once: a box whose left side lies right of its right
    # side is read backwards. Scenes are never turned upside down: skies are above.
    area = between(0, smallest_crop, 1.0)
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
    colour, contrast, light = (
        between(row, 1 - reach, 1 + reach)[:, None, None, None]
        for row, reach in enumerate((SATURATION, CONTRAST, BRIGHTNESS), start=4)
    )
    grey = tf.tensordot(images, tf.constant(LIGHTNESS), 1)[..., None]
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    shared = light * (contrast * (1 - colour) * grey + (1 - contrast) * mean)
    return tf.clip_by_value(light * contrast * colour * images + shared, 0.0, 255.0)


def _stream(read, prepare, scenes, count, *more) -> tf.data.Dataset:
    pictures = tf.TensorSpec((count, *scenes.images.shape[1:]), tf.uint8)
    signature = (pictures, tf.TensorSpec((count,), tf.int64), *more)
    dataset = tf.data.Dataset.from_generator(read, output_signature=signature)
    # One batch at a time: its operations already use every core.
    return dataset.map(prepare).prefetch(2)


def _weighed(labels, weights):
    return () if weights is None else (tf.gather(weights, labels),)


def _resize(images, size):
    images = tf.image.resize(images, size, antialias=True)
    return tf.cast(images, tf.float32)  # of the right size, they come back as they are
