"""The book as its visitors meet it: from a server, below a folder, front page first."""

import functools
import os
import re
import threading
import urllib.request
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import ROOT, book_pages, offline_page
from PIL import Image
from test_explorer import GREY_LEVELS, elsewhere, woken

README = ROOT / "README.md"
LIKE = 5  # grey levels by which two pictures of one page may differ on average
LINKS = """() => [...document.querySelectorAll("[href], [src]")]
  .map(element => element.href || element.src)"""


class Handler(SimpleHTTPRequestHandler):
    """Shows the book's own page where it has none, as GitHub Pages does."""

    def send_error(self, code, *_):
        with open(f"{self.directory}/book/404.html", "rb") as file:
            body = file.read()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing: what went wrong is said by the tests."""


@pytest.fixture(scope="module")
def site(book, tmp_path_factory):
    """The address of the book below a folder of a server, with a slash at its end."""
    above = tmp_path_factory.mktemp("site")
    (above / "book").symlink_to(book)
    handler = functools.partial(Handler, directory=str(above))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/book/"
        server.shutdown()


@pytest.fixture
def visit(browser, site):
    """A page with a network, the addresses that it asks for, and what goes wrong."""
    context = browser.new_context()
    page, asked, wrong = context.new_page(), [], []

    def answered(answer):
        asked.append(answer.url)
        if answer.status >= 400:
            wrong.append(f"{answer.status}: {answer.url}")

    def sent(request):
        if request.url.startswith("http") and not request.url.startswith(site):
            wrong.append(f"asks elsewhere: {request.url}")

    page.on("response", answered)
    page.on("request", sent)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page, asked, wrong
    context.close()


def test_below_a_folder_of_a_server_every_page_and_link_is_there(
    site, visit, pytestconfig
):
    page, _, wrong = visit
    links = set()
    for address in book_pages(pytestconfig):
        page.goto(site + address)
        links |= set(page.evaluate(LINKS))
    wrong = [what for what in wrong if "THEBE_JS_URL" not in what]  # see conftest.py
    assert not wrong
    host = site.removesuffix("book/")
    own = {link.partition("#")[0] for link in links if link.startswith(host)}
    assert {f"{site}book/intro.html", f"{site}book/teaching.html"} <= own
    for link in sorted(own):
        asked = urllib.request.Request(link, method="HEAD")
        with urllib.request.urlopen(asked) as answer:  # raises where it is not there
            assert answer.status == 200


def test_the_address_of_the_folder_leads_to_the_front_page(site, visit):
    page, _, _ = visit
    page.goto(site, wait_until="commit")
    page.wait_for_url(f"{site}book/intro.html")


@pytest.mark.parametrize("nowhere", ["no-such-page", "book/no/such/page.html"])
def test_a_wrong_address_is_told_by_a_page_that_is_complete_at_any_depth(
    site, visit, nowhere
):
    page, asked, _ = visit
    answer = page.goto(site + nowhere)
    assert answer.status == 404
    assert page.locator("h1").inner_text() == "There is no page at this address"
    assert asked == [site + nowhere]  # no style, script or picture from elsewhere


def test_the_front_page_opens_with_a_live_explorer_of_two_pictures(browser, book):
    with woken(browser, book / "book" / "intro.html") as explorers:
        (explorer,) = explorers  # so its script is there once
        assert len(explorer.held.pictures) == 2
        # It stands above all other sections, and begins in the first window.
        assert explorer.place.bounding_box()["y"] < 450
        for name in ("class", "layer", "picture"):
            before = explorer.pixels()
            target = elsewhere(explorer.held, name, explorer.state)
            explorer.move_by_mouse(name, target)
            explorer.check()
            assert np.abs(explorer.pixels() - before).max() > 3 * GREY_LEVELS


def test_the_front_page_has_three_ways_in(browser, book):
    with offline_page(browser) as (page, wrong):
        for way, target in (
            ("Read", "01-seeing-the-data.html"),
            ("Run", "intro.html#run-it"),
            ("Teach", "teaching.html"),
        ):
            page.goto((book / "book" / "intro.html").as_uri())
            card = page.locator(".ways-in .sd-card", has_text=way)
            card.first.click()
            page.wait_for_url(f"**/book/{target}")
        assert not wrong


@pytest.mark.skipif(
    os.environ.get("SCENECAM_SCENES", "drawn") != "drawn",
    reason="the README shows the front page on drawn scenes",
)
def test_the_readme_shows_the_front_page_as_it_is(book, browser, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import art

    (shown,) = re.findall(r"!\[[^]]+\]\((book/_static/\S+)\)", README.read_text())
    with offline_page(browser, device_scale_factor=art.SCALE) as (page, wrong):
        taken = art.front_page(page, book)
        assert not wrong
    kept = Image.open(ROOT / shown)
    assert kept.size == taken.size
    # Letters differ from machine to machine, what fills a finger's breadth does not.
    small = (art.VIEW[0] // 40, art.VIEW[1] // 40)
    both = [
        np.asarray(picture.convert("RGB").resize(small, Image.Resampling.BOX), float)
        for picture in (kept, taken)
    ]
    assert distance(*both) < LIKE
    # A front page without its explorer, or with another one's pictures, is told apart.
    assert distance(both[0], both[1][:, ::-1]) > 2 * LIKE
    assert distance(both[0], np.full_like(both[0], 255)) > 2 * LIKE


def distance(one, other):
    """Mean difference of two pictures in grey levels."""
    return np.abs(one - other).mean()
