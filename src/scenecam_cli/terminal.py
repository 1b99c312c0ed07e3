"""What the command line shows while it works."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence

# Between two lines of progress where there is no terminal for a bar.
SECONDS_BETWEEN_LINES = 60


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
    if not problems:
        return 0
    print(f"{counted(len(problems), 'picture')} left out:", file=sys.stderr)
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)
    return 1


def say(code: int, sentence: str) -> int:
    """Print a sentence to stderr, and return the exit code."""
    print(f"scenecam: {sentence}", file=sys.stderr)
    return code
