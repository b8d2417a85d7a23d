"""A page that shows each input beside what the network made of it, and beside the truth where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from gantool.data.faithful import Faithful, load_faithful
from gantool.data.faithful_write import MOST_BYTES
from gantool.data.listing import exists, picture_names
from gantool.data.pair_files import half_of
from gantool.data.pairing import pair_alike
from gantool.errors import DataError
from gantool.tasks import picture_page
from gantool.tasks.picture_line import Outcome
from gantool.tasks.picture_names import Item, Plan
from gantool.tasks.picture_page import Look, Place

STYLE = """
.beside { display: flex; flex-wrap: wrap; gap: 1rem; }
.beside figure { max-width: 100%; overflow: auto; }
.beside img { width: calc(var(--w) * 1px); height: auto;
  background: repeating-conic-gradient(#8883 0 25%, #fff3 0 50%) 0 0 / 16px 16px; }
[data-zoom="1"] .beside img, [data-zoom="2"] .beside img, [data-zoom="4"] .beside img { max-width: none; }
[data-zoom="2"] .beside img { width: calc(var(--w) * 2px); image-rendering: pixelated; }
[data-zoom="4"] .beside img { width: calc(var(--w) * 4px); image-rendering: pixelated; }
"""


@dataclass(frozen=True)
class Named:
    """Pictures as `pair_alike` wants them."""

    label: str
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)


def find_truths(plan: Plan, source: Path, truth: Path) -> dict[Path, Path]:
    """The picture of `truth`, a folder or one file, that belongs to each source of the plan, by their names.

    Raises:
        DataError: pictures without a partner, or nothing there.
    """
    sources = list(dict.fromkeys(item.source for item in plan.items))
    if not exists(truth):
        raise DataError(f"There is no file {truth}.", "Name the folder of the truths.")
    if not truth.is_dir():
        if plan.folder is not None:
            raise DataError(f"{truth} is one picture, and {source} is a folder.", "Name the folder of the truths.")
        return {sources[0]: truth}
    names = picture_names(truth, recursive=True)
    if plan.folder is None:
        alike = [name for name in names if Path(name).stem == sources[0].stem]
        if len(alike) != 1:
            found = "no picture" if not alike else f"{len(alike)} pictures"
            raise DataError(f"{truth} has {found} called {sources[0].stem}.", "Name the truth itself.")
        return {sources[0]: truth / alike[0]}
    inputs = Named(str(source), [os.path.relpath(path, source).replace(os.sep, "/") for path in sources])
    pairs, _ = pair_alike(inputs, Named(str(truth), names))
    return {sources[i]: truth / names[j] for i, j in pairs}


def write_page(
    outcome: Outcome, half: int | None, truths: Mapping[Path, Path], say: Callable[[str], None]
) -> Path | None:
    """Write the page; see `gantool.tasks.picture_page.write_page`.

    Args:
        half: of files with pairs side by side the half that went in; the other one is then the truth.
        truths: by source.
    """
    shown = "input, output and truth" if truths or half is not None else "input and output"
    look = Look("What the network makes of it", shown, "Written by gantool translate.", STYLE)

    def section(item: Item, place: Place) -> str:
        given, truth = load_faithful(item.source), None
        if half is not None:
            given, truth = (_half(given, side) for side in (half, 1 - half))
        elif item.source in truths:
            truth = load_faithful(truths[item.source])
        return _section(item, given, truth, place)

    return picture_page.write_page(outcome, look, section, say)


def _half(picture: Faithful, half: int) -> Faithful:
    return Faithful(half_of(picture.pixels, half), picture.extras)


def _section(item: Item, given: Faithful, truth: Faithful | None, place: Place) -> str:
    """One result's part of the page; what stands beside it is written to the page's folder."""
    result = load_faithful(item.result, max_pixels=MOST_BYTES)
    name = place.beside(item.result)
    ours = place.shown(item.result, result, item.kind, "output")
    figures = [_figure(place, place.save(given.pixels, given.extras, f"{name}-input.png"), given, "input")]
    figures.append(_figure(place, ours, result, "output"))
    if truth is not None:
        path = place.save(truth.pixels, truth.extras, f"{name}-truth.png")
        figures.append(_figure(place, path, truth, "truth"))
    title = item.name if item.seed is None else f"{item.name}, seed {item.seed}"
    width = min(result.size[1], picture_page.SIDE)
    return (
        f'<section style="--w:{width}"><h2>{escape(title)}</h2><div class="beside">{"".join(figures)}</div></section>'
    )


def _figure(place: Place, path: Path, picture: Faithful, label: str) -> str:
    """All are shown as wide as the result, whatever their own size, which the caption tells."""
    height, width = picture.size
    image = place.image(path, picture.size, label)
    return f"<figure>{image}<figcaption>{label}, {width} × {height}</figcaption></figure>"
