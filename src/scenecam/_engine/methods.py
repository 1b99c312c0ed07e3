"""The methods: what makes a class activation map of activations and gradients.

All but Score-CAM are small functions of the same two arrays: a layer's output A, the
feature maps or activations, and the gradient of one class's logit with respect to it.
`cam.class_maps` computes both arrays and calls them; they also take arrays from
anywhere else. None applies the final ReLU of the papers: that is display.

Most weight whole channels. Their weights are functions of their own, since the weights
of all classes together are one matrix: multiplied with the activations once, it yields
the maps of all classes.

In the equations A_k(x, y) is channel k of the activations, S_c the logit of class c,
G_k(x, y) = dS_c / dA_k(x, y) its gradient, and Z = h * w the number of cells.
"""

from collections.abc import Callable

import tensorflow as tf


def weighted_sum(activations: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sum the channels, each with its weight: (n, h, w, k), (n, k) -> (n, h, w)."""
    return tf.einsum("nhwk,nk->nhw", activations, weights)


def weighted_sums(activations: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """`weighted_sum` for c sets of weights: (n, h, w, k), (n, c, k) -> (n, c, h, w)."""
    n, h, w, k = tf.unstack(tf.shape(activations))
    cells = tf.reshape(activations, (n, h * w, k))
    sums = tf.matmul(weights, cells, transpose_b=True)
    return tf.reshape(sums, (n, -1, h, w))


def summed_gradients(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Weigh for CAM: Z times the mean gradient, the dense weights of the class."""
    cells = tf.cast(tf.reduce_prod(tf.shape(activations)[1:3]), tf.float32)
    return cells * mean_gradients(activations, gradients)


def mean_gradients(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Weigh for Grad-CAM: the mean gradient of each channel."""
    return tf.reduce_mean(gradients, axis=(1, 2))


def positive_shares(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Weigh for Grad-CAM++: sum_xy relu(G_k) / (2 + relu(G_k) sum_xy A_k)."""
    gradients = tf.broadcast_to(gradients, tf.shape(activations))
    positive = tf.nn.relu(gradients)
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    shares = tf.math.divide_no_nan(positive, 2.0 + positive * total)
    return tf.reduce_sum(shares, axis=(1, 2))


def weighted_gradients(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Weigh for XGrad-CAM: the mean gradient of each channel, weighted by A_k."""
    above = tf.reduce_sum(activations * gradients, axis=(1, 2))
    below = tf.reduce_sum(activations, axis=(1, 2))
    return tf.math.divide_no_nan(above, below)


def cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Class activation map: the channels, weighted by the class's dense weights.

    M_c(x, y) = sum_k w_kc A_k(x, y), equation 2 of Zhou et al. (CVPR 2016), where w_kc
    is the dense weight from the average of channel k to class c. Below global average
    pooling G_k(x, y) = w_kc / Z in every cell, so w_kc is Z times the mean gradient.

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        The output that global average pooling averages.
    gradients : tensor of shape (n, h, w, channels) or (n, 1, 1, channels), float32
        Of one class's logit.

    Returns
    -------
    tensor of shape (n, h, w), float32
        Signed, in logits: the mean over the cells plus the class's bias is the logit.

    Notes
    -----
    Costs one forward pass for all classes together.
    """
    return weighted_sum(activations, summed_gradients(activations, gradients))


def grad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM: the channels, weighted by their mean gradient.

    a_k = 1/Z sum_xy G_k(x, y) and M_c(x, y) = sum_k a_k A_k(x, y): equations 1 and 2 of
    Selvaraju et al. (ICCV 2017) without the ReLU of equation 2, which is left to the
    display. Gradients are of logits, as in the paper, never of probabilities.

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        Any layer's output.
    gradients : tensor of shape (n, h, w, channels) or (n, 1, 1, channels), float32
        Of one class's logit.

    Returns
    -------
    tensor of shape (n, h, w), float32
        Signed, in logits; positive where the cell speaks for the class.

    Notes
    -----
    Costs one forward pass, and one backward pass per class for all layers together;
    none below global average pooling.
    """
    return weighted_sum(activations, tf.reduce_mean(gradients, axis=(1, 2)))


def grad_cam_pp(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM++: the channels, weighted by a mean of their positive gradients only.

    w_k = sum_xy a_k(x, y) relu(G_k(x, y)) with, by equation 19 of Chattopadhay et al.
    (WACV 2018), a_k = G_k^2 / (2 G_k^2 + (sum_xy A_k) G_k^3). Where G_k > 0 that
    product is G_k / (2 + G_k sum_xy A_k), which is what is computed: no division by
    zero.

    Published code reads the equation in three ways. This is the paper's: sum_xy A_k is
    a sum over the cells (not a mean, as in xplique), the score is Y = exp(S_c), so that
    its higher derivatives are powers of G_k, and its remaining factor exp(S_c), common
    to all cells, is dropped to stay in logits (tf-keras-vis keeps it and divides the
    a_k by their sum; pytorch-grad-cam does as here).

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        A layer's output after its ReLU: the derivation assumes it is not negative.
    gradients : tensor of shape (n, h, w, channels) or (n, 1, 1, channels), float32
        Of one class's logit.

    Returns
    -------
    tensor of shape (n, h, w), float32
        In logits, never negative where the activations are not.

    Notes
    -----
    Costs the same pass as `grad_cam`.
    """
    return weighted_sum(activations, positive_shares(activations, gradients))


def hires_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """HiResCAM: every cell weighted by its own gradient, nothing averaged.

    M_c(x, y) = sum_k G_k(x, y) A_k(x, y), the definition of Draelos and Carin (arXiv
    2011.08891). Where the layers above are linear (dense after flatten, or average
    pooling), the map sums to the logit up to the bias; Grad-CAM does so only below
    global average pooling.

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        Any layer's output.
    gradients : tensor of shape (n, h, w, channels) or (n, 1, 1, channels), float32
        Of one class's logit.

    Returns
    -------
    tensor of shape (n, h, w), float32
        Signed, in logits.

    Notes
    -----
    Costs the same pass as `grad_cam`.
    """
    return tf.reduce_sum(activations * gradients, axis=-1)


def xgrad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """XGrad-CAM: the channels, weighted by their gradient's mean, weighted by A.

    w_k = sum_xy A_k G_k / sum_xy A_k and M_c(x, y) = sum_k w_k A_k(x, y), the
    definition of Fu et al. (BMVC 2020). The map of every channel sums to sum_xy A_k
    G_k, its share of the logit in a network that is linear above. A channel that sums
    to 0 gets no weight.

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        A layer's output after its ReLU; with negative activations the divisor may come
        close to zero and the weights grow without meaning.
    gradients : tensor of shape (n, h, w, channels) or (n, 1, 1, channels), float32
        Of one class's logit.

    Returns
    -------
    tensor of shape (n, h, w), float32
        Signed, in logits.

    Notes
    -----
    Costs the same pass as `grad_cam`.
    """
    return weighted_sum(activations, weighted_gradients(activations, gradients))


def layer_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """LayerCAM: every cell weighted by its own gradient where that is positive.

    M_c(x, y) = sum_k relu(G_k(x, y)) A_k(x, y), the definition of Jiang et al. (IEEE
    TIP 2021), made for early layers.

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        Any layer's output.
    gradients : tensor of shape (n, h, w, channels) or (n, 1, 1, channels), float32
        Of one class's logit.

    Returns
    -------
    tensor of shape (n, h, w), float32
        In logits, never negative where the activations are not, and there nowhere
        below `hires_cam`.

    Notes
    -----
    Costs the same pass as `grad_cam`.
    """
    return tf.reduce_sum(activations * tf.nn.relu(gradients), axis=-1)


def score_cam(activations: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Score-CAM: the channels, weighted by what the model says when it sees only them.

    a_k = softmax over k of S_c(image * H_k), where H_k is channel k enlarged to the
    picture and scaled to [0, 1]; M_c(x, y) = sum_k a_k A_k(x, y): algorithm 1 of Wang
    et al. (CVPR workshops 2020) without its ReLU. The score of a baseline picture,
    which the algorithm subtracts, is the same for all k and leaves the softmax
    unchanged.

    Parameters
    ----------
    activations : tensor of shape (n, h, w, channels), float32
        Any layer's output.
    scores : tensor of shape (n, channels), float32
        The class's logit for the picture, masked by each channel.

    Returns
    -------
    tensor of shape (n, h, w), float32
        In units of the activations, unlike the other methods: the weights sum to one.

    Notes
    -----
    Costs one forward pass per channel of the layer, for all classes together; it is by
    far the slowest method here.
    """
    return weighted_sum(activations, tf.nn.softmax(scores, axis=-1))


# What the pass computes for each class: weights of channels (n, channels), from which
# `weighted_sums` makes the maps of all classes at once, or a map (n, h, w).
FOLDED: dict[str, Callable] = {
    "cam": summed_gradients,
    "grad_cam": mean_gradients,
    "grad_cam_pp": positive_shares,
    "hires_cam": hires_cam,
    "xgrad_cam": weighted_gradients,
    "layer_cam": layer_cam,
}
METHODS = (*FOLDED, "score_cam")
