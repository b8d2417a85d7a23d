"""`gantool data` on the command line: what it prints, what it refuses, its exit codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pets(here):
    """pets/: 12 cats and 11 dogs of 20 × 16 pixels, and a file that is no picture."""
    random = np.random.default_rng(1)
    for k in range(23):
        path = Path("pets", "cat" if k < 12 else "dog", f"{k}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 20, 3), dtype=np.uint8)).save(path)
    Path("pets/dog/no.png").write_text("nothing to see")


def test_check_says_what_there_is(cli, pets):
    said = cli("data", "check", "pets", "--size", "16")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[:3] == [
        "data      pets (folder)",
        "pictures  24, 23 of them usable",
        "damaged   dog/no.png: not a picture but seems to be a text file",
    ]
    assert "size      all 20 × 16 px" in lines
    assert "colour    23 in colour, 0 grey" in lines
    assert [line.split() for line in lines if "cat" in line or line.startswith("1 ")] == [
        ["0", "cat", "12"],
        ["1", "dog", "11"],
    ]
    assert "  23 pictures are not square, and only the middle would be used (--crop)" in lines
    assert said.err == "Warning: 1 picture of 24 cannot be read.\n"


def test_check_as_json(cli, pets):
    data = cli("data", "check", "pets", "--json", "--quiet").data
    assert (data["pictures"], data["usable"], data["kind"], data["grey"]) == (24, 23, "folder", 0)
    assert data["bad"] == [["dog/no.png", "not a picture but seems to be a text file"]]
    assert data["classes"] == [{"label": 0, "name": "cat", "count": 12}, {"label": 1, "name": "dog", "count": 11}]
    assert data["largest"] == data["smallest"] == {"width": 20, "height": 16, "count": 23}


def test_nothing_usable_is_a_failure_with_a_result(cli, here):
    Path("bad").mkdir()
    Path("bad/1.png").write_text("nothing")
    said = cli("data", "check", "bad")
    assert said.code == 1
    assert "pictures  1, 0 of them usable" in said.out
    assert "Nothing is usable" in said.err


def test_what_is_no_data_is_an_error(cli, here):
    said = cli("data", "check", "gone")
    assert said.code == 1
    assert said.err.startswith("Error: There is no file gone.")
    Path("a.csv").write_text("label,a,b,c,d\n1,0,0,300,0\n")
    assert "a.csv, line 2, column 4: '300' is no grey value" in cli("data", "check", "a.csv").err


def test_pack_prints_the_file_and_names_what_was_left_out(cli, pets):
    said = cli("data", "pack", "pets", "pets.zip", "--size", "16")
    assert (said.code, said.out) == (0, "pets.zip\n")
    assert "Left out: dog/no.png is not a picture but seems to be a text file.\n" in said.err
    assert "23 pictures of 16 × 16 px, 2 classes, " in said.err
    data = cli("data", "check", "pets.zip", "--size", "16", "--json").data
    assert (data["usable"], [one["count"] for one in data["classes"]]) == (23, [12, 11])
    again = cli("data", "pack", "pets", "pets.zip")
    assert again.code == 1
    assert "pets.zip exists already" in again.err


def test_options_of_pack(cli, pets):
    words = ("--size", "8", "--crop", "squash", "--no-labels", "--limit", "5", "--json")
    data = cli("data", "pack", "pets/cat", "cats.zip", *words).data
    assert (data["pictures"], data["classes"], data["size"], data["file"]) == (5, 0, 8, "cats.zip")
    assert cli("data", "pack", "pets", "a.zip", "--crop", "random").code == 2
    assert cli("data", "pack", "pets", "a.tar").code == 2
    assert cli("data", "pack", "pets", "a.zip", "--limit", "0").code == 2
    assert not Path("a.zip").exists()


@pytest.fixture
def pairs(here):
    """photos/ and maps/: three pairs of 20 × 16 pixels in colour and of ids, of which one is of another size."""
    random = np.random.default_rng(2)
    for k in range(3):
        for folder, pixels in (
            ("photos", random.integers(0, 256, (16, 20, 3), dtype=np.uint8)),
            ("maps", random.integers(0, 9, (16, 20 + 5 * (k == 2)), dtype=np.uint8)),
        ):
            Path(folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(f"{folder}/{k}_{folder}.png")


def test_check_of_pairs(cli, pairs):
    said = cli("data", "check", "photos", "--target", "maps", "--direction", "BtoA", "--size", "16")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[:7] == [
        "data      photos (folder)",
        "pairs     3",
        "          A from photos, B from maps",
        "          paired by name without “_photos” and “_maps”",
        "A         colour, all 20 × 16 px (photos)",
        "B         labels painted as generic, 2 sizes (maps)",
        "          20 × 16 px: 2",
    ]
    assert "  B (labels painted as generic) becomes A (colour) (--direction)" in lines
    assert said.err == "Warning: In 1 pair A and B are of two sizes; `gantool data pair --fit` mends that.\n"
    data = cli("data", "check", "photos", "--target", "maps", "--json").data
    assert (data["pairs"]["b"]["kind"], data["pairs"]["differing"], data["pictures"]) == ("labels", 1, 3)
    Path("maps/1_maps.png").unlink()
    said = cli("data", "check", "photos", "--target", "maps")
    assert said.code == 1
    assert "1 of 3 pictures in photos have no partner (1_photos.png)" in said.err


def test_pair_prints_the_folder_and_says_what_it_does(cli, pairs):
    said = cli("data", "pair", "photos", "maps", "-o", "ab")
    assert said.code == 1
    assert "In 1 of 3 pairs A and B are of two sizes (2_photos.png: 20 × 16 and 25 × 16)." in said.err
    said = cli("data", "pair", "photos", "maps", "-o", "ab", "--fit")
    assert (said.code, said.out) == (0, "ab\n")
    assert "Note: A is colour, B is labels painted as generic.\n3 pairs.\n" in said.err
    assert Image.open("ab/2_photos.png").size == (40, 16)
    assert "3 pairs, 3 of them there already." in cli("data", "pair", "photos", "maps", "-o", "ab", "--fit").err
    said = cli("data", "pair", "photos", "maps", "-o", "ab", "--size", "8x8")
    assert said.code == 1
    assert "exists already, and differs." in said.err


def test_options_of_pair(cli, pairs):
    words = ("--size", "8x6", "--split", "2/1", "--format", "jpg", "--quality", "90", "--seed", "4")
    said = cli("data", "pair", "photos", "maps", "-o", "ab", *words)
    assert "JPEG mixes the colours of labels" in said.err
    assert "3 pairs (2 in train, 1 in val)." in said.err
    assert sorted(path.suffix for path in Path("ab").rglob("*.*")) == [".jpg"] * 3
    for wrong in (["--size", "8"], ["--split", "x"], ["--labels", "C"], ["--format", "gif"], ["--quality", "80"]):
        assert cli("data", "pair", "photos", "maps", "-o", "no", *wrong).code == 2
    assert cli("data", "pair", "photos", "maps").code == 2
    assert not Path("no").exists()
