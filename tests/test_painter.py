"""The painter: true masks, shared ingredients, all sizes, and a digest that tells."""

import ast
import importlib
import inspect
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import scenepainter
from scenecam.synth import draw_scene, draw_scenes
from scenepainter import CLASS_NAMES, canvas, compose
from scenepainter.compose import MIN_SHARE

SOURCE = ROOT / "src" / "scenepainter"
BRUSHES = ("canvas", "nature", "town", "landscapes", "townscapes")
BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def scenes():
    return draw_scenes(180, seed=11)


@pytest.mark.parametrize("module", [*BRUSHES, "compose", "marks"])
def test_no_function_is_used_whose_last_bit_depends_on_the_processor(module):
    exact = {
        "abs", "arange", "argsort", "array", "ascontiguousarray", "asarray",
        "broadcast_to", "copyto", "count_nonzero", "empty", "flatnonzero", "float32",
        "float64", "full", "int64", "integer", "intp", "isscalar", "maximum", "minimum",
        "ndarray", "ones_like", "random", "uint8", "where", "zeros", "zeros_like",
    }  # fmt: skip
    tree = ast.parse((SOURCE / f"{module}.py").read_text())
    nodes = list(ast.walk(tree))
    used = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np"
    }
    assert used <= exact
    methods = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert not methods & {"sum", "mean", "std", "dot", "normal", "standard_normal"}
    # Products of matrices, and powers of arrays: the latter go to the C library.
    operators = [n.op for n in nodes if isinstance(n, (ast.BinOp, ast.AugAssign))]
    assert not any(isinstance(op, ast.MatMult) for op in operators)
    powers = [
        n for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow)
    ]
    assert all(ast.unparse(n.right) == "2" for n in powers)


@pytest.mark.parametrize("class_name", CLASS_NAMES)
@pytest.mark.parametrize("painted", CLASS_NAMES)
def test_recolouring_a_class_changes_the_pixels_of_its_mask_and_no_others(
    class_name, painted
):
    seen = 0
    for seed in range(6):
        image, mask = draw_scene(class_name, seed=seed)
        dark, dark_mask = draw_scene(class_name, seed=seed, recolour={painted: BLACK})
        pale, pale_mask = draw_scene(class_name, seed=seed, recolour={painted: WHITE})
        assert np.array_equal(mask, dark_mask) and np.array_equal(mask, pale_mask)
        inside = mask == CLASS_NAMES.index(painted)
        assert np.array_equal((dark != pale).any(axis=-1), inside)
        assert np.array_equal(image[~inside], dark[~inside])
        seen += np.count_nonzero(inside)
    assert seen or painted != class_name


def test_every_scene_shows_enough_of_its_own_class(scenes):
    own = scenes.masks == scenes.labels[:, None, None]
    assert own.mean(axis=(1, 2)).min() >= MIN_SHARE
    assert set(np.unique(scenes.masks)) <= {*range(6), 255}


@pytest.mark.parametrize(
    ("scene", "guest", "part"),
    [
        ("street", "buildings", 0.8),
        ("buildings", "street", 0.4),
        ("glacier", "mountain", 0.6),
        ("glacier", "sea", 0.1),
        ("sea", "mountain", 0.3),
        ("mountain", "forest", 0.3),
    ],
)
def test_classes_share_ingredients(scenes, scene, guest, part):
    masks = scenes.masks[scenes.labels == CLASS_NAMES.index(scene)]
    shows = (masks == CLASS_NAMES.index(guest)).mean(axis=(1, 2)) > 0.01
    assert shows.mean() > part


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_one_seed_is_one_scene_at_every_size(class_name):
    for seed in range(3):
        small, small_mask = draw_scene(class_name, size=48, seed=seed)
        large, large_mask = draw_scene(class_name, size=192, seed=seed)
        shrunk = large.reshape(48, 4, 48, 4, 3).mean(axis=(1, 3))
        assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.6
        assert (large_mask[2::4, 2::4] == small_mask).mean() > 0.75


@given(
    class_name=st.sampled_from(CLASS_NAMES),
    size=st.integers(32, 160),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=25, deadline=None)
def test_any_seed_and_size_draws_a_scene(class_name, size, seed):
    image, mask = draw_scene(class_name, size=size, seed=seed)
    assert image.shape == (size, size, 3) and mask.shape == (size, size)
    assert image.std() > 2
    share = (mask == CLASS_NAMES.index(class_name)).mean()
    assert share >= MIN_SHARE


# --- the digest -------------------------------------------------------------


def digest_of(folder):
    """The digest of a copy of the painter, imported in place of the one in use."""

    def painter():
        return {name for name in sys.modules if name.split(".")[0] == "scenepainter"}

    own = {name: sys.modules.pop(name) for name in painter()}
    sys.path.insert(0, str(folder))
    try:
        copy = importlib.import_module("scenepainter")
        assert Path(copy.__file__).is_relative_to(folder)
        return copy.digest()
    finally:
        sys.path.remove(str(folder))
        for name in painter():
            del sys.modules[name]
        sys.modules.update(own)


@pytest.fixture
def copied(tmp_path):
    """The folder of a copy of the painter that a test may change."""
    shutil.copytree(SOURCE, tmp_path / "scenepainter")
    shutil.rmtree(tmp_path / "scenepainter" / "__pycache__", ignore_errors=True)
    return tmp_path


def test_other_comments_and_docstrings_leave_the_digest(copied):
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in (copied / "scenepainter").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, documented) and ast.get_docstring(node):
                node.body[0].value.value = "Say it in other words."
        # Without the comments and in another layout: a tree does not keep them.
        path.write_text(f"# Another comment.\n{ast.unparse(tree)}\n")
    assert digest_of(copied) == scenepainter.digest()


@pytest.mark.parametrize(
    ("room", "before", "after"),
    [
        ("canvas", "3 - 2 * t", "3 - 2.001 * t"),
        ("canvas", '"cracks": (4, 10, 4, 0.7)', '"cracks": (4, 10, 5, 0.7)'),
        ("canvas", "int(step + 0.5)", "int(step + 0.4)"),  # seen in large pictures only
        ("canvas", "c.u(0.005, 0.04)", "c.u(0.005, 0.041)"),
        ("canvas", "(0.96, 1.0, 1.05)", "(0.96, 1.0, 1.06)"),
        ("nature", "light.sun_y = True, c.u(0.1, 0.5)", "light.sun_y = True, 0.3"),
        ("nature", "drop * 2", "drop * 3"),
        ("nature", "facing * 1.8", "facing * 1.7"),
        ("nature", "height * 0.42", "height * 0.43"),
        ("nature", "surf * 1.6", "surf * 1.5"),
        ("nature", "soft * 0.5) * 5", "soft * 0.5) / 5"),
        ("nature", "-0.4)\n", "+0.4)\n"),
        ("town", "tint * 1.18", "tint * 1.17"),
        ("town", "flat + t *", "flat - t *"),
        ("town", "ribs * FLOAT(0.3)", "ribs * FLOAT(0.31)"),
        ("town", "depth * 9", "depth * 8"),
        ("town", "gap > 0.02", "gap > 0.05"),
        ("town", "base - width * 1.3\n", "base - width * 1.2\n"),
        ("landscapes", '"snow": ((0.22, 0.45)', '"snow": ((0.22, 0.46)'),
        ("landscapes", "across * across * 0.12", "across * across * 0.2"),
        ("landscapes", "cells=2, tall=0.3", "cells=2, tall=0.2"),
        ("landscapes", "drop * 2) * 2.5", "drop * 2) * 2.4"),
        ("landscapes", "across * 0.6 + 0.2)", "across * 0.6 - 0.2)"),
        ("landscapes", "c.chance(0.08)", "c.chance(0.0801)"),
        ("townscapes", "wide * 0.45", "wide * 0.6"),
        ("townscapes", '"front side side"', '"front front side"'),
        ("townscapes", "0.5 / c.size", "1.5 / c.size"),
        ("townscapes", "c.u(1.3, 1.7)", "c.u(1.3, 1.8)"),
        ("compose", "0.05, 0.05, 0.12, 0.25", "0.05, 0.05, 0.12, 0.26"),
        ("compose", "MIN_SHARE = 0.15", "MIN_SHARE = 0.16"),
    ],
)
def test_a_changed_brush_changes_the_digest(copied, room, before, after):
    path = copied / "scenepainter" / f"{room}.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")
    assert digest_of(copied) != scenepainter.digest()


def lines_of(code):
    """The numbers of the lines that a function and those inside it can run."""
    found = {line for *_, line in code.co_lines() if line} - {code.co_firstlineno}
    inner = (part for part in code.co_consts if isinstance(part, types.CodeType))
    return found.union(*map(lines_of, inner))


def brushes(room):
    """The functions of a room, and the methods of its classes."""
    own = [
        x for x in vars(room).values() if getattr(x, "__module__", "") == room.__name__
    ]
    own += [method for x in own if inspect.isclass(x) for method in vars(x).values()]
    own = [getattr(x, "__wrapped__", x) for x in own]
    return [
        x
        for x in own
        if inspect.isfunction(x) and x.__code__.co_filename == room.__file__
    ]


def test_the_scenes_of_the_digest_show_what_nearly_every_line_paints():
    rooms = [importlib.import_module(f"scenepainter.{name}") for name in BRUSHES]
    lines = {
        (room.__file__, line)
        for room in rooms
        for brush in brushes(room)
        for line in lines_of(brush.__code__)
    }
    run = set()

    def trace(frame, event, argument):
        if "scenepainter" not in frame.f_code.co_filename:
            return None
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    canvas.texture.cache_clear()
    canvas._lattice.cache_clear()
    tracing = sys.gettrace()
    sys.settrace(trace)
    try:
        compose.digest.__wrapped__()
    finally:
        sys.settrace(tracing)
    assert len(lines) > 800
    # What is left: flat recolouring, and a terrace that lies outside of the picture.
    assert len(lines - run) <= 4, sorted(lines - run)
