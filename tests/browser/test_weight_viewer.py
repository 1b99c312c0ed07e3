"""Weights that are dragged, in a browser: maps, sums and probabilities as by Python.

On a page of their own, with the network off and, as in the book, one script for both.
Those in the book are woken, moved and read, too.
"""

import base64
import json
import re
from contextlib import contextmanager
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, awake, book_folder, book_pages, offline_page
from fetch_axe import SCRIPT
from held import DATA
from PIL import Image
from scipy.special import softmax
from test_built_pages import survey_page
from test_explorer import GREY_LEVELS, PAGE

from scenecam import images, synth
from scenecam.explorer import WeightViewer

ASLEEP, AWAKE = 'data-asleep="weight"', ".scenecam[data-kind=weight][data-ready]"
OWN = "a page of its own"
NUMBER = r"−?\d[\d.]*"


def pytest_generate_tests(metafunc):
    if "place" in metafunc.fixturenames:
        folder = book_folder(metafunc.config)
        pages = book_pages(metafunc.config)
        held = [page for page in pages if ASLEEP in (folder / page).read_text()]
        metafunc.parametrize("place", [OWN, *held])


@pytest.fixture(scope="session")
def own_page(tmp_path_factory):
    """A class activation map and its gauge, of random numbers."""
    rng = np.random.default_rng(0)
    A, W, b = np.abs(rng.normal(size=(6, 8, 5))), rng.normal(size=(5, 3)), np.ones(3)
    M, F = A @ W, A.mean(axis=(0, 1))
    names, start = ["sea", "street", "forest"], float(W[2, 1])
    picture = synth.draw_scenes(1, size=64).images[0]
    widgets = (
        WeightViewer(
            {"street": (M[..., 1], A[..., 2], 1)},
            (F @ W - b, F[2] * np.eye(3)[1]),
            bias=-b,
            class_names=names,
            weight_name="weight of channel 2",
            start=start,
            ends=(start - 3, start + 2),
            picture=picture,
            title="One weight",
        ),
        WeightViewer(
            {
                "sea": (M[..., 0] / 48, M[..., 1] / 48, 0),
                "wrong": (M[..., 1] / 50, M[..., 1] / 48, 1),
                "sea minus street": (
                    (M[..., 0] - M[..., 1]) / 48,
                    0 * M[..., 0],
                    (0, 1),
                ),
            },
            (F @ W + [1, 0, -1], np.full(3, F @ W[:, 1])),
            bias=np.array([1, 0, -1]),
            class_names=names,
            weight_name="times w",
            ends=(-2, 1),
            total="sum",
            title="The gauge",
        ),
    )
    parts = [widget._repr_mimebundle_()[0]["text/html"] for widget in widgets]
    context = {"body": PAGE.format("".join(parts))}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        import book_pages as tool

        tool.keep_once(None, "own", "page.html", context, None)
    path = tmp_path_factory.mktemp("weights") / "own.html"
    path.write_text(context["body"], encoding="utf-8")
    return path


@pytest.fixture
def path(place, own_page, request):
    return own_page if place == OWN else request.getfixturevalue("book") / place


def all_held(path):
    """The data of each weight viewer of a page, and its maps."""
    found = []
    for text in DATA.findall(path.read_text()):
        page = json.loads(text)
        header = SimpleNamespace(**page["header"])
        if hasattr(header, "classNames") and hasattr(header, "ends"):
            values = np.frombuffer(base64.b64decode(page["files"][0]), np.float32)
            header.maps = values.reshape(2, len(header.names), *header.size)
            header.pictures = len(page["files"]) - 1
            found.append(header)
    return found


@contextmanager
def woken(browser, path, **settings):
    held = all_held(path)
    with awake(browser, path, AWAKE, len(held), **settings) as places:
        yield [Shown(*both) for both in zip(places, held, strict=True)]


def plain(text):
    """The numbers of a text, whose minus is not that of a keyboard."""
    return [float(n.replace("−", "-")) for n in re.findall(NUMBER, text)]


class Shown:
    """A weight viewer on a page, and what it ought to show."""

    def __init__(self, place, held):
        self.place, self.held, self.page = place, held, place.page
        self.slider = place.locator("input[type=range]")
        self.weight = held.start

    def at(self, step):
        low, high = self.held.ends
        self.weight = min(max(low + (high - low) * step / 100, low), high)

    def expected(self, weight):
        way, (start, change) = weight - self.held.start, self.held.maps
        logits = np.array(self.held.logits)
        return start + way * change, logits[0] + way * logits[1]

    def check(self):
        held = self.held
        maps, logits = self.expected(self.weight)
        ends = [self.expected(end)[0] for end in held.ends]
        limit = np.abs(ends).max()
        figures = self.place.locator("figure")
        assert figures.count() == held.pictures + len(maps)
        for panel, values in enumerate(maps):
            figure = figures.nth(held.pictures + panel)
            url = figure.locator("canvas").evaluate("canvas => canvas.toDataURL()")
            found = Image.open(BytesIO(base64.b64decode(url.partition(",")[2])))
            unit = images.unit_map(values, positive=False, limit=limit)
            wanted = images.colour_map(unit, cmap="RdBu_r").astype(int)
            drawn = np.asarray(found.convert("RGB")).astype(int)
            assert np.abs(drawn - wanted).max() <= GREY_LEVELS
            self.check_sum(figure.locator("figcaption"), panel, values, logits)
        scale = plain(self.place.locator(".scale").text_content())
        assert scale == pytest.approx([-limit, 0, limit], rel=0.005)
        bars = self.place.locator(".bars li")
        shares = softmax(logits)
        for k, name in enumerate(held.classNames):
            text = bars.nth(k).text_content()
            assert text.startswith(name)
            logit, percent = plain(text.removeprefix(name))
            assert logit == pytest.approx(logits[k], abs=0.006)
            assert percent == pytest.approx(100 * shares[k], abs=0.06)

    def check_sum(self, caption, panel, values, logits):
        """Hold the written sum against itself, the map and the logit."""
        held, (one, *other) = self.held, self.held.classes[panel]
        bias = held.bias[one] - sum(held.bias[k] for k in other)
        logit = logits[one] - sum(logits[k] for k in other)
        part = getattr(values, held.total)()
        text = caption.text_content().removeprefix(held.names[panel])
        assert text.startswith(f"{held.total} + bias = ")
        written, shown, *rest = plain(text.replace("− ", "−"))
        assert written == pytest.approx(part, abs=0.002)
        assert shown == pytest.approx(bias, abs=0.002)
        assert rest[0] == pytest.approx(written + shown, abs=1e-9)
        holds = abs(part + bias - logit) < 0.005
        assert (", the " in text) == holds and (", but the " in text) != holds
        if not holds:
            assert rest[1] == pytest.approx(logit, abs=0.002)
        assert ("difference of the logits" in text) == bool(other)

    def value(self):
        return plain(self.slider.get_attribute("aria-valuetext"))[0]


# Every one, in the book and on the page of its own ---------------------------


def test_each_wakes_offline_and_shows_what_python_computes(browser, path):
    with woken(browser, path) as viewers:
        for viewer in viewers:
            assert viewer.value() == pytest.approx(viewer.weight, rel=0.01)
            viewer.check()


def test_the_keys_move_the_weight_to_its_ends_and_back(browser, path):
    with woken(browser, path) as viewers:
        for viewer in viewers:
            viewer.slider.focus()
            for key, step in (("Home", 0), ("ArrowRight", 1), ("End", 100)):
                viewer.page.keyboard.press(key)
                viewer.at(step)
                assert viewer.value() == pytest.approx(viewer.weight, rel=0.01)
                viewer.check()
            viewer.page.keyboard.press("Tab")
            viewer.page.keyboard.press("Enter")  # the button
            viewer.weight = viewer.held.start
            viewer.check()


@pytest.mark.parametrize("how", ["click", "tap"])
def test_a_mouse_and_a_finger_move_it(browser, path, how):
    with woken(browser, path, has_touch=how == "tap") as viewers:
        for viewer in viewers:
            viewer.slider.scroll_into_view_if_needed()
            size = viewer.slider.bounding_box()
            there = {"x": 8 + (size["width"] - 16) * 0.3, "y": size["height"] / 2}
            getattr(viewer.slider, how)(position=there)
            step = int(viewer.slider.input_value())
            assert 25 <= step <= 35
            viewer.at(step)
            viewer.check()


def test_all_that_takes_the_focus_has_a_name_and_shows_it(browser, path):
    with woken(browser, path) as viewers:
        for viewer in viewers:
            name = viewer.held.weight
            slider = viewer.place.get_by_role("slider", name=name, exact=True)
            button = viewer.place.get_by_role("button", name="Back to the start")
            for part in (slider, button):
                part.focus()
                viewer.page.keyboard.press("Shift")  # as if it came by the keyboard
                style = part.evaluate("element => getComputedStyle(element).outline")
                assert "solid 3px" in style
            assert viewer.place.get_by_role("status").count() == 1
            for canvas in viewer.place.locator("canvas").all():
                assert len(canvas.get_attribute("aria-label")) > 10


def test_without_scripts_there_is_a_picture_of_the_maps(browser, path):
    with offline_page(browser, java_script_enabled=False) as (page, wrong):
        page.goto(path.as_uri())
        stills = page.locator(f"[{ASLEEP}] .scenecam-still img")
        assert stills.count() == len(all_held(path))
        for still, held in zip(stills.all(), all_held(path), strict=True):
            shot = np.asarray(Image.open(BytesIO(still.screenshot())).convert("L"))
            assert shot.std() > 5 and held.names[0] in still.get_attribute("alt")


# Those whose numbers are known ---------------------------


def test_what_is_said_of_the_changes_is_true(browser, own_page):
    with woken(browser, own_page) as (one, gauge):
        said = gauge.place.get_by_role("status")
        assert said.text_content().startswith("Drag the slider")
        gauge.slider.focus()
        gauge.page.keyboard.press("Home")
        change = np.abs(gauge.expected(-2)[0] - gauge.expected(0)[0]).max(axis=(1, 2))
        text = said.text_content()
        assert f"sea up to {change[0]:.3g}; wrong up to {change[1]:.3g}" in text
        assert "sea minus street nothing; in the probabilities: nothing." in text
        one.slider.focus()
        one.page.keyboard.press("End")
        before, after = (
            softmax(one.expected(w)[1]) for w in (one.held.start, one.held.ends[1])
        )
        points = 100 * np.abs(after - before).max()
        text = one.place.get_by_role("status").text_content()
        assert f"up to {points:.1f} percentage points." in text


def test_they_are_narrow_dark_and_fit_for_all(browser, own_page):
    axe = SCRIPT.read_text() if SCRIPT.is_file() else None
    with woken(browser, own_page) as viewers:
        viewers[0].slider.focus()
        viewers[0].page.keyboard.press("End")
        found = survey_page(viewers[0].page, [], axe)
        assert not found["wide"] and not found["violations"]
