"""The Laplacian pyramid against SciPy's correlation, Pillow, exact fractions, and closed forms."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from gantool.nn.laplacian import FILTERS, Filter, collapse, expand, halves, laplacian_pyramid, reduce

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "evaluators.npz")
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
ANY_SIZE = [f for f in FILTERS if f != "binomial"]
SMALL = [(h, w) for h in (2, 3, 4, 5, 8, 9) for w in (2, 3, 6, 7)]


def pictures(*size: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """In [-1, 1]."""
    return (torch.rand(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1).to(
        dtype
    )


def levels_of_grey(*size: int, dtype: torch.dtype) -> Tensor:
    return torch.randint(0, 256, (4, 3, *size), generator=torch.Generator().manual_seed(1)).to(dtype)


def assert_close(mine: Tensor, expected: object, tolerance: float = 1e-14) -> None:
    np.testing.assert_allclose(mine.numpy(), np.asarray(expected), rtol=0, atol=tolerance)


# --- each filter is what it says -------------------------------------------------------------------------------------


def smoothed(x: np.ndarray) -> np.ndarray:
    for axis in (2, 3):
        x = ndimage.correlate1d(x, BINOMIAL, axis, mode="mirror")
    return x


@pytest.mark.parametrize("size", SMALL)
def test_binomial_is_scipys_correlation_and_every_other_pixel(size: tuple[int, int]) -> None:
    x = pictures(*size)
    smaller = reduce(x, halves(*size, 1)[0], "binomial")
    assert_close(smaller, smoothed(x.numpy())[:, :, ::2, ::2])
    spread = np.zeros(x.shape)
    spread[:, :, ::2, ::2] = 4 * smaller.numpy()
    assert_close(expand(smaller, size, "binomial"), smoothed(spread))


def test_recorded_pyramids_of_the_sliced_wasserstein_code_bit_for_bit() -> None:
    for name in ("real", "fake"):
        pyramid = laplacian_pyramid(torch.from_numpy(GOLDEN[f"swd/{name}_uint8"]), [(16, 16)], "binomial")
        for level, mine in enumerate(pyramid):
            assert_close(mine, GOLDEN[f"swd/{name}_pyramid{level}"], 0)
    assert_close(collapse(pyramid, "binomial"), GOLDEN["swd/reconstruction"], 0)
    # The same code makes its smaller pictures of 2x2 blocks, and rounds them.
    blocks = reduce(torch.from_numpy(GOLDEN["swd/real_uint8"]), (16, 16), "haar")
    assert_close(blocks, GOLDEN["swd/downscale_minibatch_lod1"], 0.5)


def by_exact_overlaps(row: list[int], target: int) -> list[float]:
    """Area averages from the definition, in rational numbers."""
    factor = Fraction(len(row), target)
    averages = []
    for i in range(target):
        start, stop = i * factor, (i + 1) * factor
        parts = [max(Fraction(0), min(stop, Fraction(k + 1)) - max(start, Fraction(k))) for k in range(len(row))]
        averages.append(float(sum(part * level for part, level in zip(parts, row, strict=True)) / factor))
    return averages


@pytest.mark.parametrize(("n", "target"), [(14, 8), (28, 8), (7, 4), (5, 5), (5, 4), (9, 1), (97, 13), (101, 50)])
def test_area_down_is_the_mean_by_exact_overlaps_on_either_axis(n: int, target: int) -> None:
    row = np.random.default_rng(n).integers(0, 256, n).tolist()
    expected = by_exact_overlaps(row, target)
    across = torch.tensor(row, dtype=torch.float64).expand(1, 1, 3, n)
    for filter in ("area", "haar"):
        assert_close(reduce(across, (3, target), filter)[0, 0, 0], expected, 1e-12)
        assert_close(reduce(across.mT, (target, 3), filter)[0, 0, :, 2], expected, 1e-12)
        # Both axes at once: a product of two rows gives the product of their averages.
        product = across[0, 0, :1].mT @ across[0, 0, :1]
        assert_close(reduce(product[None, None], (target, target), filter)[0, 0], np.outer(expected, expected), 1e-9)


def test_area_down_at_whole_factors_is_torchs_adaptive_pooling() -> None:
    x = pictures(12, 30)
    for size in ((6, 15), (4, 30), (1, 1), (12, 6)):
        assert_close(reduce(x, size, "area"), torch.nn.functional.adaptive_avg_pool2d(x, size))


def test_area_up_is_linear_from_corner_to_corner() -> None:
    for m, n in ((2, 4), (4, 8), (8, 14), (5, 9), (3, 3)):
        ramp = torch.arange(m, dtype=torch.float64)
        expected = np.linspace(0, m - 1, n)
        larger = expand((ramp[:, None] + 10 * ramp)[None, None], (n, n), "area")
        assert_close(larger[0, 0], expected[:, None] + 10 * expected, 1e-12)
    # One pixel is repeated, on its axis.
    column = pictures(3, 1)
    assert_close(expand(column, (3, 5), "area"), column.expand(-1, -1, 3, 5))


def test_the_differences_of_a_ramp_in_closed_form() -> None:
    """Pairs of 0, 1, ..., 7 have the means 0.5, 2.5, 4.5, 6.5; linear between them, and less from corner to corner."""
    ramp = torch.arange(8, dtype=torch.float64).expand(1, 1, 8, 8)
    area, smallest = laplacian_pyramid(ramp, [(4, 4)], "area")
    assert_close(smallest[0, 0, 0], [0.5, 2.5, 4.5, 6.5])
    assert_close(area[0, 0, 0], np.arange(8) - np.linspace(0.5, 6.5, 8))
    haar, _ = laplacian_pyramid(ramp, [(4, 4)], "haar")
    assert_close(haar[0, 0, 0], [-0.5, 0.5] * 4)
    # A symmetric kernel keeps a ramp, away from the border.
    binomial, _ = laplacian_pyramid(torch.arange(20.0).expand(1, 1, 20, 20), [(10, 10)], "binomial")
    assert_close(binomial[0, 0, :, 4:-4], np.zeros((20, 12)))


def test_haar_up_repeats_and_its_differences_have_no_mean() -> None:
    x = pictures(12, 6)
    difference, smaller = laplacian_pyramid(x, [(4, 3)], "haar")
    assert_close(expand(smaller, (12, 6), "haar"), np.kron(smaller.numpy(), np.ones((3, 2))))
    assert_close(reduce(difference, (4, 3), "haar"), np.zeros(smaller.shape))
    # At other factors a pixel takes the sample at its centre.
    row = torch.arange(3.0).expand(1, 1, 1, 3)
    assert expand(row, (1, 5), "haar").flatten().tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize(
    ("n", "target"), [((12, 20), (6, 10)), ((14, 9), (8, 5)), ((4, 5), (8, 10)), ((1, 7), (3, 13))]
)
def test_bicubic_is_pillows(n: tuple[int, int], target: tuple[int, int]) -> None:
    x = pictures(*n, dtype=torch.float32)
    mine = (reduce if target < n else expand)(x, target, "bicubic")
    pillow = Image.fromarray(x[0, 0].numpy()).resize(target[::-1], Image.Resampling.BICUBIC)
    assert_close(mine[0, 0], pillow, 1e-6)


# --- there and back --------------------------------------------------------------------------------------------------

SHAPES = [(64, 64), (97, 131), (33, 5), (1, 17), (2, 1), (1, 1), (240, 50)]


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("filter", FILTERS)
def test_a_pyramid_collapses_to_its_picture(filter: Filter, size: tuple[int, int]) -> None:
    x = pictures(*size, dtype=torch.float32)
    sizes = halves(*size, 6)
    pyramid = laplacian_pyramid(x, sizes, filter)
    assert [tuple(level.shape[2:]) for level in pyramid] == [size, *sizes]
    assert (collapse(pyramid, filter) - x).abs().max() < 1e-6
    assert laplacian_pyramid(x, [], filter) == [x]


@pytest.mark.parametrize("filter", ANY_SIZE)
def test_levels_of_any_sizes(filter: Filter) -> None:
    x = pictures(41, 28, dtype=torch.float32)
    pyramid = laplacian_pyramid(x, [(40, 14), (14, 14), (3, 8), (1, 8), (1, 1)], filter)
    assert (collapse(pyramid, filter) - x).abs().max() < 1e-6
    assert pyramid[-1].shape == (2, 3, 1, 1)


@pytest.mark.parametrize(
    ("filter", "dtype", "size", "deepest"),
    [
        ("binomial", torch.float64, (97, 131), 6),
        ("binomial", torch.float32, (97, 131), 2),
        ("haar", torch.float64, (256, 512), 8),
        ("haar", torch.float32, (256, 512), 8),
        ("area", torch.float64, (256, 512), 8),
        ("area", torch.float32, (256, 512), 8),
    ],
)
def test_whole_levels_come_back_bit_for_bit(
    filter: Filter, dtype: torch.dtype, size: tuple[int, int], deepest: int
) -> None:
    x = levels_of_grey(*size, dtype=dtype)
    for levels in range(1, deepest + 1):
        assert torch.equal(collapse(laplacian_pyramid(x, halves(*size, levels), filter), filter), x)


@pytest.mark.parametrize("filter", FILTERS)
def test_a_constant_picture_has_no_differences(filter: Filter) -> None:
    pyramid = laplacian_pyramid(torch.full((1, 3, 45, 6), 0.7, dtype=torch.float64), halves(45, 6, 5), filter)
    for difference in pyramid[:-1]:
        assert difference.abs().max() < 1e-14
    assert (pyramid[-1] - 0.7).abs().max() < 1e-14


# --- inside a training step ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filter", FILTERS)
def test_gradients_flow_both_ways(filter: Filter) -> None:
    small, large = (pictures(*size)[:1, :1].requires_grad_() for size in ((3, 2), (5, 4)))
    assert torch.autograd.gradcheck(lambda x: expand(x, (5, 4), filter), small)
    assert torch.autograd.gradcheck(lambda x: reduce(x, (3, 2), filter), large)


@pytest.mark.parametrize("filter", FILTERS)
def test_a_picture_does_not_depend_on_its_neighbours_nor_on_autocast(filter: Filter) -> None:
    x = pictures(21, 13, dtype=torch.float32)
    alone = laplacian_pyramid(x[:1], halves(21, 13, 3), filter)
    with torch.autocast("cpu", torch.bfloat16):
        together = laplacian_pyramid(x, halves(21, 13, 3), filter)
    for a, b in zip(alone, together, strict=True):
        assert b.dtype == torch.float32
        assert torch.equal(a, b[:1])


def test_what_was_first_used_in_inference_can_be_trained_through() -> None:
    with torch.inference_mode():
        reduce(pictures(23, 19), (7, 11), "area")
    x = pictures(23, 19).requires_grad_()
    reduce(x, (7, 11), "area").sum().backward()
    assert x.grad is not None
    assert_close(x.grad, np.full(x.shape, 7 * 11 / (23 * 19)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("filter", FILTERS)
def test_half_precision(filter: Filter, dtype: torch.dtype) -> None:
    x = pictures(19, 12, dtype=dtype)
    exact = laplacian_pyramid(x.double(), halves(19, 12, 2), filter)
    for a, b in zip(laplacian_pyramid(x, halves(19, 12, 2), filter), exact, strict=True):
        assert a.dtype == dtype
        assert (a.double() - b).abs().max() < 8 * torch.finfo(dtype).eps


# --- what cannot be --------------------------------------------------------------------------------------------------


def test_sizes() -> None:
    assert halves(97, 64, 3) == [(49, 32), (25, 16), (13, 8)]
    assert halves(5, 1, 4) == [(ceil(5 / 2**k), 1) for k in (1, 2, 3, 4)]
    assert halves(5, 5, 0) == []


def test_sizes_that_a_filter_does_not_have() -> None:
    x = pictures(9, 8)
    for size in ((4, 4), (5, 5), (5, 8), (3, 2)):
        with pytest.raises(ValueError, match=r"halves: .* to \(5, 4\)"):
            reduce(x, size, "binomial")
    for size in ((18, 14), (16, 16), (27, 24), (9, 8)):
        with pytest.raises(ValueError, match="doubles"):
            expand(x, size, "binomial")
    for filter in FILTERS:
        with pytest.raises(ValueError, match="cannot be reduced"):
            reduce(x, (10, 4), filter)
        with pytest.raises(ValueError, match="cannot be reduced"):
            reduce(x, (0, 4), filter)
        with pytest.raises(ValueError, match="cannot be expanded"):
            expand(x, (18, 7), filter)
    with pytest.raises(ValueError, match="unknown filter 'lanczos'"):
        reduce(x, (5, 4), "lanczos")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown filter 'lanczos'"):
        expand(x, (18, 16), "lanczos")  # type: ignore[arg-type]
