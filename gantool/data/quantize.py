"""A picture in few colours, for SinGAN's paint-to-image."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Rows = Literal["colours", "triples"]
Centers = npt.NDArray[np.float64]


def palette(image: Tensor, colours: int = 5, rows: Rows = "colours") -> tuple[Centers, Tensor]:
    """The main colours of a picture by k-means (seed 0, the best of ten), and the picture in them.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        rows: what is grouped: "colours" the pixels; "triples", as the official code does, the memory's values
            three by three, which are three neighbours of one channel.

    Returns:
        (colours, 3) and (1, 3, H, W).
    """
    values = _rows(image, rows)
    fitted = _fit(values, colours)
    return fitted.cluster_centers_, _picture(fitted.cluster_centers_[fitted.labels_], image, rows)


def to_palette(image: Tensor, centers: Centers, rows: Rows = "colours") -> Tensor:
    """A picture (1, 3, H, W) painted with the colours `centers` (K, 3).

    As published: k-means begins at them and moves on, its groups count, and each is painted with the colour that
    was given; so a picture's own main colours, in other hues, become the given ones.
    """
    fitted = _fit(_rows(image, rows), len(centers), centers)
    return _picture(centers[fitted.labels_], image, rows)


def _fit(values: Centers, count: int, start: Centers | None = None) -> Any:
    # scikit-learn takes a second to import, and its threads and PyTorch's get into each other's way.
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]
    from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    how = {"init": start, "n_init": 1} if start is not None else {"n_init": 10, "random_state": 0}
    with threadpool_limits(1, "openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a picture may have fewer colours than are asked for
        return KMeans(count, **how).fit(values)


def _rows(image: Tensor, rows: Rows) -> Centers:
    values = image.permute(0, 2, 3, 1) if rows == "colours" else image
    return values.reshape(-1, 3).cpu().double().numpy()


def _picture(values: Centers, like: Tensor, rows: Rows) -> Tensor:
    n, c, h, w = like.shape
    painted = torch.from_numpy(values).to(like)
    return painted.reshape(n, h, w, c).permute(0, 3, 1, 2) if rows == "colours" else painted.reshape(like.shape)
