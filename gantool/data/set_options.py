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


Kind = Literal["rgb", "grey", "labels"]
"""Of pictures that are translated: in colour, grey, or of few colours, each of which stands for a class."""


@dataclass(frozen=True, kw_only=True)
class PairOptions(SetOptions):
    """How pairs of pictures become what goes in and what is to come out, both of one size.

    `folders` names the options that are paths: a run keeps whole paths of them, unless they are one of `words`. The
    words of `preprocess` and their meaning are those of the authors' PyTorch code.
    """

    folders: ClassVar[tuple[str, ...]] = ("target", "palette")
    words: ClassVar[tuple[str, ...]] = ("cityscapes", "facades", "generic")

    size: int = opt(256, "side of what is trained on, pixels", ge=4, le=2048)
    batch: int = opt(1, "pairs a batch, over all devices", ge=1, le=65536)

    direction: Literal["AtoB", "BtoA"] = opt("AtoB", "what becomes what; A is the left half, or DATA", group=DATA)
    target: str = opt("", "folder of B, named alike (none: DATA holds A|B side by side)", group=DATA)
    part: str = opt("", "sub-folder: train, val, test (none: train where there is one)", group=DATA)
    preprocess: Literal["resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none"] = opt(
        "resize_and_crop", "to --load-size, its width or neither; then a random part of --size", group=DATA
    )
    load_size: int | None = opt(
        None, "side, or width, before the random crop (none: 286 for 256 of --size)", group=DATA, ge=4, le=4096
    )
    flip: bool = opt(True, "mirror half of the pairs", group=DATA)
    input_kind: Literal["auto", "rgb", "grey", "labels"] = opt(
        "auto", "of what goes in; labels are resized without mixing", group=DATA
    )
    output_kind: Literal["auto", "rgb", "grey", "labels"] = opt("auto", "of what is to come out", group=DATA)
    bits: Literal[8, 16] = opt(8, "of a sample of the pictures, 8 or 16", group=DATA)
    palette: str = opt("", "colours of label ids: cityscapes, facades, generic or a file", group=DATA)

    @property
    def loaded(self) -> int:
        """Side, or width, before the random crop, pixels: as asked for, or in the published proportion to the crop."""
        return self.load_size or round(self.size * 286 / 256)

    @property
    def crops(self) -> bool:
        """Whether a random part of a picture is trained on."""
        return self.preprocess.endswith("crop")

    def __post_init__(self) -> None:
        """Raises ConfigError for a crop that is larger than what it is cut from, or colours without labels."""
        if self.preprocess in ("resize_and_crop", "scale_width_and_crop") and self.loaded < self.size:
            raise ConfigError(
                f"--load-size {self.load_size} is less than --size {self.size}, the part that is cut out of it.",
                f"Take --load-size {round(self.size * 286 / 256)}, or {self.size} for no random parts.",
            )
        if self.palette and not {self.input_kind, self.output_kind} & {"auto", "labels"}:
            raise ConfigError(
                "--palette gives labels their colours, and neither side is labels.",
                "Drop it, or say --input-kind or --output-kind labels.",
            )
