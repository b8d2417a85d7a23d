"""The sizes of pairs, looked at in the headers of their files before training begins, and what becomes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gantool.data.cache import reason
from gantool.data.pair_files import PairedPictures
from gantool.data.pictures import cores
from gantool.data.set_options import PairOptions
from gantool.data.sides import wide
from gantool.errors import DataError

Size = tuple[int, int]

_NAMED = 3  # pairs and sizes that a message shows
_MANY = 20_000  # files that take a while
_THREADS = 8


@dataclass(frozen=True, eq=False)
class Sizes:
    """What the headers of pairs say.

    Attributes:
        label: of the pairs.
        names: of each.
        sides: (N, 2, 2) int64: of each pair A's and B's height and width; 0 where a header cannot be read.
        odd: of pairs in one file, whether its width is odd.
        bad: of pairs that cannot be used: index, why, and what helps.
    """

    label: str
    names: Sequence[str] = field(repr=False)
    sides: NDArray[np.int64] = field(repr=False)
    odd: NDArray[np.bool_] = field(repr=False)
    bad: list[tuple[int, str, str]]

    def each(self) -> Iterator[tuple[int, Size, Size]]:
        """The pairs that can be used: index, sizes of A and of B."""
        for index, ((a, c), (b, d)) in enumerate(self.sides.tolist()):
            if a and b:
                yield index, (a, c), (b, d)

    @property
    def differing(self) -> list[int]:
        """The pairs of two sizes."""
        return [index for index, a, b in self.each() if a != b]

    def shown(self, indices: Sequence[int]) -> str:
        """Some pairs with their sizes, the first few."""
        listed = [f"{self.names[k]}: {sides_of(self.sides[k, 0])} and {sides_of(self.sides[k, 1])}" for k in indices]
        return "; ".join(listed[:_NAMED]) + (f"; and {len(listed) - _NAMED:,} more" if len(listed) > _NAMED else "")


def look_at_sizes(
    source: PairedPictures, chosen: NDArray[np.int64], say: Callable[[str], None] = lambda _: None
) -> Sizes:
    """Read the headers of the pairs `chosen`; the indices of what is found count these.

    Raises:
        DataError: of no pair can both be read.
    """
    sides = (source.a, source.b) if source.a.half is None else (source.a,)
    if len(chosen) * len(sides) > _MANY:
        say(f"Looking at the headers of {len(chosen) * len(sides):,} pictures.")

    def sizes(index: int) -> tuple[list[int], bool] | DataError:
        found = []
        try:
            for side in sides:
                header = side.header(int(index))
                found += [header.height, header.width]
        except DataError as error:
            name = side.names[int(index)]
            return DataError(reason(name, error), error.hint)  # without the traceback, which keeps the file's bytes
        if not min(found):
            return DataError("one pixel wide, and no two pictures", "Remove it.")
        return (found * 2)[:4], source.a.half is not None and header.odd

    with ThreadPoolExecutor(min(_THREADS, 2 * cores())) as pool:
        looked = list(pool.map(sizes, chosen))
    names = [source.a.names[int(index)] for index in chosen]
    table = np.zeros((len(chosen), 4), np.int64)
    odd, bad = np.zeros(len(chosen), bool), []
    for index, one in enumerate(looked):
        if isinstance(one, DataError):
            bad.append((index, one.what, one.hint))
        else:
            table[index], odd[index] = one
    result = Sizes(source.pictures.label, names, table.reshape(-1, 2, 2), odd, bad)
    _check_some(result)
    return result


def _check_some(sizes: Sizes) -> None:
    """Raises DataError where no pair is left."""
    if len(sizes.bad) == len(sizes.names):
        index, why, hint = min(sizes.bad)
        count = "The only pair" if len(sizes.names) == 1 else f"None of the {len(sizes.names):,} pairs"
        verb = "cannot" if len(sizes.names) == 1 else "can"
        raise DataError(f"{count} in {sizes.label} {verb} be used ({sizes.names[index]}: {why}).", hint)


def loaded_size(size: Size, options: PairOptions) -> Size:
    """What a picture of `size` (height, width) is brought to before a part of it is cut out, as the authors' PyTorch
    code has it."""
    if options.preprocess == "resize_and_crop":
        return options.loaded, options.loaded
    if options.preprocess.startswith("scale_width"):
        return wide(size, options.loaded, options.size if options.crops else 1)
    return size


def trained_size(sizes: Sizes, options: PairOptions) -> Size:
    """The (height, width) that all pairs have in the end; pairs that are too small for a part are put into `bad`.

    Raises:
        DataError: the sizes of a pair differ, or those of several pairs, in a way that `options.preprocess` leaves.
    """
    if options.preprocess != "resize_and_crop":
        _check_alike(sizes, options)
    if options.preprocess == "crop":
        least = options.size
        small = [(index, a) for index, a, _ in sizes.each() if min(a) < least]
        why, hint = f"less than a part of {least}x{least}; see --size", "Take larger pictures, or a smaller --size."
        sizes.bad.extend((index, f"{a[1]}x{a[0]} pixels, {why}", hint) for index, a in small)
        sizes.sides[[index for index, _ in small]] = 0
        _check_some(sizes)
    if options.crops:
        return options.size, options.size
    found = Counter(loaded_size(a, options) for _, a, _ in sizes.each())
    if len(found) > 1:
        listed = ", ".join(f"{count:,} of {sides_of(size)}" for size, count in found.most_common(_NAMED))
        more = f" and {len(found) - _NAMED:,} further sizes" if len(found) > _NAMED else ""
        raise DataError(
            f"With --preprocess {options.preprocess} the pictures of {sizes.label} have several sizes: {listed}{more}.",
            "Take --preprocess resize_and_crop, which brings all to one, or crop or scale_width_and_crop.",
        )
    return next(iter(found))


def _check_alike(sizes: Sizes, options: PairOptions) -> None:
    """Raises DataError where the two of a pair do not come to one size."""
    wrong = []
    for index, a, b in sizes.each():
        high, wide_ = (abs(x - y) for x, y in zip(loaded_size(a, options), loaded_size(b, options), strict=True))
        if wide_ or high > options.preprocess.startswith("scale_width"):  # which rounds heights
            wrong.append(index)
    if wrong:
        raise DataError(
            f"In {len(wrong):,} of {len(sizes.names):,} pairs of {sizes.label} the two pictures have sizes that "
            f"--preprocess {options.preprocess} cannot make equal ({sizes.shown(wrong)}).",
            "Take --preprocess resize_and_crop, or write pairs of one size with `gantool data pair A B --fit -o AB`.",
        )


def size_remarks(sizes: Sizes) -> list[str]:
    """What is odd with sizes, as short sentences."""
    remarks, differing, odd = [], len(sizes.differing), int(sizes.odd.sum())
    if differing:
        remarks.append(f"{pairs_of(differing)} of two sizes, brought to one")
    if odd:
        remarks.append(f"{pairs_of(odd)} of an odd width, whose middle column is left out")
    if sizes.bad:
        names = ", ".join(sizes.names[index] for index, _, _ in sorted(sizes.bad)[:_NAMED])
        more = ", ..." if len(sizes.bad) > _NAMED else ""
        remarks.append(f"{pairs_of(len(sizes.bad))} cannot be used ({names}{more})")
    return remarks


def sides_of(size: Sequence[int] | NDArray[np.int64]) -> str:
    """(height, width) as people write it."""
    return f"{int(size[1])} × {int(size[0])}"


def pairs_of(number: int) -> str:
    """ "1 pair", "2,000 pairs"."""
    return f"{number:,} pair{'' if number == 1 else 's'}"
