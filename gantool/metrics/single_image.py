"""Figures for GANs trained on one picture: how close the patches are, and how different the samples.

Patch SWD falls to 0 for a generator that copies its picture, so it is read together with `diversity`, which
falls to 0 for the same generator.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

#: Projected values held at once (64 MB of float32): a large picture takes its directions in several goes.
_VALUES_AT_ONCE = 2**24
_FACTORS = (1.0, 0.5, 0.25)
#: ITU-R BT.601 luma of red, green, blue.
_LUMA = (0.299, 0.587, 0.114)


def patch_swd(
    real: Tensor, fake: Tensor, *, patch: int = 7, directions: int = 256, quantiles: int = 2000, seed: int = 0
) -> float:
    """Sliced Wasserstein distance between the patches of two pictures, or of two sets, × 1000: 0 for equal ones.

    Every patch x (3 · patch · patch values) is projected onto random unit directions w. On one direction the
    Wasserstein-1 distance of two sets is the mean gap between their quantile functions, here sampled at the
    levels (i + 1/2) / quantiles; the result is the mean over quantiles and directions.

    Args:
        real, fake: pictures (N, 3, H, W) in [-1, 1], whose patches count as one set; sizes and N may differ.
        patch: side of a patch in pixels; all patches inside the picture count, none is padded.
        directions: number of random directions, uniform on the sphere.
        quantiles: levels compared per direction.
        seed: of the CPU generator that draws the directions.

    Compare figures only under the same seed and number of directions: a difference in brightness is weighed
    by |sum(w)|, whose mean over 256 directions varies by about 5 % (standard deviation) from draw to draw.
    The work is done on the CPU in float32, whatever device the pictures are on.

    Raises:
        ValueError: a picture has another shape or is smaller than a patch, or a count is below 1.

    Sources: sliced Wasserstein distance of patches as a measure of GANs: Karras et al. 2018, "Progressive
    Growing of GANs", Sec. 5 (there with Laplacian pyramids and descriptors normalised per channel, here
    plain pixels); all patches of one picture, projected by a convolution: Elnekave and Weiss 2022,
    "Generating Natural Images with Direct Patch Distribution Matching".
    """
    generator = torch.Generator().manual_seed(seed)
    weight = unit_directions(directions, patch, generator)
    return _distance(_on_cpu(real, "real"), _on_cpu(fake, "fake"), weight, quantiles)


def patch_swd_pyramid(
    real: Tensor, fake: Tensor, *, patch: int = 7, directions: int = 256, quantiles: int = 2000, seed: int = 0,
    sizes: int = 3,
) -> tuple[float, ...]:  # fmt: skip
    """`patch_swd` at full, half and quarter size: texture, objects, layout.

    Args:
        real, fake: pictures (N, 3, H, W) in [-1, 1], sizes may differ; a quarter of the shorter
            side must still hold a patch (see `sizes_for`).
        patch, directions, quantiles, seed: as in `patch_swd`.
        sizes: how many of the three, from full size on.

    Both pictures are reduced from full size by antialiased bilinear interpolation, sides rounded. One
    generator draws new directions for each size, so that the luck of a draw does not shift all three figures
    together; the first figure is `patch_swd` of the same seed.

    Raises:
        ValueError: as `patch_swd`, at any of the three sizes.
    """
    real, fake = _on_cpu(real, "real"), _on_cpu(fake, "fake")
    generator = torch.Generator().manual_seed(seed)

    def at(factor: float) -> float:
        weight = unit_directions(directions, patch, generator)
        return _distance(_reduced(real, factor), _reduced(fake, factor), weight, quantiles)

    return tuple(at(factor) for factor in _FACTORS[:sizes])


def sizes_for(shortest: int, patch: int = 7) -> int:
    """At how many of full, half and quarter size pictures whose shortest side is this hold a patch: 0 to 3."""
    return sum(round(shortest * factor) >= patch for factor in _FACTORS)


def diversity(samples: Tensor, real: Tensor) -> float:
    """SinGAN's diversity: spread of each pixel over the samples, relative to the spread inside the picture.

    The standard deviation of the grey value (BT.601 luma) of each pixel over the samples, averaged over the
    pixels and divided by the standard deviation of the picture's grey values. 0: all samples are the same; 1:
    a pixel varies over the samples as much as the picture varies over its pixels. Both deviations divide by
    the count (no Bessel correction), so few samples read low: by 10 % with 8, by 1.5 % with 50 on Gaussian
    values.

    Args:
        samples: (N, 3, H, W) in [-1, 1], N >= 2; the paper takes 100.
        real: the picture trained on, (1, 3, H', W') in [-1, 1]; its size may differ.

    Raises:
        ValueError: fewer than two samples, another shape, or a picture of one grey.

    Source: Shaham et al. 2019, "SinGAN", Sec. 3, quantitative evaluation.
    """
    if samples.ndim != 4 or samples.shape[1] != 3 or samples.shape[0] < 2:
        raise ValueError(f"samples must be (N, 3, H, W) with N >= 2, got {tuple(samples.shape)}")
    over_samples = _grey(samples).std(dim=0, correction=0).mean().item()
    if len(real) != 1:
        raise ValueError(f"real must be one picture, got {tuple(real.shape)}")
    in_picture = _grey(_on_cpu(real, "real")).std(correction=0).item()
    if in_picture < 1e-6:
        raise ValueError("real has one grey value only: there is no spread to compare with")
    return over_samples / in_picture


def _on_cpu(picture: Tensor, name: str) -> Tensor:
    if picture.ndim != 4 or picture.shape[1] != 3 or not len(picture):
        raise ValueError(f"{name} must be (N, 3, H, W), got {tuple(picture.shape)}")
    return picture.detach().to("cpu", torch.float32)


def _grey(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, H, W), in float64: a spread is a small difference of large sums."""
    luma = torch.tensor(_LUMA, dtype=torch.float64)
    return torch.stack([torch.einsum("chw,c->hw", p.detach().to("cpu", torch.float64), luma) for p in pictures])


def _reduced(picture: Tensor, factor: float) -> Tensor:
    if factor == 1.0:
        return picture
    height, width = picture.shape[-2:]
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    return F.interpolate(picture, size=size, mode="bilinear", align_corners=False, antialias=True)


def unit_directions(count: int, patch: int, generator: torch.Generator) -> Tensor:
    """Convolution weights (count, 3, patch, patch), each of Euclidean length 1."""
    if count < 1 or patch < 1:
        raise ValueError(f"directions and patch must be at least 1, got {count} and {patch}")
    normal = torch.randn(count, 3 * patch * patch, generator=generator)
    return F.normalize(normal, dim=1).view(count, 3, patch, patch)


def quantile_functions(
    picture: Tensor, weight: Tensor, quantiles: int, where: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float32]:
    """(directions, quantiles): the projected patches at the levels (i + 1/2) / quantiles of their quantile function.

    The quantile function is the step function of the empirical distribution, without interpolation: with a
    number of levels that is a multiple of both numbers of patches a distance is exact.

    Args:
        picture: (N, 3, H, W) float32 on the CPU.
        weight: `unit_directions` (directions, 3, patch, patch).
        where: of the (H - patch + 1, W - patch + 1) patches of one picture those to take; None takes all.

    Raises:
        ValueError: `quantiles` is below 1, or the picture is smaller than a patch.
    """
    if quantiles < 1:
        raise ValueError(f"quantiles must be at least 1, got {quantiles}")
    if where is not None and len(picture) != 1:
        raise ValueError(f"`where` is of one picture, and there are {len(picture)}")
    patch = weight.shape[-1]
    height, width = picture.shape[-2:]
    if min(height, width) < patch:
        raise ValueError(f"a picture of {height}x{width} pixels has no patch of {patch}x{patch}")
    found = np.empty((len(weight), quantiles), np.float32)
    at_once = max(1, _VALUES_AT_ONCE // (len(picture) * height * width))
    for start in range(0, len(weight), at_once):
        projected = F.conv2d(picture, weight[start : start + at_once]).movedim(1, 0).numpy()
        chosen = projected.reshape(len(projected), -1) if where is None else projected[:, 0, where]
        # NumPy sorts float32 on a CPU several times faster than torch.sort, which also returns the order.
        values = np.sort(chosen, axis=1)
        found[start : start + at_once] = values[:, (2 * np.arange(quantiles) + 1) * values.shape[1] // (2 * quantiles)]
    return found


def mean_gap(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """The distance, × 1000, of two sets of patches given by their `quantile_functions`."""
    return 1000 * float(np.abs(a - b).mean(dtype=np.float64))


def _distance(real: Tensor, fake: Tensor, weight: Tensor, quantiles: int) -> float:
    return mean_gap(quantile_functions(real, weight, quantiles), quantile_functions(fake, weight, quantiles))
