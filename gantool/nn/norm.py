"""Batch norm: where sampling must not leave a trace, and where several processes share a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gantool.nn.ranks import peers_lost, ranks


@contextmanager
def untracked(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms in training mode use batch statistics and leave their running ones alone."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [m.track_running_stats for m in norms]
    for m in norms:
        m.track_running_stats = False
    try:
        yield
    finally:
        for m, tracked in zip(norms, before, strict=True):
            m.track_running_stats = tracked


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Inside, all of `module` is in evaluation mode; afterwards each part is in the mode it was in."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def synchronize_batch_norm(module: nn.Module) -> None:
    """In place, batch norms in training mode normalise by the batch of all processes, on any device.

    Outputs, gradients (of the mean of the processes' losses, and derivatives of those) and running statistics are
    those of one process with the whole batch; each process may have another part of it. In evaluation mode nothing
    changes, and neither do parameters and names in the state. Does nothing where there is one process.

    Raises:
        PeerLost: (forward and backward) another process has ended.
    """
    if ranks() == 1:
        return
    for norm in module.modules():
        if type(norm) is nn.BatchNorm1d:
            norm.__class__ = SharedBatchNorm1d
        elif type(norm) is nn.BatchNorm2d:
            norm.__class__ = SharedBatchNorm2d


class _SumOverRanks(torch.autograd.Function):
    """The sum over all processes. Every process's loss hangs on it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        total = x.clone()
        with peers_lost():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        return _sum_over_ranks(gradients[0].contiguous())


def _sum_over_ranks(x: Tensor) -> Tensor:
    total: Tensor = _SumOverRanks.apply(x)  # type: ignore[no-untyped-call]
    return total


def _shared_statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of each channel over the batches of all processes, (C,) each, and values in each."""
    channels, others = x.shape[1], [d for d in range(x.dim()) if d != 1]
    variance, mean = torch.var_mean(x, others, correction=0)
    mine = torch.cat([mean, variance, mean.new_full((1,), x.numel() // channels)])
    # Everyone's by a sum of zeros but for one row; means and variances do not suffer from cancellation as sums of
    # squares would.
    rows = torch.arange(ranks(), device=x.device)[:, None] == dist.get_rank()
    means, variances, counts = torch.split(_sum_over_ranks(rows * mine), [channels, channels, 1], 1)
    count = counts.sum()
    share = counts / count
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean).square())).sum(0), count


class _Shared(nn.modules.batchnorm._BatchNorm):
    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.device.type == "meta":
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        mean, variance, count = _shared_statistics(x)
        if self.track_running_stats and self.running_mean is not None:
            self._track(mean, variance * (count / (count - 1)))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        shift = self.bias - mean * scale if self.affine else -mean * scale
        shape = (1, -1, *(1 for _ in x.shape[2:]))
        return torch.addcmul(shift.view(shape), x, scale.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        for kept, new in ((self.running_mean, mean), (self.running_var, variance)):
            kept.lerp_(new, (1 / self.num_batches_tracked).to(new) if self.momentum is None else self.momentum)


class SharedBatchNorm1d(_Shared, nn.BatchNorm1d):
    """BatchNorm1d over the batches of all processes; see `synchronize_batch_norm`."""


class SharedBatchNorm2d(_Shared, nn.BatchNorm2d):
    """BatchNorm2d over the batches of all processes; see `synchronize_batch_norm`."""
