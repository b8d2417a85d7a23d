"""The two networks of the first GAN: fully connected (Goodfellow et al. 2014, section 5)."""

from __future__ import annotations

from torch import Tensor, nn

from gantool.families.gan.config import GANConfig
from gantool.family import DataShape
from gantool.nn.mlp import MinibatchStdOfVectors, hidden_layers, init_uniform, squashed


class Generator(nn.Module):
    """z (N, nz) to pictures (N, C, H, W); labels are ignored.

    They are in [-1, 1], unless the output is linear. The paper sets the last biases so that the first pictures have
    the mean of the data; here they start at 0.
    """

    def __init__(self, config: GANConfig, shape: DataShape) -> None:
        super().__init__()
        self.shape = (shape.channels, shape.height, shape.width)
        widths = (config.nz, *config.widths_g)
        self.main = nn.Sequential(
            *hidden_layers(widths, config.activation_g, norm=config.norm_g == "batch"),
            nn.Linear(widths[-1], shape.channels * shape.height * shape.width),
            squashed(config.output),
        )
        init_uniform(self, config.init_g)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, nz) to (N, C, H, W)."""
        images: Tensor = self.main(z)
        return images.view(z.shape[0], *self.shape)


class Discriminator(nn.Module):
    """Pictures (N, C, H, W) to scores (N,), before any sigmoid; labels are ignored."""

    def __init__(self, config: GANConfig, shape: DataShape) -> None:
        super().__init__()
        widths = (shape.channels * shape.height * shape.width, *config.widths_d)
        layers = list(hidden_layers(widths, config.activation_d, dropout=config.dropout))
        if config.minibatch_std:
            layers.append(MinibatchStdOfVectors())
        self.pixels = nn.Dropout(config.dropout_pixels)
        self.main = nn.Sequential(*layers, nn.Linear(widths[-1] + config.minibatch_std, 1))
        init_uniform(self, config.init_d)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, C, H, W) to (N,)."""
        scores: Tensor = self.main(self.pixels(x.flatten(1)))
        return scores.squeeze(1)


def networks(config: GANConfig, shape: DataShape) -> tuple[nn.Module, nn.Module]:
    """G and D."""
    return Generator(config, shape), Discriminator(config, shape)
