"""A run directory: everything about one training, in files a person can read. See docs/run-format.md."""

from __future__ import annotations

import contextlib
import difflib
import errno
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gantool.errors import NoSuchRun, RunError
from gantool.files import read_json, write_error, write_json

SCHEMA = 1
METRICS, SCORES, WATCH = "metrics.jsonl", "scores.jsonl", "watch.jsonl"


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class RunDir:
    """One run directory. Cheap to make: reads happen when asked for."""

    path: Path

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def name(self) -> str:
        """The part of the id that follows the time: the name it was given, as far as a directory can have it."""
        return re.sub(r"^\d{8}-\d{6}-", "", self.id)

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def config_file(self) -> Path:
        """The fully resolved options, usable with --config."""
        return self.path / "config.toml"

    def info(self) -> dict[str, Any]:
        """run.json. Raises RunError when it is missing or damaged."""
        info = read_json(self.path / "run.json")
        if not isinstance(info, dict) or "family" not in info:
            raise RunError(f"{self.path / 'run.json'} is not a run's description.", "Restore it from a copy.")
        return info

    def update(self, **values: Any) -> None:
        """Change entries of run.json, atomically."""
        write_json(self.path / "run.json", {**self.info(), **values})

    @classmethod
    def create(cls, root: Path, family: str, name: str, info: Mapping[str, Any]) -> RunDir:
        """A new directory `root/family/YYYYMMDD-HHMMSS-name`; never one that exists.

        Raises:
            RunError: the place cannot be written.
        """
        base = f"{time.strftime('%Y%m%d-%H%M%S')}-{_clean(name) or 'run'}"
        for attempt in range(1, 1000):
            path = root / family / (base if attempt == 1 else f"{base}-{attempt}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
            except FileExistsError:
                if path.parent.is_dir():
                    continue
                raise RunError(f"{path.parent} is a file, not a folder.", "Choose another --out.") from None
            except OSError as error:
                raise write_error(path, error) from error
            run = cls(path)
            write_json(path / "run.json", {"schema": SCHEMA, "id": path.name, "family": family, **info})
            return run
        raise RunError(f"Too many runs named {base}.", "Give another --name.")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for writing. The lock goes with the process, however it ends.

        Raises:
            RunError: another process holds it.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0.5, poll_interval=0.02)  # `busy` of another process holds it for a moment
        except Timeout:
            raise RunError(
                f"Another process is writing {self.path}.",
                "Wait for it, or stop it with Ctrl-C; then `gantool resume` this run.",
            ) from None
        except OSError as error:
            raise write_error(self.path / ".lock", error) from error
        try:
            yield
        finally:
            lock.release()

    def busy(self) -> bool:
        """Whether a process is training into it now."""
        file = self.path / ".lock"
        if not file.exists():  # never trained; a look must not make files
            return False
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError) as error:
            # Where this process may not write, it cannot ask: most likely an archive, which nobody trains.
            return not (isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS)
        lock.release()
        return False

    def status(self) -> str:
        """As in run.json; a run that says "running" while nobody holds it was "killed"."""
        status = str(self.info().get("status", "unknown"))
        return "killed" if status == "running" and not self.busy() else status

    def log(self, entry: Mapping[str, Any], file: str = METRICS) -> None:
        """Append one line to metrics.jsonl or another log. A full disk costs the line, not the run."""
        with contextlib.suppress(OSError), open(self.path / file, "ab+") as log:
            torn = False
            if log.seek(0, os.SEEK_END):  # a kill can leave half a line: ours begins on a new one
                log.seek(-1, os.SEEK_END)
                torn = log.read(1) != b"\n"
            log.write((b"\n" if torn else b"") + json.dumps(entry).encode() + b"\n")

    def metrics(self) -> list[dict[str, Any]]:
        """The losses logged, in order of steps."""
        return self._logged(METRICS, lambda entry: int(entry["total"]))

    def scores(self) -> list[dict[str, Any]]:
        """What was measured while training, in order of steps: "total", "metric", "value", "values", ..."""
        return self._logged(SCORES, lambda entry: (int(entry["total"]), str(entry["metric"])))

    def watched(self) -> list[dict[str, Any]]:
        """What the watch over a set's training found, in order of steps: figures of samples, "warnings"."""
        return self._logged(WATCH, lambda entry: (int(entry["total"]), "ms_ssim" in entry))

    def _logged(self, file: str, key: Callable[[Any], Any]) -> list[dict[str, Any]]:
        """Where a resumed run wrote an entry twice, the later one counts."""
        entries: dict[Any, dict[str, Any]] = {}
        try:
            lines = (self.path / file).read_bytes().splitlines()
        except OSError:
            return []
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError):  # a line torn by a kill
                entry = json.loads(line)
                entries[key(entry)] = entry
        return [entries[key] for key in sorted(entries)]


def all_runs(root: Path) -> list[RunDir]:
    """The run directories under `root`, oldest first; what has no run.json is no run."""
    found = [RunDir(file.parent) for file in root.glob("*/*/run.json")]
    return sorted(found, key=lambda run: (run.id, str(run.path)))


def find_run(reference: str, root: Path) -> RunDir:
    """A run by path, id, name, the beginning of an id or of a name, or `latest`: the first of these that any run fits.

    Raises:
        NoSuchRun: none fits.
        RunError: several do, or it cannot be looked for.
    """
    path = Path(reference)
    try:
        if (path / "run.json").is_file():
            return RunDir(path)
        unfit = path.is_dir() and os.sep in reference
    except OSError as error:  # a name too long for a path, or a folder that may not be looked into
        raise RunError(f"{path} cannot be looked at: {error.strerror}.", "`gantool runs` lists the runs.") from error
    if unfit:
        raise RunError(f"{path} is no run directory: it has no run.json.", "`gantool runs` lists the runs.")
    runs = all_runs(root)
    if not runs:
        raise NoSuchRun(f"There are no runs in {root}.", "Train one first, or say where they are with --out.")
    if reference == "latest":
        return _newest(runs)
    fits = _fitting(reference, runs)
    if len(fits) == 1:
        return fits[0]
    if not fits:
        known = {run.name: run for run in runs}  # of a name, the newest run
        inside = [name for name in reversed(known) if reference in name]
        near = inside or difflib.get_close_matches(reference, known)  # the newest, or the most alike, come first
        meant = f"Did you mean {known[near[0]].id}? " if near and reference else ""
        raise NoSuchRun(f"No run is called {reference!r}.", f"{meant}`gantool runs` lists them.")
    names = ", ".join(run.id for run in fits[:5])
    raise RunError(
        f"{len(fits)} runs fit {reference!r}: {names}{', ...' if len(fits) > 5 else ''}.",
        f"Give more of the id; the newest is {_newest(fits).id}.",
    )


def _fitting(reference: str, runs: Sequence[RunDir]) -> list[RunDir]:
    """What is whole goes before what is a beginning, so that a run `a` is found beside one that is named `apples`."""
    if not reference:
        return []
    clean = _clean(reference)
    kinds: list[Callable[[RunDir], bool]] = [
        lambda run: run.id == reference,
        lambda run: run.name == clean or _was_named(run, reference),
        lambda run: run.id.startswith(reference),
        lambda run: bool(clean) and run.name.startswith(clean),
    ]
    return next((found for kind in kinds if (found := [run for run in runs if kind(run)])), [])


def _was_named(run: RunDir, name: str) -> bool:
    """Whether it was given this name, and a number after it: another one had it in the same second."""
    with contextlib.suppress(RunError):
        return run.name.startswith(f"{_clean(name) or 'run'}-") and run.info().get("name") == name
    return False


def _newest(runs: Iterable[RunDir]) -> RunDir:
    return max(runs, key=lambda run: (run.id[:15], run.path.stat().st_ctime_ns))


def _clean(name: str) -> str:
    """A name as a directory can have it."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60]
