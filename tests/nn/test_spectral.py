"""Spectral normalisation against recorded numbers of torch, and against numpy's singular values."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.nn.spectral import add_spectral_norm

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "spectral_norm.npz")
EXACT = {"rtol": 1e-6, "atol": 1e-8}  # the file is a float32 rounding of float64 computations

LAYERS = {
    "linear": lambda: nn.Linear(7, 5),
    "conv": lambda: nn.Conv2d(3, 6, 3, padding=1),
    "deconv": lambda: nn.ConvTranspose2d(4, 3, 4, 2, 1),
    "emb": lambda: nn.Embedding(6, 5),
}
KINDS = pytest.mark.parametrize("kind", LAYERS)


def given(name: str) -> torch.Tensor:
    return torch.tensor(GOLDEN[name]).double()


def normalised(kind: str) -> nn.Module:
    """The recorded layer, in training mode, before its first power iteration."""
    layer = LAYERS[kind]().double()
    add_spectral_norm(layer)
    state = {"parametrizations.weight.original": "weight", "bias": "bias"}
    state |= {"parametrizations.weight.0._u": "u0", "parametrizations.weight.0._v": "v0"}
    layer.load_state_dict({key: given(f"{kind}/{state[key]}") for key in layer.state_dict()})
    return layer


def matrix(layer: nn.Module) -> np.ndarray:
    """Its weight as it is used now, outputs by the rest; in evaluation mode."""
    weight = layer.weight.detach()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    return weight.flatten(1).numpy()


@KINDS
def test_two_steps_are_the_recorded_ones(kind):
    layer, recorded = normalised(kind), f"torch_parametrizations/{kind}"
    x = given(f"{kind}/x").long() if kind == "emb" else given(f"{kind}/x")
    assert list(layer.state_dict()) == GOLDEN[f"{recorded}/keys"].tolist()
    layer.eval()
    torch.testing.assert_close(layer.weight, given(f"{recorded}/eval_before_weight"), **EXACT)
    layer.train()
    original, following = layer.parametrizations.weight.original, layer.parametrizations.weight[0]
    for step in (1, 2):
        out = layer(x)
        torch.testing.assert_close(out, given(f"{recorded}/train_forward{step}_out"), **EXACT)
        torch.testing.assert_close(following._u, given(f"{recorded}/train_forward{step}_u"), **EXACT)
        torch.testing.assert_close(following._v, given(f"{recorded}/train_forward{step}_v"), **EXACT)
        layer.eval()
        sigma = original.norm() / layer.weight.norm()
        layer.train()
        torch.testing.assert_close(sigma, given(f"{recorded}/train_forward{step}_sigma"), **EXACT)
    (gradient,) = torch.autograd.grad(out.square().sum(), original)
    torch.testing.assert_close(gradient, given(f"{recorded}/grad_original_of_sum_sq_forward2"), **EXACT)
    layer.eval()
    torch.testing.assert_close(layer(x), given(f"{recorded}/eval_after_out"), **EXACT)


@KINDS
def test_the_largest_singular_value_becomes_1(kind):
    layer = normalised(kind)
    x = given(f"{kind}/x").long() if kind == "emb" else given(f"{kind}/x")
    layer.eval()
    assert abs(np.linalg.svd(matrix(layer), compute_uv=False)[0] - 1) > 0.1  # the recorded start is far off
    layer.train()
    for _ in range(50):
        layer(x)
    layer.eval()
    assert np.linalg.svd(matrix(layer), compute_uv=False)[0] == pytest.approx(1, abs=1e-3)


class Critic(nn.Module):
    """All kinds of layers, one of them deep inside."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4)),
            nn.Sequential(nn.ConvTranspose2d(4, 4, 2), nn.InstanceNorm2d(4, affine=True)),
        )
        self.head, self.classes = nn.Linear(4, 1), nn.Embedding(3, 4)

    def forward(self, x, y):
        features = self.body(x).sum((2, 3))
        return self.head(features).squeeze(1) + (features * self.classes(y)).sum(1)


@pytest.fixture
def inputs():
    return torch.randn(5, 3, 6, 6), torch.tensor([0, 1, 2, 0, 1])


def test_all_weights_but_those_of_norms_and_slopes_are_normalised():
    torch.manual_seed(0)  # for about one start in 200, 15 power iterations are not yet within 0.1
    critic = Critic()
    before = {name: p.numel() for name, p in critic.named_parameters()}
    add_spectral_norm(critic)
    after = {name: p.numel() for name, p in critic.named_parameters()}
    changed = {"body.0", "body.3.0", "head", "classes"}
    assert {n.removesuffix(".parametrizations.weight.original") for n in after.keys() - before.keys()} == changed
    assert before.keys() - after.keys() == {f"{name}.weight" for name in changed}
    assert sum(after.values()) == sum(before.values())
    critic.eval()
    for name in changed:  # some power iterations are made at once, so that even the first step is about right
        largest = np.linalg.svd(matrix(critic.get_submodule(name)), compute_uv=False)[0]
        assert largest == pytest.approx(1, abs=0.1)


def test_a_second_call_changes_nothing(inputs):
    critic = Critic()
    add_spectral_norm(critic)
    critic.eval()
    names, scores = list(critic.state_dict()), critic(*inputs)
    add_spectral_norm(critic)
    assert list(critic.state_dict()) == names
    assert torch.equal(critic(*inputs), scores)


def test_scores_do_not_hang_on_the_weights_size(inputs):
    """Twice the weights are the same function: that is what the discriminator can no longer cheat with."""
    critic = Critic().eval()
    add_spectral_norm(critic)
    scores = critic(*inputs)
    with torch.no_grad():
        for name, weight in critic.named_parameters():
            if name.endswith("original"):
                weight.mul_(2)
    torch.testing.assert_close(critic(*inputs), scores)


def test_evaluation_leaves_the_state_alone_and_training_does_not(inputs):
    critic = Critic()
    add_spectral_norm(critic)
    kept = copy.deepcopy(critic.state_dict())
    critic.eval()(*inputs)
    assert all(torch.equal(value, kept[name]) for name, value in critic.state_dict().items())
    critic.train()(*inputs)
    moved = {name for name, value in critic.state_dict().items() if not torch.equal(value, kept[name])}
    assert "head.parametrizations.weight.original" not in moved
    assert "body.0.parametrizations.weight.0._u" in moved


def test_a_copy_and_a_loaded_state_give_the_same_scores(inputs):
    critic = Critic()
    add_spectral_norm(critic)
    critic.train()(*inputs)
    copied, loaded = copy.deepcopy(critic), Critic()
    add_spectral_norm(loaded)
    loaded.load_state_dict(critic.state_dict())
    scores = critic.eval()(*inputs)
    assert torch.equal(copied.eval()(*inputs), scores)
    assert torch.equal(loaded.eval()(*inputs), scores)
    with torch.no_grad():
        critic.head.parametrizations.weight.original.add_(torch.randn(1, 4))
    assert not torch.equal(critic(*inputs), scores)
    assert torch.equal(copied(*inputs), scores)
