"""Gradient penalties against recorded numbers of WGAN-GP and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.losses.adversarial import LOSSES
from gantool.losses.penalties import gradient_penalty, r1_penalty

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "wgan_gp.npz")
EXACT = {"rtol": 1e-6, "atol": 1e-8}  # the file is a float32 rounding of float64 computations


def given(name: str) -> torch.Tensor:
    return torch.tensor(GOLDEN[name]).double()


def recorded_critic() -> nn.Module:
    critic = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 6, 3, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Flatten(), nn.Linear(96, 1)),
    )
    critic.load_state_dict({name: torch.tensor(GOLDEN[f"w/{name}"]) for name in critic.state_dict()})
    return critic.double()


def assert_recorded(named: dict[str, torch.Tensor], prefix: str) -> None:
    for name, value in named.items():
        torch.testing.assert_close(value, given(f"{prefix}/{name}"), **EXACT)


def gradients(critic: nn.Module) -> dict[str, torch.Tensor]:
    """A bias that the loss does not hang on has the gradient None for 0."""
    return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in critic.named_parameters()}


# The two ways of mixing that codes use: how much fake, or how much real.
MIXES = pytest.mark.parametrize(("name", "ends"), [("gulrajani", ("real", "fake")), ("swapped", ("fake", "real"))])


@MIXES
def test_penalties_and_weight_gradients_are_the_recorded_ones(name, ends):
    critic = recorded_critic()
    penalty = gradient_penalty(critic, *map(given, ends), given("eps"))
    torch.testing.assert_close(penalty, given(f"penalty_{name}"), **EXACT)
    (10 * penalty).backward()
    assert_recorded(gradients(critic), f"grad10_{name}")


@MIXES
def test_the_norms_are_the_recorded_ones(name, ends):
    """Picture by picture: a batch of one is penalised by its own norm."""
    critic = recorded_critic()
    a, b, mix = *map(given, ends), given("eps")
    found = [gradient_penalty(critic, a[i : i + 1], b[i : i + 1], mix[i : i + 1], centre=0.0) for i in range(len(a))]
    torch.testing.assert_close(torch.stack(found).sqrt(), given(f"grad_norms_{name}"), **EXACT)


@MIXES
def test_two_sides_and_one_follow_from_the_recorded_norms(name, ends):
    """All norms are above 1, so that a centre among them is needed to tell the two kinds apart."""
    norms = GOLDEN[f"grad_norms_{name}"].astype(float)
    for centre in (1.0, float(np.median(norms))):
        for one_sided in (False, True):
            distance = np.maximum(norms - centre, 0) if one_sided else norms - centre
            found = gradient_penalty(
                recorded_critic(), *map(given, ends), given("eps"), centre=centre, one_sided=one_sided
            )
            assert found.item() == pytest.approx((distance**2).mean(), rel=1e-6)
    one = gradient_penalty(recorded_critic(), *map(given, ends), given("eps"), one_sided=True)
    torch.testing.assert_close(one, given(f"penalty_onesided_{name}"), **EXACT)


def test_three_critic_steps_are_the_recorded_ones():
    critic, wasserstein = recorded_critic(), LOSSES["wasserstein"]
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.5, 0.9))
    real, fake, eps = given("real"), given("fake"), given("eps")
    for step in range(3):
        on_real, on_fake = critic(real), critic(fake)
        adversarial = wasserstein.real(on_real) + wasserstein.fake(on_fake)
        loss = adversarial + 10 * gradient_penalty(critic, real, fake, eps.roll(step, 0))
        torch.testing.assert_close(loss, given("three_adam_steps_losses")[step], **EXACT)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            torch.testing.assert_close(loss, given("critic_loss"), **EXACT)
            torch.testing.assert_close(-adversarial, given("wasserstein_estimate"), **EXACT)
            torch.testing.assert_close(wasserstein.generator(on_fake), given("gen_loss"), **EXACT)
            assert_recorded(gradients(critic), "critic_grad")
        optimizer.step()
    assert_recorded(dict(critic.named_parameters()), "three_adam_steps")


def test_a_linear_critic_pays_the_closed_form():
    """D(x) = <w, x> has the gradient w everywhere: (|w| - 1)^2, whatever the points, with slope 2 (|w| - 1) w / |w|."""
    w = given("linear_w").requires_grad_()
    real, fake = (given(f"linear_{kind}").view(5, 3, 4, 4) for kind in ("real", "fake"))
    penalty = gradient_penalty(lambda x: x.flatten(1) @ w, real, fake, torch.full((5, 1, 1, 1), 0.3).double())
    torch.testing.assert_close(penalty, given("linear_penalty"), **EXACT)
    torch.testing.assert_close(penalty, (w.norm() - 1).square())
    (slope,) = torch.autograd.grad(penalty, w)
    torch.testing.assert_close(slope, 2 * (w.norm() - 1) * w / w.norm())


def test_a_critic_below_the_norm_pays_two_sided_only():
    real, fake, mix = (
        torch.randn(4, 1, 2, 2).double(),
        torch.randn(4, 1, 2, 2).double(),
        torch.rand(4, 1, 1, 1).double(),
    )
    w = torch.full((4,), 0.25, dtype=torch.float64)  # of norm 1/2

    def critic(x):
        return x.flatten(1) @ w

    assert gradient_penalty(critic, real, fake, mix).item() == pytest.approx(0.25)
    assert gradient_penalty(critic, real, fake, mix, one_sided=True).item() == 0


def test_a_critic_that_is_flat_pays_1_and_spoils_no_gradient():
    """The norm has no derivative at 0; weights must not become NaN there."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 1))
    nn.init.constant_(critic[1].bias, -1e3)
    x = torch.randn(3, 3, 2, 2)
    penalty = gradient_penalty(critic, x, -x, torch.rand(3, 1, 1, 1))
    penalty.backward()
    assert penalty.item() == 1
    assert all(gradient.isfinite().all() for gradient in gradients(critic).values())


def test_penalties_train_the_critic_alone():
    """Neither the pictures' maker nor the pictures get a gradient."""
    maker, critic = nn.Conv2d(3, 3, 1), nn.Sequential(nn.Conv2d(3, 1, 3), nn.Flatten(), nn.Tanh(), nn.Linear(4, 1))
    real, fake = torch.randn(2, 3, 4, 4, requires_grad=True), maker(torch.randn(2, 3, 4, 4))
    (gradient_penalty(critic, real, fake, torch.rand(2, 1, 1, 1)) + r1_penalty(critic, real)).backward()
    assert real.grad is None
    assert maker.weight.grad is None
    assert critic[0].weight.grad.abs().max() > 0


def test_r1_of_a_quadratic_critic_is_the_closed_form():
    """D(x) = |x|^2 c / 2 has the gradient c x: c^2 E|x|^2, whose derivative by c is 2 c E|x|^2."""
    x, c = torch.randn(6, 3, 4, 4).double(), torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    penalty = r1_penalty(lambda y: c * y.square().sum((1, 2, 3)) / 2, x)
    size = x.square().sum().item() / 6
    assert penalty.item() == pytest.approx(1.7**2 * size)
    assert torch.autograd.grad(penalty, c)[0].item() == pytest.approx(2 * 1.7 * size)


def test_r1_is_the_mean_square_of_the_norms_of_the_penalty_with_centre_0():
    critic, real = recorded_critic(), given("real")
    same = gradient_penalty(critic, real, given("fake"), torch.zeros(5, 1, 1, 1).double(), centre=0.0)
    torch.testing.assert_close(r1_penalty(critic, real), same)
    norms = [torch.autograd.grad(critic(y := x[None].requires_grad_()).sum(), y)[0].norm() for x in real]
    torch.testing.assert_close(same, torch.stack(norms).square().mean())
