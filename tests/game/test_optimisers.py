"""Rates, momentum and weight decay against closed forms."""

import math

import pytest
import torch
from torch import nn

from gantool.game.optimisers import Schedule, make_optimizer
from gantool.game.options import GameConfig


class Weight(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([value], dtype=torch.float64))


def scheduled(steps, **values):
    """(learning rates of both players, momentum of D) at each of so many steps."""
    config = GameConfig(**values)
    both = [make_optimizer(config, Weight(1.0), lr) for lr in (config.lr_d, config.lr_g)]
    schedule = Schedule(config)
    for step in range(steps):
        schedule.set(both, step, steps)
        groups = [optimizer.param_groups[0] for optimizer in both]
        yield (*(group["lr"] for group in groups), groups[0].get("momentum"))


def test_rates_are_kept():
    assert set(scheduled(10, lr_d=4e-4, lr_g=1e-4)) == {(4e-4, 1e-4, None)}


@pytest.mark.parametrize("begin", [0.0, 0.5, 0.8])
def test_linear_decay(begin):
    steps = 200
    for step, (lr_d, lr_g, _) in enumerate(scheduled(steps, lr_d=4e-4, lr_g=1e-4, decay="linear", decay_from=begin)):
        first = begin * steps
        share = 1 if step < first else 1 - (step - first) / (steps - first)
        assert lr_d == pytest.approx(4e-4 * share, rel=1e-9)
        assert lr_g == pytest.approx(1e-4 * share, rel=1e-9)
    assert 0 < lr_d < 4e-4 * 0.03


def test_exponential_decay_ends_at_a_millionth():
    values = {"optimizer": "sgd", "lr_d": 0.1, "lr_g": 0.05, "decay": "exponential", "decay_factor": 1.01}
    rates = list(scheduled(1500, **values))
    lr_d = lr_g = None
    for step, (found_d, found_g, _) in enumerate(rates):
        lr_d, lr_g = (0.1, 0.05) if step == 0 else (max(lr_d / 1.01, 1e-6), max(lr_g / 1.01, 1e-6))
        assert found_d == pytest.approx(lr_d, rel=1e-9)
        assert found_g == pytest.approx(lr_g, rel=1e-9)
    assert rates[-1][:2] == (1e-6, 1e-6)
    assert rates[1000][0] > 1e-6


def test_a_rate_below_the_least_is_not_raised():
    values = {"lr_d": 1e-7, "lr_g": 1e-3, "decay": "exponential", "decay_factor": 2.0}
    assert [rates[0] for rates in scheduled(4, **values)] == [1e-7] * 4


def test_goodfellows_rates():
    """Divided by 1.000004 an update: after 125,000 they are exp(-1/2) of the first."""
    config = GameConfig(optimizer="sgd", lr_d=0.1, decay="exponential")
    optimizer = make_optimizer(config, Weight(1.0), 0.1)
    Schedule(config).set([optimizer], 125_000, 125_001)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * math.exp(-0.5), rel=1e-5)


def test_momentum_rises():
    values = {"optimizer": "sgd", "beta1": 0.5, "momentum_end": 0.7}
    found = [momentum for *_, momentum in scheduled(100, **values)]
    assert found == pytest.approx([0.5 + 0.2 * step / 100 for step in range(100)])
    assert {momentum for *_, momentum in scheduled(5, optimizer="sgd", beta1=0.9)} == {0.9}


def test_the_same_step_has_the_same_rate_whatever_came_before():
    config = GameConfig(optimizer="sgd", decay="linear", momentum_end=0.9)
    found = []
    for history in ([3], [0, 1, 2, 3], [9, 3]):
        optimizer = make_optimizer(config, Weight(1.0), 0.1)
        for step in history:
            Schedule(config).set([optimizer], step, 10)
        group = optimizer.param_groups[0]
        found.append((group["lr"], group["momentum"]))
    assert found[0] == found[1] == found[2]


# --- the updates themselves ---------------------------------------------------------------------------------


def walk(optimizer, network, gradients):
    for gradient in gradients:
        network.w.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return network.w.item()


GRADIENTS = [0.5, -0.25, 2.0]


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam(decay):
    network, w, m, v = Weight(3.0), 3.0, 0.0, 0.0
    config = GameConfig(beta1=0.5, beta2=0.9, weight_decay=decay)
    for t, gradient in enumerate(GRADIENTS, 1):
        g = gradient + decay * w  # L2: part of the gradient
        m, v = 0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g * g
        w -= 0.01 * (m / (1 - 0.5**t)) / (math.sqrt(v / (1 - 0.9**t)) + 1e-8)
    assert walk(make_optimizer(config, network, 0.01), network, GRADIENTS) == pytest.approx(w, rel=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_rmsprop(decay):
    network, w, v = Weight(3.0), 3.0, 0.0
    for gradient in GRADIENTS:
        g = gradient + decay * w
        v = 0.99 * v + 0.01 * g * g
        w -= 0.01 * g / (math.sqrt(v) + 1e-8)
    config = GameConfig(optimizer="rmsprop", weight_decay=decay)
    assert walk(make_optimizer(config, network, 0.01), network, GRADIENTS) == pytest.approx(w, rel=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd(decay):
    network, w, m = Weight(3.0), 3.0, 0.0
    for gradient in GRADIENTS:
        m = 0.5 * m + gradient + decay * w
        w -= 0.01 * m
    config = GameConfig(optimizer="sgd", beta1=0.5, weight_decay=decay)
    assert walk(make_optimizer(config, network, 0.01), network, GRADIENTS) == pytest.approx(w, rel=1e-12)
