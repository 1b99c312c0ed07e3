"""The build and the chapters: what is stored, what is run again, what fails."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml
from conftest import ROOT

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
KEPT_TAG = "nbval-check-output"


def read(path):
    return nbformat.read(path, as_version=4)


def kept_cells(notebook):
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and KEPT_TAG in cell.metadata.get("tags", [])
    ]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_are_stored_stripped_but_for_tagged_text(path):
    for cell in read(path).cells:
        if cell.cell_type != "code":
            continue
        if KEPT_TAG not in cell.metadata.get("tags", []):
            assert not cell.outputs and cell.execution_count is None
        for output in cell.outputs:
            # Thumbnails must never enter the repository through a stored output.
            kinds = set(output.get("data", {}))
            assert kinds <= {"text/plain"}, f"{path.name} stores {kinds}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_chapter_has_at_least_two_outputs_that_nbval_compares(path):
    cells = kept_cells(read(path))
    assert all(cell.outputs and cell.execution_count for cell in cells)
    assert len(cells) >= 2


def test_storing_outputs_keeps_what_a_page_says_of_itself(small_book):
    path = small_book / "book" / "01-small.ipynb"
    write_chapter(small_book, ("print(1)", None))
    notebook = read(path)
    said = {"html_meta": {"description": "What this page is about."}}
    notebook.metadata.update(myst=said, other="left out")
    nbformat.write(notebook, path)
    code, log = book(small_book, "outputs")
    assert code == 0, log
    assert set(read(path).metadata) == {"kernelspec", "language_info", "myst"}
    assert read(path).metadata["myst"] == said


def test_the_contents_name_every_chapter_and_only_what_is_there():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    named = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    for name in [toc["root"], *named]:
        assert any((ROOT / f"{name}{end}").is_file() for end in (".md", ".ipynb")), name
    assert {f"book/{path.stem}" for path in CHAPTERS} <= set(named)


EXTENSIONS = ("book_index.py", "book_pages.py", "book_quizzes.py")

# A whole book in small: one chapter that shows what the library and the data say.


def write_chapter(root, *cells, name="01-small"):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell("# Small")]
    for source, output in cells:
        cell = nbformat.v4.new_code_cell(source)
        if output is not None:
            cell.metadata["tags"] = [KEPT_TAG]
            cell.execution_count = 1
            cell.outputs = [nbformat.v4.new_output("stream", text=output)]
        notebook.cells.append(cell)
    nbformat.write(notebook, root / "book" / f"{name}.ipynb")


@pytest.fixture
def small_book(tmp_path):
    for folder in ("book", "src", "data", "tools"):
        (tmp_path / folder).mkdir()
    for name in (*EXTENSIONS, "book_address.py"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    for name in ("_config.yml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    words = "# Glossary\n\n:::{glossary}\nsmall\n  Not large.\n:::\n"
    (tmp_path / "book" / "glossary.md").write_text(words)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/01-small\n")
    (tmp_path / "src" / "helper.py").write_text("VALUE = 'first value'\n")
    (tmp_path / "data" / "numbers.txt").write_text("first number")
    # What `make test` leaves behind must not become a page of the book.
    (tmp_path / ".pytest_cache").mkdir()
    (tmp_path / ".pytest_cache" / "README.md").write_text("# Not a chapter\n")
    source = (
        "import sys; sys.path.insert(0, '../src'); import helper\n"
        "print(helper.VALUE, '/', open('../data/numbers.txt').read())"
    )
    write_chapter(tmp_path, (source, None))
    return tmp_path


def book(root, command, **environment):
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "book.py", "--root", root, command],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stderr + done.stdout


def page(root):
    return (root / "_build" / "html" / "book" / "01-small.html").read_text()


def test_a_change_in_src_data_or_requirements_runs_the_chapters_again(small_book):
    code, log = book(small_book, "build")
    assert code == 0, log
    assert log.strip().splitlines()[-1].endswith("index.html")
    assert "first value / first number" in page(small_book)
    index = (small_book / "_build" / "html" / "genindex.html").read_text()
    assert re.search(r'<a href="book/01-small.html#small">chapter +1: Small</a>', index)

    (small_book / "src" / "helper.py").write_text("VALUE = 'second value'\n")
    (small_book / "data" / "numbers.txt").write_text("second number")
    assert book(small_book, "build")[0] == 0
    assert "second value / second number" in page(small_book)

    # Nothing changed: the stored results are used, no kernel starts.
    cache = small_book / "_build" / ".jupyter_cache"
    before = sorted(path.name for path in (cache / "executed").iterdir())
    assert book(small_book, "build")[0] == 0
    assert sorted(path.name for path in (cache / "executed").iterdir()) == before


def test_every_input_of_the_chapters_changes_the_digest(small_book, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book as tool

    for name in ("SCENECAM_SCENES", "SCENECAM_ANIMALS"):
        monkeypatch.delenv(name, raising=False)
    seen = {tool.digest(small_book)}
    (small_book / "requirements.txt").write_text("numpy\n")
    seen.add(tool.digest(small_book))
    (small_book / "data" / "weights").mkdir()
    (small_book / "data" / "weights" / "some.keras").write_bytes(b"weights")
    seen.add(tool.digest(small_book))
    monkeypatch.setenv("SCENECAM_SCENES", "drawn")  # what is taken without it, too
    assert tool.digest(small_book) in seen
    monkeypatch.setenv("SCENECAM_SCENES", "nowhere")
    assert tool.digest(small_book) not in seen
    photographs = small_book / "elsewhere" / "sea"
    photographs.mkdir(parents=True)
    monkeypatch.setenv("SCENECAM_SCENES", str(photographs.parent))
    seen.add(tool.digest(small_book))
    (photographs / "one.jpg").write_bytes(b"picture")
    seen.add(tool.digest(small_book))
    animal = small_book / "data" / "animals" / "test" / "cat" / "one.png"
    animal.parent.mkdir(parents=True)
    animal.write_bytes(b"picture")
    seen.add(tool.digest(small_book))
    monkeypatch.setenv("SCENECAM_ANIMALS", str(photographs.parent))
    seen.add(tool.digest(small_book))
    assert len(seen) == 7
    (small_book / "data" / "cache").mkdir()
    (small_book / "data" / "cache" / "decoded").write_bytes(b"made from the above")
    assert tool.digest(small_book) in seen


def test_the_build_runs_each_chapter_once_with_its_share_of_the_cores(small_book):
    parts = "\nparts: [{chapters: [{file: book/02-small}]}]\n"
    (small_book / "_toc.yml").write_text(f"format: jb-book\nroot: book/01-small{parts}")
    source = (
        "import os\n"
        "with open('../data/cache', 'a') as file:\n"
        "    print(os.environ['OMP_NUM_THREADS'], file=file)"
    )
    write_chapter(small_book, (source, None))
    write_chapter(small_book, (f"{source}  # second", None), name="02-small")
    write_chapter(small_book, ("1 / 0", None), name="03-not-in-the-contents")
    code, log = book(small_book, "build")
    assert code == 0, log
    share = max(1, os.cpu_count() // 2)
    assert (small_book / "data" / "cache").read_text() == f"{share}\n{share}\n"


def test_a_failing_cell_fails_the_build(small_book):
    write_chapter(small_book, ("1 / 0", None))
    code, log = book(small_book, "build")
    assert code != 0
    assert "ZeroDivisionError" in log


def test_a_warning_fails_the_build(small_book):
    notebook = read(small_book / "book" / "01-small.ipynb")
    notebook.cells.append(nbformat.v4.new_markdown_cell("{ref}`nowhere`"))
    nbformat.write(notebook, small_book / "book" / "01-small.ipynb")
    code, log = book(small_book, "build")
    assert code != 0 and "nowhere" in log


def test_a_changed_output_fails_the_check_and_a_pass_is_remembered(small_book):
    write_chapter(small_book, ("print(6 * 7)", "42\n"))
    code, log = book(small_book, "check")
    assert code == 0, log
    assert "passed before" in book(small_book, "check")[1]
    write_chapter(small_book, ("print(6 * 7)", "43\n"))
    code, log = book(small_book, "check")
    assert code != 0 and "43" in log


PIECES = (
    "import sys",
    "1",
    "print(sys.version[0] + '4'); print('five')",
    "from IPython.display import HTML, display; display(HTML('<b>six</b>')); 7",
    "import matplotlib.pyplot as plt; _ = plt.plot([1, 2])",
    "open('../data/cache', 'a').write('once ')",
)


def test_the_build_takes_what_the_check_ran(small_book):
    write_chapter(small_book, ("print(3)", "3\n"), *((piece, None) for piece in PIECES))
    code, log = book(small_book, "check", SCENECAM_SCENES="")
    assert code == 0, log
    code, log = book(small_book, "build", SCENECAM_SCENES="")
    assert code == 0 and "run in" not in log, log
    assert (small_book / "data" / "cache").read_text() == "once "
    found = stored(small_book)
    shutil.rmtree(small_book / "_build")
    code, log = book(small_book, "build", SCENECAM_SCENES="")
    assert code == 0 and "run in" in log, log
    assert found == stored(small_book) and "six" in found


def stored(root):
    """The cells of the one chapter that is in the cache, as text."""
    (file,) = (root / "_build" / ".jupyter_cache").glob("executed/*/*.ipynb")
    return json.dumps(read(file).cells)


def test_a_check_keeps_its_hands_off_a_book_on_photographs(small_book, tmp_path):
    (tmp_path / "photographs" / "sea").mkdir(parents=True)
    where = {"SCENECAM_SCENES": str(tmp_path / "photographs")}
    source = "import os\nprint(os.environ['SCENECAM_SCENES'])"
    write_chapter(small_book, (source, "drawn\n"))
    assert book(small_book, "build", **where)[0] == 0
    before, built = stored(small_book), page(small_book)
    for how in (where, {"SCENECAM_SCENES": ""}):  # set, or in another shell
        code, log = book(small_book, "check", **how)
        assert code == 0, log
        assert "photographs" in before and stored(small_book) == before
        assert page(small_book) == built


def test_the_check_chooses_the_drawn_scenes_whatever_is_set(small_book):
    source = "import os\nprint(os.environ['SCENECAM_SCENES'])"
    write_chapter(small_book, (source, "drawn\n"))
    code, log = book(small_book, "check", SCENECAM_SCENES="/somewhere/else")
    assert code == 0, log


def test_the_build_record_is_plain(small_book):
    write_chapter(small_book, ("print(1)", "1\n"))
    assert book(small_book, "check")[0] == 0
    record = json.loads((small_book / "_build" / "chapters-passed.json").read_text())
    assert list(record) == ["01-small.ipynb"]


def test_only_tensorflows_notes_are_left_out_of_the_log(tmp_path, capfd, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book as tool

    lines = [
        "WARNING: All log messages before absl::InitializeLog() is called are written",
        "I0000 00:00:1795.63 7124 port.cc:153] oneDNN custom operations are on.",
        "book/01-small.md:3: WARNING: undefined label: 'nowhere'",
    ]
    script = f"import sys; sys.stderr.write({chr(10).join(lines)!r}); sys.exit(3)"
    code = tool.call_without_notes([sys.executable, "-c", script], cwd=tmp_path)
    assert code == 3
    assert capfd.readouterr().err.splitlines() == lines[2:]
