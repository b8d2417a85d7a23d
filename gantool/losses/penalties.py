"""Gradient penalties on a critic."""

from __future__ import annotations

from torch import Tensor


def pixel_gradient_penalty(gradient: Tensor) -> Tensor:
    """mean over pixels of (||gradient over the channels|| - 1)^2.

    Args:
        gradient: of the summed score map with respect to the image, (N, C, H, W).

    The SinGAN and ConSinGAN codes take the norm per pixel, over the channels, where WGAN-GP (Gulrajani et al.
    2017, section 4) takes one norm per sample.
    """
    distance: Tensor = gradient.norm(2, dim=1) - 1
    return distance.square().mean()
