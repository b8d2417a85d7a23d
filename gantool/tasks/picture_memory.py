"""How much memory a network needs for a picture, and how much there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gantool.data.cache import free_memory

# Beside the tensors themselves: work space of oneDNN (measured: up to 1.17 times in all) and of cuDNN.
MARGIN = {"cpu": 1.25, "cuda": 1.5}
SHARE = {"cpu": 0.5, "cuda": 0.8}  # of the free memory that a network may take


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


def peak_per_pixel(network: Callable[[Tensor], Tensor], sample: Tensor) -> float:
    """Bytes that `network` takes for each pixel of a picture, tried out on `sample`, (1, C, H, W)."""
    with torch.inference_mode(), PeakBytes() as bytes_:
        network(sample)
    return float(MARGIN.get(sample.device.type, 1.5) * max(bytes_.peak, 1) / (sample.shape[2] * sample.shape[3]))


def room_on(device: torch.device, held: int = 0) -> float:
    """Bytes that a network may take on `device`; `held` bytes of the machine's memory will have another use."""
    free: float = free_memory()
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + kept
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    else:
        free -= held
    return SHARE.get(device.type, 0.5) * max(0.0, free)
