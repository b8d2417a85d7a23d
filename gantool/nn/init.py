"""Weight initialisers under the names the papers use."""

from __future__ import annotations

from torch import nn


def init_normal(module: nn.Module) -> None:
    """DCGAN's initialisation in place: conv weights N(0, 0.02), norm gains N(1, 0.02), norm biases 0.

    Conv biases keep PyTorch's default, as in the SinGAN and ConSinGAN codes. Radford et al. 2016, section 4.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)
