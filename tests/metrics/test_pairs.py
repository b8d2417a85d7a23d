"""Pairs of samples: different, in order, every one as likely."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gantool.metrics.pairs import adjacent_pairs, random_pairs


@pytest.mark.parametrize("count", [2, 3, 7, 40])
def test_all_pairs_once(count: int) -> None:
    found = random_pairs(count, count * count, seed=0).tolist()
    assert sorted(map(tuple, found)) == list(itertools.combinations(range(count), 2))


def test_random_pairs_are_different_and_seeded() -> None:
    found = random_pairs(50_000, 2000, seed=3)
    assert found.shape == (2000, 2)
    assert (found[:, 0] < found[:, 1]).all()
    assert found.min() >= 0
    assert found.max() < 50_000
    assert len(np.unique(found, axis=0)) == 2000
    np.testing.assert_array_equal(found, random_pairs(50_000, 2000, seed=3))
    assert (found != random_pairs(50_000, 2000, seed=4)).any()
    # The smaller of two uniform numbers is a third on average, the larger two thirds; deviation 0.24 / sqrt(2000).
    np.testing.assert_allclose(found.mean(0) / 50_000, [1 / 3, 2 / 3], atol=0.02)


def test_every_pair_is_as_likely() -> None:
    counts = np.zeros((5, 5), int)
    for seed in range(3000):
        for i, j in random_pairs(5, 2, seed):
            counts[i, j] += 1
    drawn = counts[np.triu_indices(5, 1)]
    assert drawn.sum() == 6000
    assert abs(drawn - 600).max() < 110  # 5 deviations


def test_adjacent_pairs() -> None:
    assert adjacent_pairs(5).tolist() == [[0, 1], [2, 3]]
    assert adjacent_pairs(2).tolist() == [[0, 1]]


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="two things"):
        random_pairs(1, 1, 0)
    with pytest.raises(ValueError, match="at least one pair"):
        random_pairs(5, 0, 0)
