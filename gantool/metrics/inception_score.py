"""The inception score: how sure a classifier is of each picture, and how varied the classes are.

Salimans et al. 2016, "Improved Techniques for Training GANs", Sec. 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp  # type: ignore[import-untyped]

from gantool.errors import DataError
from gantool.metrics.arrays import as_rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class InceptionScore:
    """Mean and standard deviation (ddof 0) over the splits, each score between 1 and the number of classes."""

    mean: float
    std: float
    scores: tuple[float, ...]


def inception_score(
    logits: npt.ArrayLike | Tensor, *, splits: int = 10, shuffle_seed: int | None = 2020
) -> InceptionScore:
    """exp(mean KL(p(y|x) ‖ p(y))) of every split, from logits (N, classes), in float64.

    Split i holds the rows from i N // splits up to (i + 1) N // splits, after a permutation drawn with `shuffle_seed`
    (torch-fidelity's for 2020), or in the order given for None (as published).

    Raises:
        DataError: fewer rows than splits, or a value is NaN or infinite.
        ValueError: `splits` below 1 or another shape.
    """
    if splits < 1:
        raise ValueError(f"splits must be 1 or more, got {splits}")
    rows = as_rows(logits)
    n = len(rows)
    if n < splits:
        raise DataError(
            f"The inception score in {splits} splits needs {splits} pictures or more, but there are {n}.",
            "Add pictures or use fewer splits.",
        )
    order = np.arange(n) if shuffle_seed is None else np.random.RandomState(shuffle_seed).permutation(n)
    scores = tuple(_score(rows[order[i * n // splits : (i + 1) * n // splits]]) for i in range(splits))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)), scores)


def _score(logits: npt.NDArray[np.floating]) -> float:
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    log_marginal = logsumexp(log_p, axis=0) - np.log(len(log_p))  # finite also where every p underflows to 0
    return float(np.exp((np.exp(log_p) * (log_p - log_marginal)).sum(1).mean()))
