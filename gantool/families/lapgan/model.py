"""LAPGAN: a Laplacian pyramid of games, one a level (Denton et al. 2015)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gantool.data.batches import Batch, Batches
from gantool.engine.feed import Feed
from gantool.engine.model import Context, GanModel, Metrics, Stage
from gantool.errors import RunError, UsageError
from gantool.families.lapgan.config import LAPGANConfig, Rung
from gantool.families.lapgan.level import Foreign, Level, Missing
from gantool.family import DataShape, RefineRequest, SampleRequest
from gantool.game.sampling import Sampling, at_once
from gantool.nn.laplacian import expand, reduce

MEASURED, AT_ONCE = 2000, 64  # pictures from which mean and deviation are taken, so many at a time
KEPT = 8  # real pictures that stay with a model whose coarser levels are elsewhere, for its previews


class LAPGAN(Sampling, GanModel):
    """Each level is a game of its own: the coarsest of pictures, the others of differences to the next coarser one.

    They are trained by themselves, each on real coarse pictures, in any order. To sample is to climb: u(I_k+1) plus
    what G_k draws on top of it is I_k (Denton et al. 2015, section 3.2 and figure 1).

    Attributes:
        pyramid: the levels, coarsest first.
        kept, kept_labels: (KEPT, C, size, size) uint8 real pictures and (KEPT,) their classes, where the run lacks
            coarser levels; else none.
    """

    config: LAPGANConfig
    kept: Tensor
    kept_labels: Tensor

    def __init__(self, config: LAPGANConfig, shape: DataShape) -> None:
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        self.rungs = config.rungs()
        self.pyramid = nn.ModuleList(
            Level(config, rung, self._shape_of(rung)) if rung.trained else Missing(rung, config.pyramid)
            for rung in self.rungs
        )
        kept = 0 if self.complete else KEPT
        self.register_buffer("kept", torch.zeros(kept, shape.channels, config.size, config.size, dtype=torch.uint8))
        self.register_buffer("kept_labels", torch.zeros(kept, dtype=torch.int64))

    @property
    def levels(self) -> list[Level | Foreign | Missing]:
        """Coarsest first."""
        return cast("list[Level | Foreign | Missing]", list(self.pyramid))

    def _shape_of(self, rung: Rung) -> DataShape:
        return replace(self.shape, height=rung.side, width=rung.side)

    def adopt(self, index: int, model: GanModel) -> None:
        """Put a trained model in the place of a level: a generator as the coarsest, or the same level of a LAPGAN.

        Raises:
            UsageError: it does not fit.
        """
        rung = self.rungs[index]
        if isinstance(model, LAPGAN) and model.config.pyramid != self.config.pyramid:
            raise UsageError(
                f"{rung.reference} has --pyramid {model.config.pyramid}, this run {self.config.pyramid}.",
                "Take the same.",
            )
        if isinstance(model, LAPGAN):
            if len(self.kept) and len(model.kept):
                self.kept.copy_(model.kept)
                self.kept_labels.copy_(model.kept_labels)
            self.pyramid[index] = model.level_like(rung, self._shape_of(rung))
        elif rung.below is None:
            self.pyramid[index] = Foreign(model, rung, self._shape_of(rung), self.config.pyramid)
        else:
            raise UsageError(
                f"{rung.reference} draws whole pictures, and level {index} is one of differences.",
                "Give it as level 0, or a run of lapgan for this level.",
            )

    def level_like(self, rung: Rung, shape: DataShape) -> Level | Foreign | Missing:
        """Its own level between the same sides. Raises UsageError where there is none that was trained."""
        for own, level in zip(self.rungs, self.levels, strict=True):
            if (own.side, own.below) == (rung.side, rung.below) and level.ready:
                if self._shape_of(own) != replace(shape, count=self.shape.count):
                    what = "other classes" if self.shape.classes != shape.classes else "other channels"
                    raise UsageError(f"{rung.reference} was trained with {what}.", "Train it on the same data.")
                level.rung = replace(own, index=rung.index)
                return level.requires_grad_(False)
        trained = [_says(own) for own, level in zip(self.rungs, self.levels, strict=True) if level.ready]
        raise UsageError(
            f"{rung.reference} has no trained level {_says(rung)}.",
            f"It has one {', one '.join(trained)}." if trained else "It has none at all.",
        )

    # --- the schedule -----------------------------------------------------------------------------------

    def stages(self) -> list[Stage]:
        """One for each level that is trained; of a run that only puts levels together, one without steps."""
        found = list[Stage]()
        for level in self._trained():
            name = f"level {level.rung.index} ({level.rung.side} px)"
            found.append(replace(level.stages()[0], index=len(found), name=name))
        last = self.rungs[-1].side
        return found or [Stage(0, "putting levels together", 0, (last, last), memory=1.0)]

    def enter(self, stage: Stage) -> None:
        """Fresh optimisers of its level."""
        level = self._level(stage)
        if level is not None:
            level.enter(stage)
            level.ready.fill_(True)
            self.optimizers = level.optimizers

    def part(self, stage: Stage) -> GanModel:
        """The level that it trains."""
        return self._level(stage) or self

    def _trained(self) -> list[Level]:
        return [level for level in self.levels if isinstance(level, Level) and self.rungs[level.rung.index].trained]

    def _level(self, stage: Stage) -> Level | None:
        trained = self._trained()
        return trained[stage.index] if trained else None

    def prepare(self, stage: Stage, data: Feed, ctx: Context) -> None:
        """The units of the data, and a few pictures to show what a level does that has no coarser ones."""
        level = self._level(stage)
        if level is not None and self.config.standardise:
            level.standardise(*_units(data.data, self.shape.channels))
        if len(self.kept):
            indices, labels = data.data.spread(KEPT)
            rows = torch.arange(KEPT) % len(indices)
            self.kept.copy_(_pixels(data.data, indices, self.shape.channels)[rows])
            if labels is not None and self.conditional:
                self.kept_labels.copy_(torch.from_numpy(labels)[rows])

    def compile_networks(self) -> None:
        """Those of the level under way."""
        for level in self.levels:
            if isinstance(level, Level) and level.optimizers is self.optimizers:
                level.compile_networks()

    # --- one alternation --------------------------------------------------------------------------------

    def train_step(self, batch: Iterator[Batch], ctx: Context) -> Metrics:
        """One alternation of the level's game, on what the real pictures are at this level and at the next coarser."""
        level = self._level(ctx.stage)
        assert level is not None
        return level.train_step((self._at(level, whole) for whole in batch), ctx)

    def _at(self, level: Level, whole: Batch) -> Batch:
        """The pictures of this level, given the next coarser ones."""
        rung = level.rung
        images, given = self.reduced(whole.images, rung.index), None
        if rung.below is not None:
            given = level.units(self._smaller(images, rung.below))
        return Batch(level.units(images), whole.labels, given)

    # --- the pyramid ------------------------------------------------------------------------------------

    @property
    def level_sides(self) -> list[int]:
        """Sides of the levels in pixels, coarsest first."""
        return [rung.side for rung in self.rungs]

    def reduced(self, images: Tensor, level: int) -> Tensor:
        """Square pictures (N, C, S, S), S not below the level's side, as `level` sees them."""
        if images.shape[-1] < self.level_sides[level]:
            raise ValueError(f"pictures of {images.shape[-1]} pixels, and a level of {self.level_sides[level]}")
        for side in reversed(self.level_sides[level:]):
            if side < images.shape[-1]:
                images = self._smaller(images, side)
        return images

    def _smaller(self, images: Tensor, side: int) -> Tensor:
        """By the pyramid from level to level; to the first of them by area, for not every filter has any factor."""
        own = images.shape[-1] in self.level_sides
        return reduce(images, (side, side), self.config.pyramid if own else "area")

    def seen(self, images: Tensor) -> Tensor:
        """Without the detail of levels whose training has not begun."""
        reached = max((k for k, level in enumerate(self.levels) if level.ready), default=0)
        images = self.reduced(images, reached)
        for k in range(reached + 1, len(self.levels)):
            images = self.enlarged(images, k)
        return images

    def enlarged(self, images: Tensor, level: int) -> Tensor:
        """Pictures of the next coarser level, as large as those of `level`."""
        side = self.rungs[level].side
        return expand(images, (side, side), self.config.pyramid)

    # --- sampling ---------------------------------------------------------------------------------------

    @property
    def drawing(self) -> nn.Module:
        """All levels."""
        return self.pyramid

    def latent(self, seeds: Sequence[int]) -> Tensor:
        """Noise of every level, side by side: (N, sum of their sizes)."""
        return torch.cat([level.latent(seeds) for level in self.levels], 1)

    def drawn(self, z: Tensor, y: Tensor | None) -> Tensor:
        """The finest pictures of these z."""
        return self._climb(z, None, y, -1, len(self.levels) - 1)[-1]

    def _climb(self, z: Tensor, start: Tensor | None, y: Tensor | None, level: int, to: int) -> list[Tensor]:
        """The pictures from `level`, where `start` stands, to `to`; from nothing, at -1. z as `latent` gives it."""
        parts = torch.split(z, [part.noise_size for part in self.levels], 1)
        if start is None:
            self._check_start()
        pictures = [] if start is None else [start]
        for k in range(level + 1, to + 1):
            pictures.append(self.levels[k].picture(parts[k], pictures[-1] if pictures else None, y))
        return pictures

    def sample(self, request: SampleRequest) -> Tensor:
        """(N, C, H, W) in [-1, 1].

        Raises:
            UsageError: as `Sampling.sample`.
            RunError: coarser levels are lacking.
        """
        return super().sample(request)

    def start(self, seeds: Sequence[int], level: int = 0, labels: Sequence[int] | None = None) -> Tensor:
        """What these seeds draw at `level`. Raises RunError where coarser levels are lacking."""
        return at_once(self.pyramid, lambda z, y: self._climb(z, None, y, -1, level)[-1], *self._noise(seeds, labels))

    def refine(self, request: RefineRequest) -> list[Tensor]:
        """The pictures of every level from `request.level`, the start itself, to the last."""
        last = len(self.levels) - 1 if request.to is None else request.to
        if not 0 <= request.level <= last < len(self.levels):
            raise ValueError(f"from level {request.level} to {last} of {len(self.levels)}")
        z, y = self._noise(request.seeds, request.labels)
        start = request.start.expand(len(z), -1, -1, -1)
        sizes = self.level_sides[request.level : last + 1]

        def draw(z: Tensor, y: Tensor | None, start: Tensor) -> Tensor:
            """All levels beside each other, one row of numbers a picture."""
            return torch.cat([x.flatten(1) for x in self._climb(z, start, y, request.level, last)], 1)

        flat = at_once(self.pyramid, draw, z, y, start)
        parts = torch.split(flat, [self.shape.channels * side**2 for side in sizes], 1)
        return [part.reshape(len(z), -1, side, side) for part, side in zip(parts, sizes, strict=True)]

    def _noise(self, seeds: Sequence[int], labels: Sequence[int] | None) -> tuple[Tensor, Tensor | None]:
        return self.latent(seeds), self._labels(labels, seeds)

    def _check_start(self) -> None:
        if not self.complete:
            raise RunError(
                "This run lacks coarser levels: it was trained for finer ones alone.",
                "Begin with a picture, by `gantool sample --coarse`; or put it together with others by --level-model.",
            )

    @property
    def rows(self) -> str:
        """What `preview` shows where coarser levels are lacking."""
        return "The first row is real, and each row below it is drawn on its coarse versions, with other noise."

    def preview(self, seeds: Sequence[int] | None = None) -> Tensor:
        """As `Sampling.preview`; without coarser levels, a row of real pictures and rows drawn on their coarse ones."""
        if self.complete:
            return super().preview(seeds)
        real = self.kept.float() / 127.5 - 1
        ready = next((k for k, level in enumerate(self.levels) if k and level.ready), 1)
        below, labels = self.reduced(real, ready - 1), self.kept_labels.tolist() if self.conditional else None
        rows = [self.refine(RefineRequest(below, ready - 1, range(r, r + KEPT), labels))[-1] for r in range(3)]
        return torch.cat([real, *rows])

    def network_sizes(self) -> dict[str, int]:
        """Parameters of the networks of each level."""
        found = dict[str, int]()
        for level in self.levels:
            found |= {f"{name} {level.rung.side} px": count for name, count in level.network_sizes().items()}
        return found

    @property
    def complete(self) -> bool:
        """Whether it draws from noise alone: no level is lacking below one that is trained in this run, or taken in."""
        there = [rung.trained or bool(rung.reference) for rung in self.rungs]
        return there == sorted(there, reverse=True)


def _says(rung: Rung) -> str:
    return f"from {rung.below} to {rung.side} pixels" if rung.below else f"of {rung.side} pixels"


def _pixels(data: Batches, indices: NDArray[np.int64], channels: int) -> Tensor:
    """(N, C, S, S) uint8."""
    return torch.from_numpy(data.pictures(indices)[..., :channels].copy()).permute(0, 3, 1, 2)


def _units(data: Batches, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel (C,), of pictures spread over the set, a few at a time."""
    indices, _ = data.spread(MEASURED)
    sums, count = torch.zeros(2, channels, dtype=torch.float64), 0
    for start in range(0, len(indices), AT_ONCE):
        x = _pixels(data, indices[start : start + AT_ONCE], channels).double() / 127.5 - 1
        sums += torch.stack([x.sum((0, 2, 3)), x.square().sum((0, 2, 3))])
        count += x.numel() // channels
    mean, square = sums / count
    return mean.float(), (square - mean.square()).clamp_min(0).sqrt().clamp_min(1e-3).float()
