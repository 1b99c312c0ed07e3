"""On a cluster: the same maps and reports, whatever dies; and what a dataset gives."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import small_networks
from conftest import ROOT
from PIL import Image

import scenecam_cli
from scenecam import cam, images, models
from scenecam_cli import main as cli

# Raised in Ray, about its own sockets, files and settings.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in (
        "ResourceWarning",
        "DeprecationWarning",
        "FutureWarning",
        "pytest.PytestUnraisableExceptionWarning",
    )
]

NAMES = ("sea", "forest", "street", "glacier", "mountain", "buildings")
BAD = "part 1/no picture.jpg"
COUNT = 64


@pytest.fixture(scope="module")
def cluster():
    """The room under test; it needs the extra."""
    pytest.importorskip("ray", reason='needs pip install -e ".[cluster]"')
    from scenecam_cli import cluster

    return cluster


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small network in a file, and pictures of noise in two folders, one bad."""
    folder, rng = tmp_path_factory.mktemp("cluster"), np.random.default_rng(0)
    model = small_networks.build("gap_cnn")
    weights = folder / "small.keras"
    models.save_model(model, weights, card={"class_names": NAMES})
    for number in range(COUNT):
        path = folder / "in" / f"part {number % 2}" / f"{number:03d} ä%20.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    (folder / "in" / BAD).write_bytes(b"nothing")
    (folder / "in" / ".hidden.png").write_bytes(b"nothing")
    return folder, model, weights


@pytest.fixture(scope="module")
def nodes(cluster):
    """A cluster in this process: a head that only leads, and a node with two actors."""
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0"}
    # As small as an object store may be: pictures and maps never enter it.
    given = {"object_store_memory": 78 * 2**20, "include_log_monitor": False}
    nodes = Cluster(
        initialize_head=True,
        head_node_args={**given, "num_cpus": 0, "include_dashboard": False},
    )
    nodes.given = {**given, "num_cpus": 3}
    nodes.add_node(**nodes.given)
    yield nodes
    nodes.shutdown()


@pytest.fixture(scope="module")
def explained(cluster, made):
    """A dataset made in this process, without Ray, by what an actor runs."""
    folder, _, weights = made
    out = folder / "explained"
    ask, asked = cluster._ask_cluster, {}

    def here(arguments, ask, batches):
        actor = cluster._Actor(arguments, ask)
        for name, files in batches.items():
            asked[name] = actor.ask(actor.network, name, files)
        return asked

    cluster._ask_cluster = here
    try:
        assert explain(made, out, "local") == 1
    finally:
        cluster._ask_cluster = ask
    return out


def scenecam(*words):
    return cli.main([str(word) for word in words])


def explain(made, out, address, *more):
    folder, _, weights = made
    words = ("--weights", weights, "--classes", "all", "--batch-size", 4)
    return scenecam(
        "explain", folder / "in", *words, "--cluster", address, "--out", out, *more
    )


def check(cluster, made, out):
    """Every picture is there once, its maps right, the bad one with its problem."""
    folder, model, _ = made
    place = cluster.find_place(str(out))
    (bad,) = cluster.read_rows(place, problems=True)
    assert bad["file"] == BAD and "is no picture" in bad["problem"]
    assert bad["map"] is None and bad["predicted"] is None
    found = {}
    for row in cluster.read_rows(place):
        found.setdefault(row["file"], []).append(row)
    assert len(found) == COUNT and all(len(rows) == 6 for rows in found.values())
    assert [*found] == sorted(found)
    for file, rows in itertools.islice(found.items(), 0, None, 7):
        assert [row["class"] for row in rows] == [*NAMES]
        picture = images.read_image(folder / "in" / file, size=32)[None]
        (maps,) = cam.class_maps(model, picture).values()
        probabilities = models.predict(model, picture)[0]
        for row, expected, probability in zip(
            rows, maps[0], probabilities, strict=True
        ):
            # Rounded to float16 once divided by the largest, and the last bits of
            # float32, which depend on how many pictures are asked together.
            room = 2**-11 * np.abs(expected) + 2e-6 * np.abs(expected).max()
            assert (np.abs(cluster.unpack(row) - expected) <= room).all()
            assert row["class_probability"] == pytest.approx(probability, abs=2e-5)
            assert row["probabilities"] == pytest.approx(probabilities, abs=2e-5)
            assert row["predicted"] == NAMES[probabilities.argmax()]
            assert row["evidence"] == ("yes" if expected.max() > 0 else "no")
    assert not [*out.glob("maps/.*")]


def slow_part(seen, seconds=1.0):
    """Return an `_explain_part` that says where it works, and takes its time."""

    def slow(*given, name, files):
        import ray

        from scenecam_cli import cluster

        node = ray.get_runtime_context().get_node_id()
        (seen / f"{name}.{node}").write_text(node)  # a part may be done again
        time.sleep(seconds)
        return cluster._explain_part(*given, name=name, files=files)

    return slow


def first_at_work(seen):
    """Wait until a part is being explained; return the node where."""
    for _ in range(6_000):
        if texts := [text for path in seen.glob("*") if (text := path.read_text())]:
            return texts[0]
        time.sleep(0.1)
    raise TimeoutError("no part was begun")


# ---- What dies -----------------------------------------------------------------------


DRIVER = """
import sys
from pathlib import Path
from test_cluster import slow_part
from scenecam_cli import cluster, main
cluster._explain_part = slow_part(Path(sys.argv[1]), 0.3)
sys.exit(main.main(sys.argv[2:]))
"""


@pytest.fixture
def driver(nodes, made, tmp_path):
    """A process that explains the pictures into `out`, and says in `seen` where."""
    folder, _, weights = made
    (tmp_path / "seen").mkdir()
    words = ["explain", folder / "in", "--weights", weights, "--classes", "all"]
    words += ["--batch-size", "4", "--cluster", nodes.address]
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, tmp_path / "seen", *words]
        + ["--out", tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=ROOT,
    )
    yield driver
    driver.kill()
    driver.wait()


@pytest.mark.parametrize("count", [3, 2])
def test_a_node_that_dies_while_it_works_changes_nothing(
    cluster, nodes, made, tmp_path, count, request
):
    """Of three nodes the last two go on; of two, one that comes in its place does."""
    seen = tmp_path / "seen"
    if count == 3:
        nodes.add_node(**nodes.given)
    driver = request.getfixturevalue("driver")
    at_work = first_at_work(seen)
    (node,) = (node for node in nodes.worker_nodes if node.node_id == at_work)
    nodes.remove_node(node, allow_graceful=False)
    if count == 2:
        nodes.add_node(**nodes.given)
    assert driver.wait(timeout=300) == 1  # there was a bad picture
    assert len({path.read_text() for path in seen.glob("*")}) > 1  # another went on
    check(cluster, made, tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_killed_driver_is_finished_by_the_same_command(
    cluster, nodes, made, tmp_path, driver, capsys
):
    out = tmp_path / "out"
    for _ in range(3_000):
        if [*out.glob("maps/*.parquet")] or driver.poll() is not None:
            break
        time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    before = {path.name: path.read_bytes() for path in out.glob("maps/*.parquet")}
    assert 0 < len(before) < 17
    assert explain(made, out, nodes.address) == 1
    assert "pictures were done before" in capsys.readouterr().out
    check(cluster, made, out)
    for name, data in before.items():
        assert (out / "maps" / name).read_bytes() == data


# ---- The same report -----------------------------------------------------------------


def test_evaluate_on_all_cores_gives_the_same_report(cluster, made, tmp_path):
    folder, _, weights = made
    for number, name in enumerate(NAMES[:3]):
        for picture in sorted((folder / "in" / "part 0").iterdir())[number::3]:
            path = tmp_path / "in" / name / picture.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.read_bytes())
    (tmp_path / "in" / "sea" / "000.png").write_bytes(b"nothing")
    words = ("evaluate", tmp_path / "in", "--part", "all", "--weights", weights)
    words += ("--batch-size", 5, "--out")
    assert scenecam(*words, tmp_path / "one") == 1
    assert scenecam(*words, tmp_path / "other", "--cluster", "local") == 1
    for name in ("report.txt", "report.json", "confusion.csv", "mistakes.csv"):
        one, other = (tmp_path / each / name for each in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


# ---- Without a cluster ---------------------------------------------------------------


def test_the_dataset_is_right_and_any_reader_reads_it(cluster, made, explained):
    import pandas as pd

    check(cluster, made, explained)
    table = pd.read_parquet(explained / "maps")
    assert len(table) == 6 * COUNT + 1 and table["problem"].notna().sum() == 1
    settings = json.loads((explained / "settings.json").read_text())
    assert settings["pictures"] == str(made[0] / "in")
    assert settings["class_names"] == list(NAMES)


def test_a_second_run_asks_nothing_and_other_settings_are_refused(
    cluster, made, explained, monkeypatch, capsys
):
    asked = []
    monkeypatch.setattr(cluster, "_ask_cluster", lambda *given: asked.append(given[2]))
    assert explain(made, explained, "local") == 1 and asked == [{}]
    told = capsys.readouterr()
    assert "65 of 65 pictures were done before" in told.out
    assert f"{COUNT} pictures explained" in told.out and "is no picture" in told.err
    assert explain(made, explained, "local", "--method", "layer_cam") == 2
    assert "method was grad_cam, now layer_cam" in capsys.readouterr().err
    (made[0] / "in" / "new.png").touch()
    assert explain(made, explained, "local") == 2
    (made[0] / "in" / "new.png").unlink()
    assert "files was 65, 4 to a part, 4 at a time, now 66" in capsys.readouterr().err
    words = ("explain", made[0] / "in", "--weights", made[2], "--overwrite")
    assert scenecam(*words, "--out", explained) == 2  # of a run without --cluster
    check(cluster, made, explained)


def test_a_part_that_fails_is_not_there(cluster, made, tmp_path):
    (tmp_path / "maps").mkdir()
    place = cluster.find_place(str(tmp_path))

    def rows():
        yield {"file": "a.png", "problem": "it is bad"}
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        cluster._write(place, "maps/0.parquet", cluster._pack(rows()))
    assert cluster.list_parts(place) == []


def test_heatmaps_and_overlays_of_chosen_rows(cluster, made, explained, tmp_path):
    folder, model, _ = made
    files = ["part 0/002 ä%20.png", "part 1/003 ä%20.png"]
    words = ("explain", *files, "--from", explained, "--out", tmp_path, "--format")
    assert scenecam(*words, "png") == 0
    for file in files:
        picture = images.read_image(folder / "in" / file)
        (maps,) = cam.class_maps(model, images.resize_image(picture, 32)[None]).values()
        saved = np.load(tmp_path / f"{file}.npy")
        np.testing.assert_allclose(saved, maps[0], atol=np.abs(maps).max() * 6e-4)
        for name, one in zip(NAMES, saved, strict=True):
            overlay = images.read_image(tmp_path / f"{file}.{name}.overlay.png")
            unit = images.unit_map(np.maximum(one, 0))
            np.testing.assert_array_equal(overlay, images.overlay(picture, unit))


def test_what_a_dataset_has_not_is_said(cluster, explained, tmp_path, capsys):
    words = ("--from", explained, "--out", tmp_path)
    assert scenecam("explain", BAD, "gone.png", *words) == 2
    assert f"has no maps of gone.png, {BAD}" in capsys.readouterr().err


def test_contact_sheets_of_a_dataset(cluster, explained, capsys):
    assert scenecam("show", explained, "--rows", 2, "--pages", 1) == 0
    told = capsys.readouterr().out
    assert "(pictures 1 to 2)" in told and f"{COUNT - 2} more pictures" in told
    sheet = images.read_image(explained / "contact_sheet_1.png")
    assert sheet.std() > 10


def test_pictures_are_listed_as_the_local_command_does(cluster, made, tmp_path):
    from scenecam_cli import stream

    for name in (
        "a/.x/1.jpg",
        "__MACOSX/1.jpg",
        "._1.jpg",
        "b/2.JPG",
        "c.txt",
        "1.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for place in (tmp_path, made[0] / "in"):
        _, files = stream.find_pictures([place], out=tmp_path / "out")
        for uri in (str(place), f"file://{str(place).replace(' ', '%20')}"):
            assert cluster.list_pictures(cluster.find_place(uri)) == files


def test_a_wrong_address_is_one_sentence(cluster, made, tmp_path, monkeypatch, capsys):
    import ray

    def refuse(*address, **options):
        raise ConnectionError("well\nnobody answers")

    monkeypatch.setattr(ray, "init", refuse)
    assert explain(made, tmp_path / "out", "10.0.0.1:6379") == 1
    error = capsys.readouterr().err
    assert error == "scenecam: Ray at 10.0.0.1:6379 gave up: nobody answers\n"


@pytest.mark.parametrize("missing", ["ray", "pyarrow"])
def test_without_the_extra_it_says_what_to_install(
    made, tmp_path, monkeypatch, capsys, missing
):
    if missing == "ray":
        pytest.importorskip("pyarrow")
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "scenecam_cli.cluster", raising=False)
    monkeypatch.delattr(scenecam_cli, "cluster", raising=False)
    assert explain(made, tmp_path / "out", "local") == 2
    error = capsys.readouterr().err
    assert error == 'scenecam: this needs Ray Data: pip install -e ".[cluster]".\n'
