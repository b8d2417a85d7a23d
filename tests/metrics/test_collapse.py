"""Signs of mode collapse against closed forms, scikit-image, scikit-learn and real digits."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from skimage.transform import resize_local_mean
from sklearn.neighbors import KNeighborsClassifier

from gantool.errors import DataError
from gantool.metrics.collapse import by_area, coverage, nearest_classes, pair_similarity, thumbnails
from gantool.metrics.ms_ssim import diversity_ms_ssim, ms_ssim

DIGITS = Path(__file__).parents[3] / "shared" / "data" / "mnist"


def noise(n: int, side: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def blends(n: int, side: int) -> np.ndarray:
    """Pictures of which some pairs are more alike than others."""
    mixed = [noise(1, side) * (1 - t) + noise(1, side, seed=1) * t for t in np.linspace(0, 1, n)]
    return np.concatenate(mixed).astype(np.uint8)


# ---- similarity of pairs -----------------------------------------------------------------------------------


def test_similarity_is_the_mean_of_ms_ssim() -> None:
    x = blends(7, 32)
    every = [ms_ssim(x[i : i + 1], x[j : j + 1])[0] for i, j in itertools.combinations(range(7), 2)]
    assert pair_similarity(x, 1000) == pytest.approx(np.mean(every), rel=1e-12)
    assert pair_similarity(x, 5, seed=3) == pytest.approx(diversity_ms_ssim(x, pairs=5, seed=3).mean, rel=1e-12)
    assert pair_similarity(x, 5, seed=3) != pair_similarity(x, 5, seed=4)


def test_similarity_closed_forms() -> None:
    x = noise(1, 64)
    assert pair_similarity(np.repeat(x, 5, axis=0), 10) == pytest.approx(1, abs=1e-12)
    assert pair_similarity(np.concatenate([x, 255 - x]), 10) == 0


@pytest.mark.parametrize("side", [4, 8, 10])
def test_similarity_of_pictures_smaller_than_the_window(side: int) -> None:
    """One window covers the picture: grey 60 against 90 leaves the luminance term alone."""
    flat = np.stack([np.full((side, side, 3), level, np.uint8) for level in (60, 90)])
    c1 = 2.55**2
    luminance = (2 * 60 * 90 + c1) / (60**2 + 90**2 + c1)
    assert pair_similarity(flat, 1) == pytest.approx(luminance, abs=1e-9)
    assert pair_similarity(np.repeat(noise(1, side), 3, axis=0), 3) == pytest.approx(1, abs=1e-12)


def test_grey_in_three_channels_is_as_in_one() -> None:
    grey = noise(4, 24, channels=1) // 2 + noise(1, 24, seed=5, channels=1) // 2
    assert pair_similarity(grey.repeat(3, axis=3), 6) == pytest.approx(pair_similarity(grey, 6), rel=1e-12)
    assert pair_similarity(grey, 6) == pytest.approx(float(ms_ssim_of_all(grey.repeat(3, axis=3))), rel=1e-12)


def ms_ssim_of_all(x: np.ndarray) -> float:
    return float(np.mean([ms_ssim(x[i : i + 1], x[j : j + 1])[0] for i, j in itertools.combinations(range(len(x)), 2)]))


def test_pairs_within_classes() -> None:
    """Each class repeats its own picture: alike within, different between."""
    two = noise(2, 32)
    x = np.stack([two[0], two[1], two[0], two[1], two[0]])
    assert pair_similarity(x, 8, labels=[0, 1, 0, 1, 0]) == pytest.approx(1, abs=1e-12)
    assert pair_similarity(x, 10) < 0.7
    # Classes count alike: class 0 has equal pictures, class 7 opposite ones, class 9 a single one.
    x = np.concatenate([two[:1], two[:1], two[1:], 255 - two[1:], noise(1, 32, seed=8)])
    assert pair_similarity(x, 2, labels=[0, 0, 7, 7, 9]) == pytest.approx(0.5, abs=1e-12)
    with pytest.raises(DataError, match="no pair"):
        pair_similarity(x, 8, labels=range(5))


def test_no_pair() -> None:
    with pytest.raises(DataError, match="1 pictures"):
        pair_similarity(noise(1, 16), 4)


# ---- classes of the nearest real ---------------------------------------------------------------------------


def test_area_means() -> None:
    x = noise(3, 12)
    halves = x.reshape(3, 6, 2, 6, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(by_area(x, 6, 6), halves, atol=1e-10)
    np.testing.assert_array_equal(by_area(x, 12, 12), x)
    np.testing.assert_allclose(by_area(x[:, :, :5], 1, 1)[:, 0, 0], x[:, :, :5].mean(axis=(1, 2)), atol=1e-10)
    # Pixels that are cut: 3 to 2 gives means of 1 and a half pixel.
    row = np.array([10, 40, 100], np.uint8).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(by_area(row, 1, 2).ravel(), [(10 + 20) / 1.5, (20 + 100) / 1.5], atol=1e-10)
    with pytest.raises(ValueError, match="cannot be reduced"):
        by_area(x, 13, 6)


def test_area_means_are_scikit_images() -> None:
    x = noise(40, 28)
    theirs = [resize_local_mean(pixels, (16, 11), preserve_range=True, channel_axis=2) for pixels in x]
    np.testing.assert_allclose(by_area(x, 16, 11), theirs, atol=1e-9)


def test_thumbnails_are_luma() -> None:
    colours = np.zeros((4, 20, 30, 3), np.uint8)
    for i, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]):
        colours[i] = colour
    found = thumbnails(colours)
    assert found.shape == (4, 256)
    np.testing.assert_allclose(found.mean(axis=1), [76.245, 149.685, 29.07, 255], atol=1e-9)
    assert thumbnails(noise(2, 8)).shape == (2, 64)


def test_nearest_classes_are_scikit_learns() -> None:
    reals, samples = noise(300, 16), noise(50, 32)
    labels = np.arange(300) % 7
    known = KNeighborsClassifier(n_neighbors=1).fit(thumbnails(reals), labels)
    np.testing.assert_array_equal(nearest_classes(samples, reals, labels), known.predict(thumbnails(samples)))
    np.testing.assert_array_equal(nearest_classes(reals, reals, labels), labels)
    assert nearest_classes(samples[:0], reals, labels).shape == (0,)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    reals, samples, labels = noise(100, 16), noise(33, 16, seed=1), np.arange(100)
    whole = nearest_classes(samples, reals, labels)
    monkeypatch.setattr("gantool.metrics.collapse.CHUNK", 250)
    np.testing.assert_array_equal(nearest_classes(samples, reals, labels), whole)


def test_nearest_refuses_what_does_not_fit() -> None:
    for samples, reals, labels in ((8, 16, 5), (16, 16, 4)):
        with pytest.raises(ValueError, match="samples"):
            nearest_classes(noise(2, samples), noise(5, reals), range(labels))
    with pytest.raises(ValueError, match="samples"):
        nearest_classes(noise(2, 16), noise(0, 16), [])


def digits() -> tuple[np.ndarray, np.ndarray]:
    pixels = gzip.decompress((DIGITS / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((DIGITS / "t10k-labels-idx1-ubyte.gz").read_bytes())
    pictures = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    return pictures.repeat(3, axis=3), np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


@pytest.mark.skipif(not DIGITS.is_dir(), reason="the digits are not at hand")
def test_real_digits() -> None:
    pictures, labels = digits()
    known, asked = slice(0, 3000), slice(9000, 10000)
    found = nearest_classes(pictures[asked], pictures[known], labels[known])
    assert (found == labels[asked]).mean() > 0.9
    met, entropy = coverage(found[:200], 10)
    assert met == 1
    assert entropy > 0.97
    assert pair_similarity(pictures[:500], 100) < pair_similarity(pictures[:500], 100, labels=labels[:500]) < 0.6


# ---- coverage ----------------------------------------------------------------------------------------------


def test_coverage_closed_forms() -> None:
    assert coverage(np.arange(10).repeat(3), 10) == (1.0, pytest.approx(1.0))
    assert coverage([4, 4, 4], 10) == (0.1, 0.0)
    assert coverage([0, 1, 1, 0], 4) == (0.5, pytest.approx(0.5))  # log 2 / log 4
    met, entropy = coverage([0, 0, 0, 2], 3)
    assert met == pytest.approx(2 / 3)
    assert entropy == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(3))
    assert coverage([0, 0], 1) == (1.0, 1.0)


@pytest.mark.parametrize(("found", "classes"), [([], 3), ([3], 3), ([-1], 3)])
def test_coverage_refuses(found: list[int], classes: int) -> None:
    with pytest.raises(ValueError, match="classes"):
        coverage(found, classes)
