"""Numbers for regions: closed forms, a well-kept library, and directions that must be right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from skimage.color import rgb2lab

from gantool.data.image import to_tensor
from gantool.errors import DataError
from gantool.metrics.region import PatchDistance, colour_gap, surroundings, to_lab
from gantool.metrics.single_image import patch_swd, unit_directions

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
    assert not surroundings(np.zeros((21, 21), bool), 5).any()


def test_the_gap_of_two_greys_is_their_lightness() -> None:
    image = np.full((60, 80, 3), 119, np.uint8)
    image[REGION] = 0
    around = surroundings(REGION, 10)
    assert colour_gap(image, REGION, around) == pytest.approx(float(rgb2lab(image)[0, 0, 0]), abs=0.01)
    assert colour_gap(np.full_like(image, 7), REGION, around) < 1e-9


def test_a_region_that_covers_everything_has_the_distance_of_the_pictures() -> None:
    other = RANDOM.integers(0, 200, (47, 51, 3), dtype=np.uint8)
    whole = np.ones((47, 51), bool)
    assert PatchDistance(PICTURE)(PICTURE, np.ones((60, 80), bool)) == 0
    expected = patch_swd(to_tensor(PICTURE), to_tensor(other), seed=3)
    assert expected > 50
    assert PatchDistance(PICTURE, seed=3)(other, whole) == pytest.approx(expected, rel=1e-6)


def test_only_patches_centred_in_the_region_count() -> None:
    """SciPy's Wasserstein distance of the same patches, gathered by hand."""
    picture = RANDOM.integers(0, 256, (11, 14, 3), dtype=np.uint8)  # 40 patches
    image = RANDOM.integers(0, 256, (14, 13, 3), dtype=np.uint8)
    region = np.zeros((14, 13), bool)
    region[:8, :] = True  # centres in rows 3 to 7 and columns 3 to 9: 35 patches
    image[11:] = 255  # out of those patches' reach
    ours = np.stack([image[y : y + 7, x : x + 7].transpose(2, 0, 1).ravel() for y in range(5) for x in range(7)])
    theirs = np.stack([picture[y : y + 7, x : x + 7].transpose(2, 0, 1).ravel() for y in range(5) for x in range(8)])
    weight = unit_directions(32, 7, torch.Generator().manual_seed(1)).flatten(1).double().numpy()
    pairs = zip(weight @ (ours.T / 127.5 - 1), weight @ (theirs.T / 127.5 - 1), strict=True)
    expected = 1000 * np.mean([wasserstein_distance(a, b) for a, b in pairs])
    measure = PatchDistance(picture, directions=32, quantiles=35 * 40, seed=1)
    assert measure(image, region) == pytest.approx(expected, rel=1e-5)


def test_a_shift_is_worth_what_the_directions_say() -> None:
    grey, lighter = np.full((30, 40, 3), 100, np.uint8), np.full((30, 40, 3), 110, np.uint8)
    region = np.zeros((30, 40), bool)
    region[5:15, 10:20] = True
    normal = torch.randn(256, 147, generator=torch.Generator().manual_seed(0)).double()
    sums = (normal.sum(1) / normal.norm(dim=1)).abs().mean().item()
    assert PatchDistance(grey)(lighter, region) == pytest.approx(sums * 10 / 127.5 * 1000, rel=1e-4)


def test_the_further_a_region_is_from_the_picture_the_larger_both_numbers() -> None:
    distance, around = PatchDistance(PICTURE), surroundings(REGION, 10)
    images = [PICTURE.copy() for _ in range(4)]
    for step, image in enumerate(images):
        image[REGION] = np.minimum(image[REGION].astype(int) * (4 - step) // 4 + 50 * step, 255)
    distances = [distance(image, REGION) for image in images]
    gaps = [colour_gap(image, REGION, around) for image in images]
    assert distances == sorted(distances)
    assert gaps == sorted(gaps)
    assert distances[0] < 60 < 4 * distances[0] < distances[3]  # few patches of the picture itself are not at 0
    assert 4 * gaps[0] < gaps[3]


def test_what_cannot_be_measured_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="odd"):
        PatchDistance(PICTURE, patch=6)
    with pytest.raises(ValueError, match="the region is"):
        PatchDistance(PICTURE)(PICTURE, np.ones((60, 79), bool))


def test_what_is_too_small_to_measure() -> None:
    spot = np.zeros((60, 80), bool)
    spot[5:8, 5:8] = True
    with pytest.raises(DataError, match="too small"):
        PatchDistance(PICTURE)(PICTURE, spot)
    with pytest.raises(DataError, match="too small"):
        colour_gap(PICTURE, spot, surroundings(spot, 5))
