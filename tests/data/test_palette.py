"""Palettes: the published colours, ids painted and found again, and files that are none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist

from gantool.data.palette import generic_colours, nearest_ids, open_palette, paint
from gantool.errors import DataError

FACADES = Path(__file__).parents[3] / "shared" / "data" / "pix2pix" / "facades" / "train"
RANDOM = np.random.default_rng(2)


def test_cityscapes_has_its_published_colours():
    palette = open_palette("cityscapes")
    assert len(palette) == len(palette.names) == 34
    known = {0: ("unlabeled", (0, 0, 0)), 7: ("road", (128, 64, 128)), 18: ("polegroup", (153, 153, 153))}
    known |= {23: ("sky", (70, 130, 180)), 26: ("car", (0, 0, 142)), 33: ("bicycle", (119, 11, 32))}
    assert {k: (palette.names[k], palette.plain[k]) for k in known} == known


def test_generic_colours_are_those_of_pascal_voc():
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {k: open_palette("generic").plain[k] for k in known} == known
    assert len(np.unique(generic_colours(np.arange(65536)), axis=0)) == 65536


@pytest.mark.skipif(not FACADES.is_dir(), reason="needs the pictures of ../shared/data")
def test_facades_are_the_colours_of_the_pictures():
    """The commonest colours of the label maps, JPEG's traces aside, are those of the palette."""
    maps = [np.asarray(Image.open(path))[:, 256:].astype(int) for path in sorted(FACADES.glob("*.jpg"))]
    codes, counts = np.unique(np.stack(maps) @ [65536, 256, 1], return_counts=True)
    common = codes[np.argsort(-counts)[:40], None] >> [16, 8, 0] & 255
    distances = cdist(common, open_palette("facades").colours.astype(int))
    assert distances.min(1).max() <= 6  # colours are 80 apart
    assert len(set(distances.argmin(1))) >= 8


@pytest.mark.parametrize("name", ["cityscapes", "facades", "generic"])
def test_ids_are_found_again(name):
    palette = open_palette(name)
    ids = RANDOM.integers(0, len(palette), (40, 30))
    found = nearest_ids(paint(ids, palette), palette.colours)
    assert np.array_equal(palette.colours[found], palette.colours[ids])
    if name != "cityscapes":  # five of its ids are black
        assert np.array_equal(found, ids)


def test_nearest_of_any_pixels_and_depths():
    pixels, colours = RANDOM.integers(0, 256, (50, 41, 3), dtype=np.uint8), RANDOM.integers(0, 256, (300, 3))
    expected = cdist(pixels.reshape(-1, 3), colours, "sqeuclidean").argmin(1).reshape(50, 41)
    assert np.array_equal(nearest_ids(pixels, colours), expected)
    assert np.array_equal(nearest_ids(pixels.astype(np.uint16) * 257, colours), expected)


def test_the_lowest_of_equal_colours():
    assert nearest_ids(np.zeros((1, 1, 3), np.uint8), [(9, 9, 9), (0, 0, 0), (0, 0, 0)]).tolist() == [[1]]


def test_an_id_without_a_colour():
    assert paint(np.array([[300]]), open_palette("generic")).shape == (1, 1, 3)
    with pytest.raises(DataError, match=r"the id 40, and the palette cityscapes ends at 33\. Take --palette generic"):
        paint(np.array([3, 40]), open_palette("cityscapes"))


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("a.csv", "red,green,blue,name\n255,0,16,a rose\n\n1,2,3,\n", ("a rose", "")),
        ("b.csv", "\ufeff#ff0010\n#010203\n", ()),
        ("c.csv", '#ff0010,"one, two"\n#010203,three\n', ("one, two", "three")),
        ("d.json", '["#ff0010", [1, 2, 3]]', ()),
        ("e.json", '[{"name": "x", "colour": "ff0010"}, {"name": "y", "color": [1, 2, 3]}]', ("x", "y")),
        ("f.json", '{"x": "#ff0010", "y": "#010203"}', ("x", "y")),
    ],
)
def test_files_of_palettes(tmp_path, name, text, names):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    palette = open_palette(path)
    assert (palette.plain, palette.names) == (((255, 0, 16), (1, 2, 3)), names)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "#ff0010\n255,0,256\n", r"a\.csv, line 2: '255,0,256' is no colour"),
        ("a.csv", "#ff00\n", r"line 1: '#ff00' is no colour"),
        ("a.csv", "1,2\n", r"line 1: '1,2' is no colour"),
        ("a.csv", "name\n", r"0 colours; a palette has from 1"),
        ("a.csv", "#000000\n" * 65537, r"65,537 colours"),
        ("a.csv", "1,2,3,x,y\n", r"line 1"),
        ("a.json", "{", r"not valid JSON \(line 1\)"),
        ("a.json", "[" * 100000, r"not valid JSON"),
        ("a.json", "[[1, 2, true]]", r"colour 0 is"),
        ("a.json", "3", r"colour 0 is 3"),
        ("a.json", '[{"name": 3, "colour": "#000000"}]', r"colour 0 is"),
    ],
)
def test_what_is_no_palette(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        open_palette(tmp_path / name)


def test_no_text_and_no_file(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a text file"):
        open_palette(tmp_path / "a.csv")
    with pytest.raises(DataError, match="There is no file"):
        open_palette("cityscape")
