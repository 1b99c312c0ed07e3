"""Models: the contract of every builder, honest probabilities, files to be trusted."""

import hashlib
import json
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from keras import layers

from scenecam import models, synth
from scenecam._data import whole
from scenecam._models import weights

SMALL = {
    "plain_cnn": {"widths": (4, 6), "units": 8},
    "seed_resnet": {"width": 2, "stages": 3},
    "resnet": {"stem": 4, "widths": (4, 6), "depths": (1, 1)},
    "gap_cnn": {"widths": (3, 4, 5)},
    "gap_resnet": {"widths": (3, 4), "dilations": (1, 2)},
    "vgg16": {"width": 1 / 64},
}
BUILDERS = sorted(SMALL)


def build(name, side=32, **settings):
    return getattr(models, name)((side, side, 3), **SMALL[name] | settings)


def pictures(rng, count=3, side=32):
    return rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def kinds(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


# ---- The contract of every builder


@pytest.mark.parametrize("name", BUILDERS)
def test_pictures_in_logits_out(name, rng):
    model = build(name, num_classes=5)
    images = pictures(rng)
    logits = np.asarray(model(images))
    assert logits.shape == (3, 5) and logits.dtype == np.float32
    assert not np.allclose(np.exp(logits).sum(axis=1), 1)
    np.testing.assert_array_equal(logits, model(images.astype("float32")))


@pytest.mark.parametrize("name", BUILDERS)
def test_the_last_maps_are_called_features_and_scaling_comes_first(name):
    model = build(name)
    maps = [layer.name for layer in model.layers if len(layer.output.shape) == 4]
    assert maps[-1] == "features"
    assert isinstance(model.layers[1], layers.Rescaling)
    assert model.layers[-1].name == "logits"
    scaled = model.layers[1](np.array([0.0, 127.5, 255.0]))
    np.testing.assert_allclose(scaled, [-1, 0, 1], atol=1e-6)


@pytest.mark.parametrize("name", BUILDERS)
def test_layer_names_are_paths(name):
    for layer in build(name).layers:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", layer.name), layer.name


@pytest.mark.parametrize("name", BUILDERS)
def test_gradients_reach_the_pixels(name, rng):
    model = build(name)
    images = tf.Variable(pictures(rng).astype("float32"))
    with tf.GradientTape() as tape:
        score = model(images)[:, 0]
    gradient = np.asarray(tape.gradient(score, images))
    assert np.abs(gradient).max(axis=(1, 2, 3)).min() > 0


@pytest.mark.parametrize("name", BUILDERS)
def test_a_seed_decides_the_weights_and_nothing_else_does(name):
    first = build(name, seed=3).get_weights()
    keras.utils.set_random_seed(7)
    state = np.random.get_state()[1].copy()
    second, other = build(name, seed=3), build(name, seed=4).get_weights()
    for a, b in zip(first, second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    np.testing.assert_array_equal(state, np.random.get_state()[1])


def test_deep_signals_keep_their_size(rng):
    # He's variance: twenty ReLU convolutions neither swell nor fade.
    model = models.plain_cnn((32, 32, 3), widths=(32,), convolutions=20)
    early = keras.Model(model.input, model.get_layer("stage1_conv2").output)
    late = keras.Model(model.input, model.get_layer("stage1_conv20").output)
    images = pictures(rng)
    assert 0.1 < np.std(late(images)) / np.std(early(images)) < 10


# ---- Each builder's own structure


def test_seed_resnet_has_the_layers_of_the_report():
    model = build("seed_resnet", side=96, width=2, stages=4)
    weighted = kinds(model, layers.Conv2D | layers.Dense)
    assert len(weighted) == 42
    assert model.get_layer("stem_conv1").kernel.shape[:2] == (7, 7)
    assert model.get_layer("stem_conv1").strides == (2, 2)
    for stage in range(1, 5):
        for path in ("pool", "pool_short"):
            pool = model.get_layer(f"stage{stage}_block1_{path}")
            assert isinstance(pool, layers.MaxPooling2D)
    assert len(kinds(model, layers.MaxPooling2D)) == 1 + 2 * 4
    assert len(kinds(model, layers.Add)) == 3 * 4


def test_seed_resnet_reads_its_whole_last_map(rng):
    # The template pools 2x2 of a 3x3 map: five of nine places never count.
    model = build("seed_resnet", side=96)
    head = keras.Model(model.get_layer("features").output, model.output)
    maps = tf.Variable(rng.normal(size=(1, 3, 3, 32)).astype("float32"))
    assert model.get_layer("features").output.shape[1:] == maps.shape[1:]
    with tf.GradientTape() as tape:
        score = head(maps)[0, 0]
    assert (np.abs(tape.gradient(score, maps)).max(axis=-1) > 0).all()


def test_resnet_at_its_usual_size():
    model = models.resnet()
    assert model.output_shape == (None, 6)
    assert model.get_layer("features").output.shape[1:] == (12, 12, 128)
    assert model.count_params() * 4 < 3e6


def test_resnet_refuses_unequal_plans():
    with pytest.raises(ValueError, match=r"\(4, 8\) and \(1,\)"):
        models.resnet(widths=(4, 8), depths=(1,))
    with pytest.raises(ValueError, match="one number for each convolution"):
        models.gap_cnn(widths=(4, 8), dilations=(1,))
    with pytest.raises(ValueError, match="one number for each block"):
        models.gap_resnet(widths=(4, 8), dilations=(1,))


@pytest.mark.parametrize(
    ("name", "dilations", "reach"),
    [
        ("gap_cnn", (1, 1, 1, 1, 1), 5),
        ("gap_cnn", (1, 2, 4, 1, 1), 9),
        ("gap_resnet", (1, 1), 5),
        ("gap_resnet", (1, 2), 7),
    ],
)
def test_maps_without_pooling_see_just_their_receptive_field(name, dilations, reach):
    widths = (3,) * len(dilations)
    model = getattr(models, name)((31, 31, 3), widths=widths, dilations=dilations)
    maps = keras.Model(model.input, model.get_layer("features").output)
    image = np.full((1, 31, 31, 3), 128, np.uint8)
    touched = image.copy()
    touched[0, 15, 15] = 255
    changed = np.abs(maps(touched) - maps(image))[0].max(axis=-1) > 0
    rows, columns = np.nonzero(changed)
    assert changed.shape == (31, 31)
    assert rows.min() >= 15 - reach and rows.max() <= 15 + reach
    assert columns.min() >= 15 - reach and columns.max() <= 15 + reach
    assert rows.max() - rows.min() > reach  # not less than half of what it may see


def test_gap_cnn_of_the_second_seed_has_its_parameters():
    model = models.gap_cnn((64, 64, 1), num_classes=4)
    assert model.count_params() == 393_348
    assert len(kinds(models.gap_cnn(normalise=True), layers.BatchNormalization)) == 5


def test_the_mean_of_a_class_activation_map_is_the_logit(rng):
    model = build("gap_cnn")
    maps = keras.Model(model.input, model.get_layer("features").output)
    kernel, bias = model.get_layer("logits").get_weights()
    images = pictures(rng)
    cams = np.asarray(maps(images)) @ kernel
    np.testing.assert_allclose(
        cams.mean(axis=(1, 2)) + bias, models.predict_logits(model, images), atol=1e-5
    )


def test_vgg16_has_the_structure_that_keras_ships():
    ours = models.vgg16((32, 32, 3), num_classes=10, width=1 / 32)
    theirs = keras.applications.VGG16(
        weights=None, include_top=True, input_shape=(32, 32, 3), classes=10
    )
    weighted = kinds(theirs, layers.Conv2D | layers.Dense)
    names = [layer.name for layer in weighted]
    assert len(names) == 13 + 3
    assert [layer.name for layer in kinds(ours, layers.Conv2D | layers.Dense)] == names[
        :-1
    ] + ["logits"]
    for layer in weighted[:-1]:
        mine = ours.get_layer(layer.name)
        assert mine.output.shape[-1] * 32 == layer.output.shape[-1]
        assert mine.output.shape[1:-1] == layer.output.shape[1:-1]


# ---- What ImageNet taught, with stand-ins: the real files need a network


def test_imagenets_vgg16_answers_as_keras_does_to_prepared_pictures(
    tmp_path, monkeypatch, rng
):
    side, classes, width = (32, 32, 3), 10, 1 / 32
    theirs = keras.applications.VGG16(weights=None, input_shape=side, classes=classes)
    inputs = x = keras.Input(side)
    for layer in theirs.layers[1:]:  # the same, but narrow and ending in logits
        config = layer.get_config()
        for key in {"filters", "units"} & set(config):
            config[key] = classes if layer.name == "predictions" else config[key] // 32
        if layer.name == "predictions":
            config["activation"] = "linear"
        x = type(layer).from_config(config)(x)
    narrow = keras.Model(inputs, x)
    narrow.set_weights([rng.normal(0, 0.2, w.shape) for w in narrow.get_weights()])

    monkeypatch.setattr(models, "IMAGENET_VGG16", (side, classes, width))
    monkeypatch.setattr(keras.applications, "VGG16", lambda: narrow)
    (tmp_path / "models").mkdir()  # what is in the cache is not asked for
    (tmp_path / "models" / models.VGG16_FILE.rsplit("/", 1)[1]).touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    ours = models.vgg16(weights="imagenet", width=width)
    images = rng.integers(0, 256, (2, *side), dtype=np.uint8)
    prepared = keras.applications.vgg16.preprocess_input(images.astype("float32"))
    expected = np.asarray(narrow(prepared))
    found = models.predict_logits(ours, images)
    atol = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=atol)
    names = [layer.name for layer in narrow.layers if layer.weights][:-1]
    assert [layer.name for layer in ours.layers if layer.weights] == [*names, "logits"]
    assert ours.get_layer("features").output.shape[1:] == (1, 1, 16)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    def fail(*arguments, **settings):
        raise OSError("Name or service not known")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(models.urllib.request, "urlopen", fail)
    return tmp_path


def test_offline_it_says_at_once_what_to_do(offline):
    with pytest.raises(
        ConnectionError, match=r"Bring https.*kernels\.h5 .*drawn-vgg16"
    ):
        models.vgg16(weights="imagenet")
    with pytest.raises(ConnectionError, match="imagenet_class_index.json"):
        models.imagenet_names()


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0.5}, {"num_classes": 6}, {"input_shape": (96, 96, 3)}],
)
def test_imagenet_is_for_the_full_network(wrong, offline):
    with pytest.raises(ValueError, match="those of ImageNet are for"):
        models.vgg16(weights="imagenet", **wrong)
    with pytest.raises(ValueError, match="received 'photos'"):
        models.vgg16(weights="photos")


def test_no_two_of_imagenets_names_are_the_same(offline, monkeypatch):
    index = {n: (f"n{n}", f"thing {n}") for n in range(1000)}
    index |= {134: ("n1", "crane"), 517: ("n2", "crane")}

    def decode(probabilities, top):
        assert top == 1
        return [[(*index[row.argmax()], row.max())] for row in probabilities]

    (offline / "models").mkdir()
    (offline / "models" / "imagenet_class_index.json").touch()
    monkeypatch.setattr(keras.applications.imagenet_utils, "decode_predictions", decode)
    names = models.imagenet_names()
    assert len(set(names)) == 1000 and names[7] == "thing 7"
    assert names[134] == "crane_134" and names[517] == "crane_517"


# ---- Asking


def test_predict_is_the_softmax_of_the_logits(rng):
    model, images = build("resnet"), pictures(rng, 7)
    logits = np.asarray(model(images))
    probabilities = models.predict(model, images, batch_size=3)
    expected = np.asarray(tf.nn.softmax(logits))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(
        models.predict_logits(model, images, batch_size=2), logits, atol=1e-5
    )


def test_predict_survives_logits_of_any_size(rng):
    model = build("gap_cnn")
    head = model.get_layer("logits")
    head.set_weights([head.kernel.numpy() * 0, np.linspace(-1e4, 1e4, 6)])
    probabilities = models.predict(model, pictures(rng, 1))
    np.testing.assert_array_equal(probabilities, [[0, 0, 0, 0, 0, 1]])


def test_predict_leaves_a_softmax_at_the_end_alone(rng):
    images = pictures(rng)
    plain = build("gap_cnn")
    for end in (layers.Softmax(), layers.Activation("softmax")):
        model = keras.Sequential([plain, end])
        np.testing.assert_allclose(
            models.predict(model, images), models.predict(plain, images), atol=1e-6
        )
        gaps = models.predict_logits(model, images) - models.predict_logits(
            plain, images
        )
        assert np.ptp(gaps, axis=1).max() < 1e-4


def test_predict_sees_the_softmax_of_a_model_within_a_model(rng):
    images = pictures(rng)
    inner = keras.Sequential([build("gap_cnn"), layers.Softmax()])
    whole = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), inner]
    )
    np.testing.assert_allclose(
        models.predict(whole, images), np.asarray(whole(images)), atol=1e-6
    )


def test_predict_of_nothing_and_of_a_memory_map(tmp_path, rng):
    model, images = build("gap_cnn"), pictures(rng, 5)
    np.save(tmp_path / "images.npy", images)
    stored = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert models.predict(model, images[:0]).shape == (0, 6)
    np.testing.assert_array_equal(
        models.predict(model, stored), models.predict(model, images)
    )


def test_predict_names_the_shape_that_it_wants(rng):
    with pytest.raises(ValueError, match=r"\(n, 32, 32, 3\).*received \(3, 16, 16, 3"):
        models.predict(build("gap_cnn"), pictures(rng, side=16))
    with pytest.raises(ValueError, match=r"one picture.*images\[None\]"):
        models.predict(build("gap_cnn"), pictures(rng)[0])


# ---- Files


@pytest.mark.parametrize("name", BUILDERS)
def test_a_saved_network_answers_the_same(name, tmp_path, rng):
    model, images = build(name), pictures(rng)
    path = models.save_model(model, tmp_path / "new folder" / "net.keras")
    again = models.load_model(path)
    np.testing.assert_array_equal(
        models.predict_logits(model, images), models.predict_logits(again, images)
    )
    assert [layer.name for layer in again.layers] == [
        layer.name for layer in model.layers
    ]


def test_the_optimizer_stays_out_of_the_file(tmp_path, rng):
    model = build("resnet")
    bare = models.save_model(model, tmp_path / "bare.keras").stat().st_size
    model.compile("adam", "mse", jit_compile=False)
    model.fit(pictures(rng), np.eye(6)[:3], verbose=0)
    trained = models.save_model(model, tmp_path / "trained.keras").stat().st_size
    assert abs(trained - bare) < 2000
    assert model.compiled


def test_the_card_names_the_file_it_belongs_to(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    models.save_model(build("gap_cnn"), tmp_path / "a-net.keras", card={"seed": 5})
    card = models.read_card("a-net")
    assert card["seed"] == 5
    assert card["bytes"] == (tmp_path / "a-net.keras").stat().st_size
    assert models.pretrained("a-net").name == "gap_cnn"

    weights.save_model(build("gap_cnn", seed=9), tmp_path / "other.keras")
    (tmp_path / "other.keras").replace(tmp_path / "a-net.keras")
    with pytest.raises(ValueError, match="SHA-256 differs"):
        models.pretrained("a-net")
    with pytest.raises(FileNotFoundError, match=r"'b-net'.*available: a-net"):
        models.pretrained("b-net")


def test_a_network_saved_over_another_does_not_keep_its_card(tmp_path):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras", card={})
    models.save_model(build("gap_cnn", seed=1), path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_compact_file_is_smaller_and_answers_almost_the_same(tmp_path):
    model = models.resnet()
    images = synth.draw_scenes(6, size=96, seed=1).images
    whole = models.save_model(model, tmp_path / "whole.keras")
    small = models.save_model(model, tmp_path / "small.keras", compact=True)
    assert small.stat().st_size < 0.65 * whole.stat().st_size
    assert small.stat().st_size < 2.3 * model.count_params()
    again = keras.models.load_model(small)
    logits = models.predict_logits(model, images)
    np.testing.assert_allclose(
        models.predict_logits(again, images), logits, atol=1e-3 * np.abs(logits).max()
    )
    for before, after in zip(model.get_weights(), again.get_weights(), strict=True):
        if before.ndim == 1:
            np.testing.assert_array_equal(before, after)
        else:
            np.testing.assert_allclose(after, before, rtol=2.0**-11)


def test_compact_kernels_keep_their_range(tmp_path):
    # A cast to float16 would give 0 and infinity.
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    extremes = np.array([[1e-30, -3e30], [0, 65519]], "float32")
    model.set_weights([extremes, np.array([1e-30, 1 / 3], "float32")])
    path = models.save_model(model, tmp_path / "net.keras", compact=True)
    kernel, bias = models.load_model(path).get_weights()
    np.testing.assert_allclose(kernel, extremes, rtol=2.0**-11)
    np.testing.assert_array_equal(bias, np.array([1e-30, 1 / 3], "float32"))
    assert np.array_equal(
        *(weights._rounded(weights._rounded(k)) for k in [kernel] * 2)
    )


def test_the_same_network_gives_the_same_bytes(tmp_path):
    first = models.save_model(build("gap_cnn"), tmp_path / "a.keras")
    second = models.save_model(build("gap_cnn"), tmp_path / "b.keras")
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        assert one.read("config.json") == other.read("config.json")
        assert one.read("model.weights.h5") == other.read("model.weights.h5")


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras")
    before = path.read_bytes()

    def fail(self, where, **settings):
        where.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        models.save_model(build("gap_cnn", seed=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match="ends in .keras; received 'net.h5'"):
        models.save_model(build("gap_cnn"), tmp_path / "net.h5")


def damage(path, how):
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("<html>404</html>")
    elif how == "flipped":
        middle = len(content) // 2
        flipped = bytes(b ^ 255 for b in content[middle : middle + 99])
        path.write_bytes(content[:middle] + flipped + content[middle + 99 :])
    elif how == "other zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize("how", ["cut", "empty", "text", "flipped", "other zip"])
def test_a_damaged_file_gets_a_sentence(how, tmp_path):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras")
    damage(path, how)
    with pytest.raises(ValueError, match=r"net\.keras is not a whole .*again\."):
        models.load_model(path)


def test_a_missing_file_gets_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model file .*models\.pretrained"):
        models.load_model(tmp_path / "nothing.keras")


def refused(path, words, **asked):
    """Check that a file is refused with these words, in one line."""
    with pytest.raises(ValueError, match=words) as caught:
        models.load_model(path, **asked)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_code_in_a_file_is_not_run(tmp_path):
    inner = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x + 1)])
    model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    model.save(tmp_path / "code.keras")
    refused(tmp_path / "code.keras", "cannot be opened safely: its layer 'lambda")


@keras.saving.register_keras_serializable("tests")
class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x


@keras.saving.register_keras_serializable("tests")
def squared(x):
    return x * x


def plain_relu(x):
    return keras.ops.maximum(x, 0)


def plain_loss(wanted, found):
    return keras.ops.sum(found, axis=-1)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (Doubled, "tests>Doubled"),
        (lambda: layers.Dense(2, activation=squared), "squared"),
        (lambda: layers.Dense(2, activation=plain_relu), "plain_relu"),
    ],
)
def test_custom_objects_are_refused_even_if_this_process_knows_them(
    layer, named, tmp_path
):
    model = keras.Sequential([keras.Input((4,)), layer()])
    model.save(tmp_path / "own.keras")
    refused(tmp_path / "own.keras", f"asks for '.*{named}.*not part of Keras")


def test_what_keras_ships_is_not_taken_for_custom(tmp_path):
    x = keras.Input((32, 32, 3))
    y = layers.Conv2D(4, 3, activation=keras.ops.relu, kernel_regularizer="l2")(x)
    y = layers.Rescaling(0.1)(keras.ops.mean(y * 2 + 1, axis=(1, 2)))
    y = layers.Dense(2, activation=keras.activations.gelu, dtype="float32")(y)
    keras.Model(x, y).save(tmp_path / "own.keras")
    assert models.load_model(tmp_path / "own.keras").output_shape == (None, 2)
    theirs = keras.applications.MobileNetV2(input_shape=(32, 32, 3), weights=None)
    theirs.compile(loss=plain_loss, jit_compile=False)  # not part of the network
    theirs.save(tmp_path / "mobile.keras")
    models.load_model(tmp_path / "mobile.keras")


def test_a_structure_that_is_no_json_gets_a_sentence(tmp_path):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras")
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{" * 10)
        archive.writestr("model.weights.h5", weights)
    refused(path, "its part config.json is no JSON")


@pytest.mark.parametrize("by", ["name", "path"])
def test_a_network_is_opened_hashed_and_described_once(by, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras", card={"seed": 5})
    calls = []
    for room, name in (
        (weights, "read_card"),
        (weights, "sha256_of"),
        (weights.opening, "open_file"),
    ):
        monkeypatch.setattr(room, name, counted(getattr(room, name), calls))
    opened = weights.open_weights("net" if by == "name" else path)
    assert sorted(calls) == ["open_file", "read_card", "sha256_of"]
    assert opened.path == path and opened.model.name == "gap_cnn"
    assert opened.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert opened.card["seed"] == 5 and opened.card["sha256"] == opened.sha256


def counted(function, calls):
    def count(*arguments):
        calls.append(function.__name__)
        return function(*arguments)

    return count


def test_a_mistyped_name_is_answered_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    models.save_model(build("gap_cnn"), tmp_path / "drawn-net.keras")
    said = "no weights 'Drawn-net5' .did you mean 'drawn-net'.*available: drawn-net"
    with pytest.raises(FileNotFoundError, match=said):
        weights.find_weights("Drawn-net5")
    assert weights.find_weights("drawn-net") == tmp_path / "drawn-net.keras"


# ---- Files and their cards


def with_card(folder, **card):
    """Save a network for six classes and then change its card."""
    names = ["a", "b", "c", "d", "e", "f"]
    shape = [32, 32, 3]
    path = models.save_model(
        build("gap_cnn"),
        folder / "net.keras",
        card={"class_names": names, "input_shape": shape},
    )
    place = path.with_suffix(".json")
    place.write_text(json.dumps(json.loads(place.read_text()) | card))
    return path


def test_a_file_with_its_card_opens(tmp_path):
    path = with_card(tmp_path)
    model = models.load_model(path, class_names=tuple("abcdef"), input_size=32)
    assert model.output_shape == (None, 6)
    assert models.load_model(path, input_size=(32, 32)).input_shape == (None, 32, 32, 3)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (
            {"sha256": "0" * 64},
            r"not the file that its card net.json .*SHA-256 differs",
        ),
        ({"sha256": None}, r"SHA-256 differs"),
        (
            {"class_names": ["a", "b"]},
            "6 outputs, but its card names 2 classes.*: a, b",
        ),
        ({"class_names": ["a"] * 6}, "names 6 classes, 1 of them different"),
        ({"input_shape": [64, 64, 3]}, r"\(32, 32, 3\), but its card says \(64, 64, 3"),
        ({"input_shape": [32, 32]}, r"its card says \(32, 32\)"),
    ],
)
def test_a_file_that_is_not_its_cards_is_refused(card, words, tmp_path):
    refused(with_card(tmp_path, **card), words)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"class_names": "abcdfe"}, "a, b, c, d, e, f, in this order; asked were a, b"),
        ({"input_size": 96}, "32 x 32 pixels; asked were 96 x 96"),
        ({"input_size": (32, 48)}, "asked were 32 x 48"),
    ],
)
def test_a_network_for_other_classes_or_pictures_is_refused(asked, words, tmp_path):
    refused(with_card(tmp_path), words, **asked)


def test_without_a_card_the_outputs_are_counted(tmp_path):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras")
    models.load_model(path, class_names="abcdef")
    refused(path, "6 outputs; asked were 2 classes", class_names=["a", "b"])
    refused(path, "6 outputs; asked were 6 classes, 5 of them", class_names="abcdee")


def test_a_torn_card_is_refused_and_other_json_is_no_card(tmp_path):
    path = with_card(tmp_path)
    place = path.with_suffix(".json")
    place.write_text(place.read_text()[:50])
    refused(path, "net.json, the card of net.keras, is damaged: it is no JSON")
    place.write_text("[1, 2]")
    assert weights.read_card(path) == {}
    models.load_model(path)


def test_any_size_and_a_single_output_are_not_refused(tmp_path):
    model = models.gap_cnn((None, None, 3), num_classes=1, widths=(3,))
    card = {"class_names": ["cat", "dog"], "input_shape": [None, None, 3]}
    path = models.save_model(model, tmp_path / "net.keras", card=card)
    models.load_model(path, input_size=48)


def test_a_stop_between_network_and_card_leaves_none_that_is_not_its(
    tmp_path, monkeypatch
):
    path = with_card(tmp_path)
    moved = []

    def stop(source, target):
        moved.append(target)
        if len(moved) == 2:
            raise KeyboardInterrupt
        source.rename(target)

    monkeypatch.setattr(whole.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        models.save_model(build("gap_cnn", seed=1), path, card={"seed": 1})
    assert list(tmp_path.iterdir()) == [path]
    models.load_model(path)


# ---- Files of Keras 2


def legacy_config(layer):
    """Describe a layer as Keras 2 did: no modules, its own names for some settings."""
    kind, config = type(layer).__name__, layer.get_config()
    if kind == "InputLayer":
        config["batch_input_shape"] = config.pop("batch_shape")
    if kind == "LeakyReLU":
        config["alpha"] = config.pop("negative_slope")
    if kind == "BatchNormalization":
        config = {k: v for k, v in config.items() if not k.startswith("renorm")}
        config["axis"] = [3]
    if "Conv" in kind:
        config["groups"] = 1
    config["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}
    for key in [key for key in config if key.endswith("initializer")]:
        config[key] = {"class_name": "Zeros", "config": {"dtype": "float32"}}
    if kind in ("Sequential", "Functional"):
        return legacy_model(layer)
    return {"class_name": kind, "config": config}


def legacy_model(model):
    if isinstance(model, keras.Sequential):
        described = [legacy_config(layer) for layer in model.layers]
        shape = [None, *model.input_shape[1:]]
        described[0]["config"].setdefault("batch_input_shape", shape)
        config = {"name": model.name, "layers": described}
        return {"class_name": "Sequential", "config": config}
    described = []
    for layer, part in zip(model.layers, model.get_config()["layers"], strict=True):
        calls = []
        for node in part["inbound_nodes"]:
            tensors = node["args"][0]
            for tensor in tensors if isinstance(tensors, list) else [tensors]:
                maker = tensor["config"]["keras_history"][0]
                nested = hasattr(model.get_layer(maker), "layers")
                calls.append([maker, int(nested), 0, {}])
        place = {"name": layer.name, "inbound_nodes": [calls] if calls else []}
        described.append(legacy_config(layer) | place)
    ends = {
        "input_layers": [[model.layers[0].name, 0, 0]],
        "output_layers": [[model.layers[-1].name, 0, 0]],
    }
    config = {"name": model.name, "layers": described} | ends
    return {"class_name": "Functional", "config": config}


def write_legacy(path, model, *, kind=None, drop=(), change=None):
    """Write a network in the layout of Keras 2: JSON and one group per layer."""
    described = legacy_model(model)
    described["class_name"] = kind or described["class_name"]
    if change:
        change(described["config"]["layers"])
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(described)
        stored = file.create_group("model_weights")
        for layer in model.layers:
            group = stored.create_group(layer.name)
            own = layer.trainable_weights + layer.non_trainable_weights
            names = [f"{layer.name}/{i}:0" for i in range(len(own))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, own, strict=True):
                group[name] = value.numpy()
        for name in drop:
            del file.attrs[name]
    return path


def old_network(*more):
    """A network of layers whose settings Keras 2 wrote otherwise, or that have some."""
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(3, 3, strides=2, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.ReLU(max_value=0.9, negative_slope=0.1, threshold=0.2),
            layers.LeakyReLU(0.4),
            layers.DepthwiseConv2D(2, padding="same"),
            layers.SeparableConv2D(4, 2),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.MaxPooling2D(2),
            *more,
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4),
            layers.Activation("softmax"),
        ]
    )


def old_graph():
    inner = keras.Sequential(
        [keras.Input((16, 16, 1)), layers.Conv2D(2, 3), layers.BatchNormalization()]
    )
    inner.layers[0].trainable = False  # Keras wrote what is frozen last
    x = keras.Input((16, 16, 1))
    y = layers.Add()([inner(x), layers.Conv2D(2, 3)(x)])
    y = layers.Concatenate()([y, layers.Conv2D(3, 1)(y)])
    return keras.Model(x, layers.Dense(4)(layers.GlobalAveragePooling2D()(y)))


@pytest.mark.parametrize("make", [old_network, old_graph])
def test_an_old_file_answers_as_its_network_did(make, tmp_path, rng):
    model = make()
    model.set_weights([rng.uniform(-0.5, 1, w.shape) for w in model.get_weights()])
    for layer in kinds(model, layers.BatchNormalization):
        layer.moving_variance.assign(np.abs(layer.moving_variance))
    again = models.load_model(write_legacy(tmp_path / "old.h5", model))
    images = rng.integers(0, 256, (3, 16, 16, 1), dtype=np.uint8)
    np.testing.assert_allclose(
        np.asarray(again(images)), np.asarray(model(images)), rtol=1e-5, atol=1e-5
    )
    assert [layer.name for layer in again.layers] == [
        layer.name for layer in model.layers
    ]


@pytest.mark.filterwarnings("ignore:.*HDF5 file")
def test_an_h5_file_of_keras_3_opens_with_a_model_in_it(tmp_path, rng):
    whole = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), build("resnet")]
    )
    whole.save(tmp_path / "whole.h5")
    images = pictures(rng)
    again = models.load_model(tmp_path / "whole.h5")
    np.testing.assert_allclose(again(images), whole(images), atol=1e-5)


def test_old_files_that_are_not_opened_get_a_sentence(tmp_path):
    model = old_network()
    write_legacy(tmp_path / "a.h5", model, kind="Model")
    write_legacy(tmp_path / "b.h5", model, drop=["model_config"])
    (tmp_path / "c.h5").write_bytes((tmp_path / "b.h5").read_bytes()[:999])
    lambdas = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x)])
    write_legacy(tmp_path / "d.h5", lambdas)

    def unknown(described):
        described[2]["class_name"] = "tests>Doubled"

    def setting(described):
        described[2]["config"]["sharpness"] = 3

    def sizeless(described):
        del described[0]["config"]["batch_input_shape"]

    write_legacy(tmp_path / "e.h5", model, change=unknown)
    write_legacy(tmp_path / "f.h5", model, change=setting)
    write_legacy(tmp_path / "g.h5", model, change=sizeless)
    for name, words in {
        "a": "holds a Model network",
        "b": "no network structure",
        "c": "not a whole HDF5 file",
        "d": "layer of kind 'Lambda'",
        "e": "asks for 'tests>Doubled'.*not part of Keras",
        "f": "cannot be opened safely.*sharpness",
        "g": "does not say what size of picture",
    }.items():
        refused(tmp_path / f"{name}.h5", words)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"class_name": "Doubled", "registered_name": "tests>Doubled"}, "not part of"),
        ({"module": "tests", "registered_name": "ReLU"}, "not part of Keras"),
        ({"class_name": "load_model"}, "layer of kind 'load_model'"),
    ],
)
def test_an_old_file_asks_for_nothing_but_keras_own_layers(named, words, tmp_path):
    def change(described):
        described[2] |= named

    refused(write_legacy(tmp_path / "old.h5", old_network(), change=change), words)


def test_an_old_file_with_other_weights_than_its_layers_need_is_refused(tmp_path):
    path = write_legacy(tmp_path / "old.h5", old_network(layers.Conv2D(4, 1, name="c")))
    with h5py.File(path, "a") as file:
        group = file["model_weights/c"]
        kernel = group["c/0:0"][()]
        del group["c/0:0"]
        group["c/0:0"] = kernel[..., :2]
    needs = (
        r"weights of its layer 'c': it needs .*\(1, 1, 4, 4\).* are .*\(1, 1, 4, 2\)"
    )
    refused(path, needs)
    with h5py.File(path, "a") as file:
        file.move("model_weights/c", "model_weights/d")
    refused(path, r"its layer 'c': it needs .*, and there are \[\]")
    write_legacy(path, old_network())
    with h5py.File(path, "a") as file:
        file.copy("model_weights/" + old_names(file)[0], "model_weights/more")
    refused(path, "holds weights of more, not in its structure")


def old_names(file):
    stored = file["model_weights"]
    return [name for name in stored if len(stored[name].attrs["weight_names"])]


@pytest.mark.parametrize("kind", ["soft", "external", "outside", "virtual"])
def test_what_an_old_file_keeps_elsewhere_is_not_fetched(kind, tmp_path):
    path = write_legacy(tmp_path / "old.h5", old_network(layers.Conv2D(4, 1, name="c")))
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["s"] = np.ones((1, 1, 4, 4), "float32")
    with h5py.File(path, "a") as file:
        group = file["model_weights/c/c"]
        del group["0:0"]
        if kind == "soft":
            group["0:0"] = h5py.SoftLink("/elsewhere")
        elif kind == "external":
            group["0:0"] = h5py.ExternalLink(tmp_path / "secret.h5", "s")
        elif kind == "outside":
            where = [(str(tmp_path / "secret.bin"), 0, 64)]
            group.create_dataset("0:0", (1, 1, 4, 4), "float32", external=where)
        else:
            layout = h5py.VirtualLayout((1, 1, 4, 4), "float32")
            layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "s", (1, 1, 4, 4))
            group.create_virtual_dataset("0:0", layout)
    refused(path, "its part 'model_weights/c/c/0:0' lies in another place")


def test_the_second_seeds_own_file_opens(rng):
    path = ROOT.parent / "shared" / "seeds" / "model_weight.h5"
    if not path.is_file():
        pytest.skip("no ../shared/seeds/model_weight.h5 beside the checkout")
    model = models.load_model(path)
    assert model.count_params() == 393_348
    images = rng.integers(0, 256, (2, 64, 64, 1), dtype=np.uint8)
    with h5py.File(path) as file:
        weights = file["model_weights"]
        x = images.astype("float32")
        for name in ("conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4"):
            group = weights[name][name]
            x = tf.nn.conv2d(x, group["kernel:0"][()], 1, "SAME") + group["bias:0"][()]
            x = np.maximum(x, 0)
        dense = weights["dense"]["dense"]
        logits = x.mean((1, 2)) @ dense["kernel:0"][()] + dense["bias:0"][()]
    expected = np.asarray(tf.nn.softmax(logits))
    np.testing.assert_allclose(models.predict(model, images), expected, atol=1e-5)


# ---- What the project ships


@pytest.mark.parametrize("path", sorted(models.WEIGHTS.glob("*.json")))
def test_shipped_weights_are_small_whole_and_described(path, rng):
    model, card = models.pretrained(path.stem), models.read_card(path.stem)
    assert card["bytes"] <= 3_000_000
    assert tuple(card["input_shape"]) == model.input_shape[1:]
    assert len(card["class_names"]) == model.output_shape[-1]
    assert card["parameters"] == model.count_params()
    assert len(card["history"]["val_loss"]) == card["epochs"]
    probabilities = models.predict(model, pictures(rng, 2, model.input_shape[1]))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("path", sorted(models.WEIGHTS.glob("*.json")))
def test_the_table_of_weights_says_what_their_cards_say(path):
    lines = (models.WEIGHTS.parent / "README.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith(f"| `{path.stem}` |")]
    card = models.read_card(path.stem)
    test = card["test"]
    low, high = test["interval"]
    expected = [
        f"{card['parameters']:,}",
        f"{card['bytes'] / 1e6:.1f} MB",
        f"{card['epochs']}",
        f"{card['minutes']:.0f}",
        f"{test['accuracy']:.1%} ({low:.1%} to {high:.1%})",
        f"{test['macro_f1']:.3f}",
        f"{test['calibration_error']:.3f}",
    ]
    assert [[cell.strip() for cell in row.split("|")[3:-1]] for row in rows] == [
        expected
    ]
