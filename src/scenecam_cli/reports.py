"""The folder that `scenecam evaluate` fills: numbers, confusions and mistakes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scenecam import charts, evaluation
from scenecam_cli import run_folder as results

REPORT, NUMBERS = "report.txt", "report.json"
CONFUSION, FIGURE, MISTAKES = "confusion.csv", "confusion.png", "mistakes.csv"
MISTAKE_COLUMNS = ("file", "true", "predicted", "probability", "true_probability")


def match_classes(wanted: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Find the classes of a folder among those of a network, by name.

    Parameters
    ----------
    wanted : sequence of str
        Names of the folder's classes.
    known : sequence of str
        Names of the network's classes, in the order of its outputs.

    Returns
    -------
    ndarray of shape (len(wanted),), int64
        Where each wanted name stands among the known ones.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    strange = [name for name in wanted if name not in known]
    if strange:
        raise ValueError(
            f"the network does not know the class{'es' * (len(strange) > 1)} "
            f"{', '.join(map(repr, strange))}; it knows {', '.join(known)}. Leave "
            "class folders out with --classes, or name its classes with --class-names."
        )
    return np.array([list(known).index(name) for name in wanted], np.int64)


def measure(
    *, labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict:
    """Give all numbers of the report.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        True class of every picture.
    probabilities : ndarray of shape (n, k), float
        Of the network.
    class_names : sequence of k str
        In the order of the network's outputs.

    Returns
    -------
    dict
        ``pictures``; ``accuracy`` with its ``interval`` (95 %); ``macro_f1``, over
        the classes that have pictures; ``calibration_error``, None where the rows of
        `probabilities` do not sum to 1; ``classes``, the scores of those classes;
        ``confusion`` (k lists of k), row = true class; ``confused``, pairs of classes
        with their count, the most frequent first.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """
    predictions = probabilities.argmax(axis=1)
    both = {"labels": labels, "predictions": predictions}
    accuracy, low, high = evaluation.accuracy_interval(labels, predictions)
    table = evaluation.classification_table(**both, class_names=class_names)
    classes = {name: table[name] for name in class_names if table[name]["support"]}
    error = None
    # A network with a sigmoid on every output says nothing about one class of several.
    if np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        error = evaluation.expected_calibration_error(labels, probabilities)
    matrix = evaluation.confusion(**both, num_classes=len(class_names))
    pairs = evaluation.confused_pairs(matrix, class_names)
    return {
        "pictures": len(labels),
        "accuracy": accuracy,
        "interval": [low, high],
        "macro_f1": float(np.mean([row["f1-score"] for row in classes.values()])),
        "calibration_error": error,
        "classes": classes,
        "confusion": matrix.tolist(),
        "confused": [pair._asdict() for pair in pairs],
    }


def write_report(
    folder: Path,
    *,
    about: dict,
    files: Sequence[str],
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
) -> dict:
    """Write the report, the confusion matrix and the mistakes; each file whole.

    Parameters
    ----------
    folder : Path
        It and the folders on the way to it are made; older reports are replaced.
    about : dict
        What was evaluated on what; it stands at the head of the report.
    files : sequence of n str
        Names of the pictures.
    labels, probabilities, class_names
        As in `measure`.

    Returns
    -------
    dict
        What `measure` gives.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    OSError
        If a file cannot be written.
    """
    numbers = measure(
        labels=labels, probabilities=probabilities, class_names=class_names
    )
    matrix = np.array(numbers["confusion"])
    cells = [[name, *row] for name, row in zip(class_names, matrix, strict=True)]
    mistakes = _mistakes(files, labels, probabilities, class_names)
    text = {
        REPORT: report_text(numbers, about),
        NUMBERS: json.dumps({**about, **numbers}, indent=1, ensure_ascii=False) + "\n",
        CONFUSION: _csv([["true \\ predicted", *class_names], *cells]),
        MISTAKES: _csv([MISTAKE_COLUMNS, *mistakes]),
    }
    for name, content in text.items():
        results.write_file(folder / name, content.encode(**results.TEXT))
    results.write_file(folder / FIGURE, _figure(matrix, class_names))
    return numbers


def report_text(numbers: dict, about: dict) -> str:
    """Give the numbers of `measure` as a page of text."""
    head = [f"{key}: {value}" for key, value in about.items()]
    scores = list(numbers["classes"].values())
    columns = ("precision", "recall", "f1-score")
    weights = [row["support"] for row in scores]
    total = {"support": sum(weights)}
    # Classes without a picture have no scores, and no share in the means.
    table = {
        **numbers["classes"],
        "accuracy": numbers["accuracy"],
        "macro avg": {c: np.mean([row[c] for row in scores]) for c in columns} | total,
        "weighted avg": {
            c: np.average([row[c] for row in scores], weights=weights) for c in columns
        }
        | total,
    }
    lines = [*head, "", *summary(numbers), "", evaluation.table_text(table, digits=3)]
    if numbers["confused"]:
        lines += ["", "confusions (true class called another one):"]
        lines += [f"  {_pair(pair)}" for pair in numbers["confused"]]
    return "\n".join(lines) + "\n"


def summary(numbers: dict) -> list[str]:
    """Give the most important numbers of `measure` as two or three lines."""
    low, high = numbers["interval"]
    error = numbers["calibration_error"]
    lines = [
        f"accuracy {numbers['accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%}) "
        f"on {numbers['pictures']:,} pictures",
        f"macro F1 {numbers['macro_f1']:.3f}, calibration error "
        + (f"{error:.3f}" if error is not None else "not defined (one sigmoid each)"),
    ]
    if numbers["confused"]:
        most = "; ".join(map(_pair, numbers["confused"][:3]))
        lines.append(f"most frequent confusions: {most}")
    return lines


def _pair(pair: dict) -> str:
    return (
        f"{pair['true']} called {pair['predicted']} {pair['count']:,} "
        f"({pair['rate']:.0%})"
    )


def _mistakes(files, labels, probabilities, class_names) -> list[list]:
    """List the pictures named wrongly, the surest mistake first."""
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    order = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    return [
        [
            files[i],
            class_names[labels[i]],
            class_names[predictions[i]],
            f"{probabilities[i, predictions[i]]:.6f}",
            f"{probabilities[i, labels[i]]:.6f}",
        ]
        for i in order
    ]


def _csv(rows) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _figure(matrix: np.ndarray, class_names: Sequence[str]) -> bytes:
    from matplotlib.figure import Figure

    # A figure of its own, without pyplot, which would keep it; about as many inches as
    # the cells need.
    side = max(5.0, 0.85 * len(class_names))
    figure = Figure(figsize=(side * 1.16, side), layout="constrained", dpi=150)
    cells = "both" if len(class_names) <= 20 else "count"
    charts.confusion_matrix(matrix, class_names, cells=cells, ax=figure.add_subplot())
    data = io.BytesIO()
    figure.savefig(data, format="png", facecolor="white")
    return data.getvalue()
