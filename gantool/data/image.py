"""Pictures from files and back: decode anything common to 8-bit RGB, say what was done, never hang.

Inside the program pictures are NCHW float in [-1, 1]; at the border they are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import re
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gantool.data.decode import READS, Pixels, decode_picture, parse_colour
from gantool.data.movie import save_gif, save_mp4
from gantool.errors import DataError
from gantool.files import atomic_write

if TYPE_CHECKING:
    import torch

__all__ = [
    "Picture",
    "Pixels",
    "list_pictures",
    "load_picture",
    "png_bytes",
    "save_gif",
    "save_mp4",
    "save_png",
    "to_tensor",
    "to_uint8",
]

_SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".avif", ".jp2"]
    + [f".p{kind}m" for kind in "bgpn"]
)
_MAX_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, contiguous.
        path: the file it came from.
        sha256: hash of the file's bytes, the same bytes that were decoded.
        notes: one short sentence for each thing that was done to reach 8-bit RGB.
    """

    pixels: Pixels = field(repr=False)
    path: Path
    sha256: str
    notes: tuple[str, ...]

    @property
    def height(self) -> int:
        """Height in pixels, after EXIF rotation."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels, after EXIF rotation."""
        return int(self.pixels.shape[1])

    @property
    def name(self) -> str:
        """File name without its extension."""
        return self.path.stem


def load_picture(
    path: str | Path, *, background: str = "white", max_pixels: int = 64_000_000, min_side: int = 1
) -> Picture:
    """Decode the picture file `path` to 8-bit RGB.

    Transparent pixels are put on `background` ("white", "black" or "#rrggbb"). 16-bit values become
    round(v / 257); 32-bit integers are stretched from their own range; floats too, unless all are in [0, 1].
    Of an animation or a multi-page file the first frame is used. EXIF orientation is applied.

    Raises:
        ConfigError: `background` is not a colour.
        DataError: the file is missing, not a regular file, unreadable, not a picture, damaged or cut off,
            has more than `max_pixels` pixels (said before decoding), or a side under `min_side`.
    """
    path = Path(path)
    colour = parse_colour(background)
    data = _read_bytes(path)
    pixels, notes = decode_picture(path, data, colour=colour, max_pixels=max_pixels, min_side=min_side)
    return Picture(pixels, path, hashlib.sha256(data).hexdigest(), tuple(notes))


def list_pictures(paths: str | Path | Sequence[str | Path], *, recursive: bool = False) -> list[Path]:
    """The picture files meant by `paths`: a file is itself, a folder its picture files (by extension).

    A folder's files come in natural order (2 before 10) without hidden ones; `recursive` adds sub-folders.

    Raises:
        DataError: a path is missing or unreadable, or a folder has no pictures.
    """
    found: list[Path] = []
    for path in [Path(paths)] if isinstance(paths, str | Path) else map(Path, paths):
        found += _list_folder(path, recursive) if stat.S_ISDIR(_status(path)) else [path]
    if not found:
        raise DataError("No pictures were given.", "Name a picture file or a folder of pictures.")
    return found


def to_tensor(pixels: Pixels) -> torch.Tensor:
    """(H, W, 3) uint8 to a new (1, 3, H, W) float32 tensor in [-1, 1]: (x / 255 - 0.5) * 2 in float32.

    Raises:
        ValueError: another shape or type.
    """
    import torch

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    planes = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    return (planes[None].to(torch.float32) / 255 - 0.5) * 2


def to_uint8(images: torch.Tensor) -> Pixels:
    """(N, 3, H, W) or (N, 1, H, W) in [-1, 1] to (N, H, W, 3) uint8: clamped, then rounded to nearest.

    Raises:
        ValueError: another shape, or NaN.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"expected (N, 3, H, W), got {tuple(images.shape)}")
    x = images.detach().float().cpu()
    if bool(x.isnan().any()):
        raise ValueError("the images contain NaN")
    bytes_ = ((x.clamp(-1, 1) + 1) / 2 * 255).round().byte()
    result: Pixels = bytes_.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()
    return result


def save_png(pixels: Pixels, path: str | Path, *, overwrite: bool = False) -> None:
    """Write (H, W, 3) uint8 RGB or (H, W) uint8 grey as PNG, whole or not at all.

    Raises:
        RunError: the file exists and `overwrite` is False, or it cannot be written.
        ValueError: another shape or type.
    """
    atomic_write(path, png_bytes(pixels), overwrite=overwrite, sync=False)


def png_bytes(pixels: Pixels) -> bytes:
    """(H, W, 3) uint8 RGB or (H, W) uint8 grey as a PNG file's content. Raises ValueError for anything else."""
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(f"expected (H, W, 3) or (H, W) uint8, got {pixels.shape} {pixels.dtype}")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


# Reading: from a path to bytes


def _status(path: Path) -> int:
    """The mode of `path`, or the DataError that says why there is none."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"There is no file {path}.", _did_you_mean(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _read_error(path, error) from error


def _did_you_mean(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"The folder {path.parent} does not exist either; check the path."
    by_folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(path.name.casefold(), by_folded, n=1, cutoff=0.6)
    return f"Did you mean {path.with_name(by_folded[close[0]])}?" if close else "Check the path."


def _read_error(path: Path, error: Exception) -> DataError:
    if isinstance(error, PermissionError):
        return DataError(f"You may not read {path}.", "Check the permissions of the file and its folder.")
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(f"Cannot read {path}: {reason}.", "Check the path.")


def _read_bytes(path: Path) -> bytes:
    mode = _status(path)
    if stat.S_ISDIR(mode):
        raise DataError(f"{path} is a folder, not a picture.", "Name one picture file inside it.")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise DataError(f"{path} is not a regular file.", "Save the picture to a file first.")
    try:
        with open(path, "rb") as file:
            if path.stat().st_size <= _MAX_BYTES:
                data = file.read(_MAX_BYTES + 1)  # bounded, should the file grow meanwhile
                if 0 < len(data) <= _MAX_BYTES:
                    return data
                if not data:
                    raise DataError(f"{path} is empty (0 bytes).", "Copy or download the picture again.")
    except OSError as error:
        raise _read_error(path, error) from error
    raise DataError(f"{path} is larger than 1 GiB.", "Save the picture in a smaller size or format.")


# Folders


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key: numbers by value, the rest by letters without case."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _list_folder(folder: Path, recursive: bool) -> list[Path]:
    found, others, folders = [], Counter[str](), 0
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            entries = [entry for entry in here.iterdir() if not entry.name.startswith(".")]
        except OSError as error:
            raise _read_error(here, error) from error
        for entry in entries:
            if entry.is_dir():
                folders += 1
                if recursive and not entry.is_symlink():  # a link may lead back up
                    waiting.append(entry)
            elif entry.suffix.lower() in _SUFFIXES:
                found.append(entry)
            else:
                others[entry.suffix or "without extension"] += 1
    if found:
        return sorted(found, key=lambda path: (_natural(path), str(path)))
    seen = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(3))
    hint = READS
    if folders and not recursive:
        hint = "It has a sub-folder: name that." if folders == 1 else "Name one of its sub-folders."
    raise DataError(f"No pictures in {folder} (found {seen or 'no files'}).", hint)
