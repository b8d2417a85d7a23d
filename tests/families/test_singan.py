"""SinGAN beside the golden numbers: resuming in every scale and mode, sizes, odd pictures."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import gantool
from gantool.engine.model import Context
from gantool.errors import ConfigError, DataError, Diverged, Interrupted, UsageError
from gantool.families.singan.chain import climb
from gantool.families.singan.config import SinGANConfig
from gantool.families.singan.model import SinGAN
from gantool.family import AnimateRequest, DataShape, SampleRequest
from gantool.options import resolve


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    noise = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("data") / "photo.png"
    Image.fromarray(noise).resize((48, 36), Image.Resampling.BICUBIC).save(path)
    return path


def final(run) -> dict[str, torch.Tensor]:
    folder = max(run.dir.checkpoints.glob("step-*-end"))
    return {f"{part.stem}/{k}": v for part in folder.glob("*.safetensors") for k, v in load_file(part).items()}


MODES = [
    {},
    {"generator_loop": "legacy"},
    {"coarsest_noise": "fixed"},
    {"mode": "animation", "min_size": 14},
    {"mode": "superres", "min_size": 14, "penalty_every": 2},
]


@pytest.mark.parametrize("options", MODES, ids=str)
def test_stopped_in_the_middle_of_every_scale(options, photo, tmp_path) -> None:
    how = {"preset": "tiny", "seed": 3, "iterations": 4, "device": "cpu", "save_every": 1e9, **options}
    whole = gantool.train("singan", photo, out=tmp_path / "whole", **how)
    scales = len(whole.load("cpu").sizes)
    assert scales >= 3
    torch.manual_seed(99)  # of the process: a training does not depend on it
    steps = iter(range(10_000))
    with pytest.raises(Interrupted):
        gantool.train("singan", photo, out=tmp_path / "parts", stop=lambda: next(steps) % 4 == 1, **how)
    run = gantool.open_run("latest", tmp_path / "parts")
    for _ in range(scales - 1):
        with pytest.raises(Interrupted):
            gantool.resume(run, stop=lambda: next(steps) % 4 == 1)
    gantool.resume(run)
    ours, theirs = final(run), final(whole)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def entered(**options) -> SinGAN:
    torch.manual_seed(0)
    values = {"channels": 4, "max_channels": 8, "channels_step": 2, "max_size": 32, "min_size": 14, **options}
    model = SinGAN(resolve(SinGANConfig, ("", values)).config, DataShape(40, 50))
    for stage in model.stages():
        model.enter(stage)
    model.real.copy_(torch.rand_like(model.real) * 2 - 1)
    return model


def test_weights_go_up_while_the_width_stays() -> None:
    model = entered(channels_step=2, scale_factor=0.8)
    widths = [model.config.width(k) for k in range(model.depth)]
    assert widths[:4] == [4, 4, 8, 8]
    for k in range(1, model.depth):
        a, b = (g.tail[0].weight for g in list(model.generators)[k - 1 : k + 1])
        assert (a.shape == b.shape and torch.equal(a, b)) == (widths[k] == widths[k - 1]), k
    again = entered(channels_step=2, scale_factor=0.8)  # new networks do not hang on who drew before
    torch.randn(7)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_only_the_newest_scale_trains_and_the_others_use_running_statistics() -> None:
    model = entered()
    last = model.depth - 1
    for k, generator in enumerate(model.generators):
        assert generator.training == (k == last)
        assert all(p.requires_grad == (k == last) for p in generator.parameters())
    ctx = Context(model.device, torch.Generator().manual_seed(0), model.stages()[last])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train_step(None, ctx)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert all(name.startswith((f"generators.{last}.", "discriminator.", "z_opt")) for name in changed), changed
    assert any(name.startswith(f"generators.{last}.tail") for name in changed)


def test_the_noise_of_films_covers_the_margin_and_else_it_is_zero() -> None:
    film, plain = entered(mode="animation"), entered()
    for model in (film, plain):
        generator = torch.Generator().manual_seed(0)
        noise = model._seeded(3, (20, 30), generator)
        assert noise.shape == (1, 3, 30, 40)
        assert bool((noise[:, :, :5] == 0).all()) == (model is plain)
    one = plain._seeded(1, (20, 30), torch.Generator().manual_seed(0))
    assert torch.equal(one[:, 0], one[:, 2])


def test_scales_below_the_start_keep_the_pictures_layout() -> None:
    model = entered()
    with torch.no_grad():
        for generator in model.generators:
            for block in (generator.head, *generator.body):
                block.conv.weight.mul_(10)  # so that noise counts
            generator.tail[0].weight.mul_(5)
        model.noise_amps.copy_(torch.tensor(0.3) ** torch.arange(model.depth))
    last = model.depth - 1
    fixed = model.reconstruct()
    kept = model.sample(SampleRequest([0, 1], None, last))
    free = model.sample(SampleRequest([0, 1], None, 0))
    assert float((kept[0] - kept[1]).abs().mean()) < float((free[0] - free[1]).abs().mean())
    assert float((kept[0] - fixed[0]).abs().mean()) < float((free[0] - fixed[0]).abs().mean())
    still = list(model.animate(AnimateRequest(frames=2, alpha=1.0, start_scale=0)))
    assert torch.allclose(still[0], fixed, atol=1e-6)


def test_a_chain_of_one_is_its_generator() -> None:
    model = entered()
    model.eval()
    g, x = model.generators[0], torch.rand(2, 3, 14, 18)
    noise = torch.randn(2, 3, 24, 28)
    with torch.no_grad():
        expected = g(0.3 * noise, torch.nn.functional.pad(x, (5,) * 4))
        assert torch.equal(climb([g], [0.3], [noise], 0.8, x, [(14, 18)]), expected)


# --- pictures and options that cannot be used -----------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "shape", "error"),
    [
        ({"min_size": 9}, (60, 60), ConfigError),
        ({"max_size": 20, "min_size": 20}, (60, 60), ConfigError),
        ({"quantize": 4}, (60, 60), ConfigError),
        ({"quantize": 1, "only_scale": 1}, (60, 60), ConfigError),
        ({"only_scale": 40}, (60, 60), DataError),
        ({}, (20, 20), DataError),
        ({}, (25, 400), DataError),
        ({}, (3000, 30), DataError),
        ({"sizes": ((30, 30), (20, 20))}, (60, 60), ConfigError),
    ],
)
def test_what_cannot_be_trained_is_said(options, shape, error) -> None:
    with pytest.raises(error) as raised:
        SinGAN(resolve(SinGANConfig, ("", options)).config, DataShape(*shape))
    assert raised.value.what
    assert raised.value.hint


def test_one_scale_alone_needs_a_trained_model(photo, tmp_path) -> None:
    with pytest.raises(ConfigError, match="trained model"):
        gantool.train("singan", photo, preset="tiny", only_scale=1, out=tmp_path)


def test_grey_pictures_give_grey_ones(tmp_path) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8), dtype=np.uint8)
    Image.fromarray(coarse).resize((48, 36)).save(tmp_path / "grey.png")
    run = gantool.train("singan", tmp_path / "grey.png", preset="tiny", iterations=2, seed=0, out=tmp_path / "runs")
    drawn = run.load("cpu").sample(SampleRequest([0]))
    assert torch.equal(drawn[:, 0], drawn[:, 1])


def test_a_dead_generator_is_noticed() -> None:
    model = entered()
    with torch.no_grad():
        for generator in model.generators:
            generator.tail[0].weight.zero_()
            generator.tail[0].bias.fill_(9.0)
    with pytest.raises(Diverged, match="died"):
        model.leave(model.stages()[-1])


def test_scales_that_there_are_not() -> None:
    model = entered()
    for start in (-1, model.depth):
        with pytest.raises(UsageError, match="start-scale"):
            model.sample(SampleRequest([0], None, start))
