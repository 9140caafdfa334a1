"""The scores of one forecast when its truth arrives: the numbers of an evaluation."""

import numpy as np
import pytest
import xarray as xr
from moving_rain import write_rain

import framecast
from framecast.data.quantities import RAIN_RATE
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.baselines.extrapolation_probability import ExtrapolationProbability
from framecast.forecasting.labels import forecast_frames
from framecast.verification.arriving import score_forecast
from framecast.verification.score_rows import ScoreRow

CONTEXT, HORIZON, RATES = 4, 3, (0.5, 2.0)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> xr.DataArray:
    path = write_rain(tmp_path_factory.mktemp("rain") / "rain.nc", "2026-06-01T12:00", 12, 40, 48, 2.0)
    return framecast.open(path)


def issued(frames: xr.DataArray, newest: int) -> xr.DataArray | xr.Dataset:
    """What extrapolation as a probability forecasts after frame `newest`, under a name of its own."""
    forecaster = ExtrapolationProbability(RAIN_RATE)
    forecast = forecast_frames(forecaster, frames.isel(time=slice(newest + 1)), HORIZON, context=CONTEXT, rates=RATES)
    for part in (forecast, forecast[forecast.attrs["values"]]):
        part.attrs["forecaster"] = "issued"
    return forecast


def by_place(rows: list[ScoreRow]) -> dict[tuple[object, ...], float]:
    return {(row.forecaster, row.score, row.threshold, row.lead_minutes): row.value for row in rows}


def test_the_numbers_are_those_of_an_evaluation(frames: xr.DataArray) -> None:
    newest = 5
    scores = ("mse", "mae", "crps", "csi", "pod", "far", "bias", "brier")
    rows = score_forecast(issued(frames, newest), frames, RATES, context=CONTEXT, scores=scores)
    window = frames.isel(time=slice(newest + 1 - CONTEXT, newest + 1 + HORIZON))
    baselines = ("extrapolation_probability", "extrapolation", "persistence")
    expected = framecast.verify(
        {"issued": ExtrapolationProbability(RAIN_RATE)},
        window,
        context=CONTEXT,
        horizon=HORIZON,
        rates=RATES,
        baselines=baselines,
    )
    assert expected.cases == 1
    values = by_place(rows)
    assert {row.forecaster for row in rows} == {"issued", *baselines}
    for metric in expected.metrics():
        if metric.name in scores and metric.name != "crps":
            threshold = RATES[metric.place["threshold"]] if metric.place else None
            for name in expected.forecasters:
                curve = expected.curve(name, metric).values
                given = [values[name, metric.name, threshold, 5.0 * lead] for lead in (1, 2, 3)]
                np.testing.assert_allclose(given, curve, rtol=1e-6, atol=1e-9, err_msg=f"{name} {metric.label}")
    assert np.isnan(values["issued", "crps", None, 5.0])  # the whole distribution is not in a forecast
    assert np.isfinite(values["extrapolation_probability", "crps", None, 5.0])
    assert all(row.pixels == expected.sums["pixels"].values[0, round(row.lead_minutes / 5) - 1] for row in rows)


def test_lead_times_without_truth_and_a_broken_past(frames: xr.DataArray) -> None:
    forecast = issued(frames, 5)
    some = frames.isel(time=[0, 1, 2, 3, 4, 5, 7])
    assert {row.lead_minutes for row in score_forecast(forecast, some, RATES)} == {10.0}
    assert score_forecast(forecast, frames.isel(time=slice(6)), RATES) == []
    gap = frames.isel(time=[0, 1, 2, 4, 5, 6, 7, 8])
    assert {row.forecaster for row in score_forecast(forecast, gap, RATES)} == {"issued"}


def test_no_data_is_scored_nowhere_and_what_does_not_fit_is_refused(frames: xr.DataArray) -> None:
    holes = frames.load().copy()
    holes[6, :, :10] = np.nan
    pixels = {row.lead_minutes: row.pixels for row in score_forecast(issued(frames, 5), holes, RATES, fallbacks=())}
    assert pixels == {5.0: 30 * 46, 10.0: 40 * 44, 15.0: 40 * 42}  # nothing is known of what flows in
    with pytest.raises(DataError, match="another grid than the truth: 40 x 48 and 30 x 48 pixels"):
        score_forecast(issued(frames, 5), frames.isel(y=slice(30)), RATES)
    with pytest.raises(ArgumentError, match=r"no probability at 8 mm/h, only at 0\.5, 2"):
        score_forecast(issued(frames, 5), frames, (8.0,))
