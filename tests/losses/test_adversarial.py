"""The games' losses against numpy's formulas and BigGAN's code; their gradients; the remedies at the targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.losses.adversarial import LOSSES, targets

GOLDEN = Path(__file__).parents[1] / "golden"
SCORES = np.array([-30.0, -2.5, -1.0, -0.25, 0.0, 0.5, 1.0, 3.0, 30.0])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# The terms of the discriminator for reals and for fakes, and the generator's, as the papers write them.
PAPERS = {
    "bce": (lambda d: -np.log(sigmoid(d)), lambda d: -np.log(sigmoid(-d)), lambda d: -np.log(sigmoid(d))),
    "lsgan": (lambda d: (d - 1) ** 2 / 2, lambda d: d**2 / 2, lambda d: (d - 1) ** 2 / 2),
    "hinge": (lambda d: -np.minimum(0, -1 + d), lambda d: -np.minimum(0, -1 - d), lambda d: -d),
    "wasserstein": (lambda d: -d, lambda d: d, lambda d: -d),
    "probability": (lambda d: 1 - sigmoid(d), sigmoid, lambda d: 1 - sigmoid(d)),  # no paper's: leftthomas/SRGAN's
}


def test_the_names_are_those_of_the_losses():
    assert set(LOSSES) == set(PAPERS)
    assert {name for name, loss in LOSSES.items() if loss.takes_targets} == {"bce", "lsgan"}


@pytest.mark.parametrize("shape", [(9,), (3, 3), (9, 1, 1)])
@pytest.mark.parametrize("name", PAPERS)
def test_values_are_means_of_the_papers_terms(name, shape):
    loss, scores = LOSSES[name], torch.tensor(SCORES).view(shape)
    for mine, paper in zip((loss.real, loss.fake, loss.generator), PAPERS[name], strict=True):
        value = mine(scores)
        assert value.shape == ()
        assert value.item() == pytest.approx(paper(SCORES).mean(), rel=1e-8)


@pytest.mark.parametrize("name", PAPERS)
def test_gradients_are_those_of_central_differences(name):
    loss, step = LOSSES[name], 1e-5
    scores = SCORES[np.abs(np.abs(SCORES) - 1) > 0.1]  # away from the hinge's corners
    for mine, paper in zip((loss.real, loss.fake, loss.generator), PAPERS[name], strict=True):
        x = torch.tensor(scores, requires_grad=True)
        mine(x).backward()
        slope = (paper(scores + step) - paper(scores - step)) / (2 * step * len(scores))
        np.testing.assert_allclose(x.grad.numpy(), slope, atol=1e-8)


@pytest.mark.parametrize("name", ["bce", "lsgan"])
def test_the_usual_targets_are_one_for_reals_and_zero_for_fakes(name):
    loss, scores = LOSSES[name], torch.tensor(SCORES)
    torch.testing.assert_close(loss.real(scores, torch.ones_like(scores)), loss.real(scores), rtol=1e-8, atol=0)
    torch.testing.assert_close(loss.fake(scores, torch.zeros_like(scores)), loss.fake(scores), rtol=1e-8, atol=0)


def test_soft_targets_move_the_best_score_to_their_own_logit_or_value():
    """Of all scores, the loss against a target t is least at logit(t) for bce, and at t for least squares."""
    target = torch.tensor([0.9, 0.95, 0.2], dtype=torch.float64)
    for name, best in (("bce", torch.logit(target)), ("lsgan", target)):
        for term in (LOSSES[name].real, LOSSES[name].fake):
            scores = best.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(term(scores, target), scores)
            assert gradient.abs().max() < 1e-12
            assert term(best + 0.1, target) > term(best, target)


def test_bce_stays_finite_where_the_sigmoid_is_0_or_1():
    scores = torch.tensor([-1e4, 1e4], requires_grad=True)
    for term in (LOSSES["bce"].real, LOSSES["bce"].fake, LOSSES["bce"].generator):
        value = term(scores)
        assert value.item() == pytest.approx(5e3)
        assert torch.autograd.grad(value, scores)[0].isfinite().all()


def test_the_bce_generator_does_not_saturate():
    """Where D is sure of a fake, -log D has slope -1; log(1 - D), which section 3 of the paper warns of, has 0."""
    scores = torch.tensor([-20.0], requires_grad=True)
    (slope,) = torch.autograd.grad(LOSSES["bce"].generator(scores), scores)
    assert slope.item() == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("name", ["hinge", "wasserstein"])
def test_losses_without_targets_refuse_them(name):
    scores = torch.zeros(3)
    for term in (LOSSES[name].real, LOSSES[name].fake):
        with pytest.raises(ValueError, match="no targets"):
            term(scores, torch.ones(3))


@pytest.mark.parametrize(("name", "theirs"), [("hinge", "hinge"), ("bce", "dcgan")])
def test_values_of_biggans_code(name, theirs):
    arrays, loss = np.load(GOLDEN / "biggan_parts.npz"), LOSSES[name]
    real, fake = (torch.tensor(arrays[f"loss/d_{kind}"]).double() for kind in ("real", "fake"))
    for value, key in ((loss.real(real), "D_real"), (loss.fake(fake), "D_fake"), (loss.generator(fake), "G")):
        assert value.item() == pytest.approx(arrays[f"loss/{theirs}_{key}"].item(), rel=1e-6)


# --- targets -----------------------------------------------------------------------------------------------


def drawer(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(*shape, generator=generator)


def never(*shape):
    raise AssertionError("nothing is random here")


def test_targets_without_remedies_are_the_usual_ones_and_draw_nothing():
    like = torch.randn(5, dtype=torch.float64, requires_grad=True)
    for base in (0.0, 1.0):
        found = targets(like, base, draw=never)
        assert found.tolist() == [base] * 5
        assert found.dtype == torch.float64
        assert not found.requires_grad


def test_only_the_targets_of_reals_are_smoothed():
    like = torch.zeros(4, dtype=torch.float64)
    assert targets(like, 1.0, smoothing=0.1, draw=never).tolist() == [0.9] * 4
    assert targets(like, 0.0, smoothing=0.1, draw=never).tolist() == [0.0] * 4


def test_soft_targets_are_uniform_from_their_bound_to_1_and_only_for_reals():
    like = torch.zeros(20_000)
    soft = targets(like, 1.0, soft_from=0.8, draw=drawer())
    assert 0.8 <= soft.min() < 0.8001
    assert 0.9999 < soft.max() <= 1
    assert soft.mean().item() == pytest.approx(0.9, abs=0.002)  # five deviations of the mean are 0.002
    assert soft.std().item() == pytest.approx(0.2 / 12**0.5, rel=0.03)
    assert (targets(like, 0.0, soft_from=0.8, draw=drawer()) == 0).all()


@pytest.mark.parametrize("base", [0.0, 1.0])
def test_the_asked_share_is_flipped(base):
    found = targets(torch.zeros(40_000), base, flipped=0.05, draw=drawer())
    assert set(found.tolist()) == {0.0, 1.0}
    assert (found != base).float().mean().item() == pytest.approx(0.05, abs=0.0055)  # five deviations


def test_a_fake_taken_for_a_real_gets_a_reals_target():
    found = targets(torch.zeros(1000, dtype=torch.float64), 0.0, smoothing=0.1, flipped=0.3, draw=drawer())
    assert set(found.tolist()) == {0.0, 0.9}


def test_which_are_flipped_does_not_hang_on_how_soft_they_are():
    """The two draws are separate: else only hard or only soft targets would be flipped."""
    found = targets(torch.zeros(20_000), 1.0, soft_from=0.5, flipped=0.5, draw=drawer())
    kept = found[found > 0]
    assert len(kept) == pytest.approx(10_000, abs=360)
    assert kept.mean().item() == pytest.approx(0.75, abs=0.008)
