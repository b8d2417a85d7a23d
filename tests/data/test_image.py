"""Every odd picture file is made here, byte by byte where no library writes it, and checked by number."""

import errno
import hashlib
import io
import json
import os
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from gantool.data import decode
from gantool.data import image as image_module
from gantool.data.image import (
    list_pictures,
    load_picture,
    save_gif,
    save_mp4,
    save_png,
    to_tensor,
    to_uint8,
)
from gantool.errors import ConfigError, DataError, Diverged, RunError
from gantool.files import atomic_write, read_json, write_json

GREY = "grey repeated to three channels"
ON_WHITE = "transparent pixels were put on white"
TURNED = "turned as its EXIF orientation says"
REDUCED = "16-bit reduced to 8 bits"


def noise(height=6, width=9, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def grey3(values):
    return np.stack([values] * 3, axis=-1).astype(np.uint8)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour_type, raw, *extra):
    """A PNG whose rows are `raw` (bytes of all rows without filter bytes)."""
    stride = len(raw) // max(height, 1)
    rows = b"".join(b"\0" + raw[y * stride : (y + 1) * stride] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = b"".join(chunk(kind, data) for kind, data in extra)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def tiff(order, width, height, raw, *, bits=16, samples=1, photometric=1, kind=1, orientation=1):
    """An uncompressed TIFF of one strip; `order` is "<" or ">", `kind` the SampleFormat."""
    tags = [
        (256, 3, [width]),
        (257, 3, [height]),
        (258, 3, [bits] * samples),
        (259, 3, [1]),
        (262, 3, [photometric]),
        (273, 4, [0]),
        (274, 3, [orientation]),
        (277, 3, [samples]),
        (278, 3, [height]),
        (279, 4, [len(raw)]),
        (339, 3, [kind] * samples),
    ]
    size, after = 8 + 2 + 12 * len(tags) + 4, b""
    entries = b""
    for number, code, values in tags:
        body = struct.pack(order + "HI"[code == 4] * len(values), *values)
        if len(body) > 4:
            body, after = struct.pack(order + "I", size + len(after)), after + body
        entries += struct.pack(order + "HHI", number, code, len(values)) + body.ljust(4, b"\0")
    strip = struct.pack(order + "I", size + len(after))
    entry = struct.pack(order + "HHI", 273, 4, 1)
    entries = entries.replace(entry + bytes(4), entry + strip)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + after + raw


def load_bytes(tmp_path, data, name="odd.png", **options):
    path = tmp_path / name
    path.write_bytes(data)
    return load_picture(path, **options)


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


# Plain files


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("PPM", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_give_the_pixels_without_notes(tmp_path, kind, options):
    pixels = noise()
    data = encoded(Image.fromarray(pixels), kind, **options)
    picture = load_bytes(tmp_path, data, "my-photo.v2.dat")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.notes == ()
    assert (picture.height, picture.width, picture.name) == (6, 9, "my-photo.v2")
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.flags.writeable
    assert picture.path == tmp_path / "my-photo.v2.dat"


def test_ycbcr_jpeg_is_close_to_its_colours(tmp_path):
    flat = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    picture = load_bytes(tmp_path, encoded(Image.fromarray(flat), "JPEG", quality=95), "a.jpg")
    assert np.abs(picture.pixels.astype(int) - flat).max() <= 3
    assert picture.notes == ()


def test_ycbcr_tiff_is_converted(tmp_path):
    grey = Image.merge("YCbCr", [Image.new("L", (5, 4), value) for value in (77, 128, 128)])
    picture = load_bytes(tmp_path, encoded(grey, "TIFF"), "a.tif")
    np.testing.assert_array_equal(picture.pixels, np.full((4, 5, 3), 77))
    assert picture.notes in (("YCbCr converted to RGB",), ())


def test_grey_and_one_bit(tmp_path):
    values = noise(channels=1)
    picture = load_bytes(tmp_path, encoded(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(picture.pixels, grey3(values))
    assert picture.notes == (GREY,)

    bits = (values > 127).astype(np.uint8) * 255
    picture = load_bytes(tmp_path, encoded(Image.fromarray(bits).convert("1", dither=0), "PNG"))
    np.testing.assert_array_equal(picture.pixels, grey3(bits))
    assert picture.notes == (GREY,)


@pytest.mark.parametrize("depth", [2, 4])
def test_grey_of_few_bits_with_a_transparent_value(tmp_path, depth):
    """The key is in the file's own depth: 1 means 85 of 2 bits and 17 of 4."""
    raw = bytes([0b00011011]) if depth == 2 else bytes([0x01, 0xEF])
    samples = np.array([0, 1, 2, 3] if depth == 2 else [0, 1, 14, 15])
    expected = samples * 255 // (2**depth - 1)
    expected[1] = 0  # put on black
    data = png(4, 1, depth, 0, raw, (b"tRNS", struct.pack(">H", 1)))
    picture = load_bytes(tmp_path, data, background="black")
    np.testing.assert_array_equal(picture.pixels, grey3(expected[None]))
    assert picture.notes == (GREY, "transparent pixels were put on black")


def test_cmyk_jpeg_and_tiff(tmp_path):
    """Red = 255 - C - K of the plain conversion, here without K."""
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0], ink[..., 1] = 200, 50
    picture = Image.fromarray(ink, "CMYK")
    expected = np.full((16, 16, 3), (55, 205, 255), np.uint8)
    loaded = load_bytes(tmp_path, encoded(picture, "TIFF"), "a.tif")
    np.testing.assert_array_equal(loaded.pixels, expected)
    assert loaded.notes == ("CMYK converted to RGB",)
    loaded = load_bytes(tmp_path, encoded(picture, "JPEG", quality=100), "a.jpg")
    assert np.abs(loaded.pixels.astype(int) - expected).max() <= 2
    assert loaded.notes == ("CMYK converted to RGB",)


def test_a_mode_without_conversion_is_refused_in_words(tmp_path, monkeypatch):
    def convert(self, mode):
        raise ValueError(f"conversion from {self.mode} to {mode} not supported")

    data = encoded(Image.new("LAB", (4, 4)), "TIFF")
    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(DataError) as caught:
        load_bytes(tmp_path, data, "lab.tif")
    assert caught.value.what.endswith("lab.tif stores its pixels as LAB, which cannot be converted.")
    assert caught.value.hint == "Save it as RGB PNG or JPEG."


# Transparency


def composed(rgba, background):
    alpha = rgba[..., 3:].astype(np.float64) / 255
    return np.floor(rgba[..., :3] * alpha + np.array(background) * (1 - alpha) + 0.5).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "colour"), [("white", (255, 255, 255)), ("black", (0, 0, 0)), ("#102aF0", (16, 42, 240))]
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_composited(tmp_path, name, colour, kind):
    rgba = noise(channels=4)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 255
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    picture = load_bytes(tmp_path, encoded(Image.fromarray(rgba), kind, **options), "a.png", background=name)
    np.testing.assert_array_equal(picture.pixels, composed(rgba, colour))
    assert picture.notes == (f"transparent pixels were put on {name.lower()}",)


def test_opaque_alpha_is_dropped_silently(tmp_path):
    rgba = noise(channels=4)
    rgba[..., 3] = 255
    picture = load_bytes(tmp_path, encoded(Image.fromarray(rgba), "PNG"))
    np.testing.assert_array_equal(picture.pixels, rgba[..., :3])
    assert picture.notes == ()


def test_grey_with_alpha(tmp_path):
    la = noise(channels=2)
    picture = load_bytes(tmp_path, encoded(Image.fromarray(la, "LA"), "PNG"))
    rgba = np.concatenate([grey3(la[..., 0]), la[..., 1:]], axis=2)
    np.testing.assert_array_equal(picture.pixels, composed(rgba, (255, 255, 255)))
    assert picture.notes == (GREY, ON_WHITE)


def palette_picture():
    """Indices 0, 1, 2 are red, green, blue."""
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    picture = Image.fromarray(indices, "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return picture, np.eye(3, dtype=np.uint8)[indices] * 255


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(tmp_path, kind):
    picture, expected = palette_picture()
    loaded = load_bytes(tmp_path, encoded(picture, kind), "p.dat")
    np.testing.assert_array_equal(loaded.pixels, expected)
    assert loaded.notes == ("palette expanded",)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_one_transparent_entry(tmp_path, kind):
    picture, expected = palette_picture()
    loaded = load_bytes(tmp_path, encoded(picture, kind, transparency=1), "p.dat", background="#010203")
    expected[:, 1] = (1, 2, 3)
    np.testing.assert_array_equal(loaded.pixels, expected)
    assert loaded.notes == ("palette expanded", "transparent pixels were put on #010203")


def test_palette_with_alpha_per_entry(tmp_path):
    picture, rgb = palette_picture()
    alphas = np.array([255, 128, 0], np.uint8)
    loaded = load_bytes(tmp_path, encoded(picture, "PNG", transparency=bytes(alphas)))
    rgba = np.concatenate([rgb, alphas[np.asarray(picture)][..., None]], axis=2)
    np.testing.assert_array_equal(loaded.pixels, composed(rgba, (255, 255, 255)))
    assert loaded.notes == ("palette expanded", ON_WHITE)


def test_colour_key_in_rgb(tmp_path):
    pixels = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    picture = load_bytes(tmp_path, encoded(Image.fromarray(pixels), "PNG", transparency=(4, 5, 6)))
    np.testing.assert_array_equal(picture.pixels, [[[1, 2, 3], [255, 255, 255]]])
    assert picture.notes == (ON_WHITE,)


@pytest.mark.parametrize("value", ["grey", "#fff", "#12345g", "", "white "])
def test_bad_background(tmp_path, value):
    with pytest.raises(ConfigError, match="is not a background colour") as caught:
        load_bytes(tmp_path, b"", background=value)
    assert caught.value.exit_code == 2
    assert caught.value.hint == 'Use "white", "black" or "#rrggbb".'


# More than 8 bits

RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)
RAMP8 = grey3(np.floor(RAMP / 257 + 0.5))  # nearest; 257 = 65535 / 255


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", png(256, 256, 16, 0, RAMP.astype(">u2").tobytes())),
        ("little.tif", tiff("<", 256, 256, RAMP.astype("<u2").tobytes())),
        ("big.tif", tiff(">", 256, 256, RAMP.astype(">u2").tobytes())),
        ("a.pgm", b"P5 256 256 65535\n" + RAMP.astype(">u2").tobytes()),
    ],
)
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, name, data):
    picture = load_bytes(tmp_path, data, name)
    np.testing.assert_array_equal(picture.pixels, RAMP8)
    assert picture.notes == (REDUCED, GREY)


def test_16_bit_grey_where_white_is_zero(tmp_path):
    data = tiff("<", 256, 256, RAMP.astype("<u2").tobytes(), photometric=0)
    np.testing.assert_array_equal(load_bytes(tmp_path, data, "a.tif").pixels, 255 - RAMP8)


def test_16_bit_grey_with_a_transparent_value(tmp_path):
    values = np.array([[0, 300, 301, 65535]], ">u2")
    data = png(4, 1, 16, 0, values.tobytes(), (b"tRNS", struct.pack(">H", 300)))
    picture = load_bytes(tmp_path, data, background="#ff0000")
    np.testing.assert_array_equal(picture.pixels, [[[0, 0, 0], [255, 0, 0], [1, 1, 1], [255, 255, 255]]])
    assert picture.notes == (REDUCED, GREY, "transparent pixels were put on #ff0000")


def test_12_bit_grey(tmp_path):
    """Two samples in three bytes: 0xFFF is white and 0x800 is 2048 / 4095 of it."""
    picture = load_bytes(tmp_path, tiff("<", 2, 1, bytes([0xFF, 0xF8, 0x00]), bits=12), "a.tif")
    np.testing.assert_array_equal(picture.pixels[0, :, 0], [255, 128])
    assert picture.notes == ("12-bit reduced to 8 bits", GREY)


@pytest.mark.parametrize(("order", "numbers"), [("<", "<u2"), (">", ">u2")])
def test_16_bit_rgb_tiff(tmp_path, order, numbers):
    values = (noise(4, 5).astype(np.uint16) * 257).astype(numbers)
    data = tiff(order, 5, 4, values.tobytes(), samples=3, photometric=2)
    picture = load_bytes(tmp_path, data, "a.tif")
    np.testing.assert_array_equal(picture.pixels, noise(4, 5))
    assert picture.notes == (REDUCED,)


def test_16_bit_colour_png(tmp_path):
    values = (noise(4, 5).astype(np.uint16) * 257).astype(">u2")
    picture = load_bytes(tmp_path, png(5, 4, 16, 2, values.tobytes()))
    np.testing.assert_array_equal(picture.pixels, noise(4, 5))
    assert picture.notes == (REDUCED,)
    key = (b"tRNS", values[1, 1].tobytes())
    picture = load_bytes(tmp_path, png(5, 4, 16, 2, values.tobytes(), key))
    np.testing.assert_array_equal(picture.pixels[1, 1], [255, 255, 255])
    np.testing.assert_array_equal(picture.pixels[0], noise(4, 5)[0])
    assert picture.notes == (REDUCED, ON_WHITE)
    values = (noise(4, 5, 4).astype(np.uint16) * 257).astype(">u2")
    picture = load_bytes(tmp_path, png(5, 4, 16, 6, values.tobytes()))
    np.testing.assert_array_equal(picture.pixels, composed(noise(4, 5, 4), (255, 255, 255)))
    assert picture.notes == (REDUCED, ON_WHITE)


def test_32_bit_integers_use_their_own_range(tmp_path):
    values = np.array([[-100, 0, 100, 410]], np.int32)  # steps of 100 in 510: 50 of 255
    picture = load_bytes(tmp_path, encoded(Image.fromarray(values), "TIFF"), "a.tif")
    np.testing.assert_array_equal(picture.pixels[0, :, 0], [0, 50, 100, 255])
    assert picture.notes == ("32-bit values from -100 to 410 spread over 0 to 255", GREY)


@pytest.mark.parametrize(
    ("values", "expected", "low", "high"),
    [
        ([0.25, 0.5, 0.75], [64, 128, 191], 0, 1),  # all in [0, 1]: 1 is white; 127.5 rounds to even
        ([-1.0, 0.0, 3.0], [0, 64, 255], -1, 3),
        ([7.0, 7.0, 7.0], [0, 0, 0], 7, 7),
    ],
)
def test_floats(tmp_path, values, expected, low, high):
    picture = load_bytes(tmp_path, encoded(Image.fromarray(np.array([values], np.float32)), "TIFF"), "f.tif")
    np.testing.assert_array_equal(picture.pixels[0, :, 1], expected)
    assert picture.notes == (f"32-bit values from {low} to {high} spread over 0 to 255", GREY)


def test_float_nan_is_refused(tmp_path):
    values = np.array([[0.0, np.nan]], np.float32)
    with pytest.raises(DataError, match=r"holds NaN or infinite values\."):
        load_bytes(tmp_path, encoded(Image.fromarray(values), "TIFF"), "f.tif")


# EXIF orientation

# Where the stored 0th row and 0th column are seen (EXIF 2.3, tag 274).
SEEN = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored_for(upright, orientation):
    """What a camera would store so that, shown as `orientation` says, `upright` is seen."""
    height, width = upright.shape[:2]
    row_side, column_side = SEEN[orientation]
    rows, columns = (height, width) if row_side in ("top", "bottom") else (width, height)
    stored = np.empty((rows, columns, *upright.shape[2:]), upright.dtype)
    for r in range(rows):
        for c in range(columns):
            place = {}
            for side, index in ((row_side, r), (column_side, c)):
                axis = "y" if side in ("top", "bottom") else "x"
                length = height if axis == "y" else width
                place[axis] = index if side in ("top", "left") else length - 1 - index
            stored[r, c] = upright[place["y"], place["x"]]
    return stored


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation(tmp_path, orientation, kind):
    upright = noise(3, 5)
    picture = Image.fromarray(stored_for(upright, orientation))
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    loaded = load_bytes(tmp_path, encoded(picture, kind, exif=exif, **options), "turned.dat")
    np.testing.assert_array_equal(loaded.pixels, upright)
    assert (loaded.height, loaded.width) == (3, 5)
    assert loaded.notes == (() if orientation == 1 else (TURNED,))
    assert loaded.pixels.flags.c_contiguous


@pytest.mark.parametrize("orientation", SEEN)
def test_exif_orientation_of_a_jpeg(tmp_path, orientation):
    upright = np.repeat(np.repeat(noise(2, 3, 1), 16, axis=0), 16, axis=1)
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(Image.fromarray(stored_for(upright, orientation)), "JPEG", quality=100, exif=exif)
    loaded = load_bytes(tmp_path, data, "a.jpg")
    assert np.abs(loaded.pixels.astype(int) - grey3(upright)).max() <= 2


@pytest.mark.parametrize("order", "<>")
def test_exif_orientation_of_a_16_bit_tiff(tmp_path, order):
    stored = stored_for(RAMP[:3, :5] * 128, 6)
    data = tiff(order, 3, 5, stored.astype(order + "u2").tobytes(), orientation=6)
    loaded = load_bytes(tmp_path, data, "a.tif")
    np.testing.assert_array_equal(loaded.pixels[..., 0], np.floor(RAMP[:3, :5] * 128 / 257 + 0.5))
    assert loaded.notes == (REDUCED, GREY, TURNED)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x05\0",
    ],
)
def test_corrupt_exif_is_ignored(tmp_path, exif, recwarn):
    pixels = np.full((8, 8, 3), 128, np.uint8)
    loaded = load_bytes(tmp_path, encoded(Image.fromarray(pixels), "JPEG", exif=exif), "a.jpg")
    assert np.abs(loaded.pixels.astype(int) - 128).max() <= 1
    assert loaded.notes == ()
    assert not recwarn.list


# Animations


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})])
def test_first_frame_of_several(tmp_path, kind, options):
    frames = [Image.new("RGB", (4, 3), (60 * i, 20, 10)) for i in range(4)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    loaded = load_bytes(tmp_path, data, "many.dat")
    np.testing.assert_array_equal(loaded.pixels, np.full((3, 4, 3), (0, 20, 10)))
    assert loaded.notes[0] == "first of 4 frames used"


# What cannot be read


def check_refused(path, sentence, hint="", **options):
    with pytest.raises(DataError) as caught:
        load_picture(path, **options)
    assert caught.value.what == sentence.format(path)
    assert caught.value.hint.startswith(hint.format(path.parent))
    assert caught.value.hint.endswith((".", "?"))
    assert caught.value.exit_code == 1


def test_missing_file_suggests_a_neighbour(tmp_path):
    (tmp_path / "Balloons.JPG").write_bytes(b"x")
    check_refused(tmp_path / "baloons.jpg", "There is no file {}.", "Did you mean {}/Balloons.JPG?")
    check_refused(tmp_path / "zebra", "There is no file {}.", "Check the path.")
    check_refused(tmp_path / "no" / "a.png", "There is no file {}.", "The folder {} does not exist either")
    check_refused(tmp_path / "Balloons.JPG" / "a.png", "There is no file {}.")
    (tmp_path / "link.png").symlink_to("gone.png")
    check_refused(tmp_path / "link.png", "{} is a link to what is not there.", "Mend or remove the link.")


def test_not_a_file(tmp_path):
    check_refused(tmp_path, "{} is a folder, not a picture.", "Name one picture file")
    check_refused(Path("/dev/zero"), "{} is not a regular file.", "Save the picture to a file")
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    check_refused(pipe, "{} is not a regular file.")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(DataError, match=r"^Cannot read .*loop\.png: "):
        load_picture(tmp_path / "loop.png")
    with pytest.raises(DataError, match=r"^Cannot read"):
        load_picture("a\0b.png")


def test_permission_denied(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")

    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(image_module, "open", denied, raising=False)
    check_refused(path, "You may not read {}.", "Check the permissions")


def test_empty_and_enormous_files(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    check_refused(path, "{} is empty (0 bytes).", "Copy or download")
    with open(path, "wb") as file:
        file.truncate((1 << 30) + 1)  # sparse
    started = time.monotonic()
    check_refused(path, "{} is larger than 1 GiB.", "Save the picture")
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize(
    ("data", "seems"),
    [
        (b"hello, this is not a picture", "a text file"),
        (b"Python is nice, says the text", "a text file"),  # "Py" is also how a PFM-like format begins
        ("BMW fährt ".encode() * 300, "a text file"),
        (b"\n<!DOCTYPE html><html>404</html>", "a web page"),
        (b'<?xml version="1.0"?><svg/>', "an SVG drawing"),
        (b"%PDF-1.7\n\xff\xfe", "a PDF document"),
        (b"PK\x03\x04\0\0\0\xff", "a zip archive"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
    ],
)
def test_other_files_are_named(tmp_path, data, seems):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    check_refused(path, "{} is not a picture but seems to be " + seems + ".")


def test_unknown_bytes(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(bytes(range(256)))
    check_refused(path, "{} is not in a picture format that gantool knows.", "gantool reads PNG, JPEG")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("GIF", {}),
        ("BMP", {}),
        ("PPM", {}),
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_cut_off_files_are_refused_or_complete(tmp_path, kind, options, lenient, monkeypatch, capfd):
    """Also when another library told Pillow to accept them."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    data = encoded(Image.fromarray(noise(40, 50)), kind, **options)
    whole = load_bytes(tmp_path, data).pixels
    for length in (3, 9, 17, 30, len(data) // 4, len(data) // 2, len(data) * 9 // 10, len(data) - 30):
        with pytest.raises(DataError) as caught:
            load_bytes(tmp_path, data[:length])
        assert caught.value.what.startswith(str(tmp_path / "odd.png"))
    for length in (len(data) - 20, len(data) - 12, len(data) - 1):  # nothing but an end mark may be missing
        try:
            np.testing.assert_array_equal(load_bytes(tmp_path, data[:length]).pixels, whole)
        except DataError as error:
            assert "is damaged or cut off (" in error.what  # noqa: PT017
    assert lenient is ImageFile.LOAD_TRUNCATED_IMAGES


def test_bomb_is_refused_from_the_header(tmp_path, monkeypatch):
    """A valid 20,000 × 20,000 PNG of zeros: 400 kB that would become 1.2 GB."""
    packer = zlib.compressobj(1)
    rows = bytes(2501) * 500  # one bit per pixel, and the filter byte of each row
    body = b"".join(packer.compress(rows) for _ in range(40)) + packer.flush()
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    limit = Image.MAX_IMAGE_PIXELS
    started = time.monotonic()
    check_refused(
        path,
        "{} is 20000 × 20000, 400.0 megapixels; at most 64.0 are read.",
        "Shrink it to 8000 × 8000 or less",
    )
    assert time.monotonic() - started < 0.5
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_size_allowed_by_the_caller_does_not_meet_pillows_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert load_bytes(tmp_path, encoded(Image.fromarray(noise()), "PNG")).width == 9


def test_sizes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(noise(6, 9)), "PNG"))
    check_refused(path, "{} is 9 × 6; each side needs at least 7 pixels.", "Use a larger", min_side=7)
    check_refused(path, "{} is 9 × 6, 0.0 megapixels; at most 0.0 are read.", "Shrink it to", max_pixels=53)
    assert load_picture(path, min_side=6, max_pixels=54).height == 6
    path.write_bytes(png(0, 5, 8, 0, b""))
    with pytest.raises(DataError, match=r"has no pixels|damaged"):
        load_picture(path)


@pytest.mark.parametrize(
    "error",
    [SyntaxError("bad"), struct.error("bad"), OverflowError("bad"), ValueError("bad."), KeyError("bad")],
)
def test_whatever_a_decoder_raises(tmp_path, error, monkeypatch):
    def fail(_):
        raise error

    monkeypatch.setattr(decode, "load_whole", fail)
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(noise()), "PNG"))
    reason = "'bad'" if isinstance(error, KeyError) else "bad"
    check_refused(path, "{} is damaged or cut off (" + reason + ").", "Copy, download or export")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "{} does not fit into the free memory."),
        (Image.DecompressionBombError(), "{} has more pixels than can be decoded safely."),
        (SyntaxError(), "{} is damaged or cut off (SyntaxError)."),
    ],
)
def test_memory_and_bombs_while_decoding(tmp_path, error, sentence, monkeypatch):
    def fail(_):
        raise error

    monkeypatch.setattr(decode, "load_whole", fail)
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(noise()), "PNG"))
    check_refused(path, sentence)


def test_flipped_bytes_never_escape_as_other_errors(tmp_path, capfd):
    rng = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"):
        data = encoded(Image.fromarray(noise(12, 12)), kind)
        for _ in range(40):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), 4):
                broken[place] = rng.integers(256)
            try:
                load_bytes(tmp_path, bytes(broken), max_pixels=10_000)
            except DataError as error:
                assert error.hint  # noqa: PT017


# Folders


def test_list_pictures_in_natural_order(tmp_path):
    for name in ("10.png", "2.PNG", "a10.jpg", "A9.jpeg", ".hidden.png", "notes.txt", "1.webp"):
        (tmp_path / name).touch()
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "sub" / "3.png").touch()
    (tmp_path / "sub" / ".git" / "4.png").touch()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    names = ["1.webp", "2.PNG", "10.png", "A9.jpeg", "a10.jpg"]
    assert [path.name for path in list_pictures(tmp_path)] == names
    found = [str(path.relative_to(tmp_path)) for path in list_pictures(str(tmp_path), recursive=True)]
    assert found == [*names, "sub/3.png"]
    both = list_pictures([tmp_path / "notes.txt", tmp_path / "sub"])
    assert both == [tmp_path / "notes.txt", tmp_path / "sub" / "3.png"]


def test_list_pictures_says_what_it_found_instead(tmp_path):
    for name in ("a.txt", "b.txt", "c.txt", "d.md", "README"):
        (tmp_path / name).touch()
    with pytest.raises(DataError) as caught:
        list_pictures(tmp_path)
    assert caught.value.what == f"No pictures in {tmp_path} (found 3 .txt, 1 .md, 1 without extension)."
    (tmp_path / "e" / "f").mkdir(parents=True)
    with pytest.raises(DataError, match=r"It has a sub-folder: name that\."):
        list_pictures(tmp_path)
    with pytest.raises(DataError, match=r"found no files\)\. gantool reads PNG"):
        list_pictures(tmp_path / "e", recursive=True)
    with pytest.raises(DataError, match="There is no file"):
        list_pictures([tmp_path / "nothing"])
    with pytest.raises(DataError, match="No pictures were given"):
        list_pictures([])


# Tensors


def test_to_tensor_is_the_formula_in_float32():
    pixels = np.arange(256 * 3, dtype=np.int64).reshape(16, 16, 3).astype(np.uint8)
    tensor = to_tensor(pixels)
    x = pixels.astype(np.float32) / np.float32(255)
    expected = (x - np.float32(0.5)) * np.float32(2)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(tensor[0].permute(1, 2, 0).numpy(), expected)
    assert tensor.min() == -1
    assert tensor.max() == 1
    np.testing.assert_array_equal(to_uint8(tensor)[0], pixels)
    tensor.zero_()
    assert pixels.max() == 255  # no shared memory


def test_to_uint8_clamps_and_rounds():
    step = 2 / 255
    values = torch.tensor([-9, -1, -1 + 0.49 * step, -1 + 0.51 * step, 1 - 0.51 * step, 1, 9, float("inf")])
    result = to_uint8(values.reshape(1, 1, 2, 4))
    np.testing.assert_array_equal(result[0, ..., 1], [[0, 0, 0, 1], [254, 255, 255, 255]])
    assert result.shape == (1, 2, 4, 3)
    assert to_uint8(torch.ones(2, 3, 4, 5, dtype=torch.bfloat16, requires_grad=True)).shape == (2, 4, 5, 3)


def test_tensor_misuse():
    with pytest.raises(Diverged, match="NaN"):
        to_uint8(torch.full((1, 3, 2, 2), float("nan")))
    with pytest.raises(ValueError, match="expected"):
        to_uint8(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match="expected"):
        to_tensor(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="expected"):
        to_tensor(np.zeros((4, 4, 3), np.float32))


# Writing pictures


@pytest.mark.parametrize("channels", [1, 3])
def test_save_png_and_back(tmp_path, channels):
    pixels = noise(channels=channels)
    save_png(pixels[:, ::-1], tmp_path / "a.png")
    expected = pixels if channels == 3 else grey3(pixels)
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png").pixels, expected[:, ::-1])
    assert os.listdir(tmp_path) == ["a.png"]


def test_save_png_asks_before_overwriting(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(RunError, match=r"a\.png exists already\. Choose another name, or add --overwrite"):
        save_png(noise(), path)
    assert path.read_bytes() == b"precious"
    save_png(noise(), path, overwrite=True)
    assert load_picture(path).width == 9
    with pytest.raises(RunError, match=r"Create the folder .*nowhere first\."):
        save_png(noise(), tmp_path / "nowhere" / "a.png")
    with pytest.raises(ValueError, match="expected"):
        save_png(noise().astype(np.float32), path)


def test_save_gif(tmp_path):
    frames = [np.full((8, 10, 3), (40 * i, 255 - 40 * i, 7), np.uint8) for i in range(6)]
    save_gif(frames, tmp_path / "a.gif", fps=30)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.info["loop"] == 0
        assert gif.n_frames == 6
        delays = []
        for index, frame in enumerate(frames):
            gif.seek(index)
            delays.append(gif.info["duration"])
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - frame).max() <= 4
    assert delays == [30, 40, 30, 30, 40, 30]  # 200 ms for 6 frames of 1/30 s
    with pytest.raises(RunError, match="exists already"):
        save_gif(frames, tmp_path / "a.gif", fps=30)


@pytest.mark.parametrize("save", [save_gif, save_mp4])
def test_frames_misuse(tmp_path, save):
    for frames in ([], [noise(4, 4), noise(4, 5)], [noise(4, 4, 1)]):
        with pytest.raises(ValueError, match="expected frames"):
            save(frames, tmp_path / "a", 10)
    with pytest.raises(ValueError, match="fps"):
        save([noise()], tmp_path / "a", 0)


def fake_ffmpeg(tmp_path, monkeypatch, script):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").write_text("#!/bin/sh\n" + script)
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_save_mp4_feeds_even_frames_to_ffmpeg(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/arguments\nfor last; do :; done\ncat > "$last"\n')
    frames = [noise(5, 7, seed=i) for i in range(3)]
    assert save_mp4(frames, tmp_path / "a.mp4", fps=12.5) is True
    raw = np.frombuffer((tmp_path / "a.mp4").read_bytes(), np.uint8).reshape(3, 6, 8, 3)
    np.testing.assert_array_equal(raw[:, :5, :7], frames)
    np.testing.assert_array_equal(raw[:, 5], raw[:, 4])
    np.testing.assert_array_equal(raw[:, :, 7], raw[:, :, 6])
    arguments = (tmp_path / "arguments").read_text()
    assert "-video_size 8x6 -framerate 12.5" in arguments
    assert "-pix_fmt yuv420p" in arguments


def test_save_mp4_failures(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert save_mp4([noise()], tmp_path / "a.mp4", 10) is False
    fake_ffmpeg(tmp_path, monkeypatch, "echo first >&2\necho 'Unknown encoder x.' >&2\nexit 3\n")
    frames = [noise(64, 64)] * 200  # more than a pipe holds: ffmpeg stops reading in the middle
    with pytest.raises(RunError) as caught:
        save_mp4(frames, tmp_path / "a.mp4", 10)
    assert caught.value.what == f"ffmpeg could not write {tmp_path / 'a.mp4'}: Unknown encoder x."
    assert not (tmp_path / "a.mp4").exists()


# Files


def test_atomic_write_keeps_the_old_content_when_writing_fails(tmp_path):
    path = tmp_path / "state.bin"
    atomic_write(path, b"old")

    def half(file):
        file.write(b"new, but only h")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError) as caught:
        atomic_write(path, half)
    assert caught.value.what == f"Cannot write {path}: No space left on device."
    assert caught.value.hint == "Free some space or choose another disk."
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.bin"]

    def interrupted(file):
        file.write(b"new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, interrupted)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_atomic_write_survives_errors_of_each_step(tmp_path, monkeypatch, step):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(RunError, match=r"Cannot write .*: Read-only file system\. Choose a place"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_atomic_write_order_and_permissions(tmp_path, monkeypatch):
    events = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("sync"), real_sync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("replace"), real_replace(a, b)))
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", lambda file: file.write(b"x") and None)
    finally:
        os.umask(old)
    assert events == ["sync", "replace", "sync"]  # the file, the rename, the folder
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    events.clear()
    atomic_write(tmp_path / "a", b"y", sync=False)
    assert events == ["replace"]


def test_atomic_write_targets(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("real")
    atomic_write(link, b"1")
    assert link.is_symlink()
    assert (tmp_path / "real").read_bytes() == b"1"
    with pytest.raises(RunError, match="it is a folder"):
        atomic_write(tmp_path, b"")
    with pytest.raises(RunError, match="it is not a regular file"):
        atomic_write("/dev/null", b"")
    with pytest.raises(RunError, match="Choose a shorter name"):
        atomic_write(tmp_path / ("x" * 300), b"")


def test_without_overwriting_only_one_of_many_writers_wins(tmp_path):
    path, barrier, outcomes = tmp_path / "a", threading.Barrier(8), []

    def write(index):
        barrier.wait()
        try:
            atomic_write(path, bytes([index]), overwrite=False, sync=False)
            outcomes.append(index)
        except RunError as error:
            assert "exists already" in error.what  # noqa: PT017

    threads = [threading.Thread(target=write, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert path.read_bytes() == bytes(outcomes)
    assert os.listdir(tmp_path) == ["a"]


def test_json(tmp_path):
    path = tmp_path / "a.json"
    value = {"é": [1, 0.1, None, True], "b": {"c": "d"}}
    write_json(path, value)
    assert read_json(path) == value
    assert json.loads(path.read_text(encoding="utf-8")) == value
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"loss": float("nan")})
    assert read_json(path) == value
    path.write_text('{\n  "a": 1,\n')
    with pytest.raises(RunError, match=r"a\.json is not valid JSON \(line 3\)\."):
        read_json(path)
    path.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(RunError, match="is not valid JSON"):
        read_json(path)
    with pytest.raises(RunError, match=r"Cannot read .*: No such file or directory"):
        read_json(tmp_path / "b.json")
