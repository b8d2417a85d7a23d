"""Seconds per iteration of ConSinGAN's `paper` recipe: a plain loop against gantool, stage by stage.

    python benchmarks/consingan_speed.py [--device cuda] [--rounds 3] [--stages 0-5] [--json FILE]

The baseline does the work in the reference's order: three fakes an iteration from the same noise, separate critic
calls for real, fake and mixture, autograd's double backward for the penalty, gradients for the idle head through
all frozen stages and for the critic in the generator's step, PyTorch's own bicubic, three Adam steps. Both
start from the same weights; they are timed in one process, alternating, and the best round of each counts.
Picture: 167x250 (scikit-image's `coffee`, CC0), stages 25x38 to 167x250.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.data.image import load_picture
from gantool.data.single_image import SingleImage
from gantool.engine.devices import device_name, keep_freed_memory, pick_device, synchronize
from gantool.engine.model import Context, DataShape
from gantool.families.consingan.config import ConSinGANConfig
from gantool.families.consingan.model import ConSinGAN


class PlainLoop:
    """The reference's order of work on gantool's modules (their parameters only, none of their methods)."""

    def __init__(self, model: ConSinGAN, k: int) -> None:
        self.g, self.d, self.k = model.generator, model.critic, k
        self.sizes = model.sizes[: k + 1]
        self.real = model.real_at(k).contiguous()
        self.amps = [float(a) for a in model.noise_amps[: k + 1]]
        self.fixed = [model.fixed_noise(i).contiguous() for i in range(k + 1)]
        self.g.to(memory_format=torch.contiguous_format)
        self.d.to(memory_format=torch.contiguous_format)
        first = max(0, k - 2)
        for i, body in enumerate(self.g.body):
            body.requires_grad_(i >= first)
        self.g.head.requires_grad_(True)  # left on by the reference even when no optimiser holds it
        self.g.tail.requires_grad_(True)
        groups = [
            {"params": list(self.g.body[i].parameters()), "lr": 5e-4 * 0.1 ** (k - i)} for i in range(first, k + 1)
        ]
        if k < 3:
            groups.append({"params": list(self.g.head.parameters()), "lr": 5e-4 * 0.1**k})
        groups.append({"params": list(self.g.tail.parameters()), "lr": 5e-4})
        self.opt_g = torch.optim.Adam(groups, betas=(0.5, 0.999))
        self.opt_d = torch.optim.Adam(self.d.parameters(), lr=5e-4, betas=(0.5, 0.999))

    def generate(self, noises: list[Tensor]) -> Tensor:
        x = self.g.head(F.pad(noises[0], (1, 1, 1, 1)))
        x = F.interpolate(x, [s + 2 for s in x.shape[2:]], mode="bicubic", align_corners=True)
        x = self.g.body[0](F.pad(x, (2, 2, 2, 2)))
        for i in range(1, self.k + 1):
            h, w = self.sizes[i]
            up = F.interpolate(x, (h, w), mode="bicubic", align_corners=True)
            wide = F.interpolate(x, (h + 6, w + 6), mode="bicubic", align_corners=True)
            x = self.g.body[i](wide + noises[i] * self.amps[i]) + up
        return self.g.tail(F.pad(x, (1, 1, 1, 1)))

    def penalty(self, fake: Tensor) -> Tensor:
        mix = torch.rand(1, 1, device=fake.device)
        x = (mix * self.real + (1 - mix) * fake).detach().requires_grad_(True)
        scores = self.d(x)
        (gradient,) = torch.autograd.grad(
            scores, x, torch.ones_like(scores), create_graph=True, retain_graph=True, only_inputs=True
        )
        return ((gradient.norm(2, dim=1) - 1) ** 2).mean() * 0.1

    def step(self) -> None:
        noises = [torch.randn_like(z) for z in self.fixed]
        for _ in range(3):
            self.d.zero_grad()
            loss_real = -self.d(self.real).mean()
            fake = self.generate(noises)
            loss_fake = self.d(fake.detach()).mean()
            (loss_real + loss_fake + self.penalty(fake.detach())).backward()
            self.opt_d.step()
        self.g.zero_grad()
        adversarial = -self.d(fake).mean()
        error = 10 * F.mse_loss(self.generate(self.fixed), self.real)
        (adversarial + error).backward()
        for _ in range(3):
            self.opt_g.step()


class Ours:
    """gantool's train step."""

    def __init__(self, model: ConSinGAN, k: int, device: torch.device) -> None:
        self.model = model
        self.ctx = Context(device, torch.Generator(device).manual_seed(0), model.stages()[k])

    def step(self) -> None:
        self.model.train_step(None, self.ctx)


def build(source: SingleImage, device: torch.device, k: int) -> ConSinGAN:
    torch.manual_seed(0)
    model = ConSinGAN(ConSinGANConfig(), DataShape(source.source.height, source.source.width)).to(device)
    generator = torch.Generator(device).manual_seed(0)
    for stage in model.stages()[: k + 1]:
        model.enter(stage)
        model.prepare(stage, source, Context(device, generator, stage))
    return model


def seconds(step: Any, device: torch.device, n: int) -> float:
    synchronize(device)
    start = time.perf_counter()
    for _ in range(n):
        step()
    synchronize(device)
    return (time.perf_counter() - start) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", default="0-5")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    device = pick_device(args.device)
    low, _, high = args.stages.partition("-")
    path = Path(skimage.data.__file__).parent / "coffee.png"
    source = SingleImage(load_picture(path))

    print(f"{device_name(device)}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d}")
    print(f"{'stage':>5} {'size':>9} {'plain s':>9} {'gantool s':>10} {'ratio':>6}")
    rows = []
    for k in range(int(low), int(high or low) + 1):
        plain, ours = PlainLoop(build(source, device, k), k), Ours(build(source, device, k), k, device)
        n = 1 if device.type == "cpu" and k > 3 else 3 if device.type == "cpu" else 20
        plain.step(), ours.step()
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(args.rounds):
            keep_freed_memory(False)  # the C library's defaults, as a plain loop has them
            times[0].append(seconds(plain.step, device, n))
            keep_freed_memory()
            times[1].append(seconds(ours.step, device, n))
        a, b = min(times[0]), min(times[1])
        h, w = ours.model.sizes[k]
        print(f"{k:>5} {f'{h}x{w}':>9} {a:>9.4f} {b:>10.4f} {a / b:>6.2f}", flush=True)
        rows.append({"stage": k, "size": [h, w], "plain": a, "gantool": b, "ratio": a / b})
    total = [sum(r[key] for r in rows) for key in ("plain", "gantool")]
    print(f"total {'':>9} {total[0]:>9.4f} {total[1]:>10.4f} {total[0] / total[1]:>6.2f}")
    minutes = [seconds_a_step * 2000 / 60 for seconds_a_step in total]
    print(f"a run of 2000 iterations a stage: {minutes[0]:.0f} min plain, {minutes[1]:.0f} min gantool")
    if args.json:
        record = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "device": device_name(device),
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "rows": rows,
            "total_ratio": total[0] / total[1],
        }
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
