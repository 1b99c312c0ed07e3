"""Charts read back from their artists: text, colours, values."""

import matplotlib
import numpy as np
import pytest
from figures import (
    check_given_axes,
    check_grid,
    check_own_figure,
    check_text,
    public_functions,
)
from matplotlib import colors

from scenecam import charts, evaluation, plots

matplotlib.use("Agg")

NAMES = ("buildings", "forest", "glacier", "mountain", "sea", "street")
RNG = np.random.default_rng(0)
LABELS = np.arange(12) % 6
LOGITS = RNG.normal(size=(12, 6)) + 2 * np.eye(6)[LABELS]
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
PREDICTIONS = PROBABILITIES.argmax(axis=1)
MATRIX = np.array([[90, 10, 0], [1, 2, 1], [0, 0, 0]])
HISTORY = {
    "loss": [2.0, 1.0, 0.5, 0.2],
    "val_loss": [2.1, 1.2, 0.9, 1.1],
    "accuracy": [0.2, 0.5, 0.8, 0.9],
    "val_accuracy": [0.2, 0.5, 0.7, 0.75],
}
TABLE = evaluation.classification_table(
    labels=LABELS, predictions=PREDICTIONS, class_names=NAMES
)

# One call for every chart that takes an Axes, and for the one with a figure of its own.
ONE = {
    "class_pie": lambda **kw: charts.class_pie(LABELS, NAMES, **kw),
    "training_curve": lambda **kw: charts.training_curve(HISTORY, **kw),
    "gradient_norms": lambda **kw: charts.gradient_norms(
        {"plain": [1e-9, 1e-5, 0.1], "residual": [0.2, 0.3, 0.0]}, **kw
    ),
    "confusion_matrix": lambda **kw: charts.confusion_matrix(MATRIX, NAMES[:3], **kw),
    "class_scores": lambda **kw: charts.class_scores(TABLE, **kw),
    "reliability": lambda **kw: charts.reliability(
        evaluation.calibration(LABELS, PROBABILITIES), **kw
    ),
    "probability_bars": lambda **kw: charts.probability_bars(
        PROBABILITIES[1], NAMES, label=1, **kw
    ),
}
SEVERAL = {"training_curves": lambda: charts.training_curves(HISTORY)}

pytestmark = pytest.mark.usefixtures("leaves_matplotlib_as_it_was")


def test_every_public_function_is_tested_here():
    assert public_functions(charts) == set(ONE) | set(SEVERAL)


@pytest.mark.parametrize("name", ONE)
def test_it_draws_on_the_given_axes_and_returns_it(name):
    check_given_axes(ONE[name])


@pytest.mark.parametrize("name", ONE)
def test_without_axes_it_opens_one_opaque_white_figure(name):
    check_own_figure(ONE[name])


@pytest.mark.parametrize("name", SEVERAL)
def test_a_grid_returns_its_figure_and_axes(name):
    check_grid(SEVERAL[name])


@pytest.mark.parametrize("name", [*ONE, *SEVERAL])
def test_text_is_large_enough_and_wholly_on_a_narrow_figure(name):
    check_text((ONE | SEVERAL)[name])


def test_pie_and_mask_agree_on_the_colour_of_a_class():
    pie = charts.class_pie(LABELS, NAMES)
    mask = plots.show_mask(np.arange(6, dtype=np.uint8).reshape(2, 3), NAMES)
    expected = plots.class_colours(6)
    np.testing.assert_allclose([w.get_facecolor()[:3] for w in pie.patches], expected)
    shown = mask.images[0].get_array()[..., :3].reshape(6, 3)
    np.testing.assert_allclose(shown, expected, atol=1 / 255)


def test_pie_wedges_are_proportional_and_labelled():
    ax = charts.class_pie(np.array([0, 0, 0, 1]), ("a", "b"))
    angles = [wedge.theta2 - wedge.theta1 for wedge in ax.patches]
    assert np.abs(angles) == pytest.approx([270, 90])
    assert {t.get_text() for t in ax.texts} >= {"a\n75.0%", "b\n25.0%"}


def test_training_curve_marks_the_epoch_of_the_lowest_validation_loss():
    for key, value in (("loss", 0.9), ("accuracy", 0.7)):
        ax = charts.training_curve(HISTORY, key)
        train, valid, _, best = ax.lines
        np.testing.assert_array_equal(train.get_ydata(), HISTORY[key])
        np.testing.assert_array_equal(valid.get_ydata(), HISTORY[f"val_{key}"])
        assert (best.get_xdata()[0], best.get_ydata()[0]) == (3, value)
        assert best.get_label() == "best: epoch 3"


def test_training_curve_of_one_epoch_without_validation():
    ax = charts.training_curve({"loss": [1.0]})
    assert len(ax.lines) == 1


def test_gradient_norms_leave_a_gap_at_zero():
    ax = ONE["gradient_norms"]()
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [0.2, 0.3, np.nan])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["plain", "residual"]


def test_confusion_cells_hold_counts_and_shares_of_the_row():
    ax = charts.confusion_matrix(MATRIX, NAMES[:3])
    assert [t.get_text() for t in ax.texts] == [
        *("90\n90%", "10\n10%", "0\n0%"),
        *("1\n25%", "2\n50%", "1\n25%"),
        *("0\n0%", "0\n0%", "0\n0%"),
    ]
    shown = ax.collections[0].get_array()
    np.testing.assert_allclose(np.ravel(shown)[:6], [0.9, 0.1, 0, 0.25, 0.5, 0.25])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert [t.get_text() for t in ax.get_xticklabels()] == list(NAMES[:3])
    assert [t.get_text() for t in ax.get_yticklabels()] == list(NAMES[:3])
    # Row 0, the first true class, stands on top.
    assert ax.yaxis_inverted()


def test_confusion_text_contrasts_with_its_cell():
    """WCAG 2.1, 1.4.3: at least 4.5 to 1, on every shade of the scale."""
    shares = np.zeros((11, 11), int)  # 0, 5, 10, ... 100 % somewhere
    shares[:, 0], shares[:, 1] = np.arange(0, 55, 5), np.arange(100, 45, -5)
    ax = charts.confusion_matrix(shares, [str(i) for i in range(11)])
    ax.figure.canvas.draw()

    def luminance(rgba):
        c = np.asarray(rgba[:3])
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
            *(0.2126, 0.7152, 0.0722)
        ]

    for text, face in zip(ax.texts, ax.collections[0].get_facecolors(), strict=True):
        pair = sorted([luminance(colors.to_rgba(text.get_color())), luminance(face)])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) > 4.5


@pytest.mark.parametrize("cells, first", [("count", "90"), ("percent", "90%")])
def test_confusion_cells_on_request(cells, first):
    assert charts.confusion_matrix(MATRIX, "abc", cells=cells).texts[0].get_text() == (
        first
    )


@pytest.mark.parametrize("classes", [31, 32, 300])
def test_of_many_classes_those_with_most_mistakes_stand_alone(rng, classes):
    right = np.diag(rng.integers(0, 9, classes))
    matrix = rng.poisson(0.02, (classes, classes)) + right
    ax = charts.confusion_matrix(matrix, [*map(str, range(classes))], cells="count")
    cells = [int(text.get_text().replace(",", "")) for text in ax.texts]
    found = np.reshape(cells, (31, 31))
    *alone, last = (text.get_text() for text in ax.get_yticklabels())
    if classes == 31:
        assert last == "30" and (found == matrix).all()
        return
    assert last == f"{classes - 30} other classes"
    alone = np.array(alone, int)
    assert (np.diff(alone) > 0).all()
    assert (found[:30, :30] == matrix[alone][:, alone]).all()
    wrong = matrix - np.diag(matrix.diagonal())
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1)
    assert mistakes[alone].min() >= np.delete(mistakes, alone).max()
    for axis in (0, 1):
        assert (found.sum(axis=axis)[:30] == matrix.sum(axis=axis)[alone]).all()
    assert found.sum() == matrix.sum()


def test_class_scores_draw_the_table_and_nothing_of_its_summary():
    ax = charts.class_scores(TABLE)
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(3, 6)
    for row, score in zip(widths, ("precision", "recall", "f1-score"), strict=True):
        np.testing.assert_allclose(row, [TABLE[name][score] for name in NAMES])
    assert [t.get_text() for t in ax.get_yticklabels()] == list(NAMES)


def test_reliability_draws_filled_bins_only():
    bins = evaluation.calibration(LABELS, PROBABILITIES)
    filled = bins["count"] > 0
    ax = charts.reliability(bins)
    assert [bar.get_height() for bar in ax.patches] == list(bins["accuracy"][filled])
    assert [t.get_text() for t in ax.texts] == [str(n) for n in bins["count"][filled]]


def test_probability_bars_mark_the_guess_by_colour_and_the_truth_by_name():
    ax = charts.probability_bars(np.array([0.2, 0.7, 0.1]), ("a", "b", "c"), label=0)
    assert [t.get_text() for t in ax.texts] == ["20.0%", "70.0%", "10.0%"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a (true)", "b", "c"]
    faces = [bar.get_facecolor() for bar in ax.patches]
    assert faces[0] == faces[2] != faces[1]


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda: charts.class_pie(np.array([0, 6]), NAMES),
            r"0\.\.5; received \[0 6\]",
        ),
        (
            lambda: charts.class_pie(np.array([], int), NAMES),
            "at least one class index",
        ),
        (
            lambda: charts.training_curve(HISTORY, "recall"),
            r"must hold 'recall'.*received \['accuracy', 'loss'",
        ),
        (
            lambda: charts.confusion_matrix(MATRIX, NAMES),
            r"must be \(6, 6\).*received \(3, 3\)",
        ),
        (
            lambda: charts.confusion_matrix(MATRIX, "abc", cells="all"),
            "one of .*received 'all'",
        ),
        (
            lambda: charts.probability_bars(PROBABILITIES, NAMES),
            r"must be \(6,\).*received \(12, 6\)",
        ),
    ],
)
def test_errors_say_what_came_and_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words):
        call()
