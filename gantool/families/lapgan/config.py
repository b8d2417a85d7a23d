"""LAPGAN's options, what they make of each level of the pyramid, and the presets. No torch here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar, cast, get_args

from gantool.data.set_options import SquareOptions
from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.game.options import GameConfig
from gantool.nn.sides import doublings
from gantool.options import opt, resolve

LEVELS, NETWORK = "Levels", "Networks"
SMALLEST = 2  # pixels a side that the coarsest level may have
COARSEST = 8  # where halving ends when nobody says which levels there are, as in the CIFAR-10 recipes
MOST = 8  # levels

FOR_ALL = {*(field.name for field in fields(SquareOptions)), "steps", "epochs", "accumulate"}
"""Options that a level cannot have for itself: the data is read once for all; steps have an option of their own."""

Arch = Literal["mlp", "conv", "deep", "dcgan"]
T = TypeVar("T")


@dataclass(frozen=True)
class Rung:
    """A level of the pyramid.

    Attributes:
        index: 0 is the coarsest.
        side: of its pictures, pixels.
        below: side of the next coarser level's pictures; None for the coarsest.
        arch: the kind of its networks.
        width_g, width_d: units, or channels, of their layers.
        steps: of its training.
        reference: the trained run that takes its place, "FAMILY:RUN"; empty where it has networks of its own.
        trained: whether it is trained in this run.
    """

    index: int
    side: int
    below: int | None
    arch: Arch
    width_g: int
    width_d: int
    steps: int
    reference: str
    trained: bool


@dataclass(frozen=True, kw_only=True)
class LAPGANConfig(GameConfig):
    """Options of LAPGAN beside those of the game. What is said to hold from coarse to fine goes on with its last."""

    size: int = opt(32, "side of the pictures trained on, pixels", ge=4, le=1024)
    steps: int = opt(20_000, "generator updates of each level", ge=1)

    levels: str = opt("", "sides of the levels, as in 8,16,32 (none: halves down to 8)", group=LEVELS)
    level: str = opt("all", "train these levels only, as in 2 or 0,2; none trains none", group=LEVELS)
    level_steps: str = opt("", "updates of each level, coarse to fine, in place of --steps", group=LEVELS)
    level_model: str = opt("", "trained runs as levels, as in 0=acgan:RUN,1=lapgan:RUN", group=LEVELS)
    level_options: str = opt("", "options of single levels, as in 0.loss=lsgan,2.lr_g=1e-4", group=LEVELS)
    share: Literal["levels", "batches"] = opt("levels", "what several processes share", group=LEVELS)
    pyramid: Literal["area", "binomial", "haar", "bicubic"] = opt(
        "area", "how a level becomes the next coarser one, and back", group=LEVELS
    )

    arch: str = opt("mlp,conv", "networks, coarse to fine: mlp, conv, deep or dcgan", group=NETWORK)
    width_g: str = opt("1200,64", "units or channels of generators, coarse to fine", group=NETWORK)
    width_d: str = opt("600,64", "units or channels of discriminators, coarse to fine", group=NETWORK)
    coarse_sigmoid: bool = opt(False, "sigmoid, not ReLU, in the coarsest generator (mlp)", group=NETWORK)
    coarse_init_g: float | None = opt(None, "coarsest generator's weights from N(0, this)", group=NETWORK, gt=0)
    coarse_init_d: float | None = opt(None, "coarsest discriminator's weights from N(0, this)", group=NETWORK, gt=0)
    keep_coarse: bool = opt(False, "reduced again, a level's picture is the coarser one it stands on", group=NETWORK)
    mode_seeking: float = opt(0.0, "weight of a loss that keeps draws on one picture apart (0.02)", group=NETWORK, ge=0)
    standardise: bool = opt(False, "train in units of the data's mean and deviation", group=NETWORK)

    def __post_init__(self) -> None:
        """Checks that involve two options. Raises ConfigError."""
        super().__post_init__()
        if self.epochs is not None and self.level_steps:
            raise ConfigError("--epochs and --level-steps both say how long to train.", "Take one of them.")
        for rung in self.rungs():
            _check_networks(rung)
            self.at(rung)  # checks what it has of its own
            if self.pyramid == "binomial" and rung.below is not None and rung.below != (rung.side + 1) // 2:
                raise ConfigError(
                    f"--pyramid binomial halves, and never comes from {rung.side} to {rung.below} pixels.",
                    "Choose --levels that halve, or --pyramid area.",
                )
        if not any(rung.trained or rung.reference for rung in self.rungs()):
            raise ConfigError(
                "--level none trains nothing, and no level is there.", "Name trained ones: --level-model."
            )

    def rungs(self) -> list[Rung]:
        """The levels, coarsest first. Raises ConfigError where the options make none."""
        sides = self.sides()
        count = len(sides)
        archs = _spread("arch", _one_of("arch", self.arch), count)
        steps = _spread("level_steps", _numbers("level_steps", self.level_steps, 1, "20000,8000"), count, self.steps)
        widths_g = _spread("width_g", _numbers("width_g", self.width_g, 1, "1200,64"), count)
        widths_d = _spread("width_d", _numbers("width_d", self.width_d, 1, "600,64"), count)
        models = level_models(self.level_model, count)
        wanted = _chosen(self.level, count)
        taken = [i for i in wanted if i in models and self.level != "all"]
        if taken:
            raise ConfigError(
                f"Level {taken[0]} is to be trained and to be taken from {models[taken[0]]}.",
                "Leave it out of --level, or of --level-model.",
            )
        return [
            Rung(
                i, side, sides[i - 1] if i else None, cast(Arch, archs[i]), widths_g[i], widths_d[i], steps[i],
                models.get(i, ""), i in wanted and i not in models,
            )
            for i, side in enumerate(sides)
        ]  # fmt: skip

    def sides(self) -> list[int]:
        """Of the levels, in pixels, coarsest first."""
        if not self.levels:
            found = [self.size]
            while found[0] > COARSEST:
                found.insert(0, (found[0] + 1) // 2)
            return found
        sides = _numbers("levels", self.levels, SMALLEST, "8,16")
        if sides != sorted(set(sides)) or len(sides) > MOST:
            raise ConfigError(
                f"--levels {self.levels!r} does not grow from level to level, or has more than {MOST} of them.",
                "List sides from coarse to fine, for instance 8,16,32.",
            )
        if sides[-1] != self.size:
            raise ConfigError(f"--levels end at {sides[-1]} pixels, and --size is {self.size}.", "Make the two agree.")
        return sides

    @property
    def parts(self) -> Mapping[int, str]:
        """The trained runs that this one takes in, "FAMILY:RUN" by level."""
        return level_models(self.level_model, len(self.sides()))

    def pieces(self) -> dict[int, dict[str, str]]:
        """By level that is trained, what to change in these options to train it alone."""
        return {rung.index: {"level": str(rung.index), "level_model": ""} for rung in self.rungs() if rung.trained}

    def at(self, rung: Rung) -> GameConfig:
        """The options of the game that one level plays."""
        own = {field.name: getattr(self, field.name) for field in fields(GameConfig)}
        special = level_options(self.level_options, len(self.sides())).get(rung.index, {})
        mixed = resolve(GameConfig, ("run", own), (f"--level-options of level {rung.index}", special)).config
        return replace(mixed, size=rung.side, steps=rung.steps)  # smaller than a run's pictures may be


def level_models(text: str, count: int) -> dict[int, str]:
    """ "0=acgan:RUN,1=lapgan:RUN" by level. Raises ConfigError for anything else, and for levels that are not there."""
    found: dict[int, str] = {}
    for part in text.split(",") if text else ():
        level, _, reference = part.strip().partition("=")
        family, _, run = reference.partition(":")
        if not (level.isdecimal() and family and run):
            raise ConfigError(f"--level-model {part!r} names no level and run.", "Write LEVEL=FAMILY:RUN.")
        if int(level) >= count or int(level) in found:
            what = "is named twice" if int(level) in found else "is not there"
            raise ConfigError(f"--level-model: level {level} {what}.", f"Levels count from 0 to {count - 1}.")
        found[int(level)] = reference
    return found


def level_options(text: str, count: int) -> dict[int, dict[str, str]]:
    """ "0.loss=lsgan,2.lr_g=1e-4" by level and name.

    Raises:
        ConfigError: for anything else, for levels that are not there, and for options that hold for all levels.
    """
    found: dict[int, dict[str, str]] = {}
    for part in re.split(r",\s*(?=\d+\.)", text) if text else ():  # values may have commas themselves
        place, equals, value = part.strip().partition("=")
        level, _, name = place.partition(".")
        name = name.strip().replace("-", "_")
        if not (level.isdecimal() and name and equals):
            raise ConfigError(f"--level-options {part!r} names no level, option and value.", "Write 0.lr_g=1e-4.")
        if int(level) >= count:
            raise ConfigError(f"--level-options: level {level} is not there.", f"Levels count from 0 to {count - 1}.")
        if name in FOR_ALL:
            raise ConfigError(f"--level-options: {name} holds for all levels.", "Give it by its own flag.")
        found.setdefault(int(level), {})[name] = value.strip()
    return found


def _numbers(name: str, text: str, least: int, example: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isdecimal() and least <= int(part) <= 10**8 for part in parts):
        flag = name.replace("_", "-")
        raise ConfigError(
            f"--{flag} {text!r} is no list of numbers from {least}.", f"Put commas between, as in {example}."
        )
    return [int(part) for part in parts]


def _one_of(name: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if part not in get_args(Arch):
            raise ConfigError(f"--{name} has no {part!r}.", f"There are: {', '.join(get_args(Arch))}.")
    return parts


def _spread(name: str, values: Sequence[T], count: int, empty: T | None = None) -> list[T]:
    """One for each level: the last goes on."""
    if not values and empty is not None:
        return [empty] * count
    # Presets have two values, for the coarsest level and for all others; a pyramid of one level needs the first alone.
    if not 0 < len(values) <= max(count, 2):
        flag = name.replace("_", "-")
        what = "no values" if not values else f"{len(values)} values for {count} levels"
        raise ConfigError(f"--{flag} has {what}.", f"Give 1 to {count}, with commas between; the last goes on.")
    return [*values, *[values[-1]] * (count - len(values))][:count]


def _chosen(text: str, count: int) -> list[int]:
    if text.strip() in ("all", "none"):
        return list(range(count)) if text.strip() == "all" else []
    levels = _numbers("level", text, 0, "0,2")
    if not levels or max(levels) >= count:
        raise ConfigError(f"There is no level {text!r}.", f"Levels count from 0, the coarsest, to {count - 1}.")
    if len(set(levels)) < len(levels):
        raise ConfigError(f"--level {text!r} names a level twice.", "Name each once.")
    return levels


def _check_networks(rung: Rung) -> None:
    if not rung.trained:
        return
    if rung.below is None and rung.arch == "deep":
        raise ConfigError("--arch deep belongs to levels above the coarsest.", "Begin with mlp, conv or dcgan.")
    if rung.below is None and rung.arch in ("conv", "dcgan") and doublings(rung.side) is None:
        raise ConfigError(
            f"A coarsest level of {rung.side} pixels is too small, or no multiple of 4, for convolutions.",
            "Begin --arch with mlp, or --levels with 16 or more.",
        )


_SGD: dict[str, Any] = {"optimizer": "sgd", "noise": "uniform", "standardise": True, "reuse_fakes": False}
# One epoch is 45,000 pictures in batches of 64 reals and as many fakes, and the mean is over both: hence half the rate.
_CIFAR: dict[str, Any] = {**_SGD, "batch": 64, "dropout": 0.5, "lr_g": 0.02, "lr_d": 0.01, "decay": "exponential"}
_SCENES: dict[str, Any] = {
    **_SGD, "size": 64, "levels": "4,8,16,32,64", "batch": 64, "crop": "random", "flip": True,
    "decay": "exponential", "steps": 125_000,
}  # fmt: skip

PRESETS = {
    "paper": Preset(
        "Denton et al. 2015 on CIFAR-10: 8 to 14 to 28 pixels, momentum from 0.5 to 0.8",
        {
            **_CIFAR, "size": 28, "levels": "8,14,28", "crop": "random", "arch": "mlp,conv",
            "width_g": "1200,64", "width_d": "600,64", "beta1": 0.5, "momentum_end": 0.8,
            "decay_factor": 1.0000000569, "steps": 264_000,
        },
    ),
    "eyescream": Preset(
        "the published code on CIFAR-10: 8 to 16 to 32 pixels, 8000 units at the start",
        {
            **_CIFAR, "flip": False, "arch": "mlp,conv", "width_g": "8000,64", "width_d": "1600,64",
            "coarse_sigmoid": True, "coarse_init_g": 0.05, "coarse_init_d": 0.005, "beta1": 0.0, "momentum_end": 0.7,
            "decay_factor": 1.0000000057, "steps": 600_000,
        },
    ),
    "paper-64": Preset(
        "Denton et al. 2015 on LSUN: 4 to 64 pixels, five layers from the second level on",
        {
            **_SCENES, "arch": "mlp,deep", "width_g": "1200,64", "width_d": "600,64", "dropout": 0.5,
            "lr_g": 0.02, "lr_d": 0.01, "beta1": 0.5, "momentum_end": 0.52, "decay_factor": 1.000000008,
        },
    ),
    "eyescream-64": Preset(
        "the published code on scenes: 4 to 64 pixels, and a rest for the player that leads",
        {
            **_SCENES, "arch": "mlp,deep", "width_g": "600,64", "width_d": "600,64", "dropout": 0.5,
            "lr_g": 0.01, "lr_d": 0.005, "beta1": 0.0, "momentum_end": 0.02, "margin": 0.3,
            "decay_factor": 1.0000000008,
        },
    ),
    "fast": Preset(
        "for a CPU or for impatience: WGAN-GP for thumbnails, small hinge games above; half an hour",
        {
            "arch": "mlp,dcgan", "width_g": "512,32", "width_d": "256,32", "lr_g": 5e-4, "lr_d": 5e-4, "ema": 0.995,
            "loss": "hinge", "spectral_norm": True, "level_steps": "8000,4000",
            "keep_coarse": True, "mode_seeking": 0.02,
            "level_options": "0.loss=wasserstein,0.gp=10,0.spectral_norm=false,0.d_steps=3,0.beta1=0,0.beta2=0.9,"
            "0.lr_g=3e-4,0.lr_d=3e-4,0.ema=0.999",
        },
    ),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {
            "size": 16, "levels": "4,8,16", "width_g": "16,8", "width_d": "16,8", "nz": 8, "batch": 4, "steps": 4,
        },
    ),
}  # fmt: skip
