"""The first GAN's networks against the WGAN code, published weights and closed forms."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.errors import ConfigError
from gantool.families.gan.config import PRESETS, GANConfig
from gantool.families.gan.networks import Discriminator, Generator
from gantool.family import DataShape
from gantool.nn.mlp import Maxout
from gantool.options import resolve

GOLDEN = Path(__file__).parents[1] / "golden"


def pair(side=28, channels=1, **options):
    config, shape = GANConfig(**options), DataShape(side, side, channels)
    return Generator(config, shape), Discriminator(config, shape)


def count(network):
    return sum(p.numel() for p in network.parameters())


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def test_the_wgan_codes_mlps_draw_and_score_the_same():
    arrays = np.load(GOLDEN / "wgan.npz")
    generator, critic = pair(16, 3, nz=8, **{**PRESETS["wgan"].values, "hidden_g": "12,12,12", "hidden_d": "12,12,12"})
    for network, name in ((generator, "MLP_G"), (critic, "MLP_D")):  # the names are theirs
        prefix = f"w/{name}/"
        network.load_state_dict({k.removeprefix(prefix): torch.tensor(arrays[k]) for k in arrays if prefix in k})
    fake = generator(torch.tensor(arrays["z"])[:, :, 0, 0])
    torch.testing.assert_close(fake, torch.tensor(arrays["forward_train/MLP_G"]), atol=5e-6, rtol=1e-5)
    score = critic(torch.tensor(arrays["x16"])).mean()  # theirs averages the scores of a batch
    torch.testing.assert_close(score, torch.tensor(arrays["forward_train/MLP_D"][0]), atol=1e-6, rtol=1e-5)


def test_parameters_of_the_paper():
    generator, discriminator = pair(**PRESETS["paper"].values)
    assert count(generator) == linear(100, 1200) + linear(1200, 1200) + linear(1200, 784)
    assert count(discriminator) == linear(784, 5 * 240) + linear(240, 5 * 240) + linear(240, 1)


def test_weights_of_the_paper_start_within_its_ranges():
    torch.manual_seed(0)
    for network, bound in zip(pair(**PRESETS["paper"].values), (0.05, 0.005), strict=True):
        for name, value in network.named_parameters():
            if name.endswith("bias"):
                assert not value.any()
            elif value.numel() > 1000:
                assert 0.98 * bound < value.abs().max() <= bound
                assert value.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_parameters_of_the_default():
    generator, discriminator = pair()
    layers = linear(100, 128) + linear(128, 256) + linear(256, 512) + linear(512, 1024) + linear(1024, 784)
    assert count(generator) == layers + 2 * (256 + 512 + 1024)  # no batch norm after the first layer
    assert count(discriminator) == linear(784, 512) + linear(512, 256) + linear(256, 1)


def test_maxout_is_the_largest_of_its_pieces():
    torch.manual_seed(0)
    layer, x = Maxout(6, 4, 3), torch.randn(5, 6)
    weight, bias = layer.linear.weight.detach().numpy(), layer.linear.bias.detach().numpy()
    expected = [
        [max(weight[3 * u + p] @ row + bias[3 * u + p] for p in range(3)) for u in range(4)] for row in x.numpy()
    ]
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("output", "squash"), [("tanh", np.tanh), ("sigmoid", lambda a: np.tanh(a / 2))])
def test_ends_of_the_generator_stay_in_range(output, squash):
    torch.manual_seed(0)
    generator, _ = pair(8, hidden_g="16", output=output)
    torch.manual_seed(0)
    plain, _ = pair(8, hidden_g="16", output="linear")
    z = 30 * torch.randn(8, 100)
    raw = plain(z).detach().numpy()
    assert np.abs(raw).max() > 1
    np.testing.assert_allclose(generator(z).detach().numpy(), squash(raw), atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {**PRESETS["paper"].values}, {"minibatch_std": True, "dropout": 0.2}, {"activation_d": "relu"}],
    ids=["default", "paper", "remedies", "relu"],
)
def test_gradients_reach_every_weight(options):
    torch.manual_seed(0)
    generator, discriminator = pair(8, 3, **{**options, "hidden_g": "16,16", "hidden_d": "16,16", "init_d": 0.5})
    fake = generator(torch.randn(16, 100))
    assert fake.shape == (16, 3, 8, 8)
    discriminator(fake).square().sum().backward()
    for network in (generator, discriminator):
        for name, weight in network.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.abs().sum() > 0, name


def test_pixels_and_units_drop_out_in_training_only():
    torch.manual_seed(0)
    x = torch.randn(2, 1, 28, 28)
    for options in ({"dropout": 0.5}, {"dropout_pixels": 0.2}):
        _, discriminator = pair(**options)
        assert not torch.equal(discriminator(x), discriminator(x))
        discriminator.eval()
        assert torch.equal(discriminator(x), discriminator(x))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_within_their_bounds_and_make_networks(name):
    config = resolve(GANConfig, (name, PRESETS[name].values)).config
    shape = DataShape(config.size, config.size, 3)
    with torch.device("meta"):
        fake = Generator(config, shape)(torch.empty(2, config.nz))
        assert Discriminator(config, shape)(fake).shape == (2,)


@pytest.mark.parametrize("text", ["", "12,", "a", "0", "-5,5", "12.5", "70000"])
def test_widths_that_are_none_are_refused(text):
    with pytest.raises(ConfigError, match="--hidden-d"):
        GANConfig(hidden_d=text)
