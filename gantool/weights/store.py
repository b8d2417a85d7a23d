"""Where the weights of published networks lie on this machine. Bytes are moved and hashed here, never unpickled."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gantool.errors import DataError, GantoolError, UsageError
from gantool.files import atomic_write, read_json, write_error, write_json
from gantool.weights.catalogue import FULL, Weights, get, names, recognise

FOLDER = "GANTOOL_WEIGHTS"  # environment variable that names the folder
MEMORY = "hashes.json"  # in the folder: {path: [size, mtime in ns, sha256]}
SMALL = 4_000_000  # bytes; hashing less than this takes milliseconds and is not worth remembering
CHUNK = 1 << 20


class MissingWeights(DataError):
    """The weights are not on this machine."""


@dataclass(frozen=True)
class Found:
    """A file of weights.

    Attributes:
        path: the file.
        sha256: of its content, 64 hex digits.
        name: the network's name in the catalogue; for a file of one's own what it was given for, or its file name.
        verified: whether the content is one that the catalogue knows. A figure that comes from other weights
            should say so.
    """

    path: Path
    sha256: str
    name: str
    verified: bool


def weights_dir() -> Path:
    """The folder of the weights, which need not exist: $GANTOOL_WEIGHTS, or in the platform's folder for caches."""
    if os.environ.get(FOLDER):
        return Path(os.environ[FOLDER]).expanduser()
    return _caches() / "gantool" / "weights"


def torch_hub_dir() -> Path:
    """The folder that torchvision, torch-fidelity and others download to through torch hub; only read here."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def find(what: str | Path, *, wanted: str | None = None) -> Found:
    """The file of some weights, hashed.

    Args:
        what: a name of the catalogue, or a path (a file whose path is such a name is reached as `./NAME`).
            For a name, weights of one's own that were taken in for it come first, then the published file in
            `weights_dir`, then in torch hub's folder.
        wanted: with a path, the name of the network that it is for: the file of another one is refused.

    Raises:
        MissingWeights: no file; the message says which to bring, and how.
        DataError: the file cannot be read, is damaged, or is another network's.
    """
    if isinstance(what, str) and what in names():
        weights = get(what)
        own = unverified_path(weights)
        if is_file(own):
            return Found(own, sha256_of(own), weights.name, verified=False)
        found = published(weights)
        if found is None:
            raise missing(weights)
        return found
    path = Path(what)
    if not is_file(path):
        known_names = f"; the names are {', '.join(names())}" if isinstance(what, str) else ""
        raise MissingWeights(f"There is no file {path}.", f"Check the path{known_names}.")
    sha256 = sha256_of(path)
    known = recognise(sha256)
    if known and wanted and known.name != wanted:
        raise DataError(f"{path} holds {known.name}, not {wanted}.", f"Give the file of {wanted}.")
    return Found(path, sha256, known.name if known else wanted or path.name, verified=known is not None)


def published(weights: Weights) -> Found | None:
    """The published file, if it is on this machine.

    Raises:
        DataError: it is in `weights_dir` but its content is wrong, and there is no other.
    """
    damaged: DataError | None = None
    for edition in weights.editions:
        path = weights_dir() / edition.file
        if is_file(path):
            sha256 = sha256_of(path)
            if weights.matches(sha256):
                return Found(path, sha256, weights.name, verified=True)
            damaged = damaged or DataError(
                f"{path} is damaged: its sha256 is {sha256}, not {edition.sha256}.",
                f"`gantool weights fetch {weights.name}` replaces it.",
            )
    for edition in weights.editions:
        path = torch_hub_dir() / edition.file
        with suppress(DataError, OSError):  # another program's folder: what does not serve there is no error
            if is_file(path) and weights.matches(sha256 := sha256_of(path)):
                return Found(path, sha256, weights.name, verified=True)
    if damaged:
        raise damaged
    return None


def missing(weights: Weights) -> MissingWeights:
    """The error for weights that are not on this machine: which file, from where, and the two cures."""
    return MissingWeights(
        f"The weights {weights.name} are not on this machine: {describe(weights)}, published at {weights.url}.",
        f"`gantool weights fetch {weights.name}` downloads the file; one that you bring is taken in by"
        " `gantool weights import FILE`.",
    )


def describe(weights: Weights) -> str:
    """ "FILE (95,628,359 bytes, sha256 6726...)", as far as it is known."""
    size = "size unknown" if weights.size is None else f"{weights.size:,} bytes"
    digits = "sha256" if len(weights.sha256) == FULL else "sha256 beginning with"
    return f"{weights.file} ({size}, {digits} {weights.sha256})"


def unverified_path(weights: Weights) -> Path:
    """Where weights of one's own lie that stand in for the published ones. The name alone says what they are."""
    return weights_dir() / f"{weights.name}.unverified.pth"


def import_file(source: str | Path, name: str | None = None, *, unverified: bool = False) -> Found:
    """Take a file in: copy it, whole or not at all, to `weights_dir`.

    Args:
        source: the file, which stays. A published one is recognised by its hash.
        name: what it must be; needed for weights of one's own.
        unverified: take it even if its hash is unknown; it then comes before the published file of that name,
            and whatever is computed with it says so.

    Raises:
        DataError: the file cannot be read, is empty, not known, or another network's than `name`; or there
            are other unverified weights of that name.
        UsageError: `name` is not in the catalogue, or `unverified` comes without a name.
        RunError: the copy cannot be written (no space, no permission).
    """
    path = Path(source)
    weights = get(name) if name else None
    if unverified and weights is None:
        raise UsageError("Unverified weights need a name.", "Say what they stand in for: --as NAME.")
    if not is_file(path):
        raise DataError(f"There is no file {path}.", "Check the path.")
    sha256 = sha256_of(path)
    known = recognise(sha256)
    if known is None:
        return _import_own(path, sha256, weights, unverified)
    if weights and known.name != weights.name:
        raise DataError(f"{path} holds {known.name}, not {weights.name}.", f"Import it as {known.name}.")
    file = next(edition.file for edition in known.editions if sha256.startswith(edition.sha256))
    target = make_folder() / file
    if not (is_file(target) and sha256_of(target) == sha256):
        _copy(path, target, sha256, overwrite=True)  # nothing but a damaged file can lie there
    return Found(target, sha256, known.name, verified=True)


def _import_own(path: Path, sha256: str, weights: Weights | None, unverified: bool) -> Found:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.", "Download it again.")
    if weights is None or not unverified:
        raise DataError(
            f"{path} is none of the published files: its sha256 is {sha256}.",
            "Check where it comes from; `--as NAME --unverified` takes weights of your own in all the same.",
        )
    target = unverified_path(weights)
    if is_file(target):
        if sha256_of(target) != sha256:
            raise DataError(
                f"There are other unverified weights for {weights.name} already: {target}.",
                "Remove that file first, if these are to take its place.",
            )
    else:
        make_folder()
        _copy(path, target, sha256, overwrite=False)
    return Found(target, sha256, weights.name, verified=False)


def make_folder() -> Path:
    """`weights_dir`, created if need be. Raises RunError if it cannot be."""
    folder = weights_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder


def is_file(path: Path) -> bool:
    """Whether there is a regular file, links followed.

    Raises:
        DataError: that cannot be seen (no permission, too long a name), or there is something else.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.", "Check the path and its permissions.") from error
    except ValueError:  # a NUL in the name
        return False
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise DataError(f"{path} is {kind}.", "Name the file of the weights.")
    return True


def sha256_of(path: Path) -> str:
    """Hash of a file's content, 64 hex digits; for a large file that has not changed since, the one remembered.

    Raises:
        DataError: it cannot be read.
    """
    try:
        size, time = (status := path.stat()).st_size, status.st_mtime_ns
        memory = _memory() if size >= SMALL else {}
        key = os.path.realpath(path)
        match memory.get(key):
            case [known_size, known_time, str(sha256)] if (known_size, known_time) == (size, time):
                return sha256
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    if size >= SMALL:
        _remember({**memory, key: [size, time, sha256]})
    return sha256


def _memory() -> Mapping[str, Any]:
    with suppress(GantoolError):  # none yet, or torn: then hashes are computed again
        memory = read_json(weights_dir() / MEMORY)
        return memory if isinstance(memory, dict) else {}
    return {}


def _remember(memory: Mapping[str, Any]) -> None:
    # Where the folder cannot be written, hashing takes its time at every start, and nothing else is lost.
    with suppress(GantoolError):
        write_json(make_folder() / MEMORY, {k: v for k, v in memory.items() if os.path.exists(k)}, sync=False)


def _copy(source: Path, target: Path, sha256: str, *, overwrite: bool) -> None:
    def write(out: BinaryIO) -> None:
        digest = hashlib.sha256()
        for chunk in _chunks(source):
            digest.update(chunk)
            out.write(chunk)
        if digest.hexdigest() != sha256:
            raise DataError(f"{source} changed while it was copied.", "Import it when nobody writes to it.")

    atomic_write(target, write, overwrite=overwrite)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error


def _caches() -> Path:
    """The user's folder for what programs can get again."""
    if os.path.isabs(os.environ.get("XDG_CACHE_HOME", "")):
        return Path(os.environ["XDG_CACHE_HOME"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path.home() / ".cache"
