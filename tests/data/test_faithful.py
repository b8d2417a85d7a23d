"""Pictures read and written with all they hold: depth, alpha, profile, EXIF, XMP, resolution."""

import contextlib
import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from gantool.data.faithful import Extras, load_faithful
from gantool.data.faithful_write import KINDS, Form, check_room, encode
from gantool.errors import DataError

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION, EXIF, GPS = 0x0112, 0x8769, 0x8825
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="me"/></x:xmpmeta>'
UPRIGHT = XMP.replace(b'"6"', b'"1"')
WAYS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def noise(channels, dtype=np.uint8, size=(7, 11), seed=0):
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top + 1, (*size, channels)).astype(dtype)


def exif(orientation=6):
    found = Image.Exif()
    found[ORIENTATION] = orientation
    found[0x010F] = "Maker"
    found.get_ifd(EXIF).update({0x829A: 0.01, 0xA002: 11, 0xA003: 7, 0x927C: b"note"})
    found.get_ifd(GPS).update({1: "N", 2: (50.0, 1.0, 2.0)})
    return found


def read(data, tmp_path, name="a.png"):
    path = tmp_path / name
    path.write_bytes(data)
    return load_faithful(path)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_png_and_tiff_hold_comes_back(tmp_path, kind, dtype, channels):
    pixels = noise(channels, dtype)
    written, notes = encode(pixels, Extras(), Form(kind))
    assert notes == []
    if dtype == np.uint16:  # as other libraries read it
        other = imagecodecs.png_decode(written) if kind == "png" else tifffile.imread(io.BytesIO(written))
    else:
        other = np.asarray(Image.open(io.BytesIO(written)))
    np.testing.assert_array_equal(other.reshape(pixels.shape), pixels)
    if dtype == np.uint16 and (kind, channels) == ("tif", 2):  # Pillow, which reads headers, does not know it
        return
    back = read(written, tmp_path, f"a.{kind}")
    assert back.pixels.dtype == dtype
    assert back.notes == ()
    np.testing.assert_array_equal(back.pixels, pixels)


@pytest.mark.parametrize("channels", [3, 4])
def test_webp_keeps_every_level_unless_a_quality_is_given(tmp_path, channels):
    pixels = noise(channels)
    written, _ = encode(pixels, Extras(), Form("webp"))
    np.testing.assert_array_equal(read(written, tmp_path).pixels, pixels)
    assert len(encode(pixels, Extras(), Form("webp", 10))[0]) < len(written)


@pytest.mark.parametrize("kind", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profile_exif_xmp_and_resolution_are_kept_and_the_picture_is_upright(tmp_path, kind, dtype):
    source = io.BytesIO()
    image = Image.fromarray(noise(3))
    image.save(source, "JPEG", exif=exif(), icc_profile=SRGB, xmp=XMP, dpi=(200, 300))
    found = read(source.getvalue(), tmp_path, "a.jpg")
    source.seek(0)
    upright = Image.open(source).transpose(WAYS[6])
    np.testing.assert_array_equal(found.pixels, np.asarray(upright))
    assert found.notes == ("turned as its EXIF orientation says",)
    pixels = found.pixels if dtype == np.uint8 else found.pixels.astype(np.uint16) * 257
    large = pixels.repeat(2, 0).repeat(2, 1)
    written, notes = encode(large, found.extras, Form(kind))
    back = Image.open(io.BytesIO(written))
    back.load()
    assert back.size == (14, 22)
    assert back.info["icc_profile"] == SRGB
    tags = back.getexif()
    assert tags[0x010F] == "Maker"
    assert tags.get(ORIENTATION, 1) == 1
    deep_tiff = dtype == np.uint16 and kind == "tif"
    assert any("camera" in note for note in notes) == deep_tiff
    if not deep_tiff:
        camera = tags.get_ifd(EXIF)
        assert (camera[0xA002], camera[0xA003]) == (14, 22)  # the size that it has now
        assert float(camera[0x829A]) == pytest.approx(0.01)
        assert camera[0x927C] == b"note"
        assert tags.get_ifd(GPS)[1] == "N"
    again = read(written, tmp_path)
    assert again.extras.xmp.rstrip(b"\0") == UPRIGHT
    if kind != "webp":
        assert again.extras.dpi == pytest.approx((200, 300), rel=1e-3)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_every_orientation_is_undone(tmp_path, orientation, deep, kind):
    pixels = noise(3, np.uint16 if deep else np.uint8)
    if kind == "png":
        written = encode(pixels, Extras(exif=exif(orientation)), Form("png"))[0]
    else:
        file = io.BytesIO()
        tags = [(ORIENTATION, 3, 1, orientation, True)]
        tifffile.imwrite(file, pixels, photometric="rgb", extratags=tags, metadata=None)
        written = file.getvalue()
    # Pillow turns 8-bit pictures only: each channel's high byte goes through it.
    high = Image.fromarray((pixels >> 8).astype(np.uint8) if deep else pixels)
    found = read(written, tmp_path)
    shown = (found.pixels >> 8) if deep else found.pixels
    np.testing.assert_array_equal(shown, np.asarray(high.transpose(WAYS[orientation])))


def test_a_transparent_colour_becomes_alpha(tmp_path):
    pixels = noise(3, np.uint16)
    plain = encode(pixels, Extras(), Form("png"))[0]
    keyed = plain[:33] + chunk(b"tRNS", pixels[2, 3].astype(">u2").tobytes()) + plain[33:]
    found = read(keyed, tmp_path).pixels
    assert found.shape == (7, 11, 4)
    assert (found[..., 3] == 0).sum() == 1
    assert found[2, 3, 3] == 0
    little = io.BytesIO()
    Image.fromarray(noise(1)[..., 0]).save(little, "PNG", transparency=int(noise(1)[2, 3, 0]))
    found = read(little.getvalue(), tmp_path).pixels
    assert found.shape == (7, 11, 2)
    assert found[2, 3, 1] == 0
    np.testing.assert_array_equal(found[..., :1], noise(1))


def test_palettes(tmp_path):
    image = Image.fromarray(noise(3)).quantize(16)
    file = io.BytesIO()
    image.save(file, "PNG")
    found = read(file.getvalue(), tmp_path)
    np.testing.assert_array_equal(found.pixels, np.asarray(image.convert("RGB")))
    assert found.notes == ("palette expanded",)
    file = io.BytesIO()
    image.save(file, "GIF", transparency=3)
    found = read(file.getvalue(), tmp_path).pixels
    assert found.shape[2] == 4
    np.testing.assert_array_equal(found[..., 3] == 0, np.asarray(image) == 3)


def test_premultiplied_alpha_of_a_tiff_is_divided_out(tmp_path):
    colours, alpha = noise(3, np.uint16, seed=1), noise(1, np.uint16, seed=2) | 0x4000
    multiplied = np.rint(colours * (alpha / 65535)).astype(np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, np.concatenate([multiplied, alpha], 2), photometric="rgb", extrasamples=["assocalpha"])
    found = read(file.getvalue(), tmp_path).pixels
    np.testing.assert_array_equal(found[..., 3:], alpha)
    assert np.abs(found[..., :3].astype(int) - colours).max() <= 2


@pytest.mark.parametrize(
    "options", [{"planarconfig": "separate"}, {"compression": "lzw"}, {"tile": (16, 16)}, {"byteorder": ">"}]
)
def test_kinds_of_tiff(tmp_path, options):
    pixels = noise(3, np.uint16)
    given = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    file = io.BytesIO()
    tifffile.imwrite(file, np.ascontiguousarray(given), photometric="rgb", **options)
    np.testing.assert_array_equal(read(file.getvalue(), tmp_path).pixels, pixels)


def test_white_is_zero_and_further_pages(tmp_path):
    pixels = noise(1, np.uint16)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as out:
        for _ in range(2):
            out.write(pixels[..., 0], photometric="miniswhite")
    found = read(file.getvalue(), tmp_path)
    np.testing.assert_array_equal(found.pixels, 65535 - pixels)
    assert found.notes == ("first of 2 frames used",)


def test_other_kinds_of_pixels(tmp_path):
    file = io.BytesIO()
    Image.fromarray(noise(4), "CMYK").save(file, "TIFF")
    found = read(file.getvalue(), tmp_path)
    assert found.pixels.shape == (7, 11, 3)
    assert found.notes == ("CMYK converted to RGB",)
    file = io.BytesIO()
    Image.fromarray(noise(1)[..., 0]).convert("1").save(file, "PNG")
    assert read(file.getvalue(), tmp_path).pixels.shape == (7, 11, 1)
    file = io.BytesIO()
    unit = (noise(1, np.uint16)[..., 0] / 65535).astype(np.float32)
    Image.fromarray(unit).save(file, "TIFF")
    np.testing.assert_array_equal(read(file.getvalue(), tmp_path).pixels, noise(1, np.uint16))
    file = io.BytesIO()
    Image.fromarray(unit * 1000).save(file, "TIFF")
    with pytest.raises(DataError, match="holds 32-bit values"):
        read(file.getvalue(), tmp_path)
    file = io.BytesIO()
    frames = [Image.fromarray(noise(3, seed=i)) for i in range(3)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert read(file.getvalue(), tmp_path).notes[0] == "first of 3 frames used"


def test_a_profile_of_other_channels_is_not_kept(tmp_path):
    file = io.BytesIO()
    Image.fromarray(noise(1)[..., 0]).save(file, "TIFF", icc_profile=SRGB)
    assert read(file.getvalue(), tmp_path).extras.icc is None


def test_hostile_headers_stop_at_the_header(tmp_path):
    good = encode(noise(3, np.uint16), Extras(), Form("png"))[0]
    header = struct.pack(">II", 100_000, 100_000) + good[24:29]
    with pytest.raises(DataError, match="megapixels"):
        read(good[:8] + chunk(b"IHDR", header) + good[33:], tmp_path)
    with pytest.raises(DataError, match="damaged or cut off"):
        read(good[:-60], tmp_path)
    file = io.BytesIO()
    tifffile.imwrite(file, noise(3, np.uint16), photometric="rgb")
    rng = np.random.default_rng(0)
    for data in (good, file.getvalue()):
        for _ in range(60):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                broken[place] = rng.integers(256)
            with contextlib.suppress(DataError):
                read(bytes(broken), tmp_path)


@pytest.mark.parametrize(
    ("content", "text"), [(b"", "empty"), (b"hello, I am no picture\n" * 9, "seems to be a text file")]
)
def test_files_that_are_no_pictures(tmp_path, content, text):
    with pytest.raises(DataError, match=text):
        read(content, tmp_path)


def test_what_a_format_cannot_hold(tmp_path):
    with pytest.raises(DataError, match=r"a.png is transparent in places, which JPEG cannot hold. Use --format png."):
        encode(noise(4), Extras(), Form("jpg"), "a.png")
    opaque = noise(4)
    opaque[..., 3] = 255
    assert read(encode(opaque, Extras(), Form("jpg"))[0], tmp_path).pixels.shape[2] == 3
    data, notes = encode(noise(3, np.uint16), Extras(), Form("webp"))
    expected = np.rint(noise(3, np.uint16) / 257)
    np.testing.assert_array_equal(read(data, tmp_path).pixels, expected)
    assert notes == ["16-bit reduced to 8 bits, which is what WebP has"]
    check_room("a", Form("jpg"), 1000, 65500, 3)
    with pytest.raises(DataError, match="JPEG ends at 65500"):
        check_room("a", Form("jpg"), 1000, 65501, 3)
    with pytest.raises(DataError, match="WebP ends at 16383"):
        check_room("a", Form("webp"), 16384, 1, 3)
    with pytest.raises(DataError, match=r"PNG ends at 1000000. Use --format tif."):
        check_room("a", Form("png"), 1_000_001, 1, 3)
    with pytest.raises(DataError, match=r"30000 × 30000 pixels, 2.7 GB; at most 2.1 GB"):
        check_room("a", Form("png"), 30000, 30000, 3)
    assert set(KINDS.values()) == {"png", "tif", "webp", "jpg"}


@pytest.mark.parametrize("kind", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_odd_exif_costs_no_picture(tmp_path, kind, dtype):
    odd = exif(1)
    odd[0x010F] = "Größe \ud7ff"
    written, _ = encode(noise(3, dtype), Extras(exif=odd), Form(kind))
    assert read(written, tmp_path).size == (7, 11)

    class Broken(Image.Exif):
        def tobytes(self, offset=8):
            raise struct.error("odd")

        def items(self):
            raise struct.error("odd")

    broken = Broken()
    broken[0x010F] = "Maker"
    written, notes = encode(noise(3, dtype), Extras(exif=broken, icc=SRGB), Form(kind))
    found = read(written, tmp_path)
    assert found.extras.icc == SRGB
    if (kind, dtype) != ("tif", np.uint8):  # which takes tag by tag, and never sees that they are broken
        assert "its EXIF and XMP data could not be kept" in notes
