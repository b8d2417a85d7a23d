"""`gantool eval choice` and `gantool eval answers`: people say what is real, and their answers are totalled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gantool.cli import values
from gantool.cli.arguments import DEVICE, OUT
from gantool.cli.command import add
from gantool.cli.counting import counting
from gantool.cli.talk import Result, Talk, table
from gantool.tasks.evaluate.choice_options import LARGEST, MOST_TRIALS, SMALLEST, ChoiceOptions, parse_times
from gantool.tasks.evaluate.options import LAST_SEED

_DEFAULT = ChoiceOptions()


def register(group: typer.Typer) -> None:
    """Add the commands of this file to the group `eval`."""
    add(group, choice)
    add(group, answers)


def choice(
    talk: Talk,
    real: Annotated[str, typer.Argument(metavar="REAL", help="the real pictures")],
    fakes: Annotated[
        list[str], typer.Argument(metavar="FAKE", help="pictures of one or several models, or runs that then draw")
    ],
    to: Annotated[Path, typer.Option(help="the page to write, .html")] = Path("choice.html"),
    trials: Annotated[int, typer.Option(help="pictures, or pairs, that one person sees", min=1, max=MOST_TRIALS)] = (
        _DEFAULT.trials
    ),
    size: Annotated[
        int | None,
        typer.Option(help="longer side on the screen (a whole multiple, about 256)", min=SMALLEST, max=LARGEST),
    ] = _DEFAULT.size,
    time: Annotated[
        str, typer.Option(help="milliseconds that a picture is shown, or several: 50,200,1000 (until the answer)")
    ] = "",
    pairs: Annotated[bool, typer.Option("--pairs", help="a real and a generated one side by side")] = _DEFAULT.pairs,
    title: Annotated[str, typer.Option(help="of the page")] = _DEFAULT.title,
    seed: Annotated[int, typer.Option(help="of choice and order", min=0, max=LAST_SEED)] = _DEFAULT.seed,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave out what cannot be read")] = _DEFAULT.skip_bad,
    background: Annotated[str, typer.Option(help="colour behind transparent pixels, name or #rrggbb")] = (
        _DEFAULT.background
    ),
    device: DEVICE = _DEFAULT.device,
    out: OUT = _DEFAULT.out,
) -> Result:
    """A page on which people say which pictures are real: two-alternative forced choice, as in LAPGAN's user study."""
    from gantool.tasks.evaluate.choice import choice_page

    options = ChoiceOptions(
        trials=trials,
        size=size,
        times=parse_times(time),
        pairs=pairs,
        title=title,
        seed=seed,
        skip_bad=skip_bad,
        background=background,
        device=device,
        out=out,
    )
    with counting(talk) as count:
        page = choice_page(real, fakes, to, options, say=talk.say, count=count)
    for note in page.notes:
        talk.say(note)
    for warning in page.warnings:
        talk.say(f"Warning: {warning}")
    shown = ", ".join(f"{source['name']} {source['shown']}" for source in page.sources)
    width, height = page.display
    talk.say(f"{page.trials} trials ({shown}), up to {width}x{height} on the screen, {values.size(page.bytes)}.")
    talk.say("Open it in a browser; total saved answers there, or with: gantool eval answers FILES")
    return Result(page.data(), [page.file])


def answers(
    talk: Talk,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="answers that pages saved as JSON")],
) -> Result:
    """Total the answers of several people to the page of `gantool eval choice`."""
    from gantool.tasks.evaluate.answers import total_answers

    found = total_answers(files)
    for warning in found["warnings"]:
        talk.say(f"Warning: {warning}")
    judged = "taken for the real one" if found["mode"] == "pairs" else "judged real"
    headers = ["pictures", "time", "shown", judged, "share", "95 % interval", "median answer"]
    return Result(found, [table(headers, map(_row, found["rows"])), "", *found["sentences"]])


def _row(row: dict[str, Any]) -> list[object]:
    name = f"{row['source']} (real)" if row["real"] else row["source"]
    time = "all" if row["all"] else "until the answer" if row["time_ms"] is None else f"{row['time_ms']} ms"
    share = between = middle = None
    if row["shown"]:
        share, between = f"{100 * row['share']:.1f} %", f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %"
    if row["median_ms"] is not None:
        middle = f"{row['median_ms'] / 1000:.2f} s"
    return [name, time, row["shown"], row["judged_real"], share, between, middle]
