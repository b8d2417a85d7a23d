"""One side of a pair: a picture as its kind wants it (colour, grey, labels), and brought to a size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantool.data.cache import grey
from gantool.data.decode import (
    MAX_PIXELS,
    Colour,
    bits_of,
    check_size,
    decode_picture,
    decoding,
    open_header,
    orientation_of,
)
from gantool.data.faithful import Samples, decode_faithful
from gantool.data.palette import Palette, nearest_ids, open_palette, paint
from gantool.data.set_options import Kind
from gantool.errors import DataError

Fit = Literal["squash", "width", "none"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_GREYS = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
_PALETTES = ("P", "PA")
_LOSSLESS = ("PNG", "TIFF", "GIF", "BMP", "PPM")


@dataclass(frozen=True)
class Header:
    """What a picture file says before it is decoded.

    Attributes:
        height, width: pixels, after EXIF rotation where that stands before the pixels.
        stored: "palette", "grey" or "colour".
        bits: of a sample, as far as PNG and TIFF say; else 8.
        exact: whether its format keeps what was written: ids of classes survive in no other.
        odd: of one of two pictures that stand side by side in one file: whether its width is odd.
    """

    height: int
    width: int
    stored: Literal["palette", "grey", "colour"] = "colour"
    bits: int = 8
    exact: bool = False
    odd: bool = False


def read_header(path: Path, data: bytes) -> Header:
    """The header of the picture file whose bytes begin with `data`; `path` names it in errors.

    Raises:
        DataError: it is no picture, damaged (or `data` too short), or too large to be decoded.
    """
    with decoding(path), open_header(path, data) as image:
        check_size(path, image.size, MAX_PIXELS, 1)
        turn = orientation_of(image) if image.format in ("JPEG", "TIFF") or "exif" in image.info else 1
        width, height = image.size if turn < 5 else image.size[::-1]
        stored: Literal["palette", "grey", "colour"] = (
            "palette" if image.mode in _PALETTES else "grey" if image.mode in _GREYS else "colour"
        )
        return Header(height, width, stored, bits_of(image, data), image.format in _LOSSLESS)


@dataclass(frozen=True)
class Reading:
    """How a picture is read.

    Attributes:
        kind: "rgb"; "grey" (luma); or "labels": then grey files without loss hold ids, which are painted, and the
            colours of others are kept, or become the nearest of the palette where that is given.
        bits: of the samples, 8 or 16.
        palette: of labels; None: `generic_colours`.
        background: the colour under transparent pixels.
    """

    kind: Kind = "rgb"
    bits: Literal[8, 16] = 8
    palette: Palette | None = None
    background: Colour = (255, 255, 255)

    @property
    def channels(self) -> int:
        """Of what is read."""
        return 1 if self.kind == "grey" else 3


def read_side(path: Path, data: bytes, how: Reading) -> Samples:
    """The picture file of the bytes `data`, (H, W, 1) for "grey" and else (H, W, 3), uint8 or uint16 by `how.bits`.

    16-bit samples keep their values, and bytes are spread over 16 bits (times 257); 16 bits become 8 as everywhere in
    gantool: see `load_picture`.

    Args:
        path: what to call it in errors.
        data: all of the file.

    Raises:
        DataError: it cannot be decoded; or labels have an id that the palette has not.
    """
    if how.kind == "labels":
        colours = _labels(path, data, how)
        return colours.astype(np.uint16) * 257 if how.bits == 16 else colours
    if how.bits == 8:
        pixels, _ = decode_picture(path, data, colour=how.background, max_pixels=MAX_PIXELS, min_side=1)
        return grey(pixels)[..., None] if how.kind == "grey" else pixels
    deep = _opaque(decode_faithful(path, data).pixels, how.background)
    if how.kind == "rgb":
        return np.ascontiguousarray(np.broadcast_to(deep, (*deep.shape[:2], 3)))
    return deep if deep.shape[2] == 1 else np.rint(deep @ LUMA).astype(np.uint16)[..., None]


def _labels(path: Path, data: bytes, how: Reading) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, of as few colours as the file has classes."""
    header = read_header(path, data)
    if header.stored == "grey" and header.exact:
        try:
            return paint(read_ids(path, data), how.palette or open_palette("generic"))
        except DataError as error:
            what = error.what if error.what.startswith(str(path)) else f"{path}: {error.what}"
            raise DataError(what, error.hint) from None
    pixels, _ = decode_picture(path, data, colour=how.background, max_pixels=MAX_PIXELS, min_side=1)
    if how.palette is None or header.stored == "palette":
        return pixels
    colours: NDArray[np.uint8] = how.palette.colours[nearest_ids(pixels, how.palette.colours)]
    return colours


def read_ids(path: Path, data: bytes) -> NDArray[np.int64]:
    """What a grey file without loss stores, (H, W), as it is: no depth is spread over another.

    Raises:
        DataError: it cannot be decoded.
    """
    samples = decode_faithful(path, data).pixels[..., 0].astype(np.int64)
    header = read_header(path, data)
    return samples // (255 // ((1 << header.bits) - 1)) if header.bits < 8 else samples


def _opaque(pixels: Samples, background: Colour) -> Samples:
    """(H, W, 1 to 4) as (H, W, 1 or 3) uint16, on `background` where it is transparent."""
    deep = pixels.astype(np.uint16) * 257 if pixels.dtype == np.uint8 else pixels
    if deep.shape[2] in (1, 3):
        return deep
    alpha = deep[..., -1:].astype(np.float32) / 65535
    if alpha.min() == 1:
        return deep[..., :-1]
    under = np.array(background, np.float32) * 257
    return np.rint(deep[..., :-1] * alpha + under * (1 - alpha)).astype(np.uint16)


def eight_bits(pixels: Samples) -> NDArray[np.uint8]:
    """The same as bytes: of 16 bits v becomes round(v / 257)."""
    return pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


# --- sizes ------------------------------------------------------------------------------------------------


def resized(pixels: Samples, size: tuple[int, int], kind: Kind) -> Samples:
    """A picture brought to `size` (height, width), of the same type; where it has that size, itself.

    Labels take the nearest pixel, so that no new colours arise; others Pillow's antialiased bicubic, as torchvision's
    `Resize` does in the authors' PyTorch code.

    Args:
        pixels: (H, W, 1 or 3) uint8 or uint16.
    """
    if pixels.shape[:2] == size:
        return pixels
    if kind == "labels":
        rows, columns = (_nearest(have, want) for have, want in zip(pixels.shape[:2], size, strict=True))
        return pixels[rows[:, None], columns]
    if pixels.dtype == np.uint16 or pixels.shape[2] == 1:
        return np.stack([_plane(pixels[..., k], size) for k in range(pixels.shape[2])], 2)
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC))


def _nearest(have: int, want: int) -> NDArray[np.int64]:
    """The pixels of `have` in which the middles of `want` lie."""
    return (2 * np.arange(want, dtype=np.int64) + 1) * have // (2 * want)


def _plane(plane: NDArray[np.generic], size: tuple[int, int]) -> Samples:
    """One channel by bicubic. Pillow has no 16 bits that all of its versions can resize: float32 holds them exactly."""
    if plane.dtype == np.uint8:
        return np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BICUBIC))
    found = np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size[::-1], Image.Resampling.BICUBIC))
    deep: Samples = np.rint(found).clip(0, 65535).astype(np.uint16)
    return deep


def fitted(pixels: Samples, size: tuple[int, int], fit: Fit, kind: Kind) -> Samples:
    """A whole picture as it goes into a trained network; see `gantool.family.Translation`.

    Args:
        pixels: (H, W, 1 or 3) uint8 or uint16.
        size: (height, width) of what was trained on; "width" looks at the latter alone.
        fit: "squash", to that size; "width", to that width with the height following; "none", as it is.
        kind: labels are resized without mixing.
    """
    if fit == "none":
        return pixels
    return resized(pixels, size if fit == "squash" else wide(pixels.shape, size[1]), kind)


def wide(shape: Sequence[int], width: int, least: int = 1) -> tuple[int, int]:
    """(height, width) of a picture of (height, width, ...) `shape` at that width; the height is cut to whole pixels,
    as in the authors' PyTorch code, and at least `least`."""
    return max(width * shape[0] // shape[1], least), width
