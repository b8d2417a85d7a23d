"""What a family implements: `GanModel`, a sequence of `Stage`s. What the engine gives it: `Context`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gantool.engine.world import World
from gantool.errors import UsageError
from gantool.family import DataShape, SampleRequest

Metrics = dict[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """ "These networks, these optimisers, at this size, for so many steps."

    Attributes:
        index: from 0.
        name: as shown to people, for instance "stage 3/6".
        steps: training steps; the trainer may shorten it to fit a time budget.
        size: (height, width) of the pictures trained on.
        cost: floating point operations a step, roughly; only ratios between stages matter.
        memory: bytes a step needs at its peak, roughly.
        uneven: first steps that do more than all others, and tell nothing of their speed.
    """

    index: int
    name: str
    steps: int
    size: tuple[int, int]
    cost: float = 1.0
    memory: float = 0.0
    uneven: int = 0


@dataclass
class Context:
    """What `train_step` gets: where it stands, the seeded generator, and how to take a step.

    Attributes:
        device: of all tensors.
        generator: the only source of randomness in training; its state is part of a checkpoint.
        stage: the stage being trained.
        step: steps done in this stage.
        log: whether the metrics of this step are wanted; where not, `train_step` may return none.
        world: the processes that share each batch. All of them draw the same random numbers.
        precision: of `autocast`.
    """

    device: torch.device
    generator: torch.Generator
    stage: Stage
    step: int = 0
    dtype: torch.dtype = field(default=torch.float32)
    log: bool = True
    world: World = field(default_factory=World)
    precision: str = "fp32"

    def normal(self, count: int, *shape: int) -> Tensor:
        """(count, *shape) of N(0, 1): this process's part of what is drawn for all."""
        return self._part(torch.randn, count, shape)

    def uniform(self, count: int, *shape: int) -> Tensor:
        """(count, *shape) of U[0, 1): this process's part of what is drawn for all."""
        return self._part(torch.rand, count, shape)

    def _part(self, draw: Any, count: int, shape: tuple[int, ...]) -> Tensor:
        whole = draw((count * self.world.size, *shape), generator=self.generator, device=self.device, dtype=self.dtype)
        part: Tensor = whole[self.world.rank * count : (self.world.rank + 1) * count]
        return part

    def autocast(self) -> AbstractContextManager[Any]:
        """Inside, what tolerates it is computed in bfloat16, if that was asked for."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def randn(self, channels: int, height: int, width: int, count: int = 1) -> Tensor:
        """(count, C, H, W) of N(0, 1), laid out channels-last, as the convolutions want it."""
        noise = torch.randn(
            (count, height, width, channels), generator=self.generator, device=self.device, dtype=self.dtype
        )
        return noise.permute(0, 3, 1, 2)

    def rand(self) -> Tensor:
        """One number from U[0, 1), as a tensor without dimensions."""
        return torch.rand((), generator=self.generator, device=self.device, dtype=self.dtype)

    @property
    def host_generator(self) -> torch.Generator:
        """A CPU generator for choices made on the host: it follows from seed, stage and step, so nothing is saved.

        Each call gives a fresh one with the same numbers: ask once a step.
        """
        seed = self.generator.initial_seed() * 1_000_003 + self.stage.index * 100_000_007 + self.step
        return torch.Generator().manual_seed(seed % 2**63)

    def minimize(self, optimizer: Optimizer, loss: Tensor, repeats: int = 1) -> None:
        """Backward and step; `repeats` > 1 applies the same gradient several times."""
        self.descend(optimizer, [loss], 1)
        for _ in range(1, repeats):
            optimizer.step()

    def descend(self, optimizer: Optimizer, losses: Iterable[Tensor], parts: int) -> None:
        """A step down the mean of `parts` losses, each backward as it comes: its memory is free before the next."""
        optimizer.zero_grad(set_to_none=True)
        for loss in losses:
            (loss if parts == 1 else loss / parts).backward()  # type: ignore[no-untyped-call]
        self.world.average_gradients(p for group in optimizer.param_groups for p in group["params"])
        optimizer.step()

    @contextmanager
    def frozen(self, module: nn.Module) -> Iterator[None]:
        """Inside, `module`'s weights take no gradient (gradients still flow through it)."""
        trained = [p for p in module.parameters() if p.requires_grad]
        for p in trained:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in trained:
                p.requires_grad_(True)


class GanModel(nn.Module, ABC):
    """A GAN that trains as a sequence of stages.

    All that belongs to the trained model is a parameter or a buffer, so it is saved without hooks. The order of
    calls is: for each stage `enter`, `prepare`, `train_step` x steps, `leave`. Resuming replays `enter` for the
    stages up to the one that was interrupted, loads weights, optimisers and the generator, and goes on.
    """

    optimizers: dict[str, Optimizer]
    at_once = 1  # pictures that `sample` is best asked for in one go
    tunes = False  # whether it goes on from a trained model, which a training of its own does not have
    place: int | None = None  # of a part in the model that it belongs to; see `adopt`

    def __init__(self, config: Any, shape: DataShape) -> None:
        super().__init__()
        self.optimizers = {}

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.parameters()).device

    @property
    def complete(self) -> bool:
        """Whether it draws from noise alone."""
        return True

    def part(self, stage: Stage) -> GanModel:
        """What a stage trains, with the `config` and the `shape` that hold there: all of it, or a model in it."""
        return self

    def seen(self, images: Tensor) -> Tensor:
        """Real pictures (N, C, H, W) as what has been trained so far could draw them at best."""
        return images

    @abstractmethod
    def stages(self) -> list[Stage]:
        """The stages, in order."""

    @abstractmethod
    def enter(self, stage: Stage) -> None:
        """Build or grow the networks and make fresh optimisers: the same whenever it is replayed."""

    def check(self) -> None:
        """Raises GantoolError where something is not at hand that training will need; before anything is made."""

    def prepare(self, stage: Stage, data: Any, ctx: Context) -> None:
        """Draw or measure what the stage needs, once; it lands in buffers. Not replayed."""

    @abstractmethod
    def train_step(self, batch: Any, ctx: Context) -> Metrics:
        """One whole alternation, in paper order. Returns losses as tensors, left on the device.

        `batch` is nothing for families of one picture, which they hold themselves; for families of sets it is an
        iterator: each `next` is another Batch, as many as the alternation takes.
        """

    def leave(self, stage: Stage) -> None:
        """After the last step of a stage."""

    def sample(self, request: SampleRequest) -> Tensor:
        """Draw pictures: (N, C, H, W) in [-1, 1]. Families that sample many sizes may refuse some.

        Raises:
            UsageError: the family draws nothing from noise, and does not define this.
        """
        raise UsageError(f"{type(self).__name__} draws nothing from noise alone.", "See `gantool families`.")

    @property
    def rows(self) -> str:
        """Of a model that does not draw from noise alone: what its preview shows, as a sentence; or nothing."""
        return ""

    def preview(self, seeds: Sequence[int] = (0, 1, 2)) -> Tensor:
        """A few pictures from fixed noise, (N, C, H, W)."""
        return self.sample(SampleRequest(seeds))

    def adopt(self, place: int, model: GanModel) -> None:
        """Take in a trained model, for families whose options name some. Raises UsageError where it does not fit."""
        raise NotImplementedError(f"{type(self).__name__} takes no trained models in")

    def compile_networks(self) -> None:
        """Have the networks compiled when they are first used; families that gain by it say how."""

    def network_sizes(self) -> dict[str, int]:
        """Parameters per network, for people."""
        return {name: sum(p.numel() for p in child.parameters()) for name, child in self.named_children()}


def set_learning_rates(optimizer: Optimizer, factor: float) -> None:
    """Set every group's rate to its initial one times `factor`: a schedule without state."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def adam(groups: Sequence[dict[str, Any]], betas: tuple[float, float]) -> Optimizer:
    """Adam over groups of {"params", "lr"}, fused; remembers each group's rate for `set_learning_rates`."""
    kept = [{**group, "base_lr": group["lr"]} for group in groups]
    return torch.optim.Adam(kept, betas=betas, eps=1e-8, fused=True)
