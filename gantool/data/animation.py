"""Animated GIF, WebP and PNG: their frames, how long each is shown, and back."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantool.data.decode import MAX_PIXELS, check_size, decoding, open_header
from gantool.data.image import read_bytes
from gantool.data.movie import shared_palette
from gantool.errors import DataError

AnimationKind = Literal["gif", "webp", "png"]
KINDS: dict[str, AnimationKind] = {".gif": "gif", ".webp": "webp", ".png": "png", ".apng": "png"}
"""By extension, what can be written."""

MOST_FRAMES = 10_000
UNTOLD = 100.0  # milliseconds that browsers show a frame of which nothing is said
_ANIMATED: dict[str | None, AnimationKind] = {"GIF": "gif", "WEBP": "webp", "PNG": "png", "AVIF": "webp"}


@dataclass(frozen=True)
class Frame:
    """A picture of an animation: (H, W, 4) uint8, and how long it is shown."""

    pixels: NDArray[np.uint8] = field(repr=False)
    milliseconds: float


@dataclass(frozen=True)
class Animation:
    """An animation in a file.

    Attributes:
        path: of the file.
        kind: in which it is written again: its own, if that can be.
        count: frames.
        plays: how often it is shown; 0 for ever.
        icc: its colour profile.
    """

    path: Path
    kind: AnimationKind
    count: int
    plays: int
    icc: bytes | None = field(default=None, repr=False)

    def frames(self) -> Generator[Frame]:
        """Each frame, whole. Raises DataError where one cannot be decoded."""
        data = read_bytes(self.path)
        with decoding(self.path):
            image = open_header(self.path, data)
        with image:
            first = int(bool(getattr(image, "default_image", False)))  # of PNG, for programs that show one frame
            for number in range(first, first + self.count):
                with decoding(self.path):
                    image.seek(number)
                    image.load()
                    pixels = np.asarray(image.convert("RGBA"))
                    shown = float(image.info.get("duration") or UNTOLD)
                yield Frame(pixels, shown)


def open_animation(path: Path) -> Animation | None:
    """Look at a picture file; None where it is of one frame, or cannot be read.

    Raises:
        DataError: an animation that is too large or too long.
    """
    try:
        with decoding(path), open_header(path, read_bytes(path)) as image:
            count = int(getattr(image, "n_frames", 1)) - bool(getattr(image, "default_image", False))
            kind, size, info = _ANIMATED.get(image.format), image.size, dict(image.info)
            format = image.format
    except DataError:
        return None
    if kind is None or count < 2:
        return None
    check_size(path, size, MAX_PIXELS, 1)
    if count > MOST_FRAMES:
        raise DataError(f"{path} has {count} frames; up to {MOST_FRAMES} are read.", "Make a video of it.")
    return Animation(path, kind, count, _plays(format, info.get("loop")), info.get("icc_profile"))


def _plays(format: str | None, loop: int | None) -> int:
    """How often it is shown; a GIF counts repeats, and says nothing where there are none."""
    if format != "GIF":
        return int(loop or 0)
    return 1 if loop is None else loop + 1 if loop else 0


def animation_bytes(
    frames: Sequence[NDArray[np.uint8]],
    milliseconds: Sequence[float],
    kind: AnimationKind,
    *,
    plays: int = 0,
    quality: int | None = None,
    icc: bytes | None = None,
) -> bytes:
    """An animation file's content.

    A GIF has 256 colours, chosen for all frames together where nothing is transparent, and counts time in 1/100 s; the
    others count it in 1/1000 s. Times are rounded so that no frame begins too early or late by more than that.

    Args:
        frames: (H, W, 1 to 4) uint8 as in `Faithful`, of one shape.
        milliseconds: that each is shown.
        plays: how often; 0 for ever.
        quality: 1 to 100, of WebP; None: without loss.
        icc: a colour profile, of WebP and PNG.
    """
    unit = 10 if kind == "gif" else 1
    ends = np.round(np.cumsum(milliseconds) / unit).astype(int)
    times = [int(time) * unit for time in np.diff(ends, prepend=0)]
    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in _coloured(frames)]
    given: dict[str, object] = {"loop": plays, "icc_profile": icc} if kind != "gif" else {}
    if kind == "gif" and plays != 1:
        given["loop"] = max(0, plays - 1)
    if kind == "gif" and pictures[0].mode == "RGB":
        palette = shared_palette([np.asarray(picture) for picture in pictures])
        pictures = [picture.quantize(palette=palette) for picture in pictures]
    if kind == "gif" and pictures[0].mode == "RGBA":
        given["disposal"] = 2  # what is transparent shows no frame before
    if kind == "webp":
        given |= {"lossless": True, "exact": True} if quality is None else {"quality": quality}
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, kind.upper(), save_all=True, append_images=pictures[1:], duration=times,
        optimize=False, **given,
    )  # fmt: skip
    return buffer.getvalue()


def _coloured(frames: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """(H, W, 3), or (H, W, 4) where something is transparent."""
    found = [_rgba(frame) for frame in frames]
    return found if any((frame[..., 3] < 255).any() for frame in found) else [frame[..., :3] for frame in found]


def _rgba(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = frame[..., -1:] if frame.shape[2] in (2, 4) else np.full((*frame.shape[:2], 1), 255, np.uint8)
    colours = frame[..., :-1] if frame.shape[2] in (2, 4) else frame
    return np.concatenate([np.broadcast_to(colours, (*frame.shape[:2], 3)), alpha], 2)
