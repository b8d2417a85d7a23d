"""Convolutions of small maps as products of matrices: on CPUs several times faster than the library's."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST = 256
"""Places of the smaller of a layer's two maps, over the batch, up to which this is faster. With few places a layer is
all weights, and the library's kernels, made for large maps, spend their time on bringing those into their own order:
a convolution 4x4 of 512 maps of 4 pixels a side to 256 of 8, there and back, takes a fifth of the time."""


class ColumnConv2d(nn.Conv2d):
    """A convolution that multiplies its weights with the columns of what each place sees (im2col)."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, h, w); the numbers are those of `nn.Conv2d` up to rounding."""
        assert not isinstance(self.padding, str)
        sizes = zip(input.shape[2:], self.kernel_size, self.padding, self.stride, strict=True)
        height, width = ((side + 2 * pad - kernel) // stride + 1 for side, kernel, pad, stride in sizes)
        if not _pays(input, height * width, self.weight):
            return super().forward(input)
        columns = F.unfold(input, self.kernel_size, padding=self.padding, stride=self.stride)
        columns = columns.transpose(0, 1).reshape(columns.shape[1], -1)
        flat = torch.mm(self.weight.flatten(1), columns)
        if self.bias is not None:
            flat = flat + self.bias[:, None]
        return flat.view(self.out_channels, len(input), height, width).transpose(0, 1)


class ColumnConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that makes the columns of what each place adds to, and adds them up (col2im)."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, h, w) to (N, outputs, H, W); the numbers are those of `nn.ConvTranspose2d` up to rounding."""
        if output_size is not None or not _pays(input, math.prod(input.shape[2:]), self.weight):
            return super().forward(input, output_size)
        assert not isinstance(self.padding, str)
        return _added_up(input, self.weight, self.bias, self.stride, self.padding, self.output_padding)


class DoublingConv2d(nn.ConvTranspose2d):
    """Each pixel repeated to 2x2, then a convolution 3x3 of the large map, in less than half the work of these two.

    Each pixel of the result sees at most two small ones a side: together the two steps are a transposed convolution
    4x4 of stride 2, whose weights are sums of those of 3x3. That is how it is computed. Repeating pixels leaves no
    checkerboard (Odena et al. 2016).

    `weight` is (inputs, outputs, 3, 3), mirrored against that of `nn.Conv2d`, as transposed convolutions have it.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, 2, 1, bias=bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, h, w) to (N, outputs, 2 h, 2 w)."""
        one = torch.eye(4, dtype=self.weight.dtype, device=input.device)  # made there: the host need not be waited for
        sums = one[:3] + one[1:]
        weight = (self.weight.reshape(-1, 9) @ torch.kron(sums, sums)).view(*self.weight.shape[:2], 4, 4)
        if _pays(input, math.prod(input.shape[2:]), weight):
            return _added_up(input, weight, self.bias, (2, 2), (1, 1), (0, 0))
        return F.conv_transpose2d(input, weight, self.bias, 2, 1)


def _added_up(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
) -> Tensor:
    """The transposed convolution by columns."""
    columns = weight.flatten(1).t() @ input.reshape(*input.shape[:2], -1)
    kernel = weight.shape[2:]
    sides = [
        (side - 1) * step - 2 * pad + size + more
        for side, step, pad, size, more in zip(input.shape[2:], stride, padding, kernel, output_padding, strict=True)
    ]
    found = F.fold(columns, sides, list(kernel), padding=list(padding), stride=list(stride))  # type: ignore[arg-type]
    return found if bias is None else found + bias[:, None, None]


def _pays(input: Tensor, places: int, weight: Tensor) -> bool:
    """Whether to compute this way: it was meant (see `by_columns`), and nobody traces the network."""
    if torch.compiler.is_compiling():  # before sizes are compared, which an exporter would take as fixed
        return False
    plain = input.device.type == "cpu" and weight.is_contiguous() and input.dtype == weight.dtype
    return len(input) * places <= MOST and plain and not torch.is_autocast_enabled("cpu")


KINDS = {nn.Conv2d: ColumnConv2d, nn.ConvTranspose2d: ColumnConvTranspose2d, DoublingConv2d: DoublingConv2d}


def by_columns(network: nn.Module, *inputs: Tensor) -> None:
    """Make the convolutions that have small maps, where the network is given `inputs`, column convolutions, in place.

    Their weights become contiguous, those of the others channels-last: each as its kernels want them. Parameters and
    names stay as they are. Elsewhere than on a CPU, and for large maps, the convolutions are what they were.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    small = set(_small(network, inputs))
    for name, module in network.named_modules():
        if name in small or isinstance(module, DoublingConv2d):
            module.weight.data = module.weight.data.contiguous()
            module.__class__ = KINDS[type(module)]


def _small(network: nn.Module, inputs: tuple[Tensor, ...]) -> list[str]:
    """Names of the plain convolutions with few places."""
    probe, found = copy.deepcopy(network).to("meta"), []

    def look(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            places = min(math.prod(maps.shape[2:]) for maps in (arguments[0], output))
            if len(output) * places <= MOST:
                found.append(name)

        return hook

    for name, module in probe.named_modules():
        if (
            type(module) in KINDS
            and module.padding_mode == "zeros"
            and module.groups == 1
            and module.dilation == (1, 1)
        ):
            module.register_forward_hook(look(name))
    with torch.no_grad():
        probe(*(x.to("meta") for x in inputs))
    return found
