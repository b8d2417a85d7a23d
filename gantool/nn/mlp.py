"""Fully connected layers, as the first GANs were made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from gantool.nn.minibatch_std import MinibatchStd

Activation = Literal["relu", "lrelu", "maxout"]
Output = Literal["tanh", "sigmoid", "linear"]

PIECES = 5  # of a maxout unit in Goodfellow et al. 2014


class Maxout(nn.Module):
    """The largest of `pieces` linear functions for each unit: (N, inputs) to (N, units). Goodfellow et al. 2013."""

    def __init__(self, inputs: int, units: int, pieces: int = PIECES) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        pieces: Tensor = self.linear(x).unflatten(1, (-1, self.pieces))
        return pieces.amax(2)


class ZeroToOne(nn.Module):
    """Sigmoid, and its (0, 1) stretched to (-1, 1), where all pictures are here."""

    def forward(self, x: Tensor) -> Tensor:
        """2 sigmoid(x) - 1."""
        return 2 * torch.sigmoid(x) - 1


class MinibatchStdOfVectors(nn.Module):
    """(N, F) to (N, F + 1): how alike the batch is, see gantool.nn.minibatch_std."""

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.std = MinibatchStd(group=group)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        with_std: Tensor = self.std(x[:, :, None, None])
        return with_std.flatten(1)


def hidden_layers(
    widths: Sequence[int], activation: Activation, *, norm: bool = False, dropout: float = 0.0, slope: float = 0.2
) -> Iterator[nn.Module]:
    """Layers from widths[0] to widths[-1], an activation after each of them; batch norm after all but the first."""
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        if activation == "maxout":
            yield Maxout(inputs, outputs)
        else:
            yield nn.Linear(inputs, outputs)
        if norm and i:
            yield nn.BatchNorm1d(outputs)
        if activation != "maxout":
            yield nn.ReLU(inplace=True) if activation == "relu" else nn.LeakyReLU(slope, inplace=True)
        if dropout:
            yield nn.Dropout(dropout)


def squashed(output: Output) -> nn.Module:
    """What comes after a generator's last layer."""
    return {"tanh": nn.Tanh, "sigmoid": ZeroToOne, "linear": nn.Identity}[output]()


def init_uniform(module: nn.Module, bound: float | None) -> None:
    """Linear weights from U[-bound, bound], biases 0, in place (Goodfellow et al. 2014); None: PyTorch's own."""
    if bound is None:
        return
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.uniform_(part.weight, -bound, bound)
            nn.init.zeros_(part.bias)
