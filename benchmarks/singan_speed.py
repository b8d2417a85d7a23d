"""Seconds per iteration of SinGAN's `paper` recipe: a plain loop against gantool, scale by scale.

    python benchmarks/singan_speed.py [--device cuda] [--rounds 3] [--stages 0-7] [--generator-loop legacy]

The baseline does the work in the reference's order: for every discriminator update the chain of earlier generators
is run again, each result going to the CPU, to 8 bits and through a NumPy resize whose weights are worked out each time;
graphs are built for fakes that are only judged; autograd's double backward for the penalty; gradients for the
discriminator in the generator's updates; before the second and third of them the fake is drawn anew (the reference's
own loop does not run on today's PyTorch). Both start from the same weights; they are timed in one process,
alternating, and the best round of each counts. Picture: 167x250 (scikit-image's `coffee`, CC0), 8 scales from 25x38.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from timing import Ours, compare, enter_until
from torch import Tensor

from gantool.data.single_image import SingleImage
from gantool.families.singan.config import SinGANConfig
from gantool.families.singan.model import SinGAN
from gantool.family import DataShape
from gantool.nn.resize import axis_taps


def resize(image: Tensor, scale: float) -> Tensor:
    """Tensor to 8 bits on the CPU, resized there axis by axis, and back."""
    levels = ((image[0].detach().permute(1, 2, 0) + 1) / 2).clamp(0, 1).cpu().numpy() * 255
    out = levels.astype(np.uint8).astype(np.float64)
    for axis in (0, 1):
        length = out.shape[axis]
        weights, index = axis_taps(length, int(np.ceil(length * scale)), scale, antialias=scale < 1)
        moved = out.swapaxes(0, axis)
        out = np.sum(moved[index.T] * weights.T[..., None, None], axis=0).swapaxes(0, axis)
    back = torch.from_numpy(np.ascontiguousarray(out.transpose(2, 0, 1)) / 255)[None].float().to(image.device)
    return ((back - 0.5) * 2).clamp(-1, 1)


class PlainLoop:
    """The reference's order of work on gantool's modules (their layers only, none of their methods)."""

    def __init__(self, model: SinGAN, k: int) -> None:
        self.gs, self.d, self.k = list(model.generators), model.discriminator, k
        for module in (*self.gs, self.d):
            module.to(memory_format=torch.contiguous_format)
        self.real = model.real_at(k).contiguous()
        self.sizes, self.factor = model.sizes, model.pyramid.factor
        self.amps = [float(a) for a in model.noise_amps]
        self.z_opt = model.z_opt.contiguous()
        self.opt_g = torch.optim.Adam(self.gs[k].parameters(), lr=5e-4, betas=(0.5, 0.999))
        self.opt_d = torch.optim.Adam(self.d.parameters(), lr=5e-4, betas=(0.5, 0.999))
        self.rec_below = self.pad(self.chain(fixed=True))

    def pad(self, x: Tensor) -> Tensor:
        return F.pad(x, (5, 5, 5, 5))

    def noise(self, k: int) -> Tensor:
        channels = 3 if k else 1
        return self.pad(torch.randn(1, channels, *self.sizes[k], device=self.real.device).expand(1, 3, -1, -1))

    def net(self, module: torch.nn.Module, x: Tensor) -> Tensor:
        for block in (module.head, *module.body):
            x = F.leaky_relu(block.norm(block.conv(x)), 0.2, inplace=True)
        return module.tail(x)

    def generate(self, k: int, noise: Tensor, below: Tensor) -> Tensor:
        out = self.net(self.gs[k], noise + below)
        return out + below[:, :, 5:-5, 5:-5]

    def chain(self, fixed: bool = False) -> Tensor:
        x = torch.zeros(1, 3, *self.sizes[0], device=self.real.device)
        for i in range(self.k):
            below = self.pad(x[:, :, : self.sizes[i][0], : self.sizes[i][1]])
            noise = (self.z_opt if i == 0 else torch.zeros_like(below)) if fixed else self.noise(i)
            x = resize(self.generate(i, (self.amps[i] * noise).detach(), below), 1 / self.factor)
            x = x[:, :, : self.sizes[i + 1][0], : self.sizes[i + 1][1]]
        return x

    def penalty(self, fake: Tensor) -> Tensor:
        mix = torch.rand(1, 1, device=fake.device)
        x = (mix * self.real + (1 - mix) * fake).detach().requires_grad_(True)
        scores = self.net(self.d, x)
        (gradient,) = torch.autograd.grad(
            scores, x, torch.ones_like(scores), create_graph=True, retain_graph=True, only_inputs=True
        )
        return ((gradient.norm(2, dim=1) - 1) ** 2).mean() * 0.1

    def step(self) -> None:
        k = self.k
        noise = self.amps[k] * self.noise(k)
        for _ in range(3):
            self.d.zero_grad()
            (-self.net(self.d, self.real).mean()).backward(retain_graph=True)
            below = self.pad(self.chain())
            fake = self.generate(k, noise.detach(), below)
            self.net(self.d, fake.detach()).mean().backward(retain_graph=True)
            self.penalty(fake).backward()
            self.opt_d.step()
        for j in range(3):
            self.gs[k].zero_grad()
            if j:
                fake = self.generate(k, noise.detach(), below)
            (-self.net(self.d, fake).mean()).backward(retain_graph=True)
            z = self.amps[k] * (self.z_opt if k == 0 else torch.zeros_like(below)) + 0
            error = 10 * F.mse_loss(self.generate(k, z.detach(), self.rec_below), self.real)
            error.backward(retain_graph=True)
            self.opt_g.step()


def pair(source: SingleImage, device: torch.device, k: int, args: argparse.Namespace) -> tuple[PlainLoop, Ours]:
    models = []
    for loop in ("recompute", args.generator_loop):
        torch.manual_seed(0)
        config = SinGANConfig(generator_loop=loop)
        model = SinGAN(config, DataShape(source.source.height, source.source.width)).to(device)
        enter_until(model, source, k)
        models.append(model)
    return PlainLoop(models[0], k), Ours(models[1], k)


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generator-loop", default="recompute", choices=["recompute", "legacy"])


if __name__ == "__main__":
    compare(__doc__, 8, pair, more)
