"""Whole training steps against the loops of pytorch/examples' DCGAN and of the WGAN code, in float64."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.data.batches import Batch
from gantool.data.state_dicts import renamed
from gantool.engine.model import Context
from gantool.families.dcgan.config import PRESETS, DCGANConfig
from gantool.families.dcgan.model import DCGAN
from gantool.family import DataShape
from gantool.options import resolve

GOLDEN = Path(__file__).parents[1] / "golden"
EXACT = {"rtol": 1e-6, "atol": 1e-8}  # the files are float32 roundings of float64 computations


class Given(Context):
    """A context whose noise is given instead of drawn."""

    def normal(self, count, *shape):
        noise = self.noise.pop(0)
        assert noise.shape == (count, *shape)
        return noise


def part(arrays, prefix):
    return {key.removeprefix(prefix): torch.tensor(arrays[key]) for key in arrays.files if key.startswith(prefix)}


def double(array):
    return torch.tensor(array, dtype=torch.float64)


def started(config, shape, weights_g, weights_d):
    model = DCGAN(config, shape)
    model.generator.load_state_dict(weights_g)
    model.discriminator.load_state_dict(weights_d)
    model.double()
    stage = model.stages()[0]
    model.enter(stage)
    return model, Given(torch.device("cpu"), torch.Generator(), stage, dtype=torch.float64)


def assert_state(network, expected):
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name].double(), **EXACT, msg=lambda m, n=name: f"{n}: {m}")


def test_three_steps_are_those_of_pytorch_examples():
    arrays = np.load(GOLDEN / "dcgan.npz")
    config = DCGANConfig(**{**PRESETS["examples"].values, "nz": 12, "ngf": 4, "ndf": 4, "batch": 4})
    model, ctx = started(config, DataShape(64, 64), part(arrays, "w/G/"), part(arrays, "w/D/"))
    ctx.noise = [double(arrays[f"train/noise{i}"])[:, :, 0, 0] for i in range(3)]
    for i in range(3):
        ctx.step = i
        found = model.train_step(iter([Batch(double(arrays[f"train/real{i}"]), None)]), ctx)
        expected = arrays["train/errD_real"][i] + arrays["train/errD_fake"][i]
        assert float(found["d_loss"]) == pytest.approx(expected, rel=1e-6)
        assert float(found["g_loss"]) == pytest.approx(arrays["train/errG"][i], rel=1e-6)
        if i == 0:  # their script draws its fixed noise here, which moves the generator's running statistics
            with torch.no_grad():
                model.generator(double(arrays["train/fixed_noise"])[:, :, 0, 0])
    assert_state(model.generator, part(arrays, "train/final/G/"))
    assert_state(model.discriminator, part(arrays, "train/final/D/"))


def test_three_critic_updates_and_one_of_the_generator_are_those_of_the_wgan_code():
    arrays = np.load(GOLDEN / "wgan.npz")
    values = {**PRESETS["wgan"].values, "size": 32, "nz": 8, "ngf": 4, "ndf": 4, "batch": 4, "d_steps": 3}
    config = resolve(DCGANConfig, ("wgan", {**values, "critic_bursts": False})).config
    shape = DataShape(32, 32)
    fresh = DCGAN(config, shape)

    def ours(prefix, network, turn=False):
        tensors = renamed(Path("wgan"), part(arrays, prefix), network)
        if turn:  # their critic is low on real pictures, ours is high
            last = f"main.{len(network.main) - 1}.weight"
            tensors[last] = -tensors[last]
        return tensors

    model, ctx = started(config, shape, ours("w/G/", fresh.generator), ours("w/D/", fresh.discriminator, turn=True))
    noise = [*(arrays[f"train/noise{i}"] for i in range(3)), arrays["train/noise_G"]]
    ctx.noise = [double(z)[:, :, 0, 0] for z in noise]
    batches = iter([Batch(double(arrays[f"train/real{i}"]), None) for i in range(3)])
    found = model.train_step(batches, ctx)
    # Theirs minimises D(real) - D(fake) of a critic with the other sign: the same number.
    assert float(found["d_loss"]) == pytest.approx(arrays["train/errD"][2], rel=1e-5)
    assert float(found["g_loss"]) == pytest.approx(arrays["train/errG"][0], rel=1e-5)
    assert_state(model.generator, ours("train/final/G/", fresh.generator))
    assert_state(model.discriminator, ours("train/final/D/", fresh.discriminator, turn=True))
    assert not ctx.noise


def test_the_schedule_of_the_wgan_code():
    config = resolve(DCGANConfig, ("wgan", PRESETS["wgan"].values)).config
    updates = [config.discriminator_updates(step) for step in range(1001)]
    assert updates[:25] == [100] * 25
    assert [step for step in range(25, 1001) if updates[step] == 100] == [500, 1000]
    assert set(updates) == {5, 100}
