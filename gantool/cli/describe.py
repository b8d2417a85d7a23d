"""A plan in words: what will be trained, on what, how long it takes and where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantool.cli.talk import table
from gantool.cli.values import pixels, plain, size
from gantool.wording import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gantool.engine.model import Stage
    from gantool.tasks.plan import Plan


def preset_reason(plan: Plan, flag: str | None, config: Path | None) -> str:
    """Why the plan has its preset: "as asked", "named in my.toml", or for want of another."""
    if flag is not None:
        return "as asked"
    if config is not None:
        from gantool.options import read_toml

        if "preset" in read_toml(config):
            return f"named in {config}"
    return "no preset named, and this is " + ("a CPU" if plan.device.type == "cpu" else "an accelerator")


def _other_preset(plan: Plan, flag: str | None) -> str:
    """What another preset would take, for those who named none."""
    other = plan.spec.on_accelerator if plan.device.type == "cpu" else plan.spec.on_cpu
    named = (plan.spec.on_accelerator, plan.spec.on_cpu)
    asked = any(origin.startswith("gantool ") for origin in plan.options.origins.values())
    if flag is not None or other == plan.preset or plan.preset not in named or asked:
        return ""
    seconds = plan.seconds_with(other)
    return f" (`{other}` would take about {duration(seconds)})" if seconds else ""


def time_line(plan: Plan, flag: str | None) -> str:
    """How long it takes, and what a time limit does to it."""
    if not plan.step_seconds:
        return ""
    limit = plan.settings.config.max_time
    text = f"about {duration(plan.seconds)}"
    if limit is None:
        return text + _each(plan) + _other_preset(plan, flag)
    if plan.seconds <= limit:
        return f"{text}, within the limit of {duration(limit)}{_each(plan)}"
    if plan.least_seconds > limit:
        return f"at least {duration(plan.least_seconds)}: the limit of {duration(limit)} leaves no stage its few steps"
    return f"fitted to {duration(limit)}, by fewer steps (the whole schedule: {text})"


def _each(plan: Plan) -> str:
    """How long each of the stages takes, where they are few and have names of their own: those of sets."""
    if plan.spec.data == "image" or len(plan.stages) == 1:
        return ""
    each = (f"{stage.name} {duration(stage.steps * t)}" for stage, t in _timed(plan) if t is not None)
    shared = f", shared by {plan.sharing} processes" if plan.sharing > 1 else ""
    return f": {', '.join(each)}{shared}"


def _timed(plan: Plan) -> list[tuple[Stage, float | None]]:
    """Stages with the seconds a step of each takes; None where nothing was timed."""
    times: Sequence[float | None] = plan.step_seconds or [None] * len(plan.stages)
    return list(zip(plan.stages, times, strict=True))


def summary(plan: Plan, flag: str | None, config: Path | None) -> list[str]:
    """What is said before training."""
    first, last = plan.stages[0], plan.stages[-1]
    networks = ", ".join(f"{name} {count:,}" for name, count in plan.networks.items())
    lines = [
        f"{plan.spec.title} on {plan.source.says()}",
        f"  preset    {plan.preset}: {preset_reason(plan, flag, config)}",
        f"  stages    {len(plan.stages)}, {_sizes(first, last)}, {sum(s.steps for s in plan.stages):,} steps"
        if len(plan.stages) > 1
        else f"  training  {_named(plan)}{first.steps:,} steps at {pixels(*first.size)}{_passes(plan)}",
    ]
    when = time_line(plan, flag)
    if when:
        lines.append(f"  time      {when}")
    lines += [
        f"  weights   {networks} parameters",
        f"  memory    about {size(plan.memory)} beside the program; a checkpoint takes about {size(plan.checkpoint)}",
        f"  device    {plan.device}, seed {plan.settings.config.seed}",
        f"  output    {plan.out / plan.spec.name}",
    ]
    return lines


def _sizes(first: Stage, last: Stage) -> str:
    """ "from 8 × 8 px to 32 × 32 px", or the one size that all have."""
    if first.size == last.size:
        return f"at {pixels(*first.size)}"
    return f"from {pixels(*first.size)} to {pixels(*last.size)}"


def _named(plan: Plan) -> str:
    """Of a set: the only stage's name, where it tells which of several it is."""
    name = plan.stages[0].name
    return "" if plan.spec.data == "image" or name == "training" else f"{name}, "


def _passes(plan: Plan) -> str:
    """Of a set: pictures a batch, and how often all of them are seen."""
    batch, count = getattr(plan.options.config, "batch", None), plan.shape.count
    if plan.spec.data == "image" or batch is None or not plan.stages[0].steps:
        return ""
    seen = plan.stages[0].steps * batch * getattr(plan.stage_options[0], "d_steps", 1)
    one, many = (f"{getattr(plan.source, 'noun', 'picture')}{end}" for end in ("", "s"))
    taken, all_ = (f"{number:,} {one if number == 1 else many}" for number in (batch, count))
    return f", {taken} a batch, {seen / count:,.1f} passes through {all_}"


def stage_table(plan: Plan) -> RenderableType:
    """Stage, size, steps and time."""
    return table(
        ["Stage", "Size", "Steps", "Time"],
        [[s.name, pixels(*s.size), s.steps, duration(s.steps * t) if t is not None else ""] for s, t in _timed(plan)],
    )


def option_table(plan: Plan) -> RenderableType:
    """Every option with its value and where that came from."""
    values = {**plan.options.table(), **plan.settings.table()}
    return table(["Option", "Value", "From"], [[k, plain(v["value"]), v["origin"]] for k, v in values.items()])


def plan_data(plan: Plan, flag: str | None, config: Path | None) -> dict[str, Any]:
    """The plan as plain values; `seconds` are None where nothing was timed."""
    return {
        "family": plan.spec.name,
        "preset": plan.preset,
        "preset_reason": preset_reason(plan, flag, config),
        "name": plan.name,
        "out": str(plan.out / plan.spec.name),
        "device": str(plan.device),
        "data": plan.source.describe(),
        "options": plan.options.table(),
        "settings": plan.settings.table(),
        "stages": [
            {
                "name": s.name,
                "width": s.size[1],
                "height": s.size[0],
                "steps": s.steps,
                "seconds": None if t is None else round(s.steps * t, 3),
            }
            for s, t in _timed(plan)
        ],
        "parameters": plan.networks,
        "seconds": round(plan.seconds, 3) if plan.step_seconds else None,
        "memory_bytes": int(plan.memory),
        "checkpoint_bytes": plan.checkpoint,
    }
