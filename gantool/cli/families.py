"""The commands of the group `gantool train`: one for each family, working or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from gantool import registry
from gantool.cli.command import add, with_flags
from gantool.cli.family_command import family_command
from gantool.cli.talk import Result, Talk
from gantool.errors import ConfigError, UsageError


def add_families(training: typer.Typer, words: Sequence[str]) -> None:
    """Add them; for broken families and for a name that is none, hidden commands that say what is wrong."""
    names = set()
    for entry in registry.entries():
        if entry.spec is None:
            continue
        try:
            add(training, family_command(entry.spec))
        except ConfigError as error:
            _add_unusable(training, entry.name, f"{entry.origin}: {error.what}")
        except Exception as error:  # a stranger's options may be anything, and stop no other family
            _add_unusable(training, entry.name, f"{entry.origin}: {type(error).__name__}: {error}")
        names.add(entry.name)
    after = list(words)[words.index("train") + 1 :] if "train" in words else []
    named = [word for word in after if not word.startswith("-")][:1]
    for name in {*(entry.name for entry in registry.entries()), *named} - names:
        _add_unusable(training, name)


def _add_unusable(training: typer.Typer, name: str, problem: str = "") -> None:
    def command(talk: Talk) -> Result:
        if Path(name).exists() and not any(entry.name == name for entry in registry.entries()):
            example = next(iter(registry.families()))
            raise UsageError(f"{name} stands where the family should.", f"gantool train {example} {name}")
        if not problem:
            registry.get(name)  # raises: unknown, with the nearest name, or broken, with its reason
        raise UsageError(f"The family {name} cannot be trained ({problem}).", "Update or uninstall that package.")

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    training.command(name, hidden=True, add_help_option=False, context_settings=anything)(with_flags(command))
