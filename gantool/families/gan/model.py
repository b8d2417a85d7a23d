"""The first GAN: its two fully connected networks in the game of gantool.game."""

from __future__ import annotations

from torch import nn

from gantool.families.gan.config import GANConfig
from gantool.families.gan.networks import networks
from gantool.game.model import Game


class GAN(Game):
    """Two perceptrons that see all pixels at once (Goodfellow et al. 2014, section 5)."""

    config: GANConfig

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """G and D, as the options say."""
        return networks(self.config, self.shape)
