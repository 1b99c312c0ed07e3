"""Where a chapter can run: in any folder, with what it says that it needs."""

import ast
import re
import subprocess
import sys

import pytest
from chapters import CHAPTERS, code_cells, plain_python, read, tree_of

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@each_chapter
def test_the_first_cell_says_what_the_chapter_needs_and_does_nothing(path):
    cell = code_cells(read(path))[0]
    assert re.fullmatch(r"# Needs: \w.{15,70}\.", cell.source), cell.source
    assert cell.metadata["tags"] == ["remove-cell"]  # readers of the page skip it


@each_chapter
def test_no_cell_calls_a_shell_or_installs_anything(path):
    for cell in code_cells(read(path)):
        source = plain_python(cell.source)
        assert not re.search(r"\.system\(|run_(line|cell)_magic|\bpip\b", source)


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
