"""Sets of small grey pictures that fit into memory: what IDX files, digit CSVs and scikit-learn's digits become."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from gantool.data.decode import Colour, Pixels
from gantool.data.labels import Labels
from gantool.data.listing import file_mode, read_error
from gantool.errors import DataError


@dataclass(frozen=True, eq=False)
class Digits:
    """What a file of digits holds: `pixels`, (N, H, W) uint8, and `labels`, (N,), where there are any."""

    pixels: Pixels
    labels: Labels | None


class GreyPictures:
    """Grey pictures in memory, called "0", "1", ...: a `gantool.data.pictures.Source`.

    Args:
        kind: see `gantool.data.pictures.Pictures`.
        pixels: (N, H, W) uint8.
    """

    parallel = False

    def __init__(self, kind: str, pixels: Pixels) -> None:
        self.kind = kind
        self.names: Sequence[str] = [str(index) for index in range(len(pixels))]
        self.remarks: list[str] = []
        self._pixels = pixels

    def load(self, index: int, colour: Colour) -> tuple[Pixels, list[str], bool]:
        """Picture `index` as (H, W, 3) uint8, what was done to it, and False: not from JPEG."""
        return np.repeat(self._pixels[index][..., None], 3, axis=2), ["grey repeated to three channels"], False


def sklearn_digits() -> Digits:
    """The 1797 handwritten digits that come with scikit-learn (UCI's test set), 8 × 8, their 17 greys spread to 255."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    found = load_digits()
    return Digits(np.rint(found.images * (255 / 16)).astype(np.uint8), np.asarray(found.target, np.int64))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file `path`, unpacked while it is read where its name ends in `.gz`.

    Raises:
        DataError: it is missing, no regular file, may not be read, empty, or (raised while reading) damaged or cut off.
    """
    if not stat.S_ISREG(file_mode(path)):
        raise DataError(f"{path} is not a regular file.", "Name a file of digits.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes).", "Copy or download it again.")
    try:
        with cast(BinaryIO, gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = str(error).strip().rstrip(".")
        raise DataError(f"{path} is damaged or cut off ({reason}).", "Copy or download it again.") from error
    except OSError as error:
        raise read_error(path, error) from error
