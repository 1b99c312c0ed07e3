"""What a zip, a tar or a folder holds, read so that a hostile file can do no harm.

Nothing is unpacked by the name that it has in an archive: the caller is asked about
each name and gets the bytes of those that it wants. An archive that holds a link, or a
name that leads out of its own folder, is refused as a whole: no honest set of pictures
needs either.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import lzma
import os
import pickle
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from scenecam._data import folders
from scenecam.images import shown_path

# An archive that announces more than this is none of ours: a small file that unpacks to
# a full disk.
MAX_PICTURE = 32 * 2**20
MAX_TOTAL = 8 * 2**30
MAX_MEMBERS = 500_000

# CIFAR-10, the version for Python: the checksum is the one that Keras knows it by.
CIFAR_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
CIFAR_FOLDER = "cifar-10-batches-py"
CIFAR_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
CIFAR_BATCHES = {
    **{f"data_batch_{number}": "train" for number in range(1, 6)},
    "test_batch": "test",
}

Wanted = Callable[[str], object]


def read_pictures(path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """Iterate over the wanted files of an archive, or of a folder of class folders.

    Parameters
    ----------
    path : str or path-like
        A zip, a tar (compressed or not), CIFAR-10's archive, or a folder. CIFAR-10
        looks as if it held ``train/bird/0000.png`` and so on; a folder as if it held
        ``train/<class>/<file>``, however it nests its two parts.
    wanted : callable
        Is asked about each name, with slashes; the file is read if the answer is true.

    Yields
    ------
    name : str
    content : bytes

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If it is no archive, is damaged, has a password, announces more than
        `MAX_TOTAL` bytes, or has a member that would lie outside its folder; for
        CIFAR-10, if its checksum is another than `CIFAR_SHA256`.
    """
    path = Path(path)
    if path.is_dir():
        yield from _read_folder(path, wanted)
        return
    if not path.exists():
        raise FileNotFoundError(
            f"there is no file or folder {shown_path(path)} (looked from "
            f"{shown_path(os.getcwd())}). Check the spelling."
        )
    with _sentences(path):
        if zipfile.is_zipfile(path):
            yield from _read_zip(path, wanted)
        elif not tarfile.is_tarfile(path):
            raise ValueError(_no_archive(path))
        elif _is_cifar(path):
            yield from _read_cifar(path, wanted)
        else:
            yield from _read_tar(path, wanted)


def announced_size(path) -> int:
    """Return how many bytes the files of an archive or a folder have, about.

    Of a tar that is compressed only its own size is known without unpacking it, which
    for pictures is nearly the same. What cannot be read counts as 0.
    """
    path = Path(path)
    with contextlib.suppress(OSError, ValueError, zipfile.BadZipFile):
        if path.is_dir():
            files = folders.list_pictures(path)
            return sum(os.stat(path / file).st_size for file in files)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return sum(info.file_size for info in archive.infolist())
        return os.stat(path).st_size
    return 0


class _Bounds:
    """Adds up what an archive announces, and refuses what no set of pictures has."""

    def __init__(self, path: Path):
        self.path, self.total, self.members = path, 0, 0

    def check(self, name: str, size: int, *, plain: bool) -> None:
        """Raise ValueError for a member that is refused, and so its archive."""
        place = name.replace("\\", "/")
        if place.startswith("/") or re.match("[A-Za-z]:", place):
            self._refuse(f"its member {name!r} has an absolute path")
        if ".." in place.split("/"):
            self._refuse(f"its member {name!r} would lie outside the folder")
        if not plain:
            self._refuse(f"its member {name!r} is a link or a device, not a file")
        self.total += size
        self.members += 1
        if self.total > MAX_TOTAL or self.members > MAX_MEMBERS:
            self._refuse(
                f"it announces more than {MAX_TOTAL / 1e9:.0f} GB or "
                f"{MAX_MEMBERS:,} files"
            )

    def check_picture(self, name: str, size: int) -> None:
        if size > MAX_PICTURE:
            self._refuse(f"its member {name!r} has {size / 1e6:,.0f} MB")

    def _refuse(self, reason: str) -> None:
        raise ValueError(
            f"{shown_path(self.path)} is refused: {reason}. Nothing was unpacked from "
            "it; get the archive from its own page."
        )


def _read_zip(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    bounds = _Bounds(path)
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        for info in infos:
            link = stat.S_ISLNK(info.external_attr >> 16)
            # The name as it stands in the file: ZipFile itself mends some.
            bounds.check(info.orig_filename, info.file_size, plain=not link)
        for info in infos:
            if not info.is_dir() and wanted(info.filename):
                bounds.check_picture(info.filename, info.file_size)
                yield info.filename, archive.read(info)


def _read_tar(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    bounds = _Bounds(path)
    with tarfile.open(path) as archive:
        for info in archive:
            plain = info.isfile() or info.isdir()
            bounds.check(info.name, info.size, plain=plain)
            if info.isfile() and wanted(info.name):
                bounds.check_picture(info.name, info.size)
                yield info.name, archive.extractfile(info).read()


def _read_folder(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    roots = folders.find_roots(path)
    if set(roots) != set(folders.PARTS):
        roots = {"": path}  # the caller says what is missing
    for part, root in roots.items():
        for file in folders.list_pictures(root):
            name = Path(part, file).as_posix()
            if wanted(name):
                yield name, (root / file).read_bytes()


def _is_cifar(path: Path) -> bool:
    with tarfile.open(path) as archive:
        first = next((info for info in archive if info.isfile()), None)
    return first is not None and Path(first.name).parts[0] == CIFAR_FOLDER


def _read_cifar(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """Iterate over CIFAR-10 as PNG files, numbered in each class of each part."""
    with open(path, "rb") as file:
        checksum = _sha256(file)
    # A pickle can run any program: it is opened only if it is known byte for byte.
    if checksum != CIFAR_SHA256:
        raise ValueError(
            f"{shown_path(path)} is not the archive of CIFAR-10, or not the whole of "
            f"it: its SHA-256 is {checksum}, expected {CIFAR_SHA256}. Download it "
            "again."
        )
    numbers: dict[tuple[str, str], int] = {}
    with tarfile.open(path) as archive:
        for batch, part in CIFAR_BATCHES.items():
            content = archive.extractfile(f"{CIFAR_FOLDER}/{batch}").read()
            pictures = pickle.loads(content, encoding="bytes")
            pixels = np.asarray(pictures[b"data"]).reshape(-1, 3, 32, 32)
            for image, label in zip(pixels, pictures[b"labels"], strict=True):
                kind = (part, CIFAR_CLASSES[label])
                number = numbers[kind] = numbers.get(kind, -1) + 1
                name = f"{part}/{kind[1]}/{number:04d}.png"
                if wanted(name):
                    yield name, _png(image.transpose(1, 2, 0))


def _sha256(file) -> str:
    seen = hashlib.sha256()
    while chunk := file.read(2**20):
        seen.update(chunk)
    return seen.hexdigest()


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _no_archive(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(512).lstrip()
    shown = shown_path(path)
    if start.startswith(b"PK"):
        return f"{shown} is a zip that was cut short. Download it again."
    if start[:1] == b"<":
        return (
            f"{shown} is a web page, not an archive. Download the archive itself; some "
            "pages ask for a login first."
        )
    if not start:
        return f"{shown} is empty. Download it again."
    return (
        f"{shown} is neither a zip nor a tar archive nor a folder (it begins with "
        f"{start[:8]!r}). Name the archive, or the folder that it was unpacked to."
    )


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Say in a sentence what the readers of archives raise."""
    try:
        yield
    except RuntimeError as error:  # also zipfile's NotImplementedError
        raise ValueError(
            f"{shown_path(path)} cannot be unpacked: {error}. Unpack it with another "
            "program, and name the folder."
        ) from None
    except (
        EOFError,
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise ValueError(
            f"{shown_path(path)} is damaged or cut short ({error}). Download it again."
        ) from None
