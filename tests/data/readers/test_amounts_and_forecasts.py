"""Amounts become rates by the time that the file states; forecasts are no observations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.errors import DataError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.labels import forecast_frames
from framecast.forecasting.write import write

SIZES = {"time": 4, "y": 3, "x": 4}


def rain(units: str = "mm h-1", value: float = 2.0, **attributes: Any) -> xr.Dataset:
    values = np.full(tuple(SIZES.values()), value, np.float32)
    time = ("time", 5 * np.arange(1, 5), {"units": "minutes since 2024-03-31", "standard_name": "time"})
    return xr.Dataset({"rain": (tuple(SIZES), values, {"units": units, **attributes})}, {"time": time})


def with_bounds(dataset: xr.Dataset, minutes: object, name: str = "time_bnds", **attributes: Any) -> xr.Dataset:
    """The dataset with bounds that begin so many minutes before each time."""
    ends = 5 * np.arange(1, 5)
    dataset["time"].attrs["bounds"] = name
    return dataset.assign({name: (("time", "bnds"), np.stack([ends - np.asarray(minutes), ends], 1), attributes)})


def opened(dataset: xr.Dataset, path: Path, **options: Any) -> xr.DataArray:
    dataset.to_netcdf(path / "a.nc")
    return framecast.open(path / "a.nc", **options)


@pytest.mark.parametrize(
    ("units", "millimetres"),
    [("mm", 1), ("kg m-2", 1), ("kg/m^2", 1), ("m", 1000), ("cm", 10), ("inch", 25.4), ("l m-2", 1)],
)
@pytest.mark.parametrize("minutes", [5, 60, [5, 5.02, 4.99, 5]])
def test_bounds_give_the_time_of_an_amount(tmp_path: Path, units: str, millimetres: float, minutes: Any) -> None:
    amounts = with_bounds(rain(units, 2 / millimetres, cell_methods="time: sum"), minutes)
    minutes = minutes if isinstance(minutes, int) else 5
    frames = opened(amounts, tmp_path)
    np.testing.assert_allclose(frames.values, 2 * 60 / minutes, rtol=1e-5)
    assert frames["time"].values[0] == np.datetime64("2024-03-31T00:05")
    said = f"amounts in {units} are read as rates over the {minutes} minutes between its bounds time_bnds"
    assert any(said in repair and "is the end of its interval" in repair for repair in frames.attrs["repairs"])
    assert frames.attrs["standard_name"] == "rainfall_rate"


def test_bounds_of_other_units_in_the_middle_and_in_another_order(tmp_path: Path) -> None:
    amounts = with_bounds(rain("mm"), 10)
    centred = amounts.assign(time_bnds=amounts["time_bnds"].transpose("time", "bnds")[:, ::-1] * 60 + 300)
    centred["time_bnds"].attrs = {"units": "seconds since 2024-03-31"}
    frames = opened(centred, tmp_path)
    np.testing.assert_allclose(frames.values, 12)
    assert any("is the middle of its interval" in repair for repair in frames.attrs["repairs"])


@pytest.mark.parametrize(
    ("minutes", "method", "said"),
    [
        ([5, 5, 10, 5], "time: sum", r"are 5, 10 minutes apart\n.*divide each amount by its own time"),
        ([5, 5, np.nan, 5], "time: sum", r"hold no time for some of the frames\n.*correct the bounds"),
        ([5, 10, 15, 20], "time: sum", r"begin at one time: .*\n.*take the differences of following amounts"),
        (5, "time: mean", "is the mean of amounts"),
        (5, "area: mean time: maximum (interval: 1 minute)", "is the maximum of amounts"),
        (0, "time: sum", "are 0 minutes apart"),
    ],
)
def test_bounds_that_give_none_are_named(tmp_path: Path, minutes: object, method: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        opened(with_bounds(rain("mm", cell_methods=method), minutes), tmp_path)


@pytest.mark.parametrize("units", ["mm", "kg m-2", "m", "inch"])
def test_the_remedy_of_an_amount_is_never_a_rate(tmp_path: Path, units: str) -> None:
    """Nor is a rate taken for it, or an amount in other units."""
    rain(units).to_netcdf(tmp_path / "a.nc")
    for stated in (None, "mm h-1", "cm per 60 min"):
        with pytest.raises(
            DataError, match=rf"has units '{units}': an amount.*\n.*units='{units} per 60 min'"
        ) as refusal:
            framecast.open(tmp_path / "a.nc", units=stated)
        assert "mm h-1" not in str(refusal.value)
    frames = framecast.open(tmp_path / "a.nc", units=f"{units} per 1 hour")
    assert float(frames.max()) == pytest.approx({"m": 2000, "inch": 50.8}.get(units, 2))


def test_amounts_of_the_field(shared_data: Path) -> None:
    for name in ("sum5.nc", "hour.nc"):
        assert float(framecast.open(shared_data / "field" / "06_amounts_with_bounds" / name).max()) == pytest.approx(
            8, rel=1e-3
        )


def minutes_of(name: str, standard: str | None, values: object, dims: tuple[str, ...] = ()) -> dict[str, Any]:
    attributes = {"units": "minutes"} | ({"standard_name": standard} if standard else {})
    return {name: (dims, np.asarray(values), attributes)}


RUN = {"units": "minutes since 2024-03-31", "standard_name": "forecast_reference_time"}
FORECASTS = {
    "lead times": rain().rename(time="lead_time"),
    "lead times of cfgrib": rain().rename(time="step"),
    "lead times by their standard name": rain()
    .rename(time="tau")
    .assign_coords(minutes_of("tau", "forecast_period", [5, 10, 15, 20], ("tau",))),
    "members": rain().expand_dims(member=3),
    "members by their standard name": rain()
    .expand_dims(n=[1, 2])
    .assign_coords(n=("n", [1, 2], {"standard_name": "realization"})),
    "valid times of a run": rain().assign_coords(forecast_reference_time=((), 0, RUN)),
    "valid times of a run named otherwise": rain().assign(analysis=((), 0, RUN)),
    "a period along time": rain().assign_coords(minutes_of("forecast_period", None, [0, 5, 10, 15], ("time",))),
    "lead times without units along time": rain().assign_coords(leadtime=("time", [0, 5, 10, 15])),
    "valid times of a run in capitals": rain().assign_coords(InitTime=((), 0, {"units": RUN["units"]})),
    "valid times after an analysis": rain().assign_coords(analysis_time=((), 0, {"units": RUN["units"]})),
    "a run among the global attributes": rain().assign_attrs(forecast_reference_time="2024-03-31T00:00:00Z"),
    "times that say so": rain().assign_coords(time=rain()["time"].assign_attrs(long_name="forecast time")),
    "times of wgrib2": rain().assign_coords(
        time=rain()["time"].assign_attrs(reference_time_description="forecast or accumulated, reference date is fixed")
    ),
    "members of pysteps": rain().expand_dims(ens_number=3),
    "hours of a forecast": rain().rename(time="fhour"),
    "a lead time as an attribute": rain(forecast_hour=3),
    "one frame of a period": rain().isel(time=0).assign_coords(minutes_of("step", None, 30)),
}


@pytest.mark.parametrize("kind", FORECASTS)
def test_forecasts_are_refused_as_observations_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(
        DataError, match=r"(?s)a\.nc: a forecast .*not observations.*framecast\.open_forecast\('.*a\.nc'\)"
    ):
        opened(FORECASTS[kind], tmp_path)


def test_initial_times_stated_in_other_ways_are_read(tmp_path: Path) -> None:
    lead = minutes_of("forecast_period", None, [5, 10, 15, 20], ("time",))
    for number, dataset in enumerate(
        (
            rain().assign_coords(lead),
            rain().assign_attrs(initial_time="2024-03-31 00:00"),
            rain().assign_coords(ModelRunTime=((), 0, {"units": RUN["units"]})),
        )
    ):
        dataset.to_netcdf(tmp_path / f"{number}.nc")
        forecast = framecast.open_forecast(tmp_path / f"{number}.nc")
        assert forecast["init_time"].values == np.datetime64("2024-03-31")
        assert (forecast["lead_time"].values / np.timedelta64(1, "m")).tolist() == [5, 10, 15, 20]


def test_a_title_that_speaks_of_forecasts_is_reported(tmp_path: Path) -> None:
    frames = opened(rain().assign_attrs(title="Radar for a nowcast"), tmp_path)
    assert frames.attrs["repairs"] == [
        "its title is 'Radar for a nowcast': forecasts are opened with framecast.open_forecast"
    ]
    (tmp_path / "b").mkdir()
    frames = opened(rain(long_name="nowcast of rain"), tmp_path / "b")
    assert "its long_name is 'nowcast of rain': forecasts" in frames.attrs["repairs"][0]


def test_analyses_and_steps_of_the_clock_are_observations(tmp_path: Path) -> None:
    analysis = ("time", 5 * np.arange(1, 5), RUN)
    for dataset in (
        rain().assign_coords(forecast_reference_time=analysis),
        rain().assign_coords(minutes_of("forecast_period", "forecast_period", np.zeros(4), ("time",))),
        rain().assign_coords(number=0, step=0),
        rain().assign(step=((), 5, {"units": "1"})),
        rain().expand_dims(realization=[0]),
    ):
        assert opened(dataset, tmp_path).shape == (4, 1, 3, 4)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_our_own_forecasts_are_recognised(tmp_path: Path, suffix: str) -> None:
    frames = opened(rain(), tmp_path)
    write(forecast_frames(Persistence(), frames, 3), tmp_path / f"nowcast{suffix}")
    with pytest.raises(DataError, match=r"a forecast .*\n.*open_forecast"):
        framecast.open(tmp_path / f"nowcast{suffix}")
