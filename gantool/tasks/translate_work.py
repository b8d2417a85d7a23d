"""What `translate` does to each picture: on the way to the network as in training, and on the way back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gantool.data.decode import Colour
from gantool.data.faithful import Extras, Faithful, Samples, decode_faithful, fitting_profile
from gantool.data.faithful_write import Form, check_room
from gantool.data.image import read_bytes
from gantool.data.pair_files import half_of
from gantool.data.palette import Palette, nearest_ids
from gantool.data.sides import Reading, eight_bits, fitted, read_side, resized
from gantool.errors import DataError
from gantool.family import Translation
from gantool.tasks.picture_levels import Levels, Tick, luma
from gantool.tasks.picture_names import Item
from gantool.tasks.translate_passes import Passes
from gantool.tasks.translator import Habits

Size = Literal["trained", "own"] | tuple[int, int]
SMALLER = "Name a smaller --size, or leave out --restore."


@dataclass(frozen=True, eq=False)
class Prepared(Faithful):
    """A picture as the network takes it: `pixels` have its channels, and the size that is translated.

    Attributes:
        alpha: (H, W, 1), of the file's own size and depth; None where the result is to be opaque.
        own: (height, width) of the picture in the file.
    """

    alpha: Samples | None = field(default=None, repr=False)
    own: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Manner:
    """How pictures are brought to the network, and what it gives to files.

    Attributes:
        translation, habits: of the model.
        size: at which pictures are translated: that trained on, their own, or (height, width).
        restore: bring results to the size of the picture in the file.
        snap: bring labels that are given back to the nearest of their colours.
        matte: put transparent pixels on this colour, and make results opaque; None keeps alpha.
        half: of a file that holds a pair side by side, the half that goes in, LEFT or RIGHT; None: all of it.
    """

    translation: Translation
    habits: Habits = field(default_factory=Habits)
    size: Size = "trained"
    restore: bool = False
    snap: bool = False
    matte: Colour | None = None
    half: int | None = None

    @property
    def channels(self) -> int:
        """Of what is given back, alpha left out."""
        return 1 if self.translation.gives == "grey" else 3

    def load(self, path: Path) -> Prepared:
        """A picture file, ready for the network.

        Raises:
            DataError: it cannot be read; or labels have an id for which there is no colour.
        """
        data = read_bytes(path)
        picture = decode_faithful(path, data)
        if self.half is not None and picture.size[1] < 2:
            raise DataError(f"{path} is one pixel wide, and holds no two pictures.", "Leave out --pairs.")
        if self.translation.takes != "labels":
            return self.prepare(picture)
        known = self.translation.input_palette
        palette = Palette("training", np.array(known, np.uint8)) if known else None
        how = Reading("labels", palette=palette, background=self.matte or self.habits.background)
        return self.prepare(picture, read_side(path, data, how))

    def prepare(self, picture: Faithful, colours: Samples | None = None) -> Prepared:
        """A decoded picture, ready for the network; `colours`, (H, W, 3), are its pixels as labels have them."""
        alpha = picture.pixels[..., -1:] if picture.pixels.shape[2] in (2, 4) and self.matte is None else None
        pixels = self._colours(picture) if colours is None else colours
        if self.half is not None:
            pixels, alpha = half_of(pixels, self.half), None if alpha is None else half_of(alpha, self.half)
        own = (int(pixels.shape[0]), int(pixels.shape[1]))
        pixels, notes = self._sized(pixels)
        extras = picture.extras
        if "labels" in (self.translation.takes, self.translation.gives):
            extras = replace(extras, icc=None)  # a profile is about colours that are seen
        return Prepared(np.ascontiguousarray(pixels), extras, (*picture.notes, *notes), alpha, own)

    def _colours(self, picture: Faithful) -> Samples:
        """(H, W, 1 or 3), as the network takes it, on the background of the training where it is transparent."""
        pixels = picture.pixels
        if pixels.shape[2] in (2, 4):
            pixels = _opaque(pixels, self.matte or self.habits.background)
        if self.translation.takes == "grey" and pixels.shape[2] == 3:
            grey: Samples = np.empty(pixels.shape[:2], pixels.dtype)
            luma(pixels, grey)
            return grey[..., None]
        if self.translation.takes != "grey" and pixels.shape[2] == 1:
            return np.repeat(pixels, 3, axis=2)
        return pixels

    def _sized(self, pixels: Samples) -> tuple[Samples, list[str]]:
        """The picture at the size that is translated, and what was done."""
        takes, before, (height, width) = self.translation.takes, pixels.shape[:2], self.translation.size
        if self.size == "own":
            return pixels, []
        if self.size == "trained":
            pixels = fitted(pixels, (height, width), self.translation.fit, takes)
            how = f"{width} × {height}" if self.translation.fit == "squash" else f"a width of {width}"
            how += ", as in training"
        else:
            pixels = resized(pixels, self.size, takes)
            how = f"{self.size[1]} × {self.size[0]}"
        if pixels.shape[:2] == before:
            return pixels, []
        notes = [f"brought to {how}{', and the result back' if self.restore else ''}"]
        if self.half is None and self.habits.side_by_side and before[1] * height == 2 * before[0] * width:
            notes.append("twice as wide as what was trained on; of pairs side by side --pairs takes one half")
        return pixels, notes

    def check(self, picture: Prepared, name: str, form: Form) -> None:
        """Raises DataError where the result of a picture, called `name`, cannot be written: too large, transparent."""
        if form.kind == "jpg" and picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
            raise DataError(
                f"{name} is transparent in places, which JPEG cannot hold.",
                "Write PNG; or put it on a colour, as in --matte white.",
            )
        height, width = picture.own if self.restore else picture.size
        samples = self.channels + (picture.alpha is not None)
        check_room(name, form, height, width, samples * self.translation.bits // 8, SMALLER)

    def finish(self, picture: Prepared, result: Levels) -> Levels:
        """What the network gave, (H, W, C), as it goes into the file: with alpha, of the size asked for."""
        if self.snap:
            colours = np.array(self.translation.palette, np.uint8)
            result = colours[nearest_ids(result, colours)]
            result = result if self.translation.bits == 8 else result.astype(np.uint16) * 257
        if self.restore:
            result = resized(result, picture.own, self.translation.gives)
        if picture.alpha is None:
            return result
        alpha = resized(picture.alpha, (result.shape[0], result.shape[1]), "grey")
        return np.concatenate([result, _of_depth(alpha, result.dtype)], 2)

    def extras(self, picture: Prepared, pixels: Levels) -> Extras:
        """What a result's file says beside its pixels."""
        return replace(picture.extras, icc=fitting_profile(picture.extras.icc, pixels))

    def told(self) -> dict[str, Any]:
        """For the journal: what makes results differ."""
        size = self.size if isinstance(self.size, str) else f"{self.size[1]}x{self.size[0]}"
        matte = None if self.matte is None else "#{:02x}{:02x}{:02x}".format(*self.matte)
        return {"size": size, "restore": self.restore, "snap": self.snap, "matte": matte, "half": self.half}


def _opaque(pixels: Samples, background: Colour) -> Samples:
    """(H, W, 2 or 4) put on a colour: (H, W, 3), or where that is grey and the picture, too, (H, W, 1)."""
    top = np.iinfo(pixels.dtype).max
    behind = np.array(background, np.float32) * (top / 255)
    if pixels.shape[2] == 2 and len(set(background)) == 1:
        behind = behind[:1]
    alpha = pixels[..., -1:].astype(np.float32) / top
    return np.rint(pixels[..., :-1] * alpha + behind * (1 - alpha)).astype(pixels.dtype)


def _of_depth(pixels: Samples, dtype: np.dtype[Any]) -> Samples:
    """The same as bytes, or as 16 bits."""
    if pixels.dtype == dtype:
        return pixels
    return pixels.astype(np.uint16) * 257 if dtype == np.uint16 else eight_bits(pixels)


@dataclass(frozen=True)
class Translating:
    """Pictures are translated; see `gantool.tasks.picture_line.Work`.

    Attributes:
        model: what tells the network from others.
        seed: of results that have none of their own.
        quality: of JPEG and WebP.
    """

    manner: Manner
    passes: Passes
    model: str
    seed: int = 0
    quality: int | None = None
    smaller: str = SMALLER

    @property
    def at_once(self) -> int:
        """As many as go through the network together."""
        return self.passes.batch

    def seed_of(self, item: Item) -> int:
        """Of the noise."""
        return self.seed if item.seed is None else item.seed

    def told(self, item: Item) -> Mapping[str, Any]:
        """What the journal says was done to it."""
        passes = self.passes
        how = {"test_mode": passes.mode, "tile": passes.tile, "overlap": passes.overlap if passes.tile else None}
        seed = self.seed_of(item)
        return {"model": self.model, **self.manner.told(), **how, "seed": seed, "quality": self.quality}

    def form(self, item: Item) -> Form:
        """How its result is stored."""
        return Form(item.kind, self.quality)

    def read(self, item: Item) -> Prepared:
        """The picture, if its result can be written."""
        picture = self.manner.load(item.source)
        self.manner.check(picture, item.name, self.form(item))
        return picture

    def kind(self, picture: Faithful) -> Hashable:
        """Its shape."""
        return picture.pixels.shape

    def make(self, items: Sequence[Item], pictures: Sequence[Faithful], tick: Tick) -> Sequence[Levels]:
        """What the network makes of each."""
        seeds = [self.seed_of(item) for item in items]
        return self.passes.translate([p.pixels for p in pictures], seeds, self.manner.translation.bits, tick)

    def finish(self, picture: Faithful, result: Levels) -> tuple[Levels, Extras]:
        """In a thread: what the result's file holds."""
        assert isinstance(picture, Prepared)
        pixels = self.manner.finish(picture, result)
        return pixels, self.manner.extras(picture, pixels)
