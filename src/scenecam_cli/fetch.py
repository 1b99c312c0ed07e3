"""Bring a public set of pictures into data/: photographs, or animals.

photos   Intel's photographs of six kinds of scenes, from Kaggle through kagglehub,
         without an account: data/photos/seg_train/seg_train/<class>/, and seg_test
animals  the birds, cats, dogs and horses of CIFAR-10, 32 x 32 pixels, through pooch:
         data/animals/train/<class>/, and test

What is in data/ is whole, whenever the command is stopped: pictures are counted before
they are moved there. The same command goes on after a stop. Where there is no network,
it says which file to get by hand.

examples:
  scenecam fetch photos
  scenecam fetch photos --from ~/Downloads/archive.zip
  scenecam fetch animals --from cifar-10-python.tar.gz
  scenecam fetch animals --from path/to/folder --again
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

PHOTOS = "puneet6060/intel-image-classification"
CIFAR = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"

# Seconds to connect in, and of silence after which a server has stalled.
TIMEOUT = 5, 30
TRIES = 4
LONGEST_PAUSE = 60  # seconds that a server may ask us to wait between two tries

NO_ARCHIVE = "is no archive, perhaps a web page"

# What kagglehub, pooch and those below them raise, by name; what that says; and in how
# many seconds to try again, if it can help. The first that fits holds.
TROUBLES = (
    (
        "ConnectTimeoutError ProxyError SSLError",
        "{host} cannot be reached{cause}",
        None,
    ),
    ("ReadTimeout ReadTimeoutError", "{host} sent nothing for {seconds} s", 0),
    ("ProtocolError DataCorruptionError", "the download from {host} broke off", 0),
    (
        "BadZipFile JSONDecodeError ReadError",
        "{host} sent something that " + NO_ARCHIVE,
        1,
    ),
    ("RequestException", "{host} cannot be reached{cause}", None),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fetch`."""
    parser.add_argument("set", choices=("photos", "animals"))
    parser.add_argument(
        "--from",
        dest="source",
        metavar="ARCHIVE_OR_FOLDER",
        help="take the set from a zip, a tar or a folder instead of downloading it",
    )
    parser.add_argument(
        "--again", action="store_true", help="replace the set if it was fetched before"
    )


def run(arguments: argparse.Namespace) -> int:
    """Put a public set into ``data/photos`` or ``data/animals`` of the project."""
    from scenecam import data
    from scenecam_cli import sets
    from scenecam_cli.run_folder import locked

    wanted = sets.SETS[arguments.set]
    # A link to a larger disk stays, and the set is built on that disk.
    place = Path(os.path.realpath(data.project_root() / "data" / wanted.name))
    place.parent.mkdir(parents=True, exist_ok=True)
    # The lock is on the folder above, which no run ever removes.
    with locked(place.parent, remedy="Wait for it."):
        if there := sets.what_is_there(wanted, place, arguments.again):
            print(there)
            return 0
        try:
            _fetch(wanted, place, arguments.source)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _no_room(place.parent, "the disk became full") from None
    return 0


def _fetch(wanted, place: Path, given: str | None) -> None:
    """Download the set, or take it from what is `given`, and put it to its place."""
    from scenecam._data.folders import list_pictures
    from scenecam.images import shown_path
    from scenecam_cli import sets

    # What a killed download leaves here, the next run goes on with.
    folder = place.with_name(f"{place.name}.partial")
    needed, origin = wanted.megabytes * 10**6, wanted.page
    if given:
        source = Path(os.path.abspath(Path(given).expanduser()))
        origin = shown_path(source)
        if not source.exists():
            raise FileNotFoundError(
                f"there is no file or folder {origin}. Check the spelling."
            )
        if source.resolve().is_relative_to(place):
            raise ValueError(f"{origin} lies in {shown_path(place)}. Move it away.")
        # Packed, pictures take nearly as much room as unpacked.
        files = list_pictures(source) if source.is_dir() else [""]
        needed = sum((source / file).stat().st_size for file in files)
    free = shutil.disk_usage(place.parent).free
    if free < needed:
        why = f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} free"
        raise _no_room(place.parent, why)
    if not given:
        print(f"{origin} -> {shown_path(place)}", flush=True)
        source = download(wanted, folder)
    try:
        sets.build(wanted, place, source, origin)
    except ConnectionError:  # the next run would take it for whole again
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _no_room(folder: Path, why: str) -> OSError:
    from scenecam.images import shown_path

    return OSError(
        f"there is no room in {shown_path(folder)}: {why}. Make room there, or replace "
        "the folder by a link to a larger disk."
    )


def download(wanted, folder: Path) -> Path:
    """Download a set, a `sets.PublicSet`, to a folder; return where it lies.

    What a broken download leaves in the folder, the next call goes on with.

    Raises
    ------
    ConnectionError
        If it cannot be downloaded now; the text says how to do it by hand.
    OSError
        If the disk is full, and the like.
    """
    get = {"photos": _get_photos, "animals": _get_animals}[wanted.name]
    if _has_files(folder):
        print("An earlier download is there; going on with what is whole of it.")
    try:
        for tries in range(1, TRIES + 1):
            try:
                return get(folder)
            except Exception as error:
                reason, pause = _trouble(error, urlsplit(wanted.page).hostname)
                if reason is None:
                    raise
            if NO_ARCHIVE in reason:  # else the next try goes on from wrong bytes
                shutil.rmtree(folder, ignore_errors=True)
            if pause is None or pause > LONGEST_PAUSE or tries == TRIES:
                break
            wait = f" in {pause:.0f} s" if pause else ""
            print(f"{reason}: trying again{wait} ({tries} of {TRIES - 1}).", flush=True)
            sleep(pause)
        raise ConnectionError(f"{reason}. {wanted.by_hand()}")
    finally:
        if not _has_files(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _get_photos(folder: Path) -> Path:
    """Download the photographs through kagglehub; `folder` is its cache."""
    os.environ["KAGGLEHUB_CACHE"] = str(folder)
    os.environ.setdefault("KAGGLEHUB_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "60")
    import kagglehub
    from requests.adapters import HTTPAdapter

    # kagglehub gives a time-out to the request that goes on with a download alone. A
    # server that stalls in any other holds it for ever, and it takes no argument.
    send = HTTPAdapter.send

    def send_in_time(*args, **options):
        return send(*args, **options | {"timeout": TIMEOUT})

    HTTPAdapter.send = send_in_time
    try:
        return Path(kagglehub.dataset_download(PHOTOS))
    finally:
        HTTPAdapter.send = send


def _get_animals(folder: Path) -> Path:
    """Download CIFAR-10's archive through pooch, unless it lies there whole."""
    import pooch

    from scenecam_cli.archives import CIFAR_SHA256

    for left in folder.glob("tmp*"):  # by a pooch that was killed
        left.unlink()
    pooch.get_logger().setLevel("ERROR")
    get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)
    return Path(pooch.retrieve(CIFAR, CIFAR_SHA256, path=folder, downloader=get))


def _trouble(error: Exception, host: str) -> tuple[str | None, float | None]:
    """Return why a download failed, and in how many seconds to try again, if at all.

    The reason is None for an error that has nothing to do with the network.
    """
    if isinstance(error, ModuleNotFoundError):
        install = "is not installed. Install it: pip install 'scenecam[fetch]'"
        return f"{error.name}, which downloads the set, {install}", None
    chain = _chain(error)
    for link in chain:
        answer = getattr(link, "response", None)
        if answer is not None and answer.status_code >= 400:
            asked = answer.headers.get("Retry-After") or "10"
            return _refusal(answer.status_code, asked, host)
    names = {kind.__name__ for link in chain for kind in type(link).__mro__}
    if str(error).startswith(("Unsupported archive", "SHA256 hash")):
        names.add("BadZipFile")
    causes = [link.strerror for link in chain if getattr(link, "strerror", None)]
    cause = f" ({causes[0]})" if causes else ""
    for kinds, said, pause in TROUBLES:
        if names & set(kinds.split()):
            return said.format(host=host, cause=cause, seconds=TIMEOUT[1]), pause
    return None, None


def _refusal(code: int, asked: str, host: str) -> tuple[str, float | None]:
    """Return what an HTTP status means for us; as `_trouble`."""
    if code in (429, 503):
        pause = float(asked) if asked.isdecimal() else None
        why = "too many requests" if code == 429 else "is busy"
        return f"{host} answered {code} ({why}; try again after {asked})", pause
    gone, closed = "the set is not there any more", "it does not give the set to us"
    why = {404: gone, 410: gone, 401: closed, 403: closed}.get(code)
    told = f"{host} answered {code}"
    return f"{told}: {why}" if why else told, 1 if code >= 500 else None


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and all that it was made from."""
    chain = [error]
    for link in chain:  # which grows meanwhile
        inner = (link.__cause__, link.__context__, getattr(link, "reason", None))
        errors = (one for one in inner + link.args if isinstance(one, BaseException))
        chain += [one for one in errors if one not in chain]
    return chain


def _has_files(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))
