"""One level of LAPGAN's pyramid: a game of its own, or a trained generator that takes its place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gantool.data.batches import Batch
from gantool.engine.model import Context, GanModel, Stage
from gantool.errors import UsageError
from gantool.families.lapgan.config import LAPGANConfig, Rung
from gantool.families.lapgan.networks import networks
from gantool.family import DataShape
from gantool.game.model import Game
from gantool.game.sampling import Sampling, noise_of
from gantool.nn.conditional import one_hot
from gantool.nn.laplacian import Filter, expand, reduce

NOISES_APART = {"normal": 2 / math.sqrt(math.pi), "uniform": 2 / 3}  # mean distance of two numbers of noise
SPREAD = 1_000_003  # keeps the noise of a seed's levels apart


class Level(Game):
    """The game of one level.

    The coarsest draws pictures from noise. A finer one draws the difference to a coarser picture l, and its
    discriminator sees the sum, u(l) + G(z, u(l)) (Denton et al. 2015, section 3.2). So to the game it is a generator
    of pictures that is given coarser ones.

    Attributes:
        rung: which level it is.
        mean, deviation: (1, C, 1, 1), the units of what the networks see; 0 and 1 unless data is standardised.
        ready: whether its training has begun; until then, a level adds nothing to the coarser picture.
    """

    mean: Tensor
    deviation: Tensor
    ready: Tensor

    def __init__(self, options: LAPGANConfig, rung: Rung, shape: DataShape) -> None:
        """`shape` is that of the pictures of this level."""
        self.options, self.rung, self.place = options, rung, rung.index
        super().__init__(options.at(rung), shape)
        self.register_buffer("mean", torch.zeros(1, shape.channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, shape.channels, 1, 1))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """G and D, as the options say."""
        return networks(self.options, self.config, self.rung, self.shape)

    # --- training ---------------------------------------------------------------------------------------

    def enter(self, stage: Stage) -> None:
        """Fresh optimisers; channels last on every device: on a CPU these convolutions gain a quarter by it."""
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().enter(stage)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Take these (C,) for units."""
        self.mean.copy_(mean.view_as(self.mean))
        self.deviation.copy_(deviation.view_as(self.deviation))

    def units(self, images: Tensor) -> Tensor:
        """Pictures in [-1, 1] as the networks see them."""
        return (images - self.mean) / self.deviation

    @property
    def farthest(self) -> float:
        """As of any game, in units of the data."""
        return self.rung.side * float((2 / self.deviation).norm())

    def draw(self, real: Batch, ctx: Context) -> Tensor:
        """Fakes on top of the coarse pictures of `real`."""
        if real.given is None:
            return super().draw(real, ctx)
        noise = self.noise(ctx, len(real), 1, self.rung.side, self.rung.side)
        return self.detailed(self.generator, noise, real.given, real.labels)

    def further_loss(self, real: Batch, fake: Tensor, ctx: Context) -> Tensor | None:
        """Mode seeking (Mao et al. 2019, eq. 4): the inverse of how far apart two draws on one picture are.

        Without it, a generator that is given a picture learns to take no notice of the noise.
        """
        if real.given is None or not self.options.mode_seeking:
            return None
        with ctx.autocast():
            other = self.draw(real, ctx)
        apart = (fake - other).abs().mean() / NOISES_APART[self.config.noise]
        self._found["apart"] = apart.detach()
        return self.options.mode_seeking / (apart + 1e-5)

    def enlarged(self, coarser: Tensor) -> Tensor:
        """Pictures of the next coarser level, as large as this one's: u(l)."""
        return expand(coarser, (self.rung.side, self.rung.side), self.options.pyramid)

    def detailed(self, generator: nn.Module, noise: Tensor, coarser: Tensor, y: Tensor | None) -> Tensor:
        """u(l) + G(z, u(l)); with `keep_coarse`, moved by blocks so that d(.) of it is l again."""
        coarse = self.enlarged(coarser)
        finer: Tensor = coarse + generator(noise, coarse, y)
        if self.options.keep_coarse:
            missed = coarser - reduce(finer, (coarser.shape[-2], coarser.shape[-1]), self.options.pyramid)
            finer = finer + expand(missed, (self.rung.side, self.rung.side), "haar")
        return finer

    def inputs(self, count: int, device: torch.device) -> tuple[Tensor | None, ...]:
        """What the generator takes to draw so many pictures, without its values."""
        if self.rung.below is None:
            return super().inputs(count, device)
        side = self.rung.side
        noise, coarse = (torch.empty(count, n, side, side, device=device) for n in (1, self.shape.channels))
        return noise, coarse, self._no_labels(count, device)

    # --- sampling ---------------------------------------------------------------------------------------

    @property
    def noise_size(self) -> int:
        """Numbers of noise that a picture of this level takes."""
        return self.config.nz if self.rung.below is None else self.rung.side**2

    def latent(self, seeds: Sequence[int]) -> Tensor:
        """Noise of each seed, (N, noise_size): at each level another one."""
        if self.rung.below is None:
            return super().latent(seeds)
        own = [(seed * SPREAD + self.rung.index) % 2**63 for seed in seeds]
        return torch.stack([noise_of(seed, self.noise_size, self.config.noise) for seed in own])

    def picture(self, z: Tensor, coarser: Tensor | None, y: Tensor | None) -> Tensor:
        """The level's pictures, about in [-1, 1].

        Args:
            z: (N, noise_size).
            coarser: the pictures of the next coarser level, (N, C, below, below) in [-1, 1]; None at the coarsest.
            y: labels (N,), or None.
        """
        if coarser is None:
            images = self.drawn(z, y)
        elif self.ready:
            noise = z.view(-1, 1, self.rung.side, self.rung.side)
            images = self.detailed(self.drawing, noise, self.units(coarser), y)
        else:
            return self.enlarged(coarser)
        return images * self.deviation + self.mean


class Missing(nn.Module):
    """The place of a level that is neither trained here nor taken in: it adds nothing."""

    noise_size = 0
    ready = False

    def __init__(self, rung: Rung, filter: Filter) -> None:
        super().__init__()
        self.rung, self.filter = rung, filter

    def latent(self, seeds: Sequence[int]) -> Tensor:
        """(N, 0)."""
        return torch.zeros(len(seeds), 0)

    def picture(self, z: Tensor, coarser: Tensor | None, y: Tensor | None) -> Tensor:
        """The coarser pictures enlarged."""
        assert coarser is not None
        return expand(coarser, (self.rung.side, self.rung.side), self.filter)

    def network_sizes(self) -> dict[str, int]:
        """None."""
        return {}


class Foreign(nn.Module):
    """A trained generator of another family as the coarsest level; its seeds draw what they draw there.

    Args:
        model: draws square pictures, not smaller than the level's.
        filter: makes its pictures smaller, if need be.
    """

    def __init__(self, model: GanModel, rung: Rung, shape: DataShape, filter: Filter) -> None:
        super().__init__()
        if not isinstance(model, Sampling):
            raise UsageError(
                f"{rung.reference} draws no pictures from noise alone.", "Take a run of gan, dcgan, cgan or acgan."
            )
        theirs = model.shape
        if theirs.channels != shape.channels or theirs.height < rung.side or theirs.height != theirs.width:
            kinds = {1: "grey", 3: "colour"}
            raise UsageError(
                f"{rung.reference} draws {kinds[theirs.channels]} pictures of {theirs.width}x{theirs.height} pixels; "
                f"level {rung.index} has {kinds[shape.channels]} ones of {rung.side}x{rung.side}.",
                f"Train one of {rung.side} pixels or more on the same data, or choose other --levels.",
            )
        if shape.classes and theirs.classes != shape.classes:
            raise UsageError(
                f"{rung.reference} has {theirs.classes or 'no'} classes, and the data has {shape.classes}.",
                "Take a run with the same classes, or --labels none.",
            )
        self.model: Sampling = model.requires_grad_(False)
        self.rung, self.filter = rung, filter
        self.draws_class = bool(theirs.classes) and not shape.classes
        self.ready = True

    @property
    def noise_size(self) -> int:
        """Numbers that a picture takes: its noise, and one for each class where the class is drawn along."""
        return self.model.config.nz + (self.model.shape.classes if self.draws_class else 0)

    def latent(self, seeds: Sequence[int]) -> Tensor:
        """(N, noise_size)."""
        z = self.model.latent(seeds)
        if not self.draws_class:
            return z
        # As 0 and 1: on the way from one picture to the next, the larger of the two is the class of the nearer one.
        classes = self.model.shape.classes
        own = torch.tensor([seed % classes for seed in seeds])
        return torch.cat([z, one_hot(own, classes, z)], 1)

    def picture(self, z: Tensor, coarser: Tensor | None, y: Tensor | None) -> Tensor:
        """The pictures (N, C, side, side) of these z."""
        if self.draws_class:
            z, y = z[:, : self.model.config.nz], z[:, self.model.config.nz :].argmax(1)
        images = self.model.drawn(z, y)
        side = self.rung.side
        return images if images.shape[-1] == side else reduce(images, (side, side), self.filter)

    def network_sizes(self) -> dict[str, int]:
        """Parameters of what draws."""
        return {"generator": sum(p.numel() for p in self.model.drawing.parameters())}
