"""SRResNet, the generator of SRGAN (Ledig et al., CVPR 2017)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gantool.nn.enlarger import Enlarger

STAGES = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}  # factor: of each upsampling


class SRResNet(Enlarger):
    """(N, 3, H, W) in [0, 1] to (N, 3, factor H, factor W), about in [0, 1].

    Convolution 9x9 and PReLU; residual blocks (3x3, BN, PReLU, 3x3, BN); 3x3, BN and the long skip; for each factor
    of 2 (or 3) a 3x3, pixel shuffle and PReLU; convolution 9x9. Ledig et al. 2017, section 2.1.1 and figure 4.

    Slopes of the PReLUs: the paper does not say how many there are. It cites He et al. 2015 for them, who learn one
    for each channel, which is the default here. Many PyTorch codes (leftthomas/SRGAN, Lornatang/SRGAN-PyTorch) take
    `nn.PReLU()`, which is one for each layer. Initialisation is PyTorch's: the paper names none.
    """

    def __init__(
        self,
        factor: int = 4,
        channels: int = 64,
        blocks: int = 16,
        *,
        norm: Literal["batch", "none"] = "batch",
        slopes: Literal["channel", "layer"] = "channel",
        trunk_end: Literal["norm", "prelu", "none"] = "norm",
        bias: bool = True,
        last: Literal["linear", "tanh"] = "linear",
    ) -> None:
        """
        Args:
            factor: 2, 3, 4 or 8.
            channels: of all layers inside.
            blocks: how many residual blocks.
            norm: "none" leaves out every batch norm, that of the trunk's end too.
            slopes: whether each channel of a PReLU has its own slope or the layer has one.
            trunk_end: what follows the convolution before the long skip ("prelu": leftthomas/SRGAN of 2017).
            bias: of the convolutions that batch norm follows, where it has no effect.
            last: "tanh" ends in (tanh + 1) / 2, which keeps to [0, 1] (leftthomas/SRGAN).

        Raises:
            ValueError: another factor.
        """
        if factor not in STAGES:
            raise ValueError(f"factor must be one of {', '.join(map(str, STAGES))}, got {factor}")
        super().__init__(
            factor,
            channels=channels,
            blocks=blocks,
            norm=norm,
            slopes=slopes,
            trunk_end=trunk_end,
            bias=bias,
            last=last,
        )

        def prelu() -> nn.PReLU:
            return nn.PReLU(channels if slopes == "channel" else 1)

        normed = norm == "batch"
        self.head = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), prelu())
        self.blocks = nn.Sequential(
            *(ResidualBlock(channels, prelu(), norm=normed, bias=bias or not normed) for _ in range(blocks))
        )
        ends_in_norm = normed and trunk_end == "norm"
        self.trunk = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=bias or not ends_in_norm))
        if ends_in_norm:
            self.trunk.append(nn.BatchNorm2d(channels))
        elif trunk_end == "prelu":
            self.trunk.append(prelu())
        self.stages = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(channels, channels * r**2, 3, padding=1), nn.PixelShuffle(r), prelu())
                for r in STAGES[factor]
            )
        )
        self.tail = nn.Conv2d(channels, 3, 9, padding=4)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        low = self.head(x)
        high = low + self.trunk(self.blocks(low))
        image: Tensor = self.tail(self.stages(high))
        return (torch.tanh(image) + 1) / 2 if self.last == "tanh" else image


class ResidualBlock(nn.Module):
    """(N, C, H, W) to the same: 3x3, BN, PReLU, 3x3, BN, added to the input. Gross and Wilber 2016."""

    def __init__(self, channels: int, prelu: nn.PReLU, *, norm: bool, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.norm1 = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.prelu = prelu
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.norm2 = nn.BatchNorm2d(channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        inner = self.prelu(self.norm1(self.conv1(x)))
        added: Tensor = x + self.norm2(self.conv2(inner))
        return added
