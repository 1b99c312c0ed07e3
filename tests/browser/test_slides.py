"""The decks as written: whole offline, and no slide larger than the screen."""

import pytest
from conftest import ROOT, offline_page

DECKS = sorted((ROOT / "_build" / "slides").glob("[0-9][0-9]-*.html"))
SIZE = {"width": 1280, "height": 720}
# Of every slide, with all that appears on it: its title, how far it reaches, and notes.
SURVEY = """() => Reveal.getSlides().map(slide => {
  const {h, v} = Reveal.getIndices(slide);
  Reveal.slide(h, v, 99);
  const notes = slide.querySelector("aside.notes");
  return [slide.innerText.slice(0, 40), slide.scrollWidth, slide.scrollHeight,
    (notes?.textContent ?? "").trim().length];
})"""


@pytest.mark.skipif(not DECKS, reason="no slides: run make slides")
@pytest.mark.parametrize("deck", DECKS, ids=lambda path: path.stem)
def test_a_deck_opens_offline_and_every_slide_fits(browser, deck):
    with offline_page(browser, viewport=SIZE) as (page, wrong):
        page.goto(deck.as_uri())
        page.wait_for_function("window.Reveal?.isReady() && MathJax.startup?.promise")
        page.evaluate("MathJax.startup.promise")
        slides = page.evaluate(SURVEY)
        assert len(slides) > 10
        for title, width, height, notes in slides:
            assert width <= SIZE["width"] and height <= SIZE["height"], title
            assert notes > 0, title
        assert page.locator("merror, mjx-merror").count() == 0
        assert wrong == []
