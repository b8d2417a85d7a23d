"""Pictures to train on, with labels where there are any: folders, zips, digits, arrays, all opened alike."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gantool.data.archives import TABLE, ZipPictures, printable, read_member
from gantool.data.arrays import ArrayPictures
from gantool.data.digit_csv import is_csv, read_csv
from gantool.data.digits import Digits, GreyPictures, sklearn_digits
from gantool.data.hub import HubPictures
from gantool.data.idx import images_in, is_idx, labels_beside, read_idx
from gantool.data.image import read_bytes
from gantool.data.labels import MAX_TABLE, Labels, class_folders, numbered, read_table, stored_labels
from gantool.data.listing import exists, natural_order, read_error
from gantool.data.npy import arrays_in
from gantool.data.pictures import PictureFiles, Pictures, Source
from gantool.errors import DataError

_HASHED = 1 << 30  # bytes of a file that go into a digest
_NAMED = 5  # classes without pictures that are named
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing", "dev"}

Wrap = Callable[[Source], Pictures]


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
        reference: a folder or a zip (labels from the folders in it, or from its `dataset.json`), IDX files or a
            folder of them, a CSV of digits, an `.npy` or `.npz` (labels in the latter's labels, y or label), one
            picture, `builtin:digits`, or `hf:NAME[:SPLIT]`.
        background: the colour under transparent pixels: "white", "black" or "#rrggbb".

    Raises:
        ConfigError: `background` is not a colour.
        DataError: there is nothing of this name, it cannot be read, has no pictures, or labels that make no sense.
    """
    path, name = Path(reference), str(reference)
    if not name.strip():  # a path without words is the current folder, which nobody asked for
        raise DataError("The name of the data is empty.", "Name a folder, a file or builtin:digits.")

    def pictures(source: Source) -> Pictures:
        return Pictures(source, path, background=background, skip_bad=False, threads=None)

    if name.startswith("builtin:"):
        return _builtin(name, pictures)
    if name.startswith("hf:"):
        return _hub(name, pictures)
    if path.is_dir():
        digits = images_in(path)
        return (
            _idx(digits[0], pictures, digits[1:]) if digits else _folder(PictureFiles(path, recursive=True), pictures)
        )
    if path.suffix.lower() == ".zip":
        return _zip(ZipPictures(path), pictures)
    if path.suffix.lower() in (".npy", ".npz"):
        return _array(path, pictures)
    if is_csv(path):
        return _digits("csv", read_csv(path), pictures, (path,))
    if is_idx(path):
        return _idx(path, pictures)
    found = LabelledPictures(pictures(PictureFiles(path, recursive=False)), identity=lambda: file_bytes(path))
    found.pictures.read(0)  # any file may be named here: if it is no picture, that is said now
    return found


def _folder(files: PictureFiles, pictures: Wrap) -> LabelledPictures:
    found = LabelledPictures(pictures(files), identity=lambda: map(files.mark, range(len(files.files))))
    if exists(table := files.folder / TABLE):
        if table.stat().st_size > MAX_TABLE:
            raise DataError(f"{table} is larger than {MAX_TABLE >> 20} MiB.", "Rename it if it is something else.")
        _from_table(found, read_bytes(table), "", str(table))
    else:
        _from_folders(found, lambda prefix: _folders_in(files.folder / prefix))
    return found


def _zip(source: ZipPictures, pictures: Wrap) -> LabelledPictures:
    found = LabelledPictures(pictures(source), identity=lambda: map(source.mark, range(len(source.names))))
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


def _idx(images: Path, pictures: Wrap, others: Sequence[Path] = ()) -> LabelledPictures:
    beside = labels_beside(images)
    found = _digits("idx", read_idx(images, beside), pictures, (images,) if beside is None else (images, beside))
    if beside is None:
        found.remarks.append(f"no labels: there is no file of them beside {images.name}")
    if others:
        found.remarks.append(f"{images.name} is read; name {' or '.join(path.name for path in others)} to have that")
    return found


def _digits(kind: str, digits: Digits, pictures: Wrap, files: tuple[Path, ...] = ()) -> LabelledPictures:
    height, width = digits.pixels.shape[1:]
    found = LabelledPictures(
        pictures(GreyPictures(kind, digits.pixels)),
        grey=True,
        size=(height, width),
        digits=True,
        identity=lambda: file_bytes(*files) if files else (digits.pixels.tobytes(),),
    )
    if digits.labels is not None:
        found.labels, found.classes = digits.labels, numbered(int(digits.labels.max()) + 1)
        _name_empty(found)
    return found


def _builtin(name: str, pictures: Wrap) -> LabelledPictures:
    if name != "builtin:digits":
        raise DataError(f"There is no {name}.", "There is builtin:digits.")
    return _digits("builtin", sklearn_digits(), pictures)


def _array(path: Path, pictures: Wrap) -> LabelledPictures:
    source = ArrayPictures(path, key="x_train", unpack=True)
    found = LabelledPictures(
        pictures(source), grey=source.grey or None, size=source.size, identity=lambda: file_bytes(path)
    )
    arrays = arrays_in(path)
    keys = ("y_train",) if "x_train" in arrays else ("labels", "y", "label")
    key = next((key for key in keys if key in arrays), None)
    if key is not None:
        found.labels, found.classes = stored_labels(arrays[key], len(source.names))
        _name_empty(found)
    if "x_test" in arrays and "x_train" in arrays:
        found.remarks.append("x_train is read, x_test is left out")
    return found


def _hub(name: str, pictures: Wrap) -> LabelledPictures:
    source = HubPictures(name)
    found = LabelledPictures(pictures(source), identity=lambda: (source.fingerprint.encode(),))
    found.labels, found.classes = source.labels, source.classes
    return found


def _name_empty(found: LabelledPictures) -> None:
    """Remark classes between the others, by number, that no picture has."""
    if found.labels is None:
        return
    empty = np.flatnonzero(np.bincount(found.labels, minlength=len(found.classes)) == 0)
    if len(empty) > _NAMED:
        found.remarks.append(f"{len(empty):,} of {len(found.classes):,} classes have no pictures")
    else:
        found.remarks += [f"class {found.classes[label]} has no pictures" for label in empty]


def _from_table(found: LabelledPictures, text: bytes, prefix: str, where: str) -> None:
    names = [name.removeprefix(prefix) for name in found.pictures.names]
    labelled = read_table(text, names, where)
    if labelled is not None:
        found.labels, found.classes = labelled
        _name_empty(found)


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
    for name in natural_order(empty.keys() - set(found.classes)):
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
