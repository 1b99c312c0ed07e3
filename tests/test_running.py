"""Where a chapter can run: in any folder, in Colab; and the project's one address."""

import ast
import re
import subprocess
import sys
import types

import pytest
import yaml
from chapters import CHAPTERS, PAGES, code_cells, plain_python, read, tree_of
from conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def address_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["urls"]["Repository"]


def test_everything_names_one_address_of_the_project():
    address = address_of_the_project()
    owner, name = address.removeprefix("https://github.com/").split("/")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["repository"]["url"] == address
    assert config["html"]["baseurl"] == f"https://{owner}.github.io/{name}/"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["repository-code"] == address
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES, *CHAPTERS]
    for path in files:
        text = path.read_text(encoding="utf-8")
        for other in re.findall(rf"github\.com/({owner}/[\w.-]+|[\w.-]+/{name})", text):
            assert other.removesuffix(".git") == f"{owner}/{name}", path.name
    assert address in (ROOT / "README.md").read_text()


@pytest.fixture
def colab(monkeypatch):
    """A Python that looks like Colab's; what would be installed is written down."""
    done = []
    shell = types.SimpleNamespace(
        system=lambda line: done.append(("!", line)),
        run_line_magic=lambda name, line, *rest: done.append((name, line)),
    )
    package = types.ModuleType("google.colab")
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return done, {"get_ipython": lambda: shell}


def first_cell(path):
    return code_cells(read(path))[0]


@each_chapter
def test_the_first_cell_installs_the_library_in_colab(path, colab):
    done, names = colab
    source = first_cell(path).source
    exec(plain_python(source), names)
    (_, clone), (magic, install) = done
    assert clone.split()[:2] == ["git", "clone"]
    assert clone.split()[-1] == address_of_the_project()
    assert magic == "pip" and "-e ./scenecam" in install
    assert sys.path[0] == "/content/scenecam/src"
    used = {"myst-nb", "anywidget"}  # of what chapters import, what Colab does not have
    assert used <= set(install.split())


@each_chapter
def test_the_first_cell_does_nothing_elsewhere_and_says_what_is_needed(path):
    cell = first_cell(path)
    before = list(sys.path)
    shell = types.SimpleNamespace()  # anything asked of it would raise
    exec(
        plain_python(cell.source),
        {"get_ipython": lambda: shell},
    )
    assert sys.path == before
    assert cell.metadata["tags"] == ["remove-cell"]  # readers of the page skip it
    first, rest = cell.source.split("\n", 1)
    assert re.match(r"# Needs: \w.{15,70}\.$", first), first
    assert rest == first_cell(CHAPTERS[0]).source.split("\n", 1)[1]


READERS = re.compile(
    r"(^|\.)(open|Path|load|loadtxt|imread|read_image|load_folder|load_model|read_text)$"
)


@each_chapter
def test_no_cell_reads_or_writes_relative_to_where_it_runs(path):
    for cell in code_cells(read(path)):
        for node in ast.walk(tree_of(cell.source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                starts = r"\.{1,2}/|(data|src|book|tests)/"
                assert not re.match(starts, node.value), f"{path.name}: {node.value!r}"
            if isinstance(node, ast.Call) and READERS.search(ast.unparse(node.func)):
                literal = node.args and isinstance(node.args[0], ast.Constant)
                assert not literal, f"{path.name}: {ast.unparse(node)}"


def test_a_chapter_starts_in_any_folder(tmp_path):
    chapter = next(path for path in CHAPTERS if path.stem.startswith("03"))
    cells = [plain_python(cell.source) for cell in code_cells(read(chapter))]
    script = tmp_path / "chapter.py"
    script.write_text("\n".join([*cells[:3], "print(scenes.images.shape)"]))
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(300, 96, 96, 3)")
    assert [path.name for path in tmp_path.iterdir()] == ["chapter.py"]
