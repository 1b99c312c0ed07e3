"""Where sets of pictures come from: a folder, the fetched photographs, or drawn scenes.

Decoded and drawn sets are kept under ``data/cache`` and come back as memory maps, so
the second load takes a moment and a set may be larger than memory. The key of a kept
folder is made of every picture's name, size and times of change, and of the decoder's
code: what is added, renamed or changed makes the folder be decoded again, and so does
another decoder. No picture has to be opened to find that nothing changed.
"""

import functools
import itertools
import os
import warnings
from pathlib import Path

import numpy as np

from scenecam import images, synth
from scenecam._data import cache as store
from scenecam._data import decoding, folders
from scenecam._data.packages import package_file
from scenecam.scenes import SceneSet

# The default sets: how many scenes, and the seed that draws them.
DRAWN = {"train": (4000, 0), "test": (1200, 1)}

# The photographs that packages carry; data/README.md says whose they are.
SKIMAGE = "chelsea.png coffee.png rocket.jpg astronaut.png camera.png coins.png".split()
PHOTOGRAPHS = [("scikit-image", "skimage", f"data/{name}") for name in SKIMAGE]
for name in ("china.jpg", "flower.jpg"):
    PHOTOGRAPHS.append(("scikit-learn", "sklearn", f"datasets/images/{name}"))


class SkippedPictures(UserWarning):
    """Some pictures of a folder could not be read and were left out.

    `skipped` maps the path of each to the sentence that says why.
    """

    def __init__(self, skipped: dict[str, str], total: int):
        self.skipped = dict(skipped)
        number, reasons = len(skipped), " ".join([*skipped.values()][:5])
        more = f" ... and {number - 5} more." if number > 5 else ""
        super().__init__(f"{number} of {total} pictures were left out: {reasons}{more}")


def load_folder(
    path, *, size=96, split=None, class_names=None, count=None, cache=True
) -> SceneSet:
    """Load pictures that lie in one folder per class.

    Parameters
    ----------
    path : str or path-like
        A folder of class folders; or, in the layout of the public archive, the folder
        above ``seg_train/seg_train/<class>`` and ``seg_test/seg_test/<class>``, or any
        level of it. ``train`` and ``test`` (or ``val``, ``test_set``, ``test_images``)
        do as well, doubled or not. A class folder is read with all folders in it.
    size : int or (int, int)
        Height and width of the pictures, as in `images.read_image`.
    split : {"train", "test"}, optional
        Which part. Where only one part exists, or the folder is not divided, a fifth of
        every class, chosen by name and always the same, is the test part and the rest
        the train part. Without `split`, everything in `path` is loaded, which then must
        not hold both parts.
    class_names : sequence of str, optional
        The class folders in the order of their labels; others are left out. Without it:
        all, sorted by name.
    count : int, optional
        At most so many, from all classes alike, always the same ones; the others are
        not decoded.
    cache : bool
        Keep the decoded pictures on disk and return a memory map.

    Returns
    -------
    SceneSet
        In the order of classes, then of names; with `paths`, without `masks`.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it has no class folders or only one, a class has no readable picture, or the
        class folders disagree with `class_names` or those of the train part.

    Warns
    -----
    SkippedPictures
        Names the pictures that could not be read; the set holds the others. Hidden
        files, ``Thumbs.db`` and whatever else has no picture's name do not count.

    Examples
    --------
    >>> train = load_folder("data/photos", split="train")
    """
    _check(split, count, None)
    return _load_folder(path, size, split, count, class_names, cache)


def load_scenes(split: str = "train", *, size=96, count=None, source=None) -> SceneSet:
    """Load the set that the book is read with.

    Parameters
    ----------
    split : {"train", "test"}
        Which part: see `load_folder` for folders; of drawn scenes 4,000 of seed 0, or
        1,200 of seed 1.
    size, count
        As in `load_folder`; drawn scenes are square.
    source : str or path-like, optional
        A folder, as in `load_folder` (a relative path counts from the working folder,
        else from the project's root), or the word ``drawn`` for drawn scenes. Without
        it: what the environment variable ``SCENECAM_SCENES`` names in the same way;
        else the fetched photographs in ``data/photos``; else drawn scenes.

    Returns
    -------
    SceneSet
        With exact `masks` where the scenes are drawn, with `paths` where they are not.

    Raises
    ------
    ValueError
        If `source` or ``SCENECAM_SCENES`` names no folder of pictures, and as in
        `load_folder`.
    """
    _check(split, count)
    if (folder := _scenes_folder(source)) is None:
        return _load_drawn(split, size, count)
    return _load_folder(folder, size, split, count)


def load_animals(split: str = "train", *, size=32, count=None, source=None) -> SceneSet:
    """Load the birds, cats, dogs and horses of CIFAR-10, or a folder in their place.

    Parameters and errors as in `load_scenes`, and: the fetched set has 20,000 pictures
    to train and 4,000 to test with, of 32 pixels. Without a `source` it is the folder
    that the environment variable ``SCENECAM_ANIMALS`` names; else ``data/animals``,
    where the command ``scenecam fetch animals`` puts them: FileNotFoundError if it has
    not. The set has `paths` and no `masks`.
    """
    _check(split, count)
    if (folder := _find_folder("animals", "SCENECAM_ANIMALS", source)) is None:
        place = images.shown_path(project_root() / "data" / "animals")
        remedy = "Use `scenecam fetch animals`, or name a folder in SCENECAM_ANIMALS."
        raise FileNotFoundError(f"there are no animals at {place}. {remedy}")
    return _load_folder(folder, size, split, count)


def load_photographs(*, size=224) -> SceneSet:
    """Load the photographs that scikit-image and scikit-learn carry: no download.

    A cat (``chelsea``), a cup of ``coffee``, a palace (``china``), a ``flower`` and
    others: each is a class of its own, called as its file, with `paths`; `size` is as
    in `load_folder`. FileNotFoundError if a package is missing.
    """
    size = images.check_size(size)
    paths = [package_file(*photograph) for photograph in PHOTOGRAPHS]
    pictures = np.stack([images.read_image(path, size=size) for path in paths])
    names = [path.stem for path in paths]
    return SceneSet(pictures, np.arange(len(paths)), names, paths=paths)


def scenes_name() -> str:
    """Return which set `load_scenes` uses: "photos" or "drawn".

    Weights are named after it. Raises ValueError as `load_scenes` does.
    """
    return "drawn" if _scenes_folder() is None else "photos"


def project_root() -> Path:
    """Return the folder of the project that holds ``data`` and ``book``.

    The checkout that this module is part of; for an installed copy the checkout around
    the working folder; else the working folder itself.
    """
    working = Path.cwd()
    places = (Path(__file__).resolve().parents[2], working, *working.parents)
    return next(filter(_is_checkout, places), working)


def cache_folders() -> tuple[Path, ...]:
    """Return where decoded sets are looked for and kept, best first.

    ``data/cache`` of a checkout, then ``$XDG_CACHE_HOME/scenecam`` or
    ``~/.cache/scenecam`` for one that may not be written.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    user = Path(home) / "scenecam"
    root = project_root()
    return (root / "data" / "cache", user) if _is_checkout(root) else (user,)


def _is_checkout(folder: Path) -> bool:
    marks = ("pyproject.toml", "src/scenecam/data.py")
    return all((folder / mark).is_file() for mark in marks)


def _check(split, count, *also) -> None:
    if split not in (*folders.PARTS, *also):
        raise ValueError(f"split must be 'train' or 'test'; received {split!r}.")
    if count is not None and count < 1:
        raise ValueError(f"count must be at least 1, or None; received {count}.")


def _scenes_folder(source=None) -> Path | None:
    """Return the folder that `load_scenes` reads, or None for drawn scenes."""
    variable = "SCENECAM_SCENES"
    if (source or os.environ.get(variable, "").strip()) == "drawn":
        return None
    return _find_folder("photos", variable, source, "or the word drawn, ")


def _find_folder(name: str, variable: str, source, word: str = "") -> Path | None:
    """Return the folder that `source`, else an environment variable, names.

    Where neither does: the folder `name` under ``data``, or None if it is not fetched.
    """
    named = os.fspath(source or os.environ.get(variable, "").strip())
    given, root = Path(named).expanduser(), project_root()
    # The book's chapters run in book/, but a path is typed where make is called.
    places = (Path.cwd() / given, root / given) if named else (root / "data" / name,)
    found = next(filter(folders.find_roots, places), None)
    if named and not found:
        tried = " nor at ".join(dict.fromkeys(map(images.shown_path, places)))
        what, undo = ("source", "leave it out") if source else (variable, "unset it")
        raise ValueError(
            f"{what} is {named!r}, but there is no folder of class folders with "
            f"pictures at {tried}. Name such a folder, {word}or {undo}."
        )
    return found


def _load_folder(path, size, split, count, class_names=None, cache=True) -> SceneSet:
    """Load a folder, and warn the caller's caller of pictures that were left out."""
    size = images.check_size(size)
    part = folders.list_part(path, split=split, class_names=class_names)
    files = folders.choose(part.files, count)
    total = sum(map(len, files.values()))
    place = f"{store.plain_name(part.root.name)}-{store.digest(part.root)[:8]}"
    name = f"{place}-{part.word}-{size[0]}x{size[1]}"
    made_of = part.root, tuple(part.files), folders.fingerprint(part)
    made_by = size, decoding.DECODERS, store.code_of(decoding.__file__)
    key = store.digest(*made_of, *made_by)
    entry = store.Entry(name, key, {"images": (total, *size, 3)}, tuple(part.files))
    places = cache_folders() if cache else ()
    records = functools.partial(_decode, part.root, files, size)
    scenes, skipped = store.find(places, entry) or store.keep(
        places if files is part.files else (), entry, records
    )
    if len(scenes) + len(skipped) > total:  # all are kept, and some are asked for
        asked = {os.path.join(part.root, f) for f in itertools.chain(*files.values())}
        rows = [row for row, path in enumerate(scenes.paths) if path in asked]
        scenes, skipped = scenes[rows], {p: skipped[p] for p in skipped if p in asked}
    if skipped:
        warnings.warn(SkippedPictures(skipped, total), stacklevel=3)
    return scenes


def _decode(root: Path, files: dict[str, list[str]], size, skipped: dict[str, str]):
    """Iterate over the records of readable pictures; put the others in `skipped`."""
    for label, (name, members) in enumerate(files.items()):
        paths = [os.path.join(root, file) for file in members]
        for path in paths:
            try:
                yield images.read_image(path, size=size), label, None, path
            except (ValueError, FileNotFoundError) as error:
                skipped[path] = str(error)
        if paths and skipped.keys() >= set(paths):
            folder = images.shown_path(root / name)
            what = f"no picture in the class folder {folder} can be read"
            raise ValueError(f"{what}. The first: {skipped[paths[0]]}")


def _load_drawn(split: str, size, count) -> SceneSet:
    height, width = images.check_size(size)
    if height != width:
        raise ValueError(f"drawn scenes are square; received size={size!r}.")
    number, seed = DRAWN[split]
    wanted = min(count or number, number)
    names = (f"drawn-{split}-{n}-{height}x{width}" for n in (wanted, number))
    key = store.digest(seed, synth.digest())
    shapes = {"images": (wanted, height, width, 3), "masks": (wanted, height, width)}
    # Scene i does not depend on how many are drawn: the whole set begins with any part.
    entry, whole = (store.Entry(n, key, shapes, synth.CLASS_NAMES) for n in names)

    def records(skipped):
        drawn = synth.draw_scenes(wanted, size=height, seed=seed)
        paths = [None] * wanted
        return zip(drawn.images, drawn.labels.tolist(), drawn.masks, paths, strict=True)

    places = cache_folders()
    scenes, _ = store.find(places, entry, whole) or store.keep(places, entry, records)
    return scenes[:wanted]
