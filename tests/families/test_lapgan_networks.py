"""LAPGAN's networks and options: sizes by closed form, and what the options make of the levels."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gantool.errors import ConfigError
from gantool.families.lapgan.config import PRESETS, LAPGANConfig
from gantool.families.lapgan.networks import PairNorm, networks
from gantool.family import DataShape
from gantool.nn.conditional import ClassPlane
from gantool.options import resolve


def pair(level, classes=0, channels=3, **options):
    torch.manual_seed(0)
    config = LAPGANConfig(**options)
    rung = config.rungs()[level]
    return networks(config, config.at(rung), rung, DataShape(rung.side, rung.side, channels, classes))


def preset(name, **values):
    return resolve(LAPGANConfig, (name, {**PRESETS[name].values, **values})).config


def count(network):
    return sum(p.numel() for p in network.parameters())


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def conv(inputs, outputs, kernel, groups=1):
    return (inputs // groups * kernel**2 + 1) * outputs


# --- sizes ----------------------------------------------------------------------------------------------


def test_the_code_for_cifar_10():
    """8 px: 8000 and 1600 units; 16 and 32 px: 7x7, 7x7, 5x5 against 5x5, 5x5 by steps of 2, without padding."""
    options = dict(PRESETS["eyescream"].values)
    generator, discriminator = pair(0, **options)
    assert count(generator) == linear(100, 8000) + linear(8000, 8000) + linear(8000, 192)
    assert count(discriminator) == linear(192, 1600) + linear(1600, 1600) + linear(1600, 1)
    for level, left in ((1, 4), (2, 12)):  # (16 - 4 - 5) // 2 + 1, (32 - 4 - 5) // 2 + 1
        generator, discriminator = pair(level, **options)
        assert count(generator) == conv(4, 64, 7) + conv(64, 64, 7) + conv(64, 3, 5)
        assert count(discriminator) == conv(3, 64, 5) + conv(64, 64, 5) + linear(64 * left**2, 1)


def test_the_model_for_scenes():
    """The published description: 64, 368 and 128 maps in groups of 4, pairs pooled to 64, 224 in groups of 2."""
    generator, discriminator = pair(3, **PRESETS["paper-64"].values)  # 32 px
    convolutions = conv(4, 64, 7) + conv(64, 368, 7, 4) + conv(368, 128, 7, 4) + conv(64, 224, 5, 2) + conv(224, 3, 7)
    assert count(generator) == convolutions + 2 * 3  # and the last batch norm's gain and bias
    assert count(discriminator) == conv(3, 48, 3) + conv(48, 448, 5, 4) + conv(448, 416, 7, 16) + linear(166_400, 1)


@pytest.mark.parametrize(("name", "sides"), [("paper", [8, 14, 28]), ("eyescream", [8, 16, 32]), ("fast", [8, 16, 32])])
def test_levels_of_presets(name, sides):
    assert preset(name).sides() == sides


@pytest.mark.parametrize("name", ["paper-64", "eyescream-64"])
def test_levels_of_scenes(name):
    assert preset(name).sides() == [4, 8, 16, 32, 64]


def test_momentum_and_rates_by_epoch():
    """An epoch is 45,000 / 64 steps: 0.0008 more momentum, and a rate divided by 1.00004 (paper) or 1.000004 (code)."""
    epoch = 45_000 / 64
    for name, steps, rise, divisor in (
        ("paper", epoch, 0.3, 1.00004), ("eyescream", epoch, 0.7, 1.000004),
        ("paper-64", 5000, 0.02, 1.00004), ("eyescream-64", 5000, 0.02, 1.000004),
    ):  # fmt: skip
        config = preset(name)
        assert config.momentum_end - config.beta1 == pytest.approx(rise)
        assert rise / (config.steps / steps) == pytest.approx(0.0008, rel=0.03)
        assert config.decay_factor**steps - 1 == pytest.approx(divisor - 1, rel=0.01)


@pytest.mark.parametrize("arch", ["mlp", "conv", "deep", "dcgan"])
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_level(arch, classes, channels):
    """Differences as large as the picture; both hear the class, and the generator noise and the coarse picture."""
    generator, discriminator = pair(
        1, classes, channels, size=16, levels="8,16", arch=f"mlp,{arch}", width_g="8,16", width_d="8,16"
    )
    for network in (generator.eval(), discriminator.eval()):
        for weight in network.parameters():
            nn.init.normal_(weight, 0, 0.3)
    noise, coarse = torch.randn(2, 1, 16, 16), torch.randn(2, channels, 16, 16)
    y = torch.tensor([0, 1]) if classes else None
    out = generator(noise, coarse, y)
    assert out.shape == coarse.shape
    assert discriminator(coarse, y).shape == (2,)
    assert not torch.allclose(generator(noise + 1, coarse, y), out)
    assert not torch.allclose(generator(noise, coarse + 1, y), out)
    if classes:
        other = torch.tensor([2, 2])
        assert not torch.allclose(generator(noise, coarse, other), out)
        assert not torch.allclose(discriminator(coarse, other), discriminator(coarse, y))


@pytest.mark.parametrize("side", [4, 5, 8, 13, 14, 16, 24, 50])
@pytest.mark.parametrize("arch", ["conv", "deep", "dcgan"])
def test_levels_of_any_side(arch, side):
    _, discriminator = pair(
        1, size=side, levels=f"2,{side}", arch=f"mlp,{arch}", width_g="4,16", width_d="4,16", pyramid="area"
    )
    assert discriminator(torch.zeros(2, 3, side, side), None).shape == (2,)


@pytest.mark.parametrize("arch", ["mlp", "conv", "deep", "dcgan"])
@pytest.mark.parametrize("level", [0, 1])
def test_how_alike_a_batch_is_stands_before_the_last_layer(arch, level):
    first = "conv" if level == 0 and arch in ("conv", "dcgan") else "mlp"
    options = {"size": 32, "levels": "16,32", "arch": f"{first},{arch}", "width_g": "8,16", "width_d": "8,16"}
    plain, told = (pair(level, **options, minibatch_std=std)[1] for std in (False, True))
    last = [[m for m in d.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1].weight.shape[1] for d in (plain, told)]
    assert last[1] > last[0]
    x = torch.randn(4, 3, 16 * (level + 1), 16 * (level + 1))
    assert told.eval()(x, None).shape == (4,)


def test_every_preset_takes_sizes_from_4_to_100():
    for name in PRESETS:
        if "levels" not in PRESETS[name].values:
            for size in range(4, 101):
                assert preset(name, size=size).sides()[-1] == size


def test_the_plane_of_a_class_is_a_column_of_the_layer():
    plane = ClassPlane(3, 4)
    expected = F.relu(plane.linear.weight[:, 1] + plane.linear.bias).view(1, 1, 4, 4)
    assert torch.equal(plane(torch.tensor([1])), expected)


def test_pairs_of_channels_become_their_length():
    x = torch.tensor([3.0, 4.0, 5.0, 12.0]).view(1, 4, 1, 1)
    assert PairNorm()(x).flatten().tolist() == pytest.approx([5.0, 13.0])
    zero = torch.zeros(1, 2, 1, 1, requires_grad=True)
    PairNorm()(zero).sum().backward()
    assert zero.grad.isfinite().all()


# --- options --------------------------------------------------------------------------------------------


def test_sides_that_nobody_names_halve_down_to_8():
    assert LAPGANConfig(size=64).sides() == [8, 16, 32, 64]
    assert LAPGANConfig(size=28).sides() == [7, 14, 28]
    assert LAPGANConfig(size=50, arch="mlp,conv").sides() == [7, 13, 25, 50]


def test_what_is_given_from_coarse_to_fine_goes_on():
    rungs = LAPGANConfig(size=64, width_g="9,7,5", level_steps="30,20").rungs()
    assert [rung.width_g for rung in rungs] == [9, 7, 5, 5]
    assert [rung.steps for rung in rungs] == [30, 20, 20, 20]
    assert [rung.below for rung in rungs] == [None, 8, 16, 32]
    assert [rung.arch for rung in rungs] == ["mlp", "conv", "conv", "conv"]


def test_which_levels_are_trained():
    def trained(**values):
        return [rung.index for rung in LAPGANConfig(**values).rungs() if rung.trained]

    assert trained() == [0, 1, 2]
    assert trained(level="2,0") == [0, 2]
    assert trained(level_model="0=acgan:x, 2=lapgan:y") == [1]
    assert trained(level="none", level_model="0=acgan:x") == []
    assert LAPGANConfig(level="1,2").pieces() == {
        1: {"level": "1", "level_model": ""},
        2: {"level": "2", "level_model": ""},
    }


def test_a_level_has_options_of_its_own():
    config = LAPGANConfig(level_options="0.loss=hinge, 0.lr-g=1e-3,2.diffaugment=color,cutout,2.dropout=0.5")
    at = [config.at(rung) for rung in config.rungs()]
    assert [c.loss for c in at] == ["hinge", "bce", "bce"]
    assert [c.lr_g for c in at] == [1e-3, 2e-4, 2e-4]
    assert [c.diffaugment for c in at] == ["", "", "color,cutout"]
    assert [c.dropout for c in at] == [0, 0, 0.5]
    assert [c.size for c in at] == [8, 16, 32]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"level_options": "0.gp"}, "names no level, option and value"),
        ({"level_options": "gp=1"}, "names no level, option and value"),
        ({"level_options": "5.gp=1"}, "level 5 is not there"),
        ({"level_options": "0.batch=1"}, "batch holds for all levels"),
        ({"level_options": "0.steps=1"}, "steps holds for all levels"),
        ({"level_options": "0.lr_gg=1"}, "no option `lr_gg`"),
        ({"level_options": "0.lr_g=-1"}, "is not allowed"),
        ({"level_options": "0.loss=wasserstein,0.flip_labels=0.1"}, "changes the targets"),
        ({"levels": "8,x,32"}, "no list of numbers"),
        ({"levels": "16,8,32"}, "does not grow"),
        ({"levels": "8,8,32"}, "does not grow"),
        ({"levels": "1,32"}, "numbers from 2"),
        ({"levels": "2,3,4,5,6,7,8,9,32"}, "more than 8"),
        ({"levels": "8,16"}, "end at 16 pixels, and --size is 32"),
        ({"level": "3"}, "no level '3'"),
        ({"level": ""}, "no level ''"),
        ({"level": "-1"}, "no list of numbers"),
        ({"level": "abc"}, "no list of numbers from 0. Put commas between, as in 0,2"),
        ({"level": "1,1"}, "names a level twice"),
        ({"level": "none"}, "trains nothing"),
        ({"arch": "mlp,resnet"}, "no 'resnet'"),
        ({"arch": "mlp,conv,conv,conv"}, "4 values for 3 levels"),
        ({"epochs": 2.0, "level_steps": "9"}, "both say how long"),
        ({"level_options": "0.accumulate=2"}, "accumulate holds for all levels"),
        ({"arch": "deep"}, "deep belongs to levels above"),
        ({"arch": "conv"}, "too small"),
        ({"width_g": ""}, "no values"),
        ({"width_d": "0"}, "numbers from 1"),
        ({"level_steps": "1,2,3,4"}, "4 values"),
        ({"level_model": "acgan:x"}, "names no level and run"),
        ({"level_model": "0=acgan"}, "names no level and run"),
        ({"level_model": "7=acgan:x"}, "level 7 is not there"),
        ({"level_model": "0=acgan:x,0=gan:y"}, "named twice"),
        ({"level": "0", "level_model": "0=acgan:x"}, "is to be trained and to be taken"),
        ({"levels": "8,14,32", "pyramid": "binomial"}, "binomial halves"),
        ({"margin": 0.3, "loss": "hinge"}, "margin compares losses"),
    ],
)
def test_options_that_make_no_levels(values, said):
    with pytest.raises(ConfigError, match=said) as caught:
        LAPGANConfig(**values)
    assert caught.value.hint
