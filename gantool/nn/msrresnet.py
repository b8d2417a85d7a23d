"""MSRResNet, BasicSR's modified SRResNet: no batch norm, and it learns what bilinear enlarging lacks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from gantool.nn.enlarger import Enlarger, start_small

STAGES = {2: (2,), 3: (3,), 4: (2, 2)}  # factor: of each upsampling
SLOPE = 0.1


class MSRResNet(Enlarger):
    """(N, 3, H, W) in [0, 1] to (N, 3, factor H, factor W), about in [0, 1].

    The generator of SRGAN as XPixelGroup/BasicSR has it, with its parameter names and its initialisation: residual
    blocks with one ReLU and no norm (Lim et al. 2017), LeakyReLU of slope 0.1 elsewhere, the bilinear enlargement
    added at the end.
    """

    def __init__(self, factor: int = 4, channels: int = 64, blocks: int = 16) -> None:
        """
        Args:
            factor: 2, 3 or 4.
            channels: of all layers inside.
            blocks: how many residual blocks.

        Raises:
            ValueError: another factor.
        """
        if factor not in STAGES:
            raise ValueError(f"factor must be one of {', '.join(map(str, STAGES))}, got {factor}")
        super().__init__(factor, channels=channels, blocks=blocks)
        self.stages = len(STAGES[factor])
        self.conv_first = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        for number, r in enumerate(STAGES[factor], 1):
            self.add_module(f"upconv{number}", nn.Conv2d(channels, channels * r**2, 3, padding=1))
            self.add_module(f"shuffle{number}", nn.PixelShuffle(r))
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)
        start_small(self.modules())

    def forward(self, x: Tensor) -> Tensor:
        """As the class says. What a convolution gave is changed in place: nobody else has it, and memory is short."""
        features: Tensor = self.body(F.leaky_relu(self.conv_first(x), SLOPE, inplace=True))
        for number in range(1, self.stages + 1):
            enlarged = self.get_submodule(f"shuffle{number}")(self.get_submodule(f"upconv{number}")(features))
            features = F.leaky_relu(enlarged, SLOPE, inplace=True)
        detail: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(features), SLOPE, inplace=True))
        return detail + F.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """(N, C, H, W) to the same: 3x3, ReLU, 3x3, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        added: Tensor = x + self.conv2(F.relu(self.conv1(x), inplace=True))
        return added
