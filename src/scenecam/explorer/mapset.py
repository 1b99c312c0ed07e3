"""The maps of some pictures for some classes: what an explorer shows, and how it grows.

All maps are computed when they are added; afterwards nothing but arrays is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from scenecam import cam, models
from scenecam.scenes import NO_CLASS, SceneSet

# More classes than one looks through: their maps are computed when they are asked for.
MANY = 20


class MapSet:
    """Maps of every picture, class, method and layer, with the probabilities.

    Parameters
    ----------
    model : keras.Model
        One that `cam.class_maps` takes.
    scenes : SceneSet
        The pictures, with the names of all classes of the model.
    layers : sequence of str
        From `cam.layer_names`.
    methods : sequence of str
        From `cam.METHODS`.
    classes : sequence of int, optional
        Those whose maps are computed. By default all, but where there are more than 20,
        the three likeliest of every picture.

    Attributes
    ----------
    maps : dict of str to ndarray of shape (n, k, methods, h, w), float32
        For each layer, in logits; k is the number of `classes`.
    probabilities : ndarray of shape (n, all classes), float32
    names : list of n str
    classes : list of k int

    Raises
    ------
    ValueError
        If there is no picture, the model has another number of classes than `scenes`
        names, or there is no such class.
    """

    def __init__(
        self,
        model: keras.Model,
        scenes: SceneSet,
        *,
        layers: Sequence[str],
        methods: Sequence[str],
        classes: Sequence[int] | None = None,
    ):
        if not len(scenes):
            raise ValueError("scenes must hold at least one picture; received none.")
        self.model, self.scenes = model, scenes
        self.layers, self.methods = list(layers), list(methods)
        self.labels = scenes.labels.tolist()
        self.names = [
            f"{i + 1} {scenes.class_names[label]}"
            for i, label in enumerate(self.labels)
        ]
        self.probabilities = models.predict(model, scenes.images)
        known = self.probabilities.shape[1]
        if known != len(scenes.class_names):
            raise ValueError(
                f"the model has {known} classes and the scenes name "
                f"{len(scenes.class_names)}. Use a model of these classes."
            )
        self.classes = []
        self.classes = self._new(self._usual() if classes is None else classes)
        self.maps = self._compute(scenes.images, self.classes)

    def likeliest(self, image: int) -> int:
        """Give the likeliest of `classes` for a picture, as the model numbers it."""
        return self.classes[int(self.probabilities[image, self.classes].argmax())]

    def add_pictures(self, pictures: np.ndarray, names: Sequence[str]) -> None:
        """Add pictures that have no labels, and their maps.

        Parameters
        ----------
        pictures : ndarray of shape (n, h, w, c), uint8
            Of the size of the others.
        names : sequence of n str
            A number is put before each.
        """
        count, scenes = len(self.names), self.scenes
        maps = self._compute(pictures, self.classes)
        self.maps = {k: np.concatenate([v, maps[k]]) for k, v in self.maps.items()}
        more = models.predict(self.model, pictures)
        self.probabilities = np.concatenate([self.probabilities, more])
        self.names += [
            f"{count + i + 1} {name}".strip() for i, name in enumerate(names)
        ]
        self.labels += [-1] * len(pictures)
        masks = scenes.masks
        if masks is not None:
            none = np.full(pictures.shape[:3], NO_CLASS, np.uint8)
            masks = np.concatenate([masks, none])
        self.scenes = SceneSet(
            images=np.concatenate([scenes.images, pictures]),
            labels=np.concatenate([scenes.labels, np.zeros(len(pictures), np.int64)]),
            class_names=scenes.class_names,
            masks=masks,
        )

    def add_classes(self, classes: Sequence[int]) -> None:
        """Add the maps of more classes, as the model numbers them, for all pictures."""
        new = self._new(classes)
        if new:
            maps = self._compute(self.scenes.images, new)
            self.maps = {
                k: np.concatenate([v, maps[k]], axis=1) for k, v in self.maps.items()
            }
            self.classes += new

    def contents(self) -> dict:
        """Give what `viewer.Viewer` wants; its classes are `classes`, in that order."""
        scenes, classes = self.scenes, self.classes
        masks = scenes.masks
        if masks is not None:
            values = max(len(scenes.class_names), NO_CLASS + 1)
            place = np.full(values, NO_CLASS, np.uint8)
            place[classes] = np.arange(len(classes))
            masks = place[masks]
        return {
            "maps": self.maps,
            "pictures": scenes.images,
            "masks": masks,
            "class_names": [scenes.class_names[number] for number in classes],
            "probabilities": self.probabilities[:, classes],
            "labels": [
                classes.index(label) if label in classes else -1
                for label in self.labels
            ],
        }

    def _compute(self, pictures: np.ndarray, classes: list[int]) -> dict:
        found = cam.class_maps(
            self.model,
            pictures,
            method=tuple(self.methods),
            layers=self.layers,
            classes=classes,
        )
        return {
            layer: np.stack([found[method][layer] for method in self.methods], axis=2)
            for layer in self.layers
        }

    def _usual(self) -> list[int]:
        count = self.probabilities.shape[1]
        if count <= MANY:
            return list(range(count))
        likeliest = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :3]
        return likeliest.T.ravel().tolist()

    def _new(self, classes: Sequence[int]) -> list[int]:
        """Those of `classes` that are not there yet, each once."""
        count = self.probabilities.shape[1]
        found = [check_index("a class", number, count) for number in classes]
        if not found:
            raise ValueError("classes must hold at least one class; received none.")
        return [n for n in dict.fromkeys(found) if n not in self.classes]


def check_index(name: str, value: int, count: int) -> int:
    """Return an index from 0 to `count` - 1 as int.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(value, (int, np.integer)) or not 0 <= value < count:
        raise ValueError(f"{name} must be from 0 to {count - 1}; received {value!r}.")
    return int(value)
