"""SRGAN's options and presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gantool.data.set_options import DATA, PatchOptions
from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.options import opt

NETWORK, LOSS, OPTIMISER, SCHEDULE = "Networks", "Losses", "Optimisation", "Schedule"
HALVINGS = 4  # of a patch's side by the discriminator
LEAST_VGG54 = 16
SCALES = {"srresnet": (2, 3, 4, 8), "msrresnet": (2, 3, 4), "rrdb": (2, 4, 8)}


@dataclass(frozen=True, kw_only=True)
class SRGANConfig(PatchOptions):
    """Options of SRGAN beside those of the data. Rates are Adam's; steps are updates of the generator."""

    folders: ClassVar[tuple[str, ...]] = ("small", "val")

    val: str = opt("", "folder of pictures whose PSNR and SSIM are measured on the way", group=DATA)

    pretrain_steps: int = opt(1_000_000, "updates of SRResNet by pixels alone; 0 leaves it out", group=SCHEDULE, ge=0)
    steps: int = opt(200_000, "updates in the game that follows; 0 leaves it out", group=SCHEDULE, ge=0)
    start: str = opt("", "begin with the generator of a trained run, srgan:RUN", group=SCHEDULE)
    generator_first: bool = opt(
        False, "update the generator before the discriminator (leftthomas's code)", group=SCHEDULE
    )

    arch: Literal["srresnet", "msrresnet", "rrdb"] = opt(
        "srresnet", "generator: the paper's, BasicSR's without batch norm, or ESRGAN's", group=NETWORK
    )
    blocks: int = opt(16, "residual blocks of the generator", group=NETWORK, ge=1, le=64)
    channels: int = opt(64, "channels of the generator", group=NETWORK, ge=1, le=512)
    growth: int = opt(32, "channels that a layer of --arch rrdb adds", group=NETWORK, ge=1, le=256)
    norm_g: Literal["batch", "none"] = opt("batch", "of --arch srresnet", group=NETWORK)
    slopes: Literal["channel", "layer"] = opt(
        "channel", "of --arch srresnet's PReLUs: one for each channel or layer", group=NETWORK
    )
    last: Literal["linear", "tanh"] = opt("linear", "how --arch srresnet ends", group=NETWORK)
    width_d: int = opt(64, "channels of the discriminator's first layer", group=NETWORK, ge=1, le=512)
    head_d: Literal["dense", "pool"] = opt(
        "dense", "discriminator's end: the paper's, or means over the patch", group=NETWORK
    )
    norm_d: Literal["batch", "none"] = opt("batch", "of the discriminator", group=NETWORK)
    spectral_norm: bool = opt(False, "spectral normalisation of the discriminator", group=NETWORK)
    ema: float = opt(0.0, "decay of the averaged generator that enlarges (0.999; 0: none)", group=NETWORK, ge=0, lt=1)

    content: Literal["mse", "vgg22", "vgg54"] = opt(
        "vgg54", "content loss: pixels, or features of VGG19 (needs its weights)", group=LOSS
    )
    content_weight: float = opt(1.0, "weight of the content loss", group=LOSS, ge=0)
    pixel: float = opt(0.0, "weight of the MSE of pixels beside --content vgg22 or vgg54", group=LOSS, ge=0)
    adversarial: float = opt(1e-3, "weight of the adversarial loss", group=LOSS, ge=0)
    tv: float = opt(0.0, "weight of total variation (2e-8)", group=LOSS, ge=0)
    loss: Literal["bce", "lsgan", "hinge", "wasserstein", "probability"] = opt(
        "bce", "what the two networks play for", group=LOSS
    )
    values: Literal["signed", "unit"] = opt(
        "signed", "pixels in losses and for the discriminator: -1 to 1, or 0 to 1", group=LOSS
    )

    lr_pretrain: float = opt(1e-4, "learning rate of SRResNet", group=OPTIMISER, gt=0)
    lr_g: float = opt(1e-4, "generator's in the game", group=OPTIMISER, gt=0)
    lr_d: float = opt(1e-4, "discriminator's", group=OPTIMISER, gt=0)
    beta1: float = opt(0.9, "Adam's beta1", group=OPTIMISER, ge=0, lt=1)
    beta2: float = opt(0.999, "Adam's beta2", group=OPTIMISER, ge=0, lt=1)
    decay_pretrain: Literal["none", "step", "linear"] = opt(
        "none", "rate of SRResNet: kept, a tenth from half of the steps on, or down to 0", group=OPTIMISER
    )
    decay: Literal["none", "step", "linear"] = opt("step", "the same of the game's rates", group=OPTIMISER)

    def __post_init__(self) -> None:
        """Checks that involve two options. Raises ConfigError."""
        super().__post_init__()
        if self.scale not in SCALES[self.arch]:
            known = ", ".join(map(str, SCALES[self.arch]))
            raise ConfigError(f"--arch {self.arch} has no --scale {self.scale}.", f"It has {known}.")
        if not (self.pretrain_steps or self.steps):
            raise ConfigError("Both --pretrain-steps and --steps are 0: nothing is left to train.", "Raise one.")
        if self.steps and self.head_d == "dense" and self.size % 2**HALVINGS:
            raise ConfigError(
                f"The discriminator halves patches {HALVINGS} times, and --size {self.size} cannot be.",
                f"Take a multiple of {2**HALVINGS}, or --head-d pool.",
            )
        if self.steps and self.content == "vgg54" and self.content_weight and self.size < LEAST_VGG54:
            raise ConfigError(
                f"Features phi_5,4 of VGG19 need patches of {LEAST_VGG54} pixels, and --size is {self.size}.",
                f"Take --size {LEAST_VGG54} or more, or --content vgg22.",
            )
        places_g = (self.size // self.scale) ** 2 if self.arch == "srresnet" and self.norm_g == "batch" else 2
        places_d = (-(-self.size // 2**HALVINGS)) ** 2 if self.steps and self.norm_d == "batch" else 2
        if self.batch * min(places_g, places_d) < 2:
            raise ConfigError(
                f"Batch norm has one value to normalise with --batch {self.batch} and --size {self.size}.", "Raise one."
            )
        if self.start and not self.start.startswith("srgan:"):
            raise ConfigError(f"--start {self.start} names no run of srgan.", "Write srgan:RUN, as in srgan:latest.")

    @property
    def parts(self) -> Mapping[int, str]:
        """Trained runs that it takes in: the generator to begin with."""
        return {0: self.start} if self.start else {}


GAME_MSE = {"content": "mse"}
PRESETS = {
    "paper": Preset("Ledig et al. 2017: SRResNet by MSE, then SRGAN-VGG54"),
    "paper-vgg22": Preset("the paper's SRGAN-VGG22", {"content": "vgg22"}),
    "paper-mse": Preset("the paper's SRGAN-MSE, which needs no weights of VGG19", GAME_MSE),
    "srresnet": Preset("the paper's SRResNet-MSE alone: the best PSNR, no invented detail", {"steps": 0}),
    "leftthomas": Preset(
        "the best-known PyTorch code, without its VGG16: 5 blocks, 1 - D for logarithms",
        {
            **GAME_MSE,
            "blocks": 5,
            "slopes": "layer",
            "last": "tanh",
            "head_d": "pool",
            "size": 88,
            "batch": 64,
            "pretrain_steps": 0,
            "steps": 26_000,
            "generator_first": True,
            "loss": "probability",
            "values": "unit",
            "tv": 2e-8,
            "lr_g": 1e-3,
            "lr_d": 1e-3,
            "decay": "none",
            "flip": False,
            "turn": False,
        },
    ),
    "fast": Preset(
        "for a CPU or for impatience: a light generator without batch norm, MSE content",
        {
            **GAME_MSE,
            "arch": "msrresnet",
            "blocks": 8,
            "channels": 48,
            "width_d": 32,
            "batch": 8,
            "pretrain_steps": 4_000,
            "lr_pretrain": 5e-4,
            "decay_pretrain": "linear",
            "steps": 1_000,
            # A discriminator with batch norm wins over few pictures within minutes, and what G draws then is grain.
            "norm_d": "none",
            "spectral_norm": True,
            "lr_d": 2e-4,
            "adversarial": 0.02,
            "ema": 0.999,
        },
    ),
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {
            **GAME_MSE,
            "arch": "srresnet",
            "blocks": 2,
            "channels": 8,
            "width_d": 8,
            "size": 32,
            "batch": 4,
            "pretrain_steps": 6,
            "steps": 6,
        },
    ),
}
