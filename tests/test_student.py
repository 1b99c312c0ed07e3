"""The student edition: no solutions, all checks and questions, and it can be graded."""

import json
import re
import sys

import nbformat
import pytest
from chapters import CHAPTERS, code_cells, read, tags_of, text_of, unknown_names
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import book_exercises
import book_grades
import book_student

import book as tool

sys.path.pop(0)

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """The student edition of all chapters, by their names."""
    root = tmp_path_factory.mktemp("root")
    (root / "book").symlink_to(ROOT / "book")
    folder = book_student.write(root)
    assert folder == root / "_build" / "student"
    return {path.name: read(path) for path in folder.glob("*.ipynb")}


@each_chapter
def test_no_solution_is_left(path, edition):
    book, student = read(path), edition[path.name]
    solutions = [cell for cell in code_cells(book) if book_exercises.is_solution(cell)]
    others = [c.source for c in book.cells if c not in solutions]
    everywhere = "\n".join(cell.source for cell in student.cells)
    assert "Solution" not in everywhere
    assert len(solutions) > 1
    for cell in solutions:
        lines = [one.strip() for one in cell.source.splitlines() if len(one) > 20]
        for line in lines:
            if not any(line in source for source in others):
                assert line not in everywhere, line
    assert not {"hide-cell", "wrong-answers"} & {
        tag for cell in student.cells for tag in tags_of(cell)
    }


@each_chapter
def test_each_check_and_a_room_for_each_answer_are_there(path, edition):
    book, student = read(path), edition[path.name]
    checks = [c.source for c in code_cells(book) if book_exercises.checks_defined(c)]
    assert checks and set(checks) <= {cell.source for cell in student.cells}
    assert book_exercises.exercises(student) == book_exercises.exercises(book)
    rooms = [c.source for c in student.cells if c.id.startswith("answer")]
    asked = [re.search(r"check_\w+", source)[0] for source in rooms]
    names = [
        name for names in book_exercises.exercises(book).values() for name in names
    ]
    assert asked == names
    assert all(len(line) <= 88 for source in rooms for line in source.splitlines())
    headings = re.compile(r"^#+ .*", flags=re.MULTILINE)
    assert headings.findall(text_of(student)) == headings.findall(text_of(book))
    nbformat.validate(student)


@each_chapter
def test_each_question_is_there_and_no_word_of_which_answer_is_right(path, edition):
    text = text_of(edition[path.name])
    asked = re.findall(r"```\{quiz\} (.+)", text_of(read(path)))
    assert asked and "{quiz}" not in text
    bank = json.loads((ROOT / "book" / "quizzes" / f"{path.name[:2]}.json").read_text())
    for question in bank:
        if question["id"] not in " ".join(asked).split():
            continue
        assert question["question"] in text
        if "figure" in question:
            cells = code_cells(edition[path.name])
            (drawn,) = [
                cell.metadata["jupyter"]
                for cell in cells
                if cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
                == question["figure"]
            ]
            assert drawn == {"source_hidden": True}
            assert not any(f'"{question["id"]}"' in cell.source for cell in cells)
        for answer in question["answers"]:
            assert f"- {answer['answer']}" in text
            assert answer["feedback"] not in text


@each_chapter
def test_no_cell_needs_a_name_of_a_solution(path, edition):
    done = unknown_names(code_cells(edition[path.name]))
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_that_chapters_link_to_lie_beside_them(edition, tmp_path):
    (tmp_path / "book").symlink_to(ROOT / "book")
    there = {path.name for path in book_student.write(tmp_path).iterdir()}
    for notebook in edition.values():
        linked = re.findall(r"\]\(([\w-]+\.(?:md|ipynb))\)", text_of(notebook))
        assert set(linked) <= there


def test_a_solution_ends_at_the_next_heading():
    text = "### 1. One\n\nSay it.\n\n**Solution.** It is\nthis.\n\n### 2. Two\n\nAsk."
    kept, inside = book_student.cut(text, False)
    assert (
        kept.replace("\n\n\n", "\n\n") == "### 1. One\n\nSay it.\n\n### 2. Two\n\nAsk."
    )
    assert not inside
    assert book_student.cut("Why it is so.", True) == ("", True)
    assert book_student.cut("```{admonition} Solution\nThis.\n```", False) == ("", True)


def test_solutions_put_back_pass_the_grading_and_wrong_answers_fail(edition, tmp_path):
    """For one chapter, in a folder of its own."""
    path = next(path for path in CHAPTERS if path.stem.startswith("15"))
    book, right = code_cells(read(path)), edition[path.name].copy()
    wrong = nbformat.from_dict(json.loads(json.dumps(right)))
    solutions = [c.source for c in book if "hide-cell" in tags_of(c)]
    rooms = [c for c in right.cells if c.id.startswith("answer")]
    for cell, solution in zip(rooms, solutions, strict=True):
        cell.source = solution
    (answers,) = [c.source for c in book if "wrong-answers" in tags_of(c)]
    wrong.cells.append(nbformat.v4.new_code_cell(answers))
    nbformat.write(right, tmp_path / "a-right.ipynb")
    nbformat.write(wrong, tmp_path / "b-wrong.ipynb")
    rows = book_grades.grade(
        ROOT,
        [str(tmp_path)],
        run_side_by_side=tool.side_by_side,
        environment=lambda count: (
            tool.kernel_environment() | tool.share(count) | {"SCENECAM_SCENES": "drawn"}
        ),
        limit=120,
    )
    found = [[state for state, _ in row.results.values()] for row in rows]
    assert found == [["passed"] * len(rooms), ["failed"] * len(rooms)], rows
    assert all(row.whole and row.chapter == path.stem for row in rows)
