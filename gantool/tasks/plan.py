"""What a training would be: everything settled and estimated, nothing touched."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from gantool import registry
from gantool.data.single_image import SingleImage
from gantool.engine.devices import enough_memory, pick_device
from gantool.engine.world import current_world
from gantool.errors import ConfigError, DataError, UsageError
from gantool.family import DataShape, FamilySpec, Injects
from gantool.options import Resolved, parse_sets, read_toml, resolve
from gantool.settings import Settings
from gantool.tasks.apart import shares
from gantool.tasks.parts import find_parts
from gantool.tasks.runs import DEFAULT_OUT, Run, new_model
from gantool.tasks.training_data import Data, Say, check_settings, feed, open_data, shape_of, shares_batches

if TYPE_CHECKING:
    import torch

    from gantool.engine.model import Context, GanModel, Stage
    from gantool.engine.trainer import Source

TIMED = 4  # steps of a stage, where they are quick: an even number, for some penalties come every second step
SETTING_NAMES = frozenset(f.name for f in fields(Settings))


@dataclass(frozen=True)
class Plan:
    """A training that is ready to start.

    Attributes:
        options, settings: checked, with the origin of every value.
        stages: with steps as configured.
        step_seconds: per stage, estimated from a few timed steps; empty when it was not asked for.
        networks: parameters by network.
        checkpoint: bytes of the largest checkpoint, roughly: weights, buffers and Adam's two moments.
        injection_scales: those of the finished model; empty where it takes no pictures in.
        parts: trained runs that it takes in, by their place.
        stage_options: the options that hold in each stage.
    """

    spec: FamilySpec
    preset: str
    options: Resolved[Any]
    settings: Resolved[Settings]
    source: Data
    background: str
    device: torch.device
    stages: list[Stage]
    networks: dict[str, int]
    checkpoint: int
    step_seconds: list[float]
    out: Path
    name: str
    injection_scales: tuple[int, ...] = ()
    parts: Mapping[int, Run] = field(default_factory=dict)
    stage_options: Sequence[Any] = ()

    @property
    def shape(self) -> DataShape:
        """What the model is told of the data."""
        return shape_of(self.spec, self.source)

    @property
    def picture(self) -> SingleImage:
        """The data of a family that trains on one picture."""
        assert isinstance(self.source, SingleImage)
        return self.source

    @property
    def seconds(self) -> float:
        """Estimated time of the whole training, without a time limit."""
        return self._longest([s.steps * t for s, t in zip(self.stages, self.step_seconds, strict=True)])

    @property
    def least_seconds(self) -> float:
        """Estimated time of the shortest schedule that a time limit can lead to."""
        from gantool.engine.budget import PROBE

        return self._longest([min(s.steps, PROBE) * t for s, t in zip(self.stages, self.step_seconds, strict=True)])

    @property
    def sharing(self) -> int:
        """How many processes share the stages among them; 1 where each goes through all."""
        if self.spec.data == "image" or shares_batches(self.options.config):
            return 1
        return max(self.settings.config.devices, current_world().size)

    def _longest(self, times: Sequence[float]) -> float:
        """Of stages that take these times: all of them, or those of the process that is the last to end."""
        taken = shares([stage.cost * stage.steps for stage in self.stages], self.sharing)
        return max(sum(times[i] for i in mine) for mine in taken)

    @property
    def memory(self) -> float:
        """Estimated peak, bytes, beside the program itself."""
        return max(s.memory for s in self.stages)

    def seconds_with(self, preset: str) -> float | None:
        """Estimated time with another preset (and its values alone); None where it does not fit the picture."""
        if not self.step_seconds:
            return None
        import torch

        config: Any = resolve(self.spec.config, (preset, self.spec.preset(preset).values)).config
        try:
            shape = (
                self.shape if self.spec.data == "image" else replace(self.shape, height=config.size, width=config.size)
            )
            model = new_model(self.spec, config, shape, 0, torch.device("cpu"))
        except DataError:  # a picture that this preset makes too small
            return None
        unit = self.seconds / sum(s.steps * s.cost for s in self.stages)
        return unit * sum(s.steps * s.cost for s in model.stages())


def plan_training(
    family: str,
    data: str | Path,
    *,
    preset: str | None = None,
    config: str | Path | None = None,
    sets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    needs: tuple[str, Mapping[str, Any]] = ("", {}),
    out: str | Path = DEFAULT_OUT,
    name: str | None = None,
    background: str = "white",
    estimate: bool = True,
    say: Say = lambda _: None,
) -> Plan:
    """Settle every option and look at the data.

    Args:
        family: its name.
        data: the picture, or the set: see `gantool.data.labelled.open_labelled`.
        preset: None takes the family's for this device.
        config: a TOML file with [options] and [run]; may name a preset.
        sets: "name=value" texts.
        options: values of the family's options and of `Settings`, by name.
        needs: what for, and the family's options that it needs; above the preset, below what the user says.
        background: what transparent pixels are put on.
        estimate: time a few steps of a throw-away model.
        say: takes what is to be known of the data.

    Raises:
        ConfigError, UsageError: options that do not exist or do not fit.
        DataError: the picture cannot be used.
    """
    spec = registry.get(family)
    file = read_toml(Path(config)) if config else {}
    unknown = [key for key in file if key not in ("family", "preset", "options", "run")]
    if unknown:
        raise ConfigError(
            f"{config} has `{unknown[0]}`, which means nothing there.",
            "It may have family, preset, [options] and [run]; see `gantool config init`.",
        )
    if file.get("family", family) != family:
        raise ConfigError(f"{config} is for {file['family']}, not for {family}.", "Name that family instead.")
    flags, set_values = dict(options or {}), parse_sets(sets)
    settings = resolve(
        Settings,
        (str(config), _table(file, "run", config)),
        ("--set", {k: v for k, v in set_values.items() if k in SETTING_NAMES}),
        ("flag", {k: v for k, v in flags.items() if k in SETTING_NAMES}),
    )
    device = pick_device(settings.config.device)
    # A config file that a run wrote lists every option: its preset must not fill in anything.
    preset = str(preset or file.get("preset") or spec.default_preset(device.type != "cpu"))
    chosen: Resolved[Any] = resolve(
        spec.config,
        (f"preset {preset}", spec.preset(preset).values),
        needs,
        (str(config), _table(file, "options", config)),
        ("--set", {k: v for k, v in set_values.items() if k not in SETTING_NAMES}),
        ("flag", {k: v for k, v in flags.items() if k not in SETTING_NAMES}),
    )
    folders = {name: getattr(chosen.config, name) for name in getattr(spec.config, "folders", ())}
    words = ("", *getattr(spec.config, "words", ()))  # that are no paths
    whole = {name: str(Path(folder).resolve()) for name, folder in folders.items() if folder not in words}
    chosen = Resolved(replace(chosen.config, **whole), chosen.origins)
    check_settings(spec, settings.config, chosen.config)
    if settings.config.eval:
        from gantool.tasks.evaluate.during import check_schedule  # brings torchvision and SciPy

        check_schedule(settings.config, spec)
    if settings.config.seed is None:
        import secrets

        seed = current_world().broadcast_object(secrets.randbelow(2**31))
        settings = Resolved(replace(settings.config, seed=seed), {**settings.origins, "seed": "drawn"})
    source = open_data(spec, chosen.config, data, background, settings.config.seed or 0, say)
    shape = shape_of(spec, source)
    with enough_memory(spec.memory_hint):
        classes = getattr(source, "classes", ()) if shape.classes else ()
        parts = find_parts(chosen.config, out, classes, say)
        model = new_model(spec, chosen.config, shape, settings.config.seed or 0, device, parts)
        if model.tunes:
            raise ConfigError(
                "These options go on from a trained model, and there is none here.",
                "Train one first; then `gantool paint --quantize`, or --fine-tune of `gantool harmonize` and `edit`.",
            )
        if settings.config.eval and "sample" not in spec.tasks:
            raise UsageError(
                f"--eval measures what is drawn from noise, and {spec.title} draws nothing from it.",
                "Leave it out; `gantool eval superres` measures what enlarges.",
            )
        if settings.config.eval and not model.complete:
            raise UsageError(
                "--eval draws from noise alone, and this run lacks the coarsest level.", "Leave it out, or train all."
            )
        model.check()
        networks, checkpoint, stages = _grown_sizes(model)
        scales = tuple(model.injection_scales) if isinstance(model, Injects) else ()
        stage_options = [getattr(model.part(stage), "config", chosen.config) for stage in stages]
    plan = Plan(
        spec, preset, chosen, settings, source, background, device, stages, networks, checkpoint,
        [], Path(out), name or source.name, scales, parts, stage_options,
    )  # fmt: skip
    return timed(plan) if estimate else plan


def timed(plan: Plan) -> Plan:
    """The same plan with `step_seconds` measured. Raises MemoryShort when a step does not fit."""
    with enough_memory(plan.spec.memory_hint):
        return replace(plan, step_seconds=time_steps(plan))


def _table(file: Mapping[str, Any], name: str, config: object) -> Mapping[str, Any]:
    table = file.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"[{name}] in {config} is not a table.", "Write it as [options] or [run].")
    return table


def _grown_sizes(model: GanModel) -> tuple[dict[str, int], int, list[Stage]]:
    stages = model.stages()
    for stage in stages:
        model.enter(stage)
    state = sum(value.nbytes for value in model.state_dict().values())
    trained = sum(p.nbytes for opt in model.optimizers.values() for g in opt.param_groups for p in g["params"])
    return model.network_sizes(), state + 2 * trained, stages


def time_steps(plan: Plan, patience: float = 2.0) -> list[float]:
    """Seconds a step of every stage: of the first one measured, and of others while `patience`, in seconds, allows.

    After the first comes the last, which takes the most, then those between. What is not measured follows from the
    cost of its steps: see `gantool.engine.budget.speeds`. The models used are thrown away.
    """
    import torch

    from gantool.engine.budget import speeds

    data, generator = feed(plan.spec, plan.source, plan.device), torch.Generator(plan.device).manual_seed(0)
    costs, measured, began = [stage.cost for stage in plan.stages], dict[int, float](), 0.0
    model = _new_model(plan)
    grown = 0  # stages that the model has entered
    last = len(costs) - 1
    for index in dict.fromkeys([0, last, *range(1, last)]):
        if measured and 2 * speeds(costs, measured)[index] > patience - (time.perf_counter() - began):
            continue
        if grown > index:
            model, grown = _new_model(plan), 0
        ctx = _enter(model, plan.stages[grown : index + 1], data, generator)
        grown = index + 1
        began = began or time.perf_counter()
        measured[index] = _time_stage(model, data, ctx, patience / 3)
    data.seek(0)
    return speeds(costs, measured)


def _new_model(plan: Plan) -> GanModel:
    return new_model(plan.spec, plan.options.config, plan.shape, 0, plan.device, plan.parts)


def _enter(model: GanModel, stages: Sequence[Stage], data: Source, generator: torch.Generator) -> Context:
    """Grow the model through some stages; the context of the last one."""
    from gantool.engine.model import Context

    for stage in stages:
        ctx = Context(model.device, generator, stage)
        model.enter(stage)
        model.prepare(stage, data, ctx)
    return ctx


def _time_stage(model: GanModel, data: Source, ctx: Context, limit: float) -> float:
    """Seconds a step: the mean of TIMED, or of as many as take `limit` seconds, after a first one that is slower.

    That one counts where there are no others, or where nobody wants to wait for them.
    """
    from gantool.engine.devices import synchronize

    times, first = list[float](), ctx.stage.uneven
    for step in range(first, first + min(1 + TIMED, ctx.stage.steps)):
        ctx.step = step
        start = time.perf_counter()
        model.train_step(data.batch(step), ctx)
        synchronize(ctx.device)
        times.append(time.perf_counter() - start)
        if sum(times[1:]) > limit or times[0] > 3 * limit:
            break
    return fmean(times[1:] or times or [0.0])
