"""A table of networks of every kind, and the truth about each by another way.

A network is a list of parts. Put one after the other on symbolic tensors they make the
Keras model that the library is asked about; run one by one on numbers, down to the
logits and not further, they are the network cut open by hand. `tf.GradientTape` and the
formulas of `numpy_networks` then give the truth: what the library finds out about a
model (which layer, which logits, which gradient) is here said by whoever wrote the
network down. Nothing of this file asks the library.

`TABLE` maps a name to a `Row`: how to build the network, whether it must be answered
rightly or refused, and which networks the printed remedy then makes.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from types import SimpleNamespace

import keras
import numpy as np
import numpy_networks
import tensorflow as tf
from test_predictions import (
    BIASES,
    IMAGES,
    KERNELS,
    MIX,
    REFUSED,
    SIGMOID,
    SOFTMAX,
)

L = keras.layers
OPS = keras.ops
RNG = np.random.default_rng(17)
FLOATS = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
BYTES = RNG.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)

# What is asked: everything that explains or predicts. "maps" are class maps.
DOORS = ("predict", "maps", "default map", "gradient")


# ---- A network and the truth about it ------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A model, pictures for it, and what its author knows about it."""

    model: keras.Model
    images: np.ndarray
    # truth(pictures, note) gives the logits (n, units); it shows note(path, output)
    # the output of each layer.
    truth: Callable
    # Two feature maps, the one that is explained when none is named (None: unsaid),
    # and the words of a warning that then must come.
    layers: tuple[str, ...] = ("early", "late")
    default: str | None = "late"
    warns: str | None = None
    # The layer at which CAM is defined.
    pooled: str | None = None
    squash: str = "softmax"
    # Named like layers, and no feature maps; pictures in a range that is wrong; where
    # it is asked.
    no_maps: tuple[str, ...] = ()
    wrong: np.ndarray | None = None
    doors: tuple[str, ...] = DOORS
    # Share of the largest value by which numbers may differ.
    tolerance: float = 1e-5


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    build: Callable[[], Case]
    # Words that refuse it, at which doors, and the networks its remedies make.
    refused: str | None = None
    doors: tuple[str, ...] = DOORS
    remedy: Callable | None = None
    # Either right or refused; which of the two is not said.
    either: bool = False


def true_answers(case: Case) -> SimpleNamespace:
    """Logits, probabilities, and by layer activations and gradients, (n, c, ...)."""
    images, kept = tf.constant(case.images.astype(np.float32)), {}

    def note(path, output):
        times = sum(name.rsplit(":", 1)[0] == path for name in kept)
        kept[f"{path}:{times + 1}"] = output

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        logits = case.truth(images, note)
        logits = tf.cast(tf.reshape(logits, (len(case.images), -1)), tf.float32)
        if logits.shape[1] == 1:
            logits = tf.concat([-logits, logits], axis=1)
        scores = tf.unstack(logits, axis=1)

    def gradient(source):
        return np.stack([numbers(tape.gradient(s, source)) for s in scores], axis=1)

    def find(name):
        return kept[name] if name in kept else kept[f"{name}:1"]

    names = {*case.layers, case.default, case.pooled} - {None}
    z = numbers(logits)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    softmax, sigmoid = powers / powers.sum(axis=1, keepdims=True), 1 / (1 + np.exp(-z))
    two = case.squash == "sigmoid"
    return SimpleNamespace(
        logits=z,
        probabilities=sigmoid if two else softmax,
        pixels=gradient(images),
        activations={name: numbers(find(name)) for name in names},
        gradients={name: gradient(find(name)) for name in names},
    )


def numbers(tensor) -> np.ndarray:
    return tf.cast(tensor, tf.float32).numpy().astype(np.float64)


def true_maps(answers: SimpleNamespace, method: str, layer: str) -> np.ndarray:
    """Class maps (n, c, h, w), by the formula, one class after the other."""
    a, gradients = answers.activations[layer], answers.gradients[layer]
    classes = range(gradients.shape[1])
    each = [numpy_networks.maps(method, a, gradients[:, c]) for c in classes]
    return np.stack(each, axis=1)


def fill(model: keras.Model, seed: int = 0) -> keras.Model:
    """Draw every weight, so that no layer does nothing."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if "int" in str(weight.dtype):
            continue  # the seeds of noise
        if kind in ("gamma", "moving_variance", "variance", "scale"):
            drawn = rng.uniform(0.5, 1.5, shape)
        elif len(shape) < 2:
            drawn = rng.normal(0, 0.2, shape)
        else:
            reads = np.prod(shape[:2] if "depthwise" in weight.path else shape[:-1])
            drawn = rng.normal(0, np.sqrt(2 / reads), shape)
        weight.assign(drawn)
    return model


# ---- Parts ---------------------------------------------------------------------------


class Part:
    """A part that is not simply called: ``run(x, note, prefix)`` gives its output."""


def symbolic(x) -> bool:
    return isinstance(x, keras.KerasTensor)


def run(parts, x, note, prefix=""):
    """Put parts one after the other on a tensor, symbolic or of numbers."""
    for part in parts:
        if isinstance(part, Part):
            x = part.run(x, note, prefix)
        else:
            x = part(x)
            note(prefix + getattr(part, "name", ""), x)
    return x


def unnoted(path, output):
    """Note nothing."""


class Scores(Part):
    """The dense layer of the logits, with an activation in it or without."""

    def __init__(self, units=3, activation=None, **settings):
        self.layer = L.Dense(units, activation=activation, **settings)

    def run(self, x, note, prefix):
        if symbolic(x):
            return self.layer(x)
        kernel, bias = self.layer.kernel, self.layer.bias
        dtype = self.layer.compute_dtype
        x, kernel, bias = (tf.cast(each, dtype) for each in (x, kernel, bias))
        return tf.tensordot(x, kernel, 1) + bias


class Nest(Part):
    """Parts that are a model of their own; `ends` come after the logits."""

    def __init__(self, name, *parts, ends=(), sequential=False):
        self.name, self.parts, self.ends = name, parts, ends
        self.sequential, self.model = sequential, None

    def run(self, x, note, prefix):
        if not symbolic(x):
            x = run(self.parts, x, note, f"{prefix}{self.name}/")
            note(prefix + self.name, x)
            return x
        if self.model is None:
            inputs = keras.Input(x.shape[1:], dtype=x.dtype)
            if self.sequential:
                self.model = keras.Sequential([inputs, *self.parts], name=self.name)
            else:
                outputs = run([*self.parts, *self.ends], inputs, unnoted)
                self.model = keras.Model(inputs, outputs, name=self.name)
        return self.model(x)


class Branches(Part):
    """Lists of parts that all read the same, joined by a layer."""

    def __init__(self, join, *branches):
        self.join, self.branches = join, branches

    def run(self, x, note, prefix):
        joined = self.join([run(parts, x, note, prefix) for parts in self.branches])
        note(prefix + getattr(self.join, "name", ""), joined)
        return joined


class Noise(Part):
    """A layer that in training does something else; explained is what it does after."""

    def __init__(self, layer, **built):
        self.layer, self.built = layer, built

    def run(self, x, note, prefix):
        settings = self.built if symbolic(x) else {"training": False}
        x = self.layer(x, **settings)
        note(prefix + self.layer.name, x)
        return x


def stem(**settings):
    """Two convolutions, "early" and "late"."""
    settings = {"activation": "relu"} | settings
    return [
        L.Conv2D(4, 3, name="early", **settings),
        L.Conv2D(5, 3, name="late", **settings),
    ]


def gap(*, units=3, activation=None, **settings):
    return [L.GlobalAveragePooling2D(**settings), Scores(units, activation, **settings)]


def flat(*, units=3, activation=None):
    return [L.Flatten(), Scores(units, activation)]


def network(*parts, ends=(), shape=(8, 8, 3), images=FLOATS, inputs=None, **known):
    """Make a case of parts down to the logits, and of what comes after the logits."""
    inputs = keras.Input(shape) if inputs is None else inputs
    outputs = run([*parts, *ends], inputs, unnoted)
    model = fill(keras.Model(inputs, outputs))

    def truth(pictures, note):
        return run(parts, tf.cast(pictures, inputs.dtype), note)

    return Case(model, images, truth, **known)


# ---- Heads: the networks of test_predictions -----------------------------------------


def head_truth(units, squashed=None):
    """The logits of those networks: a 1 x 1 convolution, averaged, times a kernel."""

    def truth(pictures, note):
        features = tf.nn.relu(tf.tensordot(pictures, MIX, 1))
        note("features", features)
        z = tf.reduce_mean(features, axis=(1, 2)) @ KERNELS[units] + BIASES[units]
        return z if squashed is None else squashed(z)

    return truth


def head(model, units, *, squashed=None, squash="softmax", nested=0, **known):
    """A case of one of those networks, at its only layer."""
    prefix, inner = "", model
    for _ in range(nested):
        inner = inner.layers[1]
        prefix += f"{inner.name}/"
    truth = head_truth(units, squashed)
    path = f"{prefix}features"

    def prefixed(pictures, note):
        return truth(pictures, lambda name, output: note(prefix + name, output))

    settings = {"layers": (path,), "default": path, "squash": squash}
    settings["doors"] = ("predict", "maps")  # the others: test_predictions
    return Case(model, IMAGES, prefixed, **settings | known)


def softmax_head(name):
    known = {"nested": {"nested": 1, "nested twice": 2}.get(name, 0)}
    if name == "logarithm of a softmax":
        return head(SOFTMAX[name](), 3, squashed=tf.math.log_softmax)
    case = head(SOFTMAX[name](), 3, **known)
    # Scaled by 1/2 after the dense layer and by 2 before: not its logits, but as many.
    return case if name == "scaled before" else replace(case, pooled=case.default)


def sigmoid_head(name, units):
    case = head(SIGMOID[name](units), units, squash="sigmoid", nested=name == "nested")
    return replace(case, pooled=case.default)


# Of what cannot be looked through, the probabilities, where they sum to 1.
PROBABILITIES = {
    "own function": tf.nn.softmax,
    "Lambda": tf.nn.softmax,
    "own layer": tf.nn.softmax,
    "own layer, cast": tf.nn.softmax,
    "by hand": tf.nn.softmax,
    "mean of two": lambda z: (tf.nn.softmax(z) + tf.nn.softmax(2 * z)) / 2,
    "squashed twice": lambda z: tf.nn.softmax(tf.nn.softmax(z)),
}


def printed(message: str, **names) -> list[keras.Model]:
    """Run the Python that a message prints; return the models that it makes.

    Runs ``name = ...`` unless the name is given, and every ``keras.Model(...)``.
    """
    names, models = {"keras": keras, "np": np} | names, []
    for found in re.finditer(r"\b(?:(\w+) = (?=\w)|(?=keras\.Model\())", message):
        name, depth, end = found[1], 0, found.end()
        while end < len(message):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(message[end], 0)
            stop = re.match(
                r" (?:and|for|if|of|in|with|or|on|is)\b|[,:;.] |\.$|$", message[end:]
            )
            if depth < 0 or (depth == 0 and stop):
                break
            end += 1
        code = message[found.end() : end]
        if not name:
            models.append(eval(code, names))
        elif name not in names:
            names[name] = eval(code, names)
    return models


def told_log(case: Case, message: str) -> list[Case]:
    """Say that the output is probabilities, as `message` does."""
    x = keras.ops.log(case.model.outputs[0])
    (model,) = printed(message, model=case.model, x=x)
    return [replace(case, model=model, pooled=None, squash="softmax")]


def told_logits(case: Case, message: str) -> list[Case]:
    """Say that the output is logits, as `message` does."""
    (model,) = printed(message, model=case.model)
    return [replace(case, model=model, pooled=None)]


UNREADABLE = "logits of model .* cannot be read"


def unreadable_head(name):
    def build():
        p = PROBABILITIES.get(name, tf.identity)
        return head(REFUSED[name](), 3, squashed=lambda z: tf.math.log(p(z)))

    return Row(build, UNREADABLE, remedy=told_log if name in PROBABILITIES else None)


TABLE: dict[str, Row] = {}
for name in SOFTMAX:
    TABLE[f"head: {name}"] = Row(lambda name=name: softmax_head(name))
for name in SIGMOID:
    TABLE[f"sigmoids: {name}"] = Row(lambda name=name: sigmoid_head(name, 3))
    TABLE[f"one unit: {name}"] = Row(lambda name=name: sigmoid_head(name, 1))
for name in REFUSED:
    TABLE[f"refused: {name}"] = unreadable_head(name)


def add(name):
    """Enter a function that builds a case, or gives a row, under a name."""

    def enter(build):
        TABLE[name] = build() if "row" in build.__name__ else Row(build)
        return build

    return enter


def exact(name, *parts, **settings):
    """Enter a network that is answered rightly; `parts` is what makes its parts."""
    (make,) = parts
    TABLE[name] = Row(lambda: network(*make(), **settings))


def refuse(name, make, words=UNREADABLE, *, doors=DOORS, remedy=None, **settings):
    """Enter a network that is refused in these words."""
    TABLE[name] = Row(lambda: network(*make(), **settings), words, doors, remedy)


# ---- Heads, on two layers ------------------------------------------------------------


def averaged_keeping_axes():
    return [*stem(), L.GlobalAveragePooling2D(keepdims=True), L.Dropout(0.5)]


exact("one logit", lambda: [*stem(), *gap(units=1)], squash="sigmoid", pooled="late")
exact("flattened", lambda: [*stem(), *flat()], ends=[L.Softmax()])
exact(
    "two dense layers",
    lambda: [*stem(), L.Flatten(), L.Dense(6, "relu"), Scores(3, "softmax")],
)
exact("maximum", lambda: [*stem(), L.GlobalMaxPooling2D(), Scores(3, "softmax")])
exact(
    "maximum and mean",
    lambda: [
        *stem(),
        Branches(
            L.Concatenate(), [L.GlobalMaxPooling2D()], [L.GlobalAveragePooling2D()]
        ),
        Scores(3, "sigmoid"),
    ],
    squash="sigmoid",
)
exact("mean by keras.ops", lambda: [*stem(), lambda x: OPS.mean(x, (1, 2)), Scores()])
exact(
    "dropout before the scores",
    lambda: [*stem(), L.GlobalAveragePooling2D(), L.Dropout(0.5), Scores(3, "softmax")],
    pooled="late",
)
exact(
    "scores by a convolution",
    lambda: [*averaged_keeping_axes(), L.Conv2D(3, 1), L.Flatten()],
    ends=[L.Softmax()],
)
exact(
    "a map of scores, averaged",
    lambda: [*stem(), L.Conv2D(3, 1, name="scores"), L.GlobalAveragePooling2D()],
    ends=[L.Activation("softmax")],
    layers=("late", "scores"),
    default="scores",
)
exact(
    "scores by two kernels, added",
    lambda: [
        *stem(),
        Branches(L.Add(), gap(), [L.GlobalMaxPooling2D(), Scores()]),
    ],
    ends=[L.Softmax()],
)
exact(
    "divided by a temperature",
    lambda: [*stem(), *gap(), lambda x: x / 2.5],
    ends=[OPS.softmax],
)
exact(
    "scores by EinsumDense",
    lambda: [*stem(), L.Flatten(), L.EinsumDense("bi,ij->bj", 3, bias_axes="j")],
    ends=[L.Softmax()],
)
exact(
    "normalised scores",
    lambda: [*stem(), *gap(), L.BatchNormalization()],
    ends=[L.Softmax()],
)
exact(
    "scores by a recurrent layer over rows",
    lambda: [*stem(), L.Reshape((4, 20)), L.SimpleRNN(4), Scores(3, "softmax")],
)
exact(
    "keras.activations.softmax, called",
    lambda: [*stem(), *gap()],
    ends=[keras.activations.softmax],
    pooled="late",
)
exact(
    "probabilities in the middle",
    lambda: [*stem(), *flat(), L.Softmax(), Scores(4)],
    ends=[L.Softmax()],
)
exact(
    "softmax of logarithms",
    lambda: [*stem(), *flat(), L.Softmax(), OPS.log],
    ends=[L.Softmax()],
)
exact(
    "half of a split, then dense",
    lambda: [
        *stem(),
        L.Flatten(),
        L.Dense(6),
        lambda x: OPS.split(x, 2, axis=-1)[1],
        Scores(3),
    ],
    ends=[L.Softmax()],
)
exact(
    "dtype of its own",
    lambda: [*stem(), *gap(activation="softmax", dtype="float32")],
    pooled="late",
)


def wrapped(make):
    return lambda: [*stem(), L.Flatten(), L.Reshape((1, -1)), make()]


refuse(
    "softmax in a wrapper",
    lambda: [*stem(), L.Flatten(), L.SpectralNormalization(L.Dense(3, "softmax"))],
)
refuse(
    "softmax at each step", wrapped(lambda: L.TimeDistributed(L.Dense(3, "softmax")))
)
refuse(
    "softmax in a cell",
    wrapped(lambda: L.RNN(L.SimpleRNNCell(3, activation="softmax"))),
)
refuse(
    "softmax in two directions",
    wrapped(lambda: L.Bidirectional(L.LSTM(2, activation="softmax"))),
)
refuse(
    "softmax in groups",
    lambda: [*stem(), *flat(units=4), L.Reshape((2, 2)), L.Softmax(), L.Flatten()],
)
refuse(
    "softmax over one",
    lambda: [*stem(), *flat(), L.Reshape((3, 1)), L.Softmax(), L.Flatten()],
)
refuse("powers of 2", lambda: [*stem(), *flat(), OPS.exp2, L.UnitNormalization()])
refuse(
    "powers by keras.ops",
    lambda: [*stem(), *flat(), lambda x: OPS.power(2.0, x), L.UnitNormalization()],
)
refuse(
    "softmax over the batch", lambda: [*stem(), *flat(), lambda x: OPS.softmax(x, 0)]
)
refuse(
    "part of a softmax",
    lambda: [*stem(), *flat(units=5, activation="softmax"), lambda x: x[:, :3]],
)


@add("own layer with a softmax in it")
def _row():
    class Head(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3, activation="softmax")

        def call(self, x):
            return self.dense(x)

    # Cut open by hand, the layer is its dense layer before the softmax.
    class Open(Part):
        def __init__(self):
            self.head = Head()

        def run(self, x, note, prefix):
            if symbolic(x):
                return self.head(x)
            return tf.math.log_softmax(
                tf.matmul(x, self.head.dense.kernel) + self.head.dense.bias
            )

    return Row(
        lambda: network(*stem(), L.GlobalAveragePooling2D(), Open()),
        UNREADABLE,
        remedy=told_log,
    )


refuse(
    "attention between scores",
    lambda: [
        *stem(),
        L.Flatten(),
        Branches(L.Multiply(), [L.Dense(3)], [L.Dense(3, activation="softmax")]),
    ],
    remedy=told_logits,
)


@add("one sigmoid and the rest of it")
def _row():
    def rest(p):
        return OPS.concatenate([1 - p, p], axis=-1)

    def build():
        case = network(*stem(), *gap(units=1), ends=[OPS.sigmoid, rest])
        opened = case.truth
        log = lambda p: tf.math.log(rest(tf.nn.sigmoid(p)))  # noqa: E731
        return replace(case, truth=lambda x, note: log(opened(x, note)))

    return Row(build, UNREADABLE, remedy=told_log)


# ---- Layers on the way ---------------------------------------------------------------


def activated(make):
    """The second convolution followed by an activation, which is the last map."""
    return lambda: [*stem(activation=None), make(), *gap(activation="softmax")]


# The gradient of the pixels goes through all that stands before.
AT_LAST = {
    "layers": ("late", "last"),
    "default": "last",
    "doors": ("default map", "gradient"),
}
ACTIVATIONS = {
    "ReLU layer": lambda: L.ReLU(name="last"),
    "ReLU of 6 with slope and threshold": lambda: L.ReLU(
        6.0, negative_slope=0.1, threshold=0.3, name="last"
    ),
    "tf.nn.relu": lambda: L.Activation(tf.nn.relu, name="last"),
    "PReLU": lambda: L.PReLU(shared_axes=[1, 2], name="last"),
    "GELU": lambda: L.Activation("gelu", name="last"),
    "hard swish": lambda: L.Activation("hard_silu", name="last"),
    "softmax over channels": lambda: L.Softmax(name="last"),
    "batch normalisation": lambda: L.BatchNormalization(name="last"),
    "dropped channels": lambda: L.SpatialDropout2D(0.5, name="last"),
    "Lambda": lambda: L.Lambda(lambda x: 2 * x - 1, name="last"),
}
for name, make in ACTIVATIONS.items():
    exact(f"layer: {name}", activated(make), pooled="last", **AT_LAST)


# An average of what has the average 0 would say nothing.
NORMAL = {
    "layer normalisation": lambda: L.LayerNormalization(name="last"),
    "group normalisation": lambda: L.GroupNormalization(1, name="last"),
}
for name, make in NORMAL.items():
    exact(f"layer: {name}", lambda make=make: [*stem(), make(), *flat()], **AT_LAST)


class Doubled(keras.layers.Layer):
    """A layer of one's own, with weights."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, x):
        return x * self.scale


STEPS = {
    "own layer": lambda: [Doubled(name="last")],
    "depthwise": lambda: [L.DepthwiseConv2D(3, name="last", activation="relu")],
    "separable": lambda: [L.SeparableConv2D(6, 3, name="last", activation="relu")],
    "transposed": lambda: [L.Conv2DTranspose(4, 3, strides=2, name="last")],
    "dilated": lambda: [L.Conv2D(4, 2, dilation_rate=2, name="last")],
    "grouped": lambda: [L.ZeroPadding2D(), L.Conv2D(10, 3, groups=5, name="last")],
    "strided": lambda: [L.Conv2D(4, 3, 2, "same", name="last")],
    "dense in every place": lambda: [L.Dense(4, "relu", name="last")],
    "EinsumDense in every place": lambda: [
        L.EinsumDense("bhwi,ij->bhwj", (None, None, 4), name="last")
    ],
    "mean of windows, same": lambda: [L.AveragePooling2D(3, 2, "same", name="last")],
    "padding and cropping": lambda: [
        L.ZeroPadding2D(2),
        L.Cropping2D(((0, 1), (1, 0)), name="last"),
    ],
    "enlarged": lambda: [L.UpSampling2D(2, interpolation="bilinear", name="last")],
    "residual": lambda: [
        Branches(
            L.Add(name="last"),
            [],
            [L.Conv2D(5, 3, padding="same", activation="relu")],
        )
    ],
    "branches": lambda: [
        Branches(
            L.Concatenate(name="last"),
            [L.Conv2D(2, 1, activation="relu")],
            [L.Conv2D(2, 3, padding="same"), L.ReLU()],
            [L.MaxPooling2D(3, 1, "same"), L.Conv2D(2, 1)],
        )
    ],
    "channels weighed": lambda: [
        Branches(
            L.Multiply(name="last"),
            [],
            [L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(5, 1), OPS.sigmoid],
        )
    ],
    "places weighed": lambda: [
        Branches(
            L.Multiply(name="last"),
            [],
            [L.Conv2D(1, 3, padding="same", activation="sigmoid")],
        )
    ],
    "channels split": lambda: [
        lambda x: OPS.split(x, [2], axis=-1),
        lambda parts: [parts[0], OPS.relu(parts[1] - 1)],
        L.Concatenate(name="last"),
    ],
    "trained in the graph": lambda: [
        Noise(L.BatchNormalization(name="last"), training=True)
    ],
    "dropped in the graph": lambda: [Noise(L.Dropout(0.5, name="last"), training=True)],
}
for name, make in STEPS.items():
    exact(
        f"layer: {name}",
        lambda make=make: [*stem(), *make(), *gap()],
        pooled="last",
        **AT_LAST,
    )


@add("channels shuffled")
def _():
    return network(
        *stem(),
        L.Conv2D(6, 1),
        L.Reshape((4, 4, 2, 3)),
        L.Permute((1, 2, 4, 3)),
        L.Reshape((4, 4, 6)),
        *gap(),
        default=None,
    )


@add("half of a split")
def _row():
    def build():
        parts = *stem(), *flat(units=6), lambda x: OPS.split(x, 2, axis=-1)[1]
        case = network(*parts, ends=[L.Softmax()])
        opened = case.truth
        return replace(case, truth=lambda x, n: tf.math.log_softmax(opened(x, n)))

    return Row(build, UNREADABLE, remedy=told_log)


@add("reshaped below the average")
def _():
    parts = *stem(), L.Reshape((4, 20, 1), name="last"), *gap()
    return network(*parts, default=None)


@add("axes exchanged")
def _():
    parts = *stem(), L.Permute((2, 1, 3), name="turned"), *flat(activation="softmax")
    return network(*parts, no_maps=("turned",))


@add("channels moved to the front")
def _():
    parts = *stem(), L.Permute((3, 1, 2), name="turned"), *flat(activation="softmax")
    return network(*parts, no_maps=("turned",))


@add("windows in the batch")
def _():
    def windows(x):  # four of 4 x 4 for each picture
        x = OPS.transpose(OPS.reshape(x, (-1, 2, 4, 2, 4, 4)), (0, 1, 3, 2, 4, 5))
        return OPS.reshape(x, (-1, 4, 4, 4))

    def pictures(x):
        x = OPS.transpose(OPS.reshape(x, (-1, 2, 2, 4, 4, 4)), (0, 1, 3, 2, 4, 5))
        return OPS.reshape(x, (-1, 8, 8, 4))

    return network(
        L.Conv2D(4, 3, padding="same", activation="relu", name="early"),
        windows,
        L.Conv2D(4, 3, padding="same", name="inside"),
        pictures,
        L.Conv2D(5, 3, activation="relu", name="late"),
        *gap(),
        layers=("early",),
        default="early",
        warns="convolutions",
        no_maps=("inside",),
    )


@add("two networks, their scores averaged")
def _():
    def branch(name):
        return [L.Conv2D(4, 3, activation="relu", name=name), *flat()]

    parts = Branches(L.Average(), branch("early"), branch("late"))
    return network(parts, ends=[L.Softmax()], default=None)


# ---- Nested models -------------------------------------------------------------------

BASE = {"layers": ("base/early", "base/late"), "default": "base/late"}
POOLED = BASE | {"pooled": "base/late"}

exact("nested: base", lambda: [Nest("base", *stem()), *gap()], **POOLED)
exact(
    "nested: Sequential base",
    lambda: [Nest("base", *stem(), sequential=True), *gap(activation="softmax")],
    **POOLED,
)
exact(
    "nested: pooled inside",
    lambda: [
        Nest("base", *stem(), L.GlobalAveragePooling2D()),
        Scores(3, "softmax"),
    ],
    **POOLED,
)
exact(
    "nested: the whole",
    lambda: [Nest("base", *stem(), *gap(), ends=[OPS.softmax])],
    **POOLED,
)
exact(
    "nested: three deep",
    lambda: [Nest("a", Nest("b", Nest("c", *stem()), L.ReLU()), *gap())],
    layers=("a/b/c/early", "a/b/c/late"),
    default=None,
)
exact(
    "nested: the head",
    lambda: [*stem(), Nest("head", *gap(activation=tf.nn.softmax))],
    pooled="late",
)
exact(
    "nested: a Sequential head",
    lambda: [
        *stem(),
        L.Flatten(),
        Nest("head", L.Dense(5, "relu"), L.Dense(3), sequential=True),
    ],
    ends=[L.Softmax()],
)
exact(
    "nested: one name at two depths",
    lambda: [
        L.Conv2D(4, 3, activation="relu", name="conv"),
        Nest("base", L.Conv2D(5, 3, activation="relu", name="conv")),
        *flat(),
    ],
    layers=("conv", "base/conv"),
    default="base/conv",
)
exact(
    "nested: augmented before",
    lambda: [
        Nest("noise", Noise(L.RandomFlip()), Noise(L.RandomRotation(0.1))),
        Nest("base", *stem()),
        *gap(),
    ],
    **POOLED,
)


@add("nested: Sequential around all")
def _():
    base, scores = Nest("base", *stem()), Scores(3, "softmax")
    symbolic_base = base.run(keras.Input((8, 8, 3)), unnoted, "")
    assert symbolic_base.shape[1:] == (4, 4, 5)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), base.model, L.GlobalAveragePooling2D(), scores.layer]
    )
    parts = base, L.GlobalAveragePooling2D(), scores
    return Case(fill(model), FLOATS, lambda x, note: run(parts, x, note), **POOLED)


@add("nested: a subclassed base")
def _():
    class Backbone(keras.Model):
        def __init__(self):
            super().__init__(name="late")
            self.conv = keras.layers.Conv2D(5, 3, activation="relu")

        def call(self, x):
            return self.conv(x)

    first = L.Conv2D(4, 3, activation="relu", name="early")
    return network(first, Backbone(), *gap(activation="softmax"), pooled="late")


class Halves(Part):
    """One backbone for the left and the right half of a picture."""

    def __init__(self, *parts):
        self.base = Nest("base", *parts)

    def run(self, x, note, prefix):
        halves = (x[:, :, :4], x[:, :, 4:])
        return OPS.concatenate([self.base.run(h, note, prefix) for h in halves], -1)


@add("twice: a backbone for two halves")
def _():
    parts = L.Conv2D(4, 3, padding="same", activation="relu", name="late"), L.Flatten()
    return network(
        Halves(*parts),
        Scores(3, "softmax"),
        layers=("base/late:1", "base/late:2"),
        default=None,
        no_maps=("base/late",),
    )


@add("twice: a block after itself")
def _():
    block = L.Conv2D(4, 3, padding="same", activation="relu", name="block")
    return network(
        L.Conv2D(4, 3, activation="relu"),
        block,
        block,
        *gap(activation="softmax"),
        layers=("block:1", "block:2"),
        default="block:2",
        pooled="block:2",
        no_maps=("block",),
    )


@add("twice: the dense layer of the scores")
def _():
    scores = L.Dense(3, name="scores")
    return network(*stem(), L.Flatten(), L.Dense(3), scores, scores, ends=[L.Softmax()])


# ---- Precision -----------------------------------------------------------------------

# 16 bits hold 11 or 8 of a number; two orders of summing differ by several of the last.
for policy, tolerance in {
    "mixed_float16": 5e-3,
    "mixed_bfloat16": 5e-2,
    "float64": 1e-5,
    "float16": 5e-3,
}.items():
    exact(
        f"precision: {policy}",
        lambda policy=policy: [
            *stem(dtype=policy),
            *gap(activation="softmax", dtype=policy),
        ],
        pooled="late",
        tolerance=tolerance,
    )
exact(
    "precision: mixed_float16, softmax in float32",
    lambda: [*stem(dtype="mixed_float16"), *gap(dtype="mixed_float16")],
    ends=[L.Activation("softmax", dtype="float32")],
    pooled="late",
    tolerance=5e-3,
)


def quantised(mode, **settings):
    """A network of whole numbers; cut open it computes what its layers compute."""

    def build():
        case = network(*stem(), *gap(**settings), pooled=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers without weights
            case.model.quantize(mode)
        dense = case.model.layers[-1]

        def truth(pictures, note):
            x = pictures
            for layer in case.model.layers[1:-1]:
                x = layer(x)
                note(layer.name, x)
            activation, dense.activation = dense.activation, None
            try:
                return dense(x)
            finally:
                dense.activation = activation

        return replace(case, truth=truth)

    return build


def told_quantised(case, message):
    opened = case.truth
    case = replace(case, truth=lambda x, n: tf.math.log_softmax(opened(x, n)))
    return told_log(case, message)


QUANTISED = {"refused": "quanti|cannot be read", "either": True}
TABLE["quantised: int8"] = Row(quantised("int8"), **QUANTISED, remedy=told_logits)
TABLE["quantised: int8 with softmax"] = Row(
    quantised("int8", activation="softmax"), **QUANTISED, remedy=told_quantised
)
TABLE["quantised: int4"] = Row(quantised("int4"), **QUANTISED, remedy=told_logits)

# ---- What goes in --------------------------------------------------------------------

UNIT = (BYTES / 255).astype(np.float32)
SCALED = {
    "of bytes to unit": (lambda: [L.Rescaling(1 / 255)], BYTES, UNIT),
    "of bytes to signed": (lambda: [L.Rescaling(1 / 127.5, -1)], BYTES, UNIT),
    "of unit to signed": (lambda: [L.Rescaling(2, -1)], UNIT, BYTES),
    "of unit to bytes": (lambda: [L.Rescaling(255)], UNIT, BYTES),
    "of signed to unit": (lambda: [L.Rescaling(0.5, 0.5)], 2 * UNIT - 1, BYTES),
    "behind augmentation": (
        lambda: [Noise(L.RandomFlip()), Noise(L.RandomZoom(0.1)), L.Rescaling(1 / 255)],
        BYTES,
        UNIT,
    ),
    "nested": (lambda: [Nest("before", L.Rescaling(1 / 255))], BYTES, UNIT),
    "nested, of unit": (lambda: [Nest("before", L.Rescaling(2, -1))], UNIT, BYTES),
    "behind a resize": (
        lambda: [L.Resizing(8, 8), L.Rescaling(1 / 127.5, -1)],
        BYTES,
        UNIT,
    ),
    "by keras.ops": (lambda: [lambda x: x / 255], BYTES, UNIT),
    "by Normalization": (
        lambda: [L.Normalization(mean=[120.0] * 3, variance=[3600.0] * 3)],
        BYTES,
        UNIT,
    ),
    "by Normalization, of unit": (
        lambda: [L.Normalization(mean=[0.5] * 3, variance=[0.06] * 3)],
        UNIT,
        BYTES,
    ),
}
for name, (make, right, wrong) in SCALED.items():
    exact(
        f"scaled {name}",
        lambda make=make: [*make(), *stem(), *gap()],
        images=right,
        wrong=wrong,
        doors=("predict", "maps"),
    )


@add("any range")
def _():
    return network(L.BatchNormalization(), *stem(), *gap(), images=BYTES, pooled="late")


@add("pictures of bytes")
def _():
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    parts = L.Rescaling(1 / 255), *stem(), *gap()
    case = network(*parts, inputs=inputs, images=BYTES, pooled="late", wrong=UNIT)
    return replace(case, truth=lambda x, note: run(parts, x, note))


@add("grey pictures, not square")
def _():
    images = FLOATS[:, :6, :, :1]
    return network(*stem(), *gap(), shape=(6, 8, 1), images=images, pooled="late")


@add("pictures of any size")
def _():
    return network(
        *stem(), *gap(activation="softmax"), shape=(None, None, 3), pooled="late"
    )


@add("a fixed batch")
def _():
    inputs = keras.Input(batch_shape=(2, 8, 8, 3))
    return network(*stem(), *gap(), inputs=inputs, pooled="late")


@add("its input in a dictionary")
def _():
    x = keras.Input((8, 8, 3), name="image")
    case = network(*stem(), *gap(), pooled="late", inputs=x)
    return replace(case, model=keras.Model({"image": x}, {"y": case.model.outputs[0]}))


# ---- Names ---------------------------------------------------------------------------

NAMES = {
    "spaces": ("first map", "last map"),
    "letters beyond ASCII": ("größe", "карта"),
    "quotes": ("'early'", 'the "late" one'),
    "colons": ("conv:0", "map:late:1"),
    "angle brackets": ("<early>", "<pixels>"),
    "a dash first": ("-early", "_late"),
}
for name, (early, late) in NAMES.items():

    def named(early=early, late=late):
        first, second = stem()
        first.name, second.name = early, late
        return [first, second, *gap(activation="softmax")]

    exact(f"names with {name}", named, layers=(early, late), default=late, pooled=late)

# ---- Not a row of scores for one picture ---------------------------------------------


def told_all(case, message, *truths):
    """Make every model that a message prints; each with its own truth."""
    made = printed(message, model=case.model)
    assert len(made) == len(truths), message
    return [
        replace(case, model=model, truth=truth, pooled=None)
        for model, truth in zip(made, truths, strict=True)
    ]


@add("refused: scores in every place")
def _row():
    parts = [*stem(), L.Conv2D(3, 1, name="scores")]

    def build():
        known = {"layers": ("late", "scores"), "default": "scores"}
        return network(*parts, **known)

    def remedy(case, message):
        return told_all(
            case,
            message,
            lambda x, note: tf.reduce_mean(case.truth(x, note), axis=(1, 2)),
            lambda x, note: case.truth(x, note)[:, 0, 0],
        )

    return Row(build, "one row of class scores", remedy=remedy)


@add("refused: probabilities in every place")
def _row():
    def build():
        parts = *stem(), L.Conv2D(3, 1, name="scores")
        return network(
            *parts, ends=[L.Softmax()], layers=("early", "late"), default=None
        )

    def remedy(case, message):
        def mean(x, note):
            p = tf.nn.softmax(case.truth(x, note))
            return tf.math.log(tf.reduce_mean(p, axis=(1, 2)))

        def place(x, note):
            return tf.math.log_softmax(case.truth(x, note)[:, 0, 0])

        # Then its output is probabilities, and the second remedy is to say so.
        return [Then(each, told_log) for each in told_all(case, message, mean, place)]

    doors = ("predict", "maps", "gradient")
    return Row(build, "one row of class scores", doors, remedy)


@dataclass(frozen=True)
class Then:
    """A case that is refused in its turn, with the remedy of that."""

    case: Case
    remedy: Callable


@add("refused: scores at every step")
def _row():
    def build():
        parts = *stem(), L.Reshape((4, 20)), L.LSTM(4, return_sequences=True), Scores()
        return network(*parts)

    def remedy(case, message):
        return told_all(
            replace(case, default=None),  # steps are no places: it must be named
            message,
            lambda x, note: tf.reduce_mean(case.truth(x, note), axis=1),
            lambda x, note: case.truth(x, note)[:, 0],
        )

    return Row(build, "one row of class scores", remedy=remedy)


@add("refused: boxes and classes")
def _row():
    def build():
        case = network(*stem(), *gap(), pooled="late")
        boxes = L.Dense(4)(case.model.get_layer("late").output[:, 0, 0])
        outputs = [case.model.outputs[0], boxes]
        return replace(case, model=keras.Model(case.model.inputs, outputs))

    def remedy(case, message):
        (model,) = printed(message, model=case.model)
        return [replace(case, model=model)]

    return Row(build, "2 outputs", remedy=remedy)


@add("refused: a picture and two numbers")
def _row():
    numbers_of_it = np.array([0.5, -2.0], np.float32)
    parts, scores = stem(), Scores()

    def together(x, other):
        return OPS.concatenate([OPS.mean(x, axis=(1, 2)), other], axis=-1)

    def build():
        x, other = keras.Input((8, 8, 3)), keras.Input((2,))
        features = run(parts, x, unnoted)
        outputs = scores.run(together(features, other), unnoted, "")
        model = fill(keras.Model([x, other], outputs))

        def truth(pictures, note):
            x = run(parts, pictures, note)
            other = tf.tile(numbers_of_it[None], (len(x), 1))
            return scores.run(together(x, other), note, "")

        return Case(model, FLOATS, truth)

    def remedy(case, message):
        made = printed(message, model=case.model, k=2, values=numbers_of_it)
        prefix = f"{case.model.name}/"  # the model stands within the one that is made

        def truth(x, note):
            return case.truth(x, lambda path, output: note(prefix + path, output))

        named = {"layers": (prefix + "early", prefix + "late")}
        named["default"] = prefix + "late"
        return [replace(case, model=made[-1], truth=truth, **named)]

    return Row(build, "2 inputs", remedy=remedy)


@add("refused: a subclassed model")
def _row():
    class Own(keras.Model):
        def __init__(self, parts):
            super().__init__()
            self.parts = parts

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    layers = [*stem(), L.GlobalAveragePooling2D(), L.Dense(3)]

    def build():
        model = Own(layers)
        model(FLOATS)
        return Case(fill(model), FLOATS, lambda x, note: run(layers, x, note))

    def remedy(case, message):
        assert "functional" in message
        inputs = keras.Input((8, 8, 3))
        return [replace(case, model=keras.Model(inputs, case.model.call(inputs)))]

    return Row(build, "no layer graph", remedy=remedy)


@add("refused: a Sequential that saw no picture")
def _row():
    layers = [*stem(), L.GlobalAveragePooling2D(), L.Dense(3)]

    def build():
        truth = lambda x, note: run(layers, x, note)  # noqa: E731
        return Case(keras.Sequential(layers), FLOATS, truth, pooled="late")

    def remedy(case, message):
        assert "call it once" in message
        case.model(FLOATS)
        fill(case.model)
        return [case]

    return Row(build, "no layer graph", remedy=remedy)


def tokens(*, back_to_grid):
    """A small vision transformer: 2 x 2 patches, attention among 16 tokens."""
    scores = [L.GlobalAveragePooling1D(), Scores(3, "softmax")]
    if back_to_grid:
        scores = [L.Reshape((4, 4, 6), name="grid"), *gap(activation="softmax")]
    attention = L.MultiHeadAttention(2, 3)
    return [
        L.Conv2D(6, 2, strides=2, name="patches"),
        L.Reshape((16, 6), name="tokens"),
        Branches(
            L.Add(),
            [],
            [L.LayerNormalization(), lambda x: attention(x, x)],
        ),
        Branches(
            L.Add(),
            [],
            [L.LayerNormalization(), L.Dense(8, "gelu"), L.Dense(6)],
        ),
        L.LayerNormalization(name="normal"),
        *scores,
    ]


@add("refused: a vision transformer")
def _row():
    known = {
        "layers": ("patches",),
        "default": "patches",
        "no_maps": ("tokens", "normal"),
    }

    def remedy(case, message):
        assert "Reshape" in message
        return [
            network(
                *tokens(back_to_grid=True),
                layers=("patches", "grid"),
                default="grid",
                pooled="grid",
            )
        ]

    return Row(
        lambda: network(*tokens(back_to_grid=False), **known),
        "tokens",
        ("default map",),
        remedy,
    )


@add("refused: heads of attention")
def _row():
    """Rank 4, and no picture: (tokens, heads, width)."""
    known = {"layers": ("patches",), "default": "patches", "no_maps": ("heads",)}

    def build():
        parts = tokens(back_to_grid=False)
        parts[2:2] = [L.Reshape((16, 2, 3), name="heads"), L.Reshape((16, 6))]
        return network(*parts, **known)

    return Row(build, "tokens", ("default map",))


FIRST = {"data_format": "channels_first"}


@add("refused: channels first, pooled")
def _row():
    def build():
        case = network(
            L.Permute((3, 1, 2)),
            L.Conv2D(4, 3, name="late", **FIRST),
            L.GlobalAveragePooling2D(**FIRST),
            Scores(),
        )
        return replace(case, layers=("late",))

    def remedy(case, message):
        assert "channels_last" in message
        late = L.Conv2D(4, 3, name="late")
        new = network(late, *gap(), layers=("late",), pooled="late")
        new.model.set_weights(case.model.get_weights())
        return [new]

    return Row(build, "channels", remedy=remedy)


@add("refused: channels first, flattened")
def _row():
    parts = [
        L.Permute((3, 1, 2)),
        L.Conv2D(4, 3, name="late", **FIRST),
        L.MaxPooling2D(2, **FIRST),
        *flat(),
    ]
    return Row(lambda: network(*parts, layers=("late",)), "channels")


def other_shape(name, shape, *parts):
    """Enter a network that takes no pictures: no class maps, all else right."""
    images = RNG.normal(size=(2, *shape)).astype(np.float32)
    known = {"shape": shape, "images": images, "layers": (), "default": None}
    TABLE[f"refused: {name}"] = Row(
        lambda: network(*parts, **known), "has no feature map", ("maps", "default map")
    )


other_shape("one axis", (9, 2), L.Conv1D(4, 3), L.GlobalAveragePooling1D(), Scores())
other_shape(
    "three axes", (5, 6, 6, 1), L.Conv3D(4, 3), L.GlobalAveragePooling3D(), Scores()
)
other_shape(
    "a film",
    (3, 6, 6, 1),
    L.TimeDistributed(L.Conv2D(4, 3)),
    L.TimeDistributed(L.GlobalAveragePooling2D()),
    L.LSTM(4),
    Scores(),
)
other_shape("only dense layers", (8, 8, 3), L.Flatten(), L.Dense(5, "relu"), Scores())


# ---- The applications of Keras, small ------------------------------------------------


def averaged_layer(model):
    """Where in `model.operations` the one is that the last global pooling reads."""
    pools = [x for x in model.layers if isinstance(x, L.GlobalAveragePooling2D)]
    names = [each.name for each in model.operations]
    return names.index(pools[-1].input._keras_history.operation.name)


def application(
    make,
    early,
    late=averaged_layer,
    *,
    side=64,
    scales=False,
    doors=("maps",),
    **known,
):
    """A network of `keras.applications`; its twin without a softmax is the truth."""

    def build():
        twin, model = fill(make(side, None)), make(side, "softmax")
        model.set_weights(twin.get_weights())
        # By place, because names that Keras gives go on counting.
        names = [each.name for each in twin.operations]
        places = [
            names.index(early),
            names.index(late) if late in names else late(twin),
        ]
        paths = tuple(model.operations[place].name for place in places)
        outputs = [twin.operations[place].output for place in places]
        split = keras.Model(twin.inputs[0], [*outputs, twin.outputs[0]])

        def truth(pictures, note):
            *maps, logits = split(pictures)
            for path, each in zip(paths, maps, strict=True):
                note(path, each)
            return logits

        images = RNG.uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
        if scales:
            images = 127.5 * (images + 1)
        facts = {"layers": paths, "default": paths[1], "doors": doors} | known
        # Some fifty sums of float32, one after the other, in another order.
        return Case(model, images, truth, tolerance=5e-5, **facts)

    return Row(build)


def published(name, **settings):
    """One of the functions of `keras.applications`."""
    return smaller(getattr(keras.applications, name), **settings)


def fewer(module, name, **settings):
    """The function behind several of them, which takes the number of blocks."""
    module = import_module(f"keras.src.applications.{module}")
    return smaller(getattr(module, name), **settings)


def smaller(function, **settings):
    def make(side, end):
        shape = {"input_shape": (side, side, 3), "classes": 3, "weights": None}
        return function(classifier_activation=end, **shape, **settings)

    return make


def residual_stacks(x):
    stack = import_module("keras.src.applications.resnet").stack_residual_blocks_v2
    for number, width in enumerate((4, 8, 8), start=2):
        x = stack(x, width, 2, name=f"conv{number}")
    return x


TABLE |= {
    "MobileNet": application(published("MobileNet", alpha=0.25), "conv_pw_3_relu"),
    "MobileNetV3": application(
        published("MobileNetV3Small", alpha=0.75, minimalistic=True),
        "expanded_conv_2_add",
        scales=True,
    ),
    "VGG16": application(published("VGG16"), "block2_pool", "block4_pool", side=32),
    "InceptionV3, in one cell": application(
        published("InceptionV3"),
        "mixed1",
        "mixed7",
        side=96,
        warns="convolutions",
        doors=("default map",),
    ),
    "EfficientNet": application(
        fewer(
            "efficientnet",
            "EfficientNet",
            width_coefficient=0.25,
            depth_coefficient=0.1,
            default_size=64,
        ),
        "block2a_expand_activation",
        scales=True,
    ),
    "ResNetV2": application(
        fewer(
            "resnet",
            "ResNet",
            stack_fn=residual_stacks,
            preact=True,
            use_bias=True,
            weights_name="none",
        ),
        "conv2_block2_out",
        doors=("predict", "maps", "default map"),
    ),
    "DenseNet": application(
        fewer("densenet", "DenseNet", blocks=[2, 2, 2, 2]),
        "pool2_relu",
        doors=("predict", "maps", "default map"),
    ),
    "ConvNeXt": application(
        fewer(
            "convnext",
            "ConvNeXt",
            depths=[1, 1, 1, 1],
            projection_dims=[8, 8, 16, 16],
            default_size=64,
        ),
        "convnext_stage_0_block_0_identity",
        scales=True,
    ),
}
