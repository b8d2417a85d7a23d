"""`bicubic_window` against PyTorch's own bicubic with aligned corners, whole and by windows."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gantool.nn.resize import axis_taps, bicubic_window, resize_array, source_window

SIZES = [  # before and after: up, down, mixed, odd, equal, one row, and longer than one block of 48
    ((7, 9), (11, 14)),
    ((11, 14), (7, 9)),
    ((5, 20), (13, 10)),
    ((6, 6), (6, 6)),
    ((4, 5), (1, 1)),
    ((1, 3), (4, 7)),
    ((2, 2), (3, 3)),
    ((29, 37), (101, 130)),
    ((101, 97), (103, 99)),
]


def torch_bicubic(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(x, size=size, mode="bicubic", align_corners=True)


def whole(size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    return (0, size[0]), (0, size[1])


@pytest.mark.parametrize(("full", "target"), SIZES)
def test_the_whole_is_torchs(full, target) -> None:
    x = torch.randn(2, 3, *full, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mine = bicubic_window(x, full, whole(full), target, whole(target))
    assert mine.shape == (2, 3, *target)
    assert (mine - torch_bicubic(x, target)).abs().max() < 1e-13


@pytest.mark.parametrize(("full", "target"), SIZES)
def test_windows_are_cut_from_the_whole_and_need_no_more_than_they_say(full, target) -> None:
    rng = random.Random(0)
    x = torch.randn(1, 2, *full, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = torch_bicubic(x, target)
    smaller = 0
    for trial in range(40):
        spans = []
        for length in target:
            start = rng.randrange(length)
            # Windows at both ends, as well as anywhere.
            start, stop = [(0, start + 1), (start, length), (start, rng.randint(start + 1, length))][trial % 3]
            spans.append((start, stop))
        out = (spans[0], spans[1])
        src = tuple(source_window(n, t, span) for n, t, span in zip(full, target, out, strict=True))
        (y0, y1), (x0, x1) = src
        assert 0 <= y0 < y1 <= full[0]
        assert 0 <= x0 < x1 <= full[1]
        smaller += (y1 - y0) * (x1 - x0) < full[0] * full[1]
        mine = bicubic_window(x[:, :, y0:y1, x0:x1], full, src, target, out)
        cut = expected[:, :, out[0][0] : out[0][1], out[1][0] : out[1][1]]
        assert mine.shape == cut.shape
        assert (mine - cut).abs().max() < 1e-13
    if min(full) > 6:
        assert smaller > 10


def test_a_larger_source_window_than_needed_changes_nothing() -> None:
    x = torch.randn(1, 2, 30, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    expected = torch_bicubic(x, (61, 75))[:, :, 20:40, 10:70]
    mine = bicubic_window(x[:, :, 3:29, 1:], (30, 40), ((3, 29), (1, 40)), (61, 75), ((20, 40), (10, 70)))
    assert (mine - expected).abs().max() < 1e-13


@pytest.mark.parametrize(("full", "target"), [((7, 9), (11, 14)), ((11, 14), (7, 9)), ((29, 37), (101, 60))])
def test_gradients_are_torchs(full, target) -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(2, 3, *full, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(2, 3, *target, dtype=torch.float64, generator=generator)
    (expected,) = torch.autograd.grad((torch_bicubic(x, target) * weight).sum(), x)
    (mine,) = torch.autograd.grad((bicubic_window(x, full, whole(full), target, whole(target)) * weight).sum(), x)
    assert (mine - expected).abs().max() < 1e-12
    # Of a window: the same as of the whole with nothing asked for outside.
    out = ((1, target[0] - 2), (2, target[1] - 1))
    outside = torch.zeros_like(weight)
    outside[:, :, 1 : target[0] - 2, 2 : target[1] - 1] = 1
    (expected,) = torch.autograd.grad((torch_bicubic(x, target) * weight * outside).sum(), x)
    src = tuple(source_window(n, t, span) for n, t, span in zip(full, target, out, strict=True))
    (y0, y1), (x0, x1) = src
    cut = bicubic_window(x[:, :, y0:y1, x0:x1], full, src, target, out)
    loss = (cut * weight[:, :, out[0][0] : out[0][1], out[1][0] : out[1][1]]).sum()
    (mine,) = torch.autograd.grad(loss, x)
    assert (mine - expected).abs().max() < 1e-12


def test_channels_last_memory_and_float32_give_the_same() -> None:
    x = torch.randn(1, 8, 12, 15, generator=torch.Generator().manual_seed(5))
    mine = bicubic_window(
        x.contiguous(memory_format=torch.channels_last), (12, 15), whole((12, 15)), (20, 26), whole((20, 26))
    )
    assert mine.dtype == torch.float32
    assert (mine - torch_bicubic(x, (20, 26))).abs().max() < 1e-5


# ---- the single-image resize -------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.3, 0.5, 0.83, 1.4, 2.0])
def test_weights_sum_to_one_and_constants_stay(factor: float) -> None:
    length = 23
    target = int(np.ceil(length * factor))
    weights, index = axis_taps(length, target, factor, antialias=factor < 1)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
    assert index.min() >= 0
    assert index.max() < length
    flat = resize_array(np.full((length, 9, 3), 77.0), size=(target, 5))
    np.testing.assert_allclose(flat, 77, atol=1e-10)


def test_straight_lines_stay_straight_inside() -> None:
    """Keys' kernel reproduces linear functions: sample i of a doubled axis lies at (i + 0.5) / 2 - 0.5."""
    ramp = np.arange(20.0)[:, None] * np.ones((1, 4))
    doubled = resize_array(ramp, size=(40, 4))
    expected = (np.arange(40) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(doubled[4:-4, 0], expected[4:-4], atol=1e-12)
    halved = resize_array(np.arange(40.0)[:, None] * np.ones((1, 4)), size=(20, 4))
    np.testing.assert_allclose(halved[2:-2, 0], (np.arange(20) * 2 + 0.5)[2:-2], atol=1e-12)


def test_a_factor_of_one_is_the_identity() -> None:
    image = np.random.default_rng(0).uniform(0, 255, (6, 7, 3))
    assert resize_array(image, scale=1.0) is image
    np.testing.assert_array_equal(resize_array(image, size=(6, 7)), image)
