"""Seconds per iteration of ConSinGAN's `paper` recipe: a plain loop against gantool, stage by stage.

    python benchmarks/consingan_speed.py [--device cuda] [--rounds 3] [--stages 0-5] [--json FILE]

The baseline does the work in the reference's order: three fakes an iteration from the same noise, separate critic
calls for real, fake and mixture, autograd's double backward for the penalty, gradients for the idle head through
all frozen stages and for the critic in the generator's step, PyTorch's own bicubic, three Adam steps. Both
start from the same weights; they are timed in one process, alternating, and the best round of each counts.
Picture: 167x250 (scikit-image's `coffee`, CC0), stages 25x38 to 167x250.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timing import Ours, compare, enter_until
from torch import Tensor

from gantool.data.single_image import SingleImage
from gantool.families.consingan.config import ConSinGANConfig
from gantool.families.consingan.model import ConSinGAN
from gantool.family import DataShape


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


def pair(source: SingleImage, device: torch.device, k: int, args: object) -> tuple[PlainLoop, Ours]:
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        model = ConSinGAN(ConSinGANConfig(), DataShape(source.source.height, source.source.width)).to(device)
        enter_until(model, source, k)
        models.append(model)
    return PlainLoop(models[0], k), Ours(models[1], k)


if __name__ == "__main__":
    compare(__doc__, 6, pair)
