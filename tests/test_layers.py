"""The rules of CONTRIBUTING.md on who imports whom, held against what is imported."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

SOURCE = ROOT / "src"

# The rooms of `scenecam`, from the bottom up: each may import those before it. The
# public ones stand in the order in which a picture travels.
ORDER = """
    _data.whole _data.packages _data.decoding images scenes _data.folders _data.cache
    synth shortcut data evaluation
    _engine.anatomy _engine.asked _engine.methods _engine.passes _engine.predictions
    _models.opening _models.torch_file _models.weights blocks models _training.batches
    _training.reporters _training.state training recipes
    cam saliency saving _judging.agreement _judging.probing _judging.mosaics judging
    _style plots charts diagrams
    explorer.packing explorer.viewer explorer.widgets explorer.mapset explorer
""".split()

# TensorFlow takes seconds to import, so only the rooms that hold networks do.
NETWORKS = """
    _engine _models _training blocks models training recipes cam saliency
    explorer.widgets explorer.mapset explorer.__init__
""".split()


def rooms(package):
    """The modules of a package: {"_data.folders": path, "images": path, ...}."""
    found = {}
    for path in sorted((SOURCE / package).rglob("*.py")):
        name = path.relative_to(SOURCE / package).with_suffix("")
        room = ".".join(name.parts)
        found[room.removesuffix(".__init__")] = path
    return found


def imports(path):
    """Names imported anywhere in a file: {"scenecam.images", "numpy", ...}."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            assert not node.level, f"{path} imports relatively; name the package"
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def packages(path):
    return {name.split(".")[0] for name in imports(path)}


def used_rooms(path):
    """The rooms of `scenecam` that a file imports from."""
    inside = (name.removeprefix("scenecam.") for name in imports(path))
    return {name for name in inside if name in ROOMS and name not in FOLDERS}


ROOMS = rooms("scenecam")
FOLDERS = {name for name in ROOMS if name[0] == "_" and "." not in name} - {"_style"}
OWN = {name: path for name, path in ROOMS.items() if name in ORDER}


@pytest.mark.parametrize("path", rooms("scenepainter").values(), ids=lambda p: p.stem)
def test_the_painter_knows_numpy_and_itself_alone(path):
    known = {"numpy", "scenepainter", *sys.stdlib_module_names}
    assert packages(path) <= known


def test_of_the_library_only_synth_knows_the_painter():
    users = {name for name, path in ROOMS.items() if "scenepainter" in packages(path)}
    assert users == {"synth"}


def test_nothing_imports_the_command_line_but_python_m():
    paths = [*ROOMS.values(), *rooms("scenepainter").values()]
    users = [path for path in paths if "scenecam_cli" in packages(path)]
    assert users == [SOURCE / "scenecam" / "__main__.py"]
    assert len(users[0].read_text().splitlines()) <= 5


def test_every_room_has_a_place_in_the_order():
    assert set(ROOMS) - FOLDERS - {"__init__", "__main__"} <= set(ORDER)


@pytest.mark.parametrize("name", OWN)
def test_a_room_imports_only_those_below_it(name):
    below = ORDER[: ORDER.index(name)]
    assert used_rooms(OWN[name]) - {name} <= set(below)


@pytest.mark.parametrize("name", OWN)
def test_only_rooms_with_networks_import_tensorflow(name):
    heavy = {"keras", "tensorflow"} & packages(OWN[name])
    place = f"{name}.__init__" if name == "explorer" else name
    assert not heavy or place in NETWORKS or place.split(".")[0] in NETWORKS


def test_pictures_and_plots_need_no_tensorflow():
    code = "import sys, scenecam.images, scenecam.plots; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"keras", "tensorflow"} & set(done.stdout.split())


def test_the_rule_catches_a_wrong_import(tmp_path):
    room = tmp_path / "scenes.py"
    room.write_text("from scenecam import data\n")
    assert used_rooms(room) == {"data"}
