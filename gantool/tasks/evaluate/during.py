"""Measurements while a model trains: `--eval sifid@500`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gantool.data.single_image import SingleImage
from gantool.engine.rundir import SCORES, now
from gantool.engine.trainer import Progress
from gantool.errors import GantoolError, UsageError
from gantool.family import FamilySpec
from gantool.tasks.evaluate.measure import check, default_n, measure
from gantool.tasks.evaluate.operands import Operand, Say, TrainedSet, drawn_by, silent, trained_on
from gantool.tasks.evaluate.options import METRICS, ONE, SAMPLES, SETS, EvalOptions, Metric, parse_schedule
from gantool.tasks.evaluate.result import Findings
from gantool.tasks.sample import MOST

if TYPE_CHECKING:
    from gantool.data.batches import Batches
    from gantool.engine.model import GanModel
    from gantool.settings import Settings
    from gantool.tasks.runs import Run

# What fits a family that trains on one picture; the Inception Score is for sets of many classes.
ON_ONE_PICTURE = tuple(name for name, metric in METRICS.items() if metric.takes == ONE or name == "ms-ssim")
ON_SETS = tuple(name for name, metric in METRICS.items() if metric.takes in (SETS, SAMPLES))
ON_SEVERAL = ("diversity", "ms-ssim")  # metrics of differences between samples


class Scores:
    """Callback that measures a model every so many steps and at the end, into the run's scores.jsonl.

    It draws with seeds of its own and in evaluation mode, so that a run with measurements trains to the same
    weights, bit for bit, as one without. A measurement that fails is said, and costs nothing else.
    """

    def __init__(self, run: Run, model: GanModel, data: SingleImage | Batches, settings: Settings, say: Say) -> None:
        self.run, self.model, self.data, self.say = run, model, data, say
        self.schedule = parse_schedule(settings.eval)
        self.n = settings.eval_samples
        self.features = _features(settings)
        self._statistics: Operand | None = None  # of the real pictures, which stay the same

    def step(self, progress: Progress) -> None:
        """Measure what is due at this step."""
        total = progress.state.total
        self._measure(progress, [metric for metric, every in self.schedule if total % every == 0])

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing."""

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """Measure the finished model, with whatever was not measured at its last step."""
        total = progress.state.total
        self._measure(progress, [metric for metric, every in self.schedule if total % every])

    def _measure(self, progress: Progress, due: Sequence[Metric]) -> None:
        for metric in due:
            takes = metric.takes in (SETS, SAMPLES) and "features" in metric.options
            options = EvalOptions(n=self.n, device=str(self.model.device), features=self.features if takes else None)
            seeds = range(self.n or default_n(metric))
            try:
                fake = drawn_by(self.run, self.model, seeds)
                found = measure(metric, *self._sides(metric, fake, options), options)
            except GantoolError as error:
                self.say(f"{metric.name} was not measured: {error}")
                continue
            total, state = progress.state.total, progress.state
            entry = {"total": total, "stage": state.stage, "step": state.step, "at": now(), **found.data()}
            self.run.dir.log({key: value for key, value in entry.items() if key != "pairs"}, SCORES)
            figures = "  ".join(f"{name} {value:.5g}" for name, value in found.values.items())
            self.say(f"{progress.stage.name}, step {total:,} in all: {figures}")

    def _sides(self, metric: Metric, fake: Operand, options: EvalOptions) -> tuple[Operand, Operand | None]:
        if metric.takes == SAMPLES:
            return fake, None
        if isinstance(self.data, SingleImage):
            return trained_on(fake), fake
        label = str(self.data.describe()["path"])
        real = Operand(label, "set", TrainedSet(label, self.data, default_n(metric)))
        if metric.name != "fid":
            return real, fake
        if self._statistics is None:
            self._statistics = _summarised(real, options)
        return self._statistics, fake


def _summarised(real: Operand, options: EvalOptions) -> Operand:
    """Pictures as their mean and covariance."""
    from gantool.tasks.evaluate.sets import statistics_of

    found = Findings()
    statistics = statistics_of(real, options, found, silent)
    protocol = {"pictures": real.describe(), **found.protocol}
    return Operand(real.label, "statistics", statistics=replace(statistics, protocol=protocol))


def _features(settings: Settings) -> Path | None:
    return Path(settings.eval_features) if settings.eval_features else None


def check_schedule(settings: Settings, spec: FamilySpec) -> None:
    """Refuse measurements that could not be made, before a training begins.

    Raises:
        UsageError: an unknown metric, one that does not fit what the family trains on, or a number of samples that
            cannot be measured.
        DataError: the weights of a network are not there.
    """
    samples = settings.eval_samples
    if samples is not None and samples > MOST:
        raise UsageError(f"--eval-samples is {samples:,}.", f"Ask for up to {MOST:,}.")
    for metric, _ in parse_schedule(settings.eval):
        fit = ON_ONE_PICTURE if spec.data == "image" else ON_SETS
        if metric.name not in fit:
            kinds = ("sets of pictures", "one picture")
            wanted, has = kinds if spec.data == "image" else kinds[::-1]
            raise UsageError(
                f"{metric.title} is for {wanted}; {spec.title} trains on {has}.", f"These fit: {', '.join(fit)}."
            )
        if metric.name in ON_SEVERAL and samples == 1:
            raise UsageError(f"{metric.name} takes two samples or more.", "Give --eval-samples 2 or more.")
        takes = "features" in metric.options
        check(metric, EvalOptions(device=settings.device, features=_features(settings) if takes else None))
