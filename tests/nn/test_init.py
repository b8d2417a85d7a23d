"""DCGAN's initialisation: moments of what is drawn, and what is left alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantool.nn.init import init_normal


@pytest.fixture
def network():
    layers = {
        "conv": nn.Conv2d(64, 64, 3),
        "deconv": nn.ConvTranspose2d(64, 64, 3),
        "linear": nn.Linear(200, 200),
        "norm1": nn.BatchNorm1d(40_000),
        "norm2": nn.BatchNorm2d(40_000),
        "plain": nn.BatchNorm2d(4, affine=False),
        "unbiased": nn.Conv2d(3, 3, 1, bias=False),
        "classes": nn.Embedding(10, 8),
    }
    torch.manual_seed(0)
    return nn.ModuleDict(layers)


def test_weights_and_gains_are_normal(network):
    init_normal(network)
    for name, mean in (("conv", 0), ("deconv", 0), ("linear", 0), ("norm1", 1), ("norm2", 1)):
        drawn = network[name].weight.detach().flatten()
        assert drawn.mean().item() == pytest.approx(mean, abs=5 * 0.02 / len(drawn) ** 0.5)
        assert drawn.std().item() == pytest.approx(0.02, rel=0.02)
        assert ((drawn - mean).abs() > 0.04).float().mean().item() == pytest.approx(0.0455, abs=0.006)  # of a normal


def test_biases_become_0_only_if_asked_but_those_of_norms_always(network):
    kept = {name: network[name].bias.clone() for name in ("conv", "deconv", "linear")}
    assert all(bias.abs().max() > 0 for bias in kept.values())
    for norm in ("norm1", "norm2"):
        nn.init.ones_(network[norm].bias)
    init_normal(network)
    assert all(torch.equal(network[name].bias, bias) for name, bias in kept.items())
    assert not network["norm1"].bias.any()
    assert not network["norm2"].bias.any()
    init_normal(network, zero_biases=True)
    assert not any(network[name].bias.any() for name in kept)


def test_embeddings_keep_their_own(network):
    before = network["classes"].weight.clone()
    init_normal(network, zero_biases=True)
    assert torch.equal(network["classes"].weight, before)
