"""Which picture of one set belongs to which of another: by name, and never by guess."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Protocol

from gantool.errors import DataError

_NAMED = 5  # names without a partner that an error shows
_PARTING = r"_\-. /"  # characters between the words of a name


class Named(Protocol):
    """A set of pictures, as far as pairing goes: what to call it, and the names in it."""

    @property
    def label(self) -> str:
        """What messages call it."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """One for each picture."""
        ...

    def __len__(self) -> int: ...


def pair_by_name(a: Named, b: Named, *, allow_unmatched: bool = False) -> list[tuple[int, int]]:
    """Indices (into `a`, into `b`) of the pictures that belong together, in the order of `a`.

    A set of one picture is paired with every picture of the other. Otherwise names must be equal, their extensions
    aside; sub-folders are part of a name, except one that holds all pictures of a set.

    Args:
        a: one set.
        b: the other.
        allow_unmatched: leave out pictures without a partner, as long as there is one pair.

    Raises:
        DataError: pictures without a partner, or two pictures of one name in a set.
    """
    if len(a) == 1 or len(b) == 1:
        return [(i, j) for i in range(len(a)) for j in range(len(b))]
    left, right = _stems(a), _stems(b)
    if not left.keys() & right.keys():
        left, right = _without_common_folder(left), _without_common_folder(right)
    pairs = [(i, right[stem]) for stem, i in left.items() if stem in right]
    if len(pairs) == len(left) == len(right) or (allow_unmatched and pairs):
        return pairs
    raise _unpaired(a, b, left, right, "")


def pair_alike(a: Named, b: Named) -> tuple[list[tuple[int, int]], tuple[str, str]]:
    """Indices (into `a`, into `b`) of the two pictures of each pair, in the order of `a`: every picture is in one.

    Names are equal, their extensions aside, as for `pair_by_name`; or they are so once a set's own ending, or a set's
    own beginning, is taken away: words that ALL its names share, such as `_leftImg8bit` and `_gtFine_labelIds`. Words
    are parted by `_`, `-`, `.`, a space or `/`, or are letters beside digits; digits alone are never taken away.

    Returns:
        The pairs, and what was taken from the names of each set ("" for nothing).

    Raises:
        DataError: pictures without a partner, or two pictures of one name in a set.
    """
    left, right = _stems(a), _stems(b)
    if len(left) == len(right) == 1:
        return [(0, 0)], ("", "")
    if not left.keys() & right.keys():
        left, right = _without_common_folder(left), _without_common_folder(right)
    best = (left, right)
    for shorten in (_without_ending, _without_beginning):
        for mine, others in product(shorten(left), shorten(right)):
            if mine[1].keys() == others[1].keys():
                pairs = [(index, others[1][stem]) for stem, index in mine[1].items()]
                return pairs, (mine[0], others[0])
            if len(mine[1].keys() & others[1].keys()) > len(best[0].keys() & best[1].keys()):
                best = mine[1], others[1]
    raise _unpaired(a, b, *best, " Or list the pairs in a CSV of two columns, and name that.")


def _unpaired(a: Named, b: Named, left: dict[str, int], right: dict[str, int], further: str) -> DataError:
    """What to raise where names have no partner."""
    lonely = []
    for here, mine, others in ((a, left, right), (b, right, left)):
        missing = [here.names[index] for stem, index in mine.items() if stem not in others]
        if missing:
            more = ", ..." if len(missing) > _NAMED else ""
            names = ", ".join(missing[:_NAMED]) + more
            lonely.append(f"{len(missing)} of {len(here)} pictures in {here.label} have no partner ({names})")
    return DataError(
        f"{a.label} and {b.label} are paired by name, but " + "; ".join(lonely) + ".",
        f"Give both pictures of a pair the same name (extensions may differ), and remove the others.{further}",
    )


def _stems(pictures: Named) -> dict[str, int]:
    stems: dict[str, int] = {}
    for index, name in enumerate(pictures.names):
        first = stems.setdefault(os.path.splitext(name)[0], index)
        if first != index:
            raise DataError(
                f"{pictures.label} has two pictures of one name, {pictures.names[first]} and {name}.",
                "Rename or remove one: pictures are paired by their names without extension.",
            )
    return stems


def _without_common_folder(stems: dict[str, int]) -> dict[str, int]:
    folder = os.path.commonprefix(list(stems)).rpartition("/")[0]  # noqa: RUF071 - no paths of this system
    return {stem[len(folder) + 1 :]: index for stem, index in stems.items()} if folder else stems


def _without_ending(stems: dict[str, int]) -> Iterator[tuple[str, dict[str, int]]]:
    """What may be taken from the ends of all names, the least first, and the names without it."""
    backwards = [stem[::-1] for stem in stems]
    shared = os.path.commonprefix(backwards)[::-1]  # noqa: RUF071 - no paths of this system
    for length in range(len(shared) + 1):
        ending, rest = shared[len(shared) - length :], [stem[: len(stem) - length] for stem in stems]
        if all(rest) and (not ending or _is_words(ending, [stem[-1] for stem in rest], ending[0])):
            yield ending, dict(zip(rest, stems.values(), strict=True))


def _without_beginning(stems: dict[str, int]) -> Iterator[tuple[str, dict[str, int]]]:
    """What may be taken from the beginnings of all names, the least first, and the names without it."""
    shared = os.path.commonprefix(list(stems))  # noqa: RUF071 - no paths of this system
    for length in range(len(shared) + 1):
        beginning, rest = shared[:length], [stem[length:] for stem in stems]
        if all(rest) and (not beginning or _is_words(beginning, [stem[0] for stem in rest], beginning[-1])):
            yield beginning, dict(zip(rest, stems.values(), strict=True))


def _is_words(taken: str, beside: list[str], edge: str) -> bool:
    """Whether what is taken away, whose `edge` stood beside these characters, is whole words, none of digits alone."""
    words = [word for word in re.split(f"[{_PARTING}]", taken) if word]
    whole = edge in _PARTING.replace("\\", "") or (edge.isalpha() and all(character.isdigit() for character in beside))
    return whole and bool(words) and not any(word.isdigit() for word in words)
