"""Running averages of weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def early_decay(decay: float, step: int) -> float:
    """The decay of an average in its first steps, `step` from 0: over fewer of them, up to `decay`.

    Else the first, bad weights would stay in it for long.
    """
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float | Tensor) -> None:
    """average <- decay * average + (1 - decay) * model, for weights and real buffers; whole numbers are copied.

    Buffers are averaged, too, so that batch norm's statistics are those of the averaged weights, roughly (Brock et
    al. 2019 do the same).

    Args:
        average, model: two of a kind.
        decay: in [0, 1]; a tensor without dimensions, of the weights' type, where the host is not to know it.
    """
    mine, theirs = [*average.parameters(), *average.buffers()], [*model.parameters(), *model.buffers()]
    pairs = list(zip(mine, theirs, strict=True))
    real = [(a, b) for a, b in pairs if a.is_floating_point()]
    weight = 1 - decay
    torch._foreach_lerp_(
        [a for a, _ in real], [b for _, b in real], [weight] * len(real) if isinstance(weight, Tensor) else weight
    )
    for a, b in pairs:
        if not a.is_floating_point():
            a.copy_(b)
