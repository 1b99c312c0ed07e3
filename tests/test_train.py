"""`scenecam train`: what it writes, through kills too."""

import json
import random
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from scenecam import models, recipes
from scenecam_cli import main as cli
from scenecam_cli import train

TINY = ("--builder", "plain_cnn", "--size", 12, "--batch-size", 8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three classes of fifteen pictures: which third of the height is bright."""
    root, rng = tmp_path_factory.mktemp("in") / "pictures", np.random.default_rng(0)
    for label, name in enumerate(("bottom", "middle", "top")):
        (root / name).mkdir(parents=True)
        for number in range(15):
            image = rng.integers(0, 200, (12, 12, 3), dtype=np.uint8)
            image[8 - 4 * label : 12 - 4 * label] //= 2
            Image.fromarray(image).save(root / name / f"{number}.png")
    return root


def scenecam(*words):
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as ended:
        return ended.code


def card_of(path):
    return json.loads(path.with_suffix(".json").read_text())


def same_run(first, second):
    pairs = zip(
        models.load_model(first).get_weights(),
        models.load_model(second).get_weights(),
        strict=True,
    )
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)
    one, other = (card_of(path) for path in (first, second))
    for name in ("loss", "val_loss", "val_accuracy", "side"):
        assert one["history"][name] == other["history"][name]
    assert one["temperature"] == other["temperature"]


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "tiny.keras"
    assert scenecam("train", pictures, "--out", out, *TINY, "--epochs", 30) == 0
    return out


def test_the_card_says_how_it_was_made(pictures, trained):
    card = card_of(trained)
    assert card["class_names"] == ["bottom", "middle", "top"]
    assert card["data"]["train"] + card["data"]["valid"] == 36
    assert card["epochs"] == 30 and card["recipe"]["seed"] == 0
    assert card["recipe"]["renew_statistics"] and card["recipe"]["calibrate"]
    scores, counts = card["valid"], np.array(card["valid"]["confusions"])
    assert counts.shape == (3, 3) and counts.sum() == card["data"]["valid"]
    assert counts.trace() / counts.sum() == pytest.approx(scores["accuracy"], abs=1e-4)
    recalls = [scores["classes"][name]["recall"] for name in card["class_names"]]
    assert counts.diagonal() / counts.sum(1) == pytest.approx(recalls, abs=1e-4)
    assert len(card["data"]["sha256"]) == 64
    assert not trained.with_suffix(".run").exists()


def test_the_same_command_gives_the_same_weights(pictures, trained, tmp_path, capsys):
    words = ("train", pictures, *TINY, "--epochs", 30, "--out")
    assert scenecam(*words, tmp_path / "a.keras") == 0
    same_run(trained, tmp_path / "a.keras")
    capsys.readouterr()
    assert scenecam(*words, tmp_path / "a.keras") == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert scenecam(*words, tmp_path / "a.keras", "--resume") == 0
    assert "Nothing is left to do" in capsys.readouterr().out
    assert scenecam(*words, tmp_path / "a.keras", "--resume", "--seed", 1) == 2
    assert "was made with other" in capsys.readouterr().err


# One process imports what takes seconds; each run is a fork of it.
FORKS = """
import os, sys
from scenecam import data, models, recipes
from scenecam_cli import main as cli
for line in sys.stdin:
    out, *words = line.rstrip("\\n").split("\\t")
    pid = os.fork()
    if not pid:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        code = cli.main(words)
        sys.stdout.flush()
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_kills_at_random_moments_lose_one_epoch_at_most(pictures, trained, tmp_path):
    import os
    import signal
    import threading

    out, log = tmp_path / "tiny.keras", tmp_path / "log.txt"
    words = ("train", pictures, "--out", out, *TINY, "--epochs", 30, "--resume")
    line = "\t".join(map(str, (log, *words))) + "\n"
    moments, kills, code = random.Random(0), 0, None
    server = subprocess.Popen(
        [sys.executable, "-c", FORKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
    )
    with server:
        for _ in range(60):
            server.stdin.write(line)
            server.stdin.flush()
            pid = int(server.stdout.readline())
            # Once ten were killed, the next one may end.
            after = moments.uniform(0.1, 2.5) if kills < 10 else 120
            timer = threading.Timer(after, os.kill, (pid, signal.SIGKILL))
            timer.start()
            code = int(server.stdout.readline())
            timer.cancel()
            kills += code == -signal.SIGKILL
            if out.exists():
                models.load_model(out)
            for path in out.with_suffix(".run").glob("1/[!.]*"):
                if path.suffix in (".keras", ".npz"):
                    assert zipfile.ZipFile(path).testzip() is None
                else:
                    json.loads(path.read_text())
            if code == 0 and kills >= 10:
                break
        server.stdin.close()
    assert code == 0 and kills >= 10
    # What was reported as done is never done again.
    epochs = [int(n) for n in re.findall(r"^epoch (\d+)/", log.read_text(), re.M)]
    assert epochs == sorted(set(epochs)) and epochs[-1] == 30
    same_run(trained, out)
    assert not out.with_suffix(".run").exists()


def test_a_full_disk_is_a_sentence(pictures, tmp_path, capsys, monkeypatch):
    def full(*arguments, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    out = tmp_path / "x.keras"
    assert scenecam("train", pictures, "--out", out, *TINY, "--epochs", 2) == 1
    assert "the disk is full" in capsys.readouterr().err and not out.exists()


def test_bad_pictures_are_named_and_bad_folders_refused(tmp_path, capsys):
    def folder(name, **counts):
        for kind, count in counts.items():
            (tmp_path / name / kind).mkdir(parents=True)
            for i in range(count):
                image = np.full((12, 12, 3), 10 * i, np.uint8)
                Image.fromarray(image).save(tmp_path / name / kind / f"{i}.png")
        return tmp_path / name

    out = tmp_path / "x.keras"
    for source, words in (
        (folder("empty", a=0, b=0), "no class folders with pictures"),
        (folder("one", a=5), "needs two or more"),
        (folder("single", a=5, b=1), "single picture"),
        (folder("pair", a=5, b=2), "'b' has a single picture to train with"),
        (tmp_path / "gone", "does not exist"),
    ):
        assert scenecam("train", source, "--out", out, *TINY) == 2
        assert words in capsys.readouterr().err and not out.exists()
    good = folder("good", a=8, b=8)
    (good / "a" / "torn.png").write_bytes(b"Dear reader")
    words = ("train", good, *TINY, "--epochs", 1, "--part", "all", "--out")
    assert scenecam(*words, good / "x.keras") == 2
    assert scenecam(*words, tmp_path / "x.h5") == 2
    assert scenecam("train", good, "--out", out, "--builder", "resnt") == 2
    assert "invalid choice: 'resnt'" in capsys.readouterr().err
    assert scenecam(*words, out) == 0
    assert "torn.png" in capsys.readouterr().err


def test_unequal_classes_are_weighed_on_request(tmp_path, capsys):
    for name, count in (("many", 40), ("few", 8)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(count):
            image = Image.new("RGB", (12, 12), (5 * number, 9 * len(name), 0))
            image.save(tmp_path / "set" / name / f"{number}.png")
    out = tmp_path / "x.keras"
    words = ("train", tmp_path / "set", *TINY, "--epochs", 1, "--out", out)
    assert scenecam(*words) == 0
    said = "'many' has 29 pictures to learn from, 'few' has 5; with --balance"
    assert said in capsys.readouterr().out
    assert scenecam(*words, "--balance", "--resume") == 2
    assert "made with other pictures or options" in capsys.readouterr().err
    assert scenecam(*words, "--balance", "--overwrite") == 0
    assert "--balance" not in capsys.readouterr().out
    card = card_of(out)
    assert card["recipe"]["phases"][0][2]["balance"] and card["settings"]["balance"]
    assert scenecam(*words, "--balance", "--resume") == 0
    assert "Nothing is left" in capsys.readouterr().out


@pytest.mark.skipif(not shutil.which("bash"), reason="no Bash")
def test_a_flat_folder_trains_once_the_lines_were_run(tmp_path, capsys):
    for part, names in (("train", ("cat.", "dog.")), ("test", ("",))):
        (tmp_path / "set" / part).mkdir(parents=True)
        for number in range(8):
            for name in names:
                image = Image.new("RGB", (12, 12), (10 * number, len(name), 0))
                image.save(tmp_path / "set" / part / f"{name}{number}.jpg")
    out = tmp_path / "x.keras"
    words = ("train", tmp_path / "set", *TINY, "--epochs", 1, "--out", out)
    assert scenecam(*words) == 2 and not out.exists()
    lines = capsys.readouterr().err.partition("in Bash:\n")[2]
    subprocess.run(["bash", "-euc", lines], check=True)
    assert scenecam(*words) == 0
    assert card_of(out)["class_names"] == ["cat", "dog"]


def test_a_temperature_changes_how_sure_it_is_and_nothing_else(rng):
    from scenecam.scenes import SceneSet

    model = models.plain_cnn((12, 12, 3), num_classes=3, widths=(4,), units=4)
    batch = rng.integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)
    scenes = SceneSet(batch, rng.integers(0, 3, 40), ("a", "b", "c"))
    before = models.predict_logits(model, batch)
    temperature = recipes.calibrate(model, scenes)
    after = models.predict_logits(model, batch)
    np.testing.assert_allclose(after * temperature, before, rtol=1e-3, atol=1e-4)
    right = SceneSet(batch, before.argmax(axis=1), ("a", "b", "c"))
    assert recipes.calibrate(model, right) == 1.0
    assert all(hasattr(models, builder) for builder in train.DEFAULTS)
