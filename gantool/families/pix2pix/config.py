"""pix2pix's options and presets. The defaults are the recipe of the PyTorch port."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gantool.data.set_options import DATA, PairOptions
from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.nn.sides import least_side
from gantool.options import opt

NETWORK, LOSS, OPTIMISER, SCHEDULE = "Networks", "Losses", "Optimisation", "Schedule"
DEEPEST = 10


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig(PairOptions):
    """Options of pix2pix beside those of the pairs. Rates are Adam's."""

    folders: ClassVar[tuple[str, ...]] = (*PairOptions.folders, "val")

    val: str = opt("", "pairs that are measured on the way, and not trained on", group=DATA)

    epochs: float = opt(100.0, "passes through the pairs at the full learning rate", group=SCHEDULE, ge=0)
    decay_epochs: float = opt(100.0, "passes after them, while the rate falls to 0", group=SCHEDULE, ge=0)
    steps: int | None = opt(
        None, "updates in all, in place of the two above, in their proportion", group=SCHEDULE, ge=1
    )
    generator_first: bool = opt(
        False, "G learns from D as it was before D's update, as in the authors' code", group=SCHEDULE
    )

    start: str = opt("", "begin with the networks of a trained or imported run, pix2pix:RUN", group=SCHEDULE)

    arch: Literal["unet", "resnet"] = opt("unet", "generator: U-Net or residual network", group=NETWORK)
    layers: int | None = opt(
        None, "of the U-Net down, and as many up (none: down to one pixel)", group=NETWORK, ge=2, le=DEEPEST
    )
    blocks: int = opt(9, "of --arch resnet", group=NETWORK, ge=1, le=32)
    width_g: int = opt(64, "generator's channels next to the picture (ngf)", group=NETWORK, ge=1, le=512)
    norm: Literal["batch", "instance", "none"] = opt("batch", "of both networks", group=NETWORK)
    dropout: float = opt(0.5, "noise of the generator: share of values dropped", group=NETWORK, ge=0, lt=1)
    dropped: Literal["first", "middle"] = opt(
        "middle", "where a U-Net drops: first layers up (authors), or all but the first (port)", group=NETWORK
    )
    upsample: Literal["transposed", "resize"] = opt(
        "transposed", "how sides double: as published, or by resizing, without checkerboard", group=NETWORK
    )
    patch: Literal[1, 16, 34, 70, 142, 286] = opt(
        70, "side of the patches judged: 1, 16, 34, 70, 142 or 286 pixels", group=NETWORK
    )
    width_d: int = opt(64, "discriminator's channels next to the picture (ndf)", group=NETWORK, ge=1, le=512)
    conditional: bool = opt(True, "the discriminator sees the input, too (cGAN)", group=NETWORK)
    spectral_norm: bool = opt(False, "spectral normalisation of the discriminator", group=NETWORK)

    ema: float = opt(0.0, "decay of the averaged generator that translates (0.999; 0: none)", group=NETWORK, ge=0, lt=1)

    loss: Literal["bce", "lsgan", "hinge", "wasserstein"] = opt("bce", "what the two networks play for", group=LOSS)
    l1: float = opt(100.0, "weight of the L1 distance to the truth (lambda)", group=LOSS, ge=0)
    adversarial: float = opt(1.0, "weight of the adversarial loss; 0 leaves the game out", group=LOSS, ge=0)
    gp: float = opt(0.0, "weight of WGAN-GP's gradient penalty (10)", group=LOSS, ge=0)
    halve_d: bool = opt(True, "halve the discriminator's loss, as the port does", group=LOSS)

    lr_g: float = opt(2e-4, "generator's learning rate", group=OPTIMISER, gt=0)
    lr_d: float = opt(2e-4, "discriminator's", group=OPTIMISER, gt=0)
    beta1: float = opt(0.5, "Adam's beta1", group=OPTIMISER, ge=0, lt=1)
    beta2: float = opt(0.999, "Adam's beta2", group=OPTIMISER, ge=0, lt=1)

    def __post_init__(self) -> None:
        """Checks that involve two options. Raises ConfigError."""
        super().__post_init__()
        if not (self.l1 or self.adversarial):
            raise ConfigError("Both --l1 and --adversarial are 0: nothing is left to learn.", "Raise one.")
        if self.steps is None and not self.epochs + self.decay_epochs:
            raise ConfigError("Both --epochs and --decay-epochs are 0: nothing is left to train.", "Raise one.")
        if self.gp and self.norm == "batch":
            raise ConfigError(
                "--gp asks for the gradient of each picture alone, and batch norm mixes the pictures of a batch.",
                "Add --norm instance (or none).",
            )
        if self.start and not self.start.startswith("pix2pix:"):
            raise ConfigError(
                f"--start {self.start} names no run of pix2pix.", "Write pix2pix:RUN, as in pix2pix:latest."
            )
        if self.crops:
            self.check_size(self.size)

    @property
    def parts(self) -> Mapping[int, str]:
        """Trained runs that it takes in: the networks to begin with."""
        return {0: self.start} if self.start else {}

    def check_size(self, side: int) -> None:
        """Raises ConfigError where pictures with that shorter side are too small for one of the networks."""
        deepest = int(math.log2(side))
        if self.arch == "unet" and self.layers is not None and self.layers > deepest:
            raise ConfigError(
                f"--layers {self.layers} halve sides more often than {side} pixels can be halved.",
                f"Take --layers {deepest}, or fewer.",
            )
        least = least_side(self.patch)
        if self.adversarial and side < least:
            raise ConfigError(
                f"Patches of {self.patch} pixels need pictures of {least} or more, and these have {side}.",
                "Take a smaller --patch.",
            )

    def depth(self, side: int) -> int:
        """Layers of the U-Net each way, for pictures with that shorter side."""
        return min(DEEPEST, max(2, int(math.log2(side)))) if self.layers is None else self.layers

    def updates(self, pairs: int) -> int:
        """Steps of the whole training on that many pairs."""
        return self.steps or max(1, round((self.epochs + self.decay_epochs) * pairs / self.batch))

    def rate(self, done: float) -> float:
        """What learning rates are multiplied by when the share `done` of the steps is done."""
        whole = self.epochs + self.decay_epochs
        kept = self.epochs / whole if whole else 1.0
        return 1.0 if done <= kept or kept == 1 else (1 - done) / (1 - kept)


PRESETS = {
    "paper": Preset(
        "Isola et al. 2017, as the authors' Torch code: 200 epochs at one rate, updated together",
        {"epochs": 200.0, "decay_epochs": 0.0, "generator_first": True, "halve_d": False, "dropped": "first"},
    ),
    "port": Preset("the PyTorch port: 100 epochs, 100 more with falling rates, D's loss halved"),
    "unet7": Preset(
        "a course project's: 7 layers down and 7 up, pictures resized to 256, 23 epochs at one rate",
        {"layers": 7, "load_size": 256, "epochs": 23.0, "decay_epochs": 0.0},
    ),
    "fast": Preset(
        "for a CPU or for impatience: 128 px, half the channels, 30 epochs, few pairs held in check",
        {
            "size": 128,
            "width_g": 32,
            "width_d": 32,
            "epochs": 15.0,
            "decay_epochs": 15.0,
            # Over few pairs D wins within minutes, and G learns them by heart: a slower D, more noise, an average.
            "lr_d": 1e-4,
            "dropped": "first",
            "ema": 0.999,
            "upsample": "resize",
        },
    ),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {"size": 32, "width_g": 4, "width_d": 4, "patch": 16, "batch": 2, "steps": 12},
    ),
}
