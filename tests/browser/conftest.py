"""A real browser for the tests of the built book: the system's Chromium, offline.

What is missing (Playwright, Chromium, the built book, axe-core) skips the tests that
need it, and says what to do.
"""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# What the theme says on every page opened from a file, and that harms nobody.
HARMLESS = (
    # sphinx-thebe writes its settings twice; the second is refused, the first is kept.
    "Identifier 'THEBE_JS_URL' has already been declared",
    # The theme asks the browser for the reader's last choice of light or dark, and a
    # first visit has none.
    "Got invalid theme mode",
)


def pytest_addoption(parser):
    parser.addoption(
        "--book",
        default=os.environ.get("SCENECAM_BOOK", ROOT / "_build" / "html"),
        help="folder of the built book (default: SCENECAM_BOOK, then _build/html)",
    )


def book_folder(config):
    return Path(config.getoption("--book")).resolve()


def book_pages(config):
    """Addresses of the pages that one reads in the built book.

    Those that packages put into _static are none, and index.html only sends the reader
    on to the first page: what is asked of it would be answered by either of the two.
    """
    folder = book_folder(config)
    pages = (path.relative_to(folder) for path in folder.rglob("*.html"))
    pages = (str(page) for page in pages if page.parts[0] != "_static")
    return sorted(page for page in pages if page != "index.html")


def pytest_generate_tests(metafunc):
    if "address" in metafunc.fixturenames:
        metafunc.parametrize("address", book_pages(metafunc.config))


@pytest.fixture(scope="session")
def book(pytestconfig):
    folder = book_folder(pytestconfig)
    if not (folder / "index.html").is_file():
        pytest.skip(f"no built book in {folder}: run make book")
    return folder


def start_browser():
    """A running browser and what to call when it is no longer needed; or skip."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: run make browser"
    )
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} is on the path")
    driver = playwright.sync_playwright().start()
    # Chromium refuses to run its sandbox as root, which is who one is in a container.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = ["--no-sandbox"] if root else []
    browser = driver.chromium.launch(executable_path=path, args=arguments)

    def stop():
        browser.close()
        driver.stop()

    return browser, stop


@pytest.fixture(scope="session")
def browser():
    browser, stop = start_browser()
    yield browser
    stop()


def listen(page):
    """Collect what goes wrong on a page: a list that grows as it is used."""
    wrong = []

    def note(text):
        if not any(harmless in text for harmless in HARMLESS):
            wrong.append(text)

    page.on("console", lambda said: note(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: note(str(error)))
    # A file that was still on its way as the reader went to another page is no fault.
    page.on(
        "requestfailed",
        lambda request: (
            None
            if request.failure == "net::ERR_ABORTED"
            else note(f"failed: {request.url[:200]}: {request.failure}")
        ),
    )
    page.on(
        "request",
        lambda request: (
            note(f"asks the network: {request.url[:200]}")
            if request.url.startswith(("http:", "https:", "ws:", "wss:"))
            else None
        ),
    )
    return wrong


@contextmanager
def offline_page(browser, **settings):
    """A page with no network, and the list of all that goes wrong on it."""
    settings.setdefault("viewport", {"width": 1280, "height": 900})
    context = browser.new_context(offline=True, **settings)
    # A test that waits for what never comes should say so soon.
    context.set_default_timeout(15_000)
    page = context.new_page()
    try:
        yield page, listen(page)
    finally:
        context.close()


@contextmanager
def awake(browser, path, selector, count, **settings):
    """The widgets of a file, so many, once all are ready; nothing may go wrong."""
    with offline_page(browser, **settings) as (page, wrong):
        page.goto(path.as_uri())
        page.wait_for_function(
            "([awake, count]) => document.querySelectorAll(awake).length === count",
            arg=[selector, count],
        )
        yield page.locator(selector).all()
        assert not wrong
