"""`gantool superres`: one picture, enlarged by a model of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantool.cli.apply import TO
from gantool.cli.arguments import DEVICE, OUT
from gantool.cli.command import APPLY, add
from gantool.cli.one_shot import DEFAULT_FAMILY, FAMILY, LIMIT, MATTE, PRESET, SETS, Training, run_for
from gantool.cli.talk import Result, Talk
from gantool.errors import DataError, UsageError

if TYPE_CHECKING:
    from gantool.tasks.plan import Plan


SMALLEST = 20  # pixels of the longer side; SinGAN's recipe begins with scales of 18
LARGEST = 250  # pixels of the longer side that are trained on unless more is asked for, as published


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    add(app, superres, APPLY)


def superres(
    talk: Talk,
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="what is enlarged")],
    scale: Annotated[float, typer.Option("-s", "--scale", help="how many times larger each side gets")] = 4.0,
    max_size: Annotated[
        int | None, typer.Option(help="longer side that is trained on and enlarged (250)", min=16)
    ] = None,
    seed: Annotated[int, typer.Option(help="of the detail")] = 0,
    matte: MATTE = "white",
    to: TO = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
    family: FAMILY = None,
    preset: PRESET = None,
    sets: SETS = None,
    max_time: LIMIT = None,
) -> Result:
    """Enlarge a picture with detail learnt from itself. Trains a model of it, or reuses the one that fits."""
    from gantool import registry
    from gantool.data.image import load_picture
    from gantool.options import option_infos
    from gantool.tasks.sample import check_folder, check_seeds
    from gantool.tasks.superres import check_factor, check_result
    from gantool.tasks.superres import superres as enlarge

    check_factor(scale)
    check_seeds([seed])
    check_folder(to)
    source = load_picture(picture, background=matte)
    longest = max(source.height, source.width)
    if longest < SMALLEST:
        raise DataError(
            f"{picture} is {source.width}x{source.height} pixels, too few to learn detail from.",
            f"Use a picture of {SMALLEST} pixels or more.",
        )
    known = {info.name for info in option_infos(registry.get(family or DEFAULT_FAMILY).config)}
    wishes = {"max_size": max(min(longest, LARGEST), 16), "factor": scale}
    needs = {name: value for name, value in wishes.items() if name in known}
    options = {"max_size": max_size} if max_size is not None else {}

    def check(plan: Plan) -> None:
        height, width = plan.stages[-1].size
        check_result(scale, (height, width))
        own = f"{picture} is {source.width}x{source.height}"
        if max_size is None and int(scale * max(height, width)) <= longest:
            raise UsageError(
                f"{own}; what is enlarged is {width}x{height} of it, so a factor of {scale:g} makes it no larger.",
                f"Add --max-size {longest} to take it as it is, which takes long: `--max-time` limits that.",
            )
        if max(height, width) < longest:
            talk.say(f"{own}: enlarged is what it is at {width}x{height}. --max-size {longest} takes all of it.")

    training = Training(family, preset, sets, max_time, device, out, matte)
    run = run_for(talk, "superres", picture, training, needs, options, check)
    drawn = enlarge(run, scale, seed=seed, to=to, device=device, say=talk.say)
    data = {"run": str(run.path), "folder": str(drawn.folder), "files": [str(file) for file in drawn.files]}
    return Result(data, [str(drawn.files[0])])
