"""What the commands share: bars and sentences, and the options about a network."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

# Between two lines of progress where there is no terminal for a bar.
SECONDS_BETWEEN_LINES = 60

WEIGHTS = "shipped weights, such as photos-resnet, or a .keras or Keras 2 .h5 file"
CLUSTER = "work with Ray on all cores of this machine, or on a cluster"


# ---- What is shown -------------------------------------------------------------------


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Keep to itself what TensorFlow says about the machine while it loads.

    It writes past Python, and in part past its own log level, to the process's stderr.
    What Python raises is not affected.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def with_progress(outcomes: Iterator, total: int) -> Iterator:
    """Show a bar on a terminal, else a line now and then."""
    from tqdm import tqdm

    if sys.stderr.isatty():
        # Asked by tqdm, some terminals say that they are 0 wide, and then see nothing.
        size = shutil.get_terminal_size()
        place = {"ncols": min(100, size.columns), "nrows": size.lines}
        yield from tqdm(outcomes, total=total, unit=" pictures", **place)
        return
    last = time.monotonic()
    for number, outcome in enumerate(outcomes, start=1):
        yield outcome
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{number:,} of {total:,} pictures", file=sys.stderr, flush=True)


def counted(number: int, what: str) -> str:
    """Say how many: ``1 map``, ``2,000 maps``."""
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def duration(seconds: float) -> str:
    """Say how long: ``5.6 s``, ``2 min 3 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def report_problems(problems: Sequence[str]) -> int:
    """Say which pictures were left out, and return the exit code."""
    if problems:
        head = f"{counted(len(problems), 'picture')} left out:"
        print(head, *problems, sep="\n  ", file=sys.stderr)
    return int(bool(problems))


def say(code: int, sentence: str) -> int:
    """Print a sentence to stderr, and return the exit code."""
    print(f"scenecam: {sentence}", file=sys.stderr)
    return code


# ---- What is asked: types of arguments, options of two commands ----------------------


def whole(text: str, least: int = 0) -> int:
    """Read a whole number from `least` up."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from {least} up; got {text}"
        )
    return int(text)


def positive(text: str) -> int:
    """Read a whole number from 1 up."""
    return whole(text, least=1)


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number from 0 to 1; got {text}")


def names(text: str) -> list[str]:
    """Read the names between commas, or the lines of the file named after ``@``."""
    if not text.startswith("@"):
        found = text.split(",")
    else:
        path = Path(text[1:]).expanduser()
        try:
            found = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", "it is no text in UTF-8")
            raise argparse.ArgumentTypeError(f"{path} cannot be read: {why}.") from None
    found = [name.strip() for name in found if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError(
            f"expected names between commas, or a file with names; received {text!r}."
        )
    return found


def add_network(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add what says which network it is, and which pictures it takes."""
    add = parser.add_argument
    add("--weights", required=required, metavar="NAME_OR_FILE", help=WEIGHTS)
    add(
        "--class-names",
        type=names,
        metavar="NAME,NAME|@FILE",
        help="names of the network's classes in their order, or a file with one in "
        "each line (default: those of the card beside the weights, else class_0, ...)",
    )
    group = parser.add_argument_group("the network's pictures")
    group.add_argument(
        "--pixels",
        choices=("255", "unit", "signed"),
        help="the range it was trained on: 0 to 255, 0 to 1, or -1 to 1 (default: what "
        "its first layers bring to a usual range, else 0 to 255)",
    )
    group.add_argument(
        "--input-size",
        type=positive,
        metavar="PIXELS",
        help="height and width, for a network that takes any",
    )


def open_network(arguments: argparse.Namespace, *asked: str):
    """Open the network that the options of `add_network` name; say its warnings."""
    asked = ("class_names", "pixels", "input_size", *asked)
    asked = {key: getattr(arguments, key) for key in asked}
    with without_notes(), warnings.catch_warnings(record=True) as said:
        from scenecam_cli import network

        opened = network.open_network(arguments.weights, **asked)
    for each in said:
        if each.category is UserWarning:
            print(f"note: {each.message}", file=sys.stderr)
    return opened
