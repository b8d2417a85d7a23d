"""Networks made ready for use give the numbers that they gave before."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gantool.nn.enlarger import Enlarger
from gantool.nn.inference import RowConv2d, prepare_for_inference
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet


def lived_in(network: nn.Module) -> nn.Module:
    """With statistics of batch norm as training leaves them."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return network


def picture(height: int = 21, width: int = 18) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "network",
    [
        SRResNet(4, 16, 3),
        SRResNet(2, 16, 2, norm="none", trunk_end="none"),
        SRResNet(4, 16, 2, slopes="layer", trunk_end="prelu", last="tanh"),
        MSRResNet(3, 16, 2),
        RRDBNet(2, 16, 2, 8),
    ],
    ids=["srresnet", "no norm", "leftthomas", "msrresnet", "rrdb"],
)
def test_the_same_pictures(network: Enlarger) -> None:
    lived_in(network).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ready = prepare_for_inference(network)
    with torch.inference_mode():
        found = ready(picture())
        expected = network.double().eval()(picture().double())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    assert (ready.factor, ready.reach, ready.grid) == (network.factor, network.reach, network.grid)
    network.float()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not [m for m in ready.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not ready.training


def test_srresnet_ends_in_rows_and_keeps_its_names() -> None:
    ready = prepare_for_inference(SRResNet(4, 16, 1, norm="none"))
    assert isinstance(ready.tail, RowConv2d)
    assert type(ready.head[0]) is nn.Conv2d
    assert set(ready.state_dict()) == set(SRResNet(4, 16, 1, norm="none").state_dict())


@pytest.mark.parametrize("bias", [True, False])
def test_rows_add_up_to_the_convolution_and_its_gradients(bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(5, 3, (9, 7), padding=(4, 3), bias=bias).double()
    assert RowConv2d.pays(plain)
    x = torch.randn(2, 5, 12, 11, dtype=torch.float64, requires_grad=True)
    rows = RowConv2d.like(plain)
    torch.testing.assert_close(rows(x), plain(x), rtol=1e-12, atol=1e-12)
    inputs = [x, *plain.parameters()]
    weight = torch.randn(2, 3, 12, 11, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((net(x) * weight).sum(), inputs) for net in (rows, plain))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "other",
    [
        nn.Conv2d(3, 16, 9, padding=4),
        nn.Conv2d(16, 3, 3, padding=1),
        nn.Conv2d(16, 3, 9, padding=4, stride=2),
        nn.Conv2d(16, 3, 9, padding=3),
        nn.Conv2d(16, 3, 9, padding=8, dilation=2),
        nn.Conv2d(16, 3, 9, padding=4, padding_mode="reflect"),
        nn.Conv2d(16, 3, 9, padding="same"),
        nn.Conv2d(3, 3, 9, padding=4, groups=3),
        nn.Conv2d(16, 3, 8, padding=4),
    ],
)
def test_other_convolutions_stay(other: nn.Conv2d) -> None:
    assert not RowConv2d.pays(other)
    assert type(prepare_for_inference(nn.Sequential(other))[0]) is nn.Conv2d
