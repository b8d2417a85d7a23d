"""How a picture becomes small for super-resolution: blurred, reduced, made noisy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]

from gantool.data.decode import Pixels
from gantool.nn.imresize import imresize

Kernel = Literal["bicubic", "bilinear", "lanczos", "area", "nearest"]

_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}
_TAPS = 3  # small pixels beyond its own that one depends on at most: Lanczos has a = 3
_SIGMAS = 4.0  # where a blur is cut off


@dataclass(frozen=True)
class Degradation:
    """From a large picture to a small one.

    Attributes:
        scale: how many times shorter each side becomes.
        kernel: "bicubic" is MATLAB's `imresize`, bit for bit; the others are Pillow's, antialiased but for "nearest".
        blur: greatest sigma of a Gaussian blur before, pixels of the large picture.
        noise: greatest sigma of Gaussian noise after, levels of 255.
    """

    scale: int
    kernel: Kernel = "bicubic"
    blur: float = 0.0
    noise: float = 0.0

    @property
    def random(self) -> bool:
        """Whether chance has a part in it."""
        return bool(self.blur or self.noise)

    @property
    def margin(self) -> int:
        """How many small pixels around a patch must be known, so that its own are as in the whole picture."""
        return _TAPS + math.ceil(_SIGMAS * self.blur / self.scale)

    def __call__(self, pixels: Pixels, draw: np.random.Generator | None = None) -> Pixels:
        """Make (H, W, 3) uint8 small: (H / scale, W / scale, 3) uint8; `scale` divides both sides.

        Args:
            pixels: the large picture.
            draw: gives the strength of blur and noise, each even between 0 and its greatest, and the noise.
        """
        if self.blur:
            assert draw is not None
            sigma = draw.uniform(0, self.blur)
            blurred = ndimage.gaussian_filter(
                pixels.astype(np.float32), (sigma, sigma, 0), truncate=_SIGMAS, mode="nearest"
            )
            pixels = np.rint(blurred).astype(np.uint8)
        height, width = (length // self.scale for length in pixels.shape[:2])
        if self.kernel == "bicubic":
            small = imresize(pixels, size=(height, width))
        else:
            small = np.array(Image.fromarray(pixels).resize((width, height), _PILLOW[self.kernel]))
        if self.noise:
            assert draw is not None
            sigma = draw.uniform(0, self.noise)
            noisy = small + draw.normal(0, sigma, small.shape)
            small = np.rint(noisy).clip(0, 255).astype(np.uint8)
        return small
