"""The conditional GAN's networks: sizes by closed form, and that the class is heard everywhere."""

import pytest
import torch
from torch import nn

from gantool.errors import ConfigError
from gantool.families.cgan.config import PRESETS, CGANConfig
from gantool.families.cgan.networks import networks
from gantool.family import DataShape
from gantool.nn.conditional import ConditionalBatchNorm, append, one_hot
from gantool.options import resolve

ARCHS = ["mlp", "conv", "projection"]


def pair(side=28, channels=1, classes=10, **options):
    torch.manual_seed(0)
    return networks(CGANConfig(**options), DataShape(side, side, channels, classes))


def count(network):
    return sum(p.numel() for p in network.parameters())


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def test_parameters_of_the_paper():
    generator, discriminator = pair(arch="mlp")
    assert count(generator) == linear(100, 200) + linear(10, 1000) + linear(1200, 1200) + linear(1200, 784)
    units = linear(784, 5 * 240) + linear(10, 5 * 50) + linear(240 + 50, 4 * 240)
    assert count(discriminator) == units + linear(240, 1)


def test_every_layer_of_the_convolutional_networks_takes_the_class_in():
    """As many more inputs as there are classes; 28 px: two layers of 4x4 kernels either way, and one of 7x7."""
    generator, discriminator = pair(ngf=8, ndf=8, nz=5, classes=3)
    kinds = nn.Conv2d | nn.ConvTranspose2d
    assert [m.in_channels for m in generator.modules() if isinstance(m, kinds)] == [5 + 3, 16 + 3, 8 + 3]
    assert [m.in_channels for m in discriminator.modules() if isinstance(m, kinds)] == [1 + 3, 8 + 3, 16 + 3]


def test_the_class_stands_beside_as_planes_of_zero_and_one():
    hot = one_hot(torch.tensor([2, 0]), 3, torch.zeros(1))
    assert hot.tolist() == [[0, 0, 1], [1, 0, 0]]
    x = torch.randn(2, 4, 5, 6)
    y = append(x, hot)
    assert torch.equal(y[:, :4], x)
    assert torch.equal(y[0, 4:], torch.stack([torch.zeros(5, 6), torch.zeros(5, 6), torch.ones(5, 6)]))


@pytest.mark.parametrize("arch", ARCHS)
def test_both_networks_hear_the_class(arch):
    generator, discriminator = pair(16, arch=arch, ngf=4, ndf=4, nz=6)
    for network in (generator.eval(), discriminator.eval()):
        for weight in network.parameters():  # a new conditional batch norm says the same to all classes
            nn.init.normal_(weight, 0, 0.3)
    z, x = torch.randn(1, 6).expand(10, -1), torch.randn(1, 1, 16, 16).expand(10, -1, -1, -1)
    y = torch.arange(10)
    fakes, scores = generator(z, y).flatten(1), discriminator(x, y)
    assert torch.cdist(fakes, fakes).add(torch.eye(10)).min() > 1e-4
    assert (scores[:, None] - scores[None]).abs().add(torch.eye(10)).min() > 1e-4
    assert torch.allclose(generator(z, torch.full((10,), 3)).flatten(1), fakes[3].expand(10, -1), atol=1e-6)


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("minibatch_std", [False, True])
def test_gradients_reach_every_weight(arch, minibatch_std):
    generator, discriminator = pair(
        16, 3, arch=arch, ngf=4, ndf=4, nz=6, minibatch_std=minibatch_std, classes=4, dropout=0.1
    )
    y = torch.arange(16) % 4
    fake = generator(torch.randn(16, 6), y)
    assert fake.shape == (16, 3, 16, 16)
    assert fake.abs().max() <= 1
    scores = discriminator(fake, y)
    assert scores.shape == (16,)
    scores.square().sum().backward()
    for network in (generator, discriminator):
        for name, weight in network.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.abs().sum() > 0, name


def test_the_projection_is_an_inner_product_with_summed_features():
    _, discriminator = pair(16, arch="projection", ndf=4, norm_d="none", classes=5)
    x, a, b = torch.randn(3, 1, 16, 16), torch.tensor([0, 1, 2]), torch.tensor([4, 3, 1])
    difference = discriminator(x, a) - discriminator(x, b)
    features = discriminator.features(x).sum((2, 3))
    vectors = discriminator.embedding.weight
    expected = ((vectors[a] - vectors[b]) * features).sum(1)
    torch.testing.assert_close(difference, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("kind", "shape"), [(nn.BatchNorm2d, (6, 3, 4, 5)), (nn.BatchNorm1d, (6, 3))])
def test_conditional_batch_norm_is_batch_norm_with_the_gains_of_the_class(kind, shape):
    torch.manual_seed(0)
    norm, plain = ConditionalBatchNorm(kind(3, affine=False), 2), kind(3, affine=False)
    x, y = torch.randn(shape), torch.tensor([0, 1, 1, 0, 1, 0])
    torch.testing.assert_close(norm(x, y), plain(x))
    with torch.no_grad():
        norm.gain.weight[1], norm.bias.weight[1] = 2, -3
    normed, expected = norm(x, y), plain(x)
    torch.testing.assert_close(normed[y == 0], expected[y == 0])
    torch.testing.assert_close(normed[y == 1], 2 * expected[y == 1] - 3)


@pytest.mark.parametrize("arch", ARCHS)
def test_float64_goes_through(arch):
    generator, discriminator = (network.double() for network in pair(16, arch=arch, ngf=4, ndf=4, nz=6))
    y = torch.tensor([1, 2])
    assert discriminator(generator(torch.randn(2, 6, dtype=torch.float64), y), y).dtype == torch.float64


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_within_their_bounds_and_make_networks(name):
    config = resolve(CGANConfig, (name, PRESETS[name].values)).config
    with torch.device("meta"):
        generator, discriminator = networks(config, DataShape(config.size, config.size, 1, 10))
        y = torch.zeros(2, dtype=torch.int64)
        fake = generator(torch.empty(2, config.nz), y)
        assert fake.shape == (2, 1, config.size, config.size)
        assert discriminator(fake, y).shape == (2,)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="50"):
        CGANConfig(size=50)
    assert CGANConfig(size=50, arch="mlp").size == 50
    with pytest.raises(ConfigError, match="batch norm"):
        CGANConfig(gp=10.0)
    with pytest.raises(ConfigError, match="mlp"):
        CGANConfig(dropout_g=0.5)
    with pytest.raises(ValueError, match="classes"):
        pair(classes=0)
