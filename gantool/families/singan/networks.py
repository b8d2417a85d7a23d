"""SinGAN's two networks (Shaham et al., ICCV 2019, section 2.1 and the official code).

Parameter names are the official ones (`head.conv.weight`, `body.block1.norm.weight`, `tail.0.weight`), so official
weights load without renaming.
"""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from gantool.nn.init import init_normal
from gantool.nn.input_gradient import input_gradient


class ConvBlock(nn.Module):
    """3x3 convolution without padding, batch norm, LeakyReLU: (N, C, H, W) to (N, C', H-2, W-2)."""

    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        self.norm = nn.BatchNorm2d(outputs)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return F.leaky_relu_(self.norm(self.conv(x)), self.slope)


def _body(channels: int, layers: int, slope: float) -> nn.Sequential:
    blocks = ((f"block{i}", ConvBlock(channels, channels, slope)) for i in range(1, layers - 1))
    return nn.Sequential(OrderedDict(blocks))


class Discriminator(nn.Module):
    """The patch discriminator of a scale: (N, 3, H, W) to scores (N, 1, H - 10, W - 10) with 5 layers.

    Each score sees 11 x 11 pixels, through batch norm also the statistics of the picture. One picture at a time
    is what it is trained on: a batch would share its statistics.
    """

    def __init__(self, channels: int, layers: int, slope: float) -> None:
        super().__init__()
        self.head = ConvBlock(3, channels, slope)
        self.body = _body(channels, layers, slope)
        self.tail = nn.Conv2d(channels, 1, 3)
        self.slope = slope
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """Pictures in [-1, 1] to maps of scores."""
        scores: Tensor = self.tail(self.body(self.head(image)))
        return scores

    def input_gradient(self, image: Tensor) -> Tensor:
        """The gradient of the summed score map with respect to the image, (N, 3, H, W), differentiable."""
        blocks = [(block.conv, block.norm) for block in (self.head, *self.body)]
        return input_gradient(blocks, self.tail, self.slope, image)


class Generator(nn.Module):
    """The generator of a scale: x = up(x below) + net(noise + up(x below)).

    Nothing is padded inside; its inputs are larger than the picture by `margin` pixels on each side.
    """

    def __init__(self, channels: int, layers: int, slope: float) -> None:
        super().__init__()
        self.head = ConvBlock(3, channels, slope)
        self.body = _body(channels, layers, slope)
        self.tail = nn.Sequential(nn.Conv2d(channels, 3, 3), nn.Tanh())
        self.margin = layers
        init_normal(self)

    def forward(self, noise: Tensor, previous: Tensor) -> Tensor:
        """Scaled noise and the enlarged picture from below, both (N, 3, H + 10, W + 10), to (N, 3, H, W).

        The result is not clamped, as published: it lies in [-2, 2], mostly in [-1, 1].
        """
        x: Tensor = self.tail(self.body(self.head(noise + previous)))
        return x + crop_margin(previous, self.margin)


def pad_margin(x: Tensor, margin: int) -> Tensor:
    """Zeros around (N, C, H, W)."""
    return F.pad(x, (margin, margin, margin, margin))


def crop_margin(x: Tensor, margin: int) -> Tensor:
    """(N, C, H + 2 margin, W + 2 margin) without its margin."""
    return x[:, :, margin : x.shape[2] - margin, margin : x.shape[3] - margin]
