"""Fine-tune a network on mosaics, so that its class maps keep to their cells.

Of use to `train_weights.py`, which ships such networks, and to
`benchmarks/truer_maps.py`, which judges them.
"""

import time

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import log_loss

from scenecam import judging, models
from scenecam.scenes import SceneSet

BATCH = 8  # mosaics of four pictures


def fine_tune(
    model: keras.Model,
    train: SceneSet,
    valid: SceneSet | None = None,
    *,
    way: str = "share",
    epochs: int = 4,
    rate: float = 3e-4,
    weight: float = 1.0,
) -> dict[str, list]:
    """Take steps of Adam on mosaics; return the history.

    It has loss and seconds of every epoch, and how the pictures of `valid` are named.

    Statistics of batch normalisation stay as they are. An epoch has as many pictures
    as `train`, each mirrored or not; the rate falls from `rate` to 0 along a cosine.
    For the ways see `benchmarks/truer_maps.py`; `weight` is that of the share.
    """
    single = way == "pictures"
    large = model if single else models.resized(model, 2 * model.input_shape[1])
    features = keras.Model(large.inputs, large.get_layer("features").output)
    rng, count = np.random.default_rng(0), len(train) // (4 * BATCH)
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * count)
    head, optimizer = large.get_layer("logits"), keras.optimizers.Adam(falling)
    variables = large.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            found = features(images, training=False)
            loss = cost(way, found, head, labels, weight)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    history = {key: [] for key in ("loss", "val_loss", "val_accuracy", "seconds")}
    for epoch in range(epochs):
        start, losses = time.perf_counter(), []
        mirrored = rng.random(len(train)) < 0.5
        seen = np.where(
            mirrored[:, None, None, None], train.images[:, :, ::-1], train.images
        )
        seen = SceneSet(seen, train.labels, train.class_names)
        made = judging.mosaics(seen, count=count * BATCH, seed=epoch)
        for number in range(count):
            part = slice(number * BATCH, (number + 1) * BATCH)
            images, labels = made.images[part].astype(np.float32), made.labels[part]
            if single:
                images, labels = tiles(images), labels.reshape(-1, 1)
            losses.append(step(images, labels))
        history["loss"].append(round(float(np.mean(losses)), 4))
        history["seconds"].append(round(time.perf_counter() - start, 3))
        model.set_weights(large.get_weights())
        if valid is not None:
            found = models.predict(model, valid.images)
            loss = log_loss(valid.labels, found, labels=range(found.shape[1]))
            history["val_loss"].append(round(loss, 4))
            right = (found.argmax(axis=1) == valid.labels).mean()
            history["val_accuracy"].append(round(float(right), 4))
    return history


def tiles(mosaics: np.ndarray) -> np.ndarray:
    """Take mosaics apart, cells in reading order: (4 n, h, w, 3)."""
    half = mosaics.shape[1] // 2
    cells = mosaics.reshape(-1, 2, half, 2, half, 3).swapaxes(2, 3)
    return cells.reshape(-1, half, half, 3)


def cost(way: str, found, head, labels, weight):
    """Loss of a batch: feature maps (n, h, w, channels), labels (n, cells)."""
    half, wanted = found.shape[1] // 2, tf.one_hot(labels, head.units)
    entropy = tf.nn.softmax_cross_entropy_with_logits
    if way in ("pictures", "mixed"):
        logits = head(tf.reduce_mean(found, axis=(1, 2)))
        return tf.reduce_mean(entropy(tf.reduce_mean(wanted, axis=1), logits))
    pooled = tf.reduce_mean(
        tf.reshape(found, (-1, 2, half, 2, half, found.shape[-1])), (2, 4)
    )
    logits = head(tf.reshape(pooled, (-1, pooled.shape[-1])))
    loss = tf.reduce_mean(entropy(tf.reshape(wanted, (-1, head.units)), logits))
    if way == "cells":
        return loss
    weights = tf.gather(tf.transpose(head.kernel), labels)  # (n, 4, channels)
    maps = tf.nn.relu(tf.einsum("nhwk,nck->nchw", found, weights))
    cells = tf.reshape(maps, (-1, 4, 2, half, 2, half))
    heat = tf.reshape(tf.reduce_sum(cells, axis=(3, 5)), (-1, 4, 4))
    own = tf.linalg.diag_part(heat)  # of the class in cell i, that in cell i
    return loss + weight * tf.reduce_mean(
        1 - own / (tf.reduce_sum(heat, axis=2) + 1e-6)
    )
