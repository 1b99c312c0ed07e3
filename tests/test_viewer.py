"""The viewer: what is packed comes out again, and what does not fit is refused."""

import json
import re
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from scenecam import plots
from scenecam.explorer import packing
from scenecam.explorer.viewer import Viewer

SOURCE = ROOT / "src" / "scenecam" / "explorer"


@pytest.fixture
def parts(rng):
    """Two pictures, two layers of different size, three classes."""
    maps = {
        "early": rng.normal(size=(2, 3, 6, 8)).astype(np.float32),
        "late": rng.normal(size=(2, 3, 3, 4)).astype(np.float32),
    }
    controls = {"picture": ["1", "2"], "class": list("abc"), "layer": list(maps)}
    return {
        "maps": maps,
        "controls": controls,
        "pictures": rng.integers(0, 256, (2, 12, 16, 3), dtype=np.uint8),
        "masks": rng.integers(0, 3, (2, 12, 16), dtype=np.uint8),
        "class_names": list("abc"),
        "probabilities": np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]),
    }


def page_of(viewer):
    """The data that a built page carries for a viewer."""
    text = viewer.to_html()
    found = re.search(r'<script type="application/json">(.*?)</script>', text, re.S)
    return json.loads(found[1])


def test_quantised_maps_come_back_within_half_a_step(rng):
    maps = rng.normal(size=(5, 6, 7)).astype(np.float32)
    top, bottom, steps = packing.quantise(maps, 127, 15)
    scale = np.where(steps > 0, top[:, None, None] / 127, bottom[:, None, None] / 15)
    assert (np.abs(steps * scale - maps) <= scale * 0.5001).all()


def test_a_map_of_one_sign_or_none_is_quantised_without_a_warning():
    maps = np.stack([np.zeros((2, 2)), np.ones((2, 2)), -np.ones((2, 2))])
    top, bottom, steps = packing.quantise(maps.astype(np.float32), 127, 15)
    assert top.tolist() == [0, 1, 0] and bottom.tolist() == [0, 0, 1]
    assert steps[:, 0, 0].tolist() == [0, 127, -15]


def test_blocks_lie_in_the_order_in_which_javascript_reads_them(parts):
    viewer = Viewer(**parts)
    bulk = zlib.decompress(viewer._buffers[0])
    at = (1 + len(packing.SEQUENTIAL)) * 1024
    for maps, (count, h, w) in zip(
        parts["maps"].values(), viewer._header["grids"], strict=True
    ):
        top = struct.unpack_from(f"<{count}f", bulk, at)
        assert np.allclose(top, maps.reshape(count, -1).max(axis=1))
        at += 8 * count + count * h * w
    assert bulk[at:] == parts["masks"].tobytes()


def test_pictures_lose_one_grey_level_at_most(parts):
    for sent, picture in zip(
        Viewer(**parts)._buffers[1:], parts["pictures"], strict=True
    ):
        found = np.asarray(Image.open(BytesIO(sent)).convert("RGB")).astype(int)
        assert np.abs(found - picture).max() <= 1


def test_the_class_colours_are_those_of_the_plots():
    wanted = np.rint(plots.class_colours(10) * 255)
    assert np.array_equal(packing.class_table(10)[:10, :3], wanted)


def test_more_classes_than_a_mask_has_values_are_coloured_as_far_as_it_goes():
    assert packing.class_table(300).shape == (256, 4)


def test_the_bundle_has_a_view_and_html_and_the_state_has_no_bulk(parts):
    viewer = Viewer(**parts)
    data, _ = viewer._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html"} <= set(data)
    state = {k: v for k, v in viewer.get_state().items() if k not in ("_esm", "_css")}
    assert len(json.dumps(state, default=str)) < 2000


def test_the_page_needs_no_network_and_closes_no_script_early(parts):
    viewer = Viewer(**parts, title="</script><b>x")
    text = viewer.to_html()
    assert not re.search(r"(https?:)?//[\w.]+\.\w+", text.replace("data:image", ""))
    assert not re.search(r"\b(fetch|XMLHttpRequest|import)\s*\(", text)
    assert text.count("</script>") == 2
    assert page_of(viewer)["header"]["title"] == "</script><b>x"
    assert "&lt;/script&gt;" in text  # in the words for where no script runs


def test_the_page_starts_in_the_state_that_was_chosen(parts):
    viewer = Viewer(**parts, choice={"layer": 1}, opacity=0.25)
    viewer.view = "mask"
    state = page_of(viewer)["state"]
    assert state["choice"] == {"picture": 0, "class": 0, "layer": 1}
    assert state["opacity"] == 0.25 and state["view"] == "mask"


def test_the_maps_are_sent_when_they_are_asked_for(parts, monkeypatch):
    viewer, sent = Viewer(**parts), []
    monkeypatch.setattr(viewer, "send", lambda *message: sent.append(message))
    viewer._handle_custom_msg({"ask": "maps"}, [])
    viewer._handle_custom_msg({"ask": "else"}, [])
    assert sent == [(viewer._header, viewer._buffers)]


def test_maps_without_pictures_have_one_view_and_numbers_stay_exact():
    maps = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    names = (["a", "b"], ["a", "b", "none"])
    viewer = Viewer(maps, {"step": ["1", "2"]}, numbers=names, sliders=("step",))
    assert viewer.view == "map" and viewer._header["numbers"] == list(names)
    assert zlib.decompress(viewer._buffers[0]).endswith(maps.tobytes())


def test_what_stands_beside_a_map_begins_as_another(parts):
    viewer = Viewer(**parts)
    viewer.compare = "class"
    assert viewer.other == 1
    viewer.other = 2
    viewer.compare = "nothing"
    viewer.compare = "class"
    assert viewer.other == 2


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("choice", {"colour": 1}, "no control 'colour'.*'picture', 'class', 'layer'"),
        ("choice", {"layer": 2}, "layer must be from 0 to 1; received 2"),
        ("choice", {"layer": "late"}, "layer must be from 0 to 1; received .late"),
        ("opacity", 1.5, "opacity must be from 0 to 1; received 1.5"),
        ("view", "globe", "view must be one of 'overlay', 'map'.*received 'globe'"),
        ("colormap", "jet", "colormap must be one of 'inferno'"),
        ("compare", "layer", "compare must be one of 'nothing', 'class'"),
    ],
)
def test_a_trait_refuses_what_is_not_there(parts, trait, value, words):
    viewer = Viewer(**parts)
    before = getattr(viewer, trait)
    with pytest.raises(ValueError, match=words):
        setattr(viewer, trait, value)
    assert getattr(viewer, trait) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maps": np.zeros((2, 3, 4, 4))}, "axis for each of 'picture', 'class', 'lay"),
        ({"controls": {"picture": ["1", "2"]}}, "need a control 'layer'"),
        ({"masks": np.zeros((3, 12, 16), np.uint8)}, "masks must be as many.*2"),
        ({"pictures": None}, "masks need the pictures"),
        ({"probabilities": np.zeros((1, 3))}, "probabilities must be as many"),
    ],
)
def test_what_does_not_fit_is_refused(parts, change, words):
    with pytest.raises(ValueError, match=words):
        Viewer(**(parts | change))


def test_maps_must_be_finite(parts):
    parts["maps"]["late"][0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="maps must be finite"):
        Viewer(**parts)


def test_the_javascript_stays_small_and_readable():
    for path in SOURCE.glob("*.js"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 300 and max(map(len, lines)) <= 100


def test_the_scripts_and_styles_are_part_of_the_package():
    config = (ROOT / "pyproject.toml").read_text()
    assert '"scenecam.explorer" = ["*.js", "*.css", "*.html"]' in config
