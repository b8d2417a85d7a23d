"""`gantool families`, `info`, `doctor` and `config`: what there is, and whether it works here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gantool.cli.arguments import FAMILY, OUT, RUN
from gantool.cli.command import SETUP, add
from gantool.cli.talk import Result, Talk, table
from gantool.cli.values import plain


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    add(app, families, SETUP)
    add(app, info, SETUP)
    add(app, doctor, SETUP)
    group = typer.Typer(no_args_is_help=True)
    group.callback()(_config)
    add(group, init)
    add(group, show)
    app.add_typer(group, name="config", rich_help_panel=SETUP)


def _config() -> None:
    """Files of options: begin one, look at a run's."""


def families(talk: Talk) -> Result:
    """List the families: what each trains on and can do, and which are broken."""
    from gantool import registry

    data: list[dict[str, Any]] = []
    rows: list[list[object]] = []
    for entry in registry.entries():
        spec = entry.spec
        row: dict[str, Any] = {"name": entry.name, "origin": entry.origin, "problem": entry.problem or None}
        if spec is None:
            rows.append([entry.name, f"broken: {entry.problem}", "", "", "", entry.origin])
        else:
            row |= {"title": spec.title, "year": spec.year, "data": spec.data, "tasks": list(spec.tasks)}
            row |= {"summary": spec.summary, "presets": list(spec.presets)}
            rows.append([spec.name, spec.title, spec.year, spec.data, ", ".join(spec.tasks), entry.origin])
        data.append(row)
    return Result({"families": data}, [table(["Name", "Title", "Year", "Data", "Tasks", "Origin"], rows)])


def info(talk: Talk, family: FAMILY) -> Result:
    """Everything about one family: paper, presets, options, licence."""
    from gantool import registry
    from gantool.cli.about import about, about_data

    spec = registry.get(family)
    return Result(about_data(spec), about(spec))


def doctor(talk: Talk, out: OUT = Path("runs")) -> Result:
    """Check that everything works here; exit code 1 if something does not."""
    from gantool.tasks.doctor import examine

    checks = examine(out)
    failed = any(check.status == "fail" for check in checks)
    rows = [[c.status, c.name, c.detail + (f" Fix: {c.fix}" if c.fix else "")] for c in checks]
    return Result({"checks": [vars(c) for c in checks]}, [table(["", "What", ""], rows)], int(failed))


def init(
    talk: Talk,
    family: FAMILY,
    preset: Annotated[str | None, typer.Option(help="whose values to begin with (the CPU's)")] = None,
) -> Result:
    """Print a commented file of options, for `gantool train FAMILY --config`."""
    from dataclasses import asdict

    from gantool import registry
    from gantool.options import option_infos, resolve, write_toml
    from gantool.settings import Settings

    spec = registry.get(family)
    preset = preset or spec.on_cpu
    options: Any = resolve(spec.config, (preset, spec.preset(preset).values)).config
    tables = {
        "": {"family": spec.name, "preset": preset},
        "options": asdict(options),
        "run": asdict(Settings()),
    }
    comments = {i.name: i.help for i in (*option_infos(spec.config), *option_infos(Settings))}
    text = f"# Options of {spec.title}. Use: gantool train {spec.name} {spec.example_data} --config FILE\n"
    text += write_toml(tables, comments)
    return Result({"toml": text}, [text.rstrip("\n")])


def show(talk: Talk, run: RUN, out: OUT = Path("runs")) -> Result:
    """Print a run's options, with where each value came from."""
    from gantool.tasks.runs import open_run

    found = open_run(run, out)
    origins = found.info.get("origins", {})
    values = {
        name: {"value": value, "origin": origins.get(name, "default")}
        for name, value in {**vars(found.config), **vars(found.settings)}.items()
    }
    rows = [[name, plain(v["value"]), v["origin"]] for name, v in values.items()]
    data = {"run": str(found.path), "family": found.info["family"], "preset": found.info.get("preset")}
    return Result(data | {"options": values}, [table(["Option", "Value", "From"], rows)])
