"""Class folders are found in every layout, and only real class folders."""

import os
import re
import shutil
import subprocess
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
        ("training_set", "test_set"),
        ("train_images", "test_images"),
        ("training_set/training_set", "test_set/test_set"),
        ("Train_Data", "test1"),
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


def test_a_class_called_train_is_one_beside_two_others(tmp_path):
    write_classes(tmp_path, train=3, boat=3)
    with pytest.raises(ValueError, match="called train are taken for parts.*rename"):
        folders.list_part(tmp_path)
    write_classes(tmp_path, car=3)
    assert counts(folders.list_part(tmp_path)) == {"boat": 3, "car": 3, "train": 3}


@pytest.mark.parametrize("split", [None, "train", "test"])
@pytest.mark.parametrize(
    "parts",
    [
        ("train", "test"),
        ("train/train", "test/test"),
        ("training_set", "test_set", "sample"),
        ("train_images", "test_images", "boats", "cars"),
        ("train", "val", "test"),
        ("train",),
        ("train", "seg_pred"),
    ],
)
def test_parts_without_class_folders_are_never_taken_for_classes(
    tmp_path, parts, split
):
    write_classes(tmp_path, **dict.fromkeys(parts, 3))
    with pytest.raises(ValueError, match="no class folders with pictures.*into a fold"):
        folders.list_part(tmp_path, split=split)
    if split:  # as soon as the train part has classes, it is read
        write_classes(tmp_path / parts[0], boat=5, car=10)
        part = folders.list_part(tmp_path, split=split)
        assert list(part.files) == ["boat", "car"]


@pytest.mark.skipif(not shutil.which("bash"), reason="no Bash")
@pytest.mark.parametrize("named", [".", "train", "train/deeper"])
@pytest.mark.parametrize(
    "form, cat, dog",
    [
        ("{}.{}.jpg", "cat", "dog"),
        ("{}_{}.JPG", "wild cat", "wild_dog"),
        ("{} ({}).png", "größe", "犬"),
        ("{}{}.jpg", "it's", "dog"),
        ("{}-12_{}.jpg", "cat", "dog"),
    ],
)
def test_the_lines_for_a_flat_folder_make_class_folders(
    tmp_path, monkeypatch, form, cat, dog, named
):
    monkeypatch.chdir(tmp_path)
    train = Path("it's a set") / ("train/deeper" if "deeper" in named else "train")
    for number in range(10):
        write_picture(train / form.format(cat, number), number)
        write_picture(train / form.format(dog, number), number)
    for number in range(5):
        write_picture(train.parent / "test1" / f"{number}.jpg", number)
    (train / "labels.csv").write_text("")
    with pytest.raises(ValueError, match="say the classes") as refusal:
        folders.list_part(Path("it's a set") / named, split="train")
    said, *lines = str(refusal.value).split("\n")
    assert len(lines) == 2 and f"({', '.join(sorted((cat, dog)))})" in said
    lines.append('test -d "it\'s a set"')  # the shell stands where it stood
    subprocess.run(["bash", "-euc", "\n".join(lines)], check=True, capture_output=True)
    part = folders.list_part(Path("it's a set") / named, split="train")
    assert counts(part) == {name: 8 for name in sorted((cat, dog))}
    assert (train / "labels.csv").is_file()


@pytest.mark.parametrize("form", ["{1}.jpg", "IMG_{1}.jpg", "{0}.jpg"])
def test_names_that_say_no_class_give_no_lines(tmp_path, form):
    for number in range(10):
        write_picture(tmp_path / "train" / form.format("ab3c45def8"[number], number))
    with pytest.raises(ValueError, match="Put the pictures of each class"):
        folders.list_part(tmp_path, split="train")


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


def test_a_class_is_read_with_all_its_folders_wherever_its_pictures_lie(tmp_path):
    for name, years in {"boat": ("2020", "2021/may"), "car": ("2020",)}.items():
        for year in years:
            write_classes(tmp_path / "set" / name, **{year: 5})
    part = folders.list_part(tmp_path / "set")
    assert counts(part) == {"boat": 10, "car": 5}
    assert part.root == tmp_path / "set"
    test = folders.list_part(tmp_path, split="test")  # a wrapping folder is one still
    assert counts(test) == {"boat": 2, "car": 1}
    before = folders.fingerprint(part)
    write_picture(tmp_path / "set" / "boat" / "itself.png")
    again = folders.list_part(tmp_path / "set")
    assert sorted([*part.files["boat"], "boat/itself.png"]) == again.files["boat"]
    assert folders.fingerprint(again) != before


@pytest.mark.parametrize("parts", [("train", "test"), ("train",)])
def test_folders_that_hold_parts_are_no_classes(tmp_path, parts):
    for name in ("images", "masks"):
        for part in parts:
            write_classes(tmp_path / name / part, boat=2, car=2)
    with pytest.raises(ValueError, match="no class folders with pictures"):
        folders.list_part(tmp_path, split="train")


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
    write_classes(tmp_path / "train", boat=2, car=2, sea=2)
    write_classes(tmp_path / "test", car=1, sea=1)
    with pytest.raises(ValueError) as refusal:
        folders.list_part(tmp_path, split="test")
    found = re.search("(.*) has no .* 'boat', which (.*) has. Put", str(refusal.value))
    assert found.groups() == (f"{tmp_path / 'test'}", f"{tmp_path / 'train'}")
    assert f"pictures into {tmp_path / 'test' / 'boat'}, or" in str(refusal.value)
    chosen = folders.list_part(tmp_path, split="test", class_names=["car", "sea"])
    assert counts(chosen) == {"car": 1, "sea": 1}
    write_classes(tmp_path / "test", boat=1)
    part = folders.list_part(tmp_path, split="test")
    assert counts(part) == {"boat": 1, "car": 1, "sea": 1}


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
