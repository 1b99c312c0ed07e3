"""From pictures and classes to activations, gradients and logits, in compiled passes.

`Listening` hands out what the layers of a model give, and the logits. `fold_pass` is
the engine: one forward pass and one backward pass per class, whatever the number of
layers. What is made of the two arrays is handed to it as a function.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from scenecam._engine import anatomy
from scenecam._engine.anatomy import anatomy_of, keep, numbering
from scenecam._engine.methods import mean_gradients, summed_gradients, weighted_sum

Names = Sequence[str]

# In the place of a layer's name, which cannot be so: the picture itself, as float32.
PIXELS = "/pixels"

# Backward passes unrolled into one compiled pass; more classes take several passes.
CLASSES_PER_PASS = 16


class Listening:
    """A model that hands out what some of its layers give, together with its logits.

    Parameters
    ----------
    model : keras.Model
        One that `anatomy_of` accepts.
    layers : sequence of str
        Checked by `find_layers`, or `PIXELS`.
    guided : bool
        Whether ReLUs pass only positive gradients back, as in guided backpropagation.
    """

    def __init__(self, model, layers: Names = (), *, guided: bool = False) -> None:
        self.anatomy, self.layers, self.guided = anatomy_of(model), layers, guided
        self.tapped = anatomy.tap_model(model, self._listen)

    def run(self, images: tf.Tensor, *, tape=None, watched: Names = ()):
        """Run the model, inside a function that is being compiled.

        Returns the outputs by layer, (n, h, w, channels), in the layer's own dtype, and
        the logits (n, classes), float32. A tape watches the outputs of the layers
        `watched`.
        """
        self.tape, self.watched, self.seen = tape, watched, {}
        self.number = numbering(self.anatomy.repeated)
        self._note(PIXELS, images)
        self.tapped(images, training=False)
        seen, self.tape, self.seen = self.seen, None, {}  # keeps no tensor alive
        logits = tf.reshape(as_float(seen[None]), (-1, self.anatomy.units))
        if self.anatomy.units == 1:
            logits = tf.concat([-logits, logits], axis=1)
        return {name: seen[name] for name in self.layers}, logits

    def _listen(self, call: anatomy.Call) -> Any:
        if call.symbolic:
            return call.output
        path = self.number(call.path)
        self._note(path, call.output)
        if path == self.anatomy.logits:
            self.seen[None] = before_squashing(call)
        guided = self.guided and anatomy.is_relu(call.layer)
        return guide(call.output) if guided else call.output

    def _note(self, name: str, output: Any) -> None:
        if name in self.layers:
            self.seen[name] = output
            if name in self.watched:
                self.tape.watch(output)


def before_squashing(call: anatomy.Call) -> tf.Tensor:
    """Return a layer's result before its own softmax or sigmoid."""
    if not anatomy.squashes(call.layer):
        return call.output
    layer, dtype = call.layer, call.layer.compute_dtype
    inputs, kernel = tf.cast(call.inputs[0], dtype), tf.cast(layer.kernel, dtype)
    logits = keras.ops.matmul(inputs, kernel)
    return logits if layer.bias is None else logits + tf.cast(layer.bias, dtype)


@tf.custom_gradient
def guide(outputs: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Return the tensor unchanged; on the way back let only positive gradients pass."""
    return tf.identity(outputs), tf.nn.relu


def as_float(tensor: Any) -> tf.Tensor:
    """Cast to float32."""
    return tf.cast(tensor, tf.float32)


def compiled(function: Callable, *shapes: tuple, dtypes: Sequence = ()) -> Callable:
    """Trace a function at once and only once, for tensors of these shapes."""
    specs = map(tf.TensorSpec, shapes, dtypes or [tf.float32] * len(shapes))
    return tf.function(function, autograph=False).get_concrete_function(*specs)


def slices(count: int, batch_size: int) -> list[slice]:
    """Divide so many into batches; ValueError for batches that hold nothing."""
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1; received {batch_size}.")
    return [slice(i, i + batch_size) for i in range(0, count, batch_size)]


def as_batch(images: np.ndarray) -> tf.Tensor:
    """Make a float32 tensor of pictures."""
    return tf.convert_to_tensor(np.asarray(images, np.float32))


# ---- Forward -------------------------------------------------------------------------


def read_model(model, images, layers: Names = (), *, batch_size: int = 64) -> tuple:
    """Ask a model about checked pictures, with a pass that is compiled once.

    Returns the outputs by layer, (n, h, w, channels), and the logits (n, classes), both
    float32.
    """

    def make() -> Callable:
        listening = Listening(model, layers)

        def read(images: tf.Tensor) -> tuple[dict, tf.Tensor]:
            outputs, logits = listening.run(images)
            return {name: as_float(each) for name, each in outputs.items()}, logits

        return compiled(read, (None, *model.inputs[0].shape[1:]))

    batches = slices(len(images), batch_size)
    read = keep(model, ("read", *layers), make)

    def part(rows: slice) -> tuple[dict, tf.Tensor]:
        return read(as_batch(images[rows]))

    # Two batches at a time: one alone leaves half of a second core idle.
    with ThreadPoolExecutor(2) as threads:
        parts = [*(threads.map if len(batches) > 1 else map)(part, batches)]
    outputs = {k: np.concatenate([part[0][k] for part in parts]) for k in layers}
    return outputs, np.concatenate([part[1] for part in parts])


def compile_score(model: keras.Model) -> Callable:
    """Compile what Score-CAM asks.

    ``score(image, masks)`` for one picture (h, w, 3) and m channels (h', w', m), each
    scaled to [0, 1] and enlarged to the picture, gives the logits (m, classes) of the
    picture multiplied with each.
    """
    listening = Listening(model)

    def score(image: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
        masks = tf.transpose(masks, (2, 0, 1))[..., None]
        masks = tf.image.resize(masks, tf.shape(image)[:2])  # bilinear, half-pixel
        low = tf.reduce_min(masks, axis=(1, 2, 3), keepdims=True)
        high = tf.reduce_max(masks, axis=(1, 2, 3), keepdims=True)
        return listening.run(image * tf.math.divide_no_nan(masks - low, high - low))[1]

    return compiled(score, model.inputs[0].shape[1:], (None, None, None))


# ---- Forward and back ----------------------------------------------------------------


def compile_pass(model, layers, count, folds, *, guided: bool = False) -> Callable:
    """Compile one forward pass and one backward pass per class, for all layers at once.

    The tape starts at the first of the layers, does not watch the weights, and every
    backward pass yields the gradients at all layers. Where a layer is averaged by
    global average pooling and read by a dense layer, the gradient is that layer's
    kernel divided by the number of cells, so no backward pass is made for it.

    Returns ``step(images, classes)`` for pictures (n, h, w, 3), float32, and int32 (n,
    `count`); a single one may be -1, the class with the highest logit; n may differ
    from call to call. What it returns is described in `fold_pass`, as are the other
    parameters.
    """
    listening = Listening(model, layers, guided=guided)
    pooled = [name for name in layers if name in listening.anatomy.features]
    others = [name for name in layers if name not in pooled]

    def fold(activations: tf.Tensor, gradients: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: each(activations, gradients) for name, each in folds.items()}

    def step(images: tf.Tensor, classes: tf.Tensor) -> tuple[dict, tf.Tensor]:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            seen, logits = listening.run(images, tape=tape, watched=others)
        if count == 1:
            best = tf.argmax(logits, axis=-1, output_type=tf.int32)[:, None]
            classes = tf.where(classes < 0, best, classes)
        outputs = {name: as_float(each) for name, each in seen.items()}

        def backward(target: tf.Tensor) -> dict[str, dict]:
            sources = {name: seen[name] for name in others}
            gradients = tape.gradient(logits, sources, output_gradients=target)
            check_gradients(gradients)
            return {k: fold(outputs[k], as_float(g)) for k, g in gradients.items()}

        if others:  # traced once, not once per class
            backward = compiled(backward, logits.shape)
        head, targets = listening.anatomy.head, tf.one_hot(classes, logits.shape[1])
        known = {k: pooled_gradients(head, classes, outputs[k]) for k in pooled}
        if at_once(listening.anatomy, layers, folds):
            found = {k: fold(outputs[k][:, None], known[k]) for k in pooled}
        else:
            every = [backward(targets[:, i]) if others else {} for i in range(count)]
            for i, maps in enumerate(every):
                maps |= {k: fold(outputs[k], known[k][:, i]) for k in pooled}
            found = tf.nest.map_structure(lambda *each: tf.stack(each, axis=1), *every)
        for k, part in found.items():
            for name, values in part.items():
                # Of weights of channels one product makes the maps of all classes.
                if values.shape.rank == 3:
                    part[name] = weighted_sum(outputs[k], values)
        return {k: found[k] for k in layers}, logits

    shapes = (None, *model.inputs[0].shape[1:]), (None, count)
    return compiled(step, *shapes, dtypes=(tf.float32, tf.int32))


def fold_pass(
    model, images, layers, chosen, folds, *, batch_size, guided=False
) -> tuple[dict, np.ndarray]:
    """Fold activations and gradients of checked pictures for their `chosen` classes.

    Parameters
    ----------
    model, layers, guided
        As in `Listening`.
    images, chosen, batch_size
        From `asked`: pictures, their classes (n, k), and how many go in together.
    folds : mapping of str to callable
        ``fold(activations, gradients)``, called inside the pass with float32 tensors
        (n, h, w, channels): a layer's output and the gradient of one class's logit
        there (of shape (n, 1, 1, channels) where every cell has the same). Returns a
        weight for each channel, (n, channels), or what is wanted itself. See `at_once`
        for those that get c classes together, (n, c, 1, 1, channels).

    Returns
    -------
    dict of str to dict of str to ndarray of shape (n, k, ...), float32
        By name of the fold, then by layer.
    ndarray of shape (n, classes), float32
        The logits, which the same pass has computed.
    """
    batches, wanted = slices(len(images), batch_size), chosen.shape[1]
    together = at_once(anatomy_of(model), layers, folds)
    rounds = 1 if together else -(-wanted // CLASSES_PER_PASS)
    count = -(-wanted // rounds)  # classes per round; the last is filled up
    step = keep(
        model,
        ("fold", tuple(folds), tuple(layers), count, guided),
        lambda: compile_pass(model, layers, count, folds, guided=guided),
    )
    columns = [slice(None)]
    if rounds > 1:
        columns = np.arange(rounds * count).clip(max=wanted - 1).reshape(rounds, count)
    found, logits = {name: {} for name in folds}, []
    for rows in batches:
        batch = as_batch(images[rows])
        for some in columns:
            part, said = step(batch, tf.convert_to_tensor(chosen[rows][:, some]))
            for layer, folded in part.items():
                for name, values in folded.items():
                    shape = (*chosen.shape, *values.shape[2:])
                    found[name].setdefault(layer, np.empty(shape, np.float32))
                    found[name][layer][rows, some] = values.numpy()
        logits.append(said)
    return found, np.concatenate(logits)


def at_once(found: anatomy.Anatomy, layers: Names, folds: dict) -> bool:
    """Whether all classes can be folded together, in no more memory than one takes.

    So it is where none goes back, and each fold reads the gradients alone.
    """
    alone = {*folds.values()} <= {mean_gradients, summed_gradients}
    return alone and {*layers} <= {*found.features}


def pooled_gradients(head, classes: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Gradients below global average pooling, (n, c, 1, 1, channels) of c classes.

    Each is the class's column of the kernel, divided by the number of cells.
    """
    kernel = as_float(tf.convert_to_tensor(head.kernel))
    if kernel.shape[1] == 1:
        kernel = tf.concat([-kernel, kernel], axis=1)
    cells = outputs.shape[1:3].num_elements() or tf.reduce_prod(tf.shape(outputs)[1:3])
    # Of a thousand columns only those that are asked about.
    columns = tf.transpose(tf.gather(kernel, classes, axis=1), (1, 2, 0))
    return columns[:, :, None, None, :] / as_float(cells)


def check_gradients(gradients: dict[str, Any]) -> None:
    """Raise where no gradient came back, with the layers' names."""
    if missing := [name for name in gradients if gradients[name] is None]:
        raise ValueError(
            f"No gradient reaches {', '.join(map(repr, missing))}: a layer above "
            "cannot be differentiated. Choose a layer nearer to the logits."
        )
