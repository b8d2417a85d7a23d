"""Of what kind the pictures of one side are: in colour, grey, or labels, and in which colours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gantool.data.cache import is_grey
from gantool.data.decode import Colour, Pixels
from gantool.data.pair_files import Side
from gantool.data.palette import Palette, generic_colours, open_palette
from gantool.data.set_options import Kind
from gantool.data.sides import Header, Reading, read_ids, read_side
from gantool.errors import DataError

WORDS: dict[Kind, str] = {"rgb": "colour", "grey": "grey", "labels": "labels"}
"""What people call the kinds."""

_LOOKED_AT = 32  # pictures that tell a kind, and a budget
_PIXELS = 64_000_000
_FEW = 64  # values of a picture that are ids or a palette's classes, at most
_OFTEN = 4  # pixels that have the same id, at least, on average
_HIGHEST = 192  # ids of 8 bits are below it; 255 is where nobody has said the class
_VOID = 255
_MOST_DEEP = 256  # values of a 16-bit picture that are ids


@dataclass(frozen=True, eq=False)
class Decided:
    """How the pictures of a side are read.

    Attributes:
        how: see `Reading`.
        colours: of labels, by id where there are ids; () where they are not known.
        painted: whether ids are painted, and so with which palette.
    """

    how: Reading
    colours: tuple[Colour, ...] = ()
    painted: bool = False

    @property
    def says(self) -> str:
        """For people."""
        if self.how.kind != "labels":
            return WORDS[self.how.kind]
        of = "" if not self.painted else f" painted as {self.how.palette.name if self.how.palette else 'generic'}"
        return f"labels{of}"


def decide(
    side: Side, indices: Sequence[int], wanted: Kind | Literal["auto"], palette: str, bits: Literal[8, 16],
    background: Colour, *, labels: bool = True,
) -> Decided:  # fmt: skip
    """How to read a side; "auto" looks at some of its pictures, spread over `indices`; without `labels` it finds none.

    Labels are files with a palette of which few colours are used, and grey files without loss of few low values
    (255 aside, which usually stands for no class); 16-bit ones of few values. Grey is what has three equal channels.
    Without a palette Cityscapes' ids are known by the name of their files (`..._labelIds`), and others get
    `generic_colours`.

    Raises:
        DataError: none of those looked at can be read, or the palette cannot.
    """
    chosen = open_palette(palette) if palette else None
    if wanted in ("rgb", "grey"):
        return Decided(Reading(wanted, bits, None, background))
    seen = _Seen(labels)
    errors: list[DataError] = []
    looked = [indices[k] for k in np.unique(np.linspace(0, len(indices) - 1, _LOOKED_AT).astype(int))]
    for index in looked:
        try:
            seen.look(side, index)
        except DataError as error:
            errors.append(error)
        if seen.pixels > _PIXELS or (wanted == "auto" and not seen.labels and not seen.grey):
            break
    if len(errors) == len(looked):
        raise errors[0]
    kind: Kind = "labels" if wanted == "labels" or seen.labels else "grey" if seen.grey else "rgb"
    if kind != "labels":
        return Decided(Reading(kind, bits, None, background))
    if chosen is None and seen.ids and all(_stem(side.names[index]).endswith("_labelIds") for index in looked):
        chosen = open_palette("cityscapes")
    return Decided(Reading(kind, bits, chosen, background), seen.colours(chosen), bool(seen.ids))


class _Seen:
    """What some pictures of a side have in common.

    Attributes:
        labels, grey: whether all may be that.
        ids: values of grey files without loss; empty where there are none.
        codes: colours of other files, while they are few.
        exact: whether none of the others is JPEG or the like.
        pixels: how many were decoded.
    """

    def __init__(self, labels: bool) -> None:
        self.labels, self.grey, self.exact = labels, True, True
        self.ids: set[int] = set()
        self.codes: set[int] = set()
        self.pixels = 0

    def look(self, side: Side, index: int) -> None:
        """Raises DataError where it cannot be decoded."""
        header, (path, data) = side.header(index), side.data(index)
        self.pixels += header.height * header.width
        if header.stored == "grey" and header.exact:
            ids = side.cut(read_ids(path, data)[..., None])
            values = np.unique(ids)
            self.labels = self.labels and len(values) * _OFTEN <= ids.size and _are_ids(values, header)
            self.ids |= set(values[:65536].tolist())
            return
        pixels = side.cut(read_side(path, data, Reading()))
        few = _codes(pixels)
        self.labels = self.labels and header.stored == "palette" and len(few) <= _FEW
        self.grey = self.grey and is_grey(pixels)
        self.exact = self.exact and header.exact
        if len(self.codes) <= _MOST_DEEP:
            self.codes |= set(few[: _MOST_DEEP + 1].tolist())

    def colours(self, palette: Palette | None) -> tuple[Colour, ...]:
        """Those that the labels have, as far as they are known."""
        if palette is not None and (self.ids or not self.labels):
            return palette.plain
        known = np.array(sorted(self.codes), np.int64) if self.exact and len(self.codes) <= _MOST_DEEP else np.empty(0)
        colours = [(int(code) >> 16, int(code) >> 8 & 255, int(code) & 255) for code in known]
        if self.ids:
            most = max(self.ids - {_VOID}, default=0)
            ids = [*range(min(most, _VOID) + 1), *(self.ids & {_VOID} if most < _VOID else ())]
            colours = [] if most > _VOID else [*map(tuple, generic_colours(np.array(ids)).tolist()), *colours]
        return tuple(dict.fromkeys(colours))


def _are_ids(values: NDArray[np.int64], header: Header) -> bool:
    if header.bits == 16:
        return len(values) <= _MOST_DEEP
    low = values[values != _VOID]
    return header.bits == 8 and len(values) <= _FEW and 0 < low.max(initial=0) < _HIGHEST


def _codes(pixels: Pixels) -> NDArray[np.int64]:
    """The distinct colours, as 24 bits."""
    flat = pixels.reshape(-1, 3).astype(np.int64)
    return np.unique(flat[:, 0] << 16 | flat[:, 1] << 8 | flat[:, 2])


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]
