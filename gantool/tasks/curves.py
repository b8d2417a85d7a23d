"""What a run's logs hold, as curves: which belong into one plot, and what they are called there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gantool.engine.rundir import RunDir
from gantool.tasks.report_plot import Curve
from gantool.tasks.runs import Run

PLACE = ("total", "stage", "step", "seconds")  # where an entry of the log stands
MOST_APART = 16  # stages that have plots of their own
COUNTS = ("images",)  # what it counts; everything else is measured

Entry = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Curves that are read together.

    Attributes:
        name: of the plot's file.
        title: of the plot.
        curves: what each is called in the plot, by its name in the log.
        limits: of the values, where they are known; None: as the values are.
    """

    name: str
    title: str
    curves: Mapping[str, str]
    limits: tuple[float, float] | None = None


GROUPS = (
    Group("losses", "Losses", {"d_loss": "discriminator", "g_loss": "generator"}),
    Group("adversarial", "Adversarial loss of the generator", {"adversarial": "generator"}),
    Group("l1", "Difference from the true pictures (L1)", {"l1": "mean of pixels"}),
    Group("content", "Content loss", {"content": "features of VGG19", "mse": "MSE of pixels"}),
    Group("scores", "Scores by the discriminator", {"score_real": "real pictures", "score_fake": "fakes"}),
    Group("accuracy", "Share judged rightly", {"acc_real": "real pictures", "acc_fake": "fakes"}, (0, 1)),
    Group("classes", "Share of classes named rightly", {"class_real": "real pictures", "class_fake": "fakes"}, (0, 1)),
    Group("apart", "Distance of two draws on one start", {"apart": "Distance of two draws on one start"}),
    Group("gradients", "Norm of the gradients", {"grad_d": "discriminator", "grad_g": "generator"}),
)
WATCHED = (
    Group(
        "similarity", "Similarity of pairs (MS-SSIM)", {"ms_ssim": "samples", "ms_ssim_real": "real pictures"}, (0, 1)
    ),
    Group("coverage", "Share of classes shown", {"coverage": "samples", "coverage_real": "real pictures"}, (0, 1)),
)


@dataclass(frozen=True)
class Panel:
    """A plot to draw: a file's name, a title, one curve or more, and limits of the values or None."""

    name: str
    title: str
    curves: Sequence[Curve]
    limits: tuple[float, float] | None = field(default=None)


def logged(run: RunDir) -> list[Entry]:
    """The log entries that say where they stand, with what they count and measure; people may edit the file."""
    return whole(run.metrics())


def whole(entries: Iterable[Entry], place: Sequence[str] = PLACE) -> list[Entry]:
    """Entries that have finite numbers in `place`, with their other finite numbers."""
    kept = []
    for entry in entries:
        if all(is_number(entry.get(key)) and entry[key] >= 0 for key in place):
            values = {str(k): float(v) for k, v in entry.items() if k not in place and is_number(v)}
            kept.append({**{key: entry[key] for key in place}, "stage": int(entry["stage"]), **values})
    return kept


def is_number(value: object) -> bool:
    """Finite, and neither True nor False."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def measured_names(entries: Iterable[Entry]) -> list[str]:
    """Names of what was measured, in order of appearance."""
    skipped = {*PLACE, *COUNTS}
    return list(dict.fromkeys(key for entry in entries for key in entry if key not in skipped))


def panels(entries: Sequence[Entry], groups: Sequence[Group] = GROUPS) -> list[Panel]:
    """The groups of which there is anything, then what is in none of them, each by itself."""
    names = measured_names(entries)
    found = []
    for group in groups:
        curves = [curve(entries, name, label) for name, label in group.curves.items() if name in names]
        if curves:
            found.append(Panel(group.name, group.title, curves, group.limits))
    grouped = {name for group in groups for name in group.curves}
    return found + [Panel(name, name, [curve(entries, name, name)]) for name in names if name not in grouped]


def games(run: Run, entries: Sequence[Entry]) -> list[tuple[str, Sequence[Entry]]]:
    """What belongs into plots of its own, with its name; all of it, without a name, where that is one game.

    Each stage of a training on a set is a game of its own, whose "total" is counted from its beginning. The stages of
    one picture are too many for that, and much alike.
    """
    apart: dict[int, list[Entry]] = {}
    for entry in entries:
        apart.setdefault(entry["stage"], []).append({**entry, "total": entry["step"]})
    if not on_set(run) or not 1 < len(apart) <= MOST_APART:
        return [("", entries)]
    return [(stage_name(run, stage), apart[stage]) for stage in sorted(apart)]


def on_set(run: Run) -> bool:
    """Whether it trains on a set of pictures."""
    data = run.info.get("data")
    return isinstance(data, dict) and data.get("kind") == "set"


def step_of(run: Run, entry: Entry) -> str:
    """Where an entry of a log stands, for people: the step of all, or of a stage that is a game of its own."""
    stage, step = entry.get("stage"), entry.get("step")
    if not (on_set(run) and len(_stage_names(run)) > 1 and isinstance(stage, int) and is_number(step)):
        return str(entry["total"])
    return f"{stage_name(run, stage)}, step {step}"


def stage_name(run: Run, stage: int) -> str:
    """As run.json has it, else its number from 1."""
    names = _stage_names(run)
    return str(names[stage]) if 0 <= stage < len(names) else f"stage {stage + 1}"


def _stage_names(run: Run) -> list[Any]:
    """Those in run.json, which people may edit."""
    names = run.info.get("stages")
    return names if isinstance(names, list) else []


def curve(entries: Iterable[Entry], name: str, label: str) -> Curve:
    """What was measured under a name."""
    having = [entry for entry in entries if name in entry]
    return Curve(label, [e["total"] for e in having], [e["stage"] for e in having], [e[name] for e in having])


def boundaries(
    entries: Iterable[Entry], name: Callable[[int], str] = lambda stage: str(stage + 1)
) -> list[tuple[float, str]]:
    """(first step, number from 1 or other name) of each stage."""
    starts: dict[int, float] = {}
    for entry in entries:
        starts.setdefault(entry["stage"], max(0.0, entry["total"] - entry["step"]))
    return [(starts[stage], name(stage)) for stage in sorted(starts)]
