"""Digits in CSV: a line for each picture, its label and its grey values, as in Kaggle's digit recognizer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantool.data.archives import printable
from gantool.data.arrays import MOST_BYTES
from gantool.data.digits import Digits, opened
from gantool.data.labels import MOST_CLASSES
from gantool.errors import DataError

_LABEL_NAMES = {"label", "labels", "class", "target", "digit", "y"}
_OTHER_NAMES = {"", "id", "index", "unnamed: 0"}  # columns that are neither label nor pixel
_LONGEST = 1 << 24  # bytes of a line
_FORM = "A line holds a label and height × width grey values from 0 to 255, or only those, separated by commas."


@dataclass(frozen=True)
class _Layout:
    """What the columns are: how many there are, which is the label, and which are pixels, from the left top on."""

    columns: int
    label: int | None
    pixels: Any  # an index into the values of a line: a slice, or an array of columns
    side: int
    ignored: tuple[int, ...] = ()


def is_csv(path: Path) -> bool:
    """Whether the name of `path` is that of a CSV, plain or packed by gzip."""
    return path.name.lower().endswith((".csv", ".csv.gz"))


def read_csv(path: Path) -> Digits:
    """The digits of a CSV: square grey pictures, with labels where there is a column of them.

    With a header, the label is the column of that name (else the first, where one column is one too many for a
    square), and columns called id or index are left out; without one, it is the first column. Memory: a byte a pixel.

    Raises:
        DataError: no such file, empty, wrong numbers of columns, values that are no grey values, or labels that
            are missing or no small whole numbers; the line and the column are named.
    """
    layout: _Layout | None = None
    pixels, labels = bytearray(), []
    with opened(path) as file:
        for number, line in _lines(path, file):
            if layout is None:
                cells = _cells(line)
                header = _is_header(cells)
                layout = _layout(path, number, cells, header)
                if header:
                    continue
            label, row = _row(path, number, line, layout)
            labels.append(label)
            pixels += row
    if layout is None or not labels:
        raise DataError(f"{path} has no rows.", _FORM)
    shape = (len(labels), layout.side, layout.side)
    return Digits(
        np.frombuffer(pixels, np.uint8).reshape(shape), None if layout.label is None else np.array(labels, np.int64)
    )


def _lines(path: Path, file: Any) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, by their number from 1, without quotes."""
    number = total = 0
    while line := file.readline(_LONGEST + 1):
        number += 1
        total += len(line)
        if len(line) > _LONGEST:
            raise DataError(f"{path}, line {number:,} is longer than {_LONGEST >> 20} MiB.", _FORM)
        if total > MOST_BYTES and path.suffix.lower() == ".gz":
            raise DataError(f"{path} unpacks to more than {MOST_BYTES:,} bytes.", "Unpack it with gunzip.")
        line = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).replace(b'"', b"").strip()
        if line:
            yield number, line


def _row(path: Path, number: int, line: bytes, layout: _Layout) -> tuple[int, bytes]:
    """The label (0 where there is none) and the pixels of a line."""
    cells = line.split(b",") if layout.ignored else []
    if len(cells) == layout.columns:
        line = b",".join(b"0" if column in layout.ignored else cell for column, cell in enumerate(cells))
    for kind in (np.int64, np.float64):  # whole numbers read four times as fast; some programs write 12.0
        try:
            values: NDArray[Any] = np.fromstring(line, kind, sep=",")
        except (ValueError, DeprecationWarning):
            continue
        if len(values) == layout.columns:
            label = 0 if layout.label is None else values[layout.label]
            found = values[layout.pixels]
            with np.errstate(invalid="ignore"):
                row = found.astype(np.uint8)
            if (row == found).all() and 0 <= label < MOST_CLASSES and label == int(label):
                return int(label), row.tobytes()
        break
    raise _explained(path, number, _cells(line), layout)


def _explained(path: Path, number: int, cells: list[str], layout: _Layout) -> DataError:
    """What is wrong with a line that could not be read."""
    where = f"{path}, line {number:,}"
    if len(cells) != layout.columns:
        hint = "Separate the values by commas." if re.search(r"[;\t ]\s*\d", cells[0]) else _FORM
        return DataError(f"{where} has {len(cells):,} columns instead of {layout.columns:,}.", hint)
    for column, cell in enumerate(cells):
        value, shown = _number(cell), printable(cell[:40])
        if column == layout.label:
            if not cell:
                return DataError(f"{where} has no label.", "Label it, or remove the line.")
            if value is None or value != int(value) or not 0 <= value < MOST_CLASSES:
                return DataError(
                    f"{where}, column {column + 1:,}: the label is {shown!r}.",
                    f"Labels are whole numbers from 0 to {MOST_CLASSES - 1:,}.",
                )
        elif column not in layout.ignored and (value is None or value != int(value) or not 0 <= value <= 255):
            hint = "Grey values are whole numbers from 0 to 255."
            if value is not None and 0 < value < 1:
                hint += " Multiply those from 0 to 1 by 255, and round them."
            return DataError(f"{where}, column {column + 1:,}: {shown!r} is no grey value.", hint)
    return DataError(f"{where} cannot be read as numbers.", _FORM)


def _layout(path: Path, number: int, cells: list[str], header: bool) -> _Layout:
    """What the columns are, from the first line."""
    columns = list(range(len(cells)))
    names = [cell.strip().casefold() for cell in cells] if header else []
    found = [column for column, name in enumerate(names) if name in _LABEL_NAMES]
    if len(found) > 1:
        raise DataError(f"{path} has several columns of labels ({', '.join(cells[k] for k in found)}).", "Keep one.")
    ignored = tuple(k for k, name in enumerate(names) if name in _OTHER_NAMES)
    columns = [k for k in columns if k not in ignored]
    label = found[0] if found else None
    if label is None and not _root(len(columns)) and len(columns) > 1 and _root(len(columns) - 1):
        label = columns[0]
    columns = [k for k in columns if k != label]
    side = _root(len(columns))
    if side < 2:
        hint = "Separate the values by commas." if len(cells) == 1 and re.search(r"[;\t ]", cells[0]) else _FORM
        raise DataError(
            f"{path}, line {number:,} has {len(cells):,} columns, which make no square picture "
            f"(28 × 28 = 784), with or without a label.",
            hint,
        )
    whole = columns == list(range(columns[0], columns[0] + len(columns)))
    pixels: Any = slice(columns[0], columns[0] + len(columns)) if whole else np.array(columns)
    return _Layout(len(cells), label, pixels, side, ignored)


def _is_header(cells: list[str]) -> bool:
    """Whether a first line holds names: words of a header, more words than numbers, or numbers that only count."""
    names, numbers = [cell.casefold() for cell in cells], [_number(cell) for cell in cells]
    if any(name and name in _LABEL_NAMES | _OTHER_NAMES for name in names) or 2 * numbers.count(None) > len(cells):
        return True
    counted = numbers[1:] if numbers[0] is None else numbers
    return len(counted) > 2 and counted == [
        float(k) for k in range(int(counted[0] or 0), int(counted[0] or 0) + len(counted))
    ]


def _cells(line: bytes) -> list[str]:
    return [cell.strip() for cell in line.decode("utf-8", "replace").split(",")]


def _number(cell: str) -> float | None:
    """The finite number that a cell holds; None for anything else."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _root(count: int) -> int:
    """The side of a square of `count` pixels; 0 where there is none."""
    side = math.isqrt(count)
    return side if side * side == count else 0
