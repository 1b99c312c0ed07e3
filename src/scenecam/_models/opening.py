"""What lies in a model file, read before Keras builds anything: whole, and no code.

A ``.keras`` file is checked and handed to Keras. In an ``.h5`` file of Keras 2 the
structure is said in the words of Keras 3 and checked by the same rules; Keras builds
it, and the weights are then read layer by layer. Nothing is imported or run.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras

# The parts of a .keras file without which there is no network.
STRUCTURE, WEIGHTS = PARTS = ("config.json", "model.weights.h5")

# What zipfile raises for files that it cannot read, encrypted ones among them.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)

# Layers and functions that carry code, or run what lies in other files.
CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer")

# Where the functions are that a file names without a module.
FUNCTIONS = ("activations", "initializers", "constraints", "regularizers", "ops")

# Where the classes are that Keras 2 names without a module.
CLASSES = ("layers", "regularizers", "constraints")

# Models that hold layers in Keras 2, and what they are now.
MODELS = {"Sequential": "Sequential", "Functional": "Model", "Model": "Model"}

# Settings that Keras 2 wrote and Keras 3 lacks, with the value that says nothing.
SILENT = {
    "groups": 1,  # of layers that never had groups
    "kernel_constraint": None,
    "kernel_regularizer": None,
    "ragged": False,
}

# Settings that Keras 3 calls otherwise.
RENAMED = {
    ("InputLayer", "batch_input_shape"): "batch_shape",
    ("LeakyReLU", "alpha"): "negative_slope",
}

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
    try:
        if path.suffix in (".h5", ".hdf5"):
            return _open_old(path)
        check_contents(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Refused:
        raise
    except Exception as error:  # Keras raises many kinds for files it refuses
        said = str(error).rpartition("Exception encountered:")[-1].strip()
        reason = (said or "?").splitlines()[0]
        raise Refused(
            f"{path} cannot be opened safely; it may hold layers that Keras does not "
            f"know, or weights that do not fit. Keras says: {reason}"
        ) from error


# ---- Files of Keras 3 ----------------------------------------------------------------


def check_contents(path: Path) -> None:
    """Raise `Refused` unless a file is a whole Keras model of Keras' own layers.

    Keras itself opens what asks for a class that the process has registered, and its
    words for the rest differ from version to version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = set(archive.namelist())
            if not damaged and set(PARTS) <= names:
                structure = archive.read(STRUCTURE)
    except UNREADABLE as error:
        raise Refused(
            f"{path} is not a whole .keras file: it is cut short, damaged or of "
            f"another kind. {AGAIN}"
        ) from error
    if damaged or not set(PARTS) <= names:
        raise Refused(
            f"{path} is not a whole Keras model: its part "
            f"{damaged or ' or '.join(PARTS)} is damaged or missing. {AGAIN}"
        )
    _check_structure(_parsed(structure, STRUCTURE, path), path)


def _parsed(text, part, path: Path):
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"{path} is not a whole Keras model: its part {part} is no JSON. {AGAIN}"
        ) from error


def _check_structure(described, path: Path) -> None:
    for entry in _objects(described):
        _check_object(entry, path)


def _objects(described) -> Iterator[dict]:
    """Iterate over all that a structure wants built; what trains it is not built."""
    todo = [described]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if isinstance(node.get("class_name"), str):
                yield node
            todo += [v for key, v in node.items() if key != "compile_config"]
        elif isinstance(node, list):
            todo += node


def _check_object(entry: dict, path: Path) -> None:
    kind, module = entry["class_name"], entry.get("module")
    registered = entry.get("registered_name")
    config = entry.get("config")
    if kind in CODE:
        name = config.get("name") if isinstance(config, dict) else None
        raise Refused(
            f"{path} cannot be opened safely: its layer {name or kind!r}, a layer of "
            f"kind {kind!r}, holds code. Build the network with layers such as "
            "Rescaling instead and save it again."
        )
    if kind == "function":
        kind, registered, own = config, None, _is_function(config, module)
    else:
        own = module is None or str(module).split(".")[0] == "keras"
    # Keras gives a name with ">" to what others register, and to nothing of its own;
    # `__typespec__` and the like are plain values.
    named = isinstance(registered, str) and ">" in registered
    plain = isinstance(kind, str) and kind.startswith("__") and kind.endswith("__")
    if (named or not own) and not plain:
        raise Refused(
            f"{path} cannot be opened safely: it asks for {registered or kind!r}, "
            f"module {module!r}, which is not part of Keras. Build the network in "
            "Python, where that is defined, and load only the weights."
        )


def _is_function(name, module) -> bool:
    if isinstance(module, str) and module.split(".")[0] == "keras":
        return True
    homes = (getattr(keras, home, None) for home in FUNCTIONS)
    return isinstance(name, str) and any(hasattr(home, name) for home in homes)


# ---- Files of Keras 2 ----------------------------------------------------------------


def _open_old(path: Path) -> keras.Model:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise Refused(
            f"{path} is not a whole HDF5 file: it is cut short or of another kind. "
            f"{AGAIN}"
        ) from error
    with file:
        check_links(file, path)
        if "model_config" not in file.attrs or "model_weights" not in file:
            raise Refused(
                f"{path} holds no network structure: weights alone, or other "
                "data. Save the whole model, as .keras."
            )
        described = _parsed(file.attrs["model_config"], "model_config", path)
        _check_structure(described, path)
        model = keras.saving.deserialize_keras_object(_translated(described, path))
        if not model.built:
            raise Refused(
                f"{path} does not say what size of picture its network takes."
            )
        _read_weights(file["model_weights"], model, path)
    return model


def check_links(file: h5py.File, path: Path) -> None:
    """Raise `Refused` unless all that an HDF5 file holds lies in the file itself."""
    todo, seen = [file], set()
    while todo:
        group = todo.pop()
        for name in group:
            link = group.get(name, getlink=True)
            item = group[name] if isinstance(link, h5py.HardLink) else None
            stored = isinstance(item, h5py.Dataset)
            if item is None or stored and (item.external or item.is_virtual):
                raise Refused(
                    f"{path} cannot be opened safely: its part {name!r} lies in "
                    "another place. Save the whole model, as .keras."
                )
            if not stored and item not in seen:
                seen.add(item)
                todo.append(item)


def _translated(node, path: Path):
    """Say in the words of Keras 3 what Keras 2 wants built."""
    if isinstance(node, list):
        return [_translated(part, path) for part in node]
    if not isinstance(node, dict) or "class_name" not in node:
        return node
    kind, config = node["class_name"], node.get("config")
    if kind == "function" or kind.startswith("__"):
        return node
    if kind == "TensorShape":
        return node["items"]
    if kind.endswith("Policy"):
        return config["name"]
    homes = [home for home in CLASSES if _holds(home, kind)]
    if not homes and kind not in MODELS:
        raise Refused(
            f"{path} holds a layer of kind {kind!r}, which Keras 3 does not know. "
            f"{NEWER}"
        )
    if kind in MODELS:
        config = _model_settings(kind, config, path)
    config = {
        RENAMED.get((kind, key), key): _translated(value, path)
        for key, value in config.items()
        # Every weight comes from the file, so how it was drawn says nothing.
        if SILENT.get(key, ...) != value and not key.endswith("_initializer")
    }
    config.pop("batch_input_shape", None)  # that of an InputLayer is renamed
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        (config["axis"],) = config["axis"]
    place = {key: node[key] for key in ("name", "inbound_nodes") if key in node}
    return place | {
        "module": f"keras.{homes[0]}" if homes else "keras",
        "class_name": MODELS.get(kind, kind),
        "config": config,
        "registered_name": None,
    }


def _holds(home: str, kind: str) -> bool:
    return isinstance(getattr(getattr(keras, home), kind, None), type)


def _model_settings(kind: str, config: dict | list, path: Path) -> dict:
    """Return the settings of a model with its layers called as Keras 3 does."""
    if isinstance(config, list):  # before Keras 2.2.3 it was the bare list
        config = {"layers": config}
    config, layers = {"name": kind.lower()} | config, config["layers"]
    if kind == "Sequential":
        shape = layers[0]["config"].get("batch_input_shape")
        return config | ({"build_input_shape": shape} if shape else {})
    if "input_layers" not in config:
        raise Refused(
            f"{path} holds a {kind} network that is no graph of layers. {NEWER}"
        )
    # A list of one would stay a list, as a model's only input or output.
    ends = {end: config[end] for end in ("input_layers", "output_layers")}
    ends = {end: named[0] if len(named) == 1 else named for end, named in ends.items()}
    # The outputs of a nested model were counted from 1, after a call of its own.
    nested = {layer["name"] for layer in layers if layer["class_name"] in MODELS}
    nodes = [node for layer in layers for node in layer["inbound_nodes"]]
    for call in (call for node in nodes if isinstance(node, list) for call in node):
        if call[0] in nested:
            call[1] = max(call[1] - 1, 0)
    return config | ends


def _read_weights(stored: h5py.Group, model: keras.Model, path: Path) -> None:
    """Fill a network layer by layer; raise `Refused` unless each gets what it needs."""
    names = {layer: _weight_names(group) for layer, group in stored.items()}
    for layer in model.layers:
        variables = layer.trainable_weights + layer.non_trainable_weights
        arrays = [stored[layer.name][name] for name in names.pop(layer.name, [])]
        wanted, found = (
            [tuple(a.shape) for a in group] for group in (variables, arrays)
        )
        if found != wanted:
            raise Refused(
                f"{path} does not hold the weights of its layer {layer.name!r}: it "
                f"needs arrays of shapes {wanted}, and there are {found}. {AGAIN}"
            )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array[()])
    if left := [layer for layer, own in names.items() if own]:
        raise Refused(
            f"{path} holds weights of {', '.join(left)}, which its structure lacks. "
            f"{AGAIN}"
        )


def _weight_names(group: h5py.Group) -> list[str]:
    """Read a list that Keras cuts into pieces where it is too long for HDF5."""
    keys = sorted((k for k in group.attrs if k.startswith("weight_names")), key=len)
    names = [name for key in keys for name in group.attrs[key]]
    return [name.decode() if isinstance(name, bytes) else name for name in names]
