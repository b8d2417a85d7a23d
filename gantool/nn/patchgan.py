"""The discriminator of pix2pix: it judges patches, not pictures."""

from __future__ import annotations

from torch import Tensor, nn

from gantool.nn.sides import PATCHES
from gantool.nn.translator import Options, norm

SLOPE = 0.2
WIDEST = 8  # times `width`


class PatchGAN(nn.Module):
    """Pictures (N, inputs, H, W) to scores (N, 1, h, w), before the sigmoid, of overlapping patches.

    Convolutions 4x4: `PATCHES[patch]` of stride 2, and two of stride 1, the last to one channel; LeakyReLU of slope
    0.2; norm but in the first and the last (Isola et al. 2017, sections 3.2.2 and 6.1.2). A patch of one pixel is three
    convolutions 1x1. Biases as the PyTorch port has them.

    Args:
        inputs: channels of what is judged: of input and output together, if the discriminator sees both.
        patch: side of a patch in pixels, one of `PATCHES`.
        width: channels of the first layer.
        norm: "batch", "instance" or "none".

    Attributes:
        options: what to give the class to build the same network again.
    """

    def __init__(self, inputs: int, patch: int = 70, width: int = 64, *, norm: str = "batch") -> None:
        super().__init__()
        self.options: Options = {"inputs": inputs, "patch": patch, "width": width, "norm": norm}
        bias = norm != "batch"
        if not PATCHES[patch]:
            layers = [nn.Conv2d(inputs, width, 1), nn.LeakyReLU(SLOPE), *_layer(width, 2 * width, 1, 1, norm)]
            self.layers = nn.Sequential(*layers, nn.Conv2d(2 * width, 1, 1, bias=bias))
            return
        widths = [width * min(2**depth, WIDEST) for depth in range(PATCHES[patch] + 1)]
        layers = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for depth in range(1, len(widths)):
            layers += _layer(widths[depth - 1], widths[depth], 4, 2 if depth < len(widths) - 1 else 1, norm)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        scores: Tensor = self.layers(x)
        return scores


def _layer(before: int, after: int, kernel: int, stride: int, kind: str) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, kernel, stride, 1 if kernel > 1 else 0, bias=kind != "batch")
    return [convolution, norm(kind, after), nn.LeakyReLU(SLOPE)]
