"""Precision, recall, density, coverage: golden numbers, torch-fidelity, and sets whose figures are known."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances

from gantool.errors import DataError
from gantool.metrics import prdc as module
from gantool.metrics.prdc import Prdc, prdc, radii

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "evaluators.npz")
REAL, FAKE = GOLDEN["real_features"], GOLDEN["fake_features"]


@pytest.mark.parametrize("k", [3, 5])
def test_the_golden_figures(k: int) -> None:
    np.testing.assert_allclose(radii(REAL, k), GOLDEN[f"prdc/real_radii_k{k}"], rtol=1e-6)
    np.testing.assert_allclose(radii(FAKE, k), GOLDEN[f"prdc/fake_radii_k{k}"], rtol=1e-6)
    figures = prdc(REAL, FAKE, k=k, strict=True)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(figures, name) == pytest.approx(float(GOLDEN[f"prdc/{name}_k{k}"]), rel=1e-6)


def test_few_rows_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prdc(REAL, FAKE)
    monkeypatch.setattr(module, "_AT_ONCE", 60 * 7)
    assert prdc(REAL, FAKE) == whole


@pytest.mark.parametrize("part", [True, False])
def test_agreement_with_torch_fidelity(part: bool) -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(400, 24, generator=generator), 0.9 * torch.randn(300, 24, generator=generator) + 0.1
    options = {"prc_neighborhood": 3, "prc_batch_size": 128, "save_cpu_ram": part, "verbose": False}
    theirs = prc_features_to_metric(fake.double(), real.double(), **options)
    ours = prdc(real, fake, k=3)
    assert 0.1 < ours.recall < ours.precision < 0.9
    assert ours.precision == pytest.approx(theirs["precision"], abs=1e-7)  # theirs is a mean in float32
    assert ours.recall == pytest.approx(theirs["recall"], abs=1e-7)


@pytest.mark.parametrize("strict", [True, False])
def test_agreement_with_all_distances_in_one_matrix(strict: bool) -> None:
    random = np.random.default_rng(0)
    real, fake = random.standard_normal((90, 5)), random.standard_normal((70, 5)) * 0.7
    k = 4
    r, f = (np.sort(pairwise_distances(x), 1)[:, k] for x in (real, fake))
    d = pairwise_distances(real, fake)
    inside, covers = d <= r[:, None], d <= f
    expected = (inside.any(0).mean(), covers.any(1).mean(), inside.sum() / (k * 70), inside.any(1).mean())
    figures = prdc(real, fake, k=k, strict=strict)
    assert (figures.precision, figures.recall, figures.density, figures.coverage) == pytest.approx(expected, rel=1e-12)


def test_equal_sets_tell_a_ball_with_its_surface_from_one_without() -> None:
    """Each ball holds its centre and k others, the k-th exactly on the surface."""
    random = np.random.default_rng(0)
    rows = (random.standard_normal((200, 64)) + 30).astype(np.float32)
    shuffled = random.permutation(rows)
    assert prdc(rows, shuffled, k=5) == Prdc(1, 1, 6 / 5, 1)
    assert prdc(rows, shuffled, k=5, strict=True) == Prdc(1, 1, 1, 1)


def test_points_on_a_line() -> None:
    """k = 1 on 0, 1, 3, 7: radii 1, 1, 2, 4."""
    real = np.array([[0.0], [1], [3], [7]])
    np.testing.assert_allclose(radii(real, 1), [1, 1, 2, 4])
    fake = np.array([[-1.0], [5], [100], [101]])  # radii 6, 6, 1, 1
    # Closed balls: -1 is on the surface of the first, 5 on that of the third and inside the fourth's.
    assert prdc(real, fake, k=1) == Prdc(precision=2 / 4, recall=1, density=3 / 4, coverage=3 / 4)
    assert prdc(real, fake, k=1, strict=True) == Prdc(precision=1 / 4, recall=1, density=1 / 4, coverage=1 / 4)


def test_repeated_pictures_have_a_radius_of_zero_and_cover_themselves_only() -> None:
    real = np.repeat(np.random.default_rng(0).standard_normal((5, 300)) * 100, 4, 0)
    assert radii(real, 3).max() < 1e-4  # 0 up to the rounding of products
    assert prdc(real, real[::2], k=3).precision == 1
    assert prdc(real, real[::2], k=3, strict=True).precision == 0
    assert prdc(real, real[::2] + 1e-3, k=3).precision == 0


def test_sets_far_apart_share_nothing() -> None:
    assert prdc(REAL, FAKE + 1000) == Prdc(0, 0, 0, 0)


def test_memory_does_not_grow_with_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 2**16)
    rows = np.random.default_rng(0).standard_normal((3000, 4))
    tracemalloc.start()
    prdc(rows, rows[:2000] + 0.1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6  # all distances within the reals alone would be 72 MB


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(DataError, match=r"5\. nearest neighbour needs more than 5 pictures in each set, but one has 5"):
        prdc(REAL, FAKE[:5], k=5)
    with pytest.raises(DataError, match="8 numbers cannot be compared with features of 7"):
        prdc(REAL, FAKE[:, :7])
    with pytest.raises(ValueError, match="k must be 1 or more"):
        prdc(REAL, FAKE, k=0)
