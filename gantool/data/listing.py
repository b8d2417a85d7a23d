"""Which files there are: the mode of a path, the pictures in a folder, and names in natural order."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gantool.data.decode import READS
from gantool.errors import DataError

SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".avif", ".jp2"]
    + [f".p{kind}m" for kind in "bgpn"]
)
"""Extensions of picture files, in lower case."""

_DIGITS = re.compile(r"0*([0-9]+)")


def file_mode(path: Path) -> int:
    """The mode (`st_mode`) of what `path` leads to.

    Raises:
        DataError: there is nothing, or it may not be looked at.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise DataError(f"{path} is a link to what is not there.", "Mend or remove the link.") from error
        raise DataError(f"There is no file {path}.", did_you_mean(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise read_error(path, error) from error


def read_error(path: Path, error: Exception) -> DataError:
    """The error to raise when reading `path` failed with `error`."""
    if isinstance(error, PermissionError):
        return DataError(f"You may not read {path}.", "Check the permissions of the file and its folder.")
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(f"Cannot read {path}: {reason}.", "Check the path.")


def exists(path: Path) -> bool:
    """Whether `path` leads to something.

    Raises:
        DataError: that cannot be seen (no permission, too long a name), which `Path.exists` calls an OSError.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise read_error(path, error) from error
    return True


def did_you_mean(path: Path) -> str:
    """A hint for a `path` that leads nowhere: the name beside it that is like it, where there is one."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return f"The folder {path.parent} does not exist either; check the path."
    by_folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(path.name.casefold(), by_folded, n=1, cutoff=0.6)
    return f"Did you mean {path.with_name(by_folded[close[0]])}?" if close else "Check the path."


def natural_key(name: str) -> str:
    """Sort key: numbers by value (2 before 10), the rest by letters without case.

    A plain string, for millions of names: each number is led by a character below all others and by its length.
    """
    return _DIGITS.sub(_by_length, name.casefold())


def _by_length(number: re.Match[str]) -> str:
    return f"\0{chr(len(number[1]))}{number[1]}"


def natural_order(names: Iterable[str]) -> list[str]:
    """The names in the order of `natural_key`; equal ones (A and a, 1 and 01) by their characters."""
    ordered = sorted(names)
    ordered.sort(key=natural_key)
    return ordered


def picture_names(folder: Path, *, recursive: bool) -> list[str]:
    """The picture files of `folder` by their extension, as paths relative to it, in natural order.

    Hidden files and folders are left out, and links to folders, which may lead back up, are not followed.

    Raises:
        DataError: a folder cannot be listed, or there are no pictures (says what there is instead).
    """
    found: list[str] = []
    others, folders = Counter[str](), 0
    waiting = [""]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(folder / here) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        continue
                    if entry.is_dir():
                        folders += 1
                        if recursive and not entry.is_symlink():
                            waiting.append(f"{here}{name}/")
                    elif (suffix := os.path.splitext(name)[1]).lower() in SUFFIXES:
                        found.append(here + name)
                    else:
                        others[suffix or "without extension"] += 1
        except OSError as error:
            raise read_error(folder / here, error) from error
    if found:
        return natural_order(found)
    hint = READS
    if folders and not recursive:
        hint = "It has a sub-folder: name that." if folders == 1 else "Name one of its sub-folders."
    raise DataError(f"No pictures in {folder} (found {what_was_found(others)}).", hint)


def what_was_found(extensions: Counter[str]) -> str:
    """The three commonest extensions with their numbers, for the error that none is a picture's."""
    return ", ".join(f"{count} {suffix}" for suffix, count in extensions.most_common(3)) or "no files"
