"""Masks against numbers recorded from the official code, and against pictures whose answer is known."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from gantool.data.mask import (
    EDIT_RADIUS,
    HARMONIZE_RADIUS,
    binary_mask,
    blend,
    difference_mask,
    disk,
    fit_mask,
    fit_picture,
    soft_mask,
    widen,
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
    assert np.array_equal(widen(binary, radius), GOLDEN[f"{case}/dilated"] > 0)
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


@pytest.mark.parametrize("radius", [0, 1, 7, 20])
def test_widening_is_dilation_by_a_disk(radius: int) -> None:
    spots = np.random.default_rng(2).random((50, 61)) < 0.003
    assert np.array_equal(widen(spots, radius), ndimage.binary_dilation(spots, disk(radius)))
    assert not widen(np.zeros((5, 6), bool), radius).any()


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


@pytest.mark.parametrize("size", [(31, 29), (7, 200), (90, 110), (250, 190), (1, 1)])
def test_no_pixel_of_a_mask_is_lost_and_none_wanders(size: tuple[int, int]) -> None:
    height, width = 90, 110
    for y, x in np.random.default_rng(3).integers(0, (height, width), (40, 2)):
        spot = np.zeros((height, width), bool)
        spot[y, x] = True
        ys, xs = np.nonzero(fit_mask(spot, size))
        assert len(ys)
        for found, at, old, new in ((ys, y, height, size[0]), (xs, x, width, size[1])):
            assert np.abs((found + 0.5) / new - (at + 0.5) / old).max() <= 0.5 / old + 0.5 / new


def test_a_thin_part_stays_beside_a_thick_one() -> None:
    mask = np.zeros((80, 80), bool)
    mask[8:40, 8:40] = True
    mask[60, :] = True
    assert fit_mask(mask, (20, 20)).sum() == 64 + 20


def test_a_picture_of_another_size_keeps_its_levels_and_place() -> None:
    ramp = np.repeat(np.linspace(0, 255, 60).astype(np.uint8)[None, :, None], 40, 0).repeat(3, 2)
    small = fit_picture(ramp, (20, 30))
    assert small.shape == (20, 30, 3)
    assert np.abs(small.astype(float) - ramp.reshape(20, 2, 30, 2, 3).mean((1, 3)))[:, 3:-3].max() <= 1


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


@pytest.mark.parametrize("levels", [20, -25, 40])
def test_a_faint_edit_is_found(scene: np.ndarray, levels: int) -> None:
    darker = np.clip(scene, 40, 215)
    place = np.zeros((180, 240), bool)
    place[50:100, 60:130] = True
    edited = (darker + levels * place[..., None]).astype(np.uint8)
    assert overlap(difference_mask(edited, darker), place) > 0.99
    assert overlap(difference_mask(jpeg(edited, 90), darker), place) > 0.75


def test_two_things_at_the_border_and_specks_that_are_noise(scene: np.ndarray) -> None:
    things = np.zeros((180, 240), bool)
    things[:40, 100:160] = things[120:, 200:] = True
    composite = np.where(things[..., None], 255 - scene, scene)
    composite[things & (np.abs(composite.astype(int) - scene).max(-1) < 60)] = 0
    composite[90, 20] = composite[150, 80] = 255 - scene[90, 20]
    mask = difference_mask(jpeg(composite, 90), scene)
    assert overlap(mask, things) > 0.85
    assert not mask[80:100, 10:30].any()
    assert not mask[140:160, 70:90].any()


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_saving_again_what_jpeg_is_bad_at_is_no_change(scene: np.ndarray, quality: int) -> None:
    """Coloured grain, where it errs by far more than 30 levels, to both sides; and flat shapes, exact between edges."""
    grain = scene.copy()
    grain[60:110, 80:140] = np.random.default_rng(1).integers(0, 256, (50, 60, 3))
    shapes = np.full((180, 240, 3), 255, np.uint8)
    shapes[30:100, 40:120] = (220, 30, 40)
    shapes[120:150, 20:220] = (20, 20, 30)
    for pixels in (grain, shapes):
        with pytest.raises(DataError, match="nothing was found"):
            difference_mask(jpeg(pixels, quality), pixels)
    again = jpeg(grain, quality)
    assert ndimage.gaussian_filter(np.abs(again.astype(float) - grain).max(-1), 1.0).max() > 60


@pytest.mark.parametrize("quality", [60, 90])
def test_edits_of_a_jpeg_that_are_saved_alike_do_not_fill_their_blocks(scene: np.ndarray, quality: int) -> None:
    """Away from the edit the two are the same to the bit, as without compression."""
    grain = np.random.default_rng(4).integers(-30, 31, scene.shape)
    background = np.clip(scene + grain, 0, 255).astype(np.uint8)
    composite = background.copy()
    place = np.zeros((180, 240), bool)
    place[53:75, 67:100] = True
    composite[place] = 255 - composite[place]
    composite[place & (np.abs(composite.astype(int) - background).max(-1) < 60)] = 0
    composite, background = jpeg(composite, quality), jpeg(background, quality)
    away = ~widen(place, 24)
    assert np.array_equal(composite[away], background[away])
    assert overlap((composite != background).any(-1), place) < 0.65
    assert overlap(difference_mask(composite, background), place) > 0.75


def test_a_composite_that_was_moved_by_half_a_pixel(scene: np.ndarray) -> None:
    """Resizing along the way does that; every edge in the picture differs."""
    background = scene.copy()
    background[:, ::6] = background[:, ::6] // 2
    y, x = np.mgrid[:180, :240]
    thing = (y - 60) ** 2 + (x - 70) ** 2 < 45**2
    composite = np.where(thing[..., None], np.uint8([250, 240, 20]), background).astype(np.float64)
    composite = np.rint((composite + np.roll(composite, 1, 0)) / 2).astype(np.uint8)
    assert overlap(difference_mask(composite, background), thing) > 0.9


def test_grain_everywhere_and_dust_in_a_scan_of_the_composite(scene: np.ndarray) -> None:
    y, x = np.mgrid[:180, :240]
    thing = (y - 60) ** 2 + (x - 70) ** 2 < 45**2
    composite = np.where(thing[..., None], 255 - scene // 4, scene).astype(int)
    composite += np.random.default_rng(5).integers(-20, 21, scene.shape)
    composite[120:124, 180:184] += 120
    mask = difference_mask(np.clip(composite, 0, 255).astype(np.uint8), scene)
    assert overlap(mask, thing) > 0.9
    assert not mask[:, 140:].any()


def test_a_slit_that_happens_to_be_alike_is_closed(scene: np.ndarray) -> None:
    thing = np.zeros((180, 240), bool)
    thing[60:120, 80:160] = True
    differs = thing.copy()
    differs[60:110, 118:122] = False  # open at the top, so that it is no hole
    composite = np.where(differs[..., None], 255 - scene // 4, scene).astype(np.uint8)
    assert difference_mask(composite, scene)[66:, 118:122].sum() > 0.95 * thing[66:, 118:122].sum()


def test_of_an_edit_that_was_never_compressed_every_pixel_is_found(scene: np.ndarray) -> None:
    """A part of the picture moved by a little differs from what was there by less than JPEG would."""
    moved = scene.copy()
    moved[40:90, 60:120] = scene[42:92, 61:121]
    moved[150, 20:200] = 255 - scene[150, 20:200]  # a line one pixel wide
    place = np.zeros((180, 240), bool)
    place[40:90, 60:120] = place[150, 20:200] = True
    assert np.median(np.abs(moved.astype(int) - scene).max(-1)[40:90, 60:120]) < 20
    assert overlap(difference_mask(moved, scene), place) > 0.99


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
        ("pen_tree.jpg", "pen_tree_naive.jpg", "pen_tree_naive_mask.jpg", 0.78),
        ("starry_night.png", "starry_night_naive.png", "starry_night_naive_mask.png", 0.9),
        ("stone.png", "stone_edit_1.png", "stone_edit_1_mask.png", 0.97),
    ],
)
def test_published_composites(background: str, composite: str, mask: str, least: float) -> None:
    pixels = [np.asarray(Image.open(TASKS / name).convert("RGB")) for name in (composite, background, mask)]
    assert overlap(difference_mask(pixels[0], pixels[1]), pixels[2].max(-1) > 128) > least
