"""A model and pictures to a widget: the explorer of class maps.

All maps are computed once; afterwards nothing but arrays is asked, so every control
answers at once, in Jupyter and in a built page alike. The rooms: ``viewer``, arrays to
a widget and a page; ``packing``, what its JavaScript gets; ``mapset``, a model's maps,
and how they grow; ``widgets``, small ones for single steps.
"""

from collections.abc import Sequence
from pathlib import Path

import ipywidgets
import keras
import numpy as np
from traitlets import Int, Unicode, observe, validate

from scenecam import images
from scenecam.explorer.mapset import MapSet
from scenecam.explorer.packing import check_index
from scenecam.explorer.viewer import HINT, Viewer
from scenecam.explorer.widgets import (
    WeightViewer,
    coarse_layers,
    feature_map_viewer,
    kernel_viewer,
    threshold_viewer,
)
from scenecam.scenes import SceneSet

__all__ = ["Explorer", "Viewer", "WeightViewer", "coarse_layers"]
__all__ += ["feature_map_viewer", "kernel_viewer", "threshold_viewer"]

# The traits that name what a control has chosen.
CONTROLS = dict(image="picture", class_index="class", method="method", layer="layer")


class Explorer(Viewer):
    """Explore where a network sees each class: every picture, layer, class and method.

    Parameters
    ----------
    model : keras.Model
        One that `cam.class_maps` takes.
    scenes : SceneSet
        The pictures; all maps of all of them are computed at once, so a dozen.
    layers : sequence of str, optional
        From `cam.layer_names`; by default `coarse_layers`.
    methods : sequence of str
        From `cam.METHODS`.
    classes : sequence of int, optional
        Those that can be chosen. By default all, but where there are more than 20, the
        three likeliest of every picture; `class_search` and `add_classes` bring others.
    **state
        First values of the traits, here and of `Viewer`: `opacity`, `view`, `colormap`,
        `compare`. All can be read, set and observed.

    Attributes
    ----------
    image, class_index : int
        Which picture; which class, as the model numbers them.
    layer, method : str
        Which layer and method, by name.

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
        layers = layers or coarse_layers(model)
        methods = [methods] if isinstance(methods, str) else methods
        made = MapSet(model, scenes, layers=layers, methods=methods, classes=classes)
        self._set = made
        state = {"image": 0, "method": methods[0], "layer": layers[-1]} | state
        picture = self._place("image", state["image"])
        state = {"class_index": made.likeliest(picture)} | state
        places = {CONTROLS[n]: self._place(n, state.pop(n)) for n in CONTROLS}
        super().__init__(**made.contents(), title=title, **({"choice": places} | state))

    def _show(self, **choice) -> None:
        """Send what has been added, and choose it."""
        self._fill(**self._set.contents(), title=self._content.title)
        self.send(self._header, self._buffers)
        self.choice = {**self.choice, **choice}

    def add_pictures(
        self, pictures: Sequence, *, names: Sequence[str] | None = None
    ) -> None:
        """Compute the maps of more pictures and show the first of them.

        Parameters
        ----------
        pictures : sequence of str, path-like, or ndarray of shape (h, w, 3), uint8
            Of any size: they are stretched to the size of the others. ValueError if
            there is none, or one cannot be read.
        names : sequence of str, optional
            How to call them; by default the files' names.
        """
        if not len(pictures):
            raise ValueError("pictures must hold at least one picture; received none.")
        count, size = len(self._set.names), self._set.images.shape[1:3]
        arrays, found = [], []
        for picture in pictures:
            if isinstance(picture, np.ndarray):
                arrays.append(images.resize_image(picture, size))
                found.append("")
            else:
                arrays.append(images.read_image(picture, size=size))
                found.append(Path(picture).stem)
        self._set.add_pictures(np.stack(arrays), found if names is None else names)
        likeliest = self._place("class_index", self._set.likeliest(count))
        self._show(**{"picture": count, "class": likeliest})

    def add_classes(self, classes: Sequence[int]) -> None:
        """Compute the maps of more classes for all pictures and show the first of them.

        Classes as the model numbers them; those that are there already are not added
        again. ValueError if there is none, or the model has no such class.
        """
        self._set.add_classes(classes)
        self._show(**{"class": self._place("class_index", classes[0])})

    def class_search(self) -> ipywidgets.Combobox:
        """Return a field that finds any of the model's classes by a part of its name.

        The class that is picked is added and shown. It needs a kernel, as `uploader`.
        """
        names = list(self._set.class_names)
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
        size, good, problems = self._set.images.shape[1:3], {}, []
        for file in files:
            name, content = file["name"], bytes(file["content"])
            try:
                good[name] = images.decode_image(content, size=size, name=name)
            except ValueError as error:
                problems.append(str(error))
        if good:
            names = [Path(name).stem for name in good]
            self.add_pictures(list(good.values()), names=names)
        self.message = " ".join(problems) or HINT

    def _values(self, name: str) -> Sequence:
        """The values of a trait, in the order of the labels of its control."""
        if name == "image":
            return range(len(self._set.names))
        places = {"class_index": "classes", "method": "methods", "layer": "layers"}
        return getattr(self._set, places[name])

    def _place(self, name: str, value: str | int) -> int:
        """Where on its control the value of a trait stands."""
        values = self._values(name)
        if value in values:
            return values.index(value)
        if name in ("layer", "method"):
            what = f"{name} must be one of {', '.join(values)}"
            raise ValueError(f"{what}; received {value!r}.")
        known = self._set.names if name == "image" else self._set.class_names
        check_index(name, value, len(known))
        what = f"class {value} cannot be chosen yet"
        raise ValueError(f"{what}: call add_classes([{value}]).")

    @validate(*CONTROLS)
    def _check(self, proposal):
        self._place(proposal["trait"].name, proposal["value"])
        return proposal["value"]

    @observe("choice")
    def _show_choice(self, change):
        for name, control in CONTROLS.items():
            setattr(self, name, self._values(name)[change["new"][control]])

    @observe(*CONTROLS)
    def _choose(self, change):
        control = CONTROLS[change["name"]]
        index = self._place(change["name"], change["new"])
        if self.choice.get(control) != index:
            self.choice = {**self.choice, control: index}
