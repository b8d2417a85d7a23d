"""Measurements of a network that enlarges while it trains: `--val Set5/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gantool.engine.rundir import SCORES, RunDir, now
from gantool.engine.trainer import Progress
from gantool.errors import GantoolError
from gantool.family import Enlarges
from gantool.tasks.evaluate.operands import Say
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.superres import Prepared, evaluate_superres, prepare

if TYPE_CHECKING:
    from gantool.engine.model import GanModel


class Validation:
    """Callback that measures PSNR, SSIM and LPIPS on pictures that are not trained on, into the run's scores.jsonl.

    Nothing of it is random, so that a run with it trains to the same weights, bit for bit, as one without. A
    measurement that fails is said, and costs nothing else. Of several processes the first measures and the others
    wait for it, so the pictures should be few.

    Args:
        run: gets the scores.
        model: the one that is trained; it enlarges.
        data: the pictures; see `gantool.data.sr_sets.find_set`.
        every: steps from one to the next; see `Progress.due`.
        say: takes sentences for people.
    """

    def __init__(self, run: RunDir, model: GanModel, data: str, every: int | None, say: Say) -> None:
        self.run, self.model, self.data, self.every, self.say = run, model, Path(data), every, say
        self._options = EvalOptions(device=str(model.device))
        self._ready: Prepared | None = None

    def step(self, progress: Progress) -> None:
        """Measure, if it is time for it, and at the end of each stage."""
        if progress.due(self.every) or progress.state.step == progress.stage.steps:
            self._measure(progress)

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing: its last step was measured."""

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing."""

    def _measure(self, progress: Progress) -> None:
        assert isinstance(self.model, Enlarges)
        try:
            if self._ready is None:
                self._ready = prepare(self.data, int(self.model.factor), options=self._options)
            found = evaluate_superres(self._ready, self.model, options=self._options)
        except GantoolError as error:
            self.say(f"{self.data} was not measured: {error}")
            return
        state = progress.state
        entry = {"total": state.total, "stage": state.stage, "step": state.step, "at": now(), **found.data()}
        self.run.log({key: value for key, value in entry.items() if key != "pairs"}, SCORES)
        figures = "  ".join(f"{name} {value:.5g}" for name, value in found.values.items())
        self.say(f"{progress.stage.name}, step {state.step:,}: {figures}")
