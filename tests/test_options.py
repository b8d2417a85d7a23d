"""Options: who wins, what is refused and how it is said, and TOML there and back."""

from __future__ import annotations

import random
import tomllib
from dataclasses import asdict, dataclass
from typing import Literal

import pytest

from gantool.errors import ConfigError
from gantool.options import opt, option_infos, parse_sets, read_toml, resolve, toml_value, write_toml


@dataclass(frozen=True, kw_only=True)
class Config:
    depth: int = opt(3, "layers of it", ge=1, le=8)
    rate: float = opt(0.5, "speed of it", gt=0, lt=1)
    norm: Literal["batch", "none"] = opt("batch", "which norm")
    least: int | None = opt(None, "smallest side", ge=4)
    most: int | None = opt(9, "largest side", ge=4)
    whole: bool = opt(False, "all of it", group="More")
    title: str = opt("x", "what it is called")

    def __post_init__(self) -> None:
        if self.least and self.most and self.least > self.most:
            raise ConfigError("least is above most.")


def test_later_layers_win_and_origins_say_which() -> None:
    found = resolve(
        Config,
        ("preset fast", {"depth": 4, "rate": 0.25, "least": 5}),
        ("my.toml", {"depth": 5, "rate": 0.125}),
        ("--set", {"depth": "6"}),
        ("flag", {"most": None}),
    )
    assert asdict(found.config) == {
        "depth": 6, "rate": 0.125, "norm": "batch", "least": 5, "most": None, "whole": False, "title": "x",
    }  # fmt: skip
    assert found.origins == {
        "depth": "--set", "rate": "my.toml", "norm": "default", "least": "preset fast", "most": "flag",
        "whole": "default", "title": "default",
    }  # fmt: skip
    assert found.table()["rate"] == {"value": 0.125, "origin": "my.toml"}


def test_no_layers_give_the_defaults() -> None:
    assert resolve(Config).config == Config()
    assert set(resolve(Config).origins.values()) == {"default"}


def test_text_becomes_the_type_of_the_option() -> None:
    layer = {"depth": "7", "rate": "1e-3", "whole": "true", "least": "NONE", "most": "none", "title": "7"}
    config = resolve(Config, ("--set", layer)).config
    assert config == Config(depth=7, rate=1e-3, whole=True, least=None, most=None, title="7")
    assert type(config.depth) is int
    assert type(config.rate) is float


def test_text_of_a_choice_that_is_a_number() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Choices:
        scale: Literal[2, 4] = opt(4, "times")
        side: Literal[16, 34] | None = opt(None, "pixels")
        digit: Literal["2", "4"] = opt("4", "text")

    config = resolve(Choices, ("--set", {"scale": "2", "side": " 34", "digit": "2"})).config
    assert config == Choices(scale=2, side=34, digit="2")
    for wrong in ("3", "2.0", ""):
        with pytest.raises(ConfigError, match="it should be 2 or 4"):
            resolve(Choices, ("--set", {"scale": wrong}))


def test_none_is_a_word_where_the_option_cannot_be_none() -> None:
    config = resolve(Config, ("--set", {"norm": "none", "title": "none"})).config
    assert (config.norm, config.title) == ("none", "none")
    with pytest.raises(ConfigError, match=r"`depth` = 'none' \(from --set\)"):
        resolve(Config, ("--set", {"depth": "none"}))


def test_hyphens_are_underscores() -> None:
    @dataclass(frozen=True)
    class Two:
        big_one: int = opt(1, "it")

    assert resolve(Two, ("flag", {"big-one": 2})).config.big_one == 2


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dpeth", "Did you mean `depth`?"),
        ("leest", "Did you mean `least`?"),
        ("zzzzzz", "Known options: depth, rate, norm, least, most, whole, title."),
    ],
)
def test_unknown_options_name_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Config, ("my.toml", {name: 1}))
    assert caught.value.what == f"There is no option `{name}` (from my.toml)."
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("name", "values"), [("depth", [1, 8, "1", "8"]), ("rate", [1e-9, 0.999, "0.5"])])
def test_values_on_the_bounds_are_allowed(name: str, values: list[object]) -> None:
    for value in values:
        assert getattr(resolve(Config, ("flag", {name: value})).config, name) == float(str(value))


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("depth", 0, "greater than or equal to 1"),
        ("depth", "9", "less than or equal to 8"),
        ("depth", 2.5, "a valid integer"),
        ("depth", "two", "a valid integer"),
        ("depth", True, "a number"),
        ("depth", None, "a valid integer"),
        ("depth", [3], "a valid integer"),
        ("depth", {"a": 1}, "a valid integer"),
        ("rate", 0.0, "greater than 0"),
        ("rate", 1, "less than 1"),
        ("rate", float("nan"), "a finite number"),
        ("rate", "inf", "a finite number"),
        ("rate", False, "a number"),
        ("norm", "layer", "'batch' or 'none'"),
        ("least", 3, "greater than or equal to 4"),
        ("least", True, "a number"),
        ("whole", "maybe", "a valid boolean"),
        ("title", 3, "a valid string"),
    ],
)
def test_wrong_values_say_what_they_should_be(name: str, value: object, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Config, ("my.toml", {name: value}))
    assert f"`{name}` = {value!r} (from my.toml) is not allowed" in caught.value.what
    assert problem in caught.value.what
    assert caught.value.hint == f"--{name}: {next(i.help for i in option_infos(Config) if i.name == name)}"


def test_a_wrong_value_that_is_overridden_does_no_harm() -> None:
    assert resolve(Config, ("preset", {"depth": 99}), ("flag", {"depth": 2})).config.depth == 2


def test_checks_of_two_options_run() -> None:
    with pytest.raises(ConfigError, match="least is above most"):
        resolve(Config, ("flag", {"least": 8, "most": 5}))


def test_infos_tell_what_help_needs() -> None:
    infos = {info.name: info for info in option_infos(Config)}
    assert list(infos) == ["depth", "rate", "norm", "least", "most", "whole", "title"]
    assert infos["depth"].bounds == {"ge": 1, "le": 8}
    assert infos["least"].type == int | None
    assert (infos["whole"].flag, infos["whole"].group, infos["depth"].group) == ("--whole", "More", "Options")


def test_parse_sets() -> None:
    assert parse_sets(["a=1", " b = x = y ", "c="]) == {"a": "1", "b": "x = y", "c": ""}
    for bad in ("a", "=1", " =1", ""):
        with pytest.raises(ConfigError, match="--set takes NAME=VALUE"):
            parse_sets([bad])


# ---- TOML --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        True, False, 0, -3, 2**62, 0.1, 1e-05, 1e16, 1e300, float("inf"), "", 'say "no"', "C:\\new\\table",
        "line\nbreak\r\ttab", "ünïcødé 猫 🐈", "\x00\x01\x1b\x7f\x08\x0c", "# no comment", "'", '"""',
        [1, 2], ["a", 'b"'], [], [[1], [2.5]],
    ],
)  # fmt: skip
def test_toml_values_come_back(value: object) -> None:
    back = tomllib.loads(f"key = {toml_value(value)}")["key"]
    assert back == value
    assert type(back) is type(value)


def test_any_text_and_number_comes_back() -> None:
    rng = random.Random(0)
    for _ in range(300):
        codes = [rng.choice((rng.randrange(128), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))]
        text = "".join(chr(code) for code in codes * rng.randrange(4))
        values = {"text": text, "float": rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300)}
        assert tomllib.loads(write_toml({"t": values}))["t"] == values


def test_toml_has_no_form_for_other_things() -> None:
    for value in (None, object(), {"a": 1}, b"x"):
        with pytest.raises(TypeError):
            toml_value(value)


def test_tables_and_comments() -> None:
    text = write_toml({"": {"family": "f"}, "options": {"a": 1, "b": None}}, {"a": "the first"})
    assert text == 'family = "f"\n\n[options]\n# the first\na = 1\n# b is not set\n'
    assert tomllib.loads(text) == {"family": "f", "options": {"a": 1}}


def test_a_config_comes_back_through_a_file(tmp_path) -> None:
    config = Config(depth=8, rate=1e-7, norm="none", least=4, title='a "b" \\ \n ü')
    file = tmp_path / "c.toml"
    file.write_text(write_toml({"options": asdict(config)}), encoding="utf-8")
    assert resolve(Config, ("c.toml", read_toml(file)["options"])).config == config


def test_a_byte_order_mark_is_no_mistake(tmp_path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(tmp_path / "c.toml") == {"a": 1}


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_toml(tmp_path)
    for content in (b"a = ", b"a = 1\na = 2", b"\xff\xfe", b"[t"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML"):
            read_toml(tmp_path / "bad.toml")
