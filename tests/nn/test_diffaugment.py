"""DiffAugment: each change against what the paper's text says of it, gradients, shares, and ranks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from gantool.errors import ConfigError
from gantool.nn.diffaugment import diff_augment
from gantool.nn.policies import POLICIES, parse_policy

ALL = "color,translation,cutout,flip"


def drawer(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(*shape, generator=generator)


def told(*values: float):
    """A draw that answers these numbers, one a call, the same for every picture."""
    answers = list(values)
    return lambda *shape: torch.full(shape, answers.pop(0), dtype=torch.float64)


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- each kind ---------------------------------------------------------------------------------------------


def test_brightness_alone_is_a_shift_of_at_most_a_half():
    x = pictures(2, 3, 4, 4)
    for drawn, shift in ((0.0, -0.5), (0.75, 0.25), (0.5, 0.0)):  # then saturation and contrast by 1
        torch.testing.assert_close(diff_augment(x, "color", told(drawn, 0.5, 0.5)), x + shift)


def test_saturation_scales_the_distance_from_grey_by_0_to_2():
    x = pictures(2, 3, 4, 4)
    grey = x.numpy().mean(1, keepdims=True)
    for drawn, factor in ((0.0, 0.0), (0.75, 1.5)):
        found = diff_augment(x, "color", told(0.5, drawn, 0.5)).numpy()
        np.testing.assert_allclose(found, grey + factor * (x.numpy() - grey), atol=1e-12)


def test_contrast_scales_the_distance_from_the_pictures_mean_by_a_half_to_one_and_a_half():
    x = pictures(2, 3, 4, 4)
    for drawn, factor in ((0.0, 0.5), (0.9, 1.4)):
        found = diff_augment(x, "color", told(0.5, 0.5, drawn)).numpy()
        for picture, changed in zip(x.numpy(), found, strict=True):
            np.testing.assert_allclose(changed, picture.mean() + factor * (picture - picture.mean()), atol=1e-12)


def test_colour_is_drawn_for_each_picture_and_uniform():
    x = torch.zeros(20_000, 1, 1, 1)
    shift = diff_augment(x, "color", drawer()).flatten()
    assert -0.5 <= shift.min() < -0.499
    assert 0.499 < shift.max() < 0.5
    assert shift.mean().item() == pytest.approx(0, abs=0.0103)  # five deviations of the mean
    assert shift.var().item() == pytest.approx(1 / 12, rel=0.04)


def moved(picture: np.ndarray, down: int, right: int) -> np.ndarray:
    """With zeros coming in."""
    height, width = picture.shape[1:]
    out = np.zeros_like(picture)
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                out[:, i, j] = picture[:, i - down, j - right]
    return out


@pytest.mark.parametrize(("height", "width", "down", "right"), [(16, 8, 2, 1), (8, 20, 1, 3), (4, 28, 1, 4)])
def test_translation_is_one_of_the_whole_shifts_up_to_an_eighth_all_alike_often(height, width, down, right):
    """An eighth of 20 is 2.5, and of 4 a half: the authors' code rounds up."""
    count = 3000
    picture = pictures(2, height, width)
    shifts = [(i, j) for i in range(-down, down + 1) for j in range(-right, right + 1)]
    candidates = np.stack([moved(picture.numpy(), i, j) for i, j in shifts]).reshape(len(shifts), -1)
    found = diff_augment(picture.expand(count, -1, -1, -1), "translation", drawer()).numpy().reshape(count, -1)
    times = np.array([(found == candidate).all(1).sum() for candidate in candidates])
    assert times.sum() == count  # each picture is exactly one of them
    expected = count / len(shifts)
    assert ((times - expected) ** 2 / expected).sum() < len(shifts) + 5 * (2 * len(shifts)) ** 0.5  # chi squared


def cut(side: int, hole: int) -> list[tuple[int, int]]:
    """From and to where a hole can be: its middle is any pixel, or, for even holes, any line between pixels."""
    starts = range(-(hole // 2), side - hole // 2 + (hole % 2 == 0))
    return [(max(start, 0), min(start + hole, side)) for start in starts]


@pytest.mark.parametrize(("side", "hole"), [(16, 8), (6, 3), (5, 3)])
def test_cutout_is_one_hole_of_half_the_side_centred_anywhere(side, hole):
    """Half of 5 is 2.5: the authors' code rounds up."""
    count = 4000
    found = diff_augment(torch.ones(count, 1, side, side), "cutout", drawer())[:, 0].numpy() == 0
    places = [(a, b, c, d) for a, b in cut(side, hole) for c, d in cut(side, hole)]
    masks = np.zeros((len(places), side, side), bool)
    for mask, (a, b, c, d) in zip(masks, places, strict=True):
        mask[a:b, c:d] = True
    kinds, weights = np.unique(masks.reshape(len(places), -1), axis=0, return_counts=True)
    times = np.array([(found.reshape(count, -1) == kind).all(1).sum() for kind in kinds])
    assert times.sum() == count
    expected = count * weights / len(places)
    assert ((times - expected) ** 2 / expected).sum() < len(kinds) + 5 * (2 * len(kinds)) ** 0.5  # chi squared
    assert found.sum((1, 2)).max() == hole * hole


def test_cutout_leaves_the_rest_alone_and_cuts_all_channels():
    x = pictures(50, 3, 8, 8)
    found = diff_augment(x, "cutout", drawer())
    gone = (found == 0).all(1, keepdim=True)
    assert torch.equal(found, x.masked_fill(gone, 0))
    assert gone.any((1, 2, 3)).all()


def test_flip_mirrors_half_of_the_pictures_left_to_right():
    x = pictures(2000, 1, 2, 3)
    found = diff_augment(x, "flip", drawer())
    mirrored = torch.tensor(np.ascontiguousarray(x.numpy()[..., ::-1]))
    same, other = (found == x).all((1, 2, 3)), (found == mirrored).all((1, 2, 3))
    assert (same ^ other).all()
    assert other.float().mean().item() == pytest.approx(0.5, abs=0.056)


# --- strength ----------------------------------------------------------------------------------------------


def test_strength_0_is_the_identity_and_1_changes_all():
    x = pictures(40, 3, 8, 8)
    assert torch.equal(diff_augment(x, ALL, drawer(), torch.tensor(0.0)), x)
    found = diff_augment(x, "color,cutout", drawer(), torch.tensor(1.0))
    assert (found != x).any(3).any(2).any(1).all()


def test_no_policy_is_the_identity():
    x = pictures(4, 3, 8, 8)
    assert torch.equal(diff_augment(x, "", drawer()), x)


def test_each_change_befalls_its_share_of_the_pictures_independently():
    count, p = 20_000, 0.3
    found = diff_augment(torch.ones(count, 1, 4, 4), "color,cutout", drawer(), torch.tensor(p))
    cut_out = (found == 0).any(3).any(2).any(1)
    coloured = found.amax((1, 2, 3)) != 1
    for event, share in ((cut_out, p), (coloured, p), (cut_out & coloured, p * p)):
        deviation = (share * (1 - share) / count) ** 0.5
        assert event.float().mean().item() == pytest.approx(share, abs=5 * deviation)


# --- what training needs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "flip", ALL])
@pytest.mark.parametrize("strength", [None, 0.5])
def test_gradients_flow_as_they_should(policy, strength):
    """The same draws in each evaluation; what is shifted out or cut gets no gradient, which gradcheck sees as well."""
    p = None if strength is None else torch.tensor(strength)

    def augmented(x):
        return diff_augment(x, policy, drawer(3), p)

    x = pictures(3, 2, 8, 6).requires_grad_()
    assert torch.autograd.gradcheck(augmented, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda y: augmented(y).square(), x, fast_mode=True)


@pytest.mark.parametrize("strength", [None, 0.5])
def test_two_processes_with_half_the_pictures_do_what_one_does_with_all(strength):
    """Each draw is (pictures, ...): a process takes its own part of what is drawn for all of them."""
    x, p = pictures(6, 3, 8, 8), None if strength is None else torch.tensor(strength)

    def part(rank):
        draw = drawer(5)
        return lambda n, *shape: draw(2 * n, *shape)[rank * n : (rank + 1) * n]

    halves = [diff_augment(x[3 * rank : 3 * rank + 3], ALL, part(rank), p) for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), diff_augment(x, ALL, drawer(5), p))


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 1, 1), (1, 3, 7, 12)])
def test_shape_and_type_stay(shape):
    for dtype in (torch.float32, torch.float64):
        found = diff_augment(pictures(*shape).to(dtype), ALL, drawer(), torch.tensor(0.5))
        assert found.shape == shape
        assert found.dtype == dtype


# --- names -------------------------------------------------------------------------------------------------


def test_policies_are_listed_in_the_order_they_are_applied():
    assert parse_policy("") == ()
    assert parse_policy("cutout") == ("cutout",)
    assert parse_policy(" flip,cutout , color,translation,") == POLICIES == tuple(ALL.split(","))


@pytest.mark.parametrize("text", ["colour", "color,rotate", "color;cutout"])
def test_unknown_names_are_refused(text):
    with pytest.raises(ConfigError) as caught:
        parse_policy(text)
    assert repr(text.split(",")[-1]) in caught.value.what
    assert all(name in caught.value.hint for name in POLICIES)


def test_names_are_checked_without_torch():
    code = "import sys, gantool.nn.policies; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
