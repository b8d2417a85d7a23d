"""Pictures per second of a DCGAN step at 64 px, batch 128: the plain loop that everyone starts from against gantool.

    python benchmarks/dcgan_speed.py [--device cuda] [--batch 128] [--precision bf16] [--compile] [--json FILE]

The plain loop has the same networks and weights and does what tutorials do: loss of reals and of fakes backward one
by one, gradients of the discriminator in the generator's update, too, PyTorch's default Adam, every loss read with
.item(), sigmoid and binary cross-entropy. gantool's is its own train step as `gantool train dcgan --preset examples`
runs it. Both are fed from memory with the same pictures, in one process, in turns, and the best round of each counts.
How fast pictures come from files is the matter of benchmarks/loader_speed.py.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
from timing import machine, seconds
from torch import Tensor, nn

from gantool.data.batches import Batch
from gantool.engine.devices import device_name, keep_freed_memory, pick_device
from gantool.engine.model import Context, GanModel
from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.model import DCGAN
from gantool.family import DataShape


class PlainLoop:
    """What a tutorial does, with Adam at 2e-4 and 0.5."""

    def __init__(self, g: nn.Module, d: nn.Module, nz: int, reals: list[Tensor]) -> None:
        self.g, self.d, self.nz, self.reals = g, d, nz, reals
        self.opt_g = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.opt_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.criterion, self.done = nn.BCELoss(), 0

    def real(self) -> Tensor:
        self.done += 1
        return self.reals[(self.done - 1) % len(self.reals)]

    def fakes(self, count: int) -> Tensor:
        drawn: Tensor = self.g(torch.randn(count, self.nz, device=self.reals[0].device))
        return drawn

    def again(self, fake: Tensor) -> Tensor:
        """What the generator learns from."""
        return fake

    def step(self) -> None:
        real = self.real()
        self.d.zero_grad()
        label = torch.full((len(real),), 1.0, device=real.device)
        output = torch.sigmoid(self.d(real))
        real_error = self.criterion(output, label)
        real_error.backward()
        d_x = output.mean().item()
        fake = self.fakes(len(real))
        label.fill_(0.0)
        output = torch.sigmoid(self.d(fake.detach()))
        fake_error = self.criterion(output, label)
        fake_error.backward()
        d_g_z1, error = output.mean().item(), real_error + fake_error
        self.opt_d.step()
        self.g.zero_grad()
        fake = self.again(fake)
        label.fill_(1.0)
        output = torch.sigmoid(self.d(fake))
        g_error = self.criterion(output, label)
        g_error.backward()
        self.log = (error.item(), g_error.item(), d_x, d_g_z1, output.mean().item())
        self.opt_g.step()


class Ours:
    """gantool's train step, which logs every 25th time, as a run does."""

    def __init__(self, model: GanModel, reals: list[Tensor], precision: str, index: int = 0) -> None:
        self.model, self.reals, self.done = model, reals, 0
        stage = model.stages()[index]
        model.enter(stage)
        generator = torch.Generator(model.device).manual_seed(0)
        self.ctx = Context(model.device, generator, stage, precision=precision)
        self.feed = self._feed()

    def _feed(self) -> Iterator[Batch]:
        while True:
            yield Batch(self.reals[self.done % len(self.reals)], None)

    def step(self) -> None:
        self.ctx.step, self.ctx.log = self.done, self.done % 25 == 24
        found = self.model.train_step(self.feed, self.ctx)
        self.done += 1
        if self.ctx.log:
            self.log = {name: float(value) for name, value in found.items()}


def in_turns(plain: PlainLoop, ours: Ours, device: torch.device, rounds: int, steps: int) -> dict[str, float]:
    """Seconds a step of each, the least of the rounds."""
    times: dict[str, list[float]] = {"plain": [], "gantool": []}
    for _ in range(rounds):
        keep_freed_memory(False)  # the C library's defaults, as a plain loop has them
        plain.step()
        times["plain"].append(seconds(plain.step, device, steps))
        keep_freed_memory()
        ours.step()
        times["gantool"].append(seconds(ours.step, device, steps))
    return {name: min(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, help="a round")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--compile", action="store_true", help="gantool's networks, as `gantool train --compile`")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    device = pick_device(args.device)
    torch.manual_seed(0)
    config = DCGANConfig(size=args.size, batch=args.batch)
    model = DCGAN(config, DataShape(args.size, args.size, 3, 0, 1000))
    g, d = copy.deepcopy(model.generator).to(device), copy.deepcopy(model.discriminator).to(device)
    reals = [torch.rand(args.batch, 3, args.size, args.size).mul_(2).sub_(1).to(device) for _ in range(4)]
    plain, ours = PlainLoop(g, d, config.nz, reals), Ours(model.to(device), reals, args.precision)

    if args.compile:
        model.compile_networks()
    steps = args.steps or (50 if device.type != "cpu" else 3)
    speed = {name: args.batch / least for name, least in in_turns(plain, ours, device, args.rounds, steps).items()}
    ratio = speed["gantool"] / speed["plain"]
    print(f"{device_name(device)}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d}")
    print(f"DCGAN, {args.size} px, batch {args.batch}, {args.precision}: best of {args.rounds} rounds of {steps} steps")
    for name, found in speed.items():
        print(f"{name:>8} {found:>9.1f} pictures/s")
    print(f"{'ratio':>8} {ratio:>9.2f}")
    if args.json:
        record = {**machine(device), **vars(args), "json": None, "pictures_a_second": speed, "ratio": ratio}
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
