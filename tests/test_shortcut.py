"""The planted shortcut: only its own pixels change, and the masks know which."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenecam import synth
from scenecam.scenes import SceneSet
from scenecam.shortcut import KINDS, plant_mark

ALL = {"share": 1, "others": 1}


@pytest.fixture(scope="module")
def scenes():
    return synth.draw_scenes(60, size=48, seed=4)


def noise(count=12, size=(40, 64), classes=("left", "right", "up"), seed=0):
    """Pictures of no size or class that the drawn scenes have, without masks."""
    rng = np.random.default_rng(seed)
    return SceneSet(
        images=rng.integers(0, 256, (count, *size, 3), np.uint8),
        labels=np.arange(count) % len(classes),
        class_names=classes,
        paths=tuple(f"{i}.jpg" for i in range(count)),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_outside_the_mark_stay_and_most_of_those_inside_change(scenes, kind):
    marked, marks = plant_mark(scenes, "sea", kind=kind, **ALL)
    changed = (marked.images != scenes.images).any(axis=-1)
    assert not (changed & ~marks).any()
    assert (changed & marks).sum() > 0.9 * marks.sum()
    assert marks.any(axis=(1, 2)).all()
    assert 0.005 < marks.mean() < 0.04  # small


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "watermark",
            "fecd5ef7706f1b3130eda280048bc4236949c6918785afa2d4ba95040eb8f8b1",
        ),
        ("tint", "54a887bbfae9e41761dee44654898a60d8f4a702afcf324c49812e12d45df0a9"),
        (
            "flagpole",
            "7e1ba3601b382ebf5893ef1d59a74df1127fad3977be84f13c22325b063ddd7e",
        ),
    ],
)
def test_a_seed_gives_the_same_bytes_on_every_machine(kind, expected):
    marked, marks = plant_mark(noise(), "up", kind=kind, share=0.5, others=0.5, seed=7)
    digest = hashlib.sha256(marked.images.tobytes() + marks.tobytes()).hexdigest()
    assert digest == expected


def test_the_share_of_the_class_bears_the_mark_and_no_other_class(scenes):
    for share, count in ((0, 0), (0.25, 3), (0.9, 9), (1, 10)):
        marked, marks = plant_mark(scenes, "forest", share=share)
        bears = marks.any(axis=(1, 2))
        assert bears[scenes.labels == 1].sum() == count
        assert not bears[scenes.labels != 1].any()
        assert np.array_equal(marked.images[~bears], scenes.images[~bears])


def test_the_mark_can_be_moved_to_the_other_classes(scenes):
    _, marks = plant_mark(scenes, "forest", share=0, others=0.5)
    bears = marks.any(axis=(1, 2))
    assert np.bincount(scenes.labels[bears], minlength=6).tolist() == [5, 0, 5, 5, 5, 5]


def test_a_larger_share_keeps_the_marks_of_a_smaller_one(scenes):
    few, few_marks = plant_mark(scenes, "street", share=0.3, seed=5)
    many, many_marks = plant_mark(scenes, "street", share=0.8, others=0.4, seed=5)
    bears = few_marks.any(axis=(1, 2))
    assert np.array_equal(many_marks[bears], few_marks[bears])
    assert np.array_equal(many.images[bears], few.images[bears])


def test_places_vary_a_little_and_stay_in_their_corner(scenes):
    for kind, drawn in KINDS.items():
        _, marks = plant_mark(scenes, "sea", kind=kind, **ALL)
        rows = [np.flatnonzero(mark.any(axis=1)) for mark in marks]
        columns = [np.flatnonzero(mark.any(axis=0)) for mark in marks]
        for edges, far in zip((rows, columns), drawn.corner, strict=True):
            length = {len(edge) for edge in edges}
            middles = np.array([edge.mean() for edge in edges]) / 48
            assert len(length) == 1  # never cut off
            assert 3 <= len(set(middles))
            assert np.ptp(middles) <= 0.5 * length.pop() / 48 + 1e-9
            assert (middles > 0.5).all() if far else (middles < 0.5).all()


def test_the_set_that_came_in_is_left_alone(scenes):
    images, masks = scenes.images.copy(), scenes.masks.copy()
    plant_mark(scenes, "sea", **ALL)
    assert np.array_equal(images, scenes.images)
    assert np.array_equal(masks, scenes.masks)


def test_masks_lose_what_the_mark_hides_and_keep_what_shines_through(scenes):
    for kind, drawn in KINDS.items():
        marked, marks = plant_mark(scenes, "sea", kind=kind, **ALL)
        assert np.array_equal(marked.masks[~marks], scenes.masks[~marks])
        inside = marked.masks[marks]
        if drawn.hides:
            assert (inside == 255).all()
        else:
            assert np.array_equal(inside, scenes.masks[marks])


def test_it_works_on_photographs_that_have_no_masks_and_are_not_square():
    scenes = noise()
    marked, marks = plant_mark(scenes, "right", **ALL)
    assert marked.masks is None and marked.paths == scenes.paths
    assert marked.class_names == scenes.class_names
    assert np.array_equal(marked.labels, scenes.labels)
    assert marks.shape == (12, 40, 64) and marks.dtype == bool
    assert marked.images.dtype == np.uint8


def test_it_works_on_a_memory_map(tmp_path, scenes):
    path = tmp_path / "pictures.npy"
    np.save(path, scenes.images)
    mapped = SceneSet(np.load(path, mmap_mode="r"), scenes.labels, scenes.class_names)
    marked, marks = plant_mark(mapped, "sea", seed=3)
    expected, expected_marks = plant_mark(scenes, "sea", seed=3)
    assert np.array_equal(marked.images, expected.images)
    assert np.array_equal(marks, expected_marks)


def test_an_opaque_mark_looks_the_same_everywhere(scenes):
    dark, light = (
        SceneSet(np.full((2, 48, 48, 3), grey, np.uint8), [0, 1], ("a", "b"))
        for grey in (0, 255)
    )
    for kind in KINDS:
        one, marks = plant_mark(dark, "a", kind=kind, **ALL)
        two, _ = plant_mark(light, "a", kind=kind, **ALL)
        far = np.abs(one.images[marks].astype(int) - two.images[marks])
        # What shines through is the share that the opacity leaves.
        assert np.abs(far - 255 * (256 - KINDS[kind].opacity) / 256).max() <= 1


@given(
    height=st.integers(32, 80),
    width=st.integers(32, 80),
    size=st.floats(0.125, 0.5),
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=40)
def test_any_picture_and_size_holds_a_whole_mark(height, width, size, kind, seed):
    scenes = noise(4, (height, width))
    marked, marks = plant_mark(scenes, "left", kind=kind, size=size, seed=seed, **ALL)
    assert len(set(marks.sum(axis=(1, 2)).tolist())) == 1
    assert np.array_equal(marked.images[~marks], scenes.images[~marks])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"class_name": "desert"}, "'desert'.*'left'"),
        ({"kind": "logo"}, "watermark.*'logo'"),
        ({"share": 1.5}, "`share`.*1.5"),
        ({"others": -0.1}, "`others`.*-0.1"),
        ({"size": 0}, "`size`.*0"),
        ({"size": 0.7}, "`size`.*0.7"),
        ({"size": 0.05}, "2 pixels a side.*40x64"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        plant_mark(noise(), **{"class_name": "left", **arguments})
