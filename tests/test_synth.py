"""The drawn scenes as sets: the same bytes everywhere, balanced, typed, errors."""

import hashlib

import numpy as np
import pytest

from scenecam.synth import CLASS_NAMES, draw_scene, draw_scenes


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


def test_wrong_arguments_are_named():
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
