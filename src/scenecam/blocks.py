"""Building blocks of the networks: functions from tensor to tensor.

Every layer gets a path-like name from the block it stands in, such as
``stage2_block1_conv2``, because a class activation map is asked for by layer name.
(Keras forbids ``/`` in layer names: it keeps that sign for weights of nested models.)
"""

import keras
from keras import layers

Tensor = keras.KerasTensor


def conv_norm(
    x: Tensor,
    filters: int,
    *,
    name: str,
    prefix: str = "",
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    relu: bool = True,
    most: float | None = None,
) -> Tensor:
    """Convolve, normalise over the batch and, if wanted, cut off below zero.

    Parameters
    ----------
    x, filters : tensor of shape (n, h, w, c), int
        Feature maps that come in; number of kernels, and so of maps that come out.
    name, prefix : str
        The layers are called ``{prefix}conv{name}``, ``{prefix}norm{name}`` and
        ``{prefix}relu{name}``; the prefix is the block's path with its last underscore.
    kernel, stride, dilation : int
        Side of the square kernel, its step, and the gap between its taps, in pixels.
    relu, most : bool, float
        Whether a ReLU follows, and above what it also cuts off; None for nothing.

    Returns
    -------
    tensor of shape (n, ceil(h / stride), ceil(w / stride), filters)
    """
    # The normalisation has an offset of its own, so a bias would be a second one.
    taps = {"strides": stride, "dilation_rate": dilation, "padding": "same"}
    conv, norm, cut = (f"{prefix}{kind}{name}" for kind in ("conv", "norm", "relu"))
    x = layers.Conv2D(filters, kernel, use_bias=False, name=conv, **taps)(x)
    x = layers.BatchNormalization(momentum=0.9, name=norm)(x)
    return layers.ReLU(most, name=cut)(x) if relu else x


def residual_block(
    x: Tensor, filters: int, *, name: str, stride: int = 1, dilation: int = 1
) -> Tensor:
    """Add two 3x3 convolutions to what came in: ``relu(F(x) + x)``.

    Where the block changes the size, the short path is averaged down first, so that
    it drops no pixel (a strided 1x1 convolution would ignore three of four).

    Parameters
    ----------
    x, filters : tensor of shape (n, h, w, c), int
        Feature maps that come in; kernels of both convolutions.
    name : str
        Path of the block, such as ``"stage2_block1"``; every layer name starts with it.
    stride : int
        Step of the first convolution: 2 halves the size.
    dilation : int
        Gap between the taps of both convolutions, in pixels; with more than 1 the step
        must be 1.

    Returns
    -------
    tensor of shape (n, ceil(h / stride), ceil(w / stride), filters), not negative

    Notes
    -----
    He et al., "Deep Residual Learning for Image Recognition" (2016), equations 1
    and 2; the averaged short path is "ResNet-D" of He et al., "Bag of Tricks for
    Image Classification with Convolutional Neural Networks" (2019), section 4.
    """
    path = f"{name}_"
    short = x
    if stride > 1:
        short = layers.AveragePooling2D(stride, padding="same", name=f"{path}pool")(x)
    if x.shape[-1] != filters:
        ends = {"kernel": 1, "relu": False, "prefix": path}
        short = conv_norm(short, filters, name="_short", **ends)
    taps = {"dilation": dilation, "prefix": path}
    main = conv_norm(x, filters, name="1", stride=stride, **taps)
    main = conv_norm(main, filters, name="2", relu=False, **taps)
    x = layers.Add(name=f"{path}add")([main, short])
    return layers.ReLU(name=f"{path}relu")(x)


def pooled_conv_block(x: Tensor, filters: tuple[int, int, int], *, name: str) -> Tensor:
    """Apply the report's convolution block: max-pooling on the main and short path.

    Main path: 1x1 convolution, max-pooling, normalisation, ReLU; 3x3 convolution,
    normalisation, ReLU; 1x1 convolution, normalisation; `filters` has the number of
    kernels of each. Short path: 1x1 convolution, max-pooling, normalisation. `x` and
    `name` are as in `residual_block`.

    Returns
    -------
    tensor of shape (n, ceil(h / 2), ceil(w / 2), filters[2])
        ReLU of the sum of both paths.
    """
    path = f"{name}_"
    main = _conv_pool_norm(x, filters[0], path, names=("conv1", "pool", "norm1"))
    main = layers.ReLU(name=f"{path}relu1")(main)
    main = _bottleneck_end(main, filters, path)
    ends = ("conv_short", "pool_short", "norm_short")
    short = _conv_pool_norm(x, filters[2], path, names=ends)
    x = layers.Add(name=f"{path}add")([main, short])
    return layers.ReLU(name=f"{path}relu")(x)


def identity_block(x: Tensor, filters: tuple[int, int, int], *, name: str) -> Tensor:
    """Apply the report's identity block: three convolutions, the input added as it is.

    `filters` has the number of kernels of the 1x1, 3x3 and 1x1 convolution; `x` and
    `name` are as in `residual_block`.

    Returns
    -------
    tensor of the shape of `x`, not negative

    Raises
    ------
    ValueError
        If `x` has another number of channels than the block gives back.
    """
    if x.shape[-1] != filters[-1]:
        raise ValueError(
            f"an identity block adds its input unchanged, so `filters` must end in the "
            f"input's {x.shape[-1]} channels; received {filters}. Change the width "
            "with pooled_conv_block first."
        )
    path = f"{name}_"
    main = conv_norm(x, filters[0], kernel=1, prefix=path, name="1")
    main = _bottleneck_end(main, filters, path)
    x = layers.Add(name=f"{path}add")([main, x])
    return layers.ReLU(name=f"{path}relu")(x)


def inverted_residual(
    x: Tensor, filters: int, *, name: str, kernel: int, stride: int, expansion: int
) -> Tensor:
    """Apply the block of MobileNetV2: widen, look at each map by itself, narrow.

    A 1x1 convolution makes `expansion` times as many maps (with 1 there is none), a
    depthwise one has one kernel for each of these, with side `kernel` and step
    `stride`, and a 1x1 convolution without ReLU makes `filters` maps, to which the
    input is added where it has their size. ReLUs cut off above 6, too. All else as in
    `residual_block`. Sandler et al., "MobileNetV2" (2018), section 3.3.
    """
    path, main = f"{name}_", x
    if expansion > 1:
        wide = expansion * x.shape[-1]
        main = conv_norm(x, wide, kernel=1, most=6, prefix=path, name="1")
    taps = {"strides": stride, "padding": "same", "use_bias": False}
    main = layers.DepthwiseConv2D(kernel, name=f"{path}conv2", **taps)(main)
    main = layers.BatchNormalization(momentum=0.9, name=f"{path}norm2")(main)
    main = layers.ReLU(6, name=f"{path}relu2")(main)
    main = conv_norm(main, filters, kernel=1, relu=False, prefix=path, name="3")
    if stride > 1 or filters != x.shape[-1]:
        return main
    return layers.Add(name=f"{path}add")([main, x])


def _conv_pool_norm(x, filters, path, *, names):
    # Kernels first, pooling second, normalisation third: the report's order.
    conv, pool, norm = (path + name for name in names)
    x = layers.Conv2D(filters, 1, use_bias=False, name=conv)(x)
    x = layers.MaxPooling2D(2, padding="same", name=pool)(x)
    return layers.BatchNormalization(momentum=0.9, name=norm)(x)


def _bottleneck_end(x, filters, path):
    x = conv_norm(x, filters[1], prefix=path, name="2")
    return conv_norm(x, filters[2], kernel=1, relu=False, prefix=path, name="3")


def classifier(x: Tensor, num_classes: int) -> Tensor:
    """Name the feature maps, average each one, and weigh the averages into logits.

    Returns
    -------
    tensor of shape (n, num_classes)
        Logits. The three layers are called ``features``, ``gap`` and ``logits``.

    Notes
    -----
    Global average pooling: Lin et al., "Network In Network" (2014), section 3.2. With
    it the mean over a class activation map, plus the bias, is the logit (Zhou et al.,
    "Learning Deep Features for Discriminative Localization", 2016, equations 1 and 2).
    """
    x = layers.Identity(name="features")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    # Logits stay float32 when the layers before them compute in fewer bits.
    return layers.Dense(num_classes, dtype="float32", name="logits")(x)
