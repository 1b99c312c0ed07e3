"""Notebooks and pages of the book, as tests read them."""

import ast

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
