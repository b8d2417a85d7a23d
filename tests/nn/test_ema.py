"""The running average of weights against golden numbers and closed forms."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.nn.ema import update_average

GOLDEN = Path(__file__).parents[1] / "golden"


class Net(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.linear, self.norm = nn.Linear(2, 3), nn.BatchNorm1d(3)
        self.register_buffer("count", torch.tensor(0))
        self.set(value)

    @torch.no_grad()
    def set(self, value):
        for tensor in self.state_dict().values():
            tensor.fill_(value)


def values(net):
    return {name: tensor.flatten()[0].item() for name, tensor in net.state_dict().items()}


def test_one_update():
    average, model = Net(10), Net(2)
    update_average(average, model, 0.75)
    found = values(average)
    for name in ("norm.num_batches_tracked", "count"):
        assert found.pop(name) == 2, name  # whole numbers are copied
    assert len(found) == 6
    assert found == dict.fromkeys(found, pytest.approx(8.0))  # buffers of batch norm, too
    assert set(values(model).values()) == {2}
    assert not any(p.grad_fn for p in average.parameters())


def test_many_updates_are_a_geometric_sum():
    decay, random = 0.9, np.random.default_rng(0)
    seen = random.normal(size=30)
    average, model = Net(1.0).double(), Net(0).double()
    for value in seen:
        model.set(value)
        update_average(average, model, decay)
    ages = np.arange(len(seen))[::-1]
    expected = decay ** len(seen) + (1 - decay) * (decay**ages * seen).sum()
    assert average.linear.weight[2, 1].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("decay", "expected"), [(0.0, 2.0), (1.0, 10.0)])
def test_the_two_ends(decay, expected):
    average = Net(10)
    update_average(average, Net(2), decay)
    assert values(average)["linear.weight"] == expected


def test_other_networks_do_not_fit():
    with pytest.raises(ValueError, match="argument"):
        update_average(nn.Linear(2, 3), nn.Linear(2, 3, bias=False), 0.9)


def test_golden():
    """BigGAN's averages: decay 0.9, none before iteration 3; the weights halve after each update."""
    arrays = np.load(GOLDEN / "biggan_ema.npz")

    def net(prefix):
        linear = nn.Linear(4, 3).double()
        state = {k: torch.tensor(arrays[f"{prefix}/{k}"], dtype=torch.float64) for k in ("weight", "bias")}
        linear.load_state_dict(state)
        return linear

    average, model = net("init"), net("s1")
    for step, decay in (("update0_itr5", 0.9), ("update1_itr2", 0.0), ("update2_itr5", 0.9), ("update3_itr0", 0.9)):
        update_average(average, model, decay)
        for name, value in average.state_dict().items():
            np.testing.assert_allclose(value.numpy(), arrays[f"{step}/{name}"], rtol=1e-6, atol=1e-8)
        with torch.no_grad():
            for p in model.parameters():
                p.div_(2)
