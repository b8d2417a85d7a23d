"""The sliced Wasserstein distance of Laplacian pyramids: recorded numbers of the original, and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, stats

from gantool.errors import DataError
from gantool.metrics.laplacian_swd import (
    laplacian_pyramid,
    laplacian_swd,
    level_sides,
    normalise,
    sliced_wasserstein,
    take_patches,
    unit_columns,
)

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "evaluators.npz")


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1)


def noise(n: int, height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def recorded_patches(name: str, level: int) -> np.ndarray:
    maps = laplacian_pyramid(channels_last(GOLDEN[f"swd/{name}_uint8"]), 2)[level]
    top, left = (GOLDEN[f"swd/{name}_{axis}{level}"].reshape(4, 6).astype(int) - 3 for axis in "yx")
    return take_patches(maps, top, left, 7)


def test_recorded_pyramid_and_patches() -> None:
    for name in ("real", "fake"):
        pyramid = laplacian_pyramid(channels_last(GOLDEN[f"swd/{name}_uint8"]), 2)
        for level in (0, 1):
            expected = channels_last(GOLDEN[f"swd/{name}_pyramid{level}"])
            np.testing.assert_allclose(pyramid[level], expected, rtol=0, atol=1e-5)
            patches = recorded_patches(name, level)
            # The record's patches are (channels, columns, rows).
            expected = GOLDEN[f"swd/{name}_descriptors{level}_raw_first4"].transpose(0, 3, 2, 1)
            np.testing.assert_allclose(patches[:4], expected, rtol=0, atol=1e-5)
            expected = GOLDEN[f"swd/{name}_descriptors{level}_final_first4"].reshape(4, 3, 7, 7).transpose(0, 3, 2, 1)
            np.testing.assert_allclose(normalise(patches)[:4], expected.reshape(4, -1), rtol=0, atol=2e-6)


def test_recorded_distances() -> None:
    for level in (0, 1):
        real, fake = (normalise(recorded_patches(name, level)) for name in ("real", "fake"))
        distances = []
        for repeat in (0, 1):
            drawn = GOLDEN[f"swd/directions{level}_{repeat}"].astype(np.float64).reshape(3, 7, 7, 8)
            directions = unit_columns(drawn.transpose(2, 1, 0, 3).reshape(147, 8))
            distances.append(1000 * sliced_wasserstein(real, fake, directions))
        assert np.mean(distances) == pytest.approx(float(GOLDEN["swd/swd_x1e3_per_level"][level]), rel=1e-6)


def test_one_direction_is_scipys_wasserstein_distance() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 6)).astype(np.float32)
    directions = unit_columns(rng.normal(size=(6, 3)))
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1, rtol=1e-6)
    expected = np.mean([stats.wasserstein_distance(a @ d, b @ d) for d in directions.T])
    assert sliced_wasserstein(a, b, directions) == pytest.approx(expected, rel=1e-6)
    shift = np.arange(6, dtype=np.float32)
    moved = np.abs(shift @ directions).mean()
    assert sliced_wasserstein(a, a + shift, directions) == pytest.approx(moved, rel=1e-5)


def test_the_pyramid_by_hand() -> None:
    pictures = noise(2, 40, 24).astype(np.float32)
    fine, coarse = laplacian_pyramid(pictures, 2)
    assert coarse.shape == (2, 20, 12, 3)
    flat = laplacian_pyramid(np.full((1, 32, 32, 1), 77, np.float32), 2)
    np.testing.assert_allclose(flat[0], 0, atol=1e-5)
    np.testing.assert_allclose(flat[1], 77, rtol=1e-6)
    # Enlarged by the halves of the kernel: (1, 6, 1) / 8 where there was a sample.
    rows = (coarse[:, 1:-3] + 6 * coarse[:, 2:-2] + coarse[:, 3:-1])[:, :, 1:-1] / 8
    across = (rows[:, :, :-2] + 6 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 8
    np.testing.assert_allclose((pictures - fine)[:, 4:-4:2, 4:-4:2], across, rtol=1e-5)


def test_equal_sets_have_no_distance_and_others_do() -> None:
    a, b = noise(40), noise(40, seed=1)
    same = laplacian_swd(a, a.copy())
    assert same.levels == {32: 0.0, 16: 0.0}
    assert (same.mean, same.pictures) == (0.0, 40)
    luck = laplacian_swd(a, b)
    assert luck.mean == pytest.approx(np.mean(list(luck.levels.values())))
    # Luck shrinks as the number of patches grows; a difference stays.
    many, others = noise(300, seed=2), noise(300, seed=3)
    far = laplacian_swd(many, ndimage.uniform_filter(others, (0, 5, 5, 0), mode="wrap")).mean
    assert 0 < laplacian_swd(many, others).mean < min(luck.mean / 2, far / 3)


def test_contrast_and_colour_alone_do_not_count() -> None:
    """Channels are brought to one mean and deviation; at the fine level a constant leaves no trace at all."""
    a = noise(10) // 2
    b = (a * np.array([1.0, 2.0, 0.5]) + np.array([3.0, 0.0, 40.0])).astype(np.float32)
    result = laplacian_swd(a, b)
    assert result.mean < 1e-2


def test_streams_and_sets_of_different_sizes() -> None:
    a, b = noise(70, 20, 24), noise(45, 20, 24, seed=1)
    reference = laplacian_swd(a[:45], b, seed=7)
    assert reference.pictures == 45
    assert laplacian_swd(a, b, seed=7) == reference
    assert laplacian_swd(iter(a), iter(b), seed=7) == reference
    assert laplacian_swd(iter(b), (x.astype(np.float64) for x in a), seed=7).pictures == 45
    assert laplacian_swd(a, b, seed=8) != reference


@pytest.mark.parametrize("edge", [np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]])
def test_patches_reach_every_edge(edge: tuple) -> None:
    a, b = noise(8, 16, 16), noise(8, 16, 16, seed=1)  # one level: the pixels themselves
    changed = b.copy()
    changed[edge] = 255
    assert laplacian_swd(a, changed).levels[16] != laplacian_swd(a, b).levels[16]


def test_levels_and_cutting() -> None:
    assert level_sides(1024, 1024) == [1024, 512, 256, 128, 64, 32, 16]
    assert level_sides(64, 64) == [64, 32, 16]
    assert level_sides(28, 28) == [28]
    assert level_sides(31, 40) == [31]
    assert level_sides(218, 178) == [176, 88, 44, 22]
    # What is cut off does not count.
    a, b = noise(4, 33, 34), noise(4, 33, 34, seed=1)
    reference = laplacian_swd(a, b)
    assert set(reference.levels) == {32, 16}
    spoilt = b.copy()
    spoilt[:, 32] = 0
    assert laplacian_swd(a, spoilt) == reference


def test_what_cannot_be_compared() -> None:
    a = noise(3)
    with pytest.raises(DataError, match="Picture 2 of the fake set has 30x32 pixels in 3 channels"):
        laplacian_swd(a, [a[0], a[1][:, :30]])
    with pytest.raises(DataError, match="real set has 32x15 pixels; the pyramid ends at 16"):
        laplacian_swd(a[:, :15], a[:, :15])
    with pytest.raises(DataError, match="real pictures is empty"):
        laplacian_swd(iter(()), a)
    with pytest.raises(DataError, match="pictures is empty"):
        laplacian_swd(a, a[:0])
    with pytest.raises(DataError, match="one colour"):
        laplacian_swd(np.zeros_like(a), a)
    with pytest.raises(DataError, match="not finite"):
        laplacian_swd(a, np.full(a.shape, np.nan))
    with pytest.raises(ValueError, match="patch is odd"):
        laplacian_swd(a, a, patch=6)
    with pytest.raises(ValueError, match="H, W, C"):
        laplacian_swd(a[0], a[0])
