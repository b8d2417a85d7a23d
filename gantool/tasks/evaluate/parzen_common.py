"""What the flat and the level-by-level Parzen estimate share: pictures, units, widths, and what is reported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gantool.data.cache import free_memory
from gantool.data.decode import Pixels
from gantool.errors import DataError, MemoryShort, UsageError
from gantool.metrics import parzen as metric
from gantool.metrics.parzen import Floats, Window
from gantool.tasks.evaluate.images import counted
from gantool.tasks.evaluate.operands import Count, Operand
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.result import Findings

PUBLISHED = (0.1, 1.0)  # sigmas of the flat estimate, of pixels from 0 to 1
WIDE = (0.01, 10.0)  # and of all others
_BOUNDS = (1e-6, 1e6)


@dataclass(frozen=True, eq=False)
class Units:
    """In what pixels are measured: (value in [0, 1] - mean) / deviation, by channel; both (C,)."""

    mean: Floats
    deviation: Floats

    def __call__(self, pictures: npt.NDArray[Any]) -> Floats:
        """(n, H, W, C) of 8 bits, or (n, C, H, W) of floats in [0, 1], as rows (n, D)."""
        if pictures.dtype == np.uint8:
            return metric.as_values((pictures / 255 - self.mean) / self.deviation)
        return metric.as_values(self.planes(pictures))

    def planes(self, pictures: npt.NDArray[Any]) -> Floats:
        """The same of (n, C, H, W) in [0, 1], shape kept."""
        scaled: Floats = (pictures - self.mean[:, None, None]) / self.deviation[:, None, None]
        return scaled


def sigmas_of(options: EvalOptions) -> Floats:
    """The widths to choose from. Raises UsageError for a text that names none, and where one needs no choice."""
    text = options.sigma
    if text is None:
        return metric.sigmas_between(*(WIDE if options.pyramid or options.units == "standard" else PUBLISHED))
    try:
        low, high = (float(part) for part in (text.split(":") if ":" in text else (text, text)))
    except ValueError:
        low = high = math.nan
    if not _BOUNDS[0] <= low <= high <= _BOUNDS[1] or (":" in text and low == high):
        raise UsageError(
            f"--sigma {text!r} is no width.",
            "Write one as in 0.2, or the range tried as in 0.05:1, from 1e-6 to 1e6.",
        )
    if low == high:
        if options.held_out is not None:
            raise UsageError("--held-out chooses a width, and --sigma names it.", "Leave one out, or give a range.")
        return np.array([low])
    return metric.sigmas_between(low, high)


def split(
    side: Operand, options: EvalOptions, choosing: bool, held_out: int, measured: int, count: Count
) -> tuple[Pixels, Pixels]:
    """Real pictures to choose sigma by and others to measure, both spread over the set: (n, H, W, 3) each.

    Raises:
        UsageError: more are to be held out than there are.
        DataError: fewer than two, sizes that differ.
    """
    most = options.pictures or measured
    pictures = read(side, count, most + ((options.held_out or held_out) if choosing else 0))
    side.used = n = len(pictures)
    if n < 2:
        raise DataError(f"{side.label} has one picture only.", "Give two real pictures or more.")
    if not choosing:
        return pictures[:0], pictures
    held = options.held_out or min(held_out, max(n // 2, n - most))
    if held >= n:
        raise UsageError(f"{side.label} has {n} pictures, of which {held} cannot be held out.", "Lower --held-out.")
    chosen = np.zeros(n, bool)
    chosen[np.linspace(0, n - 1, held).astype(int)] = True
    return pictures[chosen], pictures[~chosen]


def read(side: Operand, count: Count, most: int | None = None, like: tuple[str, Pixels] | None = None) -> Pixels:
    """Pictures of one size, (n, H, W, 3) uint8.

    Args:
        side, count: whose they are, and what is told how far it is.
        most: at most so many, spread over the set.
        like: name and pictures of another set, whose size they must have.

    Raises:
        DataError: sizes differ.
        MemoryShort: they are more than the memory holds.
    """
    total = len(side.pictures)
    keep = np.ones(total, bool)
    if most is not None and most < total:
        keep[:] = False
        keep[np.linspace(0, total - 1, most).astype(int)] = True
    found: Pixels | None = None
    n, wanted = 0, int(keep.sum())
    for i, item in enumerate(counted(side, count)):
        if not keep[i]:
            continue
        name, shown = side.picture(item.name), item.pixels[None]
        like = like or (name, shown)
        if size(shown) != size(like[1]):
            raise DataError(
                f"{like[0]} has {size(like[1])} pixels, {name} {size(shown)}.",
                "Bring all to one size: gantool data pack PICTURES squares.zip --size N",
            )
        if found is None:
            if (need := wanted * shown.size) > free_memory() // 2:
                raise MemoryShort(
                    f"{wanted:,} pictures of {size(shown)} pixels need {need / 2**30:,.1f} GB of memory.",
                    "Give fewer, or smaller ones.",
                )
            found = np.empty((wanted, *item.pixels.shape), np.uint8)
        found[n] = item.pixels
        n += 1
    if found is None:
        raise DataError(f"{side.label} has no pictures.", "Give pictures.")
    return found[:n]


def units_of(options: EvalOptions, real: Pixels) -> Units:
    """Those asked for. Raises DataError where a channel has one value only, which has no deviation."""
    channels = real.shape[3]
    if options.units == "unit":
        return Units(np.zeros(channels), np.ones(channels))
    counts = [np.bincount(real[..., c].ravel(), minlength=256) for c in range(channels)]
    values = np.arange(256) / 255
    mean = np.array([np.average(values, weights=c) for c in counts])
    square = np.array([np.average((values - m) ** 2, weights=c) for m, c in zip(mean, counts, strict=True)])
    if not square.all():
        raise DataError("The real pictures are of one colour throughout.", "Measure with --units unit.")
    return Units(mean, np.sqrt(square))


def report(found: Findings, options: EvalOptions, each: Floats, held: Pixels, real: Pixels, units: Units) -> None:
    """The figure of log densities (n,), and what was measured."""
    found.values["parzen"], found.values["standard_error"] = metric.mean_and_error(each)
    found.protocol |= {
        "picture": f"{size(real)}, {'grey' if real.shape[3] == 1 else 'colour'}",
        "units": "nats, of pixels from 0 to 1"
        if options.units == "unit"
        else {
            "nats, of pixels less": units.mean.tolist(),
            "over": units.deviation.tolist(),
        },
        "measured": len(real),
        "held out": len(held),
    }


def edges(found: Findings, windows: dict[str, Window], sigmas: Floats) -> None:
    """Say how sigma was found, and where a better one may lie beyond those tried."""
    low, high = float(sigmas[0]), float(sigmas[-1])
    found.protocol["sigma"] = (
        "as given" if len(sigmas) == 1 else f"best of {len(sigmas)} from {low:.6g} to {high:.6g} on those held out"
    )
    for where, window in windows.items():
        if window.edge:
            word, wider = ("smallest", f"{low / 10:.6g}:{high:.6g}")
            if window.edge > 0:
                word, wider = "largest", f"{low:.6g}:{high * 10:.6g}"
            found.warnings.append(f"The best sigma{where} is the {word} tried: try --sigma {wider}.")


def is_grey(pictures: Pixels) -> bool:
    """Whether the channels of all (n, H, W, 3) are equal."""
    return bool((pictures == pictures[..., :1]).all())


def size(pictures: Pixels) -> str:
    """Of (n, H, W, 3), as people write it."""
    return f"{pictures.shape[2]}x{pictures.shape[1]}"
