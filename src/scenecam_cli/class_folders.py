"""Folders of class folders, which `train` reads and `evaluate` asks about."""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

from scenecam_cli.terminal import counted, names, without_notes


def add_arguments(parser: argparse.ArgumentParser, *, part: str) -> None:
    """Add what says which pictures are meant; `part` is the default."""
    parser.add_argument(
        "--part",
        choices=("train", "test", "all"),
        default=part,
        help=f"which pictures of FOLDER (default: {part})",
    )
    parser.add_argument(
        "--classes",
        type=names,
        metavar="NAME[,NAME]",
        help="take these class folders alone (default: all)",
    )


def load_pictures(arguments: argparse.Namespace, size):
    """Return the `SceneSet` of a folder's part, and why some pictures are left out."""
    from scenecam import data

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", data.SkippedPictures)
        pictures = data.load_folder(
            arguments.folder,
            size=size,
            split=None if arguments.part == "all" else arguments.part,
            class_names=arguments.classes,
        )
    skipped = []
    for warning in caught:
        if isinstance(warning.message, data.SkippedPictures):
            skipped += warning.message.skipped.values()
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    with without_notes():
        from scenecam._models.weights import listed

    print(
        f"{counted(len(pictures), 'picture')} of {len(pictures.class_names)} classes "
        f"(part {arguments.part}): {listed(pictures.class_names)}",
        flush=True,
    )
    return pictures, skipped


def check_outside(out: Path, folder: str) -> None:
    """Raise ValueError if what is to be written would lie among the pictures."""
    if out.is_relative_to(os.path.abspath(folder)):
        raise ValueError(
            f"--out {out} lies in the folder of pictures, where it would be taken for "
            "a class. Choose another --out."
        )
