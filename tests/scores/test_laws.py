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
from framecast.verification.metrics import Measure
from framecast.verification.result import Verification
from framecast.verification.run import verify

RANGES = {
    "SSIM": (-1, 1),
    "MS-SSIM": (0, 1),
    "CSI": (0, 1),
    "POD": (0, 1),
    "FAR": (0, 1),
    "ETS": (-1 / 3, 1),
    "HSS": (-1, 1),
    "FSS": (0, 1),
    "Brier score": (0, 1),
    "S": (-2, 2),
    "A": (-2, 2),
    "|S|": (0, 2),
    "|A|": (0, 2),
    "L": (0, 2),
    "PSNR": (-np.inf, np.inf),
    "Frequency bias": (0, np.inf),
    **{name: (0, np.inf) for name in ("MSE", "RMSE", "MAE", "GDL", "CRPS")},
}
PERFECT = {
    "SSIM": 1,
    "MS-SSIM": 1,
    "CSI": 1,
    "POD": 1,
    "ETS": 1,
    "HSS": 1,
    "FSS": 1,
    "Frequency bias": 1,
    "PSNR": np.inf,
}


def kind(measure: Measure) -> str:
    return measure.name.split(" at ")[0].split(" of the largest")[0]


def judged(seed: int, noise: float) -> Verification:
    values = showers(seed)
    forecasters = {"model": Truth(values, noise, seed), "ensemble": Ensemble(values, noise, seed + 1)}
    return verify(forecasters, Clips(values), rates=(0.5, 4.0), scales=(1, 3, 9), examples=0)


def values_of(result: Verification) -> dict[tuple[str, str], float]:
    return {
        (name, measure.name): result.score(name, measure).value
        for measure in result.measures()
        for name in result.forecasters
    }


@pytest.fixture(scope="module")
def one() -> Verification:
    return judged(0, 2.0)


def test_every_score_has_a_range_and_keeps_it(one: Verification) -> None:
    names = {kind(measure) for measure in one.measures()}
    assert names == set(RANGES), "a new score needs its range here"
    assert len({measure.name for measure in one.measures()}) == len(one.measures())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), noise=st.sampled_from([0.0, 0.5, 5.0]))
def test_laws(seed: int, noise: float) -> None:
    result = judged(seed, noise)
    for measure in result.measures():
        low, high = RANGES[kind(measure)]
        for name in result.forecasters:
            curve = result.curve(name, measure)
            known = curve.values[np.isfinite(curve.values)]
            assert (known >= low - 1e-9).all(), measure.name
            assert (known <= high + 1e-9).all(), measure.name
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
    for measure in result.measures():
        for name in result.forecasters:
            added = np.asarray(sum(half.table(name, measure).sum((1, 2)) for half in halves))
            whole = result.score(name, measure).value
            np.testing.assert_allclose(measure.formula(added), whole, rtol=1e-9, err_msg=measure.name)


def test_the_truth_is_perfect() -> None:
    values = showers(3, missing=False)
    result = verify({"truth": Truth(values)}, Clips(values), rates=(0.5, 4.0), scales=(1, 3, 9), examples=0)
    for measure in result.measures():
        value = result.score("truth", measure).value
        if kind(measure) == "MS-SSIM":
            assert np.isnan(value), "frames are too small for it"
        elif kind(measure) == "Brier score":
            assert 0 < value < 0.25, "a share of the neighbourhood is no certainty"
        else:
            assert value == pytest.approx(PERFECT.get(kind(measure), 0), abs=1e-9), measure.name


def test_nothing_observed_is_undefined_in_every_score() -> None:
    values = showers(4)
    values[:, 2:] = np.nan
    result = verify({"p": Persistence()}, Clips(values), rates=(0.5,), examples=0)
    for measure in result.measures():
        value, interval = result.score("p", measure)
        assert np.isnan(value), measure.name
        assert interval is None, measure.name
    assert result.probabilities("p", 0).counted.sum() == 0


def test_intervals_hold_the_score_and_are_there_at_every_lead_time(one: Verification) -> None:
    for measure in one.measures():
        curve = one.curve("model", measure)
        score = one.score("model", measure)
        if score.interval is not None:
            assert score.interval[0] <= score.interval[1]
        known = np.isfinite(curve.values) & np.isfinite(curve.low)
        assert (curve.low[known] <= curve.high[known]).all()
        if kind(measure) in ("MSE", "CSI", "FSS", "L"):
            assert known.any()


def test_cases_are_what_is_kept_and_no_more(one: Verification) -> None:
    """Nothing in the sums grows with the size of the frames."""
    assert set(one.sums.dims) <= {
        "forecaster", "case", "lead_time", "threshold", "scale", "percentile", "wavelength", "probability", "rank"
    }  # fmt: skip
    assert isinstance(one.sums, xr.Dataset)


def test_an_ensemble_is_told_from_a_forecast(one: Verification) -> None:
    assert one.ensembles == ["ensemble"]
    assert one.members("model") == 1
    ranks = one.ranks("ensemble")
    assert ranks.shape == (5,)
    assert ranks.sum() == one.sums["pixels"].sum()
    spread, skill = one.spread_skill("ensemble")
    assert (spread > 0).all()
    np.testing.assert_allclose(skill**2, one.curve("ensemble", one.frame_measures()[0]).values, rtol=1e-6)


def test_probabilities_count_every_place_once(one: Verification) -> None:
    for name in one.forecasters:
        sums = one.probabilities(name, 0)
        assert float(sums.counted.sum()) == float(one.sums["brier_weight"].sel(forecaster=name).isel(threshold=0).sum())
        assert (sums.happened <= sums.counted).all()
        assert float(sums.said.sum()) <= float(sums.counted.sum())
    shares = one.probabilities("ensemble", 0)
    assert (shares.counted > 0).sum() <= 5, "four members say five probabilities"
