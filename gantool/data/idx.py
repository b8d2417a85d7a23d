"""IDX, the format of MNIST's files: a magic number, the sizes, and the bytes; often packed by gzip.

Format: Yann LeCun's page on MNIST, "File formats for the MNIST database".
"""

from __future__ import annotations

import math
import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gantool.data.arrays import MOST_BYTES
from gantool.data.decode import MAX_PIXELS, Pixels
from gantool.data.digits import Digits, opened
from gantool.errors import DataError

_SPLITS = ("train", "t10k", "test")
_AGAIN = "Copy or download it again."
_CHUNK = 1 << 20


def is_idx(path: Path) -> bool:
    """Whether the name of `path` is one of IDX's: `train-images-idx3-ubyte.gz` and its like."""
    return bool(re.search(r"(idx[1-4]-ubyte|\.idx[1-4]?|[-.]ubyte)(\.gz)?$", path.name, re.IGNORECASE))


def images_in(folder: Path) -> list[Path]:
    """The files of pictures that `folder` has under the names that MNIST's have, those to train on first."""
    names = (
        f"{split}-images{dot}idx3-ubyte{packed}" for split in _SPLITS for dot in ("-", ".") for packed in ("", ".gz")
    )
    found = [folder / name for name in names if (folder / name).is_file()]
    packed_twice = {path.with_name(f"{path.name}.gz") for path in found}
    return [path for path in found if path not in packed_twice]


def labels_beside(images: Path) -> Path | None:
    """The file of labels that belongs to a file of pictures, by its name; None where there is none."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    if name == images.name:
        return None
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    return next((path for path in (images.with_name(name), images.with_name(other)) if path.is_file()), None)


def read_idx(images: Path, labels: Path | None) -> Digits:
    """The pictures of one file, with the labels of another. An unpacked file is mapped, not loaded.

    Raises:
        DataError: a file is missing, not such a file, cut off, or of sizes that make no sense.
    """
    pixels = _read(images, 3)
    if labels is None:
        return Digits(pixels, None)
    numbers = _read(labels, 1)
    if len(numbers) != len(pixels):
        raise DataError(
            f"{labels} has {len(numbers):,} labels, but {images} has {len(pixels):,} pictures.",
            "Keep the files of one download together.",
        )
    return Digits(pixels, numbers.astype(np.int64))


def _read(path: Path, dimensions: int) -> Pixels:
    with opened(path) as file:
        shape = _shape(path, file, dimensions)
        needed, start = math.prod(shape), 4 + 4 * dimensions
        if path.suffix.lower() != ".gz":
            _compare(path, os.fstat(file.fileno()).st_size - start, needed)
            return np.memmap(path, np.uint8, "r", start, shape)
        if needed > MOST_BYTES:
            raise DataError(
                f"{path} would unpack to {needed:,} bytes; at most {MOST_BYTES:,} are read.", "Unpack it with gunzip."
            )
        data = bytearray()  # grows with what is there: what the header says may be anything
        while len(data) <= needed and (chunk := file.read(min(_CHUNK, needed + 1 - len(data)))):
            data += chunk
        _compare(path, len(data), needed)
        return np.frombuffer(data, np.uint8).reshape(shape)


def _shape(path: Path, file: BinaryIO, dimensions: int) -> tuple[int, ...]:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= 4:
        raise DataError(f"{path} is not an IDX file: it begins with {head.hex(' ') or 'nothing'}.", _AGAIN)
    if head[2] != 8:
        raise DataError(f"{path} holds values of IDX type 0x{head[2]:02x}; bytes (0x08) are read.", "Save it as bytes.")
    if head[3] != dimensions:
        what = {1: "labels", 3: "pictures"}
        is_what = what.get(head[3], f"an array of {head[3]} dimensions")
        raise DataError(
            f"{path} holds {is_what}, not {what[dimensions]}.",
            "Name the file of pictures (images-idx3-ubyte); labels (labels-idx1-ubyte) are found beside it.",
        )
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{path} is cut off within its header.", _AGAIN)
    shape = struct.unpack(f">{dimensions}I", sizes)
    if 0 in shape:
        raise DataError(f"{path} is empty: its sizes are {' × '.join(map(str, shape))}.", _AGAIN)
    if math.prod(shape[1:]) > MAX_PIXELS:
        raise DataError(f"{path} claims pictures of {shape[2]:,} × {shape[1]:,} pixels.", _AGAIN)
    return shape


def _compare(path: Path, found: int, needed: int) -> None:
    if found < needed:
        raise DataError(f"{path} is cut off: {found:,} of {needed:,} bytes are there.", _AGAIN)
    if found > needed:
        raise DataError(f"{path} goes on after the {needed:,} bytes that its header tells of.", _AGAIN)
