"""Hold the maps of every method against mosaics: does each class lie in its own cell.

    python benchmarks/grid.py [FOLDER] [--networks drawn-resnet ...] [--count 600]

FOLDER holds photographs as `data.load_folder` takes them; their test part is used, by
the networks named photos-*. Without it only networks that learned from drawn scenes are
asked, about scenes that they never saw. Cells hold pictures that the network itself
names rightly, with a probability above 0.8. VGG16 flattens its maps and cannot be asked
about larger pictures. Printed for each network, as Markdown: means over mosaics with
95 % bootstrap intervals, one number per mosaic, bold where the interval lies above
chance.

- class maps, by layer: Grad-CAM and its kin; Score-CAM, as all below, on the first
  --slow mosaics only;
- maps of pixels, raw and smoothed by Gaussians of 4 and 12 pixels before the positive
  part is taken (Rao et al., CVPR 2022), summed over the colours;
- two controls of the same paper: in DiFull every cell goes through the network alone,
  in DiPart the whole mosaic does, and in both the logit of a class pools its own cell
  only. Heat elsewhere cannot be true in DiFull, nor at the last layer in DiPart: a map
  that shows some is wrong, while on the whole network it may be right, since that
  pools evidence from everywhere;
- maps that know nothing of the network.

With --grid 3 there are nine cells and six classes: one class fills four cells and is
not asked about, the other five have one cell each. Chance is then 1/9.
"""

import argparse
import os
import sys
import time
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from scenecam import cam, data, judging, models, saliency, synth
from scenecam.explorer.mapset import TITLES
from scenecam.scenes import SceneSet

SURE = 0.8  # probability of the right class
SIZE = 96
AT_ONCE = 8  # mosaics; their gradients at full resolution fill the memory
STEPS = 16  # of integrated gradients
SMOOTHING = (0, 4, 12)  # pixels
FAST = ("grad_cam", "grad_cam_pp", "hires_cam", "xgrad_cam", "layer_cam")
LAYERS = {
    "drawn-resnet": ("stage1_block1_relu", "stage2_block1_relu", "features"),
    "photos-resnet": ("stage1_block1_relu", "stage2_block2_relu", "features"),
    "drawn-gap_cnn": ("relu2", "relu4", "features"),
    "photos-gap_cnn": ("relu2", "relu4", "features"),
    "drawn-gap_resnet": ("stem_relu1", "block2_relu", "features"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--networks", nargs="+", choices=LAYERS, default=[*LAYERS])
    parser.add_argument("--count", type=int, default=600, help="mosaics")
    parser.add_argument(
        "--slow", type=int, default=60, help="mosaics for what is slow; may be 0"
    )
    parser.add_argument("--grid", type=int, choices=(2, 3), default=2)
    options = parser.parse_args()
    for name in options.networks:
        if name.startswith("drawn") or options.folder:
            judge(name, options)
    return 0


def judge(name: str, options) -> None:
    """Print the tables of one network."""
    start, layers = time.process_time(), LAYERS[name]
    model = models.pretrained(name)
    made = draw_mosaics(model, pictures(name, options.folder), options)
    large = models.resized(model, options.grid * SIZE)
    print(
        f"\n### {name}, {len(made.images)} mosaics of {options.grid} x {options.grid}"
    )
    widths = [smoothed(width) for width in SMOOTHING]
    few = Made(*(each[: options.slow] for each in made[:3]), made.grid)
    tables = [("map", layers, lambda: class_maps(large, layers, made, options.slow))]
    if options.slow:
        tables += [("pixels", widths, lambda: pixel_maps(large, few))]
    if options.slow and options.grid == 2:
        apart, together = whole_apart(model, layers), head_apart(large, layers)
        tables += [("DiFull", layers, lambda: controlled(apart, few))]
        tables += [("DiPart", layers, lambda: controlled(together, few))]
    tables += [("knows nothing", ["share"], lambda: knows_nothing(made))]
    for title, columns, score in tables:
        print(f"\n| {title} | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
        for row, found in score().rows().items():
            cells = [shown(found.get(column), made) for column in columns]
            print(f"| {row} | {' | '.join(cells)} |", flush=True)
        print(f"{title}: {time.process_time() - start:.0f} s", file=sys.stderr)


def class_maps(large, layers, made, slow: int):
    """Score what is made of feature maps; CAM and Score-CAM at the last layer."""
    scores = Scores(made.grid)
    for part in parts(len(made.images), AT_ONCE):
        ask = {"images": made.images[part], "classes": made.labels[part]}
        found = cam.class_maps(large, method=FAST, layers=layers, **ask)
        for method, maps in found.items():
            for layer in layers:
                scores.add(TITLES[method], layer, maps[layer])
        (at_last,) = cam.class_maps(large, method="cam", **ask).values()
        scores.add("CAM", layers[-1], at_last)
        if part.start < slow:
            found = cam.class_maps(large, method="score_cam", layers=layers[-1], **ask)
            scores.add("Score-CAM", layers[-1], found[layers[-1]])
    return scores


def pixel_maps(large, made):
    """Score maps of pixels, raw and smoothed."""
    scores = Scores(made.grid)
    for part in parts(len(made.images), AT_ONCE):
        images, classes = made.images[part], made.labels[part]
        gradient = saliency.gradient(large, images, classes=classes)
        scores.add_pixels("gradient", gradient)
        scores.add_pixels("gradient x picture", gradient * images[:, None])
        guided = saliency.guided_backpropagation(large, images, classes=classes)
        scores.add_pixels("guided backpropagation", guided)
        integrated, _ = saliency.integrated_gradients(
            large, images, classes=classes, steps=STEPS
        )
        scores.add_pixels("integrated gradients", integrated)
    return scores


def controlled(ask, made):
    """Score maps of a network whose head cannot see other cells."""
    scores = Scores(made.grid)
    for part in parts(len(made.images), AT_ONCE):
        for layer, pair in ask(made.images[part], made.labels[part]).items():
            for method in FAST:
                scores.add(TITLES[method], layer, folded(method, *pair))
    return scores


def knows_nothing(made):
    """Score three maps that have no class; each cell gets the same."""
    scores, edges = Scores(made.grid), judging.sobel_edges(made.images)
    blob, everything = judging.centre_blob(edges.shape), np.ones_like(edges)
    for row, maps in (("edges", edges), ("blob", blob), ("everything", everything)):
        each = np.repeat(maps[:, None], made.grid**2, axis=1)
        scores.add(row, "share", each)
    return scores


# ---- Mosaics


class Made(NamedTuple):
    """Mosaics, and which of their cells count."""

    images: np.ndarray
    labels: np.ndarray
    counted: np.ndarray  # bool, like the labels
    grid: int


def pictures(name: str, folder: str | None) -> SceneSet:
    """Give pictures that the network never saw."""
    if name.startswith("drawn"):
        return synth.draw_scenes(2400, size=SIZE, seed=1)
    names = synth.CLASS_NAMES
    return data.load_folder(folder, split="test", size=SIZE, class_names=names)


def draw_mosaics(model, scenes: SceneSet, options) -> Made:
    """Draw mosaics of pictures that the network names rightly and surely."""
    probabilities = models.predict(model, scenes.images)
    own = probabilities[np.arange(len(scenes)), scenes.labels]
    scenes = scenes[own > SURE]
    counts = np.bincount(scenes.labels, minlength=len(scenes.class_names))
    print(f"{model.name}: sure pictures by class {counts.tolist()}", file=sys.stderr)
    if options.grid == 2:
        found = judging.mosaics(scenes, count=options.count, seed=0)
        return Made(*found, np.ones(found.labels.shape, bool), 2)
    return with_a_class_that_fills(scenes, options.count)


def with_a_class_that_fills(scenes: SceneSet, count: int) -> Made:
    """Lay nine cells of six classes: each in turn fills four and is not asked about."""
    many, found = len(scenes.class_names), []
    for filler in range(many):
        # Pictures of the filler pass for those of four classes, so that all differ.
        labels = scenes.labels.copy()
        fills = np.flatnonzero(labels == filler)
        labels[fills] = np.where(np.arange(len(fills)) % 4, many - 1, filler)
        labels[fills] += np.arange(len(fills)) % 4
        names = [*scenes.class_names, "second", "third", "fourth"]
        passing = SceneSet(np.asarray(scenes.images), labels, names)
        made = judging.mosaics(passing, grid=3, count=-(-count // many), seed=filler)
        counted = (made.labels < many) & (made.labels != filler)
        labels = np.where(counted, made.labels, filler)
        found.append((made.images, labels, counted))
    order = np.random.default_rng(0).permutation(many * len(found[0][0]))[:count]
    return Made(*(np.concatenate(each)[order] for each in zip(*found, strict=True)), 3)


# ---- Scores


class Scores:
    """Grid pointing of maps that come in parts, by row and column of a table."""

    def __init__(self, grid: int):
        self.grid, self.found = grid, {}

    def add(self, row: str, column: str, maps) -> None:
        """Score maps (n, cells, h, w)."""
        scores = judging.grid_pointing(np.asarray(maps), grid=self.grid)
        self.found.setdefault(row, {}).setdefault(column, []).append(scores)

    def add_pixels(self, row: str, maps: np.ndarray) -> None:
        """Score maps (n, cells, h, w, 3), summed over the colours and smoothed."""
        summed = maps.sum(axis=-1)
        for width in SMOOTHING:
            smooth = gaussian_filter(summed, width, axes=(2, 3)) if width else summed
            self.add(row, smoothed(width), smooth)

    def rows(self) -> dict:
        """Give the scores (n, cells) by row and column."""
        return {
            row: {column: np.concatenate(parts) for column, parts in columns.items()}
            for row, columns in self.found.items()
        }


def shown(scores, made: Made) -> str:
    """Mean over mosaics with its interval, bold above chance."""
    if scores is None:
        return "–"
    each = np.nanmean(np.where(made.counted[: len(scores)], scores, np.nan), axis=1)
    value, low, high = judging.bootstrap_interval(each)
    text = f"{value:.2f} [{low:.2f}, {high:.2f}]".replace("0.", ".")
    chance = 1 / made.grid**2 + 1e-6  # rounding must not look like knowledge
    return (
        f"**{text}**"
        if judging.verdict(low - chance, high - chance) == "holds"
        else text
    )


def smoothed(width: int) -> str:
    return f"smoothed {width}" if width else "raw"


def parts(count: int, size: int):
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


# ---- Networks whose head cannot see other cells


def head_apart(model, layers):
    """DiPart: the logit of a cell's class pools the last maps of this cell only."""
    graph, kernel = _graph(model, layers)

    @tf.function
    def ask(images, classes):
        with tf.GradientTape(persistent=True) as tape:
            outputs = graph(images, training=False)
            half = outputs[-1].shape[1] // 2
            logits = []
            for cell in range(4):
                down, across = cell // 2 * half, cell % 2 * half
                own = outputs[-1][:, down : down + half, across : across + half]
                logits.append(_logit(own, kernel, classes[:, cell]))
        gradients = [tape.gradient(logit, outputs) for logit in logits]
        return outputs, [
            tf.stack(each, axis=1) for each in zip(*gradients, strict=True)
        ]

    def control(images, classes):
        found = ask(tf.constant(images, tf.float32), tf.constant(classes))
        return dict(zip(layers, zip(*found, strict=True), strict=True))

    return control


def whole_apart(model, layers):
    """DiFull: every cell alone goes through the network that was made for its size."""
    graph, kernel = _graph(model, layers)

    @tf.function
    def ask(cells, classes):
        with tf.GradientTape() as tape:
            outputs = graph(cells, training=False)
            logits = _logit(outputs[-1], kernel, classes)
        return outputs, tape.gradient(logits, outputs)

    def control(images, classes):
        side = images.shape[1] // 2
        cells = images.reshape(-1, 2, side, 2, side, 3).swapaxes(2, 3)
        cells = cells.reshape(-1, side, side, 3).astype(np.float32)
        found = ask(tf.constant(cells), tf.constant(classes.ravel()))
        laid = [[_laid(each) for each in kind] for kind in found]
        own = np.eye(4).reshape(1, 4, 2, 2)
        alone = []
        for gradients in laid[1]:
            n, height, width, channels = gradients.shape
            mask = own.repeat(height // 2, axis=2).repeat(width // 2, axis=3)[..., None]
            alone.append((gradients[:, None] * mask).astype(np.float32))
        return dict(zip(layers, zip(laid[0], alone, strict=True), strict=True))

    return control


def folded(method: str, activations, gradients) -> np.ndarray:
    """Maps (n, 4, h, w) of activations (n, h, w, k) and gradients (n, 4, h, w, k)."""
    fold, activations = getattr(cam, method), tf.convert_to_tensor(activations)
    each = [fold(activations, gradients[:, cell]) for cell in range(4)]
    return np.stack(each, axis=1)


def _graph(model, layers):
    outputs = [model.get_layer(name).output for name in layers]
    return keras.Model(model.inputs, outputs), model.get_layer("logits").kernel


def _logit(features, kernel, classes):
    """Logit of one class for each picture, without the bias."""
    pooled = tf.reduce_mean(features, axis=(1, 2))
    return tf.reduce_sum(pooled * tf.gather(tf.transpose(kernel), classes), axis=1)


def _laid(cells) -> np.ndarray:
    """Lay (4 n, h, w, k) side by side: (n, 2 h, 2 w, k)."""
    _, height, width, channels = cells.shape
    grid = np.asarray(cells).reshape(-1, 2, 2, height, width, channels)
    return grid.swapaxes(2, 3).reshape(-1, 2 * height, 2 * width, channels)


if __name__ == "__main__":
    sys.exit(main())
