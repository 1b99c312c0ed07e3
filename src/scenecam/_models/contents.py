"""What lies in a ``.keras`` file, read before Keras opens it: whole, and no code."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

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


def check_contents(path: Path) -> None:
    """Raise unless a file is a whole Keras model made of Keras' own layers.

    Keras itself opens what asks for a class that the process has registered, and its
    words for the rest differ from version to version. Nothing is imported or built.

    Parameters
    ----------
    path : Path
        A ``.keras`` file.

    Raises
    ------
    ValueError
        If the file is cut short, damaged or of another kind, or its structure holds
        code or a class or function that is not part of Keras.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = set(archive.namelist())
            if not damaged and set(PARTS) <= names:
                structure = archive.read(STRUCTURE)
    except UNREADABLE as error:
        raise ValueError(
            f"{path} is not a whole .keras file: it is cut short, damaged or of "
            "another kind. Copy or download it again."
        ) from error
    if damaged or not set(PARTS) <= names:
        raise ValueError(
            f"{path} is not a whole Keras model: its part "
            f"{damaged or ' or '.join(PARTS)} is damaged or missing. "
            "Copy or download it again."
        )
    try:
        described = json.loads(structure)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a whole Keras model: its part {STRUCTURE} is no JSON. "
            "Copy or download it again."
        ) from error
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
        raise ValueError(
            f"{path} cannot be opened safely: its layer {name or kind!r} is a {kind}, "
            "which holds code. Build the network with layers such as Rescaling instead "
            "and save it again."
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
        raise ValueError(
            f"{path} cannot be opened safely: it asks for {registered or kind!r}, "
            f"module {module!r}, which is not part of Keras. Build the network in "
            "Python, where that is defined, and load only the weights."
        )


def _is_function(name, module) -> bool:
    if isinstance(module, str) and module.split(".")[0] == "keras":
        return True
    homes = (getattr(keras, home, None) for home in FUNCTIONS)
    return isinstance(name, str) and any(hasattr(home, name) for home in homes)
