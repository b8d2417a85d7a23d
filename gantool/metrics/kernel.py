"""The kernel inception distance: the squared maximum mean discrepancy of features under a cubic kernel.

Bińkowski et al. 2018, "Demystifying MMD GANs", Sec. 4. Unlike FID it has no bias from the number of pictures, and a
figure slightly below 0 is possible and means that the sets are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from gantool.errors import DataError
from gantool.metrics.arrays import Floats, as_rows, same_dimension

if TYPE_CHECKING:
    from torch import Tensor

Estimator = Literal["unbiased", "biased"]
#: Rows of a kernel matrix held at once.
_ROWS = 512


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
    draws = [[random.choice(len(rows), subset_size, replace=False) for rows in (x, y)] for _ in range(subsets)]
    if len(x) ** 2 + len(x) * len(y) + len(y) ** 2 < subsets * 2 * subset_size**2:  # the pairs to be multiplied
        values = _from_all_pairs(x, y, draws, estimator)
    else:
        values = np.array([mmd2(x[mine], y[theirs], estimator) for mine, theirs in draws])
    return KernelDistance(float(values.mean()), float(values.std()), subsets, subset_size)


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


def _from_all_pairs(
    x: npt.NDArray[Any], y: npt.NDArray[Any], draws: Sequence[Sequence[npt.NDArray[np.int_]]], estimator: Estimator
) -> Floats:
    """`mmd2` of every draw, (subsets,), with the kernel of each pair computed once: for sets that subsets overlap in.

    With the subsets as rows of zeros and ones w, the sums over their pairs are wᵀ K v.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    size = len(draws[0][0])
    w, v = np.zeros((len(draws), len(x))), np.zeros((len(draws), len(y)))
    for i, (mine, theirs) in enumerate(draws):
        w[i, mine] = v[i, theirs] = 1

    def sums(a: Floats, in_a: Floats, b: Floats, in_b: Floats) -> Floats:
        total = np.zeros(len(draws))
        for start in range(0, len(a), _ROWS):
            rows = slice(start, start + _ROWS)
            total += ((in_a[:, rows] @ _kernel(a[rows] @ b.T / a.shape[1])) * in_b).sum(1)
        return total

    def within(a: Floats, in_a: Floats) -> Floats:
        if estimator == "biased":
            return sums(a, in_a, a, in_a) / size**2
        diagonal = _kernel(np.einsum("nd,nd->n", a, a) / a.shape[1])
        return (sums(a, in_a, a, in_a) - in_a @ diagonal) / (size * (size - 1))

    return within(x, w) + within(y, v) - 2 * sums(x, w, y, v) / size**2


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
