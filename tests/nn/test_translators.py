"""The networks of pix2pix against values, gradients, statistics, names and counts of its PyTorch port."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.data.translator_layouts import port_modules
from gantool.nn.columns import DoublingConv2d
from gantool.nn.patchgan import PatchGAN
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.sides import PATCHES, least_side
from gantool.nn.translator import drop, mirrored, seeded
from gantool.nn.unet import UNet

FOLDER = Path(__file__).parents[1] / "golden"
FORWARD, SEVEN = (np.load(FOLDER / f"pix2pix_{name}.npz") for name in ("forward", "unet7"))
KEYS = json.loads((FOLDER / "pix2pix_keys.json").read_text())
EXACT = {"rtol": 1e-6, "atol": 1e-7}  # the files are float32 roundings of float64 computations


def golden(name, file=FORWARD):
    return torch.from_numpy(file[name]).double()


def filled(network, prefix, file=FORWARD, dropout=False):
    """In float64 with the weights that were recorded under `prefix`."""
    network, own = network.double(), network.state_dict()
    for ours, theirs in port_modules(network, dropout=dropout).items():
        for key in [key for key in own if key.startswith(f"{ours}.")]:
            name = f"{prefix}/w/{theirs}{key.removeprefix(ours)}"
            own[key] = golden(name, file)
    assert len([name for name in file.files if name.startswith(f"{prefix}/w/")]) == len(own)
    network.load_state_dict(own)
    return network


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6 * float(wanted.detach().abs().max()))


NETWORKS = {
    "unet5": lambda norm: UNet(layers=5, width=4, norm=norm),
    "resnet2": lambda norm: ResNetTranslator(blocks=2, width=4, norm=norm),
}


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("name", NETWORKS)
def test_generators(name, norm, mode):
    network = filled(NETWORKS[name](norm), f"{name}_{norm}").train(mode == "train")
    x = golden("x32").requires_grad_()
    out = network(x)
    close(out, golden(f"{name}_{norm}/{mode}/out"))
    (out * torch.linspace(0, 1, out.numel(), dtype=out.dtype).view(out.shape)).sum().backward()
    close(x.grad, golden(f"{name}_{norm}/{mode}/grad_x"))
    after = f"{name}_{norm}/{mode}/after/"
    recorded = [key for key in FORWARD.files if key.startswith(after)]
    assert bool(recorded) == (norm == "batch" and mode == "train")
    ours = {theirs: own for own, theirs in port_modules(network, dropout=False).items()}
    for key in recorded:
        module, _, statistic = key.removeprefix(after).rpartition(".")
        close(network.state_dict()[f"{ours[module]}.{statistic}"], golden(key))


def test_dropout_of_the_residual_network():
    network = filled(NETWORKS["resnet2"]("instance"), "resnet2_instance")
    masks = [golden(f"resnet2_instance/mask{i}") for i in range(2)]
    assert network.noise_shapes(32, 32) == [tuple(mask.shape[1:]) for mask in masks]
    close(network(golden("x32"), masks), golden("resnet2_instance/train_dropout/out"))
    names = set(FORWARD["resnet2_instance/train_dropout/keys"].tolist())
    assert {name.rpartition(".")[0] for name in names} <= set(port_modules(network, dropout=True).values())


def test_the_unet_of_seven_layers():
    network = filled(UNet(layers=7, width=4), "unet7_batch", SEVEN)
    x = golden("x128", SEVEN)
    masks = [golden(f"unet7_batch/mask{i}", SEVEN) for i in range(2)]
    assert network.noise_shapes(128, 128) == [tuple(mask.shape[1:]) for mask in masks]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    close(network(x, masks), golden("unet7_batch/train_dropout/out", SEVEN))
    network.load_state_dict(state)
    close(network(x), golden("unet7_batch/train/out", SEVEN))
    network.load_state_dict(state)
    close(network.eval()(x), golden("unet7_batch/eval/out", SEVEN))
    instance = filled(UNet(layers=7, width=2, norm="instance"), "unet7_instance", SEVEN)
    close(instance(x), golden("unet7_instance/train/out", SEVEN))


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("name", "patch"), [("nlayer1", 16), ("nlayer3", 70), ("pixel", 1)])
def test_discriminators(name, patch, norm):
    network = filled(PatchGAN(6, patch, 4, norm=norm), f"{name}_{norm}")
    pair = torch.cat([golden("x32"), golden("y32")], 1).requires_grad_()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    out = network(pair)
    close(out, golden(f"{name}_{norm}/train/out"))
    out.square().sum().backward()
    close(pair.grad, golden(f"{name}_{norm}/train/grad_x"))
    network.load_state_dict(state)
    close(network.eval()(pair), golden(f"{name}_{norm}/eval/out"))


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_counts_and_names_at_full_width(norm):
    counts = KEYS["parameter_counts"]
    with torch.device("meta"):
        generators = {
            "unet_128": UNet(layers=7, norm=norm),
            "unet_256": UNet(layers=8, norm=norm),
            "resnet_6blocks": ResNetTranslator(blocks=6, norm=norm),
            "resnet_9blocks": ResNetTranslator(blocks=9, norm=norm),
        }
        judges = {"basic": 70, "n_layers1": 16, "n_layers2": 34, "n_layers4": 142, "n_layers5": 286, "pixel": 1}
        networks = {f"D_{name}": PatchGAN(6, patch, norm=norm) for name, patch in judges.items()}
    for name, network in generators.items():
        assert parameters(network) == counts[f"{name}_{norm}"]
    for name, network in networks.items():
        assert parameters(network) == counts[f"{name}_{norm}_in6"]
    everything = generators | networks
    compared = 0
    for name, recorded in KEYS["state_dict"].items():
        plain = name.removesuffix("_dropout")
        if not plain.endswith(f"_{norm}") or plain.removesuffix(f"_{norm}") not in everything:
            continue
        network = everything[plain.removesuffix(f"_{norm}")]
        own = network.state_dict()
        modules = port_modules(network, dropout=name.endswith("_dropout"))
        found = {
            f"{theirs}.{key.rpartition('.')[2]}": list(own[key].shape)
            for ours, theirs in modules.items()
            for key in own
            if key.rpartition(".")[0] == ours
        }
        assert found == {key: shape for key, shape in recorded}
        compared += 1
    assert compared >= 4


@pytest.mark.parametrize("patch", PATCHES)
def test_a_score_sees_its_patch_and_no_more(patch):
    network = PatchGAN(1, patch, 2, norm="none").double()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
    side = patch + 2 * least_side(patch)
    x = torch.zeros(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    out = network(x)
    place = out.shape[-1] // 2
    out[0, 0, place, place].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == patch
    assert network(torch.zeros(1, 1, least_side(patch), least_side(patch), dtype=torch.float64)).numel() >= 1


@pytest.mark.parametrize("make", [lambda: UNet(layers=4, width=4), lambda: ResNetTranslator(blocks=1, width=4)])
@pytest.mark.parametrize("size", [(16, 16), (21, 37), (5, 3)])
def test_any_size_goes_in_and_comes_out(make, size):
    network = make().eval()
    x = torch.rand(2, 3, *size)
    out = network(x)
    assert out.shape == (2, 3, *size)
    grown = network(mirrored(x, network.multiple, network.least))
    assert torch.equal(out, grown[..., : size[0], : size[1]])


def test_mirrored_as_numpy_pads():
    x = torch.rand(1, 1, 3, 5)
    wanted = np.pad(x[0, 0].numpy(), ((0, 13), (0, 11)), "symmetric")
    assert np.array_equal(mirrored(x, 16)[0, 0].numpy(), wanted)


@pytest.mark.parametrize("make", [lambda: UNet(layers=6, width=4), lambda: ResNetTranslator(blocks=2, width=4)])
def test_each_picture_is_translated_as_if_alone(make):
    torch.manual_seed(0)
    network = make().double()
    x = torch.rand(3, 3, 64, 64, dtype=torch.float64) * 2 - 1
    for _ in range(3):
        network(x)  # statistics
    paper = network.tested("paper")
    together = paper.translate(x, [4, 5, 6])
    for row, seed in enumerate([4, 5, 6]):
        noise = seeded(network.noise_shapes(64, 64), [seed], x)
        alone = network.train()(x[row : row + 1], noise)  # batch norm with a batch of one: what the authors run
        close(together[row : row + 1], alone)
    assert not torch.allclose(paper.translate(x, [7, 5, 6])[0], together[0])
    assert torch.equal(paper.translate(x), paper.translate(x, [0, 0, 0]))
    # The runs of this loop moved the running statistics of `network`: "eval" is compared as they are now.
    close(network.tested("eval").translate(x), network.eval()(x))


def test_dropout_keeps_the_mean_and_the_share():
    x = torch.ones(200, 500, dtype=torch.float64)
    dropped = drop(x, torch.rand(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64), 0.3)
    assert set(dropped.unique().tolist()) == {0.0, 1 / 0.7}
    assert abs(float((dropped == 0).double().mean()) - 0.3) < 5 * (0.21 / x.numel()) ** 0.5


def test_where_the_two_codes_drop():
    middle, first = (UNet(layers=8, width=2, dropped=where).noise_shapes(256, 256) for where in ("middle", "first"))
    assert middle == [(16, 4, 4), (16, 8, 8), (16, 16, 16)]
    assert first == [(16, 2, 2), (16, 4, 4), (16, 8, 8)]
    assert UNet(layers=8, width=2, dropout=0).noise_shapes(256, 256) == []


def test_resizing_in_place_of_transposed_convolutions():
    for network in (UNet(layers=3, width=2, upsample="resize"), ResNetTranslator(blocks=1, width=2, upsample="resize")):
        doubling = [part for part in network.modules() if isinstance(part, nn.ConvTranspose2d)]
        assert {type(part) for part in doubling} == {DoublingConv2d}
        assert network(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)
