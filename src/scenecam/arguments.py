"""The arguments of the command line, their checks and their help."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from scenecam import __version__

EXPLAIN_EPILOG = """\
what is written, for a picture forest/1.jpg and the class sea:
  forest/1.jpg.npy              raw maps, float32 (classes, height, width): signed,
                                in logits, at the layer's own resolution
  forest/1.jpg.sea.heatmap.jpg  the positive part of the map, coloured
  forest/1.jpg.sea.overlay.jpg  the same over the picture
  index.csv                     a row for each picture and class: prediction,
                                probabilities, where the map is strongest (row and
                                column in pixels of the picture, value in logits),
                                whether anything in the picture speaks for the class,
                                and the files (map_index: which map of the .npy)
  settings.json                 what all this was made with

A second run of the same command does what is missing. In Python:
  maps = numpy.load("results/forest/1.jpg.npy")

examples:
  scenecam explain dog.jpg --weights photos-resnet --out results
  scenecam explain photos/ --weights photos-resnet --classes sea,glacier --out results
  scenecam explain photos/ --weights my.keras --class-names cat,dog \\
      --method cam --classes all --format png --out results
"""

SHOW_EPILOG = """\
examples:
  scenecam show results
  scenecam show results --rows 10 --pages all
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses has the command's name as `command`."""
    parser = argparse.ArgumentParser(
        prog="scenecam",
        description="See what a convolutional network sees.",
        epilog="`scenecam COMMAND --help` explains a command, with examples.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_explain(commands)
    _add_show(commands)
    return parser


def _add_command(commands, name: str, epilog: str, about: str):
    command = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=name)
    return command


def _add_explain(commands) -> None:
    command = _add_command(
        commands,
        "explain",
        EXPLAIN_EPILOG,
        "write class maps, heatmaps, overlays and an index for pictures",
    )
    add = command.add_argument
    add(
        "pictures",
        nargs="+",
        metavar="PHOTO_OR_FOLDER",
        help="picture files; folders are searched at every depth",
    )
    add(
        "--weights",
        required=True,
        metavar="NAME_OR_FILE",
        help="shipped weights, such as photos-resnet, or a .keras or Keras 2 .h5 file",
    )
    add("--out", required=True, metavar="DIR", help="folder to write to")
    add(
        "--classes",
        default="predicted",
        metavar="all|predicted|NAME[,NAME]",
        help="classes to explain (default: the one predicted for each picture)",
    )
    add(
        "--method",
        default="grad_cam",
        metavar="NAME",
        help="cam, grad_cam (default), grad_cam_pp, hires_cam, xgrad_cam, layer_cam or "
        "score_cam",
    )
    add("--layer", metavar="NAME", help="feature map to explain at (default: the last)")
    add(
        "--class-names",
        metavar="NAME,NAME|@FILE",
        help="names of the network's classes in their order, or a file with one in "
        "each line (default: those of the card beside the weights, else class_0, ...)",
    )
    look = command.add_argument_group("how maps are shown")
    look.add_argument(
        "--format", choices=("jpg", "png"), default="jpg", help="default: jpg"
    )
    look.add_argument(
        "--size",
        type=_size,
        default=640,
        metavar="PIXELS|original",
        help="longest side of heatmaps and overlays (default: 640); smaller pictures "
        "are not enlarged",
    )
    look.add_argument(
        "--opacity",
        type=_share,
        default=0.5,
        metavar="0..1",
        help="of the map over the picture (default: 0.5)",
    )
    look.add_argument(
        "--common-scale",
        action="store_true",
        help="one colour scale for all classes of a picture, so that they can be "
        "compared; without it each map is as bright as it can be",
    )
    network = command.add_argument_group("the network's pictures")
    network.add_argument(
        "--pixels",
        choices=("255", "unit", "signed"),
        default="255",
        help="the range it was trained on: 0 to 255 (default; also where its first "
        "layer scales), 0 to 1, or -1 to 1",
    )
    network.add_argument(
        "--input-size",
        type=_positive,
        metavar="PIXELS",
        help="height and width, for a network that takes any",
    )
    add(
        "--batch-size",
        type=_positive,
        metavar="N",
        help="pictures at a time (default: 32, or 4 with --size original)",
    )
    add(
        "--overwrite",
        action="store_true",
        help="delete the results of other settings that DIR holds, and start again",
    )


def _add_show(commands) -> None:
    command = _add_command(
        commands,
        "show",
        SHOW_EPILOG,
        "draw contact sheets of explained pictures: each beside its overlays",
    )
    command.add_argument("folder", metavar="DIR", help="what `explain --out` filled")
    command.add_argument(
        "--rows", type=_positive, default=6, help="rows of a page (default: 6)"
    )
    command.add_argument(
        "--pages",
        type=lambda text: None if text == "all" else _positive(text),
        default=4,
        metavar="N|all",
        help="at most so many pages (default: 4)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 1 up; got {text}"
        )
    return int(text)


def _size(text: str) -> int | None:
    return None if text == "original" else _positive(text)


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number from 0 to 1; got {text}")


def read_names(text: str) -> list[str]:
    """Return the names between commas, or the lines of the file named after ``@``.

    Raises ValueError if there are none, or the file cannot be read.
    """
    if not text.startswith("@"):
        names = [name.strip() for name in text.split(",") if name.strip()]
        if not names:
            raise ValueError(f"expected names between commas; received {text!r}.")
        return names
    path = Path(text[1:]).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8. Save it as such.") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from None
    return [line.strip() for line in lines if line.strip()]
