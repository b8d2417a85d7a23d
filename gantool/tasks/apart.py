"""Training pieces of a model apart, each in a process of its own, as LAPGAN's levels can be; and putting them together.

Each piece is a run of its own in RUN/pieces/PLACE, so it is saved, resumed and logged like any other.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gantool.engine.checkpoint import State, find_checkpoint, save_checkpoint
from gantool.engine.rundir import METRICS, WATCH, RunDir
from gantool.engine.trainer import Progress
from gantool.engine.world import alone, current_world
from gantool.errors import Diverged, GantoolError, Interrupted, RunError, UsageError
from gantool.files import write_error, write_json
from gantool.tasks.runs import PIECES, Run, under_way
from gantool.tasks.training_data import shares_batches

if TYPE_CHECKING:
    from gantool.engine.model import GanModel, Stage
    from gantool.engine.trainer import Callback

FOLDER = PIECES
KINDS: dict[str, type[GantoolError]] = {"diverged": Diverged, "interrupted": Interrupted}
"""The error that a piece's end is in the process that waits for it, so that all processes end with the same code."""
LOOK = 0.5  # seconds between looks at the pieces of other processes

Train = Callable[[Run], Any]
Looks = Callable[["GanModel"], Sequence["Callback"]]


def trains_apart(run: Run) -> bool:
    """Whether its pieces are, or have been, shared among processes; where not, each batch is.

    Raises:
        UsageError: they are to be, and the run was begun as a whole.
    """
    if (run.path / FOLDER).is_dir():
        return True
    if current_world().size <= 1 or shares_batches(run.config):
        return False
    if find_checkpoint(run.dir.checkpoints) is not None:
        raise UsageError(f"{run.id} was begun in one process, as a whole.", "Go on with it so: leave --devices out.")
    return True


def fit_apart(run: Run, train: Train, looks: Looks, stop: Callable[[], bool], say: Callable[[str], None]) -> Run:
    """Train what is left of this process's pieces; the first process waits for the others and puts all together.

    Args:
        train: finishes a run in this process alone.
        looks: what draws, measures and warns, of the whole model.

    Raises:
        Interrupted: `stop` said so.
        RunError: a piece of another process has come to a bad end.
        GantoolError: whatever training raises.
    """
    import torch

    world = current_world()
    with run.dir.lock() if world.first else nullcontext():
        stages = run.new_model(torch.device("cpu")).stages()
        taken = shares([stage.cost * stage.steps for stage in stages], world.size)
        pieces = _pieces(run, stages, taken, make=world.first)
        world.barrier()
        with under_way(run, world.first):
            try:
                for index in taken[world.rank]:
                    piece = pieces[index]
                    if piece.dir.status() != "finished":
                        say(f"This process trains {stages[index].name}; it is {world.rank + 1} of {world.size}.")
                        with alone():
                            train(piece)
                if world.first:
                    _wait(pieces, stop, say)
                    _put_together(run, pieces, looks)
            except Interrupted as error:
                where = shlex.quote(str(run.path))
                raise Interrupted("Stopped and saved.", f"Resume with: gantool resume {where}") from error
    return Run(run.dir)


def shares(costs: Sequence[float], processes: int) -> list[list[int]]:
    """Which process takes which pieces: the costliest first, each to the one with least to do."""
    found: list[list[int]] = [[] for _ in range(processes)]
    load = [0.0] * processes
    for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        least = load.index(min(load))
        found[least].append(index)
        load[least] += costs[index]
    return found


def _pieces(run: Run, stages: Sequence[Stage], taken: Sequence[Sequence[int]], *, make: bool) -> list[Run]:
    """The runs of the pieces, which the first process makes; `taken` is what each process takes of the stages.

    What measures is left to the whole. A time limit is shared by the pieces of a process, by what they cost. What
    ended an earlier session is forgotten: from now on a piece waits until somebody trains it.
    """
    from gantool.tasks.train import write_config

    found, costs = [], [stage.cost * stage.steps for stage in stages]
    for index, (place, values) in enumerate(run.config.pieces().items()):
        path = run.path / FOLDER / str(place)
        found.append(Run(RunDir(path)))
        if not make:
            continue
        if (path / "config.toml").exists():
            if found[-1].dir.status() != "finished":
                found[-1].dir.update(status="waiting")
            continue
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        info = {**run.dir.info(), "id": f"level {place}", "status": "waiting", "stages": [stages[index].name]}
        write_json(path / "run.json", info)
        settings = replace(run.settings, devices=1, eval="")
        if settings.max_time:
            together = next(sum(costs[i] for i in mine) for mine in taken if index in mine)
            settings = replace(settings, max_time=settings.max_time * costs[index] / together)
        write_config(RunDir(path), run.spec, str(run.info["preset"]), replace(run.config, **values), settings)
    return found


def _wait(pieces: Sequence[Run], stop: Callable[[], bool], say: Callable[[str], None]) -> None:
    """Until every piece is finished. A process that ends without a word ends all, by way of who started them.

    Raises:
        Interrupted: `stop` said so.
        GantoolError: a piece has come to a bad end.
    """
    missing = [piece.info["id"] for piece in pieces if piece.dir.status() != "finished"]
    if missing:
        say(f"Other processes are still at {', '.join(missing)}.")
    for piece in pieces:
        while (status := piece.dir.status()) != "finished":
            if stop():
                raise Interrupted("Stopped.")
            if status not in ("waiting", "running"):
                raise KINDS.get(status, RunError)(
                    f"Piece {piece.id} of the training has ended: {status}.",
                    f"Look into {piece.path}; then `gantool resume` the whole run.",
                )
            time.sleep(LOOK)


def _put_together(run: Run, pieces: Sequence[Run], looks: Looks) -> None:
    """One checkpoint with every piece in its place, one log of each kind, and a look at the whole."""
    import torch

    model = run.new_model(torch.device("cpu"))
    stages = model.stages()
    for stage in stages:
        model.enter(stage)
    state = State(stage=len(stages) - 1, stage_end=True)
    for index, piece in enumerate(pieces):
        trained, found = piece.load("cpu"), piece.state()
        assert found is not None
        model.adopt(int(piece.path.name), trained)
        before = {"total": sum(state.schedule), "seconds": state.seconds, "images": state.images}
        for file, entries in ((METRICS, piece.dir.metrics()), (WATCH, piece.dir.watched())):
            for entry in entries:
                moved = {name: round(entry[name] + value, 3) for name, value in before.items() if name in entry}
                run.dir.log({**entry, **moved, "stage": index}, file)
        state.schedule += found.schedule
        state.seconds += found.seconds
        state.images += found.images
    state.step = state.schedule[-1]
    model.optimizers = {}  # they have done their work
    save_checkpoint(run.dir.checkpoints, model, torch.Generator().manual_seed(run.settings.seed or 0), state)
    fitted = [replace(stage, steps=steps) for stage, steps in zip(stages, state.schedule, strict=True)]
    progress = Progress(fitted, state)
    for callback in looks(model):  # as after the last step of any training
        callback.step(progress)
        callback.stage_end(progress, model)
        callback.run_end(progress, model)
