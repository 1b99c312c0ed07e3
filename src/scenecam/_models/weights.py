"""Networks as files to trust: by a name or a path, with their card, written whole.

A network stands in ``NAME.keras``, and what is known about it in its card,
``NAME.json`` beside it. Those of ``data/weights`` are shipped and known by name. A
file that is damaged, holds code or is not the one that its card describes is refused
with one sentence.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from scenecam._data import whole
from scenecam._models import opening

WEIGHTS = Path(__file__).resolve().parents[3] / "data" / "weights"

# Bits of a float16's significand, the leading one counted.
FLOAT16_BITS = 11


# ---- Find and open -------------------------------------------------------------------


class Opened(NamedTuple):
    """A network and where it comes from: its file, that file's SHA-256, its card."""

    model: keras.Model
    path: Path
    sha256: str
    card: dict


def open_weights(
    weights: str | os.PathLike,
    *,
    class_names: Sequence[str] | None = None,
    input_size: int | tuple[int, int] | None = None,
) -> Opened:
    """Open a network, without running any code that its file may carry.

    A card beside the file is believed: the network must be the one it describes.

    Parameters
    ----------
    weights : str or path
        Name of shipped weights, such as ``"drawn-resnet"`` (the pictures they learned
        from and their builder); or a ``.keras`` file, or an ``.h5`` file of Keras 2.
    class_names : sequence of str, optional
        The classes that the network must tell apart, in the order of its outputs.
    input_size : int or (height, width), optional
        The pictures that it must take.

    Returns
    -------
    Opened
        Its card is empty where there is none.

    Raises
    ------
    FileNotFoundError
        If there are no such weights; the message lists those that are shipped.
    ValueError
        If the file is damaged, no Keras model, holds code or layers that are not part
        of Keras, or differs from its card (checksum, classes, size of the pictures) or
        from what is asked.
    """
    path = find_weights(weights)
    card, sha256 = read_card(path), sha256_of(path)
    if card.get("sha256", sha256) != sha256:
        raise ValueError(
            f"{path} is not the file that its card {card_path(path).name} describes "
            "(SHA-256 differs). Restore the two together, or delete the card if you "
            "trust the network."
        )
    model = opening.open_file(path)
    _check_card(path, model, card)
    _check_asked(path, model, card.get("class_names"), class_names, input_size)
    return Opened(model, path, sha256, card)


def load_model(
    path: str | os.PathLike,
    *,
    class_names: Sequence[str] | None = None,
    input_size: int | tuple[int, int] | None = None,
) -> keras.Model:
    """Open a saved network; everything as in `open_weights`, which says more of it."""
    return open_weights(path, class_names=class_names, input_size=input_size).model


def pretrained(name: str) -> keras.Model:
    """Open a network that the project ships, such as ``"drawn-resnet"``.

    Raises
    ------
    FileNotFoundError, ValueError
        As in `open_weights`.
    """
    return open_weights(name).model


def names() -> list[str]:
    """List the shipped networks, sorted."""
    return sorted(path.stem for path in WEIGHTS.glob("*.keras"))


def find_weights(weights: str | os.PathLike) -> Path:
    """Say which file is meant by the name of shipped weights, or by a path.

    Raises
    ------
    FileNotFoundError
        If there is none; the message names the nearest that is shipped.
    """
    if weights in (known := names()):
        return WEIGHTS / f"{weights}.keras"
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(weights).lower(), lower, n=1)
    raise FileNotFoundError(
        f"there are no weights {str(weights)!r}"
        f"{f' (did you mean {lower[near[0]]!r}?)' if near else ''}: there is no model "
        "file of this name, and models.pretrained knows none. Save one with "
        f"models.save_model, or take one that is available: "
        f"{', '.join(known) or 'none'}."
    )


# ---- Cards ---------------------------------------------------------------------------


def card_path(path: str | os.PathLike) -> Path:
    """Say where the card of a model file stands."""
    return Path(path).with_suffix(".json")


def read_card(weights: str | os.PathLike) -> dict:
    """Read what is known about a network: data, seed, time, scores, history.

    Parameters
    ----------
    weights : str or path
        As in `open_weights`.

    Returns
    -------
    dict
        Empty where there is no card.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    ValueError
        If what stands beside them is no JSON.
    """
    path = find_weights(weights)
    place = card_path(path)
    try:
        card = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{place}, the card of {path.name}, is damaged: it is no JSON. "
            "Restore it, or delete it if you trust the network."
        ) from error
    return card if isinstance(card, dict) else {}


def sha256_of(path: str | os.PathLike) -> str:
    """Give the SHA-256 of a file, as on its card."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _check_card(path: Path, model, card: dict) -> None:
    """Raise ValueError if the card tells of other classes or pictures."""
    remedy = f"Restore the card {card_path(path).name} that was saved with it."
    known, (sides, outputs) = card.get("class_names"), _ends(model)
    if isinstance(known, list) and not _fit(known, outputs):
        raise ValueError(
            f"{path} has {outputs} outputs, but its card names {len(known)} classes, "
            f"{len(set(map(str, known)))} of them different: {_listed(known)}. {remedy}"
        )
    shape = card.get("input_shape")
    if isinstance(shape, list) and not _matches(shape, sides):
        raise ValueError(
            f"{path} takes pictures of shape {sides}, but its card says "
            f"{tuple(shape)}. {remedy}"
        )


def _check_asked(path: Path, model, known, class_names, input_size) -> None:
    """Raise ValueError if the network is not for these classes and pictures."""
    sides, outputs = _ends(model)
    if class_names is not None:
        asked = list(class_names)
        if isinstance(known, list) and asked != known:
            raise ValueError(
                f"{path} tells apart {_listed(known)}, in this order; asked were "
                f"{_listed(asked)}. Ask for its own classes, or take another network."
            )
        if not _fit(asked, outputs):
            raise ValueError(
                f"{path} has {outputs} outputs; asked were {len(asked)} classes, "
                f"{len(set(asked))} of them different: {_listed(asked)}. Give one name "
                "for each output, in their order."
            )
    if input_size is not None:
        size = (input_size,) * 2 if np.ndim(input_size) == 0 else tuple(input_size)
        if not _matches(size, sides[:2]):
            raise ValueError(
                f"{path} takes pictures of {sides[0]} x {sides[1]} pixels; asked were "
                f"{' x '.join(map(str, size))}. Resize the pictures, or take another "
                "network."
            )


def _ends(model) -> tuple[tuple, int | None]:
    """Return the shape of the pictures and how many outputs there are."""
    return tuple(model.inputs[0].shape[1:]), model.outputs[0].shape[-1]


def _fit(class_names, outputs) -> bool:
    # A single output tells two classes apart.
    count, distinct = len(class_names), len(set(map(str, class_names)))
    return distinct == count and (count == outputs or (outputs, count) == (1, 2))


def _matches(shape, sides) -> bool:
    """Whether a shape is one that a network takes; None stands for any size."""
    return len(shape) == len(sides) and all(
        None in (one, other) or one == other
        for one, other in zip(shape, sides, strict=True)
    )


def _listed(class_names) -> str:
    more = f" and {len(class_names) - 20} more" if len(class_names) > 20 else ""
    return ", ".join(map(str, class_names[:20])) + more


# ---- Save ----------------------------------------------------------------------------


def save_model(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    card: dict | None = None,
    compact: bool = False,
) -> Path:
    """Write a network, without its optimizer, and a card that describes it.

    Each of the two appears whole or not at all; a stop between them leaves a network
    without a card, never with the card of another.

    Parameters
    ----------
    model : keras.Model
        Compiled or not.
    path : path that ends in ``.keras``
        Folders on the way to it are made.
    card : dict, optional
        What a reader of the weights should know (data, seed, scores, ...); written to
        the same name with ``.json``, with the file's ``sha256`` and ``bytes`` added.
        Without it, the card of a network that stood there before is deleted.
    compact : bool
        Round kernels to the 11 significant bits of float16, which makes the file
        two fifths smaller. They stay float32, in their full range, and
        Keras opens the file as any other. Normalisations and biases, which are few,
        are not rounded.

    Returns
    -------
    Path
        Where the network stands.

    Raises
    ------
    ValueError
        If `path` does not end in ``.keras``.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(
            f"a network is saved to a file that ends in .keras; received {path.name!r}."
        )
    with whole.whole_file(path) as partial:
        _without_optimizer(model, compact=compact).save(partial)
        partial.write_bytes(_packed(partial))
        if card is not None:
            card = dict(card, bytes=partial.stat().st_size, sha256=sha256_of(partial))
        text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
        card_path(path).unlink(missing_ok=True)
    if card is not None:
        whole.write_file(card_path(path), text.encode())
    return path


def _without_optimizer(model, *, compact):
    """Copy a network; the state of an optimizer is twice the size of the weights."""
    bare = type(model).from_config(model.get_config())
    weights = model.get_weights()
    bare.set_weights([_rounded(values) for values in weights] if compact else weights)
    return bare


def _rounded(values):
    if values.ndim < 2 or values.dtype != np.float32:
        return values
    # Unlike a cast to float16, this neither overflows nor loses small numbers.
    significand, exponent = np.frexp(values)
    significand = np.round(significand * 2**FLOAT16_BITS) / 2**FLOAT16_BITS
    return np.ldexp(significand, exponent).astype(values.dtype)


def _packed(path):
    """Return the bytes of a .keras file with its weights compressed."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(path) as archive,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out,
    ):
        for name in archive.namelist():
            content = archive.read(name)
            if name == opening.WEIGHTS:
                content = _packed_weights(content)
            # Without a time of day, the same network gives the same bytes.
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, content)
    return packed.getvalue()


def _packed_weights(content):
    """Compress the arrays of an HDF5 file; the first bytes of all numbers together."""
    packed = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(packed, "w") as new:
        new.attrs.update(old.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Group):
                place = new.create_group(name)
            else:
                tight = item.size > 64 and item.dtype.kind == "f"
                options = {"compression": 9, "shuffle": True} if tight else {}
                place = new.create_dataset(name, data=item[()], **options)
            place.attrs.update(item.attrs)

        old.visititems(copy)
    return packed.getvalue()
