"""Gradient penalties on a critic."""

from __future__ import annotations

from collections.abc import Callable

import torch
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


class MixturePenalty:
    """`weight` times the pixel gradient penalty at one random mixture of a real and a fake picture.

    With `every` > 1 only each `every`-th critic update pays it, and then `every` times as hard (the lazy
    regularisation of Karras et al., StyleGAN2, 2020, section 3.1).

    Attributes:
        last: the penalty as last computed, for the log, which would show zeros where it is skipped.
    """

    def __init__(self, weight: float, every: int = 1) -> None:
        self.weight, self.every = weight, every
        self.last = torch.zeros(())

    def __call__(
        self,
        input_gradient: Callable[[Tensor], Tensor],
        real: Tensor,
        fake: Tensor,
        draw: Callable[[], Tensor],
        update: int,
    ) -> Tensor:
        """The penalty to add to the critic's loss, 0 where it is skipped.

        Args:
            input_gradient: the critic's, differentiable.
            real, fake: (1, C, H, W).
            draw: gives a number from U[0, 1); one is taken for the whole picture.
            update: counts the critic's updates.
        """
        if update % self.every:
            return real.new_zeros(())
        mix = draw()
        penalty = self.weight * pixel_gradient_penalty(input_gradient(mix * real + (1 - mix) * fake))
        self.last = penalty.detach()
        return self.every * penalty


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    mix: Tensor,
    *,
    centre: float = 1.0,
    one_sided: bool = False,
) -> Tensor:
    """Mean of (||gradient|| - centre)^2 at random points between reals and fakes (Gulrajani et al. 2017, eq. 3).

    Args:
        critic: pictures (N, C, H, W) to scores (N,); must not mix the pictures of a batch.
        real, fake: (N, C, H, W).
        mix: (N, 1, 1, 1) from U[0, 1); the points are real + mix (fake - real).
        centre: the norm that costs nothing: 1, for a critic that is to be 1-Lipschitz.
        one_sided: neither do smaller ones.
    """
    points = (real + mix * (fake - real)).detach().requires_grad_()
    distance = _gradient(critic, points).flatten(1).norm(2, dim=1) - centre
    penalty: Tensor = (distance.relu() if one_sided else distance).square().mean()
    return penalty


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Mean squared norm of the gradient at reals (N, C, H, W); usually times gamma / 2 (Mescheder et al. 2018)."""
    points = real.detach().requires_grad_()
    return _gradient(critic, points).square().flatten(1).sum(1).mean()


def _gradient(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Of the summed scores: of each score at its own point, as long as the critic mixes none."""
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return gradient
