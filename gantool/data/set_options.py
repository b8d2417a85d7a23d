"""Options of the data that a family of sets trains on; such a family's config inherits them. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from gantool.errors import ConfigError
from gantool.options import opt

DATA = "Data"


@dataclass(frozen=True, kw_only=True)
class SetOptions:
    """How pictures become batches. Sides are in pixels."""

    size: int = opt(64, "side of the pictures trained on, pixels", ge=4, le=1024)
    batch: int = opt(64, "pictures a batch, over all devices", ge=1, le=65536)

    limit: int | None = opt(None, "use that many pictures at most", group=DATA, ge=1)
    cache: float | None = opt(None, "GiB of memory for decoded pictures (none: a quarter)", group=DATA, ge=0)
    workers: int | None = opt(None, "threads that decode (none: as many as cores)", group=DATA, ge=1, le=64)


@dataclass(frozen=True, kw_only=True)
class SquareOptions(SetOptions):
    """How pictures become squares of one size."""

    colour: Literal["auto", "grey", "rgb"] = opt("auto", "channels trained on (auto: as the pictures are)", group=DATA)
    crop: Literal["centre", "random", "squash"] = opt(
        "centre", "to a square: its middle, a random part, or by squeezing", group=DATA
    )
    flip: bool | None = opt(None, "mirror half of the pictures (none: colour pictures)", group=DATA)
    labels: Literal["auto", "none"] = opt("auto", "use the classes that the data has, or none", group=DATA)


@dataclass(frozen=True, kw_only=True)
class PatchOptions(SetOptions):
    """How pictures become pairs of a patch and the same patch smaller, for super-resolution.

    `folders` names the options that are folders: a run keeps whole paths of them.
    """

    folders: ClassVar[tuple[str, ...]] = ("small",)

    scale: Literal[2, 3, 4, 8] = opt(4, "how many times longer each side becomes: 2, 3, 4 or 8")
    size: int = opt(96, "side of the patches, large, pixels", ge=8, le=1024)
    batch: int = opt(16, "patches a batch, over all devices", ge=1, le=65536)

    small: str = opt("", "folder of the small pictures, named alike (none: made from the large)", group=DATA)
    kernel: Literal["bicubic", "bilinear", "lanczos", "area", "nearest"] = opt(
        "bicubic", "what makes pictures small; bicubic as MATLAB has it", group=DATA
    )
    blur: float = opt(0.0, "blur before, of a sigma drawn up to this, pixels", group=DATA, ge=0, le=20)
    noise: float = opt(0.0, "noise after, of a sigma drawn up to this, levels of 255", group=DATA, ge=0, le=100)
    flip: bool = opt(True, "mirror half of the patches", group=DATA)
    turn: bool = opt(True, "turn patches by 0, 90, 180 or 270 degrees", group=DATA)

    def __post_init__(self) -> None:
        """Raises ConfigError for a size that the scale does not divide, or two ways to small pictures."""
        if self.size % self.scale:
            raise ConfigError(
                f"--size {self.size} is no multiple of --scale {self.scale}.",
                f"Take {self._near()}.",
            )
        if self.small and (self.kernel != "bicubic" or self.blur or self.noise):
            raise ConfigError(
                "--kernel, --blur and --noise make small pictures, and --small has them already.",
                "Drop the one or the other.",
            )

    def _near(self) -> str:
        """Sides that go: multiples of the scale, and of 16 where there are some near, as most discriminators want."""
        unit = math.lcm(self.scale, 16)
        unit = unit if unit <= 2 * self.size else self.scale
        below = self.size // unit * unit
        return " or ".join(str(side) for side in (below, below + unit) if side)
