"""Write the chapters without solutions: statements, checks, questions, room to answer.

A solution begins at the word *Solution* and ends at the next heading or at the next
cell that is not folded. In the place of its folded cell stands an empty answer. The
questions of the bank, which a built page asks by itself, are
written out with their answers, and no text or cell says which is right.
"""

import re
from pathlib import Path

import book_exercises
import book_quizzes
import nbformat

SOLUTION = re.compile(r"\*\*Solution\b|```\{admonition\} Solution")
QUIZ = re.compile(r"```\{quiz\} (.+)\n```")
# The cell that holds a question's figure against its answer.
ANSWER = re.compile(r'^assert .*, "ch\d\d-[qm]\d"', flags=re.MULTILINE)
QUESTION = re.compile(r"fig-ch\d\d-[qm]\d")  # the name of a question's figure
# Said on the page of its buttons.
ALIVE = re.compile(r"Choose an answer, and read .*\n\n")


def write(root: Path) -> Path:
    """Write all chapters and what they link to; return the folder."""
    folder = root / "_build" / "student"
    folder.mkdir(parents=True, exist_ok=True)
    texts = []
    for path in book_exercises.chapters(root):
        notebook = without_solutions(book_exercises.read(path), root)
        nbformat.write(notebook, folder / path.name)
        texts += [c.source for c in notebook.cells if c.cell_type == "markdown"]
    for name in sorted(set(re.findall(r"\]\(([\w-]+\.md)\)", "\n".join(texts)))):
        (folder / name).write_bytes((root / "book" / name).read_bytes())
    return folder


def without_solutions(
    notebook: nbformat.NotebookNode, root: Path
) -> nbformat.NotebookNode:
    """Return a chapter as students get it."""
    kept, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            source, inside = cut(cell.source, inside)
            if source:
                cell.source = write_out(source, root)
                kept.append(cell)
        elif book_exercises.tagged(cell, "hide-cell"):
            # An id of its own: by the solution's, an answer would pass for the book's.
            answer = nbformat.v4.new_code_cell(room(cell))
            answer.id = cell.id.replace("cell", "answer")
            kept.append(answer)
        elif not (book_exercises.is_solution(cell) or ANSWER.search(cell.source)):
            inside = False
            figure = cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "")
            if QUESTION.fullmatch(figure):  # its code is folded in JupyterLab, too
                cell.metadata["jupyter"] = {"source_hidden": True}
            kept.append(cell)
    notebook.cells = kept
    return notebook


def cut(source: str, inside: bool) -> tuple[str, bool]:
    """Return a text without its solution, and whether the solution goes on below."""
    kept = []
    for line in source.splitlines():
        if SOLUTION.match(line):
            inside = True
        elif re.match(r"#+ ", line):
            inside = False
        if not inside:
            kept.append(line)
    return "\n".join(kept).strip(), inside


def room(solution: nbformat.NotebookNode) -> str:
    """Return a cell to answer in, instead of a solution."""
    check = book_exercises.checks_called(solution)[0]
    return f"# Your answer, and then a call of {check} to ask whether it is right:"


def write_out(source: str, root: Path) -> str:
    """Return a text with the questions that it asks for, each with its answers."""
    if QUIZ.search(source):
        source = ALIVE.sub("", source)
    return QUIZ.sub(lambda found: questions(found[1].split(), root), source)


def questions(names: list[str], root: Path) -> str:
    """Return questions of the bank as a list, without the word which is right."""
    written, bank = [], book_quizzes.read_bank(root / "book" / "quizzes")
    for question in map(bank.__getitem__, names):
        answers = [f"- {each['answer']}" for each in question["answers"]]
        written.append("\n".join([question["question"], "", *answers]))
    return "\n\n".join(written)
