"""Numbers about predictions: how often right, where wrong, how sure.

Everything here takes plain arrays of n pictures and k classes: `labels` (n,) int, the
true class of every picture; `predictions` (n,) int, the class that the network chose;
`probabilities` (n, k) float, the softmax output with rows summing to 1; `class_names`,
those of class 0, 1, ... A `ValueError` says where they do not fit together.

The table and the confusion matrix take their arguments by name only, because
`(labels, predictions)` and `(predictions, labels)` both run, and the second one
silently exchanges precision with recall.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from scipy import optimize, special, stats
from sklearn import metrics

Names = Sequence[str]  # of class 0, 1, ...
Count = int | None  # how many to give: all when None
# Name of a row -> the scores of one class, or of all; of "accuracy" a single number.
Table = dict[str, dict[str, float] | float]

_COLUMNS = ("precision", "recall", "f1-score", "support")
_SUMMARY_ROWS = ("accuracy", "macro avg", "weighted avg")


class ConfusedPair(NamedTuple):
    """One kind of mistake: how many pictures of `true` were called `predicted`."""

    true: str
    predicted: str
    count: int
    rate: float


def accuracy_interval(
    labels: ndarray, predictions: ndarray, *, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Share of right predictions with Wilson's score interval: value, low and high end.

    Unlike the textbook interval it stays inside [0, 1] and is honest when every
    prediction is right, or when there are only a few pictures. Such intervals hold the
    true accuracy as often as `confidence` says, a number in (0, 1).

    Notes
    -----
    E. B. Wilson (1927), "Probable inference, the law of succession, and statistical
    inference", J. Am. Stat. Assoc. 22(158), 209-212.

    Examples
    --------
    >>> import numpy as np
    >>> [round(x, 3) for x in accuracy_interval(np.zeros(10, int), np.zeros(10, int))]
    [1.0, 0.722, 1.0]
    """
    labels, predictions = _check_pair(labels, predictions)
    _check_confidence(confidence)
    right = int((labels == predictions).sum())
    low, high = stats.binomtest(right, len(labels)).proportion_ci(confidence, "wilson")
    return right / len(labels), float(low), float(high)


def bootstrap_interval(
    *arrays: ndarray,
    statistic: Callable[..., float] = np.mean,
    confidence: float = 0.95,
    repeats: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Value of a statistic, such as the mean, with its percentile bootstrap interval.

    The pictures are drawn again and again with replacement, the same ones from every
    array. To compare two methods on the same pictures, pass the differences of their
    values: that interval is narrower, and one that leaves out 0 tells them apart.

    Parameters
    ----------
    *arrays : ndarray of shape (n, ...)
        One entry per picture; a picture with NaN in any of them is left out.
    statistic : callable
        Takes as many arrays as are given here, returns one number.
    confidence : float in (0, 1)
        How often such an interval holds the true value.
    repeats, seed : int
        Number of resamples; same seed, same interval.

    Returns
    -------
    value, low, high : float
        In the unit of `statistic`; all NaN if no picture is left.

    Notes
    -----
    B. Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of
    Statistics 7(1), 1-26. `scipy.stats.bootstrap` draws the same pictures, but refuses
    a single one.
    """
    data = [*map(np.atleast_1d, arrays)]
    lengths = [*map(len, data)]
    if len(set(lengths)) != 1 or not lengths[0]:
        what = "each array needs one entry per picture, at least 1"
        raise ValueError(f"{what}; received lengths {lengths}.")
    _check_confidence(confidence)
    if repeats < 1:
        raise ValueError(f"`repeats` must be at least 1; received {repeats}.")
    # Only NaN differs from itself.
    known = [(array == array).reshape(lengths[0], -1).all(axis=1) for array in data]
    data = [array[np.all(known, axis=0)] for array in data]
    if not (count := len(data[0])):
        return np.nan, np.nan, np.nan
    rng = np.random.default_rng(seed)
    draws = (rng.integers(count, size=count) for _ in range(repeats))
    values = [statistic(*(array[rows] for array in data)) for rows in draws]
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(statistic(*data)), float(low), float(high)


def confusion(*, labels: ndarray, predictions: ndarray, num_classes: int) -> ndarray:
    """Confusion matrix: row = true class, column = predicted class.

    It is int64 of shape (num_classes, num_classes), with a row also for a class that no
    picture has; the sum of row i is the number of pictures of class i.
    """
    labels, predictions = _check_pair(labels, predictions, num_classes)
    return metrics.confusion_matrix(labels, predictions, labels=range(num_classes))


def verdict(low: float, high: float) -> str:
    """Say whether a claim stands, by the interval of what it claims to be above 0.

    "holds" if the interval lies above 0, "fails" if below, "open" if it holds 0: then
    the pictures do not decide. ValueError if it is no interval.
    """
    if not low <= high:
        raise ValueError(f"`low` must not be above `high`; received {low} and {high}.")
    return "holds" if low > 0 else "fails" if high < 0 else "open"


def classification_table(
    *, labels: ndarray, predictions: ndarray, class_names: Names
) -> Table:
    """Precision, recall, F1 score and support of every class, to print by `table_text`.

    Class names must differ from each other and from the rows that sum them up.

    Returns
    -------
    dict
        Class name -> {"precision", "recall", "f1-score" in [0, 1], "support" in
        pictures}; then "accuracy" (a float, over all classes), "macro avg" (the mean in
        which each class counts the same) and "weighted avg" (in which each picture
        does). A score whose denominator is zero is 0.
    """
    names = _check_names(class_names)
    labels, predictions = _check_pair(labels, predictions, len(names))
    form = {"labels": range(len(names)), "target_names": names, "output_dict": True}
    return metrics.classification_report(labels, predictions, **form, zero_division=0)


def table_text(table: Table, *, digits: int = 2) -> str:
    """`classification_table` as text for a terminal."""
    lines = [("", *_COLUMNS)]
    for name, row in table.items():
        if name == "accuracy":
            row = {"f1-score": row, "support": table["macro avg"]["support"]}
        scores = [f"{row[c]:.{digits}f}" if c in row else "" for c in _COLUMNS[:-1]]
        lines.append((name, *scores, f"{row['support']:.0f}"))
    first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    form = [f"{{:<{first}}}", *(f"{{:>{width}}}" for width in widths)]
    text = ["  ".join(form).format(*line).rstrip() for line in lines]
    # An empty line stands between the classes and the summary.
    return "\n".join([*text[:-3], "", *text[-3:]])


def confused_pairs(
    matrix: ndarray, class_names: Names, *, directed: bool = True, count: Count = None
) -> list[ConfusedPair]:
    """The most frequent mistakes of a confusion matrix, most frequent first.

    Parameters
    ----------
    matrix : ndarray of shape (k, k), int
        From `confusion`: row = true class.
    class_names : sequence of k str
        Those of class 0, 1, ...
    directed : bool
        True keeps "glacier called mountain" and "mountain called glacier" apart;
        False adds them up.
    count : int, optional
        Length of the list; all pairs that were confused at all when None.

    Returns
    -------
    list of ConfusedPair
        `rate` is `count` over the pictures of the true class (of both classes when
        not directed), in [0, 1].
    """
    matrix, names, k = np.asarray(matrix), _check_names(class_names), len(class_names)
    if matrix.shape != (k, k):
        what = f"`matrix` must be ({k}, {k}) for {k} class names"
        raise ValueError(f"{what}; received {matrix.shape}.")
    pictures = np.repeat(matrix.sum(axis=1)[:, None], k, axis=1)
    if not directed:
        matrix, pictures = np.triu(matrix + matrix.T), pictures + pictures.T
    pairs = [
        ConfusedPair(names[i], names[j], int(wrong), float(wrong / pictures[i, j]))
        for (i, j), wrong in np.ndenumerate(matrix)
        if wrong and i != j
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.rate))[:count]


def right_examples(
    labels: ndarray, probabilities: ndarray, *, count: Count = None
) -> ndarray:
    """Pictures that were named rightly, the most confident first.

    Returned are int64 indices into `labels`, of `count` pictures or of all.
    """
    labels, _, predictions, sure = _check_probabilities(labels, probabilities)
    return _largest(predictions == labels, sure, count)


def wrong_examples(
    labels: ndarray, probabilities: ndarray, *, count: Count = None
) -> ndarray:
    """Pictures that were named wrongly, else as `right_examples`."""
    labels, _, predictions, sure = _check_probabilities(labels, probabilities)
    return _largest(predictions != labels, sure, count)


def plausible_mistakes(
    labels: ndarray,
    probabilities: ndarray,
    *,
    masks: ndarray | None = None,
    max_gap: float = 0.3,
    count: Count = None,
) -> ndarray:
    """Predictions that are wrong and still make sense, the most sensible first.

    Without masks: the true class came second, at most `max_gap` behind; the closest
    come first. With masks (n, h, w), a class index per pixel, the truth itself decides:
    the predicted class really covers at least a twentieth of the picture; the largest
    share comes first. Returned are indices as by `right_examples`.
    """
    labels, probs, predictions, sure = _check_probabilities(labels, probabilities)
    wrong = predictions != labels
    if masks is not None:
        shares = class_share(masks, predictions)
        return _largest(wrong & (shares >= 0.05), shares, count)
    second = np.argsort(probs, axis=1)[:, -2]
    gap = sure - probs[np.arange(len(labels)), labels]
    return _largest(wrong & (second == labels) & (gap <= max_gap), -gap, count)


def class_share(masks: ndarray, classes: ndarray) -> ndarray:
    """Share of the pixels of each picture that a class covers: float64 (n,) in [0, 1].

    `masks` (n, h, w) hold the class index of every pixel, `classes` (n,) the class that
    is asked about, one for each picture.
    """
    masks, classes = np.asarray(masks), np.asarray(classes)
    if masks.ndim != 3 or classes.shape != masks.shape[:1]:
        what = "`masks` must be (n, h, w), `classes` (n,) with the same n"
        raise ValueError(f"{what}; received {masks.shape} and {classes.shape}.")
    return (masks == classes[:, None, None]).mean(axis=(1, 2))


def calibration(
    labels: ndarray, probabilities: ndarray, *, bins: int = 10
) -> dict[str, ndarray]:
    """Confidence against accuracy in bins: 80 % sure should be right 8 times in 10.

    Confidence is the largest probability of a picture; `bins` divide (0, 1] evenly.

    Returns
    -------
    dict of ndarray
        "edges" (bins + 1,); "count" (bins,) pictures; "confidence" and "accuracy"
        (bins,), means over the pictures of the bin, NaN where it is empty.
    """
    labels, _, predictions, sure = _check_probabilities(labels, probabilities)
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1; received {bins}.")
    edges = np.linspace(0, 1, bins + 1)
    # Inner edges only: a confidence of exactly 1 belongs to the last bin.
    index = np.searchsorted(edges[1:-1], sure, side="left")
    count, each = np.bincount(index, minlength=bins), (sure, predictions == labels)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
        sure, right = (np.bincount(index, values, bins) / count for values in each)
    return {"edges": edges, "count": count, "confidence": sure, "accuracy": right}


def expected_calibration_error(labels: ndarray, probabilities: ndarray) -> float:
    """Mean distance between confidence and accuracy in ten bins: 0 is perfect, 1 most.

    Notes
    -----
    ECE = sum over bins of (count / n) ``|accuracy - confidence|``: equation 3 of C.
    Guo et al. (2017), "On calibration of modern neural networks", ICML.
    """
    parts = calibration(labels, probabilities)
    gap = np.nan_to_num(np.abs(parts["accuracy"] - parts["confidence"]))
    return float(np.average(gap, weights=parts["count"]))


def scale_temperature(probabilities: ndarray, temperature: float) -> ndarray:
    """Soften (temperature > 1) or sharpen (< 1) probabilities; the order stays.

    The logits are divided by the temperature before the softmax. The logarithm of the
    probabilities is as good as the logits themselves, for softmax forgets a constant
    added to all of them. Returned is float64 (n, k), rows summing to 1.
    """
    if not temperature > 0:
        raise ValueError(f"`temperature` must be positive; received {temperature}.")
    return special.softmax(_log(probabilities) / temperature, axis=1)


def fit_temperature(labels: ndarray, probabilities: ndarray) -> float:
    """The temperature with the lowest cross-entropy, between 0.01 and 100.

    Fit it on validation pictures, use it on others with `scale_temperature`. Above 1
    the network is too sure of itself.

    Notes
    -----
    Equation 9 of Guo et al. (2017). The cross-entropy is convex in 1 / temperature, so
    there is one minimum.
    """
    labels, *_ = _check_probabilities(labels, probabilities)
    logits = _log(probabilities)
    target = logits[np.arange(len(labels)), labels].mean()

    def cross_entropy(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        return special.logsumexp(logits * sharpness, axis=1).mean() - target * sharpness

    limits = {"bounds": np.log([0.01, 100]), "options": {"xatol": 1e-9}}
    return float(np.exp(optimize.minimize_scalar(cross_entropy, **limits).x))


def _log(probabilities: ndarray) -> ndarray:
    """Logarithm that keeps a probability rounded to zero finite."""
    return np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-38))


def _largest(chosen: ndarray, score: ndarray, count: Count) -> ndarray:
    """Indices where `chosen`, by falling score, equal ones in their given order."""
    indices = np.flatnonzero(chosen)
    return indices[np.argsort(-score[indices], kind="stable")][:count]


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie in (0, 1); received {confidence}.")


def _check_names(class_names: Names) -> list[str]:
    """Class names as a list, or an error when they cannot name the rows of a table."""
    rows = [*class_names, *_SUMMARY_ROWS]
    if len(set(rows)) < len(rows):
        what = f"`class_names` must differ from each other and from {_SUMMARY_ROWS}"
        raise ValueError(f"{what}; received {[*class_names]}.")
    return [*class_names]


def _check_pair(labels, predictions, k: int | None = None):
    """Both arrays, or an error that says which one does not fit."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    for name, array in (("labels", labels), ("predictions", predictions)):
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"`{name}` must be class indices, integers of shape (n,); received "
                f"{array.dtype} {array.shape}. Take .argmax(axis=1) of probabilities."
            )
        if k and not np.isin(found := np.unique(array), range(k)).all():
            raise ValueError(f"`{name}` must lie in 0..{k - 1}; received {found}.")
    if len(labels) != len(predictions) or not len(labels):
        what = "`labels` and `predictions` must have the same length of at least 1"
        raise ValueError(f"{what}; received {len(labels)} and {len(predictions)}.")
    return labels, predictions


def _check_probabilities(labels, probabilities) -> tuple[ndarray, ...]:
    """Both arrays, the predicted classes, and the confidence in each; or an error."""
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(
            "`probabilities` must be (n, k) with k >= 2 classes; received "
            f"{probabilities.shape}. Are `labels` and `probabilities` exchanged?"
        )
    predictions = probabilities.argmax(axis=1)
    labels, _ = _check_pair(labels, predictions, probabilities.shape[1])
    low, sure = probabilities.min(), probabilities.max(axis=1)
    # Written so that NaN fails too.
    if not (low >= 0 and np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)):
        raise ValueError(
            "`probabilities` must be non-negative with rows summing to 1; received "
            f"values {low:.3g}..{sure.max():.3g}. Pass the softmax of the logits."
        )
    return labels, probabilities, predictions, sure
