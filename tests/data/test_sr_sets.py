"""Sets of large and small pictures: every naming that is about, what is made where none is given, what does not fit."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantool.data.sr_sets import find_set, load_pair
from gantool.errors import DataError
from gantool.nn.imresize import imresize

SET5 = Path(__file__).parents[3] / "shared" / "data" / "sr" / "Set5"


def save(file: Path, width: int, height: int, mode: str = "RGB", seed: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width) if mode == "L" else (height, width, 3)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode).save(file)
    return file


def found(folder: Path, scale: int = 4, small: Path | None = None) -> list[tuple[str, str, str | None]]:
    pairs = find_set(folder, scale, small).pairs
    root = small.parent if small else folder
    return [
        (p.name, str(p.large.relative_to(root)), str(p.small.relative_to(root)) if p.small else None) for p in pairs
    ]


def test_large_pictures_alone_are_cut_and_made_small(tmp_path: Path) -> None:
    save(tmp_path / "b10.png", 30, 21)
    save(tmp_path / "b9.png", 16, 16)
    assert found(tmp_path) == [("b9", "b9.png", None), ("b10", "b10.png", None)]
    loaded = load_pair(find_set(tmp_path, 4).pairs[1], 4)
    with Image.open(tmp_path / "b10.png") as image:
        original = np.asarray(image)
    assert np.array_equal(loaded.large, original[:20, :28])
    assert np.array_equal(loaded.small, imresize(np.ascontiguousarray(original[:20, :28]), 0.25))
    assert find_set(tmp_path / "b9.png", 4).pairs[0].name == "b9"


def test_selfexsr_names(tmp_path: Path) -> None:
    for scale in (2, 4):
        for number in (1, 2):
            save(tmp_path / f"img_{number:03}_SRF_{scale}_HR.png", 24, 16)
            save(tmp_path / f"img_{number:03}_SRF_{scale}_LR.png", 24 // scale, 16 // scale)
    assert found(tmp_path) == [
        ("img_001", "img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png"),
        ("img_002", "img_002_SRF_4_HR.png", "img_002_SRF_4_LR.png"),
    ]
    with pytest.raises(DataError, match=r"pairs of other scales only: 2, 4\. Give --scale 2"):
        find_set(tmp_path, 3)
    (tmp_path / "img_002_SRF_4_LR.png").unlink()
    with pytest.raises(DataError, match=r"img_002 in .* has no small picture"):
        find_set(tmp_path, 4)


@pytest.mark.parametrize(
    ("large", "small", "name"),
    [
        ("HR", "LR", "a.png"),
        ("GTmod12", "LRbicx4", "a.png"),
        ("GT", "X4", "ax4.png"),
        ("DIV2K_train_HR", "DIV2K_train_LR_bicubic/X4", "ax4.png"),
        ("HR", "LR_bicubic/X4", "ax4.png"),
        ("DIV2K_train_HR_sub", "DIV2K_train_LR_bicubic/X4_sub", None),
    ],
)
def test_folders_of_both(tmp_path: Path, large: str, small: str, name: str | None) -> None:
    save(tmp_path / large / "a.png", 24, 16)
    if name is None:
        assert found(tmp_path) == [("a", f"{large}/a.png", None)]
        return
    save(tmp_path / small / name, 6, 4)
    save(tmp_path / small / "more.png", 6, 4)  # without a large one: not asked for
    assert found(tmp_path) == [("a", f"{large}/a.png", f"{small}/{name}")]


def test_another_folder_of_small_ones(tmp_path: Path) -> None:
    save(tmp_path / "truth" / "0001.png", 24, 16)
    save(tmp_path / "tiny" / "0001x4m.png", 6, 4)
    assert found(tmp_path / "truth", small=tmp_path / "tiny") == [("0001", "truth/0001.png", "tiny/0001x4m.png")]
    save(tmp_path / "truth" / "0002.png", 24, 16)
    with pytest.raises(DataError, match=r"1 of 2 pictures in .*truth have no small picture.*0002\.png"):
        find_set(tmp_path / "truth", 4, tmp_path / "tiny")


def test_several_sets_are_asked_about(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        save(tmp_path / f"DIV2K_{part}_HR" / "a.png", 24, 16)
    with pytest.raises(DataError, match=r"several folders of large pictures: DIV2K_train_HR, DIV2K_valid_HR") as caught:
        find_set(tmp_path, 4)
    assert "--data" in caught.value.hint


def test_sizes_that_do_not_fit(tmp_path: Path) -> None:
    save(tmp_path / "HR" / "a.png", 26, 17)  # not cut before it was made small: 26 / 4 is between 6 and 7
    for width, height in ((6, 4), (7, 5)):
        save(tmp_path / "LR" / "a.png", width, height)
        loaded = load_pair(find_set(tmp_path, 4).pairs[0], 4)
        assert (loaded.large.shape, loaded.small.shape) == ((16, 24, 3), (4, 6, 3))
    save(tmp_path / "LR" / "a.png", 5, 4)
    with pytest.raises(DataError, match=r"a\.png is 26x17 and .* 5x4, which is not 4 times smaller"):
        load_pair(find_set(tmp_path, 4).pairs[0], 4)
    save(tmp_path / "tiny.png", 3, 9)
    with pytest.raises(DataError, match="too small to be made 4 times smaller"):
        load_pair(find_set(tmp_path / "tiny.png", 4).pairs[0], 4)


def test_files_of_one_channel_stay_so_if_both_are(tmp_path: Path) -> None:
    save(tmp_path / "HR" / "a.png", 24, 16, "L")
    alone = load_pair(find_set(tmp_path / "HR", 4).pairs[0], 4)
    assert (alone.grey, alone.large.shape, alone.small.shape) == (True, (16, 24), (4, 6))
    save(tmp_path / "LR" / "a.png", 6, 4)
    mixed = load_pair(find_set(tmp_path, 4).pairs[0], 4)
    assert (mixed.grey, mixed.large.shape, mixed.small.shape) == (False, (16, 24, 3), (4, 6, 3))


@pytest.mark.skipif(not SET5.is_dir(), reason="needs Set5")
def test_what_is_made_of_set5_is_what_was_published() -> None:
    pairs = find_set(SET5, 4).pairs
    assert [pair.name for pair in pairs] == [f"img_{number:03}" for number in range(1, 6)]
    for pair in pairs:
        given = load_pair(pair, 4)
        assert np.array_equal(imresize(given.large, 0.25), given.small)


def test_a_picture_that_is_cut_off_is_named(tmp_path):
    """Also one whose header cannot be read to its end."""
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole, "JPEG")
    for length in (20, 300, 900):
        (tmp_path / "a.jpg").write_bytes(whole.getvalue()[:length])
        [pair] = find_set(tmp_path, 4).pairs
        with pytest.raises(DataError, match=r"a\.jpg is damaged or cut off"):
            load_pair(pair, 4)
