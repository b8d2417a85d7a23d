"""ConSinGAN's options and presets. The defaults are the published recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.options import opt

NETWORK, OPTIMISER, LOSS, SPEED = "Networks", "Optimisation", "Losses", "Beyond the paper (off in `paper`)"


@dataclass(frozen=True, kw_only=True)
class ConSinGANConfig:
    """Options of ConSinGAN; names follow the paper where it names them."""

    mode: Literal["generation", "retarget", "animation", "harmonization", "editing"] = opt(
        "generation", "what is trained for"
    )
    fine_tune: bool = opt(False, "train only the last stage, on a second picture")
    stages: int = opt(6, "stages of growing, coarsest to finest", ge=1, le=20)
    min_size: int | None = opt(None, "shorter side of the coarsest stage, pixels (by mode: 25, 20, 120)", ge=11)
    max_size: int = opt(250, "longer side of the finest stage, pixels", ge=16)
    iterations: int = opt(2000, "training iterations a stage", ge=1)
    train_depth: int = opt(3, "newest stages that train at the same time", ge=1)
    lr_scale: float = opt(0.1, "learning rate factor per stage below the newest", ge=0, le=1)

    channels: int = opt(64, "convolution channels, both networks", group=NETWORK, ge=1)
    layers: int = opt(3, "convolution blocks a stage, and in the critic", group=NETWORK, ge=1, le=8)
    activation: Literal["lrelu", "elu", "prelu", "selu"] = opt("lrelu", "activation function", group=NETWORK)
    slope: float = opt(0.05, "negative slope of LeakyReLU, alpha of ELU", group=NETWORK, ge=0, lt=1)
    batch_norm: bool = opt(False, "batch norm in the generator", group=NETWORK)

    lr_g: float = opt(5e-4, "generator's Adam learning rate", group=OPTIMISER, gt=0)
    lr_d: float = opt(5e-4, "critic's Adam learning rate", group=OPTIMISER, gt=0)
    beta1: float = opt(0.5, "Adam's beta1, both networks", group=OPTIMISER, ge=0, lt=1)
    beta2: float = opt(0.999, "Adam's beta2, both networks", group=OPTIMISER, ge=0, lt=1)
    decay: float = opt(0.1, "learning rate factor late in each stage (gamma)", group=OPTIMISER, gt=0, le=1)
    decay_at: float = opt(0.8, "when it applies, fraction of the stage", group=OPTIMISER, gt=0, le=1)
    critic_steps: int = opt(3, "critic updates an iteration (Dsteps)", group=OPTIMISER, ge=1)
    generator_steps: int = opt(3, "Adam steps on one generator gradient (Gsteps)", group=OPTIMISER, ge=1)

    penalty: float = opt(0.1, "weight of the gradient penalty (lambda_grad)", group=LOSS, ge=0)
    reconstruction: float = opt(10.0, "weight of the reconstruction error (alpha)", group=LOSS, ge=0)
    noise_amp: float = opt(0.1, "noise per unit of reconstruction error", group=LOSS, ge=0)

    penalty_every: int = opt(1, "penalise every k-th critic update, k times as hard", group=SPEED, ge=1)
    crop: int = opt(0, "train on random crops of this side, pixels (0: whole)", group=SPEED, ge=0)
    crop_from: int = opt(4, "first stage (counted from 1) that crops", group=SPEED, ge=2)

    def __post_init__(self) -> None:
        """Checks that involve two options."""
        if self.coarsest < self.critic_field:
            raise ConfigError(
                f"The coarsest stage of {self.coarsest} pixels is smaller than the {self.critic_field} that the critic "
                f"of --layers {self.layers} sees at once.",
                f"Set --min-size to {self.critic_field} or more, or take fewer --layers.",
            )
        least = max(4 * self.layers, self.critic_field)
        if self.crop and self.crop < least:
            raise ConfigError(
                f"--crop {self.crop} is too small for --layers {self.layers}: the critic sees {self.critic_field} "
                "pixels at once.",
                f"Use at least --crop {least}.",
            )
        if self.crop and self.crop_from > self.stages:
            raise ConfigError(
                f"--crop {self.crop} would do nothing: it begins at stage {self.crop_from} of {self.stages}.",
                "Lower --crop-from, or add --stages.",
            )
        if self.crop and self.batch_norm:
            raise ConfigError(
                "--crop and --batch-norm do not go together: batch statistics of a crop are not the picture's.",
                "Drop one of the two.",
            )
        if self.crop and self.takes_pictures:
            raise ConfigError(
                f"--crop is not for --mode {self.mode}, which trains on whole pictures.",
                "Drop --crop; a smaller --max-size saves memory, too.",
            )
        if self.fine_tune and not self.takes_pictures:
            raise ConfigError(
                f"--fine-tune is not for --mode {self.mode}: it tunes a model to a picture that the model takes in.",
                "Use --mode harmonization or editing, or drop --fine-tune.",
            )
        if self.max_size < self.coarsest:
            raise ConfigError(
                f"--max-size {self.max_size} is below --min-size {self.coarsest}.",
                "Raise --max-size or lower --min-size.",
            )

    @property
    def critic_field(self) -> int:
        """Pixels across that one score of the critic sees."""
        return 2 * self.layers + 5

    @property
    def coarsest(self) -> int:
        """Shorter side of the coarsest stage: as set, else as published for the mode."""
        published = {"animation": 20, "harmonization": 120}.get(self.mode, 25)
        return self.min_size if self.min_size is not None else published

    @property
    def takes_pictures(self) -> bool:
        """Whether the coarsest stage is trained on pictures, not on noise."""
        return self.mode in ("harmonization", "editing")

    @property
    def noisy_border(self) -> bool:
        """Whether noise or zeros surround the picture; see `networks.Generator`."""
        return self.mode in ("generation", "animation")


PRESETS = {
    "paper": Preset("the published recipe: 6 stages, 25 to 250 px, 64 channels, 2000 iterations each"),
    "fast": Preset(
        "for a CPU or for impatience: half the channels, 160 px, one critic update",
        {
            "stages": 6,
            "max_size": 160,
            "channels": 32,
            "iterations": 800,
            "lr_scale": 0.5,
            "critic_steps": 1,
            "penalty_every": 2,
        },
    ),
    "harmonize": Preset(
        "the published recipe for pasted objects: 3 stages, 120 to 250 px, batch norm",
        {
            "mode": "harmonization",
            "stages": 3,
            "min_size": 120,
            "slope": 0.3,
            "iterations": 1000,
            "batch_norm": True,
        },
    ),
    "harmonize-fast": Preset(
        "the same for a CPU: 80 to 160 px, half the channels, one critic update",
        {
            "mode": "harmonization",
            "stages": 3,
            "min_size": 80,
            "max_size": 160,
            "slope": 0.3,
            "channels": 32,
            "iterations": 500,
            "batch_norm": True,
            "critic_steps": 1,
            "penalty_every": 2,
        },
    ),
    "edit": Preset(
        "the published recipe for edited pictures: 6 stages, 25 to 250 px, batch norm",
        {"mode": "editing", "iterations": 1000, "batch_norm": True},
    ),
    "edit-fast": Preset(
        "the same for a CPU: 160 px, half the channels, one critic update",
        {
            "mode": "editing",
            "max_size": 160,
            "channels": 32,
            "iterations": 500,
            "batch_norm": True,
            "critic_steps": 1,
            "penalty_every": 2,
        },
    ),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {"stages": 3, "max_size": 32, "min_size": 16, "channels": 8, "iterations": 10},
    ),
}
