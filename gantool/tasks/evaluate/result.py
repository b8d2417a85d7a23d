"""What a measurement hands back: numbers, and all that one must know to compare them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Evaluation:
    """One measurement.

    Attributes:
        metric: its name.
        values: the figures by name; the first is the one that the metric is named after.
        better: "lower" or "higher", of the first figure.
        protocol: what was compared how: network, weights' sha256, layer, numbers of pictures, resize, seed, ...
        pairs: for metrics of pairs, one row each: names of both pictures, and their figures.
        warnings: sentences on what may mislead.
        classes: of maps of classes, one row for each class.
    """

    metric: str
    values: dict[str, float]
    better: str
    protocol: dict[str, Any]
    pairs: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    classes: tuple[dict[str, Any], ...] = ()

    @property
    def value(self) -> float:
        """The figure that the metric is named after; NaN of statistics, which are no figure."""
        return next(iter(self.values.values()), math.nan)

    def data(self) -> dict[str, Any]:
        """Plain values for JSON; a figure that is not finite (the PSNR of equal pictures) is None."""
        return {
            "metric": self.metric,
            "value": plain(self.value),
            "values": {name: plain(value) for name, value in self.values.items()},
            "better": self.better,
            "protocol": self.protocol,
            "pairs": [{key: plain(value) for key, value in row.items()} for row in self.pairs],
            "warnings": list(self.warnings),
            **({"classes": [{k: plain(v) for k, v in row.items()} for row in self.classes]} if self.classes else {}),
        }


def plain(value: Any) -> Any:
    """`value`, with None for a number that JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass
class Findings:
    """What gathers while a metric is computed, and becomes its Evaluation."""

    protocol: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
