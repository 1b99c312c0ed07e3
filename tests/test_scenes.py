"""`SceneSet`: everything stays in step, nothing large is copied without need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecam.scenes import SceneSet

NAMES = ("buildings", "forest", "sea")


def make_set(labels, *, masks=True, paths=True):
    """Build a set whose pixels, masks and paths all say which picture they are."""
    labels = np.asarray(labels, dtype=np.int64)
    number = np.arange(len(labels), dtype=np.uint8)
    return SceneSet(
        images=np.broadcast_to(
            number[:, None, None, None], (len(labels), 4, 5, 3)
        ).copy(),
        labels=labels,
        class_names=NAMES,
        masks=np.broadcast_to(number[:, None, None], (len(labels), 4, 5)).copy()
        if masks
        else None,
        paths=tuple(f"{i}.jpg" for i in range(len(labels))) if paths else None,
    )


def identities(scenes):
    """Return which pictures a set holds, after checking that all its parts agree."""
    numbers = scenes.images[:, 0, 0, 0].tolist()
    assert scenes.masks[:, 0, 0].tolist() == numbers
    assert [int(path.removesuffix(".jpg")) for path in scenes.paths] == numbers
    return numbers


labels_lists = st.lists(st.integers(0, 2), min_size=0, max_size=40)


@given(labels_lists, st.data())
def test_indexing_does_what_indexing_a_list_does(labels, data):
    scenes = make_set(labels)
    everything = list(range(len(labels)))
    cut = data.draw(st.slices(len(labels)))
    assert identities(scenes[cut]) == everything[cut]
    keep = data.draw(
        st.lists(st.booleans(), min_size=len(labels), max_size=len(labels))
    )
    assert identities(scenes[keep]) == [i for i in everything if keep[i]]
    if labels:
        places = st.integers(-len(labels), len(labels) - 1)
        chosen = data.draw(st.lists(places, max_size=20))
        part = scenes[chosen]
        assert identities(part) == [everything[i] for i in chosen]
        assert part.labels.tolist() == [labels[i] for i in chosen]
        one = data.draw(places)
        assert identities(scenes[one]) == [everything[one]]


def test_iterating_gives_sets_of_one_and_ends():
    assert [identities(one) for one in make_set([0, 1, 2])] == [[0], [1], [2]]


@given(labels_lists, st.floats(0.01, 0.99), st.integers(0, 5))
def test_split_is_stratified_disjoint_and_complete(labels, fraction, seed):
    scenes = make_set(labels)
    sizes = np.bincount(labels, minlength=3) if labels else np.zeros(3, int)
    if sizes.max() < 2:
        with pytest.raises(ValueError, match="two pictures of some class"):
            scenes.split(fraction, seed=seed)
        return
    rest, part = scenes.split(fraction, seed=seed)
    assert sorted(identities(rest) + identities(part)) == list(range(len(labels)))
    assert identities(part) == sorted(identities(part))
    for size, taken in zip(sizes, part.counts().values(), strict=True):
        if size >= 2:
            assert 1 <= taken <= size - 1
            assert abs(taken - fraction * size) <= 1
        else:
            assert taken == 0
    assert scenes.split(fraction, seed=seed)[1] == part


def test_split_follows_its_seed():
    scenes = make_set([0] * 20 + [1] * 20 + [2] * 20)
    assert scenes.split(0.5, seed=0)[1] != scenes.split(0.5, seed=1)[1]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_split_refuses_a_fraction_that_is_none(fraction):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        make_set([0, 0]).split(fraction)


def test_per_class_is_in_class_order_and_grows_with_count():
    scenes = make_set([2, 1, 0] * 8)
    three, five = scenes.per_class(3, seed=4), scenes.per_class(5, seed=4)
    assert three.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert len(set(identities(five))) == 15
    assert set(identities(three)) <= set(identities(five))
    assert identities(scenes.per_class(3, seed=5)) != identities(three)


def test_per_class_names_the_class_that_is_short():
    with pytest.raises(ValueError, match=r"\{'sea': 1\}"):
        make_set([0, 0, 1, 1, 2]).per_class(2)
    with pytest.raises(ValueError, match="at least 1"):
        make_set([0, 1, 2]).per_class(0)


def test_shuffle_is_a_permutation_that_follows_its_seed():
    scenes = make_set([0, 1, 2] * 10)
    assert sorted(identities(scenes.shuffle(1))) == list(range(30))
    assert identities(scenes.shuffle(1)) == identities(scenes.shuffle(seed=1))
    assert identities(scenes.shuffle(1)) != identities(scenes.shuffle(2))


def test_counts_and_repr_name_every_class():
    scenes = make_set([0, 0, 2])
    assert scenes.counts() == {"buildings": 2, "forest": 0, "sea": 1}
    assert repr(scenes) == (
        "SceneSet(3 of 4x5, with masks: buildings 2, forest 0, sea 1)"
    )


@pytest.mark.parametrize(
    "change", ["images", "labels", "masks", "paths", "class_names"]
)
def test_equality_sees_every_part(change):
    one, other = make_set([0, 1, 2]), make_set([0, 1, 2])
    assert one == other
    parts = {name: getattr(other, name) for name in one.__dataclass_fields__}
    if change in ("paths", "class_names"):
        parts[change] = ("another", *parts[change][1:])
    else:
        parts[change] = parts[change].copy()
        parts[change].flat[0] ^= 1
    assert one != SceneSet(**parts)
    assert one != make_set([0, 1, 2], masks=False)
    assert one != "a set"


def test_a_set_is_frozen_and_no_key():
    scenes = make_set([0])
    with pytest.raises(AttributeError):
        scenes.labels = np.zeros(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(scenes)


IMAGES = np.zeros((2, 4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    "error, words, parts",
    [
        (TypeError, "images must be uint8 RGB.*list", {"images": IMAGES.tolist()}),
        (TypeError, "uint8.*float64", {"images": IMAGES.astype(float)}),
        (ValueError, r"\(2, 4, 5\)", {"images": IMAGES[..., 0]}),
        (ValueError, r"\(2, 4, 5, 1\)", {"images": IMAGES[..., :1]}),
        (TypeError, "integers.*float64", {"labels": np.zeros(2)}),
        (ValueError, r"shape \(2,\).*\(3,\)", {"labels": np.zeros(3, int)}),
        (ValueError, r"0\.\.1.*from 0 to 2", {"labels": np.array([0, 2])}),
        (ValueError, "from -1 to 0", {"labels": np.array([0, -1])}),
        (ValueError, "must all differ", {"class_names": ("sea", "sea")}),
        (TypeError, r"Write \('sea',\)", {"class_names": "sea"}),
        (
            ValueError,
            r"masks must have shape",
            {"masks": np.zeros((2, 4, 4), np.uint8)},
        ),
        (TypeError, "masks must be uint8", {"masks": np.zeros((2, 4, 5), bool)}),
        (ValueError, "2 names.*received 1", {"paths": ("a.jpg",)}),
    ],
)
def test_disagreeing_parts_are_refused_with_the_reason(error, words, parts):
    whole = {
        "images": IMAGES,
        "labels": np.array([0, 1]),
        "class_names": ("ice", "sea"),
    }
    with pytest.raises(error, match=words):
        SceneSet(**(whole | parts))


@pytest.mark.parametrize("index", [3, -4, [0, 3], [-4]])
def test_a_place_outside_is_an_index_error(index):
    with pytest.raises(IndexError, match="3"):
        make_set([0, 1, 2])[index]


@pytest.mark.parametrize("index", ["sea", 1.0, [0.5], [[0]], None, True])
def test_an_index_of_another_kind_is_a_type_error(index):
    with pytest.raises(TypeError, match="indexed by"):
        make_set([0, 1, 2])[index]


def test_an_empty_list_gives_an_empty_set():
    for nothing in ([], np.array([]), [False] * 3):
        assert identities(make_set([0, 1, 2])[nothing]) == []


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match="needs 3 entries; received 2"):
        make_set([0, 1, 2])[[True, False]]


def test_a_memory_map_is_viewed_by_slices_and_copied_only_in_part(tmp_path):
    images = np.lib.format.open_memmap(
        tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=(30, 8, 8, 3)
    )
    images[:] = np.arange(30, dtype=np.uint8)[:, None, None, None]
    scenes = SceneSet(images, np.arange(30) % 3, NAMES)
    half = scenes[5:20:2]
    assert isinstance(half.images, np.memmap)
    assert np.shares_memory(half.images, images)
    assert np.shares_memory(scenes[-1].images, images)
    some = scenes[[3, 1]]
    assert some.images.nbytes == 2 * 8 * 8 * 3
    assert not np.shares_memory(some.images, images)


def test_a_set_larger_than_memory_can_be_cut_and_sampled(tmp_path):
    """A sparse file stands for it; a whole copy of it would be 83 GB."""
    number, size = 3_000_000, 96
    path = tmp_path / "sparse.raw"
    with open(path, "wb") as file:
        try:
            file.truncate(number * size * size * 3)
        except OSError:
            pytest.skip("this file system has no sparse files of that size")
    images = np.memmap(path, np.uint8, "r", shape=(number, size, size, 3))
    scenes = SceneSet(images, np.zeros(number, np.int64), ("sea",))
    rest, part = scenes[::30_000].split(0.5)
    assert len(rest) == len(part) == 50
    assert len(scenes[1000:]) == number - 1000
