"""A page that shows results beside what they were made from: one file, and a hidden folder of its own pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from gantool.data.faithful import Extras, Faithful
from gantool.data.faithful_write import Form, encode
from gantool.errors import DataError, RunError
from gantool.files import atomic_write, write_error
from gantool.nn.imresize_strips import imresize_levels
from gantool.tasks.picture_levels import Levels
from gantool.tasks.picture_line import Outcome
from gantool.tasks.picture_names import Item
from gantool.tasks.report_page import GENERATOR, page

PAGE = "compare"
SIDE = 3000  # pixels of a side that are shown; of a larger picture its middle
SHOWN = ("png", "webp", "jpg")  # kinds that a browser shows

STYLE = """
.bar { position: sticky; top: 0; z-index: 1; padding: .5rem 0; background: var(--paper);
  border-bottom: 1px solid var(--rule); }
.bar button { font: inherit; padding: .1rem .7rem; margin-right: .3rem; color: inherit; background: var(--panel);
  border: 1px solid var(--rule); border-radius: .3rem; }
.bar button[aria-pressed=true] { border-color: var(--line); color: var(--line); font-weight: 600; }
"""

SCRIPT = """
for (const button of document.querySelectorAll(".bar button"))
  button.addEventListener("click", () => {
    document.body.dataset.zoom = button.value;
    for (const other of document.querySelectorAll(".bar button"))
      other.setAttribute("aria-pressed", String(other === button));
  });
"""

BAR = (
    '<div class="bar">Size: <button value="fit" aria-pressed="true">to fit</button>'
    + "".join(f'<button value="{n}" aria-pressed="false">{n} : 1</button>' for n in (1, 2, 4))
    + "</div>"
)


@dataclass(frozen=True)
class Place:
    """Where a page is, and where its own pictures go.

    Attributes:
        root: the folder that it is in, and the results under it.
        folder: hidden, so that what is in it is not taken for results.
    """

    root: Path
    folder: Path

    def shown(self, result: Path, picture: Faithful, kind: str, name: str) -> Path:
        """The file to show for a result: itself, or where a browser cannot show it or it is large, one of `name`."""
        if max(picture.size) <= SIDE and kind in SHOWN:
            return result
        return self.save(picture.pixels, picture.extras, f"{self.beside(result)}-{name}.png")

    def save(self, pixels: Levels, extras: Extras, name: str) -> Path:
        """Write the middle of a picture as a PNG of 8 bits: colours as in the file, by its profile."""
        path = self.folder / name
        top, left = (max(0, side - SIDE) // 2 for side in pixels.shape[:2])
        pixels = pixels[top : top + SIDE, left : left + SIDE]
        if pixels.itemsize > 1:
            pixels = imresize_levels(pixels, 1, dtype="uint8")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        atomic_write(path, encode(pixels, Extras(icc=extras.icc), Form("png"))[0], sync=False)
        return path

    def beside(self, path: Path) -> str:
        """The path as it is called from the page's folder."""
        return os.path.relpath(path, self.root)

    def image(self, path: Path, size: tuple[int, int], alt: str, css: str = "") -> str:
        """An <img> of a picture of `size` (height, width), of which no more than the middle is in the file."""
        source = quote(self.beside(path).replace(os.sep, "/"), errors="surrogateescape")
        height, width = (min(side, SIDE) for side in size)
        kind = f' class="{css}"' if css else ""
        return f'<img{kind} src="{source}" width="{width}" height="{height}" loading="lazy" alt="{escape(alt)}">'


@dataclass(frozen=True)
class Look:
    """What is the same for a whole page; all but `style` and `script` are text.

    Attributes:
        title, about: at its top; `about` follows the number of pictures.
        style, script: beside `STYLE` and `SCRIPT`.
        foot: at its end.
    """

    title: str
    about: str
    foot: str
    style: str = ""
    script: str = ""


def write_page(
    outcome: Outcome, look: Look, section: Callable[[Item, Place], str], say: Callable[[str], None]
) -> Path | None:
    """Write the page and its pictures, and give its path; None where there is nothing to show.

    Of a folder that is compare.html among the results; of one picture NAME-compare.html beside the result. Its own
    pictures are in a hidden folder, `.compare` or `.NAME-compare`.

    Args:
        section: one picture's part of the page, as HTML; what it raises as DataError is said, and the part left out.

    Raises:
        RunError: it cannot be written, or there is another file of that name.
    """
    items: Sequence[Item] = outcome.there
    if not items:
        return None
    root = outcome.plan.root
    name = PAGE if outcome.plan.folder is not None else f"{items[0].result.stem}-{PAGE}"
    target = _ours(root / f"{name}.html")
    place, sections = Place(root, root / f".{name}"), []
    for item in items:
        try:
            sections.append(section(item, place))
        except DataError as error:
            say(f"{item.name} is not on the page: {error.what}")
    label = "one picture" if len(items) == 1 else f"{len(items)} pictures"
    head = f'<p class="soft">{escape(f"{label}, {look.about}")}</p>'
    head += f"<style>{STYLE}{look.style}</style>{BAR}"
    text = page(look.title, head, sections, look.foot)
    script = f"<script>{look.script}{SCRIPT}</script>\n</body>"
    atomic_write(target, text.replace("</body>", script).encode(), sync=False)
    return target


def _ours(path: Path) -> Path:
    """The path, unless a file is there that is no page of gantool."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            ours = GENERATOR in file.read(1000)
    except OSError:
        return path  # not there, or not readable: writing will say
    if not ours:
        raise RunError(f"{path} exists and is no page of gantool.", "Move it away, or go without --compare.")
    return path
