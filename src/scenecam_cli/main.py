"""The command line: its parser and its exit codes; each command is a file beside it.

A command's file has its help (the docstring), its options (`add_arguments`) and its
work (`run`), which returns the exit code: 0 if all went well, 1 if something could not
be done, 2 if the command was mistaken, 130 if it was interrupted. What `run` needs is
imported inside it, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Sequence

from scenecam import __version__
from scenecam_cli import evaluate, explain, export, fetch, show, show_card, train
from scenecam_cli.terminal import say

COMMANDS = (explain, show, fetch, train, evaluate, show_card, export)

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses has the command's `run`."""
    parser = argparse.ArgumentParser(
        prog="scenecam",
        description="See what a convolutional network sees.",
        epilog="`scenecam COMMAND --help` explains a command, with examples.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        about, _, epilog = module.__doc__.partition("\n\n")
        command = commands.add_parser(
            module.__name__.rpartition(".")[2].replace("_", "-"),
            help=about[0].lower() + about[1:].rstrip("."),
            description=about,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, given by the words after ``scenecam``; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not end the run.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")
    arguments = make_parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        return say(130, "interrupted; the same command goes on from here.")
    except (ValueError, FileNotFoundError) as error:
        if getattr(error, "errno", None):  # the system's, such as DIR being deleted
            return say(1, _system_error(error))
        return say(2, str(error))
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("ray", "pyarrow")):
            raise
        return say(2, 'this needs Ray Data: pip install -e ".[cluster]".')
    except MemoryError as error:
        return say(1, str(error) or "there is not enough memory.")
    except BrokenPipeError:  # the reader of our output has gone, as in `| head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return say(1, _system_error(error))


def _system_error(error: OSError) -> str:
    if not error.errno:  # our own, and a sentence already
        return str(error)
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in DISK_FULL:
        return (
            f"the disk is full{where}. What was written before is whole; make room, "
            "and run the command again."
        )
    return f"{error.strerror or error}{where}."
