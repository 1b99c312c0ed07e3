"""Where sets of pictures come from: a folder, the fetched photographs, or drawn scenes.

Decoded and drawn sets are kept under ``data/cache`` and come back as memory maps, so
the second load takes a moment and a set may be larger than memory. The key of a kept
folder is made of every picture's name, size and times of change, and of the decoder's
code: what is added, renamed or changed makes the folder be decoded again, and so does
another decoder. No picture has to be opened to find that nothing changed.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from pathlib import Path

import PIL

from scenecam import images, synth
from scenecam._data import cache as store
from scenecam._data import decoding, folders
from scenecam.scenes import SceneSet

# The default sets: how many scenes, and the seed that draws them.
DRAWN = {"train": (4000, 0), "test": (1200, 1)}


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
        level of it. ``train`` and ``test`` (or ``val``) do as well, doubled or not.
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
    folder = _scenes_folder(source)
    if folder is None:
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
    folder = _named_folder("SCENECAM_ANIMALS", source, "Name such a folder, or")
    if folder is None:
        folder = project_root() / "data" / "animals"
        if not folders.find_roots(folder):
            raise FileNotFoundError(
                f"there are no animals at {images.shown_path(folder)}. Fetch them with "
                "`scenecam fetch animals`, or name a folder of class folders in "
                "SCENECAM_ANIMALS."
            )
    return _load_folder(folder, size, split, count)


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
    for folder in (Path(__file__).resolve().parents[2], working, *working.parents):
        if _is_checkout(folder):
            return folder
    return working


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
    marks = (folder / "pyproject.toml", folder / "src" / "scenecam" / "data.py")
    return all(mark.is_file() for mark in marks)


def _check(split, count, *also) -> None:
    if split not in (*folders.PARTS, *also):
        raise ValueError(f"split must be 'train' or 'test'; received {split!r}.")
    if count is not None and count < 1:
        raise ValueError(f"count must be at least 1, or None; received {count}.")


def _scenes_folder(source=None) -> Path | None:
    """Return the folder that `load_scenes` reads, or None for drawn scenes."""
    named = source or os.environ.get("SCENECAM_SCENES", "").strip()
    if named == "drawn":
        return None
    remedy = "Name such a folder, or the word drawn, or"
    folder = _named_folder("SCENECAM_SCENES", source, remedy)
    photos = project_root() / "data" / "photos"
    return folder or (photos if folders.find_roots(photos) else None)


def _named_folder(variable: str, source, remedy: str) -> Path | None:
    """Return the folder that `source`, or else an environment variable, names."""
    named = os.fspath(source or os.environ.get(variable, "").strip())
    if not named:
        return None
    given = Path(named).expanduser()
    # The book's chapters run in book/, but a path is typed where make is called.
    places = list(dict.fromkeys((Path.cwd() / given, project_root() / given)))
    for place in places:
        if folders.find_roots(place):
            return place
    tried = " nor at ".join(images.shown_path(place) for place in places)
    what, undo = ("source", "leave it out") if source else (variable, "unset it")
    raise ValueError(
        f"{what} is {named!r}, but there is no folder of class folders with "
        f"pictures at {tried}. {remedy} {undo}."
    )


def _load_folder(path, size, split, count, class_names=None, cache=True) -> SceneSet:
    """Load a folder, and warn the caller's caller of pictures that were left out."""
    size = images.check_size(size)
    part = folders.list_part(path, split=split, class_names=class_names)
    chosen = folders.choose(part.files, count)
    total = sum(map(len, chosen.values()))
    skipped: dict[str, str] = {}

    def records():
        skipped.clear()  # a second start, after a full disk, reports afresh
        return _decode(part.root, chosen, size, skipped)

    about = {"shapes": {"images": (*size, 3)}, "class_names": tuple(part.files)}
    name, key = _folder_entry(part, size)
    scenes = store.find(cache_folders(), name, key) if cache else None
    if scenes is not None:
        wanted = dict.fromkeys(file for files in chosen.values() for file in files)
        if chosen is not part.files:
            rows = [row for row, file in enumerate(scenes.paths) if file in wanted]
            scenes = scenes[rows]
        kept = set(scenes.paths)
        # Why the others were left out is found out again: they are few.
        for path in (part.root / file for file in wanted if file not in kept):
            if _read(str(path), size, skipped) is not None:
                shown = images.shown_path(path)
                skipped[str(path)] = f"{shown} could not be read the first time."
    elif cache and chosen is part.files:
        scenes = store.keep(cache_folders(), name, key, records, total=total, **about)
    else:
        scenes = store.in_memory(records(), **about)
    if skipped:
        warnings.warn(SkippedPictures(skipped, total), stacklevel=3)
    base = os.path.join(part.root, "")  # joining two strings is faster than two paths
    return dataclasses.replace(scenes, paths=[base + file for file in scenes.paths])


def _load_drawn(split: str, size, count) -> SceneSet:
    height, width = images.check_size(size)
    if height != width:
        raise ValueError(f"drawn scenes are square; received size={size!r}.")
    number, seed = DRAWN[split]
    wanted = min(count or number, number)
    key = store.digest(seed, synth.digest())
    # Scene i does not depend on how many are drawn: the whole set begins with any part.
    name, whole = (f"drawn-{split}-{n}-{height}x{height}" for n in (wanted, number))
    for known in (name, whole):
        scenes = store.find(cache_folders(), known, key)
        if scenes is not None:
            return scenes[:wanted]

    def records():
        drawn = synth.draw_scenes(wanted, size=height, seed=seed)
        paths = [None] * wanted
        return zip(drawn.images, drawn.labels.tolist(), drawn.masks, paths, strict=True)

    return store.keep(
        cache_folders(),
        name,
        key,
        records,
        total=wanted,
        shapes={"images": (height, height, 3), "masks": (height, height)},
        class_names=synth.CLASS_NAMES,
    )


def _read(path: str, size, skipped: dict[str, str]):
    """Read a picture, or return None and note in `skipped` why it cannot be read."""
    try:
        return images.read_image(path, size=size)
    except (ValueError, FileNotFoundError) as error:
        skipped[path] = str(error)
        return None


def _decode(root: Path, files: dict[str, list[str]], size, skipped: dict[str, str]):
    """Iterate over the records of readable pictures; put the others in `skipped`."""
    for label, (name, members) in enumerate(files.items()):
        readable = 0
        for file in members:
            image = _read(os.path.join(root, file), size, skipped)
            if image is not None:
                readable += 1
                yield image, label, None, file
        if members and not readable:
            raise ValueError(
                f"no picture in the class folder {images.shown_path(root / name)} can "
                f"be read. The first: {skipped[os.path.join(root, members[0])]}"
            )


def _folder_entry(part: folders.Part, size) -> tuple[str, str]:
    """Return the cache's name for a part of a folder, and the key of its content."""
    place = f"{store.plain_name(part.root.name)}-{store.digest(part.root)[:8]}"
    decoder = PIL.__version__, store.code_of(decoding.__file__)
    key = store.digest(folders.fingerprint(part), tuple(part.files), size, *decoder)
    return f"{place}-{part.word}-{size[0]}x{size[1]}", key
