"""Deliberate faults: for each, the identities that must notice it do.

Every fault is one that was found in published code or is easily made. `FAULTS` names,
for each, identities that catch it; a fault that no identity caught would mean that the
tests do not test. The comparison with the slow implementation catches all of them; what
is listed is what catches them without it, where something does.
"""

import cam_identities as identities
import numpy as np
import numpy_networks
import pytest
import tensorflow as tf
from cam_identities import IDENTITIES, Layout, examine, fill

from scenecam import cam
from scenecam._engine import anatomy, asked, methods, passes

SHARED = [
    ("conv", (3, 3, 3, 4), True, 1, "same"),
    ("relu",),
    ("mark", "block0"),
    ("save",),
    ("conv", (3, 3, 4, 4), False, 1, "same"),
    ("norm", 4, True),
    ("relu",),
    ("add",),
    ("mark", "block1"),
]
LAYOUTS = (
    Layout([*SHARED, ("gap", (4, 3), True)], (8, 8, 3), False, True, False),
    Layout(
        [*SHARED, ("mean", 2), ("flat", (64, 3), True)], (9, 9, 3), False, False, True
    ),
)


def replace(target, name, fault):
    """Patch an attribute of a module, or an entry of the table of methods."""

    def apply(patch):
        if isinstance(target, dict):
            patch.setitem(target, name, fault)
        else:
            patch.setattr(target, name, fault)

    return apply


def summed_weights(activations, gradients):
    return methods.weighted_sum(activations, tf.reduce_sum(gradients, axis=(1, 2)))


def averaged_over_the_batch(activations, gradients):
    weights = tf.reduce_mean(gradients, axis=(0, 1, 2))
    return tf.einsum("nhwk,k->nhw", activations, weights)


def relu_before_the_sum(activations, gradients):
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.reduce_sum(tf.nn.relu(weights * activations), axis=-1)


def relu_after_the_sum(activations, gradients):
    return tf.nn.relu(methods.grad_cam(activations, gradients))


def started_with_ones(activations, gradients):
    return 1 + methods.grad_cam(activations, gradients)


def shuffled_channels(activations, gradients):
    return methods.grad_cam(activations, tf.roll(gradients, 1, axis=-1))


def swapped_axes(activations, gradients):
    weights = tf.reduce_mean(gradients, axis=(1, 2))
    return tf.einsum("nwhk,nk->nhw", activations, weights)


def without_cells(activations, gradients):
    return methods.grad_cam(activations, gradients)


def mean_gradient_in_hires(activations, gradients):
    return tf.reduce_sum(
        activations * tf.reduce_mean(gradients, axis=(1, 2), keepdims=True), axis=-1
    )


def absolute_gradient(activations, gradients):
    return tf.reduce_sum(activations * tf.abs(gradients), axis=-1)


def mean_activation_in_pp(activations, gradients):
    positive = tf.nn.relu(tf.broadcast_to(gradients, tf.shape(activations)))
    mean = tf.reduce_mean(activations, axis=(1, 2), keepdims=True)
    shares = tf.math.divide_no_nan(positive, 2 + positive * mean)
    return methods.weighted_sum(activations, tf.reduce_sum(shares, axis=(1, 2)))


def unweighted_mean_in_xgrad(activations, gradients):
    total = tf.reduce_sum(activations * gradients, axis=(1, 2))
    return methods.weighted_sum(activations, total)


def probabilities(call):
    return tf.nn.softmax(call.output)


def all_cells_get_the_whole_column(head, classes, outputs):
    columns = tf.gather(tf.transpose(head.kernel), classes)
    return columns[:, :, None, None, :]


def next_class(model, classes, pictures):
    count = anatomy.anatomy_of(model).num_classes
    return (asked.check_classes(model, classes, pictures) + 1) % count


def guided_pass(*arguments, compile_pass=passes.compile_pass, guided):
    return compile_pass(*arguments, guided=True)


def gradients_of_another_layer(gradients):
    gradients.update(zip(gradients, reversed(list(gradients.values())), strict=True))


FOLDED = methods.FOLDED
SLOW = "as_the_slow_implementation"
# fault: (how to make it, identities that catch it)
FAULTS = {
    "sum for mean": (
        replace(FOLDED, "grad_cam", summed_weights),
        {"softmax_maps_are_centred_logit_maps"},
    ),
    "gradient averaged over the batch": (
        replace(FOLDED, "grad_cam", averaged_over_the_batch),
        {"a_batch_is_its_pictures"},
    ),
    "ReLU before the sum": (
        replace(FOLDED, "grad_cam", relu_before_the_sum),
        {"linear_in_the_target", "constant_gradients_make_methods_one"},
    ),
    "ReLU after the sum": (
        replace(FOLDED, "grad_cam", relu_after_the_sum),
        {"linear_in_the_target", "constant_gradients_make_methods_one"},
    ),
    "map started with ones": (
        replace(FOLDED, "grad_cam", started_with_ones),
        {"linear_in_the_target", "constant_gradients_make_methods_one"},
    ),
    "channels shuffled": (
        replace(FOLDED, "grad_cam", shuffled_channels),
        {"cam_is_grad_cam_times_cells", "constant_gradients_make_methods_one"},
    ),
    "height and width swapped": (
        replace(FOLDED, "grad_cam", swapped_axes),
        {"cam_is_grad_cam_times_cells", "mirrored_weights_mirror_the_map"},
    ),
    "CAM without the factor Z": (
        replace(FOLDED, "cam", without_cells),
        {"cam_sums_to_the_logit", "cam_is_grad_cam_times_cells"},
    ),
    "mean gradient in HiResCAM": (
        replace(FOLDED, "hires_cam", mean_gradient_in_hires),
        {"cells_that_pooling_drops_get_nothing"},
    ),
    "absolute for positive gradient in LayerCAM": (
        replace(FOLDED, "layer_cam", absolute_gradient),
        {"layer_cam_keeps_positive_weights"},
    ),
    "mean for sum of A in Grad-CAM++": (
        replace(FOLDED, "grad_cam_pp", mean_activation_in_pp),
        {SLOW},
    ),
    "weights of XGrad-CAM not divided": (
        replace(FOLDED, "xgrad_cam", unweighted_mean_in_xgrad),
        {"constant_gradients_make_methods_one"},
    ),
    "gradient of the softmax": (
        replace(passes, "before_squashing", probabilities),
        {"hires_cam_sums_to_the_logit", "linear_in_the_target"},
    ),
    "closed form not divided by Z": (
        replace(passes, "pooled_gradients", all_cells_get_the_whole_column),
        {"cam_sums_to_the_logit", "hires_cam_sums_to_the_logit"},
    ),
    "next class": (
        replace(cam, "check_classes", next_class),
        {"cam_sums_to_the_logit", "hires_cam_sums_to_the_logit"},
    ),
    "guided gradients in the pass": (
        replace(passes, "compile_pass", guided_pass),
        {"linear_in_the_target"},
    ),
    "gradients of another layer": (
        replace(passes, "check_gradients", gradients_of_another_layer),
        {"hires_cam_sums_to_the_logit", "cells_that_pooling_drops_get_nothing"},
    ),
}


def caught_by():
    """Return the names of the identities that fail."""
    failed = set()
    for layout in LAYOUTS:
        subject = examine(fill(layout, 3))
        for identity in IDENTITIES:
            try:
                identity(subject)
            except AssertionError:
                failed.add(identity.__name__)
    return failed


def test_without_a_fault_nothing_is_caught():
    assert caught_by() == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught(fault, monkeypatch):
    make, catchers = FAULTS[fault]
    make(monkeypatch)
    caught = caught_by()
    assert SLOW in caught
    assert catchers <= caught, f"caught only by {sorted(caught)}"


def test_a_fault_of_the_slow_side_would_be_seen(monkeypatch):
    monkeypatch.setattr(
        numpy_networks, "_unpool", lambda windows, shape: np.zeros(shape)
    )
    assert SLOW in caught_by()


def test_every_identity_catches_something():
    listed = set().union(*(catchers for _, catchers in FAULTS.values()))
    unused = {identity.__name__ for identity in IDENTITIES} - listed
    # These two hold of the network or follow from the others; no fault above is theirs.
    assert unused == {
        "without_biases_every_layer_sums_to_the_logit",
        "positive_parts_bound_the_sum",
    }
    assert hasattr(identities, "TOLERANCE")
