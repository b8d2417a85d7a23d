"""`gantool resume`: going on with any run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gantool.cli.arguments import OUT, RUN
from gantool.cli.ranks import share
from gantool.cli.talk import Failure, Result, Talk
from gantool.cli.train import finished, go_on
from gantool.cli.train_set import share_out
from gantool.errors import Interrupted, UsageError
from gantool.settings import MOST


def resume(
    talk: Talk,
    run: RUN,
    device: Annotated[str | None, typer.Option(help="another device than the run's own")] = None,
    devices: Annotated[int | None, typer.Option(min=1, max=MOST, help="another number of processes")] = None,
    out: OUT = Path("runs"),
) -> Result:
    """Go on with a run that was stopped, exactly as if it had not been."""
    from gantool.tasks.runs import open_run

    found = open_run(run, out)
    if found.spec.data == "set":
        # Of a finished run, one process tells what there is.
        share_out(talk, 1 if found.dir.status() == "finished" else devices or found.settings.devices)
    elif devices not in (None, 1):
        raise UsageError(f"{found.spec.title} trains one picture in one process.", "Leave --devices out.")
    elif not share(talk, [(found.path, None)]):
        return Result({"run": None})

    try:
        return Result({"run": finished(talk, go_on(talk, found, device))})
    except Interrupted as error:
        raise Failure(error, {"run": replace(found).summary()}) from error  # what it knows of run.json is old
