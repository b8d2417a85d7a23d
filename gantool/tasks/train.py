"""Training and resuming."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gantool import registry
from gantool.data.batches import Batches
from gantool.data.decode import Pixels
from gantool.data.image import Picture, load_picture, to_uint8
from gantool.data.single_image import FineTuning, SingleImage
from gantool.engine.callbacks import Previews, Sheets
from gantool.engine.checkpoint import read_weights
from gantool.engine.devices import enough_memory, keep_freed_memory, pick_device, versions
from gantool.engine.rundir import RunDir, now
from gantool.engine.trainer import Callback, Trainer
from gantool.engine.world import World, current_world, join_world
from gantool.errors import DataError, RunError, UsageError
from gantool.family import DataShape, FamilySpec
from gantool.files import atomic_write, write_error
from gantool.options import option_infos, write_toml
from gantool.settings import Settings
from gantool.tasks.apart import fit_apart, trains_apart
from gantool.tasks.parts import keep_parts
from gantool.tasks.plan import Plan, plan_training
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run, under_way
from gantool.tasks.training_data import Data, feed, open_data
from gantool.tasks.watch import Reals, Watch

if TYPE_CHECKING:
    from gantool.engine.model import GanModel

AT_ONCE = 64  # real pictures looked at together

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
    """Train a family on a picture or a set of them, in a new run directory.

    In a process that torchrun started, families of sets train together with the other processes.

    Args:
        family, data, preset, config, sets, out, name, background: see `plan_training`.
        callbacks, stop, say: see `gantool.engine.trainer.Trainer`.
        options: any option of the family or of `gantool.settings.Settings`, by name.

    Returns:
        The finished run.

    Raises:
        GantoolError: bad data, options, a full disk, divergence (exit codes in the class), an interruption.
    """
    with together(family):
        plan = plan_training(
            family, data, preset=preset, config=config, sets=sets, options=options, out=out, name=name,
            background=background, estimate=False, say=say,
        )  # fmt: skip
        if plan.settings.config.devices != max(current_world().size, 1):
            raise UsageError(
                f"{plan.settings.config.devices} devices are as many processes; this is one of {current_world().size}.",
                "Start the processes with torchrun, or use the command line's --devices.",
            )
        return start(plan, callbacks=callbacks, stop=stop, say=say)


@contextmanager
def together(family: str) -> Iterator[World]:
    """Inside, this process is one of those that torchrun started, if the family trains that way."""
    if registry.get(family).data == "image":  # whose pictures are shared instead: each process trains its own
        yield World()
    else:
        with join_world() as world:
            yield world


def start(
    plan: Plan,
    *,
    callbacks: Sequence[Callback] = (),
    stop: Callable[[], bool] = lambda: False,
    say: Say = _quiet,
    created: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Carry out a plan. `created` is told the run directory before the first step."""
    world = current_world()
    made = world.broadcast_object(_begin(plan) if world.first else None)
    assert made is not None
    run = Run(RunDir(made))
    created(run)
    return fit(run, plan.source, str(plan.device), callbacks, stop, say)


def _begin(plan: Plan) -> Path:
    """A new run directory, complete but for what training writes."""
    seed, origins = plan.settings.config.seed, {**plan.options.origins, **plan.settings.origins}
    data = {**plan.source.describe(), "background": plan.background}
    info = first_info(plan.name, plan.preset, seed, str(plan.device), origins, data, plan.shape)
    info["stages"] = [stage.name for stage in plan.stages]
    run = RunDir.create(plan.out, plan.spec.name, plan.name, info)
    if isinstance(plan.source, SingleImage):
        keep_input(plan.source.source.path, run.path)
    keep_parts(plan.parts, run.path)
    write_config(run, plan.spec, plan.preset, plan.options.config, plan.settings.config)
    return run.path


def first_info(
    name: str,
    preset: str | None,
    seed: int | None,
    device: str,
    origins: Mapping[str, str],
    data: Mapping[str, Any],
    shape: DataShape,
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
        "shape": shape.plain(),
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
    with together(found.spec.name):
        return fit(found, source_of(found, say), device or str(found.info["device"]), callbacks, stop, say)


def source_of(run: Run, say: Say = _quiet) -> Data:
    """What a run trains on: the picture from its own directory, or the set from where it was.

    Raises:
        RunError: the copy of the picture, or the model that a tuned run begins with, is gone.
        DataError: the copy, or the set, has been changed.
    """
    if run.spec.data == "set":
        return _set_of(run, say)
    source = SingleImage(kept_picture(run, "input", run.info["data"]))
    if "parent" not in run.info:
        return source
    parent = run.path.parents[2]
    guide = run.info.get("guide")
    return FineTuning(
        source.source,
        read_weights(parent / "checkpoints" / run.info["parent"]["checkpoint"]),
        kept_picture(run, "guide", guide) if guide else None,
    )


def _set_of(run: Run, say: Say) -> Data:
    data = run.info["data"]
    opened = open_data(run.spec, run.config, data["path"], data.get("background", "white"), run.settings.seed or 0, say)
    if opened.describe()["sha256"] != data["sha256"]:
        raise DataError(
            f"The pictures in {data['path']} are not those that this run began with.",
            "Put those back; or train anew on these.",
        )
    return opened


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
    source: Data,
    device: str,
    callbacks: Sequence[Callback],
    stop: Callable[[], bool],
    say: Say,
) -> Run:
    """Train what is left of a run whose directory is complete, and write down how it ended."""
    if trains_apart(run):

        def piece(part: Run) -> Run:
            return fit(part, source_of(part), device, callbacks, stop, say)

        def looks(model: GanModel) -> list[Callback]:
            return observers(run, model.to(pick_device(device)), source, say)

        with closing(source):
            return fit_apart(run, piece, looks, stop, say)
    keep_freed_memory()
    world = current_world()
    with run.dir.lock() if world.first else nullcontext(), closing(source), under_way(run, world.first):
        try:
            model = run.new_model(pick_device(device))
            data = feed(run.spec, source, model.device)
            watchers = [*observers(run, model, source, say), *callbacks] if world.first else []
            with enough_memory(run.spec.memory_hint):
                Trainer(model, data, run.dir, run.settings, watchers, stop, say, world).fit()
        finally:
            keep_freed_memory(False)
    return Run(run.dir)


def observers(run: Run, model: GanModel, source: Data, say: Say) -> list[Callback]:
    """What draws, measures and warns while a model trains."""
    found: list[Callback] = [Previews(run.dir, say)]
    if isinstance(source, Batches):
        every = run.settings.preview_every
        found.append(Sheets(run.dir, model, every, say))
        if model.complete or "sample" not in run.spec.tasks:
            reals = reals_of(source, model) if model.complete else None
            found.append(Watch(run.dir, model, reals, say, every))
    return [*found, *scores(run, model, source, say)]


def reals_of(source: Batches, model: GanModel) -> Reals:
    """Pictures of the set, as many as are asked for, as the model sees them, and their labels."""

    def reals(count: int) -> tuple[Pixels, Any]:
        indices, labels = source.spread(count)
        pictures = source.pictures(indices)
        for start in range(0, len(pictures), AT_ONCE):
            part = pictures[start : start + AT_ONCE]
            part[:] = to_uint8(model.seen(torch.from_numpy(part).permute(0, 3, 1, 2) / 127.5 - 1))
        return pictures, labels

    return reals


def scores(run: Run, model: GanModel, source: Data, say: Say) -> list[Callback]:
    """What measures the model while it trains, where that is asked for."""
    found: list[Callback] = []
    if getattr(run.config, "val", ""):
        from gantool.tasks.evaluate.validation import Validation

        found.append(Validation(run, model, run.config.val, run.settings.preview_every, say))
    if run.settings.eval:
        from gantool.tasks.evaluate.during import Scores  # brings torchvision and SciPy, which take seconds

        found.append(Scores(run, model, source, run.settings, say))
    return found
