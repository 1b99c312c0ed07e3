"""One picture: read it, check it, lay a class activation map over it, save it.

How a file becomes pixels stands in `scenecam._data.decoding`. What cannot be read
faithfully is refused with a sentence that names the file and the remedy.
"""

import io
import os
import stat
import warnings
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image

from scenecam._data.decoding import check_size, decode, resize
from scenecam._data.whole import whole_file

# By its name matplotlib makes a colormap anew for each map, which outlasts its use.
INFERNO = colormaps["inferno"]


class NoEvidence(UserWarning):
    """Some maps hold nothing positive: nothing in the picture speaks for the class.

    `count` of `total` maps are without evidence.
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
        grey is scaled to 8 bits; grey, palette and CMYK are converted to RGB, and the
        colours of an embedded profile to sRGB.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the path is a link to nothing.
    ValueError
        If the path is a folder, may not be read, or holds anything but one whole
        picture of at most `decoding.MAX_PIXELS`: nothing, a part, an animation, text.
    TypeError
        If `path` is no path, or `size` no number or pair of numbers.

    Warns
    -----
    UserWarning
        If a colour profile cannot be used: the colours are taken for sRGB.

    Notes
    -----
    Damage that leaves a valid file cannot be seen: JPEG, lossy WebP, TIFF, BMP and PPM
    have no checksum. A run of wrong bytes in a JPEG mostly shows, a single bit seldom.
    """
    try:
        name = shown_path(path)
    except TypeError:
        what = f"path must be the name of a file; received a {type(path).__name__}"
        raise TypeError(f"{what}. For the bytes of a file use decode_image.") from None
    try:
        # Opening a pipe or a device could wait for ever, so look before opening.
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                return decode(file, size, name)
        reason = "is no ordinary file. Name a picture file."
        if stat.S_ISDIR(mode):
            reason = "is a folder. Name one file in it, or use data.load_folder."
    except FileNotFoundError:
        if os.path.islink(path):
            raise FileNotFoundError(dead_link(path)) from None
        what = f"there is no file {name} (looked from {shown_path(os.getcwd())})"
        raise FileNotFoundError(f"{what}. Check its name.") from None
    except PermissionError:
        reason = "may not be read by this user. Change its permissions."
    except OSError as error:
        reason = f"could not be read: {error.strerror or error}. Check disk and name."
    raise ValueError(f"{name} {reason}")


def decode_image(data: bytes, *, size=None, name: str = "picture") -> np.ndarray:
    """Decode the bytes of a picture file: as `read_image`, for what is not on disk.

    `data` holds the whole file, as uploaded; errors call the picture by its `name`.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        what = f"data must be the bytes of a file; received a {type(data).__name__}"
        raise TypeError(f"{what}. For a path use read_image.")
    return decode(io.BytesIO(data), size, name)


def resize_image(image: np.ndarray, size) -> np.ndarray:
    """Resize one picture, uint8 (h, w, 3), with the filter that `read_image` uses.

    `size` is a height and width, or one number for both. The filter is bilinear,
    averaging over as many pixels as fall into one when it shrinks; a picture that has
    the size already comes back unchanged, as a copy.
    """
    _check_image(image)
    return resize(Image.fromarray(image), check_size(size))


def bound_image(image: np.ndarray, side: int) -> np.ndarray:
    """Shrink a picture, uint8 (h, w, 3), so that its longest side is at most `side`.

    The aspect ratio stays, to a pixel; a smaller picture comes back unchanged.
    """
    _check_image(image)
    longest = max(image.shape[:2])
    if longest <= side:
        return image
    size = [max(1, round(each * side / longest)) for each in image.shape[:2]]
    return resize_image(image, size)


def check_images(images, *, name: str = "images") -> None:
    """Raise unless `images` is a batch of pictures: uint8 of shape (n, h, w, 3).

    TypeError if it is no array or not uint8, ValueError if its shape is another one.
    """
    wanted = f"{name} must be uint8 RGB of shape (n, h, w, 3); received"
    if not isinstance(images, np.ndarray):
        remedy = "Use numpy.stack on a list of pictures of one size."
        raise TypeError(f"{wanted} a {type(images).__name__}. {remedy}")
    if images.ndim != 4 or images.shape[3] != 3 or 0 in images.shape[1:3]:
        one = images.shape[2:] == (3,)
        remedy = f" Use {name}[None] for a batch of one." if one else ""
        raise ValueError(f"{wanted} shape {images.shape}.{remedy}")
    if images.dtype != np.uint8:
        remedy = "Pass pictures as decoded: every model's first layer scales them."
        raise TypeError(f"{wanted} {images.dtype}. {remedy}")


def check_map(class_map, *, name: str = "class_map") -> np.ndarray:
    """Return maps (..., h, w) as an array; TypeError or ValueError if they are none."""
    values = np.asarray(class_map)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers; received {values.dtype}.")
    if values.ndim < 2 or 0 in values.shape[-2:]:
        raise ValueError(f"{name} must be (..., h, w); received shape {values.shape}.")
    if bad := values.size - np.count_nonzero(np.isfinite(values)):
        what = f"{bad} values of {values.size} that are NaN or infinite"
        raise ValueError(f"{name} holds {what}. Look for them in the model's weights.")
    return values


def unit_map(class_map: np.ndarray, *, positive=True, limit=None) -> np.ndarray:
    """Scale raw class activation maps to [0, 1] for display.

    Parameters
    ----------
    class_map : ndarray of shape (..., h, w)
        Raw, signed maps; ValueError if a value is NaN or infinite.
    positive : bool
        True keeps what speaks for the class: negative values become 0 (the ReLU of
        Grad-CAM, Selvaraju et al. 2017, arXiv:1610.02391, equation 2), then the map is
        divided by its maximum. False keeps both signs, for a diverging colour map: 0
        becomes 0.5, and the largest magnitude becomes 0 or 1.
    limit : float, optional
        The value, not negative, that becomes 1: the same for every map, so that maps
        can be compared. What exceeds it is clipped. Without it every map has its own.

    Returns
    -------
    ndarray of shape (..., h, w), float32
        In [0, 1], never NaN: a map without any value to show is 0 (0.5) throughout.

    Warns
    -----
    NoEvidence
        If a map has nothing positive, which is a result and not an error. Not with a
        `limit`: on a scale shared with other maps, dark means what it says.
    """
    values = check_map(class_map)
    values = values.astype(np.result_type(values, np.float32), copy=False)
    if positive:
        values = np.maximum(values, 0)
    if limit is None:
        top = np.abs(values).max(axis=(-2, -1), keepdims=True)
        if positive and not top.all():
            warnings.warn(NoEvidence(int((top == 0).sum()), top.size), stacklevel=2)
    elif 0 <= limit < np.inf:
        top = np.float64(limit)
    else:
        raise ValueError(f"limit must be a number from 0 up; received {limit}.")
    unit = np.zeros(values.shape, np.result_type(values, top))
    with np.errstate(over="ignore"):  # far above a tiny limit is clipped like the rest
        unit = np.divide(values, top, out=unit, where=top > 0).clip(-1, 1)
    return (unit if positive else 0.5 + 0.5 * unit).astype(np.float32, copy=False)


def upsample_map(class_map: np.ndarray, size, *, method="bilinear") -> np.ndarray:
    """Resize maps of signed values, aligned with the picture they belong to.

    Parameters
    ----------
    class_map : ndarray of shape (..., h, w)
        Finite values of any sign; ValueError otherwise.
    size : int or (int, int)
        Height and width, or one number for both. A smaller one averages.
    method : {"bilinear", "nearest"}
        Nearest shows the cells of the map as they are.

    Returns
    -------
    ndarray of shape (..., height, width), float32
        In the units of `class_map`, between its minimum and maximum.

    Notes
    -----
    Pixel centres lie at halves, as in Pillow and in ``tf.image.resize``, and the edge
    values continue outwards: the map's corners do not drift against the picture's.
    """
    values = check_map(class_map).astype(np.float32)
    height, width = check_size(size)
    if method == "nearest":
        rows = (np.arange(height) + 0.5) * values.shape[-2] / height
        columns = (np.arange(width) + 0.5) * values.shape[-1] / width
        return values[..., rows.astype(int)[:, None], columns.astype(int)]
    if method != "bilinear":
        raise ValueError(f"method is 'bilinear' or 'nearest'; received {method!r}.")
    down = _bilinear_weights(values.shape[-2], height)
    across = _bilinear_weights(values.shape[-1], width)
    return down @ (values @ across.T)


def colour_map(unit: np.ndarray, *, cmap="inferno") -> np.ndarray:
    """Colour maps (..., h, w) in [0, 1], as from `unit_map`: uint8 (..., h, w, 3).

    `cmap` is a matplotlib colormap or its name: a sequential one whose lightness rises
    (inferno, magma, viridis), so that colour-blind readers and grey prints keep the
    order. ValueError for an unknown one, and for values outside [0, 1] or NaN.
    """
    values = check_map(unit, name="unit")
    if values.size and (values.min() < -1e-5 or values.max() > 1 + 1e-5):
        span = f"{values.min():.6g} to {values.max():.6g}"
        raise ValueError(f"unit must lie in 0..1; received {span}. Use unit_map first.")
    colours = INFERNO if cmap == "inferno" else colormaps.get_cmap(cmap)
    return np.ascontiguousarray(colours(values.clip(0.0, 1.0), bytes=True)[..., :3])


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
        From 0, which shows the picture alone, to 1, the map alone.
    cmap : str or matplotlib colormap
        As in `colour_map`.

    Returns
    -------
    ndarray of shape (h, w, 3), uint8
        ``(1 - opacity) * picture + opacity * colour``, rounded.
    """
    _check_image(image)
    if np.ndim(unit) != 2:
        raise ValueError(f"unit must be one map (h, w); received {np.shape(unit)}.")
    if np.shape(unit) != image.shape[:2]:
        unit = upsample_map(unit, image.shape[:2])
    return blend(image, colour_map(unit, cmap=cmap), opacity)


def blend(image: np.ndarray, colours: np.ndarray, opacity: float) -> np.ndarray:
    """As `overlay`, of colours (..., h, w, 3) that are made already."""
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be from 0 to 1; received {opacity}.")
    # In float: bytes would wrap around at 256 and round twice.
    return np.rint((1 - opacity) * image + opacity * colours).astype(np.uint8)


def encode_png(image: np.ndarray) -> bytes:
    """Encode a picture, uint8 (h, w, 3), as PNG: every pixel is kept."""
    return _encode(image, "PNG")


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """Encode a picture, uint8 (h, w, 3), as JPEG of quality 1 (small) to 95 (good)."""
    if not 1 <= quality <= 95:
        raise ValueError(f"quality must be from 1 to 95; received {quality}.")
    # Full colour resolution: the edges of a coloured map would smear otherwise.
    return _encode(image, "JPEG", quality=quality, subsampling=0)


def encode_webp(image: np.ndarray, **options) -> bytes:
    """Encode a picture, uint8 (h, w, 3), as WebP, with Pillow's options for it."""
    return _encode(image, "WEBP", method=6, **options)


def save_image(path, image: np.ndarray) -> Path:
    """Write a picture, uint8 (h, w, 3), whole or not at all; return where it stands.

    The ending of `path` chooses the format: .png, .jpg or .jpeg, or ValueError. A file
    of that name is replaced; FileNotFoundError if the folder does not exist.
    """
    path = Path(path)
    encoders = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}
    if path.suffix.lower() not in encoders:
        raise ValueError(f"{shown_path(path)} must end in .png, .jpg or .jpeg.")
    if not path.parent.is_dir():
        folder = shown_path(path.parent)
        raise FileNotFoundError(f"the folder {folder} does not exist. Create it first.")
    with whole_file(path, shared=True) as partial:
        partial.write_bytes(encoders[path.suffix.lower()](image))
    return path


def shown_path(path) -> str:
    """Return a path as text that any terminal can show, whatever bytes it has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def dead_link(path) -> str:
    """Say of a link that leads nowhere where it should lead to."""
    target = shown_path(os.readlink(path))
    return f"{shown_path(path)} is a link to {target}, which does not exist. Mend it."


def _check_image(image) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"image must be a uint8 array of shape (h, w, 3); got {kind}.")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image must have shape (h, w, 3); received {image.shape}.")


def _bilinear_weights(source: int, target: int) -> np.ndarray:
    """Return the (target, source) matrix that resizes one axis."""
    step = source / target
    centres = (np.arange(target) + 0.5) * step - 0.5
    # When it shrinks the triangle widens, so that no value is passed over.
    distances = np.abs(np.arange(source) - centres[:, None]) / max(step, 1.0)
    weights = np.maximum(1 - distances, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _encode(image: np.ndarray, form: str, **options) -> bytes:
    _check_image(image)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **options)
    return buffer.getvalue()
