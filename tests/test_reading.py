"""What a reader meets in the chapters: titles, figures, exercises."""

import ast
import re

import pytest
import yaml
from chapters import (
    CHAPTERS,
    PAGES,
    code_cells,
    read,
    tags_of,
    text_of,
    tree_of,
    unknown_names,
)
from conftest import ROOT

# Said of figures: a number and a page follow only where Sphinx reads the text.
ROLE = re.compile(r"\{(?:numref|ref)\}`(?:[^`<]*<)?([\w-]+)>?`|\]\(#?([\w-]+)\)")

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def said_of(path):
    """The text of a page and what it says of itself."""
    if path.suffix == ".ipynb":
        notebook = read(path)
        return text_of(notebook), notebook.metadata.get("myst", {})
    text = path.read_text(encoding="utf-8")
    front = re.match(r"---\n(.*?)\n---\n", text, flags=re.DOTALL)
    return text, yaml.safe_load(front[1]).get("myst", {}) if front else {}


# What a page is called, here and elsewhere.


@pytest.mark.parametrize("path", CHAPTERS + PAGES, ids=lambda path: path.stem)
def test_a_page_has_a_title_and_a_description_of_itself(path):
    text, said = said_of(path)
    assert re.search(r"^# \S", text, flags=re.MULTILINE), f"{path.name}: no title"
    description = said.get("html_meta", {}).get("description", "")
    assert 50 <= len(description) <= 160, f"{path.name}: {len(description)} characters"
    assert description.strip().endswith((".", "?"))


def test_no_two_pages_describe_themselves_alike():
    found = [said_of(path)[1]["html_meta"]["description"] for path in CHAPTERS + PAGES]
    assert len(set(found)) == len(found)


@each_chapter
def test_a_chapter_links_words_to_the_glossary(path):
    entries = (ROOT / "book" / "glossary.md").read_text().splitlines()
    found = re.findall(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`", text_of(read(path)))
    assert found, f"no word of {path.name} leads to the glossary"
    assert set(found) <= set(entries)


# Figures.


@each_chapter
def test_a_figure_has_a_number_a_caption_and_words_for_those_who_do_not_see(path):
    notebook = read(path)
    named = {name for pair in ROLE.findall(text_of(notebook)) for name in pair}
    figures = [
        (cell, cell.metadata["mystnb"])
        for cell in code_cells(notebook)
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    names = [said["figure"].get("name") for _, said in figures]
    assert len(set(names)) == len(names) and all(names)
    for _, said in figures:
        name, caption = said["figure"]["name"], said["figure"].get("caption", "")
        assert len(caption) > 15, f"{name} has no caption"
        described = said.get("image", {}).get("alt", "")
        assert 30 <= len(described) <= 250, f"{name}: alt of {len(described)} letters"
        assert described != caption, f"{name}: alt only repeats the caption"
        assert name in named, f"no sentence of {path.name} refers to {name}"


@each_chapter
def test_no_picture_is_shown_without_its_number(path):
    """What draws also says what it is, unless it only defines or computes."""
    for cell in code_cells(read(path)):
        if "figure" in cell.metadata.get("mystnb", {}) or "remove-cell" in tags_of(
            cell
        ):
            continue
        for statement in tree_of(cell.source).body:
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                continue
            drawn = [
                ast.unparse(node.func)
                for node in ast.walk(statement)
                if isinstance(node, ast.Call)
                and re.match(
                    r"plots\.(show|mean)|charts\.\w+$"
                    r"|diagrams\.\w+$|plt\.(subplots|figure)",
                    ast.unparse(node.func),
                )
            ]
            assert not drawn, f"{path.name}: {drawn[0]} draws a figure with no number"


# What a reader copies from the page.


def shown_cells(notebook):
    """Code cells that the page shows, folded ones included: a click opens them."""
    unseen = {"remove-cell", "remove-input"}
    return [cell for cell in code_cells(notebook) if not unseen & set(tags_of(cell))]


@each_chapter
def test_what_the_page_shows_runs_without_what_it_does_not_show(path):
    done = unknown_names(shown_cells(read(path)))
    assert done.returncode == 0, done.stdout + done.stderr


@each_chapter
def test_the_page_shows_no_code_that_is_there_for_the_page(path):
    for cell in shown_cells(read(path)):
        for word in ("glue", "fmt: ", "noqa"):
            assert word not in cell.source, f"{path.name}: {word} in a shown cell"


# What the text says of numbers.

COMPARES = re.compile(
    r"\b(more|less|fewer|higher|lower|better|worse|larger|smaller|longer|shorter|faster"
    r"|slower|above|below|beats?|exceeds?|only)\b",
    flags=re.IGNORECASE,
)
GLUED = re.compile(r"\{glue:?\w*\}`([\w-]+)[^`]*`")


def comparing_sentences(notebook):
    """Sentences that compare in typed words, each with the numbers glued into it."""
    # A glued sentence brings its own full stop. (A superlative names by its glue.)
    ends = r"(?<=[.?!:|)])\s+|(?<=`)\s+(?=[A-Z(*])|\n\n+|\n(?=[-#|])"
    for sentence in re.split(ends, text_of(notebook)):
        names = GLUED.findall(sentence)
        # Claims in italics and quotations are judged by what is glued beside them.
        typed = re.sub(r'\*[^*]+\*|"[^"]+"', "", GLUED.sub("", sentence))
        if names and COMPARES.search(typed):
            yield sentence, set(names)


@each_chapter
def test_a_typed_comparison_of_glued_numbers_is_asserted(path):
    """By its name, in a cell that the page does not show; it runs in each edition."""
    notebook = read(path)
    asserted = {
        getattr(node.msg, "value", None)
        for cell in code_cells(notebook)
        if "remove-cell" in tags_of(cell)
        for node in ast.walk(tree_of(cell.source))
        if isinstance(node, ast.Assert)
    }
    for sentence, names in comparing_sentences(notebook):
        assert names & asserted, f"{path.name}: assert {sorted(names)}: {sentence}"


# Exercises.


@each_chapter
def test_exercises_are_numbered_and_stated_before_they_are_checked(path):
    """After the heading "Exercises": heading, statement, and then the check."""
    notebook = read(path)
    found, cells, checks = [], notebook.cells, checks_defined(notebook)
    starts = [
        number
        for number, cell in enumerate(cells)
        if cell.cell_type == "markdown"
        and re.search(r"^## Exercises$", cell.source, flags=re.MULTILINE)
    ]
    assert len(starts) == 1, f"{path.name} needs one heading 'Exercises'"
    stated = False
    for cell in cells[starts[0] :]:
        if cell.cell_type == "markdown":
            source = re.sub(
                r"(?s).*^## Exercises$", "", cell.source, flags=re.MULTILINE
            )
            parts = re.split(r"^### ", source, flags=re.MULTILINE)
            for part in parts[1:]:
                heading, _, statement = part.partition("\n")
                found.append(heading)
                stated = len(statement.split()) >= 10
            continue
        unasked = {"hide-cell", "wrong-answers"} & set(tags_of(cell))
        if calls(cell, checks) and not unasked:
            assert stated, f"{path.name}: {cell.source[:60]!r} has no statement"
    numbers = [int(re.match(r"(\d+)\. \S", heading)[1]) for heading in found]
    assert numbers == list(range(1, len(numbers) + 1)) and numbers, found
    for heading in found:
        assert re.search(r"\((easy|medium|harder|hard)\)$", heading), heading


def checks_defined(notebook):
    """Names of the functions with which a chapter checks answers."""
    return {
        node.name
        for cell in code_cells(notebook)
        for node in ast.walk(tree_of(cell.source))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
    }


def calls(cell, names):
    return [
        node.func.id
        for node in ast.walk(tree_of(cell.source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in names
    ]


@each_chapter
def test_each_exercise_tells_a_wrong_answer_that_it_is_wrong_and_why(path):
    """Wrong answers stand in a hidden cell; nbval compares its output."""
    notebook = read(path)
    checks = checks_defined(notebook)
    assert checks or path.stem[:2] > "10", f"{path.name} has no exercise with a check"
    if not checks:
        return
    hidden = [cell for cell in code_cells(notebook) if "wrong-answers" in tags_of(cell)]
    assert len(hidden) == 1, f"{path.name}: one cell tagged wrong-answers is needed"
    tags = set(hidden[0].metadata["tags"])
    assert {"remove-cell", "nbval-check-output"} <= tags
    called = calls(hidden[0], checks)
    assert set(called) == checks, f"never told wrong: {sorted(checks - set(called))}"
    lines = "".join(output.text for output in hidden[0].outputs).splitlines()
    assert len(lines) >= len(called), "run `tools/book.py outputs` for this chapter"
    for line in lines:
        assert not re.match(r"right\b", line, flags=re.IGNORECASE), line
        reason = re.sub(r"^(wrong|not yet|nearly)\b:?", "", line, flags=re.IGNORECASE)
        assert len(reason.split()) >= 5, f"{path.name} does not say why: {line!r}"


@each_chapter
def test_each_solution_is_folded_and_passes_its_own_check(path):
    notebook = read(path)
    checks = checks_defined(notebook)
    solved = {
        name
        for cell in code_cells(notebook)
        if "hide-cell" in tags_of(cell)
        for name in calls(cell, checks)
    }
    assert solved == checks, f"no folded solution: {sorted(checks - solved)}"
