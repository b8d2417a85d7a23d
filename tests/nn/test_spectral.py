"""Spectral normalisation against golden numbers of both its states, and against NumPy's singular values."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.nn.spectral import add_spectral_norm

GOLDEN = Path(__file__).parents[1] / "golden"
EXACT = {"rtol": 1e-5, "atol": 1e-7}
LAYERS = {
    "linear": lambda: nn.Linear(7, 5),
    "conv": lambda: nn.Conv2d(3, 6, 3, padding=1),
    "deconv": lambda: nn.ConvTranspose2d(4, 3, 4, 2, 1),
    "emb": lambda: nn.Embedding(6, 5),
}
P = "parametrizations.weight."


@pytest.fixture(scope="module")
def arrays():
    return np.load(GOLDEN / "spectral_norm.npz")


@pytest.fixture(params=LAYERS)
def kind(request):
    return request.param


@pytest.fixture
def layer(arrays, kind):
    """With the weight, bias and start of the golden file."""
    layer = LAYERS[kind]()
    add_spectral_norm(layer)
    assert list(layer.state_dict()) == arrays[f"torch_parametrizations/{kind}/keys"].tolist()
    state = {P + "original": "weight", P + "0._u": "u0", P + "0._v": "v0", "bias": "bias"}
    layer.load_state_dict({k: torch.tensor(arrays[f"{kind}/{state[k]}"]) for k in layer.state_dict()})
    return layer


def test_golden(arrays, kind, layer):
    expected = {k: torch.tensor(arrays[f"torch_parametrizations/{kind}/{k}"]) for k in KEPT}
    x = torch.tensor(arrays[f"{kind}/x"])
    x = x.long() if kind == "emb" else x
    original = layer.parametrizations.weight.original
    layer.eval()
    torch.testing.assert_close(layer.weight.detach(), expected["eval_before_weight"], **EXACT)
    layer.train()
    for i in (1, 2):
        out = layer(x)
        state = layer.state_dict()
        u, v = state[P + "0._u"], state[P + "0._v"]
        torch.testing.assert_close(u, expected[f"train_forward{i}_u"], **EXACT)
        torch.testing.assert_close(v, expected[f"train_forward{i}_v"], **EXACT)
        torch.testing.assert_close(out.detach(), expected[f"train_forward{i}_out"], **EXACT)
    out.square().sum().backward()
    torch.testing.assert_close(original.grad, expected["grad_original_of_sum_sq_forward2"], rtol=1e-4, atol=1e-5)
    layer.eval()
    torch.testing.assert_close(layer(x).detach(), expected["eval_after_out"], **EXACT)


KEPT = [f"train_forward{i}_{what}" for i in (1, 2) for what in ("u", "v", "out")]
KEPT += ["eval_before_weight", "grad_original_of_sum_sq_forward2", "eval_after_out"]


def matrix(layer, weight):
    """As Miyato et al. 2018 flatten it: one row for each channel (class) that comes out."""
    rows = weight.detach().numpy()
    rows = rows.swapaxes(0, 1) if isinstance(layer, nn.ConvTranspose2d) else rows
    return rows.reshape(len(rows), -1)


def test_in_the_long_run_the_largest_singular_value_is_1(arrays, kind, layer):
    for _ in range(300):
        weight = layer.weight  # one power iteration
    original = matrix(layer, layer.parametrizations.weight.original)
    values = np.linalg.svd(original, compute_uv=False)
    true = arrays[f"torch_parametrizations/{kind}/true_top_singular_value"]
    assert values[0] == pytest.approx(float(true), rel=1e-5)
    np.testing.assert_allclose(matrix(layer, weight), original / values[0], rtol=1e-4, atol=1e-6)


def net():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.LeakyReLU(0.1),
        nn.Sequential(nn.ConvTranspose2d(4, 5, 4, 2), nn.GroupNorm(1, 5)),
        nn.Flatten(), nn.Linear(5 * 14 * 14, 2),
    )  # fmt: skip


def test_whole_networks_except_for_norms():
    network = net()
    count = sum(p.numel() for p in network.parameters())
    add_spectral_norm(network)
    assert sum(p.numel() for p in network.parameters()) == count
    normed = {name for name, _ in network.named_parameters() if "parametrizations" in name}
    assert normed == {f"{layer}.{P}original" for layer in ("0", "3.0", "5")}
    before = list(network.state_dict())
    add_spectral_norm(network)  # again changes nothing
    assert list(network.state_dict()) == before
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_one_iteration_in_training_and_none_in_evaluation():
    layer = nn.Linear(6, 4)
    add_spectral_norm(layer)
    weight, v = (layer.state_dict()[P + name].numpy().copy() for name in ("original", "0._v"))
    x = torch.randn(3, 6)
    layer.eval()
    layer(x)
    np.testing.assert_array_equal(layer.state_dict()[P + "0._v"], v)
    layer.train()
    layer(x)
    left = weight @ v
    right = weight.T @ (left / np.linalg.norm(left))
    np.testing.assert_allclose(layer.state_dict()[P + "0._v"], right / np.linalg.norm(right), rtol=1e-5)


def test_copies_go_their_own_way():
    network = net()
    add_spectral_norm(network)
    other, x = copy.deepcopy(network), torch.randn(2, 3, 8, 8)
    assert torch.equal(network(x), other(x))
    with torch.no_grad():
        network[0].parametrizations.weight.original.mul_(-1)
    assert not torch.equal(network(x), other(x))
    assert not torch.equal(network[0].weight, other[0].weight)


def test_saved_and_loaded():
    network, other, x = net(), net(), torch.randn(2, 3, 8, 8)
    for one in (network, other):
        add_spectral_norm(one)
    network(x)
    other.load_state_dict(network.state_dict())
    assert torch.equal(network(x), other(x))
    for (name, a), b in zip(network.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
