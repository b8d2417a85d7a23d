"""`imresize_levels` against `imresize`, which golden files hold."""

import numpy as np
import pytest

from gantool.nn import imresize_strips
from gantool.nn.imresize import imresize
from gantool.nn.imresize_strips import imresize_levels, scaled_side


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [4, 2.5, 1.25, 0.75, 0.3, 1])
@pytest.mark.parametrize("shape", [(37, 23, 3), (1, 50, 1), (50, 1, 4)])
def test_strips_give_what_the_whole_gives(monkeypatch, dtype, scale, shape):
    top = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, top + 1, shape).astype(dtype)
    whole = imresize(image.astype(np.float64), scale)
    expected = np.floor(whole + 0.5).clip(0, top)
    for strip in (1, 500, 1 << 22):
        monkeypatch.setattr(imresize_strips, "STRIP", strip)
        found = imresize_levels(image, scale)
        assert found.dtype == dtype
        assert found.shape == expected.shape
        # A sum in another order may fall on the other side of a half.
        assert np.abs(found.astype(int) - expected).max() <= 1
        assert (found != expected).mean() < 0.001


def test_depth_changes_without_another_rounding():
    image = np.random.default_rng(0).integers(0, 65536, (9, 9, 3)).astype(np.uint16)
    np.testing.assert_array_equal(imresize_levels(image, 1, dtype=np.uint8), np.floor(image / 257 + 0.5))
    constant = np.full((9, 9, 1), 255, np.uint8)
    np.testing.assert_array_equal(imresize_levels(constant, 3.7, dtype=np.uint16), np.full((34, 34, 1), 65535))


def test_sides():
    assert [scaled_side(30, 0.1), scaled_side(37, 1.5), scaled_side(7, 4), scaled_side(1, 0.2)] == [3, 56, 28, 1]
