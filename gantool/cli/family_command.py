"""`gantool train FAMILY` as a command whose flags are the fields of the family's config dataclass."""

from __future__ import annotations

import inspect
import tomllib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gantool.cli.command import FLAG_NAMES
from gantool.cli.talk import Result, Talk
from gantool.cli.train import Job, train
from gantool.cli.train_set import train_set
from gantool.cli.values import parse_duration
from gantool.data.set_options import PairOptions
from gantool.errors import ConfigError
from gantool.family import FamilySpec
from gantool.options import BASIC, OptionInfo, option_infos
from gantool.settings import RUN, Settings

_PLAIN = (bool, int, float, str, Path)
_SET = "folder, class folders, zip, digits (IDX, CSV), .npz, builtin:digits"
_PAIRS = "folder or zip of pairs A|B, or CSV of two columns; with --target the folder of A"


def family_command(spec: FamilySpec) -> Callable[..., Result]:
    """A function `(talk, data, ..., stages, lr_g, ...) -> Result` for `command.with_flags`.

    Raises:
        ConfigError: an option of the family has a name that gantool itself uses.
    """
    infos = {info.name: info for info in (*option_infos(spec.config), *option_infos(Settings))}
    own = _own_parameters(spec)
    run = train if spec.data == "image" else train_set
    taken = [info.name for info in option_infos(spec.config) if info.name in _taken(own)]
    if taken:
        raise ConfigError(f"its option `{taken[0]}` has a name that gantool uses itself")

    def command(talk: Talk, **values: Any) -> Result:
        given = {name: values.pop(name) for name in infos}
        options = {name: _value(infos[name], value) for name, value in given.items() if value is not None}
        sets = values.pop("sets") or ()
        return run(talk, Job(family=spec.name, options=options, sets=sets, **values))

    talk = inspect.Parameter("talk", inspect.Parameter.POSITIONAL_ONLY, annotation=Talk)
    flags = {name: _parameter(info) for name, info in infos.items()}
    basic = [flags.pop(info.name) for info in infos.values() if info.group == BASIC]
    limit = flags.pop("max_time")
    # The order is that of the help: what most people need, the family's own, then how the run is done.
    mine = [flags.pop(info.name) for info in option_infos(spec.config) if info.name in flags]
    parameters = [talk, *own[:2], *basic, limit, *own[2:4], *mine, *own[4:], *flags.values()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__name__ = spec.name
    command.__doc__ = f"{spec.title} ({spec.year}). {spec.summary}"
    return command


def _taken(own: list[inspect.Parameter]) -> set[str]:
    return {p.name for p in own} | {info.name for info in option_infos(Settings)} | FLAG_NAMES | {"set", "json"}


def _own_parameters(spec: FamilySpec) -> list[inspect.Parameter]:
    """What every family's command has beside the options: the data, and where values and results live."""
    presets = "|".join(spec.presets)

    def panel(text: str) -> dict[str, Any]:
        return {"help": text, "rich_help_panel": RUN}

    one = Annotated[list[Path], typer.Argument(metavar="PICTURE", help="pictures or folders of them; one run each")]
    held = _PAIRS if issubclass(spec.config, PairOptions) else _SET
    many = Annotated[str, typer.Argument(metavar="DATA", help=held)]
    kinds: dict[str, tuple[Any, Any]] = {
        "data": (one if spec.data == "image" else many, inspect.Parameter.empty),
        "preset": (
            Annotated[str | None, typer.Option(metavar=f"[{presets}]", help="named set of options")],
            None,
        ),
        "name": (Annotated[str | None, typer.Option(help="of the run (the data's name)")], None),
        "dry_run": (Annotated[bool, typer.Option("--dry-run", help="say what would be done, and stop")], False),
        "config": (Annotated[Path | None, typer.Option(**panel("TOML file of options"))], None),
        "sets": (
            Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", **panel("one option; repeatable"))],
            None,
        ),
        "out": (Annotated[Path, typer.Option(**panel("folder of the runs"))], Path("runs")),
        "background": (
            Annotated[str, typer.Option(**panel("colour behind transparent pixels, name or #rrggbb"))],
            "white",
        ),
    }
    return [_keyword(name, kind, default) for name, (kind, default) in kinds.items()]


def _keyword(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _parameter(info: OptionInfo) -> inspect.Parameter:
    """The option as a flag. Its default is None, which means "not given"; the help shows the real one."""
    names = [info.flag]
    kind, metavar = _flag_type(info.type), None
    if kind is bool:
        names = [f"{info.flag}/--no-{info.flag.removeprefix('--')}"]
    elif info.name == "max_time":
        kind, metavar = str, "TIME"
    option = typer.Option(
        *names,
        help=_escaped(info.help + _shown(info.default)),
        metavar=metavar,
        rich_help_panel=None if info.group == BASIC or info.name == "max_time" else info.group,
        show_default=False,
    )
    return _keyword(info.name, Annotated[kind | None, option], None)


def _flag_type(kind: Any) -> Any:
    """The type that Typer is given; text for what it does not know, which `_value` reads as TOML."""
    inner = [part for part in typing.get_args(kind) if part is not type(None)]
    if typing.get_origin(kind) is not Literal and type(None) in typing.get_args(kind) and len(inner) == 1:
        kind = inner[0]
    if typing.get_origin(kind) is Literal and all(isinstance(c, str) for c in typing.get_args(kind)):
        return kind
    return kind if kind in _PLAIN else str


def _value(info: OptionInfo, value: Any) -> Any:
    if info.name == "max_time":
        return parse_duration(value)
    if not isinstance(value, str) or _flag_type(info.type) is not str or info.type in (str, str | None):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _shown(default: Any) -> str:
    if default is None:
        return ""
    return f" [default: {('off', 'on')[default] if isinstance(default, bool) else default}]"


def _escaped(text: str) -> str:
    """Help texts are Rich markup: square brackets are to be seen."""
    return text.replace("[", r"\[")
