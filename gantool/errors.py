"""The errors a user can cause: one sentence of what, one of what next, and an exit code.

Anything else that is raised is a programming error and keeps its traceback.
"""

from __future__ import annotations


class GantoolError(Exception):
    """Base of every error a user can cause.

    Args:
        what: one sentence that says what went wrong and where.
        hint: one sentence that says what to do next (may be empty).

    Attributes:
        quiet: another process of the same training says it, or the reason for it.
    """

    code = "error"
    exit_code = 1
    quiet = False

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what} {hint}".strip())
        self.what = what
        self.hint = hint


class UsageError(GantoolError):
    """The command line asks for something that does not exist or does not fit together."""

    code = "usage"
    exit_code = 2


class ConfigError(UsageError):
    """An option has a value that is not allowed."""

    code = "config"


class DataError(GantoolError):
    """A file given as data is missing, unreadable or not what it claims to be."""

    code = "data"


class RunError(GantoolError):
    """A run directory is missing, busy, incomplete or cannot be written."""

    code = "run"


class NoSuchRun(RunError):
    """No run fits what it was called by."""


class MemoryShort(GantoolError):
    """The machine's or the accelerator's memory does not suffice."""

    code = "memory"


class PeerLost(GantoolError):
    """Another process of the same training has ended."""

    code = "peer_lost"
    quiet = True

    def __init__(self) -> None:
        super().__init__("Another process of this training has ended.", "Its own message says why.")


class Diverged(GantoolError):
    """Training produced numbers that are not finite; the last good checkpoint is kept."""

    code = "diverged"
    exit_code = 3


class Interrupted(GantoolError):
    """Ctrl-C or SIGTERM: the state was saved and the run can be resumed."""

    code = "interrupted"
    exit_code = 130
