"""Features of VGG19, in which content losses compare pictures."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gantool.nn.backbone import convolutions
from gantool.nn.vision import models

# Of pictures in [0, 1], as torchvision's weights were trained on.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VggFeatures(nn.Module):
    """phi_{i,j} of Ledig et al. 2017 (SRGAN), section 2.2.1: pictures to one layer's features, with fixed weights.

    Gradients reach the pictures. The module stays in evaluation mode.

    Args:
        state: torchvision's state_dict of VGG19, whole or of its `features` only.
        pool, conv: i and j: the feature map is that of the `conv`-th convolution, after its activation, before
            the `pool`-th max-pooling; (2, 2) is relu2_2, (5, 4) is relu5_4.
        source: what to call `state` in errors.

    Attributes:
        layers: torchvision's layers up to that activation.
        least: side of the smallest picture that has such features, in pixels.

    Raises:
        DataError: weights that do not fit the network.
        ValueError: VGG19 has no such layer.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, state: Mapping[str, Tensor], pool: int = 5, conv: int = 4, *, source: str = "The state_dict"
    ) -> None:
        super().__init__()
        self.layers = convolutions(models.vgg19, _end(pool, conv), state, source, "torchvision's VGG19")
        self.least: int = 2 ** (pool - 1)
        # In units of [-1, 1], the pictures' own.
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1) * 2 - 1, persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1) * 2, persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] to features (N, C, H / least, W / least), 0 or more, rounded down."""
        features: Tensor = self.layers((pictures - self.mean) / self.deviation)
        return features

    def train(self, mode: bool = True) -> VggFeatures:
        """Evaluation mode whatever is asked for: it is no part of what trains."""
        return super().train(False)


def blank_vgg(pool: int, conv: int) -> nn.Module:
    """The layers of `VggFeatures` on the meta device, without values."""
    with torch.device("meta"):
        layers: nn.Module = models.vgg19(weights=None).features[: _end(pool, conv)]
    return layers


def _end(pool: int, conv: int) -> int:
    """How many of VGG19's layers lead to that activation."""
    with torch.device("meta"):
        layers = models.vgg19(weights=None).features
    pools = convs = 0
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.MaxPool2d):
            pools, convs = pools + 1, 0
        elif isinstance(layer, nn.Conv2d):
            convs += 1
        elif (pools + 1, convs) == (pool, conv):
            return index + 1
    raise ValueError(f"VGG19 has no convolution {conv} before max-pooling {pool}")
