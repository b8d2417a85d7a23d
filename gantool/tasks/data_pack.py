"""A set of pictures as one zip of squares and labels, as StyleGAN's tools write and read them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import Image

from gantool.data.archives import TABLE
from gantool.data.cache import reason
from gantool.data.decode import Pixels
from gantool.data.labelled import LabelledPictures, open_labelled
from gantool.data.order import permutation
from gantool.data.squares import square
from gantool.errors import DataError, UsageError
from gantool.files import atomic_write, check_target

Count = Callable[[str, int, int], None]

MOST = 1024  # pixels of a side


@dataclass
class Packed:
    """What was packed.

    Attributes:
        file: the zip.
        pictures: how many it holds.
        size: their sides in pixels.
        channels: 1 where they are known to be grey, else 3.
        classes: how many; 0 without labels.
        bytes: of the file.
        left_out: names and reasons of pictures that could not be read.
        enlarged: how many were smaller.
        notes: what was decided, as sentences.
    """

    file: str
    pictures: int
    size: int
    channels: int
    classes: int
    bytes: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    enlarged: int = 0
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


def pack_data(
    reference: str | Path,
    out: str | Path,
    *,
    size: int = 64,
    crop: Literal["centre", "squash"] = "centre",
    labels: bool = True,
    limit: int | None = None,
    background: str = "white",
    count: Count = lambda what, done, total: None,
) -> Packed:
    """Write a zip of PNG, stored as they are: `00000/img00000000.png`, ... and `dataset.json`.

    Equal pictures and options give an equal file. Grey pictures, where all are known to be, are written as grey.

    Args:
        reference: see `gantool.data.labelled.open_labelled`.
        out: the file to write, whose name ends in .zip; it must not exist.
        size: side of the pictures in pixels.
        crop: how they become squares, as training does it: see `gantool.data.squares.square`.
        labels: whether to keep them, and the names of the classes (a key that others ignore).
        limit: take at most so many, the same ones that training takes with this limit.
        background: the colour under transparent pixels.
        count: told of how many pictures out of how many were written.

    Raises:
        UsageError: `out` is not called .zip.
        ConfigError, DataError: see `open_labelled`; or no picture can be read. Single ones are left out.
        RunError: `out` exists or cannot be written; then nothing is left behind.
    """
    out = Path(out)
    if out.suffix.lower() != ".zip":
        raise UsageError(f"{out} is not called .zip.", f"Write {out.with_suffix('.zip').name}.")
    if not 1 <= size <= MOST or (limit is not None and limit < 1):
        raise ValueError(f"size is {size}, limit {limit}")
    check_target(out, overwrite=False)
    source = open_labelled(reference, background=background)
    keep = source.labels is not None and labels
    packed = Packed(str(out), 0, size, 1 if source.grey else 3, len(source.classes) if keep else 0)
    packed.notes = [*source.remarks]
    if size & (size - 1):
        packed.notes.append(f"StyleGAN trains on powers of two only, which {size} is not")

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            table = _pictures(archive, source, packed, crop, limit, count)
            content: dict[str, Any] = {"labels": table if keep else None}
            if keep:
                content["classes"] = list(source.classes)
            _member(archive, TABLE, json.dumps(content).encode(errors="surrogateescape"))

    atomic_write(out, write, overwrite=False)
    packed.bytes = out.stat().st_size
    return packed


def _pictures(
    archive: zipfile.ZipFile,
    source: LabelledPictures,
    packed: Packed,
    crop: Literal["centre", "squash"],
    limit: int | None,
    count: Count,
) -> list[list[Any]]:
    """Write the pictures; the rows [name, label] of the table."""
    pictures, total = source.pictures, len(source)
    chosen = range(total) if limit is None or limit >= total else np.sort(permutation(0, 0, total)[:limit]).tolist()
    labels = np.zeros(total, np.int64) if source.labels is None else source.labels
    table: list[list[Any]] = []
    error: DataError | None = None
    for done, (index, item) in enumerate(pictures.each(chosen), 1):
        count(f"pictures of {pictures.label}", done, len(chosen))
        if isinstance(item, DataError):
            error = error or item
            packed.left_out.append((pictures.names[index], reason(pictures.names[index], item)))
            continue
        number = f"{packed.pictures:08d}"
        name = f"{number[:5]}/img{number}.png"
        _member(archive, name, _png(square(item.pixels, packed.size, crop), packed.channels))
        table.append([name, int(labels[index])])
        packed.pictures += 1
        packed.enlarged += min(item.pixels.shape[:2]) < packed.size
    if error is not None and not table:
        raise DataError(
            f"None of the {len(chosen):,} pictures in {pictures.label} can be read: the first is "
            f"{packed.left_out[0][1]}.",
            error.hint,
        )
    return table


def _member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), data)  # without a date: equal pictures give an equal file


def _png(pixels: Pixels, channels: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(file, "PNG")
    return file.getvalue()
