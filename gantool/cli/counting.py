"""How far long work is that counts something: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gantool.cli.progress import NowAndThen
from gantool.cli.talk import Talk

Count = Callable[[str, int, int], None]
"""`count("features of photos/", 32, 500)`: what is done, how far it is, out of how many."""


@contextmanager
def counting(talk: Talk) -> Iterator[Count]:
    """A function to tell how far it is; shows nothing with --quiet, and nothing in a pipe for the first seconds."""
    if talk.quiet:
        yield lambda what, done, total: None
    elif not talk.live:
        yield _lines(talk)
    else:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=talk.console, transient=True) as bar:
            tasks: dict[str, object] = {}

            def count(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total)
                bar.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

            yield count


def _lines(talk: Talk) -> Count:
    due = NowAndThen()

    def count(what: str, done: int, total: int) -> None:
        if done < total and due():
            talk.say(f"{what}: {done:,} of {total:,}")

    return count
