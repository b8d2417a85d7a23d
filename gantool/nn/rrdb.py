"""RRDBNet, the generator of ESRGAN (Wang et al., ECCV workshops 2018) and of Real-ESRGAN (Wang et al., 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantool.nn.enlarger import Enlarger, start_small

UNSHUFFLE = {1: 4, 2: 2}  # BasicSR's: whatever the factor, the inner network enlarges by 4
SLOPE, RESIDUAL = 0.2, 0.2
DENSE = 5  # convolutions of a dense block


class RRDBNet(Enlarger):
    """(N, 3, H, W) in [0, 1] to (N, 3, factor H, factor W), about in [0, 1].

    Residual-in-residual dense blocks, then nearest-neighbour upsampling by 2 with a 3x3 after each. For factors 1 and
    2, BasicSR first folds 4x4 or 2x2 pixels into channels and enlarges by 4 from there. Parameter names and
    initialisation are those of XPixelGroup/BasicSR (and so of xinntao/Real-ESRGAN). ESRGAN, section 3.1; Real-ESRGAN,
    section 3.3.
    """

    def __init__(
        self, factor: int = 4, channels: int = 64, blocks: int = 23, growth: int = 32, *, unshuffle: int | None = None
    ) -> None:
        """
        Args:
            factor: 1, 2, 4 or 8.
            channels: between the blocks.
            blocks: how many, of three dense blocks each.
            growth: channels that each convolution of a dense block adds.
            unshuffle: n: fold n x n pixels into channels first. None: as BasicSR; ESRGAN before it: always 1.

        Raises:
            ValueError: factor * unshuffle is no power of 2, or above 8.
        """
        unshuffle = UNSHUFFLE.get(factor, 1) if unshuffle is None else unshuffle
        super().__init__(factor, channels=channels, blocks=blocks, growth=growth, unshuffle=unshuffle)
        self.unshuffle = unshuffle
        inner = factor * unshuffle
        if inner not in (1, 2, 4, 8):
            raise ValueError(f"factor x unshuffle must be 1, 2, 4 or 8, got {factor} x {unshuffle}")
        self.stages = inner.bit_length() - 1
        self.fold = nn.PixelUnshuffle(unshuffle)
        self.conv_first = nn.Conv2d(3 * unshuffle**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(channels, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)
        for number in range(1, self.stages + 1):
            self.add_module(f"up{number}", nn.Upsample(scale_factor=2, mode="nearest"))
            self.add_module(f"conv_up{number}", nn.Conv2d(channels, channels, 3, padding=1))
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """As the class says; sides that do not fold evenly are continued with their last pixels, and cut at the end."""
        height, width = x.shape[2:]
        below, right = -height % self.unshuffle, -width % self.unshuffle
        if below or right:
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        features: Tensor = self.conv_first(self.fold(x))
        features = features + self.conv_body(self.body(features))
        for number in range(1, self.stages + 1):
            enlarged = self.get_submodule(f"conv_up{number}")(self.get_submodule(f"up{number}")(features))
            features = F.leaky_relu(enlarged, SLOPE, inplace=True)
        image: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(features), SLOPE, inplace=True))
        return image[:, :, : height * self.factor, : width * self.factor]


class RRDB(nn.Module):
    """(N, C, H, W) to the same: three dense blocks, a fifth of what they give added to the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels, growth)
        self.rdb2 = DenseBlock(channels, growth)
        self.rdb3 = DenseBlock(channels, growth)

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        added: Tensor = x + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(x)))
        return added


class DenseBlock(nn.Module):
    """(N, C, H, W) to the same: each of five convolutions sees all before it; a fifth of the last joins the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for number in range(DENSE):
            inputs, outputs = channels + number * growth, growth if number < DENSE - 1 else channels
            self.add_module(f"conv{number + 1}", nn.Conv2d(inputs, outputs, 3, padding=1))
        start_small(self.modules())

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        *inner, last = self.children()
        seen = x
        for convolution in inner:
            seen = torch.cat((seen, F.leaky_relu(convolution(seen), SLOPE, inplace=True)), 1)
        added: Tensor = x + RESIDUAL * last(seen)
        return added
