"""A picture in the place of a run: train on it, or go on with, or reuse, the run that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantool.cli.talk import Talk
from gantool.cli.train import go_on, train_plan
from gantool.cli.values import parse_duration

if TYPE_CHECKING:
    from gantool.tasks.plan import Plan
    from gantool.tasks.runs import Run

DEFAULT_FAMILY = "singan"
TRAINING = "Training, where no run is named"

FAMILY = Annotated[str | None, typer.Option("--family", help="what to train \\[singan]", rich_help_panel=TRAINING)]
PRESET = Annotated[str | None, typer.Option("--preset", help="named set of options", rich_help_panel=TRAINING)]
SETS = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="one option; repeatable", rich_help_panel=TRAINING),
]
LIMIT = Annotated[
    str | None,
    typer.Option("--max-time", metavar="TIME", help="fit the training to this time", rich_help_panel=TRAINING),
]
MATTE = Annotated[str, typer.Option("--matte", help="colour behind transparent pixels, name or #rrggbb")]


@dataclass(frozen=True)
class Training:
    """The flags of a training."""

    family: str | None
    preset: str | None
    sets: Sequence[str] | None
    max_time: str | None
    device: str
    out: Path
    matte: str

    @property
    def changed(self) -> list[str]:
        """Flags that mean nothing when a run is named."""
        flags = {"--family": self.family, "--preset": self.preset, "--set": self.sets, "--max-time": self.max_time}
        return [flag for flag, value in flags.items() if value]


def run_for(
    talk: Talk,
    task: str,
    picture: Path,
    training: Training,
    needs: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    check: Callable[[Plan], None] = lambda _: None,
) -> Run:
    """The run for `task` on a picture: an old one that fits, finished first if need be, or a new one.

    `needs` are options that the task needs, `options` those of flags; `check` may refuse before anything is trained.
    """
    from gantool.tasks.fitting import fitting_run, plan_for
    from gantool.tasks.plan import timed

    given = dict(options or {})
    if training.device != "auto":
        given["device"] = training.device
    if training.max_time is not None:
        given["max_time"] = parse_duration(training.max_time)

    planned = plan_for(
        task, training.family or DEFAULT_FAMILY, picture, preset=training.preset, sets=training.sets or (),
        options=given, needs=needs, out=training.out, background=training.matte, estimate=False,
    )  # fmt: skip
    check(planned)
    found = fitting_run(planned)
    if found is None:
        return train_plan(talk, planned if talk.quiet else timed(planned), training.preset, None)
    if found.dir.status() == "finished":
        talk.say(f"Using the run that is there: {found.path}")
        return found
    return go_on(talk, found, None)
