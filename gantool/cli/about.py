"""A family in words, for `gantool info`."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, Literal

from gantool.cli.talk import table
from gantool.cli.values import plain
from gantool.options import OptionInfo, option_infos

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gantool.family import FamilySpec


def about(spec: FamilySpec) -> list[RenderableType]:
    """What people read."""
    lines: list[RenderableType] = [
        f"{spec.title} ({spec.year})",
        spec.summary,
        f"Paper: {spec.paper}",
        f"Trains on: {spec.data}",
        f"Can: {', '.join(spec.tasks)}",
    ]
    if spec.weights_licence:
        lines.append(f"Licence of the reference: {spec.weights_licence}")
    if spec.page:
        lines.append(f"Page: docs/{spec.page}")
    lines += [f"Example: {_example(spec)}", "", "Presets"]
    presets = [
        [f"  {name}", preset.help, ", ".join(f"{k}={v}" for k, v in preset.values.items())]
        for name, preset in spec.presets.items()
    ]
    lines.append(table(["  Name", "What for", "Values"], presets))
    infos = option_infos(spec.config)
    for group in dict.fromkeys(info.group for info in infos):
        rows = [[f"  {i.flag}", _kind(i.type), plain(i.default), _range(i), i.help] for i in infos if i.group == group]
        lines += ["", group, table(["  Flag", "Type", "Default", "Range", "What"], rows)]
    return lines


def about_data(spec: FamilySpec) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "name": spec.name,
        "title": spec.title,
        "year": spec.year,
        "paper": spec.paper,
        "summary": spec.summary,
        "data": spec.data,
        "tasks": list(spec.tasks),
        "page": spec.page,
        "weights_licence": spec.weights_licence,
        "example": _example(spec),
        "presets": {n: {"help": p.help, "values": dict(p.values)} for n, p in spec.presets.items()},
        "options": [
            {
                "name": i.name,
                "flag": i.flag,
                "type": _kind(i.type),
                "default": i.default,
                "bounds": dict(i.bounds),
                "group": i.group,
                "help": i.help,
            }
            for i in option_infos(spec.config)
        ],
    }


def _example(spec: FamilySpec) -> str:
    return f"gantool train {spec.name} {spec.example_data} --preset {spec.on_cpu}"


def _kind(kind: Any) -> str:
    """ "int", "int or none", "a|b|c"."""
    if typing.get_origin(kind) is Literal:
        return "|".join(map(str, typing.get_args(kind)))
    parts = typing.get_args(kind)
    if type(None) in parts:
        return " or ".join([*(_kind(p) for p in parts if p is not type(None)), "none"])
    return getattr(kind, "__name__", str(kind))


def _range(info: OptionInfo) -> str:
    """ "[0, 1)": square brackets include the bound."""
    low, high = info.bounds.get("ge", info.bounds.get("gt")), info.bounds.get("le", info.bounds.get("lt"))
    if low is None and high is None:
        return ""
    left = "(-inf" if low is None else f"[{low}" if "ge" in info.bounds else f"({low}"
    right = "inf)" if high is None else f"{high}]" if "le" in info.bounds else f"{high})"
    return f"{left}, {right}"
