"""Arrays inside NumPy's files, without loading them: `.npy` and stored `.npz` are mapped, compressed ones streamed.

NumPy's own loader reads an `.npz` array whole, and maps `.npy` only.
"""

from __future__ import annotations

import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from gantool.data.archives import data_offset, open_zip, printable
from gantool.data.listing import file_mode, read_error
from gantool.errors import DataError

_AGAIN = "Copy or save it again."
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, as its header describes it.

    Attributes:
        path: the file.
        label: what to call the array in messages.
        shape, dtype: as in NumPy.
        fortran: the first index runs fastest.
        header: bytes before the values, from the beginning of the `.npy` (which may be a member of an `.npz`).
        member: the entry of the `.npz`, None for an `.npy`.
    """

    path: Path
    label: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    header: int
    member: zipfile.ZipInfo | None = None

    @property
    def mappable(self) -> bool:
        """Whether the values lie in the file as they are."""
        return self.member is None or self.member.compress_type == zipfile.ZIP_STORED

    def mapped(self, shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
        """The array (as `shape`) mapped into memory, read-only: what is not looked at is not read.

        Raises:
            DataError: the file cannot be read, or is not as it was when its header was read.
        """
        with _reading(self.path, self.label):
            with open(self.path, "rb") as file:
                start = self.header + (0 if self.member is None else data_offset(file, self.member))
            order: Literal["F", "C"] = "F" if self.fortran else "C"
            return np.memmap(self.path, self.dtype, "r", start, shape or self.shape, order)

    def chunks(self, values: int) -> Iterator[npt.NDArray[Any]]:
        """All values as they follow each other in the file, in 1-D arrays of `values` (the last may be shorter).

        Raises:
            DataError: the file cannot be read, or a compressed array is damaged (said by its checksum at the end).
        """
        if self.mappable:
            flat = self.mapped((math.prod(self.shape),))
            yield from (flat[k : k + values] for k in range(0, len(flat), values))
            return
        assert self.member is not None
        left = math.prod(self.shape)
        with (
            _reading(self.path, self.label),
            zipfile.ZipFile(self.path) as archive,
            archive.open(self.member) as file,
        ):
            file.read(self.header)
            while left > 0:
                chunk = np.frombuffer(file.read(min(values, left) * self.dtype.itemsize), self.dtype)
                if len(chunk) < min(values, left):
                    raise EOFError("it ends too early")
                yield chunk
                left -= len(chunk)


def arrays_in(path: Path) -> dict[str, StoredArray]:
    """The arrays of an `.npz` by their keys; that of any other file under the key "".

    Raises:
        DataError: the file is missing, unreadable, empty, not one of NumPy's, damaged or cut off.
    """
    if path.suffix.lower() == ".npz":
        arrays = {}
        with open_zip(path) as archive:
            for member in archive.infolist():
                key = member.filename.removesuffix(".npy")
                if key != member.filename:
                    label = f"{printable(key)} in {path}"
                    with _reading(path, label), archive.open(member) as file:
                        arrays[key] = _header(path, label, file, member.file_size, member)
        return arrays
    if not stat.S_ISREG(file_mode(path)):
        raise DataError(f"{path} is not a regular file.", "Name an .npy or .npz file.")
    with _reading(path, str(path)), open(path, "rb") as file:
        return {"": _header(path, str(path), file, os.fstat(file.fileno()).st_size, None)}


def _header(path: Path, label: str, file: IO[bytes], size: int, member: zipfile.ZipInfo | None) -> StoredArray:
    """Read the header from the beginning of `file`, and compare what it announces with the `size` in bytes."""
    if size == 0:
        raise DataError(f"{label} is empty (0 bytes).", _AGAIN)
    read = _HEADERS.get(np.lib.format.read_magic(file))
    if read is None:
        raise ValueError("its version is unknown")
    try:
        shape, fortran, dtype = read(file)
    except (OSError, zipfile.BadZipFile, zlib.error):
        raise
    except Exception as error:  # it is a Python literal, and what a forged one raises is of any kind
        raise ValueError("its header makes no sense") from error
    if any(side < 0 for side in shape):
        raise ValueError(f"its shape is {shape}")
    needed = file.tell() + math.prod(shape) * dtype.itemsize
    if size < needed and not dtype.hasobject:
        raise DataError(f"{label} is cut off: {size:,} of {needed:,} bytes are there.", _AGAIN)
    return StoredArray(path, label, shape, dtype, fortran, file.tell(), member)


@contextmanager
def _reading(path: Path, label: str) -> Iterator[None]:
    """What reading a damaged array can raise becomes one DataError."""
    try:
        yield
    except OSError as error:
        raise read_error(path, error) from error
    except (ValueError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise DataError(f"{label} cannot be read as NumPy's array ({reason}).", _AGAIN) from error
