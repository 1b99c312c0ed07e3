"""Notebooks and pages of the book, as tests read them."""

import ast
import subprocess
import sys

import nbformat
from conftest import ROOT
from IPython.core.inputtransformer2 import TransformerManager

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
PAGES = sorted((ROOT / "book").glob("*.md"))


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags_of(cell):
    return cell.metadata.get("tags", [])


def text_of(notebook):
    return "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def plain_python(source):
    """What a kernel makes of a cell: its magics are calls."""
    return TransformerManager().transform_cell(source)


def tree_of(source):
    return ast.parse(plain_python(source))


def unknown_names(cells):
    """Ask ruff which names are used in these cells and bound in none of them."""
    settings = 'builtins = ["display", "get_ipython"]'
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "-q"]
    command += ["--select=F821", "--output-format=concise", "--config", settings, "-"]
    text = "\n".join(plain_python(cell.source) for cell in cells)
    return subprocess.run(command, input=text, capture_output=True, text=True)
