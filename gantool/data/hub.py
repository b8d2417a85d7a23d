"""Data sets of the Hugging Face Hub, `hf:NAME[:SPLIT]`, by way of the optional package `datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gantool.data.decode import MAX_PIXELS, Colour, Pixels, decode_picture, is_jpeg
from gantool.data.image import read_bytes
from gantool.data.labels import Labels
from gantool.errors import DataError


class HubPictures:
    """The pictures of `hf:NAME[:SPLIT]` (SPLIT: train), called "0", "1", ...: a `gantool.data.pictures.Source`.

    They are the first column of pictures, labels the first of classes. No code of the data set is run.

    Attributes:
        labels: (N,), None where there is no such column, or a label is missing (-1).
        classes: their names.
        fingerprint: what `datasets` knows the data by.

    Raises:
        DataError: the package is missing, the data cannot be loaded, or has no pictures.
    """

    kind = "hf"
    parallel = True

    def __init__(self, reference: str) -> None:
        try:
            import datasets  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            raise DataError(
                f"{reference} needs the package datasets, which is not installed.", 'Run: pip install "gantool[hf]"'
            ) from error
        name, _, split = reference.removeprefix("hf:").partition(":")
        try:
            data = datasets.load_dataset(name, split=split or "train")
        except Exception as error:  # the network's, the hub's, and those of a dozen file formats
            reason = next(iter(str(error).strip().splitlines()), "").rstrip(".") or type(error).__name__
            raise DataError(
                f"{reference} cannot be loaded ({reason}).",
                "Check name, split and network; what was loaded once is found without a network.",
            ) from error
        features = data.features
        pictures = [column for column, kind in features.items() if isinstance(kind, datasets.Image)]
        if not pictures or not len(data):
            found = ", ".join(features) or "none"
            raise DataError(f"{reference} has no pictures (its columns: {found}).", "Choose a data set of pictures.")
        self.names: Sequence[str] = [str(index) for index in range(len(data))]
        self.remarks: list[str] = []
        self.fingerprint = f"{name} {split} {getattr(data, '_fingerprint', '')}"
        self.labels: Labels | None = None
        self.classes: tuple[str, ...] = ()
        labels = next((column for column, kind in features.items() if isinstance(kind, datasets.ClassLabel)), None)
        if labels is not None:
            numbers = np.array([-1 if label is None else label for label in data[labels]], np.int64)
            if (numbers >= 0).all():
                self.labels, self.classes = numbers, tuple(features[labels].names)
        self._reference, self._column = reference, pictures[0]
        # Undecoded: gantool's own decoder treats every source alike.
        self._data = data.cast_column(self._column, datasets.Image(decode=False)).select_columns([self._column])

    def load(self, index: int, colour: Colour) -> tuple[Pixels, list[str], bool]:
        """Picture `index` as (H, W, 3) uint8, what was done to it, and whether it comes from JPEG.

        Raises:
            DataError: it is missing or cannot be read.
        """
        cell: Any = self._data[index][self._column] or {}
        path = Path(f"{self._reference}/{index}")
        data = cell.get("bytes")
        if data is None:
            if not cell.get("path"):
                raise DataError(f"{path} is missing.", "Leave it out of the data set.")
            data = read_bytes(Path(cell["path"]))
        pixels, notes = decode_picture(path, data, colour=colour, max_pixels=MAX_PIXELS, min_side=1)
        return pixels, notes, is_jpeg(data)
