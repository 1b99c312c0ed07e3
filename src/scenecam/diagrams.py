"""Drawings that explain: networks, blocks and the steps of Grad-CAM, drawn by code.

Every function draws on `ax` and returns it; without `ax` it opens a figure. One unit of
a drawing is one inch at its natural size, so that type set in points fits its box. A
few helpers at the end of the module (box, arrow, label, column, map) give all drawings
one hand.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, patches
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from numpy import ndarray

from scenecam._style import BLUE, GREY, INK, ORANGE, VERMILION, Ax, Names, axes_or_new
from scenecam.synth import CLASS_NAMES, draw_scene

Sizes = Sequence[int]  # of layer 1, 2, ...
# Kind of layer -> (fill, edge). Text stands on the fill, so that is always pale.
STYLES = {
    "data": ("#f1f3f5", "#868e96"),
    "conv": ("#d6e6f5", BLUE),
    "pool": ("#fdebcf", "#c77c02"),
    "norm": ("#ececf4", "#7a78a8"),
    "relu": ("#d3eee4", "#028a66"),
    "dense": ("#f3dff0", "#a8559a"),
    "block": ("#e4eef8", BLUE),
}

# Winners of the ImageNet classification challenge, and the runner-up of 2014: name,
# year, layers with weights (None: no deep network), top-5 error on the test set in per
# cent, trained on nothing but the challenge's pictures.
IMAGENET_RESULTS = (
    ("NEC", 2010, None, 28.2),
    ("XRCE", 2011, None, 25.8),
    ("AlexNet", 2012, 8, 16.4),
    ("Clarifai", 2013, 8, 11.7),
    ("VGG", 2014, 19, 7.3),
    ("GoogLeNet", 2014, 22, 6.7),
    ("ResNet", 2015, 152, 3.57),
)


def cnn_pipeline(
    *, image: ndarray | None = None, class_names: Names = CLASS_NAMES, ax: Ax = None
) -> Axes:
    """From the picture to the classes: convolution, pooling, flatten, dense.

    `image`, uint8 (h, w, 3), stands at the left, a drawn sea when None; `class_names`
    stand at the right.
    """
    ax = _canvas(ax, 6.4, 3.3)
    # x of the front edge, thickness, height, kind, number of maps
    blocks = (
        (0.12, 0.04, 1.25, "data", 1),
        (1.12, 0.16, 1.25, "conv", 4),
        (2.10, 0.16, 0.72, "pool", 4),
        (2.78, 0.36, 0.72, "conv", 9),
        (3.64, 0.36, 0.40, "pool", 9),
    )
    face, *_ = [_cuboid(ax, 1.9, *block) for block in blocks]
    _on_face(ax, _sea() if image is None else image, face, (1.12, 1.9625))
    # The flattened numbers, one under the other, and the dense layer behind them.
    x, top, cell = 4.52, 2.68, 0.12
    for i in range(13):
        _shape(ax, patches.Rectangle((x, top - (i + 1) * cell), 0.13, cell), lw=0.8)
    starts = np.linspace(top - 0.06, top - 1.5, 5)
    ys = np.linspace(top - 0.12, top - 1.44, len(class_names))
    for y, name in zip(ys, class_names, strict=True):
        _line(ax, (x + 0.13, 5.33), (starts, np.full(5, y)), "#c3c9d1", lw=0.6)
        _shape(ax, patches.Circle((5.4, y), 0.085), "dense")
        _label(ax, 5.53, y, name, ha="left", size=9.5)
    # Names of the things above, of the steps that make them below.
    above = ("picture", "feature maps", "more,\nsmaller maps", "numbers", "classes")
    for x, text in zip((0.33, 1.4, 3.15, 4.58, 5.75), above, strict=True):
        _label(ax, x, 2.98, text, weight="bold")
    steps = {"conv": "convolution\n+ ReLU", "pool": "pooling", "data": "flatten"}
    below = ("conv", "pool", "conv", "pool", "data", "dense")
    for x, kind in zip((0.75, 1.92, 2.72, 3.66, 4.48, 5.25), below, strict=True):
        text, color = steps.get(kind, kind), STYLES[kind][1]
        _label(ax, x, 0.53, text, size=9.5, color=color, va="top")
        _arrow(ax, (x, 0.59), (x, 1.01), color=color, lw=1.2)
    return ax


def skip_connection(*, ax: Ax = None) -> Axes:
    """A residual block: what the layers compute is added to what came in.

    Notes
    -----
    Figure 2 and equation 1 of He et al. (2016), "Deep residual learning for image
    recognition", CVPR, redrawn with the symbols Y = F(x) + x.
    """
    ax = _canvas(ax, 4.4, 4.1)
    x, corner, edge = 1.9, 3.3, STYLES["pool"][1]
    _label(ax, x, 3.9, "$x$", size=14)
    layers, layer = [("weight layer", "conv")] * 2, {"width": 1.6, "height": 0.42}
    _column(ax, x, (3.0, 2.14), layers, **layer, arrows=(3.72, 1.42))
    _plus(ax, x, 1.25, 0.17, 0.56)
    for y in (2.58, 0.84):
        _label(ax, x + 0.1, y, "ReLU", ha="left", color=STYLES["relu"][1])
    _label(ax, x, 0.36, "$Y = F(x) + x$", size=14)
    way = [(x, 3.48), (corner, 3.48), (corner, 1.25), (x + 0.17, 1.25)]
    _arrow(ax, *way, color=edge, lw=1.6)
    _label(ax, corner + 0.12, 2.78, "$x$", size=14, ha="left", color=edge)
    _label(ax, corner + 0.12, 2.28, "identity:\nnothing to\nlearn", ha="left")
    # A bracket around what the two layers compute.
    _line(ax, [0.93, 0.8, 0.8, 0.93], [3.21, 3.21, 1.93, 1.93], GREY, lw=1.2)
    _label(ax, 0.7, 2.57, "$F(x)$", size=14, ha="right")
    return ax


def network_overview(*, stages: int = 4, ax: Ax = None) -> Axes:
    """The report's network: a stem, `stages` res-blocks, and the classifier.

    ValueError unless there is a res-block.
    """
    if stages < 1:
        raise ValueError(f"`stages` must be at least 1; received {stages}.")
    layers = [
        ("picture", "data"),
        ("convolution 7 × 7", "conv"),
        ("batch normalization, ReLU", "norm"),
        ("max-pooling", "pool"),
        *((f"res-block {i + 1}", "block") for i in range(stages)),
        ("global average pooling", "pool"),
        ("dense", "dense"),
        ("logits", "data"),
    ]
    step, half, x = 0.52, 0.17, 1.5
    tall = step * len(layers) + 0.1
    ax = _canvas(ax, 5.6, tall)
    ys = [tall - 0.05 - step * (i + 0.5) for i in range(len(layers))]
    _column(ax, x, ys, layers, 2.3)
    stem = [ys[1] + half] * 2 + [ys[3] - half] * 2
    _line(ax, [0.27, 0.2, 0.2, 0.27], stem, GREY, lw=1.2)
    _label(ax, 0.1, ys[2], "stem", rotation=90)
    # One res-block, opened.
    top, left = min(ys[4] + 0.85, tall - 0.1), 3.5
    opened = [ys[4] + half, ys[4] - half], [top, top - 2]
    _line(ax, (x + 1.15, left), opened, GREY, lw=0.9, ls=(0, (4, 3)))
    dashed = {"facecolor": "#fbfcfd", "edgecolor": GREY, "ls": "--", "lw": 1}
    _shape(ax, patches.Rectangle((left, top - 2), 2, 2), zorder=1, **dashed)
    _label(ax, left + 1, top - 0.2, "a res-block", weight="bold")
    inner = [("convolution block", "conv"), *[("identity block", "block")] * 2]
    _column(ax, left + 1, [top - 0.55, top - 1.12, top - 1.69], inner, 1.7)
    return ax


def residual_blocks(*, ax: Ax = None) -> Axes:
    """Convolution block and identity block side by side, with their two paths."""
    ax = _canvas(ax, 6.3, 6.0)
    one, three = ("convolution 1 × 1", "conv"), ("convolution 3 × 3", "conv")
    norm, pool = ("batch norm.", "norm"), ("max-pooling", "pool")
    norm_relu = ("batch norm., ReLU", "norm")
    main = [norm_relu, three, norm_relu, one, norm]
    _line(ax, [3.4, 3.4], [0.15, 5.85], "#d5d9de", lw=1)
    top, plus, half, edge = 5.3, 0.95, 0.18, STYLES["pool"][1]
    layer = {"width": 1.42, "height": 2 * half, "size": 9.5}
    short_path = {"color": edge, "lw": 1.6}
    for title, x, short_x, layers, short in (
        ("convolution block", 0.95, 2.52, [one, pool, *main], [one, pool, norm]),
        ("identity block", 4.45, 6.0, [one, *main], []),
    ):
        _label(ax, (x + short_x) / 2, 5.82, title, size=11.5, weight="bold")
        _label(ax, x, top + 0.2, "$x$", size=13)
        ys = np.linspace(top - 0.55, plus + 0.55, len(layers))
        _column(ax, x, ys, layers, **layer, arrows=(top + 0.05, plus + 0.15))
        _plus(ax, x, plus, 0.15, 0.59)
        _box(ax, x, 0.42, 0.8, 0.34, "ReLU", "relu", size=9.5)
        way = [(x, top - 0.14), (short_x, top - 0.14)]
        words, shift, align = "short\npath:\n$x$ itself", -0.12, "right"
        if short:
            # Beside the layers of the main path that do the same.
            _arrow(ax, *way, (short_x, ys[0] + half), **short_path)
            _column(ax, short_x, ys[:3], short, color=edge, **layer)
            way = [(short_x, ys[2] - half)]
            words, shift, align = "short\npath", 0.1, "left"
        _arrow(ax, *way, (short_x, plus), (x + 0.15, plus), **short_path)
        _label(ax, short_x + shift, 2.1, words, ha=align, size=9.5, color=edge)
    return ax


def depth_chart(*, ax: Ax = None) -> Axes:
    """Error on ImageNet above, number of layers below, year by year.

    Notes
    -----
    Test-set figures of the ImageNet Large Scale Visual Recognition Challenge. K. He, X.
    Zhang, S. Ren, J. Sun (2016), "Deep residual learning for image recognition", CVPR,
    770-778, table 5: VGG 7.32, GoogLeNet 6.66, ResNet 3.57; the chart itself is from
    He's talk on it, "Revolution of depth". Years before: O. Russakovsky et al. (2015),
    "ImageNet large scale visual recognition challenge", IJCV 115, 211-252. The entry of
    2013 is Clarifai's, grown out of ZFNet (Zeiler and Fergus 2014). All are ensembles.
    """
    ax = _canvas(ax, 6.3, 4.7)
    for i, (name, year, layers, error) in enumerate(IMAGENET_RESULTS):
        x, tall, deep = 0.62 + i * 0.86, error * 1.8 / 28.2, (layers or 0) * 1.6 / 152
        ax.bar(x, tall, 0.56, 2.6, color=BLUE if layers else "#9aa3ad", zorder=3)
        _label(ax, x, 2.6 + tall + 0.12, f"{error:g} %", weight="bold")
        _label(ax, x, 2.3, f"{name}\n{year}", size=9.5, linespacing=1.05)
        if layers:
            ax.bar(x, deep, 0.56, 2 - deep, color=ORANGE, zorder=3)
            # A line for each layer shows the depth as what it is: a pile.
            ys = 2 - deep * np.arange(1, layers) / layers
            _line(ax, (x - 0.28, x + 0.28), (ys, ys), "white", lw=0.25, zorder=4)
        _label(ax, x, 1.87 - deep, f"{layers} layers" if layers else "shallow")
    _label(ax, 3.2, 4.3, "top-5 error on ImageNet", size=11, ha="left", color=BLUE)
    _label(ax, 3.2, 0.6, "layers with weights", size=11, ha="left", color="#b06f00")
    return ax


def grad_cam_steps(*, ax: Ax = None) -> Axes:
    r"""Draw the six steps from a picture to its superimposed heatmap.

    Notes
    -----
    Weights and map are equations 1 and 2 of R. R. Selvaraju et al. (2020), "Grad-CAM:
    Visual explanations from deep networks via gradient-based localization", IJCV 128.
    """
    ax = _canvas(ax, 6.3, 4.9)
    predict, choose, derive, weigh, add, lay = _six_frames(ax)
    maps, weights = _maps(), (0.9, -0.5, 0.4)
    total = np.maximum(np.tensordot(weights, maps, 1), 0)

    x, y = predict
    _picture(ax, _sea(), x - 0.52, y + 0.06, 0.58)
    _arrow(ax, (x - 0.2, y + 0.06), (x + 0.05, y + 0.06), lw=1.2)
    for i, values in enumerate(maps):
        _map(ax, values, x + 0.33 + 0.12 * i, y + 0.18 - 0.12 * i, 0.46)

    x, y = choose
    for i, value in enumerate((0.35, 0.2, 0.5, 0.3, 1.0, 0.15)):
        bar = patches.Rectangle((x - 0.45, y + 0.42 - 0.15 * i), 0.85 * value, 0.11)
        _shape(ax, bar, "dense" if value == 1 else "data", lw=0.8)
    _label(ax, x + 0.5, y - 0.12, "$S_c$", size=11, color=STYLES["dense"][1])

    x, y = derive
    _map(ax, maps[0], x - 0.42, y + 0.07, 0.55)
    _shape(ax, patches.Circle((x + 0.5, y + 0.07), 0.14), "dense")
    _label(ax, x + 0.5, y + 0.07, "$S_c$")
    _arrow(ax, (x - 0.12, y + 0.2), (x + 0.35, y + 0.15), lw=1, color=GREY)
    _arrow(ax, (x + 0.35, y - 0.02), (x - 0.12, y - 0.1), lw=1.8, color=VERMILION)

    x, y = weigh
    for i, (values, weight) in enumerate(zip(maps, weights, strict=True)):
        place = y + 0.45 - 0.38 * i
        _map(ax, values, x + 0.3, place, 0.33)
        _label(ax, x - 0.42, place, rf"$\alpha_{i + 1}={weight:g}$")
        _label(ax, x + 0.02, place, "×", size=11)

    _map(ax, total, add[0], add[1] + 0.07, 0.95)
    glow = colormaps["inferno"](total / total.max())[..., :3]
    _picture(ax, _sea(), lay[0], lay[1] + 0.07, 0.95)
    _picture(ax, glow, lay[0], lay[1] + 0.07, 0.95, alpha=0.5)
    return ax


def _six_frames(ax: Axes) -> list[tuple[float, float]]:
    """The numbered frames of the six steps, from one to the next; their centres."""
    steps = (
        ("predict", "keep the feature\nmaps $A^k$"),
        ("choose the class", "$c = $ argmax of\nthe logits $S$"),
        ("take the gradient", r"$\partial S_c / \partial A^k$" "\nof every place"),
        ("weigh the maps", r"$\alpha_k^c$ = mean of the" "\ngradient over places"),
        ("sum and cut off", r"ReLU$(\sum_k \alpha_k^c A^k)$"),
        ("superimpose", "enlarge the map,\nblend it in"),
    )
    centres = [(0.99 + (i % 3) * 2.16, 3.72 - (i // 3) * 2.46) for i in range(6)]
    for i, ((x, y), (title, caption)) in enumerate(zip(centres, steps, strict=True)):
        _box(ax, x, y, 1.86, 2.2, "", "data", facecolor="#fbfcfd")
        _shape(ax, patches.Circle((x - 0.7, y + 0.86), 0.13), color=BLUE)
        _label(ax, x - 0.7, y + 0.855, str(i + 1), weight="bold", color="white")
        _label(ax, x - 0.5, y + 0.86, title, weight="bold", ha="left")
        _label(ax, x, y - 0.76, caption, size=9.5)
        if i % 3 < 2:
            _arrow(ax, (x + 0.93, y), (x + 1.23, y), lw=1.8)
    # From the end of the first row to the start of the second.
    _arrow(ax, (5.31, 2.62), (5.31, 2.49), (0.99, 2.49), (0.99, 2.36), lw=1.8)
    return centres


def receptive_field(
    *, kernels: Sizes = (3, 3, 3), strides: Sizes | None = None, ax: Ax = None
) -> Axes:
    """What one unit sees, layer below layer, along one row of pixels.

    Parameters
    ----------
    kernels : sequence of int
        Kernel size of each layer, first layer first.
    strides : sequence of int, optional
        Step of each layer; 1 everywhere when None. ValueError if sizes and steps do
        not match, one is below 1, or over 41 pixels are seen.
    ax
        Where to draw.

    Notes
    -----
    A layer of kernel k whose inputs lie j pixels apart widens the field by (k - 1) j.
    """
    strides = [1] * len(kernels) if strides is None else list(strides)
    if len(strides) != len(kernels) or not kernels or min(*kernels, *strides, 1) < 1:
        what = "`kernels` and `strides` must be of one length, all at least 1"
        raise ValueError(f"{what}; received {list(kernels)} and {strides}.")
    # Units seen in each row, from the one unit on top down to the pixels.
    seen = [1]
    for kernel, stride in zip(kernels[::-1], strides[::-1], strict=True):
        seen.append((seen[-1] - 1) * stride + kernel)
    if seen[-1] > 41:
        raise ValueError(
            f"`kernels` may see at most 41 pixels; received a field of {seen[-1]}."
        )
    layers, middle = len(kernels), 2.75
    cell = min(0.34, 3.7 / (seen[-1] + 2))
    half = cell * 0.43
    ys = 0.3 + 0.8 * np.arange(layers, -1, -1)
    ax = _canvas(ax, 5.9, ys[0] + 0.35)
    # Distance of neighbours in each row, in inches.
    jumps = cell * np.cumprod([1, *strides])[::-1]
    names = [*(f"layer {n}" for n in range(layers, 0, -1)), "pixels"]
    for y, name, count, jump in zip(ys, names, seen, jumps, strict=True):
        # Neighbours to fill the row up to the width of the pixels below.
        extra = max(1, int(((seen[-1] + 2) * cell / jump - count) // 2))
        for i in range(-extra, count + extra):
            corner = (middle + (i - (count - 1) / 2) * jump - half, y - half)
            kind, width = ("conv", 1.2) if 0 <= i < count else ("data", 0.6)
            _shape(ax, patches.Rectangle(corner, 2 * half, 2 * half), kind, lw=width)
        _label(ax, 0.1, y, name, size=10.5, ha="left", weight="bold")
        unit = ("pixel" if name == "pixels" else "unit") + "s" * (count > 1)
        text = "1 unit" if name == names[0] else f"sees {count} {unit}"
        _label(ax, 5.75, y, text, ha="right")
    # Dashed, from each row to the next: what the units above see.
    reach = (np.array(seen) - 1) / 2 * jumps + half
    for xs in (middle + reach, middle - reach):
        ends = (xs[:-1], xs[1:]), (ys[:-1] - half, ys[1:] + half)
        _line(ax, *ends, STYLES["conv"][1], lw=1, ls=(0, (3, 2)))
    return ax


# The hand that draws ------------------------------------------------------------------


def _canvas(ax: Ax, width: float, height: float) -> Axes:
    """A blank white sheet of `width` by `height` inches, drawn on in inches."""
    whole = {"left": 0, "right": 1, "bottom": 0, "top": 1}
    ax = axes_or_new(ax, width, height, layout="none", gridspec_kw=whole)
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def _label(ax: Axes, x: float, y: float, text: str, **style) -> None:
    """Text at a place, centred if nothing else is said."""
    look = {"ha": "center", "va": "center", "color": INK, "size": 10, "zorder": 6}
    ax.text(x, y, text, **look | style)


def _line(ax: Axes, xs, ys, color: str, **style) -> None:
    """A line through points; of arrays of two dimensions, one for each column."""
    ax.plot(xs, ys, color=color, **{"zorder": 1} | style)


def _shape(ax: Axes, patch: patches.Patch, kind: str = "data", **style) -> None:
    """A shape in the colours of a kind of layer, if nothing else is said."""
    face, edge = STYLES[kind]
    patch.set(facecolor=face, edgecolor=edge, lw=1.3, zorder=3)
    ax.add_patch(patch).set(**style)


def _box(ax: Axes, x, y, width, height, text: str, kind: str, *, size=10, **style):
    """A rounded box around (x, y) with its text."""
    corner, rounded = (x - width / 2, y - height / 2), "round,pad=0,rounding_size=0.07"
    box = patches.FancyBboxPatch(corner, width, height, boxstyle=rounded)
    _shape(ax, box, kind, **style)
    _label(ax, x, y, text, size=size)


def _plus(ax: Axes, x: float, y: float, radius: float, below: float) -> None:
    """The sum of two paths, and the arrow from it down to `below`."""
    _shape(ax, patches.Circle((x, y), radius), fc="white", ec=INK, zorder=4)
    arms = 0.55 * radius * np.array([[-1, 0], [1, 0]])
    _line(ax, x + arms, y + arms[:, ::-1], INK, lw=1.8, zorder=5)
    _arrow(ax, (x, y - radius), (x, below))


def _arrow(ax: Axes, *points: tuple[float, float], color=INK, lw=1.4) -> None:
    """An arrow around corners that ends exactly at the last point."""
    head = {"arrowstyle": "-|>", "mutation_scale": 9 + lw}
    arrow = patches.FancyArrowPatch(path=Path(points), **head)
    _shape(ax, arrow, color=color, lw=lw, zorder=3.2)


def _column(ax, x, ys, layers, width, height=0.34, size=10, color=INK, arrows=()):
    """Layers (name, kind) one below the other, with arrows from each to the next.

    `arrows` may hold where one into the first begins, and one out of the last ends.
    """
    for y, (name, kind) in zip(ys, layers, strict=True):
        _box(ax, x, y, width, height, name, kind, size=size)
    ends = [y + side for y in ys for side in (height / 2, -height / 2)]
    ends = [arrows[0], *ends, arrows[1]] if arrows else ends[1:-1]
    for above, below in zip(ends[::2], ends[1::2], strict=True):
        _arrow(ax, (x, above), (x, below), color=color)


def _cuboid(ax: Axes, middle, x, thick, height, kind: str, maps: int) -> Affine2D:
    """A block of maps, as thick as it has channels; how its large face lies askew."""
    face, edge = STYLES[kind]
    back = np.array([0.36, 0.26]) * height
    along, up = np.array([[thick, 0], [0, height]])
    corner = np.array([x, middle - height / 2])
    for start, one, other, shade in (
        (corner, along, up, 0.86),
        (corner + up, along, back, 0.93),
        (corner + along, back, up, 1.0),
    ):
        side = patches.Polygon([start, start + one, start + one + other, start + other])
        fill = shade * np.array(to_rgb(face))
        _shape(ax, side, kind, fc=fill, lw=1.1, joinstyle="round")
    # The joints between one map and the next, up the front and over the roof.
    for i in range(1, maps):
        joint = np.array([0 * up, up, up + back]) + corner + along * i / maps
        _line(ax, *joint.T, edge, lw=0.6, zorder=3)
    return Affine2D(np.array([[*back, 0], [*up, 0], [*(corner + along), 1]]).T)


def _on_face(ax: Axes, image: ndarray, askew: Affine2D, target) -> None:
    """A picture on a cuboid, with a kernel's window and the place that it fills."""
    drawn = ax.imshow(image, extent=(0, 1, 0, 1), zorder=3.5, aspect="equal")
    drawn.set_transform(askew + ax.transData)
    corners = askew.transform([(0.5, 0.4), (0.85, 0.4), (0.85, 0.7), (0.5, 0.7)])
    _shape(ax, patches.Polygon(corners), fc="none", ec=VERMILION, lw=1.8, zorder=5)
    for point in corners[1:3]:
        _line(ax, *zip(point, target, strict=True), VERMILION, lw=1, zorder=5)


def _picture(ax: Axes, image: ndarray, x, y, size, **style) -> None:
    """A small picture around (x, y)."""
    extent = (x - size / 2, x + size / 2, y - size / 2, y + size / 2)
    style = {"interpolation": "bilinear", "aspect": "equal", "zorder": 4} | style
    ax.imshow(image, extent=extent, **style)


def _map(ax: Axes, values: ndarray, x, y, size) -> None:
    """A small map of squares around (x, y), in a frame."""
    scale = {"cmap": "inferno", "vmin": 0, "vmax": np.abs(values).max()}
    _picture(ax, values, x, y, size, interpolation="nearest", **scale)
    frame = patches.Rectangle((x - size / 2, y - size / 2), size, size)
    _shape(ax, frame, facecolor="none", edgecolor=INK, lw=1.2, zorder=5)


def _sea() -> ndarray:
    """A drawn sea under a low sun, uint8 (h, w, 3)."""
    return draw_scene("sea", seed=2)[0]


def _maps(size: int = 7) -> ndarray:
    """Three little feature maps of the sea: water, sun, shore."""
    y, x = np.mgrid[:size, :size] / (size - 1)
    water = np.exp(-(((y - 0.85) / 0.28) ** 2)) * (0.8 + 0.2 * np.sin(9 * x))
    sun = np.exp(-((x - 0.68) ** 2 + (y - 0.25) ** 2) / 0.06)
    shore = np.exp(-(((y - 0.55) / 0.15) ** 2)) * (1.1 - x)
    return np.stack([water, sun, shore])
