"""DCGAN's options and presets. The defaults are the recipe of pytorch/examples."""

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
class DCGANConfig(GameConfig):
    """Options of DCGAN beside those of the game."""

    arch: Literal["examples", "radford", "sngan"] = opt(
        "examples", "networks of pytorch/examples, the DCGAN paper, or the SN-GAN paper", group=NETWORK
    )
    ngf: int = opt(64, "generator's channels next to the picture", group=NETWORK, ge=1)
    ndf: int = opt(64, "discriminator's channels next to the picture", group=NETWORK, ge=1)
    widest: int = opt(16, "channels at most, times --ngf and --ndf", group=NETWORK, ge=1, le=256)
    norm_g: Literal["batch", "none"] = opt("batch", "normalisation in the generator", group=NETWORK)
    norm_d: Literal["batch", "instance", "layer", "none"] = opt(
        "batch", "normalisation in the discriminator", group=NETWORK
    )
    extra_layers: int = opt(0, "3x3 layers more in each network, as WGAN's code has", group=NETWORK, ge=0, le=16)

    def __post_init__(self) -> None:
        """Checks that involve two options. Raises ConfigError."""
        super().__post_init__()
        check_side(self.size)
        if self.norm_d == "batch" and (self.gp or self.r1):
            raise ConfigError(
                f"{'--gp' if self.gp else '--r1'} asks for the gradient of each picture alone, and batch norm mixes "
                "the pictures of a batch.",
                "Add --norm-d none (or layer).",
            )
        if self.extra_layers and self.arch == "sngan":
            raise ConfigError("--arch sngan has no place for --extra-layers.", "Take --arch examples or radford.")


FAST = {
    "size": 32,
    "ngf": 32,
    "ndf": 32,
    "batch": 32,
    "lr_g": 5e-4,
    "lr_d": 5e-4,
    "ema": 0.999,
    "decay": "linear",
    "decay_from": 0.2,
    "steps": 2500,
}

PRESETS = {
    "paper": Preset(
        "Radford et al. 2016: 5x5 kernels, 128 to 1024 channels, as long as 25 epochs of faces",
        {
            "arch": "radford",
            "ngf": 128,
            "ndf": 128,
            "noise": "uniform",
            "batch": 128,
            "weight_decay": 1e-5,
            "reuse_fakes": False,
            "steps": 34_000,
        },
    ),
    "examples": Preset(
        "pytorch/examples: 4x4 kernels, 64 to 512 channels, as long as 25 epochs of CelebA", {"steps": 79_000}
    ),
    "stable": Preset(
        "examples with soft labels from [0.9, 1] and spectral normalisation",
        {"soft_labels": 0.9, "spectral_norm": True, "norm_d": "none", "steps": 79_000},
    ),
    "wgan": Preset(
        "Arjovsky et al. 2017: Wasserstein loss, clipped critic, and the schedule of their code",
        {
            "loss": "wasserstein",
            "clip": 0.01,
            "d_steps": 5,
            "critic_bursts": True,
            "optimizer": "rmsprop",
            "lr_g": 5e-5,
            "lr_d": 5e-5,
            "reuse_fakes": False,
            "steps": 50_000,
        },
    ),
    "wgan-gp": Preset(
        "Gulrajani et al. 2017: Wasserstein loss, gradient penalty, a critic without batch norm",
        {
            "loss": "wasserstein",
            "gp": 10.0,
            "norm_d": "none",
            "nz": 128,
            "d_steps": 5,
            "lr_g": 1e-4,
            "lr_d": 1e-4,
            "beta2": 0.9,
            "reuse_fakes": False,
            "steps": 100_000,
        },
    ),
    "sngan": Preset(
        "Miyato et al. 2018: spectral normalisation, hinge loss, their standard CNN at 32 px",
        {
            "arch": "sngan",
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
    "fast": Preset("for a CPU or for impatience: 32 px, 32 to 128 channels, minutes", FAST),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {"size": 16, "ngf": 8, "ndf": 8, "nz": 8, "batch": 4, "steps": 12},
    ),
}
