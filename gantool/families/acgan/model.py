"""AC-GAN: the game of gantool.game with a discriminator that also has to say the class."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from gantool.families.acgan.config import ACGANConfig
from gantool.families.acgan.networks import networks
from gantool.game.model import Game


class ACGAN(Game):
    """D raises L_S + L_C, G raises L_C - L_S (Odena et al. 2017, section 3); here as losses to go down."""

    config: ACGANConfig

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """G and D, as the options say."""
        return networks(self.config, self.shape)

    def class_loss(self, logits: Tensor, y: Tensor, player: str) -> Tensor:
        """Cross-entropy of the classes: on logits, which a softmax before it would blunt."""
        weight = self.config.class_weight_d if player == "discriminator" else self.config.class_weight_g
        return weight * F.cross_entropy(logits, y)
