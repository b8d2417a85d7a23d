"""SRResNet, MSRResNet, RRDBNet: recorded numbers of BasicSR and leftthomas/SRGAN, counts, reach."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gantool.family import Enlarges
from gantool.nn.enlarger import Enlarger
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sr_networks.npz")
KEYS = json.loads((Path(__file__).parents[1] / "golden" / "sr_keys.json").read_text())
NETWORKS = {
    "msrresnet_x2": lambda: MSRResNet(2, 8, 2),
    "msrresnet_x3": lambda: MSRResNet(3, 8, 2),
    "msrresnet_x4": lambda: MSRResNet(4, 8, 2),
    "rrdbnet_x4": lambda: RRDBNet(4, 8, 2, 4),
    "rrdbnet_x2": lambda: RRDBNet(2, 8, 2, 4),
    "rrdbnet_x1": lambda: RRDBNet(1, 8, 2, 4),
}


def leftthomas(factor: int, channels: int = 64) -> SRResNet:
    return SRResNet(factor, channels, 5, slopes="layer", last="tanh")


def golden(key: str) -> Tensor:
    return torch.from_numpy(GOLDEN[key]).double()


def filled(network: Enlarger, case: str) -> Enlarger:
    """With the recorded weights, which are stored in the order of the state_dict."""
    keys = [key for key in GOLDEN.files if key.startswith(f"{case}/w/")]
    expected = network.state_dict()
    assert len(keys) == len(expected)
    network.load_state_dict({name: golden(key) for name, key in zip(expected, keys, strict=True)})
    return network.double()


@pytest.mark.parametrize(("precision", "near"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize("case", NETWORKS)
def test_recorded_values_and_gradients(case: str, precision: torch.dtype, near: float) -> None:
    network = filled(NETWORKS[case](), case).to(precision)
    names = {key.removeprefix(f"{case}/w/") for key in GOLDEN.files if key.startswith(f"{case}/w/")}
    assert network.state_dict().keys() == names
    x = golden("x16" if case == "rrdbnet_x1" else "x").to(precision).requires_grad_()
    out = network(x)
    weights = torch.linspace(-1, 1, out.numel(), dtype=precision).view_as(out)
    (gradient,) = torch.autograd.grad((out * weights).sum(), x)
    for found, name in ((out, "out"), (gradient, "grad_x")):
        expected = golden(f"{case}/{name}")
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=near * expected.abs().max().item())


@pytest.mark.parametrize(("precision", "near"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("factor", [2, 4])
def test_recorded_values_of_leftthomas(factor: int, mode: str, precision: torch.dtype, near: float) -> None:
    network = filled(leftthomas(factor, 4), f"srgan_g{factor}").to(precision).train(mode == "train")
    found = network(golden("x").to(precision)).double()
    torch.testing.assert_close(found, golden(f"srgan_g{factor}/{mode}/out"), rtol=0, atol=near)


@pytest.mark.parametrize(
    ("name", "network"),
    [
        *((f"MSRResNet_x{factor}", lambda factor=factor: MSRResNet(factor)) for factor in (2, 3, 4)),
        *((f"RRDBNet_x{factor}", lambda factor=factor: RRDBNet(factor)) for factor in (1, 2, 4)),
        ("RRDBNet_x4_6blocks", lambda: RRDBNet(4, blocks=6)),
        *((f"leftthomas_G_x{factor}", lambda factor=factor: leftthomas(factor)) for factor in (2, 4, 8)),
    ],
)
def test_published_counts_and_names(name: str, network) -> None:
    with torch.device("meta"):
        built = network()
    assert sum(p.numel() for p in built.parameters()) == KEYS["parameter_counts"][name]
    shapes = [[key, list(value.shape)] for key, value in built.state_dict().items()]
    listed = KEYS["state_dict"].get(name, [])
    if name.startswith("leftthomas"):
        assert [shape for _, shape in shapes] == [shape for _, shape in listed]
    else:
        assert shapes[: len(listed)] == listed  # of two of them only the first layer is recorded


def test_the_papers_network_layer_by_layer() -> None:
    """Ledig et al. 2017, figure 4: k9n64s1, 16 residual blocks of k3n64s1, k3n64s1, 2 x k3n256s1, k9n3s1."""
    block = 2 * (64 * 64 * 9 + 64) + 2 * 2 * 64 + 64  # with a slope for each channel
    expected = 3 * 64 * 81 + 64 + 64 + 16 * block + (64 * 64 * 9 + 64) + 2 * 64
    expected += 2 * (64 * 256 * 9 + 256 + 64) + 64 * 3 * 81 + 3
    network = SRResNet()
    assert sum(p.numel() for p in network.parameters()) == expected == 1_550_659
    kernels = [layer.kernel_size[0] for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert kernels == [9, *[3] * 32, 3, 3, 3, 9]


def test_a_slope_for_each_channel_or_one_for_the_layer() -> None:
    one = SRResNet(2, 6, 2, slopes="layer").eval()
    each = SRResNet(2, 6, 2).eval()
    state = one.state_dict()
    each.load_state_dict({k: state[k].expand_as(v).clone() for k, v in each.state_dict().items()})
    x = torch.rand(1, 3, 5, 7)
    torch.testing.assert_close(one(x), each(x))
    assert each.head[1].weight.shape == (6,)


def test_what_may_be_left_out_of_srresnet() -> None:
    def norms(network: nn.Module) -> int:
        return sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())

    assert norms(SRResNet(4, 4, 3)) == 7
    assert norms(SRResNet(4, 4, 3, norm="none")) == 0
    assert norms(SRResNet(4, 4, 3, trunk_end="none")) == 6
    early = SRResNet(4, 4, 3, trunk_end="prelu")
    assert norms(early) == 6
    assert isinstance(early.trunk[1], nn.PReLU)
    unbiased = {name for name, _ in SRResNet(4, 4, 1, bias=False).named_parameters() if name.endswith("bias")}
    assert "blocks.0.conv1.bias" not in unbiased
    assert {"head.0.bias", "tail.bias", "stages.0.0.bias", "blocks.0.norm1.bias"} <= unbiased
    assert "blocks.0.conv1.bias" in SRResNet(4, 4, 1, norm="none", bias=False).state_dict()  # nothing else shifts there


@pytest.mark.parametrize(
    "network",
    [
        *(SRResNet(factor, 6, 1) for factor in (2, 3, 4, 8)),
        *(MSRResNet(factor, 6, 1) for factor in (2, 3, 4)),
        *(RRDBNet(factor, 6, 1, 4) for factor in (1, 2, 4, 8)),
        RRDBNet(2, 6, 1, 4, unshuffle=1),
    ],
    ids=lambda network: f"{type(network).__name__}-{network.factor}-{network.options.get('unshuffle', 1)}",
)
def test_reach_is_how_far_gradients_come_from(network: Enlarger) -> None:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 1.0)  # positive: no path is cut by an activation, and none cancels another
    network = network.double().eval()
    reach, grid, factor = network.reach, network.grid, network.factor
    middle = -(-(reach + grid) // grid) * grid
    side = middle + grid + reach + 2
    farthest = 0
    for offset in range(grid * factor):
        x = torch.rand(1, 3, 1, -(-side // grid) * grid, dtype=torch.float64, requires_grad=True)
        out = network(x.expand(1, 3, grid, -1))
        (gradient,) = torch.autograd.grad(out[0, 0, 0, middle * factor + offset], x)
        seen = gradient[0].abs().sum((0, 1)).nonzero().flatten()
        own = middle + offset // factor
        farthest = max(farthest, own - int(seen.min()), int(seen.max()) - own)
    assert reach - (grid - 1) <= farthest <= reach  # within its own cell of the grid, a pixel is not where it could be


def test_published_reaches() -> None:
    assert SRResNet().reach == 40  # 4 + 16 * 2 + 1, then 1 and 2 halves, 4 quarters, rounded up stage by stage
    assert (RRDBNet(4).grid, RRDBNet(2).grid, RRDBNet(1).grid) == (1, 2, 4)


@pytest.mark.parametrize("network", [SRResNet(3, 4, 1), MSRResNet(4, 4, 1), RRDBNet(2, 4, 1, 2), RRDBNet(4, 4, 1, 2)])
def test_a_piece_with_its_surroundings_becomes_what_it_becomes_in_the_whole(network: Enlarger) -> None:
    network = network.double().eval()
    reach, f = -(-network.reach // network.grid) * network.grid, network.factor
    x = torch.rand(1, 3, 8, 2 * reach + 12, dtype=torch.float64)
    whole = network.enlarge(x)
    piece = network.enlarge(x[..., network.grid * 2 :])[..., reach * f :]
    torch.testing.assert_close(piece, whole[..., (network.grid * 2 + reach) * f :], rtol=0, atol=1e-12)


def test_sides_that_do_not_fold_evenly() -> None:
    for factor, shape in ((2, (5, 7)), (1, (1, 1)), (1, (6, 9))):
        network = RRDBNet(factor, 4, 1, 2)
        x = torch.rand(2, 3, *shape)
        found = network(x)
        assert found.shape == (2, 3, factor * shape[0], factor * shape[1])
        missing = [(0, -side % network.grid) for side in shape]
        continued = torch.from_numpy(np.pad(x.numpy(), [(0, 0), (0, 0), *missing], mode="edge"))
        assert continued.shape[2] % network.grid == continued.shape[3] % network.grid == 0
        torch.testing.assert_close(found, network(continued)[..., : found.shape[2], : found.shape[3]])


def test_pictures_in_minus_one_to_one() -> None:
    network = SRResNet(2, 4, 1).eval()
    assert isinstance(network, Enlarges)
    x = torch.rand(2, 3, 6, 5)
    torch.testing.assert_close(network.enlarge(2 * x - 1), 2 * network(x) - 1)
    network.tail.weight.data.zero_()
    network.tail.bias.data.fill_(1.5)
    torch.testing.assert_close(network.enlarge(x), torch.full((2, 3, 12, 10), 2.0))  # not clamped


def test_start_of_msrresnet_and_rrdbnet() -> None:
    """0.1 of He's deviation, sqrt(2 / fan-in): all of MSRResNet, the dense blocks of RRDBNet; PyTorch's elsewhere."""
    torch.manual_seed(0)
    msr, rrdb = MSRResNet(4, 64, 2), RRDBNet(4, 64, 1)
    for layer in (msr.conv_hr, msr.body[0].conv1, msr.upconv2, rrdb.body[0].rdb2.conv3):
        fan_in = layer.in_channels * 9
        assert layer.weight.std().item() == pytest.approx(0.1 * (2 / fan_in) ** 0.5, rel=0.02)
        assert not layer.bias.any()
    assert rrdb.conv_hr.weight.std().item() == pytest.approx((1 / (3 * 64 * 9)) ** 0.5, rel=0.02)
    assert rrdb.conv_hr.bias.any()


@pytest.mark.parametrize("kind", [SRResNet, MSRResNet, RRDBNet])
def test_factors_that_there_are_not(kind: type[Enlarger]) -> None:
    with pytest.raises(ValueError, match="factor"):
        kind(5)


def test_options_build_the_same_network_again() -> None:
    for network in (
        SRResNet(3, 4, 2, norm="none", slopes="layer", trunk_end="prelu", bias=False, last="tanh"),
        MSRResNet(3, 4, 2),
        RRDBNet(2, 4, 2, 3, unshuffle=1),
    ):
        again = type(network)(**network.options)
        assert again.options == network.options
        assert {k: v.shape for k, v in again.state_dict().items()} == {
            k: v.shape for k, v in network.state_dict().items()
        }
