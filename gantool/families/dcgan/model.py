"""DCGAN: its two networks in the game of gantool.game."""

from __future__ import annotations

from torch import nn

from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.networks import networks
from gantool.game.model import Game


class DCGAN(Game):
    """Convolutions without pooling on both sides (Radford et al. 2016, section 3)."""

    config: DCGANConfig

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """G and D, as the options say."""
        return networks(self.config, self.shape)
