"""Options of the data that a family of sets trains on; such a family's config inherits them. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
