"""Download the public sets with kagglehub and Keras, and say what goes wrong.

The two libraries bring addresses, checksums and progress bars, and kagglehub goes on
with a broken download. What they lack is added here: an end to waiting, further tries
where these can help, and a sentence for all that can happen on the way.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

from scenecam_cli.archives import CIFAR_SHA256
from scenecam_cli.terminal import without_notes

SCENES = "puneet6060/intel-image-classification"
CIFAR = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"

CONNECT_SECONDS = 5
SILENT_SECONDS = 30  # a server that sends nothing for so long has stalled
TRIES = 4
LONGEST_PAUSE = 60  # seconds that a server may ask us to wait between two tries

# What the libraries raise and pass on, by name: some is urllib's, some is requests'.
UNREACHABLE = frozenset(
    "gaierror NameResolutionError NewConnectionError ConnectTimeout ProxyError "
    "ConnectTimeoutError ConnectionRefusedError SSLError SSLCertVerificationError "
    "".split()
)
SILENT = frozenset("TimeoutError timeout ReadTimeout ReadTimeoutError".split())
BROKEN = frozenset(
    "IncompleteRead ProtocolError ChunkedEncodingError ContentTooShortError "
    "DataCorruptionError ConnectionResetError RemoteDisconnected".split()
)
UNREADABLE = frozenset("JSONDecodeError BadZipFile ReadError".split())
UNREADABLE_WORDS = ("Unsupported archive", "Incomplete or corrupted")
NO_ARCHIVE = "is no archive"

Say = Callable[[str], None]


class Unreachable(ConnectionError):
    """A set could not be downloaded; the text says why."""


def download_scenes(folder: Path, *, say: Say) -> Path:
    """Download the public archive of scene photographs through kagglehub.

    Parameters
    ----------
    folder : Path
        kagglehub's cache for this call. What a broken download leaves there, the next
        call goes on with.
    say : callable
        Takes a sentence when something is tried again.

    Returns
    -------
    Path
        The folder that holds ``seg_train`` and ``seg_test``.

    Raises
    ------
    Unreachable
        If it cannot be downloaded now.
    ModuleNotFoundError
        If kagglehub is not installed.
    OSError
        If the disk is full, and the like.
    """
    kept = os.environ.get("KAGGLEHUB_CACHE")
    os.environ["KAGGLEHUB_CACHE"] = str(folder)
    try:
        kagglehub = _kagglehub()
        with _requests_time_out():
            return _try(
                lambda: Path(kagglehub.dataset_download(SCENES)),
                "www.kaggle.com",
                clear=folder,
                say=say,
            )
    finally:
        if kept is None:
            del os.environ["KAGGLEHUB_CACHE"]
        else:
            os.environ["KAGGLEHUB_CACHE"] = kept


def download_cifar(folder: Path, *, say: Say) -> Path:
    """Download CIFAR-10's archive through Keras; as `download_scenes`.

    A whole archive that lies in `folder` is not downloaded again; a broken one is, from
    its beginning.
    """

    def download() -> Path:
        # Asked first: Keras takes seconds to import, and being offline should not.
        request = urllib.request.Request(CIFAR, method="HEAD")
        urllib.request.urlopen(request, timeout=CONNECT_SECONDS).close()
        with without_notes():
            import keras
        if not sys.stdout.isatty():
            keras.config.disable_interactive_logging()  # its bar would be many lines
        path = keras.utils.get_file(
            "cifar-10-python.tar.gz",
            CIFAR,
            file_hash=CIFAR_SHA256,
            cache_dir=str(folder),
            cache_subdir="",
        )
        return Path(path)

    folder.mkdir(parents=True, exist_ok=True)
    kept = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENT_SECONDS)
    try:
        return _try(download, "www.cs.toronto.edu", clear=folder, say=say)
    finally:
        socket.setdefaulttimeout(kept)


def _kagglehub():
    """Import kagglehub, quiet but for its bar."""
    os.environ.setdefault("KAGGLEHUB_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "60")
    try:
        import kagglehub
    except ModuleNotFoundError as error:
        if error.name != "kagglehub":
            raise
        raise ModuleNotFoundError(
            "kagglehub, which downloads the photographs, is not installed. Install "
            "it: pip install 'scenecam[fetch]'",
            name="kagglehub",
        ) from None
    return kagglehub


@contextlib.contextmanager
def _requests_time_out() -> Iterator[None]:
    """Give kagglehub's requests an end: without one a stalled server holds for ever."""
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send

    def send_in_time(self, request, *args, timeout=None, **options):
        limits = CONNECT_SECONDS, SILENT_SECONDS
        return send(self, request, *args, timeout=limits, **options)

    HTTPAdapter.send = send_in_time
    try:
        yield
    finally:
        HTTPAdapter.send = send


def _try(download: Callable[[], Path], host: str, *, clear: Path, say: Say) -> Path:
    """Download, and again where that can help; else raise Unreachable."""
    tries = 0
    while True:
        tries += 1
        try:
            return download()
        except Exception as error:
            reason, pause = _trouble(error, host)
            if reason is None:
                raise
            if pause is None or pause > LONGEST_PAUSE or tries == TRIES:
                raise Unreachable(reason) from None
        if NO_ARCHIVE in reason:
            # Else the next try would go on from the wrong bytes.
            shutil.rmtree(clear, ignore_errors=True)
            clear.mkdir()
        wait = f" in {pause:.0f} s" if pause else ""
        say(f"{reason}: trying again{wait} ({tries} of {TRIES - 1}).")
        sleep(pause)


def _trouble(error: Exception, host: str) -> tuple[str | None, float | None]:
    """Return why a download failed, and in how many seconds to try again, if at all.

    The reason is None for an error that has nothing to do with the network.
    """
    chain = list(_chain(error))
    names = {type(link).__name__ for link in chain}
    for link in chain:
        answer = getattr(link, "response", None)
        code = getattr(answer, "status_code", None) or getattr(link, "code", None)
        if isinstance(code, int) and code >= 400:
            headers = getattr(answer, "headers", None) or getattr(link, "headers", {})
            return _refusal(code, headers or {}, host)
    if names & UNREACHABLE:
        links = [link for link in chain if type(link).__name__ in UNREACHABLE]
        cause = next((link.strerror for link in links if _is_system(link)), "")
        return f"{host} cannot be reached{cause and f' ({cause})'}", None
    if names & SILENT:
        return f"{host} sent nothing for {SILENT_SECONDS} s", 0
    if names & BROKEN:
        return f"the download from {host} broke off", 0
    if names & UNREADABLE or str(error).startswith(UNREADABLE_WORDS):
        return f"{host} sent something that {NO_ARCHIVE}, perhaps a web page", 1
    if "RequestException" in {kind.__name__ for kind in type(error).__mro__}:
        return f"{host} cannot be reached ({error})", None
    return None, None


def _is_system(error: BaseException) -> bool:
    return isinstance(error, OSError) and bool(error.strerror)


def _refusal(code: int, headers, host: str) -> tuple[str, float | None]:
    """Return what an HTTP status means for us; as `_trouble`."""
    if code in (429, 503):
        asked = headers.get("Retry-After") or "10"
        pause = float(asked) if asked.isdecimal() else LONGEST_PAUSE + 1
        why = "too many requests" if code == 429 else "is busy"
        return f"{host} answered {code} ({why}; try again after {asked})", pause
    if code in (404, 410):
        return f"{host} answered {code}: the set is not there any more", None
    if code in (401, 403):
        return f"{host} answered {code}: it does not give the set to us", None
    return f"{host} answered {code}", 1 if code >= 500 else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Iterate over an error and all that it was made from, outermost first."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if any(link is other for other in seen):
            continue
        seen.append(link)
        yield link
        inner = (link.__cause__, link.__context__, getattr(link, "reason", None))
        inner += tuple(getattr(link, "args", ()))
        waiting += [one for one in inner if isinstance(one, BaseException)]
