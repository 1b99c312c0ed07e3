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
from scenecam_cli import commands_networks
from scenecam_cli.arguments import make_parser, read_names
from scenecam_cli.terminal import (
    counted,
    duration,
    report_problems,
    say,
    with_progress,
    without_notes,
)

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
        return say(130, "interrupted; the same command goes on from here.")
    except (ValueError, FileNotFoundError) as error:
        if getattr(error, "errno", None):  # the system's, such as DIR being deleted
            return say(1, _system_error(error))
        return say(2, str(error))
    except MemoryError as error:
        return say(1, str(error) or "there is not enough memory.")
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return say(1, _system_error(error))


def _explain(arguments: argparse.Namespace) -> int:
    """Write maps, heatmaps, overlays and an index for pictures."""
    from scenecam_cli import run_folder as results
    from scenecam_cli import stream as explain

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
        from scenecam_cli import network as networks

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
    from scenecam import saving
    from scenecam_cli import run_folder as results
    from scenecam_cli import stream as explain

    look = saving.Look(
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
    return report_problems(problems)


def _show(arguments: argparse.Namespace) -> int:
    """Draw the contact sheets of an output folder."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window is wanted
    from scenecam_cli import run_folder as results
    from scenecam_cli import sheets

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
    from scenecam_cli import fetch

    return fetch.run(arguments)


COMMANDS = {
    "explain": _explain,
    "show": _show,
    "fetch": _fetch,
    "train": commands_networks.train,
    "evaluate": commands_networks.evaluate,
    "show-card": commands_networks.show_card,
    "export": commands_networks.export,
}


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
