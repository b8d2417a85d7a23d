"""Minibatch standard deviation against StyleGAN's own numbers and a loop in NumPy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.nn.minibatch_std import MinibatchStd

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("x", "name"), [("x8", "minibatch_stddev_group4"), ("x", "minibatch_stddev_batch2")])
def test_golden(x, name):
    arrays = np.load(GOLDEN / "stylegan_v1.npz")
    found = MinibatchStd(4)(torch.tensor(arrays[f"prim/{x}"], dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), arrays[f"prim/{name}"], rtol=1e-6, atol=1e-8)


def by_loops(x, size):
    """Group m of M is pictures m, m + M, m + 2M, ...: mean over features of the deviation among them."""
    count = len(x)
    groups = count // size
    channel = np.zeros((count, 1, *x.shape[2:]))
    for m in range(groups):
        members = range(m, count, groups)
        assert len(members) == size
        deviations = [
            np.sqrt(np.mean([(x[i][at] - np.mean([x[j][at] for j in members])) ** 2 for i in members]) + 1e-8)
            for at in np.ndindex(x.shape[1:])
        ]
        for i in members:
            channel[i] = np.mean(deviations)
    return np.concatenate([x, channel], 1)


@pytest.mark.parametrize(
    ("count", "group", "size"), [(1, 4, 1), (5, 4, 1), (6, 4, 3), (8, 4, 4), (8, 3, 2), (12, 4, 4), (3, 4, 3), (6, 8, 6)]
)
def test_against_loops(count, group, size):
    x = np.random.default_rng(count).normal(size=(count, 3, 2, 4)) * np.arange(1, count + 1).reshape(-1, 1, 1, 1)
    found = MinibatchStd(group)(torch.tensor(x)).numpy()
    assert found.shape == (count, 4, 2, 4)
    np.testing.assert_allclose(found, by_loops(x, size), rtol=1e-12)


def test_a_collapsed_batch_is_seen_and_its_gradient_finite():
    x = torch.randn(1, 3, 4, 4).expand(4, -1, -1, -1).clone().requires_grad_()
    found = MinibatchStd()(x)
    assert found[:, 3].max().item() == pytest.approx(1e-4, rel=1e-3)
    found[:, 3].sum().backward()
    assert x.grad.isfinite().all()
    varied = torch.randn(4, 3, 4, 4)
    assert MinibatchStd()(varied)[:, 3].min() > 0.5
