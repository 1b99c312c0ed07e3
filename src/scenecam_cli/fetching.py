"""Bring a public set of pictures into data/: downloaded, or from what a user has.

A set is built beside its place and moved there in one step when its pictures have been
counted, so what lies at its place is whole, whenever a run is killed. What a killed run
leaves is in a folder of its own (``data/photos.partial``) that the next run clears,
except for a half-finished download, with which it goes on.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from scenecam import data
from scenecam._data import folders
from scenecam.images import shown_path
from scenecam_cli import archives, downloads
from scenecam_cli import run_folder as results
from scenecam_cli.sets import SETS, PublicSet, Sorter, by_hand, say_counts

CARD = "fetched.json"  # lies in a fetched set and says where it is from
DOWNLOADS = {
    "photos": downloads.download_scenes,
    "animals": downloads.download_cifar,
}

Say = Callable[[str], None]


def fetch(
    name: str,
    *,
    source=None,
    again: bool = False,
    say: Say = print,
    progress: Callable[[Iterator, int], Iterable] | None = None,
) -> Path:
    """Put a public set into ``data/photos`` or ``data/animals`` of the project.

    Parameters
    ----------
    name : {"photos", "animals"}
        Intel's photographs of six scenes; or the birds, cats, dogs and horses of
        CIFAR-10.
    source : str or path-like, optional
        An archive or a folder that holds the set or a part of it, instead of
        downloading.
    again : bool
        Replace a set that was fetched before.
    say : callable
        Takes a sentence about what is done.
    progress : callable, optional
        Takes the pictures as they are written and how many are expected; returns an
        iterable over the same, as `terminal.with_progress`.

    Returns
    -------
    Path
        The folder of the set.

    Raises
    ------
    ValueError
        If `source` is not the set, or something else lies at its place, or another run
        is fetching.
    FileNotFoundError
        If `source` does not exist.
    downloads.Unreachable
        If it cannot be downloaded; the text says how to do it by hand.
    OSError
        If there is no room for it, and the like.
    """
    wanted = SETS[name]
    # A link to a larger disk stays, and the set is built on that disk.
    place = Path(os.path.realpath(data.project_root() / "data" / name))
    place.parent.mkdir(parents=True, exist_ok=True)
    # The lock is on the folder above, which no run ever removes.
    with results.locked(place.parent, remedy="Wait for it."):
        work = place.with_name(f"{place.name}.partial")
        _tidy(place, work)
        there = _what_is_there(place, wanted, again)
        if there:
            say(there)
            return place
        try:
            _build(wanted, place, work, source, say, progress or (lambda it, _: it))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            shutil.rmtree(work / "new", ignore_errors=True)
            raise OSError(_no_room(place.parent, "the disk became full")) from None
    return place


def _tidy(place: Path, work: Path) -> None:
    """Remove what a killed run left, but for its download."""
    if (work / "old").exists() and not place.exists():
        os.replace(work / "old", place)  # it was killed between the two moves
    for leftover in ("new", "old"):
        shutil.rmtree(work / leftover, ignore_errors=True)
    if not _has_files(work):
        shutil.rmtree(work, ignore_errors=True)


def _what_is_there(place: Path, wanted: PublicSet, again: bool) -> str | None:
    """Return a sentence about a set that lies there already, or None to go on."""
    shown = shown_path(place)
    if place.exists() and not place.is_dir():
        raise ValueError(f"{shown} is a file, not a folder. Move it away first.")
    entries = [file for file in _names(place) if not file.startswith(".")]
    if not entries:
        return None
    card = _read_card(place)
    if again and card:
        return None
    if again or not folders.find_roots(place):
        raise ValueError(
            f"{shown} holds what this command did not put there "
            f"({', '.join(sorted(entries)[:4])}). Move it away first; then it can "
            f"be named: scenecam fetch {wanted.name} --from PATH"
        )
    counts = _count(folders.find_roots(place))
    told = f"{shown} is there already, with {say_counts(counts, wanted)}."
    if card and card.get("pictures") != counts:
        return f"{told} Some have come or gone since; --again puts the set back."
    return f"{told} Nothing to do; --again fetches it anew." if card else told


def _build(wanted: PublicSet, place: Path, work: Path, source, say, progress) -> None:
    """Build the set in `work`, count it, and move it to its place."""
    if source is None:
        origin, found = wanted.page, _download(wanted, work, say)
    else:
        found = Path(os.path.abspath(Path(source).expanduser()))
        origin = shown_path(found)
        if Path(os.path.realpath(found)).is_relative_to(place):
            raise ValueError(
                f"{origin} lies in {shown_path(place)}. Move it away first."
            )
        _check_room(place.parent, archives.announced_size(found))
    sorter = Sorter(wanted)
    new = work / "new"
    try:
        written = _write(new, archives.read_pictures(found, sorter.target), sorter)
        for _ in progress(written, sum(wanted.pictures.values())):
            pass
        counts = sorter.counts()
        short = any(counts[part] < whole for part, whole in wanted.pictures.items())
        if source is None and short:
            shutil.rmtree(work / "download", ignore_errors=True)
            raise downloads.Unreachable(
                f"what was downloaded holds {say_counts(counts, wanted)}. "
                + by_hand(wanted)
            )
        sorter.check(origin)
        card = {"set": wanted.name, "from": origin, "pictures": counts}
        (new / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        _swap(place, work)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if not _names(work):
            shutil.rmtree(work, ignore_errors=True)
        raise
    say(f"{shown_path(place)}: {say_counts(counts, wanted)}.")


def _download(wanted: PublicSet, work: Path, say: Say) -> Path:
    """Return what was downloaded; raise with the way to do it by hand."""
    _check_room(work.parent, wanted.megabytes * 10**6)
    folder = work / "download"
    folder.mkdir(parents=True, exist_ok=True)
    if _has_files(folder):
        say("An earlier download is there; going on with what is whole of it.")
    say(f"{wanted.page} -> {shown_path(work.parent / wanted.name)}")
    try:
        return DOWNLOADS[wanted.name](folder, say=say)
    except (downloads.Unreachable, ModuleNotFoundError) as error:
        raise downloads.Unreachable(f"{error}. {by_hand(wanted)}") from None
    finally:
        if not _has_files(folder):
            shutil.rmtree(work, ignore_errors=True)


def _write(new: Path, pictures: Iterator, sorter: Sorter) -> Iterator[Path]:
    """Write pictures to their places in the set; iterate over these."""
    for name, content in pictures:
        target = sorter.target(name)
        path = new / target
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(path, "xb") as file:
                file.write(content)
        except FileExistsError:
            raise ValueError(
                f"two pictures would both become {target.as_posix()}, the second is "
                f"{name}. Name an archive or a folder that holds the set once."
            ) from None
        sorter.keep(target)
        yield target


def _swap(place: Path, work: Path) -> None:
    """Move the finished set to its place."""
    if place.exists():
        os.replace(place, work / "old")
    os.replace(work / "new", place)
    shutil.rmtree(work, ignore_errors=True)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            _no_room(
                folder, f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} free"
            )
        )


def _no_room(folder: Path, why: str) -> str:
    return (
        f"there is no room in {shown_path(folder)}: {why}. Make room there, or replace "
        "the folder by a link to a larger disk."
    )


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def _has_files(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))


def _read_card(place: Path) -> dict | None:
    try:
        return json.loads((place / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _count(roots: dict[str, Path]) -> dict[str, int]:
    return {part: len(folders.list_pictures(root)) for part, root in roots.items()}
