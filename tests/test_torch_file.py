"""Weights of PyTorch's old format: the tensors are read, and nothing else is run."""

import hashlib
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecam._models.opening import Refused
from scenecam._models.torch_file import read_tensors

MAGIC = 0x1950A86A20F9469CFC6C
NUMBERS = np.arange(6, dtype="<f4")


# ---- Such a file, put together operation by operation


def word(text):
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


def numbers(*values):
    return b"(" + b"".join(b"J" + v.to_bytes(4, "little") for v in values) + b"t"


def named(module, name):
    return f"c{module}\n{name}\n".encode()


ORDERED = named("collections", "OrderedDict") + b")R"
REBUILD = named("torch._utils", "_rebuild_tensor_v2")


def storage(kind="FloatStorage", module="torch", count=6, first="storage"):
    size = b"J" + count.to_bytes(4, "little")
    parts = word(first), named(module, kind), word("77"), word("cpu"), size, b"N"
    return b"(" + b"".join(parts) + b"tQ"


def tensor(stored=None, shape=(2, 3), strides=(1, 2), offset=0):
    first = b"J" + offset.to_bytes(4, "little")
    placed = first + numbers(*shape) + numbers(*strides)
    return REBUILD + b"(" + (stored or storage()) + placed + b"\x89" + ORDERED + b"tR"


def program(value, start=ORDERED):
    return b"\x80\x02" + start + b"(" + word("weight") + value + b"u."


def write(path, tensors, count=6):
    """Write a file whose one storage is called 77; give its path and checksum."""
    head = [MAGIC, 1001, {"little_endian": True}]
    pickles = [pickle.dumps(part, 2) for part in head]
    stored = count.to_bytes(8, "little") + NUMBERS.tobytes()
    keys = b"\x80\x02](" + word("77") + b"e."
    path.write_bytes(b"".join([*pickles, tensors, keys, stored]))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def refused(found, words):
    with pytest.raises(Refused, match=words) as caught:
        read_tensors(*found)
    assert "\n" not in str(caught.value) and found[0].name in str(caught.value)
    assert str(caught.value).endswith("Install its package again.")


# ---- What is read


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((2, 3), (3, 1), [[0, 1, 2], [3, 4, 5]]),
        ((2, 3), (1, 2), [[0, 2, 4], [1, 3, 5]]),
        ((6,), (1,), [0, 1, 2, 3, 4, 5]),
        ((6, 1, 1), (1, 99, 99), [[[0]], [[1]], [[2]], [[3]], [[4]], [[5]]]),
    ],
)
def test_tensors_are_read_in_any_order_of_their_axes(
    shape, strides, expected, tmp_path
):
    value = tensor(shape=shape, strides=strides)
    (name, found), *others = read_tensors(
        *write(tmp_path / "a", program(value))
    ).items()
    assert name == "weight" and not others and found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


# ---- What is refused


def test_another_checksum_is_refused_before_anything_is_read(tmp_path):
    path, checksum = write(tmp_path / "a.pth", program(tensor()))
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    refused((path, checksum), f"its SHA-256 is [0-9a-f]{{64}}, not {checksum}")


@pytest.mark.parametrize(
    ("module", "name"), [("posix", "system"), ("builtins", "eval"), ("os", "mkdir")]
)
def test_no_function_is_called(module, name, tmp_path):
    made = tmp_path / "made"
    says = {"system": f"mkdir {made}", "eval": f"__import__('os').mkdir({str(made)!r})"}
    call = named(module, name) + b"(" + word(says.get(name, str(made))) + b"tR"
    refused(write(tmp_path / "a.pth", program(call)), f"asks for {module}.{name}")
    assert not made.exists()


@pytest.mark.parametrize(
    ("code", "operation"),
    [
        (b"(iposix\nsystem\n", "INST"),
        (b"(" + named("collections", "OrderedDict") + b"o", "OBJ"),
        (named("collections", "OrderedDict") + b")\x81", "NEWOBJ"),
        (b"\x82\x01", "EXT1"),
        (b"P77\n", "PERSID"),
        (b"I1\n", "INT"),
        (b"C\x01a", "SHORT_BINBYTES"),
        (pickle.dumps(os.getcwd, 4)[2:-1], "STACK_GLOBAL"),
    ],
)
def test_no_other_operation_is_run(code, operation, tmp_path):
    refused(write(tmp_path / "a.pth", program(code)), f"pickle uses .*{operation}")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (tensor(storage("DoubleStorage")), "torch.DoubleStorage"),
        (tensor(storage("Linear", "torch.nn")), "torch.nn.Linear"),
        (
            named("torch._utils", "_rebuild_parameter"),
            "torch._utils._rebuild_parameter",
        ),
        (tensor(storage(first="module")), "the object .'module'"),
        (word("anything") + b"Q", "the object anything"),
        (tensor(shape=(2, 2)), r"\(2, 2\) does not fit"),
        (tensor(strides=(3, 2)), "out of bounds"),
        (tensor(offset=1), "does not fit"),
        (tensor(storage(count=5), shape=(5,), strides=(1,)), "another size"),
        (tensor(storage(count=2**31 - 1)), "another size"),
        (word("a"), "old format: .77"),
        (numbers(1, 2), "unpack"),
    ],
)
def test_nothing_else_is_built(value, words, tmp_path):
    refused(write(tmp_path / "a.pth", program(value)), words)


@pytest.mark.parametrize(
    "built", [b"K\x07.", ORDERED + b"}" + word("items") + b"K\x07sb.", b"]."]
)
def test_what_holds_no_tensors_is_refused(built, tmp_path):
    refused(write(tmp_path / "a.pth", b"\x80\x02" + built), "old format: ")


def test_a_file_cut_short_is_refused(tmp_path):
    whole = write(tmp_path / "a.pth", program(tensor()))[0].read_bytes()
    for length in range(0, len(whole), 9):
        cut = tmp_path / "cut.pth"
        cut.write_bytes(whole[:length])
        refused((cut, hashlib.sha256(whole[:length]).hexdigest()), "cut.pth cannot be")


@given(st.data())
def test_whatever_the_bytes_there_is_a_result_or_a_sentence(tmp_path_factory, data):
    path, _ = write(tmp_path_factory.getbasetemp() / "any.pth", program(tensor()))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
            st.integers(0, 255)
        )
    path.write_bytes(content)
    try:
        found = read_tensors(path, hashlib.sha256(content).hexdigest())
    except Refused:
        return
    assert all(isinstance(array, np.ndarray) for array in found.values())
