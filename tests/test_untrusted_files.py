"""Model files made to hurt: refused in one line, before memory is given to them."""

import contextlib
import io
import json
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from small_networks import refused
from test_opening import write_legacy

from scenecam import models
from scenecam_cli.main import main

ENDINGS = ("h5", "keras")
FOREIGN = "not part of Keras"


def small():
    x = keras.Input((16, 16, 1), name="picture")
    y = layers.GlobalAveragePooling2D(name="pool")(layers.Conv2D(3, 3, name="first")(x))
    return keras.Model(x, layers.Dense(4, name="last")(y))


def write(path):
    if path.suffix == ".h5":
        return write_legacy(path, small())
    small().save(path)
    return path


@contextlib.contextmanager
def parts_of(path):
    """Change the parts of a .keras file, a dict of bytes."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    yield parts
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@contextlib.contextmanager
def structure_of(path):
    """Change what a file wants built, a dict."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            described = json.loads(file.attrs["model_config"])
            yield described
            file.attrs["model_config"] = json.dumps(described)
        return
    with parts_of(path) as parts:
        described = json.loads(parts["config.json"])
        yield described
        parts["config.json"] = json.dumps(described).encode()


@contextlib.contextmanager
def weights_of(path):
    """Change the HDF5 file of the weights; say where the bias of ``first`` is."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            yield file, "model_weights/first/first/1:0"
        return
    with parts_of(path) as parts:
        content = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(content, "a") as file:
            yield file, "layers/conv2d/vars/1"
        parts["model.weights.h5"] = content.getvalue()


def function(name, module="builtins"):
    return {"class_name": "function", "config": name, "module": module}


# ---- Numbers


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(number, ending, tmp_path):
    path = write(tmp_path / f"net.{ending}")
    with weights_of(path) as (file, bias):
        file[bias][1] = number
    refused(path, "holds NaN or infinity among the weights of its layer 'first'")


def test_a_nested_layer_that_is_not_finite_is_named(tmp_path):
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="deep")])
    inner.layers[0].bias.assign([0, 0, np.nan, 0])
    model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    models.save_model(model, tmp_path / "net.keras")
    refused(tmp_path / "net.keras", f"layer {inner.name!r} .*deep/bias")


@pytest.mark.parametrize(
    "values",
    [
        np.array([b"a", b"b", b"c"]),
        np.ones(3, "complex64"),
        np.zeros(3, [("a", "f4"), ("b", "f4")]),
        h5py.Empty("f4"),
        np.ones(()),
        np.ones((3, 1)),
    ],
)
def test_arrays_of_another_kind_are_refused(values, tmp_path):
    path = write(tmp_path / "net.h5")
    with weights_of(path) as (file, bias):
        del file[bias]
        file[bias] = values
    refused(path, r"layer 'first': it needs .*\(3,\)\], and there are .*\(3, 3, 1, 3\)")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (None, "layer 'first': it needs"),
        (5, "its part model_weights is damaged"),
        ([1, 2], "its part model_weights is damaged"),
        ([b"first/0:0", b"elsewhere"], "layer 'first': it needs .* 'no numbers'"),
        ([b"first", b""], "layer 'first': it needs"),
        (h5py.Empty("S1"), "its part model_weights is damaged"),
    ],
)
def test_lists_of_weights_that_name_none_are_refused(names, words, tmp_path):
    path = write(tmp_path / "net.h5")
    with h5py.File(path, "a") as file:
        attributes = file["model_weights/first"].attrs
        del attributes["weight_names"]
        if names is not None:
            attributes["weight_names"] = names
    refused(path, words)


# ---- Structure


@pytest.mark.parametrize(
    "text",
    ["null", "5", "[]", '"net"', "{}", '{"class_name": "Sequential"}', "[" * 9999, "{"],
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_structure_that_is_none_is_refused(text, ending, tmp_path):
    path = write(tmp_path / f"net.{ending}")
    if ending == "h5":
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = text
    else:
        with parts_of(path) as parts:
            parts["config.json"] = text
    refused(
        path, "not a whole Keras model: its part .* (is no JSON|describes no network)"
    )


@pytest.mark.parametrize(
    "config", [None, 7, [], {}, {"layers": None}, {"layers": []}, {"layers": [1, None]}]
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_structure_without_layers_is_refused(config, ending, tmp_path):
    path = write(tmp_path / f"net.{ending}")
    with structure_of(path) as described:
        described |= {"class_name": "Sequential", "config": config}
    refused(path, "its part model_config is damaged" if ending == "h5" else "net.keras")


@pytest.mark.parametrize("layer", [None, 3, "Conv2D", {"class_name": "Conv2D"}])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_layer_that_is_none_is_refused(layer, ending, tmp_path):
    path = write(tmp_path / f"net.{ending}")
    with structure_of(path) as described:
        described["config"]["layers"][1] = layer
    refused(path, "its part model_config is damaged" if ending == "h5" else "net.keras")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"activation": "keras.Sequential"}, f"'keras.Sequential'.*{FOREIGN}"),
        ({"activation": "keras>Sequential"}, f"'keras>Sequential'.*{FOREIGN}"),
        ({"activation": "Dense"}, f"'Dense'.*{FOREIGN}"),
        ({"activation": ["relu"]}, f"'relu'.*{FOREIGN}"),
        ({"activation": function("Sequential")}, f"'Sequential'.*{FOREIGN}"),
        ({"activation": function("Sequential", "keras")}, f"'Sequential'.*{FOREIGN}"),
        ({"activation": function("relu", "antigravity")}, f"'relu'.*{FOREIGN}"),
        ({"activation": function("load_model", "keras.saving")}, FOREIGN),
        ({"activation": {"a": 1}}, "cannot be opened safely"),
        ({"filters": "many"}, "cannot be opened safely"),
        ({"filters": -3}, "cannot be opened safely"),
        ({"kernel_size": None}, "cannot be opened safely"),
        ({"groups": 2}, "cannot be opened safely"),
        ({"name": {}}, "cannot be opened safely"),
        ({"dtype": "complex64"}, "cannot be opened safely"),
    ],
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_settings_that_no_layer_has_are_refused(settings, words, ending, tmp_path):
    path = write(tmp_path / f"net.{ending}")
    with structure_of(path) as described:
        described["config"]["layers"][1]["config"] |= settings
    refused(path, words)


@pytest.mark.parametrize("gone", ["name", "filters"])
def test_an_old_layer_without_its_name_or_size_is_refused(gone, tmp_path):
    path = write(tmp_path / "net.h5")
    with structure_of(path) as described:
        layer = described["config"]["layers"][1]
        del layer["config"][gone]
        layer.pop(gone, None)
    refused(path, "is damaged" if gone == "name" else "missing .* 'filters'")


# ---- Sizes


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("setting", [{"units": 10**9}, {"units": 10**14}])
def test_a_layer_larger_than_its_weights_gets_no_memory(setting, ending, tmp_path):
    path = write(tmp_path / f"net.{ending}")
    with structure_of(path) as described:
        described["config"]["layers"][-1]["config"] |= setting
    refused(path, "does not hold the weights of its layer")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("what", ["array", "chunk"])
def test_an_array_that_unpacks_to_much_more_is_not_unpacked(what, ending, tmp_path):
    path = write(tmp_path / f"net.{ending}")
    shape, chunk = {"array": (2 * 10**9, 2**20), "chunk": (3, 2**29)}[what]
    settings = dict(chunks=(chunk,), maxshape=(None,), compression="gzip")
    with weights_of(path) as (file, bias):
        del file[bias]
        file.create_dataset(bias, (shape,), "f4", **settings)
    refused(path, r"its [\d,]+ bytes would unpack to [28],\d{3},\d{3},\d{3}")


def add_part(path, name, method, *, packed, declared):
    """Add a part that unpacks to many spaces, and say that it has other sizes."""
    write(path)
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        for part in parts.keys() - {name}:
            archive.writestr(part, parts[part])
        archive.writestr(name, b" " * packed)
        archive.infolist()[-1].file_size = declared
    return path


MUCH = 15 * 10**7


@pytest.mark.parametrize(
    ("part", "declared", "method"),
    [
        ("config.json", MUCH, zipfile.ZIP_DEFLATED),
        ("assets/a.txt", MUCH, zipfile.ZIP_DEFLATED),
        ("config.json", 1000, zipfile.ZIP_DEFLATED),
        ("config.json", 1000, zipfile.ZIP_BZIP2),
    ],
)
def test_a_part_that_unpacks_to_much_more_is_not_unpacked(
    part, declared, method, tmp_path
):
    path = tmp_path / "net.keras"
    add_part(path, part, method, packed=MUCH, declared=declared)
    tracemalloc.start()
    told = "would unpack to 150,0" if declared > 1000 else "is not a whole .keras file"
    refused(path, told)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20e6


def test_a_packed_network_is_read_to_its_last_byte(tmp_path):
    path = models.save_model(small(), tmp_path / "net.keras")  # packed by bzip2
    with zipfile.ZipFile(path) as archive:
        kinds = {part.compress_type for part in archive.infolist()}
    assert kinds == {zipfile.ZIP_BZIP2}
    assert models.load_model(path).count_params() == small().count_params()


# ---- What the command line says


def damaged(kind, folder):
    path = write(folder / ("net.keras" if kind == "zip" else "net.h5"))
    if kind == "zip":
        method = zipfile.ZIP_DEFLATED
        return add_part(
            path, "config.json", method, packed=15 * 10**7, declared=15 * 10**7
        )
    if kind == "folder":
        return folder
    if kind == "nan":
        with weights_of(path) as (file, bias):
            file[bias][0] = np.nan
    with structure_of(path) as described:
        if kind == "null":
            described["config"] = None
        if kind == "class":
            layer = described["config"]["layers"][1]
            layer["config"]["activation"] = "keras.Sequential"
    return path


def pictures(folder):
    """Write a picture of each of two classes."""
    for name in ("fern", "moss"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(folder / name / "0.png")
    return str(folder)


@pytest.mark.parametrize("kind", ["zip", "folder", "nan", "null", "class"])
def test_the_commands_say_what_the_library_says(kind, tmp_path, capsys):
    path = damaged(kind, tmp_path)
    with pytest.raises(ValueError) as caught:
        models.load_model(path)
    seen, out = pictures(tmp_path / "in"), ["--out", str(tmp_path / "out")]
    for command in (
        ["explain", seen, "--weights", str(path), *out],
        ["evaluate", seen, "--weights", str(path), "--part", "all", *out],
        ["export", str(path), *out],
    ):
        assert main(command) == 2
        assert str(caught.value) in capsys.readouterr().err
