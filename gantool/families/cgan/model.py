"""The conditional GAN: its two networks in the game of gantool.game, which hands both of them the class."""

from __future__ import annotations

from torch import nn

from gantool.families.cgan.config import CGANConfig
from gantool.families.cgan.networks import networks
from gantool.game.model import Game


class CGAN(Game):
    """Both players are told the class (Mirza and Osindero 2014, section 3.2)."""

    config: CGANConfig

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """G and D, as the options say."""
        return networks(self.config, self.shape)
