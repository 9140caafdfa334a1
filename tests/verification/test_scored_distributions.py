"""What is scored of a distribution: its probabilities, the events of the largest expected CSI, its mean; and of an ensemble."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_result import Clips, Ensemble, Truth, showers

from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY, ZR
from framecast.data.scale import Scale
from framecast.errors import DataError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.protocol import Context, Forecasts, forecast_cases
from framecast.scores.probability import Probabilities, crps, ladder_crps
from framecast.scores.structure import spectrum
from framecast.verification.result import Verification
from framecast.verification.scored_forecast import scored_forecast
from framecast.verification.scoring_rules import ScoringRules
from framecast.verification.verify import verify
from framecast.verification.views import power, probabilities, probabilities_by_lead_time

LADDER = np.array([0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32])


class Spread:
    """A distribution around the newest frame: lognormal, `width` wide, 0 for a certain one; `members` of it where above 0."""

    name = "spread"
    context_length = 1

    def __init__(self, width: float, members: int = 0) -> None:
        self.width, self.members = width, members

    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        newest = np.repeat(context.frames[:, -1:, 0], horizon, axis=1)
        dry = np.isnan(newest) | (newest <= 0)
        logs = np.log(np.where(dry, 1e-6, newest))
        steps = [(logs - np.log(rate)) / max(self.width, 1e-9) for rate in LADDER]
        probability = np.stack([1 / (1 + np.exp(-np.clip(1.7 * step + 1e-3, -60, 60))) for step in steps])
        probability[:, np.isnan(newest)] = np.nan
        distribution = Distribution(LADDER, probability)
        values = distribution.values(RAIN_RATE, ZR())[None]
        if self.members:
            levels = (np.arange(self.members) + 0.5) / self.members
            values = np.stack([distribution.quantile(level)[:, :, None] for level in levels])
        return Forecasts(values.astype(np.float32), distribution=distribution)


def verified(width: float, members: int = 0, **options: object) -> tuple[Verification, np.ndarray, Spread]:
    values = showers(2)
    forecaster = Spread(width, members)
    result = verify(
        {"spread": forecaster, "persistence": Persistence()},
        Clips(values),
        rates=(0.5, 3.0),
        scales=(1, 5),
        **options,  # type: ignore[arg-type]
    )
    return result, values.astype(np.float32), forecaster


def test_a_certain_distribution_of_rain_that_stays_is_perfect() -> None:
    values = np.repeat(showers(2)[:, :1], 5, axis=1)
    result = verify({"spread": Spread(0)}, Clips(values), rates=(0.5, 4.0), scales=(1, 5))
    for threshold in range(2):
        assert result.event("spread", "csi", threshold).value == 1
        assert result.event("spread", "brier", threshold).value == pytest.approx(0, abs=1e-6)
        assert result.score("spread", result.metric("fss", threshold=threshold, scale=1)).value == pytest.approx(1)
    assert result.distributions == ["spread"]
    assert result.ensembles == []


def test_probabilities_and_events_are_those_of_the_distribution() -> None:
    """Brier score at every other pixel, as for all forecasters, and contingency tables of the most skilful events."""
    result, values, forecaster = verified(0.8)
    forecasts = forecast_cases(forecaster, Context(values[:, :2]), 3)
    assert forecasts.distribution is not None
    truth = values[:, 2:, 0]
    valid = np.isfinite(truth) & np.isfinite(values[:, 1:2, 0])
    for threshold, rate in enumerate((0.5, 3.0)):
        (probability,), observed = forecasts.distribution.exceedance([rate]), truth >= np.float32(rate)
        squares = np.where(valid, (probability - observed) ** 2, 0)[..., ::2, ::2]
        expected = squares.sum(dtype=np.float64) / valid[..., ::2, ::2].sum()
        assert result.event("spread", "brier", threshold).value == pytest.approx(expected, rel=1e-5)
        events = forecasts.distribution.most_skilful(rate)
        hits, either = (events & observed & valid).sum(), ((events | observed) & valid).sum()
        assert result.event("spread", "csi", threshold).value == pytest.approx(hits / either)
    np.testing.assert_array_equal(*(result.sums["brier_weight"].sel(forecaster=name) for name in result.forecasters))
    mean = forecasts.distribution.mean()
    error = np.where(valid, mean - truth, 0).astype(np.float64)
    assert result.frame("spread", "mse").value == pytest.approx((error**2).sum() / valid.sum(), rel=1e-5)


def test_crps_of_a_ladder_and_of_its_members_agree() -> None:
    """Within 5 %: between two rates of the ladder members are spread over the logarithm, the integral is linear."""
    ladder, members = verified(0.8)[0], verified(0.8, members=200)[0]
    assert ladder.frame("persistence", "crps").value == pytest.approx(
        ladder.frame("persistence", "mae").value, rel=1e-5
    )
    assert ladder.frame("spread", "crps").value == pytest.approx(members.frame("spread", "crps").value, rel=0.05)
    assert ladder.frame("spread", "crps").value < ladder.frame("persistence", "crps").value


def test_members_of_a_distribution_have_ranks_and_spread_and_its_probabilities() -> None:
    ladder, members = verified(0.8)[0], verified(0.8, members=8)[0]
    for name in ("brier", "hits", "mse"):
        np.testing.assert_array_equal(ladder.sums[name], members.sums[name])
    assert members.ensembles == members.distributions == ["spread"]
    assert members.sums["rank_count"].sel(forecaster="spread").sum() == members.sums["pixels"].sum()


def test_drizzle_that_no_forecast_resolves_ranks_as_dry() -> None:
    def rank_counts(drizzle: float) -> np.ndarray:
        values = showers(2)
        values[:, 2:][values[:, 2:] < 0.1] = drizzle  # of the truth: the forecaster sees the first two frames
        sums = verify({"spread": Spread(0.8, members=8)}, Clips(values)).sums
        return np.asarray(sums["rank_count"].sel(forecaster="spread").sum("case"))

    np.testing.assert_array_equal(rank_counts(0.05), rank_counts(0.0))
    assert rank_counts(0.15)[-1] > 1.5 * rank_counts(0.05)[-1]


@pytest.mark.parametrize("truth", [-40.0, -32.0, -5.0, 10.0, 12.5, 20.0, 33.0, 60.0])
def test_ladder_crps_is_the_integral_of_the_squared_difference(truth: float) -> None:
    limits, dry, highest = [10.0, 15.0, 30.0], -32.0, 35.0
    probability = torch.tensor([0.7, 0.4, 0.1], dtype=torch.float64)
    x = np.linspace(-50, 70, 1_200_001)
    below = np.interp(x, [*limits, highest], [0.3, 0.6, 0.9, 0.9])
    below = np.where(x < dry, 0, np.where(x >= highest, 1, below))
    expected = ((below - (x >= truth)) ** 2).sum() * (x[1] - x[0])
    ours = ladder_crps(probability, limits, torch.tensor(truth, dtype=torch.float64), dry, highest)
    assert float(ours) == pytest.approx(expected, abs=1e-3)


def test_ladder_crps_is_that_of_draws_from_it() -> None:
    limits = [1.0, 2.0, 4.0]
    probability = torch.tensor([0.8, 0.5, 0.2], dtype=torch.float64)
    levels = (np.arange(20_000) + 0.5) / 20_000
    draws = np.interp(levels, [0.2, 0.5, 0.8], limits)
    draws = np.where(levels < 0.2, 0.0, np.where(levels > 0.8, 5.6, draws))
    for truth in (0.0, 1.5, 3.0, 9.0):
        observed = torch.tensor([truth], dtype=torch.float64)
        members = crps(torch.from_numpy(draws)[:, None], observed).value
        assert float(ladder_crps(probability[:, None], limits, observed, 0.0, 5.6)) == pytest.approx(members, abs=2e-3)
    assert np.isnan(float(ladder_crps(probability[:, None] * torch.nan, limits, torch.zeros(1), 0.0, 5.6)))


def test_without_thresholds_its_mean_and_its_crps_are_scored() -> None:
    values = showers(2)
    result = verify([Spread(0.8)], Clips(values), rates=())
    assert result.frame("spread", "crps").value == pytest.approx(verified(0.8)[0].frame("spread", "crps").value)
    assert "brier" not in result.sums


def test_reliability_is_stored_at_the_first_the_middle_and_the_last_lead_time(tmp_path: Path) -> None:
    result, _, _ = verified(0.8, step=np.timedelta64(5, "m"))
    result.save(tmp_path / "cases.nc")
    again = Verification.open(tmp_path / "cases.nc")
    for verification in (result, again):
        by_lead = probabilities_by_lead_time(verification, "spread", 0)
        assert list(by_lead) == [np.timedelta64(5 * k, "m") for k in (1, 2, 3)]
        together = Probabilities(*map(sum, zip(*by_lead.values(), strict=True)))  # type: ignore[arg-type]
        for ours, all_leads in zip(together, probabilities(verification, "spread", 0), strict=True):
            np.testing.assert_allclose(ours, all_leads)
    assert probabilities_by_lead_time(Verification.open(Path(__file__).parent / "cases_0_1.nc"), "steps", 0) == {}


def test_batches_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = verified(0.8)[0].sums
    monkeypatch.setattr("framecast.verification.case_sums.MAX_PIXELS", 1)
    pieces = verified(0.8, batch_size=1)[0].sums
    for name in whole:
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-6, err_msg=str(name))


def test_the_power_of_an_ensemble_is_that_of_its_members() -> None:
    values = showers(5, missing=False)
    result = verify({"ensemble": Ensemble(values, 2.0), "truth": Truth(values)}, Clips(values))
    assert (power(result, "ensemble")[:, 0] > power(result)[:, 0]).all(), "noise at the shortest waves"
    mean = result.sums["power"].sel(forecaster="ensemble").mean("case").values
    assert (mean[:, 0] < power(result, "ensemble")[:, 0]).all(), "which the mean has less of"
    np.testing.assert_array_equal(power(result, "truth"), result.sums["power"].sel(forecaster="truth").mean("case"))
    images = torch.rand(1, 1, 1, 8, 8)
    assert spectrum(images, torch.ones(1, 1, 1, 8, 8, dtype=torch.bool)).shape[-1] == len(result.sums["wavelength"])


def test_another_relation_of_the_thresholds_asks_the_distribution_for_other_rates() -> None:
    zr = ZR(a=200, b=1.6)
    thresholds = tuple(zr.reflectivity(rate) for rate in (0.5, 2.0))
    rules = ScoringRules(REFLECTIVITY, (0.5, 2.0), thresholds, zr)
    assert rules.distribution_rates == tuple(ZR().rain_rate(threshold) for threshold in thresholds)
    assert ScoringRules(REFLECTIVITY, (0.5, 2.0), thresholds).distribution_rates == (0.5, 2.0)
    dbz = np.where(showers(1)[:, :2] > 0.1, 25.0, -32).astype(np.float32)
    scored = scored_forecast(Spread(0.5).forecast(Context(dbz), 3), rules, "spread")
    assert scored.ladder is not None
    assert scored.ladder.limits == tuple(ZR().reflectivity(LADDER).tolist())


def test_a_forecaster_gets_the_scale_of_each_case_where_the_windows_have_one() -> None:
    seen: list[object] = []

    class Curious(Persistence):
        def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
            seen.append(context.scales)
            return super().forecast(context, horizon)

    class Scaled(Clips):
        def scale(self, index: int) -> Scale:
            return Scale(5.0, 1.0 + index)

        def newest(self, index: int, count: int) -> np.ndarray:
            return self.values[index, 2 - count : 2]

    for clips in (Clips(showers(1)), Scaled(showers(1))):
        verify([Curious()], clips, batch_size=4)
    assert seen == [None, None, tuple(Scale(5.0, 1.0 + k) for k in range(4)), (Scale(5.0, 5.0), Scale(5.0, 6.0))]


def test_a_distribution_where_there_is_no_rain_or_of_another_shape_is_refused() -> None:
    clips = Clips(np.random.default_rng(0).random((2, 5, 1, 12, 12)), INTENSITY)
    with pytest.raises(DataError, match=r"forecaster spread: a distribution of the rain rate returned, .* intensity"):
        verify({"spread": Spread(0.5)}, clips)

    class Shorter(Spread):
        def forecast(self, context: Context, /, horizon: int) -> Forecasts:
            forecasts = super().forecast(context, horizon)
            assert forecasts.distribution is not None
            fewer = Distribution(LADDER, forecasts.distribution.probability[:, :, 1:])
            return forecasts._replace(distribution=fewer)

    with pytest.raises(DataError, match=r"fields \(4, 2, 20, 22\) returned, expected \(4, 3, 20, 22\)"):
        verify({"spread": Shorter(0.5)}, Clips(showers(1)))
