"""The arguments of the command line, their checks and their help."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from scenecam import __version__
from scenecam_cli import epilogs

# Those that `recipes` has defaults for; importing it here would take seconds.
BUILDERS = ("resnet", "gap_cnn", "plain_cnn", "seed_resnet")

WEIGHTS = "shipped weights, such as photos-resnet, or a .keras or Keras 2 .h5 file"


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
    _add_fetch(commands)
    _add_train(commands)
    _add_evaluate(commands)
    _add_show_card(commands)
    _add_export(commands)
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
        epilogs.EXPLAIN,
        "write class maps, heatmaps, overlays and an index for pictures",
    )
    add = command.add_argument
    add(
        "pictures",
        nargs="+",
        metavar="PHOTO_OR_FOLDER",
        help="picture files; folders are searched at every depth",
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
    _add_network(add, command.add_argument_group("the network's pictures"))
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
        epilogs.SHOW,
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


def _add_fetch(commands) -> None:
    command = _add_command(
        commands,
        "fetch",
        epilogs.FETCH,
        "bring a public set of pictures into data/: photographs, or animals",
    )
    command.add_argument("set", choices=("photos", "animals"))
    command.add_argument(
        "--from",
        dest="source",
        metavar="ARCHIVE_OR_FOLDER",
        help="take the set from a zip, a tar or a folder instead of downloading it",
    )
    command.add_argument(
        "--again",
        action="store_true",
        help="replace the set if it was fetched before",
    )


def _add_train(commands) -> None:
    command = _add_command(
        commands, "train", epilogs.TRAIN, "train a network on a folder of class folders"
    )
    add = command.add_argument
    add("folder", metavar="FOLDER", help="one folder of pictures for each class")
    add("--out", required=True, metavar="NAME.keras", help="file to write")
    add(
        "--builder",
        choices=BUILDERS,
        default="resnet",
        help="the network: residual (default), without pooling, plain, or the report's",
    )
    add(
        "--size",
        type=_positive,
        default=96,
        metavar="PIXELS",
        help="height and width at which it sees pictures (default: 96)",
    )
    add("--epochs", type=_positive, default=40, metavar="N", help="default: 40")
    add(
        "--batch-size",
        type=_positive,
        metavar="N",
        help="pictures per step (default: 64, fewer where there are few pictures)",
    )
    add(
        "--seed", type=_whole, default=0, metavar="N", help="of all chance (default: 0)"
    )
    add(
        "--valid",
        type=_share,
        default=0.1,
        metavar="0..1",
        help="share of the pictures set aside to choose the epoch (default: 0.1)",
    )
    _add_part(add, "train")
    again = command.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="go on with a run that was stopped"
    )
    again.add_argument(
        "--overwrite", action="store_true", help="replace the network or the run"
    )


def _add_evaluate(commands) -> None:
    command = _add_command(
        commands,
        "evaluate",
        epilogs.EVALUATE,
        "say how well a network names the pictures of a folder of class folders",
    )
    add = command.add_argument
    add("folder", metavar="FOLDER", help="one folder of pictures for each class")
    _add_network(add, command.add_argument_group("the network's pictures"))
    add("--out", required=True, metavar="DIR", help="folder to write to")
    _add_part(add, "test")
    add(
        "--batch-size",
        type=_positive,
        default=64,
        metavar="N",
        help="pictures at a time (default: 64)",
    )


def _add_show_card(commands) -> None:
    command = _add_command(
        commands, "show-card", epilogs.SHOW_CARD, "say what is known about a network"
    )
    command.add_argument("weights", metavar="NAME_OR_FILE", help=WEIGHTS)


def _add_export(commands) -> None:
    command = _add_command(
        commands,
        "export",
        epilogs.EXPORT,
        "write a network as TensorFlow Serving takes it",
    )
    command.add_argument("weights", metavar="NAME_OR_FILE", help=WEIGHTS)
    command.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    command.add_argument(
        "--overwrite", action="store_true", help="replace an export that DIR holds"
    )


def _add_network(add, group) -> None:
    """Add what says which network it is, and, to the group, what it takes."""
    add(
        "--weights",
        required=True,
        metavar="NAME_OR_FILE",
        help=WEIGHTS,
    )
    add(
        "--class-names",
        metavar="NAME,NAME|@FILE",
        help="names of the network's classes in their order, or a file with one in "
        "each line (default: those of the card beside the weights, else class_0, ...)",
    )
    group.add_argument(
        "--pixels",
        choices=("255", "unit", "signed"),
        default="255",
        help="the range it was trained on: 0 to 255 (default; also where its first "
        "layer scales), 0 to 1, or -1 to 1",
    )
    group.add_argument(
        "--input-size",
        type=_positive,
        metavar="PIXELS",
        help="height and width, for a network that takes any",
    )


def _add_part(add, default: str) -> None:
    add(
        "--part",
        choices=("train", "test", "all"),
        default=default,
        help=f"which pictures of FOLDER (default: {default})",
    )
    add(
        "--classes",
        metavar="NAME[,NAME]",
        help="take these class folders alone (default: all)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 1 up; got {text}"
        )
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 0 up; got {text}"
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
