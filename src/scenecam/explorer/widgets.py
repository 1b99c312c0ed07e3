"""Small widgets for single steps: kernels, feature maps, a threshold."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from scipy import ndimage

from scenecam import images
from scenecam._engine import anatomy, asked, passes
from scenecam.explorer.viewer import Viewer


def coarse_layers(model: keras.Model, *, count: int = 4) -> list[str]:
    """Name the last layer of each resolution, the `count` coarsest, finest first."""
    found = anatomy.anatomy_of(model)
    # Where something was computed: a layer that scales pictures tells nothing.
    ends = (*found.relus, *asked.find_layers(model, None))
    names = [name for name in asked.layer_names(model) if name in ends]
    return list({found.sizes[name]: name for name in names}.values())[-count:]


def kernel_viewer(
    pictures: np.ndarray, kernels: Mapping[str, np.ndarray], **content
) -> Viewer:
    """See what a kernel answers to: grey pictures after convolution.

    As in every network, the kernel is not turned round: it is a cross-correlation. The
    maps are signed, in grey levels, at the size of the pictures; the edge is repeated.

    Parameters
    ----------
    pictures : ndarray of shape (n, h, w, 3), uint8
        RGB; else TypeError or ValueError.
    kernels : mapping of str to ndarray of shape (height, width)
        Name to weights; ValueError if one has not two dimensions.
    **content
        What else `Viewer` takes.
    """
    images.check_images(pictures, name="pictures")
    grey = pictures.astype(np.float32).mean(axis=-1)
    maps, texts = [], []
    for name, kernel in kernels.items():
        kernel = np.asarray(kernel, np.float32)
        if kernel.ndim != 2:
            what = f"kernel {name!r} must be (h, w)"
            raise ValueError(f"{what}; received {kernel.shape}.")
        maps.append(ndimage.correlate(grey, kernel[None], mode="nearest"))
        rows = (" ".join(f"{weight:6.3g}" for weight in row) for row in kernel)
        texts.append("\n".join(rows))
    controls = {"picture": _numbers(len(pictures)), "kernel": list(kernels)}
    settings = {"unit": "grey levels", "signed": True, "view": "map"}
    settings |= {"title": "A picture after convolution", "notes": {"kernel": texts}}
    stacked = np.stack(maps, axis=1)
    return Viewer(stacked, controls, pictures=pictures, **(settings | content))


def feature_map_viewer(
    model: keras.Model,
    pictures: np.ndarray,
    *,
    layers: Sequence[str] | None = None,
    channels: int = 16,
    **content,
) -> Viewer:
    """Look at the first channels of a network's layers.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential.
    pictures : ndarray of shape (n, h, w, 3), uint8
        In the size of the model's input; else TypeError or ValueError.
    layers : sequence of str, optional
        From `cam.layer_names`, else ValueError; by default `coarse_layers`.
    channels : int
        How many of each layer; as many as the smallest layer has, if that has fewer.
    **content
        What else `Viewer` takes; it is signed where a layer has negative activations.
    """
    names = asked.find_layers(model, layers or coarse_layers(model))
    outputs = passes.read_model(model, asked.check_pictures(model, pictures), names)[0]
    count = min(channels, *(values.shape[-1] for values in outputs.values()))
    maps = {k: np.moveaxis(outputs[k][..., :count], -1, 1) for k in names}
    controls = {
        "picture": _numbers(len(pictures)),
        "channel": [f"channel {number}" for number in _numbers(count)],
        "layer": names,
    }
    settings = {"title": "What the channels of a layer answer to", "unit": ""}
    settings |= {"signed": any(values.min() < 0 for values in maps.values())}
    settings |= {"view": "map", "sliders": ("layer", "channel")} | content
    return Viewer(maps, controls, pictures=pictures, **settings)


def threshold_viewer(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    thresholds: Sequence[float] | None = None,
    **content,
) -> Viewer:
    """See the confusion matrix change while unsure predictions are held back.

    It counts pictures: a row for each true class, a column for each predicted one, and
    a last one for what was held back.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        True classes.
    probabilities : ndarray of shape (n, k), float
        In [0, 1]; ValueError if rows or columns do not fit the rest.
    class_names : sequence of k str
        Name of class 0, 1, ...
    thresholds : sequence of float, optional
        A prediction whose probability is smaller is held back; 0 to 0.95 by default.
    **content
        What else `Viewer` takes.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    k = len(class_names)
    if probabilities.shape != (len(labels), k) or not len(labels):
        raise ValueError(
            f"probabilities must have shape ({len(labels)}, {k}), a row for each label "
            f"and a column for each class; received {probabilities.shape}."
        )
    steps = np.arange(20) / 20 if thresholds is None else np.asarray(thresholds)
    guesses, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    matrices, texts = np.zeros((len(steps), k, k + 1), np.float32), []
    for matrix, step in zip(matrices, steps, strict=True):
        kept = sure >= step
        np.add.at(matrix, (labels, np.where(kept, guesses, k)), 1)
        right = f"{(guesses == labels)[kept].mean():.1%}" if kept.any() else "none"
        texts.append(f"{kept.mean():.1%} of the pictures kept; of these {right} right")
    settings = {"unit": "pictures", "title": "True class against predicted class"}
    settings |= {"sliders": ("threshold",), "notes": {"threshold": texts}}
    settings |= {"numbers": (class_names, [*class_names, "held back"]), "smooth": False}
    controls = {"threshold": [f"{step:.0%}" for step in steps]}
    return Viewer(matrices, controls, **(settings | content))


def _numbers(count: int) -> list[str]:
    return [str(i + 1) for i in range(count)]
