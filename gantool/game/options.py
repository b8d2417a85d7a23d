"""Options of the two-player game; the config of each family that plays it inherits them. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gantool.data.set_options import SquareOptions
from gantool.errors import ConfigError
from gantool.nn.policies import parse_policy
from gantool.options import opt

LOSS, OPTIMISER, REMEDY, SCHEDULE = "Losses", "Optimisation", "Remedies", "Schedule"

WITH_TARGETS = ("bce", "lsgan")  # losses that compare scores with targets, which the label remedies change
CRITIC_BURST = 100  # critic updates of the WGAN code in each of its first 25 generator steps, and in every 500th
BURST_FIRST, BURST_EVERY = 25, 500


@dataclass(frozen=True, kw_only=True)
class GameConfig(SquareOptions):
    """Options that all families of the game have; names follow the papers where they name them."""

    steps: int = opt(25_000, "generator updates", ge=1)
    epochs: float | None = opt(None, "passes through the data, in place of --steps", gt=0)
    nz: int = opt(100, "numbers of noise that a picture is made from (z)", ge=1)
    noise: Literal["normal", "uniform"] = opt("normal", "distribution of z: N(0, 1) or U[-1, 1]")

    loss: Literal["bce", "lsgan", "hinge", "wasserstein"] = opt("bce", "what the two networks play for", group=LOSS)
    gp: float = opt(0.0, "weight of WGAN-GP's gradient penalty (10)", group=LOSS, ge=0)
    r1: float = opt(0.0, "weight gamma of the R1 penalty (10; on digits 1)", group=LOSS, ge=0)
    penalty_every: int = opt(1, "penalise every k-th update, k times as hard", group=LOSS, ge=1)
    clip: float | None = opt(None, "clip the critic's weights to this (WGAN: 0.01)", group=LOSS, gt=0)

    d_steps: int = opt(1, "discriminator updates for each of the generator's", group=SCHEDULE, ge=1, le=1000)
    g_steps: int = opt(1, "generator updates a step", group=SCHEDULE, ge=1, le=1000)
    critic_bursts: bool = opt(
        False, "100 critic updates in the first 25 steps and each 500th, as WGAN's code", group=SCHEDULE
    )
    reuse_fakes: bool = opt(True, "the generator learns from the fakes just judged, not from new ones", group=SCHEDULE)

    optimizer: Literal["adam", "rmsprop", "sgd"] = opt("adam", "of both networks", group=OPTIMISER)
    lr_g: float = opt(2e-4, "generator's learning rate", group=OPTIMISER, gt=0)
    lr_d: float = opt(2e-4, "discriminator's learning rate", group=OPTIMISER, gt=0)
    beta1: float = opt(0.5, "Adam's beta1, or SGD's momentum", group=OPTIMISER, ge=0, lt=1)
    beta2: float = opt(0.999, "Adam's beta2", group=OPTIMISER, ge=0, lt=1)
    weight_decay: float = opt(0.0, "L2 weight decay of both networks", group=OPTIMISER, ge=0)
    decay: Literal["none", "linear", "exponential"] = opt(
        "none", "learning rates: kept, down to 0, or down by --decay-factor a step", group=OPTIMISER
    )
    decay_from: float = opt(0.0, "share of the steps after which linear decay begins", group=OPTIMISER, ge=0, lt=1)
    decay_factor: float = opt(1.000004, "exponential decay divides by this each step", group=OPTIMISER, ge=1)
    momentum_end: float | None = opt(None, "SGD's momentum rises to this over the steps", group=OPTIMISER, ge=0, lt=1)
    accumulate: int = opt(1, "parts that a batch is cut into, to save memory", group=OPTIMISER, ge=1)

    label_smoothing: float = opt(0.0, "one-sided: the target of reals is 1 less this (0.1)", group=REMEDY, ge=0, lt=0.5)
    soft_labels: float | None = opt(
        None, "the targets of reals are drawn from this to 1 (0.9)", group=REMEDY, ge=0.5, le=1
    )
    flip_labels: float = opt(0.0, "share of swapped targets of the discriminator (0.05)", group=REMEDY, ge=0, lt=0.5)
    margin: float | None = opt(
        None, "let the losses choose who is updated, G while D leads by less (0.3)", group=REMEDY, ge=0
    )
    spectral_norm: bool = opt(False, "spectral normalisation of the discriminator", group=REMEDY)
    minibatch_std: bool = opt(False, "show the discriminator how alike its batch is", group=REMEDY)
    dropout: float = opt(0.0, "dropout in the discriminator", group=REMEDY, ge=0, lt=1)
    ema: float = opt(0.0, "decay of the averaged generator that samples (0.999; 0: none)", group=REMEDY, ge=0, lt=1)
    diffaugment: str = opt("", "augment reals and fakes alike: color,translation,cutout,flip", group=REMEDY)
    ada: float | None = opt(
        None, "adapt the augmentation to keep D's sign on reals here (0.6)", group=REMEDY, gt=0, lt=1
    )
    ada_speed: float = opt(500.0, "thousands of pictures for --ada to go from 0 to 1", group=REMEDY, gt=0)

    def __post_init__(self) -> None:
        """Checks that involve two options. Raises ConfigError."""
        parse_policy(self.diffaugment)
        if self.loss not in WITH_TARGETS:
            used = {
                "--label-smoothing": self.label_smoothing,
                "--soft-labels": self.soft_labels is not None,
                "--flip-labels": self.flip_labels,
            }
            for flag, on in used.items():
                if on:
                    raise ConfigError(
                        f"{flag} changes the targets of scores, and --loss {self.loss} has none.",
                        f"Drop it, or take --loss {' or '.join(WITH_TARGETS)}.",
                    )
        if self.label_smoothing and self.soft_labels is not None:
            raise ConfigError("--label-smoothing and --soft-labels both set the target of reals.", "Take one of them.")
        if self.ada is not None and not self.diffaugment:
            raise ConfigError(
                "--ada adapts the strength of an augmentation, and there is none.",
                "Add --diffaugment color,translation,cutout.",
            )
        if self.ada is not None and self.loss == "wasserstein":
            raise ConfigError(
                "--ada goes by the sign of scores, which tells nothing with --loss wasserstein.",
                "Drop it, or take --loss bce, lsgan or hinge.",
            )
        if self.margin is not None and self.loss != "bce":
            raise ConfigError(f"--margin compares losses of --loss bce, not {self.loss}.", "Drop it, or take that.")
        if self.batch % self.accumulate:
            raise ConfigError(
                f"A --batch of {self.batch} cannot be cut into {self.accumulate} equal parts.",
                "Choose --accumulate so that it divides --batch.",
            )
        if self.momentum_end is not None and self.optimizer != "sgd":
            raise ConfigError("--momentum-end belongs to --optimizer sgd.", "Drop it, or take that optimiser.")

    def discriminator_updates(self, step: int) -> int:
        """How often the discriminator is updated in this step (from 0)."""
        burst = self.critic_bursts and (step < BURST_FIRST or step % BURST_EVERY == 0)
        return max(self.d_steps, CRITIC_BURST) if burst else self.d_steps

    def generator_steps(self, pictures: int) -> int:
        """The steps of the whole training on that many pictures, of which each discriminator update takes a batch."""
        if self.epochs is None:
            return self.steps
        return max(1, round(self.epochs * pictures / (self.batch * self.d_steps)))
