"""Strength of an augmentation that follows how much the discriminator overfits (Karras et al. 2020, ADA)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

INTERVAL = 4  # updates from one change to the next


class AdaptiveStrength(nn.Module):
    """The probability p of section 3.2: up while the sign of the scores of reals is above the target, down below it.

    Args:
        target: of the mean sign r_t, 0.6 in the paper.
        thousands: of pictures that it takes p to go from 0 to 1.

    Attributes:
        p: in [0, 1], on the device; never read by the host.
    """

    p: Tensor
    signs: Tensor
    updates: Tensor

    def __init__(self, target: float, thousands: float) -> None:
        super().__init__()
        self.target, self.thousands = target, thousands
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, scores: Tensor, batch: int, average: Callable[[Sequence[Tensor]], None] = lambda _: None) -> None:
        """Heed the scores (N,) of this process's reals, of `batch` in all; `average` is over the processes."""
        sign = scores.sign().to(self.signs.dtype).mean()
        average([sign])
        self.signs.add_(sign)
        self.updates.add_(1)
        due = self.updates % INTERVAL == 0
        step = torch.sign(self.signs / INTERVAL - self.target) * (INTERVAL * batch / (self.thousands * 1000))
        self.p.copy_(torch.where(due, (self.p + step).clamp(0, 1), self.p))
        self.signs.copy_(torch.where(due, torch.zeros_like(self.signs), self.signs))
