"""SinGAN's options and presets. The defaults are the published recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.options import opt

NETWORK, OPTIMISER, LOSS = "Networks", "Optimisation", "Losses"
SPEED, RETRAIN = "Beyond the paper (off in `paper`)", "One scale anew (what `gantool paint --quantize` trains)"
FIELD = 11  # pixels across that one score sees, with the published five layers


@dataclass(frozen=True, kw_only=True)
class SinGANConfig:
    """Options of SinGAN; names follow the paper where it names them."""

    mode: Literal["generation", "animation", "superres"] = opt(
        "generation", "what is trained for: samples and repainting, films, enlarging"
    )
    min_size: int | None = opt(None, "shorter side of the coarsest scale, pixels (25; films 20; enlarging 18)", ge=8)
    max_size: int = opt(250, "longer side of the finest scale, pixels", ge=16)
    scale_factor: float | None = opt(None, "size of a scale over the next (0.75; from --factor)", ge=0.1, lt=1)
    factor: float = opt(4.0, "enlargement that mode superres prepares for", gt=1, le=64)
    iterations: int = opt(2000, "training iterations a scale", ge=1)

    channels: int = opt(32, "convolution channels at the coarsest scales", group=NETWORK, ge=1)
    channels_step: int = opt(4, "scales after which channels double", group=NETWORK, ge=1)
    max_channels: int = opt(128, "channels at most", group=NETWORK, ge=1)
    layers: int = opt(5, "convolutions of each network", group=NETWORK, ge=3, le=9)
    slope: float = opt(0.2, "negative slope of LeakyReLU", group=NETWORK, ge=0, lt=1)

    lr_g: float = opt(5e-4, "generators' Adam learning rate", group=OPTIMISER, gt=0)
    lr_d: float = opt(5e-4, "discriminators' Adam learning rate", group=OPTIMISER, gt=0)
    beta1: float = opt(0.5, "Adam's beta1, both networks", group=OPTIMISER, ge=0, lt=1)
    beta2: float = opt(0.999, "Adam's beta2, both networks", group=OPTIMISER, ge=0, lt=1)
    decay: float = opt(0.1, "learning rate factor late in each scale (gamma)", group=OPTIMISER, gt=0, le=1)
    decay_at: float = opt(0.8, "when it applies, fraction of the scale", group=OPTIMISER, gt=0, le=1)
    critic_steps: int = opt(3, "discriminator updates an iteration (Dsteps)", group=OPTIMISER, ge=1)
    generator_steps: int = opt(3, "generator updates an iteration (Gsteps)", group=OPTIMISER, ge=1)
    generator_loop: Literal["recompute", "legacy"] = opt(
        "recompute", "later generator updates: draw the fake anew, or PyTorch 1.4's way", group=OPTIMISER
    )
    coarsest_noise: Literal["redrawn", "fixed"] = opt(
        "redrawn", "scale 0's reconstruction noise: each iteration (code) or once (paper)", group=OPTIMISER
    )

    penalty: float = opt(0.1, "weight of the gradient penalty (lambda_grad)", group=LOSS, ge=0)
    reconstruction: float | None = opt(
        None, "weight of the reconstruction error, alpha (10; enlarging 100)", group=LOSS, ge=0
    )
    noise_amp: float = opt(0.1, "noise per unit of reconstruction error", group=LOSS, ge=0)

    penalty_every: int = opt(1, "penalise every k-th discriminator update, k times as hard", group=SPEED, ge=1)

    only_scale: int | None = opt(None, "the scale that is trained, all others being kept", group=RETRAIN, ge=0)
    quantize: int = opt(0, "colours that pictures from the scale below are reduced to", group=RETRAIN, ge=0, le=64)
    quantize_rows: Literal["colours", "triples"] = opt(
        "colours", "what k-means groups: colours, or the official code's triples", group=RETRAIN
    )
    sizes: tuple[tuple[int, int], ...] | None = opt(
        None, "sizes (height, width) of all scales, for models from elsewhere", group=RETRAIN
    )

    def __post_init__(self) -> None:
        """Checks that involve two options."""
        if self.coarsest < self.field:
            raise ConfigError(
                f"The coarsest scale of {self.coarsest} pixels is smaller than the {self.field} that the discriminator "
                f"of --layers {self.layers} sees at once.",
                f"Set --min-size to {self.field} or more, or take fewer --layers.",
            )
        if self.max_size <= self.coarsest:
            raise ConfigError(
                f"--max-size {self.max_size} is not above --min-size {self.coarsest}.", "Raise --max-size."
            )
        if self.quantize and self.only_scale is None:
            raise ConfigError(
                "--quantize belongs to a scale that is trained anew.", "Use `gantool paint RUN PAINTING --quantize`."
            )
        if self.quantize == 1:
            raise ConfigError("One colour paints nothing.", "Use --quantize 2 or more.")

    @property
    def field(self) -> int:
        """Pixels across that one score of the discriminator sees."""
        return 2 * self.layers + 1

    @property
    def coarsest(self) -> int:
        """Shorter side of the coarsest scale: as set, else 25 (films 20, enlarging 18), as published."""
        if self.min_size is not None:
            return self.min_size
        return {"generation": 25, "animation": 20, "superres": 18}[self.mode]

    @property
    def alpha(self) -> float:
        """Weight of the reconstruction error: as set, else 10 (enlarging 100), as published."""
        return self.reconstruction if self.reconstruction is not None else 100.0 if self.mode == "superres" else 10.0

    def width(self, scale: int) -> int:
        """Channels of the networks at a scale: they double every four scales, up to 128."""
        doubled: int = self.channels * 2 ** (scale // self.channels_step)
        return min(doubled, max(self.max_channels, self.channels))


PRESETS = {
    "paper": Preset("the published recipe: 25 to 250 px, 32 to 128 channels, 2000 iterations a scale"),
    "fast": Preset(
        "for a CPU or for impatience: 160 px, 32 channels, fewer updates",
        {
            "max_size": 160,
            "max_channels": 32,
            "iterations": 600,
            "critic_steps": 1,
            "generator_steps": 1,
            "coarsest_noise": "fixed",  # else scale 0 gives back a grey mean, and scale 1 overdoes what it is given
        },
    ),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {"max_size": 32, "min_size": 16, "channels": 8, "iterations": 10, "max_channels": 16, "channels_step": 2},
    ),
}
