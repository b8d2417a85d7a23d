"""What the two players of a GAN minimise, on raw scores of any shape: means over all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(Protocol):
    """One game.

    Attributes:
        takes_targets: whether scores are compared with targets (1 for real, 0 for fake), which remedies may change.
    """

    takes_targets: bool

    def real(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """The discriminator's loss on the scores of reals; `target` like scores, None for the usual one."""
        ...

    def fake(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """The discriminator's loss on the scores of fakes."""
        ...

    def generator(self, scores: Tensor) -> Tensor:
        """The generator's loss on the scores of its fakes."""
        ...


class BinaryCrossEntropy:
    """Goodfellow et al. 2014, eq. 1, on logits; the generator's is the non-saturating one of section 3."""

    takes_targets = True

    def real(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """-log sigmoid(D), or the cross-entropy with softer targets."""
        if target is not None:
            return F.binary_cross_entropy_with_logits(scores, target)
        return F.softplus(-scores).mean()

    def fake(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """-log(1 - sigmoid(D)), or the cross-entropy with other targets."""
        if target is not None:
            return F.binary_cross_entropy_with_logits(scores, target)
        return F.softplus(scores).mean()

    def generator(self, scores: Tensor) -> Tensor:
        """-log sigmoid(D)."""
        return F.softplus(-scores).mean()


class LeastSquares:
    """Mao et al. 2017, eq. 9, with a = 0, b = c = 1.

    Args:
        weight: of the squares: 1/2 in the paper, 1 in some codes.
    """

    takes_targets = True

    def __init__(self, weight: float = 0.5) -> None:
        self.weight = weight

    def real(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """(D - 1)^2 / 2."""
        return self.weight * (scores - (1 if target is None else target)).square().mean()

    def fake(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """D^2 / 2."""
        return self.weight * (scores if target is None else scores - target).square().mean()

    def generator(self, scores: Tensor) -> Tensor:
        """(D - 1)^2 / 2."""
        return self.weight * (scores - 1).square().mean()


class Hinge:
    """Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17."""

    takes_targets = False

    def real(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """max(0, 1 - D)."""
        _no_target(target)
        return F.relu(1 - scores).mean()

    def fake(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """max(0, 1 + D)."""
        _no_target(target)
        return F.relu(1 + scores).mean()

    def generator(self, scores: Tensor) -> Tensor:
        """-D."""
        return -scores.mean()


class Wasserstein:
    """Arjovsky et al. 2017, algorithm 1: the critic is high on reals. Their code has the opposite sign throughout."""

    takes_targets = False

    def real(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """-D."""
        _no_target(target)
        return -scores.mean()

    def fake(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """D."""
        _no_target(target)
        return scores.mean()

    def generator(self, scores: Tensor) -> Tensor:
        """-D."""
        return -scores.mean()


class Probability:
    """What a common code of SRGAN (leftthomas/SRGAN) takes in place of logarithms: probabilities P = sigmoid(D)."""

    takes_targets = False

    def real(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """1 - P."""
        _no_target(target)
        return 1 - scores.sigmoid().mean()

    def fake(self, scores: Tensor, target: Tensor | None = None) -> Tensor:
        """P."""
        _no_target(target)
        return scores.sigmoid().mean()

    def generator(self, scores: Tensor) -> Tensor:
        """1 - P."""
        return 1 - scores.sigmoid().mean()


LOSSES: dict[str, AdversarialLoss] = {
    "bce": BinaryCrossEntropy(),
    "lsgan": LeastSquares(),
    "hinge": Hinge(),
    "wasserstein": Wasserstein(),
    "probability": Probability(),
}


def _no_target(target: Tensor | None) -> None:
    if target is not None:
        raise ValueError("this loss compares scores with no targets")


def targets(
    like: Tensor,
    base: float,
    *,
    smoothing: float = 0.0,
    soft_from: float | None = None,
    flipped: float = 0.0,
    draw: Callable[..., Tensor],
) -> Tensor:
    """What the discriminator is to say of pictures, (N,): 1 for reals and 0 for fakes, softened and mistaken.

    Only the targets of reals are softened: with targets above 0 for fakes, the best discriminator would depend on
    where the fakes are even far from all reals, and would hold them there (Salimans et al. 2016, section 3.4).

    Args:
        like: the scores (N,).
        base: 1 for reals, 0 for fakes.
        smoothing: the target of reals is 1 - smoothing.
        soft_from: the targets of reals are drawn from U[soft_from, 1].
        flipped: this share of the pictures is given the other kind's target.
        draw: gives U[0, 1) of a shape.
    """
    wanted, other = torch.full_like(like, base), torch.full_like(like, 1 - base)
    for target, kind in ((wanted, base), (other, 1 - base)):
        if kind == 1:
            target.sub_(smoothing)
            if soft_from is not None:
                target.copy_(soft_from + (1 - soft_from) * draw(*like.shape))
    if not flipped:
        return wanted
    return torch.where(draw(*like.shape) < flipped, other, wanted)
