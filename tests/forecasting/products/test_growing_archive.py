"""A store that grows by one forecast at a time: what a reader sees is complete, whatever ends an append."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from rain_forecasts import INIT, deterministic, ensemble, label, values, with_probabilities

import framecast
from framecast.errors import ConfigError, DataError, RunError
from framecast.forecasting.labels import values_of
from framecast.forecasting.products import archive

STEP = np.timedelta64(5, "m")


def later(forecast: Any, steps: int, **attributes: Any) -> Any:
    moved = forecast.assign_coords(init_time=[INIT + steps * STEP])
    return moved.assign_attrs(attributes)


def opened(path: Path) -> xr.Dataset:
    return xr.open_zarr(path, decode_timedelta=True).load()


@pytest.mark.parametrize("make", [deterministic, ensemble, with_probabilities])
def test_what_was_appended_is_read(make: Any, tmp_path: Path) -> None:
    store = tmp_path / "archive.zarr"
    for steps in range(4):
        assert framecast.append_forecast(later(make(), steps), store)
    assert not framecast.append_forecast(later(make(), 3), store), "no double"
    again = opened(store)
    np.testing.assert_array_equal(again["init_time"].values, INIT + np.arange(4) * STEP)
    expected = values_of(make()).values[0]
    for steps in range(4):
        np.testing.assert_array_equal(again["rain"].values[steps], expected)
    np.testing.assert_array_equal(again["time"].values[3], INIT + 3 * STEP + again["lead_time"].values)
    forecasts = framecast.open_forecast(store)
    assert forecasts.sizes["init_time"] == 4


def test_a_fallback_without_members_or_probabilities_is_recorded(tmp_path: Path) -> None:
    store = tmp_path / "archive.zarr"
    framecast.append_forecast(later(deterministic(), 0, framecast_rung="extrapolation"), store)
    framecast.append_forecast(later(with_probabilities(), 1, framecast_rung="radar"), store)
    framecast.append_forecast(
        later(deterministic().isel(lead_time=slice(0, 3)), 2, framecast_rung="persistence"), store
    )
    again = opened(store)
    assert again["framecast_rung"].values.tolist() == ["extrapolation", "radar", "persistence"]
    known = np.isfinite(again["exceedance_probability"].values).any(axis=(1, 2, 3, 4, 5))
    assert known.tolist() == [False, True, False]
    assert np.isfinite(again["rain"].values[2]).any(axis=(1, 2, 3)).tolist() == [True] * 3 + [False] * 9
    assert not np.isnat(again["time"].values).any()
    assert again.attrs["title"] == "forecasts by initial time"


def test_bounds_of_times_are_those_of_all_lead_times(tmp_path: Path) -> None:
    """Whether a forecast has all of them, and its bounds, or not."""
    store = tmp_path / "archive.zarr"
    framecast.append_forecast(later(deterministic(), 0, mean_over_seconds=300), store)
    framecast.append_forecast(later(deterministic().isel(lead_time=slice(0, 3)), 1, mean_over_seconds=300), store)
    framecast.append_forecast(later(deterministic(), 2), store)
    again = opened(store)
    times = again["time"].values
    np.testing.assert_array_equal(again["time_bounds"].values, np.stack([times - STEP, times], axis=-1))


def test_one_forecast_among_members_is_the_first(tmp_path: Path) -> None:
    store = tmp_path / "archive.zarr"
    framecast.append_forecast(ensemble(), store)
    framecast.append_forecast(later(deterministic(), 1), store)
    rain = opened(store)["rain"].values
    np.testing.assert_array_equal(rain[1, 0], deterministic().values[0])
    assert np.isnan(rain[1, 1:]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.isel(y=slice(1, None)), "y of the forecast differs"),
        (lambda f: f.assign_coords(lead_time=f["lead_time"] + np.timedelta64(1, "m")), "lead_time of the forecast"),
        (lambda f: f.assign_attrs(quantity="reflectivity", units="dBZ"), "rain is in dBZ"),
        (lambda f: later(f, -1), "older than the last"),
    ],
)
def test_what_does_not_fit_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    store = tmp_path / "archive.zarr"
    framecast.append_forecast(deterministic(), store)
    before = opened(store)
    with pytest.raises(DataError, match=message) as error:
        framecast.append_forecast(change(later(deterministic(), 1)), store)
    assert error.value.remedy
    xr.testing.assert_identical(opened(store), before)


def test_only_an_archive_is_appended_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format"):
        framecast.append_forecast(deterministic(), tmp_path / "archive.nc")
    (tmp_path / "other.zarr").mkdir()
    with pytest.raises(RunError, match="no archive of forecasts"):
        framecast.append_forecast(deterministic(), tmp_path / "other.zarr")


class Killed(BaseException):
    """What ends an append where a kill would."""


def test_an_append_killed_at_any_file_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each number of written files the store reads as before; the next append completes it."""
    store, write = tmp_path / "archive.zarr", archive.write_bytes
    small = label(values(2, leads=2))
    framecast.append_forecast(small, store)
    budget = 0

    def limited(*arguments: Any) -> None:
        nonlocal budget
        if budget == 0:
            raise Killed
        budget -= 1
        write(*arguments)

    count, step = 1, 0
    while True:
        monkeypatch.setattr(archive, "write_bytes", limited)
        budget, before = step, opened(store)
        forecast = later(small * (step + 2), count).assign_attrs(small.attrs)
        try:
            framecast.append_forecast(forecast, store)
            break
        except Killed:
            xr.testing.assert_identical(opened(store), before)
        monkeypatch.setattr(archive, "write_bytes", write)
        if step % 5 == 4:  # now and then the next append completes the store
            assert framecast.append_forecast(forecast, store)
            count += 1
            np.testing.assert_array_equal(opened(store)["rain"].values[-1], forecast.values[0])
        step += 1
    assert step > 4
    assert opened(store).sizes["init_time"] == count + 1
