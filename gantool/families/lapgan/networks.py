"""The networks of LAPGAN's levels: those of the paper's CIFAR-10 and LSUN models, fully connected ones, and small ones.

A generator of the coarsest level takes noise z (N, nz). One of a finer level takes a plane of noise (N, 1, S, S) and
the coarser picture enlarged (N, C, S, S), and gives the difference to the finer one, (N, C, S, S). Discriminators see
the finer picture, which is coarse plus difference, (N, C, S, S): scores (N,) before any sigmoid. All are told the
class (N,), if there are classes. Weights begin as PyTorch's do, which is what Torch 7 did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gantool.family import DataShape
from gantool.nn.conditional import ClassPlane, append, one_hot
from gantool.nn.dcgan import WIDEST, ConvDiscriminator, ConvGenerator
from gantool.nn.init import init_normal
from gantool.nn.minibatch_std import MinibatchStd
from gantool.nn.mlp import MinibatchStdOfVectors

if TYPE_CHECKING:
    from gantool.families.lapgan.config import LAPGANConfig, Rung
    from gantool.game.options import GameConfig

MAPS_G, MAPS_D = (64, 368, 128, 224), (48, 448, 416)  # of the model for scenes
GROUPED = 16  # its channels come in multiples of this, for its groups
NARROW = 14  # pixels: below, the discriminator for scenes pads, for its layers would leave nothing


def networks(options: LAPGANConfig, config: GameConfig, rung: Rung, shape: DataShape) -> tuple[nn.Module, nn.Module]:
    """G and D of a level, whose own options are `config`. `shape` is that of its pictures."""
    if rung.arch in ("conv", "dcgan") and rung.below is None:
        side, channels, classes = rung.side, shape.channels, shape.classes
        judge = ConvDiscriminator(
            side, channels, rung.width_d, norm="none", dropout=config.dropout, minibatch_std=config.minibatch_std,
            classes=classes,
        )  # fmt: skip
        return ConvGenerator(config.nz, side, channels, rung.width_g, classes=classes), judge
    if rung.below is None:
        coarse = CoarseGenerator(options, config.nz, rung, shape)
        return coarse, VectorDiscriminator(config, rung, shape, options.coarse_init_d)
    if rung.arch == "mlp":
        return VectorDetail(config, rung, shape), VectorDiscriminator(config, rung, shape)
    layers = {"conv": conv_layers, "deep": deep_layers, "dcgan": small_layers}[rung.arch]
    verdict = {"conv": conv_judge, "deep": deep_judge, "dcgan": small_judge}[rung.arch]
    return Detail(layers, rung, shape), PictureDiscriminator(verdict, config, rung, shape)


# --- the coarsest level, and fully connected finer ones -----------------------------------------------------


class CoarseGenerator(nn.Module):
    """z (N, nz) and labels to pictures (N, C, side, side), by two hidden layers (Denton et al. 2015, section 4.1)."""

    def __init__(self, options: LAPGANConfig, nz: int, rung: Rung, shape: DataShape) -> None:
        super().__init__()
        self.classes, self.shape = shape.classes, (shape.channels, rung.side, rung.side)
        second = nn.Sigmoid() if options.coarse_sigmoid else nn.ReLU(inplace=True)
        self.main = nn.Sequential(
            nn.Linear(nz + shape.classes, rung.width_g),
            nn.ReLU(inplace=True),
            nn.Linear(rung.width_g, rung.width_g),
            second,
            nn.Linear(rung.width_g, shape.channels * rung.side**2),
            nn.Unflatten(1, self.shape),
        )
        _normal(self, options.coarse_init_g)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        """(N, nz) and (N,) to (N, C, side, side)."""
        images: Tensor = self.main(z if y is None else append(z, one_hot(y, self.classes, z)))
        return images


class VectorDetail(nn.Module):
    """Noise and coarse picture as one vector, through three hidden layers with dropout: the code's "full" model."""

    def __init__(self, config: GameConfig, rung: Rung, shape: DataShape) -> None:
        super().__init__()
        self.classes = shape.classes
        width, pixels = rung.width_g, rung.side**2
        widths = [(1 + shape.channels) * pixels + shape.classes, width, width, width]
        self.main = nn.Sequential(
            *_hidden(widths, config.dropout),
            nn.Linear(width, shape.channels * pixels),
            nn.Unflatten(1, (shape.channels, rung.side, rung.side)),
        )

    def forward(self, noise: Tensor, coarse: Tensor, y: Tensor | None) -> Tensor:
        """(N, 1, S, S), (N, C, S, S) and (N,) to (N, C, S, S)."""
        x = torch.cat([noise, coarse], 1).flatten(1)
        difference: Tensor = self.main(x if y is None else append(x, one_hot(y, self.classes, x)))
        return difference


class VectorDiscriminator(nn.Module):
    """Pictures (N, C, side, side) and labels to scores (N,), by two hidden layers with dropout."""

    def __init__(self, config: GameConfig, rung: Rung, shape: DataShape, init: float | None = None) -> None:
        super().__init__()
        self.classes = shape.classes
        width = rung.width_d
        widths = [shape.channels * rung.side**2 + shape.classes, width, width]
        alike = [MinibatchStdOfVectors()] if config.minibatch_std else []
        last = nn.Linear(width + config.minibatch_std, 1)
        self.main = nn.Sequential(*_hidden(widths, config.dropout), *alike, last)
        _normal(self, init)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """(N, C, side, side) and (N,) to (N,)."""
        flat = x.flatten(1)
        scores: Tensor = self.main(flat if y is None else append(flat, one_hot(y, self.classes, flat)))
        return scores.squeeze(1)


def _hidden(widths: Iterable[int], dropout: float) -> Iterable[nn.Module]:
    for inputs, outputs in pairwise(widths):
        yield nn.Linear(inputs, outputs)
        yield nn.ReLU(inplace=True)
        yield nn.Dropout(dropout)


def _normal(module: nn.Module, deviation: float | None) -> None:
    """Linear weights from N(0, deviation²), biases 0, in place; None leaves them."""
    if deviation is None:
        return
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0.0, deviation)
            nn.init.zeros_(part.bias)


# --- finer levels -------------------------------------------------------------------------------------------


class Detail(nn.Module):
    """Noise, coarse picture and the plane of the class, beside each other, through layers that keep the size."""

    def __init__(self, layers: Callable[[int, int, int], Iterable[nn.Module]], rung: Rung, shape: DataShape) -> None:
        """`layers` is given the channels that come in and go out, and `rung.width_g`."""
        super().__init__()
        self.plane = ClassPlane(shape.classes, rung.side) if shape.classes else None
        inputs = 1 + shape.channels + (self.plane is not None)
        self.main = nn.Sequential(*layers(inputs, shape.channels, rung.width_g))

    def forward(self, noise: Tensor, coarse: Tensor, y: Tensor | None) -> Tensor:
        """(N, 1, S, S), (N, C, S, S) and (N,) to (N, C, S, S)."""
        planes = [noise, coarse] if self.plane is None or y is None else [noise, self.plane(y), coarse]
        difference: Tensor = self.main(torch.cat(planes, 1))
        return difference


class PictureDiscriminator(nn.Module):
    """The finer picture, and the plane of the class beside it, through layers that end in one number."""

    def __init__(
        self,
        layers: Callable[[int, int, int, float, bool], Iterable[nn.Module]],
        config: GameConfig,
        rung: Rung,
        shape: DataShape,
    ) -> None:
        """`layers` is given the channels that come in, the side, `rung.width_d`, the dropout, and `minibatch_std`."""
        super().__init__()
        self.plane = ClassPlane(shape.classes, rung.side) if shape.classes else None
        inputs = shape.channels + (self.plane is not None)
        self.main = nn.Sequential(*layers(inputs, rung.side, rung.width_d, config.dropout, config.minibatch_std))

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """(N, C, S, S) and (N,) to (N,)."""
        seen = x if self.plane is None or y is None else torch.cat([x, self.plane(y)], 1)
        scores: Tensor = self.main(seen)
        return scores.flatten()


def conv_layers(inputs: int, outputs: int, width: int) -> Iterable[nn.Module]:
    """Three convolutions: the paper's for CIFAR-10 and STL-10."""
    yield nn.Conv2d(inputs, width, 7, padding=3)
    yield nn.ReLU(inplace=True)
    yield nn.Conv2d(width, width, 7, padding=3)
    yield nn.ReLU(inplace=True)
    yield nn.Conv2d(width, outputs, 5, padding=2)


def _ending(channels: int, side: int, dropout: float, std: bool) -> Iterable[nn.Module]:
    """From (N, channels, side, side) to a score."""
    if std:
        yield MinibatchStd(group=4)
    yield nn.Flatten()
    yield nn.Dropout(dropout)
    yield nn.Linear((channels + std) * side**2, 1)


def conv_judge(inputs: int, side: int, width: int, dropout: float, std: bool) -> Iterable[nn.Module]:
    """Two convolutions without padding: the paper's for CIFAR-10 and STL-10."""
    padding = 0 if side >= 9 else 2
    left = (side + 4 * padding - 9) // 2 + 1
    yield nn.Conv2d(inputs, width, 5, padding=padding)
    yield nn.ReLU(inplace=True)
    yield nn.Conv2d(width, width, 5, stride=2, padding=padding)
    yield nn.ReLU(inplace=True)
    yield from _ending(width, left, dropout, std)


class PairNorm(nn.Module):
    """(N, 2C, H, W) to (N, C, H, W): the length of each two neighbouring channels, Torch's LP pooling over features."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer; the little number keeps the gradient finite at 0."""
        even, odd = x[:, ::2], x[:, 1::2]
        return (even * even + odd * odd + 1e-12).sqrt()


def deep_layers(inputs: int, outputs: int, width: int) -> Iterable[nn.Module]:
    """Five convolutions in groups, batch norm after the ReLU, dropout of channels: the paper's for LSUN."""
    first, second, third, fourth = _scaled(MAPS_G, width)
    yield nn.Conv2d(inputs, first, 7, padding=3)
    yield from _normed(first)
    yield nn.Conv2d(first, second, 7, padding=3, groups=4)
    yield from _normed(second)
    yield nn.Dropout2d(0.5)
    yield nn.Conv2d(second, third, 7, padding=3, groups=4)
    yield from _normed(third)
    yield PairNorm()
    yield nn.Conv2d(third // 2, fourth, 5, padding=2, groups=2)
    yield from _normed(fourth)
    yield nn.Dropout2d(0.5)
    yield nn.Conv2d(fourth, outputs, 7, padding=3)
    yield nn.BatchNorm2d(outputs)


def _normed(channels: int) -> Iterable[nn.Module]:
    yield nn.ReLU(inplace=True)
    yield nn.BatchNorm2d(channels, affine=False)


def deep_judge(inputs: int, side: int, width: int, dropout: float, std: bool) -> Iterable[nn.Module]:
    """Three convolutions, two of them in groups: the paper's for LSUN, which has no dropout here."""
    first, second, third = _scaled(MAPS_D, width)
    pads = side < NARROW
    for entering, leaving, kernel, groups in ((inputs, first, 3, 1), (first, second, 5, 4), (second, third, 7, 16)):
        yield nn.Conv2d(entering, leaving, kernel, padding=kernel // 2 if pads else 0, groups=groups)
        yield nn.ReLU(inplace=True)
    yield from _ending(third, side if pads else side - 12, 0.0, std)


def _scaled(maps: Iterable[int], width: int) -> list[int]:
    """The published channels at a width of 64, else in proportion."""
    return [GROUPED * max(1, round(n * width / 64 / GROUPED)) for n in maps]


def small_layers(inputs: int, outputs: int, width: int) -> Iterable[nn.Module]:
    """Four 3x3 convolutions with batch norm, which see 9 x 9 pixels."""
    layers: list[nn.Module] = []
    for entering, leaving in pairwise([inputs, width, width, width]):
        layers += [nn.Conv2d(entering, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving)]
        layers += [nn.ReLU(inplace=True)]
    layers += [nn.Conv2d(width, outputs, 3, padding=1)]
    init_normal(nn.Sequential(*layers), zero_biases=True)
    return layers


def small_judge(inputs: int, side: int, width: int, dropout: float, std: bool) -> Iterable[nn.Module]:
    """DCGAN's discriminator without batch norm: strided 4x4 convolutions."""
    halvings = max(1, side.bit_length() - 3)  # down to 4 to 7 pixels, rounding down
    widths = [width * min(2**k, WIDEST) for k in range(halvings)]
    layers: list[nn.Module] = []
    for entering, leaving in pairwise([inputs, *widths]):
        layers += [nn.Conv2d(entering, leaving, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Dropout(dropout)] if dropout else []
    layers += _ending(widths[-1], side >> halvings, 0.0, std)
    init_normal(nn.Sequential(*layers), zero_biases=True)
    return layers
