"""Drawings read back: nothing overlaps or leaves the sheet, and what they say is so."""

import inspect
import itertools

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.text import Text

from scenecam import diagrams

matplotlib.use("Agg")

DRAWINGS = {
    name: f
    for name, f in inspect.getmembers(diagrams, inspect.isfunction)
    if f.__module__ == diagrams.__name__ and not name.startswith("_")
}


pytestmark = pytest.mark.usefixtures("leaves_matplotlib_as_it_was")


def words(ax):
    """Every text of a drawing, line breaks as blanks."""
    return [text.get_text().replace("\n", " ") for text in ax.texts]


def test_there_is_a_drawing_for_every_figure_of_the_chapters():
    assert set(DRAWINGS) >= {
        *("cnn_pipeline", "skip_connection", "network_overview", "residual_blocks"),
        *("depth_chart", "grad_cam_steps", "receptive_field"),
    }


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_goes_onto_the_given_axes(name):
    fig, axes = plt.subplots(1, 2)
    assert DRAWINGS[name](ax=axes[0]) is axes[0]
    assert plt.get_fignums() == [fig.number], "no figure of its own"
    assert not axes[1].patches and not axes[1].texts


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_fills_its_white_sheet_and_does_not_leave_it(name):
    ax = DRAWINGS[name]()
    fig = ax.figure
    assert fig.get_facecolor() == ax.get_facecolor() == (1, 1, 1, 1)
    # One unit is one inch.
    assert fig.get_size_inches() == pytest.approx([ax.get_xlim()[1], ax.get_ylim()[1]])
    assert fig.get_figwidth() <= 6.5
    fig.canvas.draw()
    pixels = np.asarray(fig.canvas.buffer_rgba())[..., :3]
    edge = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    assert all((side == 255).all() for side in edge), "something is cut off"
    rows, columns = np.nonzero((pixels < 255).any(axis=2))
    inches = fig.dpi
    assert rows.min() < 0.3 * inches and pixels.shape[0] - rows.max() < 0.3 * inches
    assert columns.min() < 0.4 * inches and pixels.shape[1] - columns.max() < (
        0.4 * inches
    )


@pytest.mark.parametrize("name", DRAWINGS)
def test_texts_are_large_enough_and_do_not_touch(name):
    ax = DRAWINGS[name]()
    ax.figure.canvas.draw()
    texts = [text for text in ax.findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 9
    for one, other in itertools.combinations(texts, 2):
        a, b = one.get_window_extent(), other.get_window_extent()
        # Two pixels of the empty margin of a line may meet.
        apart = (
            a.x1 <= b.x0 + 2 or b.x1 <= a.x0 + 2 or a.y1 <= b.y0 + 2 or b.y1 <= a.y0 + 2
        )
        assert apart, (one.get_text(), other.get_text())


@pytest.mark.parametrize("name", DRAWINGS)
def test_texts_lie_wholly_in_a_box_or_wholly_outside(name):
    ax = DRAWINGS[name]()
    ax.figure.canvas.draw()
    boxes = [p.get_window_extent() for p in ax.patches if type(p) is FancyBboxPatch]
    for text in ax.texts:
        if not text.get_text():
            continue
        extent = text.get_window_extent()
        for box in boxes:
            inside = (
                box.x0 < extent.x0
                and extent.x1 < box.x1
                and box.y0 < extent.y0
                and extent.y1 < box.y1
            )
            outside = (
                extent.x1 < box.x0
                or box.x1 < extent.x0
                or extent.y1 < box.y0
                or box.y1 < extent.y0
            )
            assert inside or outside, text.get_text()


def test_pipeline_shows_the_given_picture_and_names():
    image = np.random.default_rng(0).integers(256, size=(20, 20, 3), dtype=np.uint8)
    ax = diagrams.cnn_pipeline(image=image, class_names=("cat", "dog"))
    np.testing.assert_array_equal(ax.images[0].get_array(), image)
    assert {"cat", "dog"} <= set(words(ax))
    assert "forest" not in words(ax)
    for step in ("convolution + ReLU", "pooling", "flatten", "dense"):
        assert step in words(ax)


@pytest.mark.parametrize("stages", [1, 3, 5])
def test_overview_has_as_many_blocks_as_the_network(stages):
    said = words(diagrams.network_overview(stages=stages))
    assert sum(text.startswith("res-block ") for text in said) == stages
    assert said.count("convolution block") == 1
    assert said.count("identity block") == 2


def test_blocks_have_the_layers_that_the_network_has():
    """Main and short path of the convolution block, main path of the other."""
    said = words(diagrams.residual_blocks())
    assert said.count("convolution 1 × 1") == 2 + 1 + 2
    assert said.count("convolution 3 × 3") == 2
    assert said.count("max-pooling") == 2
    assert said.count("batch norm., ReLU") == 2 + 2
    assert said.count("batch norm.") == 1 + 1 + 1
    assert said.count("ReLU") == 2


def test_depth_chart_bars_are_in_proportion_to_the_results():
    ax = diagrams.depth_chart()
    bars = [p for p in ax.patches if isinstance(p, Rectangle)]
    results = diagrams.IMAGENET_RESULTS
    middle = ax.get_ylim()[1] / 2
    errors = np.array([p.get_height() for p in bars if p.get_y() > middle])
    depths = np.array([p.get_height() for p in bars if p.get_y() <= middle])
    np.testing.assert_allclose(
        errors / errors[0], [r[3] / results[0][3] for r in results]
    )
    layers = [r[2] for r in results if r[2]]
    np.testing.assert_allclose(depths / depths[-1], np.array(layers) / layers[-1])
    for name, year, depth, error in results:
        assert f"{name} {year}" in words(ax)
        assert f"{error:g} %" in words(ax)
        assert depth is None or f"{depth} layers" in words(ax)


def test_grad_cam_has_six_numbered_steps_in_order():
    said = words(diagrams.grad_cam_steps())
    places = [said.index(str(i)) for i in range(1, 7)]
    assert places == sorted(places)
    # Step 5 shows the ReLU of the sum of the maps of step 4, with the weights there.
    ax = diagrams.grad_cam_steps()
    weights = [
        float(text.get_text().split("=")[1].strip("$"))
        for text in ax.texts
        if text.get_text().startswith((r"$\alpha_1=", r"$\alpha_2=", r"$\alpha_3="))
    ]
    maps = [p.get_array() for p in ax.images if p.get_array().shape == (7, 7)]
    assert len(weights) == 3
    expected = np.maximum(np.tensordot(weights, maps[-4:-1], 1), 0)
    np.testing.assert_allclose(maps[-1], expected)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2)), min_size=1, max_size=4)
)
def test_receptive_field_equals_the_pixels_that_really_matter(layers):
    """Count the pixels that reach the top unit by following each one through."""
    kernels, strides = zip(*layers, strict=True)
    reached = {0}
    for kernel, stride in zip(kernels[::-1], strides[::-1], strict=True):
        reached = {i * stride + j for i in reached for j in range(kernel)}
    span = max(reached) - min(reached) + 1
    if span > 41:
        with pytest.raises(ValueError, match=f"a field of {span}"):
            diagrams.receptive_field(kernels=kernels, strides=strides)
        return
    ax = diagrams.receptive_field(kernels=kernels, strides=strides)
    noun = "pixel" if span == 1 else "pixels"
    assert f"sees {span} {noun}" in words(ax)
    plt.close(ax.figure)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: diagrams.network_overview(stages=0), "at least 1; received 0"),
        (
            lambda: diagrams.receptive_field(kernels=(3, 3), strides=(1,)),
            r"of one length.*received \[3, 3\] and \[1\]",
        ),
        (lambda: diagrams.receptive_field(kernels=()), r"received \[\] and \[\]"),
    ],
)
def test_errors_say_what_came_and_what_was_expected(call, text):
    with pytest.raises(ValueError, match=text):
        call()
