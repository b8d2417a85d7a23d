"""`gantool weights`: the published networks that measures need, and how their files get to this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantool.cli.command import SETUP, add
from gantool.cli.progress import NowAndThen
from gantool.cli.talk import Result, Talk, table
from gantool.cli.values import size
from gantool.errors import DataError, Interrupted

if TYPE_CHECKING:
    from gantool.weights.store import Found


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True)
    group.callback()(_weights)
    add(group, list_all, name="list")
    add(group, path)
    add(group, import_file, name="import")
    add(group, fetch)
    app.add_typer(group, name="weights", rich_help_panel=SETUP)


def _weights() -> None:
    """Networks that measures need: list, find, take in, download."""


def complete_name(incomplete: str) -> Iterator[str]:
    """Names of the catalogue."""
    from gantool.weights.catalogue import names

    yield from (name for name in names() if name.startswith(incomplete))


NAME = Annotated[
    str, typer.Argument(metavar="NAME", help="see `gantool weights list`", autocompletion=complete_name)
]  # fmt: skip


def list_all(talk: Talk) -> Result:
    """List the networks, what needs them, and which are on this machine."""
    from gantool.weights.catalogue import CATALOGUE
    from gantool.weights.store import MissingWeights, find, weights_dir

    data: list[dict[str, Any]] = []
    rows: list[list[object]] = []
    for weights in CATALOGUE:
        found, state = None, ""
        try:
            found = find(weights.name)
            state = "verified" if found.verified else "unverified"
        except MissingWeights:
            state = "missing"
        except DataError as error:
            state = "damaged"
            talk.error(error)
        data.append(
            {
                "name": weights.name, "title": weights.title, "file": weights.file, "url": weights.url,
                "size": weights.size, "sha256": weights.sha256, "licence": weights.licence,
                "used_by": list(weights.used_by), "state": state, "path": None if found is None else str(found.path),
            }
        )  # fmt: skip
        bytes_ = None if weights.size is None else size(weights.size)
        rows.append(
            [weights.name, state, bytes_, ", ".join(weights.used_by), weights.licence, found.path if found else None]
        )
    headers = ["Name", "State", "Size", "For", "Licence", "File"]
    return Result({"folder": str(weights_dir()), "weights": data}, [table(headers, rows)])


def path(talk: Talk, name: NAME) -> Result:
    """Print where a network's file is."""
    from gantool.weights.catalogue import get
    from gantool.weights.store import find

    return _result(find(get(name).name))


def import_file(
    talk: Talk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="recognised by its content, whatever its name")],
    name: Annotated[
        str | None, typer.Option("--as", help="the network it must be", autocompletion=complete_name)
    ] = None,
    unverified: Annotated[bool, typer.Option("--unverified", help="with --as: take it though it is unknown")] = False,
) -> Result:
    """Take in a file that was brought by hand."""
    from gantool.weights.store import import_file as take_in

    found = take_in(file, name, unverified=unverified)
    if found.verified:
        talk.say(f"This is {found.name}, as published.")
    else:
        talk.say(f"Taken in for {found.name}, unverified. It comes before the published file until you remove it.")
    return _result(found)


def fetch(
    talk: Talk,
    name: NAME,
    url: Annotated[
        str | None, typer.Option("--from", metavar="URL", help="https, http or file address instead")
    ] = None,
) -> Result:
    """Download a network's file; one that was broken off goes on."""
    from gantool.weights.download import fetch as download

    try:
        with _transfer(talk, name) as progress:
            found = download(name, url=url, say=talk.say, progress=progress)
    except KeyboardInterrupt:
        raise Interrupted("Interrupted.", f"`gantool weights fetch {name}` goes on from here.") from None
    return _result(found)


def _result(found: Found) -> Result:
    data = {"name": found.name, "path": str(found.path), "sha256": found.sha256, "verified": found.verified}
    return Result(data, [str(found.path)])


@contextmanager
def _transfer(talk: Talk, name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Shows how many bytes have come: a bar on a terminal, a plain line now and then elsewhere."""
    if not talk.live:
        due = NowAndThen()

        def line(done: int, total: int | None) -> None:
            if due():
                talk.say(f"{name}: {size(done)}" + (f" of {size(total)}" if total else ""))

        yield line
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=talk.console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
