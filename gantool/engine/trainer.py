"""The training loop: one for every family."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from gantool.engine.budget import Budget
from gantool.engine.checkpoint import (
    State,
    fill,
    find_checkpoint,
    load_training,
    read_weights,
    save_checkpoint,
    set_aside_newer,
)
from gantool.engine.devices import synchronize
from gantool.engine.model import Context, GanModel, Metrics, Stage
from gantool.engine.rundir import RunDir
from gantool.engine.world import World
from gantool.errors import Diverged, Interrupted, RunError
from gantool.nn.norm import synchronize_batch_norm
from gantool.settings import Settings

LOOKS = 20  # at the model as it trains, in a stage, when nobody says how often


@dataclass
class Progress:
    """What callbacks see. `metrics` holds the latest logged losses; `fresh` says they are of this step."""

    stages: list[Stage]
    state: State
    metrics: dict[str, float] = field(default_factory=dict)
    fresh: bool = False
    session_steps: int = 0
    session_seconds: float = 0.0

    @property
    def stage(self) -> Stage:
        """The stage being trained, with its steps as fitted."""
        return self.stages[self.state.stage]

    def due(self, every: int | None) -> bool:
        """Whether it is time for a look at the model: each `every` steps of the stage, or `LOOKS` times in all."""
        return self.state.step % (every or max(1, self.stage.steps // LOOKS)) == 0

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the speed of this session and the cost of what is left; None before it is known."""
        done = self._cost_done()
        if self.session_steps < 2 or done <= 0:
            return None
        later = sum(s.cost * s.steps for s in self.stages[self.state.stage + 1 :])
        here = self.stage.cost * (self.stage.steps - self.state.step)
        return self.session_seconds / done * (here + later)

    def _cost_done(self) -> float:
        left, cost = self.session_steps, 0.0
        for index in range(self.state.stage, -1, -1):
            steps = self.state.step if index == self.state.stage else self.stages[index].steps
            cost += self.stages[index].cost * min(left, steps)
            left -= min(left, steps)
        return cost


class Source(Protocol):
    """What a model trains on."""

    @property
    def position(self) -> int:
        """Pictures drawn so far, by all processes together; part of a checkpoint."""
        ...

    def seek(self, position: int) -> None:
        """Go on from that many pictures."""

    def batch(self, step: int) -> Any:
        """What `train_step` gets: nothing where the model holds its picture, else an iterator of batches."""


class Callback(Protocol):
    """Watches a run; may not change its numbers."""

    def step(self, progress: Progress) -> None:
        """After each step."""

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """After each stage, its checkpoint being written."""

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """After the last stage."""


class Trainer:
    """Trains one model into one run directory, from scratch or from its latest checkpoint.

    Args:
        model: on its device, no stage entered yet.
        data: what the family trains on.
        run: locked by the caller, in the first process.
        settings: `seed` is not None.
        stop: asked after every step; True saves and raises Interrupted.
        say: takes sentences for people.
        world: the processes that train together. The first one alone writes, and has callbacks.
    """

    def __init__(
        self,
        model: GanModel,
        data: Source,
        run: RunDir,
        settings: Settings,
        callbacks: Sequence[Callback] = (),
        stop: Callable[[], bool] = lambda: False,
        say: Callable[[str], None] = lambda _: None,
        world: World | None = None,
    ) -> None:
        self.model, self.data, self.run, self.settings = model, data, run, settings
        self.callbacks, self.stop, self.say, self.world = callbacks, stop, say, world or World()
        self.generator = torch.Generator(model.device).manual_seed(settings.seed or 0)
        stages = model.stages()
        self.budget = Budget(settings.max_time, stages) if settings.max_time else None
        self.progress = Progress(stages, State(schedule=[s.steps for s in stages]))
        self.saved_at = self.clock = time.monotonic()
        self.entered = (0, 0.0)  # steps and seconds when this session took up the stage

    def fit(self) -> None:
        """Train what is left of the schedule.

        Raises:
            Interrupted: `stop` said so; the state is saved.
            Diverged: losses or weights are not finite; the last good checkpoint is kept.
        """
        with torch.random.fork_rng(devices=[self.model.device] if self.model.device.type == "cuda" else []):
            self._fit()

    def _fit(self) -> None:
        entered = self._restore()
        state, stages = self.progress.state, self.progress.stages
        for index in range(state.stage, len(stages)):
            ctx = Context(
                self.model.device, self.generator, stages[index], world=self.world, precision=self.settings.precision
            )
            if index not in entered:
                state.stage, state.step, state.stage_end = index, 0, False
                self.model.enter(stages[index])
                self.model.prepare(stages[index], self.data, ctx)
            elif state.stage_end:
                self._end_stage()  # a kill may have come between checkpoint and callbacks
                continue
            if self.world.size > 1:
                synchronize_batch_norm(self.model)
                self.world.broadcast([*self.model.parameters(), *self.model.buffers()])
            if self.settings.compile:
                self.model.compile_networks()
            self.clock, self.entered = time.monotonic(), (state.step, state.seconds)
            while state.step < stages[index].steps:
                ctx.stage, ctx.step, ctx.log = stages[index], state.step, self._logs(state.step + 1)
                self._seed_layers(ctx)
                metrics = self.model.train_step(self.data.batch(state.step), ctx)
                state.step += 1
                state.images = self.data.position
                self._after_step(metrics)
            self.model.leave(stages[index])
            state.stage_end = True
            self._save()
            self._end_stage()
        for callback in self.callbacks:
            callback.run_end(self.progress, self.model)

    def _seed_layers(self, ctx: Context) -> None:
        """Layers that draw by themselves, such as dropout, do so from the process's generator.

        Its state follows from seed, stage and step, so that it is no part of a checkpoint; each process has its own.
        """
        # Far apart, for a step is the next seed; and within 32 bits, of which PyTorch's CPU generator takes no more.
        seed = (ctx.host_generator.initial_seed() + self.world.rank * 0x9E3779B1) % 2**63
        # On a CPU its generator alone, which takes a hundredth of the time.
        (torch.default_generator.manual_seed if ctx.device.type == "cpu" else torch.manual_seed)(seed)

    def _logs(self, step: int) -> bool:
        """Whether what was measured is logged after that many steps of the stage."""
        return step >= self.progress.stage.steps or step % self.settings.log_every == 0

    def _end_stage(self) -> None:
        for callback in self.callbacks:
            callback.stage_end(self.progress, self.model)

    def _after_step(self, metrics: Metrics) -> None:
        progress, state = self.progress, self.progress.state
        due = self.budget is not None and self.budget.is_due(state.stage, state.step)
        begins = self.budget is not None and self.budget.begins(state.stage, state.step)
        if due or begins:
            synchronize(self.model.device)
        # From step to step, so that waiting for the device counts wherever it happens; saving does not.
        seconds, self.clock = time.monotonic() - self.clock, time.monotonic()
        state.seconds += seconds
        progress.session_seconds += seconds
        progress.session_steps += 1
        if begins:
            self.entered = (state.step, state.seconds)  # the first steps of a stage are slower than the rest
        if self.budget is not None and due:
            self._fit_budget(self.budget)
            self.entered = (state.step, state.seconds)
        last = state.step >= progress.stage.steps
        progress.fresh = self._logs(state.step)
        if progress.fresh:
            self._log(metrics)
        before = time.monotonic()
        for callback in self.callbacks:
            callback.step(progress)
        self.clock += time.monotonic() - before  # what a callback takes, such as a measurement, is no training
        late = self.world.first and not last and time.monotonic() - self.saved_at >= self.settings.save_every
        stop, save = self.world.any(self.stop(), late)
        if stop:
            self._save()
            raise Interrupted("Stopped and saved.", f"Resume with: gantool resume {shlex.quote(str(self.run.path))}")
        if save:
            self._save()

    def _fit_budget(self, budget: Budget) -> None:
        """Shorten the schedule from this stage on; it is part of the state, so a resumed run keeps it."""
        state = self.progress.state
        steps, seconds = state.step - self.entered[0], state.seconds - self.entered[1]
        fitted = budget.fit(state.stage, state.step, seconds / max(steps, 1), state.seconds)
        state.schedule[state.stage :] = self.world.broadcast_object(fitted)
        self._apply_schedule()

    def _apply_schedule(self) -> None:
        stages = self.progress.stages
        for i, steps in enumerate(self.progress.state.schedule):
            stages[i] = replace(stages[i], steps=steps)

    def _log(self, metrics: Metrics) -> None:
        """Bring the losses to the host, check them, write them down."""
        progress, state = self.progress, self.progress.state
        if self.world.size > 1 and metrics:
            averaged = torch.stack([value.detach().float() for value in metrics.values()])
            self.world.average([averaged])
            metrics = dict(zip(metrics, averaged, strict=True))
        values = {name: float(value) for name, value in metrics.items()}
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise Diverged(
                f"Training diverged: {', '.join(wrong)} is not finite at step {state.step} of {progress.stage.name}.",
                "The last good checkpoint is kept. Try a lower learning rate or another seed.",
            )
        progress.metrics = values
        entry = {"total": state.total, "stage": state.stage, "step": state.step, "seconds": round(state.seconds, 3)}
        if state.images:
            entry["images"] = state.images
        if self.world.first:
            self.run.log({**entry, **values})

    def _save(self) -> None:
        if self.world.first:
            save_checkpoint(self.run.checkpoints, self.model, self.generator, self.progress.state)
        self.world.barrier()  # nobody leaves while the first still writes: torchrun would end it in the middle
        self.saved_at = self.clock = time.monotonic()

    def _restore(self) -> set[int]:
        """Load the newest whole checkpoint, if any; returns the stages that are built."""
        found = self.world.broadcast_object(
            find_checkpoint(self.run.checkpoints, self.say) if self.world.first else None
        )
        if found is None:
            return set()
        path, self.progress.state = found
        saved, configured = len(self.progress.state.schedule), len(self.progress.stages)
        if saved != configured:
            raise RunError(
                f"{path} has {saved} stages, but config.toml makes {configured}.",
                "Put the options back as they were, or train anew with --config.",
            )
        if self.world.first:
            set_aside_newer(self.run.checkpoints, path)
        self.data.seek(self.progress.state.images)
        self._apply_schedule()
        build(self.model, self.progress.state.stage)
        fill(self.model, read_weights(path), path)
        load_training(path, self.model, self.generator)
        return set(range(self.progress.state.stage + 1))


def build(model: GanModel, last_stage: int) -> None:
    """Enter the stages up to `last_stage`, so that weights of that point can be loaded."""
    for stage in model.stages()[: last_stage + 1]:
        model.enter(stage)
