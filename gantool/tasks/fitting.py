"""A run that fits what is asked for: the one that exists already, or a new one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantool import registry
from gantool.engine.devices import pick_device
from gantool.engine.rundir import all_runs
from gantool.errors import GantoolError, UsageError
from gantool.family import FamilySpec
from gantool.tasks.plan import Plan, plan_training
from gantool.tasks.runs import Run

USABLE = ("finished", "interrupted", "killed", "running", "failed")
VERBS = {"superres": "enlarge"}  # where the command is no verb


def families_that(task: str) -> list[str]:
    """Names of the families whose models can do `task`."""
    return [name for name, spec in registry.families().items() if task in spec.tasks]


def check_can(spec: FamilySpec, task: str) -> None:
    """Raises UsageError, with the families that can, when this one cannot do `task`."""
    if task not in spec.tasks:
        able = families_that(task)
        example = registry.get(able[0]).example_data if able else ""
        raise UsageError(
            f"{spec.title} cannot {VERBS.get(task, task)}.",
            f"These can: {', '.join(able)}. For instance: gantool train {able[0]} {example}" if able else "",
        )


def plan_for(
    task: str,
    family: str,
    picture: str | Path,
    *,
    preset: str | None = None,
    sets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    needs: Mapping[str, Any] | None = None,
    out: str | Path = "runs",
    background: str = "white",
    estimate: bool = True,
) -> Plan:
    """A training on `picture` whose model is meant for `task`.

    Args:
        needs: options that the task needs beside the family's `task_options`.
        preset, sets, options, out, background, estimate: see `plan_training`, and what it raises.
    """
    spec = registry.get(family)
    check_can(spec, task)
    given = dict(options or {})
    if preset is None and task in spec.task_presets:
        on_cpu, elsewhere = spec.task_presets[task]
        preset = on_cpu if pick_device(str(given.get("device", "auto"))).type == "cpu" else elsewhere
    return plan_training(
        family, picture, preset=preset, sets=sets, options=given, out=out, background=background, estimate=estimate,
        needs=(f"gantool {task}", {**spec.task_options.get(task, {}), **(needs or {})}),
    )  # fmt: skip


def fitting_run(plan: Plan) -> Run | None:
    """The newest finished run with the options of `plan` on the same picture; else the newest unfinished one, or None.

    The seed counts only when it was asked for.
    """
    wanted, unfinished = plan.settings.config, None
    for directory in reversed(all_runs(plan.out)):
        with contextlib.suppress(GantoolError, LookupError, TypeError):  # runs that are damaged do not fit
            run = Run(directory)
            if run.info["family"] != plan.spec.name or "parent" in run.info:
                continue
            data, settings = run.info["data"], run.settings
            same = data["sha256"] == plan.picture.source.sha256 and data.get("background", "white") == plan.background
            same = same and run.config == plan.options.config and settings.max_time == wanted.max_time
            same = same and (plan.settings.origins["seed"] == "drawn" or settings.seed == wanted.seed)
            status = directory.status()
            if not same or status not in USABLE or not any(run.path.glob("input*")):
                continue
            if status == "finished":
                return run
            unfinished = unfinished or run
    return unfinished
