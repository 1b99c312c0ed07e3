"""Training on mosaics: what a network is told to keep its maps to their cells."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from numpy.testing import assert_allclose, assert_array_equal

from scenecam import judging, models, synth


@pytest.fixture(scope="module")
def training():
    path = ROOT / "tools" / "mosaic_training.py"
    spec = importlib.util.spec_from_file_location("mosaic_training", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made():
    return judging.mosaics(synth.draw_scenes(24, size=32, seed=0), count=3, seed=0)


def test_mosaics_come_apart_in_reading_order(training, made):
    tiles = np.asarray(training.tiles(made.images))
    found = tiles.reshape(3, 4, 32, 32, 3)
    whole = [made.images[:, down : down + 32] for down in (0, 32)]
    for cell in range(4):
        left = cell % 2 * 32
        assert_array_equal(found[:, cell], whole[cell // 2][:, :, left : left + 32])


def test_the_share_costs_what_grid_pointing_leaves_out(training, made, rng):
    features = rng.normal(size=(3, 8, 8, 5)).astype(np.float32)
    head = keras.layers.Dense(6)
    head.build((None, 5))
    asked = tf.constant(features), head, made.labels
    share, cells = (training.cost(way, *asked, 0.5) for way in ("share", "cells"))
    maps = np.einsum("nhwk,kc->nchw", features, head.kernel.numpy())
    maps = np.take_along_axis(maps, made.labels[:, :, None, None], axis=1)
    missed = 1 - judging.grid_pointing(maps).mean()
    assert_allclose(share - cells, 0.5 * missed, rtol=1e-5)


def test_a_cell_learns_its_own_label(training, made):
    """With features that name the class of each cell, labels of cells cost nothing."""
    features = np.zeros((3, 8, 8, 6), np.float32)
    for n, labels in enumerate(made.labels):
        for cell, label in enumerate(labels):
            down, left = cell // 2 * 4, cell % 2 * 4
            features[n, down : down + 4, left : left + 4, label] = 50
    head = keras.layers.Dense(6, kernel_initializer="identity")
    head.build((None, 6))
    asked = tf.constant(features), head, made.labels, 1.0
    assert training.cost("cells", *asked) < 1e-6
    assert training.cost("share", *asked) < 1e-6
    assert training.cost("mixed", *asked) > 1  # four labels for one answer


@pytest.mark.parametrize("way", ["pictures", "share"])
def test_fine_tuning_moves_the_weights_and_keeps_the_statistics(training, way):
    scenes = synth.draw_scenes(32, size=32, seed=0)
    model = models.resnet((32, 32, 3), stem=4, widths=(4, 8), depths=(1, 1), seed=0)
    before = model.get_weights()
    history = training.fine_tune(model, scenes, scenes, way=way, epochs=2, rate=1e-2)
    assert {len(values) for values in history.values()} == {2}
    for variable, old in zip(model.weights, before, strict=True):
        same = np.array_equal(variable.numpy(), old)
        assert same == (not variable.trainable), variable.path
