"""Drawing pictures: one from each seed, and ways from one to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from gantool.errors import UsageError
from gantool.family import DataShape, InterpolateRequest, SampleRequest
from gantool.game.options import GameConfig
from gantool.nn.norm import evaluating

AT_ONCE = 16  # always so many, so that a seed's picture is the same to the last bit whatever stands beside it
GRID = 8  # columns of a preview
MOST_ROWS = 16  # classes on a preview


class Sampling(nn.Module):
    """What a game can draw when it is trained."""

    config: GameConfig
    shape: DataShape
    generator: nn.Module
    average: nn.Module | None
    at_once = AT_ONCE

    @property
    def drawing(self) -> nn.Module:
        """The generator that samples: the averaged one, where there is one."""
        return self.average if self.average is not None else self.generator

    def drawn(self, z: Tensor, y: Tensor | None) -> Tensor:
        """The pictures (N, C, H, W) of these z, about in [-1, 1]."""
        images: Tensor = self.drawing(z, y)
        return images

    def latent(self, seeds: Sequence[int]) -> Tensor:
        """z of each seed, (N, nz): N(0, 1), or U[-1, 1]."""
        return torch.stack([noise_of(seed, self.config.nz, self.config.noise) for seed in seeds])

    def sample(self, request: SampleRequest) -> Tensor:
        """(N, C, H, W) in [-1, 1].

        Raises:
            UsageError: another size than trained on, a scale, or a label that the model does not have.
        """
        height, width = self.shape.height, self.shape.width
        if request.size not in (None, (height, width)):
            raise UsageError(f"This model draws {width}x{height} pixels only.", "Leave the size out.")
        if request.start_scale:
            raise UsageError("This model has no scales to start from.", "Leave --start-scale out.")
        return self._generated(self.latent(request.seeds), self._labels(request.labels, request.seeds))

    def interpolate(self, request: InterpolateRequest) -> Iterator[Tensor]:
        """The pictures of the seeds and those between them, (1, C, H, W) each.

        Raises:
            UsageError: fewer than two seeds, no step, or a label that the model does not have.
        """
        if len(request.seeds) < 2 or request.steps < 1:
            raise UsageError("A way leads from one picture to another.", "Give two seeds or more, and a step or more.")
        points = self.latent(request.seeds)
        labels = self._labels(request.labels, request.seeds)
        spherical = request.spherical and self.config.noise == "normal"
        for i, (a, b) in enumerate(pairwise(points)):
            for k in range(request.steps):
                z = (_slerp if spherical else torch.lerp)(a, b, k / request.steps)
                # Labels have no between: the first half of the way has one, the second half the other.
                y = None if labels is None else labels[[i + (2 * k > request.steps)]]
                yield self._generated(z[None], y)
        yield self._generated(points[-1:], None if labels is None else labels[-1:])

    def preview(self, seeds: Sequence[int] | None = None) -> Tensor:
        """Rows of `GRID` pictures: 8 of them, or one for each class, with the same noise down a column.

        With `seeds`, these; in each class.
        """
        if not self.conditional:
            return self.sample(SampleRequest(range(GRID * GRID) if seeds is None else seeds))
        seeds, rows = range(GRID) if seeds is None else seeds, min(self.shape.classes, MOST_ROWS)
        labels = [label for label in range(rows) for _ in seeds]
        return self.sample(SampleRequest([*seeds] * rows, labels=labels))

    @property
    def conditional(self) -> bool:
        """Whether a picture has a class."""
        return self.shape.classes > 0

    def _labels(self, labels: Sequence[int] | None, seeds: Sequence[int]) -> Tensor | None:
        if not self.conditional:
            if labels is not None:
                raise UsageError("This model knows no classes.", "Leave the class out, or train cgan or acgan.")
            return None
        chosen = [seed % self.shape.classes for seed in seeds] if labels is None else list(labels)
        if len(chosen) != len(seeds):
            raise ValueError(f"{len(chosen)} labels for {len(seeds)} seeds")
        if chosen and not 0 <= min(chosen) <= max(chosen) < self.shape.classes:
            raise UsageError(
                f"There is no class {max(chosen) if min(chosen) >= 0 else min(chosen)}.",
                f"Classes count from 0 to {self.shape.classes - 1}.",
            )
        return torch.tensor(chosen, dtype=torch.int64)

    def _generated(self, z: Tensor, y: Tensor | None) -> Tensor:
        return at_once(self.drawing, self.drawn, z, y)


def noise_of(seed: int, count: int, kind: str) -> Tensor:
    """(count,) of N(0, 1) if `kind` is "normal", else of U[-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "normal":
        return torch.randn(count, generator=generator)
    return 2 * torch.rand(count, generator=generator) - 1


@torch.no_grad()
def at_once(network: nn.Module, draw: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """draw(*inputs), clamped to [-1, 1], with `network` evaluating, and always of `AT_ONCE` rows at a time.

    Args:
        network: says where, and in which type, the rows are to be.
        inputs: as many rows each; the first is not None.
    """
    weight, count = next(network.parameters()), len(inputs[0]) if inputs[0] is not None else 0

    def part(rows: Tensor, given: Tensor | None) -> Tensor | None:
        if given is None:
            return None
        taken = given[rows.to(given.device)]
        return taken.to(weight) if taken.is_floating_point() else taken.to(weight.device)

    drawn = []
    with evaluating(network):
        for start in range(0, count, AT_ONCE):
            wanted = min(AT_ONCE, count - start)
            rows = start + torch.arange(AT_ONCE) % wanted
            drawn.append(draw(*(part(rows, given) for given in inputs))[:wanted])
    return torch.cat(drawn).clamp(-1, 1)


def _slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """From a to b along the arc (Shoemake 1985), lengths changing evenly; along the chord where there is no arc."""
    angle = math.acos(max(-1.0, min(1.0, float(torch.dot(a, b) / (a.norm() * b.norm()).clamp_min(1e-12)))))
    if math.sin(angle) < 1e-6:
        return torch.lerp(a, b, t)
    direction: Tensor = (math.sin((1 - t) * angle) * a / a.norm() + math.sin(t * angle) * b / b.norm()) / math.sin(
        angle
    )
    return direction * torch.lerp(a.norm(), b.norm(), t)
