"""`gantool eval METRIC A B`: a command for each measure, with the options that it heeds."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gantool.cli import choosing, eval_superres, eval_translate
from gantool.cli.arguments import DEVICE, OUT
from gantool.cli.command import MEASURE, add
from gantool.cli.counting import counting
from gantool.cli.figures import GATE, figure, shown, warn
from gantool.cli.talk import Result, Talk
from gantool.errors import UsageError
from gantool.tasks.evaluate.options import LAST_SEED, METRICS, PAIR, SAMPLES, SETS, EvalOptions, Metric

_OPTIONS: dict[str, Any] = {
    "n": Annotated[int | None, typer.Option("-n", "--number", help="pictures to draw, where one is a run", min=1)],
    "seed": Annotated[int | None, typer.Option(help="of what is random in the measure", min=0, max=LAST_SEED)],
    "skip_bad": Annotated[bool, typer.Option("--skip-bad", help="leave out what cannot be read, and count it")],
    "background": Annotated[str, typer.Option(help="colour behind transparent pixels, name or #rrggbb")],
    "device": DEVICE,
    "out": OUT,
    "batch": Annotated[int | None, typer.Option(help="pictures at a time (what is fast on the device)", min=1)],
    "protocol": Annotated[
        Literal["torch-fidelity", "pytorch-fid", "clean", "nvidia"], typer.Option(help="whose conventions to follow")
    ],
    "layer": Annotated[int | None, typer.Option(help="features taken: 64, 192, 768 or 2048")],
    "weights": Annotated[Path | None, typer.Option(help="file of the network's weights (else: `gantool weights`)")],
    "features": Annotated[Path | None, typer.Option(help="another network: TorchScript, .pt2 or a known LeNet")],
    "activation": Annotated[Literal["tanh", "relu"] | None, typer.Option(help="of the LeNet of --features")],
    "heads": Annotated[Path | None, typer.Option(help="file of LPIPS's linear layers (else: `gantool weights`)")],
    "net": Annotated[Literal["alex", "vgg", "squeeze"], typer.Option(help="network of LPIPS")],
    "pairs": Annotated[int | None, typer.Option(help="how many pairs to compare", min=1)],
    "subsets": Annotated[int, typer.Option(help="how many subsets", min=1)],
    "subset_size": Annotated[int, typer.Option(help="pictures in a subset", min=2)],
    "splits": Annotated[int | None, typer.Option(help="parts that the set is cut into (10)", min=1)],
    "neighbours": Annotated[int | None, typer.Option("-k", "--neighbours", help="k of the manifolds", min=1)],
    "scale": Annotated[
        int | None, typer.Option(help="super-resolution by this factor: luma, and a border of as much cut off", min=1)
    ],
    "crop": Annotated[int | None, typer.Option(help="pixels cut off on each side", min=0)],
    "sigma": Annotated[str | None, typer.Option(help="width of the window: 0.2, or the range tried, 0.05:1")],
    "held_out": Annotated[int | None, typer.Option(help="real pictures that choose it", min=1)],
    "pictures": Annotated[int | None, typer.Option(help="real pictures measured, at most", min=1)],
    "units": Annotated[
        Literal["unit", "standard"], typer.Option(help="pixels from 0 to 1, or less the set's mean over its deviation")
    ],
    "pyramid": Annotated[bool, typer.Option("--pyramid", help="level by level, for a run that draws so (LAPGAN)")],
    "draws": Annotated[int | None, typer.Option(help="of each finer level for every real picture", min=1)],
    "y": Annotated[bool | None, typer.Option("--y/--rgb", help="luma (BT.601 as MATLAB has it), or all colours")],
}  # fmt: skip
_ALL = ("n", "skip_bad", "background", "device", "out")
_DEFAULTS = {field.name: field.default for field in fields(EvalOptions)}


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True)
    group.callback()(_eval)
    for metric in METRICS.values():
        add(group, _command(metric), name=metric.name)
    add(group, _stats(), name="stats")
    eval_superres.register(group)
    eval_translate.register(group)
    choosing.register(group)
    app.add_typer(group, name="eval", rich_help_panel=MEASURE)


def _eval() -> None:
    """Measure pictures: gantool eval METRIC A B. Files, folders, zips, .npy/.npz arrays, or a run."""


def _command(metric: Metric) -> Callable[..., Result]:
    """A function `(talk, a, b, ...) -> Result` for `command.with_flags`."""

    def command(talk: Talk, a: str, b: str | None = None, **values: Any) -> Result:
        from gantool.tasks.evaluate.measure import evaluate

        above, below = values.pop("fail_above"), values.pop("fail_below")
        if any(limit is not None and math.isnan(limit) for limit in (above, below)):
            raise UsageError("A limit is no number (nan).", "Give --fail-above and --fail-below a number.")
        with counting(talk) as count:
            found = evaluate(metric.name, a, b, EvalOptions(**values), say=talk.say, count=count)
        warn(talk, found)
        # Written so that a figure that is no number is beyond any limit.
        failed = (above is not None and not found.value <= above) or (below is not None and not found.value >= below)
        if failed:
            talk.say(f"{metric.name} {figure(found.value)} is beyond the limit that was set.")
        return Result(found.data(), list(shown(found)), GATE if failed else 0)

    limits = [
        inspect.Parameter(
            f"fail_{side}",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[float | None, typer.Option(help=f"exit with {GATE} if it is {word} than this")],
        )
        for side, word in (("above", "more"), ("below", "less"))
    ]
    parameters = [*_operands(metric), *map(_option, (*metric.options, *_ALL)), *limits]
    return _with_signature(command, parameters, f"{metric.title}: {metric.about}.")


def _operands(metric: Metric) -> list[inspect.Parameter]:
    if metric.takes == SAMPLES:
        return [_operand("a", str, "PICTURES", "pictures, or a run that then draws")]
    if metric.takes == SETS:
        also = ", or .npz statistics" if metric.name == "fid" else ""
        return [
            _operand("a", str, "REAL", "the real pictures" + also),
            _operand("b", str, "FAKE", f"pictures to judge{also}, or a run that then draws"),
        ]
    if metric.takes == PAIR:
        return [
            _operand("a", str, "TRUTH", "the true pictures"),
            _operand("b", str, "RESULT", "pictures to judge, of the same names"),
        ]
    return [
        _operand("a", str, "REAL", "the real picture (several: paired by name), or a run alone"),
        _operand("b", str | None, "[FAKE]", "pictures made from it, or a run that then draws", None),
    ]


def _stats() -> Callable[..., Result]:
    def stats(talk: Talk, pictures: str, file: Path, **values: Any) -> Result:
        from gantool.tasks.evaluate.measure import save_statistics

        with counting(talk) as count:
            found = save_statistics(pictures, file, EvalOptions(**values), say=talk.say, count=count)
        warn(talk, found)
        return Result({"file": str(file), "protocol": found.protocol, "warnings": list(found.warnings)}, [str(file)])

    operands = [
        _operand("pictures", str, "PICTURES", "pictures, or a run that then draws"),
        _operand("file", Path, "FILE", ".npz to write: mu and sigma, as pytorch-fid's"),
    ]
    text = "Mean and covariance of a set's features, to be given to `gantool eval fid` in its place."
    return _with_signature(stats, [*operands, *map(_option, (*METRICS["fid"].options, *_ALL))], text)


def _operand(name: str, kind: Any, metavar: str, text: str, default: Any = inspect.Parameter.empty) -> Any:
    annotation = Annotated[kind, typer.Argument(metavar=metavar, help=text)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(name: str) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=_DEFAULTS[name], annotation=_OPTIONS[name])


def _with_signature(
    function: Callable[..., Result], parameters: list[inspect.Parameter], text: str
) -> Callable[..., Result]:
    talk = inspect.Parameter("talk", inspect.Parameter.POSITIONAL_ONLY, annotation=Talk)
    function.__signature__ = inspect.Signature([talk, *parameters])  # type: ignore[attr-defined]
    function.__doc__ = text
    return function
