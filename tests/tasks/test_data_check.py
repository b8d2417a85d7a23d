"""What is said of a set is what the test put into it; what is packed is what training sees."""

import json
import weakref
import zipfile

import numpy as np
import pytest
from PIL import Image

from gantool.data import pictures
from gantool.data.decode import decode_picture
from gantool.data.labelled import open_labelled
from gantool.data.pictures import cores
from gantool.data.squares import square
from gantool.errors import DataError, RunError, UsageError
from gantool.tasks.data_check import check_data
from gantool.tasks.data_pack import pack_data

RANDOM = np.random.default_rng(5)


def colour(height, width):
    return RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels, **options).save(path)
    return pixels


@pytest.fixture
def zoo(tmp_path):
    """Three classes: 24 cats in colour, 2 dogs, one of them grey, 12 emus of which one is damaged and one a copy."""
    root = tmp_path / "zoo"
    for k in range(24):
        save(root / f"cat/{k}.png", colour(20, 20))
    save(root / "dog/grey.png", RANDOM.integers(0, 256, (30, 50), dtype=np.uint8))
    save(root / "dog/clear.png", RANDOM.integers(0, 255, (10, 10, 4), dtype=np.uint8))
    for k in range(10):
        copied = save(root / f"emu/{k}.png", colour(20, 20))
    save(root / "emu/copy.bmp", copied)
    (root / "emu/torn.png").write_bytes((root / "emu/0.png").read_bytes()[:200])
    return root


def test_everything_is_counted(zoo):
    calls = []
    found = check_data(zoo, size=16, count=lambda *call: calls.append(call))
    assert (found.pictures, found.usable, found.grey, found.kind) == (38, 37, 1, "folder")
    assert [name for name, _ in found.bad] == ["emu/torn.png"]
    assert "damaged or cut off" in found.bad[0][1]
    assert [(one.width, one.height, one.count) for one in found.sizes] == [(20, 20, 35), (10, 10, 1), (50, 30, 1)]
    assert found.distinct_sizes == 3
    assert (found.smallest.width, found.largest.width) == (10, 50)
    assert [(one.label, one.name, one.count) for one in found.classes] == [
        (0, "cat", 24),
        (1, "dog", 2),
        (2, "emu", 11),
    ]
    assert [(group.count, group.names) for group in found.duplicates] == [(2, ["emu/9.png", "emu/copy.bmp"])]
    assert (found.copies, found.disagreeing) == (1, 0)
    assert found.changes["grey repeated to three channels"] == 1
    assert found.changes["transparent pixels were put on white"] == 1
    assert found.sha256 == open_labelled(zoo).digest()
    assert calls[-1] == (f"pictures of {zoo}", 38, 38)
    assert json.loads(json.dumps(found.as_dict()))["classes"][1] == {"label": 1, "name": "dog", "count": 2}


def test_warnings_name_what_matters(zoo):
    assert check_data(zoo).warnings == [
        "1 picture of 38 cannot be read.",
        "The classes are unbalanced: 2 pictures of dog, 24 pictures of cat.",
        "Fewer than 10 pictures: dog; so few are learnt by heart.",
        "1 picture of 37 is an exact copy of another.",
        "1 picture of 37 is grey, the others are not.",
    ]


def test_training_is_told_beforehand(zoo):
    said = check_data(zoo, size=16).training
    assert "1 picture would be left out, and others would stand in for them" in said
    assert "1 picture is not square, and only the middle would be used (--crop)" in said
    assert "1 picture is smaller than 16 px and would be enlarged (--size)" in said
    assert "three channels" in said
    assert "half of them mirrored (--no-flip keeps them as they are)" in said
    assert "3 classes for families that learn them" in said
    assert "36 pictures are smaller than 25 px and would be enlarged (--size)" in check_data(zoo, size=25).training


def test_a_tidy_set_has_no_warnings(tmp_path):
    for k in range(20):
        save(tmp_path / f"{k % 2}/{k}.png", colour(8, 8))
    found = check_data(tmp_path, size=8)
    assert found.warnings == []
    assert found.duplicates == []
    assert "pictures become 8 × 8 px, which all are" in found.training


def test_balance_is_judged_at_one_in_ten(tmp_path):
    for k in range(100):
        save(tmp_path / f"a/{k}.png", colour(4, 4))
    for k in range(10):
        save(tmp_path / f"b/{k}.png", colour(4, 4))
    assert check_data(tmp_path).warnings == []
    (tmp_path / "b/9.png").unlink()
    assert [warning[:24] for warning in check_data(tmp_path).warnings] == [
        "The classes are unbalanc",
        "Fewer than 10 pictures: ",
    ]


def test_equal_pictures_in_several_classes(tmp_path):
    pixels = colour(8, 8)
    for name in ("a/1.png", "b/1.png", "b/2.bmp"):
        save(tmp_path / name, pixels)
    save(tmp_path / "b/3.png", pixels.reshape(4, 16, 3))  # the same bytes in another shape
    found = check_data(tmp_path)
    assert (found.copies, found.disagreeing, len(found.duplicates)) == (2, 1, 1)
    assert found.duplicates[0].names == ["a/1.png", "b/1.png", "b/2.bmp"]
    assert "Equal pictures have different labels, in one group of them." in found.warnings


def test_digits_are_grey_and_not_mirrored():
    found = check_data("builtin:digits", size=32)
    assert (found.pictures, found.grey, found.kind) == (1797, 1797, "builtin")
    assert [one.count for one in found.classes] == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert {"one channel, for all are grey", "none mirrored"} <= set(found.training)
    assert found.copies == 0


def test_a_set_of_which_nothing_is_usable(tmp_path):
    for k in range(3):
        (tmp_path / f"{k}.png").write_text("no")
    found = check_data(tmp_path)
    assert (found.usable, len(found.bad), found.training) == (0, 3, [])
    assert found.warnings[-1] == "Nothing is usable."
    assert found.smallest is None


def test_the_memory_does_not_grow_with_the_pictures(tmp_path, monkeypatch):
    """Decoded pictures that live at one time are few, however many there are."""
    alive, most, count = set(), 0, 160

    def decode(*args, **options):
        nonlocal most
        pixels, notes = decode_picture(*args, **options)
        alive.add(id(pixels))
        weakref.finalize(pixels, alive.discard, id(pixels))
        most = max(most, len(alive))
        return pixels, notes

    for k in range(count):
        save(tmp_path / f"{k}.png", np.full((30, 30, 3), k, np.uint8))
    monkeypatch.setattr(pictures, "decode_picture", decode)
    assert check_data(tmp_path).usable == count
    assert 1 < most <= 2 * min(8, cores()) + 2  # those that wait, the one looked at, the one before it


def test_what_is_packed_is_what_training_sees(zoo, tmp_path):
    out = tmp_path / "zoo.zip"
    packed = pack_data(zoo, out, size=16)
    assert (packed.pictures, packed.classes, packed.channels, packed.enlarged) == (37, 3, 3, 1)
    assert [name for name, _ in packed.left_out] == ["emu/torn.png"]
    assert packed.bytes == out.stat().st_size
    source, again = open_labelled(zoo), open_labelled(out)
    good = [index for index, name in enumerate(source.pictures.names) if name != "emu/torn.png"]
    assert again.classes == ("cat", "dog", "emu")
    assert again.labels.tolist() == source.labels[good].tolist()
    for number, index in enumerate(good):
        np.testing.assert_array_equal(
            again.pictures.read(number).pixels, square(source.pictures.read(index).pixels, 16, "centre")
        )


def test_the_zip_is_laid_out_as_stylegan_reads_it(zoo, tmp_path):
    pack_data(zoo, tmp_path / "a.zip", size=16)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        members = archive.infolist()
        table = json.loads(archive.read("dataset.json"))
    names = [f"00000/img{k:08d}.png" for k in range(37)]
    assert [member.filename for member in members] == [*names, "dataset.json"]
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert table["labels"] == [[name, 0 if k < 24 else 1 if k < 26 else 2] for k, name in enumerate(names)]
    assert table["classes"] == ["cat", "dog", "emu"]


def test_packing_twice_gives_the_same_bytes(zoo, tmp_path):
    pack_data(zoo, tmp_path / "a.zip")
    pack_data(zoo, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_options_of_packing(zoo, tmp_path):
    packed = pack_data(zoo, tmp_path / "a.zip", size=24, crop="squash", labels=False, limit=12)
    assert packed.pictures + len(packed.left_out) == 12
    assert packed.notes == ["StyleGAN trains on powers of two only, which 24 is not"]
    again = open_labelled(tmp_path / "a.zip")
    assert again.labels is None
    assert again.pictures.read(0).pixels.shape == (24, 24, 3)
    full = open_labelled(zoo)
    squashed = {square(full.pictures.read(k).pixels, 24, "squash").tobytes() for k in range(37)}
    assert {item.pixels.tobytes() for item in again.pictures} <= squashed


def test_digits_are_packed_as_grey(tmp_path):
    packed = pack_data("builtin:digits", tmp_path / "a.zip", size=8, limit=50)
    assert (packed.channels, packed.pictures) == (1, 50)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("00000/img00000003.png") as file:
        assert Image.open(file).mode == "L"
    digits, again = open_labelled("builtin:digits"), open_labelled(tmp_path / "a.zip")
    known = {digits.pictures.read(k).pixels.tobytes(): int(digits.labels[k]) for k in range(1797)}
    assert [known[again.pictures.read(k).pixels.tobytes()] for k in range(50)] == again.labels.tolist()


def test_nothing_is_overwritten_and_nothing_left_behind(zoo, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.zip").write_text("mine")
    with pytest.raises(RunError, match="exists already"):
        pack_data(zoo, out / "a.zip")
    assert (out / "a.zip").read_text() == "mine"
    with pytest.raises(UsageError, match="is not called"):
        pack_data(zoo, out / "a.tar")
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "1.png").write_text("no picture")
    with pytest.raises(DataError, match=r"None of the 1 pictures in .* can be read: the first is not a picture"):
        pack_data(torn, out / "b.zip")

    def stop(what, done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_data(zoo, out / "c.zip", count=stop)
    assert [path.name for path in out.iterdir()] == ["a.zip"]
