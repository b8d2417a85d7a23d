"""Runs that go on from another run: one part of its model trained further, for one task.

A tuned run lives inside its parent, in tuned/FAMILY/ID, with the parent's options changed in a few places; it is found
again and reused when the same is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gantool.data.image import Pixels, png_bytes
from gantool.engine.checkpoint import find_checkpoint
from gantool.engine.devices import pick_device
from gantool.engine.rundir import RunDir, all_runs
from gantool.engine.trainer import Callback
from gantool.errors import GantoolError, RunError
from gantool.family import DataShape
from gantool.files import atomic_write
from gantool.options import resolve
from gantool.settings import Settings
from gantool.tasks.runs import Run
from gantool.tasks.train import first_info, fit, keep_input, kept_picture, resume, source_of, write_config

FOLDER = "tuned"


def tune(
    parent: Run,
    name: str,
    options: Mapping[str, Any],
    *,
    guide: Pixels | None = None,
    device: str = "auto",
    seed: int | None = None,
    callbacks: Sequence[Callback] = (),
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _: None,
    created: Callable[[Run], None] = lambda _: None,
) -> Run:
    """The parent's model with `options` changed and trained on: the run that exists already, else a new one.

    Args:
        parent: a finished run.
        name: of the new run.
        options: of the family, by name, in place of the parent's.
        guide: a second picture (H, W, 3) that the training needs.
        seed: None takes the parent's.
        created: told the run before the first step, if there is one to take.

    Raises:
        RunError: the parent is not finished.
        ConfigError: options that do not fit.
    """
    if parent.dir.status() != "finished":
        raise RunError(f"{parent.id} is not finished.", f"Go on with it first: gantool resume {parent.path}")
    if "parent" in parent.info:
        raise RunError(f"{parent.id} was itself tuned.", f"Name the run that it came from: {parent.path.parents[2]}")
    found = find_checkpoint(parent.dir.checkpoints, say)
    if found is None:
        raise RunError(f"{parent.id} has no checkpoint.", "Train it anew.")
    checkpoint, drawn = found[0].name, None if guide is None else png_bytes(guide)
    digest = None if drawn is None else hashlib.sha256(drawn).hexdigest()
    layers = [("config.toml", parent.tables.get("options", {})), (name, options)]
    config: Any = resolve(parent.spec.config, *layers).config
    settings = resolve(
        Settings, ("config.toml", parent.tables.get("run", {})), ("", {"seed": seed} if seed is not None else {})
    ).config
    while (run := _existing(parent, config, settings, checkpoint, digest)) is not None:
        if run.dir.status() == "diverged":
            say(f"{run.path} diverged: another seed is taken.")
            settings = replace(settings, seed=(settings.seed or 0) + 1)
        else:
            if run.dir.status() == "finished":
                say(f"Using what was tuned before: {run.path}")
                return run
            created(run)
            say(f"Going on with {run.path}")
            return resume(run, device=device, callbacks=callbacks, stop=stop, say=say)
    origins = {**parent.info.get("origins", {}), **{option: f"tuned for {name}" for option in options}}
    data, shape, preset = parent.info["data"], DataShape.of(parent.info["shape"]), parent.info.get("preset")
    info = first_info(name, preset, settings.seed, str(pick_device(device)), origins, data, shape)
    info["parent"] = {"id": parent.id, "checkpoint": checkpoint}
    if digest is not None:
        info["guide"] = {"sha256": digest}
    run = _create(parent, name, info, config, settings, drawn)
    created(run)
    return fit(run, source_of(run), str(run.info["device"]), callbacks, stop, say)


def _existing(parent: Run, config: Any, settings: Settings, checkpoint: str, guide: str | None) -> Run | None:
    runs = map(Run, all_runs(parent.path / FOLDER))
    return next((run for run in runs if _is(run, config, settings, checkpoint, guide)), None)


def _is(run: Run, config: Any, settings: Settings, checkpoint: str, guide: str | None) -> bool:
    """Whether a tuned run is what is asked for. One whose making was cut short is nothing."""
    with contextlib.suppress(GantoolError, LookupError, TypeError):
        same = run.config == config and run.settings.seed == settings.seed
        kept = (run.info.get("guide") or {}).get("sha256")
        return same and run.info["parent"]["checkpoint"] == checkpoint and kept == guide
    return False


def _create(parent: Run, name: str, info: dict[str, Any], config: Any, settings: Settings, guide: bytes | None) -> Run:
    """Its directory, with options and picture."""
    run = Run(RunDir.create(parent.path / FOLDER, parent.spec.name, name, info))
    keep_input(kept_picture(parent, "input", parent.info["data"]).path, run.path)
    if guide is not None:
        atomic_write(run.path / "guide.png", guide)
    write_config(run.dir, parent.spec, str(parent.info.get("preset")), config, settings)
    return run
