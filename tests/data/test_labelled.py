"""What may be trained on: folders, zips, arrays, digits; their labels, and sentences for what makes no sense."""

import io
import json
import sys
import types
import zipfile

import numpy as np
import pytest
from PIL import Image

from gantool.data.labelled import open_labelled
from gantool.errors import DataError


def grey(value, size=(6, 4)):
    """A picture of one grey, as PNG bytes."""
    file = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Write a folder of pictures, each of the grey that its place in `names` says."""

    def write(*names, root="set"):
        for value, name in enumerate(names):
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(grey(value))
        return tmp_path / root

    return write


def archive(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def shades(found):
    return [int(found.pictures.read(index).pixels[0, 0, 0]) for index in range(len(found))]


def test_class_folders_in_natural_order(folder):
    found = open_labelled(folder("c10/b.png", "c2/x/deep.png", "c2/a.png", "c10/a.png"))
    assert found.pictures.names == ["c2/a.png", "c2/x/deep.png", "c10/a.png", "c10/b.png"]
    assert shades(found) == [2, 1, 3, 0]
    assert found.classes == ("c2", "c10")
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert (found.kind, found.grey, found.size, found.digits, found.remarks) == ("folder", None, None, False, [])


@pytest.mark.parametrize("names", [("a.png", "b.png"), ("a.png", "c/b.png")])
def test_pictures_at_the_top_have_no_labels(folder, names):
    found = open_labelled(folder(*names))
    assert found.labels is None
    assert found.classes == ()


def test_a_single_folder_of_class_folders_is_stepped_into(folder):
    found = open_labelled(folder("all/cat/1.png", "all/dog/2.png"))
    assert (found.classes, found.labels.tolist()) == (("cat", "dog"), [0, 1])
    assert found.remarks == ["the classes are the folders in all/"]
    assert open_labelled(folder("all/1.png", "all/cat/2.png", root="other")).classes == ("all",)


def test_empty_class_folders_and_links_are_named(folder, tmp_path):
    root = folder("cat/1.png", "dog/1.png")
    (root / "emu").mkdir()
    (root / "fox").symlink_to(tmp_path)
    (root / ".git").mkdir()
    assert open_labelled(root).remarks == [
        "class emu has no pictures and is left out",
        "class fox is a link, which is not followed, and is left out",
    ]
    assert open_labelled(root).classes == ("cat", "dog")


def test_folders_called_as_parts_of_a_set_are_doubted(folder):
    assert "name one of them" in open_labelled(folder("train/a/1.png", "test/a/1.png")).remarks[0]
    assert open_labelled(folder("test/1.png", "rest/1.png", root="other")).remarks == []


def test_dataset_json_wins_over_folders(folder):
    root = folder("cat/1.png", "dog/1.png", "dog/2.png")
    table = [["dog/2.png", 0], ["dog/1.png", 3], ["cat\\1.png", 1], ["gone.png", 9]]
    (root / "dataset.json").write_text(json.dumps({"labels": table}))
    found = open_labelled(root)
    assert found.labels.tolist() == [1, 3, 0]
    assert found.classes == ("0", "1", "2", "3")
    assert found.remarks == ["class 2 has no pictures"]
    (root / "dataset.json").write_text(json.dumps({"labels": table, "classes": list("abcdef")}))
    assert open_labelled(root).classes == tuple("abcdef")
    (root / "dataset.json").write_text('{"labels": null}')
    assert open_labelled(root).labels is None


def test_one_hot_labels_are_converted(folder):
    root = folder("1.png", "2.png")
    rows = [["1.png", [0.0, 0.0, 1.0, 0.0]], ["2.png", [1.0, 0, 0, 0]]]
    (root / "dataset.json").write_text(json.dumps({"labels": rows}))
    found = open_labelled(root)
    assert found.labels.tolist() == [2, 0]
    assert len(found.classes) == 4


TABLES = {
    '{"labels": [["1.png", 0]]}': r"no label for 2 of 3 pictures \(the first is 2.png\)",
    '{"labels": [["1.png", 0], ["2.png", [1, 0]], ["3.png", 0]]}': "several kinds or lengths",
    '{"labels": [["1.png", [0.2, 0.8]], ["2.png", [0, 1]], ["3.png", [0, 1]]]}': "label of 1.png .* is not one-hot",
    '{"labels": [["1.png", [1, 1]], ["2.png", [0, 1]], ["3.png", [0, 1]]]}': "not one-hot",
    '{"labels": [["1.png", [[1]]], ["2.png", [0]], ["3.png", [1]]]}': "not one-hot",
    '{"labels": [["1.png", -1], ["2.png", 0], ["3.png", 0]]}': "label of 1.png .* is -1",
    '{"labels": [["1.png", true], ["2.png", 0], ["3.png", 0]]}': "is True",
    '{"labels": [["1.png", 1.5], ["2.png", 0], ["3.png", 0]]}': "is 1.5",
    '{"labels": [["1.png", 99999999], ["2.png", 0], ["3.png", 0]]}': "is 99999999",
    '{"labels": [["1.png"]]}': "Label 1 .* is not a name and a label",
    '{"labels": {"1.png": 0}}': "not a list",
    '{"labels": [["1.png", 0], ["2.png", 1], ["3.png", 0]], "classes": ["a"]}': "not a list of 2 names",
    '{"images": []}': "has no labels",
    "[1]": "has no labels",
    '{"labels": [': r"not valid JSON \(line 1\)",
    "[" * 100_000: "not valid JSON",
    "\udcff": "not valid JSON",
}


@pytest.mark.parametrize("text", TABLES, ids=lambda text: text[:40])
def test_tables_that_make_no_sense(folder, text):
    root = folder("1.png", "2.png", "3.png")
    (root / "dataset.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=TABLES[text]) as caught:
        open_labelled(root)
    assert "dataset.json" in caught.value.what


def test_a_zip_is_like_a_folder(folder, tmp_path):
    names = ["c10/b.png", "c2/a.png", "c2/b.png"]
    path = archive(tmp_path / "set.zip", {name: grey(value) for value, name in enumerate(names)} | {"c3/": b""})
    found, same = open_labelled(path), open_labelled(folder(*names))
    assert found.kind == "zip"
    assert (found.pictures.names, found.classes) == (same.pictures.names, same.classes)
    assert found.labels.tolist() == same.labels.tolist() == [0, 0, 1]
    assert shades(found) == shades(same) == [1, 2, 0]
    assert found.remarks == ["class c3 has no pictures and is left out"]


@pytest.mark.parametrize("prefix", ["", "top/"])
def test_dataset_json_in_a_zip(tmp_path, prefix):
    table = json.dumps({"labels": [["00000/img0.png", 5], ["00000/img1.png", 0]]})
    members = {f"{prefix}00000/img{k}.png": grey(k) for k in range(2)}
    found = open_labelled(archive(tmp_path / "a.zip", members | {f"{prefix}dataset.json": table}))
    assert found.labels.tolist() == [5, 0]
    assert found.remarks == ["class 1 has no pictures", *(f"class {k} has no pictures" for k in (2, 3, 4))]


def test_a_table_deeper_than_some_pictures_is_not_theirs(tmp_path):
    members = {"x/a.png": grey(0), "y/b.png": grey(0), "x/dataset.json": '{"labels": [["a.png", 7]]}'}
    assert open_labelled(archive(tmp_path / "a.zip", members)).classes == ("x", "y")


def test_names_that_lead_out_of_a_zip_are_only_labels(tmp_path):
    members = {"../../etc/a.png": grey(1), "/root/b.png": grey(2), "c\\d.png": grey(3)}
    found = open_labelled(archive(tmp_path / "a.zip", members))
    assert sorted(shades(found)) == [1, 2, 3]
    assert len(found.classes) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_member_without_a_name_is_left_out(tmp_path):
    path = archive(tmp_path / "a.zip", {"?": grey(1), "a.png": grey(2)})
    data = path.read_bytes()
    start = data.rindex(b"PK\x01\x02", 0, data.index(b"a.png", data.index(b"PK\x01\x02")))  # the table's second entry
    entry = data.index(b"PK\x01\x02")  # its first: the length of the name becomes 0, and the name a comment
    length = start - entry - 46
    patched = data[: entry + 28] + bytes([0, 0, 0, 0, length, 0]) + data[entry + 34 :]
    path.write_bytes(patched)
    assert shades(open_labelled(path)) == [2]


def test_a_table_that_is_a_bomb_or_damaged_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", grey(0))
        file.writestr("dataset.json", b" " * (80 << 20))
    with pytest.raises(DataError, match=r"dataset.json would unpack from .* to 83,886,080 bytes"):
        open_labelled(path)
    monkeypatch.setattr("gantool.data.labelled.MAX_TABLE", 1 << 20)
    with pytest.raises(DataError, match=r"dataset.json is larger than 1 MiB"):
        open_labelled(path)
    archive(path, {"a.png": grey(0), "dataset.json": '{"labels": null}'})
    path.write_bytes(path.read_bytes().replace(b'{"labels": null}', b'{"labels": nulL}'))
    with pytest.raises(DataError, match="checksum"):
        open_labelled(path)


def test_digests_know_equal_data(folder, tmp_path):
    root = folder("cat/1.png", "dog/1.png")
    digest = open_labelled(root).digest()
    assert open_labelled(folder("cat/1.png", "dog/1.png", root="copy")).digest() == digest
    assert open_labelled(folder("cat/1.png", "dog/2.png", root="renamed")).digest() != digest
    (root / "cat/1.png").write_bytes(grey(0, (60, 40)))
    assert open_labelled(root).digest() != digest
    first = open_labelled(archive(tmp_path / "1.zip", {"a.png": grey(1)})).digest()
    assert open_labelled(archive(tmp_path / "2.zip", {"a.png": grey(1)})).digest() == first
    assert open_labelled(archive(tmp_path / "3.zip", {"a.png": grey(2)})).digest() != first
    labelled = {"a.png": grey(1), "dataset.json": '{"labels": [["a.png", 0]]}'}
    assert open_labelled(archive(tmp_path / "4.zip", labelled)).digest() != first


PICTURES = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
HOT = np.eye(4)[[3, 0, 0, 1, 2]]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("key", "labels", "classes"),
    [
        ("labels", np.array([3, 0, 0, 1, 2]), 4),
        ("y", np.array([[3], [0], [0], [1], [2]], np.uint8), 4),
        ("label", HOT, 4),
        ("labels", np.asfortranarray(HOT.astype(bool)), 4),
        ("labels", np.array([3.0, 0, 0, 1, 2], np.float32), 4),
    ],
)
def test_arrays_with_labels(tmp_path, save, key, labels, classes):
    save(tmp_path / "a.npz", images=PICTURES, **{key: labels})
    found = open_labelled(tmp_path / "a.npz")
    assert found.labels.tolist() == [3, 0, 0, 1, 2]
    assert found.classes == ("0", "1", "2", "3")
    assert (found.kind, found.size, found.grey) == ("array", (6, 7), None)
    for index in (3, 1, 4, 0, 2):  # in any order, from a compressed file too
        np.testing.assert_array_equal(found.pictures.read(index).pixels, PICTURES[index])


def test_arrays_of_grey_are_known_to_be(tmp_path):
    np.save(tmp_path / "a.npy", PICTURES[..., 0])
    found = open_labelled(tmp_path / "a.npy")
    assert (found.grey, found.labels, found.size) == (True, None, (6, 7))


def test_the_usual_names_for_parts_of_a_set(tmp_path):
    y = np.arange(5)
    np.savez(tmp_path / "a.npz", x_train=PICTURES, y_train=y, x_test=PICTURES[:2], y_test=y[:2])
    found = open_labelled(tmp_path / "a.npz")
    assert found.labels.tolist() == [0, 1, 2, 3, 4]
    assert found.remarks == ["x_train is read, x_test is left out"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(4), r"shape \(4,\), but there are 5 pictures"),
        (np.array([0, 1, 2, 3, -1]), "label of picture 4 is -1"),
        (np.array([0, 1.5, 2, 3, 4]), "label of picture 1 is 1.5"),
        (np.array([0, np.nan, 2, 3, 4]), "label of picture 1 is nan"),
        (np.array(list("abcde")), "labels of the type"),
        (HOT * 0.5, "not one-hot"),
        (np.ones((5, 2)), "not one-hot"),
        (np.zeros((5, 2, 2)), "shape"),
    ],
)
def test_labels_in_arrays_that_make_no_sense(tmp_path, labels, message):
    np.savez(tmp_path / "a.npz", arr_0=PICTURES, y=labels)
    with pytest.raises(DataError, match=message):
        open_labelled(tmp_path / "a.npz")


def test_a_compressed_array_too_large_to_unpack_is_read_in_order_only(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", PICTURES)
    monkeypatch.setattr("gantool.data.arrays.MOST_BYTES", 100)
    found = open_labelled(tmp_path / "a.npz")
    assert [item.pixels.tolist() for item in found.pictures] == PICTURES.tolist()
    with pytest.raises(DataError, match="any order"):
        found.pictures.read(2)


def test_one_picture_is_a_set_of_one(folder, tmp_path):
    root = folder("a.png")
    found = open_labelled(root / "a.png")
    assert (len(found), found.labels, found.kind) == (1, None, "file")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="text file"):
        open_labelled(tmp_path / "notes.txt")


def test_the_digits_of_scikit_learn():
    from sklearn.datasets import load_digits

    truth, found = load_digits(), open_labelled("builtin:digits")
    assert len(found) == 1797
    assert (found.size, found.grey, found.digits, found.kind) == ((8, 8), True, True, "builtin")
    assert found.labels.tolist() == truth.target.tolist()
    pixels = found.pictures.read(17).pixels
    assert np.abs(pixels[..., 1] - truth.images[17] * 255 / 16).max() <= 0.5
    with pytest.raises(DataError, match="no builtin:faces"):
        open_labelled("builtin:faces")


@pytest.mark.parametrize("name", ["gone", "gone.zip", "gone.npz", "gone.csv", "train-images-idx3-ubyte.gz"])
def test_what_is_not_there(tmp_path, name):
    with pytest.raises(DataError, match="There is no"):
        open_labelled(tmp_path / name)


class Hub(types.ModuleType):
    """Stands in for the package datasets."""

    class Image:
        def __init__(self, decode=True):
            self.decode = decode

    class ClassLabel:
        names = ("cat", "dog")

    class Data:
        def __init__(self, rows, features):
            self.rows, self.features = rows, features

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, key):
            return [row[key] for row in self.rows] if isinstance(key, str) else self.rows[key]

        def cast_column(self, column, kind):
            assert kind.decode is False
            return self

        def select_columns(self, columns):
            return self

    def load_dataset(self, name, split):
        if name != "pets":
            raise ConnectionError("the hub is out of reach.\nAnd more.")
        rows = [{"img": {"bytes": grey(9)}, "label": 1}, {"img": None, "label": 0 if split == "train" else -1}]
        return self.Data(rows, {"img": self.Image(), "label": self.ClassLabel()})


def test_the_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="needs the package datasets"):
        open_labelled("hf:pets")
    monkeypatch.setitem(sys.modules, "datasets", Hub("datasets"))
    found = open_labelled("hf:pets")
    assert (found.labels.tolist(), found.classes, found.kind) == ([1, 0], ("cat", "dog"), "hf")
    assert found.pictures.read(0).pixels[0, 0].tolist() == [9, 9, 9]
    with pytest.raises(DataError, match="hf:pets/1 is missing"):
        found.pictures.read(1)
    assert open_labelled("hf:pets:test").labels is None
    with pytest.raises(DataError, match=r"hf:birds cannot be loaded \(the hub is out of reach\)"):
        open_labelled("hf:birds")
