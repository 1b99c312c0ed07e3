"""Where exercises, checks, answers and solutions stand in a chapter.

An exercise is a heading `### 2. Title (medium)` below `## Exercises`, a statement, a
cell that defines `check_...`, and a folded solution: a cell tagged `hide-cell` after
the word *Solution*. A cell tagged `wrong-answers` shows what the checks say of some.
"""

import ast
import re
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

HEADING = re.compile(r"^### (\d+)\. ", flags=re.MULTILINE)


def chapters(root: Path) -> list[Path]:
    """Return the chapters' notebooks, in reading order."""
    return sorted((root / "book").glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    """Return a notebook of today's format."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list:
    """Return the cells that hold code, without empty ones."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.source.strip()
    ]


def tagged(cell: nbformat.NotebookNode, tag: str) -> bool:
    """Return whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def is_solution(cell: nbformat.NotebookNode) -> bool:
    """Return whether a cell answers an exercise, rightly or wrongly."""
    return tagged(cell, "hide-cell") or tagged(cell, "wrong-answers")


def tree_of(source: str) -> ast.Module:
    """Return the syntax tree of a cell; its magics are calls."""
    return ast.parse(TransformerManager().transform_cell(source))


def meaning(source: str) -> str:
    """Return what two cells share that differ in spaces and comments alone."""
    try:
        return ast.dump(tree_of(source))
    except (SyntaxError, ValueError, RecursionError):
        return source.strip()


def does_something(cell: nbformat.NotebookNode) -> bool:
    """Return whether there is more in a cell than comments."""
    return meaning(cell.source) != meaning("")


def checks_defined(cell: nbformat.NotebookNode) -> list[str]:
    """Return the names of the checks that a cell defines."""
    return [
        node.name
        for node in tree_of(cell.source).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
    ]


def checks_called(cell: nbformat.NotebookNode) -> list[str]:
    """Return the names of the checks that a cell calls."""
    return [
        node.func.id
        for node in ast.walk(tree_of(cell.source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.startswith("check_")
    ]


def exercises(notebook: nbformat.NotebookNode) -> dict[str, list[str]]:
    """Return the checks of each exercise by its number: mostly one."""
    found, number = {}, None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            number = ([number] + HEADING.findall(cell.source))[-1]
        elif cell.cell_type == "code" and number and checks_defined(cell):
            found.setdefault(number, []).extend(checks_defined(cell))
    return found
