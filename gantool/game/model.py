"""The model of a two-player game: one alternation as in the papers' algorithm boxes, with the remedies around it."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor, nn

from gantool.data.batches import Batch
from gantool.engine.model import Context, GanModel, Metrics, Stage
from gantool.errors import UsageError
from gantool.family import DataShape
from gantool.game.cost import estimate
from gantool.game.measures import gradient_norm, seen_right, share_right
from gantool.game.optimisers import Schedule, make_optimizer
from gantool.game.options import BURST_FIRST, GameConfig
from gantool.game.remedies import Augmentation, LabelRemedies
from gantool.game.sampling import Sampling
from gantool.losses.adversarial import LOSSES
from gantool.losses.penalties import gradient_penalty, r1_penalty
from gantool.nn.ema import early_decay, update_average
from gantool.nn.spectral import add_spectral_norm

NO_IDEA = 0.7  # of the loss on reals, just above log 2, which is that of a coin


class Game(Sampling, GanModel):
    """A generator G against a discriminator D on a data set. A family gives the two networks.

    Noise z is (N, nz), pictures x are (N, C, H, W) in [-1, 1], labels y are (N,) or None, scores D(x, y) are (N,)
    before any sigmoid. Fakes are made for a batch of reals: as many, with its labels and whatever else it gives.

    Attributes:
        generator, discriminator: G and D.
        average: G with the running average of its weights, or None. Where there is one, it samples.
    """

    def __init__(self, config: GameConfig, shape: DataShape) -> None:
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        self.generator, self.discriminator = self.networks()
        if config.spectral_norm:
            add_spectral_norm(self.discriminator)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.augmentation = Augmentation(config)
        self.labels = LabelRemedies(config)
        self.loss = LOSSES[config.loss]
        self._found: Metrics = {}  # what the step under way measured
        self._penalty = torch.zeros(())  # as last computed, for the log

    @abstractmethod
    def networks(self) -> tuple[nn.Module, nn.Module]:
        """G: (z, y) to x; D: (x, y) to scores, or to scores and class logits (N, classes)."""

    # --- the schedule -----------------------------------------------------------------------------------

    def stages(self) -> list[Stage]:
        """One: both networks, from the first step to the last."""
        cost, memory = self._demand
        steps = self.config.generator_steps(self.shape.count)
        uneven = BURST_FIRST if self.config.critic_bursts else 0
        return [Stage(0, "training", steps, (self.shape.height, self.shape.width), cost, memory, uneven)]

    @cached_property
    def _demand(self) -> tuple[float, float]:
        """Of a step; counting takes a while, and each use of a run asks for the stages several times."""
        return estimate(self)

    def enter(self, stage: Stage) -> None:
        """Fresh optimisers."""
        if self.device.type == "cuda":
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        config = self.config
        self.optimizers = {
            "discriminator": make_optimizer(config, self.discriminator, config.lr_d),
            "generator": make_optimizer(config, self.generator, config.lr_g),
        }
        self.schedule = Schedule(config)

    def compile_networks(self) -> None:
        """Both, but for a discriminator with a penalty: compiled code has no second derivative."""
        self.generator.compile(dynamic=False)
        if not (self.config.gp or self.config.r1):
            self.discriminator.compile(dynamic=False)

    @property
    def farthest(self) -> float:
        """The greatest distance between two pictures as D sees them: 2 sqrt(C H W) of values in [-1, 1]."""
        return 2 * math.sqrt(self.shape.channels * self.shape.height * self.shape.width)

    # --- one alternation --------------------------------------------------------------------------------

    def train_step(self, batch: Iterator[Batch], ctx: Context) -> Metrics:
        """D's updates, each on another batch, then G's (Goodfellow et al. 2014, algorithm 1)."""
        config, self._found = self.config, {}
        self.schedule.set(self.optimizers.values(), ctx.step, ctx.stage.steps)
        fake: Tensor | None = None
        d_plays = g_plays = True
        updates = config.discriminator_updates(ctx.step)
        for k in range(updates):
            real = next(batch)
            if k == 0 and config.margin is not None:
                d_plays, g_plays = self._turns(real, config.margin, ctx)
            keep = k == updates - 1 and config.reuse_fakes and config.accumulate == 1
            if d_plays:
                fake = self._update_discriminator(real, keep, ctx.step * config.d_steps + k, ctx)
        for _ in range(config.g_steps if g_plays else 0):
            self._update_generator(real, fake, ctx)
            fake = None
        if self.average is not None:
            update_average(self.average, self.generator, early_decay(config.ema, ctx.step))
        return self._found

    @torch.no_grad()
    def _turns(self, real: Batch, margin: float, ctx: Context) -> tuple[bool, bool]:
        """Whether D and G are to learn in this step: the rule of LAPGAN's code for scenes.

        D alone, while fakes fool it by more than `margin` above its loss on reals; else G alone; and D whenever it
        has no idea of reals.
        """
        on_real, _ = self._judge(real.images, real.labels)
        on_fake, _ = self._judge(self.draw(real, ctx), real.labels)
        losses = torch.stack([self.loss.real(on_real, None), self.loss.fake(on_fake, None)])
        ctx.world.average([losses])
        missed, fooled = losses.tolist()
        d_alone = fooled > missed + margin
        if ctx.log:
            nothing = losses.new_zeros(())  # who does not learn has no gradient
            self._found |= {"d_loss": losses.sum(), **seen_right(self.config.loss, on_real, on_fake)}
            self._found |= {"grad_d": nothing, "g_loss": self.loss.generator(on_fake), "grad_g": nothing}
        return d_alone or missed > NO_IDEA, not d_alone

    def _update_discriminator(self, real: Batch, keep: bool, update: int, ctx: Context) -> Tensor | None:
        """One step of D. With `keep`, the fakes are handed on, for G to learn from."""
        config, kept = self.config, list[Tensor]()
        if config.clip is not None:  # before the update, as in the WGAN code
            with torch.no_grad():
                for weight in self.discriminator.parameters():
                    weight.clamp_(-config.clip, config.clip)

        def losses() -> Iterator[Tensor]:
            for part in _parts(real, config.accumulate):
                with torch.set_grad_enabled(keep), ctx.autocast():
                    fake = self.draw(part, ctx)
                if keep:
                    kept.append(fake)
                yield self._discriminator_loss(part.images, fake.detach(), part.labels, update, ctx)

        ctx.descend(self.optimizers["discriminator"], losses(), config.accumulate)
        if ctx.log:
            self._found["grad_d"] = gradient_norm(self.discriminator)
        return kept[0] if kept else None

    def _discriminator_loss(self, real: Tensor, fake: Tensor, y: Tensor | None, update: int, ctx: Context) -> Tensor:
        """Of as many reals as fakes, which share their labels."""
        real, fake = self.augmentation(real, ctx), self.augmentation(fake, ctx)
        with ctx.autocast():
            on_real, class_real = self._judge(real, y)
            on_fake, class_fake = self._judge(fake, y)
        loss = self.labels.discriminator_loss(self.loss, on_real, on_fake, ctx)
        for logits in (class_real, class_fake):
            if logits is not None and y is not None:
                loss = loss + self.class_loss(logits, y, "discriminator")
        if ctx.log:
            self._found |= {"d_loss": loss.detach(), **seen_right(self.config.loss, on_real, on_fake)}
            if class_real is not None and class_fake is not None and y is not None:
                self._found |= {"class_real": share_right(class_real, y), "class_fake": share_right(class_fake, y)}
        self._found |= self.augmentation.observe(on_real, ctx)
        return loss + self._penalise(real, fake, y, update, ctx)

    def _penalise(self, real: Tensor, fake: Tensor, y: Tensor | None, update: int, ctx: Context) -> Tensor:
        """In full precision: the derivative of a derivative does not bear bfloat16."""
        config, weight = self.config, self.config.penalty_every
        if not (config.gp or config.r1):
            return real.new_zeros(())
        penalty = real.new_zeros(())
        if update % weight == 0:

            def critic(x: Tensor) -> Tensor:
                return self._judge(x, y)[0]

            if config.gp:
                mix = ctx.uniform(len(real), 1, 1, 1)
                penalty = penalty + config.gp * gradient_penalty(critic, real, _full(fake), mix)
            if config.r1:
                penalty = penalty + config.r1 / 2 * r1_penalty(critic, real)
            self._penalty = penalty.detach()
        self._found["penalty"] = self._penalty
        return weight * penalty

    def _update_generator(self, real: Batch, fake: Tensor | None, ctx: Context) -> None:
        """One step of G: on `fake`, or on new ones made for `real`."""

        def losses() -> Iterator[Tensor]:
            for part in _parts(real, self.config.accumulate):
                with ctx.autocast():
                    drawn = self.draw(part, ctx) if fake is None else fake
                scores, logits = self._judged(drawn, part.labels, ctx)
                loss = self.loss.generator(scores)
                if logits is not None and part.labels is not None:
                    loss = loss + self.class_loss(logits, part.labels, "generator")
                self._found["g_loss"] = loss.detach()
                further = self.further_loss(part, drawn, ctx)
                yield loss if further is None else loss + further

        with ctx.frozen(self.discriminator):
            ctx.descend(self.optimizers["generator"], losses(), self.config.accumulate)
        if ctx.log:
            self._found["grad_g"] = gradient_norm(self.generator)

    def _judged(self, x: Tensor, y: Tensor | None, ctx: Context) -> tuple[Tensor, Tensor | None]:
        x = self.augmentation(x, ctx)
        with ctx.autocast():
            return self._judge(x, y)

    def draw(self, real: Batch, ctx: Context) -> Tensor:
        """Fakes for `real`, (N, C, H, W), from fresh noise."""
        fake: Tensor = self.generator(self.noise(ctx, len(real), self.config.nz), real.labels)
        return fake

    def noise(self, ctx: Context, count: int, *shape: int) -> Tensor:
        """(count, *shape) of N(0, 1), or of U[-1, 1]."""
        return ctx.normal(count, *shape) if self.config.noise == "normal" else 2 * ctx.uniform(count, *shape) - 1

    def inputs(self, count: int, device: torch.device) -> tuple[Tensor | None, ...]:
        """What the generator takes to draw so many pictures, without its values."""
        return torch.empty(count, self.config.nz, device=device), self._no_labels(count, device)

    def _no_labels(self, count: int, device: torch.device) -> Tensor | None:
        return torch.zeros(count, dtype=torch.int64, device=device) if self.conditional else None

    def _judge(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Scores and, of an auxiliary classifier, class logits; both in full precision."""
        said = self.discriminator(x, y)
        scores, logits = said if isinstance(said, tuple) else (said, None)
        return _full(scores), None if logits is None else _full(logits)

    def further_loss(self, real: Batch, fake: Tensor, ctx: Context) -> Tensor | None:
        """What G goes down beside its part of the game, on the fakes made for `real`; None is nothing."""
        return None

    def class_loss(self, logits: Tensor, y: Tensor, player: str) -> Tensor:
        """What the verdict of an auxiliary classifier adds to the loss of `player`, "generator" or "discriminator"."""
        raise NotImplementedError(f"{type(self).__name__} has no auxiliary classifier")

    def network_sizes(self) -> dict[str, int]:
        """Parameters of the two players."""
        return {k: n for k, n in super().network_sizes().items() if k in ("generator", "discriminator")}


def _parts(batch: Batch, count: int) -> Iterator[Batch]:
    """The batch in `count` parts of equal size.

    Raises:
        UsageError: there are none: this process's share of a batch is not a multiple of `count`.
    """
    if len(batch) % count:
        raise UsageError(
            f"The {len(batch)} pictures a batch that each device gets cannot be cut into {count} equal parts.",
            "Choose --batch as a multiple of --accumulate times --devices.",
        )
    yield from batch.chunk(count)


def _full(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.bfloat16 else x
