"""Say how well a network names the pictures of a folder of class folders.

FOLDER is as for `scenecam train`; its test part is taken. Where there is none, it is
the same fifth of every class that `train` leaves out; --part all takes every picture.
Classes are matched by name, in any order.

what is written:
  report.txt     accuracy with its 95 % interval, precision, recall and F1 score of
                 every class, calibration error, confusions
  report.json    the same numbers, not rounded
  confusion.csv  the confusion matrix: row = true class, column = predicted class
  confusion.png  the same as a figure; of many classes, the 30 with most mistakes
  mistakes.csv   the pictures named wrongly, the surest mistake first

examples:
  scenecam evaluate photos/ --weights my.keras --out report
  scenecam evaluate more-photos/ --part all --weights photos-resnet --out report
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from scenecam_cli import class_folders, terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `evaluate`."""
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="one folder of pictures for each class")
    terminal.add_network(parser)
    add("--cluster", metavar="local|ADDRESS", help=terminal.CLUSTER)
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
    """Ask the network about every picture, and write the report; each file whole."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window is wanted
    import numpy as np

    from scenecam._data.whole import write_file
    from scenecam_cli.run_folder import TEXT, as_csv, as_json

    network = terminal.open_network(arguments)
    out = Path(os.path.abspath(arguments.out))
    class_folders.check_outside(out, arguments.folder)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{arguments.out} is a file. Name a folder with --out.")
    pictures, skipped = class_folders.load_pictures(arguments, network.size)
    names = network.class_names
    labels = np.array(_match_classes(pictures.class_names, names))[pictures.labels]
    if arguments.cluster:
        from scenecam_cli import cluster

        probabilities = cluster.predict(arguments, pictures.paths)
    else:
        rows = _predictions(network, pictures.images, arguments.batch_size)
        probabilities = np.stack(list(terminal.with_progress(rows, len(pictures))))
    files = [os.path.relpath(path, arguments.folder) for path in pictures.paths]
    about = {
        "network": arguments.weights,
        "network SHA-256": network.sha256,
        "folder": f"{arguments.folder}, part {arguments.part}",
    }
    numbers = _measure(labels, probabilities, names)
    matrix = np.array(numbers["confusion"])
    cells = [[name, *row] for name, row in zip(names, matrix, strict=True)]
    texts = {
        "report.txt": _report_text(numbers, about),
        "report.json": as_json({**about, **numbers}),
        "confusion.csv": as_csv([["true \\ predicted", *names], *cells]),
        "mistakes.csv": as_csv(_mistakes(files, labels, probabilities, names)),
    }
    for name, text in texts.items():
        write_file(out / name, text.encode(**TEXT))
    write_file(out / "confusion.png", _figure(matrix, names))
    print("\n".join(_summary(numbers)))
    print(f"Report: {out / 'report.txt'}")
    return terminal.report_problems(skipped)


def _match_classes(wanted: Sequence[str], known: Sequence[str]) -> list[int]:
    """Find the classes of a folder among those of a network, by name."""
    from scenecam._models.weights import listed

    strange = [name for name in wanted if name not in known]
    if strange:
        raise ValueError(
            f"the network does not know the class{'es' * (len(strange) > 1)} "
            f"{listed([*map(repr, strange)])}; it knows {listed(known)}. Leave "
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


def _measure(labels, probabilities, class_names: Sequence[str]) -> dict:
    """Give the numbers of ``report.json``.

    Labels (n,) and probabilities (n, k) are in the order of the network's outputs; a
    row of the confusion matrix is a true class. Classes without a picture have no
    scores, and no share in the means. The calibration error is None where the rows of
    `probabilities` do not sum to 1: a network with a sigmoid on every output says
    nothing about one class of several.
    """
    import numpy as np

    from scenecam import evaluation

    both = {"labels": labels, "predictions": probabilities.argmax(axis=1)}
    accuracy, *interval = evaluation.accuracy_interval(**both)
    table = evaluation.classification_table(**both, class_names=class_names)
    classes = {name: table[name] for name in class_names if table[name]["support"]}
    error = None
    if np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        error = evaluation.expected_calibration_error(labels, probabilities)
    matrix = evaluation.confusion(**both, num_classes=len(class_names))
    pairs = evaluation.confused_pairs(matrix, class_names)
    means = with_summary(classes, accuracy)["macro avg"]
    return {
        "pictures": len(labels),
        "accuracy": accuracy,
        "interval": interval,
        "macro_f1": means["f1-score"],
        "calibration_error": error,
        "classes": classes,
        "confusion": matrix.tolist(),
        "confused": [pair._asdict() for pair in pairs],
    }


def with_summary(classes: dict[str, dict[str, float]], accuracy: float) -> dict:
    """Sum up classes as `evaluation.classification_table` does, those given alone."""
    import numpy as np

    rows = np.array([[*row.values()] for row in classes.values()])
    table = {**classes, "accuracy": accuracy}
    for name, weights in (("macro avg", None), ("weighted avg", rows[:, -1])):
        means = np.average(rows, axis=0, weights=weights)
        means[-1] = rows[:, -1].sum()
        keys = next(iter(classes.values()))
        table[name] = dict(zip(keys, means.tolist(), strict=True))
    return table


def _report_text(numbers: dict, about: dict) -> str:
    """Give the numbers as a page of text."""
    from scenecam.evaluation import table_text

    table = with_summary(numbers["classes"], numbers["accuracy"])
    head = [f"{key}: {value}" for key, value in about.items()]
    lines = [*head, "", *_summary(numbers), "", table_text(table, digits=3)]
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
    called = f"{pair['true']} called {pair['predicted']}"
    return f"{called} {pair['count']:,} ({pair['rate']:.0%})"


def _mistakes(files, labels, probabilities, class_names) -> Iterator[Sequence]:
    """Iterate over the rows of ``mistakes.csv``, the surest mistake first."""
    yield "file", "true", "predicted", "probability", "true_probability"
    predictions = probabilities.argmax(axis=1)
    wrong = (predictions != labels).nonzero()[0]
    for i in wrong[(-probabilities[wrong].max(axis=1)).argsort(kind="stable")]:
        names = [class_names[label] for label in (labels[i], predictions[i])]
        sure = [probabilities[i, label] for label in (predictions[i], labels[i])]
        yield [files[i], *names, *(f"{each:.6f}" for each in sure)]


def _figure(matrix, class_names: Sequence[str]) -> bytes:
    from matplotlib.figure import Figure

    from scenecam import charts

    # A figure of its own, without pyplot, which would keep it; about as many inches as
    # the cells need.
    few = len(class_names) <= 20
    side = max(5.0, 0.85 * len(class_names)) if few else 16
    figure = Figure(figsize=(side * 1.16, side), layout="constrained", dpi=150)
    cells = "both" if few else "count"
    charts.confusion_matrix(matrix, class_names, cells=cells, ax=figure.add_subplot())
    data = io.BytesIO()
    figure.savefig(data, format="png", facecolor="white", bbox_inches="tight")
    return data.getvalue()
