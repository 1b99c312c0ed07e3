"""Arrays in, a widget out: maps over pictures, to choose from with sliders and menus.

Every state is computed beforehand, so the same widget lives in Jupyter and in a built
page without a kernel: one JavaScript module (explorer.js) draws in both. The maps never
sit in a synced trait, which a built page would carry a second time. The module asks for
them once, and they travel as small integers, deflated; pictures travel as WebP.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import numpy as np
from traitlets import Dict, Float, Int, Unicode, observe, validate

from scenecam import images
from scenecam.explorer.packing import pack

HINT = "Point at the map, or move over it with the arrow keys, to read its values."
_HERE = Path(__file__).parent


class Viewer(anywidget.AnyWidget):
    """Look at maps over pictures, one at a time or two side by side.

    Parameters
    ----------
    maps : ndarray of shape (n1, ..., nk, h, w), or mapping of str to such arrays
        Finite values, one leading axis for each of `controls`, in their order. A
        mapping from the labels of the control "layer" to arrays without that axis lets
        the resolution change from layer to layer.
    controls : mapping of str to sequence of str
        Name of a control to its labels. "picture" comes first where there is one.
    pictures : ndarray of shape (n, h, w, 3), uint8, optional
        One for each label of "picture". Without them maps are shown alone.
    masks : ndarray of shape (n, h, w), uint8, optional
        Class index of every pixel, 255 where there is none.
    class_names : sequence of str, optional
        Names of the classes in `masks` and `probabilities`.
    probabilities : ndarray of shape (n, k), float, optional
        In [0, 1], shown as bars, and in the labels of the control "class".
    labels : sequence of n int, optional
        True class of each picture, -1 where it is not known.
    unit : str
        Of the values.
    signed : bool
        True colours both signs around zero; False only the positive values.
    smooth : bool
        True enlarges maps as `images.upsample_map` does, False shows their cells.
    numbers : bool or (sequence of str, sequence of str)
        Write the values into the cells; the names of rows and columns.
    title : str
        Stands above, and names the widget for those who do not see it.
    sliders : sequence of str
        Controls that are sliders; the others are menus, pictures are thumbnails.
    notes : mapping of str to sequence of str, optional
        For a control, a text for each of its labels, shown below the map.
    **state
        First values of `choice`, `opacity`, `view`, `colormap`, `compare`.

    Attributes
    ----------
    choice : dict
        Name of a control to the index of its label.
    opacity : float
        Of the map over the picture, 0 to 1.
    view : str
        "overlay", "map", "picture" or, where there are masks, "mask".
    colormap : str
        Name of the colour map.
    compare : str
        "nothing", or the control that differs between two maps side by side, which then
        share one scale; `other` is the index of the second.
    message : str
        Shown below the maps.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or a trait is set to what is not there.
    """

    _esm = _HERE / "explorer.js"
    _css = _HERE / "explorer.css"

    choice = Dict().tag(sync=True)
    other = Int(0, min=0).tag(sync=True)
    opacity = Float(0.5).tag(sync=True)
    view = Unicode("overlay").tag(sync=True)
    colormap = Unicode().tag(sync=True)
    compare = Unicode("nothing").tag(sync=True)
    message = Unicode().tag(sync=True)

    def __init__(self, maps, controls: Mapping[str, Sequence[str]], **content):
        own = ("choice", "other", "opacity", "view", "colormap", "compare", "message")
        state = {name: content.pop(name) for name in own if name in content}
        self._fill(maps, controls, **content)
        first = {
            "choice": dict.fromkeys(controls, 0) | dict(state.pop("choice", {})),
            "view": self._header["views"][0],
            "colormap": self._header["colormaps"][0],
            "message": "" if self._header["numbers"] else HINT,
        }
        super().__init__(**(first | state))
        self.on_msg(self._answer)

    def _fill(self, maps, controls, **content) -> None:
        """Pack all that is shown, in place of what was."""
        self._content = _check(maps, controls, **content)
        self._header, self._buffers = pack(**self._content)

    def _answer(self, _, content, __) -> None:
        if content.get("ask") == "maps":
            self.send(self._header, self._buffers)

    @validate("choice")
    def _check_choice(self, proposal):
        controls = self._header["controls"]
        for name, index in proposal["value"].items():
            if name not in controls:
                raise ValueError(
                    f"there is no control {name!r}; there are {_list(controls)}."
                )
            if not isinstance(index, int) or not 0 <= index < len(controls[name]):
                raise ValueError(
                    f"{name} must be a number from 0 to {len(controls[name]) - 1}; "
                    f"received {index!r}."
                )
        return {name: proposal["value"].get(name, 0) for name in controls}

    @validate("opacity")
    def _check_opacity(self, proposal):
        if not 0 <= proposal["value"] <= 1:
            raise ValueError(
                f"opacity must be from 0 to 1; received {proposal['value']}."
            )
        return proposal["value"]

    @validate("view", "colormap", "compare")
    def _check_word(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        words = {
            "view": self._header["views"],
            "colormap": self._header["colormaps"],
            "compare": ["nothing", *self._header["comparable"]],
        }[name]
        if value not in words:
            raise ValueError(
                f"{name} must be one of {_list(words)}; received {value!r}."
            )
        return value

    @observe("compare")
    def _compare_with_another(self, change):
        now = self.choice.get(change["new"])
        if now is not None and self.other == now:
            self.other = 1 if now == 0 else 0

    def to_html(self) -> str:
        """Return the widget as HTML that needs no kernel and no network."""
        names = ("choice", "other", "opacity", "view", "colormap", "compare", "message")
        files = [base64.b64encode(part).decode() for part in self._buffers]
        page = {
            "state": {name: getattr(self, name) for name in names},
            "header": self._header,
            "files": files,
        }
        # Within a script only its end tag ends it, whatever the JSON says.
        data = json.dumps(page).replace("</", r"<\/")
        module = (_HERE / "explorer.js").read_text() + (
            _HERE / "standin.js"
        ).read_text()
        still, words = self._still()
        return (
            '<div class="scenecam-page" data-asleep>'
            f"<style>{(_HERE / 'explorer.css').read_text()}</style>"
            '<div class="scenecam"></div>'
            '<figure class="scenecam-still">'
            f'<img alt="{html.escape(words)}" src="data:image/jpeg;base64,{still}">'
            f"<figcaption>{html.escape(words)}</figcaption></figure>"
            f'<script type="application/json">{data}</script>'
            f'<script type="module">{module}</script></div>'
        )

    def _still(self) -> tuple[str, str]:
        """One picture for where no script runs, as base64, and its description."""
        content, choice = self._content, self.choice
        maps = content["maps"]
        layer = (
            content["controls"]["layer"][choice["layer"]]
            if content["layered"]
            else None
        )
        chosen = maps[layer][tuple(choice[name] for name in content["axes"])]
        size = self._header["size"]
        limit = max(
            0.0, float(np.abs(chosen).max() if content["signed"] else chosen.max())
        )
        unit = images.unit_map(chosen, positive=not content["signed"], limit=limit)
        how = "bilinear" if content["smooth"] else "nearest"
        unit = images.upsample_map(unit, size, method=how)
        parts = [images.colour_map(np.clip(unit, 0, 1), cmap=self.colormap)]
        if content["pictures"] is not None:
            picture = content["pictures"][choice["picture"]]
            share = self.opacity
            parts = [
                picture,
                images.overlay(picture, unit, opacity=share, cmap=self.colormap),
            ]
        named = [labels[choice[name]] for name, labels in content["controls"].items()]
        words = f"{content['title'] or 'Map'}: {', '.join(named)}"
        return base64.b64encode(images.encode_jpeg(np.hstack(parts))).decode(), words

    def _repr_mimebundle_(self, **kwargs):
        """Return the widget's view for Jupyter, and HTML for everywhere else."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return data | {"text/html": self.to_html()}, metadata


def _check(
    maps,
    controls,
    *,
    pictures=None,
    masks=None,
    class_names=None,
    probabilities=None,
    labels=None,
    unit="logits",
    signed=False,
    smooth=True,
    numbers=False,
    title="",
    sliders=("layer",),
    notes=None,
) -> dict:
    """Return everything checked, and the maps as a dict of layer to array."""
    controls = {
        name: [str(label) for label in labels] for name, labels in controls.items()
    }
    layered = isinstance(maps, Mapping)
    if layered and list(maps) != controls.get("layer"):
        raise ValueError(
            f"maps for the layers {_list(maps)} need a control 'layer' with these "
            f"labels; received {controls.get('layer')}."
        )
    axes = [name for name in controls if not (layered and name == "layer")]
    wanted = tuple(len(controls[name]) for name in axes)
    checked = {}
    for layer, values in (maps if layered else {None: maps}).items():
        values = np.asarray(values, np.float32)
        if values.ndim != len(axes) + 2 or values.shape[:-2] != wanted:
            raise ValueError(
                f"maps must have shape {wanted} + (h, w), an axis for each of "
                f"{_list(axes)}; received {values.shape}."
            )
        if not np.isfinite(values).all():
            raise ValueError("maps must be finite; received NaN or infinite values.")
        checked[layer] = values
    if pictures is not None:
        images.check_images(pictures, name="pictures")
        count = len(controls.get("picture", ()))
        for name, array in {
            "pictures": pictures,
            "masks": masks,
            "probabilities": probabilities,
            "labels": labels,
        }.items():
            if array is not None and len(array) != count:
                raise ValueError(
                    f"{name} must be as many as the control 'picture' has labels, "
                    f"{count}; received {len(array)}."
                )
    elif masks is not None:
        raise ValueError("masks need the pictures that they belong to; received none.")
    return {
        "maps": checked,
        "controls": controls,
        "layered": layered,
        "axes": axes,
        "pictures": pictures,
        "masks": masks,
        "class_names": list(class_names or ()),
        "probabilities": probabilities,
        "labels": labels,
        "unit": unit,
        "signed": signed,
        "smooth": smooth,
        "numbers": numbers,
        "title": title,
        "sliders": list(sliders),
        "notes": {k: list(v) for k, v in (notes or {}).items()},
    }


def _list(names) -> str:
    return ", ".join(repr(name) for name in names)
