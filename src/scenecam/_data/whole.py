"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_file(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; its folders are made.

    Raises
    ------
    OSError
        As the system says, such as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same name in every run, so that a run after a kill leaves none behind.
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
