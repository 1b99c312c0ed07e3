"""Blocks: what each computes, held against NumPy; and how their layers are named."""

import keras
import numpy as np
import pytest
from scipy.signal import correlate

from scenecam import blocks


def build(block, shape, *args, **kwargs):
    inputs = keras.Input(shape)
    return keras.Model(inputs, block(inputs, *args, **kwargs))


def silence(model, name):
    """Set the last normalisation of the main path to zero: the block adds nothing."""
    layer = model.get_layer(name)
    layer.gamma.assign(np.zeros(layer.gamma.shape))


def layer_names(model):
    return [layer.name for layer in model.layers[1:]]


def test_conv_norm_correlates_normalises_and_cuts(rng):
    model = build(blocks.conv_norm, (6, 5, 2), 3, name="1", prefix="stage1_")
    kernel = rng.normal(size=(3, 3, 2, 3))
    mean, variance = rng.normal(size=3), rng.uniform(0.5, 2, size=3)
    model.get_layer("stage1_conv1").set_weights([kernel])
    norm = model.get_layer("stage1_norm1")
    norm.set_weights([np.full(3, 2.0), np.full(3, 0.5), mean, variance])
    x = rng.normal(size=(1, 6, 5, 2))

    padded = np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    maps = [correlate(padded, kernel[..., k], mode="valid")[..., 0] for k in range(3)]
    scaled = (np.stack(maps, -1) - mean) / np.sqrt(variance + norm.epsilon)
    expected = np.maximum(2.0 * scaled + 0.5, 0)

    np.testing.assert_allclose(model(x)[0], expected, atol=1e-5)


def test_dilation_spreads_the_taps_of_a_kernel():
    model = build(blocks.conv_norm, (9, 9, 1), 1, name="1", dilation=3, relu=False)
    model.get_layer("conv1").set_weights([np.ones((3, 3, 1, 1))])
    x = np.zeros((1, 9, 9, 1))
    x[0, 4, 4] = 1
    hit = np.argwhere(np.asarray(model(x))[0, ..., 0] > 0.5)
    np.testing.assert_array_equal(np.unique(hit), [1, 4, 7])
    assert len(hit) == 9


@pytest.mark.parametrize(
    ("block", "filters", "last"),
    [
        (blocks.residual_block, 4, "b_norm2"),
        (blocks.identity_block, (2, 2, 4), "b_norm3"),
    ],
)
def test_a_block_whose_main_path_is_zero_passes_its_input_on(block, filters, last, rng):
    model = build(block, (6, 6, 4), filters, name="b")
    silence(model, last)
    x = rng.normal(size=(2, 6, 6, 4)).astype("float32")
    np.testing.assert_array_equal(model(x), np.maximum(x, 0))


def test_a_strided_short_path_averages_every_pixel(rng):
    model = build(blocks.residual_block, (6, 6, 4), 4, name="b", stride=2)
    silence(model, "b_norm2")
    x = rng.uniform(size=(1, 6, 6, 4)).astype("float32")
    expected = x.reshape(1, 3, 2, 3, 2, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(model(x), expected, atol=1e-6)


def test_the_short_path_of_the_report_is_pooled_by_maximum(rng):
    model = build(blocks.pooled_conv_block, (6, 6, 3), (2, 2, 3), name="b")
    silence(model, "b_norm3")
    model.get_layer("b_conv_short").set_weights([np.eye(3)[None, None]])
    x = rng.uniform(size=(1, 6, 6, 3)).astype("float32")
    highest = x.reshape(1, 3, 2, 3, 2, 3).max(axis=(2, 4))
    expected = highest / np.sqrt(1 + model.get_layer("b_norm_short").epsilon)
    np.testing.assert_allclose(model(x), expected, atol=1e-6)


def test_the_main_path_of_the_report_pools_between_kernel_and_normalisation():
    model = build(blocks.pooled_conv_block, (6, 6, 3), (2, 2, 8), name="b")
    names = layer_names(model)
    main = ["b_conv1", "b_pool", "b_norm1", "b_relu1", "b_conv2", "b_norm2", "b_relu2"]
    order = [names.index(name) for name in [*main, "b_conv3", "b_norm3", "b_add"]]
    assert order == sorted(order)
    assert model.get_layer("b_conv1").kernel.shape[:2] == (1, 1)
    assert model.get_layer("b_conv2").kernel.shape[:2] == (3, 3)


def test_an_identity_block_refuses_another_width():
    with pytest.raises(ValueError, match=r"end in the input's 4 channels.*\(2, 2, 8\)"):
        build(blocks.identity_block, (6, 6, 4), (2, 2, 8), name="b")


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(
    "block",
    [
        lambda x: blocks.residual_block(x, 5, stride=2, name="stage2_block1"),
        lambda x: blocks.pooled_conv_block(x, (2, 2, 5), name="stage2_block1"),
    ],
)
def test_halving_rounds_up_and_layers_carry_the_path(block, size):
    model = build(block, (size, size, 3))
    assert model.output_shape == (None, 4, 4, 5)
    assert all(name.startswith("stage2_block1_") for name in layer_names(model))


def test_the_classifier_weighs_the_mean_of_each_map(rng):
    model = build(blocks.classifier, (4, 5, 3), 6)
    x = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    kernel, bias = rng.normal(size=(3, 6)), rng.normal(size=6)
    model.get_layer("logits").set_weights([kernel, bias])
    assert layer_names(model) == ["features", "gap", "logits"]
    np.testing.assert_allclose(model(x), x.mean((1, 2)) @ kernel + bias, atol=1e-5)
