"""The printed book: one page of all, whose links stay within, and Chromium's print."""

import re
import shutil
import sys

import pytest
from conftest import ROOT
from PIL import Image

sys.path.append(str(ROOT / "tools"))
import book_pdf

BROWSER = next(filter(None, map(shutil.which, book_pdf.NAMES)), None)
PAGE = """<html><head><link rel="stylesheet" href="{up}_static/some.css?v=1">
<link rel="stylesheet" href="https://elsewhere.example/fonts.css"></head><body>
<nav>side bar</nav><article class="bd-article"><section id="top">
<h1>{title}<a class="headerlink" href="#top">#</a></h1>{body}</section></article></body>
</html>"""
ONE = """<p>To <a href="#part">a part</a>, <a href="02-two.html">another page</a>,
<a href="02-two.html#top">its top</a>, <a href="../genindex.html">the index</a> and
<a href="https://example.org/x.html">outside</a>.</p>
<section id="part"><h2>A part</h2>
<img src="../_images/wide.webp" loading="lazy"></section>
<div class="cell"><details class="admonition hide above-input">folded</details></div>
<p><strong>Solution</strong></p><div class="admonition dropdown">the answer</div>
<div class="scenecam-page"><div class="scenecam">live</div>
<figure class="scenecam-still">
<img src="data:image/png;base64,iVBORw0KGgo="></figure><script>run()</script></div>
<fieldset class="quiz"><input type="radio" id="q-0" name="q"><label for="q-0">A</label>
<p class="why">because</p></fieldset>"""


@pytest.fixture
def built(tmp_path):
    """A book of two pages, as if built."""
    html = tmp_path / "_build" / "html"
    for folder in ("book", "_images", "_static/mathjax"):
        (html / folder).mkdir(parents=True)
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/01-one\nparts:\n"
        "- caption: Part & piece\n  chapters: [{file: book/02-two}, {file: genindex}]\n"
    )
    (html / "index.html").write_text("")
    (html / "book" / "01-one.html").write_text(
        PAGE.format(up="../", title="One", body=ONE)
    )
    link = '<a href="01-one.html#part">it</a>'
    two = f'<section id="more"><h2>More</h2><p>Back to {link}</p></section>'
    (html / "book" / "02-two.html").write_text(
        PAGE.format(up="../", title="Two", body=two)
    )
    for name in ("_images/wide.webp", "_static/logo.webp"):
        Image.new("RGB", (30, 20), "green").save(html / name)
    return tmp_path


def test_links_stay_within_and_lead_somewhere(built):
    text = book_pdf.combine(built, built / "_build" / "html")
    links = re.findall(r'href="#([^"]*)"', text)
    names = re.findall(r'id="([^"]+)"', text)
    assert len(set(names)) == len(names)
    assert set(links) <= set(names)
    assert {"book-01-one--part", "book-02-two--", "book-02-two--top"} <= set(links)
    assert "genindex" not in text and 'href="https://example.org/x.html"' in text
    assert "Part &amp; piece" in text and "elsewhere.example" not in text
    assert 'href="../html/_static/some.css?v=1"' in text


def test_what_only_a_screen_can_do_is_left_out(built):
    text = book_pdf.combine(built, built / "_build" / "html")
    article = text[text.index("<article") :]
    for gone in (
        "folded",
        "Solution",
        "the answer",
        ">live<",
        "run()",
        "because",
        "#</a>",
    ):
        assert gone not in article, gone
    assert "side bar" not in text and "scenecam-still" in article
    assert 'src="../html/_images/wide.webp"' in article and "loading" not in article
    (box,) = re.findall(r'<input[^>]*id="book-01-one--q-0"[^>]*>', article)
    assert 'type="checkbox"' in box and 'for="book-01-one--q-0"' in article


def test_pictures_that_a_pdf_would_unpack_become_jpeg(built):
    folder = built / "_build" / "pdf"
    folder.mkdir()
    text = '<img src="../html/_images/wide.webp"> <img src="chart.png">'
    assert (
        book_pdf.as_jpeg(text, folder, 80)
        == '<img src="000.jpg"> <img src="chart.png">'
    )
    with Image.open(folder / "000.jpg") as picture:
        assert picture.format == "JPEG" and picture.size == (30, 20)


def test_pictures_are_packed_harder_until_the_file_may_be_sent(
    built, monkeypatch, capsys
):
    tried = []

    def print_as_heavy_as_the_quality(browser, page, target):
        tried.append(page.read_text())
        target.write_bytes(b"x" * sizes[len(tried) - 1])
        return ""

    monkeypatch.setattr(book_pdf.shutil, "which", lambda name: "/bin/false")
    monkeypatch.setattr(book_pdf, "print_page", print_as_heavy_as_the_quality)
    monkeypatch.setattr(book_pdf, "HEAVIEST", 100)
    sizes = (300, 100)
    assert book_pdf.make(built) == 0 and len(tried) == 2
    sizes = (300, 200, 101)
    tried.clear()
    assert book_pdf.make(built) == 1 and len(tried) == len(book_pdf.QUALITIES)
    assert "has 0.0 MB, more than 0.0001." in capsys.readouterr().out


def test_what_is_missing_is_said_in_one_sentence(built, monkeypatch, capsys):
    (built / "_build" / "html" / "book" / "02-two.html").unlink()
    monkeypatch.setattr(book_pdf.shutil, "which", lambda name: "/bin/false")
    assert book_pdf.make(built) == 1
    assert "02-two.html is missing: run make book first." in capsys.readouterr().out
    (built / "_build" / "html" / "index.html").unlink()
    assert book_pdf.make(built) == 1
    assert "there is no built book in" in capsys.readouterr().out
    monkeypatch.setattr(book_pdf.shutil, "which", lambda name: None)
    assert book_pdf.make(built) == 1
    said = capsys.readouterr().out
    assert said == (
        "No PDF: it needs Chromium, and none of chromium, chromium-browser, "
        "google-chrome, google-chrome-stable is on the path.\n"
    )


def test_a_browser_that_fails_is_quoted(built, monkeypatch, capsys):
    monkeypatch.setattr(book_pdf.shutil, "which", lambda name: "/bin/false")
    assert book_pdf.make(built) == 1
    assert capsys.readouterr().out.startswith("No PDF: Chromium ended with 1:")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path")
def test_chromium_prints_one_file_with_bookmarks_and_inner_links(built, capsys):
    assert book_pdf.make(built) == 0, capsys.readouterr().out
    content = (built / "_build" / book_pdf.TARGET).read_bytes()
    assert content.startswith(b"%PDF-") and len(content) < 500_000
    assert content.count(b"/Type /Page\n") >= 4  # title, contents, two chapters
    assert b"/Outlines" in content
    for title in (b"One", b"A part", b"Two", b"More"):
        assert b"/Title (" + title + b")" in content, title
    assert b"/Dest" in content and b"https://example.org/x.html" in content
    assert b"file:" not in content


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path")
def test_formulas_that_were_not_set_are_no_pdf(built, capsys):
    path = built / "_build" / "html" / "book" / "02-two.html"
    formula = '<span class="math notranslate">\\(x\\)</span>'
    path.write_text(path.read_text().replace("More", f"More {formula}"))
    assert book_pdf.make(built) == 1  # no MathJax lies in this book
    assert "0 of 2 formulas were set" in capsys.readouterr().out
    assert not (built / "_build" / book_pdf.TARGET).exists()
