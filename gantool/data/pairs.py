"""Pairs of pictures, found where people keep them: side by side in one file, in two folders, or listed in a CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantool.data.archives import ZipPictures, printable
from gantool.data.digit_csv import is_csv
from gantool.data.listing import natural_order
from gantool.data.pair_files import LEFT, RIGHT, Files, Joined, ListedFiles, PairedPictures, Side
from gantool.data.pair_table import read_pairs
from gantool.data.pairing import pair_alike
from gantool.data.pictures import PictureFiles, Pictures
from gantool.errors import DataError

PARTS = ("train", "val", "test")
"""The folders into which pairs are dealt."""

HELD_OUT = ("val", "test", "train")
"""Those that are measured on the way, the best first."""

_STEPPED_OVER = {*PARTS, "A", "B", "a", "b"}  # folders that mean something even if they are the only one
_SHOWN = 8  # folders that an error names


def open_pairs(
    reference: str | Path, *, target: str | Path = "", part: str | None = "", background: str = "white"
) -> PairedPictures:
    """Pairs of pictures A and B.

    Args:
        reference: a folder or a zip of pictures that show A in their left half and B in their right; or of two
            folders A and B (or trainA and trainB, ...) of pictures that are named alike (`pair_alike`); or a CSV of
            two columns (`read_pairs`).
        target: folder or zip of B; then `reference` holds A.
        part: the sub-folder to take, such as "train"; "" takes train where there is one, and else all; None all.
        background: the colour under transparent pixels.

    Raises:
        ConfigError: `background` is not a colour.
        DataError: there is nothing of this name, it has no pictures, or some have no partner.
    """
    name = str(reference)
    if not name.strip():
        raise DataError("The name of the data is empty.", "Name a folder of pairs, a zip or a CSV.")
    if name.startswith(("builtin:", "hf:")):
        raise DataError(f"{name} has no pairs of pictures.", "Name a folder of pairs, a zip or a CSV of two columns.")
    path = Path(reference)
    remarks: list[str] = []
    if is_csv(path) and not path.is_dir():
        if target:
            raise DataError(
                f"{path} lists both pictures of each pair, and {target} names more.", f"Leave out {target}."
            )
        a, b = _listed(path)
        kind = "csv"
    else:
        whole = _whole(path)
        if target:
            a, b = _two(whole, _whole(Path(target)), part, remarks)
        else:
            a, b = _in_one(whole, part, remarks)
        kind = "zip" if isinstance(whole.files, ZipPictures) else "folder"
    if not len(a):
        raise DataError(f"{path} has no pairs.", "Name a folder that has some.")
    pictures = Pictures(Joined(kind, a, b, []), path, background=background, skip_bad=False, threads=None)
    found = PairedPictures(pictures, a=a, b=b, remarks=remarks)
    found.identity = found.identity_of_both
    return found


def first_part(reference: str | Path, wanted: Sequence[str]) -> str:
    """The first of some of `PARTS` that a folder or a zip of pairs is dealt into, or "".

    Raises:
        DataError: as `open_pairs`.
    """
    path = Path(reference)
    if is_csv(path) and not path.is_dir():
        return ""
    whole = _whole(path)
    folders = set(whole.folders)
    below = {name for side in folders & {"A", "B", "a", "b"} for name in whole.inside(side).folders}
    return next((part for part in wanted if part in folders | below or {f"{part}A", f"{part}B"} <= folders), "")


@dataclass(frozen=True, eq=False)
class _Part:
    """Some of the pictures of a folder or a zip: those in the folder `prefix` of it ("" or "name/")."""

    label: str
    files: Files
    numbers: Sequence[int]
    names: Sequence[str]

    @property
    def folders(self) -> list[str]:
        """At its top."""
        return natural_order({name.partition("/")[0] for name in self.names if "/" in name})

    def inside(self, folder: str) -> _Part:
        """What is in one of the folders."""
        chosen = [k for k, name in enumerate(self.names) if name.startswith(f"{folder}/")]
        names = [self.names[k][len(folder) + 1 :] for k in chosen]
        return _Part(f"{self.label}/{folder}", self.files, [self.numbers[k] for k in chosen], names)

    def side(self, half: int | None = None) -> Side:
        return Side(self.label, self.files, np.array(self.numbers, np.int64), self.names, half)


def _whole(path: Path) -> _Part:
    """The pictures of a folder, a zip, or one file; a single folder that holds all is stepped into."""
    zipped = path.suffix.lower() == ".zip" and not path.is_dir()
    files: ZipPictures | PictureFiles = ZipPictures(path) if zipped else PictureFiles(path, recursive=True)
    found = _Part(printable(str(path)), files, range(len(files.names)), files.names)
    while len(found.folders) == 1 and all("/" in name for name in found.names):
        [folder] = found.folders
        if folder in _STEPPED_OVER:
            break
        found = found.inside(folder)
    return found


def _in_one(whole: _Part, part: str | None, remarks: list[str]) -> tuple[Side, Side]:
    """The pairs of one folder or zip."""
    found = _sides_in(whole, part or "")
    if found is not None:
        return _two(*found, part, remarks)
    chosen = _chosen(whole, part, remarks)
    found = _sides_in(chosen, "")
    if found is not None:
        return _two(*found, None, remarks)
    remarks.append("A left and B right in each picture")
    return chosen.side(LEFT), chosen.side(RIGHT)


def _sides_in(found: _Part, part: str) -> tuple[_Part, _Part] | None:
    """The folders A and B, or such as trainA and trainB, where there are both."""
    folders = found.folders
    for a, b in (("A", "B"), ("a", "b")):
        if a in folders and b in folders:
            return found.inside(a), found.inside(b)
    parts = [name[:-1] for name in folders if name.endswith("A") and f"{name[:-1]}B" in folders]
    chosen = part or ("train" if "train" in parts or len(parts) != 1 else parts[0])
    return (found.inside(f"{chosen}A"), found.inside(f"{chosen}B")) if chosen in parts else None


def _two(a: _Part, b: _Part, part: str | None, remarks: list[str]) -> tuple[Side, Side]:
    """The pairs of two folders: of `part` in those that have one."""
    if part is not None:
        part = part.strip("/")
        if part and part not in a.folders and part not in b.folders and not a.label.endswith(f"{part}A"):
            raise _no_part(a, part)
    chosen = [_chosen(one, "" if part and part not in one.folders else part, remarks) for one in (a, b)]
    left, right = chosen[0].side(), chosen[1].side()
    pairs, taken = pair_alike(left, right)
    remarks.append(f"A from {left.label}, B from {right.label}")
    if any(taken):
        words = " and ".join(f"“{word}”" if word else "nothing" for word in taken)
        remarks.append(f"paired by name without {words}")
    return left.only([i for i, _ in pairs]), right.only([j for _, j in pairs])


def _chosen(found: _Part, part: str | None, remarks: list[str]) -> _Part:
    """The sub-folder of that name; for "" `train` where there is one, and else all, as for None."""
    if part is None:
        return found
    part = part.strip("/")
    if not part and "train" not in found.folders:
        return found
    chosen = found.inside(part or "train")
    if not chosen.names:
        raise _no_part(found, part)
    if not part and len(found.folders) > 1:
        others = _some(name for name in found.folders if name != "train")
        remarks.append(f"the part train of {found.label}, not {others} (--part)")
    return chosen


def _no_part(found: _Part, part: str) -> DataError:
    has = f"its folders are {_some(found.folders)}" if found.folders else "it has no folders"
    return DataError(f"{found.label} has no folder {part} with pictures; {has}.", "Choose one of them with --part.")


def _listed(path: Path) -> tuple[Side, Side]:
    """The pairs of a CSV."""
    rows = read_pairs(path)
    numbers = np.arange(len(rows), dtype=np.int64)
    sides = [ListedFiles(path.parent, [row[column] for row in rows]) for column in (0, 1)]
    label = printable(str(path))
    a, b = (Side(label, files, numbers, files.names) for files in sides)
    return a, b


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
