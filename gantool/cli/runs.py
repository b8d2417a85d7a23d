"""`gantool runs`, `gantool runs diff` and `gantool report`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantool.cli.arguments import OUT, RUN
from gantool.cli.command import RUNS, add, with_flags
from gantool.cli.talk import Result, Talk, table
from gantool.cli.values import plain
from gantool.errors import GantoolError
from gantool.wording import duration

if TYPE_CHECKING:
    from gantool.tasks.runs import Run


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(invoke_without_command=True)
    group.callback()(_only_alone(runs))
    add(group, diff)
    app.add_typer(group, name="runs", rich_help_panel=RUNS)
    add(app, report, RUNS)


def runs(talk: Talk, out: OUT = Path("runs")) -> Result:
    """List the runs; `gantool runs diff A B` compares two."""
    from gantool.tasks.runs import runs as all_runs

    rows = []
    for run in all_runs(out):
        try:
            rows.append(run.summary())
        except GantoolError as error:  # one damaged run does not hide the others
            talk.error(error)
    if not rows:
        talk.say(f"There are no runs in {out}.")
        return Result({"runs": []})
    return Result({"runs": rows}, [table(_HEADERS, [_row(row) for row in rows])])


_HEADERS = ["Id", "Family", "Preset", "Status", "Steps", "Time", "Picture"]


def _row(row: dict[str, Any]) -> list[object]:
    planned = row.get("steps_planned")
    steps = f"{row['steps']}/{planned}" if planned and planned != row["steps"] else row["steps"]
    picture = Path(row["picture"]).name if row.get("picture") else ""
    return [row["id"], row["family"], row["preset"], row["status"], steps, duration(row["seconds"]), picture]


def diff(talk: Talk, a: RUN, b: RUN, out: OUT = Path("runs")) -> Result:
    """What differs between two runs: options, preset, picture, versions."""
    from gantool.tasks.runs import open_run

    first, second = open_run(a, out), open_run(b, out)
    left, right = _facts(first), _facts(second)
    rows = [
        {"what": key, "a": left.get(key), "b": right.get(key)}
        for key in [*left, *(k for k in right if k not in left)]
        if left.get(key) != right.get(key)
    ]
    data = {"a": str(first.path), "b": str(second.path), "differences": rows}
    if not rows:
        talk.say("They have the same options, picture and versions.")
        return Result(data)
    cells = [[row["what"], plain(row["a"]), plain(row["b"])] for row in rows]
    return Result(data, [table(["", first.id, second.id], cells)])


def _facts(run: Run) -> dict[str, Any]:
    """Everything that makes a run what it is, flat."""
    info, tables = run.info, run.tables
    facts = {"family": info.get("family"), "preset": info.get("preset"), "device": info.get("device")}
    facts |= tables.get("options", {}) | tables.get("run", {})
    facts["picture"] = (info.get("data") or {}).get("path")
    facts["picture sha256"] = (info.get("data") or {}).get("sha256")
    return facts | {f"version of {k}": v for k, v in (info.get("versions") or {}).items()}


def report(
    talk: Talk,
    run: RUN,
    show: Annotated[bool, typer.Option("--open", help="show it in the browser")] = False,
    to: Annotated[Path | None, typer.Option("--to", help="file to write (report.html in the run)")] = None,
    out: OUT = Path("runs"),
) -> Result:
    """Write a page about a run: pictures, losses, options; and its curves as PNG files, in the run."""
    from gantool.tasks.plots import write_plots
    from gantool.tasks.report import report as write
    from gantool.tasks.runs import open_run

    found = open_run(run, out)
    page = write(found, to=to, say=talk.say)
    try:
        plots = write_plots(found)
    except GantoolError as error:  # in an archive that may not be written, the page may still go elsewhere
        plots = []
        talk.say(f"There are no plots: {error}")
    if plots:
        talk.say(f"Plots: {plots[0].parent} ({', '.join(file.name for file in plots)})")
    if show:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            talk.say(f"No browser could be opened; the page is {page}.")
    return Result({"report": str(page), "plots": [str(file) for file in plots]}, [str(page)])


def _only_alone(function: Any) -> Any:
    """`function` as the callback of a group: called when no sub-command is."""
    command = with_flags(function)
    inner = command.__signature__  # type: ignore[attr-defined]

    def callback(ctx: typer.Context, **values: Any) -> None:
        if ctx.invoked_subcommand is None:
            command(**values)

    first = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    signature = inner.replace(parameters=[first, *inner.parameters.values()])
    callback.__signature__ = signature  # type: ignore[attr-defined]
    callback.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    callback.__doc__ = function.__doc__
    return callback
