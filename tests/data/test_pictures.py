"""Sets of pictures give back the arrays that the test wrote, in order, and name everything that is wrong."""

import pickle
import signal
import threading
import time
import tracemalloc
import warnings
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from gantool.data import pictures as module
from gantool.data.pictures import Item, open_pictures, pair_by_name
from gantool.errors import ConfigError, DataError


def noise(height=4, width=6, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures 0.png to 11.png, of which number k is noise of seed k."""
    for k in range(12):
        save(tmp_path / "set" / f"{k}.png", noise(seed=k))
    return tmp_path / "set"


def decoders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


# Files and folders


def test_a_folder_gives_its_pictures_in_natural_order(folder):
    save(folder / "a" / "3.PNG", noise(seed=12))
    save(folder / ".hidden" / "4.png", noise())
    (folder / "list.txt").write_text("none")
    pictures = open_pictures(folder)
    names = [f"{k}.png" for k in range(12)] + ["a/3.PNG"]
    assert (pictures.label, pictures.kind, len(pictures)) == (str(folder), "folder", 13)
    assert list(pictures.names) == names
    for _ in range(2):  # iterating again gives the same, counted anew
        items = list(pictures)
        assert [item.name for item in items] == names
        for k, item in enumerate(items):
            assert item.pixels.dtype == np.uint8
            np.testing.assert_array_equal(item.pixels, noise(seed=k))
        assert pictures.sizes == {(4, 6): 13}
        assert (pictures.jpeg, pictures.notes, pictures.skipped) == (0, [], [])
    np.testing.assert_array_equal(pictures.read(7).pixels, noise(seed=7))
    assert pictures.sizes == {(4, 6): 13}  # it was counted already
    assert pictures.read(12).name == "a/3.PNG"
    with pytest.raises(IndexError):
        pictures.read(13)
    with pytest.raises(IndexError):
        pictures.read(-1)
    assert len(open_pictures(folder, recursive=False)) == 12


def test_one_file_is_a_set_of_one(folder):
    pictures = open_pictures(str(folder / "3.png"))
    assert (pictures.label, pictures.kind, list(pictures.names)) == (str(folder / "3.png"), "file", ["3.png"])
    (item,) = pictures
    np.testing.assert_array_equal(item.pixels, noise(seed=3))
    (folder / "3.png").write_bytes(b"")
    for skip_bad in (False, True):
        with pytest.raises(DataError) as caught:
            list(open_pictures(folder / "3.png", skip_bad=skip_bad))
        assert caught.value.what == f"{folder / '3.png'} is empty (0 bytes)."


def test_what_was_done_is_counted(tmp_path):
    grey, palette = noise(channels=1, seed=1), noise(height=9)
    rgba = np.dstack([noise(seed=2), np.zeros((4, 6), np.uint8)])
    save(tmp_path / "1.png", grey)
    save(tmp_path / "2.png", grey)
    save(tmp_path / "3.png", rgba)
    save(tmp_path / "4.jpg", palette)
    for k, frames in ((5, 2), (6, 3)):
        first, *rest = (Image.fromarray(noise(seed=f)) for f in range(frames))
        first.save(tmp_path / f"{k}.tif", save_all=True, append_images=rest)
    pictures = open_pictures(tmp_path, background="#010203")
    items = list(pictures)
    np.testing.assert_array_equal(items[0].pixels, np.stack([grey] * 3, -1))
    assert (items[2].pixels == [1, 2, 3]).all()
    assert pictures.jpeg == 1
    assert pictures.sizes == Counter({(4, 6): 5, (9, 6): 1})
    assert Counter(pictures.notes) == Counter(
        [
            "2 of 6 pictures: grey repeated to three channels",
            "2 of 6 pictures: first frame used",
            "1 of 6 pictures: transparent pixels were put on #010203",
        ]
    )
    single = open_pictures(tmp_path / "1.png")
    list(single)
    assert single.notes == ["grey repeated to three channels"]


def test_nothing_to_read_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        open_pictures(tmp_path / "none")
    with pytest.raises(DataError, match=r"There is no file .*none\.zip"):
        open_pictures(tmp_path / "none.zip")
    with pytest.raises(DataError, match=r"No pictures in .*found no files"):
        open_pictures(tmp_path)
    for name in ("a.txt", "b.txt", "c.zip"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"found 2 \.txt, 1 \.zip"):
        open_pictures(tmp_path)
    with pytest.raises(ConfigError):
        open_pictures(save(tmp_path / "a.png", noise()), background="mauve")


def test_names_are_fit_to_be_shown(tmp_path):
    save(tmp_path / "a\x1b[2J\n.png", noise())
    path = tmp_path / "写真\u3000é.png"
    save(path, noise(seed=1))
    pictures = open_pictures(tmp_path)
    assert list(pictures.names) == ["a\ufffd[2J\ufffd.png", "写真\u3000é.png"]
    assert len(list(pictures)) == 2


# Bad pictures


@pytest.fixture
def damaged(folder):
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[:-30])
    (folder / "5.png").write_bytes(b"")
    (folder / "11.png").write_text("<html>404</html>")
    return folder


def test_all_bad_pictures_are_named_at_once(damaged):
    pictures = open_pictures(damaged)
    seen = []
    with pytest.raises(DataError) as caught:
        seen.extend(item.name for item in pictures)
    assert seen == ["0.png", "1.png"]
    what = caught.value.what
    assert what.startswith(f"3 of 12 pictures in {damaged} cannot be read: 2.png is damaged or cut off (")
    assert what.endswith("; 5.png is empty (0 bytes); 11.png is not a picture but seems to be a web page.")
    assert "--skip-bad" in caught.value.hint
    assert not decoders()
    with pytest.raises(DataError, match=r"set/5\.png is empty"):
        pictures.read(5)


def test_pictures_read_one_by_one_are_counted_once(tmp_path):
    save(tmp_path / "a.png", noise(channels=1))
    save(tmp_path / "b.jpg", noise(8, 8))
    save(tmp_path / "c.png", noise())
    pictures = open_pictures(tmp_path)
    for index in (0, 1, 0):
        pictures.read(index)
    assert pictures.sizes == {(4, 6): 1, (8, 8): 1}
    assert pictures.jpeg == 1
    assert pictures.notes == ["1 of 2 pictures: grey repeated to three channels"]


def test_at_most_five_bad_pictures_are_named(folder):
    for k in range(1, 12):
        (folder / f"{k}.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        list(open_pictures(folder))
    assert caught.value.what.count("is empty") == 5
    assert caught.value.what.endswith("5.png is empty (0 bytes); and 6 more.")


def test_bad_pictures_can_be_left_out(damaged):
    pictures = open_pictures(damaged, skip_bad=True)
    for _ in range(2):
        kept = list(pictures)
        assert [item.name for item in kept] == [f"{k}.png" for k in (0, 1, 3, 4, 6, 7, 8, 9, 10)]
        np.testing.assert_array_equal(kept[-1].pixels, noise(seed=10))
        assert [name for name, _ in pictures.skipped] == ["2.png", "5.png", "11.png"]
        assert pictures.skipped[1][1] == "empty (0 bytes)"
        assert pictures.skipped[2][1] == "not a picture but seems to be a web page"
        assert pictures.sizes.total() == 9
        assert len(pictures) == 12


def test_links_to_nowhere_and_names_like_the_folder(folder):
    (folder / "20.png").symlink_to(folder / "none")
    (folder / "set").mkdir()
    (folder / "set" / "set.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r": 20\.png is a link to what is not there; set/set\.png is empty \(0 bytes\)\."
    ) as caught:
        list(open_pictures(folder))
    assert caught.value.what.startswith("2 of 14 ")


def test_what_is_left_out_takes_no_memory(tmp_path):
    for k in range(20):
        (tmp_path / f"{k}.png").write_bytes(bytes(1 << 20))
    save(tmp_path / "20.png", noise())
    pictures = open_pictures(tmp_path, skip_bad=True, threads=1)
    tracemalloc.start()
    assert len(list(pictures)) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pictures.skipped) == 20
    assert peak < 5 << 20


def test_leaving_out_all_pictures_is_an_error(folder):
    for k in range(12):
        (folder / f"{k}.png").write_text("none")
    with pytest.raises(DataError, match=r"^None of the 12 pictures in .* can be read: 0\.png is not a picture"):
        list(open_pictures(folder, skip_bad=True))


# Decoding ahead


def watch(monkeypatch, delay=lambda index: 0.0):
    """Count loads as they begin; each then takes `delay` seconds."""
    begun = []
    load = module.PictureFiles.load

    def slow(self, index, colour):
        begun.append(index)
        time.sleep(delay(index))
        return load(self, index, colour)

    monkeypatch.setattr(module.PictureFiles, "load", slow)
    return begun


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_order_is_kept_whatever_takes_longer(folder, monkeypatch, threads):
    watch(monkeypatch, lambda index: 0.03 if index % 3 == 0 else 0.0)
    items = list(open_pictures(folder, threads=threads))
    assert [item.name for item in items] == [f"{k}.png" for k in range(12)]
    for k, item in enumerate(items):
        np.testing.assert_array_equal(item.pixels, noise(seed=k))


def test_pictures_are_decoded_at_the_same_time(folder, monkeypatch):
    together = threading.Barrier(3, timeout=5)
    load = module.PictureFiles.load

    def meet(self, index, colour):
        if index > 0:  # the first is loaded alone, to see how large pictures are
            together.wait()
        return load(self, index, colour)

    save(folder / "12.png", noise(seed=12))
    monkeypatch.setattr(module.PictureFiles, "load", meet)
    assert len(list(open_pictures(folder, threads=3))) == 13


def test_only_so_many_are_decoded_ahead(folder, monkeypatch):
    begun = watch(monkeypatch)
    for k, _ in enumerate(open_pictures(folder, threads=2)):
        time.sleep(0.02)
        assert len(begun) <= k + 1 + 4
    assert sorted(begun) == list(range(12))
    begun.clear()
    monkeypatch.setattr(module, "_AHEAD_BYTES", 100)  # less than two pictures of 72 bytes
    for k, _ in enumerate(open_pictures(folder, threads=2)):
        time.sleep(0.02)
        assert len(begun) == k + 1


def test_leaving_the_loop_early_ends_the_threads(folder, monkeypatch):
    begun = watch(monkeypatch)
    iterator = iter(open_pictures(folder, threads=2))
    next(iterator)
    next(iterator)
    assert decoders()
    iterator.close()
    assert not decoders()
    assert len(begun) < 12


def test_control_c_ends_it_at_once(folder, monkeypatch):
    begun = watch(monkeypatch, lambda index: 0.2)
    main = threading.get_ident()
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(open_pictures(folder, threads=1))
    assert time.monotonic() - start < 1.0  # all twelve would take 2.4 s
    assert len(begun) < 12
    assert not decoders()


def test_a_programming_error_is_not_a_bad_picture(folder, monkeypatch):
    def fail(self, index, colour):
        raise ZeroDivisionError

    monkeypatch.setattr(module.PictureFiles, "load", fail)
    with pytest.raises(ZeroDivisionError):
        list(open_pictures(folder, skip_bad=True))
    assert not decoders()


def test_odd_metadata_is_no_warning_in_threads_either(tmp_path):
    broken = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\0\0\0\xff\xff\0\0"
    path = save(tmp_path / "a.jpg", noise(), exif=broken)
    with pytest.warns(UserWarning, match="Tag data|Corrupt EXIF"), Image.open(path) as image:
        image.getexif().get(274)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(list(open_pictures(tmp_path))) == 1
    assert caught == []


def test_two_sets_at_once_and_pickled_ones(folder):
    pictures = open_pictures(folder)
    again = pickle.loads(pickle.dumps(pictures))
    for one, other in zip(pictures, again, strict=True):
        assert isinstance(one, Item)
        np.testing.assert_array_equal(one.pixels, other.pixels)


# Pairs


def named(tmp_path, folder, names):
    for name in names.split():
        save(tmp_path / folder / name, noise())
    return open_pictures(tmp_path / folder)


def test_pairs_have_one_name(tmp_path):
    a = named(tmp_path, "a", "1.png 2.png x/10.png x/b.c.png")
    b = named(tmp_path, "b", "2.jpg 1.png x/b.c.jpg x/10.bmp")
    pairs = pair_by_name(a, b)
    assert [(a.names[i], b.names[j]) for i, j in pairs] == [
        ("1.png", "1.png"),
        ("2.png", "2.jpg"),
        ("x/10.png", "x/10.bmp"),
        ("x/b.c.png", "x/b.c.jpg"),
    ]


def test_one_picture_belongs_to_every_other(tmp_path):
    one, many = named(tmp_path, "a", "real.png"), named(tmp_path, "b", "1.png 2.png 3.png")
    assert pair_by_name(one, many) == [(0, 0), (0, 1), (0, 2)]
    assert pair_by_name(many, one) == [(0, 0), (1, 0), (2, 0)]
    assert pair_by_name(one, one) == [(0, 0)]


def test_a_folder_that_holds_all_is_no_part_of_the_names(tmp_path):
    a = named(tmp_path, "a", "1.png 12.png y/3.png")
    b = named(tmp_path, "b", "top/sub/1.png top/sub/12.png top/sub/y/3.png")
    assert pair_by_name(a, b) == [(0, 0), (1, 1), (2, 2)]
    assert pair_by_name(b, a) == [(0, 0), (1, 1), (2, 2)]


def test_pictures_without_a_partner_are_named(tmp_path):
    a, b = named(tmp_path, "a", "1.png 2.png 3.png"), named(tmp_path, "b", "1_x4.png 2.png 3.png")
    with pytest.raises(DataError) as caught:
        pair_by_name(a, b)
    assert caught.value.what == (
        f"{a.label} and {b.label} are paired by name, but 1 of 3 pictures in {a.label} have no partner (1.png); "
        f"1 of 3 pictures in {b.label} have no partner (1_x4.png)."
    )
    assert pair_by_name(a, b, allow_unmatched=True) == [(1, 1), (2, 2)]
    case = named(tmp_path, "c", "A.png B.png")
    with pytest.raises(DataError, match=r"A\.png, B\.png"):
        pair_by_name(case, named(tmp_path, "d", "a.png b.png"))
    with pytest.raises(DataError):
        pair_by_name(case, a, allow_unmatched=True)
    many = named(tmp_path, "e", " ".join(f"m{k}.png" for k in range(7)))
    with pytest.raises(DataError, match=r"7 of 7 .*\(m0\.png, m1\.png, m2\.png, m3\.png, m4\.png, \.\.\.\)"):
        pair_by_name(a, many)


def test_two_pictures_of_one_name_are_no_pair(tmp_path):
    a, b = named(tmp_path, "a", "1.png 1.jpg 2.png"), named(tmp_path, "b", "1.png 2.png")
    with pytest.raises(DataError, match=r"two pictures of one name, 1\.jpg and 1\.png"):
        pair_by_name(a, b)
