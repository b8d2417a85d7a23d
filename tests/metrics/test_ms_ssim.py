"""Multi-scale SSIM against recorded numbers, torchmetrics and closed forms."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.errors import DataError
from gantool.metrics.ms_ssim import WEIGHTS, diversity_ms_ssim, levels_for, ms_ssim
from gantool.metrics.psnr_ssim import ssim, ssim_maps
from gantool.nn.vision import models  # noqa: F401  (torchvision must be importable for torchmetrics)

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "evaluators.npz")
A, B = GOLDEN["msssim/a_uint8"], GOLDEN["msssim/b_uint8"]


def noise(n: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def test_recorded_numbers() -> None:
    """96 pixels: the last of the five levels has 6, where the window shrinks."""
    found = ms_ssim(A, B)
    assert found.shape == (2,)
    assert found.dtype == np.float64
    assert found.mean() == pytest.approx(float(GOLDEN["msssim/msssim_pair_mean"]), abs=2e-6)
    assert found[0] == pytest.approx(float(GOLDEN["msssim/msssim_first_pair"]), abs=2e-6)
    np.testing.assert_array_equal(found, ms_ssim(A.astype(np.uint8), B.astype(np.uint8)))
    luminance, contrast = ssim_maps(A.astype(np.float64), B.astype(np.float64))
    np.testing.assert_allclose((luminance * contrast).mean((1, 2, 3)), GOLDEN["msssim/ssim_level0"], atol=3e-6)
    np.testing.assert_allclose(contrast.mean((1, 2, 3)), GOLDEN["msssim/cs_level0"], atol=3e-6)


def test_torchmetrics_where_conventions_agree() -> None:
    """At the last level theirs also counts positions over the edge: with pictures equal there, both give 1."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    rng = np.random.default_rng(1)
    a = rng.uniform(0, 255, (2, 192, 208, 3))
    change = rng.normal(0, 40, a.shape)
    blocks = change.reshape(2, 12, 16, 13, 16, 3)
    b = a + (blocks - blocks.mean((2, 4), keepdims=True)).reshape(a.shape)
    x, y = (torch.from_numpy(z).permute(0, 3, 1, 2) for z in (a, b))
    theirs = multiscale_structural_similarity_index_measure(x, y, data_range=255.0, reduction="none")
    np.testing.assert_allclose(ms_ssim(a, b), theirs.numpy(), rtol=1e-6)
    assert (ms_ssim(a, b) < 0.95).all()


def test_closed_forms() -> None:
    x = noise(2, 64)
    np.testing.assert_allclose(ms_ssim(x, x), 1, atol=1e-12)
    # Opposite structure: a negative mean is set to 0.
    np.testing.assert_array_equal(ms_ssim(x, 255 - x), 0)
    assert float(GOLDEN["msssim/msssim_unrelated"]) == 0
    # Constant pictures: contrast-structure is 1, luminance counts at the last level only.
    one, other = (np.full((1, 100, 80, 3), value, np.uint8) for value in (60, 90))
    c1 = 2.55**2
    luminance = (2 * 60 * 90 + c1) / (60**2 + 90**2 + c1)
    assert ms_ssim(one, other)[0] == pytest.approx(luminance ** WEIGHTS[4], abs=1e-9)
    assert ms_ssim(one, other, levels=1)[0] == pytest.approx(luminance, abs=1e-9)
    two = WEIGHTS[1] / (WEIGHTS[0] + WEIGHTS[1])
    assert ms_ssim(one, other, levels=2)[0] == pytest.approx(luminance**two, abs=1e-9)


def test_one_level_is_ssim() -> None:
    a, b = noise(1, 16), noise(1, 16, seed=1) // 2 + noise(1, 16) // 2
    assert ms_ssim(a, b)[0] == pytest.approx(ssim(a[0], b[0]), rel=1e-12)


@pytest.mark.parametrize(
    ("side", "levels"), [(11, 1), (21, 1), (22, 2), (28, 2), (32, 2), (43, 2), (44, 3), (63, 3), (64, 5), (1024, 5)]
)
def test_levels_by_size(side: int, levels: int) -> None:
    assert levels_for(side, side + 9) == levels_for(side + 9, side) == levels
    if side < 65:
        x, y = noise(1, side), noise(1, side) // 2 + noise(1, side, seed=1) // 2
        np.testing.assert_array_equal(ms_ssim(x, y), ms_ssim(x, y, levels=levels))


def test_odd_sizes_leave_out_the_last() -> None:
    x, y = noise(1, 45), noise(1, 45) // 2 + noise(1, 45, seed=1) // 2
    np.testing.assert_array_equal(x[:, :44, :44], x[:, :-1, :-1])
    _, contrast = ssim_maps(x.astype(float), y.astype(float))
    means = [z[:, :44, :44].reshape(1, 22, 2, 22, 2, 3).mean((2, 4)) for z in (x, y)]
    luminance, second = ssim_maps(*means)
    weight = WEIGHTS[0] / (WEIGHTS[0] + WEIGHTS[1])
    by_hand = contrast.mean() ** weight * (luminance * second).mean() ** (1 - weight)
    assert ms_ssim(x, y, levels=2)[0] == pytest.approx(by_hand, rel=1e-12)


def test_diversity() -> None:
    base = noise(1, 32)[0].astype(float)
    x = np.stack([base * (1 - t) + noise(1, 32, seed=9)[0] * t for t in (0, 0.1, 0.3, 0.6, 1)]).astype(np.uint8)
    every = {(i, j): ms_ssim(x[i : i + 1], x[j : j + 1])[0] for i, j in itertools.combinations(range(5), 2)}
    adjacent = diversity_ms_ssim(x)
    assert (adjacent.pairs, adjacent.levels) == (2, 2)
    assert adjacent.mean == pytest.approx((every[0, 1] + every[2, 3]) / 2, rel=1e-12)
    assert diversity_ms_ssim(list(x), pairs=99).mean == pytest.approx(np.mean(list(every.values())), rel=1e-12)
    some = diversity_ms_ssim(x, pairs=3, seed=5)
    assert some.pairs == 3
    assert some == diversity_ms_ssim(x, pairs=3, seed=5) != diversity_ms_ssim(x, pairs=3, seed=6)
    copies = diversity_ms_ssim(np.repeat(x[:1], 4, axis=0), pairs=6, levels=1)
    assert copies.mean == pytest.approx(1, abs=1e-12)
    assert copies.levels == 1


def test_what_cannot_be_compared() -> None:
    x = noise(2, 32)
    with pytest.raises(DataError, match="30x32 and 32x32"):
        ms_ssim(x[:, :, :30], x)
    with pytest.raises(DataError, match="11x11 pixels, the pictures have 32x10"):
        ms_ssim(x[:, :10], x[:, :10])
    with pytest.raises(DataError, match="10x32 pixels cannot be halved 4 times"):
        ms_ssim(x[:, :, :10], x[:, :, :10], levels=5)
    with pytest.raises(DataError, match="two or more"):
        diversity_ms_ssim(x[:1])
    with pytest.raises(DataError, match="different sizes"):
        diversity_ms_ssim([x[0], x[1][:-1]])
    smaller = x[:, :-1]
    with pytest.raises(DataError, match="32x32 and 32x31"):
        diversity_ms_ssim([*x, *smaller])  # (0, 1) and (2, 3) have one size each
    with pytest.raises(ValueError, match="levels must be"):
        ms_ssim(x, x, levels=6)
    with pytest.raises(ValueError, match="N, H, W, C"):
        ms_ssim(x, x[:1])
