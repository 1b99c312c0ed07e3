"""How much there is to read: lines, lines of code, and the longest function bodies."""

import ast

import pytest
from conftest import ROOT

# package: lines, lines of code (None: any number), lines of one function's body.
LIMITS = {
    "scenecam": (9_600, 5_400, 60),
    "scenepainter": (2_500, None, 80),
    "scenecam_cli": (3_000, None, 80),
}
TOGETHER = 15_100


def docstring_of(node):
    """The docstring of a module, class or function, as a node, or None."""
    first = node.body[0] if node.body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first if is_text and isinstance(first.value.value, str) else None


def measure(path):
    """Lines of a file, those that are code, and the bodies of its functions."""
    text = path.read_text(encoding="utf-8")
    lines, said, bodies = text.splitlines(), set(), {}
    for node in ast.walk(ast.parse(text)):
        if not hasattr(node, "body") or not isinstance(node.body, list):
            continue
        doc = docstring_of(node)
        if doc:
            said |= set(range(doc.lineno, doc.end_lineno + 1))
        if isinstance(node, ast.FunctionDef):
            start = doc.end_lineno + 1 if doc else node.body[0].lineno
            bodies[f"{path.name}: {node.name}"] = node.end_lineno - start + 1
    code = [
        line
        for number, line in enumerate(lines, start=1)
        if number not in said and line.strip() and not line.lstrip().startswith("#")
    ]
    return len(lines), len(code), bodies


def measure_package(name):
    found = [measure(path) for path in sorted((ROOT / "src" / name).rglob("*.py"))]
    bodies = {}
    for _, _, own in found:
        bodies |= own
    return sum(each[0] for each in found), sum(each[1] for each in found), bodies


@pytest.mark.parametrize("name", LIMITS)
def test_a_package_is_short_enough_to_read(name):
    most_lines, most_code, most_body = LIMITS[name]
    lines, code, bodies = measure_package(name)
    print(f"{name}: {lines} lines, {code} of code, longest body {max(bodies.values())}")
    assert lines <= most_lines
    assert most_code is None or code <= most_code
    assert {k: v for k, v in bodies.items() if v > most_body} == {}


def test_all_of_them_together_are():
    assert sum(measure_package(name)[0] for name in LIMITS) <= TOGETHER


def test_what_counts(tmp_path):
    path = tmp_path / "room.py"
    path.write_text('"""Said."""\n\n# Why.\ndef f():\n    """Said."""\n    return 1\n')
    assert measure(path) == (6, 2, {"room.py: f": 1})
