"""Numbers in, Axes out: the set, the training and the predictions as charts.

Every chart draws on `ax` and returns it; without `ax` it opens a figure of its own,
narrow enough for a phone. Nothing is shown, no global setting is touched. `class_names`
are those of class 0, 1, ..., and classes have the same colours in all charts.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from scenecam import _style
from scenecam._style import Ax, Grid, Names
from scenecam.evaluation import Table

Curves = Mapping[str, Sequence[float]]  # what was measured -> its values
Class = int | None  # its index, if it is known

ALONE = 30  # the most classes that a confusion matrix can show one by one


def class_pie(labels: ndarray, class_names: Names, *, ax: Ax = None) -> Axes:
    """Share of every class as a pie: is the set balanced, at a glance.

    `labels` (n,) int are the class of every picture; ValueError if there is none, or
    one has no name.
    """
    known = range(len(class_names))
    if not len(labels) or not np.isin(labels, known).all():
        what = f"`labels` must hold at least one class index in 0..{known.stop - 1}"
        raise ValueError(f"{what}; received {np.unique(labels)}.")
    counts = np.bincount(labels, minlength=known.stop)
    names = [f"{class_names[c]}\n{counts[c] / len(labels):.1%}" for c in known]
    ax = _style.axes_or_new(ax, 5, 3.8)
    edge, text = {"ec": "white", "lw": 1.5}, {"size": 10, "color": _style.INK}
    look = {"colors": _style.class_colours(known.stop), "counterclock": False}
    ax.pie(counts, labels=names, startangle=90, wedgeprops=edge, textprops=text, **look)
    return ax


def training_curve(history: Curves, key: str = "loss", *, ax: Ax = None) -> Axes:
    """One measure over the epochs, on training and on validation pictures.

    The epoch with the lowest validation loss, whose weights are kept, is marked. Of the
    `history` that `training.fit` returns, `key` is "loss" or "accuracy", or whatever
    else it holds; ValueError if it lacks it.
    """
    if key not in history or not len(history[key]):
        what = f"`history` must hold {key!r}, not empty"
        raise ValueError(f"{what}; received {sorted(history)}.")
    ax = _style.axes_or_new(ax, 5.4, 2.8)
    epochs = np.arange(1, len(history[key]) + 1)
    ax.plot(epochs, history[key], color=_style.BLUE, lw=2, label="training")
    valid = history.get(f"val_{key}")
    if valid is not None:
        ax.plot(epochs, valid, color=_style.ORANGE, lw=2, ls="--", label="validation")
    if valid is not None and "val_loss" in history:
        best = int(np.argmin(history["val_loss"]))
        ax.axvline(best + 1, color=_style.PALE, lw=1, zorder=0)
        ring = {"ms": 9, "mfc": "white", "mec": _style.ORANGE, "mew": 2}
        ax.plot(best + 1, valid[best], "o", **ring, label=f"best: epoch {best + 1}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(epochs) > 1:
        ax.margins(x=0.03)
    ax.legend(frameon=False, fontsize=9)
    return _style.plain(ax, xlabel="epoch", ylabel=key.replace("_", " "))


def training_curves(history: Curves) -> Grid:
    """Loss above, accuracy below, over the same epochs: the figure and its two Axes."""
    fig, axes = _style.new_figure(2, 1, figsize=(5.4, 5), sharex=True)
    for ax, key in zip(axes, ("loss", "accuracy"), strict=True):
        training_curve(history, key, ax=ax)
    axes[0].set_xlabel("")
    return fig, axes


def gradient_norms(norms: Curves, *, ax: Ax = None) -> Axes:
    """Size of the gradient from the first layer to the last, on a log scale.

    `norms` maps the name of a network to one norm for each of its layers, input side
    first. A gradient of exactly zero has no place on a log scale: a gap.
    """
    ax = _style.axes_or_new(ax, 5.4, 3.2)
    for i, (name, values) in enumerate(norms.items()):
        depth = np.arange(1, len(values) + 1)
        values = np.where(np.asarray(values) > 0, values, np.nan)
        style = {"color": _style.PALETTE[i % len(_style.PALETTE)], "ms": 5, "lw": 1.5}
        ax.plot(depth, values, f"{'osD^v'[i % 5]}-", **style, label=name)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:.0e}")  # raised exponents would be too small
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=9)
    ax.grid(axis="y", color=_style.PALE, lw=0.5)
    return _style.plain(ax, xlabel="layer, from the picture on", ylabel="gradient norm")


def confusion_matrix(
    matrix: ndarray, class_names: Names, *, cells: str = "both", ax: Ax = None
) -> Axes:
    """Confusion matrix: row = true class, column = predicted class.

    The colour is the share of the row, so that rare and frequent classes compare. Of
    many classes, the 30 with the most mistakes have a row and a column of their own;
    the others share the last ones, so that a row still holds all pictures of its class.

    `matrix` (k, k) int is that of `evaluation.confusion`. `cells` says what stands in a
    cell: "count" is its pictures (with a scale of the colours beside), "percent" their
    percentage of the row, "both" is both. ValueError for another word or shape.
    """
    matrix, k = np.asarray(matrix), len(class_names)
    if matrix.shape != (k, k):
        what = f"`matrix` must be ({k}, {k}) for {k} class names"
        raise ValueError(f"{what}; received {matrix.shape}.")
    patterns = {"both": "{0:,}\n{1:.0%}", "count": "{0:,}", "percent": "{1:.0%}"}
    if cells not in patterns:
        raise ValueError(f"`cells` must be one of {[*patterns]}; received {cells!r}.")
    if k > ALONE + 1:
        matrix, class_names = _merge_others(matrix, class_names)
    ax = _style.axes_or_new(ax, 5.8, 5)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    text = np.vectorize(patterns[cells].format, otypes=[object])(matrix, share)
    look = {"cmap": "Blues", "vmin": 0, "vmax": 1, "square": True, "linewidths": 1}
    # Ours follow; seaborn would ask a renderer of the figure's size about each label.
    look |= dict.fromkeys(("xticklabels", "yticklabels"), False)
    font = {"fontsize": 9, "linespacing": 1.1}
    bar = {"cbar": cells == "count", "cbar_kws": {"label": "share of the true class"}}
    sns.heatmap(share, annot=text, fmt="", annot_kws=font, ax=ax, **bar, **look)
    # seaborn's own choice of text colour is too faint on middle blues.
    for cell, value in zip(ax.texts, share.flat, strict=True):
        cell.set_color("white" if value > 0.71 else "black")
    places = np.arange(len(class_names)) + 0.5
    ax.set_xticks(places, class_names, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, class_names, rotation=0)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(length=0, labelsize=10)
    return ax


def _merge_others(matrix: ndarray, class_names: Names):
    """Add up all classes but the `ALONE` that are confused most, as a last one."""
    mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    alone = np.sort(np.argsort(-mistakes, kind="stable")[:ALONE])
    group = np.full(len(matrix), ALONE)
    group[alone] = np.arange(ALONE)
    merged = np.zeros((ALONE + 1, ALONE + 1), matrix.dtype)
    np.add.at(merged, (group[:, None], group), matrix)
    others = f"{len(matrix) - ALONE:,} other classes"
    return merged, [*(class_names[c] for c in alone), others]


def class_scores(table: Table, *, ax: Ax = None) -> Axes:
    """Precision, recall and F1 score of every class, as bars with their values.

    Of `evaluation.classification_table`; the summary is left out.
    """
    names = [*table][:-3]
    places = np.arange(len(names))
    ax = _style.axes_or_new(ax, 5.4, 0.72 * len(names) + 0.9)
    for i, score in enumerate(("precision", "recall", "f1-score")):
        values = [table[name][score] for name in names]
        look = {"color": _style.PALETTE[i], "label": score.replace("f1-", "F1 ")}
        bars = ax.barh(places + 0.27 * (i - 1), values, 0.25, **look)
        ax.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.legend(loc=(0, 1), ncols=3, frameon=False, fontsize=10)
    return _style.plain(ax, xlim=(0, 1.1), xticks=np.linspace(0, 1, 6))


def reliability(bins: Mapping[str, ndarray], *, ax: Ax = None) -> Axes:
    """Reliability diagram: accuracy of the predictions made with each confidence.

    A perfectly calibrated network stands on the diagonal; below it, it is too sure.
    `bins` are those of `evaluation.calibration`, each with its number of pictures.
    """
    ax = _style.axes_or_new(ax, 5, 4.4)
    edges, filled = bins["edges"], bins["count"] > 0
    sure, right = bins["confidence"][filled], bins["accuracy"][filled]
    centres, width = (edges[:-1] + edges[1:])[filled] / 2, edges[1] - edges[0]
    ax.bar(centres, right, width, fc="#9cc9e6", ec="white", label="accuracy of the bin")
    ax.plot([0, 1], [0, 1], "--", color=_style.INK, lw=1.2, label="perfect calibration")
    ax.vlines(sure, right, sure, color=_style.ORANGE, lw=2.5, label="gap")
    ax.plot(sure, right, "o", color=_style.BLUE, ms=6, label="mean of the bin")
    for x, n, *gap in zip(centres, bins["count"][filled], sure, right, strict=True):
        x, y = (x, 0.015) if min(gap) > 0.2 else (gap[0], max(gap) + 0.04)
        ax.text(x, y, f"{n:,}", ha="center", va="bottom", fontsize=9, rotation=90)
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    ax.set(xlabel="confidence", ylabel="accuracy")
    return _style.plain(ax, xlim=(0, 1), ylim=(0, 1.02))


def probability_bars(
    probabilities: ndarray, class_names: Names, *, label: Class = None, ax: Ax = None
) -> Axes:
    """The network's answer for one picture: a bar for every class.

    `probabilities` (k,) float are those of a softmax; ValueError unless there are as
    many `class_names`. `label`, the true class, is marked in the list of names.
    """
    shape, k = np.shape(probabilities), len(class_names)
    if shape != (k,):
        what = f"`probabilities` must be ({k},) for {k} class names"
        raise ValueError(f"{what}; received {shape}.")
    ax = _style.axes_or_new(ax, 4.4, 0.34 * k + 0.6)
    colours = [_style.PALE] * k
    colours[np.argmax(probabilities)] = _style.BLUE
    names = [f"{n} (true)" if c == label else n for c, n in enumerate(class_names)]
    bars = ax.barh(np.arange(k), probabilities, color=colours)
    ax.bar_label(bars, [f"{p:.1%}" for p in probabilities], padding=4, fontsize=9)
    ax.set_yticks(np.arange(k), names)
    ax.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    ax.invert_yaxis()
    return _style.plain(ax, xlim=(0, 1.18))
