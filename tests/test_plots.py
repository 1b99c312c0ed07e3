"""Pictures and maps read back from their artists: arrays, scales, colours, text."""

import matplotlib
import numpy as np
import pytest
from figures import (
    check_given_axes,
    check_grid,
    check_own_figure,
    check_text,
    public_functions,
)

from scenecam import images, plots

matplotlib.use("Agg")

NAMES = ("buildings", "forest", "glacier", "mountain", "sea", "street")
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(256, size=(12, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(12) % 6
LOGITS = RNG.normal(size=(12, 6)) + 2 * np.eye(6)[LABELS]
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
SIGNED = np.linspace(-3, 5, 36).reshape(6, 6)
MASK = np.full((8, 8), 255, np.uint8)
MASK[4:] = 4
MASK[6:, 2:5] = 1

# One call for every function that takes an Axes ...
ONE = {
    "show_image": lambda **kw: plots.show_image(PICTURES[0], title="one", **kw),
    "show_mask": lambda **kw: plots.show_mask(MASK, NAMES, **kw),
    "show_receptive_field": lambda **kw: plots.show_receptive_field(
        PICTURES[0], (3, -2, 11, 11), **kw
    ),
    "show_map": lambda **kw: plots.show_map(SIGNED, title="sea", **kw),
    "show_overlay": lambda **kw: plots.show_overlay(PICTURES[0], SIGNED, **kw),
}
# ... and for every one that makes a figure of its own.
SEVERAL = {
    "show_images": lambda: plots.show_images(PICTURES[:7], titles=list("abcdefg")),
    "show_classes": lambda: plots.show_classes(PICTURES, LABELS, NAMES, count=2),
    "mean_images": lambda: plots.mean_images(PICTURES, LABELS, NAMES),
    "show_kernels": lambda: plots.show_kernels(RNG.normal(size=(3, 3, 4, 10))),
    "show_feature_maps": lambda: plots.show_feature_maps(RNG.random((5, 5, 20))),
    "show_maps": lambda: plots.show_maps(
        np.stack([SIGNED, -SIGNED]), titles=["a\n1", "b\n2"], image=PICTURES[0]
    ),
    "show_four_panels": lambda: plots.show_four_panels(
        PICTURES[0], SIGNED, *RNG.normal(size=(2, 32, 32, 3))
    ),
    "show_sheet": lambda: plots.show_sheet(
        PICTURES[:3],
        np.stack([SIGNED, -SIGNED, np.abs(SIGNED)]),
        titles=plots.prediction_titles(LABELS[:3], PROBABILITIES[:3], NAMES),
    ),
}


pytestmark = pytest.mark.usefixtures("leaves_matplotlib_as_it_was")


def test_every_public_function_is_tested_here():
    assert public_functions(plots) == set(ONE) | set(SEVERAL) | {"prediction_titles"}


@pytest.mark.parametrize("name", ONE)
def test_it_draws_on_the_given_axes_and_returns_it(name):
    check_given_axes(ONE[name])


@pytest.mark.parametrize("name", ONE)
def test_without_axes_it_opens_one_opaque_white_figure(name):
    check_own_figure(ONE[name])


@pytest.mark.parametrize("name", SEVERAL)
def test_a_grid_returns_its_figure_and_axes(name):
    check_grid(SEVERAL[name])


@pytest.mark.parametrize("name", [*ONE, *SEVERAL])
def test_text_is_large_enough_and_wholly_on_a_narrow_figure(name):
    check_text((ONE | SEVERAL)[name])


# Colours ------------------------------------------------------------------------------

# Machado, Oliveira, Fernandes (2009), IEEE TVCG 15(6): full protanopia, deuteranopia.
BLIND = {
    "normal": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def lab(rgb):
    """CIELAB of linear RGB, white point D65."""
    xyz = rgb @ np.array(
        [
            [0.4124, 0.2126, 0.0193],
            [0.3576, 0.7152, 0.1192],
            [0.1805, 0.0722, 0.9505],
        ]
    )
    f = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 0.008856))
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1
    )


@pytest.mark.parametrize("eyes", BLIND)
def test_six_class_colours_keep_apart_for_every_eye(eyes):
    srgb = plots.class_colours(6)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = lab(np.clip(linear @ BLIND[eyes].T, 0, 1))
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert distance[~np.eye(6, dtype=bool)].min() > 15


def test_class_colours_do_not_depend_on_the_number_of_classes():
    np.testing.assert_array_equal(plots.class_colours(6)[:3], plots.class_colours(3))
    np.testing.assert_array_equal(plots.class_colours(13)[10:], plots.class_colours(3))


# Pictures -----------------------------------------------------------------------------


def test_pictures_stand_in_the_grid_in_their_order_and_the_rest_is_blank():
    fig, axes = plots.show_images(PICTURES[:7], titles=list("abcdefg"), columns=3)
    assert axes.shape == (3, 3)
    for i, ax in enumerate(axes.flat[:7]):
        np.testing.assert_array_equal(ax.images[0].get_array(), PICTURES[i])
        assert ax.get_title() == "abcdefg"[i]
    assert not any(ax.images or ax.axison for ax in axes.flat[7:])


def test_float_picture_is_not_stretched():
    ax = plots.show_image(np.full((4, 4), 0.5))
    assert ax.images[0].get_clim() == (0, 1)


def test_class_sheet_has_only_pictures_of_its_row():
    labels = np.array([2, 0, 0, 1, 2, 0, 2, 2])
    fig, axes = plots.show_classes(PICTURES[:8], labels, ("a", "b", "c"), count=3)
    shown = [[len(ax.images) for ax in row] for row in axes]
    assert shown == [[1, 1, 1], [1, 0, 0], [1, 1, 1]]
    np.testing.assert_array_equal(axes[2, 1].images[0].get_array(), PICTURES[4])
    assert [row[0].texts[0].get_text() for row in axes] == ["a", "b", "c"]


def test_mean_image_of_two_pictures_is_halfway():
    pictures = np.zeros((4, 2, 2, 3), np.uint8)
    pictures[2] = 255
    _, axes = plots.mean_images(pictures, np.array([0, 0, 1, 1]), ("a", "b"))
    assert axes.flat[0].images[0].get_array().max() == 0
    np.testing.assert_allclose(axes.flat[1].images[0].get_array(), 0.5)


def test_mask_shows_pixels_without_a_class_as_such():
    ax = plots.show_mask(MASK, NAMES)
    shown = ax.images[0].get_array()
    np.testing.assert_array_equal(shown[0, 0], [1, 1, 1])
    np.testing.assert_allclose(shown[7, 3], plots.class_colours(6)[1])
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["forest", "sea", "no class"]


def test_receptive_field_covers_whole_pixels():
    ax = plots.show_receptive_field(PICTURES[0], (3, -2, 11, 9))
    for box in ax.patches:
        assert box.get_bbox().extents == pytest.approx((-2.5, 2.5, 6.5, 13.5))
    assert ax.get_title() == "sees 11 × 9 pixels"


def test_prediction_titles_name_guess_confidence_and_truth():
    titles = plots.prediction_titles([0, 1], [[0.75, 0.25], [0.9, 0.1]], ("a", "b"))
    assert titles == ["a 75%\n(right)", "a 90%\n(true: b)"]


# Maps ---------------------------------------------------------------------------------


def test_signed_map_is_symmetric_around_white_and_keeps_its_values():
    ax = plots.show_map(SIGNED)
    picture = ax.images[0]
    np.testing.assert_array_equal(picture.get_array(), SIGNED)
    assert picture.get_clim() == (-5, 5)
    assert min(picture.cmap(picture.norm(0.0))[:3]) > 0.95
    assert picture.colorbar.ax.get_ylabel() == "logits"


def test_positive_map_starts_at_zero_and_takes_a_common_limit():
    ax = plots.show_map(np.abs(SIGNED), limit=20, unit="share")
    assert ax.images[0].get_clim() == (0, 20)
    assert ax.images[0].cmap.name == "inferno"
    assert ax.images[0].colorbar.ax.get_ylabel() == "share"


def test_map_of_zeros_draws_without_a_warning():
    ax = plots.show_map(np.zeros((3, 3)))
    assert ax.images[0].get_clim() == (0, 1)


@pytest.mark.parametrize("limit", [None, 8.0])
def test_overlay_is_that_of_images_and_its_bar_is_in_logits(limit):
    ax = plots.show_overlay(PICTURES[0], SIGNED, limit=limit, opacity=0.3)
    expected = images.overlay(
        PICTURES[0], images.unit_map(SIGNED, limit=limit), opacity=0.3
    )
    np.testing.assert_array_equal(ax.images[0].get_array(), expected)
    bar = ax.figure.axes[1]
    assert bar.get_ylim() == (0, limit or 5)
    assert bar.get_ylabel() == "logits"


def test_overlay_of_a_map_without_positive_evidence_draws_and_says_so():
    with pytest.warns(images.NoEvidence):
        ax = plots.show_overlay(PICTURES[0], -np.ones((4, 4)), opacity=0)
    np.testing.assert_array_equal(ax.images[0].get_array(), PICTURES[0])


def test_sheet_has_picture_map_and_both_in_each_row():
    maps = np.stack([SIGNED, -SIGNED, np.abs(SIGNED)])
    fig, axes = plots.show_sheet(PICTURES[:3], maps, titles=list("abc"))
    assert axes.shape == (3, 3)
    for i, row in enumerate(axes):
        np.testing.assert_array_equal(row[0].images[0].get_array(), PICTURES[i])
        np.testing.assert_array_equal(
            row[1].images[0].get_array(), np.maximum(maps[i], 0)
        )
        np.testing.assert_array_equal(
            row[2].images[0].get_array(),
            images.overlay(PICTURES[i], images.unit_map(maps[i]), opacity=0.5),
        )
        assert row[0].get_title() == "abc"[i]
    assert [row[1].images[0].get_clim()[1] for row in axes] == [5, 3, 5]
    _, axes = plots.show_sheet(PICTURES[:3], maps, titles=list("abc"), limit=9)
    assert [row[1].images[0].get_clim()[1] for row in axes] == [9, 9, 9]


def test_compared_maps_share_one_scale_after_the_picture():
    maps = np.stack([SIGNED, 2 * SIGNED])
    fig, axes = plots.show_maps(maps, titles=["a", "b"], image=PICTURES[0], columns=2)
    np.testing.assert_array_equal(axes[0, 0].images[0].get_array(), PICTURES[0])
    for ax, class_map, title in zip(axes.flat[1:3], maps, "ab", strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), class_map)
        assert ax.images[0].get_clim() == (-10, 10)
        assert ax.get_title() == title
    assert len(fig.axes) == axes.size + 1  # one colour bar for all
    _, axes = plots.show_maps(maps, titles=["a", "b"], limit=4)
    assert [ax.images[0].get_clim() for ax in axes.flat] == [(-4, 4), (-4, 4)]


def test_kernels_share_one_scale_with_zero_in_the_middle():
    kernels = RNG.normal(size=(3, 3, 4, 5))
    _, axes = plots.show_kernels(kernels)
    limit = np.abs(kernels).max()
    for i, ax in enumerate(axes.flat[:5]):
        np.testing.assert_array_equal(ax.images[0].get_array(), kernels[:, :, 0, i])
        assert ax.images[0].get_clim() == (-limit, limit)


def test_colour_kernels_turn_around_mid_grey():
    kernels = np.zeros((1, 1, 3, 2))
    kernels[0, 0, :, 1] = [2, -2, 1]
    _, axes = plots.show_kernels(kernels)
    assert axes.flat[0].images[0].get_array().ravel().tolist() == [0.5] * 3
    assert axes.flat[1].images[0].get_array().ravel().tolist() == [1, 0, 0.75]


def test_feature_maps_share_one_scale():
    maps = np.stack([np.full((4, 4), 1.0), np.full((4, 4), 3.0)], axis=-1)
    _, axes = plots.show_feature_maps(maps)
    assert [ax.images[0].get_clim() for ax in axes.flat] == [(0, 3), (0, 3)]
    assert [ax.get_title() for ax in axes.flat] == ["0", "1"]
    _, axes = plots.show_feature_maps(maps - 2)
    assert [ax.images[0].get_clim() for ax in axes.flat] == [(-1, 1), (-1, 1)]


# Errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: plots.show_images([]), "at least one picture; received none"),
        (
            lambda: plots.show_images(PICTURES, titles=["a"]),
            "`titles` must have one entry for each of the 12 pictures; received 1",
        ),
        (
            lambda: plots.mean_images(PICTURES, np.zeros(12, int), ("a", "b")),
            "received none of 'b'",
        ),
        (lambda: plots.show_kernels(np.zeros((3, 3))), "get_weights"),
        (
            lambda: plots.show_feature_maps(np.zeros((1, 4, 4, 8))),
            r"received \(1, 4, 4, 8\)\. Take one entry",
        ),
        (
            lambda: plots.show_maps(SIGNED[None], titles=["a", "b"]),
            "`titles` must have one entry",
        ),
        (
            lambda: plots.show_sheet(PICTURES[:3], SIGNED[None], titles=list("abc")),
            "`class_maps` must have one entry for each of the 3 pictures; received 1",
        ),
    ],
)
def test_errors_say_what_came_and_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_four_panels_show_gradients_signed_and_summed_over_the_colours():
    gradient = RNG.normal(size=(32, 32, 3))
    gradient[3, 4] = 1e3  # a strong pixel does not hide the rest
    nothing = np.zeros_like(gradient)
    fig, axes = plots.show_four_panels(PICTURES[0], SIGNED, gradient, nothing)
    shown = [ax.images[0] for ax in axes.flat]
    np.testing.assert_array_equal(shown[0].get_array(), PICTURES[0])
    np.testing.assert_allclose(shown[2].get_array(), gradient.sum(axis=-1))
    low, high = shown[2].get_clim()
    assert -low == high < 10
    titles = [ax.get_title() for ax in axes.flat]
    assert titles[1::2] == ["Grad-CAM", "Guided Grad-CAM"]
    fig.canvas.draw()  # all panels are of one size, whatever stands beside them
    sizes = np.array([ax.get_window_extent().size for ax in axes.flat])
    np.testing.assert_allclose(sizes, sizes[0, 0], rtol=0.01)
    with pytest.raises(ValueError, match="4 pictures; received 1"):
        plots.show_four_panels(PICTURES[0], SIGNED, gradient, nothing, titles=["a"])
