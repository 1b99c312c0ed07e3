"""The words of the glossary lead from the index to the chapters."""

import re

import pytest
from conftest import ROOT

BOOK, HTML = ROOT / "book", ROOT / "_build" / "html"
GLOSSARY = """# Glossary

:::{glossary}
gauge
  A number that is free.

logits
  What the last layer gives.

class
  A kind.

Adam
  An optimizer.
:::
"""


@pytest.fixture
def index(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book_index

    return book_index


def chapter(*cells):
    kinds = {True: "code", False: "markdown"}
    return {
        "cells": [
            {"cell_type": kinds[cell.startswith("%")], "source": [cell]}
            for cell in cells
        ]
    }


def test_a_word_leads_to_the_sections_that_speak_of_it_most(index):
    chapters = {
        "01-a": chapter("# One\n\nA gauge.", "## What *is* a gauge?\n\nIt is free."),
        "02-b": chapter("# Two\n\na logit, two logits; adamant Adams\n\n## Of Adam\n"),
        "03-c": chapter("# Three\n\nGauges, gauge-free.", "% logits logits\n# gauge"),
    }
    assert index.words(GLOSSARY) == ["gauge", "logits", "class", "Adam"]
    assert index.plan(GLOSSARY, chapters) == {
        "01-a": {"whatisagauge": ["gauge"]},
        "02-b": {"two": ["logits"], "ofadam": ["Adam"]},
        "03-c": {},
    }
    assert index.counter("class").findall("class Classes classy clas") == ["", "es"]


def test_no_word_has_more_than_its_share(index):
    many = {f"{n:02}-x": chapter(f"# Part {n}\n\nlogits logits") for n in range(1, 6)}
    places = index.plan(GLOSSARY, many)
    assert [name for name in many if places[name]] == ["01-x", "02-x", "03-x"]


def test_nearly_every_word_of_the_book_leads_to_a_chapter(index):
    words = index.words((BOOK / "glossary.md").read_text())
    places = index.read_plan(BOOK).values()
    found = {word for titles in places for some in titles.values() for word in some}
    assert len(words) > 70 and len(found) > 0.9 * len(words)
    assert found <= set(words)


@pytest.mark.skipif(
    not (HTML / "genindex.html").is_file(), reason="no book is built: `make book` first"
)
def test_the_built_index_leads_to_sections_that_are_there(index):
    page = (HTML / "genindex.html").read_text()
    found = re.findall(r'href="(book/\d\d-[\w-]+\.html)#([\w-]+)">chapter +\d+: ', page)
    planned = sum(len(s) for t in index.read_plan(BOOK).values() for s in t.values())
    assert len(found) == planned
    for address, anchor in set(found):
        assert f'id="{anchor}"' in (HTML / address).read_text(), (address, anchor)
