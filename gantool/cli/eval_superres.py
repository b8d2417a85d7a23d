"""`gantool eval superres`: how well a network enlarges, by the conventions of super-resolution papers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from gantool.cli.arguments import DEVICE, OUT, complete_run
from gantool.cli.command import add
from gantool.cli.counting import counting
from gantool.cli.figures import GATE, figure, shown, warn
from gantool.cli.talk import Result, Talk
from gantool.errors import UsageError
from gantool.tasks.evaluate.options import EvalOptions


def register(group: typer.Typer) -> None:
    """Add the command of this file to the group `eval`."""
    add(group, superres)


def superres(
    talk: Talk,
    data: Annotated[Path, typer.Option("-d", "--data", help="large pictures, or pairs of large and small ones")],
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="RUN|WEIGHTS", help="what enlarges (bicubic alone)", autocompletion=complete_run
        ),
    ] = None,
    scale: Annotated[
        int | None, typer.Option("-s", "--scale", help="of the small pictures (the model's, or 4)", min=2, max=16)
    ] = None,
    lr: Annotated[Path | None, typer.Option("--lr", help="folder of the small pictures (found, or made)")] = None,
    net: Annotated[Literal["alex", "vgg", "squeeze"], typer.Option(help="network of LPIPS")] = "alex",
    weights: Annotated[Path | None, typer.Option(help="file of that network's weights")] = None,
    heads: Annotated[Path | None, typer.Option(help="file of LPIPS's linear layers")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave out what is unreadable or does not fit")] = False,
    background: Annotated[str, typer.Option(help="colour behind transparent pixels, name or #rrggbb")] = "white",
    fail_below: Annotated[float | None, typer.Option(help=f"exit with {GATE} if mean PSNR is less than this")] = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
) -> Result:
    """Enlarge a set and compare with the truth: PSNR, SSIM and LPIPS of each picture, bicubic's beside them."""
    from gantool.tasks.evaluate.superres import evaluate_superres

    if fail_below is not None and math.isnan(fail_below):
        raise UsageError("A limit is no number (nan).", "Give --fail-below a number.")
    options = EvalOptions(
        skip_bad=skip_bad, background=background, device=device, out=out, net=net, weights=weights, heads=heads
    )
    with counting(talk) as count:
        found = evaluate_superres(data, model, scale, small=lr, options=options, say=talk.say, count=count)
    warn(talk, found)
    failed = fail_below is not None and not found.value >= fail_below
    if failed:
        talk.say(f"psnr {figure(found.value)} is beyond the limit that was set.")
    return Result(found.data(), list(shown(found)), GATE if failed else 0)
