"""A slow second implementation of small networks and their gradients, in NumPy.

A network is a list of steps, plain data with the weights in it. `forward` and
`backward` know nothing of TensorFlow, work in float64 and go cell by cell through each
kernel. `keras_model` builds the same network in Keras: what both say must agree.

Steps: ("conv", kernel, bias or None, stride, padding), ("norm", scale, shift),
("relu",), ("max", size), ("mean", size), ("save",) and ("add",) for a skip connection,
and last ("gap", kernel, bias) or ("flat", kernel, bias). ("mark", name) names a layer.
"""

import numpy as np


def _pads(size, kernel, stride, padding):
    if padding == "valid":
        return (size - kernel) // stride + 1, 0, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return out, total // 2, total - total // 2


def _conv(x, step):
    _, kernel, bias, stride, padding = step
    kh, kw, _, channels = kernel.shape
    h, top, bottom = _pads(x.shape[1], kh, stride, padding)
    w, left, right = _pads(x.shape[2], kw, stride, padding)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    out = np.zeros((len(x), h, w, channels))
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + stride * (h - 1) + 1, stride)
            columns = slice(j, j + stride * (w - 1) + 1, stride)
            out += padded[:, rows, columns] @ kernel[i, j]
    return out if bias is None else out + bias


def _conv_back(gradient, x, step):
    _, kernel, _, stride, padding = step
    kh, kw = kernel.shape[:2]
    h, top, bottom = _pads(x.shape[1], kh, stride, padding)
    w, left, right = _pads(x.shape[2], kw, stride, padding)
    padded = np.zeros(
        (len(x), x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3])
    )
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + stride * (h - 1) + 1, stride)
            columns = slice(j, j + stride * (w - 1) + 1, stride)
            padded[:, rows, columns] += gradient @ kernel[i, j].T
    return padded[:, top : top + x.shape[1], left : left + x.shape[2]]


def _windows(x, size):
    n, h, w, k = x.shape
    h, w = h // size, w // size
    cut = x[:, : h * size, : w * size]
    return cut.reshape(n, h, size, w, size, k)


def _unpool(windows, shape):
    n, h, size, w, _, k = windows.shape
    out = np.zeros(shape)
    out[:, : h * size, : w * size] = windows.reshape(n, h * size, w * size, k)
    return out


def forward(steps, images):
    """Return the logits, the input of every step, and the marked layers by name."""
    x, inputs, saved, marked = np.asarray(images, float), [], [], {}
    for step in steps:
        inputs.append(x)
        match step[0]:
            case "conv":
                x = _conv(x, step)
            case "norm":
                x = x * step[1] + step[2]
            case "relu":
                x = np.maximum(x, 0)
            case "max":
                x = _windows(x, step[1]).max(axis=(2, 4))
            case "mean":
                x = _windows(x, step[1]).mean(axis=(2, 4))
            case "save":
                saved.append(x)
            case "add":
                x = x + saved.pop()
            case "gap":
                x = x.mean(axis=(1, 2)) @ step[1] + step[2]
            case "flat":
                x = x.reshape(len(x), -1) @ step[1] + step[2]
            case "mark":
                marked[step[1]] = x
    return x, inputs, marked


def backward(steps, inputs, of_logits, guided=False):
    """Return the gradient at every marked layer, for one (n, c) at the logits."""
    gradient, skipped, marked = np.asarray(of_logits, float), [], {}
    for step, x in zip(reversed(steps), reversed(inputs), strict=True):
        match step[0]:
            case "conv":
                gradient = _conv_back(gradient, x, step)
            case "norm":
                gradient = gradient * step[1]
            case "relu":
                gradient = gradient * (x > 0)
                if guided:
                    gradient = np.maximum(gradient, 0)
            case "max":
                windows = _windows(x, step[1])
                n, h, size, w, _, k = windows.shape
                flat = windows.transpose(0, 1, 3, 5, 2, 4).reshape(n, h, w, k, -1)
                first = np.eye(size * size)[flat.argmax(axis=-1)]
                shares = first.reshape(n, h, w, k, size, size)
                shares = shares.transpose(0, 1, 4, 2, 5, 3)
                gradient = _unpool(gradient[:, :, None, :, None] * shares, x.shape)
            case "mean":
                shares = np.ones(_windows(x, step[1]).shape) / step[1] ** 2
                gradient = _unpool(gradient[:, :, None, :, None] * shares, x.shape)
            case "save":
                gradient = gradient + skipped.pop()
            case "add":
                skipped.append(gradient)
            case "gap":
                cells = x.shape[1] * x.shape[2]
                pulled = (gradient @ step[1].T)[:, None, None]
                gradient = np.broadcast_to(pulled / cells, x.shape)
            case "flat":
                gradient = (gradient @ step[1].T).reshape(x.shape)
            case "mark":
                marked[step[1]] = gradient
    return marked


def maps(method, a, g):
    """Compute one method, cell by cell, from activations and gradients (n, h, w, k)."""
    n, h, w, channels = a.shape
    out = np.zeros((n, h, w))
    for i in range(n):
        for k in range(channels):
            ak, gk = a[i, :, :, k], g[i, :, :, k]
            match method:
                case "cam":
                    out[i] += gk.sum() * ak
                case "grad_cam":
                    out[i] += gk.mean() * ak
                case "hires_cam":
                    out[i] += gk * ak
                case "layer_cam":
                    out[i] += np.where(gk > 0, gk, 0) * ak
                case "xgrad_cam":
                    total = ak.sum()
                    out[i] += (gk * ak).sum() / total * ak if total else 0
                case "grad_cam_pp":
                    weight = 0.0
                    for value in gk.ravel():
                        if value > 0:
                            bottom = 2 * value**2 + ak.sum() * value**3
                            weight += value**2 / bottom * value
                    out[i] += weight * ak
    return out


def class_maps(steps, images, method):
    """Return marked layer to maps (n, c, h, w), one class after the other."""
    logits, inputs, activations = forward(steps, images)
    found = {name: [] for name in activations}
    for c in range(logits.shape[1]):
        one = np.zeros_like(logits)
        one[:, c] = 1
        gradients = backward(steps, inputs, one)
        for name, a in activations.items():
            found[name].append(maps(method, a, gradients[name]))
    return {name: np.stack(each, axis=1) for name, each in found.items()}


def keras_model(steps, shape):
    """Build the same network with Keras layers; marked layers get their names."""
    import keras

    x = inputs = keras.Input(shape)
    saved = []
    for index, step in enumerate(steps):
        following = steps[index + 1] if index + 1 < len(steps) else ("",)
        name = following[1] if following[0] == "mark" else f"step{index}"
        match step[0]:
            case "conv":
                x = keras.layers.Conv2D(
                    step[1].shape[3],
                    step[1].shape[:2],
                    strides=step[3],
                    padding=step[4],
                    use_bias=step[2] is not None,
                    name=f"step{index}",
                )(x)
            case "norm":
                x = keras.layers.BatchNormalization(epsilon=0.0, name=f"step{index}")(x)
            case "relu":
                x = keras.layers.ReLU(name=name)(x)
            case "max":
                x = keras.layers.MaxPooling2D(step[1], name=name)(x)
            case "mean":
                x = keras.layers.AveragePooling2D(step[1], name=name)(x)
            case "save":
                saved.append(x)
            case "add":
                x = keras.layers.Add(name=name)([x, saved.pop()])
            case "gap":
                x = keras.layers.GlobalAveragePooling2D()(x)
                x = keras.layers.Dense(step[1].shape[1], name=f"step{index}")(x)
            case "flat":
                x = keras.layers.Flatten()(x)
                x = keras.layers.Dense(step[1].shape[1], name=f"step{index}")(x)
    model = keras.Model(inputs, x)
    set_weights(model, steps)
    return model


def set_weights(model, steps):
    """Put the weights of the steps into a model that `keras_model` built."""
    for index, step in enumerate(steps):
        if step[0] in ("conv", "gap", "flat"):
            weights = [step[1]] if step[2] is None else [step[1], step[2]]
            model.get_layer(f"step{index}").set_weights(weights)
        elif step[0] == "norm":
            mean, variance = np.zeros_like(step[1]), np.ones_like(step[1])
            model.get_layer(f"step{index}").set_weights([*step[1:], mean, variance])
