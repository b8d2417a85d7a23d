"""`gantool import`: runs of models that their authors' own code trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantool.cli.arguments import FAMILY, OUT
from gantool.cli.command import TRAIN, add
from gantool.cli.talk import Result, Talk


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    add(app, import_folder, TRAIN, "import")


def import_folder(
    talk: Talk,
    family: FAMILY,
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="folder or file, as the authors' code wrote it")],
    name: Annotated[str | None, typer.Option(help="of the run (the folder's or file's)")] = None,
    out: OUT = Path("runs"),
) -> Result:
    """Make a run of a model that its authors' own code trained."""
    from gantool.tasks.import_run import import_run

    run = import_run(family, folder, name=name, out=out, say=talk.say)
    talk.say(f"Next: {run.spec.next.format(run=run.path)}")
    return Result({"run": run.summary()}, [str(run.path)])
