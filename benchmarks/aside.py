"""Measure maps on scenes whose class lies off the middle and covers less.

    python benchmarks/aside.py [--count 600] [--networks drawn-resnet drawn-gap_cnn]

Maps of the shipped networks' last layer against the masks, on the scenes that the
network names rightly, beside maps that do not know the network: edges, a blob in the
middle, everything, and the class's usual place, the mean of its masks in other scenes.
Printed are means with 95 % bootstrap intervals, then the differences from the blob,
scene by scene; the same for ordinary scenes.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from scenecam import cam, evaluation, judging, models, synth

METHODS = ("grad_cam", "grad_cam_pp", "layer_cam", "hires_cam")
MEASURES = {
    "pointing": judging.pointing_game,
    "energy": judging.energy_inside,
    "IoU": judging.intersection_over_union,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=600)
    networks = ("drawn-resnet", "drawn-gap_cnn")
    parser.add_argument("--networks", nargs="+", default=networks)
    options = parser.parse_args()
    for placed in ("aside", None):
        scenes = synth.draw_scenes(options.count, seed=78, placed=placed)
        others = synth.draw_scenes(options.count // 2, seed=79, placed=placed)
        usual = [(others.masks[others.labels == c] == c).mean(axis=0) for c in range(6)]
        for name in options.networks:
            judge(name, scenes, np.stack(usual), placed or "ordinary")


def judge(name: str, scenes, usual: np.ndarray, placed: str) -> None:
    model = models.load_model(name) if "/" in name else models.pretrained(name)
    said = models.predict(model, scenes.images).argmax(axis=1)
    share, low, high = evaluation.accuracy_interval(scenes.labels, said)
    print(f"\n{name}, {placed}: accuracy {share:.3f} ({low:.3f} to {high:.3f})")
    right = scenes[said == scenes.labels]
    labels, images = right.labels, right.images
    masks = right.masks == labels[:, None, None]
    covered = masks.mean(axis=(1, 2))
    print(f"{len(right)} scenes, the class covers {covered.mean():.2f} of one")
    found = cam.class_maps(model, images, method=METHODS, classes=labels[:, None])
    maps = {way: next(iter(found[way].values()))[:, 0] for way in METHODS}
    maps["edges"] = judging.sobel_edges(images)
    maps["blob"] = judging.centre_blob(images.shape[:3])
    maps["usual place"] = usual[labels].astype(np.float32)
    maps["everything"] = np.ones(masks.shape, np.float32)
    print(
        "| map | "
        + " | ".join(MEASURES)
        + " | "
        + " | ".join(f"{measure} over the blob" for measure in MEASURES)
        + " |"
    )
    blob = [measure(maps["blob"], masks) for measure in MEASURES.values()]
    for way, each in maps.items():
        own = [measure(each, masks) for measure in MEASURES.values()]
        over = [mine - its for mine, its in zip(own, blob, strict=True)]
        print(f"| {way} | " + " | ".join(map(say, own + over)) + " |", flush=True)


def say(values: np.ndarray) -> str:
    value, *ends = judging.bootstrap_interval(values[~np.isnan(values)])
    return f"{value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


if __name__ == "__main__":
    main()
