"""Which picture of one set belongs to which of another: by name, and never by guess."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from gantool.errors import DataError

_NAMED = 5  # names without a partner that an error shows


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
    lonely = []
    for here, mine, others in ((a, left, right), (b, right, left)):
        missing = [here.names[index] for stem, index in mine.items() if stem not in others]
        if missing:
            more = ", ..." if len(missing) > _NAMED else ""
            names = ", ".join(missing[:_NAMED]) + more
            lonely.append(f"{len(missing)} of {len(here)} pictures in {here.label} have no partner ({names})")
    raise DataError(
        f"{a.label} and {b.label} are paired by name, but " + "; ".join(lonely) + ".",
        "Give both pictures of a pair the same name (extensions may differ), and remove the others.",
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
