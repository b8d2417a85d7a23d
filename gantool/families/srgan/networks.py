"""SRGAN's discriminator, and the choice of its generator."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from gantool.families.srgan.config import HALVINGS, SRGANConfig
from gantool.nn.enlarger import Enlarger
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet

SLOPE = 0.2


def make_generator(config: SRGANConfig) -> Enlarger:
    """The network that enlarges."""
    if config.arch == "rrdb":
        return RRDBNet(config.scale, config.channels, config.blocks, config.growth)
    if config.arch == "msrresnet":
        return MSRResNet(config.scale, config.channels, config.blocks)
    return SRResNet(
        config.scale, config.channels, config.blocks, norm=config.norm_g, slopes=config.slopes, last=config.last
    )


class Discriminator(nn.Module):
    """Patches (N, 3, size, size) to scores (N,), before the sigmoid.

    Eight convolutions of 3x3, with 1, 1, 2, 2, 4, 4, 8, 8 times `width` channels, every second of stride 2; LeakyReLU
    of slope 0.2; batch norm but after the first; two dense layers, of 16 times `width` units and one (Ledig et al.
    2017, section 2.1.1 and figure 4).

    Args:
        size: side of the patches; of no concern where `head` is "pool".
        width: channels of the first layer.
        norm: "none" leaves out batch norm.
        head: "dense" takes every place of the last maps, as published; "pool" their means, for patches of any size.
    """

    def __init__(self, size: int, width: int = 64, *, norm: str = "batch", head: str = "dense") -> None:
        super().__init__()
        channels = [width * times for times in (1, 1, 2, 2, 4, 4, 8, 8)]
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(SLOPE)]
        for number, (before, after) in enumerate(pairwise(channels)):
            layers.append(nn.Conv2d(before, after, 3, stride=2 - number % 2, padding=1))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(SLOPE))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1) if head == "pool" else nn.Identity()
        units = 8 * width if head == "pool" else 8 * width * (size // 2**HALVINGS) ** 2
        self.judge = nn.Sequential(nn.Linear(units, 16 * width), nn.LeakyReLU(SLOPE), nn.Linear(16 * width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        scores: Tensor = self.judge(self.pool(self.features(x)).flatten(1))
        return scores[:, 0]
