"""How much memory a network that enlarges needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gantool.family import Enlarges

PROBE = 32  # pixels of the side of what it is tried on
# Beside the tensors themselves: work space of oneDNN (measured: up to 1.17 times in all) and of cuDNN.
MARGIN = {"cpu": 1.25, "cuda": 1.5}


class PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside `with`, counts the bytes of all tensors that operations make; `peak` is the most alive at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and to say so PyTorch would import its compiler, which takes two seconds."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Carry out one operation."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                self._alive[storage._cdata] = (reference, storage.nbytes())
        self._alive = {key: entry for key, entry in self._alive.items() if not _is_gone(entry[0])}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result


def _is_gone(reference: StorageWeakRef) -> bool:
    return bool(reference.expired())  # type: ignore[no-untyped-call]


def bytes_per_pixel(model: Enlarges, device: torch.device) -> float:
    """Bytes that enlarging takes for each pixel of the small picture, tried out on a small one."""
    small = torch.zeros(1, 3, PROBE, PROBE, device=device)
    with torch.inference_mode(), PeakBytes() as bytes_:
        model.enlarge(small)
    return float(MARGIN.get(device.type, 1.5) * max(bytes_.peak, 1) / PROBE**2)
