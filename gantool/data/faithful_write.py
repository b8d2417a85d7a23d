"""Pictures written with all that they hold: 16 bits, grey, alpha, colour profile, EXIF, XMP and resolution."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from gantool.data.faithful import Extras, Samples
from gantool.errors import DataError

Kind = Literal["png", "tif", "webp", "jpg"]
KINDS: dict[str, Kind] = {
    ".png": "png", ".tif": "tif", ".tiff": "tif", ".webp": "webp", ".jpg": "jpg", ".jpeg": "jpg", ".jfif": "jpg",
}  # fmt: skip
"""By extension, what can be written."""

NAMES = {"png": "PNG", "tif": "TIFF", "webp": "WebP", "jpg": "JPEG"}
LONGEST = {"webp": 16383, "jpg": 65500, "png": 1_000_000}  # pixels of a side: of the format, of libjpeg, of libpng
MOST_BYTES = 1 << 31  # of pixels, before compression
QUALITY = 95  # of JPEG
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_XMP_TAG, _LEVEL = 700, 6
_BYTES, _ASCII = 1, 2  # types of TIFF tags
_FOLDERS = {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}


@dataclass(frozen=True)
class Form:
    """How a picture is stored.

    Attributes:
        kind: of file.
        quality: 1 to 100, of JPEG (None: 95) and WebP (None: without loss).
    """

    kind: Kind = "png"
    quality: int | None = None


def check_room(
    name: str, form: Form, height: int, width: int, pixel_bytes: int, smaller: str = "Use a smaller --scale."
) -> None:
    """Refuse what cannot be written, before it is computed; `name` is whose result it is, `smaller` a hint.

    Raises:
        DataError: more than 2 GiB of pixels, or a side that is longer than the format allows.
    """
    bytes_, most = height * width * pixel_bytes, MOST_BYTES
    if bytes_ > most:
        raise DataError(
            f"{name} would become {width} × {height} pixels, {bytes_ / 1e9:.1f} GB; at most {most / 1e9:.1f} GB is "
            "written.",
            smaller,
        )
    limit = LONGEST.get(form.kind, most)
    if max(height, width) > limit:
        raise DataError(
            f"{name} would become {width} × {height} pixels; {NAMES[form.kind]} ends at {limit}.",
            f"Use --format {'tif' if form.kind == 'png' else 'png'}.",
        )


def encode(pixels: Samples, extras: Extras, form: Form, name: str = "The picture") -> tuple[bytes, list[str]]:
    """A file's content for `pixels`, (H, W, C) uint8 or uint16 as in `Faithful`, and what could not be kept.

    JPEG and WebP have 8 bits. WebP has no grey. The size in the EXIF data becomes that of `pixels`.

    Raises:
        DataError: JPEG of a picture (called `name`) with transparent parts.
    """
    notes: list[str] = []
    if form.kind in ("jpg", "webp"):
        pixels = _eight_bits(pixels, form, notes)
    if form.kind == "jpg" and pixels.shape[2] in (2, 4):
        if pixels[..., -1].min() < 255:
            raise DataError(f"{name} is transparent in places, which JPEG cannot hold.", "Use --format png.")
        pixels = pixels[..., :-1]
    depth_notes = len(notes)
    try:
        return _written(pixels, _resized(extras, pixels), form, notes), notes
    except Exception as error:  # odd EXIF raises almost anything, and is worth no picture
        if isinstance(error, MemoryError) or (extras.exif is None and extras.xmp is None):
            raise
        notes = [*notes[:depth_notes], "its EXIF and XMP data could not be kept"]
        return _written(pixels, Extras(icc=extras.icc, dpi=extras.dpi), form, notes), notes


def _written(pixels: Samples, extras: Extras, form: Form, notes: list[str]) -> bytes:
    if pixels.dtype == np.uint16 and pixels.shape[2] > 1:  # which Pillow does not have
        if form.kind == "png":
            return _deep_png(pixels, extras)
        if _has_folders(extras):
            notes.append("of its EXIF data, what the camera set is not kept in 16-bit TIFF")
        return _deep_tiff(pixels, extras)
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    assert image.mode in ("I;16", _MODES[pixels.shape[2]])
    image.save(buffer, **_options(extras, form))
    return buffer.getvalue()


def _eight_bits(pixels: Samples, form: Form, notes: list[str]) -> Samples:
    if pixels.dtype == np.uint8:
        return pixels
    notes.append(f"16-bit reduced to 8 bits, which is what {NAMES[form.kind]} has")
    out = np.empty(pixels.shape, np.uint8)
    for row, line in enumerate(pixels):  # line by line: a picture of uint32 would be twice as large
        out[row] = (line.astype(np.uint32) + 128) // 257
    return out


def _resized(extras: Extras, pixels: Samples) -> Extras:
    """The same with the size of `pixels` where the EXIF data names one."""
    if extras.exif is None or ExifTags.IFD.Exif not in extras.exif:
        return extras
    exif = Image.Exif()
    exif.load(extras.exif.tobytes())
    sizes = {ExifTags.Base.ExifImageWidth: pixels.shape[1], ExifTags.Base.ExifImageHeight: pixels.shape[0]}
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner.update({tag: size for tag, size in sizes.items() if tag in inner})
    return Extras(extras.icc, exif, extras.xmp, extras.dpi)


def _has_folders(extras: Extras) -> bool:
    """Whether the EXIF data has more than what stands in the first folder: the camera's settings, the place."""
    return extras.exif is not None and not _FOLDERS.isdisjoint(extras.exif)


def _options(extras: Extras, form: Form) -> dict[str, Any]:
    """Arguments for Pillow's `save`."""
    given: dict[str, Any] = {"format": {"tif": "TIFF", "jpg": "JPEG"}.get(form.kind, form.kind.upper())}
    if extras.icc:
        given["icc_profile"] = extras.icc
    if extras.exif is not None:
        given["exif"] = extras.exif
    if extras.dpi and form.kind != "webp":
        given["dpi"] = extras.dpi
    if extras.xmp and form.kind in ("jpg", "webp"):
        given["xmp"] = extras.xmp
    if extras.xmp and form.kind == "png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", extras.xmp.decode("utf-8", "replace"))
        given["pnginfo"] = text
    if form.kind == "tif":
        if not _has_folders(extras):  # which libtiff writes into files without compression only
            given["compression"] = "tiff_adobe_deflate"
        if extras.xmp:  # Pillow takes either further tags or EXIF
            given["exif"] = exif = Image.Exif()
            exif.load(extras.exif.tobytes() if extras.exif is not None else b"")
            exif[_XMP_TAG] = extras.xmp
    if form.kind == "jpg":
        quality = QUALITY if form.quality is None else form.quality
        given |= {"quality": quality, "subsampling": 0 if quality >= 90 else 2, "optimize": True}
    if form.kind == "webp":
        given |= {"lossless": True, "exact": True} if form.quality is None else {"quality": form.quality}
    return given


# --- 16 bits with several channels ------------------------------------------------------------------------


def _deep_png(pixels: Samples, extras: Extras) -> bytes:
    import imagecodecs

    data = bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=_LEVEL))
    after_header = 8 + _chunk_length(data, 8)
    return data[:after_header] + _png_extras(extras) + data[after_header:]


def _png_extras(extras: Extras) -> bytes:
    """The PNG chunks of profile, EXIF, XMP and resolution: those that Pillow writes for a picture of one pixel."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, **_options(extras, Form("png")))
    data, place, chunks = buffer.getvalue(), 8, []
    while place < len(data):
        length = _chunk_length(data, place)
        if data[place + 4 : place + 8] not in (b"IHDR", b"IDAT", b"IEND"):
            chunks.append(data[place : place + length])
        place += length
    return b"".join(chunks)


def _chunk_length(data: bytes, place: int) -> int:
    """Bytes of the PNG chunk at `place`: its length, name, content and checksum."""
    return 12 + int.from_bytes(data[place : place + 4], "big")


def _deep_tiff(pixels: Samples, extras: Extras) -> bytes:
    import tifffile

    tags: list[tuple[int, int, int, Any, bool]] = [
        (tag, _ASCII, 0, value.encode("utf-8", "replace"), True)
        for tag, value in (extras.exif.items() if extras.exif is not None else ())
        if isinstance(value, str)
    ]
    if extras.xmp:
        tags.append((_XMP_TAG, _BYTES, len(extras.xmp), extras.xmp, True))
    given: dict[str, Any] = {"resolution": extras.dpi, "resolutionunit": "INCH"} if extras.dpi else {}
    if pixels.shape[2] in (2, 4):
        given["extrasamples"] = ["unassalpha"]
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, np.ascontiguousarray(pixels), photometric="minisblack" if pixels.shape[2] == 2 else "rgb",
        planarconfig="contig", compression="zlib", predictor=True, metadata=None, software=False,
        iccprofile=extras.icc, extratags=tags, **given,
    )  # fmt: skip
    return buffer.getvalue()
