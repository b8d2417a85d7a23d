"""Convolutions as products of matrices, against PyTorch's own."""

import copy

import pytest
import torch
from torch import nn

from gantool.nn.columns import MOST, ColumnConv2d, ColumnConvTranspose2d, DoublingConv2d, by_columns

LAYERS = [
    nn.Conv2d(3, 5, 4, 2, 1),
    nn.Conv2d(3, 5, 4, 1, 1, bias=False),
    nn.Conv2d(3, 5, (3, 1), (1, 2), (1, 0)),
    nn.ConvTranspose2d(3, 5, 4, 2, 1),
    nn.ConvTranspose2d(3, 5, 3, 2, 1, 1, bias=False),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("size", [(2, 6, 8), (1, 4, 4)])
def test_values_and_gradients(layer, size):
    plain = copy.deepcopy(layer).double()
    count, height, width = size
    x = torch.rand(count, 3, height, width, dtype=torch.float64)
    columns = copy.deepcopy(plain)
    by_columns(columns, x)
    # `by_columns` looks at layers in a network, the network itself included.
    assert type(columns) in (ColumnConv2d, ColumnConvTranspose2d)
    assert columns.state_dict().keys() == plain.state_dict().keys()
    results = []
    for network in (plain, columns):
        given = x.clone().requires_grad_()
        out = network(given)
        out.square().sum().backward()
        results.append([out.detach(), given.grad, *(p.grad for p in network.parameters())])
    for wanted, found in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_only_layers_with_small_maps_are_changed():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 4, 4), nn.Conv2d(4, 4, 1, groups=2))
    by_columns(network, torch.empty(1, 3, 64, 64))
    assert [type(layer) for layer in network] == [nn.Conv2d, ColumnConv2d, nn.Conv2d]
    x = torch.rand(2, 3, 64, 64)  # 512 places, more than MOST: the layer computes as others do
    assert MOST < 2 * 16 * 16
    plain = nn.Conv2d(4, 4, 4, 4)
    plain.load_state_dict(network[1].state_dict())
    inside = network[0](x)
    assert torch.equal(network[1](inside), plain(inside))


@pytest.mark.parametrize("size", [(5, 3), (24, 20)])  # with few places, and with more than MOST
@pytest.mark.parametrize("bias", [True, False])
def test_repeated_pixels_then_a_convolution(size, bias):
    ours = DoublingConv2d(3, 4, bias=bias).double()
    plain = nn.Conv2d(3, 4, 3, padding=1, bias=bias).double()
    with torch.no_grad():
        plain.weight.copy_(ours.weight.transpose(0, 1).flip(2, 3))
        if bias:
            plain.bias.copy_(ours.bias)
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    found, wanted = ours(x), nn.Sequential(nn.Upsample(scale_factor=2), plain)(x)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    found.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad.transpose(0, 1).flip(2, 3), rtol=1e-12, atol=1e-12)
