"""Slides: what each cell becomes, what stands on a slide, and a deck that is whole."""

import base64
import io
import json
import re
import sys
import types

import nbformat
import pytest
from bs4 import BeautifulSoup
from chapters import CHAPTERS, read, tags_of
from conftest import ROOT
from PIL import Image

sys.path.append(str(ROOT / "tools"))
import book_deck
import book_quizzes
import book_slides
import book_words

RAW = re.compile(r"\{[a-z:-]+\}`|(?:```|:::)\{|\]\(|%%|\{numref")
OUTSIDE = re.compile(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//|url\(\s*["']?http""")
IMAGE = re.compile(r"<img[^>]*>")
PAPERS = book_words.papers(ROOT / "book" / "references.bib")
BANK = book_quizzes.read_bank(ROOT / "book" / "quizzes")
FIGURES = book_slides.figures_of({path.stem: read(path) for path in CHAPTERS})
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def deck_of(path):
    """The slides of a chapter that was not run: all but what it computes."""
    notebook, book = read(path), book_words.Book(FIGURES, PAPERS)
    kinds = book_slides.types_of(notebook)
    return book_deck.deck(notebook, kinds, book, lambda *_: "", BANK)


def visible(text):
    """What of a text is read: no tags, no addresses, a formula as its signs."""
    text = re.sub(r"<[^>]*>", "", text)
    return re.sub(r"\\[a-zA-Z]+|[{}*`$]", "", text)


# What the cells become.


@each_chapter
def test_the_metadata_of_a_chapter_says_what_its_cells_become(path):
    notebook = read(path)
    assert book_slides.kept_types(notebook, path.stem) == book_slides.types_of(notebook)


@each_chapter
def test_headings_begin_slides_and_cells_that_show_nothing_are_skipped(path):
    notebook = read(path)
    kinds = book_slides.types_of(notebook)
    assert kinds[0] == "slide"
    for cell, kind in zip(notebook.cells, kinds, strict=True):
        if cell.cell_type == "markdown":
            if re.search(r"^## ", cell.source, re.M):
                assert kind == "slide"
            elif re.search(r"^### ", cell.source, re.M):
                assert kind == "subslide"
            else:
                assert kind in {"slide", "subslide", "fragment", "skip"}
        elif {"remove-cell", "hide-cell", "wrong-answers"} & set(tags_of(cell)):
            assert kind == "skip"
        elif "figure" in cell.metadata.get("mystnb", {}):
            assert kind == "subslide"
        elif all(
            line.startswith(("#", "import ", "from "))
            for line in filter(None, cell.source.splitlines())
        ):
            assert kind == "skip", cell.source


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import numpy as np\nx = 3", "skip"),
        ("x = 3\nx + 1", "subslide"),
        ("for i in range(3):\n    print(i)", "subslide"),
        ("def check(answer):\n    print(answer)", "skip"),
        ("%matplotlib inline\nx = 3", "skip"),
        ("_ = plots.show_image(picture)", "skip"),
    ],
)
def test_code_that_shows_something_is_told_from_code_that_does_not(source, kind):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    assert book_slides.types_of(notebook) == [kind]


def test_solutions_and_what_follows_them_stay_in_the_notebook():
    texts = ["# T", "Seen.", "## Exercises\n\n### 1. Count", "**Solution**", "It is 3."]
    cells = [nbformat.v4.new_markdown_cell(text) for text in texts]
    cells.append(nbformat.v4.new_code_cell("print(check(3))"))
    cells += [nbformat.v4.new_markdown_cell(text) for text in ("## Summary", "Well.")]
    kinds = book_slides.types_of(nbformat.v4.new_notebook(cells=cells))
    exercises = ["slide", "skip", "skip", "skip"]
    assert kinds == ["slide", "fragment", *exercises, "slide", "fragment"]


def test_types_are_written_once_and_nothing_else_is_changed(tmp_path, capsys):
    path = tmp_path / "06-cam.ipynb"
    notebook = read(ROOT / "book" / "06-cam.ipynb")
    for cell in notebook.cells:
        cell.metadata.pop("slideshow", None)
    nbformat.write(notebook, path)
    assert book_slides.write_types([path]) == 0
    once = path.read_text()
    assert book_slides.write_types([path]) == 0
    assert path.read_text() == once
    assert capsys.readouterr().out == "06-cam.ipynb: slide types written\n"
    written = read(path)
    assert written.cells[0].metadata.slideshow == {"slide_type": "slide"}
    for cell in written.cells:
        del cell.metadata["slideshow"]
    assert written == notebook


def test_a_cell_without_a_type_is_named_and_so_is_the_remedy():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T")])
    with pytest.raises(ValueError, match="06-cam: cell 0 .*book.py slide-types"):
        book_slides.kept_types(notebook, "06-cam")


# What stands on the slides.


@each_chapter
def test_no_slide_is_empty_or_overfull_and_each_has_notes(path):
    slides = deck_of(path)
    assert slides[0].kind == "slide" and len(slides) > 10
    for slide in slides:
        assert slide.kind in {"slide", "subslide"} and slide.title.strip()
        shown = visible("".join((*slide.shown, *slide.seen)))
        assert shown.strip(), slide.title
        dense = any('class="dense' in text for text in slide.shown)
        assert len(shown) <= (book_deck.DENSE if dense else 1000), slide.title
        assert slide.room >= 0, slide.title
        assert "".join(slide.notes).strip(), slide.title


@each_chapter
def test_slides_show_no_code_and_nothing_of_the_chapters_own_language(path):
    lines = {
        line.strip()
        for cell in read(path).cells
        if cell.cell_type == "code"
        for line in cell.source.splitlines()
        if len(line) > 40 and not line.lstrip().startswith(("#", '"', "'"))
    }
    for slide in deck_of(path):
        shown = "\n".join((slide.title, *slide.shown, *slide.seen))
        assert not RAW.search(shown), shown
        assert not RAW.search("\n".join(slide.notes).split("```python")[0])
        printed = re.sub(r"<pre>.*?</pre>", "", shown, flags=re.S)
        assert not any(line in printed for line in lines)


@each_chapter
def test_each_figure_and_each_question_of_a_chapter_is_on_a_slide(path):
    notebook, slides = read(path), deck_of(path)
    named = [
        cell.metadata.mystnb.figure.name
        for cell in notebook.cells
        if "figure" in cell.metadata.get("mystnb", {})
        and not {"remove-cell", "hide-cell"} & set(tags_of(cell))
    ]
    shown = "\n".join(text for slide in slides for text in slide.shown)
    for name in named:
        number = re.escape(FIGURES[name])
        assert re.search(f"<strong>{number}</strong>", shown), name
    asked = re.findall(r"```\{quiz\} (.+)", "\n".join(c.source for c in notebook.cells))
    for question in " ".join(asked).split():
        assert BANK[question]["question"] in shown


def test_sentences_end_where_a_reader_ends_them():
    text = (
        "It is small, e.g. this one. **A bold one. And more.** See `a. B` now.\n"
        "(In brackets. Two of them.) The rest: $a. B$ is one. Is it? Yes."
    )
    assert book_words.sentences(text) == [
        "It is small, e.g. this one.",
        "**A bold one. And more.**",
        "See `a. B` now.",
        "(In brackets. Two of them.)",
        "The rest: $a. B$ is one.",
        "Is it?",
        "Yes.",
    ]


def test_a_formula_comes_with_the_sentence_that_leads_to_it():
    text = "First of all. Something else. The mean is\n\n$$\nm = 1\n$$\n\nIt is small."
    units = book_words.units(text)
    assert [unit.text for unit in units][2] == "The mean is\n\n$$\nm = 1\n$$"
    assert book_words.key_units(text, 300, most=2) == ["First of all.", units[2].text]
    assert book_words.key_units(text, 60) == [
        *("First of all.", "Something else.", "It is small."),
    ]


def test_what_was_printed_stands_below_a_text_that_leaves_room_for_it():
    def shown(lines):
        slides = [book_deck.Slide("slide", "T")]
        slides[0].take(["A sentence of some words that opens the section."])
        book_deck.put(slides, f"<pre>{chr(10).join(lines)}</pre>", "It says:", 36)
        return slides

    (one,) = shown(["3.1"])
    assert one.shown[1:] == ["It says:", "<pre>3.1</pre>"]
    assert one.room < book_deck.ROOM - 36
    table = "<table>" + "<tr><td>1</td></tr>" * 3 + "<tr><td>1<br>2</td></tr></table>"
    assert book_deck.lines_of(table) == 9
    assert book_deck.lines_of("<pre>" + "x" * 150 + "</pre>") == 2
    slides = [book_deck.Slide("slide", "T", shown=["text"], room=100)]
    book_deck.put(slides, "<pre>much</pre>", "", 400)
    assert [slide.shown for slide in slides] == [["text"], ["<pre>much</pre>"]]


# A deck of a chapter in small, as if it had been run.


def small_chapter():
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(picture, "PNG")
    encoded = base64.b64encode(picture.getvalue()).decode()
    glued = nbformat.v4.new_output(
        "display_data",
        {"application/papermill.record/text/plain": "0.12345"},
        metadata={"scrapbook": {"name": "share"}},
    )
    address = f"data:image/jpeg;base64,{encoded}"
    still = f'<figure class="scenecam-still">\n<img alt="Map: sea" src="{address}">'
    output, md = nbformat.v4.new_output, nbformat.v4.new_markdown_cell
    drawn = output("display_data", {"image/png": encoded, "text/plain": "<Figure>"})
    shown = output("execute_result", {"text/html": still, "text/plain": "Viewer()"})
    caption = {"name": "fig-a", "caption": "A red one, {glue:text}`share:.1f`."}

    def code(source, output, **metadata):
        return nbformat.v4.new_code_cell(source, outputs=[output], metadata=metadata)

    return nbformat.v4.new_notebook(
        cells=[
            md(
                "# Small\n\nA {term}`logit <logits>` of {cite:t}`zhou2016cam`.\n\n"
                "```{admonition} In this chapter\n:class: tip\n"
                "**You will learn** little.\n```"
            ),
            code("glue('share', 0.12345)", glued, tags=["remove-cell"]),
            md(
                "## What is seen?\n\nIt is {glue:text}`share:.2f` ({numref}`fig-a`). "
                "See [more](https://example.org)."
            ),
            code(
                "draw(picture)",
                drawn,
                mystnb={"figure": caption, "image": {"alt": "All red."}},
            ),
            md("In {numref}`fig-a` all is red {cite:p}`zhou2016cam`."),
            code("viewer", shown),
            code("print('1 < 2')", output("stream", text="1 < 2\n")),
            md("## Check yourself\n\n```{quiz} ch06-q2\n```"),
        ]
    )


def small_deck(kept):
    notebook = small_chapter()
    book = book_words.Book({"fig-a": "Fig. 6.1"}, PAPERS, book_words.glued(notebook))

    def store(content, ending):
        kept.append((content, ending))
        return f"images/{len(kept)}.{ending}"

    kinds = book_slides.types_of(notebook)
    return book_deck.deck(notebook, kinds, book, store, BANK)


def test_a_deck_shows_numbers_figures_and_an_explorers_picture():
    kept = []
    page = book_slides.to_html(small_deck(kept))
    assert [ending for _, ending in kept] == ["png", "jpg"]
    assert all(Image.open(io.BytesIO(content)).size == (40, 30) for content, _ in kept)
    shown = re.sub(r'<aside class="notes">.*?</aside>', "", page, flags=re.S)
    assert "It is 0.12." in shown and "A red one, 0.1." in shown
    assert "Zhou et al. [2016]" in shown and "[Zhou et al., 2016]" in shown
    pictures = [BeautifulSoup(tag, "html.parser").img for tag in IMAGE.findall(shown)]
    assert [(one["src"], one["alt"]) for one in pictures] == [
        ("images/1.png", "All red."),
        ("images/2.jpg", "Map: sea"),
    ]
    assert "<pre>1 &lt; 2</pre>" in shown
    assert "draw(" not in shown and "glue(" not in shown
    assert BANK["ch06-q2"]["answers"][0]["feedback"][:20] not in shown
    assert BANK["ch06-q2"]["answers"][0]["feedback"][:20] in page


def test_a_deck_asks_for_nothing_outside_and_leaves_nothing_raw():
    page = book_slides.to_html(small_deck([]))
    assert not OUTSIDE.search(page)
    body = page[page.index('<div class="slides">') :]
    assert not re.search(r"\{[a-z:-]+\}`|```\{|\{numref|:class:", body)
    assert body.count("<section") == body.count("</section>")
    loaded = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)
    assert {name.split("/")[0] for name in loaded} == {"reveal", "mathjax", "deck.css"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{glue:text}`nobody`", "names 'nobody', which no cell has glued"),
        ("{numref}`nowhere`", "names 'nowhere', which the book has not"),
        ("{cite:p}`zhou2016cam,no2099`", "names 'no2099', which the book has not"),
        ("```{figure} a.png\n```\n\n{kbd}`x` ```{mermaid}", "cannot show|directive"),
    ],
)
def test_what_a_slide_cannot_say_is_an_error(text, words):
    book = book_words.Book({}, PAPERS, {})
    if "directive" in words:
        text = f"{text}\n```{{tab-set}} left open"
    with pytest.raises(ValueError, match=words):
        book_words.plain(text, book)


# What the decks need.


def test_a_carrier_that_is_another_is_refused_and_removed(tmp_path):
    archive = tmp_path / book_slides.CARRIER
    archive.write_bytes(b"something else")
    with pytest.raises(ValueError, match="has the digest .*, expected 805bed3c"):
        book_slides.scripts(tmp_path / "slides", tmp_path)
    assert not archive.exists()


def test_without_a_network_one_sentence_says_so_and_old_slides_stay(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "_build" / "slides").mkdir(parents=True)
    (tmp_path / "_build" / "slides" / "index.html").write_text("old")
    failed = types.SimpleNamespace(returncode=1)
    monkeypatch.setattr(book_slides.subprocess, "run", lambda *a, **k: failed)
    assert book_slides.make(tmp_path) == 1
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "carries reveal.js; run make slides once" in said
    assert (tmp_path / "_build" / "slides" / "index.html").read_text() == "old"


def test_a_chapter_that_was_not_run_is_named(tmp_path, monkeypatch, capsys):
    for folder in ("book/quizzes", "_build"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "book" / "quizzes" / "06.json").write_text(json.dumps([]))
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Small"),
            nbformat.v4.new_code_cell("1 + 1"),
        ]
    )
    path = tmp_path / "book" / "06-small.ipynb"
    nbformat.write(notebook, path)
    book_slides.write_types([path])
    monkeypatch.setattr(book_slides, "scripts", lambda *_: None)
    assert book_slides.make(tmp_path) == 1
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == (
        "No slides: 06-small has not been run as it is now: run make book, then make "
        "slides."
    )
