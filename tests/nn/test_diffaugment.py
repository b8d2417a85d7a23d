"""DiffAugment: what it does to pictures is measured on them, and compared with Zhao et al. 2020 and loops in NumPy."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from gantool.errors import ConfigError
from gantool.nn.diffaugment import diff_augment
from gantool.nn.policies import POLICIES, parse_policy


class Draw:
    """Uniform numbers from a seed."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape):
        return torch.rand(shape, generator=self.generator)


def pictures(count, channels=3, height=16, width=16, seed=1):
    random = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, channels, height, width, generator=random, dtype=torch.float64) - 1


def one_in_many(x, count):
    return x.expand(count, -1, -1, -1)


# --- names --------------------------------------------------------------------------------------------------


def test_names():
    assert parse_policy("") == parse_policy(" , ") == ()
    assert parse_policy("cutout, color,cutout") == ("color", "cutout")
    assert parse_policy(",".join(reversed(POLICIES))) == POLICIES
    with pytest.raises(ConfigError, match="colour"):
        parse_policy("color,colour")


def test_without_a_name_nothing_happens():
    x = pictures(3)
    assert torch.equal(diff_augment(x, "", Draw()), x)


# --- color --------------------------------------------------------------------------------------------------


def measured_colours(count, seed=0):
    """Brightness, saturation and contrast that each of many copies of a picture was given, measured on it.

    Neither saturation nor contrast moves the mean of a picture; saturation leaves alone what is grey.
    """
    x = pictures(1)
    y = diff_augment(one_in_many(x, count), "color", Draw(seed))
    mean_x, mean_y = x.mean((1, 2, 3), keepdim=True), y.mean((1, 2, 3), keepdim=True)
    grey_x, grey_y = x.mean(1, keepdim=True), y.mean(1, keepdim=True)

    def ratio(a, b):
        factors = a / b
        assert (factors.flatten(1).std(1) < 1e-6).all()  # the same everywhere in a picture
        return factors.flatten(1).mean(1).numpy()

    contrast = ratio(grey_y - mean_y, grey_x - mean_x)
    return (mean_y - mean_x).flatten().numpy(), ratio(y - grey_y, x - grey_x) / contrast, contrast


def test_brightness_saturation_and_contrast_are_uniform_in_their_ranges():
    brightness, saturation, contrast = measured = measured_colours(5000)
    for found, low, high in ((brightness, -0.5, 0.5), (saturation, 0, 2), (contrast, 0.5, 1.5)):
        assert low - 1e-6 <= found.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < found.max() <= high + 1e-6
        assert stats.kstest(found, "uniform", (low, high - low)).pvalue > 0.01
    correlations = np.corrcoef(measured)
    assert np.abs(correlations - np.eye(3)).max() < 0.06  # each is drawn by itself


@pytest.mark.parametrize("channels", [1, 3])
def test_saturation_changes_nothing_that_is_grey(channels):
    x = pictures(50, 1).expand(-1, channels, -1, -1)
    y = diff_augment(x, "color", Draw())
    assert (y - y.mean(1, keepdim=True)).abs().max() < 1e-12
    # What is left is brighter and of another contrast: y = a x + b.
    for before, after in zip(x[:, 0].flatten(1).numpy(), y[:, 0].flatten(1).numpy(), strict=True):
        slope, shift = np.polyfit(before, after, 1)
        assert 0.5 <= slope <= 1.5
        np.testing.assert_allclose(after, slope * before + shift, atol=1e-9)


# --- translation --------------------------------------------------------------------------------------------


def key(x):
    return hash((x + 0.0).tobytes())  # -0 becomes 0


def moved(x, down, right):
    """(C, H, W) moved by loops; 0 comes in."""
    out = np.zeros_like(x)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            if 0 <= row - down < x.shape[1] and 0 <= column - right < x.shape[2]:
                out[:, row, column] = x[:, row - down, column - right]
    return out


@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 24), (20, 20)])
def test_translation_by_whole_pixels(height, width):
    reach_y, reach_x = math.floor(height / 8 + 0.5), math.floor(width / 8 + 0.5)
    x, count = pictures(1, 2, height, width), 3000
    ways = {
        key(moved(x[0].numpy(), down, right)): (down, right)
        for down in range(-reach_y, reach_y + 1)
        for right in range(-reach_x, reach_x + 1)
    }
    seen = Counter(ways[key(y.numpy())] for y in diff_augment(one_in_many(x, count), "translation", Draw()))
    assert len(seen) == len(ways) == (2 * reach_y + 1) * (2 * reach_x + 1)
    assert stats.chisquare([seen[way] for way in ways.values()]).pvalue > 0.01  # all ways are as likely


# --- cutout -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 16), (10, 10), (13, 8)])
def test_cutout_is_half_a_side_anywhere(height, width):
    def holes(side):
        """First and last row of a hole, for each place of its middle: half the side, cut off at the edges."""
        size = math.floor(side / 2 + 0.5)
        middles = range(side + 1 if size % 2 == 0 else side)
        return Counter((max(0, m - size // 2), min(side - 1, m - size // 2 + size - 1)) for m in middles)

    count, x = 4000, pictures(1, 3, height, width)
    y = diff_augment(one_in_many(x, count), "cutout", Draw())
    kept = y == x
    assert torch.equal(y[~kept], torch.zeros_like(y[~kept]))
    assert torch.equal(kept.any(1), kept.all(1))  # the same in all channels
    seen = Counter()
    for hole in (~kept[:, 0]).numpy():
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)  # a full rectangle
        seen[(rows[0], rows[-1]), (columns[0], columns[-1])] += 1
    vertical, horizontal = holes(height), holes(width)
    places = vertical.total() * horizontal.total()
    expected = {(v, h): a * b * count / places for v, a in vertical.items() for h, b in horizontal.items()}
    assert set(seen) == set(expected)
    assert stats.chisquare([seen[k] for k in expected], list(expected.values())).pvalue > 0.01


# --- flip ---------------------------------------------------------------------------------------------------


def test_flip_mirrors_half_of_them():
    x, count = pictures(1, 3, 4, 6), 4000
    y = diff_augment(one_in_many(x, count), "flip", Draw()).numpy()
    mirrored = (y == x.numpy()[:, :, :, ::-1]).all((1, 2, 3))
    assert ((y == x.numpy()).all((1, 2, 3)) ^ mirrored).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / count))


# --- all together -------------------------------------------------------------------------------------------

ALL = ",".join(POLICIES)


@pytest.mark.parametrize("policy", [*POLICIES, ALL])
def test_at_strength_0_nothing_happens(policy):
    x = pictures(20)
    assert torch.equal(diff_augment(x, policy, Draw(), torch.zeros(())), x)


@pytest.mark.parametrize("policy", ["color", "translation", "cutout"])
def test_that_share_of_the_pictures_is_changed(policy):
    x, count = pictures(1, 3, 8, 8), 4000
    unchanged = {"color": 0, "translation": 1 / 9, "cutout": 0}[policy]  # by chance; a shift of -1, 0 or 1 both ways
    for p in (0.25, 1.0, None):
        strength = None if p is None else torch.tensor(p)
        y = diff_augment(one_in_many(x, count), policy, Draw(), strength)
        share = (y != x).flatten(1).any(1).double().mean().item()
        expected = (1 if p is None else p) * (1 - unchanged)
        assert share == pytest.approx(expected, abs=4 * math.sqrt(0.25 / count) if expected < 1 else 0)


def test_each_augmentation_is_chosen_by_itself():
    x, count = torch.ones(1, 3, 8, 8, dtype=torch.float64), 4000
    y = diff_augment(one_in_many(x, count), "color,cutout", Draw(), torch.tensor(0.5))
    cut = (y == 0).flatten(1).any(1)
    coloured = ((y != 0) & (y != 1)).flatten(1).any(1)
    assert (cut & coloured).double().mean().item() == pytest.approx(0.25, abs=0.035)
    assert (~cut & ~coloured).double().mean().item() == pytest.approx(0.25, abs=0.035)


def test_holes_are_not_coloured():
    y = diff_augment(pictures(50), "cutout,color", Draw())
    assert ((y == 0).all(1).flatten(1).sum(1) >= 16).all()


@pytest.mark.parametrize("policy", [*POLICIES, ALL])
def test_gradients_flow(policy):
    x = pictures(2, 3, 8, 8).requires_grad_()
    strength = torch.tensor(0.7)
    assert torch.autograd.gradcheck(lambda x: diff_augment(x, policy, Draw(3), strength), x, eps=1e-6, atol=1e-8)
    assert torch.autograd.grad(diff_augment(x, policy, Draw(3)).square().sum(), x)[0].abs().sum() > 0


@pytest.mark.parametrize("policy", POLICIES)
def test_each_picture_goes_its_own_way(policy):
    y = diff_augment(one_in_many(pictures(1), 8), policy, Draw(2))
    assert len({picture.numpy().tobytes() for picture in y}) > 1


def test_the_same_draws_give_the_same():
    x = pictures(4)
    assert torch.equal(diff_augment(x, ALL, Draw(5)), diff_augment(x, ALL, Draw(5)))
    assert not torch.equal(diff_augment(x, ALL, Draw(5)), diff_augment(x, ALL, Draw(6)))


def test_type_and_size_are_kept():
    for x in (pictures(2).float(), pictures(3, 1, 20, 12)):
        y = diff_augment(x, ALL, Draw())
        assert (y.shape, y.dtype) == (x.shape, x.dtype)
