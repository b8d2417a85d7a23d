"""What harmonisation and editing train on: how often what is done, and that nothing else is."""

from __future__ import annotations

import colorsys
import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from gantool.families.consingan import augment


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_picture(height: int, width: int, seed: int = 0) -> Tensor:
    """No two pixels alike, and no value at either end."""
    return torch.rand(1, 3, height, width, generator=seeded(seed)) * 1.8 - 0.9


def expect(count: int, n: int, probability: float) -> None:
    """Within five standard deviations of a binomial."""
    deviation = math.sqrt(n * probability * (1 - probability))
    assert abs(count - n * probability) < 5 * deviation, (count, n, probability)


def changed(before: Tensor, after: Tensor) -> Tensor:
    """(H, W): where any channel differs."""
    return (before != after).any(1)[0]


# --- harmonisation --------------------------------------------------------------------------------------------


def test_how_often_a_picture_is_recoloured_and_cut() -> None:
    picture, n = noise_picture(120, 140), 3000
    seen: Counter[str] = Counter()
    for seed in range(n):
        share = float(changed(picture, augment.distort(picture, seeded(seed))).float().mean())
        # Holes cover at most 60 x 60 of 120 x 140 pixels; a new colour changes all of them.
        seen["all" if share > 0.5 else "some" if share else "none"] += 1
    recoloured = 0.25 * (1 - 0.3125 / 2 / 6)  # channels that are shuffled into their own order do not show
    expect(seen["all"], n, recoloured)
    expect(seen["some"], n, (1 - recoloured) * 0.9)
    expect(seen["none"], n, (1 - recoloured) * 0.1)


def effect_of(before: Tensor, after: Tensor) -> str:
    """Which effect it was, from the two pictures alone."""
    x, y = (before[0] + 1) * 127.5, (after[0] + 1) * 127.5
    if torch.allclose(y, 255 - x, atol=1e-3):
        return "invert"
    tones = [0.393 * x[0] + 0.769 * x[1] + 0.189 * x[2]]
    tones += [0.349 * x[0] + 0.686 * x[1] + 0.168 * x[2], 0.272 * x[0] + 0.534 * x[1] + 0.131 * x[2]]
    if torch.allclose(y, torch.stack(tones).clamp(0, 255), atol=1e-3):
        return "sepia"
    if (y == 0).flatten(1).all(1).sum() == 1:
        return "drop"
    if torch.allclose(y.sort(0).values, x.sort(0).values, atol=1e-3):
        return "shuffle"
    inside = ((y > 1e-3) & (y < 255 - 1e-3)).all(0)
    difference = (y - x)[:, inside]
    if (difference - difference[:1]).abs().max() < 1e-3:
        return "grey noise"
    hues = [[colorsys.rgb_to_hsv(*pixel)[0] for pixel in (z[:, inside].T / 255).tolist()] for z in (x, y)]
    turns = (np.subtract(hues[1], hues[0]) + 0.5) % 1 - 0.5
    if turns.std() < 1e-3:  # every hue by the same angle
        return "shift"
    return "multiply" if difference.abs().max() > 45 else "noise"


def test_how_often_which_effect() -> None:
    """The library takes the probabilities of alternatives as weights, level by level."""
    picture, n = noise_picture(8, 40), 3000
    # Away from the ends, so that noise is not cut off; one channel ahead, so that each pixel has a hue.
    picture = picture * 0.3 + torch.tensor([0.35, 0.0, -0.35]).reshape(1, 3, 1, 1)
    seen = Counter(effect_of(picture, augment.recolour(picture, seeded(seed))) for seed in range(n))
    total, noises = 0.5 + 0.5 + 0.5 + 0.1, 0.2 + 0.5 + 0.5
    expected = {
        "multiply": 0.5 / total * 0.2 / noises,
        "grey noise": 0.5 / total * 0.5 / noises,
        "noise": 0.5 / total * 0.5 / noises,
        "invert": 0.5 / total / 2,
        "sepia": 0.5 / total / 2,
        "drop": 0.5 / total / 2,
        "shuffle": 0.5 / total / 2,
        "shift": 0.1 / total,
    }
    assert sum(expected.values()) == pytest.approx(1)
    assert seen.keys() == expected.keys()
    for name, probability in expected.items():
        expect(seen[name], n, probability)


def test_how_strong_the_noises_are() -> None:
    levels = torch.full((1, 3, 60, 80), 128.0)
    grey, own, factors = [], [], []
    for seed in range(300):
        grey.append(float((augment.add_grey_noise(levels, seeded(seed)) - 128)[:, 0].std()))
        own.append(float((augment.add_noise(levels, seeded(seed)) - 128).var()))
        factors.append(augment.multiply(levels, seeded(seed)) / 128)
    for values, low, high in ((grey, 0.01 * 255, 0.05 * 255), (own, 10, 50)):
        assert low * 0.95 < min(values) < low + (high - low) * 0.1
        assert high - (high - low) * 0.1 < max(values) < high * 1.05
        assert np.mean(values) == pytest.approx((low + high) / 2, rel=0.05)
    all_factors = torch.stack(factors)
    assert float(all_factors.min()) == pytest.approx(0.5, abs=1e-4)
    assert float(all_factors.max()) == pytest.approx(1.5, abs=1e-4)
    assert float(all_factors.var()) == pytest.approx(1 / 12, rel=0.01)  # of U(0.5, 1.5)
    together = np.corrcoef(augment.multiply(levels, seeded(1))[0].flatten(1).numpy())
    assert abs(together[0, 1]) < 0.1  # each channel has its own


@pytest.mark.parametrize("hue", [-20.0, 7.5, 20.0])
@pytest.mark.parametrize(("saturation", "value"), [(0.0, 0.0), (30.0, -20.0), (-30.0, 20.0)])
def test_colours_shift_as_in_colorsys(hue: float, saturation: float, value: float) -> None:
    levels = torch.rand(1, 3, 6, 9, generator=seeded(4), dtype=torch.float64) * 255
    levels[..., 0] = torch.tensor([0.0, 10, 77, 200, 255, 131])  # greys
    levels[0, :, 0, 1], levels[0, :, 1, 1] = torch.tensor([[255.0, 0, 0], [0, 255, 255]]).double()
    shifted = augment.shift_hsv(levels, hue, saturation, value)
    for pixel, ours in zip(levels[0].flatten(1).T.tolist(), shifted[0].flatten(1).T.tolist(), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(channel / 255 for channel in pixel))
        h, s, v = (h + hue / 180) % 1, min(max(s + saturation / 255, 0), 1), min(max(v + value / 255, 0), 1)
        assert [channel / 255 for channel in ours] == pytest.approx(colorsys.hsv_to_rgb(h, s, v), abs=1e-9)


def test_effects_stay_within_the_picture() -> None:
    picture = noise_picture(20, 24) * 1.11
    for seed in range(200):
        done = augment.recolour(picture, seeded(seed))
        assert done.shape == picture.shape
        assert float(done.abs().max()) <= 1


@pytest.mark.parametrize(("side", "shrink"), [(120, 1.0), (150, 1.0), (60, 0.5), (24, 0.2)])
def test_holes(side: int, shrink: float) -> None:
    """Their number, sizes, colour and place; on a coarsest stage below 120 pixels they shrink with it."""
    height, width, n = side, side + 10, 500
    picture = noise_picture(height, width)
    sides: dict[int, list[tuple[int, int]]] = {1: [], 2: []}
    middles = []
    for seed in range(n):
        number = int(torch.randint(1, 3, (), generator=seeded(seed)))  # the first of its choices
        after = augment.cut_holes(picture, seeded(seed))
        where = changed(picture, after).numpy()
        colours = after[0, :, where]
        assert colours.numel() > 0
        assert (colours == colours[:, :1]).all()  # one of them
        labels, parts = ndimage.label(where)
        assert parts <= number
        for i, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
            if parts < number or rows.stop == height or columns.stop == width:
                continue  # two that touch, or one cut off by the border
            assert (labels[rows, columns] == i).all()  # a rectangle
            sides[number].append((rows.stop - rows.start, columns.stop - columns.start))
            middles.append(((rows.start + rows.stop) / 2 / height, (columns.start + columns.stop) / 2 / width))
    for number, least, most in ((1, 30, 60), (2, 15, 30)):
        low, high = round(shrink * least), round(shrink * most)
        found = np.array(sides[number])
        assert found.min() == low
        assert found.max() >= high - 1 - (high - low) // 10
        assert found.max() <= high
        assert abs(np.corrcoef(found.T)[0, 1]) < 0.3  # each side is drawn for itself
    assert np.ptp(middles, axis=0).min() > 0.6  # anywhere


def test_one_hole_or_two() -> None:
    picture, n = noise_picture(300, 300), 500
    parts = Counter(
        ndimage.label(changed(picture, augment.cut_holes(picture, seeded(seed))).numpy())[1] for seed in range(n)
    )
    # Two of 22 pixels on average touch where their middles are closer than that both ways.
    touching = (2 * 22.5 / 300) ** 2
    expect(parts[2], n, 0.5 * (1 - touching))


def test_hole_colours_are_those_of_8_bits() -> None:
    colours = []
    for seed in range(600):
        picture = noise_picture(120, 120)
        after = augment.cut_holes(picture, seeded(seed))
        y, x = torch.nonzero(changed(picture, after))[0].tolist()
        colours.append((after[0, :, y, x] + 1) * 127.5)
    levels = torch.stack(colours)
    assert (levels - levels.round()).abs().max() < 1e-4
    assert 0 <= levels.min() < 3
    assert 252 < levels.max() <= 255
    assert float(levels.mean()) == pytest.approx(127.5, abs=5 * 74 / math.sqrt(1800))


# --- editing --------------------------------------------------------------------------------------------------

H, W = 200, 260  # large, so that hardly two tiles make the same move
BOUNDS = {1: (0.2, 0.5, 0.15), 2: (0.15, 0.3, 0.1), 3: (0.1, 0.2, 0.1), 4: (0.1, 0.15, 0.1), 5: (0.1, 0.15, 0.1)}
PLACES = torch.stack([*torch.meshgrid(torch.arange(H) / H, torch.arange(W) / W, indexing="ij"), torch.zeros(H, W)])


def moves(after: Tensor) -> list[tuple[int, int, Tensor]]:
    """(rows down, columns across, the places (n, 2) that pixels went to) of every move that shows."""
    source = torch.stack([(after[0, 0] * H).round().long(), (after[0, 1] * W).round().long()])
    assert torch.equal(after[0], PLACES[:, source[0], source[1]])  # copies of the picture's own pixels, exactly
    here = torch.stack(torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij"))
    way = here - source
    codes = way[0] * 2 * W + way[1]  # a number for each way, as numbers are found sooner than pairs
    found = []
    for code in codes[codes != 0].unique().tolist():
        pixels = torch.nonzero(codes == code)
        down, across = way[:, *pixels[0]].tolist()
        found.append((down, across, pixels))
    return found


def test_tiles() -> None:
    senses: Counter[bool] = Counter()
    seen: Counter[int] = Counter()
    sides: dict[int, list[int]] = {number: [] for number in BOUNDS}
    n = 300
    for seed in range(n):
        found = moves(augment.shuffle_tiles(PLACES[None], seeded(seed)))
        seen[len(found)] += 1
        number = int(torch.randint(1, 6, (), generator=seeded(seed)))  # the first of its choices
        assert len(found) <= number
        _, greatest, farthest = BOUNDS[number]
        for down, across, pixels in found if len(found) == number else []:  # else two made the same move
            assert down * across >= 0  # in the same sense
            assert abs(down) <= int(farthest * H)
            assert abs(across) <= int(farthest * W)
            senses[down + across > 0] += 1
            (top, left), (bottom, right) = pixels.amin(0).tolist(), pixels.amax(0).tolist()
            tall, wide = bottom - top + 1, right - left + 1
            assert tall <= int(greatest * H)
            assert wide <= int(greatest * W)
            if number == 1:
                assert len(pixels) == tall * wide  # a rectangle
            if bottom - down < H - 1 and right - across < W - 1:  # not cut off where it came from
                sides[number].append(tall)
                assert number > 1 or tall >= int(0.2 * H)
            if top > 0 and bottom < H - 1 and left > 0 and right < W - 1:  # nor stopped where it went
                assert abs(down) >= int(0.05 * H)
                assert abs(across) >= int(0.05 * W)
    for number, (smallest, greatest, _) in BOUNDS.items():
        assert max(sides[number]) > int((0.1 * smallest + 0.9 * greatest) * H)
        assert np.median(sides[number]) > smallest * H  # most are not covered by others
    expect(senses[True], sum(senses.values()), 0.5)
    # One to five are equally likely; a few are empty, since they begin at the far border, or lie on each other.
    assert sum(seen.values()) == n
    for number in (1, 2, 3, 4):
        assert 0.13 * n < seen[number] < 0.27 * n
    assert 0.11 * n < seen[5] < 0.24 * n
    assert seen[0] < 0.03 * n


# --- both -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", [augment.distort, augment.shuffle_tiles])
def test_a_generator_decides_and_the_picture_is_left_alone(spoil: augment.Effect) -> None:
    picture = noise_picture(26, 34)
    before, random = picture.clone(), torch.get_rng_state()
    different = 0
    for seed in range(40):
        first = spoil(picture, seeded(seed))
        assert torch.equal(first, spoil(picture, seeded(seed)))
        different += not torch.equal(first, spoil(picture, seeded(seed + 1000)))
    assert different > 30
    assert torch.equal(picture, before)
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("size", [(11, 11), (11, 200), (13, 17)])
@pytest.mark.parametrize("spoil", [augment.distort, augment.shuffle_tiles])
def test_the_smallest_pictures_work(spoil: augment.Effect, size: tuple[int, int]) -> None:
    picture = noise_picture(*size)
    for seed in range(100):
        assert spoil(picture, seeded(seed)).shape == picture.shape
