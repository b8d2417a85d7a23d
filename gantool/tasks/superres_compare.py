"""A page that shows each result beside MATLAB's bicubic enlargement of the same picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import quote

from gantool.data.faithful import Extras, load_faithful
from gantool.data.faithful_write import MOST_BYTES, Form, encode
from gantool.errors import DataError, RunError
from gantool.files import atomic_write, write_error
from gantool.nn.imresize_strips import imresize_levels
from gantool.tasks.report_page import GENERATOR, page
from gantool.tasks.superres_line import Enlarged
from gantool.tasks.superres_names import Item
from gantool.tasks.superres_tiles import Levels

PAGE = "compare"
SIDE = 3000  # pixels of a side that are shown; of a larger result its middle
SHOWN = ("png", "webp", "jpg")  # kinds that a browser shows

STYLE = """
.bar { position: sticky; top: 0; z-index: 1; padding: .5rem 0; background: var(--paper);
  border-bottom: 1px solid var(--rule); }
.bar button { font: inherit; padding: .1rem .7rem; margin-right: .3rem; color: inherit; background: var(--panel);
  border: 1px solid var(--rule); border-radius: .3rem; }
.bar button[aria-pressed=true] { border-color: var(--line); color: var(--line); font-weight: 600; }
.pair { overflow: auto; width: fit-content; max-width: 100%; max-height: 85vh; border: 1px solid var(--rule); }
.stack { display: grid; width: max-content; max-width: 100%; cursor: col-resize;
  background: repeating-conic-gradient(#8883 0 25%, #fff3 0 50%) 0 0 / 16px 16px; }
.stack > * { grid-area: 1 / 1; width: calc(var(--w) * 1px); background: none; }
.stack .theirs { clip-path: inset(0 calc(100% - var(--cut, 50%)) 0 0); }
.stack .ours { clip-path: inset(0 0 0 var(--cut, 50%)); }
.stack::after { content: ""; grid-area: 1 / 1; width: 2px; margin-left: calc(var(--cut, 50%) - 1px);
  background: #fff; box-shadow: 0 0 3px #000; pointer-events: none; }
[data-zoom="1"] .stack, [data-zoom="2"] .stack, [data-zoom="4"] .stack { max-width: none; }
[data-zoom="1"] .stack img { max-width: none; }
[data-zoom="2"] .stack img { max-width: none; width: calc(var(--w) * 2px); image-rendering: pixelated; }
[data-zoom="4"] .stack img { max-width: none; width: calc(var(--w) * 4px); image-rendering: pixelated; }
.pair + input { display: block; width: 100%; max-width: calc(var(--w) * 1px + 2px); margin: .4rem 0 0; }
.ends { display: flex; justify-content: space-between; max-width: calc(var(--w) * 1px + 2px); margin: 0; }
[data-zoom="2"] :is(.pair + input, .ends), [data-zoom="4"] :is(.pair + input, .ends) { max-width: none; }
"""

SCRIPT = """
for (const slider of document.querySelectorAll("input[type=range]")) {
  const stack = slider.previousElementSibling.firstElementChild;
  const cut = () => stack.style.setProperty("--cut", slider.value + "%");
  slider.addEventListener("input", cut);
  stack.addEventListener("pointermove", (event) => {
    const box = stack.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    cut();
  });
}
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


def write_page(enlarged: Enlarged, say: Callable[[str], None]) -> Path | None:
    """Write the page and its pictures, and give its path; None where there is nothing to show.

    Of a folder that is compare.html among the results; of one picture NAME-compare.html beside the result. Its own
    pictures are in a hidden folder, `.compare` or `.NAME-compare`, so that they are not taken for results.

    Raises:
        RunError: it cannot be written, or there is another file of that name.
    """
    there = {*enlarged.made, *enlarged.skipped}
    items = [item for item in enlarged.plan.items if item in there]
    if not items:
        return None
    root = enlarged.plan.root
    name = PAGE if enlarged.plan.folder is not None else f"{items[0].result.stem}-{PAGE}"
    target = _ours(root / f"{name}.html")
    sections = []
    for item in items:
        try:
            sections.append(_section(item, enlarged.scale, root, root / f".{name}"))
        except DataError as error:
            say(f"{item.name} is not on the page: {error.what}")
    label = "one picture" if len(items) == 1 else f"{len(items)} pictures"
    head = f'<p class="soft">{escape(f"{label}, {enlarged.scale:g} times as large")}</p>'
    head += f"<style>{STYLE}</style>{BAR}"
    text = page("Bicubic and the network", head, sections, "Written by gantool superres.")
    atomic_write(target, text.replace("</body>", f"<script>{SCRIPT}</script>\n</body>").encode(), sync=False)
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


def _section(item: Item, scale: float, root: Path, folder: Path) -> str:
    """One picture's part of the page; its bicubic enlargement is written to `folder`."""
    result = load_faithful(item.result, max_pixels=MOST_BYTES)
    source = load_faithful(item.source)
    height, width = result.size
    bicubic = imresize_levels(source.pixels, scale, size=(height, width))
    beside = os.path.relpath(item.result, root)
    ours = item.result
    if max(height, width) > SIDE or item.kind not in SHOWN:
        ours = _save(_middle(result.pixels), result.extras, folder / f"{beside}-network.png")
    theirs = _save(_middle(bicubic), source.extras, folder / f"{beside}-bicubic.png")
    size = f"{source.size[1]} × {source.size[0]} px to {width} × {height} px"
    if max(height, width) > SIDE:
        size += f"; shown is the middle, {min(width, SIDE)} × {min(height, SIDE)} px"
    images = "".join(
        f'<img{css} src="{quote(os.path.relpath(path, root).replace(os.sep, "/"), errors="surrogateescape")}" '
        f'width="{min(width, SIDE)}" height="{min(height, SIDE)}" loading="lazy" alt="{alt}">'
        for path, css, alt in ((theirs, ' class="theirs"', "bicubic"), (ours, ' class="ours"', "the network"))
    )
    return (
        f'<section style="--w:{min(width, SIDE)}"><h2>{escape(item.name)}</h2><p class="soft">{escape(size)}</p>'
        f'<div class="pair"><div class="stack">{images}</div></div>'
        '<input type="range" min="0" max="100" step="0.1" value="50" aria-label="how much of bicubic is seen">'
        '<p class="soft ends"><span>bicubic</span><span>the network</span></p></section>'
    )


def _middle(pixels: Levels) -> Levels:
    top, left = (max(0, side - SIDE) // 2 for side in pixels.shape[:2])
    return pixels[top : top + SIDE, left : left + SIDE]


def _save(pixels: Levels, extras: Extras, path: Path) -> Path:
    """A PNG of 8 bits: colours as in the file, by its profile."""
    if pixels.itemsize > 1:
        pixels = imresize_levels(pixels, 1, dtype="uint8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    atomic_write(path, encode(pixels, Extras(icc=extras.icc), Form("png"))[0], sync=False)
    return path
