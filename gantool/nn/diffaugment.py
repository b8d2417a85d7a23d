"""Differentiable augmentation of what the discriminator sees (Zhao et al., NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gantool.nn.policies import parse_policy

Draw = Callable[..., Tensor]  # U[0, 1) of a shape, on the device
SHIFT, HOLE = 1 / 8, 1 / 2  # of the side: shift at most, side of the hole


def diff_augment(x: Tensor, policy: str, draw: Draw, strength: Tensor | None = None) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1] after the augmentations of `policy`; gradients flow through them.

    Args:
        policy: see `gantool.nn.policies.parse_policy`.
        strength: probability of each augmentation for each picture, a tensor without dimensions; None is 1.
    """
    for name in parse_policy(policy):
        changed = _AUGMENTATIONS[name](x, draw)
        if strength is not None:
            changed = torch.where(draw(len(x), 1, 1, 1) < strength, changed, x)
        x = changed
    return x


def _color(x: Tensor, draw: Draw) -> Tensor:
    """Brightness in +-0.5, saturation times 0 to 2, contrast times 0.5 to 1.5, of pictures from -1 to 1."""
    n = len(x)
    x = x + (draw(n, 1, 1, 1) - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * draw(n, 1, 1, 1))
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + (x - middle) * (draw(n, 1, 1, 1) + 0.5)


def _whole(draw: Draw, n: int, low: int, high: int) -> Tensor:
    """(n, 1) whole numbers from low to high, both included."""
    return (draw(n, 1) * (high - low + 1)).floor().long() + low


def _translation(x: Tensor, draw: Draw) -> Tensor:
    """Shifted by up to an eighth of each side; what comes in is 0."""
    n, _, height, width = x.shape
    reach_y, reach_x = round(height * SHIFT), round(width * SHIFT)
    rows = torch.arange(height, device=x.device) + _whole(draw, n, -reach_y, reach_y)
    columns = torch.arange(width, device=x.device) + _whole(draw, n, -reach_x, reach_x)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    batch = torch.arange(n, device=x.device)[:, None, None]
    moved = x.permute(0, 2, 3, 1)[
        batch, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ].permute(0, 3, 1, 2)
    return moved * inside[:, None].to(x.dtype)


def _cutout(x: Tensor, draw: Draw) -> Tensor:
    """A hole of half the side, centred anywhere in the picture, is 0."""
    n, _, height, width = x.shape
    high, wide = round(height * HOLE), round(width * HOLE)
    top = _whole(draw, n, 0, height - 1 + (high % 2 == 0)) - high // 2
    left = _whole(draw, n, 0, width - 1 + (wide % 2 == 0)) - wide // 2
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    hole = ((rows >= top) & (rows < top + high))[:, :, None] & ((columns >= left) & (columns < left + wide))[:, None, :]
    return x * (~hole)[:, None].to(x.dtype)


def _flip(x: Tensor, draw: Draw) -> Tensor:
    """Half of the pictures mirrored."""
    return torch.where(draw(len(x), 1, 1, 1) < 0.5, x.flip(3), x)


_AUGMENTATIONS = {"color": _color, "translation": _translation, "cutout": _cutout, "flip": _flip}
