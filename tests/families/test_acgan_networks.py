"""AC-GAN's networks: sizes by closed form, two heads, and a class that only the generator is told."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from gantool.errors import ConfigError
from gantool.families.acgan.config import PRESETS, ACGANConfig
from gantool.families.acgan.networks import networks
from gantool.family import DataShape
from gantool.options import resolve

SMALL = {
    "odena": {"arch": "odena", "size": 16, "ngf": 4, "ndf": 2},
    "digits": {"arch": "digits", "size": 12, "ngf": 4, "ndf": 4},
    "light": {"arch": "light", "size": 16, "ngf": 4, "ndf": 4},
}
ARCHS = list(SMALL)


def pair(channels=1, classes=10, **options):
    torch.manual_seed(0)
    config = ACGANConfig(**options)
    return networks(config, DataShape(config.size, config.size, channels, classes))


def count(network):
    return sum(p.numel() for p in network.parameters())


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def convolutions(kernel, *channels):
    """Weights and biases of a row of convolutions."""
    return sum((i * kernel**2 + 1) * o for i, o in pairwise(channels))


def test_parameters_of_the_digits_networks():
    generator, discriminator = pair(arch="digits", size=28)
    dense = 10 * 100 + linear(100, 1024) + linear(1024, 128 * 7 * 7)
    assert count(generator) == dense + convolutions(5, 128, 256, 128) + convolutions(2, 128, 1)
    heads = linear(256 * 7 * 7, 1) + linear(256 * 7 * 7, 10)
    assert count(discriminator) == convolutions(3, 1, 32, 64, 128, 256) + heads


def test_parameters_of_odenas_networks_on_cifar():
    """110 numbers in, 384 channels at 4x4; a bias where no batch norm follows, two numbers where one does."""
    generator, discriminator = pair(channels=3)
    ups = 25 * (384 * 192 + 192 * 96 + 96 * 3) + 2 * (192 + 96) + 3
    assert count(generator) == linear(110, 384 * 4 * 4) + ups
    widths = [16, 32, 64, 128, 256, 512]
    rest = sum(9 * i * o + 2 * o for i, o in pairwise(widths))
    heads = linear(512 * 4 * 4, 1) + linear(512 * 4 * 4, 10)
    assert count(discriminator) == convolutions(3, 3, 16) + rest + heads


def test_kernels_of_even_width_lean_to_the_far_edge_as_in_keras():
    """'same' padding of a 2x2 kernel adds a row below and a column to the right."""
    generator, _ = pair(**SMALL["digits"])
    last = generator.main[-2]
    x = torch.zeros(1, last.in_channels, 4, 4)
    x[..., 0, 0] = 1
    with torch.no_grad():
        last.weight.fill_(1.0)
        last.bias.zero_()
        out = last(generator.main[-3](x))
    assert out.shape == (1, 1, 4, 4)
    assert out.nonzero().tolist() == [[0, 0, 0, 0]]  # padding above would spread it to (0, 1), (1, 0) and (1, 1)


@pytest.mark.parametrize("arch", ARCHS)
def test_pictures_scores_and_class_logits(arch):
    generator, discriminator = pair(3, 7, **SMALL[arch])
    side = SMALL[arch]["size"]
    y = torch.arange(14) % 7
    fake = generator(torch.randn(14, 100), y)
    assert fake.shape == (14, 3, side, side)
    assert fake.abs().max() <= 1
    scores, logits = discriminator(fake, y)
    assert scores.shape == (14,)
    assert logits.shape == (14, 7)


@pytest.mark.parametrize("arch", ARCHS)
def test_the_generator_hears_the_class_and_the_discriminator_does_not(arch):
    generator, discriminator = (network.eval() for network in pair(**SMALL[arch]))
    y = torch.arange(10)
    fakes = generator(torch.randn(1, 100).expand(10, -1), y).flatten(1)
    assert torch.cdist(fakes, fakes).add(torch.eye(10)).min() > 1e-5
    x = torch.randn(10, 1, SMALL[arch]["size"], SMALL[arch]["size"])
    for told, untold in zip(discriminator(x, y), discriminator(x), strict=True):
        assert torch.equal(told, untold)


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("minibatch_std", [False, True])
def test_gradients_of_either_head_reach_the_generator_and_every_weight(arch, minibatch_std):
    for head in (0, 1):
        generator, discriminator = pair(3, 4, **SMALL[arch], minibatch_std=minibatch_std, dropout=0.2)
        y = torch.tensor([0] * 8 + [1] * 5 + [2] * 2 + [3])  # unequal, else the biases have no gradient at first
        verdict = discriminator(generator(torch.randn(16, 100), y))[head]
        (verdict.square().sum() if head == 0 else nn.functional.cross_entropy(verdict, y)).backward()
        untouched = [n for n, w in discriminator.named_parameters() if w.grad is None]
        assert len(untouched) == 2 - (arch == "light" and head == 1)  # the other head; light's score has no bias
        for network in (generator, discriminator):
            for name, weight in network.named_parameters():
                assert name in untouched or weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("arch", ARCHS)
def test_float64_goes_through(arch):
    generator, discriminator = (network.double() for network in pair(**SMALL[arch]))
    scores, logits = discriminator(generator(torch.randn(2, 100, dtype=torch.float64), torch.tensor([1, 2])))
    assert scores.dtype == logits.dtype == torch.float64


@pytest.mark.parametrize(
    ("arch", "sides"), [("odena", [8, 32, 40, 64]), ("digits", [8, 28, 64]), ("light", [16, 28, 64])]
)
def test_sides_are_met_exactly(arch, sides):
    for side in sides:
        with torch.device("meta"):
            generator, discriminator = pair(arch=arch, size=side)
            fake = generator(torch.empty(2, 100), torch.zeros(2, dtype=torch.int64))
            assert fake.shape == (2, 1, side, side)
            assert discriminator(fake)[1].shape == (2, 10)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_within_their_bounds_and_make_networks(name):
    config = resolve(ACGANConfig, (name, PRESETS[name].values)).config
    with torch.device("meta"):
        generator, discriminator = networks(config, DataShape(config.size, config.size, 1, 10))
        fake = generator(torch.empty(2, config.nz), torch.zeros(2, dtype=torch.int64))
        assert discriminator(fake)[0].shape == (2,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 28}, "--size 24 or 32"),
        ({"size": 30, "arch": "digits"}, "--size 28 or 32"),
        ({"size": 30, "arch": "light"}, "--size 28 or 32"),
        ({"gp": 10.0}, "--arch light"),
    ],
)
def test_options_that_do_not_fit_are_said_with_a_way_out(options, said):
    with pytest.raises(ConfigError) as error:
        ACGANConfig(**options)
    assert said in error.value.hint


def test_data_without_classes_is_a_programming_error():
    with pytest.raises(ValueError, match="classes"):
        pair(classes=0, **SMALL["light"])
