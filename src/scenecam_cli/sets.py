"""The public sets of pictures: what they hold, and how one is known by its names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scenecam._data import folders
from scenecam_cli.terminal import counted

# The folders that say which part a picture belongs to, here and in public archives.
PART_WORDS = {
    word: part
    for part, start in (("train", "train"), ("test", "test"))
    for word in (f"seg_{start}", start, f"{start}ing")
}


@dataclass(frozen=True)
class PublicSet:
    """A public set: what it has, where it comes from, and how it lies in data/."""

    name: str
    things: str  # what one picture is called
    classes: tuple[str, ...]
    parts: Mapping[str, str]  # part -> folder that has the class folders
    pictures: Mapping[str, int]  # part -> how many the whole set has
    page: str
    file: str
    known_by: str
    megabytes: int  # that downloading and unpacking need together


SETS = {
    "photos": PublicSet(
        name="photos",
        things="photograph",
        classes=("buildings", "forest", "glacier", "mountain", "sea", "street"),
        parts={"train": "seg_train/seg_train", "test": "seg_test/seg_test"},
        pictures={"train": 14034, "test": 3000},
        page="https://www.kaggle.com/datasets/puneet6060/intel-image-classification",
        file="archive.zip, about 0.4 GB (the button Download)",
        known_by="its folders seg_train and seg_test",
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
        known_by="its checksum",
        megabytes=400,
    ),
}


def by_hand(wanted: PublicSet) -> str:
    """Say how to get the set without this command's download."""
    inner = wanted.parts["train"]
    return (
        f"By hand:\n"
        f"  1. With a browser, from {wanted.page}\n"
        f"     get {wanted.file}.\n"
        f"  2. scenecam fetch {wanted.name} --from path/to/that/file\n"
        f"The file may lie anywhere and have any name: it is known by "
        f"{wanted.known_by}.\nA folder will do too, if it has a train and a test part "
        f"with the folders {', '.join(wanted.classes)};\nlying as data/{wanted.name}/"
        f"{inner}/{wanted.classes[0]}/..., it is found without this command."
    )


class Sorter:
    """Decides by its name where a picture of an archive belongs."""

    def __init__(self, wanted: PublicSet):
        self.wanted = wanted
        self.kept: Counter[tuple[str, str]] = Counter()
        self.found: Counter[str] = Counter()

    def target(self, name: str) -> Path | None:
        """Return the place in the set for the file of this name, or None.

        It depends on the last folder, which is the class, and on the first that is the
        name of a part; all others, such as doubled ones, make no difference.
        """
        above = PurePosixPath(name.replace("\\", "/")).parts
        if any(part.startswith((".", "__MACOSX")) for part in above):
            return None
        suffix = PurePosixPath(above[-1]).suffix.lower() if above else ""
        if suffix not in folders.PICTURE_SUFFIXES:
            return None
        words = [word.lower() for word in above[:-1]]
        part = next((PART_WORDS[word] for word in words if word in PART_WORDS), None)
        label = next((w for w in reversed(words) if w in self.wanted.classes), None)
        if part is None or label is None:
            self.found["/".join(above[-3:-1]) or "no folder"] += 1
            return None
        return Path(self.wanted.parts[part], label, above[-1])

    def keep(self, target: Path) -> None:
        """Count a picture that was written."""
        folder = target.parent.parent.as_posix()
        part = next(part for part, at in self.wanted.parts.items() if at == folder)
        self.kept[part, target.parent.name] += 1

    def counts(self) -> dict[str, int]:
        """Return how many pictures each part has."""
        return {
            part: sum(number for key, number in self.kept.items() if key[0] == part)
            for part in self.wanted.parts
        }

    def check(self, origin: str) -> None:
        """Raise ValueError if a class of a part has no pictures."""
        missing = [
            f"{part}/{label}"
            for part in self.wanted.parts
            for label in self.wanted.classes
            if not self.kept[part, label]
        ]
        if not missing:
            return
        found = Counter({"/".join(key): number for key, number in self.kept.items()})
        found.update(self.found)
        listed = [f"{folder} ({n:,})" for folder, n in found.most_common(8)]
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        raise ValueError(
            f"{origin} is not the set of {self.wanted.things}s: it has no pictures in "
            f"{', '.join(missing)}. Found: {', '.join(listed) or 'no pictures'}{more}. "
            f"Expected: the folders {', '.join(self.wanted.classes)}, in a train part "
            f"and in a test part. The set is at {self.wanted.page}"
        )


def say_counts(counts: Mapping[str, int], wanted: PublicSet) -> str:
    """Say how many pictures there are, and of how many."""
    said = []
    for part, number in counts.items():
        whole = wanted.pictures.get(part, number)
        of = f" of {whole:,}" if whole != number else ""
        word = counted(number, wanted.things)
        said.append(f"{word}{of} {'in all' if part == 'all' else f'to {part}'}")
    return " and ".join(said)
