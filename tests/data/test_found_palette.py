"""Palettes found in pictures of labels: colours that are known, behind JPEG and resizing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantool.data.found_palette import find_palette
from gantool.data.palette import nearest_ids, open_palette, paint
from gantool.errors import DataError

FACADES = Path(__file__).parents[3] / "shared" / "data" / "pix2pix" / "facades" / "train"


def maps(colours: np.ndarray, count: int = 6, side: int = 96) -> list[np.ndarray]:
    """Rectangles of these colours, one over the other."""
    random, found = np.random.default_rng(0), []
    for _ in range(count):
        pixels = np.tile(colours[0], (side, side, 1)).astype(np.uint8)
        for colour in [*colours[1:], *colours]:
            top, left = random.integers(0, side - 30, 2)
            pixels[top : top + 30, left : left + 30] = colour
        found.append(pixels)
    return found


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def squeezed(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((67, 71), Image.Resampling.BICUBIC))


def test_few_colours_are_all_classes_however_rare() -> None:
    colours = open_palette("cityscapes").colours[6:20]
    pictures = maps(colours[:-1])
    pictures[3][5, 5] = colours[-1]  # one pixel
    found = find_palette(pictures, "maps")
    assert {*found.plain} == {tuple(colour) for colour in colours.tolist()}
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    counts = [(pixels == colour).all(1).sum() for colour in found.colours]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("quality", [60, 90])
def test_colours_behind_jpeg(quality: int) -> None:
    palette = open_palette("facades")
    found = find_palette([jpeg(pixels, quality) for pixels in maps(palette.colours[1:])], "maps")
    assert sorted(nearest_ids(found.colours, palette.colours)) == list(range(1, 13))
    assert np.abs(found.colours.astype(int) - palette.colours[nearest_ids(found.colours, palette.colours)]).max() < 12


def test_close_colours_that_were_resized_stay_apart() -> None:
    """Truck, caravan and trailer of Cityscapes are 20 levels of blue apart."""
    palette = open_palette("cityscapes")
    colours = palette.colours[[7, 23, 27, 29, 30]]
    found = find_palette([squeezed(pixels) for pixels in maps(colours)], "maps")
    assert {*found.plain} == {tuple(colour) for colour in colours.tolist()}


@pytest.mark.skipif(not FACADES.is_dir(), reason="needs the facades")
def test_facades_as_published_and_their_photographs() -> None:
    files = sorted(FACADES.iterdir())[:40]
    halves = [np.asarray(Image.open(file)) for file in files]
    palette = open_palette("facades")
    ids = nearest_ids(find_palette([half[:, 256:] for half in halves], "facades").colours, palette.colours)
    assert sorted(ids) == list(range(1, 13))
    with pytest.raises(DataError, match=r"photos does not look like maps.*[1-4]\d% of those have one of"):
        find_palette([half[:, :256] for half in halves[:8]], "photos")


def test_what_is_no_map_of_labels() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=r"0% of it are flat.*of 0 frequent colours.*--palette facades, cit"):
        find_palette([noise], "noise")
    soft = Image.fromarray(noise[:5, :5]).resize((24, 24), Image.Resampling.BICUBIC)
    with pytest.raises(DataError, match="soft does not look like maps"):
        find_palette([np.asarray(soft)], "soft")
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (20, 256, 3))
    with pytest.raises(DataError, match="ramp does not look like maps"):
        find_palette([ramp], "ramp")
    with pytest.raises(DataError, match="black has no two colours"):
        find_palette([np.zeros((9, 9, 3), np.uint8)], "black")
    assert len(find_palette([paint(np.eye(3, dtype=int), open_palette("generic"))], "tiny")) == 2
