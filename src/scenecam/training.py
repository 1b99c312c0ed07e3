"""Training: labelled pictures in, a fitted network and its plain history out.

The pictures stay the uint8 arrays they are (a memory map is read batch by batch);
augmentation works on whole batches in one graph; Keras runs the steps. All chance comes
from one seed and the number of the epoch, so a run that was killed and resumed sees the
very batches that it would have seen.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from scenecam._training import batches, reporters
from scenecam.scenes import SceneSet

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def fit(
    model: keras.Model,
    train: SceneSet,
    valid: SceneSet,
    *,
    epochs: int = 50,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    schedule: str = "constant",
    label_smoothing: float = 0.0,
    weight_decay: float = 0.0,
    averaging: float = 0.0,
    augment: bool = True,
    teachers: Sequence[keras.Model] = (),
    patience: int = 15,
    keep: str = "best",
    folder: str | os.PathLike | None = None,
    resume: bool = False,
    seed: int = 0,
    verbose: str | int | keras.callbacks.Callback = "auto",
) -> dict[str, list[float]]:
    """Train a network on one part and choose its epoch on another.

    The loss is the categorical cross-entropy of the logits. Training ends after
    `epochs`, or once the validation loss has not fallen for `patience` epochs.

    Parameters
    ----------
    model : keras.Model
        Pictures to logits. Pictures of another size are resized to its own on the way.
    train, valid : SceneSet
        Labels must be class indices of the model. `valid` chooses the epoch, so it must
        not be the part that the network is judged by in the end.
    epochs : int
        At most; fewer if the validation loss stops falling.
    batch_size : int
        Pictures per step.
    learning_rate : float
        The highest, if it is scheduled.
    optimizer : {"adam", "sgd"}
        Adam, or gradient descent with a Nesterov momentum of 0.9.
    schedule : {"constant", "cosine"}
        "cosine" rises for a twentieth of the steps and then falls to nothing along half
        a cosine wave.
    label_smoothing : float in [0, 1)
        Share of each label that is spread over all classes.
    weight_decay : float
        Decoupled from the gradient; kernels only.
    averaging : float in [0, 1)
        What a running average of the weights keeps of itself at every step: 0.998 looks
        back about 500 steps. If not 0, the average is what is validated and returned.
    augment : bool
        Whether training pictures are cropped, mirrored and recoloured at random.
    teachers : sequence of keras.Model
        If there are any, `model` learns to give the mean of their probabilities instead
        of the labels: knowledge distillation. They see the same augmented pictures,
        take the same size and end in logits of the same classes.
    patience : int
        Epochs without a lower validation loss that are waited for.
    keep : {"best", "last"}
        The epoch whose weights `model` is left with: that of the lowest validation
        loss, or the last. A network that learns from teachers goes on growing more
        certain than the labels bear out, which a temperature mends, while it names
        more pictures rightly: keep its last.
    folder : path, optional
        Where ``best.keras`` (the epoch that is kept), ``history.json`` and
        ``state.npz`` (to resume from) go.
    resume : bool
        Whether to go on from the state in `folder`, if there is one.
    seed : int
        Seed of the order and the augmentation; the model has its own.
    verbose : {"auto", 0, 1, 2} or keras.callbacks.Callback
        Silent, a progress bar, or a line per epoch; "auto" is the bar on a terminal
        and the line elsewhere. A callback reports in its own way.

    Returns
    -------
    dict of str to list of float
        ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy`` (shares in [0, 1]) and
        ``seconds``, one number per epoch. The losses contain the label smoothing.

    Raises
    ------
    ValueError
        If an argument, the labels or a state to resume from does not fit, or the loss
        grows beyond all numbers.

    Notes
    -----
    Adam: Kingma and Ba (2015), algorithm 1; decoupled decay: Loshchilov and Hutter
    (2019); label smoothing: Szegedy et al. (2016), section 7; distillation: see
    `batches.training_batches`.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1; received {value}.")
    if keep not in ("best", "last"):
        raise ValueError(f'`keep` must be "best" or "last"; received {keep!r}.')
    _check_sets(model, train, valid)
    _check_teachers(model, teachers)
    reporter = verbose
    if not isinstance(verbose, keras.callbacks.Callback):
        plan = reporters.Plan(epochs, len(train))
        reporter = reporters.make_reporter(verbose, plan)
    steps = len(train) // batch_size or 1
    rate = _learning_rate(learning_rate, schedule, steps * epochs)
    model.compile(
        _optimizer(optimizer, rate, weight_decay, averaging),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing
        ),
        metrics=["accuracy"],
        # oneDNN's convolutions are faster on a CPU than those that XLA generates.
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    settings = {
        "parameters": model.count_params(),
        "pictures": [len(train), len(valid)],
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "schedule": schedule,
        "label_smoothing": label_smoothing,
        "weight_decay": weight_decay,
        "averaging": averaging,
        "augment": augment,
        "teachers": [teacher.count_params() for teacher in teachers],
        "patience": patience,
        "keep": keep,
        "seed": seed,
    }
    run = _Run(model, settings, folder)
    if resume:
        run.restore()
        if run.is_over():
            run.finish()
            return run.history
    done = len(run.history["loss"])
    # A model that takes any size gets the pictures as they are.
    size = tuple(
        side or own
        for side, own in zip(
            model.input_shape[1:3], train.images.shape[1:3], strict=True
        )
    )
    num_classes = model.output_shape[-1]
    averaged = [keras.callbacks.SwapEMAWeights()] if averaging else []
    model.fit(
        batches.training_batches(
            train,
            batch_size=batch_size,
            steps=steps,
            size=size,
            num_classes=num_classes,
            augmented=augment,
            teachers=teachers,
            seed=seed,
            epoch=done,
        ),
        steps_per_epoch=steps,
        initial_epoch=done,
        epochs=epochs,
        validation_data=batches.validation_batches(
            valid, size=size, num_classes=num_classes
        ),
        shuffle=False,  # the batches are shuffled already
        callbacks=[run, *averaged, reporter],
        verbose=0,
    )
    run.finish()
    return run.history


def renew_statistics(
    model: keras.Model, scenes: SceneSet, *, batch_size: int = 64, seed: int = 0
) -> None:
    """Take the statistics of batch normalisation anew, from pictures as they are.

    What training leaves are running means over augmented pictures, whose crops magnify,
    and over weights that were still moving. Here every picture is seen once, whole, by
    the finished weights. Networks without batch normalisation stay as they are.

    Parameters
    ----------
    model : keras.Model
        Changed in place: the moving means and variances of the normalisation layers
        among its own layers, nothing else.
    scenes : SceneSet
        The pictures that the model learned from. Pictures of another size are resized.
    batch_size : int
        Pictures whose mean and variance are taken together.
    seed : int
        Of the order.

    Notes
    -----
    Crops that magnify: Touvron et al. (2019), "Fixing the train-test resolution
    discrepancy". Averaged weights: Izmailov et al. (2018), "Averaging weights leads to
    wider optima and better generalization".
    """
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not norms:
        return
    steps = len(scenes) // batch_size or 1
    stream = batches.training_batches(
        scenes,
        batch_size=batch_size,
        steps=steps,
        size=model.input_shape[1:3],
        num_classes=model.output_shape[-1],
        augmented=False,
        seed=seed,
    )
    own = [layer.momentum for layer in norms]
    try:
        for step, (pictures, _) in enumerate(stream.take(steps)):
            for layer in norms:  # so that every batch counts alike in the end
                layer.momentum = step / (step + 1)
            model(pictures, training=True)
    finally:
        for layer, momentum in zip(norms, own, strict=True):
            layer.momentum = momentum


def augment_images(images: np.ndarray, *, seed: int) -> np.ndarray:
    """Show what augmentation makes of pictures.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, 3), uint8
        Pictures as they are.
    seed : int
        Another seed gives other crops, mirrors and colours.

    Returns
    -------
    ndarray of shape (n, h, w, 3), uint8
    """
    batch = batches.augment(images, images.shape[1:3], (seed, 0))
    return np.rint(keras.ops.convert_to_numpy(batch)).astype("uint8")


# ---- State ---------------------------------------------------------------------------


class _Run(keras.callbacks.Callback):
    """Remember history and the weights to keep, stop early, and survive being killed.

    Keras has a callback for each of these, but the memory of its EarlyStopping and of
    its ModelCheckpoint dies with the process, and BackupAndRestore does not bring it
    back. One state, written to one file that is swapped in whole, does.
    """

    def __init__(self, model, settings, folder):
        super().__init__()
        self.variables = [*model.variables, *model.optimizer.variables]
        self.network = model
        self.settings = settings
        self.folder = None if folder is None else Path(folder)
        self.history = {name: [] for name in (*METRICS, "seconds")}
        self.kept = None
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        for name in METRICS:
            self.history[name].append(float(logs[name]))
        seconds = time.perf_counter() - self.started
        self.history["seconds"].append(round(seconds, 3))
        losses = self.history["val_loss"]
        if not np.isfinite(losses[-1]):
            raise ValueError(
                f"the validation loss is {losses[-1]} after epoch {epoch + 1}. Train "
                "with a smaller `learning_rate`."
            )
        if losses[-1] == min(losses) or self.settings["keep"] == "last":
            self.keep_epoch()
        if self.folder is not None:
            self.save()
        self.network.stop_training = self.is_over()

    def keep_epoch(self):
        last = self.network.get_weights()
        if self.settings["averaging"]:
            # What was validated is the average; the steps go on from the last weights.
            self.network.optimizer.finalize_variable_values(
                self.network.trainable_variables
            )
        self.kept = self.network.get_weights()
        if self.folder is not None:
            _replace(self.folder / "best.keras", self.network.save)
        self.network.set_weights(last)

    def is_over(self):
        losses = self.history["val_loss"]
        since_best = len(losses) - 1 - int(np.argmin(losses)) if losses else 0
        return (
            len(losses) >= self.settings["epochs"]
            or since_best >= self.settings["patience"]
        )

    def finish(self):
        if self.kept is not None:
            self.network.set_weights(self.kept)

    def save(self):
        arrays = {f"variable{i}": v.numpy() for i, v in enumerate(self.variables)}
        arrays |= {f"best{i}": value for i, value in enumerate(self.kept)}
        arrays["about"] = np.array(json.dumps([self.settings, self.history]))
        _replace(self.folder / "state.npz", lambda path: np.savez(path, **arrays))
        text = json.dumps(self.history, indent=1)
        _replace(self.folder / "history.json", lambda path: path.write_text(text))

    def restore(self):
        path = None if self.folder is None else self.folder / "state.npz"
        if path is None:
            raise ValueError("`resume` needs the `folder` of the run to go on with.")
        if not path.is_file():
            return
        with np.load(path) as state:
            settings, history = json.loads(str(state["about"]))
            if settings != self.settings:
                names = [
                    k for k in self.settings if settings.get(k) != self.settings[k]
                ]
                raise ValueError(
                    f"{path} belongs to a run with other settings "
                    f"({', '.join(names)}). Resume with those, or in another folder."
                )
            for i, variable in enumerate(self.variables):
                variable.assign(state[f"variable{i}"])
            self.kept = [
                state[f"best{i}"] for i in range(len(self.network.get_weights()))
            ]
        self.history = history


def _replace(path, write):
    # The name keeps its ending: Keras and NumPy choose the format by it. It is the
    # same each time, so that what a killed run leaves behind is overwritten.
    partial = path.with_name(f".partial.{path.name}")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


# ---- Choices -------------------------------------------------------------------------


def _optimizer(name, rate, weight_decay, averaging):
    if not 0 <= averaging < 1:
        raise ValueError(
            f"`averaging` must be at least 0 and below 1; received {averaging}."
        )
    decay = weight_decay or None
    shared = {
        "weight_decay": decay,
        "use_ema": averaging > 0,
        "ema_momentum": averaging,
    }
    if name == "adam":
        optimizer = keras.optimizers.Adam(rate, **shared)
    elif name == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **shared)
    else:
        raise ValueError(f'`optimizer` must be "adam" or "sgd"; received {name!r}.')
    if decay is not None:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _learning_rate(highest, schedule, steps):
    if schedule == "constant":
        return highest
    if schedule == "cosine":
        rise = max(1, steps // 20)
        return keras.optimizers.schedules.CosineDecay(
            highest / rise,
            decay_steps=max(1, steps - rise),
            warmup_target=highest,
            warmup_steps=rise,
        )
    raise ValueError(
        f'`schedule` must be "constant" or "cosine"; received {schedule!r}.'
    )


def _check_teachers(model, teachers):
    for teacher in teachers:
        shapes = (teacher.input_shape[1:], teacher.output_shape[1:])
        wanted = (model.input_shape[1:], model.output_shape[1:])
        if shapes != wanted:
            raise ValueError(
                f"a teacher takes pictures of {shapes[0]} and gives {shapes[1]} "
                f"logits; the model {wanted[0]} and {wanted[1]}. Build the teacher "
                "again at the model's size and give it its weights."
            )


def _check_sets(model, train, valid):
    num_classes = model.output_shape[-1]
    channels = model.input_shape[-1]
    if channels != 3:
        raise ValueError(
            f"the pictures have 3 channels, but the model takes {channels}. Build it "
            "with an `input_shape` that ends in 3."
        )
    for name, scenes in (("train", train), ("valid", valid)):
        if len(scenes) == 0:
            raise ValueError(
                f"`{name}` holds no pictures; split more pictures off for it."
            )
        top = int(np.max(scenes.labels))
        if top >= num_classes:
            raise ValueError(
                f"`{name}` has labels up to {top}, but the model has {num_classes} "
                "logits. Build it with `num_classes=len(train.class_names)`."
            )
