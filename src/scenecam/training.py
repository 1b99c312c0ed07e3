"""Training: labelled pictures in, a fitted network and its plain history out.

The pictures stay the uint8 arrays they are (a memory map is read batch by batch);
augmentation works on whole batches in one graph; Keras runs the steps. All chance comes
from one seed and the number of the epoch, so a run that was killed and resumed sees the
very batches that it would have seen.
"""

import contextlib
import dataclasses
import functools
import os
import warnings
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from scenecam._engine.anatomy import squashes
from scenecam._models.weights import nearest
from scenecam._training import batches, reporters, state
from scenecam._training.batches import BRIGHTNESS, SATURATION, SMALLEST_CROP  # noqa: F401
from scenecam.scenes import SceneSet

# How many times the smallest class the largest may have before a word is said.
UNEQUAL = 3


class UnequalClasses(UserWarning):
    """Some classes have many more pictures to learn from than others."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a network is trained: plain values, which a resumed run must share.

    Attributes
    ----------
    epochs, patience : int
        Training ends after so many epochs, or once the validation loss has not fallen
        for `patience` of them.
    batch_size, seed : int
        Pictures per step; seed of their order and augmentation. The model has its own.
    optimizer : {"adam", "sgd"}
        Adam, or gradient descent with a Nesterov momentum of 0.9.
    learning_rate, schedule : float, {"constant", "cosine"}
        "cosine" rises to the rate for a twentieth of the steps and then falls to
        nothing along half a cosine wave.
    label_smoothing, weight_decay : float in [0, 1), float
        Share of each label that is spread over all classes; decay decoupled from the
        gradient, of kernels only.
    averaging : float in [0, 1)
        What a running average of the weights keeps of itself at every step: 0.998 looks
        back about 500 steps. If not 0, the average is what is validated and returned.
    augment : bool
        Whether training pictures are cropped, mirrored and recoloured at random.
    smallest_crop : float in (0, 1]
        Share of a picture's area that a crop keeps at least.
    balance : bool
        Whether each class counts the same in the losses, however many pictures it has:
        a picture's weight is n / (classes * pictures of its class), n being all of
        `train`. Accuracies stay shares of the pictures.
    keep : {"best", "last"}
        The epoch whose weights stay: that of the lowest validation loss, or the last.
        A network that learns from teachers grows more certain than the labels bear out,
        which a temperature mends, while it names more pictures rightly: keep its last.

    Notes
    -----
    Any other value is a ValueError. Adam: Kingma and Ba (2015), algorithm 1; decoupled
    decay: Loshchilov and Hutter (2019); label smoothing: Szegedy et al. (2016), section
    7.
    """

    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    schedule: str = "constant"
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    averaging: float = 0.0
    augment: bool = True
    smallest_crop: float = SMALLEST_CROP
    balance: bool = False
    patience: int = 15
    keep: str = "best"
    seed: int = 0

    def __post_init__(self):
        share, schedules = "at least 0 and below 1", ("constant", "cosine")
        for name, fits, wanted in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("optimizer", self.optimizer in ("adam", "sgd"), '"adam" or "sgd"'),
            ("schedule", self.schedule in schedules, '"constant" or "cosine"'),
            ("label_smoothing", 0 <= self.label_smoothing < 1, share),
            ("averaging", 0 <= self.averaging < 1, share),
            ("smallest_crop", 0 < self.smallest_crop <= 1, "above 0, at most 1"),
            ("keep", self.keep in ("best", "last"), '"best" or "last"'),
        ):
            if not fits:
                value = getattr(self, name)
                raise ValueError(f"`{name}` must be {wanted}; received {value!r}.")


def fit(
    model: keras.Model,
    train: SceneSet,
    valid: SceneSet,
    settings: Settings | None = None,
    *,
    teachers: Sequence[keras.Model] = (),
    folder: str | os.PathLike | None = None,
    resume: bool = False,
    verbose: str | int | keras.callbacks.Callback = "auto",
    **changes,
) -> dict[str, list[float]]:
    """Train a network on one part, by cross-entropy; choose its epoch on another.

    Parameters
    ----------
    model : keras.Model
        Pictures to logits. Pictures of another size are resized to its own on the way.
    train, valid : SceneSet
        Labels must be class indices of the model. `valid` chooses the epoch, so it must
        not be the part that the network is judged by in the end.
    settings, **changes : Settings, optional, and its fields
        How to train: ``epochs=5, seed=1`` is what differs from `settings`.
    teachers : sequence of keras.Model
        If there are any, `model` learns to give the mean of their probabilities instead
        of the labels: knowledge distillation (`batches.training_batches`). They see the
        same augmented pictures, take their size and end in logits of the same classes.
    folder : path, optional
        Where ``best.keras`` (the epoch that is kept), ``history.json`` and
        ``state.npz`` (to resume from) go.
    resume : bool
        Whether to go on from the state in `folder`, if there is one. The layers must
        have the names they had; where Keras chose them, build the network after
        ``keras.utils.clear_session()``.
    verbose : {"auto", 0, 1, 2} or keras.callbacks.Callback
        Silent, a progress bar, or a line per epoch; "auto" is the bar on a terminal
        and the line elsewhere. A callback reports in its own way.

    Returns
    -------
    dict of str to list of float
        ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy`` (shares in [0, 1]) and
        ``seconds``, one number per epoch. The losses contain the label smoothing, and
        the weights of balanced classes.

    Raises
    ------
    TypeError, ValueError
        If there is no such setting; if a setting, the labels or a state to resume from
        does not fit, or the loss grows beyond all numbers.

    Warns
    -----
    UnequalClasses
        If the largest class of `train` has more than three times the pictures of the
        smallest, and `balance` is not set.
    """
    _check_names(changes)
    settings = dataclasses.replace(settings or Settings(), **changes)
    ends = _ends(model, train)
    _check_fit({"train": train, "valid": valid}, model, *teachers)
    if settings.balance:
        ends["weights"] = batches.class_weights(train, ends["num_classes"])
    elif unequal := unequal_classes(train):
        remedy = "Set balance=True to weigh them alike"
        warnings.warn(f"{unequal}. {remedy}.", UnequalClasses, stacklevel=2)
    reporter = reporters.make_reporter(verbose, [1] * settings.epochs, len(train))
    steps = batches.steps_per_epoch(train, settings.batch_size)
    model.compile(
        _optimizer(settings, steps * settings.epochs),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=settings.label_smoothing
        ),
        metrics=["accuracy"],
        # oneDNN's convolutions are faster on a CPU than those that XLA generates.
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    pictures, sizes = [len(train), len(valid)], [t.count_params() for t in teachers]
    run = state.Run(model, settings, folder, pictures=pictures, teachers=sizes)
    if resume:
        run.restore()
    if not run.is_over():
        done = len(run.history["loss"])
        averaged = [keras.callbacks.SwapEMAWeights()] if settings.averaging else []
        options = {**ends, "teachers": teachers, "epoch": done}
        with contextlib.ExitStack() as stack:
            for layer in _normalisations(model):
                layer.call = functools.partial(_normalise, layer)
                stack.callback(delattr, layer, "call")
            model.fit(
                batches.training_batches(train, settings, **options),
                steps_per_epoch=steps,
                initial_epoch=done,
                epochs=settings.epochs,
                validation_data=batches.validation_batches(valid, **ends),
                shuffle=False,  # the batches are shuffled already
                callbacks=[run, *averaged, reporter],
                verbose=0,
            )
    run.finish()
    return run.history


def unequal_classes(scenes: SceneSet) -> str | None:
    """Say which class has over three times the pictures of which, or None if none."""
    counts = {name: number for name, number in scenes.counts().items() if number}
    few, many = min(counts, key=counts.get), max(counts, key=counts.get)
    if counts[many] <= UNEQUAL * counts[few]:
        return None
    most, least = f"{counts[many]:,} pictures", f"{counts[few]:,}"
    return f"the class {many!r} has {most} to learn from, {few!r} has {least}"


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
        Changed in place: the moving means and variances of its normalisation layers,
        those of nested models included, nothing else. A frozen layer keeps its own.
    scenes : SceneSet
        The pictures that the model learned from. Pictures of another size are resized.
    batch_size, seed : int
        Pictures whose mean and variance are taken together; seed of their order.

    Notes
    -----
    Crops that magnify: Touvron et al. (2019), "Fixing the train-test resolution
    discrepancy". Averaged weights: Izmailov et al. (2018), "Averaging weights leads to
    wider optima and better generalization".
    """
    if not (norms := _normalisations(model)):
        return
    settings = Settings(batch_size=batch_size, augment=False, seed=seed)
    stream = batches.training_batches(scenes, settings, **_ends(model, scenes))
    steps = batches.steps_per_epoch(scenes, batch_size)
    with contextlib.ExitStack() as stack:
        for layer in norms:
            stack.callback(setattr, layer, "momentum", layer.momentum)
        for step, (pictures, _) in enumerate(stream.take(steps)):
            for layer in norms:  # so that every batch counts alike in the end
                layer.momentum = step / (step + 1)
            model(pictures, training=True)


def augment_images(images: np.ndarray, *, seed: int) -> np.ndarray:
    """Show what augmentation makes of pictures: uint8 (n, h, w, 3) in and out.

    Another `seed` gives other crops, mirrors and colours.
    """
    batch = batches.augment(images, images.shape[1:3], (seed, 0))
    return np.rint(batch.numpy()).astype("uint8")


# ---- Parts of a training -------------------------------------------------------------


def _check_names(changes):
    words = [*vars(Settings()), "teachers", "folder", "resume", "verbose"]
    for name in changes.keys() - vars(Settings()):
        raise TypeError(f"`fit` has no argument {name!r}{nearest(name, words)}.")


def _ends(model, scenes) -> dict:
    """The size of the pictures that a network takes, and how many classes it knows."""
    sides = zip(model.input_shape[1:3], scenes.images.shape[1:3], strict=True)
    # A model that takes any size gets the pictures as they are.
    size = tuple(wanted or own for wanted, own in sides)
    return {"size": size, "num_classes": model.output_shape[-1]}


def _normalisations(model) -> list[keras.layers.BatchNormalization]:
    kind = keras.layers.BatchNormalization
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]


def _normalise(layer, x, training=None, mask=None):
    """Stand in for `layer.call`: what Keras does in ten operations, in one.

    A step of `models.resnet` takes three quarters of the time. The layer stays Keras's
    own, so that what is saved in the middle of training is, too.
    """
    plain = type(layer) is keras.layers.BatchNormalization and not layer.synchronized
    whole = layer.scale and layer.center and layer.axis in (-1, 3) and layer.trainable
    if not (training and plain and whole and mask is None and x.shape.rank == 4):
        return type(layer).call(layer, x, training=training, mask=mask)
    # Mean and variance, empty, are to be found in the batch.
    given = {"scale": layer.gamma, "offset": layer.beta, "mean": [], "variance": []}
    y, mean, var, *_ = tf.raw_ops.FusedBatchNormV3(x=x, epsilon=layer.epsilon, **given)
    # Its variance is estimated for all pictures; Keras keeps that of the batch.
    var *= 1 - 1 / tf.cast(tf.size(x) // tf.size(mean), tf.float32)
    for kept, new in ((layer.moving_mean, mean), (layer.moving_variance, var)):
        kept.assign(kept + (1 - layer.momentum) * (new - kept))
    return y


def _optimizer(settings, steps) -> keras.Optimizer:
    sgd = functools.partial(keras.optimizers.SGD, momentum=0.9, nesterov=True)
    optimizer = (keras.optimizers.Adam if settings.optimizer == "adam" else sgd)(
        _learning_rate(settings, steps),
        weight_decay=settings.weight_decay or None,
        use_ema=settings.averaging > 0,
        ema_momentum=settings.averaging,
        name="optimizer",  # the same in every run: variables are stored by name
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _learning_rate(settings, steps):
    highest, rise = settings.learning_rate, max(1, steps // 20)
    if settings.schedule == "constant":
        return highest
    return keras.optimizers.schedules.CosineDecay(
        highest / rise, max(1, steps - rise), warmup_target=highest, warmup_steps=rise
    )


def _check_fit(sets, *networks):
    """Check pictures against networks: the model, and its teachers if it has any."""
    channels, num_classes = networks[0].input_shape[-1], networks[0].output_shape[-1]
    if channels != 3:
        what = f"the pictures have 3 channels, but the model takes {channels}"
        raise ValueError(f"{what}. Build it with an `input_shape` that ends in 3.")
    for network in networks:
        last = network
        while hasattr(last, "layers"):
            last = last.layers[-1]
        if kind := squashes(last):
            what = f"the model must end in logits, and {last.name!r} is a {kind}"
            raise ValueError(f"{what}. Leave it out: models.predict takes it.")
    for name, scenes in sets.items():
        if len(scenes) == 0:
            raise ValueError(f"`{name}` holds no pictures; split more off for it.")
        if (top := scenes.labels.max()) >= num_classes:
            raise ValueError(
                f"`{name}` has labels up to {top}, but the model has {num_classes} "
                "logits. Build it with `num_classes=len(train.class_names)`."
            )
    own, *others = ((m.input_shape[1:], m.output_shape[1:]) for m in networks)
    for found in others:
        if found != own:
            raise ValueError(
                f"a teacher takes pictures of {found[0]} and gives {found[1]} logits; "
                f"the model {own}. Build it again at that size, with its weights."
            )
