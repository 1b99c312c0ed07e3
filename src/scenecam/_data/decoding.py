"""How the bytes of a picture file become RGB pixels: what `images.read_image` runs.

One decoder and one resizer serve every path: a single picture, an uploaded one and a
training batch hold the same pixels. Decoded sets are kept under a key made of this
file's code, so another decoder decodes them again.
"""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Named, so that a file's content never chooses a decoder that runs programs (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

# Decoded, so many pixels take 240 MB; a file of a few kB can claim far more.
MAX_PIXELS = 80_000_000

TOO_LARGE = f"has more than {MAX_PIXELS // 10**6} million pixels. Save it smaller."


def check_size(size) -> tuple[int, int]:
    """Return a size as (height, width), or raise if it is none."""
    pair = np.asarray(size)
    if pair.dtype.kind not in "iu" or pair.shape not in ((), (2,)):
        wanted = "an int or a pair (height, width) of ints"
        raise TypeError(f"size must be {wanted}; received {size!r}.")
    height, width = np.broadcast_to(pair, 2).tolist()
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        wanted = f"at least 1 and at most {MAX_PIXELS // 10**6} million pixels"
        raise ValueError(f"size must be {wanted}; received {size!r}.")
    return height, width


def decode(file, size, name: str) -> np.ndarray:
    """Decode an open binary file to uint8 RGB of shape (h, w, 3), resized if asked.

    Raises ValueError, which calls the picture by its `name`, for what is no whole one.
    """
    size = None if size is None else check_size(size)
    try:
        # Pillow warns about damaged side data (EXIF, palettes), which we read without,
        # and about sizes above its own limit, which lies above ours.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(file, formats=FORMATS)
            reason = _objection(picture)
            if reason is None:
                return resize(_to_rgb(_upright(picture)), size)
    except UnidentifiedImageError:
        file.seek(0)
        start = file.read(8)
        remedy = f"Save it again as one of {', '.join(FORMATS)}."
        reason = f"is no picture, or its beginning is damaged ({start!r}). {remedy}"
        if not start:
            reason = "is empty (0 bytes). Copy or download it again."
    except Image.DecompressionBombError:
        reason = TOO_LARGE
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever the bytes lead them to
        reason = f"is damaged or cut short ({error}). Copy or download it again."
    raise ValueError(f"{name} {reason}")


def resize(picture: Image.Image, size: tuple[int, int] | None) -> np.ndarray:
    """Return a picture's pixels at (height, width), or at its own size for None."""
    if size is not None:
        # No scaled decoding of JPEG (`draft`), though it is faster on large pictures:
        # its pixels are not those that the whole picture gives when resized.
        picture = picture.resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=3)
    return np.array(picture)


def _objection(picture: Image.Image) -> str | None:
    """Say what a header announces that must not be decoded, before it is."""
    if picture.width * picture.height > MAX_PIXELS:
        return TOO_LARGE
    # The further frames of an MPO file are previews of the photograph.
    frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    if frames > 1:
        return f"holds {frames} pictures. Save the one you mean as PNG or JPEG."
    # PNG and PPM keep 16-bit grey, of known range, in mode I.
    if picture.mode == "F" or (picture.mode == "I" and picture.format == "TIFF"):
        return "holds numbers without a known range. Save it with 8 or 16 bits."
    return None


def _upright(picture: Image.Image) -> Image.Image:
    """Decode the pixels, then turn them as the camera was held."""
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Convert any mode to RGB without clipping, and lay transparency on white."""
    if picture.mode.startswith("I"):  # I;16 and its kin, or 16 bits within 32
        # Pillow's own conversion clips at 255, which turns most of a picture white.
        values = np.asarray(picture).astype(np.float32)
        grey = np.rint(values * (255 / 65535)).astype(np.uint8)
        grey[values == picture.info.get("transparency")] = 255
        return Image.fromarray(grey).convert("RGB")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("RGB")
