"""Spatial GAN's options and presets."""

from __future__ import annotations

from dataclasses import dataclass

from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.options import opt


@dataclass(frozen=True, kw_only=True)
class SpatialGANConfig:
    """Options of Spatial GAN. The command line, --help and the checks are made from these lines."""

    iterations: int = opt(5000, "training steps of both networks", ge=1)
    crop: int = opt(128, "side of the crops trained on, pixels", ge=16)
    batch: int = opt(16, "crops a step", ge=2)
    doublings: int = opt(4, "layers of each network; more for larger structures", group="Networks", ge=2, le=6)
    channels: int = opt(64, "channels of the layer at half size", group="Networks", ge=1)
    lr: float = opt(5e-4, "Adam learning rate, both networks", group="Optimisation", gt=0)

    def __post_init__(self) -> None:
        """The check that involves two options."""
        if self.crop < self.sight:
            raise ConfigError(
                f"--crop {self.crop} is too small for --doublings {self.doublings}.",
                f"A score of the discriminator sees {self.sight} pixels: use at least that.",
            )

    @property
    def sight(self) -> int:
        """Side of the square that one score of the discriminator sees, pixels."""
        return 3 * (1 << self.doublings) - 2


PRESETS = {
    "full": Preset("for a GPU: large crops, many channels"),
    "fast": Preset(
        "for a CPU: minutes, for textures of a fine grain",
        {"iterations": 2000, "crop": 64, "batch": 8, "channels": 32, "doublings": 3},
    ),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {"iterations": 12, "crop": 24, "batch": 2, "channels": 4, "doublings": 2},
    ),
}
