"""Numbers about predictions: how often right, where wrong, how sure.

Everything here takes plain arrays: `labels`, the true class of every picture;
`predictions`, the class that the network chose; `probabilities`, the softmax output.
The table and the confusion matrix take their arguments by name only, because
`(labels, predictions)` and `(predictions, labels)` both run, and the second one
silently exchanges precision with recall.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn import metrics

# Two-sided standard normal quantiles; Wilson's interval needs nothing more.
_QUANTILES = {0.9: 1.6448536269514722, 0.95: 1.959963984540054, 0.99: 2.5758293035489}
_SUMMARY_ROWS = ("accuracy", "macro avg", "weighted avg")


class ConfusedPair(NamedTuple):
    """One kind of mistake: how many pictures of `true` were called `predicted`."""

    true: str
    predicted: str
    count: int
    rate: float


def accuracy_interval(
    labels: np.ndarray, predictions: np.ndarray, *, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Share of right predictions with Wilson's score interval.

    Unlike the textbook interval it stays inside [0, 1] and is honest when every
    prediction is right, or when there are only a few pictures.

    Parameters
    ----------
    labels, predictions : ndarray of shape (n,), int
        True and predicted class of every picture.
    confidence : {0.9, 0.95, 0.99}
        How often such an interval holds the true accuracy.

    Returns
    -------
    accuracy, low, high : float in [0, 1]

    Raises
    ------
    ValueError
        If the arrays do not fit together, are empty, or `confidence` is another value.

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
    if confidence not in _QUANTILES:
        raise ValueError(
            f"`confidence` must be one of {sorted(_QUANTILES)}; received {confidence}."
        )
    n, z = len(labels), _QUANTILES[confidence]
    accuracy = float(metrics.accuracy_score(labels, predictions))
    centre = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = (
        z / (1 + z**2 / n) * np.sqrt(accuracy * (1 - accuracy) / n + (z / 2 / n) ** 2)
    )
    # Rounding may leave an end a hair inside the accuracy, or outside [0, 1].
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return accuracy, min(low, accuracy), max(high, accuracy)


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: np.ndarray,
    confidence: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Value of any statistic with its percentile bootstrap interval.

    The pictures are drawn again and again with replacement, the same ones from every
    array, and the statistic is computed each time.

    Parameters
    ----------
    statistic : callable
        Takes as many arrays as are given here, returns one number.
    *arrays : ndarray of shape (n, ...)
        Data with one entry for each picture.
    confidence : float in (0, 1)
        How often such an interval holds the true value.
    repeats : int
        Number of resamples.
    seed : int
        Same seed, same interval.

    Returns
    -------
    value, low, high : float
        In the unit of `statistic`.

    Raises
    ------
    ValueError
        If no array is given, the lengths differ, or there is nothing to draw from.

    Notes
    -----
    B. Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of
    Statistics 7(1), 1-26.
    """
    data = [np.asarray(array) for array in arrays]
    lengths = sorted({len(array) for array in data})
    if len(lengths) != 1 or lengths[0] == 0:
        raise ValueError(
            "`arrays` must be one or more arrays of one length of at least 1; "
            f"received lengths {[len(array) for array in data]}."
        )
    if not 0 < confidence < 1 or repeats < 1:
        raise ValueError(
            "`confidence` must lie between 0 and 1 and `repeats` be at least 1; "
            f"received {confidence} and {repeats}."
        )
    rng = np.random.default_rng(seed)
    draws = [
        statistic(*(array[rows] for array in data))
        for rows in rng.integers(lengths[0], size=(repeats, lengths[0]))
    ]
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(statistic(*data)), float(low), float(high)


def confusion(
    *, labels: np.ndarray, predictions: np.ndarray, num_classes: int
) -> np.ndarray:
    """Confusion matrix: row = true class, column = predicted class.

    Parameters
    ----------
    labels, predictions : ndarray of shape (n,), int
        True and predicted class; by name only, so that they cannot be exchanged.
    num_classes : int
        Number of classes, also of those that no picture has.

    Returns
    -------
    ndarray of shape (num_classes, num_classes), int64
        Pictures; the sum of row i is the number of pictures of class i.

    Raises
    ------
    ValueError
        If the arrays do not fit together or hold a class outside 0..num_classes-1.
    """
    labels, predictions = _check_pair(labels, predictions, num_classes)
    matrix = metrics.confusion_matrix(labels, predictions, labels=range(num_classes))
    return matrix.astype(np.int64)


def classification_table(
    *, labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]
) -> dict[str, dict[str, float] | float]:
    """Precision, recall, F1 score and support of every class.

    Parameters
    ----------
    labels, predictions : ndarray of shape (n,), int
        True and predicted class; by name only, so that they cannot be exchanged.
    class_names : sequence of str
        Name of class 0, 1, ...

    Returns
    -------
    dict
        Class name -> {"precision", "recall", "f1-score" in [0, 1], "support" in
        pictures}, then "accuracy" (a float), "macro avg" and "weighted avg". A score
        whose denominator is zero is 0.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or a class name is doubled or is the name
        of a summary row.

    See Also
    --------
    table_text : the same as text.
    """
    names = _check_names(class_names)
    labels, predictions = _check_pair(labels, predictions, len(names))
    table = metrics.classification_report(
        labels,
        predictions,
        labels=range(len(names)),
        target_names=names,
        output_dict=True,
        zero_division=0,
    )
    return {
        row: float(scores)
        if row == "accuracy"
        else {key: float(value) for key, value in scores.items()}
        for row, scores in table.items()
    }


def table_text(
    table: dict[str, dict[str, float] | float],
    *,
    digits: int = 2,
    markdown: bool = False,
) -> str:
    """`classification_table` as text for a terminal, or as a Markdown table."""
    columns = ("precision", "recall", "f1-score", "support")
    total = table["macro avg"]["support"]
    lines = [("", *columns)]
    for row, scores in table.items():
        if row == "accuracy":
            scores = {"f1-score": scores, "support": total}
        cells = [f"{scores[c]:.{digits}f}" if c in scores else "" for c in columns[:-1]]
        lines.append((row, *cells, f"{scores['support']:.0f}"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    padded = [
        [line[0].ljust(widths[0])]
        + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        for line in lines
    ]
    if not markdown:
        # An empty line stands between the classes and the summary.
        padded.insert(len(padded) - sum(row in table for row in _SUMMARY_ROWS), [""])
        return "\n".join("  ".join(line).rstrip() for line in padded)
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]]
    )


def confused_pairs(
    matrix: np.ndarray,
    class_names: Sequence[str],
    *,
    directed: bool = True,
    count: int | None = None,
) -> list[ConfusedPair]:
    """The most frequent mistakes of a confusion matrix, most frequent first.

    Parameters
    ----------
    matrix : ndarray of shape (k, k), int
        From `confusion`: row = true class.
    class_names : sequence of k str
        Name of class 0, 1, ...
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

    Raises
    ------
    ValueError
        If `matrix` is not square or `class_names` has another length.
    """
    matrix = np.asarray(matrix)
    names = _check_names(class_names)
    if matrix.shape != (len(names), len(names)):
        raise ValueError(
            f"`matrix` must be ({len(names)}, {len(names)}), as there are {len(names)} "
            f"class names; received {matrix.shape}."
        )
    support = matrix.sum(axis=1)
    pairs = []
    for i, true in enumerate(names):
        for j, predicted in enumerate(names):
            if i == j or (not directed and j < i):
                continue
            wrong = int(matrix[i, j] if directed else matrix[i, j] + matrix[j, i])
            pictures = support[i] if directed else support[i] + support[j]
            if wrong:
                pairs.append(ConfusedPair(true, predicted, wrong, wrong / pictures))
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.rate))[:count]


def right_examples(
    labels: np.ndarray, probabilities: np.ndarray, *, count: int | None = None
) -> np.ndarray:
    """Pictures that were named rightly, the most confident first.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        True class of every picture.
    probabilities : ndarray of shape (n, k), float
        Softmax output, rows summing to 1.
    count : int, optional
        How many; all when None.

    Returns
    -------
    ndarray of shape (<= count,), int64
        Indices into `labels`.

    Raises
    ------
    ValueError
        If the arrays do not fit together or rows are not probabilities.
    """
    labels, probabilities = _check_probabilities(labels, probabilities)
    right = probabilities.argmax(axis=1) == labels
    return _largest(right, probabilities.max(axis=1), count)


def wrong_examples(
    labels: np.ndarray, probabilities: np.ndarray, *, count: int | None = None
) -> np.ndarray:
    """Pictures that were named wrongly, the most confident mistake first.

    Parameters, Returns and Raises as in `right_examples`.
    """
    labels, probabilities = _check_probabilities(labels, probabilities)
    wrong = probabilities.argmax(axis=1) != labels
    return _largest(wrong, probabilities.max(axis=1), count)


def plausible_mistakes(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    masks: np.ndarray | None = None,
    max_gap: float = 0.3,
    min_share: float = 0.05,
    count: int | None = None,
) -> np.ndarray:
    """Predictions that are wrong and still make sense, the most sensible first.

    Without masks: the true class came second, at most `max_gap` behind; the closest
    come first. With masks the truth itself decides: the predicted class really covers
    at least `min_share` of the picture; the largest share comes first.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        True class of every picture.
    probabilities : ndarray of shape (n, k), float
        Softmax output, rows summing to 1.
    masks : ndarray of shape (n, h, w), uint8, optional
        Class index of every pixel.
    max_gap, min_share : float in [0, 1]
        The two limits above.
    count : int, optional
        How many; all when None.

    Returns
    -------
    ndarray of shape (<= count,), int64
        Indices into `labels`.

    Raises
    ------
    ValueError
        If the arrays do not fit together or rows are not probabilities.
    """
    labels, probabilities = _check_probabilities(labels, probabilities)
    predictions = probabilities.argmax(axis=1)
    wrong = predictions != labels
    if masks is not None:
        shares = class_share(masks, predictions)
        return _largest(wrong & (shares >= min_share), shares, count)
    second = np.argsort(probabilities, axis=1)[:, -2]
    rows = np.arange(len(labels))
    gap = probabilities[rows, predictions] - probabilities[rows, labels]
    return _largest(wrong & (second == labels) & (gap <= max_gap), -gap, count)


def class_share(masks: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """How much of each picture a class covers.

    Parameters
    ----------
    masks : ndarray of shape (n, h, w), uint8
        Class index of every pixel.
    classes : ndarray of shape (n,), int
        The class asked about, one for each picture.

    Returns
    -------
    ndarray of shape (n,), float64
        Share of the pixels, in [0, 1].

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    """
    masks, classes = np.asarray(masks), np.asarray(classes)
    if masks.ndim != 3 or classes.shape != masks.shape[:1]:
        raise ValueError(
            "`masks` must be (n, h, w) and `classes` (n,) with the same n; received "
            f"{masks.shape} and {classes.shape}."
        )
    return (masks == classes[:, None, None]).mean(axis=(1, 2))


def calibration(
    labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 10
) -> dict[str, np.ndarray]:
    """Confidence against accuracy in bins: 80 % sure should be right 8 times in 10.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        True class of every picture.
    probabilities : ndarray of shape (n, k), float
        Softmax output, rows summing to 1. Confidence is the largest of a row.
    bins : int
        Number of bins of equal width on (0, 1].

    Returns
    -------
    dict of ndarray
        "edges" (bins + 1,); "count" (bins,) pictures; "confidence" and "accuracy"
        (bins,), means over the pictures of the bin, NaN where it is empty.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or there is no bin.
    """
    labels, probabilities = _check_probabilities(labels, probabilities)
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1; received {bins}.")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    # Inner edges only: a confidence of exactly 1 belongs to the last bin.
    index = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
        return {
            "edges": edges,
            "count": count,
            "confidence": np.bincount(index, confidence, bins) / count,
            "accuracy": np.bincount(index, right, bins) / count,
        }


def expected_calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 10
) -> float:
    """Mean distance between confidence and accuracy, in [0, 1]; 0 is perfect.

    Parameters and Raises as in `calibration`.

    Notes
    -----
    ECE = sum over bins of (count / n) ``|accuracy - confidence|``: equation 3 of C.
    Guo et al. (2017), "On calibration of modern neural networks", ICML.
    """
    parts = calibration(labels, probabilities, bins=bins)
    gap = np.nan_to_num(np.abs(parts["accuracy"] - parts["confidence"]))
    return float((parts["count"] * gap).sum() / parts["count"].sum())


def scale_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Soften (temperature > 1) or sharpen (< 1) probabilities; the order stays.

    The logits are divided by the temperature before the softmax. Their logarithm is as
    good as the logits themselves, for softmax forgets a constant added to all of them.

    Parameters
    ----------
    probabilities : ndarray of shape (n, k), float
        Softmax output, rows summing to 1.
    temperature : float
        Greater than 0.

    Returns
    -------
    ndarray of shape (n, k), float64
        Rows summing to 1.

    Raises
    ------
    ValueError
        If `temperature` is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"`temperature` must be positive; received {temperature}.")
    logits = _log(probabilities) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature with the lowest cross-entropy, between 0.01 and 100.

    Fit it on validation pictures, use it on others with `scale_temperature`.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        True class of every picture.
    probabilities : ndarray of shape (n, k), float
        Softmax output, rows summing to 1.

    Returns
    -------
    float
        Above 1 when the network is too sure of itself.

    Raises
    ------
    ValueError
        If the arrays do not fit together or rows are not probabilities.

    Notes
    -----
    Equation 9 of Guo et al. (2017). The cross-entropy is convex in 1 / temperature, so
    halving an interval by the sign of the slope finds its one minimum.
    """
    labels, probabilities = _check_probabilities(labels, probabilities)
    logits = _log(probabilities)
    target = logits[np.arange(len(labels)), labels].mean()
    low, high = np.log(1e-2), np.log(1e2)
    for _ in range(60):
        middle = (low + high) / 2
        scaled = scale_temperature(probabilities, np.exp(middle))
        # Slope in 1 / temperature: mean expected logit minus mean logit of the truth.
        slope = (scaled * logits).sum(axis=1).mean() - target
        low, high = (middle, high) if slope > 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def _log(probabilities: np.ndarray) -> np.ndarray:
    """Logarithm that keeps a probability rounded to zero finite."""
    return np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-38))


def _largest(chosen: np.ndarray, score: np.ndarray, count: int | None) -> np.ndarray:
    """Indices where `chosen`, by falling score, equal ones in their given order."""
    indices = np.flatnonzero(chosen)
    return indices[np.argsort(-score[indices], kind="stable")][:count]


def _check_names(class_names: Sequence[str]) -> list[str]:
    """Class names as a list, or an error when they cannot name the rows of a table."""
    names = list(class_names)
    if len(set(names)) < len(names) or set(names) & set(_SUMMARY_ROWS):
        raise ValueError(
            "`class_names` must differ from each other and from "
            f"{_SUMMARY_ROWS}; received {names}."
        )
    return names


def _check_pair(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays, or an error that says which one does not fit."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    for name, array in (("labels", labels), ("predictions", predictions)):
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"`{name}` must be class indices, integers of shape (n,); received "
                f"{array.dtype} {array.shape}. Take .argmax(axis=1) of probabilities."
            )
        if (
            num_classes is not None
            and array.size
            and not (0 <= array.min() and array.max() < num_classes)
        ):
            raise ValueError(
                f"`{name}` must lie in 0..{num_classes - 1}, as there are "
                f"{num_classes} classes; received {array.min()}..{array.max()}."
            )
    if len(labels) != len(predictions) or not len(labels):
        raise ValueError(
            "`labels` and `predictions` must have the same length of at least 1; "
            f"received {len(labels)} and {len(predictions)}."
        )
    return labels, predictions


def _check_probabilities(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays, probabilities in float64, or an error."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(
            "`probabilities` must be (n, k) with k >= 2 classes; received "
            f"{probabilities.shape}. Are `labels` and `probabilities` exchanged?"
        )
    _check_pair(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    # Written so that NaN fails too.
    if not (
        (probabilities >= 0).all()
        and np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    ):
        raise ValueError(
            "`probabilities` must be non-negative with rows summing to 1; received "
            f"values {probabilities.min():.3g}..{probabilities.max():.3g}. Pass "
            "the softmax of the logits."
        )
    return labels, probabilities
