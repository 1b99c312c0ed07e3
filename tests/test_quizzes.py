"""The question bank: what every file of it holds."""

import ast
import json
import re

import nbformat
import pytest
from conftest import ROOT

FILES = sorted((ROOT / "book" / "quizzes").glob("*.json"))
CHAPTERS = {path.name[:2]: path for path in (ROOT / "book").glob("[0-9][0-9]-*.ipynb")}


def text_of(path):
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_every_chapter_has_its_questions():
    assert [path.stem for path in FILES] == sorted(CHAPTERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_five_questions_end_a_chapter_and_two_halve_a_long_one(path):
    questions, text = json.loads(path.read_text()), text_of(CHAPTERS[path.stem])
    ids = [question["id"] for question in questions]
    stated = re.search(r"\*\*Time\*\* about (an hour|\d+ minutes)", text)[1]
    minutes = 60 if stated == "an hour" else int(stated.split()[0])
    middle = ["m1", "m2"] if minutes >= 40 else []
    wanted = [*middle, *(f"q{number}" for number in range(1, 6))]
    assert sorted(ids) == sorted(f"ch{path.stem}-{one}" for one in wanted)
    for question in questions:
        place = question["place"]
        assert (place == "end") == ("-q" in question["id"])
        assert place == "end" or place in text.splitlines(), f"no heading {place!r}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_answer_is_right_and_each_says_why(path):
    places = []
    for question in json.loads(path.read_text()):
        answers = question["answers"]
        assert question["type"] == "multiple_choice" and 3 <= len(answers) <= 4
        right = [number for number, each in enumerate(answers) if each["correct"]]
        assert len(right) == 1, question["id"]
        assert len({each["answer"] for each in answers}) == len(answers)
        assert all(len(each["feedback"]) > 20 for each in answers)
        places += right
    assert len(set(places)) > 1, "the right answer stands at one place"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_chapter_shows_each_question_once(path):
    shown = re.findall(r"```\{quiz\} (.+)", text_of(CHAPTERS[path.stem]))
    ids = [one for line in shown for one in line.split()]
    assert ids == [each["id"] for each in json.loads(path.read_text())]


WITH_FIGURE = [
    (path.stem, question)
    for path in FILES
    for question in json.loads(path.read_text())
    if "figure" in question
]


def test_questions_with_a_figure_are_those_that_speak_of_panels_or_maps():
    """A question that shows nothing must not ask about what is shown."""
    named = {question["id"] for _, question in WITH_FIGURE}
    for path in FILES:
        for question in json.loads(path.read_text()):
            asks = re.search(r"\b(panel|panels|A to D|A, B)\b", question["question"])
            assert not asks or question["id"] in named, question["id"]
    assert len(named) == len(WITH_FIGURE) >= 13


@pytest.mark.parametrize(
    ("stem", "question"), WITH_FIGURE, ids=[q["id"] for _, q in WITH_FIGURE]
)
def test_a_figure_stands_before_its_question_and_gives_the_right_answer(stem, question):
    """The cell after it, which the page does not show, asserts which answer it is."""
    cells = nbformat.read(CHAPTERS[stem], as_version=4).cells
    (place,) = [
        number
        for number, cell in enumerate(cells)
        if re.search(rf"```\{{quiz\}} {question['id']}\b", cell.source)
    ]
    text, figure, check = cells[place - 3 : place]
    assert figure.metadata["mystnb"]["figure"]["name"] == question["figure"]
    assert f"{{numref}}`{question['figure']}`" in text.source.splitlines()[-1]
    assert figure.metadata["tags"] == ["hide-input"]
    assert check.metadata["tags"] == ["remove-cell"]
    last = ast.parse(check.source).body[-1]
    assert isinstance(last, ast.Assert) and last.msg.value == question["id"]
    asserted = ast.literal_eval(last.test.comparators[0])
    (right,) = [each["answer"] for each in question["answers"] if each["correct"]]
    assert asserted == re.findall(r"\b[A-D]\b", right)[:1]
