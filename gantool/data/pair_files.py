"""The files of pairs: whole ones, or the halves of one that holds both pictures side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gantool.data.archives import printable
from gantool.data.decode import MAX_PIXELS, Colour, Level, decode_picture, is_jpeg
from gantool.data.faithful import Samples
from gantool.data.labelled import LabelledPictures
from gantool.data.pictures import Loaded, PictureFiles
from gantool.data.sides import Header, Reading, read_header, read_side
from gantool.errors import DataError

LEFT, RIGHT = 0, 1

_HEAD = 1 << 16  # bytes in which nearly all headers end


def half_of(whole: NDArray[Level], half: int) -> NDArray[Level]:
    """The LEFT or RIGHT half of (H, W, C); of an odd number of columns the middle one belongs to neither.

    Raises:
        DataError: there is one column.
    """
    width = whole.shape[1] // 2
    if width < 1:
        raise DataError("it is one pixel wide, and holds no two pictures.", "Remove it.")
    return whole[:, :width] if half == LEFT else whole[:, -width:]


class Files(Protocol):
    """Picture files by their number: `PictureFiles`, `ZipPictures`, `ListedFiles`."""

    @property
    def names(self) -> Sequence[str]:
        """One for each."""
        ...

    def data(self, index: int, most: int | None = None) -> tuple[Path, bytes]:
        """What to call the file in errors, and its bytes, or at least the first `most`. Raises DataError."""
        ...

    def mark(self, index: int) -> bytes:
        """What tells it from others, for a digest."""
        ...


class ListedFiles(PictureFiles):
    """Files that a list names, wherever they are.

    Args:
        folder: what their names are relative to.
        files: their names.
    """

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self.kind, self.folder, self.files, self.remarks = "csv", folder, list(files), []
        self.names: Sequence[str] = [printable(name) for name in files]


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two pictures of each pair.

    Attributes:
        label: what messages call where they are.
        files: which these are among.
        numbers: of the file of each pair in `files`, (N,) int64.
        names: of each pair's file.
        half: LEFT or RIGHT where the picture is a half of its file; None where it is all of it.
    """

    label: str
    files: Files = field(repr=False)
    numbers: NDArray[np.int64] = field(repr=False)
    names: Sequence[str] = field(repr=False)
    half: int | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def only(self, indices: Sequence[int]) -> Side:
        """The side of some of the pairs, in that order."""
        names = [self.names[index] for index in indices]
        return Side(self.label, self.files, self.numbers[np.asarray(indices, np.int64)], names, self.half)

    def data(self, index: int) -> tuple[Path, bytes]:
        """The file of pair `index`. Raises DataError."""
        return self.files.data(int(self.numbers[index]))

    def header(self, index: int) -> Header:
        """The header of the file of pair `index`; of a half the width of that half.

        Raises:
            DataError: it is no picture that can be decoded.
        """
        number = int(self.numbers[index])
        path, data = self.files.data(number, _HEAD)
        try:
            return self._own(read_header(path, data))
        except DataError:
            if len(data) != _HEAD:
                raise
        return self._own(read_header(*self.files.data(number)))  # what stands before it is long: a profile, a preview

    def read(self, index: int, how: Reading) -> Samples:
        """The picture of pair `index`: see `read_side`. Raises DataError."""
        return self.cut(read_side(*self.data(index), how))

    def cut(self, whole: NDArray[Level]) -> NDArray[Level]:
        """This side's part of a file; see `half_of`."""
        return whole if self.half is None else half_of(whole, self.half)

    def _own(self, header: Header) -> Header:
        if self.half is None:
            return header
        return replace(header, width=header.width // 2, odd=header.width % 2 == 1)


@dataclass(eq=False, kw_only=True)
class PairedPictures(LabelledPictures):
    """Pairs of pictures; `pictures` are those of A and B side by side.

    Attributes:
        a, b: the sides.
    """

    a: Side
    b: Side

    def identity_of_both(self) -> Iterator[bytes]:
        """For the digest: the marks of all files, each once where it holds both pictures."""
        for side in (self.a, self.b) if self.a.half is None else (self.a,):
            for number in side.numbers:
                yield side.files.mark(int(number))


class Joined:
    """The pairs as pictures: A left, B right (below it black, where it is less high). See `Source`."""

    parallel = True

    def __init__(self, kind: str, a: Side, b: Side, remarks: list[str]) -> None:
        self.kind, self.names, self.remarks, self._a, self._b = kind, a.names, remarks, a, b

    def load(self, index: int, colour: Colour) -> Loaded:
        """See `Source`."""
        a = _decoded(*self._a.data(index), colour)
        if self._a.half is not None:
            return a
        b = _decoded(*self._b.data(index), colour)
        both = np.zeros((max(len(a[0]), len(b[0])), a[0].shape[1] + b[0].shape[1], 3), np.uint8)
        both[: len(a[0]), : a[0].shape[1]] = a[0]
        both[: len(b[0]), a[0].shape[1] :] = b[0]
        return both, list(dict.fromkeys([*a[1], *b[1]])), a[2] or b[2]


def _decoded(path: Path, data: bytes, colour: Colour) -> Loaded:
    return *decode_picture(path, data, colour=colour, max_pixels=MAX_PIXELS, min_side=1), is_jpeg(data)
