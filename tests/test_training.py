"""Training: it learns, keeps its best epoch, repeats itself, and survives a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from scenecam import models, recipes, training
from scenecam._training import batches, state
from scenecam.scenes import SceneSet

SIDE = 12


def coloured(count, seed=0, side=SIDE):
    """Pictures of three classes: which third of the height is bright."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 100, (count, side, side, 3), dtype=np.uint8)
    third = side // 3
    for image, label in zip(images, labels, strict=True):
        image[label * third : (label + 1) * third] += 150
    return SceneSet(images, labels, ("top", "middle", "bottom"))


def network(seed=0, **settings):
    arguments = {"num_classes": 3, "widths": (6,), "units": 8} | settings
    return models.plain_cnn((SIDE, SIDE, 3), seed=seed, **arguments)


def fit(model, count=60, **settings):
    arguments = {"epochs": 3, "batch_size": 16, "learning_rate": 1e-2, "verbose": 0}
    return training.fit(
        model, coloured(count), coloured(30, seed=1), **arguments | settings
    )


def loss_of(model, scenes):
    logits = models.predict_logits(model, scenes.images).astype(float)
    chosen = logits[np.arange(len(scenes)), scenes.labels]
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen)


def same(first, second):
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def without_times(history):
    return {name: values for name, values in history.items() if name != "seconds"}


# ---- Learning


def test_it_learns_and_gives_a_plain_history():
    model = network()
    history = fit(model, 240, epochs=12)
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert {len(values) for values in history.values()} == {12}
    assert all(type(value) is float for values in history.values() for value in values)
    fresh = coloured(90, seed=2)
    guesses = models.predict(model, fresh.images).argmax(axis=1)
    assert (guesses == fresh.labels).mean() > 0.9


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_model_is_left_at_the_epoch_that_is_kept(tmp_path, keep):
    model = network()
    # Labelled wrongly, so that what is learned makes the validation loss rise.
    other = coloured(30, seed=1)
    other = SceneSet(other.images, (other.labels + 1) % 3, other.class_names)
    options = {"epochs": 4, "batch_size": 16, "learning_rate": 3e-3, "verbose": 0}
    options |= {"keep": keep, "folder": tmp_path}
    history = training.fit(model, coloured(60), other, **options)
    losses = history["val_loss"]
    assert min(losses) < 0.9 * losses[-1]
    kept = min(losses) if keep == "best" else losses[-1]
    assert loss_of(model, other) == pytest.approx(kept, rel=1e-4)
    same(model, models.load_model(tmp_path / "best.keras"))
    assert json.loads((tmp_path / "history.json").read_text()) == history
    assert not list(tmp_path.glob(".*"))


def test_it_stops_once_the_validation_loss_no_longer_falls():
    history = fit(network(), epochs=9, learning_rate=0.0, patience=2)
    assert len(history["val_loss"]) == 3


def test_statistics_are_those_of_the_pictures_as_they_are():
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.BatchNormalization(name="norm", momentum=0.7)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    pictures = coloured(48)
    before = [w.numpy() for w in model.trainable_weights]
    training.renew_statistics(model, pictures, batch_size=16)
    norm = model.get_layer("norm")
    values = pictures.images.astype("float64")
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    np.testing.assert_allclose(mean, values.mean((0, 1, 2)), rtol=1e-4)
    # Within batches of 16 pictures it varies a little less than over all.
    ratio = variance / values.var((0, 1, 2))
    assert (ratio < 1.0001).all() and (ratio > 0.7).all()
    assert norm.momentum == 0.7
    for weight, value in zip(model.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_statistics_inside_nested_models_are_renewed_unless_they_are_frozen():
    inputs = keras.Input((SIDE, SIDE, 3))
    scaled = keras.layers.Rescaling(1 / 255)(inputs)
    parts = []
    for name in ("own", "frozen"):
        inner = keras.Input((SIDE, SIDE, 3))
        norm = keras.layers.BatchNormalization(name=f"{name}_norm")
        parts.append(keras.Model(inner, norm(inner), name=name))
    parts[1].trainable = False
    x = parts[1](parts[0](scaled))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    pictures = coloured(48)
    training.renew_statistics(model, pictures, batch_size=16)
    renewed, frozen = (part.layers[-1].moving_mean.numpy() for part in parts)
    mean = (pictures.images / 255).mean((0, 1, 2))
    np.testing.assert_allclose(renewed, mean, rtol=1e-4)
    np.testing.assert_array_equal(frozen, 0)


def test_statistics_of_a_network_for_any_size_are_renewed():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.BatchNormalization(name="norm")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    pictures = coloured(16)
    training.renew_statistics(model, pictures, batch_size=16)
    mean = model.get_layer("norm").moving_mean.numpy()
    np.testing.assert_allclose(mean, pictures.images.mean((0, 1, 2)), rtol=1e-4)


def test_statistics_are_left_where_there_are_none():
    model = network()
    before = model.get_weights()
    training.renew_statistics(model, coloured(6))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_recipe_renews_the_statistics_at_its_end():
    small = {"stem": 4, "widths": (4,), "depths": (1,)}
    recipe = {
        "builder": "resnet",
        "arguments": small,
        "phases": [(16, {}, {"epochs": 1, "batch_size": 16})],
    }
    train, valid = coloured(48), coloured(12, seed=1)
    plain, _ = recipes.follow(recipe, train, valid, verbose=0)
    renewed, _ = recipes.follow(
        recipe | {"renew_statistics": True}, train, valid, verbose=0
    )
    assert not np.allclose(plain.get_weights()[3], renewed.get_weights()[3])
    training.renew_statistics(plain, train)
    for one, other in zip(plain.get_weights(), renewed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_a_recipe_builds_by_the_names_that_a_builder_has():
    ask = {"number": 3, "seed": 1}
    found = recipes._build("efficientnet_lite0", 32, {"weights": None}, **ask)
    same = models.efficientnet_lite0(None, side=32, classes=3, seed=1)
    assert found.input_shape == (None, 32, 32, 3) and found.output_shape == (None, 3)
    for one, other in zip(found.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    small = recipes._build("plain_cnn", 16, {"widths": (2,), "units": 4}, **ask)
    assert small.input_shape == (None, 16, 16, 3) and small.output_shape == (None, 3)


def test_a_recipe_names_its_teachers_and_itself():
    model, given = network(), network(seed=1)
    found = recipes._teachers(("itself", "a"), {"a": given}, model)
    assert found[1] is given and found[0] is not model
    for one, other in zip(found[0].get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert recipes._teachers(("a",), {"a": given}, model) == [given]
    with pytest.raises(ValueError, match=r"wants the teachers a, itself; `teachers`"):
        recipes._teachers(("a", "itself"), {}, model)


def test_weight_decay_shrinks_kernels_and_leaves_the_rest():
    model = network()
    before = {w.path: w.numpy() for w in model.weights}
    fit(model, epochs=1, learning_rate=1e-9, weight_decay=1e7)
    for weight in model.weights:
        ratio = np.abs(weight.numpy()).sum() / max(np.abs(before[weight.path]).sum(), 1)
        if weight.path.endswith("kernel"):
            assert ratio < 0.99
        else:
            np.testing.assert_allclose(weight, before[weight.path], atol=1e-6)


def test_the_cosine_rises_falls_and_ends_at_nothing():
    wanted = training.Settings(learning_rate=0.5, schedule="cosine")
    rate = training._learning_rate(wanted, 200)
    rates = [float(rate(step)) for step in range(201)]
    assert max(rates) == pytest.approx(0.5, rel=1e-3)
    assert int(np.argmax(rates)) == 10
    assert rates[-1] < 1e-6 and rates[0] < 0.06
    assert all(np.diff(rates[10:]) <= 0)


def test_a_memory_map_trains_like_an_array(tmp_path):
    scenes = coloured(60)
    np.save(tmp_path / "images.npy", scenes.images)
    stored = np.load(tmp_path / "images.npy", mmap_mode="r")
    mapped = SceneSet(stored, scenes.labels, scenes.class_names)
    first, second = network(), network()
    options = {"epochs": 1, "batch_size": 16, "verbose": 0}
    training.fit(first, scenes, coloured(30), **options)
    training.fit(second, mapped, coloured(30), **options)
    same(first, second)


def test_pictures_of_another_size_are_resized_on_the_way():
    model = network()
    history = training.fit(
        model,
        coloured(60, side=18),
        coloured(30, seed=1, side=24),
        epochs=1,
        batch_size=16,
        verbose=0,
    )
    assert np.isfinite(history["val_loss"]).all()


# ---- Repeating


@pytest.fixture(scope="module")
def straight():
    model = network()
    return model, fit(model, epochs=4, schedule="cosine", weight_decay=0.01)


def test_the_same_seed_gives_the_same_run(straight):
    model, history = straight
    again = network()
    repeated = fit(again, epochs=4, schedule="cosine", weight_decay=0.01)
    assert without_times(repeated) == without_times(history)
    same(model, again)


def test_another_seed_gives_another_run(straight):
    history = fit(network(), epochs=4, schedule="cosine", weight_decay=0.01, seed=1)
    assert history["loss"] != straight[1]["loss"]


def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(
    straight, tmp_path, monkeypatch
):
    save = state.Run.save

    def save_and_die(self):
        save(self)
        if len(self.history["loss"]) == 2:
            raise KeyboardInterrupt

    options = {"epochs": 4, "schedule": "cosine", "weight_decay": 0.01}
    with monkeypatch.context() as patch:
        patch.setattr(state.Run, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            fit(network(), folder=tmp_path, **options)
    resumed = network(seed=99)  # the weights come from the state
    history = fit(resumed, folder=tmp_path, resume=True, **options)
    assert without_times(history) == without_times(straight[1])
    same(resumed, straight[0])

    # Resumed once more, it has nothing left to do.
    third = network(seed=98)
    assert fit(third, folder=tmp_path, resume=True, **options) == history
    same(third, resumed)

    with pytest.raises(ValueError, match=r"other settings \(batch_size\)"):
        fit(network(), folder=tmp_path, resume=True, **options | {"batch_size": 8})


def test_weights_go_back_to_the_layers_of_their_names(tmp_path):
    """The order of the layers does not matter, their names do."""

    def branches(*names, width=4):
        inputs = keras.Input((SIDE, SIDE, 3))
        x = keras.layers.Flatten(name="flat")(inputs)
        found = {n: keras.layers.Dense(width, name=n)(x) for n in names}
        both = keras.layers.Add()([found[name] for name in sorted(names)])
        return keras.Model(inputs, keras.layers.Dense(3, name="logits")(both))

    options = {"folder": tmp_path, "epochs": 2, "learning_rate": 1e-6}
    model = branches("a", "b")
    fit(model, **options)
    turned = branches("b", "a")
    fit(turned, resume=True, **options)
    for name in ("a", "b", "logits"):
        for one, other in zip(
            model.get_layer(name).get_weights(),
            turned.get_layer(name).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
    for strange in (branches("a", "c"), branches("a", "b", width=5)):
        with pytest.raises(
            ValueError, match=r"other settings \(names and shapes of variables\)"
        ):
            fit(strange, resume=True, **options)


def test_twins_in_two_nested_models_are_kept_apart(tmp_path):
    def twins(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((SIDE, SIDE, 3))
        parts = []
        for name in ("left", "right"):
            inner = keras.Input((SIDE, SIDE, 3))
            x = keras.layers.Flatten(name="flat")(inner)
            x = keras.layers.Dense(4, name="dense")(x)
            parts.append(keras.Model(inner, x, name=name)(inputs))
        x = keras.layers.Concatenate(name="both")(parts)
        return keras.Model(inputs, keras.layers.Dense(3, name="logits")(x))

    options = {"folder": tmp_path, "epochs": 2, "learning_rate": 1e-6}
    model, again = twins(0), twins(1)
    fit(model, **options)
    fit(again, resume=True, **options)
    same(model, again)


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
import test_training as t
t.fit(t.network(), epochs=500, patience=500, folder=sys.argv[2], resume=True, verbose=2)
"""


def test_kill_leaves_whole_files_that_training_goes_on_from(tmp_path):
    for _ in range(2):
        done = epochs_done(tmp_path)
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(ROOT / "tests"), str(tmp_path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        )
        deadline = time.monotonic() + 300
        while epochs_done(tmp_path) < done + 3 and time.monotonic() < deadline:
            assert process.poll() is None, "training ended by itself"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert epochs_done(tmp_path) >= done + 3
        models.load_model(tmp_path / "best.keras")
        history = json.loads((tmp_path / "history.json").read_text())
        assert epochs_done(tmp_path) - len(history["loss"]) in (0, 1)


PLAIN = {"epochs": 2, "optimizer": "sgd", "schedule": "cosine", "weight_decay": 0.01}
PLAIN |= {"batch_size": 8, "averaging": 0.8, "augment": False, "keep": "last"}

# Devices are made before TensorFlow starts, so in a process of its own.
MIRRORED = """
import sys
import numpy as np
import tensorflow as tf
sys.path.insert(0, sys.argv[1])
import test_training as t
kind = tf.config.list_physical_devices("CPU")[0]
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(kind, halves)
made = []
for names in (["CPU:0"], ["CPU:0", "CPU:1"]):
    strategy = tf.distribute.MirroredStrategy(names)
    assert strategy.num_replicas_in_sync == len(names)
    with strategy.scope():
        model = t.network()
        begun = model.get_weights()
        history = t.fit(model, **t.PLAIN)
        made.append((model.get_weights(), history["loss"], history["val_loss"]))
for one, two in zip(made[0][0], made[1][0], strict=True):
    np.testing.assert_allclose(one, two, atol=1e-6)
np.testing.assert_allclose(made[0][1:], made[1][1:], atol=1e-5)
assert max(abs(a - b).max() for a, b in zip(begun, made[0][0])) > 1e-3
"""


def test_two_devices_learn_what_one_learns():
    words = [sys.executable, "-c", MIRRORED, str(ROOT / "tests")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def epochs_done(folder):
    if not (folder / "state.npz").is_file():
        return 0
    with np.load(folder / "state.npz") as state:
        return len(json.loads(str(state["about"]))[1]["loss"])


AVERAGED = {"epochs": 4, "averaging": 0.8, "learning_rate": 3e-3}


def test_the_average_is_what_is_validated_kept_and_returned(tmp_path):
    model, plain = network(), network()
    history = fit(model, folder=tmp_path, **AVERAGED)
    fit(plain, **AVERAGED | {"averaging": 0.0})
    same(model, models.load_model(tmp_path / "best.keras"))
    best = min(history["val_loss"])
    assert loss_of(model, coloured(30, seed=1)) == pytest.approx(best, rel=1e-4)
    assert any(
        (a != b).any()
        for a, b in zip(model.get_weights(), plain.get_weights(), strict=True)
    )


def test_an_averaged_run_that_was_cut_goes_on_the_same(tmp_path, monkeypatch):
    whole = network()
    history = fit(whole, **AVERAGED)
    save = state.Run.save

    def save_and_die(self):
        save(self)
        if len(self.history["loss"]) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(state.Run, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            fit(network(), folder=tmp_path, **AVERAGED)
    resumed = network(seed=99)
    again = fit(resumed, folder=tmp_path, resume=True, **AVERAGED)
    assert without_times(again) == without_times(history)
    same(resumed, whole)


def certain(number):
    """A network that gives one class whatever it sees."""
    model = network()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([0 * kernel, 50.0 * np.eye(3)[number] + 0 * bias])
    return model


@pytest.mark.parametrize(
    ("teachers", "expected"),
    [([2], [0.0, 0.0, 1.0]), ([0, 1], [0.5, 0.5, 0.0]), ([0, 0, 1], [0.67, 0.33, 0.0])],
)
def test_a_student_learns_what_its_teachers_say_and_not_the_labels(teachers, expected):
    student = network()
    pictures = coloured(60)
    # What chooses the epoch must be of the teachers' mind.
    valid = SceneSet(
        pictures.images, np.resize(teachers, len(pictures)), pictures.class_names
    )
    training.fit(
        student,
        pictures,
        valid,
        teachers=[certain(number) for number in teachers],
        epochs=8,
        batch_size=16,
        learning_rate=1e-2,
        verbose=0,
    )
    answers = models.predict(student, pictures.images)
    np.testing.assert_allclose(answers.mean(axis=0), expected, atol=0.1)


def test_teachers_see_the_same_pictures_and_give_the_labels():
    """Their probabilities are the labels, so each step is the same."""
    train = coloured(60)
    one_hot = np.eye(3)[train.labels]
    batch, answers = next(stream(train, augmented=True, teachers=[certain(1)] * 2))
    plain, labels = next(stream(train, augmented=True))
    np.testing.assert_array_equal(batch, plain)
    np.testing.assert_allclose(answers, [[0, 1, 0]] * 20, atol=1e-6)
    assert {tuple(row) for row in np.asarray(labels)} <= {tuple(r) for r in one_hot}


# ---- Classes of unequal size


def unequal(*counts):
    """So many pictures of each of three classes."""
    whole = coloured(3 * max(counts))
    chosen = [np.flatnonzero(whole.labels == c)[:n] for c, n in enumerate(counts)]
    return whole[np.sort(np.concatenate(chosen))]


def smoothed(targets, share):
    return targets * (1 - share) + share / 3


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_balanced_loss_is_the_weighted_cross_entropy(taught, share):
    """One step of all pictures: its loss is that of the weights before it."""
    train, valid, model = unequal(20, 6, 4), unequal(5, 7, 2), network()
    teachers = [network(seed=1)] if taught else []
    before = [models.predict_logits(model, s.images) for s in (train, valid)]
    once = {"epochs": 1, "batch_size": 30, "learning_rate": 0.0, "augment": False}
    options = once | {"label_smoothing": share, "teachers": teachers, "verbose": 0}
    history = training.fit(model, train, valid, balance=True, **options)
    weights = 30 / (3 * np.array([20, 6, 4]))
    targets = [np.eye(3)[scenes.labels] for scenes in (train, valid)]
    if taught:
        targets[0] = models.predict(teachers[0], train.images)
    for labels, target, z, part in (
        (train.labels, targets[0], before[0].astype(float), ""),
        (valid.labels, targets[1], before[1].astype(float), "val_"),
    ):
        logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        each = -(smoothed(target, share) * logs).sum(axis=1)
        expected = np.mean(weights[labels] * each)
        assert history[f"{part}loss"] == [pytest.approx(expected, rel=1e-5)]
        right = (z.argmax(axis=1) == target.argmax(axis=1)).mean()
        assert history[f"{part}accuracy"] == [pytest.approx(right, rel=1e-6)]
    assert np.bincount(train.labels, weights[train.labels]) == pytest.approx([10] * 3)


def test_weights_that_are_all_equal_change_nothing(straight):
    balanced, options = network(), {"schedule": "cosine", "weight_decay": 0.01}
    history = fit(balanced, epochs=4, balance=True, **options)
    assert without_times(history) == without_times(straight[1])
    same(balanced, straight[0])


def test_a_class_without_pictures_has_no_part_in_the_weights():
    scenes = unequal(9, 3, 0)
    weights = batches.class_weights(scenes, 5)
    np.testing.assert_allclose(weights, [12 / 18, 2, 1, 1, 1])
    assert weights.dtype == np.float32


def test_a_balanced_run_that_was_cut_goes_on_the_same(tmp_path, monkeypatch):
    sets = unequal(20, 6, 4), unequal(5, 7, 2)
    options = {"epochs": 3, "batch_size": 8, "balance": True, "verbose": 0}
    whole = network()
    history = training.fit(whole, *sets, **options)
    save = state.Run.save

    def save_and_die(self):
        save(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(state.Run, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            training.fit(network(), *sets, folder=tmp_path, **options)
    options |= {"folder": tmp_path, "resume": True}
    resumed = network(seed=99)
    again = training.fit(resumed, *sets, **options)
    assert without_times(again) == without_times(history)
    same(resumed, whole)
    with (
        pytest.warns(training.UnequalClasses),
        pytest.raises(ValueError, match=r"other settings \(balance\)"),
    ):
        training.fit(network(), *sets, **options | {"balance": False})


def test_unequal_classes_get_a_sentence_that_can_be_followed():
    options = {"epochs": 1, "verbose": 0}
    words = "'top' has 13 pictures to learn from, 'bottom' has 4. Set balance=True"
    with pytest.warns(training.UnequalClasses, match=words):
        training.fit(network(), unequal(13, 6, 4), coloured(6), **options)
    # Any warning would fail this test.
    training.fit(network(), unequal(13, 6, 4), coloured(6), balance=True, **options)
    assert training.unequal_classes(unequal(12, 6, 4)) is None
    assert training.unequal_classes(unequal(12, 0, 0)) is None


def test_a_teacher_of_another_size_is_refused():
    other = models.plain_cnn((2 * SIDE, SIDE, 3), num_classes=3, widths=(6,), units=8)
    with pytest.raises(ValueError, match="a teacher takes pictures of"):
        fit(network(), teachers=[other])


# ---- Batches and augmentation


def stream(scenes, *, steps=3, augmented=False, **options):
    wanted = training.Settings(batch_size=len(scenes) // steps, augment=augmented)
    size = scenes.images.shape[1:3]
    return batches.training_batches(
        scenes, wanted, size=size, num_classes=3, **options
    ).as_numpy_iterator()


def test_every_picture_comes_once_an_epoch_with_its_label():
    scenes = coloured(31)
    batch = stream(scenes)
    epochs = []
    for _ in range(2):
        parts = [next(batch) for _ in range(3)]
        epochs.append(np.concatenate([images for images, _ in parts]))
        labels = np.concatenate([one_hot for _, one_hot in parts]).argmax(axis=1)
        keys = {image.tobytes(): label for image, label in pairs(scenes)}
        seen = [image.astype(np.uint8).tobytes() for image in epochs[-1]]
        assert len(set(seen)) == 30
        assert [keys[one] for one in seen] == labels.tolist()
    assert (epochs[0] != epochs[1]).any()


def pairs(scenes):
    return zip(scenes.images, scenes.labels, strict=True)


@pytest.mark.parametrize("augmented", [False, True])
def test_a_later_epoch_does_not_need_the_earlier_ones(augmented):
    scenes = coloured(30)
    whole = stream(scenes, augmented=augmented)
    late = stream(scenes, augmented=augmented, epoch=1)
    for _ in range(3):
        next(whole)
    for _ in range(3):
        np.testing.assert_array_equal(next(whole)[0], next(late)[0])


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 5),
    size=st.tuples(st.integers(5, 20), st.integers(5, 20)),
)
def test_augmented_pictures_are_pictures(seed, count, size):
    images = np.random.default_rng(seed).integers(
        0, 256, (count, *size, 3), dtype=np.uint8
    )
    out = training.augment_images(images, seed=seed)
    assert out.shape == images.shape and out.dtype == np.uint8
    np.testing.assert_array_equal(out, training.augment_images(images, seed=seed))


def test_augmentation_never_turns_a_picture_upside_down():
    down = np.linspace(40, 160, 24).astype(np.uint8)[None, :, None, None]
    images = np.broadcast_to(down, (200, 24, 24, 3))
    rows = training.augment_images(images, seed=0).mean(axis=(2, 3))
    assert (np.diff(rows, axis=1) >= 0).all()
    assert (rows[:, -1] > rows[:, 0]).all()


def test_augmentation_mirrors_about_half_of_the_pictures():
    right = np.linspace(40, 160, 24).astype(np.uint8)[None, None, :, None]
    images = np.broadcast_to(right, (400, 24, 24, 3))
    columns = training.augment_images(images, seed=0).mean(axis=(1, 3))
    mirrored = (columns[:, 0] > columns[:, -1]).mean()
    assert 0.4 < mirrored < 0.6


def test_a_grey_picture_stays_grey_and_crops_differ():
    grey = np.random.default_rng(0).integers(0, 256, (8, 24, 24, 1), dtype=np.uint8)
    out = training.augment_images(np.repeat(grey, 3, axis=3), seed=1).astype(int)
    assert np.ptp(out, axis=3).max() <= 1  # rounding
    same_picture = np.repeat(np.repeat(grey[:1], 3, axis=3), 8, axis=0)
    crops = training.augment_images(same_picture, seed=1)
    assert len({crop.tobytes() for crop in crops}) == 8


def test_augmentation_turned_down_is_the_picture_itself(monkeypatch):
    for name in ("BRIGHTNESS", "CONTRAST", "SATURATION"):
        monkeypatch.setattr(batches, name, 0.0)
    monkeypatch.setattr(batches, "CROP_RATIO", (1.0, 1.0))
    images = coloured(40).images
    out = batches.augment(images, images.shape[1:3], (0, 0), smallest_crop=1.0)
    out = np.rint(out).astype("uint8")
    mirrored = out[:, :, ::-1]
    for image, kept, turned in zip(images, out, mirrored, strict=True):
        gap = min(abs(image.astype(int) - x).max() for x in (kept, turned))
        assert gap == 0


# ---- Report and errors


def test_what_is_printed(capsys):
    fit(network(), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss ") and "val_accuracy" in lines[1]
    fit(network(), epochs=1, verbose=0)
    written = capsys.readouterr()
    assert written.out == written.err == ""
    fit(network(), epochs=1, verbose=1)
    assert "epoch 1/1: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "lion"}, '`optimizer` must be "adam" or "sgd"; received \'lion'),
        ({"schedule": "step"}, '`schedule` must be "constant" or "cosine"'),
        ({"resume": True}, "`resume` needs the `folder`"),
        ({"verbose": 3}, "`verbose` must be"),
        ({"averaging": 1.0}, "`averaging` must be at least 0 and below 1"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"label_smoothing": 1}, "`label_smoothing` must be at least 0 and below 1"),
        ({"keep": "first"}, '`keep` must be "best" or "last"; received \'first'),
    ],
)
def test_a_wrong_argument_gets_a_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        fit(network(), **options)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("epoch", "epochs"), ("lr_schedule", "schedule"), ("verbos", "verbose")],
)
def test_an_unknown_argument_is_told_the_nearest(wrong, nearest):
    words = f"no argument '{wrong}' .did you mean '{nearest}'"
    with pytest.raises(TypeError, match=words):
        fit(network(), **{wrong: 1})


def test_settings_and_changes_are_one(straight):
    wanted = training.Settings(
        epochs=9, batch_size=16, learning_rate=1e-2, schedule="cosine", seed=3
    )
    changes = {"epochs": 4, "seed": 0, "weight_decay": 0.01, "verbose": 0}
    model = network()
    history = training.fit(model, coloured(60), coloured(30, seed=1), wanted, **changes)
    assert without_times(history) == without_times(straight[1])
    same(model, straight[0])
    assert wanted.epochs == 9


@pytest.mark.parametrize("nested", [False, True])
def test_a_network_that_squashes_is_not_squashed_again(nested):
    end = [keras.layers.Dense(3), keras.layers.Softmax(name="end")]
    head = [keras.Sequential(end)] if nested else end
    steps = [keras.Input((SIDE, SIDE, 3)), keras.layers.GlobalAveragePooling2D()]
    squashing = keras.Sequential([*steps, *head])
    with pytest.raises(ValueError, match="in logits, and 'end' is a softmax. Leave it"):
        fit(squashing)
    with pytest.raises(ValueError, match="in logits, and 'end' is a softmax"):
        training.fit(network(), coloured(30), coloured(30), teachers=[squashing])
    fit(keras.Sequential([*steps, end[0]]))


def test_sets_that_do_not_fit_the_model_get_a_sentence():
    with pytest.raises(ValueError, match="labels up to 2, but the model has 2 logits"):
        fit(network(num_classes=2))
    with pytest.raises(ValueError, match="`train` holds no pictures"):
        training.fit(network(), coloured(30)[:0], coloured(30))
    grey = models.plain_cnn((SIDE, SIDE, 1), num_classes=3, widths=(4,))
    with pytest.raises(ValueError, match="3 channels, but the model takes 1"):
        fit(grey)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_explodes_gets_a_sentence():
    with pytest.raises(ValueError, match="smaller `learning_rate`"):
        fit(network(), learning_rate=1e30, optimizer="sgd", epochs=4)


# ---- Normalising


def test_batches_are_normalised_as_keras_does_by_one_operation():
    """Outputs, gradients and moving statistics agree."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(3, 2, (3, 2, 5, 4)), tf.float32)
    found = []
    for call in (keras.layers.BatchNormalization.call, training._normalise):
        layer = keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-2)
        layer.build(x.shape)
        for weight, value in zip(layer.weights, (1.5, -0.5, 1, 2), strict=True):
            weight.assign(np.full(4, value, np.float32))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(layer, x, training=True)
            total = tf.reduce_sum(y**3)
        ends = tape.gradient(total, [x, layer.gamma.value, layer.beta.value])
        found.append([y, *ends, layer.moving_mean.value, layer.moving_variance.value])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"scale": False}, (3, 2, 5, 4)),
        ({"center": False}, (3, 2, 5, 4)),
        ({"axis": 1}, (3, 2, 5, 4)),
        ({"trainable": False}, (3, 2, 5, 4)),
        ({"synchronized": True}, (3, 2, 5, 4)),
        ({}, (6, 4)),
    ],
)
def test_other_normalisations_are_left_to_keras(options, shape):
    layer = keras.layers.BatchNormalization(**options)
    layer.build(shape)
    x = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    wanted = keras.layers.BatchNormalization.call(layer, x, training=True)
    np.testing.assert_array_equal(training._normalise(layer, x, training=True), wanted)


def test_a_mask_or_another_kind_of_normalisation_is_left_to_its_own_call():
    class Own(keras.layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return inputs + 1

    x = tf.constant(np.random.default_rng(0).normal(size=(3, 2, 5, 4)), tf.float32)
    own = Own()
    np.testing.assert_array_equal(training._normalise(own, x, training=True), x + 1)
    layer, mask = keras.layers.BatchNormalization(), np.arange(30).reshape(3, 2, 5) < 9
    layer.build(x.shape)
    given = {"training": True, "mask": tf.constant(mask)}
    wanted = keras.layers.BatchNormalization.call(layer, x, **given)
    np.testing.assert_array_equal(training._normalise(layer, x, **given), wanted)


def test_layers_of_a_trained_network_are_its_own_on_disk_too(tmp_path):
    options = {"num_classes": 3, "stem": 4, "widths": (4,), "depths": (1,)}
    model = models.resnet((SIDE, SIDE, 3), **options)
    fit(model, epochs=1, folder=tmp_path)
    for trained in (model, keras.models.load_model(tmp_path / "best.keras")):
        norms = training._normalisations(trained)
        assert {type(layer) for layer in norms} == {keras.layers.BatchNormalization}
        assert not any("call" in vars(layer) for layer in norms)
