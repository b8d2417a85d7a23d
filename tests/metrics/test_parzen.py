"""Parzen windows: against SciPy's Gaussians and scikit-learn's kernel density, and the pyramid against the flat one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity

from gantool.metrics import parzen as module
from gantool.metrics.parzen import (
    Window,
    haar,
    level_log_densities,
    log_densities,
    mean_and_error,
    own_window,
    parzen,
    sigmas_between,
)


def rows(n: int, dimensions: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, dimensions))


def by_scipy(x: np.ndarray, samples: np.ndarray, sigma: float) -> np.ndarray:
    window = stats.multivariate_normal(np.zeros(x.shape[1]), sigma**2)
    return np.array([logsumexp(window.logpdf(point - samples)) for point in x]) - np.log(len(samples))


@pytest.mark.parametrize("dimensions", [1, 12, 192])
def test_density_is_the_mean_of_scipys_gaussians(dimensions: int) -> None:
    x, samples = rows(7, dimensions, 0), rows(40, dimensions, 1)
    found = log_densities(x, samples, [0.05, 0.3, 2])
    for each, sigma in zip(found, (0.05, 0.3, 2), strict=True):
        np.testing.assert_allclose(each, by_scipy(x, samples, sigma), rtol=1e-9)


def test_pictures_of_3072_numbers_against_scikit_learn() -> None:
    x = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
    samples = np.random.default_rng(1).integers(0, 256, (80, 32, 32, 3), dtype=np.uint8)
    found = log_densities(x, samples, [0.2], lambda pictures: pictures.reshape(len(pictures), -1) / 255)[0]
    theirs = KernelDensity(bandwidth=0.2, leaf_size=80).fit(samples.reshape(80, -1) / 255)
    np.testing.assert_allclose(found, theirs.score_samples(x.reshape(50, -1) / 255), rtol=1e-9)


def test_parts_and_the_order_of_samples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, samples = rows(11, 6, 0), rows(23, 6, 1)
    whole = log_densities(x, samples, [0.2, 0.4])
    monkeypatch.setattr(module, "_DISTANCES", 23 * 4)
    monkeypatch.setattr(module, "_NUMBERS", 6 * 5)
    told: list[int] = []
    np.testing.assert_allclose(log_densities(x, samples[::-1], [0.2, 0.4], progress=told.append), whole, rtol=1e-12)
    assert told == [4, 8, 11]


def test_far_pictures_have_a_density_too() -> None:
    # Every term of the mean is exp(-1e6) or less, which is 0 in float64.
    found = log_densities(np.full((1, 2), 100.0), np.zeros((3, 2)), [0.1])[0, 0]
    assert found == pytest.approx(-2 * 100**2 / (2 * 0.1**2) - 2 * np.log(0.1 * np.sqrt(2 * np.pi)), rel=1e-12)


def test_sigma_is_the_likeliest_on_what_is_held_out() -> None:
    np.testing.assert_allclose(sigmas_between(0.1, 1), np.logspace(-1, 0, 10), rtol=1e-12)
    assert len(sigmas_between(0.01, 10)) == 28
    held, measured, samples = rows(60, 5, 0), rows(30, 5, 1), rows(200, 5, 2)
    sigmas = np.logspace(-1, 0, 10)
    scores = [KernelDensity(bandwidth=s, leaf_size=200).fit(samples).score(held) for s in sigmas]
    found = parzen(held, measured, samples, sigmas)
    assert found.sigma == sigmas[np.argmax(scores)]
    assert found.edge == 0
    np.testing.assert_allclose(found.log_density, by_scipy(measured, samples, found.sigma), rtol=1e-9)
    assert parzen(held, measured, samples, [0.5, 0.7]).edge == -1
    assert parzen(held, measured, samples, [0.01, 0.02]).edge == 1
    assert parzen(held[:0], measured, samples, [0.5]).edge == 0
    with pytest.raises(ValueError, match="held out"):
        parzen(held[:0], measured, samples, [0.1, 0.2])
    with pytest.raises(ValueError, match="cannot be measured"):
        log_densities(held, samples[:, :4], [0.1])


def test_samples_of_a_pictures_own() -> None:
    measured, samples = rows(6, 4, 0), np.random.default_rng(1).random((6, 50, 4))
    squared = np.square(samples - measured[:, None]).sum(axis=2)
    found = own_window(squared[:2], squared[2:], 4, [0.1, 0.3])
    each = {
        s: np.array([by_scipy(x[None], y, s)[0] for x, y in zip(measured, samples, strict=True)]) for s in (0.1, 0.3)
    }
    best = max(each, key=lambda s: each[s][:2].mean())
    assert found.sigma == best
    np.testing.assert_allclose(found.log_density, each[best][2:], rtol=1e-9)


def test_mean_and_standard_error() -> None:
    values = rows(30, 1, 0)[:, 0]
    mean, error = mean_and_error(values)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(stats.sem(values))
    assert np.isnan(mean_and_error(values[:1])[1])


# --- the pyramid ------------------------------------------------------------------------------------------------


def test_twice_the_means_and_the_rest_are_the_picture_turned() -> None:
    unit = np.eye(3 * 4 * 6).reshape(-1, 3, 4, 6)
    low, high = haar(unit)
    turned = np.concatenate([2 * low.reshape(len(unit), -1), high], axis=1)
    assert turned.shape == (72, 72)
    np.testing.assert_allclose(turned @ turned.T, np.eye(72), atol=1e-15)
    picture = rows(1, 72, 0).reshape(1, 3, 4, 6)
    np.testing.assert_allclose(haar(picture)[0][0, 1, 1, 2], picture[0, 1, 2:4, 4:6].mean(), rtol=1e-12)
    np.testing.assert_allclose(haar(picture.repeat(2, 2).repeat(2, 3))[1], 0, atol=1e-15)
    with pytest.raises(ValueError, match="2x2"):
        haar(picture[..., :3])


def test_one_level_is_the_flat_estimate() -> None:
    window = parzen(rows(5, 12, 0), rows(9, 12, 1), rows(40, 12, 2), [0.2, 0.4])
    np.testing.assert_array_equal(level_log_densities([window])[0], window.log_density)


def test_pyramid_of_independent_levels_is_the_flat_estimate_on_all_their_combinations() -> None:
    """Where what is drawn at a level does not hang on the coarser one, and each level's sigma is the same length in the
    picture, the product of the levels' windows is one window on every combination of their draws."""
    rng, sigma = np.random.default_rng(0), 0.3
    x = rng.random((6, 2, 4, 4))
    coarse, middle, fine = (rng.random((n, 2, s, s)) for n, s in ((3, 1), (4, 2), (5, 4)))
    x2, high4 = haar(x)
    x1, high2 = haar(x2)

    def window(points: np.ndarray, samples: np.ndarray, width: float) -> Window:
        return parzen(points[:0], points, samples, [width])

    levels = [
        window(x1, coarse, sigma / 4),  # a mean of 4x4 pixels is a quarter of a coordinate
        window(high2, haar(middle)[1], sigma / 2),
        window(high4, haar(fine)[1], sigma),
    ]
    found = np.sum(level_log_densities(levels), axis=0)

    def enlarged(pictures: np.ndarray, factor: int) -> np.ndarray:
        return pictures.repeat(factor, 2).repeat(factor, 3)

    detail2, detail4 = (p - enlarged(haar(p)[0], 2) for p in (middle, fine))
    whole = np.array(
        [
            enlarged(c, 4) + enlarged(m, 2) + f
            for c in coarse[:, None]
            for m in detail2[:, None]
            for f in detail4[:, None]
        ]
    )
    assert len(whole) == 3 * 4 * 5
    np.testing.assert_allclose(found, by_scipy(x.reshape(6, -1), whole.reshape(60, -1), sigma), rtol=1e-9)
