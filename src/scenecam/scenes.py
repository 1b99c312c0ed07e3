"""Many pictures as arrays: `SceneSet`, and how to take a part of one.

A set keeps the pictures, their labels, masks and paths in step. Its arrays may lie on
disk (`numpy.memmap`): a slice is then a view that reads nothing, and an index array or
a mask copies the chosen rows only: a set larger than memory can be split and sampled.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        n, shape, names = len(self.images), self.images.shape[:3], self.class_names
        labels, masks, paths = np.asarray(self.labels), self.masks, self.paths
        if isinstance(names, str):
            what = f"class_names must be a sequence of names; received {names!r}"
            raise TypeError(f"{what}. Write ({names!r},) for one class.")
        names = tuple(map(str, names))
        if len(set(names)) != len(names):
            raise ValueError(f"class_names must all differ; received {names}.")
        if labels.size and labels.dtype.kind not in "iu":
            what = f"labels must be integers; received {labels.dtype}"
            raise TypeError(f"{what}. Give the place of each class in class_names.")
        if labels.shape != (n,):
            raise ValueError(f"labels must have shape ({n},); received {labels.shape}.")
        if n and not 0 <= labels.min() <= labels.max() < len(names):
            wanted = f"0..{len(names) - 1}, the places in class_names"
            span = f"from {labels.min()} to {labels.max()}"
            raise ValueError(f"labels must lie in {wanted}; received labels {span}.")
        kind = getattr(masks, "dtype", type(masks).__name__)
        if masks is not None and kind != np.uint8:
            raise TypeError(f"masks must be uint8 (n, h, w); received {kind}.")
        if masks is not None and masks.shape != shape:
            raise ValueError(f"masks must have shape {shape}; received {masks.shape}.")
        paths = paths if paths is None else tuple(map(str, paths))
        if paths is not None and len(paths) != n:
            raise ValueError(f"paths must hold {n} names; received {len(paths)}.")
        labels = labels.astype(np.int64, copy=False)
        # The dataclass is frozen for its users; its own start-up may still tidy types.
        vars(self).update(labels=labels, class_names=names, paths=paths)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index) -> SceneSet:
        """Take a part: an int (a set of one), a slice, a mask or an index array."""
        rows = index if isinstance(index, slice) else self._rows(index)
        masks, paths = self.masks, self.paths
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            masks=None if masks is None else masks[rows],
            paths=paths and [paths[place] for place in np.arange(len(self))[rows]],
        )

    def _rows(self, index):
        """Turn an int, a boolean mask or a list of ints into a slice or places."""
        asked = np.asarray(index)
        if asked.size == 0 and asked.dtype != bool:
            asked = asked.astype(np.intp)
        if asked.ndim > 1 or asked.dtype.kind not in ("biu" if asked.ndim else "iu"):
            ways = "an int, a slice, a boolean mask or a list of ints"
            raise TypeError(f"a SceneSet is indexed by {ways}; received {asked!r}.")
        if asked.dtype == bool and len(asked) != len(self):
            wanted = f"a mask for this set needs {len(self)} entries"
            raise ValueError(f"{wanted}; received {len(asked)}.")
        places = np.arange(len(self))[asked]
        # One picture is a slice too: of a memory map it is a view and no copy.
        return places if asked.ndim else slice(places, places + 1)

    def __eq__(self, other) -> bool:
        """Compare names, labels, pixels, masks and paths (this reads every pixel)."""
        if not isinstance(other, SceneSet):
            return NotImplemented
        one, another = vars(self), vars(other)
        return all(np.array_equal(one[part], another[part]) for part in one)

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
            wanted = "above 0 and below 1, like 0.2"
            raise ValueError(f"fraction must be {wanted}; received {fraction}.")
        chosen = np.zeros(len(self), dtype=bool)
        for members in self._shuffled_members(seed):
            number = max(1, round(fraction * len(members)))
            chosen[members[: min(number, len(members) - 1)]] = True
        if not chosen.any():
            what = "a split needs two pictures of some class"
            raise ValueError(f"{what}; received {self!r}. Load more pictures.")
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
            what = f"count={count} of every class is more than there are: {short}"
            raise ValueError(f"{what}. Ask for fewer or load more pictures.")
        chosen = [members[:count] for members in self._shuffled_members(seed)]
        return self[np.concatenate(chosen)]

    def shuffle(self, seed: int = 0) -> SceneSet:
        """Return the same pictures in an order chosen by `seed` (this copies them)."""
        return self[np.random.default_rng(seed).permutation(len(self))]

    def _shuffled_members(self, seed: int) -> Iterator[np.ndarray]:
        """Iterate over the places of each class's pictures, in seeded random order."""
        for label in range(len(self.class_names)):
            # A stream of its own: what is drawn of a class depends on no other class.
            stream = np.random.default_rng((seed, label))
            yield stream.permutation(np.flatnonzero(self.labels == label))
