"""Choosing a device, seeding, and what the machine is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

import torch

from gantool._version import __version__
from gantool.errors import MemoryShort, UsageError


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: an unknown name, or a device that this machine or this PyTorch does not have. Asking for
            CUDA never falls back to the CPU.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return _cuda_of_this_process()
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device {name!r}.", "Use auto, cpu, cuda, cuda:N or mps.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        why = "this PyTorch is a CPU build" if torch.version.cuda is None else "PyTorch finds no CUDA driver"
        raise UsageError(f"CUDA was asked for, but {why}.", "Use --device cpu; `gantool doctor` says more.")
    if device.type == "cuda" and device.index is None:
        return _cuda_of_this_process()
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise UsageError(
            f"There is no {name}: this machine has {torch.cuda.device_count()} CUDA device(s).",
            "Count from cuda:0.",
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("MPS was asked for, but this machine has none.", "Use --device cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"gantool does not run on {name!r}.", "Use auto, cpu, cuda, cuda:N or mps.")
    return device


def _cuda_of_this_process() -> torch.device:
    """Of several processes that torchrun started on this machine, each takes its own GPU."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def device_name(device: torch.device) -> str:
    """For people: "CPU (2 threads)", "NVIDIA H100 (cuda:0)"."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    if device.type == "mps":
        return "Apple GPU (mps)"
    return f"CPU ({torch.get_num_threads()} threads)"


def keep_freed_memory(keep: bool = True) -> None:
    """Tell glibc to reuse freed memory instead of handing it back to the system after every tensor.

    A training step frees and takes the same hundreds of megabytes again and again; handed back, every page costs
    a fault and a wipe (74,000 faults an iteration at 167x250, 5 % of the time). Changes no result. Does nothing
    where the C library is another one. `keep=False` sets the thresholds near to what glibc arrives at by itself.
    """
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(mmap_threshold, 2**30 if keep else 32 * 2**20)
        mallopt(trim_threshold, 2**31 - 1 if keep else 64 * 2**20)


# What allocators say, PyTorch's and oneDNN's (which does not say more).
SHORT = ("out of memory", "can't allocate memory", "could not create a primitive", "could not execute a primitive")


def is_memory_error(error: BaseException) -> bool:
    """Whether it says that the memory of the machine or of a device is used up."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT)


@contextlib.contextmanager
def enough_memory(hint: str) -> Iterator[None]:
    """Inside, running out of memory (the machine's or the device's) is a MemoryShort with this hint."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_memory_error(error):
            raise MemoryShort("The memory does not suffice for this.", hint) from error
        raise


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given (for timing)."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def versions() -> dict[str, Any]:
    """What a result depends on, for run.json."""
    return {
        "gantool": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }
