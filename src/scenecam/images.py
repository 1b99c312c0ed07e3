"""One picture: decode it, check it, lay a class activation map over it, save it.

There is one decoder and one resizer for every path, so a single picture, an uploaded
one and a training batch hold the same pixels. What cannot be decoded faithfully is
refused with a sentence that names the file and the remedy.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageOps, UnidentifiedImageError

# Named, so that a file's content never chooses a decoder that runs programs (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

# Decoded, so many pixels take 240 MB; a file of a few kB can claim far more.
MAX_PIXELS = 80_000_000


class NoEvidence(UserWarning):
    """Some maps hold nothing positive: nothing in the picture speaks for the class.

    Attributes
    ----------
    count : int
        How many maps are without evidence.
    total : int
        Of how many.
    """

    def __init__(self, count: int, total: int):
        self.count, self.total = count, total
        what = "the map has" if total == 1 else f"{count} of {total} maps have"
        super().__init__(
            f"{what} no positive value, no evidence for the class, and will show "
            "nothing. Look at the class that is predicted, or at both signs with "
            "positive=False."
        )


def read_image(path, *, size=None) -> np.ndarray:
    """Read a picture file as RGB.

    Parameters
    ----------
    path : str or path-like
        A JPEG, PNG, WebP, BMP, TIFF, PPM or (still) GIF file.
    size : int or (int, int), optional
        Height and width to resize to, or one number for both; the picture is stretched,
        not cropped. Without it the picture keeps its own size.

    Returns
    -------
    ndarray of shape (h, w, 3), uint8
        Upright as its EXIF orientation says; what is transparent lies on white; 16-bit
        grey is scaled to 8 bits; grey, palette and CMYK are converted to RGB.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the path is a link to nothing.
    ValueError
        If the path is a folder, may not be read, or holds anything but one whole
        picture of at most `MAX_PIXELS` pixels: nothing, a part, an animation, text.
    TypeError
        If `path` is no path, or `size` no number or pair of numbers.
    """
    try:
        path = os.fsdecode(os.fspath(path))
    except TypeError:
        raise TypeError(
            f"path must be the name of a file; received a {type(path).__name__}. "
            "For an array use it as it is; for the bytes of a file use decode_image."
        ) from None
    name = shown_path(path)
    try:
        # Opening a pipe or a device could wait for ever, so look before opening.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ValueError(
                f"{name} is a folder, not a picture. Name one file in it, or use "
                "data.load_folder for all of them."
            )
        if not stat.S_ISREG(mode):
            raise ValueError(f"{name} is no ordinary file. Name a picture file.")
        with open(path, "rb") as file:
            return _decode(file, size, name)
    except FileNotFoundError:
        if os.path.islink(path):
            target = shown_path(os.readlink(path))
            raise FileNotFoundError(
                f"{name} is a link to {target}, which does not exist. Mend the link."
            ) from None
        raise FileNotFoundError(
            f"there is no file {name} (looked from {shown_path(os.getcwd())}). "
            "Check the spelling."
        ) from None
    except PermissionError:
        raise ValueError(
            f"{name} may not be read by this user. Change its permissions."
        ) from None
    except OSError as error:
        raise ValueError(
            f"{name} could not be read: {error.strerror or error}. "
            "Check the disk and the name."
        ) from None


def decode_image(data: bytes, *, size=None, name: str = "picture") -> np.ndarray:
    """Decode the bytes of a picture file: as `read_image`, for what is not on disk.

    Parameters
    ----------
    data : bytes-like
        The whole file, as uploaded.
    size : int or (int, int), optional
        As in `read_image`.
    name : str
        What to call the picture in an error.

    Returns
    -------
    ndarray of shape (h, w, 3), uint8

    Raises
    ------
    ValueError, TypeError
        As in `read_image`.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"data must be the bytes of a picture file; received a "
            f"{type(data).__name__}. For a path use read_image."
        )
    return _decode(io.BytesIO(data), size, name)


def resize_image(image: np.ndarray, size) -> np.ndarray:
    """Resize one picture, with the filter that `read_image` uses.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8
        RGB.
    size : int or (int, int)
        Height and width, or one number for both.

    Returns
    -------
    ndarray of shape (*size, 3), uint8
        Bilinear, averaging over as many pixels as fall into one when it shrinks; a
        picture that has the size already comes back unchanged, as a copy.
    """
    _check_image(image)
    return _to_array(Image.fromarray(image), size)


def bound_image(image: np.ndarray, side: int) -> np.ndarray:
    """Shrink a picture, uint8 (h, w, 3), so that its longest side is at most `side`.

    The aspect ratio stays, to a pixel; a smaller picture comes back unchanged.
    """
    _check_image(image)
    longest = max(image.shape[:2])
    if longest <= side:
        return image
    height, width = (max(1, round(each * side / longest)) for each in image.shape[:2])
    return resize_image(image, (height, width))


def check_images(images, *, name: str = "images") -> None:
    """Raise unless `images` is a batch of pictures: uint8 of shape (n, h, w, 3).

    Raises
    ------
    TypeError
        If it is no array or not uint8.
    ValueError
        If its shape is another one.
    """
    wanted = f"{name} must be uint8 RGB of shape (n, h, w, 3), values 0 to 255"
    if not isinstance(images, np.ndarray):
        raise TypeError(
            f"{wanted}; received a {type(images).__name__}. "
            "Use numpy.stack on a list of pictures of one size."
        )
    if images.ndim == 3 and images.shape[2] == 3:
        raise ValueError(
            f"{wanted}; received one picture of shape {images.shape}. "
            f"Use {name}[None] for a batch of one."
        )
    if images.ndim != 4 or images.shape[3] != 3 or 0 in images.shape[1:3]:
        raise ValueError(f"{wanted}; received shape {images.shape}.")
    if images.dtype != np.uint8:
        raise TypeError(
            f"{wanted}; received {images.dtype}. Pass pictures as decoded: scaling is "
            "the first layer of every model."
        )


def unit_map(class_map: np.ndarray, *, positive=True, limit=None) -> np.ndarray:
    """Scale raw class activation maps to [0, 1] for display.

    Parameters
    ----------
    class_map : ndarray of shape (..., h, w)
        Raw, signed maps.
    positive : bool
        True keeps what speaks for the class: negative values become 0, then the map is
        divided by its maximum. False keeps both signs, for a diverging colour map: 0
        becomes 0.5, and the largest magnitude becomes 0 or 1.
    limit : float, optional
        The value that becomes 1, the same for every map, so that maps can be compared;
        what exceeds it is clipped. Without it every map has its own.

    Returns
    -------
    ndarray of shape (..., h, w), float32
        In [0, 1]. A map with nothing positive gives zeros (one without any value but 0
        gives 0.5 throughout if not `positive`), never NaN.

    Raises
    ------
    ValueError
        If a value is NaN or infinite, or `limit` is negative.

    Warns
    -----
    NoEvidence
        If a map has nothing positive, which is a result and not an error. Not with a
        `limit`: on a scale shared with other maps, dark means what it says.

    Notes
    -----
    The ReLU is that of Grad-CAM, Selvaraju et al. 2017 (arXiv:1610.02391), equation 2.
    """
    values = _check_map(class_map)
    values = values.astype(np.result_type(values, np.float32), copy=False)
    if positive:
        values = np.maximum(values, 0)
    if limit is None:
        top = np.abs(values).max(axis=(-2, -1), keepdims=True)
        if positive and not top.all():
            warnings.warn(NoEvidence(int((top == 0).sum()), top.size), stacklevel=2)
    elif np.isfinite(limit) and limit >= 0:
        top = np.full((1, 1), limit, np.float64)
    else:
        raise ValueError(
            f"limit must be a number from 0 up; received {limit}. "
            "Use the largest positive value of all maps, or None."
        )
    nonzero = np.broadcast_to(top > 0, values.shape)
    scaled = np.zeros(values.shape, np.result_type(values, top))
    with np.errstate(over="ignore"):  # far above a tiny limit is clipped like the rest
        np.divide(values, top, out=scaled, where=nonzero)
    np.clip(scaled, -1, 1, out=scaled)
    if not positive:
        scaled = 0.5 + 0.5 * scaled
    return scaled.astype(np.float32, copy=False)


def upsample_map(class_map: np.ndarray, size, *, method="bilinear") -> np.ndarray:
    """Resize maps of signed values, aligned with the picture they belong to.

    Parameters
    ----------
    class_map : ndarray of shape (..., h, w)
        Finite values of any sign.
    size : int or (int, int)
        Height and width, or one number for both. A smaller one averages.
    method : {"bilinear", "nearest"}
        Nearest shows the cells of the map as they are.

    Returns
    -------
    ndarray of shape (..., height, width), float32
        In the units of `class_map`, between its minimum and maximum.

    Raises
    ------
    ValueError
        If a value is NaN or infinite, or `method` another word.

    Notes
    -----
    Pixel centres lie at halves, as in Pillow and in ``tf.image.resize``, and the edge
    values continue outwards: the map's corners do not drift against the picture's.
    """
    values = _check_map(class_map).astype(np.float32)
    height, width = check_size(size)
    if method == "nearest":
        rows = (np.arange(height) + 0.5) * values.shape[-2] / height
        columns = (np.arange(width) + 0.5) * values.shape[-1] / width
        return values[..., rows.astype(int)[:, None], columns.astype(int)]
    if method != "bilinear":
        raise ValueError(
            f"method must be 'bilinear' or 'nearest'; received {method!r}."
        )
    down = _bilinear_weights(values.shape[-2], height)
    across = _bilinear_weights(values.shape[-1], width)
    return down @ (values @ across.T)


def colour_map(unit: np.ndarray, *, cmap="inferno") -> np.ndarray:
    """Colour maps that are scaled to [0, 1].

    Parameters
    ----------
    unit : ndarray of shape (..., h, w)
        Values in [0, 1], as from `unit_map`.
    cmap : str or matplotlib colormap
        A sequential one whose lightness rises, such as inferno, magma or viridis, so
        that colour-blind readers and grey prints keep the order.

    Returns
    -------
    ndarray of shape (..., h, w, 3), uint8

    Raises
    ------
    ValueError
        If a value lies outside [0, 1] or is NaN, or there is no such colour map.
    """
    values = _check_map(unit, name="unit")
    if values.size and (values.min() < -1e-5 or values.max() > 1 + 1e-5):
        raise ValueError(
            f"unit must lie in 0..1; received {values.min():.6g} to "
            f"{values.max():.6g}. Scale with unit_map first."
        )
    colours = colormaps.get_cmap(cmap)
    table = colours(np.arange(colours.N), bytes=True)[:, :3]
    return table[np.clip(values * colours.N, 0, colours.N - 1).astype(np.intp)]


def overlay(
    image: np.ndarray, unit: np.ndarray, *, opacity: float = 0.5, cmap="inferno"
) -> np.ndarray:
    """Lay a coloured map over its picture.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8
        RGB.
    unit : ndarray of shape (h', w')
        Values in [0, 1]; upsampled if its size is not that of the picture.
    opacity : float
        0 shows the picture alone, 1 the map alone.
    cmap : str or matplotlib colormap
        As in `colour_map`.

    Returns
    -------
    ndarray of shape (h, w, 3), uint8
        ``(1 - opacity) * picture + opacity * colour``, rounded.

    Raises
    ------
    ValueError
        If shapes do not fit, `opacity` is not in 0..1, or `unit` not in 0..1.
    """
    _check_image(image)
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be from 0 to 1; received {opacity}.")
    if np.ndim(unit) != 2:
        raise ValueError(
            f"unit must be one map of shape (h, w); received {np.shape(unit)}."
        )
    if np.shape(unit) != image.shape[:2]:
        unit = upsample_map(unit, image.shape[:2])
    # In float: bytes would wrap around at 256 and round twice.
    blend = (1 - opacity) * image + opacity * colour_map(unit, cmap=cmap)
    return np.rint(blend).astype(np.uint8)


def encode_png(image: np.ndarray) -> bytes:
    """Encode a picture, uint8 (h, w, 3), as PNG: every pixel is kept."""
    _check_image(image)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """Encode a picture, uint8 (h, w, 3), as JPEG of quality 1 (small) to 95 (good)."""
    _check_image(image)
    if not 1 <= quality <= 95:
        raise ValueError(f"quality must be from 1 to 95; received {quality}.")
    buffer = io.BytesIO()
    # Full colour resolution: the edges of a coloured map would smear otherwise.
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def save_image(path, image: np.ndarray) -> Path:
    """Write a picture as .png, .jpg or .jpeg, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        Its ending chooses the format. A file of that name is replaced.
    image : ndarray of shape (h, w, 3), uint8
        RGB.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    ValueError
        If the name has another ending.
    FileNotFoundError
        If the folder does not exist.
    """
    path = Path(path)
    encoders = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}
    if path.suffix.lower() not in encoders:
        raise ValueError(
            f"{shown_path(path)} must end in .png, .jpg or .jpeg, the formats to write."
        )
    data = encoders[path.suffix.lower()](image)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"the folder {shown_path(path.parent)} does not exist. Create it first."
        )
    # A reader, or the next run after a kill, must never find half a picture.
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def shown_path(path) -> str:
    """Return a path as text that any terminal can show, whatever bytes it has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _decode(file, size, name: str) -> np.ndarray:
    """Decode an open file; everything above comes here."""
    if size is not None:
        size = check_size(size)
    try:
        # Pillow warns about damaged side data (EXIF, palettes), which we read without,
        # and about sizes above its own limit, which lies above ours.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(file, formats=FORMATS)
            reason = _objection(picture)
            if reason is None:
                return _to_array(_to_rgb(_upright(picture)), size)
    except UnidentifiedImageError:
        file.seek(0)
        start = file.read(8)
        reason = "is empty (0 bytes). Copy or download it again."
        if start:
            reason = (
                f"is no picture, or its beginning is damaged (it is {start!r}). "
                f"Save it again as one of {', '.join(FORMATS)}."
            )
    except Image.DecompressionBombError:
        reason = _TOO_LARGE
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever the bytes lead them to
        reason = f"is damaged or cut short ({error}). Copy or download it again."
    raise ValueError(f"{name} {reason}")


_TOO_LARGE = (
    f"has more than {MAX_PIXELS // 1_000_000} million pixels, more than is safe to "
    "decode. Save it smaller."
)


def _objection(picture: Image.Image) -> str | None:
    """Say what a header announces that must not be decoded, before it is."""
    if picture.width * picture.height > MAX_PIXELS:
        return _TOO_LARGE
    # The further frames of an MPO file are previews of the photograph.
    frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    if frames > 1:
        return (
            f"is an animation or a stack of {frames} pictures. "
            "Save the one you mean as PNG or JPEG."
        )
    # PNG and PPM keep 16-bit grey, of known range, in mode I.
    if picture.mode == "F" or (picture.mode == "I" and picture.format == "TIFF"):
        return (
            "holds numbers without a known range (32 bits or signed). "
            "Save it with 8 or 16 bits."
        )
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
        key = picture.info.get("transparency")
        if isinstance(key, int):
            grey[values == key] = 255
        return Image.fromarray(grey).convert("RGB")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return picture.convert("RGB")


def _to_array(picture: Image.Image, size) -> np.ndarray:
    if size is not None:
        height, width = check_size(size)
        # No scaled decoding of JPEG (`draft`), though it is faster on large pictures:
        # its pixels are not those that the whole picture gives when resized.
        picture = picture.resize(
            (width, height), Image.Resampling.BILINEAR, reducing_gap=3.0
        )
    return np.array(picture)


def check_size(size) -> tuple[int, int]:
    """Return a size as (height, width), or raise if it is none."""
    pair = (size, size) if np.ndim(size) == 0 else tuple(size)
    whole = all(isinstance(side, (int, np.integer)) for side in pair)
    if len(pair) != 2 or not whole or any(isinstance(side, bool) for side in pair):
        raise TypeError(
            f"size must be an int or a pair (height, width) of ints; received {size!r}."
        )
    if min(pair) < 1 or pair[0] * pair[1] > MAX_PIXELS:
        raise ValueError(
            f"size must be at least 1 and at most {MAX_PIXELS // 1_000_000} million "
            f"pixels; received {size!r}."
        )
    return int(pair[0]), int(pair[1])


def _check_image(image) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"image must be a uint8 array of shape (h, w, 3); got {kind}.")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image must have shape (h, w, 3); received {image.shape}.")


def _check_map(class_map, *, name: str = "class_map") -> np.ndarray:
    values = np.asarray(class_map)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers; received {values.dtype}.")
    if values.ndim < 2 or 0 in values.shape[-2:]:
        raise ValueError(
            f"{name} must have shape (..., h, w); received {values.shape}."
        )
    bad = values.size - np.count_nonzero(np.isfinite(values))
    if bad:
        raise ValueError(
            f"{name} holds {bad} values of {values.size} that are NaN or infinite. "
            "Look for them in the model's weights or in the pictures."
        )
    return values


def _bilinear_weights(source: int, target: int) -> np.ndarray:
    """Return the (target, source) matrix that resizes one axis."""
    step = source / target
    centres = (np.arange(target) + 0.5) * step - 0.5
    # When it shrinks the triangle widens, so that no value is passed over.
    distances = np.abs(np.arange(source) - centres[:, None]) / max(step, 1.0)
    weights = np.maximum(1 - distances, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)
