"""The import order of CONTRIBUTING.md, held against what the modules really import."""

import ast

import pytest
from conftest import ROOT

SOURCE = ROOT / "src" / "scenecam"

# module -> the modules of this package that it may import, in the order of the table.
MAY_IMPORT = {
    "images": set(),
    "scenes": set(),
    "canvas": set(),
    "nature": {"canvas"},
    "town": {"canvas"},
    "landscapes": {"canvas", "nature", "town"},
    "townscapes": {"canvas", "nature", "town"},
    "shortcut": {"scenes"},
    "synth": {"canvas", "landscapes", "scenes", "shortcut", "townscapes"},
    "cache": {"scenes"},
    "folders": {"images"},
    "data": {"cache", "folders", "images", "scenes", "synth"},
    "blocks": set(),
    "legacy": set(),
    "contents": set(),
    "files": {"contents", "legacy"},
    "shipped": {"files"},
    "predictions": set(),
    "imagenet": set(),
    "models": {"blocks", "files", "imagenet", "predictions", "shipped"},
    "batches": {"scenes"},
    "reporters": set(),
    "training": {"batches", "reporters", "scenes"},
    "anatomy": set(),
    "methods": set(),
    "passes": {"anatomy"},
    "cam": {"anatomy", "methods", "passes"},
    "saliency": {"anatomy", "cam", "passes"},
    "evaluation": set(),
    "agreement": {"images"},
    "probing": {"agreement", "images"},
    "judging": {"agreement", "images", "probing"},
    "recipes": {"evaluation", "models", "reporters", "scenes", "training"},
    "records": {"evaluation", "models", "recipes", "scenes"},
    "plots": {"images"},
    "diagrams": set(),
    "packing": set(),
    "viewer": {"images", "packing"},
    "widgets": {"anatomy", "images", "passes", "viewer"},
    "mapset": {"cam", "models", "scenes"},
    "explorer": {"images", "mapset", "scenes", "viewer", "widgets"},
    "networks": {"anatomy", "cam", "files", "images", "models", "passes", "shipped"},
    "results": {"images"},
    "saving": {"images", "results"},
    "explain": {"folders", "images", "results", "saving"},
    "sheets": {"images", "plots", "results"},
    "runs": {"images", "models", "recipes", "records", "results", "scenes"},
    "reports": {"evaluation", "plots", "results"},
    "exporting": {"images"},
    "cards": set(),
    "epilogs": set(),
    "arguments": {"epilogs"},
    "terminal": set(),
    "archives": {"folders", "images"},
    "publicsets": {"folders", "terminal"},
    "downloads": {"archives", "terminal"},
    "fetching": {
        "archives",
        "data",
        "downloads",
        "folders",
        "images",
        "publicsets",
        "results",
    },
    "commands_networks": {
        "arguments",
        "cards",
        "data",
        "exporting",
        "files",
        "models",
        "networks",
        "reports",
        "runs",
        "terminal",
    },
    "cli": {
        "arguments",
        "commands_networks",
        "explain",
        "fetching",
        "networks",
        "results",
        "saving",
        "sheets",
        "terminal",
    },
    "__main__": {"cli"},
}
TENSORFLOW = {
    "batches",
    "blocks",
    "reporters",
    "recipes",
    "records",
    "legacy",
    "contents",
    "files",
    "shipped",
    "predictions",
    "imagenet",
    "models",
    "training",
    "anatomy",
    "methods",
    "passes",
    "cam",
    "saliency",
    "widgets",
    "mapset",
    "explorer",
    "networks",
    "exporting",
    "downloads",
}
MODULES = sorted(path.stem for path in SOURCE.glob("*.py") if path.stem != "__init__")


def imports(module):
    """Names imported anywhere in a module: {'scenecam.images', 'numpy', ...}."""
    found = set()
    for node in ast.walk(ast.parse((SOURCE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = "scenecam" if node.level else ""
            base = ".".join(filter(None, [parent, node.module]))
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def siblings(module):
    inside = {name.split(".")[1] for name in imports(module) if name[:9] == "scenecam."}
    return inside & set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_row_names(module):
    assert module in MAY_IMPORT, f"{module}.py has no row in the table"
    assert siblings(module) <= MAY_IMPORT[module]


@pytest.mark.parametrize("module", MODULES)
def test_only_the_network_modules_import_tensorflow(module):
    heavy = {name.split(".")[0] for name in imports(module)} & {"keras", "tensorflow"}
    assert not heavy or module in TENSORFLOW


@pytest.mark.parametrize("module", MODULES)
def test_the_table_in_contributing_says_the_same(module):
    rows = (ROOT / "CONTRIBUTING.md").read_text().splitlines()
    row = next((line for line in rows if line.startswith(f"| `{module}.py` |")), None)
    assert row is not None, f"CONTRIBUTING.md has no row for {module}.py"
    named = {name.strip() for name in row.split("|")[3].split(",")} - {""}
    assert named == MAY_IMPORT[module]


def test_the_rule_catches_a_wrong_import(tmp_path, monkeypatch):
    (tmp_path / "scenes.py").write_text("from . import data\n")
    monkeypatch.setattr("test_layers.SOURCE", tmp_path)
    assert siblings("scenes") == {"data"}
