"""Run students' notebooks against the checks of the book, and print a table.

What is run: the cells of the book's own chapter, and between them the student's own
cells where they stand. A cell of the student's file is the book's if it has the same
syntax tree as a cell of the chapter (spaces and comments aside); it is set aside, and
the chapter's runs in its place. One that has the id of a cell of the chapter and other
content is that cell, changed: the chapter's runs first, then the student's. All others
are the student's own. Cells that are missing run all the same; the solutions of the
book run never. `book_sides` has how the two are kept apart in the kernel.
"""

import asyncio
import csv
import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import book_exercises
import book_runs

ENOUGH = 0.25  # of a chapter's cells, by which a notebook is known for that chapter
PASSED, FAILED, UNTRIED = "passed", "failed", "not tried"


class Chapter(NamedTuple):
    """A chapter of the book, as it is graded."""

    name: str
    cells: list
    meanings: list[str]
    exercises: dict[str, list[str]]


class Row(NamedTuple):
    """A notebook's line in the table."""

    notebook: str
    chapter: str = ""
    results: dict[str, tuple[str, str]] = {}  # number: state, and what was said
    remark: str = ""
    whole: bool = True  # whether it could be run


def grade(
    root: Path, names: list[str], *, run_side_by_side, environment, limit: int
) -> list[Row]:
    """Return a row for each notebook that is named or lies in a folder that is."""
    book = [read_chapter(path) for path in book_exercises.chapters(root)]
    places = list(notebooks(names))
    environment = environment(len(places))

    def work(place):
        path, shown = place
        try:
            return grade_one(path, shown, book, environment=environment, limit=limit)
        except Exception as error:  # whatever is in one file, the others are graded
            why = f"could not be graded: {type(error).__name__}: {first_line(error)}"
            return Row(shown, remark=why, whole=False)

    rows = dict(run_side_by_side(places, work))
    return [rows[place] for place in places]


def notebooks(names: list[str]) -> Iterable[tuple[Path, str]]:
    """Return each file once, with the name to show; a folder gives its notebooks."""
    found = {}
    for name in names:
        path = Path(name)
        inside = sorted(path.rglob("*.ipynb")) if path.is_dir() else []
        inside = [one for one in inside if ".ipynb_checkpoints" not in one.parts]
        for one in inside or [path]:
            found.setdefault(one.resolve(), str(one))
    return found.items()


def read_chapter(path: Path) -> Chapter:
    """Read a chapter of the book."""
    notebook = book_exercises.read(path)
    cells = book_exercises.code_cells(notebook)
    meanings = [book_exercises.meaning(cell.source) for cell in cells]
    return Chapter(path.stem, cells, meanings, book_exercises.exercises(notebook))


def read_student(path: Path) -> list:
    """Return the code cells of a student's notebook; say what is wrong with a file."""
    if path.is_dir():
        raise ValueError("a folder without notebooks (.ipynb)")
    if not path.is_file():
        raise ValueError("no such file")
    if path.suffix != ".ipynb":
        raise ValueError("no notebook: its name does not end in .ipynb")
    try:
        return book_exercises.code_cells(book_exercises.read(path))
    except Exception as error:
        # nbformat raises what it stumbles over: KeyError, AttributeError, its own.
        why = f"no notebook that can be read: {first_line(error)}"
        raise ValueError(why) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error, not too long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def grade_one(path, shown, book, *, environment, limit) -> Row:
    """Run one notebook; return its row."""
    try:
        cells = read_student(path)
        chapter = chapter_of(cells, book)
    except ValueError as error:
        return Row(shown, remark=str(error), whole=False)
    steps = plan(chapter, cells)
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "said.jsonl"
        running = book_runs.run(
            steps, record, folder=path.parent, environment=environment, limit=limit
        )
        errors, problems = asyncio.run(running)
        lines = record.read_text(encoding="utf-8") if record.is_file() else ""
    tries = [json.loads(line) for line in lines.splitlines()]
    results = {
        number: judge(checks, tries) for number, checks in chapter.exercises.items()
    }
    remarks = list(problems)
    if not steps:
        remarks.append("all cells are the book's, so there is nothing to grade")
    remarks += [f"its own {name} was set aside" for name in own_checks(chapter, steps)]
    if errors:
        count = f"{len(errors)} of its cells end" if errors[1:] else "one cell ends"
        remarks.append(f"{count} with an error: {errors[0]}")
    return Row(shown, chapter.name, results, "; ".join(remarks), not problems)


def own_checks(chapter: Chapter, steps: list[tuple[str, str]]) -> list[str]:
    """Return the book's checks that the student's cells define anew."""
    names = {name for checks in chapter.exercises.values() for name in checks}
    sources = [source for whose, source in steps if whose == "student"]
    return [
        name
        for name in sorted(names)
        if any(re.search(rf"\bdef {name}\b|^{name} *=", s, re.M) for s in sources)
    ]


def judge(checks: list[str], tries: list[dict]) -> tuple[str, str]:
    """Return whether an exercise was passed, and the sentence that says so or not."""
    found = []
    for name in checks:
        own = [one for one in tries if one["check"] == name]
        passed = [one for one in own if is_right(one.get("said", ""))]
        if not own:
            found.append((UNTRIED, ""))
        elif passed:
            found.append((PASSED, passed[-1]["said"]))
        elif "error" in own[-1]:
            found.append((FAILED, f"the answer ends with {own[-1]['error']}"))
        else:
            found.append((FAILED, own[-1]["said"]))
    state, said = max(found, key=lambda one: (PASSED, UNTRIED, FAILED).index(one[0]))
    return state, " ".join(said.split())


def is_right(said: str) -> bool:
    """Return whether a check said that an answer is right.

    Checks begin a line with "Right" or "right". One that judges several parts says
    "Part: right." of each, and then all of them must be.
    """
    lines = [line for line in said.splitlines() if line.strip()]
    if any(re.search(r": right\.$", line) for line in lines):
        return all(re.search(r": right\.$", line) for line in lines)
    return any(re.match(r"right\b", line, re.IGNORECASE) for line in lines)


def chapter_of(cells: list, book: list[Chapter]) -> Chapter:
    """Return the chapter with which a notebook shares most cells."""
    there = {book_exercises.meaning(cell.source) for cell in cells}
    shares = [
        sum(one in there for one in chapter.meanings) / max(1, len(chapter.meanings))
        for chapter in book
    ]
    best = max(range(len(book)), key=shares.__getitem__, default=None)
    if best is None or shares[best] < ENOUGH:
        raise ValueError(
            "not a chapter of this book: of the cells of each chapter less than "
            f"{ENOUGH:.0%} are in it"
        )
    return book[best]


def plan(chapter: Chapter, cells: list) -> list[tuple[str, str]]:
    """Return what to run, in order: whose cell, and its source."""
    steps, done = [], 0
    for cell, (place, own) in zip(cells, match(chapter, cells), strict=True):
        if place is not None:
            steps += [
                ("book", one.source)
                for one in chapter.cells[done : place + 1]
                if not book_exercises.is_solution(one)
            ]
            done = max(done, place + 1)
        if own and book_exercises.does_something(cell):
            steps.append(("student", cell.source))
    while steps and steps[-1][0] == "book":
        steps.pop()  # no answer comes after it
    return steps


def match(chapter: Chapter, cells: list) -> list[tuple[int | None, bool]]:
    """Return for each cell its place in the chapter, if any, and whether it is own."""
    ids = {cell.id: place for place, cell in enumerate(chapter.cells)}
    free = dict.fromkeys(range(len(chapter.cells)))
    found = [None] * len(cells)
    for by_id in (True, False):
        for number, cell in enumerate(cells):
            meaning = book_exercises.meaning(cell.source)
            candidates = [p for p in free if chapter.meanings[p] == meaning]
            if by_id:
                candidates = [p for p in candidates if ids.get(cell.id) == p]
            elif not book_exercises.is_solution(cell):
                # Who writes the book's solution into a cell of his own has answered.
                candidates = [
                    p
                    for p in candidates
                    if not book_exercises.is_solution(chapter.cells[p])
                ]
            if found[number] is None and candidates:
                found[number] = candidates[0]
                del free[candidates[0]]
    result = []
    for number, cell in enumerate(cells):
        place = ids.get(cell.id)
        before = max((p for p in found[:number] if p is not None), default=-1)
        after = min((p for p in found[number:] if p is not None), default=len(ids))
        if found[number] is not None:
            result.append((found[number], False))
        elif place is not None and before < place < after:
            result.append((place, True))
        else:
            result.append((None, True))
    return result


def table(rows: list[Row]) -> str:
    """Return the rows as text: who passed what, and below it what the checks said."""
    numbers = sorted({number for row in rows for number in row.results}, key=int)
    head = ["notebook", "chapter", *numbers, "passed"]
    lines = [head]
    for row in rows:
        states = [row.results.get(number, ("", ""))[0] for number in numbers]
        lines.append([row.notebook, row.chapter, *states, score(row)])
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    found = [
        "  ".join(
            word.ljust(width) for word, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    for row in rows:
        said = [
            f"  {number} {state}: {text}"
            for number, (state, text) in row.results.items()
            if state == FAILED
        ]
        said += [f"  {row.remark}"] if row.remark else []
        found += ["", row.notebook, *said] if said else []
    return "\n".join(found)


def score(row: Row) -> str:
    """Return how many exercises were passed, of how many."""
    passed = sum(state == PASSED for state, _ in row.results.values())
    return f"{passed} of {len(row.results)}" if row.results else "not run"


def write_csv(rows: list[Row], path: Path) -> None:
    """Write a line for each notebook: states, sentences, and what is to be said."""
    numbers = sorted({number for row in rows for number in row.results}, key=int)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        states = [f"exercise {number}" for number in numbers]
        texts = [f"said of {number}" for number in numbers]
        writer.writerow(["notebook", "chapter", "passed", *states, *texts, "remark"])
        for row in rows:
            cells = [row.results.get(number, ("", "")) for number in numbers]
            states, texts = [state for state, _ in cells], [text for _, text in cells]
            line = [row.notebook, row.chapter, score(row), *states, *texts, row.remark]
            writer.writerow(line)
