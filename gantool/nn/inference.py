"""Networks made ready to be used: the same numbers, up to rounding, in less time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)

FEW = 4  # output channels; CPUs compute 8 or 16 at a time, so most of that is idle below
TALL = 5  # rows of a kernel; with fewer, adding up its rows costs what it saves


@contextmanager
def exact() -> Iterator[None]:
    """No gradients, and convolutions in full float32 also where CUDA would round their operands to TF32."""
    cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False)
    with torch.inference_mode(), cudnn:
        yield


def prepare_for_inference(network: Network) -> Network:
    """A copy of `network` in evaluation mode that computes the same faster; the network itself stays as it is.

    See `fold_norms` and `row_by_row`. On a CPU weights lie channels last, as the library's fastest kernels want them;
    pictures may come in any layout. An SRResNet takes about half the time there.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    fold_norms(network)
    if all(weight.device.type == "cpu" for weight in network.parameters()):
        row_by_row(network)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def fold_norms(network: nn.Module) -> None:
    """Put each batch norm, which must be in evaluation mode, into the convolution before it, in place.

    It is taken to follow a convolution that stands right before it among the children of the same module; so the two
    must be applied one after the other, and the convolution for nothing else.
    """
    for module in list(network.modules()):
        before: tuple[str, nn.Module] | None = None
        for name, child in list(module.named_children()):
            if before and isinstance(child, nn.BatchNorm2d) and isinstance(before[1], nn.Conv2d | nn.ConvTranspose2d):
                turned = isinstance(before[1], nn.ConvTranspose2d)
                setattr(module, before[0], fuse_conv_bn_eval(before[1], child, transpose=turned))
                setattr(module, name, nn.Identity())
            before = name, child


def row_by_row(network: nn.Module) -> None:
    """Make convolutions to few channels with large kernels `RowConv2d`, in place; their parameters stay the same ones.

    A training step of an SRResNet takes a sixth less time on a CPU.
    """
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and RowConv2d.pays(child):
                setattr(module, name, RowConv2d.like(child))


class RowConv2d(nn.Conv2d):
    """A convolution computed row of the kernel by row, each row's outputs as channels of their own, then added up.

    The numbers are those of `nn.Conv2d` up to rounding, and so are parameters and names. With 3 output channels and
    a kernel of 9x9, one convolution of 1x9 to 27 channels takes a third of the time of 9x9 to 3 on a CPU.
    """

    @staticmethod
    def pays(convolution: nn.Conv2d) -> bool:
        """Whether it is worth the while, and a kind of convolution that is known here."""
        height, width = convolution.kernel_size
        plain = (convolution.stride, convolution.dilation, convolution.groups) == ((1, 1), (1, 1), 1)
        same = convolution.padding == (height // 2, width // 2) and convolution.padding_mode == "zeros"
        odd = height % 2 == 1 and width % 2 == 1
        return plain and same and odd and convolution.out_channels <= FEW and height >= TALL

    @classmethod
    def like(cls, convolution: nn.Conv2d) -> RowConv2d:
        """One with the parameters of `convolution`, which `pays`."""
        with torch.device("meta"):
            made = cls(
                convolution.in_channels,
                convolution.out_channels,
                convolution.kernel_size,  # type: ignore[arg-type]
                padding=convolution.padding,  # type: ignore[arg-type]
                bias=convolution.bias is not None,
            )
        made.weight, made.bias = convolution.weight, convolution.bias
        return made

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, H, W); other devices, compilers and exporters get the one convolution."""
        if input.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(input)
        outputs, inputs, height, width = self.weight.shape
        rows = self.weight.permute(2, 0, 1, 3).reshape(height * outputs, inputs, 1, width)
        parts = F.conv2d(input, rows, padding=(0, width // 2))
        parts = F.pad(parts, (0, 0, height // 2, height // 2))
        shape = (len(input), outputs, *input.shape[2:])
        result = input.new_zeros(shape) if self.bias is None else self.bias.view(1, -1, 1, 1).expand(shape)
        for row in range(height):
            result = result + parts[:, row * outputs : (row + 1) * outputs, row : row + input.shape[2]]
        return result
