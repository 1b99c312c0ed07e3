"""Make the class maps of one model by this library and by others, side by side.

    python benchmarks/cam.py [--rounds 5] [--cases small,resnet50] [--batches 1,16]

Every way first makes its maps once, uncounted; then all take turns, round by round, so
that each meets the same load of the machine, and the median counts. Every way is
handed the same NumPy array and hands back NumPy arrays. The forward pass of
the same model, compiled, takes its turn too: the last column is in units of it. Others
compute one class at one layer per call: of the calls that a job needs `--sample` are
timed and their median is multiplied by the number of calls, to their favour, since
building and tracing are not counted. Raw maps are compared with xplique and
tf-keras-vis.

The others are optional and live in an environment of their own: see
requirements-peers.txt. What is not installed is left out and named.
"""

import argparse
import os
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from scenecam import cam

CLASSES = 6


# ---- Models: name -> (model, layers at the end of the stages) ------------------------


def small():
    """Five convolutions and global average pooling at 96 pixels."""
    x = inputs = keras.Input((96, 96, 3))
    for index, width in enumerate((16, 32, 64, 128, 128)):
        x = keras.layers.Conv2D(
            width, 3, padding="same", activation="relu", name=f"conv{index}"
        )(x)
        if index < 3:
            x = keras.layers.MaxPooling2D(name=f"pool{index}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, name="logits")(x))
    return model, [f"conv{index}" for index in range(5)]


def resnet():
    """Return the project's own network, with fresh weights."""
    from scenecam import models

    model = models.resnet()
    return model, last_of_each_size(model)


def resnet50():
    model = keras.applications.ResNet50(
        weights=None, classes=CLASSES, classifier_activation=None
    )
    ends = ("conv2_block3", "conv3_block4", "conv4_block6", "conv5_block3")
    return model, [f"{end}_out" for end in ends]


def last_of_each_size(model):
    """Name the last layer of every resolution, but that of the picture itself."""
    last = {}
    for name in cam.layer_names(model):
        last[tuple(model.get_layer(name).output.shape[1:3])] = name
    last.pop(tuple(model.inputs[0].shape[1:3]), None)
    return list(last.values())


MODELS = {"small": small, "resnet": resnet, "resnet50": resnet50}


# ---- Ways: a list of calls that together make all maps -------------------------------


def forward(model, images, layers, classes):
    signature = tf.TensorSpec(images.shape, tf.float32)
    run = tf.function(lambda x: model(x, training=False), input_signature=[signature])
    return [lambda: run(tf.convert_to_tensor(images)).numpy()]


def scenecam(model, images, layers, classes):
    return [
        lambda: cam.class_maps(
            model, images, layers=layers, classes=classes, batch_size=len(images)
        )
    ]


def xplique(model, images, layers, classes):
    from xplique.attributions import GradCAM

    explainers = {
        layer: GradCAM(model, batch_size=len(images), conv_layer=layer)
        for layer in layers
    }

    def one(layer, c):
        targets = np.eye(model.output_shape[-1], dtype=np.float32)[[c] * len(images)]
        return lambda: np.asarray(explainers[layer].explain(images, targets))

    return [one(layer, c) for layer in layers for c in classes]


def tf_keras_vis(model, images, layers, classes):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    explainer = Gradcam(model, clone=False)

    # Unless told not to seek, it explains another layer where the named one is no
    # convolution, and says nothing.
    def one(layer, c):
        return lambda: explainer(
            CategoricalScore([c] * len(images)),
            images,
            penultimate_layer=layer,
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )

    return [one(layer, c) for layer in layers for c in classes]


def tf_explain(model, images, layers, classes):
    from tf_explain.core.grad_cam import GradCAM

    explainer = GradCAM()

    def one(layer, c):
        return lambda: explainer.explain(
            (images, None), model, c, layer_name=layer, use_guided_grads=False
        )

    return [one(layer, c) for layer in layers for c in classes]


def keras_recipe(model, images, layers, classes):
    """Do as the example of keras.io: a new model and an eager tape per picture."""

    def one(layer, c):
        def run():
            maps = []
            for image in images:
                both = keras.Model(
                    model.inputs, [model.get_layer(layer).output, model.outputs[0]]
                )
                with tf.GradientTape() as tape:
                    activations, logits = both(image[None])
                    score = logits[:, c]
                gradients = tape.gradient(score, activations)
                weights = tf.reduce_mean(gradients, axis=(0, 1, 2))
                found = tf.squeeze(activations[0] @ weights[..., None])
                maps.append(tf.maximum(found, 0).numpy())
            return np.array(maps)

        return run

    return [one(layer, c) for layer in layers for c in classes]


WAYS = {
    "forward pass": forward,
    "scenecam": scenecam,
    "xplique": xplique,
    "tf-keras-vis": tf_keras_vis,
    "tf-explain": tf_explain,
    "keras.io recipe": keras_recipe,
}


# ---- The same network in PyTorch -----------------------------------------------------


def torch_ways(images):
    """Return name -> calls for the small network in PyTorch, its forward pass first."""
    import torch

    torch.set_num_threads(os.cpu_count())
    blocks, channels = [], 3
    for index, width in enumerate((16, 32, 64, 128, 128)):
        convolution = torch.nn.Conv2d(channels, width, 3, padding=1)
        blocks.append(torch.nn.Sequential(convolution, torch.nn.ReLU()))
        blocks += [torch.nn.MaxPool2d(2)] * (index < 3)
        channels = width
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    model = torch.nn.Sequential(*blocks, *head, torch.nn.Linear(128, CLASSES)).eval()
    layers = [block for block in blocks if isinstance(block, torch.nn.Sequential)]
    pictures = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

    def run():
        with torch.no_grad():
            return model(pictures)

    ways = {"PyTorch forward pass": [run]}
    try:
        from captum.attr import LayerGradCam

        explainers = [LayerGradCam(model, layer) for layer in layers]
        ways["captum"] = [
            lambda e=e, c=c: e.attribute(pictures, target=c)
            for e in explainers
            for c in range(CLASSES)
        ]
    except (ImportError, RuntimeError) as problem:
        print(f"left out: captum ({problem})")
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        explainer = GradCAM(model, layers)  # returns only the mean over the layers
        ways["grad-cam"] = [
            lambda c=c: explainer(pictures, [ClassifierOutputTarget(c)] * len(images))
            for c in range(CLASSES)
        ]
    except (ImportError, RuntimeError) as problem:  # a torchvision that does not fit
        print(f"left out: grad-cam ({problem})")
    return ways


# ---- Measuring -----------------------------------------------------------------------


def measure(ways, rounds, sample):
    """Return milliseconds of each whole job: the ways take turns, medians count."""
    chosen = {}
    for name, calls in ways.items():
        step = max(1, len(calls) // sample)
        some = calls[::step][:sample]
        chosen[name] = (some * sample)[:sample]  # as many measurements for every way
    seconds = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, calls in chosen.items():
            for call in calls:
                start = time.perf_counter()
                call()
                if turn:  # the first turn builds and traces
                    seconds[name].append(time.perf_counter() - start)
    return {
        name: 1e3 * float(np.median(seconds[name])) * len(ways[name]) for name in ways
    }


def ready_ways(model, images, layers, classes, left_out):
    """Return the ways that are installed and can explain this model."""
    ready = {}
    for name, make in WAYS.items():
        if name in left_out:
            continue
        try:
            calls = make(model, images, layers, classes)
            calls[0]()
        except Exception as problem:  # whatever another library raises
            left_out[name] = f"{type(problem).__name__}: {str(problem)[:90]}"
            print(f"left out: {name} ({left_out[name]})", file=sys.stderr)
            continue
        ready[name] = calls
    return ready


def compare_maps(model, images, layers, ways):
    """Print the largest difference of raw maps, as a share of the largest value."""
    ours = cam.class_maps(model, images, layers=layers)
    parts = []
    if "tf-keras-vis" in ways:
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.utils.scores import CategoricalScore

        explainer = Gradcam(model, clone=False)

        def theirs(layer, c):
            return explainer(
                CategoricalScore([c] * len(images)),
                images,
                penultimate_layer=layer,
                seek_penultimate_conv_layer=False,
                expand_cam=False,
                normalize_cam=False,
                activation_modifier=lambda maps: maps,
            )

        parts.append(("tf-keras-vis", difference(ours, theirs)))
    if "xplique" in ways:
        from xplique.attributions import GradCAM

        explainers = {
            layer: GradCAM(model, batch_size=len(images), conv_layer=layer)
            for layer in layers
        }

        def theirs(layer, c):
            explainer = explainers[layer]
            targets = np.eye(CLASSES, dtype=np.float32)[[c] * len(images)]
            activations, gradients = explainer._gradient(
                tf.constant(images), tf.constant(targets)
            )
            weights = explainer._compute_weights(gradients, activations)
            return np.asarray(explainer._apply_weights(weights, activations))

        parts.append(("xplique", difference(ours, theirs, positive=True)))
    for name, share in parts:
        print(f"largest difference to {name}, share of the largest value: {share:.1e}")


def difference(ours, theirs, positive=False):
    worst = 0.0
    for layer, maps in ours.items():
        for c in range(CLASSES):
            expected = np.maximum(maps[:, c], 0) if positive else maps[:, c]
            other = np.asarray(theirs(layer, c)).reshape(expected.shape)
            share = np.abs(other - expected).max() / np.abs(maps).max()
            worst = max(worst, float(share))
    return worst


def report(title, times, pictures, unit):
    print(f"\n{title}")
    print("| way | ms a picture | x forward | x scenecam |")
    print("|---|---:|---:|---:|")
    for name, ms in times.items():
        to_ours = f"{ms / times['scenecam']:,.2f}" if "scenecam" in times else "-"
        ratios = f"{ms / times[unit]:,.2f} | {to_ours}"
        print(f"| {name} | {ms / pictures:,.1f} | {ratios} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sample", type=int, default=3, help="timed calls per turn")
    parser.add_argument("--cases", default="small,resnet,resnet50")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--only", default="", help="ways to run; default is all")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    left_out = {
        name: "not asked for"
        for name in WAYS
        if options.only and name not in ("forward pass", *options.only.split(","))
    }
    rng = np.random.default_rng(0)
    for case in options.cases.split(","):
        model, layers = MODELS[case]()
        for batch in map(int, options.batches.split(",")):
            size = model.inputs[0].shape[1:]
            images = rng.uniform(0, 255, size=(batch, *size)).astype(np.float32)
            every = list(range(CLASSES))
            ready = {}
            for job, at, classes in (
                ("one class, last stage", layers[-1:], [0]),
                ("all classes, last stage", layers[-1:], every),
                ("all classes, all stages", layers, every),
            ):
                ready = ready_ways(model, images, at, classes, left_out)
                times = measure(ready, options.rounds, options.sample)
                title = f"{case}, {size[0]} pixels, batch {batch}: {job} ({len(at)})"
                report(title, times, batch, "forward pass")
            compare_maps(model, images, layers, ready)
            if case == "small":
                try:
                    ways = torch_ways(images)
                except ImportError as problem:
                    print(f"left out: PyTorch ({problem})")
                    continue
                times = measure(ways, options.rounds, options.sample)
                title = f"{case} in PyTorch, batch {batch}: all classes, all stages"
                report(title, times, batch, "PyTorch forward pass")


if __name__ == "__main__":
    main()
