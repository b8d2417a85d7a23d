"""DCGAN's networks against numbers of pytorch/examples and of the WGAN code, and against closed forms."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.data.state_dicts import renamed
from gantool.errors import ConfigError
from gantool.families.dcgan.config import PRESETS, DCGANConfig
from gantool.families.dcgan.networks import Discriminator, Generator
from gantool.family import DataShape
from gantool.options import resolve

GOLDEN = Path(__file__).parents[1] / "golden"
ARCHS = ["examples", "radford", "sngan"]


@pytest.fixture(scope="module")
def dcgan():
    return np.load(GOLDEN / "dcgan.npz")


@pytest.fixture(scope="module")
def wgan():
    return np.load(GOLDEN / "wgan.npz")


def part(arrays, prefix):
    return {key.removeprefix(prefix): torch.tensor(arrays[key]) for key in arrays.files if key.startswith(prefix)}


def pair(side=64, channels=3, **options):
    config, shape = DCGANConfig(**options), DataShape(side, side, channels)
    return Generator(config, shape), Discriminator(config, shape)


def count(network):
    return sum(p.numel() for p in network.parameters())


# --- against pytorch/examples -------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "suffix"), [(3, ""), (1, "_nc1")])
def test_parameters_are_as_many_as_in_pytorch_examples(channels, suffix):
    counts = json.loads((GOLDEN / "dcgan_keys.json").read_text())["parameter_counts"]
    generator, discriminator = pair(channels=channels)
    assert count(generator) == counts["G" + suffix]
    assert count(discriminator) == counts["D" + suffix]


def test_names_and_shapes_are_those_of_the_published_files():
    published = json.loads((GOLDEN / "dcgan_keys.json").read_text())["state_dict"]
    for network, name in zip(pair(), "GD", strict=True):
        assert [[key, list(value.shape)] for key, value in network.state_dict().items()] == published[name]


@pytest.fixture
def reference_pair(dcgan):
    generator, discriminator = pair(nz=12, ngf=4, ndf=4)
    generator.load_state_dict(part(dcgan, "w/G/"))
    discriminator.load_state_dict(part(dcgan, "w/D/"))
    return generator, discriminator


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_pictures_and_verdicts_are_those_of_pytorch_examples(dcgan, reference_pair, mode):
    generator, discriminator = (network.train(mode == "train") for network in reference_pair)
    fake = generator(torch.tensor(dcgan["z"])[:, :, 0, 0])
    torch.testing.assert_close(fake, torch.tensor(dcgan[f"G_{mode}/fake"]), atol=2e-6, rtol=0)
    x = torch.tensor(dcgan["x"]).requires_grad_()
    probability = discriminator(x).sigmoid()
    torch.testing.assert_close(probability, torch.tensor(dcgan[f"D_{mode}/prob"]), atol=1e-6, rtol=0)
    (gradient,) = torch.autograd.grad(probability.log().sum(), x)
    expected = torch.tensor(dcgan[f"D_{mode}/grad_x_of_sum_log_prob"])
    torch.testing.assert_close(gradient, expected, atol=2e-6, rtol=1e-4)


def test_running_statistics_move_as_in_pytorch_examples(dcgan, reference_pair):
    generator, _ = reference_pair
    generator(torch.tensor(dcgan["z"])[:, :, 0, 0])
    after = part(dcgan, "G_train/after/")
    state = generator.state_dict()
    assert len(after) == 8
    for name, value in after.items():
        torch.testing.assert_close(state[name], value, atol=1e-6, rtol=1e-5)


# --- against the WGAN code ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [("G", {}), ("G_extra1", {"extra_layers": 1}), ("G_nobn", {"norm_g": "none"})],
)
def test_wgan_generators_draw_the_same(wgan, name, options):
    generator, _ = pair(32, nz=8, ngf=4, **options)
    generator.load_state_dict(renamed(Path(name), part(wgan, f"w/{name}/"), generator))
    fake = generator(torch.tensor(wgan["z"])[:, :, 0, 0])
    torch.testing.assert_close(fake, torch.tensor(wgan[f"forward_train/{name}"]), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("name", "extra"), [("D", 0), ("D_extra1", 1)])
def test_wgan_critics_score_the_same(wgan, name, extra):
    _, critic = pair(32, nz=8, ndf=4, extra_layers=extra)
    critic.load_state_dict(renamed(Path(name), part(wgan, f"w/{name}/"), critic))
    mean = critic(torch.tensor(wgan["x"])).mean()  # theirs averages the scores of a batch
    torch.testing.assert_close(mean, torch.tensor(wgan[f"forward_train/{name}"][0]), atol=1e-6, rtol=1e-5)


# --- closed forms -------------------------------------------------------------------------------------------


def widths(width, factors):
    return [width * factor for factor in factors]


@pytest.mark.parametrize(
    ("side", "base", "factors"),
    [
        (16, 4, [2, 1]),
        (28, 7, [2, 1]),
        (32, 4, [4, 2, 1]),
        (48, 6, [4, 2, 1]),
        (128, 4, [16, 8, 4, 2, 1]),
        (256, 4, [16, 16, 8, 4, 2, 1]),  # not 32 at the base
    ],
)
@pytest.mark.parametrize(("arch", "kernel"), [("examples", 4), ("radford", 5)])
def test_parameters_at_other_sides(side, base, factors, arch, kernel):
    nz, g, d = 7, widths(3, factors), widths(2, factors)
    generator, discriminator = pair(side, nz=nz, ngf=3, ndf=2, arch=arch)
    k, b = kernel**2, base**2
    convolutions = sum(i * o for i, o in zip(g, [*g[1:], 3], strict=True)) * k
    # Radford's code normalises each unit of the projection, pytorch/examples each channel of the first layer.
    first_norm = 2 * g[0] * (b if arch == "radford" else 1)
    assert count(generator) == nz * g[0] * b + convolutions + first_norm + 2 * sum(g[1:])
    convolutions = sum(i * o for i, o in zip([*d, 3], [1, *d], strict=True) if o != 1) * k
    assert count(discriminator) == convolutions + d[0] * b + 2 * sum(d[:-1])


def test_the_sngan_layout_is_table_3_of_its_paper():
    generator, discriminator = pair(32, arch="sngan", nz=128, norm_d="none")
    convolutions = [m for m in discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]) for m in convolutions] == [
        (3, 64, 3, 1),
        (64, 64, 4, 2),
        (64, 128, 3, 1),
        (128, 128, 4, 2),
        (128, 256, 3, 1),
        (256, 256, 4, 2),
        (256, 512, 3, 1),
        (512, 1, 4, 1),  # the dense layer on 4x4x512
    ]
    assert all(m.bias is not None for m in convolutions)
    assert {m.negative_slope for m in discriminator.modules() if isinstance(m, torch.nn.LeakyReLU)} == {0.1}
    ups = [m for m in generator.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels) for m in ups] == [(512, 256), (256, 128), (128, 64)]
    assert generator.main[0].weight.shape == (4 * 4 * 512, 128)


# --- behaviour ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("side", [16, 20, 28, 32, 48, 64, 128, 256])
def test_every_side_is_met_exactly(arch, side):
    with torch.device("meta"):
        generator, discriminator = pair(side, 1, arch=arch, nz=5, ngf=2, ndf=2, extra_layers=arch != "sngan")
        fake = generator(torch.empty(2, 5))
        assert fake.shape == (2, 1, side, side)
        assert discriminator(fake).shape == (2,)


@pytest.mark.parametrize(
    "options",
    [
        {"arch": "examples", "extra_layers": 2},
        {"arch": "radford"},
        {"arch": "sngan", "norm_d": "none"},
        {"norm_d": "instance", "norm_g": "none"},
        {"norm_d": "layer", "minibatch_std": True, "dropout": 0.3},
    ],
)
def test_gradients_reach_every_weight(options):
    torch.manual_seed(0)
    generator, discriminator = pair(16, nz=5, ngf=4, ndf=4, **options)
    fake = generator(torch.randn(4, 5))
    assert fake.abs().max() <= 1
    discriminator(fake).square().sum().backward()
    for network in (generator, discriminator):
        for name, weight in network.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.abs().sum() > 0, name


def test_float64_goes_through():
    generator, discriminator = (network.double() for network in pair(16, nz=5, ngf=4, ndf=4, minibatch_std=True))
    assert discriminator(generator(torch.randn(4, 5, dtype=torch.float64))).dtype == torch.float64


@pytest.mark.parametrize(("norm", "alone"), [("batch", False), ("instance", True), ("layer", True), ("none", True)])
def test_which_norms_let_a_picture_stand_alone(norm, alone):
    torch.manual_seed(0)
    _, discriminator = pair(16, ndf=4, norm_d=norm)
    x = torch.randn(4, 3, 16, 16)
    together, apart = discriminator(x), torch.cat([discriminator(x[:2]), discriminator(x[2:])])
    assert torch.allclose(together, apart, atol=1e-6) == alone


def test_minibatch_std_lets_the_discriminator_see_collapse():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 16, 16)
    for seen in (False, True):
        _, discriminator = pair(16, ndf=4, norm_d="none", minibatch_std=seen)
        collapsed = x[:1].expand(4, -1, -1, -1)
        changes = (discriminator(x)[0] - discriminator(collapsed)[0]).abs() > 1e-5
        assert changes == seen


def test_dropout_is_of_training_only():
    torch.manual_seed(0)
    _, discriminator = pair(16, ndf=4, norm_d="none", dropout=0.5)
    x = torch.randn(2, 3, 16, 16)
    assert not torch.equal(discriminator(x), discriminator(x))
    discriminator.eval()
    assert torch.equal(discriminator(x), discriminator(x))


def test_weights_start_as_radford_says():
    torch.manual_seed(0)
    generator, discriminator = pair()
    for network in (generator, discriminator):
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d) and module.weight.numel() > 5000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
                assert abs(module.weight.mean().item()) < 0.001
            elif isinstance(module, torch.nn.BatchNorm2d):
                assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
                assert not module.bias.any()


# --- options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_within_their_bounds_and_make_networks(name):
    config = resolve(DCGANConfig, (name, PRESETS[name].values)).config
    shape = DataShape(config.size, config.size)
    with torch.device("meta"):
        fake = Generator(config, shape)(torch.empty(2, config.nz))
        assert Discriminator(config, shape)(fake).shape == (2,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 50}, "--size 48 or 56"),
        ({"size": 8}, "--size 16"),
        ({"size": 1000}, "--size 896 or 1024"),
        ({"gp": 10.0}, "--norm-d none"),
        ({"r1": 1.0}, "--norm-d none"),
        ({"arch": "sngan", "extra_layers": 1}, "--arch examples"),
    ],
)
def test_options_that_do_not_fit_are_said_with_a_way_out(options, said):
    with pytest.raises(ConfigError) as error:
        DCGANConfig(**options)
    assert said in error.value.hint


def test_a_side_without_doublings_is_a_programming_error_below_the_options():
    with pytest.raises(ValueError, match="50"):
        pair(50)
