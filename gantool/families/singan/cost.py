"""What an iteration costs: operations and memory, counted from the convolutions that matter."""

from __future__ import annotations

from collections.abc import Sequence

from gantool.families.singan.config import SinGANConfig

Size = tuple[int, int]

LAUNCH = 1.5e9  # what starting some 800 small operations costs, in operations; all that counts at coarse scales


def _forward(config: SinGANConfig, size: Size, scale: int) -> float:
    """Operations of one network's forward pass at a scale; the element-wise work is counted by its bytes."""
    channels, pixels = config.width(scale), size[0] * size[1]
    convolutions = 2.0 * 9 * (channels**2 * (config.layers - 2) + channels * 4)
    return pixels * (convolutions + 600.0 * channels)


def stage_cost(config: SinGANConfig, sizes: Sequence[Size], k: int) -> float:
    """Floating point operations of one iteration of scale k, roughly."""
    c, once = config, _forward(config, sizes[k], k)
    chain = sum(_forward(c, sizes[i], i) for i in range(k))
    critic = c.critic_steps * (7 + 6 / c.penalty_every) * once
    generator = c.generator_steps * 8 * once
    return LAUNCH + c.critic_steps * chain + critic + generator


def stage_memory(config: SinGANConfig, sizes: Sequence[Size], k: int) -> float:
    """Bytes that an iteration of scale k holds at its peak, roughly, beside the program itself."""
    height, width = sizes[k]
    maps = 10 * (config.layers - 1)  # the penalty's graph holds some ten maps a layer
    return 4.0 * height * width * config.width(k) * maps
