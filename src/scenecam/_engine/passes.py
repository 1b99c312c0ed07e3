"""From pictures and classes to activations and gradients, in compiled passes.

`compile_pass` is the engine: one forward pass and one backward pass per class, whatever
the number of layers. What is made of the two arrays is handed to it as a function.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from scenecam._engine.anatomy import SQUASHING, Call, anatomy_of, is_relu, tap_model

# In the place of a layer's name: the picture itself, as float32.
PIXELS = "<pixels>"


def compile_pass(
    model: keras.Model,
    layers: Sequence[str],
    count: int,
    dtype: str,
    fold: Callable,
    *,
    finish: Callable | None = None,
    guided: bool = False,
) -> Callable:
    """Compile one forward pass and one backward pass per class, for all layers at once.

    The tape starts at the first of the layers, does not watch the weights, and every
    backward pass yields the gradients at all layers. Where a layer is averaged by
    global average pooling and read by a dense layer, the gradient is that layer's
    kernel divided by the number of cells, so no backward pass is made for it.

    Parameters
    ----------
    model : keras.Model
        One that `anatomy_of` accepts.
    layers : sequence of str
        Checked by `find_layers`, or `PIXELS`.
    count : int
        How many classes per picture, c.
    dtype : str
        Of the pictures: "uint8" or "float32".
    fold : callable
        ``fold(activations, gradients)``, called inside the pass with float32 tensors
        (n, h, w, channels): a layer's output and the gradient of one class's logit
        there (of shape (n, 1, 1, channels) where every cell has the same). Returns a
        dict of tensors with n as first axis.
    finish : callable, optional
        ``finish(activations, folded)``, called inside the pass with each tensor that
        `fold` made, stacked over the classes as second axis; returns the final one.
    guided : bool
        Whether ReLUs pass only positive gradients back, as in guided backpropagation.

    Returns
    -------
    callable
        ``step(images, classes)`` for tensors (n, h, w, 3) and int32 (n, c), -1 being
        the class with the highest logit; n may differ from call to call. Returns a
        dict: layer to what `fold` returned, with the classes as second axis: (n, c, h,
        w).
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
        return guide(call.output) if guided and is_relu(call.layer) else call.output

    tapped = tap_model(model, listen)

    def step(images: tf.Tensor, classes: tf.Tensor) -> dict[str, dict]:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            seen["tape"], seen[PIXELS] = tape, tf.cast(images, tf.float32)
            if PIXELS in others:
                tape.watch(seen[PIXELS])
            tapped(seen[PIXELS], training=False)
            logits = tf.reshape(logits_of(seen["call"]), (-1, anatomy.num_classes))
        best = tf.argmax(logits, axis=-1, output_type=tf.int32)[:, None]
        classes = tf.where(classes < 0, best, classes)
        outputs = {name: tf.cast(seen[name], tf.float32) for name in layers}

        def backward(target: tf.Tensor) -> dict[str, dict]:
            sources = {name: seen[name] for name in others}
            gradients = tape.gradient(logits, sources, output_gradients=target)
            check_gradients(gradients)
            return {
                name: fold(outputs[name], tf.cast(gradients[name], tf.float32))
                for name in others
            }

        if others:  # traced once, not once per class
            backward = compiled(backward, tf.TensorSpec(logits.shape, logits.dtype))

        known = {
            name: pooled_gradients(seen["call"], classes, outputs[name])
            for name in pooled
        }

        def one_class(index: int) -> dict[str, dict]:
            maps = {}
            if others:
                chosen = classes[:, index]
                target = tf.one_hot(chosen, anatomy.num_classes, dtype=logits.dtype)
                maps = backward(target)
            for name in pooled:
                maps[name] = fold(outputs[name], known[name][index])
            return {name: maps[name] for name in layers}

        every = [one_class(index) for index in range(count)]
        maps = tf.nest.map_structure(lambda *each: tf.stack(each, axis=1), *every)
        if finish is None:
            return maps
        return {
            layer: {name: finish(outputs[layer], each) for name, each in folded.items()}
            for layer, folded in maps.items()
        }

    return compiled(
        step,
        tf.TensorSpec((None, *model.inputs[0].shape[1:]), dtype),
        tf.TensorSpec((None, count), tf.int32),
    )


def compiled(function: Callable, *signature: tf.TensorSpec) -> Callable:
    """Trace a function at once and only once, for tensors of this signature."""
    return tf.function(function, autograph=False).get_concrete_function(*signature)


def logits_of(call: Call) -> tf.Tensor:
    """Return a layer's result before its own softmax or sigmoid."""
    layer = call.layer
    if getattr(layer, "activation", None) not in SQUASHING:
        return call.output
    dtype = layer.compute_dtype
    kernel = tf.cast(tf.convert_to_tensor(layer.kernel), dtype)
    logits = keras.ops.matmul(tf.cast(call.inputs[0], dtype), kernel)
    if layer.bias is None:
        return logits
    return logits + tf.cast(tf.convert_to_tensor(layer.bias), dtype)


@tf.custom_gradient
def guide(outputs: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Return the tensor unchanged; on the way back let only positive gradients pass."""
    return tf.identity(outputs), tf.nn.relu


def pooled_gradients(
    call: Call, classes: tf.Tensor, outputs: tf.Tensor
) -> list[tf.Tensor]:
    """Gradients below global average pooling, a tensor (n, 1, 1, channels) per class.

    Each is the class's column of the kernel, divided by the number of cells.
    """
    kernel = tf.cast(tf.convert_to_tensor(call.layer.kernel), tf.float32)
    cells = tf.cast(tf.reduce_prod(tf.shape(outputs)[1:3]), tf.float32)
    columns = tf.gather(tf.transpose(kernel) / cells, classes)  # (n, c, channels)
    return tf.unstack(columns[:, :, None, None, :], axis=1)


def check_gradients(gradients: dict[str, Any]) -> None:
    """Raise where no gradient came back, with the layers' names."""
    missing = [name for name, gradient in gradients.items() if gradient is None]
    if missing:
        raise ValueError(
            f"No gradient reaches {', '.join(map(repr, missing))}: a layer above "
            "cannot be differentiated. Choose a layer nearer to the logits."
        )


def compile_scores(model: keras.Model, layers: Sequence[str], dtype: str) -> tuple:
    """Compile what Score-CAM needs: reading the layers, and scoring masked pictures.

    Returns
    -------
    read : callable
        ``read(images)``: a dict of layer to its output, float32 (n, h, w, channels),
        and the logits (n, classes).
    score : callable
        ``score(image, masks)`` for one picture (h, w, 3) and m channels (h', w', m),
        each scaled to [0, 1] and enlarged to the picture: logits (m, classes) of the
        picture multiplied with each.
    """
    anatomy = anatomy_of(model)
    seen: dict[str, Any] = {}

    def listen(call: Call) -> Any:
        if call.path in layers:
            seen[call.path] = call.output
        if call.path == anatomy.logits:
            seen["call"] = call
        return call.output

    tapped = tap_model(model, listen)
    picture = model.inputs[0].shape[1:]

    def logits(images: tf.Tensor) -> tf.Tensor:
        tapped(images, training=False)
        raw = tf.cast(logits_of(seen["call"]), tf.float32)
        return tf.reshape(raw, (-1, anatomy.num_classes))

    def read(images: tf.Tensor) -> tuple[dict, tf.Tensor]:
        scores = logits(tf.cast(images, tf.float32))
        return {name: tf.cast(seen[name], tf.float32) for name in layers}, scores

    def score(image: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
        image = tf.cast(image, tf.float32)
        masks = tf.transpose(masks, (2, 0, 1))[..., None]
        masks = tf.image.resize(masks, tf.shape(image)[:2])  # bilinear, half-pixel
        low = tf.reduce_min(masks, axis=(1, 2, 3), keepdims=True)
        high = tf.reduce_max(masks, axis=(1, 2, 3), keepdims=True)
        return logits(image * tf.math.divide_no_nan(masks - low, high - low))

    return (
        compiled(read, tf.TensorSpec((None, *picture), dtype)),
        compiled(
            score,
            tf.TensorSpec(picture, dtype),
            tf.TensorSpec((None, None, None), tf.float32),
        ),
    )


def check_pictures(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return `images` as an array that fits the model's input, or say what does not.

    Raises
    ------
    TypeError, ValueError
        For a wrong type, rank, size, number, dtype or range, or numbers not finite.
    """
    wanted = tuple(model.inputs[0].shape[1:])
    images = images if isinstance(images, np.ndarray) else np.asarray(images)
    sound = images.dtype.kind in "uif" and _fits(images.shape[1:], wanted)
    if sound and len(images):
        if images.dtype.kind == "f":
            _check_range(model, images)
        return images
    shown = "(n, " + ", ".join("any" if d is None else str(d) for d in wanted) + ")"
    if images.dtype.kind not in "uif":
        raise TypeError(
            f"`images` must be an array of numbers, uint8 or float, of shape {shown}; "
            f"received {images.dtype}. Read pictures with scenecam.images.read_image."
        )
    if _fits(images.shape, wanted):
        raise ValueError(
            f"`images` must be a batch {shown}; received one picture {images.shape}. "
            "Pass images[None]."
        )
    if not sound:
        raise ValueError(
            f"`images` must have the shape {shown} that model '{model.name}' was built "
            f"for; received {images.shape}. Resize with scenecam.images.resize_image."
        )
    raise ValueError("`images` is empty: there is no picture to explain.")


def _fits(shape: tuple, wanted: tuple) -> bool:
    return len(shape) == len(wanted) and all(
        want in (None, have) for want, have in zip(wanted, shape, strict=True)
    )


def _check_range(model: keras.Model, images: np.ndarray) -> None:
    low, high = float(np.min(images)), float(np.max(images))
    if not np.isfinite(low) or not np.isfinite(high):
        bad = [i for i, image in enumerate(images) if not np.isfinite(image).all()]
        raise ValueError(
            f"`images` must be finite; picture {bad[0]} holds NaN or infinite values "
            f"(in all {len(bad)} of {len(images)} pictures do). Leave them out."
        )
    if _scales_itself(model) and (low < 0 or high > 255 or 0 < high <= 1):
        raise ValueError(
            f"Model '{model.name}' scales its pictures itself and takes values from 0 "
            f"to 255; received {images.dtype} from {low:g} to {high:g}. Pass the "
            "unscaled uint8 pictures."
        )


def _scales_itself(model: keras.Model) -> bool:
    if model.inputs[0].dtype == "uint8":
        return True
    layers = model.layers
    if layers and isinstance(layers[0], keras.layers.InputLayer):
        layers = layers[1:]
    return bool(layers) and isinstance(layers[0], keras.layers.Rescaling)


def check_classes(model: keras.Model, classes: Any, pictures: int) -> np.ndarray:
    """Return the wanted classes as int32 (n, k); -1 stands for the predicted class.

    Raises
    ------
    TypeError, ValueError
        If they are no whole numbers, out of range, or of the wrong shape.
    """
    count = anatomy_of(model).num_classes
    if isinstance(classes, str):
        if classes != "predicted":
            raise ValueError(
                f"`classes` must be None, class indices or 'predicted'; received "
                f"{classes!r}. The index of a name is class_names.index(name)."
            )
        return np.full((pictures, 1), -1, np.int32)
    chosen = np.arange(count) if classes is None else np.asarray(classes)
    if chosen.dtype.kind not in "ui" or chosen.size == 0:
        raise TypeError(
            f"`classes` must be whole numbers from 0 to {count - 1}; received "
            f"{classes!r}."
        )
    if chosen.min() < 0 or chosen.max() >= count:
        raise ValueError(
            f"Model '{model.name}' has {count} classes, numbered 0 to {count - 1}; "
            f"received {classes!r}."
        )
    if chosen.ndim > 2 or (chosen.ndim == 2 and len(chosen) != pictures):
        raise ValueError(
            f"`classes` must have the shape (k,), or (n, k) with a row for each of the "
            f"{pictures} pictures; received {chosen.shape}."
        )
    if chosen.ndim < 2:
        chosen = np.broadcast_to(chosen.ravel(), (pictures, chosen.size))
    return chosen.astype(np.int32)
