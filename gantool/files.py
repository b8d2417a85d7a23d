"""Writing files so that a crash, a full disk or Ctrl-C never costs what was there before."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from gantool.errors import RunError

_HINTS = {
    errno.ENOSPC: "Free some space or choose another disk.",
    errno.EDQUOT: "Free some space or choose another disk.",
    errno.EACCES: "Choose a place that you may write to.",
    errno.EPERM: "Choose a place that you may write to.",
    errno.EROFS: "Choose a place that you may write to.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def atomic_write(
    path: str | Path,
    data: bytes | Callable[[BinaryIO], None],
    *,
    overwrite: bool = True,
    sync: bool = True,
) -> None:
    """Write a file whole or not at all: beside it first, then renamed over it.

    Args:
        path: the file to write; a symbolic link is followed; its folder must exist.
        data: the bytes, or a function that writes them to the binary file it is given.
        overwrite: False refuses, without a race, when `path` exists.
        sync: force the bytes to the disk before the rename (for what must survive a power cut).

    Raises:
        RunError: any failure of the file system; the old content is intact and no temporary file is left.
            What `data` raises besides OSError passes through, with the same guarantee.
    """
    check_target(path, overwrite=overwrite)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:  # a new file with the permissions that the umask gives
                if callable(data):
                    data(file)
                else:
                    file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            _publish(temporary, target, overwrite)
        finally:
            temporary.unlink(missing_ok=True)
        if sync:
            _sync_folder(target.parent)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise write_error(path, error) from error


def write_json(path: str | Path, obj: Any, *, sync: bool = True) -> None:
    """Write `obj` as indented UTF-8 JSON with `atomic_write`.

    Raises:
        RunError: the file cannot be written.
        ValueError, TypeError: `obj` is not JSON (NaN and infinity are not); nothing is written.
    """
    text = json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write(path, (text + "\n").encode(), sync=sync)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        RunError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise RunError(f"Cannot read {path}: {_reason(error)}.", "Check the path and its permissions.") from error
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise RunError(f"{path} is not valid JSON{where}.", "Restore it from a copy or remove it.") from error


def check_target(path: str | Path, *, overwrite: bool) -> None:
    """Refuse a file that `atomic_write` would refuse, before long work is done for it.

    Only a regular file may be replaced: renaming over a device or a pipe would remove it (root would
    lose /dev/null).

    Raises:
        RunError: `path` is a folder, a device or a pipe, or exists while `overwrite` is False.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise write_error(path, error) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise RunError(f"Cannot write {path}: it is {kind}.", "Give the name of a file.")
    if not overwrite:
        raise _exists(path)


def write_error(path: str | Path, error: OSError) -> RunError:
    """The error to raise when writing `path` failed with `error`: one sentence and a remedy."""
    hint = _HINTS.get(error.errno or 0, "Choose another place.")
    if error.errno == errno.ENOENT:
        hint = f"Create the folder {Path(path).parent} first."
    if error.errno == errno.ENOTDIR:
        hint = f"A part of {Path(path).parent} is a file, not a folder."
    return RunError(f"Cannot write {path}: {_reason(error)}.", hint)


def _exists(path: str | Path) -> RunError:
    return RunError(f"{path} exists already.", "Choose another name, or add --overwrite where the command has it.")


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _publish(temporary: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)  # unlike a rename, a link fails when the name is taken
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the check was already made, a small race remains
        os.replace(temporary, target)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; a platform that cannot open a folder (Windows) is left alone."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse to sync a folder; the file itself is safe
        pass
    finally:
        os.close(descriptor)
