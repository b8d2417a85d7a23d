"""What practitioners do for a game that will not settle: at the labels, and at the pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantool.engine.model import Context, Metrics
from gantool.game.measures import BORDER
from gantool.game.options import GameConfig
from gantool.losses.adversarial import AdversarialLoss, targets
from gantool.nn.adaptive import AdaptiveStrength
from gantool.nn.diffaugment import diff_augment
from gantool.nn.policies import parse_policy


class LabelRemedies:
    """One-sided smoothing, soft labels and swapped labels: all at the targets of the discriminator alone."""

    def __init__(self, config: GameConfig) -> None:
        self.smoothing, self.soft, self.flipped = config.label_smoothing, config.soft_labels, config.flip_labels

    def discriminator_loss(self, loss: AdversarialLoss, real: Tensor, fake: Tensor, ctx: Context) -> Tensor:
        """The discriminator's loss on scores (N,) of reals and of fakes."""
        on_real = on_fake = None
        if self.smoothing or self.soft is not None or self.flipped:
            # Fakes get the softened targets of reals only where they are taken for reals.
            on_real, on_fake = (
                targets(
                    scores, base, smoothing=self.smoothing, soft_from=self.soft, flipped=self.flipped, draw=ctx.uniform
                )
                for scores, base in ((real, 1.0), (fake, 0.0))
            )
        return loss.real(real, on_real) + loss.fake(fake, on_fake)


class Augmentation(nn.Module):
    """Differentiable augmentation of what the discriminator sees (Zhao et al. 2020), at a strength that adapts.

    The strength follows from how surely reals are seen as such (Karras et al. 2020, ADA, section 3).
    """

    def __init__(self, config: GameConfig) -> None:
        super().__init__()
        self.policy = config.diffaugment if parse_policy(config.diffaugment) else ""
        self.border = BORDER.get(config.loss, 0.0)
        self.adaptive = AdaptiveStrength(config.ada, config.ada_speed) if config.ada is not None else None

    def forward(self, x: Tensor, ctx: Context) -> Tensor:
        """Pictures (N, C, H, W) as the discriminator is to see them."""
        if not self.policy:
            return x
        strength = None if self.adaptive is None else self.adaptive.p
        return diff_augment(x, self.policy, ctx.uniform, strength)

    def observe(self, real_scores: Tensor, ctx: Context) -> Metrics:
        """Adapt the strength to the scores (N,) of reals; what to log of it."""
        if self.adaptive is None:
            return {}
        with torch.no_grad():
            above = real_scores.detach() - self.border
            self.adaptive.update(above, len(above) * ctx.world.size, ctx.world.average)
        return {"strength": self.adaptive.p.detach().clone()}
