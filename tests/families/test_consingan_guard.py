"""ConSinGAN refuses what cannot become a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.data.image import Picture
from gantool.data.single_image import SingleImage
from gantool.engine.model import Context
from gantool.errors import ConfigError, DataError, Diverged
from gantool.families.consingan.config import ConSinGANConfig
from gantool.families.consingan.model import ConSinGAN
from gantool.family import DataShape, SampleRequest


def trained(bias: float) -> tuple[ConSinGAN, Context]:
    """One stage on a gradient picture, its tail pushed by `bias`."""
    torch.manual_seed(0)
    ramp = np.linspace(0, 255, 24 * 32 * 3).reshape(24, 32, 3).astype(np.uint8)
    model = ConSinGAN(ConSinGANConfig(stages=1, channels=4, max_size=32), DataShape(24, 32))
    stage = model.stages()[0]
    ctx = Context(torch.device("cpu"), torch.Generator().manual_seed(0), stage)
    model.enter(stage)
    model.prepare(stage, SingleImage(Picture(ramp, Path("ramp.png"), "", ())), ctx)
    with torch.no_grad():
        model.generator.tail[0].bias.fill_(bias)
    return model, ctx


def test_a_generator_that_paints_one_colour_is_reported_with_the_remedy() -> None:
    model, ctx = trained(-20.0)
    with pytest.raises(Diverged, match="paints one colour") as caught:
        model.leave(ctx.stage)
    assert "--generator-steps 1" in caught.value.hint


def test_a_generator_that_has_hardly_begun_is_left_alone() -> None:
    model, ctx = trained(0.0)
    assert float(model.reconstruct().std()) < 0.01  # flat, but not saturated: it can still learn
    model.leave(ctx.stage)


@pytest.mark.parametrize(("layers", "side", "fits"), [(3, 11, True), (3, 10, False), (8, 21, True), (8, 20, False)])
def test_the_smallest_picture_is_the_critics_field(layers: int, side: int, fits: bool) -> None:
    config = ConSinGANConfig(stages=1, channels=2, layers=layers, max_size=40)
    if fits:
        assert ConSinGAN(config, DataShape(side, 40)).sizes == [(side, 40)]
    else:
        with pytest.raises(DataError, match=f"the critic needs {2 * layers + 5} a side"):
            ConSinGAN(config, DataShape(side, 40))


def test_a_grey_picture_has_grey_samples_and_a_coloured_one_does_not() -> None:
    model, _ = trained(0.0)
    assert float(model.sample(SampleRequest([0, 1])).std(1).max()) > 0
    model.real.copy_(model.real.mean(1, keepdim=True).expand(-1, 3, -1, -1))
    samples = model.sample(SampleRequest([0, 1]))
    assert torch.equal(samples[:, 0], samples[:, 1])
    assert torch.equal(samples[:, 0], samples[:, 2])
    assert float(samples.std()) > 0


@pytest.mark.parametrize("layers", range(1, 9))
def test_the_smallest_crop_of_each_depth_trains(layers: int) -> None:
    least = max(4 * layers, 2 * layers + 5)
    with pytest.raises(ConfigError, match=f"--crop {least - 1} is too small"):
        ConSinGANConfig(layers=layers, crop=least - 1)
    config = ConSinGANConfig(layers=layers, crop=least, crop_from=2, stages=2, channels=2, max_size=48, critic_steps=1)
    model = ConSinGAN(config, DataShape(40, 48))
    generator = torch.Generator().manual_seed(0)
    ramp = np.linspace(0, 255, 40 * 48 * 3).reshape(40, 48, 3).astype(np.uint8)
    data = SingleImage(Picture(ramp, Path("ramp.png"), "", ()))
    for stage in model.stages():
        ctx = Context(torch.device("cpu"), generator, stage)
        model.enter(stage)
        model.prepare(stage, data, ctx)
        metrics = model.train_step(None, ctx)
    assert all(bool(value.isfinite()) for value in metrics.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"crop": 64, "stages": 3}, "would do nothing"),
        ({"crop": 64, "batch_norm": True}, "do not go together"),
        ({"layers": 8, "min_size": 16}, "smaller than the 21"),
        ({"mode": "animation", "layers": 8}, "smaller than the 21"),
        ({"max_size": 20}, "--max-size 20 is below"),
    ],
)
def test_options_that_do_not_fit_together(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ConSinGANConfig(**options)
