"""The U-Net of pix2pix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantool.nn.columns import DoublingConv2d
from gantool.nn.translator import Noise, Translator, drop, norm

SLOPE = 0.2
WIDEST = 8  # times `width`
DROPPING = 3  # layers of the decoder, in the authors' code
PLAIN = 5  # layers of the PyTorch port that never drop: the innermost one and those of growing width


class Layer(nn.Sequential):
    """A convolution that halves or doubles sides, and its norm."""


class UNet(Translator):
    """Encoder and decoder of `layers` convolutions 4x4 of stride 2 each, each layer of one linked to its mirror's.

    Channels double from `width` to eight times that. The outermost and the innermost layer of the encoder have no
    norm, nor has the last of the decoder (Isola et al. 2017, sections 3.2.1 and 6.1.1). A picture of 2^layers pixels is
    one pixel in the middle. Convolutions have biases where no batch norm follows that would undo them; those without
    any norm have none beside batch norm either, but for the last, as in the PyTorch port.

    Args:
        inputs, outputs: channels of pictures.
        layers: 8 for pictures of 256 pixels, 7 for 128.
        width: channels of the first layer.
        norm: "batch", "instance" or "none".
        dropout: the share dropped.
        dropped: which layers of the decoder drop: its "first" three, as in the authors' Torch code, or those in the
            "middle", innermost one left out, as in the PyTorch port.
        upsample: "transposed" convolutions, as published; or "resize", by repeating pixels before a convolution 3x3,
            which leaves no checkerboard (Odena et al. 2016).
    """

    def __init__(
        self,
        inputs: int = 3,
        outputs: int = 3,
        *,
        layers: int = 8,
        width: int = 64,
        norm: str = "batch",
        dropout: float = 0.5,
        dropped: Literal["first", "middle"] = "middle",
        upsample: Literal["transposed", "resize"] = "transposed",
    ) -> None:
        super().__init__(
            inputs, outputs, 2**layers, dropout,
            layers=layers, width=width, norm=norm, dropped=dropped, upsample=upsample,
        )  # fmt: skip
        self.widths = [width * min(2**depth, WIDEST) for depth in range(layers)]
        self.down = nn.ModuleList(_down(self.widths, inputs, norm))
        self.up = nn.ModuleList(_up(self.widths, outputs, norm, upsample))
        if dropped == "first":
            self.dropping = range(min(DROPPING, layers - 1))
        else:
            self.dropping = range(1, max(1, layers - PLAIN + 1))

    def places(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """See `Translator`."""
        layers = len(self.widths)
        depths = [layers - 1 - number for number in self.dropping]  # of the layer whose mirror it is
        return [(self.widths[depth - 1], height >> depth, width >> depth) for depth in depths]

    def body(self, x: Tensor, noise: Noise | None) -> Tensor:
        """See `Translator`."""
        numbers = iter(noise or ())
        seen: list[Tensor] = []
        for depth, layer in enumerate(self.down):
            x = layer(F.leaky_relu(x, SLOPE) if depth else x)
            seen.append(x)
        x = seen.pop()
        for number, layer in enumerate(self.up):
            x = layer(F.relu(x))
            if noise is not None and number in self.dropping:
                x = drop(x, next(numbers), self.dropout)
            if seen:
                x = torch.cat([seen.pop(), x], 1)
        return torch.tanh(x)


def _down(widths: Sequence[int], inputs: int, kind: str) -> list[Layer]:
    layers, last = [], len(widths) - 1
    for depth, (before, after) in enumerate(zip([inputs, *widths], widths, strict=False)):
        convolution = nn.Conv2d(before, after, 4, 2, 1, bias=kind != "batch")
        layers.append(Layer(convolution, norm(kind if 0 < depth < last else "none", after)))
    return layers


def _up(widths: Sequence[int], outputs: int, kind: str, upsample: str) -> list[Layer]:
    layers = []
    for depth in reversed(range(len(widths))):
        before = widths[depth] * (1 if depth == len(widths) - 1 else 2)  # with what is handed across
        after = widths[depth - 1] if depth else outputs
        bias = kind != "batch" or not depth
        grow: list[nn.Module] = [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias)]
        if upsample == "resize":
            grow = [DoublingConv2d(before, after, bias=bias)]
        layers.append(Layer(*grow, norm(kind if depth else "none", after)))
    return layers
