"""Pairs that a model which translates is measured on: read and brought to size as its training does it at test time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gantool.data.cache import reason
from gantool.data.decode import Colour, Pixels
from gantool.data.faithful import Samples
from gantool.data.found_palette import find_palette
from gantool.data.pair_files import Side
from gantool.data.pair_kinds import decide
from gantool.data.pairs import first_part, open_pairs
from gantool.data.palette import BUILTIN, Palette, open_palette
from gantool.data.set_options import Kind
from gantool.data.sides import Reading, eight_bits, fitted, resized, wide
from gantool.errors import DataError
from gantool.family import Translation
from gantool.tasks.evaluate.operands import Count
from gantool.tasks.translator import Habits

KEEP = 1 << 29  # bytes of pairs that stay in memory between two measurements
MOST_LOOKED_AT = 200  # truths in which colours of labels are looked for
MOST_CLASSES = 1024  # of a palette; the table of who is taken for whom grows with their square
AUTO, NONE = "auto", "none"


@dataclass(frozen=True, eq=False)
class Held:
    """One pair: its name, what is `given`, (H, W, C), and the `truth`, (H, W, C'), uint8 or uint16."""

    name: str
    given: Samples = field(repr=False)
    truth: Samples = field(repr=False)


class HeldPairs:
    """Pairs in a fixed order, which can be gone through again and again; what there is room for stays in memory.

    The first time finds what cannot be used, and the mean of all truths.

    Args:
        data, target: see `open_pairs`.
        translation, habits: what training did to pictures, which is done here as well.
        direction: "AtoB" or "BtoA"; None takes that of training.
        part: sub-folder; None takes the first of `parts` that there is, else all.
        skip_bad: leave out pairs that cannot be used.

    Attributes:
        label: what messages call them.
        direction, part: those taken; part is "" where the pairs are not dealt into parts.
        side_by_side: whether each file is taken for both pictures of a pair.
        skipped: names and reasons of what was left out, known once all were gone through.

    Raises:
        DataError: see `open_pairs`.
    """

    def __init__(
        self,
        data: str | Path,
        translation: Translation,
        habits: Habits,
        *,
        target: str | Path = "",
        direction: Literal["AtoB", "BtoA"] | None = None,
        part: str | None = None,
        parts: Sequence[str] = ("test", "val", "train"),
        skip_bad: bool = False,
    ) -> None:
        self.translation, self.skip_bad = translation, skip_bad
        self.part = first_part(data, parts) if part is None else part
        self.direction: Literal["AtoB", "BtoA"] = direction or habits.direction
        background = "#{:02x}{:02x}{:02x}".format(*habits.background)
        source = open_pairs(data, target=target, part=self.part, background=background)
        self.label, self.remarks = source.pictures.label, list(source.remarks)
        self.side_by_side = source.a.half is not None
        self._given, self._truth = (source.a, source.b) if self.direction == "AtoB" else (source.b, source.a)
        self._takes, self._gives = (
            _reading(side, kind, known, habits, translation.bits)
            for side, kind, known in (
                (self._given, translation.takes, translation.input_palette),
                (self._truth, translation.gives, translation.palette),
            )
        )
        self.skipped: list[tuple[str, str]] = []
        self._usable: list[int] | None = None
        self._mean: NDArray[np.float64] | None = None
        self._kept: dict[int, Held] = {}
        self._free = KEEP

    def __len__(self) -> int:
        """How many there are; those included of which nobody knows yet that they are of no use."""
        return len(self._given) if self._usable is None else len(self._usable)

    def __iter__(self) -> Iterator[Held]:
        """Those that can be used. Raises DataError for the first that cannot, unless those are skipped."""
        return (held for _, held in self._each())

    def look(self, count: Count) -> None:
        """Go through all of them, unless that was done.

        Raises:
            DataError: none can be used, or one, unless those are skipped.
        """
        if self._usable is not None:
            return
        usable, sizes = [], set()
        total = np.zeros(())
        for index, held in self._each():
            usable.append(index)
            sizes.add(held.truth.shape)
            if len(sizes) == 1:
                total = total + held.truth
            count(f"{self.label}, looked at", len(usable), len(self._given))
        if not usable:
            raise DataError(f"No pair of {self.label} can be used ({': '.join(self.skipped[0])}).", "Look at them.")
        self._usable = usable
        self._mean = total / len(usable) if len(sizes) == 1 else None

    def _each(self) -> Iterator[tuple[int, Held]]:
        for index in range(len(self._given)) if self._usable is None else self._usable:
            name = self._given.names[index]
            try:
                held = self._get(index)
            except DataError as error:
                if not self.skip_bad:
                    raise error if name in error.what else DataError(f"{name}: {error.what}", error.hint) from error
                if self._usable is None:
                    self.skipped.append((name, reason(name, error)))
                continue
            yield index, held

    @property
    def mean(self) -> NDArray[np.float64] | None:
        """The mean of all truths, (H, W, C') in their levels; None where they are of several sizes. After `look`."""
        return self._mean

    def palette(self, wanted: str, habits: Habits) -> Palette | None:
        """The colours that stand for classes in the truths, or None where they are not maps of labels.

        Args:
            wanted: a palette by name or file; "auto", found in the truths; "none"; or "": for labels that training
                knew to be such the colours it knew, else those found.

        Raises:
            DataError: a file that is no palette, colours that cannot be found, or more than 1,024.
        """
        labels = self.translation.gives == "labels"
        if wanted == NONE or not (wanted or labels):
            return None
        if wanted not in ("", AUTO):
            found = open_palette(wanted)
        elif not wanted and habits.palette:
            found = open_palette(habits.palette)
        elif not wanted and self.translation.palette:
            found = _known(self.translation.palette)
        else:
            found = find_palette(self._some_truths(), self.label)
        if len(found) > MOST_CLASSES:
            raise DataError(
                f"The palette {found.name} has {len(found):,} colours, too many classes to be compared.",
                "Name one of those that occur: --palette FILE, or --palette auto.",
            )
        return found

    def _some_truths(self) -> Iterator[Pixels]:
        """Some, spread over the set, as RGB."""
        step = max(1, len(self) // MOST_LOOKED_AT)
        for number, held in enumerate(self):
            if number % step == 0:
                yield colours(held.truth)

    def _get(self, index: int) -> Held:
        if index in self._kept:
            return self._kept[index]
        how = self.translation
        given = fitted(self._given.read(index, self._takes), how.size, how.fit, how.takes)
        truth = self._truth.read(index, self._gives)
        if how.fit == "width" and abs(wide(truth.shape, how.size[1])[0] - len(given)) == 1:  # by rounding
            truth = resized(truth, (given.shape[0], given.shape[1]), how.gives)
        truth = fitted(truth, how.size, how.fit, how.gives)
        if given.shape[:2] != truth.shape[:2]:
            sizes = (f"{one.shape[1]}x{one.shape[0]}" for one in (given, truth))
            raise DataError(
                f"the two pictures have different sizes, {' and '.join(sizes)} as the model takes them.",
                "Give pairs of one size each.",
            )
        held = Held(self._given.names[index], given, truth)
        if (size := given.nbytes + truth.nbytes) <= self._free:
            self._kept[index] = held
            self._free -= size
        return held


def _reading(side: Side, kind: Kind, known: Sequence[Colour], habits: Habits, bits: Literal[8, 16]) -> Reading:
    """How the pictures of a side are read: as in training; and ids, which no network takes as they are, painted.

    Args:
        known: the colours of its labels in training, by id where ids were painted.
    """
    wanted: Kind | Literal["auto"] = "auto" if kind == "rgb" else kind
    found = decide(side, range(len(side)), wanted, habits.palette, bits, habits.background)
    if kind == "rgb" and not found.painted:
        return Reading("rgb", bits, None, habits.background)
    if found.painted and found.how.palette is None and known and known[1:3] != open_palette("generic").plain[1:3]:
        return replace(found.how, palette=_known(known))
    return found.how


def _known(known: Sequence[Colour]) -> Palette:
    """The palette of these colours, which may be one that has a name."""
    named = (open_palette(name) for name in BUILTIN)
    return next(
        (one for one in named if one.plain == tuple(known)), Palette("of the training", np.array(known, np.uint8))
    )


def colours(pixels: Samples) -> Pixels:
    """(H, W, 1 or 3) uint8 or uint16 as (H, W, 3) uint8."""
    return np.ascontiguousarray(np.broadcast_to(eight_bits(pixels), (*pixels.shape[:2], 3)))
