"""Class folders are found in every layout, and only real class folders."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_folders import write_archive, write_classes, write_picture

from scenecam._data import folders


def counts(part):
    return {name: len(files) for name, files in part.files.items()}


LEVELS = [
    ".",
    "seg_train",
    "seg_train/seg_train",
    "seg_test",
    "seg_test/seg_test",
]


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_of_the_archive_gives_either_part(tmp_path, level):
    place = write_archive(tmp_path / "scenes") / level
    train = folders.list_part(place, split="train")
    assert counts(train) == {"forest": 10, "sea": 10}
    assert train.root == tmp_path / "scenes/seg_train/seg_train"
    test = folders.list_part(place, split="test")
    assert counts(test) == {"forest": 2, "sea": 3}
    assert test.files["sea"] == ["sea/0.png", "sea/1.png", "sea/2.png"]


@pytest.mark.parametrize("level", LEVELS[1:])
def test_without_a_split_the_named_level_is_loaded_whole(tmp_path, level):
    part = folders.list_part(write_archive(tmp_path) / level)
    assert counts(part)["sea"] == (10 if "train" in level else 3)


def test_without_a_split_both_parts_are_too_many(tmp_path):
    with pytest.raises(ValueError, match="split='train' or split='test'"):
        folders.list_part(write_archive(tmp_path))


@pytest.mark.parametrize(
    "train, test",
    [
        ("train", "test"),
        ("Training", "Testing"),
        ("train", "val"),
        ("train/train", "validation"),
        ("archive/seg_train/seg_train", "archive/seg_test/seg_test"),
        ("versions/2/seg_train", "versions/2/seg_test"),
    ],
)
def test_other_names_single_or_doubled_or_wrapped(tmp_path, train, test):
    write_classes(tmp_path / train, bird=4, cat=5)
    write_classes(tmp_path / test, bird=1, cat=2)
    assert counts(folders.list_part(tmp_path, split="train")) == {"bird": 4, "cat": 5}
    assert counts(folders.list_part(tmp_path, split="test")) == {"bird": 1, "cat": 2}


def test_a_real_test_part_is_preferred_to_a_validation_part(tmp_path):
    for part, number in (("train", 5), ("val", 3), ("test", 2)):
        write_classes(tmp_path / part, bird=number, cat=number)
    assert counts(folders.list_part(tmp_path, split="test")) == {"bird": 2, "cat": 2}


def test_classes_called_train_and_test_are_classes(tmp_path):
    write_classes(tmp_path, train=3, test=3, boat=3)
    assert counts(folders.list_part(tmp_path)) == {"boat": 3, "test": 3, "train": 3}


@pytest.mark.parametrize(
    "wrapping", ["", "pictures", "a/b", "train", "seg_train/seg_train"]
)
def test_an_undivided_folder_is_divided_always_alike(tmp_path, wrapping):
    root = write_classes(tmp_path / wrapping, boat=20, car=11, train=2)
    whole = folders.list_part(tmp_path)
    train = folders.list_part(tmp_path, split="train")
    test = folders.list_part(tmp_path, split="test")
    assert counts(test) == {"boat": 4, "car": 2, "train": 1}
    for name, files in whole.files.items():
        assert sorted(train.files[name] + test.files[name]) == files
        assert not set(train.files[name]) & set(test.files[name])
    assert {train.word, test.word, whole.word} == {"train-of-all", "test-of-all", "all"}
    for number in range(100, 103):
        write_picture(root / "boat" / f"{number}.png")
    again = folders.list_part(tmp_path, split="test")
    moved = set(again.files["boat"]) ^ set(test.files["boat"])
    assert len(moved) <= 4 and again.files["car"] == test.files["car"]


def test_a_single_picture_cannot_be_divided(tmp_path):
    write_classes(tmp_path, boat=5, car=1)
    assert counts(folders.list_part(tmp_path)) == {"boat": 5, "car": 1}
    with pytest.raises(ValueError, match="'car' has a single picture"):
        folders.list_part(tmp_path, split="train")


def test_what_is_no_picture_is_passed_over(tmp_path):
    write_classes(tmp_path, boat=2, car=2)
    write_picture(tmp_path / "boat" / ".hidden.png")
    write_picture(tmp_path / "boat" / ".thumbnails" / "0.png")
    write_picture(tmp_path / "boat" / "__MACOSX" / "0.png")
    write_picture(tmp_path / ".git" / "0.png")
    write_picture(tmp_path / "__MACOSX" / "boat" / "0.png")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "notes.txt", "labels.csv"):
        (tmp_path / "boat" / name).write_text("no picture")
        (tmp_path / name).write_text("no picture")
    assert counts(folders.list_part(tmp_path)) == {"boat": 2, "car": 2}


def test_names_with_spaces_other_scripts_and_capitals(tmp_path):
    write_picture(tmp_path / "am Gletscher" / "größer als groß.PNG")
    write_picture(tmp_path / "海" / "a b.Png")
    part = folders.list_part(tmp_path)
    assert part.files == {
        "am Gletscher": ["am Gletscher/größer als groß.PNG"],
        "海": ["海/a b.Png"],
    }


def test_deeper_folders_belong_to_their_class_and_circles_end(tmp_path):
    write_classes(tmp_path, boat=2, car=2)
    write_picture(tmp_path / "boat" / "sail" / "small" / "x.png")
    (tmp_path / "boat" / "sail" / "again").symlink_to(tmp_path / "boat")
    part = folders.list_part(tmp_path)
    assert part.files["boat"] == ["boat/0.png", "boat/1.png", "boat/sail/small/x.png"]


def test_linked_class_folders_are_followed(tmp_path):
    write_classes(tmp_path / "far", boat=3)
    write_classes(tmp_path / "set", car=2)
    (tmp_path / "set" / "boat").symlink_to(tmp_path / "far" / "boat")
    assert counts(folders.list_part(tmp_path / "set")) == {"boat": 3, "car": 2}


def test_class_names_give_the_order_and_the_choice(tmp_path):
    write_classes(tmp_path, boat=1, car=2, train=3)
    part = folders.list_part(tmp_path, class_names=["train", "boat"])
    assert list(part.files) == ["train", "boat"]
    with pytest.raises(ValueError, match=r"no class folder for \['bus'\].*'boat'"):
        folders.list_part(tmp_path, class_names=["bus", "boat"])
    with pytest.raises(ValueError, match="all different"):
        folders.list_part(tmp_path, class_names=["boat", "boat"])


def test_the_test_part_has_the_labels_of_the_train_part(tmp_path):
    write_classes(tmp_path / "train", boat=2, car=2, train=2)
    write_classes(tmp_path / "test", boat=1, car=1, train=1)
    test = folders.list_part(tmp_path, split="test")
    assert list(test.files) == ["boat", "car", "train"]
    write_classes(tmp_path / "test", aeroplane=1)
    with pytest.raises(ValueError, match="train part has not: aeroplane"):
        folders.list_part(tmp_path, split="test")


def test_a_class_missing_in_the_test_part_is_named(tmp_path):
    write_classes(tmp_path / "train", boat=2, car=2)
    write_classes(tmp_path / "test", car=1)
    with pytest.raises(ValueError, match="test.*boat holds no pictures"):
        folders.list_part(tmp_path, split="test")


def test_no_such_folder_and_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        folders.list_part("nowhere")
    write_picture(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="a.png is a file, not a folder"):
        folders.list_part(tmp_path / "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="link does not exist"):
        folders.list_part(tmp_path / "link")


def test_no_class_folders(tmp_path):
    with pytest.raises(ValueError, match="no class folders with pictures. Put"):
        folders.list_part(tmp_path)
    (tmp_path / "boat").mkdir()
    (tmp_path / "car").mkdir()
    with pytest.raises(ValueError, match="no class folders with pictures. Put"):
        folders.list_part(tmp_path)


def test_pictures_without_class_folders(tmp_path):
    write_picture(tmp_path / "boat" / "0.png")
    with pytest.raises(ValueError, match="name the folder above"):
        folders.list_part(tmp_path / "boat")


def test_a_single_class(tmp_path):
    write_classes(tmp_path, boat=3)
    with pytest.raises(ValueError, match=r"\['boat'\].*needs two or more"):
        folders.list_part(tmp_path)


def test_an_empty_class_folder(tmp_path):
    write_classes(tmp_path, boat=3, car=3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "Thumbs.db").write_text("no picture")
    with pytest.raises(ValueError, match="class folder .*empty holds no pictures"):
        folders.list_part(tmp_path)


def test_a_class_folder_that_is_a_broken_link(tmp_path):
    write_classes(tmp_path, boat=3, car=3)
    (tmp_path / "bus").symlink_to(tmp_path / "gone")
    with pytest.raises(
        ValueError, match="bus is a link to .*gone, which does not exist"
    ):
        folders.list_part(tmp_path)


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    write_classes(tmp_path, boat=3, car=3)
    scandir = os.scandir

    def refuse(place):
        if Path(place).name == "car":  # chmod would not stop root
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        ValueError, match="car cannot be read .Permission denied.*Change"
    ):
        folders.list_part(tmp_path)


@given(
    st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 30), min_size=1),
    st.integers(1, 120),
)
def test_a_choice_is_balanced_exact_and_the_same_again(sizes, count):
    files = {
        name: [f"{name}/{i:02}" for i in range(size)] for name, size in sizes.items()
    }
    chosen = folders.choose(files, count)
    taken = {name: len(members) for name, members in chosen.items()}
    assert sum(taken.values()) == min(count, sum(sizes.values()))
    open_classes = [taken[name] for name in sizes if taken[name] < sizes[name]]
    if open_classes:
        assert max(taken.values()) - min(open_classes) <= 1
    for name, members in chosen.items():
        assert members == sorted(members) and set(members) <= set(files[name])
    assert folders.choose(files, count) == chosen


def test_the_choice_is_spread_over_the_class_not_its_beginning():
    files = {"boat": [f"boat/{i:03}" for i in range(200)]}
    chosen = [int(file[-3:]) for file in folders.choose(files, 50)["boat"]]
    assert min(chosen) < 40 and max(chosen) > 160


def test_the_fingerprint_sees_content_names_and_numbers(tmp_path):
    write_classes(tmp_path, boat=3, car=3)

    def fingerprint():
        return folders.fingerprint(folders.list_part(tmp_path))

    before = fingerprint()
    assert fingerprint() == before
    path = tmp_path / "boat" / "1.png"
    status, data = path.stat(), path.read_bytes()
    # Same name, same size, and the time of modification set back as copying tools do.
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    changed = fingerprint()
    path.rename(tmp_path / "boat" / "one.png")
    renamed = fingerprint()
    write_picture(tmp_path / "car" / "9.png")
    added = fingerprint()
    (tmp_path / "car" / "0.png").unlink()
    removed = fingerprint()
    (tmp_path / "car" / "7.png").symlink_to(tmp_path / "gone.png")
    linked = fingerprint()
    write_picture(tmp_path / "gone.png")
    mended = fingerprint()
    assert len({before, changed, renamed, added, removed, linked, mended}) == 7
