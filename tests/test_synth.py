"""The drawn scenes as sets: the same bytes everywhere, balanced, typed, errors."""

import hashlib

import numpy as np
import pytest

from scenecam.synth import CLASS_NAMES, draw_scene, draw_scenes
from scenepainter import draw_aside


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


def test_sets_are_balanced_and_typed(scenes):
    assert np.array_equal(np.bincount(scenes.labels), [30] * 6)
    assert scenes.class_names == CLASS_NAMES
    assert scenes.images.shape == (180, 96, 96, 3) and scenes.images.dtype == np.uint8
    assert scenes.masks.shape == (180, 96, 96) and scenes.masks.dtype == np.uint8
    assert len(draw_scenes(0)) == 0


@pytest.fixture(scope="module")
def aside():
    return draw_scenes(48, seed=5, placed="aside")


def test_scenes_with_the_class_aside_have_the_same_bytes_everywhere(aside):
    assert digest(aside[range(12)]) == digest(draw_scenes(12, seed=5, placed="aside"))
    assert (
        digest(draw_scenes(12, size=48, seed=5, placed="aside"))
        == "50ba5585ff0d41fd655578a62337fa899785c7cec7fcede79afd3dc28a3d638a"
    )


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_a_class_aside_lies_off_the_middle_and_covers_less(aside, name):
    index = CLASS_NAMES.index(name)
    for mask in aside.masks[aside.labels == index]:
        shares = [(mask == other).mean() for other in range(6)]
        assert 0.08 <= shares[index] <= 0.3 and shares[index] == max(shares)
        middle = np.mean(np.nonzero(mask == index), axis=1) / len(mask) - 0.5
        assert np.hypot(*middle) >= 0.2
    assert (aside.labels == index).sum() == 8


@pytest.mark.parametrize("index", range(6))
def test_the_mask_of_a_class_aside_is_that_of_the_pixels(index):
    def paint(grey):
        flat = {index: (grey, grey, grey)}
        return draw_aside(index, 64, np.random.SeedSequence(index), flat)

    (dark, mask), (pale, same) = paint(0.0), paint(1.0)
    assert np.array_equal(mask, same)
    assert np.array_equal((dark != pale).any(axis=-1), mask == index)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="None or 'aside'; received 'left'"):
        draw_scenes(3, placed="left")
    with pytest.raises(ValueError, match="'desert'.*buildings"):
        draw_scene("desert")
    with pytest.raises(ValueError, match="'sand'"):
        draw_scene("sea", recolour={"sand": (0.0, 0.0, 0.0)})
    with pytest.raises(ValueError, match="32 to 512; received 20"):
        draw_scenes(3, size=20)
    with pytest.raises(ValueError, match="received 96.0"):
        draw_scenes(3, size=96.0)
    with pytest.raises(ValueError, match="received -1"):
        draw_scenes(-1)
