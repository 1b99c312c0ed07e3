"""What every function that draws keeps to."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text


def public_functions(room):
    """Names of the functions that are written in a module, not imported."""
    return {
        name
        for name, f in inspect.getmembers(room, inspect.isfunction)
        if f.__module__ == room.__name__ and not name.startswith("_")
    }


def check_given_axes(call):
    fig, axes = plt.subplots(1, 2)
    assert call(ax=axes[1]) is axes[1]
    assert plt.get_fignums() == [fig.number], "no figure of its own"
    assert not axes[0].has_data() and not axes[0].texts
    assert axes[1].has_data() or axes[1].patches


def check_own_figure(call):
    ax = call()
    assert isinstance(ax, Axes)
    assert plt.get_fignums() == [ax.figure.number]
    assert ax.figure.get_facecolor() == ax.get_facecolor() == (1, 1, 1, 1)


def check_grid(call):
    fig, axes = call()
    assert plt.get_fignums() == [fig.number]
    assert fig.get_facecolor() == (1, 1, 1, 1)
    assert isinstance(axes, np.ndarray)
    assert all(ax.figure is fig for ax in axes.flat)


def check_text(call):
    """Large enough, and wholly on a narrow figure."""
    made = call()
    fig = made[0] if isinstance(made, tuple) else made.figure
    assert fig.get_figwidth() <= 6.5
    fig.canvas.draw()
    texts = [t for t in fig.findobj(Text) if t.get_visible() and t.get_text()]
    assert min((t.get_fontsize() for t in texts), default=9) >= 9
    # The tight box holds all that is drawn, in inches; it must lie on the figure.
    box = fig.get_tightbbox()
    assert (box.min >= -0.02).all(), box
    assert (box.max <= fig.get_size_inches() + 0.02).all(), box
