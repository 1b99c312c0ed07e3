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

from scenecam import images
from scenecam.explorer.mapset import MapSet, check_index
from scenecam.explorer.viewer import HINT, Viewer
from scenecam.explorer.widgets import (
    coarse_layers,
    feature_map_viewer,
    kernel_viewer,
    threshold_viewer,
)
from scenecam.scenes import SceneSet

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
# Traits whose control is called otherwise.
CONTROLS = {"image": "picture", "class_index": "class"}


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
    classes : sequence of int, optional
        Those that can be chosen. By default all, but where there are more than 20, the
        three likeliest of every picture; `class_search` and `add_classes` bring others.
    **state
        First values of the traits.

    Attributes
    ----------
    image : int
        Which picture.
    layer, method : str
        Which layer and method, by name.
    class_index : int
        Which class, as the model numbers them.

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
        classes: Sequence[int] | None = None,
        title: str = "Where the network sees each class",
        **state,
    ):
        self._title = title
        self._set = MapSet(
            model,
            scenes,
            layers=layers or coarse_layers(model),
            methods=[methods] if isinstance(methods, str) else methods,
            classes=classes,
        )
        super().__init__(**self._parts(), **self._first_state(state))

    def _first_state(self, state: dict) -> dict:
        """Turn the traits into a choice: the predicted class unless told."""
        image = state.pop("image", 0)
        check_index("image", image, len(self._set.names))
        state = {"class_index": self._set.likeliest(image)} | state
        choice = {"picture": image}
        for name, first in (
            ("class_index", None),
            ("method", self._set.methods[0]),
            ("layer", self._set.layers[-1]),
        ):
            choice[CONTROLS.get(name, name)] = self._place(name, state.pop(name, first))
        return {"choice": choice} | state

    def _parts(self) -> dict:
        """What `Viewer` is given."""
        contents = self._set.contents()
        controls = {
            "picture": self._set.names,
            "class": contents["class_names"],
            "method": [TITLES.get(name, name) for name in self._set.methods],
            "layer": self._set.layers,
        }
        return contents | {"controls": controls, "title": self._title}

    def _show(self, **choice) -> None:
        """Send what has been added, and choose it."""
        self._fill(**self._parts())
        self.send(self._header, self._buffers)
        self.choice = {**self.choice, **choice}

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
        count, size = len(self._set.names), self._set.scenes.images.shape[1:3]
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
        self._set.add_pictures(np.stack(arrays), names)
        likeliest = self._place("class_index", self._set.likeliest(count))
        self._show(**{"picture": count, "class": likeliest})

    def add_classes(self, classes: Sequence[int]) -> None:
        """Compute the maps of more classes for all pictures and show the first of them.

        Parameters
        ----------
        classes : sequence of int
            As the model numbers them; those that are there already are not added again.

        Raises
        ------
        ValueError
            If there is none, or the model has no such class.
        """
        self._set.add_classes(classes)
        self._show(**{"class": self._place("class_index", classes[0])})

    def class_search(self) -> ipywidgets.Combobox:
        """Return a field that finds any of the model's classes by a part of its name.

        The class that is picked is added and shown. It needs a kernel, as `uploader`.
        """
        names = list(self._set.scenes.class_names)
        field = ipywidgets.Combobox(
            options=names,
            ensure_option=True,
            continuous_update=False,
            description="Find a class",
            style={"description_width": "initial"},
        )

        def take(change):
            if change["new"] in names:
                self.add_classes([names.index(change["new"])])

        field.observe(take, names="value")
        return field

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
        size, good, problems = self._set.scenes.images.shape[1:3], {}, []
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

    def _place(self, name: str, value: str | int) -> int:
        """Where on its control the value of a trait stands."""
        if name == "image":
            return check_index(name, value, len(self._set.names))
        if name == "class_index":
            known, there = len(self._set.scenes.class_names), self._set.classes
            if check_index(name, value, known) not in there:
                raise ValueError(
                    f"class {value} cannot be chosen yet: call add_classes([{value}])."
                )
            return there.index(value)
        labels = {"layer": self._set.layers, "method": self._set.methods}[name]
        if value not in labels:
            raise ValueError(
                f"{name} must be one of {', '.join(labels)}; received {value!r}."
            )
        return labels.index(value)

    @validate("image", "class_index", "layer", "method")
    def _check(self, proposal):
        self._place(proposal["trait"].name, proposal["value"])
        return proposal["value"]

    @observe("choice")
    def _show_choice(self, change):
        choice = change["new"]
        self.image = choice["picture"]
        self.class_index = self._set.classes[choice["class"]]
        self.layer = self._set.layers[choice["layer"]]
        self.method = self._set.methods[choice["method"]]

    @observe("image", "class_index", "layer", "method")
    def _choose(self, change):
        control = CONTROLS.get(change["name"], change["name"])
        index = self._place(change["name"], change["new"])
        if self.choice.get(control) != index:
            self.choice = {**self.choice, control: index}
