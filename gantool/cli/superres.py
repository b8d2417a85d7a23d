"""`gantool superres`: pictures, enlarged by a trained network, or one picture by a model of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantool.cli.arguments import DEVICE, OUT, complete_run
from gantool.cli.command import APPLY, add
from gantool.cli.one_shot import DEFAULT_FAMILY, FAMILY, LIMIT, PRESET, SETS, TRAINING, Training, run_for
from gantool.cli.picture_files import carry_out
from gantool.cli.talk import Result, Talk
from gantool.errors import DataError, UsageError

if TYPE_CHECKING:
    from gantool.tasks.plan import Plan


SMALLEST = 20  # pixels of the longer side; SinGAN's recipe begins with scales of 18
LARGEST = 250  # pixels of the longer side that are trained on unless more is asked for, as published
DEFAULT_SCALE = 4.0  # without --model
MODEL = "With --model"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    add(app, superres, APPLY)


def superres(
    talk: Talk,
    picture: Annotated[Path, typer.Argument(metavar="INPUT", help="a picture; with --model also a folder of them")],
    scale: Annotated[
        float | None, typer.Option("-s", "--scale", help="how many times larger each side gets (4, or the model's)")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="RUN|WEIGHTS", help="a trained network enlarges", autocompletion=complete_run
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("-o", "--to", help="folder for the results, or the file of a single one")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(help="pixels of a tile's side (what the memory holds)", rich_help_panel=MODEL)
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="pixels computed around a tile (as far as it sees)", rich_help_panel=MODEL)
    ] = None,
    format: Annotated[
        str | None, typer.Option(metavar="KIND", help="png, tif, webp or jpg", rich_help_panel=MODEL)
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help="1 to 100, of JPEG, which is then kept, and WebP", rich_help_panel=MODEL)
    ] = None,
    workers: Annotated[int | None, typer.Option(help="threads that read and write", rich_help_panel=MODEL)] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="make anew what is there", rich_help_panel=MODEL)
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="a page of results beside bicubic", rich_help_panel=MODEL)
    ] = False,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
    max_size: Annotated[
        int | None,
        typer.Option(help="longer side that is trained on and enlarged (250)", min=16, rich_help_panel=TRAINING),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of the detail (0)", rich_help_panel=TRAINING)] = None,
    matte: Annotated[
        str | None, typer.Option("--matte", help="colour behind transparent pixels (white)", rich_help_panel=TRAINING)
    ] = None,
    family: FAMILY = None,
    preset: PRESET = None,
    sets: SETS = None,
    max_time: LIMIT = None,
) -> Result:
    """Enlarge pictures with a trained network (--model), or one picture with detail learnt from itself."""
    options: dict[str, Any] = {
        "tile": tile, "overlap": overlap, "format": format, "quality": quality, "workers": workers,
        "overwrite": overwrite, "compare": compare,
    }  # fmt: skip
    own = OfItself(scale, max_size, seed, to, Training(family, preset, sets, max_time, device, out, matte or "white"))
    if model is None:
        _refuse(picture, options)
        return own.enlarge(talk, picture)
    given = {"--max-size": max_size, "--seed": seed, "--matte": matte}
    changed = [*(flag for flag, value in given.items() if value is not None), *own.training.changed]
    if changed:
        what = f"{', '.join(changed)} belong{'s' if len(changed) == 1 else ''} to a model of the picture itself."
        raise UsageError(what, "Leave it out, or leave out --model.")
    from gantool.tasks.superres_files import superres_files

    options |= {"model": model, "scale": scale, "out": out, "device": device}
    return carry_out(
        talk,
        lambda watch, stop: superres_files(picture, to, **options, say=talk.say, watch=watch, stop=stop),
        lambda done: {"factor": int(done.model.factor), "scale": done.scale},
        "Beside bicubic",
    )


def _refuse(picture: Path, options: dict[str, Any]) -> None:
    """Without --model there are no folders, and no options of it."""
    which = "--model RUN (of a family that enlarges: `gantool families`) or --model FILE, weights of such a network"
    if picture.is_dir():
        raise UsageError(f"{picture} is a folder, and without --model one picture is enlarged.", f"Add {which}.")
    flags = [f"--{name}" for name, value in options.items() if value is not None and value is not False]
    if flags:
        raise UsageError(f"{', '.join(flags)} without --model.", f"Add {which}, or leave it out.")


@dataclass(frozen=True)
class OfItself:
    """One picture, enlarged by a model that is trained on it, or was."""

    scale: float | None
    max_size: int | None
    seed: int | None
    to: Path | None
    training: Training

    def enlarge(self, talk: Talk, picture: Path) -> Result:
        """Train, or take the run that fits; then enlarge."""
        from gantool import registry
        from gantool.data.image import load_picture
        from gantool.options import option_infos
        from gantool.tasks.sample import check_folder, check_seeds
        from gantool.tasks.superres import check_factor, check_result
        from gantool.tasks.superres import superres as enlarge

        scale, seed, training = (
            check_factor(DEFAULT_SCALE if self.scale is None else self.scale),
            self.seed or 0,
            self.training,
        )
        check_seeds([seed])
        check_folder(self.to)
        source = load_picture(picture, background=training.matte)
        longest = max(source.height, source.width)
        if longest < SMALLEST:
            raise DataError(
                f"{picture} is {source.width}x{source.height} pixels, too few to learn detail from.",
                f"Use a picture of {SMALLEST} pixels or more.",
            )
        known = {info.name for info in option_infos(registry.get(training.family or DEFAULT_FAMILY).config)}
        wishes = {"max_size": max(min(longest, LARGEST), 16), "factor": scale}
        needs = {name: value for name, value in wishes.items() if name in known}
        options = {"max_size": self.max_size} if self.max_size is not None else {}

        def check(plan: Plan) -> None:
            height, width = plan.stages[-1].size
            check_result(scale, (height, width))
            own = f"{picture} is {source.width}x{source.height}"
            if self.max_size is None and int(scale * max(height, width)) <= longest:
                raise UsageError(
                    f"{own}; what is enlarged is {width}x{height} of it, so a factor of {scale:g} makes it no larger.",
                    f"Add --max-size {longest} to take it as it is, which takes long: `--max-time` limits that.",
                )
            if max(height, width) < longest:
                talk.say(f"{own}: enlarged is what it is at {width}x{height}. --max-size {longest} takes all of it.")

        run = run_for(talk, "superres", picture, training, needs, options, check)
        drawn = enlarge(run, scale, seed=seed, to=self.to, device=training.device, say=talk.say)
        data = {"run": str(run.path), "folder": str(drawn.folder), "files": [str(file) for file in drawn.files]}
        return Result(data, [str(drawn.files[0])])
