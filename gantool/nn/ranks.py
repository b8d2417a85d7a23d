"""What the processes of one training say to each other, in terms of torch.distributed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from gantool.errors import PeerLost

# What Gloo, NCCL and the store say when a process is gone, or has not answered for long.
SIGNS = ("connection", "broken pipe", "timed out", "timeout", "socket", "gloo/", "remote process", "recvvalue failed")


@contextmanager
def peers_lost() -> Iterator[None]:
    """Inside, what torch.distributed raises when another process has gone is a PeerLost."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        if isinstance(error, dist.DistError) or any(sign in text for sign in SIGNS):
            raise PeerLost from error
        raise


def ranks() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
