"""Pairs written side by side hold both pictures as they were; what is there already stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantool.data.faithful import load_faithful
from gantool.data.pair_set import PairSet
from gantool.data.pairs import open_pairs
from gantool.data.palette import open_palette
from gantool.data.set_options import PairOptions
from gantool.errors import DataError, RunError, UsageError
from gantool.tasks.data_check_pairs import check_pairs
from gantool.tasks.data_pair import pair_data

RANDOM = np.random.default_rng(4)


def noise(height, width, *channels, top=256, kind=np.uint8):
    return RANDOM.integers(0, top, (height, width, *channels), dtype=kind)


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def sides(tmp_path):
    """a/ and b/ with three pairs each in train, one in test, of 20 × 12 pixels."""
    found = {}
    for name in ("train/1", "train/2", "train/3", "test/1"):
        found[name] = [save(noise(12, 20, 3), tmp_path / side / f"{name}.png") for side in ("a", "b")]
    return tmp_path, found


def test_both_are_there_to_the_pixel_and_folders_are_kept(sides):
    folder, wholes = sides
    done = pair_data(folder / "a", folder / "b", folder / "ab")
    assert (done.pairs, done.skipped, done.parts, done.left_out) == (4, 0, {"train": 3, "test": 1}, [])
    for name, pair in wholes.items():
        assert np.array_equal(np.asarray(Image.open(folder / f"ab/{name}.png")), np.concatenate(pair, 1))
    for part, count in (("", 3), ("test", 1)):
        data = open_pairs(folder / "ab", part=part)
        assert (len(data), data.a.half, data.b.half) == (count, 0, 1)


def test_given_again_it_leaves_what_is_there(sides):
    folder, _ = sides
    pair_data(folder / "a", folder / "b", folder / "ab")
    times = {path: path.stat().st_mtime_ns for path in (folder / "ab").rglob("*.png")}
    (folder / "ab/test/1.png").unlink()
    assert pair_data(folder / "a", folder / "b", folder / "ab").skipped == 3
    assert all(path.stat().st_mtime_ns == time for path, time in times.items() if "test" not in path.parts)
    (folder / "ab/test/1.png").write_bytes(b"mine")
    with pytest.raises(RunError, match=r"test/1.png exists already, and differs\. Replace it with --overwrite"):
        pair_data(folder / "a", folder / "b", folder / "ab")
    assert (folder / "ab/test/1.png").read_bytes() == b"mine"
    assert pair_data(folder / "a", folder / "b", folder / "ab", overwrite=True).pairs == 4
    assert Image.open(folder / "ab/test/1.png").size == (40, 12)


def test_sizes(tmp_path):
    a, b = save(noise(12, 20, 3), tmp_path / "a/1.png"), save(noise(24, 30, 3), tmp_path / "b/1.png")
    with pytest.raises(DataError, match=r"In 1 of 1 pairs A and B .* \(1.png: 20 × 12 and 30 × 24\)\. .* --size 20x12"):
        pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "ab")
    assert not (tmp_path / "ab").exists()
    pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "fit", fit=True)
    smaller = np.asarray(Image.fromarray(b).resize((20, 12), Image.BICUBIC))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "fit/1.png")), np.concatenate([a, smaller], 1))
    pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "size", size="16x8")
    assert Image.open(tmp_path / "size/1.png").size == (32, 8)
    with pytest.raises(UsageError, match="both say how large"):
        pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "ab", size="16x8", fit=True)


def test_grey_and_ids_and_depths(tmp_path):
    """What both can hold is kept as it is; else ids are painted and the deeper of the two decides."""
    kinds = {
        "colour": noise(12, 16, 3),
        "grey": noise(12, 16),
        "deep": noise(12, 16, top=65536, kind=np.uint16),
        "ids": noise(12, 16, top=20),
    }
    painted = open_palette("generic").colours[kinds["ids"]]
    rgb = {name: np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels for name, pixels in kinds.items()}
    rgb["ids"] = painted
    wanted = {
        ("grey", "grey"): (kinds["grey"], kinds["grey"]),
        ("grey", "ids"): (kinds["grey"], kinds["ids"]),
        ("ids", "ids"): (kinds["ids"], kinds["ids"]),
        ("colour", "ids"): (kinds["colour"], painted),
        ("colour", "grey"): (kinds["colour"], rgb["grey"]),
        ("deep", "grey"): (kinds["deep"], kinds["grey"].astype(np.uint16) * 257),
        ("colour", "deep"): (kinds["colour"].astype(np.uint16) * 257, rgb["deep"]),
        ("deep", "ids"): (rgb["deep"], painted.astype(np.uint16) * 257),
    }
    for number, ((first, second), pair) in enumerate(wanted.items()):
        folder = tmp_path / str(number)
        save(kinds[first], folder / "a/1.png")
        save(kinds[second], folder / "b/1.png")
        pair_data(folder / "a", folder / "b", folder / "ab")
        found = load_faithful(folder / "ab/1.png").pixels
        expected = np.concatenate(pair, 1)
        assert found.dtype == expected.dtype, (first, second)
        assert np.array_equal(found.squeeze(), expected), (first, second)


def test_labels_are_not_mixed_and_can_be_said(tmp_path):
    save(noise(30, 30, 3), tmp_path / "a/1.png")
    map_ = save(np.repeat(noise(30, 30, 1, top=2) * 200, 3, 2), tmp_path / "b/1.png")
    for labels, mixed in (("auto", True), ("B", False), ("none", True)):
        pair_data(tmp_path / "a", tmp_path / "b", tmp_path / labels, size="17x17", labels=labels)
        right = np.asarray(Image.open(tmp_path / labels / "1.png"))[:, 17:]
        assert (len(np.unique(right)) > 2) == mixed
    assert len(np.unique(map_)) == 2
    with pytest.raises(UsageError, match=r"nothing was taken for labels \(A colour, B grey\)"):
        pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "x", palette="facades")


def test_formats(sides):
    folder, _ = sides
    with pytest.raises(UsageError, match="PNG has no quality"):
        pair_data(folder / "a", folder / "b", folder / "ab", quality=80)
    for form, quality in (("jpg", 90), ("webp", None), ("tif", None)):
        pair_data(folder / "a", folder / "b", folder / form, form=form, quality=quality)
        with Image.open(folder / form / f"train/1.{form}") as image:
            assert image.format == {"jpg": "JPEG", "webp": "WEBP", "tif": "TIFF"}[form]
            assert image.size == (40, 12)
    save(noise(12, 20, top=9), folder / "ids/1.png")
    done = pair_data(folder / "ids", folder / "ids", folder / "lossy", form="jpg")
    assert "JPEG mixes the colours of labels; PNG keeps them" in done.notes


def test_dealing(tmp_path):
    for k in range(20):
        save(noise(4, 4, 3), tmp_path / f"a/{k}.png")
        save(noise(4, 4, 3), tmp_path / f"b/{k}.png")
    done = pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "ab", split="80/10/10", seed=3)
    assert done.parts == {"train": 16, "val": 2, "test": 2}
    where = {path.name: path.parent.name for path in (tmp_path / "ab").rglob("*.png")}
    assert len(where) == 20
    assert pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "ab", split=[8, 1, 1], seed=3).skipped == 20
    pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "other", split="80/10/10", seed=4)
    assert where != {path.name: path.parent.name for path in (tmp_path / "other").rglob("*.png")}
    assert pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "two", split="1/1").parts == {"train": 10, "val": 10}
    for split in ("80", "a/b", "0/0", "-1/2", "1/2/3/4", "nan/1"):
        with pytest.raises(UsageError, match="Write shares of train/val/test"):
            pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "x", split=split)
    for other in ({"seed": 4}, {"split": "1/1/1", "overwrite": True}):  # no pair is in two parts
        with pytest.raises(RunError, match=r"png was dealt otherwise: now \w+ would have this pair, too"):
            pair_data(tmp_path / "a", tmp_path / "b", tmp_path / "ab", **({"split": "8/1/1", "seed": 3} | other))
    assert where == {path.name: path.parent.name for path in (tmp_path / "ab").rglob("*.png")}
    with pytest.raises(UsageError, match="dealt into test and train and val already"):
        pair_data(tmp_path / "ab", None, tmp_path / "x", split="1/1")


def test_lists_write_into_the_folder_alone(tmp_path):
    """Whatever paths a list has; pictures that it names twice become two."""
    one = save(noise(4, 4, 3), tmp_path / "in/deep/1.png")
    save(noise(4, 4, 3), tmp_path / "2.png")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/l.csv").write_text(f"../in/deep/1.png,../2.png\n{tmp_path}/2.png,../in/deep/1.png\n")
    pair_data(tmp_path / "lists/l.csv", None, tmp_path / "out")
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    assert files == sorted(["in/deep/1.png", f"{str(tmp_path)[1:]}/2.png"])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/in/deep/1.png"))[:, :4], one)
    (tmp_path / "lists/l.csv").write_text("../2.png,../in/deep/1.png\n" * 2)
    assert pair_data(tmp_path / "lists/l.csv", None, tmp_path / "twice").pairs == 2


def test_what_cannot_be_read_is_left_out(sides):
    folder, _ = sides
    (folder / "b/train/2.png").write_text("nothing")
    (folder / "a/train/3.png").write_bytes((folder / "a/train/3.png").read_bytes()[:400])
    done = pair_data(folder / "a", folder / "b", folder / "ab")
    assert done.pairs == 2
    assert [name for name, _ in done.left_out] == ["train/2.png", "train/3.png"]
    assert done.left_out[0][1] == "not a picture but seems to be a text file"
    assert "damaged or cut off" in done.left_out[1][1]


def test_results_do_not_replace_pictures_that_are_listed(sides):
    folder, wholes = sides
    (folder / "list.csv").write_text("".join(f"a/{name}.png,b/{name}.png\n" for name in wholes))
    with pytest.raises(UsageError, match=r"a/train/1\.png is one of the pictures listed"):
        pair_data(folder / "list.csv", None, folder, overwrite=True)
    assert np.array_equal(np.asarray(Image.open(folder / "a/train/1.png")), wholes["train/1"][0])
    assert pair_data(folder / "list.csv", None, folder, form="webp").pairs == 4


def test_results_do_not_lie_among_the_pictures(sides):
    folder, _ = sides
    for out in (folder / "a", folder / "b/train"):
        with pytest.raises(UsageError, match="where the pictures are"):
            pair_data(folder / "a", folder / "b", out)
    (folder / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        pair_data(folder / "a", folder / "b", folder / "file")


def test_what_is_written_is_what_is_trained_on(sides):
    """Training on the pairs side by side is training on the two folders."""
    folder, _ = sides
    pair_data(folder / "a", folder / "b", folder / "ab")
    batches = []
    for data, target in ((folder / "a", folder / "b"), (folder / "ab", "")):
        options = PairOptions(size=8, batch=3, preprocess="crop")
        with PairSet(open_pairs(data, target=target), options, seed=1) as found:
            batches.append(found.next())
    assert all((one == other).all() for one, other in zip(*((b.images, b.given) for b in batches), strict=True))


# --- data check --pairs -----------------------------------------------------------------------------------


def test_check(tmp_path):
    for k, width in enumerate((20, 20, 25)):
        save(noise(12, 20, 3), tmp_path / f"a/{k}.png")
        save(noise(12, width, top=9), tmp_path / f"b/{k}.png")
    (tmp_path / "a/3.png").write_text("nothing")
    save(noise(12, 20), tmp_path / "b/3.png")
    found = check_pairs(tmp_path, size=16, direction="BtoA")
    assert (found.pictures, found.usable) == (4, 3)
    assert found.bad == [("3.png", "not a picture but seems to be a text file")]
    pairs = found.pairs
    assert pairs is not None
    assert (pairs.a.kind, pairs.b.kind, pairs.differing) == ("rgb", "labels", 1)
    assert [(one.width, one.count) for one in pairs.b.sizes] == [(20, 2), (25, 1)]
    assert pairs.preprocess == ["resize_and_crop", "scale_width_and_crop"]  # which raises low ones to --size
    assert "B (labels painted as generic) becomes A (colour) (--direction)" in found.training
    assert [warning.split(";")[0] for warning in found.warnings] == [
        "1 pair of 4 cannot be used.",
        "In 1 pair A and B are of two sizes",
    ]


def test_check_of_side_by_side_pairs(tmp_path):
    twin = save(noise(12, 41, 3), tmp_path / "1.png")
    save(twin, tmp_path / "2.png")
    found = check_pairs(tmp_path, size=16)
    assert (found.copies, found.usable, found.pairs.odd) == (1, 2, 2)
    assert found.pairs.preprocess == ["resize_and_crop", "scale_width", "scale_width_and_crop", "none"]
    with pytest.raises(DataError, match="no partner"):
        check_pairs(tmp_path, target=Path(save_one(tmp_path / "b")))


def save_one(folder):
    save(noise(4, 4), folder / "1.png")
    return folder
