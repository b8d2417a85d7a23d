"""AC-GAN's options and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.game.options import GameConfig
from gantool.nn.sides import check_side
from gantool.options import opt

NETWORK, LOSS = "Networks", "Losses"
WIDTHS = {"odena": (96, 16), "digits": (128, 32), "light": (16, 16)}  # as published, of G and D, next to the picture
HALVED = {"odena": 8, "digits": 4}  # the side is a multiple of this


@dataclass(frozen=True, kw_only=True)
class ACGANConfig(GameConfig):
    """Options of AC-GAN beside those of the game."""

    size: int = opt(32, "side of the pictures trained on, pixels", ge=8, le=1024)

    arch: Literal["odena", "digits", "light"] = opt(
        "odena", "networks of the paper on CIFAR, of a Keras example on digits, or small ones", group=NETWORK
    )
    ngf: int | None = opt(None, "generator's channels next to the picture (96, 128, 16)", group=NETWORK, ge=1)
    ndf: int | None = opt(None, "discriminator's channels next to the picture (16, 32, 16)", group=NETWORK, ge=1)
    class_weight_d: float = opt(1.0, "weight of the classifier's loss for the discriminator", group=LOSS, ge=0)
    class_weight_g: float = opt(1.0, "weight of the classifier's loss for the generator", group=LOSS, ge=0)

    def __post_init__(self) -> None:
        """Checks that involve two options. Raises ConfigError."""
        super().__post_init__()
        if self.arch == "light":
            check_side(self.size)
        elif self.size % HALVED[self.arch]:
            unit = HALVED[self.arch]
            near = max(unit, self.size // unit * unit)
            raise ConfigError(
                f"--arch {self.arch} draws sides that are multiples of {unit} pixels, and {self.size} is none.",
                f"Take --size {near} or {near + unit}.",
            )
        if (self.gp or self.r1) and self.arch == "odena":
            raise ConfigError(
                f"{'--gp' if self.gp else '--r1'} asks for the gradient of each picture alone, and the batch norm of "
                "--arch odena mixes the pictures of a batch.",
                "Take --arch light or digits, whose discriminators have none.",
            )

    @property
    def width_g(self) -> int:
        """Channels of the generator next to the picture."""
        return self.ngf or WIDTHS[self.arch][0]

    @property
    def width_d(self) -> int:
        """Channels of the discriminator next to the picture."""
        return self.ndf or WIDTHS[self.arch][1]


PRESETS = {
    "paper": Preset(
        "Odena et al. 2017 on CIFAR: batch norm, dropout 0.5, 50,000 updates",
        {"dropout": 0.5, "batch": 100, "steps": 50_000},
    ),
    "digits": Preset(
        "a course project's on digits: RMSprop, a linear score held by a penalty, dropout 0.3",
        {
            "arch": "digits",
            "size": 28,
            "loss": "wasserstein",
            "gp": 10.0,  # not in the recipe, where nothing bounds the linear score: it runs away
            "optimizer": "rmsprop",
            "lr_g": 5e-5,
            "lr_d": 5e-5,
            "dropout": 0.3,
            "batch": 100,
            "reuse_fakes": False,
            "steps": 14_000,
        },
    ),
    "fast": Preset(
        "for a CPU or for impatience: hinge loss and spectral norm, 24 and 32 channels, minutes",
        {
            "arch": "light",
            "size": 28,
            "ngf": 24,
            "ndf": 32,
            "nz": 64,
            "loss": "hinge",
            "spectral_norm": True,
            "minibatch_std": True,
            "lr_d": 4e-4,
            "beta1": 0.0,
            "beta2": 0.9,
            "batch": 32,
            "ema": 0.999,
            "steps": 15_000,
        },
    ),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {"arch": "light", "size": 16, "ngf": 8, "ndf": 8, "nz": 8, "batch": 4, "steps": 12},
    ),
}
