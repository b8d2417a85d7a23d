"""Trained runs that another run takes in, as LAPGAN does with levels: found, checked, copied, put in their places."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gantool.engine.checkpoint import find_checkpoint, read_newest
from gantool.engine.rundir import RunDir
from gantool.errors import RunError, UsageError
from gantool.files import write_error
from gantool.tasks.runs import Run, open_run

FOLDER = "parts"


def find_parts(
    config: Any, out: str | Path, classes: Sequence[str], say: Callable[[str], None] = lambda _: None
) -> dict[int, Run]:
    """The runs that these options name, by the place that they take.

    Args:
        config: of a family; only some have `parts`, "FAMILY:RUN" by place.
        out: where runs live.
        classes: names of the classes to be trained on.
        say: is told of runs that are not finished.

    Raises:
        RunError: no such run, or it has no checkpoint.
        UsageError: it is of another family, or knows other classes.
    """
    found: dict[int, Run] = {}
    for place, reference in getattr(config, "parts", {}).items():
        family, _, name = reference.partition(":")
        run = open_run(name, out)
        if run.spec.name != family:
            raise UsageError(
                f"{run.id} is a run of {run.spec.name}, not of {family}.", f"Write {run.spec.name}:{name}."
            )
        if find_checkpoint(run.dir.checkpoints) is None:
            raise RunError(f"{run.id} has no checkpoint yet.", f"Train it with: gantool resume {run.path}")
        theirs = (run.info.get("data") or {}).get("classes") or []
        if classes and theirs and list(theirs) != list(classes):
            raise UsageError(
                f"{run.id} was trained on other classes: {', '.join(map(str, theirs[:6]))}.",
                "Take a run of the same data, or --labels none.",
            )
        if (status := run.dir.status()) != "finished":
            say(f"{run.id} is taken as it is now: {status}.")
        found[place] = run
    return found


def keep_parts(parts: Mapping[int, Run], folder: Path) -> None:
    """Copy what the parts need into a run's folder, so that it never depends on the others."""
    for place, run in parts.items():
        target = folder / FOLDER / str(place)
        try:
            (target / "checkpoints").mkdir(parents=True)
            read_newest(run.dir.checkpoints, partial(_copy, target / "checkpoints"))
            for name in ("run.json", "config.toml"):
                shutil.copyfile(run.path / name, target / name)
            if (run.path / FOLDER).is_dir():
                shutil.copytree(run.path / FOLDER, target / FOLDER)
        except OSError as error:
            raise write_error(target, error) from error


def _copy(folder: Path, checkpoint: Path) -> None:
    """Copy a checkpoint into `folder`, whole or not at all."""
    target = folder / checkpoint.name
    try:
        shutil.copytree(checkpoint, target)
    except OSError:
        shutil.rmtree(target, ignore_errors=True)
        raise


def kept_parts(run: Run) -> dict[int, Run]:
    """The parts in a run's own folder. Raises RunError where one is gone."""
    found = {}
    for place in getattr(run.config, "parts", {}):
        path = run.path / FOLDER / str(place)
        if not (path / "run.json").is_file():
            raise RunError(f"{run.path} has lost {FOLDER}/{place}.", "Restore it from a copy, or train anew.")
        found[place] = Run(RunDir(path))
    return found
