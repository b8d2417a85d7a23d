"""The choice of pix2pix's networks."""

from __future__ import annotations

from torch import nn

from gantool.families.pix2pix.config import Pix2PixConfig
from gantool.family import DataShape
from gantool.nn.init import init_normal
from gantool.nn.patchgan import PatchGAN
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.spectral import add_spectral_norm
from gantool.nn.translator import Translator
from gantool.nn.unet import UNet


def make_generator(config: Pix2PixConfig, shape: DataShape) -> Translator:
    """The network that translates, with weights as published: N(0, 0.02), no biases (section 6.2)."""
    channels, side = (shape.given or shape.channels, shape.channels), min(shape.height, shape.width)
    network: Translator
    if config.arch == "resnet":
        network = ResNetTranslator(
            *channels, blocks=config.blocks, width=config.width_g, norm=config.norm, dropout=config.dropout,
            upsample=config.upsample,
        )  # fmt: skip
    else:
        network = UNet(
            *channels, layers=config.depth(side), width=config.width_g, norm=config.norm, dropout=config.dropout,
            dropped=config.dropped, upsample=config.upsample,
        )  # fmt: skip
    init_normal(network, zero_biases=True)
    return network


def make_discriminator(config: Pix2PixConfig, shape: DataShape) -> nn.Module:
    """The network that judges outputs, together with their inputs where it is conditional."""
    inputs = shape.channels + ((shape.given or shape.channels) if config.conditional else 0)
    network = PatchGAN(inputs, config.patch, config.width_d, norm=config.norm)
    init_normal(network, zero_biases=True)
    if config.spectral_norm:
        add_spectral_norm(network)
    return network
