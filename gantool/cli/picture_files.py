"""Pictures and folders that a trained network works on: progress, signals, and what is handed back."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gantool.cli.command import words_given
from gantool.cli.progress import REDRAW, NowAndThen
from gantool.cli.signals import Stopper
from gantool.cli.talk import Failure, Result, Talk
from gantool.errors import GantoolError, Interrupted
from gantool.wording import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from gantool.tasks.picture_line import Outcome
    from gantool.tasks.picture_names import Item


def carry_out(
    talk: Talk,
    work: Callable[[Quiet, Stopper], Outcome],
    data: Callable[[Any], dict[str, Any]],
    page: str,
    one: str = "picture",
) -> Result:
    """Have pictures worked on, with progress and signals, and hand back what was made.

    Args:
        work: does it, and tells the watcher how far it is.
        data: values of the outcome for --json, beside those that any has.
        page: what is said before the path of the page that compares.
        one: what a first Ctrl-C waits for.
    """
    try:
        with Stopper(talk.quiet, one) as stop, watching(talk) as watch:
            done = work(watch, stop)
    except KeyboardInterrupt:
        raise Interrupted("Stopped at once.", _go_on()) from None
    values, several = {**_data(done), **data(done)}, done.plan.folder is not None
    if several:
        talk.say(_summary(done))
    if done.page is not None:
        talk.say(f"{page}: {done.page}")
    places = [str(done.plan.folder)] if several else [str(item.result) for item in done.plan.items]
    if done.left:
        left = f"Stopped: {len(done.left)} of {len(done.plan.items)} are left."
        raise Failure(Interrupted(left, _go_on()), values)
    if done.failed:
        if done.there:
            talk.line(places[0])
        failed, total = len(done.failed), len(done.plan.items)
        what = f"{failed} of {total} pictures could not be {done.plan.naming.done}: {_list(done)}."
        hint = "The same command tries them again."
        if done.there:
            hint = "The others are done; the same command tries these again."
        raise Failure(GantoolError(what, hint), values)
    return Result(values, places)


def _go_on() -> str:
    return f"Go on with: {shlex.join(['gantool', *words_given()])}"


def _data(done: Outcome) -> dict[str, Any]:
    return {
        "folder": str(done.plan.root),
        "files": [str(item.result) for item in done.made],
        "skipped": [str(item.result) for item in done.skipped],
        "failed": [
            {"picture": str(item.source), "code": error.code, "message": error.what, "hint": error.hint}
            for item, error in done.failed
        ],
        "left": [str(item.source) for item in done.left],
        "compare": str(done.page) if done.page is not None else None,
    }


def _summary(done: Outcome) -> str:
    pieces = [f"{len(done.made)} of {len(done.plan.items)} pictures {done.plan.naming.done}"]
    if done.skipped:
        pieces.append(f"{len(done.skipped)} were done already")
    return f"{', '.join(pieces)}: {done.plan.folder}"


MOST_LISTED = 20  # pictures that failed, by name; --json has all


def _list(done: Outcome) -> str:
    names = [item.name for item, _ in done.failed]
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


# --- how far it is ----------------------------------------------------------------------------------------


class Quiet:
    """Shows nothing.

    Attributes:
        piece: what pictures are done by; it may be set.
    """

    piece = "tile"

    def begin(self, item: Item, number: int, total: int) -> None:
        """A picture is begun."""

    def tile(self, done: int, total: int) -> None:
        """So many of its pieces are done."""

    def end(self, item: Item, number: int, total: int) -> None:
        """It is done."""


class Lines(Quiet):
    """A plain line now and then: which picture, which tile, how long still."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self._due, self._where = talk, NowAndThen(), ""
        self._began, self._first, self._total = time.monotonic(), 0, 0

    def begin(self, item: Item, number: int, total: int) -> None:
        """Remember where it is."""
        if not self._first:
            self._began, self._first, self._total = time.monotonic(), number, total
        self._where = f"{item.name}" if total == 1 else f"picture {number} of {total}  {item.name}"

    def tile(self, done: int, total: int) -> None:
        """A line, if it is time for one."""
        if done and total > 1 and self._due():
            left = ""
            if self._total == 1:
                left = f"  about {duration((time.monotonic() - self._began) / done * (total - done))} left"
            self.talk.say(f"{self._where}  {self.piece} {done} of {total}{left}")

    def end(self, item: Item, number: int, total: int) -> None:
        """A line, if it is time for one."""
        if number < total and self._due():
            each = (time.monotonic() - self._began) / (number - self._first + 1)
            self.talk.say(f"{self._where}  about {duration(each * (total - number))} left")


class Bars(Quiet):
    """Two bars on a terminal: pictures, and tiles of the one under way."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._pictures: TaskID | None = None
        self._tiles: TaskID | None = None

    def begin(self, item: Item, number: int, total: int) -> None:
        """Show which picture it is."""
        if self._pictures is None and total > 1:
            self._pictures = self.progress.add_task("pictures", total=total, completed=number - 1)
        if self._tiles is None:
            self._tiles = self.progress.add_task("")
        self.progress.reset(self._tiles, description=_short(item.name), total=None)

    def tile(self, done: int, total: int) -> None:
        """Move the bar of the tiles."""
        if self._tiles is not None:
            self.progress.update(self._tiles, completed=done, total=total)

    def end(self, item: Item, number: int, total: int) -> None:
        """Move the bar of the pictures."""
        if self._pictures is not None:
            self.progress.update(self._pictures, completed=number)


def _short(name: str, most: int = 30) -> str:
    """The end of a long name, without markup."""
    from rich.markup import escape

    return escape(name if len(name) <= most else f"…{name[1 - most :]}")


@contextmanager
def watching(talk: Talk) -> Iterator[Quiet]:
    """What suits the terminal."""
    if talk.quiet:
        yield Quiet()
    elif not talk.live:
        yield Lines(talk)
    else:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=talk.console, transient=True, refresh_per_second=1 / REDRAW) as progress:
            yield Bars(progress)
