"""What is written appears whole or not at all, whoever else writes it."""

import os
import threading

import pytest

from scenecam._data.whole import whole_file, whole_folder, write_file


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_is_made_with_its_folders_and_replaced(tmp_path, shared):
    path = tmp_path / "a" / "b.txt"
    for text in ("one", "two"):
        with whole_file(path, shared=shared) as partial:
            partial.write_text(text)
            assert partial.suffix == ".txt"
        assert contents(path.parent) == {"b.txt": text}


@pytest.mark.parametrize("shared", [False, True])
def test_after_an_error_a_file_is_as_before(tmp_path, shared):
    path = tmp_path / "b.txt"
    write_file(path, b"one")
    with pytest.raises(KeyError), whole_file(path, shared=shared) as partial:
        partial.write_text("tw")
        raise KeyError
    assert contents(tmp_path) == {"b.txt": "one"}


def test_what_a_killed_run_leaves_is_overwritten(tmp_path):
    (tmp_path / ".partial.b.txt").write_text("ha")
    (tmp_path / ".partial.set").mkdir()
    (tmp_path / ".partial.set" / "half").write_text("ha")
    write_file(tmp_path / "b.txt", b"one")
    with whole_folder(tmp_path / "set") as partial:
        (partial / "all").write_text("one")
    assert sorted(os.listdir(tmp_path)) == ["b.txt", "set"]
    assert contents(tmp_path / "set") == {"all": "one"}


def test_writers_of_one_file_at_the_same_time_leave_one_of_them_whole(tmp_path):
    path, texts = tmp_path / "b.txt", [str(i) * 100_000 for i in range(8)]

    def write(text):
        for _ in range(20):
            with whole_file(path, shared=True) as partial:
                partial.write_text(text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_text() in texts
    assert os.listdir(tmp_path) == ["b.txt"]


def test_a_folder_takes_the_place_of_an_older_one(tmp_path):
    path = tmp_path / "set"
    for text in ("one", "two"):
        with whole_folder(path) as partial:
            (partial / text).write_text(text)
        assert contents(path) == {text: text}
    with pytest.raises(KeyError), whole_folder(path) as partial:
        raise KeyError
    assert contents(path) == {"two": "two"}
    assert os.listdir(tmp_path) == ["set"]


def test_a_folder_set_aside_by_a_killed_run_comes_back(tmp_path):
    path = tmp_path / "set"
    (tmp_path / ".old.set").mkdir()
    (tmp_path / ".old.set" / "one").write_text("one")
    with pytest.raises(KeyError), whole_folder(path):
        assert contents(path) == {"one": "one"}
        raise KeyError
    assert contents(path) == {"one": "one"}


def test_of_writers_of_one_folder_the_first_to_end_stays(tmp_path):
    path = tmp_path / "set"
    with whole_folder(path, shared=True) as late:
        (late / "late").write_text("late")
        with whole_folder(path, shared=True) as early:
            (early / "early").write_text("early")
    assert contents(path) == {"early": "early"}
    assert os.listdir(tmp_path) == ["set"]


def test_a_shared_folder_that_cannot_be_put_in_place_is_an_error(tmp_path, monkeypatch):
    def full(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with (
        pytest.raises(OSError, match="No space"),
        whole_folder(tmp_path / "set", shared=True),
    ):
        pass
    assert os.listdir(tmp_path) == []
