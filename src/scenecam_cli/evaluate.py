"""Say how well a network names the pictures of a folder of class folders.

FOLDER is as for `scenecam train`; its test part is taken. Where there is none, it is
the same fifth of every class that `train` leaves out; --part all takes every picture.
Classes are matched by name, in any order.

what is written:
  report.txt     accuracy with its 95 % interval, precision, recall and F1 score of
                 every class, calibration error, confusions
  report.json    the same numbers, not rounded
  confusion.csv  the confusion matrix: row = true class, column = predicted class
  confusion.png  the same as a figure
  mistakes.csv   the pictures named wrongly, the surest mistake first

examples:
  scenecam evaluate photos/ --weights my.keras --out report
  scenecam evaluate more-photos/ --part all --weights photos-resnet --out report
"""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from scenecam_cli import class_folders, terminal

REPORT, NUMBERS = "report.txt", "report.json"
CONFUSION, FIGURE, MISTAKES = "confusion.csv", "confusion.png", "mistakes.csv"
MISTAKE_COLUMNS = ("file", "true", "predicted", "probability", "true_probability")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `evaluate`."""
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="one folder of pictures for each class")
    terminal.add_network(parser)
    add("--out", required=True, metavar="DIR", help="folder to write to")
    class_folders.add_arguments(parser, part="test")
    add(
        "--batch-size",
        type=terminal.positive,
        default=64,
        metavar="N",
        help="pictures at a time (default: 64)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask the network about every picture, and write the report."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window is wanted
    import numpy as np

    with terminal.without_notes():
        from scenecam_cli.network import open_network

        network = open_network(
            arguments.weights,
            class_names=arguments.class_names,
            pixels=arguments.pixels,
            input_size=arguments.input_size,
        )
    out = Path(os.path.abspath(arguments.out))
    class_folders.check_outside(out, arguments.folder)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{arguments.out} is a file. Name a folder with --out.")
    pictures, skipped = class_folders.load_pictures(arguments, network.size)
    places = np.array(_match_classes(pictures.class_names, network.class_names))
    rows = _predictions(network, pictures.images, arguments.batch_size)
    numbers = write_report(
        out,
        about={
            "network": arguments.weights,
            "network SHA-256": network.sha256,
            "pictures": f"{arguments.folder}, part {arguments.part}",
        },
        files=[os.path.relpath(path, arguments.folder) for path in pictures.paths],
        labels=places[pictures.labels],
        probabilities=np.stack(list(terminal.with_progress(rows, len(pictures)))),
        class_names=network.class_names,
    )
    for line in _summary(numbers):
        print(line)
    print(f"Report: {out / REPORT}")
    return terminal.report_problems(skipped)


def _match_classes(wanted: Sequence[str], known: Sequence[str]) -> list[int]:
    """Find the classes of a folder among those of a network, by name."""
    strange = [name for name in wanted if name not in known]
    if strange:
        raise ValueError(
            f"the network does not know the class{'es' * (len(strange) > 1)} "
            f"{', '.join(map(repr, strange))}; it knows {', '.join(known)}. Leave "
            "class folders out with --classes, or name its classes with --class-names."
        )
    return [known.index(name) for name in wanted]


def _predictions(network, pictures, batch_size: int) -> Iterator:
    """Iterate over the probabilities of pictures that are as large as they must be."""
    import numpy as np

    for start in range(0, len(pictures), batch_size):
        batch = pictures[start : start + batch_size]
        yield from network.predict(np.stack([network.fit_picture(p) for p in batch]))


# ---- The report ----------------------------------------------------------------------


def write_report(
    folder: Path,
    *,
    about: dict,
    files: Sequence[str],
    labels,
    probabilities,
    class_names,
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
    labels : ndarray of shape (n,), int
        True class of every picture.
    probabilities : ndarray of shape (n, k), float
        Of the network.
    class_names : sequence of k str
        In the order of the network's outputs.

    Returns
    -------
    dict
        The numbers of ``report.json``, without `about`: ``pictures``; ``accuracy`` with
        its ``interval`` (95 %); ``macro_f1``, over the classes that have pictures;
        ``calibration_error``, None where the rows of `probabilities` do not sum to 1;
        ``classes``, the scores of those classes; ``confusion`` (k lists of k), row =
        true class; ``confused``, pairs of classes with their count, the most frequent
        first.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    from scenecam._data.whole import write_file
    from scenecam_cli.run_folder import TEXT, as_csv

    numbers = _measure(labels, probabilities, class_names)
    matrix = numbers["confusion"]
    cells = [[name, *row] for name, row in zip(class_names, matrix, strict=True)]
    mistakes = _mistakes(files, labels, probabilities, class_names)
    texts = {
        REPORT: _report_text(numbers, about),
        NUMBERS: json.dumps({**about, **numbers}, indent=1, ensure_ascii=False) + "\n",
        CONFUSION: as_csv([["true \\ predicted", *class_names], *cells]),
        MISTAKES: as_csv([MISTAKE_COLUMNS, *mistakes]),
    }
    for name, text in texts.items():
        write_file(folder / name, text.encode(**TEXT))
    write_file(folder / FIGURE, _figure(matrix, class_names))
    return numbers


def _measure(labels, probabilities, class_names: Sequence[str]) -> dict:
    import numpy as np

    from scenecam import evaluation

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


def _report_text(numbers: dict, about: dict) -> str:
    """Give the numbers as a page of text."""
    import numpy as np

    from scenecam import evaluation

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
    head = [f"{key}: {value}" for key, value in about.items()]
    lines = [*head, "", *_summary(numbers), "", evaluation.table_text(table, digits=3)]
    if numbers["confused"]:
        lines += ["", "confusions (true class called another one):"]
        lines += [f"  {_pair(pair)}" for pair in numbers["confused"]]
    return "\n".join(lines) + "\n"


def _summary(numbers: dict) -> list[str]:
    """Give the most important numbers as two or three lines."""
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
    wrong = (predictions != labels).nonzero()[0]
    order = wrong[(-probabilities[wrong].max(axis=1)).argsort(kind="stable")]
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


def _figure(matrix: list[list[int]], class_names: Sequence[str]) -> bytes:
    import numpy as np
    from matplotlib.figure import Figure

    from scenecam import charts

    # A figure of its own, without pyplot, which would keep it; about as many inches as
    # the cells need.
    side = max(5.0, 0.85 * len(class_names))
    figure = Figure(figsize=(side * 1.16, side), layout="constrained", dpi=150)
    charts.confusion_matrix(
        np.array(matrix),
        class_names,
        cells="both" if len(class_names) <= 20 else "count",
        ax=figure.add_subplot(),
    )
    data = io.BytesIO()
    figure.savefig(data, format="png", facecolor="white")
    return data.getvalue()
