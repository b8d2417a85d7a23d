"""Curves as inline SVG: from numbers to text. Colours and fonts are the page's (report_page)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

POINTS = 400  # drawn at most, of each curve
COLOURS = 4  # of curves, in the page's style
WIDTH, HEIGHT = 640, 230
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 22, 40  # margins around the plotting area


@dataclass(frozen=True)
class Curve:
    """Something that was logged over a run.

    Attributes:
        name: for people.
        steps: steps done in all stages, ascending.
        stages: the stage of each point.
        values: finite.
    """

    name: str
    steps: Sequence[float]
    stages: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to pixels [start, end], linearly."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Pixels; values outside land outside, but never further than a screen away."""
        share = min(10.0, max(-10.0, (value - self.low) / (self.high - self.low)))
        return self.start + share * (self.end - self.start)


def axes_of(curves: Sequence[Curve], limits: tuple[float, float] | None = None) -> tuple[Scale, Scale]:
    """The scales of x (from step 0) and of y (`limits` and 5 % of air, or see `robust_range`) of a plot."""
    if limits is None:
        low, high = robust_range([value for curve in curves for value in curve.values])
    else:
        air = 0.05 * (limits[1] - limits[0])
        low, high = limits[0] - air, limits[1] + air
    last = max(step for curve in curves for step in curve.steps)
    return Scale(0.0, max(1.0, last), LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM, TOP)


def plot(
    curves: Sequence[Curve],
    boundaries: Sequence[tuple[float, str]],
    key: str,
    limits: tuple[float, float] | None = None,
) -> str:
    """An <svg> with faint points, their moving average within each stage, axes and stage boundaries.

    Args:
        curves: one or more, each of at least one point; the page has a colour for each of up to four.
        boundaries: (first step, label) of each stage.
        key: an id that is unique on the page.
        limits: of the values, where they are known.
    """
    x, y = axes_of(curves, limits)
    drawn = [_curve(curve, x, y, number) for number, curve in enumerate(curves)]
    outside = sum(not y.low <= value <= y.high for curve in curves for value in curve.values)
    label = "; ".join(f"{c.name}: {len(c.values)} values, the last one {c.values[-1]:.4g}" for c in curves)
    note = f'<text class="note" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{outside} outside</text>'
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<defs><clipPath id="{escape(key)}"><rect x="{LEFT}" y="{TOP}" '
        f'width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/></clipPath></defs>'
        f"{_grid(x, y)}{_boundaries(x, boundaries)}"
        f'<g clip-path="url(#{escape(key)})">{"".join(drawn)}</g>'
        f"{note if outside else ''}</svg>"
    )


def _curve(curve: Curve, x: Scale, y: Scale, number: int) -> str:
    """Points and lines. The first curve of a plot has the page's own colour."""
    kept = thinned(len(curve.values), POINTS)
    line = smoothed(curve)
    css = f" k{number % COLOURS}" if number else ""
    dots = "".join(f"M{x(curve.steps[i]):.1f} {y(curve.values[i]):.1f}h0" for i in kept)
    lines = []
    for stage in sorted(set(curve.stages)):
        points = " ".join(f"{x(curve.steps[i]):.1f},{y(line[i]):.1f}" for i in kept if curve.stages[i] == stage)
        lines.append(f'<polyline class="line{css}" points="{points}"/>')
    return f'<path class="dots{css}" d="{dots}"/>{"".join(lines)}'


def _grid(x: Scale, y: Scale) -> str:
    parts = []
    ticks, step = nice_ticks(y.low, y.high, 5)
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick_label(tick, step)}</text>')
    ticks, step = nice_ticks(x.low, x.high, 7)
    base = HEIGHT - BOTTOM
    for tick in ticks:
        parts.append(f'<line class="axis" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{base}" y2="{base + 4}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{base + 17}" text-anchor="middle">{tick_label(tick, step)}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">step</text>')
    return "".join(parts)


def _boundaries(x: Scale, boundaries: Sequence[tuple[float, str]]) -> str:
    """Nothing where there is but one stage."""
    parts: list[str] = []
    if len(boundaries) < 2:
        return ""
    starts = [x(step) for step, _ in boundaries]
    for i, (_, label) in enumerate(boundaries):
        end = starts[i + 1] if i + 1 < len(starts) else float(WIDTH - RIGHT)
        if i:
            parts.append(
                f'<line class="stage" x1="{starts[i]:.1f}" x2="{starts[i]:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            )
        if end - starts[i] >= 7 * len(label):
            middle = (starts[i] + end) / 2
            parts.append(
                f'<text class="note" x="{middle:.1f}" y="{TOP - 8}" text-anchor="middle">{escape(label)}</text>'
            )
    return "".join(parts)


def robust_range(values: Sequence[float]) -> tuple[float, float]:
    """What to show of `values`: all within six interquartile ranges of the quartiles, and 5 % of air."""
    ordered = sorted(values)
    first, third = (ordered[round(q * (len(ordered) - 1))] for q in (0.25, 0.75))
    reach = 6 * (third - first)
    low, high = ordered[0], ordered[-1]
    if reach > 0:
        low, high = max(low, first - reach), min(high, third + reach)
    if not math.isfinite(high - low):  # values near the largest float
        low, high = -1.0, 1.0
    air = 0.05 * (high - low) or 0.1 * abs(high)
    if air < 1e-290:  # all zero, or so near that ticks would underflow
        air = 0.5
    return low - air, high + air


def nice_ticks(low: float, high: float, count: int) -> tuple[list[float], float]:
    """About `count` multiples of 1, 2 or 5 times a power of ten within [low, high], and their distance."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / raw)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)], step


def tick_label(value: float, step: float) -> str:
    """`value` with the decimals that its axis needs; in thousands (k) where the ticks are."""
    if abs(value) < step / 2:
        value = 0.0  # never -0
    if step >= 1e6 or step < 1e-4:
        text = f"{value:.3g}"
    elif step >= 1000:
        text = f"{value / 1000:g}k" if value else "0"
    else:
        text = f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
    return text.replace("-", "−")  # a minus as wide as a plus


def thinned(count: int, limit: int) -> list[int]:
    """At most `limit` of the indices 0 .. count-1, evenly, with the first and the last."""
    if count <= limit:
        return list(range(count))
    return [round(i * (count - 1) / (limit - 1)) for i in range(limit)]


def smoothed(curve: Curve) -> list[float]:
    """The centred moving average within each stage over a tenth of its points (at least 3)."""
    out: list[float] = []
    start = 0
    while start < len(curve.values):
        end = start
        while end < len(curve.values) and curve.stages[end] == curve.stages[start]:
            end += 1
        values = curve.values[start:end]
        half = max(1, len(values) // 20)
        for i in range(len(values)):
            window = values[max(0, i - half) : i + half + 1]
            out.append(math.fsum(v / len(window) for v in window))
        start = end
    return out
