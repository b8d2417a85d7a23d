"""How alike a batch is, as a channel that the discriminator sees (Karras et al. 2018, ProGAN, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MinibatchStd(nn.Module):
    """(N, C, H, W) to (N, C + 1, H, W): the last channel is the mean deviation within the picture's group.

    Pictures i, i + M, i + 2M, ... are a group, M being their number over the size of a group; that is the largest
    divisor of N up to `group`.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Append the channel."""
        count = len(x)
        size = next(g for g in range(min(self.group, count), 0, -1) if count % g == 0)
        grouped = x.reshape(size, count // size, -1)
        deviation = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean(1)  # one number a group
        channel = deviation.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        return torch.cat([x, channel], 1)
