"""What chapters keep is what the built pages say.

Outputs are kept with all threads of a machine; the build gives each of the chapters
that run side by side its share of the cores.
"""

import os

import nbformat
import pytest
from conftest import ROOT
from jupyter_cache import get_cache

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


def said(cell):
    """What a cell printed and gave back, as text."""
    found = []
    for output in cell.outputs:
        found.append(output.get("text", output.get("data", {}).get("text/plain", "")))
    return "".join(found).rstrip()


@pytest.mark.skipif(
    os.environ.get("SCENECAM_SCENES", "drawn") != "drawn",
    reason="outputs are kept of the drawn scenes",
)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_build_says_what_the_chapter_keeps(path):
    cache = get_cache(ROOT / "_build" / ".jupyter_cache")
    stored = nbformat.read(path, as_version=4)
    record = cache.match_cache_notebook(stored)
    built = cache.get_cache_bundle(record.pk).nb
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    compared = 0
    for kept, now in zip(code, built.cells, strict=True):
        if "nbval-check-output" in kept.metadata.get("tags", []):
            assert said(now) == said(kept), kept.source
            compared += 1
    assert compared
