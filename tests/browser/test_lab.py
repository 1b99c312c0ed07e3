"""The explorer alive in Jupyter: what a key moves in the browser, Python knows."""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from PIL import Image

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no playwright: run make browser"
)

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "book" / "08-the-explorer.ipynb"
# Keras takes ten seconds to start, and more where other work is going on.
START, ANSWER, RUN = 120, 60, 300
# The programs that people open notebooks with, and where each shows one.
PROGRAMS = {"jupyterlab": "doc/tree", "notebook": "notebooks"}
# Both take cells out of the page while they are not in view.
TRACKER = '{"windowingMode": "none"}'
EXPLORER = """
from scenecam import models, synth
from scenecam.explorer import Explorer
scenes = synth.draw_scenes(2, size=96, seed=0)
explorer = Explorer(models.pretrained("drawn-resnet"), scenes{more})
explorer"""
NOTEBOOKS = {
    "explorer.ipynb": (
        EXPLORER.format(more=""),
        'print("layer:", explorer.layer, "picture:", explorer.image)',
        'explorer.view = "mask"; print("view:", explorer.view)',
    ),
    "own.ipynb": (
        EXPLORER.format(more=", classes=[0, 1]"),
        "explorer.uploader()",
        "explorer.class_search()",
        'print("class:", explorer.class_index, "picture:", explorer.image)',
    ),
    "weight.ipynb": (
        """
import numpy as np
from scenecam.explorer import WeightViewer
rise = np.arange(12.0).reshape(3, 4)
viewer = WeightViewer({"sea": (rise, rise, 0)}, ([5.5, 0], [5.5, 0]), bias=[0, 0],
                      class_names=["sea", "street"], weight_name="weight")
viewer""",
        'print("weight:", viewer.weight)',
        'viewer.weight = 0.5; print("set")',
    ),
}


@pytest.fixture(scope="module", params=PROGRAMS)
def lab(request, tmp_path_factory):
    """The address of a running Jupyter, where it shows a notebook, and its token."""
    program = request.param
    if not importlib.util.find_spec(program):
        pytest.skip(f"no {program}: run make browser")
    folder = tmp_path_factory.mktemp("lab")
    (folder / "work").mkdir()
    kernel = {"name": "python3", "display_name": "Python 3"}
    for name, cells in NOTEBOOKS.items():
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells]
        )
        notebook.metadata["kernelspec"] = kernel
        nbformat.write(notebook, folder / "work" / name)
    shutil.copy(CHAPTER, folder / "work")
    # Nothing of the user's own settings, and nothing written into them.
    own = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    settings = {f"JUPYTER_{name}": str(folder / name) for name in own}
    settings |= {"IPYTHONDIR": str(folder / "ipython"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    settings["PYTHONPATH"] = str(ROOT / "src")
    for name in ("SETTINGS", "WORKSPACES"):
        settings[f"JUPYTERLAB_{name}_DIR"] = str(folder / name)
    extension = folder / "SETTINGS" / "@jupyterlab" / "notebook-extension"
    extension.mkdir(parents=True)
    (extension / "tracker.jupyterlab-settings").write_text(TRACKER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", program, "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", "--ip=127.0.0.1"]
    log = folder / "log.txt"
    with log.open("w") as output:
        server = subprocess.Popen(
            command,
            cwd=folder / "work",
            env=os.environ | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_server(server, address, token, log)
        yield address, f"{address}/{PROGRAMS[program]}", token
    finally:
        server.terminate()
        try:
            server.wait(ANSWER)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_server(server, address, token, log):
    """Ask until the server answers; fail with its log if it ends or never does."""
    until = time.monotonic() + START
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=1)
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.2)
    pytest.fail(f"{server.args[2]} does not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def run(browser, lab):
    """Open a notebook and run it to its end, in a page that reaches nothing else."""
    address, shown_at, token = lab
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(1000 * START)
    asked = []

    def refuse(route):
        asked.append(route.request.url)
        route.abort()

    context.route(lambda url: not url.startswith((address, "data:", "blob:")), refuse)

    def run(name, cells):
        page = context.new_page()
        page.goto(f"{shown_at}/{name}?token={token}&reset")
        # Before the notebook is there the menu is rebuilt.
        page.locator(".jp-CodeCell").nth(cells - 1).wait_for(state="attached")
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
        start_all_cells(page)
        # The number of a cell stands beside it once it has run.
        page.wait_for_function(
            """cells => {
              const prompts = document.querySelectorAll(".jp-CodeCell .jp-InputPrompt");
              const ran = [...prompts].filter(p => /[0-9]/.test(p.textContent));
              return ran.length === cells
                || document.querySelector("[data-mime-type$='.error']");
            }""",
            arg=cells,
            timeout=1000 * RUN,
        )
        page.set_default_timeout(1000 * ANSWER)
        return page

    yield run
    context.close()
    # The widget's script comes from the kernel, its manager from the installed package.
    assert not asked


def start_all_cells(page):
    """Choose Run All Cells; once more if nothing begins.

    A kernel calls itself idle a moment before its notebook is connected to it, and what
    is run in between is lost. A cell that waits for its turn has a star beside it.
    """
    for patience in (2, 5, START):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        with contextlib.suppress(playwright.TimeoutError):
            page.wait_for_function(
                """() => [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")]
                  .some(prompt => /[*0-9]/.test(prompt.textContent))""",
                timeout=1000 * patience,
            )
            return
    pytest.fail("no cell of the notebook begins to run")


def run_cell(page, number):
    """Run a cell again as readers do, and return what it prints."""
    cell = page.locator(".jp-CodeCell").nth(number)
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.text_content()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    # Who goes from writing in a cell to an output loses the focus to the output's cell.
    page.keyboard.press("Escape")
    page.wait_for_function(
        """([number, before]) => {
          const cell = document.querySelectorAll(".jp-CodeCell")[number];
          const now = cell.querySelector(".jp-InputPrompt").textContent;
          return /[0-9]/.test(now) && now !== before
            && cell.querySelector(".jp-OutputArea-output");
        }""",
        arg=[number, before],
    )
    return cell.locator(".jp-OutputArea-output").inner_text().strip()


def wait_for_change(page, before):
    """Wait until the canvas shows something else, and return that."""
    page.wait_for_function(
        """before => document.querySelector(".scenecam figure canvas").toDataURL()
          !== before""",
        arg=before,
    )
    return drawn(page)


def drawn(page):
    canvas = page.locator(".scenecam figure canvas").first
    return canvas.evaluate("canvas => canvas.toDataURL()")


def test_a_key_in_the_browser_moves_a_trait_in_python_and_back(run):
    notebook = run("explorer.ipynb", len(NOTEBOOKS["explorer.ipynb"]))
    notebook.locator(".scenecam[data-ready]").wait_for()
    notebook.get_by_text(re.compile("^view: mask")).wait_for()
    explorer = notebook.locator(".scenecam")
    view = explorer.locator("[data-control=view] select")
    # Python has the last word: the third cell chose the view.
    assert view.locator("option:checked").text_content() == "true mask"
    before = drawn(notebook)
    view.focus()
    notebook.keyboard.press("Home")
    before = wait_for_change(notebook, before)

    slider = explorer.locator("[data-control=layer] input")
    first = slider.get_attribute("aria-valuetext")
    slider.focus()
    notebook.keyboard.press("Home")
    before = wait_for_change(notebook, before)
    layer = slider.get_attribute("aria-valuetext")
    assert layer != first
    assert run_cell(notebook, 1) == f"layer: {layer} picture: 0"

    explorer.locator("[data-control=picture] input").first.focus()
    notebook.keyboard.press("ArrowRight")
    before = wait_for_change(notebook, before)
    assert run_cell(notebook, 1) == f"layer: {layer} picture: 1"

    assert run_cell(notebook, 2) == "view: mask"
    wait_for_change(notebook, before)
    assert view.locator("option:checked").text_content() == "true mask"


def test_a_reader_adds_pictures_and_finds_a_class(run, tmp_path):
    Image.new("RGB", (150, 100), (40, 90, 200)).save(tmp_path / "lake.png")
    (tmp_path / "letter.jpg").write_text("no picture")
    page = run("own.ipynb", len(NOTEBOOKS["own.ipynb"]))
    explorer = page.locator(".scenecam[data-ready]")
    explorer.wait_for()
    assert explorer.locator("[data-control=picture] input").count() == 2
    before = drawn(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add pictures").click()
    chooser.value.set_files([tmp_path / "letter.jpg", tmp_path / "lake.png"])
    # The good one is shown, the other named.
    before = wait_for_change(page, before)
    assert explorer.locator("[data-control=picture] input").count() == 3
    explorer.get_by_text("letter.jpg").wait_for()
    assert run_cell(page, 3) == "class: 0 picture: 2"

    field = page.get_by_label("Find a class")
    field.fill("sea")
    field.press("Enter")
    wait_for_change(page, before)
    assert run_cell(page, 3) == "class: 4 picture: 2"


def test_a_chapter_runs_and_its_slider_moves_the_live_widget(run):
    cells = [
        cell
        for cell in nbformat.read(CHAPTER, as_version=4).cells
        if cell.cell_type == "code" and cell.source.strip()
    ]
    page = run(CHAPTER.name, len(cells))
    assert not page.locator("[data-mime-type$='.error']").all_inner_texts()
    explorer = page.locator(".scenecam[data-ready]").first
    explorer.wait_for()
    before = drawn(page)
    slider = explorer.locator("[data-control=layer] input")
    layer = slider.get_attribute("aria-valuetext")
    slider.focus()
    # The chapter's last cell leaves the slider at one of its ends.
    first = slider.input_value() == slider.get_attribute("min")
    page.keyboard.press("End" if first else "Home")
    wait_for_change(page, before)
    assert slider.get_attribute("aria-valuetext") != layer


def test_a_weight_is_dragged_by_key_and_by_python(run):
    page = run("weight.ipynb", len(NOTEBOOKS["weight.ipynb"]))
    viewer = page.locator(".scenecam[data-ready]")
    viewer.wait_for()
    slider = viewer.get_by_role("slider", name="weight")
    viewer.get_by_text("mean + bias = 8.25").wait_for()  # Python's last word
    before = drawn(page)
    slider.focus()
    page.keyboard.press("End")
    wait_for_change(page, before)
    viewer.get_by_text("mean + bias = 11.0").wait_for()
    assert run_cell(page, 1) == "weight: 1.0"
    assert run_cell(page, 2) == "set"
    viewer.get_by_text("mean + bias = 8.25").wait_for()
    assert slider.get_attribute("aria-valuetext") == "0.5"
