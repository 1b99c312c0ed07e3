"""What `train` does with any pictures: the recipe of a network."""

from __future__ import annotations

from math import log2

# A kernel with a gap of 2 pixels sees in a picture what one without a gap sees in the
# same picture at half the size.
GAP_CNN = {
    "widths": (12, 16, 24, 32, 48),
    "dilations": (1, 2, 4, 8, 8),
    "normalise": True,
}
HALF_GAPS = {"dilations": (1, 1, 2, 4, 4)}

# For any pictures: the builder's arguments, those of a first phase on small pictures,
# its share of the side (1 where the weights depend on the size), learning rate.
DEFAULTS = {
    "resnet": ({}, {}, 2 / 3, 2e-3),
    "gap_cnn": (GAP_CNN, HALF_GAPS, 1 / 2, 4e-3),
    "plain_cnn": ({}, {}, 1, 1e-3),
    "seed_resnet": ({"width": 16}, {}, 2 / 3, 1e-3),
    "efficientnet_lite0": ({}, {}, 1, 4e-4),  # goes on from what ImageNet taught it
}
SMALLEST_SIDE = 32  # pictures are not shrunk below


def default_recipe(
    builder: str,
    *,
    pictures: int,
    size: int,
    epochs: int,
    batch_size: int | None,
    valid: float,
    balance: bool,
) -> dict:
    """Give a recipe, in the form of `scenecam.recipes`.

    Parameters
    ----------
    builder : str
        The network, one of `DEFAULTS`.
    pictures, epochs : int
        How many there are to learn from, and epochs of all phases together.
    size : int
        Height and width at which the network will be asked. Three quarters of the
        epochs see smaller pictures, where the builder and the size allow it.
    batch_size : int, optional
        Pictures per step; 64, or fewer where an epoch would have less than 16 steps.
    valid : float
        Share of the pictures that is set aside.
    balance : bool
        As in `training.Settings`.
    """
    from scenecam.recipes import SHARED, Phase

    arguments, small_arguments, share, rate = DEFAULTS[builder]
    most = SHARED["batch_size"]
    if batch_size is None:
        batch_size = min(max(8, 2 ** int(log2(max(1, pictures / 16)))), most)
    # Smaller batches have noisier gradients, and take smaller steps.
    rate *= min(1.0, (batch_size / most) ** 0.5)
    small = round(size * share)
    early = epochs * 3 // 4 if SMALLEST_SIDE <= small < size else 0
    first = {"epochs": early, "learning_rate": rate}
    first |= {"batch_size": batch_size, "balance": balance}
    last = {**first, "epochs": epochs - early}
    if early:
        last["learning_rate"] /= 2
    phases = [Phase(small, small_arguments, first), Phase(size, {}, last)]
    return {
        "builder": builder,
        "arguments": arguments,
        "valid": valid,
        "phases": phases if early else phases[1:],
        "renew_statistics": True,
        "calibrate": True,
    }
