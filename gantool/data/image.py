"""Pictures from files and back: decode anything common to 8-bit RGB, say what was done, never hang.

Inside the program pictures are NCHW float in [-1, 1]; at the border they are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gantool.data.decode import MAX_PIXELS, Pixels, decode_picture, parse_colour
from gantool.data.listing import file_mode, picture_names, read_error
from gantool.data.movie import save_gif, save_mp4
from gantool.errors import DataError, Diverged
from gantool.files import atomic_write

if TYPE_CHECKING:
    import torch

__all__ = [
    "Picture",
    "Pixels",
    "list_pictures",
    "load_picture",
    "png_bytes",
    "read_bytes",
    "save_gif",
    "save_mp4",
    "save_png",
    "to_tensor",
    "to_uint8",
]

MAX_BYTES = 1 << 30
"""A larger file is not read."""


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
    path: str | Path, *, background: str = "white", max_pixels: int = MAX_PIXELS, min_side: int = 1
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
    data = read_bytes(path)
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
        if stat.S_ISDIR(file_mode(path)):
            found += [path / name for name in picture_names(path, recursive=recursive)]
        else:
            found.append(path)
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
        ValueError: another shape.
        Diverged: NaN among the values.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"expected (N, 3, H, W), got {tuple(images.shape)}")
    x = images.detach().float().cpu()
    if bool(x.isnan().any()):
        raise Diverged("The pictures hold NaN: the model has diverged.", "Try a lower learning rate or another seed.")
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


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """All bytes of the picture file `path`, or the first `most` of them.

    Raises:
        DataError: there is none, it is not a regular file, empty, larger than 1 GiB, or may not be read.
    """
    mode = file_mode(path)
    if stat.S_ISDIR(mode):
        raise DataError(f"{path} is a folder, not a picture.", "Name one picture file inside it.")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise DataError(f"{path} is not a regular file.", "Save the picture to a file first.")
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            if size <= MAX_BYTES:
                # Not all it can be: read() takes the memory that it is told at once. Some files say 0 but are not.
                data = file.read(most or max(size, 1 << 16) + 1)
                if 0 < len(data) <= MAX_BYTES:
                    return data
                if not data:
                    raise DataError(f"{path} is empty (0 bytes).", "Copy or download the picture again.")
    except OSError as error:
        raise read_error(path, error) from error
    raise DataError(f"{path} is larger than 1 GiB.", "Save the picture in a smaller size or format.")
