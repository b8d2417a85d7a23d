"""`eval parzen`: log likelihood of real pictures under a Gaussian on every sample, flat or level by level."""

from __future__ import annotations

import numpy as np

from gantool.errors import UsageError
from gantool.family import Refines
from gantool.metrics import parzen as metric
from gantool.tasks.evaluate.operands import Count, Drawn, Operand
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.parzen_common import edges, is_grey, read, report, sigmas_of, split, units_of
from gantool.tasks.evaluate.parzen_levels import by_level, odd_step
from gantool.tasks.evaluate.result import Findings

CAVEAT = (
    "Parzen-window figures hardly rank models in many dimensions: good pictures can score badly and bad ones well "
    "(Theis 2016). Compare only figures of equal counts, sizes and units."
)
HELD_OUT, MEASURED = 1000, 10_000  # real pictures, as of MNIST in the paper


def check(options: EvalOptions) -> None:
    """Refuse options that do not fit each other. Raises UsageError."""
    sigmas_of(options)
    if not options.pyramid:
        for name, value in (("--draws", options.draws), ("--seed", options.seed)):
            if value is not None:
                raise UsageError(f"{name} belongs to --pyramid.", "Leave it out, or add --pyramid.")


def parzen(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean log density of the real pictures `a` in nats, its standard error, and the width chosen."""
    assert b is not None
    check(options)
    found.warnings.append(CAVEAT)
    (by_level if options.pyramid else _flat)(a, b, options, found, count)


def _flat(a: Operand, b: Operand, options: EvalOptions, found: Findings, count: Count) -> None:
    sigmas = sigmas_of(options)
    held, real = split(a, options, len(sigmas) > 1, HELD_OUT, MEASURED, count)
    samples = read(b, count, like=(a.label, real))
    if all(map(is_grey, (held, real, samples))):
        held, real, samples = (np.ascontiguousarray(x[..., :1]) for x in (held, real, samples))
    units = units_of(options, np.concatenate([held, real]))
    total = len(held) + len(real)
    window = metric.parzen(held, real, samples, sigmas, units, lambda done: count("densities", done, total))
    report(found, options, window.log_density, held, real, units)
    found.values["sigma"] = window.sigma
    found.protocol |= {"estimate": "flat: a Gaussian on every sample", "numbers": window.dimensions}
    edges(found, {"": window}, sigmas)
    if isinstance(b.source, Drawn) and isinstance(b.source.model, Refines) and not odd_step(b.source.model):
        found.warnings.append(f"{b.label} draws level by level, and --pyramid measures it so, as its paper does.")
