"""The command line: arguments, progress, exit codes; where all parts meet.

Each command is one function that takes the parsed arguments and returns an exit code:
0 if all went well, 1 if something could not be done, 2 if the command was mistaken, 130
if it was interrupted. What it needs is imported inside it, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scenecam import __version__
from scenecam.arguments import make_parser, read_names
from scenecam.terminal import counted, duration, with_progress, without_notes

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``scenecam``; those of the process when None.

    Returns
    -------
    int
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not end the run.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")
    arguments = make_parser().parse_args(argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except KeyboardInterrupt:
        return _say(130, "interrupted; the same command goes on from here.")
    except (ValueError, FileNotFoundError) as error:
        if getattr(error, "errno", None):  # the system's, such as DIR being deleted
            return _say(1, _system_error(error))
        return _say(2, str(error))
    except MemoryError as error:
        return _say(1, str(error) or "there is not enough memory.")
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _say(1, _system_error(error))


def _explain(arguments: argparse.Namespace) -> int:
    """Write maps, heatmaps, overlays and an index for pictures."""
    from scenecam import explain, results

    out = Path(os.path.abspath(arguments.out))
    old = results.read_settings(out)
    keep_root = old.get("pictures") if old and not arguments.overwrite else None
    root, files = explain.find_pictures(arguments.pictures, out=out, root=keep_root)
    network = _open_network(arguments)
    settings = _settings(arguments, network, root)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"the folder {arguments.out} cannot be made: {error.strerror}. "
            "Choose another --out."
        ) from None
    with results.locked(out):
        if old and arguments.overwrite:
            results.remove_results(out, old, files)
        elif old:
            results.check_settings(out, old, settings)
        if not old or arguments.overwrite:
            results.write_settings(out, settings)
        asked = 1 if network.classes is None else len(network.classes)
        with results.Index(out, rows_per_picture=asked) as index:
            return _run_stream(arguments, network, files, root, index)


def _open_network(arguments: argparse.Namespace):
    with without_notes():
        from scenecam import networks

        classes = arguments.classes
        if classes not in ("all", "predicted"):
            classes = read_names(classes)
        given = arguments.class_names
        return networks.open_network(
            arguments.weights,
            method=arguments.method,
            layer=arguments.layer,
            classes=classes,
            class_names=None if given is None else read_names(given),
            pixels=arguments.pixels,
            input_size=arguments.input_size,
        )


def _settings(arguments: argparse.Namespace, network, root: str) -> dict:
    """All that the files depend on, as JSON knows it."""
    names = list(network.class_names)
    wanted = network.classes
    return {
        "scenecam": __version__,
        "pictures": root,
        "weights": arguments.weights,
        "weights_sha256": network.sha256,
        "pixels": network.pixels,
        "input_size": list(network.size),
        "class_names": names,
        "method": network.method,
        "layer": network.layer,
        "classes": "predicted" if wanted is None else [names[i] for i in wanted],
        "size": arguments.size,
        "format": arguments.format,
        "opacity": arguments.opacity,
        "common_scale": arguments.common_scale,
    }


def _run_stream(arguments, network, files, root, index) -> int:
    """Let the pictures through, show how far it is, and say what came of it."""
    from scenecam import explain, results

    look = explain.Look(
        size=arguments.size,
        ending=arguments.format,
        opacity=arguments.opacity,
        common_scale=arguments.common_scale,
    )
    todo = sum(file not in index.done for file in files)
    if todo < len(files):
        print(f"{len(files) - todo:,} of {len(files):,} pictures were done before.")
    if todo:
        how = f"{network.method} at layer {network.layer} of {arguments.weights}"
        print(f"{counted(todo, 'picture')}, {how}", flush=True)
    # Whole pictures are in memory where they are to be shown whole.
    batch_size = arguments.batch_size or (4 if look.size is None else 32)
    outcomes = explain.explain_pictures(
        network, files, root=root, index=index, look=look, batch_size=batch_size
    )
    problems, maps, dark, start = [], 0, 0, time.monotonic()
    with contextlib.closing(outcomes):
        for outcome in with_progress(outcomes, todo):
            if outcome.problem:
                problems.append(outcome.problem)
            maps += len(outcome.rows)
            dark += sum(row["evidence"] == "no" for row in outcome.rows)
    if done := todo - len(problems):
        seconds = duration(time.monotonic() - start)
        print(f"{counted(done, 'picture')} explained in {seconds}.")
    if dark:
        print(
            f"{dark:,} of {counted(maps, 'map')} have no positive value: nothing in "
            "the picture speaks for the class. See the column evidence."
        )
    print(f"Index: {index.folder / results.INDEX}")
    return _report_problems(problems)


def _report_problems(problems: Sequence[str]) -> int:
    """Say which pictures were left out, and return the exit code."""
    if not problems:
        return 0
    print(f"{counted(len(problems), 'picture')} left out:", file=sys.stderr)
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)
    return 1


def _show(arguments: argparse.Namespace) -> int:
    """Draw the contact sheets of an output folder."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window is wanted
    from scenecam import results, sheets

    folder = Path(os.path.abspath(arguments.folder))
    last = 0
    for path, first, last in sheets.contact_sheets(
        folder, rows=arguments.rows, pages=arguments.pages
    ):
        print(f"{path}  (pictures {first:,} to {last:,})")
    explained = sum(1 for _ in results.read_pictures(folder))
    if last < explained:
        print(f"{explained - last:,} more pictures: --pages all draws all of them.")
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    """Put a public set of pictures into data/."""
    from scenecam import fetching

    fetching.fetch(
        arguments.set,
        source=arguments.source,
        again=arguments.again,
        say=lambda sentence: print(sentence, flush=True),
        progress=with_progress,
    )
    return 0


def _train(arguments: argparse.Namespace) -> int:
    """Train a network on a folder of class folders."""
    with without_notes():
        from scenecam import runs

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
        return _say(130, "interrupted; with --resume the same command goes on.")
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
    _report_problems(skipped)
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    """Write how well a network names the pictures of a folder."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window is wanted
    import numpy as np

    with without_notes():
        from scenecam import networks, reports

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
    return _report_problems(skipped)


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


COMMANDS = {
    "explain": _explain,
    "show": _show,
    "fetch": _fetch,
    "train": _train,
    "evaluate": _evaluate,
}


def _say(code: int, sentence: str) -> int:
    print(f"scenecam: {sentence}", file=sys.stderr)
    return code


def _system_error(error: OSError) -> str:
    if not error.errno:  # our own, and a sentence already
        return str(error)
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in DISK_FULL:
        return (
            f"the disk is full{where}. What was written before is whole; make room, "
            "and run the command again."
        )
    return f"{error.strerror or error}{where}."
