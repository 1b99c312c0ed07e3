r"""Write class maps, heatmaps, overlays and an index for pictures.

what is written, for a picture forest/1.jpg and the class sea:
  forest/1.jpg.npy              raw maps, float32 (classes, height, width): signed,
                                in logits, at the layer's own resolution
  forest/1.jpg.sea.heatmap.jpg  the positive part of the map, coloured
  forest/1.jpg.sea.overlay.jpg  the same over the picture
  index.csv                     a row for each picture and class: prediction,
                                probabilities, where the map is strongest (row and
                                column in pixels of the picture, value in logits),
                                whether anything in the picture speaks for the class,
                                and the files (map_index: which map of the .npy)
  settings.json                 what all this was made with

With --cluster the rows are in maps/*.parquet, with all probabilities, the map (bytes
of float16, times map_scale) or a problem. Draw some of them with show or with --from.

A second run of the same command does what is missing. In Python:
  maps = numpy.load("results/forest/1.jpg.npy")

examples:
  scenecam explain dog.jpg --weights photos-resnet --out results
  scenecam explain photos/ --weights photos-resnet --classes sea,glacier --out results
  scenecam explain photos/ --weights my.keras --class-names cat,dog \
      --method cam --classes all --format png --out results
  scenecam explain s3://b/photos --weights my.keras --cluster HOST:6379 --out s3://b/maps
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from pathlib import Path

from scenecam import __version__
from scenecam_cli import terminal
from scenecam_cli.terminal import counted, names

ASKED = ("method", "layer", "classes")
LOOK = ("size", "format", "opacity", "common_scale")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `explain`."""
    add = parser.add_argument
    add(
        "pictures",
        nargs="+",
        metavar="PHOTO_OR_FOLDER",
        help="picture files; folders are searched at every depth. Damaged ones are "
        "left out and named, where it shows: JPEG and lossy WebP have no checksum",
    )
    add("--out", required=True, metavar="DIR", help="folder to write to")
    add(
        "--classes",
        type=lambda text: text if text in ("all", "predicted") else names(text),
        default="predicted",
        metavar="all|predicted|NAME[,NAME]",
        help="classes to explain (default: the one predicted for each picture)",
    )
    add(
        "--method",
        default="grad_cam",
        metavar="NAME",
        help="cam, grad_cam (default), grad_cam_pp, hires_cam, xgrad_cam, layer_cam or "
        "score_cam",
    )
    add(
        "--layer",
        metavar="NAME",
        help="feature map to explain at (default: the last on all ways to the logits)",
    )
    _add_look(parser.add_argument_group("how maps are shown"))
    terminal.add_network(parser, required=False)
    add("--cluster", metavar="local|ADDRESS", help=terminal.CLUSTER)
    how = "draw these pictures of a dataset of --cluster, instead of asking a network"
    add("--from", dest="source", metavar="DATASET", help=how)
    add(
        "--batch-size",
        type=terminal.positive,
        metavar="N",
        help="pictures at a time (default: 32, or 4 with --size original)",
    )
    add(
        "--overwrite",
        action="store_true",
        help="delete the results of other settings that DIR holds, and start again",
    )


def _add_look(group) -> None:
    add = group.add_argument
    add("--format", choices=("jpg", "png"), default="jpg", help="default: jpg")
    add(
        "--size",
        type=lambda text: None if text == "original" else terminal.positive(text),
        default=640,
        metavar="PIXELS|original",
        help="longest side of heatmaps and overlays (default: 640); smaller pictures "
        "are not enlarged",
    )
    add(
        "--opacity",
        type=terminal.share,
        default=0.5,
        metavar="0..1",
        help="of the map over the picture (default: 0.5)",
    )
    add(
        "--common-scale",
        action="store_true",
        help="one colour scale for all classes of a picture, so that they can be "
        "compared; without it each map is as bright as it can be",
    )


def run(arguments: argparse.Namespace) -> int:
    """Explain the pictures, or those that an earlier run has left."""
    from scenecam_cli import run_folder, stream

    if not (arguments.weights or arguments.source):
        raise ValueError("say with --weights which network is asked.")
    if arguments.source or arguments.cluster:
        from scenecam_cli import cluster

        return (cluster.draw if arguments.source else cluster.explain)(arguments)
    out = Path(os.path.abspath(arguments.out))
    old = run_folder.read_settings(out)
    again = bool(old) and not (arguments.overwrite and "files_sha256" not in old)
    root, files = stream.find_pictures(
        arguments.pictures, out=out, root=old.get("pictures") if again else None
    )
    network = terminal.open_network(arguments, *ASKED)
    settings = settings_of(arguments, network, root)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"the folder {arguments.out} cannot be made: {error.strerror}. "
            "Choose another --out."
        ) from None
    with run_folder.locked(out):
        if again:
            run_folder.check_settings(out, old, settings)
        else:
            if old:
                run_folder.remove_results(out, old, files)
            run_folder.write_settings(out, settings)
        wanted = 1 if network.classes is None else len(network.classes)
        with run_folder.Index(out, rows_per_picture=wanted) as index:
            return _explain(arguments, network, files, root, index)


def settings_of(arguments: argparse.Namespace, network, root: str) -> dict:
    """All that the files depend on, as JSON knows it."""
    known, wanted = list(network.class_names), network.classes
    return {
        "scenecam": __version__,
        "pictures": root,
        "weights": arguments.weights,
        "weights_sha256": network.sha256,
        "pixels": network.pixels,
        "input_size": list(network.size),
        "class_names": known,
        "method": network.method,
        "layer": network.layer,
        "classes": "predicted" if wanted is None else [known[i] for i in wanted],
        **{key: getattr(arguments, key) for key in LOOK},
    }


def _explain(arguments, network, files, root, index) -> int:
    """Let the pictures through, show how far it is, and say what came of it."""
    from scenecam.saving import Look
    from scenecam_cli.stream import explain_pictures

    look = Look(*(getattr(arguments, key) for key in LOOK))
    todo = sum(file not in index.done for file in files)
    if todo < len(files):
        print(f"{len(files) - todo:,} of {len(files):,} pictures were done before.")
    if todo:
        how = f"{network.method} at layer {network.layer} of {arguments.weights}"
        print(f"{counted(todo, 'picture')}, {how}", flush=True)
    # Whole pictures are in memory where they are to be shown whole.
    batch_size = arguments.batch_size or (4 if look.size is None else 32)
    outcomes = explain_pictures(
        network, files, root=root, index=index, look=look, batch_size=batch_size
    )
    problems, maps, dark, start = [], 0, 0, time.monotonic()
    with contextlib.closing(outcomes):
        for outcome in terminal.with_progress(outcomes, todo):
            if outcome.problem:
                problems.append(outcome.problem)
            maps += len(outcome.rows)
            dark += sum(row["evidence"] == "no" for row in outcome.rows)
    if done := todo - len(problems):
        seconds = terminal.duration(time.monotonic() - start)
        print(f"{counted(done, 'picture')} explained in {seconds}.")
    if dark:
        print(
            f"{dark:,} of {counted(maps, 'map')} have no positive value: nothing in "
            "the picture speaks for the class. See the column evidence."
        )
    print(f"Index: {index.path}")
    return terminal.report_problems(problems)
