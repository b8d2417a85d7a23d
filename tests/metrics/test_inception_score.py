"""The inception score: golden numbers, torch-fidelity, torchmetrics and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.errors import DataError
from gantool.metrics.inception_score import inception_score

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "evaluators.npz")


@pytest.mark.parametrize(
    ("logits", "case", "splits"),
    [("logits", "logits_10splits", 10), ("logits", "logits_1splits", 1), ("logits_203", "logits_203_10splits", 10)],
)
def test_the_golden_scores(logits: str, case: str, splits: int) -> None:
    score = inception_score(GOLDEN[f"is/{logits}"], splits=splits, shuffle_seed=None)
    np.testing.assert_allclose(score.scores, GOLDEN[f"is/scores_{case}"], rtol=1e-6)
    assert score.mean == pytest.approx(float(GOLDEN[f"is/mean_{case}"]), rel=1e-6)
    assert score.std == pytest.approx(float(GOLDEN[f"is/std_ddof0_{case}"]), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("shuffle", [True, False])
def test_agreement_with_torch_fidelity(shuffle: bool) -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * torch.randn(517, 1008, generator=torch.Generator().manual_seed(0))
    theirs = isc_features_to_metric(logits, splits=10, shuffle=shuffle, rng_seed=2020)
    ours = inception_score(logits) if shuffle else inception_score(logits, shuffle_seed=None)
    assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-9)
    assert ours.std == pytest.approx(theirs["inception_score_std"], rel=1e-9)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of its buffer, and of the deviation of a single split
def test_agreement_with_torchmetrics() -> None:
    from torchmetrics.image.inception import InceptionScore

    logits = 2 * torch.randn(200, 20, generator=torch.Generator().manual_seed(0)).double()
    metric = InceptionScore(feature=torch.nn.Identity(), splits=1)
    metric.set_dtype(torch.float64)
    metric.features = [logits]
    assert inception_score(logits, splits=1).mean == pytest.approx(float(metric.compute()[0]), rel=1e-6)


def test_sure_and_varied_scores_the_number_of_classes() -> None:
    sure = 2000 * np.eye(10)[np.arange(100) % 10]  # where p underflows to 0
    assert inception_score(sure, splits=1).mean == pytest.approx(10, rel=1e-12)
    unsure = np.zeros((100, 10)) + 7
    assert inception_score(unsure).mean == pytest.approx(1, rel=1e-12)
    same = np.repeat(sure[:1], 100, 0)
    assert inception_score(same).mean == pytest.approx(1, rel=1e-12)


def test_two_classes_against_the_formula_written_out() -> None:
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    marginal = np.array([0.6, 0.4])
    expected = np.exp((p * np.log(p / marginal)).sum(1).mean())
    assert inception_score(np.log(p) + 5, splits=1).mean == pytest.approx(expected, rel=1e-12)


def test_fewer_pictures_than_splits_are_refused() -> None:
    logits = GOLDEN["is/logits"]
    with pytest.raises(DataError, match="10 splits needs 10 pictures or more, but there are 9"):
        inception_score(logits[:9])
    with pytest.raises(ValueError, match="splits must be 1 or more"):
        inception_score(logits, splits=0)
    with pytest.raises(DataError, match="NaN or infinity"):
        inception_score(np.where(logits > 1, np.nan, logits))
