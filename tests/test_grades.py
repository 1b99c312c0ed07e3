"""Students' notebooks against the book's checks: what passes, what cannot."""

import ast
import csv
import os
import subprocess
import sys

import nbformat
import pytest
from chapters import CHAPTERS, code_cells, read, tags_of
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import book_exercises
import book_grades

import book as tool

sys.path.pop(0)

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)

DOUBLE = '''def check_double(double):
    """Try it on a number."""
    if double(base) == 2 * base:
        return "right: twice as much"
    return f"wrong: {base} should become {2 * base}, not {double(base)}"'''
PARTS = '''def check_parts(first, second):
    """Judge two numbers, each by itself."""
    for word, found in (("First", first), ("Second", second)):
        print(f"{word}: right." if found == base else f"{word}: not {found}, think.")'''
SOLVED = "def double(x):\n    return 2 * x\n\n\nprint(check_double(double))"
CHAPTER = [
    ("# A chapter\n\n## Exercises\n\n### 1. Twice (easy)", None),
    ("base = 3\nnumbers = list(range(base))", []),
    (DOUBLE, ["hide-input"]),
    ("**Solution**", None),
    (SOLVED, ["hide-cell"]),
    ("### 2. Parts (hard)", None),
    (PARTS, ["hide-input"]),
    ("**Solution**", None),
    ("check_parts(base, numbers[-1] + 1)", ["hide-cell"]),
    ("print(check_double(lambda x: x))\ncheck_parts(0, 0)", ["wrong-answers"]),
]


def notebook_of(pairs):
    notebook = nbformat.v4.new_notebook()
    for number, (source, tags) in enumerate(pairs):
        if tags is None:
            cell = nbformat.v4.new_markdown_cell(source)
        else:
            cell = nbformat.v4.new_code_cell(source, metadata={"tags": tags})
        cell.id = f"cell-{number:03d}"
        notebook.cells.append(cell)
    return notebook


@pytest.fixture
def root(tmp_path):
    (tmp_path / "book").mkdir()
    nbformat.write(notebook_of(CHAPTER), tmp_path / "book" / "01-small.ipynb")
    return tmp_path


@pytest.fixture
def hand_in(root):
    """Write a chapter with cells added at its end, changed or left out."""

    def write(name, *added, change=None, without=(), new_ids=False):
        notebook = notebook_of(CHAPTER)
        for place, source in (change or {}).items():
            notebook.cells[place].source = source
        kept = [c for n, c in enumerate(notebook.cells) if n not in without]
        notebook.cells = kept + [nbformat.v4.new_code_cell(one) for one in added]
        if new_ids:
            for cell in notebook.cells:
                cell.id = nbformat.v4.new_code_cell().id
        path = root / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    return write


def grade(root, *paths, limit=20):
    return book_grades.grade(
        root,
        [str(path) for path in paths],
        run_side_by_side=tool.side_by_side,
        environment=lambda count: tool.kernel_environment(),
        limit=limit,
    )


def states(row):
    return [state for state, _ in row.results.values()]


def test_an_answer_passes_and_fails_by_what_the_check_says(root, hand_in):
    right = hand_in("right", SOLVED, "check_parts(3, 3)")
    wrong = hand_in("wrong", "print(check_double(lambda x: 9))", "check_parts(3, 1)")
    late = hand_in("late", "check_double(lambda x: 9)", SOLVED, "check_double(abs)")
    rows = grade(root, right, wrong, late)
    assert [row.remark for row in rows] == [""] * 3
    assert [row.chapter for row in rows] == ["01-small"] * 3
    assert rows[0].results == {
        "1": ("passed", "right: twice as much"),
        "2": ("passed", "First: right. Second: right."),
    }
    assert rows[1].results == {
        "1": ("failed", "wrong: 3 should become 6, not 9"),
        "2": ("failed", "First: right. Second: not 1, think."),
    }
    assert states(rows[2]) == ["passed", "not tried"]


def test_the_folded_solutions_answer_for_nobody(root, hand_in):
    (as_it_is,) = grade(root, root / "book" / "01-small.ipynb")
    assert states(as_it_is) == ["not tried"] * 2 and "nothing to grade" in str(as_it_is)
    kept = hand_in("kept", "print(check_double(double))", new_ids=True)
    (row,) = grade(root, kept)  # `double` is the solution's
    assert states(row) == ["not tried"] * 2 and "NameError" in row.remark
    over = hand_in("over", change={4: SOLVED.replace("2 * x", "x + x")})
    assert states(grade(root, over)[0]) == ["passed", "not tried"]


EASY = 'def check_double(double):\n    return "right: twice as much"'
ASK = "print(check_double(lambda x: 0))"


@pytest.mark.parametrize(
    ("name", "added", "change"),
    [
        ("edited", [ASK], {2: EASY}),
        ("edited and asked in one cell", [ASK], {2: f"{EASY}\n{ASK}"}),
        ("defined anew", [EASY, ASK], {}),
        ("assigned", ["check_double = lambda double: 'right: yes'", ASK], {}),
        ("its number changed", ["base = 0", ASK], {}),
        ("its number changed above", [ASK], {1: "base, numbers = 0, []"}),
        ("its words quoted", ["check_double(lambda x: '\\nright: yes')"], {}),
        ("its words printed", ["check_double(lambda x: print('right: yes'))"], {}),
    ],
)
def test_no_change_of_the_check_or_its_names_passes(root, hand_in, name, added, change):
    (row,) = grade(root, hand_in("student", *added, change=change))
    state, said = row.results["1"]
    assert state == "failed" and said.startswith("wrong: 3 should become 6, not"), name
    redefined = name.startswith(("edited", "defined", "assigned"))
    assert ("its own check_double was set aside" in row.remark) == redefined


def test_errors_cells_left_out_and_other_ids_do_not_end_the_run(root, hand_in):
    added = ["1 / 0", "this is no Python", "input()", SOLVED, "check_parts(3, 3)"]
    for new_ids in (False, True):
        path = hand_in("much", *added, without=(1, 2, 9), new_ids=new_ids)
        (row,) = grade(root, path)
        assert row.whole and states(row) == ["passed", "passed"]
        assert row.remark.startswith("3 of its cells end with an error: `1 / 0`")


def test_names_of_the_student_stay_the_students(root, hand_in):
    """What the student binds is there in the next cell, whatever the book calls so."""
    cells = [
        "base = 7",
        "double = lambda x: x + base - 4",
        "print(check_double(double))",
    ]
    (row,) = grade(root, hand_in("own", *cells))
    assert states(row)[0] == "passed"  # 3 + 7 - 4


def test_a_cell_without_end_and_a_kernel_that_dies_cost_what_comes_after(
    root, hand_in, monkeypatch
):
    endless = hand_in("endless", SOLVED, "while True: print(1)", "check_parts(3, 3)")
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile 1: pass"
    dead = hand_in("dead", SOLVED, "import os; os._exit(1)", "check_parts(3, 3)")
    monkeypatch.setattr(book_grades.book_runs, "CONTROL_LIMIT", 5)
    rows = grade(root, endless, hand_in("deaf", SOLVED, deaf, ASK), dead, limit=3)
    assert [states(row) for row in rows] == [
        ["passed", "passed"],
        ["passed", "not tried"],
        ["passed", "not tried"],
    ]
    assert not any(row.whole for row in rows)
    assert "was stopped after 3 s: `while True: print(1)`" in rows[0].remark
    assert "did not answer any more" in rows[1].remark
    assert "ended the kernel: `import os; os._exit(1)`" in rows[2].remark


def test_the_command_names_what_is_wrong_with_a_file_and_goes_on(root, hand_in):
    folder = root / "handed-in"
    folder.mkdir()
    hand_in("right", SOLVED, "check_parts(3, 3)").rename(folder / "right.ipynb")
    (folder / "broken.ipynb").write_text("{")
    (folder / "list.ipynb").write_text("[1]")
    (folder / "bytes.ipynb").write_bytes(b"\xff\xfe\x00")
    other = notebook_of([("print('something else')", [])])
    nbformat.write(other, folder / "other.ipynb")
    (root / "empty").mkdir()
    table = root / "table.csv"
    files = [folder, root / "none.ipynb", root / "empty", ROOT / "README.md"]
    command = [sys.executable, ROOT / "tools" / "book.py", "--root", root, "grade"]
    done = subprocess.run(
        [*command, *files, "--csv", table], capture_output=True, text=True
    )
    assert done.returncode == 1 and not done.stderr, done.stderr
    with table.open(newline="") as file:
        rows = {os.path.basename(row["notebook"]): row for row in csv.DictReader(file)}
    assert rows["right.ipynb"]["passed"] == "2 of 2"
    assert rows["right.ipynb"]["said of 1"] == "right: twice as much"
    wrong = {name: row["remark"] for name, row in rows.items() if row["remark"]}
    for name, words in {
        "broken.ipynb": "no notebook that can be read",
        "list.ipynb": "no notebook that can be read",
        "bytes.ipynb": "no notebook that can be read",
        "other.ipynb": "not a chapter of this book",
        "none.ipynb": "no such file",
        "empty": "a folder without notebooks",
        "README.md": "no notebook: its name does not end in .ipynb",
    }.items():
        assert words in wrong.pop(name), name
    assert not wrong
    for row in rows.values():
        assert row["notebook"] in done.stdout and row["remark"] in done.stdout
    whole = subprocess.run([*command, folder / "right.ipynb"], capture_output=True)
    assert whole.returncode == 0


# The chapters as they stand.


@each_chapter
def test_each_check_of_a_chapter_belongs_to_one_exercise(path):
    notebook = read(path)
    found = [
        name for names in book_exercises.exercises(notebook).values() for name in names
    ]
    cells = code_cells(notebook)
    defined = [name for cell in cells for name in book_exercises.checks_defined(cell)]
    assert found == defined and len(set(found)) == len(found)


@each_chapter
def test_each_check_has_a_word_for_a_right_answer(path):
    for cell in code_cells(read(path)):
        for check in book_exercises.tree_of(cell.source).body:
            if getattr(check, "name", "").startswith("check_"):
                texts = [
                    n.value for n in ast.walk(check) if isinstance(n, ast.Constant)
                ]
                words = [text for text in texts if isinstance(text, str)]
                assert any(map(book_grades.is_right, words)), check.name


@each_chapter
def test_what_a_check_says_of_right_and_of_wrong_answers_is_told_apart(path):
    """By the stored outputs of solutions and wrong answers."""
    for cell in code_cells(read(path)):
        if not cell.outputs or not book_exercises.is_solution(cell):
            continue
        lines = "".join(output.text for output in cell.outputs).splitlines()
        if "wrong-answers" in tags_of(cell):
            assert not any(book_grades.is_right(line) for line in lines)
        elif len(set(book_exercises.checks_called(cell))) == 1:
            # A solution may print more, on the line and above it.
            said = [line for line in lines if "right" in line.lower()]
            assert said and any(
                book_grades.is_right(line[line.lower().index("right") :])
                or book_grades.is_right(line)
                for line in said
            )
    assert not book_grades.is_right("First: right.\nSecond: too large.")
    assert not book_grades.is_right("The kernels are right; one thing is missing.")


def test_each_chapter_is_known_by_its_cells():
    book = [book_grades.read_chapter(path) for path in CHAPTERS]
    for chapter in book:
        half = chapter.cells[: len(chapter.cells) // 2]
        assert book_grades.chapter_of(half, book).name == chapter.name
