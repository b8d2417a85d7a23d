"""Which families there are: the built-in ones and those that installed packages add.

A package adds a family through the entry point group `gantool.families`, whose value is a FamilySpec. One that
fails to load is listed with its reason and stops nothing.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata

from gantool.errors import UsageError
from gantool.family import FamilySpec

BUILT_IN = ("consingan", "singan", "gan", "dcgan", "cgan", "acgan", "lapgan", "srgan", "pix2pix")
GROUP = "gantool.families"


@dataclass(frozen=True)
class Entry:
    """A family as found: its spec, or the reason why it cannot be loaded."""

    name: str
    origin: str
    spec: FamilySpec | None = None
    problem: str = ""


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """All families, built-in ones first; broken ones carry `problem` instead of `spec`."""
    found = [Entry(name, "built-in", importlib.import_module(f"gantool.families.{name}").SPEC) for name in BUILT_IN]
    taken = set(BUILT_IN)
    named = [
        (point, f"{point.dist.name} {point.dist.version}" if point.dist else "unknown package")
        for point in metadata.entry_points(group=GROUP)
    ]
    for point, origin in sorted(named, key=lambda pair: (pair[0].name, pair[1])):
        found.append(_load(point, origin, taken))
        if found[-1].spec is not None:  # a broken one does not keep the name from one that works
            taken.add(point.name)
    return tuple(found)


def _load(point: metadata.EntryPoint, origin: str, taken: set[str]) -> Entry:
    if point.name in taken:
        return Entry(point.name, origin, problem=f"the name {point.name} is taken already")
    try:
        spec = point.load()
        if not isinstance(spec, FamilySpec):
            return Entry(point.name, origin, problem=f"{point.value} is no FamilySpec")
        if spec.name != point.name:
            return Entry(point.name, origin, problem=f"its spec calls itself {spec.name}")
        return Entry(point.name, origin, spec)
    # A stranger's import may raise anything, SystemExit included; none of it may stop a command.
    except (Exception, SystemExit) as error:
        return Entry(point.name, origin, problem=f"{type(error).__name__}: {error}")


def families() -> dict[str, FamilySpec]:
    """The families that work, by name."""
    return {entry.name: entry.spec for entry in entries() if entry.spec is not None}


def get(name: str) -> FamilySpec:
    """The family of that name. Raises UsageError with the nearest name, or the reason why it is broken."""
    if name in families():
        return families()[name]
    for entry in entries():
        if entry.name == name:
            raise UsageError(
                f"The family {name} ({entry.origin}) cannot be loaded: {entry.problem}.",
                "Update or uninstall that package.",
            )
    homes = [spec.name for spec in families().values() if name in spec.presets]
    if homes:
        raise UsageError(f"{name} is a preset, not a family.", f"gantool train {homes[0]} DATA --preset {name}")
    near = difflib.get_close_matches(name, families(), n=1)
    raise UsageError(
        f"There is no family {name!r}.",
        f"Did you mean {near[0]}?" if near else "`gantool families` lists them.",
    )
