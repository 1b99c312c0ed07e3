"""The maps of some pictures for some classes: what an explorer shows, and how it grows.

All maps are computed when they are added; afterwards nothing but arrays is asked.
"""

from collections.abc import Sequence

import numpy as np

from scenecam import cam, models
from scenecam.explorer.packing import check_index
from scenecam.scenes import NO_CLASS, SceneSet

# More classes than one looks through: their maps are computed when they are asked for.
MANY = 20
# The methods as their papers write them.
TITLES = {"cam": "CAM", "grad_cam": "Grad-CAM", "grad_cam_pp": "Grad-CAM++"}
TITLES |= {"hires_cam": "HiResCAM", "xgrad_cam": "XGrad-CAM"}
TITLES |= {"layer_cam": "LayerCAM", "score_cam": "Score-CAM"}


class MapSet:
    """Maps of every picture, class, method and layer, with the probabilities.

    Parameters as in `Explorer`; ValueError if there is no picture, the model has
    another number of classes than `scenes` names, or there is no such class. For each
    layer `maps` holds float32 (pictures, `classes`, `methods`, h, w), in logits;
    `classes` are as the model numbers them, `labels` -1 where they are not known.
    """

    def __init__(self, model, scenes: SceneSet, *, layers, methods, classes=None):
        if not len(scenes):
            raise ValueError("scenes must hold at least one picture; received none.")
        self.model, self.layers, self.methods = model, list(layers), list(methods)
        self.images, self.masks = scenes.images, scenes.masks
        self.class_names, self.labels = scenes.class_names, scenes.labels.tolist()
        labels = [self.class_names[label] for label in self.labels]
        self.names = [f"{i} {label}" for i, label in enumerate(labels, 1)]
        self.probabilities = models.predict(model, self.images)
        known = self.probabilities.shape[1]
        if known != len(self.class_names):
            raise ValueError(
                f"the model has {known} classes and the scenes name "
                f"{len(self.class_names)}. Use a model of these classes."
            )
        if classes is None:
            ranks = np.argsort(-self.probabilities, axis=1, kind="stable")
            classes = range(known) if known <= MANY else ranks[:, :3].T.ravel()
        self.classes = []
        self.classes = self._new(classes)
        self.maps = self._compute(self.images, self.classes)

    def likeliest(self, image: int) -> int:
        """Give the likeliest of `classes` for a picture, as the model numbers it."""
        return self.classes[int(self.probabilities[image, self.classes].argmax())]

    def add_pictures(self, pictures: np.ndarray, names: Sequence[str]) -> None:
        """Add pictures of the others' size that have no labels, and their maps."""
        self._append(self._compute(pictures, self.classes), axis=0)
        more = models.predict(self.model, pictures)
        self.probabilities = np.concatenate([self.probabilities, more])
        self.images = np.concatenate([self.images, pictures])
        if self.masks is not None:
            none = np.full(pictures.shape[:3], NO_CLASS, np.uint8)
            self.masks = np.concatenate([self.masks, none])
        first = len(self.names) + 1
        self.names += [f"{i} {name}".strip() for i, name in enumerate(names, first)]
        self.labels += [-1] * len(pictures)

    def add_classes(self, classes: Sequence[int]) -> None:
        """Add the maps of more classes, as the model numbers them, for all pictures."""
        if new := self._new(classes):
            self._append(self._compute(self.images, new), axis=1)
            self.classes += new

    def contents(self) -> dict:
        """Give what `viewer.Viewer` wants; its classes are `classes`, in that order."""
        classes, masks = self.classes, self.masks
        class_names = [self.class_names[number] for number in classes]
        if masks is not None:
            place = np.full(max(len(self.class_names), 256), NO_CLASS, np.uint8)
            place[classes] = np.arange(len(classes))
            masks = place[masks]
        return {
            "maps": self.maps,
            "pictures": self.images,
            "masks": masks,
            "class_names": class_names,
            "probabilities": self.probabilities[:, classes],
            "labels": [classes.index(k) if k in classes else -1 for k in self.labels],
            "controls": {
                "picture": self.names,
                "class": class_names,
                "method": [TITLES[name] for name in self.methods],
                "layer": self.layers,
            },
        }

    def _compute(self, pictures: np.ndarray, classes: list[int]) -> dict:
        methods, layers = tuple(self.methods), self.layers
        found = cam.class_maps(
            self.model, pictures, method=methods, layers=layers, classes=classes
        )
        return {k: np.stack([found[m][k] for m in methods], axis=2) for k in layers}

    def _append(self, more: dict, *, axis: int) -> None:
        self.maps = {
            layer: np.concatenate([maps, more[layer]], axis=axis)
            for layer, maps in self.maps.items()
        }

    def _new(self, classes: Sequence[int]) -> list[int]:
        """Those of `classes` that are not there yet, each once."""
        count = self.probabilities.shape[1]
        found = [check_index("a class", number, count) for number in classes]
        if not found:
            raise ValueError("classes must hold at least one class; received none.")
        return [n for n in dict.fromkeys(found) if n not in self.classes]
