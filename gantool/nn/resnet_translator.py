"""The residual network that pix2pix offers beside its U-Net."""

from __future__ import annotations

from torch import Tensor, nn

from gantool.nn.columns import DoublingConv2d
from gantool.nn.translator import Noise, Translator, drop, norm

HALVINGS = 2


class ResNetTranslator(Translator):
    """Two halvings, residual blocks at a quarter of the size, two doublings; the picture is mirrored at its edges.

    After Johnson et al. 2016 (supplementary material), as the PyTorch port of pix2pix has it.

    Args:
        inputs, outputs: channels of pictures.
        blocks: 9 for pictures of 256 pixels, 6 for 128.
        width: channels at full size; four times as many in the blocks.
        norm: "batch", "instance" or "none".
        dropout: the share dropped inside each block.
        upsample: "transposed" convolutions, as in the port; or "resize", by repeating pixels before a convolution.
    """

    def __init__(
        self,
        inputs: int = 3,
        outputs: int = 3,
        *,
        blocks: int = 9,
        width: int = 64,
        norm: str = "batch",
        dropout: float = 0.5,
        upsample: str = "transposed",
    ) -> None:
        super().__init__(
            inputs, outputs, 2**HALVINGS, dropout, blocks=blocks, width=width, norm=norm, upsample=upsample
        )
        self.least = 2 * 2**HALVINGS  # two pixels can be mirrored at the edge, one cannot
        bias, inner = norm != "batch", width * 2**HALVINGS
        self.first = Convolution(nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7, bias=bias), norm=norm)
        self.down = nn.Sequential(
            *(
                Convolution(nn.Conv2d(width * 2**i, width * 2 ** (i + 1), 3, 2, 1, bias=bias), norm=norm)
                for i in range(HALVINGS)
            )
        )
        self.blocks = nn.ModuleList(Block(inner, norm) for _ in range(blocks))
        self.up = nn.Sequential(
            *(
                Convolution(*_doubling(width * 2 ** (i + 1), width * 2**i, bias, upsample), norm=norm)
                for i in reversed(range(HALVINGS))
            )
        )
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh())

    def places(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """See `Translator`."""
        inner = int(self.options["width"]) * 2**HALVINGS
        return [(inner, height >> HALVINGS, width >> HALVINGS)] * len(self.blocks)

    def body(self, x: Tensor, noise: Noise | None) -> Tensor:
        """See `Translator`."""
        x = self.down(self.first(x))
        for number, block in enumerate(self.blocks):
            x = block(x, None if noise is None else noise[number], self.dropout)
        result: Tensor = self.last(self.up(x))
        return result


class Convolution(nn.Sequential):
    """Layers of which the last is a convolution, its norm, and a ReLU."""

    def __init__(self, *layers: nn.Module, norm: str) -> None:
        super().__init__(*layers, _norm_of(layers[-1], norm), nn.ReLU())


class Block(nn.Module):
    """x + what two convolutions 3x3 make of it (He et al. 2016), with dropout between them."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        bias = norm != "batch"
        self.one = Convolution(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm=norm)
        second = nn.Conv2d(channels, channels, 3, bias=bias)
        self.two = nn.Sequential(nn.ReflectionPad2d(1), second, _norm_of(second, norm))

    def forward(self, x: Tensor, noise: Tensor | None, share: float) -> Tensor:
        """(N, C, h, w) to the same; `noise` of that shape decides what is dropped."""
        inside: Tensor = self.one(x)
        if noise is not None:
            inside = drop(inside, noise, share)
        result: Tensor = x + self.two(inside)
        return result


def _norm_of(convolution: nn.Module, kind: str) -> nn.Module:
    assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
    return norm(kind, convolution.out_channels)


def _doubling(before: int, after: int, bias: bool, upsample: str) -> list[nn.Module]:
    if upsample == "resize":
        return [DoublingConv2d(before, after, bias=bias)]
    return [nn.ConvTranspose2d(before, after, 3, 2, 1, 1, bias=bias)]
