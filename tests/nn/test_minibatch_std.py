"""The batch's deviation as a channel against StyleGAN's recorded numbers and a loop in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.nn.minibatch_std import MinibatchStd

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "minibatch_std.npz")


@pytest.mark.parametrize(("given", "recorded"), [("x8", "group4"), ("x", "batch2")])
def test_values_of_stylegans_code(given, recorded):
    x = torch.tensor(GOLDEN[f"prim/{given}"]).double()
    expected = torch.tensor(GOLDEN[f"prim/minibatch_stddev_{recorded}"]).double()
    torch.testing.assert_close(MinibatchStd(group=4)(x), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("count", "group", "size"),
    [(12, 4, 4), (6, 4, 3), (10, 4, 2), (7, 4, 1), (5, 8, 5), (3, 4, 3), (8, 1, 1), (1, 4, 1), (9, 6, 3)],
)
def test_any_batch_against_a_loop(count, group, size):
    """The size of a group is the largest divisor of the batch that is not above `group`; a group is strided."""
    x = np.random.default_rng(count).normal(size=(count, 2, 3, 5))
    strides = count // size
    found = MinibatchStd(group=group)(torch.tensor(x)).numpy()
    assert found.shape == (count, 3, 3, 5)
    np.testing.assert_array_equal(found[:, :2], x)
    for i in range(count):
        members = [x[j] for j in range(count) if j % strides == i % strides]
        assert len(members) == size
        deviation = np.sqrt(np.mean([(m - np.mean(members, 0)) ** 2 for m in members], 0) + 1e-8)
        np.testing.assert_allclose(found[i, 2], deviation.mean(), rtol=1e-12)


def test_a_collapsed_batch_shows():
    """Equal pictures: nothing but the root of the small number that keeps the slope finite."""
    alike = torch.randn(1, 3, 4, 4).expand(8, -1, -1, -1).clone().requires_grad_()
    channel = MinibatchStd()(alike)[:, 3]
    torch.testing.assert_close(channel, torch.full((8, 4, 4), 1e-4))
    (gradient,) = torch.autograd.grad(channel.sum(), alike)
    assert gradient.isfinite().all()


def test_both_derivatives_are_right():
    """The second is what gradient penalties take."""
    x = torch.randn(4, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(MinibatchStd(group=2), x)
    assert torch.autograd.gradgradcheck(MinibatchStd(group=2), x)
