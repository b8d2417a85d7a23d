"""A LAPGAN's levels: one step by hand, what they see, and levels from elsewhere."""

import copy
import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gantool.data.batches import Batch
from gantool.engine.model import Context
from gantool.errors import RunError, UsageError
from gantool.families.acgan.config import ACGANConfig
from gantool.families.acgan.model import ACGAN
from gantool.families.lapgan.config import LAPGANConfig
from gantool.families.lapgan.model import LAPGAN
from gantool.family import DataShape, InterpolateRequest, RefineRequest, SampleRequest
from gantool.nn.laplacian import expand, reduce

SMALL = {"size": 16, "levels": "4,8,16", "width_g": "12,6", "width_d": "12,6", "nz": 5, "batch": 6}


def model(seed=0, shape=None, ready=True, **values):
    config = LAPGANConfig(**{**SMALL, **values})
    torch.manual_seed(seed)
    made = LAPGAN(config, shape or DataShape(config.size, config.size))
    for stage in made.stages() if ready else ():
        made.enter(stage)
    return made


def context(made, stage=0, dtype=torch.float32):
    return Context(torch.device("cpu"), torch.Generator().manual_seed(3), made.stages()[stage], dtype=dtype)


def pictures(count=6, side=16, dtype=torch.float32, channels=3):
    return 2 * torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(1), dtype=dtype) - 1


def give(whole, part):
    """The weights of the levels that `part` has."""
    own, theirs = part.state_dict(), whole.state_dict()
    part.load_state_dict({k: theirs[k] if k.startswith("pyramid.") else v for k, v in own.items()})


# --- training -------------------------------------------------------------------------------------------


def test_a_step_of_a_finer_level_by_hand():
    """The published code's step, re-derived: plain SGD with momentum on the mean of two cross-entropies, D before G."""
    made = model(
        ready=False, optimizer="sgd", lr_g=0.02, lr_d=0.01, beta1=0.5, momentum_end=0.5, noise="uniform",
        reuse_fakes=False, decay="none",
    )  # fmt: skip
    stages = made.stages()
    made.double()
    for stage in stages:
        made.enter(stage)
    level = made.levels[2]
    generator, discriminator = copy.deepcopy(level.generator), copy.deepcopy(level.discriminator)
    real = pictures(dtype=torch.float64)
    ctx = Context(torch.device("cpu"), torch.Generator().manual_seed(3), stages[2], dtype=torch.float64)
    found = made.train_step(iter([Batch(real, None)]), ctx)

    random = torch.Generator().manual_seed(3)
    noises = [2 * torch.rand(6, 1, 16, 16, generator=random, dtype=torch.float64) - 1 for _ in range(2)]
    coarse = F.interpolate(F.avg_pool2d(real, 2), size=(16, 16), mode="bilinear", align_corners=True)

    def bce(scores, target):
        return F.binary_cross_entropy(torch.sigmoid(scores), torch.full_like(scores, target))

    with torch.no_grad():
        fake = coarse + generator(noises[0], coarse, None)
    both = torch.cat([real, fake])  # half real, half generated: the mean over both at twice the rate
    targets = torch.cat([torch.ones(6), torch.zeros(6)]).double()
    d_loss = F.binary_cross_entropy(torch.sigmoid(discriminator(both, None)), targets)
    for p, gradient in zip(
        discriminator.parameters(), torch.autograd.grad(d_loss, list(discriminator.parameters())), strict=True
    ):
        p.data -= 0.02 * gradient
    g_loss = bce(discriminator(coarse + generator(noises[1], coarse, None), None), 1.0)
    for p, gradient in zip(
        generator.parameters(), torch.autograd.grad(g_loss, list(generator.parameters())), strict=True
    ):
        p.data -= 0.02 * gradient

    assert float(found["d_loss"]) == pytest.approx(2 * d_loss.item(), rel=1e-12)
    assert float(found["g_loss"]) == pytest.approx(g_loss.item(), rel=1e-12)
    for ours, theirs in ((level.generator, generator), (level.discriminator, discriminator)):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("pyramid", ["area", "binomial", "haar", "bicubic"])
def test_what_the_players_of_a_level_see(pyramid):
    """The discriminator reals of its level, and coarse plus difference; the generator the coarse picture enlarged."""
    made = model(pyramid=pyramid)
    level, real, ctx = made.levels[1], pictures(), context(made, 1)
    seen = {"g": [], "d": []}
    level.generator.register_forward_hook(lambda _, given, out: seen["g"].append((given, out)))
    level.discriminator.register_forward_pre_hook(lambda _, given: seen["d"].append(given[0]))
    made.train_step(iter([Batch(real, None)]), ctx)
    fine = reduce(real, (8, 8), pyramid)
    coarse = expand(reduce(fine, (4, 4), pyramid), (8, 8), pyramid)
    (noise, given, _), difference = seen["g"][0]
    assert noise.shape == (6, 1, 8, 8)
    assert torch.equal(given, coarse)
    assert torch.equal(seen["d"][0], fine)
    assert torch.equal(seen["d"][1], coarse + difference)


def test_only_the_level_of_the_stage_learns():
    made = model()
    before = {k: v.clone() for k, v in made.state_dict().items()}
    made.enter(made.stages()[1])
    made.train_step(iter([Batch(pictures(), None)]), context(made, 1))
    changed = {name.split(".")[1] for name, value in made.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"1"}


def test_a_level_learns_the_same_alone():
    """--level 2 has the weights that level 2 begins with in a run of all, and the same real coarse pictures."""
    whole, alone = model(), model(level="2")
    assert [stage.name for stage in alone.stages()] == ["level 2 (16 px)"]
    give(whole, alone)
    for made, stage in ((whole, 2), (alone, 0)):
        made.enter(made.stages()[stage])
        made.train_step(iter([Batch(pictures(), None)]), context(made, stage))
    for a, b in zip(whole.levels[2].parameters(), alone.levels[2].parameters(), strict=True):
        assert torch.equal(a, b)


def test_units_of_the_data():
    """In and out of the networks' units: a level trained on standardised pictures draws in [-1, 1] again."""
    made = model(standardise=True)
    level, mean, deviation = made.levels[1], torch.tensor([0.1, -0.2, 0.3]), torch.tensor([0.5, 0.25, 2.0])
    level.standardise(mean, deviation)
    real, seen, ctx = pictures(), [], context(made, 1)
    level.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    made.train_step(iter([Batch(real, None)]), ctx)
    fine = reduce(real, (8, 8), "area")
    assert torch.allclose(seen[0], (fine - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1), atol=1e-6)
    with torch.no_grad():
        for p in level.generator.parameters():
            p.zero_()
    start = reduce(fine, (4, 4), "area")
    drawn = made.refine(RefineRequest(start, 0, range(6), to=1))[-1]
    assert torch.allclose(drawn, expand(start, (8, 8), "area").clamp(-1, 1), atol=1e-6)


# --- drawing --------------------------------------------------------------------------------------------


def test_a_draw_is_a_climb():
    made = model()
    noise = made.latent([7])
    parts = noise.split([5, 64, 256], 1)
    with torch.no_grad():
        x = made.levels[0].generator(parts[0], None)
        for k, side in ((1, 8), (2, 16)):
            coarse = expand(x, (side, side), "area")
            x = coarse + made.levels[k].generator(parts[k].view(1, 1, side, side), coarse, None)
    assert torch.allclose(made.sample(SampleRequest([7])), x.clamp(-1, 1), atol=1e-6)


def test_noise_of_a_seed_differs_from_level_to_level_and_from_seed_to_seed():
    made = model(size=16, levels="2,16", nz=256)
    a, b = made.latent([3, 4]).split(256, 1)[:2]
    rows = torch.cat([a, b])
    likeness = torch.corrcoef(rows).fill_diagonal_(0)
    assert likeness.abs().max() < 0.3


def test_a_start_stays_and_noise_above_it_is_new():
    made = model()
    start = made.start([5])
    levels = made.refine(RefineRequest(start, 0, [1, 2, 1]))
    assert [x.shape for x in levels] == [(3, 3, 4, 4), (3, 3, 8, 8), (3, 3, 16, 16)]
    assert all(torch.equal(x, start[0]) for x in levels[0])
    for finer in levels[1:]:
        assert torch.equal(finer[0], finer[2])
        assert not torch.equal(finer[0], finer[1])
    assert torch.allclose(
        made.refine(RefineRequest(made.start([5]), 0, [5]))[-1], made.sample(SampleRequest([5])), atol=1e-6
    )
    with pytest.raises(ValueError, match="from level 2 to 1"):
        made.refine(RefineRequest(start, 2, [1], to=1))


def test_levels_that_have_not_begun_add_nothing():
    made = model(ready=False)
    made.enter(made.stages()[0])
    x = made.start([5])
    for side in (8, 16):
        x = expand(x, (side, side), "area")
    assert torch.allclose(made.sample(SampleRequest([5])), x, atol=1e-6)
    real = pictures()
    flat = made.seen(real)
    assert torch.equal(flat, expand(expand(made.reduced(real, 0), (8, 8), "area"), (16, 16), "area"))
    assert torch.equal(model().seen(real), real)


@pytest.mark.parametrize("side", [17, 30, 31, 33])
def test_pictures_of_any_side_come_down_with_every_filter(side):
    for pyramid in ("binomial", "haar", "bicubic"):
        made = model(pyramid=pyramid)
        first = reduce(pictures(side=side), (16, 16), "area")
        assert torch.equal(made.reduced(pictures(side=side), 1), reduce(first, (8, 8), pyramid))


@pytest.mark.parametrize(("pyramid", "levels"), [("area", "4,8,16"), ("haar", "4,8,16"), ("area", "4,16")])
def test_kept_coarse_pictures_come_back_when_draws_are_reduced(pyramid, levels):
    made = model(pyramid=pyramid, levels=levels, keep_coarse=True)
    start = 0.2 * pictures(3, 4)  # far from -1 and 1, where pictures are clipped
    with torch.no_grad():
        for level in made.levels:
            list(level.generator.parameters())[-1].mul_(0).add_(0.3)  # a difference that moves all colours
    drawn = made.refine(RefineRequest(start, 0, [0, 1, 2]))[-1]
    assert torch.allclose(made.reduced(drawn, 0), start, atol=1e-6)
    free = model(pyramid=pyramid, levels=levels)
    free.load_state_dict(made.state_dict())
    assert (free.reduced(free.refine(RefineRequest(start, 0, [0, 1, 2]))[-1], 0) - start).abs().max() > 0.1


def test_mode_seeking_is_the_inverse_of_how_far_draws_on_a_picture_are_apart():
    """Mao et al. 2019, eq. 4, with the mean distance of two normal numbers, 2 / sqrt(pi), below."""
    made = model(mode_seeking=0.5)
    level, ctx = made.levels[1], context(made, 1)
    real = Batch(pictures(6, 8), None, pictures(6, 4))
    fake = level.draw(real, ctx)
    noise = ctx.generator.get_state()
    loss = level.further_loss(real, fake, ctx)
    ctx.generator.set_state(noise)
    apart = (fake - level.draw(real, ctx)).abs().mean()
    assert loss.item() == pytest.approx(0.5 / (apart.item() * math.pi**0.5 / 2 + 1e-5), rel=1e-5)
    assert made.levels[0].further_loss(Batch(pictures(6, 4), None), fake, ctx) is None
    assert model().levels[1].further_loss(real, fake, ctx) is None


def test_reduced_goes_by_every_level_above():
    made, real = model(), pictures(side=40)
    by_steps = reduce(reduce(reduce(real, (16, 16), "area"), (8, 8), "area"), (4, 4), "area")
    assert torch.equal(made.reduced(real, 0), by_steps)
    assert torch.equal(made.reduced(pictures(side=8), 1), pictures(side=8))
    assert torch.equal(
        made.reduced(pictures(side=10), 0), reduce(reduce(pictures(side=10), (8, 8), "area"), (4, 4), "area")
    )
    with pytest.raises(ValueError, match="pictures of 7 pixels, and a level of 8"):
        made.reduced(pictures(side=7), 1)


def test_a_run_of_finer_levels_alone_begins_with_pictures():
    made = model(level="1,2")
    assert not made.complete
    way = InterpolateRequest([0, 1], 2)
    for refused in (
        lambda: made.sample(SampleRequest([0])),
        lambda: made.start([0]),
        lambda: list(made.interpolate(way)),
    ):
        with pytest.raises(RunError, match="lacks coarser levels"):
            refused()
    assert not model(level="0,2").complete
    assert model(level="0").complete
    assert {name.split(".")[1] for name in model(level="1").state_dict() if "." in name} == {"1"}
    made.kept.copy_(((pictures(8) + 1) * 127.5).round().to(torch.uint8))
    assert made.preview().shape == (32, 3, 16, 16)
    assert made.refine(RefineRequest(pictures(2, 4), 0, [0, 1]))[-1].shape == (2, 3, 16, 16)


# --- levels from elsewhere ------------------------------------------------------------------------------


def acgan(side=16, classes=3, channels=3):
    torch.manual_seed(9)
    config = ACGANConfig(size=side, ngf=4, ndf=4, nz=6)
    return ACGAN(config, DataShape(side, side, channels, classes))


def test_another_familys_generator_is_the_coarsest_level():
    classes = DataShape(32, 32, classes=3)
    made, theirs = model(shape=classes, size=32, levels="16,32", level_model="0=acgan:x"), acgan()
    drawn = theirs.sample(SampleRequest([4, 5], labels=[2, 0]))
    made.adopt(0, theirs)
    assert torch.equal(made.start([4, 5], labels=[2, 0]), drawn)
    assert made.sample(SampleRequest([4], labels=[1])).shape == (1, 3, 32, 32)
    assert [stage.name for stage in made.stages()] == ["level 1 (32 px)"]
    made.enter(made.stages()[0])
    before = {k: v.clone() for k, v in made.state_dict().items() if k.startswith("pyramid.0.")}
    made.train_step(iter([Batch(pictures(side=32), torch.zeros(6, dtype=torch.int64))]), context(made))
    assert all(torch.equal(v, made.state_dict()[k]) for k, v in before.items())


def test_a_larger_generator_is_made_smaller_and_draws_classes_of_its_own():
    made, theirs = model(level_model="0=acgan:x"), acgan()
    drawn = reduce(theirs.sample(SampleRequest([4, 5])), (4, 4), "area")
    made.adopt(0, theirs)
    assert torch.allclose(made.start([4, 5]), drawn, atol=1e-6)
    way = torch.cat(list(made.interpolate(InterpolateRequest([4, 5, 6], 4))))  # classes 1, 2, 0: no others between
    assert way.shape == (9, 3, 16, 16)
    classes = made.levels[0].latent([4, 5, 6])[:, 6:].argmax(1)
    assert classes.tolist() == [1, 2, 0]


def test_levels_of_other_runs_make_a_whole():
    """Three runs of one level each, put together, draw what the run of all three draws."""
    whole = model(seed=4)
    made = model(seed=8, level="none", level_model="0=lapgan:a,1=lapgan:b,2=lapgan:c")
    for k in range(3):
        part = model(seed=k, level=str(k))
        give(whole, part)
        made.adopt(k, part)
    assert [stage.steps for stage in made.stages()] == [0]
    assert torch.equal(made.sample(SampleRequest(range(5))), whole.sample(SampleRequest(range(5))))
    assert made.complete


@pytest.mark.parametrize(
    ("place", "theirs", "said"),
    [
        (1, lambda: acgan(), "draws whole pictures, and level 1 is one of differences"),
        (0, lambda: acgan(channels=1), "draws grey pictures of 16x16"),
        (0, lambda: acgan(side=16, classes=5), "has 5 classes, and the data has 3"),
        (0, lambda: model(levels="8,16"), "no trained level of 4 pixels"),
        (1, lambda: model(levels="2,8,16"), "no trained level from 4 to 8 pixels"),
        (1, lambda: model(level="0"), "no trained level from 4 to 8"),
        (1, lambda: model(shape=DataShape(16, 16)), "trained with other classes"),
        (1, lambda: model(pyramid="haar"), "has --pyramid haar, this run area"),
    ],
)
def test_what_does_not_fit_is_refused(place, theirs, said):
    made = model(shape=DataShape(16, 16, classes=3), level_model=f"{place}=x:y")
    with pytest.raises(UsageError, match=said):
        made.adopt(place, theirs())


def test_smaller_generators_are_refused():
    made = model(size=32, levels="20,32", level_model="0=acgan:x")
    with pytest.raises(UsageError, match="draws colour pictures of 16x16 pixels; level 0 has colour ones of 20x20"):
        made.adopt(0, acgan())


def test_shapes_tell_levels_apart():
    made = model(shape=DataShape(16, 16, count=50))
    assert [dataclasses.astuple(level.shape)[:2] for level in made.levels] == [(4, 4), (8, 8), (16, 16)]
    assert made.level_sides == [4, 8, 16]
    assert isinstance(made.drawing, nn.ModuleList)
