"""What an iteration costs: operations and memory, counted from the convolutions that matter."""

from __future__ import annotations

from collections.abc import Sequence

from gantool.families.consingan.config import ConSinGANConfig

Size = tuple[int, int]

LAUNCH = 1e9  # what starting some 500 small operations costs, in operations; all that counts at coarse stages
DRAWING = 6  # feature maps that are alive while a picture is drawn


def _trained_area(config: ConSinGANConfig, sizes: Sequence[Size], k: int) -> tuple[float, float, float]:
    """Pixels of the frozen stages, of the trained ones, and of the newest, after cropping."""
    newest = sizes[k]
    crop = config.crop if config.crop and k + 1 >= config.crop_from else 0
    shrink = [1.0, 1.0]
    if crop:
        shrink = [min(1.0, (crop + 2 * config.layers) / side) for side in newest]
    areas = [h * shrink[0] * w * shrink[1] for h, w in sizes[: k + 1]]
    first = max(0, k + 1 - config.train_depth)
    return sum(areas[:first]), sum(areas[first:]), areas[-1]


def stage_cost(config: ConSinGANConfig, sizes: Sequence[Size], k: int) -> float:
    """Floating point operations of one iteration of stage k, roughly."""
    c = config
    frozen, trained, newest = _trained_area(c, sizes, k)
    body = 2.0 * 9 * c.channels**2 * c.layers  # operations a pixel of one stage's (or the critic's) body
    edge = 2.0 * 9 * c.channels * 4  # first and last layer
    generator = frozen * body + 2 * 3 * trained * (body + edge)  # forward; twice forward and backward
    critic = c.critic_steps * newest * (2 * 3 + 4 / c.penalty_every) * (body + edge)
    adversarial = 2 * newest * (body + edge)
    # Elementwise work is felt where there are few channels: count it as a constant a pixel.
    elementwise = 4000.0 * c.channels * (trained + (c.critic_steps + 1) * newest) / 10
    return LAUNCH + generator + critic + adversarial + elementwise


def stage_memory(config: ConSinGANConfig, sizes: Sequence[Size], k: int) -> float:
    """Bytes that an iteration of stage k holds at its peak, roughly, beside the program itself."""
    c = config
    frozen, trained, newest = _trained_area(c, sizes, k)
    maps = trained * 2 * (c.layers + 4) + newest * 4 * (c.layers + 2) + frozen
    height, width = sizes[k]
    drawing = DRAWING * height * width  # previews and the measure of the noise need the whole, crops or not
    fixed = sum(h * w for h, w in sizes[: k + 1])
    return 4.0 * c.channels * (max(maps, drawing) + 2 * fixed)
