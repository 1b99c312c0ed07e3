"""What a zip, a tar or a folder holds, read so that a hostile file can do no harm.

Nothing is unpacked by the name that it has in an archive: the caller is asked about
each name and gets the bytes of those that it wants. An archive that holds a link, or a
name that leads out of its own folder, is refused as a whole: no honest set of pictures
needs either.
"""

from __future__ import annotations

import lzma
import pickle
import re
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from scenecam._data import folders
from scenecam.images import encode_png, shown_path

# An archive that announces more than this is none of ours: a small file that unpacks to
# a full disk.
MAX_PICTURE = 32 * 2**20
MAX_TOTAL = 8 * 2**30
MAX_MEMBERS = 500_000

# CIFAR-10, the version for Python: the checksum is the one that Keras knows it by.
CIFAR_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
CIFAR_FOLDER = "cifar-10-batches-py"
CIFAR_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
CIFAR_BATCHES = {f"data_batch_{number}": "train" for number in range(1, 6)}
CIFAR_BATCHES["test_batch"] = "test"

# What the readers of archives raise.
DAMAGE = EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError

Place = Callable[[str], Path | None]
Pictures = Iterator[tuple[str, Path, bytes]]


def read_pictures(path: Path, place: Place) -> Pictures:
    """Iterate over the wanted files of an archive, or of a folder of class folders.

    Parameters
    ----------
    path : Path
        A zip, a tar (compressed or not), CIFAR-10's archive, or a folder. CIFAR-10
        looks as if it held ``train/bird/0000.png`` and so on; a folder as if it held
        ``train/<class>/<file>``, however it nests its two parts.
    place : callable
        Says where the file of a name, with slashes, belongs; for None it is not read.

    Yields
    ------
    name, place, content
        What the file is called, what `place` said, and its bytes.

    Raises
    ------
    ValueError
        If it is no archive, is damaged, has a password or a hostile member, or
        announces too much; for CIFAR-10, if its checksum is not `CIFAR_SHA256`.
    """
    try:
        yield from _reader(path)(path, place)
    except RuntimeError as error:  # also zipfile's NotImplementedError
        raise ValueError(
            f"{shown_path(path)} cannot be unpacked: {error}. Unpack it with another "
            "program, and name the folder."
        ) from None
    except DAMAGE as error:
        raise ValueError(
            f"{shown_path(path)} is damaged or cut short ({error}). Download it again."
        ) from None


def _reader(path: Path) -> Callable[[Path, Place], Pictures]:
    if path.is_dir():
        return _read_folder
    if zipfile.is_zipfile(path):
        return _read_zip
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            first = next((info.name for info in archive if info.isfile()), "")
        return _read_cifar if first.startswith(f"{CIFAR_FOLDER}/") else _read_tar
    with open(path, "rb") as file:
        start = file.read(512).lstrip()
    if not start:
        what = "is empty. Download it again."
    elif start.startswith(b"PK"):
        what = "is a zip that was cut short. Download it again."
    elif start.startswith(b"<"):
        what = "is a web page, not an archive. Some pages ask for a login first."
    else:
        what = (
            f"is neither a zip nor a tar archive nor a folder (it begins with "
            f"{start[:8]!r}). Name the archive, or the folder that it was unpacked to."
        )
    raise ValueError(f"{shown_path(path)} {what}")


def _read_folder(path: Path, place: Place) -> Pictures:
    roots = folders.find_roots(path)
    if set(roots) != set(folders.PARTS):
        roots = {"": path}  # the caller says what is missing
    for part, root in roots.items():
        for file in folders.list_pictures(root):
            name = Path(part, file).as_posix()
            if target := place(name):
                yield name, target, (root / file).read_bytes()


def _read_zip(path: Path, place: Place) -> Pictures:
    with zipfile.ZipFile(path) as archive:
        members = []
        for info in archive.infolist():
            # The name as it stands in the file: ZipFile itself mends some.
            name = info.orig_filename.partition("\0")[0]
            link = stat.S_ISLNK(info.external_attr >> 16)
            file, inner = not (link or info.is_dir()), info.is_dir() and not link
            members.append((info, name, info.file_size, file, inner))
        for info, name, target in list(_wanted(path, place, members)):
            yield name, target, archive.read(info)


def _read_tar(path: Path, place: Place) -> Pictures:
    with tarfile.open(path) as archive:
        members = ((i, i.name, i.size, i.isfile(), i.isdir()) for i in archive)
        for info, name, target in _wanted(path, place, members):
            yield name, target, archive.extractfile(info).read()


def _wanted(path: Path, place: Place, members: Iterable[tuple]) -> Iterator[tuple]:
    """Iterate over ``(info, name, place)`` of the wanted files; refuse what is hostile.

    Members are ``(info, name, size, is_file, is_folder)``.
    """
    total = 0
    for number, (info, name, size, file, inner) in enumerate(members, start=1):
        total += size
        words = name.replace("\\", "/")
        target = place(name) if file else None
        bomb = total > MAX_TOTAL or number > MAX_MEMBERS
        most = f"{MAX_TOTAL / 1e9:.0f} GB or {MAX_MEMBERS:,} files"
        faults = {
            "has an absolute path": re.match("/|[A-Za-z]:", words),
            "would lie outside the folder": ".." in words.split("/"),
            "is a link or a device, not a file": not (file or inner),
            f"has {size / 1e6:,.0f} MB": target and size > MAX_PICTURE,
            f"is too much: the archive announces more than {most}": bomb,
        }
        for fault, found in faults.items():
            if found:
                raise ValueError(
                    f"{shown_path(path)} is refused: its member {name!r} {fault}. "
                    "Nothing was unpacked from it; get the archive from its own page."
                )
        if target:
            yield info, name, target


def _read_cifar(path: Path, place: Place) -> Pictures:
    """Iterate over CIFAR-10 as PNG files, numbered in each class of each part."""
    import pooch

    # A pickle can run any program: it is opened only if it is known byte for byte.
    checksum = pooch.file_hash(str(path))
    if checksum != CIFAR_SHA256:
        raise ValueError(
            f"{shown_path(path)} is not CIFAR-10's archive, or not the whole: its "
            f"SHA-256 is {checksum}, expected {CIFAR_SHA256}. Download it again."
        )
    seen: Counter[str] = Counter()
    with tarfile.open(path) as archive:
        for batch, part in CIFAR_BATCHES.items():
            content = archive.extractfile(f"{CIFAR_FOLDER}/{batch}").read()
            pictures = pickle.loads(content, encoding="bytes")
            pixels = pictures[b"data"].reshape(-1, 3, 32, 32)
            for image, label in zip(pixels, pictures[b"labels"], strict=True):
                folder = f"{part}/{CIFAR_CLASSES[label]}"
                name = f"{folder}/{seen[folder]:04d}.png"
                seen[folder] += 1
                if target := place(name):
                    yield name, target, encode_png(image.transpose(1, 2, 0))
