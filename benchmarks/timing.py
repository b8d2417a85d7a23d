"""What the speed benchmarks share: a plain loop and gantool's step, timed alternately, scale by scale."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import skimage.data
import torch

from gantool.data.image import load_picture
from gantool.data.single_image import SingleImage
from gantool.engine.devices import device_name, keep_freed_memory, pick_device, synchronize
from gantool.engine.model import Context, GanModel


class Steps(Protocol):
    """Something that trains, a step at a time."""

    def step(self) -> None: ...


class Ours:
    """gantool's train step."""

    def __init__(self, model: GanModel, k: int) -> None:
        self.model = model
        generator = torch.Generator(model.device).manual_seed(0)
        self.ctx = Context(model.device, generator, model.stages()[k])

    def step(self) -> None:
        self.model.train_step(None, self.ctx)


def enter_until(model: GanModel, source: SingleImage, k: int) -> None:
    """Build a model up to stage k, untrained, with noise amplitudes as measured."""
    generator = torch.Generator(model.device).manual_seed(0)
    for stage in model.stages()[: k + 1]:
        model.enter(stage)
        model.prepare(stage, source, Context(model.device, generator, stage))


def machine(device: torch.device) -> dict[str, str]:
    """When and where something was timed, for a file of results."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "device": device_name(device),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }


def seconds(step: Callable[[], None], device: torch.device, n: int) -> float:
    synchronize(device)
    start = time.perf_counter()
    for _ in range(n):
        step()
    synchronize(device)
    return (time.perf_counter() - start) / n


def compare(
    doc: str, stages: int, pair: Callable[[SingleImage, torch.device, int, argparse.Namespace], tuple[Steps, Steps]],
    more: Callable[[argparse.ArgumentParser], None] = lambda parser: None, iterations: int = 2000,
) -> None:  # fmt: skip
    """The command line: `pair(source, device, k, args)` gives the plain loop and gantool's step of stage k."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", default=f"0-{stages - 1}")
    parser.add_argument("--json", type=Path)
    more(parser)
    args = parser.parse_args()
    device = pick_device(args.device)
    low, _, high = args.stages.partition("-")
    source = SingleImage(load_picture(Path(skimage.data.__file__).parent / "coffee.png"))

    print(f"{device_name(device)}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d}")
    print(f"{'stage':>5} {'size':>9} {'plain s':>9} {'gantool s':>10} {'ratio':>6}")
    rows = []
    for k in range(int(low), int(high or low) + 1):
        plain, ours = pair(source, device, k, args)
        keep_freed_memory(False)  # the C library's defaults, as a plain loop has them
        plain.step()
        keep_freed_memory()
        n = 20 if device.type != "cpu" else max(1, min(5, int(2 / (seconds(ours.step, device, 1) + 1e-9))))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(args.rounds):
            keep_freed_memory(False)
            times[0].append(seconds(plain.step, device, n))
            keep_freed_memory()
            times[1].append(seconds(ours.step, device, n))
        a, b = min(times[0]), min(times[1])
        h, w = ours.model.stages()[k].size  # type: ignore[attr-defined]
        print(f"{k:>5} {f'{h}x{w}':>9} {a:>9.4f} {b:>10.4f} {a / b:>6.2f}", flush=True)
        rows.append({"stage": k, "size": [h, w], "plain": a, "gantool": b, "ratio": a / b})
    total = [sum(r[key] for r in rows) for key in ("plain", "gantool")]
    print(f"total {'':>9} {total[0]:>9.4f} {total[1]:>10.4f} {total[0] / total[1]:>6.2f}")
    minutes = [seconds_a_step * iterations / 60 for seconds_a_step in total]
    print(f"a run of {iterations} iterations a stage: {minutes[0]:.0f} min plain, {minutes[1]:.0f} min gantool")
    if args.json:
        record = machine(device) | {"rows": rows, "total_ratio": total[0] / total[1]}
        args.json.write_text(json.dumps(record, indent=1) + "\n")
