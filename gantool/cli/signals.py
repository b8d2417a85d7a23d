"""Ctrl-C and SIGTERM while training: the first asks to stop, the second stops."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType

TOGETHER = 0.5  # seconds; torchrun passes Ctrl-C on as SIGTERM, and the two are one wish


class Stopper:
    """Inside `with`, handles the signals; called, says whether a stop was asked for.

    The second signal raises KeyboardInterrupt where the program stands. Only the main thread can do this;
    elsewhere nothing changes.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, quiet: bool = False, what: str = "step") -> None:
        self.quiet, self.what = quiet, what
        self.asked_at: float | None = None
        self._before: dict[signal.Signals, object] = {}

    def __call__(self) -> bool:
        """Whether to stop after this step."""
        return self.asked_at is not None

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked_at is None:
            self.asked_at = now
            if not self.quiet:
                # Not through the console: it may be in the middle of a line.
                with contextlib.suppress(OSError):
                    os.write(2, f"\nStopping after this {self.what}; once more to stop at once.\n".encode())
        elif now - self.asked_at > TOGETHER:
            raise KeyboardInterrupt
