"""Laws that every score obeys, whatever it is called: the truth is perfect, halves make the whole, order is nothing, undefined is
undefined."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from test_result import Clips, Ensemble, Truth, showers

from framecast.forecasting.baselines.persistence import Persistence
from framecast.scores import Metric
from framecast.scores.metric import ratio
from framecast.verification.metrics import METRICS, direction
from framecast.verification.result import Verification
from framecast.verification.verify import verify
from framecast.verification.views import probabilities, ranks, spread_skill


def verify_noisy(seed: int, noise: float) -> Verification:
    values = showers(seed)
    forecasters = {"model": Truth(values, noise, seed), "ensemble": Ensemble(values, noise, seed + 1)}
    return verify(forecasters, Clips(values), rates=(0.5, 4.0), scales=(1, 3, 9), examples=0)


def values_of(result: Verification) -> dict[tuple[str, str], float]:
    return {
        (name, metric.label): result.score(name, metric).value
        for metric in result.metrics()
        for name in result.forecasters
    }


@pytest.fixture(scope="module")
def one() -> Verification:
    return verify_noisy(0, 2.0)


def test_no_two_metrics_have_one_name(one: Verification) -> None:
    assert len({(metric.convention, metric.name) for metric in METRICS}) == len(METRICS)
    assert len({metric.label for metric in one.metrics()}) == len(one.metrics())


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: f"{metric.convention}-{metric.name}")
def test_a_record_is_complete(metric: Metric) -> None:
    low, high = metric.range
    assert low < high
    assert metric.definition
    assert metric.perfect is None or low <= metric.perfect <= high
    if metric.better == "lower":
        assert metric.perfect == low
    if metric.better == "higher":
        assert metric.perfect == high
    assert direction(metric.name) == metric.better, "one name has one direction in all conventions"
    assert not metric.compared or metric.better != "neither"


def test_a_record_without_direction_cannot_be_made() -> None:
    stated = {"name": "me", "title": "ME", "group": "frame", "sums": ("me", "me_weight"), "formula": ratio}
    stated |= {"perfect": 0, "range": (-np.inf, np.inf), "definition": "mean error"}
    with pytest.raises(TypeError, match="'better'"):
        Metric(**stated)
    assert Metric(**stated, better="neither").better == "neither"


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), noise=st.sampled_from([0.0, 0.5, 5.0]))
def test_scores_lie_in_their_range_whatever_the_order_and_the_parts(seed: int, noise: float) -> None:
    result = verify_noisy(seed, noise)
    for metric in result.metrics():
        low, high = metric.range
        for name in result.forecasters:
            curve = result.curve(name, metric)
            known = curve.values[np.isfinite(curve.values)]
            assert (known >= low - 1e-9).all(), metric.label
            assert (known <= high + 1e-9).all(), metric.label
    _order_is_nothing(result)
    _halves_make_the_whole(result)


def _order_is_nothing(result: Verification) -> None:
    turned = replace(result, sums=result.sums.isel(case=slice(None, None, -1)))
    for (place, value), other in zip(values_of(result).items(), values_of(turned).values(), strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-9, err_msg=str(place))
    assert turned.checksum == result.checksum


def _halves_make_the_whole(result: Verification) -> None:
    """Sums of parts, added by hand, give the score of the whole."""
    halves = [replace(result, sums=result.sums.isel(case=part)) for part in (slice(0, 2), slice(2, None))]
    for metric in result.metrics():
        for name in result.forecasters:
            added = np.asarray(sum(half.table(name, metric).sum((1, 2)) for half in halves))
            whole = result.score(name, metric).value
            np.testing.assert_allclose(metric.formula(added), whole, rtol=1e-9, err_msg=metric.label)


def test_the_truth_is_perfect() -> None:
    values = showers(3, missing=False)
    result = verify({"truth": Truth(values)}, Clips(values), rates=(0.5, 4.0), scales=(1, 3, 9), examples=0)
    for metric in result.metrics():
        value = result.score("truth", metric).value
        if metric.name == "ms_ssim":
            assert np.isnan(value), "frames are too small for it"
        elif metric.name == "brier":
            assert 0 < value < 0.25, "a share of the neighbourhood is no certainty"
        else:
            assert value == pytest.approx(metric.perfect, abs=1e-9), metric.label


def test_nothing_observed_is_undefined_in_every_score() -> None:
    values = showers(4)
    values[:, 2:] = np.nan
    result = verify({"p": Persistence()}, Clips(values), rates=(0.5,), examples=0)
    for metric in result.metrics():
        value, interval = result.score("p", metric)
        assert np.isnan(value), metric.label
        assert interval is None, metric.label
    assert probabilities(result, "p", 0).forecast_count.sum() == 0


def test_intervals_hold_the_score_and_are_there_at_every_lead_time(one: Verification) -> None:
    for metric in one.metrics():
        curve = one.curve("model", metric)
        score = one.score("model", metric)
        if score.interval is not None:
            assert score.interval[0] <= score.interval[1]
        known = np.isfinite(curve.values) & np.isfinite(curve.low)
        assert (curve.low[known] <= curve.high[known]).all()
        if metric.name in ("mse", "csi", "fss", "sal_l"):
            assert known.any()


def test_cases_are_what_is_kept_and_no_more(one: Verification) -> None:
    """Nothing in the sums grows with the size of the frames."""
    assert set(one.sums.dims) <= {
        "forecaster", "case", "lead_time", "threshold", "scale", "percentile", "wavelength", "probability", "rank",
        "reliability_lead_time",
    }  # fmt: skip
    assert isinstance(one.sums, xr.Dataset)


def test_an_ensemble_is_told_from_a_forecast(one: Verification) -> None:
    assert one.ensembles == ["ensemble"]
    assert one.members("model") == 1
    counts = ranks(one, "ensemble")
    assert counts.shape == (5,)
    assert counts.sum() == one.sums["pixels"].sum()
    spread, skill = spread_skill(one, "ensemble")
    assert (spread > 0).all()
    np.testing.assert_allclose(skill**2, one.curve("ensemble", one.metric("mse")).values, rtol=1e-6)


def test_probabilities_count_every_place_once(one: Verification) -> None:
    for name in one.forecasters:
        sums = probabilities(one, name, 0)
        assert float(sums.forecast_count.sum()) == float(
            one.sums["brier_weight"].sel(forecaster=name).isel(threshold=0).sum()
        )
        assert (sums.observed_events <= sums.forecast_count).all()
        assert float(sums.forecast_probability.sum()) <= float(sums.forecast_count.sum())
    shares = probabilities(one, "ensemble", 0)
    assert (shares.forecast_count > 0).sum() <= 5, "four members give five probabilities"
