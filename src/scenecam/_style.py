"""One look for all figures: colours, white faces, and where to draw.

Faces are opaque white, so that a page in a dark theme stays readable; colours are safe
for colour-blind readers. No global setting is touched.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure

Ax = Axes | None  # where to draw: a new figure when None
Grid = tuple[Figure, np.ndarray]  # a figure and its Axes
Names = Sequence[str]  # of class 0, 1, ..., or of picture 0, 1, ...

INK, GREY, PALE = "#222222", "#6b7280", "#c9ced6"
# seaborn's palette "colorblind", which follows Wong (2011), Nature Methods 8(6), 441.
PALETTE = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"),
    *("#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"),
)
BLUE, ORANGE, GREEN, VERMILION = PALETTE[:4]
# Hues that suit the six scenes (brick, leaves, ice, rock, water, asphalt); where they
# would meet for a colour-blind reader the lightness differs. A test measures that.
_CLASSES = (
    *("#d55e00", "#029e73", "#7fd0f5", "#8c5a2e", "#0173b2", "#4d4d4d"),
    *("#cc78bc", "#ece133", "#fbafe4", "#949494"),
)


def class_colours(num_classes: int) -> np.ndarray:
    """The fixed colours of class 0, 1, ...: float64 (num_classes, 3), RGB in [0, 1].

    At most ten keep apart for the eye; from then on they repeat.
    """
    return to_rgba_array(_CLASSES)[np.arange(num_classes) % len(_CLASSES), :3]


def new_figure(rows: int, columns: int, **options) -> tuple[Figure, Axes | np.ndarray]:
    """A new figure with an opaque white face, whatever the page behind it."""
    options = {"layout": "constrained"} | options
    return plt.subplots(rows, columns, facecolor="white", **options)


def axes_or_new(ax: Ax, width: float, height: float, **options) -> Axes:
    """The given Axes, or one in a new figure of so many inches."""
    if ax is None:
        _, ax = new_figure(1, 1, figsize=(width, height), **options)
    ax.set_facecolor("white")
    return ax


def plain(ax: Axes, **settings) -> Axes:
    """Two spines instead of four, and type large enough for a phone."""
    ax.set(**settings)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=10)
    return ax
