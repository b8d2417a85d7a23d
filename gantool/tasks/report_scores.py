"""What `--eval` measured, as a section of a run's report."""

from __future__ import annotations

import math
from typing import Any

from gantool.tasks import report_page as html
from gantool.tasks.curves import step_of
from gantool.tasks.runs import Run

MOST = 60  # of the newest measurements are shown


def measured(run: Run) -> list[str]:
    """A section with the newest measurements, oldest first; none where nothing was measured."""
    rows = [
        html.Row(
            [
                step_of(run, entry), str(entry["metric"]), _figures(entry.get("values")),
                _count(entry.get("protocol")),
            ]
        )
        for entry in run.dir.scores()[-MOST:]
    ]  # fmt: skip
    if not rows:
        return []
    table = html.table(["Step", "Metric", "Figures", "Pictures"], rows, numbers=(3,))
    return [html.section("Measured while it trained", table)]


def _figures(values: object) -> str:
    """The finite ones: people may edit the file."""
    named = values.items() if isinstance(values, dict) else ()
    return ", ".join(
        f"{name} {value:.5g}" for name, value in named if isinstance(value, int | float) and math.isfinite(value)
    )


def _count(protocol: Any) -> str:
    """Of the pictures that were measured: samples, or those of --val."""
    sides = protocol if isinstance(protocol, dict) else {}
    side = sides.get("fake") or sides.get("pictures")
    count = side.get("n") if isinstance(side, dict) else side
    return str(count) if isinstance(count, int) else ""
