"""Downloads of weights: announced, resumed where they broke, verified, and there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from gantool.errors import DataError, GantoolError
from gantool.files import read_json, write_error, write_json
from gantool.weights import remote
from gantool.weights.catalogue import Weights, get
from gantool.weights.remote import BeyondEnd, Broken
from gantool.weights.store import FOLDER, Found, describe, make_folder, published, unverified_path

OFFLINE = "GANTOOL_OFFLINE"  # environment variable that forbids the network
ATTEMPTS = 5  # failures in a row that bring nothing new
PAUSE = 1.0  # seconds before the second attempt; doubled before each further one
CHUNK = 1 << 16  # bytes

Say = Callable[[str], None]
Progress = Callable[[int, int | None], None]
"""`progress(done, total)` in bytes; the total may be unknown."""


def _nothing(*_: object) -> None:
    pass


def fetch(name: str, *, url: str | None = None, say: Say = _nothing, progress: Progress = _nothing) -> Found:
    """Download the weights `name` to `weights_dir`, unless they are on this machine already.

    A transfer that broke, or was stopped by Ctrl-C, leaves FILE.part, from which the next one goes on. Of two
    processes that want the same file one waits for the other.

    Args:
        name: of the catalogue.
        url: https, http or file address to take instead of the publisher's (a mirror, a file server).
        say: gets what happens, in sentences; first of all file, size, sha256 and address.
        progress: gets (bytes done, bytes in all or None).

    Raises:
        UsageError: no such name.
        DataError: the network, the server or the content failed, there is no space, or $GANTOOL_OFFLINE forbids it.
        RunError: the folder cannot be written.
    """
    weights = get(name)
    if found := _already(weights):
        say(f"{name} is on this machine already: {found.path}")
        return found
    url = url or weights.url
    by_hand = f"Bring {weights.file} from another machine, then `gantool weights import FILE`."
    if remote.scheme(url) != "file" and os.environ.get(OFFLINE, "0") not in ("", "0"):
        raise DataError(f"{weights.file} is not downloaded, because {OFFLINE} is set.", by_hand)
    target = make_folder() / weights.file
    with _alone(target, say):
        if found := _already(weights):  # another process has fetched it meanwhile
            return found
        say(f"Downloading {describe(weights)} from {url} to {target.parent}.")
        sha256 = _Download(weights, url, target, by_hand, say, progress).run()
    if unverified_path(weights).is_file():
        say(f"The unverified {unverified_path(weights)} still comes first; remove it to use this one.")
    return Found(target, sha256, name, verified=True)


class _Download:
    """One file from one address, by way of FILE.part."""

    def __init__(self, weights: Weights, url: str, target: Path, by_hand: str, say: Say, progress: Progress) -> None:
        self.weights, self.url, self.target, self.by_hand = weights, url, target, by_hand
        self.say, self.progress = say, progress
        self.part = target.with_name(target.name + ".part")
        self.origin = target.with_name(target.name + ".part.json")  # address and version of what is in the part
        self.pieces = False  # whether the part comes from more than one transfer

    def run(self) -> str:
        """Download, verify, rename; the sha256."""
        while True:
            self._complete()
            with open(self.part, "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if self.weights.matches(sha256):
                with self._writing():
                    os.replace(self.part, self.target)
                    self.origin.unlink(missing_ok=True)
                return sha256
            self._drop()
            if not self.pieces:
                break
            self.say("What came in several transfers does not fit together; starting anew.")
        raise DataError(
            f"{self.url} is not what was published: its sha256 is {sha256}, not {self.weights.sha256}.",
            f"Take it from another address (--from URL). {self.by_hand}",
        )

    def _complete(self) -> None:
        """As many attempts as it takes, as long as they bring something new."""
        failures, best = 0, self._done()
        while True:
            try:
                self._transfer()
                return
            except Broken as error:
                if isinstance(error, BeyondEnd):
                    self._drop()
                done = self._done()
                failures = 1 if done > best else failures + 1
                best = max(best, done)
                if failures >= ATTEMPTS:
                    hint = f"What has come is kept: try again later. {self.by_hand}" if done else self.by_hand
                    raise DataError(f"{self.url} could not be downloaded: {error}.", hint) from error
                pause = PAUSE * 2 ** (failures - 1)
                self.say(f"Trying again in {pause:g} s, since {error}.")
            time.sleep(pause)

    def _transfer(self) -> None:
        """Bring the part to its end. Raises Broken where another attempt makes sense."""
        done, size = self._done(), self.weights.size
        if size is not None and done > size:
            self._drop()
            done = 0
        self.pieces = done > 0
        if done and done == size:  # the process that had it all did not live to rename it
            return
        with remote.open_url(self.url, self._range(done), self.by_hand) as response:
            total = _length(response)
            if done and response.status == 206:
                start, total = _content_range(response)
                if start != done:
                    self._drop()
                    raise Broken("the server sent another part than it was asked for")
            else:  # the server knows no ranges, or the file has changed
                done, self.pieces = 0, False
            if size is not None and total is not None and total != size:
                raise self._wrong_size(f"{total:,}")
            total = size if total is None else total
            if done:
                self.say(f"Going on after {done:,} bytes.")
            else:
                self._begin(response)
            self._check_space(done, total)
            self._receive(response, done, total)

    def _range(self, done: int) -> dict[str, str]:
        """The headers that ask for the bytes after `done`, if the file is still the same."""
        if not done:
            return {}
        headers, origin = {"Range": f"bytes={done}-"}, None
        with suppress(GantoolError):
            origin = read_json(self.origin)
        # At another address versions have other names; whether its piece fits is seen by the hash.
        if isinstance(origin, dict) and origin.get("url") == self.url and origin.get("version"):
            headers["If-Range"] = str(origin["version"])
        return headers

    def _begin(self, response: Any) -> None:
        """No part, and a note of which version of the file it is going to hold."""
        self._drop()
        tag = response.headers.get("ETag") or ""
        version = tag if tag.startswith('"') else response.headers.get("Last-Modified")  # weak tags allow other bytes
        write_json(self.origin, {"url": self.url, "version": version}, sync=False)

    def _receive(self, response: Any, done: int, total: int | None) -> None:
        # Unbuffered: what has come is in the file, however the process ends.
        with self._writing(), open(self.part, "ab", buffering=0) as file:
            self.progress(done, total)
            while True:
                with remote.reaching(self.url, self.by_hand):
                    chunk = response.read(CHUNK)
                if not chunk:
                    break
                _write(file, chunk)
                done += len(chunk)
                if total is not None and done > total:
                    self._drop()
                    raise self._wrong_size("more")
                self.progress(done, total)
            if total is not None and done < total:
                raise Broken(f"the connection ended after {done:,} of {total:,} bytes")
            os.fsync(file.fileno())

    def _check_space(self, done: int, total: int | None) -> None:
        if total is not None and shutil.disk_usage(self.part.parent).free < total - done:
            raise self._no_space(f": {total - done:,} bytes are needed")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Failures of the disk as sentences."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._no_space() from error
            raise write_error(self.part, error) from error

    def _no_space(self, needed: str = "") -> DataError:
        return DataError(
            f"There is no space for {self.weights.file} in {self.part.parent}{needed}.",
            f"Free some, and `gantool weights fetch {self.weights.name}` goes on; or set {FOLDER} to another place.",
        )

    def _wrong_size(self, size: str) -> DataError:
        return DataError(
            f"{self.url} has {size} bytes, but {self.weights.file} as published has {self.weights.size:,}.",
            f"Perhaps a login page came instead; or take it from another address (--from URL). {self.by_hand}",
        )

    def _done(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _drop(self) -> None:
        with self._writing():
            self.part.unlink(missing_ok=True)
            self.origin.unlink(missing_ok=True)


def _already(weights: Weights) -> Found | None:
    with suppress(DataError):  # a damaged file is no file
        return published(weights)
    return None


@contextmanager
def _alone(target: Path, say: Say) -> Iterator[None]:
    """No other process fetches the same file meanwhile."""
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"Another process is downloading {target.name}; waiting for it.")
            lock.acquire(poll_interval=0.2)
    except OSError as error:
        raise write_error(target, error) from error
    try:
        yield
    finally:
        lock.release()


def _length(response: Any) -> int | None:
    text = response.headers.get("Content-Length") or ""
    return int(text) if text.isdecimal() else None


def _content_range(response: Any) -> tuple[int | None, int | None]:
    """First byte and total of "bytes 500-999/1000"; None for what it does not say."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", (response.headers.get("Content-Range") or "").strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


def _write(file: BinaryIO, chunk: bytes) -> None:
    """All of it: an unbuffered file may take less at a time."""
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]
