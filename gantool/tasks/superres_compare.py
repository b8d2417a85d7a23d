"""A page that shows each result beside MATLAB's bicubic enlargement of the same picture."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

from gantool.data.faithful import load_faithful
from gantool.data.faithful_write import MOST_BYTES
from gantool.nn.imresize_strips import imresize_levels
from gantool.tasks import picture_page
from gantool.tasks.picture_line import Outcome
from gantool.tasks.picture_names import Item
from gantool.tasks.picture_page import Look, Place

STYLE = """
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
"""


def write_page(outcome: Outcome, scale: float, say: Callable[[str], None]) -> Path | None:
    """Write the page of pictures that are `scale` times as large; see `gantool.tasks.picture_page.write_page`."""
    look = Look("Bicubic and the network", f"{scale:g} times as large", "Written by gantool superres.", STYLE, SCRIPT)
    return picture_page.write_page(outcome, look, lambda item, place: _section(item, scale, place), say)


def _section(item: Item, scale: float, place: Place) -> str:
    """One picture's part of the page; its bicubic enlargement is written to the page's folder."""
    result = load_faithful(item.result, max_pixels=MOST_BYTES)
    source = load_faithful(item.source)
    height, width = result.size
    bicubic = imresize_levels(source.pixels, scale, size=(height, width))
    ours = place.shown(item.result, result, item.kind, "network")
    theirs = place.save(bicubic, source.extras, f"{place.beside(item.result)}-bicubic.png")
    size = f"{source.size[1]} × {source.size[0]} px to {width} × {height} px"
    side = picture_page.SIDE
    if max(height, width) > side:
        size += f"; shown is the middle, {min(width, side)} × {min(height, side)} px"
    images = place.image(theirs, (height, width), "bicubic", "theirs")
    images += place.image(ours, (height, width), "the network", "ours")
    return (
        f'<section style="--w:{min(width, side)}"><h2>{escape(item.name)}</h2><p class="soft">{escape(size)}</p>'
        f'<div class="pair"><div class="stack">{images}</div></div>'
        '<input type="range" min="0" max="100" step="0.1" value="50" aria-label="how much of bicubic is seen">'
        '<p class="soft ends"><span>bicubic</span><span>the network</span></p></section>'
    )
