"""Zips: honest ones give the same as their folder, forged ones one sentence, and nothing ever reaches the disk."""

import io
import os
import pickle
import stat
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from gantool.data import archives
from gantool.data.pictures import open_pictures
from gantool.errors import DataError


def noise(height=4, width=6, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def pack(path, members, method=zipfile.ZIP_DEFLATED):
    """A zip of (name or ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that come twice
        for name, data in members:
            archive.writestr(name, data)
    return path


def forge(path, offset, form, value):
    """Overwrite a field of the first entry of the table of contents, `offset` bytes behind its signature."""
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, data.index(b"PK\x01\x02") + offset, value)
    path.write_bytes(data)


def error_of(path, **options):
    with pytest.raises(DataError) as caught:
        list(open_pictures(path, **options))
    return caught.value.what


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set.zip"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_gives_its_pictures_in_natural_order(path, method):
    members = [(f"a/{k}.png", encoded(noise(seed=k))) for k in (10, 2, 1)]
    members += [("b.JPG", encoded(noise(), "JPEG")), ("note.txt", b"x"), ("inner.zip", b"PK\x03\x04")]
    pictures = open_pictures(pack(path, members, method))
    assert (pictures.kind, pictures.label) == ("zip", str(path))
    assert list(pictures.names) == ["a/1.png", "a/2.png", "a/10.png", "b.JPG"]
    items = list(pictures)
    for item, seed in zip(items, (1, 2, 10), strict=False):
        np.testing.assert_array_equal(item.pixels, noise(seed=seed))
    np.testing.assert_array_equal(items[3].pixels, np.asarray(Image.open(io.BytesIO(members[3][1]))))
    assert (pictures.jpeg, pictures.notes, pictures.sizes) == (1, [], {(4, 6): 4})
    np.testing.assert_array_equal(pictures.read(2).pixels, noise(seed=10))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pictures)).read(2).pixels, noise(seed=10))
    assert os.listdir(path.parent) == ["set.zip"]


def test_an_archive_behind_other_data_is_read(path):
    pack(path, [("1.png", encoded(noise(seed=1)))])
    path.write_bytes(b"#!/bin/sh\n" * 100 + path.read_bytes())
    (item,) = open_pictures(path)
    np.testing.assert_array_equal(item.pixels, noise(seed=1))


def test_what_is_no_picture_of_the_set_is_left_out(path):
    link, folder = zipfile.ZipInfo("link.png"), zipfile.ZipInfo("folder.png/")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    members = [(link, b"/etc/passwd"), (folder, b""), ("1.png", encoded(noise()))]
    members += [("__MACOSX/1.png", b"x"), ("a/._1.png", b"x"), (".git/2.png", b"x"), (".png", b"x")]
    assert list(open_pictures(pack(path, members)).names) == ["1.png"]


def test_names_are_only_labels(path):
    names = ["../../up.png", "/etc/root.png", "a\\b.png", "x\x1b[2J.png", "9" * 5000 + ".png"]
    pack(path, [(name, encoded(noise(seed=k))) for k, name in enumerate(names)])
    pictures = open_pictures(path)
    labels = {"../../up.png": 0, "/etc/root.png": 1, "a/b.png": 2, "x\ufffd[2J.png": 3, names[4]: 4}
    assert set(pictures.names) == set(labels)
    for item in pictures:
        np.testing.assert_array_equal(item.pixels, noise(seed=labels[item.name]))
    assert os.listdir(path.parent) == ["set.zip"]


def test_of_members_with_one_name_the_last_is_read(path):
    pack(path, [("1.png", encoded(noise(seed=1))), ("1.png", encoded(noise(seed=2)))])
    pictures = open_pictures(path)
    (item,) = pictures
    np.testing.assert_array_equal(item.pixels, noise(seed=2))
    assert pictures.notes == ["1 left out: a later member has the same name"]


def test_a_zip_without_pictures_says_what_it_has(path):
    assert error_of(pack(path, [])) == f"No pictures in {path} (found no files)."
    pack(path, [("a.txt", b""), ("b.txt", b""), ("c.zip", b"")])
    assert error_of(path) == f"No pictures in {path} (found 2 .txt, 1 .zip)."


def test_what_is_no_zip_is_one_sentence(path):
    path.write_bytes(b"")
    assert error_of(path) == f"{path} is empty (0 bytes)."
    path.write_bytes(b"<html>" * 100)
    assert error_of(path).startswith(f"{path} is not a zip archive, damaged or cut off (")
    pack(path, [(f"{k}.png", encoded(noise(seed=k))) for k in range(3)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert error_of(path).startswith(f"{path} is not a zip archive, damaged or cut off (")
    os.mkfifo(path.with_name("pipe.zip"))
    assert "is not a regular file" in error_of(path.with_name("pipe.zip"))
    (path.parent / "folder.zip").mkdir()
    assert error_of(path.parent / "folder.zip") == f"No pictures in {path.parent / 'folder.zip'} (found no files)."


def test_any_damage_is_a_sentence_or_harmless(path):
    """Every byte of a small archive, changed: right pixels, or a DataError, and nothing else."""
    pack(path, [("1.png", encoded(noise(2, 2))), ("2.png", encoded(noise(2, 2, 1)))])
    whole = path.read_bytes()
    right = [noise(2, 2, seed).tolist() for seed in (0, 1)]
    refused = 0
    for k in range(len(whole)):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 0xFF]) + whole[k + 1 :])
        try:
            items = list(open_pictures(path, threads=1))
        except DataError:
            refused += 1
        else:
            for item in items:
                assert item.pixels.tolist() in right  # under a changed name, perhaps
    assert refused > len(whole) / 2


def test_bad_members_are_named_with_the_others_or_left_out(path):
    pack(path, [(f"{k}.png", encoded(noise(seed=k))) for k in range(4)], zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 10] ^= 1
    path.write_bytes(data)
    assert error_of(path) == f"1 of 4 pictures in {path} cannot be read: 0.png is damaged (its checksum is wrong)."
    pictures = open_pictures(path, skip_bad=True)
    assert [item.name for item in pictures] == ["1.png", "2.png", "3.png"]
    assert pictures.skipped == [("0.png", "damaged (its checksum is wrong)")]


# Forged tables of contents: fields at their offsets (APPNOTE.TXT, 4.3.12)
FLAGS, METHOD, CRC, PACKED, SIZE, HEADER = 8, 10, 16, 20, 24, 42


@pytest.mark.parametrize(
    ("offset", "form", "value", "reason"),
    [
        (FLAGS, "<H", 1, "is encrypted"),
        (METHOD, "<H", 99, "is packed by method 99 instead of deflate"),
        (METHOD, "<H", zipfile.ZIP_LZMA, "is packed by method 14 instead of deflate"),
        (CRC, "<I", 0, "is damaged (its checksum is wrong)"),
        (SIZE, "<I", 20, "is damaged (it does not have the size that the table of contents says)"),
        (SIZE, "<I", 5000, "is damaged (it does not have the size that the table of contents says)"),
        (SIZE, "<I", 0, "is damaged (it does not have the size that the table of contents says)"),
        (PACKED, "<I", 0x3FFF0000, "is damaged (the archive ends within it)"),
        (PACKED, "<I", 5, "is damaged (it does not have the size that the table of contents says)"),
        (PACKED, "<I", 0xFFFFFFF0, "would unpack from 4,294,967,280 to"),
        (SIZE, "<I", 0xFFFFFFF0, "to 4,294,967,280 bytes, which is refused"),
        (HEADER, "<I", 7, "is damaged (its header is not where the table of contents says)"),
        (HEADER, "<I", 60000, "is damaged (its header is not where the table of contents says)"),
    ],
)
def test_forged_members_are_refused(path, offset, form, value, reason):
    pack(path, [("1.png", encoded(noise(seed=1))), ("2.png", encoded(noise(seed=2)))])
    forge(path, offset, form, value)
    what = error_of(path)
    assert what.startswith(f"1 of 2 pictures in {path} cannot be read: 1.png ")
    assert reason in what


def test_an_empty_member_is_said_to_be_empty(path):
    pack(path, [("1.png", b""), ("2.png", encoded(noise()))])
    assert "1.png is empty (0 bytes)" in error_of(path)


def test_a_bomb_is_never_unpacked(path, monkeypatch):
    bomb = bytes(1 << 20)
    pack(path, [("1.png", encoded(noise())), ("bomb.bmp", bomb)])
    monkeypatch.setattr(archives, "_RATIO_FROM", 1 << 19)
    unpacked = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, bits):
            self.inner = real(bits)

        def decompress(self, data, most):
            unpacked.append(most)
            return self.inner.decompress(data, most)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    packed = zipfile.ZipFile(path).getinfo("bomb.bmp").compress_size
    assert packed < 1500
    assert f"bomb.bmp would unpack from {packed:,} to 1,048,576 bytes, which is refused" in error_of(path)
    assert unpacked == [len(encoded(noise())) + 1]
    # the same bomb, said to be small: unpacked only as far as it says
    data = path.read_bytes()
    entry = data.rindex(b"PK\x01\x02")
    path.write_bytes(data[: entry + SIZE] + struct.pack("<I", 1000) + data[entry + SIZE + 4 :])
    unpacked.clear()
    assert "bomb.bmp is damaged (it does not have the size" in error_of(path)
    assert sorted(unpacked) == sorted([len(encoded(noise())) + 1, 1001])


def test_a_plain_picture_may_shrink_a_lot(path):
    flat = np.zeros((500, 500, 3), np.uint8)
    pack(path, [("flat.bmp", encoded(flat, "BMP"))])
    info = zipfile.ZipFile(path).infolist()[0]
    assert info.file_size > 200 * info.compress_size
    (item,) = open_pictures(path)
    np.testing.assert_array_equal(item.pixels, flat)
