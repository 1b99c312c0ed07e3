"""What is asked of a network; what a refusal advises is followed."""

import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from scenecam import cam, images, models
from scenecam._engine import asked

KERAS = keras.layers
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
BYTES, UNIT, SIGNED = asked.RANGES


def network(*before, side=16, dtype=None):
    """Steps, then a convolution, pooling and one dense layer."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((side, side, 3), dtype=dtype),
            *before,
            KERAS.Conv2D(4, 3, activation="relu", name="features"),
            KERAS.GlobalAveragePooling2D(),
            KERAS.Dense(3),
        ]
    )


class Halved(KERAS.Layer):
    """A step that nobody knows."""

    def call(self, x):
        return x / 255.0


def nested(*steps):
    return keras.Sequential([keras.Input((16, 16, 3)), *steps])


NORMAL = dict(mean=[0.485, 0.456, 0.406], variance=[0.0525, 0.0502, 0.0506])
STEPS = {
    "bytes to unit": ([KERAS.Rescaling(1 / 255)], [BYTES]),
    "bytes to signed": ([KERAS.Rescaling(1 / 127.5, -1)], [BYTES]),
    "upside down": ([KERAS.Rescaling(-1 / 255, 1)], [BYTES]),
    "in two steps": (
        [KERAS.Rescaling(1 / 255), KERAS.Normalization(**NORMAL)],
        [BYTES],
    ),
    "mean taken off": ([KERAS.Rescaling(1.0, [-103.9, -116.8, -123.7])], [BYTES]),
    "behind augmentation": (
        [KERAS.RandomFlip(), KERAS.RandomRotation(0.1), KERAS.Rescaling(1 / 255)],
        [BYTES],
    ),
    "behind padding": ([KERAS.ZeroPadding2D(2), KERAS.Rescaling(1 / 255)], [BYTES]),
    "nested": ([nested(KERAS.Rescaling(1 / 255))], [BYTES]),
    "own layer": ([Halved()], [BYTES]),
    "unit to signed": ([KERAS.Rescaling(2.0, -1.0)], [UNIT]),
    "unit to bytes": ([KERAS.Rescaling(255.0)], [UNIT]),
    "unit to normal": ([KERAS.Normalization(**NORMAL)], [UNIT]),
    "signed to unit": ([KERAS.Rescaling(0.5, 0.5)], [SIGNED]),
    "signed to bytes": ([KERAS.Rescaling(127.5, 127.5)], [SIGNED]),
    "nothing": ([], []),
    "unusual": ([KERAS.Rescaling(0.5)], []),
    "dropout": ([KERAS.Dropout(0.5)], []),
}
AS = {
    BYTES: PICTURES,
    UNIT: (PICTURES / 255).astype(np.float32),
    SIGNED: (PICTURES / 127.5 - 1).astype(np.float32),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_range_is_that_which_the_first_steps_imply(name):
    steps, ranges = STEPS[name]
    model = network(*steps)
    assert asked.find_ranges(model) == ranges
    for each, pictures in AS.items():
        if not ranges or each in ranges:
            rows = models.predict(model, pictures)
            truth = keras.ops.softmax(
                model(pictures.astype(np.float32), training=False)
            )
            np.testing.assert_allclose(rows, truth, atol=1e-5)
        elif (each, ranges) != (UNIT, [SIGNED]):  # bright pictures are possible
            what = f"takes values from {ranges[0][0]} to {ranges[0][1]}; received"
            with pytest.raises(ValueError, match=what) as refusal:
                cam.class_maps(model, pictures)
            assert str(refusal.value).endswith(f"Pass {asked.RANGES[ranges[0]]}.")


def test_a_network_of_bytes_is_known_by_its_input():
    assert asked.find_ranges(network(dtype="uint8")) == [BYTES]


def test_the_remedy_for_lists_pictures_of_pillow_and_other_channels_works():
    model = network()
    unequal = [PICTURES[0], PICTURES[1][:8], Image.fromarray(PICTURES[2])]
    with pytest.raises(ValueError, match="list of pictures of 2 shapes") as refusal:
        cam.class_maps(model, unequal)
    remedy = str(refusal.value).rpartition("Pass ")[2].rstrip(".")
    resized = eval(
        remedy, {"np": np, "scenecam": __import__("scenecam"), "images": unequal}
    )
    np.testing.assert_array_equal(resized[[0, 2]], PICTURES[[0, 2]])
    assert cam.class_maps(model, resized)["features"].shape == (3, 3, 14, 14)

    equal = [Image.fromarray(picture) for picture in PICTURES]
    expected = models.predict(model, PICTURES)
    np.testing.assert_array_equal(models.predict(model, equal), expected)
    with pytest.raises(ValueError, match=r"one picture .*np.asarray\(images\)\[None\]"):
        models.predict(model, equal[0])
    alone = models.predict(model, np.asarray(equal[0])[None])
    np.testing.assert_allclose(alone, expected[:1], atol=1e-6)

    clear = np.concatenate([PICTURES, PICTURES[..., :1]], axis=-1)
    with pytest.raises(ValueError, match=r"Drop the transparency: images\[..., :3\]"):
        models.predict(model, clear)
    with pytest.raises(
        ValueError, match=r"np.repeat\(images\[..., None\], 3, axis=-1\)"
    ):
        models.predict(model, PICTURES[..., 0])
    large = np.repeat(PICTURES, 2, axis=1)
    with pytest.raises(ValueError, match=r"received \(3, 32, 16, 3\).*resize_image"):
        models.predict(model, large)


@pytest.mark.parametrize("name", ["a b", "größe", "it's", 'x"y', "a:b", "<k>", "日本"])
def test_a_layer_may_have_any_name(name, tmp_path):
    keras.utils.set_random_seed(0)
    plain = network()
    x = KERAS.Conv2D(4, 3, activation="relu", name=name)(plain.inputs[0])
    x = KERAS.Dense(3, name=name + "?")(KERAS.GlobalAveragePooling2D()(x))
    odd = keras.Model(plain.inputs, x)
    odd.set_weights(plain.get_weights())
    maps = cam.class_maps(odd, PICTURES, layers=name)
    assert list(maps) == [name] == cam.layer_names(odd)
    expected = cam.class_maps(plain, PICTURES)["features"]
    np.testing.assert_allclose(maps[name], expected, atol=1e-5)
    assert [layer.name for layer in odd.layers[1:]] == [
        name,
        odd.layers[2].name,
        name + "?",
    ]
    odd.get_layer(name).set_weights([2 * w for w in odd.get_layer(name).get_weights()])
    twice = cam.class_maps(odd, PICTURES)[name]
    np.testing.assert_allclose(twice, 2 * maps[name], rtol=1e-4, atol=1e-5)
    maps = {name: twice}
    opened = models.load_model(models.save_model(odd, tmp_path / "odd.keras"))
    np.testing.assert_array_equal(cam.class_maps(opened, PICTURES)[name], maps[name])


def test_the_last_map_on_all_ways_is_explained():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((16, 16, 3))
    x = KERAS.Conv2D(4, 3, name="stem")(x)
    one = KERAS.Conv2D(4, 3, name="one")(x)
    two = KERAS.Conv2D(4, 1, name="two")(x)
    joined = KERAS.Add(name="joined")([one, two[:, 1:-1, 1:-1]])

    def end(*maps):
        pooled = [KERAS.GlobalAveragePooling2D()(each) for each in maps]
        x = KERAS.Concatenate()(pooled) if len(pooled) > 1 else pooled[0]
        return keras.Model(inputs, KERAS.Dense(3)(x))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(cam.class_maps(end(joined), PICTURES)) == ["joined"]
    with pytest.warns(
        UserWarning, match="'stem'.*convolutions come after it, as 'one'"
    ):
        assert list(cam.class_maps(end(one, two), PICTURES)) == ["stem"]
    small = KERAS.Conv2D(4, 12, name="small")(joined)
    with pytest.warns(UserWarning, match="'joined'.*come after it, as 'small'"):
        assert list(cam.class_maps(end(small), PICTURES)) == ["joined"]


def test_tokens_are_no_places_until_they_are_brought_to_their_grid():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((16, 16, 3))
    x = KERAS.Reshape((16, 8), name="tokens")(KERAS.Conv2D(8, 4, 4, name="patches")(x))
    heads = KERAS.EinsumDense("abc,cde->abde", (16, 2, 4), name="heads")(x)
    split = KERAS.Reshape((16, 2, 4), name="split")(x)
    x = x + KERAS.Reshape((16, 8))(KERAS.Add(name="sum")([heads, split]))
    x = x + KERAS.MultiHeadAttention(2, 4, name="attention")(x, x)
    pooled = KERAS.GlobalAveragePooling1D()
    model = keras.Model(inputs, KERAS.Dense(3)(pooled(x)))
    assert cam.layer_names(model) == ["patches"]
    with pytest.raises(ValueError, match="Reshape.*or ask for layers='patches'"):
        cam.class_maps(model, PICTURES)
    assert list(cam.class_maps(model, PICTURES, layers="patches")) == ["patches"]
    with pytest.raises(ValueError, match="no feature map named 'heads'"):
        cam.class_maps(model, PICTURES, layers="heads")

    grid = KERAS.Reshape((4, 4, 8), name="grid")(x)
    dense = KERAS.Dense(3)
    told = keras.Model(inputs, dense(pooled(KERAS.Reshape((16, 8))(grid))))
    maps = cam.class_maps(told, PICTURES)["grid"]
    tokens = np.asarray(keras.Model(inputs, x)(PICTURES.astype(np.float32)))
    kernel = np.asarray(dense.kernel) / 16
    truth = np.maximum(np.einsum("ntc,ck->nkt", tokens, kernel), -np.inf)
    np.testing.assert_allclose(maps.reshape(3, 3, 16), truth, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(16, 3), (4, 16, 16, 3)])
def test_other_arrays_than_pictures_are_refused_in_true_words(shape):
    x = inputs = keras.Input(shape)
    dimensions = len(shape) - 1
    x = getattr(KERAS, f"Conv{dimensions}D")(4, 3)(x)
    x = getattr(KERAS, f"GlobalAveragePooling{dimensions}D")()(x)
    model = keras.Model(inputs, KERAS.Dense(3)(x))
    with pytest.raises(ValueError, match="needs pictures .n, h, w, channels."):
        cam.class_maps(model, np.zeros((2, *shape), np.float32))
    assert models.predict(model, np.zeros((2, *shape), np.float32)).shape == (2, 3)


def test_channels_first_is_refused_and_the_remedy_gives_the_same_numbers():
    def build(order, shape):
        x = inputs = keras.Input(shape)
        x = KERAS.Conv2D(4, 3, activation="relu", data_format=order)(x)
        x = KERAS.GlobalAveragePooling2D(data_format=order)(x)
        return keras.Model(inputs, KERAS.Dense(3)(x))

    first, last = build("channels_first", (3, 16, 16)), build(None, (16, 16, 3))
    turned = PICTURES.transpose(0, 3, 1, 2)
    with pytest.raises(ValueError, match="keeps channels first.*new.set_weights"):
        cam.class_maps(first, turned)
    last.set_weights(first.get_weights())
    truth = keras.ops.softmax(first(turned.astype(np.float32)))
    np.testing.assert_allclose(models.predict(last, PICTURES), truth, atol=1e-5)


def test_two_inputs_and_two_outputs_are_refused_and_the_remedy_runs():
    x, more = keras.Input((16, 16, 3)), keras.Input((5,))
    maps = KERAS.Conv2D(4, 3, name="features")(x)
    pooled = KERAS.GlobalAveragePooling2D()(maps)
    scores = KERAS.Dense(3)(KERAS.Concatenate()([pooled, more]))
    model = keras.Model([x, more], scores)
    with pytest.raises(ValueError, match="has 2 inputs.*model.*other"):
        cam.class_maps(model, PICTURES)
    values, inputs = np.arange(5.0), keras.Input(model.inputs[0].shape[1:])
    other = keras.ops.zeros_like(KERAS.Flatten()(inputs)[:, :5]) + values
    fixed = keras.Model(inputs, model([inputs, other]))
    pictures = PICTURES.astype(np.float32)
    truth = model([pictures, np.tile(values, (3, 1))])
    found = models.predict(fixed, PICTURES)
    np.testing.assert_allclose(found, keras.ops.softmax(truth), atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the values are no second way
        assert cam.class_maps(fixed, PICTURES)

    both = keras.Model(x, [KERAS.Dense(3)(pooled), maps])
    with pytest.raises(ValueError, match="has 2 outputs.*Model.model.inputs, "):
        cam.class_maps(both, PICTURES)
    assert cam.class_maps(keras.Model(both.inputs, both.outputs[0]), PICTURES)


def test_a_head_of_whole_numbers_has_the_maps_of_its_scaled_kernel():
    keras.utils.set_random_seed(0)
    model = network()
    model.quantize("int8", filters=lambda layer: isinstance(layer, KERAS.Dense))
    head = model.layers[-1]
    kernel = np.asarray(head._kernel, np.float32) / np.asarray(head.kernel_scale)
    features = keras.Model(model.inputs[0], model.layers[0].output)
    activations = np.asarray(features(PICTURES.astype(np.float32)))
    truth = (
        np.einsum("nhwc,ck->nkhw", activations, kernel) / activations[0, ..., 0].size
    )
    maps = cam.class_maps(model, PICTURES)["features"]
    np.testing.assert_allclose(maps, np.maximum(truth, -np.inf), rtol=1e-4, atol=1e-4)


def test_pictures_are_read_as_the_remedy_says(tmp_path):
    Image.fromarray(PICTURES[0]).save(tmp_path / "one.png")
    picture = images.read_image(tmp_path / "one.png")
    np.testing.assert_array_equal(picture, PICTURES[0])


def test_channels_may_be_shuffled():
    x = inputs = keras.Input((16, 16, 3))
    x = KERAS.Conv2D(4, 3, name="one")(x)
    left, right = keras.ops.split(x, 2, axis=-1)
    x = KERAS.Concatenate(name="joined")([left, KERAS.Conv2D(2, 1)(right)])
    x = KERAS.Reshape((14, 14, 2, 2))(x)
    x = KERAS.Permute((1, 2, 4, 3))(x)
    x = KERAS.Reshape((14, 14, 4), name="shuffled")(x)
    turned = KERAS.Permute((2, 1, 3), name="turned")(x)
    for last, name in ((x, "shuffled"), (turned, "shuffled")):
        scores = KERAS.Dense(3)(KERAS.GlobalAveragePooling2D()(last))
        assert list(cam.class_maps(keras.Model(inputs, scores), PICTURES)) == [name]
