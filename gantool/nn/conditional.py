"""Ways of telling a network the class of a picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def one_hot(y: Tensor, classes: int, like: Tensor) -> Tensor:
    """Labels (N,) as (N, classes) of 0 and 1, of the type of `like`; without the synchronisation of torch's own."""
    return (y[:, None] == torch.arange(classes, device=y.device)).to(like.dtype)


def append(x: Tensor, hot: Tensor) -> Tensor:
    """x (N, C, ...) with the (N, classes) of `hot` as further channels, the same at every pixel."""
    planes = hot.view(*hot.shape, *(1 for _ in x.shape[2:])).expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], 1)


class ClassPlane(nn.Module):
    """Labels (N,) to a plane (N, 1, side, side) that a convolution takes as one more channel.

    A linear layer of the class and a ReLU (Denton et al. 2015, section 4.1).
    """

    def __init__(self, classes: int, side: int) -> None:
        super().__init__()
        self.side, self.classes = side, classes
        self.linear = nn.Linear(classes, side * side)

    def forward(self, y: Tensor) -> Tensor:
        """(N,) to (N, 1, side, side)."""
        plane: Tensor = torch.relu(self.linear(one_hot(y, self.classes, self.linear.weight)))
        return plane.view(-1, 1, self.side, self.side)


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gains and biases hang on the class: (N, C, ...) and labels (N,) to (N, C, ...).

    Dumoulin et al. 2017; as in the generator of Miyato and Koyama 2018. Gains start at 1, biases at 0.
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, classes: int) -> None:
        """`norm` has neither gain nor bias of its own."""
        super().__init__()
        self.norm = norm
        self.gain = nn.Embedding(classes, norm.num_features)
        self.bias = nn.Embedding(classes, norm.num_features)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Normalise, then scale and shift by class."""
        shape = (x.shape[0], -1, *(1 for _ in x.shape[2:]))
        normed: Tensor = self.norm(x)
        gain, bias = self.gain(y).view(shape), self.bias(y).view(shape)
        return torch.addcmul(bias, normed, gain)
