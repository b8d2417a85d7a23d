"""Losses on pixels."""

from __future__ import annotations

from torch import Tensor


def total_variation(pictures: Tensor) -> Tensor:
    """Twice the mean squared difference of pixels one below the other, and as much of those side by side.

    Args:
        pictures: (N, C, H, W), of two pixels a side or more.

    Squares, and means over each kind of neighbours, as SRGAN's best-known PyTorch code (leftthomas/SRGAN) takes
    them, in units of the pictures' own range. The sum of absolute values (Rudin et al. 1992) is another thing.
    """
    down = (pictures[:, :, 1:] - pictures[:, :, :-1]).square().mean()
    right = (pictures[:, :, :, 1:] - pictures[:, :, :, :-1]).square().mean()
    return 2 * (down + right)
