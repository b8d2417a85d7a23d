"""`gantool harmonize`, `edit` and `paint`: pictures of the user's, repainted in the manner of one picture."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gantool.cli.apply import START_SCALE, TO
from gantool.cli.arguments import DEVICE, OUT
from gantool.cli.command import APPLY, add
from gantool.cli.one_shot import FAMILY, LIMIT, MATTE, PRESET, SETS, TRAINING, Training, run_for
from gantool.cli.progress import Watcher, tracker
from gantool.cli.signals import Stopper
from gantool.cli.talk import Result, Talk
from gantool.cli.train import guarded
from gantool.errors import UsageError

if TYPE_CHECKING:
    from gantool.family import FamilySpec
    from gantool.tasks.plan import Plan
    from gantool.tasks.repaint import Inputs, Repainted, Task
    from gantool.tasks.runs import Run

MASK = Annotated[Path | None, typer.Option("--mask", help="white where something changed (else found by comparing)")]
THRESHOLD = Annotated[int, typer.Option("--mask-threshold", help="levels of the mask up to this one are black")]
SCALE = Annotated[int | None, typer.Option(*START_SCALE, help="scale that takes the picture in (all, on a sheet)")]
KEEP = Annotated[
    Literal["picture", "exact"],
    typer.Option("--keep-background", help="around it: the picture as trained on, or yours to the bit"),
]
FIT = Annotated[bool, typer.Option("--fit", help="resize pictures whose size differs")]
SEED = Annotated[int, typer.Option("--seed", help="of the noise")]
BACKGROUND = Annotated[
    Path | None,
    typer.Option("--background", metavar="PICTURE", help="train on it, or reuse its run", rich_help_panel=TRAINING),
]
FINE_TUNE = Annotated[bool, typer.Option("--fine-tune", help="train on for this picture first (ConSinGAN)")]
STEPS = Annotated[int | None, typer.Option("--fine-tune-steps", help="of that (the run's iterations)", min=1)]


PICTURES = Annotated[
    list[str], typer.Argument(metavar="[RUN] PICTURE", help="a run, unless --background is given; what is repainted")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (harmonize, edit, paint):
        add(app, command, APPLY)


@dataclass(frozen=True)
class Tuning:
    """What is trained on, after the run and before the picture is drawn: options of the family, and a sentence."""

    options: dict[str, Any]
    name: str
    guided: bool
    why_not: str


def _masked(task: Literal["harmonize", "edit"], mode: str, help: str) -> Callable[..., Result]:
    """The two commands that repaint a region: they differ in name and task alone."""

    def command(
        talk: Talk,
        pictures: PICTURES,
        mask: MASK = None,
        start_scale: SCALE = None,
        background: BACKGROUND = None,
        keep_background: KEEP = "picture",
        fine_tune: FINE_TUNE = False,
        fine_tune_steps: STEPS = None,
        fit: FIT = False,
        mask_threshold: THRESHOLD = 0,
        seed: SEED = 0,
        matte: MATTE = "white",
        to: TO = None,
        device: DEVICE = "auto",
        out: OUT = Path("runs"),
        family: FAMILY = None,
        preset: PRESET = None,
        sets: SETS = None,
        max_time: LIMIT = None,
    ) -> Result:
        return _repaint(
            talk, task, pictures, background, Training(family, preset, sets, max_time, device, out, matte),
            _fine_tuning(mode, fine_tune, fine_tune_steps), mask=mask, mask_threshold=mask_threshold,
            start_scale=start_scale, keep_background=keep_background, fit=fit, seed=seed, to=to,
        )  # fmt: skip

    command.__name__, command.__doc__ = task, help
    return command


harmonize = _masked(
    "harmonize", "harmonization", "Give an object pasted into a picture that picture's colours and strokes."
)
edit = _masked("edit", "editing", "Make a clumsy edit of a picture (regions copied, moved, removed) look natural.")


def paint(
    talk: Talk,
    pictures: PICTURES,
    start_scale: SCALE = None,
    quantize: Annotated[bool, typer.Option("--quantize", help="few colours; trains the start scale anew")] = False,
    colours: Annotated[int | None, typer.Option(help="how many, with --quantize (5)", min=2, max=64)] = None,
    quantize_as: Annotated[
        Literal["colours", "triples"] | None,
        typer.Option(help="what is grouped: colours, or as the official code does"),
    ] = None,
    background: BACKGROUND = None,
    fit: FIT = False,
    seed: SEED = 0,
    matte: MATTE = "white",
    to: TO = None,
    device: DEVICE = "auto",
    out: OUT = Path("runs"),
    family: FAMILY = None,
    preset: PRESET = None,
    sets: SETS = None,
    max_time: LIMIT = None,
) -> Result:
    """Turn a coarse painting into a picture like the one trained on."""
    tuning = None
    if not quantize and (colours is not None or quantize_as is not None):
        raise UsageError("--colours and --quantize-as belong to --quantize.", "Add --quantize.")
    if quantize and start_scale is None:
        talk.say("The sheet is drawn without --quantize: the scale that you choose is then trained anew.")
    elif quantize:
        count = colours or 5
        options = {"only_scale": start_scale, "quantize": count, "quantize_rows": quantize_as or "colours"}
        tuning = Tuning(options, f"paint-{start_scale}-{count}", False, "has no scale to train anew")
    return _repaint(
        talk, "paint", pictures, background, Training(family, preset, sets, max_time, device, out, matte), tuning,
        start_scale=start_scale, fit=fit, seed=seed, to=to,
    )  # fmt: skip


def _fine_tuning(mode: str, wanted: bool, steps: int | None) -> Tuning | None:
    if not wanted:
        if steps is not None:
            raise UsageError("--fine-tune-steps without --fine-tune does nothing.", "Add --fine-tune.")
        return None
    options: dict[str, Any] = {"fine_tune": True, **({"iterations": steps} if steps is not None else {})}
    return Tuning(options, f"fine-tuned-{mode}", True, "is not fine-tuned: name a start scale instead")


def _repaint(
    talk: Talk,
    task: Task,
    pictures: Sequence[str],
    background: Path | None,
    training: Training,
    tuning: Tuning | None,
    **how: Any,
) -> Result:
    from gantool.tasks.fitting import check_can
    from gantool.tasks.repaint import check_request, read_inputs, repaint
    from gantool.tasks.runs import open_run

    run, picture = _run_and_picture(task, pictures, background)
    mask, threshold, fit = how.get("mask"), how.get("mask_threshold", 0), how["fit"]
    check_request(threshold, how["seed"], how["to"])

    def check(plan: Plan) -> None:
        """Before a training that may take long: what can be refused is refused now."""
        if tuning is not None:
            _check_tuning(tuning, plan.spec)
        if how["start_scale"] is not None:
            from gantool.nn.single_image import check_start

            check_start(how["start_scale"], plan.injection_scales)
        read_inputs(task, plan.picture.source, picture, mask, threshold, fit, training.matte, lambda _: None)

    if background is not None:
        found = run_for(talk, task, background, training, check=check)
    else:
        if training.changed:
            raise UsageError(
                f"{training.changed[0]} is for a training, and {run} is a run.", "Leave it out, or use --background."
            )
        found = open_run(str(run), training.out)
        check_can(found.spec, task)
        if tuning is not None:
            _check_tuning(tuning, found.spec)

    def prepared(inputs: Inputs, parent: Run) -> Run:
        return parent if tuning is None else _tuned(talk, parent, tuning, inputs, training.device)

    drawn = repaint(
        task, found, picture, background=training.matte, device=training.device, say=talk.say,
        progress=tracker(talk, "Drawing"), prepared=prepared, **how,
    )  # fmt: skip
    return _result(talk, found, drawn)


def _run_and_picture(task: str, words: Sequence[str], background: Path | None) -> tuple[str | None, Path]:
    if background is not None and len(words) == 1:
        return None, Path(words[0])
    if background is None and len(words) == 2 and Path(words[0]).is_file():
        raise UsageError(
            f"{words[0]} is a picture, not a run.",
            f"To train on it: gantool {task} --background {shlex.join(words)}",
        )
    if background is None and len(words) == 2:
        return words[0], Path(words[1])
    if background is not None:
        raise UsageError("--background takes the place of a run.", f"gantool {task} --background PICTURE PICTURE")
    raise UsageError(
        f"`gantool {task}` takes a run and one picture.",
        f"gantool {task} RUN PICTURE, or gantool {task} --background PICTURE PICTURE to train at once.",
    )


def _check_tuning(tuning: Tuning, spec: FamilySpec) -> None:
    from gantool.options import option_infos

    if not set(tuning.options) <= {info.name for info in option_infos(spec.config)}:
        raise UsageError(f"{spec.title} {tuning.why_not}.", f"`gantool info {spec.name}` says more.")


def _tuned(talk: Talk, parent: Run, tuning: Tuning, inputs: Inputs, device: str) -> Run:
    from gantool.tasks.tune import tune

    def go(watcher: Watcher, stop: Stopper) -> Run:
        def created(run: Run) -> None:
            watcher.created(run)
            talk.say(f"Training on: {run.path}")

        return tune(
            parent, tuning.name, tuning.options, guide=inputs.image if tuning.guided else None, device=device,
            callbacks=[watcher], stop=stop, say=talk.say, created=created,
        )  # fmt: skip

    return guarded(talk, go)


def _result(talk: Talk, run: Run, drawn: Repainted) -> Result:
    from gantool.tasks.repaint import in_words

    for line in in_words(drawn.numbers):
        talk.say(line)
    if len(drawn.results) > 1:
        talk.say("Choose one: the same command with --start-scale N.")
    data = {
        "run": str(run.path),
        "folder": str(drawn.folder),
        "files": [str(file) for file in drawn.files],
        "results": {str(scale): str(file) for scale, file in drawn.results.items()},
        "sheet": str(drawn.sheet) if drawn.sheet else None,
        "numbers": drawn.numbers,
    }
    only = next(iter(drawn.results.values()))
    shown = drawn.sheet if drawn.sheet and len(drawn.results) > 1 else only
    return Result(data, [str(shown)])
