"""Speed of pix2pix: training steps, and pictures translated, a plain script against gantool.

    python benchmarks/pix2pix_speed.py training [--preset port] [--set size=128 ...] [--compile] [--precision bf16]
    python benchmarks/pix2pix_speed.py translate [--preset port] [--pictures 16]

`training` times an iteration: U-Net and PatchGAN, Adam. The plain script has the same networks, weights and recipe and
does what scripts do: PyTorch's layers as they are, pairs cut out before and kept as tensors, `nn.Dropout`'s numbers,
Adam as PyTorch has it, every loss read with .item(). "loader" is gantool's step with pairs decoded, resized, cropped
and mirrored while it trains. `translate` times a folder of photographs of 512x512, each read, resized, translated
as the authors test (one at a time, batch statistics, dropout) and written as PNG; gantool does it by
`gantool.tasks.translate`. Everything runs in one process, in turns, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor, nn
from turns import Ours, Ways, best, command_line, in_circles

from gantool import registry
from gantool.families.pix2pix.config import Pix2PixConfig
from gantool.families.pix2pix.model import Pix2Pix
from gantool.family import DataShape
from gantool.nn.columns import DoublingConv2d
from gantool.nn.translator import Translator
from gantool.options import parse_sets, resolve
from gantool.tasks.training_data import feed, open_data
from gantool.tasks.translate import translate

KEPT = 16  # batches that the plain script holds


def with_dropout(network: Translator, x: Tensor) -> Tensor:
    """What layers of nn.Dropout in the network would do: fresh numbers each time."""
    shapes = network.noise_shapes(*x.shape[-2:])
    return network(x, [torch.rand(len(x), *shape, device=x.device) for shape in shapes])


def plainly(network: Translator) -> Translator:
    """A copy of layers as PyTorch has them: sides doubled by nn.Upsample before a convolution, where that is meant."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, DoublingConv2d):
                plain = nn.Conv2d(child.in_channels, child.out_channels, 3, 1, 1, bias=child.bias is not None)
                with torch.no_grad():
                    plain.weight.copy_(child.weight.transpose(0, 1).flip(2, 3))
                    if child.bias is not None and plain.bias is not None:
                        plain.bias.copy_(child.bias)
                setattr(module, name, nn.Sequential(nn.Upsample(scale_factor=2), plain.to(child.weight.device)))
    return network


class PlainScript:
    """D on the fake and on the true pair, its step; then G through D, and L1: as everybody writes it."""

    def __init__(self, model: Pix2Pix, batches: list[tuple[Tensor, Tensor]]) -> None:
        self.config, self.batches, self.done = model.config, batches, 0
        self.g, self.d = plainly(model.generator), copy.deepcopy(model.discriminator)
        betas = (model.config.beta1, model.config.beta2)
        self.opt_g = torch.optim.Adam(self.g.parameters(), lr=model.config.lr_g, betas=betas)
        self.opt_d = torch.optim.Adam(self.d.parameters(), lr=model.config.lr_d, betas=betas)
        self.bce = nn.BCEWithLogitsLoss()

    def step(self) -> None:
        y, x = self.batches[self.done % len(self.batches)]
        fake = with_dropout(self.g, x)
        for p in self.d.parameters():
            p.requires_grad_(True)
        self.opt_d.zero_grad()
        on_fake = self.d(torch.cat([x, fake.detach()], 1))
        d_fake = self.bce(on_fake, torch.zeros_like(on_fake))
        on_real = self.d(torch.cat([x, y], 1))
        d_real = self.bce(on_real, torch.ones_like(on_real))
        ((d_fake + d_real) * 0.5).backward()
        self.opt_d.step()
        for p in self.d.parameters():
            p.requires_grad_(False)
        self.opt_g.zero_grad()
        judged = self.d(torch.cat([x, fake], 1))
        gan, l1 = self.bce(judged, torch.ones_like(judged)), self.config.l1 * F.l1_loss(fake, y)
        (gan + l1).backward()
        self.opt_g.step()
        self.log = [loss.item() for loss in (d_fake, d_real, gan, l1)]
        self.done += 1


def make_pairs(folder: Path, count: int = 12, side: int = 512) -> Path:
    """Soft colour patches with a little grain, and their negatives to the right of them, as JPEG."""
    random = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        soft = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2)))
        noisy = (soft + random.normal(0, 4, soft.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(np.concatenate([noisy, 255 - noisy], 1)).save(folder / f"{i}.jpg", quality=92)
    return folder


def config_of(args: argparse.Namespace) -> Pix2PixConfig:
    spec = registry.get("pix2pix")
    values = (("preset", spec.presets[args.preset].values), ("--set", parse_sets(args.set)))
    config: Pix2PixConfig = resolve(spec.config, *values).config
    return config


def training(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    print(f"pix2pix --preset {args.preset} {' '.join(args.set)}")
    spec, config = registry.get("pix2pix"), config_of(args)
    shape = DataShape(config.size, config.size, count=400, given=3)
    with tempfile.TemporaryDirectory() as temporary:
        data = open_data(spec, config, make_pairs(Path(temporary)), "white", 0)
        source = feed(spec, data, device)
        batches = [(batch.images.clone(), batch.given.clone()) for batch, _ in zip(source, range(KEPT), strict=False)]
        torch.manual_seed(0)
        models = [Pix2Pix(config, shape).to(device) for _ in range(2)]
        plain = PlainScript(models[0], batches)
        ours, loaded = Ours(models[0], in_circles(batches)), Ours(models[1], iter(source))
        for run in (ours, loaded):
            run.ctx.precision = args.precision
            if args.compile:
                run.model.compile_networks()
        ways: Ways = {"plain": plain.step, "gantool": ours.step, "loader": loaded.step}
        found = {name: 1 / spent for name, spent in best(ways, device, args, args.steps).items()}
        data.close()
    print(f"batches of {config.batch} at {config.size} px; steps a second, {torch.get_num_threads()} threads:")
    return report(found)


def translating(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    print(f"pix2pix --preset {args.preset} {' '.join(args.set)}")
    config = config_of(args)
    torch.manual_seed(0)
    model = Pix2Pix(config, DataShape(config.size, config.size, given=3)).to(device)
    network = plainly(model.generator).train()
    with tempfile.TemporaryDirectory() as temporary:
        folder, to = Path(temporary, "in"), Path(temporary, "out")
        folder.mkdir()
        for file in make_pairs(folder, args.pictures).iterdir():
            with Image.open(file) as pair:
                left = pair.crop((0, 0, pair.width // 2, pair.height))
            left.save(file, quality=92)

        def emptied() -> Path:
            shutil.rmtree(to, ignore_errors=True)
            return to

        @torch.no_grad()
        def plain() -> None:
            emptied().mkdir()
            for file in sorted(folder.iterdir()):
                with Image.open(file) as picture:
                    small = picture.convert("RGB").resize((config.size, config.size), Image.Resampling.BICUBIC)
                x = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].to(device).float() / 127.5 - 1
                y = with_dropout(network, x)
                pixels = ((y[0] + 1) * 127.5).clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
                Image.fromarray(pixels).save(to / f"{file.stem}.png")

        def ours() -> None:
            translate(model, folder, emptied())

        spent = best({"plain": plain, "gantool": ours}, device, args, 1)
    print(f"{args.pictures} JPEGs of 512x512 at {config.size} px; pictures a second:")
    return report({name: args.pictures / seconds for name, seconds in spent.items()})


def report(found: dict[str, float]) -> dict[str, Any]:
    ratios = {name: speed / found["plain"] for name, speed in found.items() if name != "plain"}
    for name, speed in found.items():
        print(f"{name:>10}{speed:>10.3f}" + (f"{ratios[name]:>8.2f}" if name in ratios else ""), flush=True)
    return {"a_second": found, "ratios": ratios}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="port")
    parser.add_argument("--steps", type=int, default=4, help="a round")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of gantool's step")
    parser.add_argument("--compile", action="store_true", help="gantool's networks")


if __name__ == "__main__":
    command_line(__doc__, {"training": training, "translate": translating}, arguments, rounds=4)
