"""What is known of the data that a model trains on, and of what it takes and gives. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

TestMode = Literal["paper", "eval"]
"""How a network is used that has batch norm and dropout: "paper", as pix2pix's authors do: norms by the statistics of
each picture alone, and dropout as in training; "eval", as networks commonly are: norms by what was gathered in
training, no dropout."""


@dataclass(frozen=True)
class Translation:
    """What a model that translates pictures takes and gives.

    Attributes:
        takes, gives: "rgb"; "grey"; or "labels", pictures of few colours, each of which stands for a class.
        size: (height, width) of the pictures trained on, pixels.
        fit: how a picture was brought to that size: both sides ("squash"), its width, the height following ("width"),
            or not at all ("none").
        bits: of a sample in what is given back, 8 or 16.
        palette: the colours of labels that are given back, as (red, green, blue) of 0 to 255, where they are known.
        input_palette: the colours by which ids of labels that go in are painted; (): the generic ones.
    """

    takes: Literal["rgb", "grey", "labels"] = "rgb"
    gives: Literal["rgb", "grey", "labels"] = "rgb"
    size: tuple[int, int] = (256, 256)
    fit: Literal["squash", "width", "none"] = "squash"
    bits: Literal[8, 16] = 8
    palette: tuple[tuple[int, int, int], ...] = ()
    input_palette: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Translation:
        """From what `dataclasses.asdict` made of one, be it through JSON."""
        palettes = {name: tuple(map(tuple, plain.get(name, ()))) for name in ("palette", "input_palette")}
        return cls(**{**plain, "size": tuple(plain["size"]), **palettes})


@dataclass(frozen=True)
class DataShape:
    """What a model must know of its data before it sees any.

    Attributes:
        height, width: of the pictures, in pixels.
        channels: 1 for grey, 3 for colour.
        classes: how many there are; 0 for pictures without labels.
        count: how many pictures there are.
        given: channels of the picture that another one is made from; 0 where none is.
        translation: what is known of both of these pictures.
    """

    height: int
    width: int
    channels: int = 3
    classes: int = 0
    count: int = 1
    given: int = 0
    translation: Translation | None = None

    def plain(self) -> dict[str, Any]:
        """For JSON, and for `DataShape.of`: the size, and what is not at its default."""
        found = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}
        return found if self.translation is None else {**found, "translation": asdict(self.translation)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> DataShape:
        """From what `plain` gave, be it through JSON."""
        known = plain.get("translation")
        return cls(**{**plain, "translation": None if known is None else Translation.of(known)})
