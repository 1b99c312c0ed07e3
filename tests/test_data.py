"""Sets from folders, photographs and drawings: the same pixels, and no silence."""

import io
import os
import shutil
import struct
import subprocess
import sys
import textwrap
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from picture_folders import write_archive, write_classes, write_picture
from PIL import Image

from scenecam import data, images, synth
from scenecam._data import folders


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Neither read nor fill the project's cache, nor follow the caller's settings."""
    monkeypatch.delenv("SCENECAM_SCENES", raising=False)
    place = tmp_path / "kept"
    monkeypatch.setattr(data, "cache_folders", lambda: (place,))
    return place


@pytest.fixture
def no_decoding(monkeypatch):
    """Return a function after which opening any picture is an error."""

    def forbid():
        def fail(path, **options):
            raise AssertionError(f"{path} was decoded again")

        monkeypatch.setattr(images, "read_image", fail)

    return forbid


# --- folders


def test_a_set_holds_what_the_single_decoder_gives(tmp_path):
    root = write_classes(tmp_path / "set", boat=4, car=3, sea=2)
    scenes = data.load_folder(root, size=(9, 7))
    assert scenes.class_names == ("boat", "car", "sea")
    assert scenes.labels.tolist() == [0] * 4 + [1] * 3 + [2] * 2
    assert scenes.images.shape == (9, 9, 7, 3) and scenes.masks is None
    for path, label, image in zip(
        scenes.paths, scenes.labels, scenes.images, strict=True
    ):
        np.testing.assert_array_equal(image, images.read_image(path, size=(9, 7)))
        assert Path(path).parent.name == scenes.class_names[label]


def test_photographs_are_the_same_pixels_alone_and_in_the_set(photographs):
    scenes = data.load_folder(photographs, split="test", count=60)
    assert scenes.counts() == dict.fromkeys(synth.CLASS_NAMES, 10)
    for path, image in zip(scenes.paths, scenes.images, strict=True):
        np.testing.assert_array_equal(image, images.read_image(path, size=96))
        np.testing.assert_array_equal(
            image, images.decode_image(Path(path).read_bytes(), size=96)
        )


def test_the_second_load_opens_no_picture_and_is_equal(tmp_path, no_decoding):
    root = write_classes(tmp_path / "set", boat=4, car=3)
    first = data.load_folder(root)
    no_decoding()
    second = data.load_folder(root)
    assert first == second
    assert isinstance(first.images, np.memmap) and isinstance(second.images, np.memmap)
    with pytest.raises(AssertionError, match="decoded again"):
        data.load_folder(root, size=32)


def test_without_the_cache_nothing_is_kept_and_the_set_is_equal(tmp_path, own_cache):
    root = write_classes(tmp_path / "set", boat=4, car=3)
    held = data.load_folder(root, cache=False)
    assert not own_cache.exists() and not isinstance(held.images, np.memmap)
    assert held == data.load_folder(root)


def test_a_changed_added_or_removed_picture_is_noticed(tmp_path, own_cache):
    root = write_classes(tmp_path / "set", boat=2, car=2)
    data.load_folder(root, size=12)
    path = root / "boat" / "1.png"
    status = path.stat()
    write_picture(path, 77)
    if path.stat().st_size == status.st_size:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert data.load_folder(root, size=12).images[1, 0, 0, 0] == 77
    write_picture(root / "car" / "5.png", 99)
    assert data.load_folder(root, size=12).images[-1, 0, 0, 0] == 99
    (root / "boat" / "0.png").unlink()
    assert len(data.load_folder(root, size=12)) == 4
    assert len(list(own_cache.iterdir())) == 1  # what is out of date is gone


DECODED = """
    import sys
    from pathlib import Path
    from scenecam import data, images

    read, opened = images.read_image, []
    images.read_image = lambda path, **how: opened.append(path) or read(path, **how)
    data.cache_folders = lambda: (Path(sys.argv[2]),)
    data.load_folder(sys.argv[1], size=8)
    print(len(opened))
"""


def test_another_decoder_decodes_again_and_another_comment_does_not(tmp_path):
    root = write_classes(tmp_path / "set", boat=2, car=2)
    shutil.copytree(ROOT / "src", tmp_path / "src")
    library = tmp_path / "src" / "scenecam"

    def pictures_decoded():
        command = [sys.executable, "-c", textwrap.dedent(DECODED)]
        return int(
            subprocess.run(
                [*command, str(root), str(tmp_path / "kept")],
                env=os.environ | {"PYTHONPATH": str(tmp_path / "src")},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )

    assert [pictures_decoded(), pictures_decoded()] == [4, 0]
    decoder = library / "_data" / "decoding.py"
    for path in (library / "images.py", decoder):
        text = path.read_text("utf-8")
        path.write_text(text.replace('"""', '"""Now. ', 1) + "# Noted.\n", "utf-8")
    assert pictures_decoded() == 0
    text = decoder.read_text("utf-8")
    assert "BILINEAR" in text
    decoder.write_text(text.replace("BILINEAR", "BICUBIC"), "utf-8")
    assert [pictures_decoded(), pictures_decoded()] == [4, 0]


def test_folders_of_one_name_are_kept_apart(tmp_path):
    one = write_classes(tmp_path / "a" / "set", boat=2, car=2)
    two = write_classes(tmp_path / "b" / "set", bird=2, cat=2)
    for _ in range(2):
        assert data.load_folder(one).class_names == ("boat", "car")
        assert data.load_folder(two).class_names == ("bird", "cat")


def test_parts_of_the_archive_and_of_an_undivided_folder(tmp_path):
    root = write_archive(tmp_path / "scenes")
    for _ in range(2):  # decoded, then kept
        assert data.load_folder(root, split="train").counts() == {
            "forest": 10,
            "sea": 10,
        }
        assert data.load_folder(root, split="test").counts() == {"forest": 2, "sea": 3}
        inner = root / "seg_train"
        whole = data.load_folder(inner)
        assert whole.counts() == {"forest": 10, "sea": 10}
    shutil.rmtree(root / "seg_test")
    train = data.load_folder(root, split="train")
    test = data.load_folder(root, split="test")
    assert test.counts() == {"forest": 2, "sea": 2}
    assert not set(train.paths) & set(test.paths)
    assert sorted(train.paths + test.paths) == sorted(whole.paths)


@pytest.mark.parametrize("count", [1, 5, 7, 100])
def test_a_count_is_the_same_from_the_cache_and_without_it(tmp_path, count):
    root = write_classes(tmp_path / "set", boat=9, car=6, sea=2)
    fresh = data.load_folder(root, count=count)
    assert len(fresh) == min(count, 17)
    data.load_folder(root)
    assert data.load_folder(root, count=count) == fresh


def test_a_count_decodes_no_more_than_it_needs(tmp_path, monkeypatch):
    root = write_classes(tmp_path / "set", boat=30, car=30)
    read, opened = images.read_image, []

    def counting(path, **options):
        opened.append(path)
        return read(path, **options)

    monkeypatch.setattr(images, "read_image", counting)
    assert len(data.load_folder(root, count=6)) == 6 == len(opened)


@pytest.mark.parametrize("count", [0, -3])
def test_a_count_of_nothing(tmp_path, count):
    with pytest.raises(ValueError, match="count must be at least 1"):
        data.load_folder(write_classes(tmp_path, boat=2, car=2), count=count)
    with pytest.raises(ValueError, match="count must be at least 1"):
        data.load_scenes(count=count)


def test_a_relative_path_gives_absolute_ones(tmp_path, monkeypatch):
    write_classes(tmp_path / "set", boat=2, car=2)
    monkeypatch.chdir(tmp_path)
    scenes = data.load_folder("set", size=12)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(images.read_image(scenes.paths[3]), scenes.images[3])


def test_a_full_disk_gives_the_set_and_one_warning(tmp_path, monkeypatch):
    root = write_classes(tmp_path / "set", boat=2, car=2)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(data, "cache_folders", lambda: (tmp_path / "file" / "cache",))
    with pytest.warns(UserWarning, match="could not be kept") as seen:
        scenes = data.load_folder(root)
    assert len(seen) == 1 and len(scenes) == 4


# --- bad pictures


def make_bad_pictures(folder):
    """Write one of each kind that must not load; return {file name: words of why}."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + check
    contents = {
        "empty.jpg": (b"", "is empty"),
        "cut.jpg": (buffer.getvalue()[:-900], "damaged or cut short"),
        "letter.jpg": (b"Dear reader, this is text.", "no picture"),
        "bomb.png": (bomb + struct.pack(">I", 9) + b"IDAT", "80 million pixels"),
        "phone.heic": (b"\0\0\0\x18ftypheic", "no picture"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    (folder / "link.jpg").symlink_to("gone.jpg")
    frames = [Image.fromarray(np.roll(noise, i, 1)) for i in range(4)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    return {name: words for name, (_, words) in contents.items()} | {
        "link.jpg": "is a link to gone.jpg",
        "moving.gif": "4 pictures",
    }


def test_bad_pictures_are_left_out_and_named_every_time(tmp_path):
    root = write_classes(tmp_path / "set", boat=3, car=3)
    bad = make_bad_pictures(root / "car")
    for name in (".hidden.jpg", "Thumbs.db", ".DS_Store", "notes.txt"):
        (root / "car" / name).write_text("no picture")
    for cache in (True, True, False):  # decoded, then kept, then in memory
        with pytest.warns(data.SkippedPictures) as seen:
            scenes = data.load_folder(root, size=12, cache=cache)
        assert scenes.counts() == {"boat": 3, "car": 3}
        assert scenes.images[:, 0, 0, 0].tolist() == [0, 1, 2, 40, 41, 42]
        (warning,) = [one.message for one in seen]
        assert "7 of 13 pictures were left out" in str(warning)
        assert "and 2 more" in str(warning)
        assert {Path(path).name for path in warning.skipped} == set(bad)
        for path, reason in warning.skipped.items():
            assert path in reason and bad[Path(path).name] in reason
        assert seen[0].filename == __file__


def test_a_mended_picture_comes_back(tmp_path):
    root = write_classes(tmp_path / "set", boat=2, car=2)
    (root / "car" / "0.png").write_bytes(b"")
    with pytest.warns(data.SkippedPictures, match="0.png is empty"):
        assert len(data.load_folder(root)) == 3
    write_picture(root / "car" / "0.png", 9)
    assert len(data.load_folder(root)) == 4


def test_a_count_reports_only_what_it_met(tmp_path):
    root = write_classes(tmp_path / "set", boat=20, car=20)
    chosen = folders.choose(folders.list_part(root).files, 4)["car"]
    spared = next(f"car/{i}.png" for i in range(20) if f"car/{i}.png" not in chosen)
    (root / spared).write_bytes(b"")
    for _ in range(2):
        assert len(data.load_folder(root, count=4)) == 4  # warnings are errors here
        with pytest.warns(data.SkippedPictures):
            data.load_folder(root)


def test_a_class_without_one_readable_picture_is_an_error(tmp_path, own_cache):
    root = write_classes(tmp_path / "set", boat=2, car=2)
    for path in (root / "car").iterdir():
        path.write_bytes(b"")
    for cache in (True, False):
        with pytest.raises(ValueError, match="no picture in .*car can be read.*empty"):
            data.load_folder(root, cache=cache)
    assert list(own_cache.iterdir()) == []


def test_an_unreadable_picture_is_left_out(tmp_path, monkeypatch):
    root = write_classes(tmp_path / "set", boat=2, car=2)
    closed = root / "boat" / "0.png"
    closed.chmod(0)
    if os.access(closed, os.R_OK):  # root reads everything: let the system say no
        real = open

        def refuse(path, *args, **options):
            if str(path) == str(closed):
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **options)

        monkeypatch.setattr("builtins.open", refuse)
    with pytest.warns(data.SkippedPictures, match="0.png may not be read by this user"):
        assert len(data.load_folder(root)) == 3


def test_good_pictures_of_every_mode_load_without_a_word(tmp_path):
    root = write_classes(tmp_path / "set", boat=2, car=2)
    grey = np.linspace(0, 255, 144).reshape(12, 12).astype(np.uint8)
    rgb = Image.fromarray(grey).convert("RGB")
    for mode in ("1", "L", "LA", "RGB", "RGBA"):
        rgb.convert(mode).save(root / "boat" / f"mode {mode}.png")
    for mode in ("CMYK", "L", "RGB"):
        rgb.convert(mode).save(root / "boat" / f"mode {mode}.JPG")
    rgb.quantize(256).save(root / "boat" / "mode P.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(root / "boat" / "wide.png")
    scenes = data.load_folder(root, size=12)
    assert scenes.counts() == {"boat": 12, "car": 2}
    for path, image in zip(scenes.paths, scenes.images, strict=True):
        name = Path(path).name
        if name == "wide.png" or ("mode" in name and "mode 1" not in name):
            assert np.abs(image[..., 0].astype(int) - grey).max() <= 8, name


@pytest.mark.parametrize("split", ["valid", "Train", 0])
def test_a_split_of_another_name(tmp_path, split):
    root = write_classes(tmp_path / "set", boat=2, car=2)
    with pytest.raises(ValueError, match="'train' or 'test'; received"):
        data.load_folder(root, split=split)
    with pytest.raises(ValueError, match="'train' or 'test'; received"):
        data.load_scenes(split)


# --- the set of the book


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Stand in for a checkout without photographs."""
    root = tmp_path / "checkout"
    (root / "book").mkdir(parents=True)
    monkeypatch.setattr(data, "project_root", lambda: root)
    monkeypatch.chdir(root / "book")
    return root


@pytest.fixture
def few_drawn(monkeypatch):
    monkeypatch.setattr(data, "DRAWN", {"train": (24, 0), "test": (12, 1)})


def test_the_drawn_sets_are_as_announced():
    assert data.DRAWN == {"train": (4000, 0), "test": (1200, 1)}


def test_drawn_scenes_are_the_default_and_are_kept(checkout, few_drawn, monkeypatch):
    assert data.scenes_name() == "drawn"
    train, test = data.load_scenes("train"), data.load_scenes("test")
    assert train == synth.draw_scenes(24, seed=0) and test == synth.draw_scenes(
        12, seed=1
    )
    assert set(train.counts().values()) == {4}

    def fail(*args, **options):
        raise AssertionError("drawn again")

    monkeypatch.setattr(synth, "draw_scenes", fail)
    again = data.load_scenes("train")
    assert again == train and isinstance(again.masks, np.memmap)
    assert data.load_scenes("train", count=12) == train[:12]
    with pytest.raises(AssertionError, match="drawn again"):
        data.load_scenes("train", size=64)


def test_a_count_of_drawn_scenes_draws_no_more(checkout, few_drawn, monkeypatch):
    draw, drawn = synth.draw_scenes, []

    def counting(count, **options):
        drawn.append(count)
        return draw(count, **options)

    monkeypatch.setattr(synth, "draw_scenes", counting)
    for _ in range(2):
        assert len(data.load_scenes("test", count=6)) == 6
    assert drawn == [6]
    assert data.load_scenes("test")[:6] == data.load_scenes("test", count=6)
    assert len(data.load_scenes("test", count=1000)) == 12
    assert drawn == [6, 12]


def test_a_changed_drawing_is_drawn_again(checkout, few_drawn, monkeypatch):
    data.load_scenes("test")
    monkeypatch.setattr(synth, "draw_scenes", lambda *args, **options: 1 / 0)
    data.load_scenes("test")  # the same drawing: still known
    monkeypatch.setattr(synth, "digest", lambda: "another")
    with pytest.raises(ZeroDivisionError):
        data.load_scenes("test")


def test_drawn_scenes_are_square(checkout):
    with pytest.raises(ValueError, match="square; received size=.64, 96."):
        data.load_scenes(size=(64, 96))


def test_fetched_photographs_come_before_drawn_scenes(checkout, few_drawn, monkeypatch):
    (checkout / "data" / "photos").mkdir(parents=True)
    assert data.scenes_name() == "drawn"  # an empty folder is not fetched yet
    write_archive(checkout / "data" / "photos")
    assert data.scenes_name() == "photos"
    assert data.load_scenes("train").counts() == {"forest": 10, "sea": 10}
    monkeypatch.setenv("SCENECAM_SCENES", "drawn")
    assert data.scenes_name() == "drawn"
    assert data.load_scenes("train").class_names == synth.CLASS_NAMES


@pytest.mark.parametrize("level", [".", "seg_train", "seg_test/seg_test"])
def test_the_named_folder_comes_first_at_any_level(
    checkout, tmp_path, monkeypatch, level
):
    write_classes(checkout / "data" / "photos", boat=5, car=5)
    root = write_archive(tmp_path / "shared scenes")
    monkeypatch.setenv("SCENECAM_SCENES", str(root / level))
    assert data.scenes_name() == "photos"
    assert data.load_scenes("test").counts() == {"forest": 2, "sea": 3}
    assert len(data.load_scenes("train", count=4, size=20)) == 4


@pytest.mark.parametrize("folder", ["book", "."])
def test_a_relative_name_counts_from_the_project_too(
    checkout, tmp_path, monkeypatch, folder
):
    """Typed at the root for make, used by chapters that run in book/."""
    write_archive(tmp_path / "scenes")
    monkeypatch.chdir(checkout / folder)
    monkeypatch.setenv("SCENECAM_SCENES", "../scenes")
    assert data.load_scenes("test").counts() == {"forest": 2, "sea": 3}


@pytest.mark.parametrize("named", ["../nowhere", "book", "drawings"])
def test_a_name_of_no_such_folder_is_one_clear_sentence(checkout, monkeypatch, named):
    monkeypatch.setenv("SCENECAM_SCENES", named)
    for call in (data.scenes_name, data.load_scenes):
        with pytest.raises(
            ValueError, match=f"SCENECAM_SCENES is '{named}'.*the word drawn"
        ):
            call()


def test_a_source_in_the_call_comes_before_all_others(
    checkout, few_drawn, tmp_path, monkeypatch
):
    write_classes(checkout / "data" / "photos", boat=5, car=5)
    root = write_archive(tmp_path / "scenes")
    monkeypatch.setenv("SCENECAM_SCENES", "nowhere")
    assert data.load_scenes(source="drawn").class_names == synth.CLASS_NAMES
    for source in (root, str(root), "../scenes"):
        assert data.load_scenes("test", source=source).counts() == {
            "forest": 2,
            "sea": 3,
        }
    assert data.load_animals("train", source=root, size=12).counts()["sea"] == 10
    with pytest.raises(ValueError, match="source is 'there', but .*leave it out"):
        data.load_scenes(source="there")
    monkeypatch.delenv("SCENECAM_SCENES")
    assert data.load_scenes().counts() == {"boat": 4, "car": 4}
    assert data.scenes_name() == "photos"


@pytest.mark.parametrize("named", ["", "  "])
def test_an_empty_name_is_none(checkout, monkeypatch, named):
    monkeypatch.setenv("SCENECAM_SCENES", named)
    assert data.scenes_name() == "drawn"


def test_the_warning_of_load_scenes_points_to_its_caller(
    checkout, tmp_path, monkeypatch
):
    root = write_archive(tmp_path / "scenes")
    (root / "seg_test" / "seg_test" / "sea" / "0.png").write_bytes(b"")
    monkeypatch.setenv("SCENECAM_SCENES", str(root))
    with pytest.warns(data.SkippedPictures) as seen:
        data.load_scenes("test")
    assert seen[0].filename == __file__


# --- places


def test_the_project_root_is_this_checkout(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert data.project_root() == ROOT


def test_an_installed_copy_looks_around_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "__file__", "/usr/lib/python3/scenecam/data.py")
    clone = tmp_path / "clone"
    (clone / "src" / "scenecam").mkdir(parents=True)
    (clone / "src" / "scenecam" / "data.py").touch()
    (clone / "pyproject.toml").touch()
    (clone / "book").mkdir()
    monkeypatch.chdir(clone / "book")
    assert data.project_root() == clone
    monkeypatch.chdir(tmp_path)
    assert data.project_root() == tmp_path


def test_the_cache_lies_in_the_checkout_then_at_home(monkeypatch, tmp_path):
    monkeypatch.undo()  # the real function
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data.cache_folders() == (ROOT / "data" / "cache", tmp_path / "scenecam")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data.cache_folders()[1] == Path.home() / ".cache" / "scenecam"
    monkeypatch.setattr(data, "_is_checkout", lambda folder: False)
    assert len(data.cache_folders()) == 1


def test_git_ignores_the_cache_and_the_photographs():
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"data/cache", "data/photos/"} <= set(ignored)


def test_loading_is_quiet(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.load_folder(write_classes(tmp_path / "set", boat=2, car=2))
    assert capfd.readouterr() == ("", "")
