"""The kernel inception distance: the squared maximum mean discrepancy of features under a cubic kernel.

Bińkowski et al. 2018, "Demystifying MMD GANs", Sec. 4. Unlike FID it has no bias from the number of pictures, and a
figure slightly below 0 is possible and means that the sets are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from gantool.errors import DataError
from gantool.metrics.arrays import Floats, as_rows, same_dimension

if TYPE_CHECKING:
    from torch import Tensor

Estimator = Literal["unbiased", "biased"]


@dataclass(frozen=True)
class KernelDistance:
    """KID over subsets: mean and standard deviation (ddof 0), not multiplied by 1000."""

    mean: float
    std: float
    subsets: int
    subset_size: int


def kernel_distance(
    first: npt.ArrayLike | Tensor, second: npt.ArrayLike | Tensor,
    *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020, estimator: Estimator = "unbiased",
) -> KernelDistance:  # fmt: skip
    """KID of two sets of features (N, D) and (M, D): `mmd2` of random subsets, in float64.

    For every subset the rows are drawn without replacement, from `first` and then from `second`, out of one
    generator. The draws, and so the figures, are torch-fidelity's for the same seed and the same order of the sets.

    Raises:
        DataError: a set is smaller than a subset, the D differ, or a value is NaN or infinite.
        ValueError: `subsets` below 1 or `subset_size` below 2.
    """
    if subsets < 1 or subset_size < 2:
        raise ValueError(f"KID takes 1 subset or more, of 2 pictures or more, got {subsets} of {subset_size}")
    x, y = as_rows(first), as_rows(second)
    same_dimension(x, y)
    fewest = min(len(x), len(y))
    if fewest < subset_size:
        raise DataError(
            f"KID in subsets of {subset_size} needs as many pictures in each set, but there are {len(x)} and {len(y)}.",
            f"Use subsets of at most {fewest} pictures." if fewest >= 2 else "Add pictures.",
        )
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        mine = x[random.choice(len(x), subset_size, replace=False)]
        theirs = y[random.choice(len(y), subset_size, replace=False)]
        values.append(mmd2(mine, theirs, estimator))
    return KernelDistance(float(np.mean(values)), float(np.std(values)), subsets, subset_size)


def mmd2(x: npt.ArrayLike | Tensor, y: npt.ArrayLike | Tensor, estimator: Estimator = "unbiased") -> float:
    """Squared maximum mean discrepancy of (N, D) and (M, D) under k(x, y) = (x·y / D + 1)³; memory is O(N² + NM + M²).

    `unbiased` leaves the pairs of a row with itself out of the means within a set; between the sets all N M pairs
    count (Gretton et al. 2012, "A Kernel Two-Sample Test", eq. 3). `biased` keeps all pairs, and is never below 0.

    Raises:
        DataError: the D differ, or a value is NaN or infinite.
        ValueError: a set of fewer than two rows.
    """
    x, y = as_rows(x).astype(np.float64), as_rows(y).astype(np.float64)
    same_dimension(x, y)
    if min(len(x), len(y)) < 2:
        raise ValueError(f"mmd2 needs two rows or more in each set, got {len(x)} and {len(y)}")
    between = _kernel(x @ y.T / x.shape[1]).mean()
    return float(_within(x, estimator) + _within(y, estimator) - 2 * between)


def _within(x: Floats, estimator: Estimator) -> float:
    """Mean of the kernel over the pairs of a set."""
    kernel = _kernel(x @ x.T / x.shape[1])
    n = len(x)
    if estimator == "biased":
        return float(kernel.mean())
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def _kernel(products: Floats) -> Floats:
    base = products + 1
    return base * base * base  # NumPy's power of 3 takes ten times as long
