"""What there is in pairs of pictures, what is wrong with them, and what training would do with them."""

from __future__ import annotations

import typing
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from gantool.data.decode import parse_colour
from gantool.data.pair_files import PairedPictures
from gantool.data.pair_kinds import Decided, decide
from gantool.data.pair_sizes import Sizes, look_at_sizes, pairs_of, trained_size
from gantool.data.pairs import open_pairs
from gantool.data.set_options import PairOptions
from gantool.errors import DataError
from gantool.tasks.data_check import COMMONEST, Count, DataCheck, PairCheck, SideCheck, listed_sizes, look_through

HOW: tuple[str, ...] = typing.get_args(typing.get_type_hints(PairOptions)["preprocess"])


def check_pairs(
    reference: str | Path,
    *,
    target: str | Path = "",
    part: str = "",
    direction: Literal["AtoB", "BtoA"] = "AtoB",
    size: int = 256,
    background: str = "white",
    count: Count = lambda what, done, total: None,
) -> DataCheck:
    """Read every pair once and say what there is.

    Args:
        reference, target, part, background: see `gantool.data.pairs.open_pairs`.
        direction: what would be made of what.
        size: the side that would be trained on.
        count: told of how many pairs out of how many were read.

    Raises:
        ConfigError, DataError: see `open_pairs`; no header can be read. Single pairs that cannot be are part of the
            result.
    """
    source = open_pairs(reference, target=target, part=part, background=background)
    sizes = look_at_sizes(source, np.arange(len(source), dtype=np.int64))
    found = look_through(source, count)
    damaged = {name for name, _ in found.bad}
    found.bad += [(source.a.names[k], why) for k, why, _ in sorted(sizes.bad) if source.a.names[k] not in damaged]
    found.usable = len(source) - len(found.bad)
    usable = [index for index, _, _ in sizes.each()]
    a, b = (decide(side, usable, "auto", "", 8, parse_colour(background)) for side in (source.a, source.b))
    options = PairOptions(size=size, direction=direction)
    possible = [how for how in HOW if _goes(sizes, replace(options, preprocess=how))]  # type: ignore[arg-type]
    found.pairs = PairCheck(*_sides(source, sizes, a, b), len(sizes.differing), int(sizes.odd.sum()), possible)
    _warn(found)
    if found.usable:
        _training(found, options, a, b)
    return found


def _sides(source: PairedPictures, sizes: Sizes, a: Decided, b: Decided) -> tuple[SideCheck, SideCheck]:
    counts = [Counter[tuple[int, int]](), Counter[tuple[int, int]]()]
    for _, one, other in sizes.each():
        counts[0][one] += 1
        counts[1][other] += 1
    halves = {0: "left half", 1: "right half"}
    found = []
    for side, decided, counted in zip((source.a, source.b), (a, b), counts, strict=True):
        where = side.label if side.half is None else f"{side.label}, {halves[side.half]}"
        listed = listed_sizes(counted)
        found.append(SideCheck(where, decided.how.kind, decided.says, listed[:COMMONEST], len(listed)))
    return found[0], found[1]


def _goes(sizes: Sizes, options: PairOptions) -> bool:
    """Whether training with these options brings all pairs to one size, and leaves none out for it."""
    copy = replace(sizes, sides=sizes.sides.copy(), bad=list(sizes.bad))
    try:
        trained_size(copy, options)
    except DataError:
        return False
    return len(copy.bad) == len(sizes.bad)


def _warn(found: DataCheck) -> None:
    warn, pairs = found.warnings.append, found.pairs
    assert pairs is not None
    if found.bad:
        warn(f"{pairs_of(len(found.bad))} of {found.pictures:,} cannot be used.")
    if not found.usable:
        warn("Nothing is usable.")
    if pairs.differing:
        warn(f"In {pairs_of(pairs.differing)} A and B are of two sizes; `gantool data pair --fit` mends that.")
    if pairs.odd:
        warn(f"{pairs_of(pairs.odd)} {_are(pairs.odd)} of an odd width; the middle column would be left out.")
    if found.copies:
        copies = "an exact copy of another" if found.copies == 1 else "exact copies of others"
        warn(f"{pairs_of(found.copies)} of {found.usable:,} {_are(found.copies)} {copies}.")


def _training(found: DataCheck, options: PairOptions, a: Decided, b: Decided) -> None:
    """What a family of pairs makes of it with its own defaults; see `gantool.data.pair_set`."""
    say, pairs, size, load = found.training.append, found.pairs, options.size, options.loaded
    assert pairs is not None
    if found.bad:
        say(f"{pairs_of(len(found.bad))} would be left out, and others would stand in for them")
    given, truth = (f"A ({a.says})", f"B ({b.says})")
    if options.direction == "BtoA":
        given, truth = truth, given
    say(f"{given} becomes {truth} (--direction)")
    say(f"all are squashed to {load} × {load} px, and random parts of {size} × {size} are trained on (--preprocess)")
    others = [how for how in pairs.preprocess if how != options.preprocess]
    say(f"their sizes would go with --preprocess {', '.join(others)}, too" if others else "no other --preprocess goes")
    channels = a.how.channels + b.how.channels
    say(f"they take {max(0.1, load * load * channels * found.usable / 1e6):,.1f} MB of memory")
    say("half of them mirrored (--no-flip keeps them as they are)")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
