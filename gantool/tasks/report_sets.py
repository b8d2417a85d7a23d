"""What a report shows of a run on a data set: grids of samples, previews over time, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gantool.data.image import load_picture, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.errors import GantoolError
from gantool.family import InterpolateRequest, Interpolates, SampleRequest
from gantool.tasks import report_page as html
from gantool.tasks.balance import EARLY
from gantool.tasks.curves import WATCHED, Panel, boundaries, is_number, panels, whole
from gantool.tasks.report_pictures import LARGEST_PREVIEW, image
from gantool.tasks.report_plot import plot, thinned
from gantool.tasks.runs import Run

if TYPE_CHECKING:
    from gantool.engine.model import GanModel

ROWS = 8  # of samples of a model without classes
MOST_COLUMNS = 16
CELL = 56  # pixels that a small picture is enlarged to at most
MOST_CLASSES = 20  # rows of samples
SHEETS = 6  # previews shown
ROOM = 320  # pixels that a preview is wide at most
MOST_WARNINGS = 50
MOST_NAMES = 100  # of classes


def grids(model: GanModel, seeds: Sequence[int], names: Sequence[str]) -> list[str]:
    """Samples, a row for each class where there are classes, and a way from one to another.

    Args:
        seeds: of a row; of a model without classes, of the first one, and the following rows go on from there.
        names: of the classes, by label; those that are missing go by their label.
    """
    seeds, classes = list(seeds)[:MOST_COLUMNS], getattr(getattr(model, "shape", None), "classes", 0)
    try:
        if classes:
            parts = _rows_of_classes(model, seeds, classes, names)
        else:
            many = range(seeds[0], seeds[0] + ROWS * len(seeds))
            grid = _sheet(model, SampleRequest(many), len(seeds), f"seeds {many[0]} to {many[-1]}", "Samples")
            parts = [html.figure(grid, _factor(model))]
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
    size = model.stages()[-1].size
    return html.enlargement(*size, CELL)


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


def previews_over_time(run: Run) -> list[str]:
    """Up to `SHEETS` of the sheets drawn while it trained, from the first to the last; nothing where there are none."""
    files = sorted((run.path / "previews").glob("step-*.png"))
    images, problems = [], []
    for file in (files[i] for i in thinned(len(files), SHEETS)):
        try:
            pixels = load_picture(file).pixels
        except GantoolError as error:
            problems.append(html.paragraph(str(error), "warn"))
            continue
        number = file.stem.removeprefix("step-").lstrip("0") or "0"
        images.append(image(pixels, f"Preview of step {number}", f"step {number}", LARGEST_PREVIEW))
    if not images:
        return problems
    text = html.paragraph("The same noise again and again, as training went on.", "soft")
    factor = min(1.0, ROOM / max(shown.width for shown in images))
    return ["<h3>Previews</h3>", text, html.figures(images, factor), *problems]


def watched(run: Run) -> list[str]:
    """A section of warnings and of what was measured on samples while it trained; none where nobody watched."""
    entries = run.dir.watched()
    if not entries:
        return []
    rows = [
        html.Row([str(int(entry["total"])), str(warning.get("text", ""))])
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
    stages = boundaries(checks)
    plots = [(panel.title, drawn(panel, stages, f"area-{100 + number}")) for number, panel in enumerate(found)]
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
