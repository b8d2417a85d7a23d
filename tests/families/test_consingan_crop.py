"""Training on crops: a crop of the generated picture is computed from parts alone, and exactly."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.engine.model import Context
from gantool.families.consingan.config import ConSinGANConfig
from gantool.families.consingan.model import ConSinGAN
from gantool.families.consingan.networks import Critic, Generator, cut_box
from gantool.family import DataShape

SIZES = [(20, 26), (31, 40), (41, 53), (53, 68), (70, 91)]
Box = tuple[tuple[int, int], tuple[int, int]]


def build(layers: int, noisy_border: bool, stages: int = 5) -> tuple[Generator, list[Tensor], Tensor]:
    """A grown generator in float64, with larger weights than at the start so that every path counts."""
    torch.manual_seed(layers)
    g = Generator(6, layers, "lrelu", 0.05, False, noisy_border).double()
    for _ in range(stages - 1):
        g.grow()
    with torch.no_grad():
        for p in g.parameters():
            p.copy_(torch.randn_like(p) * (0.13 if p.ndim == 4 else 0.05))
    noises = [torch.randn(1, *g.noise_shape(k, SIZES[k]), dtype=torch.float64) for k in range(stages)]
    return g, noises, torch.linspace(1.0, 0.2, stages, dtype=torch.float64)


def crops(size: tuple[int, int], side: tuple[int, int]) -> list[Box]:
    """All corners, the middles of all borders, and some inside."""
    (h, w), (a, b) = size, side
    rng = random.Random(0)
    places = list(product((0, (h - a) // 2, h - a), (0, (w - b) // 2, w - b)))
    places += [(1, 1), (h - a - 1, w - b - 1)]
    places += [(rng.randint(0, h - a), rng.randint(0, w - b)) for _ in range(6)]
    return [((y, y + a), (x, x + b)) for y, x in places]


@pytest.mark.parametrize("noisy_border", [True, False])
@pytest.mark.parametrize("layers", [2, 3])
@torch.no_grad()
def test_a_crop_is_the_crop_of_the_whole(layers: int, noisy_border: bool) -> None:
    g, noises, amps = build(layers, noisy_border)
    whole = g(noises, amps, SIZES)
    assert whole.shape == (1, 3, *SIZES[-1])
    assert whole.std() > 0.1  # neither flat nor saturated: there is something to compare
    assert (whole.abs() > 0.999).double().mean() < 0.5
    for side in ((24, 24), (16, 33)):
        for crop in crops(SIZES[-1], side):
            part = g(noises, amps, SIZES, crop)
            assert part.shape == (1, 3, *side)
            assert (part - cut_box(whole, crop)).abs().max() < 1e-12


@pytest.mark.parametrize("noisy_border", [True, False])
@pytest.mark.parametrize("layers", [2, 3])
def test_the_parts_really_are_parts(layers: int, noisy_border: bool) -> None:
    g, noises, _ = build(layers, noisy_border)
    inner: Box = ((30, 54), (40, 64))
    boxes = g.feature_boxes(SIZES, inner)
    shares = []
    for k, (box, size) in enumerate(zip(boxes, SIZES, strict=True)):
        noise = cut_box(noises[k], g.noise_box(k, box, size))
        shares.append(noise.shape[2] * noise.shape[3] / (noises[k].shape[2] * noises[k].shape[3]))
        for (start, stop), length in zip(box, size, strict=True):
            assert 0 <= start < stop <= length
    assert shares[0] == 1  # the coarsest is always whole
    assert boxes[-1] == ((29, 55), (39, 65))  # the tail sees one pixel around
    assert shares[-1] < 0.2
    assert shares[-2] < 0.45


def test_outside_of_its_boxes_noise_does_not_matter() -> None:
    g, noises, amps = build(3, True)
    crop: Box = ((30, 54), (40, 64))
    boxes = g.feature_boxes(SIZES, crop)
    spoilt = []
    for k, noise in enumerate(noises):
        box = g.noise_box(k, boxes[k], SIZES[k])
        other = torch.full_like(noise, float("nan")) if k else noise.clone()
        cut_box(other, box).copy_(cut_box(noise, box))
        spoilt.append(other)
    with torch.no_grad():
        assert torch.equal(g(spoilt, amps, SIZES, crop), g(noises, amps, SIZES, crop))


@pytest.mark.parametrize("noisy_border", [True, False])
def test_gradients_of_a_crop_are_those_of_the_whole(noisy_border: bool) -> None:
    g, noises, amps = build(3, noisy_border)
    weight = torch.randn(1, 3, 24, 24, dtype=torch.float64)
    crop: Box = ((0, 24), (60, 84))
    for p in g.parameters():
        p.requires_grad_(True)
    parameters = list(g.parameters())
    of_whole = torch.autograd.grad((cut_box(g(noises, amps, SIZES), crop) * weight).sum(), parameters)
    of_crop = torch.autograd.grad((g(noises, amps, SIZES, crop) * weight).sum(), parameters)
    for a, b in zip(of_whole, of_crop, strict=True):
        assert (a - b).abs().max() <= 1e-11 * (1 + a.abs().max())


def critic64(layers: int = 2) -> tuple[Critic, Tensor]:
    torch.manual_seed(7)
    critic = Critic(5, layers, "lrelu", 0.2).double()
    with torch.no_grad():
        for p in critic.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
    return critic, torch.randn(1, 3, 30, 34, dtype=torch.float64)


def coverage(length: int, window: int) -> Tensor:
    """How many of the windows of `window` samples cover each of `length` samples."""
    i = torch.arange(length, dtype=torch.float64)
    return torch.minimum(torch.minimum(i + 1, length - i), torch.tensor(float(min(window, length - window + 1))))


def test_the_scores_of_crops_average_to_the_scores_of_the_whole() -> None:
    """Without padding, a crop's scores are those of the whole at its place.

    So the mean over all places is a mean of the whole score map, in which a score counts as often as crops
    cover it: uniformly inside, less towards the borders. Values and gradients alike.
    """
    critic, image = critic64()
    side, field = 20, 9
    scores = critic(image)
    assert scores.shape == (1, 1, 30 - field + 1, 34 - field + 1)
    rows, columns = (coverage(n, side - field + 1) for n in scores.shape[2:])
    weights = rows[:, None] * columns
    weights = weights / weights.sum()
    places = list(product(range(30 - side + 1), range(34 - side + 1)))
    total = torch.zeros((), dtype=torch.float64)
    for y, x in places:
        part = critic(image[:, :, y : y + side, x : x + side])
        expected = scores[:, :, y : y + side - field + 1, x : x + side - field + 1]
        assert (part - expected).abs().max() < 1e-11
        total = total + part.mean() / len(places)
    closed = (scores[0, 0] * weights).sum()
    assert (total - closed).abs() < 1e-11
    parameters = list(critic.parameters())
    for a, b in zip(
        torch.autograd.grad(total, parameters),
        torch.autograd.grad(closed, parameters, retain_graph=True),
        strict=True,
    ):
        assert (a - b).abs().max() <= 1e-10 * (1 + b.abs().max())
    # Where coverage is even, the weights are too.
    inside = weights[10:12, 11:15]
    assert torch.equal(inside, inside[:1, :1].expand(2, 4))


# ---- as the model trains -----------------------------------------------------------------------------------


def context(model: ConSinGAN, k: int, step: int, seed: int = 3) -> Context:
    return Context(torch.device("cpu"), torch.Generator().manual_seed(seed), model.stages()[k], step)


def model_at(config: ConSinGANConfig, shape: tuple[int, int] = (60, 80)) -> ConSinGAN:
    torch.manual_seed(0)
    model = ConSinGAN(config, DataShape(*shape))
    for stage in model.stages():
        model.enter(stage)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * (0.2 if p.ndim == 4 else 0.05))
        model.real.uniform_(-1, 1)
        for k in range(len(model.sizes)):
            model.fixed_noise(k).normal_()
        model.noise_amps.fill_(0.5)
    return model


SMALL = ConSinGANConfig(
    stages=4, max_size=80, min_size=20, channels=6, iterations=5, crop=24, crop_from=2, train_depth=2
)


@pytest.mark.parametrize("mode", ["generation", "retarget"])
@pytest.mark.parametrize("depth", [1, 2, 4])
@torch.no_grad()
def test_the_reconstruction_trained_on_is_a_crop_of_the_reconstruction(mode: str, depth: int) -> None:
    model = model_at(replace(SMALL, mode=mode, train_depth=depth))
    k = 3
    for step in range(6):
        ctx = context(model, k, step)
        crop = model._draw_crop(ctx)
        assert crop is not None
        fake, reconstruction = model._generate_pair(ctx, k, crop)
        assert fake.shape == reconstruction.shape == (1, 3, 24, 24)
        assert (reconstruction - cut_box(model.reconstruct(), crop)).abs().max() < 1e-5
        assert (fake - reconstruction).abs().max() > 1e-2


def test_crops_are_spread_over_all_places() -> None:
    model = model_at(SMALL)
    height, width = model.sizes[3]
    corners = set()
    for step in range(3000):
        crop = model._draw_crop(context(model, 3, step))
        assert crop is not None
        (y0, y1), (x0, x1) = crop
        assert (y1 - y0, x1 - x0) == (24, 24)
        assert min(y0, x0) >= 0
        assert y1 <= height
        assert x1 <= width
        corners.add((y0, x0))
    rows, columns = {y for y, _ in corners}, {x for _, x in corners}
    assert rows == set(range(height - 24 + 1))
    assert columns == set(range(width - 24 + 1))


def test_a_place_follows_from_seed_stage_and_step() -> None:
    model = model_at(SMALL)
    places = [model._draw_crop(context(model, 3, step)) for step in range(20)]
    assert places == [model._draw_crop(context(model, 3, step)) for step in range(20)]
    assert places != [model._draw_crop(context(model, 2, step)) for step in range(20)]
    assert places != [model._draw_crop(context(model, 3, step, seed=4)) for step in range(20)]


def test_where_nothing_is_cropped() -> None:
    model = model_at(SMALL)
    assert model._draw_crop(context(model, 0, 0)) is None  # below crop_from
    off = model_at(replace(SMALL, crop=0))
    assert off._draw_crop(context(off, 3, 0)) is None
    large = model_at(replace(SMALL, crop=200))
    assert large._draw_crop(context(large, 3, 0)) is None
    wide = model_at(replace(SMALL, crop=70))  # wider than the picture is high: whole columns
    crop = wide._draw_crop(context(wide, 3, 0))
    assert crop is not None
    assert crop[0] == (0, wide.sizes[3][0])
    assert crop[1][1] - crop[1][0] == 70


def test_one_crop_as_large_as_the_picture_trains_as_the_whole() -> None:
    """Boxes that hold everything give the same losses and weights as no boxes at all."""
    results = []
    for crop in (0, 79):
        model = model_at(replace(SMALL, crop=crop)).double()
        if crop:
            h, w = model.sizes[3]
            model._draw_crop = lambda ctx, h=h, w=w: ((0, h), (0, w))  # type: ignore[method-assign]
        ctx = context(model, 3, 0)
        ctx.dtype = torch.float64  # else Adam makes whole steps of rounding where a gradient is nearly zero
        before = [p.detach().clone() for p in model.parameters()]
        losses = model.train_step(None, ctx)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        after = [p.detach().clone() for p in model.parameters()]
        assert any((a - b).abs().max() > 1e-4 for a, b in zip(before, after, strict=True))
        results.append((losses, gradients, after))
    for name, value in results[0][0].items():
        assert F.l1_loss(value, results[1][0][name]) < 1e-11 * (1 + value.abs()), name
    for a, b in zip(results[0][1], results[1][1], strict=True):
        assert (a - b).abs().max() <= 1e-11 * (1 + a.abs().max())
    for a, b in zip(results[0][2], results[1][2], strict=True):
        assert (a - b).abs().max() < 1e-7
