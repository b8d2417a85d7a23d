"""Random pairs of samples: how different a generator's pictures are from each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PairMean:
    """A mean over pairs of samples.

    Attributes:
        mean: of the figure over the pairs.
        pairs: how many.
    """

    mean: float
    pairs: int


def random_pairs(count: int, pairs: int, seed: int) -> npt.NDArray[np.int64]:
    """(P, 2) indices i < j of different pairs out of `count` things, each pair equally likely.

    P is `pairs`, or count (count - 1) / 2 where there are no more.

    Raises:
        ValueError: fewer than two things, or fewer than one pair.
    """
    if count < 2 or pairs < 1:
        raise ValueError(f"a pair takes two things, got {count}; and at least one pair, got {pairs}")
    possible = count * (count - 1) // 2
    if pairs >= possible:
        number = np.arange(possible)
    else:
        number = np.random.default_rng(seed).choice(possible, pairs, replace=False)
    # Pair number n is (i, j) with n = j (j - 1) / 2 + i: j is the last whose first number is not beyond n.
    firsts = np.arange(1, count) * np.arange(count - 1) // 2
    j = np.searchsorted(firsts, number, side="right")
    return np.stack([number - firsts[j - 1], j], axis=1)


def adjacent_pairs(count: int) -> npt.NDArray[np.int64]:
    """(count // 2, 2): (0, 1), (2, 3), ...; a last odd one is left out."""
    return np.arange(count // 2 * 2).reshape(-1, 2)
