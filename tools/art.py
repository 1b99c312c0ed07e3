"""Make the book's own pictures: logo, icon, the card shown with links, the front page.

    python tools/art.py [FOLDER]

All but the last are one drawn scene and the class activation map that the shipped
network gives for it, so they are made again by anyone, from a seed. The front page is
that of the built book in Chromium, and left out where that or Playwright is missing
(`make browser` installs the latter), or the chapters see photographs, which no file of
the project shows. The default folder is the one whose files the book ships.
"""

import io
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from scenecam import cam, data, images, models, synth

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"
CLASS_NAME, SEED = "mountain", 3
GAP = 8  # pixels between the panels of the logo
VIEW, SCALE = (1280, 1020), 1.5  # width and height of the front page; pixels for each


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


def front_page(tab, book: Path) -> Image.Image:
    """Photograph the top of a built book's front page, once its explorer is awake."""
    tab.set_viewport_size(dict(zip(("width", "height"), VIEW, strict=True)))
    tab.goto((book / "book" / "intro.html").as_uri())
    tab.wait_for_selector("[data-ready]")
    return Image.open(io.BytesIO(tab.screenshot(animations="disabled"))).convert("RGB")


def photograph(book: Path) -> Image.Image | None:
    """Open a browser for `front_page`; None without one, or without a drawn book."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None or data.scenes_name() != "drawn" or not book.is_dir():
        return None
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=browser, args=["--no-sandbox"]
        )
        taken = front_page(chromium.new_page(device_scale_factor=SCALE), book)
        chromium.close()
    return taken


def main() -> int:
    """Draw all of them into the folder named, or into the book's own."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else STATIC
    plt.switch_backend("agg")
    squares = panels(348)
    small = [np.asarray(Image.fromarray(s).resize((160, 160))) for s in squares]
    logo(small).save(folder / "logo.webp", quality=85, method=6)
    icon(squares[2]).save(folder / "favicon.png", optimize=True)
    card(squares).save(folder / "card.jpg", quality=85, optimize=True)
    taken = photograph(STATIC.parents[1] / "_build" / "html")
    if taken is not None:
        taken.save(folder / "front.webp", quality=80, method=6)
    for name in ("logo.webp", "favicon.png", "card.jpg", "front.webp"):
        if not (folder / name).exists():
            print(f"{folder / name}: left out, without a browser and a drawn book")
            continue
        print(f"{folder / name}: {(folder / name).stat().st_size / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
