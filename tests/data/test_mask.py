"""Masks against numbers recorded from the official code, and against pictures whose answer is known."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gantool.data.mask import (
    EDIT_RADIUS,
    HARMONIZE_RADIUS,
    binary_mask,
    blend,
    difference_mask,
    disk,
    fit_mask,
    soft_mask,
)
from gantool.errors import DataError
from gantool.nn.resize import truncate_to_levels

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "consingan_mask.npz", allow_pickle=False)
TASKS = Path(__file__).parents[3] / "shared" / "data" / "single_image" / "tasks"
CASES = [
    ("scream", "scream", HARMONIZE_RADIUS),
    ("stone", "stone", EDIT_RADIUS),
    ("synthetic", "synthetic_harmonization", HARMONIZE_RADIUS),
    ("synthetic", "synthetic_editing", EDIT_RADIUS),
]


@pytest.mark.parametrize(("name", "case", "radius"), CASES)
def test_masks_are_the_official_ones(name: str, case: str, radius: int) -> None:
    pixels = truncate_to_levels(torch.from_numpy(GOLDEN[f"{name}/mask_in"]))[0].permute(1, 2, 0).byte().numpy()
    assert np.array_equal(pixels[..., 0], GOLDEN[f"{case}/channel0_uint8"])
    binary = binary_mask(pixels)
    if f"{case}/binary" in GOLDEN.files:
        assert np.array_equal(binary, GOLDEN[f"{case}/binary"] > 0)
        assert np.array_equal(disk(radius), GOLDEN[f"{case}/footprint"] > 0)
    soft = soft_mask(binary, radius)
    assert np.abs(soft - GOLDEN[f"{case}/mask"][0, 0]).max() < 1e-5


@pytest.mark.parametrize("name", ["scream", "stone"])
def test_blending_is_the_official_one(name: str) -> None:
    def picture(what: str) -> torch.Tensor:
        return torch.from_numpy(GOLDEN[f"{name}/{what}"])

    soft = GOLDEN[f"{name}/mask"][0, 0].astype(np.float64)
    for outside, result in (("real", "composite_eval"), ("naive", "composite_train")):
        ours = blend(picture("sample"), picture(outside), soft)
        assert (ours - picture(result)).abs().max() < 1e-5


def test_a_mask_that_covers_everything_and_one_that_is_empty() -> None:
    wide = np.zeros((20, 30), bool)
    wide[::5, ::5] = True
    assert np.array_equal(soft_mask(wide, 20), np.ones((20, 30)))
    with pytest.raises(DataError, match="empty"):
        soft_mask(np.zeros((20, 30), bool), 7)


def test_levels_up_to_the_threshold_are_black_and_colours_count() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[0, 0] = 3
    pixels[1, 1] = 200
    assert binary_mask(pixels).sum() == 2
    assert binary_mask(pixels, 3).sum() == 1
    blue = np.zeros((4, 5, 3), np.uint8)
    blue[2, 3, 2] = 255
    assert binary_mask(blue)[2, 3]


def test_masks_of_another_size() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    half = fit_mask(mask, (20, 30))
    assert half[5:10, 15:25].all()
    assert half.sum() == 50
    back = fit_mask(half, (40, 60))
    assert np.array_equal(back, mask)
    spot = np.zeros((100, 100), bool)
    spot[3, 3] = True
    assert fit_mask(spot, (10, 10)).sum() == 1
    assert not fit_mask(np.zeros((100, 100), bool), (10, 10)).any()


# --- masks found by comparing ---------------------------------------------------------------------------


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC))


def overlap(a: Any, b: Any) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("quality", [None, 90, 60])
def test_a_pasted_object_is_found_whole(scene: np.ndarray, quality: int | None) -> None:
    y, x = np.mgrid[:180, :240]
    thing = (y - 80) ** 2 + (x - 120) ** 2 < 30**2
    composite = scene.copy()
    composite[thing] = (250, 240, 20)
    composite[(y - 80) ** 2 + (x - 120) ** 2 < 8**2] = scene[(y - 80) ** 2 + (x - 120) ** 2 < 8**2]  # a hole
    if quality is not None:
        composite = jpeg(composite, quality)
    assert overlap(difference_mask(composite, scene), thing) > 0.9


def test_what_cannot_be_a_composite_is_said(scene: np.ndarray) -> None:
    with pytest.raises(DataError, match="nothing was found"):
        difference_mask(scene, scene)
    with pytest.raises(DataError, match="nothing was found"):
        difference_mask(jpeg(scene, 70), scene)
    other = np.random.default_rng(1).integers(0, 256, scene.shape, dtype=np.uint8)
    with pytest.raises(DataError, match="nearly everywhere"):
        difference_mask(other, scene)
    with pytest.raises(ValueError, match="and"):
        difference_mask(scene[:-1], scene)


@pytest.mark.skipif(not TASKS.is_dir(), reason="needs the pictures of ../shared/data")
@pytest.mark.parametrize(
    ("background", "composite", "mask", "least"),
    [
        ("scream.jpg", "scream_naive.jpg", "scream_naive_mask.jpg", 0.85),
        ("pen_tree.jpg", "pen_tree_naive.jpg", "pen_tree_naive_mask.jpg", 0.75),
        ("starry_night.png", "starry_night_naive.png", "starry_night_naive_mask.png", 0.9),
        ("stone.png", "stone_edit_1.png", "stone_edit_1_mask.png", 0.9),
    ],
)
def test_published_composites(background: str, composite: str, mask: str, least: float) -> None:
    pixels = [np.asarray(Image.open(TASKS / name).convert("RGB")) for name in (composite, background, mask)]
    assert overlap(difference_mask(pixels[0], pixels[1]), pixels[2].max(-1) > 128) > least
