"""What an explorer of a built page holds, and what its canvas ought to show: by Python.

The numbers are read out of the page, as they lie there, and drawn with scenecam.images.
A state is the dict of traits that the page starts with; `moved` gives the next one.
"""

import base64
import json
import re
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from scenecam import images
from scenecam.explorer import packing

DATA = re.compile(r'<script type="application/json">(\{"state".*?)</script>', re.S)


def all_held(path):
    """Return one `Held` for each explorer of an HTML file, in the file's order."""
    found = map(json.loads, DATA.findall(path.read_text()))
    return [Held(page) for page in found if "grids" in page["header"]]


class Held:
    """One explorer: its header, its maps and its pictures, decoded."""

    def __init__(self, page):
        self.state, header = page["state"], page["header"]
        self.header, self.controls = header, header["controls"]
        self.size = tuple(header["size"])
        bulk, *files = map(base64.b64decode, page["files"])
        self.pictures = [
            np.asarray(Image.open(BytesIO(file)).convert("RGB")) for file in files
        ]
        self._bytes, self._at = zlib.decompress(bulk), 0
        self._take(np.uint8, (1 + len(header["colormaps"]), 256, 4))
        self.grids = [self._maps(shape) for shape in header["grids"]]
        self.masks = header["masks"] and self._take(np.uint8, (len(files), *self.size))
        assert self._at == len(self._bytes)

    def _take(self, kind, shape):
        count = int(np.prod(shape))
        found = np.frombuffer(self._bytes, kind, count, self._at).reshape(shape)
        self._at += found.nbytes
        return found

    def _maps(self, shape):
        header = self.header
        top, bottom = (self._take(np.float32, (shape[0], 1, 1)) for _ in range(2))
        if header["exact"]:
            return self._take(np.float32, shape)
        steps = self._take(np.int8, shape).astype(np.float32)
        scale = np.where(steps > 0, top / header["above"], bottom / header["below"])
        return steps * scale

    def map_of(self, choice):
        grid = self.grids[choice["layer"] if self.header["layered"] else 0]
        sizes = [len(self.controls[name]) for name in self.header["axes"]]
        places = [choice[name] for name in self.header["axes"]]
        return grid[np.ravel_multi_index(places, sizes)]

    def likeliest(self, picture, but=None):
        row = np.array(self.header["probabilities"][picture])
        if but is not None:
            row[but] = -1
        return int(row.argmax())

    def choices(self, state):
        """Return what the panels choose: one, or two where something is compared."""
        choice, name = state["choice"], state["compare"]
        second = [] if name == "nothing" else [{**choice, name: state["other"]}]
        return [choice, *second]

    def limit(self, state):
        """Return the value with the last colour, which two panels share."""
        maps = [self.map_of(choice) for choice in self.choices(state)]
        signed = self.header["signed"]
        return max(0.0, *(float((abs(m) if signed else m).max()) for m in maps))

    def drawn(self, state, panel=0):
        """Return what a panel shows, uint8 (height, width, 3)."""
        choice, view = self.choices(state)[panel], state["view"]
        if view == "mask":
            table = packing.class_table(len(self.header["classNames"]))
            return table[self.masks[choice["picture"]], :3]
        if view == "picture":
            return self.pictures[choice["picture"]]
        unit = images.unit_map(
            self.map_of(choice),
            positive=not self.header["signed"],
            limit=self.limit(state),
        )
        how = "bilinear" if self.header["smooth"] else "nearest"
        unit = images.upsample_map(unit, self.size, method=how).clip(0, 1)
        if view == "map":
            return images.colour_map(unit, cmap=state["colormap"])
        picture, opacity = self.pictures[choice["picture"]], state["opacity"]
        return images.overlay(picture, unit, opacity=opacity, cmap=state["colormap"])

    def labels(self, control, state):
        """Return the labels of a control as far as they are known from the data."""
        own = {
            "view": self.header["views"],
            "opacity": range(101) if state["view"] == "overlay" else (),
            "colormap": () if self.header["numbers"] else self.header["colormaps"],
            "compare": ("nothing", *self.header["comparable"]),
            "other": self.controls.get(state["compare"], ()),
        }
        return own[control] if control in own else self.controls[control]

    def shown(self, state):
        """Return the names of the controls that can be moved in this state."""
        names = (*self.controls, "view", "opacity", "colormap", "compare", "other")
        return [name for name in names if len(self.labels(name, state)) > 1]

    def index(self, control, state):
        """Return where a control stands."""
        if control in self.controls:
            return state["choice"][control]
        value = state[control]
        if control == "opacity":
            return round(100 * value)
        labels = self.labels(control, state)
        return value if control == "other" else list(labels).index(value)

    def moved(self, control, index, state):
        """Return the state after a control was moved to a place."""
        choice = state["choice"]
        if control in self.controls:
            new = {**choice, control: index}
            follows = control == "picture" and self.header["probabilities"]
            if follows and choice["class"] == self.likeliest(choice["picture"]):
                new["class"] = self.likeliest(index)
            return {**state, "choice": new}
        if control == "opacity":
            return {**state, "opacity": index / 100}
        if control == "other":
            return {**state, "other": index}
        name = self.labels(control, state)[index]
        if control != "compare":
            return {**state, control: name}
        other = 1 if choice.get(name) == 0 else 0
        if name == "class" and self.header["probabilities"]:
            other = self.likeliest(choice["picture"], but=choice["class"])
        return {**state, "compare": name, "other": other}
