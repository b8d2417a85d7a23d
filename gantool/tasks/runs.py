"""Runs as objects: find them, look at them, load their models."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gantool import registry
from gantool.engine.rundir import RunDir, all_runs, find_run, now
from gantool.errors import Diverged, Interrupted, RunError
from gantool.family import DataShape, FamilySpec
from gantool.files import read_json
from gantool.options import read_toml, resolve
from gantool.settings import Settings

if TYPE_CHECKING:
    import torch

    from gantool.engine.checkpoint import State
    from gantool.engine.model import GanModel

DEFAULT_OUT = Path("runs")
PIECES = "pieces"  # folder of what is trained apart; see gantool.tasks.apart


@dataclass(frozen=True)
class Run:
    """A run directory with what its files mean."""

    dir: RunDir

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.dir.path

    @property
    def id(self) -> str:
        """Its name."""
        return self.dir.id

    @cached_property
    def info(self) -> dict[str, Any]:
        """run.json as it was when first read."""
        return self.dir.info()

    @property
    def spec(self) -> FamilySpec:
        """Its family. Raises UsageError when that family is not installed any more."""
        return registry.get(str(self.info["family"]))

    @cached_property
    def tables(self) -> dict[str, Any]:
        """config.toml. Raises RunError when the run ended before it was written."""
        if not self.dir.config_file.exists():
            raise RunError(f"{self.path} is incomplete: it has no config.toml.", "Train anew.")
        return read_toml(self.dir.config_file)

    @property
    def config(self) -> Any:
        """The family's options."""
        return resolve(self.spec.config, ("config.toml", self.tables.get("options", {}))).config

    @property
    def settings(self) -> Settings:
        """How it is carried out."""
        return resolve(Settings, ("config.toml", self.tables.get("run", {}))).config

    def new_model(self, device: torch.device) -> GanModel:
        """The model before its first stage, on the device, initialised from the run's seed."""
        from gantool.tasks.parts import kept_parts

        shape, seed = DataShape.of(self.info["shape"]), self.settings.seed or 0
        return new_model(self.spec, self.config, shape, seed, device, kept_parts(self))

    @property
    def complete(self) -> bool:
        """Whether its model draws from noise alone."""
        import torch

        return self.new_model(torch.device("cpu")).complete

    def state(self) -> State | None:
        """Where its newest checkpoint stands; None before the first."""
        from gantool.engine.checkpoint import find_checkpoint

        found = find_checkpoint(self.dir.checkpoints)
        return found[1] if found else None

    def load(self, device: str = "auto", say: Callable[[str], None] = lambda _: None) -> GanModel:
        """The trained model, ready to sample; of a run under way, as its newest checkpoint has it.

        Raises:
            RunError: there is no checkpoint yet, or it cannot be read.
        """
        from gantool.engine.checkpoint import fill, read_newest, read_weights
        from gantool.engine.devices import pick_device
        from gantool.engine.trainer import build

        found = read_newest(self.dir.checkpoints, read_weights, say)
        if found is None:
            raise RunError(f"{self.id} has no checkpoint yet.", f"Train it with: gantool resume {self.path}")
        weights, state = found
        model = self.new_model(pick_device(device))
        build(model, state.stage)
        fill(model, weights, self.path)
        stages = model.stages()
        if len(stages) - state.stage - int(state.stage_end):
            say(f"{self.id} is not finished: using it as it was at {stages[state.stage].name}.")
        return model

    def summary(self) -> dict[str, Any]:
        """One row of `gantool runs`, with plain values; reads no weights and imports no torch."""
        info = self.info
        row = {key: info.get(key) for key in ("id", "family", "preset", "started", "ended")}
        row |= {"path": str(self.path), "status": self.dir.status(), "name": info.get("name")}
        row |= {"picture": (info.get("data") or {}).get("path"), "steps": 0, "steps_planned": None}
        row["seconds"] = 0.0
        with contextlib.suppress(RunError, KeyError, TypeError):
            folder = self.dir.checkpoints
            state = read_json(folder / read_json(folder / "latest.json")["name"] / "state.json")
            schedule: list[int] = state["schedule"]
            row["steps"] = sum(schedule[: state["stage"]]) + int(state["step"])
            row["steps_planned"] = sum(schedule)
            row["seconds"] = round(float(state["seconds"]), 1)
            return row
        pieces = [Run(RunDir(file.parent)).summary() for file in self.path.glob(f"{PIECES}/*/run.json")]
        for name in ("steps", "seconds") if pieces else ():  # not put together yet
            row[name] = round(sum(piece[name] for piece in pieces), 1)
        return row


def new_model(
    spec: FamilySpec,
    config: Any,
    shape: DataShape,
    seed: int,
    device: torch.device,
    parts: Mapping[int, Run] = MappingProxyType({}),
) -> GanModel:
    """A family's model, initialised from `seed` without touching the global random state.

    `parts` are trained runs that it takes in, by place. Raises UsageError where one does not fit.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = spec.model_class()(config, shape)
    for place, run in parts.items():
        model.adopt(place, run.load("cpu"))
    return model.to(device)


@contextmanager
def under_way(run: Run, writes: bool) -> Iterator[None]:
    """Inside, the run is trained; afterwards run.json says how that ended. Only a process that `writes` does so."""
    if writes:
        run.dir.update(status="running", ended=None)
    status = "failed"
    try:
        yield
        status = "finished"
    except (Interrupted, KeyboardInterrupt):
        status = "interrupted"
        raise
    except Diverged:
        status = "diverged"
        raise
    finally:
        if writes:
            try:
                run.dir.update(status=status, ended=now())
            except RunError:  # a full disk: the error under way says more
                if status == "finished":
                    raise


def open_run(reference: str | Path | Run, out: str | Path = DEFAULT_OUT) -> Run:
    """A run by path, id prefix or `latest`. Raises RunError when none or several fit."""
    return reference if isinstance(reference, Run) else Run(find_run(str(reference), Path(out)))


def runs(out: str | Path = DEFAULT_OUT) -> list[Run]:
    """All runs under `out`, oldest first."""
    return [Run(found) for found in all_runs(Path(out))]
