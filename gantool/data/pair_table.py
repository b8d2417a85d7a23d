"""Pairs of pictures listed in a CSV: two columns of paths."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from gantool.data.archives import printable
from gantool.data.image import read_bytes
from gantool.data.listing import SUFFIXES
from gantool.errors import DataError

_MOST_BYTES = 1 << 28
_NAMED = 5  # lines with something missing that an error shows
_FORM = "A line holds two paths, of A and of B, parted by a comma; paths are relative to the folder of the CSV."


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """The paths of A and B of each line, relative to the folder of the CSV (or absolute).

    A first line whose cells are no pictures by their extension is a header. Commas inside paths need quotes; where
    the first line has none, semicolons or tabs part the columns. Blank lines are left out.

    Raises:
        DataError: no such file, not CSV, empty, a line without two paths, or paths that lead to no file.
    """
    data = read_bytes(path)
    if len(data) > _MOST_BYTES:
        raise DataError(f"{path} is larger than {_MOST_BYTES >> 20} MiB.", _FORM)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a text file in UTF-8.", _FORM) from None
    first = text.partition("\n")[0]
    delimiter = next((one for one in ",;\t" if one in first), ",")
    rows: list[tuple[str, str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for number, row in enumerate(reader):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if number == 0 and not any(os.path.splitext(cell)[1].lower() in SUFFIXES for cell in cells):
                continue  # what the columns are called
            if len(cells) != 2 or not all(cells):
                count = {1: "one cell", 2: "an empty cell"}.get(len(cells), f"{len(cells)} cells")
                raise DataError(f"{path}, line {reader.line_num}: it has {count} instead of two paths.", _FORM)
            rows.append((cells[0], cells[1]))
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}.", _FORM) from error
    if not rows:
        raise DataError(f"{path} has no pairs.", _FORM)
    _check_files(path, rows, lines)
    return rows


def _check_files(path: Path, rows: list[tuple[str, str]], lines: list[int]) -> None:
    missing = []
    for line, row in zip(lines, rows, strict=True):
        missing += [(line, cell) for cell in row if not _is_file(path.parent, cell)]
    if missing:
        named = "; ".join(f"line {line}: {printable(cell)[:200]}" for line, cell in missing[:_NAMED])
        more = f"; and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        raise DataError(
            f"{len(missing):,} of the {2 * len(rows):,} files that {path} lists are not there ({named}{more}).",
            "Mend the paths, which are relative to the folder of the CSV, or remove the lines.",
        )


def _is_file(folder: Path, name: str) -> bool:
    try:
        return os.path.isfile(folder / name)
    except ValueError:  # a NUL in the name
        return False
