"""Measure maps on mosaics: does the map of a class lie in the cell of that class.

    python benchmarks/grid.py [FOLDER] [--count 600] [--networks resnet gap_cnn]

Without FOLDER on fresh drawn scenes, with it on the test part of the photographs there,
each with the shipped networks of that edition. A mosaic holds four pictures of
different classes, each named rightly with at least 90 %, and is asked at its full size.
Printed are means over mosaics with 95 % bootstrap intervals; chance is 0.25. At three
depths for each network; then maps of pixels, as they are and smoothed; then heads that
cannot see other cells; then 3 x 3 cells, of which those are scored whose class stands
in no other.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers
from scipy import ndimage

from scenecam import cam, data, judging, models, saliency, synth
from scenecam._models import weights

SIZE = 96
FOLDED = [name for name in cam.METHODS if name not in ("cam", "score_cam")]
SMOOTH = (0, 5, 10, 20)  # standard deviations of a Gaussian, pixels of the mosaic
NETWORKS = ("resnet", "gap_cnn", "gap_resnet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    options = parser.parse_args()
    edition = "photos" if options.folder else "drawn"
    if options.folder:
        scenes = data.load_folder(options.folder, size=(SIZE, SIZE), split="test")
    else:
        scenes = synth.draw_scenes(1200, size=SIZE, seed=77)
    for name in options.networks:
        if f"{edition}-{name}" in weights.names():
            start = time.perf_counter()
            judge_network(f"{edition}-{name}", scenes, options.count)
            print(f"    {time.perf_counter() - start:.0f} s", flush=True)


def judge_network(name: str, scenes, count: int) -> None:
    model = models.pretrained(name)
    probabilities = models.predict(model, scenes.images)
    sure = scenes[probabilities[range(len(scenes)), scenes.labels] > 0.9]
    mosaics = judging.mosaics(sure, count=count, seed=0)
    larger = models.resized(model, 2 * SIZE)
    said = models.predict_logits(larger, mosaics.images).argsort(axis=1)[:, -4:]
    rightly = (
        np.mean([len({*a} & {*b}) for a, b in zip(said, mosaics.labels, strict=True)])
        / 4
    )
    print(
        f"\n{name}: {len(sure)} of {len(scenes)} scenes named rightly and surely; of "
        f"a mosaic's classes {rightly:.0%} are among the four highest logits"
    )
    depths = spread(cam.layer_names(larger))
    maps = cam.class_maps(
        larger, mosaics.images, method=FOLDED, layers=depths, classes=mosaics.labels
    )
    for method in FOLDED:
        for layer in depths:
            say(f"{method} at {layer}", judging.grid_pointing(maps[method][layer]))
    few = slice(0, max(20, count // 10))
    asked = dict(layers=depths[-1], classes=mosaics.labels[few])
    scored = cam.class_maps(larger, mosaics.images[few], method="score_cam", **asked)
    say("score_cam, a tenth of them", judging.grid_pointing(scored[depths[-1]]))
    know_nothing(mosaics.images)
    of_pixels(larger, mosaics, few)
    for full in (False, True):
        parted(model, mosaics, slice(0, max(20, count // 4)), full)
    in_nine(model, sure, max(20, count // 4))


def spread(names: list[str]) -> list[str]:
    """Name three layers: a third of the way, two thirds, and the last."""
    return [names[len(names) // 3], names[2 * len(names) // 3], names[-1]]


def say(what: str, scores: np.ndarray) -> None:
    each = scores.mean(axis=1) if scores.ndim == 2 else scores
    _, low, high = judging.bootstrap_interval(each)
    print(f"    {what:<42} {each.mean():.3f} ({low:.3f} to {high:.3f})", flush=True)


def know_nothing(images: np.ndarray) -> None:
    for what, maps in (
        ("edges", judging.sobel_edges(images)),
        ("a blob in the middle", judging.centre_blob(images.shape[:3])),
        ("everything", np.ones(images.shape[:3])),
    ):
        say(what, judging.grid_pointing(np.repeat(maps[:, None], 4, axis=1)))


def of_pixels(model, mosaics, few: slice) -> None:
    images, labels = mosaics.images[few], mosaics.labels[few]
    gradient = saliency.gradient(model, images, classes=labels)
    pictures = images[:, None].astype(np.float32)
    found = {
        "gradient, size": np.abs(gradient).sum(axis=-1),
        "gradient x picture": (gradient * pictures).sum(axis=-1),
        "guided backpropagation": saliency.guided_backpropagation(
            model, images, classes=labels
        ).sum(axis=-1),
        "integrated gradients": saliency.integrated_gradients(
            model, images, classes=labels
        )[0].sum(axis=-1),
    }
    for what, maps in found.items():
        for sigma in SMOOTH:
            smooth = maps
            if sigma:
                positive = np.maximum(maps, 0)
                smooth = ndimage.gaussian_filter(positive, sigma, axes=(2, 3))
            say(f"{what}, smoothed by {sigma}", judging.grid_pointing(smooth))


def parted(model, mosaics, few: slice, full: bool) -> None:
    """Ask heads that see one cell alone: nothing elsewhere can be evidence.

    S. Rao et al. (CVPR 2022): in DiPart the convolutions see the whole mosaic, in
    DiFull only their own cell.
    """
    larger = models.resized(model, 2 * SIZE)
    grid = larger.get_layer("features").output.shape[1] // 2
    maps = {method: [] for method in FOLDED}
    for cell in range(4):
        inputs = keras.Input((2 * SIZE, 2 * SIZE, 3), dtype=larger.inputs[0].dtype)
        if full:
            part = keras.Model(model.inputs[0], model.get_layer("features").output)
            rows = []
            for row in range(2):
                crops = [layers.Cropping2D(sides(2 * row + c, SIZE)) for c in range(2)]
                row = [part(crop(inputs)) for crop in crops]
                rows.append(layers.Concatenate(axis=2)(row))
            features = layers.Concatenate(axis=1, name="parts")(rows)
        else:
            part = keras.Model(larger.inputs[0], larger.get_layer("features").output)
            features = layers.Activation("linear", name="parts")(part(inputs))
        own = layers.Cropping2D(sides(cell, grid))(features)
        dense = layers.Dense(model.output_shape[1])
        outputs = dense(layers.GlobalAveragePooling2D()(own))
        dense.set_weights(model.layers[-1].get_weights())
        asked = dict(layers="parts", classes=mosaics.labels[few, cell : cell + 1])
        network = keras.Model(inputs, outputs)
        images = mosaics.images[few]
        found = cam.class_maps(network, images, method=FOLDED, **asked)
        for method in FOLDED:
            maps[method].append(found[method]["parts"])
    for method in FOLDED:
        scores = judging.grid_pointing(np.concatenate(maps[method], axis=1))
        say(f"{method}, {'DiFull' if full else 'DiPart'}", scores)


def sides(cell: int, size: int) -> tuple:
    """What to cut off so that one cell of four remains."""
    down, across = divmod(cell, 2)
    return (size * down, size * (1 - down)), (size * across, size * (1 - across))


def in_nine(model, scenes, count: int) -> None:
    """Nine cells of six classes: classes that stand in one cell alone are asked."""
    rng = np.random.default_rng(0)
    larger, scores = models.resized(model, 3 * SIZE), {name: [] for name in FOLDED}
    for _ in range(count):
        index = rng.permutation(len(scenes))[:9]
        labels = scenes.labels[index]
        once = [n for n, label in enumerate(labels) if (labels == label).sum() == 1]
        if not once:
            continue
        rows = scenes.images[index].reshape(3, 3, SIZE, SIZE, 3)
        image = np.concatenate([np.concatenate(row, axis=1) for row in rows])[None]
        asked = dict(classes=labels[None], layers="features")
        maps = cam.class_maps(larger, image, method=FOLDED, **asked)
        for method in FOLDED:
            own = judging.grid_pointing(maps[method]["features"], grid=3)[0, once]
            scores[method].append(own.mean())
    for method in FOLDED:
        say(f"{method}, 3 x 3 (chance 0.11)", np.array(scores[method]))


if __name__ == "__main__":
    main()
