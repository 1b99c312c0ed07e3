"""The drawn scenes: same bytes everywhere, true masks, shared ingredients, sizes."""

import ast
import hashlib

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from scenecam import synth
from scenecam.synth import CLASS_NAMES, draw_scene, draw_scenes

BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def scenes():
    return draw_scenes(180, seed=11)


def digest(scenes):
    return hashlib.sha256(scenes.images.tobytes() + scenes.masks.tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (48, "17845492368ed7eaafeda238d559837c07ac5900daf594d869090a2ef42d36d1"),
        (96, "82c0d1e6a8f1ef63810900050dc35c86aa71e86e51b11fc6a57494292b4780a3"),
    ],
)
def test_a_seed_gives_the_same_bytes_on_every_machine(size, expected):
    assert digest(draw_scenes(30, size=size, seed=2024)) == expected


# What is laid over the scenes afterwards has to be as exact as they are.
@pytest.mark.parametrize(
    "module", "canvas nature town landscapes townscapes compose".split()
)
def test_no_function_is_used_whose_last_bit_depends_on_the_processor(module):
    exact = {
        "abs", "arange", "argsort", "array", "ascontiguousarray", "asarray",
        "broadcast_to", "copyto", "count_nonzero", "empty", "flatnonzero", "float32",
        "float64", "full", "int64", "integer", "intp", "isscalar", "maximum", "minimum",
        "ndarray", "ones_like", "random", "uint8", "where", "zeros", "zeros_like",
    }  # fmt: skip
    tree = ast.parse((ROOT / f"src/scenepainter/{module}.py").read_text())
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


def test_a_longer_set_begins_with_the_shorter_one():
    short, long = draw_scenes(5, size=48, seed=3), draw_scenes(9, size=48, seed=3)
    assert np.array_equal(short.images, long.images[:5])
    assert np.array_equal(short.masks, long.masks[:5])


def test_seeds_and_scenes_differ(scenes):
    other = draw_scenes(6, seed=12)
    assert not any(
        np.array_equal(a, b) for a, b in zip(scenes.images, other.images, strict=False)
    )
    assert len({image.tobytes() for image in scenes.images}) == len(scenes)


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
    assert own.mean(axis=(1, 2)).min() >= synth.MIN_SHARE
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


def test_sets_are_balanced_and_typed(scenes):
    assert np.array_equal(np.bincount(scenes.labels), [30] * 6)
    assert scenes.class_names == CLASS_NAMES
    assert scenes.images.shape == (180, 96, 96, 3) and scenes.images.dtype == np.uint8
    assert scenes.masks.shape == (180, 96, 96) and scenes.masks.dtype == np.uint8
    assert len(draw_scenes(0)) == 0


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
    assert share >= synth.MIN_SHARE


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="'desert'.*buildings"):
        draw_scene("desert")
    with pytest.raises(ValueError, match="'sand'"):
        draw_scene("sea", recolour={"sand": BLACK})
    with pytest.raises(ValueError, match="32 to 512; received 20"):
        draw_scenes(3, size=20)
    with pytest.raises(ValueError, match="received 96.0"):
        draw_scenes(3, size=96.0)
    with pytest.raises(ValueError, match="received -1"):
        draw_scenes(-1)
