"""Arrays in, Axes out: every chart of the book.

A function for one chart takes `ax` and returns it; without `ax` it opens a figure of
its own. A function for a grid of pictures opens a figure and returns `(fig, axes)`.
Nothing is shown, no global setting is touched. Faces are opaque white, so that a page
in a dark theme stays readable; colours are safe for colour-blind readers: sequential
"inferno" for evidence, diverging "RdBu_r" around zero for signed values, and the fixed
`class_colours` for classes. Figures are narrow, so that a phone need not shrink them
much.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from scenecam._style import BLUE as _BLUE
from scenecam._style import GREEN as _GREEN
from scenecam._style import INK, PALE, class_colours
from scenecam._style import ORANGE as _ORANGE
from scenecam.images import overlay, unit_map


def prediction_titles(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> list[str]:
    """A title for each picture: what was predicted, how surely, and what is true."""
    titles = []
    for label, row in zip(labels, probabilities, strict=True):
        guess = int(np.argmax(row))
        verdict = "right" if guess == label else f"true: {class_names[label]}"
        titles.append(f"{class_names[guess]} {row[guess]:.0%}\n({verdict})")
    return titles


# Pictures -----------------------------------------------------------------------------


def show_image(
    image: np.ndarray, *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """One picture without axes.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3) or (h, w)
        uint8, or float in [0, 1]; grey when it has no colour axis.
    title : str, optional
        Stands above it.
    ax : Axes, optional
        Where to draw.
    """
    ax = _axes(ax, (3, 3))
    image = np.asarray(image)
    top = 255 if image.dtype == np.uint8 else 1
    ax.imshow(image, cmap="gray", vmin=0, vmax=top)
    return _bare(ax, title)


def show_images(
    images: Sequence[np.ndarray],
    *,
    titles: Sequence[str] | None = None,
    columns: int = 5,
    size: float = 1.2,
) -> tuple[Figure, np.ndarray]:
    """A grid of pictures, row by row.

    Parameters
    ----------
    images : sequence of ndarray of shape (h, w, 3) or (h, w)
        uint8, or float in [0, 1].
    titles : sequence of str, optional
        One for each picture.
    columns : int
        Pictures in a row; fewer when there are fewer pictures.
    size : float
        Width of a picture in inches.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes, shape (rows, columns)
        Places without a picture are blank.

    Raises
    ------
    ValueError
        If there is no picture, or the number of titles differs.
    """
    if len(images) == 0:
        raise ValueError("`images` must hold at least one picture; received none.")
    _check_length("titles", titles, len(images))
    fig, axes = _grid(len(images), columns, size, _title_height(titles))
    for i, image in enumerate(images):
        title = None if titles is None else titles[i]
        show_image(image, title=title, ax=axes.flat[i])
    return fig, axes


def show_classes(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    count: int = 5,
    size: float = 1.0,
) -> tuple[Figure, np.ndarray]:
    """A sheet with a row for every class: its first `count` pictures.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, 3), uint8
        May be a memory map; only what is shown is read.
    labels : ndarray of shape (n,), int
        Class of every picture.
    class_names : sequence of k str
        Name of class 0, 1, ...; written at the left of the row.
    count : int
        Pictures in a row.
    size : float
        Width of a picture in inches.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes, shape (k, count)
    """
    labels = np.asarray(labels)
    fig, axes = _grid(len(class_names) * count, count, size, 0)
    for row, name in enumerate(class_names):
        for ax, index in zip(
            axes[row], np.flatnonzero(labels == row)[:count], strict=False
        ):
            show_image(images[index], ax=ax)
        axes[row, 0].annotate(
            name,
            (0, 0.5),
            (-6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=10,
            color=INK,
        )
    return fig, axes


def mean_images(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    columns: int = 3,
    size: float = 1.6,
) -> tuple[Figure, np.ndarray]:
    """The mean picture of every class: what its members have in common.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, 3), uint8
        Pictures of one size.
    labels : ndarray of shape (n,), int
        Class of every picture.
    class_names : sequence of k str
        Name of class 0, 1, ...
    columns : int
        Pictures in a row.
    size : float
        Width of a picture in inches.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes

    Raises
    ------
    ValueError
        If a class has no picture.
    """
    labels = np.asarray(labels)
    means = []
    for c, name in enumerate(class_names):
        members = np.flatnonzero(labels == c)
        if not len(members):
            raise ValueError(
                f"`images` must hold every class; received none of {name!r}. "
                "Leave it out of `class_names` and of `labels`."
            )
        means.append(images[members].mean(axis=0) / 255)
    return show_images(means, titles=class_names, columns=columns, size=size)


def show_mask(
    mask: np.ndarray, class_names: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Which class each pixel belongs to, in the class colours, with a legend.

    Parameters
    ----------
    mask : ndarray of shape (h, w), uint8
        Class index of every pixel; 255, or any index without a name, is no class.
    class_names : sequence of k str
        Name of class 0, 1, ...; the legend lists those in the picture.
    ax : Axes, optional
        Where to draw.
    """
    ax = _axes(ax, (3, 3.6))
    mask = np.asarray(mask)
    colours = class_colours(len(class_names))
    # One more entry, at the end, for every index that has no name.
    table = np.vstack([colours, np.ones(3)])
    index = np.minimum(mask, len(class_names))
    ax.imshow(table[index], interpolation="nearest")
    handles = [
        Patch(facecolor=colours[c], label=class_names[c])
        if c < len(class_names)
        else Patch(facecolor="white", edgecolor=INK, label="no class")
        for c in np.unique(index)
    ]
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=2,
        fontsize=9,
        frameon=False,
    )
    # A frame, for "no class" is as white as the page.
    ax.set(xticks=[], yticks=[])
    return ax


def show_receptive_field(
    image: np.ndarray,
    box: tuple[float, float, float, float],
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What one unit of a feature map sees: a box on the picture.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8
        The picture.
    box : tuple of float
        (top, left, height, width) in pixels; it may reach over the edge, into padding.
    title : str, optional
        Stands above it; the size of the box when None.
    ax : Axes, optional
        Where to draw.
    """
    ax = _axes(ax, (3, 3.2))
    top, left, height, width = box
    if title is None:
        title = f"sees {height:g} × {width:g} pixels"
    show_image(image, title=title, ax=ax)
    # Pixel i reaches from i - 0.5 to i + 0.5. Dark below light: seen on any picture.
    for colour, line in (("black", 4), ("#ffd60a", 2)):
        ax.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5),
                width,
                height,
                fill=False,
                edgecolor=colour,
                linewidth=line,
                clip_on=False,
            )
        )
    return ax


# The set and its classes --------------------------------------------------------------


def class_pie(
    labels: np.ndarray, class_names: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Share of every class as a pie: is the set balanced, at a glance.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        Class of every picture.
    class_names : sequence of k str
        Name of class 0, 1, ...
    ax : Axes, optional
        Where to draw.
    """
    ax = _axes(ax, (5, 3.8))
    counts = _counts(labels, class_names)
    ax.pie(
        counts,
        labels=[
            f"{name}\n{share:.1%}"
            for name, share in zip(class_names, counts / counts.sum(), strict=True)
        ],
        colors=class_colours(len(class_names)),
        startangle=90,
        counterclock=False,
        wedgeprops={"edgecolor": "white", "linewidth": 1.5},
        textprops={"fontsize": 10, "color": INK},
    )
    return ax


def class_bar(
    labels: np.ndarray, class_names: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Number of pictures of every class, as bars with the exact numbers.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        Class of every picture.
    class_names : sequence of k str
        Name of class 0, 1, ...
    ax : Axes, optional
        Where to draw.
    """
    ax = _axes(ax, (5, 0.4 * len(class_names) + 0.8))
    counts = _counts(labels, class_names)
    bars = ax.barh(class_names, counts, color=class_colours(len(class_names)))
    ax.bar_label(bars, [f"{count:,}" for count in counts], padding=4, fontsize=10)
    ax.invert_yaxis()
    ax.set_xlim(0, counts.max() * 1.15)
    ax.set_xlabel("pictures")
    return _plain(ax)


# Training -----------------------------------------------------------------------------


def training_curve(
    history: Mapping[str, Sequence[float]],
    key: str = "loss",
    *,
    ax: Axes | None = None,
) -> Axes:
    """One measure over the epochs, on training and on validation pictures.

    The epoch with the lowest validation loss, whose weights are kept, is marked.

    Parameters
    ----------
    history : mapping of str to sequence of float
        From `training.fit`: "loss", "val_loss", "accuracy", "val_accuracy".
    key : str
        Which measure.
    ax : Axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If `history` lacks the measure.
    """
    if key not in history or not len(history[key]):
        raise ValueError(
            f"`history` must hold {key!r} with at least one epoch; received "
            f"{sorted(history)}."
        )
    ax = _axes(ax, (5.4, 2.8))
    epochs = np.arange(1, len(history[key]) + 1)
    ax.plot(epochs, history[key], color=_BLUE, lw=2, label="training")
    if f"val_{key}" in history:
        valid = history[f"val_{key}"]
        ax.plot(epochs, valid, color=_ORANGE, lw=2, ls="--", label="validation")
        if "val_loss" in history:
            best = int(np.argmin(history["val_loss"]))
            ax.axvline(best + 1, color=PALE, lw=1, zorder=0)
            ax.plot(
                best + 1,
                valid[best],
                "o",
                ms=9,
                mfc="white",
                mec=_ORANGE,
                mew=2,
                label=f"best: epoch {best + 1}",
            )
    ax.set_xlabel("epoch")
    ax.set_ylabel(key.replace("_", " "))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(epochs) > 1:
        ax.margins(x=0.03)
    ax.legend(frameon=False, fontsize=9)
    return _plain(ax)


def training_curves(
    history: Mapping[str, Sequence[float]],
) -> tuple[Figure, np.ndarray]:
    """Loss above, accuracy below, over the same epochs; see `training_curve`.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes, shape (2,)
    """
    fig, axes = _figure(2, 1, figsize=(5.4, 5), sharex=True)
    for ax, key in zip(axes, ("loss", "accuracy"), strict=True):
        training_curve(history, key, ax=ax)
    axes[0].set_xlabel("")
    return fig, axes


def gradient_norms(
    norms: Mapping[str, Sequence[float]], *, ax: Axes | None = None
) -> Axes:
    """Size of the gradient from the first layer to the last, on a log scale.

    Parameters
    ----------
    norms : mapping of str to sequence of float
        Name of a network -> one norm for each of its layers, input side first.
    ax : Axes, optional
        Where to draw.

    Notes
    -----
    A layer whose gradient is exactly zero has no place on a log scale: a gap.
    """
    ax = _axes(ax, (5.4, 3.2))
    styles = zip(
        norms.items(), sns.color_palette("colorblind", len(norms)), strict=True
    )
    for i, ((name, values), colour) in enumerate(styles):
        values = np.asarray(values, float)
        depth = np.arange(1, len(values) + 1)
        marker = "osD^v"[i % 5]
        values = np.where(values > 0, values, np.nan)
        ax.plot(depth, values, f"{marker}-", color=colour, ms=5, lw=1.5, label=name)
    ax.set_yscale("log")
    ax.set_xlabel("layer, counted from the picture")
    ax.set_ylabel("norm of the gradient")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=9)
    ax.grid(axis="y", color=PALE, lw=0.5)
    return _plain(ax)


# Evaluation ---------------------------------------------------------------------------


def confusion_matrix(
    matrix: np.ndarray,
    class_names: Sequence[str],
    *,
    cells: str = "both",
    ax: Axes | None = None,
) -> Axes:
    """Confusion matrix: row = true class, column = predicted class.

    The colour is the share of the row, so that rare and frequent classes compare.

    Parameters
    ----------
    matrix : ndarray of shape (k, k), int
        From `evaluation.confusion`.
    class_names : sequence of k str
        Name of class 0, 1, ...
    cells : {"both", "count", "percent"}
        What stands in a cell: the pictures, their percentage of the row, or both.
    ax : Axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If `matrix` is not (k, k), or `cells` is another word.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(class_names), len(class_names)):
        raise ValueError(
            f"`matrix` must be ({len(class_names)}, {len(class_names)}), as there are "
            f"{len(class_names)} class names; received {matrix.shape}."
        )
    patterns = {"both": "{0:,}\n{1:.0%}", "count": "{0:,}", "percent": "{1:.0%}"}
    if cells not in patterns:
        raise ValueError(
            f"`cells` must be one of {list(patterns)}; received {cells!r}."
        )
    ax = _axes(ax, (5.8, 5))
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    text = np.vectorize(patterns[cells].format, otypes=[object])(matrix, share)
    sns.heatmap(
        share,
        annot=text,
        fmt="",
        vmin=0,
        vmax=1,
        cmap="Blues",
        square=True,
        linewidths=1,
        linecolor="white",
        annot_kws={"fontsize": 9, "linespacing": 1.1},
        cbar_kws={"label": "share of the true class", "shrink": 0.8},
        ax=ax,
    )
    # seaborn's own choice of text colour is too faint on middle blues.
    for cell, value in zip(ax.texts, share.flat, strict=True):
        cell.set_color("white" if value > 0.71 else "black")
    places = np.arange(len(class_names)) + 0.5
    ax.set_xticks(places, class_names, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, class_names, rotation=0)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.tick_params(length=0, labelsize=10)
    return ax


def class_scores(
    table: Mapping[str, Mapping[str, float] | float], *, ax: Axes | None = None
) -> Axes:
    """Precision, recall and F1 score of every class, as bars with their values.

    Parameters
    ----------
    table : mapping
        From `evaluation.classification_table`.
    ax : Axes, optional
        Where to draw.
    """
    summary = ("accuracy", "macro avg", "weighted avg")
    names = [row for row in table if row not in summary]
    ax = _axes(ax, (5.4, 0.72 * len(names) + 0.9))
    scores = ("precision", "recall", "f1-score")
    places = np.arange(len(names))
    for i, (score, colour) in enumerate(
        zip(scores, (_BLUE, _ORANGE, _GREEN), strict=True)
    ):
        values = [table[name][score] for name in names]
        label = {"f1-score": "F1 score"}.get(score, score)
        bars = ax.barh(places + (i - 1) * 0.27, values, 0.25, color=colour, label=label)
        ax.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.1)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.legend(
        ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=10
    )
    return _plain(ax)


def reliability(bins: Mapping[str, np.ndarray], *, ax: Axes | None = None) -> Axes:
    """Reliability diagram: accuracy of the predictions made with each confidence.

    A perfectly calibrated network stands on the diagonal; below it, it is too sure.

    Parameters
    ----------
    bins : mapping of str to ndarray
        From `evaluation.calibration`. The number of pictures stands in each bar's foot.
    ax : Axes, optional
        Where to draw.
    """
    ax = _axes(ax, (5, 4.4))
    edges, count = np.asarray(bins["edges"]), np.asarray(bins["count"])
    filled = count > 0
    centres, width = (edges[:-1] + edges[1:])[filled] / 2, edges[1] - edges[0]
    confidence, accuracy = bins["confidence"][filled], bins["accuracy"][filled]
    ax.bar(
        centres,
        accuracy,
        width,
        color="#9cc9e6",
        edgecolor="white",
        label="accuracy of the bin",
    )
    ax.plot([0, 1], [0, 1], "--", color=INK, lw=1.2, label="perfect calibration")
    ax.vlines(confidence, accuracy, confidence, color=_ORANGE, lw=2.5, label="gap")
    ax.plot(confidence, accuracy, "o", color=_BLUE, ms=6, label="mean of the bin")
    for x, n in zip(centres, count[filled], strict=True):
        ax.text(x, 0.015, f"{n:,}", ha="center", va="bottom", fontsize=9, rotation=90)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    return _plain(ax)


def probability_bars(
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    label: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The network's answer for one picture: a bar for every class.

    Parameters
    ----------
    probabilities : ndarray of shape (k,), float
        Softmax output, in [0, 1].
    class_names : sequence of k str
        Name of class 0, 1, ...
    label : int, optional
        The true class; it is marked in the list of names.
    ax : Axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If the number of names differs.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.shape != (len(class_names),):
        raise ValueError(
            f"`probabilities` must be ({len(class_names)},), one for each class name; "
            f"received {probabilities.shape}."
        )
    ax = _axes(ax, (4.4, 0.34 * len(class_names) + 0.6))
    colours = [PALE] * len(class_names)
    colours[int(probabilities.argmax())] = _BLUE
    names = [f"{n} (true)" if c == label else n for c, n in enumerate(class_names)]
    bars = ax.barh(np.arange(len(names)), probabilities, color=colours)
    ax.bar_label(bars, [f"{p:.1%}" for p in probabilities], padding=4, fontsize=9)
    ax.set_yticks(np.arange(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.18)
    ax.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    return _plain(ax)


# Inside the network -------------------------------------------------------------------


def show_kernels(
    kernels: np.ndarray,
    *,
    channel: int | None = None,
    count: int = 32,
    columns: int = 8,
    size: float = 0.65,
) -> tuple[Figure, np.ndarray]:
    """The kernels of a convolution, all on one scale, zero in the middle.

    Parameters
    ----------
    kernels : ndarray of shape (kh, kw, in, out), float
        Weights as Keras holds them.
    channel : int, optional
        Input channel to show, in red (positive) and blue. When None, kernels of three
        channels are shown as colours around mid-grey, others by their first channel.
    count : int
        At most so many kernels.
    columns : int
        Kernels in a row.
    size : float
        Width of a kernel in inches.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes

    Raises
    ------
    ValueError
        If `kernels` does not have four axes.
    """
    kernels = np.asarray(kernels)
    if kernels.ndim != 4:
        raise ValueError(
            "`kernels` must be (height, width, in, out); received "
            f"{kernels.shape}. Pass layer.get_weights()[0]."
        )
    kernels = kernels[..., :count]
    limit = float(np.abs(kernels).max()) or 1.0
    fig, axes = _grid(kernels.shape[-1], columns, size, 0)
    if channel is None and kernels.shape[2] == 3:
        for i in range(kernels.shape[-1]):
            show_image(0.5 + kernels[..., i] / (2 * limit), ax=axes.flat[i])
        return fig, axes
    for i in range(kernels.shape[-1]):
        picture = axes.flat[i].imshow(
            kernels[:, :, channel or 0, i], cmap="RdBu_r", vmin=-limit, vmax=limit
        )
        _bare(axes.flat[i], None)
    fig.colorbar(picture, ax=axes, label="weight", shrink=0.9, aspect=15)
    return fig, axes


def show_feature_maps(
    feature_maps: np.ndarray,
    *,
    count: int = 16,
    columns: int = 8,
    size: float = 0.75,
) -> tuple[Figure, np.ndarray]:
    """The channels of one layer for one picture, all on one scale.

    Parameters
    ----------
    feature_maps : ndarray of shape (h, w, c), float
        Activations. Sequential colours when none is negative, else diverging ones.
    count : int
        At most so many channels, from channel 0 on.
    columns : int
        Maps in a row.
    size : float
        Width of a map in inches.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes
        Titles are the channels' numbers.

    Raises
    ------
    ValueError
        If `feature_maps` does not have three axes.
    """
    feature_maps = np.asarray(feature_maps)
    if feature_maps.ndim != 3:
        raise ValueError(
            "`feature_maps` must be (h, w, channels) of one picture; received "
            f"{feature_maps.shape}. Take one entry of a batch."
        )
    shown = feature_maps[..., :count]
    scale = _scale(shown, None)
    fig, axes = _grid(shown.shape[-1], columns, size, 0.2)
    for i in range(shown.shape[-1]):
        picture = axes.flat[i].imshow(shown[..., i], **scale)
        _bare(axes.flat[i], str(i))
    fig.colorbar(picture, ax=axes, label="activation", shrink=0.9, aspect=15)
    return fig, axes


# Class maps ---------------------------------------------------------------------------


def show_map(
    class_map: np.ndarray,
    *,
    title: str | None = None,
    limit: float | None = None,
    unit: str = "logits",
    ax: Axes | None = None,
) -> Axes:
    """A raw class map with its colour bar; nothing is rescaled or cut off.

    Parameters
    ----------
    class_map : ndarray of shape (h, w), float
        Signed evidence. A map with negative values gets diverging colours, white at
        zero; one without gets sequential colours.
    title : str, optional
        Stands above it.
    limit : float, optional
        Value at the end of the scale; give the same to maps that are compared. The
        largest absolute value when None.
    unit : str
        Label of the colour bar.
    ax : Axes, optional
        Where to draw.
    """
    ax = _axes(ax, (3.6, 3))
    picture = ax.imshow(class_map, **_scale(np.asarray(class_map), limit))
    _colour_bar(ax, picture, unit)
    return _bare(ax, title)


def show_overlay(
    image: np.ndarray,
    class_map: np.ndarray,
    *,
    opacity: float = 0.5,
    title: str | None = None,
    limit: float | None = None,
    unit: str = "logits",
    ax: Axes | None = None,
) -> Axes:
    """The positive part of a class map laid over its picture, with a colour bar.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8
        The picture.
    class_map : ndarray of shape (h', w'), float
        Signed evidence at any resolution; it is interpolated to the picture's.
    opacity : float in [0, 1]
        0 shows the picture alone, 1 the map alone.
    title : str, optional
        Stands above it.
    limit : float, optional
        Value at the end of the scale; the largest of the map when None.
    unit : str
        Label of the colour bar.
    ax : Axes, optional
        Where to draw.
    """
    ax = _axes(ax, (3.6, 3))
    class_map = np.asarray(class_map)
    blended = overlay(image, unit_map(class_map, limit=limit), opacity=opacity)
    ax.imshow(blended)
    top = float(class_map.max()) if limit is None else limit
    # A map without positive evidence still needs a scale that a colour bar can draw.
    norm = Normalize(0, top if top > 0 else 1)
    _colour_bar(ax, ScalarMappable(norm, "inferno"), unit)
    return _bare(ax, title)


def show_maps(
    class_maps: np.ndarray,
    *,
    titles: Sequence[str],
    image: np.ndarray | None = None,
    limit: float | None = None,
    columns: int = 3,
    size: float = 1.5,
) -> tuple[Figure, np.ndarray]:
    """Raw class maps that are compared: one scale and one colour bar for all.

    Parameters
    ----------
    class_maps : ndarray of shape (n, h, w), float
        Signed evidence in logits; colours as in `show_map`.
    titles : sequence of n str
        Stand over the maps.
    image : ndarray of shape (h', w', 3), uint8, optional
        The picture, shown first.
    limit : float, optional
        Value at the end of the scale; the largest absolute value of all when None.
    columns : int
        Panels in a row.
    size : float
        Width of a panel in inches.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes
        Places without a panel are blank.

    Raises
    ------
    ValueError
        If the number of titles differs.
    """
    class_maps = np.asarray(class_maps)
    _check_length("titles", titles, len(class_maps))
    scale, first = _scale(class_maps, limit), int(image is not None)
    fig, axes = _grid(first + len(titles), columns, size, _title_height(titles))
    if image is not None:
        show_image(image, ax=axes.flat[0])
    for ax, title, class_map in zip(
        axes.flat[first:], titles, class_maps, strict=False
    ):
        picture = ax.imshow(class_map, **scale)
        _bare(ax, title)
    fig.colorbar(picture, ax=axes, label="logits", shrink=0.9, aspect=20)
    return fig, axes


def show_four_panels(
    image: np.ndarray,
    class_map: np.ndarray,
    guided: np.ndarray,
    guided_cam: np.ndarray,
    *,
    titles: Sequence[str] = (
        "picture",
        "Grad-CAM",
        "guided\nbackpropagation",
        "Guided\nGrad-CAM",
    ),
    columns: int = 2,
    size: float = 2.2,
) -> tuple[Figure, np.ndarray]:
    """A picture and three explanations of one class, each with its own scale.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8
        The picture.
    class_map : ndarray of shape (h', w'), float
        Signed evidence in logits; its positive part is laid over the picture.
    guided, guided_cam : ndarray of shape (h, w, 3), float
        Signed, as `saliency.guided_backpropagation` and `saliency.guided_grad_cam` give
        them; shown is the sum over the colours. One pixel in two hundred is beyond the
        end of the scale, so that a few strong ones do not hide the rest.
    titles : sequence of four str
        Stand over the panels.
    columns : int
        Panels in a row.
    size : float
        Width of a panel in inches.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes

    Raises
    ------
    ValueError
        If there are not four titles.
    """
    _check_length("titles", titles, 4)
    fig, axes = _grid(4, columns, size, _title_height(titles))
    show_image(image, title=titles[0], ax=axes.flat[0])
    show_overlay(image, class_map, title=titles[1], ax=axes.flat[1])
    for ax, title, gradient in zip(
        axes.flat[2:], titles[2:], (guided, guided_cam), strict=False
    ):
        total = np.sum(gradient, axis=-1)  # (h, w)
        limit = float(np.quantile(np.abs(total), 0.995)) or None
        show_map(total, title=title, limit=limit, unit="gradient", ax=ax)
    return fig, axes


def show_sheet(
    images: np.ndarray,
    class_maps: np.ndarray,
    *,
    titles: Sequence[str],
    opacity: float = 0.5,
    limit: float | None = None,
    size: float = 1.65,
) -> tuple[Figure, np.ndarray]:
    """A row for each example: picture, class map, and both superimposed.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, 3), uint8
        The pictures.
    class_maps : ndarray of shape (n, h', w'), float
        One map for each picture; its positive part is shown, in logits.
    titles : sequence of n str
        Stand over the pictures, say from `prediction_titles`.
    opacity : float in [0, 1]
        Of the map over the picture.
    limit : float, optional
        One scale for all maps; each has its own when None.
    size : float
        Width of a picture in inches.

    Returns
    -------
    fig : Figure
    axes : ndarray of Axes, shape (n, 3)

    Raises
    ------
    ValueError
        If the numbers of pictures, maps and titles differ.
    """
    _check_length("class_maps", class_maps, len(images))
    _check_length("titles", titles, len(images))
    fig, axes = _grid(3 * len(images), 3, size, _title_height(titles))
    for row, image, class_map, title in zip(
        axes, images, class_maps, titles, strict=True
    ):
        positive = np.maximum(class_map, 0)
        show_image(image, title=title, ax=row[0])
        picture = row[1].imshow(positive, **_scale(positive, limit))
        _bare(row[1], "class map")
        _colour_bar(row[1], picture, "logits")
        blended = overlay(image, unit_map(class_map, limit=limit), opacity=opacity)
        show_image(blended, title="superimposed", ax=row[2])
    return fig, axes


# Shared by the functions above --------------------------------------------------------


def _figure(
    rows: int, columns: int, layout: str = "constrained", **kwargs
) -> tuple[Figure, Axes | np.ndarray]:
    """A new figure with an opaque white face, whatever the page behind it."""
    return plt.subplots(rows, columns, layout=layout, facecolor="white", **kwargs)


def _axes(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """The given Axes, or one in a new figure."""
    if ax is None:
        _, ax = _figure(1, 1, figsize=figsize)
    ax.set_facecolor("white")
    return ax


def _grid(
    count: int, columns: int, size: float, title_height: float
) -> tuple[Figure, np.ndarray]:
    """A figure with a place for each of `count` pictures; the places start blank."""
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    figsize = (columns * size + 0.4, rows * (size + title_height) + 0.1)
    fig, axes = _figure(rows, columns, "compressed", figsize=figsize, squeeze=False)
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    for ax in axes.flat:
        ax.set_axis_off()
    return fig, axes


def _title_height(titles: Sequence[str] | None) -> float:
    """Inches above each picture for the longest title."""
    return 0.17 * max((t.count("\n") + 1 for t in titles), default=0) if titles else 0


def _bare(ax: Axes, title: str | None) -> Axes:
    """No frame and no ticks: what a picture wants."""
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize=9, color=INK, pad=3)
    return ax


def _plain(ax: Axes) -> Axes:
    """Two spines instead of four, and type large enough for a phone."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=10)
    return ax


def _scale(values: np.ndarray, limit: float | None) -> dict[str, object]:
    """Colour map and range: diverging around zero if signed, else from zero up."""
    limit = float(np.abs(values).max()) if limit is None else limit
    limit = limit or 1.0  # a map of zeros
    if values.min() < 0:
        return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    return {"cmap": "inferno", "vmin": 0, "vmax": limit}


def _colour_bar(ax: Axes, mappable: ScalarMappable, unit: str) -> None:
    """A colour bar as high as the picture."""
    bar = ax.figure.colorbar(mappable, ax=ax, fraction=0.046, pad=0.03)
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=9)
    bar.locator = MaxNLocator(nbins=5)
    bar.update_ticks()


def _counts(labels: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Pictures of every class, or an error if a label has no name."""
    labels = np.asarray(labels)
    if not labels.size or labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(
            "`labels` must hold at least one class index, each in "
            f"0..{len(class_names) - 1}; received {np.unique(labels)}."
        )
    return np.bincount(labels, minlength=len(class_names))


def _check_length(name: str, values: Sequence | None, expected: int) -> None:
    """An error unless there is one value for each picture (or none at all)."""
    if values is not None and len(values) != expected:
        raise ValueError(
            f"`{name}` must have one entry for each of the {expected} pictures; "
            f"received {len(values)}."
        )
