"""`gantool translate`: pictures of one kind made of pictures of another, by a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gantool.cli.arguments import DEVICE, OUT, complete_run
from gantool.cli.command import APPLY, add
from gantool.cli.picture_files import carry_out
from gantool.cli.talk import Result, Talk

SIZES, NETWORK, FILES, PAGE = "Sizes", "The network", "Files", "The page"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    add(app, translate, APPLY)


def translate(
    talk: Talk,
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|WEIGHTS",
            help="path, name, beginning of an id, or latest; or a file of weights",
            autocompletion=complete_run,
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="a picture, a folder of them, an animation, a video")],
    to: Annotated[
        Path | None, typer.Option("-o", "--to", help="folder for the results, or the file of a single one")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="trained (the default), own: as each picture is, or 500x250", rich_help_panel=SIZES
        ),
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="bring results to their pictures' sizes", rich_help_panel=SIZES)
    ] = False,
    tile: Annotated[
        int | None, typer.Option(help="side of tiles, pixels, for what is too large as a whole", rich_help_panel=SIZES)
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="pixels over which tiles fade into each other (a quarter)", rich_help_panel=SIZES)
    ] = None,
    test_mode: Annotated[
        str,
        typer.Option(
            "--test-mode",
            metavar="paper|eval",
            help="paper, as the authors test: batch norm by each picture's statistics, and dropout; "
            "eval: by those of training, without dropout",
            rich_help_panel=NETWORK,
        ),
    ] = "paper",
    seed: Annotated[int, typer.Option(help="of the noise, which is dropout", rich_help_panel=NETWORK)] = 0,
    samples: Annotated[
        int, typer.Option(help="results of each picture, of this seed and the next ones", rich_help_panel=NETWORK)
    ] = 1,
    batch: Annotated[
        int | None, typer.Option(help="pictures of one size that are translated together", rich_help_panel=NETWORK)
    ] = None,
    snap: Annotated[
        bool, typer.Option("--snap", help="labels: only the colours trained on", rich_help_panel=NETWORK)
    ] = False,
    matte: Annotated[
        str | None,
        typer.Option("--matte", help="colour behind transparent pixels; results are opaque", rich_help_panel=FILES),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="INPUT holds pairs side by side: one half goes in", rich_help_panel=FILES)
    ] = False,
    direction: Annotated[
        str | None,
        typer.Option(
            metavar="AtoB|BtoA", help="of --pairs: the left half or the right one (the run's)", rich_help_panel=FILES
        ),
    ] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="of a film: each frame as a PNG, too", rich_help_panel=FILES)
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="png, tif, webp or jpg; films: gif, webp, png, mp4", rich_help_panel=FILES),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help="1 to 100, of JPEG, which is then kept, and WebP", rich_help_panel=FILES)
    ] = None,
    workers: Annotated[int | None, typer.Option(help="threads that read and write", rich_help_panel=FILES)] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="make anew what is there", rich_help_panel=FILES)
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="a page of inputs beside outputs", rich_help_panel=PAGE)
    ] = False,
    truth: Annotated[
        Path | None, typer.Option(help="folder of what should come out, for --compare", rich_help_panel=PAGE)
    ] = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
) -> Result:
    """Make pictures of one kind of pictures of another, by a network that was trained on pairs."""
    from gantool.tasks.translate import Translated
    from gantool.tasks.translate import translate as translate_pictures

    options: dict[str, Any] = {
        "size": size, "restore": restore, "tile": tile, "overlap": overlap, "test_mode": test_mode, "seed": seed,
        "samples": samples, "batch": batch, "snap": snap, "matte": matte, "pairs": pairs, "direction": direction,
        "frames": frames, "format": format, "quality": quality, "workers": workers, "overwrite": overwrite,
        "compare": compare, "truth": truth, "device": device, "out": out,
    }  # fmt: skip

    def data(done: Translated) -> dict[str, Any]:
        height_width = done.size if isinstance(done.size, str) else f"{done.size[1]}x{done.size[0]}"
        shown = [str(folder) for folder in done.frames]
        return {"size": height_width, "test_mode": done.test_mode, "seeds": list(done.seeds), "frames": shown}

    return carry_out(
        talk,
        lambda watch, stop: translate_pictures(model, source, to, **options, say=talk.say, watch=watch, stop=stop),
        data,
        "Beside what went in",
    )
