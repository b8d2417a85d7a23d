"""What a report shows of a run on a data set: grids of samples, previews over time, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantool.data.image import load_picture, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.errors import GantoolError
from gantool.family import InterpolateRequest, Interpolates, Refines, SampleRequest
from gantool.tasks import report_page as html
from gantool.tasks.balance import EARLY
from gantool.tasks.curves import WATCHED, Panel, boundaries, is_number, on_set, panels, stage_name, step_of, whole
from gantool.tasks.report_levels import from_coarse_to_fine, on_real_pictures
from gantool.tasks.report_pictures import LARGEST_PREVIEW, image
from gantool.tasks.report_plot import plot, thinned
from gantool.tasks.runs import PIECES, Run

if TYPE_CHECKING:
    from gantool.engine.model import GanModel

ROWS = 8  # of samples of a model without classes
MOST_COLUMNS = 16
CELL = 56  # pixels that a small picture is enlarged to at most
MOST_CLASSES = 20  # rows of samples
SHEETS, OF_STAGES = 6, 9  # previews shown of one stage, and of several together; two of each at least
ROOM = 320  # pixels that a preview is wide at most
MOST_WARNINGS = 50
MOST_NAMES = 100  # of classes
FAR = 10**6  # more plots than a page has


def grids(model: GanModel, seeds: Sequence[int], names: Sequence[str]) -> list[str]:
    """Samples, a row for each class where there are classes, levels where there are levels, and a way through them.

    Args:
        seeds: of a row; of a model without classes, of the first one, and the following rows go on from there.
        names: of the classes, by label; those that are missing go by their label.
    """
    seeds, classes = list(seeds)[:MOST_COLUMNS], getattr(getattr(model, "shape", None), "classes", 0)
    try:
        if not model.complete:
            return on_real_pictures(model)
        if classes:
            parts = _rows_of_classes(model, seeds, classes, names)
        else:
            many = range(seeds[0], seeds[0] + ROWS * len(seeds))
            grid = _sheet(model, SampleRequest(many), len(seeds), f"seeds {many[0]} to {many[-1]}", "Samples")
            parts = [html.figure(grid, _factor(model))]
        parts += from_coarse_to_fine(model, seeds, classes)
        if len(seeds) > 1:
            parts += _way(model, seeds[:2], classes)
    except (GantoolError, ValueError) as error:  # a request the family refuses; NaN in the pictures
        return [html.paragraph(f"No samples could be drawn: {error}", "warn")]
    return ["<h3>Samples</h3>", *parts]


def _rows_of_classes(model: GanModel, seeds: Sequence[int], classes: int, names: Sequence[str]) -> list[str]:
    shown = thinned(classes, MOST_CLASSES)
    rest = f", {len(shown)} of {classes} classes" if len(shown) < classes else ""
    text = f"Seeds {seeds[0]} to {seeds[-1]} from left to right, the same noise for each class{rest}."
    rows = []
    for label in shown:
        name = names[label] if label < len(names) else str(label)
        request = SampleRequest(seeds, labels=[label] * len(seeds))
        rows.append(_sheet(model, request, len(seeds), name, f"Samples of class {name}"))
    return [html.paragraph(text, "soft"), html.figures(rows, _factor(model))]


def _sheet(model: GanModel, request: SampleRequest, columns: int, caption: str, alt: str) -> html.Image:
    return image(contact_sheet(list(to_uint8(model.sample(request))), columns=columns, gap=1), alt, caption)


def _factor(model: GanModel) -> int:
    shape = getattr(model, "shape", None)
    height, width = (shape.height, shape.width) if shape else model.stages()[-1].size
    return html.enlargement(height, width, CELL)


def _way(model: GanModel, seeds: Sequence[int], classes: int) -> list[str]:
    """Nothing for a model that cannot."""
    if not isinstance(model, Interpolates):
        return []
    labels = [0] * len(seeds) if classes else None
    frames = [to_uint8(frame)[0] for frame in model.interpolate(InterpolateRequest(seeds, 9, labels))]
    sheet = contact_sheet(frames, columns=len(frames), gap=1)
    shown = image(sheet, "A way through latent space", f"from seed {seeds[0]} to seed {seeds[1]}")
    return [
        "<h3>From one to the other</h3>",
        html.figure(shown, html.enlargement(frames[0].shape[0], frames[0].shape[1], 64)),
    ]


def previews_over_time(run: Run, schedule: Sequence[int], model: GanModel | None = None) -> list[str]:
    """Some of the sheets drawn while it trained, from the first to the last; nothing where there are none.

    Args:
        schedule: steps of each stage.
        model: that was trained, as far as it is known.
    """
    groups = _sheets(run, schedule)
    each = SHEETS if len(groups) == 1 else max(2, OF_STAGES // max(1, len(groups)))
    parts, problems = list[str](), list[str]()
    for stage, sheets in groups:
        images = []
        for file, step in (sheets[i] for i in thinned(len(sheets), each)):
            try:
                pixels = load_picture(file).pixels
            except GantoolError as error:
                problems.append(html.paragraph(str(error), "warn"))
                continue
            alt = f"Preview of {stage}, step {step}" if stage else f"Preview of step {step}"
            images.append(image(pixels, alt, f"step {step}", LARGEST_PREVIEW))
        if images:
            factor = min(1.0, ROOM / max(picture.width for picture in images))
            parts.append(html.figures(images, factor, stage))
    if not parts:
        return problems
    text = "The same noise again and again, as training went on."
    if model is not None and model.rows:
        if not isinstance(model, Refines):
            text = f"The same again and again, as training went on. {model.rows}"
        elif not model.complete or (run.path / PIECES).is_dir():
            text += f" Where coarser levels were lacking: {model.rows}"
    return ["<h3>Previews</h3>", html.paragraph(text, "soft"), *parts, *problems]


def _sheets(run: Run, schedule: Sequence[int]) -> list[tuple[str, list[tuple[Path, int]]]]:
    """Sheets with the step that they are of: of each stage of several, and counted from its beginning; else of all."""
    pieces = sorted((run.path / PIECES).glob("*"), key=lambda path: (len(path.name), path.name))
    if pieces:
        named = ((stage_name(run, index), _numbered(piece / "previews")) for index, piece in enumerate(pieces))
        return [(name, sheets) for name, sheets in named if sheets]
    found = _numbered(run.path / "previews")
    if len(schedule) < 2 or not on_set(run):
        return [("", found)] if found else []
    groups, before = [], 0
    for stage, steps in enumerate(schedule):
        mine = [(file, total - before) for file, total in found if before < total <= before + steps]
        groups += [(stage_name(run, stage), mine)] if mine else []
        before += steps
    return groups


def _numbered(folder: Path) -> list[tuple[Path, int]]:
    """Sheets with the number in their name."""
    found = [(file, file.stem.removeprefix("step-")) for file in sorted(folder.glob("step-*.png"))]
    return [(file, int(number)) for file, number in found if number.isdecimal()]


def watched(run: Run) -> list[str]:
    """A section of warnings and of what was measured on samples while it trained; none where nobody watched."""
    entries = run.dir.watched()
    if not entries:
        return []
    rows = [
        html.Row([step_of(run, entry), str(warning.get("text", ""))])
        for entry in entries
        if is_number(entry["total"])
        for warning in _warnings(entry)
    ]
    parts = [html.table(["Step", "Warning"], rows[-MOST_WARNINGS:])] if rows else []
    checks = whole(entries, ("total", "stage", "step"))
    found = [panel for panel in panels(checks, WATCHED) if panel.name in {group.name for group in WATCHED}]
    if not rows and found:
        early = max(entry["step"] for entry in checks) <= EARLY
        nothing = "Neither imbalance of the players nor collapse of the samples was found."
        parts.append(html.paragraph(f"Too short to judge: that begins after step {EARLY}." if early else nothing))
    stages = boundaries(checks, partial(stage_name, run))
    plots = [(panel.title, drawn(panel, stages, f"area-{FAR + number}")) for number, panel in enumerate(found)]
    return [html.section("Watched while it trained", *parts, html.plots(plots) if plots else "")]


def _warnings(entry: dict[str, Any]) -> list[dict[str, Any]]:
    warnings = entry.get("warnings")
    return [warning for warning in warnings if isinstance(warning, dict)] if isinstance(warnings, list) else []


def drawn(panel: Panel, stages: Sequence[tuple[float, str]], key: str) -> str:
    """A panel as an <svg>, and what its colours mean where that is not its title."""
    names = [curve.name for curve in panel.curves]
    legend = html.legend(names) if names != [panel.title] else ""
    return plot(panel.curves, stages, key, panel.limits) + legend


def input_facts(data: dict[str, Any]) -> dict[str, str]:
    """What run.json says of a data set, for people."""
    names, counts = data.get("classes"), data.get("counts")
    classes = ""
    if isinstance(names, list) and names:
        told = [str(name) for name in names[:MOST_NAMES]]
        if isinstance(counts, list) and len(counts) == len(names):
            told = [f"{name} ({count})" for name, count in zip(told, counts, strict=False)]
        classes = f"{len(names)}: {', '.join(told)}{', …' if len(names) > MOST_NAMES else ''}"
    return {
        "Data": str(data.get("path", "")),
        "Kind": str(data.get("source", "")),
        "Pictures": f"{data['pictures']:,}" if isinstance(data.get("pictures"), int) else "",
        "Classes": classes,
        "Trained on": {"1": "grey pictures", "3": "colour pictures"}.get(str(data.get("channels")), ""),
    }
