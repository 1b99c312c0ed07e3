"""Say where the seconds of a training step go, and how few they could be.

    SCENECAM_SCENES=path/to/photographs python benchmarks/fit_profile.py [--rounds 7]

One network, batches of 64 of the same pictures. Each row leaves something out, and all
are timed in turn, round by round; printed are medians in milliseconds a step, and the
ratio to the bare convolutions: each of the network's, with its two gradients, by itself
and one after the other, in the shapes it has. Below them is what their multiplications
would take at the rate that this machine reaches in a large product of matrices.
"""

import argparse
import functools
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from scenecam import data, models, recipes, training
from scenecam._training import batches


class Clock(keras.callbacks.Callback):
    """Holds the seconds of the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        """Start."""
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stop."""
        self.seconds = time.perf_counter() - self.begun


def fitting(model, dataset, steps, **compiled):
    """Return a function that fits for two epochs and gives the seconds of the second.

    The first epoch of a fit waits for more than steps.
    """
    model.compile(
        keras.optimizers.Adam(1e-3, weight_decay=0.05, use_ema=True),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
        **compiled,
    )
    clock = Clock()
    how = {"steps_per_epoch": steps, "epochs": 2, "verbose": 0, "callbacks": [clock]}

    def fit():
        model.fit(dataset, **how)
        return clock.seconds

    return fit


class Nothing(keras.layers.Layer):
    """Takes what batch normalisation takes and gives it back."""

    def call(self, inputs, training=None, mask=None):
        """Return the inputs."""
        return inputs


def without_norms(model):
    """Build the network again with nothing in the place of batch normalisation."""

    def clone(layer):
        if isinstance(layer, keras.layers.BatchNormalization):
            return Nothing(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone)


def bare_convolutions(model, count, steps):
    """Return a function that does the convolutions of so many steps; their MACs."""
    work, products = [], 0
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        x = tf.random.normal((count, *layer.input.shape[1:]))
        dy = tf.random.normal((count, *layer.output.shape[1:]))
        kernel = tf.random.normal(layer.kernel.shape)
        work.append((x, kernel, dy, layer.strides[0]))
        products += int(np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3]))

    @tf.function
    def step():
        ends = []
        for x, kernel, dy, stride in work:
            with tf.control_dependencies(ends[-1:]):
                # Inputs that no optimiser can fold away.
                y = tf.nn.conv2d(tf.identity(x), kernel, stride, "SAME")
                given = {"strides": [1, stride, stride, 1], "padding": "SAME"}
                dx = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=x.shape, filter=kernel, out_backprop=dy, **given
                )
                dk = tf.raw_ops.Conv2DBackpropFilter(
                    input=x, filter_sizes=kernel.shape, out_backprop=dy, **given
                )
                ends.append(sum(map(tf.reduce_max, (y, dx, dk))))
        return tf.add_n(ends)

    step()
    return lambda: [step().numpy() for _ in range(steps)], products * count


def matrix_rate(side=3072):
    """Return multiplications a second in a product of square matrices."""
    a = tf.random.normal((side, side))
    a.numpy()
    begun = time.perf_counter()
    (a @ a).numpy()
    return side**3 / (time.perf_counter() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    count, steps = options.batch, options.steps
    train = data.load_scenes("train")
    train = train.shuffle()[: count * steps]
    make = functools.partial(models.resnet, train.images.shape[1:])
    how = recipes.SHARED | {"averaging": 0.995, "batch_size": count}
    settings = training.Settings(**how, epochs=2)
    size = {"size": train.images.shape[1:3], "num_classes": 6}
    stream = iter(batches.training_batches(train, settings, **size).take(steps * 99))
    one = tf.data.Dataset.from_tensors(next(stream)).repeat()
    network = make()

    def whole():
        # In the first of two epochs the graph is built.
        history = training.fit(make(), train, train[:6], settings, verbose=0)
        return history["seconds"][1]

    bare, products = bare_convolutions(network, count, steps)
    ways = {
        "`training.fit`, an epoch with its start and end": whole,
        "Keras' steps on one batch again and again": fitting(
            make(), one, steps, metrics=["accuracy"]
        ),
        "the same without metrics": fitting(make(), one, steps),
        "the same without batch normalisation": fitting(
            without_norms(make()), one, steps
        ),
        "reading and augmenting alone": lambda: [
            next(stream)[1].numpy() for _ in range(steps)
        ],
        "the bare convolutions": bare,
    }
    found, rates = {name: [] for name in ways}, []
    for number in range(options.rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            seconds = way()
            if not isinstance(seconds, float):
                seconds = time.perf_counter() - begun
            if number:  # the first round builds graphs
                found[name].append(seconds / steps * 1e3)
        rates.append(matrix_rate())
    unit = np.median(found["the bare convolutions"])
    print("| what | ms a step | ratio |\n|---|---:|---:|")
    for name, times in found.items():
        print(f"| {name} | {np.median(times):.0f} | {np.median(times) / unit:.2f} |")
    rate = np.median(rates)
    bound = 3 * products / rate * 1e3
    print(
        f"| their {3 * products / 1e9:.1f} billion multiplications at "
        f"{rate / 1e9:.0f} billion a second | {bound:.0f} | {bound / unit:.2f} |"
    )


if __name__ == "__main__":
    main()
