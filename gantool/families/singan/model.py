"""SinGAN's training (Shaham et al., ICCV 2019, section 2.2, and the official code). What it draws: `drawing`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.data.single_image import FineTuning, SingleImage
from gantool.engine.model import Context, Metrics, Stage, adam, set_learning_rates
from gantool.errors import ConfigError, Diverged
from gantool.families.singan.chain import climb, enlarge
from gantool.families.singan.config import SinGANConfig
from gantool.families.singan.cost import stage_cost, stage_memory
from gantool.families.singan.drawing import SinGANDrawing
from gantool.families.singan.networks import Discriminator, Generator, pad_margin
from gantool.family import DataShape
from gantool.losses.penalties import MixturePenalty
from gantool.nn.single_image import died


class SinGAN(SinGANDrawing):
    """One generator and one discriminator a scale, trained coarse to fine; all but the newest are frozen."""

    discriminator: Discriminator

    def __init__(self, config: SinGANConfig, shape: DataShape) -> None:
        super().__init__(config, shape)
        self.penalty = MixturePenalty(config.penalty, config.penalty_every)
        self.tunes = config.only_scale is not None

    # --- stages -----------------------------------------------------------------------------------------

    def stages(self) -> list[Stage]:
        """One stage per scale, coarsest first; one alone when a single scale is trained anew."""
        c, last = self.config, len(self.sizes) - 1  # counted from 0, as start scales are
        return [
            Stage(
                k,
                f"scale {k}/{last}",
                c.iterations,
                size,
                stage_cost(c, self.sizes, k),
                stage_memory(c, self.sizes, k),
            )
            for k, size in enumerate(self.sizes)
            if c.only_scale in (None, k)
        ]

    def enter(self, stage: Stage) -> None:
        """Add the scale's networks: copies of the last ones where the width stays, else new ones."""
        c, k = self.config, stage.index
        while len(self.generators) < (k + 1 if c.only_scale is None else len(self.sizes)):
            self._add_generator(len(self.generators))
        if not hasattr(self, "discriminator") or c.width(k) != c.width(k - 1):
            with self._seeded_initialisation(2 * k + 1):
                self.discriminator = Discriminator(c.width(k), c.layers, c.slope).to(self.real)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._reconstructed = None
        self.generators.requires_grad_(False)
        self.generators.eval()
        self.discriminator.train()
        newest = self.generators[k].train().requires_grad_(True)
        betas = (c.beta1, c.beta2)
        # Through aliases the optimiser writes weights behind autograd's back: see `_legacy_steps`.
        legacy = c.generator_loop == "legacy" and c.generator_steps > 1
        weights = [p.data if legacy else p for p in newest.parameters()]
        self.optimizers = {
            "generator": adam([{"params": weights, "lr": c.lr_g}], betas),
            "discriminator": adam([{"params": list(self.discriminator.parameters()), "lr": c.lr_d}], betas),
        }

    def _add_generator(self, k: int) -> None:
        c = self.config
        with self._seeded_initialisation(2 * k):
            generator = Generator(c.width(k), c.layers, c.slope).to(self.real)
        if k and c.width(k) == c.width(k - 1):
            generator.load_state_dict(self.generators[k - 1].state_dict())
        self.generators.append(generator)

    @contextmanager
    def _seeded_initialisation(self, number: int) -> Iterator[None]:
        """Networks made here are the same whenever `enter` is replayed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.initial_seed + number)
            yield

    def prepare(self, stage: Stage, data: SingleImage, ctx: Context) -> None:
        """Take in the picture, draw the fixed noise, and measure how much noise the scale takes."""
        c, k = self.config, stage.index
        if c.only_scale is not None:
            self._take_over(data, k)
        elif k == 0:
            self.take_picture(data.tensor())
            if c.coarsest_noise == "fixed":
                self.z_opt.copy_(self._padded(ctx.randn(1, *self._noise_size(self.sizes[0]))))
        self.noise_amps[k] = 1.0
        if k:
            error = F.mse_loss(self.real_at(k), self._fixed_below(k))  # in all its colours, as published
            self.noise_amps[k] = c.noise_amp * error.sqrt()

    def _take_over(self, data: SingleImage, k: int) -> None:
        """The weights of a trained model for all scales but `k`, which begins afresh."""
        if not isinstance(data, FineTuning):
            raise ConfigError("--only-scale needs a trained model.", "Use `gantool paint RUN PAINTING --quantize`.")
        own = self.state_dict()
        skipped = (f"generators.{k}.", "discriminator.", "centers")
        missing = [key for key in own if key not in data.weights and not key.startswith(skipped)]
        if missing:
            raise ConfigError(f"The trained model has no {missing[0]}.", "Train it to its last scale first.")
        kept = {name: value for name, value in data.weights.items() if name in own and not name.startswith(skipped)}
        self.load_state_dict(kept, strict=False)
        if self.config.quantize:
            from gantool.data.quantize import palette

            centers, _ = palette(self.real_at(k), self.config.quantize, self.config.quantize_rows)
            self.centers.copy_(torch.as_tensor(centers))

    # --- one iteration ----------------------------------------------------------------------------------

    def train_step(self, batch: None, ctx: Context) -> Metrics:
        """One iteration: discriminator updates, each on a fresh picture from below, then generator updates.

        D: max E[D(x)] - E[D(G(z, x_below))] - lambda * (||grad D||_pixel - 1)^2
        G: min -E[D(G(z, x_below))] + alpha * ||G(z*, x_below*) - x||^2
        """
        c, k = self.config, ctx.stage.index
        late = ctx.step >= int(c.decay_at * ctx.stage.steps + 1e-9)
        for optimizer in self.optimizers.values():
            set_learning_rates(optimizer, c.decay if late else 1.0)

        if k == 0 and c.coarsest_noise == "redrawn":
            self.z_opt.copy_(self._padded(ctx.randn(1, *self._noise_size(self.sizes[0]))))
        real, g, d = self.real_at(k), self.generators[k], self.discriminator
        noise = self.noise_amps[k] * self._padded(ctx.randn(3 if k else 1, *self._noise_size(self.sizes[k])))
        below = self._draw_below(ctx, k)

        for i in range(c.critic_steps):
            previous = below[i : i + 1]
            with torch.set_grad_enabled(i + 1 == c.critic_steps):  # the generator's step goes on with the last fake
                fake = g(noise, previous)
            loss_real, loss_fake = -d(real).mean(), d(fake.detach()).mean()
            update = ctx.step * c.critic_steps + i
            penalty = self.penalty(d.input_gradient, real, fake.detach(), ctx.rand, update)
            ctx.minimize(self.optimizers["discriminator"], loss_real + loss_fake + penalty)

        if c.generator_loop == "legacy" and c.generator_steps > 1:
            adversarial, error = self._legacy_steps(fake, k)
        else:
            for j in range(c.generator_steps):
                if j:
                    fake = g(noise, previous)
                with ctx.frozen(d):
                    adversarial = -d(fake).mean()
                error = self._reconstruction_error(k)
                ctx.minimize(self.optimizers["generator"], adversarial + error)
        return {
            "critic_real": loss_real.detach(),
            "critic_fake": loss_fake.detach(),
            "penalty": self.penalty.last,
            "adversarial": adversarial.detach(),
            "reconstruction": error.detach(),
        }

    def _reconstruction_error(self, k: int) -> Tensor:
        """alpha ||G(z*, x_below*) - x||^2; z* is zero above scale 0."""
        below = pad_margin(self._reconstruction_below(k), self.margin)
        noise = self.z_opt if k == 0 else torch.zeros_like(below)
        picture = self.generators[k](self.noise_amps[k] * noise, below)
        return self.config.alpha * F.mse_loss(picture, self.real_at(k))

    def _legacy_steps(self, fake: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The generator updates as PyTorch up to 1.4 carried them out, on which the published results rest.

        The fake's graph, built once, is gone back through at every update while the weights change under it: the
        adversarial gradient takes the activations of the first forward pass and the weights of now. Later
        PyTorch forbids that, so the optimiser holds aliases of the weights that autograd does not watch.
        """
        optimizer = self.optimizers["generator"]
        aliases = optimizer.param_groups[0]["params"]
        weights = list(self.generators[k].parameters())
        leaf = fake.detach().requires_grad_()
        adversarial = -self.discriminator(leaf).mean()
        # Neither the fake nor the discriminator changes meanwhile: one gradient serves all updates.
        (towards_real,) = torch.autograd.grad(adversarial, leaf)
        for _ in range(self.config.generator_steps):
            error = self._reconstruction_error(k)
            gradients = torch.autograd.grad(
                [fake, error], weights, [towards_real, torch.ones_like(error)], retain_graph=True
            )
            for alias, gradient in zip(aliases, gradients, strict=True):
                alias.grad = gradient
            optimizer.step()
        return adversarial, error

    # --- pictures from below ----------------------------------------------------------------------------

    @torch.no_grad()
    def _draw_below(self, ctx: Context, k: int) -> Tensor:
        """What scale k repaints, one for each discriminator update: (critic_steps, 3, h, w) with their margin."""
        count, sizes = self.config.critic_steps, self.sizes
        if k == 0:
            return pad_margin(self.real.new_zeros(count, 3, *sizes[0]), self.margin)
        noises = [self._padded(ctx.randn(3 if i else 1, *self._noise_size(sizes[i]), count=count)) for i in range(k)]
        x = self._climb(noises, sizes[:k], self.real.new_zeros(count, 3, *sizes[0]))
        return pad_margin(self._reduced(enlarge(x, self.pyramid.factor, sizes[k])), self.margin)

    @torch.no_grad()
    def _reconstruction_below(self, k: int) -> Tensor:
        """The reconstruction of scale k - 1, enlarged for scale k: (1, 3, h, w); zeros at scale 0."""
        if k == 0:
            return self.real.new_zeros(1, 3, *self.sizes[0])
        if self._reconstructed is None:
            self._reconstructed = self._reduced(self._fixed_below(k))
        return self._reconstructed

    @torch.no_grad()
    def _fixed_below(self, k: int) -> Tensor:
        x = self._climb(self._fixed_noises(k), self.sizes[:k], self.real.new_zeros(1, 3, *self.sizes[0]))
        return enlarge(x, self.pyramid.factor, self.sizes[k])

    def _climb(self, noises: list[Tensor], sizes: list[tuple[int, int]], below: Tensor) -> Tensor:
        generators, amps = self._scales(0, len(noises)), self.noise_amps[: len(noises)].unbind()
        return climb(generators, amps, noises, self.pyramid.factor, below, sizes)

    def leave(self, stage: Stage) -> None:
        """Freeze the scale. Raises Diverged when its generator died: all pictures one flat colour."""
        self.generators[stage.index].eval()
        if died(self.reconstruct(), self.picture()):
            raise Diverged(
                f"The generator died in {stage.name}: whatever it is given, it paints one colour.",
                "Try another --seed, a lower --lr-g, or --generator-steps 1.",
            )
