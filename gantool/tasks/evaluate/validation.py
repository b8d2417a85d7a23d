"""Measurements of a network that enlarges or translates while it trains: `--val Set5/`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gantool.engine.rundir import SCORES, now
from gantool.engine.trainer import Progress
from gantool.errors import GantoolError
from gantool.family import Enlarges, Translates
from gantool.tasks.evaluate.operands import Say
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.result import Evaluation

if TYPE_CHECKING:
    from gantool.engine.model import GanModel
    from gantool.tasks.runs import Run

ROWS = ("pairs", "classes")  # of a measurement, that are not kept


class Validation:
    """Callback that measures a model on pictures that are not trained on, into the run's scores.jsonl.

    Nothing of it depends on what training draws, so that a run with it trains to the same weights, bit for bit, as one
    without. What cannot be read is left out and said; a measurement that fails is said, and costs nothing else. Of
    several processes the first measures and the others wait for it, so the pictures should be few.

    Args:
        run: gets the scores.
        model: the one that is trained; it enlarges or translates.
        data: the pictures; see `gantool.data.sr_sets.find_set`, or `gantool.data.pairs.open_pairs`.
        every: steps from one to the next; see `Progress.due`.
        say: takes sentences for people.
    """

    def __init__(self, run: Run, model: GanModel, data: str, every: int | None, say: Say) -> None:
        self.run, self.model, self.data, self.every, self.say = run, model, Path(data), every, say
        self._ready: Callable[[], Evaluation] | None = None  # the pictures are found and looked at once
        self._told = False  # whether figures were said before

    def step(self, progress: Progress) -> None:
        """Measure, if it is time for it, and at the end of each stage."""
        if progress.due(self.every) or progress.state.step == progress.stage.steps:
            self._measure(progress)

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing: its last step was measured."""

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing."""

    def _measure(self, progress: Progress) -> None:
        try:
            self._ready = self._ready or self._prepared()
            found = self._ready()
        except GantoolError as error:
            self.say(f"{self.data} was not measured: {error}")
            return
        state = progress.state
        entry = {"total": state.total, "stage": state.stage, "step": state.step, "at": now(), **found.data()}
        self.run.dir.log({key: value for key, value in entry.items() if key not in ROWS}, SCORES)
        shown = dict(found.values)
        if self._told:  # what a simple rule gives stays as it was: `psnr bicubic` beside `psnr`
            shown = {name: value for name, value in shown.items() if not any(name.startswith(f"{n} ") for n in shown)}
        else:
            for warning in found.warnings:
                self.say(f"{self.data}: {warning}")
        self._told = True
        figures = "  ".join(f"{name} {value:.5g}" for name, value in shown.items())
        self.say(f"{progress.stage.name}, step {state.step:,}: {figures}")

    def _prepared(self) -> Callable[[], Evaluation]:
        """What measures, by what the model can do."""
        model, options = self.model, EvalOptions(device=str(self.model.device), skip_bad=True)
        if isinstance(model, Enlarges):
            from gantool.tasks.evaluate import superres

            pictures = superres.prepare(self.data, int(model.factor), options=options)
            return lambda: superres.evaluate_superres(pictures, model, options=options)
        assert isinstance(model, Translates)
        from gantool.data.pairs import HELD_OUT
        from gantool.tasks.evaluate import translation
        from gantool.tasks.translator import habits_of

        habits = habits_of(self.run)
        pairs = translation.prepare(self.data, model, habits, parts=HELD_OUT, options=options)
        return lambda: translation.evaluate_translation(model, pairs, fid=False, options=options)
