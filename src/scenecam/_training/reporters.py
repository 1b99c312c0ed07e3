"""What is shown while a network trains: a line or a bar for each epoch."""

from __future__ import annotations

import shutil
import sys

import keras
import numpy as np
from tqdm.auto import tqdm

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def make_reporter(verbose, costs, pictures, first=0) -> keras.callbacks.Callback:
    """Make the callback that shows how far training is; `verbose` as in `fit`.

    `costs` has a number for each epoch of the whole training, in any unit (its pixels,
    say); the first `first` of them belong to earlier phases. An epoch sees `pictures`.
    """
    if isinstance(verbose, keras.callbacks.Callback):
        return verbose
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f'`verbose` must be "auto", 0, 1 or 2; received {verbose!r}.')
    if verbose == "auto":
        verbose = 1 if sys.stderr.isatty() else 2
    return (_Timed, _Bar, _Lines)[verbose](costs, pictures, first)


class _Timed(keras.callbacks.Callback):
    """Count the epochs and foresee how long the rest will take; show nothing.

    What an epoch took stands in its logs, where `state.Run` puts it.
    """

    def __init__(self, costs, pictures, first):
        super().__init__()
        self.costs, self.pictures, self.first = costs, pictures, first
        self.seconds = []

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(logs["seconds"])

    def number(self, epoch):
        return f"epoch {self.first + epoch + 1}/{len(self.costs)}"

    def time_left(self, done):
        """Say how long all that follows this fit's first `done` epochs will take."""
        costs = self.costs[self.first :]
        if not self.seconds or not costs[done:]:
            return ""
        # In the first epoch of a network its graph is built.
        epoch = np.median(self.seconds[1:] or self.seconds)
        seconds = epoch * sum(costs[done:]) / costs[0]
        if seconds < 90:
            return f"{seconds:.0f} s left"
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min left" if hours else f"{minutes} min left"


class _Lines(_Timed):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        parts = (
            self.number(epoch),
            _summary(logs),
            f"{logs['seconds']:.1f} s",
            f"{self.pictures / logs['seconds']:,.0f} pictures/s",
            self.time_left(epoch + 1),
        )
        print("  ".join(filter(None, parts)), flush=True)


class _Bar(_Timed):
    def on_epoch_begin(self, epoch, logs=None):
        title = (self.number(epoch), self.time_left(epoch))
        width = {}
        if sys.stderr.isatty():
            # Asked by tqdm, some terminals say that they are 0 wide.
            size = shutil.get_terminal_size()
            width = {"ncols": min(150, size.columns), "nrows": size.lines}
        self.bar = tqdm(
            total=self.pictures,
            desc=", ".join(filter(None, title)),
            unit=" pictures",
            **width,
        )

    def on_train_batch_end(self, batch, logs=None):
        done = self.pictures * (batch + 1) // self.params["steps"]
        self.bar.update(done - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.bar.set_postfix_str(_summary(logs))
        self.bar.close()


def _summary(logs):
    return "  ".join(f"{name} {logs[name]:.3f}" for name in METRICS)
