"""What the speed benchmarks of families of sets share: several ways to do the same, timed in turns."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from gantool.data.batches import Batch
from gantool.engine.devices import keep_freed_memory, synchronize
from gantool.engine.model import Context, GanModel

Ways = dict[str, Callable[[], Any]]


def best(steps: Ways, device: torch.device, args: argparse.Namespace, n: int) -> dict[str, float]:
    """Seconds a step of each, in turns; the least of the rounds."""
    clock = time.process_time if args.processor_time else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.rounds):
        for name, step in steps.items():
            keep_freed_memory(name in ("gantool", "loader"))  # the C library's defaults, as a plain loop has them
            step()
            synchronize(device)
            start = clock()
            for _ in range(n):
                step()
            synchronize(device)
            times[name].append((clock() - start) / n)
    return {name: min(found) for name, found in times.items()}


class Ours:
    """gantool's train step, which logs every 25th time, as a run does."""

    def __init__(self, model: GanModel, batches: Iterator[Batch], index: int = 0) -> None:
        self.model, self.batches, self.done = model, batches, 0
        stage = model.stages()[index]
        model.enter(stage)
        generator = torch.Generator(model.device).manual_seed(0)
        self.ctx = Context(model.device, generator, stage)

    def step(self) -> None:
        self.ctx.step, self.ctx.log = self.done, self.done % 25 == 24
        found = self.model.train_step(self.batches, self.ctx)
        self.done += 1
        if self.ctx.log:
            self.log = {name: float(value) for name, value in found.items()}


def in_circles(batches: list[tuple[Tensor, Tensor]]) -> Iterator[Batch]:
    while True:
        yield from (Batch(real, None, small) for real, small in batches)
