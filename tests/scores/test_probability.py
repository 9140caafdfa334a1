"""Scores of probabilities against `scores` and scikit-learn, with ties, missing values and empty fields."""

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from framecast.scores.fractions import Windows
from framecast.scores.probability import (
    brier,
    crps,
    exceedance,
    probability_sums,
    rank_histogram,
    reliability,
    roc,
    spread_skill,
)


def ensemble(seed: int = 0, members: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(30, 20, generator=generator, dtype=torch.float64).round(decimals=1)
    return torch.randn(members, 30, 20, generator=generator, dtype=torch.float64).round(decimals=1), truth


@pytest.mark.parametrize("fair", [True, False])
def test_crps_is_that_of_scores(fair: bool) -> None:
    probability = pytest.importorskip("scores.probability")
    members, truth = ensemble()
    truth[3] = torch.nan
    theirs = probability.crps_for_ensemble(
        xr.DataArray(members.numpy(), dims=("member", "y", "x")),
        xr.DataArray(truth.numpy(), dims=("y", "x")),
        "member",
        method="fair" if fair else "ecdf",
    )
    ours = crps(members, truth, fair=fair)
    assert ours.value == pytest.approx(float(theirs))
    assert ours.samples == 29 * 20


def test_crps_of_one_member_is_the_absolute_error() -> None:
    members, truth = ensemble(members=1)
    assert crps(members, truth).value == pytest.approx(float((members[0] - truth).abs().mean()))
    assert np.isnan(crps(members, truth * torch.nan).value)
    with pytest.raises(ValueError, match="without members"):
        crps(members[:0], truth)


def probabilities(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    forecast = torch.randint(0, 11, (500,), generator=generator).double() / 10
    return forecast, (torch.rand(500, generator=generator).double() < forecast * 0.8).double()


def test_brier_score_is_that_of_scikit_learn_and_the_sum_of_its_parts() -> None:
    forecast, observed = probabilities()
    ours = brier(probability_sums(forecast, observed))
    assert ours.score == pytest.approx(brier_score_loss(observed.numpy(), forecast.numpy()))
    assert ours.score == pytest.approx(ours.reliability - ours.resolution + ours.uncertainty)
    assert ours.samples == 500
    observed[:100] = torch.nan
    assert brier(probability_sums(forecast, observed)).samples == 400
    assert np.isnan(brier(probability_sums(forecast, observed * torch.nan)).score)


def test_reliability_is_that_of_scikit_learn() -> None:
    forecast, observed = probabilities()
    ours = reliability(probability_sums(forecast, observed))
    edges = np.linspace(0, 1, 11)
    frequency, probability = calibration_curve(observed.numpy(), np.clip(forecast.numpy(), 0, 1), n_bins=11)
    assert len(frequency) == len(edges)
    np.testing.assert_allclose(ours.frequency, frequency)
    np.testing.assert_allclose(ours.probability, probability)
    assert int(ours.forecast_count.sum()) == 500


def test_the_area_under_the_curve_is_that_of_scikit_learn() -> None:
    forecast, observed = probabilities()
    ours = roc(probability_sums(forecast, observed))
    assert ours.area == pytest.approx(roc_auc_score(observed.numpy(), forecast.numpy()))
    assert ours.hit_rate[0] == ours.false_alarm_rate[0] == 0
    assert ours.hit_rate[-1] == ours.false_alarm_rate[-1] == 1
    assert np.isnan(roc(probability_sums(forecast, torch.zeros(500))).area)
    assert ours.events == int(observed.sum())


def test_the_ranks_of_an_ensemble_that_is_right_are_flat() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(5, 40_000, generator=generator)
    counts = rank_histogram(values[:4], values[4], generator)
    np.testing.assert_allclose(counts / counts.sum(), 0.2, atol=0.01)
    ties = rank_histogram(torch.zeros(4, 40_000), torch.zeros(40_000), generator)
    np.testing.assert_allclose(ties / ties.sum(), 0.2, atol=0.01)
    narrow = rank_histogram(values[:4] * 0.3, values[4], generator)
    assert narrow[0] + narrow[4] > 2 * narrow[1:4].sum() / 3


def test_spread_is_skill_for_an_ensemble_that_is_right() -> None:
    values = torch.randn(9, 50_000, generator=torch.Generator().manual_seed(0))
    ours = spread_skill(values[:8], values[8])
    assert ours.spread == pytest.approx(ours.skill, rel=0.01)
    with pytest.raises(ValueError, match="no spread"):
        spread_skill(values[:1], values[8])


def test_neighbourhood_probability_is_the_share_of_events_around() -> None:
    field = torch.zeros(9, 9)
    field[4, 4] = 5
    valid = torch.ones(9, 9, dtype=torch.bool)
    valid[0] = False
    forecast = exceedance((field >= 1) & valid, Windows(valid, 3)).reshape(8, 9)
    assert forecast[3, 4] == pytest.approx(1 / 9)
    assert forecast[7, 8] == 0


@given(seed=st.integers(0, 500))
def test_probability_scores_are_perfect_for_the_truth_and_add_up(seed: int) -> None:
    members, truth = ensemble(seed, 5)
    perfect = truth.expand(5, -1, -1)
    assert crps(perfect, truth).value == pytest.approx(0, abs=1e-12)
    assert crps(members, truth).value <= crps(members, truth, fair=False).value + 1e-12
    forecast, observed = probabilities(seed)
    order = torch.randperm(500)
    sums = probability_sums(forecast, observed)
    assert roc(probability_sums(forecast[order], observed[order])).area == pytest.approx(roc(sums).area)
    parts = [probability_sums(forecast[part], observed[part]) for part in (order[:200], order[200:])]
    for whole, one, other in zip(sums, *parts, strict=True):
        torch.testing.assert_close(whole, one + other)
    assert 0 <= brier(sums).score <= 1
    assert brier(probability_sums(observed, observed)).score == 0
    assert roc(probability_sums(observed, observed)).area == pytest.approx(1)


def test_ranks_are_those_of_pysteps() -> None:
    theirs = pytest.importorskip("pysteps.verification.ensscores")
    members, truth = ensemble(3)
    members, truth = (
        members + torch.rand(members.shape) * 1e-3,
        truth + 5e-4,
    )  # without ties, which are broken by chance
    ours = rank_histogram(members, truth)
    expected = theirs.rankhist(members.numpy(), truth.numpy(), normalize=False)
    np.testing.assert_array_equal(ours, expected)


def test_spread_is_that_of_xarray() -> None:
    members, truth = ensemble(4)
    ours = spread_skill(members, truth)
    table = xr.DataArray(members.numpy(), dims=("member", "y", "x"))
    variance = float(table.var("member", ddof=1).mean()) * 9 / 8
    assert ours.spread == pytest.approx(variance**0.5)
    assert ours.skill == pytest.approx(float(((table.mean("member") - truth.numpy()) ** 2).mean()) ** 0.5)
