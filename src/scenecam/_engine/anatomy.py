"""What a model consists of: its layers, its feature maps, its logits, its head.

A Keras model is a graph of layers. To listen to it, each layer is wrapped in a `Tap`,
which calls the layer and shows the call to a listener; `keras.models.clone_model` puts
the taps together to a second model. That one computes the same numbers with the same
layer objects, nested models included, and the first does not notice: no layer is called
on symbolic tensors, no attribute is set, nothing must be undone when an error occurs.
"""

import difflib
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

# Layers that hand their input on at inference; only its shape may change.
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

    def _show(self, output: Any, args: tuple, kwargs: dict) -> Any:
        inputs = keras.tree.flatten((args, kwargs))
        return self.listen(Call(self.path, self.layer, inputs, output))

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer on numbers, at inference even if the graph says otherwise."""
        kwargs.pop("training", None)
        return self._show(self.run(*args, **kwargs), args, kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the layer for the shape and dtype it would return."""
        return self._show(self.run.compute_output_spec(*args, **kwargs), args, kwargs)


def is_graph(layer: Any) -> bool:
    """Whether `layer` is a functional or Sequential model: one can look inside."""
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def tap_model(model: keras.Model, listen: Callable, *, prefix: str = "") -> keras.Model:
    """Put a listener on every layer of a model without changing the model.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, with one input and one output.
    listen : callable
        ``listen(call) -> output``: receives every `Call` in the order of execution, a
        nested model's own call after those of its layers, and returns what the next
        layer shall receive (``call.output`` to change nothing). It is called with
        symbolic tensors, too, while the taps are put together.
    prefix : str
        Put before every layer name to make its path.

    Returns
    -------
    keras.Model
        Computes what `model` computes, with the same layers; takes float32 pictures.
    """

    def tap(layer: Any) -> Tap:
        path = prefix + layer.name
        inner = is_graph(layer)
        run = tap_model(layer, listen, prefix=path + "/") if inner else layer
        return Tap(run, layer, path, listen)

    # A fresh model around the same graph: clone_model would also copy the optimizer
    # and loss of a compiled one, and clones a Sequential in another way.
    inputs, outputs = model.inputs[0], model.outputs[0]
    if prefix and not isinstance(model, keras.Sequential):
        inputs, outputs = model.input, model.output  # as the outer model calls it
    placeholders = keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=x.dtype if prefix else "float32"),
        inputs,
    )
    graph = keras.Model(inputs, outputs)
    return keras.models.clone_model(graph, placeholders, clone_function=tap)


def record_calls(model: keras.Model) -> tuple[list[Call], Any]:
    """List every layer call of one symbolic run, and the output of the model."""
    calls: list[Call] = []

    def listen(call: Call) -> Any:
        calls.append(call)
        return call.output

    tapped = tap_model(model, listen)
    calls.clear()  # of putting the taps together
    # Keras runs through a graph only for another shape than it was put together with;
    # that one had no batch size.
    picture = keras.KerasTensor((1, *model.inputs[0].shape[1:]), dtype="float32")
    return calls, tapped.compute_output_spec(picture)


@dataclass(frozen=True)
class Anatomy:
    """What is known about a model before anything is computed.

    Attributes
    ----------
    sizes : dict
        Path of every rank-4 output, in the order of execution, to (height, width).
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
    relus : tuple of str
        Those of them that are or end in a ReLU.
    """

    sizes: dict[str, tuple]
    groups: frozenset[str]
    logits: str
    num_classes: int
    gap: str | None
    features: tuple[str, ...]
    reached: frozenset[str]
    relus: tuple[str, ...]


def study_model(model: keras.Model) -> Anatomy:
    """Find the feature maps, the logits and the pooling head of a model."""
    calls, output = record_calls(model)
    made_by: dict[int, Call] = {}
    for call in calls:
        for tensor in keras.tree.flatten(call.output):
            made_by.setdefault(id(tensor), call)  # the layer, not the model around it

    def walk_up(tensor: Any, past: Callable) -> list[Call]:
        """Calls from `tensor` upwards, up to the first that one cannot go past."""
        chain = []
        while id(tensor) in made_by:
            chain.append(made_by[id(tensor)])
            if not past(chain[-1].layer):
                break
            tensor = chain[-1].inputs[0]
        return chain

    logits = walk_up(output, lambda layer: hands_on(layer) or squashes(layer))[-1]
    _check_readable(logits)
    gap, features = None, ()
    if isinstance(logits.layer, keras.layers.Dense) and (
        logits.layer.activation in (keras.activations.linear, *SQUASHING)
    ):
        below = walk_up(logits.inputs[0], hands_on)
        if below and isinstance(below[-1].layer, keras.layers.GlobalAveragePooling2D):
            gap = below[-1]
            same = {id(call.output) for call in walk_up(gap.inputs[0], hands_on)}
            features = tuple(call.path for call in calls if id(call.output) in same)
    reached = _reached(logits, calls, made_by)
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
        reached=reached,
        relus=tuple(
            call.path for call in calls if call.path in reached and is_relu(call.layer)
        ),
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
    if isinstance(layer, keras.layers.Layer):
        return isinstance(layer, keras.layers.Softmax)
    return type(layer).__name__ in ("Softmax", "Sigmoid")  # keras.ops.softmax(x)


def is_relu(layer: Any) -> bool:
    """Whether `layer` is or ends in a ReLU: as a layer, activation or operation."""
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope
    if isinstance(layer, keras.layers.Layer):
        relus = (keras.activations.relu, keras.activations.relu6)
        return getattr(layer, "activation", None) in relus
    return type(layer).__name__ in ("ReLU", "Relu", "Relu6")  # keras.ops.relu(x)


def _check_readable(logits: Call) -> None:
    squashing = getattr(logits.layer, "activation", None) in SQUASHING
    if squashing and not isinstance(logits.layer, keras.layers.Dense):
        raise ValueError(
            f"Layer {logits.path!r} turns its logits into probabilities inside, and it "
            "is no Dense layer, so they cannot be read. Move its softmax or sigmoid "
            "into an Activation layer of its own."
        )


def _reached(last: Call, calls: list[Call], made_by: dict[int, Call]) -> frozenset[str]:
    seen: set[int] = set()
    waiting = [last.output, *last.inputs]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in made_by and id(tensor) not in seen:
            seen.add(id(tensor))
            waiting.extend(made_by[id(tensor)].inputs)
    return frozenset(
        call.path
        for call in calls
        if any(id(tensor) in seen for tensor in keras.tree.flatten(call.output))
    )


# Per model: what was learned about it, and the passes compiled for it. The entry goes
# when the model goes, so nothing in it may refer to the model itself, only to layers.
_KEPT: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_LOCK = threading.RLock()


def keep(model: keras.Model, key: Any, make: Callable) -> Any:
    """Return ``make()``, made once per model and key until the layers change."""
    with _LOCK:
        parts = _parts(model)
        entry = _KEPT.get(model)
        if entry is None or entry["parts"] != parts:
            entry = _KEPT[model] = {"parts": parts}
        if key not in entry:
            entry[key] = make()
        return entry[key]


def _parts(model: keras.Model) -> tuple:
    """Identify layers and activations: a trace is stale when one was exchanged."""
    parts: list = []
    for layer in model.layers:
        parts += (id(layer), id(getattr(layer, "activation", None)))
        if is_graph(layer):
            parts += _parts(layer)
    return tuple(parts)


def anatomy_of(model: keras.Model) -> Anatomy:
    """`study_model`, once per model.

    Raises
    ------
    TypeError, ValueError
        If `model` is no Keras model, or has no layer graph, or not one input and one
        output.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model; received {type(model).__name__}. "
            "Load one with scenecam.models.load_model."
        )
    if not is_graph(model):
        raise ValueError(
            f"Model '{model.name}' has no layer graph to look into: it is a subclassed "
            "model, or a Sequential that never saw its input shape. Use a functional "
            "model, or give the Sequential a keras.Input or call it once first."
        )
    for side, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            names = ", ".join(tensor.name for tensor in tensors)
            raise ValueError(
                f"A class map needs one picture in and one row of class scores out; "
                f"model '{model.name}' has {len(tensors)} {side} ({names}). Make a "
                "model of the part to explain: "
                "keras.Model(model.inputs[0], model.outputs[0])."
            )
    return keep(model, "anatomy", lambda: study_model(model))


def layer_names(model: keras.Model) -> list[str]:
    """Name the layers at which a class map can be drawn, in the order of execution.

    These are the layers with an output of shape (n, h, w, channels) and more than one
    cell. A layer inside a nested model has a path: ``"base/block5_conv3"``. A layer
    that the model calls more than once stands for its last call.

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
    """Check layer names against the model; None is the last feature map.

    Raises
    ------
    ValueError
        If a name is unknown (the message lists the known ones, nearest first), or is no
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
            nearest = sorted(known, key=lambda other: -_likeness(str(name), other))
            raise ValueError(
                f"Model '{model.name}' has no feature map named {name!r}. Did you mean "
                f"{nearest[0]!r}? It has: {', '.join(nearest)}."
            )
        if name not in anatomy.reached:
            raise ValueError(
                f"The logits of model '{model.name}' do not depend on layer {name!r}, "
                "so it has no gradient. Choose a layer on the way to "
                f"{anatomy.logits!r}."
            )
    return list(dict.fromkeys(names))


def _likeness(wanted: str, name: str) -> float:
    """Compare with the whole path and with its last part; the better one counts."""
    parts = (name, name.rsplit("/", 1)[-1])
    return max(
        difflib.SequenceMatcher(None, wanted.lower(), part.lower()).ratio()
        for part in parts
    )
