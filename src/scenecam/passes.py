"""From a model to the layer outputs and gradients that every class activation map needs.

A Keras model is a graph of layers. Here each layer is wrapped in a `Tap`, which calls the
layer and shows the call to a listener; the taps are put together to a second model with
`keras.models.clone_model`. The second model computes the same numbers with the same layer
objects, nested models included, and the first one does not notice: no layer is called on
symbolic tensors, no attribute is set, nothing has to be undone when an error occurs.
"""

import difflib
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Layers that hand their numbers on unchanged at inference; only the shape may differ.
HANDS_ON = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Identity,
)
SQUASHING = (keras.activations.softmax, keras.activations.sigmoid)


@dataclass(frozen=True)
class Call:
    """One call of one layer: where it stands, what went in, what came out."""

    path: str
    layer: Any
    inputs: list
    output: Any


class Tap(keras.Operation):
    """Stand-in for one layer: calls it and shows the call to a listener."""

    def __init__(self, run: Any, layer: Any, path: str, listen: Callable) -> None:
        super().__init__(name=layer.name)
        self.run, self.layer, self.path, self.listen = run, layer, path, listen

    def call(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("training", None)  # inference, even if the graph says otherwise
        output = self.run(*args, **kwargs)
        inputs = keras.tree.flatten((args, kwargs))
        return self.listen(Call(self.path, self.layer, inputs, output))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        output = self.run.compute_output_spec(*args, **kwargs)
        inputs = keras.tree.flatten((args, kwargs))
        return self.listen(Call(self.path, self.layer, inputs, output))


def is_graph(layer: Any) -> bool:
    """Whether `layer` is a functional or Sequential model, so that one can look inside."""
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def tap_model(model: keras.Model, listen: Callable, prefix: str = "") -> keras.Model:
    """Put a listener on every layer of a model without changing the model.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, with one input and one output.
    listen : callable
        ``listen(call) -> output``: receives every `Call`, in the order of execution, and
        returns what the next layer shall receive (``call.output`` to change nothing).

    Returns
    -------
    keras.Model
        Computes what `model` computes, with the same layers; takes float32 pictures.
    """

    def tap(layer: Any) -> Tap:
        path = prefix + layer.name
        run = tap_model(layer, listen, path + "/") if is_graph(layer) else layer
        return Tap(run, layer, path, listen)

    # A fresh model around the same graph: clone_model would also copy a compiled model's
    # optimizer and loss, and a Sequential's own way of calling its layers.
    graph = keras.Model(model.inputs[0], model.outputs[0])
    pictures = model.inputs[0]
    dtype = pictures.dtype if prefix else "float32"
    placeholder = keras.Input(pictures.shape[1:], dtype=dtype)
    return keras.models.clone_model(graph, placeholder, clone_function=tap)


def check_model(model: Any) -> None:
    """Raise unless `model` is a built graph model with one input and one output."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model; received {type(model).__name__}. "
            "Load one with scenecam.models.load_model."
        )
    if not is_graph(model):
        raise ValueError(
            f"Model '{model.name}' has no layer graph to look into: it is a subclassed "
            "model, or a Sequential that never saw its input shape. Use a functional "
            "model, or call the Sequential once, or give it a keras.Input first."
        )
    for side, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            names = ", ".join(tensor.name for tensor in tensors)
            raise ValueError(
                f"A class map needs one picture in and one row of class scores out; "
                f"model '{model.name}' has {len(tensors)} {side} ({names}). Make a model "
                "of the part to explain: keras.Model(model.inputs[0], model.outputs[0])."
            )


@dataclass(frozen=True)
class Anatomy:
    """What is known about a model before anything is computed.

    Attributes
    ----------
    sizes : dict
        Path of every rank-4 output, in the order of execution, to its (height, width).
    groups : frozenset
        The paths among them that are whole nested models, not single layers.
    logits : str
        The layer whose result, before its own softmax or sigmoid, is the logits.
    num_classes : int
        How many logits there are.
    gap : str or None
        The global average pooling that feeds `logits` directly, if there is one.
    features : tuple of str
        The layers whose output is what that pooling averages.
    reached : frozenset
        The paths that the logits depend on.
    """

    sizes: dict[str, tuple]
    groups: frozenset[str]
    logits: str
    num_classes: int
    gap: str | None
    features: tuple[str, ...]
    reached: frozenset[str]


def record_calls(model: keras.Model) -> tuple[list[Call], Any]:
    """List every layer call of one symbolic run, and return the model's output with it.

    A nested model comes after its own layers.
    """
    calls: list[Call] = []

    def listen(call: Call) -> Any:
        calls.append(call)
        return call.output

    tapped = tap_model(model, listen)
    calls.clear()  # putting the taps together has run nested models already
    # Keras runs through the graph only for another shape than it was put together with,
    # which has no batch size.
    one_picture = keras.KerasTensor((1, *model.inputs[0].shape[1:]), dtype="float32")
    return calls, tapped.compute_output_spec(one_picture)


def study_model(model: keras.Model) -> Anatomy:
    """Find the feature maps, the logits and the pooling head of a model."""
    calls, output = record_calls(model)
    made_by: dict[int, Call] = {}
    for call in calls:
        for tensor in keras.tree.flatten(call.output):
            made_by.setdefault(id(tensor), call)  # the layer, not the model around it

    def walk_up(tensor: Any, stop: Callable) -> list[Call]:
        """Single-input calls from `tensor` upwards, to the first where `stop` holds."""
        chain = []
        while id(tensor) in made_by:
            chain.append(made_by[id(tensor)])
            if stop(chain[-1].layer):
                break
            tensor = chain[-1].inputs[0]
        return chain

    def works(layer: Any) -> bool:
        return not (hands_on(layer) or squashes(layer))

    logits, gap, features = walk_up(output, works)[-1], None, ()
    if _hides_logits(logits.layer):
        raise ValueError(
            f"Layer {logits.path!r} turns its logits into probabilities inside, and it is "
            "no Dense layer, so they cannot be read. Move its softmax or sigmoid into an "
            "Activation layer of its own."
        )
    if isinstance(logits.layer, keras.layers.Dense) and is_linear(logits.layer):
        below = walk_up(logits.inputs[0], lambda layer: not hands_on(layer))
        if below and isinstance(below[-1].layer, keras.layers.GlobalAveragePooling2D):
            gap = below[-1]
            fed = walk_up(gap.inputs[0], lambda layer: not hands_on(layer))
            same = {id(call.output) for call in fed}
            features = tuple(call.path for call in calls if id(call.output) in same)
    return Anatomy(
        sizes={
            call.path: tuple(call.output.shape[1:3])
            for call in calls
            if len(getattr(call.output, "shape", ())) == 4
        },
        groups=frozenset(call.path for call in calls if is_graph(call.layer)),
        logits=logits.path,
        num_classes=int(np.prod(logits.output.shape[1:])),
        gap=gap.path if gap else None,
        features=features,
        reached=frozenset(_paths_above(logits, calls, made_by)),
    )


def hands_on(layer: Any) -> bool:
    """Whether `layer` returns its input at inference, at most in another shape."""
    if isinstance(layer, keras.layers.Activation):
        return layer.activation is keras.activations.linear
    return isinstance(layer, HANDS_ON)


def squashes(layer: Any) -> bool:
    """Whether `layer` only turns logits into probabilities."""
    if isinstance(layer, keras.layers.Activation):
        return layer.activation in SQUASHING
    return isinstance(layer, keras.layers.Softmax)


def is_linear(layer: Any) -> bool:
    """Whether `layer` is linear up to a softmax or sigmoid that turns logits to scores."""
    return layer.activation in (keras.activations.linear, *SQUASHING)


def _hides_logits(layer: Any) -> bool:
    squashing = getattr(layer, "activation", None) in SQUASHING
    return squashing and not isinstance(layer, keras.layers.Dense)


def _paths_above(last: Call, calls: list[Call], made_by: dict[int, Call]) -> set[str]:
    seen: set[int] = set()
    waiting = [last.output, *last.inputs]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in made_by and id(tensor) not in seen:
            seen.add(id(tensor))
            waiting.extend(made_by[id(tensor)].inputs)
    return {
        call.path
        for call in calls
        if any(id(tensor) in seen for tensor in keras.tree.flatten(call.output))
    }


def layer_names(model: keras.Model) -> list[str]:
    """Name the layers that a class map can be drawn at, in the order of execution.

    These are the layers with an output of shape (n, h, w, channels) and more than one
    cell. A layer inside a nested model has a path: ``"base/block5_conv3"``.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, built, with one input and one output.

    Returns
    -------
    list of str
        The last of them is the default of `cam.class_maps`.

    Raises
    ------
    TypeError, ValueError
        If `model` is no Keras model, or one without a layer graph.
    """
    anatomy = anatomy_of(model)
    names = [name for name in anatomy.sizes if name not in anatomy.groups]
    return [name for name in names if anatomy.sizes[name] != (1, 1)] or names


def find_layers(model: keras.Model, layers: str | Sequence[str] | None) -> list[str]:
    """Check layer names against the model; None means the last feature map.

    Raises
    ------
    ValueError
        If a name is unknown (the message lists the known ones, nearest first), is not a
        feature map, or does not influence the logits.
    """
    anatomy = anatomy_of(model)
    known = layer_names(model)
    if not known:
        raise ValueError(
            f"Model '{model.name}' has no layer with an output (n, h, w, channels): "
            "a class map needs a convolutional network."
        )
    if layers is None:
        return [name for name in known if name in anatomy.reached][-1:]
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("`layers` is empty; name at least one, or pass None.")
    for name in names:
        if name not in anatomy.sizes:
            nearest = sorted(known, key=lambda known: -_likeness(str(name), known))
            raise ValueError(
                f"Model '{model.name}' has no feature map named {name!r}. Did you mean "
                f"{nearest[0]!r}? It has: {', '.join(nearest)}."
            )
        if name not in anatomy.reached:
            raise ValueError(
                f"The logits of model '{model.name}' do not depend on layer {name!r}, so "
                f"it has no gradient. Choose one that lies on the way to "
                f"{anatomy.logits!r}."
            )
    return list(dict.fromkeys(names))


def _likeness(wanted: str, name: str) -> float:
    """Compare the whole path and its last part; the better of the two counts."""
    last = name.rsplit("/", 1)[-1]
    return max(
        difflib.SequenceMatcher(None, wanted.lower(), part.lower()).ratio()
        for part in (name, last)
    )


# Per model: what was learned about it and the passes compiled for it. The entry goes when
# the model goes, so nothing in it may refer to the model itself, only to its layers.
_KEPT: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_LOCK = threading.RLock()


def keep(model: keras.Model, key: Any, make: Callable) -> Any:
    """Return ``make()``, computed once per model and key until the model's layers change."""
    with _LOCK:
        parts = _parts(model)
        entry = _KEPT.get(model)
        if entry is None or entry["parts"] != parts:
            entry = _KEPT[model] = {"parts": parts}
        if key not in entry:
            entry[key] = make()
        return entry[key]


def _parts(model: keras.Model) -> tuple:
    """Identify the layers and their activations: a trace is stale when one is exchanged."""
    parts: list[int] = []
    for layer in model.layers:
        parts += (id(layer), id(getattr(layer, "activation", None)))
        if is_graph(layer):
            parts += _parts(layer)
    return tuple(parts)


def anatomy_of(model: keras.Model) -> Anatomy:
    """`study_model`, once per model."""
    check_model(model)
    return keep(model, "anatomy", lambda: study_model(model))


def compile_pass(
    model: keras.Model, layers: Sequence[str], count: int, dtype: str, fold: Callable
) -> Callable:
    """Compile one forward pass and one backward pass per class, for all layers at once.

    The tape starts at the first of the layers, does not watch the weights, and every
    backward pass yields the gradients at all layers. Where a layer is averaged by a
    global average pooling and read by a dense layer, the gradient is that layer's kernel
    divided by the number of cells, so no backward pass is made for it.

    Parameters
    ----------
    model : keras.Model
        Checked by `check_model`.
    layers : sequence of str
        Checked by `find_layers`.
    count : int
        How many classes per picture, c.
    dtype : str
        Of the pictures: "uint8" or "float32".
    fold : callable
        ``fold(activations, gradients)``, called inside the pass with float32 tensors
        (n, h, w, channels): a layer's output and the gradient of one class's logit there
        (of shape (n, 1, 1, channels) where every cell has the same). Returns a dict of
        (n, h, w) tensors.

    Returns
    -------
    callable
        ``step(images, classes)`` for tensors (n, h, w, 3) and int32 (n, c), -1 being
        the class with the highest logit; n may differ from call to call. Returns a dict:
        layer to what `fold` returned, with the classes as second axis, (n, c, h, w).
    """
    anatomy = anatomy_of(model)
    pooled = [name for name in layers if name in anatomy.features]
    others = [name for name in layers if name not in anatomy.features]
    seen: dict[str, Any] = {}

    def listen(call: Call) -> Any:
        if isinstance(call.output, keras.KerasTensor):
            return call.output  # the taps are only being put together
        if call.path in layers:
            seen[call.path] = call.output
        if call.path in others:
            seen["tape"].watch(call.output)
        if call.path == anatomy.logits:
            seen["call"] = call
        return call.output

    tapped = tap_model(model, listen)

    def step(images: tf.Tensor, classes: tf.Tensor) -> dict[str, dict]:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            seen["tape"] = tape
            tapped(tf.cast(images, tf.float32), training=False)
            logits = tf.reshape(logits_of(seen["call"]), (-1, anatomy.num_classes))
        best = tf.argmax(logits, axis=-1, output_type=tf.int32)[:, None]
        classes = tf.where(classes < 0, best, classes)
        outputs = {name: tf.cast(seen[name], tf.float32) for name in layers}

        def backward(target: tf.Tensor) -> dict[str, dict]:
            sources = {name: seen[name] for name in others}
            gradients = tape.gradient(logits, sources, output_gradients=target)
            check_gradients(gradients, model_name=tapped.name)
            return {
                name: fold(outputs[name], tf.cast(gradients[name], tf.float32))
                for name in others
            }

        if others:  # traced once, not once per class
            backward = compiled(backward, tf.TensorSpec(logits.shape, logits.dtype))

        def one_class(index: int) -> dict[str, dict]:
            chosen = classes[:, index]
            target = tf.one_hot(chosen, anatomy.num_classes, dtype=logits.dtype)
            maps = backward(target) if others else {}
            for name in pooled:
                gradients = pooled_gradients(seen["call"].layer, chosen, outputs[name])
                maps[name] = fold(outputs[name], gradients)
            return {name: maps[name] for name in layers}

        every = [one_class(index) for index in range(count)]
        return tf.nest.map_structure(lambda *maps: tf.stack(maps, axis=1), *every)

    return compiled(
        step,
        tf.TensorSpec((None, *model.inputs[0].shape[1:]), dtype),
        tf.TensorSpec((None, count), tf.int32),
    )


def compiled(function: Callable, *signature: tf.TensorSpec) -> Callable:
    """Trace a function once, for tensors of this signature, at once."""
    traced = tf.function(function, autograph=False)
    return traced.get_concrete_function(*signature)


def logits_of(call: Call) -> tf.Tensor:
    """Return a layer's result before its own softmax or sigmoid."""
    layer = call.layer
    if getattr(layer, "activation", None) not in SQUASHING:
        return call.output
    dtype = layer.compute_dtype
    logits = keras.ops.matmul(
        tf.cast(call.inputs[0], dtype), tf.cast(layer.kernel, dtype)
    )
    return logits if layer.bias is None else logits + tf.cast(layer.bias, dtype)


def pooled_gradients(head: Any, classes: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Gradient of a logit below global average pooling: kernel column / cells."""
    kernel = tf.cast(tf.convert_to_tensor(head.kernel), tf.float32)
    cells = tf.cast(tf.reduce_prod(tf.shape(outputs)[1:3]), tf.float32)
    columns = tf.gather(tf.transpose(kernel), classes)  # (n, channels)
    return columns[:, None, None, :] / cells


def check_gradients(gradients: dict[str, Any], *, model_name: str) -> None:
    """Raise where no gradient came back: the name says which layer."""
    missing = [name for name, gradient in gradients.items() if gradient is None]
    if missing:
        raise ValueError(
            f"No gradient reaches {', '.join(map(repr, missing))} in model "
            f"'{model_name}': a layer above it cannot be differentiated. Choose a layer "
            "nearer to the logits."
        )
