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
from gantool.errors import MemoryShort, RunError
from gantool.family import Reconstructs

READABLE = 160  # pixels across: smaller pictures are shown enlarged, with hard pixels


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
        except (OSError, RunError, MemoryShort) as error:
            self.say(f"There is no preview of {progress.stage.name}: {error}")

    def _row(self, model: GanModel) -> np.ndarray:
        pictures: list[np.ndarray] = []
        labels: list[str] = []
        if isinstance(model, Reconstructs):
            pictures += [to_uint8(model.picture())[0], to_uint8(model.reconstruct())[0]]
            labels += ["picture", "reconstruction"]
        samples = list(to_uint8(model.preview()))
        pictures += samples
        labels += [f"sample {i}" for i in range(len(samples))]
        times = max(1, READABLE // pictures[0].shape[1])
        enlarged = [p.repeat(times, axis=0).repeat(times, axis=1) for p in pictures]
        return contact_sheet(enlarged, labels=labels, columns=len(pictures))

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing: the last stage's row stands."""
