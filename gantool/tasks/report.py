"""One HTML file that tells what a run did: pictures, figures, curves, settings, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantool.data.image import load_picture
from gantool.engine.checkpoint import State
from gantool.engine.rundir import now
from gantool.errors import GantoolError, RunError, UsageError
from gantool.family import FamilySpec, Reconstructs
from gantool.files import atomic_write
from gantool.options import option_infos
from gantool.settings import Settings
from gantool.tasks import report_page as html
from gantool.tasks.curves import boundaries, games, logged, measured_names, panels, stage_name
from gantool.tasks.report_pictures import LARGEST_PREVIEW, image, pictures, short
from gantool.tasks.report_scores import measured
from gantool.tasks.report_sets import drawn, grids, input_facts, previews_over_time, watched
from gantool.tasks.runs import DEFAULT_OUT, PIECES, Run, open_run
from gantool.wording import duration

if TYPE_CHECKING:
    from gantool.engine.model import GanModel, Stage

MOST_SAMPLES = 64
ON_A_PICTURE = ["--coarse", "picture.png"]

_STATUS = {
    "finished": "All stages were trained.",
    "running": "It is being trained now; this is how it stood.",
    "interrupted": "It was stopped and saved; it can be resumed.",
    "killed": "Its process ended without a word; it can be resumed from its newest checkpoint.",
    "diverged": "Losses or weights were not finite any more; checkpoints are from before.",
    "failed": "An error ended it; it can be resumed from its newest checkpoint.",
}


@dataclass
class _Facts:
    """What could be gathered of a run; what is missing is told in `notes`."""

    run: Run
    info: dict[str, Any]
    status: str
    spec: FamilySpec | None = None
    tables: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    state: State | None = None
    model: GanModel | None = None
    stages: list[Stage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def losses(self) -> list[str]:
        """Names of the losses in the log, in order of appearance."""
        return measured_names(self.log)

    @property
    def schedule(self) -> list[int]:
        """Steps of each stage, as fitted."""
        return self.state.schedule if self.state else [stage.steps for stage in self.stages]

    @property
    def draws(self) -> bool:
        """Whether the model draws from noise alone, as far as one knows."""
        return self.model is None or self.model.complete

    @property
    def seconds(self) -> float:
        """Training time over all sessions."""
        logged = self.log[-1]["seconds"] if self.log else 0.0
        return max(float(logged), self.state.seconds if self.state else 0.0)


def report(
    run: str | Path | Run,
    *,
    out: str | Path = DEFAULT_OUT,
    to: str | Path | None = None,
    samples: int = 8,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write a run's report: one HTML file that needs nothing else to be read.

    Works for a run in any state: what cannot be had (no checkpoint yet, a family that is not installed, a torn
    log) is said on the page instead. Pictures are drawn on the CPU, so that a training on a GPU is left alone.

    Args:
        run: path, id prefix, `latest` or a Run.
        to: the file, or an existing folder to put ID.html into; None is the run's own report.html.
            A report that is there already is written anew; any other file is left alone.
        samples: how many to draw, 1 to 64; of a family of sets, the columns of the grid, where 16 suffice.
        seed: of the first sample; the others follow.

    Returns:
        The file.

    Raises:
        RunError: there is no such run, or the file cannot be written.
        UsageError: a number of samples or a seed that cannot be.
    """
    found = open_run(run, out)
    if not 1 <= samples <= MOST_SAMPLES:
        raise UsageError(f"{samples} samples do not go on a report.", f"Use 1 to {MOST_SAMPLES}.")
    if not 0 <= seed < 2**63 - samples:
        raise UsageError(f"{seed} is no seed.", "Use 0 or more, below 2^63.")
    target = _target(found, to)
    facts = _gather(found, say)
    seeds = list(range(seed, seed + samples))
    sections = [
        html.section("Pictures", *_samples(facts, seeds)),
        html.section("How the losses went", *_curves(facts)),
        *watched(found),
        *measured(found),
        html.section(
            "Stage by stage",
            _stage_table(facts),
            *(previews_over_time(found, facts.schedule, facts.model) or _previews(facts)),
        ),
        html.section("Settings", *_settings(facts)),
        html.section("Input", _input(facts)),
        html.section("Again", *_commands(facts)),
    ]
    notes = [html.paragraph(note, "warn") for note in dict.fromkeys(facts.notes)]
    title = f"{facts.spec.title if facts.spec else facts.info['family']}: {facts.info.get('name') or found.id}"
    foot = f"Written by gantool on {now()}."
    text = html.page(title, _head(facts) + "".join(notes), sections, foot)
    atomic_write(target, text.encode("utf-8", "replace"), sync=False)
    return target


def _samples(facts: _Facts, seeds: list[int]) -> list[str]:
    if not facts.model:
        return [html.paragraph("There are no samples: see above.")]
    if facts.spec and facts.spec.data == "set":
        names = _dict(facts.info.get("data")).get("classes")
        return grids(facts.model, seeds, list(map(str, names)) if isinstance(names, list) else [])
    return pictures(facts.model, seeds)


def _target(run: Run, to: str | Path | None) -> Path:
    if to is None:
        return run.path / "report.html"
    path = Path(to) / f"{run.id}.html" if Path(to).is_dir() else Path(to)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            ours = html.GENERATOR in file.read(1000)
    except OSError:
        return path  # not there, or not readable: writing will say
    if not ours:
        raise RunError(f"{path} exists and is no report of gantool.", "Name another file.")
    return path


# --- gathering ----------------------------------------------------------------------------------------------


def _gather(run: Run, say: Callable[[str], None]) -> _Facts:
    facts = _Facts(run, run.dir.info(), run.dir.status())

    def note(sentence: str) -> None:
        say(sentence)
        facts.notes.append(sentence)

    def attempt(what: str, action: Callable[[], None]) -> None:
        try:
            action()
        except GantoolError as error:
            note(f"{what}: {error}")

    def spec() -> None:
        facts.spec = run.spec

    def tables() -> None:
        facts.tables = run.tables

    def state() -> None:
        facts.state = run.state()
        if facts.state is None:
            note("There is no checkpoint yet, so no samples can be drawn.")
            for piece in sorted(run.path.glob(f"{PIECES}/*/run.json")):
                note(f"A part of it is trained by itself; see: gantool report {shlex.quote(str(piece.parent))}")

    def model() -> None:
        import torch

        if facts.state is None:
            facts.stages = run.new_model(torch.device("cpu")).stages()
            return
        facts.model = run.load("cpu", note)
        facts.stages = facts.model.stages()

    attempt("The family cannot be used, so no samples can be drawn", spec)
    attempt("The settings cannot be read", tables)
    attempt("The checkpoints cannot be used", state)
    if facts.spec and facts.tables:
        attempt("The model cannot be built", model)
    facts.log = logged(run.dir)
    return facts


# --- heading ------------------------------------------------------------------------------------------------


def _head(facts: _Facts) -> str:
    info, spec = facts.info, facts.spec
    versions = _dict(info.get("versions"))
    sentence = _STATUS.get(facts.status, "")
    if facts.state and facts.status != "finished":
        done, planned = facts.state.total, sum(facts.state.schedule)
        sentence += f" The newest checkpoint has {done} of {planned} steps."
    pairs = {
        "Run": facts.run.id,
        "Family": f"{spec.title} ({spec.year})" if spec else str(info["family"]),
        "Preset": _text(info.get("preset")),
        "Seed": _text(info.get("seed")),
        "Started": _text(info.get("started")),
        "Ended": _text(info.get("ended")) if facts.status != "running" else "",
        "Training time": duration(facts.seconds) if facts.seconds else "",
        "Pictures seen": f"{facts.log[-1]['images']:,.0f}" if facts.log and "images" in facts.log[-1] else "",
        "Device": _text(info.get("device")),
        "Versions": ", ".join(f"{name} {value}" for name, value in versions.items()),
    }
    return html.status_line(facts.status, sentence.strip()) + html.facts(pairs)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)


# --- curves, stages, previews -------------------------------------------------------------------------------


def _curves(facts: _Facts) -> list[str]:
    if not facts.log:
        return [html.paragraph("There are no logged losses.")]
    keys, parts = count(), list[str]()
    apart = games(facts.run, facts.log)
    for name, entries in apart:
        stages = boundaries(entries)
        shown = [(panel.title, drawn(panel, stages, f"area-{next(keys)}")) for panel in panels(entries)]
        parts.append(html.plots(shown, name))
    parted = "Dashed lines part the stages, numbered above. " if len(stages) > 1 else ""
    parted = "Each stage is a game of its own, and its steps count from its beginning. " if len(apart) > 1 else parted
    text = (
        "Points are logged values, lines their moving average within a stage (over a tenth of its points). "
        f"{parted}Values far from the rest are left outside and counted."
    )
    return [html.paragraph(text, "soft"), *parts]


def _stage_table(facts: _Facts) -> str:
    schedule = facts.schedule
    last = {entry["stage"]: entry for entry in facts.log}
    number = max([len(schedule), len(facts.stages), *(stage + 1 for stage in last if stage < 1000)])
    if not number:
        return ""
    rows, before, total = [], 0.0, 0
    for index in range(number):
        entry = last.get(index)
        stage = facts.stages[index] if index < len(facts.stages) else None
        done = int(entry["step"]) if entry else 0
        if facts.state and facts.state.stage == index:
            done = max(done, facts.state.step)
        planned = schedule[index] if index < len(schedule) else None
        seconds = max(0.0, entry["seconds"] - before) if entry else 0.0
        before = entry["seconds"] if entry else before
        total += done
        rows.append(
            html.Row(
                [
                    stage.name if stage else stage_name(facts.run, index),
                    f"{stage.size[1]} × {stage.size[0]}" if stage else "",
                    f"{done}" if planned in (None, done) else f"{done} of {planned}",
                    duration(seconds) if entry else "",
                    short(seconds / entry["step"]) if entry and entry["step"] else "",
                    *(short(entry[name]) if entry and name in entry else "" for name in facts.losses),
                ]
            )
        )
    each = short(before / total) if total and before else ""
    cells = ["all", "", str(total), duration(facts.seconds), each, *("" for _ in facts.losses)]
    head = ["Stage", "Pixels", "Steps", "Time", "Seconds a step", *facts.losses]
    caption = "Losses are the last ones logged in the stage; time is training alone, without previews."
    return html.table(head, [*rows, html.Row(cells, "total")], numbers=range(1, len(head)), caption=caption)


def _previews(facts: _Facts) -> list[str]:
    images: list[html.Image] = []
    problems: list[str] = []
    for file in sorted((facts.run.path / "previews").glob("stage-*.png")):
        try:
            pixels = load_picture(file).pixels
        except GantoolError as error:
            problems.append(html.paragraph(str(error), "warn"))
            continue
        number = file.stem.removeprefix("stage-").lstrip("0")
        images.append(image(pixels, f"Preview after stage {number}", f"after stage {number}", LARGEST_PREVIEW))
    if not images:
        return problems
    text = html.paragraph("Drawn at the end of each stage from fixed noise, all to one scale.", "soft")
    factor = html.enlargement(1, max(shown.width for shown in images), 1040)
    return ["<h3>Previews</h3>", text, *(html.figure(shown, factor) for shown in images), *problems]


# --- settings, input, commands ------------------------------------------------------------------------------


def _settings(facts: _Facts) -> list[str]:
    if not facts.tables:
        return []
    config = facts.spec.config if facts.spec else None
    origins = facts.info.get("origins")
    text = "Highlighted: other than the family's default." if config else "The family's defaults are not known."
    return [
        html.paragraph(text, "soft"),
        _options(facts.tables.get("options"), config, origins),
        "<h3>Of the run</h3>",
        _options(facts.tables.get("run"), Settings, origins),
    ]


def _options(values: object, config: type | None, origins: object) -> str:
    """Every option with its value and, where run.json knows, its origin; one that is not written is None."""
    given = _dict(values)
    infos = {info.name: info for info in option_infos(config)} if config else {}
    rows = []
    for name in [*infos, *(name for name in given if name not in infos)]:
        info, value = infos.get(name), given.get(name)
        changed = info is not None and value != info.default
        origin = _dict(origins).get(name, "drawn" if changed else "default") if origins is not None else ""
        help = info.help if info else "not known to this version" if config else ""
        default = _value(info.default) if info and changed else ""
        cells = [name, _value(value), default, str(origin), help]
        rows.append(html.Row(cells, "changed" if changed else ""))
    return html.table(("Option", "Value", "Default", "From", "What it is"), rows)


def _value(value: object) -> str:
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _input(facts: _Facts) -> str:
    data = _dict(facts.info.get("data"))
    size = f"{data['width']} × {data['height']} pixels" if {"width", "height"} <= data.keys() else ""
    notes = data.get("notes")
    a_set = data.get("kind") == "set"
    return html.facts(
        {
            **(input_facts(data) if a_set else {}),
            "File": Path(str(data["path"])).name if data.get("path") and not a_set else "",
            "Size": size,
            "SHA-256": _text(data.get("sha256")),
            "Notes": " ".join(map(str, notes)) if isinstance(notes, list) else "",
            "Background": _text(data.get("background")),
        }
    )


def _commands(facts: _Facts) -> list[str]:
    """Lines for a shell, as seen from where the report was written."""
    run, info = str(facts.run.path), facts.info
    data = _dict(info.get("data"))
    kept = next(iter(sorted(facts.run.path.glob("input.*")) or sorted(facts.run.path.glob("input"))), None)
    trained_on = data.get("path") if data.get("kind") == "set" else kept
    again = ["gantool", "train", str(info["family"]), str(trained_on or facts.run.path / "input.png")]
    again += ["--config", str(facts.run.dir.config_file)]
    background = data.get("background", "white")
    if background != "white":
        again += ["--background", str(background)]
    if info.get("name"):
        again += ["--name", str(info["name"])]
    parts = [html.command("Train it again from the beginning", shlex.join(again))]
    if facts.tables.get("run", {}).get("max_time"):
        parts.append(
            html.paragraph("The schedule was fitted to a time limit; it may be fitted otherwise the next time.")
        )
    if facts.status != "finished":
        parts.append(html.command("Go on with it", shlex.join(["gantool", "resume", run])))
    if facts.spec and "sample" not in facts.spec.tasks:
        return [*parts, html.command("Use it", facts.spec.next.format(run=shlex.quote(run)))]
    draw = ["gantool", "sample", run, "-n", "16"]
    parts.append(html.command("Draw more samples", shlex.join([*draw, *([] if facts.draws else ON_A_PICTURE)])))
    if isinstance(facts.model, Reconstructs):
        height, width = facts.stages[-1].size
        wide = [*draw, "--size", f"{round(1.5 * width)}x{height}"]
        parts.append(html.command("Draw them half again as wide", shlex.join(wide)))
    return parts
