"""How far a training is: a display that redraws itself on a terminal, plain lines elsewhere.

Watchers read plain numbers only, never tensors, and look at the clock before they do anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gantool.cli.talk import Talk
from gantool.cli.values import pixels, rate
from gantool.wording import duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from gantool.engine.model import GanModel
    from gantool.engine.trainer import Progress
    from gantool.tasks.runs import Run

REDRAW = 1 / 6  # seconds between two looks of the live display, which cost 1.4 ms each
LINE = 5.0  # seconds between two plain lines


class NowAndThen:
    """Tells when it is time for another plain line: once every `LINE` seconds, and not at first."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LINE

    def __call__(self) -> bool:
        """Whether it is time now."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + LINE
        return True


class Watcher:
    """What both kinds have in common; by itself it shows nothing (--quiet)."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.run: Run | None = None
        self.preview = ""
        self._speed = 0.0
        self._seen = (0, 0.0)

    def created(self, run: Run) -> None:
        """The run directory is there."""
        self.run = run

    def step(self, progress: Progress) -> None:
        """Nothing."""

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """Look for the preview that was just drawn."""
        if self.run is not None:
            file = self.run.path / "previews" / f"stage-{progress.state.stage + 1:02d}.png"
            self.preview = str(file) if file.exists() else ""
        self._speed = 0.0  # the next stage has its own

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """Nothing."""

    def speed(self, progress: Progress) -> float:
        """Steps a second since the last look, smoothed."""
        steps, seconds = progress.session_steps - self._seen[0], progress.session_seconds - self._seen[1]
        if steps > 0 and seconds > 0:
            now = steps / seconds
            self._speed = 0.7 * self._speed + 0.3 * now if self._speed else now
            self._seen = (progress.session_steps, progress.session_seconds)
        return self._speed


def _losses(progress: Progress) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in progress.metrics.items())


def _left(progress: Progress) -> str:
    left = progress.seconds_left
    return "time left: being measured" if left is None else f"about {duration(left)} left"


class Lines(Watcher):
    """One plain line a log entry, but not more than one every few seconds, and one a stage."""

    def __init__(self, talk: Talk) -> None:
        super().__init__(talk)
        self._due = NowAndThen()

    def step(self, progress: Progress) -> None:
        """A line when there are new numbers and the last line is old enough."""
        if progress.fresh and self._due():
            state, stage = progress.state, progress.stage
            self.talk.say(
                f"{stage.name}  step {state.step}/{stage.steps}  {rate(self.speed(progress))}"
                f"  {_left(progress)}  {_losses(progress)}"
            )

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """One line."""
        super().stage_end(progress, model)
        seen = f"  {self.preview}" if self.preview else ""
        self.talk.say(
            f"{progress.stage.name} done: {progress.state.step} steps"
            f" of {pixels(*progress.stage.size)}  {_losses(progress)}{seen}"
        )


class Block(Watcher):
    """The live display."""

    def __init__(self, talk: Talk, live: Live) -> None:
        super().__init__(talk)
        self._live = live
        self._next = 0.0

    def step(self, progress: Progress) -> None:
        """Redraw, if the last look is old enough."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + REDRAW
            self._live.update(self._draw(progress), refresh=True)

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """Redraw at once: the next stage may take a while to begin."""
        super().stage_end(progress, model)
        self._next = 0.0
        self._live.update(self._draw(progress), refresh=True)

    def _draw(self, progress: Progress) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        state, stage, stages = progress.state, progress.stage, progress.stages
        total = sum(s.cost * s.steps for s in stages)
        done = sum(s.cost * s.steps for s in stages[: state.stage]) + stage.cost * state.step
        bars = Table.grid(padding=(0, 2, 0, 0))
        bars.add_row(
            Text("all"),
            ProgressBar(total=max(total, 1e-9), completed=done, width=40),
            Text(f"{100 * done / total if total else 100:.0f} %  {_left(progress)}"),
        )
        bars.add_row(
            Text(stage.name),
            ProgressBar(total=max(stage.steps, 1), completed=state.step, width=40),
            Text(f"{state.step}/{stage.steps} steps  {rate(self.speed(progress))}  {pixels(*stage.size)}"),
        )
        below = [Text(_losses(progress), style="dim", no_wrap=True, overflow="ellipsis")]
        if self.preview:
            below.append(Text(f"preview: {self.preview}", style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(bars, *below)


@contextmanager
def watching(talk: Talk) -> Iterator[Watcher]:
    """The watcher that suits the terminal, for the time of one training."""
    if talk.quiet:
        yield Watcher(talk)
    elif not talk.live:
        yield Lines(talk)
    else:
        from rich.live import Live

        with Live(console=talk.console, auto_refresh=False, transient=True) as live:
            yield Block(talk, live)


def tracker(talk: Talk, what: str) -> Callable[[Iterable[int]], Iterable[int]]:
    """Wraps the items of a loop, to show on a terminal how many are done."""

    def track(items: Iterable[int]) -> Iterable[int]:
        if not talk.live:
            return items
        from rich.progress import track as rich_track

        return rich_track(list(items), description=what, console=talk.console, transient=True)

    return track
