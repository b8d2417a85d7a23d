"""Pictures read with all that they hold: 16 bits, grey, alpha, colour profile, EXIF, XMP and resolution.

`gantool.data.image` reads for training, where 8-bit RGB is all that counts; this is for results that people keep.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from gantool.data.decode import (
    MAX_PIXELS,
    bits_of,
    check_size,
    decoding,
    load_whole,
    open_header,
    orientation_of,
    tiff_tag,
    turned,
)
from gantool.data.image import read_bytes
from gantool.errors import DataError

Samples = NDArray[np.unsignedinteger[Any]]

_BITS, _COMPRESSION, _PHOTOMETRIC, _XMP, _SAMPLE_FORMAT = 258, 259, 262, 700, 339
_UNSIGNED = 1  # of _SAMPLE_FORMAT
_GREY_OR_RGB = (0, 1, 2)  # of _PHOTOMETRIC: white is zero, black is zero, RGB
_PREMULTIPLIED = 1  # of the TIFF tag ExtraSamples
# TIFF tags that say how the file is laid out. They are not facts about the picture, and the new file has its own.
_LAYOUT = {*range(254, 260), 262, 263, 264, 265, 266, 273, *range(277, 285), 288, 289, 290, 291, 292, 293, 296, 297}
_LAYOUT |= {317, *range(320, 326), 330, 332, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 531, 532}
_LAYOUT |= {_XMP, 33723, 34377, 34675}
_FOLDERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_MOST_EXTRA = 16 << 20  # bytes of one profile, EXIF or XMP that are kept
_SPACES = {b"RGB ": (3, 4), b"GRAY": (1, 2)}  # colour space of a profile: channels of the pictures it may belong to


@dataclass(frozen=True)
class Extras:
    """What a picture file says beside its pixels.

    Attributes:
        icc: its colour profile.
        exif: EXIF tags, the orientation being 1 (upright).
        xmp: an XMP packet.
        dpi: pixels an inch, across and down.
    """

    icc: bytes | None = field(default=None, repr=False)
    exif: Image.Exif | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Faithful:
    """A picture as it is in its file, but upright.

    Attributes:
        pixels: (H, W, C), uint8 or uint16 over its whole range; C is 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and
            alpha. Colours are not multiplied by alpha.
        extras: what else the file says.
        notes: one short sentence for each thing that is not as in the file.
    """

    pixels: Samples = field(repr=False)
    extras: Extras = Extras()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])


def load_faithful(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Faithful:
    """Decode a picture file, keeping what it holds.

    Palettes become RGB or RGBA, bilevel pictures grey, CMYK becomes RGB (by the file's own profile where it has one).
    16-bit PNG and TIFF stay 16-bit, other depths above 8 become 16-bit for grey and 8-bit for colour. Of an animation
    the first frame is read.

    Raises:
        DataError: as `gantool.data.image.load_picture`, and for 32-bit values outside [0, 1].
    """
    path = Path(path)
    return decode_faithful(path, read_bytes(path), max_pixels=max_pixels)


def decode_faithful(path: Path, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Faithful:
    """The same of the bytes `data` of the file `path`, which is only named in errors."""
    with decoding(path), open_header(path, data) as image:
        check_size(path, image.size, max_pixels, 1)
        return _decode(path, image, data)


def _decode(path: Path, image: Image.Image, data: bytes) -> Faithful:
    notes: list[str] = []
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        notes.append(f"first of {frames} frames used")
    turn, extras = orientation_of(image), _extras(image)
    own_profile = extras.icc
    if _is_deep(image, data):
        # Pillow has read the header: what opens the file next is told nothing that has not been checked.
        pixels = _deep_png(data) if image.format == "PNG" else _deep_tiff(path, image, data)
        pixels = turned(pixels, turn)
    else:
        upright = image.format == "TIFF"  # Pillow turns a TIFF, and no other, while loading it
        pixels, own_profile = _by_pillow(path, image, data, extras.icc, notes)
        pixels = pixels if upright else turned(pixels, turn)
    if turn != 1:
        notes.append("turned as its EXIF orientation says")
    kept = Extras(fitting_profile(own_profile, pixels), extras.exif, extras.xmp, extras.dpi)
    return Faithful(np.ascontiguousarray(pixels), kept, tuple(notes))


# --- 16 bits ----------------------------------------------------------------------------------------------


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether it is a PNG or TIFF with 16 bits for each of grey or RGB, which Pillow would cut to 8."""
    if image.format == "PNG":
        return bits_of(image, data) == 16
    if image.format != "TIFF":
        return False
    formats, bits = tiff_tag(image, _SAMPLE_FORMAT, (_UNSIGNED,)), tiff_tag(image, _BITS, (1,))
    unsigned = set(formats if isinstance(formats, tuple) else (formats,)) == {_UNSIGNED}
    return set(bits) == {16} and unsigned and tiff_tag(image, _PHOTOMETRIC) in _GREY_OR_RGB


def _deep_png(data: bytes) -> Samples:
    import imagecodecs

    pixels: Samples = imagecodecs.png_decode(data)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _deep_tiff(path: Path, image: Image.Image, data: bytes) -> Samples:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        if {page.imagewidth, page.imagelength} != {*image.size} or page.imagedepth != 1 or page.dtype != np.uint16:
            raise DataError(f"{path} says two things of its size.", "Export the picture again.")
        pixels = page.asarray()
        extra = [int(kind) for kind in page.extrasamples]
        white_is_zero = int(page.photometric) == 0
        planes_first = pixels.ndim == 3 and int(page.planarconfig) == 2
    pixels = pixels[..., None] if pixels.ndim == 2 else np.moveaxis(pixels, 0, -1) if planes_first else pixels
    colours = pixels.shape[2] - len(extra)
    if colours not in (1, 3):
        raise DataError(f"{path} has {pixels.shape[2]} channels.", "Export it as grey or RGB.")
    if white_is_zero:
        pixels = np.concatenate([65535 - pixels[..., :colours], pixels[..., colours:]], 2)
    pixels = pixels[..., : colours + min(1, len(extra))]  # further channels are none of a picture's
    return _divided(pixels) if extra[:1] == [_PREMULTIPLIED] else pixels


def _divided(pixels: Samples) -> Samples:
    """Colours that were multiplied by alpha (the last channel), as they were before."""
    top = np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:].astype(np.float32)
    colours = np.minimum(np.rint(pixels[..., :-1] * (top / np.maximum(alpha, 1))), top)
    return np.concatenate([colours.astype(pixels.dtype), pixels[..., -1:]], 2)


# --- what Pillow reads ------------------------------------------------------------------------------------


def _by_pillow(
    path: Path, image: Image.Image, data: bytes, icc: bytes | None, notes: list[str]
) -> tuple[Samples, bytes | None]:
    """(H, W, C) and the profile that it still has."""
    bits = bits_of(image, data)
    load_whole(image)
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _deep_grey(path, image, notes), icc
    if bits > 8:
        notes.append(f"{bits}-bit reduced to 8 bits")
    if mode == "CMYK":
        rgb, managed = _from_cmyk(image, icc)
        notes.append("CMYK converted to RGB by its profile" if managed else "CMYK converted to RGB")
        return np.asarray(rgb), None
    if mode in ("P", "PA"):
        notes.append("palette expanded")
    elif mode == "1":
        notes.append("black and white became grey")
    elif mode not in ("L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX"):
        notes.append(f"{mode} converted to RGB")
    try:
        pixels = np.asarray(image.convert(_target(image, bits)))
    except ValueError as error:
        what = f"{path} stores its pixels as {mode}, which cannot be converted."
        raise DataError(what, "Save it as RGB PNG or JPEG.") from error
    return (pixels[..., None] if pixels.ndim == 2 else pixels), icc


def _target(image: Image.Image, bits: int) -> str:
    """The mode of what is kept; a transparent colour is put into the depth that the pixels have now."""
    key = image.info.get("transparency")
    if image.format == "PNG" and image.mode == "L" and isinstance(key, int) and bits < 8:
        image.info["transparency"] = key * 255 // ((1 << bits) - 1)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        return "LA" if grey else "RGBA"
    return "L" if grey else "RGB"


def _deep_grey(path: Path, image: Image.Image, notes: list[str]) -> Samples:
    """Grey with more than 8 bits (Pillow's modes I;16*, I, F) as 16-bit."""
    values = np.asarray(image)
    if image.mode.startswith("I;16") or image.format == "PPM":  # which Pillow has spread over 16 bits
        bits = 16 if image.format == "PPM" else int(max(tiff_tag(image, _BITS, (16,))))
        white = (1 << bits) - 1
        grey = values.clip(0, white).astype(np.uint64) * 65535 // white
        if tiff_tag(image, _PHOTOMETRIC) == 0:
            grey = 65535 - grey
    elif image.mode == "F" and bool(np.isfinite(values).all()) and values.min() >= 0 and values.max() <= 1:
        grey = np.rint(values.astype(np.float64) * 65535)
    else:
        raise DataError(f"{path} holds 32-bit values, whose black and white nobody knows.", "Save it with 16 bits.")
    if image.mode == "F":
        notes.append("values from 0 to 1 stored with 16 bits")
    deep: Samples = grey.astype(np.uint16)[..., None]
    return deep


def _from_cmyk(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bool]:
    """RGB, in sRGB by the file's profile; without one, or with a bad one, by Pillow's plain formula."""
    if icc:
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            assert converted is not None
            return converted, True
    return image.convert("RGB"), False


# --- what is said beside the pixels -----------------------------------------------------------------------


def _extras(image: Image.Image) -> Extras:
    info = image.info
    icc = info.get("icc_profile")
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or tiff_tag(image, _XMP)
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return Extras(
        icc if isinstance(icc, bytes) and len(icc) <= _MOST_EXTRA else None,
        _exif(image),
        _upright_xmp(xmp) if isinstance(xmp, bytes) and 0 < len(xmp) <= _MOST_EXTRA else None,
        _dpi(info.get("dpi")),
    )


def fitting_profile(icc: bytes | None, pixels: Samples) -> bytes | None:
    """A profile, if it is one for that many channels: others spoil what programs show."""
    return icc if icc and pixels.shape[2] in _SPACES.get(icc[16:20], ()) else None


def _exif(image: Image.Image) -> Image.Exif | None:
    """The tags that say something about the picture, upright; None where there are none or they are corrupt."""
    try:
        found, kept = image.getexif(), Image.Exif()
        for tag, value in found.items():
            if tag not in _LAYOUT and tag not in _FOLDERS:
                kept[tag] = value
        for folder in _FOLDERS:
            inner = dict(found.get_ifd(folder))
            if inner:
                kept.get_ifd(folder).update(inner)
                kept[folder] = kept.get_ifd(folder)
        if ExifTags.Base.Orientation in kept:
            kept[ExifTags.Base.Orientation] = 1
        return kept if len(kept) and len(kept.tobytes()) <= _MOST_EXTRA else None
    except Exception:  # corrupt EXIF raises almost anything, and is worth no picture
        return None


def _upright_xmp(packet: bytes) -> bytes:
    """The packet with its own word on the orientation, if it has one, set to upright."""
    packet = re.sub(rb'(tiff:Orientation\s*=\s*["\'])[2-8](["\'])', rb"\g<1>1\2", packet)
    return re.sub(rb"(<tiff:Orientation>)[2-8](</tiff:Orientation>)", rb"\g<1>1\2", packet)


def _dpi(found: Any) -> tuple[float, float] | None:
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError):
        across, down = (float(value) for value in found)
        if 0 < across < 1e5 and 0 < down < 1e5 and math.isfinite(across * down):
            return across, down
    return None
