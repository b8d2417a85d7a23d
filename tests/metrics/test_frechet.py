"""The Fréchet distance: closed forms, golden numbers, pytorch-fid, torch-fidelity, and files of statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from gantool.errors import DataError, RunError
from gantool.metrics.frechet import Moments, Statistics, frechet_distance

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "evaluators.npz")
REAL, FAKE = GOLDEN["real_features"], GOLDEN["fake_features"]


def statistics(features: np.ndarray, ddof: int = 1, batch: int = 1000) -> Statistics:
    moments = Moments(features.shape[1])
    for start in range(0, len(features), batch):
        moments.add(features[start : start + batch])
    return moments.statistics(ddof)


def like_inception(n: int, seed: int, shift: float = 0.0, dimension: int = 96) -> np.ndarray:
    """Rectified, correlated, float32: most of the variance in a few directions, as pooled features have it."""
    mixing = np.random.default_rng(0).standard_normal((dimension, dimension)) / dimension**0.5
    mixing *= np.linspace(1, 0.01, dimension)[:, None] ** 3
    rows = np.random.default_rng(seed).standard_normal((n, dimension))
    return np.maximum(rows @ mixing + 0.3 + shift, 0).astype(np.float32)


def covariance(dimension: int, powers: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A covariance whose eigenvalues fall from 1 by that many powers of ten, and its square root."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))
    roots = 10 ** (-powers / 2 * np.linspace(0, 1, dimension))
    half = q * roots
    return half @ half.T, half


# --- moments


@pytest.mark.parametrize("ddof", [0, 1])
def test_moments_are_the_golden_ones(ddof: int) -> None:
    real = statistics(REAL, ddof, batch=7)
    np.testing.assert_allclose(real.mu, GOLDEN["fid/mu_real"], rtol=1e-6)
    np.testing.assert_allclose(real.sigma, GOLDEN[f"fid/sigma_real_ddof{ddof}"], rtol=1e-6, atol=1e-7)
    assert real.n == 60


@pytest.mark.parametrize("batch", [1, 13, 500])
def test_batches_and_their_order_do_not_matter_even_far_from_zero(batch: int) -> None:
    rows = np.random.default_rng(0).standard_normal((500, 6)) + 1e6
    rows = np.random.default_rng(1).permutation(rows)
    streamed = statistics(rows, batch=batch)
    expected = np.cov(rows, rowvar=False)
    # The sum of squares about 0 would be wrong in the fourth digit here.
    np.testing.assert_allclose(streamed.sigma, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(streamed.mu, rows.mean(0), rtol=1e-14)


def test_merged_moments_are_those_of_all() -> None:
    parts = [Moments(8) for _ in range(4)]  # the last one gets nothing, as a process without pictures
    for part, rows in zip(parts, np.split(REAL, [5, 6]), strict=False):
        part.add(torch.from_numpy(rows))
        part.add(rows[:0])
    whole = Moments.from_state(torch.from_numpy(parts[3].state()))
    for part in parts:
        whole.merge(Moments.from_state(part.state()))
    assert whole.n == 60
    np.testing.assert_allclose(whole.mean, REAL.mean(0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(whole.covariance(), np.cov(REAL.astype(float), rowvar=False), rtol=1e-12, atol=1e-14)
    assert parts[0].n == 5


def test_one_picture_has_no_covariance() -> None:
    moments = Moments(8)
    moments.add(REAL[:1])
    with pytest.raises(DataError, match="two pictures or more in each set, not 1"):
        moments.covariance()


def test_features_that_are_not_numbers_are_refused_and_leave_no_trace() -> None:
    moments = Moments(8)
    moments.add(REAL)
    before = moments.state()
    bad = FAKE.copy()
    bad[3, 3] = np.nan
    with pytest.raises(DataError, match="NaN or infinity"):
        moments.add(bad)
    with pytest.raises(ValueError, match="7 numbers for moments of 8"):
        moments.add(FAKE[:, :7])
    with pytest.raises(ValueError, match=r"shape \(N, D\)"):
        moments.add(FAKE[0])
    with pytest.raises(ValueError, match="moments of 3 numbers for moments of 8"):
        moments.merge(Moments(3))
    np.testing.assert_array_equal(moments.state(), before)


# --- the distance


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_golden_distance(ddof: int) -> None:
    distance = frechet_distance(statistics(REAL, ddof), statistics(FAKE, ddof))
    assert distance == pytest.approx(float(GOLDEN[f"fid/fid_ddof{ddof}"]), rel=1e-6)


def test_the_golden_distance_of_five_pictures() -> None:
    """Covariances of rank 4 in 8 dimensions."""
    distance = frechet_distance(statistics(REAL[:5]), statistics(FAKE[:5]))
    assert distance == pytest.approx(float(GOLDEN["fid/fid_5_samples_ddof1_by_eigenvalues"]), rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(2000, 1500), (2000, 40), (40, 2000), (40, 50)])
def test_agreement_with_torch_fidelity(n: int, m: int) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = like_inception(n, 1), like_inception(m, 2, 0.05)
    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(torch.from_numpy(a).double()),
        fid_features_to_statistics(torch.from_numpy(b).double()),
        False,
    )["frechet_inception_distance"]
    ours = frechet_distance(statistics(a), statistics(b))
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert ours == pytest.approx(frechet_distance(statistics(b), statistics(a)), rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(2000, 40), (40, 2000), (40, 50)])
def test_sets_of_fewer_pictures_than_dimensions(n: int, m: int) -> None:
    """The centred features are factors of the covariances: Tr((S T)^(1/2)) is their product's nuclear norm."""
    a, b = like_inception(n, 1).astype(float), like_inception(m, 2, 0.05).astype(float)
    halves = [(x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a, b)]
    expected = np.square(a.mean(0) - b.mean(0)).sum() + sum(np.square(half).sum() for half in halves)
    expected -= 2 * np.linalg.svd(halves[0] @ halves[1].T, compute_uv=False).sum()
    assert frechet_distance(statistics(a), statistics(b)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_agreement_with_pytorch_fid() -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance

    a, b = like_inception(2000, 1), like_inception(1500, 2, 0.05)
    theirs = calculate_frechet_distance(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))
    assert frechet_distance(statistics(a), statistics(b)) == pytest.approx(theirs, rel=1e-4)


def test_agreement_with_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    a, b = statistics(like_inception(2000, 1)), statistics(like_inception(1500, 2, 0.05))
    theirs = _compute_fid(*(torch.from_numpy(x) for x in (a.mu, a.sigma, b.mu, b.sigma)))
    assert frechet_distance(a, b) == pytest.approx(float(theirs), rel=1e-6)


def test_agreement_with_the_matrix_square_root() -> None:
    (s, _), (t, _) = covariance(64, 3, 1), covariance(64, 3, 2)
    expected = np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet_distance(Statistics(np.zeros(64), s), Statistics(np.zeros(64), t)) == pytest.approx(
        expected, rel=1e-9
    )


@pytest.mark.parametrize("powers", [8, 14, 20])
def test_badly_conditioned_covariances(powers: float) -> None:
    """The trace of the root is the sum of the singular values of the product of the halves, known here exactly."""
    (s, half_s), (t, half_t) = covariance(200, powers, 1), covariance(200, powers, 2)
    expected = np.trace(s) + np.trace(t) - 2 * np.linalg.svd(half_s.T @ half_t, compute_uv=False).sum()
    a, b = Statistics(np.zeros(200), s), Statistics(np.zeros(200), t)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_covariances_that_rounding_to_float32_has_given_negative_eigenvalues() -> None:
    (s, half_s), (t, half_t) = covariance(200, 14, 1), covariance(200, 14, 2)
    expected = np.trace(s) + np.trace(t) - 2 * np.linalg.svd(half_s.T @ half_t, compute_uv=False).sum()
    a, b = (Statistics(np.zeros(200), x.astype(np.float32)) for x in (s, t))
    assert np.linalg.eigvalsh(a.sigma)[0] < -1e-9
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_equal_sets_of_few_pictures_in_many_dimensions() -> None:
    """Shifted by c, so that an error of either sign would show: the distance is |c|²."""
    rows = like_inception(100, 1, dimension=512)
    a = statistics(rows)
    assert frechet_distance(a, statistics(rows, batch=9)) < 1e-10
    assert frechet_distance(a, statistics(rows.astype(float) + 0.25)) == pytest.approx(0.0625 * 512, rel=1e-12)


def test_diagonal_gaussians() -> None:
    a, b = np.array([4.0, 1, 0, 9]), np.array([1.0, 0, 0, 16])
    c = np.array([1.0, 2, 3, 4])
    distance = frechet_distance(Statistics(np.zeros(4), np.diag(a)), Statistics(c, np.diag(b)))
    assert distance == pytest.approx(np.square(np.sqrt(a) - np.sqrt(b)).sum() + 30, rel=1e-12)


def test_constant_features() -> None:
    nothing = Statistics(np.ones(3), np.zeros((3, 3)))
    assert frechet_distance(nothing, nothing) == 0
    assert frechet_distance(nothing, Statistics(np.zeros(3), np.diag([1.0, 2, 3]))) == pytest.approx(9)


def test_one_dimension() -> None:
    a, b = (Statistics(np.array([mu]), np.array([[variance]])) for mu, variance in ((1.0, 4.0), (3.0, 25.0)))
    assert frechet_distance(a, b) == pytest.approx(4 + 9)


def test_statistics_of_other_networks_are_not_compared() -> None:
    with pytest.raises(DataError, match="8 numbers cannot be compared with features of 7"):
        frechet_distance(statistics(REAL), statistics(FAKE[:, :7]))


def test_a_matrix_with_negative_eigenvalues_is_no_covariance() -> None:
    matrix = np.array([[1.0, 2], [2, 1]])
    with pytest.raises(DataError, match=r"x\.npz: `sigma` is not a covariance"):
        frechet_distance(Statistics(np.zeros(2), matrix, name="x.npz"), Statistics(np.zeros(2), np.eye(2)))


# --- files


def test_statistics_come_back_from_their_file(tmp_path: Path) -> None:
    moments = Moments(8)
    moments.add(REAL)
    saved = moments.statistics(protocol={"tool": "pytorch-fid", "ddof": 1})
    saved.save(tmp_path / "real.npz")
    loaded = Statistics.load(tmp_path / "real.npz")
    np.testing.assert_array_equal(loaded.mu, saved.mu)
    np.testing.assert_array_equal(loaded.sigma, saved.sigma)
    assert (loaded.n, loaded.protocol) == (60, {"tool": "pytorch-fid", "ddof": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["real.npz"]
    with pytest.raises(RunError, match="exists already"):
        saved.save(tmp_path / "real.npz", overwrite=False)


def test_pytorch_fid_reads_our_file_and_we_read_its(tmp_path: Path) -> None:
    from pytorch_fid.fid_score import compute_statistics_of_path

    ours = statistics(REAL)
    ours.save(tmp_path / "ours.npz")
    mu, sigma = compute_statistics_of_path(str(tmp_path / "ours.npz"), None, 1, 8, "cpu")
    np.testing.assert_array_equal(sigma, ours.sigma)
    np.savez_compressed(tmp_path / "theirs.npz", mu=mu, sigma=sigma)
    theirs = Statistics.load(tmp_path / "theirs.npz")
    assert (theirs.n, theirs.protocol) == (None, None)
    assert frechet_distance(theirs, ours) < 1e-12


def test_the_reference_files_of_guided_diffusion(tmp_path: Path) -> None:
    sigma = np.cov(REAL, rowvar=False)
    spatial = {"mu_s": np.zeros(3), "sigma_s": np.eye(3), "arr_0": np.zeros((2, 4, 4, 3), np.uint8)}
    np.savez(tmp_path / "ref.npz", mu=REAL.mean(0), sigma=sigma, **spatial)
    np.testing.assert_allclose(Statistics.load(tmp_path / "ref.npz").sigma, sigma, rtol=1e-15)


EYE = np.eye(4)
NAN = np.full((4, 4), np.nan)
SKEW = np.triu(np.ones((4, 4)))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"sigma": EYE}, "has no `mu`"),
        ({"arr_0": EYE}, "has no `mu` and no `sigma`"),
        ({"mu": np.zeros(4), "sigma": np.ones((4, 3))}, r"shapes of `mu` and `sigma`, \(4,\) and \(4, 3\)"),
        ({"mu": np.zeros(3), "sigma": EYE}, "do not fit"),
        ({"mu": np.zeros((1, 4)), "sigma": EYE}, "do not fit"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, "do not fit"),
        ({"mu": np.zeros(4), "sigma": NAN}, "NaN or infinity"),
        ({"mu": NAN[0], "sigma": EYE}, "NaN or infinity"),
        ({"mu": np.zeros(4), "sigma": SKEW}, "not symmetric"),
        ({"mu": np.zeros(4), "sigma": -EYE}, "negative variance"),
        ({"mu": np.zeros(4), "sigma": EYE * 1j}, "complex128, not real numbers"),
        ({"mu": np.array(list("abcd")), "sigma": EYE}, "not real numbers"),
        ({"mu": np.array([None] * 4), "sigma": EYE}, "not a file of statistics"),
        ({"mu": np.zeros(4), "sigma": EYE, "n": "many"}, "`n` is not a number"),
        ({"mu": np.zeros(4), "sigma": EYE, "protocol": "[1]"}, "`protocol` not a JSON object"),
        ({"mu": np.zeros(4), "sigma": EYE, "protocol": "{"}, "not a file of statistics"),
    ],
)
def test_unusable_statistics_are_refused_in_a_sentence(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    path = tmp_path / "s.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=words) as caught:
        Statistics.load(path)
    assert caught.value.what.startswith(str(path))
    assert caught.value.hint


def test_files_that_are_no_statistics_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        Statistics.load(tmp_path / "missing.npz")
    with pytest.raises(DataError, match="Cannot read"):
        Statistics.load(tmp_path)
    np.save(tmp_path / "one.npy", EYE)
    with pytest.raises(DataError, match="one array"):
        Statistics.load(tmp_path / "one.npy")
    statistics(REAL).save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[400] ^= 0xFF
    locked = bytearray(whole)
    locked[6] |= 1  # the flags that say encrypted, of the first entry and of its line in the directory
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    contents = {"text": b"hello", "empty": b"", "torn": whole[:-30], "damaged": bytes(damaged), "locked": bytes(locked)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="not a file of statistics"):
            Statistics.load(tmp_path / name)
