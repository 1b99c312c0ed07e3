"""The folder that `scenecam explain` fills: settings, index, nothing half done.

A file appears whole under its name, and the rows of a picture are appended to the index
after its files. So a run may be killed at any moment: what the index holds is complete,
and the next run does the rest. The settings beside it keep two runs that ask for
different things out of one folder.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from scenecam._data.whole import whole_file, write_file
from scenecam.images import shown_path
from scenecam.saving import class_labels, output_names

SETTINGS = "settings.json"
INDEX = "index.csv"

FILE_COLUMNS = ("map", "heatmap", "overlay")
COLUMNS = (
    "file predicted probability class class_probability evidence peak_row peak_column "
    "peak_logits map map_index heatmap overlay"
).split()

# What is written down but may differ from run to run: the files do not depend on it.
REMARKS = {"scenecam", "weights"}

# A file's name may hold bytes that are no text; they go through the index unchanged.
TEXT = {"encoding": "utf-8", "errors": "surrogateescape"}


@contextlib.contextmanager
def locked(
    folder: Path, *, remedy: str = "Wait for it, or choose another --out."
) -> Iterator[None]:
    """Raise ValueError if another run is at work in the folder; keep later ones out.

    Systems without such locks let both run.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        # The lock is the process's, so a kill leaves none behind.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ValueError(
            f"another run is writing to {shown_path(folder)}. {remedy}"
        ) from None
    except OSError:  # some network file systems have none
        pass
    try:
        yield
    finally:
        os.close(handle)


# ---- Settings ------------------------------------------------------------------------


def read_settings(folder: Path) -> dict | None:
    """Read what a run in the folder was asked for; None in a folder without.

    Raises ValueError if what lies there was not written by this project.
    """
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(**TEXT))
    except FileNotFoundError:
        if (folder / INDEX).exists():
            raise ValueError(
                f"{shown_path(folder)} has an {INDEX} that is not from here (there is "
                f"no {SETTINGS}). Choose another folder."
            ) from None
        return None
    except NotADirectoryError:
        raise ValueError(
            f"{shown_path(folder)} is a file, not a folder. Name a folder."
        ) from None
    except ValueError:
        settings = None
    if not isinstance(settings, dict) or "scenecam" not in settings:
        raise ValueError(
            f"{shown_path(path)} was not written by scenecam. Choose another folder."
        )
    return settings


def write_settings(folder: Path, settings: Mapping) -> None:
    """Write the settings, whole or not at all."""
    write_file(folder / SETTINGS, as_json(settings).encode(**TEXT))


def check_settings(folder: Path, old: Mapping, new: Mapping) -> None:
    """Raise ValueError, with what differs, unless a run with `new` can go on here."""
    changes = [
        f"{key.replace('_', ' ')} was {_shown(old.get(key))}, now {_shown(value)}"
        for key, value in new.items()
        if key not in REMARKS and old.get(key) != value
    ]
    if changes:
        raise ValueError(
            f"{shown_path(folder)} holds results of other settings: "
            f"{'; '.join(changes)}. Choose another --out, or add --overwrite to delete "
            "those results and start again."
        )


def _shown(value) -> str:
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return shown_path(text if len(text) <= 60 else text[:57] + "...")


def remove_results(folder: Path, settings: Mapping, files: Sequence[str]) -> None:
    """Delete what a run with these settings wrote, and nothing else.

    The files that follow, with those of the index, name what a killed run may leave.
    """
    known = {row["file"] for row in read_index(folder)} | set(files)
    (folder / INDEX).unlink(missing_ok=True)
    labels = class_labels(settings["class_names"])
    for file, label in itertools.product(known, labels):
        for name in output_names(file, label, settings["format"]).values():
            (folder / name).unlink(missing_ok=True)
    remove_sheets(folder)


def remove_sheets(folder: Path) -> None:
    """Delete the contact sheets that `scenecam show` drew."""
    for sheet in folder.glob("contact_sheet_[0-9]*.png"):
        sheet.unlink()


# ---- Index ---------------------------------------------------------------------------


def read_index(folder: Path) -> Iterator[dict[str, str]]:
    """Iterate over the rows of the index as text; a torn last line is passed over."""
    try:
        file = open(folder / INDEX, newline="", **TEXT)
    except FileNotFoundError:
        return
    with file:
        rows = csv.reader(line for line in file if line.endswith("\n"))
        # Zeros, as a power cut may leave, end what can be trusted.
        with contextlib.suppress(csv.Error):
            for row in rows:
                if len(row) == len(COLUMNS) and row[0] != COLUMNS[0]:
                    yield dict(zip(COLUMNS, row, strict=True))


def read_pictures(folder: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Iterate over the pictures of the index, or of a dataset, each with its rows."""
    found = read_index(folder)
    if not (folder / INDEX).exists() and any(folder.glob("maps/*.parquet")):
        from scenecam_cli import cluster

        found = cluster.read_rows(cluster.find_place(str(folder)))
    for file, rows in itertools.groupby(found, lambda row: row["file"]):
        yield file, list(rows)


class Index:
    """The index of an output folder, opened to be continued.

    What is not whole is dropped first: torn rows, pictures that lack rows of some of
    the classes that are asked of each, and those whose files were deleted. The pictures
    that need no more work are in `done`.
    """

    def __init__(self, folder: Path, *, rows_per_picture: int) -> None:
        self.folder, self.path, self.done = folder, folder / INDEX, set()
        with (
            whole_file(self.path) as partial,
            open(partial, "w", newline="", **TEXT) as file,
        ):
            file.write(as_csv([COLUMNS]))
            for name, rows in read_pictures(folder):
                if name not in self.done and self._is_whole(rows, rows_per_picture):
                    self.done.add(name)
                    file.write(as_csv(row.values() for row in rows))

    def __enter__(self) -> Index:
        # Unbuffered: what is appended is in the file when `add` returns.
        self._file = open(self.path, "ab", buffering=0)
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def add(self, rows: Sequence[Mapping]) -> None:
        """Append the rows of one picture, after its files; all of them or none."""
        data = as_csv([row[name] for name in COLUMNS] for row in rows).encode(**TEXT)
        before = os.fstat(self._file.fileno()).st_size
        try:
            while data:
                data = data[self._file.write(data) :]
        except BaseException:
            self._file.truncate(before)
            raise
        self.done.add(rows[0]["file"])

    def _is_whole(self, rows: list[dict], wanted: int) -> bool:
        files = {row[column] for row in rows for column in FILE_COLUMNS}
        return len(rows) == wanted and all(
            os.path.isfile(self.folder / name) for name in files
        )


def as_json(values: Mapping) -> str:
    """Give what JSON knows as the text of a file."""
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def as_csv(rows: Iterable[Iterable]) -> str:
    """Give rows as lines of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
