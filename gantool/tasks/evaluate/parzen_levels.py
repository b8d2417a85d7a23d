"""The Parzen estimate on a pyramid: every level measured given the true picture of the coarser one.

Source: Denton et al. 2015, "Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks", Sec. 4.1
and appendix A.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from gantool.engine.devices import enough_memory
from gantool.errors import DataError, Diverged, UsageError
from gantool.family import RefineRequest, Refines
from gantool.metrics import parzen as metric
from gantool.metrics.parzen import Floats
from gantool.tasks.evaluate.operands import AT_ONCE, Count, Drawn, Operand
from gantool.tasks.evaluate.options import LAST_SEED, EvalOptions
from gantool.tasks.evaluate.parzen_common import Units, edges, is_grey, report, sigmas_of, size, split, units_of
from gantool.tasks.evaluate.result import Findings

HELD_OUT, MEASURED, DRAWS = 50, 200, 200
_OTHER_PYRAMID = 0.01  # of the range of values


def by_level(a: Operand, b: Operand, options: EvalOptions, found: Findings, count: Count) -> None:
    """Log density of the real pictures of `a` under the run `b`: of the coarsest level, and of each finer one given it.

    Raises:
        UsageError: `b` does not draw level by level, or by other steps than halves; or there are not enough seeds.
        DataError: the real pictures have another size, or colours where the run draws grey.
    """
    if not (isinstance(b.source, Drawn) and isinstance(b.source.model, Refines)):
        raise UsageError(f"{b.label} does not draw level by level.", "Leave --pyramid out.")
    model, sigmas = b.source.model, sigmas_of(options)
    sides = list(model.level_sides)
    if odd := odd_step(model):
        raise UsageError(
            f"Levels of {odd[0]} and {odd[1]} pixels are no factor of 2 apart, which --pyramid needs.",
            "Leave --pyramid out: the flat estimate takes any size.",
        )
    held, real = split(a, options, len(sigmas) > 1, HELD_OUT, MEASURED, count)
    if real.shape[1:3] != (sides[-1], sides[-1]):
        raise DataError(
            f"{a.label} has pictures of {size(real)} pixels, {b.label} draws {sides[-1]}x{sides[-1]}.",
            f"Bring them to its size: gantool data pack PICTURES squares.zip --size {sides[-1]}",
        )
    h, total = len(held), len(held) + len(real)
    n, draws, seed = len(b.source), options.draws or DRAWS, options.seed or 0
    if seed + n + total * draws > LAST_SEED:
        raise UsageError(
            f"From seed {seed} on there are not enough for {n + total * draws:,} draws.", "Choose smaller numbers."
        )
    start = _starts(b, model, range(seed, seed + n), sides[0], count)
    if start.shape[1] == 1:
        if not (is_grey(held) and is_grey(real)):
            raise DataError(f"{a.label} has colours, and {b.label} draws grey.", "Give grey pictures.")
        held, real = held[..., :1], real[..., :1]
    units = units_of(options, np.concatenate([held, real]))
    pictures = [np.concatenate([held, real]).transpose(0, 3, 1, 2) / 255]  # of every level, coarsest first
    for _ in sides[1:]:
        pictures.insert(0, metric.haar(pictures[0])[0])
    if _halves_otherwise(model, pictures):
        found.warnings.append(f"{b.label} was trained on smaller pictures that are not means of 2x2 pixels, as here.")

    def progress(done: int) -> None:
        count(f"level of {sides[0]} px", done, total)

    windows = [metric.parzen(pictures[0][:h], pictures[0][h:], start, sigmas, units, progress)]
    for k in range(1, len(sides)):
        squared = _squared(model, pictures, k, units, draws, seed + n, count)
        dimensions = pictures[k][0].size - pictures[k - 1][0].size
        windows.append(metric.own_window(squared[:h], squared[h:], dimensions, sigmas))
    parts = metric.level_log_densities(windows)
    report(found, options, np.sum(parts, axis=0), held, real, units)
    found.values |= {f"level_{side}": float(part.mean()) for side, part in zip(sides, parts, strict=True)}
    found.values |= {f"sigma_{side}": window.sigma for side, window in zip(sides, windows, strict=True)}
    found.protocol |= {
        "estimate": f"pyramid of {', '.join(map(str, sides))} px: every level given the true coarser one",
        "numbers": [window.dimensions for window in windows],
        "draws": f"{n} of {sides[0]} px" + (f", {draws} a picture and finer level" if len(sides) > 1 else ""),
        "seed": seed,
    }
    edges(found, {f" of {side} px": window for side, window in zip(sides, windows, strict=True)}, sigmas)


def odd_step(model: Refines) -> tuple[int, int] | None:
    """Sides of the first two levels of which one is not twice the other; None where all are."""
    return next(((coarse, fine) for coarse, fine in pairwise(model.level_sides) if fine != 2 * coarse), None)


def _starts(b: Operand, model: Refines, seeds: Sequence[int], side: int, count: Count) -> npt.NDArray[np.float32]:
    """Draws of the coarsest level, (n, C, side, side) in [0, 1]."""
    drawn, batch = [], max(1, min(1024, AT_ONCE // side**2))
    for first in range(0, len(seeds), batch):
        with enough_memory("Draw fewer (-n), or on another device."):
            drawn.append(_unit(model.start(seeds[first : first + batch])).astype(np.float32))
        count(b.label, min(first + batch, len(seeds)), len(seeds))
    return np.concatenate(drawn)


def _squared(
    model: Refines, pictures: Sequence[Floats], level: int, units: Units, draws: int, seed: int, count: Count
) -> Floats:
    """(n, draws) squared distances of each picture's high pass to those drawn on its true coarser one."""
    true, side = metric.haar(units.planes(pictures[level]))[1], pictures[level].shape[-1]
    squared = np.empty((len(true), draws))
    batch = max(1, min(1024, AT_ONCE // side**2))
    for i, coarse in enumerate(pictures[level - 1]):
        # A picture of the level's own side: the condition knows nothing of what it leaves out, whatever the filter.
        given = model.reduced(torch.from_numpy(coarse[None] * 2 - 1).float().to(_device(model)), level - 1)
        for first in range(0, draws, batch):
            last = min(first + batch, draws)
            seeds = range(seed + i * draws + first, seed + i * draws + last)
            with enough_memory("Draw on another device."):
                drawn = _unit(model.refine(RefineRequest(given, level - 1, seeds, to=level))[-1])
            high = metric.haar(units.planes(drawn))[1]
            squared[i, first:last] = np.square(high - true[i]).sum(axis=1)
        count(f"level of {side} px", i + 1, len(true))
    return squared


def _unit(drawn: torch.Tensor) -> Floats:
    """What a model draws, in [0, 1], as a saved picture would have it but for the rounding. Raises Diverged at NaN."""
    if bool(drawn.isnan().any()):
        raise Diverged("The pictures hold NaN: the model has diverged.", "Try a lower learning rate or another seed.")
    values: Floats = ((drawn.detach().double().cpu().clamp(-1, 1) + 1) / 2).numpy()
    return values


def _halves_otherwise(model: Refines, pictures: Sequence[Floats]) -> bool:
    """Whether the model sees other coarse pictures than means of 2x2 pixels."""
    for level in range(1, len(pictures)):
        fine = torch.from_numpy(pictures[level][:8] * 2 - 1).float().to(_device(model))
        gap = np.abs(_unit(model.reduced(fine, level - 1)) - pictures[level - 1][:8])
        if gap.max() > _OTHER_PYRAMID:
            return True
    return False


def _device(model: Refines) -> torch.device:
    return torch.device(getattr(model, "device", "cpu"))
