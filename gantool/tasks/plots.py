"""A run's curves as PNG files, for slides and papers. The report draws the same ones as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from gantool.data.decode import Colour
from gantool.errors import RunError
from gantool.files import atomic_write
from gantool.tasks.curves import (
    GROUPS,
    WATCHED,
    Group,
    Panel,
    boundaries,
    games,
    logged,
    on_set,
    panels,
    stage_name,
    whole,
)
from gantool.tasks.report_plot import Curve, Scale, axes_of, nice_ticks, smoothed, thinned, tick_label
from gantool.tasks.runs import Run

WIDTH, HEIGHT = 900, 420
TIMES = 2  # drawn so many times as large, then reduced, which smooths the edges
TOP, BOTTOM, RIGHT = 58, 46, 22  # margins around the plotting area; the left one is as wide as its labels
POINTS = 800  # of each curve at most
COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (120, 120, 120))  # Okabe and Ito 2008
INK, SOFT, GRID = (29, 35, 41), (90, 101, 112), (225, 230, 235)
FAINT = 80  # opacity of the raw values, of 255

# The names of families that train on one picture.
SINGLE = Group(
    "losses", "Losses", {"critic_real": "critic, picture", "critic_fake": "critic, fakes", "adversarial": "generator"}
)
ON_ONE_PICTURE = (*(group for group in GROUPS if not group.curves.keys() & SINGLE.curves.keys()), SINGLE)


def write_plots(run: Run) -> list[Path]:
    """Draw what a run logged into its plots/ folder: losses.png, accuracy.png, similarity.png, ...

    Stages that are games of their own have files of their own: losses-level-0-8-px.png, ...

    Each has the raw values faintly, their moving average within a stage on top (over a tenth of its points), and
    dashed lines between stages. Files of those names are drawn anew.

    Returns:
        The files; none where nothing was logged.

    Raises:
        RunError: they cannot be written.
    """
    entries = logged(run.dir)
    checks = whole(run.dir.watched(), ("total", "stage", "step"))
    found = [
        (_of_stage(panel, stage), boundaries(own))
        for stage, own in games(run, entries)
        for panel in panels(own, GROUPS if on_set(run) else ON_ONE_PICTURE)
    ]
    named = boundaries(checks, partial(stage_name, run))
    found += [(panel, named) for panel in panels(checks, WATCHED) if panel.limits]
    folder = run.path / "plots"
    files: list[Path] = []
    for panel, stages in found:
        file = folder / f"{re.sub(r'[^a-zA-Z0-9_-]+', '-', panel.name)[:60].strip('-') or 'plot'}.png"
        while file in files:  # names that differ in what files cannot be called
            file = file.with_stem(f"{file.stem}_")
        buffer = io.BytesIO()
        draw_panel(panel, stages).save(buffer, "PNG", optimize=True)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error.strerror}.", "Make room for it.") from error
        atomic_write(file, buffer.getvalue(), sync=False)
        files.append(file)
    return files


def _of_stage(panel: Panel, stage: str) -> Panel:
    return replace(panel, name=f"{panel.name}-{stage}", title=f"{panel.title}, {stage}") if stage else panel


def draw_panel(panel: Panel, stages: Sequence[tuple[float, str]]) -> Image.Image:
    """One plot, `WIDTH` by `HEIGHT` pixels."""
    return _Drawing(panel, stages).image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)


class _Drawing:
    """A plot at `TIMES` its size; positions are in pixels of the finished one."""

    def __init__(self, panel: Panel, stages: Sequence[tuple[float, str]]) -> None:
        self.image = Image.new("RGB", (WIDTH * TIMES, HEIGHT * TIMES), "white")
        self.draw = ImageDraw.Draw(self.image)
        x, y = axes_of(panel.curves, panel.limits)
        ticks, step = nice_ticks(y.low, y.high, 6)
        labels = [_plain(tick_label(tick, step)) for tick in ticks]
        self.left = round(max(_length(label, 13) for label in labels)) + 24
        self.x = Scale(x.low, x.high, self.left, WIDTH - RIGHT)
        self.y = Scale(y.low, y.high, HEIGHT - BOTTOM, TOP)
        self._grid([self.y(tick) for tick in ticks], labels)
        self._stages(stages)
        for of, width, opacity in ((_raw, 1, FAINT), (smoothed, 2, 255)):
            for i, curve in enumerate(panel.curves):
                self._line_of(curve, of(curve), _colour(i), width, opacity)
        self._heading(panel)

    def _grid(self, rows: Sequence[float], labels: Sequence[str]) -> None:
        base, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for row, label in zip(rows, labels, strict=True):
            self._line([(self.left, row), (right, row)], GRID, 1)
            self._text((self.left - 8, row), label, 13, anchor="rm")
        ticks, step = nice_ticks(self.x.low, self.x.high, 8)
        for tick in ticks:
            column = self.x(tick)
            self._line([(column, base), (column, base + 5)], SOFT, 1)
            self._text((column, base + 8), _plain(tick_label(tick, step)), 13, anchor="ma")
        self._line([(self.left, base), (right, base)], SOFT, 1)
        self._text(((self.left + right) / 2, HEIGHT - 6), "step", 13, anchor="ms")

    def _stages(self, stages: Sequence[tuple[float, str]]) -> None:
        """Dashed lines, and the numbers of the stages above them where there is room."""
        edges = [self.x(step) for step, _ in stages] + [float(WIDTH - RIGHT)]
        for i, (_, label) in enumerate(stages):
            for top in range(TOP, HEIGHT - BOTTOM, 8) if i else ():
                self._line([(edges[i], top), (edges[i], min(top + 4, HEIGHT - BOTTOM))], SOFT, 1)
            if len(stages) > 1 and edges[i + 1] - edges[i] > _length(label, 12) + 4:
                self._text(((edges[i] + edges[i + 1]) / 2, TOP - 4), label, 12, anchor="ms")

    def _line_of(self, curve: Curve, values: Sequence[float], colour: Colour, width: int, opacity: int) -> None:
        # On a mask of the plotting area: it cuts off what lies outside, and lets lines shine through each other.
        mask = Image.new("L", ((WIDTH - RIGHT - self.left) * TIMES, (HEIGHT - BOTTOM - TOP) * TIMES))
        pen = ImageDraw.Draw(mask)
        kept = thinned(len(values), POINTS)
        for stage in sorted(set(curve.stages)):
            points = [
                ((self.x(curve.steps[i]) - self.left) * TIMES, (self.y(values[i]) - TOP) * TIMES)
                for i in kept
                if curve.stages[i] == stage
            ]
            pen.line(points, fill=opacity, width=width * TIMES, joint="curve")
            for x, y in points if len(points) == 1 else ():
                pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=opacity)
        self.image.paste(colour, (self.left * TIMES, TOP * TIMES), mask)

    def _heading(self, panel: Panel) -> None:
        """The title, the names of the curves to the right of it, and how many values are not shown."""
        self._text((14, 30), panel.title, 18, INK, anchor="ls")
        right, names = float(WIDTH - RIGHT), [_plain(curve.name) for curve in panel.curves]
        for i in reversed(range(len(names))) if names != [panel.title] else ():
            right -= _length(names[i], 14)
            self._text((right, 30), names[i], 14, anchor="ls")
            self._line([(right - 30, 25), (right - 8, 25)], _colour(i), 3)
            right -= 48
        outside = sum(not self.y.low <= value <= self.y.high for curve in panel.curves for value in curve.values)
        if outside:
            self._text((WIDTH - RIGHT, HEIGHT - 6), f"{outside} outside", 12, anchor="rs")

    def _line(self, points: Sequence[tuple[float, float]], colour: Colour, width: int) -> None:
        self.draw.line([(x * TIMES, y * TIMES) for x, y in points], colour, width * TIMES)

    def _text(
        self,
        position: tuple[float, float],
        text: str,
        size: int,
        colour: Colour = SOFT,
        *,
        anchor: str,
    ) -> None:
        place = (position[0] * TIMES, position[1] * TIMES)
        self.draw.text(place, text, colour, ImageFont.load_default(size * TIMES), anchor=anchor)


def _colour(number: int) -> Colour:
    return COLOURS[number % len(COLOURS)]


def _raw(curve: Curve) -> Sequence[float]:
    return curve.values


def _length(text: str, size: int) -> float:
    """In pixels of the finished plot."""
    return ImageFont.load_default(size * TIMES).getlength(text) / TIMES


def _plain(text: str) -> str:
    """With what Pillow's own font has: no minus sign, and no line breaks."""
    return " ".join(text.replace("−", "-").split())[:80]
