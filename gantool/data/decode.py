"""From the bytes of a picture file to (H, W, 3) uint8 RGB, with a note for everything that was done."""

from __future__ import annotations

import codecs
import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from gantool.errors import ConfigError, DataError

Pixels = NDArray[np.uint8]
Level = TypeVar("Level", bound=np.generic)
Colour = tuple[int, int, int]

# What is read. Never EPS, which runs Ghostscript, nor formats without a signature.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000")
READS = "gantool reads PNG, JPEG, WebP, TIFF, GIF, BMP, PPM, AVIF and JPEG 2000."
MAX_PIXELS = 64_000_000
"""A picture with more is not decoded."""

_ORIENTATION = 0x0112  # EXIF and TIFF tag
_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262
_SIGNATURES = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"8BPS": "a Photoshop file",
}
_REMEDIES = dict.fromkeys(
    ["a HEIC picture", "a PDF document", "a PostScript document", "a Photoshop file", "an SVG drawing"],
    "Convert it to PNG or JPEG first.",
)
_REMEDIES |= dict.fromkeys(["a zip archive", "a gzip archive"], "Unpack it first.")
_REMEDIES |= dict.fromkeys(["a web page", "a text file"], "Download or export the picture itself.")
_REMEDIES["a video"] = "Extract one frame as PNG first."
_strict = threading.Lock()


def decode_picture(
    path: Path, data: bytes, *, colour: Colour, max_pixels: int, min_side: int
) -> tuple[Pixels, list[str]]:
    """Decode the bytes `data` of the file `path` (named in errors) to (H, W, 3) uint8 RGB, and notes.

    Raises:
        DataError: not a picture, damaged, cut off, too large or too small; sizes are checked before decoding.
    """
    with decoding(path), open_header(path, data) as image:
        check_size(path, image.size, max_pixels, min_side)
        return _decode(path, image, data, colour)


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes of a picture file are JPEG's: what they show has lost a little."""
    return data.startswith(b"\xff\xd8\xff")


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Whatever a decoder raises on bad data (they raise everything) becomes one DataError; warnings go."""
    try:
        with _quiet():
            yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{path} does not fit into the free memory.", "Make the picture smaller.") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} has more pixels than can be decoded safely.", "Shrink it first.") from error
    except Exception as error:
        reason = str(error).strip().rstrip(".") if any(error.args) else type(error).__name__
        raise DataError(
            f"{path} is damaged or cut off ({reason}).",
            "Copy, download or export the picture again.",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of corrupt EXIF and the like: what matters is raised as well.

    Only in the main thread: two threads that save and restore the process's filters would mix them up. Those who
    decode in threads call `silence_pillow` before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def silence_pillow() -> None:
    """No warnings of odd metadata from now on, in any thread: the filters belong to the process."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def open_header(path: Path, data: bytes) -> Image.Image:
    """Read the header only. Not `Image.open`: its size limit is a global that other code may rely on."""
    Image.init()
    seems = _seems(data)
    for name in _FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is not None and accept is not None and accept(data[:16]) is True:
            try:
                return factory(io.BytesIO(data), "")
            except Exception:
                if not seems:
                    raise
    if seems:
        raise DataError(f"{path} is not a picture but seems to be {seems}.", _REMEDIES.get(seems, READS))
    raise DataError(f"{path} is not in a picture format that gantool knows.", READS)


def _seems(data: bytes) -> str:
    """What a file that is no picture may be, for the error message; empty when unknown."""
    head = data[:2048]
    if head[4:8] == b"ftyp" and head[8:12] != b"avif":
        return "a HEIC picture" if head[8:11] in (b"hei", b"hev", b"mif", b"msf") else "a video"
    for magic, name in _SIGNATURES.items():
        if head.startswith(magic):
            return name
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return ""
    if any(ord(character) < 32 and character not in "\t\n\r\f" for character in text):
        return ""
    text = text.lower()
    if "<svg" in text:
        return "an SVG drawing"
    return "a web page" if "<html" in text or "<!doctype html" in text else "a text file"


def check_size(path: Path, size: tuple[int, int], max_pixels: int, min_side: int) -> None:
    """Raises DataError where a picture of `size` (width, height) is too large, too small, or has no pixels."""
    width, height = size
    if width * height > max_pixels:
        scale = (max_pixels / (width * height)) ** 0.5
        raise DataError(
            f"{path} is {width} × {height}, {width * height / 1e6:.1f} megapixels; "
            f"at most {max_pixels / 1e6:.1f} are read.",
            f"Shrink it to {int(width * scale)} × {int(height * scale)} or less with an image editor.",
        )
    if width < 1 or height < 1:
        raise DataError(f"{path} has no pixels ({width} × {height}).", "Export the picture again.")
    if min(width, height) < min_side:
        raise DataError(
            f"{path} is {width} × {height}; each side needs at least {min_side} pixels.",
            "Use a larger picture.",
        )


def load_whole(image: Image.Image) -> None:
    """Decode all of it, even if some library has told Pillow to accept cut-off files."""
    if not ImageFile.LOAD_TRUNCATED_IMAGES:
        image.load()
        return
    with _strict:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            image.load()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = True


def _decode(path: Path, image: Image.Image, data: bytes, colour: Colour) -> tuple[Pixels, list[str]]:
    notes: list[str] = []
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        notes.append(f"first of {frames} frames used")
    is_tiff = image.format == "TIFF"
    turn = orientation_of(image) if is_tiff else 1  # Pillow turns a TIFF, and no other, while loading it
    load_whole(image)
    if image.mode.startswith("I") or image.mode == "F":
        pixels = _deep_grey(path, image, colour, notes)
    else:
        pixels = _colour(path, image, data, colour, notes)
    if not is_tiff:
        turn = orientation_of(image)
        pixels = turned(pixels, turn)
    if turn != 1:
        notes.append("turned as its EXIF orientation says")
    return np.array(pixels, np.uint8, order="C"), notes


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation 1 to 8; 1 (upright) if there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # corrupt EXIF raises almost anything, and matters to nobody
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turned(pixels: NDArray[Level], orientation: int) -> NDArray[Level]:
    """(H, W, C) with an EXIF orientation undone (EXIF 2.3, tag 0x0112: where the 0th row and column were seen)."""
    if orientation >= 5:  # rows were seen as columns
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _deep_grey(path: Path, image: Image.Image, colour: Colour, notes: list[str]) -> Pixels:
    """Grey with more than 8 bits (modes I;16*, I, F), which Pillow's own convert would clip at 255."""
    values = np.asarray(image)
    if image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):
        bits = int(max(tiff_tag(image, _TIFF_BITS, (16,))))
        white = (1 << bits) - 1
        grey = (values.astype(np.uint32) * 255 + white // 2) // white
        if tiff_tag(image, _TIFF_PHOTOMETRIC) == 0:  # white is zero
            grey = 255 - grey
        notes.append(f"{bits}-bit reduced to 8 bits")
    else:
        if not np.isfinite(values).all():
            raise DataError(f"{path} holds NaN or infinite values.", "Export it as an 8- or 16-bit picture.")
        low, high = float(values.min()), float(values.max())
        if image.mode == "F" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        scaled = (values.astype(np.float64) - low) * (255 / (high - low) if high > low else 0)
        grey = np.rint(scaled)
        notes.append(f"32-bit values from {low:g} to {high:g} spread over 0 to 255")
    notes.append("grey repeated to three channels")
    pixels: Pixels = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    key = image.info.get("transparency")
    if isinstance(key, int) and bool((values == key).any()):
        pixels[values == key] = colour
        notes.append(f"transparent pixels were put on {_colour_name(colour)}")
    return pixels


def _colour(path: Path, image: Image.Image, data: bytes, colour: Colour, notes: list[str]) -> Pixels:
    """All modes of up to 8 bits per channel as Pillow gives them."""
    mode = image.mode
    bits = bits_of(image, data)
    if bits > 8:
        notes.append(f"{bits}-bit reduced to 8 bits")  # by Pillow, which keeps the high byte
    if mode in ("P", "PA"):
        notes.append("palette expanded")
    elif mode in ("1", "L", "LA", "La"):
        notes.append("grey repeated to three channels")
    elif mode not in ("RGB", "RGBA", "RGBa", "RGBX"):
        notes.append(f"{mode} converted to RGB")
    if not image.has_transparency_data:
        try:
            return np.asarray(image.convert("RGB"))
        except ValueError as error:
            raise DataError(
                f"{path} stores its pixels as {mode}, which cannot be converted.",
                "Save it as RGB PNG or JPEG.",
            ) from error
    key = image.info.get("transparency")
    if image.format == "PNG" and bits != 8:  # the key is in the file's own depth, the pixels no longer are
        if mode == "L" and isinstance(key, int):
            image.info["transparency"] = key * 255 // ((1 << bits) - 1)
        elif mode == "RGB" and isinstance(key, tuple):
            image.info["transparency"] = tuple(value >> 8 for value in key)
    rgba = image.convert("LA").convert("RGBA") if mode == "La" else image.convert("RGBA")
    alpha = rgba.getchannel("A")
    canvas = Image.new("RGB", rgba.size, colour)
    canvas.paste(rgba, mask=alpha)
    if alpha.getextrema()[0] != 255:
        notes.append(f"transparent pixels were put on {_colour_name(colour)}")
    return np.asarray(canvas)


def bits_of(image: Image.Image, data: bytes) -> int:
    """Bits per channel in the file, as far as PNG and TIFF headers say; else 8."""
    if image.format == "PNG":
        return data[24]  # IHDR always comes first
    return int(max(tiff_tag(image, _TIFF_BITS, (8,))))


def tiff_tag(image: Image.Image, number: int, default: Any = None) -> Any:
    """A TIFF tag; the default for other formats."""
    tags = getattr(image, "tag_v2", None)
    return default if tags is None else tags.get(number, default)


def parse_colour(text: str) -> Colour:
    """The colour "white", "black" or "#rrggbb" to (red, green, blue).

    Raises:
        ConfigError: anything else.
    """
    text = {"white": "#ffffff", "black": "#000000"}.get(text, text)
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ConfigError(f"{text!r} is not a background colour.", 'Use "white", "black" or "#rrggbb".')
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _colour_name(colour: Colour) -> str:
    names = {(255, 255, 255): "white", (0, 0, 0): "black"}
    return names.get(colour, "#{:02x}{:02x}{:02x}".format(*colour))
