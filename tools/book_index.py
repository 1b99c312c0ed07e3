"""A Sphinx extension: the words of the glossary in the index, with their chapters.

A chapter is plain Markdown, so that it reads the same in Jupyter, and cannot say what
belongs in an index. Where a word is spoken of is counted instead: it leads to the
sections that use it most, at most one of a chapter and three of the book.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import index
from sphinx.transforms import SphinxTransform

MOST = 3  # sections that a word leads to
TITLE = 5  # times that a word in a section's title counts


def words(glossary: str) -> list[str]:
    """Return the words that a page explains."""
    lists = re.findall(r":::\{glossary\}\n(.*?)\n:::", glossary, re.DOTALL)
    return re.findall(r"^\S.*", "\n".join(lists), re.MULTILINE)


def sections(notebook: dict) -> list[tuple[str, str]]:
    """Return the titles of a chapter, each with the text before the next one."""
    cells = (c for c in notebook["cells"] if c["cell_type"] == "markdown")
    text = "\n\n".join("".join(cell["source"]) for cell in cells)
    _, *parts = re.split(r"^#+ +(.*)", text, flags=re.MULTILINE)
    return list(zip(parts[::2], parts[1::2], strict=True))


def counter(word: str) -> re.Pattern:
    """Return what finds a word, alone and in the plural; names as they are written."""
    case = 0 if re.search(r"[A-Z]", word) else re.IGNORECASE
    one = re.escape(re.sub(r"(?<!s)s$", "", word))  # a logit, but no clas
    return re.compile(rf"(?<![\w+-]){one}(e?s)?(?![\w+-])", case)


def plan(glossary: str, chapters: dict[str, dict]) -> dict[str, dict[str, list[str]]]:
    """Say for each chapter which words stand in the index at which title."""
    places = {name: {} for name in chapters}
    parts = {name: sections(chapter) for name, chapter in chapters.items()}
    for word in words(glossary):
        find, best = counter(word), []
        for name, found in parts.items():
            counts = [
                len(find.findall(text)) + TITLE * len(find.findall(title))
                for title, text in found
            ]
            most = max(counts, default=0)
            if most:
                best.append((-most, name, found[counts.index(most)][0]))
        best = sorted(best)[:MOST]
        for count, name, title in best:
            if 3 * count <= best[0][0]:  # both are negative: a third of the first
                places[name].setdefault(plain(title), []).append(word)
    return places


def plain(title: str) -> str:
    """Return the letters of a title, which are the same with and without marks."""
    return "".join(re.findall(r"\w", title)).lower()


def read_plan(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Read the chapters of a book's folder, and its glossary if it has one; plan."""
    glossary = folder / "glossary.md"
    if not glossary.is_file():
        return {}
    chapters = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("[0-9]*.ipynb"))
    }
    return plan(glossary.read_text(encoding="utf-8"), chapters)


class Entries(SphinxTransform):
    """Put the entries of a chapter where the plan says."""

    default_priority = 800  # before the index collects what there is

    def apply(self, **kwargs) -> None:
        """Add the words of each section behind its title."""
        name = Path(self.env.docname).name
        number = name.split("-")[0].lstrip("0")
        for section in self.document.findall(nodes.section):
            title = section.next_node(nodes.title).astext()
            # Two blanks before one digit: 2 stands before 10, and a page shows one.
            where = f"chapter {number:>2}: {title}"
            found = self.app.book_index.get(name, {}).get(plain(title), ())
            entries = [
                ("single", f"{word}; {where}", section["ids"][0], "", None)
                for word in found
            ]
            if entries:
                section.insert(1, index(entries=entries))


def start(app) -> None:
    """Read the plan once for all pages."""
    app.book_index = read_plan(Path(app.srcdir) / "book")


def setup(app) -> dict:
    """Tell Sphinx what is here."""
    app.connect("builder-inited", start)
    app.add_transform(Entries)
    return {"version": "1", "parallel_read_safe": True}
