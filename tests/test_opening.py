"""Opening: what lies in a file is whole, holds no code, and is what Keras saved."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from keras import layers
from small_networks import build, kinds, pictures, refused

from scenecam import models

# ---- Whole, and no code


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


def test_a_class_of_this_process_is_refused_under_its_registered_name(tmp_path):
    path = tmp_path / "own.keras"
    keras.Sequential([keras.Input((4,)), layers.ReLU(name="own")]).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(parts["config.json"])
    config = {"name": "own"}
    described["config"]["layers"][1] = {"class_name": "tests>Doubled", "config": config}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"config.json": json.dumps(described)}).items():
            archive.writestr(name, content)
    refused(path, "asks for 'tests>Doubled'.*not part of Keras")


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


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_a_network_that_never_saw_a_picture_says_so(tmp_path):
    model = keras.Sequential([layers.Flatten(), layers.Dense(2)])
    model.save(path := tmp_path / "net.keras")
    refused(
        path, "what size of picture .* model.build..None, height, width, 3.. and save"
    )
    model.build((None, 8, 8, 3))
    model.save(path)
    assert models.load_model(path).input_shape == (None, 8, 8, 3)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_a_network_in_a_network_may_have_been_trained(tmp_path):
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)])
    model = keras.Sequential([keras.Input((8, 8, 3)), inner, layers.Flatten()])
    inner.compile("adam", loss="mse", jit_compile=False)
    model.save(tmp_path / "net.keras")
    assert models.load_model(tmp_path / "net.keras").count_params() == 56
    inner.compile("adam", loss=plain_loss, jit_compile=False)  # Keras would read it
    model.save(tmp_path / "own.keras")
    refused(tmp_path / "own.keras", "asks for 'plain_loss'.*not part of Keras")


def test_a_structure_that_is_no_json_gets_a_sentence(tmp_path):
    path = models.save_model(build("gap_cnn"), tmp_path / "net.keras")
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{" * 10)
        archive.writestr("model.weights.h5", weights)
    refused(path, "its part config.json is no JSON")


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
