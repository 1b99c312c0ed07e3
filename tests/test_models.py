"""Models: the contract of every builder, and honest probabilities."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from small_networks import BUILDERS, build, kinds, pictures

from scenecam import models

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
    with pytest.raises(ValueError, match="`steps` need one number for each block"):
        models.gap_resnet(widths=(4, 8), dilations=(1, 1), steps=(1,))


def test_gaps_in_place_of_steps_fill_in_what_the_steps_leave_out(rng):
    """What steps leave is what gaps compute there, at the borders too."""
    plan = {"widths": (4, 5, 6, 6), "num_classes": 3}
    coarse = models.gap_resnet(**plan, dilations=(1, 1, 1, 1), steps=(1, 2, 2, 1))
    fine = models.gap_resnet(**plan, dilations=(1, 2, 4, 4), seed=1)
    fine.set_weights(coarse.get_weights())
    images = rng.integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    few, many = (
        np.array(keras.Model(model.input, model.get_layer("features").output)(images))
        for model in (coarse, fine)
    )
    assert (few.shape[1:], many.shape[1:]) == ((8, 8, 6), (32, 32, 6))
    assert many.std(axis=(0, 1, 2)).min() > 0
    np.testing.assert_allclose(many[:, ::4, ::4], few, atol=1e-4 * few.max())


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


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0.5}, {"num_classes": 6}, {"input_shape": (96, 96, 3)}],
)
def test_imagenet_is_for_the_full_network(wrong, offline):
    with pytest.raises(ValueError, match="those of ImageNet are for"):
        models.vgg16(weights="imagenet", **wrong)
    with pytest.raises(ValueError, match="received 'photos'"):
        models.vgg16(weights="photos")


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
    with pytest.raises(ValueError, match=r"one picture.*asarray\(images\)\[None\]"):
        models.predict(build("gap_cnn"), pictures(rng)[0])


# ---- Networks for pictures of another size


def in_another(base):
    """The convolutions of a network as one layer of another, which has the head."""
    inner = keras.Model(base.inputs, base.get_layer("features").output, name="inner")
    inputs = keras.Input(base.input_shape[1:], dtype="uint8")
    x = layers.GlobalAveragePooling2D()(inner(layers.Rescaling(1.0)(inputs)))
    return keras.Model(inputs, layers.Dense(3)(x))


def sequential(base):
    rescaling = layers.Rescaling(1 / 255)
    return keras.Sequential([keras.Input(base.input_shape[1:]), rescaling, base])


@pytest.mark.parametrize("kind", [lambda model: model, in_another, sequential])
@pytest.mark.parametrize("name", ["gap_cnn", "resnet", "gap_resnet"])
def test_a_network_rebuilt_for_its_own_size_is_the_same(name, kind, rng):
    model, images = kind(build(name)), pictures(rng)
    before = [array.copy() for array in model.get_weights()]
    same = models.resized(model, 32)
    np.testing.assert_array_equal(
        models.predict_logits(same, images), models.predict_logits(model, images)
    )
    same.set_weights([0 * array for array in before])
    for array, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("kind", [lambda model: model, in_another, sequential])
def test_a_rebuilt_network_sees_a_flat_picture_of_any_size_alike(kind, rng):
    """With 1 x 1 kernels no place knows of its neighbours or of the border."""
    base = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 1, activation="relu"),
            layers.BatchNormalization(name="features"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    model = kind(base)
    small = rng.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    mosaic = np.tile(small, (1, 2, 2, 1))
    np.testing.assert_allclose(
        models.predict_logits(models.resized(model, 16), mosaic),
        models.predict_logits(model, small),
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_network_that_flattens_its_maps_is_not_rebuilt():
    with pytest.raises(ValueError, match=r"64 x 64: .* ends in a global pooling"):
        models.resized(build("plain_cnn"), 64)


def test_what_a_normalisation_has_learned_comes_along(rng):
    images = pictures(rng).astype(np.float32)
    normalisation = layers.Normalization()
    normalisation.adapt(images)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((32, 32, 3)), normalisation, *head])
    same = models.resized(model, 32)
    np.testing.assert_array_equal(
        same.predict(images, verbose=0), model.predict(images, verbose=0)
    )
