"""What a report shows of a model that draws level by level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantool.data.image import to_uint8
from gantool.data.sheet import contact_sheet
from gantool.family import RefineRequest, Refines
from gantool.tasks import report_page as html
from gantool.tasks.refine import level_sheet
from gantool.tasks.report_pictures import image

if TYPE_CHECKING:
    from gantool.engine.model import GanModel

STARTS, DRAWS = 2, 3
COLUMNS = 8  # of a preview
CELL = 96  # pixels that a picture is enlarged to at most


def from_coarse_to_fine(model: GanModel, seeds: Sequence[int], classes: int) -> list[str]:
    """Draws on the starts of the first seeds, a column for each level.

    Nothing for a model that draws all at once, or whose finer levels are not trained: then all draws are the same.
    """
    if not isinstance(model, Refines) or len(model.level_sides) < 2:
        return []
    shown = []
    for seed in seeds[:STARTS]:
        label = seed % classes if classes else None
        labels = None if label is None else [label] * DRAWS
        start = model.start([seed], 0, labels and labels[:1])
        levels = [to_uint8(pictures) for pictures in model.refine(RefineRequest(start, 0, range(DRAWS), labels))]
        if (levels[-1] == levels[-1][:1]).all():
            return []
        rows = [[pictures[draw] for pictures in levels] for draw in range(DRAWS)]
        caption = f"{DRAWS} draws on the start of seed {seed}"
        shown.append(image(level_sheet(rows, model.level_sides), f"From coarse to fine, {caption}", caption))
    text = "Each row is a draw: the start is the same, the noise of every level above it is not."
    return ["<h3>From coarse to fine</h3>", html.paragraph(text, "soft"), html.figures(shown)]


def on_real_pictures(model: GanModel) -> list[str]:
    """What a model draws that does not draw from noise alone, or that lacks coarser levels; nothing if it has none."""
    if not model.rows:
        return []
    pictures = to_uint8(model.preview())
    height, width = pictures.shape[1:3]
    sheet = contact_sheet(list(pictures), columns=COLUMNS, gap=1)
    lacking = isinstance(model, Refines)
    caption = (
        "real pictures, and draws on their coarse versions" if lacking else "real pictures, and what becomes of them"
    )
    shown = image(sheet, "Draws on real pictures", caption)
    why = "This run lacks coarser levels, and cannot draw from noise alone. " if lacking else ""
    return [
        "<h3>On real pictures</h3>",
        html.paragraph(f"{why}{model.rows}", "soft"),
        html.figure(shown, html.enlargement(height, width, CELL)),
    ]
