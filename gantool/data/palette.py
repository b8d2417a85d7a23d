"""Palettes: which colour stands for which class, from ids to colours and back."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantool.data.archives import printable
from gantool.data.decode import Colour, Pixels
from gantool.data.image import read_bytes
from gantool.errors import DataError

Ids = NDArray[np.integer[Any]]

BUILTIN = ("cityscapes", "facades", "generic")
"""Palettes that have a name; others are read from files."""

_MOST = 65536  # colours: of 16-bit ids
_MAX_BYTES = 1 << 24
_AT_ONCE = 1 << 22  # distances that are computed at once
_FORM = "It has a colour a line, #rrggbb or red,green,blue, and a name after it if you like; or a JSON list of them."

# id to name and colour, as the data set's own scripts (cityscapesScripts, helpers/labels.py) publish them
_CITYSCAPES = """
    unlabeled 000000, ego vehicle 000000, rectification border 000000, out of roi 000000, static 000000,
    dynamic 6f4a00, ground 510051, road 804080, sidewalk f423e8, parking faaaa0, rail track e6968c, building 464646,
    wall 66669c, fence be9999, guard rail b4a5b4, bridge 966464, tunnel 96785a, pole 999999, polegroup 999999,
    traffic light faaa1e, traffic sign dcdc00, vegetation 6b8e23, terrain 98fb98, sky 4682b4, person dc143c,
    rider ff0000, car 00008e, truck 000046, bus 003c64, caravan 00005a, trailer 00006e, train 005064,
    motorcycle 0000e6, bicycle 770b20
"""
_FACADES = (
    "void", "background", "facade", "window", "door", "cornice", "sill", "balcony", "blind", "deco", "molding",
    "pillar", "shop",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Palette:
    """The colours of classes.

    Attributes:
        name: of a built-in one, or the file it came from.
        colours: (K, 3) uint8 RGB, by id. Two ids may have one colour.
        names: of the classes, by id; empty where nobody has said them.
    """

    name: str
    colours: Pixels = field(repr=False)
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.colours)

    @property
    def plain(self) -> tuple[Colour, ...]:
        """The colours as (red, green, blue) of 0 to 255."""
        return tuple((int(red), int(green), int(blue)) for red, green, blue in self.colours)


def open_palette(reference: str | Path) -> Palette:
    """A built-in palette by its name, or one from a file: see `BUILTIN` and `read_palette`.

    Raises:
        DataError: see `read_palette`.
    """
    return _builtin(str(reference)) if str(reference) in BUILTIN else read_palette(reference)


@cache
def _builtin(name: str) -> Palette:
    """The colours that data sets have had from their authors, and those of `generic_colours`.

    "cityscapes" has 34 ids. "facades" are the 12 of the CMP facade data base (and 0) in the colours of pix2pix's
    pictures of it: every fifth of the 64 of MATLAB's `jet`.
    """
    if name == "cityscapes":
        pairs = [one.strip().rsplit(" ", 1) for one in _CITYSCAPES.split(",")]
        colours = np.array([_hex(colour) for _, colour in pairs], np.uint8)
        return Palette(name, colours, tuple(word for word, _ in pairs))
    if name == "facades":
        place = np.arange(0, 5 * len(_FACADES), 5)[:, None] + 1 - np.array([[48, 32, 16]])  # from the peak of R, G, B
        height = np.clip(24 - np.abs(place), 0, 16) / 16
        return Palette(name, np.rint(255 * height).astype(np.uint8), _FACADES)
    return Palette(name, generic_colours(np.arange(256)))


def generic_colours(ids: Ids) -> Pixels:
    """Colours for any ids, (..., 3) uint8, that are easily told apart as long as the ids are small.

    The three lowest bits of an id are the highest of red, green and blue, and so on, by which no two of 24 bits are
    alike. Source: the colour map of PASCAL VOC's development kit.
    """
    left = ids.astype(np.int64)
    colours = np.zeros((*ids.shape, 3), np.uint8)
    for place in range(7, -1, -1):
        for channel in range(3):
            colours[..., channel] |= ((left >> channel & 1) << place).astype(np.uint8)
        left = left >> 3
    return colours


def paint(ids: Ids, palette: Palette) -> Pixels:
    """Ids of any shape, at least 0, as the colours that stand for them, (..., 3) uint8.

    The generic palette has colours for all ids.

    Raises:
        DataError: an id for which there is none.
    """
    if palette.name == "generic":
        return generic_colours(ids)
    most = int(ids.max(initial=0))
    if most >= len(palette):
        raise DataError(
            f"it has the id {most}, and the palette {palette.name} ends at {len(palette) - 1}.",
            "Take --palette generic, or a file with more colours.",
        )
    colours: Pixels = palette.colours[ids]
    return colours


def nearest_ids(pixels: NDArray[np.unsignedinteger[Any]], colours: Sequence[Colour] | Pixels) -> NDArray[np.int64]:
    """For each pixel the id of the colour that is nearest to it (in RGB; of equally near ones the lowest).

    Args:
        pixels: (..., 3) uint8, or uint16 over its whole range.
        colours: (K, 3) of 0 to 255, at least one.
    """
    centres = np.asarray(colours, np.float32)
    flat = pixels.reshape(-1, 3)
    ids = np.empty(len(flat), np.int64)
    rows = max(1, _AT_ONCE // len(centres))
    half = (centres**2).sum(1) / 2
    for start in range(0, len(flat), rows):
        part = flat[start : start + rows].astype(np.float32)
        if pixels.dtype == np.uint16:
            part /= 257
        # of |p - c|^2 only what differs between colours; of bytes all of it is exact in float32
        ids[start : start + rows] = (half - part @ centres.T).argmin(1)
    return ids.reshape(pixels.shape[:-1])


# --- palettes from files ----------------------------------------------------------------------------------


def read_palette(path: str | Path) -> Palette:
    """A palette from a file: ids are counted from 0 in the order of its colours.

    As CSV, a line for each: `#rrggbb` or `red,green,blue`, and after it, if wanted, a name. As JSON (`.json`) a list
    of such texts, of `[red, green, blue]` or of `{"name": ..., "colour": ...}`, or an object of colours by name.

    Raises:
        DataError: there is no such file, it is of another form, or has no colours or more than 65,536.
    """
    path = Path(path)
    data = read_bytes(path)
    if len(data) > _MAX_BYTES:
        raise DataError(f"{path} is larger than {_MAX_BYTES >> 20} MiB.", f"Name a palette. {_FORM}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a text file.", f"Name a palette. {_FORM}") from None
    entries = _from_json(text, path) if path.suffix.lower() == ".json" else _from_csv(text, path)
    if not 0 < len(entries) <= _MOST:
        raise DataError(f"{path} has {len(entries):,} colours; a palette has from 1 to {_MOST:,}.", _FORM)
    names = tuple(printable(name) for name, _ in entries)
    return Palette(str(path), np.array([colour for _, colour in entries], np.uint8), names if any(names) else ())


def _from_csv(text: str, path: Path) -> list[tuple[str, Colour]]:
    entries = []
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            colour, rest = (_hex(cells[0]), cells[1:]) if cells[0][0:1] == "#" else (_levels(cells[:3]), cells[3:])
            if colour is None or len(rest) > 1:
                if number == 1 and not any(character.isdigit() for character in text.partition("\n")[0]):
                    continue  # what the columns are called
                raise DataError(f"{path}, line {number}: {','.join(cells)[:40]!r} is no colour.", _FORM)
            entries.append((rest[0] if rest else "", colour))
    except csv.Error as error:
        raise DataError(f"{path} is not CSV: {error}.", _FORM) from error
    return entries


def _from_json(text: str, path: Path) -> list[tuple[str, Colour]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{path} is not valid JSON{at}.", _FORM) from error
    if isinstance(found, dict):
        found = [{"name": name, "colour": colour} for name, colour in found.items()]
    entries = []
    for number, one in enumerate(found if isinstance(found, list) else [found]):
        name, value = "", one
        if isinstance(one, dict):
            name, value = one.get("name", ""), one.get("colour", one.get("color"))
        colour = _hex(value) if isinstance(value, str) else _levels(value) if isinstance(value, list) else None
        if colour is None or not isinstance(name, str):
            raise DataError(f"{path}: colour {number} is {printable(json.dumps(one)[:40])}.", _FORM)
        entries.append((name, colour))
    return entries


def _hex(text: str) -> Colour | None:
    """The colour of `#rrggbb` or `rrggbb`."""
    found = re.fullmatch(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", text.strip())
    return (int(found[1], 16), int(found[2], 16), int(found[3], 16)) if found else None


def _levels(values: Sequence[Any]) -> Colour | None:
    """The colour of three whole numbers of 0 to 255."""
    texts = [str(value).strip() for value in values]
    if len(texts) != 3 or not all(text.isascii() and text.isdigit() and len(text) < 4 for text in texts):
        return None
    red, green, blue = map(int, texts)
    return (red, green, blue) if max(red, green, blue) < 256 else None
