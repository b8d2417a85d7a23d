"""Spatial GAN's networks, training and sampling.

DCGAN (Radford et al. 2016) with a field of noise in place of a vector: every layer is a convolution, so a
larger field gives a larger picture, and the discriminator gives a field of scores, one a patch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantool.data.single_image import SingleImage
from gantool.engine.model import Context, GanModel, Metrics, Stage, adam
from gantool.errors import DataError, UsageError
from gantool.family import DataShape, SampleRequest
from gantool_spatialgan.config import SpatialGANConfig

NOISE = 32  # channels of the noise
BETAS = (0.5, 0.999)  # Adam's, as in DCGAN


def make_generator(channels: int, doublings: int) -> nn.Sequential:
    """Noise (N, NOISE, h + 2, w + 2) to pictures (N, 3, s h, s w) in [-1, 1], s = 2^doublings.

    Layers enlarge and then convolve: transposed convolutions, cheaper, left a faint grid in the pictures.
    """
    inputs, outputs = NOISE, channels << (doublings - 1)
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    for _ in range(doublings - 1):
        inputs, outputs = outputs, outputs // 2
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        layers += [nn.Upsample(scale_factor=2), convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Upsample(scale_factor=2), nn.Conv2d(outputs, 3, 3, padding=1), nn.Tanh())


def make_discriminator(channels: int, doublings: int) -> nn.Sequential:
    """Pictures (N, 3, H, W) to logits (N, 1, h, w), high for what looks real; no padding anywhere."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 4, 2), nn.LeakyReLU(0.2)]
    for i in range(doublings - 2):
        convolution = nn.Conv2d(channels << i, channels << (i + 1), 4, 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(channels << (i + 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels << (doublings - 2), 1, 4, 2))


class SpatialGAN(GanModel):
    """One stage. Buffer `real`: the picture, (1, 3, H, W) in [-1, 1]."""

    def __init__(self, config: SpatialGANConfig, shape: DataShape) -> None:
        super().__init__(config, shape)
        self.config = config
        if min(shape.height, shape.width) < config.crop:
            raise DataError(
                f"The picture is {shape.width}x{shape.height} pixels, smaller than the crops of {config.crop}.",
                f"Use a larger picture, or --crop {config.sight} (and fewer --doublings below that).",
            )
        self.generator = make_generator(config.channels, config.doublings)
        self.discriminator = make_discriminator(config.channels, config.doublings)
        self.register_buffer("real", torch.zeros(1, 3, shape.height, shape.width))
        self.real: Tensor

    def stages(self) -> list[Stage]:
        """The only stage."""
        c = self.config
        pixels = float(c.batch * c.crop**2)
        cost = pixels * c.channels**2 * c.doublings  # each layer has half the sides and twice the channels
        memory = 48 * pixels * c.channels  # the layers' outputs and their gradients, roughly
        return [Stage(0, "main", c.iterations, (c.crop, c.crop), cost, memory)]

    def enter(self, stage: Stage) -> None:
        """New optimisers; the networks are there from the start."""
        for name, network in (("generator", self.generator), ("discriminator", self.discriminator)):
            self.optimizers[name] = adam([{"params": list(network.parameters()), "lr": self.config.lr}], BETAS)

    def prepare(self, stage: Stage, data: SingleImage, ctx: Context) -> None:
        """Keep the picture."""
        self.real.copy_(data.tensor())

    def train_step(self, batch: None, ctx: Context) -> Metrics:
        """One step of each network, with x crops of the picture and y of G(z).

        D: min E[-log D(x)] + E[-log(1 - D(y))]
        G: min E[-log D(y)]
        """
        self.train()  # a preview may have left batch norm in evaluation mode
        d, side, places = self.discriminator, self.config.crop, ctx.host_generator
        x = torch.cat([self.real[:, :, a : a + side, b : b + side] for a, b in self.crops(places)])
        z_shape = self.noise_shape(len(x), side + self.cell, side + self.cell)
        z = torch.randn(z_shape, generator=ctx.generator, device=ctx.device)
        # Cut from anywhere within a cell. Were it always the same place, the strides of the two networks would
        # keep step, and the generator would end in one pattern of s x s pixels, repeated (it did).
        top, left = torch.randint(self.cell, (2,), generator=places).tolist()
        y = self.generate(z, side, side, top, left)

        # softplus(-a) = -log sigmoid(a), and softplus(a) = -log(1 - sigmoid(a))
        loss_real, loss_fake = F.softplus(-d(x)).mean(), F.softplus(d(y.detach())).mean()
        ctx.minimize(self.optimizers["discriminator"], loss_real + loss_fake)

        with ctx.frozen(d):
            loss_generator = F.softplus(-d(y)).mean()
        ctx.minimize(self.optimizers["generator"], loss_generator)
        losses = {"real": loss_real, "fake": loss_fake, "generator": loss_generator}
        return {name: loss.detach() for name, loss in losses.items()}

    def crops(self, places: torch.Generator) -> list[tuple[int, int]]:
        """Top and left of random crops."""
        spare = [length - self.config.crop + 1 for length in self.real.shape[2:]]
        draws = [[int(torch.randint(n, (), generator=places)) for n in spare] for _ in range(self.config.batch)]
        return [(top, left) for top, left in draws]

    @property
    def cell(self) -> int:
        """Pixels of the picture for one of the noise, each way (s)."""
        return 1 << self.config.doublings

    def noise_shape(self, n: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Of the noise of n pictures: as many cells as cover it, and two more on each side."""
        return (n, NOISE, -(-height // self.cell) + 4, -(-width // self.cell) + 4)

    def generate(self, z: Tensor, height: int, width: int, top: int = 0, left: int = 0) -> Tensor:
        """Pictures of the noise z, without the outermost cells: all that the layers' zero padding touched."""
        top, left = top + self.cell, left + self.cell
        picture: Tensor = self.generator(z)[:, :, top : top + height, left : left + width]
        return picture

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> Tensor:
        """Textures of any size, (N, 3, H, W); batch norm uses the statistics gathered in training."""
        if request.start_scale:
            raise UsageError("Spatial GAN has one stage.", "Leave out --start-scale.")
        self.eval()
        height, width = request.size or self.real.shape[2:]
        pictures = []
        for seed in request.seeds:  # drawn on the CPU, so that a seed means the same picture on every device
            generator = torch.Generator().manual_seed(seed)
            z = torch.randn(self.noise_shape(1, height, width), generator=generator)
            pictures.append(self.generate(z.to(self.real), height, width))
        return torch.cat(pictures)
