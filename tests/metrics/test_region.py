"""Numbers for regions: closed forms, a well-kept library, and directions that must be right."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from gantool.errors import DataError
from gantool.metrics.region import PatchDistance, colour_gap, surroundings, to_lab

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (60, 80, 3), dtype=np.uint8)
REGION = np.zeros((60, 80), bool)
REGION[20:40, 30:60] = True


def test_lab_is_that_of_scikit_image() -> None:
    assert np.abs(to_lab(PICTURE) - rgb2lab(PICTURE)).max() < 0.01


def test_the_ring_around_a_square() -> None:
    square = np.zeros((21, 21), bool)
    square[10, 10] = True
    assert surroundings(square, 1).sum() == 4
    assert surroundings(square, 2).sum() == 12
    assert not (surroundings(REGION, 9) & REGION).any()


def test_the_gap_of_two_greys_is_their_lightness() -> None:
    image = np.full((60, 80, 3), 119, np.uint8)
    image[REGION] = 0
    around = surroundings(REGION, 10)
    assert colour_gap(image, REGION, around) == pytest.approx(float(rgb2lab(image)[0, 0, 0]), abs=0.01)
    assert colour_gap(np.full_like(image, 7), REGION, around) < 1e-9


def test_patches_of_the_same_picture_are_near_and_shifted_ones_are_not() -> None:
    whole = np.ones((60, 80), bool)
    assert PatchDistance(PICTURE)(PICTURE, whole) == 0
    same = PatchDistance(PICTURE)(PICTURE, REGION)
    brighter = (PICTURE // 2 + 100).astype(np.uint8)
    assert same < 60 < PatchDistance(PICTURE)(brighter, REGION)


def test_a_shift_is_worth_what_the_directions_say() -> None:
    grey, lighter = np.full((30, 40, 3), 100, np.uint8), np.full((30, 40, 3), 110, np.uint8)
    whole = np.ones((30, 40), bool)
    weights = np.random.default_rng(0).standard_normal((147, 256))
    sums = np.abs((weights / np.linalg.norm(weights, axis=0)).sum(0)).mean()
    assert PatchDistance(grey)(lighter, whole) == pytest.approx(sums * 10 / 127.5 * 1000, rel=1e-9)


def test_what_is_too_small_to_measure() -> None:
    spot = np.zeros((60, 80), bool)
    spot[5:8, 5:8] = True
    with pytest.raises(DataError, match="too small"):
        PatchDistance(PICTURE)(PICTURE, spot)
    with pytest.raises(DataError, match="too small"):
        colour_gap(PICTURE, spot, surroundings(spot, 5))
