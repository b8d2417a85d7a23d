"""What there is in a set of pictures, what is wrong with it, and what training would do with it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantool.data.cache import is_grey, reason
from gantool.data.labelled import LabelledPictures, open_labelled
from gantool.errors import DataError

FEW = 10
"""Pictures of a class that are too few to learn it."""
UNBALANCED = 10
"""A class with that many times the pictures of another is a warning."""
COMMONEST = 5
"""Sizes that are listed."""

_GROUPS = 100  # of equal pictures, that are listed
_NAMED = 4  # of one group

Count = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SizeCount:
    """How many pictures are `width` × `height` pixels."""

    width: int
    height: int
    count: int


@dataclass(frozen=True)
class ClassCount:
    """How many pictures of a class can be used."""

    label: int
    name: str
    count: int


@dataclass(frozen=True)
class Duplicates:
    """Pictures with the same pixels: their `count`, and the first few names."""

    count: int
    names: list[str]


@dataclass(frozen=True)
class SideCheck:
    """One side of pairs.

    Attributes:
        where: it was found.
        kind: what "auto" takes it for: "rgb", "grey" or "labels".
        says: the same for people.
        sizes: the commonest, the most frequent first.
        distinct_sizes: how many sizes there are.
    """

    where: str
    kind: str
    says: str
    sizes: list[SizeCount]
    distinct_sizes: int


@dataclass(frozen=True)
class PairCheck:
    """What was found of pairs.

    Attributes:
        a, b: their sides.
        differing: pairs of two sizes.
        odd: pairs in one picture of an odd width.
        preprocess: the values of --preprocess by which training brings all to one size.
    """

    a: SideCheck
    b: SideCheck
    differing: int
    odd: int
    preprocess: list[str]


@dataclass
class DataCheck:
    """What was found in a set of pictures.

    Attributes:
        data: the set, as it was named.
        kind: see `gantool.data.pictures.Pictures`.
        sha256: of what identifies it.
        pictures: how many there are, bad ones included.
        usable: how many can be read.
        bad: names and reasons of the others.
        grey: how many of the usable have three equal channels.
        sizes: the commonest, the most frequent first.
        distinct_sizes: how many sizes there are.
        smallest, largest: by area; None where nothing is usable.
        changes: what was done to reach 8-bit RGB, and to how many.
        classes: by label; empty where there are no labels.
        duplicates: groups of equal pictures, the largest first, at most 100.
        copies: how many pictures could go without loss.
        disagreeing: how many groups have several labels.
        training: what training would do with it, as sentences.
        remarks, warnings: as sentences.
        pairs: of pairs what is said of them alone; all else is of A and B side by side.
    """

    data: str
    kind: str
    sha256: str
    pictures: int
    usable: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    grey: int = 0
    sizes: list[SizeCount] = field(default_factory=list)
    distinct_sizes: int = 0
    smallest: SizeCount | None = None
    largest: SizeCount | None = None
    changes: dict[str, int] = field(default_factory=dict)
    classes: list[ClassCount] = field(default_factory=list)
    duplicates: list[Duplicates] = field(default_factory=list)
    copies: int = 0
    disagreeing: int = 0
    training: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pairs: PairCheck | None = None

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


def check_data(
    reference: str | Path, *, size: int = 64, background: str = "white", count: Count = lambda what, done, total: None
) -> DataCheck:
    """Read every picture of a set once and say what there is. Memory: 8 bytes and a name a picture.

    Args:
        reference: see `gantool.data.labelled.open_labelled`.
        size: the side that training would reduce pictures to.
        background: the colour under transparent pixels.
        count: told of how many pictures out of how many were read.

    Raises:
        ConfigError, DataError: see `open_labelled`; single pictures that cannot be read are part of the result.
    """
    source = open_labelled(reference, background=background)
    found = look_through(source, count)
    _warn(found)
    _training(found, source, size)
    return found


def look_through(source: LabelledPictures, count: Count) -> DataCheck:
    """Read every picture once: all but the warnings and what training would do."""
    pictures, total = source.pictures, len(source)
    found = DataCheck(pictures.label, source.kind, source.digest(), total, remarks=list(source.remarks))
    usable, marks = np.zeros(total, bool), np.zeros(total, np.uint64)
    for done, (index, item) in enumerate(pictures.each(range(total)), 1):
        if isinstance(item, DataError):
            name = pictures.names[index]
            found.bad.append((name, reason(name, item)))
        else:
            usable[index], marks[index] = True, _mark(item.pixels)
            found.grey += is_grey(item.pixels)
        count(f"pictures of {pictures.label}", done, total)
    found.usable = int(usable.sum())
    found.changes = pictures.changes
    _sizes(found, pictures.sizes)
    _classes(found, source, usable)
    _duplicates(found, source, np.flatnonzero(usable), marks)
    return found


def _mark(pixels: NDArray[np.uint8]) -> int:
    """64 bits that tell pictures apart: of a million, two different ones are alike with a probability of 3e-8."""
    hashed = hashlib.blake2b(f"{pixels.shape}".encode(), digest_size=8)
    hashed.update(np.ascontiguousarray(pixels).data)
    return int.from_bytes(hashed.digest(), "big")


def listed_sizes(sizes: Counter[tuple[int, int]]) -> list[SizeCount]:
    """(height, width) and numbers, the most frequent first."""
    return [SizeCount(width, height, number) for (height, width), number in sizes.most_common()]


def _sizes(found: DataCheck, sizes: Counter[tuple[int, int]]) -> None:
    listed = listed_sizes(sizes)
    found.sizes, found.distinct_sizes = listed[:COMMONEST], len(listed)
    found.smallest = min(listed, key=lambda size: size.width * size.height, default=None)
    found.largest = max(listed, key=lambda size: size.width * size.height, default=None)


def _classes(found: DataCheck, source: LabelledPictures, usable: NDArray[np.bool_]) -> None:
    if source.labels is None:
        return
    counts = np.bincount(source.labels[usable], minlength=len(source.classes))
    found.classes = [
        ClassCount(label, name, int(number))
        for label, (name, number) in enumerate(zip(source.classes, counts, strict=True))
    ]


def _duplicates(
    found: DataCheck, source: LabelledPictures, indices: NDArray[np.intp], marks: NDArray[np.uint64]
) -> None:
    """Groups of pictures with one mark."""
    order = indices[np.argsort(marks[indices], kind="stable")]
    starts = np.flatnonzero(np.diff(marks[order], prepend=~marks[order[:1]]))
    lengths = np.diff(starts, append=len(order))
    groups = np.flatnonzero(lengths > 1)
    groups = groups[np.argsort(-lengths[groups], kind="stable")]
    found.copies = int((lengths[groups] - 1).sum())
    for number, group in enumerate(groups):
        members = order[starts[group] : starts[group] + lengths[group]]
        if source.labels is not None:
            found.disagreeing += len(np.unique(source.labels[members])) > 1
        if number < _GROUPS:
            names = [source.pictures.names[index] for index in members[:_NAMED]]
            found.duplicates.append(Duplicates(len(members), names))


def _warn(found: DataCheck) -> None:
    warn = found.warnings.append
    if found.bad:
        warn(f"{_pictures(len(found.bad))} of {found.pictures:,} cannot be read.")
    if not found.usable:
        warn("Nothing is usable.")
        return
    some = [one for one in found.classes if one.count]
    if len(some) > 1:
        least, most = min(some, key=lambda one: one.count), max(some, key=lambda one: one.count)
        if least.count * UNBALANCED < most.count:
            warn(
                f"The classes are unbalanced: {_pictures(least.count)} of {least.name}, "
                f"{_pictures(most.count)} of {most.name}."
            )
    few = [one.name for one in some if one.count < FEW]
    if few:
        warn(f"Fewer than {FEW} pictures: {_some(few)}; so few are learnt by heart.")
    if found.copies:
        copies = "an exact copy of another" if found.copies == 1 else "exact copies of others"
        warn(f"{_pictures(found.copies)} of {found.usable:,} {_are(found.copies)} {copies}.")
    if found.disagreeing:
        groups = "one group" if found.disagreeing == 1 else f"{found.disagreeing:,} groups"
        warn(f"Equal pictures have different labels, in {groups} of them.")
    if 0 < found.grey < found.usable:
        few_are = "grey" if found.grey <= found.usable / 2 else "in colour"
        number = min(found.grey, found.usable - found.grey)
        warn(f"{_pictures(number)} of {found.usable:,} {_are(number)} {few_are}, the others are not.")


def _training(found: DataCheck, source: LabelledPictures, size: int) -> None:
    """What a family of sets makes of it with its own defaults; see `gantool.data.training_set`."""
    if not found.usable:
        return
    say = found.training.append
    if found.bad:
        say(f"{_pictures(len(found.bad))} would be left out, and others would stand in for them")
    sizes = source.pictures.sizes
    oblong = sum(number for (height, width), number in sizes.items() if height != width)
    small = sum(number for sides, number in sizes.items() if min(sides) < size)
    exact = sizes[size, size]
    say(f"pictures become {size} × {size} px" + (", which all are" if exact == found.usable else ""))
    if oblong:
        say(f"{_pictures(oblong)} {_are(oblong)} not square, and only the middle would be used (--crop)")
    if small:
        say(f"{_pictures(small)} {_are(small)} smaller than {size} px and would be enlarged (--size)")
    channels = 1 if found.grey == found.usable else 3
    say("one channel, for all are grey" if channels == 1 else "three channels")
    mirrored = channels == 3 and not source.digits
    say("half of them mirrored (--no-flip keeps them as they are)" if mirrored else "none mirrored")
    say(f"they take {max(0.1, size * size * channels * found.usable / 1e6):,.1f} MB of memory")
    if found.classes:
        say(f"{len(found.classes):,} {'class' if len(found.classes) == 1 else 'classes'} for families that learn them")
    else:
        say("no labels: families that learn classes cannot be trained")


def _pictures(number: int) -> str:
    return f"{number:,} picture{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _some(names: list[str], most: int = 5) -> str:
    listed = ", ".join(islice(names, most))
    return listed if len(names) <= most else f"{listed} and {len(names) - most:,} more"
