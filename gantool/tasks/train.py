"""Training and resuming."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from gantool.data.image import Picture, load_picture
from gantool.data.single_image import FineTuning, SingleImage
from gantool.engine.callbacks import Previews
from gantool.engine.devices import enough_memory, keep_freed_memory, pick_device, versions
from gantool.engine.rundir import RunDir, now
from gantool.engine.trainer import Callback, Trainer
from gantool.errors import DataError, Diverged, Interrupted, RunError
from gantool.family import FamilySpec
from gantool.files import atomic_write, write_error
from gantool.options import option_infos, write_toml
from gantool.settings import Settings
from gantool.tasks.plan import Plan, plan_training
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run

if TYPE_CHECKING:
    import torch

    from gantool.engine.model import GanModel

Say = Callable[[str], None]


def _quiet(sentence: str) -> None:
    """Say nothing."""


def train(
    family: str,
    data: str | Path,
    *,
    preset: str | None = None,
    config: str | Path | None = None,
    sets: Sequence[str] = (),
    out: str | Path = DEFAULT_OUT,
    name: str | None = None,
    background: str = "white",
    callbacks: Sequence[Callback] = (),
    stop: Callable[[], bool] = lambda: False,
    say: Say = _quiet,
    **options: Any,
) -> Run:
    """Train a family on a picture, in a new run directory.

    Args:
        family, data, preset, config, sets, out, name, background: see `plan_training`.
        callbacks, stop, say: see `gantool.engine.trainer.Trainer`.
        options: any option of the family or of `gantool.settings.Settings`, by name.

    Returns:
        The finished run.

    Raises:
        GantoolError: bad data, options, a full disk, divergence (exit codes in the class), an interruption.
    """
    plan = plan_training(
        family, data, preset=preset, config=config, sets=sets, options=options, out=out, name=name,
        background=background, estimate=False,
    )  # fmt: skip
    return start(plan, callbacks=callbacks, stop=stop, say=say)


def start(
    plan: Plan,
    *,
    callbacks: Sequence[Callback] = (),
    stop: Callable[[], bool] = lambda: False,
    say: Say = _quiet,
    created: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Carry out a plan. `created` is told the run directory before the first step."""
    seed, origins = plan.settings.config.seed, {**plan.options.origins, **plan.settings.origins}
    data = {**plan.source.describe(), "background": plan.background}
    info = first_info(plan.name, plan.preset, seed, str(plan.device), origins, data, vars(plan.source.shape))
    run = Run(RunDir.create(plan.out, plan.spec.name, plan.name, info))
    keep_input(plan.source.source.path, run.path)
    write_config(run.dir, plan.spec, plan.preset, plan.options.config, plan.settings.config)
    created(run)
    return fit(run, plan.source, str(plan.device), callbacks, stop, say)


def first_info(
    name: str,
    preset: str | None,
    seed: int | None,
    device: str,
    origins: Mapping[str, str],
    data: Mapping[str, Any],
    shape: Mapping[str, int],
) -> dict[str, Any]:
    """What run.json says of a run that begins. Values at their default have no origin there."""
    return {
        "name": name,
        "preset": preset,
        "status": "running",
        "started": now(),
        "ended": None,
        "seed": seed,
        "device": device,
        "versions": versions(),
        "origins": {k: v for k, v in origins.items() if v != "default"},
        "data": dict(data),
        "shape": dict(shape),
    }


def write_config(run: RunDir, spec: FamilySpec, preset: str, config: Any, settings: Settings) -> None:
    """config.toml, the last of what a run begins with: without it a run is incomplete, and nobody goes on with it."""
    tables = {
        "": {"family": spec.name, "preset": preset},
        "options": _with_none(spec, preset, config),
        "run": asdict(settings),
    }
    atomic_write(run.config_file, write_toml(tables).encode())


def _with_none(spec: FamilySpec, preset: str, config: Any) -> dict[str, Any]:
    """The options as config.toml takes them: "none" where an option has no value although its preset or its
    default has one, which would otherwise come back."""
    below = {info.name: info.default for info in option_infos(spec.config)}
    below |= spec.presets[preset].values if preset in spec.presets else {}
    return {name: "none" if v is None and below[name] is not None else v for name, v in asdict(config).items()}


def keep_input(picture: Path, folder: Path, name: str = "input") -> None:
    """Copy the picture's file, so that the run never depends on the user's."""
    try:
        shutil.copyfile(picture, folder / f"{name}{picture.suffix.lower()}")
    except OSError as error:
        raise write_error(folder / name, error) from error


def resume(
    run: str | Path | Run,
    *,
    out: str | Path = DEFAULT_OUT,
    device: str | None = None,
    callbacks: Sequence[Callback] = (),
    stop: Callable[[], bool] = lambda: False,
    say: Say = _quiet,
) -> Run:
    """Go on with a run from its newest checkpoint, exactly as if it had not stopped.

    Args:
        run: path, id prefix, `latest` or a Run.
        device: another device than the run's own; the result then differs in rounding.

    Raises:
        RunError: no such run, or it is being trained right now.
    """
    found = open_run(run, out)
    if found.dir.status() == "finished":
        say(f"{found.id} is finished already.")
        return found
    if found.info["data"]["kind"] == "imported":
        raise RunError(f"The import of {found.id} was cut short.", "Delete its folder, and import it again.")
    _ = found.tables  # first: a run without options says so in its own words
    return fit(found, source_of(found), device or str(found.info["device"]), callbacks, stop, say)


def source_of(run: Run) -> SingleImage:
    """What a run trains on, from its own directory.

    Raises:
        RunError: the copy of the picture, or the model that a tuned run begins with, is gone.
        DataError: the copy has been changed.
    """
    source = SingleImage(kept_picture(run, "input", run.info["data"]))
    if "parent" not in run.info:
        return source
    parent = run.path.parents[2]
    guide = run.info.get("guide")
    return FineTuning(
        source.source,
        weights_of(parent / "checkpoints" / run.info["parent"]["checkpoint"]),
        kept_picture(run, "guide", guide) if guide else None,
    )


def weights_of(checkpoint: Path) -> Mapping[str, torch.Tensor]:
    """The model's tensors of a checkpoint. Raises RunError where it cannot be read."""
    try:
        return load_file(checkpoint / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise RunError(f"{checkpoint} cannot be read: {error}", "Restore it from a copy, or tune anew.") from error


def kept_picture(run: Run, name: str, data: Mapping[str, Any]) -> Picture:
    """The copy `name` of a picture in a run, compared with what `data` of run.json says of it."""
    kept = sorted(run.path.glob(f"{name}.*")) or sorted(run.path.glob(name))
    if not kept:
        raise RunError(f"{run.path} has lost its copy of the picture.", f"Put it back as {name}.png, or train anew.")
    picture = load_picture(kept[0], background=data.get("background", "white"))
    if picture.sha256 != data["sha256"]:
        raise DataError(f"{kept[0]} is not the picture that this run began with.", "Put that one back.")
    return picture


def fit(
    run: Run,
    source: SingleImage,
    device: str,
    callbacks: Sequence[Callback],
    stop: Callable[[], bool],
    say: Say,
) -> Run:
    """Train what is left of a run whose directory is complete, and write down how it ended."""
    keep_freed_memory()
    with run.dir.lock():
        run.dir.update(status="running", ended=None)
        status = "failed"
        try:
            model = run.new_model(pick_device(device))
            watchers = [Previews(run.dir, say), *scores(run, model, say), *callbacks]
            with enough_memory(run.spec.memory_hint):
                Trainer(model, source, run.dir, run.settings, watchers, stop, say).fit()
            status = "finished"
        except (Interrupted, KeyboardInterrupt):
            status = "interrupted"
            raise
        except Diverged:
            status = "diverged"
            raise
        finally:
            keep_freed_memory(False)
            _set_status(run, status)
    return Run(run.dir)


def scores(run: Run, model: GanModel, say: Say) -> list[Callback]:
    """What measures the model while it trains, where that is asked for."""
    if not run.settings.eval:
        return []
    from gantool.tasks.evaluate.during import Scores  # brings torchvision and SciPy, which take seconds

    return [Scores(run, model, run.settings, say)]


def _set_status(run: Run, status: str) -> None:
    try:
        run.dir.update(status=status, ended=now())
    except RunError:  # a full disk: the error under way says more
        if status == "finished":
            raise
