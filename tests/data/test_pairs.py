"""Pairs are found wherever people keep them, by their names and never by guess."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantool.data.pairing import pair_alike
from gantool.data.pairs import open_pairs
from gantool.errors import DataError

CITYSCAPES = Path(__file__).parents[3] / "shared" / "data" / "pix2pix" / "cityscapes"


class Names:
    """A set of pictures, as far as its names go."""

    def __init__(self, label, *names):
        self.label, self.names = label, names

    def __len__(self):
        return len(self.names)


def save(path, shade=0, width=8, height=6):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height), shade).save(path)


def shades(found):
    """The first pixels of A and of B of each pair."""
    sides = (found.a, 0), (found.b, -1)
    return [
        tuple(int(np.asarray(Image.open(side.data(k)[0]))[0, column]) for side, column in sides)
        for k in range(len(found))
    ]


@pytest.mark.parametrize(
    ("a", "b", "pairs", "taken"),
    [
        (["1.png", "2.png"], ["2.jpg", "1.jpg"], [(0, 1), (1, 0)], ("", "")),
        (["x/1.png", "x/2.png"], ["y/1.png", "y/2.png"], [(0, 0), (1, 1)], ("", "")),
        (
            ["aachen/aachen_000000_000019_leftImg8bit.png", "aachen/aachen_000001_000019_leftImg8bit.png"],
            ["aachen/aachen_000001_000019_gtFine_labelIds.png", "aachen/aachen_000000_000019_gtFine_labelIds.png"],
            [(0, 1), (1, 0)],
            ("_leftImg8bit", "_gtFine_labelIds"),
        ),
        (["photo_1.png", "photo_2.png"], ["2.png", "1.png"], [(0, 1), (1, 0)], ("photo_", "")),
        (["img01.png", "img02.png"], ["lbl01.png", "lbl02.png"], [(0, 0), (1, 1)], ("img", "lbl")),
        (["1a.png", "2a.png"], ["1b.png", "2b.png"], [(0, 0), (1, 1)], ("a", "b")),
        (["1/photo.png", "2/photo.png"], ["1/label.png", "2/label.png"], [(0, 0), (1, 1)], ("/photo", "/label")),
        (["only.png"], ["other.png"], [(0, 0)], ("", "")),
    ],
)
def test_names_that_are_alike(a, b, pairs, taken):
    assert pair_alike(Names("A", *a), Names("B", *b)) == (pairs, taken)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (["img01.png", "img02.png"], ["lbl11.png", "lbl12.png"]),  # digits belong to the name
        (["10.png", "20.png"], ["1.png", "2.png"]),
        (["aachen_1_x.png", "aachen_2_x.png"], ["bonn_1_y.png", "bonn_2_y.png"]),  # not both ends at once
        (["x_1_a.png", "y_1_a.png"], ["x_2_b.png", "y_2_b.png"]),
        (["red.png", "bed.png"], ["r.png", "b.png"]),  # "ed" is no word
        (["1.png"], ["1.png", "2.png"]),
    ],
)
def test_names_that_are_not(a, b):
    with pytest.raises(DataError, match=r"paired by name, but .* have no partner .* CSV"):
        pair_alike(Names("A", *a), Names("B", *b))


def test_those_without_a_partner_are_counted_and_named_without_what_others_share():
    a = Names("A", "1_x.png", "2_x.png", "3_x.png")
    with pytest.raises(DataError, match=r"1 of 3 pictures in A have no partner \(2_x.png\); 1 of 3 .* \(4_y.png\)\."):
        pair_alike(a, Names("B", "1_y.png", "4_y.png", "3_y.png"))


AB_TRAIN = ["A/train", "B/train", "A/test", "B/test"]


@pytest.mark.parametrize(
    ("folders", "part", "a", "b", "remark"),
    [
        ([""], "", "", None, "A left and B right in each picture"),
        (["train", "val"], "", "train", None, "the part train of {0}, not val (--part)"),
        (["train", "val"], "val", "val", None, "A left and B right in each picture"),
        (["facades/train", "facades/test"], "test", "facades/test", None, "A left and B right in each picture"),
        (["A", "B"], "", "A", "B", "A from {0}/A, B from {0}/B"),
        (
            ["a/train", "b/train", "a/test", "b/test"],
            "",
            "a/train",
            "b/train",
            "A from {0}/a/train, B from {0}/b/train",
        ),
        (
            ["A/train", "B/train", "A/test", "B/test"],
            "test",
            "A/test",
            "B/test",
            "A from {0}/A/test, B from {0}/B/test",
        ),
        (["trainA", "trainB", "testA", "testB"], "", "trainA", "trainB", "A from {0}/trainA, B from {0}/trainB"),
        (["trainA", "trainB", "testA", "testB"], "test", "testA", "testB", "A from {0}/testA, B from {0}/testB"),
        (["testA", "testB"], "", "testA", "testB", "A from {0}/testA, B from {0}/testB"),
        (["train/A", "train/B", "val/A", "val/B"], "val", "val/A", "val/B", "A from {0}/val/A, B from {0}/val/B"),
    ],
)
def test_layouts(tmp_path, folders, part, a, b, remark):
    """In folders and in zips: the pictures that each side takes, told by their shades."""
    for number, folder in enumerate(folders):
        for k in range(3):
            save(tmp_path / folder / f"{k}.png", shade=10 * number + k)
    found = open_pairs(tmp_path, part=part)
    assert remark.format(tmp_path) in found.remarks
    assert (found.a.half, found.b.half) == ((0, 1) if b is None else (None, None))
    first, second = (10 * folders.index(folder) for folder in (a, a if b is None else b))
    assert shades(found) == [(first + k, second + k) for k in range(3)]
    archive = tmp_path.parent / f"{tmp_path.name}.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in tmp_path.rglob("*.png"):
            file.write(path, path.relative_to(tmp_path))
    packed = open_pairs(archive, part=part)
    assert (packed.kind, packed.a.names, packed.b.names) == ("zip", found.a.names, found.b.names)
    assert packed.b.data(1)[1] == found.b.data(1)[1]


def test_other_folders_are_all_taken(tmp_path):
    for name in ("one/1", "two/1", "two/2"):
        save(tmp_path / f"{name}.png")
    assert open_pairs(tmp_path).a.names == ["one/1.png", "two/1.png", "two/2.png"]


def test_two_folders_and_their_parts(tmp_path):
    for name in ("photos/train/1_x", "photos/train/2_x", "photos/val/3_x", "maps/train/1_y", "maps/train/2_y"):
        save(tmp_path / f"{name}.png", shade=int(name[-3]) + 10 * (name[-1] == "y"))
    found = open_pairs(tmp_path / "photos", target=tmp_path / "maps")
    assert shades(found) == [(1, 11), (2, 12)]
    assert found.remarks[-1] == "paired by name without “_x” and “_y”"
    assert open_pairs(tmp_path / "photos/train", target=tmp_path / "maps").a.names == ["1_x.png", "2_x.png"]
    with pytest.raises(DataError, match="no folder test with pictures; its folders are train, val"):
        open_pairs(tmp_path / "photos", target=tmp_path / "maps", part="test")
    with pytest.raises(DataError, match=r"1 of 1 pictures in .*photos/val have no partner \(3_x.png\)"):
        open_pairs(tmp_path / "photos", target=tmp_path / "maps/train", part="val")


@pytest.mark.skipif(not CITYSCAPES.is_dir(), reason="needs the pictures of ../shared/data")
def test_cityscapes():
    found = open_pairs(CITYSCAPES / "train_img", target=CITYSCAPES / "train_label")
    assert [name.split("_left")[0] for name in found.a.names] == [name.split("_gtFine")[0] for name in found.b.names]
    with pytest.raises(DataError, match=r"2 of 2 pictures .* 4 of 4 pictures"):
        open_pairs(CITYSCAPES / "train_img", target=CITYSCAPES / "test_label")


@pytest.mark.parametrize(
    "text",
    [
        "a/1.png,b/x.png\n\na/2.png,b/y.png\n",
        'input,output\n"a/1.png","b/x.png"\r\na/2.png,b/y.png',
        "\ufeffa/1.png;b/x.png\na/2.png;b/y.png\n",
        "photo\tmap\na/1.png\tb/x.png\na/2.png\tb/y.png\n",
    ],
)
def test_lists(tmp_path, text):
    for k, name in enumerate(("a/1", "a/2", "b/x", "b/y")):
        save(tmp_path / f"{name}.png", shade=k)
    (tmp_path / "pairs.csv").write_text(text, encoding="utf-8")
    found = open_pairs(tmp_path / "pairs.csv")
    assert shades(found) == [(0, 2), (1, 3)]
    assert found.kind == "csv"
    before = found.digest()
    save(tmp_path / "b/y.png", width=30)
    assert open_pairs(tmp_path / "pairs.csv").digest() != before


def test_commas_in_quotes_and_whole_paths(tmp_path):
    save(tmp_path / "a, b.png", shade=1)
    save(tmp_path / "c.png", shade=2)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/pairs.csv").write_text(f'"../a, b.png",{tmp_path}/c.png\n')
    assert shades(open_pairs(tmp_path / "lists/pairs.csv")) == [(1, 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,b\n", "has no pairs"),
        ("1.png,2.png\n1.png,gone.png\n\ngone.png,1.png\n", r"2 of the 6 files .* \(line 2: gone.png; line 4: gone"),
        ("1.png,2.png\n1.png\n", "line 2: it has one cell instead of two paths"),
        ("1.png,2.png,3.png\n", "line 1: it has 3 cells"),
        ("1.png,\n", "line 1: it has an empty cell"),
        ("1.png,/dev/zero\n", "line 1: /dev/zero"),
        ("1.png,https://example.org/1.png\n", "line 1: https"),
        ("1.png,a\0b.png\n", "line 1"),
        ("1.png," + "x" * 200_000 + "\n", "line 1: field larger than field limit"),
        ("1.png," + "x" * 5_000 + ".png\n", "line 1: x"),
    ],
)  # fmt: skip
def test_lists_that_make_no_sense(tmp_path, text, message):
    save(tmp_path / "1.png")
    save(tmp_path / "2.png")
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        open_pairs(tmp_path / "pairs.csv")


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DataError, match="not a text file"):
        open_pairs(tmp_path / "pairs.csv")


@pytest.mark.parametrize("name", ["", "builtin:digits", "hf:some/set", "gone"])
def test_what_has_no_pairs(name):
    with pytest.raises(DataError):
        open_pairs(name)


def test_the_digest_is_of_both_sides(tmp_path):
    for name in ("a/1", "a/2", "b/1", "b/2"):
        save(tmp_path / f"{name}.png", shade=3)
    digests = {open_pairs(tmp_path).digest()}
    save(tmp_path / "b/1.png", width=80)
    digests.add(open_pairs(tmp_path).digest())
    save(tmp_path / "a/1.png", width=90)
    digests.add(open_pairs(tmp_path).digest())
    assert len(digests) == 3


def test_pictures_of_pairs_are_both_side_by_side(tmp_path):
    save(tmp_path / "a/1.png", shade=3, width=4, height=5)
    save(tmp_path / "b/1.png", shade=9, width=6, height=2)
    pixels = open_pairs(tmp_path).pictures.read(0).pixels
    assert pixels.shape == (5, 10, 3)
    assert (pixels[:, :4] == 3).all()
    assert (pixels[:2, 4:] == 9).all()
    assert (pixels[2:, 4:] == 0).all()
