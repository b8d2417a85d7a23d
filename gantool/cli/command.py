"""Commands as functions `(talk, ...) -> Result`, given the flags that every command has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from gantool.cli.talk import Result, Talk

TRAIN, APPLY, MEASURE, RUNS, SETUP = "Train", "Apply", "Measure", "Runs", "Setup"
OUTPUT = "Output"

_FLAGS = {
    "as_json": Annotated[bool, typer.Option("--json", help="the result as one JSON object", rich_help_panel=OUTPUT)],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="say only errors", rich_help_panel=OUTPUT)],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="say more", rich_help_panel=OUTPUT)],
    # `main` looks for this one before anything is printed.
    "no_color": Annotated[bool, typer.Option("--no-color", help="no colours", rich_help_panel=OUTPUT)],
}
FLAG_NAMES = frozenset(_FLAGS)
_given: list[str] = []


def remember(words: Sequence[str]) -> None:
    """Keep the words of the command line, for commands that start themselves anew."""
    _given[:] = words


def words_given() -> list[str]:
    """The words of the command line."""
    return list(_given)


def with_flags(function: Callable[..., Result]) -> Callable[..., None]:
    """`function(talk, ...)` as Typer wants it: `talk` made from the common flags, the result printed."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in _FLAGS.items()
    ]

    @functools.wraps(function)
    def command(**values: Any) -> None:
        flags = {name: bool(values.pop(name)) for name in _FLAGS}
        talk = Talk(json=flags["as_json"], quiet=flags["quiet"], verbose=flags["verbose"])
        result = function(talk, **values)
        talk.emit(result)
        if result.exit_code:
            raise typer.Exit(result.exit_code)

    del command.__wrapped__  # else its signature would count
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    signature = inspect.Signature([*keyword, *common])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


def add(app: typer.Typer, function: Callable[..., Result], panel: str | None = None, name: str | None = None) -> None:
    """Put a command on `app`; its name is the function's unless given, its help the docstring."""
    app.command(name or function.__name__, rich_help_panel=panel)(with_flags(function))
