"""Callbacks that every run has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gantool.data.image import save_png, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.engine.devices import enough_memory
from gantool.engine.model import GanModel
from gantool.engine.rundir import RunDir
from gantool.engine.trainer import Progress
from gantool.errors import Diverged, MemoryShort, RunError
from gantool.family import Reconstructs

READABLE = 160  # pixels across: smaller pictures in a row are shown enlarged, with hard pixels
CELL = 56  # the same on a sheet of many
COLUMNS = 8  # of a sheet; models give its pictures row by row


class Previews:
    """Draws a few pictures from fixed noise at the end of each stage: previews/stage-01.png, ..."""

    def __init__(self, run: RunDir, say: Callable[[str], None] = lambda _: None) -> None:
        self.folder, self.say = run.path / "previews", say

    def step(self, progress: Progress) -> None:
        """Nothing."""

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """One row: picture and reconstruction where the model has them, then samples.

        A row that cannot be drawn or written is said, and costs nothing else: the training matters more.
        """
        try:
            with enough_memory(""):
                sheet = self._row(model)
            self.folder.mkdir(exist_ok=True)
            save_png(sheet, self.folder / f"stage-{progress.state.stage + 1:02d}.png", overwrite=True)
        except (OSError, RunError, MemoryShort, Diverged) as error:
            self.say(f"There is no preview of {progress.stage.name}: {error}")

    def _row(self, model: GanModel) -> np.ndarray:
        pictures: list[np.ndarray] = []
        labels: list[str] = []
        if isinstance(model, Reconstructs):
            pictures += [to_uint8(model.picture())[0], to_uint8(model.reconstruct())[0]]
            labels += ["picture", "reconstruction"]
        samples = list(to_uint8(model.preview()))
        if len(samples) > COLUMNS:
            return _grid(samples)
        pictures += samples
        labels += [f"sample {i}" for i in range(len(samples))]
        return contact_sheet(_enlarged(pictures, READABLE), labels=labels, columns=len(pictures))

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing: the last stage's row stands."""


class Sheets:
    """Draws the same noise again and again as training goes on: previews/step-0000500.png, ...

    Args:
        model: the one that is trained.
        every: steps from sheet to sheet; see `Progress.due`.
    """

    def __init__(
        self, run: RunDir, model: GanModel, every: int | None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder, self.model, self.every, self.say = run.path / "previews", model, every, say

    def step(self, progress: Progress) -> None:
        """A sheet, if it is time for one. One that cannot be drawn or written is said, and costs nothing else."""
        if not progress.due(self.every):
            return
        try:
            with enough_memory(""):
                sheet = _grid(list(to_uint8(self.model.preview())))
            self.folder.mkdir(exist_ok=True)
            save_png(sheet, self.folder / f"step-{progress.state.total:07d}.png", overwrite=True)
        except (OSError, RunError, MemoryShort, Diverged) as error:
            self.say(f"There is no sheet of step {progress.state.total}: {error}")

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing: `Previews` draws one more."""

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing."""


def _grid(pictures: list[np.ndarray]) -> np.ndarray:
    return contact_sheet(_enlarged(pictures, CELL), columns=COLUMNS, gap=2)


def _enlarged(pictures: list[np.ndarray], readable: int) -> list[np.ndarray]:
    times = max(1, readable // pictures[0].shape[1])
    return [p.repeat(times, axis=0).repeat(times, axis=1) for p in pictures]
