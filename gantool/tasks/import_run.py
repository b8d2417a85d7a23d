"""Making a run of a model that was trained elsewhere."""

from __future__ import annotations

import hashlib
import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gantool import registry
from gantool.data.image import png_bytes
from gantool.data.imported import Imported
from gantool.engine.callbacks import Previews
from gantool.engine.checkpoint import State, save_checkpoint
from gantool.engine.devices import enough_memory
from gantool.engine.rundir import RunDir, now
from gantool.engine.trainer import Progress, build
from gantool.errors import ConfigError, DataError, UsageError
from gantool.family import DataShape, FamilySpec, SampleRequest, Translates
from gantool.files import atomic_write
from gantool.options import Resolved, resolve
from gantool.settings import Settings
from gantool.tasks.runs import DEFAULT_OUT, Run, new_model
from gantool.tasks.train import first_info, write_config

if TYPE_CHECKING:
    from torch import Tensor

    from gantool.engine.model import GanModel

ORIGIN = "the files"  # of the options that were read


def importing_families() -> list[str]:
    """Names of the families that read somebody else's models."""
    return [name for name, spec in registry.families().items() if spec.importer]


def import_run(
    family: str,
    folder: str | Path,
    *,
    name: str | None = None,
    out: str | Path = DEFAULT_OUT,
    say: Callable[[str], None] = lambda _: None,
) -> Run:
    """Make a finished run of a model that its authors' code trained. Nothing in the files is executed.

    The run draws and is looked at like any other; all is checked before its directory is made.

    Args:
        family: its name; see `importing_families`.
        folder: as the authors' code wrote it; for families of sets, the file of the generator's weights, or its folder.
        name: of the run; None asks the folder.

    Raises:
        UsageError: there is no such family, or it reads nobody's models.
        DataError: the folder is missing, incomplete, damaged, unsafe or of another architecture.
        RunError: the run cannot be written; nothing of it stays.
    """
    spec, folder = registry.get(family), Path(folder)
    if not spec.importer:
        able = importing_families()
        raise UsageError(
            f"{spec.title} reads no models from elsewhere.",
            f"These do: {', '.join(able)}." if able else f"Train one: gantool train {family} {spec.example_data}",
        )
    try:
        found = _reader(spec)(folder)
    except OSError as error:
        raise DataError(f"Cannot read {folder}: {error.strerror or error}.", "Check its permissions.") from error
    try:
        options: Resolved[Any] = resolve(
            spec.config, (f"preset {found.preset}", spec.preset(found.preset).values), (ORIGIN, found.values)
        )
    except ConfigError as error:
        raise DataError(f"The model in {folder} is not one of ours: {error.what}", "Import another one.") from error
    with enough_memory(spec.memory_hint):
        model = _filled(spec, options.config, found)
        if not bool(_picture(model, found.shape).isfinite().all()):
            raise DataError(f"The model in {folder} draws numbers that are not finite.", "Import another one.")
    run = _write(spec, options, found, model, folder, name or found.name, Path(out), say)
    for note in found.notes:
        say(note)
    return run


def _reader(spec: FamilySpec) -> Callable[[Path], Imported]:
    module, _, function = spec.importer.partition(":")
    return cast("Callable[[Path], Imported]", getattr(importlib.import_module(module), function))


def _filled(spec: FamilySpec, config: Any, found: Imported) -> GanModel:
    """The model with all its stages entered, holding the tensors that were read."""
    import torch

    model = new_model(spec, config, found.shape, 0, torch.device("cpu"))
    build(model, len(model.stages()) - 1)
    kept = {key: value for key, value in model.state_dict().items() if key.startswith(found.fresh)}
    model.load_state_dict({**kept, **found.tensors})
    return model


def _picture(model: GanModel, shape: DataShape) -> Tensor:
    """One that it makes: of noise, or of a grey one."""
    import torch

    if isinstance(model, Translates):
        return model.translate(torch.zeros(1, shape.given or shape.channels, shape.height, shape.width))
    return model.sample(SampleRequest([0]))


def _write(
    spec: FamilySpec,
    options: Resolved[Any],
    found: Imported,
    model: GanModel,
    folder: Path,
    name: str,
    out: Path,
    say: Callable[[str], None],
) -> Run:
    """The run directory, whole or not at all."""
    picture = None if found.picture is None else png_bytes(found.picture)
    settings = Settings(seed=0)
    data = {
        "kind": "imported",
        "path": str(folder.resolve()),
        "sha256": hashlib.sha256((found.file or folder).read_bytes() if picture is None else picture).hexdigest(),
        **found.shape.plain(),
        "notes": list(found.notes),
        "background": "white",
    }
    info = first_info(name, found.preset, settings.seed, "cpu", options.origins, data, found.shape)
    directory = RunDir.create(out, spec.name, name, info)
    try:
        with directory.lock():
            if picture is not None:
                atomic_write(directory.path / "input.png", picture)
            write_config(directory, spec, found.preset, options.config, settings)
            _finish(directory, model, settings.seed or 0, say)
            directory.update(status="finished", ended=now())
    except BaseException:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    return Run(directory)


def _finish(directory: RunDir, model: GanModel, seed: int, say: Callable[[str], None]) -> None:
    """The checkpoint and, where it has pictures to show, the preview that a training would have ended with."""
    import torch

    stages = model.stages()
    schedule = [stage.steps for stage in stages]
    state = State(len(stages) - 1, schedule[-1], schedule, stage_end=True)
    save_checkpoint(directory.checkpoints, model, torch.Generator().manual_seed(seed), state)
    if model.complete or model.rows:
        Previews(directory, say).stage_end(Progress(stages, state), model)
