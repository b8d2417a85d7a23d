"""DCGAN's two networks, in the layouts of gantool.nn.dcgan."""

from __future__ import annotations

from torch import nn

from gantool.families.dcgan.config import DCGANConfig
from gantool.family import DataShape
from gantool.nn.dcgan import ConvDiscriminator, ConvGenerator


class Generator(ConvGenerator):
    """z (N, nz) to pictures (N, C, H, W) in [-1, 1]; labels are ignored."""

    def __init__(self, config: DCGANConfig, shape: DataShape) -> None:
        super().__init__(
            config.nz,
            shape.height,
            shape.channels,
            config.ngf,
            layout=config.arch,
            widest=config.widest,
            norm=config.norm_g == "batch",
            extra_layers=config.extra_layers,
        )


class Discriminator(ConvDiscriminator):
    """Pictures (N, C, H, W) to scores (N,), before any sigmoid; labels are ignored."""

    def __init__(self, config: DCGANConfig, shape: DataShape) -> None:
        super().__init__(
            shape.height,
            shape.channels,
            config.ndf,
            layout=config.arch,
            widest=config.widest,
            norm=config.norm_d,
            extra_layers=config.extra_layers,
            dropout=config.dropout,
            minibatch_std=config.minibatch_std,
        )


def networks(config: DCGANConfig, shape: DataShape) -> tuple[nn.Module, nn.Module]:
    """G and D."""
    return Generator(config, shape), Discriminator(config, shape)
