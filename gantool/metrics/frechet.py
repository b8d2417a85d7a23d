"""The Fréchet distance between two sets of features, and the statistics it is computed from.

The distance of two Gaussians fitted to features: FID for Inception's 2048 pooled features (Heusel et al. 2017,
"GANs Trained by a Two Time-Scale Update Rule", Sec. 3), SIFID for its first 64 channels.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, eigvalsh, lapack  # type: ignore[import-untyped]

from gantool.errors import DataError
from gantool.files import atomic_write
from gantool.metrics.arrays import Floats, as_rows, same_dimension

if TYPE_CHECKING:
    from torch import Tensor

#: How far a covariance may be from symmetric, or from having no negative eigenvalue, relative to its largest
#: variance: float32 statistics of many features reach some 1e-6.
_SLACK = 1e-4


class Moments:
    """Mean and covariance of features, gathered batch by batch in float64 and O(D²) memory.

    Every batch is centred on its own mean before it is multiplied, and joined to what came before by the pairwise
    update of Chan, Golub and LeVeque 1979 ("Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances"), so that features far from 0 lose no digits.

    Args:
        dimension: D, numbers per picture.

    Attributes:
        n: pictures so far.
        mean: (D,), 0 before the first.
    """

    def __init__(self, dimension: int) -> None:
        self.n = 0
        self.mean: Floats = np.zeros(dimension)
        # Sum of outer products of the centred rows, upper triangle only, in the order that BLAS updates in place.
        self._scatter: Floats = np.zeros((dimension, dimension), order="F")

    def add(self, features: npt.ArrayLike | Tensor) -> None:
        """Take in a batch (N, D); none is allowed.

        Raises:
            DataError: a value is NaN or infinite; nothing is taken in.
            ValueError: another shape.
        """
        rows = as_rows(features).astype(np.float64)
        if rows.shape[1] != len(self.mean):
            raise ValueError(f"features of {rows.shape[1]} numbers for moments of {len(self.mean)}")
        if len(rows):
            mean = rows.mean(0)
            rows -= mean
            self._join(len(rows), mean, rows)

    def merge(self, other: Moments) -> None:
        """Take in what `other` has gathered, e.g. in another process; `other` is left as it is.

        Raises:
            ValueError: another D.
        """
        if other.mean.shape != self.mean.shape:
            raise ValueError(f"moments of {len(other.mean)} numbers for moments of {len(self.mean)}")
        if other.n:
            self._scatter += other._scatter
            self._join(other.n, other.mean, np.empty((0, len(self.mean))))

    def state(self) -> Floats:
        """Everything as one vector of 1 + D + D² numbers, to be sent between processes."""
        return np.concatenate([[float(self.n)], self.mean, self._scatter.ravel("F")])

    @classmethod
    def from_state(cls, state: npt.ArrayLike | Tensor) -> Self:
        """The moments whose `state` this is."""
        numbers = as_rows(np.asarray(state)[None])[0].astype(np.float64)
        dimension = round((len(numbers) - 0.75) ** 0.5 - 0.5)  # the D of 1 + D + D²
        moments = cls(dimension)
        moments.n = int(numbers[0])
        moments.mean = numbers[1 : 1 + dimension].copy()
        moments._scatter = numbers[1 + dimension :].reshape((dimension, dimension), order="F").copy(order="F")
        return moments

    def covariance(self, ddof: int = 1) -> Floats:
        """(D, D), divided by n - ddof: 1 as most tools do, 0 as NVIDIA's.

        Raises:
            DataError: fewer than two pictures.
        """
        if self.n < 2:
            raise DataError(
                f"The Fréchet distance needs two pictures or more in each set, not {self.n}.", "Add pictures."
            )
        upper = np.triu(self._scatter) / (self.n - ddof)
        return upper + np.triu(upper, 1).T

    def statistics(self, ddof: int = 1, protocol: Mapping[str, Any] | None = None, name: str = "") -> Statistics:
        """What `frechet_distance` compares; see `covariance` and `Statistics`."""
        return Statistics(self.mean, self.covariance(ddof), self.n, protocol, name)

    def _join(self, n: int, mean: Floats, centred: Floats) -> None:
        """Add `n` rows of this mean, given centred (their scatter may have been added already: no rows)."""
        step = mean - self.mean
        total = self.n + n
        rows = np.vstack([centred, np.sqrt(self.n / total * n) * step])
        self._scatter = blas.dsyrk(1.0, rows.T, beta=1.0, c=self._scatter, overwrite_c=1)
        self.mean = self.mean + step * (n / total)
        self.n = total


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and covariance of a set's features.

    Attributes:
        mu: (D,) float64.
        sigma: (D, D) float64, symmetric.
        n: pictures behind them, where known.
        protocol: how they were made (JSON-able), where known.
        name: what messages call them, e.g. the file.

    Raises:
        DataError: shapes that do not fit, NaN or infinity, or a matrix that cannot be a covariance.
    """

    mu: Floats
    sigma: Floats
    n: int | None = None
    protocol: Mapping[str, Any] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        mu, sigma = np.asarray(self.mu), np.asarray(self.sigma)
        problem = _problem(mu, sigma)
        if problem:
            raise DataError(
                f"{self.name or 'The statistics'}: {problem}.",
                "Statistics are a mean `mu` (D) and a covariance `sigma` (D, D) of features; compute them again.",
            )
        sigma = sigma.astype(np.float64)
        object.__setattr__(self, "mu", mu.astype(np.float64))
        object.__setattr__(self, "sigma", (sigma + sigma.T) / 2)

    def save(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Write an `.npz` with `mu` and `sigma`, which pytorch-fid reads, and `n` and `protocol` where known.

        Raises:
            RunError: the file cannot be written, or exists while `overwrite` is False.
        """
        more: dict[str, Any] = {}
        if self.n is not None:
            more["n"] = np.int64(self.n)
        if self.protocol is not None:
            more["protocol"] = np.str_(json.dumps(dict(self.protocol), allow_nan=False))

        def write(file: BinaryIO) -> None:
            np.savez(file, mu=self.mu, sigma=self.sigma, **more)

        atomic_write(path, write, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote, or another tool's file with `mu` and `sigma`; other arrays in it are not read.

        Raises:
            DataError: the file is missing, is no such file, or what it holds is not usable.
        """
        hint = "Give an .npz file with the arrays `mu` (D) and `sigma` (D, D), as pytorch-fid writes it."
        try:
            file = np.load(path, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise DataError(f"{path} is one array, not statistics.", hint)
            with file:
                missing = [key for key in ("mu", "sigma") if key not in file]
                if missing:
                    raise DataError(f"{path} has no `{'` and no `'.join(missing)}`.", hint)
                mu, sigma = file["mu"], file["sigma"]
                n = file["n"].item() if "n" in file else None
                protocol = json.loads(file["protocol"].item()) if "protocol" in file else None
        except OSError as error:
            raise DataError(f"Cannot read {path}: {error.strerror or error}.", "Check the path.") from error
        except (ValueError, TypeError, AttributeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path} is not a file of statistics, or it is damaged.", hint) from error
        if not isinstance(n, int | None) or not isinstance(protocol, dict | None):
            raise DataError(f"{path}: `n` is not a number of pictures or `protocol` not a JSON object.", hint)
        return cls(mu, sigma, n, protocol, str(path))


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """|mu_a - mu_b|² + Tr(S_a) + Tr(S_b) - 2 Tr((S_a S_b)^(1/2)), the squared Fréchet distance: 0 or more.

    With S_a = A Aᵀ and S_b = B Bᵀ the eigenvalues of S_a S_b are those of the symmetric (Aᵀ B) (Aᵀ B)ᵀ, so that one
    symmetric eigenvalue problem, of the smaller of the two ranks, takes the place of a matrix square root.

    Raises:
        DataError: the two have another D, or one is not a covariance.
    """
    same_dimension(a.mu, b.mu)
    step = a.mu - b.mu
    product = _factor(a).T @ _factor(b)
    if product.shape[0] > product.shape[1]:
        product = product.T
    gram = blas.dsyrk(1.0, product.T, trans=1, lower=1)  # the lower triangle of product productᵀ
    trace_root = np.sqrt(eigvalsh(gram, overwrite_a=True, check_finite=False).clip(0)).sum()
    return max(0.0, float(step @ step + np.trace(a.sigma) + np.trace(b.sigma) - 2 * trace_root))


def _factor(statistics: Statistics) -> Floats:
    """F (D, rank) with F Fᵀ = sigma, by Cholesky's factorisation with pivots."""
    sigma = statistics.sigma
    variances = np.diagonal(sigma)
    # Stops where the largest variance left is D eps max(variances). The transpose is laid out as LAPACK wants it.
    upper, pivots, rank, _ = lapack.dpstrf(sigma.T)
    factor = np.empty((len(sigma), rank))
    factor[pivots - 1] = np.tril(upper.T[:, :rank])
    remainder = variances - np.einsum("dr,dr->d", factor, factor)
    if remainder.min() >= -1e-10 * variances.max():
        return factor
    # Not quite a covariance (statistics rounded to float32): the nearest one has its negative eigenvalues at 0.
    eigenvalues, vectors = np.linalg.eigh(sigma)
    if eigenvalues[0] < -_SLACK * eigenvalues[-1]:
        raise DataError(
            f"{statistics.name or 'The statistics'}: `sigma` is not a covariance, it has negative eigenvalues.",
            "Compute the statistics again.",
        )
    kept = eigenvalues > 0
    return np.asarray(vectors[:, kept] * np.sqrt(eigenvalues[kept]))


def _problem(mu: npt.NDArray[Any], sigma: npt.NDArray[Any]) -> str:
    """What makes these unusable as mean and covariance, in half a sentence; empty where nothing does."""
    if mu.dtype.kind not in "fiu" or sigma.dtype.kind not in "fiu":
        return f"`mu` and `sigma` are {mu.dtype} and {sigma.dtype}, not real numbers"
    if mu.ndim != 1 or len(mu) == 0 or sigma.shape != 2 * mu.shape:
        return f"the shapes of `mu` and `sigma`, {mu.shape} and {sigma.shape}, do not fit"
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        return "`mu` or `sigma` holds NaN or infinity"
    largest = np.abs(sigma).max()
    if np.abs(sigma - sigma.T).max() > _SLACK * largest:
        return "`sigma` is not symmetric"
    if np.diagonal(sigma).min() < -_SLACK * largest:
        return "`sigma` has a negative variance"
    return ""
