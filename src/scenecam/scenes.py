"""Many pictures as arrays: `SceneSet`, and how to take a part of one.

A set keeps the pictures, their labels, masks and paths in step. Its arrays may lie on
disk (`numpy.memmap`): a slice is then a view that reads nothing, and an index array or
a mask copies the chosen rows only: a set larger than memory can be split and sampled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenecam.images import check_images

NO_CLASS = 255  # in a mask: this pixel belongs to none of the classes


@dataclass(frozen=True, eq=False, repr=False)
class SceneSet:
    """Labelled pictures of one size.

    Parameters
    ----------
    images : ndarray or memmap of shape (n, h, w, 3), uint8
        RGB pictures.
    labels : ndarray of shape (n,), integer
        Index into `class_names`; kept as int64.
    class_names : sequence of str
        One name per class, all different; kept as a tuple.
    masks : ndarray or memmap of shape (n, h, w), uint8, optional
        Class index of every pixel, 255 where a pixel belongs to no class.
    paths : sequence of str, optional
        Where every picture came from; kept as a tuple.

    Raises
    ------
    TypeError
        If an array has the wrong dtype.
    ValueError
        If shapes disagree, a label has no class name, or two class names are equal. The
        values of `masks` are not checked: that would read the whole array from disk.

    Examples
    --------
    >>> scenes[:100]                      # the first hundred
    >>> scenes[scenes.labels == 2]        # one class
    >>> rest, valid = scenes.split(0.2, seed=0)
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    masks: np.ndarray | None = None
    paths: tuple[str, ...] | None = None

    def __post_init__(self):
        check_images(self.images)
        number, labels, names = len(self), np.asarray(self.labels), self.class_names
        if isinstance(names, str):
            raise TypeError(
                f"class_names must be a sequence of names; received the string "
                f"{names!r}. Write ({names!r},) for one class."
            )
        names = tuple(map(str, names))
        if len(set(names)) != len(names):
            raise ValueError(f"class_names must all differ; received {names}.")
        if labels.size and labels.dtype.kind not in "iu":
            raise TypeError(
                f"labels must be integers, one per picture; received {labels.dtype}. "
                "Give the index of each class in class_names."
            )
        if labels.shape != (number,):
            raise ValueError(
                f"labels must have shape ({number},), one per picture; "
                f"received {labels.shape}."
            )
        low, high = (labels.min(), labels.max()) if number else (0, -1)
        if low < 0 or high >= len(names):
            raise ValueError(
                f"labels must lie in 0..{len(names) - 1}, the places in class_names; "
                f"received labels from {low} to {high}."
            )
        # The dataclass is frozen for its users; its own start-up may still tidy types.
        object.__setattr__(self, "labels", labels.astype(np.int64, copy=False))
        object.__setattr__(self, "class_names", names)
        self._check_masks_and_paths()

    def _check_masks_and_paths(self):
        if self.masks is not None:
            kind = getattr(self.masks, "dtype", type(self.masks).__name__)
            if kind != np.uint8:
                raise TypeError(f"masks must be uint8 (n, h, w); received {kind}.")
            if self.masks.shape != self.images.shape[:3]:
                raise ValueError(
                    f"masks must have shape {self.images.shape[:3]}, as the images do; "
                    f"received {self.masks.shape}."
                )
        if self.paths is not None:
            object.__setattr__(self, "paths", tuple(map(str, self.paths)))
            if len(self.paths) != len(self):
                raise ValueError(
                    f"paths must hold {len(self)} names, one per picture; "
                    f"received {len(self.paths)}."
                )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index) -> SceneSet:
        """Take a part: an int (a set of one), a slice, a mask or an index array."""
        rows = index if isinstance(index, slice) else self._rows(index)
        paths = self.paths
        if paths is not None:
            paths = [paths[place] for place in np.arange(len(self))[rows]]
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            masks=None if self.masks is None else self.masks[rows],
            paths=paths,
        )

    def _rows(self, index):
        """Turn an int, a boolean mask or a list of ints into a slice or places."""
        asked = np.asarray(index)
        if asked.size == 0 and asked.dtype != bool:
            asked = asked.astype(np.intp)
        if asked.ndim > 1 or asked.dtype.kind not in ("biu" if asked.ndim else "iu"):
            raise TypeError(
                "a SceneSet is indexed by an int, a slice, a boolean mask or a list of "
                f"ints; received {asked.dtype} of shape {asked.shape}."
            )
        if asked.dtype == bool and len(asked) != len(self):
            raise ValueError(
                f"a mask for this set needs {len(self)} entries; received {len(asked)}."
            )
        places = np.arange(len(self))[asked]
        # One picture is a slice too: of a memory map it is a view and no copy.
        return places if asked.ndim else slice(places, places + 1)

    def __eq__(self, other) -> bool:
        """Compare names, labels, pixels, masks and paths (this reads every pixel)."""
        if not isinstance(other, SceneSet):
            return NotImplemented
        return (
            self.class_names == other.class_names
            and self.paths == other.paths
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.images, other.images)
            and np.array_equal(self.masks, other.masks)
        )

    __hash__ = None  # the pixels can change, so a set cannot be the key of a dictionary

    def __repr__(self) -> str:
        height, width = self.images.shape[1:3]
        counts = ", ".join(f"{name} {count}" for name, count in self.counts().items())
        masks = "with" if self.masks is not None else "without"
        return f"SceneSet({len(self)} of {height}x{width}, {masks} masks: {counts})"

    def counts(self) -> dict[str, int]:
        """Return the number of pictures of every class, in class order."""
        numbers = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, numbers.tolist(), strict=True))

    def split(self, fraction: float, seed: int = 0) -> tuple[SceneSet, SceneSet]:
        """Set a stratified part aside: the same fraction of every class.

        Parameters
        ----------
        fraction : float
            Share of every class that goes into the second part, above 0 and below 1.
        seed : int
            Chooses which pictures go.

        Returns
        -------
        (rest, part) : SceneSet, SceneSet
            Without overlap, together the whole set, each in the order of the set. Every
            class gives ``round(fraction * count)`` pictures, but where it has two or
            more it gives at least one and keeps at least one.

        Raises
        ------
        ValueError
            If `fraction` is not between 0 and 1, or no class has two pictures.
        """
        if not 0 < fraction < 1:
            raise ValueError(
                f"fraction must be above 0 and below 1, like 0.2; received {fraction}."
            )
        chosen = np.zeros(len(self), dtype=bool)
        for members in self._shuffled_members(seed):
            if len(members) >= 2:
                number = round(fraction * len(members))
                chosen[members[: min(max(number, 1), len(members) - 1)]] = True
        if not chosen.any():
            raise ValueError(
                f"a split needs two pictures of some class; received {self!r}. "
                "Load more pictures."
            )
        return self[~chosen], self[chosen]

    def per_class(self, count: int, seed: int = 0) -> SceneSet:
        """Draw `count` pictures of every class: those of class 0, then of class 1...

        `seed` chooses them, without repetition; with one seed a larger `count` adds to
        the pictures of a smaller one. ValueError if a class has fewer.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1; received {count}.")
        short = {name: has for name, has in self.counts().items() if has < count}
        if short:
            raise ValueError(
                f"count={count} of every class is more than there are: {short}. "
                "Ask for fewer or load more pictures."
            )
        members = self._shuffled_members(seed)
        return self[np.concatenate([places[:count] for places in members])]

    def shuffle(self, seed: int = 0) -> SceneSet:
        """Return the same pictures in an order chosen by `seed` (this copies them)."""
        return self[np.random.default_rng(seed).permutation(len(self))]

    def _shuffled_members(self, seed: int) -> list[np.ndarray]:
        """Return the places of every class's pictures, in seeded random order."""
        # One stream per class: what is drawn of a class does not depend on the others.
        return [
            np.random.default_rng((seed, label)).permutation(
                np.flatnonzero(self.labels == label)
            )
            for label in range(len(self.class_names))
        ]
