"""What lies in a model file, read before Keras builds anything: whole, and no code.

A ``.keras`` file is checked and handed to Keras. In an ``.h5`` file of Keras 2 the
structure is checked by the same rules and said in the words of Keras 3; Keras builds
it, and the weights are then read layer by layer.
"""

from __future__ import annotations

import itertools
import json
import zipfile
import zlib
from pathlib import Path

import h5py
import keras

# The parts of a .keras file without which there is no network; the first names it.
PARTS = ("config.json", "model.weights.h5")

# Layers and functions that carry code, or run what lies in other files.
CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer")

# Where the functions are that a file names without a module, and the classes.
FUNCTIONS = ("activations", "initializers", "constraints", "regularizers", "ops")
CLASSES = ("models", "layers", "regularizers", "constraints")

# What Keras 2 called otherwise: classes, and settings of a class.
CLASSES_NOW = {"Functional": "Model", "BatchNormalizationV1": "BatchNormalization"}
SETTINGS_NOW = {
    ("InputLayer", "batch_input_shape"): "batch_shape",
    ("LeakyReLU", "alpha"): "negative_slope",
}

# Settings that Keras 2 wrote and Keras 3 may not know, where they change nothing.
IDLE = dict(groups=1, ragged=False, kernel_constraint=None, kernel_regularizer=None)

AGAIN = "Copy or download it again."
NEWER = "Save the network as .keras with Keras 2.15 or later."


class Refused(ValueError):
    """A file is not opened; the message says why in one sentence."""


def open_file(path: Path) -> keras.Model:
    """Open a ``.keras`` file, or an ``.h5`` file of Keras 2, uncompiled.

    Raises
    ------
    ValueError
        If the file is cut short, damaged or of another kind, or its structure holds
        code or a class or function that is not part of Keras, or its weights do not
        fit.
    """
    kind = "HDF5" if path.suffix in (".h5", ".hdf5") else ".keras"
    try:
        if kind == "HDF5":
            with h5py.File(path) as file:
                return _open_old(file, path)
        _check_archive(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Refused:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        what = f"{path} is not a whole {kind} file: it is cut short"
        raise Refused(f"{what}, damaged or of another kind. {AGAIN}") from error
    except Exception as error:  # Keras raises many kinds for files it refuses
        said = str(error).rpartition("Exception encountered:")[-1].strip() or "?"
        raise Refused(
            f"{path} cannot be opened safely; it may hold layers that Keras does not "
            f"know, or weights that do not fit. Keras says: {said.splitlines()[0]}"
        ) from error


# ---- Whole, and no code --------------------------------------------------------------


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        missing = [part for part in PARTS if part not in archive.namelist()]
        if bad := archive.testzip() or " or ".join(missing):
            what = f"{path} is not a whole Keras model"
            raise Refused(f"{what}: its part {bad} is damaged or missing. {AGAIN}")
        _checked_structure(archive.read(PARTS[0]), PARTS[0], path)


def _checked_structure(text: str | bytes, part: str, path: Path):
    """Parse a structure and look at all that it wants built.

    Keras itself opens what asks for a class that the process has registered, and its
    words for the rest differ from version to version.
    """
    try:
        described = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f"{path} is not a whole Keras model: its part {part} is no JSON"
        raise Refused(f"{what}. {AGAIN}") from error
    todo = [described]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if isinstance(node.get("class_name"), str):
                _check_object(node, path)
            # What trains a network is not built.
            todo += [v for key, v in node.items() if key != "compile_config"]
        elif isinstance(node, list):
            todo += node
    return described


def _check_object(entry: dict, path: Path) -> None:
    kind, config = entry["class_name"], entry.get("config")
    module, registered = entry.get("module"), entry.get("registered_name")
    if kind in CODE:
        name = config.get("name") if isinstance(config, dict) else None
        raise Refused(
            f"{path} cannot be opened safely: its layer {name or kind!r}, a layer of "
            f"kind {kind!r}, holds code. Build the network with layers such as "
            "Rescaling instead and save it again."
        )
    own = str(module).split(".")[0] == "keras"
    if kind == "function":
        kind, registered = config, None
        own |= any(hasattr(getattr(keras, home), str(kind)) for home in FUNCTIONS)
    else:  # `__typespec__` and the like are plain values
        own |= module is None or kind[:2] == kind[-2:] == "__"
    # Keras gives a name with ">" to what others register, and to nothing of its own.
    if not own or ">" in f"{kind}{registered}":
        raise Refused(
            f"{path} cannot be opened safely: it asks for {registered or kind!r}, "
            f"module {module!r}, which is not part of Keras. Build the network in "
            "Python, where that is defined, and load only the weights."
        )


def check_links(file: h5py.File, path: Path) -> None:
    """Raise `Refused` unless all that an HDF5 file names lies in the file itself."""

    def elsewhere(name, link):
        if not isinstance(link, h5py.HardLink):
            return name
        item = file[name]
        away = isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)
        return name if away else None

    if name := file.visititems_links(elsewhere):
        raise Refused(
            f"{path} cannot be opened safely: its part {name!r} lies in another "
            "place. Save the whole model, as .keras."
        )


# ---- Files of Keras 2 ----------------------------------------------------------------


def _open_old(file: h5py.File, path: Path) -> keras.Model:
    check_links(file, path)
    if "model_config" not in file.attrs or "model_weights" not in file:
        what = f"{path} holds no network structure: weights alone, or other data"
        raise Refused(f"{what}. Save the whole model, as .keras.")
    described = _checked_structure(file.attrs["model_config"], "model_config", path)
    model = keras.saving.deserialize_keras_object(_translated(described, path))
    if not model.built:
        raise Refused(f"{path} does not say what size of picture its network takes.")
    _read_weights(file["model_weights"], model, path)
    return model


def _translated(node, path: Path):
    """Say in the words of Keras 3 what Keras 2 wants built."""
    if isinstance(node, list):
        return [_translated(part, path) for part in node]
    kind = node.get("class_name") if isinstance(node, dict) else None
    if kind is None or kind == "function" or kind.startswith("__"):
        return node
    if kind == "TensorShape":
        return node["items"]
    config = node["config"]
    if kind.endswith("Policy"):
        return config["name"]
    name = CLASSES_NOW.get(kind, kind)
    homes = [
        h for h in CLASSES if isinstance(getattr(getattr(keras, h), name, 0), type)
    ]
    if not homes:
        what = f"{path} holds a layer of kind {kind!r}, which Keras 3 does not know"
        raise Refused(f"{what}. {NEWER}")
    if homes[0] == "models":
        config = _model_settings(kind, config, path)
    config = {
        SETTINGS_NOW.get((kind, key), key): _translated(value, path)
        for key, value in config.items()
        # Every weight comes from the file, so how it was drawn at first says nothing.
        if IDLE.get(key, ...) != value and not key.endswith("_initializer")
    }
    config.pop("batch_input_shape", None)  # that of an InputLayer has its new name
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        (config["axis"],) = config["axis"]
    whole = dict(class_name=name, module=f"keras.{homes[0]}", registered_name=None)
    place = {key: node[key] for key in ("name", "inbound_nodes") if key in node}
    return place | whole | {"config": config}


def _model_settings(kind: str, config: dict | list, path: Path) -> dict:
    """Bring the frame around the layers of a model into the form of Keras 3."""
    if isinstance(config, list):  # before Keras 2.2.3 it was the bare list
        config = {"layers": config}
    config, layers = {"name": kind.lower()} | config, config["layers"]
    if kind == "Sequential":
        shape = layers[0]["config"].get("batch_input_shape")
        return config | ({"build_input_shape": shape} if shape else {})
    if "input_layers" not in config:
        raise Refused(f"{path} holds a {kind} network without a graph. {NEWER}")
    for end in ("input_layers", "output_layers"):
        if len(config[end]) == 1:  # or the only one would stay a list
            (config[end],) = config[end]
    # The outputs of a nested model were counted from 1, after a call of its own.
    nested = [part["name"] for part in layers if "layers" in part["config"]]
    calls = [node for part in layers for node in part["inbound_nodes"]]
    for call in itertools.chain(*(node for node in calls if isinstance(node, list))):
        if call[0] in nested:
            call[1] = max(call[1] - 1, 0)
    return config


def _read_weights(stored: h5py.Group, model: keras.Model, path: Path) -> None:
    """Fill a network, or raise `Refused` unless each layer gets just what it needs."""
    names = {key: [*own.attrs.get("weight_names", ())] for key, own in stored.items()}
    for layer in model.layers:
        variables = layer.trainable_weights + layer.non_trainable_weights
        arrays = [stored[layer.name][name] for name in names.pop(layer.name, ())]
        wanted, found = ([tuple(a.shape) for a in own] for own in (variables, arrays))
        if wanted != found:
            raise Refused(
                f"{path} does not hold the weights of its layer {layer.name!r}: it "
                f"needs arrays of shapes {wanted}, and there are {found}. {AGAIN}"
            )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array[()])
    if left := ", ".join(key for key, own in names.items() if own):
        raise Refused(f"{path} holds weights of {left}, not in its structure. {AGAIN}")
