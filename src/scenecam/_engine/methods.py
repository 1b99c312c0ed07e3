"""The methods: what makes a class activation map of activations and gradients.

All but Score-CAM are small functions of the same two arrays. `cam.class_maps` computes
both and calls them; they also take arrays from anywhere else. None applies the final
ReLU of the papers: that is display.

- ``activations``, float32 (n, h, w, channels): a layer's output A, in the equations
  A_k(x, y) for channel k.
- ``gradients``, float32 (n, h, w, channels), or (n, 1, 1, channels) where every cell
  has the same: G_k(x, y) = dS_c / dA_k(x, y), of the logit S_c of one class c.

Z = h * w is the number of cells. A method returns maps M_c(x, y), float32 (n, h, w):
signed and in logits where it says nothing else, positive where the cell speaks for the
class. It costs one forward pass, and one backward pass per class for all layers
together; below global average pooling no backward pass.

Most weight whole channels. The weights are functions of their own, since those of all
classes are one matrix: multiplied with the activations once, it yields all maps.
"""

from collections.abc import Callable

import tensorflow as tf


def weighted_sum(activations: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sum the channels, each with its weight.

    Weights (n, channels) give one map (n, h, w) for each picture; weights of c classes,
    (n, c, channels), give c maps (n, c, h, w).
    """
    sum_up = "nhwk,nk->nhw" if weights.shape.rank == 2 else "nhwk,nck->nchw"
    return tf.einsum(sum_up, activations, weights)


def mean_gradients(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Weigh for Grad-CAM: the mean gradient of each channel, (n, channels)."""
    return tf.reduce_mean(gradients, axis=(-3, -2))


def summed_gradients(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Weigh for CAM: Z times the mean gradient, the dense weights of the class."""
    cells = tf.cast(tf.reduce_prod(tf.shape(activations)[-3:-1]), tf.float32)
    return cells * mean_gradients(activations, gradients)


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
    return tf.math.divide_no_nan(above, tf.reduce_sum(activations, axis=(1, 2)))


def cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Class activation map: the channels, weighted by the class's dense weights.

    M_c(x, y) = sum_k w_kc A_k(x, y), equation 2 of Zhou et al. (CVPR 2016), where w_kc
    is the dense weight from the average of channel k to class c, and A what global
    average pooling averages. There G_k(x, y) = w_kc / Z in every cell, so w_kc is Z
    times the mean gradient. The mean over the cells plus the class's bias is the logit.
    """
    return weighted_sum(activations, summed_gradients(activations, gradients))


def grad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM: the channels, weighted by their mean gradient.

    a_k = 1/Z sum_xy G_k(x, y) and M_c(x, y) = sum_k a_k A_k(x, y): equations 1 and 2 of
    Selvaraju et al. (ICCV 2017) without the ReLU of equation 2, which is left to the
    display. Gradients are of logits, as in the paper, never of probabilities.
    """
    return weighted_sum(activations, mean_gradients(activations, gradients))


def grad_cam_pp(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Grad-CAM++: the channels, weighted by a mean of their positive gradients only.

    w_k = sum_xy a_k(x, y) relu(G_k(x, y)) with, by equation 19 of Chattopadhay et al.
    (WACV 2018), a_k = G_k^2 / (2 G_k^2 + (sum_xy A_k) G_k^3). Where G_k > 0 that
    product is G_k / (2 + G_k sum_xy A_k), which is what is computed: no division by
    zero. The derivation assumes activations that are not negative; then no value of the
    map is.

    Published code reads the equation in three ways. This is the paper's: sum_xy A_k is
    a sum over the cells (not a mean, as in xplique), the score is Y = exp(S_c), so that
    its higher derivatives are powers of G_k, and its remaining factor exp(S_c), common
    to all cells, is dropped to stay in logits (tf-keras-vis keeps it and divides the
    a_k by their sum; pytorch-grad-cam does as here).
    """
    return weighted_sum(activations, positive_shares(activations, gradients))


def hires_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """HiResCAM: every cell weighted by its own gradient, nothing averaged.

    M_c(x, y) = sum_k G_k(x, y) A_k(x, y), the definition of Draelos and Carin (arXiv
    2011.08891). Where the layers above are linear (dense after flatten, or average
    pooling), the map sums to the logit up to the bias; Grad-CAM does so only below
    global average pooling.
    """
    return tf.reduce_sum(activations * gradients, axis=-1)


def xgrad_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """XGrad-CAM: the channels, weighted by their gradient's mean, weighted by A.

    w_k = sum_xy A_k G_k / sum_xy A_k and M_c(x, y) = sum_k w_k A_k(x, y), the
    definition of Fu et al. (BMVC 2020). The map of every channel sums to sum_xy A_k
    G_k, its share of the logit in a network that is linear above. A channel that sums
    to 0 gets no weight; with negative activations the divisor may come close to 0 and
    the weights grow without meaning.
    """
    return weighted_sum(activations, weighted_gradients(activations, gradients))


def layer_cam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """LayerCAM: every cell weighted by its own gradient where that is positive.

    M_c(x, y) = sum_k relu(G_k(x, y)) A_k(x, y), the definition of Jiang et al. (IEEE
    TIP 2021), made for early layers. Where the activations are not negative the map is
    not, and nowhere lies below `hires_cam`.
    """
    return tf.reduce_sum(activations * tf.nn.relu(gradients), axis=-1)


def score_cam(activations: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Score-CAM: the channels, weighted by what the model says when it sees only them.

    a_k = softmax over k of S_c(image * H_k), where H_k is channel k enlarged to the
    picture and scaled to [0, 1]; M_c(x, y) = sum_k a_k A_k(x, y): algorithm 1 of Wang
    et al. (CVPR workshops 2020) without its ReLU. The score of a baseline picture,
    which the algorithm subtracts, is the same for all k and leaves the softmax
    unchanged. `scores`, float32 (n, channels), or (n, c, channels) for c classes, are
    the logits for the picture, masked by each channel.

    The map is in units of the activations: the weights sum to one. It costs one forward
    pass per channel, for all classes together, and is by far the slowest method here.
    """
    return weighted_sum(activations, tf.nn.softmax(scores, axis=-1))


# What the pass computes for each class: weights of channels (n, channels), of which
# `weighted_sum` makes the maps of all classes at once, or a map (n, h, w).
FOLDED: dict[str, Callable] = {
    "cam": summed_gradients,
    "grad_cam": mean_gradients,
    "grad_cam_pp": positive_shares,
    "hires_cam": hires_cam,
    "xgrad_cam": weighted_gradients,
    "layer_cam": layer_cam,
}
METHODS = (*FOLDED, "score_cam")
