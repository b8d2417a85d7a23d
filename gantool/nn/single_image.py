"""What generators of one picture have in common: the walk of a film, grey pictures, and a look at their health."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from gantool.errors import UsageError

FLAT = 0.01  # of the picture's standard deviation: below, a reconstruction shows nothing
SATURATED = 0.99  # of tanh's range: above, no gradient leads back


def noise_walk(
    fixed: Sequence[Tensor], draws: Iterator[list[Tensor]], alpha: float, beta: float, start: int, first: float = 0.01
) -> Iterator[list[Tensor]]:
    """The noises of successive frames: a walk with momentum `beta`, pulled to `fixed` by `alpha`.

    Scales below `start` stay at `fixed`. Takes one draw to begin, of which the share `first` counts, and one a
    frame. SinGAN's random walk (Shaham et al. 2019, supplementary), with the constants of the official codes.
    """
    before = list(fixed)
    now = [(1 - first) * z + first * u for z, u in zip(fixed, next(draws), strict=True)]
    for noise in draws:
        after = []
        for k, (z, z0, z1, u) in enumerate(zip(fixed, before, now, noise, strict=True)):
            move = beta * (z1 - z0) + (1 - beta) * u
            after.append(z if k < start else alpha * z + (1 - alpha) * (z1 + move))
        before, now = now, after
        yield after


def as_grey_as(picture: Tensor, image: Tensor) -> Tensor:
    """Of a grey picture's samples the grey part: tints in them are noise of the three channels."""
    if bool((picture == picture[:, :1]).all()):
        return image.mean(1, keepdim=True).expand_as(image)
    return image


def died(reconstruction: Tensor, picture: Tensor) -> bool:
    """Whether a generator is beyond help: it paints one flat, saturated colour, and the picture is none."""
    flat = float(reconstruction.std()) < FLAT * float(picture.std())
    return flat and float(reconstruction.abs().min()) > SATURATED


def check_start(start: int, scales: Sequence[int]) -> None:
    """Raises UsageError when `start` is none of the scales (consecutive, coarsest first)."""
    if not scales:
        raise UsageError("There is no --start-scale yet: this model has too few scales.", "Train it further first.")
    if start not in scales:
        these = f"{scales[0]} to {scales[-1]}" if len(scales) > 1 else str(scales[0])
        raise UsageError(f"There is no --start-scale {start} here: this model has {these}.", f"Use {these}.")
