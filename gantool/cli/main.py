"""The program `gantool`: its commands, and what becomes of errors."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from gantool._version import __version__
from gantool.cli import apply, data, evaluating, export, importing, repaint, runs, setup, superres, translate, weights
from gantool.cli.command import TRAIN, add, remember
from gantool.cli.ranks import end_when_told, quiet_code
from gantool.cli.resume import resume
from gantool.cli.talk import Launched, error_json, print_error, write_line
from gantool.errors import GantoolError, Interrupted, UsageError

PROGRAM = "gantool"
COMPLETING = "_GANTOOL_COMPLETE"  # set by the shell when it asks for completions
INTERRUPTED = Interrupted.exit_code


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line `words` (sys.argv without the program) and exit with its code."""
    words = list(sys.argv[1:] if words is None else words)
    signal.signal(signal.SIGTERM, _terminated)
    end_when_told()
    if "--no-color" in words:
        os.environ["NO_COLOR"] = "1"
    for stream in (sys.stdout, sys.stderr):  # file names may hold bytes that are no text
        if hasattr(stream, "reconfigure"):
            utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    try:
        code = run(words)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `gantool runs | head -1`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    sys.exit(code)


def _terminated(number: int, frame: object) -> NoReturn:
    """SIGTERM is a Ctrl-C: what is under way tidies up, and the exit code is the same."""
    raise KeyboardInterrupt


def run(words: Sequence[str]) -> int:
    """Run the command line `words`; the exit code."""
    as_json = "--json" in words
    remember(words)
    try:
        code = build(words)(args=list(words), prog_name=PROGRAM, standalone_mode=False)
        if code == INTERRUPTED:  # Typer's word for a KeyboardInterrupt
            return _fail(Interrupted("Interrupted."), as_json)
        return code if isinstance(code, int) else 0
    except Launched as ended:  # the processes that did the work have said all
        return ended.exit_code
    except GantoolError as error:
        if os.environ.get("GANTOOL_DEBUG") == "1":
            traceback.print_exc()
        return quiet_code(error) if error.quiet else _fail(error, as_json)
    except BrokenPipeError:
        raise
    except Exception as error:
        if callable(getattr(error, "format_message", None)) and hasattr(error, "exit_code"):
            return _misused(error, as_json)
        traceback.print_exc()
        what = f"This is a mistake in gantool: {type(error).__name__}: {error}"
        hint = "Please report it with the lines above and what `gantool doctor` prints."
        return _fail(GantoolError(what, hint), as_json, "internal")


def _fail(error: GantoolError, as_json: bool, code: str | None = None) -> int:
    if as_json:
        write_line(error_json(code or error.code, error.what, error.hint, getattr(error, "data", None)))
    print_error(error)
    return error.exit_code


def _misused(error: Any, as_json: bool) -> int:
    """What Typer finds wrong with the command line, in our two lines."""
    message = " ".join(error.format_message().split()).replace("Value error, ", "")  # pydantic's word, nobody else's
    if not message:  # no command was given, and its help was shown
        return int(error.exit_code)
    path = error.ctx.command_path if getattr(error, "ctx", None) else PROGRAM
    return _fail(UsageError(message, f"`{path} --help` lists what there is."), as_json)


def build(words: Sequence[str]) -> typer.Typer:
    """The whole command line. The families are loaded only when `words` need them."""
    app = typer.Typer(
        name=PROGRAM,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_root)
    training = typer.Typer(no_args_is_help=True)
    training.callback()(_train)
    if "train" in words or COMPLETING in os.environ:
        from gantool.cli.families import add_families

        add_families(training, words)
    app.add_typer(training, name="train", rich_help_panel=TRAIN)
    add(app, resume, TRAIN)
    importing.register(app)
    apply.register(app)
    repaint.register(app)
    superres.register(app)
    translate.register(app)
    export.register(app)
    data.register(app)
    evaluating.register(app)
    runs.register(app)
    setup.register(app)
    weights.register(app)
    if COMPLETING not in os.environ:
        _keep(app, words)
    return app


def _keep(app: typer.Typer, words: Sequence[str]) -> None:
    """Only the command that `words` begin with, if they do: Typer makes all anew at each start, which takes a while."""
    commands = [command for command in app.registered_commands if command.name in words[:1]]
    groups = [group for group in app.registered_groups if group.name in words[:1]]
    if commands or groups:
        app.registered_commands, app.registered_groups = commands, groups
    for group in groups:
        if group.typer_instance:
            _keep(group.typer_instance, words[1:])


def _version(wanted: bool) -> None:
    if wanted:
        write_line(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="print the version", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Generative adversarial networks: train, sample, apply and measure."""


def _train() -> None:
    """Train a family on pictures: gantool train FAMILY DATA."""
