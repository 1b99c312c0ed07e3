"""Networks as files to trust: by a name or a path, with their card, written whole.

A network stands in ``NAME.keras``, and what is known about it in its card,
``NAME.json`` beside it. Those of ``data/weights`` are shipped and known by name. A
file that is damaged, holds code or is not the one that its card describes is refused
with one sentence.
"""

import difflib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from scenecam._data import whole
from scenecam._engine.asked import fits
from scenecam._models import opening

WEIGHTS = Path(__file__).resolve().parents[3] / "data" / "weights"

Place = str | os.PathLike
Names = Sequence[str]
Size = int | tuple[int, int]

# How the names of model files end.
ENDINGS = (".keras", ".h5", ".hdf5")

# Bits of a float16's significand, the leading one counted.
FLOAT16_BITS = 11


# ---- Find and open -------------------------------------------------------------------


class Opened(NamedTuple):
    """A network, its file, the file's SHA-256, and its card, empty if it has none."""

    model: keras.Model
    path: Path
    sha256: str
    card: dict


def open_weights(
    weights: Place, *, class_names: Names | None = None, input_size: Size | None = None
) -> Opened:
    """Open a network and tell which; the card beside its file must describe it.

    Parameters
    ----------
    weights : str or path
        Name of shipped weights, such as ``"drawn-resnet"`` (the pictures they learned
        from and their builder); or a ``.keras`` file, or an ``.h5`` file of Keras 2.
    class_names : sequence of str, optional
        The classes that the network must tell apart, in the order of its outputs.
    input_size : int or (height, width), optional
        The pictures that it must take.

    Raises
    ------
    FileNotFoundError
        If there are no such weights; the message lists those that are shipped.
    ValueError
        If the file is a folder, damaged or no Keras model, holds code, layers that are
        not part of Keras, NaN or infinity, or differs from its card (checksum, classes,
        size of the pictures) or from what is asked.
    """
    path = find_weights(weights)
    card, sha256 = read_card(path), sha256_of(path)
    # Those that are shipped are known by their card; it may not be missing.
    shipped = path.parent == WEIGHTS
    if card.get("sha256", None if shipped else sha256) != sha256:
        remedy = "" if shipped else ", or delete the card if you trust the network"
        raise ValueError(
            f"{path} is not the file that its card {card_path(path).name} describes "
            f"(SHA-256 differs). Restore the two together{remedy}."
        )
    model = opening.open_file(path)
    _check(path, model, card, class_names, input_size)
    return Opened(model, path, sha256, card)


def load_model(
    path: Place, *, class_names: Names | None = None, input_size: Size | None = None
) -> keras.Model:
    """Open a saved network, without running any code that its file may carry.

    Parameters, card and errors as in `open_weights`, which also says what was opened.
    """
    return open_weights(path, class_names=class_names, input_size=input_size).model


def pretrained(name: str) -> keras.Model:
    """Open a network that the project ships, by its name; errors as `open_weights`."""
    return open_weights(name).model


def names() -> list[str]:
    """List the shipped networks, sorted."""
    return sorted(path.stem for path in WEIGHTS.glob("*.keras"))


def find_weights(weights: Place) -> Path:
    """Say which file is meant by the name of shipped weights, or by a path.

    Raises FileNotFoundError if there is none, and names the nearest that is shipped;
    ValueError if it is a folder.
    """
    if weights in (known := names()):
        return WEIGHTS / f"{weights}.keras"
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise ValueError(_folder(path))
    word = str(weights)
    raise FileNotFoundError(
        f"there are no weights {word!r}{nearest(word, known)}: no model file of this "
        "name, and none that models.pretrained knows. Save one with models.save_model, "
        f"or take one that is available: {', '.join(known) or 'none'}."
    )


def _folder(path: Path) -> str:
    """Say what a folder is that was given for a file, and what to do."""
    if (path / "keras_metadata.pb").is_file():
        what = f"{path} is a SavedModel folder of Keras 2; expected a file. Make one in"
        return f"{what} Keras 2 or tf_keras: load_model({str(path)!r}).save('net.h5')."
    if [*path.glob("saved_model.pb"), *path.glob("[0-9]*/saved_model.pb")]:
        return (
            f"{path} is a SavedModel folder: a program for a server, without the "
            "network's layers. Take the .keras file that it was exported from, or save "
            "one where it was made: model.save('net.keras')."
        )
    files = sorted(file.name for file in path.iterdir() if file.suffix in ENDINGS)
    what = f"{path} is a folder; expected a .keras file, or an .h5 file of Keras 2"
    return f"{what}. Name one; in this folder are: {listed(files) or 'none'}."


# ---- Cards ---------------------------------------------------------------------------


def card_path(path: Place) -> Path:
    """Say where the card of a model file stands."""
    return Path(path).with_suffix(".json")


def read_card(weights: Place) -> dict:
    """Read what is known about a network: data, seed, time, scores, history.

    The network is named as in `open_weights`; without a card the answer is empty.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no such weights, or what stands beside them is no JSON.
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


def sha256_of(path: Place) -> str:
    """Give the SHA-256 of a file, as on its card."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _check(path: Path, model, card: dict, class_names, input_size) -> None:
    """Raise ValueError if the network is not its card's, or not what is asked."""
    sides, outputs = tuple(model.inputs[0].shape[1:]), model.outputs[0].shape[-1]
    remedy = f"Restore the card {card_path(path).name} that was saved with it."
    known, shape = card.get("class_names"), card.get("input_shape")
    asked = None if class_names is None else list(class_names)
    for names, words, then in (
        (known, ", but its card names", remedy),
        (asked, "; asked were", "Give one name for each output, in their order."),
    ):
        if isinstance(names, list):
            count, different = len(names), len(set(map(str, names)))
            # A single output tells two classes apart.
            if different < count or (count != outputs and (count, outputs) != (2, 1)):
                raise ValueError(
                    f"{path} has {outputs} outputs{words} {count} classes, {different} "
                    f"of them different: {listed(names)}. {then}"
                )
    if isinstance(known, list) and asked not in (None, known):
        raise ValueError(
            f"{path} tells apart {listed(known)}, in this order; asked were "
            f"{listed(asked)}. Ask for its own classes, or take another network."
        )
    if isinstance(shape, list) and not fits(shape, sides):
        what = f"{path} takes pictures of shape {sides}"
        raise ValueError(f"{what}, but its card says {tuple(shape)}. {remedy}")
    size = (input_size,) * 2 if np.ndim(input_size) == 0 else tuple(input_size)
    if input_size is not None and not fits(size, sides[:2]):
        raise ValueError(
            f"{path} takes pictures of {sides[0]} x {sides[1]} pixels; asked were "
            f"{' x '.join(map(str, size))}. Resize them, or take another network."
        )


def nearest(wanted: str, known: Names) -> str:
    """Half a sentence that names the nearest of the known words, if one is near."""
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wanted.lower(), lower, n=1)
    return f" (did you mean {lower[near[0]]!r}?)" if near else ""


def listed(names: Names) -> str:
    """The names as a message lists them: twenty, and how many more."""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(map(str, names[:20])) + more


# ---- Save ----------------------------------------------------------------------------


def save_model(
    model: keras.Model, path: Place, *, card: dict | None = None, compact: bool = False
) -> Path:
    """Write a network, without its optimizer, and its card; return the path.

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
        two fifths smaller. They stay float32, in their full range; normalisations and
        biases, which are few, are not rounded.

    Raises
    ------
    ValueError
        If `path` does not end in ``.keras``.
    """
    path = Path(path)
    if path.suffix != ".keras":
        what = "a network is saved to a file that ends in .keras"
        raise ValueError(f"{what}; received {path.name!r}.")
    # A copy without the optimizer, whose state is twice the size of the weights.
    bare, weights = type(model).from_config(model.get_config()), model.get_weights()
    bare.set_weights([_rounded(values) for values in weights] if compact else weights)
    with whole.whole_file(path) as partial:
        bare.save(partial)
        partial.write_bytes(_packed(partial))
        if card is not None:
            card = dict(card, bytes=partial.stat().st_size, sha256=sha256_of(partial))
        text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
        card_path(path).unlink(missing_ok=True)
    if card is not None:
        whole.write_file(card_path(path), text.encode())
    return path


def _rounded(values):
    if values.ndim < 2 or values.dtype != np.float32:
        return values
    # Unlike a cast to float16, this neither overflows nor loses small numbers.
    significand, exponent = np.frexp(values)
    significand = np.round(significand * 2**FLOAT16_BITS) / 2**FLOAT16_BITS
    return np.ldexp(significand, exponent).astype(values.dtype)


def _packed(path):
    """Return the bytes of a .keras file, compressed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(packed, "w") as out:
        for name in archive.namelist():
            # Without a time of day, the same network gives the same bytes.
            out.writestr(zipfile.ZipInfo(name), archive.read(name), zipfile.ZIP_BZIP2)
    return packed.getvalue()
