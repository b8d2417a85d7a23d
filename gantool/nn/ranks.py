"""The processes of one training, in terms of torch.distributed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from gantool.errors import PeerLost

# What NCCL and the store say when a process is gone, or has not answered for long. Their other errors, such as two
# processes on one GPU, are to be seen as they are.
GONE = ("connection", "broken pipe", "remote process", "timed out", "timeout")


def ranks() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_loss(error: BaseException) -> bool:
    """Whether torch.distributed says with it that another process has gone."""
    text = str(error).lower()
    if not isinstance(error, RuntimeError) or "enforce fail" in text:  # sizes that do not fit are our mistake
        return False
    return "gloo/transport" in text or (isinstance(error, dist.DistError) and any(sign in text for sign in GONE))


@contextmanager
def peers_lost() -> Iterator[None]:
    """Inside, such an error is a PeerLost."""
    try:
        yield
    except RuntimeError as error:
        if is_loss(error):
            raise PeerLost from error
        raise
