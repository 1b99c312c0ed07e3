"""A model and pictures to a widget: the explorer of class maps.

All maps are computed once; afterwards nothing but arrays is asked, so every control
answers at once, in Jupyter and in a built page alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ipywidgets
import keras
import numpy as np
from traitlets import Int, Unicode, observe, validate

from scenecam import cam, images, models
from scenecam.scenes import NO_CLASS, SceneSet
from scenecam.viewer import HINT, Viewer
from scenecam.widgets import (
    coarse_layers,
    feature_map_viewer,
    kernel_viewer,
    threshold_viewer,
)

__all__ = [
    "Explorer",
    "coarse_layers",
    "feature_map_viewer",
    "kernel_viewer",
    "threshold_viewer",
]

# The methods as their papers write them.
TITLES = {
    "cam": "CAM",
    "grad_cam": "Grad-CAM",
    "grad_cam_pp": "Grad-CAM++",
    "hires_cam": "HiResCAM",
    "xgrad_cam": "XGrad-CAM",
    "layer_cam": "LayerCAM",
    "score_cam": "Score-CAM",
}


class Explorer(Viewer):
    """Explore where a network sees each class: every picture, layer, class and method.

    Parameters
    ----------
    model : keras.Model
        One that `cam.class_maps` takes.
    scenes : SceneSet
        The pictures; all maps of all of them are computed at once, so a dozen.
    layers : sequence of str, optional
        From `cam.layer_names`; by default the last of each resolution, at most four,
        the coarsest.
    methods : sequence of str
        From `cam.METHODS`.
    **state
        First values of the traits.

    Attributes
    ----------
    image : int
        Which picture.
    layer, method : str
        Which layer and method, by name.
    class_index : int
        Which class.

    Notes
    -----
    Besides there are the traits of `Viewer`: `opacity`, `view`, `colormap`, `compare`.
    All can be read, set and observed.

    Raises
    ------
    TypeError, ValueError
        If the model does not fit the pictures, or a trait is set to what is not there.

    Examples
    --------
    >>> explorer = Explorer(model, scenes[:8])  # doctest: +SKIP
    >>> explorer.layer = "features"  # doctest: +SKIP
    """

    image = Int(0)
    layer = Unicode()
    class_index = Int(0)
    method = Unicode()

    def __init__(
        self,
        model: keras.Model,
        scenes: SceneSet,
        *,
        layers: Sequence[str] | None = None,
        methods: Sequence[str] = ("grad_cam", "hires_cam", "layer_cam"),
        title: str = "Where the network sees each class",
        **state,
    ):
        if not len(scenes):
            raise ValueError("scenes must hold at least one picture; received none.")
        self._model, self._scenes = model, scenes
        self._layers = list(layers or coarse_layers(model))
        self._methods = [methods] if isinstance(methods, str) else list(methods)
        self._title = title
        self._labels = scenes.labels.tolist()
        self._names = [
            f"{i + 1} {scenes.class_names[label]}"
            for i, label in enumerate(self._labels)
        ]
        self._maps, self._probabilities = self._compute(scenes.images)
        known = self._probabilities.shape[1]
        if known != len(scenes.class_names):
            raise ValueError(
                f"the model has {known} classes and the scenes name "
                f"{len(scenes.class_names)}. Use a model of these classes."
            )
        super().__init__(**self._parts(), **self._first_state(state))

    def _first_state(self, state: dict) -> dict:
        """Turn the traits into a choice: the predicted class unless told."""
        image = state.pop("image", 0)
        self._check_index("image", image, len(self._names))
        choice = {
            "picture": image,
            "class": state.pop("class_index", int(self._probabilities[image].argmax())),
            "method": self._place("method", state.pop("method", self._methods[0])),
            "layer": self._place("layer", state.pop("layer", self._layers[-1])),
        }
        return {"choice": choice} | state

    def _compute(self, pictures: np.ndarray) -> tuple[dict, np.ndarray]:
        """Maps of every layer (n, k, methods, h, w), and probabilities (n, k)."""
        found = cam.class_maps(
            self._model, pictures, method=tuple(self._methods), layers=self._layers
        )
        maps = {
            layer: np.stack([found[method][layer] for method in self._methods], axis=2)
            for layer in self._layers
        }
        return maps, models.predict(self._model, pictures)

    def _parts(self) -> dict:
        """What `Viewer` is given."""
        scenes = self._scenes
        return {
            "maps": self._maps,
            "controls": {
                "picture": self._names,
                "class": scenes.class_names,
                "method": [TITLES.get(name, name) for name in self._methods],
                "layer": self._layers,
            },
            "pictures": scenes.images,
            "masks": scenes.masks,
            "class_names": scenes.class_names,
            "probabilities": self._probabilities,
            "labels": self._labels,
            "title": self._title,
        }

    def add_pictures(
        self, pictures: Sequence, *, names: Sequence[str] | None = None
    ) -> None:
        """Compute the maps of more pictures and show the first of them.

        Parameters
        ----------
        pictures : sequence of str, path-like, or ndarray of shape (h, w, 3), uint8
            Of any size: they are stretched to the size of the others.
        names : sequence of str, optional
            How to call them; by default the files' names.

        Raises
        ------
        ValueError
            If there is none, or one cannot be read.
        """
        if not len(pictures):
            raise ValueError("pictures must hold at least one picture; received none.")
        scenes, count, size = (
            self._scenes,
            len(self._scenes),
            self._scenes.images.shape[1:3],
        )
        arrays = [
            images.resize_image(picture, size)
            if isinstance(picture, np.ndarray)
            else images.read_image(picture, size=size)
            for picture in pictures
        ]
        if names is None:
            names = [
                "" if isinstance(p, np.ndarray) else Path(p).stem for p in pictures
            ]
        maps, probabilities = self._compute(np.stack(arrays))
        self._maps = {k: np.concatenate([v, maps[k]]) for k, v in self._maps.items()}
        self._probabilities = np.concatenate([self._probabilities, probabilities])
        self._names += [
            f"{count + i + 1} {name}".strip() for i, name in enumerate(names)
        ]
        self._labels += [-1] * len(arrays)
        masks = scenes.masks
        if masks is not None:
            none = np.full((len(arrays), *size), NO_CLASS, np.uint8)
            masks = np.concatenate([masks, none])
        self._scenes = SceneSet(
            images=np.concatenate([scenes.images, np.stack(arrays)]),
            labels=np.concatenate([scenes.labels, np.zeros(len(arrays), np.int64)]),
            class_names=scenes.class_names,
            masks=masks,
        )
        self._fill(**self._parts())
        self.send(self._header, self._buffers)
        best = int(probabilities[0].argmax())
        self.choice = {**self.choice, "picture": count, "class": best}

    def uploader(self) -> ipywidgets.FileUpload:
        """Return a button that adds pictures from the reader's own files.

        A file that is no picture is named in `message`, and the others are added. It
        needs a kernel: in a built page there is none to compute maps.
        """
        button = ipywidgets.FileUpload(
            accept="image/*", multiple=True, description="Add pictures"
        )
        button.observe(lambda change: self._add_files(change["new"]), names="value")
        return button

    def _add_files(self, files) -> None:
        size, good, problems = self._scenes.images.shape[1:3], {}, []
        for file in files:
            try:
                content = bytes(file["content"])
                good[file["name"]] = images.decode_image(
                    content, size=size, name=file["name"]
                )
            except ValueError as error:
                problems.append(str(error))
        if good:
            self.add_pictures(
                list(good.values()), names=[Path(name).stem for name in good]
            )
        self.message = " ".join(problems) or HINT

    # The traits under their own names ----------------------------------------------

    def _place(self, name: str, value: str) -> int:
        labels = {"layer": self._layers, "method": self._methods}[name]
        if value not in labels:
            raise ValueError(
                f"{name} must be one of {', '.join(labels)}; received {value!r}."
            )
        return labels.index(value)

    @validate("layer", "method")
    def _check_name(self, proposal):
        self._place(proposal["trait"].name, proposal["value"])
        return proposal["value"]

    @validate("image")
    def _check_image(self, proposal):
        return self._check_index("image", proposal["value"], len(self._names))

    @validate("class_index")
    def _check_class(self, proposal):
        count = len(self._scenes.class_names)
        return self._check_index("class_index", proposal["value"], count)

    def _check_index(self, name, value, count):
        if not isinstance(value, (int, np.integer)) or not 0 <= value < count:
            raise ValueError(
                f"{name} must be from 0 to {count - 1}; received {value!r}."
            )
        return int(value)

    @observe("choice")
    def _show_choice(self, change):
        choice = change["new"]
        self.image, self.class_index = choice["picture"], choice["class"]
        self.layer = self._layers[choice["layer"]]
        self.method = self._methods[choice["method"]]

    @observe("image", "class_index", "layer", "method")
    def _choose(self, change):
        name, value = change["name"], change["new"]
        control = {"image": "picture", "class_index": "class"}.get(name, name)
        index = self._place(name, value) if isinstance(value, str) else value
        if self.choice.get(control) != index:
            self.choice = {**self.choice, control: index}
