"""Measurements while a model trains: `--eval sifid@500`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantool.engine.rundir import now
from gantool.engine.trainer import Progress
from gantool.errors import GantoolError
from gantool.family import FamilySpec
from gantool.tasks.evaluate.measure import check, default_n, measure
from gantool.tasks.evaluate.operands import Drawn, Operand, Say, trained_on
from gantool.tasks.evaluate.options import ONE, SAMPLES, EvalOptions, Metric, parse_schedule

if TYPE_CHECKING:
    from gantool.engine.model import GanModel
    from gantool.settings import Settings
    from gantool.tasks.runs import Run

ON_ONE_PICTURE = (ONE, SAMPLES)  # kinds of metrics that fit a family which trains on one picture


class Scores:
    """Callback that measures a model every so many steps and at the end, into the run's scores.jsonl.

    It draws with seeds of its own and in evaluation mode, so that a run with measurements trains to the same
    weights, bit for bit, as one without. A measurement that fails is said, and costs nothing else.
    """

    def __init__(self, run: Run, model: GanModel, settings: Settings, say: Say) -> None:
        self.run, self.model, self.say = run, model, say
        self.schedule = parse_schedule(settings.eval)
        self.n = settings.eval_samples
        self._done = 0

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
            options = EvalOptions(n=self.n, device=str(self.model.device))
            seeds = range(self.n or default_n(metric))
            try:
                drawn = Drawn(str(self.run.path), self.model, seeds)
                fake = Operand(str(self.run.path), "run", drawn, run=self.run)
                found = measure(metric, *_sides(metric, fake), options)
            except GantoolError as error:
                self.say(f"{metric.name} was not measured: {error}")
                continue
            total, state = progress.state.total, progress.state
            entry = {"total": total, "stage": state.stage, "step": state.step, "at": now(), **found.data()}
            self.run.dir.log({key: value for key, value in entry.items() if key != "pairs"}, "scores.jsonl")
            figures = "  ".join(f"{name} {value:.5g}" for name, value in found.values.items())
            self.say(f"{progress.stage.name}, step {total:,} in all: {figures}")


def _sides(metric: Metric, fake: Operand) -> tuple[Operand, Operand | None]:
    return (fake, None) if metric.takes == SAMPLES else (trained_on(fake), fake)


def check_schedule(settings: Settings, spec: FamilySpec) -> None:
    """Refuse measurements that could not be made, before a training begins.

    Raises:
        UsageError: an unknown metric, or one that does not fit a family of one picture.
        DataError: the weights of a network are not there.
    """
    from gantool.errors import UsageError

    for metric, _ in parse_schedule(settings.eval):
        if metric.takes not in ON_ONE_PICTURE:
            fitting = ", ".join(("sifid", "patch-swd", "diversity", "ms-ssim"))
            raise UsageError(
                f"{metric.name} compares sets of pictures; {spec.title} trains on one picture.",
                f"These fit: {fitting}.",
            )
        check(metric, EvalOptions(device=settings.device))
