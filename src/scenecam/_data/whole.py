"""Files and folders that appear whole or not at all, whenever a run is killed.

What is being written stands beside its place, under a name that is the same in every
run: what a killed run leaves there, the next one overwrites. Where several may write
one thing at once (`shared`), each has a name of its own.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def _own_name(shared: bool) -> str:
    return f"{os.urandom(8).hex()}." if shared else ""


@contextlib.contextmanager
def whole_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give a place to write to; what stands there at the end becomes `path`.

    Folders on the way are made. After an error `path` is as it was before. Raises
    OSError as the system says, such as on a full disk.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays the same: Keras and NumPy choose a format by it.
    partial = path.with_name(f".partial.{_own_name(shared)}{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a file with `whole_file`."""
    with whole_file(path) as partial:
        partial.write_bytes(data)


@contextlib.contextmanager
def whole_folder(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give an empty folder to fill; at the end it takes the place of `path`.

    After an error, or a kill at any moment, what was there before is there again, at
    the latest when the next run begins or calls `mend_folder`. If `shared`, nothing is
    replaced: what came to stand there in the meantime stays.
    """
    own = _own_name(shared)
    partial, old = mend_folder(path, own)
    partial.mkdir(parents=True)
    try:
        yield partial
        if not shared and path.exists():
            os.replace(path, old)
        try:
            os.replace(partial, path)
        except OSError:
            if not (shared and path.exists()):
                raise
    finally:
        mend_folder(path, own)


def mend_folder(path: Path, own: str = "") -> tuple[Path, Path]:
    """Remove what a killed `whole_folder` left; return its two places, now free."""
    partial = path.with_name(f".partial.{own}{path.name}")
    old = path.with_name(f".old.{own}{path.name}")
    if old.exists() and not path.exists():
        os.replace(old, path)  # it was killed between the two moves
    for left in (partial, old):
        shutil.rmtree(left, ignore_errors=True)
    return partial, old
