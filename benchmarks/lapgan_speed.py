"""Pictures per second of a LAPGAN step, level by level: a plain PyTorch loop of the published code against gantool.

    python benchmarks/lapgan_speed.py [--preset eyescream] [--device cuda] [--batch 64] [--precision bf16] [--json FILE]

The plain loop has the same networks and weights and does what ports of the code do: real pictures reduced and enlarged
for each step, losses of reals and of fakes backward one by one, gradients of the discriminator in the generator's
update, too, fakes drawn anew for it, every loss read with .item(), sigmoid and binary cross-entropy, plain SGD.
gantool's is its own train step. Both are fed from memory with the same pictures, in one process, in turns, and the
best round of each counts.
"""

from __future__ import annotations

import argparse
import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.nn.functional as F
from dcgan_speed import Ours, PlainLoop, in_turns
from timing import machine
from torch import Tensor, nn

from gantool.engine.devices import device_name, pick_device
from gantool.families.lapgan.config import PRESETS, LAPGANConfig
from gantool.families.lapgan.level import Level
from gantool.families.lapgan.model import LAPGAN
from gantool.family import DataShape
from gantool.options import resolve


class PlainLevel(PlainLoop):
    """One level of the published code's training."""

    def __init__(self, g: nn.Module, d: nn.Module, nz: int, reals: list[Tensor], sides: list[int]) -> None:
        super().__init__(g, d, nz, reals)
        self.opt_g = torch.optim.SGD(g.parameters(), lr=0.02, momentum=0.5)
        self.opt_d = torch.optim.SGD(d.parameters(), lr=0.02, momentum=0.5)
        self.sides = sides  # from the finest to this level, and the one below it, if there is one

    def real(self) -> Tensor:
        images, *coarser = super().real(), *self.sides
        pyramid = []
        for side in coarser:
            images = F.interpolate(images, size=(side, side), mode="area")
            pyramid.append(images)
        if self.nz:
            return pyramid[-1]
        side = self.sides[-2]
        self.coarse = F.interpolate(pyramid[-1], size=(side, side), mode="bilinear", align_corners=True)
        return pyramid[-2]

    def fakes(self, count: int) -> Tensor:
        if self.nz:
            return self.g(2 * torch.rand(count, self.nz, device=self.reals[0].device) - 1, None)
        noise = 2 * torch.rand_like(self.coarse[:, :1]) - 1
        return self.coarse + self.g(noise, self.coarse, None)

    def again(self, fake: Tensor) -> Tensor:
        return self.fakes(len(fake))


class Judge(nn.Module):
    """The discriminator, which is told no class."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.network(x, None)
        return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="eyescream", choices=[name for name in PRESETS if name != "fast"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, help="a round")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    device = pick_device(args.device)
    torch.manual_seed(0)
    config = resolve(LAPGANConfig, (args.preset, PRESETS[args.preset].values), ("flag", {"batch": args.batch})).config
    model = LAPGAN(config, DataShape(config.size, config.size, 3, 0, 1000)).to(device)
    reals = [torch.rand(args.batch, 3, config.size, config.size).mul_(2).sub_(1).to(device) for _ in range(4)]
    steps = args.steps or (50 if device.type != "cpu" else 3)
    print(f"{device_name(device)}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d}")
    print(f"LAPGAN {args.preset}, batch {args.batch}, {args.precision}: best of {args.rounds} rounds of {steps} steps")
    print("   level      plain    gantool   ratio   (pictures/s)")
    rows = []
    for index, level in enumerate(model.levels):
        assert isinstance(level, Level)
        below = max(index - 1, 0)
        sides = model.level_sides[below:][::-1]
        nz = 0 if index else config.nz
        plain = PlainLevel(copy.deepcopy(level.generator), Judge(copy.deepcopy(level.discriminator)), nz, reals, sides)
        ours = Ours(model, reals, args.precision, index)
        speed = {name: args.batch / least for name, least in in_turns(plain, ours, device, args.rounds, steps).items()}
        ratio = speed["gantool"] / speed["plain"]
        side = model.level_sides[index]
        print(f"{side:5} px {speed['plain']:10.1f} {speed['gantool']:10.1f} {ratio:7.2f}")
        rows.append({"side": side, "pictures_a_second": speed, "ratio": ratio})
    if args.json:
        record = {**machine(device), **vars(args), "json": None, "levels": rows}
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
