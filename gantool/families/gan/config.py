"""The first GAN's options and presets. The defaults are what PyTorch users start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gantool.errors import ConfigError
from gantool.family import Preset
from gantool.game.options import GameConfig
from gantool.options import opt

NETWORK = "Networks"
MOST_UNITS = 65536


@dataclass(frozen=True, kw_only=True)
class GANConfig(GameConfig):
    """Options of the fully connected GAN beside those of the game."""

    size: int = opt(28, "side of the pictures trained on, pixels", ge=4, le=1024)

    hidden_g: str = opt("128,256,512,1024", "units of the generator's layers", group=NETWORK)
    hidden_d: str = opt("512,256", "units of the discriminator's layers", group=NETWORK)
    activation_g: Literal["relu", "lrelu"] = opt("lrelu", "activation of the generator", group=NETWORK)
    activation_d: Literal["relu", "lrelu", "maxout"] = opt(
        "lrelu", "activation of the discriminator (maxout: 5 pieces)", group=NETWORK
    )
    norm_g: Literal["batch", "none"] = opt("batch", "normalisation in the generator", group=NETWORK)
    output: Literal["tanh", "sigmoid", "linear"] = opt("tanh", "how the generator ends", group=NETWORK)
    dropout_pixels: float = opt(0.0, "dropout of the pixels the discriminator sees", group=NETWORK, ge=0, lt=1)
    init_g: float | None = opt(None, "generator's weights from U[-this, this] (0.05)", group=NETWORK, gt=0)
    init_d: float | None = opt(None, "discriminator's weights from U[-this, this] (0.005)", group=NETWORK, gt=0)

    def __post_init__(self) -> None:
        """Checks that involve two options. Raises ConfigError."""
        super().__post_init__()
        for name in ("hidden_g", "hidden_d"):
            widths_of(getattr(self, name), name)

    @property
    def widths_g(self) -> tuple[int, ...]:
        """Units of the generator's hidden layers."""
        return widths_of(self.hidden_g, "hidden_g")

    @property
    def widths_d(self) -> tuple[int, ...]:
        """Units of the discriminator's hidden layers."""
        return widths_of(self.hidden_d, "hidden_d")


def widths_of(text: str, name: str) -> tuple[int, ...]:
    """`"512,256"` to (512, 256). Raises ConfigError, which says which option it was."""
    try:
        widths = tuple(int(part) for part in text.split(","))
    except ValueError:
        widths = ()
    if not widths or not all(0 < width <= MOST_UNITS for width in widths):
        raise ConfigError(
            f"--{name.replace('_', '-')} {text!r} is no list of layer widths from 1 to {MOST_UNITS}.",
            "Give units per layer with commas between, for example 512,256.",
        )
    return widths


PRESETS = {
    "paper": Preset(
        "Goodfellow et al. 2014 on MNIST: ReLU against maxout, dropout, momentum; 250 epochs",
        {
            "hidden_g": "1200,1200",
            "hidden_d": "240,240",
            "activation_g": "relu",
            "activation_d": "maxout",
            "norm_g": "none",
            "output": "sigmoid",
            "init_g": 0.05,
            "init_d": 0.005,
            "dropout": 0.5,
            "dropout_pixels": 0.2,
            "batch": 100,
            "optimizer": "sgd",
            "lr_g": 0.1,
            "lr_d": 0.05,  # theirs is 0.1 on half the sum of the two losses
            "beta1": 0.5,
            "momentum_end": 0.7,
            "decay": "exponential",
            "steps": 125_000,
        },
    ),
    "fast": Preset("what PyTorch users start from: Adam, batch norm; minutes on a CPU", {"steps": 20_000}),
    "wgan": Preset(
        "the fully connected networks of the WGAN code, and its recipe",
        {
            "hidden_g": "512,512,512",
            "hidden_d": "512,512,512",
            "activation_g": "relu",
            "activation_d": "relu",
            "norm_g": "none",
            "output": "linear",
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
    "tiny": Preset(
        "for tests: seconds, and no picture worth looking at",
        {"size": 16, "hidden_g": "16,16", "hidden_d": "16", "nz": 8, "batch": 4, "steps": 12},
    ),
}
