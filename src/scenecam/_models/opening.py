"""What lies in a model file, read before Keras builds anything: whole, and no code.

A ``.keras`` file is checked and handed to Keras. In an ``.h5`` file of Keras 2 the
structure is checked by the same rules and said in the words of Keras 3; Keras builds
it, and the weights are then read layer by layer. Both are planned first, without
memory: a kilobyte can ask for a billion filters.
"""

import bz2
import copy
import io
import itertools
import json
import math
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from inspect import isclass, isfunction
from pathlib import Path

import h5py
import keras
import numpy as np

from scenecam._engine.anatomy import FOREIGN

# The parts of a .keras file without which there is no network; the first names it.
PARTS = ("config.json", "model.weights.h5")

# Where the functions are that a file names without a module, and the classes.
FUNCTIONS = ("activations", "initializers", "constraints", "regularizers", "ops")
CLASSES = ("models", "layers", "regularizers", "constraints")

# What a file may unpack to, for each byte that it has and beyond that, and the longest
# structure, in bytes. Weights shrink to half at best, structures to a fiftieth.
UNPACKED, SPARE, STRUCTURE = 100, 2**26, 2**24

# How the parts of a .keras file may be packed.
UNPACK = {
    zipfile.ZIP_DEFLATED: lambda: zlib.decompressobj(-zlib.MAX_WBITS),
    zipfile.ZIP_BZIP2: bz2.BZ2Decompressor,
}

# What Keras 2 called otherwise: classes, and settings of a class.
CLASSES_NOW = {"Functional": "Model", "BatchNormalizationV1": "BatchNormalization"}
SETTINGS_NOW = {
    ("InputLayer", "batch_input_shape"): "batch_shape",
    ("LeakyReLU", "alpha"): "negative_slope",
}

# Settings that Keras 2 wrote and Keras 3 may not know, where they change nothing.
IDLE = dict(groups=1, ragged=False, kernel_constraint=None, kernel_regularizer=None)
IDLE |= dict(trainable=True, time_major=False, rng_type="stateful", noise_shape=None)

AGAIN = "Copy or download it again."
WHOLE = "Save it whole with model.save: as .keras in Keras 3, as .h5 in Keras 2."
OTHERWISE = (
    "Build the network in Python with other layers of Keras 3, let its load_weights "
    "read this file, and save it as .keras."
)


class Refused(ValueError):
    """A file is not opened; the message says why in one sentence."""


def open_file(path: Path) -> keras.Model:
    """Open a ``.keras`` file, or an ``.h5`` file of Keras 2, uncompiled.

    Raises
    ------
    ValueError
        If the file is cut short, damaged or of another kind, or its structure holds
        code or a class or function that is not part of Keras, or its weights do not
        fit or are not finite.
    """
    kind = "HDF5" if path.suffix.lower() in (".h5", ".hdf5") else ".keras"
    try:
        if kind == "HDF5":
            with h5py.File(path) as file:
                model = _open_old(file, path)
        else:
            _check_archive(path)
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        _check_finite(model, path)
        return model
    except Refused:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        what = f"{path} is not a whole {kind} file: it is cut short"
        raise Refused(f"{what}, damaged or of another kind. {AGAIN}") from error
    except Exception as error:  # Keras raises many kinds for files it refuses
        said = str(error).rpartition("Exception encountered:")[-1].strip()[:300] or "?"
        raise Refused(
            f"{path} cannot be opened safely; it may hold layers that Keras does not "
            f"know, or weights that do not fit. Keras says: {said.splitlines()[0]}"
        ) from error


# ---- Whole, and no code --------------------------------------------------------------


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        _check_size(sum(part.file_size for part in archive.infolist()), path)
        parts = {part.filename: _unpacked(archive, part) for part in archive.infolist()}
    if missing := " or ".join(part for part in PARTS if part not in parts):
        what = f"{path} is not a whole Keras model: its part {missing} is missing"
        raise Refused(f"{what}. {AGAIN}")
    if b'"keras_version": "2.' in parts.get("metadata.json", b""):
        raise Refused(
            f"{path} is a .keras file of Keras 2, which Keras 3 reads only in part. "
            "Open it with the Keras that saved it and save it as .h5."
        )
    described = _checked_structure(parts[PARTS[0]], PARTS[0], path)
    with h5py.File(io.BytesIO(parts[PARTS[1]])) as file:
        held = _check_arrays(file, path)
    shapes = itertools.chain(*_planned(described, path).values())
    needed = sum(math.prod(shape) for shape in shapes)
    if needed > 2 * held + SPARE:  # much more; what is less, Keras refuses
        what = f"{path} does not hold the weights of its layers"
        raise Refused(f"{what}: they need {needed:,} numbers, of {held:,}. {AGAIN}")


def _check_size(unpacked: int, path: Path) -> None:
    if unpacked > UNPACKED * (size := path.stat().st_size) + SPARE:
        raise Refused(
            f"{path} cannot be opened safely: its {size:,} bytes would unpack to "
            f"{unpacked:,}. Save the network again with model.save of Keras."
        )


def _unpacked(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    """Read a part no further than it is declared to go: `zipfile` unpacks it all."""
    packed = copy.copy(part)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, part.compress_size
    packed.CRC = None
    content = archive.read(packed)
    if part.compress_type != zipfile.ZIP_STORED:
        content = UNPACK[part.compress_type]().decompress(content, part.file_size + 1)
    if len(content) != part.file_size or zlib.crc32(content) != part.CRC:
        raise zipfile.BadZipFile
    return content


def _checked_structure(text: str | bytes, part: str, path: Path, *, old: bool = False):
    """Parse a structure and look at all that it wants built.

    Keras itself opens what asks for a class that the process has registered, and its
    words for the rest differ from version to version.
    """
    what = f"{path} is not a whole Keras model: its part {part}"
    try:
        described = json.loads(text) if len(text) <= STRUCTURE else None
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"{what} is no JSON. {AGAIN}") from error
    if not isinstance(described, dict) or not {"class_name", "config"} <= {*described}:
        raise Refused(f"{what} describes no network. {AGAIN}")
    described.pop("compile_config", None)  # what trains a network is not built
    todo = [described]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if isinstance(node.get("class_name"), str):
                _check_object(node, path, old)
            for key in ("activation", "recurrent_activation"):
                if not isinstance(name := node.get(key), dict | None):
                    _check_object({"class_name": "function", "config": name}, path, old)
            todo += node.values()
            node.pop("compile_config", None)  # of a network inside, Keras reads it
        elif isinstance(node, list):
            todo += node
    return described


def _check_object(entry: dict, path: Path, old: bool) -> None:
    kind, config = entry["class_name"], entry.get("config")
    module, registered = entry.get("module"), entry.get("registered_name")
    if kind in (*FOREIGN, "__lambda__"):
        name = config.get("name") if isinstance(config, dict) else None
        raise Refused(
            f"{path} cannot be opened safely: its layer {name or kind!r}, a layer of "
            f"kind {kind!r}, holds code. Build the network with layers such as "
            "Rescaling instead and save it again."
        )
    own = str(module).split(".")[0] in (("keras", "tf_keras") if old else ("keras",))
    if kind == "function":
        kind, registered = config, None
        homes = (getattr(keras, home) for home in FUNCTIONS)
        found = (getattr(home, str(kind), None) for home in homes)
        own |= module in (None, "builtins")
        own &= any(map(isfunction, found))
        if old and kind == "hard_sigmoid":
            what = f"{path} asks for {kind!r}, which Keras 3 computes otherwise"
            raise Refused(f"{what}. {OTHERWISE}")
    else:  # `__typespec__` and the like are plain values
        own |= module is None or kind[:2] == kind[-2:] == "__"
    # Keras gives a name with ">" to what others register, and to nothing of its own.
    if not own or ">" in f"{kind}{registered}":
        raise Refused(
            f"{path} cannot be opened safely: it asks for {registered or kind!r}, "
            f"module {module!r}, which is not part of Keras. Build the network in "
            "Python, where that is defined, and load only the weights."
        )


def _check_arrays(file: h5py.File, path: Path) -> int:
    """Raise `Refused` unless all arrays lie in the file itself; count their numbers."""
    arrays = []

    def elsewhere(name, link):
        if not isinstance(link, h5py.HardLink):
            return name
        item = file[name]
        if isinstance(item, h5py.Dataset):
            arrays.append(item)
            return name if item.external or item.is_virtual else None

    if name := file.visititems_links(elsewhere):
        raise Refused(
            f"{path} cannot be opened safely: its part {name!r} lies in another "
            f"place. {WHOLE}"
        )
    unpacked = held = 0
    for item in arrays:  # to read one number, its whole chunk is unpacked
        count, chunk = item.size or 0, math.prod(item.chunks or (0,))
        unpacked += item.dtype.itemsize * max(count, chunk)
        held += count
    _check_size(unpacked, path)
    return held


def _planned(described: dict, path: Path) -> dict[str, list[tuple[int, ...]]]:
    """Say which shapes the weights of each layer have, without memory for them."""

    def plan():
        # Leaving the scope would give the variables memory. It ends with the thread.
        keras.StatelessScope().__enter__()
        model = keras.saving.deserialize_keras_object(copy.deepcopy(described))
        if not (isinstance(model, keras.Model) and model.built):
            raise Refused(
                f"{path} does not say what size of picture its network takes. Say it "
                "with model.build((None, height, width, 3)) and save the network again."
            )
        return {
            layer.name: [tuple(weight.shape) for weight in _weights_of(layer)]
            for layer in model.layers
        }

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(plan).result()


def _weights_of(layer: keras.Layer) -> list[keras.Variable]:
    return layer.trainable_weights + layer.non_trainable_weights


def _check_finite(model: keras.Model, path: Path) -> None:
    for layer in model.layers:
        for weight in layer.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
                raise Refused(
                    f"{path} holds NaN or infinity among the weights of its layer "
                    f"{layer.name!r} ({weight.path}), so its answers mean nothing. "
                    "Take weights saved earlier, or train with a smaller learning rate."
                )


# ---- Files of Keras 2 ----------------------------------------------------------------


def _open_old(file: h5py.File, path: Path) -> keras.Model:
    _check_arrays(file, path)
    if "model_config" not in file.attrs or "model_weights" not in file:
        what = f"{path} holds no network structure: weights alone, or other data"
        raise Refused(f"{what}. {WHOLE}")
    old = not str(file.attrs.get("keras_version")).strip("b'").startswith("3")
    part = "model_config"
    described = _checked_structure(file.attrs[part], part, path, old=old)
    try:
        described = _translated(described, path)
        part = "model_weights"
        arrays = {name: _arrays_of(group) for name, group in file[part].items()}
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        what = f"{path} is not a whole Keras model: its part {part} is damaged"
        raise Refused(f"{what}. {AGAIN}") from error
    _check_weights(arrays, _planned(described, path), path)
    model = keras.saving.deserialize_keras_object(described)
    for layer in model.layers:
        stored = arrays.get(layer.name, ())
        for variable, array in zip(_weights_of(layer), stored, strict=True):
            variable.assign(array[()])
    todo = [model]
    for layer in todo:  # of those inside, too: it computes with copies of its weights
        todo += getattr(layer, "layers", ())
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
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
    homes = [h for h in CLASSES if isclass(getattr(getattr(keras, h), name, None))]
    if not homes:
        what = f"{path} holds a layer of kind {kind!r}, which Keras 3 does not know"
        raise Refused(f"{what}. {OTHERWISE}")
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
        raise Refused(f"{path} holds a {kind} network without a graph. {OTHERWISE}")
    for end in ("input_layers", "output_layers"):
        if len(config[end]) == 1:  # or the only one would stay a list
            (config[end],) = config[end]
    # The outputs of a nested model were counted from 1, after a call of its own.
    nested = {part["name"]: "layers" in part["config"] for part in layers}
    calls = [node for part in layers for node in part["inbound_nodes"]]
    for call in itertools.chain(*(node for node in calls if isinstance(node, list))):
        if isinstance(call, list) and nested.get(call[0]):
            call[1] = max(call[1] - 1, 0)
    return config


def _arrays_of(group: h5py.Group) -> list[h5py.Dataset | None]:
    """Find what a layer stored; a list of names that is too long is in parts."""
    parts = [part for part in group.attrs if part.startswith("weight_names")]
    parts.sort(key=lambda part: (len(part), part))
    return [group.get(name) for part in parts for name in group.attrs[part]]


def _shape_of(array) -> tuple[int, ...] | str:
    numbers = isinstance(array, h5py.Dataset) and array.dtype.kind in "fiub"
    return array.shape if numbers else "no numbers"


def _check_weights(arrays: dict, planned: dict, path: Path) -> None:
    """Raise `Refused` unless each layer gets just what it needs."""
    for name, wanted in planned.items():
        found = [_shape_of(array) for array in arrays.get(name, ())]
        if wanted != found:
            raise Refused(
                f"{path} does not hold the weights of its layer {name!r}: it needs "
                f"arrays of shapes {wanted}, and there are {found}. {AGAIN}"
            )
    if left := ", ".join(n for n, own in arrays.items() if own and n not in planned):
        raise Refused(f"{path} holds weights of {left}, not in its structure. {AGAIN}")
