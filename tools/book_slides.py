"""Slides of the chapters: their figures and key sentences, and the text as notes.

What a cell becomes stands in its metadata (`slideshow: slide_type`), where
`write_types` puts what `types_of` reads from the chapter itself:

    slide     the first cell, and a text with a section's heading
    subslide  a text with a smaller heading; code that shows something; questions
    fragment  a text without a heading: what was seen in the figure above it
    skip      code that shows nothing, or that the page hides; solutions

`make` takes the chapters as `book.py build` has run them, so nothing runs again. On a
slide stands what fits: the sentences that `book_words` finds, the rest is in the notes.
"""

import ast
import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from html import escape
from importlib import metadata
from io import BytesIO
from pathlib import Path

import book_deck
import book_exercises
import book_pages
import book_quizzes
import book_words

HERE = Path(__file__).parent
# reveal.js comes inside a package of PyPI: no other registry is needed.
CARRIER = "sphinx_revealjs-3.2.1-py3-none-any.whl"
SHA256 = "805bed3ca459346e0f01967d5ed1c40d6b7b917de1541e1e4566c8341fe7017b"
REVEAL = "sphinx_revealjs/_static/revealjs/"
NEEDED = ("LICENSE", "dist/reset.css", "dist/reveal.css", "dist/reveal.js")
NEEDED += ("dist/theme/white.css", "dist/theme/fonts/source-sans-pro/", "plugin/notes/")
SILENT = {"remove-cell", "hide-cell", "remove-output", "wrong-answers"}


def types_of(notebook) -> list[str]:
    """Return what each cell of a chapter becomes."""
    found, in_exercises = [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^(#{1,3}) (.+)", cell.source, re.M)
            for marks, words in headings:
                if len(marks) == 2:
                    in_exercises = words.strip() == "Exercises"
            kind = type_of_text(cell.source, {len(marks) for marks, _ in headings})
            # In an exercise such a text speaks of the solution.
            found.append("skip" if in_exercises and kind == "fragment" else kind)
        else:
            found.append("subslide" if not in_exercises and shows(cell) else "skip")
    return found


def type_of_text(source: str, levels: set[int]) -> str:
    """Return what a text with headings of these levels becomes."""
    if levels:
        return "slide" if min(levels) < 3 else "subslide"
    if "{quiz}" in source:
        return "subslide"
    solution = r"\s*(\*\*Solution|```\{admonition\} Solution)"
    return "skip" if re.match(solution, source) else "fragment"


def shows(cell) -> bool:
    """Tell whether a cell of code puts something on the page."""
    if SILENT & set(cell.metadata.get("tags", [])):
        return False
    if "figure" in cell.metadata.get("mystnb", {}) or cell.get("outputs"):
        return True
    lines = (
        line for line in cell.source.splitlines() if not line.startswith(("%", "!"))
    )
    body = ast.parse("\n".join(lines)).body
    return bool(body) and (isinstance(body[-1], ast.Expr) or any(map(prints, body)))


def prints(node: ast.AST) -> bool:
    """Tell whether a statement calls print; in a function it says nothing yet."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
        return False
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
        return True
    return any(map(prints, ast.iter_child_nodes(node)))


def write_types(paths: list[Path]) -> int:
    """Write into each chapter what its cells become; return an exit code."""
    import nbformat

    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        for cell, kind in zip(notebook.cells, types_of(notebook), strict=True):
            cell.metadata["slideshow"] = {"slide_type": kind}
        if nbformat.writes(notebook) != before:
            nbformat.write(notebook, path)
            print(f"{path.name}: slide types written")
    return 0


def kept_types(notebook, name: str) -> list[str]:
    """Return what the metadata of a chapter says; without it nothing can be shown."""
    found = [c.metadata.get("slideshow", {}).get("slide_type") for c in notebook.cells]
    if None in found:
        what = f"{name}: cell {found.index(None)} has no slide type"
        raise ValueError(f"{what}; run: python tools/book.py slide-types")
    return found


def figures_of(notebooks: dict[str, object]) -> dict[str, str]:
    """Return the number that the book gives each figure, by name."""
    found = {}
    for name, notebook in notebooks.items():
        cells = (cell.metadata.get("mystnb", {}) for cell in notebook.cells)
        named = [cell["figure"]["name"] for cell in cells if "figure" in cell]
        for number, figure in enumerate(named, start=1):
            found[figure] = f"Fig. {int(name[:2])}.{number}"
    return found


def make(root: Path) -> int:
    """Write a deck for each chapter, and an index; return an exit code.

    All of them appear together, in place of older ones, or none.
    """
    target, new = root / "_build" / "slides", root / "_build" / "slides.partial"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        scripts(new, root / "_build" / "packages")
        decks = decks_of(root, new)
    except (LookupError, ValueError, OSError) as error:
        print(f"No slides: {error.args[-1]}")
        return 1
    for name, slides in decks.items():
        (new / f"{name}.html").write_text(to_html(slides), encoding="utf-8")
    (new / "index.html").write_text(index(decks), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    new.rename(target)
    print(target / "index.html")
    return 0


def decks_of(root: Path, target: Path) -> dict[str, list]:
    """Return the slides of each chapter, as the build has run it."""
    from jupyter_cache import get_cache

    cache = get_cache(root / "_build" / ".jupyter_cache")
    paths = book_exercises.chapters(root)
    notebooks = {path.stem: book_exercises.read(path) for path in paths}
    figures = figures_of(notebooks)
    bank = book_quizzes.read_bank(root / "book" / "quizzes")
    papers, found = book_words.papers(root / "book" / "references.bib"), {}
    for name, notebook in notebooks.items():
        kinds = kept_types(notebook, name)
        try:
            _, done = cache.merge_match_into_notebook(notebook)
        except KeyError:
            what = f"{name} has not been run as it is now"
            raise LookupError(f"{what}: run make book, then make slides.") from None
        book = book_words.Book(figures, papers, book_words.glued(done))
        try:
            found[name] = book_deck.deck(done, kinds, book, keeper(target, name), bank)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return found


def keeper(target: Path, name: str):
    """Return what keeps the pictures of a chapter beside its deck."""
    folder = target / "images" / name
    folder.mkdir(parents=True)

    def keep(content: bytes, ending: str) -> str:
        """Keep a picture; a large one as WebP, as the pages do."""
        if ending == "png" and len(content) > book_pages.LARGE:
            light = BytesIO()
            book_pages.to_webp(BytesIO(content), light)
            content, ending = light.getvalue(), "webp"
        path = folder / f"{len(list(folder.iterdir())) + 1:02}.{ending}"
        path.write_bytes(content)
        return path.relative_to(target).as_posix()

    return keep


def scripts(target: Path, packages: Path) -> None:
    """Put beside the decks all that they load: reveal.js, MathJax, the style."""
    archive = packages / CARRIER
    if not archive.is_file():
        fetch(packages)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        archive.unlink()
        raise ValueError(f"{CARRIER} has the digest {digest}, expected {SHA256}")
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            inner = name.removeprefix(REVEAL)
            if inner != name and inner.startswith(NEEDED) and not name.endswith("/"):
                place = target / "reveal" / inner
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(files.read(name))
    (target / "mathjax").mkdir(parents=True, exist_ok=True)
    inside = "sphinx-mathjax-offline/static/mathjax/tex-svg.js"
    formulas = metadata.distribution("sphinx-mathjax-offline").locate_file(inside)
    shutil.copy(formulas, target / "mathjax")
    shutil.copy(HERE / "slides" / "deck.css", target)


def fetch(packages: Path) -> None:
    """Fetch the package that carries reveal.js."""
    package = "==".join(CARRIER.split("-")[:2])
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
    command += ["--disable-pip-version-check", "-d", packages, package]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not (packages / CARRIER).is_file():
        what = f"pip could not fetch {package}, the package that carries reveal.js"
        raise OSError(f"{what}; run make slides once where there is a network.")


def to_notebook(slides: list):
    """Return slides as a notebook of texts that nbconvert makes a deck of."""
    import nbformat

    notebook = nbformat.v4.new_notebook()
    for number, slide in enumerate(slides):
        over = f'<p class="over">{slide.over}</p>\n\n' if slide.over else ""
        title = f"{over}{'##' if number else '#'} {slide.title}"
        parts = [(slide.kind, "\n\n".join((title, *slide.shown)))]
        parts += [("fragment", "\n\n".join(slide.seen))] if slide.seen else []
        parts += [("notes", "\n\n".join(filter(None, slide.notes)))]
        for kind, text in parts:
            cell = nbformat.v4.new_markdown_cell(text)
            cell.metadata["slideshow"] = {"slide_type": kind}
            notebook.cells.append(cell)
    return notebook


def to_html(slides: list) -> str:
    """Return slides as the page that shows them; scripts lie beside it."""
    from nbconvert import SlidesExporter

    exporter = SlidesExporter(
        template_name="slides",
        extra_template_basedirs=[str(HERE)],
        exclude_anchor_links=True,
        reveal_url_prefix="reveal",
        reveal_theme="white",
        embed_images=False,
    )
    notebook = to_notebook(slides)
    notebook.metadata["title"] = slides[0].title
    return exporter.from_notebook_node(notebook)[0]


def index(decks: dict[str, list]) -> str:
    """Return the page that lists the decks."""
    rows = "\n".join(
        f'<li value="{int(name[:2])}"><a href="{name}.html">'
        f"{escape(slides[0].title)}</a>, {len(slides)} slides</li>"
        for name, slides in decks.items()
    )
    page = (HERE / "slides" / "list.html").read_text(encoding="utf-8")
    return page.replace("<!-- decks -->", rows)
