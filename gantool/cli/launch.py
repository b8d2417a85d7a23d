"""Starting the processes of one training on this machine, and ending them together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self

from gantool.cli.ranks import LAUNCHED, SAID_ELSEWHERE
from gantool.data.pictures import cores
from gantool.errors import GantoolError, Interrupted, UsageError

ALONE = 3.0  # seconds in which the others find out by themselves that one has ended
TIDY = 5.0  # seconds in which those that were told to end may tidy up
POLL = 0.05
HINT = "`gantool resume` goes on from the last save."
PROGRAM = (sys.executable, "-m", "gantool")


def launch(devices: int, words: Sequence[str], program: Sequence[str] = PROGRAM) -> int:
    """Run `program` with `words` in `devices` processes, as torchrun would; the exit code.

    The first process has this one's terminal and speaks for all. Another one's words are shown only where it failed
    and the first has nothing to say. When one fails, the others end within seconds. A Ctrl-C, SIGTERM or SIGHUP is
    passed on to each process once, as SIGTERM; the third kills. If this process is killed, all are.

    Raises:
        GantoolError: a process ended without saying why.
        Interrupted: the processes were interrupted before they could say so.
        UsageError: not on this system.
    """
    if os.name != "posix":
        raise UsageError("--devices starts processes on Linux and macOS only.", "Start them with torchrun.")
    with contextlib.ExitStack() as stack:
        requests = stack.enter_context(_Requests())
        processes = _start(devices, [*program, *words], stack)
        _wait(processes, requests)
        return _outcome(processes, interrupted=requests.count > 0)


class _Requests:
    """Inside `with`, counts the requests to stop. What is under way here goes on."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in self.SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGHUP is under nohup
                self._before[number] = signal.signal(number, self._one_more)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _one_more(self, number: int, frame: object) -> None:
        self.count += 1


@dataclass
class _Process:
    rank: int
    popen: subprocess.Popen[bytes]
    said: list[IO[bytes]] | None  # stdout and stderr; None: those of this process
    requests: int = 0  # to stop, passed on to it
    stopped: bool = False  # by us, because another one had ended

    @property
    def code(self) -> int | None:
        return self.popen.poll()

    @property
    def failed(self) -> bool:
        """It ended with an error of its own."""
        code = self.code
        return code not in (None, 0, SAID_ELSEWHERE) and not (self.stopped and code < 0)

    def show(self) -> bool:
        """Pass on what it said, if anything."""
        anything = False
        for file, to in zip(self.said or (), (sys.stdout, sys.stderr), strict=False):
            file.seek(0, os.SEEK_END)
            anything = anything or file.tell() > 0
            file.seek(0)
            to.flush()
            shutil.copyfileobj(file, to.buffer)
            to.flush()
        return anything


def _start(devices: int, command: list[str], stack: contextlib.ExitStack) -> list[_Process]:
    environment = {
        **{"OMP_NUM_THREADS": str(max(1, cores() // devices))},
        # On one machine no network is needed; by a name that does not resolve, Gloo would not find it.
        **({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
        **os.environ,
        **{LAUNCHED: "1", "WORLD_SIZE": str(devices), "LOCAL_WORLD_SIZE": str(devices)},
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())},
    }
    processes: list[_Process] = []
    prepare = _die_with_parent()
    for rank in range(devices):
        said = [_kept(stack), _kept(stack)] if rank else None
        popen = subprocess.Popen(
            command,
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdin=subprocess.DEVNULL if said else None,
            stdout=said[0] if said else None,
            stderr=said[1] if said else None,
            start_new_session=True,  # a Ctrl-C in the terminal reaches this process only, which passes it on
            preexec_fn=prepare,  # safe: there are no threads here
        )
        processes.append(_Process(rank, popen, said))
    return processes


def _kept(stack: contextlib.ExitStack) -> IO[bytes]:
    """A file without a name, for what a process says."""
    return stack.enter_context(tempfile.TemporaryFile())


def _wait(processes: Sequence[_Process], requests: _Requests) -> None:
    """Until all have ended; from the first that ends with an error on, for seconds only."""
    # Asked to stop, the others are done as soon as the first is to save.
    while _running(processes) and all(
        p.code in (None, 0, *([Interrupted.exit_code] if requests.count else [])) for p in processes
    ):
        _pass_on(processes, requests)
        time.sleep(POLL)
    for patience, number in ((ALONE, signal.SIGUSR1), (TIDY, signal.SIGKILL)):
        until = time.monotonic() + patience
        while _running(processes) and time.monotonic() < until:
            _pass_on(processes, requests)
            time.sleep(POLL)
        for process in _running(processes):
            process.stopped = True
            process.popen.send_signal(number)
    for process in processes:
        process.popen.wait()


def _running(processes: Sequence[_Process]) -> list[_Process]:
    return [process for process in processes if process.code is None]


def _pass_on(processes: Sequence[_Process], requests: _Requests) -> None:
    for process in _running(processes):
        if process.requests < requests.count:
            process.requests += 1
            process.popen.send_signal(signal.SIGTERM if process.requests <= 2 else signal.SIGKILL)


def _outcome(processes: Sequence[_Process], *, interrupted: bool) -> int:
    """The exit code of the process that failed, in whose words the reason is given."""
    failed = [p for p in processes if p.failed]
    spoken = [p for p in failed if p.code is not None and p.code > 0]
    if spoken and (spoken[0].rank == 0 or spoken[0].show()):
        return spoken[0].code or 1
    if interrupted:
        raise Interrupted("Interrupted.")
    if not failed:
        if all(p.code == 0 for p in processes):
            return 0
        raise GantoolError("The processes of this training lost each other.", HINT)
    process = failed[0]
    code = process.code or 1
    which = f"Process {process.rank + 1} of {len(processes)}"
    if code > 0:
        raise GantoolError(f"{which} ended with exit code {code}, and did not say why.", HINT)
    name = signal.Signals(-code).name
    memory = "If it was not you, the memory may have run out. " if name == "SIGKILL" else ""
    raise GantoolError(f"{which} was ended by {name}.", memory + HINT)


def _die_with_parent() -> Callable[[], None] | None:
    """For Linux: what makes the system kill a process when its parent has gone, however that went."""
    if sys.platform != "linux":
        return None
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    parent, option = os.getpid(), 1  # PR_SET_PDEATHSIG

    def prepare() -> None:
        prctl(option, int(signal.SIGKILL))
        if os.getppid() != parent:  # it was quicker
            os._exit(1)

    return prepare


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
