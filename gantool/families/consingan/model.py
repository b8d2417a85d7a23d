"""ConSinGAN's training and sampling (Hinz et al., WACV 2021, and the official code)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.data.single_image import SingleImage
from gantool.engine.model import Context, GanModel, Metrics, Stage, adam, set_learning_rates
from gantool.errors import DataError, Diverged
from gantool.families.consingan.applications import begin_fine_tuning, repaint, super_resolve
from gantool.families.consingan.augment import distort, shuffle_tiles
from gantool.families.consingan.config import ConSinGANConfig
from gantool.families.consingan.cost import stage_cost, stage_memory
from gantool.families.consingan.networks import Critic, Generator, Size, cut_box
from gantool.families.consingan.pyramid import make_pyramid, scaled_sizes
from gantool.family import AnimateRequest, DataShape, InjectRequest, SampleRequest, SuperResolveRequest
from gantool.losses.penalties import MixturePenalty
from gantool.nn.norm import untracked
from gantool.nn.resize import Box, resize_single_image
from gantool.nn.single_image import as_grey_as, check_start, died, noise_walk

EDIT_NOISE = 0.1  # standard deviation of what mode editing adds to the pictures that it takes in


class ConSinGAN(GanModel):
    """One generator that grows by a stage per scale, and one patch critic.

    Buffers: `real`, the picture at the finest stage (1, 3, H, W) in [-1, 1]; `noise_amps` (stages,);
    `fixed_noise_k`, the input that must give the picture back: the coarsest picture itself (Gaussian noise in
    mode animation; a little of it added in mode editing) at stage 0, Gaussian noise drawn once above; `guide`, only
    with `fine_tune`, the second picture at the coarsest stage.
    """

    def __init__(self, config: ConSinGANConfig, shape: DataShape) -> None:
        super().__init__(config, shape)
        c = self.config = config
        smallest = min(shape.height, shape.width) * min(1.0, c.max_size / max(shape.height, shape.width))
        # A thin picture would otherwise have stages that shrink towards the finest.
        self.pyramid = make_pyramid(
            (shape.height, shape.width),
            c.stages,
            min(c.coarsest, math.ceil(smallest)),
            c.max_size,
            geometric=c.mode == "harmonization",
        )
        self.sizes: list[Size] = list(self.pyramid.sizes)
        if min(min(size) for size in self.sizes) < c.critic_field:  # it would have no score
            h, w = self.sizes[0]
            raise DataError(
                f"The picture is {w}x{h} pixels at its coarsest stage; the critic needs {c.critic_field} a side.",
                "Use a larger picture, or raise --max-size if the picture is long and thin.",
            )
        self.generator = Generator(c.channels, c.layers, c.activation, c.slope, c.batch_norm, c.noisy_border)
        self.critic = Critic(c.channels, c.layers, c.activation, c.slope)
        self.register_buffer("real", torch.zeros(1, 3, *self.sizes[-1]))
        self.register_buffer("noise_amps", torch.ones(c.stages))
        if c.fine_tune:
            self.register_buffer("guide", torch.zeros(1, 3, *self.sizes[0]))
        self.real: Tensor
        self.noise_amps: Tensor
        self.reals: dict[int, Tensor] = {}
        self.depth = 0  # stages built so far
        self._fixed_prefix: Tensor | None = None
        self.penalty = MixturePenalty(c.penalty, c.penalty_every)
        self.tunes = c.fine_tune

    # --- stages -----------------------------------------------------------------------------------------

    def stages(self) -> list[Stage]:
        """One stage per scale, coarsest first; with `fine_tune` the last one alone."""
        c = self.config
        every = [
            Stage(
                k,
                "fine-tuning" if c.fine_tune else f"stage {k + 1}/{c.stages}",
                c.iterations,
                size,
                stage_cost(c, self.sizes, k),
                stage_memory(c, self.sizes, k),
            )
            for k, size in enumerate(self.sizes)
        ]
        return every[-1:] if c.fine_tune else every

    def enter(self, stage: Stage) -> None:
        """Append a copy of the last stage (fine-tuning: all stages), and make new optimisers for what trains now."""
        k = stage.index
        for built in range(self.depth, k + 1):
            if built > 0:
                self.generator.grow()
            shape = self.generator.noise_shape(built, self.sizes[built])
            self.register_buffer(f"fixed_noise_{built}", self.real.new_zeros(1, *shape))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.depth = k + 1
        self._fixed_prefix = None
        self._make_optimizers(k)

    def _make_optimizers(self, k: int) -> None:
        """The newest `train_depth` stages, each older one slower; the head while it is among them; the tail."""
        c, g = self.config, self.generator
        first = self.first_trained(k)
        groups: list[dict[str, Any]] = [
            {"params": list(g.body[i].parameters()), "lr": c.lr_g * c.lr_scale ** (k - i)} for i in range(first, k + 1)
        ]
        if first == 0:
            groups.append({"params": list(g.head.parameters()), "lr": c.lr_g * c.lr_scale**k})
        groups.append({"params": list(g.tail.parameters()), "lr": c.lr_g})
        g.requires_grad_(False)
        for group in groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        betas = (c.beta1, c.beta2)
        self.optimizers = {
            "generator": adam(groups, betas),
            "critic": adam([{"params": list(self.critic.parameters()), "lr": c.lr_d}], betas),
        }

    def first_trained(self, k: int) -> int:
        """The oldest stage that still trains while stage k is the newest."""
        return max(0, k + 1 - self.config.train_depth)

    def prepare(self, stage: Stage, data: SingleImage, ctx: Context) -> None:
        """Draw the stage's fixed noise, and measure how much noise it takes.

        Fine-tuning takes all of it, weights included, from the trained model.

        Raises:
            ConfigError: fine-tuning was given no model or second picture, or they do not fit.
        """
        k = stage.index
        if self.config.fine_tune:
            begin_fine_tuning(self, data)
            return
        if k == 0:
            picture = data.tensor().to(self.real)
            self.real.copy_(resize_single_image(picture, scale=self.pyramid.first_scale))
            if self.config.mode == "animation":
                self.fixed_noise(0).copy_(self.draw(ctx, 0))
            else:
                self.fixed_noise(0).copy_(self.roughened(self.real_at(0), lambda: self.draw(ctx, 0)))
            return
        self.fixed_noise(k).copy_(self.draw(ctx, k))
        with torch.no_grad():
            self.noise_amps[k] = 0
            error = F.mse_loss(self.reconstruct(), self.real_at(k))
            self.noise_amps[k] = self.config.noise_amp * error.sqrt()

    # --- one iteration ----------------------------------------------------------------------------------

    def train_step(self, batch: None, ctx: Context) -> Metrics:
        """One iteration: one set of noise, `critic_steps` critic updates on one fake, one generator gradient.

        D: max E[D(x)] - E[D(G(z))] - lambda * (||grad D||_pixel - 1)^2
        G: min -E[D(G(z))] + alpha * ||G(z_fixed) - x||^2
        """
        c, k = self.config, ctx.stage.index
        late = ctx.step >= int(c.decay_at * ctx.stage.steps + 1e-9)
        for optimizer in self.optimizers.values():
            set_learning_rates(optimizer, c.decay if late else 1.0)

        crop = self._draw_crop(ctx)
        real = self.real_at(k) if crop is None else cut_box(self.real_at(k), crop)
        # The generator does not change while the critic trains: one forward serves the whole iteration.
        fake, reconstruction = self._generate_pair(ctx, k, crop)

        for i in range(c.critic_steps):
            scores = self.critic(torch.cat([real, fake.detach()])).mean((1, 2, 3))
            loss_real, loss_fake = -scores[0], scores[1]
            update = ctx.step * c.critic_steps + i
            penalty = self.penalty(self.critic.input_gradient, real, fake.detach(), ctx.rand, update)
            ctx.minimize(self.optimizers["critic"], loss_real + loss_fake + penalty)

        with ctx.frozen(self.critic):
            adversarial = -self.critic(fake).mean()
        error = c.reconstruction * F.mse_loss(reconstruction, real)
        # As published: Adam takes `generator_steps` steps along this one gradient.
        ctx.minimize(self.optimizers["generator"], adversarial + error, repeats=c.generator_steps)
        return {
            "critic_real": loss_real.detach(),
            "critic_fake": loss_fake.detach(),
            "penalty": self.penalty.last,
            "adversarial": adversarial.detach(),
            "reconstruction": error.detach(),
        }

    def _draw_crop(self, ctx: Context) -> Box | None:
        c, (h, w) = self.config, self.sizes[ctx.stage.index]
        if not c.crop or ctx.stage.index + 1 < c.crop_from or (h <= c.crop and w <= c.crop):
            return None
        side_y, side_x = min(c.crop, h), min(c.crop, w)
        places = ctx.host_generator
        y, x = (int(torch.randint(0, n + 1, (), generator=places)) for n in (h - side_y, w - side_x))
        return (y, y + side_y), (x, x + side_x)

    def _generate_pair(self, ctx: Context, k: int, crop: Box | None) -> tuple[Tensor, Tensor]:
        """A fake and the reconstruction, both (1, 3, h, w), on `crop` of stage k."""
        g, sizes, amps = self.generator, self.sizes[: k + 1], self.noise_amps
        boxes = g.feature_boxes(sizes, crop)
        first = self.first_trained(k)
        noise = [self._first_input(ctx)]
        noise += [self.draw(ctx, i, g.noise_box(i, boxes[i], sizes[i])) for i in range(1, k + 1)]
        fixed = [cut_box(self.fixed_noise(i), g.noise_box(i, boxes[i], sizes[i])) for i in range(first, k + 1)]
        x = x_fixed = None
        if first > 0:
            with torch.no_grad():  # frozen stages: no graph, and those of the fixed input only once a stage
                x = g.features(noise[:first], amps, sizes, boxes)
                x_fixed = cut_box(self._prefix_of_fixed(first), boxes[first - 1])
        if self.config.batch_norm:  # batch statistics: one at a time
            pair = [
                g.features(part, amps, sizes, boxes, first, start)
                for part, start in ((noise[first:], x), (fixed, x_fixed))
            ]
            features = torch.cat(pair)
        else:
            both = [torch.cat(two) for two in zip(noise[first:], fixed, strict=True)]
            below = None if x is None or x_fixed is None else torch.cat([x, x_fixed])
            features = g.features(both, amps, sizes, boxes, first, below)
        pictures = g.paint(features, sizes[-1], boxes[-1], crop)
        return pictures[:1], pictures[1:]

    def _prefix_of_fixed(self, first: int) -> Tensor:
        if self._fixed_prefix is None:
            sizes = self.sizes[:first]
            noises = [self.fixed_noise(i) for i in range(first)]
            boxes = self.generator.feature_boxes(sizes, None)
            with untracked(self.generator):  # happens once a session: must leave no trace in batch norms
                self._fixed_prefix = self.generator.features(noises, self.noise_amps, sizes, boxes)
        return self._fixed_prefix

    def leave(self, stage: Stage) -> None:
        """Refuse to build on a generator that died: tanh saturated, all pictures one flat colour.

        Raises:
            Diverged: the reconstruction is flat and the picture is not.
        """
        picture = self.reconstruct()
        if died(picture, self.real_at(stage.index)):
            raise Diverged(
                f"The generator died in {stage.name}: whatever it is given, it paints one colour.",
                "Train with --generator-steps 1, which very dark or bright pictures need, or try another --seed.",
            )

    # --- noise and pictures -----------------------------------------------------------------------------

    def real_at(self, k: int) -> Tensor:
        """The picture at stage k, (1, 3, h, w) in [-1, 1]; always resized from the finest."""
        if k == len(self.sizes) - 1:
            return self.real
        if k not in self.reals:
            self.reals[k] = resize_single_image(self.real, scale=self.pyramid.scales[k])
        return self.reals[k]

    def fixed_noise(self, k: int) -> Tensor:
        """The reconstruction's input at stage k."""
        return self.get_buffer(f"fixed_noise_{k}")

    def draw(self, ctx: Context, k: int, box: Box | None = None) -> Tensor:
        """Fresh noise for stage k, or for a part of it."""
        channels, height, width = self.generator.noise_shape(k, self.sizes[k])
        if box is not None:
            height, width = box[0][1] - box[0][0], box[1][1] - box[1][0]
        return ctx.randn(channels, height, width)

    def _first_input(self, ctx: Context) -> Tensor:
        """What an iteration feeds the coarsest stage: noise, or a picture in the modes that take pictures."""
        if not self.config.takes_pictures:
            return self.draw(ctx, 0)
        return self.roughened(self.spoilt(ctx.host_generator), lambda: self.draw(ctx, 0))

    def spoilt(self, choices: torch.Generator) -> Tensor:
        """The coarsest picture as it is spoilt for training, to be mended; fine-tuning has the second picture."""
        if self.config.fine_tune:
            return self.get_buffer("guide")
        spoil = distort if self.config.mode == "harmonization" else shuffle_tiles
        return spoil(self.real_at(0), choices)

    def roughened(self, picture: Tensor, noise: Callable[[], Tensor]) -> Tensor:
        """Mode editing adds a little noise to every picture that the coarsest stage takes in."""
        return picture + EDIT_NOISE * noise() if self.config.mode == "editing" else picture

    def picture(self) -> Tensor:
        """The picture at the newest stage."""
        return self.real_at(self.depth - 1)

    @torch.no_grad()
    def reconstruct(self) -> Tensor:
        """The picture as the generator gives it back, (1, 3, h, w), at the newest stage."""
        return self._generate([self.fixed_noise(i) for i in range(self.depth)], self.sizes[: self.depth])

    def _generate(self, noises: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
        with untracked(self.generator):  # batch norm stays in training mode, as published
            out: Tensor = self.generator(noises, self.noise_amps, sizes)
        return out

    # --- what it can do ---------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> Tensor:
        """Pictures (N, 3, H, W); stages below `start_scale` keep the reconstruction's noise.

        Where training feeds spoilt pictures to the coarsest stage, so does a sample.
        """
        sizes = scaled_sizes(self.sizes[: self.depth], request.size)
        check_start(request.start_scale, self.animation_scales)
        pictures = []
        for seed in request.seeds:
            choices = torch.Generator().manual_seed(seed)
            first = self._fixed_for(0, sizes[0]) if request.start_scale > 0 else self._first_sampled(sizes[0], choices)
            later = [
                self._fixed_for(k, size) if k < request.start_scale else self.seeded(k, size, choices)
                for k, size in enumerate(sizes[1:], 1)
            ]
            pictures.append(as_grey_as(self.real, self._generate([first, *later], sizes)))
        return torch.cat(pictures)

    @property
    def animation_scales(self) -> range:
        """Where a walk may begin to move."""
        return range(self.depth)

    @torch.no_grad()
    def animate(self, request: AnimateRequest) -> Iterator[Tensor]:
        """Frames (1, 3, H, W) along a random walk with momentum around the reconstruction's noise."""
        sizes = scaled_sizes(self.sizes[: self.depth], request.size)
        check_start(request.start_scale, self.animation_scales)
        generator = torch.Generator().manual_seed(request.seed)
        fixed = [self._fixed_for(k, size) for k, size in enumerate(sizes)]

        def draws() -> Iterator[list[Tensor]]:
            while True:
                yield [self.seeded(k, size, generator) for k, size in enumerate(sizes)]

        walk = noise_walk(fixed, draws(), request.alpha, request.beta, request.start_scale)
        for _, noises in zip(range(request.frames), walk, strict=False):
            yield as_grey_as(self.real, self._generate(noises, sizes))

    @property
    def injection_scales(self) -> range:
        """The coarsest stage alone takes pictures in; those above take features."""
        return range(1)

    def harmonize(self, request: InjectRequest) -> Tensor:
        """The composite repainted, (1, 3, H, W): see `applications.repaint`."""
        return repaint(self, request)

    def edit(self, request: InjectRequest) -> Tensor:
        """The edit repainted, (1, 3, H, W): as `harmonize`, with noise of the request's seed on the shrunk picture."""
        return repaint(self, request, EDIT_NOISE)

    def super_resolve(self, request: SuperResolveRequest) -> Tensor:
        """The reconstruction enlarged, (1, 3, int(factor H), int(factor W)): see `applications.super_resolve`."""
        return super_resolve(self, request)

    def seeded(self, k: int, size: Size, generator: torch.Generator) -> Tensor:
        """Noise for stage k at `size`, drawn on the CPU, so that a seed means the same picture on every device."""
        return torch.randn((1, *self.generator.noise_shape(k, size)), generator=generator).to(self.real)

    def _first_sampled(self, size: Size, generator: torch.Generator) -> Tensor:
        """As `_first_input`, for a seed and at any size."""
        if not self.config.takes_pictures:
            return self.seeded(0, size, generator)
        picture = self.spoilt(generator)
        picture = picture if size == self.sizes[0] else resize_single_image(picture, size=size)
        return self.roughened(picture, lambda: self.seeded(0, size, generator))

    def _fixed_for(self, k: int, size: Size) -> Tensor:
        """The reconstruction's input at another size: the picture is resized, noise is repeated as tiles."""
        fixed = self.fixed_noise(k)
        shape = self.generator.noise_shape(k, size)
        if fixed.shape[1:] == shape:
            return fixed
        if k == 0 and self.config.mode != "animation":
            return resize_single_image(fixed, size=size)
        rows = torch.arange(shape[1], device=fixed.device) % fixed.shape[2]
        columns = torch.arange(shape[2], device=fixed.device) % fixed.shape[3]
        return fixed[:, :, rows][:, :, :, columns]
