"""SIFID: how far the textures of one picture are from those of another.

Shaham et al. 2019, "SinGAN: Learning a Generative Model from a Single Natural Image", Sec. 3.1: the Fréchet distance
of Inception's features inside a picture, every position of the feature map being one sample. The paper takes the
features "just before the second pooling layer" (192 channels); its published code and numbers take those before the
first (64 channels), with torchvision's weights, at the picture's own size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.data.decode import Pixels
from gantool.errors import DataError
from gantool.metrics.batches import channels_first
from gantool.metrics.frechet import Moments, Statistics, frechet_distance
from gantool.metrics.inception_network import LAYERS, torchvision_inception
from gantool.nn.inference import exact

LAYER_NAMES = {
    64: "before the first max-pool, as published",
    192: "before the second max-pool, as the paper says",
    768: "before the auxiliary classifier",
    2048: "before the final average pool",
}

#: Positions evaluated at once in the first three convolutions, and taken into the moments at once.
_AT_ONCE = 2**16


class Sifid:
    """The network of SIFID as a function from a picture to the statistics of its features.

    Args:
        weights: torchvision's published file, or for layer 64 also one with the first three blocks only.
        layer: channels of the features, a key of `LAYER_NAMES`. Only the convolutions up to it are evaluated.
        device: where the network works, in float32 without TF32.

    Attributes:
        layer, layer_name: which features, and where they lie.

    Raises:
        DataError: the file is missing, damaged, holds another network or too few of its layers.
        ValueError: there is no such layer.
    """

    def __init__(self, weights: str | Path, layer: int = 64, device: str | torch.device = "cpu") -> None:
        if layer not in LAYERS:
            raise ValueError(f"layer must be one of {LAYERS}, got {layer}")
        self.layer, self.layer_name = layer, LAYER_NAMES[layer]
        self.device = torch.device(device)
        self._stages = torchvision_inception(Path(weights), layer).to(self.device)

    def features(self, pixels: Pixels) -> Iterator[Tensor]:
        """Features of a picture (H, W, 3) uint8 at its own size: parts (positions, layer) float32, row by row.

        Memory for layer 64 does not grow with the height; deeper layers hold their maps, some 160 bytes a pixel.

        Raises:
            DataError: the picture is too small for two positions.
        """
        picture = torch.from_numpy(channels_first(pixels))
        self._large_enough(picture)
        strips: Iterator[Tensor] = (self._strip(picture, rows) for rows in self._strips(picture))
        if self.layer != LAYERS[0]:
            stem = torch.cat(list(strips), 2)
            with exact():
                strips = iter([self._stages.rest(stem)])
        for x in strips:
            positions = x[0].flatten(1).T
            for start in range(0, len(positions), _AT_ONCE):
                yield positions[start : start + _AT_ONCE].cpu()

    def statistics(self, pixels: Pixels) -> Statistics:
        """Mean and covariance (divided by positions - 1) over the positions of a picture (H, W, 3) uint8.

        Raises:
            DataError: the picture is too small for two positions.
        """
        moments = Moments(self.layer)
        for part in self.features(pixels):
            moments.add(part)
        return moments.statistics(ddof=1)

    def __call__(self, real: Pixels, fake: Pixels) -> float:
        """SIFID of two pictures (H, W, 3) uint8 of any sizes: 0 or more, in either order."""
        return frechet_distance(self.statistics(real), self.statistics(fake))

    def _strips(self, picture: Tensor) -> Iterator[range]:
        """The rows of the first stage's map, divided into what is evaluated at once."""
        height, width = _rows(picture.shape[1]), _rows(picture.shape[2])
        step = max(1, _AT_ONCE // width)
        for start in range(0, height, step):
            yield range(start, min(start + step, height))

    def _strip(self, picture: Tensor, rows: range) -> Tensor:
        """Some rows of the first stage's map, (1, 64, rows, w): the same as when all are evaluated at once."""
        first, second, third = self._stages.first()
        # The third convolution is padded by a row of zeros, at the picture's borders only; row r of the second sees
        # rows r to r + 2 of the first, whose row r sees rows 2 r to 2 r + 2 of the picture.
        height = _rows(picture.shape[1])
        low, high = max(rows.start - 1, 0), min(rows.stop + 1, height)
        padding = (0, 0, int(rows.start == 0), int(rows.stop == height))
        with exact():
            x = picture[None, :, 2 * low : 2 * (high + 1) + 3].to(self.device).float() / 255 * 2 - 1
            x = F.relu(first(x.contiguous(memory_format=torch.channels_last)))
            x = F.pad(F.relu(second(x)), padding)
            return F.relu(F.conv2d(x, third.weight, third.bias, padding=(0, 1)))

    def _large_enough(self, picture: Tensor) -> None:
        height, width = picture.shape[1:]
        if _positions(height, self.layer) * _positions(width, self.layer) < 2:
            side = next(n for n in range(1, 1000) if _positions(n, self.layer) >= 2)
            raise DataError(
                f"A picture of {width}x{height} pixels is too small for SIFID at layer {self.layer}.",
                f"Use pictures of {side}x{side} pixels or more" + (", or layer 64." if self.layer != 64 else "."),
            )


def _rows(side: int) -> int:
    """Positions along a side after the first stage."""
    return (side - 3) // 2 + 1 - 2


def _positions(side: int, layer: int) -> int:
    """Positions along a side of a picture at a layer."""
    n = _rows(side)
    if layer >= 192:
        n = (n - 3) // 2 + 1 - 2
    if layer >= 768:
        n = ((n - 3) // 2 + 1 - 3) // 2 + 1
    if layer >= 2048:
        n = (n - 3) // 2 + 1
    return max(n, 0)
