"""Model files as things to trust: written whole, and opened without running code.

A network stands in ``NAME.keras``, and what is known about it in its card,
``NAME.json`` beside it. A file that is damaged, holds code or is not the one that its
card describes is refused with one sentence.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import keras
import numpy as np

from scenecam._models import contents, legacy

# Bits of a float16's significand, the leading one counted.
FLOAT16_BITS = 11


# ---- Save ----------------------------------------------------------------------------


def save_model(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    card: dict | None = None,
    compact: bool = False,
) -> Path:
    """Write a network, without its optimizer, and a card that describes it.

    The file appears whole or not at all: it is written beside its place and moved. So
    is the card; a stop between the two moves leaves a network without a card, never
    with the card of another.

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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial.{path.name}")
    partial_card = path.with_name(f".partial.{path.stem}.json")
    try:
        _without_optimizer(model, compact=compact).save(partial)
        partial.write_bytes(_packed(partial))
        if card is not None:
            card = dict(card, bytes=partial.stat().st_size, sha256=sha256_of(partial))
            text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
            partial_card.write_text(text, encoding="utf-8")
        path.with_suffix(".json").unlink(missing_ok=True)
        os.replace(partial, path)
        if card is not None:
            os.replace(partial_card, path.with_suffix(".json"))
    finally:
        partial.unlink(missing_ok=True)
        partial_card.unlink(missing_ok=True)
    return path


def _without_optimizer(model, *, compact):
    """Copy a network; the state of an optimizer is twice the size of the weights."""
    bare = type(model).from_config(model.get_config())
    weights = model.get_weights()
    if compact:
        weights = [_rounded(values) for values in weights]
    bare.set_weights(weights)
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
            if name == contents.WEIGHTS:
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


# ---- Load ----------------------------------------------------------------------------


def load_model(
    path: str | os.PathLike,
    *,
    class_names: Sequence[str] | None = None,
    input_size: int | tuple[int, int] | None = None,
) -> keras.Model:
    """Open a saved network, without running any code that the file may carry.

    A card beside the file is believed: the network must be the one it describes.

    Parameters
    ----------
    path : path of a ``.keras`` file, or of an ``.h5`` file of Keras 2
        Of the old files, Sequential networks of ordinary layers are rebuilt.
    class_names : sequence of str, optional
        The classes that the network must tell apart, in the order of its outputs.
    input_size : int or (height, width), optional
        The pictures that it must take.

    Returns
    -------
    keras.Model

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, no Keras model, holds code or layers that are not part
        of Keras, or differs from its card (checksum, classes, size of the pictures) or
        from what is asked.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no model file {path}. Train and save one with "
            "models.save_model, or take a shipped one with models.pretrained."
        )
    old = path.suffix in (".h5", ".hdf5")
    if not old:
        contents.check_contents(path)
    card = read_card(path)
    if "sha256" in card and card["sha256"] != sha256_of(path):
        raise ValueError(
            f"{path} is not the file that its card {card_path(path).name} describes "
            "(SHA-256 differs). Restore the two together, or delete the card if you "
            "trust the network."
        )
    model = legacy.load_h5(path) if old else _open(path)
    _check_card(path, model, card)
    _check_asked(path, model, card.get("class_names"), class_names, input_size)
    return model


def _open(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for files it refuses
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "?"
        raise ValueError(
            f"{path} cannot be opened safely; it may hold layers that Keras does not "
            f"know, or weights that do not fit. Keras says: {reason}"
        ) from error


def card_path(path: str | os.PathLike) -> Path:
    """Say where the card of a model file stands."""
    return Path(path).with_suffix(".json")


def read_card(path: str | os.PathLike) -> dict:
    """Read the card beside a model file; an empty one where there is none.

    Raises
    ------
    ValueError
        If what stands there is no JSON.
    """
    place = card_path(path)
    try:
        card = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{place}, the card of {Path(path).name}, is damaged: it is no JSON. "
            "Restore it, or delete it if you trust the network."
        ) from error
    return card if isinstance(card, dict) else {}


def sha256_of(path: str | os.PathLike) -> str:
    """Give the SHA-256 of a file, as on its card."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _check_card(path: Path, model, card: dict) -> None:
    """Raise ValueError if the card tells of other classes or pictures."""
    remedy = f"Restore the card {card_path(path).name} that was saved with it."
    names, (sides, outputs) = card.get("class_names"), _ends(model)
    if isinstance(names, list) and not _fit(names, outputs):
        raise ValueError(
            f"{path} has {outputs} outputs, but its card names {len(names)} classes, "
            f"{len(set(map(str, names)))} of them different: {_listed(names)}. {remedy}"
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


def _fit(names, outputs) -> bool:
    # A single output tells two classes apart.
    distinct = len(set(map(str, names))) == len(names)
    return distinct and (len(names) == outputs or (outputs, len(names)) == (1, 2))


def _matches(shape, sides) -> bool:
    """Whether a shape is one that a network takes; None stands for any size."""
    return len(shape) == len(sides) and all(
        None in (one, other) or one == other
        for one, other in zip(shape, sides, strict=True)
    )


def _listed(names) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(map(str, names[:20])) + more
