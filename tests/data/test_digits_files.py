"""IDX files and CSVs of digits: read to the value, and each mistake named with its line and column."""

import gzip
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gantool.data.digit_csv import read_csv
from gantool.data.idx import read_idx
from gantool.data.labelled import open_labelled
from gantool.errors import DataError

MNIST = Path(__file__).parents[2] / "../shared/data/mnist"
real = pytest.mark.skipif(not MNIST.is_dir(), reason="no MNIST beside the repository")

RANDOM = np.random.default_rng(3)
PIXELS = RANDOM.integers(0, 256, (12, 4, 4), dtype=np.uint8)
LABELS = RANDOM.integers(0, 10, 12)


def idx(values):
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


@pytest.fixture
def files(tmp_path):
    """Write MNIST's two files; `packed` by gzip."""

    def write(split="train", packed=False, pixels=PIXELS, labels=LABELS):
        for kind, values in (("images-idx3", pixels), ("labels-idx1", labels)):
            data = idx(values)
            name = f"{split}-{kind}-ubyte{'.gz' if packed else ''}"
            (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
        return tmp_path / f"{split}-images-idx3-ubyte{'.gz' if packed else ''}"

    return write


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_with_the_labels_beside(files, packed):
    path = files(packed=packed)
    for reference in (path, path.parent):
        found = open_labelled(reference)
        assert found.labels.tolist() == LABELS.tolist()
        assert (found.kind, found.size, found.grey, found.digits) == ("idx", (4, 4), True, True)
        for index in (11, 0, 5):
            np.testing.assert_array_equal(found.pictures.read(index).pixels, np.stack([PIXELS[index]] * 3, axis=-1))
    assert len(found.classes) == LABELS.max() + 1


def test_a_folder_with_both_parts_gives_those_to_train_on(files):
    files("t10k", pixels=PIXELS[:2], labels=LABELS[:2])
    folder = files("train", packed=True).parent
    found = open_labelled(folder)
    assert len(found) == 12
    assert "name t10k-images-idx3-ubyte to have that" in " ".join(found.remarks)
    assert len(open_labelled(folder / "t10k-images-idx3-ubyte")) == 2


def test_labels_packed_or_missing(files):
    path = files()
    beside = path.with_name("train-labels-idx1-ubyte")
    beside.with_name("train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(beside.read_bytes()))
    beside.unlink()
    assert open_labelled(path).labels.tolist() == LABELS.tolist()
    beside.with_name("train-labels-idx1-ubyte.gz").unlink()
    found = open_labelled(path)
    assert found.labels is None
    assert "no labels" in found.remarks[0]


def test_the_digest_of_idx_files_covers_the_labels(files):
    first = open_labelled(files()).digest()
    assert open_labelled(files(labels=LABELS[::-1])).digest() != first
    assert open_labelled(files()).digest() == first


def head(*sizes, magic=(0, 0, 8, 3)):
    return bytes(magic) + struct.pack(f">{len(sizes)}I", *sizes)


BAD_IDX = [
    (b"", "is empty"),
    (b"\x00\x00", "not an IDX file: it begins with 00 00"),
    (b"\x89PNG\r\n", "not an IDX file"),
    (head(2, 2, 2, magic=(0, 0, 0x0D, 3)), "values of IDX type 0x0d"),
    (head(5, magic=(0, 0, 8, 1)) + bytes(5), "holds labels, not pictures"),
    (head(1, 2, 2, 3, magic=(0, 0, 8, 4)) + bytes(12), "an array of 4 dimensions"),
    (head(2, 2), "cut off within its header"),
    (head(0, 28, 28), "sizes are 0 × 28 × 28"),
    (head(3, 2, 2) + bytes(11), "cut off: 11 of 12 bytes"),
    (head(3, 2, 2) + bytes(13), "goes on after the 12 bytes"),
    (head(1, 2**32 - 1, 2**32 - 1) + bytes(9), "claims pictures of 4,294,967,295"),
    (head(2**32 - 1, 100, 100) + bytes(9), "bytes"),
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("data", "message"), BAD_IDX, ids=[message[:20] for _, message in BAD_IDX])
def test_idx_files_that_lie(tmp_path, data, message, packed):
    path = tmp_path / ("x-images-idx3-ubyte" + ".gz" * packed)
    path.write_bytes(gzip.compress(data) if packed else data)
    if packed:
        message = message.replace("is empty", "begins with nothing").replace("13", "12")
    tracemalloc.start()
    with pytest.raises(DataError, match=message):
        open_labelled(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_packed_idx_files_that_are_damaged_or_bombs(files, tmp_path):
    path = files(packed=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(DataError, match="damaged or cut off"):
        open_labelled(path)
    path.write_bytes(whole[:20] + bytes([whole[20] ^ 255]) + whole[21:])
    with pytest.raises(DataError, match="damaged or cut off"):
        open_labelled(path)
    path.write_bytes(b"plain bytes")
    with pytest.raises(DataError, match="damaged or cut off"):
        open_labelled(path)
    path.write_bytes(gzip.compress(head(2, 2, 2) + bytes(64 << 20)))
    tracemalloc.start()
    with pytest.raises(DataError, match="goes on after the 8 bytes"):
        open_labelled(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_labels_that_do_not_fit_the_pictures(files):
    path = files(labels=LABELS[:-1])
    with pytest.raises(DataError, match=r"has 11 labels, but .* has 12 pictures"):
        open_labelled(path)
    with pytest.raises(DataError, match="holds labels, not pictures"):
        open_labelled(path.with_name("train-labels-idx1-ubyte"))


def rows(pixels=PIXELS, labels=LABELS):
    lines = pixels.reshape(len(pixels), -1).tolist()
    return [",".join(map(str, [label, *line])) for label, line in zip(labels, lines, strict=True)]


KAGGLE = "label," + ",".join(f"pixel{k}" for k in range(16))
WITHOUT = ",".join(f"pixel{k}" for k in range(16))
PLAIN = rows()
UNLABELLED = [line.partition(",")[2] for line in PLAIN]
FORMS = {
    "kaggle": [KAGGLE, *PLAIN],
    "without header": PLAIN,
    "quoted": [f'"{line}"'.replace(",", '","') for line in (KAGGLE, *PLAIN)],
    "label last": [f"{WITHOUT},class", *(f"{line},{label}" for line, label in zip(UNLABELLED, LABELS, strict=True))],
    "ids": [f"id,{KAGGLE}", *(f"img_{k},{line}" for k, line in enumerate(PLAIN))],
    "pandas": [",label," + ",".join(map(str, range(16))), *(f"{k},{line}" for k, line in enumerate(PLAIN))],
    "numbers for names": [",".join(map(str, range(17))), *PLAIN],
    "another name": [KAGGLE.replace("label", "number"), *PLAIN],
    "floats": [KAGGLE, *(line.replace(",", ".0,") + ".0" for line in PLAIN)],
    "blank lines": ["", KAGGLE, "", *PLAIN, "", "  "],
    "spaces": [line.replace(",", " , ") for line in (KAGGLE, *PLAIN)],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("end", "start"), [("\n", b""), ("\r\n", b"\xef\xbb\xbf")])
def test_forms_of_csv(tmp_path, form, end, start):
    data = start + end.join(FORMS[form]).encode()
    for name, content in (("a.csv", data), ("A.CSV.GZ", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        found = read_csv(tmp_path / name)
        np.testing.assert_array_equal(found.pixels, PIXELS)
        assert found.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("lines", [[WITHOUT, *UNLABELLED], UNLABELLED])
def test_csv_without_labels(tmp_path, lines):
    (tmp_path / "test.csv").write_text("\n".join(lines))
    found = open_labelled(tmp_path / "test.csv")
    assert found.labels is None
    assert (found.kind, found.size, found.digits) == ("csv", (4, 4), True)
    np.testing.assert_array_equal(found.pictures.read(7).pixels[..., 1], PIXELS[7])


def changed(line, column, cell):
    cells = PLAIN[line].split(",")
    cells[column : column + 1] = [] if cell is None else [cell]
    return [KAGGLE, *PLAIN[:line], ",".join(cells), *PLAIN[line + 1 :]]


BAD_CSV = [
    ([], "is empty"),
    (["", " "], "has no rows"),
    ([KAGGLE], "has no rows"),
    (changed(4, 3, None), r"line 6 has 16 columns instead of 17"),
    (changed(4, 3, "1,2"), r"line 6 has 18 columns instead of 17"),
    ([KAGGLE, *(line.replace(",", ";") for line in PLAIN)], r"line 2 has 1 columns instead of 17\. .*by commas"),
    ([line.replace(",", "\t") for line in PLAIN], r"line 1 has 1 columns, .* by commas"),
    (changed(0, 5, "abc"), r"line 2, column 6: 'abc' is no grey value"),
    (changed(0, 5, ""), r"line 2, column 6: '' is no grey value"),
    (changed(11, 16, "256"), r"line 13, column 17: '256' is no grey value"),
    (changed(3, 16, "-1"), r"line 5, column 17: '-1' is no grey value"),
    (changed(3, 2, "0.5"), r"line 5, column 3: '0.5' is no grey value.* by 255"),
    (changed(3, 2, "nan"), r"line 5, column 3: 'nan' is no grey value"),
    (changed(3, 2, "1e300"), r"line 5, column 3: '1e300' is no grey value"),
    (changed(3, 2, "99999999999999999999999"), r"line 5, column 3"),
    (changed(3, 2, "18446744073709551616"), r"line 5, column 3"),
    (changed(7, 0, ""), r"line 9 has no label"),
    (changed(7, 0, "cat"), r"line 9, column 1: the label is 'cat'"),
    (changed(7, 0, "-1"), r"line 9, column 1: the label is '-1'"),
    (changed(7, 0, "2.5"), r"line 9, column 1: the label is '2.5'"),
    (changed(7, 0, "65536"), r"line 9, column 1: the label is '65536'"),
    (changed(7, 0, "inf"), r"line 9, column 1: the label is 'inf'"),
    (changed(7, 4, "1\x002"), r"line 9"),
    (["1,2,3"], r"line 1 has 3 columns, which make no square"),
    (["label,y,a,b,c,d", "1,1,0,0,0,0"], r"several columns of labels \(label, y\)"),
    (["<html>", "<body>"], r"line 1 has 1 columns, .* A line holds"),
]


@pytest.mark.parametrize(("lines", "message"), BAD_CSV, ids=[f"{k} {m[:24]}" for k, (_, m) in enumerate(BAD_CSV)])
def test_mistakes_in_csv_are_named(tmp_path, lines, message):
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=message) as caught:
        open_labelled(tmp_path / "a.csv")
    assert str(tmp_path / "a.csv") in caught.value.what


def test_csv_that_is_damaged_or_a_bomb(tmp_path, monkeypatch):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("\n".join(FORMS["kaggle"]).encode())[:-9])
    with pytest.raises(DataError, match="damaged or cut off"):
        open_labelled(path)
    path.write_bytes(gzip.compress(b"0," * (40 << 20)))
    tracemalloc.start()
    with pytest.raises(DataError, match="line 1 is longer than 16 MiB"):
        open_labelled(path)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    monkeypatch.setattr("gantool.data.digit_csv.MOST_BYTES", 1000)
    path.write_bytes(gzip.compress("\n".join(PLAIN * 3).encode()))
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        open_labelled(path)


def test_a_large_csv_takes_seconds_and_a_byte_a_pixel(tmp_path):
    line = ",".join(["7"] + ["0", "0", "0", "128", "255", "17", "0"] * 112)
    (tmp_path / "a.csv").write_text("\n".join([line] * 6000))
    tracemalloc.start()
    start = time.process_time()
    found = read_csv(tmp_path / "a.csv")
    took, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.pixels.shape == (6000, 28, 28)
    assert took < 4  # a seventh of Kaggle's; 0.2 s, or 0.5 s while memory is traced
    assert peak < 2 * found.pixels.nbytes


@real
def test_the_real_files_agree():
    csv = read_csv(MNIST / "digit_recognizer_style_t10k_first300.csv")
    files = read_idx(MNIST / "t10k-images-idx3-ubyte.gz", MNIST / "t10k-labels-idx1-ubyte.gz")
    assert files.pixels.shape == (10000, 28, 28)
    np.testing.assert_array_equal(csv.pixels, files.pixels[:300])
    np.testing.assert_array_equal(csv.labels, files.labels[:300])
    assert np.bincount(files.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(float(files.pixels.mean()) / 255, 4) == 0.1325  # as published for the test set
    assert len(read_csv(MNIST / "makeyourown_csv/mnist_train_100.csv").labels) == 100
