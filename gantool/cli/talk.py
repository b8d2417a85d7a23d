"""What a command says: talk goes to stderr, the result to stdout, once, as text or as one JSON object."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from gantool.errors import GantoolError, Interrupted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDE = 10_000  # columns of what is no terminal: nothing is cut off


@dataclass
class Result:
    """What a command hands back.

    Attributes:
        data: plain values, for --json.
        show: text lines and Rich renderables, for people.
        exit_code: 0, or another one for a result that is also a verdict (`gantool doctor`).
    """

    data: Any
    show: Sequence[RenderableType] = ()
    exit_code: int = 0


class Failure(GantoolError):
    """An error that has something to hand back all the same: what was finished before it."""

    def __init__(self, error: GantoolError, data: dict[str, Any]) -> None:
        super().__init__(error.what, error.hint)
        self.code, self.exit_code, self.quiet, self.data = error.code, error.exit_code, error.quiet, data


class Launched(Exception):
    """The command was carried out by other processes, which have ended."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


@dataclass
class Talk:
    """One command's voice.

    Attributes:
        json: the result is wanted as JSON.
        quiet: only errors are said.
        verbose: details as well.
        prefix: put before every sentence ("[rank 1] ").
        silent: not even the result is said: another process says it.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    prefix: str = ""
    silent: bool = False

    @cached_property
    def console(self) -> Console:
        """Where talk goes."""
        return _console(sys.stderr)

    @property
    def live(self) -> bool:
        """Whether a display that redraws itself makes sense."""
        console = self.console
        return console.is_terminal and not console.is_dumb_terminal and not self.quiet and not self.prefix

    def say(self, sentence: str) -> None:
        """A sentence for people."""
        if not self.quiet:
            self.console.print(self.prefix + sentence, markup=False, highlight=False, soft_wrap=True)

    def detail(self, sentence: str) -> None:
        """A sentence for those who asked for more."""
        if self.verbose:
            self.say(sentence)

    def error(self, error: GantoolError) -> None:
        """What went wrong, and what next."""
        print_error(error, self.prefix)

    def line(self, text: str) -> None:
        """A line of the result as soon as it is known; nothing with --json."""
        if not (self.json or self.silent):
            write_line(text)

    def emit(self, result: Result) -> None:
        """The result."""
        if self.silent:
            return
        if self.json:
            write_line(json.dumps({"ok": True, "data": result.data}, allow_nan=False))
            return
        for piece in result.show:
            if isinstance(piece, str):
                write_line(piece)
            else:
                _print_table(piece)


def write_line(text: str) -> None:
    """One line to stdout, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_error(error: GantoolError, prefix: str = "") -> None:
    """Two lines on stderr. An interruption is no error, and says so in one."""
    console = _console(sys.stderr)

    def line(label: str, style: str, text: str) -> None:
        from rich.text import Text

        console.print(Text(prefix) + Text(label, style) + Text(text), soft_wrap=True)

    if isinstance(error, Interrupted) or error.code == Interrupted.code:
        line("", "", f"{error.what} {error.hint}".strip())
        return
    line("Error: ", "bold red", error.what)
    if error.hint:
        line("Hint: ", "bold", error.hint)


def error_json(code: str, message: str, hint: str, data: Any = None) -> str:
    """The JSON object of a failure."""
    reply: dict[str, Any] = {"ok": False, "error": {"code": code, "message": message, "hint": hint}}
    if data is not None:
        reply["data"] = data
    return json.dumps(reply, allow_nan=False)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> RenderableType:
    """A table without lines; None is an empty cell."""
    from rich.table import Table
    from rich.text import Text

    out = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        out.add_column(header, overflow="fold")
    for row in rows:
        out.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return out


def _print_table(piece: RenderableType) -> None:
    console = _console(sys.stdout)
    with console.capture() as captured:
        console.print(piece)
    for line in captured.get().splitlines():
        write_line(line.rstrip())


def _console(file: TextIO) -> Console:
    """Colours on a terminal that wants them; neither colours nor a width anywhere else."""
    from rich.console import Console

    terminal = file.isatty()
    plain = not terminal or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return Console(
        file=file,
        force_terminal=terminal,
        color_system=None if plain else "auto",
        width=None if terminal else WIDE,
        highlight=False,
        emoji=False,
    )
