"""Arrays in, a widget out: maps over pictures, to choose from with sliders and menus.

Every state is computed beforehand, so the same widget lives in Jupyter and in a built
page without a kernel: the same JavaScript draws in both. Arrays never sit in a synced
trait, which a built page would carry a second time: the script asks for them once. How
they travel says `packing`. The build keeps one script of a kind on a page.
"""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import anywidget
import numpy as np
from traitlets import Dict, Float, Int, Unicode, observe, validate

from scenecam import images
from scenecam.explorer.packing import Content, check_index, listed, pack

HINT = "Point at the map, or move over it with the arrow keys, to read its values."
_HERE = Path(__file__).parent


def source(*files: str) -> str:
    """Return scripts or styles as one, without margins and comments."""
    lines = "\n".join((_HERE / file).read_text() for file in files).splitlines()
    lines = [line.strip() for line in lines]
    return "\n".join(line for line in lines if line[:2] not in ("", "//", "/*")) + "\n"


class Page(anywidget.AnyWidget):
    """A widget that a page can hold, too, of a `kind` with a script of its own.

    A page starts with the traits that `starts_with` names. The script is sent a
    `_header` of plain data and `_buffers`; where none runs, there are the picture,
    uint8 (h, w, 3), and the words that `_still` gives.
    """

    def __init__(self, **state):
        super().__init__(**state)
        self.on_msg(self._answer)

    def _answer(self, _, content, __) -> None:
        if content.get("ask") == "maps":
            self.send(self._header, self._buffers)

    def to_html(self) -> str:
        """Return the widget as HTML that needs no kernel and no network."""
        state = {name: getattr(self, name) for name in self.starts_with}
        files = [base64.b64encode(part).decode() for part in self._buffers]
        page = {"state": state, "header": self._header, "files": files}
        # Within a script only its end tag ends it, whatever the JSON says.
        content = {"kind": self.kind, "data": json.dumps(page).replace("</", r"<\/")}
        content |= {"css": self._css, "module": self._esm + source("standin.js")}
        picture, words = self._still()
        still = base64.b64encode(images.encode_jpeg(picture)).decode()
        content |= {"words": html.escape(words), "still": still}
        return Template((_HERE / "page.html").read_text()).substitute(content)

    def _repr_mimebundle_(self, **kwargs):
        """Return the widget's view for Jupyter, and HTML for everywhere else."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return data | {"text/html": self.to_html()}, metadata


class Viewer(Page):
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
    unit, title : str
        Of the values; what stands above, and names the widget for those who do not see.
    signed : bool
        True colours both signs around zero; False, the default, what is positive.
    smooth : bool
        True, the default, enlarges maps as `images.upsample_map` does, False shows
        their cells.
    numbers : bool or (sequence of str, sequence of str)
        Write the values into the cells; the names of rows and columns.
    sliders : sequence of str
        Controls that are sliders, "layer" by default; the others are menus, pictures
        are thumbnails.
    notes : mapping of str to sequence of str, optional
        For a control, a text for each of its labels, shown below the map.
    **state
        First values of the traits below.

    Attributes
    ----------
    choice : dict
        Name of a control to the index of its label.
    opacity : float
        Of the map over the picture, 0 to 1.
    view : str
        "overlay", "map", "picture" or, where there are masks, "mask".
    compare : str
        "nothing", or the control that differs between two maps side by side, which then
        share one scale; `other` is the index of the second.
    colormap, message : str
        Name of the colour map; what is shown below the maps.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or a trait is set to what is not there.
    """

    kind = "explorer"
    starts_with = "choice other opacity view colormap compare message".split()
    _esm = source("shared.js", "explorer.js")
    _css = source("shared.css", "explorer.css")

    choice = Dict().tag(sync=True)
    other = Int(0, min=0).tag(sync=True)
    opacity = Float(0.5).tag(sync=True)
    view = Unicode("overlay").tag(sync=True)
    colormap = Unicode().tag(sync=True)
    compare = Unicode("nothing").tag(sync=True)
    message = Unicode().tag(sync=True)

    def __init__(self, maps, controls: Mapping[str, Sequence[str]], **content):
        state = {n: content.pop(n) for n in self.starts_with if n in content}
        self._fill(maps=maps, controls=controls, **content)
        first = {
            "choice": dict.fromkeys(controls, 0) | dict(state.pop("choice", {})),
            "view": self._header["views"][0],
            "colormap": self._header["colormaps"][0],
            "message": "" if self._header["numbers"] else HINT,
        }
        super().__init__(**(first | state))

    def _fill(self, **content) -> None:
        """Pack all that is shown, in place of what was."""
        self._content = Content(**content)
        self._header, self._buffers = pack(self._content)

    @validate("choice")
    def _check_choice(self, proposal):
        controls = self._header["controls"]
        for name, index in proposal["value"].items():
            if name not in controls:
                what = f"there is no control {name!r}"
                raise ValueError(f"{what}; there are {listed(controls)}.")
            check_index(name, index, len(controls[name]))
        return {name: int(proposal["value"].get(name, 0)) for name in controls}

    @validate("opacity")
    def _check_opacity(self, proposal):
        value = proposal["value"]
        if not 0 <= value <= 1:
            raise ValueError(f"opacity must be from 0 to 1; received {value}.")
        return value

    @validate("view", "colormap", "compare")
    def _check_word(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        words = ["nothing", *self._header["comparable"]]
        if name != "compare":
            words = self._header[f"{name}s"]
        if value not in words:
            what = f"{name} must be one of {listed(words)}"
            raise ValueError(f"{what}; received {value!r}.")
        return value

    @observe("compare")
    def _compare_with_another(self, change):
        now = self.choice.get(change["new"])
        if now is not None and self.other == now:
            self.other = 1 if now == 0 else 0

    def _still(self) -> tuple[np.ndarray, str]:
        content, choice = self._content, self.choice
        labels = [each[choice[name]] for name, each in content.controls.items()]
        words = f"{content.title or 'Map'}: {', '.join(labels)}"
        layer = content.controls["layer"][choice["layer"]] if content.layered else None
        shown = content.maps[layer][tuple(choice[name] for name in content.axes)]
        limit = max(0.0, float((np.abs(shown) if content.signed else shown).max()))
        unit = images.unit_map(shown, positive=not content.signed, limit=limit)
        how = "bilinear" if content.smooth else "nearest"
        unit = images.upsample_map(unit, self._header["size"], method=how).clip(0, 1)
        if content.pictures is None:
            return images.colour_map(unit, cmap=self.colormap), words
        picture = content.pictures[choice["picture"]]
        look = {"opacity": self.opacity, "cmap": self.colormap}
        return np.hstack([picture, images.overlay(picture, unit, **look)]), words
