"""Agreement of maps of classes, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, jaccard_score, recall_score

from gantool.errors import DataError
from gantool.metrics.segmentation import Agreement, confusion


def maps(seed: int, truth: list[int], result: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Two maps of 20x30 pixels with these classes, alike in about half of the pixels."""
    random = np.random.default_rng(seed)
    a, b = random.choice(truth, (20, 30)), random.choice(result, (20, 30))
    same = (random.random((20, 30)) < 0.5) & np.isin(a, result)
    return a, np.where(same, a, b)


@pytest.mark.parametrize("classes", [([0, 1, 2, 3], [0, 1, 2, 3]), ([0, 2], [0, 2, 5]), ([1, 2, 3], [2, 3])])
def test_agrees_with_scikit_learn(classes: tuple[list[int], list[int]]) -> None:
    truth, result = maps(3, *classes)
    y, x = truth.ravel(), result.ravel()
    found = Agreement(confusion(truth, result, 6))
    np.testing.assert_array_equal(found.matrix, confusion_matrix(y, x, labels=range(6)))
    assert found.pixel_accuracy == pytest.approx(accuracy_score(y, x), abs=1e-12)
    present = sorted({*y, *x})
    assert found.mean_iou == pytest.approx(jaccard_score(y, x, average="macro", labels=present), abs=1e-12)
    assert found.class_accuracy == pytest.approx(recall_score(y, x, average="macro", labels=np.unique(y)), abs=1e-12)
    if set(x) <= set(y):
        assert found.class_accuracy == pytest.approx(balanced_accuracy_score(y, x), abs=1e-12)
    np.testing.assert_allclose(
        found.ious[present], jaccard_score(y, x, average=None, labels=present), rtol=0, atol=1e-12
    )
    assert found.most_frequent == pytest.approx(np.bincount(y).max() / y.size)


def test_by_hand() -> None:
    """Three pixels of class 0, one of class 1, none of class 2; one of the first is taken for class 1."""
    found = Agreement(confusion(np.array([[0, 0], [0, 1]]), np.array([[0, 0], [1, 1]]), 3))
    assert found.pixel_accuracy == 3 / 4
    np.testing.assert_array_equal(found.accuracies, [2 / 3, 1, np.nan])
    np.testing.assert_array_equal(found.ious, [2 / 3, 1 / 2, np.nan])
    assert (found.class_accuracy, found.mean_iou) == (pytest.approx(5 / 6), pytest.approx(7 / 12))
    assert found.most_frequent == 3 / 4


def test_pictures_are_added_up_before_the_means() -> None:
    """Not the mean of two pictures' figures: that of all their pixels."""
    first, second = confusion(np.zeros((2, 4), int), np.zeros((2, 4), int), 2), confusion(*np.eye(2, dtype=int), 2)
    assert Agreement(first).pixel_accuracy == 1
    assert Agreement(second).pixel_accuracy == 0
    assert Agreement(first + second).pixel_accuracy == 8 / 10


def test_many_classes_of_bytes_do_not_overflow() -> None:
    """Ids of a byte, and more pairs of classes than a byte counts."""
    ids = np.arange(200, dtype=np.uint8)
    assert confusion(ids, ids, 200).trace() == 200


def test_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="2 x 2 and 2 x 3 pixels"):
        confusion(np.zeros((2, 2), int), np.zeros((2, 3), int), 2)
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match=f"from {min(wrong, 0)} to"):
            confusion(np.zeros(2, int), np.array([0, wrong]), 2)
    with pytest.raises(DataError, match="no pixels"):
        Agreement(np.zeros((3, 3), np.int64))
