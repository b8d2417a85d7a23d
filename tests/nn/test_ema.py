"""Running averages of weights against closed forms and BigGAN's recorded updates."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.nn.ema import update_average

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "biggan_parts.npz")


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.PReLU())


def state(prefix: str) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(GOLDEN[f"ema/{prefix}/{name}"]).double() for name in ("weight", "bias")}


def test_updates_of_biggans_code():
    """Its decay is 0 before iteration 3; an iteration of 0 counts as none given. The source halves in between."""
    average, source = nn.Linear(4, 3).double(), nn.Linear(4, 3).double()
    average.load_state_dict(state("init"))
    source.load_state_dict(state("s1"))
    for k, (iteration, decay) in enumerate([(5, 0.9), (2, 0.0), (5, 0.9), (0, 0.9)]):
        update_average(average, source, decay)
        for name, value in state(f"update{k}_itr{iteration}").items():
            torch.testing.assert_close(average.state_dict()[name], value, rtol=1e-6, atol=1e-8)
        with torch.no_grad():
            for weight in source.parameters():
                weight.mul_(0.5)


@pytest.mark.parametrize("decay", [0.9, torch.tensor(0.9, dtype=torch.float64)])
def test_many_updates_follow_the_closed_form(decay):
    """After n updates with one and the same model: decay^n of the old and the rest of the new, buffers too."""
    average, model = network().double(), network().double()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
    model[1].running_mean.normal_()
    model[1].running_var.uniform_(0.5, 2)
    model[1].num_batches_tracked.fill_(17)
    start, new = copy.deepcopy(average.state_dict()), copy.deepcopy(model.state_dict())
    for _ in range(7):
        update_average(average, model, decay)
    for name, value in average.state_dict().items():
        if name == "1.num_batches_tracked":
            assert value.item() == 17
        else:
            torch.testing.assert_close(value, 0.9**7 * start[name] + (1 - 0.9**7) * new[name], rtol=1e-12, atol=1e-12)
    assert all(torch.equal(value, new[name]) for name, value in model.state_dict().items())


def test_decay_1_keeps_and_0_takes_all():
    average, model = network(), network()
    kept = copy.deepcopy(average.state_dict())
    update_average(average, model, 1.0)
    assert all(torch.equal(value, kept[name]) for name, value in average.state_dict().items())
    update_average(average, model, 0.0)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in average.state_dict().items())


def test_small_steps_are_not_lost_in_float32():
    """A decay of 0.9999 must creep: a thousand updates from 0 towards 1 give 1 - 0.9999^1000."""
    average, model = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.zeros_(average.weight)
    nn.init.ones_(model.weight)
    for _ in range(1000):
        update_average(average, model, 0.9999)
    assert average.weight.item() == pytest.approx(1 - 0.9999**1000, rel=1e-4)


def test_no_graph_hangs_on_the_average():
    model = network()
    average = copy.deepcopy(model).requires_grad_(False)
    update_average(average, model, 0.5)
    assert not any(p.requires_grad or p.grad_fn for p in average.parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_networks_of_two_kinds_are_refused():
    with pytest.raises(ValueError, match="zip"):
        update_average(nn.Linear(2, 2), nn.Linear(2, 2, bias=False), 0.9)
