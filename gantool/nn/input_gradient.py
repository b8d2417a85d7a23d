"""The gradient of a batch-normalised critic with respect to its input, as a first-order graph.

A gradient penalty differentiates g = d sum(D(x)) / dx once more, to the weights. Done by `autograd.grad(...,
create_graph=True)` that sends batch norm through PyTorch's generic double backward, dozens of passes over memory.
Here g is written out as the chain it is, layer by layer from the scores down, so that one ordinary backward pass
through forward and chain gives the weights' gradients. They are the same numbers, not an approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class StandardizeBackward(torch.autograd.Function):
    """v = s (q - mean(q) - u mean(q u)): how q, a gradient at u = (x - mean(x)) s, goes back to x.

    Means run over samples and pixels, per channel; s = 1 / sqrt(var(x) + eps). v is linear in q, and depends on x
    through u and s. With t the gradient arriving at v, the operator being its own adjoint,

        to q:  p = s (t - mean(t) - u mean(t u))
        to x:  -s (mean(q u) p + mean(t u) v + mean(t v) u)

    and PyTorch's batch-norm backward computes v with sum(q u), and p with sum(t u), in two passes over memory each.

    Inputs: q, x (N, C, H, W); mean and s of x as `torch.native_batch_norm` returns them, (C,), taken as known
    functions of x: their share is in x's gradient.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, x: Tensor, mean: Tensor, s: Tensor) -> Tensor:
        """The formula above."""
        v, sum_qu = _standardize_backward(q, x, mean, s)
        ctx.save_for_backward(x, mean, s, v, sum_qu)
        return v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, t: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """The gradients to q and x, as above."""
        x, mean, s, v, sum_qu = ctx.saved_tensors
        p, sum_tu = _standardize_backward(t, x, mean, s)
        sum_tv = (t * v).sum((0, 2, 3))
        scale = -s * (mean.numel() / x.numel())
        slope = scale * s * sum_tv  # u's factor, as a factor of x
        to_x = torch.addcmul(_channels(-slope * mean), x, _channels(slope))
        to_x.addcmul_(p, _channels(scale * sum_qu)).addcmul_(v, _channels(scale * sum_tu))
        return p, to_x, None, None


def _standardize_backward(q: Tensor, x: Tensor, mean: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    eps = 0.0  # already in s
    wanted = [True, True, False]
    ones = torch.ones_like(s)  # without a weight, only the CPU's kernel gives its gradient
    v, sum_qu, _ = torch.ops.aten.native_batch_norm_backward(q, x, ones, None, None, mean, s, True, eps, wanted)
    return v, sum_qu


def _channels(values: Tensor) -> Tensor:
    """(C,) to broadcast over (N, C, H, W)."""
    return values.view(-1, 1, 1)


def input_gradient(
    blocks: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]], tail: nn.Conv2d, slope: float, image: Tensor
) -> Tensor:
    """The gradient of the summed score map with respect to the image, differentiable to the weights.

    Equal, in value and in the weights' gradients, to `autograd.grad(D(image).sum(), image, create_graph=True)` of
    D = `blocks` (convolution, batch norm, LeakyReLU) and `tail` (convolution to one channel). It is a forward pass
    like any other to the batch norms: their running statistics move once. No gradient goes to the image, nor to
    the biases before a batch norm, which takes them out again (autograd gives them rounding noise).

    Args:
        blocks: convolutions without stride, padding, dilation or groups, each with its affine batch norm. Quick
            on CPU and CUDA if all the norms are in training mode, with a fixed momentum; else by `autograd.grad`.
        tail: the same kind of convolution, to one channel of scores.
        slope: of LeakyReLU below zero; positive.
        image: (N, 3, H, W).

    Returns:
        Of the image's shape.
    """
    quick = image.device.type in ("cpu", "cuda")
    if not quick or not all(norm.training and norm.momentum is not None for _, norm in blocks):
        return _by_double_backward(blocks, tail, slope, image)
    z = image.contiguous(memory_format=torch.channels_last)
    steps = []
    for conv, norm in blocks:
        x = F.conv2d(z, conv.weight, None if conv.bias is None else conv.bias.detach())
        y, mean, s = _batch_norm(norm, x)
        z = F.leaky_relu_(y, slope)
        # LeakyReLU is piecewise linear: no gradient flows through which piece it is.
        steps.append((conv, norm, x, mean, s, z.detach()))
    gradient = _tail_gradient(tail.weight, z)
    for conv, norm, x, mean, s, z in reversed(steps):
        masked = torch.ops.aten.leaky_relu_backward(gradient, z, slope, True)
        v = StandardizeBackward.apply(masked, x, mean, s)  # type: ignore[no-untyped-call]
        # The norm's gain rides on the convolution's weight, which is smaller than the map.
        gradient = F.conv_transpose2d(v, conv.weight * norm.weight.view(-1, 1, 1, 1))
    return gradient


def _batch_norm(norm: nn.BatchNorm2d, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`norm(x)` in training mode, with the mean and 1 / sqrt(var + eps) that it used."""
    assert norm.momentum is not None
    mean, var = (norm.running_mean, norm.running_var) if norm.track_running_stats else (None, None)
    if norm.track_running_stats and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return torch.native_batch_norm(x, norm.weight, norm.bias, mean, var, True, norm.momentum, norm.eps)


def _tail_gradient(weight: Tensor, z: Tensor) -> Tensor:
    """`conv_transpose2d(ones, weight)`, the gradient of the summed scores at z, in z's shape and channels-last.

    Which weights a pixel meets is the same for all channels: one small matrix product, several times as fast as a
    convolution with one channel of ones.
    """
    (h, w), (kh, kw) = z.shape[2:], weight.shape[2:]
    ones = z.new_ones((1, 1, h - kh + 1, w - kw + 1))
    met = F.unfold(ones, (kh, kw), padding=(kh - 1, kw - 1))[0].T.contiguous()  # (h w, kh kw), zeros and ones
    return (met @ weight[0].flatten(1).flip(1).T).view(1, h, w, -1).permute(0, 3, 1, 2).expand_as(z)


def _by_double_backward(
    blocks: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]], tail: nn.Conv2d, slope: float, image: Tensor
) -> Tensor:
    z = image = image.detach().requires_grad_()
    for conv, norm in blocks:
        z = F.leaky_relu(norm(conv(z)), slope)
    (gradient,) = torch.autograd.grad(tail(z).sum(), image, create_graph=True)
    return gradient
