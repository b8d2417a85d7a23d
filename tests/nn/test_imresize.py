"""MATLAB's bicubic against published small pictures, bit for bit, and recorded numbers of BasicSR's version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantool.nn.imresize import imresize

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sr_imresize.npz")
SCALES = [1 / 2, 1 / 3, 1 / 4, 2, 3, 4, 3 / 4, 3 / 2]
SET5 = Path(__file__).parents[3] / "shared" / "data" / "sr" / "Set5" / "image_SRF_4"
CASES = [key for key in GOLDEN.files if key.split("_scale")[-1].isdigit()]


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 0, -1) if x.ndim == 3 else x


@pytest.mark.skipif(not SET5.is_dir(), reason="the pictures of Set5 are not here")
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_set5_bit_for_bit(number: int) -> None:
    real, small = (
        np.asarray(Image.open(SET5 / f"img_{number:03}_SRF_4_{kind}.png").convert("RGB")) for kind in ("HR", "LR")
    )
    np.testing.assert_array_equal(imresize(real, 1 / 4), small)
    np.testing.assert_array_equal(imresize(real, size=small.shape[:2]), small)


@pytest.mark.parametrize("case", CASES)
def test_recorded_numbers(case: str) -> None:
    name, number = case.split("_scale")
    expected = channels_last(GOLDEN[case])
    resized = imresize(channels_last(GOLDEN[name]).astype(np.float64), SCALES[int(number)], border="symmetric")
    assert resized.shape == expected.shape
    np.testing.assert_allclose(resized, expected, rtol=0, atol=1.5e-6)  # computed there in float32


def test_the_record_has_every_scale() -> None:
    np.testing.assert_allclose(GOLDEN["scales"], SCALES, rtol=1e-7)
    assert len(CASES) == 20


def test_recorded_numbers_without_antialiasing() -> None:
    x = channels_last(GOLDEN["x"])
    resized = imresize(x, 1 / 2, antialias=False, border="symmetric")
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, channels_last(GOLDEN["x_scale0_no_antialias"]), rtol=0, atol=1.5e-6)


def test_borders_differ_at_the_border_only() -> None:
    image = np.random.default_rng(0).uniform(0, 255, (64, 80))
    one, other = imresize(image, 1 / 4), imresize(image, 1 / 4, border="symmetric")
    np.testing.assert_array_equal(one[2:-2, 2:-2], other[2:-2, 2:-2])
    assert (one[0] != other[0]).all()
    with pytest.raises(ValueError, match="border"):
        imresize(image, 1 / 4, border="wrap")


def test_straight_lines_stay_straight_inside() -> None:
    """Keys' kernel reproduces linear functions; the axis is aligned by the outer edges of its pixels."""
    ramp = np.arange(40.0)[:, None] * np.ones((1, 5))
    doubled = imresize(ramp, size=(80, 5))
    np.testing.assert_allclose(doubled[4:-4], ((np.arange(80) + 0.5) / 2 - 0.5)[4:-4, None] * np.ones(5), atol=1e-12)
    third = imresize(ramp[:39], size=(13, 5))
    np.testing.assert_allclose(third[2:-2, 0], (np.arange(13) * 3 + 1)[2:-2], atol=1e-12)


def test_bytes_are_rounded_half_up_and_clipped() -> None:
    # Without antialiasing a halved axis takes (-1, 9, 9, -1) / 16 of four samples: 8.5 here.
    assert imresize(np.array([[8, 8, 9, 9]] * 3, np.uint8), size=(3, 2), antialias=False)[0].tolist() == [8, 9]
    middle = imresize(np.array([[0, 8, 9, 17, 17, 17]], np.uint8), size=(1, 3), antialias=False)
    assert middle[0, 0] == np.floor((9 * 8 + 8 * 0 - 9) / 16 + 0.5)
    edge = np.repeat(np.array([[0, 255]], np.uint8), 4, axis=1)
    assert imresize(edge, 4).max() == 255  # an overshoot wrapped around would leave no trace in the maximum alone
    bright = imresize(edge, 4)[0, 16:]
    assert bright.min() > 127
    assert imresize(edge.astype(float), 4).max() > 255
    # The rounding after the first axis shows: vertical first.
    noise = np.random.default_rng(1).integers(0, 256, (32, 32), dtype=np.uint8)
    assert (imresize(noise, 1 / 4) != imresize(noise.T, 1 / 4).T).any()


def test_the_axis_that_shrinks_most_comes_first() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (24, 24), dtype=np.uint8)
    by_hand = imresize(imresize(noise, size=(24, 6)), size=(12, 6))
    np.testing.assert_array_equal(imresize(noise, size=(12, 6)), by_hand)


def test_sizes_shapes_and_types() -> None:
    image = np.random.default_rng(3).integers(0, 256, (29, 37, 4), dtype=np.uint8)
    assert imresize(image, 3 / 4).shape == (22, 28, 4)
    assert imresize(image, size=(40, 10)).shape == (40, 10, 4)
    same = imresize(image, 1)
    np.testing.assert_array_equal(same, image)
    assert same is not image
    np.testing.assert_array_equal(imresize(image[..., 2], 2), imresize(image, 2)[..., 2])
    assert imresize(np.full((1, 1), 7.0), 3).tolist() == [[7.0] * 3] * 3


@pytest.mark.parametrize(
    ("image", "options", "what"),
    [
        (np.zeros((4, 4), np.int32), {"scale": 2}, "int32"),
        (np.zeros(4), {"scale": 2}, "picture"),
        (np.zeros((0, 4)), {"scale": 2}, "picture"),
        (np.zeros((4, 4)), {}, "either"),
        (np.zeros((4, 4)), {"scale": 2, "size": (8, 8)}, "either"),
        (np.zeros((4, 4)), {"scale": 0}, "positive"),
        (np.zeros((4, 4)), {"size": (0, 3)}, "at least"),
    ],
)
def test_what_is_refused(image: np.ndarray, options: dict, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        imresize(image, **options)
