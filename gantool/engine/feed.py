"""Batches of a data set, on the device that trains on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from gantool.data.batches import Batch, Batches


class Feed:
    """An endless iterator of batches, whose place is part of a checkpoint.

    Args:
        data: decoded ahead of use.
        device: where the batches go.
        labels: hand on the labels, too.
    """

    def __init__(self, data: Batches, device: torch.device, *, labels: bool) -> None:
        self.data, self.device, self.labels = data, device, labels

    @property
    def position(self) -> int:
        """Pictures drawn so far, by all processes together."""
        return self.data.position

    def seek(self, position: int) -> None:
        """Go on from that many pictures."""
        self.data.position = position

    def batch(self, step: int) -> Iterator[Batch]:
        """Itself: a step takes as many batches as it needs."""
        return self

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = self.data.next(self.device)
        return batch if self.labels else replace(batch, labels=None)
