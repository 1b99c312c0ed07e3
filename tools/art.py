"""Make the book's own pictures: logo, icon, the card shown with links, the explorer.

    python tools/art.py [FOLDER]

All of them are one drawn scene and the class activation map that the shipped network
gives for it, so they are made again by anyone, from a seed. The explorer is looked at
in Chromium, and left out where that or Playwright is missing (`make browser` installs
the latter). The default folder is the one whose files the book ships, `book/_static`.
"""

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from scenecam import cam, explorer, images, models, synth
from scenecam.scenes import SceneSet

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"
CLASS_NAME, SEED = "mountain", 3
GAP = 8  # pixels between the panels of the logo


def panels(size: int) -> list[np.ndarray]:
    """Return the scene, its map in cells, and both superimposed: uint8 RGB squares."""
    network = models.pretrained("drawn-resnet")
    seen, _ = synth.draw_scene(CLASS_NAME, size=96, seed=SEED)  # as it was trained
    scene, _ = synth.draw_scene(CLASS_NAME, size=size, seed=SEED)
    index = synth.CLASS_NAMES.index(CLASS_NAME)
    found = cam.class_maps(network, seen[None], classes=index)["features"][0, 0]
    cells = images.upsample_map(found, size, method="nearest")
    soft = images.unit_map(images.upsample_map(found, size))
    heat = images.colour_map(images.unit_map(cells))
    return [scene, heat, images.overlay(scene, soft)]


def logo(squares: list[np.ndarray]) -> Image.Image:
    """Lay the three panels in a row, with nothing between them on any theme."""
    side = squares[0].shape[0]
    picture = Image.new("RGBA", (3 * side + 2 * GAP, side))
    for place, square in enumerate(squares):
        picture.paste(Image.fromarray(square), (place * (side + GAP), 0))
    return picture


def icon(overlay: np.ndarray, *, side: int = 64) -> Image.Image:
    """Cut the summit out of the overlay: what can be told in a browser's tab."""
    size = overlay.shape[0]
    left, top, width = round(0.2 * size), round(0.22 * size), round(0.6 * size)
    box = (left, top, left + width, top + width)
    return Image.fromarray(overlay).crop(box).resize((side, side), Image.LANCZOS)


def card(squares: list[np.ndarray]) -> Image.Image:
    """Set the book's title over the three panels: 1200 x 630 pixels."""
    fig = plt.figure(figsize=(12, 6.3), dpi=100, facecolor="#14161c")
    names = ("the scene", "where the network\nfound its class", "both")
    for place, (square, name) in enumerate(zip(squares, names, strict=True)):
        ax = fig.add_axes((0.05 + 0.305 * place, 0.05, 0.29, 0.29 * 12 / 6.3))
        ax.imshow(square)
        ax.set_axis_off()
        ax.text(
            *(0.03, 0.03, name.replace("\n", " ")),
            transform=ax.transAxes,
            color="white",
            fontsize=13,
            bbox={"facecolor": "#14161c", "edgecolor": "none", "pad": 4},
        )
    fig.text(0.05, 0.84, "What a Convolutional Network Sees", color="white", size=40)
    line = "Scenes, residual networks, CAM and Grad-CAM: a book that runs"
    fig.text(0.05, 0.74, line, color="#c9ced6", size=21)
    fig.canvas.draw()
    picture = Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert("RGB")
    plt.close(fig)
    return picture


def explorer_picture() -> Image.Image | None:
    """Photograph the explorer as a page shows it; None without a browser."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        return None
    drawn = [
        synth.draw_scene(name, size=96, seed=seed)[0]
        for name, seed in zip(synth.CLASS_NAMES, (2, 5, 1, SEED, 4, 8), strict=True)
    ]
    scenes = SceneSet(np.array(drawn), np.arange(6), synth.CLASS_NAMES)
    shown = explorer.Explorer(models.pretrained("drawn-resnet"), scenes, image=5)
    page = shown.to_html()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        address = Path(folder) / "explorer.html"
        address.write_text(f"<meta charset=utf-8>{page}", encoding="utf-8")
        chromium = driver.chromium.launch(
            executable_path=browser, args=["--no-sandbox"]
        )
        tab = chromium.new_page(
            viewport={"width": 940, "height": 900}, device_scale_factor=1.5
        )
        tab.goto(address.as_uri())
        tab.wait_for_selector("[data-ready]")
        tab.locator("[data-control=compare] select").select_option("1")
        taken = tab.locator(".scenecam").screenshot()
        chromium.close()
    return Image.open(io.BytesIO(taken)).convert("RGB")


def main() -> int:
    """Draw all of them into the folder named, or into the book's own."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else STATIC
    plt.switch_backend("agg")
    squares = panels(348)
    small = [np.asarray(Image.fromarray(s).resize((160, 160))) for s in squares]
    logo(small).save(folder / "logo.webp", quality=85, method=6)
    icon(squares[2]).save(folder / "favicon.png", optimize=True)
    card(squares).save(folder / "card.jpg", quality=85, optimize=True)
    taken = explorer_picture()
    if taken is not None:
        taken.save(folder / "explorer.webp", quality=85, method=6)
    for name in ("logo.webp", "favicon.png", "card.jpg", "explorer.webp"):
        if not (folder / name).exists():
            print(f"{folder / name}: left out, there is no browser or no Playwright")
            continue
        print(f"{folder / name}: {(folder / name).stat().st_size / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
