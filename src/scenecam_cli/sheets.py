"""Contact sheets of what `scenecam explain` wrote: each picture beside its overlays."""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from scenecam import images, plots
from scenecam_cli import run_folder as results

# Columns of a page, and the letters that fit over one of them.
COLUMNS, LETTERS = 8, 20

# Longest side of a picture on the page: more does not show.
PIXELS = 240


def contact_sheets(
    folder: Path, *, rows: int = 6, pages: int | None = 4
) -> Iterator[tuple[Path, int, int]]:
    """Draw the pages of the contact sheet of an output folder, in its index's order.

    Parameters
    ----------
    folder : Path
        One that `scenecam explain` filled.
    rows : int
        Rows of a page. One row holds as many pictures as fit with their overlays.
    pages : int or None
        At most so many; None is all.

    Yields
    ------
    path : Path
        The page, ``contact_sheet_1.png`` and so on, in `folder`.
    first, last : int
        Which pictures stand on it, counted from 1.

    Raises
    ------
    ValueError
        If the folder holds no results.

    Notes
    -----
    Of more than seven classes the seven most probable are shown for each picture. A
    picture that is no longer where it was stands as a grey field.
    """
    settings = results.read_settings(folder)
    examples = results.read_pictures(folder)
    example = next(examples, None) if settings else None
    if example is None:
        raise ValueError(
            f"{images.shown_path(folder)} holds no explained pictures. Name a folder "
            "that `scenecam explain --out` filled."
        )
    for old in folder.glob("contact_sheet_[0-9]*.png"):
        old.unlink()
    examples = itertools.chain([example], examples)
    overlays = min(len(example[1]), COLUMNS - 1)
    per_page = rows * max(1, COLUMNS // (1 + overlays))
    first = 1
    for page in itertools.count(1) if pages is None else range(1, pages + 1):
        some = list(itertools.islice(examples, per_page))
        if not some:
            return
        data = _draw_page(folder, settings["pictures"], some, overlays)
        path = folder / f"contact_sheet_{page}.png"
        results.write_file(path, data)
        yield path, first, first + len(some) - 1
        first += len(some)


def _draw_page(folder: Path, root: str, examples: list, overlays: int) -> bytes:
    tiles, titles = [], []
    for file, rows in examples:
        tiles.append(_thumbnail(Path(root) / file))
        first = rows[0]
        share = f"{float(first['probability']):.0%}"
        titles.append(f"{_tail(file)}\n{_tail(first['predicted'])} {share}")
        order = sorted(rows, key=lambda row: -float(row["class_probability"]))
        for row in rows:
            if row not in order[:overlays]:
                continue
            tiles.append(_thumbnail(folder / row["overlay"]))
            remarks = []
            if len(rows) > 1 or row["class"] != row["predicted"]:
                remarks.append(f"{float(row['class_probability']):.0%}")
            if row["evidence"] == "no":
                remarks.append("no evidence")
            titles.append(f"for {_tail(row['class'])}\n{', '.join(remarks)}")
    columns = max(1, COLUMNS // (1 + overlays)) * (1 + overlays)
    data = io.BytesIO()
    with warnings.catch_warnings():
        # A script that the font lacks is drawn as boxes; the index has the name.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure, _ = plots.show_images(tiles, titles=titles, columns=columns, size=1.55)
        figure.savefig(data, format="png", dpi=130)
    plt.close(figure)
    return data.getvalue()


def _thumbnail(path: Path) -> np.ndarray:
    """Read a picture small, or return a grey field if it is gone."""
    try:
        picture = images.read_image(path)
    except (ValueError, FileNotFoundError):
        return np.full((PIXELS, PIXELS, 3), 208, np.uint8)
    return images.bound_image(picture, PIXELS)


def _tail(text: str) -> str:
    """Shorten from the front; ``$`` would begin a formula."""
    text = images.shown_path(text)
    text = text if len(text) <= LETTERS else "\u2026" + text[1 - LETTERS :]
    return text.replace("$", r"\$").replace("\n", " ")
