"""Arguments and options that several commands share, and what the shell completes for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer


def complete_run(incomplete: str) -> Iterator[str]:
    """Ids of the runs under ./runs, newest first."""
    from gantool.engine.rundir import all_runs

    names = ["latest", *(run.id for run in reversed(all_runs(Path("runs"))))]
    yield from (name for name in names if name.startswith(incomplete))


def complete_family(incomplete: str) -> Iterator[str]:
    """Names of the families."""
    from gantool import registry

    yield from (name for name in registry.families() if name.startswith(incomplete))


OUT = Annotated[Path, typer.Option("--out", help="folder of the runs")]
DEVICE = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps")]
RUN = Annotated[
    str,
    typer.Argument(metavar="RUN", help="path, name, beginning of an id, or latest", autocompletion=complete_run),
]
FAMILY = Annotated[str, typer.Argument(metavar="FAMILY", help="see `gantool families`", autocompletion=complete_family)]
