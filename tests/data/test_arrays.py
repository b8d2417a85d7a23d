"""Array files: every accepted shape gives the pictures that NumPy wrote; the others one sentence each."""

import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from gantool.data.arrays import ArrayPictures
from gantool.data.pictures import is_statistics, open_pictures
from gantool.errors import DataError

GREY = "grey repeated to three channels"
SAVERS = {
    "x.npy": lambda path, x: np.save(path, x),
    "x.npz": lambda path, x: np.savez(path, x),
    "compressed.npz": lambda path, x: np.savez_compressed(path, x),
}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def error_of(path):
    with pytest.raises(DataError) as caught:
        list(open_pictures(path))
    return caught.value


@pytest.fixture(params=list(SAVERS))
def store(request, tmp_path):
    """A function that saves an array in one of the three ways and returns the path."""

    def save(x):
        SAVERS[request.param](tmp_path / request.param, x)
        return tmp_path / request.param

    return save


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ((7, 4, 6, 3), lambda x: x),
        ((7, 4, 6, 1), lambda x: np.repeat(x, 3, 3)),
        ((7, 4, 6), lambda x: np.stack([x] * 3, 3)),
        ((7, 3, 4, 6), lambda x: np.moveaxis(x, 1, 3)),
        ((7, 1, 4, 6), lambda x: np.repeat(np.moveaxis(x, 1, 3), 3, 3)),
        ((4, 6, 3), lambda x: x[None]),
        ((4, 6, 1), lambda x: np.repeat(x, 3, 2)[None]),
        ((1, 4, 6), lambda x: np.stack([x] * 3, 3)),
        ((1, 1, 4, 3), None),
    ],
)
def test_shapes(store, stored, expected):
    x = noise(*stored)
    if expected is None:
        assert "channels may be second or last" in error_of(store(x)).what
        return
    right = expected(x)
    pictures = open_pictures(store(x))
    assert pictures.kind == "array"
    assert list(pictures.names) == [str(k) for k in range(len(right))]
    for _ in range(2):
        items = list(pictures)
        assert [item.name for item in items] == list(pictures.names)
        for item, picture in zip(items, right, strict=True):
            assert type(item.pixels) is np.ndarray
            assert item.pixels.flags.writeable
            assert item.pixels.flags.c_contiguous
            np.testing.assert_array_equal(item.pixels, picture)
        assert pictures.sizes == {right.shape[1:3]: len(right)}
    grey = 3 not in (stored[-1], stored[-3] if len(stored) == 4 else 0)
    assert pictures.notes == ([f"{len(right)} of {len(right)} pictures: {GREY}"] if grey else [])
    assert pictures.jpeg == 0


def test_any_order_of_reading(store):
    x = noise(9, 4, 6, 3)
    pictures = open_pictures(store(x))
    for index in (4, 5, 8, 8, 0, 0, 1, 7, 2):
        np.testing.assert_array_equal(pictures.read(index).pixels, x[index])
    again = pickle.loads(pickle.dumps(pictures))
    np.testing.assert_array_equal(again.read(3).pixels, x[3])
    iterator = iter(pictures)
    next(iterator)
    pictures.read(6)  # in the middle of an iteration
    np.testing.assert_array_equal(next(iterator).pixels, x[1])


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_stored_arrays_are_mapped_into_memory(tmp_path, name):
    path = tmp_path / name
    SAVERS[name](path, noise(5, 4, 6, 3))
    source = ArrayPictures(path)
    source.load(2, (255, 255, 255))
    assert isinstance(source._mapped, np.memmap)
    assert len(pickle.dumps(source)) < 3000


def test_fifty_thousand_pictures_are_not_held_in_memory(tmp_path):
    path = tmp_path / "large.npy"
    shape = (50_000, 256, 256, 3)
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        last = noise(256, 256, 3)
        file.truncate(file.tell() + int(np.prod(shape)))  # sparse: takes no place on the disk
        file.seek(-last.nbytes, 2)
        file.write(last.tobytes())
    pictures = open_pictures(path)
    assert len(pictures) == 50_000
    iterator = iter(pictures)
    tracemalloc.start()
    for _ in range(20):
        assert not next(iterator).pixels.any()
    read = pictures.read(49_999).pixels
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * last.nbytes
    np.testing.assert_array_equal(read, last)


def test_compressed_arrays_are_streamed(tmp_path):
    path = tmp_path / "x.npz"
    x = noise(400, 32, 32, 3) // 64
    np.savez_compressed(path, x)
    pictures = open_pictures(path)
    tracemalloc.start()
    sums = [int(item.pixels.sum()) for item in pictures]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 4
    assert sums == x.sum((1, 2, 3)).tolist()


def test_fortran_order(tmp_path):
    x = noise(5, 4, 6, 3)
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    np.testing.assert_array_equal([item.pixels for item in open_pictures(tmp_path / "x.npy")], x)
    np.savez_compressed(tmp_path / "x.npz", np.asfortranarray(x))
    assert error_of(tmp_path / "x.npz").hint == "Save numpy.ascontiguousarray(x) instead."


# Which array of an .npz


def test_labels_beside_the_pictures_are_left_out(tmp_path):
    x, path = noise(5, 4, 6, 3), tmp_path / "x.npz"
    objects = np.array([None] * 5)
    for arrays in ({"labels": np.zeros(5, int), "images": x}, {"y": objects, "extra": np.zeros((5, 40)), "x": x}):
        np.savez(path, **arrays)
        np.testing.assert_array_equal([item.pixels for item in open_pictures(path)], x)
    np.savez(path, noise(2, 8, 8, 3), other=x)  # arr_0 comes first
    assert len(open_pictures(path)) == 2
    np.savez(path, x_train=x, x_test=x)
    error = error_of(path)
    assert error.what == f"{path} has several arrays that may be pictures (x_test, x_train)."
    assert error.hint == "Save one by itself: numpy.save('pictures.npy', numpy.load('x.npz')['x_test'])."
    np.savez(path, a=np.zeros(5), b=np.zeros((5, 2)))
    assert error_of(path).what == f"{path} holds no array of pictures (found a (5,), b (5, 2))."
    np.savez(path)
    assert error_of(path).what == f"{path} holds no array of pictures (found no arrays)."


def test_statistics_are_known_and_refused(tmp_path):
    path, x = tmp_path / "statistics.npz", noise(5, 4, 6, 3)
    np.savez(path, mu=np.zeros(8), sigma=np.eye(8))
    assert is_statistics(path)
    assert is_statistics(str(path))
    assert error_of(path).what == f"{path} holds statistics of pictures (mu and sigma), not pictures."
    np.savez(path, mu=np.zeros(8), sigma=np.eye(8), arr_0=x)  # as some reference batches come
    assert is_statistics(path)
    assert len(open_pictures(path)) == 5
    np.savez(path, mu=np.zeros(8))
    assert not is_statistics(path)
    np.save(tmp_path / "mu.npy", x)
    assert not is_statistics(tmp_path / "mu.npy")
    assert not is_statistics(tmp_path / "none.npz")
    path.write_bytes(b"PK")
    assert not is_statistics(path)


# Arrays that are no pictures


@pytest.mark.parametrize(
    ("x", "what", "hint"),
    [
        (np.linspace(-1, 0.5, 96, dtype=np.float32), "float32 values from -1 to 0.5 instead", "(x * 127.5 + 127.5)"),
        (np.linspace(0, 1, 96), "float64 values from 0 to 1 instead", "(x * 255).round()"),
        (np.linspace(0, 254.5, 96), "float64 values from 0 to 254.5 instead", "Save x.round().astype('uint8')"),
        (np.arange(96), "int64 values from 0 to 95 instead", "Save x.astype('uint8') instead."),
        (np.arange(-1, 95, dtype=np.int8), "int8 values from -1 to 94 instead", "Bring them to 0 ... 255"),
        (np.arange(96, dtype=np.uint16) * 600, "uint16 values from 0 to 57000 instead", "Bring them to 0 ... 255"),
        (np.arange(96) > 3, "bool values instead", "Save (x * 255).astype('uint8')"),
        (np.arange(96) * 1j, "complex128 values instead", "Pictures are uint8"),
        (np.array(["a"] * 96), "str32 values instead", "Pictures are uint8"),
    ],
)
def test_other_types_say_what_they_hold(store, x, what, hint):
    error = error_of(store(x.reshape(2, 4, 4, 3)))
    assert f" holds {what} of uint8." in error.what
    assert hint in error.hint


def test_values_that_are_no_numbers_are_counted(store):
    x = np.linspace(-1, 1, 96).reshape(2, 4, 4, 3)
    x[0, :2, 0] = np.nan
    x[1, 0, 0, 0] = np.inf
    what = error_of(store(x)).what  # the smallest number left is the fourth, -1 + 3 * 2 / 95
    assert what.endswith("float64 values from -0.936842 to 1, 7 of them NaN or infinite, instead of uint8.")
    assert "float64 values, 96 of them NaN" in error_of(store(x * np.nan)).what


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((0, 4, 6, 3), "holds no pictures: its shape is (0, 4, 6, 3)."),
        ((5, 0, 6), "holds no pictures: its shape is (5, 0, 6)."),
        ((), "has the shape (), which is no set of pictures."),
        ((96,), "has the shape (96,), which is no set of pictures."),
        ((5, 784), "has the shape (5, 784), which is no set of pictures."),
        ((5, 4, 6, 4), "has the shape (5, 4, 6, 4), which is no set of pictures."),
        ((1, 5, 4, 6, 3), "has the shape (1, 5, 4, 6, 3), which is no set of pictures."),
        ((3, 4, 6), "has the shape (3, 4, 6): one picture with channels first, or three grey ones."),
        ((5, 3, 6, 3), "has the shape (5, 3, 6, 3), whose channels may be second or last."),
    ],
)
def test_other_shapes_are_refused(store, shape, reason):
    assert error_of(store(noise(*shape))).what.endswith(reason)


def test_objects_are_never_unpickled(store):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    x = np.empty((1, 1, 1, 3), object)
    x[0, 0, 0, 0] = Bomb()
    assert error_of(store(x)).what.endswith(" holds Python objects, which gantool never unpickles.")


# Damaged files


def test_files_that_are_no_arrays(tmp_path):
    path = tmp_path / "x.npy"
    assert "There is no file" in error_of(path).what
    path.write_bytes(b"")
    assert error_of(path).what == f"{path} is empty (0 bytes)."
    for content in (
        b"\x93NUM",
        b"<html>" * 10,
        b"\x93NUMPY\x03\x00" + bytes(90),
        b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16,
    ):
        path.write_bytes(content)
        assert error_of(path).what.startswith(f"{path} cannot be read as NumPy's array (")
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (-1, 4, 6, 3)})
    assert "its shape is (-1, 4, 6, 3)" in error_of(path).what
    (tmp_path / "x.npz").write_bytes(b"<html>")
    assert "is not a zip archive" in error_of(tmp_path / "x.npz").what


def test_a_cut_off_file_says_how_much_is_there(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, noise(5, 4, 6, 3))
    path.write_bytes(path.read_bytes()[:-1])
    assert error_of(path).what == f"{path} is cut off: 487 of 488 bytes are there."
    np.save(path, np.zeros(1))  # and one that says to be enormous
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10**18, 64, 64, 3)}
        )
    assert error_of(path).what.startswith(f"{path} is cut off: 128 of ")


@pytest.mark.parametrize("skip_bad", [False, True])
def test_damage_within_a_compressed_array_is_found(tmp_path, skip_bad):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, noise(50, 8, 8, 3))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    pictures = open_pictures(path, skip_bad=skip_bad)
    for _ in range(2):
        with pytest.raises(DataError, match=r"^arr_0 in .*x\.npz cannot be read as NumPy's array"):
            list(pictures)
    with pytest.raises(DataError, match="arr_0 in"):
        pictures.read(49)


def test_absurd_arrays_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, np.zeros((1, 9000, 9000), np.uint8))
    packed = zipfile.ZipFile(path).infolist()[0]
    assert packed.file_size > 500 * packed.compress_size
    assert f"would unpack from {packed.compress_size:,} to {packed.file_size:,} bytes" in error_of(path).what
    np.savez(path, np.zeros((1, 9000, 9000), np.uint8))
    assert "has pictures of 9000 × 9000; at most 64 megapixels are read" in error_of(path).what
