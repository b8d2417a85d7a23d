"""Options: fields on frozen dataclasses, and the one way to fill them.

A family's options are a frozen dataclass whose fields are made by `opt`: a typed default, one line of help and
bounds. `resolve` fills it from five sources, lowest first: defaults, preset, TOML file, --set, flags; it checks
types and bounds, and remembers where every value came from.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from gantool.errors import ConfigError

if typing.TYPE_CHECKING:
    from pydantic import BaseModel

C = TypeVar("C")
BASIC = "Options"


def opt(
    default: Any,
    help: str,
    *,
    group: str = BASIC,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """A dataclass field that is an option.

    Args:
        default: value when nothing else is said; its type is the field's annotation.
        help: at most about 60 characters, with the unit.
        group: the help panel it stands in.
        ge, gt, le, lt: bounds, inclusive and exclusive.
    """
    bounds = {k: v for k, v in (("ge", ge), ("gt", gt), ("le", le), ("lt", lt)) if v is not None}
    return dataclasses.field(default=default, metadata={"help": help, "group": group, "bounds": bounds})


@dataclass(frozen=True)
class OptionInfo:
    """One option as the command line and the documentation need it."""

    name: str
    type: Any
    default: Any
    help: str
    group: str
    bounds: Mapping[str, float]

    @property
    def flag(self) -> str:
        """`--noise-amp` for `noise_amp`."""
        return "--" + self.name.replace("_", "-")


@functools.cache
def option_infos(config_type: type) -> tuple[OptionInfo, ...]:
    """The options of a config dataclass, in the order they are written."""
    hints = typing.get_type_hints(config_type)
    return tuple(
        OptionInfo(
            f.name,
            hints[f.name],
            f.default,
            f.metadata.get("help", ""),
            f.metadata.get("group", BASIC),
            f.metadata.get("bounds", {}),
        )
        for f in dataclasses.fields(config_type)
    )


@dataclass(frozen=True)
class Resolved(Generic[C]):
    """A checked config and, for each option, the source of its value ("default", "preset fast", ...)."""

    config: C
    origins: Mapping[str, str]

    def table(self) -> dict[str, dict[str, Any]]:
        """{option: {value, origin}} for printing and for JSON."""
        values = dataclasses.asdict(self.config)  # type: ignore[call-overload]
        return {name: {"value": value, "origin": self.origins[name]} for name, value in values.items()}


def resolve(
    config_type: type[C],
    *layers: tuple[str, Mapping[str, Any]],
) -> Resolved[C]:
    """Fill `config_type` from layers of (origin, values), lowest first; later layers win.

    Values may be text ("1e-3", "true"): they are converted to the option's type. The text "none" is None for an
    option that may be None, unless "none" is one of its choices.

    Raises:
        ConfigError: an unknown option (with the nearest known one), a wrong type or a value out of bounds.
    """
    plain: type = config_type  # mypy does not take type[C] for what can be hashed
    known = {info.name: info for info in option_infos(plain)}
    values: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    for origin, layer in layers:
        for raw_name, value in layer.items():
            name = raw_name.replace("-", "_")
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                did = f"Did you mean `{near[0]}`?" if near else f"Known options: {', '.join(known)}."
                raise ConfigError(f"There is no option `{raw_name}` (from {origin}).", did)
            values[name] = None if _means_none(value, known[name].type) else _choice(value, known[name].type)
            origins[name] = origin
    return Resolved(_validate(config_type, known, values, origins), origins)


def _means_none(value: Any, kind: Any) -> bool:
    if not isinstance(value, str) or value.strip().lower() != "none":
        return False
    parts = typing.get_args(kind)
    choices = [choice for part in (kind, *parts) for choice in typing.get_args(part)]
    return type(None) in parts and "none" not in choices


def _choice(value: Any, kind: Any) -> Any:
    """`value`, as a number where it is the text of one that is a choice, which pydantic compares without converting."""
    choices = {str(choice): choice for part in (kind, *typing.get_args(kind)) for choice in typing.get_args(part)}
    chosen = choices.get(value.strip()) if isinstance(value, str) else None
    return chosen if isinstance(chosen, int) else value


def _validate(
    config_type: type[C],
    known: Mapping[str, OptionInfo],
    values: Mapping[str, Any],
    origins: Mapping[str, str],
) -> C:
    # pydantic is imported where it is used: it costs 0.1 s that `gantool --help` must not pay.
    from pydantic import ValidationError

    for name, value in values.items():  # pydantic would take true for 1
        allowed = (known[name].type, *typing.get_args(known[name].type))
        if isinstance(value, bool) and bool not in allowed and (int in allowed or float in allowed):
            raise _not_allowed(known[name], value, origins[name], "a number")
    plain: type = config_type
    try:
        checked = _shadow(plain).model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        problem = first["msg"].removeprefix("Input should be ")
        raise _not_allowed(known[name], values.get(name), origins[name], problem) from None
    return config_type(**{name: getattr(checked, name) for name in known})


@functools.cache
def _shadow(config_type: type) -> type[BaseModel]:
    """What pydantic checks instead of `config_type`; to make one takes longer than a step of a small network."""
    from pydantic import ConfigDict, Field, create_model

    fields: dict[str, Any] = {}
    for info in option_infos(config_type):
        limits: dict[str, Any] = dict(info.bounds)
        if float in (info.type, *typing.get_args(info.type)):
            limits["allow_inf_nan"] = False
        fields[info.name] = (info.type, Field(default=info.default, **limits))
    return create_model("Options", __config__=ConfigDict(protected_namespaces=()), **fields)


def _not_allowed(info: OptionInfo, value: Any, origin: str, problem: str) -> ConfigError:
    return ConfigError(
        f"`{info.name}` = {value!r} (from {origin}) is not allowed: it should be {problem}.",
        f"{info.flag}: {info.help}",
    )


def parse_sets(pairs: typing.Iterable[str]) -> dict[str, str]:
    """`["lr_g=1e-3", ...]` to a mapping. Raises ConfigError for text without an equals sign."""
    out: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set takes NAME=VALUE, not {pair!r}.", "For example: --set lr_g=1e-3")
        out[name.strip()] = value.strip()
    return out


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of options. Raises ConfigError with the place of the mistake."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors put a mark first
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.", "Check the path given to --config.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not valid TOML: {error}.",
            "Mend that line, or start afresh with `gantool config init FAMILY`.",
        ) from None


def toml_value(value: Any) -> str:
    """One TOML value: bool, int, float, str or a list of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        value = str(value)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        for char, code in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
            escaped = escaped.replace(char, code)
        # TOML allows no other control character in a string.
        return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def write_toml(tables: Mapping[str, Mapping[str, Any]], comments: Mapping[str, str] | None = None) -> str:
    """TOML text of {table: {key: value}}; the table named "" comes first without a header.

    None has no TOML form: such keys are written as comments. `comments` maps a key to a line put above it.
    """
    lines: list[str] = []
    for table, values in tables.items():
        if table:
            lines += ["", f"[{table}]"]
        for key, value in values.items():
            if comments and key in comments:
                lines.append(f"# {comments[key]}")
            lines.append(f"# {key} is not set" if value is None else f"{key} = {toml_value(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"
