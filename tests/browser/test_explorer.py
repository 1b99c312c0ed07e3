"""The explorers of the built book, and three on a page of their own, in a browser.

All from a file with the network off. Every control is moved, by mouse and by keyboard
alone, and what the canvas then shows is held against the overlay that Python draws.
"""

import base64
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pytest
from conftest import awake, book_folder, book_pages, offline_page
from fetch_axe import SCRIPT
from held import all_held
from PIL import Image
from test_built_pages import set_theme, survey_page

from scenecam import models, synth
from scenecam.explorer import Explorer, kernel_viewer, threshold_viewer

# The greatest difference of a pixel: Python rounds once, a canvas at every step.
GREY_LEVELS = 4
OWN = "a page of its own"
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>Explorers</title>'
    '<body style="margin: 0"><main><h1>Explorers</h1>{}</main>'
)
ASLEEP, AWAKE = 'data-asleep="explorer"', ".scenecam[data-kind=explorer][data-ready]"
CONTROLS = ("picture", "class", "method", "layer", "view", "opacity", "colormap")
COMPARED = ("compare", "other")
INSIDE = "fieldset input, select, input[type=range]"


def pytest_generate_tests(metafunc):
    if "place" in metafunc.fixturenames:
        folder = book_folder(metafunc.config)
        pages = [
            address
            for address in book_pages(metafunc.config)
            if ASLEEP in (folder / address).read_text()
        ]
        metafunc.parametrize("place", [OWN, *pages])


@pytest.fixture(scope="session")
def own_page(tmp_path_factory):
    """An explorer of a network, signed maps of kernels, and a table of numbers."""
    scenes = synth.draw_scenes(3, size=96, seed=0)
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [1500, 20])
    shares = rng.dirichlet((8, 1), len(labels))
    widgets = (
        Explorer(models.pretrained("drawn-resnet"), scenes),
        kernel_viewer(
            scenes.images[:2],
            {"edge": [[-1, 0, 1]] * 3, "blur": np.full((3, 3), 1 / 9)},
        ),
        threshold_viewer(labels, shares, ["sea", "street"], thresholds=[0, 0.5, 0.9]),
    )
    parts = [widget._repr_mimebundle_()[0]["text/html"] for widget in widgets]
    path = tmp_path_factory.mktemp("explorers") / "own.html"
    path.write_text(PAGE.format("".join(parts)), encoding="utf-8")
    return path


@pytest.fixture
def path(place, own_page, request):
    return own_page if place == OWN else request.getfixturevalue("book") / place


@contextmanager
def woken(browser, path, **settings):
    """A page whose explorers are all ready, they, and what goes wrong."""
    held = all_held(path)
    with awake(browser, path, AWAKE, len(held), **settings) as places:
        yield [Shown(*both) for both in zip(places, held, strict=True)]


class Shown:
    """An explorer on a page, and the state that it ought to be in."""

    def __init__(self, place, held):
        self.place, self.held, self.page = place, held, place.page
        self.state = held.state

    def control(self, name):
        return self.place.locator(f"[data-control={name}]").locator(
            "input:checked" if name == "picture" else "select, input"
        )

    def canvas(self, panel=0):
        return self.place.locator("figure canvas").nth(panel)

    def pixels(self, panel=0):
        url = self.canvas(panel).evaluate("canvas => canvas.toDataURL()")
        file = BytesIO(base64.b64decode(url.partition(",")[2]))
        return np.asarray(Image.open(file).convert("RGB")).astype(int)

    def check(self):
        """Hold what is shown against what Python draws."""
        held, state = self.held, self.state
        if held.header["numbers"]:
            cells = self.place.locator("tbody td, tr:nth-child(n+2) td")
            wanted = [f"{value:g}" for value in held.map_of(state["choice"]).ravel()]
            assert cells.all_text_contents() == wanted
            return
        for panel in range(len(held.choices(state))):
            wanted = held.drawn(state, panel)
            assert np.abs(self.pixels(panel) - wanted).max() <= GREY_LEVELS

    def move_by_mouse(self, name, index):
        box = self.place.locator(f"[data-control={name}]")
        if name == "picture" and box.locator("canvas").count():
            box.locator("label").nth(index).click()
        elif box.locator("select").count():
            # The list that a mouse opens is the window system's; headless has none.
            box.locator("select").select_option(index=index)
        else:
            # The centre of the knob travels less far than the slider is long.
            slider = box.locator("input")
            slider.scroll_into_view_if_needed()
            size, count = slider.bounding_box(), len(self.held.labels(name, self.state))
            way = (size["width"] - 16) * index / (count - 1)
            slider.click(position={"x": 8 + way, "y": size["height"] / 2})
        self.state = self.held.moved(name, index, self.state)

    def reach(self, name):
        """Press Tab until the control has the focus, from where the focus is."""
        wanted = self.control(name).element_handle()
        for _ in range(40):
            if wanted.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {name}")

    def move_by_keyboard(self, name):
        """One step, or with opacity all the way, with the keys alone."""
        self.reach(name)
        index = self.held.index(name, self.state)
        count = len(self.held.labels(name, self.state))
        slides = self.control(name).get_attribute("type") == "range"
        if name == "opacity":
            key, index = "End", count - 1
        elif index + 1 < count:
            key, index = "ArrowRight" if slides else "ArrowDown", index + 1
        else:
            key, index = "ArrowLeft" if slides else "ArrowUp", index - 1
        self.page.keyboard.press(key)
        self.state = self.held.moved(name, index, self.state)


def elsewhere(held, name, state):
    """The place of a control at which the picture differs most from now."""
    if held.header["numbers"]:
        return len(held.labels(name, state)) - 1
    if name == "compare":
        return 1

    def change(index):
        after, panel = held.moved(name, index, state), int(int(name == "other"))
        return np.abs(held.drawn(after, panel) - held.drawn(state, panel) * 1.0).mean()

    return max(range(len(held.labels(name, state))), key=change)


# All explorers, in the book and on the page of its own ---------------------------


def test_each_wakes_offline_and_shows_what_python_draws(browser, path):
    with woken(browser, path) as explorers:
        for explorer in explorers:
            explorer.check()


def test_every_control_of_each_moves_by_mouse(browser, path):
    with woken(browser, path) as explorers:
        for explorer in explorers:
            held, shown = explorer.held, []
            while left := [n for n in held.shown(explorer.state) if n not in shown]:
                shown.append(left[0])
                target = elsewhere(held, left[0], explorer.state)
                explorer.move_by_mouse(left[0], target)
                explorer.check()
                if left[0] == "view":  # back to where the opacity matters
                    explorer.move_by_mouse("view", 0)


def test_every_control_of_each_moves_by_keyboard(browser, path):
    with woken(browser, path) as explorers:
        for explorer in explorers:
            start = explorer.place.locator("xpath=.").element_handle()
            held, shown = explorer.held, []
            while left := [n for n in held.shown(explorer.state) if n not in shown]:
                shown.append(left[0])
                # Tab goes on from where the reader last was: the explorer's beginning.
                start.evaluate("""place => {
                    place.tabIndex = -1;
                    place.focus({ preventScroll: true });
                }""")
                explorer.move_by_keyboard(left[0])
                explorer.check()
                if left[0] == "view":
                    explorer.move_by_mouse("view", 0)


def test_all_that_takes_the_focus_has_a_name(browser, path):
    with woken(browser, path) as explorers:
        session = explorers[0].page.context.new_cdp_session(explorers[0].page)
        root = session.send("DOM.getDocument")["root"]["nodeId"]
        found = session.send(
            "DOM.querySelectorAll", {"nodeId": root, "selector": ".scenecam"}
        )
        for node in found["nodeIds"]:
            tree = session.send("Accessibility.queryAXTree", {"nodeId": node})["nodes"]
            named = [
                part["name"]["value"]
                for part in tree
                for trait in part.get("properties", ())
                if trait["name"] == "focusable" and trait["value"]["value"]
            ]
            assert len(named) >= 3 and all(named)


def test_without_scripts_and_on_paper_there_is_a_picture(browser, path):
    with offline_page(browser, java_script_enabled=False) as (page, wrong):
        page.goto(path.as_uri())
        for still in page.locator(".scenecam-still img").all():
            shot = np.asarray(Image.open(BytesIO(still.screenshot())).convert("L"))
            assert shot.shape[0] > 50 and shot.std() > 5
            assert len(still.get_attribute("alt")) > 10
        # To the browser a script that it may not run is a failed request.
        assert not [what for what in wrong if ".js" not in what]
    with woken(browser, path) as explorers:
        page = explorers[0].page
        stills = page.locator(".scenecam-still").all()
        assert not any(still.is_visible() for still in stills)
        page.emulate_media(media="print")
        assert all(still.is_visible() for still in stills)
        assert not any(explorer.place.is_visible() for explorer in explorers)


# The explorer of a network, one control at a time ---------------------------


@pytest.fixture
def explorer(browser, own_page):
    with woken(browser, own_page) as explorers:
        yield explorers[0]


@pytest.mark.parametrize("name", [*CONTROLS, *COMPARED])
def test_a_control_changes_the_canvas_by_mouse(explorer, name):
    if name == "other":
        explorer.move_by_mouse("compare", 1)
    before = explorer.pixels(int(name == "other"))
    explorer.move_by_mouse(name, elsewhere(explorer.held, name, explorer.state))
    explorer.check()
    shared = explorer.state["compare"] != "nothing"
    assert explorer.canvas(1).is_visible() == shared
    # To compare shows the same map again, on a scale that both share.
    panel = int(name in COMPARED)
    assert np.abs(explorer.pixels(panel) - before).max() > 3 * GREY_LEVELS


@pytest.mark.parametrize("name", [*CONTROLS, *COMPARED])
def test_a_control_changes_the_canvas_by_keyboard_alone(explorer, name):
    if name == "other":
        explorer.move_by_keyboard("compare")
        explorer.page.evaluate("document.activeElement.blur()")
    if name == "method":  # at the last layer the first two are one and the same
        explorer.reach("layer")
        explorer.page.keyboard.press("Home")
        explorer.state = explorer.held.moved("layer", 0, explorer.state)
        explorer.page.evaluate("document.activeElement.blur()")
    before = explorer.pixels(int(name == "other"))
    explorer.move_by_keyboard(name)
    explorer.check()
    panel = int(name in COMPARED)
    assert np.abs(explorer.pixels(panel) - before).max() > 3 * GREY_LEVELS


@pytest.mark.parametrize("index", range(4))
def test_each_view_shows_what_it_says(explorer, index):
    explorer.move_by_mouse("view", index)
    explorer.check()
    opacity = explorer.place.locator("[data-control=opacity]")
    assert opacity.is_visible() == (explorer.state["view"] == "overlay")


@pytest.mark.parametrize("opacity", [0, 25, 100])
def test_the_opacity_is_the_share_of_the_map(explorer, opacity):
    explorer.move_by_mouse("opacity", opacity)
    explorer.check()
    assert explorer.control("opacity").get_attribute("aria-valuetext") == f"{opacity} %"


def test_the_slider_is_read_out_with_the_name_of_the_layer(explorer):
    layers = explorer.held.controls["layer"]
    explorer.reach("layer")
    explorer.page.keyboard.press("Home")
    for layer in layers:
        assert explorer.control("layer").get_attribute("aria-valuetext") == layer
        explorer.page.keyboard.press("ArrowRight")


def test_names_and_roles(explorer):
    by_role = explorer.place.get_by_role
    for name in ("Class", "Method", "View", "Colours", "Side by side"):
        assert by_role("combobox", name=name, exact=True).count() == 1
    for name in ("Layer", "Opacity"):
        assert by_role("slider", name=name, exact=True).count() == 1
    pictures = by_role("group", name="Picture").get_by_role("radio")
    assert pictures.count() == 3
    for label in explorer.held.controls["picture"]:
        assert by_role("radio", name=label, exact=True).count() == 1
    assert by_role("button", name="Play through the layers").count() == 1
    assert by_role("list", name="Probability of each class").count() == 1


@pytest.mark.parametrize("layer", range(3))
def test_the_canvas_tells_what_it_shows_and_where_the_peak_lies(explorer, layer):
    explorer.move_by_mouse("layer", layer)
    held, choice = explorer.held, explorer.state["choice"]
    values = held.map_of(choice)
    row, column = np.unravel_index(values.argmax(), values.shape)
    thirds = (
        ("upper", "", "lower")[int(3 * (row + 0.5) / values.shape[0])],
        ("left", "", "right")[int(3 * (column + 0.5) / values.shape[1])],
    )
    told = explorer.canvas().get_attribute("aria-label")
    for name in ("picture", "class", "method", "layer"):
        assert held.controls[name][choice[name]] in told
    place = " ".join(filter(None, thirds)) or "centre"
    assert f": strongest at the {place}, " in told
    assert told.endswith(" logits")
    value = float(told.split()[-2])
    assert value == pytest.approx(values.max(), rel=0.005)


def test_the_arrow_keys_read_the_map(explorer):
    explorer.canvas().focus()
    read = explorer.place.locator("output")
    explorer.page.keyboard.press("ArrowRight")
    first = read.text_content()
    explorer.page.keyboard.press("ArrowDown")
    assert "logits; column" in first and "truly" in first
    assert read.text_content() != first


def test_the_focus_is_seen_on_everything_that_takes_it(explorer):
    look = """element => {
      const drawn = element.type === "radio" ? element.nextElementSibling : element;
      const { outlineStyle, outlineWidth, outlineColor, outlineOffset }
        = getComputedStyle(drawn);
      return [outlineStyle, outlineWidth, outlineColor, outlineOffset].join();
    }"""
    places = explorer.place.locator(f"{INSIDE}, button, figure canvas")
    before = {
        i: place.evaluate(look)
        for i, place in enumerate(places.all())
        if place.is_visible() and place.get_attribute("type") != "radio"
    }
    seen = set()
    for _ in range(len(before) + 1):
        explorer.page.keyboard.press("Tab")
        for i, place in enumerate(places.all()):
            if place.evaluate("element => element === document.activeElement"):
                seen.add(i)
                now = place.evaluate(look)
                assert now.startswith("solid,3px") and now != before.get(i)
    assert set(before) <= seen


# Motion, paper, width, dark ---------------------------


def layer_of(page):
    slider = page.locator("[data-control=layer] input").first
    return slider.get_attribute("aria-valuetext")


@contextmanager
def frozen(browser, path, **settings):
    """An explorer in a page whose clock stands still unless it is told to go on."""
    with offline_page(browser, **settings) as (page, wrong):
        page.clock.install(time=0)
        page.goto(path.as_uri())
        page.locator(".scenecam[data-ready]").nth(2).wait_for()
        page.clock.pause_at(3_600_000)
        yield page, page.locator("[data-control=play-layer]").first
        assert not wrong


@pytest.mark.parametrize("how", ["mouse", "Enter", "Space"])
def test_play_steps_through_the_layers_until_it_is_stopped(browser, own_page, how):
    layers = all_held(own_page)[0].controls["layer"]
    with frozen(browser, own_page) as (page, play):
        start = layers.index(layer_of(page))
        press = play.click if how == "mouse" else lambda: play.press(how)
        press()
        assert play.text_content() == "Stop"
        for step in range(1, 4):
            assert layer_of(page) == layers[(start + step) % len(layers)]
            page.clock.run_for(900)
        press()
        assert play.text_content() == "Play through the layers"
        last = layer_of(page)
        page.clock.run_for(5000)
        assert layer_of(page) == last


def test_who_wants_no_motion_gets_one_step_for_each_press(browser, own_page):
    layers = all_held(own_page)[0].controls["layer"]
    with frozen(browser, own_page, reduced_motion="reduce") as (page, play):
        start = layers.index(layer_of(page))
        assert play.text_content() == "Next layer"
        for step in (1, 2):
            play.click()
            page.clock.run_for(5000)
            assert layer_of(page) == layers[(start + step) % len(layers)]


def test_the_page_of_its_own_is_narrow_dark_and_fit_for_all(browser, own_page):
    axe = SCRIPT.read_text() if SCRIPT.is_file() else None
    with woken(browser, own_page) as explorers:
        explorers[0].move_by_mouse("compare", 1)
        found = survey_page(explorers[0].page, [], axe)
        assert not found["wide"] and not found["violations"]


def test_the_explorer_is_dark_on_a_dark_page(explorer):
    look = """place => ["backgroundColor", "color"].map(name =>
      getComputedStyle(place)[name].match(/[0-9]+/g).map(Number))"""
    paper, ink = map(np.mean, explorer.place.evaluate(look))
    assert paper > 200 and ink < 80
    set_theme(explorer.page, "dark")
    paper, ink = map(np.mean, explorer.place.evaluate(look))
    assert paper < 60 and ink > 200
    explorer.check()  # the theme leaves the map's own colours alone
