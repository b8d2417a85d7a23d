"""Contact sheets: several pictures on one, near-square, with labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gantool.data.decode import Colour, Pixels

_FONT_SIZE = 14
_MARGIN = 3  # above and below a label


def contact_sheet(
    images: Sequence[Pixels],
    *,
    columns: int | None = None,
    labels: Sequence[str] | None = None,
    gap: int = 4,
    background: Colour = (255, 255, 255),
    max_width: int = 4096,
) -> Pixels:
    """Lay pictures out in rows, each centred in a cell as large as the largest of them.

    Args:
        images: (H, W, 3) or (H, W) uint8; sizes may differ.
        columns: pictures per row; by default what makes the sheet nearest to a square.
        labels: one text per picture, drawn below it and cut with "…" where it is wider than the cell.
        gap: pixels between cells and around the sheet.
        background: (red, green, blue); labels are black or white, whichever is readable on it.
        max_width: a wider sheet gets smaller cells (pictures reduced by area averaging, never enlarged).

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: no pictures, another shape or type, labels of another number, or no room for the columns.
    """
    pictures = [_as_rgb(image) for image in images]
    if not pictures or (labels is not None and len(labels) != len(pictures)):
        raise ValueError(f"{len(pictures)} pictures, {'no' if labels is None else len(labels)} labels")
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    font = ImageFont.load_default(_FONT_SIZE)
    strip = _label_height(font) if labels is not None else 0
    width, height = max(p.width for p in pictures), max(p.height for p in pictures)
    columns = min(columns or _squarest(len(pictures), width + gap, height + strip + gap), len(pictures))
    room = (max_width - gap) // columns - gap
    if room < 1:
        raise ValueError(f"{columns} columns do not fit into {max_width} pixels")
    if width > room:
        pictures = [_reduced(picture, room / width) for picture in pictures]
        width, height = max(p.width for p in pictures), max(p.height for p in pictures)

    rows = math.ceil(len(pictures) / columns)
    step_x, step_y = width + gap, height + strip + gap
    sheet = Image.new("RGB", (columns * step_x + gap, rows * step_y + gap), background)
    draw = ImageDraw.Draw(sheet)
    ink = "black" if sum(background) > 382 else "white"
    for index, picture in enumerate(pictures):
        left, top = gap + index % columns * step_x, gap + index // columns * step_y
        sheet.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
        if labels is not None:
            text = _fitted(labels[index], width, font)
            x = left + (width - round(font.getlength(text))) // 2
            draw.text((x, top + height + _MARGIN), text, fill=ink, font=font)
    return np.array(sheet)


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _as_rgb(image: Pixels) -> Image.Image:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"expected (H, W, 3) or (H, W) uint8, got {image.shape} {image.dtype}")
    return Image.fromarray(np.ascontiguousarray(image)).convert("RGB")


def _squarest(count: int, step_x: int, step_y: int) -> int:
    """The number of columns whose sheet is nearest to a square; of equals the one with fewest empty cells."""

    def badness(columns: int) -> tuple[float, int, int]:
        rows = math.ceil(count / columns)
        return abs(math.log(columns * step_x / (rows * step_y))), columns * rows - count, columns

    return min(range(1, count + 1), key=badness)


def _reduced(picture: Image.Image, scale: float) -> Image.Image:
    size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
    return picture.resize(size, Image.Resampling.BOX)


def _label_height(font: Font) -> int:
    return math.ceil(font.getbbox("ÅÉgjpqy|")[3]) + 2 * _MARGIN


def _fitted(text: str, width: int, font: Font) -> str:
    """`text` on one line, shortened to `width` pixels."""
    text = " ".join(text.split()).replace("×", "x")  # Pillow's own font has no multiplication sign
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…" if text else ""
