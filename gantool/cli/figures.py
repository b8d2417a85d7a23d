"""Measurements in print: the figures, a table of pairs, and how they were taken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gantool.cli.talk import Talk, table

if TYPE_CHECKING:
    from gantool.tasks.evaluate.result import Evaluation

GATE = 3  # exit code of a measurement that is worse than --fail-above or --fail-below allow


def warn(talk: Talk, found: Evaluation) -> None:
    """Say what may mislead."""
    for warning in found.warnings:
        talk.say(f"Warning: {warning}")


def figure(value: float) -> str:
    """A figure with six significant digits."""
    return f"{value:.6g}"


def shown(found: Evaluation) -> Iterator[Any]:
    """Lines and tables for people."""
    width = max(len(name) for name in found.values)
    for i, (name, value) in enumerate(found.values.items()):
        note = f"   {found.better} is better" if i == 0 else ""
        yield f"{name:{width}}  {figure(value)}{note}"
    if len(found.pairs) > 1:
        headers = list(dict.fromkeys(key for row in found.pairs for key in row))
        yield ""
        yield table(headers, [[_cell(row.get(key)) for key in headers] for row in found.pairs])
    if found.classes:
        yield ""
        headers = list(found.classes[0])
        yield table(headers, [[_cell(row[key]) for key in headers] for row in found.classes])
    yield ""
    width = max(10, *map(len, found.protocol))
    for key, value in found.protocol.items():
        yield f"  {key:<{width}} {_line(value)}"


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "-" if math.isnan(value) else figure(value)


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_line(inner)}" for key, inner in value.items() if inner is not None)
    if isinstance(value, list):
        parts = [_line(inner) for inner in value]
        return ("; " if any(" " in part for part in parts) else " ").join(parts)
    return str(_cell(value))
