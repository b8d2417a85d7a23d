"""Drawing finer pictures on top of a coarse one: several draws from the same start, as in LAPGAN's figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gantool.data.cache import grey
from gantool.data.image import Pixels, load_picture, save_png, to_tensor, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.data.squares import square
from gantool.engine.devices import enough_memory
from gantool.errors import UsageError
from gantool.family import DataShape, RefineRequest, Refines
from gantool.tasks.runs import Run
from gantool.tasks.sample import Drawn, new_folder

if TYPE_CHECKING:
    from torch import Tensor

    from gantool.engine.model import GanModel

ROWS = 24  # draws on the sheet
DIGITS = 40  # far more than a seed has
READABLE = 96  # pixels across: finest pictures that are smaller are shown enlarged


@dataclass(frozen=True)
class Start:
    """What draws stand on.

    Attributes:
        pictures: (1, C, side, side) in [-1, 1].
        level: of the pictures.
        label: the class it was drawn in, if any.
        says: where it comes from, for people.
    """

    pictures: Tensor
    level: int
    label: int | None
    says: str


def draw_on_top(
    run: Run,
    model: GanModel,
    seeds: Sequence[int],
    *,
    coarse: str | int | Path | None,
    from_level: int | None,
    labels: Sequence[int | None],
    to: str | Path | None,
    say: Callable[[str], None],
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> Drawn:
    """Draw each seed in each class on the same start, with new noise at every finer level.

    Args:
        coarse: a picture's file, or a seed that draws the start; None is seed 0.
        from_level: the level of the start, 0 the coarsest; None takes the one whose side a picture has, else 0.
        labels: the classes, or None alone for what the start says.

    Returns:
        The finest pictures, and a sheet with a row for each draw and a column for each level; of several classes, each
        has its share of the rows, which say class and seed.

    Raises:
        UsageError: the model draws all at once; there is no such level, or none above it; a picture is too small.
        DataError: the picture cannot be read.
    """
    if not isinstance(model, Refines):
        raise UsageError(f"{run.id} draws no pictures level by level.", "Leave --coarse and --from-level out.")
    shape = DataShape.of(run.info["shape"])
    start = _start(model, shape, coarse, from_level, labels[0] if len(labels) == 1 else None)
    sides = list(model.level_sides)[start.level :]
    say(f"Every draw begins with {start.says}, {sides[0]} x {sides[0]} px.")
    if shape.classes and start.label is None and labels == [None]:
        say("The class of the picture is not known: draws take the classes in turn. Name one with --class.")
    jobs = [(seed, start.label if label is None else label) for label in labels for seed in seeds]

    def draw(part: Sequence[tuple[int, int | None]]) -> list[list[Pixels]]:
        given = [label for _, label in part if label is not None]
        request = RefineRequest(start.pictures, start.level, [seed for seed, _ in part], given or None)
        with enough_memory("Ask for fewer."):
            return [list(to_uint8(pictures)) for pictures in model.refine(request)]

    levels = draw(jobs[: model.at_once])  # before there is a folder: what is refused leaves nothing behind
    folder = new_folder(run, "samples", to)
    save_png(levels[0][0], folder / "coarse.png")
    rows, names, files = list[list[Pixels]](), list[str](), list[Path]()
    known = run.info["data"].get("classes") or range(shape.classes)
    for index in progress(range(len(jobs))):
        place = index % model.at_once
        if index and not place:
            levels = draw(jobs[index : index + model.at_once])
        seed, label = jobs[index]
        name = f"seed-{seed:04d}" if len(labels) == 1 else f"class-{label}-seed-{seed:04d}"
        files.append(folder / f"{name}.png")
        save_png(levels[-1][place], files[-1])
        if len(rows) < ROWS and index % len(seeds) < max(1, ROWS // len(labels)):
            rows.append([pictures[place] for pictures in levels])
            names += [f"{known[label]}: {seed}"] if len(labels) > 1 and label is not None else []
    save_png(level_sheet(rows, sides, names), folder / "sheet.png")
    return Drawn(folder, tuple(files), folder / "sheet.png")


def level_sheet(rows: Sequence[Sequence[Pixels]], sides: Sequence[int], names: Sequence[str] = ()) -> Pixels:
    """A row for each draw, all levels as large as the finest, with hard pixels; below, what the columns are.

    With names, one a row, each row has its own below its start, and the sides of its other columns beside that.
    """
    cell = sides[-1] * max(1, -(-READABLE // sides[-1]))
    cells = [_enlarged(picture, cell) for row in rows for picture in row]
    columns = len(sides)
    if names:
        labels = [label for name in names for label in (name, *(f"{side} px" for side in sides[1:]))]
        return contact_sheet(cells, columns=columns, labels=labels)
    last = contact_sheet(cells[-columns:], columns=columns, labels=[f"{side} px" for side in sides])
    if len(rows) == 1:
        return last
    return np.concatenate([contact_sheet(cells[:-columns], columns=columns), last])


def _enlarged(picture: Pixels, side: int) -> Pixels:
    """By repeating pixels, to exactly `side`."""
    index = np.arange(side) * picture.shape[0] // side
    large: Pixels = picture[index][:, index]
    return large


def _start(
    model: Refines, shape: DataShape, coarse: str | int | Path | None, level: int | None, label: int | None
) -> Start:
    sides = list(model.level_sides)
    seed = _seed(coarse)
    picture = None if seed is not None else load_picture(str(coarse))
    if level is None:
        short = min(picture.height, picture.width) if picture else 0
        level = sides.index(short) if short in sides[:-1] else 0
    if not 0 <= level < len(sides):
        raise UsageError(f"There is no level {level}.", f"Levels count from 0, the coarsest, to {len(sides) - 1}.")
    if level == len(sides) - 1:
        raise UsageError(f"Level {level} is the finest: there is nothing to draw on top of it.", "Take a coarser one.")
    if picture is None:
        assert seed is not None
        label = seed % shape.classes if label is None and shape.classes else label
        found = model.start([seed], level, None if label is None else [label])
        return Start(found, level, label, f"what seed {seed} draws at level {level}")
    short = min(picture.height, picture.width)
    if short < sides[level]:
        fits = [str(i) for i, side in enumerate(sides[:-1]) if side <= short]
        raise UsageError(
            f"{picture.path} has {picture.width} x {picture.height} pixels; level {level} begins with {sides[level]}.",
            f"Take --from-level {' or '.join(fits)}." if fits else "Take a larger picture.",
        )
    pixels = square(picture.pixels, short)
    pixels = grey(pixels)[..., None].repeat(3, 2) if shape.channels == 1 else pixels
    images = to_tensor(pixels)[:, : shape.channels]
    return Start(model.reduced(images, level), level, label, f"{picture.path} at level {level}")


def _seed(coarse: str | int | Path | None) -> int | None:
    """`coarse` as a seed, if it is a whole number; a file of that name goes first. Raises UsageError for no seed."""
    text = "0" if coarse is None else str(coarse)
    if not re.fullmatch(r"[+-]?\d+", text) or (isinstance(coarse, str | Path) and _is_file(text)):
        return None
    found = int(text) if len(text) < DIGITS else -1
    if not 0 <= found < 2**63:
        raise UsageError(
            f"{text if len(text) < DIGITS else text[:DIGITS] + '...'} is no seed.",
            "Seeds are whole numbers from 0 to below 2^63; or name a picture.",
        )
    return found


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # too long for a name
        return False
