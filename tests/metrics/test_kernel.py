"""KID: golden numbers, torch-fidelity, torchmetrics and sums written out."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantool.errors import DataError
from gantool.metrics import kernel
from gantool.metrics.kernel import kernel_distance, mmd2

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "evaluators.npz")
REAL, FAKE, FEWER = GOLDEN["real_features"], GOLDEN["fake_features_60"], GOLDEN["fake_features"]


def random_features(n: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 48, generator=torch.Generator().manual_seed(seed)).clamp_min(0) + shift


def test_the_golden_distance_by_torch_fidelitys_draws() -> None:
    kid = kernel_distance(REAL, FEWER, subsets=25, subset_size=20, seed=2020)
    assert kid.mean == pytest.approx(float(GOLDEN["kid_torch_fidelity_seed2020_25x20/mean"]), rel=1e-6)
    assert kid.std == pytest.approx(float(GOLDEN["kid_torch_fidelity_seed2020_25x20/std"]), rel=1e-6)
    assert (kid.subsets, kid.subset_size) == (25, 20)


def test_the_golden_discrepancies() -> None:
    values = [
        mmd2(REAL[r.astype(int)], FEWER[f.astype(int)])
        for r, f in zip(GOLDEN["kid/subset_real"], GOLDEN["kid/subset_fake"], strict=True)
    ]
    np.testing.assert_allclose(values, GOLDEN["kid/mmd2_unbiased_per_subset"], rtol=1e-6)
    assert mmd2(REAL, FAKE) == pytest.approx(float(GOLDEN["kid/kid_all_60_vs_60"]), rel=1e-6)
    assert mmd2(REAL, FAKE, "biased") == pytest.approx(float(GOLDEN["kid/mmd2_biased_60"]), rel=1e-6)


def test_agreement_with_torch_fidelity() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    a, b = random_features(300, 1), random_features(250, 2, 0.1)
    options = {"kid_subsets": 10, "kid_subset_size": 100, "rng_seed": 7, "verbose": False}
    theirs = kid_features_to_metric(a.double(), b.double(), **options)
    ours = kernel_distance(a, b, subsets=10, subset_size=100, seed=7)
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)
    in_float32 = kid_features_to_metric(a, b, **options)
    assert ours.mean == pytest.approx(in_float32["kernel_inception_distance_mean"], abs=1e-6)


def test_its_defaults_are_torch_fidelitys() -> None:
    from torch_fidelity.defaults import DEFAULTS

    ours = inspect.signature(kernel_distance).parameters
    for name, theirs in (("subsets", "kid_subsets"), ("subset_size", "kid_subset_size"), ("seed", "rng_seed")):
        assert ours[name].default == DEFAULTS[theirs]


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("subsets", [3, 60])
def test_few_and_many_subsets_are_the_discrepancies_of_the_draws(
    subsets: int, estimator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many subsets of a small set take their sums from one matrix of all pairs, here a few rows at a time."""
    monkeypatch.setattr(kernel, "_ROWS", 64)
    a, b = random_features(200, 1), random_features(150, 2, 0.1)
    random = np.random.RandomState(3)
    expected = []
    for _ in range(subsets):
        mine, theirs = random.choice(200, 50, replace=False), random.choice(150, 50, replace=False)
        expected.append(mmd2(a[mine], b[theirs], estimator))
    kid = kernel_distance(a, b, subsets=subsets, subset_size=50, seed=3, estimator=estimator)
    assert kid.mean == pytest.approx(np.mean(expected), rel=1e-10)
    assert kid.std == pytest.approx(np.std(expected), rel=1e-10)


def test_agreement_with_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    a, b = random_features(200, 1).double(), random_features(200, 2, 0.1).double()
    assert mmd2(a, b) == pytest.approx(float(poly_mmd(a, b)), rel=1e-9)


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_sets_of_different_sizes_against_sums_written_out(estimator: Any) -> None:
    x, y = REAL[:7].astype(float), FAKE[:5].astype(float)

    def mean(a: np.ndarray, b: np.ndarray, drop: bool) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (drop and i == j)]
        return sum((a[i] @ b[j] / 8 + 1) ** 3 for i, j in pairs) / len(pairs)

    drop = estimator == "unbiased"
    expected = mean(x, x, drop) + mean(y, y, drop) - 2 * mean(x, y, False)
    assert mmd2(x, y, estimator) == pytest.approx(expected, rel=1e-12)


def test_a_set_and_itself() -> None:
    assert mmd2(REAL, REAL, "biased") == pytest.approx(0, abs=1e-12)
    assert mmd2(REAL, REAL) < 0


def test_the_unbiased_estimate_has_no_bias() -> None:
    """Halves of one distribution: the mean over many pairs is 0 within its error, the biased one's is not."""
    rows = np.random.default_rng(0).standard_normal((200, 2, 10, 4))
    unbiased = np.array([mmd2(a, b) for a, b in rows])
    biased = np.array([mmd2(a, b, "biased") for a, b in rows])
    error = unbiased.std() / 200**0.5
    assert abs(unbiased.mean()) < 3 * error
    assert biased.mean() > 10 * error


def test_subsets_larger_than_a_set_are_refused() -> None:
    with pytest.raises(DataError, match=r"subsets of 1000 .* there are 60 and 50\. Use subsets of at most 50 pictures"):
        kernel_distance(REAL, FEWER)
    with pytest.raises(DataError, match="Add pictures"):
        kernel_distance(REAL, FAKE[:1], subset_size=2)
    with pytest.raises(DataError, match="8 numbers cannot be compared with features of 7"):
        kernel_distance(REAL, FAKE[:, :7], subset_size=2)
    with pytest.raises(ValueError, match="2 pictures or more"):
        kernel_distance(REAL, FAKE, subset_size=1)
    with pytest.raises(ValueError, match="two rows or more"):
        mmd2(REAL, FAKE[:1])


def test_features_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="NaN or infinity"):
        kernel_distance(REAL, np.where(FAKE > 1, np.inf, FAKE), subset_size=20)
