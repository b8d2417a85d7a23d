"""Log likelihood by a Parzen window: a Gaussian on every sample (Goodfellow 2014), also level by level (Denton 2015).

The density of a set of M samples y at a picture x of D numbers is 1/M sum_j N(x; y_j, sigma^2 1). On a pyramid the
picture is taken apart into 2x2 means and what they leave out, which changes no volume but for a known factor, and
the density is the product of the levels' densities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Values = Callable[[npt.NDArray[Any]], Floats]

_DISTANCES = 2**23  # squared distances held at once (64 MB)
_NUMBERS = 2**22  # of samples held at once as float64 (32 MB)
_A_DECADE = 9  # steps of sigma from 0.1 to 1, as Goodfellow takes


@dataclass(frozen=True, eq=False)
class Window:
    """Densities under a Gaussian on every sample.

    Attributes:
        log_density: (n,) of each picture measured, in nats.
        sigma: deviation of the Gaussian in each dimension.
        dimensions: numbers in a picture.
        edge: -1 or 1 where the best sigma is the smallest or largest tried, so that a better one may lie beyond.
    """

    log_density: Floats
    sigma: float
    dimensions: int
    edge: int = 0


def mean_and_error(log_density: Floats) -> tuple[float, float]:
    """The mean of (n,) numbers and its standard error, which is NaN of one."""
    n = len(log_density)
    error = float(log_density.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return float(log_density.mean()), error


def sigmas_between(low: float, high: float) -> Floats:
    """From `low` to `high` in equal ratios, nine steps a decade: of 0.1 and 1 they are logspace(-1, 0, 10)."""
    return np.geomspace(low, high, 1 + max(1, round(_A_DECADE * math.log10(high / low))))


def as_values(pictures: npt.NDArray[Any]) -> Floats:
    """Pictures (n, ...) as rows (n, D)."""
    return pictures.reshape(len(pictures), -1).astype(np.float64)


def log_parzen(squared: Floats, dimensions: int, sigmas: Sequence[float] | Floats) -> Floats:
    """Log densities (S, n) of n pictures for each of S widths.

    Args:
        squared: (n, M) squared distances of each picture to M samples: the same ones, or its own.
        dimensions: D.
        sigmas: S widths, above 0.
    """
    nearest = squared.min(axis=1, keepdims=True)
    beyond = squared - nearest  # so that the largest term of each mean is 1
    found = np.empty((len(sigmas), len(squared)))
    for i, sigma in enumerate(sigmas):
        mean = np.exp(beyond * (-0.5 / sigma**2)).mean(axis=1)
        found[i] = np.log(mean) - nearest[:, 0] * (0.5 / sigma**2)
        found[i] -= dimensions * math.log(sigma * math.sqrt(2 * math.pi))
    return found


def log_densities(
    pictures: npt.NDArray[Any],
    samples: npt.NDArray[Any],
    sigmas: Sequence[float] | Floats,
    values: Values = as_values,
    progress: Callable[[int], None] = lambda done: None,
) -> Floats:
    """Log densities (S, n) of `pictures` (n, ...) under `samples` (M, ...), in float64.

    Args:
        pictures, samples: of one shape but for their number; 8-bit ones stay as they are until needed, so that
            memory grows by their bytes only.
        sigmas: S widths, above 0.
        values: makes rows (k, D) float64 of k of them.
        progress: told after each part how many pictures are done.

    Raises:
        ValueError: there are no samples, or their shape is another.
    """
    if not len(samples) or pictures.shape[1:] != samples.shape[1:]:
        raise ValueError(f"pictures {pictures.shape} cannot be measured under samples {samples.shape}")
    dimensions = math.prod(samples.shape[1:])
    found = np.empty((len(sigmas), len(pictures)))
    rows, columns = max(1, _DISTANCES // len(samples)), max(1, _NUMBERS // dimensions)
    for start in range(0, len(pictures), rows):
        x = values(pictures[start : start + rows])
        squared = np.empty((len(x), len(samples)))
        for first in range(0, len(samples), columns):
            y = values(samples[first : first + columns])
            products = x @ y.T
            products *= -2
            products += _squares(y)
            squared[:, first : first + columns] = products
        squared += _squares(x)[:, None]
        found[:, start : start + rows] = log_parzen(np.maximum(squared, 0, out=squared), dimensions, sigmas)
        progress(min(start + rows, len(pictures)))
    return found


def parzen(
    held_out: npt.NDArray[Any],
    measured: npt.NDArray[Any],
    samples: npt.NDArray[Any],
    sigmas: Sequence[float] | Floats,
    values: Values = as_values,
    progress: Callable[[int], None] = lambda done: None,
) -> Window:
    """The density of the pictures `measured`, with the width under which those held out are likeliest.

    Args:
        held_out: (h, ...); may be empty where there is one sigma.
        measured: (n, ...).
        samples: (M, ...) of the model.
        sigmas: the widths to choose from.
        values, progress: as in `log_densities`; held-out pictures count first.

    Raises:
        ValueError: no samples, other shapes, or nothing to choose by.

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets", Sec. 5, after Breuleux et al. 2011.
    """
    choice = _choice(held_out, sigmas, lambda: log_densities(held_out, samples, sigmas, values, progress))
    sigma = float(sigmas[choice])
    each = log_densities(measured, samples, [sigma], values, lambda done: progress(len(held_out) + done))[0]
    return Window(each, sigma, math.prod(samples.shape[1:]), _edge(choice, sigmas))


def own_window(held_out: Floats, measured: Floats, dimensions: int, sigmas: Sequence[float] | Floats) -> Window:
    """As `parzen` where every picture has samples of its own, given their squared distances (h, M) and (n, M)."""
    choice = _choice(held_out, sigmas, lambda: log_parzen(held_out, dimensions, sigmas))
    sigma = float(sigmas[choice])
    return Window(log_parzen(measured, dimensions, [sigma])[0], sigma, dimensions, _edge(choice, sigmas))


def haar(pictures: Floats) -> tuple[Floats, Floats]:
    """Means of 2x2 blocks (n, C, s, s), and what they leave out (n, 3 C s s), of pictures (n, C, 2 s, 2 s).

    The second are coordinates in an orthonormal basis. Twice the means are coordinates in such a basis, too, and both
    together are the picture, turned.

    Raises:
        ValueError: odd sides.

    Source: Denton et al. 2015, "Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks",
    appendix A.
    """
    if pictures.shape[-2] % 2 or pictures.shape[-1] % 2:
        raise ValueError(f"2x2 blocks do not fill pictures {pictures.shape}")
    a, b = pictures[..., ::2, ::2], pictures[..., ::2, 1::2]
    c, d = pictures[..., 1::2, ::2], pictures[..., 1::2, 1::2]
    high = np.stack([a - b + c - d, a + b - c - d, a - b - c + d], axis=1) / 2
    return (a + b + c + d) / 4, high.reshape(len(pictures), -1)


def level_log_densities(levels: Sequence[Window]) -> list[Floats]:
    """What each level adds to the log density (n,) of the pictures themselves.

    A level is measured in numbers that are means over the finest pixels. After m halvings a mean is 2^-m times the
    coordinate in an orthonormal basis of the pictures, so that of D numbers the density there is 2^(-m D) of that here.

    Args:
        levels: coarsest first: the coarsest pictures, then what the 2x2 means of each finer level leave out.
    """
    return [
        level.log_density - level.dimensions * (len(levels) - 1 - k) * math.log(2) for k, level in enumerate(levels)
    ]


def _choice(held_out: npt.NDArray[Any], sigmas: Sequence[float] | Floats, densities: Callable[[], Floats]) -> int:
    if len(sigmas) == 1:
        return 0
    if not len(held_out):
        raise ValueError("pictures must be held out to choose sigma by")
    return int(densities().mean(axis=1).argmax())


def _edge(choice: int, sigmas: Sequence[float] | Floats) -> int:
    if len(sigmas) == 1:
        return 0
    return -1 if choice == 0 else int(choice == len(sigmas) - 1)


def _squares(x: Floats) -> Floats:
    return np.asarray(np.einsum("nd,nd->n", x, x))
