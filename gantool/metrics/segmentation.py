"""How well one map of classes agrees with another: pixel accuracy, class accuracy and intersection over union."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gantool.errors import DataError
from gantool.metrics.arrays import Floats

Counts = npt.NDArray[np.int64]


def confusion(truth: npt.NDArray[np.integer], result: npt.NDArray[np.integer], classes: int) -> Counts:
    """(classes, classes) counts of pixels: element (i, j) are those of class i in truth that the result takes for j.

    Add up those of several pictures before anything is computed of them, as papers do.

    Args:
        truth, result: classes of the pixels, of one shape, from 0 to `classes` - 1.

    Raises:
        DataError: the shapes differ.
        ValueError: a class that there is not.
    """
    if truth.shape != result.shape:
        raise DataError(
            f"Maps of {' x '.join(map(str, truth.shape))} and {' x '.join(map(str, result.shape))} pixels differ.",
            "Bring them to one size first.",
        )
    for name, ids in (("truth", truth), ("result", result)):
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < classes:
            raise ValueError(f"{name} has classes from {ids.min()} to {ids.max()}, out of {classes}")
    pairs = truth.astype(np.int64).ravel() * classes + result.ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class Agreement:
    """What a confusion matrix says.

    With n_ij pixels of class i taken for class j, and t_i = sum_j n_ij pixels of class i:

    - pixel accuracy: sum_i n_ii / sum_i t_i
    - class accuracy: the mean of n_ii / t_i
    - mean IoU: the mean of n_ii / (t_i + sum_j n_ji - n_ii)

    A class that is neither in truth nor in result counts in no mean. One that is in the result alone has an IoU of 0
    and no accuracy, for it has no pixels to be right about.

    Args:
        matrix: (classes, classes) counts, see `confusion`; at least one pixel.

    Raises:
        DataError: there are no pixels.

    Source: Long, Shelhamer and Darrell 2015, "Fully Convolutional Networks for Semantic Segmentation", Sec. 5.
    """

    matrix: Counts

    def __post_init__(self) -> None:
        """See above."""
        if not self.matrix.sum():
            raise DataError("There are no pixels to compare.", "Give pictures.")

    @cached_property
    def truth(self) -> Counts:
        """Pixels of each class in truth, t_i."""
        found: Counts = self.matrix.sum(1)
        return found

    @cached_property
    def result(self) -> Counts:
        """Pixels that are taken for each class, sum_j n_ji."""
        found: Counts = self.matrix.sum(0)
        return found

    @cached_property
    def accuracies(self) -> Floats:
        """Share of each class's pixels that is right, (classes,); NaN of a class that is not in truth."""
        return _share(self.matrix.diagonal(), self.truth)

    @cached_property
    def ious(self) -> Floats:
        """Intersection over union of each class, (classes,); NaN of a class that is in neither."""
        right = self.matrix.diagonal()
        return _share(right, self.truth + self.result - right)

    @property
    def pixel_accuracy(self) -> float:
        """Share of all pixels that is right, in [0, 1]."""
        return float(self.matrix.trace() / self.matrix.sum())

    @property
    def class_accuracy(self) -> float:
        """Mean over the classes in truth of the share that is right, in [0, 1]."""
        return float(np.nanmean(self.accuracies))

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union of the classes in truth or result, in [0, 1]."""
        return float(np.nanmean(self.ious))

    @property
    def most_frequent(self) -> float:
        """Pixel accuracy of taking every pixel for truth's most frequent class: what a result should beat."""
        return float(self.truth.max() / self.truth.sum())


def _share(part: Counts, whole: Counts) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return found
