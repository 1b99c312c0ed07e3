"""What a weights file of PyTorch's old format holds, read without PyTorch and its code.

The file is five pickles (magic number, version, machine, tensors by name, keys of their
storages), then the storages: each a count in eight bytes, and the numbers. A pickle is
a program: it is run only if the file has the expected checksum and the program uses
nothing but `OPERATIONS` and `KNOWN`.
"""

import hashlib
import io
import math
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path

import numpy as np

from scenecam._models.opening import Refused

# What makes plain values; the last four ask for more, and get what is `KNOWN`.
OPERATIONS = set(
    """PROTO STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINUNICODE
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 EMPTY_LIST APPENDS EMPTY_DICT SETITEM SETITEMS
    BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL REDUCE BUILD BINPERSID""".split()
)
KNOWN = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": lambda *parts: parts,
    "torch.FloatStorage": "<f4",
    "torch.LongStorage": "<i8",
}


class _Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (asked := f"{module}.{name}") not in KNOWN:
            raise ValueError(f"it asks for {asked}")
        return KNOWN[asked]

    def persistent_load(self, asked):
        match asked:
            case ("storage", "<f4" | "<i8" as kind, str(key), "cpu", int(count), None):
                return key, np.dtype(kind), count
        raise ValueError(f"it asks for the object {str(asked)[:80]}")


def read_tensors(path: Path, checksum: str) -> dict[str, np.ndarray]:
    """Return a file's tensors by name; `Refused` if its SHA-256 is not `checksum`."""
    content = path.read_bytes()
    try:
        if (found := hashlib.sha256(content).hexdigest()) != checksum:
            raise ValueError(f"its SHA-256 is {found}, not {checksum}")
        stream = io.BytesIO(content)
        *_, tensors, keys = (_unpickled(stream) for _ in range(5))
        plan = {key: rest for (key, *rest), *_ in tensors.values()}
        stored = {key: _stored(stream, *plan[key]) for key in keys}
        return {name: _placed(stored[t[0][0]], *t[1:]) for name, t in tensors.items()}
    except Exception as error:  # what a strange pickle raises may be of any kind
        what = f"{path} cannot be opened safely as weights of PyTorch's old format"
        raise Refused(f"{what}: {error!s:.300}. Install its package again.") from error


def _unpickled(stream: io.BytesIO):
    start = stream.tell()
    used = {operation.name for operation, *_ in pickletools.genops(stream)}
    if strange := ", ".join(sorted(used - OPERATIONS)):
        raise ValueError(f"its pickle uses {strange}")
    stream.seek(start)
    return _Reader(stream).load()


def _stored(stream: io.BytesIO, kind: np.dtype, count: int) -> np.ndarray:
    if int.from_bytes(stream.read(8), "little") != count:
        raise ValueError("a storage has another size than its tensor")
    return np.frombuffer(stream.read(count * kind.itemsize), kind)


def _placed(flat: np.ndarray, offset: int, shape, strides, *_) -> np.ndarray:
    """Give numbers their shape; PyTorch may have stored the axes in another order."""
    if offset or math.prod(shape) != len(flat):
        raise ValueError(f"a tensor of shape {shape} does not fit its storage")
    return flat[np.tensordot(np.array(strides, int), np.indices(shape), 1)]
