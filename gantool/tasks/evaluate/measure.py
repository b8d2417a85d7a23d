"""`evaluate`: one metric on one or two sides, from whatever they are given as."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from gantool.data.listing import exists
from gantool.data.pictures import is_statistics
from gantool.errors import RunError, UsageError
from gantool.files import check_target
from gantool.tasks.evaluate.operands import Count, Opener, Operand, Say, quiet, silent, trained_on
from gantool.tasks.evaluate.options import ONE, PAIR, SAMPLES, SETS, EvalOptions, Metric, metric_of
from gantool.tasks.evaluate.result import Evaluation, Findings
from gantool.tasks.runs import Run

_SINGLE_N, _SET_N = 50, 10_000  # samples drawn where nothing else is said

# Module and function of each metric; imported when used, because the networks bring torchvision, which takes seconds.
_MEASURES = {
    "sifid": "single:sifid",
    "patch-swd": "single:patch_swd",
    "diversity": "single:diversity",
    "fid": "sets:fid",
    "kid": "sets:kid",
    "is": "sets:inception_score",
    "prdc": "sets:prdc",
    "swd": "images:swd",
    "parzen": "parzen:parzen",
    "ms-ssim": "images:ms_ssim",
    "psnr": "images:psnr",
    "ssim": "images:ssim",
    "lpips": "images:lpips",
}


def _function(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(f"gantool.tasks.evaluate.{module}"), name)


def evaluate(
    metric: str,
    a: str | Path | Run,
    b: str | Path | Run | None = None,
    options: EvalOptions | None = None,
    *,
    say: Say = quiet,
    count: Count = silent,
) -> Evaluation:
    """Measure pictures.

    Args:
        metric: a name in `METRICS`.
        a: the real or true pictures, or for metrics of one set that set: a file, folder, zip or array, for fid
            also .npz statistics. A run (as it is, or by path, id prefix or `latest`) draws pictures.
        b: the pictures to judge, likewise. Metrics of one real picture take a run alone, too: it is then
            compared with the picture that it was trained on.
        options: see `EvalOptions`.
        say, count: take sentences and progress, for people.

    Raises:
        UsageError: operands or options that do not fit the metric.
        DataError, RunError: what is wrong with pictures, weights or runs, in one sentence.
    """
    wanted, options = metric_of(metric), options or EvalOptions()
    if wanted.takes in (PAIR, SETS) and b is None:
        raise UsageError(f"{wanted.name} compares two sides.", f"Write: gantool eval {wanted.name} REAL FAKE")
    if wanted.takes == SAMPLES and b is not None:
        raise UsageError(f"{wanted.name} looks at one set of pictures.", f"Write: gantool eval {wanted.name} PICTURES")
    statistics = wanted.name == "fid"
    if not (statistics and all(isinstance(side, str | Path) and is_statistics(side) for side in (a, b))):
        check(wanted, options)
    opener = Opener(options, say, default_n(wanted))
    first = opener.open(a, statistics)
    second = opener.open(b, statistics) if b is not None else None
    if wanted.takes == ONE and second is None:
        first, second = trained_on(first), first
    return measure(wanted, first, second, options, count)


def measure(metric: Metric, a: Operand, b: Operand | None, options: EvalOptions, count: Count = silent) -> Evaluation:
    """`evaluate` on operands that are open."""
    found = Findings()
    _function(_MEASURES[metric.name])(a, b, options, found, count)
    sides = {"pictures": a} if b is None else {"real": a, "fake": b}
    for side in sides.values():
        found.warnings += side.warnings(metric.takes in (SETS, SAMPLES))
    if options.n is not None and not any(side.kind == "run" for side in sides.values()):
        found.warnings.append(
            f"{options.n:,} pictures were asked for, but only runs draw: all that are there were taken."
        )
    warnings = tuple(dict.fromkeys(found.warnings))
    protocol = {name: side.describe() for name, side in sides.items()} | found.protocol
    return Evaluation(metric.name, found.values, metric.better, protocol, tuple(found.pairs), warnings)


def default_n(metric: Metric) -> int:
    """Samples that a run draws where the user does not say."""
    return _SINGLE_N if metric.takes == ONE or metric.name == "ms-ssim" else _SET_N


def check(metric: Metric, options: EvalOptions) -> None:
    """Refuse what could not be measured, before anything is drawn or trained.

    Raises:
        DataError: the file of a network is not there, and what to do about it.
        UsageError: options that do not fit each other.
    """
    checks = {"sifid": "single:sifid_weights", "lpips": "images:lpips_weights", "parzen": "parzen:check"}
    checks |= dict.fromkeys(("fid", "kid", "is", "prdc"), "sets:check_network")
    if metric.name in checks:
        _function(checks[metric.name])(options)


def save_statistics(
    pictures: str | Path | Run,
    file: str | Path,
    options: EvalOptions | None = None,
    *,
    say: Say = quiet,
    count: Count = silent,
) -> Evaluation:
    """Write mean and covariance of the features of a set to .npz, as pytorch-fid reads and writes them.

    Returns:
        How they were made, and what may mislead; no figure.

    Raises:
        UsageError: `file` is no .npz.
        RunError: `file` cannot be written, or exists: nothing is overwritten.
    """
    options, file = options or EvalOptions(), Path(file)
    if file.suffix.lower() != ".npz":
        raise UsageError(f"{file} is no .npz file.", "Statistics are kept in .npz files; name it so.")
    from gantool.tasks.evaluate import sets

    writable(file)
    sets.check_network(options)
    side = Opener(options, say, _SET_N).open(pictures)
    found = Findings()
    statistics = sets.statistics_of(side, options, found, count)
    protocol = {"pictures": side.describe(), **found.protocol}
    replace(statistics, protocol=protocol).save(file, overwrite=False)
    return Evaluation("stats", {}, "lower", protocol, (), tuple(found.warnings + side.warnings(True)))


def writable(file: Path) -> None:
    """Refuse a file that could not be written, before long work is done for it."""
    if exists(file) and file.is_file():
        raise RunError(f"{file} exists already.", "Choose another name, or remove it.")
    check_target(file, overwrite=False)
    if not file.parent.is_dir():
        raise RunError(f"There is no folder {file.parent}.", "Create it first.")
    if not os.access(file.parent, os.W_OK):
        raise RunError(f"You may not write to {file.parent}.", "Choose another place.")
