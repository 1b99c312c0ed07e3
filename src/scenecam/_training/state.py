"""The state of a training: what is written after each epoch, and how a run goes on.

Keras has a callback for each of these, but the memory of its EarlyStopping and of its
ModelCheckpoint dies with the process, and BackupAndRestore does not bring it back. One
state, written to one file that is swapped in whole, does.
"""

import dataclasses
import json
import time
from pathlib import Path

import keras
import numpy as np

from scenecam._data.whole import whole_file, write_file
from scenecam._training.reporters import METRICS


class Run(keras.callbacks.Callback):
    """Remember history and the weights to keep, stop early, and survive being killed.

    `model` is compiled and its optimizer built. Only a run of the very same `settings`,
    variables and `others`, which JSON knows, goes on from a state. The `folder`, or
    None, is for ``state.npz``, ``best.keras`` and ``history.json``.
    """

    def __init__(self, model, settings, folder, **others):
        super().__init__()
        self.set_model(model)
        self.settings = settings
        self.paths = list(_by_path(model.weights))
        self.variables = _by_path([*model.variables, *model.optimizer.variables])
        shapes = {path: list(v.shape) for path, v in self.variables.items()}
        others["names and shapes of variables"] = shapes
        self.about = dataclasses.asdict(settings) | others
        self.folder = None if folder is None else Path(folder)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.history = {name: [] for name in (*METRICS, "seconds")}
        self.kept = {}  # path of each weight -> its value in the epoch that is kept

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Note the epoch, keep it if it is the best, write all down, stop in time."""
        # The callbacks after this one read it, too.
        logs["seconds"] = round(time.perf_counter() - self.started, 3)
        for name, values in self.history.items():
            values.append(float(logs[name]))
        losses = self.history["val_loss"]
        if not np.isfinite(losses[-1]):
            words = f"the validation loss is {losses[-1]} after epoch {epoch + 1}"
            raise ValueError(f"{words}. Train with a smaller `learning_rate`.")
        if losses[-1] == min(losses) or self.settings.keep == "last":
            self.keep_epoch()
        if self.folder is not None:
            self.save()
        self.model.stop_training = self.is_over()

    def keep_epoch(self):
        """Remember the weights that were validated, and save the network with them."""
        model, last = self.model, self.model.get_weights()
        if self.settings.averaging:
            # What was validated is the average; the steps go on from the last weights.
            model.optimizer.finalize_variable_values(model.trainable_variables)
        self.kept = dict(zip(self.paths, model.get_weights(), strict=True))
        if self.folder is not None:
            with whole_file(self.folder / "best.keras") as partial:
                model.save(partial)
        model.set_weights(last)

    def is_over(self) -> bool:
        """Whether all epochs are done, or the best one is too long ago."""
        losses = self.history["val_loss"]
        done, waited = len(losses), len(losses) - 1 - np.argmin(losses or [0])
        return done >= self.settings.epochs or bool(waited >= self.settings.patience)

    def finish(self):
        """Leave the model with the weights that were kept."""
        self.model.set_weights([self.kept[path] for path in self.paths])

    def save(self):
        """Write the state, and the history once more for people."""
        arrays = {f"last/{path}": v.numpy() for path, v in self.variables.items()}
        arrays |= {f"kept/{path}": value for path, value in self.kept.items()}
        with whole_file(self.folder / "state.npz") as partial:
            np.savez(partial, about=json.dumps([self.about, self.history]), **arrays)
        text = json.dumps(self.history, indent=1).encode()
        write_file(self.folder / "history.json", text)

    def restore(self):
        """Take over the state in the folder, if there is one; refuse another run's."""
        if self.folder is None:
            raise ValueError("`resume` needs the `folder` of the run to go on with.")
        path = self.folder / "state.npz"
        if not path.is_file():
            return
        with np.load(path) as state:
            about, history = json.loads(str(state["about"]))
            other = [name for name in self.about if about.get(name) != self.about[name]]
            if other:
                raise ValueError(
                    f"{path} belongs to a run with other settings "
                    f"({', '.join(other)}). Resume with those, or in another folder."
                )
            for name, variable in self.variables.items():
                variable.assign(state[f"last/{name}"])
            self.kept = {name: state[f"kept/{name}"] for name in self.paths}
        self.history = history


def _by_path(variables) -> dict:
    """Variables by their paths; twins, of two nested models, get a mark each."""
    named = {}
    for variable in variables:
        path = variable.path
        while path in named:
            path += "+"
        named[path] = variable
    return named
