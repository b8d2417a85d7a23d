"""Conditional GAN's options and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.game.options import GameConfig
from gantool.nn.sides import check_side
from gantool.options import opt

NETWORK = "Networks"


@dataclass(frozen=True, kw_only=True)
class CGANConfig(GameConfig):
    """Options of the conditional GAN beside those of the game."""

    size: int = opt(28, "side of the pictures trained on, pixels", ge=4, le=1024)

    arch: Literal["mlp", "conv", "projection"] = opt(
        "conv", "fully connected; convolutions told the class in each layer; projection", group=NETWORK
    )
    ngf: int = opt(64, "generator's channels next to the picture (not mlp)", group=NETWORK, ge=1)
    ndf: int = opt(64, "discriminator's channels next to the picture (not mlp)", group=NETWORK, ge=1)
    norm_d: Literal["batch", "instance", "layer", "none"] = opt(
        "batch", "normalisation in the discriminator (not mlp)", group=NETWORK
    )
    dropout_g: float = opt(0.0, "dropout in the generator (mlp only)", group=NETWORK, ge=0, lt=1)

    def __post_init__(self) -> None:
        """Checks that involve two options. Raises ConfigError."""
        super().__post_init__()
        if self.arch == "mlp":
            return
        check_side(self.size)
        if self.dropout_g:
            raise ConfigError("--dropout-g belongs to --arch mlp.", "Drop it, or take that.")
        if self.norm_d == "batch" and (self.gp or self.r1):
            raise ConfigError(
                f"{'--gp' if self.gp else '--r1'} asks for the gradient of each picture alone, and batch norm mixes "
                "the pictures of a batch.",
                "Add --norm-d none (or layer).",
            )


PRESETS = {
    "paper": Preset(
        "Mirza and Osindero 2014 on MNIST: ReLU against maxout, dropout, momentum",
        {
            "arch": "mlp",
            "noise": "uniform",
            "dropout": 0.5,
            "dropout_g": 0.5,
            "batch": 100,
            "optimizer": "sgd",
            "lr_g": 0.1,
            "lr_d": 0.05,  # 0.1 on half the sum of the two losses, as in the code of the first GAN
            "beta1": 0.5,
            "momentum_end": 0.7,
            "decay": "exponential",
            "decay_factor": 1.00004,
            "steps": 125_000,
        },
    ),
    "conv": Preset(
        "after Radford's conditional DCGAN: the class beside every layer's input; 200 epochs",
        {
            "noise": "uniform",
            "batch": 128,
            "weight_decay": 2.5e-5,
            "decay": "linear",
            "decay_from": 0.5,
            "reuse_fakes": False,
            "steps": 39_000,
        },
    ),
    "projection": Preset(
        "Miyato and Koyama 2018: class by inner product and batch norm, spectral norm, hinge",
        {
            "arch": "projection",
            "size": 32,
            "loss": "hinge",
            "spectral_norm": True,
            "norm_d": "none",
            "nz": 128,
            "d_steps": 5,
            "beta1": 0.0,
            "beta2": 0.9,
            "reuse_fakes": False,
            "steps": 50_000,
        },
    ),
    "fast": Preset(
        "for a CPU or for impatience: projection at 12 to 48 channels, minutes",
        {
            "arch": "projection",
            "loss": "hinge",
            "spectral_norm": True,
            "norm_d": "none",
            "ngf": 12,
            "ndf": 12,
            "nz": 64,
            "lr_g": 5e-4,
            "lr_d": 5e-4,
            "beta1": 0.0,
            "beta2": 0.9,
            "ema": 0.999,
            "steps": 5000,
        },
    ),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {"size": 16, "ngf": 8, "ndf": 8, "nz": 8, "batch": 4, "steps": 12},
    ),
}
