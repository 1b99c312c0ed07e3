"""What a model consists of: its layers, its feature maps, its logits, its head.

A Keras model is a graph of layers. To listen to it, each layer is wrapped in a `Tap`,
which calls the layer and shows the call to a listener; `keras.models.clone_model` puts
the taps together to a second model. That one computes the same numbers with the same
layer objects, nested models included, and the first does not notice: no layer is called
on symbolic tensors, no attribute is set, nothing must be undone when an error occurs.

What the logits are is decided here, for all of the library, from the graph alone: never
from values, which may look like probabilities and be none.
"""

import contextlib
import re
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

# Layers that hand their input on at inference; only its shape may change.
NOISE = "Dropout SpatialDropout2D GaussianDropout GaussianNoise".split()
SHAPES = "Flatten Reshape Identity".split()
HANDS_ON = tuple(getattr(keras.layers, name) for name in NOISE + SHAPES)

# What only turns logits into probabilities, by the plain name of `ends_in`.
SQUASHING = {"softmax": "softmax", "logsoftmax": "softmax", "sigmoid": "sigmoid"}

# What may do so, too, in a way that is not looked through; "?" is code of others.
DOUBTFUL = (
    "? erf exp exp2 expm1 exponential hardsigmoid logsigmoid normalize power softsign "
    "sparsemax sparsesigmoid tanh unitnormalization"
).split()

# Layers of Keras that run code of others.
FOREIGN = "FlaxLayer JaxLayer Lambda TFSMLayer TorchModuleWrapper".split()

# A layer of this name gives logits, because its author says so.
DECLARED = "logits"

# After these the two middle axes are no longer places of the picture.
REGROUPING = (
    "dot einsum einsumdense expanddims matmul moveaxis swapaxes tensordot"
).split()

# These take the shape of what they read, not its values.
SHAPED = ("OnesLike", "Shape", "ZerosLike")

# What TensorFlow takes for the name of a node; Keras lets a layer have any.
NODE_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]*")


class Call(NamedTuple):
    """One call of one layer: where it stands, what went in, what came out."""

    path: str
    layer: Any
    inputs: list
    output: Any

    @property
    def symbolic(self) -> bool:
        """Whether the graph is only being put together: there are no numbers yet."""
        return any(isinstance(x, keras.KerasTensor) for x in self.inputs)

    @property
    def outputs(self) -> list:
        """What came out, as single tensors."""
        return keras.tree.flatten(self.output)

    @property
    def shape(self) -> tuple:
        """Of the output, for one picture; empty if it is no single array."""
        return tuple(getattr(self.output, "shape", ()))


class Tap(keras.Operation):
    """Stand-in for one layer: calls it and shows the call to a listener."""

    def __init__(self, run: Any, layer: Any, path: str, listen: Callable) -> None:
        super().__init__(name=layer.name)
        self.run = run
        self.show = lambda output, inputs: listen(
            Call(path, layer, keras.tree.flatten(inputs), output)
        )

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer on numbers, at inference even if the graph says otherwise."""
        kwargs.pop("training", None)
        return self.show(self.run(*args, **kwargs), (args, kwargs))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the layer for the shape and dtype it would return."""
        return self.show(self.run.compute_output_spec(*args, **kwargs), (args, kwargs))


def is_graph(layer: Any) -> bool:
    """Whether `layer` is a functional or Sequential model: one can look inside."""
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def tap_model(model: keras.Model, listen: Callable, *, prefix: str = "") -> keras.Model:
    """Put a listener on every layer of a model without changing the model.

    ``listen(call) -> output`` receives every `Call` in the order of execution, a nested
    model's own call after those of its layers, and returns what the next layer shall
    receive (``call.output`` to change nothing). It is called with symbolic tensors,
    too, while the taps are put together. `prefix` stands before every layer's name to
    make its path. The model that is returned has the same layers, and takes float32
    pictures.
    """

    def tap(layer: Any) -> Tap:
        path, run = prefix + layer.name, layer
        if is_graph(layer):
            run = tap_model(layer, listen, prefix=path + "/")
        elif not NODE_NAME.fullmatch(layer.name):
            # The same layer, variables included, under another name; Keras would copy
            # the variables.
            run = object.__new__(type(layer))
            run.__dict__.update(layer.__dict__, name="layer")
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


@dataclass(frozen=True)
class Anatomy:
    """What is known about a model before anything is computed."""

    # Path of every feature map (n, h, w, channels), in the order of execution, to
    # (height, width), and the paths among them that are nested models, not layers.
    sizes: dict[str, tuple]
    groups: frozenset[str]
    # The paths of what is called more than once; numbered, they are those of the calls.
    repeated: frozenset[str]
    # The last feature map on all ways to the logits; what mixes places after it: the
    # convolutions, and the arrays of tokens, (tokens, channels), by path.
    last: str | None
    convolutions: tuple[str, ...]
    tokens: dict[str, tuple]
    # The layer whose result, before its own softmax or sigmoid, is the logits.
    logits: str
    # How many numbers that layer gives, and how many classes that makes: two of one
    # number, which is the logit of class 1, and its negative that of class 0.
    units: int
    num_classes: int
    # What makes probabilities: "softmax" over all classes, or "sigmoid" of each alone.
    squash: str
    # The layer `logits`, a keras.layers.Dense, if it reads global average pooling, and
    # the layers whose output is what that pooling averages.
    head: Any
    features: tuple[str, ...]
    # The paths that the logits depend on, and those of them that end in a ReLU.
    reached: frozenset[str]
    relus: tuple[str, ...]


class Graph:
    """The calls of one symbolic run of a model, and which of them made a tensor."""

    def __init__(self, model: keras.Model) -> None:
        self.calls: list[Call] = []

        def listen(call: Call) -> Any:
            self.calls.append(call)
            return call.output

        tapped = tap_model(model, listen)
        self.calls.clear()  # of putting the taps together
        # Keras runs through a graph only for another shape than it was put together
        # with; that one had no batch size.
        picture = keras.KerasTensor((1, *model.inputs[0].shape[1:]), dtype="float32")
        self.picture, self.output = picture, tapped.compute_output_spec(picture)
        times = Counter(call.path for call in self.calls)
        self.repeated = frozenset(path for path in times if times[path] > 1)
        number = numbering(self.repeated)
        self.calls = [call._replace(path=number(call.path)) for call in self.calls]
        # Backwards: of those that give a tensor the layer, not the model around it.
        self._made_by = {id(x): call for call in self.calls[::-1] for x in call.outputs}

    def maker(self, tensor: Any) -> Call | None:
        """The call that made a tensor; None for the picture and for constants."""
        return self._made_by.get(id(tensor))

    def handed_on(self, tensor: Any) -> Iterator[Call]:
        """Calls from `tensor` upwards that hand it on, and the one that made it."""
        while call := self.maker(tensor):
            yield call
            if not hands_on(call.layer):
                return
            tensor = call.inputs[0]

    def above(self, call: Call, *, past: Callable = lambda call: True) -> list[Call]:
        """The call and what it depends on, up to the calls that are not `past`."""
        found, waiting = {id(call): call}, [call]
        while waiting:
            call = waiting.pop()
            makers = map(self.maker, call.inputs if past(call) else ())
            new = {id(each): each for each in makers if each and id(each) not in found}
            waiting += new.values()
            found |= new
        return list(found.values())

    def joined(self, logits: Call) -> list[Call]:
        """The calls that every way from the picture to the logits takes, in order."""
        above = {id(call) for call in self.above(logits)}
        order = [call for call in self.calls if id(call) in above]
        # Of each tensor that depends on the picture the place of the call that made it.
        place, first = {id(self.picture): -1}, []
        for index, call in enumerate(order):
            reads = [place[id(x)] for x in call.inputs if id(x) in place]
            first.append(min(reads, default=None))
            if reads and type(call.layer).__name__ not in SHAPED:
                place |= {id(x): index for x in call.outputs}
        found, earliest = [], len(order)
        for index, start in reversed([*enumerate(first)]):
            if start is not None:
                found += [order[index]] if earliest >= index else []
                earliest = min(earliest, start)
        return found[::-1]


def numbering(repeated: frozenset[str]) -> Callable[[str], str]:
    """Number the calls of a run that have the same path: ``"conv:1"``, ``"conv:2"``."""
    seen: Counter = Counter()

    def number(path: str) -> str:
        seen[path] += 1
        return f"{path}:{seen[path]}" if path in repeated else path

    return number


def study_model(model: keras.Model) -> Anatomy:
    """Find the feature maps, the logits and the pooling head of a model."""
    graph = Graph(model)
    units = _count_units(model, graph.output.shape)
    logits, squash = _find_logits(model, graph, units)
    head, features = _find_pooling(graph, logits)
    sizes, groups = _find_maps(model, graph)
    above = {id(call) for call in graph.above(logits)}
    made = ((c, graph.maker(x)) for c in graph.calls for x in c.outputs)
    reached = {call.path: call.layer for call, maker in made if id(maker) in above}
    layers = [call for call in graph.calls if call.path in reached.keys() - groups]
    maps = [call.path for call in layers if call.path in sizes]
    maps = [name for name in maps if sizes[name] != (1, 1)] or maps
    joined = [call.path for call in graph.joined(logits) if call.path in maps]
    last = (joined or maps or [None])[-1]
    after = layers[[c.path for c in layers].index(last) + 1 :] if last else []
    weighed = [call for call in after if getattr(call.layer, "weights", ())]
    steps = [c for c in weighed if len(c.shape) == 3 and c.shape[1] != 1]
    return Anatomy(
        sizes=sizes,
        groups=groups,
        repeated=graph.repeated,
        last=last,
        convolutions=tuple(c.path for c in weighed if _mixes(c.layer)),
        tokens={call.path: call.shape[1:] for call in steps},
        logits=logits.path,
        units=units,
        num_classes=max(units, 2),
        squash=squash,
        head=head,
        features=features,
        reached=frozenset(reached),
        relus=tuple(path for path, layer in reached.items() if is_relu(layer)),
    )


# ---- Where the feature maps are -----------------------------------------------------


def _find_maps(model, graph: Graph) -> tuple[dict[str, tuple], frozenset[str]]:
    """Find the outputs whose two middle axes are places, and which are of groups.

    The picture has places, and so has what is made of what has them, in four axes, but
    by a layer that exchanges axes. Tokens get them when they are reshaped to a grid.
    """
    sizes, groups, placed = {}, set(), {id(graph.picture)}
    for call in graph.calls:
        if getattr(call.layer, "data_format", None) == "channels_first":
            raise ValueError(
                f"Layer {call.path!r} of model '{model.name}' keeps channels first; "
                "expected outputs (n, h, w, channels). Build the model with "
                "data_format='channels_last' and pass it the weights: "
                "new.set_weights(model.get_weights())."
            )
        if is_graph(call.layer):
            groups.add(call.path)
        else:
            placed |= {id(x) for x in call.outputs if _has_places(x, call, placed)}
        if id(call.output) in placed and len(call.shape) == 4:
            sizes[call.path] = call.shape[1:3]
    return sizes, frozenset(groups)


def _has_places(made: Any, call: Call, placed: set[int]) -> bool:
    """Whether the axes 1 and 2 of what a call made, (n, h, w, ...), are places."""
    if len(made.shape) < 4:
        return False
    kind, size, before = ends_in(call.layer), made.shape[1:3], call.inputs[0].shape
    reads = any(id(x) in placed for x in call.inputs)
    if kind == "reshape":
        tokens = (None if None in size else size[0] * size[1], *made.shape[3:])
        grid = tuple(before[1:]) == tokens and 1 not in size
        return grid or (reads and before[1:3] == size)
    if kind in ("permute", "transpose"):
        order = getattr(call.layer, "dims", None) or (call.layer.axes or ())[1:]
        return reads and tuple(order[:2]) == (1, 2)
    return reads and kind not in REGROUPING and made.shape[0] == 1


def _find_pooling(graph: Graph, logits: Call) -> tuple[Any, tuple[str, ...]]:
    """Find the Dense layer that reads pooled maps, and the layers that are pooled."""
    dense = type(logits.layer) is keras.layers.Dense
    linear = squashes(logits.layer) or ends_in(logits.layer) == "linear"
    if not dense or not linear or _is_quantised(logits.layer):
        return None, ()
    below = [None, *graph.handed_on(logits.inputs[0])][-1]
    if not below or not isinstance(below.layer, keras.layers.GlobalAveragePooling2D):
        return None, ()
    same, pooled = set(), below.inputs[0]
    for call in graph.handed_on(pooled):
        if call.shape != pooled.shape:
            break
        same.add(id(call.output))
    return logits.layer, tuple(c.path for c in graph.calls if id(c.output) in same)


def _mixes(layer: Any) -> bool:
    """Whether a layer is a convolution of more than one place."""
    return any(side > 1 for side in getattr(layer, "kernel_size", ()))


# ---- Where the logits are ------------------------------------------------------------


def _count_units(model: keras.Model, shape: tuple) -> int:
    """How many numbers a picture gets, which must be one row of class scores."""
    sides = [side for side in shape[1:] if side != 1]
    if len(sides) > 1 or None in sides:
        axes = len(shape) - 2
        raise ValueError(
            f"Model '{model.name}' gives an array of shape {tuple(shape[1:])} for each "
            "picture; expected one row of class scores. Make a model of one row, with "
            "x = model.outputs[0]: keras.Model(model.inputs, "
            f"keras.layers.GlobalAveragePooling{axes}D()(x)) of all places, or "
            f"keras.Model(model.inputs, x[:, {', '.join('0' * axes)}]) of a single one."
        )
    return sides[0] if sides else 1


def _find_logits(model: keras.Model, graph: Graph, units: int) -> tuple[Call, str]:
    """Walk up from the output past what squashes, to the call that made the logits."""
    kinds, tensor = [], graph.output
    while call := graph.maker(tensor):
        kind, weights = squashes(call.layer), getattr(call.layer, "weights", None)
        if kind:
            kinds.append(kind)
        if weights or not (kind or hands_on(call.layer)) or is_declared(call.layer):
            break
        axis = getattr(call.layer, "axis", -1) if kind == "softmax" else -1
        parts = tensor.shape[-1] != units and kind == "softmax"
        if axis not in (-1, len(tensor.shape) - 1) or parts:
            raise _unreadable(model, f"{call.path!r} is a softmax over axis {axis}")
        tensor = call.inputs[0]
    if call is None or not call.shape:
        raise _unreadable(model, "no layer computes class scores and nothing else")
    if len(kinds) > 1 or (units == 1 and kinds == ["softmax"]):
        what = " of the ".join([*kinds, "one score" if units == 1 else "scores"])
        raise _unreadable(model, f"its output is the {what}")
    if not squashes(call.layer):
        _check_last_steps(model, graph, call)
    elif type(call.layer) is not keras.layers.Dense or _is_quantised(call.layer):
        why = "turns them into probabilities inside, and it is no plain Dense layer"
        raise _unreadable(model, f"layer {call.path!r} {why}")
    return call, "sigmoid" if units == 1 else (kinds or ["softmax"])[0]


def _check_last_steps(model: keras.Model, graph: Graph, last: Call) -> None:
    """Raise if scores may be squashed between the last weights and `last`."""

    def goes_on(call: Call) -> bool:  # the logarithm of a probability is a logit again
        return not getattr(call.layer, "weights", None) and ends_in(call.layer) != "log"

    for call in graph.above(last, past=goes_on) if not is_declared(last.layer) else ():
        if squashes(call.layer) or ends_in(call.layer) in DOUBTFUL:
            why = "may squash them, in a way that cannot be looked through"
            raise _unreadable(model, f"layer {call.path!r} {why}")


def _unreadable(model: keras.Model, why: str) -> ValueError:
    return ValueError(
        f"The logits of model '{model.name}' cannot be read: {why}. Say what its "
        f"output x = model.outputs[0] is: keras.Model(model.inputs, "
        f"keras.layers.Identity(name='{DECLARED}')(x)) if they are logits; with "
        "keras.ops.log(x) in the place of x if they are probabilities that sum to 1."
    )


def ends_in(layer: Any) -> str:
    """Plain name of the function that a layer or an operation is or ends in.

    "softmax" for ``Softmax()``, ``Dense(3, "softmax")``, ``keras.ops.softmax(x)`` and
    ``Activation(tf.nn.softmax)``, "?" for code that is neither Keras' nor TensorFlow's.
    """
    function, activation = type(layer), getattr(layer, "activation", None)
    if function.__name__ in FOREIGN or _is_foreign(function):
        return "?"
    for wrapped in ("layer", "cell", "forward_layer"):
        if isinstance(getattr(layer, wrapped, None), keras.layers.Layer):
            return ends_in(getattr(layer, wrapped))
    if isinstance(activation, keras.Operation):
        return ends_in(activation)
    if activation and not isinstance(layer, keras.layers.Softmax | keras.layers.ReLU):
        function = activation
    name = "?" if _is_foreign(function) else function.__name__
    return name.lower().replace("_", "").removesuffix("v2")


def _is_foreign(function: Any) -> bool:
    """Whether a class or function is neither Keras' nor TensorFlow's."""
    home = getattr(function, "__module__", "").split(".")[0]
    return home not in ("keras", "tensorflow")


def squashes(layer: Any) -> str | None:
    """How `layer` turns logits into probabilities: "softmax", "sigmoid" or not."""
    return SQUASHING.get(ends_in(layer))


def is_relu(layer: Any) -> bool:
    """Whether `layer` is or ends in a ReLU: as a layer, activation or operation."""
    leaky = getattr(layer, "negative_slope", 0)
    return ends_in(layer) in ("relu", "relu6") and not leaky


def hands_on(layer: Any) -> bool:
    """Whether `layer` returns its input at inference, at most in another shape."""
    if isinstance(layer, keras.layers.Activation):
        return layer.activation is keras.activations.linear
    return isinstance(layer, HANDS_ON)


def is_declared(layer: Any) -> bool:
    """Whether the model's author says that `layer` gives logits."""
    return layer.name == DECLARED and not squashes(layer)


def _is_quantised(layer: Any) -> bool:
    return bool(getattr(layer, "quantization_mode", None))


# ---- Kept per model ------------------------------------------------------------------

# What was learned about a model, and the passes compiled for it. The entry goes when
# the model goes, so nothing in it may refer to the model itself, only to layers.
_KEPT: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_LOCK = threading.RLock()
_ASKED = threading.local()  # its ``model``: the one that this thread asks just now


@contextlib.contextmanager
def one_question(model: keras.Model) -> Iterator[None]:
    """Look whether the layers changed once, and not again before the block ends."""
    anatomy_of(model)
    _ASKED.model = model
    try:
        yield
    finally:
        _ASKED.model = None


def keep(model: keras.Model, key: Any, make: Callable) -> Any:
    """Return ``make()``, made once per model and key until the layers change."""
    with _LOCK:
        entry, looked = _KEPT.get(model), getattr(_ASKED, "model", None) is model
        if entry is None or not (looked or entry["parts"] == _parts(model)):
            entry = _KEPT[model] = {"parts": _parts(model)}
        if key not in entry:
            entry[key] = make()
        return entry[key]


def _parts(model: keras.Model) -> list:
    """Identify layers and activations: a trace is stale when one was exchanged."""
    return [
        (id(layer), id(getattr(layer, "activation", None)), _is_quantised(layer))
        + ((_parts(layer),) if is_graph(layer) else ())
        for layer in model.layers
    ]


def anatomy_of(model: keras.Model) -> Anatomy:
    """`study_model`, once per model.

    Raises
    ------
    TypeError, ValueError
        If `model` is no Keras model, has no layer graph, or not one input and one
        output, or its logits cannot be read.
    """
    if not isinstance(model, keras.Model):
        what = f"`model` must be a keras.Model; received {type(model).__name__}"
        raise TypeError(f"{what}. Load one with scenecam.models.load_model.")
    if not is_graph(model):
        raise ValueError(
            f"Model '{model.name}' has no layer graph to look into: it is a subclassed "
            "model, or a Sequential that never saw its input shape. Use a functional "
            "model, or give the Sequential a keras.Input or call it once first."
        )
    for side, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            names = ", ".join(tensor.name for tensor in tensors)
            remedy = (
                "Hold the others fixed, with x = keras.Input(model.inputs[0].shape[1:])"
                " and other = keras.ops.zeros_like(keras.layers.Flatten()(x)[:, :k]) + "
                "values for k values: keras.Model(x, model([x, other]))."
                if side == "inputs"
                else "Take the one to explain: keras.Model(model.inputs, "
                "model.outputs[0])."
            )
            raise ValueError(
                f"A class map needs one picture in and one row of class scores out; "
                f"model '{model.name}' has {len(tensors)} {side} ({names}). {remedy}"
            )
    return keep(model, "anatomy", lambda: study_model(model))
