"""Pictures and maps: arrays in, Axes out.

A function for one picture draws on `ax`, with a `title` above, and returns it; without
`ax` it opens a figure of its own. A function for several opens a figure and returns
`(fig, axes)`, an array of Axes in which places without a picture are blank: `columns`
pictures stand in a row, `size` is the width of one in inches, and a `ValueError` says
when `titles` are not as many. Nothing is shown, no global setting is touched.

Colours are safe for colour-blind readers: sequential "inferno" for evidence, diverging
"RdBu_r" around zero for signed values, and the fixed `class_colours` for classes.
Figures are narrow, so that a phone need not shrink them much.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import cm, colors, patches, ticker
from matplotlib.axes import Axes
from numpy import ndarray

from scenecam._style import INK, Ax, Grid, Names, axes_or_new, class_colours, new_figure
from scenecam.images import overlay, unit_map

Images = Sequence[ndarray]
Box = tuple[float, float, float, float]
_FOUR_PANELS = ("picture", "Grad-CAM", "guided backpropagation", "Guided Grad-CAM")


def prediction_titles(
    labels: ndarray, probabilities: ndarray, class_names: Names
) -> list[str]:
    """A title for each picture: what was predicted, how surely, and what is true."""
    titles = []
    for label, row in zip(labels, probabilities, strict=True):
        guess = int(np.argmax(row))
        verdict = "right" if guess == label else f"true: {class_names[label]}"
        titles.append(f"{class_names[guess]} {row[guess]:.0%}\n({verdict})")
    return titles


# Pictures -----------------------------------------------------------------------------


def show_image(image: ndarray, *, title: str | None = None, ax: Ax = None) -> Axes:
    """One picture without axes: uint8 or float in [0, 1], (h, w, 3), or grey (h, w)."""
    top = 255 if np.asarray(image).dtype == np.uint8 else 1
    return _draw(axes_or_new(ax, 3, 3), image, ("gray", 0, top), title).axes


def show_images(
    images: Images, *, titles: Names | None = None, columns: int = 5, size: float = 1.2
) -> Grid:
    """A grid of pictures as for `show_image`, row by row; at least one."""
    if len(images) == 0:
        raise ValueError("`images` must hold at least one picture; received none.")
    _check_length("titles", titles, len(images))
    fig, axes = _grid(len(images), columns, size, titles)
    for i, image in enumerate(images):
        show_image(image, title=titles and titles[i], ax=axes.flat[i])
    return fig, axes


def show_classes(
    images: ndarray, labels: ndarray, class_names: Names, *, count: int = 5
) -> Grid:
    """A sheet with a row for every class: its first `count` pictures, and its name.

    `images` (n, h, w, 3) uint8 may be a memory map: only what is shown is read.
    `labels` (n,) int are their classes, `class_names` the names of class 0, 1, ...
    """
    fig, axes = _grid(len(class_names) * count, count, 1)
    beside = {"xycoords": "axes fraction", "textcoords": "offset points"}
    for c, (row, name) in enumerate(zip(axes, class_names, strict=True)):
        members = np.flatnonzero(np.asarray(labels) == c)
        for ax, index in zip(row, members[:count], strict=False):
            show_image(images[index], ax=ax)
        style = {"ha": "right", "va": "center", "fontsize": 10, "color": INK}
        row[0].annotate(name, (0, 0.5), (-6, 0), **beside, **style)
    return fig, axes


def mean_images(images: ndarray, labels: ndarray, class_names: Names) -> Grid:
    """The mean picture of every class: what its members have in common.

    Arrays as in `show_classes`; ValueError if a class has no picture.
    """
    if missing := [n for c, n in enumerate(class_names) if c not in labels]:
        what = f"`images` must hold every class; received none of {missing[0]!r}"
        raise ValueError(f"{what}. Leave it out of `class_names` and of `labels`.")
    means = [images[np.equal(labels, c)].mean(0) / 255 for c in range(len(class_names))]
    return show_images(means, titles=class_names, columns=3, size=1.6)


def show_mask(mask: ndarray, class_names: Names, *, ax: Ax = None) -> Axes:
    """Which class each pixel belongs to, in the class colours, with a legend.

    `mask` (h, w) uint8 holds the class index of every pixel; 255, or any index without
    a name, is no class. The legend lists the classes in the picture.
    """
    ax = axes_or_new(ax, 3, 3.6)
    # One more entry, at the end, for every index that has no name.
    colours = np.vstack([class_colours(len(class_names)), np.ones(3)])
    names = [*class_names, "no class"]
    index = np.minimum(mask, len(class_names))
    ax.imshow(colours[index], interpolation="nearest")
    handles = [patches.Patch(fc=colours[c], label=names[c]) for c in np.unique(index)]
    if handles[-1].get_label() == names[-1]:
        handles[-1].set_edgecolor(INK)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
    ax.legend(handles=handles, **below, ncols=2, fontsize=9, frameon=False)
    # A frame, for "no class" is as white as the page.
    ax.set(xticks=[], yticks=[])
    return ax


def show_receptive_field(
    image: ndarray, box: Box, *, title: str | None = None, ax: Ax = None
) -> Axes:
    """What one unit of a feature map sees: a box on the picture, uint8 (h, w, 3).

    The box is (top, left, height, width) in pixels; it may reach over the edge, into
    padding. Its size is the title when None.
    """
    top, left, height, width = box
    title = f"sees {height:g} × {width:g} pixels" if title is None else title
    ax = show_image(image, title=title, ax=axes_or_new(ax, 3, 3.2))
    # Pixel i reaches from i - 0.5 to i + 0.5. Dark below light: seen on any picture.
    for colour, line in (("black", 4), ("#ffd60a", 2)):
        style = {"edgecolor": colour, "lw": line, "clip_on": False, "fill": False}
        ax.add_patch(patches.Rectangle((left - 0.5, top - 0.5), width, height, **style))
    return ax


# Inside the network -------------------------------------------------------------------


def show_kernels(kernels: ndarray, *, columns: int = 8, size: float = 0.65) -> Grid:
    """The kernels of a convolution, at most 32, all on one scale, zero in the middle.

    Parameters
    ----------
    kernels : ndarray of shape (kh, kw, in, out), float
        Weights as Keras holds them; ValueError unless there are four axes. Those of
        three channels are shown as colours around mid-grey, others by their first
        channel, in red (positive) and blue.
    columns, size
        As in `show_images`.
    """
    kernels = np.asarray(kernels)
    if kernels.ndim != 4:
        what = f"`kernels` must be (height, width, in, out); received {kernels.shape}"
        raise ValueError(f"{what}. Pass layer.get_weights()[0].")
    kernels = np.moveaxis(kernels[..., :32], -1, 0)  # (out, kh, kw, in)
    limit = float(np.abs(kernels).max()) or 1.0
    if kernels.shape[-1] == 3:
        return show_images(0.5 + kernels / (2 * limit), columns=columns, size=size)
    kernels, look = kernels[..., 0], ("RdBu_r", -limit, limit)
    return _one_scale(kernels, None, look, "weight", columns, size)


def show_feature_maps(feature_maps: ndarray) -> Grid:
    """The first 16 channels of one layer for one picture, all on one scale.

    `feature_maps` (h, w, c) are activations, else ValueError: in sequential colours
    when none is negative, else diverging ones. Titles are the channels' numbers.
    """
    feature_maps = np.asarray(feature_maps)
    if feature_maps.ndim != 3:
        raise ValueError(
            "`feature_maps` must be (h, w, channels) of one picture; received "
            f"{feature_maps.shape}. Take one entry of a batch."
        )
    shown = np.moveaxis(feature_maps[..., :16], -1, 0)
    titles, look = [*map(str, range(len(shown)))], _scale(shown, None)
    return _one_scale(shown, titles, look, "activation", 8, 0.75)


# Class maps ---------------------------------------------------------------------------


def show_map(
    class_map: ndarray,
    *,
    title: str | None = None,
    limit: float | None = None,
    unit: str = "logits",
    ax: Ax = None,
) -> Axes:
    """A raw class map with its colour bar; nothing is rescaled or cut off.

    Parameters
    ----------
    class_map : ndarray of shape (h, w), float
        Signed evidence. A map with negative values gets diverging colours, white at
        zero; one without gets sequential colours.
    title, ax
        As in `show_image`.
    limit : float, optional
        Value at the end of the scale; give the same to maps that are compared. The
        largest absolute value when None.
    unit : str
        Label of the colour bar.
    """
    ax = axes_or_new(ax, 3.6, 3)
    return _colour_bar(ax, _draw(ax, class_map, _scale(class_map, limit), title), unit)


def show_overlay(
    image: ndarray,
    class_map: ndarray,
    *,
    opacity: float = 0.5,
    title: str | None = None,
    limit: float | None = None,
    ax: Ax = None,
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
    title, limit, ax
        As in `show_map`.
    """
    blended = overlay(image, unit_map(class_map, limit=limit), opacity=opacity)
    ax = show_image(blended, title=title, ax=axes_or_new(ax, 3.6, 3))
    name, *ends = _scale(np.maximum(class_map, 0), limit)
    return _colour_bar(ax, cm.ScalarMappable(colors.Normalize(*ends), name), "logits")


def show_maps(
    class_maps: ndarray,
    *,
    titles: Names,
    image: ndarray | None = None,
    limit: float | None = None,
    columns: int = 3,
    size: float = 1.5,
) -> Grid:
    """Raw class maps that are compared: one scale and one colour bar for all.

    Parameters
    ----------
    class_maps : ndarray of shape (n, h, w), float
        Signed evidence in logits; colours as in `show_map`.
    titles, columns, size
        As in `show_images`.
    image : ndarray of shape (h', w', 3), uint8, optional
        The picture, shown first.
    limit : float, optional
        Value at the end of the scale; the largest absolute value of all when None.
    """
    class_maps = np.asarray(class_maps)
    _check_length("titles", titles, len(class_maps))
    look, place = _scale(class_maps, limit), (columns, size, image)
    return _one_scale(class_maps, titles, look, "logits", *place, aspect=20)


def show_four_panels(
    image: ndarray,
    class_map: ndarray,
    guided: ndarray,
    guided_cam: ndarray,
    *,
    titles: Names = _FOUR_PANELS,
) -> Grid:
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
    titles
        As in `show_images`; there are four.
    """
    _check_length("titles", titles, 4)
    fig, axes = _grid(4, 2, 2.9, titles)
    show_image(image, title=titles[0], ax=axes.flat[0])
    show_overlay(image, class_map, title=titles[1], ax=axes.flat[1])
    for i, gradient in enumerate((guided, guided_cam), 2):
        total = np.sum(gradient, axis=-1)  # (h, w)
        limit = float(np.quantile(np.abs(total), 0.995)) or None
        show_map(total, title=titles[i], limit=limit, unit="gradient", ax=axes.flat[i])
    return fig, axes


def show_sheet(
    images: ndarray,
    class_maps: ndarray,
    *,
    titles: Names,
    limit: float | None = None,
    size: float = 1.65,
) -> Grid:
    """A row for each example: picture, class map, and both superimposed.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, 3), uint8
        The pictures.
    class_maps : ndarray of shape (n, h', w'), float
        One map for each picture; its positive part is shown, in logits. ValueError if
        there are not n.
    titles, size
        As in `show_images`; titles, say, from `prediction_titles`.
    limit : float, optional
        One scale for all maps; each has its own when None.
    """
    _check_length("class_maps", class_maps, len(images))
    _check_length("titles", titles, len(images))
    fig, axes = _grid(3 * len(images), 3, size, titles)
    for row, image, raw, title in zip(axes, images, class_maps, titles, strict=True):
        blended = overlay(image, unit_map(raw, limit=limit))
        show_image(image, title=title, ax=row[0])
        show_map(np.maximum(raw, 0), title="class map", limit=limit, ax=row[1])
        show_image(blended, title="superimposed", ax=row[2])
    return fig, axes


def _grid(count: int, columns: int, size: float, titles: Names | None = None) -> Grid:
    """A figure with a place for each of `count` pictures; the places start blank."""
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    above = 0.17 * max((t.count("\n") + 1 for t in titles or ()), default=0)
    inches = (columns * size + 0.4, rows * (size + above) + 0.1)
    options = {"layout": "compressed", "squeeze": False}
    fig, axes = new_figure(rows, columns, figsize=inches, **options)
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    for ax in axes.flat:
        ax.set_axis_off()
    return fig, axes


def _one_scale(maps, titles, look, unit, columns, size, image=None, aspect=15):
    """A grid of maps with one colour bar, after their picture if there is one."""
    first = int(image is not None)
    fig, axes = _grid(first + len(maps), columns, size, titles)
    if first:
        show_image(image, ax=axes.flat[0])
    for i, values in enumerate(maps):
        picture = _draw(axes.flat[first + i], values, look, titles and titles[i])
    fig.colorbar(picture, ax=axes, label=unit, shrink=0.9, aspect=aspect)
    return fig, axes


def _draw(ax: Axes, values, look: tuple[str, float, float], title: str | None):
    """A picture in a colour map between two ends, without frame and ticks."""
    colours, low, high = look
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize=9, color=INK, pad=3)
    return ax.imshow(values, cmap=colours, vmin=low, vmax=high)


def _scale(values: ndarray, limit: float | None) -> tuple[str, float, float]:
    """Colour map and range: diverging around zero if signed, else from zero up."""
    limit = float(np.abs(values).max()) if limit is None else limit
    limit = limit or 1.0  # a map of zeros
    return ("RdBu_r", -limit, limit) if np.min(values) < 0 else ("inferno", 0, limit)


def _colour_bar(ax: Axes, mappable: cm.ScalarMappable, unit: str) -> Axes:
    """A colour bar as high as the picture."""
    beside = {"fraction": 0.046, "pad": 0.03, "ticks": ticker.MaxNLocator(nbins=5)}
    bar = ax.figure.colorbar(mappable, ax=ax, label=unit, **beside)
    bar.ax.tick_params(labelsize=9)
    bar.formatter.set_powerlimits((-3, 4))  # its power of ten stands over the bar
    bar.ax.yaxis.set_offset_position("left")
    return ax


def _check_length(name: str, values: Sequence | None, expected: int) -> None:
    """An error unless there is one value for each picture (or none at all)."""
    if values is not None and len(values) != expected:
        what = f"`{name}` must have one entry for each of the {expected} pictures"
        raise ValueError(f"{what}; received {len(values)}.")
