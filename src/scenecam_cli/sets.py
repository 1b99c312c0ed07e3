"""The public sets of pictures: what they hold, and how one comes to its place whole.

A set is built beside its place and moved there in one step when its pictures have been
counted, so what lies at its place is whole, whenever a run is killed.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scenecam._data import folders
from scenecam._data.whole import mend_folder, whole_folder
from scenecam.images import shown_path
from scenecam_cli import archives
from scenecam_cli.terminal import counted, with_progress

CARD = "fetched.json"  # lies in a fetched set and says where it is from


@dataclass(frozen=True)
class PublicSet:
    """A public set: what it has, where it comes from, and how it lies in data/."""

    name: str
    things: str  # what one picture is called
    classes: tuple[str, ...]
    parts: Mapping[str, str]  # part -> folder that has the class folders
    pictures: Mapping[str, int]  # part -> how many the whole set has
    page: str
    file: str  # to get from the page
    megabytes: int  # that downloading and unpacking need together

    def by_hand(self) -> str:
        """Say how to get the set without this command's download."""
        return (
            f"By hand:\n"
            f"  1. With a browser, from {self.page}\n"
            f"     get {self.file}.\n"
            f"  2. scenecam fetch {self.name} --from path/to/that/file\n"
            f"The file may lie anywhere and have any name. A folder will do too, with\n"
            f"a train and a test part that have folders {', '.join(self.classes)};\n"
            f"lying in data/{self.name}, it is found without this command."
        )

    def say(self, counts: Mapping[str, int]) -> str:
        """Say how many pictures each part has, and of how many."""
        said = []
        for part, number in counts.items():
            whole = self.pictures.get(part, number)
            of = f" of {whole:,}" if whole != number else ""
            where = "in all" if part == "all" else f"to {part}"
            said.append(f"{counted(number, self.things)}{of} {where}")
        return " and ".join(said)


SETS = {
    "photos": PublicSet(
        name="photos",
        things="photograph",
        classes=("buildings", "forest", "glacier", "mountain", "sea", "street"),
        parts={"train": "seg_train/seg_train", "test": "seg_test/seg_test"},
        pictures={"train": 14034, "test": 3000},
        page="https://www.kaggle.com/datasets/puneet6060/intel-image-classification",
        file="archive.zip, about 0.4 GB (the button Download)",
        megabytes=1200,
    ),
    "animals": PublicSet(
        name="animals",
        things="picture",
        classes=("bird", "cat", "dog", "horse"),
        parts={"train": "train", "test": "test"},
        pictures={"train": 20000, "test": 4000},
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        file="cifar-10-python.tar.gz, about 0.2 GB (CIFAR-10 python version)",
        megabytes=400,
    ),
}


def target(wanted: PublicSet, found: Counter[str], name: str) -> Path | None:
    """Return the place in the set for the file of this name in an archive, or None.

    It depends on the last folder that is a class, and on the first that is a part; all
    others, such as doubled ones, make no difference. Counts in `found` what there is.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    if hidden or path.suffix.lower() not in folders.PICTURE_SUFFIXES:
        return None
    found["/".join(path.parts[-3:-1]) or "no folder"] += 1
    words = [word.lower() for word in path.parts[:-1]]
    parts = [folders.PART_OF[word] for word in words if word in folders.PART_OF]
    label = next((word for word in words[::-1] if word in wanted.classes), None)
    if not (parts and label):
        return None
    return Path(wanted.parts[parts[0]], label, path.name)


def what_is_there(wanted: PublicSet, place: Path, again: bool) -> str | None:
    """Return a sentence about a set that lies there already, or None to go on.

    Raises ValueError for what this command did not put there and would have to replace.
    """
    mend_folder(place)
    shown = shown_path(place)
    if place.is_file():
        raise ValueError(f"{shown} is a file, not a folder. Move it away first.")
    entries = sorted(path.name for path in place.glob("[!.]*"))
    card = None
    with contextlib.suppress(OSError, ValueError):
        card = json.loads((place / CARD).read_text(encoding="utf-8"))
    if not entries or (again and card):
        return None
    roots = folders.find_roots(place)
    if again or not roots:
        raise ValueError(
            f"{shown} holds what this command did not put there "
            f"({', '.join(entries[:4])}). Move it away first; then it can be named: "
            f"scenecam fetch {wanted.name} --from PATH"
        )
    counts = {part: len(folders.list_pictures(root)) for part, root in roots.items()}
    told = f"{shown} is there already, with {wanted.say(counts)}."
    if card and card.get("pictures") != counts:
        return f"{told} Some have come or gone since; --again puts the set back."
    return f"{told} Nothing to do; --again fetches it anew." if card else told


def build(
    wanted: PublicSet, place: Path, source: Path, origin: str, downloads: Path
) -> None:
    """Put what `source` holds of a set to its place, in the stead of what lies there.

    The folder of the `downloads` is removed when they are not needed any more. Raises
    ValueError as `archives.read_pictures`, and if it is not the set; ConnectionError if
    the set that was downloaded from its page is not whole.
    """
    found: Counter[str] = Counter()
    pictures = archives.read_pictures(source, lambda name: target(wanted, found, name))
    pictures = with_progress(pictures, sum(wanted.pictures.values()))
    with whole_folder(place) as new:
        for name, inner, content in pictures:
            path = new / inner
            if path.exists():
                raise ValueError(
                    f"two pictures would both become {inner.as_posix()}, the second is "
                    f"{name}. Name an archive or a folder that holds the set once."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        roots = {part: new / folder for part, folder in wanted.parts.items()}
        counts = {part: len(list(root.glob("*/*"))) for part, root in roots.items()}
        short = [part for part, n in wanted.pictures.items() if counts[part] < n]
        if short and origin == wanted.page:
            shutil.rmtree(downloads)  # the next run would take it for whole again
            raise ConnectionError(
                f"what was downloaded holds {wanted.say(counts)}. {wanted.by_hand()}"
            )
        missing = [
            f"{part}/{label}"
            for part, root in roots.items()
            for label in wanted.classes
            if not (root / label).exists()
        ]
        if missing:
            some = [f"{folder} ({n:,})" for folder, n in found.most_common(8)]
            some += [f"{len(found) - 8} more"] if len(found) > 8 else []
            raise ValueError(
                f"{origin} is not the set of {wanted.things}s: it has no pictures in "
                f"{', '.join(missing)}. Found: {', '.join(some) or 'no pictures'}. "
                f"Expected: the folders {', '.join(wanted.classes)}, in a train part "
                f"and in a test part. The set is at {wanted.page}"
            )
        card = {"set": wanted.name, "from": origin, "pictures": counts}
        (new / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(downloads, ignore_errors=True)
    print(f"{shown_path(place)}: {wanted.say(counts)}.")
