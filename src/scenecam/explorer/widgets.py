"""Small widgets for single steps: kernels, feature maps, a threshold, a weight."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from scipy import ndimage
from traitlets import Float, validate

from scenecam import images
from scenecam._engine import anatomy, asked, passes
from scenecam._style import class_colours
from scenecam.explorer.viewer import Page, Viewer, source


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


class WeightViewer(Page):
    """Drag a weight, or several along a line, and see what follows and what stays.

    A dense layer is linear in its weights, so a page can compute all that is shown, and
    says under each map whether it adds up to its logit. `weight` is where the slider
    stands; it can be read, set and observed.

    Parameters
    ----------
    maps : mapping of str to (ndarray, ndarray, int or (int, int))
        Name of a panel to its map (h, w) at the start, in logits, the map's change for
        one unit of the weight, and its class, or the two whose difference it explains.
    logits : (ndarray, ndarray) of shape (k,)
        At the start, and their change for one unit.
    bias, class_names : ndarray of shape (k,), sequence of k str
        Of class 0, 1, ...
    weight_name, title : str
        What is dragged; what stands above.
    start, ends : float, (float, float)
        The weight at the start; from where to where it goes.
    total : {"mean", "sum"}
        What of a map adds up, with the bias, to the logit.
    picture : ndarray of shape (h, w, 3), uint8, optional
        Stands before the maps.

    Raises
    ------
    TypeError, ValueError
        If something does not fit, or is not finite.
    """

    kind, starts_with = "weight", ("weight",)
    _esm, _css = source("shared.js", "weight.js"), source("shared.css", "weight.css")

    weight = Float().tag(sync=True)

    def __init__(
        self,
        maps: Mapping[str, tuple],
        logits: tuple[np.ndarray, np.ndarray],
        *,
        bias: np.ndarray,
        class_names: Sequence[str],
        weight_name: str,
        start: float = 0.0,
        ends: tuple[float, float] = (-1.0, 1.0),
        total: str = "mean",
        picture: np.ndarray | None = None,
        title: str = "",
    ):
        if not (maps and ends[0] <= start <= ends[1] and total in ("mean", "sum")):
            what = "there must be maps, a start within the ends, and a mean or sum"
            raise ValueError(f"{what}; received {[*maps]}, {start}, {ends}, {total!r}.")
        lines, changes, classes = zip(*maps.values(), strict=True)
        classes, k = (
            [np.atleast_1d(each).tolist() for each in classes],
            len(class_names),
        )
        if not all(len(c) in (1, 2) and {*c} <= {*range(k)} for c in classes):
            what = f"a map must be of one class or of two, from 0 to {k - 1}"
            raise ValueError(f"{what}; received {classes}.")
        size = np.shape(lines[0])[-2:]
        self._maps = _finite("maps", (lines, changes), (2, len(maps), *size))
        self._buffers = [self._maps.tobytes()]
        if picture is not None:
            self._buffers.append(images.encode_webp(picture, quality=75))
        header = {"title": title, "weight": weight_name, "names": [*maps], "size": size}
        header |= {"start": float(start), "ends": [*map(float, ends)], "total": total}
        header |= {"logits": _finite("logits", logits, (2, k)).tolist()}
        header |= {"bias": _finite("bias", bias, (k,)).tolist(), "classes": classes}
        colours = np.rint(255 * class_colours(k)).tolist()
        header |= {"classNames": [*class_names], "classColours": colours}
        self._header = header
        super().__init__(weight=float(start))

    @validate("weight")
    def _check_weight(self, proposal):
        (low, high), value = self._header["ends"], proposal["value"]
        if not low <= value <= high:
            raise ValueError(f"weight must be from {low} to {high}; received {value}.")
        return value

    def _still(self) -> tuple[np.ndarray, str]:
        start, change = self._maps
        maps = start + (self.weight - self._header["start"]) * change
        unit = images.unit_map(maps, positive=False, limit=np.abs(maps).max())
        # A column without colour on each side keeps the maps apart.
        unit = np.hstack(np.pad(unit, ((0, 0), (0, 0), (1, 1)), constant_values=0.5))
        shown = images.colour_map(unit, cmap="RdBu_r").repeat(8, 0).repeat(8, 1)
        names = ", ".join(self._header["names"])
        return shown, f"{self._header['weight']}, {self.weight:.3g}: maps of {names}"


def _finite(name: str, values, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers of a shape as float32, or raise ValueError."""
    try:
        found = np.asarray(values, np.float32)
    except ValueError:  # arrays of several shapes
        found = np.empty(0)
    if found.shape != shape or not np.isfinite(found).all():
        what = f"{name} must be finite, together of shape {shape}, with their changes"
        raise ValueError(f"{what}; received {[np.shape(each) for each in values]}.")
    return found


def _numbers(count: int) -> list[str]:
    return [str(i + 1) for i in range(count)]
