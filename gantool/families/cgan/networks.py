"""The conditional GAN's networks: the paper's, convolutional ones, and those of the projection discriminator."""

from __future__ import annotations

from torch import Tensor, nn

from gantool.families.cgan.config import CGANConfig
from gantool.family import DataShape
from gantool.nn.conditional import append, one_hot
from gantool.nn.dcgan import ConvDiscriminator, ConvGenerator
from gantool.nn.mlp import Maxout, MinibatchStdOfVectors, ZeroToOne, init_uniform


class MLPGenerator(nn.Module):
    """z (N, nz) and labels (N,) to pictures (N, C, H, W) in [-1, 1]. Mirza and Osindero 2014, section 4.1.

    Noise and class go through layers of their own, of 200 and 1000 units, before they meet.
    """

    def __init__(self, config: CGANConfig, shape: DataShape) -> None:
        super().__init__()
        self.shape, self.classes = (shape.channels, shape.height, shape.width), shape.classes
        self.from_noise = _relu(config.nz, 200, config.dropout_g)
        self.from_class = _relu(shape.classes, 1000, config.dropout_g)
        self.joint = _relu(1200, 1200, config.dropout_g)
        self.last = nn.Linear(1200, shape.channels * shape.height * shape.width)
        self.squash = ZeroToOne()
        init_uniform(self, 0.05)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(N, nz) and (N,) to (N, C, H, W)."""
        hot = one_hot(y, self.classes, z)
        h = self.joint(append(self.from_noise(z), self.from_class(hot)))
        images: Tensor = self.squash(self.last(h))
        return images.view(z.shape[0], *self.shape)


class MLPDiscriminator(nn.Module):
    """Pictures (N, C, H, W) and labels (N,) to scores (N,), before any sigmoid. Mirza and Osindero 2014, 4.1."""

    def __init__(self, config: CGANConfig, shape: DataShape) -> None:
        super().__init__()
        self.classes = shape.classes
        self.from_picture = _maxout(shape.channels * shape.height * shape.width, 240, 5, config.dropout)
        self.from_class = _maxout(shape.classes, 50, 5, config.dropout)
        self.joint = _maxout(290, 240, 4, config.dropout)
        if config.minibatch_std:
            self.joint.append(MinibatchStdOfVectors())
        self.last = nn.Linear(240 + config.minibatch_std, 1)
        init_uniform(self, 0.005)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, C, H, W) and (N,) to (N,)."""
        h = append(self.from_picture(x.flatten(1)), self.from_class(one_hot(y, self.classes, x)))
        scores: Tensor = self.last(self.joint(h))
        return scores.squeeze(1)


class ProjectionGenerator(ConvGenerator):
    """z (N, nz) and labels (N,) to pictures: the class is told by batch norm (Miyato and Koyama 2018).

    Theirs is residual; this one has the layout of their group's plain networks, whose first batch norm has a gain and
    a bias for each unit: with one for each channel, so few layers could not draw classes apart.
    """

    def __init__(self, config: CGANConfig, shape: DataShape) -> None:
        super().__init__(
            config.nz,
            shape.height,
            shape.channels,
            config.ngf,
            layout="sngan",
            classes=shape.classes,
            condition="norm",
        )


class ProjectionDiscriminator(ConvDiscriminator):
    """Scores of a convolutional discriminator, plus the inner product of its features with the class's vector.

    Features are summed over the pixels, as in Miyato and Koyama 2018, figure 1d and appendix.
    """

    def __init__(self, config: CGANConfig, shape: DataShape) -> None:
        super().__init__(
            shape.height,
            shape.channels,
            config.ndf,
            layout="sngan",
            norm=config.norm_d,
            dropout=config.dropout,
            minibatch_std=config.minibatch_std,
        )
        self.embedding = nn.Embedding(shape.classes, self.features_out)
        nn.init.xavier_uniform_(self.embedding.weight)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, C, H, W) and (N,) to (N,)."""
        h = self.features(x)
        projection: Tensor = (self.embedding(y) * h.sum((2, 3))).sum(1)
        return self.scores(h) + projection


def networks(config: CGANConfig, shape: DataShape) -> tuple[nn.Module, nn.Module]:
    """G and D of `config.arch`. Raises ValueError if the data has no classes."""
    if not shape.classes:
        raise ValueError("a conditional GAN needs classes")
    if config.arch == "mlp":
        return MLPGenerator(config, shape), MLPDiscriminator(config, shape)
    if config.arch == "projection":
        return ProjectionGenerator(config, shape), ProjectionDiscriminator(config, shape)
    return ConvGenerator(config.nz, shape.height, shape.channels, config.ngf, classes=shape.classes), ConvDiscriminator(
        shape.height,
        shape.channels,
        config.ndf,
        norm=config.norm_d,
        dropout=config.dropout,
        minibatch_std=config.minibatch_std,
        classes=shape.classes,
    )


def _relu(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout))


def _maxout(inputs: int, outputs: int, pieces: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(Maxout(inputs, outputs, pieces), nn.Dropout(dropout))
