"""One decoder for every path, and nothing that is silently wrong."""

import io
import os
import re
import struct
import tracemalloc
import warnings
import zlib

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageCms

from scenecam import images

HEIGHT, WIDTH = 30, 44


def smooth_picture(height=HEIGHT, width=WIDTH):
    """A picture without noise, so that JPEG keeps it nearly as it is."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(5 * x + 2 * y), np.cos(4 * y), np.sin(3 * x * y + 1)]
    return np.rint(127 + 120 * np.stack(waves, -1)).astype(np.uint8)


PICTURE = smooth_picture()
GREY = PICTURE[..., 0]
ALPHA = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)


def encoded(picture, form, **options):
    """The bytes of a Pillow image or an array."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def png_by_hand(samples, colour_type, *, depth=16, claim=None):
    """A PNG written from the specification, for what Pillow does not write."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    height, width = claim or samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    rows = b"".join(
        b"\0" + row.astype(f">u{max(1, depth // 8)}").tobytes() for row in samples
    )
    parts = (
        chunk(b"IHDR", header),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def on_white(colour, alpha):
    """Blend over white from the definition, in floating point."""
    share = alpha[..., None] / 255
    return np.rint(colour * share + 255 * (1 - share))


def grey_to_rgb(grey):
    return np.repeat(np.asarray(grey)[..., None], 3, axis=-1)


def assert_close(received, wanted, tolerance):
    assert received.dtype == np.uint8
    assert received.shape == wanted.shape
    assert np.abs(received.astype(int) - wanted).max() <= tolerance


# --- every path gives the same pixels


@pytest.mark.parametrize("size", [None, 20, (13, 57), (200, 100)])
@pytest.mark.parametrize("shape", [(30, 44), (100, 100), (700, 500)])
def test_file_bytes_and_resized_array_are_the_same_pixels(tmp_path, shape, size):
    data = encoded(smooth_picture(*shape), "JPEG", quality=90)
    path = tmp_path / "a picture.jpg"
    path.write_bytes(data)
    from_file = images.read_image(path, size=size)
    np.testing.assert_array_equal(from_file, images.decode_image(data, size=size))
    np.testing.assert_array_equal(from_file, images.read_image(str(path), size=size))
    if size is not None:
        whole = images.read_image(path)
        np.testing.assert_array_equal(from_file, images.resize_image(whole, size))
    assert from_file.flags.writeable and from_file.flags.c_contiguous


@pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF"])
def test_lossless_formats_come_back_exactly(form):
    np.testing.assert_array_equal(images.decode_image(encoded(PICTURE, form)), PICTURE)


@pytest.mark.parametrize(
    "shape, bounded", [((30, 40), (30, 40)), ((100, 50), (60, 30)), ((1, 900), (1, 60))]
)
def test_a_picture_is_bounded_by_its_longest_side(shape, bounded, rng):
    image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    got = images.bound_image(image, 60)
    assert got.shape == (*bounded, 3)
    np.testing.assert_array_equal(got, images.resize_image(image, bounded))


def test_lossless_webp_and_still_gif_come_back():
    data = encoded(PICTURE, "WEBP", lossless=True)
    np.testing.assert_array_equal(images.decode_image(data), PICTURE)
    palette = Image.fromarray(PICTURE).quantize(255)
    wanted = np.asarray(palette.getpalette()).reshape(-1, 3)[np.asarray(palette)]
    received = images.decode_image(encoded(palette, "GIF"))
    np.testing.assert_array_equal(received, wanted)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_comes_back_nearly(progressive):
    data = encoded(PICTURE, "JPEG", quality=95, subsampling=0, progressive=progressive)
    assert_close(images.decode_image(data), PICTURE, 8)


def test_resizing_to_its_own_size_changes_nothing_and_copies():
    same = images.resize_image(PICTURE, (HEIGHT, WIDTH))
    np.testing.assert_array_equal(same, PICTURE)
    assert not np.shares_memory(same, PICTURE)


def test_shrinking_averages_instead_of_picking():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = images.resize_image(stripes, 8)
    assert_close(small, np.full((8, 8, 3), 127.5), 12)


# --- modes


def test_grey_one_bit_and_rgb_modes():
    grey = images.decode_image(encoded(GREY, "PNG"))
    np.testing.assert_array_equal(grey, grey_to_rgb(GREY))
    bits = Image.fromarray(GREY > 127)
    assert bits.mode == "1"
    received = images.decode_image(encoded(bits, "PNG"))
    np.testing.assert_array_equal(received, grey_to_rgb((GREY > 127) * 255))
    jpeg = images.decode_image(encoded(GREY, "JPEG", quality=95))
    assert_close(jpeg, grey_to_rgb(GREY), 6)


def test_transparent_pixels_lie_on_white():
    rgba = np.dstack([PICTURE, ALPHA])
    assert_close(images.decode_image(encoded(rgba, "PNG")), on_white(PICTURE, ALPHA), 1)
    grey = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])
    wanted = on_white(grey_to_rgb(GREY), ALPHA)
    assert_close(images.decode_image(encoded(grey, "PNG")), wanted, 1)


def test_colour_of_fully_transparent_pixels_does_not_shine_through_when_resized():
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[:, :20] = (255, 0, 0, 0)
    rgba[:, 20:] = (0, 0, 255, 255)
    small = images.decode_image(encoded(rgba, "PNG"), size=10)
    np.testing.assert_array_equal(small[:, 0], np.full((10, 3), 255))
    assert (small[..., 1] >= small[..., 0]).all()  # no red beside the edge


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_palette_with_one_transparent_index(form):
    indices = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8) % 4
    colours = np.array([[10, 20, 30], [200, 0, 0], [0, 150, 0], [1, 2, 250]], np.uint8)
    picture = Image.fromarray(indices).convert("L")
    picture.putpalette(colours.tobytes())
    assert picture.mode == "P"
    np.testing.assert_array_equal(
        images.decode_image(encoded(picture, form)), colours[indices]
    )
    colours[2] = 255
    transparent = encoded(picture, form, transparency=2)
    np.testing.assert_array_equal(images.decode_image(transparent), colours[indices])


def test_palette_with_an_alpha_table():
    indices = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8) % 3
    colours = np.array([[10, 20, 30], [200, 0, 0], [0, 150, 0]], np.uint8)
    alphas = np.array([0, 100, 255], np.uint8)
    picture = Image.fromarray(indices).convert("L")
    picture.putpalette(colours.tobytes())
    data = encoded(picture, "PNG", transparency=alphas.tobytes())
    assert_close(
        images.decode_image(data), on_white(colours[indices], alphas[indices]), 1
    )


def test_a_colour_named_transparent_lies_on_white():
    picture = np.tile(np.array([[[9, 9, 9]], [[80, 90, 99]]], np.uint8), (1, 5, 1))
    wanted = picture.copy()
    wanted[0] = 255
    data = encoded(picture, "PNG", transparency=(9, 9, 9))
    np.testing.assert_array_equal(images.decode_image(data), wanted)
    data = encoded(picture[..., 0], "PNG", transparency=9)
    np.testing.assert_array_equal(
        images.decode_image(data), grey_to_rgb(wanted[..., 0])
    )


WIDE = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)


WIDE_PGM = b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + WIDE.astype(">u2").tobytes()


@pytest.mark.parametrize(
    "data",
    [encoded(WIDE, "PNG"), encoded(WIDE, "TIFF"), WIDE_PGM],
    ids=["PNG", "TIFF", "PGM"],
)
def test_16_bit_grey_is_scaled_not_clipped(data):
    received = images.decode_image(data)
    assert_close(received, grey_to_rgb(WIDE / 257), 0.5 + 1e-6)
    assert len(np.unique(received)) == 256


def test_16_bit_big_endian_tiff_and_hand_made_png():
    big = Image.frombytes("I;16B", (WIDTH, HEIGHT), WIDE.astype(">u2").tobytes())
    for data in (encoded(big, "TIFF"), png_by_hand(WIDE, 0)):
        assert_close(images.decode_image(data), grey_to_rgb(WIDE / 257), 0.5 + 1e-6)


def test_16_bit_grey_with_a_transparent_value():
    data = encoded(WIDE, "PNG", transparency=int(WIDE[3, 4]))
    wanted = grey_to_rgb(WIDE / 257)
    wanted[WIDE == WIDE[3, 4]] = 255
    assert_close(images.decode_image(data), wanted, 0.5 + 1e-6)


def test_16_bit_colour_is_scaled():
    wide = np.stack([WIDE, WIDE[::-1], WIDE[:, ::-1]], -1)
    assert_close(images.decode_image(png_by_hand(wide, 2)), wide / 257, 1)
    opaque = np.dstack([wide, np.full_like(WIDE, 65535)])
    assert_close(images.decode_image(png_by_hand(opaque, 6)), wide / 257, 1)


def test_cmyk_becomes_rgb():
    ink = np.dstack([PICTURE // 2, GREY // 3])
    wanted = (255 - ink[..., :3].astype(float)) * (255 - ink[..., 3:]) / 255
    picture = Image.frombytes("CMYK", (WIDTH, HEIGHT), ink.tobytes())
    assert_close(images.decode_image(encoded(picture, "TIFF")), wanted, 2)
    data = encoded(picture, "JPEG", quality=95, subsampling=0)
    assert_close(images.decode_image(data), wanted, 12)


# How a picture must be stored so that each orientation turns it upright: the inverse of
# what the EXIF standard (CIPA DC-008, tag 0x0112) tells a viewer to do.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_obeyed(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](PICTURE))
    lossless = encoded(stored, "PNG", exif=exif)
    np.testing.assert_array_equal(images.decode_image(lossless), PICTURE)
    jpeg = encoded(stored, "JPEG", exif=exif, quality=95, subsampling=0)
    assert_close(images.decode_image(jpeg), PICTURE, 8)
    wide = np.ascontiguousarray(STORED[orientation](WIDE))
    received = images.decode_image(encoded(wide, "PNG", exif=exif))
    assert_close(received, grey_to_rgb(WIDE / 257), 0.5 + 1e-6)


@pytest.mark.parametrize("block", [b"Exif\0\0MM\0*\0\0", b"Exif\0\0junk", b"Exif\0\0"])
def test_a_damaged_exif_block_does_not_lose_the_picture(block):
    data = encoded(PICTURE, "JPEG", exif=block, quality=95, subsampling=0)
    assert_close(images.decode_image(data), PICTURE, 8)


def test_an_mpo_photograph_is_its_first_frame():
    other = Image.fromarray(255 - PICTURE)
    options = {"save_all": True, "append_images": [other], "quality": 95}
    data = encoded(PICTURE, "MPO", subsampling=0, **options)
    assert_close(images.decode_image(data), PICTURE, 8)


# --- bad input


def refusal(data, **options):
    """The sentence with which bytes are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"^odd name.jpg ") as caught:
            images.decode_image(data, name="odd name.jpg", **options)
    # One sentence, and no decoder's traceback above it.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


def test_zero_bytes():
    assert "is empty" in refusal(b"") and "download it again" in refusal(b"")


def test_text_renamed_to_jpg():
    words = refusal(b"hello, this is a letter")
    assert "no picture" in words and "hello, t" in words and "JPEG, PNG" in words


@pytest.mark.parametrize(
    "form, options",
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("PPM", {}),
    ],
)
def test_a_file_cut_anywhere_is_refused_or_whole(form, options):
    """Never a picture whose lower part is grey."""
    data = encoded(PICTURE, form, **options)
    whole = images.decode_image(data)
    refused = 0
    for end in {*range(0, len(data), max(1, len(data) // 60)), *range(-8, 0)}:
        try:
            received = images.decode_image(data[:end], name="cut")
        except ValueError as error:
            assert str(error).startswith("cut ")
            refused += 1
        else:
            np.testing.assert_array_equal(received, whole)
    assert refused >= 55


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_stacks_are_refused(form):
    frames = [Image.fromarray(np.roll(PICTURE, 9 * i, 1)) for i in range(3)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    assert "3 pictures" in refusal(data) and "as PNG or JPEG" in refusal(data)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_of_unknown_range_are_refused(kind):
    data = encoded(Image.fromarray(WIDE.astype(kind)), "TIFF")
    assert "known range" in refusal(data) and "8 or 16 bits" in refusal(data)


@pytest.mark.parametrize("side", [20_000, 9_200, 60_000])
def test_a_bomb_is_refused_by_its_header(side):
    data = png_by_hand(np.zeros((1, 9), np.uint8), 0, depth=8, claim=(side, side))
    limit = Image.MAX_IMAGE_PIXELS
    filters = list(warnings.filters)
    words = refusal(data, size=96)
    assert "80 million pixels" in words and "Save it smaller" in words
    assert Image.MAX_IMAGE_PIXELS == limit and warnings.filters == filters


def test_a_real_bomb_takes_no_memory(tmp_path):
    """Decoded, it would take 400 MB as grey and 1.2 GB as RGB."""
    path = tmp_path / "bomb.png"
    packed = np.zeros((20_000, 20_000 // 8), np.uint8)
    path.write_bytes(png_by_hand(packed, 0, depth=1, claim=(20_000, 20_000)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="bomb.png has more than"):
        images.read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


SAMPLES = [
    encoded(PICTURE, "JPEG"),
    encoded(PICTURE, "PNG"),
    encoded(PICTURE, "GIF"),
    encoded(PICTURE, "BMP"),
    encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    encoded(PICTURE, "WEBP"),
    encoded(np.dstack([PICTURE, ALPHA]), "PNG"),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=6
    ),
)
def test_damaged_bytes_give_a_picture_or_one_sentence(data, changes):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            received = images.decode_image(damaged, size=16, name="damaged.img")
        except ValueError as error:
            assert str(error).startswith("damaged.img ")
        else:
            assert received.shape == (16, 16, 3) and received.dtype == np.uint8


# --- paths


def test_a_missing_file_is_named_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no file lost.jpg") as caught:
        images.read_image("lost.jpg")
    assert str(tmp_path) in str(caught.value)


def test_a_broken_link_is_told_from_a_missing_file(tmp_path):
    link = tmp_path / "link.jpg"
    link.symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(FileNotFoundError, match="link.jpg is a link to .*gone.jpg"):
        images.read_image(link)


def test_a_link_in_a_circle_is_an_error_with_a_name(tmp_path):
    link = tmp_path / "circle.jpg"
    link.symlink_to(link)
    with pytest.raises(ValueError, match="circle.jpg could not be read"):
        images.read_image(link)


def test_a_folder_is_no_picture(tmp_path):
    (tmp_path / "sea.jpg").mkdir()
    with pytest.raises(ValueError, match="sea.jpg is a folder.*load_folder"):
        images.read_image(tmp_path / "sea.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ValueError, match="pipe.jpg is no ordinary file"):
        images.read_image(tmp_path / "pipe.jpg")


def test_a_file_without_read_permission(tmp_path, monkeypatch):
    path = tmp_path / "closed.jpg"
    path.write_bytes(encoded(PICTURE, "JPEG"))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything: let the system say no for it

        def refuse(*args, **options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ValueError, match="closed.jpg may not be read.*permissions"):
        images.read_image(path)


@pytest.mark.parametrize(
    "name", ["with space.jpg", "Straße am Gletscher ü.jpg", "海.jpg"]
)
def test_any_file_name_is_read(tmp_path, name):
    (tmp_path / name).write_bytes(encoded(PICTURE, "JPEG"))
    assert images.read_image(tmp_path / name).shape == PICTURE.shape


def test_a_name_of_undecodable_bytes_is_read_and_can_be_shown(tmp_path):
    path = os.fsencode(tmp_path) + b"/sea\xff.jpg"
    try:
        with open(path, "wb") as file:
            file.write(encoded(PICTURE, "PNG")[:50])
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(ValueError, match=r"sea\\xff.jpg") as caught:
        images.read_image(path)
    str(caught.value).encode("utf-8")


@pytest.mark.parametrize("path", [None, 3, PICTURE])
def test_a_path_of_another_kind(path):
    with pytest.raises(TypeError, match="name of a file.*decode_image"):
        images.read_image(path)


def test_bytes_of_another_kind():
    with pytest.raises(TypeError, match="bytes.*str.*read_image"):
        images.decode_image("picture.jpg")


@pytest.mark.parametrize("size", [0, -1, (0, 5), (10_000, 10_000)])
def test_a_size_out_of_range(size):
    with pytest.raises(ValueError, match="size must be at least 1"):
        images.decode_image(SAMPLES[0], size=size)


@pytest.mark.parametrize("size", [1.5, "96", (1, 2, 3), True, (4, 5.0)])
def test_a_size_of_another_kind(size):
    with pytest.raises(TypeError, match="size must be an int or a pair"):
        images.decode_image(SAMPLES[0], size=size)


# --- batches


def test_a_batch_passes_the_check():
    images.check_images(PICTURE[None])
    images.check_images(np.zeros((0, 8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    "batch, error, words",
    [
        (PICTURE, ValueError, r"faces\[None\]"),
        (PICTURE[None] / 255, TypeError, "float64.*first layer"),
        (PICTURE[None, ..., :1], ValueError, r"\(1, 30, 44, 1\)"),
        (np.zeros((2, 0, 4, 3), np.uint8), ValueError, r"\(2, 0, 4, 3\)"),
        ([PICTURE], TypeError, "list.*numpy.stack"),
    ],
)
def test_what_is_no_batch_is_refused(batch, error, words):
    with pytest.raises(error, match=f"faces must be uint8 RGB.*{words}"):
        images.check_images(batch, name="faces")


# --- maps

finite = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)
maps = arrays.arrays(
    np.float32, arrays.array_shapes(min_dims=2, max_dims=4), elements=finite
)


@pytest.mark.filterwarnings("ignore::scenecam.images.NoEvidence")
@given(maps)
def test_unit_map_lies_in_0_to_1_and_keeps_order_and_peak(raw):
    unit = images.unit_map(raw)
    assert unit.dtype == np.float32 and unit.shape == raw.shape
    assert unit.min() >= 0 and unit.max() <= 1
    assert (unit[raw <= 0] == 0).all()
    flat = raw.reshape(-1, raw.shape[-2] * raw.shape[-1])
    for values, scaled in zip(flat, unit.reshape(flat.shape), strict=True):
        if values.max() > 0:
            assert scaled[values.argmax()] == 1
        order = np.argsort(values, kind="stable")
        assert (np.diff(scaled[order]) >= 0).all()


@pytest.mark.filterwarnings("ignore::scenecam.images.NoEvidence")
@given(maps, st.floats(1e-3, 1e3))
def test_unit_map_does_not_see_the_scale(raw, factor):
    scaled = raw.astype(np.float64) * factor
    np.testing.assert_allclose(images.unit_map(scaled), images.unit_map(raw), atol=1e-6)


@given(maps)
def test_signed_unit_map_mirrors_at_a_half(raw):
    unit = images.unit_map(raw, positive=False)
    assert unit.min() >= 0 and unit.max() <= 1
    assert (unit[raw == 0] == 0.5).all()
    mirrored = images.unit_map(-raw, positive=False)
    np.testing.assert_allclose(unit + mirrored, 1, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, -0.0, -3.0])
def test_a_map_with_nothing_positive_gives_zeros(value):
    raw = np.full((2, 4, 4), value, np.float32)
    raw[1, 0, 0] = 2
    with pytest.warns(images.NoEvidence, match="1 of 2 maps have no positive") as said:
        unit = images.unit_map(raw)
    assert (unit[0] == 0).all() and unit[1].sum() == 1
    assert (said[0].message.count, said[0].message.total) == (1, 2)
    assert said[0].filename == __file__
    with pytest.warns(images.NoEvidence, match="the map has no positive value"):
        images.unit_map(raw[0])
    # Neither both signs nor a shared scale is a map of which nothing is left.
    images.unit_map(raw, positive=False)
    images.unit_map(raw, limit=2)


@pytest.mark.parametrize("tiny", [1e-45, 1e-38, 5e-324])
def test_the_smallest_and_the_largest_numbers_scale(tiny):
    assert images.unit_map(np.array([[tiny, 0]])).tolist() == [[1, 0]]
    if tiny >= 1e-45:
        single = np.array([[tiny, 0]], np.float32)
        assert images.unit_map(single).tolist() == [[1, 0]]
    huge = np.array([[1.7e308, -1.7e308]])
    assert images.unit_map(huge).tolist() == [[1, 0]]
    assert images.unit_map(huge, positive=False).tolist() == [[1, 0]]
    assert images.unit_map(huge, limit=tiny).tolist() == [[1, 0]]


def test_a_common_limit_makes_maps_comparable_and_clips():
    raw = np.array([[[1.0, -1]], [[2, 0]], [[8, 4]]])
    unit = images.unit_map(raw, limit=4)
    np.testing.assert_array_equal(unit, [[[0.25, 0]], [[0.5, 0]], [[1, 1]]])
    assert (images.unit_map(-np.abs(raw), limit=0) == 0).all()
    for limit in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="limit must be"):
            images.unit_map(raw, limit=limit)


def slow_bilinear(grid, height, width):
    """Interpolate one value after the other, from the definition."""
    out = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            y = (i + 0.5) * grid.shape[0] / height - 0.5
            x = (j + 0.5) * grid.shape[1] / width - 0.5
            y, x = np.clip(y, 0, grid.shape[0] - 1), np.clip(x, 0, grid.shape[1] - 1)
            top, left = int(y), int(x)
            low, right = (
                min(top + 1, grid.shape[0] - 1),
                min(left + 1, grid.shape[1] - 1),
            )
            a, b = y - top, x - left
            out[i, j] = (1 - a) * (
                (1 - b) * grid[top, left] + b * grid[top, right]
            ) + a * ((1 - b) * grid[low, left] + b * grid[low, right])
    return out


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_upsampling_equals_the_definition_and_pillow(data):
    height, width = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    target = (
        height + data.draw(st.integers(0, 20)),
        width + data.draw(st.integers(0, 20)),
    )
    seed = data.draw(st.integers(0, 1000))
    grid = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    received = images.upsample_map(grid, target)
    np.testing.assert_allclose(received, slow_bilinear(grid, *target), atol=1e-5)
    pillow = Image.fromarray(grid).resize(target[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_allclose(received, np.asarray(pillow), atol=1e-5)


@pytest.mark.parametrize("size", [5, (3, 24), (24, 7)])
def test_a_smaller_size_averages_as_pillow_does(rng, size):
    grid = rng.normal(size=(24, 24)).astype(np.float32)
    height, width = images.check_size(size)
    pillow = Image.fromarray(grid).resize((width, height), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(
        images.upsample_map(grid, size), np.asarray(pillow), atol=1e-5
    )


@given(maps, st.integers(1, 12), st.integers(1, 12))
def test_upsampling_keeps_range_sign_shape_and_each_map_apart(raw, height, width):
    received = images.upsample_map(raw, (height, width))
    assert received.shape == (*raw.shape[:-2], height, width)
    assert received.dtype == np.float32
    slack = 1e-5 * np.abs(raw).max()
    assert received.min() >= raw.min() - slack and received.max() <= raw.max() + slack
    for index in np.ndindex(raw.shape[:-2]):
        alone = images.upsample_map(raw[index], (height, width))
        np.testing.assert_allclose(received[index], alone, atol=slack, rtol=1e-5)
    same = images.upsample_map(raw, raw.shape[-2:])
    np.testing.assert_array_equal(same, raw)


def test_nearest_repeats_the_cells():
    grid = np.array([[1, -2], [3, 4]], np.float32)
    received = images.upsample_map(grid, 6, method="nearest")
    np.testing.assert_array_equal(received, np.kron(grid, np.ones((3, 3))))
    with pytest.raises(ValueError, match="'bilinear' or 'nearest'; received 'cubic'"):
        images.upsample_map(grid, 6, method="cubic")


@pytest.mark.parametrize("cmap", ["inferno", "viridis", "tab10"])
def test_colours_are_matplotlibs(cmap, rng):
    unit = rng.random((3, 5, 7)).astype(np.float32)
    unit[0, 0, :2] = 0, 1
    wanted = matplotlib.colormaps[cmap](unit.astype(float), bytes=True)[..., :3]
    received = images.colour_map(unit, cmap=cmap)
    np.testing.assert_array_equal(received, wanted)
    assert received.dtype == np.uint8
    again = images.colour_map(unit, cmap=matplotlib.colormaps[cmap])
    np.testing.assert_array_equal(again, received)


def test_rounding_just_outside_the_unit_range_is_clipped():
    received = images.colour_map(np.array([[-1e-7, 1 + 1e-7]]))
    np.testing.assert_array_equal(received, images.colour_map(np.array([[0.0, 1.0]])))


def test_an_unknown_colour_map_is_named():
    with pytest.raises(ValueError, match="infrno"):
        images.colour_map(np.zeros((2, 2)), cmap="infrno")


@pytest.mark.parametrize("unit", [[[0, 2.0]], [[-0.5, 0]], [[30, -12]]])
def test_a_raw_map_must_be_scaled_before_it_is_coloured(unit):
    with pytest.raises(ValueError, match="unit must lie in 0..1.*unit_map"):
        images.colour_map(np.array(unit))


MAP_FUNCTIONS = [
    images.unit_map,
    lambda values: images.upsample_map(values, 8),
    images.colour_map,
    lambda values: images.overlay(PICTURE, values),
]


@pytest.mark.parametrize("function", MAP_FUNCTIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused_with_its_number(function, bad):
    values = np.zeros((4, 4))
    values[1, :2] = bad
    with pytest.raises(ValueError, match="2 values of 16 that are NaN or infinite"):
        function(values)


@pytest.mark.parametrize("function", MAP_FUNCTIONS[:3])
def test_what_is_no_map_is_refused(function):
    for values in (np.zeros(4), np.zeros((3, 0)), 1.0):
        with pytest.raises(ValueError, match=r"\(\.\.\., h, w\)"):
            function(values)
    with pytest.raises(TypeError, match="real numbers; received complex"):
        function(np.zeros((2, 2), complex))


# --- overlay


@given(st.floats(0, 1), st.integers(0, 100))
def test_overlay_blends_as_its_formula_says(opacity, seed):
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    unit = random.random((6, 9))
    received = images.overlay(picture, unit, opacity=opacity)
    colour = images.colour_map(unit).astype(float)
    wanted = picture * (1 - opacity) + colour * opacity
    assert received.dtype == np.uint8
    assert np.abs(received - wanted).max() <= 0.5 + 1e-9


def test_overlay_at_its_ends_is_the_picture_and_the_map():
    unit = GREY / 255
    np.testing.assert_array_equal(images.overlay(PICTURE, unit, opacity=0), PICTURE)
    np.testing.assert_array_equal(
        images.overlay(PICTURE, unit, opacity=1, cmap="magma"),
        images.colour_map(unit, cmap="magma"),
    )


def test_overlay_upsamples_a_coarse_map_where_it_belongs():
    unit = np.zeros((3, 4))
    unit[0, 3] = 1
    fine = images.upsample_map(unit, (HEIGHT, WIDTH))
    received = images.overlay(PICTURE, unit, opacity=1)
    np.testing.assert_array_equal(received, images.colour_map(fine))
    assert received[0, -1].sum() > received[-1, 0].sum()


@pytest.mark.parametrize("opacity", [-0.1, 1.1, np.nan])
def test_overlay_refuses_an_opacity_that_is_none(opacity):
    with pytest.raises(ValueError, match="opacity must be from 0 to 1"):
        images.overlay(PICTURE, GREY / 255, opacity=opacity)


def test_overlay_takes_one_picture_and_one_map():
    with pytest.raises(ValueError, match="one map"):
        images.overlay(PICTURE, np.zeros((2, 4, 4)))
    with pytest.raises(ValueError, match=r"image must have shape"):
        images.overlay(PICTURE[None], GREY / 255)
    with pytest.raises(TypeError, match="uint8.*float64"):
        images.overlay(PICTURE / 255, GREY / 255)


# --- encoding


@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
)
def test_png_keeps_every_pixel(picture):
    np.testing.assert_array_equal(
        images.decode_image(images.encode_png(picture)), picture
    )


def test_jpeg_keeps_nearly_and_obeys_quality():
    assert_close(images.decode_image(images.encode_jpeg(PICTURE, 95)), PICTURE, 8)
    good, poor = (
        images.encode_jpeg(PICTURE, 95),
        images.encode_jpeg(PICTURE, quality=20),
    )
    assert len(poor) < len(good)
    for quality in (0, 101):
        with pytest.raises(ValueError, match="quality must be"):
            images.encode_jpeg(PICTURE, quality)


@pytest.mark.parametrize("ending", [".png", ".PNG", ".jpg", ".jpeg"])
def test_a_saved_picture_reads_back(tmp_path, ending):
    path = images.save_image(tmp_path / f"a map{ending}", PICTURE)
    assert_close(images.read_image(path), PICTURE, 0 if "png" in ending.lower() else 12)
    assert os.listdir(tmp_path) == [path.name]


def test_a_save_that_fails_leaves_the_old_picture_and_nothing_else(
    tmp_path, monkeypatch
):
    path = images.save_image(tmp_path / "a.png", PICTURE)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        images.save_image(path, 255 - PICTURE)
    np.testing.assert_array_equal(images.read_image(path), PICTURE)
    assert os.listdir(tmp_path) == ["a.png"]


def test_saving_elsewhere_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match=r"a.tiff must end in .png"):
        images.save_image(tmp_path / "a.tiff", PICTURE)
    with pytest.raises(FileNotFoundError, match="folder .*nowhere does not exist"):
        images.save_image(tmp_path / "nowhere" / "a.png", PICTURE)
    with pytest.raises(TypeError, match="uint8"):
        images.save_image(tmp_path / "a.png", PICTURE / 255)


# --- damage in the middle of a whole file


def photograph(size=160):
    """A picture with detail, so that its JPEG data has no long runs."""
    random = np.random.default_rng(3)
    noise = random.normal(0, 25, (size, size, 3))
    return np.clip(smooth_picture(size, size) + noise, 0, 255).astype(np.uint8)


def scan_of(data):
    """Where the entropy-coded bytes of the longest scan begin and end."""
    scans = []
    start = data.find(b"\xff\xda")
    while start >= 0:
        begin = end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        while data[end] != 0xFF or data[end + 1] in {0, *range(0xD0, 0xD8)}:
            end += 1
        scans.append((begin, end))
        start = data.find(b"\xff\xda", end)
    return max(scans, key=lambda scan: scan[1] - scan[0])


def swapped_codes(data, begin, end):
    at = data.find(b"\xff\xc4") + 4 + 17
    return data[:at] + data[at : at + 8][::-1] + data[at + 8 :]


def wrong_restart(data, begin, end):
    places = [i for i in range(begin, end) if data[i : i + 2] in (b"\xff\xd1",)]
    return data[: places[1] + 1] + b"\xd5" + data[places[1] + 2 :]


# Ten kinds; each takes a file and a place in the middle of its longest scan.
DAMAGES = {
    "flipped": lambda d, m: (
        d[:m] + bytes(b ^ 0x5A for b in d[m : m + 64]) + d[m + 64 :]
    ),
    "zeros": lambda d, m: d[:m] + bytes(600) + d[m + 600 :],
    "ones": lambda d, m: d[:m] + b"\xff" * 300 + d[m + 300 :],
    "cut out": lambda d, m: d[:m] + d[m + 700 :],
    "twice": lambda d, m: d[: m + 700] + d[m:],
    "inserted": lambda d, m: d[:m] + b"inserted words, " * 20 + d[m:],
    "swapped": lambda d, m: (
        d[: m - 500] + d[m : m + 500] + d[m - 500 : m] + d[m + 500 :]
    ),
    "a marker": lambda d, m: d[:m] + b"\xff\xd9" + d[m + 2 :],
    "codes": lambda d, m: swapped_codes(d, *scan_of(d)),
    "restart": lambda d, m: wrong_restart(d, *scan_of(d)),
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 4}],
    ids=["baseline", "progressive", "restarts"],
)
def test_jpeg_damaged_in_its_middle_is_refused(kind, options):
    if kind == "restart" and "restart_marker_blocks" not in options:
        pytest.skip("has no restart markers")
    """Not each time: what decodes to as many pixels is a valid file again."""
    data = encoded(photograph(), "JPEG", quality=90, **options)
    begin, end = scan_of(data)
    places = np.linspace(begin + 600, end - 800, 12).astype(int).tolist()
    refused = 0
    for place in places:
        try:
            images.decode_image(DAMAGES[kind](data, place), name="damaged")
        except ValueError as error:
            assert re.match("damaged is .*download it again", str(error))
            refused += 1
    assert refused >= len(places) / 3


def test_damage_shows_behind_an_odd_header_too():
    """An unknown revision of JFIF and stray bytes are harmless by themselves."""
    data = encoded(photograph(), "JPEG", quality=90)
    whole = images.decode_image(data)
    at = data.find(b"JFIF\0")
    odd = data[: at + 5] + b"\0\0" + data[at + 7 :]
    tables = odd.find(b"\xff\xdb")
    odd = odd[:tables] + b"\xff\0stray" + odd[tables:]
    np.testing.assert_array_equal(images.decode_image(odd), whole)
    middle = sum(scan_of(odd)) // 2
    assert "is damaged" in refusal(odd[:middle] + odd[middle + 700 :])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_within_tiff_is_checked(mode):
    picture = Image.fromarray(photograph()).convert(mode)
    options = {"compression": "jpeg", "tiffinfo": {278: 32}, "quality": 90}
    data = encoded(picture, "TIFF", **options)
    assert images.decode_image(data).shape == (160, 160, 3)
    refused = 0
    for place in np.linspace(1000, len(data) - 1500, 12).astype(int).tolist():
        try:
            images.decode_image(DAMAGES["flipped"](data, place))
        except ValueError as error:
            refused += "is damaged" in str(error)
    assert refused >= 6


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "RGB"},
        {"mode": "L"},
        {"mode": "CMYK"},
        {"mode": "RGB", "progressive": True},
        {"mode": "RGB", "keep_rgb": True},
        {"mode": "RGB", "restart_marker_rows": 1},
        {"mode": "RGB", "subsampling": 1},
        {"mode": "RGB", "comment": b"x" * 60_000},
        {"mode": "RGB", "exif": b"Exif\0\0MM\0*\0\0"},
    ],
    ids=str,
)
def test_a_whole_jpeg_has_the_pixels_that_pillow_gives(options):
    picture = Image.fromarray(photograph()).convert(options.pop("mode"))
    data = encoded(picture, "JPEG", **options) + b"a trailer, as phones add" * 99
    plain = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_array_equal(images.decode_image(data), np.asarray(plain))


def test_a_jpeg_that_claims_more_than_its_bytes_hold_takes_no_memory():
    data = bytearray(encoded(PICTURE, "JPEG"))
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 1220, 65_500)
    assert "so few bytes cannot hold" in refusal(bytes(data))


@pytest.mark.parametrize("channels, colour_type", [(1, 0), (3, 2), (4, 6)])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_whose_rows_end_early_is_refused(channels, colour_type, depth):
    samples = np.full((9, 7 * channels), 90)
    whole = png_by_hand(samples, colour_type, depth=depth, claim=(9, 7))
    assert images.decode_image(whole).shape == (9, 7, 3)
    early = png_by_hand(samples[:8], colour_type, depth=depth, claim=(9, 7))
    assert "rows end early" in refusal(early)


def test_a_tiff_that_lacks_a_strip_is_refused():
    data = bytearray(encoded(photograph(64), "TIFF", tiffinfo={278: 16}))
    start = struct.unpack_from("<I", data, 4)[0]
    for at in range(start + 2, start + 2 + 12 * data[start], 12):
        if struct.unpack_from("<H", data, at)[0] in (273, 279):
            struct.pack_into("<I", data, at + 4, 3)
    assert "strips" in refusal(bytes(data))


def test_16_bit_tiff_whose_white_is_zero():
    data = encoded(65535 - WIDE, "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(data)).tag_v2[262] == 0
    assert_close(images.decode_image(data), grey_to_rgb(WIDE / 257), 0.5 + 1e-6)


# --- colour profiles

D50 = np.array([0.9642, 1, 0.8249])


def primaries_to_xyz(*chromaticities):
    """The matrix of three primaries with white D65, adapted to D50 (Bradford)."""
    x, y = np.array([*chromaticities, (0.3127, 0.3290)]).T
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    matrix, white = columns[:, :3], columns[:, 3]
    matrix = matrix * np.linalg.solve(matrix, white)
    cones = np.array(
        [
            [0.8951, 0.2664, -0.1614],
            [-0.7502, 1.7135, 0.0367],
            [0.0389, -0.0685, 1.0296],
        ]
    )
    scale = np.diag(cones @ D50 / (cones @ white))
    return np.linalg.inv(cones) @ scale @ cones @ matrix


SRGB = primaries_to_xyz((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
PROFILES = {
    "Adobe RGB": primaries_to_xyz((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "Display P3": primaries_to_xyz((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    "wide as ProPhoto": primaries_to_xyz((0.73, 0.27), (0.16, 0.84), (0.037, 0.001)),
    "swapped": SRGB[:, [1, 2, 0]],
}
GAMMA = 563 / 256


def profile_by_hand(space, tags):
    """A display profile, written from ICC.1:2001."""
    table, body = b"", b""
    for name, content in tags.items():
        at = 132 + 12 * len(tags) + len(body)
        table += name + struct.pack(">II", at, len(content))
        body += content + bytes(-len(content) % 4)
    size = 132 + len(table) + len(body)
    head = struct.pack(
        ">I4xI4s4s4s12x4s", size, 0x2400000, b"mntr", space, b"XYZ ", b"acsp"
    )
    head += bytes(28) + fixed(D50) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def fixed(values):
    return struct.pack(">3i", *np.rint(np.asarray(values) * 65536).astype(int))


def matrix_profile(matrix):
    curve = b"curv" + struct.pack(">4xIH2x", 1, round(GAMMA * 256))
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(D50)}
    for letter, column in zip("rgb", matrix.T, strict=True):
        tags[f"{letter}XYZ".encode()] = b"XYZ " + bytes(4) + fixed(column)
        tags[f"{letter}TRC".encode()] = curve
    return profile_by_hand(b"RGB ", tags)


def in_srgb(picture, matrix):
    """Convert by the matrices and curves themselves (IEC 61966-2-1)."""
    linear = (picture / 255) ** GAMMA @ matrix.T @ np.linalg.inv(SRGB).T
    linear = linear.clip(0, 1)
    curve = 1.055 * linear ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, curve)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_colour_profile_is_converted_to_srgb(name, form):
    options = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}
    options = options.get(form, {"quality": 95, "subsampling": 0})
    plain = images.decode_image(encoded(photograph(60), form, **options))
    profile = matrix_profile(PROFILES[name])
    data = encoded(photograph(60), form, icc_profile=profile, **options)
    wanted = in_srgb(plain.astype(float), PROFILES[name])
    assert np.abs(wanted - plain).max() > 10
    assert_close(images.decode_image(data), wanted, 1)


def test_a_profile_serves_transparent_grey_and_palette_pictures():
    matrix = PROFILES["Adobe RGB"]
    profile = matrix_profile(matrix)
    rgba = np.dstack([PICTURE, ALPHA])
    wanted = on_white(in_srgb(PICTURE.astype(float), matrix), ALPHA)
    received = images.decode_image(encoded(rgba, "PNG", icc_profile=profile))
    assert_close(received, wanted, 2)
    wanted = in_srgb(grey_to_rgb(GREY).astype(float), matrix)
    received = images.decode_image(encoded(GREY, "PNG", icc_profile=profile))
    assert_close(received, wanted, 1)
    palette = Image.fromarray(PICTURE).quantize(99)
    wanted = in_srgb(np.asarray(palette.convert("RGB")).astype(float), matrix)
    received = images.decode_image(encoded(palette, "PNG", icc_profile=profile))
    assert_close(received, wanted, 1)


def test_a_profile_of_grey_is_converted():
    curve = b"curv" + struct.pack(">4xIH2x", 1, round(GAMMA * 256))
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(D50), b"kTRC": curve}
    profile = profile_by_hand(b"GRAY", tags)
    linear = (GREY / 255) ** GAMMA
    wanted = 1.055 * linear ** (1 / 2.4) - 0.055
    wanted = 255 * np.where(linear <= 0.0031308, 12.92 * linear, wanted)
    received = images.decode_image(encoded(GREY, "PNG", icc_profile=profile))
    assert_close(received, grey_to_rgb(wanted), 2)


def test_srgb_changes_no_pixel():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(PICTURE, "PNG", icc_profile=profile)
    np.testing.assert_array_equal(images.decode_image(data), PICTURE)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_broken_profile_is_passed_over_with_a_word(form):
    whole = matrix_profile(SRGB)
    plain = images.decode_image(encoded(PICTURE, form))
    grey = profile_by_hand(b"GRAY", {})
    for profile in (b"junk", whole[:200], whole[:36] + b"????" + whole[40:], grey):
        data = encoded(PICTURE, form, icc_profile=profile)
        with pytest.warns(UserWarning, match="a.png has a colour profile") as said:
            received = images.decode_image(data, name="a.png")
        assert len(said) == 1 and said[0].filename == __file__
        np.testing.assert_array_equal(received, plain)
