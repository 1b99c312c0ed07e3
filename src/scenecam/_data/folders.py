"""Find class folders and their pictures on disk, without opening a picture.

Knows the layout of the public archive (``seg_train/seg_train/<class>``), the usual
names of a train and a test part, and what lies in folders without being a picture. A
class folder is read with all the folders in it; a folder called like a part is a class
only if it is the only such one, and stands beside two or more others.
"""

import hashlib
import itertools
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scenecam.images import dead_link, shown_path

# Files so named are taken for pictures. Those of the last row cannot be read and are
# reported; notes, indexes and thumbnails that lie beside pictures are passed over.
PICTURE_SUFFIXES = tuple(
    ".jpg .jpeg .jpe .jfif .png .webp .gif .bmp .tif .tiff .ppm .pgm .pbm .pnm "
    ".heic .heif .avif .jp2 .psd .svg".split()
)

# What the two parts are called, in the public archive and elsewhere, the best first.
PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "valid", "val", "validation"),
}
FORMS = "seg_{} {} {}_set {}set {}_images {}_data {}1".split()
PART_OF = {
    form.format(name): part
    for part, names in PARTS.items()
    for name in names
    for form in FORMS
}

# Names that say the class, as in cat.0.jpg and sea_12.jpg, and Bash that goes by them.
LABELLED = re.compile(r"([^\W\d_][^\d(]*?)[._ -]?[\d(]")
MAKE_FOLDERS = (
    "for f in {}; do d=${{f%%[0-9(]*}}; d=${{d%[._ -]}}; "
    'mkdir -p "$d" && mv "$f" "$d"; done'
)

# The share of every class that is set aside where a folder has no test part of its own.
TEST_SHARE = 0.2

# The deepest nesting of single folders (doubled names, unpacked archives) looked into.
MAX_DEPTH = 4


class Part(NamedTuple):
    """The pictures of one part of a set."""

    root: Path
    files: dict[str, list[str]]  # each class, in the order of labels -> sorted paths
    word: str  # which part it is, for the name of a cache entry


def list_part(path, *, split=None, class_names=None) -> Part:
    """List the pictures of a folder, or of a part of it, as in `data.load_folder`."""
    roots = _roots(path, split)
    whole = roots.get("all")
    root = whole or roots[split]
    files = {}
    train = whole or roots["train"]
    for name in _class_names(root, train, class_names):
        place = shown_path(root / name)
        if not (root / name).is_dir():
            what = f"{shown_path(root)} has no folder for the class {name!r}"
            what += f", which {shown_path(train)} has. Put pictures into {place}"
            raise ValueError(f"{what}, or give the class_names that both parts have.")
        files[name] = list_pictures(root, name)
        if not files[name]:
            what = f"the class folder {place} holds no pictures"
            raise ValueError(f"{what}. Put some there, or remove the folder.")
    if split is None or whole is None:
        return Part(root, files, split or "all")
    return Part(root, _hold_out(files, split), f"{split}-of-all")


def find_roots(path) -> dict[str, Path]:
    """Find the folders whose subfolders are the classes.

    Returns ``{"train": ..., "test": ...}`` if `path` holds both parts or lies in one of
    them, at any level; ``{"all": ...}`` if it is not divided; ``{}`` if there are no
    class folders with pictures.
    """
    path = Path(os.path.abspath(path))
    for place in (path, *(at.parent for at in (path, path.parent) if _is_part(at))):
        parts = _named_parts(place)
        if len(parts) == len(PARTS):
            return parts
    if (root := class_root(path)) is None:
        inner = _subfolders(path)
        if len(inner) == 1 and not _is_part(inner[0]):
            return find_roots(inner[0])
        root = next(iter(_named_parts(path).values()), None)
    return {"all": root} if root else {}


def class_root(folder: Path, depth: int = MAX_DEPTH) -> Path | None:
    """Go down through doubled and wrapping folders to the one with class folders.

    Of several folders without pictures of their own, what they hold at any depth
    counts; but folders that hold parts are sets, not classes.
    """
    inner = _subfolders(folder)
    parts = [*filter(_is_part, inner)]
    if len(inner) == 1 and (parts or not _has_pictures(inner[0])):
        return class_root(inner[0], depth - 1) if depth else None
    if len(parts) > 1 or (parts and len(inner) < 3):
        return None
    if any(map(_has_pictures, inner)):
        return folder
    within = itertools.chain.from_iterable(map(_subfolders, inner))
    if parts or any(map(_is_part, within)):
        return None
    return folder if any(any(_walk(sub)) for sub in inner) else None


def choose(files: dict[str, list[str]], count: int | None) -> dict[str, list[str]]:
    """Take `count` files, from all classes alike as far as each has enough."""
    if count is None or count >= sum(map(len, files.values())):
        return files
    rounds = itertools.zip_longest(*map(_spread, files.values()))  # one of each class
    turns = filter(None, itertools.chain.from_iterable(rounds))
    kept = set(itertools.islice(turns, count))
    return {name: [f for f in members if f in kept] for name, members in files.items()}


def fingerprint(part: Part) -> str:
    """Return a key of a part's content, from what a scan sees: no file is opened."""
    seen = hashlib.sha256()
    base = os.path.join(part.root, "")  # joining two strings is faster than two paths
    for file in itertools.chain(*part.files.values()):
        try:
            status = os.stat(base + file)
            # The time of change (ctime) cannot be set back as the time of modification
            # can, which copying tools do.
            facts = status.st_size, status.st_mtime_ns, status.st_ctime_ns
        except OSError:
            facts = ()
        seen.update(os.fsencode(file) + repr(facts).encode())
    return seen.hexdigest()


def list_pictures(folder: Path, inside: str = "") -> list[str]:
    """Return the paths, from a folder, of all pictures `inside` at any depth, sorted.

    Raises ValueError for a folder that cannot be read.
    """
    found, start = [], len(os.path.join(folder, ""))
    for place, names in _walk(os.path.join(folder, inside)):
        before = os.path.join(place, "")[start:]
        found += [before + name for name in names]
    return sorted(found)


def _roots(path, split) -> dict[str, Path]:
    """Return `find_roots`, or raise where it does not answer the question."""
    shown = shown_path(path)
    if not os.path.isdir(path):
        kind = "is a file, not a folder" if os.path.exists(path) else "does not exist"
        what = f"{shown} {kind} (looked from {shown_path(os.getcwd())})"
        raise FileNotFoundError(f"{what}. Name a folder that has a folder per class.")
    if split is None and (own := class_root(Path(os.path.abspath(path)))):
        return {"all": own}  # the very folder that was named, whatever lies beside it
    if not (roots := find_roots(path)):
        what = f"{shown} has no class folders with pictures"
        raise ValueError(f"{what}. {_way_to_classes(path)}")
    if split is None and "all" not in roots:
        remedy = "Choose with split='train' or split='test', or name one of them."
        raise ValueError(f"{shown} holds a train part and a test part. {remedy}")
    return roots


def _way_to_classes(path) -> str:
    """Say how the pictures in a folder without class folders get some."""
    for place, names in sorted(_walk(path), key=lambda found: -len(found[1])):
        labels = Counter(found[1] for found in map(LABELLED.match, names) if found)
        if labels.total() == len(names) and len(labels) > 1 < min(labels.values()):
            what = f"The names in {shown_path(place)} say the classes"
            files = sorted({"*" + os.path.splitext(name)[1] for name in names})
            lines = MAKE_FOLDERS.format(" ".join(files))
            # In a shell of its own, so that the same command can follow.
            lines = f"(cd {shlex.quote(shown_path(place))} &&\n  {lines})"
            what += f" ({', '.join(sorted(labels))})"
            return f"{what}. Make folders of them, in Bash:\n  {lines}"
    above = Path(os.path.abspath(path)).parent
    if _has_pictures(path) and class_root(above) == above:
        return "It has pictures itself: name the folder above it."
    remedy = "Put the pictures of each class into a folder of its name."
    if parts := [sub.name for sub in _subfolders(path) if _is_part(sub)]:
        what = f"Folders called {', '.join(parts)} are taken for parts, not for classes"
        return f"{what}. {remedy[:-1]} in them, or rename what is a class."
    return remedy


def _named_parts(folder: Path) -> dict[str, Path]:
    """Return the parts that lie in a folder under one of their usual names."""
    inner = {sub.name.lower(): sub for sub in _subfolders(folder)}
    parts = {}
    for name in filter(inner.get, PART_OF):
        if root := class_root(inner[name]):
            parts.setdefault(PART_OF[name], root)
    return parts


def _hold_out(files: dict[str, list[str]], split: str) -> dict[str, list[str]]:
    """Divide every class into a train and a test part and return one of them."""
    part = {}
    for name, members in files.items():
        number = max(1, round(TEST_SHARE * len(members)))
        held_out = set(_spread(members)[:number])
        part[name] = [f for f in members if (f in held_out) == (split == "test")]
        if not part[name]:
            what = "a single picture, too few for a train and a test part"
            raise ValueError(f"the class {name!r} has {what}. Add pictures.")
    return part


def _spread(files: list[str]) -> list[str]:
    """Return files in an order that looks random but depends on each name only."""
    # So a picture that is added does not move the others between train and test part.
    return sorted(files, key=lambda file: hashlib.sha256(os.fsencode(file)).digest())


def _class_names(root: Path, train: Path, class_names) -> tuple[str, ...]:
    """Return the classes of a part in the order of their labels, the train part's."""
    for path in train.iterdir():
        # A class that vanished silently would shift the labels of all after it.
        if path.is_symlink() and not (path.exists() or _is_hidden(path.name)):
            raise ValueError(dead_link(path))
    found, here = ([sub.name for sub in _subfolders(at)] for at in (train, root))
    names = tuple(found if class_names is None else class_names)
    missing = [name for name in names if name not in found]
    strange = [name for name in here if name not in found]
    if missing:
        what = f"has no class folder for {missing}; it has {found}"
        raise ValueError(f"{shown_path(train)} {what}. Spell class_names as they are.")
    if len(set(names)) < max(2, len(names)):
        what = "A classifier needs two or more, all different. Or name the one above."
        raise ValueError(f"{shown_path(train)} gives the classes {list(names)}. {what}")
    if strange and class_names is None:
        what = f"has class folders that the train part has not: {', '.join(strange)}"
        raise ValueError(f"{shown_path(root)} {what}. Remove them, or train on them.")
    return names


def _subfolders(folder) -> list[Path]:
    """Return the visible folders in a folder, sorted; none if it does not exist."""
    names = sorted(_look(folder)[0]) if os.path.isdir(folder) else []
    return [Path(folder, name) for name in names if not _is_hidden(name)]


def _is_part(folder: Path) -> bool:
    return folder.name.lower() in PART_OF


def _has_pictures(folder) -> bool:
    return any(map(_is_picture_name, _look(folder)[1]))


def _walk(top) -> Iterator[tuple[str, list[str]]]:
    """Iterate over the folders in a folder, and it, that have pictures: their names."""
    seen = set()
    for place, inner, files in os.walk(top, onerror=_refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()  # a link that leads in a circle
            continue
        seen.add(real)
        inner[:] = [name for name in inner if not _is_hidden(name)]
        if names := [name for name in files if _is_picture_name(name)]:
            yield place, names


def _look(folder) -> tuple[list[str], list[str]]:
    """Return the names of the folders in a folder, and of the files."""
    return next(os.walk(folder, onerror=_refuse))[1:]


def _refuse(error: OSError):
    what = f"the folder {shown_path(error.filename)} cannot be read ({error.strerror})"
    raise ValueError(f"{what}. Change its permissions.") from None


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_picture_name(name: str) -> bool:
    return name.lower().endswith(PICTURE_SUFFIXES) and not _is_hidden(name)
