"""Squares are the same pixels as Pillow's own resize of the whole picture and a cut."""

import numpy as np
from PIL import Image

from gantool.data.squares import square

LANCZOS, BICUBIC = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC


def noise(height, width):
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole(pixels, width, height, how):
    return np.asarray(Image.fromarray(pixels).resize((width, height), how))


def test_centre_is_the_middle_of_the_whole_picture_resized():
    wide, tall = noise(96, 160), noise(40, 24)
    np.testing.assert_array_equal(square(wide, 48), whole(wide, 80, 48, LANCZOS)[:, 16:64])
    np.testing.assert_array_equal(square(tall, 48), whole(tall, 48, 80, BICUBIC)[16:64])


def test_the_middle_begins_at_a_whole_pixel():
    rows = np.repeat(np.arange(101, dtype=np.uint8)[:, None, None], 64, axis=1).repeat(3, axis=2)
    got = square(rows, 32)[3:-3, :, 0]  # 37 rows are too many, so that it begins at row 18
    expected = 18 + 2 * np.arange(32)[3:-3, None] + 0.5
    assert np.abs(got - expected).max() <= 0.5


def test_a_picture_of_the_size_is_kept_and_copied():
    pixels = noise(32, 32)
    for crop in ("centre", "squash"):
        got = square(pixels, 32, crop)
        np.testing.assert_array_equal(got, pixels)
        assert not np.shares_memory(got, pixels)


def test_without_resizing_the_middle_is_the_picture_s_own_pixels():
    pixels = noise(32, 41)
    np.testing.assert_array_equal(square(pixels, 32), pixels[:, 4:36])


def test_squash_resizes_both_sides():
    wide, small = noise(50, 200), noise(9, 20)
    np.testing.assert_array_equal(square(wide, 32, "squash"), whole(wide, 32, 32, LANCZOS))
    np.testing.assert_array_equal(square(small, 32, "squash"), whole(small, 32, 32, BICUBIC))


def test_any_shape_gives_a_contiguous_square():
    random = np.random.default_rng(2)
    for k in range(2000):
        height, width, size = (int(n) for n in random.integers(1, 50, 3))
        got = square(np.full((height, width, 3), 77, np.uint8), size, ("centre", "squash")[k % 2])
        assert got.shape == (size, size, 3)
        assert got.dtype == np.uint8
        assert got.flags.c_contiguous
        assert (got == 77).all()


def test_a_hair_of_a_picture_does_not_fill_the_memory():
    assert square(np.zeros((1, 10_000_000, 3), np.uint8), 64).shape == (64, 64, 3)
