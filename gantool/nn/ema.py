"""Running averages of weights."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * model, for weights and real buffers; whole numbers are copied.

    Buffers are averaged, too, so that batch norm's statistics are those of the averaged weights, roughly (Brock et
    al. 2019 do the same).
    """
    mine, theirs = [*average.parameters(), *average.buffers()], [*model.parameters(), *model.buffers()]
    pairs = list(zip(mine, theirs, strict=True))
    real = [(a, b) for a, b in pairs if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in real], [b for _, b in real], 1 - decay)
    for a, b in pairs:
        if not a.is_floating_point():
            a.copy_(b)
