"""What a step measures, against NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from gantool.game.measures import gradient_norm, seen_right, share_right

REAL, FAKE = torch.tensor([2.0, 0.4, -0.1, 0.7, 0.0]), torch.tensor([-1.0, 0.5, 0.0, 0.6, -0.2])


@pytest.mark.parametrize(
    ("loss", "real", "fake"), [("bce", 3 / 5, 2 / 5), ("hinge", 3 / 5, 2 / 5), ("lsgan", 2 / 5, 3 / 5)]
)
def test_shares_judged_rightly(loss, real, fake):
    found = seen_right(loss, REAL.clone().requires_grad_(), FAKE)
    assert set(found) == {"score_real", "score_fake", "acc_real", "acc_fake"}
    assert found["acc_real"].item() == pytest.approx(real)
    assert found["acc_fake"].item() == pytest.approx(fake)
    assert found["score_real"].item() == pytest.approx(0.6)
    assert found["score_fake"].item() == pytest.approx(-0.02, abs=1e-7)
    assert not any(value.requires_grad for value in found.values())


def test_a_critic_has_no_border():
    assert set(seen_right("wasserstein", REAL, FAKE)) == {"score_real", "score_fake"}


def test_share_of_classes_named():
    logits = torch.tensor([[0.0, 1.0, 2.0], [3.0, 1.0, 0.0], [0.0, 5.0, 1.0], [1.0, 0.0, 0.5]])
    assert share_right(logits, torch.tensor([2, 0, 0, 0])).item() == 0.75


def test_norm_of_all_gradients():
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 1))
    for p in network[2].parameters():
        p.requires_grad_(False)
    network(torch.randn(5, 3)).square().sum().backward()
    flat = np.concatenate([p.grad.numpy().ravel() for p in network[:2].parameters()])
    assert gradient_norm(network).item() == pytest.approx(np.linalg.norm(flat), rel=1e-6)
