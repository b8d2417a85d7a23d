"""One process among those that torchrun, or --devices, started."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from typing import NoReturn, TypeVar

from gantool.cli.talk import Talk
from gantool.errors import GantoolError, PeerLost

T = TypeVar("T")

LAUNCHED = "GANTOOL_LAUNCHED"  # set in the environment of processes that `--devices` started
SAID_ELSEWHERE = 76  # exit code of such a process that leaves it to another to say what went wrong


def rank_and_world() -> tuple[int, int]:
    """This process among how many; (0, 1) without torchrun."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def share(talk: Talk, pictures: Sequence[T]) -> list[T]:
    """This process's part of the pictures; with several processes, each names itself from here on.

    Each trains its own; none waits for another.
    """
    rank, world = rank_and_world()
    if world <= 1:
        return list(pictures)
    talk.prefix = f"[rank {rank}] "
    mine = list(pictures[rank::world])
    many = f"{len(pictures)} picture{'s' if len(pictures) != 1 else ''}"
    if mine:
        talk.say(f"trains {len(mine)} of {many}, as one of {world} processes.")
    else:
        talk.say(f"has nothing to do: there are {many} for {world} processes.")
    return mine


def finish_together(failed: bool) -> None:
    """Say that this process is done; one that failed waits until all are.

    torchrun stops all processes as soon as one of them ends with an error: the bad picture of one would
    cost the others their training. Processes that were not started by torchrun do not wait.
    """
    world = rank_and_world()[1]
    if world <= 1 or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    import torch.distributed as dist

    # The launcher may be gone already, or may not answer: then there is nobody to wait for.
    with contextlib.suppress(RuntimeError, ValueError, KeyError):
        port = int(os.environ["MASTER_PORT"])
        store = dist.TCPStore(os.environ["MASTER_ADDR"], port, is_master=False)  # type: ignore[attr-defined]
        key = f"gantool/{os.environ.get('TORCHELASTIC_RUN_ID', '')}/done"
        done = store.add(key, 1)
        while failed and done < world:
            time.sleep(1)
            done = store.add(key, 0)


def end_when_told() -> None:
    """In a process that --devices started, SIGUSR1 says that another one has ended."""
    if LAUNCHED in os.environ:
        signal.signal(signal.SIGUSR1, _another_has_ended)


def _another_has_ended(number: int, frame: object) -> NoReturn:
    raise PeerLost


def quiet_code(error: GantoolError) -> int:
    """The exit code of a process that leaves it to another one to speak of an error."""
    return SAID_ELSEWHERE if LAUNCHED in os.environ else error.exit_code
