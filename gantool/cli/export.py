"""`gantool export`: a network as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from gantool.cli.arguments import OUT, complete_run
from gantool.cli.command import APPLY, add
from gantool.cli.talk import Result, Talk


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    add(app, export, APPLY)


def export(
    talk: Talk,
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|WEIGHTS",
            help="a run, or weights of a network that enlarges or translates",
            autocompletion=complete_run,
        ),
    ],
    format: Annotated[
        Literal["onnx", "pt2", "safetensors"] | None,
        typer.Option("-f", "--format", help="onnx unless --to says it; pt2: torch.export.load; or weights alone"),
    ] = None,
    to: Annotated[Path | None, typer.Option("-o", "--to", help="the file (the run's exports/NAME.FORMAT)")] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="the only size of pictures that it takes (any)")
    ] = None,
    test_mode: Annotated[
        Literal["paper", "eval"] | None,
        typer.Option("--test-mode", help="of what translates: norms by each picture (paper), or as trained (eval)"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file, if there is one")] = False,
    out: OUT = Path("runs"),
) -> Result:
    """Write a trained network for other programs: ONNX, PyTorch's .pt2, or weights alone."""
    from gantool.tasks.export import export as write

    found = write(model, format, to, size=size, test_mode=test_mode, overwrite=overwrite, out=out, say=talk.say)
    for kind in ("inputs", "outputs"):
        for name, told in found.about.get(kind, {}).items():
            shape = " x ".join(map(str, told["shape"]))
            talk.say(f"{kind.removesuffix('s').capitalize()} {name}: {shape}, {told['type']}; {told['range']}.")
    for name, multiple in found.about.get("multiples", {}).items():
        talk.say(f"The {name} must be a multiple of {multiple}.")
    if "dropout" in found.about:
        talk.say(f"It drops nothing, and its norms are those of --test-mode {found.about['test_mode']}.")
    if found.difference is not None:
        talk.say(f"Tried: it differs from the original by at most {found.difference:.2g}.")
    elif found.format == "onnx":
        talk.say("Not tried: onnxruntime is not installed.")
    data = {"file": str(found.path), "format": found.format, "about": found.about, "difference": found.difference}
    return Result(data, [str(found.path)])
