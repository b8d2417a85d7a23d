"""`gantool superres`: one picture, enlarged by a model of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gantool.cli.apply import TO
from gantool.cli.arguments import DEVICE, OUT
from gantool.cli.command import APPLY, add
from gantool.cli.one_shot import FAMILY, LIMIT, MATTE, PRESET, SETS, Training, run_for
from gantool.cli.talk import Result, Talk


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    add(app, superres, APPLY)


def superres(
    talk: Talk,
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="what is enlarged")],
    scale: Annotated[float, typer.Option("-s", "--scale", help="how many times larger each side gets")] = 4.0,
    max_size: Annotated[int | None, typer.Option(help="shrink the picture to this longer side first", min=16)] = None,
    seed: Annotated[int, typer.Option(help="of the detail")] = 0,
    matte: MATTE = "white",
    to: TO = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
    family: FAMILY = "singan",
    preset: PRESET = None,
    sets: SETS = None,
    max_time: LIMIT = None,
) -> Result:
    """Enlarge a picture with detail learnt from itself. Trains a model of it, or reuses the one that fits."""
    from gantool import registry
    from gantool.data.image import load_picture
    from gantool.options import option_infos
    from gantool.tasks.superres import check_factor
    from gantool.tasks.superres import superres as enlarge

    check_factor(scale)
    source = load_picture(picture, background=matte)
    options: dict[str, Any] = {"max_size": max_size or max(source.height, source.width, 16)}
    if "factor" in {info.name for info in option_infos(registry.get(family).config)}:
        options["factor"] = scale
    training = Training(family, preset, sets, max_time, device, out, matte)
    run = run_for(talk, "superres", picture, training, options)
    drawn = enlarge(run, scale, seed=seed, to=to, device=device, say=talk.say)
    data = {"run": str(run.path), "folder": str(drawn.folder), "files": [str(file) for file in drawn.files]}
    return Result(data, [str(drawn.files[0])])
