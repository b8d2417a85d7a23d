"""What the speed benchmarks of families of sets share: several ways to do the same, timed in turns."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from timing import machine
from torch import Tensor

from gantool.data.batches import Batch
from gantool.engine.devices import device_name, keep_freed_memory, pick_device, synchronize
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


def command_line(
    doc: str,
    what: Mapping[str, Callable[[argparse.Namespace, torch.device], dict[str, Any]]],
    more: Callable[[argparse.ArgumentParser], None],
    *,
    rounds: int,
) -> None:
    """Ask what is to be timed and how, do it, and write what was found as JSON, with machine and date."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("what", choices=list(what))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--processor-time", action="store_true", help="seconds of the processor, where other programs run; one thread"
    )
    parser.add_argument("--json", type=Path)
    more(parser)
    args = parser.parse_args()
    device = pick_device(args.device)
    print(f"{device_name(device)}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d}")
    rows = what[args.what](args, device)
    if args.json:
        given = {name: value for name, value in vars(args).items() if name != "json"}
        args.json.write_text(json.dumps({**machine(device), **given, "rows": rows}, indent=1) + "\n")
