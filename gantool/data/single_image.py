"""One picture as the data of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gantool.data.image import Picture, to_tensor
from gantool.family import DataShape

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SingleImage:
    """One decoded picture. The model keeps it as a buffer, so its batches are empty."""

    source: Picture

    @property
    def shape(self) -> DataShape:
        """Its size."""
        return DataShape(self.source.height, self.source.width)

    @property
    def name(self) -> str:
        """Of the file, without its extension."""
        return self.source.name

    def tensor(self) -> Tensor:
        """(1, 3, H, W) float32 in [-1, 1]."""
        return to_tensor(self.source.pixels)

    @property
    def position(self) -> int:
        """Nothing is drawn from it."""
        return 0

    def seek(self, position: int) -> None:
        """Nothing to be found."""

    def batch(self, step: int) -> Any:
        """Nothing: see the class."""
        return None

    def close(self) -> None:
        """Nothing is open."""

    def says(self) -> str:
        """For people: where it comes from, its size, and what was done to it."""
        notes = "".join(f"; {note.rstrip('.')}" for note in self.source.notes)
        return f"{self.source.path} ({self.source.width} × {self.source.height} px{notes})"

    def describe(self) -> dict[str, Any]:
        """What run.json keeps of the input."""
        return {
            "kind": "image",
            "path": str(self.source.path.resolve()),
            "sha256": self.source.sha256,
            "width": self.source.width,
            "height": self.source.height,
            "notes": list(self.source.notes),
        }


@dataclass(frozen=True)
class FineTuning(SingleImage):
    """One picture, the weights that training begins with, and a second picture where the training needs one.

    Attributes:
        weights: the state_dict of the model that is tuned.
        guide: for instance the composite, of the picture's size.
    """

    weights: Mapping[str, Tensor]
    guide: Picture | None = None
