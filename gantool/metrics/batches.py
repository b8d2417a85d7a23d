"""What the feature networks share: pictures in batches, prepared while the network works, and what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from gantool.data.decode import Pixels

T = TypeVar("T")
_END = object()


@dataclass(frozen=True, eq=False)
class Features:
    """What a network says of a batch of pictures, or of a whole set.

    Attributes:
        features: (N, D) float32.
        logits: (N, classes) float32, of the classes that the network knows, where it knows any.
    """

    features: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32] | None = None


def collect(batches: Iterable[Features]) -> Features:
    """All batches of a set as one.

    Raises:
        ValueError: there is none.
    """
    parts = list(batches)
    logits = [part.logits for part in parts if part.logits is not None]
    return Features(np.concatenate([part.features for part in parts]), np.concatenate(logits) if logits else None)


def channels_first(picture: Pixels) -> Pixels:
    """A picture (H, W, 3) uint8 as (3, H, W), contiguous.

    Raises:
        ValueError: another shape or type.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"a picture is (H, W, 3) uint8, got {picture.dtype} {picture.shape}")
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def in_background(items: Iterable[T]) -> Iterator[T]:
    """The same items, each made in a thread while the one before is used; an error appears in its place."""
    remaining = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="pictures") as thread:
        upcoming = thread.submit(next, remaining, _END)
        while (item := upcoming.result()) is not _END:
            upcoming = thread.submit(next, remaining, _END)
            yield cast(T, item)
