"""Weight initialisers under the names the papers use."""

from __future__ import annotations

from torch import nn

WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)


def init_normal(module: nn.Module, *, zero_biases: bool = False) -> None:
    """DCGAN's initialisation in place: weights N(0, 0.02), norm gains N(1, 0.02), norm biases 0.

    Biases of other layers keep PyTorch's default, as in the SinGAN and ConSinGAN codes, or become 0. Embeddings are
    left alone. Radford et al. 2016, section 4.
    """
    for part in module.modules():
        if isinstance(part, WEIGHTED):
            nn.init.normal_(part.weight, 0.0, 0.02)
            if zero_biases and part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, NORMS) and part.weight is not None:
            nn.init.normal_(part.weight, 1.0, 0.02)
            nn.init.zeros_(part.bias)
