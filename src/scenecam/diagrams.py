"""Drawings that explain: networks, blocks and the steps of Grad-CAM, drawn by code.

Every function takes `ax=None` and returns the Axes. One unit of a drawing is one inch
at its natural size, so that type set in points fits its box. A few helpers at the end
of the module (box, arrow, label, block, map) give all drawings one hand.
"""

from collections.abc import Sequence
from math import prod

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import (
    Circle,
    FancyArrowPatch,
    FancyBboxPatch,
    Polygon,
    Rectangle,
)
from matplotlib.transforms import Affine2D

INK = "#222222"
GREY = "#6b7280"
# Kind of layer -> (fill, edge). Text stands on the fill, so that is always pale.
STYLES = {
    "data": ("#f1f3f5", "#868e96"),
    "conv": ("#d6e6f5", "#0173b2"),
    "pool": ("#fdebcf", "#c77c02"),
    "norm": ("#ececf4", "#7a78a8"),
    "relu": ("#d3eee4", "#028a66"),
    "dense": ("#f3dff0", "#a8559a"),
    "block": ("#e4eef8", "#0173b2"),
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
    *,
    image: np.ndarray | None = None,
    class_names: Sequence[str] = (
        "buildings",
        "forest",
        "glacier",
        "mountain",
        "sea",
        "street",
    ),
    ax: Axes | None = None,
) -> Axes:
    """From the picture to the classes: convolution, pooling, flatten, dense.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8, optional
        Stands at the left; a drawn sea when None.
    class_names : sequence of str
        Stand at the right.
    ax : Axes, optional
        Where to draw.
    """
    ax = _canvas(ax, 6.4, 3.3)
    base, middle = 0.95, 1.9
    # x of the front edge, thickness, height, kind, number of maps
    blocks = [
        (0.12, 0.04, 1.25, "data", 1),
        (1.12, 0.16, 1.25, "conv", 4),
        (2.10, 0.16, 0.72, "pool", 4),
        (2.78, 0.36, 0.72, "conv", 9),
        (3.64, 0.36, 0.40, "pool", 9),
    ]
    for i, (x, thick, height, kind, maps) in enumerate(blocks):
        side = _cuboid(ax, x, middle - height / 2, thick, height, kind, maps)
        if i == 0:
            _on_face(ax, _sea() if image is None else image, side)
    _window(ax, blocks[0], blocks[1], middle)
    # The flattened numbers, one under the other, and the dense layer behind them.
    flat_x, top = 4.52, middle + 0.78
    cells = 13
    for i in range(cells):
        y = top - (i + 1) * 1.56 / cells
        _rect(ax, flat_x, y, 0.13, 1.56 / cells, "data", lw=0.8)
    ys = np.linspace(top - 0.12, top - 1.44, len(class_names))
    for y in ys:
        for start in np.linspace(top - 0.06, top - 1.5, 5):
            ax.plot(
                [flat_x + 0.13, 5.33], [start, y], color="#c3c9d1", lw=0.6, zorder=1
            )
        _circle(ax, 5.4, y, 0.085, "dense")
    for y, name in zip(ys, class_names, strict=True):
        _label(ax, 5.53, y, name, ha="left", size=9.5)
    # Names of the things above, of the steps that make them below.
    for x, text in (
        (0.33, "picture"),
        (1.4, "feature maps"),
        (3.15, "more,\nsmaller maps"),
        (4.58, "numbers"),
        (5.75, "classes"),
    ):
        _label(ax, x, 2.98, text, size=10, weight="bold")
    steps = (
        (0.75, "convolution\n+ ReLU", "conv"),
        (1.92, "pooling", "pool"),
        (2.72, "convolution\n+ ReLU", "conv"),
        (3.66, "pooling", "pool"),
        (4.48, "flatten", "data"),
        (5.25, "dense", "dense"),
    )
    for x, text, kind in steps:
        _label(ax, x, base - 0.42, text, size=9.5, color=STYLES[kind][1], va="top")
        _arrow(ax, (x, base - 0.36), (x, base + 0.06), color=STYLES[kind][1], lw=1.2)
    return ax


def skip_connection(*, ax: Axes | None = None) -> Axes:
    """A residual block: what the layers compute is added to what came in.

    Notes
    -----
    Figure 2 and equation 1 of He et al. (2016), "Deep residual learning for image
    recognition", CVPR, redrawn with the symbols Y = F(x) + x.
    """
    ax = _canvas(ax, 4.4, 4.1)
    x = 1.9
    _label(ax, x, 3.9, "$x$", size=14)
    _arrow(ax, (x, 3.72), (x, 3.22))
    _box(ax, x, 3.0, 1.6, 0.42, "weight layer", "conv")
    _arrow(ax, (x, 2.79), (x, 2.36))
    _label(ax, x + 0.1, 2.58, "ReLU", size=10, ha="left", color=STYLES["relu"][1])
    _box(ax, x, 2.14, 1.6, 0.42, "weight layer", "conv")
    _arrow(ax, (x, 1.93), (x, 1.42))
    _plus(ax, x, 1.25)
    _arrow(ax, (x, 1.08), (x, 0.56))
    _label(ax, x + 0.1, 0.84, "ReLU", size=10, ha="left", color=STYLES["relu"][1])
    _label(ax, x, 0.36, "$Y = F(x) + x$", size=14)
    edge = STYLES["pool"][1]
    corner = 3.3
    _route(ax, [(x, 3.48), (corner, 3.48), (corner, 1.25), (x + 0.17, 1.25)], edge)
    _label(ax, corner + 0.12, 2.78, "$x$", size=14, ha="left", color=edge)
    _label(ax, corner + 0.12, 2.28, "identity:\nnothing to\nlearn", size=10, ha="left")
    # A bracket around what the two layers compute.
    ax.plot(
        [0.93, 0.8, 0.8, 0.93], [3.21, 3.21, 1.93, 1.93], color=GREY, lw=1.2, zorder=1
    )
    _label(ax, 0.7, 2.57, "$F(x)$", size=14, ha="right")
    return ax


def network_overview(*, stages: int = 4, ax: Axes | None = None) -> Axes:
    """The report's network: a stem, res-blocks, and the classifier.

    Parameters
    ----------
    stages : int
        Number of res-blocks, 1 or more.
    ax : Axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If there is no stage.
    """
    if stages < 1:
        raise ValueError(f"`stages` must be at least 1; received {stages}.")
    rows = [
        ("picture", "data"),
        ("convolution 7 × 7", "conv"),
        ("batch normalization, ReLU", "norm"),
        ("max-pooling", "pool"),
        *((f"res-block {i + 1}", "block") for i in range(stages)),
        ("global average pooling", "pool"),
        ("dense", "dense"),
        ("logits", "data"),
    ]
    step, height = 0.52, 0.34
    tall = step * len(rows) + 0.1
    ax = _canvas(ax, 5.6, tall)
    x = 1.5
    ys = [tall - 0.05 - step * (i + 0.5) for i in range(len(rows))]
    for (text, kind), y in zip(rows, ys, strict=True):
        _box(ax, x, y, 2.3, height, text, kind)
    for above, below in zip(ys, ys[1:], strict=False):
        _arrow(ax, (x, above - height / 2), (x, below + height / 2))
    stem_top, stem_end = ys[1] + height / 2, ys[3] - height / 2
    ax.plot([0.27, 0.2, 0.2, 0.27], [stem_top] * 2 + [stem_end] * 2, color=GREY, lw=1.2)
    _label(ax, 0.1, (stem_top + stem_end) / 2, "stem", size=10, rotation=90)
    # One res-block, opened.
    first = ys[4]
    top, left, right = min(first + 0.85, tall - 0.1), 3.5, 5.5
    bottom = top - 2.0
    for start, end in ((first + height / 2, top), (first - height / 2, bottom)):
        ax.plot([x + 1.15, left], [start, end], color=GREY, lw=0.9, ls=(0, (4, 3)))
    ax.add_patch(
        Rectangle(
            (left, bottom),
            right - left,
            top - bottom,
            facecolor="#fbfcfd",
            edgecolor=GREY,
            linestyle="--",
            zorder=1,
        )
    )
    centre = (left + right) / 2
    _label(ax, centre, top - 0.2, "a res-block", size=10, weight="bold")
    inner = [top - 0.55, top - 1.12, top - 1.69]
    names = ("convolution block", "identity block", "identity block")
    for y, name, kind in zip(inner, names, ("conv", "block", "block"), strict=True):
        _box(ax, centre, y, 1.7, height, name, kind)
    for above, below in zip(inner, inner[1:], strict=False):
        _arrow(ax, (centre, above - height / 2), (centre, below + height / 2))
    return ax


def residual_blocks(*, ax: Axes | None = None) -> Axes:
    """Convolution block and identity block side by side, with their two paths."""
    ax = _canvas(ax, 6.3, 6.0)
    main = [
        ("convolution 1 × 1", "conv"),
        ("max-pooling", "pool"),
        ("batch norm., ReLU", "norm"),
        ("convolution 3 × 3", "conv"),
        ("batch norm., ReLU", "norm"),
        ("convolution 1 × 1", "conv"),
        ("batch norm.", "norm"),
    ]
    ways = (
        ("convolution block", 0.95, 2.52, main, [main[0], main[1], main[6]]),
        ("identity block", 4.45, 6.0, [main[0], *main[2:]], []),
    )
    ax.plot([3.4, 3.4], [0.15, 5.85], color="#d5d9de", lw=1)
    for title, x, short_x, layers, short in ways:
        centre = (x + short_x) / 2
        _label(ax, centre, 5.82, title, size=11.5, weight="bold")
        top, plus, end = 5.3, 0.95, 0.42
        _label(ax, x, top + 0.2, "$x$", size=13)
        ys = np.linspace(top - 0.55, plus + 0.55, len(layers))
        for (text, kind), y in zip(layers, ys, strict=True):
            _box(ax, x, y, 1.42, 0.36, text, kind, size=9.5)
        stops = [top + 0.05, *ys, plus]
        for i, (above, below) in enumerate(zip(stops, stops[1:], strict=False)):
            start = above - (0.18 if i else 0)
            stop = below + (0.18 if i < len(ys) else 0.15)
            _arrow(ax, (x, start), (x, stop))
        _plus(ax, x, plus, radius=0.15)
        _arrow(ax, (x, plus - 0.15), (x, end + 0.17))
        _box(ax, x, end, 0.8, 0.34, "ReLU", "relu", size=9.5)
        edge = STYLES["pool"][1]
        fork = top - 0.14
        if short:
            # Beside the layers of the main path that do the same.
            places = [ys[0], ys[1], ys[2]]
            for (text, kind), y in zip(short, places, strict=True):
                _box(ax, short_x, y, 1.42, 0.36, text, kind, size=9.5)
            _route(ax, [(x, fork), (short_x, fork), (short_x, ys[0] + 0.18)], edge)
            for above, below in zip(places, places[1:], strict=False):
                _arrow(ax, (short_x, above - 0.18), (short_x, below + 0.18), color=edge)
            down = places[-1] - 0.18
            _route(ax, [(short_x, down), (short_x, plus), (x + 0.15, plus)], edge)
            _label(
                ax, short_x + 0.1, 2.1, "short\npath", size=9.5, ha="left", color=edge
            )
        else:
            _route(
                ax,
                [(x, fork), (short_x, fork), (short_x, plus), (x + 0.15, plus)],
                edge,
            )
            _label(
                ax, short_x - 0.12, 2.1, "short\npath:\n$x$ itself",
                size=9.5, ha="right", color=edge,
            )  # fmt: skip
    return ax


def depth_chart(*, ax: Axes | None = None) -> Axes:
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
    zero, gap, per_cent, per_layer = 2.0, 0.6, 1.8 / 28.2, 1.6 / 152
    for i, (name, year, layers, error) in enumerate(IMAGENET_RESULTS):
        x, width = 0.62 + i * 0.86, 0.56
        blue = "#0173b2" if layers else "#9aa3ad"
        _rect(ax, x - width / 2, zero + gap, width, error * per_cent, fill=blue)
        top = zero + gap + error * per_cent
        _label(ax, x, top + 0.12, f"{error:g} %", size=10, weight="bold")
        _label(ax, x, zero + gap / 2, f"{name}\n{year}", size=9.5, linespacing=1.05)
        if layers:
            _rect(
                ax, x - width / 2, zero - layers * per_layer, width,
                layers * per_layer, fill="#de8f05",
            )  # fmt: skip
            # A line for each layer shows the depth as what it is: a pile.
            for layer in range(1, layers):
                y = zero - layer * per_layer
                ax.plot(
                    [x - width / 2, x + width / 2],
                    [y, y],
                    color="white",
                    lw=0.25,
                    zorder=4,
                )
        foot = zero - (layers or 0) * per_layer - 0.13
        _label(ax, x, foot, f"{layers} layers" if layers else "shallow", size=10)
    _label(ax, 3.2, 4.3, "top-5 error on ImageNet", size=11, ha="left", color="#0173b2")
    _label(ax, 3.2, 0.6, "layers with weights", size=11, ha="left", color="#b06f00")
    return ax


def grad_cam_steps(*, ax: Axes | None = None) -> Axes:
    r"""Draw the six steps from a picture to its superimposed heatmap.

    Notes
    -----
    Weights and map are equations 1 and 2 of R. R. Selvaraju et al. (2020), "Grad-CAM:
    Visual explanations from deep networks via gradient-based localization", IJCV 128.
    """
    ax = _canvas(ax, 6.3, 4.9)
    titles = (
        "predict",
        "choose the class",
        "take the gradient",
        "weigh the maps",
        "sum and cut off",
        "superimpose",
    )
    captions = (
        "keep the feature\nmaps $A^k$",
        "$c = $ argmax of\nthe logits $y$",
        r"$\partial y^c / \partial A^k$" + "\nof every place",
        r"$\alpha_k^c$ = mean of the" + "\ngradient over places",
        r"ReLU$(\sum_k \alpha_k^c A^k)$",
        "enlarge the map,\nblend it in",
    )
    wide, high, across, down = 1.86, 2.2, 2.16, 2.46
    centres = []
    for i, (title, caption) in enumerate(zip(titles, captions, strict=True)):
        x, y = 0.99 + (i % 3) * across, 3.72 - (i // 3) * down
        centres.append((x, y))
        _box(ax, x, y, wide, high, "", "data", fill="#fbfcfd")
        _circle(ax, x - 0.7, y + 0.86, 0.13, fill="#0173b2", edge="#0173b2")
        _label(
            ax, x - 0.7, y + 0.855, str(i + 1), size=10, weight="bold", color="white"
        )
        _label(ax, x - 0.5, y + 0.86, title, size=10, weight="bold", ha="left")
        _label(ax, x, y - 0.76, caption, size=9.5)
    for i in (0, 1, 3, 4):
        (x, y), (onward, _) = centres[i], centres[i + 1]
        _arrow(ax, (x + wide / 2, y), (onward - wide / 2, y), lw=1.8)
    (x, y), (next_x, next_y) = centres[2], centres[3]
    turn = (y - high / 2 + next_y + high / 2) / 2
    _route(
        ax,
        [(x, y - high / 2), (x, turn), (next_x, turn), (next_x, next_y + high / 2)],
        INK,
        lw=1.8,
    )
    maps, weights = _maps(), (0.9, -0.5, 0.4)
    total = np.maximum(np.tensordot(weights, maps, 1), 0)

    x, y = centres[0]
    _picture(ax, _sea(), x - 0.52, y + 0.06, 0.58)
    _arrow(ax, (x - 0.2, y + 0.06), (x + 0.05, y + 0.06), lw=1.2)
    for i, values in enumerate(maps):
        _map(ax, values, x + 0.33 + 0.12 * i, y + 0.18 - 0.12 * i, 0.46)

    x, y = centres[1]
    for i, value in enumerate((0.35, 0.2, 0.5, 0.3, 1.0, 0.15)):
        kind = "dense" if value == 1 else "data"
        _rect(ax, x - 0.45, y + 0.42 - 0.15 * i, 0.85 * value, 0.11, kind, lw=0.8)
    _label(ax, x + 0.5, y - 0.12, "$y^c$", size=11, color=STYLES["dense"][1])

    x, y = centres[2]
    _map(ax, maps[0], x - 0.42, y + 0.07, 0.55)
    _circle(ax, x + 0.5, y + 0.07, 0.14, "dense")
    _label(ax, x + 0.5, y + 0.07, "$y^c$", size=10)
    _arrow(ax, (x - 0.12, y + 0.2), (x + 0.35, y + 0.15), lw=1, color=GREY)
    _arrow(ax, (x + 0.35, y - 0.02), (x - 0.12, y - 0.1), lw=1.8, color="#d55e00")

    for i, (values, weight) in enumerate(zip(maps, weights, strict=True)):
        x, y = centres[3]
        place = y + 0.45 - 0.38 * i
        _map(ax, values, x + 0.3, place, 0.33)
        _label(ax, x - 0.42, place, rf"$\alpha_{i + 1}={weight:g}$", size=10)
        _label(ax, x + 0.02, place, "×", size=11)

    x, y = centres[4]
    _map(ax, total, x, y + 0.07, 0.95)

    x, y = centres[5]
    _picture(ax, _sea(), x, y + 0.07, 0.95)
    _picture(ax, _glow(total), x, y + 0.07, 0.95, alpha=0.5)
    return ax


def cam_diagram(*, class_name: str = "sea", ax: Axes | None = None) -> Axes:
    """A class activation map: the feature maps, summed with the weights of the class.

    The maps are real arrays, and the map at the right is their weighted sum.

    Parameters
    ----------
    class_name : str
        Name of the class whose weights are shown.
    ax : Axes, optional
        Where to draw.

    Notes
    -----
    B. Zhou et al. (2016), "Learning deep features for discriminative localization",
    CVPR, figure 2 and equation 2.
    """
    ax = _canvas(ax, 6.4, 3.95)
    maps, weights = _maps(), (0.9, -0.5, 0.4)
    names = [rf"$w_{i + 1}$" for i in range(3)]
    hues = ("#0173b2", "#d55e00", "#028a66")
    # Above: how the network uses the weights.
    y, rows = 2.95, (3.6, 2.95, 2.3)
    _picture(ax, _sea(), 0.65, y, 0.95)
    _label(ax, 0.65, y - 0.62, "picture")
    _arrow(ax, (1.18, y), (1.85, y))
    _label(ax, 1.5, y + 0.17, "layers", size=9.5, color=GREY)
    for i, (values, row) in enumerate(zip(maps, rows, strict=True)):
        _map(ax, values, 2.2, row, 0.54, edge=hues[i])
        _label(ax, 2.55, row + 0.16, f"$A^{i + 1}$", size=11, ha="left")
        _arrow(ax, (2.5, row), (3.5, row), color=GREY)
        _circle(ax, 3.62, row, 0.12, fill=hues[i], edge=hues[i])
        ax.plot([3.74, 4.8], [row, y], color=hues[i], lw=2, zorder=1)
        beside = row + 0.35 * (y - row) + (0.17, 0.13, -0.17)[i]
        _label(ax, 4.2, beside, names[i], size=12, color=hues[i])
    _label(ax, 3.1, y + 0.15, "mean", size=9.5, color=GREY)
    _circle(ax, 4.95, y, 0.15, "dense")
    _label(ax, 5.18, y, f"logit of\n“{class_name}”", ha="left")
    ax.plot([0.15, 6.25], [1.88, 1.88], color="#d5d9de", lw=1)
    # Below: the same weights on the maps themselves.
    y = 1.15
    for i, (values, x) in enumerate(zip(maps, (0.95, 2.3, 3.65), strict=True)):
        sign = "+ " if i else ""
        _label(ax, x - 0.54, y, sign + names[i], size=12, color=hues[i], ha="right")
        _label(ax, x - 0.45, y, "×", size=11)
        _map(ax, values, x, y, 0.68, edge=hues[i])
    _label(ax, 4.19, y, "=", size=15)
    _map(ax, np.tensordot(weights, maps, 1), 4.79, y, 0.92, edge=INK, signed=True)
    _arrow(ax, (5.27, y), (5.45, y))
    total = np.maximum(np.tensordot(weights, maps, 1), 0)
    _picture(ax, _sea(), 5.87, y, 0.78)
    _picture(ax, _glow(total), 5.87, y, 0.78, alpha=0.5)
    _label(ax, 2.3, 0.46, "weights of the class × feature maps")
    _label(ax, 4.79, 0.38, f"map of\n“{class_name}”")
    _label(ax, 5.87, 0.38, "super-\nimposed")
    return ax


def receptive_field(
    *,
    kernels: Sequence[int] = (3, 3, 3),
    strides: Sequence[int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What one unit sees, layer below layer, along one row of pixels.

    Parameters
    ----------
    kernels : sequence of int
        Kernel size of each layer, first layer first.
    strides : sequence of int, optional
        Step of each layer; 1 everywhere when None.
    ax : Axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If sizes and steps do not match, one is below 1, or over 41 pixels are seen.

    Notes
    -----
    A layer of kernel k whose inputs lie j pixels apart widens the field by (k - 1) j.
    """
    strides = [1] * len(kernels) if strides is None else list(strides)
    if len(strides) != len(kernels) or not kernels or min(*kernels, *strides, 1) < 1:
        raise ValueError(
            "`kernels` and `strides` must be of one length, all at least 1; received "
            f"{list(kernels)} and {strides}."
        )
    # Units seen in each row, from the one unit on top down to the pixels.
    seen = [1]
    for kernel, stride in zip(kernels[::-1], strides[::-1], strict=True):
        seen.append((seen[-1] - 1) * stride + kernel)
    if seen[-1] > 41:
        raise ValueError(
            "`kernels` and `strides` may see at most 41 pixels in a drawing; received "
            f"a field of {seen[-1]}. Take fewer layers."
        )
    rows = len(seen)
    cell, step = min(0.34, 3.7 / (seen[-1] + 2)), 0.8
    ax = _canvas(ax, 5.9, rows * step - 0.15)
    middle = 2.75
    for depth, count in enumerate(seen):
        y = 0.3 + (rows - 1 - depth) * step
        # Distance of neighbours in this row, in pixels.
        jump = prod(strides[: rows - 1 - depth])
        # Neighbours to fill the row up to the width of the pixels below.
        extra = max(1, int(((seen[-1] + 2) / jump - count) // 2))
        for i in range(-extra, count + extra):
            x = middle + (i - (count - 1) / 2) * jump * cell
            used = 0 <= i < count
            _rect(
                ax, x - cell * 0.43, y - cell * 0.43, cell * 0.86, cell * 0.86,
                "conv" if used else "data", lw=1.2 if used else 0.6,
            )  # fmt: skip
        name = "pixels" if depth == rows - 1 else f"layer {rows - 1 - depth}"
        _label(ax, 0.1, y, name, size=10.5, ha="left", weight="bold")
        unit = ("pixel" if depth == rows - 1 else "unit") + "s" * (count > 1)
        text = f"sees {count} {unit}" if depth else "1 unit"
        _label(ax, 5.75, y, text, ha="right")
        if depth:
            up, gap = seen[depth - 1], prod(strides[: rows - depth])
            for side in (-1, 1):
                above = middle + side * ((up - 1) / 2 * gap * cell + cell * 0.43)
                below = middle + side * ((count - 1) / 2 * jump * cell + cell * 0.43)
                ax.plot(
                    [above, below], [y + step - cell * 0.43, y + cell * 0.43],
                    color=STYLES["conv"][1], lw=1, ls=(0, (3, 2)), zorder=1,
                )  # fmt: skip
    return ax


# The hand that draws ------------------------------------------------------------------


def _canvas(ax: Axes | None, width: float, height: float) -> Axes:
    """A blank white sheet of `width` by `height` inches, drawn on in inches."""
    if ax is None:
        fig = plt.figure(figsize=(width, height), facecolor="white")
        ax = fig.add_axes((0, 0, 1, 1))
    ax.set_facecolor("white")
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_autoscale_on(False)
    return ax


def _label(
    ax: Axes, x: float, y: float, text: str, *, size: float = 10, **style
) -> None:
    """Text at a place, centred if nothing else is said."""
    style = {"ha": "center", "va": "center", "color": INK, "zorder": 6} | style
    ax.text(x, y, text, fontsize=size, **style)


def _box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    text: str,
    kind: str,
    *,
    size: float = 10,
    fill: str | None = None,
) -> None:
    """A rounded box around (x, y) with its text."""
    face, edge = STYLES[kind]
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.07",
            facecolor=fill or face,
            edgecolor=edge,
            linewidth=1.3,
            zorder=3,
        )
    )
    _label(ax, x, y, text, size=size)


def _rect(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    kind: str | None = None,
    *,
    fill: str | None = None,
    lw: float = 1.2,
) -> None:
    """A plain rectangle with its lower left corner at (x, y)."""
    face, edge = STYLES[kind] if kind else (fill, "none")
    style = {"facecolor": fill or face, "edgecolor": edge, "linewidth": lw, "zorder": 3}
    ax.add_patch(Rectangle((x, y), width, height, **style))


def _circle(
    ax: Axes,
    x: float,
    y: float,
    radius: float,
    kind: str = "data",
    *,
    fill: str | None = None,
    edge: str | None = None,
) -> None:
    """A circle around (x, y)."""
    face, line = STYLES[kind]
    style = {"facecolor": fill or face, "edgecolor": edge or line, "linewidth": 1.3}
    ax.add_patch(Circle((x, y), radius, zorder=4, **style))


def _plus(ax: Axes, x: float, y: float, *, radius: float = 0.17) -> None:
    """The sum of two paths."""
    _circle(ax, x, y, radius, fill="white", edge=INK)
    arm = radius * 0.55
    ax.plot([x - arm, x + arm], [y, y], color=INK, lw=1.8, zorder=5)
    ax.plot([x, x], [y - arm, y + arm], color=INK, lw=1.8, zorder=5)


def _arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    color: str = INK,
    lw: float = 1.4,
) -> None:
    """A straight arrow that ends exactly at `end`."""
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=9 + lw,
            shrinkA=0,
            shrinkB=0,
            color=color,
            linewidth=lw,
            zorder=3.2,
        )
    )


def _route(
    ax: Axes, points: Sequence[tuple[float, float]], color: str, *, lw: float = 1.6
) -> None:
    """An arrow around corners."""
    xs, ys = zip(*points[:-1], strict=True)
    ax.plot(xs, ys, color=color, lw=lw, solid_joinstyle="round", zorder=3.2)
    _arrow(ax, points[-2], points[-1], color=color, lw=lw)


def _cuboid(
    ax: Axes, x: float, y: float, thick: float, height: float, kind: str, maps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A block of maps seen from the side; returns the corners of its large face.

    The thickness stands for the channels, the large face for height and width.
    """
    back = np.array([0.36, 0.26]) * height
    face, edge = STYLES[kind]
    front = np.array([[0, 0], [thick, 0], [thick, height], [0, height]]) + [x, y]
    roof = np.array([front[3], front[2], front[2] + back, front[3] + back])
    side = np.array([front[1], front[1] + back, front[2] + back, front[2]])
    for corners, shade in ((front, 0.86), (roof, 0.93), (side, 1.0)):
        ax.add_patch(
            Polygon(
                corners,
                facecolor=_shade(face, shade),
                edgecolor=edge,
                linewidth=1.1,
                joinstyle="round",
                zorder=3,
            )
        )
    # The joints between one map and the next, up the front and over the roof.
    for i in range(1, maps):
        joint = np.array([front[0], front[3], roof[3]]) + [thick * i / maps, 0]
        ax.plot(*joint.T, color=edge, lw=0.6, zorder=3)
    return side[0], side[1] - side[0], side[3] - side[0]


def _shade(colour: str, factor: float) -> np.ndarray:
    """A colour made darker by a factor."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return np.array(parts) * factor


def _on_face(ax: Axes, image: np.ndarray, face: tuple[np.ndarray, ...]) -> None:
    """A picture laid askew on the large face of a cuboid."""
    corner, across, up = face
    drawn = ax.imshow(image, extent=(0, 1, 0, 1), zorder=3.5, aspect="auto")
    _keep(ax)
    drawn.set_transform(
        Affine2D(np.array([[*across, 0], [*up, 0], [*corner, 1]]).T) + ax.transData
    )


def _window(ax: Axes, first: tuple, second: tuple, middle: float) -> None:
    """A kernel's window on the picture, and the place of the map that it fills."""
    x, thick, height = first[:3]
    back = np.array([0.36, 0.26]) * height
    corner = np.array([x + thick, middle - height / 2])

    def on_face(u: float, v: float) -> np.ndarray:
        return corner + u * back + [0, v * height]

    window = np.array([on_face(u, v) for u, v in ((0.5, 0.4), (0.85, 0.4))])
    window = np.vstack([window, window[::-1] + [0, 0.3 * height]])
    ax.add_patch(
        Polygon(window, facecolor="none", edgecolor="#d55e00", linewidth=1.8, zorder=5)
    )
    target = np.array([second[0], middle - height / 2 + 0.55 * height])
    for point in (window[1], window[2]):
        ax.plot(*zip(point, target, strict=True), color="#d55e00", lw=1, zorder=5)


def _picture(
    ax: Axes, image: np.ndarray, x: float, y: float, size: float, *, alpha: float = 1
) -> None:
    """A small picture around (x, y)."""
    half = size / 2
    extent = (x - half, x + half, y - half, y + half)
    ax.imshow(image, extent=extent, zorder=4, alpha=alpha, interpolation="bilinear")
    _keep(ax)


def _map(
    ax: Axes,
    values: np.ndarray,
    x: float,
    y: float,
    size: float,
    *,
    edge: str = INK,
    signed: bool = False,
) -> None:
    """A small map of squares around (x, y)."""
    half, limit = size / 2, np.abs(values).max()
    ax.imshow(
        values,
        extent=(x - half, x + half, y - half, y + half),
        cmap="RdBu_r" if signed else "inferno",
        vmin=-limit if signed else 0,
        vmax=limit,
        zorder=4,
        interpolation="nearest",
    )
    _keep(ax)
    ax.add_patch(
        Rectangle(
            (x - half, y - half), size, size, fill=False, ec=edge, lw=1.2, zorder=5
        )
    )


def _keep(ax: Axes) -> None:
    """Undo what imshow does to the aspect of the sheet."""
    ax.set_aspect("equal")


def _sea(size: int = 96) -> np.ndarray:
    """A little picture of sun and sea, float (size, size, 3) in [0, 1]."""
    y, x = np.mgrid[:size, :size] / (size - 1)
    horizon = 0.52
    depth = np.clip((y - horizon) / (1 - horizon), 0, 1)
    # Waves lie closer together towards the horizon.
    wave = np.sin(34 * depth**0.6 + 1.2 * np.sin(7 * x + 9 * depth))
    wave *= 0.05 + 0.05 * depth
    sky = np.stack([0.56 + 0.5 * y, 0.76 + 0.2 * y, 0.95 - 0.1 * y], axis=-1)
    water = np.stack([0.08 + wave, 0.38 + wave - 0.1 * depth, 0.58 + wave], axis=-1)
    water -= 0.12 * depth[..., None]
    image = np.where((y > horizon)[..., None], water, sky)
    shine = np.exp(-(((x - 0.68) / (0.05 + 0.1 * depth)) ** 2)) * (wave > 0)
    image = np.where(
        ((shine > 0.5) & (y > horizon))[..., None], (1.0, 0.88, 0.6), image
    )
    image[np.hypot(x - 0.68, y - 0.26) < 0.11] = (1.0, 0.86, 0.42)
    hill = horizon - 0.2 * np.exp(-(((x - 0.12) / 0.2) ** 2))
    image[(y <= horizon) & (y > hill)] = (0.27, 0.38, 0.36)
    return np.clip(image, 0, 1)


def _maps(size: int = 7) -> np.ndarray:
    """Three little feature maps of the sea: water, sun, shore."""
    y, x = np.mgrid[:size, :size] / (size - 1)
    water = np.exp(-(((y - 0.85) / 0.28) ** 2)) * (0.8 + 0.2 * np.sin(9 * x))
    sun = np.exp(-((x - 0.68) ** 2 + (y - 0.25) ** 2) / 0.06)
    shore = np.exp(-(((y - 0.55) / 0.15) ** 2)) * (1.1 - x)
    return np.stack([water, sun, shore])


def _glow(values: np.ndarray) -> np.ndarray:
    """A positive map in the colours of a heatmap, enlarged by the picture's drawing."""
    return plt.get_cmap("inferno")(values / values.max())[..., :3]
