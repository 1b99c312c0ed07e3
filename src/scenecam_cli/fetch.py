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

CIFAR = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"

# Seconds to connect in, and of silence after which a server has stalled.
TIMEOUT = 5, 30
TRIES = 4
LONGEST_PAUSE = 60  # seconds that a server may ask us to wait between two tries

NO_ARCHIVE = "is no archive, perhaps a web page"

# What kagglehub, pooch and those below them raise, by name; what the host did then; and
# in how many seconds to try again, if it can help. The first that fits holds.
TROUBLES = (
    ("ConnectTimeoutError ProxyError SSLError", "cannot be reached{cause}", None),
    ("ReadTimeout ReadTimeoutError", "sent nothing for {seconds} s", 0),
    ("ProtocolError DataCorruptionError", "sent a part, then it broke off", 0),
    ("BadZipFile JSONDecodeError ReadError", "sent something that " + NO_ARCHIVE, 1),
    ("RequestException", "cannot be reached ({error})", None),
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
    from scenecam.images import shown_path
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
            systems = os.strerror(error.errno)
            why = error.strerror.replace(systems, "the disk became full")
            raise OSError(
                f"there is no room in {shown_path(place.parent)}: {why}. Make room "
                "there, or replace the folder by a link to a larger disk."
            ) from None
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
        raise OSError(errno.ENOSPC, why)
    if not given:
        print(f"{origin} -> {shown_path(place)}", flush=True)
        source = download(wanted, folder)
    sets.build(wanted, place, source, origin, downloads=folder)


def download(wanted, folder: Path) -> Path:
    """Download a set, a `sets.PublicSet`, to a folder; return where it lies.

    What a broken download leaves in the folder, the next call goes on with. Raises
    ConnectionError, with the way to do it by hand, if it cannot be downloaded now.
    """
    get = {"photos": _get_photos, "animals": _get_animals}[wanted.name]
    if _has_files(folder):
        print("An earlier download is there; going on with what is whole of it.")
    for tries in range(1, TRIES + 1):
        try:
            return get(folder)
        except Exception as error:
            reason, pause = _trouble(error, host=wanted.page.split("/")[2])
            if reason is None:
                raise
        # Else the next try goes on from wrong bytes, or an empty folder stays.
        if NO_ARCHIVE in reason or not _has_files(folder):
            shutil.rmtree(folder, ignore_errors=True)
        if pause is None or pause > LONGEST_PAUSE or tries == TRIES:
            break
        wait = f" in {pause:.0f} s" if pause else ""
        print(f"{reason}: trying again{wait} ({tries} of {TRIES - 1}).", flush=True)
        sleep(pause)
    raise ConnectionError(f"{reason}. {wanted.by_hand()}")


def _get_photos(folder: Path) -> Path:
    """Download the photographs through kagglehub; `folder` is its cache."""
    os.environ["KAGGLEHUB_CACHE"] = str(folder)
    os.environ.setdefault("KAGGLEHUB_VERBOSITY", "error")
    os.environ.setdefault("TQDM_MININTERVAL", "0.1" if sys.stderr.isatty() else "60")
    import kagglehub
    from requests.adapters import HTTPAdapter

    # kagglehub (up to 1.0.3) takes no time-out, and gives one to a single request, the
    # one that goes on with a download: a server that stalls in another holds for ever.
    send = HTTPAdapter.send

    def send_in_time(*args, **options):
        return send(*args, **options | {"timeout": TIMEOUT})

    HTTPAdapter.send = send_in_time
    try:
        return Path(kagglehub.dataset_download("puneet6060/intel-image-classification"))
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
    """Return why the network failed, or None, and in how many seconds to try again."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed: pip install {error.name}", None
    chain = _chain(error)
    for link in chain:
        answer = getattr(link, "response", None)
        if answer is not None and answer.status_code >= 400:
            return _refusal(answer, host)
    names = {kind.__name__ for link in chain for kind in type(link).__mro__}
    if str(error).startswith(("Unsupported archive", "SHA256 hash")):
        names.add("BadZipFile")
    causes = [link.strerror for link in chain if getattr(link, "strerror", None)]
    cause = f" ({causes[0]})" if causes else ""
    for kinds, said, pause in TROUBLES:
        if names & set(kinds.split()):
            said = said.format(cause=cause, seconds=TIMEOUT[1], error=error)
            return f"{host} {said}", pause
    return None, None


def _refusal(answer, host: str) -> tuple[str, float | None]:
    """Return what an HTTP status means for us; as `_trouble`."""
    code, asked = answer.status_code, answer.headers.get("Retry-After") or "10"
    if code in (429, 503):
        why = "too many requests" if code == 429 else "is busy"
        pause = float(asked) if asked.isdecimal() else None  # it may be a date
        return f"{host} answered {code} ({why}; try again after {asked})", pause
    gone, closed = ": the set is not there any more", ": it does not give the set to us"
    why = {404: gone, 410: gone, 401: closed, 403: closed}.get(code, "")
    return f"{host} answered {code}{why}", 1 if code >= 500 else None


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
