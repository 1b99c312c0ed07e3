"""`scenecam evaluate`: what it writes."""

import csv
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from scenecam import evaluation, images, models
from scenecam_cli import main as cli

# Another order than that of the folders: classes are matched by name.
NAMES = ("top", "bottom", "middle")


@pytest.fixture
def pictures(tmp_path, rng):
    """Three classes of eight pictures: which third of the height is dark."""
    for label, name in enumerate(("bottom", "middle", "top")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(8):
            image = rng.integers(0, 200, (12, 12, 3), dtype=np.uint8)
            image[8 - 4 * label : 12 - 4 * label] //= 2
            Image.fromarray(image).save(tmp_path / "pictures" / name / f"{number}.png")
    return tmp_path / "pictures"


def dense_network(rng):
    """A network without feature maps: chance weights for each third of the height."""
    layers = keras.layers.Rescaling(1 / 255), keras.layers.Flatten()
    scores = keras.layers.Dense(3)
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers, scores])
    kernel = rng.normal(size=(432, 3)) / 20
    for third, name in enumerate(("top", "middle", "bottom")):
        kernel[144 * third : 144 * third + 144, NAMES.index(name)] -= 0.02
    scores.set_weights([kernel, np.zeros(3)])
    return model


@pytest.fixture
def weights(tmp_path, rng):
    path = tmp_path / "network.keras"
    return models.save_model(dense_network(rng), path, card={"class_names": NAMES})


def scenecam(*words):
    return cli.main([str(word) for word in words])


def test_evaluate_writes_what_the_library_computes(pictures, weights, tmp_path, capsys):
    model, names, out = models.load_model(weights), NAMES, tmp_path / "report"
    words = ("--weights", weights, "--part", "all", "--out", out)
    assert scenecam("evaluate", pictures, *words) == 0
    said = capsys.readouterr().out
    files = sorted(path for path in pictures.glob("*/*.png"))
    labels = np.array([names.index(path.parent.name) for path in files])
    batch = np.stack([images.read_image(path, size=12) for path in files])
    found = models.predict(model, batch)
    numbers = json.loads((out / "report.json").read_text())
    accuracy, *interval = evaluation.accuracy_interval(labels, found.argmax(axis=1))
    assert 0.4 < accuracy < 1  # some right, some wrong
    assert numbers["accuracy"] == accuracy and numbers["interval"] == interval
    assert numbers["calibration_error"] == pytest.approx(
        evaluation.expected_calibration_error(labels, found), abs=1e-5
    )
    matrix = evaluation.confusion(
        labels=labels, predictions=found.argmax(axis=1), num_classes=3
    )
    rows = list(csv.reader((out / "confusion.csv").read_text().splitlines()))
    assert [list(map(int, row[1:])) for row in rows[1:]] == matrix.tolist()
    mistakes = list(csv.DictReader((out / "mistakes.csv").read_text().splitlines()))
    wrong = {
        str(path.relative_to(pictures))
        for path, label, row in zip(files, labels, found, strict=True)
        if row.argmax() != label
    }
    assert {row["file"] for row in mistakes} == wrong
    assert images.read_image(out / "confusion.png").shape[1] > 400
    assert f"accuracy {accuracy:.1%}" in said
    assert f"accuracy {accuracy:.1%}" in (out / "report.txt").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc to read memory from")
@pytest.mark.parametrize("classes", [30, 1000])
def test_the_figure_of_many_classes_takes_little_memory(classes, tmp_path):
    code = (
        "import re, sys, numpy as np\n"
        "from scenecam_cli import evaluate\n"
        f"names = [f'class {{i}}' for i in range({classes})]\n"
        f"matrix = np.eye({classes}, dtype=int) + 1\n"
        "open(sys.argv[1], 'wb').write(evaluate._figure(matrix, names))\n"
        # Of this process alone; `getrusage` counts from before it was another one.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    words = [sys.executable, "-c", code, tmp_path / "figure.png"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 1e6  # kB
    assert 2000 < images.read_image(tmp_path / "figure.png").shape[1] < 4000


def test_evaluate_refuses_classes_that_the_network_does_not_know(
    pictures, weights, tmp_path, capsys
):
    words = ("--weights", weights, "--out", tmp_path / "o", "--class-names", "a,b,c")
    assert scenecam("evaluate", pictures, *words) == 2
    error = capsys.readouterr().err
    assert "does not know the classes 'bottom', 'middle', 'top'" in error
    assert not (tmp_path / "o").exists()


def test_a_class_without_pictures_has_no_share_in_the_means(
    pictures, weights, tmp_path, rng
):
    out = tmp_path / "report"
    words = ("--part", "all", "--classes", "bottom,top", "--out", out)
    assert scenecam("evaluate", pictures, "--weights", weights, *words) == 0
    files = sorted([*pictures.glob("bottom/*.png"), *pictures.glob("top/*.png")])
    true = [file.parent.name for file in files]
    batch = np.stack([images.read_image(file) for file in files])
    found = models.predict(models.load_model(weights), batch).argmax(axis=1)
    scores = []
    for name in ("bottom", "top"):
        called = [NAMES[label] == name for label in found]
        hits = sum(
            call and name == label for call, label in zip(called, true, strict=True)
        )
        scores.append(2 * hits / (sum(called) + true.count(name)))
    numbers = json.loads((out / "report.json").read_text())
    assert numbers["macro_f1"] == pytest.approx(np.mean(scores))
    assert list(numbers["classes"]) == ["top", "bottom"]
    text = (out / "report.txt").read_text()
    assert f"macro F1 {np.mean(scores):.3f}" in text and "weighted avg" in text
