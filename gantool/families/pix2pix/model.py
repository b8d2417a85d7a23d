"""pix2pix: a generator that makes one picture of another, against a discriminator that judges patches of both."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantool.data.batches import Batch
from gantool.data.pair_set import PairSet
from gantool.data.pairs import HELD_OUT, first_part, open_pairs
from gantool.engine.feed import Feed
from gantool.engine.model import Context, GanModel, Metrics, Stage, adam, set_learning_rates
from gantool.errors import UsageError
from gantool.families.pix2pix.config import Pix2PixConfig
from gantool.families.pix2pix.networks import make_discriminator, make_generator
from gantool.family import DataShape, TestMode, Translation
from gantool.game.cost import PROBED, count_pass
from gantool.game.measures import gradient_norm, seen_right
from gantool.losses.adversarial import LOSSES, LeastSquares
from gantool.losses.penalties import gradient_penalty
from gantool.nn.columns import by_columns
from gantool.nn.ema import early_decay, update_average
from gantool.nn.translator import Tested, Translator, drawn

EXAMPLES = 8  # pairs on a preview
GAMES = {**LOSSES, "lsgan": LeastSquares(1.0)}  # without the factor 1/2 of the paper, as the port has it


class Pix2Pix(GanModel):
    """A generator G that translates x to y, against a discriminator D that tells pairs (x, y) from pairs (x, G(x)).

    Attributes:
        generator, discriminator: G and D.
        average: G with the running average of its weights, or None. Where there is one, it translates.
        given, truth: (EXAMPLES, C, height, width) uint8, inputs that previews show, and what should become of them.
    """

    config: Pix2PixConfig
    given: Tensor
    truth: Tensor

    def __init__(self, config: Pix2PixConfig, shape: DataShape) -> None:
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        self.generator = make_generator(config, shape)
        self.discriminator = make_discriminator(config, shape)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.loss = GAMES[config.loss]
        self._tested: dict[TestMode, Tested] = {}
        for name, channels in (("given", self.generator.inputs), ("truth", self.generator.outputs)):
            self.register_buffer(name, torch.zeros(EXAMPLES, channels, shape.height, shape.width, dtype=torch.uint8))

    def adopt(self, place: int, model: GanModel) -> None:
        """Begin with the networks of a trained run. Raises UsageError where they are others."""
        assert isinstance(model, Pix2Pix)
        for name, theirs in (("generator", model.drawing), ("discriminator", model.discriminator)):
            ours, known = self.get_submodule(name), theirs.state_dict()
            if _kind_of(ours) != _kind_of(theirs):
                raise UsageError(
                    f"The {name} of {self.config.start} is not like this one.",
                    "Give this run the same --arch, --layers, --blocks, --width-g, --norm, --upsample, --patch, "
                    "--width-d, --conditional and --spectral-norm.",
                )
            ours.load_state_dict(known)
        if self.average is not None:
            self.average.load_state_dict(self.generator.state_dict())

    # --- the schedule -----------------------------------------------------------------------------------

    def stages(self) -> list[Stage]:
        """One."""
        return [self._stage]

    @cached_property
    def _stage(self) -> Stage:
        config, (x, y) = self.config, self._blank(PROBED)
        (draw, drawn), (judge, judged) = count_pass(self.generator, x), count_pass(self.discriminator, self._seen(x, y))
        part, weights = config.batch / PROBED, sum(p.nbytes for p in self.parameters())
        # G there and back; D there and back for true and for made pairs, then there and back to its input.
        cost = 3 * draw + (8 * judge if config.adversarial else 0)
        held = 2 * drawn + 2 * judged  # as much again as layers put out: what is between them, and links across
        steps, size = config.updates(self.shape.count), (self.shape.height, self.shape.width)
        return Stage(0, "training", steps, size, part * cost, 4 * weights + part * held)

    def _blank(self, count: int) -> tuple[Tensor, Tensor]:
        """Inputs and outputs without values."""
        like, size = next(self.parameters()).to("meta"), (self.shape.height, self.shape.width)
        return like.new_empty(count, self.generator.inputs, *size), like.new_empty(count, self.generator.outputs, *size)

    def enter(self, stage: Stage) -> None:
        """Fresh optimisers of both."""
        x, y = self._blank(self.config.batch)
        by_columns(self.generator, x)
        by_columns(self.discriminator, self._seen(x, y))
        betas = (self.config.beta1, self.config.beta2)
        self.optimizers = {
            name: adam([{"params": list(self.get_submodule(name).parameters()), "lr": lr}], betas)
            for name, lr in (("discriminator", self.config.lr_d), ("generator", self.config.lr_g))
        }

    def check(self) -> None:
        """Raises ConfigError where pictures are too small for the discriminator, DataError for --val."""
        self.config.check_size(min(self.shape.height, self.shape.width))
        if self.config.val:
            open_pairs(self.config.val, part=first_part(self.config.val, HELD_OUT))

    def prepare(self, stage: Stage, data: Feed, ctx: Context) -> None:
        """Pairs to show, spread over the set."""
        if isinstance(data.data, PairSet):
            indices, _ = data.data.spread(EXAMPLES)
            for kept, pixels in zip((self.truth, self.given), data.data.examples(indices), strict=True):
                levels = torch.from_numpy(pixels.astype(np.float32) * (255 / np.iinfo(pixels.dtype).max)).round()
                kept.copy_(levels.permute(0, 3, 1, 2)[torch.arange(EXAMPLES) % len(indices)])

    def compile_networks(self) -> None:
        """Both."""
        self.generator.compile(dynamic=False)
        self.discriminator.compile(dynamic=False)

    # --- one step ---------------------------------------------------------------------------------------

    def train_step(self, batch: Iterator[Batch], ctx: Context) -> Metrics:
        """D learns to tell G(x) from y given x, then G to make that hard and to come near y (section 3.3)."""
        self._tested.clear()
        for optimizer in self.optimizers.values():
            set_learning_rates(optimizer, self.config.rate(ctx.step / ctx.stage.steps))
        pair = next(batch)
        x, y = pair.given, pair.images
        assert x is not None
        noise = drawn(self.generator.noise_shapes(*x.shape[-2:]), len(x), ctx.uniform)
        with ctx.autocast():
            fake = self.generator(x, noise)
        found = self._play(x, y, fake.to(y.dtype), ctx)  # losses bear no bfloat16
        if self.average is not None:
            kept = self.config.ema
            update_average(self.average, self.generator, kept if self.config.start else early_decay(kept, ctx.step))
        return found

    def _play(self, x: Tensor, y: Tensor, fake: Tensor, ctx: Context) -> Metrics:
        """Both updates, in the order asked for; or G's alone, where there is no game."""
        if not self.config.adversarial:
            return self._update_generator(x, y, fake, ctx)
        if self.config.generator_first:
            return self._update_generator(x, y, fake, ctx) | self._update_discriminator(x, y, fake.detach(), ctx)
        return self._update_discriminator(x, y, fake.detach(), ctx) | self._update_generator(x, y, fake, ctx)

    def _update_discriminator(self, x: Tensor, y: Tensor, fake: Tensor, ctx: Context) -> Metrics:
        made, true = self._seen(x, fake), self._seen(x, y)
        with ctx.autocast():
            on_fake, on_real = self.discriminator(made), self.discriminator(true)
        on_fake, on_real = on_fake.to(y.dtype), on_real.to(y.dtype)
        loss = self.loss.real(on_real) + self.loss.fake(on_fake)
        if self.config.halve_d:
            loss = loss / 2
        found = {"d_loss": loss.detach(), **seen_right(self.config.loss, on_real, on_fake)}
        if self.config.gp:
            penalty = gradient_penalty(self.discriminator, true, made, ctx.uniform(len(x), 1, 1, 1))
            loss = loss + self.config.gp * penalty
            found["gp"] = penalty.detach()
        ctx.minimize(self.optimizers["discriminator"], loss)
        return found | {"grad_d": gradient_norm(self.discriminator)} if ctx.log else found

    def _update_generator(self, x: Tensor, y: Tensor, fake: Tensor, ctx: Context) -> Metrics:
        distance = F.l1_loss(fake, y)
        loss, found = self.config.l1 * distance, {"l1": distance.detach()}
        with ctx.frozen(self.discriminator):
            if self.config.adversarial:
                with ctx.autocast():
                    on_fake = self.discriminator(self._seen(x, fake))
                adversarial = self.loss.generator(on_fake.to(y.dtype))
                loss = self.config.adversarial * adversarial + loss
                found["adversarial"] = adversarial.detach()
            ctx.minimize(self.optimizers["generator"], loss)
        found["g_loss"] = loss.detach()
        return found | {"grad_g": gradient_norm(self.generator)} if ctx.log else found

    def _seen(self, x: Tensor, y: Tensor) -> Tensor:
        """What the discriminator looks at: input and output together (cGAN), or the output alone."""
        return torch.cat([x, y], 1) if self.config.conditional else y

    # --- translating ------------------------------------------------------------------------------------

    @property
    def drawing(self) -> Translator:
        """The generator that translates: the averaged one, where there is one."""
        return self.average if self.average is not None else self.generator

    @property
    def translation(self) -> Translation:
        """What is taken and given."""
        return self.shape.translation or Translation(size=(self.shape.height, self.shape.width))

    @torch.no_grad()
    def translate(self, images: Tensor, seeds: Sequence[int] = (), mode: TestMode = "paper") -> Tensor:
        """See `gantool.family.Translates`."""
        if mode not in self._tested:
            self._tested[mode] = self.drawing.tested(mode)
        return self._tested[mode].translate(images, seeds)

    @property
    def complete(self) -> bool:
        """Never: it draws from pictures, not from noise alone."""
        return False

    @property
    def rows(self) -> str:
        """What `preview` shows; nothing as long as it was shown no pairs, as one that other code trained."""
        if not (self.given.any() or self.truth.any()):
            return ""
        return "Pairs trained on: the input, what the network makes of it, and what it should be."

    def preview(self, seeds: Sequence[int] | None = None) -> Tensor:
        """Rows of inputs, outputs and truths, (3 EXAMPLES, C, height, width)."""
        like = next(self.generator.parameters())
        given, truth = (pictures.to(like) / 127.5 - 1 for pictures in (self.given, self.truth))
        made = torch.cat([self.translate(one[None]) for one in given])  # one by one: memory
        colours = max(given.shape[1], truth.shape[1])
        return torch.cat([rows.expand(-1, colours, -1, -1) for rows in (given, made, truth)]).clamp(-1, 1)

    def network_sizes(self) -> dict[str, int]:
        """Parameters of the two players."""
        return {k: n for k, n in super().network_sizes().items() if k in ("generator", "discriminator")}


def _kind_of(network: nn.Module) -> tuple[object, ...]:
    """What two networks must share for one to take the weights of the other, of which shapes do not tell all."""
    options = network.options
    assert isinstance(options, dict)
    told = {name: value for name, value in options.items() if name not in ("dropout", "dropped")}
    return told, {name: value.shape for name, value in network.state_dict().items()}
