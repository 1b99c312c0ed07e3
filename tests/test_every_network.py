"""Every network of the table is answered rightly by every door, or refused by each.

The table and the truth are in `every_network`. What is refused is given the remedy that
the message prints, and then must be right.
"""

import csv
import re
import warnings
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from every_network import BYTES, TABLE, Then, true_answers, true_maps
from PIL import Image

from scenecam import cam, models, saliency
from scenecam._engine import anatomy, asked, passes
from scenecam_cli import main as cli

METHODS = ("grad_cam", "hires_cam", "layer_cam", "grad_cam_pp")


def assert_close(found, truth, tolerance):
    """Compare to a share of the largest value."""
    assert found.shape == truth.shape
    assert found.dtype == np.float32 and np.isfinite(found).all()
    largest = np.abs(truth).max()
    assert largest > 0, "the network says nothing"
    assert np.abs(found - truth).max() <= tolerance * largest


# ---- The doors: what is asked, and what must come out --------------------------------


def judge_logits(found, case, answers):
    logits, probabilities = found
    assert_close(logits, answers.logits, case.tolerance)
    assert_close(probabilities, answers.probabilities, 5 * case.tolerance)


def judge_maps(found, case, answers):
    for method, by_layer in found.items():
        for layer, maps in by_layer.items():
            # Grad-CAM++ divides by sums of activations, which may be 0.
            if method != "grad_cam_pp" or answers.activations[layer].min() >= 0:
                truth = true_maps(answers, method, layer)
                assert_close(maps, truth, case.tolerance)


def ask_for_maps(case):
    found = cam.class_maps(
        case.model, case.images, method=METHODS, layers=case.layers or None
    )
    assert all(list(found[method]) == list(case.layers) for method in METHODS)
    return found


def ask_for_the_default_map(case):
    found = {}
    if case.default or not case.layers:
        with warned(case.warns):
            found = cam.class_maps(case.model, case.images, method=METHODS)
        for method in METHODS:
            assert list(found[method]) == [case.default]
    if case.pooled:
        maps = cam.class_maps(case.model, case.images, method="cam")
        assert list(maps) == [case.pooled]
        found["cam"] = maps
    return found


def warned(words):
    return (
        pytest.warns(UserWarning, match=words) if words else warnings.catch_warnings()
    )


DOORS = {
    "predict": (
        lambda case: (
            models.predict_logits(case.model, case.images),
            models.predict(case.model, case.images),
        ),
        judge_logits,
    ),
    "maps": (ask_for_maps, judge_maps),
    "default map": (ask_for_the_default_map, judge_maps),
    "gradient": (
        lambda case: saliency.gradient(case.model, case.images),
        lambda found, case, answers: assert_close(
            found, answers.pixels, case.tolerance
        ),
    ),
}


def check(case, doors=tuple(DOORS)):
    """Ask a network everything, and for what it must not give."""
    answers = true_answers(case)
    for door in sorted(set(doors) & set(case.doors)):
        ask, judge = DOORS[door]
        judge(ask(case), case, answers)
    for name in case.no_maps:
        refusal(lambda name=name: cam.class_maps(case.model, case.images, layers=name))
    if case.wrong is not None:
        for ask in (models.predict, cam.class_maps, saliency.gradient):
            refusal(lambda ask=ask: ask(case.model, case.wrong), "takes values from")


def refusal(ask, words=""):
    """Return the message, which is one or two sentences of the library's own."""
    with pytest.raises((ValueError, TypeError)) as caught:
        ask()
    message = str(caught.value)
    assert re.search(words, message), message
    assert "\n" not in message and "Exception encountered" not in message
    return message


def check_refused(case, words, doors, remedy):
    """The doors refuse in the same words; what they advise makes it right."""
    said = {refusal(lambda ask=DOORS[d][0]: ask(case), words) for d in doors}
    assert len(said) == 1
    others = set(DOORS) - set(doors) - ({"default map"} if not case.default else set())
    if others:
        check(case, others)
    for each in remedy(case, *said) if remedy else ():
        if isinstance(each, Then):
            check_refused(each.case, "cannot be read", doors, each.remedy)
        else:
            check(each)


def check_row(name):
    row = TABLE[name]
    case = row.build()
    words, doors, remedy = row.refused, row.doors, row.remedy
    if row.either:
        try:
            models.predict(case.model, case.images)
        except ValueError:
            row = replace(row, either=False)
    if row.either or words is None:
        check(case)
    else:
        check_refused(case, words, doors, remedy)


@pytest.mark.parametrize("name", TABLE)
def test_every_network_is_right_or_refused(name):
    check_row(name)


def test_the_table_is_large_enough():
    assert len(TABLE) >= 110


# ---- Through the command line --------------------------------------------------------

# Networks of the table, and what the command line must be told about them.
SAMPLE = {
    "scaled of bytes to signed": (),
    "scaled nested": (),
    "scaled of unit to signed": ("--pixels", "unit"),
    "nested: pooled inside": (),
    "names with letters beyond ASCII": (),
    "layer: branches": (),
    "precision: mixed_float16": (),
}


@pytest.fixture(params=SAMPLE)
def sample(request, tmp_path):
    """A file, a folder of pictures, the case and the truth about these pictures."""
    case, words = TABLE[request.param].build(), SAMPLE[request.param]
    (tmp_path / "in").mkdir()
    for number, picture in enumerate(BYTES):
        Image.fromarray(picture).save(tmp_path / "in" / f"{number}.png")
    case.model.save(tmp_path / "network.keras")
    images = BYTES / 255 if words else BYTES
    return case, words, true_answers(replace(case, images=images))


def scenecam(*words):
    return cli.main([str(word) for word in words])


def test_explained(sample, tmp_path):
    case, words, answers = sample
    names = [f"class{number}" for number in range(answers.logits.shape[1])]
    words += ("--weights", tmp_path / "network.keras", "--class-names", ",".join(names))
    words += ("--classes", "all", "--layer", case.default, "--out", tmp_path / "out")
    assert scenecam("explain", tmp_path / "in", *words) == 0
    rows = list(csv.DictReader((tmp_path / "out/index.csv").read_text().splitlines()))
    assert len(rows) == answers.logits.size
    for row in rows:
        number, label = int(row["file"][0]), names.index(row["class"])
        truth = answers.probabilities[number, label]
        found = float(row["class_probability"])
        assert abs(found - truth) < max(1e-5, case.tolerance)
    truth = true_maps(answers, "grad_cam", case.default)
    for number, expected in enumerate(truth):
        found = np.load(tmp_path / "out" / f"{number}.png.npy")
        assert_close(found, expected, case.tolerance)


def test_exported(sample, tmp_path):
    case, words, answers = sample
    model, out = tmp_path / "network.keras", tmp_path / "served"
    status = scenecam("export", model, "--out", out)
    if words and status:
        return  # what is served takes bytes, and this network does not
    assert status == 0
    served = tf.saved_model.load(str(out / "1")).signatures["serving_default"]
    found = served(images=tf.constant(BYTES))["probabilities"].numpy()
    assert_close(found, answers.probabilities, 5 * case.tolerance)


# ---- Deliberate faults ---------------------------------------------------------------


def without_bias(call):
    return keras.ops.matmul(call.inputs[0], call.layer.kernel)


def always_softmax(*arguments, find=anatomy._find_logits):
    return find(*arguments)[0], "softmax"


def always_sigmoid(*arguments, find=anatomy._find_logits):
    return find(*arguments)[0], "sigmoid"


def no_logarithm(layer, ends_in=anatomy.ends_in):
    return ends_in(layer).replace("log", "")


def own_code_is_known(function):
    return False


# fault: (module, name, what stands in its place, a row that must notice)
FAULTS = {
    "what was squashed": (
        passes,
        "before_squashing",
        lambda call: call.output,
        "head: softmax in Dense",
    ),
    "without the bias": (
        passes,
        "before_squashing",
        without_bias,
        "head: softmax in Dense",
    ),
    "nothing squashes": (anatomy, "SQUASHING", {}, "sigmoids: in Dense"),
    "a sigmoid is unknown": (
        anatomy,
        "SQUASHING",
        {"softmax": "softmax"},
        "sigmoids: layer",
    ),
    "all is a softmax": (anatomy, "_find_logits", always_softmax, "sigmoids: layer"),
    "all is a sigmoid": (anatomy, "_find_logits", always_sigmoid, "head: layer"),
    "nothing is doubtful": (anatomy, "DOUBTFUL", [], "refused: Lambda"),
    "own code is known": (
        anatomy,
        "_is_foreign",
        own_code_is_known,
        "refused: own layer",
    ),
    "only the last call counts": (
        anatomy,
        "_check_last_steps",
        lambda *arguments: None,
        "part of a softmax",
    ),
    "every layer hands on": (
        anatomy,
        "hands_on",
        lambda layer: True,
        "divided by a temperature",
    ),
    "no layer hands on": (
        anatomy,
        "hands_on",
        lambda layer: False,
        "head: reshaped afterwards",
    ),
    "a logarithm is nothing": (
        anatomy,
        "ends_in",
        no_logarithm,
        "softmax of logarithms",
    ),
    "nobody declares logits": (
        anatomy,
        "is_declared",
        lambda layer: False,
        "attention between scores",
    ),
    "every layer is a map": (
        anatomy,
        "_has_places",
        lambda *arguments: True,
        "axes exchanged",
    ),
    "calls are not told apart": (
        passes,
        "numbering",
        lambda repeated: lambda path: path,
        "twice: a block after itself",
    ),
    "any range will do": (
        asked,
        "find_ranges",
        lambda model: [],
        "scaled of unit to signed",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(fault, monkeypatch):
    module, name, wrong, row = FAULTS[fault]
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, KeyError)):
        check_row(row)
