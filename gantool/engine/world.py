"""The processes that train one model together, each with its part of every batch."""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from gantool.errors import GantoolError, Interrupted, PeerLost
from gantool.nn.ranks import is_loss, peers_lost

T = TypeVar("T")

MEETING = timedelta(seconds=60)  # for all processes to come
PATIENCE = timedelta(minutes=10)  # for one of them to write a checkpoint, draw previews and measure
FAILED = "failed"  # the store's count of processes that ended with an error of their own
CPU = torch.device("cpu")


@dataclass(frozen=True)
class World:
    """This process among those that train together; alone, nothing here does anything.

    Every method but `first` is to be called by all processes, in the same order.

    Attributes:
        rank: which of them this is, from 0.
        size: how many there are.

    Raises:
        PeerLost: (all methods) another process has ended, or has not answered for ten minutes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """In place, the mean over the processes. One message for all tensors of a type and device."""
        if self.size > 1:
            for flat in _flat(tensors):
                with peers_lost():
                    dist.all_reduce(flat.data)
                flat.data /= self.size
                flat.write_back()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """The mean over the processes of the gradients that there are: the same ones everywhere."""
        if self.size <= 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        if os.environ.get("GANTOOL_DEBUG") == "1":
            numbers = sum(g.numel() for g in gradients)
            found = self._largest([numbers, -numbers])
            if found[0] != -found[1]:
                raise RuntimeError(f"process {self.rank} has gradients of {numbers} numbers, another one does not")
        self.average(gradients)

    @torch.no_grad()
    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """In place, the first process's values; of any type, whole numbers and booleans too."""
        if self.size > 1:
            for flat in _flat(tensors):
                with peers_lost():
                    dist.broadcast(flat.data.view(torch.uint8) if flat.data.dtype == torch.bool else flat.data, 0)
                if not self.first:
                    flat.write_back()

    def broadcast_object(self, value: T) -> T:
        """The first process's value, which is plain Python."""
        if self.size <= 1:
            return value
        box: list[Any] = [value if self.first else None]
        with peers_lost():
            dist.broadcast_object_list(box, 0, device=CPU)
        found: T = box[0]
        return found

    def gather_objects(self, value: T) -> list[T] | None:
        """In the first process, everyone's value in order of rank; None in the others."""
        if self.size <= 1:
            return [value]
        box: list[Any] = [None] * self.size
        with peers_lost():
            dist.all_gather_object(box, value)
        return box if self.first else None

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether any process has it."""
        return tuple(bool(found) for found in self._largest([int(flag) for flag in flags]))

    def barrier(self) -> None:
        """Wait until every process is here."""
        self._largest([0])

    def parameters_agree(self, module: nn.Module) -> bool:
        """Whether all processes have the same parameters and buffers, to the last bit."""
        if self.size <= 1:
            return True
        code = 0
        for tensor in (*module.parameters(), *module.buffers()):
            code = zlib.crc32(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data, code)
        found = self._largest([code, -code])
        return found[0] == -found[1]

    def _largest(self, numbers: list[int]) -> list[int]:
        """For each number, the largest of all processes: by way of the CPU, so that no device is waited for."""
        if self.size <= 1:
            return numbers
        found = torch.tensor(numbers, dtype=torch.int64)
        with peers_lost():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return [int(number) for number in found.tolist()]


class Flat:
    """Tensors of one type and device end to end, as one message."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.tensors = tensors
        self.data = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])

    def write_back(self) -> None:
        """Put the numbers where they came from."""
        parts = torch.split(self.data, [tensor.numel() for tensor in self.tensors])
        for tensor, part in zip(self.tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))


def _flat(tensors: Sequence[Tensor]) -> list[Flat]:
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        kinds[tensor.dtype, tensor.device].append(tensor)
    return [Flat(kind) for kind in kinds.values()]


_worlds = [World()]  # the last one is the current


def current_world() -> World:
    """That of the innermost `join_world`; outside, this process alone."""
    return _worlds[-1]


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process trains by itself, whatever world it is in."""
    _worlds.append(World())
    try:
        yield
    finally:
        _worlds.pop()


@contextmanager
def join_world(device: torch.device | None = None) -> Iterator[World]:
    """Inside, this process is one of those that torchrun, or `gantool train --devices`, started; else it is alone.

    Tensors on the CPU go by Gloo; those on GPUs by NCCL, if each process has a GPU for itself, else by Gloo. Left
    with an error of its own, only the first process to do so is to tell it: in the others it is `quiet`. Inside
    another `join_world`, the same world.

    Args:
        device: where this process's tensors live; None where that is not decided yet.

    Raises:
        GantoolError: the processes did not all come within a minute.
        PeerLost: another process has ended.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size <= 1 or current_world().size > 1:
        yield current_world()
        return
    store, world = _meet(device)
    _worlds.append(world)
    try:
        yield world
    except BaseException as error:
        if isinstance(error, GantoolError) and not error.quiet:
            # All are interrupted at once; the first process has brought the run to its end when it says so.
            error.quiet = not world.first if isinstance(error, Interrupted) else not _first_to_fail(store)
        _leave_at_once()
        if is_loss(error):  # from where nobody catches it, such as compiled code
            raise PeerLost from error
        raise
    finally:
        _worlds.pop()
        with suppress(RuntimeError):
            dist.destroy_process_group()


def _meet(device: torch.device | None) -> tuple[Any, World]:
    """Wait for the other processes, where the environment says."""
    by_nccl = (device is None or device.type == "cuda") and dist.is_nccl_available()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    backend = "cpu:gloo,cuda:nccl" if by_nccl and here <= torch.cuda.device_count() else "gloo"
    try:
        store, rank, size = next(rendezvous("env://", timeout=MEETING))
        store.set_timeout(MEETING)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        world = World(rank, size)
        world.barrier()
    except (RuntimeError, ValueError, GantoolError) as error:
        where = f"{os.environ.get('MASTER_ADDR', '?')}:{os.environ.get('MASTER_PORT', '?')}"
        raise GantoolError(
            f"The processes of this training did not meet at {where}: {' '.join(str(error).split())[:200]}",
            "Start them again; if the port is taken, another --master-port of torchrun may help.",
        ) from error
    return store, world


def _first_to_fail(store: Any) -> bool:
    """Whether no other process has failed before. Where the store is gone, the first process is: it has spoken."""
    try:
        store.set_timeout(timedelta(seconds=5))
        return int(store.add(FAILED, 1)) == 1
    except RuntimeError:
        return False


def _leave_at_once() -> None:
    """What is still under way with NCCL is given up: nobody waits for a process that has gone."""
    abort = getattr(dist.group.WORLD, "abort", None)
    if abort is not None and "nccl" in dist.get_backend_config():
        with suppress(RuntimeError):
            abort()
