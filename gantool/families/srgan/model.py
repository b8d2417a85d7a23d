"""SRGAN: SRResNet by pixels, then a game that draws plausible detail (Ledig et al. 2017)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.data.batches import Batch
from gantool.data.patches import PatchSet
from gantool.data.sr_sets import find_set
from gantool.engine.feed import Feed
from gantool.engine.model import Context, GanModel, Metrics, Stage, adam, set_learning_rates
from gantool.errors import UsageError
from gantool.families.srgan.config import SRGANConfig
from gantool.families.srgan.networks import Discriminator, make_generator
from gantool.family import DataShape
from gantool.game.cost import PROBED, count_pass
from gantool.game.measures import gradient_norm, seen_right
from gantool.losses.adversarial import LOSSES
from gantool.losses.content import LAYERS, blank_features, content_loss, find_vgg, vgg_features
from gantool.losses.pixel import total_variation
from gantool.nn.ema import early_decay, update_average
from gantool.nn.enlarger import Enlarger
from gantool.nn.inference import row_by_row
from gantool.nn.norm import evaluating
from gantool.nn.spectral import add_spectral_norm
from gantool.nn.vgg import VggFeatures

EXAMPLES = 8  # patches on a preview
PRETRAIN, GAME = "pre-training", "game"


class SRGAN(GanModel):
    """A generator G that enlarges, against a discriminator D that tells what it makes from real pictures.

    Attributes:
        generator, discriminator: G and D.
        average: G with the running average of its weights, or None. Where there is one, it enlarges.
        large, small: (EXAMPLES, 3, size, size) uint8 patches that previews show, and they made small.
    """

    config: SRGANConfig
    large: Tensor
    small: Tensor

    def __init__(self, config: SRGANConfig, shape: DataShape) -> None:
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        self.generator = make_generator(config)
        self.discriminator = Discriminator(config.size, config.width_d, norm=config.norm_d, head=config.head_d)
        if config.spectral_norm:
            add_spectral_norm(self.discriminator)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.loss = LOSSES[config.loss]
        self._vgg: list[VggFeatures] = []  # in a list it is no part of the model, and is not saved
        for name, side in (("large", config.size), ("small", config.size // config.scale)):
            self.register_buffer(name, torch.zeros(EXAMPLES, 3, side, side, dtype=torch.uint8))

    def adopt(self, place: int, model: GanModel) -> None:
        """Begin with the generator of a trained run. Raises UsageError where it is another network."""
        assert isinstance(model, SRGAN)
        theirs = model.drawing
        if (type(theirs), theirs.options) != (type(self.generator), self.generator.options):
            raise UsageError(
                f"The generator of {self.config.start} is not like this one.",
                "Give this run the same --arch, --scale, --blocks, --channels and other options of the generator.",
            )
        self.generator.load_state_dict(theirs.state_dict())
        if self.average is not None:
            self.average.load_state_dict(self.generator.state_dict())

    # --- the schedule -----------------------------------------------------------------------------------

    def stages(self) -> list[Stage]:
        """SRResNet's pre-training and the game, of as many steps as each has."""
        return list(self._schedule)

    @cached_property
    def _schedule(self) -> tuple[Stage, ...]:
        """The stages; counting what they cost takes a while, and each use of a run asks for them several times."""
        config = self.config
        like = next(self.parameters()).to("meta")
        small, large = (like.new_empty(PROBED, 3, s, s) for s in (config.size // config.scale, config.size))
        (draw, drawn), (judge, judged) = count_pass(self.generator, small), count_pass(self.discriminator, large)
        compare, compared = (0.0, 0.0)
        if self._compares_features:
            compare, compared = count_pass(blank_features(config.content).to(large.dtype), large)
        part, weights = config.batch / PROBED, sum(p.nbytes for p in self.parameters())
        kinds = [
            (PRETRAIN, config.pretrain_steps, 3 * draw, drawn),
            # D three ways on reals and fakes each, then there and back to the input; VGG19 there, and there and back.
            (GAME, config.steps, 3 * draw + 8 * judge + 3 * compare, drawn + 3 * judged + 2 * compared),
        ]
        size = (config.size, config.size)
        return tuple(
            Stage(i, name, steps, size, part * cost, 4 * weights + 1.5 * part * held)
            for i, (name, steps, cost, held) in enumerate(kind for kind in kinds if kind[1])
        )

    def enter(self, stage: Stage) -> None:
        """Fresh optimisers of those who learn."""
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on CPUs, too
        if self.device.type == "cpu":
            row_by_row(self.generator)
        config, betas = self.config, (self.config.beta1, self.config.beta2)
        rates = {"generator": config.lr_pretrain}
        if stage.name == GAME:
            rates = {"discriminator": config.lr_d, "generator": config.lr_g}
        self.optimizers = {
            name: adam([{"params": list(self.get_submodule(name).parameters()), "lr": lr}], betas)
            for name, lr in rates.items()
        }

    def check(self) -> None:
        """Raises MissingWeights where the content loss needs VGG19 and there is none, DataError for --val."""
        if self._compares_features:
            find_vgg()
        if self.config.val:
            find_set(self.config.val, self.config.scale)

    def prepare(self, stage: Stage, data: Feed, ctx: Context) -> None:
        """Patches to show, from pictures spread over the set."""
        if stage.index == 0 and isinstance(data.data, PatchSet):
            indices, _ = data.data.spread(EXAMPLES)
            for kept, pixels in zip((self.large, self.small), data.data.examples(indices), strict=True):
                kept.copy_(torch.from_numpy(pixels).permute(0, 3, 1, 2)[torch.arange(EXAMPLES) % len(indices)])

    def compile_networks(self) -> None:
        """Both."""
        self.generator.compile(dynamic=False)
        self.discriminator.compile(dynamic=False)

    # --- one step ---------------------------------------------------------------------------------------

    def train_step(self, batch: Iterator[Batch], ctx: Context) -> Metrics:
        """G down the MSE of pixels; or one alternation of the game (Goodfellow et al. 2014, algorithm 1)."""
        pair, playing = next(batch), ctx.stage.name == GAME
        decay = self.config.decay if playing else self.config.decay_pretrain
        for optimizer in self.optimizers.values():
            set_learning_rates(optimizer, rate(decay, ctx.step / ctx.stage.steps))
        found = self._play(pair, ctx) if playing else self._pretrain(pair, ctx)
        if self.average is not None:
            kept, begins = self.config.ema, ctx.stage.index == 0 and not self.config.start
            update_average(self.average, self.generator, early_decay(kept, ctx.step) if begins else kept)
        return found

    def _pretrain(self, pair: Batch, ctx: Context) -> Metrics:
        """SRResNet-MSE (Ledig et al. 2017, eq. 4)."""
        real, fake = self._pair(pair, ctx)
        mse = F.mse_loss(fake, real)
        ctx.minimize(self.optimizers["generator"], mse)
        found = {"mse": mse.detach()}
        return found | {"grad_g": gradient_norm(self.generator)} if ctx.log else found

    def _play(self, pair: Batch, ctx: Context) -> Metrics:
        """D tells real from enlarged patches; G enlarges (Ledig et al. 2017, eqs. 2, 3 and 6)."""
        real, fake = self._pair(pair, ctx)
        if self.config.generator_first:
            return self._update_generator(real, fake, ctx) | self._update_discriminator(real, fake.detach(), ctx)
        return self._update_discriminator(real, fake.detach(), ctx) | self._update_generator(real, fake, ctx)

    def _update_discriminator(self, real: Tensor, fake: Tensor, ctx: Context) -> Metrics:
        with ctx.autocast():
            on_real, on_fake = self.discriminator(real), self.discriminator(fake)
        on_real, on_fake = on_real.to(real.dtype), on_fake.to(real.dtype)
        loss = self.loss.real(on_real) + self.loss.fake(on_fake)
        ctx.minimize(self.optimizers["discriminator"], loss)
        found = {"d_loss": loss.detach(), **seen_right(self.config.loss, on_real, on_fake)}
        return found | {"grad_d": gradient_norm(self.discriminator)} if ctx.log else found

    def _update_generator(self, real: Tensor, fake: Tensor, ctx: Context) -> Metrics:
        with ctx.frozen(self.discriminator):
            with ctx.autocast():
                on_fake = self.discriminator(fake)
            parts = self.generator_losses(real, fake, on_fake.to(fake.dtype))
            loss = sum((weight * part for weight, part in parts.values()), fake.new_zeros(()))
            ctx.minimize(self.optimizers["generator"], loss)
        found = {"g_loss": loss.detach()} | {name: part.detach() for name, (_, part) in parts.items()}
        return found | {"grad_g": gradient_norm(self.generator)} if ctx.log else found

    def generator_losses(self, real: Tensor, fake: Tensor, on_fake: Tensor) -> dict[str, tuple[float, Tensor]]:
        """What G goes down in the game, with weights: l^SR = l_content + 1e-3 l_Gen (Ledig et al. 2017, eq. 3).

        Args:
            real, fake: (N, 3, H, W), in the range of `values`.
            on_fake: what D says of the fakes, (N,).
        """
        config = self.config
        found = {"adversarial": (config.adversarial, self.loss.generator(on_fake))}
        if self._compares_features:
            signed = (2 * fake - 1, 2 * real - 1) if config.values == "unit" else (fake, real)
            found["content"] = config.content_weight, content_loss(self._features(), *signed)
        pixel = config.content_weight if config.content == "mse" else config.pixel
        if pixel:
            found["mse"] = pixel, F.mse_loss(fake, real)
        if config.tv:
            found["tv"] = config.tv, total_variation(fake)
        return found

    def _pair(self, pair: Batch, ctx: Context) -> tuple[Tensor, Tensor]:
        """Real patches and what G makes of them small, (N, 3, size, size) each, in the range that losses take."""
        assert pair.given is not None
        with ctx.autocast():
            fake = self.generator.enlarge(pair.given)
        real, fake = pair.images, fake.to(pair.images.dtype)  # losses bear no bfloat16
        return ((real + 1) / 2, (fake + 1) / 2) if self.config.values == "unit" else (real, fake)

    @property
    def _compares_features(self) -> bool:
        return self.config.content in LAYERS and self.config.content_weight > 0 and self.config.steps > 0

    def _features(self) -> VggFeatures:
        if not self._vgg:
            self._vgg.append(vgg_features(self.config.content, device=self.device))
        return self._vgg[0]

    # --- enlarging --------------------------------------------------------------------------------------

    @property
    def drawing(self) -> Enlarger:
        """The generator that enlarges: the averaged one, where there is one."""
        return self.average if self.average is not None else self.generator

    @property
    def factor(self) -> int:
        """How many times longer each side becomes."""
        return self.config.scale

    @property
    def reach(self) -> int:
        """See `Enlarger.reach`."""
        return self.drawing.reach

    @property
    def grid(self) -> int:
        """See `Enlarger.grid`."""
        return self.drawing.grid

    @torch.no_grad()
    def enlarge(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to (N, 3, factor H, factor W), about in [-1, 1]; batch norm as at the test."""
        with evaluating(self.drawing):
            return self.drawing.enlarge(images)

    @property
    def complete(self) -> bool:
        """Never: it draws from small pictures, not from noise."""
        return False

    @property
    def rows(self) -> str:
        """What `preview` shows."""
        return "Patches of pictures trained on: enlarged by bicubic, by the network, and as they really are."

    def preview(self, seeds: Sequence[int] | None = None) -> Tensor:
        """Rows of patches that nobody draws at random: bicubic, enlarged, real; (3 EXAMPLES, 3, size, size)."""
        small, real = (patches.float() / 127.5 - 1 for patches in (self.small, self.large))
        bicubic = F.interpolate(small, scale_factor=self.factor, mode="bicubic")
        return torch.cat([bicubic, self.enlarge(small), real]).clamp(-1, 1)

    def network_sizes(self) -> dict[str, int]:
        """Parameters of the two players."""
        return {k: n for k, n in super().network_sizes().items() if k in ("generator", "discriminator")}


def rate(decay: str, done: float) -> float:
    """What a learning rate is multiplied by when the share `done` of the steps is done."""
    if decay == "linear":
        return 1 - done
    return 0.1 if decay == "step" and done >= 0.5 else 1.0
