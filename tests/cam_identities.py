"""Networks drawn at random, and what must hold of the class maps of every one of them.

`layouts` is a hypothesis strategy, `fill` draws the weights. Each function in
`IDENTITIES` takes a `Subject`, a drawn network with its maps, and asserts one identity
where it applies. All are algebra, not measurement; the slow side comes from
`numpy_networks`."""

from dataclasses import dataclass

import numpy as np
import numpy_networks
from hypothesis import strategies as st

from scenecam import cam

METHODS = ("grad_cam", "grad_cam_pp", "hires_cam", "xgrad_cam", "layer_cam")
TOLERANCE = 1e-5


def assert_close(actual, expected, tolerance=TOLERANCE):
    """Compare to a share of the largest value: a map is one quantity, not many."""
    expected = np.asarray(expected)
    assert np.shape(actual) == expected.shape
    scale = max(np.abs(expected).max(), 1e-9)
    assert np.abs(actual - expected).max() <= tolerance * scale


@dataclass(frozen=True)
class Layout:
    """A network without its numbers, and what its structure promises."""

    steps: list
    shape: tuple
    homogeneous: bool
    mirrors: bool
    remainder: bool

    @property
    def layers(self):
        return [step[1] for step in self.steps if step[0] == "mark"]


@dataclass(frozen=True)
class Network(Layout):
    """A layout with weights, and pictures for it."""

    images: np.ndarray

    @property
    def head(self):
        return self.steps[-1]


@st.composite
def layouts(draw):
    """Draw depth, widths, kernels, strides, padding, pooling, joins, biases, head."""
    side = [draw(st.integers(7, 12)), draw(st.integers(7, 12))]
    shape = (*side, draw(st.sampled_from([1, 3])))
    homogeneous = draw(st.booleans())
    steps, channels, mirrors = [], shape[2], True
    for index in range(draw(st.integers(1, 3))):
        width = draw(st.integers(2, 5))
        kernel, stride = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 1, 2]))
        padding = draw(st.sampled_from(["same", "valid"]))
        join = index > 0 and draw(st.booleans())
        if join:
            width, stride, padding = channels, 1, "same"
        if min(side) < 5:
            stride, padding = 1, "same"
        bias = not homogeneous and draw(st.booleans())
        steps += [("save",)] * join
        steps.append(("conv", (kernel, kernel, channels, width), bias, stride, padding))
        side = [numpy_networks._pads(s, kernel, stride, padding)[0] for s in side]
        mirrors &= stride == 1 and padding == "same"
        if draw(st.booleans()):
            steps.append(("norm", width, not homogeneous))
        steps += [("relu",)] + [("add",)] * join
        channels = width
        pool = draw(st.sampled_from(["", "max", "mean"]))
        if pool and min(side) >= 4:
            mirrors &= side[1] % 2 == 0
            steps.append((pool, 2))
            side = [s // 2 for s in side]
        steps.append(("mark", f"block{index}"))
    head = draw(st.sampled_from(["gap", "flat"]))
    pool = head == "flat" and min(side) >= 2 and draw(st.booleans())
    remainder = pool and (side[0] % 2 == 1 or side[1] % 2 == 1)
    if pool:
        steps.append(("mean", 2))
        side = [s // 2 for s in side]
    size = channels if head == "gap" else channels * side[0] * side[1]
    steps.append((head, (size, draw(st.integers(2, 3))), True))
    return Layout(steps, shape, homogeneous, mirrors and head == "gap", remainder)


def fill(layout, seed):
    """Draw the weights of a layout, and pictures."""
    rng = np.random.default_rng(seed)
    steps = []
    for step in layout.steps:
        match step[0]:
            case "conv":
                bias = _normal(rng, step[1][3]) if step[2] else None
                steps.append(("conv", _normal(rng, *step[1]), bias, *step[3:]))
            case "norm":
                shift = _normal(rng, step[1]) if step[2] else np.zeros(step[1])
                steps.append(("norm", np.abs(_normal(rng, step[1])) + 0.5, shift))
            case "gap" | "flat":
                kernel, bias = _normal(rng, *step[1]), _normal(rng, step[1][1])
                # One class more, the first minus the second: `linear_in_the_target`.
                kernel = np.column_stack([kernel, kernel[:, 0] - kernel[:, 1]])
                steps.append((step[0], kernel, np.append(bias, bias[0] - bias[1])))
            case _:
                steps.append(step)
    images = rng.normal(size=(3, *layout.shape)).astype(np.float32)
    promises = layout.homogeneous, layout.mirrors, layout.remainder
    return Network(steps, layout.shape, *promises, images)


def _normal(rng, *shape):
    # Rounded to float32, so that both implementations have the same numbers.
    scale = np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.5
    return (scale * rng.normal(size=shape)).astype(np.float32).astype(float)


@dataclass(frozen=True)
class Subject:
    """A network, its Keras model, the maps of the library and the slow logits."""

    network: Network
    model: object
    maps: dict
    cam: np.ndarray | None
    logits: np.ndarray

    @property
    def last(self):
        return self.network.layers[-1]

    @property
    def gap(self):
        return self.network.head[0] == "gap"

    def last_activations(self):
        _, _, marked = numpy_networks.forward(self.network.steps, self.network.images)
        return marked[self.last]


def examine(network, model=None):
    """Ask the library for all maps of a network; `model` is one of the same layout."""
    if model is None:
        model = numpy_networks.keras_model(network.steps, network.shape)
    else:
        numpy_networks.set_weights(model, network.steps)
    maps = cam.class_maps(model, network.images, method=METHODS, layers=network.layers)
    pooled = None
    if network.head[0] == "gap":
        found = cam.class_maps(model, network.images, method="cam")
        pooled = found[network.layers[-1]]
    logits, _, _ = numpy_networks.forward(network.steps, network.images)
    return Subject(network, model, maps, pooled, logits)


def as_the_slow_implementation(subject):
    """Every method at every layer for every class."""
    steps, images = subject.network.steps, subject.network.images
    for method in METHODS:
        expected = numpy_networks.class_maps(steps, images, method)
        assert list(subject.maps[method]) == subject.network.layers
        for layer, each in subject.maps[method].items():
            assert each.dtype == np.float32
            assert_close(each, expected[layer])
    if subject.gap:
        expected = numpy_networks.class_maps(steps, images, "cam")[subject.last]
        assert_close(subject.cam, expected)


def cam_is_grad_cam_times_cells(subject):
    """I1: below global average pooling, CAM = Z Grad-CAM."""
    if subject.gap:
        maps = subject.maps["grad_cam"][subject.last]
        assert_close(subject.cam, maps.shape[2] * maps.shape[3] * maps)


def cam_sums_to_the_logit(subject):
    """I2: mean over the cells of CAM_c, plus b_c, is S_c."""
    if subject.gap:
        means = subject.cam.mean(axis=(2, 3))
        assert_close(means + subject.network.head[2], subject.logits)


def constant_gradients_make_methods_one(subject):
    """I3: where the gradient is the same in all cells, three methods coincide."""
    if subject.gap:
        expected = subject.maps["grad_cam"][subject.last]
        assert_close(subject.maps["hires_cam"][subject.last], expected)
        assert_close(subject.maps["xgrad_cam"][subject.last], expected)


def layer_cam_keeps_positive_weights(subject):
    """I4: below global average pooling, LayerCAM_c = 1/Z sum_k relu(w_kc) A_k."""
    if subject.gap:
        activations = subject.last_activations()
        weights = np.maximum(subject.network.head[1], 0)
        expected = np.einsum("nhwk,kc->nchw", activations, weights)
        cells = activations.shape[1] * activations.shape[2]
        assert_close(subject.maps["layer_cam"][subject.last], expected / cells)


def softmax_maps_are_centred_logit_maps(subject):
    """I5: Grad-CAM of p_c is p_c (GC_c - sum_j p_j GC_j); over all classes it is 0."""
    steps = subject.network.steps
    p = np.exp(subject.logits - subject.logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    _, inputs, marked = numpy_networks.forward(steps, subject.network.images)
    for layer, maps in subject.maps["grad_cam"].items():
        centre = np.einsum("nc,nchw->nhw", p, maps)
        centred = p[:, :, None, None] * (maps - centre[:, None])
        assert_close(centred.sum(axis=1) + maps[:, 0], maps[:, 0])
        for c in range(p.shape[1]):
            of_logits = p[:, [c]] * (np.eye(p.shape[1])[c] - p)
            gradients = numpy_networks.backward(steps, inputs, of_logits)[layer]
            direct = numpy_networks.maps("grad_cam", marked[layer], gradients)
            scale = np.abs(maps).max() * TOLERANCE
            assert np.abs(centred[:, c] - direct).max() <= max(scale, 1e-12)


def hires_cam_sums_to_the_logit(subject):
    """I6: above the last layer all is linear, so HiResCAM sums to S_c - b_c."""
    total = subject.maps["hires_cam"][subject.last].sum(axis=(2, 3))
    assert_close(total + subject.network.head[2], subject.logits)


def without_biases_every_layer_sums_to_the_logit(subject):
    """I7: without biases, sum A G = S - b at every layer, not only at the last."""
    if subject.network.homogeneous:
        for maps in subject.maps["hires_cam"].values():
            total = maps.sum(axis=(2, 3))
            assert_close(total + subject.network.head[2], subject.logits)


def cells_that_pooling_drops_get_nothing(subject):
    """I8: 2x2 pooling of an odd side drops the last row or column."""
    if subject.network.remainder:
        maps = subject.maps["hires_cam"][subject.last]
        rows, columns = maps.shape[2], maps.shape[3]
        if rows % 2:
            assert np.all(maps[:, :, -1] == 0)
        if columns % 2:
            assert np.all(maps[:, :, :, -1] == 0)
        if rows % 2 and subject.last_activations()[:, -1].max() > 0:
            # Grad-CAM spreads the mean gradient: it colours what nobody looked at.
            assert np.any(subject.maps["grad_cam"][subject.last][:, :, -1] != 0)


def a_batch_is_its_pictures(subject):
    """I9: neighbours in the batch do not matter."""
    one = cam.class_maps(
        subject.model,
        subject.network.images[1:2],
        method=METHODS,
        layers=subject.network.layers,
    )
    for method, by_layer in one.items():
        for layer, maps in by_layer.items():
            assert_close(maps, subject.maps[method][layer][1:2], 1e-6)


def linear_in_the_target(subject):
    """I11: the map of S_a - S_b is the map of a minus the map of b."""
    for method in ("grad_cam", "hires_cam", "xgrad_cam"):
        for maps in subject.maps[method].values():
            scale = np.abs(maps).max()
            rest = maps[:, -1] - (maps[:, 0] - maps[:, 1])
            assert np.abs(rest).max() <= TOLERANCE * max(scale, 1e-9)


def mirrored_weights_mirror_the_map(subject):
    """I13: with kernels and pictures mirrored, so are the maps; weights are reread."""
    if not subject.network.mirrors:
        return
    kept = subject.model.get_weights()
    turned = [w[:, ::-1] if w.ndim == 4 else w for w in kept]  # columns of kernels
    subject.model.set_weights(turned)
    try:
        images = np.ascontiguousarray(subject.network.images[:, :, ::-1])
        mirrored = cam.class_maps(
            subject.model, images, method=METHODS, layers=subject.network.layers
        )
    finally:
        subject.model.set_weights(kept)
    for method, by_layer in mirrored.items():
        for layer, maps in by_layer.items():
            assert_close(maps[..., ::-1], subject.maps[method][layer])


def positive_parts_bound_the_sum(subject):
    """Activations are not negative here, so HiResCAM <= LayerCAM, cell by cell."""
    for layer, upper in subject.maps["layer_cam"].items():
        slack = TOLERANCE * np.abs(upper).max()
        assert np.all(subject.maps["hires_cam"][layer] <= upper + slack)


IDENTITIES = (
    as_the_slow_implementation,
    cam_is_grad_cam_times_cells,
    cam_sums_to_the_logit,
    constant_gradients_make_methods_one,
    layer_cam_keeps_positive_weights,
    softmax_maps_are_centred_logit_maps,
    hires_cam_sums_to_the_logit,
    without_biases_every_layer_sums_to_the_logit,
    cells_that_pooling_drops_get_nothing,
    a_batch_is_its_pictures,
    linear_in_the_target,
    mirrored_weights_mirror_the_map,
    positive_parts_bound_the_sum,
)
