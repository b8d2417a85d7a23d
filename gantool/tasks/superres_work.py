"""What `superres` does to each picture of the user's."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gantool.data.faithful import Extras, Faithful, load_faithful
from gantool.data.faithful_write import Form
from gantool.tasks.picture_levels import Levels, Tick
from gantool.tasks.picture_names import Item
from gantool.tasks.superres_picture import check_picture, enlarge_picture
from gantool.tasks.superres_tiles import Tiler


@dataclass(frozen=True)
class Enlarging:
    """Pictures become `scale` times as large; see `gantool.tasks.picture_line.Work`.

    Attributes:
        model: what tells the network from others.
        quality: of JPEG and WebP.
    """

    tiler: Tiler
    scale: float
    quality: int | None
    model: str
    at_once: int = 1
    smaller: str = "Use a smaller --scale, or close other programs."

    def told(self, item: Item) -> Mapping[str, Any]:
        """What the journal says was done to it."""
        return {"model": self.model, "scale": self.scale, "quality": self.quality}

    def form(self, item: Item) -> Form:
        """How its result is stored."""
        return Form(item.kind, self.quality)

    def read(self, item: Item) -> Faithful:
        """The picture, if it does not become too large."""
        picture = load_faithful(item.source)
        check_picture(picture, self.scale, int(self.tiler.model.factor), self.form(item), item.name)
        return picture

    def kind(self, picture: Faithful) -> Hashable:
        """Its size; pictures are made one by one."""
        return picture.size

    def make(self, items: Sequence[Item], pictures: Sequence[Faithful], tick: Tick) -> Sequence[Levels]:
        """The enlarged pixels of each."""
        return [enlarge_picture(picture, self.tiler, self.scale, tick) for picture in pictures]

    def finish(self, picture: Faithful, result: Levels) -> tuple[Levels, Extras]:
        """As it is."""
        return result, picture.extras
