"""Features of pictures from FID's Inception network: what FID, KID, the inception score and PRDC are computed from.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", Sec. 3. The network is the one of 2015-12-05;
what happens to a picture before it enters differs between programs and is said by a `Protocol`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gantool.data.decode import Pixels
from gantool.metrics.batches import Features, channels_first, in_background, in_batches
from gantool.metrics.inception_network import LAYERS, fid_inception
from gantool.metrics.protocols import PROTOCOLS, Protocol, Resize
from gantool.nn.inference import exact

__all__ = ["LAYERS", "PROTOCOLS", "Features", "InceptionFeatures", "Protocol", "bilinear", "resize_299"]

SIDE = 299


class InceptionFeatures:
    """FID's Inception as a function from pictures to features.

    Args:
        weights: torch-fidelity's or pytorch-fid's published file (the same content).
        protocol: how pictures enter the network, or its name in `PROTOCOLS`.
        device: where the network works; the same float32 arithmetic everywhere, TF32 is not used.
        layer: 2048 (the last, averaged over positions), 768 (before the auxiliary classifier), 192 or 64 (after the
            second and the first max-pool), all averaged over positions, as pytorch-fid numbers them.
        batch: pictures at a time; None picks what is fast on the device.

    Attributes:
        protocol: the one used.
        dimension: numbers per picture, the layer's.

    Raises:
        DataError: the file is missing, damaged or holds another network.
        ValueError: there is no such layer.
        KeyError: there is no protocol of that name.
    """

    def __init__(
        self, weights: str | Path, protocol: str | Protocol = "torch-fidelity", device: str | torch.device = "cpu",
        *, layer: int = 2048, batch: int | None = None,
    ) -> None:  # fmt: skip
        if layer not in LAYERS:
            raise ValueError(f"layer must be one of {LAYERS}, got {layer}")
        self.protocol = PROTOCOLS[protocol] if isinstance(protocol, str) else protocol
        self.dimension = layer
        self.device = torch.device(device)
        self.batch = batch or (8 if self.device.type == "cpu" else 64)
        stages, classifier = fid_inception(Path(weights), layer)
        self._stages = stages.to(self.device)
        self._classifier = classifier.to(self.device) if layer == 2048 else None

    def __call__(self, pictures: Iterable[Pixels]) -> Iterator[Features]:
        """Features of pictures (H, W, 3) uint8 of any sizes, in order, a batch at a time.

        The logits are those without bias that the inception score is defined by; only layer 2048 has them.
        `pictures` is iterated over in a thread of its own, so that decoding goes on while the network works; what it
        raises is raised here. Memory does not grow with the number of pictures.
        """
        prepared = (resize_299(picture, self.protocol.resize) for picture in pictures)
        for batch in in_background(map(np.stack, in_batches(prepared, self.batch))):
            yield self.evaluate(torch.from_numpy(batch))

    def evaluate(self, batch: Tensor) -> Features:
        """Features of pictures that are 299x299 already: (N, 3, 299, 299) float32, levels in [0, 255]."""
        with exact():
            x = batch.to(self.device, memory_format=torch.channels_last)
            x = (x - self.protocol.centre) / self.protocol.half_range
            x = self._stages(x)
            if self.dimension < 768:
                x = F.max_pool2d(x, 3, stride=2)
            features = x.mean((2, 3))
            logits = None if self._classifier is None else features @ self._classifier.T
            return Features(features.cpu().numpy(), None if logits is None else logits.cpu().numpy())


def resize_299(picture: Pixels, resize: Resize) -> npt.NDArray[np.float32]:
    """A picture (H, W, 3) uint8 at Inception's size: (3, 299, 299) float32, levels in [0, 255] (see `Protocol`).

    Raises:
        ValueError: another shape or type.
    """
    x = channels_first(picture)
    if resize == "pil-bicubic":
        return _pil_bicubic(x)
    return bilinear(x, (SIDE, SIDE), centres=resize == "torch-bilinear")


def bilinear(x: npt.NDArray[Any], size: tuple[int, int], centres: bool) -> npt.NDArray[np.float32]:
    """(..., H, W) to (..., *size), nothing being smoothed.

    With `centres`, output pixel i lies at (i + 1/2) H / size - 1/2, as in PyTorch without `align_corners`; else at
    i H / size, as in TensorFlow 1. Columns before rows, in float32: TensorFlow's order, and so its rounding.
    In NumPy, since this runs beside the network, whose threads PyTorch would set to this as well.
    """
    for axis, length in ((-1, size[1]), (-2, size[0])):
        n = x.shape[axis]
        at = np.arange(length, dtype=np.float32) * np.float32(n / length)
        if centres:
            at = (at + np.float32(0.5 * n / length - 0.5)).clip(0)
        below = at.astype(np.int64).clip(max=n - 1)
        fraction = (at - below).astype(np.float32).reshape((-1,) if axis == -1 else (-1, 1))
        low = x.take(below, axis).astype(np.float32)
        high = x.take((below + 1).clip(max=n - 1), axis)
        x = low + (high - low) * fraction
    return x


def _pil_bicubic(x: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in x]
    return np.stack(
        [np.asarray(channel.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).clip(0, 255) for channel in channels]
    )
