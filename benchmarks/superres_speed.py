"""Speed of networks that enlarge: pictures through a trained one, and training steps, plain loops against gantool.

    python benchmarks/superres_speed.py inference [--networks srresnet,msrresnet] [--side 192] [--json FILE]
    python benchmarks/superres_speed.py training [--preset fast] [--set blocks=4 ...] [--json FILE]

`inference` takes a picture of 8 bits and gives the enlarged one, of 8 bits. "plain" does what everyone writes: the
whole picture as a float tensor through network.eval() under torch.no_grad(), then clamp, round and back. "onnxruntime"
runs the file that `gantool export` writes, on as many threads. "gantool" is what `gantool superres` does. `training`
times a step of pre-training and one of the game. The plain script has the same networks, weights and recipe and does
what scripts do: patches cut out before and kept as tensors, Adam as PyTorch has it, the discriminator's gradients in
the generator's update, too, every loss read with .item(). Everything runs in one process, in turns, and the best round
of each counts. "loader" is gantool's step with patches cut, made small and turned from whole pictures while it trains.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor, nn
from turns import Ours, Ways, best, command_line, in_circles

from gantool import registry
from gantool.families.srgan.config import SRGANConfig
from gantool.families.srgan.model import GAME, SRGAN, rate
from gantool.family import DataShape
from gantool.nn.enlarger import Enlarger
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet
from gantool.options import parse_sets, resolve
from gantool.tasks.exporters import enlarges, onnx_bytes
from gantool.tasks.superres_tiles import Tiler
from gantool.tasks.training_data import feed, open_data

NETWORKS: dict[str, Callable[[], Enlarger]] = {"srresnet": SRResNet, "msrresnet": MSRResNet, "rrdb": RRDBNet}
KEPT = 16  # batches that the plain script holds


# --- inference --------------------------------------------------------------------------------------------------


def lived_in(network: Enlarger) -> Enlarger:
    """With statistics of batch norm as training leaves them."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return network.eval()


def bytes_of(image: Tensor) -> np.ndarray[Any, Any]:
    """(1, 3, H, W) in [0, 1] to (H, W, 3) uint8."""
    return image[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()


def inference_ways(network: Enlarger, pixels: np.ndarray[Any, Any], device: torch.device) -> Ways:
    network.to(device)
    tiler = Tiler(network, device)
    out = np.empty((pixels.shape[0] * network.factor, pixels.shape[1] * network.factor, 3), np.uint8)

    @torch.no_grad()
    def plain() -> np.ndarray[Any, Any]:
        x = torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None].float() / 255
        return bytes_of(network(x.contiguous()))

    def ours() -> np.ndarray[Any, Any]:
        tiler.enlarge(pixels, out)
        return out

    ways: Ways = {"plain": plain, "gantool": ours}
    if device.type == "cpu":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        content = onnx_bytes(enlarges(network), {})
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

        def onnx() -> np.ndarray[Any, Any]:
            x = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
            return bytes_of(torch.from_numpy(session.run(None, {"image": x})[0]))

        ways["onnxruntime"] = onnx
    return ways


def inference(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (args.side, args.side, 3), dtype=np.uint8)
    rows = {}
    print(
        f"{args.side}x{args.side} pixels enlarged 4 times, {torch.get_num_threads()} threads; megapixels a second made:"
    )
    print(
        f"{'':>12}{'plain':>10}{'onnxruntime':>13}{'gantool':>10}{'over plain':>12}{'over onnx':>11}{'differ by':>11}"
    )
    for name in args.networks.split(","):
        network = lived_in(NETWORKS[name]())
        ways = inference_ways(network, pixels, device)
        results = [way().astype(int).copy() for way in ways.values()]
        differ = max(int(np.abs(result - results[0]).max()) for result in results)
        made = pixels.size / 3 * network.factor**2 / 1e6
        speed = {way: made / spent for way, spent in best(ways, device, args, 1).items()}
        over = {way: speed["gantool"] / speed[way] for way in speed if way != "gantool"}
        onnx, over_onnx = speed.get("onnxruntime", float("nan")), over.get("onnxruntime", float("nan"))
        print(
            f"{name:>12}{speed['plain']:>10.3f}{onnx:>13.3f}{speed['gantool']:>10.3f}{over['plain']:>12.2f}"
            f"{over_onnx:>11.2f}{differ:>11}",
            flush=True,
        )
        rows[name] = {"megapixels_a_second": speed, "ratios": over, "levels_apart": differ}
    return rows


# --- training ---------------------------------------------------------------------------------------------------


class PlainScript:
    """What a script does, by the same recipe: MSE; or BCE, MSE of pixels as content, an average of the weights."""

    def __init__(self, model: SRGAN, batches: list[tuple[Tensor, Tensor]], game: bool) -> None:
        self.config, self.batches, self.game, self.done = model.config, batches, game, 0
        self.g, self.d = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
        self.average = copy.deepcopy(self.g) if model.config.ema else None
        betas = (model.config.beta1, model.config.beta2)
        self.lr = model.config.lr_g if game else model.config.lr_pretrain
        self.opt_g = torch.optim.Adam(self.g.parameters(), lr=self.lr, betas=betas)
        self.opt_d = torch.optim.Adam(self.d.parameters(), lr=model.config.lr_d, betas=betas)
        self.bce = nn.BCEWithLogitsLoss()

    def step(self) -> None:
        real, small = self.batches[self.done % len(self.batches)]
        decay, steps = self.config.decay_pretrain, self.config.pretrain_steps
        if self.game:
            decay, steps = self.config.decay, self.config.steps
        for optimizer in (self.opt_g, self.opt_d):
            for group in optimizer.param_groups:
                group["lr"] = self.lr * rate(decay, self.done / steps)
        fake = self.g((small + 1) / 2) * 2 - 1
        log = []
        if self.game:
            self.opt_d.zero_grad()
            on_real, on_fake = self.d(real), self.d(fake.detach())
            d_loss = self.bce(on_real, torch.ones_like(on_real)) + self.bce(on_fake, torch.zeros_like(on_fake))
            d_loss.backward()
            self.opt_d.step()
            log += [d_loss.item(), (on_real > 0).float().mean().item(), (on_fake < 0).float().mean().item()]
        self.opt_g.zero_grad()
        g_loss = F.mse_loss(fake, real)
        if self.game:
            judged = self.d(fake)
            g_loss = g_loss + self.config.adversarial * self.bce(judged, torch.ones_like(judged))
        g_loss.backward()
        self.opt_g.step()
        self.log = [*log, g_loss.item()]
        if self.average is not None:
            with torch.no_grad():
                for mean, value in zip(self.average.parameters(), self.g.parameters(), strict=True):
                    mean.mul_(self.config.ema).add_(value, alpha=1 - self.config.ema)
        self.done += 1


def make_pictures(folder: Path, count: int = 12) -> Path:
    """Soft colour patches with a little grain, of 640x480."""
    random = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        soft = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2)))
        Image.fromarray((soft + random.normal(0, 4, soft.shape)).clip(0, 255).astype(np.uint8)).save(
            folder / f"{i}.png"
        )
    return folder


def training(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    spec = registry.get("srgan")
    values = (("preset", spec.presets[args.preset].values), ("--set", parse_sets(args.set)))
    config: SRGANConfig = resolve(spec.config, *values).config
    rows = {}
    print(f"srgan --preset {args.preset} {' '.join(args.set)}: batches of {config.batch}, patches of {config.size};")
    print(f"steps a second, {torch.get_num_threads()} threads:")
    print(f"{'':>14}{'plain':>10}{'gantool':>10}{'ratio':>8}{'loader':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        data = open_data(spec, config, make_pictures(Path(temporary)), "white", 0)
        source = feed(spec, data, device)
        batches = [(batch.images.clone(), batch.given.clone()) for batch, _ in zip(source, range(KEPT), strict=False)]
        torch.manual_seed(0)
        for index, stage in enumerate(SRGAN(config, DataShape(config.size, config.size)).stages()):
            models = [SRGAN(config, DataShape(config.size, config.size)).to(device) for _ in range(2)]
            plain = PlainScript(models[0], batches, stage.name == GAME)
            ours, loaded = Ours(models[0], in_circles(batches), index), Ours(models[1], iter(source), index)
            steps = {"plain": plain.step, "gantool": ours.step, "loader": loaded.step}
            found = {name: 1 / spent for name, spent in best(steps, device, args, args.steps).items()}
            ratios = {name: found[name] / found["plain"] for name in ("gantool", "loader")}
            print(
                f"{stage.name:>14}{found['plain']:>10.2f}{found['gantool']:>10.2f}{ratios['gantool']:>8.2f}"
                f"{found['loader']:>10.2f}{ratios['loader']:>8.2f}",
                flush=True,
            )
            rows[stage.name] = {"steps_a_second": found, "ratios": ratios}
        data.close()
    return rows


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--networks", default="srresnet,msrresnet", help="srresnet, msrresnet, rrdb")
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, default=8, help="a round")


if __name__ == "__main__":
    command_line(__doc__, {"inference": inference, "training": training}, arguments, rounds=5)
