"""Fetching the public sets, from files and from a server that misbehaves."""

import dataclasses
import errno
import hashlib
import io
import json
import os
import pickle
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import time
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from picture_folders import write_classes
from set_server import PAGE, SetServer

from scenecam import data
from scenecam._data import folders
from scenecam_cli import archives, run_folder, sets
from scenecam_cli import fetch as command
from scenecam_cli import main as cli

SCENES = ("buildings", "forest", "glacier", "mountain", "sea", "street")
ANIMALS = ("bird", "cat", "dog", "horse")
COUNTS = {"train": 12, "test": 6}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own, and sets so small that they are quickly whole."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    monkeypatch.setattr(data, "project_root", lambda: root)
    monkeypatch.setattr(data, "cache_folders", lambda: (tmp_path / "cache",))
    for variable in ("SCENECAM_SCENES", "SCENECAM_ANIMALS"):
        monkeypatch.delenv(variable, raising=False)
    for name, whole in sets.SETS.items():
        small = dataclasses.replace(whole, pictures=COUNTS, megabytes=1)
        monkeypatch.setitem(sets.SETS, name, small)
    monkeypatch.setattr(command, "TIMEOUT", (5, 0.5))
    monkeypatch.setattr(command, "sleep", lambda seconds: None)
    # The command sets these for its own process.
    for variable in ("KAGGLEHUB_CACHE", "KAGGLEHUB_VERBOSITY", "TQDM_MININTERVAL"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    return root


@pytest.fixture
def server(monkeypatch):
    """The server, where kagglehub and pooch look for the network."""
    kaggle = pytest.importorskip("kagglesdk.kaggle_env")
    served = SetServer()
    places = kaggle._env_to_endpoint
    monkeypatch.setitem(places, kaggle.KaggleEnv.PROD, served.url)
    monkeypatch.setattr(command, "CIFAR", f"{served.url}/cifar.tar.gz")
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", "/nowhere")
    yield served
    served.stop()


@pytest.fixture
def photos(tmp_path):
    """A folder as the public archive unpacks: doubled names, an unlabelled part."""
    return write_photos(tmp_path / "unpacked")


def write_photos(root, classes=SCENES):
    write_classes(root / "seg_train" / "seg_train", **dict.fromkeys(classes, 2))
    write_classes(root / "seg_test" / "seg_test", **dict.fromkeys(classes, 1))
    write_classes(root / "seg_pred", seg_pred=2)
    (root / ".DS_Store").write_bytes(b"x")
    return root


def packed(folder, kind="zip", above=""):
    """Pack a folder; return the path of the archive."""
    path = folder.with_suffix(f".{kind}")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, above + str(file.relative_to(folder)))
    else:
        with tarfile.open(path, "w:gz") as archive:
            for file in files:
                archive.add(file, above + str(file.relative_to(folder)))
    return path


def write_cifar(path, monkeypatch=None):
    """Write a small CIFAR-10 of known pictures; return these by class and part."""
    rng, seen = np.random.default_rng(0), {}
    with tarfile.open(path, "w:gz") as archive:
        for batch, part in archives.CIFAR_BATCHES.items():
            labels = [2, 3, 9, 5, 7, 0] if part == "train" else [2, 3, 5, 7, 5, 7]
            pixels = rng.integers(0, 256, (len(labels), 3, 32, 32), np.uint8)
            for label, image in zip(labels, pixels, strict=True):
                key = part, archives.CIFAR_CLASSES[label]
                seen.setdefault(key, []).append(image.transpose(1, 2, 0))
            flat = pixels.reshape(len(labels), 3072)
            content = pickle.dumps({b"data": flat, b"labels": labels}, protocol=2)
            info = tarfile.TarInfo(f"{archives.CIFAR_FOLDER}/{batch}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    if monkeypatch:
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(archives, "CIFAR_SHA256", checksum)
    return seen


def fetch(*words):
    """Run the command in this process; return its exit code."""
    try:
        return cli.main(["fetch", *(str(word) for word in words)])
    except SystemExit as ended:
        return ended.code


def counts(place):
    roots = folders.find_roots(place)
    return {part: len(folders.list_pictures(root)) for part, root in roots.items()}


def nothing_but(root, *names):
    return sorted(path.name for path in (root / "data").iterdir()) == sorted(names)


# ---- From what a user has ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
@pytest.mark.parametrize("above", ["", "wrapped/"])
def test_photographs_from_what_a_user_has(project, photos, capsys, kind, above):
    source = photos if kind == "folder" else packed(photos, kind, above)
    assert fetch("photos", "--from", source) == 0
    said = capsys.readouterr().out
    assert "12 photographs to train and 6 photographs to test" in said
    place = project / "data" / "photos"
    assert nothing_but(project, "photos") and counts(place) == COUNTS
    assert sorted(path.name for path in place.iterdir()) == [
        "fetched.json",
        "seg_test",
        "seg_train",
    ]
    for file in ("seg_train/seg_train/sea/1.png", "seg_test/seg_test/street/0.png"):
        assert (place / file).read_bytes() == (photos / file).read_bytes()
    card = json.loads((place / "fetched.json").read_text())
    assert card == {"set": "photos", "from": str(source), "pictures": COUNTS}
    assert data.scenes_name() == "photos"
    assert data.load_scenes("test").class_names == SCENES


@pytest.mark.parametrize("level", ["seg_train", "seg_train/seg_train", "."])
def test_any_level_of_an_unpacked_folder_will_do(project, photos, level):
    assert fetch("photos", "--from", photos / level) == 0
    assert counts(project / "data" / "photos") == COUNTS


def test_the_photographs_beside_the_checkout(project, photographs, monkeypatch):
    assert fetch("photos", "--from", photographs) == 0
    found = counts(project / "data" / "photos")
    assert found == counts(photographs) and found["train"] > 1000


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_animals_from_class_folders(project, tmp_path, kind):
    root = tmp_path / "animals"
    for part, number in (("train", 3), ("test", 1)):
        write_classes(root / part, **dict.fromkeys((*ANIMALS, "ship"), number))
    source = root if kind == "folder" else packed(root)
    assert fetch("animals", "--from", source) == 0
    assert counts(project / "data" / "animals") == {"train": 12, "test": 4}
    animals = data.load_animals("test")
    assert animals.class_names == ANIMALS and animals.images.shape == (4, 32, 32, 3)


def test_animals_from_the_archive_of_cifar(project, tmp_path, monkeypatch):
    path = tmp_path / "cifar.bin"
    seen = write_cifar(path, monkeypatch)
    assert fetch("animals", "--from", path) == 0
    for split, each in (("train", 5), ("test", None)):
        animals = data.load_animals(split)
        for label, name in enumerate(animals.class_names):
            found = animals.images[animals.labels == label]
            np.testing.assert_array_equal(found, seen[split, name])
            assert each is None or len(found) == each
    assert (project / "data" / "animals" / "train" / "dog" / "0004.png").is_file()


def test_animals_that_are_not_there_are_asked_for(project, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="`scenecam fetch animals`, or name"):
        data.load_animals()
    with pytest.raises(ValueError, match="received 'valid'"):
        data.load_animals("valid")
    monkeypatch.setenv("SCENECAM_ANIMALS", "nowhere")
    with pytest.raises(ValueError, match="SCENECAM_ANIMALS is 'nowhere'.*or unset it"):
        data.load_animals()
    for part in ("train", "test"):
        write_classes(tmp_path / "pets" / part, cat=2, dog=2)
    monkeypatch.setenv("SCENECAM_ANIMALS", str(tmp_path / "pets"))
    assert data.load_animals().class_names == ("cat", "dog")


def test_a_pickle_that_is_not_known_byte_for_byte_is_not_opened(
    project, tmp_path, monkeypatch, capsys
):
    write_cifar(tmp_path / "cifar.tar.gz")
    monkeypatch.setattr(archives.pickle, "loads", None)
    assert fetch("animals", "--from", tmp_path / "cifar.tar.gz") == 2
    error = capsys.readouterr().err
    assert re.search("SHA-256 is [0-9a-f]{64}, expected 6d958be07", error)
    assert nothing_but(project)


# ---- What is there already -----------------------------------------------------------


def test_what_is_there_stays_until_again_is_asked(project, photos, capsys):
    assert fetch("photos", "--from", photos) == 0
    place = project / "data" / "photos"
    before = place.stat().st_ino
    capsys.readouterr()
    assert fetch("photos") == 0
    assert "is there already, with 12 photographs" in capsys.readouterr().out
    assert place.stat().st_ino == before
    (place / "seg_test" / "seg_test" / "sea" / "0.png").unlink()
    assert fetch("photos") == 0
    told = capsys.readouterr().out
    assert "5 photographs of 6" in told and "--again puts the set back" in told
    assert fetch("photos", "--from", photos, "--again") == 0
    assert counts(place) == COUNTS and nothing_but(project, "photos")


def test_again_that_fails_leaves_the_old_set(project, photos, capsys):
    assert fetch("photos", "--from", photos) == 0
    other = write_photos(photos.parent / "other", SCENES[:4])
    assert fetch("photos", "--from", other, "--again") == 2
    assert counts(project / "data" / "photos") == COUNTS
    assert nothing_but(project, "photos")


def test_what_a_user_put_there_is_never_replaced(project, photos, capsys):
    place = project / "data" / "photos"
    write_photos(place)
    assert fetch("photos") == 0  # it is found by its folders
    assert "is there already" in capsys.readouterr().out
    assert fetch("photos", "--again", "--from", photos) == 2
    assert "did not put there (seg_pred, seg_test, seg_tr" in capsys.readouterr().err
    shutil.rmtree(place)
    place.mkdir()
    (place / "archive.zip").write_bytes(b"x")
    assert fetch("photos", "--from", photos) == 2
    assert "archive.zip). Move it away" in capsys.readouterr().err
    (place / "archive.zip").unlink()
    assert fetch("photos", "--from", photos) == 0
    shutil.rmtree(place)
    place.write_text("x")
    assert fetch("photos", "--from", photos) == 2
    assert place.read_text() == "x"


def test_a_link_to_another_disk_stays_a_link(project, photos, tmp_path):
    (tmp_path / "large").mkdir()
    place = project / "data" / "photos"
    place.symlink_to(tmp_path / "large" / "photos")
    assert fetch("photos", "--from", photos) == 0
    assert place.is_symlink() and counts(place) == COUNTS
    assert os.listdir(tmp_path / "large") == ["photos"]


# ---- What is not the set -------------------------------------------------------------


def test_another_set_is_refused_and_named(project, tmp_path, capsys):
    pets = tmp_path / "pets"
    write_classes(pets / "train", cat=2, dog=3)
    for source in (pets, packed(pets)):
        assert fetch("photos", "--from", source) == 2
        error = capsys.readouterr().err
        assert "no pictures in train/buildings, train/forest" in error
        assert "dog (3)" in error and "cat (2)" in error
        assert "Expected: the folders buildings, forest" in error
    one_part = write_classes(tmp_path / "one", **dict.fromkeys(SCENES, 2))
    assert fetch("photos", "--from", one_part) == 2
    assert "test/street" in capsys.readouterr().err
    for name in ("gone.zip", "gone"):
        assert fetch("photos", "--from", tmp_path / name) == 2
        assert "there is no file or folder" in capsys.readouterr().err
    assert nothing_but(project)


def test_a_set_that_holds_a_picture_twice_is_refused(project, photos, capsys):
    other = photos / "seg_test" / "copy" / "sea"
    shutil.copytree(photos / "seg_test" / "seg_test" / "sea", other)
    assert fetch("photos", "--from", packed(photos)) == 2
    assert "would both become seg_test/seg_test/sea/0.png" in capsys.readouterr().err
    assert nothing_but(project)


def broken(photos, kind):
    whole = packed(photos).read_bytes()
    if kind == "damaged":
        at = whole.rfind(b"IDAT") + 6
        return whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
    gz = packed(photos, "tar.gz").read_bytes()
    return {
        "cut zip": whole[: len(whole) // 2],
        "cut tar": gz[: len(gz) // 2],
        "page": PAGE,
        "empty": b"",
        "text": b"Dear reader",
    }[kind]


@pytest.mark.parametrize(
    "kind, words",
    {
        "cut zip": "a zip that was cut short",
        "cut tar": "is damaged or cut short",
        "damaged": "is damaged or cut short",
        "page": "is a web page, not an archive",
        "empty": "is empty",
        "text": r"neither a zip nor a tar archive nor a folder \(it begins with",
    }.items(),
)
def test_a_broken_file_is_a_sentence(project, photos, capsys, kind, words):
    path = photos.parent / "archive"
    path.write_bytes(broken(photos, kind))
    assert fetch("photos", "--from", path) == 2
    assert re.search(words, capsys.readouterr().err)
    assert nothing_but(project)


def test_a_zip_with_a_password_is_a_sentence(project, photos, capsys):
    path = packed(photos)
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = -1
        while (place := content.find(mark, place + 1)) >= 0:
            content[place + at] |= 1
    path.write_bytes(content)
    assert fetch("photos", "--from", path) == 2
    assert "cannot be unpacked" in capsys.readouterr().err


# ---- Hostile archives ----------------------------------------------------------------

OUTSIDE = (
    "/tmp/seg_train/sea/9.png",
    "seg_train/sea/../../../../9.png",
    "..\\seg_train\\sea\\9.png",
    "C:\\seg_train\\sea\\9.png",
    "C:seg_train/sea/9.png",
)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_member_that_would_lie_outside_is_refused(
    project, photos, capsys, kind, name
):
    path = packed(photos, kind)
    if kind == "zip":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, b"x")
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(photos, "set")
            archive.addfile(tarfile.TarInfo(name))
    before = sorted(photos.parent.rglob("*"))
    assert fetch("photos", "--from", path) == 2
    error = capsys.readouterr().err
    assert "is refused: its member" in error
    assert re.search("absolute path|outside the folder", error)
    assert sorted(photos.parent.rglob("*")) == before and nothing_but(project)


@pytest.mark.parametrize("kind", ["symbolic", "hard", "device", "zip", "zip/"])
def test_links_and_devices_are_refused(project, photos, capsys, kind):
    path = photos.parent / "archive"
    name = "seg_train/seg_train/sea/9.png"
    if kind.startswith("zip"):
        path.write_bytes(packed(photos).read_bytes())
        info = zipfile.ZipInfo(name + kind.removeprefix("zip"))
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, "/etc/passwd")
    else:
        info = tarfile.TarInfo(name)
        info.linkname = "/etc/passwd"
        info.type = {
            "symbolic": tarfile.SYMTYPE,
            "hard": tarfile.LNKTYPE,
            "device": tarfile.CHRTYPE,
        }[kind]
        with tarfile.open(path, "w:gz") as archive:
            archive.add(photos, "set")
            archive.addfile(info)
    assert fetch("photos", "--from", path) == 2
    assert "is a link or a device, not a file" in capsys.readouterr().err
    assert nothing_but(project)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_unpacks_to_too_much_is_refused(
    project, photos, capsys, monkeypatch, kind
):
    big = photos / "seg_train" / "seg_train" / "sea" / "big.png"
    big.write_bytes(bytes(2_000_000))
    path = photos.parent / f"bomb.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in photos.rglob("*.png"):
                archive.write(file, str(file.relative_to(photos)))
    else:
        path = packed(photos, kind)
    assert path.stat().st_size < 40_000
    for limit, words in (("MAX_PICTURE", "has 2 MB"), ("MAX_TOTAL", "announces more")):
        with monkeypatch.context() as bounded:
            bounded.setattr(archives, limit, 1_000_000)
            assert fetch("photos", "--from", path) == 2
            assert words in capsys.readouterr().err
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    assert fetch("photos", "--from", path) == 2
    assert "or 5 files" in capsys.readouterr().err and nothing_but(project)


# ---- No room, no lock ----------------------------------------------------------------


def test_room_is_looked_for_first(project, photos, capsys, monkeypatch):
    usage = shutil.disk_usage(project)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    for words in (("--from", photos), ("--from", packed(photos)), ()):
        assert fetch("photos", *words) == 1
        error = capsys.readouterr().err
        assert "there is no room" in error and error.count("\n") == 1
    assert nothing_but(project)


def test_a_disk_that_becomes_full_is_a_sentence(project, photos, capsys, monkeypatch):
    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sets.Path, "write_bytes", full)
    assert fetch("photos", "--from", photos) == 1
    assert "the disk became full. Make room" in capsys.readouterr().err
    assert nothing_but(project)


def test_two_at_once_are_kept_apart(project, photos, capsys):
    pytest.importorskip("fcntl")
    with run_folder.locked(project / "data"):
        assert fetch("photos", "--from", photos) == 2
    assert "another run is writing to" in capsys.readouterr().err
    assert fetch("photos", "--from", photos) == 0


def large(photos):
    """Return an archive whose half has one of kagglehub's steps of 1 MiB."""
    (photos / "notes.bin").write_bytes(bytes(3 * 2**20))
    return packed(photos).read_bytes()


# ---- The network ---------------------------------------------------------------------


def test_photographs_through_kagglehub(project, photos, server, capsys):
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send
    server.content = packed(photos).read_bytes()
    assert fetch("photos") == 0
    assert counts(project / "data" / "photos") == COUNTS
    assert nothing_but(project, "photos")
    card = json.loads((project / "data" / "photos" / "fetched.json").read_text())
    assert card["from"].startswith("https://www.kaggle.com/datasets/puneet6060/")
    assert HTTPAdapter.send is send


def test_animals_through_pooch(project, tmp_path, server, monkeypatch):
    seen = write_cifar(tmp_path / "cifar.tar.gz", monkeypatch)
    server.content = (tmp_path / "cifar.tar.gz").read_bytes()
    server.plan = ["truncate", "page", "stall", "ok"]
    assert fetch("animals") == 0
    assert not server.plan and nothing_but(project, "animals")
    assert socket.getdefaulttimeout() is None
    (dog, *_) = seen["test", "dog"]
    animals = data.load_animals("test")
    np.testing.assert_array_equal(animals.images[animals.labels == 2][0], dog)


def test_what_a_killed_pooch_left_is_cleared(project, server):
    left = project / "data" / "animals.partial"
    left.mkdir()
    (left / "tmpabc").write_bytes(b"x")
    server.plan = ["404"]
    assert fetch("animals") == 1 and nothing_but(project)


@pytest.mark.parametrize("name", ["photos", "animals"])
def test_what_is_whole_of_a_download_is_not_downloaded_again(
    project, photos, server, monkeypatch, capsys, name
):
    path = packed(photos)
    if name == "animals":
        write_cifar(path, monkeypatch)
    server.content = path.read_bytes()

    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as small:
        small.setattr(sets.Path, "write_bytes", full)
        assert fetch(name) == 1
    assert nothing_but(project, f"{name}.partial") and len(server.asked) == 1
    assert "the disk became full" in capsys.readouterr().err
    assert fetch(name) == 0
    assert "An earlier download is there" in capsys.readouterr().out
    assert nothing_but(project, name) and len(server.asked) == 1


@pytest.mark.parametrize(
    "plan, words",
    {
        ("truncate",): "broke off: trying again (1 of 3)",
        ("stall",): "sent nothing for 0.5 s: trying again",
        ("page",): "is no archive, perhaps a web page: trying again",
        ("429:7",): "answered 429 (too many requests; try again after 7): trying again",
        ("503",): "answered 503 (is busy; try again after 10): trying again in 10 s",
        ("500",): "answered 500: trying again in 1 s (1 of 3)",
        ("truncate", "ok", "truncate"): "trying again (1 of 3)",
    }.items(),
)
def test_what_goes_wrong_once_is_tried_again(
    project, photos, server, capsys, plan, words
):
    server.content, server.plan = large(photos), list(plan)
    assert fetch("photos") == 0
    assert words in capsys.readouterr().out
    assert counts(project / "data" / "photos") == COUNTS
    assert nothing_but(project, "photos")
    if plan[0] in ("truncate", "stall"):
        assert f"bytes={2**20}-" in server.asked  # it went on where it broke off


@pytest.mark.parametrize(
    "plan, words, tries",
    [
        (["404"], "answered 404: the set is not there any more", 1),
        (["403"], "answered 403: it does not give the set to us", 1),
        (["429:3600"], r"answered 429 \(too many requests; try again after 3600\)", 1),
        (["429:Wed, 21 Oct 2026 07:28:00 GMT"], "try again after Wed", 1),
        (["page"] * 4, "sent something that is no archive", 4),
        (["stall"] * 8, "sent nothing for 0.5 s", 7),
    ],
)
def test_what_stays_wrong_ends_with_the_way_by_hand(
    project, photos, server, capsys, plan, words, tries
):
    server.content, server.plan = packed(photos).read_bytes(), list(plan)
    assert fetch("photos") == 1
    error = capsys.readouterr().err
    assert re.search(words, error) and "Traceback" not in error
    assert "https://www.kaggle.com/datasets/puneet6060/intel-image" in error
    assert "scenecam fetch photos --from path/to/that/file" in error
    assert len(server.asked) == tries
    assert not (project / "data" / "photos").exists()
    # Nothing of it is in the way of the next run.
    server.plan = []
    assert fetch("photos") == 0 and nothing_but(project, "photos")


def test_a_set_that_is_too_small_is_not_taken_for_whole(
    project, photos, server, capsys
):
    shutil.rmtree(photos / "seg_test" / "seg_test" / "sea")
    server.content = packed(photos).read_bytes()
    assert fetch("photos") == 1
    assert "holds 12 photographs to train and 5 photographs of 6" in (
        capsys.readouterr().err
    )
    assert nothing_but(project)


@pytest.mark.parametrize("name", ["photos", "animals"])
def test_offline_it_says_at_once_what_to_do(project, server, capsys, monkeypatch, name):
    server.stop()
    start = time.monotonic()
    assert fetch(name) == 1
    assert time.monotonic() - start < 10
    error = capsys.readouterr().err
    assert "cannot be reached (Connection refused)" in error
    assert "By hand:" in error and f"scenecam fetch {name} --from" in error
    assert "Traceback" not in error and nothing_but(project)


def test_without_kagglehub_it_says_how_to_install_it(project, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    monkeypatch.setitem(sys.modules, "requests", None)
    assert fetch("photos") == 1
    error = capsys.readouterr().err
    assert ": pip install kagglehub" in error and "By hand:" in error


# ---- Killed --------------------------------------------------------------------------

# Runs the command with a project, and a set, of its own; a third word is a server.
DRIVER = """
import dataclasses, os, signal, sys, time
from pathlib import Path
from scenecam import data
from scenecam_cli import archives, main, sets
root, moves, source, server = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
data.project_root = lambda: root
for name, whole in sets.SETS.items():
    sets.SETS[name] = dataclasses.replace(
        whole, pictures={"train": 12, "test": 6}, megabytes=1
    )
real, read = os.replace, archives.read_pictures
def replace(*places):
    global moves
    moves -= 1
    if moves == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*places)
def slowly(*words):
    for picture in read(*words):
        time.sleep(0.01)
        yield picture
os.replace, archives.read_pictures = replace, slowly
if server:
    import kagglesdk.kaggle_env as kaggle
    kaggle._env_to_endpoint[kaggle.KaggleEnv.PROD] = server
words = ["--from", source] if source else []
print("started", flush=True)
sys.exit(main.main(["fetch", "photos", "--again", *words]))
"""


def start(root, *, source="", server="", moves=0):
    """Start the command in a process; return it when the work begins."""
    words = [str(word) for word in (root, moves, source, server)]
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert process.stdout.readline() == b"started\n"
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
@pytest.mark.parametrize("old", [False, True])
def test_killed_at_any_moment_nothing_looks_complete_that_is_not(project, photos, old):
    place, source, seen = project / "data" / "photos", packed(photos), []
    if old:
        assert fetch("photos", "--from", source) == 0
    chance = random.Random(old)
    for _ in range(5):
        process = start(project, source=source)
        time.sleep(chance.uniform(0, 0.3))
        seen.append(process.poll())
        end(process)
        whole = counts(place)
        assert whole == COUNTS or (whole == {} and not old)
        assert not place.exists() or whole == COUNTS
    assert seen.count(None) >= 2
    assert fetch("photos", "--from", source) == 0
    assert counts(place) == COUNTS
    assert nothing_but(project, "photos")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
@pytest.mark.parametrize("moves", [1, 2])
def test_killed_between_the_two_moves_the_old_set_comes_back(project, photos, moves):
    place = project / "data" / "photos"
    assert fetch("photos", "--from", photos) == 0
    mark = place / "mine.txt"
    mark.touch()
    process = start(project, source=photos, moves=moves)
    assert process.wait() == -signal.SIGKILL
    end(process)
    assert place.exists() == (moves == 1)
    assert fetch("photos") == 0  # there already, again
    assert mark.exists() and counts(place) == COUNTS
    assert nothing_but(project, "photos")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_download_that_was_killed_goes_on(project, photos, server):
    server.content, server.plan = large(photos), ["stall"]
    process = start(project, server=server.url)
    deadline = time.monotonic() + 20
    while not any(path.stat().st_size >= 2**20 for path in project.rglob("*.archive")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    end(process)
    assert not (project / "data" / "photos").exists()
    assert fetch("photos") == 0
    assert server.asked[-1] == f"bytes={2**20}-"
    assert counts(project / "data" / "photos") == COUNTS
    assert nothing_but(project, "photos")
