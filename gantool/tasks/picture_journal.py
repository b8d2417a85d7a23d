"""What a folder of results is made from: one line of JSON for each, so that a run can be gone on with."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gantool.errors import RunError
from gantool.files import check_target, write_error


@dataclass(frozen=True)
class Made:
    """A result and what it was made from.

    Attributes:
        result: its name within the folder, "/" between folders.
        job: what was done, by which network and how, as plain values; the same is not done twice.
        source_bytes, source_mtime_ns: of the picture's file.
        result_bytes: of the result's file.
        result_sha256: of the result's file; empty in journals of before it was written down.
    """

    result: str
    job: Mapping[str, Any] = field(default_factory=dict)
    source_bytes: int = 0
    source_mtime_ns: int = 0
    result_bytes: int = 0
    result_sha256: str = ""

    def same_source(self, other: Made) -> bool:
        """Whether both were made from the same file, unchanged since."""
        mine, others = (self.source_bytes, self.source_mtime_ns), (other.source_bytes, other.source_mtime_ns)
        return mine == others

    def holds(self, file: Path) -> bool:
        """Whether the file is the result, as it was written. Raises OSError where it cannot be looked at."""
        if file.stat().st_size != self.result_bytes:
            return False
        if not self.result_sha256:
            return True
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == self.result_sha256

    def line(self) -> bytes:
        """As it is written down: one JSON object, in which the job's values stand beside the others."""
        values = {key: value for key, value in vars(self).items() if key != "job"}
        return json.dumps({"result": self.result, **self.job, **values}, allow_nan=False).encode()

    @classmethod
    def parsed(cls, line: bytes) -> Made | None:
        """A line as it was written; None for one that is torn or someone else's."""
        try:
            values: Any = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(values, dict) or not isinstance(values.get("result"), str):
            return None
        own = {key: values.pop(key) for key in vars(cls("")) if key != "job" and key in values}
        return cls(**own, job=values)


class Journal:
    """The file `name` in a folder of results. Several threads may write."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self._turn = threading.Lock()
        self._made: dict[str, list[Made]] = {}  # by result, in the order of the lines
        check_target(self.path, overwrite=True)
        try:
            lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        except OSError as error:
            raise RunError(f"Cannot read {self.path}: {error.strerror}.", "Check its permissions.") from error
        for line in lines:
            made = Made.parsed(line)
            if made is not None:
                self._take(made)

    def find(self, result: Path, name: str) -> Made | None:
        """What is known of an existing result file, if it is still as it was written.

        That is not always the last line of its name: lines come before their results, and a kill in between leaves
        an older result, which an older line tells of.
        """
        return next((made for made in reversed(self._made.get(name, [])) if made.holds(result)), None)

    def add(self, made: Made) -> None:
        """Write down a result, at once. Raises RunError when that fails."""
        line = made.line()
        with self._turn:
            self._take(made)
            try:
                with open(self.path, "a+b") as file:
                    # A line that was cut off by a crash must not swallow this one.
                    torn = file.tell() > 0 and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
                    file.write(b"\n" * torn + line + b"\n")
            except OSError as error:
                raise write_error(self.path, error) from error

    def _take(self, made: Made) -> None:
        # A line that tells its result by the size alone holds while it is the last one.
        older = [line for line in self._made.get(made.result, []) if line.result_sha256]
        self._made[made.result] = [*older, made]
