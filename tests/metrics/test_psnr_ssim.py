"""PSNR and SSIM against recorded numbers, scikit-image, torchmetrics, closed forms and a published table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from gantool.errors import DataError
from gantool.metrics.psnr_ssim import psnr, ssim, ssim_maps, to_y
from gantool.nn.imresize import imresize
from gantool.nn.vision import models  # noqa: F401  (torchvision must be importable for torchmetrics)

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sr_metrics.npz")
SET5 = Path(__file__).parents[3] / "shared" / "data" / "sr" / "Set5" / "image_SRF_4"


def rgb(name: str) -> np.ndarray:
    return GOLDEN[f"{name}_uint8_bgr"][..., ::-1].astype(np.uint8)


def pair(height: int = 40, width: int = 53) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 256, (height, width, 3))
    return a.astype(np.uint8), np.clip(a + rng.normal(0, 30, a.shape), 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("crop", [0, 4])
@pytest.mark.parametrize("kind", ["bgr", "y"])
def test_recorded_numbers(crop: int, kind: str) -> None:
    a, b = rgb("a"), rgb("b")
    # The recording's Y is float32: its last digit is ours to 1e-6.
    assert psnr(a, b, crop=crop, y=kind == "y") == pytest.approx(float(GOLDEN[f"psnr_crop{crop}_{kind}"]), rel=1e-6)
    assert ssim(a, b, crop=crop, y=kind == "y") == pytest.approx(float(GOLDEN[f"ssim_crop{crop}_{kind}"]), rel=1e-6)


def test_recorded_luma_and_grey() -> None:
    a, b = rgb("a"), rgb("b")
    np.testing.assert_allclose(to_y(a) / 255, GOLDEN["bgr2y_float"], rtol=1e-6)
    np.testing.assert_array_equal(np.rint(to_y(a)), GOLDEN["bgr2y_uint8"])
    grey = ssim(a[..., 2], b[..., 2])  # channel 0 of BGR
    assert grey == pytest.approx(float(GOLDEN["ssim_gray_channel0_crop0"]), rel=1e-6)


def test_ssim_is_scikit_images_where_the_window_lies_inside() -> None:
    a, b = pair()
    _, full = structural_similarity(
        a, b, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert ssim(a, b) == pytest.approx(full[5:-5, 5:-5].mean(), rel=1e-10)


def test_ssim_is_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = (torch.from_numpy(x.astype(np.float64)).permute(2, 0, 1)[None] for x in pair())
    # Its mean takes positions at which the window hangs over the edge; its map shows which.
    _, full = structural_similarity_index_measure(a, b, data_range=255.0, return_full_image=True)
    assert ssim(*pair()) == pytest.approx(float(full[..., 5:-5, 5:-5].mean()), rel=1e-10)


def test_closed_forms() -> None:
    a = np.full((20, 24, 3), 100, np.uint8)
    b = np.full((20, 24, 3), 110, np.uint8)
    assert psnr(a, b) == pytest.approx(20 * math.log10(255 / 10), abs=1e-12)
    # Luma of equal channels spans 219 levels.
    assert psnr(a, b, y=True) == pytest.approx(20 * math.log10(255 / (10 * 219 / 255)), abs=1e-9)
    c1 = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * 100 * 110 + c1) / (100**2 + 110**2 + c1), abs=1e-9)
    assert psnr(a, a) == math.inf
    assert ssim(a, a, crop=3, y=True) == pytest.approx(1, abs=1e-12)


def test_floats_of_the_same_levels_and_the_border() -> None:
    a, b = pair()
    assert psnr(a.astype(np.float32), b.astype(np.float64)) == psnr(a, b)
    spoilt = b.copy()
    spoilt[:4] = spoilt[-4:] = spoilt[:, :4] = spoilt[:, -4:] = 0
    assert psnr(a, spoilt, crop=4) == psnr(a, b, crop=4) > psnr(a, spoilt, crop=3)
    assert ssim(a, spoilt, crop=4, y=True) == ssim(a, b, crop=4, y=True)


def test_an_even_window_by_hand() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 255, (2, 1, 4, 5))
    distance = np.array([-1.5, -0.5, 0.5, 1.5])
    weights = np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * 0.6**2))
    weights /= weights.sum()
    luminance, contrast = ssim_maps(a, b, 4, 0.6)
    assert luminance.shape == contrast.shape == (1, 1, 2)
    for j in range(2):
        p, q = a[0, :, j : j + 4], b[0, :, j : j + 4]
        mu, nu = (weights * p).sum(), (weights * q).sum()
        c1, c2 = 2.55**2, 7.65**2
        assert luminance[0, 0, j] == pytest.approx((2 * mu * nu + c1) / (mu**2 + nu**2 + c1))
        spread = (weights * ((p - mu) ** 2 + (q - nu) ** 2)).sum()
        assert contrast[0, 0, j] == pytest.approx((2 * (weights * (p - mu) * (q - nu)).sum() + c2) / (spread + c2))


@pytest.mark.skipif(not SET5.is_dir(), reason="the pictures of Set5 are not here")
def test_bicubic_on_set5_as_published() -> None:
    """28.42 dB and 0.8104: the row "Bicubic, Set5, x4" of super-resolution papers."""
    scores = []
    for path in sorted(SET5.glob("*_HR.png")):
        real = np.asarray(Image.open(path).convert("RGB"))
        small = np.asarray(Image.open(str(path).replace("_HR", "_LR")).convert("RGB"))
        large = imresize(small, 4)
        scores.append((psnr(real, large, crop=4, y=True), ssim(real, large, crop=4, y=True)))
    assert len(scores) == 5
    mean_psnr, mean_ssim = np.mean(scores, axis=0)
    assert mean_psnr == pytest.approx(28.42, abs=0.02)
    assert mean_ssim == pytest.approx(0.8104, abs=0.002)


def test_what_cannot_be_compared() -> None:
    a, b = pair()
    with pytest.raises(DataError, match=r"53x40 and 50x40") as caught:
        psnr(a, b[:, :50])
    assert caught.value.hint
    with pytest.raises(DataError, match="11x11 pixels, the pictures have 20x10 after a crop of 15"):
        ssim(a[:, :50], b[:, :50], crop=15)
    with pytest.raises(DataError, match="leaves nothing"):
        psnr(a, b, crop=20)
    with pytest.raises(DataError, match="not finite"):
        psnr(np.full((12, 12, 3), np.nan), np.zeros((12, 12, 3)))
    with pytest.raises(ValueError, match="grey"):
        psnr(a[..., 0], b[..., 0], y=True)
    with pytest.raises(ValueError, match="a picture is"):
        psnr(a[..., :2], b[..., :2])
    with pytest.raises(ValueError, match="crop"):
        psnr(a, b, crop=-1)
