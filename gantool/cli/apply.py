"""`gantool sample` and `gantool animate`: pictures and films from a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantool.cli.arguments import DEVICE, OUT, RUN
from gantool.cli.command import APPLY, add
from gantool.cli.progress import tracker
from gantool.cli.talk import Result, Talk

if TYPE_CHECKING:
    from gantool.tasks.runs import Run
    from gantool.tasks.sample import Drawn

SIZE = Annotated[str | None, typer.Option("--size", metavar="WxH", help="pixels, as trained on unless given")]
START_SCALE = ("--start-scale", "--start-stage")  # two names of the same: SinGAN's and ConSinGAN's
CLASSES = Annotated[
    str | None, typer.Option("--classes", "--class", help="names or numbers as in 7 or cat,3,5-7, or all")
]
TO = Annotated[Path | None, typer.Option("--to", help="folder for the files (a new one in the run)")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    add(app, sample, APPLY)
    add(app, animate, APPLY)
    add(app, interpolate, APPLY)


def sample(
    talk: Talk,
    run: RUN,
    n: Annotated[int, typer.Option("-n", "--number", help="how many: seeds 0 to n-1")] = 16,
    seeds: Annotated[str | None, typer.Option(help="instead of -n, for instance 0-15,42")] = None,
    size: SIZE = None,
    start_scale: Annotated[int, typer.Option(*START_SCALE, help="scales below keep the picture's layout")] = 0,
    classes: CLASSES = None,
    coarse: Annotated[
        str | None, typer.Option("--coarse", metavar="PICTURE|SEED", help="begin all draws with it (lapgan)")
    ] = None,
    from_level: Annotated[
        int | None, typer.Option("--from-level", help="level of --coarse; finer ones are drawn anew (lapgan)")
    ] = None,
    to: TO = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
) -> Result:
    """Draw samples as PNG files and one contact sheet."""
    from gantool.tasks.runs import open_run
    from gantool.tasks.sample import sample as draw

    found = open_run(run, out)
    drawn = draw(
        found, n, seeds=seeds, size=size, start_scale=start_scale, classes=classes, coarse=coarse,
        from_level=from_level, to=to, device=device, say=talk.say, progress=tracker(talk, "Drawing"),
    )  # fmt: skip
    talk.say(f"Drew {len(drawn.files)} pictures; all at a glance: {drawn.sheet}")
    return _result(found, drawn)


def animate(
    talk: Talk,
    run: RUN,
    frames: Annotated[int, typer.Option(help="how many")] = 100,
    fps: Annotated[float, typer.Option(help="frames a second")] = 10.0,
    alpha: Annotated[float, typer.Option(help="pull to the picture, 0 to 1")] = 0.1,
    beta: Annotated[float, typer.Option(help="smoothness of the walk, 0 to 1")] = 0.9,
    start_scale: Annotated[
        int | None, typer.Option(*START_SCALE, help="scales below do not move (1, and a sheet of all)")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the walk")] = 0,
    size: SIZE = None,
    to: TO = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
) -> Result:
    """Draw a film, a walk through the noise, as GIF and MP4."""
    from gantool.tasks.animate import animate as draw
    from gantool.tasks.runs import open_run

    found = open_run(run, out)
    drawn = draw(
        found, frames=frames, fps=fps, alpha=alpha, beta=beta, start_scale=start_scale, seed=seed, size=size,
        to=to, device=device, say=talk.say, progress=tracker(talk, "Drawing"),
    )  # fmt: skip
    return _result(found, drawn)


def interpolate(
    talk: Talk,
    run: RUN,
    seeds: Annotated[str, typer.Option(help="to pass, in this order, for instance 0-5")] = "0-5",
    steps: Annotated[int, typer.Option(help="pictures from one seed to the next")] = 8,
    classes: CLASSES = None,
    linear: Annotated[bool, typer.Option("--linear", help="along the chord, not along the arc")] = False,
    fps: Annotated[float, typer.Option(help="frames a second")] = 10.0,
    to: TO = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
) -> Result:
    """Draw the way through latent space from seed to seed, as a sheet and a film."""
    from gantool.tasks.interpolate import interpolate as draw
    from gantool.tasks.runs import open_run

    found = open_run(run, out)
    drawn = draw(
        found, seeds, steps=steps, classes=classes, linear=linear, fps=fps, to=to, device=device, say=talk.say,
        progress=tracker(talk, "Drawing"),
    )  # fmt: skip
    talk.say(f"The whole way at a glance: {drawn.sheet}")
    return _result(found, drawn)


def _result(run: Run, drawn: Drawn) -> Result:
    data: dict[str, Any] = {
        "run": str(run.path),
        "folder": str(drawn.folder),
        "files": [str(file) for file in drawn.files],
        "sheet": str(drawn.sheet) if drawn.sheet else None,
    }
    return Result(data, [str(drawn.folder)])
