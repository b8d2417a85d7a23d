"""The convolutional generator and discriminator that several families build on, in three published layouts.

`examples`: 4x4 kernels (pytorch/examples; also the WGAN code, which adds 3x3 layers before the finest one).
`radford`: 5x5 kernels, z projected by a linear layer (Radford et al. 2016 and their code).
`sngan`: "standard CNN" of Miyato et al. 2018, table 3: the discriminator alternates 3x3 and 4x4 kernels.

A picture of side base * 2^k is made by k doublings from base x base. Channels double with each halving: `width` next
to the picture, `width` * 2^(k-1) at the base (sngan: one doubling more), but never above `width` * `widest`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from gantool.nn.conditional import ConditionalBatchNorm, append, one_hot
from gantool.nn.init import init_normal
from gantool.nn.minibatch_std import MinibatchStd
from gantool.nn.sides import doublings

Layout = Literal["examples", "radford", "sngan"]
Norm = Literal["batch", "instance", "layer", "none"]

WIDEST = 16  # as far as 128 px; beyond, doubling on would make the base the costliest part by far
KERNEL = {"examples": 4, "radford": 5, "sngan": 4}
TAKE_LABELS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class ConvGenerator(nn.Module):
    """z (N, nz), and labels (N,) if it is conditional, to pictures (N, C, side, side) in [-1, 1].

    Parameter names of the plain `examples` layout are those of pytorch/examples: `main.0.weight`, ...
    """

    def __init__(
        self,
        nz: int,
        side: int,
        channels: int,
        width: int,
        *,
        layout: Layout = "examples",
        widest: int = WIDEST,
        norm: bool = True,
        extra_layers: int = 0,
        classes: int = 0,
        condition: Literal["concat", "norm"] = "concat",
    ) -> None:
        """
        Args:
            nz: numbers of noise.
            side, channels: of the pictures.
            width: channels next to the picture (ngf); `widest`: channels at most, times `width`.
            norm: batch norm after each layer but the last.
            extra_layers: 3x3 layers at half the side, as in the WGAN code.
            classes: 0: unconditional.
            condition: how the class is told: as planes of 0 and 1 beside the input of every layer (Radford's code),
                or by batch norm (Miyato and Koyama 2018).
        """
        super().__init__()
        base, halvings = _doublings(side)
        told = classes if condition == "concat" else 0
        self.classes, self.told, self.flat = classes, told, layout != "examples"
        kernel = KERNEL[layout]
        widths = _widths(width, halvings + (layout == "sngan"), widest)[::-1]

        def finished(channels: int, flat: bool = False) -> Iterable[nn.Module]:
            if norm:
                kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
                if classes and condition == "norm":
                    yield ConditionalBatchNorm(kind(channels, affine=False), classes)
                else:
                    yield kind(channels)
            yield nn.ReLU(inplace=True)

        layers: list[nn.Module] = []
        if self.flat:
            units = widths[0] * base * base  # Radford's code normalises each of them by itself
            layers += [nn.Linear(nz + told, units, bias=False), *finished(units, flat=True)]
            layers += [nn.Unflatten(1, (widths[0], base, base))]
        else:
            layers += [nn.ConvTranspose2d(nz + told, widths[0], base, bias=False), *finished(widths[0])]
        for inputs, outputs in pairwise(widths):
            layers += [upsample(inputs + told, outputs, kernel), *finished(outputs)]
        for _ in range(extra_layers):
            layers += [nn.Conv2d(width + told, width, 3, padding=1, bias=False), *finished(width)]
        if layout == "sngan":
            layers += [nn.Conv2d(width + told, channels, 3, padding=1)]
        else:
            layers += [upsample(width + told, channels, kernel)]
        self.main = nn.Sequential(*layers, nn.Tanh())
        init_normal(self, zero_biases=True)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, nz) and (N,) to (N, C, side, side)."""
        x = z if self.flat else z[:, :, None, None]
        return _through(self.main, x, y if self.classes else None, self.told)


class ConvDiscriminator(nn.Module):
    """Pictures (N, C, side, side), and labels (N,) if it is conditional, to scores (N,) before any sigmoid.

    Parameter names of the plain `examples` layout are those of pytorch/examples.
    """

    def __init__(
        self,
        side: int,
        channels: int,
        width: int,
        *,
        layout: Layout = "examples",
        widest: int = WIDEST,
        norm: Norm = "batch",
        extra_layers: int = 0,
        dropout: float = 0.0,
        minibatch_std: bool = False,
        classes: int = 0,
    ) -> None:
        """
        Args:
            side, channels: of the pictures.
            width: channels next to the picture (ndf); `widest`: channels at most, times `width`.
            norm: after each layer but the first and the last. Penalties on gradients want one that does not mix
                the pictures of a batch: instance, layer or none.
            extra_layers: 3x3 layers after the first one, as in the WGAN code.
            dropout: after each activation.
            minibatch_std: a further channel for the last layer: how alike the batch is (Karras et al. 2018).
            classes: told to every layer as planes of 0 and 1; 0: none.
        """
        super().__init__()
        base, halvings = _doublings(side)
        slope = 0.1 if layout == "sngan" else 0.2
        widths = _widths(width, halvings + (layout == "sngan"), widest)

        def convolved(inputs: int, outputs: int, kernel: int, stride: int) -> Iterable[nn.Module]:
            padding = (kernel - 1) // 2
            after: Norm = norm if layers else "none"
            bias = layout == "sngan" and after == "none"
            yield nn.Conv2d(inputs + classes, outputs, kernel, stride, padding, bias=bias)
            yield from _norm(after, outputs)
            yield nn.LeakyReLU(slope, inplace=True)
            if dropout:
                yield nn.Dropout(dropout)

        layers: list[nn.Module] = []
        if layout == "sngan":
            for inputs, outputs in pairwise([channels, *widths[:-1]]):
                layers += convolved(inputs, outputs, 3, 1)
                layers += convolved(outputs, outputs, 4, 2)
            layers += convolved(widths[-2], widths[-1], 3, 1)
        else:
            layers += convolved(channels, width, KERNEL[layout], 2)
            for _ in range(extra_layers):
                layers += convolved(width, width, 3, 1)
            for inputs, outputs in pairwise(widths):
                layers += convolved(inputs, outputs, KERNEL[layout], 2)
        if minibatch_std:
            layers.append(MinibatchStd(group=4))
        self.told = classes
        self.base, self.features_out = base, widths[-1] + minibatch_std
        last = nn.Conv2d(self.features_out + classes, 1, base, bias=layout == "sngan")
        self.main = nn.Sequential(*layers, last)
        init_normal(self, zero_biases=True)

    def features(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """What the last layer sees, (N, features_out, base, base)."""
        return _through(list(self.main)[:-1], x, y, self.told)

    def scores(self, features: Tensor, y: Tensor | None = None) -> Tensor:
        """The last layer: (N,)."""
        return _through([self.main[-1]], features, y, self.told).flatten(1).squeeze(1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, C, side, side) and (N,) to (N,)."""
        return self.scores(self.features(x, y), y)


def _through(layers: Iterable[nn.Module], x: Tensor, y: Tensor | None, told: int) -> Tensor:
    """x through the layers; each that has weights is told the class, where there are `told` of them."""
    hot = one_hot(y, told, x) if told and y is not None else None
    for layer in layers:
        if hot is not None and isinstance(layer, TAKE_LABELS):
            x = append(x, hot)
        x = layer(x, y) if isinstance(layer, ConditionalBatchNorm) else layer(x)
    return x


def _doublings(side: int) -> tuple[int, int]:
    found = doublings(side)
    if found is None:
        raise ValueError(f"a side of {side} pixels is not 4, 5, 6 or 7 times 4, 8, 16, ...")
    return found


def _widths(width: int, count: int, widest: int) -> list[int]:
    """Channels from next to the picture down to the base."""
    return [width * min(2**i, widest) for i in range(count)]


def upsample(inputs: int, outputs: int, kernel: int, *, bias: bool = False) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles the side exactly, whether the kernel is even or odd."""
    return nn.ConvTranspose2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=bias)


def _norm(kind: Norm, channels: int) -> Iterable[nn.Module]:
    if kind == "batch":
        yield nn.BatchNorm2d(channels)
    elif kind == "instance":
        yield nn.InstanceNorm2d(channels, affine=True)
    elif kind == "layer":
        yield nn.GroupNorm(1, channels)
