"""Draw contact sheets of explained pictures: each beside its overlays.

examples:
  scenecam show results
  scenecam show results --rows 10 --pages all
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from scenecam_cli.terminal import positive

# Columns of a page, and the letters that fit over one of them.
COLUMNS, LETTERS = 8, 20

# Longest side of a picture on the page: more does not show.
PIXELS = 240


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `show`."""
    parser.add_argument("folder", metavar="DIR", help="what `explain` filled")
    parser.add_argument(
        "--rows", type=positive, default=6, help="rows of a page (default: 6)"
    )
    parser.add_argument(
        "--pages",
        type=lambda text: None if text == "all" else positive(text),
        default=4,
        metavar="N|all",
        help="at most so many pages (default: 4)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw the contact sheets of an output folder."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # no window is wanted
    from scenecam_cli.run_folder import read_pictures

    folder, last = Path(os.path.abspath(arguments.folder)), 0
    asked = {"rows": arguments.rows, "pages": arguments.pages}
    for path, first, last in contact_sheets(folder, **asked):
        print(f"{path}  (pictures {first:,} to {last:,})")
    explained = sum(1 for _ in read_pictures(folder))
    if last < explained:
        print(f"{explained - last:,} more pictures: --pages all draws all of them.")
    return 0


def contact_sheets(
    folder: Path, *, rows: int = 6, pages: int | None = 4
) -> Iterator[tuple[Path, int, int]]:
    """Draw the contact sheets of an output folder, in its index's order.

    A row holds as many pictures as fit with their overlays; of more than seven classes
    the seven most probable are shown. A picture that is gone stands as a grey field.
    Yields the path of each page, and the first and last picture on it, counted from 1.
    """
    from scenecam._data.whole import write_file
    from scenecam_cli import run_folder

    settings = run_folder.read_settings(folder)
    examples = run_folder.read_pictures(folder)
    example = next(examples, None) if settings else None
    if example is None:
        raise ValueError(
            f"{run_folder.shown_path(folder)} holds no explained pictures. Name a "
            "local folder that `scenecam explain --out` filled, or ask its `--from`."
        )
    run_folder.remove_sheets(folder)
    examples = itertools.chain([example], examples)
    overlays = min(len(example[1]), COLUMNS - 1)
    per_page = rows * max(1, COLUMNS // (1 + overlays))
    first = 1
    for page in itertools.count(1) if pages is None else range(1, pages + 1):
        some = list(itertools.islice(examples, per_page))
        if not some:
            return
        path = folder / f"contact_sheet_{page}.png"
        write_file(path, _draw_page(folder, settings["pictures"], some, overlays))
        yield path, first, first + len(some) - 1
        first += len(some)


def _draw_page(folder: Path, root: str, examples: list, overlays: int) -> bytes:
    import matplotlib.pyplot as plt

    from scenecam import images, plots

    tiles, titles = [], []
    for file, rows in examples:
        tiles.append(picture := _thumbnail(Path(root) / file))
        share = f"{float(rows[0]['probability']):.0%}"
        titles.append(f"{_tail(file)}\n{_tail(rows[0]['predicted'])} {share}")
        order = sorted(rows, key=lambda row: -float(row["class_probability"]))
        for row in rows:
            if row not in order[:overlays]:
                continue
            if "overlay" in row:
                tiles.append(_thumbnail(folder / row["overlay"]))
            else:
                from scenecam_cli.cluster import unpack

                unit = images.unit_map(unpack(row).clip(0))
                tiles.append(images.overlay(picture, unit))
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


def _thumbnail(path: Path):
    """Read a picture small, or return a grey field if it is gone."""
    import numpy as np

    from scenecam import images

    try:
        picture = images.read_image(path)
    except (ValueError, FileNotFoundError):
        return np.full((PIXELS, PIXELS, 3), 208, np.uint8)
    return images.bound_image(picture, PIXELS)


def _tail(text: str) -> str:
    """Shorten from the front; ``$`` would begin a formula."""
    from scenecam.images import shown_path

    text = shown_path(text)
    text = text if len(text) <= LETTERS else "\u2026" + text[1 - LETTERS :]
    return text.replace("$", r"\$").replace("\n", " ")
