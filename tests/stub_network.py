"""A network without TensorFlow, for tests of what is done around a network."""

from types import SimpleNamespace

import numpy as np

from scenecam import images, saving
from scenecam_cli import run_folder, stream

NAMES = ("sea", "forest")


def answer(batch):
    """Say something about each picture that depends on its pixels alone."""
    level = batch.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
    probabilities = np.stack([level, 1 - level], axis=1)
    grid = batch[:, ::4, ::4].mean(axis=3, dtype=np.float64).astype(np.float32)
    maps = np.stack([grid - 126, 130 - grid], axis=1)
    return probabilities, np.tile([0, 1], (len(batch), 1)), maps


def network(**changes):
    """Return the least that `stream.explain_pictures` asks of a network."""
    parts = {
        "class_names": NAMES,
        "fit_picture": lambda picture: images.resize_image(picture, 16),
        "answer": answer,
    }
    return SimpleNamespace(**(parts | changes))


def run(root, out, *, files=None, batch_size=4, look=None, **changes):
    """Explain a folder with the stub; return the outcomes."""
    out.mkdir(parents=True, exist_ok=True)
    if files is None:
        root, files = stream.find_pictures([root], out=out)
    with run_folder.Index(out, rows_per_picture=2) as index:
        outcomes = stream.explain_pictures(
            network(**changes),
            files,
            root=str(root),
            index=index,
            look=look or saving.Look(ending="png"),
            batch_size=batch_size,
        )
        return list(outcomes)
