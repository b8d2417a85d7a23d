"""Pictures inside NumPy's files: which array, which axis is what, and sentences for arrays that are no pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from gantool.data.archives import check_member, open_zip
from gantool.data.decode import MAX_PIXELS, Colour, Pixels
from gantool.data.npy import StoredArray, arrays_in
from gantool.errors import DataError

_SHAPES = "Pictures are uint8 of the shape (N, H, W, 3), or (N, H, W) for grey ones."
_SCAN = 1 << 22  # values looked at in one go
MOST_BYTES = 1 << 32
"""A packed file that unpacks to more is not held in memory."""

_GREY = "grey repeated to three channels"


class ArrayPictures:
    """The pictures of an array file, called "0", "1", ...

    The array is uint8, of the shape (N, H, W, 3), (N, H, W, 1), (N, H, W), (H, W, 3) or (H, W, 1); where only one
    reading is possible, also (N, 3, H, W) or (N, 1, H, W). Of an `.npz` it is `arr_0`, or the only array with at
    least three dimensions. Values are mapped into memory, or streamed from a compressed `.npz`; there each
    step back begins again at the first picture, or (`unpack`) the first one loads all of them.

    Args:
        path: the file.
        key: the array of an `.npz` to take, where it is there.
        unpack: for reading in any order.

    Attributes:
        grey: whether the pictures have one channel.
        size: (height, width) of all of them.

    Raises:
        DataError: not such a file, damaged, cut off, or of another shape or type (says how to convert it).
    """

    kind = "array"
    parallel = False

    def __init__(self, path: Path, *, key: str | None = None, unpack: bool = False) -> None:
        self._array = _choose(path, arrays_in(path), key)
        self._unpack = unpack
        self._shape, self._channels_first = _layout(self._array)
        channel, *sides = (1, 2, 3) if self._channels_first else (3, 1, 2)
        self.grey = self._shape[channel] == 1
        self.size = (self._shape[sides[0]], self._shape[sides[1]])
        if self._array.dtype != np.uint8:
            _refuse_type(self._array)
        if self._array.fortran and not self._array.mappable:
            raise DataError(
                f"{self._array.label} is compressed and in Fortran order, which cannot be streamed.",
                "Save numpy.ascontiguousarray(x) instead.",
            )
        self.names: Sequence[str] = [str(index) for index in range(self._shape[0])]
        self.remarks: list[str] = []
        self._mapped: npt.NDArray[Any] | None = None
        self._stream: Iterator[npt.NDArray[Any]] = iter(())
        self._position = 0  # of the stream: the picture that comes next

    def load(self, index: int, colour: Colour) -> tuple[Pixels, list[str], bool]:
        """A copy of picture `index` as (H, W, 3) uint8, what was done to it, and False: not from JPEG.

        Raises:
            DataError: the file cannot be read, or a compressed array is damaged.
        """
        if self._unpack and index < self._position and not self._array.mappable:
            self._mapped = _unpacked(self._array).reshape(self._shape)
        held = self._mapped is not None or self._array.mappable
        x = self._from_map(index) if held else self._from_stream(index)
        if self._channels_first:
            x = x.transpose(1, 2, 0)
        if x.shape[2] == 1:
            return np.repeat(x, 3, axis=2), [_GREY], False
        return np.array(x, order="C"), [], False

    def _from_map(self, index: int) -> Pixels:
        if self._mapped is None:
            self._mapped = self._array.mapped().reshape(self._shape)
        return np.asarray(self._mapped[index])

    def _from_stream(self, index: int) -> Pixels:
        position = self._position
        if position == 0 or index < position:
            self._stream, position = self._array.chunks(math.prod(self._shape[1:])), 0
        self._position = 0  # should the stream fail, the next call begins a new one
        for _ in range(position, index):
            next(self._stream)
        picture = next(self._stream).reshape(self._shape[1:])
        self._position = index + 1
        return picture

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": None, "_stream": iter(()), "_position": 0}


def is_statistics(path: str | Path) -> bool:
    """Whether `path` is an `.npz` with the arrays mu and sigma: FID's statistics of a set of pictures."""
    path = Path(path)
    if path.suffix.lower() != ".npz":
        return False
    try:
        with open_zip(path) as archive:
            return {"mu.npy", "sigma.npy"} <= set(archive.namelist())
    except DataError:
        return False


def _unpacked(array: StoredArray) -> npt.NDArray[Any]:
    """All values of a compressed array, 1-D."""
    size = math.prod(array.shape) * array.dtype.itemsize
    if size > MOST_BYTES:
        raise DataError(
            f"{array.label} unpacks to {size:,} bytes, too many to be read in any order from a compressed file.",
            "Save it with numpy.save or numpy.savez, which do not compress.",
        )
    data = bytearray()
    for chunk in array.chunks(_SCAN):
        data += chunk.tobytes()
    return np.frombuffer(data, array.dtype)


def _choose(path: Path, arrays: dict[str, StoredArray], wanted: str | None) -> StoredArray:
    """The array that holds the pictures; labels and the like have fewer than three dimensions."""
    images = {key: array for key, array in arrays.items() if len(array.shape) >= 3}
    if wanted is not None and wanted in images:
        key = wanted
    elif len(arrays) == 1 or "arr_0" in images:
        key = "arr_0" if "arr_0" in images else next(iter(arrays))
    elif len(images) == 1:
        key = next(iter(images))
    elif images:
        keys = ", ".join(sorted(images))
        raise DataError(
            f"{path} has several arrays that may be pictures ({keys}).",
            f"Save one by itself: numpy.save('pictures.npy', numpy.load({path.name!r})[{min(images)!r}]).",
        )
    elif {"mu", "sigma"} <= arrays.keys():
        raise DataError(
            f"{path} holds statistics of pictures (mu and sigma), not pictures.",
            "Only fid can use them; name the pictures themselves.",
        )
    else:
        found = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "no arrays"
        raise DataError(f"{path} holds no array of pictures (found {found}).", _SHAPES)
    array = arrays[key]
    if array.member is not None:
        check_member(array.member, array.label, most=math.inf)
    if array.dtype.hasobject:
        raise DataError(
            f"{array.label} holds Python objects, which gantool never unpickles.",
            "Save pictures of one size as one uint8 array.",
        )
    return array


def _layout(array: StoredArray) -> tuple[tuple[int, ...], bool]:
    """The shape as (N, H, W, C) or (N, C, H, W), and whether it is the latter."""
    shape, label = array.shape, array.label
    channels_first = False
    if len(shape) == 3 and shape[2] in (1, 3):
        shape = (1, *shape)
    elif len(shape) == 3 and shape[0] == 3:
        raise DataError(
            f"{label} has the shape {array.shape}: one picture with channels first, or three grey ones.",
            "Save x[None] for the one, or x[..., None] for the other.",
        )
    elif len(shape) == 3:
        shape = (*shape, 1)
    elif len(shape) == 4 and shape[1] in (1, 3):
        if shape[3] in (1, 3):
            raise DataError(
                f"{label} has the shape {shape}, whose channels may be second or last.",
                "Save the pictures as separate PNG files.",
            )
        channels_first = True
    elif len(shape) != 4 or shape[3] not in (1, 3):
        raise DataError(f"{label} has the shape {shape}, which is no set of pictures.", _SHAPES)
    if 0 in shape:
        raise DataError(f"{label} holds no pictures: its shape is {array.shape}.", _SHAPES)
    height, width = shape[2:] if channels_first else shape[1:3]
    if height * width > MAX_PIXELS:
        raise DataError(
            f"{label} has pictures of {width} × {height}; at most {MAX_PIXELS / 1e6:.0f} megapixels are read.",
            "Make them smaller.",
        )
    return shape, channels_first


def _refuse_type(array: StoredArray) -> NoReturn:
    """Say what the values are, and how they become uint8. Values of numbers are all looked at for it."""
    what = f"{array.label} holds {array.dtype.name} values"
    if array.dtype.kind not in "fiu":
        hint = "Save (x * 255).astype('uint8') instead." if array.dtype.kind == "b" else _SHAPES
        raise DataError(f"{what} instead of uint8.", hint)
    low, high, odd = math.inf, -math.inf, 0
    for chunk in array.chunks(_SCAN):
        finite = chunk[np.isfinite(chunk)]
        odd += len(chunk) - len(finite)
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    spread = f" from {low:g} to {high:g}" if low <= high else ""
    strange = f", {odd:,} of them NaN or infinite," if odd else ""
    if array.dtype.kind == "f" and low >= 0 and high > 1.5 and high <= 255:
        hint = "Save x.round().astype('uint8') instead."
    elif array.dtype.kind == "f":
        hint = "Values in [-1, 1] become pictures by (x * 127.5 + 127.5).round().clip(0, 255).astype('uint8')"
        hint += ", those in [0, 1] by (x * 255).round().clip(0, 255).astype('uint8')."
    elif low >= 0 and high <= 255:
        hint = "Save x.astype('uint8') instead."
    else:
        hint = "Bring them to 0 ... 255 and save them as uint8."
    raise DataError(f"{what}{spread}{strange} instead of uint8.", hint)
