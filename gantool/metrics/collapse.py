"""Signs of mode collapse: samples that are all alike, and classes that are never drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gantool.errors import DataError
from gantool.metrics.ms_ssim import ms_ssim
from gantool.metrics.pairs import random_pairs
from gantool.metrics.psnr_ssim import WINDOW

Pictures = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]

LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601
SIDE = 16  # pixels, to which nearest neighbours are reduced: strokes and layouts remain, noise does not
AT_ONCE = 32  # pairs compared together
CHUNK = 500_000  # distances or pixels held together, 4 MB


def pair_similarity(pictures: Pictures, pairs: int, seed: int = 0, labels: npt.ArrayLike | None = None) -> float:
    """Mean MS-SSIM of random pairs of pictures, in [0, 1]; near 1, they are all the same.

    Pictures below 11 pixels, for which MS-SSIM has no window, are compared by SSIM with one as large as they are.

    Args:
        pictures: (N, H, W, C), two or more.
        pairs: so many different ones, at most (see `random_pairs`).
        seed: of the choice.
        labels: (N,); where they are given, both of a pair are of one class (Odena et al. 2017, Sec. 4.2), and
            each class has as many pairs. Classes of one picture have none.

    Raises:
        DataError: there is no pair.
    """
    chosen = _pairs(len(pictures), pairs, seed, labels)
    if pictures.shape[3] == 3 and (pictures == pictures[..., :1]).all():
        pictures = pictures[..., :1]  # a mean over equal channels
    levels = None if min(pictures.shape[1:3]) >= WINDOW else 1
    parts = [chosen[i : i + AT_ONCE] for i in range(0, len(chosen), AT_ONCE)]
    return float(np.concatenate([ms_ssim(pictures[p[:, 0]], pictures[p[:, 1]], levels=levels) for p in parts]).mean())


def _pairs(count: int, pairs: int, seed: int, labels: npt.ArrayLike | None) -> Classes:
    """(P, 2) indices."""
    members = [np.arange(count)]
    if labels is not None:
        given = np.asarray(labels)
        members = [np.flatnonzero(given == label) for label in np.unique(given)]
    members = [indices for indices in members if len(indices) > 1]
    if not members:
        raise DataError(f"There is no pair of one kind among {count} pictures.", "Give more pictures.")
    each = -(-pairs // len(members))
    return np.concatenate([m[random_pairs(len(m), each, seed + i)] for i, m in enumerate(members)])


def nearest_classes(samples: Pictures, reals: Pictures, labels: npt.ArrayLike) -> Classes:
    """The class of each sample: that of the real picture nearest to it.

    Both are reduced to 16x16 grey pixels at most; nearness is Euclidean. A classifier without training: on
    handwritten digits, right for about nine in ten.

    Args:
        samples: (N, H, W, C).
        reals: (M, H, W, C), one or more; of any size where both are 16 pixels or larger.
        labels: (M,).

    Returns:
        (N,) int64.
    """
    return nearest(thumbnails(samples), thumbnails(reals), labels)


def nearest(samples: Floats, reals: Floats, labels: npt.ArrayLike) -> Classes:
    """`nearest_classes` of what `thumbnails` gave.

    Raises:
        ValueError: other numbers of pixels or labels, or no reals.
    """
    given = np.asarray(labels, dtype=np.int64)
    if samples.shape[1] != reals.shape[1] or given.shape != (len(reals),) or not len(reals):
        raise ValueError(f"samples {samples.shape}, reals {reals.shape}, labels {given.shape}")
    # |s - r|² = |s|² - 2 s·r + |r|², of which the first is the same for all r.
    square = np.square(reals).sum(axis=1)
    rows = max(1, CHUNK // len(reals))
    found = [
        (square - 2 * samples[start : start + rows] @ reals.T).argmin(axis=1) for start in range(0, len(samples), rows)
    ]
    return given[np.concatenate(found)] if found else given[:0]


def coverage(found: npt.ArrayLike, classes: int) -> tuple[float, float]:
    """How much of the classes samples show: the share of them that occurs, and how evenly.

    Args:
        found: (N,) the class of each sample, 0 to classes - 1; one or more.
        classes: how many there are.

    Returns:
        the share of classes met; and the entropy of their histogram relative to log(classes), 1 for an even
        one, 0 for a single class. Where there is but one class, both are 1.

    Raises:
        ValueError: no samples, or a class that does not exist.
    """
    labels = np.asarray(found, dtype=np.int64)
    if not labels.size or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"classes of {labels.size} samples must be in 0..{classes - 1}")
    counts = np.bincount(labels, minlength=classes)
    met = counts[counts > 0]
    share = met / met.sum()
    entropy = float((share * np.log(1 / share)).sum())
    return len(met) / classes, entropy / np.log(classes) if classes > 1 else 1.0


def thumbnails(pictures: Pictures, side: int = SIDE) -> Floats:
    """(N, h * w) grey levels 0 to 255 of (N, H, W, C), reduced by area to h, w of `side` at most."""
    height, width = (min(side, length) for length in pictures.shape[1:3])
    reduced = by_area(pictures, height, width)
    grey: Floats = reduced @ LUMA if pictures.shape[3] == 3 else reduced.mean(axis=3)
    return grey.reshape(len(pictures), height * width)


def by_area(pictures: Pictures, height: int, width: int) -> Floats:
    """(N, height, width, C): each pixel the mean over the area of (N, H, W, C) that it stands for. Reduces only.

    Raises:
        ValueError: larger than the pictures.
    """
    vertical, horizontal = (
        _area_weights(*lengths) for lengths in ((pictures.shape[1], height), (pictures.shape[2], width))
    )
    reduced = np.empty((len(pictures), height, width, pictures.shape[3]))
    count = max(1, CHUNK // max(1, pictures[0].size)) if len(pictures) else 1
    for start in range(0, len(pictures), count):
        part = pictures[start : start + count].astype(np.float64)
        rows = np.tensordot(part, vertical, axes=(1, 1))  # (N, W, C, h)
        reduced[start : start + count] = np.tensordot(rows, horizontal, axes=(1, 1)).transpose(0, 2, 3, 1)
    return reduced


def _area_weights(length: int, target: int) -> Floats:
    """(target, length): the share of each pixel in the mean that becomes each target pixel."""
    if not 1 <= target <= length:
        raise ValueError(f"{length} pixels cannot be reduced to {target}")
    edges = np.linspace(0, length, target + 1)
    pixel = np.arange(length)
    inside = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights: Floats = inside.clip(0) * (target / length)
    return weights
