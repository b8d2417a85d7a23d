"""ConSinGAN's applications: harmonising, editing, fine-tuning on a composite, enlarging."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import gantool
from gantool.data.image import Picture, to_tensor
from gantool.data.single_image import FineTuning, SingleImage
from gantool.engine.model import Context
from gantool.engine.trainer import build
from gantool.errors import ConfigError, DataError, Interrupted, UsageError
from gantool.families.consingan import SPEC, networks
from gantool.families.consingan.applications import enlarged_sizes
from gantool.families.consingan.augment import distort, shuffle_tiles
from gantool.families.consingan.config import PRESETS, ConSinGANConfig
from gantool.families.consingan.model import ConSinGAN
from gantool.family import (
    DataShape,
    Edits,
    Harmonizes,
    InjectRequest,
    SampleRequest,
    SuperResolveRequest,
    SuperResolves,
)
from gantool.nn.resize import resize_single_image
from gantool.options import resolve
from gantool.tasks.runs import Run, new_model
from gantool.tasks.tune import tune

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = torch.device("cpu")
QUICK = {"reconstruction": 100.0, "lr_g": 2e-3, "critic_steps": 1, "penalty_every": 4}  # learns its picture soon
MODES = ["generation", "retarget", "animation", "harmonization", "editing"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def picture_of(height: int, width: int, seed: int = 0) -> Picture:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return Picture(pixels, Path(f"picture{seed}.png"), "", ())


def config(**changes: Any) -> ConSinGANConfig:
    values = {"stages": 4, "max_size": 36, "min_size": 16, "channels": 6, "iterations": 4, "train_depth": 2}
    return ConSinGANConfig(**{**values, **changes})


def context(model: ConSinGAN, stage: int = -1, seed: int = 3) -> Context:
    return Context(CPU, torch.Generator().manual_seed(seed), model.stages()[stage])


def train(options: ConSinGANConfig, data: SingleImage, steps: int | None = None) -> ConSinGAN:
    """All stages, without a run directory."""
    model = new_model(SPEC, options, data.shape, 0, CPU)
    assert isinstance(model, ConSinGAN)
    generator = torch.Generator().manual_seed(1)
    for stage in model.stages():
        ctx = Context(CPU, generator, stage)
        model.enter(stage)
        model.prepare(stage, data, ctx)
        for ctx.step in range(steps or stage.steps):
            model.train_step(None, ctx)
    return model


@pytest.fixture(scope="module")
def landscape() -> SingleImage:
    return SingleImage(picture_of(27, 36))


@pytest.fixture(scope="module")
def trained(landscape: SingleImage) -> ConSinGAN:
    return train(config(mode="harmonization", batch_norm=True), landscape)


class Watched:
    """What goes into the coarsest stage and what the critic judges, in order of the calls."""

    def __init__(self, model: ConSinGAN, patch: pytest.MonkeyPatch) -> None:
        self.inputs: list[Tensor] = []
        self.later: list[Tensor] = []
        self.judged: list[Tensor] = []
        first, following, critic = model.generator.first_features, model.generator.next_features, model.critic.forward

        def watch_first(noise: Tensor) -> Tensor:
            self.inputs.append(noise.detach().clone())
            return first(noise)

        def watch_later(stage: int, x: Tensor, noise: Tensor, *rest: Any) -> Tensor:
            self.later.append(noise.detach().clone())
            return following(stage, x, noise, *rest)

        def watch_critic(image: Tensor) -> Tensor:
            self.judged.append(image.detach().clone())
            return critic(image)

        patch.setattr(model.generator, "first_features", watch_first)
        patch.setattr(model.generator, "next_features", watch_later)
        patch.setattr(model.critic, "forward", watch_critic)


# --- options, pyramids, networks ------------------------------------------------------------------------------


def test_harmonisation_has_the_geometric_pyramid_and_editing_the_new_one() -> None:
    cases = json.loads((GOLDEN / "consingan_pyramids.json").read_text())["cases"]
    checked = {"harmonization": 0, "editing": 0}
    for case in cases:
        # With few pixels ours begin at the picture's own shorter side.
        if "error" in case or min(case["sizes"][-1]) < case["min_size"] or min(case["sizes"][0]) < 11:
            continue
        mode = "harmonization" if case["mode"] == "harmonization" else "editing"
        options = {"stages": case["train_stages"], "min_size": case["min_size"], "max_size": case["max_size"]}
        model = ConSinGAN(ConSinGANConfig(mode=mode, channels=2, **options), DataShape(case["H"], case["W"]))
        assert [list(size) for size in model.sizes] == case["sizes"], case
        checked[mode] += 1
    assert min(checked.values()) >= 5


@pytest.mark.parametrize(("mode", "noisy"), [(mode, mode in ("generation", "animation")) for mode in MODES])
def test_what_surrounds_the_picture(mode: Any, noisy: bool) -> None:
    assert ConSinGAN(config(mode=mode), DataShape(27, 36)).generator.noisy_border is noisy


def test_the_presets_are_the_published_recipes() -> None:
    def of(name: str) -> ConSinGANConfig:
        return resolve(ConSinGANConfig, (name, PRESETS[name].values)).config

    published = dataclasses.asdict(ConSinGANConfig())
    own = {"mode": "harmonization", "stages": 3, "min_size": 120, "slope": 0.3, "iterations": 1000, "batch_norm": True}
    assert dataclasses.asdict(of("harmonize")) == {**published, **own}
    own = {"mode": "editing", "iterations": 1000, "batch_norm": True}
    assert dataclasses.asdict(of("edit")) == {**published, **own}
    assert of("edit").coarsest == 25
    assert ConSinGANConfig(mode="harmonization").coarsest == 120
    assert ConSinGAN(of("harmonize"), DataShape(188, 250)).sizes == [(120, 160), (151, 200), (188, 250)]
    for task, names in SPEC.task_presets.items():
        for name in names:
            options = of(name)
            assert {key: getattr(options, key) for key in SPEC.task_options[task]} == SPEC.task_options[task]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "harmonization", "crop": 16, "crop_from": 2}, "--crop is not for --mode harmonization"),
        ({"mode": "editing", "crop": 16, "crop_from": 2}, "--crop is not for --mode editing"),
        ({"mode": "generation", "fine_tune": True}, "--fine-tune is not for --mode generation"),
        ({"mode": "harmonization", "min_size": None}, "--max-size 36 is below --min-size 120"),
    ],
)
def test_options_that_do_not_fit_together(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**options)


# --- training ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["harmonization", "editing"])
def test_an_iteration_mends_the_spoilt_picture(mode: Any, landscape: SingleImage, monkeypatch: Any) -> None:
    model = train(config(mode=mode, batch_norm=True, train_depth=4), landscape, steps=1)
    ctx = context(model)
    ctx.step = 17
    model.train_step(None, ctx)  # fill caches
    watched = Watched(model, monkeypatch)
    ctx.generator.manual_seed(3)
    model.train_step(None, ctx)

    picture = resize_single_image(model.real, scale=model.pyramid.scales[0])
    spoil = distort if mode == "harmonization" else shuffle_tiles
    expected = spoil(picture, ctx.host_generator)
    fixed = model.fixed_noise(0) - picture
    if mode == "harmonization":
        assert torch.equal(watched.inputs[0], expected)
        assert float(fixed.abs().max()) == 0
    else:
        expected = expected + 0.1 * Context(CPU, torch.Generator().manual_seed(3), ctx.stage).randn(3, *model.sizes[0])
        assert torch.equal(watched.inputs[0], expected)
        n = fixed.numel()
        assert float(fixed.std()) == pytest.approx(0.1, rel=5 / (2 * n) ** 0.5)
        assert abs(float(fixed.mean())) < 5 * 0.1 / n**0.5
    assert torch.equal(watched.inputs[1], model.fixed_noise(0))  # the reconstruction
    for k, noise in enumerate(watched.later[3:], 1):
        assert torch.equal(noise, model.fixed_noise(k))
    assert torch.equal(watched.judged[0][:1], model.real)  # what the critic takes for real is never spoilt

    model.train_step(None, ctx)  # the same step again: the same picture, other noise above
    again = watched.later[6:9]
    assert all(not torch.equal(a, b) for a, b in zip(watched.later[:3], again, strict=True))


@pytest.mark.parametrize("mode", ["harmonization", "editing"])
def test_samples_are_spoilt_pictures_mended(mode: Any, landscape: SingleImage, monkeypatch: Any) -> None:
    model = train(config(mode=mode), landscape, steps=1)
    watched = Watched(model, monkeypatch)
    model.sample(SampleRequest([5]))
    choices = torch.Generator().manual_seed(5)
    expected = (distort if mode == "harmonization" else shuffle_tiles)(model.real_at(0), choices)
    rough = watched.inputs[0] - expected
    assert float(rough.std()) == pytest.approx(0.1 if mode == "editing" else 0, rel=0.2)
    model.sample(SampleRequest([5], size=(50, 90)))
    assert watched.inputs[1].shape[2:] == (int(model.sizes[0][0] * 50 / 27), int(model.sizes[0][1] * 90 / 36))
    model.sample(SampleRequest([5], start_scale=1))
    assert torch.equal(watched.inputs[2], model.fixed_noise(0))


def assert_same(run: Run, other: Run) -> None:
    """Weights, buffers, optimisers and random generators of the last checkpoints."""

    def tensors(found: Run) -> dict[str, Tensor]:
        folder = max(found.dir.checkpoints.glob("step-*-end"))
        return {f"{part.stem}/{k}": v for part in folder.glob("*.safetensors") for k, v in load_file(part).items()}

    ours, theirs = tensors(run), tensors(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("mode", ["harmonization", "editing"])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(mode: Any, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    Image.fromarray(picture_of(40, 52).pixels).save(file)
    options: dict[str, Any] = {"preset": "tiny", "mode": mode, "batch_norm": True, "seed": 7, "device": "cpu"}
    whole = gantool.train("consingan", file, out=tmp_path / "whole", **options)
    done: list[int] = []
    stops = [4, 15, 27]  # in the middle of each of three stages

    def stop() -> bool:
        done.append(1)
        return len(done) in stops

    with pytest.raises(Interrupted):
        gantool.train("consingan", file, out=tmp_path / "parts", stop=stop, **options)
    (run,) = gantool.runs(tmp_path / "parts")
    for _ in stops[1:]:
        with pytest.raises(Interrupted):
            gantool.resume(run, stop=stop)
    gantool.resume(run, stop=stop)
    assert len(done) == 30

    assert_same(run, whole)
    fixed = run.load("cpu").get_buffer("fixed_noise_0")
    assert torch.equal(fixed, whole.load("cpu").get_buffer("fixed_noise_0"))


# --- harmonising and editing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", [False, True])
def test_what_harmonising_gives(batch_norm: bool, landscape: SingleImage) -> None:
    model = train(config(mode="harmonization", batch_norm=batch_norm), landscape)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image = to_tensor(picture_of(27, 36, seed=1).pixels)
    ours = model.harmonize(InjectRequest(image, 0, seed=5))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name  # no trace, in batch norms neither

    state = model.state_dict()
    noises = [resize_single_image(image, size=model.sizes[0]), *(state[f"fixed_noise_{k}"] for k in (1, 2, 3))]
    with torch.no_grad():
        expected = model.generator(noises, model.noise_amps, model.sizes)
    assert ours.shape == (1, 3, 27, 36)
    assert torch.equal(ours, expected)
    assert torch.equal(model.harmonize(InjectRequest(image, 0, seed=6)), ours)  # the noise is the fixed one
    # The picture itself comes back as the reconstruction does, but for the rounding of its sizes.
    own = model.harmonize(InjectRequest(model.picture(), 0))
    assert float((own - model.reconstruct()).abs().max()) < float((own - ours).abs().max())


def test_what_editing_gives(landscape: SingleImage, monkeypatch: Any) -> None:
    model = train(config(mode="editing"), landscape)
    watched = Watched(model, monkeypatch)
    image = to_tensor(picture_of(27, 36, seed=1).pixels)
    first, again, other = (model.edit(InjectRequest(image, 0, seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    coarse = resize_single_image(image, size=model.sizes[0])
    noise = torch.randn(coarse.shape, generator=torch.Generator().manual_seed(5))
    assert torch.equal(watched.inputs[0], coarse + 0.1 * noise)
    assert torch.equal(watched.later[0], model.fixed_noise(1))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_can_do_everything(mode: Any, landscape: SingleImage) -> None:
    model = train(config(mode=mode, stages=3), landscape, steps=1)
    assert isinstance(model, Harmonizes)
    assert isinstance(model, Edits)
    assert isinstance(model, SuperResolves)
    assert list(model.injection_scales) == [0]
    image = to_tensor(picture_of(27, 36, seed=1).pixels)
    drawn = [model.harmonize(InjectRequest(image, 0)), model.edit(InjectRequest(image, 0)), model.reconstruct()]
    for picture in (*drawn, model.super_resolve(SuperResolveRequest(1.0001))):
        assert picture.shape == (1, 3, 27, 36)
        assert picture.isfinite().all()
        assert picture.abs().max() <= 1
        assert not picture.requires_grad


def test_requests_that_cannot_be(trained: ConSinGAN) -> None:
    with pytest.raises(UsageError, match="no --start-scale 1"):
        trained.harmonize(InjectRequest(trained.picture(), 1))
    with pytest.raises(ValueError, match=r"expected \(1, 3, 27, 36\)"):
        trained.edit(InjectRequest(torch.zeros(1, 3, 36, 27), 0))
    for factor in (1.0, 0.5, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="Enlarging by"):
            trained.super_resolve(SuperResolveRequest(factor))


# --- fine-tuning --------------------------------------------------------------------------------------------------


def tuned(model: ConSinGAN, data: SingleImage, guide: Picture | None, **changes: Any) -> tuple[ConSinGAN, Context]:
    """A model as fine-tuning begins with it."""
    options = dataclasses.replace(model.config, fine_tune=True, **changes)
    fresh = new_model(SPEC, options, data.shape, 9, CPU)
    assert isinstance(fresh, ConSinGAN)
    (stage,) = fresh.stages()
    assert (stage.index, stage.name, stage.size) == (3, "fine-tuning", fresh.sizes[-1])
    ctx = context(fresh)
    fresh.enter(stage)
    fresh.prepare(stage, FineTuning(data.source, model.state_dict(), guide), ctx)
    return fresh, ctx


def test_fine_tuning_begins_with_the_trained_model(trained: ConSinGAN, landscape: SingleImage) -> None:
    guide = picture_of(27, 36, seed=1)
    model, _ = tuned(trained, landscape, guide)
    state = model.state_dict()
    expected = resize_single_image(resize_single_image(to_tensor(guide.pixels), scale=1.0), size=model.sizes[0])
    assert torch.equal(state.pop("guide"), expected)
    assert state.keys() == trained.state_dict().keys()
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in state.items())
    assert torch.equal(model.reconstruct(), trained.reconstruct())
    # Tuning once more begins with what was tuned; its own guide is another.
    more, _ = tuned(model, landscape, picture_of(27, 36, seed=2))
    assert not torch.equal(more.get_buffer("guide"), expected)


@pytest.mark.parametrize("mode", ["harmonization", "editing"])
def test_what_fine_tuning_feeds_the_generator(mode: Any, landscape: SingleImage, monkeypatch: Any) -> None:
    model = train(config(mode=mode, train_depth=4), landscape, steps=1)
    model, ctx = tuned(model, landscape, picture_of(27, 36, seed=1))
    watched = Watched(model, monkeypatch)
    for ctx.step in range(2):
        model.train_step(None, ctx)
    # Fake and reconstruction go in together.
    rough = [inputs[:1] - model.get_buffer("guide") for inputs in watched.inputs]
    if mode == "harmonization":
        assert all(float(difference.abs().max()) == 0 for difference in rough)
    else:
        assert all(float(difference.std()) == pytest.approx(0.1, rel=0.15) for difference in rough)
        assert not torch.equal(*rough)
    for k in (1, 2, 3):
        first, second = watched.later[k - 1], watched.later[k + 2]
        assert torch.equal(first[1:], model.fixed_noise(k))
        assert not torch.equal(first[:1], second[:1])
    assert torch.equal(watched.judged[0][:1], model.real)
    assert torch.equal(watched.inputs[0][1:], model.fixed_noise(0))


def test_fine_tuning_changes_what_the_last_stage_trains_and_gets_better(landscape: SingleImage) -> None:
    begun = train(config(mode="harmonization", iterations=10, **QUICK), landscape)
    model, ctx = tuned(begun, landscape, picture_of(27, 36, seed=1), iterations=60)
    assert ctx.stage.steps == 60
    losses = []
    for ctx.step in range(60):
        losses.append(float(model.train_step(None, ctx)["reconstruction"]))
    model.leave(ctx.stage)
    before, after = begun.state_dict(), model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    # train_depth 2 of 4 stages: the two newest, the tail and the critic.
    prefixes = ("generator.body.2.", "generator.body.3.", "generator.tail.", "critic.")
    assert changed == {name for name in before if name.startswith(prefixes)}
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:3])


def test_a_fine_tuning_can_be_saved_and_loaded(trained: ConSinGAN, landscape: SingleImage) -> None:
    model, ctx = tuned(trained, landscape, picture_of(27, 36, seed=1))
    model.train_step(None, ctx)
    loaded = new_model(SPEC, model.config, landscape.shape, 4, CPU)
    build(loaded, 0)
    loaded.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    assert isinstance(loaded, ConSinGAN)
    request = InjectRequest(to_tensor(picture_of(27, 36, seed=1).pixels), 0)
    assert torch.equal(loaded.harmonize(request), model.harmonize(request))
    assert torch.equal(loaded.sample(SampleRequest([1])), model.sample(SampleRequest([1])))


def test_a_fine_tuning_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    Image.fromarray(picture_of(40, 52).pixels).save(file)
    guide = picture_of(40, 52, seed=1).pixels
    options: dict[str, Any] = {"preset": "tiny", "mode": "editing", "batch_norm": True, "iterations": 2, "seed": 7}
    parents = [gantool.train("consingan", file, out=tmp_path / name, device="cpu", **options) for name in "ab"]
    wanted = {"fine_tune": True, "iterations": 9}
    whole = tune(parents[0], "composite", wanted, guide=guide, device="cpu")
    done: list[int] = []

    def stop() -> bool:
        done.append(1)
        return len(done) == 4

    with pytest.raises(Interrupted):
        tune(parents[1], "composite", wanted, guide=guide, device="cpu", stop=stop)
    run = tune(parents[1], "composite", wanted, guide=guide, device="cpu", stop=stop)
    assert len(done) == 9
    assert_same(run, whole)
    assert run.load("cpu").preview().isfinite().all()


def test_a_guide_may_have_the_size_of_the_picture_or_of_the_finest_stage() -> None:
    data = SingleImage(picture_of(54, 72))
    model = train(config(mode="harmonization"), data, steps=1)
    large, small = picture_of(54, 72, seed=1), picture_of(27, 36, seed=1)
    shrunk = resize_single_image(to_tensor(large.pixels), scale=0.5)
    guide = tuned(model, data, large)[0].get_buffer("guide")
    assert torch.equal(guide, resize_single_image(shrunk, size=model.sizes[0]))
    other = tuned(model, data, small)[0].get_buffer("guide")
    assert torch.equal(other, resize_single_image(to_tensor(small.pixels), size=model.sizes[0]))
    with pytest.raises(DataError, match="is 30x40 pixels; the picture is 72x54"):
        tuned(model, data, picture_of(40, 30))


def test_fine_tuning_that_cannot_be(trained: ConSinGAN, landscape: SingleImage) -> None:
    guide = picture_of(27, 36, seed=1)
    with pytest.raises(ConfigError, match="needs a trained model and a second picture"):
        tuned(trained, landscape, None)
    fresh = ConSinGAN(dataclasses.replace(trained.config, fine_tune=True), DataShape(27, 36))
    fresh.enter(fresh.stages()[0])
    with pytest.raises(ConfigError, match="needs a trained model and a second picture"):
        fresh.prepare(fresh.stages()[0], landscape, context(fresh))
    with pytest.raises(ConfigError, match=r"does not fit these options: size mismatch for \w+\."):
        tuned(trained, landscape, guide, channels=5)
    with pytest.raises(ConfigError, match=r"does not fit these options: generator\..*norm.* is in one of them only"):
        tuned(trained, landscape, guide, batch_norm=False)
    unfinished = ConSinGAN(trained.config, DataShape(27, 36))
    build(unfinished, 1)
    with pytest.raises(ConfigError, match="and a run that is finished"):
        tuned(unfinished, landscape, guide)


# --- enlarging ----------------------------------------------------------------------------------------------------


def test_sizes_on_the_way() -> None:
    assert enlarged_sizes((60, 100), 4.0) == [(75, 125), (95, 158), (120, 200), (151, 251), (190, 317), (240, 400)]
    assert enlarged_sizes((60, 100), 1.5) == [(73, 122), (90, 150)]
    assert enlarged_sizes((60, 100), 1.05) == [(63, 105)]
    for factor in np.linspace(1.01, 9, 50):
        sizes = [(301, 401), *enlarged_sizes((301, 401), float(factor))]
        assert sizes[-1] == (int(301 * factor), int(401 * factor))
        ratios = [b[0] / a[0] for a, b in itertools.pairwise(sizes)]
        assert max(ratios) < 2**0.5 + 0.01  # the step of a factor that is only just rounded down to one


@pytest.fixture(scope="module", params=[(27, 36), (36, 22)], ids=["landscape", "portrait"])
def painter(request: pytest.FixtureRequest) -> ConSinGAN:
    """Trained until it knows its picture more or less."""
    return train(config(stages=2, min_size=18, channels=12, **QUICK), SingleImage(picture_of(*request.param)), 60)


def correlation(a: Tensor, b: Tensor) -> float:
    return float(np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1])


@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0])
def test_an_enlarged_picture_is_the_picture(painter: ConSinGAN, factor: float) -> None:
    large = painter.super_resolve(SuperResolveRequest(factor, seed=2))
    height, width = painter.sizes[-1]
    assert large.shape == (1, 3, int(factor * height), int(factor * width))
    assert large.abs().max() <= 1
    small = F.interpolate(large, (height, width), mode="bilinear", antialias=True)
    own = painter.reconstruct()
    assert correlation(own, painter.picture()) > 0.8
    assert correlation(small, own) > 0.97
    assert correlation(small.flip(3), own) < 0.6
    plain = F.interpolate(own, large.shape[2:], mode="bicubic")
    assert 0.02 < float((large - plain).std()) < 0.5 * float(own.std())  # with detail of its own
    assert torch.equal(painter.super_resolve(SuperResolveRequest(factor, seed=2)), large)
    assert not torch.equal(painter.super_resolve(SuperResolveRequest(factor, seed=3)), large)


@pytest.mark.parametrize(("mode", "batch_norm"), [("generation", False), ("harmonization", False), ("retarget", True)])
def test_enlarging_applies_the_last_stage_again(
    mode: Any, batch_norm: bool, landscape: SingleImage, monkeypatch: Any
) -> None:
    """In strips or whole, it is this loop with PyTorch's own bicubic; as large as it was, it is the reconstruction."""
    model = train(config(mode=mode, batch_norm=batch_norm), landscape, steps=2).double()
    with torch.no_grad():
        for p in model.generator.parameters():  # larger than at the start, so that every path counts
            p.copy_(
                torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) * (0.2 if p.ndim > 1 else 0.1)
            )
    model.noise_amps.fill_(0.3)
    same = model.super_resolve(SuperResolveRequest(1.001))
    assert float((same - model.reconstruct()).abs().max()) < 1e-6
    monkeypatch.setattr(networks, "STRIP", 10)
    ours = model.super_resolve(SuperResolveRequest(2.0, seed=4))

    g, choices = model.generator, torch.Generator().manual_seed(4)

    def bicubic(x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size, mode="bicubic", align_corners=True)

    with torch.no_grad():
        noises = [model.fixed_noise(k) for k in range(4)]
        x = trained = g.features(noises, model.noise_amps, model.sizes, g.feature_boxes(model.sizes, None))
        for h, w in enlarged_sizes((27, 36), 2.0):
            margin = 6 if mode == "generation" else 0
            noise = torch.randn((1, 6, h + margin, w + margin), generator=choices).double()
            wide = bicubic(x, (h + margin, w + margin)) + 0.3 * noise
            x = bicubic(x, (h, w)) + g.body[3](wide if margin else F.pad(wide, (3, 3, 3, 3)))
            # What they showed at the size trained on stays.
            lost = trained - F.interpolate(x, (27, 36), mode="bicubic", antialias=True)
            x = x + F.interpolate(lost, (h, w), mode="bicubic")
        expected = g.tail(F.pad(x, (1, 1, 1, 1)))
    assert ours.shape == (1, 3, 54, 72)
    assert expected.std() > 0.1
    assert float((ours - expected).abs().max()) < 1e-6  # the fixed noise is rounded to float32
