"""What the evaluators that work on features take: one row per picture, NumPy or torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gantool.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float64]


def as_rows(features: npt.ArrayLike | Tensor) -> npt.NDArray[Any]:
    """Features as a NumPy array (N, D) of the type they came in, on the CPU; not copied where it can be helped.

    Raises:
        DataError: a value is NaN or infinite.
        ValueError: not a matrix of real numbers with at least one column.
    """
    detach = getattr(features, "detach", None)
    rows = np.asarray(features if detach is None else detach().cpu().numpy())
    if rows.ndim != 2 or rows.shape[1] == 0 or rows.dtype.kind not in "fiu":
        raise ValueError(f"features must be real numbers of shape (N, D), got {rows.dtype} {rows.shape}")
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        raise DataError(
            "The features hold NaN or infinity.", "Look at the pictures and the weights that they were computed from."
        )
    return rows


def same_dimension(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> None:
    """Refuse two sets of features (N, D) whose D differs.

    Raises:
        DataError: they differ.
    """
    if a.shape[-1] != b.shape[-1]:
        raise DataError(
            f"Features of {a.shape[-1]} numbers cannot be compared with features of {b.shape[-1]}.",
            "Compute both with the same network and layer.",
        )
