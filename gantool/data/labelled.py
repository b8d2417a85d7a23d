"""Pictures to train on, with labels where there are any: folders, zips, digits, arrays, all opened alike."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gantool.data.archives import TABLE, ZipPictures, printable, read_member
from gantool.data.image import read_bytes
from gantool.data.labels import MAX_TABLE, Labels, class_folders, read_table
from gantool.data.listing import exists, natural_key, read_error
from gantool.data.pictures import PictureFiles, Pictures, Source
from gantool.errors import DataError

_HASHED = 1 << 30  # bytes of a file that go into a digest
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing", "dev"}


@dataclass(eq=False)
class LabelledPictures:
    """A set of pictures to train on.

    Attributes:
        pictures: the pictures themselves.
        labels: (N,) int64, from 0 on; None where there are none.
        classes: their names by label; () where there are no labels.
        grey: True where all pictures are known to be grey; None where that is not known.
        size: (height, width) of all pictures, where it is known without decoding; else None.
        digits: whether they are digits or letters, which are wrong when mirrored.
        remarks: what was found or decided, as sentences.
    """

    pictures: Pictures
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    grey: bool | None = None
    size: tuple[int, int] | None = None
    digits: bool = False
    remarks: list[str] = field(default_factory=list)
    identity: Callable[[], Iterable[bytes]] = field(default=tuple, repr=False)

    def __len__(self) -> int:
        """How many pictures there are, bad ones included."""
        return len(self.pictures)

    @property
    def kind(self) -> str:
        """Where they come from: see `Pictures.kind`."""
        return self.pictures.kind

    def digest(self) -> str:
        """Sha256 over what identifies the data: equal for equal data, wherever it lies.

        Of a folder that is each picture's name and size in bytes, of a zip its names and checksums, of other
        files their bytes (of those above 1 GiB the size and the first GiB); and always the labels.

        Raises:
            DataError: a file cannot be read any more.
        """
        hashed = hashlib.sha256(f"{self.kind} {len(self)}\n".encode())
        for piece in self.identity():
            hashed.update(piece)
        if self.labels is not None:
            hashed.update("\n".join(self.classes).encode(errors="surrogateescape"))
            hashed.update(self.labels.tobytes())
        return hashed.hexdigest()


def open_labelled(reference: str | Path, *, background: str = "white") -> LabelledPictures:
    """What a family of sets trains on.

    Args:
        reference: a folder or a zip (labels from the folders in it, or from its `dataset.json`), or one picture.
        background: the colour under transparent pixels: "white", "black" or "#rrggbb".

    Raises:
        ConfigError: `background` is not a colour.
        DataError: there is nothing of this name, it cannot be read, has no pictures, or labels that make no sense.
    """
    path = Path(reference)

    def pictures(source: Source) -> Pictures:
        return Pictures(source, path, background=background, skip_bad=False, threads=None)

    if path.suffix.lower() == ".zip" and not path.is_dir():
        return _zip(ZipPictures(path), pictures)
    files = PictureFiles(path, recursive=True)
    if files.kind == "file":
        return LabelledPictures(pictures(files), identity=lambda: file_bytes(path))
    return _folder(files, pictures)


def _folder(files: PictureFiles, pictures: Callable[[Source], Pictures]) -> LabelledPictures:
    def identity() -> Iterator[bytes]:
        for name in files.files:
            try:
                size = os.stat(f"{files.folder}/{name}").st_size
            except OSError as error:
                raise read_error(files.folder / name, error) from error
            yield f"{name}\n{size}\n".encode(errors="surrogateescape")

    found = LabelledPictures(pictures(files), identity=identity)
    if exists(table := files.folder / TABLE):
        if table.stat().st_size > MAX_TABLE:
            raise DataError(f"{table} is larger than {MAX_TABLE >> 20} MiB.", "Rename it if it is something else.")
        _from_table(found, read_bytes(table), "", str(table))
    else:
        _from_folders(found, lambda prefix: _folders_in(files.folder / prefix))
    return found


def _zip(source: ZipPictures, pictures: Callable[[Source], Pictures]) -> LabelledPictures:
    def identity() -> Iterator[bytes]:
        for name, member in zip(source.names, source.members, strict=True):
            yield f"{name}\n{member.file_size} {member.CRC}\n".encode(errors="surrogateescape")

    found = LabelledPictures(pictures(source), identity=identity)
    inside = min(source.tables, key=lambda name: name.count("/"), default=None)  # that of the top, where there is one
    prefix = "" if inside is None else inside.removesuffix(TABLE)
    if inside is not None and all(name.startswith(prefix) for name in source.names):
        member, label = source.tables[inside], f"{source.path}/{printable(inside)}"
        if member.file_size > MAX_TABLE:
            raise DataError(f"{label} is larger than {MAX_TABLE >> 20} MiB.", "Pack the archive without it.")
        _from_table(found, read_member(source.path, member, Path(label)), prefix, label)
    else:
        _from_folders(found, lambda prefix: _folders_below(prefix, source.folders))
    return found


def _from_table(found: LabelledPictures, text: bytes, prefix: str, where: str) -> None:
    names = [name.removeprefix(prefix) for name in found.pictures.names]
    labelled = read_table(text, names, where)
    if labelled is not None:
        found.labels, found.classes = labelled


def _from_folders(found: LabelledPictures, folders: Callable[[str], dict[str, bool]]) -> None:
    """Labels from folders; `folders(prefix)` are those in `prefix`, and whether each is a link."""
    labelled = class_folders(found.pictures.names)
    if labelled is None:
        return
    found.labels, found.classes, prefix = labelled
    if prefix:
        found.remarks.append(f"the classes are the folders in {prefix}")
    if len(found.classes) > 1 and {name.casefold() for name in found.classes} <= _PARTS:
        names = ", ".join(found.classes)
        found.remarks.append(f"the folders {names} are taken as classes; name one of them if they are parts of a set")
    empty = folders(prefix)
    for name in sorted(empty.keys() - set(found.classes), key=natural_key):
        why = "is a link, which is not followed," if empty[name] else "has no pictures"
        found.remarks.append(f"class {name} {why} and is left out")


def _folders_in(folder: Path) -> dict[str, bool]:
    try:
        with os.scandir(folder) as entries:
            return {
                printable(entry.name): entry.is_symlink()
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir()
            }
    except OSError as error:
        raise read_error(folder, error) from error


def _folders_below(prefix: str, folders: Iterable[str]) -> dict[str, bool]:
    below = (printable(name) for name in folders)
    names = (name.removeprefix(prefix) for name in below if name.startswith(prefix))
    return dict.fromkeys((name for name in names if name and "/" not in name and name[0] not in "._"), False)


def file_bytes(*paths: Path) -> Iterator[bytes]:
    """The bytes of files, for a digest: those above 1 GiB as their size and first GiB.

    Raises:
        DataError: one cannot be read.
    """
    for path in paths:
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                yield f"{size}\n".encode()
                left = min(size, _HASHED)
                while left > 0 and (chunk := file.read(min(left, 1 << 20))):
                    yield chunk
                    left -= len(chunk)
        except OSError as error:
            raise read_error(path, error) from error
