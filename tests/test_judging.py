"""Numbers about maps: analytic cases, and each measure against a plain loop."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scenecam import images, judging
from scenecam._judging import probing

MASK_MEASURES = (
    judging.pointing_game,
    judging.energy_inside,
    judging.enrichment,
    judging.intersection_over_union,
    judging.box_iou,
    lambda maps, masks: judging.best_iou(maps, masks)[1],
)
NAMES = ("pointing", "energy", "enrichment", "iou", "box", "best")
each_measure = pytest.mark.parametrize("measure", MASK_MEASURES, ids=NAMES)


def rectangles(rng, n=8, size=(24, 30)):
    """Masks of one rectangle each, so that a mask and its box are the same."""
    masks = np.zeros((n, *size), bool)
    for mask in masks:
        top, left = rng.integers(0, size[0] - 6), rng.integers(0, size[1] - 6)
        height, width = rng.integers(2, 6, size=2)
        mask[top : top + height, left : left + width] = True
    return masks


@st.composite
def pairs(draw, low=-3, high=4):
    """Few small maps with many ties, and masks that may be empty or full."""
    values = st.integers(low, high)
    n, h, w = (draw(st.integers(1, top)) for top in (3, 5, 5))
    cells = n * h * w
    maps = draw(st.lists(values, min_size=cells, max_size=cells))
    masks = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    shape = (n, h, w)
    return np.reshape(maps, shape).astype(np.float32), np.reshape(masks, shape)


# Plain loops --------------------------------------------------------------------------


def cells_of(array):
    return [(y, x) for y in range(array.shape[0]) for x in range(array.shape[1])]


def plain_pointing(heat, mask):
    if not mask.any():
        return np.nan
    tied = [cell for cell in cells_of(heat) if heat[cell] == heat.max()]
    return sum(bool(mask[cell]) for cell in tied) / len(tied)


def plain_energy(heat, mask):
    inside = sum(max(float(heat[c]), 0) for c in cells_of(heat) if mask[c])
    total = sum(max(float(heat[c]), 0) for c in cells_of(heat))
    return inside / total if total and mask.any() else np.nan


def plain_enrichment(heat, mask):
    return plain_energy(heat, mask) / (mask.sum() / mask.size or np.nan)


def plain_iou(heat, mask, threshold=0.15):
    if heat.max() <= 0 or not mask.any():
        return np.nan
    level = np.float32(threshold * heat.max())
    region = {cell for cell in cells_of(heat) if heat[cell] >= level}
    goal = {cell for cell in cells_of(mask) if mask[cell]}
    return len(region & goal) / len(region | goal)


def plain_components(region):
    left, found = set(region), []
    while left:
        grown, edge = set(), [min(left)]
        while edge:
            cell = edge.pop()
            if cell in left:
                left.remove(cell)
                grown.add(cell)
                y, x = cell
                edge += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        found.append(grown)
    return found


def plain_box(cells):
    ys, xs = zip(*cells, strict=True)
    return {
        (y, x) for y in range(min(ys), max(ys) + 1) for x in range(min(xs), max(xs) + 1)
    }


def plain_box_iou(heat, mask, threshold=0.2):
    if heat.max() <= 0 or not mask.any():
        return np.nan
    level = np.float32(threshold * heat.max())
    parts = plain_components({c for c in cells_of(heat) if heat[c] >= level})
    box = plain_box(max(parts, key=len))  # max keeps the first of equal ones
    goal = plain_box([cell for cell in cells_of(mask) if mask[cell]])
    return len(box & goal) / len(box | goal)


PLAIN = {
    "pointing": (judging.pointing_game, plain_pointing),
    "energy": (judging.energy_inside, plain_energy),
    "enrichment": (judging.enrichment, plain_enrichment),
    "iou": (judging.intersection_over_union, plain_iou),
    "box": (judging.box_iou, plain_box_iou),
}


@pytest.mark.parametrize("name", PLAIN)
@given(pairs())
def test_every_measure_equals_a_plain_loop(name, pair):
    fast, plain = PLAIN[name]
    expected = [plain(*each) for each in zip(*pair, strict=True)]
    np.testing.assert_allclose(fast(*pair), expected, rtol=1e-6)


@given(pairs(-2, 9), st.sampled_from([0.1, 0.35, 0.5, 0.9]))
def test_a_threshold_is_a_share_of_the_maximum(pair, threshold):
    for fast, plain in (PLAIN["iou"], PLAIN["box"]):
        expected = [plain(*each, threshold) for each in zip(*pair, strict=True)]
        np.testing.assert_allclose(fast(*pair, threshold=threshold), expected)


@given(pairs(-2, 9))
def test_the_best_threshold_is_found_by_trying_each(pair):
    levels = (0.15, 0.35, 0.65, 0.95)
    table = [judging.intersection_over_union(*pair, threshold=x) for x in levels]
    got, values = judging.best_iou(*pair, thresholds=levels)
    if np.isnan(table[0]).all():
        assert np.isnan(got) and np.isnan(values).all()
        return
    means = [np.nanmean(row) for row in table]
    assert got == levels[int(np.argmax(means))]
    np.testing.assert_array_equal(values, table[int(np.argmax(means))])


# Analytic cases -----------------------------------------------------------------------


@each_measure
def test_a_perfect_map_scores_best(measure, rng):
    masks = rectangles(rng)
    best = 1 / masks.mean(axis=(1, 2)) if measure is judging.enrichment else 1.0
    np.testing.assert_allclose(measure(masks.astype(np.float32), masks), best)


@each_measure
@pytest.mark.parametrize("cells", [(24, 30), (12, 15), (7, 11), (5, 13), (48, 60)])
def test_a_uniform_map_scores_chance_at_any_resolution(measure, cells, rng):
    masks = rectangles(rng)
    maps = np.full((len(masks), *cells), 0.3, np.float32) * rng.random((8, 1, 1))
    area = masks.mean(axis=(1, 2))
    chance = np.ones(8) if measure is judging.enrichment else area
    np.testing.assert_allclose(measure(maps, masks), chance, rtol=1e-5)


@each_measure
def test_an_inverted_map_scores_below_chance(measure, rng):
    masks = rectangles(rng)
    inverted = measure(1.0 - masks, masks)
    chance = 1 if measure is judging.enrichment else masks.mean(axis=(1, 2))
    if measure is judging.box_iou:  # the box around the rest is the whole picture
        assert (inverted <= chance + 1e-9).all()
    else:
        np.testing.assert_array_equal(inverted, 0)


@each_measure
def test_a_scale_changes_nothing_and_no_picture_sees_another(measure, rng):
    maps, masks = rng.normal(size=(8, 6, 5)).astype(np.float32), rectangles(rng)
    scale = 2.0 ** rng.integers(-20, 20, size=(8, 1, 1))
    values = MASK_MEASURES[:5] if measure is MASK_MEASURES[5] else (measure,)
    for each in values:
        together = each(maps, masks)
        np.testing.assert_array_equal(each(maps * scale, masks), together)
        alone = [each(maps[i : i + 1], masks[i : i + 1])[0] for i in range(8)]
        np.testing.assert_array_equal(together, alone)


@each_measure
def test_a_coarse_map_is_judged_as_it_is_shown(measure, rng):
    """The region, the maximum and the energy are those of the enlarged map."""
    maps, masks = rng.normal(size=(8, 6, 5)).astype(np.float32), rectangles(rng)
    large = images.upsample_map(maps, masks.shape[1:])
    np.testing.assert_allclose(measure(maps, masks), measure(large, masks), rtol=1e-4)


def test_energy_and_pointing_of_random_maps_come_out_at_chance(rng):
    maps = rng.normal(size=(4000, 6, 6))
    masks = np.broadcast_to(rng.random((6, 6)) < 0.4, maps.shape)
    for measure in (judging.pointing_game, judging.energy_inside):
        _, low, high = judging.bootstrap_interval(
            measure(maps, masks), confidence=0.999
        )
        assert low <= masks[0].mean() <= high


@each_measure
def test_what_is_not_defined_is_nan(measure):
    maps = np.array([[[1.0, 2]], [[1, 2]], [[-1, -2]], [[0, 0]]])
    masks = np.array([[[True, False]], [[False, False]], [[True, False]], [[True] * 2]])
    nan = np.isnan(measure(maps, masks))
    if measure is judging.pointing_game:  # the highest point needs no positive value
        assert nan.tolist() == [False, True, False, False]
    else:
        assert nan.tolist() == [False, True, True, True]


def test_tied_maxima_count_by_their_share():
    heat = np.array([[[5.0, 5, 1], [5, 0, 5]]])
    mask = np.array([[[True, False, True], [True, True, False]]])
    assert judging.pointing_game(heat, mask) == [0.5]


def test_largest_region_not_the_highest_one_makes_the_box():
    heat = np.zeros((1, 8, 8))
    heat[0, 0, 0] = 9
    heat[0, 4:7, 3:7] = 5
    mask = np.zeros((1, 8, 8), bool)
    mask[0, 4:7, 3:7] = True
    assert judging.box_iou(heat, mask) == [1.0]
    assert judging.box_iou(heat, mask, threshold=0.6) == [0.0]


# Two classes in one scene -------------------------------------------------------------


def two_classes(rng):
    regions = rng.integers(0, 3, size=(6, 8, 8))
    return regions == 0, regions == 1


def test_discrimination_is_one_when_each_map_keeps_to_its_class(rng):
    a, b = two_classes(rng)
    maps = a.astype(float), b.astype(float)
    np.testing.assert_allclose(judging.class_discrimination(*maps, a, b), 1)
    np.testing.assert_allclose(judging.class_discrimination(*maps[::-1], a, b), -1)


def test_discrimination_is_zero_when_the_class_makes_no_difference(rng):
    a, b = two_classes(rng)
    same = rng.normal(size=a.shape)
    np.testing.assert_allclose(
        judging.class_discrimination(same, 3 * same, a, b), 0, atol=1e-6
    )


def test_discrimination_equals_a_plain_loop_and_leaves_the_rest_out(rng):
    a, b = two_classes(rng)
    heat_a, heat_b = rng.normal(size=(2, 6, 8, 8)).astype(np.float32)
    expected = [
        plain_energy(heat_a[i] * (a[i] | b[i]), a[i])
        - plain_energy(heat_b[i] * (a[i] | b[i]), a[i])
        for i in range(6)
    ]
    got = judging.class_discrimination(heat_a, heat_b, a, b)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    rest = ~(a | b)
    louder = judging.class_discrimination(heat_a + 9 * rest, heat_b, a, b)
    np.testing.assert_allclose(louder, got, rtol=1e-6)


def test_discrimination_is_nan_without_one_of_the_classes_or_evidence(rng):
    a, b = two_classes(rng)
    a[0], b[1] = False, False
    heat = rng.random(a.shape)
    heat[2] *= -1
    heat[3] *= ~(a[3] | b[3])
    nan = np.isnan(judging.class_discrimination(heat, np.ones(a.shape), a, b))
    assert nan.tolist() == [True] * 4 + [False] * 2


# Shown through the map ----------------------------------------------------------------


def pictures(rng, n=3, size=(12, 10)):
    return rng.integers(0, 256, size=(n, *size, 3), dtype=np.uint8)


def test_explained_pictures_are_the_picture_times_the_unit_map_rounded(rng):
    shown = pictures(rng)
    maps = rng.normal(size=(3, 12, 10)).astype(np.float32)
    got = judging.explained_pictures(shown, maps)
    for i, y, x in np.ndindex(3, 12, 10):
        factor = max(float(maps[i, y, x]), 0) / float(maps[i].max())
        product = shown[i, y, x] * np.float32(factor)
        np.testing.assert_allclose(got[i, y, x], product, atol=0.5001)
    ones = judging.explained_pictures(shown, np.full((3, 5, 7), 0.3))
    np.testing.assert_array_equal(ones, shown)


def test_a_map_without_evidence_leaves_a_black_picture_and_no_warning(rng):
    maps = np.stack([np.ones((4, 4)), -np.ones((4, 4)), np.zeros((4, 4))])
    got = judging.explained_pictures(pictures(rng) | 1, maps)
    assert got[0].any() and not got[1:].any()
    assert not judging.explained_pictures(pictures(rng), -np.ones((3, 4, 4))).any()


def test_average_drop_by_hand():
    before, after = np.array([0.8, 0.5, 0.0, 0.4]), np.array([0.2, 0.9, 0.3, 0.4])
    np.testing.assert_allclose(
        judging.average_drop(before, after), [75, 0, np.nan, 0], atol=1e-12
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9))
def test_a_picture_drops_where_its_probability_falls(scores):
    before, after = np.transpose(scores)
    drop, known = judging.average_drop(before, after), before > 0
    assert (np.isnan(drop) == ~known).all()
    assert ((drop[known] >= 0) & (drop[known] <= 100)).all()
    assert not drop[known & (after >= before)].any()


# Deletion and insertion ---------------------------------------------------------------


def sums(batch):
    """A model that is the sum of all values (class 0), and a constant (class 1)."""
    total = batch.reshape(len(batch), -1).sum(axis=1, dtype=np.float64)
    return np.stack([total, np.full(len(batch), 7.0)], axis=1)


def plain_deletion(predict, picture, heat, chosen, steps, blank):
    cells = sorted(cells_of(heat), key=lambda cell: -heat[cell])  # sorted is stable
    curve = []
    for step in range(steps + 1):
        changed = picture.copy()
        for cell in cells[: round(step * len(cells) / steps)]:
            changed[cell] = blank[cell]
        curve.append(predict(changed[None])[0, chosen])
    return curve


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 40))
def test_deletion_and_insertion_equal_a_plain_loop(seed, steps, batch_size):
    rng = np.random.default_rng(seed)
    shown = pictures(rng, 2, (5, 4))
    maps = rng.integers(-3, 4, size=(2, 5, 4)).astype(np.float32)  # ties
    weights = rng.normal(size=(5 * 4 * 3, 3))
    classes = rng.integers(0, 3, size=2)

    def predict(batch):
        return batch.reshape(len(batch), -1) @ weights

    options = dict(steps=steps, batch_size=batch_size)
    deleted = judging.deletion_curve(predict, shown, maps, classes, **options)
    inserted = judging.insertion_curve(
        predict, shown, maps, classes, baseline="constant", **options
    )
    for i in range(2):
        grey = np.rint(shown[i].mean(axis=(0, 1))).astype(np.uint8)
        blank = np.broadcast_to(grey, shown[i].shape)
        arguments = (maps[i], classes[i], steps, blank)
        expected = plain_deletion(predict, shown[i], *arguments)
        np.testing.assert_allclose(deleted[i], expected, atol=1e-6)
        arguments = (maps[i], classes[i], steps, shown[i])
        expected = plain_deletion(predict, blank.copy(), *arguments)
        np.testing.assert_allclose(inserted[i], expected, atol=1e-6)


@pytest.mark.parametrize("baseline", ["constant", "blur", 0, (10, 200, 30)])
def test_both_curves_run_between_the_picture_and_the_baseline(baseline, rng):
    shown, maps = pictures(rng), rng.normal(size=(3, 4, 5))
    whole = sums(shown)[:, 0]
    options = dict(baseline=baseline, steps=7, batch_size=4)
    deleted = judging.deletion_curve(sums, shown, maps, 0, **options)
    inserted = judging.insertion_curve(sums, shown, maps, 0, **options)
    np.testing.assert_array_equal(deleted[:, 0], whole)
    np.testing.assert_array_equal(inserted[:, -1], whole)
    np.testing.assert_array_equal(deleted[:, -1], inserted[:, 0])
    # The model is linear: what one takes away the other brings.
    both = np.broadcast_to((whole + inserted[:, 0])[:, None], deleted.shape)
    np.testing.assert_allclose(deleted + inserted, both)


def test_deletion_of_a_sum_is_what_the_ordered_pixels_leave(rng):
    """With black for a baseline: the sum, less the running sum by falling value."""
    grey = rng.permutation(120).reshape(1, 12, 10, 1).astype(np.uint8)
    shown = np.repeat(grey, 3, axis=3)
    maps = grey[..., 0].astype(np.float32)
    curve = judging.deletion_curve(sums, shown, maps, 0, steps=120, baseline=0)
    gone = np.r_[0, np.cumsum(np.arange(119, -1, -1))]
    np.testing.assert_allclose(curve[0], 3 * (119 * 120 / 2 - gone))


def test_a_constant_model_has_flat_curves(rng):
    shown, maps = pictures(rng), rng.normal(size=(3, 4, 5))
    curve = judging.deletion_curve(sums, shown, maps, 1)
    assert curve.shape == (3, 21)
    assert (curve == 7).all()
    np.testing.assert_allclose(judging.area_under(curve), 7)


def test_the_exact_contributions_of_a_linear_model_delete_best(rng):
    """Of y = w . x, no map has a smaller area than w * x, nor a larger inserted one."""
    shown = pictures(rng, 1, (6, 6))
    weights = rng.normal(size=(6, 6, 3))
    exact = (shown * weights).sum(axis=3).astype(np.float32)

    def predict(batch):
        return (batch * weights).sum(axis=(1, 2, 3))[:, None]

    options = dict(baseline=0, steps=36)

    def areas(maps):
        curves = (
            judging.deletion_curve(predict, shown, maps, 0, **options),
            judging.insertion_curve(predict, shown, maps, 0, **options),
        )
        return [judging.area_under(curve)[0] for curve in curves]

    best, most = areas(exact)
    for _ in range(30):
        low, high = areas(rng.normal(size=exact.shape))
        assert best < low and most > high
    assert areas(-exact)[0] > best


def test_equal_pixels_go_row_by_row_also_after_enlarging(rng):
    """A uniform map deletes from the top, whatever interpolation rounds."""
    shown = pictures(rng, 1, (24, 30)) | 1
    seen = []

    def predict(batch):
        seen.append(batch)
        return sums(batch)

    judging.deletion_curve(
        predict, shown, np.full((1, 7, 11), 0.3), 0, steps=24, baseline=0
    )
    for step, picture in enumerate(np.concatenate(seen)):
        assert not picture[:step].any() and picture[step:].all()


def test_predict_never_sees_more_than_a_batch_and_batches_change_nothing(rng):
    shown, maps = pictures(rng, 5), rng.normal(size=(5, 3, 3))
    sizes = []

    def predict(batch):
        assert batch.dtype == np.uint8
        sizes.append(len(batch))
        return sums(batch)

    curves = [
        judging.insertion_curve(predict, shown, maps, 0, steps=6, batch_size=size)
        for size in (1, 3, 7, 256)
    ]
    assert all((curve == curves[0]).all() for curve in curves)
    assert sizes.count(1) >= 35 and max(sizes) == 35


def test_the_mean_colour_and_the_blur_keep_the_mean_of_the_picture(rng):
    shown = pictures(rng, 2, (40, 30))
    for baseline in ("constant", "blur"):
        blank = probing._blank_pictures(shown, baseline)
        means = blank.mean(axis=(1, 2)), shown.mean(axis=(1, 2))
        np.testing.assert_allclose(*means, atol=2)
        assert blank.std(axis=(1, 2)).max() < 12  # of 74


def test_area_is_the_trapezoid_rule(rng):
    curves = rng.random((4, 8))
    expected = np.trapezoid(curves, dx=1 / 7, axis=1)
    np.testing.assert_allclose(judging.area_under(curves), expected)


# Rank correlation ---------------------------------------------------------------------


@given(pairs(), st.integers(0, 10**6))
@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
def test_rank_correlation_is_that_of_scipy(pair, seed):
    a, _ = pair
    b = np.random.default_rng(seed).integers(-2, 3, size=a.shape)
    expected = [
        stats.spearmanr(x.ravel(), y.ravel()).statistic if x.size > 1 else np.nan
        for x, y in zip(a, b, strict=True)
    ]
    got = judging.rank_correlation(a, b)
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_any_rising_function_keeps_the_ranks_and_its_negative_turns_them(rng):
    maps = rng.normal(size=(3, 6, 5))
    np.testing.assert_allclose(judging.rank_correlation(maps, np.exp(maps)), 1)
    np.testing.assert_allclose(judging.rank_correlation(maps, -(maps**3)), -1)


def test_maps_of_two_sizes_meet_on_the_smaller_grid(rng):
    small = rng.normal(size=(4, 6, 5)).astype(np.float32)
    large = images.upsample_map(small, (24, 25), method="nearest")
    shrunk = images.upsample_map(large, (6, 5))
    expected = judging.rank_correlation(shrunk, small)
    np.testing.assert_allclose(judging.rank_correlation(large, small), expected)
    assert (expected > 0.9).all()
    crossed = judging.rank_correlation(np.full((4, 7, 3), 0.3), small)
    assert np.isnan(crossed).all()


# Shuffled weights ---------------------------------------------------------------------


class Layer:
    """What `weight_randomisation` needs of a layer, without Keras."""

    def __init__(self, name, *arrays):
        self.name, self.arrays = name, [np.array(array) for array in arrays]

    def get_weights(self):
        return [array.copy() for array in self.arrays]

    def set_weights(self, arrays):
        for mine, new in zip(self.arrays, arrays, strict=True):
            mine[...] = new


class Model(Layer):
    def __init__(self, name, layers):
        self.name, self.layers = name, layers

    def get_weights(self):
        return [array for layer in self.layers for array in layer.get_weights()]

    def set_weights(self, arrays):
        arrays = iter(arrays)
        for layer in self.layers:
            layer.set_weights([next(arrays) for _ in layer.get_weights()])


def layered(rng):
    base = [
        Layer("conv", rng.normal(size=(3, 3, 2)), rng.normal(size=7)),
        Layer("pool"),
    ]
    head = Layer("logits", rng.normal(size=(5, 4)))
    return Model("top", [Layer("input"), Model("base", base), head])


def test_shuffling_goes_down_from_the_logits_and_keeps_every_distribution(rng):
    model = layered(rng)
    intact, seen = model.get_weights(), []

    def explain():
        seen.append(model.get_weights())
        return np.concatenate([w.ravel() for w in model.get_weights()])[None, None]

    result = judging.weight_randomisation(model, explain)
    assert list(result) == ["logits", "base/conv"]
    first, upper, lower = seen
    for before, after in zip(intact, first, strict=True):
        np.testing.assert_array_equal(before, after)
    changed = [
        [not np.array_equal(a, b) for a, b in zip(intact, stage, strict=True)]
        for stage in (upper, lower)
    ]
    assert changed == [[False, False, True], [True, True, True]]
    np.testing.assert_array_equal(upper[2], lower[2])  # shuffled once
    for before, after in zip(intact, lower, strict=True):
        np.testing.assert_array_equal(np.sort(before, None), np.sort(after, None))
    for before, after in zip(intact, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_map_that_ignores_the_model_stays_at_one_and_one_of_it_does_not(rng):
    model, fixed = layered(rng), rng.normal(size=(4, 5, 5))
    ignoring = judging.weight_randomisation(model, lambda: fixed)
    assert all(np.allclose(values, 1) for values in ignoring.values())
    x = rng.normal(size=(40, 6, 6, 18))

    def depends():
        kernel = model.layers[1].layers[0].arrays[0].ravel()
        return x @ kernel

    result = judging.weight_randomisation(model, depends)
    np.testing.assert_allclose(result["logits"], 1)  # these weights are not in it
    assert abs(result["base/conv"].mean()) < 0.8


def test_explain_may_return_the_same_array_changed_in_place(rng):
    model = layered(rng)
    buffer = np.empty((1, 5, 4))

    def explain():
        buffer[0] = model.layers[2].arrays[0]
        return buffer

    assert judging.weight_randomisation(model, explain)["logits"] < 0.9


def test_weights_come_back_after_an_error(rng):
    model = layered(rng)
    intact, calls = model.get_weights(), []

    def explain():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.arange(6.0).reshape(1, 2, 3)

    with pytest.raises(KeyboardInterrupt):
        judging.weight_randomisation(model, explain)
    for before, after in zip(intact, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_seeds_repeat_and_stops_are_chosen_without_changing_the_shuffles(rng):
    model = layered(rng)

    def explain():
        return np.concatenate([w.ravel() for w in model.get_weights()])[None, None]

    first = judging.weight_randomisation(model, explain, seed=4)
    assert first == judging.weight_randomisation(model, explain, seed=4)
    assert first != judging.weight_randomisation(model, explain, seed=5)
    for chosen in ("base/conv", ["base/conv"]):
        some = judging.weight_randomisation(model, explain, seed=4, layers=chosen)
        assert some == {"base/conv": first["base/conv"]}


def test_a_keras_model_is_shuffled_and_restored(rng):
    keras = pytest.importorskip("keras")
    base = keras.Sequential(
        [
            keras.layers.Input((6, 6, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(),
        ],
        name="base",
    )
    model = keras.Sequential([base, keras.layers.Flatten(), keras.layers.Dense(2)])
    model.set_weights([rng.uniform(0.5, 1, w.shape) for w in model.get_weights()])
    intact = model.get_weights()
    x = rng.random((5, 6, 6, 3)).astype(np.float32)

    def explain():
        return np.asarray(base(x))[..., 0]

    result = judging.weight_randomisation(model, explain)
    assert [name.split("/")[-1] for name in result][1:] == ["norm", "conv"]
    np.testing.assert_allclose(next(iter(result.values())), 1)
    assert result["base/conv"].mean() < 0.99
    for before, after in zip(intact, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


# Intervals and baselines --------------------------------------------------------------


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(2)
    hits = 0
    for seed in range(1000):
        values = rng.beta(2, 3, size=60)
        _, low, high = judging.bootstrap_interval(values, repeats=300, seed=seed)
        hits += low <= 0.4 <= high
    assert 0.92 <= hits / 1000 <= 0.97


def test_the_interval_leaves_nan_out_and_repeats(rng):
    values = rng.normal(3, 2, size=900)
    holes = np.insert(values, [5, 100, 899], np.nan)
    first = judging.bootstrap_interval(values, seed=5)
    assert first == judging.bootstrap_interval(holes, seed=5)
    assert first != judging.bootstrap_interval(values, seed=6)
    half = 1.96 * values.std() / np.sqrt(900)
    mean = values.mean()
    assert first == pytest.approx((mean, mean - half, mean + half), abs=0.02)
    wide = judging.bootstrap_interval(values, confidence=0.99, seed=5)
    assert wide[1] < first[1] < first[2] < wide[2]


def test_the_interval_of_one_value_or_none():
    assert judging.bootstrap_interval([3.0, np.nan]) == (3, 3, 3)
    assert np.isnan(judging.bootstrap_interval(np.full(4, np.nan))).all()


def test_differences_of_pairs_are_known_better_than_each(rng):
    hard = rng.normal(size=200)
    a, b = hard + 0.1 * rng.normal(size=(2, 200))
    _, low, high = judging.bootstrap_interval(a - b)
    _, low_a, high_a = judging.bootstrap_interval(a)
    assert high - low < (high_a - low_a) / 3


def test_edges_of_a_flat_picture_a_ramp_and_a_turned_picture(rng):
    assert not judging.sobel_edges(np.full((2, 6, 6, 3), 77, np.uint8)).any()
    ramp = np.broadcast_to(
        np.arange(0, 60, 5, dtype=np.uint8)[:, None, None], (1, 12, 9, 3)
    )
    np.testing.assert_allclose(judging.sobel_edges(ramp)[:, 1:-1], 40, rtol=1e-6)
    shown = pictures(rng)
    edges = judging.sobel_edges(shown)
    turned = judging.sobel_edges(shown.transpose(0, 2, 1, 3)).transpose(0, 2, 1)
    np.testing.assert_allclose(edges, turned, rtol=1e-4)
    alone = [judging.sobel_edges(picture[None])[0] for picture in shown]
    np.testing.assert_array_equal(edges, alone)


def test_the_blob_is_a_bell_in_the_middle():
    blob = judging.centre_blob((2, 8, 13), width=0.25)
    assert blob.shape == (2, 8, 13) and blob.dtype == np.float32
    np.testing.assert_allclose(blob, blob[:, ::-1, ::-1], rtol=1e-5)
    assert np.unravel_index(blob[0].argmax(), (8, 13))[1] == 6
    # One standard deviation off the middle along one side.
    line = judging.centre_blob((1, 1, 101))[0, 0]
    assert np.interp(25.25, np.arange(101) - 50, line) == pytest.approx(
        np.exp(-0.5), abs=1e-3
    )


def test_the_two_baselines_can_be_judged(rng):
    shown, masks = pictures(rng, 8, (24, 30)), rectangles(rng)
    for maps in (judging.sobel_edges(shown), judging.centre_blob(shown.shape[:3])):
        for measure in MASK_MEASURES:
            assert measure(maps, masks).shape == (8,)


# What does not fit --------------------------------------------------------------------

GOOD = SimpleNamespace(
    maps=np.ones((2, 3, 3)),
    masks=np.ones((2, 6, 6), bool),
    images=np.zeros((2, 6, 6, 3), np.uint8),
)


@each_measure
@pytest.mark.parametrize(
    "maps, masks, error, words",
    [
        (GOOD.maps, np.ones((2, 6, 6), int), TypeError, "scenes.masks == label"),
        (GOOD.maps, GOOD.masks[0], ValueError, r"mask\[None\]"),
        (GOOD.maps, GOOD.masks[:, :0], ValueError, r"received \(2, 0, 6\)"),
        (GOOD.maps, GOOD.masks[:1], ValueError, "received 2 and 1"),
        (GOOD.maps[0], GOOD.masks, ValueError, r"shape \(n, h, w\)"),
        (GOOD.maps[:, None], GOOD.masks, ValueError, r"maps\['features'\]"),
        (GOOD.maps[:0], GOOD.masks[:0], ValueError, "must have shape"),
        (GOOD.maps * np.nan, GOOD.masks, ValueError, "18 values of 18"),
        (GOOD.maps * 1e300, GOOD.masks, ValueError, "NaN or infinite"),
        (GOOD.maps * 1j, GOOD.masks, TypeError, "real numbers"),
    ],
)
def test_maps_and_masks_that_do_not_fit_are_named(measure, maps, masks, error, words):
    with pytest.raises(error, match=words):
        measure(maps, masks)


def curve(**changes):
    values = dict(predict=sums, images=GOOD.images, maps=GOOD.maps, classes=0) | changes
    return judging.deletion_curve(**values)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: curve(maps=GOOD.maps[:1]), ValueError, "received 2 and 1"),
        (lambda: curve(images=GOOD.images / 255), TypeError, "must be uint8"),
        (lambda: curve(classes=[0, 1, 0]), ValueError, r"one per picture \(2,\)"),
        (lambda: curve(classes=0.0), ValueError, "class index"),
        (lambda: curve(classes=-1), ValueError, "0 or more"),
        (lambda: curve(classes=2), ValueError, r"0\.\.1, the classes"),
        (lambda: curve(steps=0), ValueError, "at least 1"),
        (lambda: curve(batch_size=0), ValueError, "at least 1"),
        (lambda: curve(baseline="black"), ValueError, "'constant', 'blur' or a colour"),
        (lambda: curve(baseline=256), ValueError, "0 to 255"),
        (lambda: curve(baseline=(1, 2)), ValueError, "colour"),
        (lambda: curve(predict=lambda x: sums(x)[:, 0]), ValueError, r"\(n, k\)"),
        (lambda: curve(predict=lambda x: sums(x)[:1]), ValueError, "models.predict"),
        (lambda: judging.area_under(np.ones(4)), ValueError, r"curve\[None\]"),
        (lambda: judging.area_under(np.ones((4, 1))), ValueError, "one step"),
        (
            lambda: judging.explained_pictures(GOOD.images, GOOD.maps[:1]),
            ValueError,
            "same pictures; received 2 and 1",
        ),
        (lambda: judging.average_drop([[0.1]], [[0.1]]), ValueError, "column"),
        (lambda: judging.average_drop([1], [1, 2]), ValueError, r"\(1,\) and \(2,\)"),
        (lambda: judging.average_drop([-1.0], [0.5]), ValueError, "softmax"),
        (lambda: judging.average_drop([np.nan], [0.5]), ValueError, "softmax"),
        (
            lambda: judging.rank_correlation(GOOD.maps, GOOD.maps[:1]),
            ValueError,
            "received 2 and 1",
        ),
        (
            lambda: judging.class_discrimination(
                GOOD.maps, GOOD.maps, GOOD.masks, GOOD.masks
            ),
            ValueError,
            "no pixel in common",
        ),
        (
            lambda: judging.class_discrimination(
                GOOD.maps, GOOD.maps[:1], GOOD.masks, ~GOOD.masks
            ),
            ValueError,
            "`maps_b` and `masks_b`",
        ),
        (
            lambda: judging.box_iou(GOOD.maps, GOOD.masks, threshold=1),
            ValueError,
            "between 0 and 1",
        ),
        (
            lambda: judging.best_iou(GOOD.maps, GOOD.masks, thresholds=[]),
            ValueError,
            "between 0 and 1",
        ),
        (
            lambda: judging.best_iou(GOOD.maps, GOOD.masks, thresholds=[0.5, np.nan]),
            ValueError,
            "between 0 and 1",
        ),
        (lambda: judging.bootstrap_interval([]), ValueError, "one entry per picture"),
        (
            lambda: judging.bootstrap_interval([1], confidence=95),
            ValueError,
            "received 95",
        ),
        (lambda: judging.centre_blob((96, 96)), ValueError, r"images.shape\[:3\]"),
        (lambda: judging.centre_blob((1, 9, 9), width=0), ValueError, "positive"),
        (lambda: judging.sobel_edges(GOOD.maps), ValueError, "uint8 RGB"),
        (
            lambda: judging.weight_randomisation(None, lambda: GOOD.maps),
            TypeError,
            "received a NoneType",
        ),
        (
            lambda: judging.weight_randomisation(Model("m", []), lambda: GOOD.maps),
            ValueError,
            "layers that have weights",
        ),
        (
            lambda: judging.weight_randomisation(
                layered(np.random.default_rng(0)), lambda: GOOD.maps, layers=["pool"]
            ),
            ValueError,
            r"received \['pool'\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_every_public_name_is_offered_here():
    for name in judging.__all__:
        assert callable(getattr(judging, name)) and getattr(judging, name).__doc__


# Deliberate faults --------------------------------------------------------------------


def ascending(maps):
    flat = maps.reshape(len(maps), -1)
    return flat.argsort(axis=1).argsort(axis=1).reshape(maps.shape)


def seeded(check):
    return lambda: check(np.random.default_rng(0))


FAULTS = {
    "enlarging breaks ties": (
        judging,
        "fit_maps",
        lambda maps, size, name="": (
            np.asarray(maps) if size is None else images.upsample_map(maps, size)
        ),
        lambda: test_a_uniform_map_scores_chance_at_any_resolution(
            judging.pointing_game, (7, 11), np.random.default_rng(0)
        ),
    ),
    "enlarging breaks the order of deletion": (
        probing,
        "fit_maps",
        lambda maps, size, name="": (
            np.asarray(maps) if size is None else images.upsample_map(maps, size)
        ),
        seeded(test_equal_pixels_go_row_by_row_also_after_enlarging),
    ),
    "the lowest is deleted first": (
        probing,
        "_ranks",
        ascending,
        seeded(test_the_exact_contributions_of_a_linear_model_delete_best),
    ),
    "undefined counts as 0": (
        judging,
        "ratio",
        lambda part, whole: np.nan_to_num(part / np.where(whole > 0, whole, 1)),
        lambda: test_what_is_not_defined_is_nan(judging.energy_inside),
    ),
    "the sum counts outside too": (
        judging,
        "_energy_on",
        lambda energy, masks: energy.sum(axis=(1, 2)),
        seeded(test_discrimination_is_one_when_each_map_keeps_to_its_class),
    ),
    "weights are not put back": (
        Model,
        "set_weights",
        lambda self, arrays: None,
        seeded(test_weights_come_back_after_an_error),
    ),
    "the blank is black": (
        probing,
        "_blank_pictures",
        lambda shown, baseline: np.zeros_like(shown),
        test_deletion_and_insertion_equal_a_plain_loop,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_deliberate_fault_is_noticed(fault, monkeypatch):
    target, name, wrong, check = FAULTS[fault]
    check()
    monkeypatch.setattr(target, name, wrong)
    with pytest.raises(AssertionError):
        check()
