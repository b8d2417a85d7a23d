"""Trained models from elsewhere: what is read of them, and how their files are opened."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantool.data.decode import Pixels
from gantool.errors import DataError
from gantool.family import DataShape

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Imported:
    """A trained model, in this program's terms.

    Attributes:
        name: what to call it.
        values: options of the family that the files tell; the others are those of `preset`.
        picture: (H, W, 3) uint8, what a model of one picture was trained on, of the size trained on; else None.
        tensors: by name, of the model's state_dict once all its stages are entered.
        fresh: beginnings of the names that `tensors` may lack: they keep what a new model has.
        notes: sentences on what was found, and on what was not and is assumed.
        preset: whose values stand for what the files do not tell.
        of_set: what a model of a set was told of its data; None for a model of one picture.
        file: of the weights, where a folder was named; its digest tells models from one another.
    """

    name: str
    values: Mapping[str, Any]
    picture: Pixels | None = field(repr=False)
    tensors: Mapping[str, Tensor] = field(repr=False)
    fresh: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    preset: str = "paper"
    of_set: DataShape | None = None
    file: Path | None = None

    @property
    def shape(self) -> DataShape:
        """What the model is told of its data."""
        if self.of_set is not None:
            return self.of_set
        assert self.picture is not None
        return DataShape(self.picture.shape[0], self.picture.shape[1])


def read_pth(path: Path) -> Any:
    """The tensors and plain values of a file that `torch.save` wrote, on the CPU. Nothing in it is executed.

    Raises:
        DataError: it is missing, unreadable or damaged, or holds objects that only executing code could restore.
    """
    import torch

    if not path.is_file():  # opening a pipe would wait for ever
        raise DataError(f"There is no file {path}.", "Check the path.")
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's thoughts on pickle protocols
            return torch.load(content, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file can make the reader raise anything, OSError included
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code:
            raise DataError(
                f"{path} holds more than weights ({code[1]}): opening that would execute code, and was refused.",
                "If you trust the file, open it with the code that made it and save only the state_dict() there.",
            ) from error
        raise DataError(f"{path} is damaged, or no file of PyTorch weights.", "Copy or download it again.") from error
