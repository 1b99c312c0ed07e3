"""How the bytes of a picture file become RGB pixels: what `images.read_image` runs.

One decoder and one resizer serve every path: a single picture, an uploaded one and a
training batch hold the same pixels. Decoded sets are kept under a key made of this
file's code, so another decoder decodes them again.

What cannot be seen: damage that leaves a valid file. Neither JPEG nor lossy WebP, nor
TIFF, BMP and PPM, has a checksum. In JPEG a longer run of wrong bytes shows nearly
always, because the number of pixels no longer fits; a single wrong bit often does not.
"""

import functools
import io
import re
import warnings
from contextlib import suppress

import numpy as np
import PIL
import simplejpeg
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

# Named, so that a file's content never chooses a decoder that runs programs (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

# Whose decoding it is: kept sets are decoded again by others.
DECODERS = (PIL.__version__, simplejpeg.__version__)

# Decoded, so many pixels take 240 MB; a file of a few kB can claim far more.
MAX_PIXELS = 80_000_000

TOO_LARGE = f"has more than {MAX_PIXELS // 10**6} million pixels. Save it smaller."

AGAIN = "Copy or download it again."

# What Pillow calls the formats that are JPEG, and simplejpeg their modes.
JPEG = ("JPEG", "MPO")
JPEG_COLOURS = {"L": "GRAY", "CMYK": "CMYK"}

# Markers of JPEG (ITU T.81, table B.1): those that begin no segment, and the segments
# that hold notes: of applications, but for Adobe's on colour (0xee), and comments.
START_OF_SCAN = 0xDA
NO_SEGMENT = {0x00, 0x01, 0xFF, *range(0xD0, 0xD8)}
NOTES = {*range(0xE0, 0xEE), 0xEF, 0xFE}

SRGB = ImageCms.createProfile("sRGB")

# What a profile's colours are -> how the modes begin of pictures that it can be for.
PICTURES_OF = {"RGB": "RPL1I", "GRAY": "L1I", "CMYK": "C"}

# What simplejpeg does not decode, though it may be whole.
UNUSUAL = re.compile("subsampling level|Unknown Adobe|SOS parameters|color conversion")


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
            warnings.filterwarnings("ignore", module="PIL")
            picture = Image.open(file, formats=FORMATS)
            reason = _objection(picture, file)
            if reason is None:
                picture = _load(picture, file)
                with suppress(Exception):  # damaged EXIF says nothing about the pixels
                    ImageOps.exif_transpose(picture, in_place=True)  # upright
                return resize(_to_rgb(picture, name), size)
    except UnidentifiedImageError:
        file.seek(0)
        start = file.read(8)
        remedy = f"Save it again as one of {', '.join(FORMATS)}."
        reason = f"is no picture, or its beginning is damaged ({start!r}). {remedy}"
        if not start:
            reason = f"is empty (0 bytes). {AGAIN}"
    except Image.DecompressionBombError:
        reason = TOO_LARGE
    except (MemoryError, Warning):
        raise
    except Exception as error:  # decoders raise whatever the bytes lead them to
        remedy = "If a viewer shows it whole, save it again there."
        reason = f"is damaged or cut short ({error}). {AGAIN} {remedy}"
    raise ValueError(f"{name} {reason}")


def resize(picture: Image.Image, size: tuple[int, int] | None) -> np.ndarray:
    """Return a picture's pixels at (height, width), or at its own size for None."""
    if size is not None:
        # No scaled decoding of JPEG (`draft`), though it is faster on large pictures:
        # its pixels are not those that the whole picture gives when resized.
        picture = picture.resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=3)
    return np.array(picture)


def _objection(picture: Image.Image, file) -> str | None:
    """Say what a header announces that must not be decoded, before it is."""
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        return TOO_LARGE
    if picture.format in JPEG:
        # The further frames of an MPO file are previews of the photograph. A block of
        # 8 x 8 pixels takes a bit or more.
        if pixels > 8 * 64 * file.seek(0, io.SEEK_END):
            return f"is damaged: so few bytes cannot hold its {pixels} pixels. {AGAIN}"
        return None
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        return f"holds {frames} pictures. Save the one you mean as PNG or JPEG."
    # PNG and PPM keep 16-bit grey, of known range, in mode I.
    if picture.mode == "F" or (picture.mode == "I" and picture.format == "TIFF"):
        return "holds numbers without a known range. Save it with 8 or 16 bits."
    return None


def _load(picture: Image.Image, file) -> Image.Image:
    """Decode the pixels; raise for damage that Pillow passes over without a word."""
    if picture.format in JPEG:
        file.seek(0)
        pixels = _decode_jpeg(_bare_jpeg(file.read(), picture.info), picture.mode)
        if pixels is not None:
            layout = "CMYK;I" if picture.mode == "CMYK" else picture.mode
            about = picture.mode, picture.size, pixels.data, "raw", layout
            info, picture = picture.info, Image.frombytes(*about)
            picture.info = info
    elif picture.format == "TIFF":
        _check_tiff(picture, file)
    elif picture.format == "PNG":
        # Rows that the file lacks keep what lay there before, here and in what follows.
        ground = Image.new(picture.mode, picture.size, 90)
        picture.im = ground.im
        last = (0, picture.height - 1, *picture.size)
        lacking = ground.crop(last).tobytes()
        picture.load()
        if picture.info.get("interlace") or picture.crop(last).tobytes() == lacking:
            if Image.open(file, formats=["PNG"]).tobytes() != picture.tobytes():
                raise ValueError("its rows end early")
    picture.load()
    return picture


def _decode_jpeg(data: bytes, mode: str) -> np.ndarray | None:
    """Decode as Pillow does, but raise where libjpeg warns; None if it is unusual."""
    try:
        return simplejpeg.decode_jpeg(data, JPEG_COLOURS.get(mode, "RGB"))
    except ValueError as error:
        if UNUSUAL.search(str(error)):
            return None
        raise


def _bare_jpeg(data: bytes, info: dict) -> bytes:
    """Leave out what precedes the pixels without bearing on them.

    Oddities of such notes are harmless, but libjpeg warns of one thing only, the first.
    """
    jfif = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" if "jfif" in info else b""
    kept, at = [b"\xff\xd8", jfif], 2
    while (at := data.index(b"\xff", at)) and (marker := data[at + 1]) != START_OF_SCAN:
        if marker in NO_SEGMENT:
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker not in NOTES:
            kept.append(data[at:end])
        at = end
    return b"".join((*kept, data[at:]))


def _check_tiff(picture: Image.Image, file) -> None:
    """Raise if a TIFF lacks strips, or one that holds JPEG is damaged."""
    tags = picture.tag_v2
    covered = sum((x1 - x0) * (y1 - y0) for _, (x0, y0, x1, y1), *_ in picture.tile)
    if covered % (picture.width * picture.height):
        raise ValueError("its strips do not cover it")
    if tags.get(259) == 7:  # compression: JPEG, its tables apart
        tables = tags.get(347, b"\xff\xd8\xff\xd9")[:-2]
        starts, lengths = ((273, 279), (324, 325))[324 in tags]
        for start, length in zip(tags[starts], tags[lengths], strict=True):
            file.seek(start)
            _decode_jpeg(tables + file.read(length)[2:], picture.mode)


def _to_rgb(picture: Image.Image, name: str) -> Image.Image:
    """Convert any mode to sRGB without clipping, and lay transparency on white."""
    profile, mode = picture.info.get("icc_profile"), picture.mode
    if mode.startswith("I"):  # I;16 and its kin, or 16 bits within 32
        picture = _to_8_bits(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
    if profile:
        try:
            transform = _to_srgb(profile, mode)
        except (OSError, ValueError, ImageCms.PyCMSError) as error:
            what = f"has a colour profile that cannot be used ({error})"
            remedy = "Its colours are taken for sRGB: save it so if they look wrong."
            warnings.warn(f"{name} {what}. {remedy}", stacklevel=4)
            transform = None
        if transform is not None:
            coloured = transform.apply(picture.convert(transform.input_mode))
            if picture.mode == "RGBA":
                coloured.putalpha(picture.getchannel("A"))
            picture = coloured
    if picture.mode == "RGBA":
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """Scale 16-bit grey; Pillow's own conversion clips at 255, which makes it white."""
    tags = getattr(picture, "tag_v2", {})
    top = 2 ** tags.get(258, (16,))[0] - 1  # bits of a sample: 12 are not scaled to 16
    values = np.asarray(picture).astype(np.float32)
    grey = np.rint(values * (255 / top)).astype(np.uint8)
    if tags.get(262) == 0:  # photometric interpretation: white is zero
        grey = 255 - grey
    grey[values == picture.info.get("transparency")] = 255
    return Image.fromarray(grey)


@functools.lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what takes the colours of a profile to sRGB; None if they are sRGB."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if mode[0] not in PICTURES_OF.get(space, ""):
        raise ValueError(f"it is for {space}, the picture is {mode}")
    taken = "L" if space == "GRAY" else space
    transform = ImageCms.buildTransform(source, SRGB, taken, "RGB")
    # sRGB is written in many ways; most photographs with a profile have one of them.
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    probe = np.stack(np.meshgrid(levels, levels, levels), -1)
    colours = Image.fromarray(probe.reshape(len(levels), -1, 3)).convert(taken)
    before = np.asarray(colours.convert("RGB"), np.int16)
    changes = np.abs(before - np.asarray(transform.apply(colours)))
    return transform if changes.max() > 1 else None
