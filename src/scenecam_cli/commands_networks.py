"""The commands about networks themselves: train, evaluate, show-card, export.

As in `cli`, each takes the parsed arguments and returns an exit code, and imports what
it needs when it is called.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from scenecam_cli.arguments import read_names
from scenecam_cli.terminal import (
    counted,
    duration,
    report_problems,
    say,
    with_progress,
    without_notes,
)


def train(arguments: argparse.Namespace) -> int:
    """Train a network on a folder of class folders."""
    with without_notes():
        from scenecam_cli import runs

    out = Path(os.path.abspath(arguments.out))
    again = {"resume": arguments.resume, "overwrite": arguments.overwrite}
    _check_outside(out, arguments.folder)
    runs.check_place(out, **again)
    pictures, skipped = _load_pictures(arguments, arguments.size)
    names = ("builder", "size", "epochs", "batch_size", "valid")
    try:
        card, trained = runs.train_network(
            pictures,
            out,
            options={name: getattr(arguments, name) for name in names},
            seed=arguments.seed,
            **again,
        )
    except KeyboardInterrupt:
        return say(130, "interrupted; with --resume the same command goes on.")
    if not trained:
        print("Nothing is left to do: the network stands, and was made like this.")
    scores, data = card["valid"], card["data"]
    print(
        f"{card['builder']} with {card['parameters']:,} parameters, "
        f"{data['train']:,} pictures, {card['epochs']} epochs in "
        f"{duration(60 * card['minutes'])}"
    )
    print(
        f"accuracy {scores['accuracy']:.1%} on the {data['valid']:,} pictures that "
        "chose the epoch; pictures that it has never seen tell more: scenecam evaluate"
    )
    print(f"Network: {out}")
    report_problems(skipped)
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Write how well a network names the pictures of a folder."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window is wanted
    import numpy as np

    with without_notes():
        from scenecam_cli import network as networks
        from scenecam_cli import reports

        given = arguments.class_names
        network = networks.open_network(
            arguments.weights,
            class_names=None if given is None else read_names(given),
            pixels=arguments.pixels,
            input_size=arguments.input_size,
        )
    out = Path(os.path.abspath(arguments.out))
    _check_outside(out, arguments.folder)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{arguments.out} is a file. Name a folder with --out.")
    pictures, skipped = _load_pictures(arguments, network.size)
    places = reports.match_classes(pictures.class_names, network.class_names)
    rows = _predictions(network, pictures.images, arguments.batch_size)
    numbers = reports.write_report(
        out,
        about={
            "network": arguments.weights,
            "network SHA-256": network.sha256,
            "pictures": f"{arguments.folder}, part {arguments.part}",
        },
        files=[os.path.relpath(path, arguments.folder) for path in pictures.paths],
        labels=places[pictures.labels],
        probabilities=np.stack(list(with_progress(rows, len(pictures)))),
        class_names=network.class_names,
    )
    for line in reports.summary(numbers):
        print(line)
    print(f"Report: {out / reports.REPORT}")
    return report_problems(skipped)


def _predictions(network, pictures, batch_size: int):
    """Iterate over the probabilities of pictures that are as large as they must be."""
    import numpy as np

    for start in range(0, len(pictures), batch_size):
        batch = pictures[start : start + batch_size]
        yield from network.predict(np.stack([network.fit_picture(p) for p in batch]))


def _load_pictures(arguments: argparse.Namespace, size):
    """Return the pictures of a folder's part, and why some were left out."""
    import warnings

    from scenecam import data

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", data.SkippedPictures)
        pictures = data.load_folder(
            arguments.folder,
            size=size,
            split=None if arguments.part == "all" else arguments.part,
            class_names=arguments.classes and read_names(arguments.classes),
        )
    skipped = []
    for warning in caught:
        if isinstance(warning.message, data.SkippedPictures):
            skipped += warning.message.skipped.values()
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    print(
        f"{counted(len(pictures), 'picture')} of {len(pictures.class_names)} classes "
        f"(part {arguments.part}): {', '.join(pictures.class_names)}",
        flush=True,
    )
    return pictures, skipped


def _check_outside(out: Path, folder: str) -> None:
    """Raise ValueError if what is to be written would lie among the pictures."""
    if os.path.abspath(folder) in map(str, (out, *out.parents)):
        raise ValueError(
            f"--out {out} lies in the folder of pictures, where it would be taken for "
            "a class. Choose another --out."
        )


def show_card(arguments: argparse.Namespace) -> int:
    """Say what is known about a network."""
    from scenecam_cli import cards

    with without_notes():
        from scenecam._models import weights as files
        from scenecam_cli import network as networks

    path = networks.find_file(arguments.weights)
    card = files.read_card(path)
    if not card:
        raise ValueError(
            f"{arguments.weights} has no card: there is no {files.card_path(path)}. "
            "`scenecam train` writes one, and models.save_model with `card=`."
        )
    print(arguments.weights)
    for line in cards.card_lines(card):
        print(line)
    if card.get("sha256", sha256 := files.sha256_of(path)) != sha256:
        return say(1, f"{path} is not the file that this card describes.")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write a network as TensorFlow Serving takes it."""
    with without_notes():
        from scenecam import models
        from scenecam._models import weights as files
        from scenecam_cli import exporting
        from scenecam_cli import network as networks

        out = Path(os.path.abspath(arguments.out))
        path = networks.find_file(arguments.weights)
        exporting.check_place(out, overwrite=arguments.overwrite)
        folder = exporting.export_model(
            models.load_model(path),
            out,
            card=files.read_card(path),
            overwrite=arguments.overwrite,
        )
    print(f"SavedModel: {folder}")
    return 0
