"""What is shown while a network trains: a line or a bar for each epoch."""

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
    kinds = {0: _Timed, 1: _Bar, 2: _Lines}
    kinds["auto"] = _Bar if sys.stderr.isatty() else _Lines
    if verbose not in kinds:
        raise ValueError(f'`verbose` must be "auto", 0, 1 or 2; received {verbose!r}.')
    return kinds[verbose](costs, pictures, first)


class _Timed(keras.callbacks.Callback):
    """Count the epochs and foresee how long the rest will take; show nothing."""

    def __init__(self, costs, pictures, first):
        super().__init__()
        self.costs, self.pictures, self.first = costs, pictures, first
        self.seconds = []

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(logs["seconds"])  # where `state.Run` puts them

    def number(self, epoch):
        return f"epoch {self.first + epoch + 1}/{len(self.costs)}"

    def time_left(self, done):
        """Say how long all that follows this fit's first `done` epochs will take."""
        now, *rest = self.costs[self.first], *self.costs[self.first + done :]
        if not self.seconds or not rest:
            return ""
        # In the first epoch of a network its graph is built.
        seconds = np.median(self.seconds[1:] or self.seconds) * sum(rest) / now
        if seconds < 90:
            return f"{seconds:.0f} s left"
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min left" if hours else f"{minutes} min left"


class _Lines(_Timed):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        speed = self.pictures / logs["seconds"]
        took = f"{logs['seconds']:.1f} s  {speed:,.0f} pictures/s"
        parts = (self.number(epoch), _summary(logs), took, self.time_left(epoch + 1))
        print("  ".join(filter(None, parts)), flush=True)


class _Bar(_Timed):
    def on_epoch_begin(self, epoch, logs=None):
        title = ", ".join(filter(None, (self.number(epoch), self.time_left(epoch))))
        # Asked by tqdm, some terminals say that they are 0 wide.
        wide, high = shutil.get_terminal_size()
        width = {"ncols": min(150, wide), "nrows": high} if sys.stderr.isatty() else {}
        self.bar = tqdm(total=self.pictures, desc=title, unit=" pictures", **width)

    def on_train_batch_end(self, batch, logs=None):
        done = self.pictures * (batch + 1) // self.params["steps"]
        self.bar.update(done - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.bar.set_postfix_str(_summary(logs))
        self.bar.close()


def _summary(logs):
    return "  ".join(f"{name} {logs[name]:.3f}" for name in METRICS)
