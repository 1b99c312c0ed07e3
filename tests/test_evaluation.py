"""Numbers about predictions, each held against an independent computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from sklearn.calibration import calibration_curve

from scenecam import evaluation
from scenecam_cli import evaluate

NAMES = ("buildings", "forest", "glacier", "mountain", "sea", "street")


def made_up(n=400, k=6, seed=0, sharpness=2.0):
    """Labels, and probabilities that favour the true class a little."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(k, size=n)
    logits = sharpness * rng.normal(size=(n, k))
    logits[np.arange(n), labels] += 2
    powers = np.exp(logits)
    return labels, powers / powers.sum(axis=1, keepdims=True)


# Accuracy and its intervals -----------------------------------------------------------


@pytest.mark.parametrize(
    "right, n, low, high",
    # By hand: (2 n p + z^2 -+ z sqrt(z^2 + 4 n p (1 - p))) / 2 (n + z^2)
    [(10, 10, 0.72246, 1.0), (0, 10, 0.0, 0.27754), (5, 10, 0.23659, 0.76341)],
)
def test_wilson_interval_equals_the_values_worked_by_hand(right, n, low, high):
    labels = np.zeros(n, int)
    predictions = np.r_[np.zeros(right, int), np.ones(n - right, int)]
    accuracy, got_low, got_high = evaluation.accuracy_interval(labels, predictions)
    assert accuracy == right / n
    assert (got_low, got_high) == pytest.approx((low, high), abs=1e-5)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_ends_solve_the_quadratic_that_defines_them(n, share, confidence):
    """At both ends p of the interval, |accuracy - p| = z sqrt(p (1 - p) / n)."""
    z = stats.norm.ppf((1 + confidence) / 2)
    right = round(share * n)
    predictions = np.r_[np.zeros(right, int), np.ones(n - right, int)]
    accuracy, low, high = evaluation.accuracy_interval(
        np.zeros(n, int), predictions, confidence=confidence
    )
    assert 0 <= low <= accuracy <= high <= 1
    for end in (low, high):
        distance = z * np.sqrt(end * (1 - end) / n)
        assert abs(accuracy - end) == pytest.approx(distance, abs=1e-6)


def test_wilson_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        wrong = (rng.random(60) > 0.87).astype(int)
        _, low, high = evaluation.accuracy_interval(np.zeros(60, int), wrong)
        hits += low <= 0.87 <= high
    assert 0.93 <= hits / 1000 <= 0.98


def test_bootstrap_of_a_mean_is_near_the_normal_interval_and_repeats():
    values = np.random.default_rng(1).normal(3, 2, size=900)
    first = evaluation.bootstrap_interval(values, seed=5)
    assert first == evaluation.bootstrap_interval(values, seed=5)
    assert first != evaluation.bootstrap_interval(values, seed=6)
    half = 1.96 * values.std() / np.sqrt(900)
    assert first[0] == pytest.approx(values.mean())
    assert first[1:] == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.02
    )


def test_a_verdict_is_one_of_three():
    assert evaluation.verdict(0.1, 0.2) == "holds"
    assert evaluation.verdict(-0.2, -0.1) == "fails"
    assert evaluation.verdict(-0.1, 0.1) == evaluation.verdict(0, 0.1) == "open"
    for low, high in ((1, 0), (np.nan, 1), (0, np.nan)):
        with pytest.raises(ValueError, match="not be above"):
            evaluation.verdict(low, high)


def test_bootstrap_draws_the_same_pictures_from_every_array():
    labels = np.arange(50)

    def always_equal(a, b):
        assert (a == b).all()
        return 1.0

    assert evaluation.bootstrap_interval(
        labels, labels.copy(), statistic=always_equal, repeats=20
    ) == (1.0, 1.0, 1.0)


def test_bootstrap_leaves_out_pictures_without_a_number():
    values = np.random.default_rng(2).normal(size=30)
    holes, other = np.insert(values, [3, 9], np.nan), np.arange(32)
    expected = evaluation.bootstrap_interval(values, seed=1)
    assert evaluation.bootstrap_interval(holes, seed=1) == expected
    _, low, high = evaluation.bootstrap_interval(
        holes, other, statistic=lambda a, b: len(b), repeats=5
    )
    assert low == high == 30
    assert evaluation.bootstrap_interval([3.0, np.nan]) == (3, 3, 3)
    assert np.isnan(evaluation.bootstrap_interval(np.full(4, np.nan))).all()


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(3).normal(size=(2, 40))
    ours = evaluation.bootstrap_interval(*values, statistic=lambda a, b: (a * b).mean())
    theirs = stats.bootstrap(
        values, lambda a, b: (a * b).mean(), n_resamples=2000, paired=True,
        vectorized=False, method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert ours[1:] == pytest.approx(tuple(theirs), rel=1e-12)


# Confusion matrix and table -----------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_confusion_counts_true_classes_in_rows(pairs):
    labels, predictions = np.array(pairs).T
    by_hand = np.zeros((4, 4), int)
    for true, predicted in pairs:
        by_hand[true, predicted] += 1
    matrix = evaluation.confusion(labels=labels, predictions=predictions, num_classes=4)
    np.testing.assert_array_equal(matrix, by_hand)
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(labels, minlength=4))


def test_labels_and_predictions_cannot_be_exchanged_by_position():
    labels, predictions = np.array([0, 0, 1]), np.array([0, 1, 1])
    with pytest.raises(TypeError):
        evaluation.confusion(labels, predictions, 2)
    with pytest.raises(TypeError):
        evaluation.classification_table(labels, predictions, ("a", "b"))


def test_support_is_the_number_of_true_pictures_and_recall_divides_by_it():
    """Six of class 0, of which two are called 1; one of class 1, called 1."""
    labels = np.array([0, 0, 0, 0, 0, 0, 1])
    predictions = np.array([0, 0, 0, 0, 1, 1, 1])
    table = evaluation.classification_table(
        labels=labels, predictions=predictions, class_names=("many", "few")
    )
    assert table["many"] == pytest.approx(
        {"precision": 1.0, "recall": 4 / 6, "f1-score": 0.8, "support": 6}
    )
    assert table["few"] == pytest.approx(
        {"precision": 1 / 3, "recall": 1.0, "f1-score": 0.5, "support": 1}
    )
    assert table["accuracy"] == pytest.approx(5 / 7)
    assert table["macro avg"]["recall"] == pytest.approx((4 / 6 + 1) / 2)


def test_table_keeps_a_class_that_no_picture_has():
    table = evaluation.classification_table(
        labels=np.array([0, 1]), predictions=np.array([0, 1]), class_names="abc"
    )
    assert table["c"] == {"precision": 0, "recall": 0, "f1-score": 0, "support": 0}
    assert table["accuracy"] == 1


def test_summary_of_some_classes_counts_those_alone():
    labels, predictions = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 1])
    table = evaluation.classification_table(
        labels=labels, predictions=predictions, class_names="abc"
    )
    report = metrics.classification_report(
        labels, predictions, target_names=list("abc"), output_dict=True, zero_division=0
    )
    assert list(table) == list(report)
    for row, scores in report.items():
        assert table[row] == pytest.approx(scores)
    some = evaluate.with_summary({"a": table["a"], "b": table["b"]}, 0.6)
    assert list(some) == ["a", "b", "accuracy", "macro avg", "weighted avg"]
    assert some["macro avg"]["recall"] == pytest.approx((2 / 3 + 1) / 2)
    assert some["weighted avg"]["recall"] == pytest.approx((2 + 1) / 4)
    assert some["macro avg"]["support"] == 4


def test_table_text_shows_every_number_of_the_table():
    labels, probabilities = made_up()
    table = evaluation.classification_table(
        labels=labels, predictions=probabilities.argmax(1), class_names=NAMES
    )
    plain = evaluation.table_text(table, digits=3)
    for name in NAMES:
        line = next(x for x in plain.splitlines() if x.startswith(name)).split()
        assert line[1:] == [
            f"{table[name]['precision']:.3f}",
            f"{table[name]['recall']:.3f}",
            f"{table[name]['f1-score']:.3f}",
            f"{(labels == NAMES.index(name)).sum()}",
        ]
    accuracy = next(x for x in plain.splitlines() if x.startswith("accuracy")).split()
    assert accuracy == ["accuracy", f"{table['accuracy']:.3f}", str(len(labels))]
    assert len({len(x) for x in plain.splitlines() if x}) == 1, "columns line up"


def test_confused_pairs_by_count_directed_and_summed():
    matrix = np.array([[8, 2, 0], [3, 6, 1], [0, 4, 36]])
    pairs = evaluation.confused_pairs(matrix, ("a", "b", "c"))
    assert [tuple(pair) for pair in pairs] == [
        ("c", "b", 4, 0.1),
        ("b", "a", 3, 0.3),
        ("a", "b", 2, 0.2),
        ("b", "c", 1, 0.1),
    ]
    both = evaluation.confused_pairs(matrix, ("a", "b", "c"), directed=False, count=1)
    # a-b and b-c are confused 5 times each; the rate decides.
    assert [tuple(pair) for pair in both] == [("a", "b", 5, 0.25)]


# Examples -----------------------------------------------------------------------------


def test_right_and_wrong_examples_part_the_set_and_fall_in_confidence():
    labels, probabilities = made_up()
    right = evaluation.right_examples(labels, probabilities)
    wrong = evaluation.wrong_examples(labels, probabilities)
    assert sorted([*right, *wrong]) == list(range(len(labels)))
    predictions = probabilities.argmax(1)
    assert (predictions[right] == labels[right]).all()
    assert (predictions[wrong] != labels[wrong]).all()
    for found in (right, wrong):
        assert (np.diff(probabilities.max(1)[found]) <= 0).all()
    np.testing.assert_array_equal(
        evaluation.wrong_examples(labels, probabilities, count=3), wrong[:3]
    )


def test_plausible_mistakes_are_near_misses_closest_first():
    labels = np.array([0, 0, 0, 0, 0])
    probabilities = np.array(
        [
            [0.6, 0.4, 0.0],  # right
            [0.4, 0.5, 0.1],  # close second
            [0.1, 0.5, 0.4],  # third
            [0.1, 0.9, 0.0],  # second, far behind
            [0.45, 0.1, 0.45 + 1e-9],  # closer second
        ]
    )
    found = evaluation.plausible_mistakes(labels, probabilities)
    np.testing.assert_array_equal(found, [4, 1])
    every = evaluation.plausible_mistakes(labels, probabilities, max_gap=1)
    np.testing.assert_array_equal(every, [4, 1, 3])


def test_plausible_mistakes_with_masks_need_the_predicted_class_in_the_picture():
    labels = np.array([5, 5, 5, 5])
    probabilities = np.eye(6)[[0, 0, 0, 5]]
    masks = np.full((4, 10, 10), 5, np.uint8)
    masks[0, :3] = 0  # 30 % buildings
    masks[1, :1, :2] = 0  # 2 %
    masks[2, :6] = 0  # 60 %
    masks[3, :6] = 0  # rightly a street
    found = evaluation.plausible_mistakes(labels, probabilities, masks=masks)
    np.testing.assert_array_equal(found, [2, 0])
    np.testing.assert_allclose(
        evaluation.class_share(masks, np.zeros(4, int)), [0.3, 0.02, 0.6, 0.6]
    )


# Calibration --------------------------------------------------------------------------


def test_calibration_agrees_with_scikit_learn_where_that_has_bins():
    labels, probabilities = made_up(n=2000)
    parts = evaluation.calibration(labels, probabilities, bins=8)
    assert parts["count"].sum() == 2000
    filled = parts["count"] > 0
    accuracy, confidence = calibration_curve(
        probabilities.argmax(1) == labels, probabilities.max(1), n_bins=8
    )
    np.testing.assert_allclose(parts["accuracy"][filled], accuracy)
    np.testing.assert_allclose(parts["confidence"][filled], confidence)
    assert np.isnan(parts["accuracy"][~filled]).all() and (~filled).any()


def test_calibration_error_of_two_bins_worked_by_hand():
    """Sure at 0.9 and right half the time; sure at 0.6 and always right."""
    labels = np.array([0, 1, 0, 0])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    error = evaluation.expected_calibration_error(labels, probabilities)
    assert error == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_calibration_error_is_small_when_the_labels_follow_the_probabilities():
    rng = np.random.default_rng(0)
    _, probabilities = made_up(n=20_000)
    uniform = rng.random((20_000, 1))
    labels = (probabilities.cumsum(axis=1) < uniform).sum(axis=1).clip(max=5)
    honest = evaluation.expected_calibration_error(labels, probabilities)
    sharper = evaluation.scale_temperature(probabilities, 0.4)
    assert honest < 0.01
    assert evaluation.expected_calibration_error(labels, sharper) > 0.05


@settings(deadline=None)
@given(st.floats(0.3, 8), st.integers(0, 50))
def test_fitted_temperature_undoes_a_known_one(temperature, seed):
    """Scaling the probabilities by t multiplies the best temperature by 1 / t."""
    labels, probabilities = made_up(n=200, seed=seed)
    base = evaluation.fit_temperature(labels, probabilities)
    scaled = evaluation.scale_temperature(probabilities, temperature)
    fitted = evaluation.fit_temperature(labels, scaled)
    assert fitted == pytest.approx(base / temperature, rel=1e-4)


def test_fitted_temperature_has_the_lowest_cross_entropy_of_a_grid():
    labels, probabilities = made_up(sharpness=4)
    best = evaluation.fit_temperature(labels, probabilities)
    assert best > 1, "these probabilities are too sure"

    def entropy(temperature):
        scaled = evaluation.scale_temperature(probabilities, temperature)
        return metrics.log_loss(labels, scaled)

    assert all(entropy(best) <= entropy(t) for t in np.geomspace(0.2, 20, 60))


@given(st.floats(0.05, 20))
def test_temperature_keeps_the_order_and_the_sum(temperature):
    _, probabilities = made_up(n=30)
    scaled = evaluation.scale_temperature(probabilities, temperature)
    np.testing.assert_array_equal(scaled.argmax(1), probabilities.argmax(1))
    np.testing.assert_allclose(scaled.sum(1), 1)


def test_probability_rounded_to_zero_stays_finite():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    labels = np.array([0, 1, 1])
    assert np.isfinite(evaluation.scale_temperature(probabilities, 3.0)).all()
    assert np.isfinite(evaluation.fit_temperature(labels, probabilities))


# Errors -------------------------------------------------------------------------------

LABELS, PROBABILITIES = made_up(n=5)


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda: evaluation.accuracy_interval(LABELS, PROBABILITIES),
            r"`predictions` must be class indices.*received float64 \(5, 6\)\. Take",
        ),
        (
            lambda: evaluation.accuracy_interval(LABELS, LABELS[:3]),
            "same length of at least 1; received 5 and 3",
        ),
        (
            lambda: evaluation.accuracy_interval(LABELS[:0], LABELS[:0]),
            "received 0 and 0",
        ),
        (
            lambda: evaluation.accuracy_interval(LABELS, LABELS, confidence=95),
            r"lie in \(0, 1\); received 95",
        ),
        (
            lambda: evaluation.confusion(
                labels=LABELS, predictions=LABELS + 6, num_classes=6
            ),
            r"`predictions` must lie in 0..5",
        ),
        (
            lambda: evaluation.right_examples(PROBABILITIES, LABELS),
            "Are `labels` and `probabilities` exchanged",
        ),
        (
            lambda: evaluation.right_examples(LABELS, np.log(PROBABILITIES)),
            "non-negative with rows summing to 1.*softmax of the logits",
        ),
        (
            lambda: evaluation.right_examples(LABELS, PROBABILITIES * np.nan),
            "rows summing to 1; received values nan",
        ),
        (
            lambda: evaluation.classification_table(
                labels=LABELS, predictions=LABELS, class_names=("a",) * 6
            ),
            "differ from each other",
        ),
        (
            lambda: evaluation.confused_pairs(np.zeros((2, 3)), ("a", "b")),
            r"must be \(2, 2\).*received \(2, 3\)",
        ),
        (
            lambda: evaluation.class_share(np.zeros((2, 3)), np.zeros(2)),
            r"received \(2, 3\) and \(2,\)",
        ),
        (
            lambda: evaluation.calibration(LABELS, PROBABILITIES, bins=0),
            "`bins` must be at least 1; received 0",
        ),
        (
            lambda: evaluation.scale_temperature(PROBABILITIES, 0.0),
            "must be positive; received 0.0",
        ),
        (
            lambda: evaluation.bootstrap_interval(LABELS, LABELS[1:]),
            r"received lengths \[5, 4\]",
        ),
        (lambda: evaluation.bootstrap_interval([]), r"received lengths \[0\]"),
        (
            lambda: evaluation.bootstrap_interval(LABELS, confidence=95),
            r"lie in \(0, 1\); received 95",
        ),
        (
            lambda: evaluation.bootstrap_interval(LABELS, repeats=0),
            "at least 1; received 0",
        ),
    ],
)
def test_errors_say_what_came_and_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words):
        call()
