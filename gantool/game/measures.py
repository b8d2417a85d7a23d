"""What a step says of itself in the log: how well the discriminator tells reals from fakes, and gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BORDER = {
    "bce": 0.0,
    "hinge": 0.0,
    "lsgan": 0.5,
    "probability": 0.0,
}  # of scores: what lies above counts as judged real


def seen_right(loss: str, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Mean scores; and the shares judged rightly, where the loss has a border between real and fake."""
    found = {"score_real": real.detach().mean(), "score_fake": fake.detach().mean()}
    if loss in BORDER:
        found["acc_real"] = (real.detach() > BORDER[loss]).float().mean()
        found["acc_fake"] = (fake.detach() < BORDER[loss]).float().mean()
    return found


def share_right(logits: Tensor, y: Tensor) -> Tensor:
    """Share of the pictures whose class the auxiliary classifier names."""
    return (logits.detach().argmax(1) == y).float().mean()


def gradient_norm(network: nn.Module) -> Tensor:
    """Euclidean norm of all gradients together."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm
