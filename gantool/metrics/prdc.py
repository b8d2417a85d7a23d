"""Precision, recall, density and coverage: fidelity and variety apart, from nearest neighbours among features.

Precision and recall: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
Models", Sec. 2. Density and coverage: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative
Models", Sec. 3. Around every picture of a set lies a ball that reaches to its k-th nearest neighbour in that set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gantool.errors import DataError
from gantool.metrics.arrays import Floats, as_rows, same_dimension

if TYPE_CHECKING:
    from torch import Tensor

#: Distances held at once (64 MB): the memory beyond the features themselves.
_AT_ONCE = 2**23
#: Squared distances that differ by less than this times the largest squared norm are equal: the rounding of products
#: is below it, and the rounding of float32 features far above.
_TIE = 1e-12


@dataclass(frozen=True)
class Prdc:
    """The four figures.

    Attributes:
        precision: share of fakes inside a ball of the reals.
        recall: share of reals inside a ball of the fakes.
        density: mean number of balls of the reals that a fake lies in, over k: may exceed 1.
        coverage: share of reals whose ball holds a fake.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: npt.ArrayLike | Tensor, fake: npt.ArrayLike | Tensor, *, k: int = 3, strict: bool = False) -> Prdc:
    """The four figures for features (N, D) and (M, D), in float64; memory does not grow with N M.

    Args:
        real, fake: the features.
        k: the neighbour that the balls reach to, a picture itself not counted: 3 in the paper of precision and
            recall, 5 in the paper of density and coverage.
        strict: a ball without its surface (distance < radius), as the authors of density and coverage compute it;
            otherwise with it (≤), as NVIDIA and torch-fidelity do.

    Raises:
        DataError: a set has k pictures or fewer, the D differ, or a value is NaN or infinite.
        ValueError: `k` below 1 or another shape.
    """
    x, y = as_rows(real), as_rows(fake)
    same_dimension(x, y)
    _enough(len(x), k)
    _enough(len(y), k)
    centre = x.mean(0, dtype=np.float64)  # products of centred rows lose fewer digits
    x, y = x - centre, y - centre
    tie = _TIE * max(_squares(x).max(), _squares(y).max())
    slack = -tie if strict else tie
    reach_x, reach_y = _reach(x, k) + slack, _reach(y, k) + slack

    precise = balls = 0
    recalled = np.zeros(len(x), bool)
    nearest = np.full(len(x), np.inf)
    for rows, distances in _squared_distances(y, x):
        inside = distances <= reach_x
        precise += int(inside.any(1).sum())
        balls += int(inside.sum())
        recalled |= (distances <= reach_y[rows, None]).any(0)
        np.minimum(nearest, distances.min(0), out=nearest)
    return Prdc(
        precision=precise / len(y),
        recall=float(recalled.mean()),
        density=balls / (k * len(y)),
        coverage=float((nearest <= reach_x).mean()),
    )


def radii(features: npt.ArrayLike | Tensor, k: int) -> Floats:
    """Distance of every row of (N, D) to its k-th nearest neighbour, itself not counted: (N,).

    Raises:
        DataError: k rows or fewer, or a value is NaN or infinite.
        ValueError: `k` below 1 or another shape.
    """
    rows = as_rows(features)
    _enough(len(rows), k)
    return np.sqrt(_reach(rows - rows.mean(0, dtype=np.float64), k))


def _reach(x: Floats, k: int) -> Floats:
    """Squared radii."""
    reach = np.empty(len(x))
    for rows, distances in _squared_distances(x, x):
        # A row's distance to itself is the smallest, or as small as a duplicate's.
        reach[rows] = np.partition(distances, k, axis=1)[:, k]
    return reach


def _squared_distances(a: Floats, b: Floats) -> Iterator[tuple[slice, Floats]]:
    """(rows of a, their squared distances to all rows of b), some rows at a time."""
    squares_a, squares_b = _squares(a), _squares(b)
    step = max(1, _AT_ONCE // len(b))
    for start in range(0, len(a), step):
        rows = slice(start, min(start + step, len(a)))
        distances = a[rows] @ b.T
        distances *= -2
        distances += squares_a[rows, None]
        distances += squares_b
        yield rows, np.maximum(distances, 0, out=distances)


def _squares(x: Floats) -> Floats:
    return np.asarray(np.einsum("nd,nd->n", x, x))


def _enough(n: int, k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")
    if n <= k:
        raise DataError(
            f"The distance to the {k}. nearest neighbour needs more than {k} pictures in each set, but one has {n}.",
            "Add pictures or lower k.",
        )
