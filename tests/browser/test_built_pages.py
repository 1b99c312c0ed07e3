"""Every page of the built book: complete offline, no wider than the window, for all."""

import queue
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import book_pages, offline_page, start_browser
from fetch_axe import SCRIPT
from PIL import Image

WIDTHS = (1280, 360)
THEMES = ("light", "dark")
QUESTIONS = 60_000  # bytes, of a chapter's questions and their figures
TALLEST = 15_000  # pixels that a screenshot holds of a page

# Violations that the packages under the book write and no setting of theirs mends:
# (axe's rule, a part of the element's selector): why.
EXCEPTIONS = {
    ("aria-required-children", ".citation-list"): (
        "docutils marks a bibliography as a list of items with the role "
        "doc-biblioentry; axe wants listitem; screen readers read them all the same"
    ),
}

# What sticks out to the right although the page itself does not scroll. What lies in a
# box that scrolls, or is cut off on purpose, is the box's affair.
STICKING_OUT = """() => {
  const contained = element => {
    for (let box = element; box && box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (box !== element && style.overflowX !== "visible") return true;
      if (style.position === "fixed") return true;
    }
    return false;
  };
  const width = document.documentElement.clientWidth;
  return [...document.querySelectorAll("main *")].filter(element => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && box.right > width + 1
      && !contained(element) && !element.closest("mjx-assistive-mml, svg");
  }).slice(0, 3).map(element => element.outerHTML.slice(0, 120));
}"""

AXE = """async rules => {
  const settings = {resultTypes: ["violations"], preload: false};
  if (rules) settings.runOnly = rules;
  const found = await axe.run(document, settings);
  return found.violations
    .filter(rule => ["serious", "critical"].includes(rule.impact))
    .flatMap(rule => rule.nodes.map(node => [rule.id, node.target.flat().join(" ")]));
}"""


def set_theme(page, theme):
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)


def survey_page(page, wrong, axe, shot=None):
    """All that is asked of one open page, in one visit: to load one takes a second."""
    wide, violations = [], []
    # Between two themes colours fade, and axe would measure something in between.
    page.add_style_tag(content="* { transition: none !important; }")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            set_theme(page, theme)
            over = page.evaluate("document.documentElement.scrollWidth") - width
            if over > 0:
                wide.append(f"{over} pixels too wide at {width}, {theme}")
            wide += page.evaluate(STICKING_OUT)
    if shot:  # dark on a phone, as who reads in bed sees it: kept, to leaf through
        page.emulate_media(color_scheme="dark")  # for a page without the theme
        height = page.evaluate("document.documentElement.scrollHeight")
        part = {"x": 0, "y": 0, "width": WIDTHS[-1], "height": min(height, TALLEST)}
        page.screenshot(path=shot, full_page=True, clip=part, type="jpeg", quality=60)
        page.emulate_media(color_scheme="light")
    if axe:
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        page.evaluate(axe)
        # Everything in light; in dark only what a theme can change: the colours.
        for theme, rules in zip(THEMES, (None, ["color-contrast"]), strict=True):
            set_theme(page, theme)
            found = page.evaluate(AXE, rules)
            violations += [(theme, rule, target) for rule, target in found]
    return {"wrong": wrong, "wide": wide, "violations": violations, "shot": shot}


def survey_pages(book, pages, axe):
    """Visit the pages that the queue holds, in a browser of one's own."""
    found = {}
    browser, stop = start_browser()
    try:
        while True:
            try:
                address = pages.get_nowait()
            except queue.Empty:
                return found
            with offline_page(browser) as (page, wrong):
                page.goto((book / address).as_uri())
                try:
                    name = address.replace("/", "-").replace(".html", ".jpg")
                    shot = book.parent / "screenshots" / name
                    found[address] = survey_page(page, wrong, axe, shot)
                except Exception as error:  # one for all pages: say which it was
                    raise RuntimeError(f"{address}: {error}") from error
    finally:
        stop()


@pytest.fixture(scope="session")
def survey(pytestconfig, book):
    """For each page: what went wrong, what is too wide, what axe found.

    Two browsers, each in its thread: most of the time goes to axe, in their processes.
    """
    axe = SCRIPT.read_text() if SCRIPT.is_file() else None
    pages = queue.Queue()
    for address in book_pages(pytestconfig):
        pages.put(address)
    found = {}
    (book.parent / "screenshots").mkdir(exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        for part in [pool.submit(survey_pages, book, pages, axe) for _ in range(2)]:
            found |= part.result()
    return found


def test_a_page_is_complete_without_a_network_and_logs_no_error(survey, address):
    assert not survey[address]["wrong"]


def test_a_page_is_no_wider_than_a_phone_or_a_laptop_in_both_themes(survey, address):
    assert not survey[address]["wide"]


def test_a_dark_page_is_dark_from_edge_to_edge_on_a_phone(survey, address):
    shot = np.asarray(Image.open(survey[address]["shot"]).convert("L"))
    assert shot.shape[1] == WIDTHS[-1] and shot.shape[0] > 300
    edges = shot[:, [0, 1, -2, -1]]
    assert (edges > 96).mean() < 0.01
    assert shot.mean() > edges.mean()  # and something stands on it


def test_axe_finds_nothing_serious_in_both_themes(survey, address):
    if not SCRIPT.is_file():
        pytest.skip("no axe-core: make browser fetches it with npm")
    left = [
        (theme, rule, target)
        for theme, rule, target in survey[address]["violations"]
        if not any(rule == known and part in target for known, part in EXCEPTIONS)
    ]
    assert not left


def test_no_exception_from_axe_is_kept_that_nothing_needs(survey):
    if not SCRIPT.is_file():
        pytest.skip("no axe-core: make browser fetches it with npm")
    found = {
        (rule, target)
        for page in survey.values()
        for _, rule, target in page["violations"]
    }
    for known, part in EXCEPTIONS:
        assert any(rule == known and part in target for rule, target in found), known


def test_the_questions_of_a_chapter_weigh_little(book, pytestconfig):
    weights = {}
    for address in book_pages(pytestconfig):
        text = (book / address).read_text(encoding="utf-8")
        asked = re.findall(r"<fieldset>.*?</fieldset>", text, re.DOTALL)
        if not asked:
            continue
        shown = re.findall(
            r'<figure[^>]* id="fig-ch\d\d-q.*?_images/(\w+\.\w+)', text, re.DOTALL
        )
        weights[address] = sum(len(part.encode()) for part in asked)
        weights[address] += sum((book / "_images" / f).stat().st_size for f in shown)
        assert len(shown) == len(set(re.findall(r'id="(fig-ch\d\d-q\d+)"', text)))
    assert len(weights) == 16 and min(weights.values()) > 5_000
    assert max(weights.values()) < QUESTIONS, weights


def first_chapter(config):
    return next(name for name in book_pages(config) if name.startswith("book/01"))


def test_the_search_finds_a_chapter_by_a_word(book, browser):
    with offline_page(browser) as (page, wrong):
        page.goto((book / "search.html").as_uri())
        field = page.locator("main input[name=q], .bd-content input[name=q]").first
        field.fill("convolution")
        field.press("Enter")
        result = page.locator("#search-results a").first
        result.wait_for()
        links = page.locator("#search-results a").evaluate_all(
            "links => links.map(link => link.getAttribute('href'))"
        )
        assert any("book/02-what-a-convolution-sees.html" in link for link in links)
        result.click()
        page.wait_for_selector("main article h1")
        assert not wrong


def test_the_first_page_sends_the_reader_on_to_the_introduction(book, browser):
    with offline_page(browser) as (page, wrong):
        page.goto((book / "index.html").as_uri(), wait_until="commit")
        page.wait_for_url("**/book/intro.html")
        assert not wrong


def test_a_figure_is_sharp_on_a_fine_screen_and_opens_alone(
    book, browser, pytestconfig
):
    with offline_page(browser, device_scale_factor=2) as (page, wrong):
        page.goto((book / first_chapter(pytestconfig)).as_uri())
        figures = page.locator(".cell_output a > img")
        for figure in figures.all():
            figure.scroll_into_view_if_needed()
            shown, drawn = figure.evaluate(
                "image => [image.clientWidth, image.naturalWidth]"
            )
            assert drawn >= 2 * shown - 1, figure.get_attribute("alt")
        figures.first.click()
        page.wait_for_url("**/_images/*")
        assert not wrong


def test_a_name_in_a_docstring_leads_to_its_function(book, browser):
    library = book / "book" / "library"
    with offline_page(browser) as (page, wrong):
        # From another module by two names, from its own by one.
        for room, name in (("saliency", "cam.class_maps"), ("cam", "class_maps")):
            page.goto((library / f"{room}.html").as_uri())
            links = page.locator(
                "dd a.reference", has=page.get_by_text(name, exact=True)
            )
            links.first.click()
            page.wait_for_function("location.hash === '#scenecam.cam.class_maps'")
            assert page.url.split("#")[0] == (library / "cam.html").as_uri()
        assert not wrong


def test_next_leads_through_the_book_and_previous_back(book, browser):
    with offline_page(browser) as (page, wrong):
        page.goto((book / "book" / "intro.html").as_uri())
        seen = [page.title()]
        for _ in range(3):
            page.locator(".prev-next-footer a.right-next").click()
            page.wait_for_load_state()
            seen.append(page.title())
        assert len(set(seen)) == 4
        for title in reversed(seen[:-1]):
            page.locator(".prev-next-footer a.left-prev").click()
            page.wait_for_load_state()
            assert page.title() == title
        assert not wrong


def test_the_sections_of_a_page_can_be_reached_from_its_contents(
    book, browser, pytestconfig
):
    with offline_page(browser) as (page, wrong):
        page.goto((book / first_chapter(pytestconfig)).as_uri())
        link = page.locator(".bd-sidebar-secondary a.nav-link").nth(1)
        target = link.get_attribute("href")
        link.click()
        page.wait_for_function("target => location.hash === target", arg=target)
        # The theme scrolls smoothly where the reader has not asked for less motion.
        page.wait_for_function(
            """target => {
              const box = document.querySelector(target).getBoundingClientRect();
              return box.top >= 0 && box.top < innerHeight / 2;
            }""",
            arg=target,
        )
        assert not wrong


def test_an_answer_is_chosen_by_key_and_told_why(book, browser):
    with offline_page(browser) as (page, wrong):
        page.goto((book / "book" / "06-cam.html").as_uri())
        question = page.locator(".quiz fieldset").first
        whys, said = question.locator(".why"), question.locator(".said")
        assert not any(whys.nth(i).is_visible() for i in range(whys.count()))
        question.locator("input").first.focus()
        page.keyboard.press("Space")
        for number in range(whys.count()):
            seen = [i for i in range(whys.count()) if whys.nth(i).is_visible()]
            assert seen == [number]
            text = whys.nth(number).inner_text()
            assert text.startswith(("Yes.", "No.")) and len(text) > 20
            assert said.text_content() == whys.nth(number).text_content()
            page.keyboard.press("ArrowDown")
        assert not wrong
