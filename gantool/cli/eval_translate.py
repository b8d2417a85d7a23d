"""`gantool eval translate`: how near translations of pictures come to their truths."""

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
from gantool.tasks.evaluate.options import LAST_SEED, EvalOptions

RIGHT = "pixel accuracy"


def register(group: typer.Typer) -> None:
    """Add the command of this file to the group `eval`."""
    add(group, translate)


def translate(
    talk: Talk,
    model: Annotated[str, typer.Argument(metavar="RUN|WEIGHTS", help="what translates", autocompletion=complete_run)],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="pairs, as training takes them")],
    target: Annotated[str, typer.Option(help="folder of B, named alike (none: DATA holds both)")] = "",
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None, typer.Option(help="what becomes what (as the run was trained)")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="sub-folder (test where there is one, else val, else train, else all)")
    ] = None,
    palette: Annotated[
        str, typer.Option(help="classes by colours: facades, cityscapes, a file, auto or none (labels: the run's)")
    ] = "",
    test_mode: Annotated[
        Literal["paper", "eval"],
        typer.Option(help="norms by each picture, and dropout; or norms of training, and none"),
    ] = "paper",
    seed: Annotated[int, typer.Option(help="of the dropout", min=0, max=LAST_SEED)] = 0,
    fid: Annotated[bool, typer.Option("--fid/--no-fid", help="FID, where Inception's weights are")] = True,
    net: Annotated[Literal["alex", "vgg", "squeeze"], typer.Option(help="network of LPIPS")] = "alex",
    weights: Annotated[Path | None, typer.Option(help="file of that network's weights")] = None,
    heads: Annotated[Path | None, typer.Option(help="file of LPIPS's linear layers")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave out pairs that cannot be used")] = False,
    fail_above: Annotated[float | None, typer.Option(help=f"exit with {GATE} if mean L1 is more than this")] = None,
    fail_below: Annotated[
        float | None, typer.Option(help=f"exit with {GATE} if pixel accuracy is less than this")
    ] = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
) -> Result:
    """Translate the inputs of pairs and compare with the truths: L1, PSNR, SSIM, LPIPS, FID; of labels IoU."""
    from gantool.tasks.evaluate.translation import evaluate_translation

    if any(limit is not None and math.isnan(limit) for limit in (fail_above, fail_below)):
        raise UsageError("A limit is no number (nan).", "Give --fail-above and --fail-below a number.")
    options = EvalOptions(seed=seed, skip_bad=skip_bad, device=device, out=out, net=net, weights=weights, heads=heads)
    with counting(talk) as count:
        found = evaluate_translation(
            model, data, target=target, direction=direction, part=part, palette=palette, mode=test_mode, fid=fid,
            options=options, say=talk.say, count=count,
        )  # fmt: skip
    warn(talk, found)
    right = found.values.get(RIGHT)
    if fail_below is not None and right is None:
        raise UsageError(f"--fail-below is about {RIGHT}, which was not measured.", "Give --palette, or drop it.")
    failed = [
        f"{name} {figure(value)} is beyond the limit that was set."
        for name, value, beyond in (
            ("l1", found.value, fail_above is not None and not found.value <= fail_above),
            (RIGHT, right or 0.0, fail_below is not None and not (right or 0.0) >= fail_below),
        )
        if beyond
    ]
    for sentence in failed:
        talk.say(sentence)
    return Result(found.data(), list(shown(found)), GATE if failed else 0)
