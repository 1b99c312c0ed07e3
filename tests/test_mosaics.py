"""Mosaics and the grid pointing game, by what must be so whatever the pictures."""

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from scenecam import cam, judging, models
from scenecam.scenes import SceneSet


@pytest.fixture
def plain():
    """Pictures of one colour each: class and picture can be read off a pixel."""
    labels = np.repeat(np.arange(6), 3)
    colours = np.stack([labels, np.arange(18), 0 * labels], axis=-1)
    images = np.broadcast_to(colours[:, None, None], (18, 5, 4, 3)).astype(np.uint8)
    return SceneSet(images, labels, tuple("abcdef"))


@pytest.fixture
def maps():
    return np.random.default_rng(0).normal(size=(7, 4, 6, 8))


# Mosaics.


def test_each_cell_shows_a_picture_of_its_class_in_reading_order(plain):
    images, labels = judging.mosaics(plain, count=20, seed=1)
    assert images.shape == (20, 10, 8, 3) and images.dtype == np.uint8
    assert labels.shape == (20, 4)
    for picture, row in zip(images, labels, strict=True):
        cells = [picture[:5, :4], picture[:5, 4:], picture[5:, :4], picture[5:, 4:]]
        for cell, label in zip(cells, row, strict=True):
            assert np.ptp(cell, axis=(0, 1)).max() == 0
            assert cell[0, 0, 0] == label == plain.labels[cell[0, 0, 1]]


def test_the_classes_of_a_mosaic_differ_and_all_occur(plain):
    _, labels = judging.mosaics(plain, count=50, seed=0)
    assert all(len(set(row)) == 4 for row in labels)
    assert set(labels.ravel()) == set(range(6))


def test_the_seed_decides(plain):
    first, again, other = (
        judging.mosaics(plain, count=5, seed=seed) for seed in (0, 0, 1)
    )
    assert_array_equal(first.images, again.images)
    assert_array_equal(first.labels, again.labels)
    assert (first.images != other.images).any()


def test_what_cannot_be_a_mosaic_is_refused(plain):
    with pytest.raises(ValueError, match=r"9 cells .* need as many classes.* of 6"):
        judging.mosaics(plain, grid=3, count=1, seed=0)
    with pytest.raises(ValueError, match="at least 2 and `count` at least 1"):
        judging.mosaics(plain, grid=1, count=1, seed=0)
    with pytest.raises(ValueError, match="received 2 and 0"):
        judging.mosaics(plain, count=0, seed=0)


# Grid pointing.


def test_it_is_the_share_of_the_positive_part_in_the_own_cell(maps):
    positive = np.maximum(maps, 0)
    cells = [(slice(0, 3), slice(0, 4)), (slice(0, 3), slice(4, 8))]
    cells += [(slice(3, 6), slice(0, 4)), (slice(3, 6), slice(4, 8))]
    for index, cell in enumerate(cells):
        own = positive[:, index][(..., *cell)].sum(axis=(1, 2))
        wanted = own / positive[:, index].sum(axis=(1, 2))
        assert_allclose(judging.grid_pointing(maps)[:, index], wanted, rtol=1e-6)


@pytest.mark.parametrize("size", [(6, 8), (3, 3), (5, 7), (1, 1)])
def test_places_on_a_border_count_by_their_area(size):
    """Finer maps, in which every place is cut into whole ones, score the same."""
    maps = np.random.default_rng(1).normal(size=(5, 4, *size))
    finer = maps.repeat(2, axis=2).repeat(2, axis=3)
    assert_allclose(judging.grid_pointing(maps), judging.grid_pointing(finer))
    maps = np.random.default_rng(1).normal(size=(5, 9, *size))
    finer = maps.repeat(3, axis=2).repeat(3, axis=3)
    scores = judging.grid_pointing(maps, grid=3)
    assert_allclose(scores, judging.grid_pointing(finer, grid=3))


def test_what_one_map_gives_to_all_cells_sums_to_one(maps):
    same = np.repeat(maps[:, :1], 4, axis=1)
    assert_allclose(judging.grid_pointing(same).sum(axis=1), 1)


@pytest.mark.parametrize("size", [(8, 8), (3, 3)])
def test_maps_that_know_nothing_are_at_chance(size):
    blob = judging.centre_blob((4, *size)).reshape(1, 4, *size)
    assert_allclose(judging.grid_pointing(blob), 0.25, rtol=1e-6)
    for value in (1.0, 0.0, -1.0):
        flat = np.full((1, 4, *size), value)
        assert_allclose(judging.grid_pointing(flat), 0.25)


def test_scale_and_negative_values_make_no_difference(maps):
    scores = judging.grid_pointing(maps)
    assert_allclose(judging.grid_pointing(1e3 * maps), scores, rtol=1e-5)
    deeper = np.where(maps < 0, 5 * maps, maps)
    assert_allclose(judging.grid_pointing(deeper), scores)


def test_maps_that_do_not_fit_the_grid_are_refused(maps):
    with pytest.raises(ValueError, match=r"\(n, 9, h, w\).*classes=mosaics.labels"):
        judging.grid_pointing(maps, grid=3)
    with pytest.raises(ValueError, match="NaN or infinite"):
        judging.grid_pointing(np.where(maps > 2, np.nan, maps))


def test_a_network_that_knows_colours_finds_each_in_its_cell():
    """The whole route, with a network whose maps are known: 1 there, 0 elsewhere."""
    kernel = np.concatenate([np.eye(3), -np.ones((3, 1))], axis=1)[None, None]
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 1, activation="relu", name="features"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    model.set_weights([kernel, np.array([0, 0, 0, 1]), np.eye(4), np.zeros(4)])
    colours = 255 * np.concatenate([np.eye(3), np.zeros((1, 3))]).astype(np.uint8)
    images = np.broadcast_to(colours[:, None, None], (4, 4, 4, 3))
    colours = SceneSet(images, np.arange(4), ("red", "green", "blue", "black"))
    images, labels = judging.mosaics(colours, count=6, seed=0)
    maps = cam.class_maps(models.resized(model, 8), images, classes=labels)
    assert_array_equal(judging.grid_pointing(maps["features"]), 1)
    wrong = cam.class_maps(models.resized(model, 8), images, classes=labels[:, ::-1])
    assert_array_equal(judging.grid_pointing(wrong["features"]), 0)
