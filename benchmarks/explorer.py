"""Weigh and time the explorer in a built page, in a real browser.

    pip install -r tests/browser/requirements.txt    # once; and Chromium on the path
    python benchmarks/explorer.py

Eight pictures, three stages, six classes, three methods. The weight is all that the
page gains: the explorer's HTML and what Jupyter's widget state says of it. A step of
the layer slider is timed from the event to the end of the redraw, and the first paint
from the start of the page's loading to the frame after the first redraw. Ends with exit
code 1 if a target is missed: 600 KB, 16 ms, 1 s.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from scenecam import data, models
from scenecam.explorer import Explorer

WEIGHT, STEP_MS, PAINT_MS = 600_000, 16, 1000
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>Explorer</title>"

# Set before the page's own scripts: notes when the explorer has been painted.
WATCH = """addEventListener("DOMContentLoaded", () => {
  new MutationObserver((_, watcher) => {
    if (!document.querySelector("[data-ready]")) return;
    watcher.disconnect();
    const painted = () => { window.paintedAt = performance.now(); };
    requestAnimationFrame(() => setTimeout(painted));
  }).observe(document, { subtree: true, attributes: true });
});"""

STEPS = """count => {
  const slider = document.querySelector("[data-control=layer] input");
  const times = [];
  for (let i = 0; i < count; i++) {
    slider.value = i % 3;
    const start = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    // Reading one pixel waits until the canvas has really been drawn.
    document.querySelector("figure canvas").getContext("2d").getImageData(0, 0, 1, 1);
    times.push(performance.now() - start);
  }
  return times;
}"""


def page_weight(explorer: Explorer) -> tuple[int, int]:
    """Bytes of the explorer's HTML, and of its state beside it."""
    state = json.dumps(explorer.get_state(), default=str)
    return len(explorer.to_html().encode()), len(state.encode())


def time_page(path: Path, *, loads: int = 5, steps: int = 300) -> tuple[float, float]:
    """Median times of the first paint and of a step of the slider, in milliseconds."""
    browser_path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox"]
        )
        paints = []
        for _ in range(loads):
            page = browser.new_page()
            page.add_init_script(WATCH)
            page.goto(path.as_uri())
            page.wait_for_function("window.paintedAt")
            paints.append(page.evaluate("window.paintedAt"))
        times = page.evaluate(STEPS, steps)
        browser.close()
    return statistics.median(paints), statistics.median(times)


def main() -> int:
    scenes = data.load_scenes("test", count=60)[:8]
    model = models.pretrained(f"{data.scenes_name()}-resnet")
    explorer = Explorer(model, scenes)
    layers = explorer._header["controls"]["layer"]
    print(f"{len(scenes)} pictures, layers {', '.join(layers)}")
    html, state = page_weight(explorer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "explorer.html"
        path.write_text(PAGE + explorer.to_html())
        paint, step = time_page(path)
    rows = [
        ("page weight", html + state, WEIGHT, "bytes", f"{html:,} + state {state:,}"),
        ("first paint", paint, PAINT_MS, "ms", "median of 5 loads"),
        ("slider step", step, STEP_MS, "ms", "median of 300"),
    ]
    for name, value, target, unit, how in rows:
        print(f"{name:12} {value:>10,.1f} {unit:5} (target {target:,}; {how})")
    return int(any(value > target for _, value, target, _, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
