"""AC-GAN's networks: Odena et al. 2017 (CIFAR), a well-known Keras example for digits, and small ones.

A generator is told the class; a discriminator is not, and says it: it returns scores (N,), before any sigmoid, and
class logits (N, classes), before any softmax.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import Tensor, nn

from gantool.families.acgan.config import ACGANConfig
from gantool.family import DataShape
from gantool.nn.conditional import append, one_hot
from gantool.nn.dcgan import ConvDiscriminator, ConvGenerator, upsample
from gantool.nn.init import init_normal
from gantool.nn.minibatch_std import MinibatchStd

Verdict = tuple[Tensor, Tensor]


class OdenaGenerator(nn.Module):
    """z (N, nz) with the class beside it to (N, C, H, W) in [-1, 1]: three 5x5 transposed convolutions (table 2)."""

    def __init__(self, config: ACGANConfig, shape: DataShape) -> None:
        super().__init__()
        self.classes = shape.classes
        width, base = config.width_g, shape.height // 8
        self.main = nn.Sequential(
            nn.Linear(config.nz + shape.classes, 4 * width * base * base),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (4 * width, base, base)),
            *_normed_up(4 * width, 2 * width),
            *_normed_up(2 * width, width),
            upsample(width, shape.channels, 5, bias=True),
            nn.Tanh(),
        )
        init_normal(self, zero_biases=True)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(N, nz) and (N,) to (N, C, H, W)."""
        images: Tensor = self.main(append(z, one_hot(y, self.classes, z)))
        return images


class DigitsGenerator(nn.Module):
    """z (N, nz) times the class's vector to (N, C, H, W) in [-1, 1]: nearest pixels enlarged, then 5x5 convolutions."""

    def __init__(self, config: ACGANConfig, shape: DataShape) -> None:
        super().__init__()
        width, base = config.width_g, shape.height // 4
        self.embedding = nn.Embedding(shape.classes, config.nz)
        self.main = nn.Sequential(
            nn.Linear(config.nz, 8 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(8 * width, width * base * base),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Unflatten(1, (width, base, base)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, 2 * width, 5, padding=2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(2 * width, width, 5, padding=2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.ZeroPad2d((0, 1, 0, 1)),  # where Keras pads for an even kernel
            nn.Conv2d(width, shape.channels, 2),
            nn.Tanh(),
        )
        init_normal(self, zero_biases=True)
        nn.init.xavier_normal_(self.embedding.weight)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(N, nz) and (N,) to (N, C, H, W)."""
        images: Tensor = self.main(z * self.embedding(y))
        return images


class LightGenerator(nn.Module):
    """z (N, nz) with the class beside it to (N, C, H, W) in [-1, 1], by DCGAN's layers."""

    def __init__(self, config: ACGANConfig, shape: DataShape) -> None:
        super().__init__()
        self.classes = shape.classes
        self.trunk = ConvGenerator(config.nz + shape.classes, shape.height, shape.channels, config.width_g)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(N, nz) and (N,) to (N, C, H, W)."""
        images: Tensor = self.trunk(append(z, one_hot(y, self.classes, z)))
        return images


class OdenaDiscriminator(nn.Module):
    """(N, C, H, W) to scores and class logits: six 3x3 convolutions, of strides 2 and 1 in turn (table 2).

    The activation noise that the paper tries as well is left out.
    """

    def __init__(self, config: ACGANConfig, shape: DataShape) -> None:
        super().__init__()
        widths = [shape.channels, *(config.width_d * 2**i for i in range(6))]
        self.main = nn.Sequential(*_convolved(widths, config.dropout, norm=True))
        self.heads = Heads(widths[-1], shape.height // 8, shape.classes, config.minibatch_std)
        init_normal(self, zero_biases=True)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Verdict:
        """(N, C, H, W) to (N,) and (N, classes); labels are ignored."""
        verdict: Verdict = self.heads(self.main(x))
        return verdict


class DigitsDiscriminator(nn.Module):
    """(N, C, H, W) to scores and class logits: four 3x3 convolutions, of strides 2 and 1 in turn, without norm."""

    def __init__(self, config: ACGANConfig, shape: DataShape) -> None:
        super().__init__()
        widths = [shape.channels, *(config.width_d * 2**i for i in range(4))]
        self.main = nn.Sequential(*_convolved(widths, config.dropout, norm=False))
        self.heads = Heads(widths[-1], shape.height // 4, shape.classes, config.minibatch_std)
        init_normal(self, zero_biases=True)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Verdict:
        """(N, C, H, W) to (N,) and (N, classes); labels are ignored."""
        verdict: Verdict = self.heads(self.main(x))
        return verdict


class LightDiscriminator(nn.Module):
    """(N, C, H, W) to scores and class logits: DCGAN's convolutions without norm, and a second head."""

    def __init__(self, config: ACGANConfig, shape: DataShape) -> None:
        super().__init__()
        self.trunk = ConvDiscriminator(
            shape.height,
            shape.channels,
            config.width_d,
            norm="none",
            dropout=config.dropout,
            minibatch_std=config.minibatch_std,
        )
        self.label = nn.Conv2d(self.trunk.features_out, shape.classes, self.trunk.base)
        init_normal(self.label, zero_biases=True)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Verdict:
        """(N, C, H, W) to (N,) and (N, classes); labels are ignored."""
        h = self.trunk.features(x)
        return self.trunk.scores(h), self.label(h).flatten(1)


class Heads(nn.Module):
    """Features (N, C, side, side) to scores (N,) and class logits (N, classes), each by a linear layer."""

    def __init__(self, channels: int, side: int, classes: int, minibatch_std: bool) -> None:
        super().__init__()
        self.std = MinibatchStd(group=4) if minibatch_std else nn.Identity()
        features = (channels + minibatch_std) * side * side
        self.score = nn.Linear(features, 1)
        self.label = nn.Linear(features, classes)

    def forward(self, h: Tensor) -> Verdict:
        """Apply both."""
        h = self.std(h).flatten(1)
        return self.score(h).squeeze(1), self.label(h)


NETWORKS = {
    "odena": (OdenaGenerator, OdenaDiscriminator),
    "digits": (DigitsGenerator, DigitsDiscriminator),
    "light": (LightGenerator, LightDiscriminator),
}


def networks(config: ACGANConfig, shape: DataShape) -> tuple[nn.Module, nn.Module]:
    """G and D of `config.arch`. Raises ValueError if the data has no classes."""
    if not shape.classes:
        raise ValueError("AC-GAN needs classes")
    generator, discriminator = NETWORKS[config.arch]
    return generator(config, shape), discriminator(config, shape)


def _normed_up(inputs: int, outputs: int) -> Iterator[nn.Module]:
    yield upsample(inputs, outputs, 5)
    yield nn.BatchNorm2d(outputs)
    yield nn.ReLU(inplace=True)


def _convolved(widths: Sequence[int], dropout: float, *, norm: bool) -> Iterator[nn.Module]:
    """3x3 convolutions; the first, third, ... halve the side. Batch norm after all but the first, if at all."""
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        normed = norm and i > 0
        yield nn.Conv2d(inputs, outputs, 3, stride=1 + (i % 2 == 0), padding=1, bias=not normed)
        if normed:
            yield nn.BatchNorm2d(outputs)
        yield nn.LeakyReLU(0.2, inplace=True)
        yield nn.Dropout(dropout)
