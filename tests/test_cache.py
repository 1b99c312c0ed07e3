"""An entry of the cache is whole or not there; a full disk is no reason to stop."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
import warnings

import numpy as np
import pytest

from scenecam._data import cache

NAMES = ("boat", "car")
SIZE = (6, 8)
KEY = "a" * 24


def records(number=10, *, masks=False, paths=True):
    for i in range(number):
        mask = np.full(SIZE, i, np.uint8) if masks else None
        path = f"boat/{i} ü.png" if paths else None
        yield np.full((*SIZE, 3), i, np.uint8), i % 2, mask, path


def entry(*, key=KEY, name="set", number=10, masks=False):
    shapes = {"images": (number, *SIZE, 3)} | (
        {"masks": (number, *SIZE)} if masks else {}
    )
    return cache.Entry(name, key, shapes, NAMES)


def keep(folders, *, masks=False, paths=True, number=10, **about):
    """Keep a set, and return it without what was left out."""
    made = entry(number=number, masks=masks, **about)
    return cache.keep(
        folders, made, lambda skipped: records(number, masks=masks, paths=paths)
    )[0]


def find(folders, **about):
    found = cache.find(folders, entry(**about))
    return found and found[0]


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("paths", [False, True])
def test_what_is_kept_comes_back_as_a_memory_map(tmp_path, masks, paths):
    assert find([tmp_path], masks=masks) is None
    kept = keep([tmp_path], masks=masks, paths=paths)
    found = find([tmp_path], masks=masks)
    held = keep([], masks=masks, paths=paths)
    assert kept == found == held and not isinstance(held.images, np.memmap)
    assert isinstance(kept.images, np.memmap) and isinstance(found.images, np.memmap)
    assert not found.images.flags.writeable
    assert found.labels.tolist() == [0, 1] * 5
    assert len(os.listdir(tmp_path)) == 1


def test_fewer_records_than_announced_are_kept_as_they_are(tmp_path):
    announced = entry(number=50)
    kept, _ = cache.keep([tmp_path], announced, lambda skipped: records(7))
    assert len(kept) == 7 and kept == keep([], number=7)


def test_what_was_left_out_is_kept_with_its_reasons(tmp_path):
    def some(skipped):
        skipped["boat/9 ü.png"] = "is empty"
        yield from records(3)

    for folders in ([tmp_path], []):
        assert cache.keep(folders, entry(), some)[1] == {"boat/9 ü.png": "is empty"}
    assert cache.find([tmp_path], entry())[1] == {"boat/9 ü.png": "is empty"}


def test_the_first_set_that_is_kept_is_found(tmp_path):
    keep([tmp_path], name="whole")
    asked = [entry(name=name) for name in ("part", "whole")]
    assert len(cache.find([tmp_path / "nowhere", tmp_path], *asked)[0]) == 10
    keep([tmp_path], name="part", number=4)
    assert len(cache.find([tmp_path / "nowhere", tmp_path], *asked)[0]) == 4


def test_a_new_key_replaces_the_old_entry_and_no_other(tmp_path):
    keep([tmp_path], name="set")
    keep([tmp_path], name="set-600")
    keep([tmp_path], name="other")
    (tmp_path / "runs").mkdir()
    keep([tmp_path], name="set", key="b" * 24, number=4)
    assert find([tmp_path], name="set") is None
    assert len(find([tmp_path], name="set", key="b" * 24)) == 4
    assert find([tmp_path], name="set-600") is not None
    assert find([tmp_path], name="other") is not None
    assert (tmp_path / "runs").is_dir()


@pytest.mark.parametrize("file", ["images.npy", "masks.npy", "index.json"])
@pytest.mark.parametrize("harm", ["cut", "gone", "garbled"])
def test_a_damaged_entry_is_made_again(tmp_path, file, harm):
    keep([tmp_path], masks=True)
    path = next(tmp_path.glob("set-*")) / file
    if harm == "cut":
        os.truncate(path, path.stat().st_size - 3)
    elif harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"\xff" + path.read_bytes())
    assert find([tmp_path], masks=True) is None
    kept = keep([tmp_path], masks=True)
    assert isinstance(kept.images, np.memmap)
    assert find([tmp_path], masks=True) == kept == keep([], masks=True)


def test_an_error_while_making_leaves_nothing(tmp_path):
    def broken(skipped):
        yield from records(3)
        raise ValueError("no picture of boat can be read")

    with pytest.raises(ValueError, match="no picture of boat"):
        cache.keep([tmp_path], entry(number=9), broken)
    assert os.listdir(tmp_path) == []


def test_where_one_folder_cannot_be_written_the_next_is_taken(tmp_path):
    (tmp_path / "file").write_text("in the way")  # stops root too, unlike chmod
    kept = keep([tmp_path / "file" / "cache", tmp_path / "home"])
    assert isinstance(kept.images, np.memmap)
    folders = [tmp_path / "file" / "cache", tmp_path / "home"]
    assert find(folders) == kept


def test_where_none_can_be_written_one_warning_and_memory(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(
        UserWarning, match="set could not be kept.*file/a.*file/b"
    ) as seen:
        held = keep([tmp_path / "file" / "a", tmp_path / "file" / "b"])
    assert len(seen) == 1 and "held in memory" in str(seen[0].message)
    assert not isinstance(held.images, np.memmap) and len(held) == 10


def test_a_disk_known_to_be_too_small_is_not_begun(tmp_path, monkeypatch):
    needed = 10 * 6 * 8 * 4
    usage = type("usage", (), {"free": needed - 1})
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: usage)
    with pytest.warns(UserWarning, match="MB needed"):
        held = keep([tmp_path], masks=True)
    assert len(held) == 10 and os.listdir(tmp_path) == []
    usage.free = needed
    assert isinstance(keep([tmp_path], masks=True).images, np.memmap)


PROGRAM = """
    import os, resource, signal, sys, time, warnings
    import numpy as np
    from scenecam._data import cache

    folder, mode = sys.argv[1:]
    entry = cache.Entry("set", "a" * 24, {"images": (200, 96, 96, 3)}, ("a", "b"))
    if mode == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    def records(skipped):
        for i in range(200):
            if mode == "killed" and i == 150:
                print("half", flush=True)
                time.sleep(60)
            yield np.full((96, 96, 3), i, np.uint8), i % 2, None, f"{i}.png"

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        scenes, _ = cache.keep([__import__("pathlib").Path(folder)], entry, records)
    right = (scenes.images == np.arange(200, dtype=np.uint8)[:, None, None, None]).all()
    print(right, type(scenes.images).__name__, *[w.message for w in seen])
"""


def start(folder, mode):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), mode],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to set")
def test_a_disk_that_fills_up_half_way_ends_in_memory(tmp_path):
    """The limit on a file's size stands for a full disk: the write itself fails."""
    out = start(tmp_path, "full").communicate()[0]
    assert out.startswith("True ndarray") and "set could not be kept" in out
    assert os.listdir(tmp_path) == []


def test_a_killed_writer_leaves_nothing_that_looks_whole_and_is_cleared(tmp_path):
    writer = start(tmp_path, "killed")
    assert writer.stdout.readline() == "half\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    (part,) = tmp_path.iterdir()
    assert find([tmp_path]) is None
    keep([tmp_path])
    assert part.exists()  # it might still be written to
    past = time.time() - cache.STALE_SECONDS - 1
    for path in (part, *part.iterdir()):
        os.utime(path, (past, past))
    keep([tmp_path], key="b" * 24)
    assert not part.exists()
    assert [path.name[:5] for path in tmp_path.iterdir()] == ["set-b"]


def test_writers_at_the_same_time_do_not_disturb_each_other(tmp_path):
    writers = [start(tmp_path, "plain") for _ in range(4)]
    outputs = [writer.communicate()[0] for writer in writers]
    assert outputs == ["True memmap\n"] * 4
    assert len(os.listdir(tmp_path)) == 1


def test_a_large_set_passes_through_row_by_row(tmp_path):
    def rows(skipped):
        for i in range(1500):
            yield np.full((96, 96, 3), i % 256, np.uint8), i % 2, None, f"{i}.png"

    tracemalloc.start()
    large = cache.Entry("set", KEY, {"images": (1500, 96, 96, 3)}, NAMES)
    kept, _ = cache.keep([tmp_path], large, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept.images.nbytes > 40e6 > 10 * peak


def test_a_key_depends_on_every_part_and_their_borders():
    keys = {
        cache.digest("a", "b"),
        cache.digest("ab"),
        cache.digest("a", "b", ""),
        cache.digest("b", "a"),
    }
    assert len(keys) == 4
    assert cache.digest("sea\udcff") != cache.digest("sea")


def test_code_is_told_from_what_is_said_about_it(tmp_path):
    code = 'def f(x):\n    """Add one."""\n    return x + 1\n'

    def code_of(text):
        (tmp_path / "a.py").write_text(text, "utf-8")
        return cache.code_of(tmp_path / "a.py")

    same = ["# ü\n" + code, code.replace("one", "1"), code.replace(" + 1", "+1  # 1")]
    assert {code_of(text) for text in same} == {code_of(code)}
    for other in (code.replace("+ 1", "+ 2"), code + "y = 'a'\n", code + "y = 'b'\n"):
        assert code_of(other) != code_of(code)


def test_an_entry_is_plain_numpy_files(tmp_path):
    kept = keep([tmp_path], masks=True)
    (place,) = tmp_path.iterdir()
    names = ["images.npy", "index.json", "masks.npy"]
    assert sorted(path.name for path in place.iterdir()) == names
    np.testing.assert_array_equal(np.load(place / "images.npy"), kept.images)
    np.testing.assert_array_equal(np.load(place / "masks.npy"), kept.masks)


def test_names_are_made_plain():
    assert cache.plain_name("am Gletscher/[1]*") == "am_Gletscher_1_"
    assert cache.plain_name("海") == "_"
    assert len(cache.plain_name("x" * 300)) <= 60


def test_no_warning_where_all_goes_well(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keep([tmp_path / "new" / "folder"])
