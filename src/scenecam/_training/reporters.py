"""What is shown while a network trains: a line or a bar for each epoch."""

from __future__ import annotations

import shutil
import sys
import time
from typing import NamedTuple

import keras
import numpy as np
from tqdm.auto import tqdm


class Plan(NamedTuple):
    """Where the epochs of one `training.fit` stand in a whole training.

    Attributes
    ----------
    epochs, pictures : int
        Epochs of this fit, and pictures of an epoch.
    before, after : int
        Epochs of the phases before and after this one.
    after_cost : float
        How long those after it will take, in epochs of this one.
    """

    epochs: int
    pictures: int
    before: int = 0
    after: int = 0
    after_cost: float = 0.0


def make_reporter(verbose: str | int, plan: Plan) -> keras.callbacks.Callback:
    """Make the callback that shows how far training is.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}
        Silent, a progress bar, or a line per epoch; "auto" is the bar on a terminal
        and the line elsewhere.
    plan : Plan
        What there is to do.

    Raises
    ------
    ValueError
        If `verbose` is something else.
    """
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f'`verbose` must be "auto", 0, 1 or 2; received {verbose!r}.')
    if verbose == "auto":
        verbose = 1 if sys.stderr.isatty() else 2
    return (
        keras.callbacks.Callback()
        if verbose == 0
        else (_Bar, _Lines)[verbose - 1](plan)
    )


class _Timed(keras.callbacks.Callback):
    """Count the epochs and foresee how long the rest will take."""

    def __init__(self, plan):
        super().__init__()
        self.plan, self.seconds = plan, []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.started)

    def number(self, epoch):
        plan = self.plan
        total = plan.before + plan.epochs + plan.after
        return f"epoch {plan.before + epoch + 1}/{total}"

    def time_left(self, done):
        """Say how long all that follows this fit's first `done` epochs will take."""
        rest = self.plan.epochs - done + self.plan.after_cost
        if not self.seconds or not rest:
            return ""
        # In the first epoch of a network its graph is built.
        seconds = rest * np.median(self.seconds[1:] or self.seconds)
        if seconds < 90:
            return f"{seconds:.0f} s left"
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min left" if hours else f"{minutes} min left"


class _Lines(_Timed):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        seconds = self.seconds[-1]
        parts = (
            self.number(epoch),
            _summary(logs),
            f"{seconds:.1f} s",
            f"{self.plan.pictures / seconds:,.0f} pictures/s",
            self.time_left(epoch + 1),
        )
        print("  ".join(filter(None, parts)), flush=True)


class _Bar(_Timed):
    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        left = self.time_left(epoch)
        width = {}
        if sys.stderr.isatty():
            # Asked by tqdm, some terminals say that they are 0 wide.
            size = shutil.get_terminal_size()
            width = {"ncols": min(150, size.columns), "nrows": size.lines}
        self.bar = tqdm(
            total=self.plan.pictures,
            desc=self.number(epoch) + (f", {left}" if left else ""),
            unit=" pictures",
            **width,
        )

    def on_train_batch_end(self, batch, logs=None):
        done = self.plan.pictures * (batch + 1) // self.params["steps"]
        self.bar.update(done - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.bar.set_postfix_str(_summary(logs))
        self.bar.close()


def _summary(logs):
    return (
        f"loss {logs['loss']:.3f}  accuracy {logs['accuracy']:.3f}  "
        f"val_loss {logs['val_loss']:.3f}  val_accuracy {logs['val_accuracy']:.3f}"
    )
